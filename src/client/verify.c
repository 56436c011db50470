/*
 * verify.c
 *		pg_backupctl verify: read every object of backups and check every hash.
 *
 * Items of work are the packs (envelope, footer, index, size) and then the
 * units of files (every frame's digest, every file's size and SHA-256).  A
 * worker sends each finding to the parent and goes on.  What stops the work
 * is only what is no property of the backup: cancel, memory, a repository
 * that has become unreachable.
 */
#include "main.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/host.h"
#include "base/text.h"
#include "format/names.h"
#include "format/pgfiles.h"
#include "pipe/frozen.h"
#include "pipe/walproof.h"

#include "crew.h"
#include "host.h"
#include "json.h"
#include "keys.h"
#include "progress.h"
#include "report.h"
#include "session.h"

#define FINDING_NAME_MAX	1024

/* One thing that is wrong; travels through a pipe as it is. */
typedef struct Finding
{
	char		kind[16];		/* manifest, wal, pack, file */
	char		name[FINDING_NAME_MAX];
	BkcErrorCode code;
	char		message[BKC_ERROR_MESSAGE_MAX];
} Finding;

typedef struct Verify
{
	BkcSession	session;
	bool		json;
	size_t		jobs;
	BkcBackup  *backup;			/* the one at work */
	BkcProgress progress;
	json_t	   *results;		/* one object a backup; NULL without --json */
	json_t	   *findings;		/* of the backup at work */
	size_t		nfindings;
	size_t		ndamage;		/* findings that are proven damage */
	size_t		total_findings;
	size_t		total_damage;
	int			thaw_days;
	size_t		total_frozen;	/* backups that cannot be read now */
} Verify;

/* ---- in a worker ---- */

typedef struct Checker
{
	Verify	   *verify;
	BkcStore   *store;
	BkcUnpacker *unpacker;
} Checker;

static void
count_bytes(void *arg, uint64_t plain_bytes, uint64_t stored_bytes)
{
	BkcCrewTally *tally = arg;

	atomic_fetch_add_explicit(&tally->bytes, plain_bytes, memory_order_relaxed);
	atomic_fetch_add_explicit(&tally->stored, stored_bytes, memory_order_relaxed);
}

static bool
checker_start(void *arg, BkcCrewWorker *worker, void **state, BkcError *err)
{
	Checker    *checker = calloc(1, sizeof(*checker));
	BkcStage   *sink;

	*state = checker;
	if (checker == NULL)
		return bkc_error_oom(err);
	checker->verify = arg;
	if (!bkc_session_another_store(&checker->verify->session, &checker->store, err))
		return false;
	sink = bkc_stage_null_new(err);
	return sink != NULL && bkc_unpacker_new(checker->store, checker->verify->backup, sink,
											count_bytes, worker->tally, &checker->unpacker, err);
}

static void
checker_finish(void *state)
{
	Checker    *checker = state;

	if (checker == NULL)
		return;
	bkc_unpacker_close(checker->unpacker);
	bkc_store_close(checker->store);
	free(checker);
}

static void
make_finding(Finding *finding, const char *kind, const char *name, const BkcError *err)
{
	memset(finding, 0, sizeof(*finding));
	snprintf(finding->kind, sizeof(finding->kind), "%s", kind);
	snprintf(finding->name, sizeof(finding->name), "%s", name);
	snprintf(finding->message, sizeof(finding->message), "%s", err->message);
	finding->code = err->code;
}

/* Failures that say nothing about the backup end the work. */
static bool
ends_the_work(BkcErrorCode code)
{
	return code == BKC_ERR_CANCELLED || code == BKC_ERR_NO_MEMORY || code == BKC_ERR_INTERNAL ||
		code == BKC_ERR_UNAVAILABLE || code == BKC_ERR_TIMEOUT || code == BKC_ERR_KEY ||
		code == BKC_ERR_ARCHIVED;
}

static bool
report_finding(BkcCrewWorker *worker, const char *kind, const char *name, BkcError *err)
{
	Finding		finding;

	if (ends_the_work(err->code))
		return false;
	make_finding(&finding, kind, name, err);
	return bkc_crew_send(worker, &finding, err);
}

