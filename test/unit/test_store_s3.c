/*
 * test_store_s3.c
 *		The S3 driver against a real server, which run-unit.sh has started.
 */
#include "conformance.h"
#include "s3server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/text.h"
#include "format/names.h"

#define MIB		((size_t) 1 << 20)
#define PART	(5 * MIB)

static char bucket[S3_BUCKET_MAX];	/* of all tests that need nothing special */

/* ---- the conformance suite: one bucket, a new prefix for each case ---- */

typedef struct Place
{
	S3Way		way;
	char		prefix[32];
} Place;

static bool
setup_place(S3Way way, void **repo, BkcError *err)
{
	Place	   *place = calloc(1, sizeof(*place));
	uint8_t		random[8];

	*repo = place;
	if (place == NULL || !bkc_random(random, sizeof(random), err))
		return false;
	place->way = way;
	bkc_hex_encode(random, sizeof(random), place->prefix);
	return true;
}

static bool
setup_http_path(void **repo, BkcError *err)
{
	return setup_place(S3_HTTP_PATH, repo, err);
}

static bool
setup_http_host(void **repo, BkcError *err)
{
	return setup_place(S3_HTTP_HOST, repo, err);
}

static bool
setup_tls_path(void **repo, BkcError *err)
{
	return setup_place(S3_TLS_PATH, repo, err);
}

static bool
setup_tls_host(void **repo, BkcError *err)
{
	return setup_place(S3_TLS_HOST, repo, err);
}

static bool
open_place(void *repo, BkcStore **store, BkcError *err)
{
	const Place *place = repo;
	char		url[1024];

	s3server_url(url, sizeof(url), place->way, bucket, place->prefix, "");
	return s3server_try_open(url, store, err);
}

static void
teardown_place(void *repo)
{
	free(repo);
}

static int
run_conformance(void)
{
	static const Conformance ways[] = {
		{"http_path", setup_http_path, open_place, teardown_place, false},
		{"http_host", setup_http_host, open_place, teardown_place, true},
		{"tls_path", setup_tls_path, open_place, teardown_place, true},
		{"tls_host", setup_tls_host, open_place, teardown_place, true},
	};
	int			failures = 0;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		failures += conformance_run(&ways[i]);
	return failures;
}

/* ---- what the driver does beyond the contract ---- */

typedef struct Fixture
{
	char		prefix[32];
	BkcStore   *store;
	BkcStore   *other;
} Fixture;

#define SMALL_PARTS	"&part_size=5MB&parts_in_flight=3"

static int
setup(void **state)
{
	Fixture    *f = calloc(1, sizeof(*f));
	uint8_t		random[8];
	BkcError	err;

	*state = f;
	assert_non_null(f);
	assert_ok(bkc_random(random, sizeof(random), &err), &err);
	bkc_hex_encode(random, sizeof(random), f->prefix);
	f->store = s3server_open(S3_HTTP_PATH, bucket, f->prefix, SMALL_PARTS);
	f->other = s3server_open(S3_HTTP_PATH, bucket, f->prefix, SMALL_PARTS);
	return 0;
}

static int
teardown(void **state)
{
	Fixture    *f = *state;

	bkc_store_close(f->store);
	bkc_store_close(f->other);
	free(f);
	return 0;
}

/* Parts of a multipart upload, as its ETag says; 1 for a single PUT. */
static int
parts_of(const Fixture *f, const char *name)
{
	char		key[BKC_NAME_MAX + 32];
	char	   *head;
	const char *etag;
	const char *dash;
	int			n = 1;

	snprintf(key, sizeof(key), "%s/%s", f->prefix, name);
	head = s3server_call(NULL, "head", bucket, key, NULL);
	etag = strstr(head, "etag: ");
	assert_non_null(etag);
	dash = strchr(etag, '-');
	if (dash != NULL && dash < strchr(etag, '\n'))
		n = (int) strtol(dash + 1, NULL, 10);
	free(head);
	return n;
}

static void
assert_no_uploads(const Fixture *f)
{
	char	   *uploads = s3server_call(NULL, "uploads", bucket, f->prefix, NULL);

	assert_string_equal(uploads, "");
	free(uploads);
}

