/*
 * error.c
 *		What a failed transfer means, and what to do about it.
 */
#include "store/http/inner.h"

#include <string.h>

#include <curl/curl.h>

static const struct
{
	CURLcode	curl;
	BkcErrorCode code;
	const char *what;
	const char *hint;			/* or NULL */
}			meanings[] = {
	{CURLE_COULDNT_RESOLVE_HOST, BKC_ERR_UNAVAILABLE, "could not resolve the name of the host",
	"Check the endpoint in the repository's URL, and this machine's name service."},
	{CURLE_COULDNT_RESOLVE_PROXY, BKC_ERR_UNAVAILABLE, "could not resolve the name of the proxy",
	"Check \"proxy\" in the repository's URL."},
	{CURLE_COULDNT_CONNECT, BKC_ERR_UNAVAILABLE, "could not connect", NULL},
	{CURLE_OPERATION_TIMEDOUT, BKC_ERR_TIMEOUT, "timed out", NULL},
	{CURLE_PEER_FAILED_VERIFICATION, BKC_ERR_ACCESS, "the server's certificate is not trusted",
	"If it was issued by an authority of your own, name its certificate as \"ca_file\" in the repository's URL."},
	{CURLE_SSL_CACERT_BADFILE, BKC_ERR_INVALID, "could not read the certificates of authorities",
	"Check \"ca_file\" in the repository's URL."},
	{CURLE_SSL_CONNECT_ERROR, BKC_ERR_UNAVAILABLE, "could not agree on TLS",
	"Check that the endpoint speaks TLS on that port; for plain HTTP write endpoint=http://..."},
	{CURLE_SEND_ERROR, BKC_ERR_UNAVAILABLE, "the connection broke while sending", NULL},
	{CURLE_RECV_ERROR, BKC_ERR_UNAVAILABLE, "the connection broke while receiving", NULL},
	{CURLE_GOT_NOTHING, BKC_ERR_UNAVAILABLE, "the server closed the connection without a reply", NULL},
	{CURLE_PARTIAL_FILE, BKC_ERR_UNAVAILABLE, "the reply was cut off", NULL},
	{CURLE_WEIRD_SERVER_REPLY, BKC_ERR_UNAVAILABLE, "the server does not answer in HTTP", NULL},
	{CURLE_UNSUPPORTED_PROTOCOL, BKC_ERR_INVALID, "the URL is not for HTTP", NULL},
	{CURLE_URL_MALFORMAT, BKC_ERR_INVALID, "the URL is malformed", NULL},
	{CURLE_OUT_OF_MEMORY, BKC_ERR_NO_MEMORY, "out of memory", NULL},
};

/* scheme://host[:port] of a URL, for messages: the rest may be long and tells nothing. */
static int
origin_length(const char *url)
{
	const char *host = strstr(url, "://");

	host = host != NULL ? host + 3 : url;
	return (int) (host - url) + (int) strcspn(host, "/?");
}

void
bkc_http_error(const BkcHttpCall *call, int code, BkcError *err)
{
	const char *text = call->curl_text[0] != '\0' ? call->curl_text
		: curl_easy_strerror((CURLcode) code);
	BkcErrorCode meaning = BKC_ERR_UNAVAILABLE;
	const char *what = "the transfer failed";
	const char *hint = NULL;

	/* what is no HTTP counts as HTTP/0.9 for libcurl */
	if (code == (int) CURLE_UNSUPPORTED_PROTOCOL && call->reached)
		code = (int) CURLE_WEIRD_SERVER_REPLY;
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
	{
		if ((int) meanings[i].curl == code)
		{
			meaning = meanings[i].code;
			what = meanings[i].what;
			hint = meanings[i].hint;
		}
	}
	bkc_error_set(err, meaning, "%.*s: %s: %s", origin_length(call->url), call->url, what, text);
	if (hint != NULL)
		bkc_error_hint(err, "%s", hint);
}
