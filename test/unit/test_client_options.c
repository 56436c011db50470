/*
 * test_client_options.c
 *		Command lines, exit statuses, JSON texts and the progress bar.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../src/client/host.c"
#include "../../src/client/json.c"
#include "../../src/client/options.c"
#include "../../src/client/progress.c"
#include "../../src/client/report.c"

static const BkcOptionDef defs[] = {
	BKC_OPTION_REPO,
	{"map", 'T', "A=B", false, "several"},
	{"force", 0, NULL, false, "flag"},
	BKC_OPTION_THAW,
	BKC_OPTION_JOBS,
	BKC_OPTION_HELP,
	BKC_OPTION_END
};

static const BkcCommand command = {
	.name = "test",
	.summary = "test",
	.operands = "FILE",
	.noperands = 1,
	.options = defs
};

/* Words are split at single spaces. */
static bool
parse_words(const char *words, BkcOptions **options, BkcError *err)
{
	static char buffer[256];
	static char *argv[16];
	int			argc = 0;

	snprintf(buffer, sizeof(buffer), "test %s", words);
	for (char *p = buffer; p != NULL && *p != '\0';)
	{
		char	   *space = strchr(p, ' ');

		argv[argc++] = p;
		if (space != NULL)
			*space++ = '\0';
		p = space;
	}
	argv[argc] = NULL;
	return bkc_options_parse(&command, argc, argv, options, err);
}

static void
test_good(void **state)
{
	BkcOptions *o;
	BkcError	err;
	size_t		jobs;
	int			days;

	assert_true(parse_words("--repo=file:///x -T a=b f --map c=d --force -j 3 --repo y", &o, &err));
	assert_string_equal(bkc_option(o, "repo"), "y");
	assert_string_equal(bkc_option_nth(o, "map", 0), "a=b");
	assert_string_equal(bkc_option_nth(o, "map", 1), "c=d");
	assert_null(bkc_option_nth(o, "map", 2));
	assert_true(bkc_option_given(o, "force"));
	assert_false(bkc_option_given(o, "help"));
	assert_string_equal(bkc_operand(o, 0), "f");
	assert_null(bkc_operand(o, 1));
	assert_true(bkc_option_jobs(o, &jobs, &err));
	assert_int_equal(jobs, 3);
	bkc_options_free(o);

	assert_true(parse_words("--repo x -- -f", &o, &err));
	assert_string_equal(bkc_operand(o, 0), "-f");
	assert_true(bkc_option_jobs(o, &jobs, &err));
	assert_in_range(jobs, 1, JOBS_DEFAULT_MAX);
	bkc_options_free(o);

	/* an argument that may be left out is never the next word */
	assert_true(parse_words("--repo x --thaw f", &o, &err));
	assert_string_equal(bkc_operand(o, 0), "f");
	assert_true(bkc_option_thaw(o, &days, &err));
	assert_int_equal(days, BKC_THAW_DAYS);
	bkc_options_free(o);
	assert_true(parse_words("--repo x --thaw=30 f", &o, &err));
	assert_true(bkc_option_thaw(o, &days, &err));
	assert_int_equal(days, 30);
	bkc_options_free(o);
	assert_true(parse_words("--repo x f", &o, &err));
	assert_true(bkc_option_thaw(o, &days, &err));
	assert_int_equal(days, 0);
	bkc_options_free(o);

	/* help asks for nothing else */
	assert_true(parse_words("--help", &o, &err));
	bkc_options_free(o);
	assert_true(parse_words("-?", &o, &err));
	assert_true(bkc_option_given(o, "help"));
	bkc_options_free(o);
}

static void
test_bad(void **state)
{
	static const char *const lines[][2] = {
		{"", "--repo is missing"},
		{"--repo", "needs an argument"},
		{"--repo x", "needs the arguments FILE"},
		{"--repo x a b", "\"b\" is one argument too many"},
		{"--repo x a --what", "unknown or ambiguous option \"--what\""},
		{"--repo x a -x", "unknown option \"-x\""},
		{"--repo x a --force=1", "takes no argument"},
		{"--repo x a -j", "needs an argument"},
	};
	static const char *const bad_jobs[] = {"0", "-1", "257", "x", "1x", "99999999999999999999"};
	BkcOptions *o;
	BkcError	err;
	static const char *const bad_days[] = {"0", "366", "-1", "x", "7d"};
	size_t		jobs;
	int			days;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
	{
		assert_false(parse_words(lines[i][0], &o, &err));
		assert_null(o);
		assert_int_equal(err.code, BKC_ERR_INVALID);
		if (strstr(err.message, lines[i][1]) == NULL)
			fail_msg("\"%s\": %s", lines[i][0], err.message);
		assert_string_equal(err.hint, "Try \"pg_backupctl test --help\".");
	}
	for (size_t i = 0; i < sizeof(bad_jobs) / sizeof(bad_jobs[0]); i++)
	{
		char		line[64];

		snprintf(line, sizeof(line), "--repo x f --jobs=%s", bad_jobs[i]);
		assert_true(parse_words(line, &o, &err));
		assert_false(bkc_option_jobs(o, &jobs, &err));
		bkc_options_free(o);
	}
	for (size_t i = 0; i < sizeof(bad_days) / sizeof(bad_days[0]); i++)
	{
		char		line[64];

		snprintf(line, sizeof(line), "--repo x f --thaw=%s", bad_days[i]);
		assert_true(parse_words(line, &o, &err));
		assert_false(bkc_option_thaw(o, &days, &err));
		assert_int_equal(err.code, BKC_ERR_INVALID);
		bkc_options_free(o);
	}
}

