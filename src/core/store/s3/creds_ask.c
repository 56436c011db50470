/*
 * creds_ask.c
 *		Asking a service for credentials: one request with a few attempts, short
 *		in time, and the JSON that most of them answer with.
 *
 * What is asked for is secret, and so may be any part of a reply: messages
 * quote none, not even where it cannot be parsed.
 */
#include "store/s3/creds_inner.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "base/text.h"
#include "crypto/digest.h"

/* Services on this machine answer at once, or are not there. */
#define NEAR_CONNECT_MS		1000
#define NEAR_STALL_MS		2000
#define NEAR_TOTAL_MS		2000
#define FAR_CONNECT_MS		5000
#define FAR_STALL_MS		5000
#define FAR_TOTAL_MS		8000

static const BkcRetryPolicy policy = {
	.max_attempts = 3,
	.first_wait_ms = 100,
	.max_wait_ms = 1000,
	.total_ms = 10000,
};

/* ---- addresses ---- */

int
bkc_s3_creds_origin(const char *url)
{
	const char *host = strstr(url, "://");

	host = host != NULL ? host + 3 : url;
	return (int) (host - url) + (int) strcspn(host, "/?#");
}

bool
bkc_s3_creds_host(const char *url, char *out, size_t outlen)
{
	const char *host = strstr(url, "://");
	size_t		whole;
	size_t		len;

	if (host == NULL)
		return false;
	host += 3;
	whole = strcspn(host, "/?#");

	/* anything else, such as a user's name, is read differently by different programs */
	if (strspn(host, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.:[]") < whole)
		return false;
	if (host[0] == '[')
	{
		host++;
		len = strcspn(host, "]");
		if (len + 2 > whole || (host[len + 1] != ':' && len + 2 != whole))
			return false;
	}
	else
	{
		len = strcspn(host, ":");
		if (len > whole)
			len = whole;
	}
	if (len == 0 || len >= outlen)
		return false;
	memcpy(out, host, len);
	out[len] = '\0';
	return true;
}

bool
bkc_s3_creds_near(const char *url)
{
	static const uint8_t ec2[] = {0xfd, 0x00, 0x0e, 0xc2};	/* fd00:ec2::/32 */
	static const uint8_t loopback[16] = {[15] = 1};
	char		host[256];
	uint8_t		a[16];

	if (!bkc_s3_creds_host(url, host, sizeof(host)))
		return false;
	if (inet_pton(AF_INET, host, a) == 1)
		return a[0] == 127 || (a[0] == 169 && a[1] == 254);
	if (inet_pton(AF_INET6, host, a) == 1)
		return memcmp(a, loopback, sizeof(a)) == 0 || memcmp(a, ec2, sizeof(ec2)) == 0 ||
			(a[0] == 0xfe && (a[1] & 0xc0) == 0x80);
	return strcasecmp(host, "localhost") == 0;
}

/* ---- one request ---- */

bool
bkc_s3_creds_http(const char *url, const BkcHttpOptions *options, BkcHttp **http, BkcError *err)
{
	bool		near = bkc_s3_creds_near(url);
	BkcHttpOptions own = *options;

	if (near)
		own.proxy = NULL;
	own.connect_ms = near ? NEAR_CONNECT_MS : FAR_CONNECT_MS;
	own.stall_ms = near ? NEAR_STALL_MS : FAR_STALL_MS;
	return bkc_http_new(&own, http, err);
}

static bool
judge(const BkcHttpCall *call, const BkcS3CredsAsk *ask, BkcError *err)
{
	if (!call->ok)
	{
		/* the hint is about the repository's URL, where this address does not come from */
		*err = call->error;
		return bkc_error_hint(err, "%s", "");
	}
	if (call->status >= 500 || call->status == 408 || call->status == 429)
	{
		bkc_error_set(err, BKC_ERR_UNAVAILABLE, "%.*s answered %d", bkc_s3_creds_origin(ask->url),
					  ask->url, call->status);
		err->http_status = call->status;
		return false;
	}
	return ask->take(ask->arg, call->status, bkc_buffer_str(&call->reply), call->reply.len, err);
}

bool
bkc_s3_creds_ask(BkcHttp *http, const BkcS3CredsAsk *ask, BkcError *err)
{
	BkcHttpCall call = {
		.method = ask->method,
		.url = ask->url,
		.headers = ask->headers,
		.body = ask->body != NULL ? ask->body->data : NULL,
		.body_len = ask->body != NULL ? ask->body->len : 0,
		.reply_max = BKC_S3_ASK_REPLY_MAX,
		.total_ms = bkc_s3_creds_near(ask->url) ? NEAR_TOTAL_MS : FAR_TOTAL_MS,
	};
	BkcRetry	retry;
	bool		ok;

	bkc_retry_begin(&retry, &policy);
	do
	{
		ok = bkc_http_start(http, &call, err) && bkc_http_finish(http, &call, err) &&
			judge(&call, ask, err);
		bkc_wipe(call.reply.data, call.reply.cap);
		bkc_http_drop(http, &call);
	} while (!ok && bkc_retry_again(&retry, err));
	return ok;
}

/* ---- JSON ---- */

bool
bkc_s3_creds_expiry(const char *text, BkcS3Creds *creds, BkcError *err)
{
	BkcError	ignored;

	if (bkc_parse_moment(text, &creds->expires, &ignored))
		return true;
	return bkc_error_set(err, BKC_ERR_UNAVAILABLE,
						 "the reply has credentials whose time of expiry is no time");
}

/* jansson frees its texts as they are. */
static void
wipe_text(json_t *root, const char *key)
{
	json_t	   *value = json_object_get(root, key);

	if (json_is_string(value))
		bkc_wipe((char *) json_string_value(value), json_string_length(value));
}

bool
bkc_s3_creds_json(const char *body, size_t len, BkcS3Creds *creds, BkcError *err)
{
	const struct
	{
		const char *key;
		char	   *out;
		size_t		len;
	}			parts[] = {
		{"AccessKeyId", creds->access_key, sizeof(creds->access_key)},
		{"SecretAccessKey", creds->secret_key, sizeof(creds->secret_key)},
		{"Token", creds->session_token, sizeof(creds->session_token)},
	};
	json_error_t ignored;		/* its text quotes the document */
	json_t	   *root = json_loadb(body, len, 0, &ignored);
	const char *code = json_string_value(json_object_get(root, "Code"));
	const char *expires = json_string_value(json_object_get(root, "Expiration"));
	bool		ok = true;

	if (!json_is_object(root))
		ok = bkc_error_set(err, BKC_ERR_UNAVAILABLE, "the reply is not a JSON object");
	else if (code != NULL && strcmp(code, "Success") != 0)
		ok = bkc_error_set(err, BKC_ERR_ACCESS, "the reply is no success but has code \"%.64s\"",
						   code);
	for (size_t i = 0; ok && i < sizeof(parts) / sizeof(parts[0]); i++)
	{
		json_t	   *value = json_object_get(root, parts[i].key);
		char		what[64];

		snprintf(what, sizeof(what), "\"%s\" of the reply", parts[i].key);
		ok = bkc_s3_creds_set(parts[i].out, parts[i].len,
							  json_is_string(value) ? json_string_value(value) : "",
							  json_string_length(value), what, err);
		if (!ok)
			err->code = BKC_ERR_UNAVAILABLE;
	}
	ok = ok && (expires == NULL || bkc_s3_creds_expiry(expires, creds, err));
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		wipe_text(root, parts[i].key);
	json_decref(root);
	return ok;
}
