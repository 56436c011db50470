/*
 * conformance.c
 *		The cases that every store driver has to pass.
 */
#include "conformance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/host.h"
#include "format/names.h"

#define MIB ((size_t) 1 << 20)

static bool
ignore_each(void *arg, const char *name, uint64_t size, BkcError *err)
{
	return true;
}

/* ---- set-up of a case ---- */

typedef struct Fixture
{
	void	   *repo;
	BkcStore   *store;
	BkcStore   *other;			/* a second handle */
} Fixture;

static const Conformance *driver;

static int
setup(void **state)
{
	Fixture    *f = calloc(1, sizeof(*f));
	BkcError	err;

	*state = f;
	if (f != NULL && driver->setup(&f->repo, &err) &&
		driver->open(f->repo, &f->store, &err) &&
		driver->open(f->repo, &f->other, &err))
		return 0;
	print_error("set-up: %s\n", f != NULL ? err.message : "out of memory");
	return -1;
}

static int
teardown(void **state)
{
	Fixture    *f = *state;

	bkc_host_set(&(BkcHost){0});
	bkc_store_close(f->store);
	bkc_store_close(f->other);
	driver->teardown(f->repo);
	free(f);
	return 0;
}

static void
put_text(BkcStore *store, const char *name, const char *text)
{
	BkcError	err;

	assert_ok(store_put(store, name, text, strlen(text), 0, &err), &err);
}

/* ---- cases ---- */

static void
sizes(void **state)
{
	static const struct
	{
		size_t		size;
		size_t		step;
	}			cases[] = {
		{0, 0}, {1, 0}, {2, 1}, {4095, 100}, {4096, 4096}, {4097, 4096},
		{MIB - 1, 65537}, {MIB, MIB}, {MIB, 0}, {MIB + 1, MIB},
		{3 * MIB + 12345, 99991}, {20 * MIB + 7, MIB + 3},
	};
	Fixture    *f = *state;
	uint8_t    *data = malloc(21 * MIB);
	BkcError	err;

	assert_non_null(data);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		char		name[32];

		snprintf(name, sizeof(name), "sizes/%zu", i);
		store_pattern(data, cases[i].size, (unsigned) i);
		assert_ok(store_put(f->store, name, data, cases[i].size, cases[i].step, &err), &err);
		assert_object(f->other, name, data, cases[i].size);
	}
	free(data);
}

/* A write of no bytes is fine anywhere. */
static void
empty_writes(void **state)
{
	Fixture    *f = *state;
	BkcWriter  *writer;
	BkcError	err;

	assert_ok(bkc_store_open_write(f->store, "a/empty", 0, &writer, &err), &err);
	assert_ok(bkc_writer_write(writer, "", 0, &err), &err);
	assert_ok(bkc_writer_write(writer, "x", 1, &err), &err);
	assert_ok(bkc_writer_write(writer, NULL, 0, &err), &err);
	assert_ok(bkc_writer_commit(writer, &err), &err);
	bkc_writer_close(writer);
	assert_object(f->other, "a/empty", "x", 1);
}

static void
invisible_before_commit(void **state)
{
	Fixture    *f = *state;
	uint8_t    *data = malloc(2 * MIB);
	BkcWriter  *writer;
	BkcError	err;

	assert_non_null(data);
	store_pattern(data, 2 * MIB, 5);
	assert_ok(bkc_store_open_write(f->store, "s/x/object", 0, &writer, &err), &err);
	assert_absent(f->other, "s/x/object");
	assert_ok(bkc_writer_write(writer, data, 2 * MIB, &err), &err);
	assert_absent(f->other, "s/x/object");
	assert_names(f->other, "", true, "");
	assert_names(f->other, "", false, "");
	assert_names(f->other, "s/", false, "");
	assert_names(f->other, "s/x/", false, "");
	assert_ok(bkc_writer_commit(writer, &err), &err);

	/* visible before the writer is closed, and after */
	assert_object(f->other, "s/x/object", data, 2 * MIB);
	assert_names(f->other, "", true, "s/x/object ");
	assert_names(f->other, "", false, "s/ ");
	bkc_writer_close(writer);
	assert_object(f->other, "s/x/object", data, 2 * MIB);
	assert_names(f->other, "s/x/", false, "s/x/object ");
	free(data);
}

