/*
 * test_http.c
 *		Transfers, with a stand-in for the server that may do anything.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/host.h"
#include "httpstub.h"
#include "store/http/http.h"

#define MIB		((size_t) 1 << 20)

static HttpStub stub;
static BkcHttp *http;
static BkcError err;

/* ---- surroundings ---- */

static int64_t cancel_at;		/* of monotonic(); 0 = never */

static int64_t
monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static bool
cancelled(void)
{
	return cancel_at != 0 && monotonic() >= cancel_at;
}

static const BkcHost host = {.cancelled = cancelled};

static void
make_http(const BkcHttpOptions *options)
{
	static const BkcHttpOptions none = {0};

	bkc_http_close(http);
	assert_true(bkc_http_new(options != NULL ? options : &none, &http, &err));
}

static int
set_up(void **state)
{
	cancel_at = 0;
	bkc_host_set(&host);
	httpstub_restart(&stub);
	make_http(NULL);
	return 0;
}

static int
tear_down(void **state)
{
	bkc_http_close(http);
	http = NULL;
	bkc_host_set(NULL);
	return 0;
}

static int
tear_down_all(void **state)
{
	httpstub_stop(&stub);
	return 0;
}

/* ---- tools ---- */

static const char *
at(const char *path)
{
	static char urls[8][128];
	static int	next;

	next = (next + 1) % 8;
	snprintf(urls[next], sizeof(urls[next]), "%s%s", stub.url, path);
	return urls[next];
}

static void
prepare(BkcHttpCall *call, const char *method, const char *url)
{
	memset(call, 0, sizeof(*call));
	call->method = method;
	call->url = url;
	call->reply_max = MIB;
}

static void
finish(BkcHttpCall *call)
{
	assert_true(bkc_http_start(http, call, &err));
	if (!bkc_http_finish(http, call, &err))
		fail_msg("%s", err.message);
	assert_true(call->ended);
}

static void
assert_ok(BkcHttpCall *call, int status, const char *body)
{
	if (!call->ok)
		fail_msg("%s", call->error.message);
	assert_true(call->headed);
	assert_int_equal(call->status, status);
	assert_string_equal(bkc_buffer_str(&call->reply), body);
}

static void
assert_failed(const BkcHttpCall *call, BkcErrorCode code, const char *message, bool reached)
{
	assert_false(call->ok);
	if (call->error.code != code || strstr(call->error.message, message) == NULL)
		fail_msg("%s: %s", bkc_error_code_name(call->error.code), call->error.message);
	assert_int_equal(call->reached, reached);
}

static void
assert_pattern(const void *data, size_t len, size_t from)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
	{
		if (p[i] != httpstub_byte(from + i))
			fail_msg("byte %zu differs", from + i);
	}
}

/* ---- requests ---- */

/* One connection for all that follow each other. */
static void
test_keep_alive(void **state)
{
	BkcHttpCall call;

	httpstub_on(&stub, "GET", "/a", 200, "hello");
	httpstub_on(&stub, "GET", "/b", 404, "no");
	prepare(&call, "GET", at("/a"));
	for (int i = 0; i < 5; i++)
	{
		finish(&call);
		assert_ok(&call, 200, "hello");
		assert_true(call.reached);
	}
	call.url = at("/b");
	finish(&call);
	assert_ok(&call, 404, "no");
	assert_int_equal(stub.shared->connections, 1);
	assert_int_equal(stub.shared->requests, 6);

	/* a server that closes is asked on a new one */
	stub.shared->rules[0].how = STUB_CLOSE_AFTER;
	call.url = at("/a");
	for (int i = 0; i < 2; i++)
	{
		finish(&call);
		assert_ok(&call, 200, "hello");
	}
	assert_int_equal(stub.shared->connections, 2);
	bkc_http_drop(http, &call);
	bkc_http_drop(http, &call);
	assert_false(call.ended);
	assert_int_equal(call.reply.cap, 0);
}

