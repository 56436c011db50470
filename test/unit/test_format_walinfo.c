/*
 * test_format_walinfo.c
 *		The info frame of WAL objects: round trips, and everything that does
 *		not fit together.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "format/names.h"
#include "format/walinfo.h"

#define MB		(UINT32_C(1024) * 1024)
#define SYSID	UINT64_C(7435718529102938471)
#define TIME	INT64_C(1795176181123456)
#define OTHER	"fedcba9876543210"	/* a hash that no sample has */

static const uint32_t sizes[] = {MB, 16 * MB, 64 * MB, 1024 * MB};

#define NSIZES (sizeof(sizes) / sizeof(sizes[0]))

/* A part of that segment. */
static BkcWalInfo
place(uint64_t segno, uint32_t segment_size, uint32_t offset, uint32_t len)
{
	BkcWalInfo	info = {.system_identifier = SYSID, .size = len, .time = TIME, .timeline = 3,
	.segment_size = segment_size};

	bkc_wal_segment_name(3, segno, segment_size, info.file);
	info.start_lsn = segno * segment_size + offset;
	info.end_lsn = info.start_lsn + len;
	for (int i = 0; i < BKC_SHA256_SIZE; i++)
		info.sha256[i] = (uint8_t) (0xA0 + i);
	return info;
}

static BkcWalInfo
other_file(const char *file)
{
	BkcWalInfo	info = {.system_identifier = SYSID, .size = 41, .time = TIME};

	memcpy(info.file, file, strlen(file) + 1);
	memset(info.sha256, 0x5C, BKC_SHA256_SIZE);
	return info;
}

static void
make_partial(BkcWalInfo *info)
{
	memcpy(info->file + 24, ".partial", sizeof(".partial"));
}

static void
resolve(BkcWalInfo *info)
{
	memcpy(info->reason, "old primary \"db1\" lived on", sizeof("old primary \"db1\" lived on"));
	memcpy(info->by, "alice", sizeof("alice"));
}

/* The name that fits the info; chunks only where it is no whole segment, in generation 5. */
static void
name_of(const BkcWalInfo *info, char name[BKC_NAME_MAX])
{
	char		hash[2 * BKC_SHA256_SIZE + 1];
	BkcError	err;
	bool		ok;

	bkc_hex_encode(info->sha256, BKC_SHA256_SIZE, hash);
	hash[BKC_WAL_HASH_DIGITS] = '\0';
	if (info->reason[0] != '\0')
		ok = bkc_name_wal_conflict(SYSID, info->file, hash, name, &err);
	else if (bkc_wal_is_segment(info->file) && info->size != info->segment_size)
		ok = bkc_name_wal_chunk(SYSID, info->file, 5,
								(uint32_t) (info->start_lsn % info->segment_size), name, &err);
	else
		ok = bkc_name_wal_file(SYSID, info->file, bkc_wal_is_partial(info->file) ? hash : NULL,
							   name, &err);
	if (!ok)
		fail_msg("%s", err.message);
}

static void
assert_same(const BkcWalInfo *a, const BkcWalInfo *b)
{
	assert_string_equal(a->file, b->file);
	assert_true(a->system_identifier == b->system_identifier && a->size == b->size);
	assert_memory_equal(a->sha256, b->sha256, BKC_SHA256_SIZE);
	assert_true(a->time == b->time);
	assert_int_equal(a->timeline, b->timeline);
	assert_int_equal(a->segment_size, b->segment_size);
	assert_true(a->start_lsn == b->start_lsn && a->end_lsn == b->end_lsn);
	assert_string_equal(a->reason, b->reason);
	assert_string_equal(a->by, b->by);
}

static bool
decode(const BkcBuffer *text, const char *name, BkcWalInfo *info, BkcError *err)
{
	char	   *copy = malloc(text->len);	/* so that a read beyond it is noticed */
	bool		ok;

	assert_non_null(copy);
	memcpy(copy, text->data, text->len);
	ok = bkc_walinfo_decode(copy, text->len, name, false, info, err);
	free(copy);
	return ok;
}

static void
round_trip(const BkcWalInfo *info)
{
	char		name[BKC_NAME_MAX];
	BkcBuffer	out = {0};
	BkcWalInfo	back;
	BkcError	err;

	name_of(info, name);
	if (!bkc_walinfo_encode(info, &out, &err) || !decode(&out, name, &back, &err))
		fail_msg("%s: %s", name, err.message);
	assert_same(info, &back);
	bkc_buffer_free(&out);
}

