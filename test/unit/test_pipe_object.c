/*
 * test_pipe_object.c
 *		Objects and documents: every damage, at every byte, is noticed.
 */
#include "test_pipe_util.h"

#include "pipe/object.h"

#define NAME	"7435718529102938471/backups/20261120T120301Z-full-7f3a/notes/x"
#define OTHER	"7435718529102938471/backups/20261120T120301Z-full-7f3a/notes/y"

static BkcFrame
stored_frame(const void *data, size_t len)
{
	BkcFrame	frame = {
		.data = data,
		.len = (uint32_t) len,
		.plain_len = (uint32_t) len,
		.type = BKC_FRAME_DATA,
		.flags = BKC_FRAME_STORED
	};

	return frame;
}

/* Read all frames and the end; counts the bytes of frames. */
static bool
read_all(BkcStore *store, const char *name, size_t footer, uint64_t *bytes, BkcError *err)
{
	BkcObjectReader *r;
	BkcFrame	frame;
	bool		end = false;
	bool		ok;

	*bytes = 0;
	if (!bkc_object_open(store, name, BKC_KIND_NOTE, &r, err))
		return false;
	while ((ok = bkc_object_next(r, &frame, footer, &end, err)) && !end)
		*bytes += frame.len;
	bkc_object_reader_close(r);
	return ok;
}

/* Frames of all sizes, so that gathering and direct writing mix in every way. */
static void
test_round_trip(void **state)
{
	static const uint32_t sizes[] = {
		1, 31, 32 * 1024, 32 * 1024 + 1, 5, MIB, MIB - 1, 100, 256 * 1024, 17, 32 * 1024,
		32 * 1024, 32 * 1024, 32 * 1024, 32 * 1024, 32 * 1024, 32 * 1024, 32 * 1024, 32 * 1024, 3
	};
	size_t		n = sizeof(sizes) / sizeof(sizes[0]);
	uint8_t    *data = util_data(MIB, DATA_RANDOM);
	BkcStore   *store = util_store();
	BkcObjectWriter *w;
	BkcObjectReader *r;
	BkcPackEntry entry;
	BkcFrame	frame;
	BkcError	err;
	uint64_t	offset = BKC_ENVELOPE_SIZE;
	uint64_t	size;
	bool		end;

	assert_ok(bkc_object_create(store, NAME, BKC_KIND_NOTE, BKC_CODEC_NONE, 0, &w, &err));
	for (size_t i = 0; i < n; i++)
	{
		frame = stored_frame(i + sizes[i] > MIB ? data : data + i, sizes[i]);
		assert_int_equal(bkc_object_size(w), offset);
		assert_ok(bkc_object_put(w, &frame, i == n - 1, &entry, &err));
		assert_int_equal(entry.offset, offset);
		assert_int_equal(entry.stored_len, sizes[i]);
		offset += BKC_FRAME_HEADER_SIZE + sizes[i];
	}
	assert_ok(bkc_object_put_raw(w, "footer", 6, &err));
	assert_int_equal(util_objects(store), 0);
	assert_ok(bkc_object_commit(w, &err));
	bkc_object_close(w);
	assert_ok(bkc_store_stat(store, NAME, &size, &err));
	assert_int_equal(size, offset + 6);

	assert_ok(bkc_object_open(store, NAME, BKC_KIND_NOTE, &r, &err));
	assert_int_equal(bkc_object_envelope(r)->kind, BKC_KIND_NOTE);
	for (size_t i = 0; i < n; i++)
	{
		assert_ok(bkc_object_next(r, &frame, 6, &end, &err));
		assert_false(end);
		assert_int_equal(frame.len, sizes[i]);
		assert_memory_equal(frame.data, i + sizes[i] > MIB ? data : data + i, sizes[i]);
		assert_int_equal((frame.flags & BKC_FRAME_LAST) != 0, i == n - 1);
	}
	assert_ok(bkc_object_next(r, &frame, 6, &end, &err));
	assert_true(end);
	bkc_object_reader_close(r);

	/* a footer of another size than the reader expects */
	assert_fails(read_all(store, NAME, 5, &size, &err), BKC_ERR_CORRUPT);
	assert_fails(read_all(store, NAME, 7, &size, &err), BKC_ERR_CORRUPT);
	free(data);
	bkc_store_close(store);
}

