/*
 * job.c
 *		See job.h.
 */
#include "pgcompat.h"

#include <signal.h>

#include "access/xact.h"
#include "backup.h"
#include "catalog.h"
#include "job.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "settings.h"
#include "settle.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/procsignal.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/wait_event.h"
#include "verify.h"

/* after this time a waiting SELECT is told what it costs */
#define SNAPSHOT_NOTICE_MS	(10 * 60 * 1000)

BkcJob	   *bkc_my_job = NULL;

typedef struct JobKind
{
	const char *type;			/* bgw_type */
	void		(*run) (BkcJob *job);
	void		(*failed) (BkcJob *job, const BkcReport *report, bool cancelled);
} JobKind;

static const JobKind kinds[] = {
	[BKC_JOB_BACKUP] = {"pg_backupctl backup", bkc_backup_run, bkc_backup_failed},
	[BKC_JOB_VERIFY] = {"pg_backupctl verify", bkc_verify_run, bkc_verify_failed},
	[BKC_JOB_SETTLE] = {"pg_backupctl settle", bkc_settle_run, bkc_settle_failed},
};

/* ---- the requester's side ---- */

static void
report_running_backup(const BkcJob *job)
{
	uint64		total = pg_atomic_read_u64((pg_atomic_uint64 *) &job->bytes_total);
	uint64		done = pg_atomic_read_u64((pg_atomic_uint64 *) &job->bytes_done);
	int64		id = job->id;
	char		label[BKC_LABEL_MAX];
	BkcPhase	phase = job->phase;

	strlcpy(label, job->label, sizeof(label));
	LWLockRelease(bkc_shared->lock);
	if (id == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("a backup of this cluster is being started by another session"),
				 errhint("See the view backup_progress.")));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("a backup of this cluster is running already"),
			 errdetail("Backup %lld, %s: %s, %d %% of the bytes are copied.",
					   (long long) id, label, bkc_phase_name(phase),
					   total > 0 ? (int) (done * 100.0 / total) : 0),
			 errhint("Wait for it (view backup_progress), or end it with SELECT backup_cancel(%lld).",
					 (long long) id)));
}

static void
job_slot_init(BkcJob *job, const BkcJobArgs *args, bool wait)
{
	job->state = BKC_JOB_REQUESTED;
	job->generation = ++bkc_shared->next_generation;
	job->args = *args;
	job->leader_pid = 0;
	job->requester_pid = MyProcPid;
	job->waiter = wait;
	job->cancelled = false;
	job->id = 0;
	job->label[0] = '\0';
	job->phase = args->kind == BKC_JOB_SETTLE ? BKC_PHASE_SETTLING : BKC_PHASE_STARTING;
	job->started = GetCurrentTimestamp();
	job->copy_started = 0;
	job->finished = 0;
	job->workers_wanted = 0;
	job->workers_running = 0;
	job->worker_ok = 0;
	job->worker_seen = 0;
	memset(&job->worker_error, 0, sizeof(job->worker_error));
	memset(&job->result, 0, sizeof(job->result));
	job->passed = false;
	job->bad_blocks = 0;
	job->bad_first[0] = '\0';
	job->summary[0] = '\0';
	job->announce[0] = '\0';
	job->start_lsn = InvalidXLogRecPtr;
	job->file_count = 0;
	pg_atomic_write_u32(&job->cursor, 0);
	pg_atomic_write_u32(&job->stop, 0);
	pg_atomic_write_u64(&job->files_total, 0);
	pg_atomic_write_u64(&job->files_done, 0);
	pg_atomic_write_u64(&job->bytes_total, 0);
	pg_atomic_write_u64(&job->bytes_done, 0);
	pg_atomic_write_u64(&job->bytes_stored, 0);
}

static BkcJob *
take_slot(const BkcJobArgs *args, bool wait)
{
	BkcJob	   *free_slot = NULL;

	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < BKC_MAX_JOBS; i++)
	{
		BkcJob	   *job = &bkc_shared->jobs[i];

		if (job->state == BKC_JOB_FREE)
		{
			/* late workers of the last run still count there */
			if (job->workers_running == 0 && free_slot == NULL)
				free_slot = job;
		}
		else if (args->kind == BKC_JOB_BACKUP && job->args.kind == BKC_JOB_BACKUP &&
				 job->state != BKC_JOB_DONE)
			report_running_backup(job); /* releases the lock */
	}
	if (free_slot != NULL)
		job_slot_init(free_slot, args, wait);
	LWLockRelease(bkc_shared->lock);
	if (free_slot == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("too many jobs of pg_backupctl are running"),
				 errdetail("At most %d jobs can run at once.", BKC_MAX_JOBS)));
	return free_slot;
}

