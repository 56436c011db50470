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

#include "access/xlog_internal.h"
#include "archivetime.h"
#include "base/fault.h"
#include "base/host.h"
#include "errors.h"
#include "format/pgfiles.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/pg_bitutils.h"
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
#include "walnext.h"
#include "walshared.h"

#define WAIT_SLICE_MS	100

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

/* ---- one file, one repository ---- */

typedef enum TargetState
{
	TARGET_OPEN,
	TARGET_DONE,				/* durable there */
	TARGET_FAILED
} TargetState;

typedef struct Target
{
	const BkcRepoDef *def;
	int			repo;			/* in shared memory */
	TargetState state;
} Target;

static Target targets[BKC_SET_REPOS];
static int	ntargets;

/* Time was up there in the last cycle: it has had its share. */
static uint32 given_up;

static int
count(TargetState state)
{
	int			n = 0;

	for (int i = 0; i < ntargets; i++)
		n += targets[i].state == state;
	return n;
}

/* Who has this file still wants time for what is behind it. */
static int
sharers(void)
{
	return ntargets - count(TARGET_FAILED);
}

static uint32
mask_of(TargetState state)
{
	uint32		mask = 0;

	for (int i = 0; i < ntargets; i++)
		if (targets[i].state == state)
			mask |= 1u << targets[i].repo;
	return mask;
}

static BkcWalTask
task_of(const char *file, int repo)
{
	BkcWalTask	task = {.repo = repo};

	if (bkc_wal_is_segment(file))
		XLogFromFileName(file, &task.timeline, &task.segno, wal_segment_size);
	return task;
}

/*
 * A repository that failed just now is left alone for a while, so that the others are not
 * held up; in the last cycle there is no later, but also no second time-out.
 */
static bool
left_alone(int repo)
{
	bool		waiting;

	if (bkc_archive_last_cycle())
		return (given_up & (1u << repo)) != 0;
	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	waiting = bkc_wal->repos[repo].retry_at > GetCurrentTimestamp();
	LWLockRelease(bkc_wal->lock);
	return waiting;
}

static bool
troubled(int repo)
{
	bool		failing;

	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	failing = bkc_wal->repos[repo].failures_in_row > 0;
	LWLockRelease(bkc_wal->lock);
	return failing;
}

/* One step of the helpers' work, for these repositories; false when there is none. */
static bool
help_once(const char *file, uint32 *repos)
{
	uint32		before = *repos;
	bool		worked;

	if (before == 0 || (!bkc_archive_last_cycle() && bkc_queue_free_helper()))
		return false;
	bkc_archive_begin(file, pg_popcount32(before) + count(TARGET_OPEN));
	worked = bkc_walhelp_once(repos, bkc_archive_time_is_up) ||
		bkc_walnext(*repos, bkc_archive_time_is_up);
	bkc_host_watch(bkc_archive_time_is_up);
	if (bkc_archive_last_cycle() && bkc_archive_time_is_up())
		given_up |= before & ~*repos;
	return worked;
}

/*
 * Is it no use to wait for who is there?  When there is no other repository nobody suffers from
 * waiting for as long as a helper itself may take (archive_timeout).
 */
static bool
is_hopeless(int repo)
{
	return ntargets > 1 && (left_alone(repo) || bkc_queue_stuck_at(repo));
}

/*
 * Somebody else is at it: wait until it is not so any more.  Those that have the file get what
 * comes behind it meanwhile, when no helper is free for that.
 */
static BkcWalState
wait_for_helper(const Target *target, const char *file, const BkcWalTask *task)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													(int64) bkc_set_archive_timeout * 1000);
	uint32		others = mask_of(TARGET_DONE);
	bool		helped = false;
	BkcWalState state;

	while ((state = bkc_queue_want(task)) == BKC_WAL_BUSY && !is_hopeless(target->repo) &&
		   GetCurrentTimestamp() < until && !bkc_archive_time_is_up())
	{
		CHECK_FOR_INTERRUPTS();
		if (help_once(file, &others))
		{
			helped = true;
			continue;
		}
		(void) ConditionVariableTimedSleep(&bkc_wal->cv, WAIT_SLICE_MS, PG_WAIT_EXTENSION);
		if (!PostmasterIsAlive())
			proc_exit(1);

		/* that took what PostgreSQL's own loop may be waiting for */
		SetLatch(MyLatch);
	}
	ConditionVariableCancelSleep();
	if (helped)
		bkc_archive_begin(file, sharers());
	return state;
}

static bool
send_to(const Target *target, const char *file, const char *path, const BkcWalTask *task)
{
	bool		segment = bkc_wal_is_segment(file);
	BkcError	err;
	bool		ok;

	bkc_error_clear(&err);
	ok = !left_alone(target->repo) &&
		bkc_ship_file(target->def, target->repo, file, path, !segment, bkc_archive_time_is_up,
					  &err);
	if (ok && bkc_wal_is_history(file))
		bkc_queue_note_history(target->repo, bkc_wal_timeline(file));
	bkc_queue_done(task, ok);
	if (!ok && bkc_archive_last_cycle() && bkc_archive_time_is_up())
		given_up |= 1u << target->repo;
	return ok;
}

