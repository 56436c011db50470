/*
 * golden_wal.c
 *		The WAL of the golden repository (see golden.h).
 *
 * As in golden.c, contents are computed.  Hashes stand here as they were
 * when this was written: a reader and a writer that err together are found out.
 */
#include "golden.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define PAGE		8192
#define IMAGE_SIZE	49152		/* of the open segment, as far as any chunk goes */
#define KIND_WAL	6
#define KIND_CHUNK	7

enum
{
	VARIANT_HISTORY = 10, VARIANT_BACKUP
};

#define SYSID			" \"system_identifier\": \"" GOLDEN_SYSID_TEXT "\","
#define INFO(file, size, sha, time) \
	"{\"pg_backupctl_wal\": 1, \"file\": \"" file "\"," SYSID " \"size\": " size "," \
	" \"sha256\": \"" sha "\", \"time\": \"" time "\""
#define PLACE(timeline, start, end) \
	", \"timeline\": " timeline ", \"wal_segment_size\": 1048576," \
	" \"start_lsn\": \"" start "\", \"end_lsn\": \"" end "\""

#define TIMELINE2		"00000002/00000000/"
#define SEGMENT3		"000000020000000000000003"
#define SEGMENT4		"000000020000000000000004"
#define CHUNK			TIMELINE2 GOLDEN_OPEN ".chunks/"
#define OLDEST			UINT64_C(0x64a1000000000)
#define OLDER			UINT64_C(0x64a2000000000)

static const char backup_history[] =
"START WAL LOCATION: 0/300028 (file 000000020000000000000003)\n"
"STOP WAL LOCATION: 0/3001A8 (file 000000020000000000000003)\n"
"CHECKPOINT LOCATION: 0/300060\nBACKUP METHOD: streamed\nBACKUP FROM: primary\n"
"START TIME: 2026-11-20 12:03:01 GMT\nLABEL: " GOLDEN_LABEL "\nSTART TIMELINE: 2\n"
"STOP TIME: 2026-11-20 12:03:09 GMT\nSTOP TIMELINE: 2\n";

