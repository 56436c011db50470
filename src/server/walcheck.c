/*
 * walcheck.c
 *		See walcheck.h.
 */
#include "pgcompat.h"

#include <stdlib.h>

#include "access/xlog.h"
#include "errors.h"
#include "keys.h"
#include "miscadmin.h"
#include "ownership.h"
#include "pipe/keycopies.h"
#include "pipe/walmap.h"
#include "seen.h"
#include "settings.h"
#include "walcheck.h"
#include "walgap.h"
#include "walusage.h"

/* Open for one repository. */
typedef struct Work
{
	BkcStore   *store;
	BkcWalMap  *map;
	BkcWalGap  *gaps;
	size_t		ngaps;
	BkcBackupSpan *spans;
	size_t		nspans;
} Work;

static void
work_close(void *arg)
{
	Work	   *w = arg;

	free(w->gaps);
	free(w->spans);
	bkc_walmap_free(w->map);
	bkc_store_close(w->store);
	memset(w, 0, sizeof(*w));
}

/* How many gaps are lost for good; the first of them is described. */
static size_t
count_lost(Work *w, bool owner, char *first, size_t len)
{
	size_t		lost = 0;
	BkcError	err;

	for (size_t i = 0; i < w->ngaps; i++)
	{
		const BkcWalGap *gap = &w->gaps[i];
		BkcWalGapState state;

		CHECK_FOR_INTERRUPTS();
		if (!bkc_walgap_state(w->store, gap, owner, &state, &err))
			bkc_ereport(ERROR, &err);
		if (state != BKC_GAP_LOST)
			continue;
		if (lost++ == 0)
			snprintf(first, len, "%s to %s (%llu segments)", gap->first, gap->last,
					 (unsigned long long) gap->count);
	}
	return lost;
}

/* A key that is missing is found before somebody needs what it opens. */
static bool
check_key(Work *w, const BkcRepoDef *repo, BkcError *err)
{
	uint64_t	ignored;
	bool		ok = bkc_keys_open(w->store, GetSystemIdentifier(), &ignored, err);

	if (ok || err->code == BKC_ERR_KEY)
		bkc_seen_key(repo, ok ? NULL : err, false);
	return ok || err->code == BKC_ERR_KEY;
}

/* Without a key it is not known which backups there are, and every gap counts. */
static bool
load_spans(Work *w, BkcError *err)
{
	return bkc_repo_spans(w->store, GetSystemIdentifier(), &w->spans, &w->nspans, err) ||
		err->code == BKC_ERR_KEY;
}

static size_t
check_repository(Work *w, const BkcRepoDef *repo, char *first, size_t len)
{
	BkcError	err;
	BkcError	ignored;
	size_t		lost;

	if (!bkc_repo_open(repo, &w->store, &err) || !check_key(w, repo, &err) ||
		!bkc_walmap_load(w->store, GetSystemIdentifier(), (uint32) wal_segment_size, &w->map,
						 &err) ||
		!bkc_walmap_gaps(w->map, &w->gaps, &w->ngaps, &err) ||
		(w->ngaps > 0 && !load_spans(w, &err)))
		bkc_ereport(ERROR, &err);
	w->ngaps = bkc_walgap_drop_expired(repo->name, w->gaps, w->ngaps, w->spans, w->nspans);
	lost = count_lost(w, bkc_ownership_check(repo, w->store, &ignored), first, len);
	if (w->map->ndamaged > 0)
	{
		if (lost == 0)
			snprintf(first, len, "history of timeline %u is damaged", w->map->damaged[0]);
		lost += w->map->ndamaged;
	}
	bkc_walusage_note(repo, w->store);
	return lost;
}

void
bkc_walcheck_run(BkcJob *job)
{
	const BkcRepoList *repos = bkc_settings_repositories();
	StringInfoData text;
	size_t		lost = 0;

	(void) bkc_settings_repository(job->args.repository[0] ? job->args.repository : NULL);
	initStringInfo(&text);
	for (size_t i = 0; i < repos->count; i++)
	{
		Work	   *w = palloc0(sizeof(*w));
		char		first[128] = "";
		size_t		n;

		if (job->args.repository[0] && strcmp(job->args.repository, repos->items[i].name) != 0)
			continue;
		bkc_guard(work_close, w);
		n = check_repository(w, &repos->items[i], first, sizeof(first));
		work_close(w);
		appendStringInfo(&text, "%s%s: ", text.len > 0 ? "; " : "", repos->items[i].name);
		if (n == 0)
			appendStringInfoString(&text, "the WAL has no gaps");
		else
			appendStringInfo(&text, "%zu gap%s in the WAL, the first is %s", n, n == 1 ? "" : "s", first);
		lost += n;
	}
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	job->passed = lost == 0;
	strlcpy(job->summary, text.data, sizeof(job->summary));
	LWLockRelease(bkc_shared->lock);
}

void
bkc_walcheck_failed(BkcJob *job, const BkcReport *report, bool cancelled)
{
}
