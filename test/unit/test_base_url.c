/*
 * test_base_url.c
 *		Tables of good and bad URLs and repository lists.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "base/url.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct
{
	const char *text;
	const char *scheme;
	const char *authority;
	const char *path;
	size_t		nparams;
	const char *key;			/* of the last parameter */
	const char *value;
}			good[] = {
	{"file:///abs/path", "file", "", "/abs/path", 0, NULL, NULL},
	{"file:///abs/path/", "file", "", "/abs/path", 0, NULL, NULL},
	{"file:///abs/path///", "file", "", "/abs/path", 0, NULL, NULL},
	{"file:///", "file", "", "", 0, NULL, NULL},
	{"file://", "file", "", "", 0, NULL, NULL},
	{"file:///a?", "file", "", "/a", 0, NULL, NULL},
	{"file:///a?k=v", "file", "", "/a", 1, "k", "v"},
	{"file:///a/?k=v&l=w", "file", "", "/a", 2, "l", "w"},
	{"file:///a?k=", "file", "", "/a", 1, "k", ""},
	{"file:///a?k=v=w", "file", "", "/a", 1, "k", "v=w"},
	{"file:///a?k=/b/c?d", "file", "", "/a", 1, "k", "/b/c?d"},
	{"file:///a+b?k=c+d", "file", "", "/a+b", 1, "k", "c+d"},
	{"file:///a%20b%2Cc%25?k%3d=v%26w", "file", "", "/a b,c%", 1, "k=", "v&w"},
	{"file:///%C3%A9", "file", "", "/\xC3\xA9", 0, NULL, NULL},
	{"file:///\xC3\xA9", "file", "", "/\xC3\xA9", 0, NULL, NULL},
	{"file:///a%2fb%2F", "file", "", "/a/b", 0, NULL, NULL},
	{"file:///mnt/@data", "file", "", "/mnt/@data", 0, NULL, NULL},
	{"FILE:///A", "file", "", "/A", 0, NULL, NULL},
	{"s3://bucket", "s3", "bucket", "", 0, NULL, NULL},
	{"s3://Bucket-1.x_y/", "s3", "Bucket-1.x_y", "", 0, NULL, NULL},
	{"s3://bucket?region=eu", "s3", "bucket", "", 1, "region", "eu"},
	{"sftp://host:22/p", "sftp", "host:22", "/p", 0, NULL, NULL},
	{"s3://[::1]:9000/b", "s3", "[::1]:9000", "/b", 0, NULL, NULL},
	{"s3://[fe80::1]/b", "s3", "[fe80::1]", "/b", 0, NULL, NULL},
	{"a+b-c.1://x", "a+b-c.1", "x", "", 0, NULL, NULL},
};

static void
test_good(void **state)
{
	BkcUrl		url;
	BkcError	err;
	size_t		i;

	for (i = 0; i < COUNT(good); i++)
	{
		if (!bkc_url_parse(good[i].text, &url, &err))
			fail_msg("%s: %s", good[i].text, err.message);
		assert_string_equal(url.text, good[i].text);
		assert_string_equal(url.scheme, good[i].scheme);
		assert_string_equal(url.authority, good[i].authority);
		assert_string_equal(url.path, good[i].path);
		assert_int_equal(url.nparams, good[i].nparams);
		if (good[i].key != NULL)
		{
			assert_string_equal(url.params[url.nparams - 1].key, good[i].key);
			assert_string_equal(bkc_url_param(&url, good[i].key), good[i].value);
		}
		assert_null(bkc_url_param(&url, "absent"));
		bkc_url_free(&url);
		assert_null(url.text);
		bkc_url_free(&url);
	}
}

