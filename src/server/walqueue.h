/*
 * walqueue.h
 *		Segments that WAL helpers send ahead of the archiver.
 *
 * The queue is a window over the .ready segments: each has a state for each
 * repository.  It is only a cache of what is durable: whatever is lost with it is
 * offered again and found in the repository.  A hole in a repository is never wider than
 * BKC_WAL_AHEAD segments.
 */
#ifndef BKC_SERVER_WALQUEUE_H
#define BKC_SERVER_WALQUEUE_H

#include "pgcompat.h"

#include "access/xlogdefs.h"
#include "access/xlog_internal.h"
#include "settings.h"

#define BKC_WAL_QUEUE		1024
#define BKC_WAL_AHEAD		16

typedef enum BkcWalState
{
	BKC_WAL_TODO,
	BKC_WAL_BUSY,
	BKC_WAL_DURABLE
} BkcWalState;

typedef struct BkcWalItem
{
	TimeLineID	timeline;		/* 0 = free */
	XLogSegNo	segno;
	uint8		state[BKC_MAX_REPOS];	/* BkcWalState */
	pid_t		pid[BKC_MAX_REPOS]; /* who is at it */
} BkcWalItem;

typedef struct BkcWalQueue
{
	uint32		helpers;		/* attached and alive */
	BkcWalItem	items[BKC_WAL_QUEUE];
} BkcWalQueue;

/* All of these take the lock of bkc_wal themselves. */

/*
 * Take the first segment in order that some repository still needs and that is allowed now
 * (no back-off, no wide hole); marks it BUSY.  usable is a bit mask of repositories. false
 * when there is none.
 */
extern bool bkc_queue_take(uint32 usable, TimeLineID *timeline, XLogSegNo *segno, int *repo);

/* Enter segments that are .ready, in order; those that are there stay as they are. */
extern void bkc_queue_add(TimeLineID timeline, XLogSegNo segno);

/*
 * How many have something to do for any of these repositories (but for those in back-off),
 * and the last segment that was entered.
 */
extern int	bkc_queue_todo(uint32 usable, TimeLineID *timeline, XLogSegNo *last);

/*
 * The archiver wants this segment in that repository: DURABLE, BUSY (somebody is at it), or
 * TODO: then it is marked BUSY for the caller.  One that is not in the queue is entered;
 * *entered is false when the queue is full, otherwise bkc_queue_done() must follow TODO.
 */
extern BkcWalState bkc_queue_want(TimeLineID timeline, XLogSegNo segno, int repo, bool *entered);

/* The caller's work on it has ended; wakes who waits. */
extern void bkc_queue_done(TimeLineID timeline, XLogSegNo segno, int repo, bool durable);

/* The archiver has reported it: forget it. */
extern void bkc_queue_drop(TimeLineID timeline, XLogSegNo segno);

/* A process ends: what it was at is to be done again. */
extern void bkc_queue_release(pid_t pid);

/*
 * Throw out segments that are not .ready any more (reported by an archiver that could not
 * say so).
 */
extern void bkc_queue_prune(void);

/* A repository's state is taken anew: nothing is known to be durable there.  Under the lock. */
extern void bkc_queue_reset_repo(int repo);

#endif							/* BKC_SERVER_WALQUEUE_H */
