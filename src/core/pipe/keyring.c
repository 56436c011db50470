/*
 * keyring.c
 *		Wrapping keys, and opening data keys with them (contract: keyring.h).
 */
#include "pipe/keyring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "pipe/keyring_inner.h"
#include "pipe/object.h"

/* what is in a key's object: FORMAT.md, "Keys" */
#define COPY_CREATED	32
#define COPY_PURPOSE	40
#define COPY_MAX		(COPY_PURPOSE + BKC_KEY_PURPOSE_MAX - 1)

#define WRAP_ID_HEX		(2 * BKC_WRAP_ID_SIZE + 1)
#define IDS_SHOWN		6

bool
bkc_sealing_parse(const char *word, BkcSealing *sealing)
{
	if (strcmp(word, "off") == 0)
		*sealing = BKC_SEALING_OFF;
	else if (strcmp(word, "on") == 0)
		*sealing = BKC_SEALING_ON;
	else if (strcmp(word, "required") == 0)
		*sealing = BKC_SEALING_REQUIRED;
	else
		return false;
	return true;
}

/* ---- wrapping keys ---- */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

bool
bkc_keyring_next_file(const char **list, const char **path, size_t *len)
{
	const char *p = *list;
	size_t		n = strcspn(p, ",");

	if (*p == '\0')
		return false;
	*list = p + n + (p[n] == ',');
	for (; n > 0 && is_blank(p[0]); n--)
		p++;
	while (n > 0 && is_blank(p[n - 1]))
		n--;
	*path = p;
	*len = n;
	return true;
}

static bool
add_file(BkcKeyring *keys, const char *path, size_t len, BkcError *err)
{
	BkcUserKey	key = {0};
	char	   *copy;
	bool		ok;

	if (len == 0)
		return bkc_error_set(err, BKC_ERR_INVALID, "the list of key files has an empty item");
	copy = strndup(path, len);
	if (copy == NULL)
		return bkc_error_oom(err);
	ok = bkc_userkey_file(copy, &key, err) && bkc_keyring_add(keys, &key, err);
	free(copy);
	return ok;
}

static bool
load(BkcKeyring *keys, const BkcKeySpec *spec, BkcError *err)
{
	const char *p = spec->files != NULL ? spec->files : "";
	const char *path;
	size_t		len;
	BkcUserKey	key = {0};

	while (bkc_keyring_next_file(&p, &path, &len))
	{
		if (!add_file(keys, path, len, err))
			return false;
		if (*p == '\0' && p[-1] == ',')
			return bkc_error_set(err, BKC_ERR_INVALID, "the list of key files ends in a comma");
	}
	if (spec->command == NULL || spec->command[0] == '\0')
		return true;
	return bkc_userkey_command(spec->command, BKC_KEY_COMMAND_MS, &key, err) &&
		bkc_keyring_add(keys, &key, err);
}

bool
bkc_keyring_new(const BkcKeySpec *spec, BkcKeyring **keys, BkcError *err)
{
	BkcKeyring *new = calloc(1, sizeof(*new));

	*keys = NULL;
	if (new == NULL)
		return bkc_error_oom(err);
	new->refs = 1;
	new->sealing = spec->sealing;
	new->only_sealed = spec->only_sealed;
	if (!load(new, spec, err))
	{
		bkc_keyring_free(new);
		return false;
	}
	*keys = new;
	return true;
}

bool
bkc_keyring_add(BkcKeyring *keys, BkcUserKey *key, BkcError *err)
{
	if (keys->nwraps == BKC_KEYRING_KEYS_MAX)
	{
		bkc_userkey_free(key);
		return bkc_error_set(err, BKC_ERR_INVALID, "more than %d keys were given",
							 BKC_KEYRING_KEYS_MAX);
	}
	keys->wraps[keys->nwraps++].user = *key;
	memset(key, 0, sizeof(*key));
	return true;
}

void
bkc_datakey_free(BkcDataKey *key)
{
	bkc_secret_free(key->key);
	memset(key, 0, sizeof(*key));
}

void
bkc_keyring_free(BkcKeyring *keys)
{
	if (keys == NULL || --keys->refs > 0)
		return;
	for (size_t i = 0; i < keys->nwraps; i++)
	{
		bkc_userkey_free(&keys->wraps[i].user);
		bkc_secret_free(keys->wraps[i].wrapping);
	}
	for (size_t i = 0; i < BKC_KEYRING_CACHE; i++)
		bkc_datakey_free(&keys->cache[i]);
	bkc_datakey_free(&keys->day);
	bkc_datakey_free(&keys->backup);
	bkc_datakey_free(&keys->names);
	free(keys);
}

