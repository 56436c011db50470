/*
 * waldisk.h
 *		What waits in this server's pg_wal: .ready files and free space.
 */
#ifndef BKC_SERVER_WALDISK_H
#define BKC_SERVER_WALDISK_H

#include "pgcompat.h"

#include "access/xlog_internal.h"
#include "base/error.h"

typedef struct BkcWalWaiting
{
	uint64		files;			/* all that are .ready */
	uint64		segments;
	uint64		bytes;
	TimestampTz oldest;			/* when the oldest became ready; 0 when there is none */
	char		first[MAXFNAMELEN]; /* the segment that is first in order, "" when none */
} BkcWalWaiting;

/*
 * Counts; does not open any file.  Does not raise; false with an error when the folder
 * cannot be read.
 */
extern bool bkc_waldisk_waiting(BkcWalWaiting *waiting, BkcError *err);

/*
 * The first segment in order that waits and comes behind that one; after "": the first of
 * all.  next is "" when there is none.  Does not raise.
 */
extern bool bkc_waldisk_next(const char *after, char next[MAXFNAMELEN], BkcError *err);

/*
 * When the file became ready (mtime of its .ready file), microseconds since 1970; now when
 * not known.
 */
extern int64 bkc_waldisk_ready_time(const char *file);

/* Free bytes of pg_wal's file system. */
extern bool bkc_waldisk_free(uint64 *bytes, BkcError *err);

/*
 * Does the segment begin as one of this cluster's must (magic, address,
 * system identifier, size)?  Works for partial segments.
 */
extern bool bkc_waldisk_check(const char *file, const char *path, BkcError *err);

#endif							/* BKC_SERVER_WALDISK_H */