static bool
check_pack(Checker *checker, size_t pack, BkcCrewWorker *worker, BkcError *err)
{
	const BkcBackup *backup = checker->verify->backup;
	char		name[BKC_NAME_MAX];

	if (!bkc_name_pack(backup->header.system_identifier, backup->header.label,
					   backup->packs[pack].worker, backup->packs[pack].number, name, err))
		return false;
	return bkc_backup_check_pack(checker->store, backup, pack, err) ||
		report_finding(worker, "pack", name, err);
}

static bool
check_file(Checker *checker, const BkcEntry *entry, BkcCrewWorker *worker, BkcError *err)
{
	char		root[32];
	char		name[FINDING_NAME_MAX];

	if (bkc_fault(BKC_FAULT_VERIFY_FILE, err) && bkc_unpack_file(checker->unpacker, entry, err))
	{
		atomic_fetch_add_explicit(&worker->tally->files, 1, memory_order_relaxed);
		return true;
	}
	bkc_root_name(entry->root, entry->tablespace, root);
	snprintf(name, sizeof(name), "%s/%s", root, entry->path);
	return report_finding(worker, "file", name, err);
}

static bool
checker_item(void *state, size_t item, BkcCrewWorker *worker, BkcError *err)
{
	Checker    *checker = state;
	const BkcBackup *backup = checker->verify->backup;
	const BkcUnit *unit;

	/* units first: the large ones decide how long it takes */
	if (item >= backup->nunits)
		return check_pack(checker, item - backup->nunits, worker, err);
	unit = &backup->units[item];
	for (uint32_t i = 0; i < unit->count; i++)
	{
		if (!bkc_host_check(err) ||
			!check_file(checker, &backup->entries[backup->order[unit->first + i]], worker, err))
			return false;
	}
	return true;
}

/* ---- in the parent ---- */

static void
show_progress(void *arg, const BkcCrewCounts *counts)
{
	Verify	   *verify = arg;

	bkc_progress_show(&verify->progress, counts->bytes);
}

static bool
take_finding(void *arg, const void *message, BkcError *err)
{
	Verify	   *verify = arg;
	const Finding *finding = message;

	verify->nfindings++;
	if (finding->code == BKC_ERR_ARCHIVED)
		verify->total_frozen++;
	else if (bkc_exit_status(finding->code, BKC_AT_REPOSITORY) != BKC_EXIT_REPOSITORY)
		verify->ndamage++;
	if (verify->findings == NULL)
	{
		bkc_progress_end(&verify->progress);
		printf("  %s\n", finding->message);
		return true;
	}
	return bkc_json_append(verify->findings,
						   json_pack("{s:s, s:o, s:s, s:o}", "kind", finding->kind,
									 "name", bkc_json_text(finding->name),
									 "code", bkc_error_code_name(finding->code),
									 "message", bkc_json_text(finding->message))) ||
		bkc_error_oom(err);
}

static bool
add_finding(Verify *verify, const char *kind, const char *name, const BkcError *found,
			BkcError *err)
{
	Finding		finding;

	make_finding(&finding, kind, name, found);
	return take_finding(verify, &finding, err);
}

/* A finding about the WAL; false only where the work had to end. */
static bool
wal_finding(Verify *verify, const char *name, BkcError *err)
{
	BkcError	found = *err;

	return !ends_the_work(err->code) && add_finding(verify, "wal", name, &found, err);
}

/* The WAL from start to stop: listed in the backup, or read from the archive. */
static bool
check_wal(Verify *verify, const char *label, BkcError *err)
{
	const BkcManifestHeader *header = &verify->backup->header;
	uint64_t	segno;
	uint64_t	last;

	if (!bkc_backup_check_wal(verify->backup, err))
		return wal_finding(verify, label, err);
	if (!header->wal_in_archive)
		return true;
	if (!bkc_walproof_range(header, &segno, &last, err))
		return wal_finding(verify, label, err);
	for (; segno <= last; segno++)
	{
		char		name[BKC_WAL_NAME_MAX];

		bkc_wal_segment_name(header->timeline, segno, header->wal_segment_size, name);
		if (!bkc_walproof_segment(verify->session.store, verify->session.sysid, header->timeline,
								  segno, header->wal_segment_size, true, err) &&
			!wal_finding(verify, name, err))
			return false;
	}
	return true;
}

