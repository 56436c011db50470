/*
 * test_format_envelope.c
 *		Envelopes, frame headers and their digests.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/bytes.h"
#include "base/text.h"
#include "format/envelope.h"

#define NAME	"1/backups/20261120T120301Z-full-7f3a/data/0-0.pack"

static BkcEnvelope
sample_envelope(void)
{
	BkcEnvelope env = {.version = BKC_FORMAT_VERSION, .kind = BKC_KIND_PACK,
	.codec = BKC_CODEC_ZSTD};
	int			i;

	for (i = 0; i < BKC_SALT_SIZE; i++)
		env.salt[i] = (uint8_t) (i * 7 + 1);
	return env;
}

/* Recompute the digest, so that only the field under test is wrong. */
static void
reseal(uint8_t env[BKC_ENVELOPE_SIZE])
{
	XXH128_canonical_t digest;

	XXH128_canonicalFromHash(&digest, XXH3_128bits(env, 112));
	memcpy(env + 112, digest.digest, 16);
}

static void
envelope_bytes(void **state)
{
	BkcEnvelope env = sample_envelope();
	uint8_t		out[BKC_ENVELOPE_SIZE];
	int			i;

	bkc_envelope_encode(&env, out);
	assert_memory_equal(out, "BKCOBJ\r\n", 8);
	assert_int_equal(bkc_get_u16(out + 8), 1);
	assert_int_equal(bkc_get_u16(out + 10), BKC_KIND_PACK);
	assert_int_equal(out[12], BKC_CODEC_ZSTD);
	assert_int_equal(out[13], 0);
	assert_int_equal(out[14], 1);
	assert_int_equal(out[15], 20);
	for (i = 16; i < 32; i++)
		assert_int_equal(out[i], 0);
	assert_memory_equal(out + 32, env.salt, BKC_SALT_SIZE);
	for (i = 64; i < 112; i++)
		assert_int_equal(out[i], 0);
}

static void
envelope_round_trip(void **state)
{
	uint8_t		out[BKC_ENVELOPE_SIZE];
	BkcEnvelope env = sample_envelope();
	BkcEnvelope back;
	BkcError	err;
	int			kind;
	int			codec;

	for (kind = BKC_KIND_CLUSTER; kind <= BKC_KIND_MAP; kind++)
	{
		for (codec = BKC_CODEC_NONE; codec <= BKC_CODEC_ZSTD; codec++)
		{
			env.kind = (uint16_t) kind;
			env.codec = (uint8_t) codec;
			env.cipher = kind == BKC_KIND_KEY ? BKC_CIPHER_AES_256_GCM : BKC_CIPHER_NONE;
			env.key_id[15] = kind == BKC_KIND_KEY;
			bkc_envelope_encode(&env, out);
			assert_true(bkc_envelope_decode(out, NAME, &back, &err));
			assert_int_equal(back.version, BKC_FORMAT_VERSION);
			assert_int_equal(back.kind, kind);
			assert_int_equal(back.codec, codec);
			assert_int_equal(back.cipher, env.cipher);
			assert_memory_equal(back.salt, env.salt, BKC_SALT_SIZE);
			assert_memory_equal(back.key_id, env.key_id, BKC_KEY_ID_SIZE);
		}
	}
}

static void
envelope_each_bit_counts(void **state)
{
	BkcEnvelope env = sample_envelope();
	BkcEnvelope back;
	uint8_t		out[BKC_ENVELOPE_SIZE];
	BkcError	err;
	int			bit;

	bkc_envelope_encode(&env, out);
	for (bit = 0; bit < BKC_ENVELOPE_SIZE * 8; bit++)
	{
		out[bit / 8] ^= (uint8_t) (1 << bit % 8);
		bkc_error_clear(&err);
		assert_false(bkc_envelope_decode(out, NAME, &back, &err));
		assert_int_equal(err.code, BKC_ERR_CORRUPT);
		assert_non_null(strstr(err.message, NAME));
		out[bit / 8] ^= (uint8_t) (1 << bit % 8);
	}
	assert_true(bkc_envelope_decode(out, NAME, &back, &err));
}

