/*
 * aead.h
 *		AES-256-GCM, by OpenSSL's EVP interface.
 *
 * Who calls it must never use a nonce twice with the same key for sealing.
 */
#ifndef BKC_CRYPTO_AEAD_H
#define BKC_CRYPTO_AEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define BKC_AEAD_KEY_SIZE	32
#define BKC_AEAD_NONCE_SIZE	12
#define BKC_AEAD_TAG_SIZE	16

typedef struct BkcAead BkcAead;

/* One key, for many messages in one direction: to seal or to open them.  The key is not kept. */
extern bool bkc_aead_new(const uint8_t key[BKC_AEAD_KEY_SIZE], bool seal, BkcAead **aead,
						 BkcError *err);

/* out has len bytes and may be in; tag is written. */
extern bool bkc_aead_seal(BkcAead *aead, const uint8_t nonce[BKC_AEAD_NONCE_SIZE],
						  const void *aad, size_t aadlen, const void *in, size_t len,
						  void *out, uint8_t tag[BKC_AEAD_TAG_SIZE], BkcError *err);

/*
 * *good = false, and out is all zero: something is not what was sealed.  false only when OpenSSL
 * cannot.
 */
extern bool bkc_aead_open(BkcAead *aead, const uint8_t nonce[BKC_AEAD_NONCE_SIZE],
						  const void *aad, size_t aadlen, const void *in, size_t len,
						  void *out, const uint8_t tag[BKC_AEAD_TAG_SIZE], bool *good,
						  BkcError *err);
extern void bkc_aead_free(BkcAead *aead);	/* NULL is fine; wipes what it knows of the key */

#endif							/* BKC_CRYPTO_AEAD_H */
