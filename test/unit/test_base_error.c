/*
 * test_base_error.c
 *		Errors as values: codes, texts, context, what happens at the size limits.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/text.h"

static void
fill(char *text, size_t len, const char *pattern)
{
	size_t		i;

	for (i = 0; i < len; i++)
		text[i] = pattern[i % strlen(pattern)];
	text[len] = '\0';
}

static void
test_set_clears_the_rest(void **state)
{
	BkcError	err;

	memset(&err, 0x55, sizeof(err));
	bkc_error_clear(&err);
	assert_int_equal(err.code, BKC_OK);
	assert_int_equal(err.os_errno, 0);
	assert_int_equal(err.http_status, 0);
	assert_string_equal(err.message, "");
	assert_string_equal(err.detail, "");
	assert_string_equal(err.hint, "");

	memset(&err, 0x55, sizeof(err));
	assert_false(bkc_error_set(&err, BKC_ERR_CORRUPT, "pack %s at %d", "x", 7));
	assert_int_equal(err.code, BKC_ERR_CORRUPT);
	assert_int_equal(err.os_errno, 0);
	assert_int_equal(err.http_status, 0);
	assert_string_equal(err.message, "pack x at 7");
	assert_string_equal(err.detail, "");
	assert_string_equal(err.hint, "");

	assert_false(bkc_error_detail(&err, "Frame %d.", 3));
	assert_false(bkc_error_hint(&err, "Do %s.", "that"));
	assert_string_equal(err.detail, "Frame 3.");
	assert_string_equal(err.hint, "Do that.");
	assert_string_equal(err.message, "pack x at 7");

	assert_false(bkc_error_oom(&err));
	assert_int_equal(err.code, BKC_ERR_NO_MEMORY);
	assert_string_equal(err.message, "out of memory");
	assert_string_equal(err.detail, "");
}

static void
test_os_codes(void **state)
{
	static const struct
	{
		int			os_errno;
		BkcErrorCode code;
	}			cases[] = {
		{ENOENT, BKC_ERR_NOT_FOUND}, {EACCES, BKC_ERR_ACCESS}, {EPERM, BKC_ERR_ACCESS},
		{EROFS, BKC_ERR_ACCESS}, {ENOSPC, BKC_ERR_NO_SPACE}, {EDQUOT, BKC_ERR_NO_SPACE},
		{EFBIG, BKC_ERR_NO_SPACE},
		{EEXIST, BKC_ERR_EXISTS}, {ENOMEM, BKC_ERR_NO_MEMORY}, {EIO, BKC_ERR_IO},
		{EMFILE, BKC_ERR_IO}, {0, BKC_ERR_IO}, {987654, BKC_ERR_IO},
	};
	BkcError	err;
	size_t		i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		memset(&err, 0x55, sizeof(err));
		assert_false(bkc_error_os(&err, cases[i].os_errno, "could not open \"%s\"", "f"));
		assert_int_equal(err.code, cases[i].code);
		assert_int_equal(err.os_errno, cases[i].os_errno);
		assert_int_equal(err.http_status, 0);
		assert_string_equal(err.detail, "");
		assert_memory_equal(err.message, "could not open \"f\": ", 20);
		assert_true(strlen(err.message) > 20);
	}
	bkc_error_os(&err, ENOENT, "could not open \"%s\"", "f");
	assert_string_equal(err.message, "could not open \"f\": No such file or directory");
}

/* The reason of the system stays, however long the path is. */
static void
test_os_long_path(void **state)
{
	char		path[5000];
	BkcError	err;

	fill(path, sizeof(path) - 1, "abc/");
	bkc_error_os(&err, EIO, "could not read file \"%s\"", path);
	assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
	assert_string_equal(err.message + strlen(err.message) - strlen(": Input/output error"),
						": Input/output error");
}

static void
test_limits(void **state)
{
	char		text[BKC_ERROR_MESSAGE_MAX + 10];
	BkcError	err;
	size_t		len;

	for (len = BKC_ERROR_MESSAGE_MAX - 2; len <= BKC_ERROR_MESSAGE_MAX + 2; len++)
	{
		size_t		want = len < BKC_ERROR_MESSAGE_MAX ? len : BKC_ERROR_MESSAGE_MAX - 1;

		fill(text, len, "0123456789");
		bkc_error_set(&err, BKC_ERR_IO, "%s", text);
		assert_int_equal(strlen(err.message), want);
		assert_memory_equal(err.message, text, want);
	}
	fill(text, BKC_ERROR_HINT_MAX, "x");
	bkc_error_hint(&err, "%s", text);
	assert_int_equal(strlen(err.hint), BKC_ERROR_HINT_MAX - 1);
}

