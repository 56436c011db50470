/*
 * golden.c
 *		What the golden repository holds (see golden.h).
 *
 * Contents are computed, not stored beside the repository, so that a reader
 * that gives wrong bytes cannot be right by reading the wrong bytes twice.
 */
#include "golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "format/pgfiles.h"

#define PAGE			8192
#define SEGMENT			GOLDEN_MIB	/* of WAL */
#define TEXT(t)			.data = GOLDEN_TEXT, .size = sizeof(t) - 1, .text = t
#define FILLED(d, n)	.data = d, .size = n
#define TIME			1795176000	/* 2026-11-20 12:00:00 */
#define CATALOG			"PG_15_202209061"

/* none, gzip, lz4 and zstd for data; zstd for worker 0, which stores what is not data */
const uint8_t golden_codecs[GOLDEN_WORKERS] = {3, 0, 1, 2, 3};

#define FILE_OF(n)		.type = "file", .mode = 0600, .mtime = TIME, .worker = n
#define FOLDER			.type = "dir", .mode = 0700, .mtime = TIME

static const GoldenEntry golden_entries[] = {
	{"pgdata", "PG_VERSION", FILE_OF(1), TEXT("15\n")},
	{"pgdata", "base", FOLDER},
	{"pgdata", "base/5", FOLDER},
	{"pgdata", "global", FOLDER},
	{"pgdata", "pg_tblspc", FOLDER},
	{"pgdata", "pg_tblspc/16386", FOLDER},
	{"pgdata", "pg_wal", .type = "dir", .mode = 0750, .mtime = -1},

	/* none */
	{"pgdata", "base/5/PG_VERSION", FILE_OF(1), TEXT("15\n")},
	{"pgdata", "base/5/empty", FILE_OF(1), TEXT("")},
	{"pgdata", "base/5/caf\xe9.txt", .type = "file", .mode = 0640, .mtime = TIME, .worker = 1,
	TEXT("a name that is not UTF-8\n")},
	{"pgdata", "base/5/\"quoted\\\"\n\x01\x7f \xc3\xa4\xf0\x9f\x90\x98", FILE_OF(1),
	TEXT("a name that JSON has to escape\n")},
	{"pgdata", "base/5/1", FILE_OF(1), TEXT("x")},
	{"pgdata", "base/5/1249", FILE_OF(1), FILLED(GOLDEN_NOISE, 300)},

	/* gzip */
	{"pgdata", "base/5/1259", FILE_OF(2), FILLED(GOLDEN_PAGES, 4 * PAGE)},
	{"pgdata", "base/5/1260", FILE_OF(2), FILLED(GOLDEN_NOISE, 700)},
	{"tablespace/16385", CATALOG, FOLDER},
	{"tablespace/16385", CATALOG "/5", FOLDER},
	{"tablespace/16385", CATALOG "/5/24576", FILE_OF(2), FILLED(GOLDEN_WORDS, 20000)},

	/* lz4 */
	{"pgdata", "base/5/16384", FILE_OF(3), FILLED(GOLDEN_PAGES, 3 * PAGE), .bad_blocks = {1},
	.nbad_blocks = 1},
	{"pgdata", "base/5/16384.1", FILE_OF(3), FILLED(GOLDEN_PAGES, 2 * PAGE),
	.bad_blocks = {131072, 131073}, .nbad_blocks = 2},
	{"pgdata", "base/5/2601", FILE_OF(3), FILLED(GOLDEN_NOISE, 500)},
	{"pgdata", "pg_tblspc/16386/" CATALOG, FOLDER},
	{"pgdata", "pg_tblspc/16386/" CATALOG "/5", FOLDER},
	{"pgdata", "pg_tblspc/16386/" CATALOG "/5/24577", FILE_OF(3), FILLED(GOLDEN_WORDS, 10001)},

	/* zstd; the first file fills a pack with each of its frames */
	{"pgdata", "base/5/24580", FILE_OF(4), FILLED(GOLDEN_SPAN, 2 * GOLDEN_MIB + 5)},
	{"pgdata", "base/5/24581", FILE_OF(4), FILLED(GOLDEN_WORDS, GOLDEN_MIB - 1)},
	{"pgdata", "base/5/24582", FILE_OF(4), FILLED(GOLDEN_WORDS, GOLDEN_MIB + 1)},
	{"pgdata", "base/5/24583", FILE_OF(4), FILLED(GOLDEN_NOISE, 900)},

	/* what is not data */
	{"pgdata", "global/pg_control", FILE_OF(0), FILLED(GOLDEN_CONTROL, PAGE)},
	{"config", "etc/postgresql/15/golden/postgresql.conf", .type = "file", .mode = 0644,
	.mtime = TIME, .worker = 0, TEXT("port = 5433\ncluster_name = 'golden'\n")},
	{"config", "etc/postgresql/15/golden/pg_hba.conf", FILE_OF(0),
	TEXT("local all all peer\n")},
	{"wal", "000000020000000000000003", FILE_OF(0), FILLED(GOLDEN_WAL, SEGMENT)},
	{"wal", "00000002.history", FILE_OF(0),
	TEXT(GOLDEN_HISTORY)},
};

