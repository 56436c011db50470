/*
 * test_format_packindex.c
 *		Index and footer of packs.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/bytes.h"
#include "format/packindex.h"

#define NAME		"1/backups/x/data/0-0.pack"
#define FRAME_MIN	(BKC_FRAME_HEADER_SIZE + 1)

static void
entry_round_trip(void **state)
{
	BkcPackEntry entry = {.offset = UINT64_C(0x0102030405060708), .stored_len = 0x11121314,
	.plain_len = 0x21222324};
	static const uint8_t expected[16] = {
		8, 7, 6, 5, 4, 3, 2, 1, 0x14, 0x13, 0x12, 0x11, 0x24, 0x23, 0x22, 0x21
	};
	BkcPackEntry back;
	uint8_t		out[BKC_PACK_ENTRY_SIZE];
	int			i;

	for (i = 0; i < BKC_DIGEST_SIZE; i++)
		entry.digest[i] = (uint8_t) (100 + i);
	bkc_packentry_encode(&entry, out);
	assert_memory_equal(out, expected, 16);
	assert_memory_equal(out + 16, entry.digest, BKC_DIGEST_SIZE);
	bkc_packentry_decode(out, &back);
	assert_true(back.offset == entry.offset);
	assert_int_equal(back.stored_len, entry.stored_len);
	assert_int_equal(back.plain_len, entry.plain_len);
	assert_memory_equal(back.digest, entry.digest, BKC_DIGEST_SIZE);
}

static void
footer_each_bit_counts(void **state)
{
	BkcPackFooter footer = {.index_offset = 5000, .nframes = 3};
	BkcPackFooter back;
	uint8_t		out[BKC_PACK_FOOTER_SIZE];
	BkcError	err;
	int			bit;

	bkc_packfooter_encode(&footer, out);
	assert_memory_equal(out, "BKCPACK\n", 8);
	assert_true(bkc_packfooter_decode(out, 6000, NAME, &back, &err));
	assert_true(back.index_offset == 5000);
	assert_int_equal(back.nframes, 3);
	for (bit = 0; bit < BKC_PACK_FOOTER_SIZE * 8; bit++)
	{
		out[bit / 8] ^= (uint8_t) (1 << bit % 8);
		bkc_error_clear(&err);
		assert_false(bkc_packfooter_decode(out, 6000, NAME, &back, &err));
		assert_int_equal(err.code, BKC_ERR_CORRUPT);
		assert_non_null(strstr(err.message, NAME));
		out[bit / 8] ^= (uint8_t) (1 << bit % 8);
	}
}

static bool
footer_ok(uint64_t index_offset, uint32_t nframes, uint64_t object_size)
{
	BkcPackFooter footer = {.index_offset = index_offset, .nframes = nframes};
	BkcPackFooter back;
	uint8_t		out[BKC_PACK_FOOTER_SIZE];
	BkcError	err;

	bkc_packfooter_encode(&footer, out);
	return bkc_packfooter_decode(out, object_size, NAME, &back, &err);
}

static void
footer_limits(void **state)
{
	const uint64_t first = BKC_ENVELOPE_SIZE + FRAME_MIN;
	const uint64_t size = first + FRAME_MIN + BKC_PACK_FOOTER_SIZE;
	uint64_t	i;

	/* the smallest pack there can be, and one byte less or more */
	assert_true(footer_ok(first, 1, size));
	assert_false(footer_ok(first - 1, 1, size));
	assert_false(footer_ok(first + 1, 1, size));
	assert_true(footer_ok(first + 1, 1, size + 1));
	assert_false(footer_ok(first, 2, size));
	assert_false(footer_ok(first, 0, size));

	/* numbers of frames at the limit, with room for all of them */
	assert_true(footer_ok(UINT64_C(1) << 33, BKC_PACK_FRAMES_MAX, UINT64_C(1) << 34));
	assert_false(footer_ok(UINT64_C(1) << 33, BKC_PACK_FRAMES_MAX + 1, UINT64_C(1) << 34));
	assert_false(footer_ok(UINT64_C(1) << 33, UINT32_MAX, UINT64_C(1) << 34));

	/* no arithmetic may wrap */
	assert_false(footer_ok(UINT64_MAX, 1, size));
	assert_false(footer_ok(UINT64_MAX - 31, 1, UINT64_MAX));
	for (i = 0; i < size; i++)
		assert_false(footer_ok(first, 1, i));
}

