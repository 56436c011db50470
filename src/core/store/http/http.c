/*
 * http.c
 *		Transfers over one curl_multi.
 */
#include "store/http/http.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "base/host.h"
#include "crypto/digest.h"
#include "store/http/inner.h"

#define CONNECT_MS		10000
#define STALL_MS		60000
#define TOTAL_MS		300000
#define BULK_MIN		(64 * 1024) /* larger bodies of requests are bulk data */
#define HEAD_MAX		(64 * 1024)
#define RECEIVE_BUFFER	(256 * 1024)
#define SEND_BUFFER		(512 * 1024)

struct BkcHttp
{
	CURLM	   *multi;
	char	   *ca_file;
	char	   *proxy;
	bool		trust_any;
	int			connect_ms;
	int			stall_ms;
	int			total_ms;
	BkcHttpCall *calls;			/* under way */
	bool		insist;			/* do not ask whether the work is cancelled */
};

bool
bkc_http_new(const BkcHttpOptions *options, BkcHttp **http, BkcError *err)
{
	BkcHttp    *new = calloc(1, sizeof(*new));

	*http = NULL;
	if (new == NULL)
		return bkc_error_oom(err);

	/* counted by libcurl: each has its counterpart in bkc_http_close() */
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
	{
		free(new);
		return bkc_error_set(err, BKC_ERR_INTERNAL, "could not initialize libcurl");
	}
	new->ca_file = options->ca_file != NULL ? strdup(options->ca_file) : NULL;
	new->proxy = options->proxy != NULL ? strdup(options->proxy) : NULL;
	new->trust_any = options->trust_any;
	new->connect_ms = options->connect_ms > 0 ? options->connect_ms : CONNECT_MS;
	new->stall_ms = options->stall_ms > 0 ? options->stall_ms : STALL_MS;
	new->total_ms = options->total_ms > 0 ? options->total_ms : TOTAL_MS;
	new->multi = curl_multi_init();
	if (new->multi == NULL || (options->ca_file != NULL && new->ca_file == NULL) ||
		(options->proxy != NULL && new->proxy == NULL))
	{
		bkc_http_close(new);
		return bkc_error_oom(err);
	}
	*http = new;
	return true;
}

void
bkc_http_close(BkcHttp *http)
{
	if (http == NULL)
		return;
	while (http->calls != NULL)
		bkc_http_drop(http, http->calls);
	if (http->multi != NULL)
		curl_multi_cleanup(http->multi);
	free(http->ca_file);
	free(http->proxy);
	free(http);
	curl_global_cleanup();
}

/* ---- what libcurl calls ---- */

static size_t
take_head(char *data, size_t size, size_t n, void *arg)
{
	BkcHttpCall *call = arg;
	size_t		len = size * n;
	BkcError	ignored;

	/* a new status line: what came before was an interim reply */
	if (len > 5 && memcmp(data, "HTTP/", 5) == 0)
	{
		bkc_buffer_reset(&call->head);
		call->headed = false;
	}
	if (call->head.len + len > HEAD_MAX)
		return 0;
	while (len > 0 && (data[len - 1] == '\n' || data[len - 1] == '\r'))
		len--;
	if (len == 0)
	{
		long		status = 0;

		(void) curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
		call->status = (int) status;
		call->headed = status >= 200;
		return size * n;
	}
	if (!bkc_buffer_append(&call->head, data, len, &ignored) ||
		!bkc_buffer_append(&call->head, "\n", 1, &ignored))
		return 0;
	return size * n;
}

