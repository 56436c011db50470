/*
 * test_golden_notes.c
 *		Notes of every kind in repositories of released formats: read by the core, and by the
 *		second reader that knows FORMAT.md only; the golden ones, and ones written now.
 *
 *		test_golden_notes --make FOLDER			write a copy (see test/golden/README.md)
 *		test_golden_notes --make-sealed FOLDER	the same, sealed
 */
#include "test_pipe_util.h"

#include "golden_notes.h"
#include "golden_repo.h"
#include "pipe/keycopies.h"
#include "pipe/notes.h"

static bool
is_sealed(const GoldenRepo *repo)
{
	return repo->store->keys != NULL;
}

static void
load(const GoldenRepo *repo, const char *label, BkcNotes *notes)
{
	BkcError	err;

	memset(notes, 0, sizeof(*notes));
	assert_ok(bkc_notes_load(repo->store, GOLDEN_SYSID, label, notes, &err));
	assert_int_equal(notes->unreadable, 0);
}

static void
test_core_held(void **state)
{
	BkcNotes	notes;

	load(*state, GOLDEN_HELD, &notes);
	assert_true(notes.has_verify && notes.verify.ok);
	assert_int_equal(notes.verify.bytes, 44);
	assert_true(notes.has_hold && notes.hold.held);
	assert_string_equal(notes.hold.reason, "caf\xe9");
	assert_string_equal(notes.hold.by, "ren\xc3\xa9 \"1\"");
	assert_int_equal(notes.hold.time, INT64_C(1795183200002000));
	assert_true(notes.has_catalog && !notes.has_shred);
	assert_string_equal(notes.catalog.tier, "monthly");
	assert_string_equal(notes.catalog.schedule, "n\xc3\xa4htlich");
	assert_string_equal(notes.catalog.parent, "");
	assert_string_equal(notes.catalog.pg_version, "15.20 (Debian 15.20-0+deb12u1)");
	assert_int_equal(notes.catalog.retention_date, INT64_C(2016100981000001));
	assert_string_equal(notes.catalog.metadata,
						"{\"options\": {\"jobs\": 2}, \"who\": \"ren\xc3\xa9\", \"seconds\": 0.25}");
	bkc_notes_free(&notes);
}

static void
test_core_tie(void **state)
{
	BkcNotes	notes;

	load(*state, GOLDEN_TIE, &notes);
	assert_true(notes.has_verify && !notes.verify.ok);
	assert_string_equal(notes.verify.level, "restore");
	assert_string_equal(notes.verify.first_failure, "PG_VERSION");
	assert_true(notes.has_hold && notes.hold.held);
	assert_string_equal(notes.hold.reason, "x");
	assert_true(notes.has_catalog);
	assert_string_equal(notes.catalog.parent, GOLDEN_HELD);
	assert_string_equal(notes.catalog.tier, "");
	assert_int_equal(notes.catalog.retention_date, 0);
	assert_string_equal(notes.catalog.metadata, "{}");
	bkc_notes_free(&notes);
}

static void
test_core_released(void **state)
{
	const GoldenRepo *repo = *state;
	BkcNotes	notes;

	load(repo, GOLDEN_RELEASED, &notes);
	assert_true(!notes.has_verify && !notes.has_catalog);
	assert_true(notes.has_hold && !notes.hold.held);
	assert_string_equal(notes.hold.reason, "closed");
	assert_string_equal(notes.hold.by, "auditor");
	assert_int_equal(notes.has_shred, is_sealed(repo));
	if (notes.has_shred)
	{
		uint8_t		id[BKC_KEY_ID_SIZE];
		bool		sealed;
		BkcError	err;

		assert_ok(bkc_repo_backup_key(repo->store, GOLDEN_SYSID, GOLDEN_RELEASED, &sealed, id,
									  &err));
		assert_true(sealed);
		assert_memory_equal(notes.shred.data_key, id, sizeof(id));
		assert_string_equal(notes.shred.reason, "GDPR 17");
	}
	bkc_notes_free(&notes);
}

