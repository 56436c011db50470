/*
 * keyring_make.c
 *		Data keys for what is written (contract: keyring.h).
 *
 * A data key is durable in the repository before the first object that is sealed
 * with it.  Its id is random, so that nobody can ever replace another's key: two
 * processes that make one for the same day have made two, and both are good.
 */
#include "pipe/keyring_inner.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/host.h"
#include "base/text.h"
#include "pipe/keycopies.h"

#define DAY_USEC		(INT64_C(86400) * 1000 * 1000)

/* How long a key counts as there that was seen: somebody may put another disk in its place. */
#define CHECK_USEC		(INT64_C(30) * 1000 * 1000)

const uint8_t bkc_names_key_id[BKC_KEY_ID_SIZE] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1
};

bool
bkc_keyring_seals(const BkcStore *store, bool *seals, BkcError *err)
{
	const BkcKeyring *keys = store->keys;

	*seals = false;
	if (keys == NULL || keys->sealing == BKC_SEALING_OFF)
		return true;
	*seals = keys->nwraps > 0;
	if (*seals || keys->sealing == BKC_SEALING_ON)
		return true;
	bkc_error_set(err, BKC_ERR_KEY, "encryption is required, and there is no key for repository \"%s\"",
				  store->location != NULL ? store->location : "");
	return bkc_error_hint(err, "Set pg_backupctl.encryption_key_file or pg_backupctl.encryption_key_command, or key_file= in the repository's URL. Nothing is written without a key.");
}

/* ---- making ---- */

static bool names_key(BkcStore *store, uint64_t sysid, BkcError *err);

/*
 * Who cannot open the key for names has another key than those who have written here before, by
 * mistake, or because it was replaced since: nobody keeps it for what is sealed with it now.  So it
 * is asked for anew, whatever we have known.
 */
static bool
still_in_use(BkcStore *store, uint64_t sysid, BkcError *err)
{
	bkc_datakey_free(&store->keys->names);
	return names_key(store, sysid, err);
}

/*
 * Is what was stored what we seal with?  And has nobody replaced our wrapping key meanwhile: who
 * does removes our copy of the key for names, and looks after that for keys that were made.  So
 * either that is seen here, or the new key is seen there.
 */
static bool
prove_made(BkcStore *store, const BkcDataKey *key, BkcError *err)
{
	BkcWrapKey *wrap;
	BkcDataKey	stored = {0};
	char		name[BKC_NAME_MAX];
	const char *const names[1] = {name};
	BkcError	ignored;
	bool		ok;

	if (!bkc_keyring_wrap(store->keys, 0, key->sysid, &wrap, err) ||
		!bkc_name_key(key->sysid, key->id, wrap->id, name, err))
		return false;
	ok = bkc_datakey_read(store, name, &stored, err);
	if (ok && !bkc_equal(stored.key->bytes, key->key->bytes, BKC_SECRET_SIZE))
		ok = bkc_error_set(err, BKC_ERR_CORRUPT, "object \"%s\" holds another key than was stored",
						   name);
	bkc_datakey_free(&stored);

	/* gone already: then it is not in use any more, or this repository is not what it was */
	if (!ok && err->code == BKC_ERR_NOT_FOUND)
		return still_in_use(store, key->sysid, err) &&
			bkc_error_set(err, BKC_ERR_UNAVAILABLE, "object \"%s\" vanished when it had been stored",
						  name);
	if (!ok || still_in_use(store, key->sysid, err))
		return ok;
	if (err->code == BKC_ERR_KEY)
		(void) bkc_store_remove_versions(store, names, 1, &ignored);
	return false;
}

/* A new key, or that of an id that was chosen before; *key is freed before. */
static bool
make_key(BkcStore *store, uint64_t sysid, const uint8_t *id, const char *purpose, BkcDataKey *key,
		 BkcError *err)
{
	BkcDataKey	new = {.sysid = sysid, .created = bkc_host->now()};

	bkc_datakey_free(key);
	if (id != bkc_names_key_id && !still_in_use(store, sysid, err))
		return false;
	snprintf(new.purpose, sizeof(new.purpose), "%s", purpose);
	if (id != NULL)
		memcpy(new.id, id, sizeof(new.id));
	else if (!bkc_random(new.id, sizeof(new.id), err))
		return false;
	new.key = bkc_secret_random(err);
	if (new.key == NULL)
		return false;
	if (!bkc_datakey_put(store, 0, &new, err) ||
		(id != bkc_names_key_id && !prove_made(store, &new, err)))
	{
		bkc_datakey_free(&new);
		return false;
	}
	*key = new;
	return true;
}

