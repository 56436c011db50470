/*
 * walqueue.c
 *		See walqueue.h.
 *
 * The array is small and unordered; every question is one walk through it
 * under the lock, which takes microseconds, while a segment takes
 * milliseconds.
 */
#include "pgcompat.h"

#include <sys/stat.h>
#include <unistd.h>

#include "miscadmin.h"
#include "walqueue.h"
#include "walshared.h"

static bool
before(const BkcWalItem *a, const BkcWalItem *b)
{
	if (a->timeline != b->timeline)
		return a->timeline < b->timeline;
	return a->segno < b->segno;
}

static BkcWalItem *
find_item(TimeLineID timeline, XLogSegNo segno)
{
	for (int i = 0; i < BKC_WAL_QUEUE; i++)
	{
		BkcWalItem *item = &bkc_wal->queue.items[i];

		if (item->timeline == timeline && item->segno == segno)
			return item;
	}
	return NULL;
}

/* The first segment that this repository still lacks. */
static const BkcWalItem *
oldest_missing(int repo)
{
	const BkcWalItem *oldest = NULL;

	for (int i = 0; i < BKC_WAL_QUEUE; i++)
	{
		const BkcWalItem *item = &bkc_wal->queue.items[i];

		if (item->timeline != 0 && item->state[repo] != BKC_WAL_DURABLE &&
			(oldest == NULL || before(item, oldest)))
			oldest = item;
	}
	return oldest;
}

/* The first that is to be done for this repository, if it is near enough to the oldest. */
static BkcWalItem *
next_for(int repo)
{
	const BkcWalItem *oldest = oldest_missing(repo);
	BkcWalItem *next = NULL;

	for (int i = 0; i < BKC_WAL_QUEUE && oldest != NULL; i++)
	{
		BkcWalItem *item = &bkc_wal->queue.items[i];

		if (item->timeline == oldest->timeline && item->state[repo] == BKC_WAL_TODO &&
			item->segno - oldest->segno < BKC_WAL_AHEAD && (next == NULL || before(item, next)))
			next = item;
	}
	return next;
}

bool
bkc_queue_take(uint32 usable, TimeLineID *timeline, XLogSegNo *segno, int *repo)
{
	TimestampTz now = GetCurrentTimestamp();
	BkcWalItem *best = NULL;

	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	for (int r = 0; r < BKC_MAX_REPOS; r++)
	{
		BkcWalItem *item;

		if ((usable & (1u << r)) == 0 || bkc_wal->repos[r].retry_at > now)
			continue;
		item = next_for(r);
		if (item != NULL && (best == NULL || before(item, best)))
		{
			best = item;
			*repo = r;
		}
	}
	if (best != NULL)
	{
		best->state[*repo] = BKC_WAL_BUSY;
		best->pid[*repo] = MyProcPid;
		*timeline = best->timeline;
		*segno = best->segno;
	}
	LWLockRelease(bkc_wal->lock);
	return best != NULL;
}

void
bkc_queue_add(TimeLineID timeline, XLogSegNo segno)
{
	BkcWalItem *item;

	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	if (find_item(timeline, segno) == NULL && (item = find_item(0, 0)) != NULL)
	{
		memset(item, 0, sizeof(*item));
		item->timeline = timeline;
		item->segno = segno;
	}
	LWLockRelease(bkc_wal->lock);
}

int
bkc_queue_todo(uint32 usable, TimeLineID *timeline, XLogSegNo *last)
{
	TimestampTz now = GetCurrentTimestamp();
	const BkcWalItem *newest = NULL;
	int			n = 0;

	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	for (int i = 0; i < BKC_WAL_QUEUE; i++)
	{
		const BkcWalItem *item = &bkc_wal->queue.items[i];
		bool		todo = false;

		if (item->timeline == 0)
			continue;
		for (int r = 0; r < BKC_MAX_REPOS; r++)
			todo = todo || ((usable & (1u << r)) != 0 && item->state[r] == BKC_WAL_TODO &&
							bkc_wal->repos[r].retry_at <= now);
		n += todo;
		if (newest == NULL || before(newest, item))
			newest = item;
	}
	*timeline = newest ? newest->timeline : 0;
	*last = newest ? newest->segno : 0;
	LWLockRelease(bkc_wal->lock);
	return n;
}

