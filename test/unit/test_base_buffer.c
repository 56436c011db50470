/*
 * test_base_buffer.c
 *		Growing buffers at their limits, and numbers in byte arrays.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/bytes.h"

static void
test_empty(void **state)
{
	BkcBuffer	buf = {0};
	BkcError	err;

	assert_string_equal(bkc_buffer_str(&buf), "");
	bkc_buffer_reset(&buf);
	assert_null(buf.data);
	bkc_buffer_free(&buf);

	assert_true(bkc_buffer_reserve(&buf, 0, &err));
	assert_non_null(buf.data);
	assert_int_equal(buf.len, 0);
	assert_int_equal(buf.data[0], 0);
	assert_true(bkc_buffer_append(&buf, NULL, 0, &err));
	assert_int_equal(buf.len, 0);
	assert_true(bkc_buffer_append_str(&buf, "", &err));
	assert_string_equal(bkc_buffer_str(&buf), "");
	bkc_buffer_free(&buf);
	assert_null(buf.data);
	assert_int_equal(buf.cap, 0);
	bkc_buffer_free(&buf);
}

/* Every length around each growth step, by single bytes and at once. */
static void
test_growth(void **state)
{
	BkcBuffer	single = {0};
	BkcBuffer	once;
	uint8_t		data[300];
	BkcError	err;
	size_t		i;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t) (i * 7);
	for (i = 0; i < sizeof(data); i++)
	{
		assert_true(bkc_buffer_append(&single, data + i, 1, &err));
		assert_int_equal(single.len, i + 1);
		assert_true(single.cap > single.len);
		assert_int_equal(single.data[single.len], 0);
		assert_memory_equal(single.data, data, i + 1);

		memset(&once, 0, sizeof(once));
		assert_true(bkc_buffer_append(&once, data, i, &err));
		assert_int_equal(once.len, i);
		assert_int_equal(once.data[i], 0);
		assert_memory_equal(once.data, data, i);
		bkc_buffer_free(&once);
	}
	bkc_buffer_free(&single);
}

static void
test_reserve_keeps(void **state)
{
	BkcBuffer	buf = {0};
	BkcError	err;
	uint8_t    *before;
	size_t		cap;

	assert_true(bkc_buffer_append_str(&buf, "hello", &err));
	assert_true(bkc_buffer_reserve(&buf, 1000, &err));
	assert_true(buf.cap >= 1006);
	assert_string_equal(bkc_buffer_str(&buf), "hello");
	before = buf.data;
	cap = buf.cap;
	assert_true(bkc_buffer_reserve(&buf, cap - buf.len - 1, &err));
	assert_ptr_equal(buf.data, before);
	assert_int_equal(buf.cap, cap);
	assert_true(bkc_buffer_reserve(&buf, cap - buf.len, &err));
	assert_true(buf.cap > cap);
	assert_string_equal(bkc_buffer_str(&buf), "hello");
	cap = buf.cap;
	bkc_buffer_reset(&buf);
	assert_int_equal(buf.len, 0);
	assert_int_equal(buf.cap, cap);
	assert_string_equal(bkc_buffer_str(&buf), "");
	bkc_buffer_free(&buf);
}

/* Sizes that cannot be are out of memory, and nothing changes. */
static void
test_too_large(void **state)
{
	static const size_t sizes[] = {
		SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 2, SIZE_MAX - 3, SIZE_MAX - 4,
		(size_t) PTRDIFF_MAX, (size_t) PTRDIFF_MAX - 3, (size_t) PTRDIFF_MAX + 1,
	};
	BkcBuffer	buf = {0};
	BkcError	err;
	size_t		i;

	assert_true(bkc_buffer_append_str(&buf, "abc", &err));
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
	{
		bkc_error_clear(&err);
		assert_false(bkc_buffer_reserve(&buf, sizes[i], &err));
		assert_int_equal(err.code, BKC_ERR_NO_MEMORY);
		assert_int_equal(buf.len, 3);
		assert_string_equal(bkc_buffer_str(&buf), "abc");
	}
	bkc_buffer_free(&buf);
}

static void
test_printf(void **state)
{
	BkcBuffer	buf = {0};
	BkcError	err;
	int			len;

	assert_true(bkc_buffer_printf(&buf, &err, "%s", ""));
	assert_string_equal(bkc_buffer_str(&buf), "");
	for (len = 60; len < 70; len++)
	{
		bkc_buffer_free(&buf);
		assert_true(bkc_buffer_printf(&buf, &err, "%*d", len, 5));
		assert_int_equal(buf.len, len);
		assert_int_equal(strlen(bkc_buffer_str(&buf)), len);
	}
	bkc_buffer_reset(&buf);
	assert_true(bkc_buffer_printf(&buf, &err, "a=%d ", 1));
	assert_true(bkc_buffer_printf(&buf, &err, "b=%s", "two"));
	assert_string_equal(bkc_buffer_str(&buf), "a=1 b=two");
	bkc_buffer_free(&buf);
}

static void
test_bytes(void **state)
{
	static const uint64_t values[] = {
		0, 1, 0xFF, 0x100, 0xFFFF, 0x10000, 0x80000000, 0xFFFFFFFF, UINT64_C(0x100000000),
		UINT64_C(0x0123456789ABCDEF), UINT64_C(0x8000000000000000), UINT64_MAX,
	};
	static const uint8_t order[8] = {0xEF, 0xCD, 0xAB, 0x89, 0x67, 0x45, 0x23, 0x01};
	uint8_t		bytes[9];
	uint64_t	sum;
	size_t		product;
	size_t		i;

	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++)
	{
		/* Also where nothing is aligned. */
		memset(bytes, 0xAA, sizeof(bytes));
		bkc_put_u64(bytes + 1, values[i]);
		assert_int_equal(bytes[0], 0xAA);
		assert_true(bkc_get_u64(bytes + 1) == values[i]);
		bkc_put_u32(bytes + 1, (uint32_t) values[i]);
		assert_int_equal(bkc_get_u32(bytes + 1), (uint32_t) values[i]);
		bkc_put_u16(bytes + 1, (uint16_t) values[i]);
		assert_int_equal(bkc_get_u16(bytes + 1), (uint16_t) values[i]);
	}
	bkc_put_u64(bytes, UINT64_C(0x0123456789ABCDEF));
	assert_memory_equal(bytes, order, 8);

	assert_true(bkc_add_u64(UINT64_MAX - 1, 1, &sum));
	assert_true(sum == UINT64_MAX);
	assert_false(bkc_add_u64(UINT64_MAX, 1, &sum));
	assert_true(bkc_mul_size(SIZE_MAX / 2, 2, &product));
	assert_true(product == SIZE_MAX - 1);
	assert_false(bkc_mul_size(SIZE_MAX / 2 + 1, 2, &product));
	assert_true(bkc_mul_size(SIZE_MAX, 0, &product));
	assert_int_equal(product, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_reserve_keeps),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_printf),
		cmocka_unit_test(test_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
