/*
 * test_golden_wal.c
 *		WAL and owners of released formats can still be read, and are what
 *		FORMAT.md says: in the golden repository and in one written now, by the core and by the
 *		second reader.
 */
#include "test_pipe_util.h"

#include "base/text.h"
#include "format/names.h"
#include "golden.h"
#include "golden_make.h"
#include "golden_repo.h"
#include "pipe/object.h"
#include "pipe/owner.h"
#include "pipe/unpack.h"
#include "pipe/walobj.h"

#define WAL			GOLDEN_SYSID_TEXT "/wal/"
#define SEGMENT4	"000000020000000000000004"

static void
name_of(const GoldenWal *object, char name[BKC_NAME_MAX])
{
	snprintf(name, BKC_NAME_MAX, WAL "%s", object->name);
}

/* What is in a file from its beginning on. */
static void
read_back(FILE *file, uint8_t *out, size_t len)
{
	assert_int_equal(fseek(file, 0, SEEK_SET), 0);
	assert_int_equal(fread(out, 1, len, file), len);
	assert_int_equal(fgetc(file), EOF);
}

/* ---- by the core ---- */

static void
test_core_objects(void **state)
{
	const GoldenRepo *repo = *state;
	uint8_t    *got = malloc(GOLDEN_MIB);

	assert_non_null(got);
	for (size_t i = 0; i < golden_nwal; i++)
	{
		const GoldenWal *object = &golden_wal[i];
		uint8_t    *content = golden_wal_content(object);
		FILE	   *file = tmpfile();
		char		name[BKC_NAME_MAX];
		BkcWalInfo	expected;
		BkcWalInfo	info;
		BkcError	err;

		assert_true(content != NULL && file != NULL);
		name_of(object, name);
		assert_ok(bkc_walinfo_decode(object->json, strlen(object->json), name, false,
									 &expected, &err));
		assert_ok(bkc_wal_info(repo->store, name, &info, &err));
		assert_memory_equal(&info, &expected, sizeof(info));
		assert_ok(bkc_wal_read(repo->store, name, UINT64_MAX, fileno(file), name, &info, &err));
		assert_memory_equal(&info, &expected, sizeof(info));
		read_back(file, got, object->size);
		assert_memory_equal(got, content, object->size);
		fclose(file);
		free(content);
	}
	free(got);
}

static void
check_found(BkcStore *store, const char *file, const char *expected)
{
	char		name[BKC_NAME_MAX];
	BkcError	err;

	assert_ok(bkc_wal_find(store, GOLDEN_SYSID, file, name, &err));
	assert_string_equal(name, expected);
}

static void
test_core_find(void **state)
{
	const GoldenRepo *repo = *state;
	char		name[BKC_NAME_MAX];
	BkcError	err;

	check_found(repo->store, "00000002.history", WAL "00000002.history");
	check_found(repo->store, "000000020000000000000003",
				WAL "00000002/00000000/000000020000000000000003");
	check_found(repo->store, "000000020000000000000003.00000028.backup",
				WAL "00000002/00000000/000000020000000000000003.00000028.backup");
	check_found(repo->store, SEGMENT4,
				WAL "00000002/00000000/" SEGMENT4 ".conflict-4b88e58bdcd15274");
	assert_fails(bkc_wal_find(repo->store, GOLDEN_SYSID, GOLDEN_OPEN, name, &err),
				 BKC_ERR_NOT_FOUND);
	assert_fails(bkc_wal_find(repo->store, GOLDEN_SYSID, "000000010000000000000002", name, &err),
				 BKC_ERR_NOT_FOUND);
	assert_fails(bkc_wal_find(repo->store, GOLDEN_SYSID, "00000003.history", name, &err),
				 BKC_ERR_NOT_FOUND);
}

