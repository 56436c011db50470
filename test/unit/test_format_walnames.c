/*
 * test_format_walnames.c
 *		Names of WAL and owner objects: what is written is understood, and
 *		nothing else is.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "format/names.h"

#define SYSID	UINT64_C(7435718529102938471)
#define TOP		"7435718529102938471/wal/"
#define SEGMENT	"0000000A000000170000002C"
#define FOLDER	TOP "0000000A/00000017/"
#define HASH	"0123456789abcdef"

static void
prefixes(void **state)
{
	char		out[BKC_NAME_MAX];
	BkcError	err;

	assert_true(bkc_name_wal_root(SYSID, out, &err));
	assert_string_equal(out, TOP);
	assert_true(bkc_name_wal_timeline(SYSID, 10, out, &err));
	assert_string_equal(out, TOP "0000000A/");
	assert_true(bkc_name_wal_log(SYSID, 10, 23, out, &err));
	assert_string_equal(out, FOLDER);
	assert_true(bkc_name_wal_log(SYSID, UINT32_MAX, 0, out, &err));
	assert_string_equal(out, TOP "FFFFFFFF/00000000/");
	assert_true(bkc_name_wal_chunks(SYSID, SEGMENT, out, &err));
	assert_string_equal(out, FOLDER SEGMENT ".chunks/");
	assert_true(bkc_name_owners(SYSID, out, &err));
	assert_string_equal(out, "7435718529102938471/owner/");

	assert_false(bkc_name_wal_root(0, out, &err));
	assert_string_equal(out, "");
	assert_false(bkc_name_wal_timeline(0, 1, out, &err));
	assert_false(bkc_name_wal_timeline(SYSID, 0, out, &err));
	assert_int_equal(err.code, BKC_ERR_INVALID);
	assert_false(bkc_name_wal_log(SYSID, 0, 1, out, &err));
	assert_false(bkc_name_owners(0, out, &err));
}

/* Every kind of object: its name, and what the name says. */
static const struct
{
	const char *name;
	BkcWalName	parsed;
}			objects[] = {
	{FOLDER SEGMENT, {BKC_WALNAME_SEGMENT, false, SEGMENT, "", 10, 23, 0, 0}},
	{FOLDER SEGMENT ".conflict-" HASH,
	{BKC_WALNAME_SEGMENT, true, SEGMENT, HASH, 10, 23, 0, 0}},
	{FOLDER SEGMENT ".partial-" HASH,
	{BKC_WALNAME_PARTIAL, false, SEGMENT ".partial", HASH, 10, 23, 0, 0}},
	{FOLDER SEGMENT ".00A0B1C8.backup",
	{BKC_WALNAME_BACKUP, false, SEGMENT ".00A0B1C8.backup", "", 10, 23, 0, 0}},
	{FOLDER SEGMENT ".00A0B1C8.backup.conflict-" HASH,
	{BKC_WALNAME_BACKUP, true, SEGMENT ".00A0B1C8.backup", HASH, 10, 23, 0, 0}},
	{TOP "0000000A.history", {BKC_WALNAME_HISTORY, false, "0000000A.history", "", 10, 0, 0, 0}},
	{TOP "0000000A.history.conflict-" HASH,
	{BKC_WALNAME_HISTORY, true, "0000000A.history", HASH, 10, 0, 0, 0}},
	{FOLDER SEGMENT ".chunks/0000000000000001-00000000",
	{BKC_WALNAME_CHUNK, false, SEGMENT, "", 10, 23, 1, 0}},
	{FOLDER SEGMENT ".chunks/00066ab1c2d3e4f5-00a12000",
	{BKC_WALNAME_CHUNK, false, SEGMENT, "", 10, 23, UINT64_C(0x66AB1C2D3E4F5), 0xA12000}},
	{FOLDER SEGMENT ".chunks/ffffffffffffffff-3fffffff",
	{BKC_WALNAME_CHUNK, false, SEGMENT, "", 10, 23, UINT64_MAX, 0x3FFFFFFF}},
	/* first and last there can be */
	{"1/wal/00000001/00000000/000000010000000000000000",
	{BKC_WALNAME_SEGMENT, false, "000000010000000000000000", "", 1, 0, 0, 0}},
	{"18446744073709551615/wal/FFFFFFFF/FFFFFFFF/FFFFFFFFFFFFFFFF00000FFF",
		{BKC_WALNAME_SEGMENT, false, "FFFFFFFFFFFFFFFF00000FFF", "", UINT32_MAX, UINT32_MAX,
	0, 0}},
};