static size_t
take_body(char *data, size_t size, size_t n, void *arg)
{
	BkcHttpCall *call = arg;
	size_t		len = size * n;

	if (call->window > 0 && call->status / 100 == 2)
	{
		if (call->reply.len - call->taken >= call->window)
		{
			call->paused = true;
			return CURL_WRITEFUNC_PAUSE;
		}

		/* what was taken makes room, now and then, so that little is moved */
		if (call->taken >= call->window)
		{
			memmove(call->reply.data, call->reply.data + call->taken,
					call->reply.len - call->taken);
			call->reply.len -= call->taken;
			call->taken = 0;
		}
	}
	else if (len > call->reply_max || call->reply.len > call->reply_max - len)
	{
		bkc_error_set(&call->error, BKC_ERR_CORRUPT,
					  "the reply has more than %zu bytes", call->reply_max);
		return 0;
	}
	if (!bkc_buffer_append(&call->reply, data, len, &call->error))
		return 0;
	call->moved = true;
	return len;
}

/* ---- starting ---- */

static bool
make_headers(BkcHttpCall *call, BkcError *err)
{
	/*
	 * libcurl's own additions that nobody wants: a round trip before each
	 * large body, a content type of forms.
	 */
	static const char *const none[] = {"Expect:", "Content-Type:", NULL};
	struct curl_slist *list = NULL;
	const char *const *sets[] = {none, call->headers};
	bool		typed = false;

	for (size_t i = 0; call->headers != NULL && call->headers[i] != NULL; i++)
		typed = typed || strncasecmp(call->headers[i], "Content-Type:", 13) == 0;
	for (size_t s = 0; s < 2; s++)
	{
		for (size_t i = 0; sets[s] != NULL && sets[s][i] != NULL; i++)
		{
			struct curl_slist *longer;

			if (s == 0 && typed && strcmp(sets[s][i], "Content-Type:") == 0)
				continue;
			longer = curl_slist_append(list, sets[s][i]);
			if (longer == NULL)
			{
				curl_slist_free_all(list);
				return bkc_error_oom(err);
			}
			list = longer;
		}
	}
	call->header_list = list;
	return true;
}

/*
 * A server that sends a byte now and then never stalls.  What takes long for a good reason is
 * bulk data; all else has an end.
 */
static long
total_limit(const BkcHttp *http, const BkcHttpCall *call)
{
	if (call->total_ms > 0)
		return call->total_ms;
	return call->window > 0 || call->body_len > BULK_MIN ? 0 : http->total_ms;
}

/* curl_easy_setopt() fails for want of memory only, as far as these options go. */
static bool
set_options(BkcHttp *http, BkcHttpCall *call, BkcError *err)
{
	CURL	   *easy = call->easy;
	bool		body = call->body_len > 0;
	bool		puts = strcmp(call->method, "PUT") == 0 || strcmp(call->method, "POST") == 0;
	CURLcode	rc = CURLE_OK;

#define SET(option, value) \
	do { if (rc == CURLE_OK) rc = curl_easy_setopt(easy, option, value); } while (0)

	SET(CURLOPT_PRIVATE, call);
	SET(CURLOPT_URL, call->url);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
	SET(CURLOPT_USERAGENT, "pg_backupctl/" BKC_VERSION);

	/* a name service that hangs holds up nobody who gives up: its thread may end by itself */
#if LIBCURL_VERSION_NUM >= 0x075700
	SET(CURLOPT_QUICK_EXIT, 1L);
#endif
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(CURLOPT_PROXY, http->proxy != NULL ? http->proxy : "");
	SET(CURLOPT_NOPROXY, "");
	SET(CURLOPT_ERRORBUFFER, call->curl_text);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long) http->connect_ms);
	SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
	SET(CURLOPT_LOW_SPEED_TIME, (long) ((http->stall_ms + 999) / 1000));
	SET(CURLOPT_TIMEOUT_MS, total_limit(http, call));
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_BUFFERSIZE, (long) RECEIVE_BUFFER);
	SET(CURLOPT_UPLOAD_BUFFERSIZE, (long) SEND_BUFFER);
	SET(CURLOPT_SSL_VERIFYPEER, http->trust_any ? 0L : 1L);
	SET(CURLOPT_SSL_VERIFYHOST, http->trust_any ? 0L : 2L);
	SET(CURLOPT_CERTINFO, 1L);
	SET(CURLOPT_CONNECT_ONLY, call->connect_only ? 1L : 0L);
	if (http->ca_file != NULL)
	{
		SET(CURLOPT_CAINFO, http->ca_file);
		SET(CURLOPT_CAPATH, NULL);
	}
	SET(CURLOPT_HTTPHEADER, (struct curl_slist *) call->header_list);
	SET(CURLOPT_HEADERFUNCTION, take_head);
	SET(CURLOPT_HEADERDATA, call);
	SET(CURLOPT_WRITEFUNCTION, take_body);
	SET(CURLOPT_WRITEDATA, call);
	if (strcmp(call->method, "HEAD") == 0)
		SET(CURLOPT_NOBODY, 1L);
	else if (body || puts)
	{
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) call->body_len);
		SET(CURLOPT_POSTFIELDS, body ? (const char *) call->body : "");
		SET(CURLOPT_CUSTOMREQUEST, call->method);
	}
	else
		SET(CURLOPT_CUSTOMREQUEST, call->method);
