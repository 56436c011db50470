/*
 * keycopies.c
 *		Wrapped copies of data keys (contract: keycopies.h).
 *
 * A copy is removed only in a run that has opened the same data key with the new
 * wrapping key, and compared it with what an old one opens, where there is one.  What
 * could not be found out about a data key is an error, and its copies stay.
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

bool
bkc_repo_key_belongs(BkcStore *store, uint64_t sysid, const char *label,
					 const uint8_t id[BKC_KEY_ID_SIZE], bool *ours, BkcError *err)
{
	char		purpose[BKC_KEY_PURPOSE_MAX];
	BkcDataKey	key = {0};
	BkcKeyFound found;

	*ours = false;
	if (!bkc_datakey_find(store, sysid, id, &key, &found, err))
		return false;
	if (found == BKC_KEY_OTHERS)
		return bkc_datakey_missing(store, sysid, label, id, err);
	bkc_backup_purpose(label, purpose);
	*ours = found == BKC_KEY_GONE || strcmp(key.purpose, purpose) == 0;
	bkc_datakey_free(&key);
	return true;
}

/* ---- which there are ---- */

typedef struct Copy
{
	uint8_t		id[BKC_KEY_ID_SIZE];
	uint8_t		wrapping[BKC_WRAP_ID_SIZE];
	bool		proven;			/* the new wrapping key opens that data key */
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
	Copy		copy = {.proven = false};

	if (!bkc_name_parse_key(name, &sysid, copy.id, copy.wrapping))
		return true;
	return bkc_buffer_append(&list->copies, &copy, sizeof(copy), err);
}

static size_t
count_copies(const CopyList *list)
{
	return list->copies.len / sizeof(Copy);
}