/* Two uploads of the same bytes under one name are not the same object. */
static void
test_fresh_salt(void **state)
{
	BkcStore   *store = util_store();
	BkcBuffer	a = {0};
	BkcBuffer	b = {0};
	BkcError	err;
	const char *name = NAME;

	assert_ok(bkc_document_put(store, NAME, BKC_KIND_NOTE, "text", 4, &err));
	util_get(store, NAME, &a);
	assert_ok(bkc_store_remove(store, &name, 1, &err));
	assert_ok(bkc_document_put(store, NAME, BKC_KIND_NOTE, "text", 4, &err));
	util_get(store, NAME, &b);
	assert_int_equal(a.len, b.len);
	assert_memory_not_equal(a.data, b.data, a.len);
	bkc_buffer_free(&a);
	bkc_buffer_free(&b);
	bkc_store_close(store);
}

static void
test_misuse(void **state)
{
	uint8_t    *data = util_data(MIB + 1, DATA_RANDOM);
	BkcFrame	frame = stored_frame("x", 1);
	BkcFrame	bad;
	BkcStore   *store = util_store();
	BkcObjectWriter *w;
	BkcError	err;

	assert_fails(bkc_object_create(store, "../x", BKC_KIND_NOTE, BKC_CODEC_NONE, 0, &w, &err),
				 BKC_ERR_INVALID);
	assert_null(w);
	assert_ok(bkc_object_create(store, NAME, BKC_KIND_NOTE, BKC_CODEC_NONE, 0, &w, &err));
	assert_fails(bkc_object_commit(w, &err), BKC_ERR_INTERNAL);
	assert_fails(bkc_object_put_raw(w, "x", 1, &err), BKC_ERR_INTERNAL);
	bad = stored_frame(data, 0);
	assert_fails(bkc_object_put(w, &bad, false, NULL, &err), BKC_ERR_INTERNAL);
	bad = stored_frame(data, MIB + 1);
	assert_fails(bkc_object_put(w, &bad, false, NULL, &err), BKC_ERR_INTERNAL);
	assert_ok(bkc_object_put(w, &frame, true, NULL, &err));
	assert_fails(bkc_object_put(w, &frame, false, NULL, &err), BKC_ERR_INTERNAL);
	assert_ok(bkc_object_commit(w, &err));
	assert_fails(bkc_object_commit(w, &err), BKC_ERR_INTERNAL);
	bkc_object_close(w);
	bkc_object_close(NULL);
	bkc_object_reader_close(NULL);

	/* what is not committed leaves nothing */
	assert_ok(bkc_object_create(store, OTHER, BKC_KIND_NOTE, BKC_CODEC_NONE, 0, &w, &err));
	assert_ok(bkc_object_put(w, &frame, true, NULL, &err));
	bkc_object_close(w);
	assert_int_equal(util_objects(store), 1);
	free(data);
	bkc_store_close(store);
}