#define NOBJECTS (sizeof(objects) / sizeof(objects[0]))

static bool
write_name(uint64_t sysid, const BkcWalName *p, char out[BKC_NAME_MAX], BkcError *err)
{
	if (p->type == BKC_WALNAME_CHUNK)
		return bkc_name_wal_chunk(sysid, p->file, p->generation, p->offset, out, err);
	if (p->conflict)
		return bkc_name_wal_conflict(sysid, p->file, p->hash, out, err);
	return bkc_name_wal_file(sysid, p->file, p->hash[0] ? p->hash : NULL, out, err);
}

static void
assert_same(const BkcWalName *a, const BkcWalName *b)
{
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->conflict, b->conflict);
	assert_string_equal(a->file, b->file);
	assert_string_equal(a->hash, b->hash);
	assert_int_equal(a->timeline, b->timeline);
	assert_int_equal(a->log, b->log);
	assert_true(a->generation == b->generation);
	assert_int_equal(a->offset, b->offset);
}

static void
each_kind_round_trips(void **state)
{
	for (size_t i = 0; i < NOBJECTS; i++)
	{
		uint64_t	sysid = 0;
		char		first[24];
		size_t		len = strcspn(objects[i].name, "/");
		char		out[BKC_NAME_MAX];
		BkcWalName	parsed;
		BkcError	err;

		memcpy(first, objects[i].name, len);
		first[len] = '\0';
		assert_true(bkc_name_parse_sysid(first, &sysid));
		assert_true(write_name(sysid, &objects[i].parsed, out, &err));
		assert_string_equal(out, objects[i].name);
		assert_true(bkc_name_valid(out));
		if (!bkc_name_parse_wal(out, &parsed))
			fail_msg("refused: %s", out);
		assert_same(&parsed, &objects[i].parsed);
	}
}