/* Zero bytes that are not zero, under a correct hash. */
static void
footer_reserved(void **state)
{
	BkcPackFooter footer = {.index_offset = 5000, .nframes = 3};
	BkcPackFooter back;
	uint8_t		out[BKC_PACK_FOOTER_SIZE];
	BkcError	err;

	bkc_packfooter_encode(&footer, out);
	out[20] = 1;
	bkc_put_u64(out + 24, XXH3_64bits(out, 24));
	assert_false(bkc_packfooter_decode(out, 6000, NAME, &back, &err));
}

static uint64_t
fill(BkcPackEntry *entries, uint32_t n)
{
	uint64_t	offset = BKC_ENVELOPE_SIZE;
	uint32_t	i;

	for (i = 0; i < n; i++)
	{
		memset(&entries[i], 0, sizeof(entries[i]));
		entries[i].offset = offset;
		entries[i].stored_len = i % 100 + 1;
		entries[i].plain_len = 1000;
		offset += BKC_FRAME_HEADER_SIZE + entries[i].stored_len;
	}
	return offset;
}

static void
index_is_gapless(void **state)
{
	BkcPackEntry *entries = calloc(BKC_PACK_FRAMES_MAX + 1, sizeof(BkcPackEntry));
	uint64_t	end;
	BkcError	err;

	assert_non_null(entries);
	end = fill(entries, 1);
	assert_true(bkc_packindex_check(entries, 1, end, NAME, &err));
	assert_false(bkc_packindex_check(entries, 0, BKC_ENVELOPE_SIZE, NAME, &err));
	end = fill(entries, BKC_PACK_FRAMES_MAX);
	assert_true(bkc_packindex_check(entries, BKC_PACK_FRAMES_MAX, end, NAME, &err));
	end = fill(entries, BKC_PACK_FRAMES_MAX + 1);
	assert_false(bkc_packindex_check(entries, BKC_PACK_FRAMES_MAX + 1, end, NAME, &err));

	end = fill(entries, 5);
	assert_true(bkc_packindex_check(entries, 5, end, NAME, &err));
	assert_false(bkc_packindex_check(entries, 4, end, NAME, &err));
	assert_false(bkc_packindex_check(entries, 5, end + 1, NAME, &err));
	assert_false(bkc_packindex_check(entries, 5, end - 1, NAME, &err));
	assert_int_equal(err.code, BKC_ERR_CORRUPT);
	assert_non_null(strstr(err.message, NAME));
	free(entries);
}

static void
index_refuses(void **state)
{
	BkcPackEntry entries[5];
	uint64_t	end = fill(entries, 5);
	BkcError	err;
	int			i;
	int			bit;

	for (i = 0; i < 5; i++)
	{
		BkcPackEntry saved = entries[i];

		/* every bit of offset and stored length; the plain length by its limits */
		for (bit = 0; bit < 64; bit++)
		{
			entries[i].offset ^= UINT64_C(1) << bit;
			assert_false(bkc_packindex_check(entries, 5, end, NAME, &err));
			entries[i] = saved;
		}
		for (bit = 0; bit < 32; bit++)
		{
			entries[i].stored_len ^= UINT32_C(1) << bit;
			assert_false(bkc_packindex_check(entries, 5, end, NAME, &err));
			entries[i] = saved;
		}
		entries[i].plain_len = 0;
		assert_false(bkc_packindex_check(entries, 5, end, NAME, &err));
		entries[i].plain_len = BKC_FRAME_PLAIN_MAX + 1;
		assert_false(bkc_packindex_check(entries, 5, end, NAME, &err));
		entries[i].plain_len = BKC_FRAME_PLAIN_MAX;
		assert_true(bkc_packindex_check(entries, 5, end, NAME, &err));
		entries[i] = saved;
	}

	/* two frames exchanged */
	{
		BkcPackEntry saved = entries[1];

		entries[1] = entries[2];
		entries[2] = saved;
		assert_false(bkc_packindex_check(entries, 5, end, NAME, &err));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entry_round_trip),
		cmocka_unit_test(footer_each_bit_counts),
		cmocka_unit_test(footer_limits),
		cmocka_unit_test(footer_reserved),
		cmocka_unit_test(index_is_gapless),
		cmocka_unit_test(index_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