static void
discard_leaves_nothing(void **state)
{
	Fixture    *f = *state;
	BkcWriter  *writer;
	BkcError	err;

	assert_ok(bkc_store_open_write(f->store, "a/b", 0, &writer, &err), &err);
	bkc_writer_close(writer);
	assert_ok(bkc_store_open_write(f->store, "a/b", 0, &writer, &err), &err);
	assert_ok(bkc_writer_write(writer, "text", 4, &err), &err);
	bkc_writer_close(writer);
	assert_absent(f->store, "a/b");
	assert_names(f->other, "", true, "");
	assert_names(f->other, "", false, "");
	put_text(f->store, "a/b", "new");
	assert_object(f->other, "a/b", "new", 3);
}

static void
commit_on_taken_name(void **state)
{
	Fixture    *f = *state;
	BkcError	err;

	put_text(f->store, "a/taken", "first");
	assert_code(store_put(f->store, "a/taken", "second one", 10, 0, &err), &err, BKC_ERR_EXISTS);
	assert_code(store_put(f->other, "a/taken", "", 0, 0, &err), &err, BKC_ERR_EXISTS);
	assert_object(f->store, "a/taken", "first", 5);
	assert_names(f->store, "", true, "a/taken ");
	assert_ok(bkc_store_remove(f->store, (const char *const[]) {"a/taken"}, 1, &err), &err);
	put_text(f->other, "a/taken", "third");
	assert_object(f->store, "a/taken", "third", 5);
}

static void
two_writers_of_one_name(void **state)
{
	Fixture    *f = *state;
	BkcWriter  *one;
	BkcWriter  *two;
	BkcError	err;

	if ((f->store->caps & BKC_CAP_CREATE_ONLY) == 0)
		skip();
	assert_ok(bkc_store_open_write(f->store, "a/race", 0, &one, &err), &err);
	assert_ok(bkc_store_open_write(f->other, "a/race", 0, &two, &err), &err);
	assert_ok(bkc_writer_write(one, "one", 3, &err), &err);
	assert_ok(bkc_writer_write(two, "second", 6, &err), &err);
	assert_ok(bkc_writer_commit(two, &err), &err);
	assert_code(bkc_writer_commit(one, &err), &err, BKC_ERR_EXISTS);
	bkc_writer_close(one);
	bkc_writer_close(two);
	assert_object(f->store, "a/race", "second", 6);
	assert_names(f->store, "", true, "a/race ");
}

/* Several objects can be in writing at a time, on one handle too. */
static void
interleaved_writers(void **state)
{
	Fixture    *f = *state;
	BkcWriter  *w[4];
	BkcError	err;
	char		name[16];

	for (int i = 0; i < 4; i++)
	{
		snprintf(name, sizeof(name), "i/%d", i);
		assert_ok(bkc_store_open_write(f->store, name, 0, &w[i], &err), &err);
	}
	for (int round = 0; round < 3; round++)
	{
		for (int i = 0; i < 4; i++)
			assert_ok(bkc_writer_write(w[i], &"0123"[i], 1, &err), &err);
	}
	bkc_writer_close(w[2]);
	for (int i = 0; i < 4; i++)
	{
		if (i == 2)
			continue;
		assert_ok(bkc_writer_commit(w[i], &err), &err);
		bkc_writer_close(w[i]);
	}
	assert_names(f->other, "i/", true, "i/0 i/1 i/3 ");
	assert_object(f->other, "i/3", "333", 3);
}

