/*
 * walqueue.c
 *		See walqueue.h.
 */
#include "pgcompat.h"

#include "miscadmin.h"
#include "utils/timestamp.h"
#include "walqueue.h"
#include "walshared.h"

#define SLOW_MS		10000		/* at one segment for so long: something is wrong there */

static BkcWalWindow *
window_of(int repo)
{
	return &bkc_wal->repos[repo].window;
}

/* Where the task's segment stands in its window; -1 outside. */
static int
index_of(const BkcWalTask *task)
{
	const BkcWalWindow *w = window_of(task->repo);

	if (w->timeline != task->timeline || task->segno < w->base ||
		task->segno - w->base >= BKC_WAL_AHEAD)
		return -1;
	return (int) (task->segno - w->base);
}

static void
set_state(BkcWalWindow *w, int i, BkcWalState state)
{
	w->state[i] = state;
	w->pid[i] = state == BKC_WAL_BUSY ? MyProcPid : 0;
	w->since[i] = state == BKC_WAL_BUSY ? GetCurrentTimestamp() : 0;
}

static void
move_by(BkcWalWindow *w, int n)
{
	w->base += n;
	for (int i = 0; i < BKC_WAL_AHEAD; i++)
	{
		bool		inside = i + n < BKC_WAL_AHEAD;

		w->state[i] = inside ? w->state[i + n] : BKC_WAL_TODO;
		w->pid[i] = inside ? w->pid[i + n] : 0;
		w->since[i] = inside ? w->since[i + n] : 0;
	}
}

/* The window moves behind what has become durable. */
static void
move_on(BkcWalWindow *w)
{
	int			n = 0;

	while (n < BKC_WAL_AHEAD && w->state[n] == BKC_WAL_DURABLE)
		n++;
	if (n > 0)
		move_by(w, n);
}

static void
begin_window(BkcWalWindow *w, TimeLineID timeline, XLogSegNo segno)
{
	memset(w, 0, sizeof(*w));
	w->timeline = timeline;
	w->known = w->base = segno;
}

/* How many processes are at it, and whether one is enough for now. */
static int
busy(int repo, TimestampTz now, bool *enough)
{
	const BkcWalWindow *w = window_of(repo);
	int			n = 0;

	*enough = false;
	for (int i = 0; i < BKC_WAL_AHEAD; i++)
		if (w->state[i] == BKC_WAL_BUSY)
		{
			n++;
			if (bkc_wal->repos[repo].failures_in_row > 0 ||
				TimestampDifferenceExceeds(w->since[i], now, SLOW_MS))
				*enough = true;
		}
	return n;
}

static int
first_todo(const BkcWalWindow *w)
{
	for (int i = 0; i < BKC_WAL_AHEAD; i++)
		if (w->state[i] == BKC_WAL_TODO)
			return i;
	return -1;
}

bool
bkc_queue_take(uint32 repos, BkcWalTask *task)
{
	TimestampTz now = GetCurrentTimestamp();
	int			best = -1;
	int			best_busy = 0;

	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	for (int r = 0; r < BKC_MAX_REPOS; r++)
	{
		bool		enough;
		int			n;

		if ((repos & (1u << r)) == 0 || window_of(r)->timeline == 0 ||
			bkc_wal->repos[r].retry_at > now || first_todo(window_of(r)) < 0)
			continue;
		n = busy(r, now, &enough);
		if (enough || (best >= 0 && n >= best_busy))
			continue;
		best = r;
		best_busy = n;
	}
	if (best >= 0)
	{
		BkcWalWindow *w = window_of(best);
		int			i = first_todo(w);

		set_state(w, i, BKC_WAL_BUSY);
		task->repo = best;
		task->timeline = w->timeline;
		task->segno = w->base + i;
	}
	LWLockRelease(bkc_wal->lock);
	return best >= 0;
}

/*
 * The archiver offers in order, so nothing before this segment waits any more: the window
 * begins here at the latest.  A segment that lies behind the window was reported once and is
 * offered again: what was durable then need not be so now.
 */
static void
reach(const BkcWalTask *task)
{
	BkcWalWindow *w = window_of(task->repo);

	if (task->timeline > w->timeline ||
		(task->timeline == w->timeline && task->segno >= w->base + BKC_WAL_AHEAD))
		begin_window(w, task->timeline, task->segno);
	else if (task->timeline == w->timeline && task->segno > w->base)
	{
		move_by(w, (int) (task->segno - w->base));
		w->known = w->base;
		move_on(w);
	}
}

void
bkc_queue_reach(const BkcWalTask *task)
{
	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	reach(task);
	LWLockRelease(bkc_wal->lock);
}

BkcWalState
bkc_queue_want(const BkcWalTask *task)
{
	BkcWalState state = BKC_WAL_TODO;
	BkcWalWindow *w;
	int			i;

	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	w = window_of(task->repo);
	reach(task);
	if (task->timeline == w->timeline && task->segno >= w->known && task->segno < w->base)
		state = BKC_WAL_DURABLE;
	else
	{
		i = index_of(task);
		if (i >= 0)
		{
			state = w->state[i];
			if (state == BKC_WAL_TODO)
				set_state(w, i, BKC_WAL_BUSY);
		}
	}
	LWLockRelease(bkc_wal->lock);
	return state;
}

void
bkc_queue_done(const BkcWalTask *task, bool durable)
{
	BkcWalWindow *w;
	int			i;

	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	w = window_of(task->repo);
	i = index_of(task);
	if (i >= 0 && w->state[i] == BKC_WAL_BUSY && w->pid[i] == MyProcPid)
	{
		set_state(w, i, durable ? BKC_WAL_DURABLE : BKC_WAL_TODO);
		move_on(w);
	}
	LWLockRelease(bkc_wal->lock);
	ConditionVariableBroadcast(&bkc_wal->cv);
}

void
bkc_queue_release(pid_t pid)
{
	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	for (int r = 0; r < BKC_MAX_REPOS; r++)
	{
		BkcWalWindow *w = window_of(r);

		for (int i = 0; i < BKC_WAL_AHEAD; i++)
			if (w->state[i] == BKC_WAL_BUSY && w->pid[i] == pid)
				set_state(w, i, BKC_WAL_TODO);
	}
	LWLockRelease(bkc_wal->lock);
	ConditionVariableBroadcast(&bkc_wal->cv);
}
