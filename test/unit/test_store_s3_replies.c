/*
 * test_store_s3_replies.c
 *		Replies that no good server gives, by a stand-in: none of them may pass
 *		for an object, for its end or for its absence.
 *
 * The clock is our own: waits between attempts take no time.
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

#define SIZE		20000
#define MARKER		"/bucket/p/.tmp-create-only"
#define OBJECT		"/bucket/p/a"
#define ETAG		"ETag: \"1\"\r\n"
#define LIST		"/bucket?encoding-type=url&list-type=2&prefix=p%2F"
#define MORE		"/bucket?continuation-token=t1&encoding-type=url&list-type=2&prefix=p%2F"

static HttpStub stub;
static BkcStore *store;
static BkcError err;
static char keys[] = "/tmp/bkc-keys-XXXXXX";
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

static void
open_store(void)
{
	char		text[256];
	BkcUrl		url = {0};

	snprintf(text, sizeof(text), "s3://bucket/p?endpoint=%s&credentials=%s&part_size=5MB", stub.url,
			 keys);
	assert_ok(bkc_url_parse(text, &url, &err) && bkc_store_open(&url, &store, &err), &err);
	bkc_url_free(&url);
}

static int
setup(void **state)
{
	static const BkcHost host = {.now = own_now, .wait = own_wait};

	httpstub_restart(&stub);
	clock_us = (int64_t) time(NULL) * 1000000;
	bkc_host_set(&host);
	open_store();
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
once(const char *method, const char *path, int status, const char *headers, const char *body)
{
	HttpStubRule *rule = httpstub_on(&stub, method, path, status, body);

	rule->times = 1;
	snprintf(rule->headers, sizeof(rule->headers), "%s", headers);
	return rule;
}

static bool
get(uint64_t offset, uint64_t length, BkcBuffer *out)
{
	return store_get(store, "a", offset, length, 4096, out, &err);
}

static void
assert_pattern(const BkcBuffer *out, size_t from, size_t len)
{
	assert_int_equal(out->len, len);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(out->data[i], httpstub_byte(from + i));
}

static void
assert_text(const BkcBuffer *out, const char *text)
{
	assert_int_equal(out->len, strlen(text));
	assert_memory_equal(out->data, text, out->len);
}

/* ---- reading ---- */

/* The first reply breaks off after half of the object. */
static void
break_off(void)
{
	HttpStubRule *rule = once("GET", OBJECT, 200, ETAG, "");

	rule->how = STUB_CUT;
	rule->generated = SIZE;
}

static void
resumed(void **state)
{
	BkcBuffer	out = {0};
	HttpStubRule *rule;

	break_off();
	rule = once("GET", OBJECT, 206, ETAG "Content-Range: bytes 10000-19999/20000\r\n", "");
	rule->generated = SIZE / 2;
	snprintf(rule->need, sizeof(rule->need), "range: bytes=10000-19999\r\n");
	assert_ok(get(0, UINT64_MAX, &out), &err);
	assert_int_equal(out.len, SIZE);
	for (size_t i = 0; i < SIZE; i++)
		assert_int_equal(out.data[i], httpstub_byte(i % (SIZE / 2)));
	bkc_buffer_free(&out);
}

/* A server that sends less than was asked for. */
static void
short_ranges(void **state)
{
	BkcBuffer	out = {0};

	once("GET", OBJECT, 206, ETAG "Content-Range: bytes 0-9/20\r\n", "0123456789");
	once("GET", OBJECT, 206, ETAG "Content-Range: bytes 10-14/20\r\n", "abcde");
	once("GET", OBJECT, 206, ETAG "Content-Range: bytes 15-17/20\r\n", "xyz");
	assert_ok(get(0, 18, &out), &err);
	assert_text(&out, "0123456789abcdexyz");
	bkc_buffer_free(&out);
}

static void
assert_resume_fails(int status, const char *headers, BkcErrorCode code)
{
	BkcBuffer	out = {0};

	httpstub_clear(&stub);
	break_off();
	once("GET", OBJECT, status, headers, "0123456789");
	assert_code(get(0, UINT64_MAX, &out), &err, code);
	bkc_buffer_free(&out);
}

/* The rest of another object, which is shorter, is no end. */
static void
another_object(void **state)
{
	assert_resume_fails(416, "", BKC_ERR_CORRUPT);
	assert_resume_fails(412, "", BKC_ERR_CORRUPT);
	assert_resume_fails(206, ETAG "Content-Range: bytes 10000-10009/10010\r\n", BKC_ERR_CORRUPT);
	assert_resume_fails(206, ETAG "Content-Range: bytes 9000-9009/20000\r\n", BKC_ERR_UNSUPPORTED);
	assert_resume_fails(200, ETAG, BKC_ERR_UNSUPPORTED);
}

