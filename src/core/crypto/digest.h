/*
 * digest.h
 *		SHA-256, HMAC and HKDF with it, scrypt, and MD5 where a protocol asks for it,
 *		by OpenSSL's EVP interface.
 */
#ifndef BKC_CRYPTO_DIGEST_H
#define BKC_CRYPTO_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define BKC_SHA256_SIZE		32

typedef struct BkcSha256 BkcSha256;

/* NULL and err when OpenSSL cannot (a FIPS provider without it, out of memory). */
extern BkcSha256 *bkc_sha256_new(BkcError *err);

/* May be called again for the next message. */
extern bool bkc_sha256_begin(BkcSha256 *h, BkcError *err);
extern bool bkc_sha256_update(BkcSha256 *h, const void *data, size_t len, BkcError *err);
extern bool bkc_sha256_end(BkcSha256 *h, uint8_t out[BKC_SHA256_SIZE], BkcError *err);
extern void bkc_sha256_free(BkcSha256 *h);	/* NULL is fine */

/* One message at once. */
extern bool bkc_sha256(const void *data, size_t len, uint8_t out[BKC_SHA256_SIZE], BkcError *err);

/* RFC 2104 with SHA-256. */
extern bool bkc_hmac_sha256(const void *key, size_t keylen, const void *data, size_t len,
							uint8_t		out[BKC_SHA256_SIZE], BkcError *err);

/*
 * One message at once, against accidents only: S3 wants it for some requests.
 * BKC_ERR_UNSUPPORTED where OpenSSL's provider has none (FIPS).
 */
#define BKC_MD5_SIZE		16
extern bool bkc_md5(const void *data, size_t len, uint8_t out[BKC_MD5_SIZE], BkcError *err);

/* RFC 5869 with SHA-256; okmlen at most 255 * 32. */
extern bool bkc_hkdf_sha256(const uint8_t *ikm, size_t ikmlen,
							const uint8_t *salt, size_t saltlen,
							const uint8_t *info, size_t infolen,
							uint8_t *okm, size_t okmlen, BkcError *err);

/* RFC 7914. */
extern bool bkc_scrypt(const void *pass, size_t passlen, const void *salt, size_t saltlen,
					   uint64_t n, uint32_t r, uint32_t p, void *out, size_t outlen,
					   BkcError *err);

/* Takes the same time wherever they differ. */
extern bool bkc_equal(const void *a, const void *b, size_t len);

/* memset that is not optimised away. */
extern void bkc_wipe(void *p, size_t len);

#endif							/* BKC_CRYPTO_DIGEST_H */
