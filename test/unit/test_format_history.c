/*
 * test_format_history.c
 *		Timeline histories by PostgreSQL's rules, and the names of what it archives.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "format/pgfiles.h"

#define SEGMENT	"0000000A000000170000002C"

static void
names_of_archived_files(void **state)
{
	static const char *const bad[] = {
		"", SEGMENT, SEGMENT ".", SEGMENT ".backup", SEGMENT ".0000002.backup",
		SEGMENT ".000000028.backup", SEGMENT ".0000002a.backup", SEGMENT ".00000028.backu",
		SEGMENT ".00000028.backups", SEGMENT ".00000028", SEGMENT "x00000028.backup",
		SEGMENT ".partia", SEGMENT ".partials", SEGMENT ".Partial", SEGMENT ".partial.partial",
		"0000000A000000170000002.partial", "0000000a000000170000002C.partial",
		"0000000A.partial", "0000000A.history", "0000000A.00000028.backup"
	};

	assert_true(bkc_wal_is_backup(SEGMENT ".00000028.backup"));
	assert_true(bkc_wal_is_backup(SEGMENT ".FFFFFFFF.backup"));
	assert_true(bkc_wal_is_partial(SEGMENT ".partial"));
	assert_false(bkc_wal_is_backup(SEGMENT ".partial"));
	assert_false(bkc_wal_is_partial(SEGMENT ".00000028.backup"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		/* a block of exactly that size, so that a read beyond it is noticed */
		char	   *copy = strdup(bad[i]);

		assert_non_null(copy);
		assert_false(bkc_wal_is_backup(copy));
		assert_false(bkc_wal_is_partial(copy));
		free(copy);
	}
}

static void
timelines(void **state)
{
	assert_int_equal(bkc_wal_timeline(SEGMENT), 10);
	assert_int_equal(bkc_wal_timeline("FFFFFFFF0000000000000001"), UINT32_MAX);
	assert_int_equal(bkc_wal_timeline("00000002.history"), 2);
	assert_int_equal(bkc_wal_timeline("00000000.history"), 0);
	assert_int_equal(bkc_wal_timeline("000000000000000000000001"), 0);
	assert_int_equal(bkc_wal_timeline(SEGMENT ".partial"), 0);
	assert_int_equal(bkc_wal_timeline(SEGMENT ".00000028.backup"), 0);
	assert_int_equal(bkc_wal_timeline("x"), 0);
	assert_int_equal(bkc_wal_timeline(""), 0);
}

typedef struct Expected
{
	size_t		n;
	BkcHistoryEntry entries[3];
} Expected;

static void
check_history(const char *text, uint32_t timeline, const Expected *expected)
{
	size_t		len = strlen(text);
	char	   *copy = malloc(len + 1); /* a block of its own: reads beyond it are noticed */
	BkcHistoryEntry *entries;
	size_t		n;
	BkcError	err;

	assert_non_null(copy);
	memcpy(copy, text, len);
	copy = realloc(copy, len ? len : 1);
	assert_non_null(copy);
	if (!bkc_wal_history_parse(copy, len, timeline, &entries, &n, &err))
		fail_msg("\"%s\": %s", text, err.message);
	assert_int_equal(n, expected->n);
	for (size_t i = 0; i < n; i++)
	{
		assert_int_equal(entries[i].timeline, expected->entries[i].timeline);
		assert_true(entries[i].switch_lsn == expected->entries[i].switch_lsn);
	}
	free(entries);
	free(copy);
}

