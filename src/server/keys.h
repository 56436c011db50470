/*
 * keys.h
 *		Opening a repository together with its keys: the only way that the
 *		server opens one.
 */
#ifndef BKC_SERVER_KEYS_H
#define BKC_SERVER_KEYS_H

#include "pgcompat.h"

#include "base/url.h"
#include "pipe/keyring.h"
#include "store/store.h"

/*
 * Keys are read once in a process for each repository, and again when a setting or a file has
 * changed.  BKC_ERR_KEY or BKC_ERR_ACCESS when one cannot be used: then nothing is read from there
 * nor written to it.  Without keys whatever is plain can be read, and be written if it may be.
 */
extern bool bkc_repo_open(const BkcRepoDef *def, BkcStore **store, BkcError *err);

/* Would it be opened with other keys now?  For processes that keep a repository open. */
extern bool bkc_repo_keys_changed(const BkcRepoDef *def, const BkcStore *store);

/* A keyring of its own for other key files, for instance one that is to be added. */
extern bool bkc_repo_keyring(const BkcRepoDef *def, const char *files, BkcKeyring **keys,
							 BkcError *err);

/* encryption= of the URL, or the setting. */
extern BkcSealing bkc_repo_sealing(const BkcRepoDef *def);

/* Key files of the URL, or of the setting; "" when none. */
extern const char *bkc_repo_key_files(const BkcRepoDef *def);

#endif							/* BKC_SERVER_KEYS_H */
