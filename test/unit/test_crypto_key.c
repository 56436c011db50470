/*
 * test_crypto_key.c
 *		AES-256-GCM and scrypt against published vectors; secrets; keys from
 *		files and commands.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/host.h"
#include "base/text.h"
#include "crypto/aead.h"
#include "crypto/digest.h"
#include "crypto/keyfile.h"
#include "crypto/secret.h"

static size_t
unhex(const char *hex, uint8_t *out)
{
	size_t		len = strlen(hex) / 2;

	assert_true(bkc_hex_decode(hex, out, len));
	return len;
}

/* McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 13 to 16. */
static const struct
{
	const char *key;
	const char *nonce;
	const char *aad;
	const char *plain;
	const char *sealed;
	const char *tag;
}			gcm[] = {
	{"0000000000000000000000000000000000000000000000000000000000000000",
		"000000000000000000000000", "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
	{"0000000000000000000000000000000000000000000000000000000000000000",
		"000000000000000000000000", "", "00000000000000000000000000000000",
	"cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919"},
	{"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
		"cafebabefacedbaddecaf888", "",
		"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
		"1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
		"522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
		"8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad",
	"b094dac5d93471bdec1a502270e3cc6c"},
	{"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
		"cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
		"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
		"1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
		"522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
		"8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
	"76fc6ece0f4e1768cddf8853bb2d551b"},
};

static void
test_gcm_vectors(void **state)
{
	for (size_t i = 0; i < sizeof(gcm) / sizeof(gcm[0]); i++)
	{
		uint8_t		key[32];
		uint8_t		nonce[12];
		uint8_t		aad[64];
		uint8_t		plain[64];
		uint8_t		sealed[64];
		uint8_t		tag[16];
		uint8_t		out[64];
		uint8_t		got_tag[16];
		size_t		aadlen = unhex(gcm[i].aad, aad);
		size_t		len = unhex(gcm[i].plain, plain);
		BkcAead    *aead;
		BkcError	err;
		bool		good;

		unhex(gcm[i].key, key);
		unhex(gcm[i].nonce, nonce);
		unhex(gcm[i].sealed, sealed);
		unhex(gcm[i].tag, tag);
		assert_true(bkc_aead_new(key, true, &aead, &err));
		for (int again = 0; again < 2; again++)
		{
			assert_true(bkc_aead_seal(aead, nonce, aad, aadlen, plain, len, out, got_tag, &err));
			assert_memory_equal(out, sealed, len);
			assert_memory_equal(got_tag, tag, 16);
		}
		assert_false(bkc_aead_open(aead, nonce, aad, aadlen, sealed, len, out, tag, &good, &err));
		bkc_aead_free(aead);

		assert_true(bkc_aead_new(key, false, &aead, &err));
		memcpy(out, sealed, sizeof(out));
		assert_true(bkc_aead_open(aead, nonce, aad, aadlen, out, len, out, tag, &good, &err));
		assert_true(good);
		assert_memory_equal(out, plain, len);

		/* nothing of what is not authentic is given away; and the context goes on */
		tag[15] ^= 1;
		memset(out, 'x', sizeof(out));
		assert_true(bkc_aead_open(aead, nonce, aad, aadlen, sealed, len, out, tag, &good, &err));
		assert_false(good);
		for (size_t k = 0; k < len; k++)
			assert_int_equal(out[k], 0);
		tag[15] ^= 1;
		assert_true(bkc_aead_open(aead, nonce, aad, aadlen, sealed, len, out, tag, &good, &err));
		assert_true(good);
		assert_false(bkc_aead_seal(aead, nonce, aad, aadlen, plain, len, out, got_tag, &err));
		bkc_aead_free(aead);
	}
	bkc_aead_free(NULL);
}

/* RFC 7914, section 12. */
static void
test_scrypt_vectors(void **state)
{
	uint8_t		out[64];
	char		hex[129];
	BkcError	err;

	assert_true(bkc_scrypt("", 0, "", 0, 16, 1, 1, out, sizeof(out), &err));
	bkc_hex_encode(out, sizeof(out), hex);
	assert_string_equal(hex, "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"
						"fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906");
	assert_true(bkc_scrypt("password", 8, "NaCl", 4, 1024, 8, 16, out, sizeof(out), &err));
	bkc_hex_encode(out, sizeof(out), hex);
	assert_string_equal(hex, "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
						"2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640");

	/* N must be a power of two */
	assert_false(bkc_scrypt("x", 1, "x", 1, 15, 8, 1, out, sizeof(out), &err));
}

static void
test_secret(void **state)
{
	BkcError	err;
	BkcSecret  *a = bkc_secret_new(&err);
	BkcSecret  *b = bkc_secret_random(&err);
	char		line[256];
	FILE	   *smaps;
	bool		found = false;
	bool		hidden = false;

	assert_non_null(a);
	assert_non_null(b);
	for (size_t i = 0; i < BKC_SECRET_SIZE; i++)
		assert_int_equal(a->bytes[i], 0);
	assert_memory_not_equal(a->bytes, b->bytes, BKC_SECRET_SIZE);
	assert_int_equal((uintptr_t) b % 4096, 0);

	/* left out of core dumps, as the kernel says itself: "dd" */
	smaps = fopen("/proc/self/smaps", "r");
	assert_non_null(smaps);
	while (fgets(line, sizeof(line), smaps) != NULL)
	{
		unsigned long from;
		unsigned long to;

		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			found = (uintptr_t) b >= from && (uintptr_t) b < to;
		else if (found && strncmp(line, "VmFlags:", 8) == 0)
			hidden = strstr(line, " dd") != NULL;
	}
	fclose(smaps);
	assert_true(hidden);
	bkc_secret_free(a);
	bkc_secret_free(b);
	bkc_secret_free(NULL);
}

/* ---- keys ---- */

#define RAW		"\x01\x23\x45\x67\x89\xab\xcd\xef\xfe\xdc\xba\x98\x76\x54\x32\x10" \
				"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff"
#define HEX		"0123456789abcdeffedcba987654321000112233445566778899aabbccddeeff"
#define BASE64	"ASNFZ4mrze/+3LqYdlQyEAARIjNEVWZ3iJmqu8zd7v8="
#define BLOB(text)	text, sizeof(text) - 1

static void
test_key_forms(void **state)
{
	static const struct
	{
		const char *text;
		size_t		len;
		const char *error;		/* NULL: it is the key above */
	}			cases[] = {
		{BLOB(RAW), NULL},
		{BLOB(HEX), NULL},
		{BLOB(HEX "\n"), NULL},
		{BLOB(HEX " \r\n\t\n"), NULL},
		{BLOB("0123456789ABCDEFFEDCBA987654321000112233445566778899AABBCCDDEEFF\n"), NULL},
		{BLOB(BASE64), NULL},
		{BLOB(BASE64 "\r\n"), NULL},
		{BLOB(""), "empty"},
		{BLOB("\n"), "known forms"},
		{BLOB(RAW "\n"), "known forms"},
		{BLOB(" " HEX), "known forms"},
		{BLOB(HEX HEX), "known forms"},
		{BLOB(HEX "\n" HEX "\n"), "known forms"},
		{BLOB("ASNFZ4mrze/+3LqYdlQyEAARIjNEVWZ3iJmqu8zd7v8"), "known forms"},
		{BLOB("ASNFZ4mrze/+3LqYdlQyEAARIjNEVWZ3iJmqu8zd7g=="), "known forms"},
		{BLOB("0123456789abcdef0123456789abcdef"), "text"}, /* 16 bytes in hex */
		{BLOB("my dog's name and his birthday.\n"), "text"},
		{BLOB("\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07"
			  "\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07"), "text"},
		{BLOB("0000000000000000000000000000000000000000000000000000000000000000"), "text"},
		{BLOB("passphrase: too short\n") - 4, "short"},
		{BLOB("passphrase:\n"), "short"},
		{BLOB("passphrase: one line is enough\nand two are not\n"), "more than one line"},
	};
	BkcUserKey	key = {0};
	BkcError	err;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		bool		ok = bkc_userkey_parse(cases[i].text, cases[i].len, "it", &key, &err);

		if (cases[i].error == NULL)
		{
			if (!ok)
				fail_msg("case %zu: %s", i, err.message);
			assert_false(key.passphrase);
			assert_memory_equal(key.secret->bytes, RAW, 32);
			bkc_userkey_free(&key);
		}
		else if (ok || strstr(err.message, cases[i].error) == NULL)
			fail_msg("case %zu: %s", i, ok ? "accepted" : err.message);
		else
		{
			assert_int_equal(err.code, BKC_ERR_KEY);
			assert_null(key.secret);
			if (cases[i].len > 20)
				assert_null(strstr(err.message, "0123456789"));
		}
	}
}

