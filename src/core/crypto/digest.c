/*
 * digest.c
 *		SHA-256, HMAC, HKDF, scrypt and MD5, by OpenSSL's EVP interface.
 *
 * The algorithm is fetched once per context: an implicit fetch at every begin
 * costs more than hashing a small message.
 */
#include "crypto/digest.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "crypto/inner.h"

#define HKDF_MAX_OUTPUT		(255 * BKC_SHA256_SIZE)

struct BkcSha256
{
	EVP_MD	   *md;
	EVP_MD_CTX *ctx;
	bool		active;			/* between begin and end */
};

bool
bkc_crypto_error(BkcError *err, BkcErrorCode code, const char *what)
{
	unsigned long number = ERR_get_error();
	char		reason[256];

	ERR_clear_error();
	if (ERR_GET_REASON(number) == ERR_R_MALLOC_FAILURE)
		return bkc_error_oom(err);
	if (number == 0)
		return bkc_error_set(err, code, "%s", what);
	ERR_error_string_n(number, reason, sizeof(reason));
	return bkc_error_set(err, code, "%s: %s", what, reason);
}

BkcSha256 *
bkc_sha256_new(BkcError *err)
{
	BkcSha256  *h = calloc(1, sizeof(*h));

	if (h == NULL)
	{
		bkc_error_oom(err);
		return NULL;
	}
	h->md = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (h->md == NULL)
	{
		bkc_crypto_error(err, BKC_ERR_UNSUPPORTED, "OpenSSL does not offer SHA-256");
		bkc_sha256_free(h);
		return NULL;
	}
	h->ctx = EVP_MD_CTX_new();
	if (h->ctx == NULL)
	{
		ERR_clear_error();
		bkc_error_oom(err);
		bkc_sha256_free(h);
		return NULL;
	}
	return h;
}

bool
bkc_sha256_begin(BkcSha256 *h, BkcError *err)
{
	h->active = EVP_DigestInit_ex2(h->ctx, h->md, NULL) == 1;
	if (!h->active)
		return bkc_crypto_error(err, BKC_ERR_INTERNAL, "could not begin a SHA-256 digest");
	return true;
}

bool
bkc_sha256_update(BkcSha256 *h, const void *data, size_t len, BkcError *err)
{
	if (!h->active)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "SHA-256 digest was not begun");
	if (len > 0 && EVP_DigestUpdate(h->ctx, data, len) != 1)
		return bkc_crypto_error(err, BKC_ERR_INTERNAL, "could not compute a SHA-256 digest");
	return true;
}

bool
bkc_sha256_end(BkcSha256 *h, uint8_t out[BKC_SHA256_SIZE], BkcError *err)
{
	if (!h->active)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "SHA-256 digest was not begun");
	h->active = false;
	if (EVP_DigestFinal_ex(h->ctx, out, NULL) != 1)
		return bkc_crypto_error(err, BKC_ERR_INTERNAL, "could not finish a SHA-256 digest");
	return true;
}

void
bkc_sha256_free(BkcSha256 *h)
{
	if (h == NULL)
		return;
	EVP_MD_CTX_free(h->ctx);
	EVP_MD_free(h->md);
	free(h);
}

bool
bkc_sha256(const void *data, size_t len, uint8_t out[BKC_SHA256_SIZE], BkcError *err)
{
	BkcSha256  *h = bkc_sha256_new(err);
	bool		ok;

	if (h == NULL)
		return false;
	ok = bkc_sha256_begin(h, err) &&
		bkc_sha256_update(h, data, len, err) &&
		bkc_sha256_end(h, out, err);
	bkc_sha256_free(h);
	return ok;
}

bool
bkc_hmac_sha256(const void *key, size_t keylen, const void *data, size_t len,
				uint8_t		out[BKC_SHA256_SIZE], BkcError *err)
{
	size_t		outlen = 0;

	if (EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, keylen, data, len, out,
				  BKC_SHA256_SIZE, &outlen) == NULL || outlen != BKC_SHA256_SIZE)
		return bkc_crypto_error(err, BKC_ERR_INTERNAL, "could not compute an HMAC-SHA-256");
	return true;
}

bool
bkc_md5(const void *data, size_t len, uint8_t out[BKC_MD5_SIZE], BkcError *err)
{
	size_t		outlen = 0;

	if (EVP_Q_digest(NULL, "MD5", NULL, data, len, out, &outlen) != 1 || outlen != BKC_MD5_SIZE)
		return bkc_crypto_error(err, BKC_ERR_UNSUPPORTED, "could not compute an MD5 digest");
	return true;
}

bool
bkc_hkdf_sha256(const uint8_t *ikm, size_t ikmlen,
				const uint8_t *salt, size_t saltlen,
				const uint8_t *info, size_t infolen,
				uint8_t *okm, size_t okmlen, BkcError *err)
{
	static const uint8_t no_salt[BKC_SHA256_SIZE];
	OSSL_PARAM	params[5];
	OSSL_PARAM *p = params;
	EVP_KDF    *kdf = NULL;
	EVP_KDF_CTX *ctx = NULL;
	bool		ok = false;

	if (ikmlen == 0 || okmlen == 0 || okmlen > HKDF_MAX_OUTPUT)
		return bkc_error_set(err, BKC_ERR_INTERNAL,
							 "HKDF cannot make %zu bytes from a key of %zu bytes",
							 okmlen, ikmlen);

	/* RFC 5869: no salt means one of zeros. */
	if (saltlen == 0)
	{
		salt = no_salt;
		saltlen = sizeof(no_salt);
	}
	*p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *) "SHA256", 0);
	*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *) ikm, ikmlen);
	*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *) salt, saltlen);
	if (infolen > 0)
		*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *) info, infolen);
	*p = OSSL_PARAM_construct_end();

	kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	if (kdf == NULL)
	{
		bkc_crypto_error(err, BKC_ERR_UNSUPPORTED, "OpenSSL does not offer HKDF");
		goto done;
	}
	ctx = EVP_KDF_CTX_new(kdf);
	if (ctx == NULL)
	{
		ERR_clear_error();
		bkc_error_oom(err);
		goto done;
	}
	if (EVP_KDF_derive(ctx, okm, okmlen, params) != 1)
	{
		bkc_wipe(okm, okmlen);
		bkc_crypto_error(err, BKC_ERR_INTERNAL, "could not derive a key by HKDF-SHA-256");
		goto done;
	}
	ok = true;

done:
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return ok;
}

/* RFC 7914; what it needs is 128 * n * r bytes and little more. */
bool
bkc_scrypt(const void *pass, size_t passlen, const void *salt, size_t saltlen,
		   uint64_t n, uint32_t r, uint32_t p, void *out, size_t outlen, BkcError *err)
{
	uint64_t	maxmem = 128 * (uint64_t) r * (n + p + 2);

	if (EVP_PBE_scrypt(pass, passlen, salt, saltlen, n, r, p, maxmem, out, outlen) == 1)
		return true;
	bkc_wipe(out, outlen);
	return bkc_crypto_error(err, BKC_ERR_UNSUPPORTED, "could not derive a key by scrypt");
}

bool
bkc_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

void
bkc_wipe(void *p, size_t len)
{
	if (len > 0)
		OPENSSL_cleanse(p, len);
}
