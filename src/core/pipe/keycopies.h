/*
 * keycopies.h
 *		The wrapped copies of data keys as a whole: which key a backup has, and
 *		replacing the wrapping key of all of them.
 */
#ifndef BKC_PIPE_KEYCOPIES_H
#define BKC_PIPE_KEYCOPIES_H

#include "pipe/keyring.h"

/*
 * Is a complete backup sealed, and with which data key?  Its manifest's envelope says so, which
 * needs no key to be read.
 */
extern bool bkc_repo_backup_key(BkcStore *store, uint64_t sysid, const char *label, bool *sealed,
								uint8_t		id[BKC_KEY_ID_SIZE], BkcError *err);

/* How many wrapping keys open that data key; the first in order of their ids is in first. */
extern bool bkc_repo_key_copies(BkcStore *store, uint64_t sysid,
								const uint8_t id[BKC_KEY_ID_SIZE], size_t *n,
								char		first[BKC_WRAP_ID_HEX], BkcError *err);

/*
 * Was that data key made for that backup?  What says so is sealed with it; names of keys in the
 * envelope of an object that does not open prove nothing.  Also one that is gone is *ours.
 * BKC_ERR_KEY when no key was given that opens it.
 */
extern bool bkc_repo_key_belongs(BkcStore *store, uint64_t sysid, const char *label,
								 const uint8_t id[BKC_KEY_ID_SIZE], bool *ours, BkcError *err);

/*
 * Do the keys of the store's ring open what the cluster has sealed?  *keys is how many data keys
 * there are.  By their names, and the key for names is opened: BKC_ERR_KEY when one has no copy for
 * any key of the ring, or there are data keys and no key was given.
 */
extern bool bkc_keys_open(BkcStore *store, uint64_t sysid, uint64_t *keys, BkcError *err);

typedef struct BkcRotation
{
	uint64_t	keys;			/* data keys that the new wrapping key opens, each tried */
	uint64_t	added;			/* copies that were made for it now */
	uint64_t	removed;		/* copies for other wrapping keys that were removed */
} BkcRotation;

/*
 * Make a copy for the n-th wrapping key of the store's ring of every data key of the cluster, and
 * open each with it.  BKC_ERR_KEY when there is one that no key of the ring opens: then the others
 * have their copies all the same, and nothing is removed.  With remove_old all copies for other
 * wrapping keys go after that, those of the key for names first: so nobody makes data keys that
 * only an old one opens (keyring_make.c).  May be called again after a failure.
 */
extern bool bkc_keys_rotate(BkcStore *store, uint64_t sysid, size_t n, bool remove_old,
							BkcRotation *done, BkcError *err);

#endif							/* BKC_PIPE_KEYCOPIES_H */
