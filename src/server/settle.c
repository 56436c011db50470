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
#include <unistd.h>

#include "base/fault.h"
#include "base/host.h"
#include "base/text.h"
#include "catalog.h"
#include "event.h"
#include "format/documents.h"
#include "format/names.h"
#include "keys.h"
#include "miscadmin.h"
#include "pipe/keycopies.h"
#include "pipe/manifestio.h"
#include "pipe/object.h"
#include "pipe/owner.h"
#include "pipe/unpack.h"
#include "settings.h"
#include "settle.h"
#include "spool.h"
#include "sync.h"
#include "syncrow.h"
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

static bool
read_sealing(BkcStore *store, const BkcCatalogRow *row, BkcCatalogDone *done, BkcError *err)
{
	uint8_t		id[BKC_KEY_ID_SIZE];
	size_t		copies;

	if (!bkc_repo_backup_key(store, row->system_identifier, row->label, &done->sealed, id, err))
		return false;
	if (!done->sealed)
		return true;
	return bkc_repo_key_copies(store, row->system_identifier, id, &copies, done->key_id, err);
}

/* What the repository says of a row: complete (then header and totals are filled) or not. */
static bool
read_backup(const BkcCatalogRow *row, bool *complete, BkcManifestHeader *header,
			BkcManifestTotals *totals, BkcCatalogDone *done, BkcError *err)
{
	const BkcRepoList *repos = bkc_settings_repositories();
	const BkcRepoDef *repo = bkc_repolist_find(repos, row->repository);
	BkcManifestScan scan = {.header = keep_header, .arg = header};
	BkcStore   *store = NULL;
	char		name[BKC_NAME_MAX];
	bool		ok;

	if (repo == NULL)
		return bkc_error_set(err, BKC_ERR_STATE, "repository \"%s\" is not defined any more",
							 row->repository);
	ok = bkc_repo_open(repo, &store, err) &&
		bkc_name_manifest(row->system_identifier, row->label, name, err) &&
		bkc_repo_backup_complete(store, row->system_identifier, row->label, complete, err) &&
		(!*complete ||
		 (bkc_store_sync(store, name, err) &&
		  bkc_manifest_scan(store, row->system_identifier, row->label, &scan, totals, err) &&
		  read_sealing(store, row, done, err)));
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

	if (repo == NULL || row->system_identifier != sysid)
		return true;
	ok = bkc_name_begin(sysid, row->label, begin, err) &&
		bkc_name_backup(sysid, row->label, prefix, err) &&
		bkc_repo_open(repo, &store, err);
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
	BkcCatalogDone done;		/* how it is sealed */
	char	   *metadata;
	bool		complete;
	const char *error;
} RowArg;

/* What its job would have written. */
static bool
read_metadata(RowArg *a, BkcError *err)
{
	const BkcRepoDef *repo = bkc_repolist_find(bkc_settings_repositories(), a->row->repository);
	BkcSyncBackup b = {.has_manifest = true, .totals = a->totals};
	BkcStore   *store = NULL;
	bool		ok = bkc_repo_open(repo, &store, err) &&
		bkc_notes_load(store, a->row->system_identifier, a->row->label, &b.notes, err);

	if (ok)
		a->metadata = bkc_syncrow_metadata(&b);
	bkc_notes_free(&b.notes);
	bkc_store_close(store);
	return ok;
}

static void
write_row(void *arg)
{
	RowArg	   *a = arg;

	if (a->complete)
	{
		a->done.header = &a->header;
		a->done.totals = &a->totals;
		a->done.metadata = a->metadata;
		bkc_catalog_complete(a->row->id, a->row->repository, &a->done);
	}
	else
		bkc_catalog_fail(a->row->id, "failed", a->error);
}

/*
 * One row.  A repository that cannot be asked leaves the row as it is: both
 * "completed" and "failed" could be a lie.  One that is not defined any more
 * will not answer later either, and a damaged manifest is no backup.
 */
