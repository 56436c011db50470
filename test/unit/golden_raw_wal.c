/*
 * golden_raw_wal.c
 *		WAL objects and chunks by FORMAT.md alone; the rules of golden_raw.c hold
 *		here, too.
 */
#include "golden.h"

#include <dirent.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIND_WAL		6
#define KIND_CHUNK		7
#define CHUNKS_MAX		1000
#define CHUNK_NAME		25		/* <generation>-<offset> */

static const char *
string_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text == NULL ? "" : text;
}

static uint64_t
int_of(const json_t *object, const char *key)
{
	return (uint64_t) json_integer_value(json_object_get(object, key));
}

static uint64_t
lsn_of(const json_t *object, const char *key)
{
	unsigned	high = 0;
	unsigned	low = 0;

	(void) sscanf(string_of(object, key), "%X/%X", &high, &low);
	return (uint64_t) high << 32 | low;
}

/* Digits in the middle of a text. */
static uint64_t
hex_at(const char *text, size_t at, int digits)
{
	char		part[20];

	snprintf(part, sizeof(part), "%.*s", digits, text + at);
	return strtoull(part, NULL, 16);
}

/* ---- info ---- */

static bool
has(const json_t *info, const char *key)
{
	char	   *text = raw_text(info, key);
	bool		there = text != NULL || json_object_get(info, key) != NULL;

	free(text);
	return there;
}

/* Text of 1 to 255 bytes. */
static bool
is_said(const json_t *info, const char *key)
{
	char	   *text = raw_text(info, key);
	bool		right = text != NULL && strlen(text) >= 1 && strlen(text) <= 255;

	free(text);
	return right;
}

/* A segment, a partial segment or a chunk lies where its name says. */
static const char *
check_place(const json_t *info, const char *name, int kind)
{
	const char *file = string_of(info, "file");
	uint64_t	segment_size = int_of(info, "wal_segment_size");
	uint64_t	start = hex_at(file, 8, 8) << 32 | hex_at(file, 16, 8) * segment_size;
	uint64_t	size = int_of(info, "size");
	uint64_t	offset = kind == KIND_CHUNK ? hex_at(name, strlen(name) - 8, 8) : 0;

	if (!has(info, "timeline") || !has(info, "wal_segment_size") || !has(info, "start_lsn") ||
		!has(info, "end_lsn"))
		return raw_wrong("no place in the WAL");
	if (segment_size < 1048576 || segment_size > 1073741824 ||
		(segment_size & (segment_size - 1)) != 0 ||
		hex_at(file, 16, 8) >= (UINT64_C(1) << 32) / segment_size)
		return raw_wrong("wal_segment_size");
	if (int_of(info, "timeline") != hex_at(file, 0, 8) || hex_at(file, 0, 8) == 0)
		return raw_wrong("timeline");
	if (lsn_of(info, "start_lsn") != start + offset ||
		lsn_of(info, "end_lsn") != start + offset + size || offset + size > segment_size)
		return raw_wrong("LSNs");
	if (kind == KIND_WAL && size != segment_size)
		return raw_wrong("size of a segment");
	return NULL;
}

/* The object that the info frame belongs to. */
static const char *
check_name(const RawObject *object, const json_t *info, const char *name, int kind)
{
	char		hash[17];
	const char *error;
	const char *file = string_of(info, "file");
	const char *conflict = strstr(name, ".conflict-");
	const char *partial = strstr(name, ".partial-");
	char		expected[512];
	int			n;

	snprintf(hash, sizeof(hash), "%.16s", string_of(info, "sha256"));
	if (object->sealed && (partial != NULL || conflict != NULL) &&
		(error = raw_names_hash(name, string_of(info, "sha256"), hash)) != NULL)
		return error;
	n = snprintf(expected, sizeof(expected), "%s/wal/", string_of(info, "system_identifier"));
	if (strstr(file, ".history") == NULL)
		n += snprintf(expected + n, sizeof(expected) - (size_t) n, "%.8s/%.8s/", file, file + 8);
	n += snprintf(expected + n, sizeof(expected) - (size_t) n, "%s", file);
	if (kind == KIND_CHUNK)
		n += snprintf(expected + n, sizeof(expected) - (size_t) n, ".chunks/%s",
					  strrchr(name, '/') + 1);
	else if (partial != NULL)
		n += snprintf(expected + n, sizeof(expected) - (size_t) n, "-%s", hash);
	else if (conflict != NULL)
		snprintf(expected + n, sizeof(expected) - (size_t) n, ".conflict-%s", hash);
	if (strcmp(name, expected) != 0)
		return raw_wrong("it belongs to %s", expected);
	if (conflict != NULL ? !is_said(info, "reason") || !is_said(info, "resolved_by") :
		has(info, "reason") || has(info, "resolved_by"))
		return raw_wrong("reason");
	return NULL;
}

