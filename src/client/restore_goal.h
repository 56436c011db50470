/*
 * restore_goal.h
 *		How far a restored cluster recovers: what was asked for, which timeline
 *		and backup serve it, and whether all WAL for it is there.
 *
 *		restore_goal.c		options into BkcGoal
 *		restore_choose.c	repository into BkcWay: timeline and backup
 *		restore_reach.c		how far the WAL from the backup on goes
 *		restore_wal.c		is that enough for the goal?
 *		restore_scan.c		what stands in WAL where the goal is
 *		restore_tell.c		what is told about it
 *
 * All of it happens before anything is written.  A server that does not reach
 * its recovery target ends with an error, after hours perhaps, and one whose
 * WAL ends early starts with less than was asked for: both is found here.
 */
#ifndef BKC_CLIENT_RESTORE_GOAL_H
#define BKC_CLIENT_RESTORE_GOAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "format/pgfiles.h"
#include "pipe/walmap.h"

#include "options.h"

struct BkcRestore;

typedef enum BkcGoalKind
{
	BKC_GOAL_END,				/* all WAL there is */
	BKC_GOAL_TIME,
	BKC_GOAL_LSN,
	BKC_GOAL_XID,
	BKC_GOAL_NAME,
	BKC_GOAL_IMMEDIATE			/* the end of the backup */
} BkcGoalKind;

typedef enum BkcGoalTimeline
{
	BKC_GOAL_LATEST,			/* the highest one that a backup leads to */
	BKC_GOAL_CURRENT,			/* the backup's */
	BKC_GOAL_NUMBER
} BkcGoalTimeline;

/* What the command line says.  Strings belong to the options. */
typedef struct BkcGoal
{
	BkcGoalKind kind;
	int64_t		time;
	uint64_t	lsn;
	uint32_t	xid;
	const char *name;
	bool		exclusive;		/* end before the target, not behind it */
	const char *action;			/* recovery_target_action; NULL without a target */
	BkcGoalTimeline timeline;
	uint32_t	number;
	bool		standby;
} BkcGoal;

/* How it is reached.  A zeroed one is empty; bkc_restore_way_free() may be called again. */
typedef struct BkcWay
{
	/* restore_choose.c */
	BkcWalMap  *map;
	BkcBackupSpan *spans;		/* complete backups; none when nobody needed them */
	size_t		nspans;
	BkcBackupSpan backup;		/* the one that is restored */
	size_t		suitable;		/* it is the newest of so many; 0 when it was named */
	uint32_t	timeline;		/* to which recovery goes */
	BkcWalPath	path;

	/* restore_wal.c */
	bool		archived;		/* WAL in the repository goes on behind the backup */
	BkcWalReach reach;			/* how far it is whole */
	uint64_t	until;			/* recovery must not look behind it; 0 = it may */
	bool		in_flight;		/* the segment behind it was on its way when the server was lost */
	bool		cut;			/* chunks are damaged or missing from its end on */
	bool		lost;			/* recovery ends before a missing segment, later ones are there */

	/*
	 * Nothing in WAL lies behind the target: recovery ends behind the record at last
	 * (0 = not known: by itself, at until) instead of failing.
	 */
	bool		at_end;
	uint64_t	last;
} BkcWay;

extern void bkc_restore_way_free(BkcWay *way);

/* ---- restore_goal.c ---- */

/* Errors are BKC_ERR_INVALID and about the command line. */
extern bool bkc_goal_parse(const BkcOptions *options, bool take_over, BkcGoal *goal,
						   BkcError *err);

/* "2026-11-20 12:30:00+00", "0/3B001234", "transaction 1234", ...; out has at least 100 bytes. */
extern void bkc_goal_describe(const BkcGoal *goal, char *out, size_t outlen);

/* The settings of the target for postgresql.auto.conf; all of them, also the empty ones. */
extern bool bkc_goal_settings(const BkcGoal *goal, const BkcWay *way, BkcBuffer *out,
							  BkcError *err);

/* ---- restore_choose.c ---- */

/* Fills way up to path, and loads the backup's manifest into r->backup. */
extern bool bkc_restore_choose(struct BkcRestore *r, BkcError *err);

/* The map and the path once more: the repository has moved on, or the backup is another. */
extern bool bkc_restore_reload(struct BkcRestore *r, BkcError *err);

/* Take that backup, which is on the path; span may be way->backup. */
extern bool bkc_restore_use(struct BkcRestore *r, const BkcBackupSpan *span, BkcError *err);

/* The newest backup on the path that ends before the present one; NULL when that was named. */
extern const BkcBackupSpan *bkc_restore_older(const struct BkcRestore *r);

/* Does the backup end before the goal?  true for goals that do not say when they are. */
extern bool bkc_goal_after(const BkcGoal *goal, const BkcBackupSpan *span);

/* ---- restore_reach.c ---- */

/*
 * Fills way->reach and way->in_flight: how far WAL is whole from the backup on.  Reads the open
 * segment, and waits for a hole that may close in a moment.
 */
extern bool bkc_restore_reach(struct BkcRestore *r, BkcError *err);

/* ---- restore_wal.c ---- */

/* Is the WAL there?  Fills the rest of way.  The error names the first missing segment. */
extern bool bkc_restore_wal_check(struct BkcRestore *r, BkcError *err);

/* ---- restore_scan.c ---- */

typedef struct BkcGoalScan
{
	bool		found;			/* a later transaction, a record from the LSN on, the target */
	uint64_t	lsn;			/* of a transaction or restore point: where it begins */
	uint64_t	last;			/* start of the last valid record, 0 when none was seen */
	uint64_t	end;			/* behind it */
	int64_t		latest;			/* the latest end of a transaction, 0 when none was seen */
} BkcGoalScan;

/*
 * Read the WAL of the way from the segment that holds from on, until what lies
 * behind the goal (a time or an LSN) is seen, or the goal itself (a transaction or a name;
 * only records from from on count), or the WAL's end.
 */
extern bool bkc_restore_scan(struct BkcRestore *r, uint64_t from, BkcGoalScan *scan,
							 BkcError *err);

/* Only to see when transactions ended: nothing is looked for. */
extern bool bkc_restore_scan_times(struct BkcRestore *r, uint64_t from, BkcGoalScan *scan,
								   BkcError *err);

#endif							/* BKC_CLIENT_RESTORE_GOAL_H */