static Copy *
copy_at(const CopyList *list, size_t i)
{
	return (Copy *) (void *) list->copies.data + i;
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

/* ---- do our keys open them? ---- */

/* Is it a copy for a key of the ring? */
static bool
is_ours(BkcStore *store, uint64_t sysid, const Copy *copy, bool *ours, BkcError *err)
{
	size_t		n = store->keys != NULL ? store->keys->nwraps : 0;
	BkcWrapKey *wrap;

	for (size_t i = 0; i < n && !*ours; i++)
	{
		if (!bkc_keyring_wrap(store->keys, i, sysid, &wrap, err))
			return false;
		*ours = memcmp(wrap->id, copy->wrapping, BKC_WRAP_ID_SIZE) == 0;
	}
	return true;
}

/* Every data key of the list has such a copy. */
static bool
all_ours(BkcStore *store, uint64_t sysid, const CopyList *list, uint64_t *keys, BkcError *err)
{
	bool		ours = false;

	for (size_t i = 0; i < count_copies(list); i++)
	{
		const Copy *copy = copy_at(list, i);
		bool		last = i + 1 == count_copies(list) ||
			memcmp(copy->id, copy_at(list, i + 1)->id, BKC_KEY_ID_SIZE) != 0;

		if (!is_ours(store, sysid, copy, &ours, err))
			return false;
		if (last && !ours)
			return bkc_datakey_missing(store, sysid, "keys", copy->id, err);
		*keys += last;
		ours = ours && !last;
	}
	return true;
}

bool
bkc_keys_open(BkcStore *store, uint64_t sysid, uint64_t *keys, BkcError *err)
{
	CopyList	list = {{0}};
	BkcDataKey	names = {0};
	BkcKeyFound found = BKC_KEY_GONE;
	char		folder[BKC_NAME_MAX];
	bool		ok;

	*keys = 0;
	ok = bkc_name_keys(sysid, folder, err) &&
		bkc_store_list(store, folder, true, each_copy, &list, err) &&
		all_ours(store, sysid, &list, keys, err) &&
		bkc_datakey_find(store, sysid, bkc_names_key_id, &names, &found, err);
	bkc_datakey_free(&names);
	bkc_buffer_free(&list.copies);
	return ok;
}

/* ---- rotation ---- */

/* The data key by an old key, so that there is something to compare; else by any. */
static bool
open_old(BkcStore *store, uint64_t sysid, size_t n, const uint8_t *id, BkcDataKey *key,
		 BkcKeyFound *found, BkcError *err)
{
	BkcWrapKey *wrap;
	char		name[BKC_NAME_MAX];

	*found = BKC_KEY_OPENED;
	for (size_t i = 0; i < store->keys->nwraps; i++)
	{
		if (i == n)
			continue;
		if (!bkc_keyring_wrap(store->keys, i, sysid, &wrap, err) ||
			!bkc_name_key(sysid, id, wrap->id, name, err))
			return false;
		if (bkc_datakey_read(store, name, key, err))
			return true;
		if (err->code != BKC_ERR_NOT_FOUND && err->code != BKC_ERR_CORRUPT &&
			err->code != BKC_ERR_UNSUPPORTED)
			return false;
	}
	return bkc_datakey_find(store, sysid, id, key, found, err);
}

/* The data key by any key of the ring; by the new one it must be the same. */
static bool
prove_key(BkcStore *store, uint64_t sysid, size_t n, const uint8_t *id, BkcKeyFound *found,
		  BkcRotation *done, BkcError *err)
{
	BkcWrapKey *wrap;
	BkcDataKey	key = {0};
	BkcDataKey	again = {0};
	char		name[BKC_NAME_MAX];
	uint64_t	size;
	bool		ok;

	if (!bkc_keyring_wrap(store->keys, n, sysid, &wrap, err) ||
		!bkc_name_key(sysid, id, wrap->id, name, err) ||
		!open_old(store, sysid, n, id, &key, found, err))
		return false;

	/* one that was removed meanwhile, with its backup, is nobody's loss */
	if (*found != BKC_KEY_OPENED)
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

/* Was it proven in that list? */
static bool
was_proven(const CopyList *list, const uint8_t *id)
{
	size_t		low = 0;
	size_t		high = count_copies(list);

	while (low < high)
	{
		size_t		middle = low + (high - low) / 2;
		int			order = memcmp(copy_at(list, middle)->id, id, BKC_KEY_ID_SIZE);

		if (order == 0)
			return copy_at(list, middle)->proven;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static bool
report_unopened(BkcStore *store, uint64_t sysid, const uint8_t *id, size_t n, bool removing,
				const BkcRotation *done, BkcError *err)
{
	BkcError	missing;

	/* the detail names the keys; what else it may have become meanwhile does not matter */
	bkc_error_clear(&missing);
	(void) bkc_datakey_missing(store, sysid, "keys", id, &missing);
	bkc_error_set(err, BKC_ERR_KEY, "%zu of %zu data keys in repository \"%s\" cannot be opened with the keys that were given",
				  n, n + (size_t) done->keys, store->location ? store->location : "");
	bkc_error_detail(err, "%s", missing.detail);
	return bkc_error_hint(err, removing ? "Somebody writes with another key; give that, too."
						  : "Give all keys that were in use; nothing was removed.");
}

/* All of them but those that were proven in before, which may be NULL. */
static bool
prove_all(BkcStore *store, uint64_t sysid, size_t n, const CopyList *list, const CopyList *before,
		  BkcRotation *done, BkcError *err)
{
	const uint8_t *first = NULL;
	size_t		unopened = 0;

	for (size_t i = 0; i < count_copies(list); i++)
	{
		Copy	   *copy = copy_at(list, i);
		BkcKeyFound found;

		/* copies of one data key follow one another */
		if (i > 0 && memcmp(copy->id, copy_at(list, i - 1)->id, BKC_KEY_ID_SIZE) == 0)
		{
			copy->proven = copy_at(list, i - 1)->proven;
			continue;
		}
		copy->proven = before != NULL && was_proven(before, copy->id);
		if (copy->proven)
			continue;
		if (!bkc_host_check(err) || !prove_key(store, sysid, n, copy->id, &found, done, err))
			return false;
		copy->proven = found == BKC_KEY_OPENED;
		done->keys += copy->proven;
		if (found == BKC_KEY_OTHERS && unopened++ == 0)
			first = copy->id;
	}
	return unopened == 0 ||
		report_unopened(store, sysid, first, unopened, before != NULL, done, err);
}

/* Copies for other wrapping keys: of the data key of that id, or of all. */
static bool
remove_others(BkcStore *store, uint64_t sysid, size_t n, const CopyList *list, const uint8_t *id,
			  BkcRotation *done, BkcError *err)
{
	BkcWrapKey *wrap;

	if (!bkc_keyring_wrap(store->keys, n, sysid, &wrap, err))
		return false;
	for (size_t i = 0; i < count_copies(list); i++)
	{
		const Copy *copy = copy_at(list, i);
		char		name[BKC_NAME_MAX];
		const char *names[1] = {name};

		if (!copy->proven || memcmp(copy->wrapping, wrap->id, BKC_WRAP_ID_SIZE) == 0 ||
			(id != NULL && memcmp(copy->id, id, BKC_KEY_ID_SIZE) != 0))
			continue;
		if (!bkc_host_check(err) || !bkc_name_key(sysid, copy->id, copy->wrapping, name, err) ||
			!bkc_store_remove_versions(store, names, 1, err))
			return false;
		done->removed++;
	}
	return true;
}

/*
 * Without their copy of the key for names, others make no more data keys; those that they have
 * made since the first look are found by a second one.
 */
static bool
remove_old_copies(BkcStore *store, uint64_t sysid, size_t n, const char *folder,
				  const CopyList *list, BkcRotation *done, BkcError *err)
{
	CopyList	again = {{0}};
	bool		ok;

	ok = remove_others(store, sysid, n, list, bkc_names_key_id, done, err) &&
		bkc_store_list(store, folder, true, each_copy, &again, err) &&
		prove_all(store, sysid, n, &again, list, done, err) &&
		remove_others(store, sysid, n, &again, NULL, done, err);
	bkc_buffer_free(&again.copies);
	return ok;
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
		prove_all(store, sysid, n, &list, NULL, done, err) &&
		(!remove_old || remove_old_copies(store, sysid, n, folder, &list, done, err));
	bkc_buffer_free(&list.copies);
	return ok;
}