const GoldenWal golden_wal[] = {
	/* PostgreSQL pads it; its end lies in what timeline 2 begins with */
	{"00000001/00000000/000000010000000000000002.partial-e45fb0cbe12af327", KIND_WAL, 3,
		.variant = 1, .size = GOLDEN_MIB, .json =
		INFO("000000010000000000000002.partial", "1048576",
			 "e45fb0cbe12af3278090eb0f98fc8a544ddd58b3df14c3584240e20624f37b6c",
			 "2026-11-20T11:00:00.500000Z")
	PLACE("1", "0/200000", "0/300000") "}"},
	{"00000002.history", KIND_WAL, 3,
		.variant = VARIANT_HISTORY, .size = sizeof(GOLDEN_HISTORY) - 1, .json =
		INFO("00000002.history", "40",
			 "1c2bc210f9758cf4dc7aee18fd0dd9e758a2bb73f6d399aa55ca2700fa108b4d",
	"2026-11-20T11:00:01.000000Z") "}"},

	/* the same as in the backup that holds its own WAL */
	{TIMELINE2 SEGMENT3, KIND_WAL, 1,
		.variant = 0, .size = GOLDEN_MIB, .json =
		INFO(SEGMENT3, "1048576",
			 "d0a4b6a124d96fc7f367aa28604efa423b013f1701a6d4ae5e8c685270ba3dd7",
			 "2026-11-20T12:03:10.000000Z")
	PLACE("2", "0/300000", "0/400000") "}"},
	{TIMELINE2 SEGMENT3 ".00000028.backup", KIND_WAL, 0,
		.variant = VARIANT_BACKUP, .size = sizeof(backup_history) - 1, .json =
		INFO(SEGMENT3 ".00000028.backup", "336",
			 "fc2b43ed2cdf7cf2bb127193e66e6596aef41ff728386e516a6c66bacd4a9ee2",
	"2026-11-20T12:03:11.000000Z") "}"},

	/* disputed twice; the later one counts, though its name sorts first */
	{TIMELINE2 SEGMENT4, KIND_WAL, 2,
		.variant = 2, .size = GOLDEN_MIB, .json =
		INFO(SEGMENT4, "1048576",
			 "958a2deecbca3628d64464aaf8b31410530d29a95a87f7548bc45f05e472ea21",
			 "2026-11-21T00:00:00.000000Z")
	PLACE("2", "0/400000", "0/500000") "}"},
	{TIMELINE2 SEGMENT4 ".conflict-f236f7f4b741333f", KIND_WAL, 3,
		.variant = 4, .size = GOLDEN_MIB, .json =
		INFO(SEGMENT4, "1048576",
			 "f236f7f4b741333fb025001a277ab85e0bde5b412c8096fb2ba43dedb2afd33e",
			 "2026-11-21T18:31:00.000000Z")
		PLACE("2", "0/400000", "0/500000")
	", \"reason\": \"db1 lived on after the \\\"takeover\\\"\", \"resolved_by\": \"ren\xc3\xa9\"}"},
	{TIMELINE2 SEGMENT4 ".conflict-4b88e58bdcd15274", KIND_WAL, 3,
		.variant = 3, .size = GOLDEN_MIB, .json =
		INFO(SEGMENT4, "1048576",
			 "4b88e58bdcd15274ad51e49dce9f63c7bcc3443360963b46645b7274652eeb16",
			 "2026-11-21T18:31:00.000001Z")
		PLACE("2", "0/400000", "0/500000")
	", \"reason_hex\": \"636166e9\", \"resolved_by\": \"postgres\"}"},

	/* reaches farthest, but a crash made other bytes of what it holds */
	{CHUNK "00064a1000000000-00000000", KIND_CHUNK, 3,
		.variant = 1, .generation = OLDEST, .size = IMAGE_SIZE, .json =
		INFO(GOLDEN_OPEN, "49152",
			 "8b1396d316977c1ba7a433ddc3b56b079efc7327147b87b7b21357b6d42cf8ae",
			 "2026-11-22T09:00:05.000000Z")
	PLACE("2", "0/500000", "0/50C000") "}"},

	/* agrees with the newest; what is behind its gap does not exist */
	{CHUNK "00064a2000000000-00000000", KIND_CHUNK, 1,
		.generation = OLDER, .size = PAGE, .json =
		INFO(GOLDEN_OPEN, "8192",
			 "e888350b927f1854503c3b3de3e51703f1cbf1f47dc123cc5d119b3d494efb5c",
			 "2026-11-22T09:00:10.000000Z")
	PLACE("2", "0/500000", "0/502000") "}"},
	{CHUNK "00064a2000000000-00002000", KIND_CHUNK, 2,
		.generation = OLDER, .offset = PAGE, .size = 2 * PAGE, .json =
		INFO(GOLDEN_OPEN, "16384",
			 "09257e5e7757348318f5ed7b4aa46494b50e2c037f02531ee0de3b4441f5fcb2",
			 "2026-11-22T09:00:15.000000Z")
	PLACE("2", "0/502000", "0/506000") "}"},
	{CHUNK "00064a2000000000-00006000", KIND_CHUNK, 0,
		.generation = OLDER, .offset = 3 * PAGE, .size = GOLDEN_OPEN_SIZE - 3 * PAGE, .json =
		INFO(GOLDEN_OPEN, "300",
			 "cb562f591d7317aaf80b68b9638059ea6df90f93a93731485e7a0761c21682cc",
			 GOLDEN_OPEN_TIME)
	PLACE("2", "0/506000", "0/50612C") "}"},
	{CHUNK "00064a2000000000-00008000", KIND_CHUNK, 3,
		.generation = OLDER, .offset = 4 * PAGE, .size = PAGE, .json =
		INFO(GOLDEN_OPEN, "8192",
			 "2224cc8d984749eea8155629b33bed877ebc4139708692deddee1932496c8277",
			 "2026-11-22T09:00:40.000000Z")
	PLACE("2", "0/508000", "0/50A000") "}"},
	{CHUNK "00064a2000000001-00000000", KIND_CHUNK, 3,
		.generation = OLDER + 1, .size = 2 * PAGE, .json =
		INFO(GOLDEN_OPEN, "16384",
			 "3e7e76404c7590bd201225fa28a994864cbd09922827525169ddbb06f4dadebd",
			 "2026-11-22T09:00:18.000000Z")
	PLACE("2", "0/500000", "0/504000") "}"},
};

