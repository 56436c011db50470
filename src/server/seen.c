/*
 * seen.c
 *		See seen.h.
 */
#include "pgcompat.h"

#include "clock.h"
#include "seen.h"
#include "storage/proc.h"
#include "walshared.h"

/* One line, for a view. */
static void
keep_text(char out[BKC_SEEN_TEXT_MAX], const BkcError *err)
{
	strlcpy(out, err->message, BKC_SEEN_TEXT_MAX);
}

static void
merge(BkcRepoSeen *seen, const BkcStoreFacts *facts)
{
	TimestampTz answered = bkc_clock_from_unix(facts->answered);
	TimestampTz failed = bkc_clock_from_unix(facts->failed);

	if (failed > seen->failed)
	{
		seen->failed = failed;
		keep_text(seen->error, &facts->error);
		if (failed > seen->answered && failed > answered && seen->failing_since == 0)
			seen->failing_since = failed;
	}
	if (answered > seen->answered)
	{
		seen->answered = answered;
		if (answered >= seen->failed)
			seen->failing_since = 0;
	}
	if (facts->clock_known)
	{
		seen->clock_known = true;
		seen->clock_ahead = facts->clock_ahead;
	}
	if (facts->certificate_until != 0)
		seen->certificate_until = bkc_clock_from_unix(facts->certificate_until);
	if (facts->answered != 0 || facts->failed != 0)
		seen->credentials_until = bkc_clock_from_unix(facts->credentials_until);
}

/* arg is the index in shared memory.  Also at the end of a process, when that is gone. */
static void
leaving(BkcStore *store, void *arg)
{
	if (MyProc == NULL)
		return;
	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	merge(&bkc_wal->repos[(intptr_t) arg].seen, &store->facts);
	LWLockRelease(bkc_wal->lock);
}

void
bkc_seen_watch(const BkcRepoDef *def, BkcStore *store)
{
	int			repo = bkc_wal != NULL ? bkc_wal_repo(def) : -1;

	if (repo < 0)
		return;
	store->leaving = leaving;
	store->leaving_arg = (void *) (intptr_t) repo;
}

void
bkc_seen_publish(BkcStore *store)
{
	if (store != NULL && store->leaving != NULL)
		store->leaving(store, store->leaving_arg);
}

void
bkc_seen_key(const BkcRepoDef *def, const BkcError *err, bool by_open)
{
	int			repo = bkc_wal != NULL ? bkc_wal_repo(def) : -1;
	BkcRepoSeen *seen;

	if (repo < 0)
		return;
	seen = &bkc_wal->repos[repo].seen;
	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	if (err != NULL)
	{
		seen->key_failed = GetCurrentTimestamp();
		seen->key_by_open = by_open;
		keep_text(seen->key_error, err);
	}

	/* that it can be read again does not tell whether it opens what is there */
	else if (!by_open || seen->key_by_open)
		seen->key_failed = 0;
	LWLockRelease(bkc_wal->lock);
}