static void
wrong_range(void **state)
{
	BkcBuffer	out = {0};

	once("GET", OBJECT, 206, ETAG "Content-Range: bytes 0-9/20\r\n", "0123456789");
	assert_code(get(5, 10, &out), &err, BKC_ERR_UNSUPPORTED);
	httpstub_clear(&stub);
	once("GET", OBJECT, 206, ETAG, "0123456789");
	assert_code(get(5, 10, &out), &err, BKC_ERR_UNAVAILABLE);

	/* passing over the range does no harm at the beginning */
	httpstub_clear(&stub);
	once("GET", OBJECT, 200, ETAG, "0123456789");
	assert_ok(get(0, 4, &out), &err);
	assert_text(&out, "0123");
	httpstub_clear(&stub);
	once("GET", OBJECT, 200, ETAG, "0123456789");
	assert_ok(get(0, 40, &out), &err);
	assert_text(&out, "0123456789");
	bkc_buffer_free(&out);
}

static void
whole(void **state)
{
	BkcBuffer	out = {0};

	once("GET", OBJECT, 200, ETAG, "")->generated = SIZE;
	assert_ok(get(0, UINT64_MAX, &out), &err);
	assert_pattern(&out, 0, SIZE);
	bkc_buffer_free(&out);
}

/* ---- writing ---- */

/* The store finds out that names are taken only once. */
static void
atomic(void)
{
	httpstub_on(&stub, "PUT", MARKER, 412, "<Error><Code>PreconditionFailed</Code></Error>");
}

static void
not_stored(void **state)
{
	static const char *const bodies[] = {"", "<html>Please log in</html>"};

	atomic();
	for (size_t i = 0; i < 2; i++)
	{
		once("PUT", OBJECT, 200, "", bodies[i]);
		assert_code(store_put(store, "a", "x", 1, 0, &err), &err, BKC_ERR_STATE);
	}

	/* an error in the place of a success is passing trouble */
	once("PUT", OBJECT, 200, ETAG, "<Error><Code>InternalError</Code></Error>");
	once("PUT", OBJECT, 200, ETAG, "");
	assert_ok(store_put(store, "a", "x", 1, 0, &err), &err);
}

/* ---- writing: a commit that is under way ---- */

#define TAKEN	"<Error><Code>PreconditionFailed</Code></Error>"

/* Objects "a", "b" up to n, of one byte each. */
static void
begin_some(BkcWriter *writers[], int n, bool under_way)
{
	for (int i = 0; i < n; i++)
	{
		const char	name[] = {(char) ('a' + i), '\0'};

		assert_ok(bkc_store_open_write(store, name, 0, &writers[i], &err), &err);
		assert_ok(bkc_writer_write(writers[i], "x", 1, &err), &err);
		assert_int_equal(bkc_writer_commit_begin(writers[i]), under_way);
	}
}

/* The store has to have learnt that names are taken. */
static void
learn(void)
{
	atomic();
	once("PUT", "/bucket/p/first", 200, ETAG, "");
	assert_ok(store_put(store, "first", "x", 1, 0, &err), &err);
}

static bool
end_one(BkcWriter *writer)
{
	bool		ok = bkc_writer_commit(writer, &err);

	bkc_writer_close(writer);
	return ok;
}

/* What must be asked before is asked by commit. */
static void
begun_without_knowing(void **state)
{
	BkcWriter  *w[1];

	begin_some(w, 1, false);
	assert_int_equal(stub.shared->requests, 0);
	atomic();
	once("PUT", OBJECT, 200, ETAG, "");
	assert_ok(end_one(w[0]), &err);

	/* a server that cannot create only: the name is looked up right before */
	bkc_store_close(store);
	open_store();
	httpstub_clear(&stub);
	httpstub_on(&stub, "PUT", MARKER, 200, "");
	once("GET", "/bucket/p/first", 404, "", "<Error><Code>NoSuchKey</Code></Error>");
	once("PUT", "/bucket/p/first", 200, ETAG, "");
	assert_ok(store_put(store, "first", "x", 1, 0, &err), &err);
	begin_some(w, 1, false);
	once("GET", OBJECT, 206, ETAG "Content-Range: bytes 0-0/1\r\n", "y");
	assert_code(end_one(w[0]), &err, BKC_ERR_EXISTS);
}