#undef SET
	if (rc == CURLE_OUT_OF_MEMORY)
		return bkc_error_oom(err);
	if (rc != CURLE_OK)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "libcurl: %s", curl_easy_strerror(rc));
	return true;
}

bool
bkc_http_start(BkcHttp *http, BkcHttpCall *call, BkcError *err)
{
	CURLMcode	rc;

	bkc_http_drop(http, call);
	call->curl_text[0] = '\0';
	call->easy = curl_easy_init();
	if (call->easy == NULL)
		return bkc_error_oom(err);
	if (!make_headers(call, err) || !set_options(http, call, err))
	{
		bkc_http_drop(http, call);
		return false;
	}
	rc = curl_multi_add_handle(http->multi, call->easy);
	if (rc != CURLM_OK)
	{
		curl_easy_cleanup(call->easy);
		call->easy = NULL;
		bkc_http_drop(http, call);
		return bkc_error_set(err, BKC_ERR_INTERNAL, "libcurl: %s", curl_multi_strerror(rc));
	}
	call->next = http->calls;
	http->calls = call;
	return true;
}

/* ---- moving ---- */

static void
unlink_call(BkcHttp *http, BkcHttpCall *call)
{
	for (BkcHttpCall **at = &http->calls; *at != NULL; at = &(*at)->next)
	{
		if (*at == call)
		{
			*at = call->next;
			return;
		}
	}
}

/* Tokens and keys are in headers. */
static void
free_headers(struct curl_slist *list)
{
	for (struct curl_slist *at = list; at != NULL; at = at->next)
		bkc_wipe(at->data, strlen(at->data));
	curl_slist_free_all(list);
}

/* The easy handle has done its work. */
static void
release(BkcHttp *http, BkcHttpCall *call)
{
	if (call->easy != NULL)
	{
		unlink_call(http, call);
		(void) curl_multi_remove_handle(http->multi, call->easy);
		curl_easy_cleanup(call->easy);
		call->easy = NULL;
	}
	free_headers(call->header_list);
	call->header_list = NULL;
	call->paused = false;
}

static void
end_call(BkcHttp *http, BkcHttpCall *call, CURLcode code)
{
	long		sent = 0;

	(void) curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &sent);
	call->reached = sent > 0;
	bkc_http_certificate(call);

	/* for libcurl the end of a connection may also end a reply's headers */
	if (code == CURLE_OK && !call->headed && !call->connect_only)
		code = CURLE_PARTIAL_FILE;
	if (code == CURLE_OK)
		call->ok = true;
	else if (call->error.code == BKC_OK)
		bkc_http_error(call, code, &call->error);
	release(http, call);
	call->ended = true;
}

