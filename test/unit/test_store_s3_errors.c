/*
 * test_store_s3_errors.c
 *		What goes wrong between the driver and a server is told, and never
 *		mistaken for an object that is not there.
 */
#include "s3server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/host.h"
#include "base/text.h"
#include "store/s3/s3.h"

static char bucket[S3_BUCKET_MAX];

static bool
ignore_each(void *arg, const char *name, uint64_t size, BkcError *err)
{
	return true;
}

/* Every operation fails with that code, and a message and hint like those. */
static void
assert_refused(BkcStore *store, BkcErrorCode code, const char *message, const char *hint)
{
	BkcReader  *reader;
	BkcError	errs[6];
	uint64_t	size;
	bool		failed = true;

	failed = failed && !bkc_store_stat(store, "a", &size, &errs[0]);
	failed = failed && !bkc_store_open_read(store, "a", 0, UINT64_MAX, &reader, &errs[1]);
	failed = failed && !bkc_store_list(store, "", true, ignore_each, NULL, &errs[2]);
	failed = failed && !store_put(store, "a", "x", 1, 0, &errs[3]);
	failed = failed && !bkc_store_remove(store, (const char *const[]) {"a", "b"}, 2, &errs[4]);
	failed = failed && !bkc_store_sweep(store, "", &errs[5]);
	assert_true(failed);
	for (int i = 0; i < 6; i++)
	{
		assert_code(false, &errs[i], code);
		if (strstr(errs[i].message, message) == NULL || strstr(errs[i].hint, hint) == NULL)
			fail_msg("operation %d: %s\n%s\n%s", i, errs[i].message, errs[i].detail, errs[i].hint);
	}
}

static void
assert_way_refused(S3Way way, const char *in, const char *more, BkcErrorCode code,
				   const char *message, const char *hint)
{
	BkcStore   *store = s3server_open(way, in, "x", more);

	assert_refused(store, code, message, hint);
	bkc_store_close(store);
}

/* More than anything else this one must not look like an empty repository. */
static void
missing_bucket(void **state)
{
	assert_way_refused(S3_HTTP_PATH, "no-such-bucket-anywhere", "", BKC_ERR_STATE, "NoSuchBucket",
					   "Create the bucket");
	assert_way_refused(S3_TLS_HOST, "no-such-bucket-anywhere", "", BKC_ERR_STATE, "NoSuchBucket",
					   "Create the bucket");
}

/* The server is there, but it is not S3, or the path style is not known to it. */
static void
wrong_address(void **state)
{
	char		more[256];
	const char *port = strrchr(getenv("BKC_S3_URL"), ':');

	/* Ceph takes every name that it does not know for a bucket's */
	snprintf(more, sizeof(more), "&endpoint=http://localhost%s", port);
	assert_way_refused(S3_HTTP_PATH, bucket, more, BKC_ERR_STATE, "NoSuchBucket", "endpoint");
}

static void
with_keys(const char *access, const char *secret, const char *message, const char *hint)
{
	char		text[256];
	char		more[256];

	snprintf(text, sizeof(text), "[default]\naws_access_key_id=%s\naws_secret_access_key=%s\n",
			 access, secret);
	snprintf(more, sizeof(more), "&credentials=%s",
			 s3server_write_file("keys", text, strlen(text)));
	assert_way_refused(S3_HTTP_PATH, bucket, more, BKC_ERR_ACCESS, message, hint);
	assert_way_refused(S3_TLS_HOST, bucket, more, BKC_ERR_ACCESS, message, hint);
}

static void
wrong_keys(void **state)
{
	with_keys("testkey", "another", "SignatureDoesNotMatch", "secret key");
	with_keys("nobody", "testsecret", "InvalidAccessKeyId", "access key");
}

