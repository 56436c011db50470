/*
 * walhelper.c
 *		See walhelper.h.
 *
 * A helper takes segments from the repositories' windows.  It never reports
 * anything to PostgreSQL: that is the archiver's part.
 *
 * While a repository has yet to answer for one segment, the helper begins the next if one
 * waits; else it waits for the answer, so that a single segment is never late for that.  Each
 * counts as durable when its own answer has come.  When one fails, the one behind it goes back to
 * the queue: it will be found in the repository, or sent again.
 */
#include "pgcompat.h"

#include <sys/stat.h>

#include "access/xlog_internal.h"
#include "base/fault.h"
#include "errors.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "process.h"
#include "settings.h"
#include "ship.h"
#include "storage/ipc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
#include "waldisk.h"
#include "walhelper.h"
#include "walnext.h"
#include "walshared.h"

#define LOOK_MS			200		/* between two looks when there was nothing to do */
#define NEXT_MS			1000	/* the same, for where a window could go on */
#define IDLE_MS			10000	/* then the helper leaves */
#define START_MS		1000	/* between two attempts to start helpers */

/* Those that this process started last; one that cannot start yet keeps its slot. */
#define HANDLES 32
static BackgroundWorkerHandle *handles[HANDLES];

static bool
some_are_coming(void)
{
	bool		coming = false;

	for (int i = 0; i < HANDLES; i++)
	{
		pid_t		pid;

		if (handles[i] == NULL)
			continue;
		if (GetBackgroundWorkerPid(handles[i], &pid) == BGWH_NOT_YET_STARTED)
			coming = true;
		else
		{
			pfree(handles[i]);
			handles[i] = NULL;
		}
	}
	return coming;
}

void
bkc_walhelpers_start(void)
{
	static TimestampTz tried = 0;
	TimestampTz now = GetCurrentTimestamp();
	BackgroundWorker worker;
	MemoryContext old;
	int			missing;

	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	missing = bkc_set_wal_workers - (int) bkc_wal->helpers;
	LWLockRelease(bkc_wal->lock);
	if (missing <= 0 || !TimestampDifferenceExceeds(tried, now, START_MS) || some_are_coming())
		return;
	tried = now;
	bkc_process_describe(&worker, "bkc_walhelper_main", "pg_backupctl WAL helper",
						 BgWorkerStart_ConsistentState, BGW_NEVER_RESTART);
	old = MemoryContextSwitchTo(TopMemoryContext);
	for (int i = 0; i < Min(missing, HANDLES); i++)
		if (!RegisterDynamicBackgroundWorker(&worker, &handles[i]))
		{
			handles[i] = NULL;
			break;
		}
	MemoryContextSwitchTo(old);
}

/* Listed, somebody is stuck there, and the back-off does not know of it. */
static bool
is_to_be_noted(int repo)
{
	bool		noted;

	if (!bkc_queue_stuck_at(repo))
		return false;
	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	noted = !bkc_wal->repos[repo].listed ||
		bkc_wal->repos[repo].retry_at > GetCurrentTimestamp();
	LWLockRelease(bkc_wal->lock);
	return !noted;
}

void
bkc_walhelpers_note_stuck(int repo, const char *file)
{
	TimestampTz since = bkc_queue_since(repo);
	BkcError	err;

	if (since == 0)
		return;					/* it has just come to one */
	bkc_error_clear(&err);
	bkc_error_set(&err, BKC_ERR_TIMEOUT, "repository \"%s\": a process has been at one WAL file since %s",
				  bkc_wal->repos[repo].name, timestamptz_to_str(since));
	bkc_error_hint(&err, "A call of the operating system may not return.  Look at the file system that holds the repository.");
	bkc_wal_note_failure(repo, file, &err);
	bkc_ereport(WARNING, &err);
}

void
bkc_walhelpers_watch(void)
{
	if (!bkc_wal_archiving())
		return;
	for (int r = 0; r < BKC_MAX_REPOS; r++)
		if (is_to_be_noted(r))
			bkc_walhelpers_note_stuck(r, "");
	if (bkc_queue_hangs())
		bkc_walhelpers_start();
}