/* Several at once; one moves the others along. */
static void
begun_together(void **state)
{
	BkcWriter  *w[3];

	learn();
	for (int i = 0; i < 3; i++)
	{
		char		path[] = OBJECT;

		path[sizeof(path) - 2] = (char) ('a' + i);
		once("PUT", path, 200, ETAG, "")->delay_ms = 300;
	}
	begin_some(w, 3, true);
	assert_ok(end_one(w[2]), &err);
	assert_ok(end_one(w[0]), &err);
	assert_ok(end_one(w[1]), &err);
	assert_true(stub.shared->most_open > 1);
	assert_int_equal(stub.shared->requests, 3 + 2);
}

static void
begun_and_tried_again(void **state)
{
	BkcWriter  *w[2];

	learn();
	once("PUT", OBJECT, 503, "", "<Error><Code>SlowDown</Code></Error>");
	once("PUT", OBJECT, 500, "", "");
	once("PUT", OBJECT, 200, ETAG, "");
	once("PUT", "/bucket/p/b", 200, ETAG, "");
	begin_some(w, 2, true);
	assert_ok(end_one(w[1]), &err);
	assert_ok(end_one(w[0]), &err);

	/* refused for good: that is commit's error, and nobody else's */
	httpstub_on(&stub, "PUT", OBJECT, 403, "<Error><Code>AccessDenied</Code></Error>");
	once("PUT", "/bucket/p/b", 200, ETAG, "");
	begin_some(w, 2, true);
	assert_ok(end_one(w[1]), &err);
	assert_code(end_one(w[0]), &err, BKC_ERR_ACCESS);
}

/* The reply is lost, and the name taken by ourselves; or by somebody else. */
static void
begun_and_taken(void **state)
{
	for (int ours = 1; ours >= 0; ours--)
	{
		BkcWriter  *w[2];
		HttpStubRule *rule;
		const char *id;
		char		head[512];

		httpstub_clear(&stub);
		learn();
		once("PUT", OBJECT, 200, "", "")->how = ours ? STUB_SILENT_END : STUB_RESET;
		httpstub_on(&stub, "PUT", OBJECT, 412, TAKEN);
		once("PUT", "/bucket/p/b", 200, ETAG, "");
		begin_some(w, 1, true);
		for (int i = 0; i < 200 && stub.shared->requests < 4; i++)
		{
			assert_true(bkc_writer_commit_begin(w[0]));
			clock_us += 100000;
			usleep(10000);
		}
		id = strstr(stub.shared->last, BKC_S3_META_UPLOAD ": ");
		assert_non_null(id);
		snprintf(head, sizeof(head), ETAG "Content-Length: 1\r\n%.*s%.*s\r\n",
				 (int) strlen(BKC_S3_META_UPLOAD ": "), id, 32,
				 ours ? id + strlen(BKC_S3_META_UPLOAD ": ") : "0123456789abcdef0123456789abcdef");
		rule = httpstub_on(&stub, "HEAD", OBJECT, 200, "");
		snprintf(rule->headers, sizeof(rule->headers), "%s", head);
		if (ours)
			assert_ok(end_one(w[0]), &err);
		else
			assert_code(end_one(w[0]), &err, BKC_ERR_EXISTS);
	}
}

/* Closed while it is under way: the store goes on, and so does another one. */
static void
begun_and_closed(void **state)
{
	BkcWriter  *w[2];

	learn();
	once("PUT", OBJECT, 200, ETAG, "")->how = STUB_HANG;
	once("PUT", "/bucket/p/b", 200, ETAG, "");
	begin_some(w, 2, true);
	bkc_writer_close(w[0]);
	assert_ok(end_one(w[1]), &err);
	once("PUT", OBJECT, 200, ETAG, "");
	assert_ok(store_put(store, "a", "x", 1, 0, &err), &err);

	/* between two attempts, too */
	once("PUT", OBJECT, 503, "", "");
	begin_some(w, 1, true);
	for (int i = 0; i < 20; i++)
	{
		assert_true(bkc_writer_commit_begin(w[0]));
		usleep(10000);
	}
	bkc_writer_close(w[0]);
	once("PUT", "/bucket/p/b", 200, ETAG, "");
	assert_ok(store_put(store, "b", "x", 1, 0, &err), &err);
}

