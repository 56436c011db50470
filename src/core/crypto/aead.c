/*
 * aead.c
 *		AES-256-GCM (contract: aead.h).
 *
 * The key schedule is computed once for each object's key; a frame only sets
 * another nonce.
 */
#include "crypto/aead.h"

#include <limits.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "crypto/digest.h"
#include "crypto/inner.h"

struct BkcAead
{
	bool		seal;
	EVP_CIPHER *cipher;
	EVP_CIPHER_CTX *ctx;
};

bool
bkc_aead_new(const uint8_t key[BKC_AEAD_KEY_SIZE], bool seal, BkcAead **aead, BkcError *err)
{
	BkcAead    *new = calloc(1, sizeof(*new));

	*aead = NULL;
	if (new == NULL)
		return bkc_error_oom(err);
	new->seal = seal;
	new->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	if (new->cipher == NULL)
	{
		bkc_crypto_error(err, BKC_ERR_UNSUPPORTED, "OpenSSL does not offer AES-256-GCM");
		goto fail;
	}
	new->ctx = EVP_CIPHER_CTX_new();
	if (new->ctx == NULL)
	{
		ERR_clear_error();
		bkc_error_oom(err);
		goto fail;
	}

	/* its nonces have the 12 bytes of ours by default */
	if (EVP_CipherInit_ex2(new->ctx, new->cipher, key, NULL, seal ? 1 : 0, NULL) != 1 ||
		EVP_CIPHER_CTX_get_iv_length(new->ctx) != BKC_AEAD_NONCE_SIZE)
	{
		bkc_crypto_error(err, BKC_ERR_INTERNAL, "could not begin with AES-256-GCM");
		goto fail;
	}
	*aead = new;
	return true;

fail:
	bkc_aead_free(new);
	return false;
}

/* Everything but the tag. */
static bool
run(BkcAead *aead, const uint8_t *nonce, const void *aad, size_t aadlen, const void *in,
	size_t len, void *out, BkcError *err)
{
	int			got = 0;

	if (aadlen > INT_MAX || len > INT_MAX)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "AES-256-GCM over %zu bytes", len);
	if (EVP_CipherInit_ex2(aead->ctx, NULL, NULL, nonce, -1, NULL) != 1 ||
		(aadlen > 0 && EVP_CipherUpdate(aead->ctx, NULL, &got, aad, (int) aadlen) != 1) ||
		(len > 0 && EVP_CipherUpdate(aead->ctx, out, &got, in, (int) len) != 1))
		return bkc_crypto_error(err, BKC_ERR_INTERNAL, "could not run AES-256-GCM");
	return true;
}

bool
bkc_aead_seal(BkcAead *aead, const uint8_t nonce[BKC_AEAD_NONCE_SIZE],
			  const void *aad, size_t aadlen, const void *in, size_t len,
			  void *out, uint8_t tag[BKC_AEAD_TAG_SIZE], BkcError *err)
{
	uint8_t		rest[EVP_MAX_BLOCK_LENGTH];
	int			got = 0;

	if (!aead->seal)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "a key for opening was used for sealing");
	if (!run(aead, nonce, aad, aadlen, in, len, out, err))
		return false;
	if (EVP_CipherFinal_ex(aead->ctx, rest, &got) != 1 || got != 0 ||
		EVP_CIPHER_CTX_ctrl(aead->ctx, EVP_CTRL_AEAD_GET_TAG, BKC_AEAD_TAG_SIZE, tag) != 1)
		return bkc_crypto_error(err, BKC_ERR_INTERNAL, "could not finish AES-256-GCM");
	return true;
}

bool
bkc_aead_open(BkcAead *aead, const uint8_t nonce[BKC_AEAD_NONCE_SIZE],
			  const void *aad, size_t aadlen, const void *in, size_t len,
			  void *out, const uint8_t tag[BKC_AEAD_TAG_SIZE], bool *good, BkcError *err)
{
	uint8_t		rest[EVP_MAX_BLOCK_LENGTH];
	int			got = 0;

	*good = false;
	if (aead->seal)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "a key for sealing was used for opening");
	if (!run(aead, nonce, aad, aadlen, in, len, out, err))
	{
		bkc_wipe(out, len);
		return false;
	}
	if (EVP_CIPHER_CTX_ctrl(aead->ctx, EVP_CTRL_AEAD_SET_TAG, BKC_AEAD_TAG_SIZE,
							(void *) tag) != 1)
	{
		bkc_wipe(out, len);
		return bkc_crypto_error(err, BKC_ERR_INTERNAL, "could not finish AES-256-GCM");
	}
	*good = EVP_CipherFinal_ex(aead->ctx, rest, &got) == 1;
	if (!*good)
	{
		/* nobody may see what was not authenticated */
		bkc_wipe(out, len);
		ERR_clear_error();
	}
	return true;
}

void
bkc_aead_free(BkcAead *aead)
{
	if (aead == NULL)
		return;
	EVP_CIPHER_CTX_free(aead->ctx);
	EVP_CIPHER_free(aead->cipher);
	free(aead);
}
