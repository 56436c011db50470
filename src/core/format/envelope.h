/*
 * envelope.h
 *		The outermost layer of every object: one envelope, then frames.
 *
 *		object   = envelope frame+ [footer]
 *		frame    = header (32 bytes) payload
 *
 * The last frame carries BKC_FRAME_LAST; whatever an object of a kind may
 * have after it (a pack's footer) is of fixed size, so a cut object is
 * noticed.  FORMAT.md is normative for every byte.
 *
 * A frame's digest is XXH3-128 of its payload, seeded with a hash of its
 * header, which in turn is seeded from the salt and the object's name, so
 * that in a plain repository, too, a frame at another place or an object
 * under another name is noticed.  In sealed objects the same 16 bytes hold
 * the AES-GCM tag.
 */
#ifndef BKC_FORMAT_ENVELOPE_H
#define BKC_FORMAT_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define BKC_FORMAT_VERSION		1
#define BKC_ENVELOPE_SIZE		128
#define BKC_FRAME_HEADER_SIZE	32
#define BKC_FRAME_FIELDS_SIZE	16	/* of it, before the digest or tag */
#define BKC_FRAME_PLAIN_MAX		(1024 * 1024)
#define BKC_FRAME_STORED_MAX	BKC_FRAME_PLAIN_MAX /* what does not shrink is stored plain */
#define BKC_SALT_SIZE			32
#define BKC_DIGEST_SIZE			16
#define BKC_KEY_ID_SIZE			16
#define BKC_KEY_ID_HEX			(2 * BKC_KEY_ID_SIZE + 1)

/* The bytes of the envelope that its digest covers, and that sealing binds an object's key to. */
#define BKC_ENVELOPE_BOUND		(BKC_ENVELOPE_SIZE - BKC_DIGEST_SIZE)

typedef enum BkcKind
{
	BKC_KIND_CLUSTER = 1,
	BKC_KIND_BEGIN = 2,
	BKC_KIND_MANIFEST = 3,
	BKC_KIND_PACK = 4,
	BKC_KIND_NOTE = 5,
	BKC_KIND_WAL = 6,
	BKC_KIND_WAL_CHUNK = 7,
	BKC_KIND_KEY = 8,
	BKC_KIND_OWNER = 9,
	BKC_KIND_MAP = 10
} BkcKind;

typedef enum BkcCodec
{
	BKC_CODEC_NONE = 0,
	BKC_CODEC_GZIP = 1,			/* zlib stream (RFC 1950) per frame */
	BKC_CODEC_LZ4 = 2,			/* raw LZ4 block per frame */
	BKC_CODEC_ZSTD = 3			/* one zstd frame per frame */
} BkcCodec;

typedef enum BkcCipher
{
	BKC_CIPHER_NONE = 0,
	BKC_CIPHER_AES_256_GCM = 1
} BkcCipher;

typedef struct BkcEnvelope
{
	uint16_t	version;
	uint16_t	kind;			/* BkcKind */
	uint8_t		codec;			/* BkcCodec of frames that are not stored plain */
	uint8_t		cipher;			/* BkcCipher */
	uint8_t		key_id[BKC_KEY_ID_SIZE];	/* zeros in plain objects */
	uint8_t		salt[BKC_SALT_SIZE];	/* random, fresh for each upload */
} BkcEnvelope;

/* frame types */
#define BKC_FRAME_DATA			1	/* bytes of a file, or the object's content */
#define BKC_FRAME_INFO			2	/* JSON about the content; the first frame if present */
#define BKC_FRAME_INDEX			3	/* a pack's index; its last frame */

/* frame flags */
#define BKC_FRAME_LAST			0x01	/* no frame follows in this object */
#define BKC_FRAME_STORED		0x02	/* payload is not compressed */
#define BKC_FRAME_FLAGS_KNOWN	(BKC_FRAME_LAST | BKC_FRAME_STORED)

typedef struct BkcFrameHeader
{
	uint32_t	number;			/* from 0 within the object */
	uint32_t	stored_len;		/* bytes of payload */
	uint32_t	plain_len;		/* bytes after decompression, 1 .. BKC_FRAME_PLAIN_MAX */
	uint8_t		type;
	uint8_t		flags;
	uint8_t		digest[BKC_DIGEST_SIZE];
} BkcFrameHeader;

extern void bkc_envelope_encode(const BkcEnvelope *env, uint8_t out[BKC_ENVELOPE_SIZE]);

/*
 * Check magic, own digest, version, known kind, codec and cipher; that a key is named if and only
 * if the object is sealed, which an object with a key always is.  name is for messages.
 * BKC_ERR_CORRUPT, or BKC_ERR_UNSUPPORTED for what a newer version may have written.
 */
extern bool bkc_envelope_decode(const uint8_t in[BKC_ENVELOPE_SIZE], const char *name,
								BkcEnvelope *env, BkcError *err);

/* Seed of the frame digests of one object: depends on its salt and its name. */
extern uint64_t bkc_frame_seed(const BkcEnvelope *env, const char *name);

/* Fills hdr->digest from the other fields and the payload, and writes the header. */
extern void bkc_frame_encode(BkcFrameHeader *hdr, const void *payload, uint64_t seed,
							 uint8_t out[BKC_FRAME_HEADER_SIZE]);

/* The 16 bytes before the digest: what a sealed frame's tag authenticates besides its payload. */
extern void bkc_frame_fields(const BkcFrameHeader *hdr, uint8_t out[BKC_FRAME_FIELDS_SIZE]);

/* Writes the header of a sealed frame; hdr->digest is its tag. */
extern void bkc_frame_encode_tagged(const BkcFrameHeader *hdr,
									uint8_t		out[BKC_FRAME_HEADER_SIZE]);

/*
 * Take a header apart and check every field on its own: lengths within the
 * limits and not 0, type and flags known, the number the expected one,
 * stored_len == plain_len where STORED is set.
 */
extern bool bkc_frame_decode(const uint8_t in[BKC_FRAME_HEADER_SIZE], uint32_t expected_number,
							 const char *name, BkcFrameHeader *hdr, BkcError *err);

/* Does the payload match hdr->digest? BKC_ERR_CORRUPT names object and frame. */
extern bool bkc_frame_check(const BkcFrameHeader *hdr, const void *payload, uint64_t seed,
							const char *name, BkcError *err);

/* "none", "gzip", "lz4", "zstd"; NULL for an unknown number.  And back: false for others. */
extern const char *bkc_codec_name(int codec);
extern bool bkc_codec_parse(const char *word, BkcCodec *codec);

#endif							/* BKC_FORMAT_ENVELOPE_H */
