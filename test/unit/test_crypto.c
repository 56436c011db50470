/*
 * test_crypto.c
 *		SHA-256, HMAC, HKDF and MD5 against published vectors.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "crypto/digest.h"

static void
assert_hex(const uint8_t *data, size_t len, const char *hex)
{
	char		text[256];

	assert_true(2 * len + 1 <= sizeof(text));
	bkc_hex_encode(data, len, text);
	assert_string_equal(text, hex);
}

/* FIPS 180-4 and its example documents. */
static const struct
{
	const char *message;
	const char *digest;
}			vectors[] = {
	{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
	{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
	{"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
		"hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
	"cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
};

static void
test_sha256_vectors(void **state)
{
	uint8_t		out[BKC_SHA256_SIZE];
	BkcError	err;
	size_t		i;

	for (i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
	{
		assert_true(bkc_sha256(vectors[i].message, strlen(vectors[i].message), out, &err));
		assert_hex(out, sizeof(out), vectors[i].digest);
	}
	assert_true(bkc_sha256(NULL, 0, out, &err));
	assert_hex(out, sizeof(out), vectors[0].digest);
}

/* One context for many messages, however they are cut. */
static void
test_sha256_pieces(void **state)
{
	BkcError	err;
	BkcSha256  *h = bkc_sha256_new(&err);
	uint8_t		out[BKC_SHA256_SIZE];
	size_t		step;
	size_t		pos;
	size_t		i;

	assert_non_null(h);
	for (i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
	{
		size_t		len = strlen(vectors[i].message);

		for (step = 1; step <= len + 1; step++)
		{
			assert_true(bkc_sha256_begin(h, &err));
			for (pos = 0; pos < len; pos += step)
				assert_true(bkc_sha256_update(h, vectors[i].message + pos,
											  step < len - pos ? step : len - pos, &err));
			assert_true(bkc_sha256_update(h, NULL, 0, &err));
			assert_true(bkc_sha256_end(h, out, &err));
			assert_hex(out, sizeof(out), vectors[i].digest);
		}
	}

	/* begin in the middle of a message forgets it */
	assert_true(bkc_sha256_begin(h, &err));
	assert_true(bkc_sha256_update(h, "abc", 3, &err));
	assert_true(bkc_sha256_begin(h, &err));
	assert_true(bkc_sha256_end(h, out, &err));
	assert_hex(out, sizeof(out), vectors[0].digest);
	bkc_sha256_free(h);
	bkc_sha256_free(NULL);
}

static void
test_sha256_million(void **state)
{
	BkcError	err;
	BkcSha256  *h = bkc_sha256_new(&err);
	uint8_t		out[BKC_SHA256_SIZE];
	char		block[1000];
	int			i;

	memset(block, 'a', sizeof(block));
	assert_non_null(h);
	assert_true(bkc_sha256_begin(h, &err));
	for (i = 0; i < 1000; i++)
		assert_true(bkc_sha256_update(h, block, sizeof(block), &err));
	assert_true(bkc_sha256_end(h, out, &err));
	assert_hex(out, sizeof(out),
			   "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	bkc_sha256_free(h);
}

/* Calls out of order are errors, never a digest. */
static void
test_sha256_order(void **state)
{
	BkcError	err;
	BkcSha256  *h = bkc_sha256_new(&err);
	uint8_t		out[BKC_SHA256_SIZE];

	assert_non_null(h);
	assert_false(bkc_sha256_update(h, "a", 1, &err));
	assert_int_equal(err.code, BKC_ERR_INTERNAL);
	assert_false(bkc_sha256_end(h, out, &err));
	assert_int_equal(err.code, BKC_ERR_INTERNAL);
	assert_true(bkc_sha256_begin(h, &err));
	assert_true(bkc_sha256_end(h, out, &err));
	assert_false(bkc_sha256_end(h, out, &err));
	assert_false(bkc_sha256_update(h, "a", 1, &err));
	assert_true(bkc_sha256_begin(h, &err));
	assert_true(bkc_sha256_end(h, out, &err));
	assert_hex(out, sizeof(out), vectors[0].digest);
	bkc_sha256_free(h);
}

/* RFC 5869, appendix A, test cases 1 to 3. */
static const struct
{
	const char *ikm;
	const char *salt;
	const char *info;
	const char *okm;
}			hkdf_cases[] = {
	{
		"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
		"000102030405060708090a0b0c",
		"f0f1f2f3f4f5f6f7f8f9",
		"3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
	},
	{
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324252627"
		"28292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
		"606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f8081828384858687"
		"88898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
		"b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7"
		"d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
		"b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
		"59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
		"cc30c58179ec3e87c14c01d5c1f3434f1d87"
	},
	{
		"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
		"",
		"",
		"8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
	},
};

static void
test_hkdf_vectors(void **state)
{
	uint8_t		ikm[80];
	uint8_t		salt[80];
	uint8_t		info[80];
	uint8_t		okm[83];
	BkcError	err;
	size_t		i;

	for (i = 0; i < sizeof(hkdf_cases) / sizeof(hkdf_cases[0]); i++)
	{
		size_t		ikmlen = strlen(hkdf_cases[i].ikm) / 2;
		size_t		saltlen = strlen(hkdf_cases[i].salt) / 2;
		size_t		infolen = strlen(hkdf_cases[i].info) / 2;
		size_t		okmlen = strlen(hkdf_cases[i].okm) / 2;

		assert_true(bkc_hex_decode(hkdf_cases[i].ikm, ikm, ikmlen));
		assert_true(bkc_hex_decode(hkdf_cases[i].salt, salt, saltlen));
		assert_true(bkc_hex_decode(hkdf_cases[i].info, info, infolen));
		memset(okm, 0xEE, sizeof(okm));
		assert_true(bkc_hkdf_sha256(ikm, ikmlen, salt, saltlen, info, infolen,
									okm, okmlen, &err));
		assert_hex(okm, okmlen, hkdf_cases[i].okm);
		if (okmlen < sizeof(okm))
			assert_int_equal(okm[okmlen], 0xEE);

		/* A shorter output is a prefix of a longer one. */
		assert_true(bkc_hkdf_sha256(ikm, ikmlen, saltlen > 0 ? salt : NULL, saltlen,
									infolen > 0 ? info : NULL, infolen, ikm, 1, &err));
		assert_int_equal(ikm[0], okm[0]);
	}
}

static void
test_hkdf_limits(void **state)
{
	static uint8_t okm[255 * 32 + 1];
	static uint8_t info[1024];
	uint8_t		other[32];
	uint8_t		key[32] = {1};
	BkcError	err;

	assert_true(bkc_hkdf_sha256(key, 32, NULL, 0, NULL, 0, okm, 255 * 32, &err));
	assert_false(bkc_hkdf_sha256(key, 32, NULL, 0, NULL, 0, okm, 255 * 32 + 1, &err));
	assert_int_equal(err.code, BKC_ERR_INTERNAL);
	assert_false(bkc_hkdf_sha256(key, 32, NULL, 0, NULL, 0, okm, 0, &err));
	assert_false(bkc_hkdf_sha256(key, 0, NULL, 0, NULL, 0, okm, 32, &err));

	/* An object name is far shorter than this; each byte of it matters. */
	assert_true(bkc_hkdf_sha256(key, 32, NULL, 0, info, sizeof(info), okm, 32, &err));
	info[sizeof(info) - 1] ^= 1;
	assert_true(bkc_hkdf_sha256(key, 32, NULL, 0, info, sizeof(info), other, 32, &err));
	assert_memory_not_equal(okm, other, 32);
}

/* RFC 4231, cases 1 to 4, 6 and 7. */
static void
test_hmac_vectors(void **state)
{
	static const struct
	{
		int			key_byte;	/* -1: key is a text */
		size_t		key_len;
		const char *key;
		int			data_byte;
		size_t		data_len;
		const char *data;
		const char *mac;
	}			cases[] = {
		{0x0b, 20, NULL, -1, 8, "Hi There",
		"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
		{-1, 4, "Jefe", -1, 28, "what do ya want for nothing?",
		"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
		{0xaa, 20, NULL, 0xdd, 50, NULL,
		"773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
		{-1, 25, "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19",
			0xcd, 50, NULL,
		"82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
		{0xaa, 131, NULL, -1, 54, "Test Using Larger Than Block-Size Key - Hash Key First",
		"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
		{0xaa, 131, NULL, -1, 152,
			"This is a test using a larger than block-size key and a larger than block-size data. "
			"The key needs to be hashed before being used by the HMAC algorithm.",
		"9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
	};
	uint8_t		out[BKC_SHA256_SIZE];
	char		key[160];
	char		data[160];
	BkcError	err;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		if (cases[i].key != NULL)
			memcpy(key, cases[i].key, cases[i].key_len);
		else
			memset(key, cases[i].key_byte, cases[i].key_len);
		if (cases[i].data != NULL)
			memcpy(data, cases[i].data, cases[i].data_len);
		else
			memset(data, cases[i].data_byte, cases[i].data_len);
		assert_true(bkc_hmac_sha256(key, cases[i].key_len, data, cases[i].data_len, out, &err));
		assert_hex(out, sizeof(out), cases[i].mac);
	}

	/* nothing at all is a key and a message, too */
	assert_true(bkc_hmac_sha256("", 0, "", 0, out, &err));
	assert_hex(out, sizeof(out), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
	assert_true(bkc_hmac_sha256("", 0, NULL, 0, out, &err));
	assert_hex(out, sizeof(out), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

/* RFC 1321, A.5. */
static void
test_md5_vectors(void **state)
{
	static const struct
	{
		const char *text;
		const char *hash;
	}			cases[] = {
		{"", "d41d8cd98f00b204e9800998ecf8427e"},
		{"a", "0cc175b9c0f1b6a831c399e269772661"},
		{"abc", "900150983cd24fb0d6963f7d28e17f72"},
		{"message digest", "f96b697d7cb7938d525a2f31aaf161d0"},
		{"abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"},
		{"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
		"d174ab98d277d9f5a5611c2c9f419d9f"},
		{"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
		"57edf4a22be3c955ac49da2e2107b67a"},
	};
	uint8_t		out[BKC_MD5_SIZE];
	BkcError	err;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		assert_true(bkc_md5(cases[i].text, strlen(cases[i].text), out, &err));
		assert_hex(out, sizeof(out), cases[i].hash);
	}
}

static void
test_wipe(void **state)
{
	uint8_t		bytes[34];
	size_t		i;

	memset(bytes, 0x5A, sizeof(bytes));
	bkc_wipe(bytes + 1, 32);
	assert_int_equal(bytes[0], 0x5A);
	assert_int_equal(bytes[33], 0x5A);
	for (i = 1; i < 33; i++)
		assert_int_equal(bytes[i], 0);
	bkc_wipe(NULL, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha256_vectors),
		cmocka_unit_test(test_sha256_pieces),
		cmocka_unit_test(test_sha256_million),
		cmocka_unit_test(test_sha256_order),
		cmocka_unit_test(test_hmac_vectors),
		cmocka_unit_test(test_md5_vectors),
		cmocka_unit_test(test_hkdf_vectors),
		cmocka_unit_test(test_hkdf_limits),
		cmocka_unit_test(test_wipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