const size_t golden_nwal = sizeof(golden_wal) / sizeof(golden_wal[0]);

/* ---- contents ---- */

static void
fill_words(uint8_t *p, size_t len, int variant)
{
	static const char words[] = "insert into t values (1), (2), (3); commit; ";

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t) words[(i * (size_t) (variant + 1)) % (sizeof(words) - 1)];
}

/* The header of a page (PostgreSQL 15), the long one where a segment begins. */
static void
put_page_header(uint8_t *p, uint32_t timeline, uint64_t address)
{
	bool		first = address % GOLDEN_MIB == 0;

	bkc_put_u16(p, 0xD110);
	bkc_put_u16(p + 2, first ? 2 : 0);
	bkc_put_u32(p + 4, timeline);
	bkc_put_u64(p + 8, address);
	if (!first)
		return;
	bkc_put_u64(p + 24, GOLDEN_SYSID);
	bkc_put_u32(p + 32, GOLDEN_MIB);
	bkc_put_u32(p + 36, PAGE);
}

static void
fill_segment(uint8_t *p, uint32_t timeline, uint64_t address, int variant)
{
	memset(p, 0, GOLDEN_MIB);
	put_page_header(p, timeline, address);
	fill_words(p + 40, 400, variant);
}

/* The open segment; in variant 1 an unfinished record goes on to the second page. */
static void
fill_image(uint8_t *p, int variant)
{
	uint32_t	x = 1;

	memset(p, 0, IMAGE_SIZE);
	for (size_t at = 0; at < IMAGE_SIZE; at += PAGE)
	{
		put_page_header(p + at, 2, 5 * GOLDEN_MIB + at);
		fill_words(p + at + 40, 400, at == PAGE ? variant : 0);
	}
	for (size_t i = 3 * PAGE + 24; i < GOLDEN_OPEN_SIZE; i++)
	{
		x = x * 1664525 + 1013904223;
		p[i] = (uint8_t) (x >> 24);
	}
}

static const GoldenEntry *
segment_of_backup(void)
{
	for (size_t i = 0;; i++)
	{
		if (strcmp(golden_entry(i)->path, SEGMENT3) == 0)
			return golden_entry(i);
	}
}

uint8_t *
golden_wal_content(const GoldenWal *object)
{
	uint8_t		image[IMAGE_SIZE];
	uint8_t    *p;

	if (object->variant == 0 && object->kind == KIND_WAL)
		return golden_content(segment_of_backup());
	p = malloc(object->size);
	if (p == NULL)
		return NULL;
	if (object->kind == KIND_CHUNK)
	{
		fill_image(image, object->variant);
		memcpy(p, image + object->offset, object->size);
	}
	else if (object->variant == VARIANT_HISTORY)
		memcpy(p, GOLDEN_HISTORY, object->size);
	else if (object->variant == VARIANT_BACKUP)
		memcpy(p, backup_history, object->size);
	else if (object->variant == 1)
		fill_segment(p, 1, 2 * GOLDEN_MIB, 1);
	else
		fill_segment(p, 2, 4 * GOLDEN_MIB, object->variant);
	return p;
}

void
golden_open_segment(uint8_t out[GOLDEN_OPEN_SIZE])
{
	uint8_t		image[IMAGE_SIZE];

	fill_image(image, 0);
	memcpy(out, image, GOLDEN_OPEN_SIZE);
}
