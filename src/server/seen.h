/*
 * seen.h
 *		What the processes have seen of each repository: does it answer, do its keys
 *		open, its clock, its certificate, our credentials.
 *
 * Whoever asks a repository publishes that by the way, so that backup_health need not ask.  The
 * latest news counts, whoever has it.  In shared memory: after a start nothing is known.
 */
#ifndef BKC_SERVER_SEEN_H
#define BKC_SERVER_SEEN_H

#include "pgcompat.h"

#include "base/url.h"
#include "store/store.h"
#include "utils/timestamp.h"

#define BKC_SEEN_TEXT_MAX	512

/* Part of BkcRepoState, under its lock; times 0 = never, or not known. */
typedef struct BkcRepoSeen
{
	TimestampTz answered;
	TimestampTz failed;			/* it did not answer, or did not let us */
	TimestampTz failing_since;	/* the first of those since it answered; 0 = it does */
	char		error[BKC_SEEN_TEXT_MAX];	/* of the last failure */

	TimestampTz key_failed;		/* a key is missing; 0 = none that we know of */
	bool		key_by_open;	/* it could not even be read */
	char		key_error[BKC_SEEN_TEXT_MAX];

	bool		clock_known;
	int64		clock_ahead;	/* microseconds of its clock ahead of ours */
	TimestampTz certificate_until;
	TimestampTz credentials_until;	/* they could not be renewed */
} BkcRepoSeen;

/* The store was opened: what it learns is published when it is closed, ... */
extern void bkc_seen_watch(const BkcRepoDef *def, BkcStore *store);

/* ... and here, for those that stay open. */
extern void bkc_seen_publish(BkcStore *store);

/* A key was needed and missing; err NULL: all that were asked for opened. */
extern void bkc_seen_key(const BkcRepoDef *def, const BkcError *err, bool by_open);

#endif							/* BKC_SERVER_SEEN_H */