/* Commits that are under way: ended in any order, or not at all. */
static void
begun_commits(void **state)
{
	Fixture    *f = *state;
	uint8_t    *data = malloc(2 * MIB);
	const char *const gone[] = {"b/2"};
	BkcWriter  *w[4];
	BkcError	err;
	uint64_t	size;
	char		name[16];

	/* some drivers do it only when something was stored before */
	put_text(f->store, "b/first", "x");
	assert_non_null(data);
	store_pattern(data, 2 * MIB, 11);
	for (int i = 0; i < 4; i++)
	{
		snprintf(name, sizeof(name), "b/%d", i);
		assert_ok(bkc_store_open_write(f->store, name, 0, &w[i], &err), &err);
		assert_ok(bkc_writer_write(w[i], data, MIB + (size_t) i, &err), &err);
		(void) bkc_writer_commit_begin(w[i]);
		(void) bkc_writer_commit_begin(w[i]);
	}
	assert_code(bkc_writer_write(w[3], "x", 1, &err), &err, BKC_ERR_INTERNAL);
	assert_object(f->store, "b/first", "x", 1);
	bkc_writer_close(w[2]);
	for (int i = 3; i >= 0; i--)
	{
		if (i == 2)
			continue;
		(void) bkc_writer_commit_begin(w[i]);
		assert_ok(bkc_writer_commit(w[i], &err), &err);
		assert_false(bkc_writer_commit_begin(w[i]));
		assert_code(bkc_writer_commit(w[i], &err), &err, BKC_ERR_INTERNAL);
		bkc_writer_close(w[i]);
	}
	for (int i = 0; i < 4; i++)
	{
		snprintf(name, sizeof(name), "b/%d", i);
		if (i != 2 || bkc_store_stat(f->other, name, &size, &err))
			assert_object(f->other, name, data, MIB + (size_t) i);
		else
			assert_int_equal(err.code, BKC_ERR_NOT_FOUND);
	}
	assert_ok(bkc_store_remove(f->other, gone, 1, &err), &err);

	/* the name is taken, of an object that was there and of one that comes meanwhile */
	for (int i = 0; i < 2; i++)
	{
		assert_ok(bkc_store_open_write(f->store, i == 0 ? "b/1" : "b/new", 0, &w[i], &err), &err);
		assert_ok(bkc_writer_write(w[i], "other", 5, &err), &err);
	}
	(void) bkc_writer_commit_begin(w[0]);
	put_text(f->other, "b/new", "new");
	(void) bkc_writer_commit_begin(w[1]);
	for (int i = 0; i < 2; i++)
	{
		assert_code(bkc_writer_commit(w[i], &err), &err, BKC_ERR_EXISTS);
		bkc_writer_close(w[i]);
	}
	assert_object(f->other, "b/1", data, MIB + 1);
	assert_object(f->other, "b/new", "new", 3);
	free(data);
}

/* Nothing may follow a commit but close. */
static void
order_of_calls(void **state)
{
	Fixture    *f = *state;
	BkcWriter  *writer;
	BkcError	err;

	assert_ok(bkc_store_open_write(f->store, "o", 0, &writer, &err), &err);
	assert_ok(bkc_writer_commit(writer, &err), &err);
	assert_code(bkc_writer_write(writer, "x", 1, &err), &err, BKC_ERR_INTERNAL);
	assert_code(bkc_writer_commit(writer, &err), &err, BKC_ERR_INTERNAL);
	bkc_writer_close(writer);
	assert_object(f->other, "o", "", 0);
}

