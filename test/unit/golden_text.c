/*
 * golden_text.c
 *		Manifests and documents taken apart by FORMAT.md alone; the rules of
 *		golden_raw.c hold here, too.
 */
#include "golden.h"

#include <openssl/evp.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES	1048576
#define FRAME_BYTES		1048576
#define INT_MAX_SIZE	(INT64_C(1) << 53)
#define PACK_FRAMES_MAX 32767
#define PATTERNS_MAX	64

/* ---- values ---- */

#define LABEL	RAW_LABEL
#define HEX8	"(0|[1-9A-F][0-9A-F]{0,7})"
#define U32		RAW_U32

typedef enum Kind
{
	INT,
	U32_INT,
	BOOL,
	TEXT,						/* may have "_hex" behind its key */
	STRING,						/* matches a pattern */
	LIST
} Kind;

typedef struct Rule
{
	const char *key;
	Kind		kind;
	const char *pattern;		/* of strings; for texts what they begin with */
	bool		optional;
} Rule;

#define SYSID_RULE	{"system_identifier", STRING, "[1-9][0-9]{0,19}", false}
#define TIME_PATTERN "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{6}Z"
#define TIME_VALUE	STRING, TIME_PATTERN, false
#define LSN_VALUE	STRING, HEX8 "/" HEX8, false
#define END			{NULL, INT, NULL, false}

static const Rule header_rules[] = {
	{"pg_backupctl_manifest", INT, NULL, false},
	{"label", STRING, LABEL, false},
	{"type", STRING, "[a-z]{1,12}", false},
	{"parent", STRING, LABEL, true},
	SYSID_RULE,
	{"cluster_name", TEXT, NULL, false},
	{"host", TEXT, NULL, false},
	{"data_directory", TEXT, "/", true},
	{"config_file", TEXT, "/", true},
	{"hba_file", TEXT, "/", true},
	{"ident_file", TEXT, "/", true},
	{"pg_version_num", U32_INT, NULL, false},
	{"catalog_version", U32_INT, NULL, false},
	{"control_version", U32_INT, NULL, false},
	{"block_size", U32_INT, NULL, false},
	{"segment_blocks", U32_INT, NULL, false},
	{"wal_segment_size", U32_INT, NULL, false},
	{"data_checksums", BOOL, NULL, false},
	{"start_time", TIME_VALUE},
	{"stop_time", TIME_VALUE},
	{"timeline", U32_INT, NULL, false},
	{"start_lsn", LSN_VALUE},
	{"stop_lsn", LSN_VALUE},
	{"wal", STRING, "archive", true},
	{"backup_label", TEXT, NULL, false},
	{"tablespace_map", TEXT, NULL, true},
	{"software", TEXT, NULL, false},
	{"tablespaces", LIST, NULL, false},
	END
};

static const Rule tablespace_rules[] = {
	{"oid", U32_INT, NULL, false},
	{"path", TEXT, "/", true},
	END
};

#define ENTRY_RULES \
	{"root", STRING, "(pgdata|config|wal|tablespace/[1-9][0-9]{0,9})", false}, \
	{"path", TEXT, NULL, false}, \
	{"type", STRING, "(file|dir|link)", false}, \
	{"mode", STRING, "[0-7]{4}", false}, \
	{"mtime", INT, NULL, false}

static const Rule file_rules[] = {
	ENTRY_RULES,
	{"size", INT, NULL, false},
	{"sha256", STRING, "[0-9a-f]{64}", false},
	{"pieces", LIST, NULL, true},
	{"bad_blocks", LIST, NULL, true},
	{"bad_block_count", INT, NULL, true},
	END
};

static const Rule dir_rules[] = {
	ENTRY_RULES,
	END
};

static const Rule link_rules[] = {
	ENTRY_RULES,
	{"target", TEXT, NULL, false},
	END
};

static const Rule piece_rules[] = {
	{"label", STRING, LABEL, true},
	{"pack", STRING, U32 "-" U32, false},
	{"first", U32_INT, NULL, false},
	{"frames", U32_INT, NULL, false},
	END
};

static const Rule pack_rules[] = {
	{"pack", STRING, U32 "-" U32, false},
	{"size", INT, NULL, false},
	{"frames", U32_INT, NULL, false},
	END
};

