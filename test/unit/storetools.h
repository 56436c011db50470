/*
 * storetools.h
 *		What tests that use a store write again and again.
 */
#ifndef STORETOOLS_H
#define STORETOOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "store/store.h"

/* n bytes that depend on the place and on seed. */
extern void store_pattern(void *buf, size_t n, unsigned seed);

/* Write an object, step bytes at a time (0: at once), and commit it. */
extern bool store_put(BkcStore *store, const char *name, const void *data, size_t len,
					  size_t step, BkcError *err);

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

#endif							/* STORETOOLS_H */