static void
ranged_reads(void **state)
{
	static const struct
	{
		uint64_t	offset;
		uint64_t	length;
		size_t		from;
		size_t		count;
	}			cases[] = {
		{0, 0, 0, 0}, {0, 1, 0, 1}, {0, UINT64_MAX, 0, 300000}, {0, 300000, 0, 300000},
		{0, 300001, 0, 300000}, {1, UINT64_MAX, 1, 299999}, {1, UINT64_MAX - 1, 1, 299999},
		{131072, 65536, 131072, 65536}, {299999, 1, 299999, 1}, {299999, 2, 299999, 1},
		{300000, 0, 0, 0}, {300000, 1, 0, 0}, {300001, 5, 0, 0}, {150000, 0, 0, 0},
		{UINT64_MAX, UINT64_MAX, 0, 0}, {UINT64_MAX - 1, 1, 0, 0},
	};
	static const size_t steps[] = {1 << 20, 65536, 4099};
	Fixture    *f = *state;
	uint8_t    *data = malloc(300000);
	BkcBuffer	buf = {0};
	BkcError	err;

	assert_non_null(data);
	store_pattern(data, 300000, 9);
	assert_ok(store_put(f->store, "r", data, 300000, 0, &err), &err);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++)
		{
			assert_ok(store_get(f->other, "r", cases[i].offset, cases[i].length, steps[s], &buf,
								&err), &err);
			assert_int_equal(buf.len, cases[i].count);
			assert_true(buf.len == 0 || memcmp(buf.data, data + cases[i].from, buf.len) == 0);
		}
	}
	bkc_buffer_free(&buf);
	free(data);
}

static void
not_found(void **state)
{
	Fixture    *f = *state;
	BkcError	err;

	/* a repository to which nothing was ever written */
	assert_absent(f->store, "a");
	assert_absent(f->store, "a/b/c");
	assert_names(f->store, "", true, "");
	assert_names(f->store, "", false, "");
	assert_names(f->store, "a/b/", true, "");
	assert_ok(bkc_store_remove(f->store, (const char *const[]) {"a", "b/c"}, 2, &err), &err);
	assert_ok(bkc_store_sweep(f->store, "", &err), &err);
	assert_ok(bkc_store_sweep(f->store, "a/", &err), &err);

	put_text(f->store, "a/b", "x");
	assert_ok(bkc_store_sync(f->other, "a/b", &err), &err);
	assert_absent(f->other, "a");
	assert_absent(f->other, "a/bb");
	assert_absent(f->other, "a/b/c");
	assert_absent(f->other, "b");
	assert_names(f->other, "a/b/", true, "");
	assert_names(f->other, "a/b/", false, "");
	assert_names(f->other, "b/", true, "");
}

/* '-' and '.' sort before '/', digits and letters after it. */
static void
list_order(void **state)
{
	static const char *const names[] = {
		"b/z", "a/b", "a0", "a-b", "a/b-c", "a.b/x", "a/a/a", "a/a-a", "a/a.a", "a/aa", "A",
		"Z/z", "_x", "a/a0/y", "a/a/b/c/d", "9", "a.b-c", "a-b.c/d",
	};
	Fixture    *f = *state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		put_text(i % 2 ? f->store : f->other, names[i], names[i]);

	assert_names(f->store, "", true, "9 A Z/z _x a-b a-b.c/d a.b-c a.b/x a/a-a a/a.a a/a/a "
				 "a/a/b/c/d a/a0/y a/aa a/b a/b-c a0 b/z ");
	assert_names(f->store, "", false, "9 A Z/ _x a-b a-b.c/ a.b-c a.b/ a/ a0 b/ ");
	assert_names(f->store, "a/", true, "a/a-a a/a.a a/a/a a/a/b/c/d a/a0/y a/aa a/b a/b-c ");
	assert_names(f->store, "a/", false, "a/a-a a/a.a a/a/ a/a0/ a/aa a/b a/b-c ");
	assert_names(f->store, "a/a/", false, "a/a/a a/a/b/ ");
	assert_names(f->store, "a/a/b/", true, "a/a/b/c/d ");
	assert_names(f->store, "a.b/", true, "a.b/x ");
	assert_names(f->store, "a-b/", true, "");
}