static const Rule trailer_rules[] = {
	{"end", BOOL, NULL, false},
	{"files", INT, NULL, false},
	{"dirs", INT, NULL, false},
	{"links", INT, NULL, false},
	{"packs", INT, NULL, false},
	{"bytes", INT, NULL, false},
	{"stored_bytes", INT, NULL, false},
	{"bad_blocks", INT, NULL, false},
	{"sha256", STRING, "[0-9a-f]{64}", false},
	END
};

static const Rule cluster_rules[] = {
	{"pg_backupctl_cluster", INT, NULL, false},
	SYSID_RULE,
	{"name", TEXT, NULL, false},
	{"pg_version_num", U32_INT, NULL, false},
	{"created", TIME_VALUE},
	END
};

static const Rule begin_rules[] = {
	{"pg_backupctl_begin", INT, NULL, false},
	{"label", STRING, LABEL, false},
	{"type", STRING, "[a-z]{1,12}", false},
	{"parent", STRING, LABEL, true},
	SYSID_RULE,
	{"owner", STRING, "[0-9a-f]{1,39}", false},
	{"host", TEXT, NULL, false},
	{"start_time", TIME_VALUE},
	{"data_key", STRING, "[0-9a-f]{32}", true},
	END
};

static const Rule verify_rules[] = {
	{"pg_backupctl_verify", INT, NULL, false},
	{"label", STRING, LABEL, false},
	{"time", TIME_VALUE},
	{"level", STRING, "[a-z]{1,15}", false},
	{"ok", BOOL, NULL, false},
	{"files", INT, NULL, false},
	{"bytes", INT, NULL, false},
	{"failures", INT, NULL, false},
	{"first_failure", TEXT, NULL, false},
	END
};

#define NOTE_RULES \
	{"label", STRING, LABEL, false}, \
	{"time", TIME_VALUE}

static const Rule shred_rules[] = {
	{"pg_backupctl_shred", INT, NULL, false},
	NOTE_RULES,
	{"reason", TEXT, NULL, false},
	{"by", TEXT, NULL, false},
	{"data_key", STRING, "[0-9a-f]{32}", false},
	END
};

static const Rule hold_rules[] = {
	{"pg_backupctl_hold", INT, NULL, false},
	NOTE_RULES,
	{"reason", TEXT, NULL, false},
	{"by", TEXT, NULL, false},
	END
};

static const Rule release_rules[] = {
	{"pg_backupctl_release", INT, NULL, false},
	NOTE_RULES,
	{"reason", TEXT, NULL, false},
	{"by", TEXT, NULL, false},
	END
};

static const Rule catalog_rules[] = {
	{"pg_backupctl_catalog", INT, NULL, false},
	NOTE_RULES,
	{"pg_version", TEXT, NULL, false},
	{"metadata", TEXT, "{", false},
	{"tier", TEXT, NULL, true},
	{"schedule", TEXT, NULL, true},
	{"retention_date", STRING, TIME_PATTERN, true},
	{"parent", STRING, LABEL, true},
	END
};

static const Rule owner_rules[] = {
	{"pg_backupctl_owner", INT, NULL, false},
	SYSID_RULE,
	{"number", INT, NULL, false},
	{"owner", STRING, "[0-9a-f]{1,39}", false},
	{"host", TEXT, NULL, false},
	{"data_directory", TEXT, "/", false},
	{"timeline", U32_INT, NULL, false},
	{"lsn", LSN_VALUE},
	{"session", STRING, "[0-9a-f]{16}", false},
	{"time", TIME_VALUE},
	{"reason", STRING, "[a-z]{1,15}", false},
	{"by", TEXT, NULL, false},
	END
};

/* Which of the optional ones an object has is up to its kind: golden_raw_wal.c. */
static const Rule wal_rules[] = {
	{"pg_backupctl_wal", INT, NULL, false},
	{"file", STRING, "([0-9A-F]{8}[.]history|[0-9A-F]{24}([.]partial|[.][0-9A-F]{8}[.]backup)?)",
	false},
	SYSID_RULE,
	{"size", INT, NULL, false},
	{"sha256", STRING, "[0-9a-f]{64}", false},
	{"time", TIME_VALUE},
	{"timeline", U32_INT, NULL, true},
	{"wal_segment_size", U32_INT, NULL, true},
	{"start_lsn", STRING, HEX8 "/" HEX8, true},
	{"end_lsn", STRING, HEX8 "/" HEX8, true},
	{"reason", TEXT, NULL, true},
	{"resolved_by", TEXT, NULL, true},
	END
};

