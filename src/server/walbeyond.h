/*
 * walbeyond.h
 *		Does a repository hold WAL that this server does not have?
 */
#ifndef BKC_SERVER_WALBEYOND_H
#define BKC_SERVER_WALBEYOND_H

#include "pgcompat.h"

#include "format/names.h"
#include "format/pgfiles.h"
#include "store/store.h"

typedef struct BkcBeyond
{
	char		name[BKC_NAME_MAX]; /* the object that says so, "" when there is none */
	XLogRecPtr	end;			/* it reaches up to here */
} BkcBeyond;

/* Nothing here raises; what concerns positions and forks is not for servers in recovery. */

/*
 * WAL of our timeline beyond the position where this server was at since, that did not come
 * from this server?  Other processes of it may have gone on and sent theirs.
 */
extern bool bkc_beyond_position(BkcStore *store, TimeLineID timeline, XLogRecPtr since,
								BkcBeyond *beyond, BkcError *err);

/* What readers get for a WAL file, compared with the one in pg_wal. */
typedef enum BkcHeld
{
	BKC_HELD_ABSENT,			/* the repository has none */
	BKC_HELD_SAME,
	BKC_HELD_OTHER,				/* other content */
	BKC_HELD_UNKNOWN			/* it has one, pg_wal has not */
} BkcHeld;

/* Segments and histories; by the hash in the object's info frame. */
extern bool bkc_wal_held(BkcStore *store, const char *file, BkcHeld *held, BkcError *err);

/*
 * Do all chunks of a segment agree with the whole one, from pg_wal (local) or else from the
 * repository?  Those of the generations in ours are known to, and not read.  name: of the first
 * that does not, or that is damaged, "" when all do.  Not for two processes at once.
 */
extern bool bkc_wal_chunks_agree(BkcStore *store, const char *file, bool local,
								 const uint64 *ours, int nours, char name[BKC_NAME_MAX],
								 BkcError *err);

/*
 * Is what a standby receives the repository's own WAL?  Compares the newest WAL of that timeline
 * that both have, if it reaches behind after: ABSENT when there is none.  flush: up to
 * where pg_wal has it.  name: of the object that decided.
 */
extern bool bkc_wal_common(BkcStore *store, TimeLineID timeline, XLogRecPtr after,
						   XLogRecPtr flush, BkcHeld *held, char name[BKC_NAME_MAX],
						   BkcError *err);

/*
 * A whole record of that timeline beyond the point where we left it?  The beginning of one
 * that never became complete does not count.
 */
extern bool bkc_beyond_fork(BkcStore *store, TimeLineID timeline, XLogRecPtr fork,
							BkcBeyond *beyond, BkcError *err);

/*
 * The ancestors of our timeline, from pg_wal; *entries is malloc'ed, *n = 0 for timeline 1.
 * BKC_ERR_NOT_FOUND when there is no history; then *n = 0, too.
 */
extern bool bkc_server_history(TimeLineID timeline, BkcHistoryEntry **entries, size_t *n,
							BkcError *err);

/* The timeline on our way to this one on which that segment was completed. */
extern TimeLineID bkc_history_timeline(const BkcHistoryEntry *entries, size_t n,
									   TimeLineID timeline, XLogSegNo segno);

#endif							/* BKC_SERVER_WALBEYOND_H */
