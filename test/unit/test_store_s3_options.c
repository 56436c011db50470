/*
 * test_store_s3_options.c
 *		What the URL asks for is what the server stores: encryption, storage
 *		classes, tags, metadata, object lock.
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
#include "format/names.h"

#define MIB		((size_t) 1 << 20)
#define SYSID	UINT64_C(7123456789012345678)
#define LABEL	"20261120T120301Z-full-7f3a"

static char bucket[S3_BUCKET_MAX];
static char locked[S3_BUCKET_MAX];	/* made with object lock */

/* names of every kind that the driver tells apart */
static char pack[BKC_NAME_MAX];
static char manifest[BKC_NAME_MAX];
static char segment[BKC_NAME_MAX];
static char history[BKC_NAME_MAX];
static char chunk[BKC_NAME_MAX];
static char cluster[BKC_NAME_MAX];

static int
make_names(void **state)
{
	BkcError	err;

	assert_ok(bkc_name_pack(SYSID, LABEL, 0, 0, pack, &err), &err);
	assert_ok(bkc_name_manifest(SYSID, LABEL, manifest, &err), &err);
	assert_ok(bkc_name_wal_file(SYSID, "000000010000000000000007", NULL, segment, &err), &err);
	assert_ok(bkc_name_wal_file(SYSID, "00000002.history", NULL, history, &err), &err);
	assert_ok(bkc_name_wal_chunk(SYSID, "000000010000000000000008", 1, 0, chunk, &err), &err);
	assert_ok(bkc_name_cluster(SYSID, cluster, &err), &err);
	return 0;
}

static BkcStore *
open_fresh(S3Way way, const char *in, char prefix[32], const char *more)
{
	uint8_t		random[8];
	BkcError	err;

	assert_ok(bkc_random(random, sizeof(random), &err), &err);
	bkc_hex_encode(random, sizeof(random), prefix);
	return s3server_open(way, in, prefix, more);
}

static void
put(BkcStore *store, const char *name, size_t size)
{
	uint8_t    *data = malloc(size + 1);
	BkcError	err;

	assert_non_null(data);
	store_pattern(data, size, 1);
	assert_ok(store_put(store, name, data, size, 0, &err), &err);
	assert_object(store, name, data, size);
	free(data);
}

/* What HEAD says about a header of an object ("" when it is not there); in a static buffer. */
static const char *
header(const char *in, const char *prefix, const char *name, const char *header_name)
{
	static char value[512];
	char		key[BKC_NAME_MAX + 40];
	char		start[128];
	char	   *head;
	const char *at;

	snprintf(key, sizeof(key), "%s/%s", prefix, name);
	snprintf(start, sizeof(start), "\n%s: ", header_name);
	head = s3server_call(NULL, "head", in, key, NULL);
	at = strstr(head, start);
	value[0] = '\0';
	if (at != NULL)
	{
		at += strlen(start);
		snprintf(value, sizeof(value), "%.*s", (int) strcspn(at, "\n"), at);
	}
	free(head);
	return value;
}

/* ---- encryption ---- */

