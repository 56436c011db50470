/*
 * archive.c
 *		The archive module: what PostgreSQL's archiver calls for each file.
 *
 * true means: durable in every repository.  The file is there because a WAL
 * helper has sent it ahead, or because we send it now; this module works
 * with every other process gone, as in a shutdown's last cycle.
 *
 * Time is bounded: for each file, and in total for the last cycle, which the postmaster waits for.
 * What could not be sent stays .ready and is offered again after the next start.
 */
#include "pgcompat.h"

#include <sys/stat.h>
#include <unistd.h>

#include "access/xlog_internal.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/host.h"
#include "catalog/pg_control.h"
#include "errors.h"
#include "format/pgfiles.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/pg_crc32c.h"
#include "postmaster/interrupt.h"
#include "postmaster/pgarch.h"
#include "settings.h"
#include "ship.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/pmsignal.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
#include "walhelper.h"
#include "walshared.h"

#define WAIT_SLICE_MS	100
#define LOOK_MS			500		/* between two looks at what happens meanwhile */

/* ---- may anything be archived? ---- */

static const char *
not_configured(void)
{
	if (bkc_wal == NULL)
		return "shared_preload_libraries does not name pg_backupctl; add it and restart the server";
	if (!bkc_set_enabled)
		return "pg_backupctl.enabled is off, as in every restored clone; WAL waits";
	if (bkc_set_repositories == NULL || bkc_set_repositories[0] == '\0')
		return "pg_backupctl.repositories is empty; WAL waits";
	return NULL;
}

/* PostgreSQL repeats its WARNING in every cycle; ours tells the reason once. */
static void
tell_reason(const char *reason)
{
	static const char *told = NULL;

	if (reason == told)
		return;
	told = reason;
	if (reason != NULL)
		ereport(WARNING,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pg_backupctl does not archive"),
				 errdetail("%s.", reason)));
}

/* Only on 15; later versions refuse both by themselves. */
static void
tell_archive_command(void)
{
	static bool told = false;

	if (!told && XLogArchiveCommand != NULL && XLogArchiveCommand[0] != '\0')
		ereport(WARNING,
				(errmsg("archive_command is ignored"),
				 errdetail("archive_library is set to \"%s\".", XLogArchiveLibrary),
				 errhint("Set archive_command to an empty string; PostgreSQL 16 and later refuse both together.")));
	told = true;
}

static bool
archive_configured(void)
{
	const char *reason = not_configured();

	tell_archive_command();
	tell_reason(reason);
	if (reason == NULL)
		return true;
	bkc_pg_archive_detail(reason);
	return false;
}

/* ---- time ---- */

/* Is the segment behind this one ready, too?  Then helpers are worth their start. */
static bool
more_is_ready(const char *file)
{
	TimeLineID	timeline;
	XLogSegNo	segno;
	char		next[MAXFNAMELEN];
	char		path[MAXPGPATH];
	struct stat st;

	if (!bkc_wal_is_segment(file))
		return false;
	XLogFromFileName(file, &timeline, &segno, wal_segment_size);
	XLogFileName(next, timeline, segno + 1, wal_segment_size);
	StatusFilePath(path, next, ".ready");
	return stat(path, &st) == 0;
}

static const char *sending;		/* the file that PostgreSQL has given us */
static TimestampTz deadline;	/* of this file in one repository */
static TimestampTz looked_at;	/* when we last looked around */
static bool last_cycle;			/* it is: no helper will come */

/*
 * Is this the archiver's last cycle, for which the postmaster waits?  The
 * checkpointer has written the shutdown checkpoint before it begins.  Does not
 * raise; a file that is just being written counts as "no", and is looked at again.
 */
static bool
is_shut_down(void)
{
	ControlFileData control;
	BkcError	err;
	pg_crc32c	crc;
	size_t		got;
	int			fd;
	bool		ok;

	fd = bkc_file_open_read(XLOG_CONTROL_FILE, &err);
	if (fd < 0)
		return false;
	ok = bkc_file_pread(fd, XLOG_CONTROL_FILE, &control, sizeof(control), 0, &got, &err) &&
		got == sizeof(control);
	close(fd);
	if (!ok)
		return false;
	INIT_CRC32C(crc);
	COMP_CRC32C(crc, &control, offsetof(ControlFileData, crc));
	FIN_CRC32C(crc);
	return EQ_CRC32C(crc, control.crc) &&
		(control.state == DB_SHUTDOWNED || control.state == DB_SHUTDOWNED_IN_RECOVERY);
}