/* Objects around the size of a part. */
static void
parts(void **state)
{
	static const struct
	{
		size_t		size;
		size_t		step;
		int			parts;
	}			cases[] = {
		{PART - 1, 0, 1}, {PART, 0, 1}, {PART, PART / 2, 1}, {PART + 1, 0, 2}, {PART + 1, PART, 2},
		{2 * PART, 0, 2}, {2 * PART + 1, 1000003, 3}, {4 * PART - 1, MIB, 4}, {6 * PART, 99991, 6},
	};
	Fixture    *f = *state;
	uint8_t    *data = malloc(6 * PART);
	BkcError	err;

	assert_non_null(data);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		char		name[32];

		snprintf(name, sizeof(name), "parts/%zu", i);
		store_pattern(data, cases[i].size, (unsigned) i);
		assert_ok(store_put(f->store, name, data, cases[i].size, cases[i].step, &err), &err);
		assert_object(f->other, name, data, cases[i].size);
		assert_int_equal(parts_of(f, name), cases[i].parts);
	}
	assert_no_uploads(f);
	free(data);
}

/* With an expected size, parts are large enough for 10,000 of them. */
static void
expected_size(void **state)
{
	Fixture    *f = *state;
	uint8_t    *data = malloc(13 * MIB);
	BkcWriter  *writer;
	BkcError	err;

	assert_non_null(data);
	store_pattern(data, 13 * MIB, 3);

	/* 9000 parts planned: 8 MiB each */
	assert_ok(bkc_store_open_write(f->store, "large", UINT64_C(9000) * 8 * MIB - 1, &writer, &err),
			  &err);
	assert_ok(bkc_writer_write(writer, data, 13 * MIB, &err), &err);
	assert_ok(bkc_writer_commit(writer, &err), &err);
	bkc_writer_close(writer);
	assert_object(f->other, "large", data, 13 * MIB);
	assert_int_equal(parts_of(f, "large"), 2);
	free(data);
}

/* What a writer that is given up leaves: nothing, also while parts are under way. */
static void
given_up(void **state)
{
	Fixture    *f = *state;
	uint8_t    *data = malloc(12 * MIB);
	BkcWriter  *writer;
	BkcError	err;
	char	   *uploads;

	assert_non_null(data);
	store_pattern(data, 12 * MIB, 4);
	assert_ok(bkc_store_open_write(f->store, "given/up", 0, &writer, &err), &err);
	assert_ok(bkc_writer_write(writer, data, 12 * MIB, &err), &err);
	uploads = s3server_call(NULL, "uploads", bucket, f->prefix, NULL);
	assert_non_null(strstr(uploads, "given/up"));
	free(uploads);
	bkc_writer_close(writer);
	assert_no_uploads(f);
	assert_absent(f->other, "given/up");
	free(data);
}

/* Two uploads of one name in parts: the second to be completed learns that the name is taken. */
static void
two_uploads_of_one_name(void **state)
{
	Fixture    *f = *state;
	uint8_t    *data = malloc(2 * PART);
	BkcWriter  *one;
	BkcWriter  *two;
	BkcError	err;

	assert_non_null(data);
	store_pattern(data, 2 * PART, 5);
	assert_ok(bkc_store_open_write(f->store, "race", 0, &one, &err), &err);
	assert_ok(bkc_store_open_write(f->other, "race", 0, &two, &err), &err);
	assert_ok(bkc_writer_write(one, data, 2 * PART, &err), &err);
	assert_ok(bkc_writer_write(two, data, PART + 7, &err), &err);
	assert_ok(bkc_writer_commit(two, &err), &err);
	assert_code(bkc_writer_commit(one, &err), &err, BKC_ERR_EXISTS);
	bkc_writer_close(one);
	bkc_writer_close(two);
	assert_object(f->store, "race", data, PART + 7);
	assert_no_uploads(f);

	/* and so does one that is small, or the other way round */
	assert_code(store_put(f->store, "race", "x", 1, 0, &err), &err, BKC_ERR_EXISTS);
	assert_ok(store_put(f->store, "small", "x", 1, 0, &err), &err);
	assert_code(store_put(f->store, "small", data, 2 * PART, 0, &err), &err, BKC_ERR_EXISTS);
	assert_object(f->other, "small", "x", 1);
	assert_no_uploads(f);
	free(data);
}