static void
key_of_our_own(void **state)
{
	static const uint8_t key[32] = "0123456789abcdef0123456789abcde\n";
	static const uint8_t wrong[32] = "another key, of 32 bytes as well";
	char		more[256];
	char		prefix[32];
	char		encoded[64];
	char		path[BKC_NAME_MAX + 40];
	BkcStore   *store;
	BkcStore   *other;
	BkcStore   *without;
	BkcStore   *with_wrong;
	BkcBuffer	buf = {0};
	BkcError	err;
	bool		ok;
	uint64_t	size;
	uint8_t    *data = malloc(11 * MIB);

	assert_non_null(data);
	snprintf(more, sizeof(more), "&part_size=5MB&sse_c_key_file=%s",
			 s3server_write_file("key", key, sizeof(key)));
	store = open_fresh(S3_TLS_PATH, bucket, prefix, more);
	put(store, "small", 1000);
	put(store, "empty", 0);
	put(store, "large", 11 * MIB);
	store_pattern(data, 11 * MIB, 1);
	assert_ok(store_get(store, "large", 5 * MIB - 10, 20, 7, &buf, &err), &err);
	assert_int_equal(buf.len, 20);
	assert_memory_equal(buf.data, data + 5 * MIB - 10, 20);
	assert_code(store_put(store, "small", "x", 1, 0, &err), &err, BKC_ERR_EXISTS);
	assert_absent(store, "missing");
	assert_names(store, "", true, "empty large small ");

	/* the same key in base64 */
	bkc_base64_encode(key, sizeof(key), encoded);
	snprintf(more, sizeof(more), "&sse_c_key_file=%s",
			 s3server_write_file("key64", encoded, strlen(encoded)));
	other = s3server_open(S3_TLS_HOST, bucket, prefix, more);
	assert_object(other, "large", data, 11 * MIB);

	/* nothing without it: not by us, not by others */
	without = s3server_open(S3_TLS_PATH, bucket, prefix, "");
	assert_false(store_get(without, "small", 0, UINT64_MAX, 100, &buf, &err));
	assert_int_not_equal(err.code, BKC_ERR_NOT_FOUND);
	assert_false(bkc_store_stat(without, "small", &size, &err));
	assert_int_not_equal(err.code, BKC_ERR_NOT_FOUND);
	snprintf(path, sizeof(path), "%s/small", prefix);
	free(s3server_call(&ok, "get", bucket, path, NULL));
	assert_false(ok);
	snprintf(more, sizeof(more), "&sse_c_key_file=%s",
			 s3server_write_file("wrong", wrong, sizeof(wrong)));
	with_wrong = s3server_open(S3_TLS_PATH, bucket, prefix, more);
	assert_false(store_get(with_wrong, "small", 0, UINT64_MAX, 100, &buf, &err));
	assert_int_not_equal(err.code, BKC_ERR_NOT_FOUND);

	bkc_store_close(store);
	bkc_store_close(other);
	bkc_store_close(without);
	bkc_store_close(with_wrong);
	bkc_buffer_free(&buf);
	free(data);
}

/* No key in a request that others can read, none from a file that others can read. */
static void
key_is_kept(void **state)
{
	char		more[256];
	char		url[1024];
	BkcStore   *store;
	BkcError	err;
	const char *file = s3server_write_file("short", "too short", 9);

	snprintf(more, sizeof(more), "&sse_c_key_file=%s", file);
	s3server_url(url, sizeof(url), S3_HTTP_PATH, bucket, "x", more);
	assert_code(s3server_try_open(url, &store, &err), &err, BKC_ERR_INVALID);
	s3server_url(url, sizeof(url), S3_TLS_PATH, bucket, "x", more);
	assert_code(s3server_try_open(url, &store, &err), &err, BKC_ERR_INVALID);
	assert_null(strstr(err.message, "too short"));
}

/* Ceph takes the header without telling that it did; aws:kms is told. */
static void
encryption_by_the_server(void **state)
{
	char		prefix[32];
	BkcStore   *store = open_fresh(S3_HTTP_PATH, bucket, prefix, "&part_size=5MB&sse=AES256");

	put(store, "small", 1000);
	put(store, "large", 11 * MIB);
	bkc_store_close(store);

	store = open_fresh(S3_TLS_PATH, bucket, prefix,
					   "&part_size=5MB&sse=aws:kms&sse_kms_key_id=testkey-1");
	put(store, "small", 1000);
	put(store, "large", 11 * MIB);
	assert_string_equal(header(bucket, prefix, "small", "x-amz-server-side-encryption"), "aws:kms");
	assert_string_equal(header(bucket, prefix, "large", "x-amz-server-side-encryption"), "aws:kms");
	bkc_store_close(store);
}

/* ---- classes, tags, metadata ---- */

static void
assert_class(const char *prefix, const char *name, const char *class)
{
	const char *found = header(bucket, prefix, name, "x-amz-storage-class");

	/* the usual one is not told */
	assert_string_equal(found[0] == '\0' ? "STANDARD" : found, class);
}

