/*
 * walmap.h
 *		What WAL a repository holds, and what can be restored with it: computed
 *		from the repository alone.
 *
 * The map is made from object names; times are read from info frames where a
 * question needs them (by bisection).  Memory grows with the number of gaps, not of segments.
 */
#ifndef BKC_PIPE_WALMAP_H
#define BKC_PIPE_WALMAP_H

#include "format/label.h"
#include "format/manifest.h"
#include "format/names.h"
#include "format/pgfiles.h"
#include "store/store.h"

/* Whole segments without a gap between them. */
typedef struct BkcWalRun
{
	uint32_t	timeline;
	uint64_t	first;			/* segment numbers, both there */
	uint64_t	last;
} BkcWalRun;

/* A segment by itself. */
typedef struct BkcWalTail
{
	uint32_t	timeline;
	uint64_t	segno;
} BkcWalTail;

typedef struct BkcWalHistory
{
	uint32_t	timeline;
	BkcHistoryEntry *entries;	/* oldest first */
	size_t		n;
} BkcWalHistory;

typedef struct BkcWalMap
{
	BkcStore   *store;			/* not owned */
	uint64_t	sysid;
	uint32_t	segment_size;	/* 0 when there is no WAL and the caller did not know it */
	BkcWalRun  *runs;			/* by timeline and number */
	size_t		nruns;
	BkcWalTail *tails;			/* likewise: chunks and no whole object */
	size_t		ntails;
	BkcWalTail *conflicts;		/* likewise: whole, with a conflict object beside it */
	size_t		nconflicts;
	BkcWalHistory *histories;	/* by timeline */
	size_t		nhistories;
	uint32_t   *damaged;		/* timelines whose history is there and cannot be used, by number */
	size_t		ndamaged;
} BkcWalMap;

/*
 * List everything below wal/.  segment_size as far as the caller knows it, else 0: then the first
 * segment whose info frame can be read tells.  A damaged history object is a warning in the log
 * and stands in the map, but is no failure.  The store must live as long as the map.
 */
extern bool bkc_walmap_load(BkcStore *store, uint64_t sysid, uint32_t segment_size,
							BkcWalMap **map, BkcError *err);
extern void bkc_walmap_free(BkcWalMap *map);	/* NULL is fine */

/* Add a history that is known from elsewhere (inside a backup); one that is there stays. */
extern bool bkc_walmap_add_history(BkcWalMap *map, uint32_t timeline, const char *text, size_t len,
								   BkcError *err);

/* NULL when it is not there or not usable. */
extern const BkcWalHistory *bkc_walmap_history(const BkcWalMap *map, uint32_t timeline);

/*
 * The lowest timeline above that one of which there is WAL, or a damaged history, and no usable
 * history: nobody knows whether it is the way on.  0 when there is none.
 */
extern uint32_t bkc_walmap_unknown_above(const BkcWalMap *map, uint32_t timeline);

/* Is that whole segment there? */
extern bool bkc_walmap_has(const BkcWalMap *map, uint32_t timeline, uint64_t segno);

/*
 * Up to when a whole segment reaches; 0 when that cannot be read because the
 * object is damaged or gone, which is not a failure.
 */
extern bool bkc_walmap_time(const BkcWalMap *map, uint32_t timeline, uint64_t segno,
							int64_t *time, BkcError *err);

/* ---- paths: the way through the timelines ---- */

/* A timeline and the part of it that belongs to the path. */
typedef struct BkcWalLeg
{
	uint32_t	timeline;
	uint64_t	begin;			/* 0 in the oldest */
	uint64_t	end;			/* UINT64_MAX in the last */
} BkcWalLeg;

typedef struct BkcWalPath
{
	BkcWalLeg  *legs;			/* oldest first */
	size_t		n;
} BkcWalPath;

/*
 * The path to the end of that timeline.  Without its history file it has one leg
 * (timeline 1 has none).  Legs join without a gap; an ancestor of which nothing is used has none.
 * Free with bkc_walpath_free().
 *
 * The segment that holds a fork belongs to the child, as in the server: its first segment bears
 * its own number, even when it begins in the middle.
 */
extern bool bkc_walmap_path(const BkcWalMap *map, uint32_t timeline, BkcWalPath *path,
							BkcError *err);
extern void bkc_walpath_free(BkcWalPath *path);

/*
 * Is the LSN on that timeline on the path?  (As recovery from a backup there needs it: both ends
 * of a leg belong to it, because a backup may stop exactly where its timeline was left.)
 */
extern bool bkc_walpath_contains(const BkcWalPath *path, uint32_t timeline, uint64_t lsn);

/* The timeline with the highest number whose path contains the point. */
extern bool bkc_walmap_latest(const BkcWalMap *map, uint32_t timeline, uint64_t lsn,
							  uint32_t *latest, BkcError *err);

/* ---- how far ---- */

/* WAL that is known to be had elsewhere: inside the backup.  Segment-wise. */
typedef struct BkcWalHave
{
	uint32_t	timeline;
	uint64_t	start_lsn;
	uint64_t	end_lsn;		/* 0 = nothing */
	int64_t		time;			/* up to when it reaches */
} BkcWalHave;