/* The whole value, not a part of it.  Patterns are compiled once: there are many lines. */
bool
raw_matches(const char *text, const char *pattern)
{
	static struct
	{
		const char *pattern;
		regex_t		regex;
	}			known[PATTERNS_MAX];
	size_t		i = 0;

	while (i < PATTERNS_MAX && known[i].pattern != NULL && strcmp(known[i].pattern, pattern) != 0)
		i++;
	if (i == PATTERNS_MAX)
		return false;
	if (known[i].pattern == NULL)
	{
		char		whole[512];

		snprintf(whole, sizeof(whole), "^%s$", pattern);
		if (regcomp(&known[i].regex, whole, REG_EXTENDED | REG_NOSUB) != 0)
			return false;
		known[i].pattern = pattern;
	}
	return regexec(&known[i].regex, text, 0, NULL, 0) == 0;
}

static int
hex_digit(char c)
{
	const char *digits = "0123456789abcdef";
	const char *at = c == '\0' ? NULL : strchr(digits, c);

	return at == NULL ? -1 : (int) (at - digits);
}

/* NULL where the value is not lower-case hex of bytes without NUL. */
static char *
from_hex(const char *hex)
{
	size_t		len = strlen(hex);
	char	   *out = malloc(len / 2 + 1);
	size_t		i;

	for (i = 0; out != NULL && i < len; i += 2)
	{
		int			high = hex_digit(hex[i]);
		int			low = high < 0 ? -1 : hex_digit(hex[i + 1]);

		if (low < 0 || high + low == 0)
		{
			free(out);
			return NULL;
		}
		out[i / 2] = (char) (high << 4 | low);
	}
	if (out != NULL)
		out[len / 2] = '\0';
	return out;
}

static const json_t *
hex_value(const json_t *object, const char *key)
{
	char		name[64];

	snprintf(name, sizeof(name), "%s_hex", key);
	return json_object_get(object, name);
}

char *
raw_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (text != NULL)
		return strdup(text);
	text = json_string_value(hex_value(object, key));
	return text == NULL ? NULL : from_hex(text);
}

static const char *
check_text(const json_t *object, const Rule *rule)
{
	char	   *text = raw_text(object, rule->key);
	const char *error = NULL;
	json_t	   *utf8;

	if (text == NULL)
		return raw_wrong("value of text \"%s\"", rule->key);
	if (rule->pattern != NULL && strncmp(text, rule->pattern, strlen(rule->pattern)) != 0)
		error = raw_wrong("\"%s\" does not begin with %s", rule->key, rule->pattern);
	else if (hex_value(object, rule->key) != NULL && (utf8 = json_string(text)) != NULL)
	{
		error = raw_wrong("\"%s\" need not be hex", rule->key);
		json_decref(utf8);
	}
	free(text);
	return error;
}

static const char *
check_value(const json_t *object, const json_t *value, const Rule *rule)
{
	json_int_t	i = json_integer_value(value);
	bool		right = false;

	switch (rule->kind)
	{
		case INT:
			right = json_is_integer(value) && i >= -INT_MAX_SIZE && i <= INT_MAX_SIZE;
			break;
		case U32_INT:
			right = json_is_integer(value) && i >= 0 && i <= UINT32_MAX;
			break;
		case BOOL:
			right = json_is_boolean(value);
			break;
		case LIST:
			right = json_is_array(value);
			break;
		case STRING:
			right = json_is_string(value) && raw_matches(json_string_value(value), rule->pattern);
			break;
		case TEXT:
			return check_text(object, rule);
	}
	return right ? NULL : raw_wrong("value of \"%s\"", rule->key);
}

/* The keys of the rules, each with a value of its kind; *found of them are there. */
static const char *
check_keys(const json_t *object, const Rule *rules, size_t *found)
{
	const char *error;

	*found = 0;

	if (!json_is_object(object))
		return raw_wrong("not an object");
	for (; rules->key != NULL; rules++)
	{
		const json_t *value = json_object_get(object, rules->key);
		const json_t *hex = rules->kind == TEXT ? hex_value(object, rules->key) : NULL;

		if (value != NULL && hex != NULL)
			return raw_wrong("both forms of \"%s\"", rules->key);
		if (value == NULL && hex == NULL)
		{
			if (!rules->optional)
				return raw_wrong("no \"%s\"", rules->key);
			continue;
		}
		++*found;
		if ((error = check_value(object, value != NULL ? value : hex, rules)) != NULL)
			return error;
	}
	return NULL;
}

/* No others. */
static const char *
check_object(const json_t *object, const Rule *rules)
{
	size_t		found;
	const char *error = check_keys(object, rules, &found);

	if (error != NULL)
		return error;
	return found == json_object_size(object) ? NULL : raw_wrong("unknown keys");
}