static bool
none_archived(void *arg, const char *name, uint64_t size, const BkcArchive *archive, BkcError *err)
{
	return bkc_error_set(err, BKC_ERR_INTERNAL, "\"%s\" is in an archive", name);
}

static void
classes(void **state)
{
	char		prefix[32];
	char		bulk[BKC_NAME_MAX];
	char		large[BKC_NAME_MAX];
	char	   *uploads;
	BkcStore   *store;
	BkcError	err;

	assert_ok(bkc_name_pack(SYSID, LABEL, 1, 0, bulk, &err), &err);
	assert_ok(bkc_name_pack(SYSID, LABEL, 64, 1, large, &err), &err);

	/* into an archive goes only what is never needed at once */
	store = open_fresh(S3_HTTP_PATH, bucket, prefix,
					   "&part_size=5MB&storage_class=GLACIER&wal_storage_class=STANDARD_IA");
	assert_ok(bkc_store_try_class(store, &err), &err);
	put(store, bulk, 1000);
	put(store, large, 6 * MIB);
	put(store, pack, 1000);
	put(store, manifest, 10);
	put(store, segment, 1000);
	put(store, history, 10);
	put(store, chunk, 10);
	put(store, cluster, 10);
	assert_ok(bkc_store_probe(store, "test", &err), &err);
	assert_class(prefix, bulk, "GLACIER");
	assert_class(prefix, large, "GLACIER");
	assert_class(prefix, pack, "STANDARD");
	assert_class(prefix, manifest, "STANDARD");
	assert_class(prefix, cluster, "STANDARD");
	assert_class(prefix, segment, "STANDARD_IA");
	assert_class(prefix, history, "STANDARD_IA");
	assert_class(prefix, chunk, "STANDARD");
	assert_class(prefix, ".tmp-create-only", "STANDARD");

	/* here it is only a name */
	assert_ok(bkc_store_archived(store, "", none_archived, NULL, &err), &err);
	bkc_store_close(store);

	/* other classes are for all that stays, WAL among it when nothing else is said */
	store = open_fresh(S3_HTTP_PATH, bucket, prefix, "&part_size=5MB&storage_class=STANDARD_IA");
	put(store, bulk, 1000);
	put(store, pack, 6 * MIB);
	put(store, manifest, 10);
	put(store, segment, 1000);
	put(store, chunk, 10);
	assert_class(prefix, bulk, "STANDARD_IA");
	assert_class(prefix, pack, "STANDARD_IA");
	assert_class(prefix, manifest, "STANDARD_IA");
	assert_class(prefix, segment, "STANDARD_IA");
	assert_class(prefix, chunk, "STANDARD");
	bkc_store_close(store);

	/* a class of WAL alone is for WAL alone */
	store = open_fresh(S3_HTTP_PATH, bucket, prefix, "&wal_storage_class=STANDARD_IA");
	put(store, segment, 1000);
	put(store, bulk, 10);
	put(store, chunk, 10);
	assert_class(prefix, segment, "STANDARD_IA");
	assert_class(prefix, bulk, "STANDARD");
	assert_class(prefix, chunk, "STANDARD");
	bkc_store_close(store);

	/* one that was told takes the place of the URL's, for packs alone */
	store = open_fresh(S3_HTTP_PATH, bucket, prefix, "&storage_class=STANDARD_IA");
	assert_ok(bkc_store_use_class(store, "", &err), &err);
	put(store, bulk, 10);
	assert_ok(bkc_store_use_class(store, "GLACIER", &err), &err);
	assert_ok(bkc_store_try_class(store, &err), &err);
	put(store, large, 10);
	put(store, pack, 10);
	assert_class(prefix, bulk, "STANDARD_IA");
	assert_class(prefix, large, "GLACIER");
	assert_class(prefix, pack, "STANDARD_IA");

	/* one that is not known there is refused before it matters, and leaves nothing */
	assert_ok(bkc_store_use_class(store, "NO_SUCH_CLASS", &err), &err);
	assert_code(bkc_store_try_class(store, &err), &err, BKC_ERR_INVALID);
	assert_non_null(strstr(err.message, "cannot store objects in class \"NO_SUCH_CLASS\""));
	bkc_store_close(store);
	uploads = s3server_call(NULL, "uploads", bucket, prefix, NULL);
	assert_string_equal(uploads, "");
	free(uploads);
	store = open_fresh(S3_HTTP_PATH, bucket, prefix, "&storage_class=NO_SUCH_CLASS");
	assert_code(store_put(store, bulk, "x", 1, 0, &err), &err, BKC_ERR_INVALID);
	assert_int_equal(err.http_status, 400);
	bkc_store_close(store);
}