bool
bkc_http_drive(BkcHttp *http, int wait_ms, BkcError *err)
{
	CURLMcode	rc = CURLM_OK;
	CURLMsg    *message;
	sigset_t	all;
	sigset_t	before;
	int			running;
	int			left;

	if (!http->insist && !bkc_host_check(err))
		return false;

	/*
	 * libcurl resolves names in a thread of its own.  It inherits this mask,
	 * so no handler of the server's signals ever runs in it.
	 */
	sigfillset(&all);
	(void) sigprocmask(SIG_SETMASK, &all, &before);
	for (BkcHttpCall *call = http->calls; call != NULL; call = call->next)
	{
		if (call->paused && call->reply.len - call->taken < call->window / 2 + 1)
		{
			call->paused = false;
			(void) curl_easy_pause(call->easy, CURLPAUSE_CONT);
		}
	}
	rc = curl_multi_perform(http->multi, &running);
	(void) sigprocmask(SIG_SETMASK, &before, NULL);

	/* whoever waits for bytes has some; a transfer that has paused for them would not wake us */
	for (BkcHttpCall *call = http->calls; call != NULL; call = call->next)
	{
		if (call->moved && call->window > 0)
			wait_ms = 0;
		call->moved = false;
	}

	while (rc == CURLM_OK && (message = curl_multi_info_read(http->multi, &left)) != NULL)
	{
		char	   *private = NULL;

		if (message->msg == CURLMSG_DONE)
		{
			CURLcode	code = message->data.result;

			(void) curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
			end_call(http, (BkcHttpCall *) private, code);
			wait_ms = 0;
		}
	}
	if (rc == CURLM_OK && wait_ms > 0)
		rc = curl_multi_poll(http->multi, NULL, 0,
							 wait_ms < BKC_HTTP_SLICE_MS ? wait_ms : BKC_HTTP_SLICE_MS, NULL);
	if (rc == CURLM_OUT_OF_MEMORY)
		return bkc_error_oom(err);
	if (rc != CURLM_OK)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "libcurl: %s", curl_multi_strerror(rc));
	return true;
}

void
bkc_http_insist(BkcHttp *http, bool insist)
{
	http->insist = insist;
}

bool
bkc_http_finish(BkcHttp *http, BkcHttpCall *call, BkcError *err)
{
	while (!call->ended)
	{
		if (!bkc_http_drive(http, BKC_HTTP_SLICE_MS, err))
			return false;
	}
	return true;
}

size_t
bkc_http_take(BkcHttpCall *call, void *buf, size_t len)
{
	size_t		there = call->reply.len - call->taken;

	if (len > there)
		len = there;
	if (len > 0)
		memcpy(buf, call->reply.data + call->taken, len);
	call->taken += len;
	if (call->taken == call->reply.len)
	{
		bkc_buffer_reset(&call->reply);
		call->taken = 0;
	}
	return len;
}

void
bkc_http_drop(BkcHttp *http, BkcHttpCall *call)
{
	release(http, call);
	bkc_buffer_free(&call->head);
	bkc_buffer_free(&call->reply);
	bkc_error_clear(&call->error);
	call->ended = call->ok = call->reached = call->headed = false;
	call->status = 0;
	call->certificate_until = 0;
	call->taken = 0;
}

/* ---- small helpers ---- */

bool
bkc_http_header(const BkcHttpCall *call, const char *name, char *out, size_t outlen)
{
	size_t		len = strlen(name);

	for (const char *line = bkc_buffer_str(&call->head); *line != '\0';)
	{
		const char *end = strchr(line, '\n');
		const char *value = line + len + 1;

		if (end == NULL)
			break;
		if (strncasecmp(line, name, len) == 0 && line[len] == ':')
		{
			while (*value == ' ' || *value == '\t')
				value++;
			if ((size_t) (end - value) >= outlen)
				return false;
			memcpy(out, value, (size_t) (end - value));
			out[end - value] = '\0';
			return true;
		}
		line = end + 1;
	}
	return false;
}

bool
bkc_http_escape(BkcBuffer *out, const char *text, bool keep_slash, BkcError *err)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	for (; *text != '\0'; text++)
	{
		bool		ok = strchr(plain, *text) != NULL || (keep_slash && *text == '/')
			? bkc_buffer_append(out, text, 1, err)
			: bkc_buffer_printf(out, err, "%%%02X", (unsigned) (unsigned char) *text);

		if (!ok)
			return false;
	}
	return true;
}
