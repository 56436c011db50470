/*
 * chunktidy.h
 *		Chunks that are to go from a repository when their segment is whole
 *		there, and what is known about that.
 *
 * Nothing here raises.
 */
#ifndef BKC_SERVER_CHUNKTIDY_H
#define BKC_SERVER_CHUNKTIDY_H

#include "pgcompat.h"

#include "access/xlog_internal.h"
#include "store/store.h"
#include "utils/timestamp.h"

#define BKC_TIDY_MAX	32
#define BKC_TIDY_OURS	4

typedef struct BkcTidyItem
{
	TimeLineID	timeline;
	XLogSegNo	segno;
	TimestampTz look_at;		/* not before */
	int			missed;			/* how often the whole segment was not there */
	bool		foreign;		/* it is there with other content than ours */
	uint64		ours[BKC_TIDY_OURS];	/* generations of which this process has sent chunks */
	int			nours;
} BkcTidyItem;

/* Zeroed is empty.  It is a memory only: what is lost with it, the next streamer finds. */
typedef struct BkcTidy
{
	TimeLineID	timeline;		/* of the open segment, by the caller: */
	XLogSegNo	open;			/* it is not asked about */
	BkcTidyItem items[BKC_TIDY_MAX];
	int			n;
	bool		more;			/* some had no room */
} BkcTidy;

/* Chunks of that segment are in the repository; generation: we sent them, 0 = somebody else. */
extern void bkc_tidy_add(BkcTidy *tidy, TimeLineID timeline, XLogSegNo segno, uint64 generation);

/*
 * Add what other processes have left beside segments that are whole, or will be, in the
 * folder of the log that holds the open segment and in the one before.
 */
extern bool bkc_tidy_find(BkcTidy *tidy, BkcStore *store, BkcError *err);

/* Is something worth a question to the repository?  Asks nobody. */
extern bool bkc_tidy_due(const BkcTidy *tidy, int repo);

/*
 * Remove chunks of segments that are whole there and hold the same: the name
 * alone proves nothing, another server may have used it, and then the chunks
 * are all that is left of ours, or ours of its.  What this process has sent,
 * chunks and segment, need not be compared.  Not in recovery.  A segment that
 * is neither waiting for the archiver nor in the repository is the end of a
 * timeline that was left: its chunks stay.
 */
extern bool bkc_tidy_run(BkcTidy *tidy, BkcStore *store, int repo, BkcError *err);

/* Are chunks kept because the repository has other content for their segment?  Then says so. */
extern bool bkc_tidy_trouble(const BkcTidy *tidy, BkcError *err);

/* ---- is a file durable? ---- */

/* Does it wait for the archiver? */
extern bool bkc_tidy_is_ready(const char *file);

/* As shared memory knows it: the archiver has reported the segment, or a helper has sent it. */
extern bool bkc_tidy_known(int repo, TimeLineID timeline, XLogSegNo segno);

#endif							/* BKC_SERVER_CHUNKTIDY_H */
