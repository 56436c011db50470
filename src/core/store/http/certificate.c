/*
 * certificate.c
 *		Until when a server's certificate is valid.
 *
 * Only its own: the others of the chain are renewed by the authority, and an old root that a server
 * still sends along does no harm.
 */
#include "store/http/inner.h"

#include <string.h>
#include <time.h>

#include <curl/curl.h>

#define LABEL	"Expire date:"

bool
bkc_http_parse_end(const char *text, int64_t *usec)
{
	/* as OpenSSL writes it, and as libcurl does with other libraries */
	static const char *const forms[] = {"%b %d %H:%M:%S %Y GMT", "%Y-%m-%d %H:%M:%S GMT"};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
	{
		struct tm	tm = {0};
		const char *end = strptime(text, forms[i], &tm);

		if (end != NULL && *end == '\0')
		{
			*usec = (int64_t) timegm(&tm) * 1000000;
			return true;
		}
	}
	return false;
}

void
bkc_http_certificate(BkcHttpCall *call)
{
	struct curl_certinfo *info = NULL;

	if (curl_easy_getinfo(call->easy, CURLINFO_CERTINFO, &info) != CURLE_OK || info == NULL ||
		info->num_of_certs < 1)
		return;
	for (struct curl_slist *at = info->certinfo[0]; at != NULL; at = at->next)
	{
		if (strncmp(at->data, LABEL, strlen(LABEL)) == 0)
			(void) bkc_http_parse_end(at->data + strlen(LABEL), &call->certificate_until);
	}
}
