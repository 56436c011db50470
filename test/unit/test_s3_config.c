/*
 * test_s3_config.c
 *		What an s3:// URL says, and what it may not say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/url.h"
#include "store/s3/s3.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static BkcS3Config config;
static BkcError err;

static int
tear_down(void **state)
{
	bkc_s3_config_free(&config);
	return 0;
}

/* As the store's opener does it: parameters that nobody knows are refused before. */
static bool
read_url(const char *text)
{
	BkcUrl		url = {0};
	bool		ok;

	bkc_s3_config_free(&config);
	memset(&config, 0, sizeof(config));
	if (!bkc_url_parse(text, &url, &err))
		fail_msg("%s: %s", text, err.message);
	ok = bkc_url_check_params(&url, bkc_s3_params, &err) && bkc_s3_config(&url, NULL, &err);

	/* looking without keeping says the same */
	if (bkc_url_check_params(&url, bkc_s3_params, &err))
		assert_int_equal(bkc_s3_config(&url, &config, &err), ok);
	bkc_url_free(&url);
	return ok;
}

static void
assert_good(const char *text)
{
	if (!read_url(text))
		fail_msg("%s: %s (%s)", text, err.message, err.hint);
}

static void
assert_bad(const char *text, const char *message)
{
	if (read_url(text))
		fail_msg("%s was taken", text);
	if (err.code != BKC_ERR_INVALID || strstr(err.message, message) == NULL || err.hint[0] == '\0')
		fail_msg("%s: %s: %s (%s)", text, bkc_error_code_name(err.code), err.message, err.hint);
	assert_null(config.bucket);
}

static void
test_defaults(void **state)
{
	assert_good("s3://my-bucket");
	assert_string_equal(config.bucket, "my-bucket");
	assert_string_equal(config.prefix, "");
	assert_string_equal(config.region, "us-east-1");
	assert_string_equal(config.host, "my-bucket.s3.us-east-1.amazonaws.com");
	assert_string_equal(config.origin, "https://my-bucket.s3.us-east-1.amazonaws.com");
	assert_false(config.path_style);
	assert_null(config.storage_class);
	assert_null(config.wal_storage_class);
	assert_null(config.sse);
	assert_null(config.sse_kms_key);
	assert_null(config.sse_c_key_file);
	assert_null(config.tags);
	assert_null(config.lock_mode);
	assert_int_equal(config.lock_days, 0);
	assert_null(config.credentials);
	assert_null(config.profile);
	assert_int_equal(config.part_size, 8 << 20);
	assert_int_equal(config.parts_in_flight, 2);
	assert_null(config.http.ca_file);
	assert_null(config.http.proxy);
	assert_false(config.http.trust_any);
	assert_int_equal(config.http.connect_ms, 0);
	assert_int_equal(config.http.stall_ms, 0);
}

/* Where requests go to. */
static void
test_addresses(void **state)
{
	static const struct
	{
		const char *url;
		const char *origin;
		bool		path_style;
	}			cases[] = {
		{"s3://b-1?region=eu-central-1", "https://b-1.s3.eu-central-1.amazonaws.com", false},
		{"s3://b-1?region=cn-north-1", "https://b-1.s3.cn-north-1.amazonaws.com.cn", false},
		{"s3://b-1?style=path", "https://s3.us-east-1.amazonaws.com", true},
		/* certificates cover one label only */
		{"s3://b.c.d?region=eu-west-1", "https://s3.eu-west-1.amazonaws.com", true},
		{"s3://b.c.d?region=eu-west-1&style=host", "https://b.c.d.s3.eu-west-1.amazonaws.com", false},
		{"s3://b-1?endpoint=http://127.0.0.1:9000", "http://127.0.0.1:9000", true},
		{"s3://b-1?endpoint=https://minio.example.org", "https://minio.example.org", true},
		{"s3://b-1?endpoint=minio.example.org:9000", "https://minio.example.org:9000", true},
		{"s3://b-1?endpoint=http://[::1]:9000", "http://[::1]:9000", true},

		/* a port that no client sends, which the signature must not have either */
		{"s3://b-1?endpoint=https://minio.example.org:443", "https://minio.example.org", true},
		{"s3://b-1?endpoint=http://minio.example.org:80", "http://minio.example.org", true},
		{"s3://b-1?endpoint=http://minio.example.org:443", "http://minio.example.org:443", true},
		{"s3://b-1?endpoint=https://minio.example.org:80&style=host", "https://b-1.minio.example.org:80", false},
		{"s3://b-1?endpoint=https://[::1]:443", "https://[::1]", true},
		{"s3://b-1?endpoint=https://r2.example.org&style=host", "https://b-1.r2.example.org", false},
		{"s3://b-1?endpoint=https://r2.example.org&style=HOST", "https://b-1.r2.example.org", false},
	};

	for (size_t i = 0; i < COUNT(cases); i++)
	{
		assert_good(cases[i].url);
		assert_string_equal(config.origin, cases[i].origin);
		assert_string_equal(config.host, strstr(cases[i].origin, "://") + 3);
		assert_int_equal(config.path_style, cases[i].path_style);
	}
}

