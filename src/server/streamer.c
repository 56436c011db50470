/*
 * streamer.c
 *		See streamer.h.
 *
 * It wakes up once a second at the least, to see whether there is anything
 * new; as long as there is not, no repository hears of it.
 */
#include "pgcompat.h"

#include "access/xlogrecovery.h"
#include "base/host.h"
#include "errors.h"
#include "miscadmin.h"
#include "ownership.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/pgarch.h"
#include "process.h"
#include "replication/walreceiver.h"
#include "settings.h"
#include "storage/ipc.h"
#include "storage/spin.h"
#include "streamer.h"
#include "streamline.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/wait_event.h"
#include "walhelper.h"
#include "walshared.h"

#define RESTART_SECONDS		10
#define TICK_MS				1000
#define RATE_SECONDS		60.0	/* over which the WAL rate is averaged */

void
bkc_streamer_register(void)
{
	BackgroundWorker worker;

	bkc_process_describe(&worker, "bkc_streamer_main", "pg_backupctl WAL streamer",
						 BgWorkerStart_ConsistentState, RESTART_SECONDS);
	RegisterBackgroundWorker(&worker);
}

/* ---- how far WAL reaches ---- */

/*
 * A standby that connects anew may get other bytes behind the last valid
 * record than it had before: chunks begin a new generation then.
 */
static uint32
receiver_number(void)
{
	static uint32 number = 0;
	static pid_t last = 0;
	pid_t		pid;

	SpinLockAcquire(&WalRcv->mutex);
	pid = WalRcv->pid;
	SpinLockRelease(&WalRcv->mutex);
	if (pid != last && pid != 0)
	{
		number++;
		LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
		bkc_wal->generation = Max(bkc_wal->generation + 1, (uint64) bkc_host->now());
		LWLockRelease(bkc_wal->lock);
	}
	last = pid;
	return number;
}

static void
sample(BkcStreamPoint *point)
{
	memset(point, 0, sizeof(*point));

	/* first the time: what was written before it is not behind the position */
	point->taken = GetCurrentTimestamp();
	if (!RecoveryInProgress())
	{
		point->flush = GetFlushRecPtr(&point->timeline);
		point->ship = true;
		return;
	}
	point->receiver = receiver_number();
	point->ship = WalRcvStreaming();
	point->flush = point->ship ? GetWalRcvFlushRecPtr(NULL, &point->timeline) :
		GetXLogReplayRecPtr(&point->timeline);
	if (point->flush == InvalidXLogRecPtr)
		point->ship = false;
}

static void
note_rate(const BkcStreamPoint *point)
{
	static XLogRecPtr last = InvalidXLogRecPtr;
	static TimestampTz last_time = 0;
	double		seconds = (double) (point->taken - last_time) / USECS_PER_SEC;
	double		weight = seconds / (RATE_SECONDS + seconds);

	if (last != InvalidXLogRecPtr && seconds < 0.5)
		return;
	if (last != InvalidXLogRecPtr && point->flush >= last)
	{
		LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
		bkc_wal->wal_rate = bkc_wal->wal_rate * (1 - weight) +
			(double) (point->flush - last) / seconds * weight;
		LWLockRelease(bkc_wal->lock);
	}
	last = point->flush;
	last_time = point->taken;
}

/* ---- until when is what a repository holds? ---- */

/*
 * Positions and when they were taken, oldest first.  When it is full, the
 * older half is thinned out: what lies long ago need not be known to the second.
 */
#define HISTORY_SIZE	256

static BkcStreamPoint history[HISTORY_SIZE];
static int	nhistory = 0;

static void
remember(const BkcStreamPoint *point)
{
	if (nhistory > 0 && history[nhistory - 1].timeline == point->timeline &&
		history[nhistory - 1].flush == point->flush)
		nhistory--;				/* nothing was written since */
	if (nhistory == HISTORY_SIZE)
	{
		int			n = 0;

		for (int i = 0; i < HISTORY_SIZE; i++)
			if (i >= HISTORY_SIZE / 2 || i % 2 == 0)
				history[n++] = history[i];
		nhistory = n;
	}
	history[nhistory++] = *point;
}

/* Up to when everything lies before that position; 0 when that is not known. */
static TimestampTz
covered_until(TimeLineID timeline, XLogRecPtr lsn)
{
	for (int i = nhistory - 1; i >= 0; i--)
		if (history[i].timeline == timeline && history[i].flush <= lsn)
			return history[i].taken;
	return 0;
}

/* What the archiver has reported counts, too, and time goes on while nothing is written. */
static void
advance_shipped(void)
{
	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	for (int i = 0; i < BKC_MAX_REPOS; i++)
	{
		BkcRepoState *state = &bkc_wal->repos[i];

		if (!state->used)
			continue;
		if (state->prefix_tli > state->shipped_tli ||
			(state->prefix_tli == state->shipped_tli && state->prefix_lsn > state->shipped_lsn))
		{
			state->shipped_tli = state->prefix_tli;
			state->shipped_lsn = state->prefix_lsn;
		}
		state->shipped_time = Max(state->shipped_time,
								  covered_until(state->shipped_tli, state->shipped_lsn));
	}
	LWLockRelease(bkc_wal->lock);
}

