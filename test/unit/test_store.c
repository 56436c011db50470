/*
 * test_store.c
 *		The common part of all stores: URLs, and the fault points.
 */
#include "conformance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/fault.h"
#include "base/host.h"

/* Does the URL pass?  Text that is no URL at all counts as a refusal too. */
static bool
check(const char *text, BkcError *err)
{
	BkcUrl		url = {0};
	bool		ok = bkc_url_parse(text, &url, err) && bkc_store_check_url(&url, err);

	bkc_url_free(&url);
	return ok;
}

static void
good_urls(void **state)
{
	static const char *const good[] = {
		"file:///var/backups/pg",
		"file://localhost/var/backups/pg",
		"FILE:///var/backups/pg",
		"file:///var/backups/pg/",
		"file:///with%20space",
		"file:///a?compression=zstd:3",
		"file:///a?compression=none",
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
	{
		BkcUrl		url = {0};
		BkcStore   *store;
		BkcError	err;

		assert_ok(check(good[i], &err), &err);
		assert_ok(bkc_url_parse(good[i], &url, &err), &err);
		assert_ok(bkc_store_open(&url, &store, &err), &err);
		assert_memory_equal(store->location, good[i], strlen(store->location));
		assert_null(strchr(store->location, '?'));
		bkc_store_close(store);
		bkc_url_free(&url);
	}
}

static void
bad_urls(void **state)
{
	static const struct
	{
		const char *url;
		const char *word;		/* must occur in message or hint */
	}			bad[] = {
		{"nosuch:///a", "\"file\""},
		{"nosuch:///a", "nosuch"},
		{"file://var/backups", "file:///var/backups/pg"},
		{"file://host/var/backups", "host"},
		{"file:///", "file:///var/backups/pg"},
		{"file://", "file:///var/backups/pg"},
		{"file://localhost", "file:///var/backups/pg"},
		{"file:///a?region=x", "region"},
		{"file:///a?region=x", "compression"},
		{"file:///a?encryption=maybe", "encryption"},
		{"file:///a?key_file=", "key_file"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		BkcError	err;
		char		text[BKC_ERROR_MESSAGE_MAX + BKC_ERROR_DETAIL_MAX + BKC_ERROR_HINT_MAX];

		assert_code(check(bad[i].url, &err), &err, BKC_ERR_INVALID);
		snprintf(text, sizeof(text), "%s\n%s\n%s", err.message, err.detail, err.hint);
		if (strstr(text, bad[i].word) == NULL)
			fail_msg("\"%s\" is missing for %s in: %s", bad[i].word, bad[i].url, text);
	}
}

static void
open_refuses_the_same(void **state)
{
	BkcUrl		url = {0};
	BkcStore   *store;
	BkcError	err;

	assert_ok(bkc_url_parse("file://host/path", &url, &err), &err);
	assert_code(bkc_store_open(&url, &store, &err), &err, BKC_ERR_INVALID);
	assert_null(store);
	bkc_url_free(&url);
	assert_ok(bkc_url_parse("file:///path?what=1", &url, &err), &err);
	assert_code(bkc_store_open(&url, &store, &err), &err, BKC_ERR_INVALID);
	assert_null(store);
	bkc_url_free(&url);
}

static void
a_very_long_path(void **state)
{
	static char text[6000];
	BkcError	err;

	memcpy(text, "file:///", 8);
	memset(text + 8, 'x', sizeof(text) - 9);
	assert_code(check(text, &err), &err, BKC_ERR_INVALID);
}

#ifdef BKC_FAULTS
static const char *fault_spec = "";

static const char *
get_fault_spec(void)
{
	return fault_spec;
}

static bool
ignore_each(void *arg, const char *name, uint64_t size, BkcError *err)
{
	return true;
}

/* Each point stands in the call that it is named after. */
static void
fault_points(void **state)
{
	static const BkcHost host = {.fault_spec = get_fault_spec};
	static const BkcHost usual = {0};
	const char *const names[] = {"a"};
	BkcBuffer	buf = {0};
	BkcStore   *store;
	BkcWriter  *writer;
	BkcError	err;

	bkc_host_set(&host);
	assert_ok(bkc_store_memory_new(&store, &err), &err);

	fault_spec = "store-open-write=fail";
	assert_code(bkc_store_open_write(store, "a", 0, &writer, &err), &err, BKC_ERR_IO);
	fault_spec = "store-write=nospace";
	assert_code(store_put(store, "a", "x", 1, 0, &err), &err, BKC_ERR_NO_SPACE);
	fault_spec = "store-commit=fail";
	assert_code(store_put(store, "a", "x", 1, 0, &err), &err, BKC_ERR_IO);
	fault_spec = "";
	assert_ok(store_put(store, "a", "x", 1, 0, &err), &err);
	fault_spec = "store-read=fail";
	assert_code(store_get(store, "a", 0, UINT64_MAX, 1, &buf, &err), &err, BKC_ERR_IO);
	fault_spec = "store-list=cancel";
	assert_code(bkc_store_list(store, "", true, ignore_each, NULL, &err), &err, BKC_ERR_CANCELLED);
	fault_spec = "store-remove=fail";
	assert_code(bkc_store_remove(store, names, 1, &err), &err, BKC_ERR_IO);
	fault_spec = "";
	assert_object(store, "a", "x", 1);

	bkc_buffer_free(&buf);
	bkc_store_close(store);
	bkc_host_set(&usual);
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_urls),
		cmocka_unit_test(bad_urls),
		cmocka_unit_test(open_refuses_the_same),
		cmocka_unit_test(a_very_long_path),
#ifdef BKC_FAULTS
		cmocka_unit_test(fault_points),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