/* The numbers are an interface. */
static void
test_statuses(void **state)
{
	assert_int_equal(bkc_exit_status(BKC_ERR_INVALID, BKC_AT_COMMAND_LINE), 2);
	assert_int_equal(bkc_exit_status(BKC_ERR_NOT_FOUND, BKC_AT_REPOSITORY), 3);
	assert_int_equal(bkc_exit_status(BKC_ERR_UNAVAILABLE, BKC_AT_REPOSITORY), 5);
	assert_int_equal(bkc_exit_status(BKC_ERR_ACCESS, BKC_AT_REPOSITORY), 5);
	assert_int_equal(bkc_exit_status(BKC_ERR_ACCESS, BKC_AT_TARGET), 6);
	assert_int_equal(bkc_exit_status(BKC_ERR_STATE, BKC_AT_TARGET), 6);
	assert_int_equal(bkc_exit_status(BKC_OK, BKC_AT_TARGET), 9);
	assert_int_equal(bkc_exit_status((BkcErrorCode) 99, BKC_AT_TARGET), 9);
	for (int place = 0; place < BKC_PLACE_COUNT; place++)
	{
		assert_int_equal(bkc_exit_status(BKC_ERR_CORRUPT, (BkcPlace) place), 4);
		assert_int_equal(bkc_exit_status(BKC_ERR_NO_SPACE, (BkcPlace) place), 7);
		assert_int_equal(bkc_exit_status(BKC_ERR_KEY, (BkcPlace) place), 10);
		assert_int_equal(bkc_exit_status(BKC_ERR_ARCHIVED, (BkcPlace) place), 11);
		assert_int_equal(bkc_exit_status(BKC_ERR_CANCELLED, (BkcPlace) place), 8);
		for (int code = 0; code <= BKC_ERR_INTERNAL; code++)
			assert_in_range(bkc_exit_status((BkcErrorCode) code, (BkcPlace) place), 2, 11);
	}
}

static void
test_json_text(void **state)
{
	static const char *const texts[][2] = {
		{"plain", "plain"},
		{"", ""},
		{"gr\xC3\xBC\xC3\x9F", "gr\xC3\xBC\xC3\x9F"},
		{"a\xFF" "b\xC3", "a\xEF\xBF\xBD" "b\xEF\xBF\xBD"},
		{"\xC3\xBC\xFF", "\xC3\xBC\xEF\xBF\xBD"},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
	{
		json_t	   *value = bkc_json_text(texts[i][0]);

		assert_non_null(value);
		assert_string_equal(json_string_value(value), texts[i][1]);
		json_decref(value);
	}
	assert_true(json_is_null(bkc_json_text(NULL)));
}

static void
assert_bar(uint64_t done, uint64_t total, int64_t usec, const char *expected)
{
	char		text[256];

	bkc_progress_bar(done, total, usec, text, sizeof(text));
	assert_string_equal(text, expected);
}

static void
test_bar(void **state)
{
	const uint64_t mb = 1024 * 1024;

	assert_bar(0, 2868 * mb, 0, "[                              ] 0/2868 MB  -");
	assert_bar(20000 * mb, 40000 * mb, 10000000,
			   "[==============>               ] 19/39 GB  2000 MB/s  10 s left");
	assert_bar(100 * mb, 100 * mb, 1000000,
			   "[==============================] 100/100 MB  100 MB/s  0 s left");
	assert_bar(7, 0, 1, "[==============================] 0/0 bytes  0 bytes/s");
	assert_bar(mb, 0, 0, "[==============================] 0/0 bytes  -");
}

static void
test_durations(void **state)
{
	char		text[64];

	bkc_format_duration(9840000, text, sizeof(text));
	assert_string_equal(text, "9.8 s");
	bkc_format_duration(59999999, text, sizeof(text));
	assert_string_equal(text, "59.9 s");
	bkc_format_duration(60000000, text, sizeof(text));
	assert_string_equal(text, "1 min 0 s");
	bkc_format_duration(7620000000, text, sizeof(text));
	assert_string_equal(text, "2 h 7 min");
	bkc_format_duration(-1, text, sizeof(text));
	assert_string_equal(text, "-");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_statuses),
		cmocka_unit_test(test_json_text),
		cmocka_unit_test(test_bar),
		cmocka_unit_test(test_durations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
