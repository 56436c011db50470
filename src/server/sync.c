/*
 * sync.c
 *		See sync.h.
 *
 * Adds what the catalog does not know, and removes no row: a backup whose manifest is gone is
 * "missing" until it is there again.  That is believed only where the cluster object is there, so
 * an unmounted disk makes nothing missing.  One backup that cannot be read does not keep the
 * others from their turn.  Of the clusters in a repository this one counts, and its predecessors.
 */
#include "pgcompat.h"

#include <stdlib.h>

#include "base/fault.h"
#include "base/host.h"
#include "errors.h"
#include "event.h"
#include "format/names.h"
#include "keys.h"
#include "miscadmin.h"
#include "pipe/lineage.h"
#include "pipe/unpack.h"
#include "settings.h"
#include "sqlrun.h"
#include "sync.h"
#include "syncrow.h"
#include "utils/json.h"
#include "utils/memutils.h"

typedef struct Work
{
	const BkcRepoDef *repo;
	BkcStore   *store;
	BkcPredecessor *predecessors;
	size_t		npredecessors;
	uint64		system_identifier;	/* whose turn it is, and its backups: */
	BkcBackupRef *refs;
	size_t		n;
	uint64		added;
	uint64		updated;
	uint64		missing;
	uint64		foreign;
	uint64		unreadable;
	bool		unsettled;		/* a row still says "running" */
} Work;

static void
work_close(void *arg)
{
	Work	   *w = arg;

	free(w->refs);
	w->refs = NULL;
	free(w->predecessors);
	w->predecessors = NULL;
	bkc_store_close(w->store);
	w->store = NULL;
}

/* ---- what is pending ---- */

static bool
is_synced(const char *repository)
{
	for (int i = 0; i < bkc_shared->nsynced; i++)
		if (strcmp(bkc_shared->synced[i], repository) == 0)
			return true;
	return false;
}

bool
bkc_sync_pending(const char *repository)
{
	const BkcRepoList *repos = bkc_settings_repositories();
	bool		pending = false;

	LWLockAcquire(bkc_shared->lock, LW_SHARED);
	for (size_t i = 0; i < repos->count && !pending; i++)
		if (repository == NULL || strcmp(repository, repos->items[i].name) == 0)
			pending = !is_synced(repos->items[i].name);
	LWLockRelease(bkc_shared->lock);
	return pending;
}

static uint64
times_required(void)
{
	uint64		times;

	LWLockAcquire(bkc_shared->lock, LW_SHARED);
	times = bkc_shared->sync_required;
	LWLockRelease(bkc_shared->lock);
	return times;
}

/* What was required since the repository was read may not have been seen. */
static void
note_synced(const char *repository, uint64 required)
{
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	if (bkc_shared->sync_required == required &&
		!is_synced(repository) && bkc_shared->nsynced < BKC_SYNCED_MAX)
		strlcpy(bkc_shared->synced[bkc_shared->nsynced++], repository, BKC_REPO_NAME_MAX);
	LWLockRelease(bkc_shared->lock);
}

void
bkc_sync_require(const char *repository)
{
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	bkc_shared->sync_required++;
	for (int i = 0; i < bkc_shared->nsynced; i++)
		if (strcmp(bkc_shared->synced[i], repository) == 0)
		{
			bkc_shared->nsynced--;
			memmove(bkc_shared->synced[i], bkc_shared->synced[bkc_shared->nsynced],
					BKC_REPO_NAME_MAX);
			break;
		}
	LWLockRelease(bkc_shared->lock);
}

/* ---- backups that are there ---- */

typedef struct WriteArg
{
	const BkcSyncBackup *backup;
	const BkcSyncRow *row;
	bool		added;
	bool		updated;
} WriteArg;

static void
write_backup(void *arg)
{
	WriteArg   *a = arg;

	bkc_syncrow_write(a->backup, a->row, &a->added, &a->updated);
}