/* Without wait it stays open when somebody else is at it. */
static void
archive_to(Target *target, const char *file, const char *path, bool wait)
{
	BkcWalTask	task = task_of(file, target->repo);
	BkcWalState state;

	bkc_archive_begin(file, sharers());
	if (bkc_archive_time_is_up())
	{
		target->state = TARGET_FAILED;
		return;
	}
	state = wait ? wait_for_helper(target, file, &task) : bkc_queue_want(&task);
	if (state == BKC_WAL_BUSY && !wait)
		return;
	if (state == BKC_WAL_BUSY && !left_alone(target->repo))
		bkc_walhelpers_note_stuck(target->repo, file);
	if (state == BKC_WAL_DURABLE ||
		(state == BKC_WAL_TODO && send_to(target, file, path, &task)))
		target->state = TARGET_DONE;
	else
		target->state = TARGET_FAILED;
}

/* ---- one file, all repositories ---- */

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

/* When the first of those that failed is to be tried again. */
static TimestampTz
next_retry(void)
{
	TimestampTz next = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
												   (int64) bkc_set_archive_timeout * 1000);

	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	for (int i = 0; i < ntargets; i++)
		if (targets[i].state == TARGET_FAILED)
			next = Min(next, bkc_wal->repos[targets[i].repo].retry_at);
	LWLockRelease(bkc_wal->lock);
	return next;
}

/*
 * This file waits for one repository; the others get what comes behind it all
 * the same.  That is the helpers' work; ours when no helper is free: there may be none, or they
 * may hang.  In the last cycle PostgreSQL itself would not come to what is behind this file.
 */
static void
go_ahead(const char *file)
{
	uint32		repos = mask_of(TARGET_DONE) & ~given_up;
	TimestampTz until = next_retry();

	while (!ShutdownRequestPending && !ConfigReloadPending &&
		   (bkc_archive_last_cycle() ? !bkc_archive_all_time_is_up() :
			GetCurrentTimestamp() < until) &&
		   help_once(file, &repos))
		CHECK_FOR_INTERRUPTS();
}

/*
 * Helpers may begin with every repository, also while we are at the first of them.  Behind a file
 * that is no segment they begin where the first one waits.
 */
static void
open_windows(const char *file)
{
	if (!bkc_wal_is_segment(file))
	{
		(void) bkc_walnext(mask_of(TARGET_OPEN), NULL);
		return;
	}
	for (int i = 0; i < ntargets; i++)
	{
		BkcWalTask	task = task_of(file, targets[i].repo);

		bkc_queue_reach(&task);
	}
}

/*
 * First those where nothing is wrong and nobody else is at it.  The others get it even if one
 * cannot, and each has its time.
 */
static void
serve(const char *file, const char *path)
{
	for (int i = 0; i < ntargets; i++)
		if (!troubled(targets[i].repo))
			archive_to(&targets[i], file, path, false);
	if (bkc_archive_last_cycle() && count(TARGET_OPEN) > 0)
		go_ahead(file);
	for (int i = 0; i < ntargets; i++)
		if (targets[i].state == TARGET_OPEN)
			archive_to(&targets[i], file, path, true);
}

static bool
find_targets(BkcError *err)
{
	int			repos[BKC_SET_REPOS];
	const BkcRepoList *list = bkc_ship_repositories(repos, err);

	if (list == NULL)
		return false;
	ntargets = (int) list->count;
	for (int i = 0; i < ntargets; i++)
		targets[i] = (Target) {.def = &list->items[i], .repo = repos[i]};
	bkc_wal_note_listed(repos, list->count);
	return true;
}

static bool
report(const char *file)
{
	int			repos[BKC_SET_REPOS];
	BkcError	err;

	if (!bkc_fault(BKC_FAULT_ARCHIVE_STORED, &err))
		return false;
	for (int i = 0; i < ntargets; i++)
		repos[i] = targets[i].repo;
	bkc_wal_note_reported(file, repos, ntargets);
	return true;
}

static bool
archive_everywhere(const char *file, const char *path)
{
	BkcError	err;

	bkc_error_clear(&err);
	bkc_archive_begin(file, 1);
	if (!bkc_archive_last_cycle())
		given_up = 0;
	if (bkc_archive_time_is_up())
	{
		leave_the_rest(file);
		return false;
	}
	bkc_host_watch(bkc_archive_time_is_up);
	if (!find_targets(&err) || !bkc_fault(BKC_FAULT_ARCHIVE_FILE, &err))
	{
		bkc_ereport(WARNING, &err);
		return false;
	}
	open_windows(file);
	serve(file, path);
	if (count(TARGET_DONE) == ntargets)
		return report(file);
	go_ahead(file);
	if (bkc_archive_all_time_is_up() ||
		(bkc_archive_last_cycle() && (mask_of(TARGET_FAILED) & ~given_up) == 0))
		leave_the_rest(file);
	return false;
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
