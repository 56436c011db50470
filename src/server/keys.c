/*
 * keys.c
 *		See keys.h.
 */
#include "pgcompat.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "keys.h"
#include "seen.h"
#include "settings.h"
#include "walshared.h"

/* The keys of a repository, as this process knows them. */
typedef struct Ring
{
	char	   *name;			/* NULL: free */
	uint64		place;
	char	   *settings;		/* what they were made from */
	BkcKeyring *keys;
} Ring;

static Ring rings[BKC_MAX_REPOS];

BkcSealing
bkc_repo_sealing(const BkcRepoDef *def)
{
	const char *word = bkc_url_param(&def->url, "encryption");
	BkcSealing	sealing;

	if (word != NULL && bkc_sealing_parse(word, &sealing))
		return sealing;
	return (BkcSealing) bkc_set_encryption;
}

const char *
bkc_repo_key_files(const BkcRepoDef *def)
{
	const char *files = bkc_url_param(&def->url, "key_file");

	if (files != NULL)
		return files;
	return bkc_set_key_file != NULL ? bkc_set_key_file : "";
}

/* A repository with keys of its own does not get those of all. */
static const char *
key_command(const BkcRepoDef *def)
{
	if (bkc_url_param(&def->url, "key_file") != NULL || bkc_set_key_command == NULL)
		return "";
	return bkc_set_key_command;
}

/* ---- have they changed? ---- */

/* A file may be replaced by another under the same name. */
static bool
put_stamp(BkcBuffer *out, const char *path, size_t len, BkcError *err)
{
	char		copy[MAXPGPATH];
	struct stat st;

	if (len >= sizeof(copy))
		return true;
	memcpy(copy, path, len);
	copy[len] = '\0';
	if (stat(copy, &st) != 0)
		return bkc_buffer_append_str(out, "-\n", err);
	return bkc_buffer_printf(out, err, "%llu %lld %lld.%09ld %o\n",
							 (unsigned long long) st.st_ino, (long long) st.st_size,
							 (long long) st.st_mtim.tv_sec, (long) st.st_mtim.tv_nsec,
							 (unsigned) st.st_mode);
}

static bool
describe(const BkcRepoDef *def, BkcBuffer *out, BkcError *err)
{
	const char *p = bkc_repo_key_files(def);
	const char *path;
	size_t		len;

	if (!bkc_buffer_printf(out, err, "%d\n%s\n%s\n", (int) bkc_repo_sealing(def), p,
						   key_command(def)))
		return false;
	while (bkc_keyring_next_file(&p, &path, &len))
	{
		if (!put_stamp(out, path, len, err))
			return false;
	}
	return true;
}

bool
bkc_repo_keys_changed(const BkcRepoDef *def, const BkcStore *store)
{
	BkcBuffer	now = {0};
	BkcError	ignored;
	bool		changed = true;

	for (int i = 0; i < BKC_MAX_REPOS; i++)
	{
		if (rings[i].keys != NULL && rings[i].keys == store->keys)
			changed = !describe(def, &now, &ignored) ||
				strcmp(bkc_buffer_str(&now), rings[i].settings) != 0;
	}
	bkc_buffer_free(&now);
	return changed;
}

/* ---- the key of the day, known to all ---- */

/* arg is the index in shared memory, from 1.  For predecessors little is written: not shared. */
static bool
share_get(void *arg, uint64_t sysid, int64_t day, uint8_t id[BKC_KEY_ID_SIZE])
{
	const BkcRepoState *state = &bkc_wal->repos[(intptr_t) arg - 1];
	bool		known;

	if (sysid != GetSystemIdentifier())
		return false;
	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	known = state->key_day == day && day > 0;
	memcpy(id, state->key_id, BKC_KEY_ID_SIZE);
	LWLockRelease(bkc_wal->lock);
	return known;
}