/* The message names the bad part, the hint (where there is one) the fix. */
static const struct
{
	const char *text;
	const char *message;
	const char *hint;
}			bad[] = {
	{"", "is empty", "file:///"},
	{"/mnt/backup", "\"/mnt/backup\"", "Write file:///mnt/backup for a folder."},
	{"mnt/backup", "\"mnt/backup\"", "file:///mnt/backup"},
	{"file:/mnt", "\"file:/mnt\"", "file:///"},
	{"://x", "scheme", "file:///"},
	{"1s://x", "scheme", ""},
	{"s_3://x", "scheme", ""},
	{"s\xC3\xA9://x", "scheme", ""},
	{"file:///a b", "space", "%20"},
	{" file:///a", "space", "%20"},
	{"file:///a\tb", "0x09", ""},
	{"file:///a\nb", "0x0A", ""},
	{"file:///a\x7F", "0x7F", ""},
	{"file:///a#b", "\"#\"", "%23"},
	{"file:///\xFF", "UTF-8", ""},
	{"file:///%FF", "path of repository URL is not valid UTF-8", ""},
	{"file:///a?%C3=x", "parameter name of repository URL is not valid UTF-8", ""},
	{"file:///a?k=%C3", "parameter value of repository URL is not valid UTF-8", ""},
	{"file:///a%", "\"%\"", "%25"},
	{"file:///a%4", "\"%4\"", "%25"},
	{"file:///a%zz", "\"%zz\"", "%25"},
	{"file:///a%4g", "\"%4g\"", "%25"},
	{"file:///a%%20", "\"%%2\"", "%25"},
	{"file:///a%\xC3\xA9", "\"%\xC3\xA9\"", "%25"},
	{"file:///a%1\xC3\xA9", "\"%1\"", "%25"},
	{"file:///a%00b", "\"%00\"", ""},
	{"file:///a%0Ab", "\"%0A\"", ""},
	{"file:///a%7f", "\"%7f\"", ""},
	{"file:///a?k%=v", "\"%\"", "%25"},
	{"file:///a?k=%q1", "\"%q1\"", "%25"},
	{"file:///a?k=%00", "\"%00\"", ""},
	{"file:///a?k", "\"k\" of repository URL has no value", "?name=value"},
	{"file:///a?k=v&l", "\"l\" of repository URL has no value", "?name=value"},
	{"file:///a?=v", "parameter without a name", "?name=value"},
	{"file:///a?k=v&", "parameter without a name", "?name=value"},
	{"file:///a?&k=v", "parameter without a name", "?name=value"},
	{"file:///a?k=v&&l=w", "parameter without a name", "?name=value"},
	{"file:///a?k=v&k=w", "\"k\" stands twice", ""},
	{"file:///a?k=v&%6B=w", "\"k\" stands twice", ""},
	{"s3://bu%20cket/x", "\"bu%20cket\"", "letters"},
	{"s3://a,b/x", "\"a,b\"", "letters"},
	{"s3://host:/x", "invalid port after host \"host\"", "port"},
	{"s3://host:12x/x", "invalid port after host \"host\"", "port"},
	{"s3://host:123456/x", "invalid port after host \"host\"", "port"},
	{"s3://:80/x", "invalid host or bucket", "port"},
	{"s3://[::1/x", "\"[::1\"", ""},
	{"s3://[]/x", "\"[]\"", ""},
	{"s3://[::1]x/x", "\"[::1]x\"", ""},
	{"s3://[g]/x", "\"[g]\"", ""},
};

static void
test_bad(void **state)
{
	static const BkcUrl zero;
	BkcUrl		url;
	BkcError	err;
	size_t		i;

	for (i = 0; i < COUNT(bad); i++)
	{
		memset(&url, 0x55, sizeof(url));
		if (bkc_url_parse(bad[i].text, &url, &err))
			fail_msg("%s was accepted", bad[i].text);
		assert_int_equal(err.code, BKC_ERR_INVALID);
		if (strstr(err.message, bad[i].message) == NULL)
			fail_msg("%s: message is \"%s\"", bad[i].text, err.message);
		if (strstr(err.hint, bad[i].hint) == NULL)
			fail_msg("%s: hint is \"%s\"", bad[i].text, err.hint);
		assert_true(bkc_utf8_valid(err.message, strlen(err.message)));
		assert_memory_equal(&url, &zero, sizeof(url));
	}
}

/* No message repeats a secret, wherever it was put. */
static void
test_secrets(void **state)
{
	static const char *const urls[] = {
		"s3://user:sesame@bucket/x", "s3://sesame@bucket/x", "s3://user:se/sesame@bucket/x",
		"s3://user:sesame?x@bucket/x", "s3://user:ses/ame?x=sesame@bucket", "user:sesame@bucket",
		"s3:user:sesame@bucket", "s3:/user:sesame@bucket", "s3://user:sesame@bucket/x%zz",
		"s3://user:sesame@buc ket", "s3://user:sesame@bucket#x", "s3://user:sesame%zz@bucket",
		"s3://user:sesame@bucket/x?k", "s3://user:@sesame@bucket/x",
		"s3://user:sesame", "s3://user:sesame,@bucket", "s3://user:x,sesame@bucket",
		"s3://user:x,sesame,y@bucket",
		"file:///a?secret=sesame%FF",
	};
	char		list[200];
	BkcRepoList repos;
	BkcUrl		url;
	BkcError	err;
	size_t		i;

	for (i = 0; i < COUNT(urls); i++)
	{
		assert_false(bkc_url_parse(urls[i], &url, &err));
		assert_null(strstr(err.message, "sesame"));
		assert_null(strstr(err.detail, "sesame"));
		assert_null(strstr(err.hint, "sesame"));

		assert_false(bkc_repolist_parse(urls[i], &repos, &err));
		assert_null(strstr(err.message, "sesame"));
		snprintf(list, sizeof(list), "main=%s", urls[i]);
		assert_false(bkc_repolist_parse(list, &repos, &err));
		assert_null(strstr(err.message, "sesame"));
	}
	assert_false(bkc_url_parse("s3://user:sesame@bucket/x", &url, &err));
	assert_non_null(strstr(err.message, "user name or password"));
	assert_non_null(strstr(err.hint, "%40"));
}

