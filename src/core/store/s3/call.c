/*
 * call.c
 *		One request: address, signature, attempts.
 *
 * Every attempt is signed anew, since a signature is good for some minutes
 * only and credentials may have changed.  Waiting for the next attempt blocks
 * nobody: the call stands in the store's list, and bkc_s3_drive() sends it
 * when it is due.
 */
#include "store/s3/s3.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/host.h"
#include "base/text.h"

#define RETRY_AFTER_MAX	300		/* seconds */
#define SKEW_NOTABLE	(60 * INT64_C(1000000)) /* microseconds */
#define EMPTY_SHA256	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const BkcRetryPolicy policy = {
	.max_attempts = 8,
	.first_wait_ms = 200,
	.max_wait_ms = 15000,
	.total_ms = 180000,
};

/* A clock that nobody sets, for waits. */
static int64_t
monotonic(void)
{
	struct timespec ts;

	(void) clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* ---- what the caller says ---- */

void
bkc_s3_call_init(BkcS3Call *call, const char *method, const char *key)
{
	memset(call, 0, sizeof(*call));
	call->method = method;
	call->key = key;
	bkc_retry_begin(&call->retry, &policy);
}

bool
bkc_s3_call_header(BkcS3Call *call, const char *name, const char *value, BkcError *err)
{
	BkcS3Header *header = &call->headers[call->nheaders];

	if (call->nheaders == sizeof(call->headers) / sizeof(call->headers[0]))
		return bkc_error_set(err, BKC_ERR_INTERNAL, "too many headers in a request");
	header->name = strdup(name);
	header->value = strdup(value);
	call->nheaders++;
	return (header->name != NULL && header->value != NULL) || bkc_error_oom(err);
}

bool
bkc_s3_call_param(BkcS3Call *call, const char *name, const char *value, BkcError *err)
{
	return (call->query.len == 0 || bkc_buffer_append(&call->query, "&", 1, err)) &&
		bkc_http_escape(&call->query, name, false, err) &&
		bkc_buffer_append(&call->query, "=", 1, err) &&
		(value == NULL || bkc_http_escape(&call->query, value, false, err));
}

/* ---- one attempt ---- */

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const BkcS3Header *) a)->name, ((const BkcS3Header *) b)->name);
}

/* The path, encoded, and the whole URL. */
static bool
make_url(const BkcS3Store *store, BkcS3Call *call, BkcBuffer *path, BkcError *err)
{
	const BkcS3Config *c = &store->config;

	if (!bkc_buffer_append(path, "/", 1, err) ||
		(c->path_style && !bkc_http_escape(path, c->bucket, false, err)))
		return false;
	if (call->key != NULL &&
		((c->path_style && !bkc_buffer_append(path, "/", 1, err)) ||
		 (!call->absolute && !bkc_http_escape(path, c->prefix, true, err)) ||
		 !bkc_http_escape(path, call->key, true, err)))
		return false;
	free(call->url);
	if (asprintf(&call->url, "%s%s%s%s", c->origin, bkc_buffer_str(path),
				 call->query.len > 0 ? "?" : "", bkc_buffer_str(&call->query)) < 0)
	{
		call->url = NULL;
		return bkc_error_oom(err);
	}
	return true;
}

/* Hashes of the body, once a call. */
static bool
hash_body(BkcS3Call *call, BkcError *err)
{
	uint8_t		hash[BKC_SHA256_SIZE];

	if (call->body_sha256 == NULL && call->own_sha256[0] == '\0')
	{
		if (call->body_len == 0)
			memcpy(call->own_sha256, EMPTY_SHA256, sizeof(EMPTY_SHA256));
		else if (bkc_sha256(call->body, call->body_len, hash, err))
			bkc_hex_encode(hash, sizeof(hash), call->own_sha256);
		else
			return false;
	}
	if (call->send_md5 && call->own_md5[0] == '\0')
	{
		if (!bkc_md5(call->body, call->body_len, hash, err))
			return false;
		bkc_base64_encode(hash, BKC_MD5_SIZE, call->own_md5);
	}
	return true;
}