/* Replies that are none are no success here either. */
static void
begun_not_stored(void **state)
{
	BkcWriter  *w[1];

	learn();
	once("PUT", OBJECT, 200, "", "<html>Please log in</html>");
	begin_some(w, 1, true);
	assert_code(end_one(w[0]), &err, BKC_ERR_STATE);
}

/* An upload that others have aborted says nothing about the object. */
static void
aborted(void **state)
{
	char	   *data = calloc(1, 6 << 20);

	assert_non_null(data);
	atomic();
	httpstub_on(&stub, "POST", OBJECT "?uploads=", 200,
				"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>");
	httpstub_on(&stub, "PUT", "", 404, "<Error><Code>NoSuchUpload</Code></Error>");
	assert_code(store_put(store, "a", data, 6 << 20, 0, &err), &err, BKC_ERR_STATE);
	free(data);
}

/* ---- listing and removing ---- */

static void
lost_marker(void **state)
{
	char	   *names;

	httpstub_on(&stub, "GET", LIST, 200,
				"<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>p/a</Key><Size>1</Size></Contents>"
				"<NextContinuationToken>t1</NextContinuationToken></ListBucketResult>");
	httpstub_on(&stub, "GET", MORE, 200,
				"<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>p/b</Key><Size>1</Size></Contents>"
				"</ListBucketResult>");
	names = store_names(store, "", true);
	assert_string_equal(names, "?");
	free(names);
	assert_int_equal(stub.shared->requests, 2);
}

/* ---- old uploads ---- */

#define UPLOADS		"/bucket?encoding-type=url&prefix=p%2F7%2F&uploads="
#define ALL_UPLOADS	"/bucket?encoding-type=url&prefix=p%2F&uploads="
#define BUSY		"/bucket/p/7/busy?uploadId=6"	/* by its name the first of the old ones */
#define NOON		"Date: Fri, 20 Nov 2026 12:00:00 GMT\r\n"
#define UPLOAD(key, id, rest) \
	"<Upload><Key>p/7/" key "</Key><UploadId>" id "</UploadId>" rest "</Upload>"
#define BEGUN(time)	"<Initiated>" time "</Initiated>"
#define PART(number, time) \
	"<Part><PartNumber>" number "</PartNumber><LastModified>" time "</LastModified></Part>"
#define PARTS(parts, rest)	"<ListPartsResult>" parts rest "</ListPartsResult>"

static void
uploads(const char *path)
{
	HttpStubRule *rule = httpstub_on(&stub, "GET", path, 200,
									 "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>"
									 UPLOAD("old", "1", BEGUN("2026-11-19T11:59:59.999Z"))
									 UPLOAD("older", "2", BEGUN("2026-10-19T11:59:59Z"))
									 UPLOAD("young", "3", BEGUN("2026-11-19T12:00:02.000Z"))
									 UPLOAD("odd", "4", BEGUN("yesterday"))
									 UPLOAD("none", "5", "")
									 UPLOAD("busy", "6", BEGUN("2026-11-01T00:00:00Z"))
									 UPLOAD("unclear", "7", BEGUN("2026-11-01T00:00:00Z"))
									 UPLOAD("gone", "8", BEGUN("2026-11-01T00:00:00Z"))
									 UPLOAD("simple", "9", BEGUN("2026-11-01T00:00:00Z"))
									 "</ListMultipartUploadsResult>");

	snprintf(rule->headers, sizeof(rule->headers), NOON);
}

/* Parts of all that are old by their begin. */
static void
parts(void)
{
	httpstub_on(&stub, "GET", "/bucket/p/7/old?uploadId=1", 200, PARTS("", ""));
	httpstub_on(&stub, "GET", "/bucket/p/7/older?uploadId=2", 200,
				PARTS(PART("1", "2026-11-19T11:00:00.000Z") PART("2", "2026-10-20T00:00:00.000Z"), ""));

	/* its newest part is neither the last one nor on the first page */
	httpstub_on(&stub, "GET", BUSY, 200,
				PARTS(PART("1", "2026-11-01T00:00:00.000Z"),
					  "<NextPartNumberMarker>1</NextPartNumberMarker><IsTruncated>true</IsTruncated>"));
	httpstub_on(&stub, "GET", "/bucket/p/7/busy?part-number-marker=1&uploadId=6", 200,
				PARTS(PART("2", "2026-11-19T12:30:00.000Z") PART("3", "2026-11-02T00:00:00.000Z"), ""));
	httpstub_on(&stub, "GET", "/bucket/p/7/unclear?uploadId=7", 200, PARTS(PART("1", "lately"), ""));
	httpstub_on(&stub, "GET", "/bucket/p/7/gone?uploadId=8", 404,
				"<Error><Code>NoSuchUpload</Code></Error>");
	httpstub_on(&stub, "GET", "/bucket/p/7/simple?uploadId=9", 501,
				"<Error><Code>NotImplemented</Code></Error>");
}