/* Messages stay readable when the wrong part is long, and valid UTF-8. */
static void
test_long(void **state)
{
	char		text[20000];
	BkcUrl		url;
	BkcError	err;
	size_t		i;

	memcpy(text, "s3://", 6);
	for (i = 5; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "\xC3\xA9", 3);
	assert_false(bkc_url_parse(text, &url, &err));
	assert_true(strlen(err.message) < 200);
	assert_true(bkc_utf8_valid(err.message, strlen(err.message)));

	memcpy(text, "file:///", 8);
	for (i = 8; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "/%", 2);
	text[sizeof(text) - 1] = '\0';
	assert_false(bkc_url_parse(text, &url, &err));

	memset(text + 8, 'a', sizeof(text) - 9);
	assert_true(bkc_url_parse(text, &url, &err));
	assert_int_equal(strlen(url.path), sizeof(text) - 8);
	bkc_url_free(&url);

	/* as many parameters as fit */
	memcpy(text, "file:///a?", 11);
	for (i = 0; i < 1000; i++)
		snprintf(text + 10 + 7 * i, 8, "k%04zu=&", i);
	text[10 + 7 * 1000 - 1] = '\0';
	assert_true(bkc_url_parse(text, &url, &err));
	assert_int_equal(url.nparams, 1000);
	assert_string_equal(bkc_url_param(&url, "k0999"), "");
	bkc_url_free(&url);
}

static void
test_check_params(void **state)
{
	static const char *const known[] = {"compression", "key_file", NULL};
	static const char *const none[] = {NULL};
	BkcUrl		url;
	BkcError	err;

	assert_true(bkc_url_parse("file:///a?compression=zstd&key_file=/k", &url, &err));
	assert_true(bkc_url_check_params(&url, known, &err));
	assert_false(bkc_url_check_params(&url, none, &err));
	assert_string_equal(err.message, "unknown parameter \"compression\" in repository URL");
	assert_string_equal(err.hint, "A file URL takes no parameters.");
	bkc_url_free(&url);

	assert_true(bkc_url_parse("file:///a?key_file=/k&compresion=zstd", &url, &err));
	assert_false(bkc_url_check_params(&url, known, &err));
	assert_int_equal(err.code, BKC_ERR_INVALID);
	assert_string_equal(err.message, "unknown parameter \"compresion\" in repository URL");
	assert_string_equal(err.hint, "Known parameters are: compression, key_file.");
	bkc_url_free(&url);

	assert_true(bkc_url_parse("file:///a", &url, &err));
	assert_true(bkc_url_check_params(&url, none, &err));
	bkc_url_free(&url);
}

static void
test_list_good(void **state)
{
	static const char *const empty[] = {"", " ", " \t\n "};
	BkcRepoList list;
	BkcError	err;
	size_t		i;

	for (i = 0; i < COUNT(empty); i++)
	{
		memset(&list, 0x55, sizeof(list));
		assert_true(bkc_repolist_parse(empty[i], &list, &err));
		assert_int_equal(list.count, 0);
		assert_null(bkc_repolist_find(&list, "main"));
		bkc_repolist_free(&list);
	}
	assert_true(bkc_repolist_parse("  main = s3://a/b?x=y ,local=file:///c%2Cd,\n z-9_=file:///e\t",
								   &list, &err));
	assert_int_equal(list.count, 3);
	assert_string_equal(list.items[0].name, "main");
	assert_string_equal(list.items[0].url.text, "s3://a/b?x=y");
	assert_string_equal(bkc_url_param(&list.items[0].url, "x"), "y");
	assert_string_equal(list.items[1].name, "local");
	assert_string_equal(list.items[1].url.path, "/c,d");
	assert_string_equal(list.items[2].name, "z-9_");
	assert_string_equal(list.items[2].url.text, "file:///e");
	assert_ptr_equal(bkc_repolist_find(&list, "local"), &list.items[1]);
	assert_null(bkc_repolist_find(&list, "Local"));
	assert_null(bkc_repolist_find(&list, "loca"));
	bkc_repolist_free(&list);
	assert_int_equal(list.count, 0);
	bkc_repolist_free(&list);

	/* the longest name */
	assert_true(bkc_repolist_parse("a234567890123456789012345678901=file:///a", &list, &err));
	assert_int_equal(strlen(list.items[0].name), 31);
	bkc_repolist_free(&list);
}