/* Header lines into one text, and pointers to them. */
static bool
make_lines(BkcS3Call *call, const BkcS3Header *headers, size_t n, const char *authorization,
		   BkcError *err)
{
	size_t		starts[sizeof(call->header_lines) / sizeof(call->header_lines[0])];
	size_t		count = 0;
	size_t		room = strlen(authorization) + 32;

	/* all the room at once: memory that moves leaves copies of a token behind */
	bkc_wipe(call->header_text.data, call->header_text.len);
	bkc_buffer_free(&call->header_text);
	for (size_t i = 0; i < n; i++)
		room += strlen(headers[i].name) + strlen(headers[i].value) + 4;
	if (!bkc_buffer_reserve(&call->header_text, room, err))
		return false;
	for (size_t i = 0; i < n; i++)
	{
		/* libcurl makes this one from the URL, which says the same */
		if (strcmp(headers[i].name, "host") == 0)
			continue;
		starts[count++] = call->header_text.len;
		if (!bkc_buffer_printf(&call->header_text, err, "%s: %s", headers[i].name,
							   headers[i].value) ||
			!bkc_buffer_append(&call->header_text, "", 1, err))
			return false;
	}
	starts[count++] = call->header_text.len;
	if (!bkc_buffer_printf(&call->header_text, err, "Authorization: %s", authorization) ||
		!bkc_buffer_append(&call->header_text, "", 1, err))
		return false;
	for (size_t i = 0; i < count; i++)
		call->header_lines[i] = (const char *) call->header_text.data + starts[i];
	call->header_lines[count] = NULL;
	return true;
}

static bool
sign_attempt(BkcS3Store *store, BkcS3Call *call, const char *path, BkcError *err)
{
	BkcS3Header headers[sizeof(call->headers) / sizeof(call->headers[0]) + 5];
	size_t		n = call->nheaders;
	const char *hash = call->body_sha256 != NULL ? call->body_sha256 : call->own_sha256;
	const BkcS3Creds *creds;
	BkcBuffer	authorization = {0};
	char		when[32];
	int64_t		now = bkc_host->now() + store->clock_ahead;
	time_t		seconds = (time_t) (now / 1000000);
	struct tm	tm;
	bool		ok;

	if (!bkc_s3_creds_get(store->creds, &creds, err))
		return false;
	if (gmtime_r(&seconds, &tm) == NULL || strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &tm) == 0)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "the clock shows a time that has no date");
	memcpy(headers, call->headers, n * sizeof(headers[0]));
	headers[n++] = (BkcS3Header) {(char *) "host", store->config.host};
	headers[n++] = (BkcS3Header) {(char *) "x-amz-content-sha256", (char *) hash};
	headers[n++] = (BkcS3Header) {(char *) "x-amz-date", when};
	if (creds->session_token[0] != '\0')
		headers[n++] = (BkcS3Header) {(char *) "x-amz-security-token", (char *) creds->session_token};
	if (call->send_md5)
		headers[n++] = (BkcS3Header) {(char *) "content-md5", call->own_md5};
	qsort(headers, n, sizeof(headers[0]), by_name);

	ok = bkc_s3_sign(&(BkcS3SignInput) {
		.method = call->method,
		.path = path,
		.query = bkc_buffer_str(&call->query),
		.headers = headers,
		.nheaders = n,
		.payload_hash = hash,
		.time = when,
		.region = store->config.region,
		.service = "s3",
	}, creds, &authorization, err) &&
		make_lines(call, headers, n, bkc_buffer_str(&authorization), err);
	bkc_buffer_free(&authorization);
	return ok;
}

