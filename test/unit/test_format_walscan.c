/*
 * test_format_walscan.c
 *		Scanning WAL that was made by hand: every way in which records lie on
 *		pages, all the ends there are, and nonsense.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "walmake.h"

#include "base/bytes.h"
#include "format/pgfiles.h"
#include "format/walscan.h"
#include "format/walscan_crc.h"

#define START		(UINT64_C(5) * WAL_SEGMENT)
#define EPOCH		INT64_C(946684800000000)	/* 2000, in microseconds since 1970 */

#define COMMIT				0x00
#define ABORT				0x20
#define COMMIT_PREPARED		0x30
#define ABORT_PREPARED		0x40
#define HAS_INFO			0x80

/* ---- what a scan found ---- */

typedef struct Found
{
	BkcBuffer	text;			/* a line for each event */
	int			events;
	int			stop_at;		/* tell it to stop at this one; 0 = never */
	bool		ended;
	uint64_t	lsn;
} Found;

static void
note(Found *found, bool *stop, const char *fmt,...) BKC_PRINTF(3, 4);

static void
note(Found *found, bool *stop, const char *fmt,...)
{
	char		line[256];
	BkcError	err;
	va_list		ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	assert_true(bkc_buffer_append_str(&found->text, line, &err));
	assert_false(*stop);
	*stop = ++found->events == found->stop_at;
}

static void
on_xact(void *arg, const BkcWalXact *x, bool *stop)
{
	note(arg, stop, "%llx-%llx %s %u %lld\n", (unsigned long long) (x->lsn - START),
		 (unsigned long long) (x->end_lsn - START), x->commit ? "commit" : "abort", x->xid,
		 (long long) (x->time - EPOCH));
}

static void
on_point(void *arg, const BkcWalPoint *p, bool *stop)
{
	note(arg, stop, "%llx-%llx point %s %lld\n", (unsigned long long) (p->lsn - START),
		 (unsigned long long) (p->end_lsn - START), p->name, (long long) (p->time - EPOCH));
}

/* Feed everything in pieces of that size; 0: of changing sizes. */
static void
scan(const WalMaker *w, size_t piece, Found *found)
{
	BkcWalScanner *scanner;
	BkcError	err;
	uint32_t	seed = 4711;
	size_t		at = 0;

	assert_true(bkc_walscan_new(w->start, WAL_SEGMENT, on_xact, on_point, found, &scanner, &err));
	while (at < w->bytes.len)
	{
		size_t		n = piece;
		uint8_t    *copy;

		if (piece == 0)
		{
			seed = seed * 1103515245 + 12345;
			n = (seed >> 16) % 9000;
		}
		if (n > w->bytes.len - at)
			n = w->bytes.len - at;

		/* a copy of exactly that size, so that reading beyond it is noticed */
		copy = malloc(n + (n == 0));
		assert_non_null(copy);
		memcpy(copy, w->bytes.data + at, n);
		assert_true(bkc_walscan_feed(scanner, copy, n, &err));
		free(copy);
		at += n;
	}
	found->ended = bkc_walscan_ended(scanner);
	found->lsn = bkc_walscan_lsn(scanner);
	bkc_walscan_free(scanner);
}

/* Whatever the pieces, the result is the same, and it is this one. */
static void
finds(const WalMaker *w, uint64_t lsn, bool ended, const char *expected)
{
	static const size_t pieces[] = {SIZE_MAX, 1, 7, 8, 8191, 8192, 8193, 100000, 0};
	size_t		i;

	for (i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++)
	{
		Found		found = {{0}, 0, 0, false, 0};

		if (pieces[i] < 8 && w->bytes.len > 100000)
			continue;			/* takes too long */
		scan(w, pieces[i], &found);
		assert_string_equal(bkc_buffer_str(&found.text), expected);
		assert_int_equal(found.lsn, lsn);
		assert_int_equal(found.ended, ended);
		bkc_buffer_free(&found.text);
	}
}

