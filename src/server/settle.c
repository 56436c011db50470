/*
 * settle.c
 *		See settle.h.
 *
 * The repository is the truth: a row that says "running" although its job is
 * gone becomes "completed" when the manifest is there, and "failed"
 * otherwise.  Objects are removed only where this data directory is named as
 * the owner in the begin object, no manifest exists, and no job of that
 * label is running; a clone of this server has another identity and sweeps
 * nothing of ours.
 */
#include "pgcompat.h"

#include <stdlib.h>

#include "base/fault.h"
#include "base/host.h"
#include "catalog.h"
#include "format/documents.h"
#include "format/names.h"
#include "miscadmin.h"
#include "pipe/manifestio.h"
#include "pipe/object.h"
#include "pipe/unpack.h"
#include "settings.h"
#include "settle.h"
#include "spool.h"
#include "utils/memutils.h"

/* Only the plain fields are kept: what the catalog wants to know. */
static bool
keep_header(void *arg, const BkcManifestHeader *header, BkcError *err)
{
	BkcManifestHeader *kept = arg;

	kept->stop_time = header->stop_time;
	kept->start_lsn = header->start_lsn;
	kept->stop_lsn = header->stop_lsn;
	kept->timeline = header->timeline;
	return true;
}

/* Is there a manifest for the row?  False with err->code NOT_FOUND: proven absent. */
static bool
read_manifest(const BkcCatalogRow *row, BkcManifestHeader *header, BkcManifestTotals *totals,
			  BkcError *err)
{
	const BkcRepoList *repos = bkc_settings_repositories();
	const BkcRepoDef *repo = bkc_repolist_find(repos, row->repository);
	BkcManifestScan scan = {.header = keep_header, .arg = header};
	BkcStore   *store = NULL;
	bool		ok;

	if (repo == NULL)
		return bkc_error_set(err, BKC_ERR_STATE, "repository \"%s\" is not defined any more",
							 row->repository);
	ok = bkc_store_open(&repo->url, &store, err) &&
		bkc_manifest_scan(store, GetSystemIdentifier(), row->label, &scan, totals, err);
	bkc_store_close(store);
	return ok;
}

/*
 * Killed while it stored the begin object, a backup leaves an unfinished
 * write that no begin object claims; the row proves that it is ours.
 */
static bool
sweep_unbegun(const BkcCatalogRow *row, BkcError *err)
{
	const BkcRepoDef *repo = bkc_repolist_find(bkc_settings_repositories(), row->repository);
	uint64		sysid = GetSystemIdentifier();
	char		begin[BKC_NAME_MAX];
	char		prefix[BKC_NAME_MAX];
	BkcStore   *store = NULL;
	uint64_t	size;
	bool		ok;

	ok = repo != NULL &&
		bkc_name_begin(sysid, row->label, begin, err) &&
		bkc_name_backup(sysid, row->label, prefix, err) &&
		bkc_store_open(&repo->url, &store, err);
	if (ok && !bkc_store_stat(store, begin, &size, err))
		ok = err->code == BKC_ERR_NOT_FOUND && bkc_store_sweep(store, prefix, err);
	bkc_store_close(store);
	return ok;
}

typedef struct RowArg
{
	const BkcCatalogRow *row;
	BkcManifestHeader header;
	BkcManifestTotals totals;
	bool		complete;
	const char *error;
} RowArg;

static void
write_row(void *arg)
{
	RowArg	   *a = arg;

	if (a->complete)
	{
		BkcCatalogDone done = {&a->header, &a->totals, "{\"settled\": true}"};

		bkc_catalog_complete(a->row->id, a->row->repository, &done);
	}
	else
		bkc_catalog_fail(a->row->id, "failed", a->error);
}

