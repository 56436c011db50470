/*
 * sign.c
 *		AWS Signature Version 4.
 *
 * Written out here because libcurl's own leaves out x-amz-content-sha256 and
 * does not sort the query.  The rules are AWS's "Create a signed AWS API
 * request"; test_s3_sign.c has the published examples.  For S3, paths are
 * encoded once, and "." and ".." are left as they are.
 */
#include "store/s3/sign.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "crypto/digest.h"

#define DATE_LEN	8			/* of "20130524T000000Z" */

/* Values with outer blanks cut and inner runs of them made one. */
static bool
append_trimmed(BkcBuffer *out, const char *value, BkcError *err)
{
	bool		blank = false;

	for (value += strspn(value, " "); *value != '\0'; value++)
	{
		if (*value == ' ')
		{
			blank = true;
			continue;
		}
		if (blank && !bkc_buffer_append(out, " ", 1, err))
			return false;
		blank = false;
		if (!bkc_buffer_append(out, value, 1, err))
			return false;
	}
	return true;
}

static bool
append_names(BkcBuffer *out, const BkcS3SignInput *in, BkcError *err)
{
	for (size_t i = 0; i < in->nheaders; i++)
	{
		if (!bkc_buffer_printf(out, err, "%s%s", i > 0 ? ";" : "", in->headers[i].name))
			return false;
	}
	return true;
}

/* The hash, in hex, of the request in its canonical form. */
static bool
hash_request(const BkcS3SignInput *in, char hex[2 * BKC_SHA256_SIZE + 1], BkcError *err)
{
	BkcBuffer	text = {0};
	uint8_t		hash[BKC_SHA256_SIZE];
	size_t		room = strlen(in->method) + strlen(in->path) + strlen(in->query) + 128;
	bool		ok;

	/* a token and an SSE-C key may be among the headers: memory that moves leaves copies behind */
	for (size_t i = 0; i < in->nheaders; i++)
		room += 2 * strlen(in->headers[i].name) + strlen(in->headers[i].value) + 4;
	ok = bkc_buffer_reserve(&text, room, err) &&
		bkc_buffer_printf(&text, err, "%s\n%s\n%s\n", in->method, in->path, in->query);
	for (size_t i = 0; ok && i < in->nheaders; i++)
		ok = bkc_buffer_printf(&text, err, "%s:", in->headers[i].name) &&
			append_trimmed(&text, in->headers[i].value, err) &&
			bkc_buffer_append(&text, "\n", 1, err);
	ok = ok && bkc_buffer_append(&text, "\n", 1, err) &&
		append_names(&text, in, err) &&
		bkc_buffer_printf(&text, err, "\n%s", in->payload_hash) &&
		bkc_sha256(text.data, text.len, hash, err);
	if (ok)
		bkc_hex_encode(hash, sizeof(hash), hex);
	bkc_wipe(text.data, text.len);
	bkc_buffer_free(&text);
	return ok;
}

/* HMAC over HMAC: secret, date, region, service, "aws4_request". */
static bool
derive_key(const BkcS3SignInput *in, const BkcS3Creds *creds, uint8_t key[BKC_SHA256_SIZE],
		   BkcError *err)
{
	char		date[DATE_LEN + 1];
	char		first[sizeof("AWS4") + BKC_S3_KEY_MAX];
	const char *steps[] = {date, in->region, in->service, "aws4_request"};
	size_t		len = strlen(creds->secret_key);
	bool		ok = true;

	memcpy(date, in->time, DATE_LEN);
	date[DATE_LEN] = '\0';
	memcpy(first, "AWS4", 4);
	memcpy(first + 4, creds->secret_key, len);
	for (size_t i = 0; ok && i < sizeof(steps) / sizeof(steps[0]); i++)
	{
		uint8_t		next[BKC_SHA256_SIZE];

		ok = bkc_hmac_sha256(i == 0 ? (const void *) first : key, i == 0 ? len + 4 : sizeof(next),
							 steps[i], strlen(steps[i]), next, err);
		memcpy(key, next, sizeof(next));
		bkc_wipe(next, sizeof(next));
	}
	bkc_wipe(first, sizeof(first));
	return ok;
}

bool
bkc_s3_sign(const BkcS3SignInput *in, const BkcS3Creds *creds, BkcBuffer *out, BkcError *err)
{
	char		scope[256];
	char		text[512];
	char		hex[2 * BKC_SHA256_SIZE + 1];
	uint8_t		key[BKC_SHA256_SIZE];
	uint8_t		signature[BKC_SHA256_SIZE];
	int			n;
	bool		ok;

	if (strlen(in->time) < DATE_LEN || strnlen(creds->secret_key, BKC_S3_KEY_MAX) == BKC_S3_KEY_MAX)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "request cannot be signed");
	if (!hash_request(in, hex, err))
		return false;
	n = snprintf(scope, sizeof(scope), "%.*s/%s/%s/aws4_request", DATE_LEN, in->time, in->region,
				 in->service);
	if (n < 0 || (size_t) n >= sizeof(scope))
		return bkc_error_set(err, BKC_ERR_INVALID, "region \"%.32s...\" is too long", in->region);
	n = snprintf(text, sizeof(text), "AWS4-HMAC-SHA256\n%s\n%s\n%s", in->time, scope, hex);
	if (n < 0 || (size_t) n >= sizeof(text))
		return bkc_error_set(err, BKC_ERR_INTERNAL, "request cannot be signed");

	ok = derive_key(in, creds, key, err) &&
		bkc_hmac_sha256(key, sizeof(key), text, (size_t) n, signature, err);
	bkc_wipe(key, sizeof(key));
	if (!ok)
		return false;
	bkc_hex_encode(signature, sizeof(signature), hex);
	return bkc_buffer_printf(out, err, "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=",
							 creds->access_key, scope) &&
		append_names(out, in, err) &&
		bkc_buffer_printf(out, err, ", Signature=%s", hex);
}
