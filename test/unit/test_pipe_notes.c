/*
 * test_pipe_notes.c
 *		Holds and what only the catalog knows: as text, and as notes beside a backup.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/host.h"
#include "format/names.h"
#include "pipe/notes.h"
#include "pipe/object.h"

#define SYSID	UINT64_C(7435718529102938471)
#define LABEL	"20261120T120301Z-full-7f3a"
#define OTHER	"20261120T120302Z-full-7f3a"
#define NAME	"7435718529102938471/backups/" LABEL "/notes/20261120T120301000Z-x"
#define TIME	INT64_C(1795176181000000)

static BkcHoldNote
sample_hold(bool held, int64_t time)
{
	BkcHoldNote note = {.held = held, .label = LABEL, .time = time, .reason = "case 4711", .by = "dba"};

	return note;
}

static BkcCatalogNote
sample_catalog(void)
{
	BkcCatalogNote note = {.label = LABEL, .time = TIME, .pg_version = "15.17", .tier = "monthly",
						   .schedule = "nightly", .retention_date = TIME + 1,
						   .metadata = (char *) "{\"options\": {\"jobs\": 2}, \"who\": \"\xc3\xa4\"}"};

	return note;
}

static void
round_trips(void **state)
{
	BkcHoldNote hold;
	BkcHoldNote back;
	BkcCatalogNote catalog = sample_catalog();
	BkcCatalogNote read;
	BkcBuffer	out = {0};
	BkcError	err;

	for (int held = 0; held < 2; held++)
	{
		hold = sample_hold(held, TIME);
		bkc_buffer_reset(&out);
		assert_true(bkc_holdnote_encode(&hold, &out, &err));
		assert_true(bkc_holdnote_decode(bkc_buffer_str(&out), out.len, NAME, held, &back, &err));
		assert_string_equal(back.label, hold.label);
		assert_string_equal(back.reason, hold.reason);
		assert_string_equal(back.by, hold.by);
		assert_true(back.held == hold.held && back.time == hold.time);
		assert_false(bkc_holdnote_decode(bkc_buffer_str(&out), out.len, NAME, !held, &back, &err));
		out.len--;
		assert_true(bkc_buffer_append_str(&out, ",\"colour\":\"green\"}", &err));
		assert_true(bkc_holdnote_decode(bkc_buffer_str(&out), out.len, NAME, held, &back, &err));
	}
	bkc_buffer_reset(&out);
	assert_true(bkc_catalognote_encode(&catalog, &out, &err));
	assert_true(bkc_catalognote_decode(bkc_buffer_str(&out), out.len, NAME, &read, &err));
	assert_string_equal(read.metadata, catalog.metadata);
	assert_string_equal(read.tier, "monthly");
	assert_string_equal(read.schedule, "nightly");
	assert_string_equal(read.pg_version, "15.17");
	assert_string_equal(read.parent, "");
	assert_true(read.time == TIME && read.retention_date == TIME + 1);
	bkc_catalognote_free(&read);
	bkc_catalognote_free(&read);
	bkc_buffer_free(&out);
}

static void
refusals(void **state)
{
	BkcHoldNote hold = sample_hold(true, TIME);
	BkcCatalogNote catalog = sample_catalog();
	BkcBuffer	out = {0};
	BkcError	err;

	hold.reason[0] = '\0';
	assert_false(bkc_holdnote_encode(&hold, &out, &err));
	hold.held = false;
	assert_true(bkc_holdnote_encode(&hold, &out, &err));
	hold.by[0] = '\0';
	assert_false(bkc_holdnote_encode(&hold, &out, &err));
	catalog.metadata = (char *) "[1]";
	assert_false(bkc_catalognote_encode(&catalog, &out, &err));
	assert_int_equal(err.code, BKC_ERR_INVALID);
	catalog = sample_catalog();
	memcpy(catalog.parent, "nonsense", 9);
	assert_false(bkc_catalognote_encode(&catalog, &out, &err));
	bkc_buffer_free(&out);
}

static void
put_hold(BkcStore *store, bool held, int64_t time)
{
	BkcHoldNote note = sample_hold(held, time);
	BkcError	err;

	assert_true(bkc_notes_put_hold(store, SYSID, &note, &err));
}

/* A note object whose text is none, or that of another backup. */
static void
put_text(BkcStore *store, const char *kind, int64_t time, const char *text)
{
	char		name[BKC_NAME_MAX];
	BkcError	err;

	assert_true(bkc_name_note(SYSID, LABEL, time, kind, name, &err));
	if (!bkc_document_put(store, name, BKC_KIND_NOTE, text, strlen(text), &err))
		fail_msg("%s", err.message);
}

static void
held(BkcStore *store, bool any, bool yes)
{
	BkcNotes	notes;
	BkcError	err;

	if (!bkc_notes_load(store, SYSID, LABEL, &notes, &err))
		fail_msg("%s", err.message);
	assert_int_equal(notes.has_hold, any);
	assert_int_equal(notes.hold.held, yes);
	bkc_notes_free(&notes);
}

static void
newest_counts(void **state)
{
	BkcStore   *store;
	BkcNotes	notes;
	BkcCatalogNote catalog = sample_catalog();
	BkcError	err;

	assert_true(bkc_store_memory_new(&store, &err));
	held(store, false, false);
	put_hold(store, true, TIME);
	held(store, true, true);
	put_hold(store, false, TIME + 5000);
	held(store, true, false);
	put_hold(store, true, TIME + 6000);
	put_hold(store, false, TIME + 6000);	/* of equal times the hold */
	held(store, true, true);
	put_hold(store, false, TIME + 7000);
	held(store, true, false);
	assert_true(bkc_notes_put_catalog(store, SYSID, &catalog, &err));
	assert_true(bkc_notes_load(store, SYSID, LABEL, &notes, &err));
	assert_true(notes.has_catalog && !notes.has_verify && !notes.has_shred);
	assert_string_equal(notes.catalog.metadata, catalog.metadata);
	bkc_notes_free(&notes);

	/* a damaged release ends nothing, a damaged hold holds */
	put_hold(store, true, TIME + 8000);
	put_text(store, "release", TIME + 9000, "nothing");
	held(store, true, true);
	put_hold(store, false, TIME + 10000);
	held(store, true, false);
	put_text(store, "hold", TIME + 11000, "nothing");
	held(store, true, true);
	put_hold(store, false, TIME + 12000);
	held(store, true, false);

	/* what belongs to another backup is none of ours */
	put_text(store, "verify", TIME, "{\"pg_backupctl_verify\":1,\"label\":\"" OTHER "\",\"time\":\"2026-11-20T12:03:01Z\","
			 "\"level\":\"files\",\"ok\":true,\"files\":1,\"bytes\":1,\"failures\":0,\"first_failure\":\"\"}");
	assert_true(bkc_notes_load(store, SYSID, LABEL, &notes, &err));
	assert_false(notes.has_verify);
	assert_int_equal(notes.unreadable, 2);	/* that, and the hold */
	bkc_notes_free(&notes);
	assert_false(bkc_notes_hold_objects(store, SYSID, LABEL, true, &err));
	assert_int_equal(err.code, BKC_ERR_UNSUPPORTED);
	bkc_store_close(store);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips),
		cmocka_unit_test(refusals),
		cmocka_unit_test(newest_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