static bool
take_finding(void *arg, const BkcStoreFinding *finding, BkcError *e)
{
	if (strcmp(finding->what, "unfinished uploads") == 0)
		snprintf(arg, 256, "%s", finding->text);
	return true;
}

/*
 * What counts is the server's clock, and the newest part: an upload that takes days is not old as
 * long as something comes.
 */
static void
old_uploads(void **state)
{
	HttpStubRule *first;
	HttpStubRule *second;
	HttpStubRule *third;
	char		text[256] = "";
	uint64_t	n;

	first = httpstub_on(&stub, "DELETE", "/bucket/p/7/old?uploadId=1", 204, "");
	second = httpstub_on(&stub, "DELETE", "/bucket/p/7/older?uploadId=2", 204, "");
	third = httpstub_on(&stub, "DELETE", "/bucket/p/7/simple?uploadId=9", 204, "");
	uploads(UPLOADS);
	uploads(ALL_UPLOADS);
	parts();
	assert_ok(bkc_store_tidy(store, "7/", BKC_STORE_OLD_SECONDS, &n, &err), &err);
	assert_int_equal(n, 3);
	assert_int_equal(first->used, 1);
	assert_int_equal(second->used, 1);
	assert_int_equal(third->used, 1);

	/* one that is not to be removed would have found no rule */
	httpstub_on(&stub, "", "", 501, "<Error><Code>NotImplemented</Code></Error>");
	assert_ok(bkc_store_describe(store, take_finding, text, &err), &err);
	assert_string_equal(text, "3 older than 24 hours");
}

static void
parts_unknown(void **state)
{
	uint64_t	n;

	/* who may not ask aborts nothing */
	uploads(UPLOADS);
	httpstub_on(&stub, "GET", BUSY, 403, "<Error><Code>AccessDenied</Code></Error>");
	assert_code(bkc_store_tidy(store, "7/", BKC_STORE_OLD_SECONDS, &n, &err), &err, BKC_ERR_ACCESS);
	assert_non_null(strstr(err.message, "could not list the parts of the upload of \"p/7/busy\""));

	/* a listing that does not go on */
	httpstub_clear(&stub);
	uploads(UPLOADS);
	httpstub_on(&stub, "GET", BUSY, 200, PARTS("", "<IsTruncated>true</IsTruncated>"));
	assert_code(bkc_store_tidy(store, "7/", BKC_STORE_OLD_SECONDS, &n, &err), &err, BKC_ERR_CORRUPT);
	assert_int_equal(stub.shared->requests, 2);
}

#define REFUSED(code)	"<DeleteResult><Error><Key>p/b</Key><Code>" code "</Code><Message>m</Message></Error></DeleteResult>"

static void
refusals(void **state)
{
	static const char *const names[] = {"a", "b"};

	once("POST", "/bucket?delete=", 200, "", REFUSED("InternalError"));
	once("POST", "/bucket?delete=", 200, "", REFUSED("SlowDown"));
	once("POST", "/bucket?delete=", 200, "", "<DeleteResult></DeleteResult>");
	assert_ok(bkc_store_remove(store, names, 2, &err), &err);
	once("POST", "/bucket?delete=", 200, "", REFUSED("AccessDenied"));
	assert_code(bkc_store_remove(store, names, 2, &err), &err, BKC_ERR_ACCESS);
	assert_non_null(strstr(err.detail, "\"p/b\": AccessDenied (m)"));
	assert_int_equal(stub.shared->requests, 4);
}

/* ---- clocks ---- */

#define SKEWED	"<Error><Code>RequestTimeTooSkewed</Code></Error>"