/* What is in an archive cannot be looked at now, which says nothing about the backup. */
static bool
check_frozen(Verify *verify, const char *label, bool *frozen, BkcError *err)
{
	BkcFrozen	found;
	BkcError	why;

	if (!bkc_backup_frozen(verify->session.store, verify->backup, verify->thaw_days, &found, err))
		return false;
	*frozen = !bkc_frozen_check(verify->backup, &found, "verified", "verify", &why);
	if (!*frozen)
		return true;
	bkc_report_warning("backup %s: %s", label, why.hint);
	return add_finding(verify, "archive", label, &why, err);
}

/* Load, look at the WAL, let the crew read everything.  False only where the work had to end. */
static bool
check_backup(Verify *verify, const char *label, BkcCrewCounts *counts, BkcError *err)
{
	BkcCrewSpec spec = {
		.jobs = verify->jobs,
		.start = checker_start,
		.item = checker_item,
		.finish = checker_finish,
		.tick = show_progress,
		.message = take_finding,
		.message_size = sizeof(Finding),
		.arg = verify
	};
	bool		frozen;
	bool		ok;

	verify->session.place = BKC_AT_REPOSITORY;
	if (!bkc_backup_load(verify->session.store, verify->session.sysid, label, &verify->backup, err))
	{
		BkcError	found = *err;

		return !ends_the_work(err->code) &&
			add_finding(verify, "manifest", label, &found, err);
	}
	if (!check_wal(verify, label, err) || !check_frozen(verify, label, &frozen, err))
		return false;
	if (frozen)
		return true;
	bkc_progress_begin(&verify->progress, "verified", verify->backup->totals.bytes);
	spec.nitems = verify->backup->nunits + verify->backup->npacks;
	ok = bkc_crew_run(&spec, counts, &verify->session.place, err);
	bkc_progress_end(&verify->progress);
	return ok;
}

static void
print_result(const Verify *verify, const char *label, const BkcCrewCounts *counts, int64_t usec)
{
	uint64_t	bad = verify->backup != NULL ? verify->backup->totals.bad_blocks : 0;
	char		size[40];
	char		took[40];
	char		rate[48];

	bkc_format_size(counts->bytes, size, sizeof(size));
	bkc_format_duration(usec, took, sizeof(took));
	bkc_format_rate(counts->bytes, usec, rate, sizeof(rate));
	if (verify->nfindings == 0)
		printf("backup %s: %s in %" PRIu64 " files, every hash correct, WAL complete, %s (%s)\n",
			   label, size, counts->files, took, rate);
	else
		printf("backup %s: %zu %s; %s in %" PRIu64 " files are correct, %s (%s)\n",
			   label, verify->nfindings, verify->nfindings == 1 ? "finding" : "findings",
			   size, counts->files, took, rate);
	if (bad > 0)
		printf("  %" PRIu64 " blocks had wrong page checksums when the backup was taken\n", bad);
}

static bool
add_result(Verify *verify, const char *label, const BkcCrewCounts *counts, int64_t usec,
		   BkcError *err)
{
	const BkcBackup *backup = verify->backup;
	uint64_t	rate = usec > 0 ? (uint64_t) ((double) counts->bytes * 1e6 / (double) usec) : 0;

	return bkc_json_append(verify->results,
						   json_pack("{s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:O}",
									 "label", label, "ok", verify->nfindings == 0,
									 "files", bkc_json_u64(counts->files),
									 "bytes", bkc_json_u64(counts->bytes),
									 "packs", bkc_json_u64(backup != NULL ? backup->npacks : 0),
									 "bad_blocks",
									 bkc_json_u64(backup != NULL ? backup->totals.bad_blocks : 0),
									 "seconds", bkc_json_seconds(usec),
									 "bytes_per_second", bkc_json_u64(rate),
									 "findings", verify->findings)) ||
		bkc_error_oom(err);
}

static bool
verify_one(Verify *verify, const char *label, BkcError *err)
{
	int64_t		started = bkc_client_clock();
	BkcCrewCounts counts = {0};
	int64_t		usec;
	bool		ok;

	verify->nfindings = verify->ndamage = 0;
	if (verify->json)
	{
		verify->findings = json_array();
		if (verify->findings == NULL)
			return bkc_error_oom(err);
	}
	ok = check_backup(verify, label, &counts, err);
	usec = bkc_client_clock() - started;
	if (ok && verify->json)
		ok = add_result(verify, label, &counts, usec, err);
	else if (ok)
		print_result(verify, label, &counts, usec);
	verify->total_findings += verify->nfindings;
	verify->total_damage += verify->ndamage;
	json_decref(verify->findings);
	verify->findings = NULL;
	bkc_backup_free(verify->backup);
	verify->backup = NULL;
	return ok;
}