/* ---- the process ---- */

static void
streamer_exit(int code, Datum arg)
{
	LWLockReleaseAll();
	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	if (bkc_wal->streamer == MyLatch)
		bkc_wal->streamer = NULL;
	LWLockRelease(bkc_wal->lock);
}

/* After an ERROR: say it and go on; edata lives in the caller's context. */
static ErrorData *
catch_error(MemoryContext context)
{
	ErrorData  *edata;

	MemoryContextSwitchTo(context);
	edata = CopyErrorData();
	EmitErrorReport();
	FlushErrorState();
	LWLockReleaseAll();
	return edata;
}

static void
mark_standby(MemoryContext context)
{
	PG_TRY();
	{
		bkc_ownership_mark_standby();
	}
	PG_CATCH();
	{
		(void) catch_error(context);
	}
	PG_END_TRY();
}

/* One repository; what goes wrong there does not concern the others. */
static TimestampTz
serve(const BkcRepoDef *def, int repo, MemoryContext context)
{
	volatile TimestampTz next = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), TICK_MS);

	PG_TRY();
	{
		next = bkc_streamline_round(def, repo, sample);
	}
	PG_CATCH();
	{
		bkc_streamline_failed(def, repo, catch_error(context));
	}
	PG_END_TRY();
	return next;
}

/*
 * PostgreSQL's archiver sleeps for a minute after a failure, but a repository that failed is
 * to be tried at retry_at.
 */
static bool
archiver_is_due(int repo)
{
	bool		due;

	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	due = bkc_wal->repos[repo].failures_in_row > 0 &&
		bkc_wal->repos[repo].retry_at <= GetCurrentTimestamp();
	LWLockRelease(bkc_wal->lock);
	return due;
}

/*
 * One repository after the other is served, so those come last where the last attempt went
 * wrong: each may take its time limit.
 */
static bool
comes_last(int repo)
{
	bool		troubled;

	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	troubled = bkc_wal->repos[repo].chunk_error.sqlstate != 0 ||
		bkc_wal->repos[repo].failures_in_row > 0;
	LWLockRelease(bkc_wal->lock);
	return troubled;
}

/* Those at which another process hangs are left out: nothing would end a call that hangs here. */
static TimestampTz
serve_all(const BkcRepoList *list, TimestampTz next, MemoryContext context)
{
	int			repos[BKC_SET_REPOS];
	bool		last[BKC_SET_REPOS];

	for (size_t i = 0; i < list->count; i++)
	{
		repos[i] = bkc_wal_repo(&list->items[i]);
		last[i] = repos[i] >= 0 && comes_last(repos[i]);
		if (repos[i] >= 0 && archiver_is_due(repos[i]))
			PgArchWakeup();
	}
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < list->count; i++)
		{
			CHECK_FOR_INTERRUPTS();
			if (repos[i] >= 0 && last[i] == (pass == 1) && !bkc_queue_hangs_at(repos[i]))
			{
				TimestampTz wanted = serve(&list->items[i], repos[i], context);

				next = Min(next, wanted);	/* which would serve twice by itself */
			}
		}
	return next;
}

/* All that is due; how long to sleep. */
static long
tick(const BkcRepoList *list, MemoryContext context)
{
	TimestampTz next = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), TICK_MS);
	BkcStreamPoint point;

	sample(&point);
	note_rate(&point);
	remember(&point);
	mark_standby(context);
	bkc_walhelpers_watch();
	if (bkc_wal_archiving())
		next = serve_all(list, next, context);
	advance_shipped();
	return Max(1, Min(TICK_MS, TimestampDifferenceMilliseconds(GetCurrentTimestamp(), next)));
}

/* The setting, parsed anew in its own context after each reload. */
static const BkcRepoList *
load_list(MemoryContext config)
{
	const BkcRepoList *list;
	MemoryContext old;

	MemoryContextReset(config);
	old = MemoryContextSwitchTo(config);
	list = bkc_settings_repositories();
	MemoryContextSwitchTo(old);
	bkc_streamline_reload(list);
	return list;
}

void
bkc_streamer_main(Datum main_arg)
{
	MemoryContext config;
	MemoryContext context;
	const BkcRepoList *list;

	bkc_process_begin();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	CurrentResourceOwner = ResourceOwnerCreate(NULL, "pg_backupctl");
	bkc_host_install();
	before_shmem_exit(streamer_exit, (Datum) 0);
	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	bkc_wal->streamer = MyLatch;
	LWLockRelease(bkc_wal->lock);
	pgstat_report_activity(STATE_IDLE, NULL);

	config = AllocSetContextCreate(TopMemoryContext, "pg_backupctl WAL streamer settings",
								   ALLOCSET_SMALL_SIZES);
	context = AllocSetContextCreate(TopMemoryContext, "pg_backupctl WAL streamer",
									ALLOCSET_DEFAULT_SIZES);
	list = load_list(config);
	for (;;)
	{
		MemoryContextSwitchTo(context);
		MemoryContextReset(context);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (bkc_process_reload())
			list = load_list(config);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 tick(list, context), PG_WAIT_EXTENSION);
	}
}