static json_int_t
int_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static const char *
string_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text == NULL ? "" : text;
}

/* ---- documents ---- */

#define NOTE_KINDS	5

const char *
raw_document(const char *text, size_t len, json_t **document)
{
	/* notes first: they may have further keys */
	static const Rule *const kinds[] = {
		verify_rules, shred_rules, hold_rules, release_rules, catalog_rules,
		cluster_rules, begin_rules, owner_rules, wal_rules
	};
	size_t		found;
	json_error_t error;
	const char *first;
	size_t		i;

	*document = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (*document == NULL)
		return raw_wrong("no JSON: %s", error.text);
	first = json_object_iter_key(json_object_iter(*document));
	if (first == NULL)
		return raw_wrong("no keys");
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
	{
		if (strcmp(first, kinds[i][0].key) == 0)
			return int_of(*document, first) != 1 ? raw_wrong("version") :
				i < NOTE_KINDS ? check_keys(*document, kinds[i], &found) :
				check_object(*document, kinds[i]);
	}
	return raw_wrong("unknown document \"%s\"", first);
}

/* ---- manifest: header ---- */

static bool
power_of_two(json_int_t value, json_int_t min, json_int_t max)
{
	return value >= min && value <= max && (value & (value - 1)) == 0;
}

static uint64_t
lsn_of(const json_t *object, const char *key)
{
	unsigned	high = 0;
	unsigned	low = 0;

	(void) sscanf(string_of(object, key), "%X/%X", &high, &low);
	return (uint64_t) high << 32 | low;
}

static const json_t *
find_tablespace(const json_t *header, json_int_t oid)
{
	const json_t *list = json_object_get(header, "tablespaces");
	size_t		i;

	for (i = 0; i < json_array_size(list); i++)
	{
		if (int_of(json_array_get(list, i), "oid") == oid)
			return json_array_get(list, i);
	}
	return NULL;
}

static const char *
check_header(const json_t *header)
{
	const json_t *list = json_object_get(header, "tablespaces");
	const char *error = check_object(header, header_rules);
	const char *label = string_of(header, "label");
	size_t		i;

	if (error != NULL)
		return error;
	if (int_of(header, "pg_backupctl_manifest") != 1)
		return raw_wrong("version");
	if (strncmp(label + 17, string_of(header, "type"), strlen(string_of(header, "type"))) != 0)
		return raw_wrong("type");
	if (json_object_get(header, "parent") != NULL &&
		strcmp(string_of(header, "parent"), label) >= 0)
		return raw_wrong("parent");
	if (int_of(header, "pg_version_num") == 0 || int_of(header, "segment_blocks") == 0 ||
		int_of(header, "timeline") == 0)
		return raw_wrong("a number is 0");
	if (!power_of_two(int_of(header, "block_size"), 1024, 32768) ||
		!power_of_two(int_of(header, "wal_segment_size"), 1048576, 1073741824))
		return raw_wrong("a size");
	/* these sort as text */
	if (strcmp(string_of(header, "start_time"), string_of(header, "stop_time")) > 0 ||
		lsn_of(header, "start_lsn") > lsn_of(header, "stop_lsn"))
		return raw_wrong("stop before start");
	for (i = 0; i < json_array_size(list); i++)
	{
		const json_t *item = json_array_get(list, i);

		if ((error = check_object(item, tablespace_rules)) != NULL)
			return error;
		if (int_of(item, "oid") == 0 || find_tablespace(header, int_of(item, "oid")) != item)
			return raw_wrong("OID of a tablespace");
	}
	return NULL;
}

/* ---- manifest: entries ---- */