#define TABLE_SIZE	(sizeof(golden_entries) / sizeof(golden_entries[0]))

const size_t golden_nentries = TABLE_SIZE + GOLDEN_EMPTY_FILES;

const GoldenEntry *
golden_entry(size_t i)
{
	static char path[32];
	static GoldenEntry entry = {"pgdata", path, FILE_OF(1), TEXT("")};

	if (i < TABLE_SIZE)
		return &golden_entries[i];
	snprintf(path, sizeof(path), "base/5/%zu", 100000 + i);
	return &entry;
}

static const GoldenEntry archived_entries[] = {
	{"pgdata", "PG_VERSION", FILE_OF(0), TEXT("15\n")},
	{"pgdata", "pg_wal", FOLDER},
	{"wal", "00000002.history", FILE_OF(0), TEXT(GOLDEN_HISTORY)},
};

const size_t golden_narchived = sizeof(archived_entries) / sizeof(archived_entries[0]);

const GoldenEntry *
golden_archived_entry(size_t i)
{
	return &archived_entries[i];
}

/* ---- the JSON parts ---- */

const char golden_header[] =
"{\"pg_backupctl_manifest\": 1,"
" \"label\": \"" GOLDEN_LABEL "\","
" \"type\": \"full\","
" \"system_identifier\": \"" GOLDEN_SYSID_TEXT "\","
" \"cluster_name\": \"g\xc3\xb6lden \\\"1\\\"\","
" \"host\": \"db1.example.org\","
" \"data_directory\": \"/var/lib/postgresql/15/golden\","
" \"config_file\": \"/etc/postgresql/15/golden/postgresql.conf\","
" \"hba_file\": \"/etc/postgresql/15/golden/pg_hba.conf\","
" \"pg_version_num\": 150020,"
" \"catalog_version\": 202209061,"
" \"control_version\": 1300,"
" \"block_size\": 8192,"
" \"segment_blocks\": 131072,"
" \"wal_segment_size\": 1048576,"
" \"data_checksums\": true,"
" \"start_time\": \"2026-11-20T12:03:01.000001Z\","
" \"stop_time\": \"2026-11-20T12:03:09.999999Z\","
" \"timeline\": 2,"
" \"start_lsn\": \"0/300028\","
" \"stop_lsn\": \"0/3001A8\","
" \"backup_label\": \"START WAL LOCATION: 0/300028 (file 000000020000000000000003)\\n"
"CHECKPOINT LOCATION: 0/300060\\nBACKUP METHOD: streamed\\nBACKUP FROM: primary\\n"
"START TIME: 2026-11-20 12:03:01 GMT\\nLABEL: " GOLDEN_LABEL "\\nSTART TIMELINE: 2\\n\","
/* "16385 /srv/golden \xff\n" is not UTF-8 */
" \"tablespace_map_hex\": \"3136333835202f7372762f676f6c64656e20ff0a\","
" \"software\": \"pg_backupctl 1.0\","
" \"tablespaces\": ["
"{\"oid\": 16385, \"path_hex\": \"2f7372762f676f6c64656e20ff\"},"
"{\"oid\": 16386}]}";

const char golden_archived_header[] =
"{\"pg_backupctl_manifest\": 1,"
" \"label\": \"" GOLDEN_ARCHIVED "\","
" \"type\": \"full\","
" \"system_identifier\": \"" GOLDEN_SYSID_TEXT "\","
" \"cluster_name\": \"\","
" \"host\": \"db2.example.org\","
" \"pg_version_num\": 150020,"
" \"catalog_version\": 202209061,"
" \"control_version\": 1300,"
" \"block_size\": 8192,"
" \"segment_blocks\": 131072,"
" \"wal_segment_size\": 1048576,"
" \"data_checksums\": false,"
" \"start_time\": \"2026-11-22T08:00:00.000000Z\","
" \"stop_time\": \"2026-11-22T08:00:00.000000Z\","
" \"timeline\": 2,"
" \"start_lsn\": \"0/3FFFF8\","
" \"stop_lsn\": \"0/500000\","	/* segments 3 and 4, the last to its last byte */
" \"wal\": \"archive\","
" \"backup_label\": \"\","
" \"software\": \"pg_backupctl 1.0\","
" \"tablespaces\": []}";