static void
test_many(void **state)
{
	BkcHttpCall calls[16];
	int64_t		begun = monotonic();
	size_t		ended = 0;

	httpstub_on(&stub, "GET", "", 200, "x")->delay_ms = 300;
	for (size_t i = 0; i < 16; i++)
	{
		prepare(&calls[i], "GET", at("/"));
		calls[i].url = stub.url;
		assert_true(bkc_http_start(http, &calls[i], &err));
	}
	while (ended < 16)
	{
		assert_true(bkc_http_drive(http, 1000, &err));
		ended = 0;
		for (size_t i = 0; i < 16; i++)
			ended += calls[i].ended;
		assert_true(monotonic() - begun < 10000);
	}
	for (size_t i = 0; i < 16; i++)
	{
		assert_ok(&calls[i], 200, "x");
		bkc_http_drop(http, &calls[i]);
	}
	assert_true(stub.shared->most_open > 8);
	assert_true(monotonic() - begun < 16 * 300);
}

static void
test_request(void **state)
{
	static const char *const headers[] = {"X-Own: a b", "Content-Type: text/x", NULL};
	BkcHttpCall call;
	char	   *body = malloc(3 * MIB);

	assert_non_null(body);
	for (size_t i = 0; i < 3 * MIB; i++)
		body[i] = (char) httpstub_byte(i);
	httpstub_on(&stub, "", "", 200, "");

	/* nothing that nobody asked for */
	prepare(&call, "GET", at("/x?y=z&a=%2F"));
	finish(&call);
	assert_memory_equal(stub.shared->last, "GET /x?y=z&a=%2F HTTP/1.1\r\n", 27);
	assert_null(strcasestr(stub.shared->last, "\r\nContent-Type"));
	assert_null(strcasestr(stub.shared->last, "\r\nContent-Length"));
	assert_null(strcasestr(stub.shared->last, "\r\nExpect"));
	assert_null(strcasestr(stub.shared->last, "\r\nAuthorization"));
	assert_null(strcasestr(stub.shared->last, "\r\nCookie"));

	/* without a body, but with its length where that belongs */
	bkc_http_drop(http, &call);
	prepare(&call, "PUT", at("/x"));
	finish(&call);
	assert_memory_equal(stub.shared->last, "PUT /x HTTP/1.1\r\n", 17);
	assert_non_null(strstr(stub.shared->last, "\r\nContent-Length: 0\r\n"));
	assert_null(strcasestr(stub.shared->last, "\r\nContent-Type"));
	assert_null(strcasestr(stub.shared->last, "\r\nTransfer-Encoding"));
	bkc_http_drop(http, &call);
	prepare(&call, "POST", at("/x"));
	call.headers = headers;
	finish(&call);
	assert_non_null(strstr(stub.shared->last, "\r\nContent-Length: 0\r\n"));
	assert_non_null(strstr(stub.shared->last, "\r\nX-Own: a b\r\n"));
	assert_non_null(strstr(stub.shared->last, "\r\nContent-Type: text/x\r\n"));
	bkc_http_drop(http, &call);
	prepare(&call, "DELETE", at("/x"));
	finish(&call);
	assert_memory_equal(stub.shared->last, "DELETE /x HTTP/1.1\r\n", 20);

	/* a large body goes at once */
	bkc_http_drop(http, &call);
	prepare(&call, "PUT", at("/x"));
	call.body = body;
	call.body_len = 3 * MIB;
	finish(&call);
	assert_ok(&call, 200, "");
	assert_non_null(strstr(stub.shared->last, "\r\nContent-Length: 3145728\r\n"));
	assert_null(strcasestr(stub.shared->last, "\r\nExpect"));
	assert_null(strcasestr(stub.shared->last, "\r\nContent-Type"));
	bkc_http_drop(http, &call);
	prepare(&call, "POST", at("/x"));
	call.body = "a=b";
	call.body_len = 3;
	finish(&call);
	assert_non_null(strstr(stub.shared->last, "\r\n\r\na=b"));
	assert_int_equal(stub.shared->connections, 1);
	bkc_http_drop(http, &call);
	free(body);
}

/* ---- replies ---- */

