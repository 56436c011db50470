/*
 * walqueue.c
 *		See walqueue.h.
 */
#include "pgcompat.h"

#include "miscadmin.h"
#include "settings.h"
#include "utils/timestamp.h"
#include "walqueue.h"
#include "walshared.h"

#define SLOW_MS		10000		/* at one segment for so long: something is wrong there */
#define SLOW_BYTES	1000		/* a millisecond; see bkc_queue_stuck_at() */
#define NOTICE_MS	2000		/* in which a process notices that its time is up */

static BkcWalWindow *
window_of(int repo)
{
	return &bkc_wal->repos[repo].window;
}

/* Where the task's segment stands in its window; -1 outside, as is what is no segment. */
static int
index_of(const BkcWalTask *task)
{
	const BkcWalWindow *w = window_of(task->repo);

	if (task->timeline == 0 || w->timeline != task->timeline || task->segno < w->base ||
		task->segno - w->base >= BKC_WAL_AHEAD)
		return -1;
	return (int) (task->segno - w->base);
}

static void
set_state(BkcWalSlot *slot, BkcWalState state)
{
	memset(slot, 0, sizeof(*slot));
	slot->state = state;
	if (state != BKC_WAL_BUSY)
		return;
	slot->pid = MyProcPid;
	slot->helper = !AmArchiverProcess();
	slot->since = GetCurrentTimestamp();
}

static void
move_by(BkcWalWindow *w, int n)
{
	w->base += n;
	for (int i = 0; i < BKC_WAL_AHEAD; i++)
	{
		if (i + n < BKC_WAL_AHEAD)
			w->slots[i] = w->slots[i + n];
		else
			set_state(&w->slots[i], BKC_WAL_TODO);
	}
}

/* The window moves behind what has become durable. */
static void
move_on(BkcWalWindow *w)
{
	int			n = 0;

	while (n < BKC_WAL_AHEAD && w->slots[n].state == BKC_WAL_DURABLE)
		n++;
	if (n > 0)
		move_by(w, n);
}

/* Who is at a file outside the window stays there. */
static void
begin_window(BkcWalWindow *w, TimeLineID timeline, XLogSegNo segno)
{
	w->timeline = timeline;
	w->known = w->base = segno;
	for (int i = 0; i < BKC_WAL_AHEAD; i++)
		set_state(&w->slots[i], BKC_WAL_TODO);
}

/* ---- who is where ---- */

typedef struct Crowd
{
	int			all;			/* processes */
	int			helpers;
	TimestampTz since;			/* of the one who has been there longest */
} Crowd;

static void
count_slot(Crowd *crowd, const BkcWalSlot *slot, bool again)
{
	if (slot->state != BKC_WAL_BUSY)
		return;
	crowd->all += !again;
	crowd->helpers += slot->helper && !again;
	if (crowd->since == 0 || slot->since < crowd->since)
		crowd->since = slot->since;
}

/* Is the process at one of the segments before that slot? */
static bool
is_before(const BkcWalWindow *w, int n, pid_t pid)
{
	for (int i = 0; i < n; i++)
		if (w->slots[i].state == BKC_WAL_BUSY && w->slots[i].pid == pid)
			return true;
	return false;
}

/* A helper that is at two segments is one process.  That one (0: none) is left out. */
static Crowd
crowd_without(int repo, pid_t pid)
{
	const BkcWalWindow *w = window_of(repo);
	Crowd		crowd = {0};

	for (int i = 0; i < BKC_WAL_AHEAD; i++)
		if (pid == 0 || w->slots[i].pid != pid)
			count_slot(&crowd, &w->slots[i], is_before(w, i, w->slots[i].pid));
	if (pid == 0 || w->other.pid != pid)
		count_slot(&crowd, &w->other, false);
	return crowd;
}

static Crowd
crowd_at(int repo)
{
	return crowd_without(repo, 0);
}

static int
listed(void)
{
	int			n = 0;

	for (int r = 0; r < BKC_MAX_REPOS; r++)
		n += bkc_wal->repos[r].listed;
	return n;
}

static bool
longer_than(const Crowd *crowd, int ms)
{
	return crowd->all > 0 &&
		TimestampDifferenceExceeds(crowd->since, GetCurrentTimestamp(), ms);
}

/*
 * May one more process go there?  If it hangs, and all but one of the other repositories hang,
 * too, somebody must be left: the archiver or a helper.  While that is the archiver only, what is
 * sent comes in its own slow rhythm; so one helper is spared if there are two.
 */