/*
 * Is it still there?  Where it is not, another disk was put in the place of the
 * repository, and what has been written there since cannot be read without it: it
 * is stored again.  Not so where only our copy is gone: then our wrapping key was replaced, and
 * must not open it any more.
 */
static bool
check_key(BkcStore *store, const BkcDataKey *key, BkcError *err)
{
	BkcWrapKey *wrap;
	char		name[BKC_NAME_MAX];
	char		first[BKC_WRAP_ID_HEX];
	uint64_t	size;
	size_t		copies;

	if (!bkc_keyring_wrap(store->keys, 0, key->sysid, &wrap, err) ||
		!bkc_name_key(key->sysid, key->id, wrap->id, name, err))
		return false;
	if (bkc_store_stat(store, name, &size, err))
		return true;
	return err->code == BKC_ERR_NOT_FOUND &&
		bkc_repo_key_copies(store, key->sysid, key->id, &copies, first, err) &&
		(copies > 0 || bkc_datakey_put(store, 0, key, err));
}

/* ---- the key of the day ---- */

static void
day_purpose(int64_t day, char out[BKC_KEY_PURPOSE_MAX])
{
	time_t		when = (time_t) (day * 86400);
	struct tm	tm;

	if (gmtime_r(&when, &tm) == NULL ||
		strftime(out, BKC_KEY_PURPOSE_MAX, "day %Y%m%d", &tm) == 0)
		snprintf(out, BKC_KEY_PURPOSE_MAX, "day %lld", (long long) day);
}

/* Another process of ours has made one: take it if it is what it should be. */
static bool
take_shared(BkcStore *store, uint64_t sysid, int64_t day, const char *purpose, bool *taken,
			BkcError *err)
{
	BkcKeyring *keys = store->keys;
	uint8_t		id[BKC_KEY_ID_SIZE];
	BkcDataKey	key = {0};
	BkcWrapKey *wrap;
	char		name[BKC_NAME_MAX];

	*taken = false;
	if (keys->share.get == NULL || !keys->share.get(keys->share.arg, sysid, day, id))
		return true;

	/* only a copy for the key that seals now: that one opens whatever follows */
	if (!bkc_keyring_wrap(keys, 0, sysid, &wrap, err) ||
		!bkc_name_key(sysid, id, wrap->id, name, err))
		return false;
	if (!bkc_datakey_read(store, name, &key, err))
		return err->code == BKC_ERR_NOT_FOUND || err->code == BKC_ERR_CORRUPT;
	if (strcmp(key.purpose, purpose) != 0)
	{
		bkc_datakey_free(&key);
		return true;
	}
	bkc_datakey_free(&keys->day);
	keys->day = key;
	*taken = true;
	return true;
}

static bool
day_key(BkcStore *store, uint64_t sysid, BkcError *err)
{
	BkcKeyring *keys = store->keys;
	int64_t		now = bkc_host->now();
	int64_t		day = now / DAY_USEC;
	char		purpose[BKC_KEY_PURPOSE_MAX];
	bool		taken = false;

	if (keys->day.sysid == sysid && keys->day_number == day)
	{
		if (now >= keys->day_checked && now - keys->day_checked < CHECK_USEC)
			return true;
		if (!check_key(store, &keys->day, err))
			return false;
		keys->day_checked = now;
		return true;
	}
	day_purpose(day, purpose);
	if (!take_shared(store, sysid, day, purpose, &taken, err))
		return false;
	if (!taken)
	{
		if (!make_key(store, sysid, NULL, purpose, &keys->day, err))
			return false;
		if (keys->share.set != NULL)
			keys->share.set(keys->share.arg, sysid, day, keys->day.id);
	}
	keys->day_number = day;
	keys->day_checked = now;
	return true;
}

/* ---- a backup's key ---- */

void
bkc_backup_purpose(const char *label, char out[BKC_KEY_PURPOSE_MAX])
{
	snprintf(out, BKC_KEY_PURPOSE_MAX, "backup %s", label);
}