static void
say_date(HttpStubRule *rule, int64_t usec)
{
	time_t		seconds = (time_t) (usec / 1000000);
	struct tm	tm;

	(void) gmtime_r(&seconds, &tm);
	(void) strftime(rule->headers, sizeof(rule->headers), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
}

/* Our clock is wrong, and then somebody sets it, while the store stays open. */
static void
clock_is_set(void **state)
{
	const int64_t hour = INT64_C(3600000000);
	BkcBuffer	out = {0};
	int64_t		theirs = clock_us;

	clock_us -= hour;
	say_date(once("GET", OBJECT, 403, "", SKEWED), theirs);
	once("GET", OBJECT, 200, ETAG, "x");
	assert_ok(get(0, UINT64_MAX, &out), &err);
	clock_us += hour;
	say_date(once("GET", OBJECT, 403, "", SKEWED), theirs);
	once("GET", OBJECT, 200, ETAG, "y");
	assert_ok(get(0, UINT64_MAX, &out), &err);

	/* a server that refuses its own time is not asked for ever */
	say_date(httpstub_on(&stub, "GET", OBJECT, 403, SKEWED), theirs);
	assert_code(get(0, UINT64_MAX, &out), &err, BKC_ERR_ACCESS);
	assert_int_equal(stub.shared->requests, 5);
	bkc_buffer_free(&out);
}

/* The object is there, says a server whose clock shows that. */
static void
stat_at(int64_t theirs)
{
	HttpStubRule *rule = once("HEAD", OBJECT, 200, "", "");
	uint64_t	size;

	say_date(rule, theirs);
	strncat(rule->headers, ETAG, sizeof(rule->headers) - strlen(rule->headers) - 1);
	assert_ok(bkc_store_stat(store, "a", &size, &err), &err);
}

/* What replies tell by the way. */
static void
learned(void **state)
{
	const BkcStoreFacts *facts = &store->facts;
	uint64_t	size;
	int64_t		ahead;

	assert_false(facts->clock_known);
	assert_int_equal(facts->answered, 0);

	/* they say whole seconds */
	clock_us = clock_us / 1000000 * 1000000 + 300000;
	stat_at(clock_us);
	assert_true(facts->clock_known);
	assert_int_equal(facts->clock_ahead, 0);
	assert_int_equal(facts->answered, clock_us);
	assert_int_equal(facts->failed, 0);
	for (int i = 0; i < 2; i++)
	{
		ahead = (i == 0 ? 100 : -100) * INT64_C(1000000);
		stat_at(clock_us + ahead);
		assert_in_range(llabs(facts->clock_ahead), 99000000, 100000000);
		assert_true((facts->clock_ahead > 0) == (ahead > 0));
	}
	assert_int_equal(facts->certificate_until, 0);
	assert_int_equal(facts->credentials_until, 0);

	/* refused is as bad as away; absent is an answer */
	clock_us += 1000000;
	httpstub_on(&stub, "GET", OBJECT, 403, "<Error><Code>AccessDenied</Code></Error>");
	once("HEAD", OBJECT, 403, "", "");
	assert_false(bkc_store_stat(store, "a", &size, &err));
	assert_int_equal(facts->failed, clock_us);
	assert_int_equal(facts->error.code, BKC_ERR_ACCESS);
	assert_true(facts->answered < facts->failed);
	httpstub_clear(&stub);
	clock_us += 1000000;
	once("HEAD", OBJECT, 404, "", "");
	httpstub_on(&stub, "GET", OBJECT, 404, "<Error><Code>NoSuchKey</Code></Error>");
	assert_code(bkc_store_stat(store, "a", &size, &err), &err, BKC_ERR_NOT_FOUND);
	assert_int_equal(facts->answered, clock_us);
}

static void
long_retry_after(void **state)
{
	uint64_t	size;

	/* nobody waits that long, nor asks again at once */
	once("HEAD", OBJECT, 503, "Retry-After: 3600\r\n", "");
	assert_code(bkc_store_stat(store, "a", &size, &err), &err, BKC_ERR_UNAVAILABLE);
	assert_int_equal(stub.shared->requests, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	static const char text[] = "[default]\naws_access_key_id=a\naws_secret_access_key=s\n";
	const struct CMUnitTest tests[] = {
		T(whole), T(resumed), T(short_ranges), T(another_object), T(wrong_range),
		T(not_stored), T(begun_without_knowing), T(begun_together), T(begun_and_tried_again),
		T(begun_and_taken), T(begun_and_closed), T(begun_not_stored), T(aborted), T(lost_marker),
		T(refusals), T(clock_is_set), T(learned), T(long_retry_after), T(old_uploads),
		T(parts_unknown),
	};
	int			fd = mkstemp(keys);
	int			status = 1;

	if (fd >= 0 && write(fd, text, sizeof(text) - 1) == (ssize_t) (sizeof(text) - 1))
		status = cmocka_run_group_tests(tests, NULL, NULL);
	httpstub_stop(&stub);
	close(fd);
	unlink(keys);
	return status;
}
