/*
 * pagecheck.h
 *		Page checksums of relation files, verified while they are read.
 */
#ifndef BKC_SERVER_PAGECHECK_H
#define BKC_SERVER_PAGECHECK_H

#include "pgcompat.h"

#include "format/manifest.h"

/* Bad blocks of one file. */
typedef struct BkcBadBlocks
{
	uint64		count;			/* all */
	uint32		listed;			/* in blocks[] */
	uint32		blocks[BKC_BAD_BLOCKS_MAX];
} BkcBadBlocks;

/*
 * Check the pages in buf (len bytes read from fd at offset, a multiple of
 * BLCKSZ).  first_block is the number of the file's first block within its
 * fork.  Pages written since start_lsn are skipped: replay mends them.  A
 * page that seems damaged is read again from fd (buf itself is left as it
 * was read).  Never fails: what cannot be read again counts as damaged.
 */
extern void bkc_pages_check(int fd, uint8 *buf, size_t len, uint64 offset,
							uint32 first_block, XLogRecPtr start_lsn, BkcBadBlocks *bad);

#endif							/* BKC_SERVER_PAGECHECK_H */