const GoldenDocument golden_documents[] = {
	{"/cluster", 1,
		"{\"pg_backupctl_cluster\": 1,"
		" \"system_identifier\": \"" GOLDEN_SYSID_TEXT "\","
		" \"name\": \"g\xc3\xb6lden \\\"1\\\"\","
		" \"pg_version_num\": 150020,"
	" \"created\": \"2026-11-20T12:03:00.000000Z\"}"},
	{"/backups/" GOLDEN_LABEL "/begin", 2,
		"{\"pg_backupctl_begin\": 1,"
		" \"label\": \"" GOLDEN_LABEL "\","
		" \"type\": \"full\","
		" \"system_identifier\": \"" GOLDEN_SYSID_TEXT "\","
		" \"owner\": \"0123456789abcdef0123456789abcdef\","
		" \"host\": \"db1.example.org\","
	" \"start_time\": \"2026-11-20T12:03:01.000001Z\"}"},
	{"/backups/" GOLDEN_BEGUN "/begin", 2,
		"{\"pg_backupctl_begin\": 1,"
		" \"label\": \"" GOLDEN_BEGUN "\","
		" \"type\": \"full\","
		" \"system_identifier\": \"" GOLDEN_SYSID_TEXT "\","
		" \"owner\": \"f\","
		" \"host\": \"\","
	" \"start_time\": \"2026-11-20T13:00:00.000000Z\"}"},
	{"/backups/" GOLDEN_ARCHIVED "/begin", 2,
		"{\"pg_backupctl_begin\": 1,"
		" \"label\": \"" GOLDEN_ARCHIVED "\","
		" \"type\": \"full\","
		" \"system_identifier\": \"" GOLDEN_SYSID_TEXT "\","
		" \"owner\": \"00ff\","
		" \"host\": \"db2.example.org\","
	" \"start_time\": \"2026-11-22T08:00:00.000000Z\"}"},
	{"/backups/" GOLDEN_LABEL "/notes/20261120T130301250Z-verify", 5,
		"{\"pg_backupctl_verify\": 1,"
		" \"label\": \"" GOLDEN_LABEL "\","
		" \"time\": \"2026-11-20T13:03:01.250000Z\","
		" \"level\": \"files\","
		" \"ok\": true,"
		" \"files\": 25,"
		" \"bytes\": 5400000,"
		" \"failures\": 0,"
	" \"first_failure\": \"\"}"},
	{"/backups/" GOLDEN_LABEL "/notes/20261121T130301250Z-verify", 5,
		"{\"pg_backupctl_verify\": 1,"
		" \"label\": \"" GOLDEN_LABEL "\","
		" \"time\": \"2026-11-21T13:03:01.250000Z\","
		" \"level\": \"files\","
		" \"ok\": false,"
		" \"files\": 24,"
		" \"bytes\": 9007199254740992," /* the largest that may stand there */
		" \"failures\": 1,"
	" \"first_failure_hex\": \"636166e9\"}"},
	{"/owner/00000001", 9,
		"{\"pg_backupctl_owner\": 1,"
		" \"system_identifier\": \"" GOLDEN_SYSID_TEXT "\","
		" \"number\": 1,"
		" \"owner\": \"0123456789abcdef0123456789abcdef\","
		" \"host\": \"db1.example.org\","
		" \"data_directory\": \"/var/lib/postgresql/15/golden\","
		" \"timeline\": 1,"
		" \"lsn\": \"0/100028\","
		" \"session\": \"0000000000000001\","
		" \"time\": \"2026-11-20T10:00:00.000000Z\","
		" \"reason\": \"first\","
	" \"by\": \"\"}"},
	{"/owner/00000002", 9,
		"{\"pg_backupctl_owner\": 1,"
		" \"system_identifier\": \"" GOLDEN_SYSID_TEXT "\","
		" \"number\": 2,"
		" \"owner\": \"f\","
		" \"host\": \"\","
		" \"data_directory\": \"/\","
		" \"timeline\": 2,"
		" \"lsn\": \"0/2000A0\","
		" \"session\": \"8000000000000000\","
		" \"time\": \"2026-11-20T11:00:00.000001Z\","
		" \"reason\": \"promoted\","
	" \"by\": \"\"}"},
	{"/owner/00000003", 9,
		"{\"pg_backupctl_owner\": 1,"
		" \"system_identifier\": \"" GOLDEN_SYSID_TEXT "\","
		" \"number\": 3,"
		" \"owner\": \"00ff\","
		" \"host\": \"db2.example.org\","
		" \"data_directory_hex\": \"2f7372762f636166e9\","
		" \"timeline\": 4294967295,"
		" \"lsn\": \"FFFFFFFF/FFFFFFFF\","
		" \"session\": \"0123456789abcdef\","
		" \"time\": \"2026-11-21T18:30:00.999999Z\","
		" \"reason\": \"takeover\","
	" \"by\": \"ren\xc3\xa9\"}"},
};

