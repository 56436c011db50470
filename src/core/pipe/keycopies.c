/*
 * keycopies.c
 *		Wrapped copies of data keys (contract: keycopies.h).
 *
 * A copy is removed only in a run that has opened the same data key with the new
 * wrapping key, and compared it.  A data key that somebody makes meanwhile is not in
 * the list and keeps its copy.
 */
#include "pipe/keycopies.h"

#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "base/text.h"
#include "pipe/keyring_inner.h"

bool
bkc_repo_backup_key(BkcStore *store, uint64_t sysid, const char *label, bool *sealed,
					uint8_t		id[BKC_KEY_ID_SIZE], BkcError *err)
{
	uint8_t		bytes[BKC_ENVELOPE_SIZE];
	char		name[BKC_NAME_MAX];
	BkcReader  *in = NULL;
	BkcEnvelope env;
	size_t		got = 0;
	bool		ok;

	*sealed = false;
	ok = bkc_name_manifest(sysid, label, name, err) &&
		bkc_store_open_read(store, name, 0, sizeof(bytes), &in, err) &&
		bkc_reader_read(in, bytes, sizeof(bytes), &got, err);
	bkc_reader_close(in);
	if (!ok)
		return false;
	if (got < sizeof(bytes))
		return bkc_error_set(err, BKC_ERR_CORRUPT, "object \"%s\" is cut off in its envelope", name);
	if (!bkc_envelope_decode(bytes, name, &env, err))
		return false;
	*sealed = env.cipher != BKC_CIPHER_NONE;
	memcpy(id, env.key_id, BKC_KEY_ID_SIZE);
	return true;
}

/* ---- which there are ---- */

typedef struct Copy
{
	uint8_t		id[BKC_KEY_ID_SIZE];
	uint8_t		wrapping[BKC_WRAP_ID_SIZE];
} Copy;

typedef struct CopyList
{
	BkcBuffer	copies;			/* Copy, in order of their names */
} CopyList;

static bool
each_copy(void *arg, const char *name, uint64_t size, BkcError *err)
{
	CopyList   *list = arg;
	uint64_t	sysid;
	Copy		copy;

	if (!bkc_name_parse_key(name, &sysid, copy.id, copy.wrapping))
		return true;
	return bkc_buffer_append(&list->copies, &copy, sizeof(copy), err);
}

static size_t
count_copies(const CopyList *list)
{
	return list->copies.len / sizeof(Copy);
}

static const Copy *
copy_at(const CopyList *list, size_t i)
{
	return (const Copy *) (const void *) list->copies.data + i;
}

bool
bkc_repo_key_copies(BkcStore *store, uint64_t sysid, const uint8_t id[BKC_KEY_ID_SIZE], size_t *n,
					char		first[BKC_WRAP_ID_HEX], BkcError *err)
{
	CopyList	list = {{0}};
	char		folder[BKC_NAME_MAX];
	bool		ok;

	*n = 0;
	first[0] = '\0';
	ok = bkc_name_key_copies(sysid, id, folder, err) &&
		bkc_store_list(store, folder, false, each_copy, &list, err);
	if (ok)
		*n = count_copies(&list);
	if (*n > 0)
		bkc_hex_encode(copy_at(&list, 0)->wrapping, BKC_WRAP_ID_SIZE, first);
	bkc_buffer_free(&list.copies);
	return ok;
}

/* ---- rotation ---- */

