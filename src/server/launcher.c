/*
 * launcher.c
 *		See launcher.h.
 *
 * It starts the settle job after a start of the server and whenever a job
 * ended badly.  It holds no connection to a database itself: that would
 * block DROP DATABASE and the use as a template for as long as the server
 * runs.  What needs the catalog is a short-lived job.
 */
#include "pgcompat.h"

#include "access/xlog_internal.h"
#include "base/file.h"
#include "clockjump.h"
#include "errors.h"
#include "job.h"
#include "jobargs.h"
#include "leader.h"
#include "launcher.h"
#include "schedule.h"
#include "settingnote.h"
#include "settle.h"
#include "miscadmin.h"
#include "notify.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "process.h"
#include "settings.h"
#include "storage/ipc.h"
#include "sync.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"
#include "walhelper.h"

#define NAP_MS				10000
#define LEAST_NAP_MS		100
#define SETTLE_RETRY_MS		15000
#define LOST_MS				(5 * 60 * 1000)
#define SETTLE_DOUBLINGS	6		/* 16 minutes at the most */
#define RESTART_SECONDS		10
#define PREFETCH_DIR		XLOGDIR "/pg_backupctl-prefetch"
#define PREFETCH_ATTEMPTS	6

void
bkc_launcher_register(void)
{
	BackgroundWorker worker;

	bkc_process_describe(&worker, "bkc_launcher_main", "pg_backupctl launcher",
						 BgWorkerStart_RecoveryFinished, RESTART_SECONDS);
	RegisterBackgroundWorker(&worker);
}

/* the last jobs we started, NULL when they have ended */
static BkcJobHandle *settle_job = NULL;
static BkcJobHandle *schedule_job = NULL;
static BkcJobHandle *notify_job = NULL;

static void
launcher_exit(int code, Datum arg)
{
	LWLockReleaseAll();
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	if (bkc_shared->launcher == MyLatch)
		bkc_shared->launcher = NULL;
	LWLockRelease(bkc_shared->lock);
}

/* Is there something to settle, nobody at it, and the last failure long enough ago? */
static bool
settle_due(void)
{
	bool		due;

	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	due = bkc_shared->settle;
	for (int i = 0; i < BKC_MAX_JOBS && due; i++)
		due = bkc_shared->jobs[i].state == BKC_JOB_FREE ||
			bkc_shared->jobs[i].args.kind != BKC_JOB_SETTLE;
	if (due && bkc_shared->settle_failures > 0)
	{
		/* later and later, so that a repository that is away does not fill the log */
		int			doublings = Min(bkc_shared->settle_failures - 1, SETTLE_DOUBLINGS);

		due = TimestampDifferenceExceeds(bkc_shared->settle_failed, GetCurrentTimestamp(),
										 SETTLE_RETRY_MS << doublings);
	}
	if (due)
		bkc_shared->settle = false;
	LWLockRelease(bkc_shared->lock);
	return due;
}

/* No slot or worker may be free: again later. */
static void
start(BkcJobKind kind, BkcJobHandle **handle)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	BkcJobArgs	args;

	bkc_jobargs_begin(&args, kind, "launcher");
	PG_TRY();
	{
		*handle = bkc_job_start(&args, false);
	}
	PG_CATCH();
	{
		/* after the restart of this process */
		if (kind == BKC_JOB_SETTLE)
		{
			bkc_settle_failed(NULL, NULL, false);
			PG_RE_THROW();
		}

		/* the others look again in a minute, and nobody is to be held up by them */
		MemoryContextSwitchTo(old);
		EmitErrorReport();
		FlushErrorState();
		*handle = NULL;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
}

/* A job that never came to life must not keep its slot. */
static void
watch(BkcJobHandle **handle)
{
	if (*handle == NULL)
		return;
	if (bkc_job_lost(*handle))
	{
		if ((*handle)->job->args.kind == BKC_JOB_SETTLE)
			bkc_settle_failed(NULL, NULL, false);
		bkc_job_detach(*handle);
	}
	else if (bkc_job_alive(*handle))
		return;
	pfree((*handle)->worker);
	pfree(*handle);
	*handle = NULL;
}