static char *
line(char *out, uint64_t lsn, uint64_t end, const char *what)
{
	snprintf(out, 128, "%llx-%llx %s\n", (unsigned long long) (lsn - START),
			 (unsigned long long) (end - START), what);
	return out;
}

/* ---- records ---- */

static void
nothing(void **state)
{
	WalMaker	w;

	wal_begin(&w, START);
	finds(&w, START, false, "");
	wal_fill_page(&w);			/* of no length */
	wal_noise(&w, 0);
	wal_noise(&w, 1);
	finds(&w, START + 40 + 24 + 32, false, "");
	wal_fill_segment(&w);
	finds(&w, START + 40 + 24 + 32, true, "");
	wal_free(&w);

	/* a segment that was never written */
	wal_begin(&w, START);
	wal_noise(&w, 1);
	memset(w.bytes.data, 0, w.bytes.len);
	finds(&w, START, true, "");
	wal_free(&w);
}

static void
xacts_and_points(void **state)
{
	uint8_t		point[72] = {0};
	char		expected[1024] = "";
	WalMaker	w;

	wal_begin(&w, START);
	wal_xact(&w, COMMIT, 700, 1);
	wal_xact(&w, ABORT, 701, -2);
	wal_main(&w, 1, 0x10, 702, point, 60);	/* PREPARE is no end */
	wal_main(&w, 1, 0x50, 702, point, 60);	/* nor are assignments */
	wal_main(&w, 1, 0x60, 702, point, 60);	/* and invalidations */
	bkc_put_u64(point, 33);
	memset(point + 8, 'x', 64); /* not even terminated */
	wal_main(&w, 0, 0x70, 0, point, sizeof(point));
	memcpy(point + 8, "before lunch", 13);
	wal_main(&w, 0, 0x70, 0, point, sizeof(point));
	wal_main(&w, 0, 0xF0, 0, point, sizeof(point)); /* something else */
	wal_main(&w, 0, 0x70, 0, point, 71);	/* cannot be */
	bkc_put_u64(point, INT64_MAX);
	wal_main(&w, 1, COMMIT, 703, point, 8);
	wal_main(&w, 1, COMMIT, 704, point, 7); /* cannot be */
	snprintf(expected, sizeof(expected),
			 "28-50 commit 700 1\n"
			 "50-78 abort 701 -2\n"
			 "180-1e8 point %.63s 33\n"
			 "1e8-250 point before lunch 33\n"
			 "320-348 commit 703 %lld\n",
			 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
			 (long long) (INT64_MAX - EPOCH));
	finds(&w, wal_pos(&w), false, expected);
	wal_free(&w);
}

/* Headers in front of the main data: origin, top-level xid, the long form. */
static void
other_headers(void **state)
{
	uint8_t		body[64] = {0};
	WalMaker	w;

	wal_begin(&w, START);
	body[0] = 253;				/* origin */
	body[3] = 252;				/* top-level xid */
	body[8] = 255;
	body[9] = 8;
	bkc_put_u64(body + 10, 5);
	wal_record(&w, 1, COMMIT, 11, body, 18);	/* 0x28 */
	body[8] = 254;
	bkc_put_u32(body + 9, 8);
	bkc_put_u64(body + 13, 6);
	wal_record(&w, 1, ABORT, 12, body, 21); /* 0x58 */
	wal_record(&w, 1, ABORT, 13, body, 20); /* main data shorter than they say */
	wal_record(&w, 1, ABORT, 14, body, 22); /* longer */
	wal_record(&w, 1, COMMIT, 15, body, 8); /* there are none */
	wal_record(&w, 1, COMMIT, 16, body, 11);	/* half a length */
	wal_record(&w, 1, COMMIT, 17, body, 0);
	body[0] = 0;				/* a block, which none of these has */
	wal_record(&w, 1, COMMIT, 18, body, 21);
	finds(&w, wal_pos(&w), false, "28-58 commit 11 5\n58-88 abort 12 6\n");
	wal_free(&w);
}