/* The data key by any key of the ring; by the new one it must be the same. */
static bool
prove_key(BkcStore *store, uint64_t sysid, size_t n, const uint8_t *id, bool *opened,
		  BkcRotation *done, BkcError *err)
{
	BkcWrapKey *wrap;
	BkcDataKey	key = {0};
	BkcDataKey	again = {0};
	BkcKeyFound found;
	char		name[BKC_NAME_MAX];
	uint64_t	size;
	bool		ok;

	*opened = false;
	if (!bkc_keyring_wrap(store->keys, n, sysid, &wrap, err) ||
		!bkc_name_key(sysid, id, wrap->id, name, err) ||
		!bkc_datakey_find(store, sysid, id, &key, &found, err))
		return false;
	*opened = found == BKC_KEY_OPENED;

	/* one that was removed meanwhile, with its backup, is nobody's loss */
	if (found != BKC_KEY_OPENED)
		return true;
	ok = bkc_store_stat(store, name, &size, err);
	if (!ok && err->code == BKC_ERR_NOT_FOUND)
	{
		ok = bkc_datakey_put(store, n, &key, err);
		done->added += ok;
	}
	ok = ok && bkc_datakey_read(store, name, &again, err);
	if (ok && (!bkc_equal(key.key->bytes, again.key->bytes, BKC_SECRET_SIZE) ||
			   key.created != again.created || strcmp(key.purpose, again.purpose) != 0))
		ok = bkc_error_set(err, BKC_ERR_CORRUPT, "object \"%s\" holds another key than the other copies",
						   name);
	bkc_datakey_free(&key);
	bkc_datakey_free(&again);
	return ok;
}

static bool
prove_all(BkcStore *store, uint64_t sysid, size_t n, const CopyList *list, BkcRotation *done,
		  BkcError *err)
{
	size_t		unopened = 0;
	BkcError	first;

	bkc_error_clear(&first);
	for (size_t i = 0; i < count_copies(list); i++)
	{
		const uint8_t *id = copy_at(list, i)->id;
		bool		opened;

		/* copies of one data key follow one another */
		if (i > 0 && memcmp(id, copy_at(list, i - 1)->id, BKC_KEY_ID_SIZE) == 0)
			continue;
		if (!bkc_host_check(err) || !prove_key(store, sysid, n, id, &opened, done, err))
			return false;
		done->keys += opened;
		if (opened)
			continue;
		(void) bkc_datakey_missing(store, sysid, "keys", id, &first);
		unopened += first.code == BKC_ERR_KEY;
	}
	if (unopened == 0)
		return true;
	bkc_error_set(err, BKC_ERR_KEY, "%zu of %zu data keys in repository \"%s\" cannot be opened with the keys that were given",
				  unopened, unopened + (size_t) done->keys, store->location ? store->location : "");
	bkc_error_detail(err, "%s", first.detail);
	return bkc_error_hint(err, "Give all keys that were in use; nothing was removed.");
}

static bool
remove_others(BkcStore *store, uint64_t sysid, size_t n, const CopyList *list, BkcRotation *done,
			  BkcError *err)
{
	BkcWrapKey *wrap;

	if (!bkc_keyring_wrap(store->keys, n, sysid, &wrap, err))
		return false;
	for (size_t i = 0; i < count_copies(list); i++)
	{
		const Copy *copy = copy_at(list, i);
		char		name[BKC_NAME_MAX];
		const char *names[1] = {name};

		if (memcmp(copy->wrapping, wrap->id, BKC_WRAP_ID_SIZE) == 0)
			continue;
		if (!bkc_host_check(err) || !bkc_name_key(sysid, copy->id, copy->wrapping, name, err) ||
			!bkc_store_remove(store, names, 1, err))
			return false;
		done->removed++;
	}
	return true;
}

bool
bkc_keys_rotate(BkcStore *store, uint64_t sysid, size_t n, bool remove_old, BkcRotation *done,
				BkcError *err)
{
	CopyList	list = {{0}};
	char		folder[BKC_NAME_MAX];
	bool		ok;

	memset(done, 0, sizeof(*done));
	if (store->keys == NULL || n >= store->keys->nwraps)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "there is no wrapping key %zu", n);
	ok = bkc_name_keys(sysid, folder, err) &&
		bkc_store_list(store, folder, true, each_copy, &list, err) &&
		prove_all(store, sysid, n, &list, done, err) &&
		(!remove_old || remove_others(store, sysid, n, &list, done, err));
	bkc_buffer_free(&list.copies);
	return ok;
}
