/*
 * retention_inner.h
 *		What the files of the retention plan share; nobody else includes it.
 */
#ifndef BKC_FORMAT_RETENTION_INNER_H
#define BKC_FORMAT_RETENTION_INNER_H

#include "base/buffer.h"
#include "format/retention.h"

#define BKC_RETENTION_NOBODY	SIZE_MAX
#define BKC_RETENTION_USEC		INT64_C(1000000)

/* Why a backup is needed for the recovery window (bits). */
#define BKC_RETENTION_BASE		1	/* the newest before it */
#define BKC_RETENTION_BEGINS	2	/* there is none before it, and this is the first in it */
#define BKC_RETENTION_RESUMES	4	/* the first behind missing WAL */
#define BKC_RETENTION_UNKNOWN	8	/* a history is missing that would tell */
#define BKC_RETENTION_ALONE		16	/* in it, and no WAL that is in it leads there */

/* What is found out about a backup. */
typedef struct BkcRetentionMark
{
	size_t		parent;			/* index, or NOBODY */
	size_t		root;			/* index of the oldest ancestor there is */
	size_t		depth;			/* ancestors */
	size_t		rank;			/* 0: the newest */
	int64_t		end;			/* the later of start and finish, for clocks that jump */
	bool		complete;		/* and one of ours */
	bool		future;
	bool		placed;			/* LSNs, timeline and segment size can be used */
	bool		good;
	bool		counts;			/* good, in the catalog and not from the future */
	const char *bad;			/* why it is not good; NULL when it is */
	uint64_t	first;			/* segments that make it consistent, when placed */
	uint64_t	last;
	unsigned	needed;			/* for the recovery window */
	uint32_t	unknown;		/* timeline without history for which it is */
	size_t		child;			/* first kept backup that needs it as its parent, or NOBODY */
	size_t		nchildren;
	bool		keep;
	BkcBuffer	reasons;
} BkcRetentionMark;

typedef struct BkcRetention
{
	const BkcRetentionInput *in;
	uint64_t	segment_size;	/* never 0 */
	uint32_t	timeline;		/* that is written */
	bool		no_rule;
	bool		unlimited;		/* window */
	int64_t		window_start;
	BkcRetentionMark *marks;	/* as the input's backups */
	size_t	   *order;			/* newest first */
	size_t		newest_good;	/* counts; or NOBODY, also of what is retired */
	bool		retired;		/* closed, and nothing of it is needed but what rules keep */
	const BkcRetentionBackup **others;	/* newest first */
	BkcRetentionWal *runs;		/* whole segments, by timeline and number, joined */
	size_t		nruns;
} BkcRetention;

/* retention.c */

/* Keep that backup for that reason. */
extern bool bkc_retention_keep(BkcRetention *r, size_t i, BkcError *err, const char *fmt,...)
	BKC_PRINTF(4, 5);

/* Is it newer than the other, as backups are ordered? */
extern bool bkc_retention_newer(const BkcRetentionBackup *a, const BkcRetentionBackup *b);

/* "7 days", "36 hours": the largest unit of which it is a multiple. */
extern void bkc_retention_span(int64_t seconds, char *out, size_t outlen);

/* retention_calendar.c */

typedef enum BkcRetentionPeriod
{
	BKC_RETENTION_DAY,
	BKC_RETENTION_WEEK,
	BKC_RETENTION_MONTH,
	BKC_RETENTION_YEAR
} BkcRetentionPeriod;

/* The number of the local period that holds the time; numbers grow with time. */
extern int64_t bkc_retention_period(const BkcRetentionPolicy *policy, BkcRetentionPeriod kind,
									int64_t usec);

/* It as text: "2026-11-20", "2026-W47", "2026-10", "2026". */
extern void bkc_retention_period_name(BkcRetentionPeriod kind, int64_t period, char *out,
									  size_t outlen);

/* retention_backups.c: which backups stay, but for the recovery window and parents */
extern bool bkc_retention_by_rules(BkcRetention *r, BkcError *err);

/* Keep the parents of what is kept. */
extern bool bkc_retention_parents(BkcRetention *r, BkcError *err);

/* retention_window.c */

/* Note in the marks which backups the recovery window needs, and keep them. */
extern bool bkc_retention_window(BkcRetention *r, BkcError *err);

/* Does the backup belong to those whose WAL stays from its start on? */
extern bool bkc_retention_in_window(const BkcRetention *r, size_t i);

/* retention_path.c */

/* Fill runs. */
extern bool bkc_retention_runs(BkcRetention *r, BkcError *err);

/* Are all of these whole segments there? */
extern bool bkc_retention_has(const BkcRetention *r, uint32_t timeline, uint64_t first,
							  uint64_t last);

typedef enum BkcRetentionWay
{
	BKC_RETENTION_NO_WAY,
	BKC_RETENTION_WAY,
	BKC_RETENTION_MAYBE			/* the history is not known */
} BkcRetentionWay;

/* Does one timeline come from another, and where was that left?  UINT64_MAX: it is the same. */
extern BkcRetentionWay bkc_retention_way(const BkcRetention *r, uint32_t from, uint32_t to,
										 uint64_t *left);

/* NULL when it is not known; timeline 1 is known without one. */
extern const BkcRetentionTimeline *bkc_retention_history(const BkcRetention *r,
														 uint32_t timeline);
extern bool bkc_retention_known(const BkcRetention *r, uint32_t timeline);

/* As in pipe/walmap.h: a timeline and the part of it that belongs to the path. */
typedef struct BkcRetentionLeg
{
	uint32_t	timeline;
	uint64_t	begin;
	uint64_t	end;
} BkcRetentionLeg;

typedef struct BkcRetentionPath
{
	BkcRetentionLeg *legs;		/* oldest first; to be freed */
	size_t		n;
} BkcRetentionPath;

extern bool bkc_retention_path(const BkcRetention *r, uint32_t timeline, BkcRetentionPath *path,
							   BkcError *err);
extern bool bkc_retention_on_path(const BkcRetentionPath *path, uint32_t timeline, uint64_t lsn);

/* The first segment on the path, from the backup's first on, that is nowhere to be had. */
extern uint64_t bkc_retention_reach(const BkcRetention *r, const BkcRetentionPath *path, size_t i);

/* retention_wal.c */
extern bool bkc_retention_wal(BkcRetention *r, BkcRetentionPlan *plan, BkcError *err);

#endif							/* BKC_FORMAT_RETENTION_INNER_H */