static void
refused_names(void **state)
{
	static const char *const bad[] = {
		"", "/", "a", TOP, "7435718529102938471/wal", "wal/0000000A.history",
		FOLDER, FOLDER SEGMENT "/", "/" FOLDER SEGMENT, "0/wal/0000000A.history",
		"07/wal/0000000A.history", "x/wal/0000000A.history", "1/wall/0000000A.history",
		"1/WAL/0000000A.history", "1//wal/0000000A.history", "1/wal//0000000A.history",
		"99999999999999999999/wal/0000000A.history", "111111111111111111111111/wal/0000000A.history",
		/* in another folder */
		TOP SEGMENT, TOP "0000000A/" SEGMENT, TOP "0000000A/00000018/" SEGMENT,
		TOP "0000000B/00000017/" SEGMENT, TOP "0000000a/00000017/" SEGMENT,
		TOP "A/17/" SEGMENT, TOP "00000017/0000000A/" SEGMENT, TOP "x/" "0000000A/00000017/" SEGMENT,
		FOLDER "0000000A.history", TOP "0000000A/0000000A.history",
		"7435718529102938471/backups/0000000A.history",
		TOP "0000000A/00000018/" SEGMENT ".partial-" HASH,
		TOP "0000000A/00000018/" SEGMENT ".chunks/0000000000000001-00000000",
		/* timeline 0; more segments in a log than there can be */
		TOP "00000000.history", TOP "00000000/00000017/000000000000001700000001",
		TOP "0000000A/00000017/0000000A0000001700001000",
		/* spelling */
		FOLDER "0000000a000000170000002C", FOLDER SEGMENT "0", FOLDER "0000000A000000170000002",
		FOLDER "0000000A000000170000002G", TOP "0000000a.history", TOP "0000000A.History",
		TOP "0000000A.history2", TOP "0000000A.", TOP "0000000A",
		FOLDER SEGMENT ".", FOLDER SEGMENT ".backup", FOLDER SEGMENT ".00A0B1C.backup",
		FOLDER SEGMENT ".00a0b1c8.backup", FOLDER SEGMENT ".00A0B1C8.backup2",
		/* partial: always and only with its hash */
		FOLDER SEGMENT ".partial", FOLDER SEGMENT ".partial-", FOLDER SEGMENT ".partial-0123",
		FOLDER SEGMENT ".partial-0123456789abcdeF", FOLDER SEGMENT ".partial-" HASH "0",
		FOLDER SEGMENT ".partial-" HASH ".partial-" HASH, TOP "0000000A.history.partial-" HASH,
		FOLDER SEGMENT ".partial-" HASH ".conflict-" HASH,
		FOLDER SEGMENT ".partial.conflict-" HASH, FOLDER SEGMENT "-" HASH,
		TOP "0000000A.history-" HASH,
		/* conflict */
		FOLDER SEGMENT ".conflict", FOLDER SEGMENT ".conflict-", FOLDER SEGMENT ".conflict-0123",
		FOLDER SEGMENT ".conflict-" HASH "0", FOLDER SEGMENT ".conflict-0123456789ABCDEF",
		FOLDER SEGMENT ".conflict-" HASH ".conflict-" HASH, FOLDER ".conflict-" HASH,
		FOLDER "x.conflict-" HASH, TOP SEGMENT ".conflict-" HASH,
		/* chunks */
		FOLDER SEGMENT ".chunks", FOLDER SEGMENT ".chunks/", FOLDER SEGMENT ".chunks/x",
		FOLDER SEGMENT ".chunks/0000000000000000-00000000",
		FOLDER SEGMENT ".chunks/0000000000000001-40000000",
		FOLDER SEGMENT ".chunks/0000000000000001-ffffffff",
		FOLDER SEGMENT ".chunks/0000000000000001-0000000",
		FOLDER SEGMENT ".chunks/0000000000000001-000000000",
		FOLDER SEGMENT ".chunks/000000000000001-000000000",
		FOLDER SEGMENT ".chunks/000000000000000A-00000000",
		FOLDER SEGMENT ".chunks/0000000000000001-0000000A",
		FOLDER SEGMENT ".chunks/0000000000000001_00000000",
		FOLDER SEGMENT ".chunks/000000000000000.-00000000",
		FOLDER SEGMENT ".chunks/0000000000000001-00000000.conflict-" HASH,
		FOLDER SEGMENT ".chunks/x/0000000000000001-00000000",
		FOLDER SEGMENT ".chunks/.chunks/0000000000000001-00000000",
		FOLDER SEGMENT ".conflict-" HASH ".chunks/0000000000000001-00000000",
		FOLDER SEGMENT ".partial-" HASH ".chunks/0000000000000001-00000000",
		TOP "0000000A.history.chunks/0000000000000001-00000000",
		"1/.chunks/0000000000000001-00000000", "1/x.chunks/0000000000000001-00000000",
		SEGMENT ".chunks/0000000000000001-00000000", NULL
	};
	BkcWalName	parsed;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		if (bkc_name_parse_wal(bad[i], &parsed))
			fail_msg("accepted: \"%s\"", bad[i] ? bad[i] : "(null)");
	}
}

