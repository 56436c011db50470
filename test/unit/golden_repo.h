/*
 * golden_repo.h
 *		The two repositories that tests of the format look at: the golden one in
 *		test/golden, and one that is written now.
 *
 * The functions are for cmocka's group set-up and tear-down; *state is the
 * GoldenRepo.
 */
#ifndef GOLDEN_REPO_H
#define GOLDEN_REPO_H

#include <limits.h>

#include "filerepo.h"
#include "store/store.h"

typedef struct GoldenRepo
{
	char		root[PATH_MAX];
	FileRepo	fresh;			/* root lies in it, unless this is the golden one */
	BkcStore   *store;
} GoldenRepo;

extern int	golden_open_v1(void **state);
extern int	golden_open_fresh(void **state);

/* The same, sealed. */
extern int	golden_open_sealed(void **state);
extern int	golden_open_fresh_sealed(void **state);

/* Those of notes (golden_notes.h). */
extern int	golden_open_notes(void **state);
extern int	golden_open_fresh_notes(void **state);
extern int	golden_open_sealed_notes(void **state);
extern int	golden_open_fresh_sealed_notes(void **state);
extern int	golden_close(void **state);

/* Seal with GOLDEN_KEY from now on. */
extern void golden_use_keys(BkcStore *store);

/* A store in any folder. */
extern bool golden_open_folder(const char *folder, BkcStore **store, BkcError *err);

#endif							/* GOLDEN_REPO_H */