static void
helper_exit(int code, Datum arg)
{
	LWLockReleaseAll();
	bkc_queue_release(MyProcPid);
	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	bkc_wal->helpers--;
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
	wanted = (int) bkc_wal->helpers < bkc_set_wal_workers;
	if (wanted)
		bkc_wal->helpers++;
	LWLockRelease(bkc_wal->lock);
	if (wanted)
		before_shmem_exit(helper_exit, (Datum) 0);
	return wanted;
}

static TimestampTz deadline;	/* of the segment that is being sent, of two the first */

static bool
time_is_up(void)
{
	return GetCurrentTimestamp() >= deadline;
}

/* Does the segment wait for the archiver?  Its name goes to file. */
static bool
is_waiting(const BkcWalTask *task, char file[MAXFNAMELEN])
{
	char		path[MAXPGPATH];
	struct stat st;

	XLogFileName(file, task->timeline, task->segno, wal_segment_size);
	StatusFilePath(path, file, ".ready");
	return stat(path, &st) == 0;
}

/* The next segment that waits and that one of these repositories needs. */
static bool
take_waiting(uint32 usable, BkcWalTask *task, char file[MAXFNAMELEN])
{
	while (bkc_queue_take(usable, task))
	{
		if (is_waiting(task, file))
			return true;
		bkc_queue_done(task, false);
		usable &= ~(1u << task->repo);
	}
	return false;
}

/* The repositories as they are set now, and a bit mask of them. */
static const BkcRepoList *
repositories(int index[], uint32 *usable)
{
	const BkcRepoList *list;
	BkcError	err;

	bkc_error_clear(&err);
	list = bkc_ship_repositories(index, &err);
	if (list == NULL)
		bkc_ereport(ERROR, &err);
	*usable = 0;
	for (size_t i = 0; i < list->count; i++)
		*usable |= 1u << index[i];
	return list;
}

/* The repository of a task that was taken for one of them. */
static const BkcRepoDef *
repository_of(const BkcRepoList *list, const int index[], const BkcWalTask *task)
{
	size_t		i = 0;

	while (index[i] != task->repo)
		i++;
	return &list->items[i];
}

bool
bkc_walhelp_once(uint32 *repos, bool (*time_is_up) (void))
{
	int			index[BKC_SET_REPOS];
	const BkcRepoList *list;
	uint32		usable;
	BkcWalTask	task;
	char		file[MAXFNAMELEN];
	char		path[MAXPGPATH];
	BkcError	err;
	bool		ok;

	bkc_error_clear(&err);
	list = repositories(index, &usable);
	if (!take_waiting(usable & *repos, &task, file))
		return false;

	snprintf(path, sizeof(path), XLOGDIR "/%s", file);
	bkc_host_watch(time_is_up);
	ok = bkc_fault(BKC_FAULT_HELPER_SEGMENT, &err) &&
		bkc_ship_file(repository_of(list, index, &task), task.repo, file, path, false, time_is_up,
					   &err) &&
		bkc_fault(BKC_FAULT_HELPER_STORED, &err);
	bkc_host_watch(NULL);
	bkc_queue_done(&task, ok);
	if (!ok && err.code == BKC_ERR_CANCELLED)
		bkc_ereport(ERROR, &err);
	if (!ok)
		*repos &= ~(1u << task.repo);
	return true;
}

static TimestampTz
end_of_time(void)
{
	return TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
									   (int64) bkc_set_archive_timeout * 1000);
}

/* What this helper has begun, in this order. */
typedef struct Flight
{
	BkcWalTask	task;
	const BkcRepoDef *def;
	TimestampTz deadline;
} Flight;

static Flight flights[2];
static int	nflights = 0;

