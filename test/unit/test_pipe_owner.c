/*
 * test_pipe_owner.c
 *		Ownership: claiming, losing a race, and WAL beyond a position.
 */
#include "test_pipe_wal.h"

#include "pipe/owner.h"

#define OWNERS		"7435718529102938471/owner/"

static BkcOwnerDoc
owner_doc(uint32_t number, const char *owner)
{
	BkcOwnerDoc doc = {
		.number = number,
		.system_identifier = SYSID,
		.host = "db1",
		.data_directory = "/var/lib/postgresql/15/main",
		.timeline = 3,
		.lsn = 0x16B374D848,
		.session = 0x5E5510,
		.time = TIME,
		.reason = "first",
		.by = ""
	};

	snprintf(doc.owner, sizeof(doc.owner), "%s", owner);
	return doc;
}

#define MINE	"00112233445566778899aabbccddeeff"
#define YOURS	"ffeeddccbbaa99887766554433221100"

static void
test_claim(void **state)
{
	BkcStore   *store = util_store();
	BkcOwnerDoc doc = owner_doc(1, MINE);
	BkcOwnerDoc got;
	BkcError	err;
	bool		found = true;

	assert_ok(bkc_owner_current(store, SYSID, &got, &found, &err));
	assert_false(found);
	assert_ok(bkc_owner_claim(store, &doc, &err));
	assert_ok(bkc_owner_current(store, SYSID, &got, &found, &err));
	assert_true(found);
	assert_memory_equal(&got, &doc, sizeof(doc));

	/* the same claim once more: an answer was lost */
	assert_ok(bkc_owner_claim(store, &doc, &err));

	/* somebody else, or we at another time */
	doc = owner_doc(1, YOURS);
	assert_fails(bkc_owner_claim(store, &doc, &err), BKC_ERR_EXISTS);
	doc = owner_doc(1, MINE);
	doc.time++;
	assert_fails(bkc_owner_claim(store, &doc, &err), BKC_ERR_EXISTS);

	doc = owner_doc(2, YOURS);
	memcpy(doc.reason, "takeover", 9);
	memcpy(doc.by, "alice", 6);
	assert_ok(bkc_owner_claim(store, &doc, &err));
	doc = owner_doc(10, MINE);
	assert_ok(bkc_owner_claim(store, &doc, &err));
	assert_ok(bkc_owner_current(store, SYSID, &got, &found, &err));
	assert_int_equal(got.number, 10);
	assert_string_equal(got.owner, MINE);

	/* other clusters and other objects do not count */
	util_put(store, OWNERS "x", "x", 1);
	util_put(store, OWNERS "00000011/x", "x", 1);
	util_put(store, OWNERS "000000011", "x", 1);
	assert_ok(bkc_owner_current(store, SYSID, &got, &found, &err));
	assert_int_equal(got.number, 10);
	assert_ok(bkc_owner_current(store, SYSID + 1, &got, &found, &err));
	assert_false(found);
	doc = owner_doc(0, MINE);
	assert_fails(bkc_owner_claim(store, &doc, &err), BKC_ERR_INVALID);
	bkc_store_close(store);
}