typedef struct Counted
{
	size_t		count;
	size_t		stop_at;
	uint64_t	bytes;
	bool		sorted;
	char		last[BKC_NAME_MAX];
} Counted;

static bool
count_each(void *arg, const char *name, uint64_t size, BkcError *err)
{
	Counted    *c = arg;

	if (c->count > 0 && strcmp(c->last, name) >= 0)
		c->sorted = false;
	snprintf(c->last, sizeof(c->last), "%s", name);
	c->count++;
	c->bytes += size;
	if (c->count == c->stop_at)
		return bkc_error_set(err, BKC_ERR_STATE, "enough");
	return true;
}

static void
list_many(void **state)
{
	Fixture    *f = *state;
	Counted		c = {.sorted = true};
	int			many = driver->few ? 150 : 1500;
	char		name[64];
	BkcError	err;

	for (int i = 0; i < many; i++)
	{
		/* not in the order of names, spread over folders */
		int			n = (i * 7919) % many;

		snprintf(name, sizeof(name), "m/%d%s%d", n % 3, n % 2 ? "/" : "-", n);
		assert_ok(store_put(f->store, name, name, (size_t) n % 5, 0, &err), &err);
	}
	assert_ok(bkc_store_list(f->other, "", true, count_each, &c, &err), &err);
	assert_int_equal(c.count, many);
	assert_int_equal(c.bytes, many * 2);
	assert_true(c.sorted);

	c = (Counted){.sorted = true};
	assert_ok(bkc_store_list(f->other, "m/", false, count_each, &c, &err), &err);
	assert_int_equal(c.count, many / 2 + 3);
	assert_true(c.sorted);

	/* the listing ends where the callback wants it to, with its error */
	for (size_t stop = 1; stop <= (size_t) many; stop = stop * 3 + 1)
	{
		c = (Counted){.sorted = true, .stop_at = stop};
		assert_code(bkc_store_list(f->other, "", true, count_each, &c, &err), &err,
					BKC_ERR_STATE);
		assert_string_equal(err.message, "enough");
		assert_int_equal(c.count, stop);
	}
}

static void
remove_many(void **state)
{
	Fixture    *f = *state;
	const char *const gone[] = {
		"a/1", "a/2", "missing", "a/b/c/d", "a/3", "x/y/z", "a/1", "b", "a",
	};
	BkcError	err;

	put_text(f->store, "a/1", "1");
	put_text(f->store, "a/2", "2");
	put_text(f->store, "a/3", "3");
	put_text(f->store, "a/4", "4");
	put_text(f->store, "a/b/c/d", "5");
	put_text(f->store, "b", "6");
	put_text(f->store, "c/c", "7");
	assert_ok(bkc_store_remove(f->other, NULL, 0, &err), &err);
	assert_names(f->store, "", false, "a/ b c/ ");
	assert_ok(bkc_store_remove(f->other, gone, sizeof(gone) / sizeof(gone[0]), &err), &err);
	assert_names(f->store, "", true, "a/4 c/c ");
	assert_ok(bkc_store_remove(f->other, (const char *const[]) {"a/4"}, 1, &err), &err);
	assert_names(f->store, "", false, "c/ ");
	assert_ok(bkc_store_remove(f->other, (const char *const[]) {"c/c"}, 1, &err), &err);
	assert_names(f->store, "", true, "");

	/* an emptied repository can be filled again */
	put_text(f->store, "a/4", "4");
	assert_object(f->other, "a/4", "4", 1);
}