static void
tags_and_metadata(void **state)
{
	char		prefix[32];
	char		key[BKC_NAME_MAX + 40];
	BkcStore   *store = open_fresh(S3_HTTP_PATH, bucket, prefix,
								   "&part_size=5MB&tags=team:data%20base;cost%2Bcenter:a%3Db/c");
	char	   *tags;
	BkcError	err;
	char		large[BKC_NAME_MAX];
	char		manifest[BKC_NAME_MAX];

	put(store, pack, 1000);
	assert_ok(bkc_name_pack(SYSID, LABEL, 0, 1, large, &err), &err);
	put(store, large, 6 * MIB);
	put(store, chunk, 10);
	for (int i = 0; i < 2; i++)
	{
		const char *name = i == 0 ? pack : large;

		snprintf(key, sizeof(key), "%s/%s", prefix, name);
		tags = s3server_call(NULL, "tags", bucket, key, NULL);
		assert_true(s3server_line(tags, "Key team"));
		assert_true(s3server_line(tags, "Value data base"));
		assert_true(s3server_line(tags, "Key cost+center"));
		assert_true(s3server_line(tags, "Value a=b/c"));
		free(tags);
		assert_string_equal(header(bucket, prefix, name, "x-amz-meta-backup-label"), LABEL);
		assert_string_equal(header(bucket, prefix, name, "x-amz-meta-backup-type"), "full");
		assert_string_equal(header(bucket, prefix, name, "x-amz-meta-backup-start"),
							"20261120T120301Z");
		assert_string_equal(header(bucket, prefix, name, "content-type"),
							"application/octet-stream");
	}

	/* the size is told of the whole backup only */
	assert_ok(bkc_name_manifest(SYSID, LABEL, manifest, &err), &err);
	store->backup_size = UINT64_C(123456789012);
	put(store, manifest, 1000);
	assert_string_equal(header(bucket, prefix, manifest, "x-amz-meta-backup-label"), LABEL);
	assert_string_equal(header(bucket, prefix, manifest, "x-amz-meta-backup-size"), "123456789012");
	assert_ok(bkc_name_pack(SYSID, LABEL, 0, 2, large, &err), &err);
	put(store, large, 1000);
	assert_string_equal(header(bucket, prefix, large, "x-amz-meta-backup-size"), "");
	snprintf(key, sizeof(key), "%s/%s", prefix, chunk);
	tags = s3server_call(NULL, "tags", bucket, key, NULL);
	assert_string_equal(tags, "");
	free(tags);
	assert_string_equal(header(bucket, prefix, chunk, "x-amz-meta-backup-label"), "");
	bkc_store_close(store);
}

/* ---- object lock ---- */

/* The version of an object that is there. */
static void
version_of(const char *key, char version[128])
{
	char	   *list = s3server_call(NULL, "versions", locked, key, NULL);

	version[0] = '\0';
	for (const char *line = list; line != NULL && *line != '\0';)
	{
		char		kind[16];

		if (sscanf(line, "%127s %15s", version, kind) == 2 && strcmp(kind, "object") == 0)
			break;
		line = strchr(line, '\n');
		line += line != NULL;
	}
	free(list);
	assert_true(version[0] != '\0');
}

