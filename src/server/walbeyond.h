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

/* Nothing here raises; not in recovery. */

/*
 * WAL of our timeline beyond the position where this server was at since, that did not come
 * from this server?  Other processes of it may have gone on and sent theirs.
 */
extern bool bkc_beyond_position(BkcStore *store, TimeLineID timeline, XLogRecPtr since,
								BkcBeyond *beyond, BkcError *err);

/*
 * A whole record of that timeline beyond the point where we left it?  The beginning of one
 * that never became complete does not count.
 */
extern bool bkc_beyond_fork(BkcStore *store, TimeLineID timeline, XLogRecPtr fork,
							BkcBeyond *beyond, BkcError *err);

/* The ancestors of our timeline, from pg_wal; *entries is malloc'ed, *n = 0 for timeline 1. */
extern bool bkc_server_history(TimeLineID timeline, BkcHistoryEntry **entries, size_t *n,
							BkcError *err);

#endif							/* BKC_SERVER_WALBEYOND_H */