/* A prepared transaction's record; arrays have n elements each.  Returns its length. */
static size_t
prepared(uint8_t *data, uint32_t xinfo, uint32_t n, uint32_t stats_size, uint32_t xid)
{
	const struct
	{
		uint32_t	flag;
		uint32_t	size;
	}			parts[] = {{1 << 1, 4}, {1 << 2, 12}, {1 << 8, stats_size}, {1 << 3, 16}};
	size_t		at = 12;
	size_t		i;

	memset(data, 0xEE, 60 * (size_t) (n + 1) + 64);
	bkc_put_u64(data, 99);
	bkc_put_u32(data + 8, xinfo);
	at += xinfo & 1 ? 8 : 0;
	for (i = 0; i < 4; i++)
	{
		if (xinfo & parts[i].flag)
		{
			bkc_put_u32(data + at, n);
			at += 4 + (size_t) n * parts[i].size;
		}
	}
	bkc_put_u32(data + at, xid);
	memcpy(data + at + 4, "name", 5);
	return at + 9;
}

static void
prepared_xacts(void **state)
{
	static const uint32_t counts[] = {0, 1, 2, 63, 64, 1000, 50000};
	static const uint32_t infos[] = {0x10, 0x11, 0x12, 0x1F, 0x100 | 0x10, 0x100 | 0x9F};
	uint8_t    *data = malloc(60 * 50001 + 64);
	size_t		i;
	size_t		j;

	assert_non_null(data);
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
	{
		for (j = 0; j < sizeof(infos) / sizeof(infos[0]); j++)
		{
			uint32_t	flags = infos[j];
			char		expected[512];
			char		part[128];
			uint64_t	lsn;
			size_t		len;
			WalMaker	w;

			wal_begin(&w, START);
			len = prepared(data, flags, counts[i], 12, 4242);
			lsn = wal_main(&w, 1, COMMIT_PREPARED | HAS_INFO, 1, data, len);
			strncpy(expected, line(part, lsn, wal_pos(&w), "commit 4242 99"), sizeof(expected));

			/* an abort has no invalidation messages */
			len = prepared(data, flags & ~(1U << 3), counts[i], 12, 4343);
			bkc_put_u32(data + 8, flags);
			lsn = wal_main(&w, 1, ABORT_PREPARED | HAS_INFO, 1, data, len);
			line(expected + strlen(expected), lsn, wal_pos(&w), "abort 4343 99");
			finds(&w, wal_pos(&w), false, expected);
			wal_free(&w);

			wal_begin(&w, START);
			w.magic = 0xD118;	/* 18: objects of statistics have longer ids */
			len = prepared(data, flags, counts[i], 16, 4242);
			lsn = wal_main(&w, 1, COMMIT_PREPARED | HAS_INFO, 1, data, len);
			finds(&w, wal_pos(&w), false, line(part, lsn, wal_pos(&w), "commit 4242 99"));
			wal_free(&w);
		}
	}
	free(data);
}

static void
prepared_nonsense(void **state)
{
	uint8_t		data[256];
	size_t		len;
	WalMaker	w;

	wal_begin(&w, START);
	wal_xact(&w, COMMIT_PREPARED, 1, 5);	/* 0x28: no info, so no xid */
	len = prepared(data, 0x12, 1, 12, 4242);
	bkc_put_u32(data + 12, UINT32_MAX); /* elements */
	wal_main(&w, 1, COMMIT_PREPARED | HAS_INFO, 1, data, len);
	bkc_put_u32(data + 12, 4);	/* the xid would lie behind the record's end */
	wal_main(&w, 1, COMMIT_PREPARED | HAS_INFO, 1, data, len);
	len = prepared(data, 0x10, 1, 12, 4242);
	wal_main(&w, 1, COMMIT_PREPARED | HAS_INFO, 1, data, 15);
	wal_main(&w, 1, COMMIT_PREPARED | HAS_INFO, 1, data, 11);
	wal_main(&w, 1, ABORT_PREPARED | HAS_INFO, 1, data, 16);
	finds(&w, wal_pos(&w), false, "28-50 commit 0 5\n118-148 abort 4242 99\n");
	wal_free(&w);
}