void
bkc_keyring_attach(BkcKeyring *keys, BkcStore *store)
{
	keys->refs++;
	if (store->release_keys != NULL)
		store->release_keys(store->keys);
	store->keys = keys;
	store->release_keys = bkc_keyring_free;
}

size_t
bkc_keyring_nkeys(const BkcKeyring *keys)
{
	return keys->nwraps;
}

bool
bkc_keyring_only_sealed(const BkcKeyring *keys)
{
	return keys != NULL && keys->only_sealed;
}

void
bkc_keyring_share(BkcKeyring *keys, const BkcKeyShare *share)
{
	keys->share = *share;
}

bool
bkc_keyring_wrap(BkcKeyring *keys, size_t n, uint64_t sysid, BkcWrapKey **wrap, BkcError *err)
{
	BkcWrapKey *w = &keys->wraps[n];

	*wrap = w;
	if (w->sysid == sysid)
		return true;
	w->sysid = 0;
	if (w->wrapping == NULL && (w->wrapping = bkc_secret_new(err)) == NULL)
		return false;
	if (!bkc_userkey_wrapping(&w->user, sysid, w->wrapping, err) ||
		!bkc_wrapping_id(w->wrapping, w->id, err))
		return false;
	w->sysid = sysid;
	return true;
}

bool
bkc_keyring_wrapping_id(BkcKeyring *keys, size_t n, uint64_t sysid, uint8_t id[BKC_WRAP_ID_SIZE],
						BkcError *err)
{
	BkcWrapKey *wrap;

	if (!bkc_keyring_wrap(keys, n, sysid, &wrap, err))
		return false;
	memcpy(id, wrap->id, BKC_WRAP_ID_SIZE);
	return true;
}

bool
bkc_keyring_wrapping(BkcStore *store, const char *name, const uint8_t id[BKC_WRAP_ID_SIZE],
					 const BkcSecret **key, BkcError *err)
{
	uint8_t		data[BKC_KEY_ID_SIZE];
	uint8_t		named[BKC_WRAP_ID_SIZE];
	char		hex[WRAP_ID_HEX];
	uint64_t	sysid;
	BkcWrapKey *wrap;

	if (!bkc_name_parse_key(name, &sysid, data, named) || memcmp(named, id, sizeof(named)) != 0)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "object \"%s\" is not the key that its name says",
							 name);
	for (size_t i = 0; store->keys != NULL && i < store->keys->nwraps; i++)
	{
		if (!bkc_keyring_wrap(store->keys, i, sysid, &wrap, err))
			return false;
		if (memcmp(wrap->id, id, BKC_WRAP_ID_SIZE) == 0)
		{
			*key = wrap->wrapping;
			return true;
		}
	}
	bkc_hex_encode(id, BKC_WRAP_ID_SIZE, hex);
	return bkc_error_set(err, BKC_ERR_KEY, "object \"%s\" needs key %s, which was not given", name,
						 hex);
}

/* ---- copies ---- */

static bool
copy_decode(const BkcFrame *frame, const char *name, BkcDataKey *key, BkcError *err)
{
	size_t		len = frame->len;
	uint64_t	created;

	if (frame->type != BKC_FRAME_DATA || frame->flags != (BKC_FRAME_LAST | BKC_FRAME_STORED) ||
		len <= COPY_PURPOSE || len > COPY_MAX)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "object \"%s\" is not a key", name);
	created = bkc_get_u64(frame->data + COPY_CREATED);
	for (size_t i = COPY_PURPOSE; i < len; i++)
	{
		if (frame->data[i] < ' ' || frame->data[i] > '~')
			return bkc_error_set(err, BKC_ERR_CORRUPT, "object \"%s\" is not a key", name);
	}
	if (created > INT64_MAX)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "object \"%s\" is not a key", name);
	key->key = bkc_secret_new(err);
	if (key->key == NULL)
		return false;
	memcpy(key->key->bytes, frame->data, BKC_SECRET_SIZE);
	key->created = (int64_t) created;
	memcpy(key->purpose, frame->data + COPY_PURPOSE, len - COPY_PURPOSE);
	key->purpose[len - COPY_PURPOSE] = '\0';
	return true;
}

