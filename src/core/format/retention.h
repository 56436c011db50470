/*
 * retention.h
 *		The retention plan of one cluster in one repository: what stays, what
 *		goes, in which order, and why.
 *
 * Pure logic: nothing is read and no clock is asked, so that a dry run and the real one are
 * the same, and a year passes in a second of tests.  The caller says what there is, and
 * removes what the plan says, in its order: first the backups as in removal[], then WAL.  A
 * plan made for the same time after any part of that was done ends in the same state (where
 * the times of WAL contradict its order it may keep more).
 *
 * Every doubt is decided for keeping.  What is behind the rules:
 *
 * Good: a backup is good when it is complete, its verification has not failed, the WAL that
 * makes it consistent is there (its own, or whole segments), and the same holds for all its
 * parents.  Only good backups satisfy a rule or take a place in one.  A backup that is not in
 * the catalog, or is from the future, stays and takes no place either: otherwise a wrong clock
 * or a lost catalog would push out what the rules mean.
 *
 * Order: by start, as labels sort; the day, week, month or year is also that of the start,
 * because a nightly run that sometimes ends after midnight belongs to its own day.  How old a
 * backup is for keep_within and the recovery window goes by its end, as nothing before that
 * can be restored with it.
 *
 * Calendar rules count periods that have a good backup, the newest first, not days that have
 * passed: when no backups are made, none is removed.
 *
 * Recovery window: every point of the last pitr_window seconds that can be restored shall stay
 * so.  So for each timeline that has points in it (its WAL reaches into it, or the server
 * writes it) the newest good backup before the window stays: its base.  It is looked for along
 * the way through the timelines that leads there, not on that timeline alone and not by who
 * has a newer one elsewhere: of two timelines that forked from one, a backup on the first does
 * not help the second.  Where WAL is missing behind the base, the first backup behind the gap
 * stays, too, and where there is no base the first one of all.  A backup in the window that no
 * WAL in it leads to stays as a point of its own.  A timeline whose WAL ends before the window
 * was abandoned before it, and needs no base: so dead branches go when their time has come,
 * and the base of a branch that lives on beside a newer one (the old primary came back) stays.
 *
 * Base is the backup that stops last, by LSN: all backups that are older than the window and
 * lead to a point in it need the same WAL from their stop on, and that one needs the least
 * before it.  Where the order of LSNs and that of times contradict each other (clocks),
 * everything in between stays.
 *
 * WAL: kept for backups of the set W: kept ones that ended within the window, those above, the
 * newest good one, and running ones; with an unlimited window, all kept ones.  A segment stays
 * when one of them reaches it: it ends after the backup's start, and its timeline is the
 * backup's or a descendant that was left for behind the backup's start (or exactly there).
 * Both segments that hold a fork stay, the parent's and the child's: a server takes the
 * parent's when there is none of the child's.  Whether a descendant leaves an ancestor behind
 * a point is decided by the smallest of its own and all later switch points, see
 * BkcHistoryEntry.  Other kept backups without WAL of their own keep the segments from start to
 * stop.  WAL of a timeline that no kept backup reaches, and that is newer than the newest one,
 * stays: the server was recovered to before all backups, and the next one may be running.
 *
 * Not known: a timeline above 1 without a usable history may descend from anything.  Its WAL
 * stays as long as a backup of W begins before the segment's end, and the good backups of
 * lower timelines stay while it has WAL in the window and no base of its own.  Where LSNs,
 * timeline or segment size of a backup cannot be used, all WAL of its timeline stays, and all
 * WAL when even that is not known.
 *
 * Predecessors (a cluster before pg_upgrade, adopted by its successor) are planned one by one, as
 * their WAL has nothing to do with each other's.  But the backups of all are one history: those
 * of the successors ("others") take their places in every rule that counts, of backups or
 * periods, and in min_full.  The successor itself is planned without those of its predecessors,
 * which are older; so its newest good backup always stays.  A predecessor is closed: as soon as
 * there is a newer good backup elsewhere and the recovery window does not reach it any more,
 * nothing stays of it but what a rule keeps, and so at last it is gone.  Until then it is planned
 * like any other.
 *
 * All WAL stays without a good backup, with a running backup that does not say where it began,
 * and when the policy has no rule.  Histories are no subject of the plan: they are small, they
 * say which numbers were used, and they always stay.
 */
#ifndef BKC_FORMAT_RETENTION_H
#define BKC_FORMAT_RETENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "format/pgfiles.h"

#define BKC_RETENTION_UNLIMITED		(-1)

typedef struct BkcRetentionPolicy
{
	uint32_t	keep_last;		/* counts; 0: no such rule */
	uint32_t	keep_daily;
	uint32_t	keep_weekly;	/* ISO weeks */
	uint32_t	keep_monthly;
	uint32_t	keep_yearly;
	int64_t		keep_within;	/* seconds; 0: no such rule */

	/*
	 * Without any of the rules above everything stays; these two alone are none.
	 */
	uint32_t	min_full;		/* newest good full backups that stay whatever the rules say */
	int64_t		pitr_window;	/* seconds, or BKC_RETENTION_UNLIMITED */

	/* Local time minus UTC in seconds; NULL: UTC. */
	int32_t		(*utc_offset) (void *arg, int64_t unix_seconds);
	void	   *utc_offset_arg;
} BkcRetentionPolicy;