/* Wait until the first is durable, and say so. */
static bool
finish_flight(void)
{
	BkcError	err;
	bool		ok;

	bkc_error_clear(&err);
	bkc_host_watch(time_is_up);
	ok = (nflights < 2 || bkc_fault(BKC_FAULT_HELPER_TWO, &err)) &&
		bkc_ship_finish(time_is_up, &err) && bkc_fault(BKC_FAULT_HELPER_STORED, &err);
	bkc_host_watch(NULL);
	bkc_queue_done(&flights[0].task, ok);
	if (ok)
	{
		flights[0] = flights[1];
		deadline = flights[0].deadline;
		nflights--;
		return true;
	}
	bkc_ship_give_up();
	if (nflights > 1)
		bkc_queue_done(&flights[1].task, false);
	nflights = 0;
	if (err.code == BKC_ERR_CANCELLED)
		bkc_ereport(ERROR, &err);
	return false;
}

/* Before anything else than sending is done. */
static void
finish_flights(void)
{
	while (nflights > 0)
		(void) finish_flight();
}

/* What waits next for one of these repositories; beside a first one, for the same. */
static bool
take_flight(uint32 usable, BkcWalTask *task, char file[MAXFNAMELEN])
{
	if (nflights == 0)
		return take_waiting(usable, task, file);
	if (ConfigReloadPending || !bkc_ship_has_room(flights[0].def) ||
		!bkc_queue_take_next(&flights[0].task, usable, task))
		return false;
	if (is_waiting(task, file))
		return true;
	bkc_queue_done(task, false);
	return false;
}

static bool
begin_flight(void)
{
	int			index[BKC_SET_REPOS];
	uint32		usable;
	const BkcRepoList *list = repositories(index, &usable);
	Flight	   *flight = &flights[nflights];
	char		file[MAXFNAMELEN];
	char		path[MAXPGPATH];
	BkcError	err;
	bool		ok;

	if (!take_flight(usable, &flight->task, file))
		return false;
	flight->def = repository_of(list, index, &flight->task);
	flight->deadline = end_of_time();
	if (nflights == 0)
		deadline = flight->deadline;
	bkc_error_clear(&err);
	snprintf(path, sizeof(path), XLOGDIR "/%s", file);
	bkc_host_watch(time_is_up);
	ok = bkc_fault(BKC_FAULT_HELPER_SEGMENT, &err);
	if (ok)
	{
		bkc_ship_begin(flight->def, flight->task.repo, file, path, false);
		nflights++;
	}
	bkc_host_watch(NULL);
	if (ok)
		return true;
	bkc_queue_done(&flight->task, false);
	if (err.code == BKC_ERR_CANCELLED)
		bkc_ereport(ERROR, &err);
	return false;
}

/* A segment was begun, so that the next may be, or sent. */
static bool
help_once(void)
{
	if (begin_flight() && nflights == 1 && bkc_ship_has_room(flights[0].def))
		return true;
	return nflights > 0 && finish_flight();
}

/* The archiver may be at something else, or hang: a window was moved to what waits. */
static bool
look_further(void)
{
	static TimestampTz looked_at = 0;

	if (!TimestampDifferenceExceeds(looked_at, GetCurrentTimestamp(), NEXT_MS))
		return false;
	looked_at = GetCurrentTimestamp();
	deadline = end_of_time();
	return bkc_walnext(PG_UINT32_MAX, time_is_up);
}

static void
help(void)
{
	TimestampTz busy = GetCurrentTimestamp();
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "pg_backupctl WAL helper",
												  ALLOCSET_DEFAULT_SIZES);

	MemoryContextSwitchTo(context);

	/* nobody would call another one while the archiver hangs */
	while (!TimestampDifferenceExceeds(busy, GetCurrentTimestamp(), IDLE_MS) ||
		   bkc_queue_hangs())
	{
		MemoryContextReset(context);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
			finish_flights();	/* the repositories may be others afterwards */
		(void) bkc_process_reload();
		if (!bkc_wal_archiving())
			break;
		if (help_once())
		{
			busy = GetCurrentTimestamp();
			continue;
		}
		if (look_further())
			continue;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 LOOK_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	finish_flights();
}

void
bkc_walhelper_main(Datum main_arg)
{
	bkc_process_begin();
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