static void
histories(void **state)
{
	static const struct
	{
		const char *text;
		Expected	expected;
	}			cases[] = {
		{"", {0, {{0, 0}}}},
		{"\n\n", {0, {{0, 0}}}},
		{"# nothing\n  # more\n \t\n", {0, {{0, 0}}}},
		{"1\t0/36000110\tno recovery target specified\n", {1, {{1, 0x36000110}}}},
		/* as a server writes the history of a third timeline */
		{"1\t0/36000110\tno recovery target specified\n\n2\t1A/4D02F3E8\tbefore 2026-11-20\n",
		{2, {{1, 0x36000110}, {2, UINT64_C(0x1A4D02F3E8)}}}},
		/* as 19 writes LSNs, and without any end */
		{"1\t0/0A000110\tx\n2\t1A/0002F3E8", {2, {{1, 0xA000110}, {2, UINT64_C(0x1A0002F3E8)}}}},
		{"  4294967294 FFFFFFFF/FFFFFFFF", {1, {{UINT32_MAX - 1, UINT64_MAX}}}},
		{"1 0/a\r\n3 0/b#\n", {2, {{1, 10}, {3, 11}}}},
		/* a recovery to timeline 3 that ended before 2 forked off */
		{"1\t0/5000000\tx\n2\t0/4000000\tx\n3\t0/4000000\tx\n",
		{3, {{1, 0x5000000}, {2, 0x4000000}, {3, 0x4000000}}}},
		{"00001\t0000/0000\t", {1, {{1, 0}}}},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_history(cases[i].text, UINT32_MAX, &cases[i].expected);
}

static void
refuse(const char *text, size_t len, uint32_t timeline, const char *message)
{
	BkcHistoryEntry *entries = (BkcHistoryEntry *) 1;
	size_t		n = 1;
	BkcError	err;

	bkc_error_clear(&err);
	if (bkc_wal_history_parse(text, len, timeline, &entries, &n, &err))
		fail_msg("accepted: \"%s\"", text);
	assert_int_equal(err.code, BKC_ERR_CORRUPT);
	assert_null(entries);
	assert_int_equal(n, 0);
	if (strstr(err.message, message) == NULL)
		fail_msg("\"%s\": %s", text, err.message);
}

static void
refused_histories(void **state)
{
	static const struct
	{
		const char *text;
		const char *message;
	}			cases[] = {
		{"x", "begin with a timeline"},
		{"no recovery target\n", "begin with a timeline"},
		{"0\t0/1\tx\n", "begin with a timeline"},
		{"-1\t0/1\tx\n", "begin with a timeline"},
		{"+1\t0/1\tx\n", "begin with a timeline"},
		{"4294967296\t0/1\tx\n", "begin with a timeline"},
		{"99999999999999999999999999\t0/1\tx\n", "begin with a timeline"},
		{"1", "no switch point"},
		{"1\n", "no switch point"},
		{"1\t", "no switch point"},
		{"1\tx", "no switch point"},
		{"1\t0", "no switch point"},
		{"1\t0/", "no switch point"},
		{"1\t/0", "no switch point"},
		{"1\t0 /0", "no switch point"},
		{"1\t0/ 0", "no switch point"},
		{"1\t0/g", "no switch point"},
		{"1\t0x0/0", "no switch point"},
		{"1\t-1/0", "no switch point"},
		{"1\t100000000/0", "no switch point"},
		{"1\t0/100000000", "no switch point"},
		{"1/0/0", "no switch point"},
		{"1A/0", "no switch point"},
		{"1\t0/1\tx\n1\t0/2\tx\n", "increasing order"},
		{"2\t0/1\tx\n1\t0/2\tx\n", "increasing order"},
		{"5\t0/1\tx\n", "cannot be an ancestor"},
		{"1\t0/1\tx\n6\t0/2\tx\n", "cannot be an ancestor"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		refuse(cases[i].text, strlen(cases[i].text), 5, cases[i].message);
	refuse("1\t0/1\tx\0y\n", 10, 5, "zero");
	refuse("\0", 1, 5, "zero");

	/* the good first entry of a file that is damaged later is not given away */
	refuse("1\t0/1\tx\ny", 9, 5, "begin with a timeline");
}

/* What is behind a line's 1023rd byte is a line of its own, as PostgreSQL reads it. */
static void
long_lines(void **state)
{
	char		text[2100];
	BkcHistoryEntry *entries;
	size_t		n;
	BkcError	err;

	memset(text, 'x', sizeof(text));
	memcpy(text, "1\t0/1\t", 6);
	text[1022] = '\n';
	assert_true(bkc_wal_history_parse(text, 1023, 5, &entries, &n, &err));
	assert_int_equal(n, 1);
	free(entries);

	text[1022] = 'x';
	assert_true(bkc_wal_history_parse(text, 1023, 5, &entries, &n, &err));
	assert_int_equal(n, 1);
	free(entries);
	refuse(text, 1024, 5, "begin with a timeline");
	memcpy(text + 1023, "2\t0/2\n", 6);
	assert_true(bkc_wal_history_parse(text, 1029, 5, &entries, &n, &err));
	assert_int_equal(n, 2);
	assert_int_equal(entries[1].timeline, 2);
	free(entries);
}

/* 0, 1, 7, 8, 9, 16, 17, ... entries: around each growth of the list. */
static void
many_entries(void **state)
{
	for (size_t count = 0; count < 70; count++)
	{
		BkcBuffer	text = {0};
		BkcHistoryEntry *entries;
		size_t		n;
		BkcError	err;

		for (size_t i = 1; i <= count; i++)
			assert_true(bkc_buffer_printf(&text, &err, "%zu\t%zX/%zX\treason %zu\n", 2 * i, i, i, i));
		assert_true(bkc_wal_history_parse(bkc_buffer_str(&text), text.len, 1000, &entries, &n,
										  &err));
		assert_int_equal(n, count);
		assert_int_equal(entries == NULL, count == 0);
		for (size_t i = 1; i <= count; i++)
		{
			assert_int_equal(entries[i - 1].timeline, 2 * i);
			assert_true(entries[i - 1].switch_lsn == ((uint64_t) i << 32 | i));
		}
		free(entries);
		bkc_buffer_free(&text);
	}
}

/* Any byte changed, any cut: accepted or refused, but never more than was there. */
static void
changed_histories(void **state)
{
	static const char good[] = "1\t0/36000110\tno target\n# x\n2\t1A/4D02F3E8\tbefore\n";
	const size_t len = sizeof(good) - 1;

	for (size_t at = 0; at < len; at++)
	{
		for (unsigned c = 0; c < 256; c++)
		{
			BkcHistoryEntry *entries;
			size_t		n;
			BkcError	err;
			char	   *copy = malloc(at + 1);

			assert_non_null(copy);
			memcpy(copy, good, at);
			copy[at] = (char) c;
			if (bkc_wal_history_parse(copy, at + 1, 3, &entries, &n, &err))
				assert_true(n <= 2);
			else
				assert_int_equal(err.code, BKC_ERR_CORRUPT);
			free(entries);
			free(copy);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_archived_files),
		cmocka_unit_test(timelines),
		cmocka_unit_test(histories),
		cmocka_unit_test(refused_histories),
		cmocka_unit_test(long_lines),
		cmocka_unit_test(many_entries),
		cmocka_unit_test(changed_histories),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