static bool
verify_all(Verify *verify, BkcError *err)
{
	BkcBackupRef *list = NULL;
	size_t		n = 0;
	size_t		done = 0;
	bool		ok;

	verify->session.place = BKC_AT_REPOSITORY;
	ok = bkc_repo_backups(verify->session.store, verify->session.sysid, &list, &n, err);
	for (size_t i = 0; ok && i < n; i++)
	{
		if (!list[i].complete)
			continue;
		ok = verify_one(verify, list[i].label, err);
		done++;
	}
	free(list);
	if (ok && done == 0)
		return bkc_error_set(err, BKC_ERR_NOT_FOUND,
							 "cluster %" PRIu64 " has no complete backup in repository \"%s\"",
							 verify->session.sysid, verify->session.store->location);
	return ok;
}

static bool
do_verify(Verify *verify, const BkcOptions *options, BkcError *err)
{
	const char *wanted = bkc_option(options, "backup");
	char		label[BKC_LABEL_MAX];

	verify->session.place = BKC_AT_COMMAND_LINE;
	if (!bkc_option_jobs(options, &verify->jobs, err) ||
		!bkc_option_thaw(options, &verify->thaw_days, err) ||
		!bkc_session_open(&verify->session, options, err) ||
		!bkc_session_cluster(&verify->session, options, err))
		return false;
	if (verify->thaw_days > 0 && (wanted == NULL || strcmp(wanted, "all") == 0))
	{
		verify->session.place = BKC_AT_COMMAND_LINE;
		bkc_error_set(err, BKC_ERR_INVALID, "--thaw needs --backup and a label");
		return bkc_error_hint(err, "A thaw is billed by the gigabyte: say which backup it is for.");
	}
	if (verify->json)
	{
		verify->results = json_array();
		if (verify->results == NULL)
			return bkc_error_oom(err);
	}
	if (wanted == NULL || strcmp(wanted, "all") == 0)
		return verify_all(verify, err);
	return bkc_session_backup(&verify->session, wanted, label, err) &&
		verify_one(verify, label, err);
}

static int
run_verify(const BkcOptions *options)
{
	Verify		verify;
	BkcError	err;
	int			status = BKC_EXIT_OK;

	memset(&verify, 0, sizeof(verify));
	verify.json = bkc_option_given(options, "json");
	if (!do_verify(&verify, options, &err))
		status = bkc_report_error(&err, verify.session.place, verify.json);
	else
	{
		if (verify.total_damage > 0)
			status = BKC_EXIT_CORRUPT;
		else if (verify.total_findings > verify.total_frozen)
			status = BKC_EXIT_REPOSITORY;
		else if (verify.total_frozen > 0)
			status = BKC_EXIT_ARCHIVED;
		if (verify.json)
			bkc_json_print(json_pack("{s:s, s:i, s:o, s:O}", "status",
									 status == BKC_EXIT_OK ? "ok" : "failed",
									 "exit_status", status, "system_identifier",
									 bkc_json_id(verify.session.sysid),
									 "backups", verify.results));
	}
	json_decref(verify.results);
	bkc_session_close(&verify.session);
	return status;
}

static const BkcOptionDef verify_options[] = {
	BKC_OPTION_REPO,
	BKC_OPTION_KEYS,
	BKC_OPTION_CLUSTER,
	{"backup", 0, "LABEL", false, "a label, \"latest\" or \"all\" (default: all complete ones)"},
	BKC_OPTION_THAW,
	BKC_OPTION_JOBS,
	BKC_OPTION_JSON,
	BKC_OPTION_HELP,
	BKC_OPTION_END
};

const BkcCommand bkc_command_verify = {
	.name = "verify",
	.summary = "read backups completely and check every hash",
	.options = verify_options,
	.notes = "Every pack is checked and every file is unpacked, its SHA-256 compared and thrown\n"
	"away; the WAL between start and stop must be there.  All findings are printed.\n"
	"Exit status 4 when something is damaged or missing, 5 when something could not be read,\n"
	"11 when all that could not be read is in an archive class.\n",
	.run = run_verify
};
