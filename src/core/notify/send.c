/*
 * send.c
 *		See send.h.
 */
#include "notify/send.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "notify/cloudwatch.h"
#include "notify/inner.h"
#include "store/http/http.h"
#include "store/http/smtp.h"

#define SECRET_MAX		4096
#define URL_MAX_BYTES	2048
#define SHOWN_MAX		200		/* of a server's words */
#define WAIT_MAX_S		3600
#define RECIPIENTS_MAX	50

bool
bkc_target_kind(const char *name, BkcTargetKind *kind, BkcError *err)
{
	static const char *const names[] = {"webhook", "slack", "email", "cloudwatch"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		if (strcmp(names[i], name) == 0)
		{
			*kind = (BkcTargetKind) i;
			return true;
		}
	}
	bkc_error_set(err, BKC_ERR_INVALID, "target kind \"%s\" is not known", name);
	return bkc_error_hint(err, "Kinds are: webhook, slack, email, cloudwatch.");
}

/* ---- secrets ---- */

static void
forget(BkcBuffer *secret)
{
	if (secret->data != NULL)
		bkc_wipe(secret->data, secret->cap);
	bkc_buffer_free(secret);
}

/* One line; white space at its end does not count. */
static bool
read_secret(const char *path, BkcBuffer *secret, BkcError *err)
{
	if (path[0] != '/')
		return bkc_error_set(err, BKC_ERR_INVALID, "the path of the secret file must be absolute");

	/* room for all of it: growing would leave copies behind */
	if (!bkc_buffer_reserve(secret, SECRET_MAX + 1, err) ||
		!bkc_file_slurp_secret(path, SECRET_MAX, secret, err))
		return false;
	while (secret->len > 0 && strchr(" \t\r\n", secret->data[secret->len - 1]) != NULL)
		secret->data[--secret->len] = '\0';
	for (size_t i = 0; i < secret->len; i++)
	{
		if (secret->data[i] < 0x20 || secret->data[i] == 0x7f)
			return bkc_error_set(err, BKC_ERR_INVALID, "secret file \"%s\" does not hold one line of text", path);
	}
	if (secret->len == 0)
		return bkc_error_set(err, BKC_ERR_INVALID, "secret file \"%s\" is empty", path);
	return true;
}

/* ---- URLs ---- */

static bool
is_loopback(const char *host, size_t len)
{
	static const char *const names[] = {"127.0.0.1", "localhost", "[::1]"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		if (strlen(names[i]) == len && strncasecmp(names[i], host, len) == 0)
			return true;
	}
	return false;
}

bool
bkc_notify_check_url(const char *url, BkcTargetKind kind, bool plain, BkcError *err)
{
	bool		mail = kind == BKC_TARGET_EMAIL;
	const char *tls = mail ? "smtps://" : "https://";
	const char *clear = mail ? "smtp://" : "http://";
	bool		is_tls = strncasecmp(url, tls, strlen(tls)) == 0;
	const char *host = url + strlen(is_tls ? tls : clear);
	size_t		len;

	if (strlen(url) > URL_MAX_BYTES)
		return bkc_error_set(err, BKC_ERR_INVALID, "the URL is too long");
	if (!is_tls && strncasecmp(url, clear, strlen(clear)) != 0)
	{
		bkc_error_set(err, BKC_ERR_INVALID, "the URL of the target does not begin with %s", tls);
		return bkc_error_hint(err, mail ? "Write smtp://HOST:587 (with STARTTLS), or smtps://HOST:465."
							  : "Other protocols are not used; http:// only for a server on this machine.");
	}
	for (const char *p = url; *p != '\0'; p++)
	{
		if ((unsigned char) *p <= 0x20 || (unsigned char) *p >= 0x7f)
			return bkc_error_set(err, BKC_ERR_INVALID, "the URL of the target has a character that must be percent-encoded");
	}
	len = strcspn(host, "/?#");
	if (len == 0 || memchr(host, '@', len) != NULL || memchr(host, '\\', len) != NULL)
	{
		bkc_error_set(err, BKC_ERR_INVALID, "the URL of the target has no plain host name");
		return bkc_error_hint(err, "User and password do not belong into a URL; use secret_file.");
	}
	if (mail && host[len] != '\0')
		return bkc_error_set(err, BKC_ERR_INVALID, "the URL of a mail server ends with its host and port");
	len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?#");
	if (!is_tls && (!mail || plain) && !is_loopback(host, len))
	{
		bkc_error_set(err, BKC_ERR_INVALID, mail ? "mail without TLS goes to this machine only"
					  : "the URL of the target must begin with https://");
		return bkc_error_hint(err, "Without TLS only 127.0.0.1, [::1] and localhost are allowed.");
	}
	return true;
}

