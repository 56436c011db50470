/*
 * test_store_faulty.c
 *		The fault-injecting store: it conforms as long as nothing fails, and a
 *		scenario fails cleanly whichever of its calls fails.
 */
#include "conformance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static bool
faulty_setup(void **repo, BkcError *err)
{
	BkcStore   *store;
	bool		ok = bkc_store_memory_new(&store, err);

	*repo = store;
	return ok;
}

static bool
faulty_open(void *repo, BkcStore **store, BkcError *err)
{
	BkcStore   *inner;

	return bkc_store_memory_share(repo, &inner, err) &&
		bkc_store_faulty_new(inner, 0, BKC_ERR_IO, NULL, store, err);
}

static void
faulty_teardown(void *repo)
{
	bkc_store_close(repo);
}

/* ---- a scenario whose every call fails in turn ---- */

static const char *const scenario_names[] = {"s/one", "s/two", "s/two-three"};

typedef struct Progress
{
	bool		committed[3];
	bool		removing;
	bool		removed;
} Progress;

static bool
ignore_each(void *arg, const char *name, uint64_t size, BkcError *err)
{
	++*(size_t *) arg;
	return true;
}

static bool
scenario(BkcStore *store, Progress *progress, BkcError *err)
{
	BkcBuffer	buf = {0};
	uint64_t	size;
	size_t		listed = 0;
	bool		ok = true;

	for (int i = 0; ok && i < 3; i++)
	{
		ok = store_put(store, scenario_names[i], scenario_names[i], strlen(scenario_names[i]), 2,
					   err);
		progress->committed[i] = ok;
	}
	for (int i = 0; ok && i < 3; i++)
	{
		ok = bkc_store_stat(store, scenario_names[i], &size, err) &&
			bkc_store_sync(store, scenario_names[i], err) &&
			store_get(store, scenario_names[i], 0, UINT64_MAX, 3, &buf, err);
		if (ok)
			assert_memory_equal(buf.data, scenario_names[i], buf.len);
	}
	ok = ok && bkc_store_list(store, "s/", true, ignore_each, &listed, err);
	if (ok)
	{
		assert_int_equal(listed, 3);
		progress->removing = true;
	}
	ok = ok && bkc_store_sweep(store, "s/", err) &&
		bkc_store_remove(store, scenario_names, 3, err);
	progress->removed = ok;
	bkc_buffer_free(&buf);
	return ok;
}

static void
check_what_is_left(BkcStore *store, const Progress *progress)
{
	for (int i = 0; i < 3; i++)
	{
		if (progress->removed || !progress->committed[i])
			assert_absent(store, scenario_names[i]);
		else
			assert_object(store, scenario_names[i], scenario_names[i], strlen(scenario_names[i]));
	}
}

static void
every_call_fails_once(void **state)
{
	uint64_t	calls = 0;
	uint64_t	total = 0;

	for (uint64_t n = 0; n == 0 || n <= total; n++)
	{
		Progress	progress = {.removed = false};
		BkcStore   *memory;
		BkcStore   *inner;
		BkcStore   *store;
		BkcError	err;
		bool		ok;

		assert_ok(bkc_store_memory_new(&memory, &err), &err);
		assert_ok(bkc_store_memory_share(memory, &inner, &err), &err);
		assert_ok(bkc_store_faulty_new(inner, n, BKC_ERR_UNAVAILABLE, &calls, &store, &err), &err);
		assert_int_equal(calls, 0);
		ok = scenario(store, &progress, &err);
		if (n == 0)
		{
			assert_ok(ok, &err);
			total = calls;
			assert_true(total > 30);
		}
		else
		{
			assert_code(ok, &err, BKC_ERR_UNAVAILABLE);
			assert_int_equal(calls, n);
		}
		check_what_is_left(memory, &progress);

		/* the next calls work again */
		if (!progress.committed[2])
			assert_ok(store_put(store, "s/two-three", "x", 1, 0, &err), &err);
		bkc_store_close(store);
		bkc_store_close(memory);
	}
}

static void
code_and_text(void **state)
{
	BkcStore   *inner;
	BkcStore   *store;
	BkcWriter  *writer;
	BkcError	err;

	assert_ok(bkc_store_memory_new(&inner, &err), &err);
	assert_ok(bkc_store_faulty_new(inner, 3, BKC_ERR_NO_SPACE, NULL, &store, &err), &err);
	assert_ok(bkc_store_open_write(store, "a", 0, &writer, &err), &err);
	assert_ok(bkc_writer_write(writer, "x", 1, &err), &err);
	assert_code(bkc_writer_write(writer, "y", 1, &err), &err, BKC_ERR_NO_SPACE);
	assert_non_null(strstr(err.message, "write"));

	/* an object with a hole is not committed, although the next call would work */
	assert_code(bkc_writer_commit(writer, &err), &err, BKC_ERR_INTERNAL);
	bkc_writer_close(writer);
	assert_names(store, "", true, "");
	bkc_store_close(store);
}

/* The probe names the step that failed. */
static void
probe_steps(void **state)
{
	static const char *const steps[] = {
		"clear", "clear", "write to", "write to", "write to", "read from", "read from", "list",
		"remove from",
	};

	for (size_t n = 0; n < sizeof(steps) / sizeof(steps[0]); n++)
	{
		BkcStore   *inner;
		BkcStore   *store;
		BkcError	err;
		char		expected[64];

		assert_ok(bkc_store_memory_new(&inner, &err), &err);
		assert_ok(bkc_store_faulty_new(inner, n + 1, BKC_ERR_ACCESS, NULL, &store, &err), &err);
		assert_code(bkc_store_probe(store, "test", &err), &err, BKC_ERR_ACCESS);
		snprintf(expected, sizeof(expected), "could not %s %srepository \"memory://\": ", steps[n],
				 n < 2 ? "former probes in " : "");
		assert_memory_equal(err.message, expected, strlen(expected));

		/* nothing is left behind unless it was the removal that failed */
		if (n < 8)
			assert_names(store, "", true, "");
		bkc_store_close(store);
	}
}

int
main(void)
{
	static const Conformance faulty = {
		.name = "faulty",
		.setup = faulty_setup,
		.open = faulty_open,
		.teardown = faulty_teardown,
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_fails_once),
		cmocka_unit_test(code_and_text),
		cmocka_unit_test(probe_steps),
	};
	int			failures = conformance_run(&faulty);

	return failures + cmocka_run_group_tests(tests, NULL, NULL);
}