BkcWalState
bkc_queue_want(TimeLineID timeline, XLogSegNo segno, int repo, bool *entered)
{
	BkcWalState state = BKC_WAL_TODO;
	BkcWalItem *item;

	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	item = find_item(timeline, segno);
	if (item == NULL && (item = find_item(0, 0)) != NULL)
	{
		/* so that no helper takes it at the same time */
		memset(item, 0, sizeof(*item));
		item->timeline = timeline;
		item->segno = segno;
	}
	*entered = item != NULL;
	if (item != NULL)
	{
		state = item->state[repo];
		if (state == BKC_WAL_TODO)
		{
			item->state[repo] = BKC_WAL_BUSY;
			item->pid[repo] = MyProcPid;
		}
	}
	LWLockRelease(bkc_wal->lock);
	return state;
}

void
bkc_queue_done(TimeLineID timeline, XLogSegNo segno, int repo, bool durable)
{
	BkcWalItem *item;

	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	item = find_item(timeline, segno);
	if (item != NULL && item->state[repo] == BKC_WAL_BUSY && item->pid[repo] == MyProcPid)
	{
		item->state[repo] = durable ? BKC_WAL_DURABLE : BKC_WAL_TODO;
		item->pid[repo] = 0;
	}
	LWLockRelease(bkc_wal->lock);
	ConditionVariableBroadcast(&bkc_wal->cv);
}

void
bkc_queue_drop(TimeLineID timeline, XLogSegNo segno)
{
	BkcWalItem *item;

	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	item = find_item(timeline, segno);
	if (item != NULL)
		memset(item, 0, sizeof(*item));
	LWLockRelease(bkc_wal->lock);
}

void
bkc_queue_release(pid_t pid)
{
	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	for (int i = 0; i < BKC_WAL_QUEUE; i++)
	{
		BkcWalItem *item = &bkc_wal->queue.items[i];

		for (int r = 0; r < BKC_MAX_REPOS && item->timeline != 0; r++)
			if (item->state[r] == BKC_WAL_BUSY && item->pid[r] == pid)
			{
				item->state[r] = BKC_WAL_TODO;
				item->pid[r] = 0;
			}
	}
	LWLockRelease(bkc_wal->lock);
	ConditionVariableBroadcast(&bkc_wal->cv);
}

/* Nobody is at it and its .ready file is gone.  The lock is not held over the looking. */
static void
prune_item(int i)
{
	BkcWalItem	seen;
	char		file[MAXFNAMELEN];
	char		path[MAXPGPATH];
	struct stat st;

	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	seen = bkc_wal->queue.items[i];
	LWLockRelease(bkc_wal->lock);
	if (seen.timeline == 0)
		return;
	XLogFileName(file, seen.timeline, seen.segno, wal_segment_size);
	StatusFilePath(path, file, ".ready");
	if (stat(path, &st) == 0 || errno != ENOENT)
		return;

	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	if (memcmp(&seen, &bkc_wal->queue.items[i], sizeof(seen)) == 0)
	{
		bool		busy = false;

		for (int r = 0; r < BKC_MAX_REPOS; r++)
			busy = busy || seen.state[r] == BKC_WAL_BUSY;
		if (!busy)
			memset(&bkc_wal->queue.items[i], 0, sizeof(seen));
	}
	LWLockRelease(bkc_wal->lock);
}

void
bkc_queue_prune(void)
{
	for (int i = 0; i < BKC_WAL_QUEUE; i++)
		prune_item(i);
}

/* Called under the lock. */
void
bkc_queue_reset_repo(int repo)
{
	for (int i = 0; i < BKC_WAL_QUEUE; i++)
		if (bkc_wal->queue.items[i].state[repo] == BKC_WAL_DURABLE)
			bkc_wal->queue.items[i].state[repo] = BKC_WAL_TODO;
}