static bool
settle_row(const BkcCatalogRow *row, BkcError *err)
{
	RowArg		arg = {.row = row, .error = "interrupted"};

	if (!read_backup(row, &arg.complete, &arg.header, &arg.totals, &arg.done, err))
	{
		if (err->code != BKC_ERR_STATE && err->code != BKC_ERR_CORRUPT &&
			err->code != BKC_ERR_UNSUPPORTED)
			return false;
		arg.complete = false;
		arg.error = psprintf("interrupted (%s)", err->message);
	}
	if (arg.complete && !read_metadata(&arg, err))
		return false;
	if (!bkc_fault(BKC_FAULT_SETTLE_ROW, err) ||
		(!arg.complete && bkc_set_enabled && !sweep_unbegun(row, err)))
		return false;
	ereport(LOG,
			(errmsg("pg_backupctl: backup %s of a former run is %s", row->label,
					arg.complete ? "completed" : "failed (interrupted)")));
	if (!bkc_sqlrun_try(write_row, &arg, BKC_SQLRUN_TRIES, "settle an interrupted backup"))
		return bkc_error_set(err, BKC_ERR_STATE, "its row in backup_catalog could not be written");
	return true;
}

bool
bkc_settle_rows(BkcError *err)
{
	int			n;
	BkcCatalogRow *rows = bkc_catalog_running(&n);
	bool		ok = true;

	for (int i = 0; i < n; i++)
	{
		BkcError	now;

		CHECK_FOR_INTERRUPTS();
		if (bkc_shared_label_active(rows[i].label) || settle_row(&rows[i], &now))
			continue;
		if (now.code == BKC_ERR_CANCELLED)
			bkc_ereport(ERROR, &now);
		if (ok)
		{
			*err = now;
			bkc_error_context(err, "could not settle backup \"%s\"", rows[i].label);
		}
		ok = false;
	}
	return ok;
}

/*
 * May the objects of an unfinished backup go?  Only where its begin object
 * names this data directory and this host.  (A clone made of blocks has our
 * identity as well; in doubt garbage is kept.)  The question whether the
 * label is active comes before the question for the manifest: a label is
 * active from before its begin object until after its manifest, so a backup
 * that ends between the two is seen as complete.
 */
static bool
sweepable(BkcStore *store, uint64 sysid, const char *label, const char *owner, bool *yes,
		  BkcError *err)
{
	char		name[BKC_NAME_MAX];
	char		host[BKC_DOC_TEXT_MAX] = "";
	BkcBuffer	text = {0};
	BkcBeginDoc doc;
	bool		complete;
	bool		ok;

	*yes = false;
	(void) gethostname(host, sizeof(host) - 1);
	ok = bkc_name_begin(sysid, label, name, err) &&
		bkc_document_get(store, name, BKC_KIND_BEGIN, &text, err) &&
		bkc_begindoc_decode(bkc_buffer_str(&text), text.len, name, &doc, err);
	bkc_buffer_free(&text);
	if (!ok)
		return false;
	if (strcmp(doc.owner, owner) != 0 || strcmp(doc.host, host) != 0 ||
		bkc_shared_label_active(label))
		return true;
	ok = bkc_repo_backup_complete(store, sysid, label, &complete, err);
	*yes = ok && !complete;
	return ok;
}

/* One that cannot be judged or removed does not keep the others from their turn. */
static bool
sweep_store(BkcStore *store, const char *owner, BkcError *err)
{
	uint64		sysid = GetSystemIdentifier();
	BkcBackupRef *refs = NULL;
	size_t		n;
	bool		ok = bkc_repo_backups(store, sysid, &refs, &n, err);

	if (!ok)
		return false;
	for (size_t i = 0; i < n; i++)
	{
		BkcError	now;
		bool		yes = false;

		if (refs[i].complete || !refs[i].has_begin)
			continue;
		if (bkc_host_check(&now) &&
			bkc_fault(BKC_FAULT_SETTLE_SWEEP, &now) &&
			sweepable(store, sysid, refs[i].label, owner, &yes, &now) &&
			(!yes || bkc_repo_remove_backup(store, sysid, refs[i].label, &now)))
		{
			if (yes)
				bkc_log(BKC_LOG_INFO, "removed the objects of unfinished backup %s", refs[i].label);
			continue;
		}
		if (ok)
			*err = now;
		ok = false;
		if (now.code == BKC_ERR_CANCELLED)
			break;
	}
	free(refs);
	return ok;
}