static void
test_headers(void **state)
{
	HttpStubRule *rule = httpstub_on(&stub, "GET", "/h", 200, "body");
	BkcHttpCall call;
	char		value[16];

	snprintf(rule->headers, sizeof(rule->headers),
			 "X-One:  1 and a\r\nx-two:2\r\nX-Empty:\r\nX-One-More: 3\r\nX-Long: 0123456789abcdef\r\n");
	prepare(&call, "GET", at("/h"));
	finish(&call);
	assert_ok(&call, 200, "body");
	assert_true(bkc_http_header(&call, "x-one", value, sizeof(value)));
	assert_string_equal(value, "1 and a");
	assert_true(bkc_http_header(&call, "X-TWO", value, sizeof(value)));
	assert_string_equal(value, "2");
	assert_true(bkc_http_header(&call, "x-empty", value, sizeof(value)));
	assert_string_equal(value, "");
	assert_true(bkc_http_header(&call, "x-one-more", value, sizeof(value)));
	assert_string_equal(value, "3");
	assert_false(bkc_http_header(&call, "x-on", value, sizeof(value)));
	assert_false(bkc_http_header(&call, "one", value, sizeof(value)));
	assert_false(bkc_http_header(&call, "body", value, sizeof(value)));
	assert_false(bkc_http_header(&call, "x-long", value, sizeof(value)));
	assert_true(bkc_http_header(&call, "content-length", value, sizeof(value)));
	assert_string_equal(value, "4");
	bkc_http_drop(http, &call);
	assert_false(bkc_http_header(&call, "x-one", value, sizeof(value)));
}

/* What comes before the reply is none of it. */
static void
test_interim(void **state)
{
	HttpStubRule *rule = httpstub_on(&stub, "", "/i", 201, "done");
	BkcHttpCall call;
	char		value[16];

	snprintf(rule->interim, sizeof(rule->interim),
			 "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nX-Early: 1\r\n\r\n");
	snprintf(rule->headers, sizeof(rule->headers), "X-Late: 2\r\n");
	prepare(&call, "PUT", at("/i"));
	call.body = "x";
	call.body_len = 1;
	finish(&call);
	assert_ok(&call, 201, "done");
	assert_true(bkc_http_header(&call, "x-late", value, sizeof(value)));
	assert_false(bkc_http_header(&call, "x-early", value, sizeof(value)));
	bkc_http_drop(http, &call);
}

static void
test_without_body(void **state)
{
	HttpStubRule *rule = httpstub_on(&stub, "HEAD", "/h", 200, "");
	BkcHttpCall call;
	char		value[16];

	rule->generated = 12345;
	httpstub_on(&stub, "DELETE", "/h", 204, "");
	prepare(&call, "HEAD", at("/h"));
	finish(&call);
	assert_ok(&call, 200, "");
	assert_true(bkc_http_header(&call, "Content-Length", value, sizeof(value)));
	assert_string_equal(value, "12345");
	bkc_http_drop(http, &call);
	prepare(&call, "DELETE", at("/h"));
	finish(&call);
	assert_ok(&call, 204, "");
	assert_int_equal(stub.shared->connections, 1);
	bkc_http_drop(http, &call);
}

/* Redirects are the caller's to judge. */
static void
test_redirect(void **state)
{
	HttpStubRule *rule = httpstub_on(&stub, "GET", "/r", 307, "elsewhere");
	BkcHttpCall call;

	snprintf(rule->headers, sizeof(rule->headers), "Location: %s/other\r\n", stub.url);
	prepare(&call, "GET", at("/r"));
	finish(&call);
	assert_ok(&call, 307, "elsewhere");
	assert_int_equal(stub.shared->requests, 1);
	bkc_http_drop(http, &call);
}

static void
test_reply_max(void **state)
{
	HttpStubRule *rule = httpstub_on(&stub, "GET", "/m", 200, "");
	BkcHttpCall call;

	rule->generated = 300000;
	for (int chunked = 0; chunked < 2; chunked++)
	{
		rule->chunked = chunked;
		prepare(&call, "GET", at("/m"));
		call.reply_max = 300000;
		finish(&call);
		assert_true(call.ok);
		assert_int_equal(call.reply.len, 300000);
		assert_pattern(call.reply.data, call.reply.len, 0);
		call.reply_max = 299999;
		finish(&call);
		assert_failed(&call, BKC_ERR_CORRUPT, "more than 299999 bytes", true);
		assert_true(call.reply.len <= 299999);
		bkc_http_drop(http, &call);
	}
}