/* Of one that cannot be read nothing is known, and nothing is changed. */
static bool
skip_unreadable(Work *w, const char *label, const BkcError *err)
{
	if (err->code == BKC_ERR_NOT_FOUND)
		return true;			/* removed meanwhile */
	if (err->code != BKC_ERR_CORRUPT && err->code != BKC_ERR_UNSUPPORTED &&
		err->code != BKC_ERR_KEY && err->code != BKC_ERR_ARCHIVED)
		return false;
	w->unreadable++;
	bkc_log(BKC_LOG_WARNING, "backup %s in repository \"%s\" cannot be taken into the catalog: %s", label,
			w->repo->name, err->message);
	return true;
}

static bool
sync_backup(Work *w, const char *label, BkcError *err)
{
	BkcSyncBackup *b = palloc0(sizeof(*b));
	char		folder[BKC_NAME_MAX];
	BkcSyncRow	row;
	WriteArg	arg = {.backup = b, .row = &row};
	bool		whole;
	bool		ok;

	/* its own job, or settle, will write the row of a running one */
	if (bkc_shared_label_active(label))
		return true;
	bkc_syncrow_find(w->system_identifier, label, &row);
	if (strcmp(row.status, "running") == 0)
	{
		w->unsettled = true;	/* its notes have not been read: not in sync yet */
		return true;
	}
	whole = strcmp(row.status, "completed") != 0 && strcmp(row.status, "missing") != 0;
	b->system_identifier = w->system_identifier;
	b->label = label;
	b->repository = w->repo->name;
	if (!bkc_name_backup(w->system_identifier, label, folder, err))
		return false;
	folder[strlen(folder) - 1] = '\0';
	b->location = psprintf("%s/%s", w->store->location, folder);
	ok = bkc_syncrow_read(w->store, b, whole, err);
	if (!ok)
	{
		bkc_notes_free(&b->notes);
		return skip_unreadable(w, label, err);
	}
	ok = bkc_fault(BKC_FAULT_SYNC_BACKUP, err);
	if (ok && !bkc_sqlrun_try(write_backup, &arg, BKC_SQLRUN_TRIES, "take a backup into the catalog"))
		ok = bkc_error_set(err, BKC_ERR_STATE, "the row of backup %s could not be written", label);
	bkc_notes_free(&b->notes);
	if (!ok)
		return false;
	w->added += arg.added;
	w->updated += arg.updated;
	return true;
}

/* ---- backups that are not ---- */

typedef struct MissingArg
{
	int64		id;
	const char *repository;
} MissingArg;

static void
write_missing(void *arg)
{
	MissingArg *a = arg;

	bkc_syncrow_missing(a->id, a->repository);
}

static bool
is_listed(const Work *w, const char *label)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->refs[i].complete && strcmp(w->refs[i].label, label) == 0)
			return true;
	return false;
}

/* What the catalog believes to be in the repository; palloc'ed. */
static BkcCatalogRow *
known_copies(const Work *w, int *n)
{
	const char *values[2] = {w->repo->name, psprintf("%lld", (long long) w->system_identifier)};
	BkcCatalogRow *rows;

	bkc_sqlrun_begin();
	bkc_sqlrun_exec("SELECT c.id, c.label FROM %s.backup_catalog c"
					" JOIN %s.backup_copy y ON y.backup_id OPERATOR(pg_catalog.=) c.id"
					" WHERE c.label IS NOT NULL AND y.repository OPERATOR(pg_catalog.=) $1"
					" AND " BKC_CATALOG_OF("c.system_identifier", "$2::bigint")
					" AND y.status IN ('completed', 'missing')", SPI_OK_SELECT, 2, values);
	*n = (int) SPI_processed;
	rows = MemoryContextAllocZero(bkc_sqlrun_outer_context(), sizeof(BkcCatalogRow) * (*n + 1));
	for (int i = 0; i < *n; i++)
	{
		rows[i].id = strtoll(bkc_sqlrun_value(i, 1), NULL, 10);
		strlcpy(rows[i].label, bkc_sqlrun_value(i, 2), sizeof(rows[i].label));
	}
	bkc_sqlrun_finish();
	return rows;
}

