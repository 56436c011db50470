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

#include "backup.h"
#include "backup_leader.h"
#include "base/host.h"
#include "catalog.h"
#include "commands/progress.h"
#include "keys.h"
#include "miscadmin.h"
#include "ownfiles.h"
#include "pgstat.h"
#include "pipe/unpack.h"
#include "storage/ipc.h"
#include "worker.h"

/* worker number of the packs with the leader's own files */
#define WORKER_EXTRAS		BKC_WORKER_LEADER

/* after this the backup may exist, whatever else goes wrong in this process */
static bool commit_tried = false;

static void
leader_close(void *arg)
{
	BkcLeader  *l = arg;

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
}

static void
check(bool ok, const BkcError *err)
{
	if (!ok)
		bkc_ereport(ERROR, err);
}

void
bkc_backup_fault(BkcLeader *l, BkcFault point)
{
	BkcError	err;

	(void) point;
	check(bkc_fault(point, &err), &err);
	CHECK_FOR_INTERRUPTS();
	if (l->job->cancelled)
		ereport(ERROR,
				(errcode(ERRCODE_QUERY_CANCELED), errmsg("the backup was cancelled")));
}

void
bkc_backup_phase(BkcLeader *l, BkcPhase phase, int64 core_phase)
{
	bkc_job_phase(l->job, phase);
	pgstat_progress_update_param(PROGRESS_BASEBACKUP_PHASE, core_phase);
	pgstat_report_activity(STATE_RUNNING,
						   psprintf("backup %s: %s", l->label, bkc_phase_name(phase)));
}

/* ---- the whole ---- */

static void
copy_between_start_and_stop(BkcLeader *l)
{
	BkcCopySpec spec;
	BkcError	err;

	bkc_backup_fault(l, BKC_FAULT_LEADER_STARTED);
	l->collector.timeline = l->pg.start_tli;
	XLByteToSeg(l->pg.start_lsn, l->collector.next, wal_segment_size);
	l->collector.last = PG_UINT64_MAX;
	l->collector.extras = &l->extras;
	bkc_backup_list(l);
	spec = bkc_backup_copy_spec(l, WORKER_EXTRAS);
	check(bkc_copier_new(&spec, &l->copier, &err), &err);
	l->collector.copier = l->copier;
	bkc_own_config(l->copier, &l->extras, l->config_files);
	bkc_backup_copy(l);
	bkc_own_control(l->copier, &l->extras);
	bkc_backup_phase(l, BKC_PHASE_STOPPING, PROGRESS_BASEBACKUP_PHASE_WAIT_WAL_ARCHIVE);
	bkc_pg_backup_stop(&l->pg);
	l->stop_time = bkc_host->now();
	bkc_backup_fault(l, BKC_FAULT_LEADER_STOPPED);
}

void
bkc_backup_run(BkcJob *job)
{
	BkcLeader  *l = palloc0(sizeof(*l));

	l->job = job;
	l->commit_tried = &commit_tried;
	bkc_list_init(&l->list);
	bkc_guard(leader_close, l);
	pgstat_progress_start_command(PROGRESS_COMMAND_BASEBACKUP, InvalidOid);
	bkc_backup_preflight(l);
	bkc_backup_announce(l);

	/* the archive keeps what it has not got yet by itself */
	l->collector.archived = job->args.wal_in_archive;
	l->collector.slot = !l->collector.archived && bkc_collect_slot();
	register_persistent_abort_backup_handler();
	bkc_backup_phase(l, BKC_PHASE_CHECKPOINT, PROGRESS_BASEBACKUP_PHASE_WAIT_CHECKPOINT);
	bkc_pg_backup_start(&l->pg, l->label, job->args.fast_checkpoint);
	PG_ENSURE_ERROR_CLEANUP(do_pg_abort_backup, BoolGetDatum(false));
	{
		copy_between_start_and_stop(l);
	}
	PG_END_ENSURE_ERROR_CLEANUP(do_pg_abort_backup, BoolGetDatum(false));
	bkc_backup_secure_wal(l);
	bkc_backup_complete(l);
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