static void
text_is_as_documented(void **state)
{
	BkcWalInfo	info = place(0x17002C, MB, 0, MB);
	BkcBuffer	out = {0};
	BkcError	err;

	assert_true(bkc_walinfo_encode(&info, &out, &err));
	assert_string_equal(bkc_buffer_str(&out),
						"{\"pg_backupctl_wal\":1,\"file\":\"00000003000001700000002C\","
						"\"system_identifier\":\"7435718529102938471\",\"size\":1048576,\"sha256\":"
						"\"a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf\","
						"\"time\":\"2026-11-20T12:03:01.123456Z\",\"timeline\":3,"
						"\"wal_segment_size\":1048576,\"start_lsn\":\"170/2C00000\","
						"\"end_lsn\":\"170/2D00000\"}");
	info = other_file("00000002.history");
	resolve(&info);
	bkc_buffer_reset(&out);
	assert_true(bkc_walinfo_encode(&info, &out, &err));
	assert_string_equal(bkc_buffer_str(&out),
						"{\"pg_backupctl_wal\":1,\"file\":\"00000002.history\","
						"\"system_identifier\":\"7435718529102938471\",\"size\":41,\"sha256\":"
						"\"5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c\","
						"\"time\":\"2026-11-20T12:03:01.123456Z\","
						"\"reason\":\"old primary \\\"db1\\\" lived on\",\"resolved_by\":\"alice\"}");
	bkc_buffer_free(&out);
}