static void
remove_versions(void **state)
{
	Fixture    *f = *state;
	const char *const gone[] = {"a/1", "missing", "b/c/d", "a/1"};
	BkcError	err;

	put_text(f->store, "a/1", "1");
	put_text(f->store, "a/12", "12");
	put_text(f->store, "a/1-2", "1-2");
	put_text(f->store, "b/c/d", "2");
	assert_ok(bkc_store_remove(f->store, gone, 1, &err), &err);
	put_text(f->store, "a/1", "again");
	assert_ok(bkc_store_remove_versions(f->other, NULL, 0, &err), &err);
	assert_ok(bkc_store_remove_versions(f->other, gone, 4, &err), &err);
	assert_names(f->store, "", true, "a/1-2 a/12 ");
	assert_absent(f->store, "a/1");
	put_text(f->store, "a/1", "anew");
	assert_object(f->other, "a/1", "anew", 4);

	/* nothing is removed by a call with a bad name */
	assert_code(bkc_store_remove_versions(f->store, (const char *const[]) {"a/1", "a//b"}, 2, &err),
				&err, BKC_ERR_INVALID);
	assert_object(f->other, "a/1", "anew", 4);
}

/* Old unfinished writes only: a young one, and objects, are left alone. */
static void
tidy(void **state)
{
	Fixture    *f = *state;
	BkcWriter  *writer;
	uint64_t	n = 1;
	BkcError	err;

	put_text(f->store, "a/keep", "1");
	assert_ok(bkc_store_open_write(f->store, "a/writing", 0, &writer, &err), &err);
	assert_ok(bkc_writer_write(writer, "x", 1, &err), &err);
	assert_ok(bkc_store_tidy(f->other, "", BKC_STORE_OLD_SECONDS, &n, &err), &err);
	assert_int_equal(n, 0);
	assert_ok(bkc_store_tidy(f->other, "nothing/here/", BKC_STORE_OLD_SECONDS, &n, &err), &err);
	assert_code(bkc_store_tidy(f->other, "a", 0, &n, &err), &err, BKC_ERR_INVALID);
	assert_ok(bkc_writer_commit(writer, &err), &err);
	bkc_writer_close(writer);
	assert_names(f->store, "", true, "a/keep a/writing ");
}

static bool
well_said(void *arg, const BkcStoreFinding *finding, BkcError *err)
{
	++*(int *) arg;
	assert_true(finding->what[0] != '\0' && finding->text[0] != '\0');
	assert_true(finding->hint == NULL || finding->hint[strlen(finding->hint) - 1] == '.');
	return true;
}

/* Whatever there is to say: it changes nothing. */
static void
describe(void **state)
{
	Fixture    *f = *state;
	int			n = 0;
	BkcError	err;

	assert_ok(bkc_store_describe(f->store, well_said, &n, &err), &err);
	assert_names(f->other, "", true, "");
}

/* Who reads goes on when the object is removed, or learns it by an error. */
static void
remove_while_reading(void **state)
{
	Fixture    *f = *state;
	BkcReader  *reader;
	BkcError	err;
	char		buf[8];
	size_t		got;

	put_text(f->store, "a/b", "12345678");
	assert_ok(bkc_store_open_read(f->store, "a/b", 0, UINT64_MAX, &reader, &err), &err);
	assert_ok(bkc_reader_read(reader, buf, 4, &got, &err), &err);
	assert_int_equal(got, 4);
	assert_ok(bkc_store_remove(f->other, (const char *const[]) {"a/b"}, 1, &err), &err);
	if (bkc_reader_read(reader, buf + 4, 4, &got, &err))
	{
		assert_int_equal(got, 4);
		assert_memory_equal(buf, "12345678", 8);
	}
	bkc_reader_close(reader);
	assert_absent(f->store, "a/b");
}

static void
sweep(void **state)
{
	Fixture    *f = *state;
	BkcWriter  *writer;
	BkcError	err;

	put_text(f->store, "a/keep", "1");
	put_text(f->store, "b/c/keep", "2");
	assert_ok(bkc_store_open_write(f->store, "b/c/unfinished", 0, &writer, &err), &err);
	assert_ok(bkc_writer_write(writer, "x", 1, &err), &err);
	assert_ok(bkc_store_sweep(f->other, "b/", &err), &err);
	assert_ok(bkc_store_sweep(f->other, "b/c/", &err), &err);
	bkc_writer_close(writer);
	assert_ok(bkc_store_sweep(f->other, "", &err), &err);
	assert_ok(bkc_store_sweep(f->other, "nothing/here/", &err), &err);
	assert_names(f->store, "", true, "a/keep b/c/keep ");
	assert_object(f->store, "b/c/keep", "2", 1);
}

