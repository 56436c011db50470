/*
 * backup.c
 *		The leader of a backup; see backup.h.
 *
 * Order matters and is this:
 *
 *		preflight		nothing is left behind when it fails
 *		row "running"	committed: whatever happens now is seen
 *		begin object	tells our garbage from other people's
 *		start			checkpoint; from now on until stop the server keeps
 *						full page images
 *		copy			workers; the leader stores WAL meanwhile
 *		pg_control		after every other read has ended
 *		stop			switches WAL
 *		WAL				up to the stop segment; with option "wal": "archive" only
 *						the proof that the archive has it
 *		note			what the manifest does not say, for a rebuilt catalog
 *		manifest		the commit point: now the backup exists
 *		row "completed"	an index entry; if it cannot be written the backup is
 *						complete all the same, and settle will see it
 */
#include "pgcompat.h"

#include <unistd.h>

#include "access/xlog_internal.h"
#include "backup.h"
#include "backup_manifest.h"
#include "backup_wal.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/host.h"
#include "base/text.h"
#include "catalog.h"
#include "catalog/catversion.h"
#include "catalog/pg_control.h"
#include "clock.h"
#include "collect.h"
#include "commands/progress.h"
#include "configfiles.h"
#include "copy.h"
#include "format/documents.h"
#include "format/names.h"
#include "job.h"
#include "keys.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "ownership.h"
#include "ownfiles.h"
#include "pgstat.h"
#include "pipe/keycopies.h"
#include "pipe/notes.h"
#include "pipe/object.h"
#include "pipe/unpack.h"
#include "postmaster/bgworker.h"
#include "preflight.h"
#include "replication/slot.h"
#include "scan.h"
#include "seen.h"
#include "settings.h"
#include "settle.h"
#include "storage/ipc.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"
#include "walhole.h"
#include "worker.h"

#define LEADER_TICK_MS		100
#define LABEL_WAIT_MAX		(5 * USECS_PER_SEC)

/* worker numbers of the leader's own packs */
#define WORKER_EXTRAS		0
#define WORKER_SOLO			BKC_MAX_WORKERS

typedef struct Leader
{
	BkcJob	   *job;
	const BkcRepoDef *repo;
	BkcStore   *store;
	BkcCodec	codec;
	int			level;
	uint64		sysid;
	char		owner[BKC_OWNER_ID_MAX];
	char		host[BKC_DOC_TEXT_MAX];
	char		label[BKC_LABEL_MAX];
	bool		sealed;
	uint8		data_key[BKC_KEY_ID_SIZE];	/* its id, when sealed */
	int64		id;
	int64		start_time;
	int64		stop_time;		/* of do_pg_backup_stop: from then on times can be restored */
	int			workers;		/* that have copied */
	double		seconds;		/* from the start until before the manifest's commit */
	char	   *facts;			/* metadata but for what the manifest's trailer says */
	double		ratio;			/* expected stored bytes for each byte */
	List	   *config_files;
	BkcPgBackup pg;
	BkcScan    *scan;
	BkcExtras	extras;
	BkcCopier  *copier;			/* of the extras */
	BkcCopier  *solo;			/* when the leader copies alone */
	BkcFileList list;			/* likewise */
	BkcCollector collector;
	BkcError	collect_error;	/* from the poll while copying alone */
	bool		collect_failed;
	BkcManifestTotals totals;
} Leader;

/* for the poll and stop callbacks, which have no argument */
static Leader *leader = NULL;

/* after this the backup may exist, whatever else goes wrong in this process */
static bool commit_tried = false;

static void
leader_close(void *arg)
{
	Leader	   *l = arg;

	bkc_host_watch(NULL);
	bkc_host_poll(NULL);
	if (l->job != NULL)
		bkc_crew_stop(l->job);
	bkc_copier_close(&l->copier);
	bkc_copier_close(&l->solo);
	bkc_list_close(&l->list);
	bkc_extras_free(&l->extras);
	bkc_store_close(l->store);
	l->store = NULL;
	if (l->label[0])
		bkc_spool_remove(l->label);
	leader = NULL;
}

static void
check(bool ok, const BkcError *err)
{
	if (!ok)
		bkc_ereport(ERROR, err);
}

static void
fault_point(BkcFault point)
{
	BkcError	err;

	(void) point;
	check(bkc_fault(point, &err), &err);
	CHECK_FOR_INTERRUPTS();
	if (leader->job->cancelled)
		ereport(ERROR,
				(errcode(ERRCODE_QUERY_CANCELED), errmsg("the backup was cancelled")));
}