bool
bkc_datakey_read(BkcStore *store, const char *name, BkcDataKey *key, BkcError *err)
{
	BkcObjectReader *r;
	uint8_t		wrapping[BKC_WRAP_ID_SIZE];
	BkcFrame	frame;
	bool		end;
	bool		ok;

	memset(key, 0, sizeof(*key));
	if (!bkc_name_parse_key(name, &key->sysid, key->id, wrapping))
		return bkc_error_set(err, BKC_ERR_INVALID, "\"%s\" is not the name of a key", name);
	if (!bkc_object_open(store, name, BKC_KIND_KEY, &r, err))
		return false;
	ok = bkc_object_next(r, &frame, 0, &end, err) &&
		copy_decode(&frame, name, key, err) &&
		bkc_object_next(r, &frame, 0, &end, err);
	bkc_object_reader_close(r);
	if (!ok)
		bkc_datakey_free(key);
	return ok;
}

bool
bkc_datakey_put(BkcStore *store, size_t n, const BkcDataKey *key, BkcError *err)
{
	uint8_t		bytes[COPY_MAX];
	size_t		len = strlen(key->purpose);
	char		name[BKC_NAME_MAX];
	BkcWrapKey *wrap;
	bool		ok;

	if (!bkc_keyring_wrap(store->keys, n, key->sysid, &wrap, err) ||
		!bkc_name_key(key->sysid, key->id, wrap->id, name, err))
		return false;
	memcpy(bytes, key->key->bytes, BKC_SECRET_SIZE);
	bkc_put_u64(bytes + COPY_CREATED, (uint64_t) key->created);
	memcpy(bytes + COPY_PURPOSE, key->purpose, len);
	ok = bkc_document_put(store, name, BKC_KIND_KEY, (const char *) bytes, COPY_PURPOSE + len, err);
	bkc_wipe(bytes, sizeof(bytes));

	/* made durable before anything may be sealed with it */
	return ok || (err->code == BKC_ERR_EXISTS && bkc_store_sync(store, name, err));
}

/* ---- what is missing ---- */

typedef struct IdList
{
	char		text[IDS_SHOWN * (WRAP_ID_HEX + 2) + 16];
	size_t		n;
} IdList;

static void
add_id(IdList *list, const uint8_t *id)
{
	char		hex[WRAP_ID_HEX];
	size_t		len = strlen(list->text);

	bkc_hex_encode(id, BKC_WRAP_ID_SIZE, hex);
	if (list->n < IDS_SHOWN)
		snprintf(list->text + len, sizeof(list->text) - len, "%s%s", list->n > 0 ? ", " : "", hex);
	else if (list->n == IDS_SHOWN)
		snprintf(list->text + len, sizeof(list->text) - len, ", ...");
	list->n++;
}

static bool
each_copy(void *arg, const char *name, uint64_t size, BkcError *err)
{
	uint8_t		id[BKC_KEY_ID_SIZE];
	uint8_t		wrapping[BKC_WRAP_ID_SIZE];
	uint64_t	sysid;

	if (bkc_name_parse_key(name, &sysid, id, wrapping))
		add_id(arg, wrapping);
	return true;
}

/* Which wrapping keys have a copy of it? */
static bool
list_copies(BkcStore *store, uint64_t sysid, const uint8_t *id, IdList *list, BkcError *err)
{
	char		folder[BKC_NAME_MAX];

	memset(list, 0, sizeof(*list));
	return bkc_name_key_copies(sysid, id, folder, err) &&
		bkc_store_list(store, folder, false, each_copy, list, err);
}

bool
bkc_datakey_find(BkcStore *store, uint64_t sysid, const uint8_t id[BKC_KEY_ID_SIZE],
				 BkcDataKey *key, BkcKeyFound *found, BkcError *err)
{
	BkcKeyring *keys = store->keys;
	BkcWrapKey *wrap;
	IdList		copies;
	BkcError	damage;

	bkc_error_clear(&damage);
	for (size_t i = 0; keys != NULL && i < keys->nwraps; i++)
	{
		char		name[BKC_NAME_MAX];

		if (!bkc_keyring_wrap(keys, i, sysid, &wrap, err) ||
			!bkc_name_key(sysid, id, wrap->id, name, err))
			return false;
		*found = BKC_KEY_OPENED;
		if (bkc_datakey_read(store, name, key, err))
			return true;
		if (err->code == BKC_ERR_CORRUPT || err->code == BKC_ERR_UNSUPPORTED)
			damage = *err;
		else if (err->code != BKC_ERR_NOT_FOUND)
			return false;
	}
	if (damage.code != BKC_OK)
	{
		*err = damage;
		return false;
	}
	if (!list_copies(store, sysid, id, &copies, err))
		return false;
	*found = copies.n > 0 ? BKC_KEY_OTHERS : BKC_KEY_GONE;
	return true;
}