static void
test_core_chunks(void **state)
{
	const GoldenRepo *repo = *state;
	uint8_t    *got = malloc(GOLDEN_MIB);
	uint8_t		expected[GOLDEN_OPEN_SIZE];
	FILE	   *file = tmpfile();
	char		text[32];
	uint64_t	generation;
	uint64_t	end;
	int64_t		time;
	BkcWalRow	row;
	BkcError	err;

	assert_true(got != NULL && file != NULL);
	assert_ok(bkc_wal_chunks_end(repo->store, GOLDEN_SYSID, GOLDEN_OPEN, &row, &err));
	assert_int_equal(row.generation, UINT64_C(0x64a2000000001));
	assert_int_equal(row.end_lsn, 5 * GOLDEN_MIB + GOLDEN_OPEN_SIZE);
	assert_int_equal(row.claimed_lsn, 5 * GOLDEN_MIB + 40960);	/* behind a missing one */
	bkc_format_time(row.time, text, sizeof(text));
	assert_string_equal(text, GOLDEN_OPEN_TIME);
	assert_ok(bkc_wal_chunks_newest(repo->store, GOLDEN_SYSID, GOLDEN_OPEN, &generation, &end,
									&err));
	assert_int_equal(generation, UINT64_C(0x64a2000000001));
	assert_int_equal(end, 5 * GOLDEN_MIB + 16384);

	assert_ok(bkc_wal_chunks_read(repo->store, GOLDEN_SYSID, GOLDEN_OPEN, GOLDEN_MIB, UINT64_MAX,
								  fileno(file), "file", &end, &time, &err));
	assert_int_equal(end, 5 * GOLDEN_MIB + GOLDEN_OPEN_SIZE);
	read_back(file, got, GOLDEN_MIB);
	golden_open_segment(expected);
	assert_memory_equal(got, expected, sizeof(expected));
	for (size_t i = sizeof(expected); i < GOLDEN_MIB; i++)
		assert_int_equal(got[i], 0);
	fclose(file);
	free(got);
}

static void
test_core_owner(void **state)
{
	const GoldenRepo *repo = *state;
	const BkcOwnerDoc *expected = &golden_core_owners[GOLDEN_OWNERS - 1];
	BkcOwnerDoc doc;
	BkcError	err;
	bool		found;

	assert_ok(bkc_owner_current(repo->store, GOLDEN_SYSID, &doc, &found, &err));
	assert_true(found);
	assert_int_equal(doc.number, expected->number);
	assert_int_equal(doc.system_identifier, GOLDEN_SYSID);
	assert_string_equal(doc.owner, expected->owner);
	assert_string_equal(doc.host, expected->host);
	assert_string_equal(doc.data_directory, expected->data_directory);
	assert_int_equal(doc.timeline, expected->timeline);
	assert_true(doc.lsn == expected->lsn);
	assert_int_equal(doc.time, expected->time);
	assert_string_equal(doc.reason, expected->reason);
	assert_string_equal(doc.by, expected->by);
}

static void
test_core_archived(void **state)
{
	const GoldenRepo *repo = *state;
	const BkcManifestHeader *expected = &golden_core_archived;
	BkcBackup  *backup;
	BkcError	err;

	assert_ok(bkc_backup_load(repo->store, GOLDEN_SYSID, GOLDEN_ARCHIVED, &backup, &err));
	assert_true(backup->header.wal_in_archive);
	assert_int_equal(backup->header.start_lsn, expected->start_lsn);
	assert_int_equal(backup->header.stop_lsn, expected->stop_lsn);
	assert_int_equal(backup->header.timeline, expected->timeline);
	assert_string_equal(backup->header.backup_label, "");
	assert_null(backup->header.tablespace_map);
	assert_int_equal(backup->nentries, golden_narchived);
	assert_non_null(bkc_backup_find_wal(backup, "00000002.history"));
	assert_ok(bkc_backup_check_wal(backup, &err));
	bkc_backup_free(backup);
}

/* ---- by FORMAT.md ---- */

static void
test_raw_objects(void **state)
{
	const GoldenRepo *repo = *state;
	size_t		stored[4] = {0};
	size_t		compressed[4] = {0};

	for (size_t i = 0; i < golden_nwal; i++)
	{
		const GoldenWal *object = &golden_wal[i];
		uint8_t    *content = golden_wal_content(object);
		json_t	   *expected = json_loads(object->json, JSON_REJECT_DUPLICATES, NULL);
		char		name[BKC_NAME_MAX];
		const char *error;
		RawObject	raw;
		json_t	   *info;
		char	   *got;
		size_t		len;

		assert_true(content != NULL && expected != NULL);
		name_of(object, name);
		error = raw_load_wal(repo->root, name, &raw, &info);
		if (error != NULL)
			fail_msg("%s: %s", name, error);
		if (!json_equal(info, expected))
			fail_msg("%s: %s", name, json_dumps(info, 0));
		assert_int_equal(raw.kind, object->kind);
		assert_int_equal(raw.codec, object->codec);
		got = raw_content(&raw, &len);
		assert_int_equal(len, object->size);
		assert_memory_equal(got, content, len);
		if (raw.frames[0].flags & RAW_STORED)
			stored[raw.codec]++;
		else
			compressed[raw.codec]++;
		free(got);
		free(content);
		json_decref(info);
		json_decref(expected);
		raw_free(&raw);
	}
	assert_int_equal(compressed[0], 0);
	assert_true(stored[0] > 0 && compressed[1] > 0 && compressed[2] > 0 && compressed[3] > 0);
}

