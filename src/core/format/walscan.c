/*
 * walscan.c
 *		Reading WAL just far enough to see when transactions ended
 *		(contract: walscan.h).
 *
 * Pages and records are recognised as recovery does it (xlogreader.c), so
 * that the scan ends where recovery would: page headers with the right address, record headers
 * that name their predecessor, CRCs.  Nothing of a record is kept but what walscan_record.c picks
 * out while the bytes pass.
 */
#include "format/walscan.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "format/walscan_crc.h"
#include "format/walscan_record.h"

#define SEGMENT_MIN			(1024 * 1024)
#define SEGMENT_MAX			(1024 * 1024 * 1024)
#define BLOCK_MIN			1024	/* XLOG_BLCKSZ; 8192 unless somebody configured it */
#define BLOCK_MAX			65536

/* XLogPageHeaderData, XLogLongPageHeaderData */
#define SHORT_HEADER		24
#define LONG_HEADER			40
#define IS_CONTRECORD		0x0001	/* xlp_info */
#define HAS_LONG_HEADER		0x0002
#define OVERWRITE_18		0x0008	/* XLP_FIRST_IS_OVERWRITE_CONTRECORD, 15 to 18 */
#define OVERWRITE_19		0x0004	/* ... and later; before, a flag without meaning for us */
#define ALL_FLAGS			0x000F
#define MAGIC_15			0xD110	/* xlp_magic */
#define MAGIC_18			0xD118
#define MAGIC_LAST			0xD1FF

/* XLogRecord */
#define RECORD_HEADER		BKC_WALRECORD_HEADER
#define RECORD_CRC			20	/* its offset; it covers what follows it and what precedes it */
#define RMID_XLOG			0
#define XLOG_SWITCH			0x40
#define XLOG_INFO_MASK		0xF0

typedef enum ScanState
{
	SCAN_START,					/* in front of the first page */
	SCAN_SKIP,					/* in a record that began before the first page */
	SCAN_RECORD,				/* in a record, or in front of one (done == 0) */
	SCAN_SWITCHED,				/* the rest of the segment holds nothing */
	SCAN_ENDED
} ScanState;

struct BkcWalScanner
{
	void		(*xact) (void *arg, const BkcWalXact *xact, bool *stop);
	void		(*point) (void *arg, const BkcWalPoint *point, bool *stop);
	void	   *arg;
	BkcCrc32cUpdate crc_update;
	ScanState	state;
	uint32_t	segment_size;
	uint64_t	pos;			/* LSN of the next byte to be fed */
	uint64_t	lsn;			/* behind the last valid record */
	uint64_t	prev;			/* start of that record, 0 = not known */

	/* what the first page said */
	uint16_t	magic;
	uint32_t	block_size;
	uint64_t	sysid;
	uint32_t	timeline;		/* of the last page; it never falls */

	uint8_t		page[LONG_HEADER];
	uint32_t	page_have;		/* bytes of the header that is being collected */
	uint32_t	page_left;		/* bytes behind the header that have not been fed */

	uint32_t	skip;			/* SKIP: bytes of the record that are to come */
	uint32_t	pad;			/* bytes to the next record's place */

	/* the record */
	uint64_t	start;
	uint32_t	total;
	uint32_t	done;
	uint32_t	crc;
	uint8_t		head[RECORD_HEADER];
	BkcWalRecord record;
};

bool
bkc_walscan_new(uint64_t start_lsn, uint32_t segment_size,
				void (*xact) (void *arg, const BkcWalXact *xact, bool *stop),
				void (*point) (void *arg, const BkcWalPoint *point, bool *stop),
				void *arg, BkcWalScanner **scanner, BkcError *err)
{
	BkcWalScanner *s;

	*scanner = NULL;
	if (segment_size < SEGMENT_MIN || segment_size > SEGMENT_MAX ||
		(segment_size & (segment_size - 1)) != 0)
		return bkc_error_set(err, BKC_ERR_INVALID, "invalid WAL segment size: %u", segment_size);
	if (start_lsn % segment_size != 0)
		return bkc_error_set(err, BKC_ERR_INVALID,
							 "WAL location %X/%X is not the start of a segment",
							 (unsigned) (start_lsn >> 32), (unsigned) start_lsn);
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return bkc_error_oom(err);
	s->xact = xact;
	s->point = point;
	s->arg = arg;
	s->crc_update = bkc_crc32c_best();
	s->segment_size = segment_size;
	s->pos = start_lsn;
	s->lsn = start_lsn;
	*scanner = s;
	return true;
}

/* ---- pages ---- */