static bool
safe_path(const char *path)
{
	for (;;)
	{
		size_t		len = strcspn(path, "/");

		if (len == 0 || (len == 1 && path[0] == '.') ||
			(len == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		if (path[len] == '\0')
			return true;
		path += len + 1;
	}
}

static const char *
check_place(const json_t *header, const json_t *entry, const char *path)
{
	const char *root = string_of(entry, "root");

	if (!safe_path(path))
		return raw_wrong("path");
	if (strncmp(root, "tablespace/", 11) == 0 &&
		(find_tablespace(header, strtoll(root + 11, NULL, 10)) == NULL ||
		 strncmp(path, "PG_", 3) != 0))
		return raw_wrong("entry of a tablespace");
	if (strcmp(root, "wal") == 0 &&
		(strcmp(string_of(entry, "type"), "file") != 0 ||
		 !raw_matches(path, "([0-9A-F]{24}|[0-9A-F]{8}[.]history)")))
		return raw_wrong("entry of the WAL");
	if (strcmp(root, "wal") == 0 && json_object_get(header, "wal") != NULL && strlen(path) == 24)
		return raw_wrong("a segment, though the WAL is in the archive");
	return NULL;
}

static const char *
check_pieces(const json_t *header, const json_t *entry)
{
	const json_t *pieces = json_object_get(entry, "pieces");
	json_int_t	size = int_of(entry, "size");
	json_int_t	frames = 0;
	size_t		i;

	if (size == 0)
		return pieces == NULL ? NULL : raw_wrong("pieces of an empty file");
	for (i = 0; i < json_array_size(pieces); i++)
	{
		const json_t *piece = json_array_get(pieces, i);
		const char *error = check_object(piece, piece_rules);

		if (error != NULL)
			return error;
		if (int_of(piece, "frames") < 1 ||
			int_of(piece, "first") + int_of(piece, "frames") > PACK_FRAMES_MAX)
			return raw_wrong("frames of a piece");
		if (json_object_get(piece, "label") != NULL &&
			(json_object_get(header, "parent") == NULL ||
			 strcmp(string_of(piece, "label"), string_of(header, "label")) >= 0))
			return raw_wrong("label of a piece");
		frames += int_of(piece, "frames");
	}
	return frames == (size + FRAME_BYTES - 1) / FRAME_BYTES ? NULL : raw_wrong("number of frames");
}

static const char *
check_bad_blocks(const json_t *entry)
{
	const json_t *list = json_object_get(entry, "bad_blocks");
	const json_t *count = json_object_get(entry, "bad_block_count");
	size_t		i;

	if ((list == NULL) != (count == NULL))
		return raw_wrong("bad blocks without their count");
	if (list == NULL)
		return NULL;
	if (json_array_size(list) > 100 || json_integer_value(count) < 1 ||
		(json_int_t) json_array_size(list) > json_integer_value(count))
		return raw_wrong("number of bad blocks");
	for (i = 0; i < json_array_size(list); i++)
	{
		const json_t *block = json_array_get(list, i);

		if (!json_is_integer(block) || json_integer_value(block) < 0 ||
			json_integer_value(block) > UINT32_MAX)
			return raw_wrong("a bad block");
	}
	return NULL;
}

static const char *
check_entry(const json_t *header, const json_t *entry)
{
	const char *type = string_of(entry, "type");
	const Rule *rules = strcmp(type, "dir") == 0 ? dir_rules :
		strcmp(type, "link") == 0 ? link_rules : file_rules;
	const char *error = check_object(entry, rules);
	char	   *path;
	char	   *target;

	if (error != NULL)
		return error;
	path = raw_text(entry, "path");
	target = raw_text(entry, "target");
	error = path == NULL ? raw_wrong("out of memory") : check_place(header, entry, path);
	if (error == NULL && rules == link_rules && (target == NULL || target[0] == '\0'))
		error = raw_wrong("target");
	free(path);
	free(target);
	if (error != NULL || rules != file_rules)
		return error;
	if (int_of(entry, "size") < 0)
		return raw_wrong("size");
	if ((error = check_pieces(header, entry)) != NULL)
		return error;
	return check_bad_blocks(entry);
}

/* ---- manifest: packs and trailer ---- */

static json_int_t
pack_frames(const RawManifest *m, const char *id, int *found)
{
	json_int_t	frames = 0;
	size_t		i;

	*found = 0;
	for (i = 0; i < json_array_size(m->packs); i++)
	{
		const json_t *pack = json_array_get(m->packs, i);

		if (strcmp(string_of(pack, "pack"), id) == 0)
		{
			frames = int_of(pack, "frames");
			(*found)++;
		}
	}
	return frames;
}

static const char *
check_packs(const RawManifest *m)
{
	size_t		i;
	size_t		j;
	int			found;

	for (i = 0; i < json_array_size(m->packs); i++)
	{
		const json_t *pack = json_array_get(m->packs, i);

		if (int_of(pack, "size") < 1 || int_of(pack, "frames") < 1 ||
			int_of(pack, "frames") > PACK_FRAMES_MAX)
			return raw_wrong("a pack");
		(void) pack_frames(m, string_of(pack, "pack"), &found);
		if (found != 1)
			return raw_wrong("a pack stands there twice");
	}
	for (i = 0; i < json_array_size(m->entries); i++)
	{
		const json_t *pieces = json_object_get(json_array_get(m->entries, i), "pieces");

		for (j = 0; j < json_array_size(pieces); j++)
		{
			const json_t *piece = json_array_get(pieces, j);

			if (json_object_get(piece, "label") == NULL &&
				(int_of(piece, "first") + int_of(piece, "frames") >
				 pack_frames(m, string_of(piece, "pack"), &found) || found != 1))
				return raw_wrong("a piece's pack");
		}
	}
	return NULL;
}

/* Number of entries of that type, or the sum of a key over a list. */
static json_int_t
count_type(const json_t *list, const char *type)
{
	json_int_t	n = 0;
	size_t		i;

	for (i = 0; i < json_array_size(list); i++)
		n += strcmp(string_of(json_array_get(list, i), "type"), type) == 0;
	return n;
}

static json_int_t
sum_of(const json_t *list, const char *key)
{
	json_int_t	sum = 0;
	size_t		i;

	for (i = 0; i < json_array_size(list); i++)
		sum += int_of(json_array_get(list, i), key);
	return sum;
}

static const char *
check_trailer(const RawManifest *m, const char *text, size_t before)
{
	const json_t *t = m->trailer;
	const char *error = check_object(t, trailer_rules);
	unsigned char sha[EVP_MAX_MD_SIZE];
	char		hex[65];
	int			i;

	if (error != NULL)
		return error;
	if (!json_is_true(json_object_get(t, "end")))
		return raw_wrong("end");
	if (int_of(t, "files") != count_type(m->entries, "file") ||
		int_of(t, "dirs") != count_type(m->entries, "dir") ||
		int_of(t, "links") != count_type(m->entries, "link") ||
		int_of(t, "packs") != (json_int_t) json_array_size(m->packs) ||
		int_of(t, "bytes") != sum_of(m->entries, "size") ||
		int_of(t, "stored_bytes") != sum_of(m->packs, "size") ||
		int_of(t, "bad_blocks") != sum_of(m->entries, "bad_block_count"))
		return raw_wrong("totals");
	if (EVP_Digest(text, before, sha, NULL, EVP_sha256(), NULL) != 1)
		return raw_wrong("no SHA-256");
	for (i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", sha[i]);
	return strcmp(hex, string_of(t, "sha256")) == 0 ? NULL : raw_wrong("SHA-256");
}

/* ---- manifest: lines ---- */

/* Sort a line in; steals line.  m->trailer is set by the last one. */
static const char *
take_line(RawManifest *m, json_t *line)
{
	if (m->header == NULL)
	{
		m->header = line;
		return check_header(line);
	}
	if (json_object_get(line, "root") != NULL)
	{
		json_array_append_new(m->entries, line);
		if (json_array_size(m->packs) > 0)
			return raw_wrong("an entry behind a pack");
		return check_entry(m->header, line);
	}
	if (json_object_get(line, "pack") != NULL)
	{
		json_array_append_new(m->packs, line);
		return check_object(line, pack_rules);
	}
	m->trailer = line;
	return check_object(line, trailer_rules);
}

const char *
raw_manifest(const char *text, size_t len, RawManifest *m)
{
	const char *error = NULL;
	size_t		at = 0;
	size_t		begin = 0;

	memset(m, 0, sizeof(*m));
	m->entries = json_array();
	m->packs = json_array();
	while (error == NULL && at < len)
	{
		const char *newline = memchr(text + at, '\n', len - at);
		json_error_t why;
		json_t	   *line;

		if (m->trailer != NULL)
			return raw_wrong("something behind the trailer");
		if (newline == NULL || newline - (text + at) > LINE_MAX_BYTES)
			return raw_wrong("a line without end");
		begin = at;
		at = (size_t) (newline - text) + 1;
		line = json_loadb(text + begin, at - begin - 1, JSON_REJECT_DUPLICATES, &why);
		if (line == NULL)
			return raw_wrong("no JSON: %s", why.text);
		error = take_line(m, line);
	}
	if (error != NULL)
		return error;
	if (m->trailer == NULL)
		return raw_wrong("no trailer");
	if ((error = check_packs(m)) != NULL)
		return error;
	return check_trailer(m, text, begin);
}

void
raw_manifest_free(RawManifest *m)
{
	json_decref(m->header);
	json_decref(m->entries);
	json_decref(m->packs);
	json_decref(m->trailer);
	memset(m, 0, sizeof(*m));
}
