/*
 * verify.c
 *		See verify.h.
 *
 * Level "files": every pack's size, envelope, footer and index; every file's
 * frames, size and SHA-256; the WAL from start to stop, in the backup or in
 * the archive.  A damaged file does not hide the next one.  What could not be
 * asked (network, permissions) is an error of the job and no verdict.
 */
#include "pgcompat.h"

#include "base/fault.h"
#include "base/host.h"
#include "base/text.h"
#include "catalog.h"
#include "format/documents.h"
#include "format/names.h"
#include "keys.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "ownership.h"
#include "pgstat.h"
#include "pipe/frozen.h"
#include "pipe/object.h"
#include "pipe/unpack.h"
#include "pipe/walproof.h"
#include "settings.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/builtins.h"
#include "verify.h"

#define FINDINGS_MAX	100

typedef struct Verify
{
	BkcJob	   *job;
	BkcStore   *store;
	BkcBackup  *backup;
	BkcUnpacker *unpacker;
	BkcCatalogRow row;
	StringInfoData findings;	/* JSON array without brackets */
	uint64		failures;
	char		first[BKC_DOC_TEXT_MAX];
	uint64		files;
	uint64		bytes;
} Verify;

static void
verify_close(void *arg)
{
	Verify	   *v = arg;

	bkc_unpacker_close(v->unpacker);
	v->unpacker = NULL;
	bkc_backup_free(v->backup);
	v->backup = NULL;
	bkc_store_close(v->store);
	v->store = NULL;
}

/* A verdict on the backup; anything else is raised. */
static void
finding(Verify *v, const BkcError *err)
{
	char		message[BKC_ERROR_MESSAGE_MAX];

	if (err->code != BKC_ERR_CORRUPT && err->code != BKC_ERR_NOT_FOUND &&
		err->code != BKC_ERR_UNSUPPORTED && err->code != BKC_ERR_INVALID)
		bkc_ereport(ERROR, err);
	strlcpy(message, err->message, sizeof(message));
	bkc_text_clean(message);
	if (v->failures++ == 0)
		strlcpy(v->first, message, sizeof(v->first));
	if (v->failures <= FINDINGS_MAX)
	{
		if (v->findings.len > 0)
			appendStringInfoString(&v->findings, ", ");
		escape_json(&v->findings, message);
	}
	ereport(WARNING,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("backup %s: %s", v->row.label, message)));
}

static void
verify_progress(void *arg, uint64_t plain, uint64_t stored)
{
	BkcJob	   *job = arg;

	pg_atomic_fetch_add_u64(&job->bytes_done, plain);
	pg_atomic_fetch_add_u64(&job->bytes_stored, stored);
}

/* What cannot be read now is no verdict on it. */
static void
refuse_frozen(Verify *v)
{
	BkcFrozen	frozen;
	BkcError	err;

	if (!bkc_backup_frozen(v->store, v->backup, 0, &frozen, &err) ||
		!bkc_frozen_check(v->backup, &frozen, "verified", "verify", &err))
		bkc_ereport(ERROR, &err);
}

static void
verify_packs(Verify *v)
{
	BkcError	err;

	for (size_t i = 0; i < v->backup->npacks; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!bkc_backup_check_pack(v->store, v->backup, i, &err))
			finding(v, &err);
	}
}

static void
verify_files(Verify *v)
{
	BkcStage   *sink;
	BkcError	err;

	sink = bkc_stage_null_new(&err);
	if (sink == NULL ||
		!bkc_unpacker_new(v->store, v->backup, sink, verify_progress, v->job, &v->unpacker, &err))
		bkc_ereport(ERROR, &err);
	for (size_t u = 0; u < v->backup->nunits; u++)
	{
		const BkcUnit *unit = &v->backup->units[u];

		for (uint32 i = unit->first; i < unit->first + unit->count; i++)
		{
			const BkcEntry *entry = &v->backup->entries[v->backup->order[i]];

			CHECK_FOR_INTERRUPTS();
			if (!bkc_fault(BKC_FAULT_VERIFY_FILE, &err) ||
				!bkc_unpack_file(v->unpacker, entry, &err))
				finding(v, &err);
			v->files++;
			v->bytes += entry->size;
			pg_atomic_fetch_add_u64(&v->job->files_done, 1);
		}
	}
}

