/*
 * worker.c
 *		See worker.h.
 *
 * A worker takes files from the immutable list by the job's atomic cursor,
 * stores them in packs of its own and leaves.  It ends with status 0 after a
 * failure, too: the failure travels through the job slot, and any other exit
 * of a process with shared memory would make the postmaster restart the
 * whole server.  It leaves when its leader's job is over (stop flag, or a
 * newer generation in the slot).
 */
#include "pgcompat.h"

#include <signal.h>

#include "catalog.h"
#include "copy.h"
#include "job.h"
#include "keys.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "process.h"
#include "settings.h"
#include "storage/ipc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/wait_event.h"
#include "worker.h"

struct BkcCrew
{
	BkcJob	   *job;
	int			n;
	BackgroundWorkerHandle *handles[BKC_MAX_WORKERS];
};

typedef struct WorkerExtra
{
	uint64		generation;
	uint32		number;			/* from 1 */
} WorkerExtra;

BkcCrew *
bkc_crew_start(BkcJob *job, int n)
{
	BkcCrew    *crew = palloc0(sizeof(*crew));
	BackgroundWorker worker;

	crew->job = job;
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	job->workers_wanted = Min(n, BKC_MAX_WORKERS);	/* they share max_rate among them */
	LWLockRelease(bkc_shared->lock);
	bkc_process_describe(&worker, "bkc_worker_main", "pg_backupctl copy",
						 BgWorkerStart_RecoveryFinished, BGW_NEVER_RESTART);
	worker.bgw_main_arg = Int32GetDatum((int32) (job - bkc_shared->jobs));
	worker.bgw_notify_pid = MyProcPid;
	for (int i = 0; i < Min(n, BKC_MAX_WORKERS); i++)
	{
		WorkerExtra extra = {job->generation, (uint32) i + 1};

		StaticAssertStmt(sizeof(WorkerExtra) <= BGW_EXTRALEN, "bgw_extra is too small");
		memcpy(worker.bgw_extra, &extra, sizeof(extra));
		snprintf(worker.bgw_name, sizeof(worker.bgw_name), "pg_backupctl copy worker %d of %s",
				 i + 1, job->label);
		if (!RegisterDynamicBackgroundWorker(&worker, &crew->handles[crew->n]))
			break;
		crew->n++;
	}
	return crew;
}

int
bkc_crew_size(const BkcCrew *crew)
{
	return crew->n;
}

bool
bkc_crew_finished(BkcCrew *crew)
{
	for (int i = 0; i < crew->n; i++)
	{
		pid_t		pid;

		if (GetBackgroundWorkerPid(crew->handles[i], &pid) != BGWH_STOPPED)
			return false;
	}
	return true;
}

uint32
bkc_crew_result(BkcCrew *crew)
{
	BkcJob	   *job = crew->job;
	BkcReport	error;
	uint32		ok,
				seen;

	LWLockAcquire(bkc_shared->lock, LW_SHARED);
	error = job->worker_error;
	ok = job->worker_ok;
	seen = job->worker_seen;
	LWLockRelease(bkc_shared->lock);
	if (error.sqlstate != 0)
		bkc_ereport_report(ERROR, &error);
	if (ok < seen)
		ereport(ERROR,
				(errcode(ERRCODE_ADMIN_SHUTDOWN),
				 errmsg("a copy worker of the backup was terminated")));
	return ok;
}

void
bkc_crew_stop(BkcJob *job)
{
	pg_atomic_write_u32(&job->stop, 1);
	for (;;)
	{
		int			running;

		LWLockAcquire(bkc_shared->lock, LW_SHARED);
		running = job->workers_running;
		LWLockRelease(bkc_shared->lock);
		if (running == 0)
			return;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 20,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		if (ProcDiePending)
			return;				/* they have the flag; settle waits for them */
	}
}

/* ---- the worker itself ---- */

static BkcJob *worker_job = NULL;
static WorkerExtra worker_extra;
static bool result_published = false;

static bool
worker_stop(void)
{
	return worker_job->generation != worker_extra.generation ||
		pg_atomic_read_u32(&worker_job->stop) != 0;
}

static void
worker_exit(int code, Datum arg)
{
	bool		orphaned;

	LWLockReleaseAll();

	/* terminated: the job has failed, the others need not go on */
	if (!result_published)
		pg_atomic_write_u32(&worker_job->stop, 1);
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	worker_job->workers_running--;

	/* the leader is gone, and what we wrote could not be swept before now */
	orphaned = worker_job->workers_running == 0 && worker_job->state != BKC_JOB_RUNNING;
	LWLockRelease(bkc_shared->lock);
	ConditionVariableBroadcast(&worker_job->cv);
	if (orphaned)
		bkc_shared_request_settle();
}

