/*
 * keyring_inner.h
 *		What the files of the keyring share.
 */
#ifndef BKC_PIPE_KEYRING_INNER_H
#define BKC_PIPE_KEYRING_INNER_H

#include "pipe/keyring.h"

#define BKC_KEYRING_CACHE	64	/* data keys that were opened */

/* A wrapping key as it was given, and what it becomes for a cluster. */
typedef struct BkcWrapKey
{
	BkcUserKey	user;
	uint64_t	sysid;			/* of what follows; 0: not derived yet */
	BkcSecret  *wrapping;
	uint8_t		id[BKC_WRAP_ID_SIZE];
} BkcWrapKey;

typedef struct BkcDataKey
{
	uint64_t	sysid;			/* 0: none */
	uint8_t		id[BKC_KEY_ID_SIZE];
	BkcSecret  *key;
	int64_t		created;
	char		purpose[BKC_KEY_PURPOSE_MAX];
} BkcDataKey;

struct BkcKeyring
{
	int			refs;
	BkcSealing	sealing;
	bool		only_sealed;
	BkcWrapKey	wraps[BKC_KEYRING_KEYS_MAX];
	size_t		nwraps;
	BkcKeyShare share;			/* get NULL: none */

	/* what is written now is sealed with these */
	BkcDataKey	day;
	int64_t		day_number;		/* since 1970 */
	int64_t		day_checked;	/* when it was seen in the repository */
	BkcDataKey	backup;
	char		backup_label[BKC_LABEL_MAX];
	BkcDataKey	names;

	BkcDataKey	cache[BKC_KEYRING_CACHE];
	size_t		cache_next;		/* the oldest, to be replaced */
};

extern void bkc_datakey_free(BkcDataKey *key);

/* The id of the key for names, the only one that is not random: see bkc_keyring_hash(). */
extern const uint8_t bkc_names_key_id[BKC_KEY_ID_SIZE];

/* What the data key of a backup says that it is for. */
extern void bkc_backup_purpose(const char *label, char out[BKC_KEY_PURPOSE_MAX]);

/* The n-th wrapping key, derived for the cluster. */
extern bool bkc_keyring_wrap(BkcKeyring *keys, size_t n, uint64_t sysid, BkcWrapKey **wrap,
							 BkcError *err);

/* Read one wrapped copy; *key is zeroed or freed before. */
extern bool bkc_datakey_read(BkcStore *store, const char *name, BkcDataKey *key, BkcError *err);

/* Store a copy wrapped with the n-th wrapping key; fine when it is there already. */
extern bool bkc_datakey_put(BkcStore *store, size_t n, const BkcDataKey *key, BkcError *err);

typedef enum BkcKeyFound
{
	BKC_KEY_OPENED,
	BKC_KEY_OTHERS,				/* there are copies, none for a key that was given */
	BKC_KEY_GONE				/* there is no copy at all */
} BkcKeyFound;

/* Try all keys; false only when that could not be found out, or a copy is damaged. */
extern bool bkc_datakey_find(BkcStore *store, uint64_t sysid, const uint8_t id[BKC_KEY_ID_SIZE],
							 BkcDataKey *key, BkcKeyFound *found, BkcError *err);

/* The error for what was not opened (keyring.h, bkc_keyring_for_reading()); returns false. */
extern bool bkc_datakey_missing(BkcStore *store, uint64_t sysid, const char *object,
								const uint8_t id[BKC_KEY_ID_SIZE], BkcError *err);

#endif							/* BKC_PIPE_KEYRING_INNER_H */
