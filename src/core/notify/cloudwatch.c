/*
 * cloudwatch.c
 *		See cloudwatch.h.  The request is AWS's Query form: names and values, as in a URL.
 */
#include "notify/cloudwatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/host.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "notify/inner.h"
#include "store/s3/sign.h"

#define API_VERSION		"2010-08-01"
#define FORM			"application/x-www-form-urlencoded; charset=utf-8"
#define REGION_MAX		64
#define CODE_MAX		64
#define URL_LEN			512

/* ---- what a target says ---- */

static bool
region_is_valid(const char *region)
{
	size_t		len = strlen(region);

	return len > 0 && len < REGION_MAX &&
		strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

/* scheme://host[:port] of the endpoint, without a path. */
static void
endpoint(const BkcTarget *target, char url[URL_LEN])
{
	if (target->url != NULL)
		snprintf(url, URL_LEN, "%s", target->url);
	else
		snprintf(url, URL_LEN, "https://monitoring.%s.amazonaws.com%s", target->region,
				 strncmp(target->region, "cn-", 3) == 0 ? ".cn" : "");
	if (url[0] != '\0' && url[strlen(url) - 1] == '/')
		url[strlen(url) - 1] = '\0';
}

static bool
make_chain(const BkcTarget *target, BkcS3CredsChain **chain, BkcError *err)
{
	BkcHttpOptions options = {.connect_ms = BKC_NOTIFY_CONNECT_MS, .stall_ms = BKC_NOTIFY_STALL_MS};

	return bkc_s3_creds_new(target->secret_file, NULL, target->region, &options, chain, err);
}

bool
bkc_cloudwatch_check(const BkcTarget *target, BkcError *err)
{
	BkcS3CredsChain *chain;
	const BkcS3Creds *creds;
	char		url[URL_LEN];
	bool		ok;

	if (target->region == NULL || !region_is_valid(target->region))
	{
		bkc_error_set(err, BKC_ERR_INVALID, "a target of kind cloudwatch needs the setting \"region\"");
		return bkc_error_hint(err, "For example {\"region\": \"eu-central-1\"}.");
	}
	endpoint(target, url);
	if (!bkc_notify_check_url(url, target->kind, false, err))
		return false;
	if (strchr(strstr(url, "://") + 3, '/') != NULL || strpbrk(url, "?#") != NULL)
		return bkc_error_set(err, BKC_ERR_INVALID, "the URL of CloudWatch ends with its host and port");
	if (target->secret_file == NULL)
		return true;
	if (target->secret_file[0] != '/')
		return bkc_error_set(err, BKC_ERR_INVALID, "the path of the secret file must be absolute");

	/* a file is read without the network */
	ok = make_chain(target, &chain, err) && bkc_s3_creds_get(chain, &creds, err);
	bkc_s3_creds_free(chain);
	return ok;
}

/* ---- the request ---- */

static bool
add(BkcBuffer *out, const char *name, const char *value, BkcError *err)
{
	return bkc_buffer_printf(out, err, "&%s=", name) && bkc_http_escape(out, value, false, err);
}

static bool
add_metric(BkcBuffer *out, size_t number, const BkcMetric *m, BkcError *err)
{
	const char *const dimensions[][2] = {{"Cluster", m->cluster}, {"Repository", m->repository}};
	char		name[64];
	char		value[64];

	snprintf(value, sizeof(value), "%.3f", m->value);
	for (size_t d = 0; d < 2 && dimensions[d][1] != NULL; d++)
	{
		for (size_t part = 0; part < 2; part++)
		{
			snprintf(name, sizeof(name), "MetricData.member.%zu.Dimensions.member.%zu.%s", number,
					 d + 1, part == 0 ? "Name" : "Value");
			if (!add(out, name, dimensions[d][part], err))
				return false;
		}
	}
	snprintf(name, sizeof(name), "MetricData.member.%zu.MetricName", number);
	if (!add(out, name, m->name, err))
		return false;
	snprintf(name, sizeof(name), "MetricData.member.%zu.Unit", number);
	if (!add(out, name, m->unit, err))
		return false;
	snprintf(name, sizeof(name), "MetricData.member.%zu.Value", number);
	return add(out, name, value, err);
}

static bool
make_body(const BkcMetric *metrics, size_t n, BkcBuffer *out, BkcError *err)
{
	if (!bkc_buffer_append_str(out, "Action=PutMetricData&Version=" API_VERSION
							   "&Namespace=" BKC_CLOUDWATCH_NAMESPACE, err))
		return false;
	for (size_t i = 0; i < n; i++)
	{
		if (!add_metric(out, i + 1, &metrics[i], err))
			return false;
	}
	return true;
}

/* The value of Authorization, and the time that it is for. */
static bool
sign(const BkcTarget *target, const char *host, const BkcBuffer *body, const BkcS3Creds *creds,
	 char when[32], BkcBuffer *out, BkcError *err)
{
	uint8_t		hash[BKC_SHA256_SIZE];
	char		hex[2 * BKC_SHA256_SIZE + 1];
	time_t		seconds = (time_t) (bkc_host->now() / 1000000);
	struct tm	tm;
	BkcS3Header headers[] = {
		{(char *) "content-type", (char *) FORM},
		{(char *) "host", (char *) host},
		{(char *) "x-amz-date", when},
		{(char *) "x-amz-security-token", (char *) creds->session_token},
	};

	if (gmtime_r(&seconds, &tm) == NULL || strftime(when, 32, "%Y%m%dT%H%M%SZ", &tm) == 0)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "the clock shows a time that has no date");
	if (!bkc_sha256(body->data, body->len, hash, err))
		return false;
	bkc_hex_encode(hash, sizeof(hash), hex);
	return bkc_s3_sign(&(BkcS3SignInput) {
		.method = "POST", .path = "/", .query = "",
		.headers = headers, .nheaders = creds->session_token[0] != '\0' ? 4 : 3,
		.payload_hash = hex, .time = when, .region = target->region, .service = "monitoring",
	}, creds, out, err);
}