static bool
sync_missing(Work *w, BkcError *err)
{
	int			n;
	BkcCatalogRow *rows = known_copies(w, &n);

	for (int i = 0; i < n; i++)
	{
		MissingArg	arg = {rows[i].id, w->repo->name};
		bool		complete;

		CHECK_FOR_INTERRUPTS();
		if (is_listed(w, rows[i].label) || !bkc_label_valid(rows[i].label))
			continue;
		if (!bkc_repo_backup_complete(w->store, w->system_identifier, rows[i].label, &complete,
									  err))
			return false;
		if (complete)
			continue;
		if (!bkc_fault(BKC_FAULT_SYNC_MISSING, err))
			return false;
		if (!bkc_sqlrun_try(write_missing, &arg, BKC_SQLRUN_TRIES, "note that a backup is missing"))
			return bkc_error_set(err, BKC_ERR_STATE, "the row of backup %s could not be written",
								 rows[i].label);
		w->missing++;
	}
	return true;
}

/* ---- a repository ---- */

static bool
read_repository(Work *w, BkcError *err)
{
	BkcClusterInfo *clusters;
	size_t		n;
	bool		ok;

	if (!bkc_repo_open(w->repo, &w->store, err) ||
		!bkc_repo_clusters(w->store, &clusters, &n, err))
		return false;
	ok = bkc_lineage_load(w->store, GetSystemIdentifier(), &w->predecessors, &w->npredecessors,
						  err);
	for (size_t i = 0; i < n; i++)
		w->foreign += clusters[i].system_identifier != GetSystemIdentifier();
	w->foreign -= Min(w->foreign, w->npredecessors);
	bkc_repo_clusters_free(clusters, n);
	return ok;
}

/* The catalog as that repository has one cluster. */
static bool
sync_cluster(Work *w, uint64 system_identifier, BkcJob *job, BkcError *err)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "pg_backupctl sync",
												  ALLOCSET_DEFAULT_SIZES);
	bool		ok;

	w->system_identifier = system_identifier;
	free(w->refs);
	w->refs = NULL;
	ok = bkc_repo_backups(w->store, system_identifier, &w->refs, &w->n, err);
	if (ok && job != NULL)
		pg_atomic_fetch_add_u64(&job->files_total, w->n);
	for (size_t i = 0; ok && i < w->n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		CHECK_FOR_INTERRUPTS();
		ok = !w->refs[i].complete || sync_backup(w, w->refs[i].label, err);
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
		if (job != NULL)
			pg_atomic_fetch_add_u64(&job->files_done, 1);
	}
	ok = ok && sync_missing(w, err);
	MemoryContextDelete(context);
	return ok;
}

/* Predecessors first: the newest rows get the highest numbers. */
static bool
sync_repository(Work *w, BkcJob *job, BkcError *err)
{
	uint64		required = times_required();
	bool		ok = read_repository(w, err);

	for (size_t i = w->npredecessors; ok && i > 0; i--)
		ok = sync_cluster(w, w->predecessors[i - 1].system_identifier, job, err);
	ok = ok && sync_cluster(w, GetSystemIdentifier(), job, err);
	if (ok && !w->unsettled)
		note_synced(w->repo->name, required);
	work_close(w);
	return ok || bkc_error_context(err, "could not compare the catalog with repository \"%s\"",
								   w->repo->name);
}

/* ---- results ---- */