static bool
attempt(BkcS3Store *store, BkcS3Call *call, BkcError *err)
{
	BkcBuffer	path = {0};
	bool		ok;

	bkc_http_drop(store->http, &call->http);
	ok = make_url(store, call, &path, err) &&
		hash_body(call, err) &&
		sign_attempt(store, call, bkc_buffer_str(&path), err);
	bkc_buffer_free(&path);
	if (!ok)
		return false;
	call->sent = bkc_host->now();
	call->http.method = call->method;
	call->http.url = call->url;
	call->http.headers = call->header_lines;
	call->http.body = call->body;
	call->http.body_len = call->body_len;
	call->http.reply_max = BKC_S3_REPLY_MAX;
	call->http.window = call->window;
	return bkc_http_start(store->http, &call->http, err);
}

/* ---- between attempts ---- */

static void
unlink_waiting(BkcS3Store *store, BkcS3Call *call)
{
	for (BkcS3Call **at = &store->waiting; *at != NULL; at = &(*at)->next)
	{
		if (*at == call)
		{
			*at = call->next;
			return;
		}
	}
}

static void
wait_for(BkcS3Store *store, BkcS3Call *call, int ms)
{
	call->not_before = monotonic() + (int64_t) ms * 1000;
	call->next = store->waiting;
	store->waiting = call;
}

/* "Retry-After: 3"; its other form, a date, is not used by S3.  A long one ends the attempts. */
static int
retry_after(const BkcS3Call *call)
{
	char		text[32];
	uint64_t	seconds;

	if (!bkc_http_header(&call->http, "retry-after", text, sizeof(text)) ||
		!bkc_parse_u64(text, UINT32_MAX, &seconds))
		return 0;
	return (int) (seconds < RETRY_AFTER_MAX ? seconds : RETRY_AFTER_MAX) * 1000;
}

bool
bkc_s3_parse_date(const char *text, int64_t *usec)
{
	struct tm	tm = {0};

	if (strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm) == NULL)
		return false;
	*usec = (int64_t) timegm(&tm) * 1000000;
	return true;
}

bool
bkc_s3_call_date(const BkcS3Call *call, int64_t *usec)
{
	char		text[64];

	return bkc_http_header(&call->http, "date", text, sizeof(text)) &&
		bkc_s3_parse_date(text, usec);
}

bool
bkc_s3_parse_time(const char *text, int64_t *usec)
{
	char		whole[sizeof("2026-11-20T12:03:01.000000Z")];

	if (strlen(text) < 20 || text[strlen(text) - 1] != 'Z')
		return false;
	snprintf(whole, sizeof(whole), "%.19sZ", text);
	return bkc_parse_time(whole, usec);
}

/*
 * The server refuses the time of our signature.  Its own is in the reply: go
 * by that from now on, and say so.
 */
static bool
learn_skew(BkcS3Store *store, BkcS3Call *call)
{
	int64_t		theirs;
	int64_t		ahead;

	if (strcmp(call->s3_code, "RequestTimeTooSkewed") != 0 || !bkc_s3_call_date(call, &theirs))
		return false;
	ahead = theirs - bkc_host->now();
	bkc_error_set(&call->error, BKC_ERR_ACCESS,
				  "the clock of this machine is %" PRId64 " seconds %s that of S3, which refuses requests for it",
				  (ahead < 0 ? -ahead : ahead) / 1000000, ahead < 0 ? "ahead of" : "behind");
	bkc_error_hint(&call->error, "Set the clock of this machine.");

	/* what counts is what was signed with: our clock may have been set meanwhile */
	if (call->skew_learned || llabs(ahead - store->clock_ahead) < SKEW_NOTABLE)
		return false;
	if (store->clock_ahead == 0)
		bkc_log(BKC_LOG_WARNING, "%s; its time is used for signatures", call->error.message);
	store->clock_ahead = ahead;
	call->skew_learned = true;
	return true;
}

static bool
creds_expired(BkcS3Store *store, BkcS3Call *call)
{
	static const char *const gone[] = {
		"ExpiredToken", "TokenRefreshRequired", "InvalidToken", "InvalidAccessKeyId"
	};

	if (call->refreshed >= 2)
		return false;
	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
	{
		if (strcmp(call->s3_code, gone[i]) == 0)
		{
			call->refreshed++;
			return bkc_s3_creds_expired(store->creds);
		}
	}
	return false;
}

