/*
 * smtp.c
 *		See smtp.h.
 */
#include "store/http/smtp.h"

#include <signal.h>
#include <string.h>

#include <curl/curl.h>

#include "base/host.h"
#include "store/http/http.h"

typedef struct Mail
{
	const BkcSmtp *smtp;
	CURLM	   *multi;
	CURL	   *easy;
	struct curl_slist *to;
	size_t		sent;
	char		text[CURL_ERROR_SIZE];
} Mail;

static size_t
give_message(char *out, size_t size, size_t n, void *arg)
{
	Mail	   *mail = arg;
	size_t		left = mail->smtp->message_len - mail->sent;
	size_t		len = size * n < left ? size * n : left;

	memcpy(out, (const char *) mail->smtp->message + mail->sent, len);
	mail->sent += len;
	return len;
}

static size_t
take_nothing(char *data, size_t size, size_t n, void *arg)
{
	return size * n;
}

static bool
set_options(Mail *mail, BkcError *err)
{
	const BkcSmtp *smtp = mail->smtp;
	CURL	   *easy = mail->easy;
	CURLcode	rc = CURLE_OK;

	for (size_t i = 0; smtp->to[i] != NULL; i++)
	{
		struct curl_slist *longer = curl_slist_append(mail->to, smtp->to[i]);

		if (longer == NULL)
			return bkc_error_oom(err);
		mail->to = longer;
	}

#define SET(option, value) \
	do { if (rc == CURLE_OK) rc = curl_easy_setopt(easy, option, value); } while (0)

	SET(CURLOPT_URL, smtp->url);
	SET(CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	SET(CURLOPT_USE_SSL, smtp->plain ? (long) CURLUSESSL_NONE : (long) CURLUSESSL_ALL);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	if (smtp->ca_file != NULL)
	{
		SET(CURLOPT_CAINFO, smtp->ca_file);
		SET(CURLOPT_CAPATH, NULL);
	}
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NOPROXY, "");
#if LIBCURL_VERSION_NUM >= 0x075700
	SET(CURLOPT_QUICK_EXIT, 1L);
#endif
	if (smtp->user != NULL)
	{
		SET(CURLOPT_USERNAME, smtp->user);
		SET(CURLOPT_PASSWORD, smtp->password != NULL ? smtp->password : "");
	}
	SET(CURLOPT_MAIL_FROM, smtp->from);
	SET(CURLOPT_MAIL_RCPT, mail->to);
	SET(CURLOPT_CONNECT_ONLY, smtp->connect_only ? 1L : 0L);
	SET(CURLOPT_UPLOAD, 1L);
	SET(CURLOPT_READFUNCTION, give_message);
	SET(CURLOPT_READDATA, mail);
	SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t) smtp->message_len);
	SET(CURLOPT_WRITEFUNCTION, take_nothing);
	SET(CURLOPT_ERRORBUFFER, mail->text);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long) smtp->connect_ms);
	SET(CURLOPT_SERVER_RESPONSE_TIMEOUT, (long) ((smtp->stall_ms + 999) / 1000));
	SET(CURLOPT_TIMEOUT_MS, (long) smtp->total_ms);
#undef SET
	if (rc == CURLE_OUT_OF_MEMORY)
		return bkc_error_oom(err);
	if (rc != CURLE_OK)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "libcurl: %s", curl_easy_strerror(rc));
	return true;
}

static bool
explain(Mail *mail, CURLcode code, BkcError *err)
{
	const char *text = mail->text[0] != '\0' ? mail->text : curl_easy_strerror(code);
	BkcErrorCode meaning = BKC_ERR_UNAVAILABLE;
	const char *what = "the mail was not taken";
	long		reply = 0;

	(void) curl_easy_getinfo(mail->easy, CURLINFO_RESPONSE_CODE, &reply);
	switch (code)
	{
		case CURLE_COULDNT_RESOLVE_HOST:
			what = "could not resolve the name of the host";
			break;
		case CURLE_COULDNT_CONNECT:
			what = "could not connect";
			break;
		case CURLE_OPERATION_TIMEDOUT:
			meaning = BKC_ERR_TIMEOUT;
			what = "timed out";
			break;
		case CURLE_LOGIN_DENIED:
			meaning = BKC_ERR_ACCESS;
			what = "the server refuses the login";
			break;
		case CURLE_PEER_FAILED_VERIFICATION:
		case CURLE_SSL_CACERT_BADFILE:
			meaning = BKC_ERR_ACCESS;
			what = "the server's certificate is not trusted";
			break;
		case CURLE_USE_SSL_FAILED:
			meaning = BKC_ERR_ACCESS;
			what = "the server does not offer STARTTLS";
			break;
		case CURLE_URL_MALFORMAT:
		case CURLE_UNSUPPORTED_PROTOCOL:
			meaning = BKC_ERR_INVALID;
			what = "the URL is not one of a mail server";
			break;
		case CURLE_OUT_OF_MEMORY:
			return bkc_error_oom(err);
		default:
			if (reply >= 500 && reply < 600)
				meaning = BKC_ERR_INVALID;
	}
	return bkc_error_set(err, meaning, "%s: %s: %s", mail->smtp->url, what, text);
}

/* Once around: true with *done when it is over. */
static bool
drive(Mail *mail, bool *done, CURLcode *code, BkcError *err)
{
	sigset_t	all;
	sigset_t	before;
	CURLMcode	rc;
	CURLMsg    *message;
	int			running;
	int			left;

	if (!bkc_host_check(err))
		return false;

	/* as in http.c: no handler of the server's signals runs in libcurl's thread */
	sigfillset(&all);
	(void) sigprocmask(SIG_SETMASK, &all, &before);
	rc = curl_multi_perform(mail->multi, &running);
	(void) sigprocmask(SIG_SETMASK, &before, NULL);
	while (rc == CURLM_OK && (message = curl_multi_info_read(mail->multi, &left)) != NULL)
	{
		if (message->msg == CURLMSG_DONE)
		{
			*code = message->data.result;
			*done = true;
		}
	}
	if (rc == CURLM_OK && !*done)
		rc = curl_multi_poll(mail->multi, NULL, 0, BKC_HTTP_SLICE_MS, NULL);
	if (rc == CURLM_OUT_OF_MEMORY)
		return bkc_error_oom(err);
	if (rc != CURLM_OK)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "libcurl: %s", curl_multi_strerror(rc));
	return true;
}

bool
bkc_smtp_send(const BkcSmtp *smtp, BkcError *err)
{
	Mail		mail = {.smtp = smtp};
	CURLcode	code = CURLE_OK;
	bool		added = false;
	bool		done = false;
	bool		ok = false;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "could not initialize libcurl");
	mail.multi = curl_multi_init();
	mail.easy = curl_easy_init();
	if (mail.multi == NULL || mail.easy == NULL)
	{
		bkc_error_oom(err);
		goto done;
	}
	if (!set_options(&mail, err))
		goto done;
	added = curl_multi_add_handle(mail.multi, mail.easy) == CURLM_OK;
	if (!added)
	{
		bkc_error_oom(err);
		goto done;
	}
	ok = true;
	while (ok && !done)
		ok = drive(&mail, &done, &code, err);
	if (ok && code != CURLE_OK)
		ok = explain(&mail, code, err);
done:
	if (added)
		(void) curl_multi_remove_handle(mail.multi, mail.easy);
	curl_easy_cleanup(mail.easy);
	if (mail.multi != NULL)
		curl_multi_cleanup(mail.multi);
	curl_slist_free_all(mail.to);
	curl_global_cleanup();
	return ok;
}