static void
progress_phase(Leader *l, BkcPhase phase, int64 core_phase)
{
	bkc_job_phase(l->job, phase);
	pgstat_progress_update_param(PROGRESS_BASEBACKUP_PHASE, core_phase);
	pgstat_report_activity(STATE_RUNNING,
						   psprintf("backup %s: %s", l->label, bkc_phase_name(phase)));
}

static void
progress_bytes(Leader *l)
{
	pgstat_progress_update_param(PROGRESS_BASEBACKUP_BACKUP_STREAMED,
								 (int64) pg_atomic_read_u64(&l->job->bytes_done));
}

/* ---- preflight ---- */

static void
preflight(Leader *l)
{
	BkcJobArgs *args = &l->job->args;
	BkcError	err;

	bkc_preflight_server();
	l->repo = bkc_settings_repository(args->repository[0] ? args->repository : NULL);

	/* workers must mean the same one, whatever is reloaded meanwhile */
	strlcpy(args->repository, l->repo->name, sizeof(args->repository));
	bkc_settings_codec(l->repo, args->compression[0] ? args->compression : NULL,
					   &l->codec, &l->level);
	l->sysid = GetSystemIdentifier();
	bkc_spool_owner(l->owner);
	if (gethostname(l->host, sizeof(l->host)) < 0)
		strlcpy(l->host, "unknown", sizeof(l->host));
	l->host[sizeof(l->host) - 1] = '\0';
	check(bkc_repo_open(l->repo, &l->store, &err), &err);
	if (!bkc_store_probe(l->store, l->owner, &err))
	{
		bkc_error_context(&err, "repository \"%s\" cannot be used", l->repo->name);
		bkc_ereport(ERROR, &err);
	}
	check(bkc_keyring_seals(l->store, &l->sealed, &err), &err);
	bkc_preflight_cluster(l->store, l->repo, l->sysid);
	check(bkc_ownership_check(l->repo, l->store, &err), &err);
	if (args->wal_in_archive)
		bkc_backup_archive_preflight(l->repo);
	if (!bkc_settle_rows(&err))
		bkc_ereport(WARNING, &err);

	/* what needs the catalog, before anything else may go wrong */
	l->ratio = l->codec == BKC_CODEC_NONE ? 1.0 : bkc_preflight_ratio();
	l->config_files = bkc_config_files();
}

/* ---- row and begin object ---- */

/*
 * Labels sort by the second of the start; two in one second would sort by
 * chance.  So the next one waits until the last one's second is over.
 */
static void
wait_for_next_label(void)
{
	char	   *last = bkc_catalog_lookup("SELECT pg_catalog.max(label) FROM %s.backup_catalog");
	int64		next = last && bkc_label_valid(last) ? bkc_label_time(last) + USECS_PER_SEC : 0;

	if (next - bkc_host->now() > LABEL_WAIT_MAX)
		ereport(WARNING,
				(errmsg("the clock is behind the start of backup \"%s\"", last),
				 errhint("Labels sort by time: this backup will sort before that one. Check the clock.")));
	else
		while (bkc_host->now() < next)
		{
			CHECK_FOR_INTERRUPTS();
			bkc_host->wait(LEADER_TICK_MS);
		}
}

/* begin names it already, so that it is swept with the rest if this is as far as we get. */
static void
make_data_key(Leader *l)
{
	BkcError	err;

	if (l->sealed &&
		!bkc_keyring_make_backup(l->store, l->sysid, l->label, l->data_key, &err))
	{
		if (err.code == BKC_ERR_KEY)
			bkc_seen_key(l->repo, &err, false);
		bkc_ereport(ERROR, &err);
	}
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	l->job->sealed = l->sealed;
	memcpy(l->job->data_key, l->data_key, sizeof(l->job->data_key));
	LWLockRelease(bkc_shared->lock);
}