/* Try to be the first: 0 it was, 1 the name was taken, 2 something else. */
static int
try_to_commit(BkcWriter *writer)
{
	BkcError	err;

	if (bkc_writer_commit(writer, &err))
		return 0;
	return err.code == BKC_ERR_EXISTS ? 1 : 2;
}

/*
 * Both have looked and found the name free; now both complete their uploads.  AWS lets one win.
 * Ceph 16 passes over the condition there: the later one replaces the other, whole.
 */
static void
race_of_completions(void **state)
{
	Fixture    *f = *state;
	uint8_t    *data = malloc(2 * PART);
	S3Proxy		proxy;
	BkcStore   *slow;
	BkcWriter  *one;
	BkcWriter  *two;
	BkcError	err;
	char		more[128];
	int			first;
	int			second;
	int			status;
	pid_t		pid;

	assert_non_null(data);
	store_pattern(data, 2 * PART, 5);
	s3proxy_start(&proxy);
	s3proxy_set(&proxy, "{\"match\": \"^POST .*uploadId=\", \"delay_ms\": 1500}");
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
	{
		snprintf(more, sizeof(more), "&part_size=5MB&endpoint=http://127.0.0.1:%d", proxy.port);
		slow = s3server_open(S3_HTTP_PATH, bucket, f->prefix, more);
		if (!bkc_store_open_write(slow, "race", 0, &one, &err) ||
			!bkc_writer_write(one, data, 2 * PART, &err))
			_exit(2);
		status = try_to_commit(one);
		bkc_writer_close(one);
		_exit(status);
	}
	usleep(900000);
	assert_ok(bkc_store_open_write(f->other, "race", 0, &two, &err), &err);
	assert_ok(bkc_writer_write(two, data, PART + 7, &err), &err);
	second = try_to_commit(two);
	bkc_writer_close(two);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	first = WEXITSTATUS(status);
	s3proxy_stop(&proxy);
	assert_int_equal(second, 0);
	assert_true(WIFEXITED(status) && first < 2);
	assert_object(f->store, "race", data, first == 0 ? 2 * PART : PART + 7);
	assert_no_uploads(f);
	free(data);
}

static void
sweep_takes_old_uploads(void **state)
{
	static const char *const names[] = {"a/old", "a/old", "a/b/older", "other"};
	Fixture    *f = *state;
	char		key[BKC_NAME_MAX + 32];
	char	   *uploads;
	BkcError	err;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		snprintf(key, sizeof(key), "%s/%s", f->prefix, names[i]);
		free(s3server_call(NULL, "begin", bucket, key, NULL));
	}
	assert_names(f->store, "", true, "");
	assert_ok(bkc_store_sweep(f->store, "a/", &err), &err);
	uploads = s3server_call(NULL, "uploads", bucket, f->prefix, NULL);
	assert_null(strstr(uploads, "/a/"));
	assert_non_null(strstr(uploads, "/other"));
	free(uploads);
	assert_ok(bkc_store_sweep(f->store, "", &err), &err);
	assert_no_uploads(f);
}