static void
free_slot(BkcJob *job, uint64 generation)
{
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	if (job->generation == generation)
	{
		job->state = BKC_JOB_FREE;
		job->waiter = false;
	}
	LWLockRelease(bkc_shared->lock);
}

BkcJobHandle *
bkc_job_start(const BkcJobArgs *args, bool wait)
{
	BkcJobHandle *handle = palloc0(sizeof(*handle));
	BackgroundWorker worker = {0};
	BkcJob	   *job = take_slot(args, wait);

	handle->job = job;
	handle->generation = job->generation;
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = Int32GetDatum((int32) (job - bkc_shared->jobs));
	worker.bgw_notify_pid = MyProcPid;
	strlcpy(worker.bgw_library_name, "pg_backupctl", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "bkc_job_main", sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_type, kinds[args->kind].type, sizeof(worker.bgw_type));
	strlcpy(worker.bgw_name, kinds[args->kind].type, sizeof(worker.bgw_name));
	memcpy(worker.bgw_extra, &job->generation, sizeof(job->generation));
	if (!RegisterDynamicBackgroundWorker(&worker, &handle->worker))
	{
		free_slot(job, handle->generation);
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no background worker slot is free"),
				 errdetail("A job of pg_backupctl needs one."),
				 errhint("Increase max_worker_processes (now %d) and restart the server.",
						 max_worker_processes)));
	}
	return handle;
}

/* A leader that ended without a word (it could not start, or crashed early). */
static bool
leader_lost(BkcJobHandle *handle)
{
	pid_t		pid;
	bool		lost = false;

	if (GetBackgroundWorkerPid(handle->worker, &pid) != BGWH_STOPPED)
		return false;
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	if (handle->job->generation == handle->generation &&
		handle->job->state != BKC_JOB_DONE && handle->job->state != BKC_JOB_FREE)
	{
		handle->job->state = BKC_JOB_DONE;
		lost = true;
	}
	LWLockRelease(bkc_shared->lock);
	return lost;
}

/* Sleep until something changes; true when the job is over. */
static bool
job_sleep(BkcJobHandle *handle)
{
	BkcJob	   *job = handle->job;
	bool		done;

	LWLockAcquire(bkc_shared->lock, LW_SHARED);
	done = job->generation != handle->generation || job->state == BKC_JOB_DONE ||
		job->state == BKC_JOB_FREE;
	LWLockRelease(bkc_shared->lock);
	if (done)
		return true;
	if (ConditionVariableTimedSleep(&job->cv, 500, PG_WAIT_EXTENSION) && leader_lost(handle))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("the background worker of the job could not start or ended unexpectedly"),
				 errhint("The server log says why; pg_backupctl.database must name the database that holds the extension.")));
	return false;
}

static void
raise_result(const BkcJob *job)
{
	BkcReport	report = job->result;

	if (report.sqlstate != 0)
		bkc_ereport_report(ERROR, &report);
}

/* The waiting session gives up: so does the job. */
static void
abandon(int code, Datum arg)
{
	BkcJobHandle *handle = (BkcJobHandle *) DatumGetPointer(arg);
	BkcJob	   *job = handle->job;
	pid_t		leader = 0;

	ConditionVariableCancelSleep();
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	if (job->generation == handle->generation)
	{
		if (job->state == BKC_JOB_DONE)
			job->state = BKC_JOB_FREE;
		else if (job->state != BKC_JOB_FREE)
		{
			job->cancelled = true;
			leader = job->leader_pid;
		}
		job->waiter = false;
	}
	LWLockRelease(bkc_shared->lock);
	if (leader != 0)
		(void) kill(leader, SIGINT);
}