/* A highest owner that cannot be read is never passed over in favour of the one before. */
static void
test_damage(void **state)
{
	BkcStore   *store = util_store();
	BkcOwnerDoc doc = owner_doc(1, MINE);
	BkcOwnerDoc got;
	BkcBuffer	good = {0};
	BkcBuffer	text = {0};
	BkcError	err;
	bool		found;

	assert_ok(bkc_owner_claim(store, &doc, &err));
	doc = owner_doc(2, YOURS);
	assert_ok(bkc_owner_claim(store, &doc, &err));
	util_get(store, OWNERS "00000002", &good);
	for (size_t at = 0; at < good.len; at++)
	{
		wal_flip(store, OWNERS "00000002", at);
		assert_fails(bkc_owner_current(store, SYSID, &got, &found, &err), BKC_ERR_CORRUPT);
		assert_true(found);
		assert_int_equal(got.number, 2);
		assert_string_equal(got.owner, "");
		assert_fails(bkc_owner_claim(store, &doc, &err), BKC_ERR_EXISTS);
		util_put(store, OWNERS "00000002", good.data, good.len);
	}
	util_put(store, OWNERS "00000003", good.data, good.len);
	assert_fails(bkc_owner_current(store, SYSID, &got, &found, &err), BKC_ERR_CORRUPT);

	/* a good document of another number */
	assert_ok(bkc_store_remove(store, &(const char *) {OWNERS "00000003"}, 1, &err));
	assert_ok(bkc_ownerdoc_encode(&doc, &text, &err));
	assert_ok(bkc_document_put(store, OWNERS "00000003", BKC_KIND_OWNER, (const char *) text.data,
							   text.len, &err));
	assert_fails(bkc_owner_current(store, SYSID, &got, &found, &err), BKC_ERR_CORRUPT);

	/* whoever is told to may claim the next number all the same */
	assert_true(found);
	doc = owner_doc(got.number + 1, MINE);
	assert_ok(bkc_owner_claim(store, &doc, &err));
	assert_ok(bkc_owner_current(store, SYSID, &got, &found, &err));
	assert_int_equal(got.number, 4);
	bkc_buffer_free(&good);
	bkc_buffer_free(&text);
	bkc_store_close(store);
}

static void
test_failures(void **state)
{
	BkcOwnerDoc doc = owner_doc(1, MINE);
	BkcOwnerDoc got;
	BkcError	err;
	bool		found;

	for (int scene = 0; scene < 3; scene++)
	{
		bool		done = false;

		for (uint64_t at = 1; !done; at++)
		{
			BkcStore   *inner = util_store();
			BkcStore   *store;
			char		beyond[BKC_NAME_MAX];

			if (scene > 0)
				assert_ok(bkc_owner_claim(inner, &doc, &err));
			assert_ok(bkc_store_faulty_new(inner, at, BKC_ERR_ACCESS, NULL, &store, &err));
			done = scene == 0 ? bkc_owner_claim(store, &doc, &err) :
				scene == 1 ? bkc_owner_current(store, SYSID, &got, &found, &err) :
				bkc_owner_wal_beyond(store, SYSID, 1, 0, MB, beyond, &err);
			if (!done)
				assert_int_equal(err.code, BKC_ERR_ACCESS);
			if (scene == 1 && !done)
				assert_false(found);
			bkc_store_close(store);
			assert_true(at < 20);
		}
	}
}

#ifdef BKC_FAULTS
static const char *fault_spec = "";

static const char *
get_fault_spec(void)
{
	return fault_spec;
}

static void
test_fault_point(void **state)
{
	static const BkcHost host = {.fault_spec = get_fault_spec};
	BkcStore   *store = util_store();
	BkcOwnerDoc doc = owner_doc(1, MINE);
	BkcError	err;

	bkc_host_set(&host);
	fault_spec = "owner-claim=fail";
	assert_fails(bkc_owner_claim(store, &doc, &err), BKC_ERR_IO);
	assert_int_equal(util_objects(store), 0);
	fault_spec = "";
	assert_ok(bkc_owner_claim(store, &doc, &err));
	wal_host();
	bkc_store_close(store);
}
#endif

/* ---- WAL beyond ---- */

static FileRepo repo;
static uint8_t segment_data[16 * 1024 * 1024];

static void
put_segment(BkcWalWriter *w, const char *name, uint32_t segment_size)
{
	BkcWalFile	file = {.file = name, .segment_size = segment_size, .time = TIME};
	BkcWalOutcome outcome;
	BkcError	err;
	uint64_t	stored;

	file.path = wal_file(&repo, "seg", segment_data, segment_size);
	assert_ok(bkc_walwriter_put(w, &file, &outcome, &stored, &err));
}