bool
bkc_target_check(const BkcTarget *target, BkcError *err)
{
	BkcBuffer	secret = {0};
	bool		ok = true;

	if (target->ca_file != NULL && target->ca_file[0] != '/')
		return bkc_error_set(err, BKC_ERR_INVALID, "the path of ca_file must be absolute");
	if (target->kind == BKC_TARGET_CLOUDWATCH)
		return bkc_cloudwatch_check(target, err);
	if (target->secret_file != NULL)
		ok = read_secret(target->secret_file, &secret, err);
	if (ok && target->url == NULL && (target->kind == BKC_TARGET_EMAIL || secret.len == 0))
		ok = bkc_error_set(err, BKC_ERR_INVALID, "a URL must be given");
	if (ok)
		ok = bkc_notify_check_url(target->url != NULL ? target->url : (const char *) secret.data,
								  target->kind,
					   target->plain, err);
	forget(&secret);
	if (!ok)
		return false;
	if (target->kind != BKC_TARGET_EMAIL)
		return true;
	if (target->from == NULL || target->to == NULL)
		return bkc_error_set(err, BKC_ERR_INVALID, "a target of kind email needs the settings \"from\" and \"to\"");
	if (strchr(target->from, ',') != NULL)
		return bkc_error_set(err, BKC_ERR_INVALID, "\"from\" must be one address");
	if ((target->user != NULL) != (target->secret_file != NULL))
	{
		bkc_error_set(err, BKC_ERR_INVALID, "\"user\" and the file of its password belong together");
		return bkc_error_hint(err, "Give both the setting \"user\" and secret_file, or none of them.");
	}
	return bkc_mail_addresses(target->from, "from", NULL, NULL, err) &&
		bkc_mail_addresses(target->to, "to", NULL, NULL, err);
}

/* ---- HTTP ---- */

/* What the server says about it, unless it repeats what is secret. */
static void
add_words(const BkcHttpCall *call, const BkcBuffer *secret, bool secret_url, BkcError *err)
{
	char		words[SHOWN_MAX + 1];
	size_t		len = call->reply.len < SHOWN_MAX ? call->reply.len : SHOWN_MAX;

	if (len == 0 || secret_url || !bkc_utf8_valid((const char *) call->reply.data, call->reply.len))
		return;
	if (secret->len > 0 &&
		memmem(call->reply.data, call->reply.len, secret->data, secret->len) != NULL)
		return;
	len = (size_t) bkc_text_clip((const char *) call->reply.data, call->reply.len, len);
	for (size_t i = 0; i < len; i++)
		words[i] = call->reply.data[i] < 0x20 ? ' ' : (char) call->reply.data[i];
	words[len] = '\0';
	bkc_error_detail(err, "The server says: %s", words);
}

bool
bkc_notify_judge(const BkcHttpCall *call, int *wait_s, BkcError *err)
{
	int			status = call->status;
	char		after[32];
	uint64_t	seconds;

	if (status / 100 == 2)
		return true;
	if (bkc_http_header(call, "Retry-After", after, sizeof(after)) &&
		bkc_parse_u64(after, WAIT_MAX_S, &seconds))
		*wait_s = (int) seconds;
	if (status / 100 == 5 || status == 429 || status == 408 || status == 425)
		bkc_error_set(err, BKC_ERR_UNAVAILABLE, "the server answers with status %d", status);
	else if (status == 401 || status == 403)
		bkc_error_set(err, BKC_ERR_ACCESS, "the server answers with status %d", status);
	else
		bkc_error_set(err, BKC_ERR_INVALID, "the server answers with status %d", status);
	if (status / 100 == 3)
		bkc_error_hint(err, "Redirects are not followed: name the final URL.");
	err->http_status = status;
	return false;
}

/* The hints of a repository's URL are not for targets. */
bool
bkc_notify_broken(const BkcHttpCall *call, BkcError *err)
{
	*err = call->error;
	if (err->hint[0] != '\0')
		bkc_error_hint(err, "Check the target's URL, and its setting \"ca_file\" if the certificate was issued by an authority of your own.");
	return false;
}