static bool
has_room(const Crowd *crowd)
{
	int			others = listed() - 1;
	int			helpers = (int) bkc_wal->helpers;

	if (others <= 0)
		return true;
	if (crowd->all >= Max(1, helpers / others))
		return false;
	return AmArchiverProcess() || crowd->helpers == 0 || crowd->helpers < helpers - 1;
}

/* One process is enough where something is wrong. */
static bool
one_is_enough(int repo, const Crowd *crowd)
{
	return crowd->all > 0 &&
		(bkc_wal->repos[repo].failures_in_row > 0 || longer_than(crowd, SLOW_MS));
}

TimestampTz
bkc_queue_since(int repo)
{
	Crowd		crowd;

	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	crowd = crowd_at(repo);
	LWLockRelease(bkc_wal->lock);
	return crowd.since;
}

bool
bkc_queue_stuck_at(int repo)
{
	int			ms = bkc_set_archive_timeout * 1000;
	Crowd		crowd;
	bool		stuck;

	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	crowd = crowd_at(repo);
	if (listed() > 1)
		ms = Min(ms, SLOW_MS + wal_segment_size / SLOW_BYTES);
	stuck = longer_than(&crowd, ms + NOTICE_MS);
	LWLockRelease(bkc_wal->lock);
	return stuck;
}

bool
bkc_queue_free_helper(void)
{
	int			left;

	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	left = (int) bkc_wal->helpers;
	for (int r = 0; r < BKC_MAX_REPOS; r++)
		left -= crowd_at(r).helpers;
	LWLockRelease(bkc_wal->lock);
	return left > 0;
}

bool
bkc_queue_hangs_at(int repo)
{
	Crowd		crowd;
	bool		hangs;

	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	crowd = crowd_at(repo);
	hangs = listed() > 1 && longer_than(&crowd, SLOW_MS);
	LWLockRelease(bkc_wal->lock);
	return hangs;
}

bool
bkc_queue_hangs(void)
{
	for (int r = 0; r < BKC_MAX_REPOS; r++)
		if (bkc_queue_hangs_at(r))
			return true;
	return false;
}

/* ---- taking ---- */

static int
first_todo(const BkcWalWindow *w)
{
	for (int i = 0; i < BKC_WAL_AHEAD; i++)
		if (w->slots[i].state == BKC_WAL_TODO)
			return i;
	return -1;
}

static bool
in_need(int repo)
{
	return window_of(repo)->timeline != 0 &&
		bkc_wal->repos[repo].retry_at <= GetCurrentTimestamp() &&
		first_todo(window_of(repo)) >= 0;
}

/* The one of these with the fewest processes beside us, -1 when none needs anybody. */
static int
neediest(uint32 repos)
{
	int			best = -1;
	int			fewest = 0;

	for (int r = 0; r < BKC_MAX_REPOS; r++)
	{
		Crowd		crowd;

		if ((repos & (1u << r)) == 0 || !in_need(r))
			continue;
		crowd = crowd_without(r, MyProcPid);
		if (one_is_enough(r, &crowd) || !has_room(&crowd) || (best >= 0 && crowd.all >= fewest))
			continue;
		best = r;
		fewest = crowd.all;
	}
	return best;
}

/* The first segment there that needs anybody. */
static void
take_at(int repo, BkcWalTask *task)
{
	BkcWalWindow *w = window_of(repo);
	int			i = first_todo(w);

	set_state(&w->slots[i], BKC_WAL_BUSY);
	task->repo = repo;
	task->timeline = w->timeline;
	task->segno = w->base + i;
}

bool
bkc_queue_take(uint32 repos, BkcWalTask *task)
{
	int			repo;

	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	repo = neediest(repos);
	if (repo >= 0)
		take_at(repo, task);
	LWLockRelease(bkc_wal->lock);
	return repo >= 0;
}

