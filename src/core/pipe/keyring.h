/*
 * keyring.h
 *		Which key seals and opens what (FORMAT.md, "Sealing" and "Keys").
 *
 * A keyring holds the user's wrapping keys, and the data keys that were opened with
 * them or made.  It belongs to one repository, whose handles it is attached to, and
 * lives until its last reference is gone: who made it has one, and each handle.
 *
 * Every object is sealed with a data key: content of a backup with that backup's, everything
 * else with the key of the day (UTC) it is written on.  Objects of keys are sealed with a
 * wrapping key.
 */
#ifndef BKC_PIPE_KEYRING_H
#define BKC_PIPE_KEYRING_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/digest.h"
#include "crypto/keyfile.h"
#include "format/envelope.h"
#include "format/label.h"
#include "format/names.h"
#include "store/store.h"

typedef struct BkcKeyring BkcKeyring;

#define BKC_KEYRING_KEYS_MAX	8	/* wrapping keys */
#define BKC_KEY_PURPOSE_MAX		64	/* with the zero byte */
#define BKC_KEY_COMMAND_MS		30000

typedef enum BkcSealing
{
	BKC_SEALING_OFF,			/* keys are for reading only */
	BKC_SEALING_ON,				/* seal when there is a key */
	BKC_SEALING_REQUIRED		/* write nothing without a key */
} BkcSealing;

/* "off", "on", "required"; false for anything else. */
extern bool bkc_sealing_parse(const char *word, BkcSealing *sealing);

typedef struct BkcKeySpec
{
	const char *files;			/* paths, separated by commas; NULL or "" for none */
	const char *command;		/* likewise; its key comes after those of files */
	BkcSealing	sealing;
	bool		only_sealed;	/* refuse content that is not sealed when it is read */
} BkcKeySpec;

/* The next path in a list of files, without blanks around it; false at the end of the list. */
extern bool bkc_keyring_next_file(const char **list, const char **path, size_t *len);

/*
 * Loads the wrapping keys; the first is the one that new data keys are wrapped with, all open.
 * BKC_ERR_KEY, BKC_ERR_ACCESS: see crypto/keyfile.h.  Without any key it is a keyring all the
 * same, which can say what is missing.
 */
extern bool bkc_keyring_new(const BkcKeySpec *spec, BkcKeyring **keys, BkcError *err);

/* One more wrapping key, taken over also after a failure. */
extern bool bkc_keyring_add(BkcKeyring *keys, BkcUserKey *key, BkcError *err);
extern void bkc_keyring_free(BkcKeyring *keys); /* one reference less; NULL is fine */

/* The store seals and opens with it from now on. */
extern void bkc_keyring_attach(BkcKeyring *keys, BkcStore *store);

extern size_t bkc_keyring_nkeys(const BkcKeyring *keys);

/* Identity of the n-th wrapping key for a cluster. */
extern bool bkc_keyring_wrapping_id(BkcKeyring *keys, size_t n, uint64_t sysid,
									uint8_t		id[BKC_WRAP_ID_SIZE], BkcError *err);

/* ---- for sealing and opening objects (pipe/seal.c) ---- */

/* Must content be sealed to be read? */
extern bool bkc_keyring_only_sealed(const BkcKeyring *keys);

/*
 * Is what is written to that store sealed?  BKC_ERR_KEY when it must be and there is no key:
 * nothing may be written then.
 */
extern bool bkc_keyring_seals(const BkcStore *store, bool *seals, BkcError *err);

/*
 * The key for an object that is to be written, made if need be and durable in the repository
 * under id; only when bkc_keyring_seals() says so.  The secret belongs to the keyring, and is good
 * until the next call.
 */
extern bool bkc_keyring_for_writing(BkcStore *store, const char *name,
									uint8_t		id[BKC_KEY_ID_SIZE], const BkcSecret **key,
									BkcError *err);

/*
 * The data key of that id, to open object name.  BKC_ERR_KEY says which wrapping keys are needed
 * and which were given; BKC_ERR_CORRUPT: nobody can open it any more, its data key was destroyed.
 */
extern bool bkc_keyring_for_reading(BkcStore *store, const char *name,
									const uint8_t id[BKC_KEY_ID_SIZE], const BkcSecret **key,
									BkcError *err);

/* The wrapping key of that identity, to open or to seal the object of a key. */
extern bool bkc_keyring_wrapping(BkcStore *store, const char *name,
								 const uint8_t id[BKC_WRAP_ID_SIZE], const BkcSecret **key,
								 BkcError *err);

/* ---- data keys ---- */

/*
 * Make the data key of a backup, under an id that is known already (random bytes): the begin object
 * names it before it is made.  From then on its content is sealed with it.
 */
extern bool bkc_keyring_make_backup(BkcStore *store, uint64_t sysid, const char *label,
									const uint8_t id[BKC_KEY_ID_SIZE], BkcError *err);

/* The same key for another process that writes content of that backup. */
extern bool bkc_keyring_use_backup(BkcStore *store, uint64_t sysid, const char *label,
								   const uint8_t id[BKC_KEY_ID_SIZE], BkcError *err);

/*
 * The beginning of a content's hash as it stands in names of objects (partial and conflict):
 * keyed where the store seals, so that it tells nothing to who has no key.
 */
extern bool bkc_keyring_hash(BkcStore *store, uint64_t sysid,
							 const uint8_t sha256[BKC_SHA256_SIZE],
							 char hex[BKC_WAL_HASH_DIGITS + 1], BkcError *err);

/*
 * Where the processes of a server tell one another the key of the day, so that not each
 * makes one.  What get() gives is only a hint: it may be of another repository.
 */
typedef struct BkcKeyShare
{
	bool		(*get) (void *arg, uint64_t sysid, int64_t day, uint8_t id[BKC_KEY_ID_SIZE]);
	void		(*set) (void *arg, uint64_t sysid, int64_t day, const uint8_t id[BKC_KEY_ID_SIZE]);
	void	   *arg;
} BkcKeyShare;

extern void bkc_keyring_share(BkcKeyring *keys, const BkcKeyShare *share);

#endif							/* BKC_PIPE_KEYRING_H */
