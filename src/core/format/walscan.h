/*
 * walscan.h
 *		Reading WAL just far enough to see when transactions ended.
 *
 * A restore to a time ends with an error of the server when no transaction
 * ended after that time, so somebody must know before.  Bytes are
 * fed in order, from the start of a segment on; a record that began before it
 * is skipped.  Every record's CRC is checked; the first thing that is not
 * valid WAL (zeros behind the end, above all) ends the scan, without being an
 * error.  Record layout of PostgreSQL 15 to 19 (access/xlogrecord.h).
 */
#ifndef BKC_FORMAT_WALSCAN_H
#define BKC_FORMAT_WALSCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* A transaction ended: commit or abort, also of a prepared one. */
typedef struct BkcWalXact
{
	uint64_t	lsn;			/* start of the record */
	uint64_t	end_lsn;		/* behind it */
	uint32_t	xid;			/* as in recovery_target_xid; of a prepared one: its own */
	int64_t		time;			/* microseconds since 1970 */
	bool		commit;
} BkcWalXact;

/* A named restore point. */
typedef struct BkcWalPoint
{
	uint64_t	lsn;
	uint64_t	end_lsn;
	int64_t		time;
	char		name[64];
} BkcWalPoint;

typedef struct BkcWalScanner BkcWalScanner;

/*
 * start_lsn is the start of a segment.  The callbacks may be NULL; *stop = true ends the scan.
 * They must not be fed with anything but WAL of one timeline in one run.
 */
extern bool bkc_walscan_new(uint64_t start_lsn, uint32_t segment_size,
							void (*xact) (void *arg, const BkcWalXact *xact, bool *stop),
							void (*point) (void *arg, const BkcWalPoint *point, bool *stop),
							void *arg, BkcWalScanner **scanner, BkcError *err);

/* The following bytes, in pieces of any size.  Memory does not grow. */
extern bool bkc_walscan_feed(BkcWalScanner *scanner, const void *data, size_t len, BkcError *err);

/* No more of it: the end of valid WAL was seen, or a callback said stop. */
extern bool bkc_walscan_ended(const BkcWalScanner *scanner);

/*
 * Behind the last valid record (its end rounded up to 8, as the server counts; behind a
 * switch of segments: the next one's start).  The start before there is any.
 */
extern uint64_t bkc_walscan_lsn(const BkcWalScanner *scanner);

/* Start of that record; 0 when there was none yet. */
extern uint64_t bkc_walscan_last(const BkcWalScanner *scanner);
extern void bkc_walscan_free(BkcWalScanner *scanner);	/* NULL is fine */

#endif							/* BKC_FORMAT_WALSCAN_H */