static void
bad_names(void **state)
{
	static const char *const bad[] = {
		"", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/../b", "a/./b", "./a",
		"a b", "a\nb", "a\\b", "\xc3\xa4", "a:b", "a%2Fb", "~", ".tmp-1", "a/.tmp-1", ".tmp-a/b",
	};
	static const char *const bad_prefixes[] = {
		"/", "a", "a/b", "//", "../", "a/../", "./", "a//", "/a/", ".tmp-/", "a b/",
	};
	Fixture    *f = *state;
	char		longest[BKC_NAME_MAX + 8];
	BkcWriter  *writer;
	BkcReader  *reader;
	BkcError	err;
	uint64_t	size;

	put_text(f->store, "a", "x");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		const char *const both[] = {"a", bad[i]};

		assert_code(bkc_store_open_write(f->store, bad[i], 0, &writer, &err), &err,
					BKC_ERR_INVALID);
		assert_null(writer);
		assert_code(bkc_store_open_read(f->store, bad[i], 0, 1, &reader, &err), &err,
					BKC_ERR_INVALID);
		assert_code(bkc_store_stat(f->store, bad[i], &size, &err), &err, BKC_ERR_INVALID);
		assert_code(bkc_store_remove(f->store, both, 2, &err), &err, BKC_ERR_INVALID);
	}
	for (size_t i = 0; i < sizeof(bad_prefixes) / sizeof(bad_prefixes[0]); i++)
	{
		assert_code(bkc_store_list(f->store, bad_prefixes[i], true, ignore_each, NULL, &err), &err,
					BKC_ERR_INVALID);
		assert_code(bkc_store_sweep(f->store, bad_prefixes[i], &err), &err, BKC_ERR_INVALID);
	}
	assert_object(f->store, "a", "x", 1);

	/* the longest name that there is, and one more */
	memset(longest, 'x', sizeof(longest));
	for (size_t i = 20; i < sizeof(longest) - 20; i += 20)
		longest[i] = '/';
	longest[BKC_NAME_MAX] = '\0';
	assert_code(bkc_store_open_write(f->store, longest, 0, &writer, &err), &err, BKC_ERR_INVALID);
	longest[BKC_NAME_MAX - 1] = '\0';
	put_text(f->store, longest, "long");
	assert_object(f->other, longest, "long", 4);
	snprintf(longest + BKC_NAME_MAX - 1, 2, " ");
	assert_ok(bkc_store_remove(f->store, (const char *const[]) {"a"}, 1, &err), &err);
	assert_names(f->store, "", true, longest);
}

static void
probe(void **state)
{
	Fixture    *f = *state;
	BkcError	err;

	assert_ok(bkc_store_probe(f->store, "test", &err), &err);
	assert_ok(bkc_store_probe(f->store, "test", &err), &err);
	assert_names(f->other, "", true, "");
	put_text(f->store, "a", "x");
	assert_ok(bkc_store_probe(f->other, "test", &err), &err);
	assert_names(f->other, "", true, "a ");
}

static void
space(void **state)
{
	Fixture    *f = *state;
	BkcError	err;
	uint64_t	bytes;
	bool		ok = bkc_store_space(f->store, &bytes, &err);

	if (f->store->caps & BKC_CAP_SPACE)
	{
		assert_ok(ok, &err);
		assert_true(bytes > 0);
	}
	else
		assert_code(ok, &err, BKC_ERR_UNSUPPORTED);
}