static void
announce_intent(Leader *l)
{
	BkcJob	   *job = l->job;
	BkcBeginDoc doc = {0};
	BkcBuffer	text = {0};
	char		name[BKC_NAME_MAX];
	char		label[BKC_LABEL_MAX];
	BkcError	err;
	bool		ok;

	wait_for_next_label();
	l->start_time = bkc_host->now();
	check(bkc_label_make(job->args.type, l->start_time, label, &err), &err);

	/* from here on the label counts as active: settle keeps its hands off */
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	strlcpy(job->label, label, sizeof(job->label));
	LWLockRelease(bkc_shared->lock);
	strlcpy(l->label, label, sizeof(l->label));

	check(bkc_name_backup(l->sysid, label, name, &err), &err);
	name[strlen(name) - 1] = '\0';	/* a folder, written without its slash */
	l->id = bkc_catalog_insert(&job->args, label, l->repo->name,
							   psprintf("%s/%s", l->store->location, name), l->start_time);
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	job->id = l->id;
	LWLockRelease(bkc_shared->lock);
	ConditionVariableBroadcast(&job->cv);
	fault_point(BKC_FAULT_LEADER_ROW);

	strlcpy(doc.label, label, sizeof(doc.label));
	strlcpy(doc.type, job->args.type, sizeof(doc.type));
	strlcpy(doc.owner, l->owner, sizeof(doc.owner));
	strlcpy(doc.host, l->host, sizeof(doc.host));
	doc.system_identifier = l->sysid;
	doc.start_time = l->start_time;
	doc.sealed = l->sealed;
	if (l->sealed)
	{
		check(bkc_random(l->data_key, sizeof(l->data_key), &err), &err);
		memcpy(doc.data_key, l->data_key, sizeof(doc.data_key));
	}
	ok = bkc_name_begin(l->sysid, label, name, &err) &&
		bkc_begindoc_encode(&doc, &text, &err) &&
		bkc_document_put(l->store, name, BKC_KIND_BEGIN, bkc_buffer_str(&text), text.len, &err);
	bkc_buffer_free(&text);
	check(ok, &err);
	fault_point(BKC_FAULT_LEADER_BEGIN);
	make_data_key(l);
}

/* ---- file list ---- */

/*
 * A tablespace dropped between the start and the listing is in the map but
 * not in the scan; the manifest must know every one that the map names.
 */
static void
add_mapped_tablespaces(Leader *l)
{
	const char *p = l->pg.map_text;

	while (*p != '\0')
	{
		StringInfoData path;
		Oid			oid = (Oid) strtoul(p, NULL, 10);

		initStringInfo(&path);
		for (p += strcspn(p, " \n"); *p == ' '; p++)
			;
		for (; *p != '\0' && *p != '\n'; p++)
		{
			if (*p == '\\' && p[1] != '\0')
				p++;
			appendStringInfoChar(&path, *p);
		}
		if (*p == '\n')
			p++;
		bkc_scan_add_tablespace(l->scan, oid, path.data);
	}
}

static void
make_list(Leader *l)
{
	BkcJob	   *job = l->job;
	BkcScan    *scan;

	progress_phase(l, BKC_PHASE_LISTING, PROGRESS_BASEBACKUP_PHASE_ESTIMATE_BACKUP_SIZE);
	l->scan = scan = bkc_scan();
	add_mapped_tablespaces(l);
	bkc_preflight_location(l->repo, scan);
	bkc_preflight_space(l->store, l->repo->name, (uint64) (scan->bytes * l->ratio));
	bkc_list_write(l->label, scan->records, (uint32) scan->count, scan->strings, scan->strings_len);
	pg_atomic_write_u64(&job->files_total, scan->count);
	pg_atomic_write_u64(&job->bytes_total, scan->bytes);
	l->extras.base = (uint32) scan->count;
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	job->file_count = (uint32) scan->count;
	job->start_lsn = l->pg.start_lsn;
	job->skipped = scan->skipped;
	strlcpy(job->skipped_first, scan->first_skipped, sizeof(job->skipped_first));
	LWLockRelease(bkc_shared->lock);
	pgstat_progress_update_param(PROGRESS_BASEBACKUP_BACKUP_TOTAL, (int64) scan->bytes);
	pgstat_progress_update_param(PROGRESS_BASEBACKUP_TBLSPC_TOTAL, (int64) scan->ntablespaces + 1);
	fault_point(BKC_FAULT_LEADER_LISTED);
}

/* ---- copying ---- */

static BkcCopySpec
copy_spec(const Leader *l, uint32 worker)
{
	BkcCopySpec spec = {
		.store = l->store,
		.job = l->job,
		.system_identifier = l->sysid,
		.label = l->label,
		.worker = worker,
		.codec = l->codec,
		.level = l->level,
		.check_pages = DataChecksumsEnabled(),
	};

	return spec;
}

static void
announce_copy(Leader *l, int workers)
{
	BkcJob	   *job = l->job;
	char		size[32];

	bkc_format_size(l->scan->bytes, size, sizeof(size));
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	job->copy_started = GetCurrentTimestamp();
	snprintf(job->announce, sizeof(job->announce),
			 "backup %s to \"%s\": %s in %zu files, %d worker%s",
			 l->label, l->repo->name, size, l->scan->count,
			 Max(workers, 1), workers > 1 ? "s" : "");
	LWLockRelease(bkc_shared->lock);
	ConditionVariableBroadcast(&job->cv);
}