static void
test_passphrase(void **state)
{
	static const char *const same[] = {
		"passphrase: correct horse battery", "passphrase:correct horse battery \n",
		"passphrase:\t  correct horse battery\r\n",
	};
	BkcUserKey	key = {0};
	BkcError	err;
	BkcSecret  *one = bkc_secret_new(&err);
	BkcSecret  *two = bkc_secret_new(&err);
	uint8_t		hash[32];
	uint8_t		expected[32];
	uint8_t		id[BKC_WRAP_ID_SIZE];
	uint8_t		other[BKC_WRAP_ID_SIZE];

	assert_true(bkc_sha256("correct horse battery", 21, hash, &err));
	for (size_t i = 0; i < 3; i++)
	{
		assert_true(bkc_userkey_parse(same[i], strlen(same[i]), "it", &key, &err));
		assert_true(key.passphrase);
		assert_memory_equal(key.secret->bytes, hash, 32);
		if (i < 2)
			bkc_userkey_free(&key);
	}

	/* another cluster, another key */
	assert_true(bkc_userkey_wrapping(&key, 7, one, &err));
	assert_true(bkc_userkey_wrapping(&key, 8, two, &err));
	assert_memory_not_equal(one->bytes, two->bytes, 32);
	assert_true(bkc_scrypt(hash, 32, "pg_backupctl passphrase 7", 25, 32768, 8, 1, expected, 32,
						   &err));
	assert_memory_equal(one->bytes, expected, 32);
	bkc_userkey_free(&key);

	/* a key proper is the same for all */
	assert_true(bkc_userkey_parse(BLOB(HEX), "it", &key, &err));
	assert_true(bkc_userkey_wrapping(&key, 7, one, &err));
	assert_memory_equal(one->bytes, RAW, 32);
	assert_true(bkc_wrapping_id(one, id, &err));
	assert_true(bkc_wrapping_id(two, other, &err));
	assert_memory_not_equal(id, other, sizeof(id));
	assert_memory_not_equal(id, RAW, sizeof(id));
	bkc_userkey_free(&key);
	bkc_secret_free(one);
	bkc_secret_free(two);
}