static void
certificates(void **state)
{
	char		more[256];
	BkcStore   *store;
	BkcError	err;
	const char *port = strrchr(getenv("BKC_S3_TLS_URL"), ':');

	/* another authority; the system's; none at all */
	snprintf(more, sizeof(more), "&ca_file=%s", getenv("BKC_S3_OTHER_CA"));
	assert_way_refused(S3_TLS_PATH, bucket, more, BKC_ERR_ACCESS, "certificate", "ca_file");
	snprintf(more, sizeof(more), "&endpoint=https://127.0.0.1%s", port);
	assert_way_refused(S3_HTTP_PATH, bucket, more, BKC_ERR_ACCESS, "certificate", "ca_file");
	snprintf(more, sizeof(more), "&ca_file=%s", s3server_file("no-such-file"));
	assert_way_refused(S3_TLS_PATH, bucket, more, BKC_ERR_INVALID, "certificates", "ca_file");
	snprintf(more, sizeof(more), "&ca_file=%s", s3server_write_file("garbage", "garbage", 7));
	assert_way_refused(S3_TLS_PATH, bucket, more, BKC_ERR_INVALID, "certificates", "ca_file");

	/* a name that the certificate does not have */
	snprintf(more, sizeof(more), "&endpoint=https://other.localhost%s&ca_file=%s", port,
			 getenv("BKC_S3_CA"));
	assert_way_refused(S3_HTTP_PATH, bucket, more, BKC_ERR_ACCESS, "certificate", "");

	/* not looked at */
	snprintf(more, sizeof(more), "&endpoint=https://127.0.0.1%s&verify_tls=no", port);
	store = s3server_open(S3_HTTP_PATH, bucket, "unverified", more);
	assert_ok(store_put(store, "a", "x", 1, 0, &err), &err);
	assert_object(store, "a", "x", 1);
	bkc_store_close(store);
}

/* ---- errors that are tried again: the clock of the host makes that short ---- */

static int64_t
fast_clock(void)
{
	static int64_t steps;

	return (int64_t) time(NULL) * 1000000 + steps++ * 15000000;
}

static void
unreachable(S3Way way, const char *more, BkcErrorCode code, const char *message, const char *hint)
{
	static const BkcHost hurried = {.now = fast_clock};
	BkcStore   *store = s3server_open(way, bucket, "x", more);
	BkcError	err;
	uint64_t	size;

	bkc_host_set(&hurried);
	assert_code(bkc_store_stat(store, "a", &size, &err), &err, code);
	bkc_host_set(&(BkcHost) {0});
	if (strstr(err.message, message) == NULL || strstr(err.hint, hint) == NULL ||
		strstr(err.detail, "Attempt") == NULL)
		fail_msg("%s\n%s\n%s", err.message, err.detail, err.hint);
	bkc_store_close(store);
}

static void
nobody_there(void **state)
{
	char		more[256];

	/* the name ends with what never exists */
	unreachable(S3_HTTP_PATH, "&endpoint=http://bkc.invalid", BKC_ERR_UNAVAILABLE,
				"could not resolve the name", "endpoint");
	unreachable(S3_HTTP_PATH, "&endpoint=http://127.0.0.1:1", BKC_ERR_UNAVAILABLE,
				"could not connect", "");
	unreachable(S3_HTTP_PATH, "&proxy=http://bkc.invalid:3128", BKC_ERR_UNAVAILABLE,
				"could not resolve the name of the proxy", "proxy");

	/* plain HTTP where TLS is spoken, and the other way round */
	snprintf(more, sizeof(more), "&endpoint=https://127.0.0.1%s",
			 strrchr(getenv("BKC_S3_URL"), ':'));
	unreachable(S3_HTTP_PATH, more, BKC_ERR_UNAVAILABLE, "TLS", "http://");
}

/* ---- the clock ---- */

static int64_t
slow_clock(void)
{
	return (int64_t) (time(NULL) - 7200) * 1000000;
}

/* The server refuses times that are far off; what it says about its own is used. */
static void
wrong_clock(void **state)
{
	static const BkcHost late = {.now = slow_clock};
	BkcStore   *store = s3server_open(S3_HTTP_PATH, bucket, "clock", "");
	uint64_t	size;
	BkcError	err;

	bkc_host_set(&late);
	assert_code(bkc_store_stat(store, "a", &size, &err), &err, BKC_ERR_NOT_FOUND);
	bkc_store_close(store);
	store = s3server_open(S3_TLS_PATH, bucket, "clock", "");
	assert_ok(store_put(store, "a", "x", 1, 0, &err), &err);
	assert_object(store, "a", "x", 1);
	bkc_store_close(store);
	bkc_host_set(&(BkcHost) {0});
}

/* ---- bits that change on the way ---- */