static bool
copy_stop(void)
{
	return leader->job->cancelled || leader->collect_failed;
}

static void
leader_poll(void)
{
	if (!leader->collect_failed &&
		!bkc_collect_step(&leader->collector, &leader->collect_error))
		leader->collect_failed = true;
}

/* No worker came to life: the leader does it all, storing WAL between two frames. */
static void
copy_alone(Leader *l)
{
	BkcCopySpec spec = copy_spec(l, WORKER_SOLO);
	BkcError	err;
	bool		ok;

	spec.max_rate = (uint64) bkc_set_max_rate * 1024;
	check(bkc_list_open(l->label, &l->list, &err), &err);
	check(bkc_copier_new(&spec, &l->solo, &err), &err);
	bkc_host_watch(copy_stop);
	bkc_host_poll(leader_poll);
	ok = bkc_copier_run(l->solo, &l->list, &err) && bkc_copier_finish(l->solo, &err);
	bkc_host_poll(NULL);
	check(!l->collect_failed, &l->collect_error);
	check(ok, &err);
	bkc_copier_close(&l->solo);
	bkc_list_close(&l->list);
}

static int
copy_files(Leader *l)
{
	BkcJob	   *job = l->job;
	BkcCrew    *crew;
	uint32		ended_well;
	BkcError	err;

	progress_phase(l, BKC_PHASE_COPYING, PROGRESS_BASEBACKUP_PHASE_STREAM_BACKUP);
	crew = bkc_crew_start(job, job->args.jobs);
	announce_copy(l, bkc_crew_size(crew));
	while (!bkc_crew_finished(crew))
	{
		CHECK_FOR_INTERRUPTS();
		if (job->cancelled)
			ereport(ERROR,
					(errcode(ERRCODE_QUERY_CANCELED), errmsg("the backup was cancelled")));
		check(bkc_collect_step(&l->collector, &err), &err);
		progress_bytes(l);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 LEADER_TICK_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	ended_well = bkc_crew_result(crew);
	if (ended_well == 0)
		copy_alone(l);
	progress_bytes(l);
	fault_point(BKC_FAULT_LEADER_COPIED);
	return (int) Max(ended_well, 1);
}

/* ---- the end ---- */

static void
store_rest_of_wal(Leader *l)
{
	BkcError	err;

	progress_phase(l, BKC_PHASE_WAL, PROGRESS_BASEBACKUP_PHASE_TRANSFER_WAL);
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

static void
secure_wal(Leader *l)
{
	BkcError	err;

	if (l->pg.stop_tli != l->pg.start_tli)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the server changed its timeline during the backup")));
	if (l->collector.archived)
	{
		progress_phase(l, BKC_PHASE_WAL_ARCHIVE, PROGRESS_BASEBACKUP_PHASE_WAIT_WAL_ARCHIVE);
		bkc_backup_archive_wait(l->job, l->repo, l->store, &l->pg);
	}
	else
		store_rest_of_wal(l);
	bkc_own_history(l->copier, &l->extras, l->pg.stop_tli);
	check(bkc_copier_finish(l->copier, &err), &err);
	bkc_copier_close(&l->copier);
	fault_point(BKC_FAULT_LEADER_WAL);
}

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
make_facts(const Leader *l, const BkcManifestJob *m, bool with_damaged)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfo(&out, "\"workers\": %d, \"seconds\": %.3f, \"vanished_files\": %llu,"
					 " \"skipped_files\": %llu, \"compression\": \"%s\"",
					 l->workers, l->seconds, (unsigned long long) m->vanished,
					 (unsigned long long) l->scan->skipped,
					 l->codec == BKC_CODEC_NONE ? "none" :
					 psprintf("%s:%d", bkc_codec_name(l->codec), l->level));
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
	Leader	   *l = arg;
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
make_metadata(const Leader *l)
{
	return psprintf("{\"files\": %llu, \"checksum_failures\": %llu, %s}",
					(unsigned long long) l->totals.files,
					(unsigned long long) l->totals.bad_blocks, l->facts);
}

/* Which key has to be kept to restore it? */
static void
fill_sealing(Leader *l, BkcCatalogDone *done)
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
make_summary(Leader *l, double seconds)
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
	ereport(LOG, (errmsg_internal("pg_backupctl: %s", l->job->summary)));
	if (l->job->bad_blocks > 0)
		ereport(WARNING,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("backup %s contains %llu pages that failed their checksum, the first is %s",
						l->label, (unsigned long long) l->job->bad_blocks, l->job->bad_first)));
}