static void
test_buckets_and_prefixes(void **state)
{
	char		text[1200];
	char		name[1100];

	assert_good("s3://abc/");
	assert_string_equal(config.prefix, "");
	assert_good("s3://abc/a");
	assert_string_equal(config.prefix, "a/");
	assert_good("s3://a1c/a/b-c/D_e.f/");
	assert_string_equal(config.prefix, "a/b-c/D_e.f/");
	memset(name, 'a', sizeof(name));
	snprintf(text, sizeof(text), "s3://%.63s", name);
	assert_good(text);
	snprintf(text, sizeof(text), "s3://%.64s", name);
	assert_bad(text, "has a name that no bucket can have");
	assert_bad("s3:///a", "names no bucket");
	assert_bad("s3://ab", "has a name that no bucket can have");
	assert_bad("s3://Abc", "has a name that no bucket can have");
	assert_bad("s3://a_c", "has a name that no bucket can have");
	assert_bad("s3://-bc", "has a name that no bucket can have");
	assert_bad("s3://ab-", "has a name that no bucket can have");
	assert_bad("s3://ab.", "has a name that no bucket can have");
	assert_bad("s3://a..b", "has a name that no bucket can have");
	assert_bad("s3://abc/a//b", "is not allowed");
	assert_bad("s3://abc/a/../b", "is not allowed");
	assert_bad("s3://abc/a%20b", "is not allowed");
	assert_bad("s3://abc/%C3%A4", "is not allowed");
	snprintf(text, sizeof(text), "s3://abc/%.300s", name);
	assert_bad(text, "is not allowed");
}

static void
test_options(void **state)
{
	assert_good("s3://abc/x?storage_class=STANDARD_IA&wal_storage_class=STANDARD&sse=aws:kms"
				"&sse_kms_key_id=arn:aws:kms:eu-central-1:1:key/a-b&credentials=/etc/creds"
				"&profile=my.profile-1&part_size=16MB&parts_in_flight=4&ca_file=/etc/ca.pem"
				"&proxy=http://proxy:3128&verify_tls=no&connect_timeout=5&stall_timeout=30");
	assert_string_equal(config.storage_class, "STANDARD_IA");
	assert_string_equal(config.wal_storage_class, "STANDARD");
	assert_string_equal(config.sse, "aws:kms");
	assert_string_equal(config.sse_kms_key, "arn:aws:kms:eu-central-1:1:key/a-b");
	assert_string_equal(config.credentials, "/etc/creds");
	assert_string_equal(config.profile, "my.profile-1");
	assert_int_equal(config.part_size, 16 << 20);
	assert_int_equal(config.parts_in_flight, 4);
	assert_string_equal(config.http.ca_file, "/etc/ca.pem");
	assert_string_equal(config.http.proxy, "http://proxy:3128");
	assert_true(config.http.trust_any);
	assert_int_equal(config.http.connect_ms, 5000);
	assert_int_equal(config.http.stall_ms, 30000);

	assert_good("s3://abc?sse=aes256&verify_tls=YES");
	assert_string_equal(config.sse, "AES256");
	assert_false(config.http.trust_any);
	assert_good("s3://abc?sse_c_key_file=/etc/key");
	assert_string_equal(config.sse_c_key_file, "/etc/key");
	assert_good("s3://abc?part_size=5MB");
	assert_good("s3://abc?part_size=1GB");
	assert_int_equal(config.part_size, 1 << 30);
}

static void
test_tags(void **state)
{
	assert_good("s3://abc?tags=team:dba");
	assert_string_equal(config.tags, "team=dba");
	assert_good("s3://abc?tags=team:dba;cost%20center:a+b/c;empty:");
	assert_string_equal(config.tags, "team=dba&cost%20center=a%2Bb%2Fc&empty=");
	assert_good("s3://abc?tags=a:1;b:2;c:3;d:4;e:5;f:6;g:7;h:8;i:9;j:10");
	assert_bad("s3://abc?tags=a:1;b:2;c:3;d:4;e:5;f:6;g:7;h:8;i:9;j:10;k:11", "\"tags\"");
	assert_bad("s3://abc?tags=", "\"tags\"");
	assert_bad("s3://abc?tags=a", "\"tags\"");
	assert_bad("s3://abc?tags=:a", "\"tags\"");
	assert_bad("s3://abc?tags=a:1;", "\"tags\"");
	assert_bad("s3://abc?tags=a:1;;b:2", "\"tags\"");
	assert_bad("s3://abc?tags=a:1%26b:2", "\"tags\"");
	assert_bad("s3://abc?tags=a:%C3%A4", "\"tags\"");
}

