/*
 * walhelper.c
 *		See walhelper.h.
 *
 * A helper takes segments from the queue and fills it from archive_status when it runs
 * low.  It never reports anything to PostgreSQL: that is the archiver's part.
 */
#include "pgcompat.h"

#include "access/xlog_internal.h"
#include "base/fault.h"
#include "errors.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "settings.h"
#include "ship.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
#include "waldisk.h"
#include "walhelper.h"
#include "walshared.h"

#define QUEUE_LOW		32		/* look for more when fewer are to be done */
#define QUEUE_REFILL	256
#define LOOK_MS			200		/* not more often */
#define IDLE_MS			10000	/* then the helper leaves */
#define START_MS		1000	/* between two attempts to start helpers */

void
bkc_walhelpers_start(void)
{
	static TimestampTz tried = 0;
	TimestampTz now = GetCurrentTimestamp();
	BackgroundWorker worker = {0};
	int			missing;

	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	missing = bkc_set_wal_workers - (int) bkc_wal->queue.helpers;
	LWLockRelease(bkc_wal->lock);
	if (missing <= 0 || !TimestampDifferenceExceeds(tried, now, START_MS))
		return;
	tried = now;
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, "pg_backupctl", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "bkc_walhelper_main", sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "pg_backupctl WAL helper", sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, "pg_backupctl WAL helper", sizeof(worker.bgw_type));
	for (int i = 0; i < missing; i++)
		if (!RegisterDynamicBackgroundWorker(&worker, NULL))
			break;
}

static void
helper_exit(int code, Datum arg)
{
	LWLockReleaseAll();
	bkc_queue_release(MyProcPid);
	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	bkc_wal->queue.helpers--;
	LWLockRelease(bkc_wal->lock);
	bkc_ship_close();
}

/*
 * One place among those that are wanted; more were started than that when two archivers
 * asked.
 */
static bool
helper_attach(void)
{
	bool		wanted;

	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	wanted = (int) bkc_wal->queue.helpers < bkc_set_wal_workers;
	if (wanted)
		bkc_wal->queue.helpers++;
	LWLockRelease(bkc_wal->lock);
	if (wanted)
		before_shmem_exit(helper_exit, (Datum) 0);
	return wanted;
}

/* More segments into the queue, when it runs low and the last look is not just over. */
static void
refill(uint32 usable)
{
	static TimestampTz looked = 0;
	TimestampTz now = GetCurrentTimestamp();
	BkcWalReady ready[QUEUE_REFILL];
	TimeLineID	timeline;
	XLogSegNo	last;
	BkcError	err;
	int			n;

	if (bkc_queue_todo(usable, &timeline, &last) >= QUEUE_LOW ||
		!TimestampDifferenceExceeds(looked, now, LOOK_MS))
		return;
	looked = now;
	bkc_queue_prune();
	n = bkc_waldisk_ready(timeline, timeline == 0 ? 0 : last + 1, ready, QUEUE_REFILL, &err);
	if (n < 0)
		bkc_ereport(ERROR, &err);
	for (int i = 0; i < n; i++)
		bkc_queue_add(ready[i].timeline, ready[i].segno);
}

static TimestampTz deadline;	/* of the segment that is being sent */

static bool
time_is_up(void)
{
	return GetCurrentTimestamp() >= deadline;
}

/* One segment to one repository; false when there was nothing to do, or it failed. */
static bool
help_once(void)
{
	int			repos[BKC_MAX_REPOS];
	const BkcRepoList *list;
	uint32		usable = 0;
	TimeLineID	timeline;
	XLogSegNo	segno;
	char		file[MAXFNAMELEN];
	char		path[MAXPGPATH];
	BkcError	err;
	int			repo;
	bool		ok = false;

	bkc_error_clear(&err);
	list = bkc_ship_repositories(repos, &err);
	if (list == NULL)
		bkc_ereport(ERROR, &err);
	for (size_t i = 0; i < list->count; i++)
		usable |= 1u << repos[i];
	refill(usable);
	if (!bkc_queue_take(usable, &timeline, &segno, &repo))
		return false;

	XLogFileName(file, timeline, segno, wal_segment_size);
	snprintf(path, sizeof(path), XLOGDIR "/%s", file);
	deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
										   (int64) bkc_set_archive_timeout * 1000);
	bkc_host_watch(time_is_up);
	for (size_t i = 0; i < list->count; i++)
		if (repos[i] == repo)
			ok = bkc_fault(BKC_FAULT_HELPER_SEGMENT, &err) &&
				bkc_ship_file(&list->items[i], repo, file, path, false, time_is_up, &err) &&
				bkc_fault(BKC_FAULT_HELPER_STORED, &err);
	bkc_host_watch(NULL);
	bkc_queue_done(timeline, segno, repo, ok);
	if (!ok && err.code == BKC_ERR_CANCELLED)
		bkc_ereport(ERROR, &err);
	return ok;
}

static void
help(void)
{
	TimestampTz busy = GetCurrentTimestamp();
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "pg_backupctl WAL helper",
												  ALLOCSET_DEFAULT_SIZES);

	MemoryContextSwitchTo(context);
	while (!TimestampDifferenceExceeds(busy, GetCurrentTimestamp(), IDLE_MS))
	{
		MemoryContextReset(context);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		if (!bkc_wal_archiving())
			return;
		if (help_once())
		{
			busy = GetCurrentTimestamp();
			continue;
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 LOOK_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
}

void
bkc_walhelper_main(Datum main_arg)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	if (!helper_attach())
		proc_exit(0);
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	CurrentResourceOwner = ResourceOwnerCreate(NULL, "pg_backupctl");
	bkc_host_install();
	pgstat_report_activity(STATE_RUNNING, "sending WAL ahead of the archiver");
	PG_TRY();
	{
		help();
	}
	PG_CATCH();
	{
		/* with status 0: any other would restart the whole server */
		EmitErrorReport();
		FlushErrorState();
	}
	PG_END_TRY();
	proc_exit(0);
}