/* Days from now until the lock ends, rounded; -1 without lock of that mode. */
static int
locked_days(const char *key, const char *mode)
{
	char		line[64];
	bool		ok;
	char	   *text = s3server_call(&ok, "retention", locked, key, NULL);
	const char *until = strstr(text, "RetainUntilDate ");
	struct tm	tm = {0};
	int			days = -1;

	snprintf(line, sizeof(line), "Mode %s", mode);
	if (ok && s3server_line(text, line) && until != NULL &&
		strptime(until + strlen("RetainUntilDate "), "%Y-%m-%dT%H:%M:%S", &tm) != NULL)
		days = (int) ((timegm(&tm) - time(NULL) + 43200) / 86400);
	free(text);
	return days;
}

static void
lock(const char *mode, int days)
{
	char		prefix[32];
	char		more[128];
	char		key[BKC_NAME_MAX + 40];
	char		version[128];
	char		large[BKC_NAME_MAX];
	const char *const lasting[] = {pack, large, manifest, segment, history, cluster};
	BkcStore   *store;
	BkcError	err;
	bool		ok;
	char	   *said;

	snprintf(more, sizeof(more), "&part_size=5MB&lock_mode=%s&lock_days=%d", mode, days);
	store = open_fresh(S3_HTTP_PATH, locked, prefix, more);
	assert_ok(bkc_name_pack(SYSID, LABEL, 0, 1, large, &err), &err);
	for (size_t i = 0; i < sizeof(lasting) / sizeof(lasting[0]); i++)
	{
		put(store, lasting[i], i == 1 ? 6 * MIB : i);
		snprintf(key, sizeof(key), "%s/%s", prefix, lasting[i]);
		assert_int_equal(locked_days(key, mode), days);
		version_of(key, version);
		said = s3server_call(&ok, "delete", locked, key, version, NULL);
		assert_false(ok);
		assert_non_null(strstr(said, "403 AccessDenied"));
		free(said);
	}
	put(store, chunk, 10);
	snprintf(key, sizeof(key), "%s/%s", prefix, chunk);
	assert_int_equal(locked_days(key, mode), -1);
	version_of(key, version);
	free(s3server_call(NULL, "delete", locked, key, version, NULL));

	/* removal hides it, and its version stays; the name is free again */
	assert_ok(bkc_store_remove(store, (const char *const[]) {pack, segment}, 2, &err), &err);
	assert_absent(store, pack);
	snprintf(key, sizeof(key), "%s/%s", prefix, pack);
	version_of(key, version);
	put(store, pack, 3);

	said = s3server_call(&ok, "delete", locked, key, version,
						 "x-amz-bypass-governance-retention:true", NULL);
	assert_int_equal(ok, strcmp(mode, "GOVERNANCE") == 0);
	free(said);
	assert_ok(bkc_store_probe(store, "test", &err), &err);
	bkc_store_close(store);
}

static void
lock_for_compliance(void **state)
{
	lock("COMPLIANCE", 2);
}

static void
lock_for_governance(void **state)
{
	lock("GOVERNANCE", 30);
}

/* A bucket that was made without: said clearly. */
static void
lock_without_lock(void **state)
{
	char		prefix[32];
	BkcStore   *store = open_fresh(S3_HTTP_PATH, bucket, prefix, "&lock_mode=compliance&lock_days=1");
	BkcError	err;

	assert_code(store_put(store, pack, "x", 1, 0, &err), &err, BKC_ERR_INVALID);
	assert_absent(store, pack);
	bkc_store_close(store);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_of_our_own),
		cmocka_unit_test(key_is_kept),
		cmocka_unit_test(encryption_by_the_server),
		cmocka_unit_test(classes),
		cmocka_unit_test(tags_and_metadata),
		cmocka_unit_test(lock_for_compliance),
		cmocka_unit_test(lock_for_governance),
		cmocka_unit_test(lock_without_lock),
	};
	int			status;

	if (!s3server_there(&status))
		return status;
	s3server_bucket(bucket, false);
	s3server_bucket(locked, true);
	status = cmocka_run_group_tests(tests, make_names, NULL);
	s3server_end();
	return status;
}
