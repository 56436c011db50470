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
#include "errors.h"
#include "job.h"
#include "launcher.h"
#include "settle.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "process.h"
#include "settings.h"
#include "storage/ipc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"
#include "walhelper.h"

#define NAP_MS				10000
#define SETTLE_RETRY_MS		15000
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

/* the last settle job we started, NULL when it has ended */
static BkcJobHandle *settle_job = NULL;

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

static void
start_settle(void)
{
	BkcJobArgs	args = {.kind = BKC_JOB_SETTLE};
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	strlcpy(args.requested_by, "launcher", sizeof(args.requested_by));
	PG_TRY();
	{
		settle_job = bkc_job_start(&args, false);
	}
	PG_CATCH();
	{
		/* no slot or worker free: again after the restart of this process */
		bkc_settle_failed(NULL, NULL, false);
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
}

/* A settle job that never came to life must not keep its slot. */
static void
watch_settle(void)
{
	if (settle_job == NULL)
		return;
	if (bkc_job_lost(settle_job))
	{
		bkc_settle_failed(NULL, NULL, false);
		bkc_job_detach(settle_job);
	}
	else if (bkc_job_alive(settle_job))
		return;
	pfree(settle_job);
	settle_job = NULL;
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
			/* perhaps just what was in the way: no need to wait any longer, nor for one at work */
			LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
			bkc_shared->settle_failures = 0;
			if (settle_job != NULL)
				bkc_shared->settle = true;
			LWLockRelease(bkc_shared->lock);
		}
		remove_prefetched();
		watch_settle();
		if (settle_job == NULL && settle_due())
			start_settle();

		/* archiver and streamer may both hang in one repository; we go to none */
		bkc_walhelpers_watch();
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 NAP_MS, PG_WAIT_EXTENSION);
	}
}