/* Queue the next attempt, or end with the call's error. */
static bool
decide(BkcS3Store *store, BkcS3Call *call)
{
	int			ms = 0;

	if (learn_skew(store, call) || creds_expired(store, call))
		wait_for(store, call, 0);
	else
	{
		if (call->http.headed)
			call->retry.min_wait_ms = retry_after(call);
		if (!bkc_retry_delay(&call->retry, &call->error, &ms))
		{
			call->done = true;
			return false;
		}
		bkc_log(BKC_LOG_DEBUG, "%s; trying again in %d ms", call->error.message, ms);
		wait_for(store, call, ms);
	}
	bkc_http_drop(store->http, &call->http);
	return true;
}

bool
bkc_s3_call_again(BkcS3Store *store, BkcS3Call *call, BkcError *err)
{
	call->done = call->ok = false;
	call->error = *err;
	if (decide(store, call))
		return true;
	*err = call->error;
	return false;
}

/* ---- the life of a call ---- */

bool
bkc_s3_call_start(BkcS3Store *store, BkcS3Call *call, BkcError *err)
{
	return attempt(store, call, err);
}

bool
bkc_s3_drive(BkcS3Store *store, int wait_ms, BkcError *err)
{
	int64_t		now = monotonic();
	BkcS3Call  *next;

	for (BkcS3Call *call = store->waiting; call != NULL; call = next)
	{
		int64_t		left = (call->not_before - now + 999) / 1000;

		next = call->next;
		if (left > 0)
		{
			if (left < wait_ms)
				wait_ms = (int) left;
			continue;
		}
		unlink_waiting(store, call);
		if (attempt(store, call, &call->error))
			continue;

		/* who gives credentials may be back in a moment */
		call->s3_code[0] = '\0';
		(void) decide(store, call);
	}
	return bkc_http_drive(store->http, wait_ms, err);
}

bool
bkc_s3_call_look(BkcS3Store *store, BkcS3Call *call, BkcError *err)
{
	bool		well;

	if (call->done || !call->http.ended)
		return true;
	bkc_s3_learn(store, call);
	if (!call->http.ok)
	{
		call->error = call->http.error;

		/* parts of the body have been handed on: who took them decides */
		if (call->window > 0 && call->http.headed && call->http.status / 100 == 2)
		{
			call->done = true;
			return true;
		}
		(void) decide(store, call);
		return true;
	}
	well = bkc_s3_meaning(store, call);
	if (well)
	{
		call->done = call->ok = true;
		return true;
	}
	(void) decide(store, call);
	return true;
}

bool
bkc_s3_call_finish(BkcS3Store *store, BkcS3Call *call, BkcError *err)
{
	while (!call->done)
	{
		if (!bkc_s3_drive(store, BKC_HTTP_SLICE_MS, err) ||
			!bkc_s3_call_look(store, call, err))
			return false;
	}
	if (!call->ok)
		*err = call->error;
	return call->ok;
}

bool
bkc_s3_call_run(BkcS3Store *store, BkcS3Call *call, BkcError *err)
{
	return bkc_s3_call_start(store, call, err) && bkc_s3_call_finish(store, call, err);
}

void
bkc_s3_call_free(BkcS3Store *store, BkcS3Call *call)
{
	unlink_waiting(store, call);
	bkc_http_drop(store->http, &call->http);
	for (size_t i = 0; i < call->nheaders; i++)
	{
		if (call->headers[i].value != NULL)
			bkc_wipe(call->headers[i].value, strlen(call->headers[i].value));
		free(call->headers[i].value);
		free(call->headers[i].name);
	}
	call->nheaders = 0;
	bkc_wipe(call->header_text.data, call->header_text.len);
	bkc_buffer_free(&call->header_text);
	bkc_buffer_free(&call->query);
	free(call->url);
	call->url = NULL;
}
