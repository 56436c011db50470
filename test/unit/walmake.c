/*
 * walmake.c
 *		WAL made by hand (contract: walmake.h).
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "walmake.h"

#include "base/bytes.h"
#include "format/pgfiles.h"

#define RECORD_HEADER	24

static void
append(WalMaker *w, const void *data, size_t len)
{
	BkcError	err;

	assert_true(bkc_buffer_append(&w->bytes, data, len, &err));
}

static void
zeros(WalMaker *w, size_t len)
{
	static const uint8_t none[WAL_BLOCK];

	for (; len > sizeof(none); len -= sizeof(none))
		append(w, none, sizeof(none));
	append(w, none, len);
}

void
wal_begin(WalMaker *w, uint64_t start)
{
	memset(w, 0, sizeof(*w));
	w->start = start;
	w->timeline = 1;
	w->block = WAL_BLOCK;
	w->magic = 0xD110;
}

void
wal_free(WalMaker *w)
{
	bkc_buffer_free(&w->bytes);
}

uint64_t
wal_pos(const WalMaker *w)
{
	return w->start + w->bytes.len;
}

/* Where a page begins: its header.  rest: of the record that goes on here. */
static void
page(WalMaker *w, uint32_t rest)
{
	uint8_t		header[40] = {0};
	bool		first = wal_pos(w) % WAL_SEGMENT == 0;

	if (wal_pos(w) % w->block != 0)
		return;
	bkc_put_u16(header, w->magic);
	bkc_put_u16(header + 2, (uint16_t) ((rest > 0 ? 1 : 0) | (first ? 2 : 0) | w->page_flags));
	bkc_put_u32(header + 4, w->timeline);
	bkc_put_u64(header + 8, wal_pos(w));
	bkc_put_u32(header + 16, rest);
	bkc_put_u64(header + 24, WAL_SYSID);
	bkc_put_u32(header + 32, WAL_SEGMENT);
	bkc_put_u32(header + 36, w->block);
	append(w, header, first ? 40 : 24);
	w->page_flags = 0;
}

/* What is left of a record that began before, with nobody to check its content. */
static void
begin_page(WalMaker *w)
{
	uint32_t	rest = w->rest;

	w->rest = 0;
	page(w, rest);
	while (rest > 0)
	{
		uint32_t	room = w->block - (uint32_t) (wal_pos(w) % w->block);
		uint32_t	n = rest < room ? rest : room;

		zeros(w, n);
		rest -= n;
		page(w, rest);
	}
	zeros(w, (size_t) (-wal_pos(w) & 7));
	page(w, 0);
}

/* Put len bytes on as many pages as that takes. */
static void
spread(WalMaker *w, const uint8_t *data, size_t len)
{
	while (len > 0)
	{
		size_t		room = w->block - (size_t) (wal_pos(w) % w->block);
		size_t		n = len < room ? len : room;

		append(w, data, n);
		data += n;
		len -= n;
		if (len > 0)
			page(w, (uint32_t) len);
	}
}

static uint64_t
put_record(WalMaker *w, uint8_t rmid, uint8_t info, uint32_t xid, const void *body, size_t len,
		   size_t keep)
{
	uint8_t    *record = calloc(1, RECORD_HEADER + len);
	uint8_t    *both = malloc(RECORD_HEADER + len);
	uint64_t	lsn;

	assert_non_null(record);
	assert_non_null(both);
	begin_page(w);
	lsn = wal_pos(w);
	bkc_put_u32(record, (uint32_t) (RECORD_HEADER + len));
	bkc_put_u32(record + 4, xid);
	bkc_put_u64(record + 8, w->prev);
	record[16] = info;
	record[17] = rmid;
	if (len > 0)
		memcpy(record + RECORD_HEADER, body, len);
	memcpy(both, record + RECORD_HEADER, len);	/* the CRC's order */
	memcpy(both + len, record, 20);
	bkc_put_u32(record + 20, bkc_crc32c(both, len + 20));
	if (keep < RECORD_HEADER + len)
	{
		assert_true(keep <= w->block - lsn % w->block);
		append(w, record, keep);
	}
	else
	{
		spread(w, record, RECORD_HEADER + len);
		zeros(w, (size_t) (-wal_pos(w) & 7));
		w->prev = lsn;
	}
	free(record);
	free(both);
	return lsn;
}

uint64_t
wal_record(WalMaker *w, uint8_t rmid, uint8_t info, uint32_t xid, const void *body, size_t len)
{
	return put_record(w, rmid, info, xid, body, len, SIZE_MAX);
}

uint64_t
wal_torn_record(WalMaker *w, size_t len, size_t keep)
{
	uint8_t    *body = calloc(1, len);
	uint64_t	lsn;

	assert_non_null(body);
	lsn = put_record(w, 10, 0, 1, body, len, keep);
	free(body);
	return lsn;
}

uint64_t
wal_main(WalMaker *w, uint8_t rmid, uint8_t info, uint32_t xid, const void *data, size_t len)
{
	uint8_t    *body = malloc(len + 5);
	size_t		head = len < 256 ? 2 : 5;
	uint64_t	lsn;

	assert_non_null(body);
	body[0] = len < 256 ? 255 : 254;
	if (len < 256)
		body[1] = (uint8_t) len;
	else
		bkc_put_u32(body + 1, (uint32_t) len);
	memcpy(body + head, data, len);
	lsn = wal_record(w, rmid, info, xid, body, head + len);
	free(body);
	return lsn;
}

void
wal_fill_page(WalMaker *w)
{
	zeros(w, (size_t) (-wal_pos(w) % w->block));
}

void
wal_fill_segment(WalMaker *w)
{
	zeros(w, (size_t) (-wal_pos(w) % WAL_SEGMENT));
}

uint64_t
wal_noise(WalMaker *w, size_t len)
{
	uint8_t    *body = malloc(len + 1);
	uint64_t	lsn;
	size_t		i;

	assert_non_null(body);
	for (i = 0; i < len; i++)
		body[i] = (uint8_t) (i * 37 + len);
	lsn = wal_record(w, 10, 0, 7, body, len);
	free(body);
	return lsn;
}

void
wal_leave(WalMaker *w, uint32_t left)
{
	uint32_t	used = RECORD_HEADER + left;

	begin_page(w);
	if (w->block - wal_pos(w) % w->block < used)
	{
		wal_noise(w, w->block - wal_pos(w) % w->block); /* into the next page */
		begin_page(w);
	}
	wal_noise(w, w->block - wal_pos(w) % w->block - used);
}

uint64_t
wal_xact(WalMaker *w, uint8_t op, uint32_t xid, int64_t time)
{
	uint8_t		data[8];

	bkc_put_u64(data, (uint64_t) time);
	return wal_main(w, 1, op, xid, data, sizeof(data));
}