/* Does the collected header belong to the page that must be here? */
static bool
page_valid(BkcWalScanner *s)
{
	uint64_t	address = s->pos - s->page_have;
	uint16_t	magic = bkc_get_u16(s->page);
	uint16_t	flags = bkc_get_u16(s->page + 2);
	uint32_t	timeline = bkc_get_u32(s->page + 4);

	if (s->state == SCAN_START)
	{
		s->magic = magic;
		s->sysid = bkc_get_u64(s->page + 24);
		s->block_size = bkc_get_u32(s->page + 36);
		if (magic < MAGIC_15 || magic > MAGIC_LAST || s->block_size < BLOCK_MIN ||
			s->block_size > BLOCK_MAX || (s->block_size & (s->block_size - 1)) != 0)
			return false;
	}
	if (magic != s->magic || (flags & ~ALL_FLAGS) != 0 || timeline < s->timeline ||
		bkc_get_u64(s->page + 8) != address)
		return false;
	s->timeline = timeline;
	if (address % s->segment_size == 0 && (flags & HAS_LONG_HEADER) == 0)
		return false;
	return (flags & HAS_LONG_HEADER) == 0 ||
		(bkc_get_u64(s->page + 24) == s->sysid &&
		 bkc_get_u32(s->page + 32) == s->segment_size &&
		 bkc_get_u32(s->page + 36) == s->block_size);
}

/* Does the page go on as the previous one ended?  Changes the state accordingly. */
static bool
page_continues(BkcWalScanner *s)
{
	uint16_t	flags = bkc_get_u16(s->page + 2);
	uint32_t	rest = bkc_get_u32(s->page + 16);
	bool		inside = s->state == SCAN_SKIP || (s->state == SCAN_RECORD && s->done > 0);
	uint32_t	expected = s->state == SCAN_SKIP ? s->skip : s->total - s->done;

	if (s->state == SCAN_START)
	{
		s->state = flags & IS_CONTRECORD ? SCAN_SKIP : SCAN_RECORD;
		s->skip = rest;
		return s->state != SCAN_SKIP || rest > 0;
	}
	if ((flags & IS_CONTRECORD) != 0)
		return inside && rest == expected;
	if (!inside)
		return true;

	/*
	 * A crash lost the rest of the record, and the server began anew here.
	 * Where 0x0004 means something else WAL simply ends: the next record
	 * there does not name the right predecessor.
	 */
	s->state = SCAN_RECORD;
	s->done = 0;
	return (flags & (s->magic > MAGIC_18 ? OVERWRITE_18 | OVERWRITE_19 : OVERWRITE_18)) != 0;
}

/* Collect the page's header; returns the bytes used. */
static size_t
feed_page_header(BkcWalScanner *s, const uint8_t *data, size_t len)
{
	uint32_t	need = SHORT_HEADER;
	size_t		n;

	if (s->state == SCAN_START ||
		(s->page_have >= SHORT_HEADER && (bkc_get_u16(s->page + 2) & HAS_LONG_HEADER) != 0))
		need = LONG_HEADER;
	n = need - s->page_have < len ? need - s->page_have : len;
	memcpy(s->page + s->page_have, data, n);
	s->page_have += (uint32_t) n;
	s->pos += n;
	if (s->page_have < need ||
		(need == SHORT_HEADER && (bkc_get_u16(s->page + 2) & HAS_LONG_HEADER) != 0))
		return n;				/* more of it is to come */
	if (!page_valid(s) || !page_continues(s))
		s->state = SCAN_ENDED;
	else
		s->page_left = s->block_size - need;
	s->page_have = 0;
	return n;
}

/* ---- records ---- */

/* The next record begins at a multiple of 8; pages are such multiples, too. */
static void
to_next_record(BkcWalScanner *s)
{
	s->pad = (uint32_t) (-s->pos & 7);
	s->lsn = s->pos + s->pad;
}

static void
report(BkcWalScanner *s)
{
	const BkcWalRecord *rec = &s->record;
	bool		stop = false;

	if (rec->type == BKC_WALRECORD_XACT && s->xact != NULL)
	{
		BkcWalXact	xact = {
			.lsn = s->start,
			.end_lsn = s->lsn,
			.xid = rec->xid,
			.time = rec->time,
			.commit = rec->commit
		};

		s->xact(s->arg, &xact, &stop);
	}
	else if (rec->type == BKC_WALRECORD_POINT && s->point != NULL)
	{
		BkcWalPoint point = {
			.lsn = s->start,
			.end_lsn = s->lsn,
			.time = rec->time
		};

		memcpy(point.name, rec->name, sizeof(point.name));
		s->point(s->arg, &point, &stop);
	}
	if (stop)
		s->state = SCAN_ENDED;
}

