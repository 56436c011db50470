/*
 * seal.c
 *		Sealing frames (contract: seal.h; why it is right: FORMAT.md, "Sealing").
 */
#include "pipe/seal.h"

#include <string.h>

#include "base/bytes.h"
#include "crypto/digest.h"
#include "pipe/keyring.h"

#define INFO_PREFIX		"pg_backupctl object key"

/*
 * The key of one object: bound to all of its envelope and to its name.  env's
 * bytes are in front, so the salt is in the info, too; that does no harm.
 */
static bool
object_key(const BkcSecret *key, const BkcEnvelope *env, const uint8_t *bytes, const char *name,
		   uint8_t out[BKC_AEAD_KEY_SIZE], BkcError *err)
{
	uint8_t		info[sizeof(INFO_PREFIX) - 1 + BKC_ENVELOPE_BOUND + BKC_NAME_MAX];
	size_t		len = sizeof(INFO_PREFIX) - 1;
	size_t		name_len = strlen(name);

	if (name_len >= BKC_NAME_MAX)
		return bkc_error_set(err, BKC_ERR_INVALID, "invalid object name");
	memcpy(info, INFO_PREFIX, len);
	memcpy(info + len, bytes, BKC_ENVELOPE_BOUND);
	len += BKC_ENVELOPE_BOUND;
	memcpy(info + len, name, name_len);
	len += name_len;
	return bkc_hkdf_sha256(key->bytes, BKC_SECRET_SIZE, env->salt, BKC_SALT_SIZE, info, len,
						   out, BKC_AEAD_KEY_SIZE, err);
}

static bool
use_key(BkcSeal *seal, const BkcSecret *key, bool sealing, const char *name,
		const BkcEnvelope *env, const uint8_t *bytes, BkcError *err)
{
	uint8_t		derived[BKC_AEAD_KEY_SIZE];
	bool		ok;

	ok = object_key(key, env, bytes, name, derived, err) &&
		bkc_aead_new(derived, sealing, &seal->aead, err);
	bkc_wipe(derived, sizeof(derived));
	return ok;
}

/* The object of a key is sealed with the wrapping key that its name ends in. */
static bool
name_wrapping(const char *name, BkcEnvelope *env, BkcError *err)
{
	uint8_t		data[BKC_KEY_ID_SIZE];
	uint64_t	sysid;

	memset(env->key_id, 0, sizeof(env->key_id));
	return bkc_name_parse_key(name, &sysid, data, env->key_id) ||
		bkc_error_set(err, BKC_ERR_INVALID, "\"%s\" is not the name of a key", name);
}

bool
bkc_seal_begin(BkcSeal *seal, BkcStore *store, const char *name, BkcEnvelope *env,
			   uint8_t bytes[BKC_ENVELOPE_SIZE], BkcError *err)
{
	const BkcSecret *key = NULL;
	bool		seals = true;

	memset(seal, 0, sizeof(*seal));
	if (env->kind == BKC_KIND_KEY)
	{
		if (!name_wrapping(name, env, err) ||
			!bkc_keyring_wrapping(store, name, env->key_id, &key, err))
			return false;
	}
	else if (!bkc_keyring_seals(store, &seals, err) ||
			 (seals && !bkc_keyring_for_writing(store, name, env->key_id, &key, err)))
		return false;
	env->cipher = seals ? BKC_CIPHER_AES_256_GCM : BKC_CIPHER_NONE;
	bkc_envelope_encode(env, bytes);
	if (seals)
		return use_key(seal, key, true, name, env, bytes, err);
	seal->seed = bkc_frame_seed(env, name);
	return true;
}

/* What is restored; of everything else, nothing that counts is decided by. */
static bool
is_content(int kind)
{
	return kind == BKC_KIND_MANIFEST || kind == BKC_KIND_PACK || kind == BKC_KIND_WAL ||
		kind == BKC_KIND_WAL_CHUNK || kind == BKC_KIND_MAP;
}