static void
put_chunk(BkcWalWriter *w, const char *name, uint64_t generation, uint32_t offset, uint32_t len)
{
	const char *path = wal_file(&repo, "open", segment_data, MB);
	int			fd = open(path, O_RDONLY);
	BkcError	err;
	uint64_t	stored;

	assert_ok(bkc_walwriter_chunk(w, name, MB, generation, offset, len, fd, path, TIME, &stored,
								  &err));
	close(fd);
}

static const char *
beyond(BkcStore *store, uint32_t timeline, uint64_t lsn, uint32_t segment_size)
{
	static char found[BKC_NAME_MAX];
	BkcError	err;

	assert_ok(bkc_owner_wal_beyond(store, SYSID, timeline, lsn, segment_size, found, &err));
	return found;
}

static void
test_beyond_segments(void **state)
{
	BkcStore   *store = util_store();
	BkcWalWriter *w = wal_writer(store);
	uint64_t	end = SEG_START + MB;
	char		found[BKC_NAME_MAX];
	BkcError	err;

	assert_string_equal(beyond(store, 1, 0, MB), "");
	put_segment(w, "000000010000000100000003", MB);
	put_segment(w, SEGMENT, MB);
	assert_string_equal(beyond(store, 1, 0, MB),
						ROOT "00000001/00000001/000000010000000100000003");
	assert_string_equal(beyond(store, 1, (UINT64_C(1) << 32) + 4 * MB - 1, MB),
						ROOT "00000001/00000001/000000010000000100000003");
	assert_string_equal(beyond(store, 1, (UINT64_C(1) << 32) + 4 * MB, MB), FOLDER SEGMENT);
	assert_string_equal(beyond(store, 1, SEG_START - 1, MB), FOLDER SEGMENT);
	assert_string_equal(beyond(store, 1, SEG_START, MB), FOLDER SEGMENT);
	assert_string_equal(beyond(store, 1, end - 1, MB), FOLDER SEGMENT);
	assert_string_equal(beyond(store, 1, end, MB), "");
	assert_string_equal(beyond(store, 1, UINT64_MAX, MB), "");

	/* another timeline, histories, partial segments, foreign names, other clusters */
	put_segment(w, "0000000200000002000000F0", MB);
	put_segment(w, "0000000100000002000000F0.partial", MB);
	util_put(store, ROOT "00000005.history", "x", 1);
	util_put(store, FOLDER "0000000100000002000000F0.00000028.backup", "x", 1);
	util_put(store, FOLDER "x", "x", 1);
	util_put(store, ROOT "00000001/0000000g/000000010000000200000001", "x", 1);
	util_put(store, ROOT "00000001/00000003/000000010000000200000001", "x", 1);
	assert_string_equal(beyond(store, 1, end, MB), "");
	assert_string_equal(beyond(store, 2, end, MB),
						ROOT "00000002/00000002/0000000200000002000000F0");

	/* a log whose number has all kinds of digits */
	put_segment(w, "000000010A0B0CFF00000001", MB);
	assert_string_equal(beyond(store, 1, end, MB),
						ROOT "00000001/0A0B0CFF/000000010A0B0CFF00000001");
	assert_fails(bkc_owner_wal_beyond(store, SYSID, 0, 0, MB, found, &err), BKC_ERR_INVALID);
	assert_fails(bkc_owner_wal_beyond(store, SYSID, 1, 0, 3 * MB, found, &err), BKC_ERR_INVALID);
	assert_fails(bkc_owner_wal_beyond(store, SYSID, 1, 0, 0, found, &err), BKC_ERR_INVALID);
	assert_fails(bkc_owner_wal_beyond(store, 0, 1, 0, MB, found, &err), BKC_ERR_INVALID);
	bkc_walwriter_close(&w);
	bkc_store_close(store);
}

