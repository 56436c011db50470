/*
 * backup_end.c
 *		A backup after its stop: WAL, manifest, row; see backup_leader.h.
 */
#include "pgcompat.h"

#include "access/xlog_internal.h"
#include "backup_leader.h"
#include "backup_manifest.h"
#include "backup_wal.h"
#include "base/host.h"
#include "base/text.h"
#include "catalog.h"
#include "catalog/catversion.h"
#include "catalog/pg_control.h"
#include "clock.h"
#include "commands/progress.h"
#include "keys.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "ownfiles.h"
#include "pipe/keycopies.h"
#include "pipe/notes.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/wait_event.h"
#include "walhole.h"

static void
check(bool ok, const BkcError *err)
{
	if (!ok)
		bkc_ereport(ERROR, err);
}

/* ---- WAL ---- */

static void
store_rest_of_wal(BkcLeader *l)
{
	BkcError	err;

	bkc_backup_phase(l, BKC_PHASE_WAL, PROGRESS_BASEBACKUP_PHASE_TRANSFER_WAL);
	XLByteToPrevSeg(l->pg.stop_lsn, l->collector.last, wal_segment_size);
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		check(bkc_collect_step(&l->collector, &err), &err);
		if (bkc_collect_finished(&l->collector))
			break;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 20, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	if (l->collector.slot)
		bkc_pg_slot_cleanup();
}

void
bkc_backup_secure_wal(BkcLeader *l)
{
	BkcError	err;

	if (l->pg.stop_tli != l->pg.start_tli)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the server changed its timeline during the backup")));
	if (l->collector.archived)
	{
		bkc_backup_phase(l, BKC_PHASE_WAL_ARCHIVE, PROGRESS_BASEBACKUP_PHASE_WAIT_WAL_ARCHIVE);
		bkc_backup_archive_wait(l->job, l->repo, l->store, &l->pg);
	}
	else
		store_rest_of_wal(l);
	bkc_own_history(l->copier, &l->extras, l->pg.stop_tli);
	check(bkc_copier_finish(l->copier, &err), &err);
	bkc_copier_close(&l->copier);
	bkc_backup_fault(l, BKC_FAULT_LEADER_WAL);
}

/* ---- note, manifest and row ---- */

typedef struct CompleteArg
{
	int64		id;
	const char *repository;
	BkcCatalogDone done;
} CompleteArg;

static void
write_complete(void *arg)
{
	CompleteArg *a = arg;

	bkc_catalog_complete(a->id, a->repository, &a->done);
}

/* Inside of a JSON object. */
static char *
make_facts(const BkcLeader *l, const BkcManifestJob *m, bool with_damaged)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfo(&out, "\"workers\": %d, \"seconds\": %.3f, \"vanished_files\": %llu,"
					 " \"skipped_files\": %llu, \"compression\": \"%s\"",
					 l->workers, l->seconds, (unsigned long long) m->vanished,
					 (unsigned long long) l->scan->skipped,
					 bkc_backup_compression(l));
	if (l->store->class[0] != '\0')
	{
		appendStringInfoString(&out, ", \"storage_class\": ");
		escape_json(&out, l->store->class);
	}
	if (with_damaged && m->damaged.len > 0)
		appendStringInfo(&out, ", \"damaged_files\": [%s]", m->damaged.data);
	if (l->sealed)
	{
		char		key[BKC_KEY_ID_HEX];

		bkc_hex_encode(l->data_key, BKC_KEY_ID_SIZE, key);
		appendStringInfo(&out, ", \"data_key\": \"%s\"", key);
	}
	return out.data;
}

/* Larger ones are left out of the note, which is one frame; the manifest has them, too. */
#define DAMAGED_MAX		(256 * 1024)

static char *
to_utf8(const char *text)
{
	return pg_server_to_any(text, (int) strlen(text), PG_UTF8);
}

/* What only the catalog would know otherwise, beside the backup: before it exists. */
static void
store_catalog_note(void *arg, BkcManifestJob *m)
{
	BkcLeader  *l = arg;
	const BkcJobArgs *args = &l->job->args;
	BkcCatalogNote note = {0};
	StringInfoData metadata;
	BkcError	err;

	l->seconds = (double) Max(bkc_host->now() - l->start_time, 0) / USECS_PER_SEC;
	l->facts = make_facts(l, m, true);
	initStringInfo(&metadata);
	appendStringInfo(&metadata, "{\"options\": %s, \"requested_by\": ",
					 args->options[0] ? args->options : "{}");
	escape_json(&metadata, args->requested_by);
	appendStringInfo(&metadata, ", %s}", make_facts(l, m, m->damaged.len < DAMAGED_MAX));
	strlcpy(note.label, l->label, sizeof(note.label));
	note.time = bkc_host->now();
	strlcpy(note.pg_version, GetConfigOption("server_version", false, false),
			sizeof(note.pg_version));
	strlcpy(note.tier, to_utf8(args->tier), sizeof(note.tier));
	strlcpy(note.schedule, to_utf8(args->schedule), sizeof(note.schedule));
	if (args->has_retention)
		note.retention_date = bkc_clock_to_unix(args->retention_date);
	note.metadata = to_utf8(metadata.data);
	check(bkc_notes_put_catalog(l->store, l->sysid, &note, &err), &err);
}

