/*
 * conformance.h
 *		The cases that every store driver has to pass, and helpers for tests
 *		that use a store.
 *
 * A driver's test program describes how to get an empty repository and how to
 * open handles on it, and runs the cases with conformance_run().  Each case
 * begins with an empty repository.
 */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "store/store.h"

typedef struct Conformance
{
	const char *name;			/* an identifier, put in front of the names of the cases */

	/* make an empty repository; what open and teardown need goes to *repo */
	bool		(*setup) (void **repo, BkcError *err);

	/* a new handle on it; at least two must be possible at the same time */
	bool		(*open) (void *repo, BkcStore **store, BkcError *err);

	/* all handles are closed: remove everything */
	void		(*teardown) (void *repo);
} Conformance;

/* Run all cases.  Returns the number of failures. */
extern int	conformance_run(const Conformance *driver);

/* n bytes that depend on the place and on seed. */
extern void store_pattern(void *buf, size_t n, unsigned seed);

/* Write an object, step bytes at a time (0: at once), and commit it. */
extern bool store_put(BkcStore *store, const char *name, const void *data, size_t len, size_t step,
					  BkcError *err);

/* Read a range (0, UINT64_MAX: all) into out, which is emptied first, step bytes at a time. */
extern bool store_get(BkcStore *store, const char *name, uint64_t offset, uint64_t length,
					  size_t step, BkcBuffer *out, BkcError *err);

/* The names in a listing, each followed by a space; "?" when listing fails.  Freed by the caller. */
extern char *store_names(BkcStore *store, const char *prefix, bool deep);

/* Asserts in the style of cmocka. */
extern void assert_code(bool ok, const BkcError *err, BkcErrorCode code);
extern void assert_ok(bool ok, const BkcError *err);
extern void assert_names(BkcStore *store, const char *prefix, bool deep, const char *expected);
extern void assert_object(BkcStore *store, const char *name, const void *data, size_t len);
extern void assert_absent(BkcStore *store, const char *name);

#endif							/* CONFORMANCE_H */
