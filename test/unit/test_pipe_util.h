/*
 * test_pipe_util.h
 *		What the tests of the pipeline share: deterministic data, objects in
 *		memory that can be damaged, and short forms of asserting.
 */
#ifndef TEST_PIPE_UTIL_H
#define TEST_PIPE_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/error.h"
#include "store/store.h"

#define MIB			((size_t) 1024 * 1024)
#define SYSID		((uint64_t) 7435718529102938471)
#define LABEL		"20261120T120301Z-full-7f3a"

#define assert_ok(call) \
	do { \
		if (!(call)) \
			fail_msg("%s: %s", #call, err.message); \
	} while (0)

#define assert_fails(call, expected) \
	do { \
		bkc_error_clear(&err); \
		assert_false(call); \
		if (err.code != (expected)) \
			fail_msg("%s: code %s instead of %s: %s", #call, bkc_error_code_name(err.code), \
					 bkc_error_code_name(expected), err.message); \
	} while (0)

static uint64_t util_random_state = 88172645463325252u;

static inline uint64_t
util_random(void)
{
	util_random_state ^= util_random_state << 13;
	util_random_state ^= util_random_state >> 7;
	util_random_state ^= util_random_state << 17;
	return util_random_state;
}

typedef enum UtilData
{
	DATA_RANDOM,				/* does not shrink */
	DATA_TEXT,					/* shrinks well */
	DATA_ZERO,
	DATA_MIXED,					/* stretches of the others */
	DATA_KINDS
} UtilData;

static inline void
util_fill(uint8_t *p, size_t len, UtilData kind)
{
	static const char words[] = "select update insert delete vacuum analyze commit rollback ";
	UtilData	now = kind;

	for (size_t i = 0; i < len; i++)
	{
		if (kind == DATA_MIXED && i % 32768 == 0)
			now = (UtilData) (util_random() % 3);
		if (now == DATA_RANDOM)
			p[i] = (uint8_t) (util_random() >> 32);
		else if (now == DATA_ZERO)
			p[i] = 0;
		else
			p[i] = (uint8_t) words[(i + (i / 97) * 13) % (sizeof(words) - 1)];
	}
}

static inline uint8_t *
util_data(size_t len, UtilData kind)
{
	uint8_t    *p = malloc(len + 1);

	assert_non_null(p);
	util_fill(p, len, kind);
	return p;
}

static inline BkcStore *
util_store(void)
{
	BkcStore   *store;
	BkcError	err;

	assert_ok(bkc_store_memory_new(&store, &err));
	return store;
}

/* A whole object's bytes. */
static inline void
util_get(BkcStore *store, const char *name, BkcBuffer *out)
{
	BkcReader  *reader;
	BkcError	err;
	uint64_t	size;
	size_t		got;

	assert_ok(bkc_store_stat(store, name, &size, &err));
	bkc_buffer_reset(out);
	assert_ok(bkc_buffer_reserve(out, (size_t) size + 1, &err));
	assert_ok(bkc_store_open_read(store, name, 0, UINT64_MAX, &reader, &err));
	assert_ok(bkc_reader_read(reader, out->data, (size_t) size, &got, &err));
	assert_int_equal(got, size);
	out->len = got;
	bkc_reader_close(reader);
}

/* Put bytes under a name, in place of what is there. */
static inline void
util_put(BkcStore *store, const char *name, const void *data, size_t len)
{
	BkcWriter  *writer;
	BkcError	err;

	assert_ok(bkc_store_remove(store, &name, 1, &err));
	assert_ok(bkc_store_open_write(store, name, 0, &writer, &err));
	if (len > 0)
		assert_ok(bkc_writer_write(writer, data, len, &err));
	assert_ok(bkc_writer_commit(writer, &err));
	bkc_writer_close(writer);
}

static inline bool
util_count_name(void *arg, const char *name, uint64_t size, BkcError *err)
{
	(void) name;
	(void) size;
	(void) err;
	++*(size_t *) arg;
	return true;
}

static inline size_t
util_objects(BkcStore *store)
{
	size_t		n = 0;
	BkcError	err;

	assert_ok(bkc_store_list(store, "", true, util_count_name, &n, &err));
	return n;
}

#endif							/* TEST_PIPE_UTIL_H */
