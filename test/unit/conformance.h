/*
 * conformance.h
 *		The cases that every store driver has to pass.
 *
 * A driver's test program describes how to get an empty repository and how to
 * open handles on it, and runs the cases with conformance_run().  Each case
 * begins with an empty repository.
 */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include <stdbool.h>

#include "store/store.h"
#include "storetools.h"

typedef struct Conformance
{
	const char *name;			/* an identifier, put in front of the names of the cases */

	/* make an empty repository; what open and teardown need goes to *repo */
	bool		(*setup) (void **repo, BkcError *err);

	/* a new handle on it; at least two must be possible at the same time */
	bool		(*open) (void *repo, BkcStore **store, BkcError *err);

	/* all handles are closed: remove everything */
	void		(*teardown) (void *repo);

	bool		few;			/* fewer objects in listings: one more way to a known server */
} Conformance;

/* Run all cases.  Returns the number of failures. */
extern int	conformance_run(const Conformance *driver);

#endif							/* CONFORMANCE_H */