typedef struct BkcWalReach
{
	uint32_t	timeline;		/* of the end */
	uint64_t	end_lsn;		/* start_lsn when not even the first segment is there */
	int64_t		end_time;		/* 0 when not known */
	bool		open;			/* the last segment is put together from chunks */
	bool		fork;			/* it is an ancestor's, good to where the next timeline begins;
								 * end_time is then that of what precedes it */
	uint64_t	closed_lsn;		/* the end without open or fork, and its time */
	int64_t		closed_time;
	uint32_t	closed_timeline;

	/* segment whose chunks are damaged or missing from end_lsn on, while there was more; or "" */
	char		damaged[BKC_WAL_NAME_MAX];

	/* first segment that is not there whole; "" when the segment size is not known */
	char		missing[BKC_WAL_NAME_MAX];
	uint64_t	beyond;			/* later ones on the path, whole or in part: a gap when > 0 */
	uint64_t	gap;			/* segments missing up to the first of them */

	/*
	 * Up to when the first of those reaches; 0 when not known, and when there are only chunks of
	 * it: those were sent when what is missing was there, so it will not come any more.
	 */
	int64_t		beyond_time;
} BkcWalReach;

/*
 * Follow the path from start_lsn (on leg's timeline) as far as there is WAL.  have may be NULL.
 * BKC_ERR_INVALID when the path does not contain the start.  A segment or chunk whose info is
 * damaged is a warning in the log: a segment's time is not known then, a chunk is not there.
 */
extern bool bkc_walmap_reach(const BkcWalMap *map, const BkcWalPath *path,
							 uint32_t timeline, uint64_t start_lsn,
							 const BkcWalHave *have, BkcWalReach *reach, BkcError *err);

/*
 * Between start_lsn and the reach's end: the first piece (segment or open end) that reaches to
 * that time or beyond.  *lsn is its start, *tli its timeline; BKC_ERR_NOT_FOUND when the end comes
 * before.  Where times cannot be read the answer may be too early, never too late, except that
 * segments that only the backup has are passed over: they end before any time after the backup.
 */
extern bool bkc_walmap_at_time(const BkcWalMap *map, const BkcWalPath *path,
							   uint32_t timeline, uint64_t start_lsn, const BkcWalReach *reach,
							   int64_t time, uint32_t *tli, uint64_t *lsn, BkcError *err);

/* ---- gaps ---- */

#define BKC_WAL_RECENT		16	/* segments; not less than WAL helpers are ahead of the archiver */

/* Is a missing segment among the newest of its timeline, behind which there are whole ones? */
extern bool bkc_walmap_recent(const BkcWalMap *map, uint32_t timeline, uint64_t segno);

typedef struct BkcWalGap
{
	uint32_t	timeline;
	char		first[BKC_WAL_NAME_MAX];	/* missing segments */
	char		last[BKC_WAL_NAME_MAX];
	uint64_t	count;
	int64_t		after_time;		/* cannot be restored: up to here the segment before reaches ... */
	int64_t		before_time;	/* ... and up to here the one behind; 0 when not known */

	/*
	 * Among the newest segments of its timeline: WAL helpers send ahead, so it may be on its way
	 * as long as before_time is not long ago.  Never when chunks behind it say that it was there.
	 */
	bool		recent;
} BkcWalGap;

/*
 * Segments that are missing between whole ones, or before one that has chunks, on the path of any
 * timeline: within it, before a fork, and from the fork to a timeline's first segment.  What lies
 * before the first whole segment of a path is none (it may have expired).  By timeline and number;
 * *gaps is malloc'ed.
 */
extern bool bkc_walmap_gaps(const BkcWalMap *map, BkcWalGap **gaps, size_t *n, BkcError *err);

/* ---- what can be restored ---- */

/* Of a backup's manifest what its first line says. */
typedef struct BkcBackupSpan
{
	char		label[BKC_LABEL_MAX];
	uint32_t	timeline;
	uint64_t	start_lsn;
	uint64_t	stop_lsn;
	int64_t		start_time;
	int64_t		stop_time;
	uint32_t	segment_size;
	uint32_t	pg_version_num;
	bool		wal_in_archive; /* it does not hold its own WAL */
} BkcBackupSpan;

extern void bkc_span_from_header(const BkcManifestHeader *header, BkcBackupSpan *span);

/* Complete backups, oldest first; one whose manifest cannot be read or is frozen is a warning. */
extern bool bkc_repo_spans(BkcStore *store, uint64_t sysid, BkcBackupSpan **spans, size_t *n,
						   BkcError *err);

/* A range of times and LSNs, each of which can be restored to. */
typedef struct BkcRecoveryWindow
{
	uint32_t	timeline;		/* to which it is restored */
	char		first_backup[BKC_LABEL_MAX];
	char		last_backup[BKC_LABEL_MAX];
	uint32_t	backups;
	uint64_t	start_lsn;		/* the first backup's stop */
	uint64_t	end_lsn;
	int64_t		start_time;		/* its stop */
	int64_t		end_time;		/* at least the last backup's stop */
} BkcRecoveryWindow;

/*
 * By timeline and time; *list is malloc'ed.  Backups of ancestors count, but a window that ends
 * before its timeline begins is shown with the ancestor only.  A backup that cannot be made
 * consistent with the WAL there is begins no window.
 */
extern bool bkc_recovery_windows(const BkcWalMap *map, const BkcBackupSpan *spans, size_t nspans,
								 BkcRecoveryWindow **list, size_t *n, BkcError *err);

#endif							/* BKC_PIPE_WALMAP_H */