/* The last cycle may begin while we are at a file that was begun with plenty of time. */
static void
look_for_shutdown(TimestampTz now)
{
	TimestampTz end;

	last_cycle = is_shut_down();
	if (!last_cycle)
	{
		bkc_wal->shutdown_began = 0;
		return;
	}
	if (bkc_wal->shutdown_began == 0)
		bkc_wal->shutdown_began = now;
	end = TimestampTzPlusMilliseconds(bkc_wal->shutdown_began,
									  (int64) bkc_set_shutdown_timeout * 1000);
	deadline = Min(deadline, end);
}

/* What may change while a file is being sent: more becomes ready, the server is shut down. */
static void
look_around(TimestampTz now)
{
	looked_at = now;
	look_for_shutdown(now);
	if (!last_cycle && more_is_ready(sending))
		bkc_walhelpers_start();
}

static void
begin_time(const char *file)
{
	TimestampTz now = GetCurrentTimestamp();

	sending = file;
	deadline = TimestampTzPlusMilliseconds(now, (int64) bkc_set_archive_timeout * 1000);
	look_around(now);
}

static bool
time_is_up(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (!last_cycle && TimestampDifferenceExceeds(looked_at, now, LOOK_MS))
		look_around(now);
	return now >= deadline;
}

/* ---- one file ---- */

/* Somebody else is at it: wait until it is not so any more. */
static BkcWalState
wait_for_helper(const BkcWalTask *task)
{
	BkcWalState state;

	ConditionVariablePrepareToSleep(&bkc_wal->cv);
	while ((state = bkc_queue_want(task)) == BKC_WAL_BUSY &&
		   !time_is_up())
	{
		CHECK_FOR_INTERRUPTS();
		(void) ConditionVariableTimedSleep(&bkc_wal->cv, WAIT_SLICE_MS, PG_WAIT_EXTENSION);
		if (!PostmasterIsAlive())
			proc_exit(1);

		/* that took what PostgreSQL's own loop may be waiting for */
		SetLatch(MyLatch);
	}
	ConditionVariableCancelSleep();
	return state;
}

/*
 * A repository that failed just now is left alone for a while, so that the others are not
 * held up; in the last cycle there is no later.
 */
static bool
in_backoff(int repo)
{
	bool		waiting;

	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	waiting = !last_cycle && bkc_wal->repos[repo].retry_at > GetCurrentTimestamp();
	LWLockRelease(bkc_wal->lock);
	return waiting;
}

static bool
archive_segment_to(const BkcRepoDef *def, int repo, const char *file, const char *path,
				   BkcError *err)
{
	BkcWalTask	task = {.repo = repo};
	BkcWalState state;
	bool		ok;

	XLogFromFileName(file, &task.timeline, &task.segno, wal_segment_size);
	state = wait_for_helper(&task);
	if (state == BKC_WAL_DURABLE)
		return true;
	if (state == BKC_WAL_BUSY)
	{
		bkc_error_set(err, BKC_ERR_TIMEOUT, "repository \"%s\": a WAL helper is still at \"%s\"",
					  def->name, file);
		bkc_ereport(WARNING, err);
		return false;
	}
	ok = !in_backoff(repo) && bkc_ship_file(def, repo, file, path, false, time_is_up, err);
	bkc_queue_done(&task, ok);
	return ok;
}

static bool
archive_to(const BkcRepoDef *def, int repo, const char *file, const char *path, BkcError *err)
{
	if (bkc_wal_is_segment(file))
		return archive_segment_to(def, repo, file, path, err);
	return !in_backoff(repo) && bkc_ship_file(def, repo, file, path, true, time_is_up, err);
}