int64
bkc_job_wait_id(BkcJobHandle *handle)
{
	BkcJob	   *job = handle->job;
	volatile int64 id = 0;

	PG_ENSURE_ERROR_CLEANUP(abandon, PointerGetDatum(handle));
	{
		bool		done = false;

		ConditionVariablePrepareToSleep(&job->cv);
		while (id == 0 && !done)
		{
			done = job_sleep(handle);
			LWLockAcquire(bkc_shared->lock, LW_SHARED);
			id = job->generation == handle->generation ? job->id : 0;
			LWLockRelease(bkc_shared->lock);
		}
		ConditionVariableCancelSleep();
		if (id == 0)
			raise_result(job);
	}
	PG_END_ENSURE_ERROR_CLEANUP(abandon, PointerGetDatum(handle));
	return id;
}

void
bkc_job_detach(BkcJobHandle *handle)
{
	BkcJob	   *job = handle->job;

	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	if (job->generation == handle->generation)
	{
		job->waiter = false;
		if (job->state == BKC_JOB_DONE)
			job->state = BKC_JOB_FREE;
	}
	LWLockRelease(bkc_shared->lock);
}

void
bkc_job_wait(BkcJobHandle *handle, bool hint_snapshot, bool *passed)
{
	BkcJob	   *job = handle->job;
	volatile bool hint = hint_snapshot;
	TimestampTz began = GetCurrentTimestamp();
	bool		announced = false;
	bool		done = false;
	bool		damaged = false;
	char		text[512];

	PG_ENSURE_ERROR_CLEANUP(abandon, PointerGetDatum(handle));
	{
		ConditionVariablePrepareToSleep(&job->cv);
		while (!done)
		{
			done = job_sleep(handle);
			LWLockAcquire(bkc_shared->lock, LW_SHARED);
			strlcpy(text, announced ? "" : job->announce, sizeof(text));
			LWLockRelease(bkc_shared->lock);
			if (text[0])
			{
				announced = true;
				ereport(NOTICE, (errmsg_internal("%s", text)));
			}
			if (hint &&
				TimestampDifferenceExceeds(began, GetCurrentTimestamp(), SNAPSHOT_NOTICE_MS))
			{
				hint = false;
				ereport(NOTICE,
						(errmsg("this statement holds a snapshot while it waits"),
						 errhint("For long backups use CALL backup_run(...), which does not, or wait => false.")));
			}
		}
		ConditionVariableCancelSleep();
		if (job->bad_blocks > 0 && job->result.sqlstate == 0)
			ereport(WARNING,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("%llu pages failed their checksum, the first is %s",
							(unsigned long long) job->bad_blocks, job->bad_first),
					 errdetail("The backup contains them as they are; backup_catalog.metadata lists them.")));
		raise_result(job);
		strlcpy(text, job->summary, sizeof(text));
		damaged = job->args.kind == BKC_JOB_VERIFY && !job->passed;
		if (passed != NULL)
			*passed = job->passed;
	}
	PG_END_ENSURE_ERROR_CLEANUP(abandon, PointerGetDatum(handle));
	bkc_job_detach(handle);
	if (text[0])
		ereport(damaged ? WARNING : NOTICE,
				(errcode(damaged ? ERRCODE_DATA_CORRUPTED : ERRCODE_SUCCESSFUL_COMPLETION),
				 errmsg_internal("%s", text)));
}

bool
bkc_job_cancel(int64 id)
{
	pid_t		leader = 0;

	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < BKC_MAX_JOBS; i++)
	{
		BkcJob	   *job = &bkc_shared->jobs[i];

		if (job->state == BKC_JOB_RUNNING && job->id != 0 && job->id == id &&
			job->args.kind != BKC_JOB_SETTLE)
		{
			job->cancelled = true;
			leader = job->leader_pid;
		}
	}
	LWLockRelease(bkc_shared->lock);
	return leader != 0 && kill(leader, SIGINT) == 0;
}

/* ---- the leader's side ---- */

static uint64 my_generation = 0;

static bool
leader_stop(void)
{
	return bkc_my_job->cancelled;
}

/* Publish the end. */
static void
job_done(const BkcReport *report)
{
	BkcJob	   *job = bkc_my_job;

	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	if (report != NULL)
		job->result = *report;
	job->finished = GetCurrentTimestamp();
	job->phase = BKC_PHASE_FINISHED;
	job->state = job->waiter ? BKC_JOB_DONE : BKC_JOB_FREE;
	LWLockRelease(bkc_shared->lock);
	pg_atomic_write_u32(&job->stop, 1);
	ConditionVariableBroadcast(&job->cv);
	bkc_my_job = NULL;
}