/* A correct envelope with content that this version does not know. */
static void
envelope_refuses_unknown(void **state)
{
	static const struct
	{
		int			offset;
		uint8_t		value;
		BkcErrorCode code;
		const char *message;
	}			cases[] = {
		{8, 0, BKC_ERR_UNSUPPORTED, "format version 0"},
		{8, 2, BKC_ERR_UNSUPPORTED, "format version 2, this program knows version 1"},
		{9, 1, BKC_ERR_UNSUPPORTED, "format version 257"},
		{10, 0, BKC_ERR_UNSUPPORTED, "unknown kind 0"},
		{10, 11, BKC_ERR_UNSUPPORTED, "unknown kind 11"},
		{11, 1, BKC_ERR_UNSUPPORTED, "unknown kind"},
		{10, 8, BKC_ERR_CORRUPT, "holds a key but is not sealed"},
		{12, 4, BKC_ERR_UNSUPPORTED, "unknown codec 4"},
		{12, 255, BKC_ERR_UNSUPPORTED, "unknown codec 255"},
		{13, 1, BKC_ERR_CORRUPT, "is sealed but names no key"},
		{13, 2, BKC_ERR_UNSUPPORTED, "unknown cipher 2"},
		{14, 0, BKC_ERR_UNSUPPORTED, "digest algorithm"},
		{14, 2, BKC_ERR_UNSUPPORTED, "digest algorithm"},
		{15, 19, BKC_ERR_UNSUPPORTED, "2^19"},
		{15, 21, BKC_ERR_UNSUPPORTED, "2^21"},
		{16, 1, BKC_ERR_CORRUPT, "names a key but is not sealed"},
		{31, 1, BKC_ERR_CORRUPT, "names a key but is not sealed"},
		{64, 1, BKC_ERR_UNSUPPORTED, "does not know"},
		{111, 128, BKC_ERR_UNSUPPORTED, "does not know"},
	};
	BkcEnvelope env = sample_envelope();
	BkcEnvelope back;
	BkcError	err;
	size_t		i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		uint8_t		out[BKC_ENVELOPE_SIZE];

		bkc_envelope_encode(&env, out);
		out[cases[i].offset] = cases[i].value;
		reseal(out);
		bkc_error_clear(&err);
		assert_false(bkc_envelope_decode(out, NAME, &back, &err));
		assert_int_equal(err.code, cases[i].code);
		if (strstr(err.message, cases[i].message) == NULL)
			fail_msg("case %zu: \"%s\"", i, err.message);
	}
}

static void
seed_depends_on_salt_and_name(void **state)
{
	BkcEnvelope env = sample_envelope();
	uint64_t	seed = bkc_frame_seed(&env, "a/b");
	uint8_t		text[BKC_SALT_SIZE + 3];
	char		longname[1000];

	assert_true(seed == bkc_frame_seed(&env, "a/b"));
	assert_true(seed != bkc_frame_seed(&env, "a/c"));
	assert_true(seed != bkc_frame_seed(&env, "a/"));

	/* as FORMAT.md says */
	memcpy(text, env.salt, BKC_SALT_SIZE);
	memcpy(text + BKC_SALT_SIZE, "a/b", 3);
	assert_true(seed == XXH3_128bits(text, sizeof(text)).high64);

	/* codec and kind do not matter: only salt and name */
	env.codec = BKC_CODEC_NONE;
	assert_true(seed == bkc_frame_seed(&env, "a/b"));
	env.salt[BKC_SALT_SIZE - 1] ^= 1;
	assert_true(seed != bkc_frame_seed(&env, "a/b"));

	/* too long for a name, but never read beyond its end */
	memset(longname, 'x', sizeof(longname) - 1);
	longname[sizeof(longname) - 1] = '\0';
	(void) bkc_frame_seed(&env, longname);
}

static BkcFrameHeader
sample_frame(uint32_t len)
{
	BkcFrameHeader hdr = {.number = 7, .stored_len = len, .plain_len = len,
	.type = BKC_FRAME_DATA, .flags = BKC_FRAME_STORED};

	return hdr;
}

