/*
 * test_pipe_keys.h
 *		What the tests of sealing share: key rings without files.
 */
#ifndef TEST_PIPE_KEYS_H
#define TEST_PIPE_KEYS_H

#include "test_pipe_util.h"

#include "base/text.h"
#include "pipe/keyring.h"
#include "pipe/object.h"

#define KEY_A	"0123456789abcdeffedcba987654321000112233445566778899aabbccddeeff"
#define KEY_B	"00f0e0d0c0b0a090807060504030201000112233445566778899aabbccddeeff"
#define KEY_C	"passphrase: correct horse battery staple"
#define MARKER	"the plaintext marker"

/* Wrapping keys in that order; the last must be NULL. */
static inline BkcKeyring *
keys_ring(BkcSealing sealing, const char *first, const char *second)
{
	BkcKeySpec	spec = {.sealing = sealing};
	const char *texts[] = {first, second};
	BkcKeyring *keys;
	BkcError	err;

	assert_ok(bkc_keyring_new(&spec, &keys, &err));
	for (size_t i = 0; i < 2 && texts[i] != NULL; i++)
	{
		BkcUserKey	key = {0};

		assert_ok(bkc_userkey_parse(texts[i], strlen(texts[i]), "test", &key, &err));
		assert_ok(bkc_keyring_add(keys, &key, &err));
	}
	return keys;
}

/* Attach a new ring; what the store had is released. */
static inline void
keys_use(BkcStore *store, BkcSealing sealing, const char *first, const char *second)
{
	BkcKeyring *keys = keys_ring(sealing, first, second);

	bkc_keyring_attach(keys, store);
	bkc_keyring_free(keys);
}

static inline BkcStore *
keys_store(void)
{
	BkcStore   *store = util_store();

	keys_use(store, BKC_SEALING_ON, KEY_A, NULL);
	return store;
}

static inline void
keys_backup(BkcStore *store, const char *label)
{
	uint8_t		id[BKC_KEY_ID_SIZE];
	BkcError	err;

	assert_ok(bkc_random(id, sizeof(id), &err));
	assert_ok(bkc_keyring_make_backup(store, SYSID, label, id, &err));
}

static inline bool
keys_contains(const void *data, size_t len, const char *text)
{
	return memmem(data, len, text, strlen(text)) != NULL;
}

#endif							/* TEST_PIPE_KEYS_H */