/* Headers without end are not kept. */
static void
test_head_max(void **state)
{
	HttpStubRule *rule = httpstub_on(&stub, "GET", "/", 200, "x");
	BkcHttpCall call;

	snprintf(rule->headers, sizeof(rule->headers), "X-Header: %0100d\r\n", 0);
	rule->repeat = 500;
	prepare(&call, "GET", at("/"));
	finish(&call);
	assert_ok(&call, 200, "x");
	rule->repeat = 1000;
	finish(&call);
	assert_failed(&call, BKC_ERR_UNAVAILABLE, "", true);
	assert_false(call.headed);
	assert_true(call.head.len <= 64 * 1024);
	bkc_http_drop(http, &call);
}

/* A body that is larger than what may be held of it. */
static void
test_window(void **state)
{
	static const size_t windows[] = {1, 100000, MIB};
	uint8_t    *piece = malloc(300000);
	HttpStubRule *rule = httpstub_on(&stub, "GET", "/w", 200, "");

	assert_non_null(piece);
	rule->generated = 6 * MIB + 123;
	for (size_t w = 0; w < 3; w++)
	{
		BkcHttpCall call;
		size_t		total = 0;
		int			idle = 0;

		prepare(&call, "GET", at("/w"));
		call.reply_max = 0;
		call.window = windows[w];
		assert_true(bkc_http_start(http, &call, &err));

		/* nobody takes anything: it stops coming */
		while (idle < 5)
		{
			size_t		before = call.reply.len;

			assert_true(bkc_http_drive(http, 50, &err));
			idle = call.headed && call.reply.len == before ? idle + 1 : 0;
		}
		assert_false(call.ended);
		assert_true(call.reply.len >= windows[w] && call.reply.len < windows[w] + MIB);
		for (;;)
		{
			size_t		n = bkc_http_take(&call, piece, 1 + (total * 7) % 300000);

			assert_pattern(piece, n, total);
			total += n;
			assert_true(call.reply.len - call.taken < windows[w] + MIB);
			assert_true(call.reply.cap < 2 * (2 * windows[w] + 2 * MIB));
			if (n == 0 && call.ended)
				break;
			if (n == 0)
				assert_true(bkc_http_drive(http, 100, &err));
		}
		assert_true(call.ok);
		assert_int_equal(total, rule->generated);
		bkc_http_drop(http, &call);
	}
	assert_int_equal(stub.shared->connections, 1);
	free(piece);
}

/* The reason why nothing comes is taken by nobody: it has a limit, and an end. */
static void
test_window_refused(void **state)
{
	HttpStubRule *rule = httpstub_on(&stub, "GET", "/w", 503, "");
	BkcHttpCall call;

	rule->generated = 200000;
	prepare(&call, "GET", at("/w"));
	call.window = 1000;
	call.reply_max = 200000;
	finish(&call);
	assert_true(call.ok);
	assert_int_equal(call.reply.len, 200000);
	call.reply_max = 199999;
	finish(&call);
	assert_failed(&call, BKC_ERR_CORRUPT, "more than 199999 bytes", true);
	bkc_http_drop(http, &call);
}

/* One that waits for somebody to take what it has keeps nobody else from moving. */
static void
test_window_beside_others(void **state)
{
	BkcHttpCall slow;
	BkcHttpCall call;

	httpstub_on(&stub, "GET", "/slow", 200, "")->generated = 5 * MIB;
	httpstub_on(&stub, "GET", "/quick", 200, "quick");
	prepare(&slow, "GET", at("/slow"));
	slow.window = 1000;
	assert_true(bkc_http_start(http, &slow, &err));
	for (int i = 0; i < 20; i++)
	{
		prepare(&call, "GET", at("/quick"));
		finish(&call);
		assert_ok(&call, 200, "quick");
		bkc_http_drop(http, &call);
	}
	assert_false(slow.ended);

	/* broken off in the middle; its connection is of no use any more, the other one is */
	bkc_http_drop(http, &slow);
	prepare(&call, "GET", at("/quick"));
	finish(&call);
	assert_ok(&call, 200, "quick");
	assert_int_equal(stub.shared->connections, 2);
	bkc_http_drop(http, &call);
}

/* ---- failures ---- */