static void
frame_round_trip(void **state)
{
	static const uint32_t lengths[] = {
		1, 2, 15, 16, 17, 128, 129, 240, 241, 1023, 1024, 1025, BKC_FRAME_PLAIN_MAX - 1,
		BKC_FRAME_PLAIN_MAX
	};
	uint8_t    *payload = malloc(BKC_FRAME_PLAIN_MAX);
	size_t		i;

	assert_non_null(payload);
	for (i = 0; i < BKC_FRAME_PLAIN_MAX; i++)
		payload[i] = (uint8_t) (i * 31 >> 3);
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
	{
		BkcFrameHeader hdr = sample_frame(lengths[i]);
		BkcFrameHeader back;
		uint8_t		out[BKC_FRAME_HEADER_SIZE];
		BkcError	err;

		bkc_frame_encode(&hdr, payload, 42, out);
		assert_true(bkc_frame_decode(out, 7, NAME, &back, &err));
		assert_int_equal(back.number, 7);
		assert_int_equal(back.stored_len, lengths[i]);
		assert_int_equal(back.plain_len, lengths[i]);
		assert_int_equal(back.type, BKC_FRAME_DATA);
		assert_int_equal(back.flags, BKC_FRAME_STORED);
		assert_memory_equal(back.digest, hdr.digest, BKC_DIGEST_SIZE);
		assert_true(bkc_frame_check(&back, payload, 42, NAME, &err));

		/* another object's seed, the first and the last byte of the payload */
		assert_false(bkc_frame_check(&back, payload, 43, NAME, &err));
		assert_int_equal(err.code, BKC_ERR_CORRUPT);
		assert_non_null(strstr(err.message, "frame 7 of object \"" NAME "\""));
		payload[0] ^= 1;
		assert_false(bkc_frame_check(&back, payload, 42, NAME, &err));
		payload[0] ^= 1;
		payload[lengths[i] - 1] ^= 0x80;
		assert_false(bkc_frame_check(&back, payload, 42, NAME, &err));
		payload[lengths[i] - 1] ^= 0x80;
	}
	free(payload);
}

/* Bytes and digest exactly as FORMAT.md says, so that another program can read them. */
static void
frame_bytes(void **state)
{
	BkcFrameHeader hdr = {.number = 0x01020304, .stored_len = 5, .plain_len = 0x00060708,
	.type = BKC_FRAME_INDEX, .flags = BKC_FRAME_LAST};
	static const uint8_t expected[16] = {
		4, 3, 2, 1, 5, 0, 0, 0, 8, 7, 6, 0, 3, 1, 0, 0
	};
	uint8_t		out[BKC_FRAME_HEADER_SIZE];
	XXH128_canonical_t digest;
	uint64_t	seed;

	bkc_frame_encode(&hdr, "hello", 99, out);
	assert_memory_equal(out, expected, 16);
	seed = XXH3_64bits_withSeed(expected, 16, 99);
	XXH128_canonicalFromHash(&digest, XXH3_128bits_withSeed("hello", 5, seed));
	assert_memory_equal(out + 16, digest.digest, 16);
	assert_memory_equal(hdr.digest, digest.digest, 16);
}

/* Whatever bit of header or payload changes, decode or check refuses. */
static void
frame_each_bit_counts(void **state)
{
	enum
	{
		LEN = 300
	};
	BkcFrameHeader hdr = sample_frame(LEN);
	uint8_t		frame[BKC_FRAME_HEADER_SIZE + LEN];
	uint8_t    *payload = frame + BKC_FRAME_HEADER_SIZE;
	int			i;

	hdr.flags = 0;
	hdr.plain_len = 1000;
	for (i = 0; i < LEN; i++)
		payload[i] = (uint8_t) (i * 13);
	bkc_frame_encode(&hdr, payload, 4711, frame);
	for (i = 0; i < (int) sizeof(frame) * 8; i++)
	{
		BkcFrameHeader back;
		BkcError	err;
		bool		ok;

		frame[i / 8] ^= (uint8_t) (1 << i % 8);

		/* a reader would read stored_len bytes: a longer frame is no longer this one */
		bkc_error_clear(&err);
		ok = bkc_frame_decode(frame, 7, NAME, &back, &err) && back.stored_len <= LEN &&
			bkc_frame_check(&back, payload, 4711, NAME, &err);
		assert_false(ok);
		frame[i / 8] ^= (uint8_t) (1 << i % 8);
	}
}

