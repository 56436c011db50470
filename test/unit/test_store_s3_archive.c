/*
 * test_store_s3_archive.c
 *		Archive classes: what is frozen, thawing, thawed; requesting a thaw.
 *
 * No server for tests has an archive, so a stand-in answers as AWS's documentation
 * of HeadObject, GetObject and RestoreObject says.
 */
#include "storetools.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/host.h"
#include "base/text.h"
#include "httpstub.h"
#include "store/s3/s3.h"

#define ETAG	"ETag: \"1\"\r\n"
#define CLASS	"x-amz-storage-class: GLACIER\r\n" ETAG
#define LIST	"/bucket?encoding-type=url&list-type=2&prefix=p%2Fd%2F"
#define FROZEN	"<Error><Code>InvalidObjectState</Code><Message>The operation is not valid for the object's storage class</Message><StorageClass>GLACIER</StorageClass></Error>"

static HttpStub stub;
static BkcStore *store;
static BkcError err;
static char keys[] = "/tmp/bkc-keys-XXXXXX";
static char seen[4096];
static int64_t clock_us;

static int64_t
own_now(void)
{
	return clock_us;
}

static void
own_wait(int ms)
{
	clock_us += (int64_t) ms * 1000;
}

static int
setup(void **state)
{
	static const BkcHost host = {.now = own_now, .wait = own_wait};
	char		text[256];
	BkcUrl		url = {0};

	httpstub_restart(&stub);
	clock_us = (int64_t) time(NULL) * 1000000;
	bkc_host_set(&host);
	seen[0] = '\0';
	snprintf(text, sizeof(text), "s3://bucket/p?endpoint=%s&credentials=%s", stub.url, keys);
	assert_ok(bkc_url_parse(text, &url, &err) && bkc_store_open(&url, &store, &err), &err);
	bkc_url_free(&url);
	return 0;
}

static int
teardown(void **state)
{
	bkc_store_close(store);
	bkc_host_set(&(BkcHost) {0});
	return 0;
}

static HttpStubRule *
on(const char *method, const char *path, int status, const char *headers, const char *body)
{
	HttpStubRule *rule = httpstub_on(&stub, method, path, status, body);

	snprintf(rule->headers, sizeof(rule->headers), "%s", headers);
	return rule;
}

/* Objects "p/d/<n>" of n bytes in the bucket, each in that class. */
static void
list(const char *const classes[])
{
	char		xml[4096] = "<ListBucketResult>";
	size_t		len = strlen(xml);

	for (int i = 0; classes[i] != NULL; i++)
		len += (size_t) snprintf(xml + len, sizeof(xml) - len,
								 "<Contents><Key>p/d/%d</Key><Size>%d</Size><StorageClass>%s</StorageClass></Contents>",
								 i, i, classes[i]);
	snprintf(xml + len, sizeof(xml) - len, "</ListBucketResult>");
	on("GET", LIST, 200, "", xml);
}

static bool
note(void *arg, const char *name, uint64_t size, const BkcArchive *archive, BkcError *e)
{
	static const char *const states[] = {"frozen", "thawing", "thawed"};
	size_t		len = strlen(seen);

	snprintf(seen + len, sizeof(seen) - len, "%s %d %s %s %lld; ", name, (int) size, archive->class,
			 states[archive->state], (long long) archive->until / 1000000);
	return true;
}

static void
states(void **state)
{
	static const char *const classes[] = {
		"STANDARD", "GLACIER", "DEEP_ARCHIVE", "GLACIER", "GLACIER_IR", "GLACIER", NULL
	};

	list(classes);
	on("HEAD", "/bucket/p/d/1", 200, CLASS, "");
	on("GET", "/bucket/p/d/1", 403, "", FROZEN);
	on("HEAD", "/bucket/p/d/2", 200, ETAG "x-amz-restore: ongoing-request=\"true\"\r\n", "");
	on("HEAD", "/bucket/p/d/3", 200,
	   ETAG "x-amz-restore: ongoing-request=\"false\", expiry-date=\"Fri, 20 Nov 2026 00:00:00 GMT\"\r\n", "");
	on("HEAD", "/bucket/p/d/5", 200, ETAG "x-amz-restore: ongoing-request=\"false\"\r\n", "");
	assert_ok(bkc_store_archived(store, "d/", note, NULL, &err), &err);
	assert_string_equal(seen, "d/1 1 GLACIER frozen 0; d/2 2 DEEP_ARCHIVE thawing 0; "
						"d/3 3 GLACIER thawed 1795132800; d/5 5 GLACIER thawed 0; ");
}

/* Where the class is a mere name, one look tells. */
static void
only_a_name(void **state)
{
	static const char *const classes[] = {"GLACIER", "GLACIER", "GLACIER", NULL};

	list(classes);
	on("HEAD", "/bucket/p/d/0", 200, CLASS, "");
	on("GET", "/bucket/p/d/0", 206, ETAG "Content-Range: bytes 0-0/20\r\n", "x");
	assert_ok(bkc_store_archived(store, "d/", note, NULL, &err), &err);
	assert_string_equal(seen, "");
	assert_int_equal(stub.shared->requests, 3);
}