/* TLS notices it, and a new connection does better. */
static void
corrupted_tls(void **state)
{
	static const int offsets[] = {3, 400, 1000, 2500, 20000, 60000};
	S3Proxy		proxy;
	char		more[128];
	char		control[128];
	char		name[32];
	uint8_t    *data = malloc(100000);
	BkcStore   *store;
	BkcError	err;

	assert_non_null(data);
	store_pattern(data, 100000, 8);
	s3proxy_start_tls(&proxy);
	snprintf(more, sizeof(more), "&endpoint=https://127.0.0.1:%d&stall_timeout=1", proxy.port);
	for (size_t i = 0; i < 2 * sizeof(offsets) / sizeof(offsets[0]); i++)
	{
		snprintf(control, sizeof(control), "{\"corrupt_%s\": %d, \"times\": 1}",
				 i % 2 ? "up" : "down", offsets[i / 2]);
		s3proxy_set(&proxy, control);
		snprintf(name, sizeof(name), "tls/%zu", i);
		store = s3server_open(S3_TLS_PATH, bucket, "corrupted", more);
		assert_ok(store_put(store, name, data, 100000, 0, &err), &err);
		assert_object(store, name, data, 100000);
		bkc_store_close(store);
		s3proxy_set(&proxy, control);
		store = s3server_open(S3_TLS_PATH, bucket, "corrupted", more);
		assert_object(store, name, data, 100000);
		bkc_store_close(store);
	}
	s3proxy_stop(&proxy);
	free(data);
}

/* ---- who answers ---- */

/* It failed, and nothing was concluded about the object. */
static void
assert_not_believed(bool ok, const BkcError *err)
{
	if (ok || (err->code != BKC_ERR_UNAVAILABLE && err->code != BKC_ERR_STATE &&
			   err->code != BKC_ERR_CORRUPT))
		fail_msg("%s", ok ? "believed" : err->message);
}

/* Something on the way says "fine" to everything: nothing of that is believed. */
static void
captive_portal(void **state)
{
	static const BkcHost hurried = {.now = fast_clock};
	S3Proxy		proxy;
	char		more[128];
	uint8_t    *data = malloc(6 << 20);
	BkcStore   *store;
	BkcReader  *reader;
	BkcError	err;
	uint64_t	size;

	assert_non_null(data);
	store_pattern(data, 6 << 20, 9);
	s3proxy_start(&proxy);
	snprintf(more, sizeof(more), "&part_size=5MB&endpoint=http://127.0.0.1:%d", proxy.port);
	store = s3server_open(S3_HTTP_PATH, bucket, "portal", more);
	assert_ok(store_put(store, "a", "x", 1, 0, &err), &err);
	s3proxy_set(&proxy, "{\"status\": 200, \"body\": \"<html>welcome</html>\"}");
	bkc_host_set(&hurried);
	assert_not_believed(store_put(store, "b", "x", 1, 0, &err), &err);
	assert_not_believed(bkc_store_stat(store, "a", &size, &err), &err);
	assert_not_believed(bkc_store_open_read(store, "a", 0, UINT64_MAX, &reader, &err), &err);
	assert_not_believed(bkc_store_list(store, "", true, ignore_each, NULL, &err), &err);
	assert_not_believed(bkc_store_remove(store, (const char *const[]) {"a", "b"}, 2, &err), &err);
	assert_not_believed(bkc_store_sweep(store, "", &err), &err);
	assert_not_believed(store_put(store, "c", data, 6 << 20, 0, &err), &err);
	s3proxy_set(&proxy, "{\"status\": 200, \"match\": \"partNumber\"}");
	assert_not_believed(store_put(store, "c", data, 6 << 20, 0, &err), &err);
	bkc_host_set(&(BkcHost) {0});
	bkc_store_close(store);
	s3proxy_stop(&proxy);
	free(data);
}

/* ---- signatures: ours and those of test/servers/s3.py are the same ---- */

#define SAMPLES	60

static const char letters[] = "abcXYZ019-_.~ /+=&%\xc3\xa4\xe2\x82\xac";

static void
random_text(char *out, size_t max)
{
	uint8_t		random[64];
	BkcError	err;
	size_t		n = 0;

	assert_ok(bkc_random(random, sizeof(random), &err), &err);
	for (size_t i = 1; i < sizeof(random) && n + 4 < max && i <= random[0] % 12u; i++)
	{
		size_t		at = random[i] % (sizeof(letters) - 1);

		/* whole characters only */
		if ((letters[at] & 0xC0) == 0x80)
			continue;
		out[n++] = letters[at];
		while ((letters[at + 1] & 0xC0) == 0x80)
			out[n++] = letters[++at];
	}
	out[n] = '\0';
}