static void
fill_header(const Leader *l, BkcManifestHeader *h)
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

static void
complete(Leader *l, int workers)
{
	BkcManifestHeader header;
	BkcManifestJob m = {0};
	CompleteArg done = {0};
	BkcError	err;

	l->workers = workers;
	progress_phase(l, BKC_PHASE_MANIFEST, PROGRESS_BASEBACKUP_PHASE_TRANSFER_WAL);
	fill_header(l, &header);
	m.store = l->store;
	m.header = &header;
	m.scan = l->scan;
	m.extras = &l->extras;
	m.commit_tried = &commit_tried;
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

/* ---- the whole ---- */

static int
copy_between_start_and_stop(Leader *l)
{
	BkcCopySpec spec;
	BkcError	err;
	int			workers;

	fault_point(BKC_FAULT_LEADER_STARTED);
	l->collector.timeline = l->pg.start_tli;
	XLByteToSeg(l->pg.start_lsn, l->collector.next, wal_segment_size);
	l->collector.last = PG_UINT64_MAX;
	l->collector.extras = &l->extras;
	make_list(l);
	spec = copy_spec(l, WORKER_EXTRAS);
	check(bkc_copier_new(&spec, &l->copier, &err), &err);
	l->collector.copier = l->copier;
	bkc_own_config(l->copier, &l->extras, l->config_files);
	workers = copy_files(l);
	bkc_own_control(l->copier, &l->extras);
	progress_phase(l, BKC_PHASE_STOPPING, PROGRESS_BASEBACKUP_PHASE_WAIT_WAL_ARCHIVE);
	bkc_pg_backup_stop(&l->pg);
	l->stop_time = bkc_host->now();
	fault_point(BKC_FAULT_LEADER_STOPPED);
	return workers;
}

void
bkc_backup_run(BkcJob *job)
{
	Leader	   *l = palloc0(sizeof(*l));
	int			workers;

	l->job = job;
	bkc_list_init(&l->list);
	leader = l;
	bkc_guard(leader_close, l);
	pgstat_progress_start_command(PROGRESS_COMMAND_BASEBACKUP, InvalidOid);
	preflight(l);
	announce_intent(l);

	/* the archive keeps what it has not got yet by itself */
	l->collector.archived = job->args.wal_in_archive;
	l->collector.slot = !l->collector.archived && bkc_collect_slot();
	register_persistent_abort_backup_handler();
	progress_phase(l, BKC_PHASE_CHECKPOINT, PROGRESS_BASEBACKUP_PHASE_WAIT_CHECKPOINT);
	bkc_pg_backup_start(&l->pg, l->label, job->args.fast_checkpoint);
	PG_ENSURE_ERROR_CLEANUP(do_pg_abort_backup, BoolGetDatum(false));
	{
		workers = copy_between_start_and_stop(l);
	}
	PG_END_ENSURE_ERROR_CLEANUP(do_pg_abort_backup, BoolGetDatum(false));
	secure_wal(l);
	complete(l, workers);
	pgstat_progress_end_command();
	leader_close(l);
}

typedef struct FailArg
{
	int64		id;
	const char *status;
	char	   *error;
} FailArg;

static void
write_fail(void *arg)
{
	FailArg    *a = arg;

	bkc_catalog_fail(a->id, a->status, a->error);
}

/* Is there surely no manifest?  Without an answer it stays open, and settle's to find out. */
static bool
surely_incomplete(const BkcJob *job)
{
	const BkcRepoDef *repo;
	BkcStore   *store = NULL;
	bool		complete = true;
	bool		ok;
	BkcError	err;

	if (!commit_tried)
		return true;
	repo = bkc_settings_repository(job->args.repository);
	ok = bkc_repo_open(repo, &store, &err) &&
		bkc_repo_backup_complete(store, GetSystemIdentifier(), job->label, &complete, &err);
	bkc_store_close(store);
	return ok && !complete;
}

void
bkc_backup_failed(BkcJob *job, const BkcReport *report, bool cancelled)
{
	FailArg		arg = {job->id, cancelled ? "cancelled" : "failed", bkc_report_line(report)};

	/* workers may still be at their last frame; their objects are swept later */
	bkc_crew_stop(job);

	if (job->id != 0 && surely_incomplete(job))
		(void) bkc_sqlrun_try(write_fail, &arg, 1, "mark the backup as failed");
}