/*
 * Old uploads that crashed or lost connections have left, of WAL too, which no
 * begin object claims.  Whose they are is known by ownership alone; a damaged
 * owner document is told elsewhere.  Where this is not allowed it never will
 * be: no reason to try again and again.
 */
static bool
tidy_store(BkcStore *store, const char *owner, BkcError *err)
{
	uint64		sysid = GetSystemIdentifier();
	char		prefix[BKC_NAME_MAX];
	BkcOwnerDoc doc;
	uint64_t	n = 0;
	bool		found;

	if (RecoveryInProgress())
		return true;
	if (!bkc_owner_current(store, sysid, &doc, &found, err))
		return err->code == BKC_ERR_CORRUPT || err->code == BKC_ERR_UNSUPPORTED;
	if (!found || strcmp(doc.owner, owner) != 0)
		return true;
	snprintf(prefix, sizeof(prefix), "%llu/", (unsigned long long) sysid);
	if (!bkc_store_tidy(store, prefix, BKC_STORE_OLD_SECONDS, &n, err))
	{
		if (err->code != BKC_ERR_ACCESS && err->code != BKC_ERR_UNSUPPORTED)
			return false;
		bkc_log(BKC_LOG_WARNING, "old unfinished uploads stay: %s", err->message);
	}
	if (n > 0)
		bkc_log(BKC_LOG_INFO, "aborted %llu old unfinished upload%s in repository \"%s\"",
				(unsigned long long) n, n == 1 ? "" : "s", store->location);
	return true;
}

/* Every repository gets its turn; err is the first failure. */
static bool
sweep_repositories(BkcError *err)
{
	const BkcRepoList *repos = bkc_settings_repositories();
	char		owner[BKC_OWNER_ID_MAX];
	bool		ok = true;

	bkc_spool_owner(owner);
	for (size_t i = 0; i < repos->count; i++)
	{
		BkcStore   *store = NULL;
		BkcError	now;
		bool		done = bkc_repo_open(&repos->items[i], &store, &now) &&
			sweep_store(store, owner, &now) &&
			tidy_store(store, owner, &now);

		bkc_store_close(store);
		CHECK_FOR_INTERRUPTS();
		if (!done && ok)
		{
			*err = now;
			bkc_error_context(err, "could not sweep repository \"%s\"", repos->items[i].name);
		}
		ok = ok && done;
	}
	return ok;
}

void
bkc_settle_run(BkcJob *job)
{
	bool		installed = bkc_sqlrun_installed();
	BkcError	err;
	bool		rows_ok;

	if (installed)
		bkc_event_expire();
	rows_ok = !installed || bkc_settle_rows(&err);
	if (bkc_set_enabled)
	{
		BkcError	sync;

		if (!bkc_sync_settle(installed, &sync) && rows_ok)
		{
			err = sync;
			rows_ok = false;
		}
	}
	bkc_spool_init();
	bkc_spool_sweep();
	if (bkc_set_enabled)
	{
		BkcError	sweep;

		if (!sweep_repositories(&sweep))
			bkc_ereport(ERROR, rows_ok ? &sweep : &err);
	}
	if (!rows_ok)
		bkc_ereport(ERROR, &err);
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	bkc_shared->settle_failures = 0;
	LWLockRelease(bkc_shared->lock);
}

void
bkc_settle_failed(BkcJob *job, const BkcReport *report, bool cancelled)
{
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);

	/* asked for since this one began: there is something new, so no reason to wait */
	if (!bkc_shared->settle)
		bkc_shared->settle_failures++;
	bkc_shared->settle = true;
	bkc_shared->settle_failed = GetCurrentTimestamp();
	LWLockRelease(bkc_shared->lock);
}