static void
test_raw_chunks(void **state)
{
	const GoldenRepo *repo = *state;
	uint8_t		expected[GOLDEN_OPEN_SIZE];
	uint8_t    *got;
	size_t		len;
	const char *error;

	error = raw_join_chunks(repo->root, GOLDEN_SYSID_TEXT GOLDEN_OPEN_FOLDER, &got, &len);
	if (error != NULL)
		fail_msg("%s", error);
	golden_open_segment(expected);
	assert_int_equal(len, sizeof(expected));
	assert_memory_equal(got, expected, len);
	free(got);
}

static void
test_raw_archived(void **state)
{
	const GoldenRepo *repo = *state;
	RawManifest manifest;
	json_t	   *expected = json_loads(golden_archived_header, JSON_REJECT_DUPLICATES, NULL);
	const char *error;

	assert_non_null(expected);
	error = raw_load_manifest(repo->root, GOLDEN_SYSID_TEXT "/backups/" GOLDEN_ARCHIVED "/manifest",
							  &manifest);
	if (error != NULL)
		fail_msg("%s", error);
	if (!json_equal(manifest.header, expected))
		fail_msg("%s", json_dumps(manifest.header, 0));
	assert_int_equal(json_array_size(manifest.entries), golden_narchived);
	assert_int_equal(json_array_size(manifest.packs), 1);
	raw_manifest_free(&manifest);
	json_decref(expected);

	/* a segment that a backup needs and that is not there would be noticed */
	assert_null(raw_archived(repo->root, GOLDEN_SYSID_TEXT, 2, 0x4FFFFF, GOLDEN_MIB));
	assert_non_null(raw_archived(repo->root, GOLDEN_SYSID_TEXT, 2, 0x500000, GOLDEN_MIB));
	assert_non_null(raw_archived(repo->root, GOLDEN_SYSID_TEXT, 1, 0x200000, GOLDEN_MIB));
}

/* Each byte, each cut and another name or kind are noticed; also by the core. */
static void
test_damage(void **state)
{
	const GoldenRepo *repo = *state;
	char		name[BKC_NAME_MAX];
	char		other[BKC_NAME_MAX];
	BkcBuffer	bytes = {0};
	BkcStore   *damaged = util_store();
	RawObject	object;
	BkcWalInfo	info;
	BkcError	err;

	name_of(&golden_wal[golden_nwal - 3], name);
	name_of(&golden_wal[golden_nwal - 2], other);
	util_get(repo->store, name, &bytes);
	for (size_t i = 0; i < bytes.len; i++)
	{
		bytes.data[i] ^= (uint8_t) (1 << i % 8);
		if (raw_parse(name, 7, bytes.data, bytes.len, &object) == NULL)
			fail_msg("byte %zu", i);
		raw_free(&object);
		util_put(damaged, name, bytes.data, bytes.len);
		assert_false(bkc_wal_read(damaged, name, UINT64_MAX, -1, name, &info, &err));
		bytes.data[i] ^= (uint8_t) (1 << i % 8);
		if (raw_parse(name, 7, bytes.data, i, &object) == NULL)
			fail_msg("cut to %zu bytes", i);
		raw_free(&object);
		util_put(damaged, name, bytes.data, i);
		assert_fails(bkc_wal_read(damaged, name, UINT64_MAX, -1, name, &info, &err),
					 BKC_ERR_CORRUPT);
	}
	assert_null(raw_parse(name, 7, bytes.data, bytes.len, &object));
	raw_free(&object);
	assert_non_null(raw_parse(name, 6, bytes.data, bytes.len, &object));
	raw_free(&object);
	assert_non_null(raw_parse(other, 7, bytes.data, bytes.len, &object));
	raw_free(&object);
	util_put(damaged, other, bytes.data, bytes.len);
	assert_fails(bkc_wal_read(damaged, other, UINT64_MAX, -1, other, &info, &err), BKC_ERR_CORRUPT);
	bkc_store_close(damaged);
	bkc_buffer_free(&bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_core_objects),
		cmocka_unit_test(test_core_find),
		cmocka_unit_test(test_core_chunks),
		cmocka_unit_test(test_core_owner),
		cmocka_unit_test(test_core_archived),
		cmocka_unit_test(test_raw_objects),
		cmocka_unit_test(test_raw_chunks),
		cmocka_unit_test(test_raw_archived),
		cmocka_unit_test(test_damage),
	};
	int			failed;

	failed = cmocka_run_group_tests_name("golden", tests, golden_open_v1, golden_close);
	return failed + cmocka_run_group_tests_name("fresh", tests, golden_open_fresh, golden_close);
}