/* The whole record has passed. */
static void
finish_record(BkcWalScanner *s)
{
	uint32_t	crc = s->crc_update(s->crc, s->head, RECORD_CRC);

	if (BKC_CRC32C_FINAL(crc) != bkc_get_u32(s->head + RECORD_CRC))
	{
		s->state = SCAN_ENDED;
		return;
	}
	s->prev = s->start;
	s->done = 0;
	to_next_record(s);
	if (s->head[17] == RMID_XLOG && (s->head[16] & XLOG_INFO_MASK) == XLOG_SWITCH)
	{
		s->state = SCAN_SWITCHED;
		s->pad = 0;
		if (s->lsn % s->segment_size != 0)
			s->lsn += s->segment_size - s->lsn % s->segment_size;
	}
	if (s->record.known)
		report(s);
}

/* The header is there: is a record possible that has it? */
static void
begin_record(BkcWalScanner *s)
{
	uint64_t	prev = bkc_get_u64(s->head + 8);

	/* of the first record we cannot know the predecessor, only that it lies before */
	if (s->prev != 0 ? prev != s->prev : prev >= s->start)
	{
		s->state = SCAN_ENDED;
		return;
	}
	s->crc = BKC_CRC32C_INIT;
	bkc_walrecord_begin(&s->record, s->head, s->magic);
	if (s->total == RECORD_HEADER)
		finish_record(s);
}

/* Bytes of a record on one page; returns how many were used. */
static size_t
feed_record(BkcWalScanner *s, const uint8_t *data, size_t len)
{
	size_t		n;

	if (s->done < RECORD_HEADER)
	{
		if (s->done == 0)
			s->start = s->pos;
		n = RECORD_HEADER - s->done;
		if (n > len)
			n = len;
		memcpy(s->head + s->done, data, n);

		/* a page's rest has at least 8 bytes, so the length is there before the page ends */
		s->done += (uint32_t) n;
		s->pos += n;
		if (s->done >= sizeof(uint32_t))
		{
			s->total = bkc_get_u32(s->head);
			if (s->total < RECORD_HEADER)
				s->state = SCAN_ENDED;
			else if (s->done == RECORD_HEADER)
				begin_record(s);
		}
		return n;
	}
	n = s->total - s->done;
	if (n > len)
		n = len;
	s->crc = s->crc_update(s->crc, data, n);
	if (s->record.type != BKC_WALRECORD_OTHER)
		bkc_walrecord_feed(&s->record, s->done, data, n);
	s->done += (uint32_t) n;
	s->pos += n;
	if (s->done == s->total)
		finish_record(s);
	return n;
}

/* Bytes that nobody looks at; returns how many. */
static size_t
pass(BkcWalScanner *s, uint32_t *left, size_t len)
{
	size_t		n = *left < len ? *left : len;

	*left -= (uint32_t) n;
	s->pos += n;
	return n;
}

/* Bytes behind a page's header, none of the next page; returns how many were used. */
static size_t
feed_page(BkcWalScanner *s, const uint8_t *data, size_t len)
{
	size_t		n;

	if (s->pad > 0)
		return pass(s, &s->pad, len);
	if (s->state != SCAN_SKIP)
		return feed_record(s, data, len);
	n = pass(s, &s->skip, len);
	if (s->skip == 0)
	{
		s->state = SCAN_RECORD;
		to_next_record(s);
	}
	return n;
}

/* Behind a switch of segments: pages there may have headers or not. */
static size_t
feed_switched(BkcWalScanner *s, size_t len)
{
	uint64_t	left = s->lsn - s->pos;

	if (left > len)
	{
		s->pos += len;
		return len;
	}
	s->pos = s->lsn;
	s->page_left = 0;
	s->state = SCAN_RECORD;
	return (size_t) left;
}

bool
bkc_walscan_feed(BkcWalScanner *scanner, const void *data, size_t len, BkcError *err)
{
	BkcWalScanner *s = scanner;
	const uint8_t *p = data;

	while (len > 0 && s->state != SCAN_ENDED)
	{
		size_t		n;

		if (s->state == SCAN_SWITCHED)
			n = feed_switched(s, len);
		else if (s->page_left == 0)
			n = feed_page_header(s, p, len);
		else
		{
			n = feed_page(s, p, len < s->page_left ? len : s->page_left);
			s->page_left -= (uint32_t) n;
		}
		p += n;
		len -= n;
	}
	return true;
}

bool
bkc_walscan_ended(const BkcWalScanner *scanner)
{
	return scanner->state == SCAN_ENDED;
}

uint64_t
bkc_walscan_lsn(const BkcWalScanner *scanner)
{
	return scanner->lsn;
}

uint64_t
bkc_walscan_last(const BkcWalScanner *scanner)
{
	return scanner->prev;
}

void
bkc_walscan_free(BkcWalScanner *scanner)
{
	free(scanner);
}
