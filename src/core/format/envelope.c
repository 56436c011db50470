/*
 * envelope.c
 *		The envelope and the frame headers of objects (contract: envelope.h;
 *		every byte: FORMAT.md, "Objects").
 *
 * Digests run over every stored byte, so they are one-shot calls without
 * any state to allocate: a hash of the header becomes the seed of the hash
 * of the payload.
 */
#include "format/envelope.h"

#include <string.h>
#include <xxhash.h>

#include "base/bytes.h"
#include "format/names.h"

#define ENVELOPE_MAGIC			"BKCOBJ\r\n"
#define ENVELOPE_MAGIC_SIZE		8
#define ENVELOPE_DIGEST_OFFSET	(BKC_ENVELOPE_SIZE - BKC_DIGEST_SIZE)
#define DIGEST_XXH3_128			1
#define FRAME_PLAIN_LOG2		20

/* offsets within the envelope */
#define ENV_VERSION				8
#define ENV_KIND				10
#define ENV_CODEC				12
#define ENV_CIPHER				13
#define ENV_DIGEST_ALGORITHM	14
#define ENV_FRAME_LOG2			15
#define ENV_KEY_ID				16
#define ENV_SALT				32
#define ENV_RESERVED			64

/* offsets within a frame header */
#define FRAME_NUMBER			0
#define FRAME_STORED_LEN		4
#define FRAME_PLAIN_LEN			8
#define FRAME_TYPE				12
#define FRAME_FLAGS				13
#define FRAME_ZERO				14
#define FRAME_DIGEST			16

_Static_assert(FRAME_DIGEST == BKC_FRAME_FIELDS_SIZE, "the digest follows what is authenticated");
_Static_assert((1 << FRAME_PLAIN_LOG2) == BKC_FRAME_PLAIN_MAX, "frame size and its logarithm");
_Static_assert(ENV_SALT + BKC_SALT_SIZE == ENV_RESERVED, "salt ends where reserved bytes begin");
_Static_assert(sizeof(XXH128_canonical_t) == BKC_DIGEST_SIZE, "digest is XXH3-128");

static const char *const codec_names[] = {
	[BKC_CODEC_NONE] = "none",
	[BKC_CODEC_GZIP] = "gzip",
	[BKC_CODEC_LZ4] = "lz4",
	[BKC_CODEC_ZSTD] = "zstd",
};

#define CODEC_COUNT		((int) (sizeof(codec_names) / sizeof(codec_names[0])))

const char *
bkc_codec_name(int codec)
{
	return codec >= 0 && codec < CODEC_COUNT ? codec_names[codec] : NULL;
}

bool
bkc_codec_parse(const char *word, BkcCodec *codec)
{
	int			i;

	for (i = 0; i < CODEC_COUNT; i++)
	{
		if (strcmp(word, codec_names[i]) == 0)
		{
			*codec = (BkcCodec) i;
			return true;
		}
	}
	return false;
}

static bool
all_zero(const uint8_t *p, size_t len)
{
	while (len > 0)
	{
		if (p[--len] != 0)
			return false;
	}
	return true;
}

static void
digest_store(XXH128_hash_t hash, uint8_t out[BKC_DIGEST_SIZE])
{
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(&canonical, hash);
	memcpy(out, canonical.digest, BKC_DIGEST_SIZE);
}

void
bkc_envelope_encode(const BkcEnvelope *env, uint8_t out[BKC_ENVELOPE_SIZE])
{
	memset(out, 0, BKC_ENVELOPE_SIZE);
	memcpy(out, ENVELOPE_MAGIC, ENVELOPE_MAGIC_SIZE);
	bkc_put_u16(out + ENV_VERSION, env->version);
	bkc_put_u16(out + ENV_KIND, env->kind);
	out[ENV_CODEC] = env->codec;
	out[ENV_CIPHER] = env->cipher;
	out[ENV_DIGEST_ALGORITHM] = DIGEST_XXH3_128;
	out[ENV_FRAME_LOG2] = FRAME_PLAIN_LOG2;
	memcpy(out + ENV_KEY_ID, env->key_id, BKC_KEY_ID_SIZE);
	memcpy(out + ENV_SALT, env->salt, BKC_SALT_SIZE);
	digest_store(XXH3_128bits(out, ENVELOPE_DIGEST_OFFSET), out + ENVELOPE_DIGEST_OFFSET);
}

