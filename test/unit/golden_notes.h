/*
 * golden_notes.h
 *		A second small repository of which copies stay in test/golden: three backups of a few
 *		files, with notes of every kind.
 *
 * golden_notes.c says what it holds, golden_make_notes.c writes it with the core, and the second
 * reader (golden.h) reads it by FORMAT.md alone.  As there, nothing in the description may
 * change once a copy is committed.
 */
#ifndef GOLDEN_NOTES_H
#define GOLDEN_NOTES_H

#include "golden.h"
#include "store/store.h"

#define GOLDEN_HELD			"20261120T120301Z-full-7f3a"	/* held, released, held again */
#define GOLDEN_TIE			"20261121T120301Z-full-00ff"	/* both at the same moment: held */
#define GOLDEN_RELEASED		"20261122T120301Z-full-a4c5"	/* and, where it is sealed, to be shredded */
#define GOLDEN_NOTED		3

extern const char *const golden_noted[GOLDEN_NOTED];

typedef struct GoldenNote
{
	const char *label;
	const char *name;			/* of the object, behind notes/ */
	const char *json;
	bool		sealed;			/* only there; a key "data_key" is left out here */
	bool		more;			/* it has a key that FORMAT.md does not know */
} GoldenNote;

extern const GoldenNote golden_notes[];
extern const size_t golden_nnotes;

/* Objects of the repository, keys left out. */
extern const size_t golden_notes_objects;

/* Write everything into an empty store. */
extern bool golden_make_notes(BkcStore *store, BkcError *err);

#endif							/* GOLDEN_NOTES_H */