/* Every kind of object, at every segment size, first and last segment there can be. */
static void
round_trips(void **state)
{
	static const char *const others[] = {
		"00000001.history", "FFFFFFFF.history", "000000030000017000000001.00000028.backup"
	};

	for (size_t s = 0; s < NSIZES; s++)
	{
		/* the end of the last segment but one is the last that fits into an LSN */
		const uint64_t last = UINT64_MAX / sizes[s] - 1;
		const uint64_t segnos[] = {0, 1, (UINT64_C(1) << 32) / sizes[s], last};

		for (size_t i = 0; i < sizeof(segnos) / sizeof(segnos[0]); i++)
		{
			BkcWalInfo	info = place(segnos[i], sizes[s], 0, sizes[s]);

			round_trip(&info);
			resolve(&info);
			round_trip(&info);
			info = place(segnos[i], sizes[s], 0, sizes[s]);
			make_partial(&info);
			round_trip(&info);
			info = place(segnos[i], sizes[s], 0, 1);
			round_trip(&info);
			info = place(segnos[i], sizes[s], 0, sizes[s] - 1);
			round_trip(&info);
			info = place(segnos[i], sizes[s], sizes[s] - 1, 1);
			round_trip(&info);
			info = place(segnos[i], sizes[s], 8192, 24576);
			round_trip(&info);
		}
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
	{
		BkcWalInfo	info = other_file(others[i]);

		round_trip(&info);
		resolve(&info);
		round_trip(&info);
	}
}

/* A chunk may be all of a segment: then it has another name than the segment. */
static void
a_chunk_may_be_whole(void **state)
{
	BkcWalInfo	info = place(7, MB, 0, MB);
	BkcWalInfo	back;
	char		name[BKC_NAME_MAX];
	BkcBuffer	out = {0};
	BkcError	err;

	assert_true(bkc_name_wal_chunk(SYSID, info.file, 5, 0, name, &err));
	assert_true(bkc_walinfo_encode(&info, &out, &err));
	assert_true(decode(&out, name, &back, &err));
	assert_same(&info, &back);
	bkc_buffer_free(&out);
}

/* The longest texts, and bytes that are not UTF-8. */
static void
any_reason_survives(void **state)
{
	BkcWalInfo	info = place(7, MB, 0, MB);

	memset(info.reason, 'x', sizeof(info.reason) - 1);
	memset(info.by, 0xFF, sizeof(info.by) - 1);
	round_trip(&info);
}

/* ---- what is refused ---- */

/* The change makes encoding fail, naming the field; written all the same, decoding fails, too. */
static void
refuse_info(const BkcWalInfo *info, const char *field)
{
	char		expected[64];
	BkcBuffer	out = {0};
	BkcError	err;

	bkc_error_clear(&err);
	if (bkc_walinfo_encode(info, &out, &err))
		fail_msg("accepted: %s", bkc_buffer_str(&out));
	assert_int_equal(err.code, BKC_ERR_INVALID);
	snprintf(expected, sizeof(expected), "\"%s\"", field);
	if (strstr(err.message, expected) == NULL)
		fail_msg("%s is not: %s", field, err.message);
	assert_int_equal(out.len, 0);
	bkc_buffer_free(&out);
}

static void
encode_refuses(void **state)
{
	const BkcWalInfo good = place(7, 16 * MB, 0, 16 * MB);
	BkcWalInfo	info;

#define CHANGED(change, field) info = good; change; refuse_info(&info, field)
	CHANGED(info.system_identifier = 0, "system_identifier");
	CHANGED(info.file[0] = '\0', "file");
	CHANGED(memcpy(info.file, "backup_label", 13), "file");
	CHANGED(memcpy(info.file, "00000000", 8), "file");
	CHANGED(memcpy(info.file, "00000000.history", 17), "file");
	CHANGED(info.size = 0, "size");
	CHANGED(info.size++, "size");
	CHANGED(info.size = UINT64_MAX, "size");
	CHANGED(info.size--, "end_lsn");
	CHANGED(info.time = -1, "time");
	CHANGED(info.timeline = 0, "timeline");
	CHANGED(info.timeline = 4, "timeline");
	CHANGED(info.segment_size = 0, "wal_segment_size");
	CHANGED(info.segment_size--, "wal_segment_size");
	CHANGED(info.segment_size = MB / 2, "wal_segment_size");
	CHANGED(info.segment_size = UINT32_C(1) << 31, "wal_segment_size");
	CHANGED(info.segment_size = 1024 * MB, "wal_segment_size"); /* it has no segment 7 in a log */
	CHANGED(info.segment_size = 8 * MB, "size");
	CHANGED(info.segment_size = 32 * MB, "start_lsn");
	CHANGED(info.start_lsn++, "start_lsn");
	CHANGED(info.start_lsn--, "start_lsn");
	CHANGED(info.start_lsn = 0, "start_lsn");
	CHANGED(info.start_lsn = UINT64_MAX, "start_lsn");
	CHANGED(info.end_lsn++, "end_lsn");
	CHANGED(info.end_lsn--, "end_lsn");
	CHANGED(info.end_lsn = 0, "end_lsn");
	CHANGED(info.reason[0] = 'x', "reason");
	CHANGED(info.by[0] = 'x', "reason");
	CHANGED((resolve(&info), make_partial(&info)), "reason");
	CHANGED((make_partial(&info), info.size--, info.end_lsn--), "size");

	/* the last segment there could be ends behind the last LSN */
	info = place(UINT64_MAX / MB, MB, 0, MB);
	refuse_info(&info, "end_lsn");

	/* files without a place in the WAL */
	info = other_file("00000002.history");
	info.timeline = 2;
	refuse_info(&info, "timeline");
	info = other_file("00000002.history");
	info.segment_size = 16 * MB;
	refuse_info(&info, "timeline");
	info = other_file("000000030000017000000001.00000028.backup");
	info.end_lsn = 41;
	refuse_info(&info, "timeline");
	info = other_file("00000002.history");
	info.size = (UINT64_C(1) << 53) + 1;
	refuse_info(&info, "size");
}

/* Texts without an end. */
static void
endless_arrays(void **state)
{
	BkcWalInfo	info = place(7, MB, 0, MB);
	BkcBuffer	out = {0};
	BkcError	err;

	memset(info.file, '0', sizeof(info.file));
	assert_false(bkc_walinfo_encode(&info, &out, &err));
	assert_int_equal(err.code, BKC_ERR_INVALID);
	info = place(7, MB, 0, MB);
	resolve(&info);
	memset(info.reason, 'x', sizeof(info.reason));
	assert_false(bkc_walinfo_encode(&info, &out, &err));
	info.reason[5] = '\0';
	memset(info.by, 'x', sizeof(info.by));
	assert_false(bkc_walinfo_encode(&info, &out, &err));
	assert_int_equal(out.len, 0);
	bkc_buffer_free(&out);
}

/* The right text under a wrong name. */
static void
names_must_fit(void **state)
{
#define ROOT	"7435718529102938471/wal/"
#define LOG		ROOT "00000003/00000000/"
#define HASH	"a0a1a2a3a4a5a6a7"
	static const struct
	{
		int			what;		/* 0 segment, 1 chunk, 2 partial, 3 resolved, 4 history */
		const char *name;
		const char *field;		/* NULL: it fits */
	}			cases[] = {
		{0, LOG "000000030000000000000007", NULL},
		{0, "7435718529102938472/wal/00000003/00000000/000000030000000000000007",
		"system_identifier"},
		{0, "743571852910293847/wal/00000003/00000000/000000030000000000000007",
		"system_identifier"},
		{0, LOG "000000030000000000000008", "file"},
		{0, ROOT "00000004/00000000/000000040000000000000007", "file"},
		{0, LOG "000000030000000000000007.chunks/0000000000000005-00000000", NULL},
		{0, LOG "000000030000000000000007.chunks/0000000000000005-00000001", "start_lsn"},
		{0, LOG "000000030000000000000007.conflict-" HASH, "reason"},
		{0, LOG "000000030000000000000007.partial-" HASH, "file"},
		{0, ROOT "00000003.history", "timeline"},
		{1, LOG "000000030000000000000007.chunks/0000000000000001-00002000", NULL},
		{1, LOG "000000030000000000000007.chunks/0000000000000001-00001fff", "start_lsn"},
		{1, LOG "000000030000000000000007.chunks/0000000000000001-00002001", "start_lsn"},
		{1, LOG "000000030000000000000008.chunks/0000000000000001-00002000", "file"},
		{1, LOG "000000030000000000000007", "start_lsn"},
		{2, LOG "000000030000000000000007.partial-" HASH, NULL},
		{2, LOG "000000030000000000000007.partial-" OTHER, "sha256"},
		{2, LOG "000000030000000000000008.partial-" HASH, "file"},
		{2, LOG "000000030000000000000007", "file"},
		{3, LOG "000000030000000000000007.conflict-" HASH, NULL},
		{3, LOG "000000030000000000000007.conflict-" OTHER, "sha256"},
		{3, LOG "000000030000000000000007", "reason"},
		{3, LOG "000000030000000000000007.chunks/0000000000000005-00000000", "reason"},
		{4, ROOT "00000002.history", NULL},
		{4, ROOT "00000003.history", "file"},
		{4, ROOT "00000002.history.conflict-5c5c5c5c5c5c5c5c", "reason"},
		{4, LOG "000000030000000000000007", "timeline"},
		{4, LOG "000000030000000000000007.00000028.backup", "file"},
	};
	BkcWalInfo	infos[5];
	BkcWalInfo	back;
	BkcBuffer	out = {0};
	BkcError	err;

	infos[0] = place(7, 16 * MB, 0, 16 * MB);
	infos[1] = place(7, 16 * MB, 8192, 1000);
	infos[2] = infos[0];
	make_partial(&infos[2]);
	infos[3] = infos[0];
	resolve(&infos[3]);
	infos[4] = other_file("00000002.history");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		bool		ok;

		bkc_buffer_reset(&out);
		bkc_error_clear(&err);
		assert_true(bkc_walinfo_encode(&infos[cases[i].what], &out, &err));
		ok = decode(&out, cases[i].name, &back, &err);
		if (cases[i].field == NULL && !ok)
			fail_msg("case %zu: %s", i, err.message);
		if (cases[i].field != NULL && (ok || strstr(err.message, cases[i].field) == NULL))
			fail_msg("case %zu: %s", i, ok ? "accepted" : err.message);
		if (!ok)
			assert_int_equal(err.code, BKC_ERR_CORRUPT);
	}
	assert_false(bkc_walinfo_decode("{}", 2, "1/cluster", false, &back, &err));
	assert_int_equal(err.code, BKC_ERR_INVALID);
	bkc_buffer_free(&out);
}