static void
test_lock(void **state)
{
	assert_good("s3://abc?lock_mode=compliance&lock_days=30");
	assert_string_equal(config.lock_mode, "COMPLIANCE");
	assert_int_equal(config.lock_days, 30);
	assert_good("s3://abc?lock_mode=GOVERNANCE&lock_days=36500");
	assert_string_equal(config.lock_mode, "GOVERNANCE");
	assert_bad("s3://abc?lock_mode=compliance", "has only one of \"lock_mode\" and \"lock_days\"");
	assert_bad("s3://abc?lock_days=30", "has only one of \"lock_mode\" and \"lock_days\"");
	assert_bad("s3://abc?lock_mode=legal&lock_days=30", "\"lock_mode\"");
	assert_bad("s3://abc?lock_mode=compliance&lock_days=0", "\"lock_days\"");
	assert_bad("s3://abc?lock_mode=compliance&lock_days=36501", "\"lock_days\"");
	assert_bad("s3://abc?lock_mode=compliance&lock_days=-1", "\"lock_days\"");
	assert_bad("s3://abc?lock_mode=compliance&lock_days=30d", "\"lock_days\"");
}

static void
test_bad_values(void **state)
{
	static const struct
	{
		const char *query;
		const char *message;
	}			cases[] = {
		{"region=", "bad value for \"region\""}, {"region=eu/1", "bad value for \"region\""},
		{"region=evil.example.org", "bad value for \"region\""},
		{"endpoint=", "bad value for \"endpoint\""}, {"endpoint=https://", "bad value for \"endpoint\""},
		{"endpoint=ftp://a", "bad value for \"endpoint\""},
		{"endpoint=https://host/path", "bad value for \"endpoint\""},
		{"endpoint=https://user@host", "bad value for \"endpoint\""},
		{"endpoint=https://host?x", "bad value for \"endpoint\""},
		{"endpoint=https://ho%20st", "bad value for \"endpoint\""},
		{"style=virtual", "bad value for \"style\""}, {"style=", "bad value for \"style\""},
		{"sse=AES128", "bad value for \"sse\""},
		{"sse_kms_key_id=abc", "bad value for \"sse_kms_key_id\""},
		{"sse=AES256&sse_kms_key_id=abc", "bad value for \"sse_kms_key_id\""},
		{"sse=aws:kms&sse_kms_key_id=a%20b", "bad value for \"sse_kms_key_id\""},
		{"sse_c_key_file=key", "bad value for \"sse_c_key_file\""},
		{"sse_c_key_file=/key&sse=AES256", "bad value for \"sse_c_key_file\""},
		{"sse_c_key_file=/key&endpoint=http://h", "bad value for \"sse_c_key_file\""},
		{"part_size=4MB", "bad value for \"part_size\""}, {"part_size=2GB", "bad value for \"part_size\""},
		{"part_size=x", "bad value for \"part_size\""}, {"part_size=", "bad value for \"part_size\""},
		{"parts_in_flight=0", "bad value for \"parts_in_flight\""},
		{"parts_in_flight=17", "bad value for \"parts_in_flight\""},
		{"connect_timeout=0", "bad value for \"connect_timeout\""},
		{"connect_timeout=601", "bad value for \"connect_timeout\""},
		{"stall_timeout=3601", "bad value for \"stall_timeout\""},
		{"stall_timeout=1s", "bad value for \"stall_timeout\""},
		{"verify_tls=off", "bad value for \"verify_tls\""},
		{"ca_file=ca.pem", "bad value for \"ca_file\""}, {"credentials=creds", "bad value for \"credentials\""},
		{"profile=a%20b", "bad value for \"profile\""}, {"profile=", "bad value for \"profile\""},
		{"storage_class=A%20B", "bad value for \"storage_class\""},
		{"wal_storage_class=A:B", "bad value for \"wal_storage_class\""},
		{"wal_storage_class=GLACIER", "WAL cannot be put into the archive class \"GLACIER\""},
		{"wal_storage_class=DEEP_ARCHIVE", "WAL cannot be put into the archive class \"DEEP_ARCHIVE\""},
		{"proxy=http://a%20b", "bad value for \"proxy\""},
		{"secret_key=x", "secret_key"}, {"Region=x", "Region"},
	};
	char		url[256];

	for (size_t i = 0; i < COUNT(cases); i++)
	{
		snprintf(url, sizeof(url), "s3://abc/p?%s", cases[i].query);
		assert_bad(url, cases[i].message);
	}
}

#define T(name) cmocka_unit_test_teardown(name, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_defaults), T(test_addresses), T(test_buckets_and_prefixes), T(test_options),
		T(test_tags), T(test_lock), T(test_bad_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