/* Whatever one changes in a name: either it is refused, or it is a name that means just that. */
static void
changed_names(void **state)
{
	static const char chars[] = "0179AFGafg.-_/~ ";

	for (size_t i = 0; i < NOBJECTS; i++)
	{
		size_t		len = strlen(objects[i].name);

		for (size_t at = 0; at < len; at++)
		{
			for (const char *c = chars; *c != '\0'; c++)
			{
				char		name[BKC_NAME_MAX];
				char		again[BKC_NAME_MAX];
				BkcWalName	parsed;
				uint64_t	sysid;
				size_t		slash;
				BkcError	err;

				memcpy(name, objects[i].name, len + 1);
				name[at] = *c;
				if (!bkc_name_parse_wal(name, &parsed))
					continue;
				memcpy(again, name, len + 1);
				slash = strcspn(again, "/");
				again[slash] = '\0';
				assert_true(bkc_name_parse_sysid(again, &sysid));
				assert_true(write_name(sysid, &parsed, again, &err));
				assert_string_equal(again, name);
			}
		}
		for (size_t cut = 0; cut < len; cut++)
		{
			char		name[BKC_NAME_MAX];
			BkcWalName	parsed;

			/* what is left when a suffix is cut off can be a name, of another object */
			memcpy(name, objects[i].name, cut);
			name[cut] = '\0';
			if (bkc_name_parse_wal(name, &parsed))
				assert_true(strcmp(name, FOLDER SEGMENT) == 0 ||
							strcmp(name, FOLDER SEGMENT ".00A0B1C8.backup") == 0 ||
							strcmp(name, TOP "0000000A.history") == 0);
		}
	}
}

static void
writers_refuse(void **state)
{
	static const char *const files[] = {
		"", "x", "../x", SEGMENT "0", SEGMENT ".chunks", "00000000000000170000002C", "00000000.history",
		"000000000000001700000001", "0000000A0000001700001000", SEGMENT ".conflict-" HASH,
		SEGMENT ".partial-" HASH, "0000000A0000001700001000.partial", "backup_label",
		SEGMENT ".0000000000000000000000000000000000000000000000000000000.backup", NULL
	};
	static const char *const hashes[] = {
		"", "0", "0123456789abcde", HASH "0", "0123456789ABCDEF", "0123456789abcdeg", "../../../../../.."
	};
	char		out[BKC_NAME_MAX];
	BkcError	err;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
	{
		assert_false(bkc_name_wal_file(SYSID, files[i], NULL, out, &err));
		assert_int_equal(err.code, BKC_ERR_INVALID);
		assert_string_equal(out, "");
		assert_false(bkc_name_wal_file(SYSID, files[i], HASH, out, &err));
		assert_false(bkc_name_wal_conflict(SYSID, files[i], HASH, out, &err));
		assert_false(bkc_name_wal_chunks(SYSID, files[i], out, &err));
		assert_false(bkc_name_wal_chunk(SYSID, files[i], 1, 0, out, &err));
		assert_string_equal(out, "");
	}
	for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++)
	{
		assert_false(bkc_name_wal_file(SYSID, SEGMENT ".partial", hashes[i], out, &err));
		assert_false(bkc_name_wal_conflict(SYSID, SEGMENT, hashes[i], out, &err));
	}

	/* a hash where there is none, and none where there is one */
	assert_false(bkc_name_wal_file(SYSID, SEGMENT, HASH, out, &err));
	assert_false(bkc_name_wal_file(SYSID, "00000002.history", HASH, out, &err));
	assert_false(bkc_name_wal_file(SYSID, SEGMENT ".partial", NULL, out, &err));
	assert_false(bkc_name_wal_conflict(SYSID, SEGMENT, NULL, out, &err));
	assert_false(bkc_name_wal_conflict(SYSID, SEGMENT ".partial", HASH, out, &err));
	assert_false(bkc_name_wal_chunks(SYSID, "00000002.history", out, &err));
	assert_false(bkc_name_wal_chunk(SYSID, SEGMENT, 0, 0, out, &err));
	assert_false(bkc_name_wal_chunk(SYSID, SEGMENT, 1, UINT32_C(1) << 30, out, &err));
	assert_true(bkc_name_wal_chunk(SYSID, SEGMENT, 1, (UINT32_C(1) << 30) - 1, out, &err));
	assert_false(bkc_name_wal_file(0, SEGMENT, NULL, out, &err));
	assert_false(bkc_name_wal_chunks(0, SEGMENT, out, &err));
}

