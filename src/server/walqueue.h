/*
 * walqueue.h
 *		Segments that WAL helpers send ahead of the archiver.
 *
 * Each repository has a window: a position, before which every segment that
 * waited for the archiver is durable there, and the state of the next
 * BKC_WAL_AHEAD segments.  It moves on with what has become durable, so that
 * a repository that is away holds up no other, and a hole is never wider than
 * the window.  A window is only a memory of what is durable: whatever is lost
 * with it is offered again and found in the repository.
 *
 * It begins where the archiver is, and on its timeline: no helper is ahead of
 * a timeline's history, which PostgreSQL offers first.
 */
#ifndef BKC_SERVER_WALQUEUE_H
#define BKC_SERVER_WALQUEUE_H

#include "pgcompat.h"

#include "access/xlog_internal.h"
#include "access/xlogdefs.h"

#define BKC_WAL_AHEAD		16

typedef enum BkcWalState
{
	BKC_WAL_TODO,
	BKC_WAL_BUSY,
	BKC_WAL_DURABLE
} BkcWalState;

typedef struct BkcWalWindow
{
	TimeLineID	timeline;		/* 0 = the archiver has not been here yet */
	XLogSegNo	known;			/* known .. base - 1 are durable here and not reported yet */
	XLogSegNo	base;			/* the segment of the first state */
	uint8		state[BKC_WAL_AHEAD];	/* BkcWalState */
	pid_t		pid[BKC_WAL_AHEAD]; /* who is at it */
	TimestampTz since[BKC_WAL_AHEAD];	/* since when */
} BkcWalWindow;

/* A segment in work for one repository. */
typedef struct BkcWalTask
{
	TimeLineID	timeline;
	XLogSegNo	segno;
	int			repo;
} BkcWalTask;

/* All of these take the lock of bkc_wal themselves. */

/*
 * Take a segment that one of these repositories (a bit mask) needs next; it is
 * BUSY from then on.  The repository with the fewest processes at it comes
 * first; one that fails or is slow gets one process only, one in back-off
 * none.  Whether the segment waits for the archiver at all is for the caller
 * to see.  false when there is none.
 */
extern bool bkc_queue_take(uint32 repos, BkcWalTask *task);

/*
 * The archiver comes to this segment: nothing before it waits any more.  To
 * be called for all repositories before the first is served, as that may take long.
 */
extern void bkc_queue_reach(const BkcWalTask *task);

/*
 * The archiver wants this segment in that repository: DURABLE, BUSY (somebody
 * is at it), or TODO: then it is the caller's, and bkc_queue_done() must
 * follow.
 */
extern BkcWalState bkc_queue_want(const BkcWalTask *task);

/* The caller's work on it has ended; wakes who waits. */
extern void bkc_queue_done(const BkcWalTask *task, bool durable);

/* A process ends: what it was at is to be done again. */
extern void bkc_queue_release(pid_t pid);

/* ---- for who holds the lock ---- */

/* Is that segment known to be durable and not reported yet? */
static inline bool
bkc_window_durable(const BkcWalWindow *w, TimeLineID timeline, XLogSegNo segno)
{
	if (w->timeline != timeline || segno < w->known || segno >= w->base + BKC_WAL_AHEAD)
		return false;
	return segno < w->base || w->state[segno - w->base] == BKC_WAL_DURABLE;
}

/* How many are. */
static inline uint64
bkc_window_ahead(const BkcWalWindow *w)
{
	uint64		n = w->base - w->known;

	for (int i = 0; i < BKC_WAL_AHEAD; i++)
		n += w->state[i] == BKC_WAL_DURABLE;
	return n;
}

#endif							/* BKC_SERVER_WALQUEUE_H */