static void
test_broken(void **state)
{
	static const struct
	{
		HttpStubHow how;
		bool		chunked;
		const char *message;
	}			cases[] = {
		{STUB_CUT, false, "the reply was cut off"},
		{STUB_CUT, true, ""},
		{STUB_SILENT_END, false, "the server closed the connection without a reply"},
		{STUB_RESET, false, "the connection broke while receiving"},
		{STUB_RAW, false, "the server does not answer in HTTP"},
		/* the end within the headers is not that of the reply */
		{STUB_RAW, true, "the reply was cut off"},
	};
	BkcHttpCall call;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		HttpStubRule *rule;

		httpstub_clear(&stub);
		make_http(NULL);
		rule = httpstub_on(&stub, "GET", "/b", 200, cases[i].how == STUB_RAW && cases[i].chunked
						   ? "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\n" : "SSH-2.0-OpenSSH\r\n");
		rule->how = cases[i].how;
		rule->chunked = cases[i].chunked;
		prepare(&call, "GET", at("/b"));
		finish(&call);
		assert_failed(&call, BKC_ERR_UNAVAILABLE, cases[i].message, true);
		assert_memory_equal(call.error.message, stub.url, strlen(stub.url));
		assert_int_equal(call.headed, cases[i].how == STUB_CUT);
		bkc_http_drop(http, &call);
	}
}

/* The URL's path and query may tell something that is nobody's business. */
static void
test_nobody_there(void **state)
{
	BkcHttpCall call;
	char		url[128];

	snprintf(url, sizeof(url), "http://127.0.0.1:%d/secret?key=secret", httpstub_dead_port());
	prepare(&call, "GET", url);
	finish(&call);
	assert_failed(&call, BKC_ERR_UNAVAILABLE, "could not connect", false);
	assert_null(strstr(call.error.message, "secret"));
	bkc_http_drop(http, &call);
	prepare(&call, "GET", "http://no-such-host.invalid/secret");
	finish(&call);
	assert_failed(&call, BKC_ERR_UNAVAILABLE, "could not resolve the name of the host", false);
	assert_null(strstr(call.error.message, "secret"));
	assert_non_null(strstr(call.error.hint, "endpoint"));
	bkc_http_drop(http, &call);

	/* TLS with who does not speak it */
	httpstub_on(&stub, "", "", 200, "");
	snprintf(url, sizeof(url), "https://127.0.0.1:%d/", stub.port);
	prepare(&call, "GET", url);
	call.total_ms = 500;
	finish(&call);
	assert_false(call.ok);
	assert_int_equal(stub.shared->requests, 0);
	bkc_http_drop(http, &call);

	/* not ours to ask */
	prepare(&call, "GET", "file:///etc/passwd");
	finish(&call);
	assert_failed(&call, BKC_ERR_INVALID, "not for HTTP", false);
	bkc_http_drop(http, &call);
}

/* A limit as far as a busy machine keeps it, and libcurl, which takes the speed of some seconds. */
static void
assert_took(int64_t begun, int64_t from, int64_t to)
{
	int64_t		took = monotonic() - begun;

	if (took < from || took > to)
		fail_msg("it took %d ms", (int) took);
}

static void
test_stall(void **state)
{
	HttpStubRule *rule = httpstub_on(&stub, "GET", "/stall", 200, "");
	BkcHttpCall calls[2];
	int64_t		begun = monotonic();

	make_http(&(BkcHttpOptions) {.stall_ms = 1000});
	rule->how = STUB_STALL;
	rule->generated = 100000;
	httpstub_on(&stub, "GET", "/hang", 200, "")->how = STUB_HANG;
	prepare(&calls[0], "GET", at("/stall"));
	prepare(&calls[1], "GET", at("/hang"));
	assert_true(bkc_http_start(http, &calls[0], &err));
	finish(&calls[1]);
	assert_failed(&calls[1], BKC_ERR_TIMEOUT, "timed out", true);
	assert_false(calls[1].headed);
	assert_true(bkc_http_finish(http, &calls[0], &err));
	assert_failed(&calls[0], BKC_ERR_TIMEOUT, "timed out", true);
	assert_true(calls[0].headed);
	assert_took(begun, 900, 15000);

	/* the whole transfer's limit */
	make_http(NULL);
	calls[1].total_ms = 300;
	begun = monotonic();
	finish(&calls[1]);
	assert_failed(&calls[1], BKC_ERR_TIMEOUT, "timed out", true);
	assert_took(begun, 250, 3000);
	for (size_t i = 0; i < 2; i++)
		bkc_http_drop(http, &calls[i]);
}