/*
 * What a newer program may have written.  Called after the envelope's
 * digest was found correct, so nothing here can be an accident.
 */
static bool
check_supported(const uint8_t *in, const char *name, const BkcEnvelope *env, BkcError *err)
{
	if (env->version != BKC_FORMAT_VERSION)
	{
		bkc_error_set(err, BKC_ERR_UNSUPPORTED,
					  "object \"%s\" has format version %u, this program knows version %d",
					  name, env->version, BKC_FORMAT_VERSION);
		return bkc_error_hint(err,
							  "Use the version of pg_backupctl that wrote it, or a newer one.");
	}
	if (env->kind < BKC_KIND_CLUSTER || env->kind > BKC_KIND_MAP)
		return bkc_error_set(err, BKC_ERR_UNSUPPORTED, "object \"%s\" is of unknown kind %u",
							 name, env->kind);
	if (bkc_codec_name(env->codec) == NULL)
		return bkc_error_set(err, BKC_ERR_UNSUPPORTED, "object \"%s\" uses unknown codec %u",
							 name, env->codec);
	if (env->cipher != BKC_CIPHER_NONE && env->cipher != BKC_CIPHER_AES_256_GCM)
		return bkc_error_set(err, BKC_ERR_UNSUPPORTED, "object \"%s\" uses unknown cipher %u",
							 name, env->cipher);
	if (in[ENV_DIGEST_ALGORITHM] != DIGEST_XXH3_128)
		return bkc_error_set(err, BKC_ERR_UNSUPPORTED,
							 "object \"%s\" uses unknown digest algorithm %u",
							 name, in[ENV_DIGEST_ALGORITHM]);
	if (in[ENV_FRAME_LOG2] != FRAME_PLAIN_LOG2)
		return bkc_error_set(err, BKC_ERR_UNSUPPORTED,
							 "object \"%s\" has frames of 2^%u bytes, this program knows 2^%d",
							 name, in[ENV_FRAME_LOG2], FRAME_PLAIN_LOG2);
	if (!all_zero(in + ENV_RESERVED, ENVELOPE_DIGEST_OFFSET - ENV_RESERVED))
		return bkc_error_set(err, BKC_ERR_UNSUPPORTED,
							 "envelope of object \"%s\" has bytes this version does not know",
							 name);
	if (env->cipher != BKC_CIPHER_NONE)
		return !all_zero(env->key_id, BKC_KEY_ID_SIZE) ||
			bkc_error_set(err, BKC_ERR_CORRUPT, "object \"%s\" is sealed but names no key", name);
	if (!all_zero(env->key_id, BKC_KEY_ID_SIZE))
		return bkc_error_set(err, BKC_ERR_CORRUPT,
							 "object \"%s\" names a key but is not sealed", name);
	if (env->kind == BKC_KIND_KEY)
		return bkc_error_set(err, BKC_ERR_CORRUPT,
							 "object \"%s\" holds a key but is not sealed", name);
	return true;
}

bool
bkc_envelope_decode(const uint8_t in[BKC_ENVELOPE_SIZE], const char *name,
					BkcEnvelope *env, BkcError *err)
{
	uint8_t		digest[BKC_DIGEST_SIZE];

	memset(env, 0, sizeof(*env));
	if (memcmp(in, ENVELOPE_MAGIC, ENVELOPE_MAGIC_SIZE) != 0)
		return bkc_error_set(err, BKC_ERR_CORRUPT,
							 "object \"%s\" does not begin with an envelope of pg_backupctl", name);
	digest_store(XXH3_128bits(in, ENVELOPE_DIGEST_OFFSET), digest);
	if (memcmp(digest, in + ENVELOPE_DIGEST_OFFSET, BKC_DIGEST_SIZE) != 0)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "envelope of object \"%s\" is damaged", name);

	env->version = bkc_get_u16(in + ENV_VERSION);
	env->kind = bkc_get_u16(in + ENV_KIND);
	env->codec = in[ENV_CODEC];
	env->cipher = in[ENV_CIPHER];
	memcpy(env->key_id, in + ENV_KEY_ID, BKC_KEY_ID_SIZE);
	memcpy(env->salt, in + ENV_SALT, BKC_SALT_SIZE);
	return check_supported(in, name, env, err);
}