/* ---- by FORMAT.md ---- */

static void
test_raw_notes(void **state)
{
	const GoldenRepo *repo = *state;

	for (size_t i = 0; i < golden_nnotes; i++)
	{
		const GoldenNote *note = &golden_notes[i];
		char		name[BKC_NAME_MAX];
		const char *error;
		json_error_t wrong;
		json_t	   *got;
		json_t	   *expected;

		if (note->sealed && !is_sealed(repo))
			continue;
		snprintf(name, sizeof(name), GOLDEN_SYSID_TEXT "/backups/%s/notes/%s", note->label,
				 note->name);
		error = raw_load_document(repo->root, name, BKC_KIND_NOTE, &got);
		if (error != NULL)
			fail_msg("%s: %s", name, error);
		if (note->sealed)
			assert_int_equal(json_object_del(got, "data_key"), 0);
		expected = json_loads(note->json, JSON_REJECT_DUPLICATES, &wrong);
		assert_non_null(expected);
		if (!json_equal(got, expected))
		{
			char	   *dump = json_dumps(got, 0);

			fail_msg("%s is %s", name, dump);
		}
		json_decref(expected);
		json_decref(got);
	}
}

static void
test_raw_repository(void **state)
{
	const GoldenRepo *repo = *state;
	const char *error;
	size_t		objects;

	error = raw_repository(repo->root, &objects);
	if (error != NULL)
		fail_msg("%s", error);

	/* each backup, a day and names have keys; the note of the shredding is there with them only */
	assert_int_equal(objects, golden_notes_objects + (is_sealed(repo) ? GOLDEN_NOTED + 2 : -1));
	assert_int_equal(objects, util_objects(repo->store));
}

/* What every note must have, the second reader misses; what it does not know it passes over. */
static void
test_raw_rules(void **state)
{
	for (size_t i = 0; i < golden_nnotes; i++)
	{
		json_error_t wrong;
		json_t	   *whole = json_loads(golden_notes[i].json, 0, &wrong);
		const char *key;
		json_t	   *value;
		size_t		missed = 0;

		assert_non_null(whole);
		json_object_foreach(whole, key, value)
		{
			json_t	   *part = json_copy(whole);
			json_t	   *document;
			char	   *text;

			json_object_del(part, key);
			text = json_dumps(part, 0);
			missed += raw_document(text, strlen(text), &document) != NULL;
			json_decref(document);
			free(text);
			json_decref(part);
		}
		assert_true(missed >= 5);
		json_decref(whole);
	}
}

/* ---- */

static int
make(const char *folder, bool sealed)
{
	BkcStore   *store = NULL;
	BkcError	err;
	bool		ok = golden_open_folder(folder, &store, &err);

	if (ok && sealed)
		golden_use_keys(store);
	ok = ok && golden_make_notes(store, &err);
	bkc_store_close(store);
	if (!ok)
		fprintf(stderr, "%s\n", err.message);
	return ok ? 0 : 1;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_core_held),
		cmocka_unit_test(test_core_tie),
		cmocka_unit_test(test_core_released),
		cmocka_unit_test(test_raw_notes),
		cmocka_unit_test(test_raw_repository),
		cmocka_unit_test(test_raw_rules),
	};
	int			failed;

	if (argc == 3 && strcmp(argv[1], "--make") == 0)
		return make(argv[2], false);
	if (argc == 3 && strcmp(argv[1], "--make-sealed") == 0)
		return make(argv[2], true);
	failed = cmocka_run_group_tests_name("golden", tests, golden_open_notes, golden_close);
	failed += cmocka_run_group_tests_name("fresh", tests, golden_open_fresh_notes, golden_close);
	failed += cmocka_run_group_tests_name("sealed", tests, golden_open_sealed_notes, golden_close);
	return failed + cmocka_run_group_tests_name("fresh sealed", tests, golden_open_fresh_sealed_notes,
												golden_close);
}