static void
frame_refuses(void **state)
{
	static const struct
	{
		uint32_t	number;
		uint32_t	stored_len;
		uint32_t	plain_len;
		uint8_t		type;
		uint8_t		flags;
		const char *message;
	}			cases[] = {
		{8, 10, 10, BKC_FRAME_DATA, 0, "wrong number"},
		{6, 10, 10, BKC_FRAME_DATA, 0, "wrong number"},
		{7, 0, 10, BKC_FRAME_DATA, 0, "wrong stored length"},
		{7, BKC_FRAME_STORED_MAX + 1, 10, BKC_FRAME_DATA, 0, "wrong stored length"},
		{7, UINT32_MAX, 10, BKC_FRAME_DATA, 0, "wrong stored length"},
		{7, 10, 0, BKC_FRAME_DATA, 0, "wrong plain length"},
		{7, 10, BKC_FRAME_PLAIN_MAX + 1, BKC_FRAME_DATA, 0, "wrong plain length"},
		{7, 10, UINT32_MAX, BKC_FRAME_DATA, 0, "wrong plain length"},
		{7, 10, 10, 0, 0, "wrong type"},
		{7, 10, 10, BKC_FRAME_INDEX + 1, 0, "wrong type"},
		{7, 10, 10, BKC_FRAME_DATA, 4, "wrong flags"},
		{7, 10, 10, BKC_FRAME_DATA, 0x83, "wrong flags"},
		{7, 10, 11, BKC_FRAME_DATA, BKC_FRAME_STORED, "wrong lengths"},
		{7, 11, 10, BKC_FRAME_DATA, BKC_FRAME_STORED | BKC_FRAME_LAST, "wrong lengths"},
	};
	BkcFrameHeader hdr;
	uint8_t		in[BKC_FRAME_HEADER_SIZE] = {0};
	BkcError	err;
	size_t		i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		bkc_put_u32(in, cases[i].number);
		bkc_put_u32(in + 4, cases[i].stored_len);
		bkc_put_u32(in + 8, cases[i].plain_len);
		in[12] = cases[i].type;
		in[13] = cases[i].flags;
		bkc_error_clear(&err);
		assert_false(bkc_frame_decode(in, 7, NAME, &hdr, &err));
		assert_int_equal(err.code, BKC_ERR_CORRUPT);
		if (strstr(err.message, cases[i].message) == NULL)
			fail_msg("case %zu: \"%s\"", i, err.message);
		assert_non_null(strstr(err.message, "frame 7 of object \"" NAME "\""));
	}

	/* the limits themselves are fine; the two bytes of zero are not free */
	bkc_put_u32(in, 7);
	bkc_put_u32(in + 4, BKC_FRAME_STORED_MAX);
	bkc_put_u32(in + 8, BKC_FRAME_PLAIN_MAX);
	in[12] = BKC_FRAME_INFO;
	in[13] = BKC_FRAME_FLAGS_KNOWN;
	assert_true(bkc_frame_decode(in, 7, NAME, &hdr, &err));
	in[15] = 1;
	assert_false(bkc_frame_decode(in, 7, NAME, &hdr, &err));
	assert_non_null(strstr(err.message, "reserved"));
}

/* The vectors of FORMAT.md: they must never change. */
static void
test_vectors(void **state)
{
	BkcEnvelope env = {.version = 1, .kind = BKC_KIND_CLUSTER};
	BkcFrameHeader hdr = {.stored_len = 5, .plain_len = 5, .type = BKC_FRAME_DATA,
	.flags = BKC_FRAME_LAST | BKC_FRAME_STORED};
	uint8_t		out[BKC_ENVELOPE_SIZE];
	uint8_t		header[BKC_FRAME_HEADER_SIZE];
	char		hex[2 * BKC_FRAME_HEADER_SIZE + 1];
	uint64_t	seed;
	int			i;

	for (i = 0; i < BKC_SALT_SIZE; i++)
		env.salt[i] = (uint8_t) i;
	bkc_envelope_encode(&env, out);
	bkc_hex_encode(out + 112, BKC_DIGEST_SIZE, hex);
	assert_string_equal(hex, "9895e3707f2db4608e7b3b2d01a3ce7d");
	seed = bkc_frame_seed(&env, "1/cluster");
	assert_true(seed == UINT64_C(0x186098ea8137d331));
	bkc_frame_encode(&hdr, "hello", seed, header);
	bkc_hex_encode(header, BKC_FRAME_HEADER_SIZE, hex);
	assert_string_equal(hex, "00000000050000000500000001030000"
						"e91f2d9ba2c9e72aeb0e45672f57dc2d");
}

static void
codec_names(void **state)
{
	static const char *const words[] = {"none", "gzip", "lz4", "zstd"};
	BkcCodec	codec;
	int			i;

	for (i = 0; i < 4; i++)
	{
		assert_string_equal(bkc_codec_name(i), words[i]);
		assert_true(bkc_codec_parse(words[i], &codec));
		assert_int_equal(codec, i);
	}
	assert_null(bkc_codec_name(-1));
	assert_null(bkc_codec_name(4));
	assert_false(bkc_codec_parse("", &codec));
	assert_false(bkc_codec_parse("ZSTD", &codec));
	assert_false(bkc_codec_parse("zstd:1", &codec));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(envelope_bytes),
		cmocka_unit_test(envelope_round_trip),
		cmocka_unit_test(envelope_each_bit_counts),
		cmocka_unit_test(envelope_refuses_unknown),
		cmocka_unit_test(seed_depends_on_salt_and_name),
		cmocka_unit_test(frame_round_trip),
		cmocka_unit_test(frame_bytes),
		cmocka_unit_test(frame_each_bit_counts),
		cmocka_unit_test(frame_refuses),
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(codec_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