typedef enum BkcRetentionKind
{
	BKC_RETENTION_FULL,
	BKC_RETENTION_DEPENDENT,	/* incremental or differential: needs its parent */
	BKC_RETENTION_REGISTERED	/* made by another tool: never removed, counts for nothing */
} BkcRetentionKind;

typedef enum BkcRetentionState
{
	BKC_RETENTION_COMPLETE,
	BKC_RETENTION_RUNNING,
	BKC_RETENTION_UNFINISHED	/* failed or interrupted; not the plan's to remove */
} BkcRetentionState;

typedef enum BkcRetentionVerified
{
	BKC_RETENTION_NOT_VERIFIED,
	BKC_RETENTION_PASSED,
	BKC_RETENTION_FAILED
} BkcRetentionVerified;

/* Times are microseconds since 1970.  Texts must live as long as the call. */
typedef struct BkcRetentionBackup
{
	const char *label;			/* each once */
	const char *parent;			/* label; NULL or "" when it has none */
	BkcRetentionKind kind;
	BkcRetentionState state;
	BkcRetentionVerified verified;

	/* Of a running backup, as far as they are known. */
	uint32_t	timeline;		/* 0: not known */
	uint64_t	start_lsn;		/* 0: not known */
	uint64_t	stop_lsn;
	uint32_t	segment_size;	/* of its WAL; 0: as the repository's */
	bool		own_wal;		/* the WAL from start to stop is in the backup */

	int64_t		started;
	int64_t		finished;		/* complete backups only */
	int64_t		keep_until;		/* its own retention date; 0: none */
	int64_t		locked_until;	/* object lock; 0: none */
	bool		held;
	const char *held_reason;	/* NULL or "" is fine */
	bool		known_to_catalog;
} BkcRetentionBackup;

/* As BkcWalHistory.  Timeline 1 needs none; one that is damaged is left out. */
typedef struct BkcRetentionTimeline
{
	uint32_t	timeline;
	const BkcHistoryEntry *entries; /* oldest first */
	size_t		n;
} BkcRetentionTimeline;

/* Segments without a gap between them. */
typedef struct BkcRetentionWal
{
	uint32_t	timeline;
	uint64_t	first;			/* segment numbers, both there */
	uint64_t	last;

	/*
	 * Up to when the last one reaches (its info frame tells); 0: not known, then it counts as
	 * new.  If it is never given, abandoned timelines stay for good.
	 */
	int64_t		time;
	bool		open;			/* chunks only, no whole segment: goes by the same rules */
} BkcRetentionWal;

typedef struct BkcRetentionInput
{
	BkcRetentionPolicy policy;
	int64_t		now;
	uint32_t	segment_size;	/* of the repository's WAL; 0 when there is none */

	/* That the server writes; 0: not known, then the highest one that has a history is taken. */
	uint32_t	timeline;
	const BkcRetentionBackup *backups;	/* in any order */
	size_t		nbackups;
	const BkcRetentionTimeline *timelines;	/* likewise */
	size_t		ntimelines;
	const BkcRetentionWal *wal; /* likewise */
	size_t		nwal;

	bool		closed;			/* a predecessor: nothing is written to it any more */

	/* Backups of its successors that count, in any order; only kind, label and times are used. */
	const BkcRetentionBackup *const *others;
	size_t		nothers;
} BkcRetentionInput;

typedef struct BkcRetentionFate
{
	bool		keep;
	bool		counts;			/* has its place in rules; that does not depend on others */
	char	   *reasons;		/* all of them, joined by "; "; never empty */
} BkcRetentionFate;

/* A part of one of the ranges; together they are the whole of it, in order. */
typedef struct BkcRetentionRange
{
	uint32_t	timeline;
	uint64_t	first;
	uint64_t	last;
	size_t		wal;			/* index in the input */
	bool		keep;
	char	   *reason;
} BkcRetentionRange;

typedef struct BkcRetentionPlan
{
	BkcRetentionFate *backups;	/* as in the input */
	size_t		nbackups;

	/*
	 * Indexes of the backups that go: the oldest tree of backups first, in it those on which
	 * nothing depends any more first, of these the newest first.
	 */
	size_t	   *removal;
	size_t		nremoval;

	/* By the input's ranges; whoever removes a range does so from its first segment on. */
	BkcRetentionRange *wal;
	size_t		nwal;
} BkcRetentionPlan;

/*
 * BKC_ERR_INVALID for input that makes no sense (a label twice, a negative time span, WAL without
 * segment size).  *plan is to be freed with bkc_retention_free(); NULL after a failure.
 */
extern bool bkc_retention_plan(const BkcRetentionInput *input, BkcRetentionPlan **plan,
							   BkcError *err);
extern void bkc_retention_free(BkcRetentionPlan *plan); /* NULL is fine */

#endif							/* BKC_FORMAT_RETENTION_H */