/* The process ends without having published anything: FATAL, or a bug. */
static void
leader_exit(int code, Datum arg)
{
	BkcReport	report = {.sqlstate = ERRCODE_ADMIN_SHUTDOWN};

	if (bkc_my_job == NULL)
		return;
	strlcpy(report.message, "the job was terminated", sizeof(report.message));
	LWLockReleaseAll();
	if (bkc_my_job->args.kind == BKC_JOB_SETTLE)
		bkc_settle_failed(bkc_my_job, &report, false);
	else if (bkc_my_job->args.kind == BKC_JOB_BACKUP)
		bkc_shared_request_settle();
	job_done(&report);
}

static void
leader_attach(int slot)
{
	BkcJob	   *job = &bkc_shared->jobs[slot];
	bool		mine;

	memcpy(&my_generation, MyBgworkerEntry->bgw_extra, sizeof(my_generation));
	before_shmem_exit(leader_exit, (Datum) 0);
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	mine = job->generation == my_generation && job->state == BKC_JOB_REQUESTED;
	if (mine)
	{
		job->state = BKC_JOB_RUNNING;
		job->leader_pid = MyProcPid;
		bkc_my_job = job;
	}
	LWLockRelease(bkc_shared->lock);
	if (!mine)
		proc_exit(0);
}

/* After an ERROR: back to a state in which the failure can be recorded. */
static void
leader_recover(void)
{
	HOLD_INTERRUPTS();
	if (IsTransactionState() || IsTransactionOrTransactionBlock())
		AbortCurrentTransaction();
	LWLockReleaseAll();
	ConditionVariableCancelSleep();
	pgstat_report_wait_end();
	pgstat_progress_end_command();
	bkc_pg_slot_cleanup();
	RESUME_INTERRUPTS();
}

static void
leader_failed(const JobKind *kind, MemoryContext context)
{
	BkcJob	   *job = bkc_my_job;
	ErrorData  *edata;
	BkcReport	report;
	bool		cancelled;

	MemoryContextSwitchTo(TopMemoryContext);
	edata = CopyErrorData();
	EmitErrorReport();
	FlushErrorState();
	leader_recover();

	cancelled = job->cancelled || edata->sqlerrcode == ERRCODE_QUERY_CANCELED;
	bkc_report_from_errordata(&report, edata);
	if (cancelled)
	{
		memset(&report, 0, sizeof(report));
		report.sqlstate = ERRCODE_QUERY_CANCELED;
		strlcpy(report.message, "the job was cancelled", sizeof(report.message));
	}
	/* workers first: nothing of the job may be written once it is over */
	pg_atomic_write_u32(&job->stop, 1);
	bkc_host_watch(NULL);
	bkc_host_poll(NULL);
	MemoryContextDelete(context);

	PG_TRY();
	{
		kind->failed(job, &report, cancelled);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(TopMemoryContext);
		EmitErrorReport();
		FlushErrorState();
		leader_recover();
	}
	PG_END_TRY();
	/* only backups leave something behind */
	if (job->args.kind == BKC_JOB_BACKUP)
		bkc_shared_request_settle();
	job_done(&report);
}

void
bkc_job_main(Datum main_arg)
{
	const JobKind *kind;
	MemoryContext context;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	leader_attach(DatumGetInt32(main_arg));
	kind = &kinds[bkc_my_job->args.kind];
	BackgroundWorkerInitializeConnection(bkc_set_database, NULL, 0);
	CurrentResourceOwner = ResourceOwnerCreate(NULL, "pg_backupctl");

	/* nobody's trigger runs with our rights, and nobody's lock holds us up */
	SetConfigOption("session_replication_role", "replica", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_OVERRIDE);
	SetConfigOption("lock_timeout", "10s", PGC_USERSET, PGC_S_OVERRIDE);
	SetConfigOption("statement_timeout", "0", PGC_USERSET, PGC_S_OVERRIDE);
	SetConfigOption("idle_in_transaction_session_timeout", "0", PGC_USERSET, PGC_S_OVERRIDE);
	bkc_host_install();
	bkc_host_watch(leader_stop);

	context = AllocSetContextCreate(TopMemoryContext, "pg_backupctl job",
									ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		kind->run(bkc_my_job);
		bkc_host_watch(NULL);
		bkc_host_poll(NULL);
		job_done(NULL);
	}
	PG_CATCH();
	{
		leader_failed(kind, context);
	}
	PG_END_TRY();
	proc_exit(0);
}
