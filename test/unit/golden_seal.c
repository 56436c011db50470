/*
 * golden_seal.c
 *		Sealed objects by FORMAT.md alone; the rules of golden_raw.c hold here, too.
 *
 * HKDF is written out as RFC 5869 has it, so that the core's call of OpenSSL's own
 * is compared with something.
 */
#include "golden.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

/* The wrapping key of every sealed golden repository. */
static const uint8_t wrapping[32] = {
	0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10,
	0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff
};

static const char *seal_root;

void
raw_seal_root(const char *root)
{
	seal_root = root;
}

static void
hmac(const uint8_t *key, size_t keylen, const uint8_t *data, size_t len, uint8_t out[32])
{
	unsigned	outlen = 32;

	HMAC(EVP_sha256(), key, (int) keylen, data, len, out, &outlen);
}

/* RFC 5869, with at most 32 bytes of output: one round. */
static void
hkdf(const uint8_t key[32], const uint8_t *salt, const uint8_t *info, size_t len, uint8_t out[32])
{
	static const uint8_t no_salt[32];
	uint8_t		prk[32];
	uint8_t		text[512];

	hmac(salt != NULL ? salt : no_salt, 32, key, 32, prk);
	memcpy(text, info, len);
	text[len] = 1;
	hmac(prk, 32, text, len + 1, out);
}

static void
hex_of(const uint8_t *data, size_t len, char *out)
{
	for (size_t i = 0; i < len; i++)
		snprintf(out + 2 * i, 3, "%02x", data[i]);
}

static void
wrapping_id(uint8_t id[8])
{
	static const char info[] = "pg_backupctl wrapping key id";
	uint8_t		out[32];

	hkdf(wrapping, NULL, (const uint8_t *) info, strlen(info), out);
	memcpy(id, out, 8);
}

/* The data key of that id, out of its copy for our wrapping key. */
static const char *
load_data_key(const char *sysid, const uint8_t *id, const char *purpose, uint8_t key[32])
{
	RawObject	copy;
	uint8_t		wrap[8];
	char		hex[33];
	char		wrap_hex[17];
	char		name[256];
	const char *error;

	wrapping_id(wrap);
	hex_of(id, 16, hex);
	hex_of(wrap, 8, wrap_hex);
	snprintf(name, sizeof(name), "%s/keys/%s/%s", sysid, hex, wrap_hex);
	error = raw_load(seal_root, name, 8, &copy);
	if (error == NULL)
	{
		const RawFrame *frame = &copy.frames[0];

		if (frame->plain_len <= 40 || frame->plain_len > 103 || frame->flags != 3)
			error = raw_wrong("content of a key");
		else if (purpose != NULL && (frame->plain_len != 40 + strlen(purpose) ||
									 memcmp(frame->plain + 40, purpose, strlen(purpose)) != 0))
			error = raw_wrong("purpose of a key");
		else
			memcpy(key, frame->plain, 32);
	}
	raw_free(&copy);
	return error != NULL ? raw_wrong("key %s: %s", name, error) : NULL;
}

const char *
raw_object_key(const uint8_t *envelope, const char *name, uint8_t out[32])
{
	static const char prefix[] = "pg_backupctl object key";
	uint8_t		info[23 + 112 + 256];
	uint8_t		key[32];
	uint8_t		wrap[16] = {0};
	char		sysid[32];
	const char *error;
	size_t		len = strlen(name);

	if (sscanf(name, "%31[0-9]/", sysid) != 1)
		return raw_wrong("no cluster");
	if (envelope[10] == 8)
	{
		/* it says which wrapping key, as does its name */
		wrapping_id(wrap);
		if (memcmp(envelope + 16, wrap, 16) != 0)
			return raw_wrong("another wrapping key");
		memcpy(key, wrapping, 32);
	}
	else if ((error = load_data_key(sysid, envelope + 16, NULL, key)) != NULL)
		return error;
	memcpy(info, prefix, 23);
	memcpy(info + 23, envelope, 112);
	memcpy(info + 23 + 112, name, len);
	hkdf(key, envelope + 32, info, 23 + 112 + len, out);
	return NULL;
}

bool
raw_unseal(const uint8_t key[32], const uint8_t *header, uint8_t *payload, size_t len)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t		nonce[12] = {header[0], header[1], header[2], header[3], header[13] & 1};
	int			got;
	bool		good;

	good = EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
		EVP_DecryptUpdate(ctx, NULL, &got, header, 16) == 1 &&
		EVP_DecryptUpdate(ctx, payload, &got, payload, (int) len) == 1 &&
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, 16, (void *) (header + 16)) == 1 &&
		EVP_DecryptFinal_ex(ctx, payload + got, &got) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return good;
}

/* The hash in the name of a partial or conflict object, from the SHA-256 in hex. */
const char *
raw_names_hash(const char *name, const char *sha256, char out[17])
{
	static const uint8_t id[16] = {[15] = 1};
	uint8_t		key[32];
	uint8_t		digest[32];
	uint8_t		keyed[32];
	char		sysid[32];
	const char *error;

	if (sscanf(name, "%31[0-9]/", sysid) != 1)
		return raw_wrong("no cluster");
	if ((error = load_data_key(sysid, id, "names", key)) != NULL)
		return error;
	for (int i = 0; i < 32; i++)
	{
		unsigned	byte;

		if (sscanf(sha256 + 2 * i, "%2x", &byte) != 1)
			return raw_wrong("sha256");
		digest[i] = (uint8_t) byte;
	}
	hmac(key, 32, digest, 32, keyed);
	hex_of(keyed, 8, out);
	return NULL;
}