static void
share_set(void *arg, uint64_t sysid, int64_t day, const uint8_t id[BKC_KEY_ID_SIZE])
{
	BkcRepoState *state = &bkc_wal->repos[(intptr_t) arg - 1];

	if (sysid != GetSystemIdentifier())
		return;
	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	state->key_day = day;
	memcpy(state->key_id, id, BKC_KEY_ID_SIZE);
	LWLockRelease(bkc_wal->lock);
}

static void
share(const BkcRepoDef *def, BkcKeyring *keys)
{
	BkcKeyShare how = {share_get, share_set, NULL};
	int			repo = bkc_wal != NULL ? bkc_wal_repo(def) : -1;

	if (repo < 0)
		return;
	how.arg = (void *) (intptr_t) (repo + 1);
	bkc_keyring_share(keys, &how);
}

/* ---- opening ---- */

static void
ring_free(Ring *ring)
{
	bkc_keyring_free(ring->keys);
	free(ring->name);
	free(ring->settings);
	memset(ring, 0, sizeof(*ring));
}

/* Its place in the table; one that is free, or at worst another one's, when it is new. */
static Ring *
find_ring(const BkcRepoDef *def, uint64 place)
{
	Ring	   *free_one = NULL;

	for (int i = 0; i < BKC_MAX_REPOS; i++)
	{
		if (rings[i].name == NULL)
			free_one = &rings[i];
		else if (rings[i].place == place && strcmp(rings[i].name, def->name) == 0)
			return &rings[i];
	}
	return free_one != NULL ? free_one : &rings[place % BKC_MAX_REPOS];
}

static bool
make_ring(const BkcRepoDef *def, const char *settings, Ring *ring, BkcError *err)
{
	BkcKeySpec	spec = {
		.files = bkc_repo_key_files(def),
		.command = key_command(def),
		.sealing = bkc_repo_sealing(def)
	};

	if (!bkc_keyring_new(&spec, &ring->keys, err))
		return false;
	ring->name = strdup(def->name);
	ring->settings = strdup(settings);
	ring->place = bkc_wal_place(&def->url);
	if (ring->name != NULL && ring->settings != NULL)
	{
		share(def, ring->keys);
		return true;
	}
	ring_free(ring);
	return bkc_error_oom(err);
}

static bool
get_keys(const BkcRepoDef *def, BkcKeyring **keys, BkcError *err)
{
	Ring	   *ring = find_ring(def, bkc_wal_place(&def->url));
	BkcBuffer	settings = {0};
	bool		ok = describe(def, &settings, err);

	if (ok && (ring->settings == NULL || strcmp(ring->name, def->name) != 0 ||
			   ring->place != bkc_wal_place(&def->url) ||
			   strcmp(ring->settings, bkc_buffer_str(&settings)) != 0))
	{
		ring_free(ring);
		ok = make_ring(def, bkc_buffer_str(&settings), ring, err);
	}
	bkc_buffer_free(&settings);
	*keys = ring->keys;
	return ok;
}

bool
bkc_repo_open(const BkcRepoDef *def, BkcStore **store, BkcError *err)
{
	BkcKeyring *keys;

	*store = NULL;
	if (!get_keys(def, &keys, err))
	{
		if (err->code == BKC_ERR_KEY || err->code == BKC_ERR_ACCESS)
			bkc_seen_key(def, err, true);
		return bkc_error_context(err, "repository \"%s\"", def->name);
	}
	bkc_seen_key(def, NULL, true);
	if (!bkc_store_open(&def->url, store, err))
		return false;
	bkc_keyring_attach(keys, *store);
	bkc_seen_watch(def, *store);
	return true;
}

bool
bkc_repo_keyring(const BkcRepoDef *def, const char *files, BkcKeyring **keys, BkcError *err)
{
	BkcKeySpec	spec = {
		.files = files,
		.command = key_command(def),
		.sealing = bkc_repo_sealing(def)
	};

	return bkc_keyring_new(&spec, keys, err);
}