static void
test_key_file(void **state)
{
	char		path[] = "/tmp/bkc-key-XXXXXX";
	int			fd = mkstemp(path);
	BkcUserKey	key = {0};
	BkcError	err;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, HEX "\n", 65), 65);
	close(fd);
	assert_true(bkc_userkey_file(path, &key, &err));
	assert_memory_equal(key.secret->bytes, RAW, 32);
	bkc_userkey_free(&key);
	assert_int_equal(chmod(path, 0644), 0);
	assert_false(bkc_userkey_file(path, &key, &err));
	assert_int_equal(err.code, BKC_ERR_ACCESS);

	/* a group may read root's, nobody else's */
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(bkc_userkey_file(path, &key, &err), geteuid() == 0);
	bkc_userkey_free(&key);
	unlink(path);
	assert_false(bkc_userkey_file(path, &key, &err));
	assert_int_equal(err.code, BKC_ERR_KEY);
	assert_non_null(strstr(err.message, path));
	assert_null(key.secret);
}

/* ---- commands ---- */

static bool stop = false;

static bool
cancelled(void)
{
	return stop;
}

static void
test_command(void **state)
{
	BkcUserKey	key = {0};
	BkcError	err;
	char		command[256];

	assert_true(bkc_userkey_command("echo " HEX, 10000, &key, &err));
	assert_memory_equal(key.secret->bytes, RAW, 32);
	bkc_userkey_free(&key);

	/* no input, nothing open but the standard files, signals as usual */
	snprintf(command, sizeof(command), "read x; test -z \"$x\" && "
			 "test $(ls /proc/self/fd | wc -l) -eq 4 && echo %s", HEX); /* ls has the folder open */
	assert_true(bkc_userkey_command(command, 10000, &key, &err));
	bkc_userkey_free(&key);

	assert_false(bkc_userkey_command("exit 3", 10000, &key, &err));
	assert_int_equal(err.code, BKC_ERR_KEY);
	assert_non_null(strstr(err.message, "status 3"));
	assert_false(bkc_userkey_command("echo " HEX "; exit 1", 10000, &key, &err));
	assert_non_null(strstr(err.message, "status 1"));
	assert_false(bkc_userkey_command("kill -KILL $$", 10000, &key, &err));
	assert_non_null(strstr(err.message, "signal 9"));
	assert_false(bkc_userkey_command("echo no key", 10000, &key, &err));
	assert_int_equal(err.code, BKC_ERR_KEY);
	assert_null(strstr(err.message, "no key\n"));
	assert_false(bkc_userkey_command("yes", 10000, &key, &err));
	assert_non_null(strstr(err.message, "more than"));
	assert_false(bkc_userkey_command("true", 10000, &key, &err));
	assert_non_null(strstr(err.message, "empty"));
}

