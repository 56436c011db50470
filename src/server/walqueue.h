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
 * It begins where the archiver is, or where the first segment waits, and goes on behind a gap
 * or on the next timeline (walnext.h).
 *
 * A call of the operating system may block for as long as a repository is away (NFS), and
 * nothing ends that.  So with several repositories no one gets all processes: the archiver and
 * the helpers are always more than all repositories but one may hold, and one helper of
 * several is always left for the others.
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

/* A segment of a window, or another file, and who is at it. */
typedef struct BkcWalSlot
{
	uint8		state;			/* BkcWalState */
	bool		helper;			/* that is a WAL helper */
	pid_t		pid;			/* 0 = nobody */
	TimestampTz since;			/* since when */
} BkcWalSlot;

typedef struct BkcWalWindow
{
	TimeLineID	timeline;		/* 0 = nobody has been here yet */
	TimeLineID	history;		/* the newest whose history is known to be here */
	uint64		left;			/* durable here and not reported yet, of what the window has left */
	XLogSegNo	known;			/* known .. base - 1 are durable here and not reported yet */
	XLogSegNo	base;			/* the segment of the first slot */
	BkcWalSlot	slots[BKC_WAL_AHEAD];
	BkcWalSlot	other;			/* for a file that is no segment of the window */
} BkcWalWindow;

/* A segment in work for one repository; timeline 0: a file that is none. */
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
 * none, and none more than leaves somebody for the others.  Whether the segment waits for the
 * archiver at all is for the caller to see.  false when there is none.
 */
extern bool bkc_queue_take(uint32 repos, BkcWalTask *task);

/*
 * The same for one more segment of a repository where the caller is at one already: as if it
 * had come to the end of that one.  Not where anything is wrong.
 */
extern bool bkc_queue_take_next(const BkcWalTask *at, uint32 repos, BkcWalTask *task);

/*
 * The archiver comes to this segment: nothing before it waits any more.  To
 * be called for all repositories before the first is served, as that may take long.
 */
extern void bkc_queue_reach(const BkcWalTask *task);

/*
 * The caller wants this file in that repository: DURABLE, BUSY (somebody is at it, or the
 * repository has as many processes as it may have), or TODO: then it is the caller's, and
 * bkc_queue_done() must follow.
 */
extern BkcWalState bkc_queue_want(const BkcWalTask *task);

/* The caller's work on it has ended; wakes who waits. */
extern void bkc_queue_done(const BkcWalTask *task, bool durable);

/* A process ends: what it was at is to be done again. */
extern void bkc_queue_release(pid_t pid);

/* ---- where a window goes on ---- */

/*
 * Nobody is at anything of the window, and the repository is not in back-off: the segment that it
 * needs next (timeline 0: any), and the newest timeline whose history is known to be there.
 */
extern bool bkc_queue_rest(int repo, BkcWalTask *next, TimeLineID *history);

/* What waits next is this; the window goes there if it still rests at the other. */
extern bool bkc_queue_go_on(const BkcWalTask *from, const BkcWalTask *to);

/* The history of that timeline is durable there. */
extern void bkc_queue_note_history(int repo, TimeLineID timeline);

/* ---- who is where ---- */

/* Since when the one has been there who has been there longest; 0 = nobody. */
extern TimestampTz bkc_queue_since(int repo);

/*
 * Has he been there for so long that this counts as a failure?  With several repositories that is
 * longer than a megabyte a second would take, so that the others need not wait; with one only,
 * longer than the time limit after which he would have given up by himself.
 */
extern bool bkc_queue_stuck_at(int repo);

/* Is there a helper that is at nothing? */
extern bool bkc_queue_free_helper(void);

/*
 * Is somebody at one file there, or in any repository, for so long that something must be wrong?
 * Only asked when there are other repositories; false when there are none.
 */
extern bool bkc_queue_hangs_at(int repo);
extern bool bkc_queue_hangs(void);

/* ---- for who holds the lock ---- */

/* Is that segment known to be durable and not reported yet? */
static inline bool
bkc_window_durable(const BkcWalWindow *w, TimeLineID timeline, XLogSegNo segno)
{
	if (w->timeline != timeline || segno < w->known || segno >= w->base + BKC_WAL_AHEAD)
		return false;
	return segno < w->base || w->slots[segno - w->base].state == BKC_WAL_DURABLE;
}

/* How many are. */
static inline uint64
bkc_window_ahead(const BkcWalWindow *w)
{
	uint64		n = w->left + w->base - w->known;

	for (int i = 0; i < BKC_WAL_AHEAD; i++)
		n += w->slots[i].state == BKC_WAL_DURABLE;
	return n;
}

#endif							/* BKC_SERVER_WALQUEUE_H */