static const struct
{
	const char *text;
	const char *message;
	const char *hint;
}			bad_lists[] = {
	{",", "item 1 of the list of repositories is empty", "comma"},
	{"a=file:///a,", "item 2 of the list of repositories is empty", "comma"},
	{"a=file:///a, ,b=file:///b", "item 2 of the list of repositories is empty", "comma"},
	{"file:///a", "item 1 of the list of repositories does not begin with a name: \"file\"",
	"name=URL"},
	{"a=file:///a?x=1,2", "item 2 of the list of repositories does not begin with a name: \"2\"",
	"%2C"},
	{"=file:///a", "does not begin with a name", "name=URL"},
	{"A=file:///a", "does not begin with a name: \"A\"", "lower-case"},
	{"9a=file:///a", "does not begin with a name", "lower-case"},
	{"a.b=file:///a", "does not begin with a name", "lower-case"},
	{"a b=file:///a", "does not begin with a name", "lower-case"},
	{"a2345678901234567890123456789012=file:///a", "does not begin with a name", "30"},
	{"\xC3\xA9=file:///a", "does not begin with a name", "lower-case"},
	{"a=file:///a,a=file:///b", "\"a\" stands twice", ""},
	{"a=", "repository \"a\": repository URL is empty", "file:///"},
	{"a=/mnt/x", "repository \"a\": repository URL does not begin with a scheme",
	"file:///mnt/x"},
	{"a=file:///a,b=file:///%zz", "repository \"b\": invalid percent-encoding \"%zz\"", "%25"},
	{"a=file:///a b=file:///b", "repository \"a\": repository URL contains a space", "%20"},
};

static void
test_list_bad(void **state)
{
	BkcRepoList list;
	BkcError	err;
	size_t		i;

	for (i = 0; i < COUNT(bad_lists); i++)
	{
		memset(&list, 0x55, sizeof(list));
		if (bkc_repolist_parse(bad_lists[i].text, &list, &err))
			fail_msg("%s was accepted", bad_lists[i].text);
		assert_int_equal(err.code, BKC_ERR_INVALID);
		if (strstr(err.message, bad_lists[i].message) == NULL)
			fail_msg("%s: message is \"%s\"", bad_lists[i].text, err.message);
		if (strstr(err.hint, bad_lists[i].hint) == NULL)
			fail_msg("%s: hint is \"%s\"", bad_lists[i].text, err.hint);
		assert_int_equal(list.count, 0);
		assert_null(list.items);
	}
}

/* Every text of up to four of these characters is answered, with a text on refusal. */
static void
test_all_short_tails(void **state)
{
	static const char alphabet[] = ":/?&=%4@[],#a";
	const size_t n = sizeof(alphabet) - 1;
	char		text[32];
	BkcRepoList list;
	BkcUrl		url;
	BkcError	err;
	size_t		i;

	for (i = 0; i < n * n * n * n; i++)
	{
		snprintf(text, sizeof(text), "m=s3://%c%c%c%c", alphabet[i % n], alphabet[i / n % n],
				 alphabet[i / n / n % n], alphabet[i / n / n / n % n]);
		bkc_error_clear(&err);
		if (bkc_url_parse(text + 2, &url, &err))
			bkc_url_free(&url);
		else
			assert_true(err.code == BKC_ERR_INVALID && err.message[0] != '\0');
		bkc_error_clear(&err);
		if (bkc_repolist_parse(text, &list, &err))
			bkc_repolist_free(&list);
		else
			assert_true(err.code == BKC_ERR_INVALID && err.message[0] != '\0');
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_check_params),
		cmocka_unit_test(test_list_good),
		cmocka_unit_test(test_list_bad),
		cmocka_unit_test(test_all_short_tails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