/* ---- pages ---- */

/* A commit at every place near a page's end, and near a segment's. */
static void
over_the_edge(void **state)
{
	uint32_t	block;
	uint32_t	left;

	for (block = 1024; block <= 65536; block *= 8)
	{
		for (left = 8; left <= 64; left += 8)
		{
			char		expected[512] = "";
			char	   *p = expected;
			uint64_t	lsn;
			WalMaker	w;

			wal_begin(&w, START);
			w.block = block;
			wal_leave(&w, left);
			lsn = wal_xact(&w, COMMIT, 800, 3);
			p += strlen(line(p, lsn, wal_pos(&w), "commit 800 3"));

			wal_noise(&w, 3 * block + 5);	/* over several pages */
			wal_noise(&w, WAL_SEGMENT - block - wal_pos(&w) % WAL_SEGMENT);
			while (WAL_SEGMENT - wal_pos(&w) % WAL_SEGMENT > block)
				wal_noise(&w, 200);
			wal_leave(&w, left);
			assert_int_equal(wal_pos(&w) % WAL_SEGMENT, WAL_SEGMENT - left);
			lsn = wal_xact(&w, ABORT, 801, 4);
			line(p, lsn, wal_pos(&w), "abort 801 4");
			wal_noise(&w, 2 * WAL_SEGMENT + 77);	/* over more than a segment */
			finds(&w, wal_pos(&w), false, expected);
			wal_free(&w);
		}
	}
}

/* The first page begins with a record's rest; that record is not looked at. */
static void
begins_inside(void **state)
{
	static const uint32_t rests[] = {
		1, 7, 8, 9, 8151, 8152, 8153, 8159, 8160, 8161, 16320, 16321, 1040000, 1100000
	};
	size_t		i;

	for (i = 0; i < sizeof(rests) / sizeof(rests[0]); i++)
	{
		char		expected[128];
		uint64_t	lsn;
		WalMaker	w;

		wal_begin(&w, START);
		w.rest = rests[i];
		w.prev = START - 1000;
		lsn = wal_xact(&w, COMMIT, 900, 9);
		finds(&w, wal_pos(&w), false, line(expected, lsn, wal_pos(&w), "commit 900 9"));
		wal_free(&w);
	}
}

/* The predecessor of the first record cannot lie behind it. */
static void
predecessors(void **state)
{
	WalMaker	w;

	wal_begin(&w, START);
	w.prev = START + 40;
	wal_xact(&w, COMMIT, 1, 1);
	finds(&w, START, true, "");
	wal_free(&w);

	wal_begin(&w, START);
	wal_xact(&w, COMMIT, 1, 1);
	w.prev -= 8;
	wal_xact(&w, COMMIT, 2, 2);
	finds(&w, START + 0x50, true, "28-50 commit 1 1\n");
	wal_free(&w);
}

/* A record whose rest got lost in a crash, and what the server did then. */
static void
overwritten(void **state)
{
	static const struct
	{
		uint16_t	magic;
		uint16_t	flag;
		bool		ends;
	}			cases[] = {
		{0xD110, 8, false}, {0xD118, 8, false}, {0xD120, 4, false}, {0xD120, 8, false},
		{0xD110, 4, true}, {0xD118, 4, true}, {0xD110, 0, true}, {0xD120, 0, true}
	};
	size_t		keep;
	size_t		i;

	for (keep = 8; keep <= 32; keep += 8)
	{
		for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		{
			char		expected[128];
			uint64_t	lsn;
			uint64_t	end;
			WalMaker	w;

			wal_begin(&w, START);
			w.magic = cases[i].magic;
			wal_leave(&w, (uint32_t) keep);
			end = wal_torn_record(&w, 100, keep);
			w.page_flags = cases[i].flag;
			lsn = wal_xact(&w, COMMIT, 5, 5);
			if (cases[i].ends)
				finds(&w, end, true, "");
			else
				finds(&w, wal_pos(&w), false, line(expected, lsn, wal_pos(&w), "commit 5 5"));
			wal_free(&w);
		}
	}
}