/* Every call of the store fails once: an error comes back, and no object is seen. */
static void
test_store_failures(void **state)
{
	uint8_t    *data = util_data(MIB, DATA_RANDOM);
	uint64_t	calls = 0;
	bool		done = false;

	for (uint64_t at = 1; !done; at++)
	{
		BkcStore   *memory = util_store();
		BkcStore   *store;
		BkcStore   *look;
		BkcObjectWriter *w = NULL;
		BkcFrame	big = stored_frame(data, MIB);
		BkcFrame	small = stored_frame(data, 100);
		BkcError	err;

		calls = 0;
		assert_ok(bkc_store_memory_share(memory, &look, &err));
		assert_ok(bkc_store_faulty_new(memory, at, BKC_ERR_NO_SPACE, &calls, &store, &err));
		done = bkc_object_create(store, NAME, BKC_KIND_NOTE, BKC_CODEC_NONE, 0, &w, &err) &&
			bkc_object_put(w, &small, false, NULL, &err) &&
			bkc_object_put(w, &big, false, NULL, &err) &&
			bkc_object_put(w, &small, false, NULL, &err) &&
			bkc_object_put(w, &big, true, NULL, &err) &&
			bkc_object_put_raw(w, "f", 1, &err) &&
			bkc_object_commit(w, &err);
		if (!done)
		{
			BkcError	second;

			assert_int_equal(err.code, BKC_ERR_NO_SPACE);
			assert_int_equal(util_objects(look), 0);

			/* no way past a hole */
			if (w != NULL)
			{
				bkc_error_clear(&second);
				assert_false(bkc_object_commit(w, &second));
			}
			assert_int_equal(util_objects(look), 0);
		}
		bkc_object_close(w);
		bkc_store_close(store);
		bkc_store_close(look);
		assert_true(at < 100);
	}
	assert_true(calls >= 4);
	free(data);
}

/* ---- documents ---- */

static void
test_document(void **state)
{
	static const size_t sizes[] = {1, 2, 300, MIB - 1, MIB};
	BkcStore   *store = util_store();
	BkcBuffer	out = {0};
	BkcError	err;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
	{
		char	   *text = (char *) util_data(sizes[i], DATA_TEXT);
		const char *name = NAME;

		assert_ok(bkc_document_put(store, NAME, BKC_KIND_NOTE, text, sizes[i], &err));
		assert_fails(bkc_document_put(store, NAME, BKC_KIND_NOTE, text, sizes[i], &err),
					 BKC_ERR_EXISTS);
		bkc_buffer_reset(&out);
		assert_ok(bkc_buffer_append_str(&out, "before ", &err));
		assert_ok(bkc_document_get(store, NAME, BKC_KIND_NOTE, &out, &err));
		assert_int_equal(out.len, 7 + sizes[i]);
		assert_memory_equal(out.data + 7, text, sizes[i]);
		assert_int_equal(out.data[out.len], 0);
		assert_fails(bkc_document_get(store, NAME, BKC_KIND_BEGIN, &out, &err), BKC_ERR_CORRUPT);
		assert_int_equal(out.len, 7 + sizes[i]);
		assert_ok(bkc_store_remove(store, &name, 1, &err));
		free(text);
	}
	assert_fails(bkc_document_get(store, NAME, BKC_KIND_NOTE, &out, &err), BKC_ERR_NOT_FOUND);
	assert_fails(bkc_document_put(store, NAME, BKC_KIND_NOTE, "", 0, &err), BKC_ERR_INVALID);
	bkc_buffer_free(&out);
	bkc_store_close(store);
}

