/*
 * storetools.c
 *		What tests that use a store write again and again.
 */
#include "storetools.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void
store_pattern(void *buf, size_t n, unsigned seed)
{
	uint8_t    *p = buf;
	uint32_t	state = seed * 2654435761u + 1;

	for (size_t i = 0; i < n; i++)
	{
		state = state * 1664525u + 1013904223u;
		p[i] = (uint8_t) (state >> 24);
	}
}

bool
store_put(BkcStore *store, const char *name, const void *data, size_t len, size_t step,
		  BkcError *err)
{
	BkcWriter  *writer;
	const uint8_t *p = data;
	bool		ok;

	if (!bkc_store_open_write(store, name, len, &writer, err))
		return false;
	ok = true;
	while (ok && len > 0)
	{
		size_t		n = step == 0 || step > len ? len : step;

		ok = bkc_writer_write(writer, p, n, err);
		p += n;
		len -= n;
	}
	ok = ok && bkc_writer_commit(writer, err);
	bkc_writer_close(writer);
	return ok;
}

bool
store_get(BkcStore *store, const char *name, uint64_t offset, uint64_t length,
		  size_t step, BkcBuffer *out, BkcError *err)
{
	BkcReader  *reader;
	size_t		got;
	bool		ok;

	bkc_buffer_reset(out);
	if (!bkc_store_open_read(store, name, offset, length, &reader, err))
		return false;
	do
	{
		ok = bkc_buffer_reserve(out, step, err) &&
			bkc_reader_read(reader, out->data + out->len, step, &got, err);
		if (ok)
			out->len += got;
	} while (ok && got == step);

	/* the end stays the end */
	if (ok)
	{
		uint8_t		more;

		ok = bkc_reader_read(reader, &more, 1, &got, err);
		assert_true(!ok || got == 0);
	}
	bkc_reader_close(reader);
	return ok;
}

static bool
add_name(void *arg, const char *name, uint64_t size, BkcError *err)
{
	return bkc_buffer_printf(arg, err, "%s ", name);
}

char *
store_names(BkcStore *store, const char *prefix, bool deep)
{
	BkcBuffer	buf = {0};
	BkcError	err;
	char	   *text;

	if (bkc_store_list(store, prefix, deep, add_name, &buf, &err))
		text = strdup(bkc_buffer_str(&buf));
	else
	{
		print_error("listing \"%s\": %s\n", prefix, err.message);
		text = strdup("?");
	}
	bkc_buffer_free(&buf);
	return text;
}

void
assert_ok(bool ok, const BkcError *err)
{
	if (!ok)
		fail_msg("%s (%s)", err->message, bkc_error_code_name(err->code));
}

void
assert_code(bool ok, const BkcError *err, BkcErrorCode code)
{
	if (ok)
		fail_msg("success, expected \"%s\"", bkc_error_code_name(code));
	if (err->code != code)
		fail_msg("%s (%s), expected \"%s\"", err->message, bkc_error_code_name(err->code),
				 bkc_error_code_name(code));
	assert_true(err->message[0] != '\0');
}

void
assert_names(BkcStore *store, const char *prefix, bool deep, const char *expected)
{
	char	   *names = store_names(store, prefix, deep);

	assert_string_equal(names, expected);
	free(names);
}

void
assert_object(BkcStore *store, const char *name, const void *data, size_t len)
{
	BkcBuffer	buf = {0};
	BkcError	err;
	uint64_t	size;

	assert_ok(bkc_store_stat(store, name, &size, &err), &err);
	assert_int_equal(size, len);
	assert_ok(store_get(store, name, 0, UINT64_MAX, 100000, &buf, &err), &err);
	assert_int_equal(buf.len, len);
	assert_true(len == 0 || memcmp(buf.data, data, len) == 0);
	bkc_buffer_free(&buf);
}

void
assert_absent(BkcStore *store, const char *name)
{
	BkcReader  *reader;
	BkcError	err;
	uint64_t	size;

	assert_code(bkc_store_stat(store, name, &size, &err), &err, BKC_ERR_NOT_FOUND);
	assert_code(bkc_store_open_read(store, name, 0, UINT64_MAX, &reader, &err), &err,
				BKC_ERR_NOT_FOUND);
	assert_null(reader);
}