#define SEGMENT_NAME	LOG "000000030000000000000007"
#define SHA		"'a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf'"
#define FILE1	"'file':'000000030000000000000007',"
#define SYS		"'system_identifier':'7435718529102938471',"
#define HEAD	"{'pg_backupctl_wal':1," FILE1 SYS
#define WHEN	"'time':'2026-11-20T12:03:01.000000Z',"
#define PLACE	"'timeline':3,'wal_segment_size':1048576,'start_lsn':'0/700000','end_lsn':'0/800000'}"
#define SIZE	"'size':1048576,"

/* Texts that nobody writes; ' stands for ". */
static void
hostile_texts(void **state)
{
	static const struct
	{
		const char *text;
		BkcErrorCode code;
		const char *message;
	}			cases[] = {
		{HEAD SIZE "'sha256':" SHA "," WHEN PLACE, BKC_OK, NULL},
		{"", BKC_ERR_CORRUPT, "not valid JSON"},
		{"[]", BKC_ERR_CORRUPT, "not a JSON object"},
		{"{}", BKC_ERR_CORRUPT, "'pg_backupctl_wal' is missing"},
		{"{'pg_backupctl_wal':2}", BKC_ERR_UNSUPPORTED, "version 2"},
		{"{'pg_backupctl_wal':0}", BKC_ERR_CORRUPT, "out of range"},
		{"{'pg_backupctl_wal':'1'}", BKC_ERR_CORRUPT, "not an integer"},
		{"{'pg_backupctl_wal':1}", BKC_ERR_CORRUPT, "'file' is missing"},
		{"{'pg_backupctl_wal':1,'file':7}", BKC_ERR_CORRUPT, "'file' is not a string"},
		{"{'pg_backupctl_wal':1,'file':'00000000000000000000000000000000000000000000000000000000"
		"00000000'}", BKC_ERR_CORRUPT, "'file' is too long"},
		{HEAD "'size':0,'sha256':" SHA "," WHEN PLACE, BKC_ERR_CORRUPT, "'size' has a value"},
		{HEAD "'size':-1,'sha256':" SHA "," WHEN PLACE, BKC_ERR_CORRUPT, "'size' is out of range"},
		{HEAD "'size':1.5,'sha256':" SHA "," WHEN PLACE, BKC_ERR_CORRUPT, "'size' is not an"},
		{HEAD "'size':9007199254740993,'sha256':" SHA "," WHEN PLACE, BKC_ERR_CORRUPT, "range"},
		{HEAD "'size':1048575,'sha256':" SHA "," WHEN PLACE, BKC_ERR_CORRUPT, "'end_lsn' has a"},
		{HEAD "'size':1048575,'sha256':" SHA "," WHEN "'timeline':3,'wal_segment_size':1048576,"
		"'start_lsn':'0/700000','end_lsn':'0/7FFFFF'}", BKC_ERR_CORRUPT, "'size' does not fit"},
		{HEAD SIZE "'sha256':'a0'," WHEN PLACE, BKC_ERR_CORRUPT, "'sha256' is not 64"},
		{HEAD SIZE "'sha256':'A0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf',"
		WHEN PLACE, BKC_ERR_CORRUPT, "'sha256' is not 64"},
		{HEAD SIZE "'sha256':" SHA ",'time':'now'," PLACE, BKC_ERR_CORRUPT, "'time' is not a time"},
		{HEAD SIZE "'sha256':" SHA ",'time':'1969-12-31T23:59:59.999999Z'," PLACE,
		BKC_ERR_CORRUPT, "'time' has a value"},
		{HEAD SIZE "'sha256':" SHA "," WHEN "'x':1," PLACE, BKC_ERR_CORRUPT, "field 'x'"},
		{HEAD SIZE "'sha256':" SHA "," WHEN "'reason':'x'," PLACE, BKC_ERR_CORRUPT,
		"field 'reason'"},
		{HEAD SIZE "'sha256':" SHA "," WHEN "'resolved_by':''," PLACE, BKC_ERR_CORRUPT,
		"field 'resolved_by'"},
		{HEAD SIZE "'sha256':" SHA "," WHEN "'timeline':3,'wal_segment_size':1048576,"
		"'start_lsn':'0/700000'}", BKC_ERR_CORRUPT, "'end_lsn' is missing"},
		{HEAD SIZE "'sha256':" SHA "," WHEN "'wal_segment_size':1048576,"
		"'start_lsn':'0/700000','end_lsn':'0/800000'}", BKC_ERR_CORRUPT, "'timeline' is missing"},
		{HEAD SIZE "'sha256':" SHA "," WHEN "'timeline':4294967299,'wal_segment_size':1048576,"
		"'start_lsn':'0/700000','end_lsn':'0/800000'}", BKC_ERR_CORRUPT, "'timeline' is out of"},
		{HEAD SIZE "'sha256':" SHA "," WHEN "'timeline':3,'wal_segment_size':1048577,"
		"'start_lsn':'0/700000','end_lsn':'0/800000'}", BKC_ERR_CORRUPT, "'wal_segment_size' has"},
		{HEAD SIZE "'sha256':" SHA "," WHEN "'timeline':3,'wal_segment_size':1048576,"
		"'start_lsn':'FFFFFFFF/FFFFFFFF','end_lsn':'0/FFFFF'}", BKC_ERR_CORRUPT, "'start_lsn' has"},
		{HEAD SIZE "'sha256':" SHA "," WHEN "'timeline':3,'wal_segment_size':1048576,"
		"'start_lsn':'7340032','end_lsn':'0/800000'}", BKC_ERR_CORRUPT, "'start_lsn' is not an LSN"},
		{"{'pg_backupctl_wal':1," FILE1 "'system_identifier':'1'," SIZE "'sha256':" SHA ","
		WHEN PLACE, BKC_ERR_CORRUPT, "'system_identifier' does not fit"},
	};
	BkcWalInfo	info;
	BkcError	err;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		BkcBuffer	text = {0};
		bool		ok;

		bkc_error_clear(&err);
		assert_true(bkc_buffer_append_str(&text, cases[i].text, &err));
		for (size_t c = 0; c < text.len; c++)
			text.data[c] = text.data[c] == '\'' ? '"' : text.data[c];
		ok = bkc_walinfo_decode(bkc_buffer_str(&text), text.len, SEGMENT_NAME, false, &info, &err);
		bkc_buffer_free(&text);
		if (ok != (cases[i].code == BKC_OK))
			fail_msg("case %zu: %s", i, ok ? "accepted" : err.message);
		if (ok)
			continue;
		for (char *c = err.message; *c != '\0'; c++)
			*c = *c == '"' ? '\'' : *c;
		if (err.code != cases[i].code || strstr(err.message, cases[i].message) == NULL)
			fail_msg("case %zu: %s: %s", i, bkc_error_code_name(err.code), err.message);
		assert_non_null(strstr(err.message, "object '" SEGMENT_NAME "'"));
	}
}