static void
test_document_damage(void **state)
{
	static const char text[] = "{\"document\": \"which nobody may change\"}";
	BkcStore   *store = util_store();
	BkcBuffer	good = {0};
	BkcBuffer	out = {0};
	BkcError	err;
	uint8_t    *bad;

	assert_ok(bkc_document_put(store, NAME, BKC_KIND_NOTE, text, sizeof(text) - 1, &err));
	util_get(store, NAME, &good);
	bad = malloc(good.len + 1);

	/* each bit of each byte */
	for (size_t i = 0; i < good.len; i++)
	{
		for (int bit = 0; bit < 8; bit++)
		{
			memcpy(bad, good.data, good.len);
			bad[i] ^= (uint8_t) (1 << bit);
			util_put(store, NAME, bad, good.len);
			bkc_error_clear(&err);
			if (bkc_document_get(store, NAME, BKC_KIND_NOTE, &out, &err))
				fail_msg("flipped bit %d of byte %zu goes unnoticed", bit, i);
			assert_int_equal(err.code, BKC_ERR_CORRUPT);
			assert_int_equal(out.len, 0);
			assert_non_null(strstr(err.message, NAME));
		}
	}

	/* cut at each length; grown */
	for (size_t len = 0; len < good.len; len++)
	{
		util_put(store, NAME, good.data, len);
		assert_fails(bkc_document_get(store, NAME, BKC_KIND_NOTE, &out, &err), BKC_ERR_CORRUPT);
	}
	memcpy(bad, good.data, good.len);
	bad[good.len] = 0;
	util_put(store, NAME, bad, good.len + 1);
	assert_fails(bkc_document_get(store, NAME, BKC_KIND_NOTE, &out, &err), BKC_ERR_CORRUPT);

	/* under another name */
	util_put(store, OTHER, good.data, good.len);
	assert_fails(bkc_document_get(store, OTHER, BKC_KIND_NOTE, &out, &err), BKC_ERR_CORRUPT);

	/* and untouched it is still good */
	util_put(store, NAME, good.data, good.len);
	assert_ok(bkc_document_get(store, NAME, BKC_KIND_NOTE, &out, &err));
	assert_string_equal(bkc_buffer_str(&out), text);
	free(bad);
	bkc_buffer_free(&good);
	bkc_buffer_free(&out);
	bkc_store_close(store);
}

/* More frames than one, or a frame of another type, is no document. */
static void
test_document_shape(void **state)
{
	BkcStore   *store = util_store();
	BkcFrame	frame = stored_frame("x", 1);
	BkcBuffer	out = {0};
	BkcObjectWriter *w;
	BkcError	err;

	assert_ok(bkc_object_create(store, NAME, BKC_KIND_NOTE, BKC_CODEC_NONE, 0, &w, &err));
	assert_ok(bkc_object_put(w, &frame, false, NULL, &err));
	assert_ok(bkc_object_put(w, &frame, true, NULL, &err));
	assert_ok(bkc_object_commit(w, &err));
	bkc_object_close(w);
	assert_fails(bkc_document_get(store, NAME, BKC_KIND_NOTE, &out, &err), BKC_ERR_CORRUPT);
	frame.type = BKC_FRAME_INDEX;
	assert_ok(bkc_object_create(store, OTHER, BKC_KIND_NOTE, BKC_CODEC_NONE, 0, &w, &err));
	assert_ok(bkc_object_put(w, &frame, true, NULL, &err));
	assert_ok(bkc_object_commit(w, &err));
	bkc_object_close(w);
	assert_fails(bkc_document_get(store, OTHER, BKC_KIND_NOTE, &out, &err), BKC_ERR_CORRUPT);
	assert_int_equal(out.len, 0);
	bkc_buffer_free(&out);
	bkc_store_close(store);
}

/* A store that cannot be asked is not an absent document. */
static void
test_document_failures(void **state)
{
	bool		done = false;

	for (uint64_t at = 1; !done; at++)
	{
		BkcStore   *memory = util_store();
		BkcStore   *store;
		BkcBuffer	out = {0};
		BkcError	err;

		assert_ok(bkc_document_put(memory, NAME, BKC_KIND_NOTE, "text", 4, &err));
		assert_ok(bkc_store_faulty_new(memory, at, BKC_ERR_UNAVAILABLE, NULL, &store, &err));
		done = bkc_document_get(store, NAME, BKC_KIND_NOTE, &out, &err);
		if (!done)
		{
			assert_int_equal(err.code, BKC_ERR_UNAVAILABLE);
			assert_int_equal(out.len, 0);
		}
		bkc_buffer_free(&out);
		bkc_store_close(store);
		assert_true(at < 20);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_fresh_salt),
		cmocka_unit_test(test_misuse),
		cmocka_unit_test(test_store_failures),
		cmocka_unit_test(test_document),
		cmocka_unit_test(test_document_damage),
		cmocka_unit_test(test_document_shape),
		cmocka_unit_test(test_document_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