/* The same where the record began before the first segment. */
static void
overwritten_before(void **state)
{
	char		expected[128];
	uint64_t	lsn;
	WalMaker	w;

	wal_begin(&w, START);
	w.rest = 8152;
	wal_noise(&w, 0);
	bkc_buffer_reset(&w.bytes);
	w.prev = START - 5000;
	w.rest = 8152;
	wal_noise(&w, 0);
	bkc_put_u32(w.bytes.data + 16, 9000);	/* more than the page has */
	w.bytes.len = WAL_BLOCK;
	w.prev = START - 5000;
	w.page_flags = 8;
	lsn = wal_xact(&w, COMMIT, 5, 5);
	finds(&w, wal_pos(&w), false, line(expected, lsn, wal_pos(&w), "commit 5 5"));
	bkc_put_u16(w.bytes.data + WAL_BLOCK + 2, 0);
	finds(&w, START, true, "");
	wal_free(&w);
}

static void
switched(void **state)
{
	char		expected[512];
	char		part[128];
	uint64_t	lsn;
	WalMaker	w;

	/* the rest of the segment may be anything */
	wal_begin(&w, START);
	wal_xact(&w, COMMIT, 1, 1);
	wal_record(&w, 0, 0x40, 0, NULL, 0);
	finds(&w, START + WAL_SEGMENT, false, "28-50 commit 1 1\n");
	wal_fill_segment(&w);
	memset(w.bytes.data + 0x68, 0xFF, 100000);
	finds(&w, START + WAL_SEGMENT, false, "28-50 commit 1 1\n");
	lsn = wal_xact(&w, COMMIT, 2, 2);
	snprintf(expected, sizeof(expected), "28-50 commit 1 1\n%s",
			 line(part, lsn, wal_pos(&w), "commit 2 2"));
	finds(&w, wal_pos(&w), false, expected);
	wal_free(&w);

	/* a switch that ends with its segment, and one whose header is on two pages */
	wal_begin(&w, START);
	wal_noise(&w, WAL_SEGMENT - 3 * WAL_BLOCK);
	while (WAL_SEGMENT - wal_pos(&w) % WAL_SEGMENT > WAL_BLOCK)
		wal_noise(&w, 200);
	wal_leave(&w, 24);
	wal_record(&w, 0, 0x40, 0, NULL, 0);
	assert_int_equal(wal_pos(&w), START + WAL_SEGMENT);
	finds(&w, START + WAL_SEGMENT, false, "");
	wal_leave(&w, 16);
	wal_record(&w, 0, 0x40, 0, NULL, 0);
	wal_fill_segment(&w);
	lsn = wal_xact(&w, COMMIT, 2, 2);
	finds(&w, wal_pos(&w), false, line(part, lsn, wal_pos(&w), "commit 2 2"));
	wal_free(&w);
}