/* What cannot be asked is neither frozen nor readable. */
static void
not_known(void **state)
{
	static const char *const classes[] = {"GLACIER", NULL};

	list(classes);
	on("HEAD", "/bucket/p/d/0", 200, CLASS, "");
	on("GET", "/bucket/p/d/0", 403, "", "<Error><Code>AccessDenied</Code></Error>");
	assert_code(bkc_store_archived(store, "d/", note, NULL, &err), &err, BKC_ERR_ACCESS);
	assert_string_equal(seen, "");
}

static void
reading(void **state)
{
	BkcReader  *reader = NULL;

	on("GET", "/bucket/p/a", 403, "", FROZEN);
	assert_code(bkc_store_open_read(store, "a", 0, UINT64_MAX, &reader, &err), &err,
				BKC_ERR_ARCHIVED);
	assert_non_null(strstr(err.message, "could not read object \"a\""));
	assert_non_null(strstr(err.detail, "storage class GLACIER."));
	assert_non_null(strstr(err.hint, "restore --thaw"));
}

static void
thaw(void **state)
{
	HttpStubRule *rule;

	rule = on("POST", "/bucket/p/a?restore=", 202, "", "");
	rule->times = 1;
	snprintf(rule->need, sizeof(rule->need), "<Days>5</Days>");
	assert_ok(bkc_store_thaw(store, "a", 5, &err), &err);

	/* requested before; thawed, so that its end is moved */
	rule = on("POST", "/bucket/p/a?restore=", 409, "",
			  "<Error><Code>RestoreAlreadyInProgress</Code></Error>");
	rule->times = 1;
	assert_ok(bkc_store_thaw(store, "a", 5, &err), &err);
	on("POST", "/bucket/p/a?restore=", 200, "", "")->times = 1;
	assert_ok(bkc_store_thaw(store, "a", 5, &err), &err);

	/* tried again when the server is busy */
	on("POST", "/bucket/p/a?restore=", 503, "", "<Error><Code>SlowDown</Code></Error>")->times = 1;
	on("POST", "/bucket/p/a?restore=", 202, "", "")->times = 1;
	assert_ok(bkc_store_thaw(store, "a", 5, &err), &err);
	assert_int_equal(stub.shared->requests, 5);
	on("POST", "/bucket/p/a?restore=", 403, "", "<Error><Code>AccessDenied</Code></Error>");
	assert_code(bkc_store_thaw(store, "a", 5, &err), &err, BKC_ERR_ACCESS);
	assert_non_null(strstr(err.message, "could not request the thaw of object \"a\""));
}

static void
names(void **state)
{
	static const struct
	{
		const char *url;
		const char *class;
		BkcErrorCode code;
	}			cases[] = {
		{"s3://bucket/p?region=eu-central-1", "STANDARD_IA", BKC_OK},
		{"s3://bucket/p?region=eu-central-1", "DEEP_ARCHIVE", BKC_OK},
		{"s3://bucket/p?region=eu-central-1", "glacier", BKC_ERR_INVALID},
		{"s3://bucket/p?region=eu-central-1", "COLD", BKC_ERR_INVALID},
		{"s3://bucket/p?endpoint=https://rgw.example.com", "COLD", BKC_OK},
		{"s3://bucket/p?endpoint=https://rgw.example.com", "", BKC_ERR_INVALID},
		{"s3://bucket/p?endpoint=https://rgw.example.com", "A B", BKC_ERR_INVALID},
		{"s3://bucket/p?endpoint=https://rgw.example.com", "A\r\nB", BKC_ERR_INVALID},
		{"file:///repo", "STANDARD", BKC_ERR_UNSUPPORTED},
	};
	BkcStore   *memory;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		BkcUrl		url = {0};
		bool		ok;

		assert_ok(bkc_url_parse(cases[i].url, &url, &err), &err);
		ok = bkc_store_check_class(&url, cases[i].class, &err);
		if (cases[i].code == BKC_OK)
			assert_ok(ok, &err);
		else
			assert_code(ok, &err, cases[i].code);
		bkc_url_free(&url);
	}

	/* a store without classes is asked nothing, and has nothing in an archive */
	assert_ok(bkc_store_memory_new(&memory, &err), &err);
	assert_ok(bkc_store_use_class(memory, "", &err), &err);
	assert_code(bkc_store_use_class(memory, "STANDARD", &err), &err, BKC_ERR_UNSUPPORTED);
	assert_ok(bkc_store_try_class(memory, &err), &err);
	assert_ok(bkc_store_archived(memory, "", note, NULL, &err), &err);
	assert_code(bkc_store_thaw(memory, "a", 5, &err), &err, BKC_ERR_UNSUPPORTED);
	bkc_store_close(memory);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		T(states), T(only_a_name), T(not_known), T(reading), T(thaw), T(names)
	};
	static const char text[] = "[default]\naws_access_key_id = k\naws_secret_access_key = s\n";
	int			fd = mkstemp(keys);
	int			status = 1;

	if (fd >= 0 && write(fd, text, strlen(text)) == (ssize_t) strlen(text) && fchmod(fd, 0600) == 0)
	{
		httpstub_start(&stub);
		status = cmocka_run_group_tests(tests, NULL, NULL);
		httpstub_stop(&stub);
	}
	if (fd >= 0)
	{
		close(fd);
		unlink(keys);
	}
	return status;
}