/* Chunks sort by generation and offset, segments by number, as bytes. */
static void
names_sort(void **state)
{
	char		a[BKC_NAME_MAX];
	char		b[BKC_NAME_MAX];
	BkcError	err;

	assert_true(bkc_name_wal_chunk(SYSID, SEGMENT, 9, 0x3FFFFFFF, a, &err));
	assert_true(bkc_name_wal_chunk(SYSID, SEGMENT, 10, 0, b, &err));
	assert_true(strcmp(a, b) < 0);
	assert_true(bkc_name_wal_chunk(SYSID, SEGMENT, 10, 0xFFFF, a, &err));
	assert_true(strcmp(b, a) < 0);
	assert_true(bkc_name_owner(SYSID, 99, a, &err) && bkc_name_owner(SYSID, 100, b, &err));
	assert_true(strcmp(a, b) < 0);
}

static void
owners(void **state)
{
	static const char *const bad[] = {
		"", "1", "0000001", "00000000", "000000001", "100000000", "0000000a", "-0000001", "+0000001",
		" 0000001", "0000001 ", "00000001/", "0x000001", NULL
	};
	char		out[BKC_NAME_MAX];
	uint32_t	number = 0;
	BkcError	err;

	assert_true(bkc_name_owner(SYSID, 1, out, &err));
	assert_string_equal(out, "7435718529102938471/owner/00000001");
	assert_true(bkc_name_parse_owner("00000001", &number));
	assert_int_equal(number, 1);
	assert_true(bkc_name_owner(UINT64_MAX, BKC_OWNER_NUMBER_MAX, out, &err));
	assert_string_equal(out, "18446744073709551615/owner/99999999");
	assert_true(bkc_name_parse_owner("99999999", &number));
	assert_int_equal(number, BKC_OWNER_NUMBER_MAX);
	assert_false(bkc_name_owner(SYSID, 0, out, &err));
	assert_string_equal(out, "");
	assert_false(bkc_name_owner(SYSID, BKC_OWNER_NUMBER_MAX + 1, out, &err));
	assert_int_equal(err.code, BKC_ERR_INVALID);
	assert_false(bkc_name_owner(0, 1, out, &err));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		if (bkc_name_parse_owner(bad[i], &number))
			fail_msg("accepted: \"%s\"", bad[i]);
	}
}

/* A folder of chunks tells its segment, and nothing else is one. */
static void
chunk_folders(void **state)
{
	static const char *const bad[] = {
		"", "/", ".chunks/", "000000010000000000000005.chunks/",
		"7/wal/00000001/00000000/000000010000000000000005",
		"7/wal/00000001/00000000/000000010000000000000005/",
		"7/wal/00000001/00000000/000000010000000000000005.chunks",
		"7/wal/00000001/00000000/000000010000000000000005.chunks/x",
		"7/wal/00000001/00000000/00000001000000000000000g.chunks/",
		"7/wal/00000001/00000000/x000000010000000000000005.chunks/",
		"7/wal/00000001/00000000/00000001000000000000005.chunks/",
	};
	char		folder[BKC_NAME_MAX];
	char		segment[BKC_WAL_NAME_MAX];
	BkcError	err;

	assert_true(bkc_name_wal_chunks(SYSID, "0000000A00000001000000FF", folder, &err));
	assert_true(bkc_name_parse_chunks(folder, segment));
	assert_string_equal(segment, "0000000A00000001000000FF");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		if (bkc_name_parse_chunks(bad[i], segment))
			fail_msg("accepted: \"%s\"", bad[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefixes),
		cmocka_unit_test(each_kind_round_trips),
		cmocka_unit_test(refused_names),
		cmocka_unit_test(changed_names),
		cmocka_unit_test(writers_refuse),
		cmocka_unit_test(names_sort),
		cmocka_unit_test(chunk_folders),
		cmocka_unit_test(owners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