/* body NULL: connect only. */
static bool
send_http(const BkcTarget *target, const BkcBuffer *secret, const char *body, int *wait_s,
		  BkcError *err)
{
	BkcHttpOptions options = {
		.ca_file = target->ca_file, .connect_ms = BKC_NOTIFY_CONNECT_MS,
		.stall_ms = BKC_NOTIFY_STALL_MS,
		.total_ms = target->timeout_ms > 0 ? target->timeout_ms : BKC_NOTIFY_TOTAL_MS
	};
	bool		secret_url = target->url == NULL;
	BkcHttpCall call = {.method = "POST", .body = body, .reply_max = BKC_NOTIFY_REPLY_MAX};
	BkcBuffer	token = {0};
	BkcHttp    *http = NULL;
	const char *headers[3] = {"Content-Type: application/json", NULL, NULL};
	bool		ok = false;

	call.url = secret_url ? (const char *) secret->data : target->url;
	call.body_len = body != NULL ? strlen(body) : 0;
	call.connect_only = body == NULL;
	call.headers = headers;
	call.total_ms = options.total_ms;
	if (!secret_url && secret->len > 0)
	{
		if (!bkc_buffer_reserve(&token, secret->len + 32, err) ||
			!bkc_buffer_printf(&token, err, "Authorization: Bearer %s", (const char *) secret->data))
			goto done;
		headers[1] = bkc_buffer_str(&token);
	}
	if (!bkc_http_new(&options, &http, err) ||
		!bkc_http_start(http, &call, err) ||
		!bkc_http_finish(http, &call, err))
		goto done;
	if (!call.ok)
	{
		(void) bkc_notify_broken(&call, err);
		goto done;
	}
	ok = body == NULL || bkc_notify_judge(&call, wait_s, err);
	if (!ok)
		add_words(&call, secret, secret_url, err);
done:
	forget(&token);
	if (http != NULL)
		bkc_http_drop(http, &call);
	bkc_http_close(http);
	return ok;
}

/* ---- mail ---- */

typedef struct Recipients
{
	char	   *list[RECIPIENTS_MAX + 1];
	size_t		n;
} Recipients;

static bool
add_recipient(void *arg, const char *address, BkcError *err)
{
	Recipients *to = arg;

	if (to->n == RECIPIENTS_MAX)
		return bkc_error_set(err, BKC_ERR_INVALID, "\"to\" has more than %d addresses",
							 RECIPIENTS_MAX);
	to->list[to->n] = strdup(address);
	if (to->list[to->n] == NULL)
		return bkc_error_oom(err);
	to->n++;
	return true;
}

/* notice NULL: connect and log in only. */
static bool
send_mail(const BkcTarget *target, const BkcNotice *notice, const BkcBuffer *secret, BkcError *err)
{
	BkcBuffer	message = {0};
	Recipients	to = {0};
	bool		ok;

	ok = bkc_mail_addresses(target->to, "to", add_recipient, &to, err) &&
		(notice == NULL || bkc_notice_mail(notice, target->from, target->to, &message, err));
	if (ok)
	{
		BkcSmtp		smtp = {
			.url = target->url, .plain = target->plain, .ca_file = target->ca_file,
			.user = target->user,
			.password = secret->len > 0 ? (const char *) secret->data : NULL,
			.from = target->from, .to = (const char *const *) to.list,
			.connect_only = notice == NULL, .message = message.data, .message_len = message.len,
			.connect_ms = BKC_NOTIFY_CONNECT_MS, .stall_ms = BKC_NOTIFY_STALL_MS,
			.total_ms = target->timeout_ms > 0 ? target->timeout_ms : BKC_NOTIFY_TOTAL_MS
		};

		ok = bkc_smtp_send(&smtp, err);
	}
	for (size_t i = 0; i < to.n; i++)
		free(to.list[i]);
	bkc_buffer_free(&message);
	return ok;
}

/* Files and URLs may have changed since the target was defined. */
static bool
prepare(const BkcTarget *target, BkcBuffer *secret, BkcError *err)
{
	return bkc_target_check(target, err) &&
		(target->secret_file == NULL || read_secret(target->secret_file, secret, err)) &&
		(target->url != NULL ||
		 bkc_notify_check_url((const char *) secret->data, target->kind, false, err));
}

bool
bkc_target_reach(const BkcTarget *target, BkcError *err)
{
	BkcBuffer	secret = {0};
	int			ignored = 0;
	bool		ok;

	if (target->kind == BKC_TARGET_CLOUDWATCH)
		return bkc_cloudwatch_reach(target, err);
	ok = prepare(target, &secret, err) &&
		(target->kind == BKC_TARGET_EMAIL ? send_mail(target, NULL, &secret, err)
		 : send_http(target, &secret, NULL, &ignored, err));
	forget(&secret);
	return ok;
}

bool
bkc_target_send(const BkcTarget *target, const BkcNotice *notice, const char *json, int *wait_s,
				BkcError *err)
{
	BkcBuffer	secret = {0};
	BkcBuffer	body = {0};
	bool		ok;

	*wait_s = 0;
	ok = prepare(target, &secret, err);
	if (ok && target->kind == BKC_TARGET_EMAIL)
		ok = send_mail(target, notice, &secret, err);
	else if (ok && target->kind == BKC_TARGET_SLACK)
		ok = bkc_notice_slack(notice, &body, err) &&
			send_http(target, &secret, bkc_buffer_str(&body), wait_s, err);
	else if (ok)
		ok = send_http(target, &secret, json, wait_s, err);
	forget(&secret);
	bkc_buffer_free(&body);
	return ok;
}