/* Names are shorter than BKC_NAME_MAX wherever an object can be (bkc_name_valid). */
uint64_t
bkc_frame_seed(const BkcEnvelope *env, const char *name)
{
	uint8_t		text[BKC_SALT_SIZE + BKC_NAME_MAX];
	size_t		len = strnlen(name, BKC_NAME_MAX);

	memcpy(text, env->salt, BKC_SALT_SIZE);
	memcpy(text + BKC_SALT_SIZE, name, len);
	return XXH3_128bits(text, BKC_SALT_SIZE + len).high64;
}

void
bkc_frame_fields(const BkcFrameHeader *hdr, uint8_t out[BKC_FRAME_FIELDS_SIZE])
{
	bkc_put_u32(out + FRAME_NUMBER, hdr->number);
	bkc_put_u32(out + FRAME_STORED_LEN, hdr->stored_len);
	bkc_put_u32(out + FRAME_PLAIN_LEN, hdr->plain_len);
	out[FRAME_TYPE] = hdr->type;
	out[FRAME_FLAGS] = hdr->flags;
	bkc_put_u16(out + FRAME_ZERO, 0);
}

static void
frame_digest(const uint8_t fields[FRAME_DIGEST], const void *payload, uint32_t len, uint64_t seed,
			 uint8_t digest[BKC_DIGEST_SIZE])
{
	uint64_t	payload_seed = XXH3_64bits_withSeed(fields, FRAME_DIGEST, seed);

	digest_store(XXH3_128bits_withSeed(payload, len, payload_seed), digest);
}

void
bkc_frame_encode(BkcFrameHeader *hdr, const void *payload, uint64_t seed,
				 uint8_t out[BKC_FRAME_HEADER_SIZE])
{
	bkc_frame_fields(hdr, out);
	frame_digest(out, payload, hdr->stored_len, seed, hdr->digest);
	memcpy(out + FRAME_DIGEST, hdr->digest, BKC_DIGEST_SIZE);
}

void
bkc_frame_encode_tagged(const BkcFrameHeader *hdr, uint8_t out[BKC_FRAME_HEADER_SIZE])
{
	bkc_frame_fields(hdr, out);
	memcpy(out + FRAME_DIGEST, hdr->digest, BKC_DIGEST_SIZE);
}

bool
bkc_frame_decode(const uint8_t in[BKC_FRAME_HEADER_SIZE], uint32_t expected_number,
				 const char *name, BkcFrameHeader *hdr, BkcError *err)
{
	const char *what = NULL;

	hdr->number = bkc_get_u32(in + FRAME_NUMBER);
	hdr->stored_len = bkc_get_u32(in + FRAME_STORED_LEN);
	hdr->plain_len = bkc_get_u32(in + FRAME_PLAIN_LEN);
	hdr->type = in[FRAME_TYPE];
	hdr->flags = in[FRAME_FLAGS];
	memcpy(hdr->digest, in + FRAME_DIGEST, BKC_DIGEST_SIZE);

	if (hdr->number != expected_number)
		what = "number";
	else if (hdr->stored_len == 0 || hdr->stored_len > BKC_FRAME_STORED_MAX)
		what = "stored length";
	else if (hdr->plain_len == 0 || hdr->plain_len > BKC_FRAME_PLAIN_MAX)
		what = "plain length";
	else if (hdr->type < BKC_FRAME_DATA || hdr->type > BKC_FRAME_INDEX)
		what = "type";
	else if ((hdr->flags & ~BKC_FRAME_FLAGS_KNOWN) != 0)
		what = "flags";
	else if (bkc_get_u16(in + FRAME_ZERO) != 0)
		what = "reserved bytes";
	else if ((hdr->flags & BKC_FRAME_STORED) != 0 && hdr->stored_len != hdr->plain_len)
		what = "lengths";
	if (what != NULL)
		return bkc_error_set(err, BKC_ERR_CORRUPT,
							 "header of frame %u of object \"%s\" is damaged: wrong %s",
							 expected_number, name, what);
	return true;
}

bool
bkc_frame_check(const BkcFrameHeader *hdr, const void *payload, uint64_t seed,
				const char *name, BkcError *err)
{
	uint8_t		fields[FRAME_DIGEST];
	uint8_t		digest[BKC_DIGEST_SIZE];

	bkc_frame_fields(hdr, fields);
	frame_digest(fields, payload, hdr->stored_len, seed, digest);
	if (memcmp(digest, hdr->digest, BKC_DIGEST_SIZE) != 0)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "frame %u of object \"%s\" is damaged",
							 hdr->number, name);
	return true;
}
