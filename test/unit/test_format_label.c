/*
 * test_format_label.c
 *		Names of backups.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "format/label.h"

/* 2026-11-20 12:03:01 UTC */
#define NOW		(INT64_C(1795176181) * 1000000)

static void
make_has_the_form(void **state)
{
	char		label[BKC_LABEL_MAX];
	BkcError	err;

	assert_true(bkc_label_make("full", NOW + 999999, label, &err));
	assert_int_equal(strlen(label), 16 + 1 + 4 + 1 + 4);
	assert_memory_equal(label, "20261120T120301Z-full-", 22);
	assert_true(bkc_label_valid(label));
	assert_true(bkc_label_time(label) == NOW);

	assert_true(bkc_label_make("abcdefghijkl", 0, label, &err));
	assert_memory_equal(label, "19700101T000000Z-abcdefghijkl-", 30);
	assert_true(bkc_label_valid(label));
	assert_true(bkc_label_time(label) == 0);
}

static void
make_refuses(void **state)
{
	static const char *const types[] = {
		"", "Full", "full1", "fu-ll", "abcdefghijklm", "f\xc3\xbcll", " full", NULL
	};
	char		label[BKC_LABEL_MAX];
	BkcError	err;
	size_t		i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
	{
		bkc_error_clear(&err);
		assert_false(bkc_label_make(types[i], NOW, label, &err));
		assert_int_equal(err.code, BKC_ERR_INVALID);
		assert_non_null(strstr(err.message, "type"));
		assert_string_equal(label, "");
	}
	assert_false(bkc_label_make("full", -1, label, &err));
	assert_int_equal(err.code, BKC_ERR_INVALID);

	/* 10000-01-01: the year would need five digits; the second before is fine */
	assert_false(bkc_label_make("full", INT64_C(253402300800) * 1000000, label, &err));
	assert_true(bkc_label_make("full", INT64_C(253402300800) * 1000000 - 1, label, &err));
	assert_memory_equal(label, "99991231T235959Z-", 17);
}

static void
two_in_one_second_differ(void **state)
{
	char		first[BKC_LABEL_MAX];
	char		label[BKC_LABEL_MAX];
	BkcError	err;
	int			i;
	int			different = 0;

	assert_true(bkc_label_make("full", NOW, first, &err));
	for (i = 0; i < 20; i++)
	{
		assert_true(bkc_label_make("full", NOW, label, &err));
		different += strcmp(first, label) != 0;
	}
	assert_true(different >= 15);
}

static void
labels_sort_by_time(void **state)
{
	/* steps over the end of a minute, an hour, a day, a leap day, a year */
	static const int64_t seconds[] = {
		0, 1, 59, 60, 3599, 3600, 86399, 86400, 951782400, 951868799, 951868800,
		1767225599, 1767225600, 4102444799, 4102444800
	};
	char		before[BKC_LABEL_MAX] = "";
	char		label[BKC_LABEL_MAX];
	BkcError	err;
	size_t		i;

	for (i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++)
	{
		/* the type must not matter */
		assert_true(bkc_label_make(i % 2 ? "full" : "incr", seconds[i] * 1000000, label, &err));
		assert_true(strcmp(before, label) < 0);
		assert_true(bkc_label_time(label) == seconds[i] * 1000000);
		memcpy(before, label, sizeof(before));
	}
}

static void
valid_is_exact(void **state)
{
	static const char *const good[] = {
		"20261120T120301Z-full-7f3a", "19700101T000000Z-a-0000", "20240229T235959Z-incr-ffff",
		"20261120T120301Z-abcdefghijkl-7f3a"
	};
	static const char *const bad[] = {
		"", "2", "20261120T120301Z", "20261120T120301Z-", "20261120T120301Z-full",
		"20261120T120301Z-full-", "20261120T120301Z-full-7f3", "20261120T120301Z-full-7f3ab",
		"20261120T120301Z-full-7F3A", "20261120T120301Z-full-7f3g", "20261120T120301Z--7f3a",
		"20261120T120301Z-Full-7f3a", "20261120T120301Z-full1-7f3a", "20261120t120301Z-full-7f3a",
		"20261120T120301-full-7f3a", "20261120T120301z-full-7f3a", "2026112xT120301Z-full-7f3a",
		"20261320T120301Z-full-7f3a", "20260020T120301Z-full-7f3a", "20260230T120301Z-full-7f3a",
		"20250229T120301Z-full-7f3a", "20261100T120301Z-full-7f3a", "20261120T240000Z-full-7f3a",
		"20261120T126001Z-full-7f3a", "20261120T120360Z-full-7f3a", "19691231T235959Z-full-7f3a",
		"20261120T120301Z-abcdefghijklm-7f3a", " 20261120T120301Z-full-7f3a",
		"20261120T120301Z-full-7f3a ", "20261120T120301Z-full-7f3a/",
		"../20261120T120301Z-full-7f3a",
		"20261120T120301Z-full-7f3a\n", "20261120T120301Z_full_7f3a"
	};
	size_t		i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(bkc_label_valid(good[i]));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		if (bkc_label_valid(bad[i]))
			fail_msg("accepted: \"%s\"", bad[i]);
	}
	assert_false(bkc_label_valid(NULL));
}

/* No single changed byte leaves the form, and a changed digit changes the time. */
static void
each_byte_counts(void **state)
{
	static const char label[] = "20261120T120301Z-full-7f3a";
	size_t		i;
	int			bit;

	for (i = 0; i < sizeof(label) - 1; i++)
	{
		for (bit = 0; bit < 8; bit++)
		{
			char		copy[sizeof(label)];

			memcpy(copy, label, sizeof(label));
			copy[i] ^= (char) (1 << bit);
			if (bkc_label_valid(copy) && i < 16)
				assert_true(bkc_label_time(copy) != bkc_label_time(label));
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(make_has_the_form),
		cmocka_unit_test(make_refuses),
		cmocka_unit_test(two_in_one_second_differ),
		cmocka_unit_test(labels_sort_by_time),
		cmocka_unit_test(valid_is_exact),
		cmocka_unit_test(each_byte_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