static void
verify_wal(Verify *v)
{
	const BkcManifestHeader *header = &v->backup->header;
	uint64_t	segno;
	uint64_t	last;
	BkcError	err;

	if (!bkc_backup_check_wal(v->backup, &err))
	{
		finding(v, &err);
		return;
	}
	if (!header->wal_in_archive)
		return;
	if (!bkc_walproof_range(header, &segno, &last, &err))
	{
		finding(v, &err);
		return;
	}
	for (; segno <= last; segno++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!bkc_walproof_segment(v->store, header->system_identifier, header->timeline, segno,
								  header->wal_segment_size, true, &err))
			finding(v, &err);
	}
}

/* The verdict as an object beside the backup, so that a rebuilt catalog knows it. */
static void
store_note(const Verify *v, int64 time)
{
	BkcVerifyNote note = {0};
	BkcBuffer	text = {0};
	char		name[BKC_NAME_MAX];
	BkcError	err;
	bool		ok;

	strlcpy(note.label, v->row.label, sizeof(note.label));
	note.time = time;
	strlcpy(note.level, "files", sizeof(note.level));
	note.ok = v->failures == 0;
	note.files = v->files;
	note.bytes = v->bytes;
	note.failures = v->failures;
	strlcpy(note.first_failure, v->first, sizeof(note.first_failure));
	ok = bkc_name_note(v->row.system_identifier, v->row.label, note.time, "verify", name, &err) &&
		bkc_verifynote_encode(&note, &text, &err) &&
		bkc_document_put(v->store, name, BKC_KIND_NOTE, bkc_buffer_str(&text), text.len, &err);
	bkc_buffer_free(&text);
	if (!ok)
		bkc_ereport(WARNING, &err);
}

/* Another cluster's folder is written to only when it is a predecessor of this one. */
static bool
may_store_note(const Verify *v)
{
	const BkcRepoDef *repo = bkc_repolist_find(bkc_settings_repositories(), v->row.repository);
	BkcError	err;

	if (!bkc_set_enabled || repo == NULL)
		return false;
	if (v->row.system_identifier == GetSystemIdentifier() ||
		bkc_ownership_check_of(repo, v->store, v->row.system_identifier, &err))
		return true;
	if (err.code != BKC_ERR_STATE)
		bkc_ereport(WARNING, &err);
	return false;
}

typedef struct VerdictArg
{
	const Verify *v;
	int64		time;
	char	   *findings;
} VerdictArg;

static void
write_verdict(void *arg)
{
	VerdictArg *a = arg;

	bkc_catalog_verification(a->v->row.id, a->v->row.repository,
							 a->v->failures == 0 ? "passed" : "failed", a->time, a->findings);
}

/* What retention removes looks like damage. */
static bool
still_there(const Verify *v)
{
	const char *sql = "SELECT c.status FROM %%s.backup_catalog c"
		" WHERE c.id OPERATOR(pg_catalog.=) %lld AND NOT EXISTS (SELECT FROM %%s.backup_copy y"
		"   WHERE y.backup_id OPERATOR(pg_catalog.=) c.id"
		"   AND y.repository OPERATOR(pg_catalog.=) %s"
		"   AND y.status OPERATOR(pg_catalog.=) 'expiring')";

	return bkc_catalog_lookup(psprintf(sql, (long long) v->row.id,
									   quote_literal_cstr(v->row.repository))) != NULL;
}