/* A conflict object tells who and why. */
static void
conflicts_tell_why(void **state)
{
	BkcWalInfo	info = place(7, 16 * MB, 0, 16 * MB);
	BkcBuffer	out = {0};
	BkcError	err;

	assert_true(bkc_walinfo_encode(&info, &out, &err));
	assert_false(decode(&out, LOG "000000030000000000000007.conflict-" HASH, &info, &err));
	assert_non_null(strstr(err.message, "\"reason\" is missing"));
	out.len--;
	assert_true(bkc_buffer_append_str(&out, ",\"reason\":\"x\"}", &err));
	assert_false(decode(&out, LOG "000000030000000000000007.conflict-" HASH, &info, &err));
	assert_non_null(strstr(err.message, "\"resolved_by\" is missing"));
	out.len--;
	assert_true(bkc_buffer_append_str(&out, ",\"resolved_by\":\"\"}", &err));
	assert_false(decode(&out, LOG "000000030000000000000007.conflict-" HASH, &info, &err));
	assert_non_null(strstr(err.message, "\"reason\" has a value"));
	bkc_buffer_free(&out);
}

/*
 * Each changed byte and each cut: refused, or what comes out is possible (the
 * frame that the text is stored in has a digest, so this only must not crash).
 */
static void
changed_texts(void **state)
{
	BkcWalInfo	info = place(7, MB, 4096, 4096);
	BkcWalInfo	back;
	char		name[BKC_NAME_MAX];
	BkcBuffer	out = {0};
	BkcError	err;

	name_of(&info, name);
	assert_true(bkc_walinfo_encode(&info, &out, &err));
	for (size_t bit = 0; bit < out.len * 8; bit++)
	{
		out.data[bit / 8] ^= (uint8_t) (1 << bit % 8);
		if (decode(&out, name, &back, &err))
		{
			/* only hash and time may differ from what the name says */
			memcpy(back.sha256, info.sha256, BKC_SHA256_SIZE);
			back.time = info.time;
			if (back.size != info.size)
				assert_true(back.end_lsn == back.start_lsn + back.size);
			else
				assert_same(&info, &back);
		}
		out.data[bit / 8] ^= (uint8_t) (1 << bit % 8);
	}
	for (; out.len > 0; out.len--)
		assert_int_equal(decode(&out, name, &back, &err), out.data[out.len - 1] == '}');
	bkc_buffer_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_as_documented),
		cmocka_unit_test(round_trips),
		cmocka_unit_test(a_chunk_may_be_whole),
		cmocka_unit_test(any_reason_survives),
		cmocka_unit_test(encode_refuses),
		cmocka_unit_test(endless_arrays),
		cmocka_unit_test(names_must_fit),
		cmocka_unit_test(hostile_texts),
		cmocka_unit_test(conflicts_tell_why),
		cmocka_unit_test(changed_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