bool
bkc_keyring_make_backup(BkcStore *store, uint64_t sysid, const char *label,
						const uint8_t id[BKC_KEY_ID_SIZE], BkcError *err)
{
	char		purpose[BKC_KEY_PURPOSE_MAX];

	bkc_backup_purpose(label, purpose);
	if (!make_key(store, sysid, id, purpose, &store->keys->backup, err))
		return false;
	snprintf(store->keys->backup_label, BKC_LABEL_MAX, "%s", label);
	return true;
}

bool
bkc_keyring_use_backup(BkcStore *store, uint64_t sysid, const char *label,
					   const uint8_t id[BKC_KEY_ID_SIZE], BkcError *err)
{
	BkcKeyring *keys = store->keys;
	BkcKeyFound found;
	BkcDataKey	key = {0};

	if (!bkc_datakey_find(store, sysid, id, &key, &found, err))
		return false;
	if (found != BKC_KEY_OPENED)
		return bkc_datakey_missing(store, sysid, label, id, err);
	bkc_datakey_free(&keys->backup);
	keys->backup = key;
	snprintf(keys->backup_label, BKC_LABEL_MAX, "%s", label);
	return true;
}

static bool
is_manifest(const char *name)
{
	return strcmp(strrchr(name, '/') + 1, "manifest") == 0;
}

bool
bkc_keyring_for_writing(BkcStore *store, const char *name, uint8_t id[BKC_KEY_ID_SIZE],
						const BkcSecret **key, BkcError *err)
{
	BkcKeyring *keys = store->keys;
	const BkcDataKey *data = &keys->day;
	char		label[BKC_LABEL_MAX];
	uint64_t	sysid;

	if (!bkc_name_parse_cluster(name, &sysid))
		return bkc_error_set(err, BKC_ERR_INVALID, "object \"%s\" belongs to no cluster", name);
	if (bkc_name_parse_content(name, label))
	{
		data = &keys->backup;
		if (data->sysid != sysid || strcmp(label, keys->backup_label) != 0)
			return bkc_error_set(err, BKC_ERR_INTERNAL, "there is no data key for backup \"%s\"", label);

		/* with the manifest the backup exists, and must be readable */
		if (is_manifest(name) && !check_key(store, data, err))
			return false;
	}
	else if (!day_key(store, sysid, err))
		return bkc_error_context(err, "key for object \"%s\"", name);
	memcpy(id, data->id, BKC_KEY_ID_SIZE);
	*key = data->key;
	return true;
}

/* ---- hashes in names ---- */

/*
 * All processes must have the same key, for ever.  So it has one id, and its first
 * copy is the key; who comes second takes it.  Should a store let two be first, some
 * content has two names, which does no harm.
 */
static bool
names_key(BkcStore *store, uint64_t sysid, BkcError *err)
{
	BkcDataKey *names = &store->keys->names;
	BkcKeyFound found;
	char		folder[BKC_NAME_MAX];

	if (names->sysid == sysid)
		return true;
	bkc_datakey_free(names);
	for (int again = 0; again < 2; again++)
	{
		if (!bkc_datakey_find(store, sysid, bkc_names_key_id, names, &found, err))
			return false;
		if (found == BKC_KEY_OPENED)
			return true;

		/* where there is one for other keys a second one must not be made */
		if (found == BKC_KEY_OTHERS)
			return bkc_name_key_copies(sysid, bkc_names_key_id, folder, err) &&
				bkc_datakey_missing(store, sysid, folder, bkc_names_key_id, err);
		if (!make_key(store, sysid, bkc_names_key_id, "names", names, err))
			return false;
		bkc_datakey_free(names);
	}
	return bkc_error_set(err, BKC_ERR_INTERNAL, "the key for names vanished");
}

bool
bkc_keyring_hash(BkcStore *store, uint64_t sysid, const uint8_t sha256[BKC_SHA256_SIZE],
				 char hex[BKC_WAL_HASH_DIGITS + 1], BkcError *err)
{
	uint8_t		keyed[BKC_SHA256_SIZE];
	bool		seals;

	if (!bkc_keyring_seals(store, &seals, err))
		return false;
	memcpy(keyed, sha256, sizeof(keyed));
	if (seals &&
		(!names_key(store, sysid, err) ||
		 !bkc_hmac_sha256(store->keys->names.key->bytes, BKC_SECRET_SIZE, sha256,
						  BKC_SHA256_SIZE, keyed, err)))
		return false;
	bkc_hex_encode(keyed, BKC_WAL_HASH_DIGITS / 2, hex);
	return true;
}
