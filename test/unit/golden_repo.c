/*
 * golden_repo.c
 *		Opens golden repositories for tests (see golden_repo.h).
 */
#include "test_pipe_util.h"

#include "golden_make.h"
#include "golden_repo.h"

#define GOLDEN_FOLDER	"/../golden/v1"

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

/* Beside this source, wherever the program was built or is started from the source's top. */
int
golden_open_v1(void **state)
{
	GoldenRepo *repo = calloc(1, sizeof(*repo));
	char		here[PATH_MAX - sizeof(GOLDEN_FOLDER)];
	char		there[PATH_MAX];
	BkcError	err;

	assert_non_null(repo);
	snprintf(here, sizeof(here), "%s", __FILE__);
	*strrchr(here, '/') = '\0';
	snprintf(there, sizeof(there), "%s" GOLDEN_FOLDER, here);
	if (realpath(there, repo->root) == NULL)
		fail_msg("no folder \"%s\": run this in the top folder of the source", there);
	assert_ok(golden_open_folder(repo->root, &repo->store, &err));
	*state = repo;
	return 0;
}

int
golden_open_fresh(void **state)
{
	GoldenRepo *repo = calloc(1, sizeof(*repo));
	BkcError	err;

	assert_non_null(repo);
	assert_ok(filerepo_new(&repo->fresh, &err));
	snprintf(repo->root, sizeof(repo->root), "%s", repo->fresh.root);
	assert_ok(filerepo_open(&repo->fresh, &repo->store, &err));
	assert_ok(golden_make(repo->store, &err));
	*state = repo;
	return 0;
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
