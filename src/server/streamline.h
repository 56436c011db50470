/*
 * streamline.h
 *		One repository's end of the WAL streamer: what it has got of the open
 *		segment, and what is to be tidied up there.
 *
 * Nothing here raises but bkc_streamline_round(), and that only what
 * PostgreSQL raises (settings, interrupts).
 */
#ifndef BKC_SERVER_STREAMLINE_H
#define BKC_SERVER_STREAMLINE_H

#include "pgcompat.h"

#include "base/url.h"
#include "utils/timestamp.h"

/* How far this server's WAL reaches. */
typedef struct BkcStreamPoint
{
	TimeLineID	timeline;
	XLogRecPtr	flush;			/* durable here up to this */
	TimestampTz taken;			/* what was written before that time lies before flush */
	bool		ship;			/* on a standby only what it receives now */
	uint32		receiver;		/* on a standby: another one with each start of its walreceiver */
} BkcStreamPoint;

/* Forget what is known of repositories that are not in the list any more; close them. */
extern void bkc_streamline_reload(const BkcRepoList *list);

/*
 * Do what is due for a repository: a chunk, chunks to be removed.  repo is its
 * index in shared memory, where success and failure are noted; the latter is
 * logged.  sample() gives the newest point.  Returns when it wants to be called again at
 * the latest.
 */
extern TimestampTz bkc_streamline_round(const BkcRepoDef *def, int repo,
										void (*sample) (BkcStreamPoint *point));

/* After an ERROR out of a round: close everything of it, note the failure, and wait. */
extern void bkc_streamline_failed(const BkcRepoDef *def, int repo, const ErrorData *edata);

#endif							/* BKC_SERVER_STREAMLINE_H */
