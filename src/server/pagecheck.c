/*
 * pagecheck.c
 *		See pagecheck.h.
 *
 * The server's own rule (17 and later): a page is good when it is new, when
 * its LSN is not before the start of the backup (then its image is in the
 * WAL), or when its checksum is right.  Sharper than the server's in three
 * places: a page "in the future" is damaged too, because no page reaches the
 * disk before its WAL is flushed; a new page must be zero all over; and a
 * suspect is read again until two readings are equal, since a write in
 * progress changes it and a damaged page stays what it is.
 */
#include "pgcompat.h"

#include <unistd.h>

#include "base/host.h"
#include "pagecheck.h"
#include "storage/bufpage.h"
#include "storage/checksum.h"

#define REREADS			5
#define REREAD_WAIT_MS	5

static bool
is_zero(const char *page)
{
	const size_t *p = (const size_t *) page;

	for (size_t i = 0; i < BLCKSZ / sizeof(size_t); i++)
		if (p[i] != 0)
			return false;
	return true;
}

/* pg_checksum_page() changes the page for a moment, so page must be writable. */
static bool
page_good(char *page, BlockNumber block, XLogRecPtr start_lsn)
{
	XLogRecPtr	lsn;

	if (PageIsNew((Page) page))
		return is_zero(page);
	lsn = PageGetLSN((Page) page);
	if (lsn >= start_lsn && lsn <= GetFlushRecPtr(NULL))
		return true;
	return pg_checksum_page(page, block) == ((PageHeader) page)->pd_checksum;
}

/* Is the page on disk really damaged, or were we reading while it was written? */
static bool
page_stays_bad(int fd, const char *page, uint64 offset, BlockNumber block, XLogRecPtr start_lsn)
{
	PGAlignedBlock now;
	PGAlignedBlock before;

	memcpy(before.data, page, BLCKSZ);
	for (int i = 0; i < REREADS; i++)
	{
		if (pread(fd, now.data, BLCKSZ, (off_t) offset) != BLCKSZ)
			return false;		/* truncated meanwhile: replay will do the same */
		if (page_good(now.data, block, start_lsn))
			return false;
		if (i > 0 && memcmp(now.data, before.data, BLCKSZ) == 0)
			return true;
		memcpy(before.data, now.data, BLCKSZ);
		bkc_host->wait(REREAD_WAIT_MS);
	}
	/* it keeps changing: somebody is writing it, and replay mends it */
	return false;
}

void
bkc_pages_check(int fd, uint8 *buf, size_t len, uint64 offset,
				uint32 first_block, XLogRecPtr start_lsn, BkcBadBlocks *bad)
{
	for (size_t at = 0; at + BLCKSZ <= len; at += BLCKSZ)
	{
		BlockNumber block = first_block + (BlockNumber) ((offset + at) / BLCKSZ);

		if (page_good((char *) buf + at, block, start_lsn))
			continue;

		/* a file that is bad all over is not read again page by page */
		if (bad->listed < BKC_BAD_BLOCKS_MAX &&
			!page_stays_bad(fd, (const char *) buf + at, offset + at, block, start_lsn))
			continue;
		if (bad->listed < BKC_BAD_BLOCKS_MAX)
			bad->blocks[bad->listed++] = block;
		bad->count++;
	}
}