static pid_t
read_pid(const char *path)
{
	FILE	   *f = fopen(path, "r");
	int			pid = 0;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &pid), 1);
	fclose(f);
	assert_true(pid > 1);
	return pid;
}

/* Within some time; one that only waits to be reaped has ended. */
static bool
has_ended(pid_t pid)
{
	char		path[64];
	struct timespec slice = {0, 10 * 1000 * 1000};

	snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
	for (int i = 0; i < 3000; i++)
	{
		FILE	   *f = fopen(path, "r");
		char		state = 'Z';

		if (f == NULL)
			return true;
		if (fscanf(f, "%*d %*s %c", &state) != 1)
			state = 'Z';
		fclose(f);
		if (state == 'Z')
			return true;
		(void) nanosleep(&slice, NULL);
	}
	return false;
}

/* Who waits for a file that the command's child writes must wait for ever. */
static void
test_command_time(void **state)
{
	char		mark[] = "/tmp/bkc-command-XXXXXX";
	char		command[256];
	BkcUserKey	key = {0};
	BkcError	err;
	struct timespec now;
	struct timespec began;
	int			fd = mkstemp(mark);
	struct stat st;
	BkcHost		host = {.cancelled = cancelled};

	assert_true(fd >= 0);
	close(fd);
	snprintf(command, sizeof(command), "(trap '' TERM; sleep 1; echo x >%s) & sleep 600", mark);
	clock_gettime(CLOCK_MONOTONIC, &began);
	assert_false(bkc_userkey_command(command, 300, &key, &err));
	assert_int_equal(err.code, BKC_ERR_TIMEOUT);
	clock_gettime(CLOCK_MONOTONIC, &now);
	assert_true(now.tv_sec - began.tv_sec <= 5);

	/* one that does not listen is made to end */
	assert_false(bkc_userkey_command("trap '' TERM; while true; do sleep 0.1; done", 300, &key, &err));
	assert_int_equal(err.code, BKC_ERR_TIMEOUT);

	/* it has ended, and what it has started holds its output */
	snprintf(command, sizeof(command), "sleep 600 & echo $! >%s", mark);
	assert_false(bkc_userkey_command(command, 300, &key, &err));
	assert_int_equal(err.code, BKC_ERR_TIMEOUT);
	assert_true(has_ended(read_pid(mark)));

	/* where all is well, what it leaves running is its own business: an agent that keeps keys */
	snprintf(command, sizeof(command), "sleep 600 >&- 2>&- & echo $! >%s; echo " HEX, mark);
	assert_true(bkc_userkey_command(command, 60000, &key, &err));
	bkc_userkey_free(&key);
	assert_int_equal(kill(read_pid(mark), SIGKILL), 0);

	/* it has closed its output and stays */
	assert_false(bkc_userkey_command("exec >&-; sleep 600", 300, &key, &err));
	assert_int_equal(err.code, BKC_ERR_TIMEOUT);

	bkc_host_set(&host);
	stop = true;
	assert_false(bkc_userkey_command("sleep 600", 60000, &key, &err));
	assert_int_equal(err.code, BKC_ERR_CANCELLED);
	stop = false;
	bkc_host_set(NULL);
	assert_int_equal(stat(mark, &st), 0);
	unlink(mark);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gcm_vectors),
		cmocka_unit_test(test_scrypt_vectors),
		cmocka_unit_test(test_secret),
		cmocka_unit_test(test_key_forms),
		cmocka_unit_test(test_passphrase),
		cmocka_unit_test(test_key_file),
		cmocka_unit_test(test_command),
		cmocka_unit_test(test_command_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