static void
publish(Verify *v, int64 began)
{
	BkcJob	   *job = v->job;
	double		seconds = (double) (bkc_host->now() - began) / USECS_PER_SEC;
	char		size[32];
	VerdictArg	arg;

	arg.v = v;
	arg.time = bkc_host->now();
	arg.findings = psprintf("{\"level\": \"files\", \"files\": %llu, \"bytes\": %llu, \"seconds\": %.3f,"
							" \"failures\": %llu, \"findings\": [%s]}",
							(unsigned long long) v->files, (unsigned long long) v->bytes, seconds,
							(unsigned long long) v->failures, v->findings.data);
	if (v->failures > 0 && !still_there(v))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("backup %s was removed by retention meanwhile", v->row.label)));
	if (may_store_note(v))
		store_note(v, arg.time);
	if (!bkc_sqlrun_try(write_verdict, &arg, BKC_SQLRUN_TRIES,
						 "write the result of a verification"))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the result of the verification could not be written to the catalog"),
				 errdetail("Backup %s: %s.", v->row.label,
						   v->failures == 0 ? "passed" : v->first)));
	bkc_format_size(v->bytes, size, sizeof(size));
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	job->passed = v->failures == 0;
	if (job->passed)
		snprintf(job->summary, sizeof(job->summary),
				 "backup %s verified: %llu files, %s, in %.1f s", v->row.label,
				 (unsigned long long) v->files, size, seconds);
	else
		snprintf(job->summary, sizeof(job->summary),
				 "backup %s is damaged: %llu finding%s, the first: %.250s", v->row.label,
				 (unsigned long long) v->failures, v->failures == 1 ? "" : "s", v->first);
	LWLockRelease(bkc_shared->lock);
}

static void
open_backup(Verify *v)
{
	BkcJob	   *job = v->job;
	const BkcRepoDef *repo;
	bool		complete;
	BkcError	err;

	if (!bkc_catalog_find(job->args.latest ? NULL : &job->args.backup_id, &v->row))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 job->args.latest ? errmsg("there is no completed backup") :
				 errmsg("there is no completed backup %lld", (long long) job->args.backup_id),
				 errhint("SELECT id, label, status FROM backup_catalog shows all backups.")));
	if (v->row.label[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("backup %lld was made by another tool and cannot be verified",
						(long long) v->row.id),
				 errhint("Note the result of that tool's own check with update_backup_verification(%lld, ...).",
						 (long long) v->row.id)));
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	strlcpy(job->label, v->row.label, sizeof(job->label));
	strlcpy(job->args.repository, v->row.repository, sizeof(job->args.repository));
	job->id = v->row.id;
	job->phase = BKC_PHASE_VERIFYING;
	LWLockRelease(bkc_shared->lock);
	ConditionVariableBroadcast(&job->cv);
	pgstat_report_activity(STATE_RUNNING, psprintf("verifying backup %s", v->row.label));
	repo = bkc_settings_repository(v->row.repository);
	if (!bkc_repo_open(repo, &v->store, &err))
		bkc_ereport(ERROR, &err);
	if (!bkc_repo_backup_complete(v->store, v->row.system_identifier, v->row.label, &complete,
								  &err))
		bkc_ereport(ERROR, &err);
	if (!bkc_backup_load(v->store, v->row.system_identifier, v->row.label, &v->backup, &err))
	{
		finding(v, &err);
		return;
	}
	pg_atomic_write_u64(&job->files_total, v->backup->totals.files);
	pg_atomic_write_u64(&job->bytes_total, v->backup->totals.bytes);
}

void
bkc_verify_run(BkcJob *job)
{
	Verify	   *v = palloc0(sizeof(*v));
	int64		began = bkc_host->now();

	v->job = job;
	initStringInfo(&v->findings);
	bkc_guard(verify_close, v);
	open_backup(v);
	if (v->backup != NULL)
	{
		refuse_frozen(v);
		verify_packs(v);
		verify_files(v);
		verify_wal(v);
	}
	publish(v, began);
	verify_close(v);
}

void
bkc_verify_failed(BkcJob *job, const BkcReport *report, bool cancelled)
{
	/* no verdict: the former one stands */
}