static char *
make_metadata(const BkcLeader *l)
{
	return psprintf("{\"files\": %llu, \"checksum_failures\": %llu, %s}",
					(unsigned long long) l->totals.files,
					(unsigned long long) l->totals.bad_blocks, l->facts);
}

/* Which key has to be kept to restore it? */
static void
fill_sealing(BkcLeader *l, BkcCatalogDone *done)
{
	uint8_t		id[BKC_WRAP_ID_SIZE];
	size_t		copies;
	BkcError	err;

	done->sealed = l->sealed;
	if (!l->sealed)
		return;

	/* the only one there is, which is another than ours when it was replaced meanwhile */
	check(bkc_repo_key_copies(l->store, l->sysid, l->data_key, &copies, done->key_id, &err), &err);
	if (copies == 1)
		return;
	check(bkc_keyring_wrapping_id(l->store->keys, 0, l->sysid, id, &err), &err);
	bkc_hex_encode(id, BKC_WRAP_ID_SIZE, done->key_id);
}

static void
make_summary(BkcLeader *l, double seconds)
{
	const BkcManifestTotals *t = &l->totals;
	char		stored[32];
	char		rate[32];
	char		start[32];
	char		stop[32];

	bkc_format_size(t->stored_bytes, stored, sizeof(stored));
	bkc_format_size((uint64) (t->bytes / Max(seconds, 0.001)), rate, sizeof(rate));
	bkc_format_lsn(l->pg.start_lsn, start, sizeof(start));
	bkc_format_lsn(l->pg.stop_lsn, stop, sizeof(stop));
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	snprintf(l->job->summary, sizeof(l->job->summary),
			 "backup %s completed: %s stored (%.2f : 1) in %.1f s (%s/s), WAL %s to %s in the repository",
			 l->label, stored, (double) t->bytes / Max(t->stored_bytes, 1), seconds, rate,
			 start, stop);
	LWLockRelease(bkc_shared->lock);
	if (l->job->bad_blocks > 0)
		ereport(WARNING,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("backup %s contains %llu pages that failed their checksum, the first is %s",
						l->label, (unsigned long long) l->job->bad_blocks, l->job->bad_first)));
}

static void
fill_header(const BkcLeader *l, BkcManifestHeader *h)
{
	memset(h, 0, sizeof(*h));
	strlcpy(h->label, l->label, sizeof(h->label));
	strlcpy(h->type, l->job->args.type, sizeof(h->type));
	h->system_identifier = l->sysid;
	h->cluster_name = cluster_name;
	h->host = pstrdup(l->host);
	h->data_directory = DataDir;
	h->config_file = pstrdup(GetConfigOption("config_file", false, false));
	h->hba_file = pstrdup(GetConfigOption("hba_file", false, false));
	h->ident_file = pstrdup(GetConfigOption("ident_file", false, false));
	h->pg_version_num = BKC_PG_VERSION;
	h->catalog_version = CATALOG_VERSION_NO;
	h->control_version = PG_CONTROL_VERSION;
	h->block_size = BLCKSZ;
	h->segment_blocks = RELSEG_SIZE;
	h->wal_segment_size = (uint32) wal_segment_size;
	h->data_checksums = DataChecksumsEnabled();
	h->wal_in_archive = l->job->args.wal_in_archive;
	h->start_time = l->start_time;
	h->stop_time = Max(l->stop_time, l->start_time);	/* the clock may have been set back */
	h->timeline = l->pg.start_tli;
	h->start_lsn = l->pg.start_lsn;
	h->stop_lsn = l->pg.stop_lsn;
	h->backup_label = l->pg.label_text;
	h->tablespace_map = l->pg.map_text[0] ? l->pg.map_text : NULL;
	h->software = "pg_backupctl " BKC_VERSION;
	h->tablespaces = palloc0(sizeof(BkcTablespace) * (l->scan->ntablespaces + 1));
	h->ntablespaces = l->scan->ntablespaces;
	for (size_t i = 0; i < h->ntablespaces; i++)
	{
		h->tablespaces[i].oid = l->scan->tablespaces[i].oid;
		h->tablespaces[i].path = l->scan->tablespaces[i].path;
	}
}

void
bkc_backup_complete(BkcLeader *l)
{
	BkcManifestHeader header;
	BkcManifestJob m = {0};
	CompleteArg done = {0};
	BkcError	err;

	bkc_backup_phase(l, BKC_PHASE_MANIFEST, PROGRESS_BASEBACKUP_PHASE_TRANSFER_WAL);
	fill_header(l, &header);
	m.store = l->store;
	m.header = &header;
	m.scan = l->scan;
	m.extras = &l->extras;
	m.commit_tried = l->commit_tried;
	m.before_commit = store_catalog_note;
	m.arg = l;
	bkc_backup_manifest(&m);
	bkc_hole_forget(l->repo);
	l->totals = m.totals;
	make_summary(l, (double) Max(bkc_host->now() - l->start_time, 0) / USECS_PER_SEC);
	done.id = l->id;
	done.repository = l->repo->name;
	done.done.header = &header;
	done.done.totals = &l->totals;
	done.done.metadata = make_metadata(l);
	fill_sealing(l, &done.done);
	check(bkc_fault(BKC_FAULT_LEADER_MANIFEST, &err), &err);

	/* every backup asks for settling at its end, which mends the row if this fails */
	(void) bkc_sqlrun_try(write_complete, &done, BKC_SQLRUN_TRIES,
						   "mark the backup as completed");
}