/* What drips never stalls, but has an end; bulk data takes as long as it takes. */
static void
test_total(void **state)
{
	HttpStubRule *drip = httpstub_on(&stub, "GET", "/drip", 200, "never mind how long this takes");
	BkcHttpCall call;
	char	   *body = calloc(1, 100000);
	int64_t		begun = monotonic();

	assert_non_null(body);
	make_http(&(BkcHttpOptions) {.total_ms = 700});
	drip->drip_ms = 100;
	prepare(&call, "GET", at("/drip"));
	finish(&call);
	assert_failed(&call, BKC_ERR_TIMEOUT, "timed out", true);
	assert_took(begun, 600, 15000);
	call.window = 1000;
	finish(&call);
	assert_ok(&call, 200, "never mind how long this takes");
	assert_took(begun, 700 + 2900, 60000);

	/* what is sent is bulk data when there is much of it */
	httpstub_on(&stub, "PUT", "/slow", 200, "done")->delay_ms = 1500;
	bkc_http_drop(http, &call);
	prepare(&call, "PUT", at("/slow"));
	call.body = body;
	call.body_len = 1000;
	finish(&call);
	assert_failed(&call, BKC_ERR_TIMEOUT, "timed out", true);
	call.body_len = 100000;
	finish(&call);
	assert_ok(&call, 200, "done");

	/* the call's own limit is for both */
	call.total_ms = 300;
	finish(&call);
	assert_failed(&call, BKC_ERR_TIMEOUT, "timed out", true);
	call.body_len = 1000;
	call.total_ms = 60000;
	finish(&call);
	assert_ok(&call, 200, "done");
	bkc_http_drop(http, &call);
	free(body);
}

/* A reply that waits for its reader has not stalled. */
static void
test_pause_is_no_stall(void **state)
{
	BkcHttpCall call;
	int64_t		begun = monotonic();
	uint8_t		piece[65536];
	size_t		total = 0;

	make_http(&(BkcHttpOptions) {.stall_ms = 1000});
	httpstub_on(&stub, "GET", "/w", 200, "")->generated = 4 * MIB;
	prepare(&call, "GET", at("/w"));
	call.window = 100000;
	assert_true(bkc_http_start(http, &call, &err));
	while (monotonic() - begun < 3000)
		assert_true(bkc_http_drive(http, 100, &err));
	if (call.ended)
		fail_msg("%s", call.error.message);
	while (!call.ended || call.reply.len > call.taken)
	{
		total += bkc_http_take(&call, piece, sizeof(piece));
		assert_true(bkc_http_drive(http, 10, &err));
	}
	if (!call.ok)
		fail_msg("%s", call.error.message);
	assert_int_equal(total, 4 * MIB);
	bkc_http_drop(http, &call);
}

/* Who listens, but does not accept: the kernel leaves further connections without an answer. */
static void
test_connect_timeout(void **state)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t	len = sizeof(a);
	int			listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int			fillers[4];
	BkcHttpCall call;
	char		url[64];
	int64_t		begun;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *) &a, sizeof(a)), 0);
	assert_int_equal(listen(listener, 0), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *) &a, &len), 0);
	for (size_t i = 0; i < 4; i++)
	{
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void) connect(fillers[i], (struct sockaddr *) &a, sizeof(a));
	}
	make_http(&(BkcHttpOptions) {.connect_ms = 500});
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", ntohs(a.sin_port));
	prepare(&call, "GET", url);
	begun = monotonic();
	finish(&call);
	assert_failed(&call, BKC_ERR_TIMEOUT, "timed out", false);
	assert_took(begun, 450, 4000);
	bkc_http_drop(http, &call);
	for (size_t i = 0; i < 4; i++)
		close(fillers[i]);
	close(listener);
}