static void
close_accepts_null(void **state)
{
	Fixture    *f = *state;
	BkcReader  *reader;
	BkcError	err;

	bkc_store_close(NULL);
	bkc_writer_close(NULL);
	bkc_reader_close(NULL);
	put_text(f->store, "a", "x");
	assert_ok(bkc_store_open_read(f->store, "a", 0, UINT64_MAX, &reader, &err), &err);
	bkc_reader_close(reader);
}

static bool
always_cancelled(void)
{
	return true;
}

static void
cancelled(void **state)
{
	static const BkcHost cancelling = {.cancelled = always_cancelled};
	static const BkcHost usual = {0};
	Fixture    *f = *state;
	const char *const names[] = {"a"};
	BkcWriter  *writer;
	BkcWriter  *refused;
	BkcReader  *reader;
	BkcReader  *refused_reader;
	BkcError	err;
	char		buf[4];
	size_t		got;
	uint64_t	size;

	put_text(f->store, "a", "x");
	assert_ok(bkc_store_open_write(f->store, "b/c", 0, &writer, &err), &err);
	assert_ok(bkc_store_open_read(f->store, "a", 0, UINT64_MAX, &reader, &err), &err);

	bkc_host_set(&cancelling);
	assert_code(bkc_store_open_write(f->store, "c", 0, &refused, &err), &err, BKC_ERR_CANCELLED);
	assert_code(bkc_writer_write(writer, "x", 1, &err), &err, BKC_ERR_CANCELLED);
	assert_code(bkc_store_open_read(f->store, "a", 0, 1, &refused_reader, &err), &err,
				BKC_ERR_CANCELLED);
	assert_code(bkc_reader_read(reader, buf, sizeof(buf), &got, &err), &err, BKC_ERR_CANCELLED);
	assert_code(bkc_store_stat(f->store, "a", &size, &err), &err, BKC_ERR_CANCELLED);
	assert_code(bkc_store_list(f->store, "", true, ignore_each, NULL, &err), &err,
				BKC_ERR_CANCELLED);
	assert_code(bkc_store_remove(f->store, names, 1, &err), &err, BKC_ERR_CANCELLED);
	bkc_reader_close(reader);
	bkc_host_set(&usual);

	/* a write that was refused made a hole: no commit afterwards */
	assert_code(bkc_writer_commit(writer, &err), &err, BKC_ERR_INTERNAL);
	bkc_writer_close(writer);
	assert_names(f->other, "", true, "a ");
}

/* ---- the list ---- */

#define CASE(function) {#function, function}

static const struct
{
	const char *name;
	void		(*run) (void **state);
}			cases[] = {
	CASE(sizes),
	CASE(empty_writes),
	CASE(invisible_before_commit),
	CASE(discard_leaves_nothing),
	CASE(commit_on_taken_name),
	CASE(two_writers_of_one_name),
	CASE(interleaved_writers),
	CASE(begun_commits),
	CASE(order_of_calls),
	CASE(ranged_reads),
	CASE(not_found),
	CASE(list_order),
	CASE(list_many),
	CASE(remove_many),
	CASE(remove_versions),
	CASE(remove_while_reading),
	CASE(sweep),
	CASE(tidy),
	CASE(describe),
	CASE(bad_names),
	CASE(probe),
	CASE(space),
	CASE(close_accepts_null),
	CASE(cancelled),
};

#define NCASES (sizeof(cases) / sizeof(cases[0]))

int
conformance_run(const Conformance *conformance)
{
	struct CMUnitTest tests[NCASES];
	char		names[NCASES][80];

	driver = conformance;
	memset(tests, 0, sizeof(tests));
	for (size_t i = 0; i < NCASES; i++)
	{
		snprintf(names[i], sizeof(names[i]), "%s_%s", conformance->name, cases[i].name);
		tests[i].name = names[i];
		tests[i].test_func = cases[i].run;
		tests[i].setup_func = setup;
		tests[i].teardown_func = teardown;
	}
	return _cmocka_run_group_tests(conformance->name, tests, NCASES, NULL, NULL);
}