/* The same names mean other places with larger segments. */
static void
test_beyond_large(void **state)
{
	BkcStore   *store = util_store();
	BkcWalWriter *w = wal_writer(store);
	uint64_t	start = (UINT64_C(7) << 32) + 255 * (uint64_t) 16 * MB;

	put_segment(w, "0000000100000007000000FF", 16 * MB);
	assert_string_equal(beyond(store, 1, start + 16 * MB - 1, 16 * MB),
						ROOT "00000001/00000007/0000000100000007000000FF");
	assert_string_equal(beyond(store, 1, start + 16 * MB, 16 * MB), "");
	bkc_walwriter_close(&w);
	bkc_store_close(store);
}

static void
test_beyond_chunks(void **state)
{
	BkcStore   *store = util_store();
	BkcWalWriter *w = wal_writer(store);
	char		name[BKC_NAME_MAX];

	put_chunk(w, SEGMENT, 3, 0, 1000);
	put_chunk(w, SEGMENT, 3, 1000, 1000);
	put_chunk(w, SEGMENT, 4, 0, 1500);
	snprintf(name, sizeof(name), FOLDER SEGMENT ".chunks/0000000000000003-000003e8");
	assert_string_equal(beyond(store, 1, SEG_START - 1, MB),
						FOLDER SEGMENT ".chunks/0000000000000003-00000000");
	assert_string_equal(beyond(store, 1, SEG_START, MB),
						FOLDER SEGMENT ".chunks/0000000000000003-00000000");
	assert_string_equal(beyond(store, 1, SEG_START + 999, MB), name);
	assert_string_equal(beyond(store, 1, SEG_START + 1000, MB), name);
	assert_string_equal(beyond(store, 1, SEG_START + 1999, MB), name);
	assert_string_equal(beyond(store, 1, SEG_START + 2000, MB), "");

	/* a damaged chunk says nothing, and does not stop the others */
	wal_warnings = 0;
	wal_flip(store, name, 200);
	assert_string_equal(beyond(store, 1, SEG_START + 1499, MB),
						FOLDER SEGMENT ".chunks/0000000000000004-00000000");
	assert_int_equal(wal_warnings, 1);
	assert_string_equal(beyond(store, 1, SEG_START + 1500, MB), "");
	bkc_walwriter_close(&w);
	bkc_store_close(store);
}

/* Every call of the store: that it could not be asked is not "nothing there". */
static void
test_beyond_failures(void **state)
{
	BkcStore   *inner = util_store();
	BkcWalWriter *w = wal_writer(inner);
	bool		done = false;
	BkcError	err;

	put_chunk(w, SEGMENT, 3, 0, 1000);
	put_chunk(w, SEGMENT, 4, 0, 500);
	bkc_walwriter_close(&w);
	for (uint64_t at = 1; !done; at++)
	{
		BkcStore   *shared;
		BkcStore   *store;
		char		found[BKC_NAME_MAX];

		assert_ok(bkc_store_memory_share(inner, &shared, &err));
		assert_ok(bkc_store_faulty_new(shared, at, BKC_ERR_TIMEOUT, NULL, &store, &err));
		done = bkc_owner_wal_beyond(store, SYSID, 1, SEG_START + 2000, MB, found, &err);
		if (!done)
			assert_int_equal(err.code, BKC_ERR_TIMEOUT);
		assert_string_equal(found, "");
		bkc_store_close(store);
		if (done)
			assert_true(at > 6);
	}
	bkc_store_close(inner);
}

static int
setup(void **state)
{
	BkcError	err;

	wal_host();
	return filerepo_new(&repo, &err) ? 0 : 1;
}

static int
teardown(void **state)
{
	filerepo_free(&repo);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claim),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_failures),
#ifdef BKC_FAULTS
		cmocka_unit_test(test_fault_point),
#endif
		cmocka_unit_test(test_beyond_segments),
		cmocka_unit_test(test_beyond_large),
		cmocka_unit_test(test_beyond_chunks),
		cmocka_unit_test(test_beyond_failures),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
