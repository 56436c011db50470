/*
 * golden_repo.c
 *		Opens golden repositories for tests (see golden_repo.h).
 */
#include "test_pipe_util.h"

#include "golden_make.h"
#include "golden_notes.h"
#include "golden_repo.h"
#include "pipe/keyring.h"

#define GOLDEN_FOLDER	"/../golden/v1"
#define GOLDEN_SEALED	"/../golden/v1-sealed"
#define NOTES_FOLDER	"/../golden/v1-notes"
#define NOTES_SEALED	"/../golden/v1-notes-sealed"

bool
golden_open_folder(const char *folder, BkcStore **store, BkcError *err)
{
	BkcUrl		url = {0};
	char		text[PATH_MAX + 8];
	bool		ok;

	snprintf(text, sizeof(text), "file://%s", folder);
	ok = bkc_url_parse(text, &url, err) && bkc_store_open(&url, store, err);
	bkc_url_free(&url);
	return ok;
}

void
golden_use_keys(BkcStore *store)
{
	BkcKeySpec	spec = {.sealing = BKC_SEALING_REQUIRED};
	BkcUserKey	key = {0};
	BkcKeyring *keys;
	BkcError	err;

	assert_ok(bkc_keyring_new(&spec, &keys, &err));
	assert_ok(bkc_userkey_parse(GOLDEN_KEY, strlen(GOLDEN_KEY), "golden", &key, &err));
	assert_ok(bkc_keyring_add(keys, &key, &err));
	bkc_keyring_attach(keys, store);
	bkc_keyring_free(keys);
}

/* Beside this source, wherever the program was built or is started from the source's top. */
static int
open_golden(const char *folder, void **state)
{
	GoldenRepo *repo = calloc(1, sizeof(*repo));
	char		here[PATH_MAX - sizeof(NOTES_SEALED)];
	char		there[PATH_MAX];
	BkcError	err;

	assert_non_null(repo);
	snprintf(here, sizeof(here), "%s", __FILE__);
	*strrchr(here, '/') = '\0';
	snprintf(there, sizeof(there), "%s%s", here, folder);
	if (realpath(there, repo->root) == NULL)
		fail_msg("no folder \"%s\": run this in the top folder of the source", there);
	assert_ok(golden_open_folder(repo->root, &repo->store, &err));
	*state = repo;
	return 0;
}

int
golden_open_v1(void **state)
{
	return open_golden(GOLDEN_FOLDER, state);
}

static int
open_sealed(const char *folder, void **state)
{
	GoldenRepo *repo;

	if (open_golden(folder, state) != 0)
		return -1;
	repo = *state;
	golden_use_keys(repo->store);
	return 0;
}

int
golden_open_sealed(void **state)
{
	return open_sealed(GOLDEN_SEALED, state);
}

static int
open_fresh(bool (*make) (BkcStore *store, BkcError *err), bool sealed, void **state)
{
	GoldenRepo *repo = calloc(1, sizeof(*repo));
	BkcError	err;

	assert_non_null(repo);
	assert_ok(filerepo_new(&repo->fresh, &err));
	snprintf(repo->root, sizeof(repo->root), "%s", repo->fresh.root);
	assert_ok(filerepo_open(&repo->fresh, &repo->store, &err));
	if (sealed)
		golden_use_keys(repo->store);
	assert_ok(make(repo->store, &err));
	*state = repo;
	return 0;
}

int
golden_open_fresh(void **state)
{
	return open_fresh(golden_make, false, state);
}

int
golden_open_fresh_sealed(void **state)
{
	return open_fresh(golden_make, true, state);
}

int
golden_open_notes(void **state)
{
	return open_golden(NOTES_FOLDER, state);
}

int
golden_open_fresh_notes(void **state)
{
	return open_fresh(golden_make_notes, false, state);
}

int
golden_open_sealed_notes(void **state)
{
	return open_sealed(NOTES_SEALED, state);
}

int
golden_open_fresh_sealed_notes(void **state)
{
	return open_fresh(golden_make_notes, true, state);
}

int
golden_close(void **state)
{
	GoldenRepo *repo = *state;

	if (repo == NULL)
		return 0;
	bkc_store_close(repo->store);
	if (repo->fresh.top[0] != '\0')
		filerepo_free(&repo->fresh);
	free(repo);
	return 0;
}