static void
test_cancel(void **state)
{
	HttpStubRule *rule = httpstub_on(&stub, "GET", "/c", 200, "x");
	BkcHttpCall call;
	int64_t		begun = monotonic();

	rule->how = STUB_HANG;
	prepare(&call, "GET", at("/c"));
	assert_true(bkc_http_start(http, &call, &err));
	cancel_at = begun + 300;
	assert_false(bkc_http_finish(http, &call, &err));
	assert_int_equal(err.code, BKC_ERR_CANCELLED);
	assert_took(begun, 300, 300 + 2 * BKC_HTTP_SLICE_MS + 300);
	assert_false(call.ended);

	/* nothing moves, except for who tidies up */
	assert_false(bkc_http_drive(http, 0, &err));
	bkc_http_insist(http, true);
	bkc_http_drop(http, &call);
	rule->how = STUB_REPLY;
	finish(&call);
	assert_ok(&call, 200, "x");
	bkc_http_drop(http, &call);
	bkc_http_insist(http, false);
	assert_false(bkc_http_drive(http, 0, &err));
}

/* Closing breaks off what is under way. */
static void
test_close(void **state)
{
	BkcHttpCall calls[3];

	httpstub_on(&stub, "GET", "", 200, "")->how = STUB_HANG;
	for (size_t i = 0; i < 3; i++)
	{
		prepare(&calls[i], "GET", stub.url);
		assert_true(bkc_http_start(http, &calls[i], &err));
		assert_true(bkc_http_drive(http, 20, &err));
	}
	bkc_http_close(http);
	http = NULL;
	bkc_http_close(NULL);
}

/* ---- proxies ---- */

static void
test_proxies(void **state)
{
	static const char *const variables[] = {
		"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"
	};
	BkcHttpCall call;
	char		dead[64];

	snprintf(dead, sizeof(dead), "http://127.0.0.1:%d", httpstub_dead_port());
	httpstub_on(&stub, "GET", "/p", 200, "direct");
	httpstub_on(&stub, "GET", "http://no-such-host.invalid/p", 200, "by proxy");

	/* those of the environment are nobody's business */
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		setenv(variables[i], dead, 1);
	prepare(&call, "GET", at("/p"));
	finish(&call);
	assert_ok(&call, 200, "direct");
	bkc_http_drop(http, &call);
	make_http(&(BkcHttpOptions) {.proxy = stub.url});
	setenv("no_proxy", "*", 1);
	prepare(&call, "GET", "http://no-such-host.invalid/p");
	finish(&call);
	unsetenv("no_proxy");
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	assert_ok(&call, 200, "by proxy");
	make_http(&(BkcHttpOptions) {.proxy = dead});
	call.url = at("/p");
	finish(&call);
	assert_failed(&call, BKC_ERR_UNAVAILABLE, "could not connect", false);
	bkc_http_drop(http, &call);
}

/* As two libraries write the end of a certificate. */
static void
test_certificate_end(void **state)
{
	const int64_t end = INT64_C(1795176181000000);
	int64_t		got = 0;

	assert_true(bkc_http_parse_end("Nov 20 12:03:01 2026 GMT", &got));
	assert_int_equal(got, end);
	got = 0;
	assert_true(bkc_http_parse_end("2026-11-20 12:03:01 GMT", &got));
	assert_int_equal(got, end);
	assert_true(bkc_http_parse_end("Nov  2 02:03:01 2026 GMT", &got));
	assert_false(bkc_http_parse_end("", &got));
	assert_false(bkc_http_parse_end("Nov 20 12:03:01 2026", &got));
	assert_false(bkc_http_parse_end("Nov 20 12:03:01 2026 GMT+1", &got));
}

/* Nothing is sent, and nothing comes. */
static void
test_connect_only(void **state)
{
	BkcHttpCall call = {.method = "POST", .connect_only = true};

	call.url = at("/p");
	finish(&call);
	assert_true(call.ok);
	assert_false(call.headed);
	assert_int_equal(stub.shared->requests, 0);
	call.url = "http://127.0.0.1:1/";
	finish(&call);
	assert_failed(&call, BKC_ERR_UNAVAILABLE, "could not connect", false);
	bkc_http_drop(http, &call);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_keep_alive), T(test_many), T(test_request),
		T(test_headers), T(test_interim), T(test_without_body), T(test_redirect),
		T(test_reply_max), T(test_head_max), T(test_window), T(test_window_refused),
		T(test_window_beside_others),
		T(test_broken), T(test_nobody_there), T(test_stall), T(test_total),
		T(test_pause_is_no_stall),
		T(test_connect_timeout), T(test_cancel), T(test_close), T(test_proxies),
		T(test_certificate_end), T(test_connect_only),
	};

	return cmocka_run_group_tests(tests, NULL, tear_down_all);
}