static void
worker_attach(int slot)
{
	BkcJob	   *job = &bkc_shared->jobs[slot];
	bool		mine;

	memcpy(&worker_extra, MyBgworkerEntry->bgw_extra, sizeof(worker_extra));
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	mine = job->generation == worker_extra.generation && job->state == BKC_JOB_RUNNING &&
		pg_atomic_read_u32(&job->stop) == 0;
	if (mine)
	{
		job->workers_running++;
		job->worker_seen++;
	}
	LWLockRelease(bkc_shared->lock);
	if (!mine)
		proc_exit(0);
	worker_job = job;
	before_shmem_exit(worker_exit, (Datum) 0);
}

static void
worker_result(const BkcReport *report)
{
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	if (report == NULL)
		worker_job->worker_ok++;
	else
	{
		/* one failure ends the job; what follows from the stop is not news */
		if (worker_job->worker_error.sqlstate == 0 &&
			pg_atomic_read_u32(&worker_job->stop) == 0)
			worker_job->worker_error = *report;
	}
	LWLockRelease(bkc_shared->lock);
	result_published = true;
	if (report != NULL)
		pg_atomic_write_u32(&worker_job->stop, 1);
}

static void
close_copier(void *arg)
{
	bkc_copier_close((BkcCopier **) arg);
}

static void
close_store(void *arg)
{
	bkc_store_close(*(BkcStore **) arg);
	*(BkcStore **) arg = NULL;
}

static void
close_list(void *arg)
{
	bkc_list_close((BkcFileList *) arg);
}

static void
worker_work(void)
{
	const BkcJobArgs *args = &worker_job->args;
	const BkcRepoDef *repo = bkc_settings_repository(args->repository[0] ? args->repository : NULL);
	BkcStore  **store = palloc0(sizeof(*store));
	BkcCopier **copier = palloc0(sizeof(*copier));
	BkcFileList *list = palloc0(sizeof(*list));
	BkcCopySpec spec = {0};
	bool		sealed;
	BkcError	err;

	bkc_list_init(list);
	bkc_guard(close_list, list);
	bkc_guard(close_store, store);
	bkc_guard(close_copier, copier);
	spec.job = worker_job;
	spec.label = worker_job->label;
	spec.worker = worker_extra.number;
	spec.system_identifier = GetSystemIdentifier();
	spec.check_pages = DataChecksumsEnabled();
	spec.max_rate = (uint64) bkc_set_max_rate * 1024 / Max(1, worker_job->workers_wanted);
	bkc_settings_codec(repo, args->compression[0] ? args->compression : NULL,
					   &spec.codec, &spec.level);
	if (!bkc_repo_open(repo, store, &err))
		bkc_ereport(ERROR, &err);
	spec.store = *store;
	if (!bkc_store_use_class(*store, args->storage_class, &err))
		bkc_ereport(ERROR, &err);

	/* whatever the settings have become, a backup is sealed as a whole or not at all */
	if (!bkc_keyring_seals(*store, &sealed, &err))
		bkc_ereport(ERROR, &err);
	if (sealed != worker_job->sealed)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pg_backupctl.encryption was changed while the backup started")));
	if (sealed && !bkc_keyring_use_backup(*store, spec.system_identifier, spec.label,
										  worker_job->data_key, &err))
		bkc_ereport(ERROR, &err);
	if (!bkc_list_open(worker_job->label, list, &err) ||
		!bkc_copier_new(&spec, copier, &err) ||
		!bkc_copier_run(*copier, list, &err) ||
		!bkc_copier_finish(*copier, &err))
		bkc_ereport(ERROR, &err);
}

void
bkc_worker_main(Datum main_arg)
{
	MemoryContext context;

	bkc_process_begin();
	worker_attach(DatumGetInt32(main_arg));
	/* no database: DROP DATABASE is not held up, but pg_stat_activity shows us */
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	CurrentResourceOwner = ResourceOwnerCreate(NULL, "pg_backupctl");
	bkc_host_install();
	bkc_host_watch(worker_stop);

	context = AllocSetContextCreate(TopMemoryContext, "pg_backupctl copy",
									ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	pgstat_report_activity(STATE_RUNNING, psprintf("copying files of %s", worker_job->label));
	PG_TRY();
	{
		worker_work();
		MemoryContextSwitchTo(TopMemoryContext);
		MemoryContextDelete(context);
		worker_result(NULL);
	}
	PG_CATCH();
	{
		ErrorData  *edata;
		BkcReport	report;

		MemoryContextSwitchTo(TopMemoryContext);
		edata = CopyErrorData();
		if (pg_atomic_read_u32(&worker_job->stop) == 0)
			EmitErrorReport();
		FlushErrorState();
		LWLockReleaseAll();
		bkc_report_from_errordata(&report, edata);
		/* closes what is open and discards the unfinished pack */
		MemoryContextDelete(context);
		worker_result(&report);
	}
	PG_END_TRY();
	proc_exit(0);
}