/* A bucket is not ours alone. */
static void
strangers_are_left_alone(void **state)
{
	static const char *const keys[] = {
		"", "a/note from admin", "a/umlaut-\xc3\xa4", "a//b", "a/b/", "folder/", "a/.tmp-x", "a%2Fb",
		"a+b", "quote\"<&>'",
	};
	Fixture    *f = *state;
	char		key[BKC_NAME_MAX + 32];
	char	   *list;
	BkcError	err;
	size_t		n = 0;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
	{
		snprintf(key, sizeof(key), "%s/%s", f->prefix, keys[i]);
		free(s3server_call(NULL, "put", bucket, key, "/dev/null", NULL));
	}
	snprintf(key, sizeof(key), "%s-2/a", f->prefix);
	free(s3server_call(NULL, "put", bucket, key, "/dev/null", NULL));
	snprintf(key, sizeof(key), "%s/a/not ours", f->prefix);
	free(s3server_call(NULL, "begin", bucket, key, NULL));
	snprintf(key, sizeof(key), "%s-2/ours", f->prefix);
	free(s3server_call(NULL, "begin", bucket, key, NULL));

	assert_ok(store_put(f->store, "a/b", "x", 1, 0, &err), &err);
	assert_ok(store_put(f->store, "a/c", "x", 1, 0, &err), &err);
	assert_names(f->other, "", true, "a/b a/c ");
	assert_names(f->other, "a/", true, "a/b a/c ");
	assert_ok(bkc_store_sweep(f->store, "", &err), &err);
	assert_ok(bkc_store_remove(f->store, (const char *const[]) {"a/b", "a/c"}, 2, &err), &err);
	assert_names(f->other, "", true, "");

	/* all of theirs, and the driver's own marker */
	list = s3server_call(NULL, "list", bucket, f->prefix, NULL);
	for (const char *p = list; *p != '\0'; p++)
		n += *p == '\n';
	assert_int_equal(n, sizeof(keys) / sizeof(keys[0]) + 2);
	free(list);
	list = s3server_call(NULL, "uploads", bucket, f->prefix, NULL);
	assert_non_null(strstr(list, "not ours"));
	assert_non_null(strstr(list, "-2/ours"));
	free(list);
}

typedef struct Names
{
	const char *names[2500];
	size_t		n;
} Names;

static bool
gather_name(void *arg, const char *name, uint64_t size, BkcError *err)
{
	Names	   *names = arg;

	assert_true(names->n < sizeof(names->names) / sizeof(names->names[0]));
	names->names[names->n++] = strdup(name);
	return true;
}

/* More than a page of a listing, and more than one request can remove. */
static void
many(void **state)
{
	Fixture    *f = *state;
	char		prefix[64];
	Names		names = {.n = 0};
	BkcError	err;
	char	   *list;

	snprintf(prefix, sizeof(prefix), "%s/many/x", f->prefix);
	free(s3server_call(NULL, "put-many", bucket, prefix, "1234", NULL));
	assert_ok(bkc_store_list(f->store, "many/", true, gather_name, &names, &err), &err);
	assert_int_equal(names.n, 1234);
	for (size_t i = 0; i < names.n; i++)
	{
		char		expected[32];

		snprintf(expected, sizeof(expected), "many/x%05zu", i);
		assert_string_equal(names.names[i], expected);
	}
	assert_ok(bkc_store_remove(f->store, names.names, names.n, &err), &err);
	list = s3server_call(NULL, "list", bucket, prefix, NULL);
	assert_string_equal(list, "");
	free(list);
	for (size_t i = 0; i < names.n; i++)
		free((void *) names.names[i]);
}

/* Ranges of an object in parts: across them, at their ends, beyond the object's end. */
static void
ranges(void **state)
{
	static const struct
	{
		uint64_t	offset;
		uint64_t	length;
		size_t		count;
	}			cases[] = {
		{PART - 1, 2, 2}, {PART, 1, 1}, {1, PART, PART}, {0, PART, PART},
		{PART - 77, PART + 154, PART + 154},
		{2 * PART, UINT64_MAX, 333}, {2 * PART + 332, 1, 1}, {2 * PART + 332, 2, 1},
		{2 * PART + 333, 1, 0}, {2 * PART + 334, UINT64_MAX, 0}, {INT64_MAX, 1, 0},
		{(uint64_t) INT64_MAX + 1, 5, 0}, {17, UINT64_MAX - 17, 2 * PART + 316}, {12345, 0, 0},
	};
	Fixture    *f = *state;
	uint8_t    *data = malloc(2 * PART + 333);
	BkcBuffer	buf = {0};
	BkcError	err;

	assert_non_null(data);
	store_pattern(data, 2 * PART + 333, 6);
	assert_ok(store_put(f->store, "r", data, 2 * PART + 333, 0, &err), &err);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		assert_ok(store_get(f->other, "r", cases[i].offset, cases[i].length, 100003, &buf, &err),
				  &err);
		assert_int_equal(buf.len, cases[i].count);
		assert_true(buf.len == 0 || memcmp(buf.data, data + cases[i].offset, buf.len) == 0);
	}

	/* nothing of nothing */
	assert_ok(store_put(f->store, "empty", "", 0, 0, &err), &err);
	assert_object(f->other, "empty", "", 0);
	assert_ok(store_get(f->other, "empty", 0, 1, 10, &buf, &err), &err);
	assert_int_equal(buf.len, 0);
	assert_ok(store_get(f->other, "empty", 1, 1, 10, &buf, &err), &err);
	assert_int_equal(buf.len, 0);
	bkc_buffer_free(&buf);
	free(data);
}

