/*
 * test_store_setup.c
 *		Setting a repository's place up: what is refused before anything is
 *		touched, and folders.
 */
#include "store/setup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/url.h"
#include "storetools.h"

static BkcStore *
open_url(const char *text)
{
	BkcUrl		url = {0};
	BkcStore   *store = NULL;
	BkcError	err;

	assert_ok(bkc_url_parse(text, &url, &err) && bkc_store_open(&url, &store, &err), &err);
	bkc_url_free(&url);
	return store;
}

static const BkcStoreSetup usual = {
	.versioning = true,
	.encryption = "AES256",
	.noncurrent_days = 30,
	.abort_days = 7,
};

#define AWS		"s3://acme-backups/prod?region=eu-central-1"
#define OTHER	"s3://acme-backups/prod?endpoint=https://s3.example.com"

/* pattern NULL: allowed */
static void
checked(const char *url, const BkcStoreSetup *setup, const char *part)
{
	BkcStore   *store = open_url(url);
	BkcError	err;
	bool		ok = bkc_store_setup_check(store, setup, &err);

	if (part == NULL)
		assert_ok(ok, &err);
	else
	{
		assert_code(ok, &err, BKC_ERR_INVALID);
		if (strstr(err.message, part) == NULL)
			fail_msg("%s", err.message);
	}
	bkc_store_close(store);
}

static BkcStoreSetup
with_transition(const char *class, int days)
{
	BkcStoreSetup setup = usual;

	snprintf(setup.transitions[0].class, sizeof(setup.transitions[0].class), "%s", class);
	setup.transitions[0].days = days;
	setup.ntransitions = 1;
	return setup;
}

/* ---- cases ---- */

static void
transitions(void **state)
{
	static const struct
	{
		const char *url;
		const char *class;
		int			days;
		const char *part;
	}			cases[] = {
		{AWS, "STANDARD_IA", 30, NULL},
		{AWS, "ONEZONE_IA", 31, NULL},
		{AWS, "INTELLIGENT_TIERING", 1, NULL},
		{AWS, "GLACIER_IR", 1, NULL},
		{AWS, "STANDARD_IA", 29, "AWS refuses"},
		{AWS, "ONEZONE_IA", 1, "AWS refuses"},
		{AWS, "COLD", 30, "no storage class"},
		{AWS, "GLACIER", 30, "would freeze"},
		{AWS, "DEEP_ARCHIVE", 90, "would freeze"},
		{AWS "&endpoint=https://s3.dualstack.eu-central-1.amazonaws.com", "STANDARD_IA", 29, "AWS refuses"},
		{OTHER, "STANDARD_IA", 3, NULL},
		{OTHER, "COLD", 3, NULL},
		{OTHER, "GLACIER", 90, "would freeze"},
		{OTHER, "glacier", 90, "would freeze"},
		{OTHER, "GLACIER_IR", 3, NULL},
		{OTHER, "Archive", 90, "would freeze"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		BkcStoreSetup setup = with_transition(cases[i].class, cases[i].days);

		checked(cases[i].url, &setup, cases[i].part);
	}
}

static void
two_transitions(void **state)
{
	BkcStoreSetup setup = with_transition("STANDARD_IA", 30);

	setup.ntransitions = 2;
	setup.transitions[1] = (BkcStoreTransition) {"GLACIER_IR", 90};
	checked(AWS, &setup, NULL);
	setup.transitions[1].days = 30;
	checked(AWS, &setup, "two transitions");
}

static void
other_options(void **state)
{
	BkcStoreSetup setup = usual;

	checked(AWS, &setup, NULL);
	checked(AWS "&lock_mode=compliance&lock_days=30", &setup, NULL);
	checked(AWS "&lock_mode=compliance&lock_days=31", &setup, "former versions cannot go");
	setup.versioning = false;
	checked(AWS, &setup, NULL);
	checked(AWS "&lock_mode=governance&lock_days=1", &setup, "object lock needs versioning");
	setup.object_lock = true;
	checked(AWS, &setup, "object lock needs versioning");
	setup = usual;
	setup.kms_key = "alias/backups";
	checked(AWS, &setup, "KMS");
	setup.encryption = NULL;
	checked(AWS, &setup, "KMS");
	setup.encryption = "aws:kms";
	checked(AWS, &setup, NULL);
}

/* ---- folders ---- */

static bool
note_step(void *arg, const BkcStoreStep *step, BkcError *err)
{
	*(BkcStoreStepState *) arg = step->state;
	assert_string_equal(step->what, "folder");
	return true;
}

static void
folder(void **state)
{
	char		top[] = "/tmp/bkc-setup-XXXXXX";
	char		url[256];
	char		path[128];
	struct stat st;
	BkcStore   *store;
	BkcStoreSetup setup = usual;
	BkcStoreStepState step;
	BkcError	err;

	assert_non_null(mkdtemp(top));
	snprintf(path, sizeof(path), "%s/a/b", top);
	snprintf(url, sizeof(url), "file://%s", path);
	store = open_url(url);
	setup.dry_run = true;
	assert_ok(bkc_store_setup(store, &setup, note_step, &step, &err), &err);
	assert_int_equal(step, BKC_STEP_TO_DO);
	assert_int_not_equal(stat(path, &st), 0);
	setup.dry_run = false;
	assert_ok(bkc_store_setup(store, &setup, note_step, &step, &err), &err);
	assert_int_equal(step, BKC_STEP_DONE);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_ok(bkc_store_setup(store, &setup, note_step, &step, &err), &err);
	assert_int_equal(step, BKC_STEP_THERE);
	assert_ok(store_put(store, "a", "x", 1, 0, &err), &err);

	/* nothing of an administrator's is changed */
	assert_int_equal(chmod(path, 0755), 0);
	assert_ok(bkc_store_setup(store, &setup, note_step, &step, &err), &err);
	assert_int_equal(step, BKC_STEP_WARNING);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	bkc_store_close(store);

	setup.asked = BKC_SETUP_VERSIONING;
	checked(url, &setup, "is a folder");
	snprintf(url, sizeof(url), "file://%s/a", path);
	store = open_url(url);
	assert_code(bkc_store_setup(store, &usual, note_step, &step, &err), &err, BKC_ERR_STATE);
	bkc_store_close(store);
	assert_ok(bkc_dir_remove_tree(top, false, &err), &err);
}

static void
memory(void **state)
{
	BkcStore   *store;
	BkcError	err;

	assert_ok(bkc_store_memory_new(&store, &err), &err);
	assert_code(bkc_store_setup_check(store, &usual, &err), &err, BKC_ERR_INVALID);
	bkc_store_close(store);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transitions),
		cmocka_unit_test(two_transitions),
		cmocka_unit_test(other_options),
		cmocka_unit_test(folder),
		cmocka_unit_test(memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