static const char *
check_content(const RawObject *object, const json_t *info)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	char		hex[65];
	size_t		len;
	char	   *content = raw_content(object, &len);
	bool		right;

	if (content == NULL)
		return raw_wrong("out of memory");
	right = len == int_of(info, "size") && len > 0 &&
		EVP_Digest(content, len, digest, NULL, EVP_sha256(), NULL) == 1;
	free(content);
	for (int i = 0; right && i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	return right && strcmp(hex, string_of(info, "sha256")) == 0 ? NULL :
		raw_wrong("size or SHA-256");
}

const char *
raw_load_wal(const char *root, const char *name, RawObject *object, json_t **info)
{
	int			kind = strstr(name, ".chunks/") != NULL ? KIND_CHUNK : KIND_WAL;
	const char *error = raw_load(root, name, kind, object);
	const char *file;

	*info = NULL;
	if (error != NULL ||
		(error = raw_document(object->info, object->info_len, info)) != NULL)
		return error;
	if (!has(*info, "pg_backupctl_wal"))
		return raw_wrong("another document");
	if ((error = check_name(object, *info, name, kind)) != NULL)
		return error;
	file = string_of(*info, "file");
	if (strlen(file) == 24 || strstr(file, ".partial") != NULL)
		error = check_place(*info, name, kind);
	else if (has(*info, "timeline") || has(*info, "wal_segment_size") ||
			 has(*info, "start_lsn") || has(*info, "end_lsn"))
		error = raw_wrong("a place in the WAL");
	return error != NULL ? error : check_content(object, *info);
}

const char *
raw_archived(const char *root, const char *sysid, unsigned timeline, uint64_t lsn,
			 uint64_t segment_size)
{
	RawObject	object;
	json_t	   *info;
	const char *error;
	char		name[128];

	snprintf(name, sizeof(name), "%s/wal/%08X/%08X/%08X%08X%08X", sysid, timeline,
			 (unsigned) (lsn >> 32), timeline, (unsigned) (lsn >> 32),
			 (unsigned) ((lsn & UINT32_MAX) / segment_size));
	error = raw_load_wal(root, name, &object, &info);
	if (error == NULL && int_of(info, "wal_segment_size") != segment_size)
		error = raw_wrong("wal_segment_size");
	if (error != NULL)
		error = raw_wrong("%s: %s", name, error);
	json_decref(info);
	raw_free(&object);
	return error;
}

/* ---- chunks ---- */

typedef struct Row
{
	uint8_t    *bytes;
	size_t		len;
} Row;

static int
compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int
list_chunks(const char *path, char (*names)[CHUNK_NAME + 1])
{
	DIR		   *dir = opendir(path);
	struct dirent *entry;
	int			n = 0;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
	{
		if (n < CHUNKS_MAX && raw_matches(entry->d_name, "[0-9a-f]{16}-[0-3][0-9a-f]{7}"))
			memcpy(names[n++], entry->d_name, CHUNK_NAME + 1);
	}
	if (dir != NULL)
		closedir(dir);
	qsort(names, (size_t) n, sizeof(*names), compare_names);
	return n;
}

/* Names first to end - 1 are a generation's; the row ends where the next chunk is missing. */
static const char *
read_row(const char *root, const char *folder, char (*names)[CHUNK_NAME + 1], int first, int end,
		 Row *row)
{
	const char *error = NULL;

	memset(row, 0, sizeof(*row));
	for (int i = first; error == NULL && i < end && hex_at(names[i], 17, 8) == row->len; i++)
	{
		RawObject	object;
		json_t	   *info;
		char		name[512];
		char	   *content;
		size_t		len;

		snprintf(name, sizeof(name), "%s%s", folder, names[i]);
		error = raw_load_wal(root, name, &object, &info);
		if (error == NULL)
		{
			content = raw_content(&object, &len);
			row->bytes = realloc(row->bytes, row->len + len);
			memcpy(row->bytes + row->len, content, len);
			row->len += len;
			free(content);
		}
		json_decref(info);
		raw_free(&object);
	}
	return error;
}

const char *
raw_join_chunks(const char *root, const char *folder, uint8_t **bytes, size_t *len)
{
	char		names[CHUNKS_MAX][CHUNK_NAME + 1];
	char		path[4096];
	Row			joined = {0};
	const char *error = NULL;
	int			end;
	int			first;

	snprintf(path, sizeof(path), "%s/%s", root, folder);
	for (end = list_chunks(path, names); error == NULL && end > 0; end = first)
	{
		Row			row;

		first = end - 1;
		while (first > 0 && strncmp(names[first - 1], names[end - 1], 16) == 0)
			first--;
		error = read_row(root, folder, names, first, end, &row);
		if (error == NULL && row.len > joined.len &&
			(joined.len == 0 || memcmp(row.bytes, joined.bytes, joined.len) == 0))
		{
			Row			former = joined;

			joined = row;
			row = former;
		}
		free(row.bytes);
	}
	*bytes = joined.bytes;
	*len = joined.len;
	return error;
}