/* Page headers that are not those which must be there. */
static void
bad_pages(void **state)
{
	static const struct
	{
		size_t		page;
		size_t		offset;
		uint8_t		flip;
	}			cases[] = {
		{0, 0, 0x10}, {0, 1, 0x01}, {0, 2, 0x02}, {0, 2, 0x10}, {0, 3, 0x01}, {0, 8, 0x01},
		{0, 15, 0x01}, {0, 32, 0x01}, {0, 34, 0x30}, {0, 36, 0x01}, {0, 37, 0x30}, {0, 39, 0x01},
		{1, 0, 0x01}, {1, 1, 0x02}, {1, 2, 0x01}, {1, 2, 0x02}, {1, 2, 0x20}, {1, 4, 0x01},
		{1, 9, 0x20}, {1, 16, 0x01}
	};
	size_t		i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		uint64_t	torn;
		Found		found = {{0}, 0, 0, false, 0};
		WalMaker	w;

		wal_begin(&w, START);
		wal_leave(&w, 200);
		torn = wal_noise(&w, 1000);
		wal_noise(&w, 10);
		w.bytes.data[cases[i].page * WAL_BLOCK + cases[i].offset] ^= cases[i].flip;
		scan(&w, SIZE_MAX, &found);
		assert_true(found.ended);
		assert_int_equal(found.lsn, cases[i].page == 0 ? START : torn);
		wal_free(&w);
	}
}

/* The start of a timeline's first segment comes from the old one. */
static void
timelines(void **state)
{
	Found		found = {{0}, 0, 0, false, 0};
	char		expected[128];
	uint64_t	lsn;
	WalMaker	w;

	wal_begin(&w, START);
	wal_leave(&w, 8);
	w.timeline = 2;
	lsn = wal_xact(&w, COMMIT, 1, 1);
	finds(&w, wal_pos(&w), false, line(expected, lsn, wal_pos(&w), "commit 1 1"));
	w.timeline = 1;
	wal_leave(&w, 8);
	lsn = wal_pos(&w);
	wal_xact(&w, COMMIT, 2, 2);
	scan(&w, SIZE_MAX, &found);
	assert_true(found.ended);
	assert_int_equal(found.events, 1);
	assert_int_equal(found.lsn, lsn);
	bkc_buffer_free(&found.text);
	wal_free(&w);
}

/* Whatever bit is flipped, what was found before it is all that is found. */
static void
each_bit_counts(void **state)
{
	Found		whole = {{0}, 0, 0, false, 0};
	uint64_t	ends[40];
	WalMaker	w;
	size_t		bit;
	int			i;

	wal_begin(&w, START);
	w.block = 1024;
	for (i = 0; i < 40; i++)
	{
		wal_xact(&w, i % 2 ? COMMIT : ABORT, 1000 + (uint32_t) i, i);
		ends[i] = wal_pos(&w);
	}
	scan(&w, SIZE_MAX, &whole);
	assert_int_equal(whole.events, 40);
	for (bit = 0; bit < w.bytes.len * 8; bit++)
	{
		Found		found = {{0}, 0, 0, false, 0};

		w.bytes.data[bit / 8] ^= (uint8_t) (1 << bit % 8);
		scan(&w, SIZE_MAX, &found);
		w.bytes.data[bit / 8] ^= (uint8_t) (1 << bit % 8);
		assert_true(found.events <= 40);
		if (found.events > 0)
		{
			assert_memory_equal(found.text.data, whole.text.data, found.text.len);
			assert_int_equal(found.lsn, ends[found.events - 1]);
		}
		for (i = 0; i < 40 && ends[i] <= START + bit / 8; i++)
			;

		/* all that lies before is found, and no record whose bit it is */
		assert_true(found.events >= i);
		if (bit / 8 % w.block >= (bit / 8 < w.block ? 40 : 24) && ends[i] - START - bit / 8 > 6)
			assert_int_equal(found.events, i);
		bkc_buffer_free(&found.text);
	}
	bkc_buffer_free(&whole.text);
	wal_free(&w);
}

/* ---- the rest ---- */

static void
stops(void **state)
{
	WalMaker	w;
	int			i;

	wal_begin(&w, START);
	for (i = 0; i < 10; i++)
		wal_xact(&w, COMMIT, (uint32_t) i, i);
	for (i = 1; i <= 10; i++)
	{
		Found		found = {{0}, 0, i, false, 0};

		scan(&w, 1000, &found);
		assert_true(found.ended);
		assert_int_equal(found.events, i);
		assert_int_equal(found.lsn, START + 40 + 40 * (uint64_t) i);
		bkc_buffer_free(&found.text);
	}
	wal_free(&w);
}