static bool
key_hint(BkcError *err)
{
	return bkc_error_hint(err, "Give its key: --key-file or --key-command of the client, key_file= of the URL, pg_backupctl.encryption_key_file or pg_backupctl.encryption_key_command of the server.");
}

bool
bkc_datakey_missing(BkcStore *store, uint64_t sysid, const char *object,
					const uint8_t id[BKC_KEY_ID_SIZE], BkcError *err)
{
	BkcKeyring *keys = store->keys;
	IdList		needed;
	IdList		given = {.n = 0};
	char		hex[BKC_KEY_ID_HEX];
	char		folder[BKC_NAME_MAX];

	bkc_hex_encode(id, BKC_KEY_ID_SIZE, hex);
	if (!bkc_name_key_copies(sysid, id, folder, err) ||
		!list_copies(store, sysid, id, &needed, err))
		return false;
	if (needed.n == 0)
	{
		bkc_error_set(err, BKC_ERR_CORRUPT, "object \"%s\" cannot be opened: its data key is not in the repository any more",
					  object);
		return bkc_error_detail(err, "No copy of data key %s is left: it was destroyed (shredded), or the folder \"%s\" is incomplete.",
								hex, folder);
	}
	for (size_t i = 0; keys != NULL && i < keys->nwraps; i++)
	{
		BkcWrapKey *wrap;

		if (!bkc_keyring_wrap(keys, i, sysid, &wrap, err))
			return false;
		add_id(&given, wrap->id);
	}
	if (given.n == 0)
	{
		bkc_error_set(err, BKC_ERR_KEY, "object \"%s\" is sealed, and no key was given", object);
		bkc_error_detail(err, "Its data key %s can be opened with key %s.", hex, needed.text);
	}
	else
	{
		bkc_error_set(err, BKC_ERR_KEY, "object \"%s\" is sealed with another key than those given",
					  object);
		bkc_error_detail(err, "Its data key %s can be opened with key %s; given: %s.", hex,
						 needed.text, given.text);
	}
	return key_hint(err);
}

/* ---- reading ---- */

static const BkcDataKey *
known_key(const BkcKeyring *keys, uint64_t sysid, const uint8_t *id)
{
	const BkcDataKey *ours[] = {&keys->day, &keys->backup};

	for (size_t i = 0; i < 2; i++)
	{
		if (ours[i]->sysid == sysid && memcmp(ours[i]->id, id, BKC_KEY_ID_SIZE) == 0)
			return ours[i];
	}
	for (size_t i = 0; i < BKC_KEYRING_CACHE; i++)
	{
		const BkcDataKey *key = &keys->cache[i];

		if (key->sysid == sysid && memcmp(key->id, id, BKC_KEY_ID_SIZE) == 0)
			return key;
	}
	return NULL;
}

bool
bkc_keyring_for_reading(BkcStore *store, const char *name, const uint8_t id[BKC_KEY_ID_SIZE],
						const BkcSecret **key, BkcError *err)
{
	BkcKeyring *keys = store->keys;
	const BkcDataKey *known;
	BkcDataKey	opened = {0};
	BkcKeyFound found;
	uint64_t	sysid;

	if (!bkc_name_parse_cluster(name, &sysid))
		return bkc_error_set(err, BKC_ERR_CORRUPT, "object \"%s\" is sealed but belongs to no cluster",
							 name);
	if (keys != NULL && (known = known_key(keys, sysid, id)) != NULL)
	{
		*key = known->key;
		return true;
	}
	if (!bkc_datakey_find(store, sysid, id, &opened, &found, err))
		return bkc_error_context(err, "key of object \"%s\"", name);
	if (found != BKC_KEY_OPENED)
		return bkc_datakey_missing(store, sysid, name, id, err);
	bkc_datakey_free(&keys->cache[keys->cache_next]);
	keys->cache[keys->cache_next] = opened;
	*key = opened.key;
	keys->cache_next = (keys->cache_next + 1) % BKC_KEYRING_CACHE;
	return true;
}