/*
 * The last cycle's time is up.  PostgreSQL would try the file three times with a second in
 * between, twice when the last cycle has yet to begin; as after a SIGTERM it begins no file
 * any more.
 */
static void
leave_the_rest(const char *file)
{
	if (!ShutdownRequestPending)
		ereport(LOG,
				(errmsg("pg_backupctl leaves WAL from \"%s\" on to be archived after the next start", file),
				 errdetail("Time for archiving during shutdown (pg_backupctl.shutdown_timeout) is up.")));
	ShutdownRequestPending = true;
}

/*
 * This file waits for one repository; the others get what comes behind it all
 * the same.  That is the helpers' work, if there are any.
 */
static void
go_ahead(const char *file)
{
	bool		alone;

	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	alone = bkc_wal->helpers == 0;
	LWLockRelease(bkc_wal->lock);
	begin_time(file);
	while (alone && !time_is_up() && bkc_walhelp_once(time_is_up))
		CHECK_FOR_INTERRUPTS();
}

/* Helpers may begin with every repository, also while we are at the first of them. */
static void
open_windows(const char *file, const int *repos, size_t n)
{
	BkcWalTask	task;

	if (!bkc_wal_is_segment(file))
		return;
	XLogFromFileName(file, &task.timeline, &task.segno, wal_segment_size);
	for (size_t i = 0; i < n; i++)
	{
		task.repo = repos[i];
		bkc_queue_reach(&task);
	}
}

static bool
archive_everywhere(const char *file, const char *path)
{
	int			repos[BKC_SET_REPOS];
	const BkcRepoList *list;
	BkcError	err;
	size_t		failed = 0;

	bkc_error_clear(&err);
	begin_time(file);
	if (time_is_up())
	{
		leave_the_rest(file);
		return false;
	}
	bkc_host_watch(time_is_up);
	list = bkc_ship_repositories(repos, &err);
	if (list == NULL || !bkc_fault(BKC_FAULT_ARCHIVE_FILE, &err))
	{
		bkc_ereport(WARNING, &err);
		return false;
	}

	bkc_wal_note_listed(repos, list->count);
	open_windows(file, repos, list->count);

	/* the others get it even if one cannot, and each has its time */
	for (size_t i = 0; i < list->count; i++)
	{
		begin_time(file);
		if (time_is_up() || !archive_to(&list->items[i], repos[i], file, path, &err))
			failed++;
	}
	if (failed > 0 && last_cycle && time_is_up())
		leave_the_rest(file);
	else if (failed > 0 && failed < list->count)
		go_ahead(file);
	if (failed > 0 || !bkc_fault(BKC_FAULT_ARCHIVE_STORED, &err))
		return false;
	bkc_wal_note_reported(file, repos, list->count);
	return true;
}

/*
 * The error boundary that 15 and 16 want of a module: an ERROR would end the
 * archiver there.  What is released is what they release themselves in their own loop.
 */
static void
release_after_error(void)
{
	HOLD_INTERRUPTS();
	EmitErrorReport();
	LWLockReleaseAll();
	ConditionVariableCancelSleep();
	pgstat_report_wait_end();
	ReleaseAuxProcessResources(false);
	AtEOXact_Files(false);
	AtEOXact_HashTables(false);
	bkc_host_watch(NULL);
	bkc_queue_release(MyProcPid);
	bkc_ship_close();
	RESUME_INTERRUPTS();
}

static bool
archive_file(const char *file, const char *path)
{
	static MemoryContext context = NULL;
	MemoryContext caller = CurrentMemoryContext;
	volatile bool ok = false;

	bkc_host_install();
	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "pg_backupctl archive",
										ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		ok = archive_everywhere(file, path);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		release_after_error();
		FlushErrorState();
		ok = false;
	}
	PG_END_TRY();
	bkc_host_watch(NULL);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(context);
	return ok;
}

static void
archive_shutdown(void)
{
	if (bkc_wal == NULL)
		return;
	LWLockReleaseAll();
	bkc_queue_release(MyProcPid);
	bkc_ship_close();
}

const BkcArchiveModule bkc_archive_module = {
	.configured = archive_configured,
	.file = archive_file,
	.shutdown = archive_shutdown
};