static void
without_callbacks(void **state)
{
	BkcWalScanner *scanner;
	BkcError	err;
	uint8_t		point[72] = {0};
	WalMaker	w;

	wal_begin(&w, START);
	wal_xact(&w, COMMIT, 1, 1);
	wal_main(&w, 0, 0x70, 0, point, sizeof(point));
	assert_true(bkc_walscan_new(START, WAL_SEGMENT, NULL, NULL, NULL, &scanner, &err));
	assert_int_equal(bkc_walscan_last(scanner), 0);
	assert_true(bkc_walscan_feed(scanner, w.bytes.data, w.bytes.len, &err));
	assert_true(bkc_walscan_feed(scanner, NULL, 0, &err));
	assert_false(bkc_walscan_ended(scanner));
	assert_int_equal(bkc_walscan_lsn(scanner), wal_pos(&w));
	assert_int_equal(bkc_walscan_last(scanner), START + 0x50);
	bkc_walscan_free(scanner);
	bkc_walscan_free(NULL);
	wal_free(&w);
}

static void
bad_arguments(void **state)
{
	static const struct
	{
		uint64_t	start;
		uint32_t	size;
	}			cases[] = {
		{0, 0}, {0, 512 * 1024}, {0, 3 * 1024 * 1024}, {0, UINT32_C(1) << 31}, {1, WAL_SEGMENT},
		{WAL_SEGMENT + WAL_BLOCK, WAL_SEGMENT}, {WAL_SEGMENT, 2 * WAL_SEGMENT}
	};
	size_t		i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		BkcWalScanner *scanner;
		BkcError	err;

		assert_false(bkc_walscan_new(cases[i].start, cases[i].size, NULL, NULL, NULL, &scanner,
									 &err));
		assert_int_equal(err.code, BKC_ERR_INVALID);
		assert_null(scanner);
	}
}

static void
crc(void **state)
{
	BkcCrc32cUpdate best = bkc_crc32c_best();
	uint8_t		data[200];
	size_t		from;
	size_t		len;
	size_t		i;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t) (i * i + 3 * i);
	assert_int_equal(BKC_CRC32C_FINAL(best(BKC_CRC32C_INIT, "123456789", 9)), 0xE3069283);
	for (from = 0; from < 9; from++)
	{
		for (len = 0; len <= 100; len++)
		{
			uint32_t	expected = bkc_crc32c(data + from, len);
			uint32_t	half = best(BKC_CRC32C_INIT, data + from, len / 3);

			assert_int_equal(BKC_CRC32C_FINAL(best(BKC_CRC32C_INIT, data + from, len)), expected);
			assert_int_equal(
				BKC_CRC32C_FINAL(bkc_crc32c_by_table(BKC_CRC32C_INIT, data + from, len)), expected);
			assert_int_equal(
				BKC_CRC32C_FINAL(best(half, data + from + len / 3, len - len / 3)), expected);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing),
		cmocka_unit_test(xacts_and_points),
		cmocka_unit_test(other_headers),
		cmocka_unit_test(prepared_xacts),
		cmocka_unit_test(prepared_nonsense),
		cmocka_unit_test(over_the_edge),
		cmocka_unit_test(begins_inside),
		cmocka_unit_test(predecessors),
		cmocka_unit_test(overwritten),
		cmocka_unit_test(overwritten_before),
		cmocka_unit_test(switched),
		cmocka_unit_test(bad_pages),
		cmocka_unit_test(timelines),
		cmocka_unit_test(each_bit_counts),
		cmocka_unit_test(stops),
		cmocka_unit_test(without_callbacks),
		cmocka_unit_test(bad_arguments),
		cmocka_unit_test(crc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