static void
tell(const Work *w, StringInfo summary, StringInfo detail)
{
	appendStringInfo(summary, "%s%s: %llu backups added to the catalog, %llu updated, %llu missing",
					 summary->len > 0 ? "; " : "", w->repo->name, (unsigned long long) w->added,
					 (unsigned long long) w->updated, (unsigned long long) w->missing);
	if (w->foreign > 0)
		appendStringInfo(summary, ", %llu other clusters", (unsigned long long) w->foreign);
	if (w->unreadable > 0)
		appendStringInfo(summary, ", %llu cannot be read", (unsigned long long) w->unreadable);
	appendStringInfoString(detail, detail->len > 1 ? ", " : "");
	escape_json(detail, w->repo->name);
	appendStringInfo(detail, ": {\"added\": %llu, \"updated\": %llu, \"missing\": %llu, \"foreign_clusters\": %llu, \"unreadable\": %llu}",
					 (unsigned long long) w->added, (unsigned long long) w->updated,
					 (unsigned long long) w->missing, (unsigned long long) w->foreign,
					 (unsigned long long) w->unreadable);
}

static int64
write_event(const char *actor, const char *repository, const char *summary, const char *detail)
{
	return bkc_event(&(BkcEvent)
					 {.kind = "sync", .actor = actor, .repository = repository, .message = summary,
					  .detail = psprintf("{\"repositories\": %s}}", detail)});
}

void
bkc_sync_run(BkcJob *job)
{
	const BkcRepoList *repos = bkc_settings_repositories();
	StringInfoData summary;
	StringInfoData detail;
	int64		event;

	(void) bkc_settings_repository(job->args.repository[0] ? job->args.repository : NULL);
	bkc_job_phase(job, BKC_PHASE_SYNCING);
	initStringInfo(&summary);
	initStringInfo(&detail);
	appendStringInfoChar(&detail, '{');
	for (size_t i = 0; i < repos->count; i++)
	{
		Work	   *w = palloc0(sizeof(*w));
		BkcError	err;

		if (job->args.repository[0] && strcmp(job->args.repository, repos->items[i].name) != 0)
			continue;
		w->repo = &repos->items[i];
		bkc_guard(work_close, w);
		if (!sync_repository(w, job, &err))
			bkc_ereport(ERROR, &err);
		tell(w, &summary, &detail);
	}
	event = write_event(job->args.requested_by,
						job->args.repository[0] ? job->args.repository : NULL, summary.data,
						detail.data);
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	job->passed = true;
	job->event = event;
	strlcpy(job->summary, summary.data, sizeof(job->summary));
	LWLockRelease(bkc_shared->lock);
}

void
bkc_sync_failed(BkcJob *job, const BkcReport *report, bool cancelled)
{
	/* whatever was written is right; the rest by another run */
}

/* A catalog that was created later begins empty, and nothing that it does not know is removed. */
static bool
settle_one(const BkcRepoDef *repo, bool installed, BkcError *err)
{
	Work	   *w;
	StringInfoData summary;
	StringInfoData detail;

	if (!bkc_sync_pending(repo->name))
		return true;
	if (!installed)
	{
		note_synced(repo->name, times_required());
		return true;
	}
	w = palloc0(sizeof(*w));
	w->repo = repo;
	bkc_guard(work_close, w);
	if (!sync_repository(w, NULL, err))
		return false;
	if (w->unsettled)
		return bkc_error_set(err, BKC_ERR_STATE, "a backup in repository \"%s\" is not settled yet",
							 repo->name);
	if (w->added + w->updated + w->missing + w->unreadable == 0)
		return true;
	initStringInfo(&summary);
	initStringInfo(&detail);
	appendStringInfoChar(&detail, '{');
	tell(w, &summary, &detail);
	(void) write_event("server", repo->name, summary.data, detail.data);
	ereport(LOG, (errmsg_internal("pg_backupctl: %s", summary.data)));
	return true;
}

bool
bkc_sync_settle(bool installed, BkcError *err)
{
	const BkcRepoList *repos = bkc_settings_repositories();
	bool		ok = true;

	for (size_t i = 0; i < repos->count; i++)
	{
		BkcError	now;

		CHECK_FOR_INTERRUPTS();
		if (settle_one(&repos->items[i], installed, &now))
			continue;
		if (ok)
			*err = now;
		ok = false;
	}
	return ok;
}