bool
bkc_seal_resume(BkcSeal *seal, BkcStore *store, const char *name, const BkcEnvelope *env,
				const uint8_t bytes[BKC_ENVELOPE_SIZE], BkcError *err)
{
	const BkcSecret *key = NULL;

	memset(seal, 0, sizeof(*seal));
	if (env->cipher == BKC_CIPHER_NONE)
	{
		if (bkc_keyring_only_sealed(store->keys) && is_content(env->kind))
		{
			bkc_error_set(err, BKC_ERR_KEY, "object \"%s\" is not sealed, and only sealed ones are accepted",
						  name);
			return bkc_error_hint(err, "Anybody who can write to the repository can have made it. If it is from before encryption was turned on, leave out --require-encryption and encryption=required.");
		}
		seal->seed = bkc_frame_seed(env, name);
		return true;
	}
	if (env->kind == BKC_KIND_KEY)
	{
		for (size_t i = BKC_WRAP_ID_SIZE; i < BKC_KEY_ID_SIZE; i++)
		{
			if (env->key_id[i] != 0)
				return bkc_error_set(err, BKC_ERR_CORRUPT, "object \"%s\" names no key of a user",
									 name);
		}
		if (!bkc_keyring_wrapping(store, name, env->key_id, &key, err))
			return false;
	}
	else if (!bkc_keyring_for_reading(store, name, env->key_id, &key, err))
		return false;
	return use_key(seal, key, false, name, env, bytes, err);
}

bool
bkc_seal_active(const BkcSeal *seal)
{
	return seal->aead != NULL;
}

static void
make_nonce(const BkcFrameHeader *hdr, uint8_t nonce[BKC_AEAD_NONCE_SIZE])
{
	memset(nonce, 0, BKC_AEAD_NONCE_SIZE);
	bkc_put_u32(nonce, hdr->number);
	nonce[4] = hdr->flags & BKC_FRAME_LAST;
}

bool
bkc_seal_frame(BkcSeal *seal, BkcFrameHeader *hdr, const uint8_t *payload, uint8_t *sealed,
			   uint8_t header[BKC_FRAME_HEADER_SIZE], BkcError *err)
{
	uint8_t		fields[BKC_FRAME_FIELDS_SIZE];
	uint8_t		nonce[BKC_AEAD_NONCE_SIZE];

	if (seal->aead == NULL)
	{
		bkc_frame_encode(hdr, payload, seal->seed, header);
		return true;
	}
	bkc_frame_fields(hdr, fields);
	make_nonce(hdr, nonce);
	if (!bkc_aead_seal(seal->aead, nonce, fields, sizeof(fields), payload, hdr->stored_len,
					   sealed, hdr->digest, err))
		return false;
	bkc_frame_encode_tagged(hdr, header);
	return true;
}

bool
bkc_seal_open(BkcSeal *seal, const BkcFrameHeader *hdr, const uint8_t *payload, uint8_t *plain,
			  const char *name, BkcError *err)
{
	uint8_t		fields[BKC_FRAME_FIELDS_SIZE];
	uint8_t		nonce[BKC_AEAD_NONCE_SIZE];
	bool		good;

	if (seal->aead == NULL)
		return bkc_frame_check(hdr, payload, seal->seed, name, err);
	bkc_frame_fields(hdr, fields);
	make_nonce(hdr, nonce);
	if (!bkc_aead_open(seal->aead, nonce, fields, sizeof(fields), payload, hdr->stored_len,
					   plain, hdr->digest, &good, err))
		return false;
	return good ||
		bkc_error_set(err, BKC_ERR_CORRUPT, "frame %u of object \"%s\" is damaged or was tampered with",
					  hdr->number, name);
}

void
bkc_seal_free(BkcSeal *seal)
{
	bkc_aead_free(seal->aead);
	seal->aead = NULL;
}