/* A reader that waits, or stops in the middle, holds nobody up. */
static void
slow_reader(void **state)
{
	Fixture    *f = *state;
	uint8_t    *data = malloc(4 * PART);
	uint8_t    *got = malloc(4 * PART);
	BkcReader  *reader;
	BkcReader  *left;
	BkcError	err;
	size_t		n;

	assert_non_null(data);
	assert_non_null(got);
	store_pattern(data, 4 * PART, 7);
	assert_ok(store_put(f->store, "slow", data, 4 * PART, 0, &err), &err);
	assert_ok(bkc_store_open_read(f->store, "slow", 0, UINT64_MAX, &reader, &err), &err);
	assert_ok(bkc_store_open_read(f->store, "slow", 0, UINT64_MAX, &left, &err), &err);
	assert_ok(bkc_reader_read(reader, got, 1000, &n, &err), &err);
	assert_ok(bkc_reader_read(left, got, 1, &n, &err), &err);
	assert_ok(store_put(f->store, "beside", data, 2 * PART, 0, &err), &err);
	assert_object(f->store, "beside", data, 2 * PART);
	bkc_reader_close(left);
	assert_ok(bkc_reader_read(reader, got + 1000, 4 * PART - 1000, &n, &err), &err);
	assert_int_equal(n, 4 * PART - 1000);
	bkc_reader_close(reader);
	assert_memory_equal(got, data, 4 * PART);
	free(data);
	free(got);
}

/* Where the bucket keeps versions, a name that was removed is free again. */
static void
versions(void **state)
{
	Fixture    *f = *state;
	char		versioned[S3_BUCKET_MAX];
	BkcStore   *store;
	BkcError	err;
	char	   *list;

	s3server_bucket(versioned, false);
	free(s3server_call(NULL, "versioning", versioned, "Enabled", NULL));
	store = s3server_open(S3_HTTP_PATH, versioned, f->prefix, "");
	for (int i = 0; i < 3; i++)
	{
		assert_ok(store_put(store, "a/b", &"123"[i], 1, 0, &err), &err);
		assert_code(store_put(store, "a/b", "x", 1, 0, &err), &err, BKC_ERR_EXISTS);
		assert_object(store, "a/b", &"123"[i], 1);
		assert_names(store, "", true, "a/b ");
		assert_ok(bkc_store_remove(store, (const char *const[]) {"a/b", "a/c"}, 2, &err), &err);
		assert_absent(store, "a/b");
		assert_names(store, "", true, "");
	}
	assert_ok(bkc_store_probe(store, "test", &err), &err);
	list = s3server_call(NULL, "versions", versioned, f->prefix, NULL);
	assert_non_null(strstr(list, " object "));
	assert_non_null(strstr(list, " marker "));
	free(list);
	bkc_store_close(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(parts),
		TEST(expected_size),
		TEST(given_up),
		TEST(two_uploads_of_one_name),
		TEST(race_of_completions),
		TEST(sweep_takes_old_uploads),
		TEST(strangers_are_left_alone),
		TEST(many),
		TEST(ranges),
		TEST(slow_reader),
		TEST(versions),
	};
	int			status;

	if (!s3server_there(&status))
		return status;
	s3server_bucket(bucket, false);
	status = cmocka_run_group_tests(tests, NULL, NULL);
	status += run_conformance();
	s3server_end();
	return status;
}