bool
bkc_queue_take_next(const BkcWalTask *at, uint32 repos, BkcWalTask *task)
{
	Crowd		crowd;
	bool		ok;

	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	crowd = crowd_at(at->repo);
	ok = !one_is_enough(at->repo, &crowd) && neediest(repos) == at->repo;
	if (ok)
		take_at(at->repo, task);
	LWLockRelease(bkc_wal->lock);
	return ok;
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
	{
		begin_window(w, task->timeline, task->segno);
		w->left = 0;
	}
	else if (task->timeline == w->timeline && task->segno >= w->known)
	{
		w->left = 0;
		if (task->segno <= w->base)
			return;
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

/* Under the lock; BUSY also where the caller would be one too many. */
static BkcWalState
want(const BkcWalTask *task)
{
	BkcWalWindow *w = window_of(task->repo);
	int			i = index_of(task);
	BkcWalSlot *slot = i >= 0 ? &w->slots[i] : &w->other;
	Crowd		crowd;

	if (bkc_window_durable(w, task->timeline, task->segno))
		return BKC_WAL_DURABLE;
	if (slot->state != BKC_WAL_TODO)
		return slot->state;
	crowd = crowd_at(task->repo);
	if (listed() > 1 && (!has_room(&crowd) || longer_than(&crowd, SLOW_MS)))
		return BKC_WAL_BUSY;
	set_state(slot, BKC_WAL_BUSY);
	return BKC_WAL_TODO;
}

BkcWalState
bkc_queue_want(const BkcWalTask *task)
{
	BkcWalState state;

	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	if (task->timeline != 0)
		reach(task);
	state = want(task);
	LWLockRelease(bkc_wal->lock);
	return state;
}

/* Ours, if it is: the window may have left it meanwhile, or all of it was forgotten. */
static BkcWalSlot *
our_slot(const BkcWalTask *task)
{
	BkcWalWindow *w = window_of(task->repo);
	int			i = index_of(task);

	if (i >= 0 && w->slots[i].state == BKC_WAL_BUSY && w->slots[i].pid == MyProcPid)
		return &w->slots[i];
	if (w->other.state == BKC_WAL_BUSY && w->other.pid == MyProcPid)
		return &w->other;
	return NULL;
}

void
bkc_queue_done(const BkcWalTask *task, bool durable)
{
	BkcWalWindow *w = window_of(task->repo);
	BkcWalSlot *slot;

	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	slot = our_slot(task);
	if (slot != NULL)
	{
		set_state(slot, durable && slot != &w->other ? BKC_WAL_DURABLE : BKC_WAL_TODO);
		move_on(w);
	}
	LWLockRelease(bkc_wal->lock);
	ConditionVariableBroadcast(&bkc_wal->cv);
}

static void
release_slot(BkcWalSlot *slot, pid_t pid)
{
	if (slot->state == BKC_WAL_BUSY && slot->pid == pid)
		set_state(slot, BKC_WAL_TODO);
}

void
bkc_queue_release(pid_t pid)
{
	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	for (int r = 0; r < BKC_MAX_REPOS; r++)
	{
		for (int i = 0; i < BKC_WAL_AHEAD; i++)
			release_slot(&window_of(r)->slots[i], pid);
		release_slot(&window_of(r)->other, pid);
	}
	LWLockRelease(bkc_wal->lock);
	ConditionVariableBroadcast(&bkc_wal->cv);
}

/* ---- where a window goes on ---- */

/* Nobody at any segment, so what lies before the first slot is all that is durable. */
static bool
rests(int repo)
{
	const BkcWalWindow *w = window_of(repo);

	for (int i = 0; i < BKC_WAL_AHEAD; i++)
		if (w->slots[i].state != BKC_WAL_TODO)
			return false;
	return true;
}

bool
bkc_queue_rest(int repo, BkcWalTask *next, TimeLineID *history)
{
	const BkcWalWindow *w = window_of(repo);
	bool		ok;

	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	ok = rests(repo) && bkc_wal->repos[repo].retry_at <= GetCurrentTimestamp();
	next->repo = repo;
	next->timeline = w->timeline;
	next->segno = w->base;
	*history = w->history;
	LWLockRelease(bkc_wal->lock);
	return ok;
}

bool
bkc_queue_go_on(const BkcWalTask *from, const BkcWalTask *to)
{
	BkcWalWindow *w = window_of(from->repo);
	bool		ok;

	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	ok = rests(from->repo) && w->timeline == from->timeline && w->base == from->segno;
	if (ok)
	{
		w->left += w->base - w->known;
		begin_window(w, to->timeline, to->segno);
	}
	LWLockRelease(bkc_wal->lock);
	return ok;
}

void
bkc_queue_note_history(int repo, TimeLineID timeline)
{
	BkcWalWindow *w = window_of(repo);

	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	w->history = Max(w->history, timeline);
	LWLockRelease(bkc_wal->lock);
}