/* Header lines: pointers into text, which has room for all of them at once. */
static bool
make_headers(const char *when, const BkcS3Creds *creds, const BkcBuffer *authorization,
			 BkcBuffer *text, const char *lines[5], BkcError *err)
{
	size_t		starts[4];
	size_t		n = 0;

	if (!bkc_buffer_reserve(text, sizeof(FORM) + strlen(creds->session_token) +
							authorization->len + 256, err))
		return false;
	starts[n++] = text->len;
	if (!bkc_buffer_printf(text, err, "Content-Type: " FORM "%c", 0))
		return false;
	starts[n++] = text->len;
	if (!bkc_buffer_printf(text, err, "X-Amz-Date: %s%c", when, 0))
		return false;
	if (creds->session_token[0] != '\0')
	{
		starts[n++] = text->len;
		if (!bkc_buffer_printf(text, err, "X-Amz-Security-Token: %s%c", creds->session_token, 0))
			return false;
	}
	starts[n++] = text->len;
	if (!bkc_buffer_printf(text, err, "Authorization: %s%c", bkc_buffer_str(authorization), 0))
		return false;
	for (size_t i = 0; i < n; i++)
		lines[i] = (const char *) text->data + starts[i];
	lines[n] = NULL;
	return true;
}

/* The code in an error document.  Not its text: that repeats what was signed, a token among it. */
static void
add_code(const BkcHttpCall *call, BkcError *err)
{
	static const char open[] = "<Code>";
	const char *at = strstr(bkc_buffer_str(&call->reply), open);
	size_t		len;

	if (at == NULL)
		return;
	at += strlen(open);
	len = strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.");
	if (len > 0 && len < CODE_MAX)
		bkc_error_detail(err, "CloudWatch says: %.*s.", (int) len, at);
}

/* body NULL: connect only. */
static bool
transfer(const BkcTarget *target, const char *url, const char *const *headers,
		 const BkcBuffer *body, int *wait_s, BkcError *err)
{
	BkcHttpOptions options = {
		.ca_file = target->ca_file, .connect_ms = BKC_NOTIFY_CONNECT_MS,
		.stall_ms = BKC_NOTIFY_STALL_MS,
		.total_ms = target->timeout_ms > 0 ? target->timeout_ms : BKC_NOTIFY_TOTAL_MS
	};
	BkcHttpCall call = {
		.method = "POST", .url = url, .headers = headers, .connect_only = body == NULL,
		.body = body != NULL ? body->data : NULL, .body_len = body != NULL ? body->len : 0,
		.reply_max = BKC_NOTIFY_REPLY_MAX, .total_ms = options.total_ms
	};
	BkcHttp    *http = NULL;
	bool		ok;

	ok = bkc_http_new(&options, &http, err) &&
		bkc_http_start(http, &call, err) &&
		bkc_http_finish(http, &call, err) &&
		(call.ok || bkc_notify_broken(&call, err));
	if (ok && body != NULL && !bkc_notify_judge(&call, wait_s, err))
	{
		add_code(&call, err);
		ok = false;
	}
	if (http != NULL)
		bkc_http_drop(http, &call);
	bkc_http_close(http);
	return ok;
}

static bool
send_all(const BkcTarget *target, const BkcMetric *metrics, size_t n, const BkcS3Creds *creds,
		 int *wait_s, BkcError *err)
{
	char		url[URL_LEN];
	char		when[32];
	const char *lines[5];
	BkcBuffer	body = {0};
	BkcBuffer	authorization = {0};
	BkcBuffer	text = {0};
	bool		ok;

	endpoint(target, url);
	ok = make_body(metrics, n, &body, err) &&
		sign(target, strstr(url, "://") + 3, &body, creds, when, &authorization, err) &&
		make_headers(when, creds, &authorization, &text, lines, err) &&
		transfer(target, url, lines, &body, wait_s, err);
	bkc_wipe(text.data, text.len);
	bkc_buffer_free(&text);
	bkc_buffer_free(&authorization);
	bkc_buffer_free(&body);
	return ok;
}

bool
bkc_cloudwatch_send(const BkcTarget *target, const BkcMetric *metrics, size_t n, int *wait_s,
					BkcError *err)
{
	BkcS3CredsChain *chain = NULL;
	const BkcS3Creds *creds;
	bool		ok;

	*wait_s = 0;
	ok = bkc_cloudwatch_check(target, err) &&
		make_chain(target, &chain, err) &&
		bkc_s3_creds_get(chain, &creds, err) &&
		send_all(target, metrics, n, creds, wait_s, err);
	bkc_s3_creds_free(chain);
	return ok;
}

bool
bkc_cloudwatch_reach(const BkcTarget *target, BkcError *err)
{
	BkcS3CredsChain *chain = NULL;
	const BkcS3Creds *creds;
	char		url[URL_LEN];
	int			ignored;
	bool		ok;

	ok = bkc_cloudwatch_check(target, err) &&
		make_chain(target, &chain, err) &&
		bkc_s3_creds_get(chain, &creds, err);
	bkc_s3_creds_free(chain);
	if (!ok)
		return false;			/* without a region there is no endpoint */
	endpoint(target, url);
	return transfer(target, url, NULL, NULL, &ignored, err);
}
