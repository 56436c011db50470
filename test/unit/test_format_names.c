/*
 * test_format_names.c
 *		Object names.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "format/names.h"

#define SYSID	UINT64_C(7435718529102938471)
#define LABEL	"20261120T120301Z-full-7f3a"
#define TOP		"7435718529102938471/backups/" LABEL "/"

static void
names_are_as_documented(void **state)
{
	char		out[BKC_NAME_MAX];
	BkcError	err;

	assert_true(bkc_name_cluster(SYSID, out, &err));
	assert_string_equal(out, "7435718529102938471/cluster");
	assert_true(bkc_name_backups(SYSID, out, &err));
	assert_string_equal(out, "7435718529102938471/backups/");
	assert_true(bkc_name_backup(SYSID, LABEL, out, &err));
	assert_string_equal(out, TOP);
	assert_true(bkc_name_begin(SYSID, LABEL, out, &err));
	assert_string_equal(out, TOP "begin");
	assert_true(bkc_name_manifest(SYSID, LABEL, out, &err));
	assert_string_equal(out, TOP "manifest");
	assert_true(bkc_name_pack(SYSID, LABEL, 3, 17, out, &err));
	assert_string_equal(out, TOP "data/3-17.pack");
	assert_true(bkc_name_note(SYSID, LABEL, INT64_C(1795176181045999), "verify", out, &err));
	assert_string_equal(out, TOP "notes/20261120T120301045Z-verify");
	assert_true(bkc_name_note(SYSID, LABEL, 0, "hold", out, &err));
	assert_string_equal(out, TOP "notes/19700101T000000000Z-hold");
}

/* The longest parts together stay within the array and are valid. */
static void
longest_names_fit(void **state)
{
	static const char label[] = "99991231T235959Z-abcdefghijkl-ffff";
	char		out[BKC_NAME_MAX];
	BkcError	err;

	assert_true(bkc_name_pack(UINT64_MAX, label, UINT32_MAX, UINT32_MAX, out, &err));
	assert_true(bkc_name_valid(out));
	assert_true(bkc_name_note(UINT64_MAX, label, INT64_C(253402300799999999), "abcdefghijklmnop",
							  out, &err));
	assert_true(bkc_name_valid(out));
}

static void
bad_parts_are_refused(void **state)
{
	static const char *const labels[] = {"", "..", "x/../y", LABEL "/x", NULL};
	static const char *const kinds[] = {"", "Verify", "a b", "../x", "abcdefghijklmnopq", NULL};
	char		out[BKC_NAME_MAX];
	BkcError	err;
	size_t		i;

	assert_false(bkc_name_cluster(0, out, &err));
	assert_int_equal(err.code, BKC_ERR_INVALID);
	assert_false(bkc_name_backups(0, out, &err));
	for (i = 0; i < sizeof(labels) / sizeof(labels[0]); i++)
	{
		assert_false(bkc_name_backup(SYSID, labels[i], out, &err));
		assert_int_equal(err.code, BKC_ERR_INVALID);
		assert_string_equal(out, "");
		assert_false(bkc_name_begin(SYSID, labels[i], out, &err));
		assert_false(bkc_name_manifest(SYSID, labels[i], out, &err));
		assert_false(bkc_name_pack(SYSID, labels[i], 0, 0, out, &err));
		assert_false(bkc_name_note(SYSID, labels[i], 0, "verify", out, &err));
	}
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
	{
		assert_false(bkc_name_note(SYSID, LABEL, 0, kinds[i], out, &err));
		assert_int_equal(err.code, BKC_ERR_INVALID);
	}
	assert_false(bkc_name_note(SYSID, LABEL, -1, "verify", out, &err));
	assert_false(bkc_name_note(SYSID, LABEL, INT64_MAX, "verify", out, &err));
}

static void
valid_names(void **state)
{
	static const char *const good[] = {"a", "a/b", "A-Z_0.9/x", "...", "a/...", "1/cluster", ".a"};
	static const char *const bad[] = {
		"", "/", "/a", "a/", "a//b", ".", "..", "a/.", "a/..", "../a", "./a", "a/../b", "a b",
		"a\\b", "a:b", "a\nb", "a%2fb", "\xc3\xa4", "a*", "a?", "a\x7f"
	};
	char		name[BKC_NAME_MAX + 2];
	size_t		i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(bkc_name_valid(good[i]));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		if (bkc_name_valid(bad[i]))
			fail_msg("accepted: \"%s\"", bad[i]);
	}
	assert_false(bkc_name_valid(NULL));

	/* n-1, n and n+1 around the limit */
	memset(name, 'a', sizeof(name));
	name[BKC_NAME_MAX - 1] = '\0';
	assert_true(bkc_name_valid(name));
	name[BKC_NAME_MAX - 1] = 'a';
	name[BKC_NAME_MAX] = '\0';
	assert_false(bkc_name_valid(name));
	name[BKC_NAME_MAX] = 'a';
	name[BKC_NAME_MAX + 1] = '\0';
	assert_false(bkc_name_valid(name));
}

static void
parse_sysid(void **state)
{
	static const char *const bad[] = {
		"", "0", "00", "01", "-1", "+1", " 1", "1 ", "1x", "x", "0x10", "18446744073709551616",
		"99999999999999999999999", NULL
	};
	uint64_t	sysid = 0;
	size_t		i;

	assert_true(bkc_name_parse_sysid("1", &sysid));
	assert_true(sysid == 1);
	assert_true(bkc_name_parse_sysid("7435718529102938471", &sysid));
	assert_true(sysid == SYSID);
	assert_true(bkc_name_parse_sysid("18446744073709551615", &sysid));
	assert_true(sysid == UINT64_MAX);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(bkc_name_parse_sysid(bad[i], &sysid));
	assert_true(sysid == UINT64_MAX);
}

static void
parse_pack(void **state)
{
	static const char *const bad[] = {
		"", ".pack", "-.pack", "1.pack", "1-.pack", "-1.pack", "1-2", "1-2.pac", "1-2.packs",
		"01-2.pack", "1-02.pack", "1-2-3.pack", "1--2.pack", "1-2 .pack", "+1-2.pack", "x-2.pack",
		"4294967296-0.pack", "0-4294967296.pack", "1-2.pack/", "a/1-2.pack",
		"1111111111111111111111111111-2.pack", NULL
	};
	uint32_t	worker = 0;
	uint32_t	n = 0;
	size_t		i;

	assert_true(bkc_name_parse_pack("0-0.pack", &worker, &n));
	assert_true(worker == 0 && n == 0);
	assert_true(bkc_name_parse_pack("3-17.pack", &worker, &n));
	assert_true(worker == 3 && n == 17);
	assert_true(bkc_name_parse_pack("4294967295-4294967295.pack", &worker, &n));
	assert_true(worker == UINT32_MAX && n == UINT32_MAX);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		if (bkc_name_parse_pack(bad[i], &worker, &n))
			fail_msg("accepted: \"%s\"", bad[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_as_documented),
		cmocka_unit_test(longest_names_fit),
		cmocka_unit_test(bad_parts_are_refused),
		cmocka_unit_test(valid_names),
		cmocka_unit_test(parse_sysid),
		cmocka_unit_test(parse_pack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
