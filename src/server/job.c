/*
 * job.c
 *		See job.h.
 */
#include "pgcompat.h"

#include <signal.h>

#include "job.h"
#include "leader.h"
#include "miscadmin.h"
#include "process.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

/* after this time a waiting SELECT is told what it costs */
#define SNAPSHOT_NOTICE_MS	(10 * 60 * 1000)

#define SLOT_WAIT_MS	2000	/* for a free worker slot */
#define SLOT_POLL_MS	50

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
	job->phase = args->kind == BKC_JOB_SETTLE ? BKC_PHASE_SETTLING :
		args->kind == BKC_JOB_SCHEDULE ? BKC_PHASE_SCHEDULING :
		args->kind == BKC_JOB_NOTIFY ? BKC_PHASE_NOTIFYING : BKC_PHASE_STARTING;
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
	job->event = 0;
	job->skipped = 0;
	job->skipped_first[0] = '\0';
	job->bad_blocks = 0;
	job->bad_first[0] = '\0';
	job->summary[0] = '\0';
	job->warning[0] = '\0';
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

/* Verifications and checks leave slots for a backup, settling, the scheduler, and alarms. */
#define SLOTS_LEFT	5

/* Kinds of which one at a time is enough for the whole cluster. */
static bool
is_single(BkcJobKind kind)
{
	return kind == BKC_JOB_BACKUP || kind == BKC_JOB_EXPIRE || kind == BKC_JOB_SYNC;
}

/* The lock is held, and released. */
static void
report_running(const BkcJob *job)
{
	const char *name = bkc_job_name(job->args.kind);

	if (job->args.kind == BKC_JOB_BACKUP)
		report_running_backup(job);
	LWLockRelease(bkc_shared->lock);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("a job of kind %s is running already", name),
			 errhint("Wait for it (view backup_progress).")));
}

static BkcJob *
take_slot(const BkcJobArgs *args, bool wait)
{
	BkcJob	   *free_slot = NULL;
	int			others = 0;

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
		else if (args->kind == job->args.kind && is_single(args->kind) &&
				 job->state != BKC_JOB_DONE)
			report_running(job);	/* releases the lock */
		else if (!is_single(job->args.kind) && !bkc_job_is_housekeeping(job->args.kind))
			others++;
	}
	if (!is_single(args->kind) && !bkc_job_is_housekeeping(args->kind) &&
		others >= BKC_MAX_JOBS - SLOTS_LEFT)
		free_slot = NULL;
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

/*
 * Housekeeping jobs come and go: somebody who wants a job does not fail because one of them has the
 * last slot for a moment.
 */
static bool
register_worker(BackgroundWorker *worker, BkcJobKind kind, BackgroundWorkerHandle **handle)
{
	for (int waited = 0;; waited += SLOT_POLL_MS)
	{
		if (RegisterDynamicBackgroundWorker(worker, handle))
			return true;
		if (bkc_job_is_housekeeping(kind) || waited >= SLOT_WAIT_MS ||
			QueryCancelPending || ProcDiePending)
			return false;		/* the caller gives the job's slot back first */
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, SLOT_POLL_MS,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
}

BkcJobHandle *
bkc_job_start(const BkcJobArgs *args, bool wait)
{
	BkcJobHandle *handle = palloc0(sizeof(*handle));
	BackgroundWorker worker;
	BkcJob	   *job = take_slot(args, wait);

	handle->job = job;
	handle->generation = job->generation;
	bkc_process_describe(&worker, "bkc_job_main", bkc_job_type(args->kind),
						 BgWorkerStart_RecoveryFinished, BGW_NEVER_RESTART);
	worker.bgw_main_arg = Int32GetDatum((int32) (job - bkc_shared->jobs));
	worker.bgw_notify_pid = MyProcPid;
	memcpy(worker.bgw_extra, &job->generation, sizeof(job->generation));
	if (!register_worker(&worker, args->kind, &handle->worker))
	{
		free_slot(job, handle->generation);
		CHECK_FOR_INTERRUPTS();
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no background worker slot is free"),
				 errdetail("A job of pg_backupctl needs one."),
				 errhint("Increase max_worker_processes (now %d) and restart the server.",
						 max_worker_processes)));
	}
	return handle;
}

bool
bkc_job_lost(BkcJobHandle *handle)
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

bool
bkc_job_alive(const BkcJobHandle *handle)
{
	const BkcJob *job = handle->job;
	bool		alive;

	LWLockAcquire(bkc_shared->lock, LW_SHARED);
	alive = job->generation == handle->generation &&
		(job->state == BKC_JOB_REQUESTED || job->state == BKC_JOB_RUNNING);
	LWLockRelease(bkc_shared->lock);
	return alive;
}

/* Sleep until something changes; true when the job is over. */
static bool
job_sleep(BkcJobHandle *handle)
{
	BkcJob	   *job = handle->job;

	if (!bkc_job_alive(handle))
		return true;
	if (ConditionVariableTimedSleep(&job->cv, 500, PG_WAIT_EXTENSION) && bkc_job_lost(handle))
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
		/* a leader that starts only now finds the slot not requested, and leaves */
		if (job->state == BKC_JOB_DONE || job->state == BKC_JOB_REQUESTED)
			job->state = BKC_JOB_FREE;
		else if (job->state == BKC_JOB_RUNNING)
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
bkc_job_wait(BkcJobHandle *handle, bool hint_snapshot, bool *passed, int64 *event)
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
		if (job->warning[0] != '\0' && job->result.sqlstate == 0)
			ereport(WARNING, (errmsg_internal("%s", job->warning)));
		if (job->skipped > 0 && job->result.sqlstate == 0)
			ereport(WARNING,
					(errmsg("%llu special files are not in the backup, the first is \"%s\"",
							(unsigned long long) job->skipped, job->skipped_first),
					 errdetail("Only regular files, folders and the links of tablespaces are backed up.")));
		raise_result(job);
		strlcpy(text, job->summary, sizeof(text));
		damaged = !is_single(job->args.kind) && !job->passed;
		if (passed != NULL)
			*passed = job->passed;
		if (event != NULL)
			*event = job->event;
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
			!bkc_job_is_housekeeping(job->args.kind))
		{
			job->cancelled = true;
			leader = job->leader_pid;
		}
	}
	LWLockRelease(bkc_shared->lock);
	return leader != 0 && kill(leader, SIGINT) == 0;
}