/* One request: as JSON for the one, signed by the other. */
static void
sample(BkcBuffer *json, BkcBuffer *ours)
{
	char		text[5][64];
	BkcBuffer	path = {0};
	BkcBuffer	query = {0};
	BkcError	err;
	char		hash[65];
	BkcS3Creds	creds = {0};
	BkcS3Header headers[] = {
		{(char *) "host", (char *) "bucket.s3.example.com:8080"},
		{(char *) "x-amz-content-sha256", hash},
		{(char *) "x-amz-date", (char *) "20261129T214437Z"},
		{(char *) "x-amz-meta-text", text[4]},
	};

	for (int i = 0; i < 5; i++)
		random_text(text[i], sizeof(text[i]));
	memset(hash, 'a' + text[0][0] % 6, 64);
	hash[64] = '\0';
	snprintf(creds.access_key, sizeof(creds.access_key), "AKIAEXAMPLE");
	snprintf(creds.secret_key, sizeof(creds.secret_key), "secret/%s", text[3]);
	assert_ok(bkc_buffer_append_str(&path, "/", &err) &&
			  bkc_http_escape(&path, text[0], true, &err) &&
			  bkc_buffer_append_str(&query, "delimiter=", &err) &&
			  bkc_http_escape(&query, text[1], false, &err) &&
			  bkc_buffer_append_str(&query, "&prefix=", &err) &&
			  bkc_http_escape(&query, text[2], false, &err) &&
			  bkc_buffer_append_str(&query, "&uploads=", &err), &err);
	assert_ok(bkc_buffer_printf(json, &err,
								"{\"method\": \"GET\", \"path\": \"%s\", \"query\": [[\"uploads\", \"\"], [\"prefix\", \"%s\"], "
								"[\"delimiter\", \"%s\"]], \"headers\": {\"Host\": \"bucket.s3.example.com:8080\", "
								"\"x-amz-content-sha256\": \"%s\", \"X-Amz-Date\": \"20261129T214437Z\", \"x-amz-meta-text\": \"%s\"}, "
								"\"payload_hash\": \"%s\", \"when\": \"20261129T214437Z\", \"region\": \"eu-central-1\", "
								"\"access\": \"%s\", \"secret\": \"%s\"}\n",
								bkc_buffer_str(&path), text[2], text[1], hash, text[4], hash,
								creds.access_key, creds.secret_key), &err);
	assert_ok(bkc_s3_sign(&(BkcS3SignInput) {
		.method = "GET",
		.path = bkc_buffer_str(&path),
		.query = bkc_buffer_str(&query),
		.headers = headers,
		.nheaders = 4,
		.payload_hash = hash,
		.time = "20261129T214437Z",
		.region = "eu-central-1",
		.service = "s3",
	}, &creds, ours, &err) && bkc_buffer_append_str(ours, "\n", &err), &err);
	bkc_buffer_free(&path);
	bkc_buffer_free(&query);
}

static void
signatures(void **state)
{
	BkcBuffer	json = {0};
	BkcBuffer	ours = {0};
	char	   *theirs;

	for (int i = 0; i < SAMPLES; i++)
		sample(&json, &ours);
	theirs = s3server_call(NULL, "sign", s3server_write_file("requests", json.data, json.len),
						   NULL);
	assert_string_equal(bkc_buffer_str(&ours), theirs);
	free(theirs);
	bkc_buffer_free(&json);
	bkc_buffer_free(&ours);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(missing_bucket),
		cmocka_unit_test(wrong_address),
		cmocka_unit_test(wrong_keys),
		cmocka_unit_test(certificates),
		cmocka_unit_test(nobody_there),
		cmocka_unit_test(wrong_clock),
		cmocka_unit_test(corrupted_tls),
		cmocka_unit_test(captive_portal),
		cmocka_unit_test(signatures),
	};
	int			status;

	if (!s3server_there(&status))
		return status;
	s3server_bucket(bucket, false);
	status = cmocka_run_group_tests(tests, NULL, NULL);
	s3server_end();
	return status;
}