/* A cut text never ends in half a character. */
static void
test_cut_at_character(void **state)
{
	static const char *const patterns[] = {
		"\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "a\xE2\x82\xAC", "ab\xF0\x9F\x98\x80",
	};
	char		text[2 * BKC_ERROR_MESSAGE_MAX];
	char		context[2 * BKC_ERROR_MESSAGE_MAX];
	BkcError	err;
	size_t		i;
	size_t		extra;

	for (i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
	{
		for (extra = 0; extra < 4; extra++)
		{
			size_t		unit = strlen(patterns[i]);

			fill(text, extra, "-");
			fill(text + extra, 1300 / unit * unit, patterns[i]);
			bkc_error_set(&err, BKC_ERR_IO, "%s", text);
			assert_true(strlen(err.message) >= sizeof(err.message) - 4);
			assert_true(bkc_utf8_valid(err.message, strlen(err.message)));
			bkc_error_detail(&err, "%s", text);
			assert_true(bkc_utf8_valid(err.detail, strlen(err.detail)));
			bkc_error_hint(&err, "%s", text);
			assert_true(bkc_utf8_valid(err.hint, strlen(err.hint)));
			fill(context, 1300 / unit * unit, patterns[i]);
			bkc_error_context(&err, "%s", context);
			assert_true(bkc_utf8_valid(err.message, strlen(err.message)));
			bkc_error_os(&err, EIO, "%s", text);
			assert_true(bkc_utf8_valid(err.message, strlen(err.message)));
		}
	}

	/* What is no UTF-8 at all is neither lost nor a trap. */
	fill(text, 1300, "\x80");
	bkc_error_set(&err, BKC_ERR_IO, "%s", text);
	assert_true(strlen(err.message) > 1000);
}

static void
test_context(void **state)
{
	char		text[2 * BKC_ERROR_MESSAGE_MAX];
	BkcError	err;

	bkc_error_os(&err, ENOSPC, "could not write \"%s\"", "a");
	bkc_error_hint(&err, "Make room.");
	err.http_status = 507;
	assert_false(bkc_error_context(&err, "repository \"%s\"", "main"));
	assert_string_equal(err.message,
						"repository \"main\": could not write \"a\": No space left on device");
	assert_int_equal(err.code, BKC_ERR_NO_SPACE);
	assert_int_equal(err.os_errno, ENOSPC);
	assert_int_equal(err.http_status, 507);
	assert_string_equal(err.hint, "Make room.");

	/* A long context leaves the message whole. */
	fill(text, sizeof(text) - 1, "c");
	bkc_error_set(&err, BKC_ERR_IO, "what went wrong");
	bkc_error_context(&err, "%s", text);
	assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
	assert_string_equal(err.message + strlen(err.message) - 17, ": what went wrong");

	/* A long message leaves the context room. */
	bkc_error_set(&err, BKC_ERR_IO, "%s", text);
	bkc_error_context(&err, "here");
	assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
	assert_memory_equal(err.message, "here: ccc", 9);

	/* Neither drives the other out. */
	bkc_error_set(&err, BKC_ERR_IO, "%s", text);
	memset(text, 'd', strlen(text));
	bkc_error_context(&err, "%s", text);
	assert_true(err.message[0] == 'd' && err.message[400] == 'd');
	assert_true(err.message[sizeof(err.message) - 2] == 'c');
}

/* Setters may be given the error's own texts. */
static void
test_aliases(void **state)
{
	BkcError	err;

	bkc_error_set(&err, BKC_ERR_IO, "one");
	bkc_error_set(&err, BKC_ERR_STATE, "not %s, %s", err.message, err.message);
	assert_string_equal(err.message, "not one, one");
	bkc_error_detail(&err, "%s!", err.message);
	bkc_error_detail(&err, "%s %s", err.detail, err.detail);
	assert_string_equal(err.detail, "not one, one! not one, one!");
	bkc_error_context(&err, "%s", err.message);
	assert_string_equal(err.message, "not one, one: not one, one");
	bkc_error_os(&err, ENOENT, "<%s>", err.detail);
	assert_string_equal(err.message,
						"<not one, one! not one, one!>: No such file or directory");
}

static void
test_code_names(void **state)
{
	int			a;
	int			b;

	assert_string_equal(bkc_error_code_name(BKC_OK), "ok");
	assert_string_equal(bkc_error_code_name(BKC_ERR_CORRUPT), "corrupt");
	assert_string_equal(bkc_error_code_name(BKC_ERR_NO_SPACE), "no_space");
	for (a = BKC_OK; a <= BKC_ERR_INTERNAL; a++)
	{
		assert_string_not_equal(bkc_error_code_name((BkcErrorCode) a), "unknown");
		for (b = BKC_OK; b < a; b++)
			assert_string_not_equal(bkc_error_code_name((BkcErrorCode) a),
									bkc_error_code_name((BkcErrorCode) b));
	}
	assert_string_equal(bkc_error_code_name((BkcErrorCode) (BKC_ERR_INTERNAL + 1)), "unknown");
	assert_string_equal(bkc_error_code_name((BkcErrorCode) -1), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_clears_the_rest),
		cmocka_unit_test(test_os_codes),
		cmocka_unit_test(test_os_long_path),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_cut_at_character),
		cmocka_unit_test(test_context),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_code_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