void
bkc_settle_rows(void)
{
	int			n;
	BkcCatalogRow *rows = bkc_catalog_running(&n);

	for (int i = 0; i < n; i++)
	{
		RowArg		arg = {.row = &rows[i]};
		BkcError	err;

		CHECK_FOR_INTERRUPTS();
		if (bkc_shared_label_active(rows[i].label))
			continue;
		arg.complete = read_manifest(&rows[i], &arg.header, &arg.totals, &err);
		if (!arg.complete)
			arg.error = err.code == BKC_ERR_NOT_FOUND ? "interrupted" :
				psprintf("interrupted (could not read its manifest: %s)", err.message);
		if (!arg.complete && err.code == BKC_ERR_CANCELLED)
			bkc_ereport(ERROR, &err);
		if (!bkc_fault(BKC_FAULT_SETTLE_ROW, &err))
			bkc_ereport(ERROR, &err);
		if (!arg.complete && bkc_set_enabled && !sweep_unbegun(&rows[i], &err))
			bkc_log(BKC_LOG_WARNING, "could not sweep backup %s: %s", rows[i].label, err.message);
		ereport(LOG,
				(errmsg("pg_backupctl: backup %s of a former run is %s", rows[i].label,
						arg.complete ? "completed" : "failed (interrupted)")));
		(void) bkc_catalog_try(write_row, &arg, "settle an interrupted backup");
	}
}

/* Is the begin object ours? */
static bool
owned(BkcStore *store, uint64 sysid, const char *label, const char *owner, bool *mine,
	  BkcError *err)
{
	char		name[BKC_NAME_MAX];
	BkcBuffer	text = {0};
	BkcBeginDoc doc;
	bool		ok;

	*mine = false;
	ok = bkc_name_begin(sysid, label, name, err) &&
		bkc_document_get(store, name, BKC_KIND_BEGIN, &text, err) &&
		bkc_begindoc_decode(bkc_buffer_str(&text), text.len, name, &doc, err);
	if (ok)
		*mine = strcmp(doc.owner, owner) == 0;
	bkc_buffer_free(&text);
	return ok;
}

static bool
sweep_store(BkcStore *store, const char *owner, BkcError *err)
{
	uint64		sysid = GetSystemIdentifier();
	BkcBackupRef *refs = NULL;
	size_t		n;
	bool		ok = bkc_repo_backups(store, sysid, &refs, &n, err);

	for (size_t i = 0; ok && i < n; i++)
	{
		bool		mine;

		if (refs[i].complete || !refs[i].has_begin)
			continue;
		ok = bkc_host_check(err) && owned(store, sysid, refs[i].label, owner, &mine, err);
		if (!ok || !mine || bkc_shared_label_active(refs[i].label))
			continue;
		ok = bkc_fault(BKC_FAULT_SETTLE_SWEEP, err) &&
			bkc_repo_remove_backup(store, sysid, refs[i].label, err);
		if (ok)
			bkc_log(BKC_LOG_INFO, "removed the objects of unfinished backup %s", refs[i].label);
	}
	free(refs);
	return ok;
}

/* Every repository gets its turn; the first failure is raised at the end. */
static void
sweep_repositories(void)
{
	const BkcRepoList *repos = bkc_settings_repositories();
	char		owner[BKC_OWNER_ID_MAX];
	BkcError	first = {0};

	bkc_spool_owner(owner);
	for (size_t i = 0; i < repos->count; i++)
	{
		BkcStore   *store = NULL;
		BkcError	err;
		bool		ok = bkc_store_open(&repos->items[i].url, &store, &err) &&
			sweep_store(store, owner, &err);

		bkc_store_close(store);
		CHECK_FOR_INTERRUPTS();
		if (!ok && first.code == BKC_OK)
		{
			first = err;
			bkc_error_context(&first, "could not sweep repository \"%s\"", repos->items[i].name);
		}
	}
	if (first.code != BKC_OK)
		bkc_ereport(ERROR, &first);
}

void
bkc_settle_run(BkcJob *job)
{
	if (bkc_catalog_exists())
		bkc_settle_rows();
	bkc_spool_init();
	bkc_spool_sweep();
	if (bkc_set_enabled)
		sweep_repositories();
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	bkc_shared->settle_failures = 0;
	LWLockRelease(bkc_shared->lock);
}

void
bkc_settle_failed(BkcJob *job, const BkcReport *report, bool cancelled)
{
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	bkc_shared->settle = true;
	bkc_shared->settle_failed = GetCurrentTimestamp();
	bkc_shared->settle_failures++;
	LWLockRelease(bkc_shared->lock);
}