/*
 * What wal-get has fetched ahead for a recovery that is over now; nobody else would remove it.
 * A process of its own may still be writing there, so it is tried a few times.
 */
static void
remove_prefetched(void)
{
	static int	attempts = PREFETCH_ATTEMPTS;
	BkcError	err;

	if (attempts == 0)
		return;
	attempts--;
	if (bkc_dir_remove_tree(PREFETCH_DIR, false, &err))
		attempts = 0;
	else if (attempts == 0)
		bkc_ereport(LOG, &err);
}

/* By watch(); one that a former life of this process has started is not. */
static bool
is_watched(const BkcJob *job)
{
	return (settle_job != NULL && settle_job->job == job) ||
		(schedule_job != NULL && schedule_job->job == job) ||
		(notify_job != NULL && notify_job->job == job);
}

/*
 * A leader that has not come within minutes will not (there was no memory for its process); one
 * that does finds the slot not requested.  Sessions look after their own jobs.
 */
static void
free_lost_slots(void)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		found = false;

	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < BKC_MAX_JOBS; i++)
	{
		BkcJob	   *job = &bkc_shared->jobs[i];

		if (job->state == BKC_JOB_REQUESTED && !job->waiter &&
			!is_watched(job) &&
			TimestampDifferenceExceeds(job->started, now, LOST_MS))
		{
			job->state = BKC_JOB_FREE;
			found = true;
		}
	}
	LWLockRelease(bkc_shared->lock);
	if (found)
		bkc_schedule_request();
}

/* Without a database to connect to there is nothing to hurry for. */
static long
nap(void)
{
	long		ms;

	if (!bkc_shared->connected)
		return NAP_MS;
	ms = Min(schedule_job != NULL ? NAP_MS : bkc_schedule_nap(NAP_MS),
			 notify_job != NULL ? NAP_MS : bkc_notify_nap(NAP_MS));

	/* what is due may be in the hands of a job that a former life of this process has started */
	return Max(ms, LEAST_NAP_MS);
}

void
bkc_launcher_main(Datum main_arg)
{
	MemoryContext context;

	bkc_process_begin();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	before_shmem_exit(launcher_exit, (Datum) 0);
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	bkc_shared->launcher = MyLatch;
	LWLockRelease(bkc_shared->lock);
	pgstat_report_activity(STATE_IDLE, NULL);

	context = AllocSetContextCreate(TopMemoryContext, "pg_backupctl launcher",
									ALLOCSET_DEFAULT_SIZES);
	for (;;)
	{
		MemoryContextSwitchTo(context);
		MemoryContextReset(context);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (bkc_process_reload())
		{
			bool		pending = bkc_sync_pending(NULL);

			bkc_settingnote_request();

			/* perhaps just what was in the way: no need to wait any longer, nor for one at work */
			LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
			bkc_shared->settle_failures = 0;
			if (settle_job != NULL || pending)
				bkc_shared->settle = true;
			LWLockRelease(bkc_shared->lock);
		}
		bkc_clockjump_watch();
		free_lost_slots();
		remove_prefetched();
		watch(&settle_job);
		watch(&schedule_job);
		watch(&notify_job);
		if (settle_job == NULL && settle_due())
			start(BKC_JOB_SETTLE, &settle_job);
		if (bkc_shared->connected && schedule_job == NULL && bkc_schedule_due())
			start(BKC_JOB_SCHEDULE, &schedule_job);
		if (bkc_shared->connected && notify_job == NULL && bkc_notify_due())
			start(BKC_JOB_NOTIFY, &notify_job);

		/* archiver and streamer may both hang in one repository; we go to none */
		bkc_walhelpers_watch();
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 nap(), PG_WAIT_EXTENSION);
	}
}