const size_t golden_ndocuments = sizeof(golden_documents) / sizeof(golden_documents[0]);

/* ---- contents ---- */

/* Every file has numbers of its own. */
static uint64_t
noise_seed(const char *path)
{
	uint64_t	seed = UINT64_C(88172645463325252);

	for (; *path != '\0'; path++)
		seed = seed * 31 + (uint8_t) *path;
	return seed;
}

static void
fill_noise(uint8_t *p, size_t len, const char *path)
{
	uint64_t	x = noise_seed(path);
	size_t		i;

	for (i = 0; i < len; i++)
	{
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		p[i] = (uint8_t) (x >> 32);
	}
}

static void
fill_words(uint8_t *p, size_t len)
{
	static const char words[] = "select insert update delete vacuum commit rollback analyze ";
	size_t		i;

	for (i = 0; i < len; i++)
		p[i] = (uint8_t) words[i % (sizeof(words) - 1)];
	for (i = 0; i + 8 <= len; i += 32768)
		bkc_put_u64(p + i, i);
}

static void
fill_pages(uint8_t *p, size_t len)
{
	size_t		i;

	memset(p, 0, len);
	for (i = 0; i < len; i += PAGE)
	{
		bkc_put_u64(p + i, i + 4711);
		fill_words(p + i + PAGE - 600, 600);
	}
}

static void
fill_span(uint8_t *p, size_t len, const char *path)
{
	size_t		i;

	fill_words(p, len);
	for (i = 0; i < len; i += GOLDEN_MIB)
		fill_noise(p + i, len - i < 2500 ? len - i : 2500, path);
}

static void
fill_control(uint8_t *p, size_t len)
{
	memset(p, 0, len);
	bkc_put_u64(p, GOLDEN_SYSID);
	bkc_put_u32(p + 8, 1300);
	bkc_put_u32(p + 12, 202209061);
	bkc_put_u32(p + 48, 2);		/* timeline */
	bkc_put_u32(p + 180, 100);	/* max_connections and what follows it */
	bkc_put_u32(p + 184, 8);
	bkc_put_u32(p + 188, 10);
	bkc_put_u32(p + 196, 64);
	bkc_put_u32(p + 216, PAGE);
	bkc_put_u32(p + 228, SEGMENT);
	bkc_put_u32(p + 252, 1);	/* data checksums */
	bkc_put_u32(p + 288, bkc_crc32c(p, 288));
}

/* The first page's long header (PostgreSQL 15). */
static void
fill_wal(uint8_t *p, size_t len)
{
	memset(p, 0, len);
	bkc_put_u16(p, 0xD110);
	bkc_put_u16(p + 2, 2);		/* XLP_LONG_HEADER */
	bkc_put_u32(p + 4, 2);		/* timeline */
	bkc_put_u64(p + 8, 3 * SEGMENT);
	bkc_put_u64(p + 24, GOLDEN_SYSID);
	bkc_put_u32(p + 32, SEGMENT);
	bkc_put_u32(p + 36, PAGE);
	fill_words(p + 40, 384);
}

uint8_t *
golden_content(const GoldenEntry *entry)
{
	uint8_t    *p = malloc(entry->size + 1);

	if (p == NULL)
		return NULL;
	switch (entry->data)
	{
		case GOLDEN_TEXT:
			if (entry->size > 0)
				memcpy(p, entry->text, entry->size);
			break;
		case GOLDEN_WORDS:
			fill_words(p, entry->size);
			break;
		case GOLDEN_NOISE:
			fill_noise(p, entry->size, entry->path);
			break;
		case GOLDEN_PAGES:
			fill_pages(p, entry->size);
			break;
		case GOLDEN_SPAN:
			fill_span(p, entry->size, entry->path);
			break;
		case GOLDEN_CONTROL:
			fill_control(p, entry->size);
			break;
		case GOLDEN_WAL:
			fill_wal(p, entry->size);
			break;
	}
	return p;
}
