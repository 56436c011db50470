/*
 * names.c
 *		Object names (contract: names.h; list: FORMAT.md, "Names").
 */
#include "format/names.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "format/label.h"
#include "format/pgfiles.h"

#define NOTE_KIND_MAX	16
#define HEX8_LEN		8
#define SEGMENT_LEN		24
#define SEGMENTS_MAX	4096	/* in a log of 4 GB: segments have at least 1 MB */
#define OFFSET_MAX		(UINT32_C(1) << 30) /* segments have at most 1 GB */
#define PARTIAL_INFIX	".partial-"
#define CONFLICT_INFIX	".conflict-"
#define CHUNKS_INFIX	".chunks/"
#define CHUNK_NAME_LEN	25		/* <generation>-<offset> */

bool
bkc_name_valid(const char *name)
{
	const char *p;
	const char *start = name;

	if (name == NULL)
		return false;
	for (p = name;; p++)
	{
		if (*p == '/' || *p == '\0')
		{
			size_t		len = (size_t) (p - start);

			if (len == 0 || (len == 1 && start[0] == '.') ||
				(len == 2 && start[0] == '.' && start[1] == '.'))
				return false;
			if (*p == '\0')
				break;
			start = p + 1;
		}
		else if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
				   (*p >= '0' && *p <= '9') || *p == '.' || *p == '_' || *p == '-'))
			return false;
		if (p - name >= BKC_NAME_MAX)
			return false;
	}
	return p - name < BKC_NAME_MAX;
}

/* The parts of every name are checked before, so what can go wrong here is a bug. */
static bool BKC_PRINTF(3, 4)
format_name(char out[BKC_NAME_MAX], BkcError *err, const char *fmt,...)
{
	va_list		args;
	int			len;

	va_start(args, fmt);
	len = vsnprintf(out, BKC_NAME_MAX, fmt, args);
	va_end(args);
	if (len < 0 || len >= BKC_NAME_MAX)
	{
		out[0] = '\0';
		return bkc_error_set(err, BKC_ERR_INTERNAL, "object name is too long");
	}
	return true;
}

static bool
check_sysid(uint64_t sysid, char out[BKC_NAME_MAX], BkcError *err)
{
	out[0] = '\0';
	if (sysid == 0)
		return bkc_error_set(err, BKC_ERR_INVALID, "system identifier is zero");
	return true;
}

static bool
check_backup(uint64_t sysid, const char *label, char out[BKC_NAME_MAX], BkcError *err)
{
	if (!check_sysid(sysid, out, err))
		return false;
	if (!bkc_label_valid(label))
	{
		bkc_error_set(err, BKC_ERR_INVALID, "invalid backup label \"%.64s\"", label ? label : "");
		return bkc_error_hint(err, "Labels look like 20261120T120301Z-full-7f3a.");
	}
	return true;
}

bool
bkc_name_cluster(uint64_t sysid, char out[BKC_NAME_MAX], BkcError *err)
{
	return check_sysid(sysid, out, err) &&
		format_name(out, err, "%" PRIu64 "/cluster", sysid);
}

bool
bkc_name_backups(uint64_t sysid, char out[BKC_NAME_MAX], BkcError *err)
{
	return check_sysid(sysid, out, err) &&
		format_name(out, err, "%" PRIu64 "/backups/", sysid);
}

bool
bkc_name_backup(uint64_t sysid, const char *label, char out[BKC_NAME_MAX], BkcError *err)
{
	return check_backup(sysid, label, out, err) &&
		format_name(out, err, "%" PRIu64 "/backups/%s/", sysid, label);
}

bool
bkc_name_begin(uint64_t sysid, const char *label, char out[BKC_NAME_MAX], BkcError *err)
{
	return check_backup(sysid, label, out, err) &&
		format_name(out, err, "%" PRIu64 "/backups/%s/begin", sysid, label);
}

bool
bkc_name_manifest(uint64_t sysid, const char *label, char out[BKC_NAME_MAX], BkcError *err)
{
	return check_backup(sysid, label, out, err) &&
		format_name(out, err, "%" PRIu64 "/backups/%s/manifest", sysid, label);
}

bool
bkc_name_pack(uint64_t sysid, const char *label, uint32_t worker, uint32_t n,
			  char out[BKC_NAME_MAX], BkcError *err)
{
	return check_backup(sysid, label, out, err) &&
		format_name(out, err, "%" PRIu64 "/backups/%s/data/%" PRIu32 "-%" PRIu32 ".pack",
					sysid, label, worker, n);
}

bool
bkc_name_note(uint64_t sysid, const char *label, int64_t now, const char *kind,
			  char out[BKC_NAME_MAX], BkcError *err)
{
	time_t		when = (time_t) (now / 1000000);
	char		stamp[16];		/* 20261120T120301 */
	struct tm	tm;
	size_t		len;

	if (!check_backup(sysid, label, out, err))
		return false;
	len = kind ? strspn(kind, "abcdefghijklmnopqrstuvwxyz") : 0;
	if (len == 0 || len > NOTE_KIND_MAX || kind[len] != '\0')
		return bkc_error_set(err, BKC_ERR_INVALID, "invalid kind of note \"%.40s\"",
							 kind ? kind : "");
	if (now < 0 || gmtime_r(&when, &tm) == NULL || tm.tm_year > 9999 - 1900 ||
		strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S", &tm) == 0)
		return bkc_error_set(err, BKC_ERR_INVALID, "clock is out of range for the name of a note");
	return format_name(out, err, "%" PRIu64 "/backups/%s/notes/%s%03dZ-%s", sysid, label, stamp,
					   (int) (now % 1000000 / 1000), kind);
}

/*
 * A decimal number in the one form we write it (no sign, no leading zero),
 * so that no two names mean the same thing.
 */
static bool
parse_canonical(const char *text, uint64_t max, uint64_t *value)
{
	if (text[0] == '0' && text[1] != '\0')
		return false;
	return bkc_parse_u64(text, max, value);
}

bool
bkc_name_parse_sysid(const char *component, uint64_t *sysid)
{
	uint64_t	value;

	if (component == NULL || !parse_canonical(component, UINT64_MAX, &value) || value == 0)
		return false;
	*sysid = value;
	return true;
}

bool
bkc_name_parse_pack(const char *base, uint32_t *worker, uint32_t *n)
{
	static const char suffix[] = ".pack";
	char		text[32];
	char	   *dash;
	size_t		len;
	uint64_t	first;
	uint64_t	second;

	if (base == NULL)
		return false;
	len = strnlen(base, sizeof(text));
	if (len >= sizeof(text) || len < sizeof(suffix) ||
		memcmp(base + len - (sizeof(suffix) - 1), suffix, sizeof(suffix)) != 0)
		return false;
	len -= sizeof(suffix) - 1;
	memcpy(text, base, len);
	text[len] = '\0';
	dash = strchr(text, '-');
	if (dash == NULL)
		return false;
	*dash = '\0';
	if (!parse_canonical(text, UINT32_MAX, &first) ||
		!parse_canonical(dash + 1, UINT32_MAX, &second))
		return false;
	*worker = (uint32_t) first;
	*n = (uint32_t) second;
	return true;
}

/* ---- WAL ---- */

/* Upper-case digits that were checked, or lower-case ones that will be (by writing them again). */
static uint64_t
hex_value(const char *text, size_t digits)
{
	uint64_t	value = 0;

	for (; digits > 0; digits--, text++)
		value = value << 4 | (uint64_t) (*text <= '9' ? *text - '0' : (*text | 32) - 'a' + 10);
	return value;
}

static bool
is_hash(const char *hash)
{
	return hash != NULL && strspn(hash, "0123456789abcdef") == BKC_WAL_HASH_DIGITS &&
		hash[BKC_WAL_HASH_DIGITS] == '\0';
}

/* Fills all but hash, conflict and what belongs to chunks. */
static bool
classify_file(const char *file, BkcWalName *parsed)
{
	memset(parsed, 0, sizeof(*parsed));
	if (file == NULL || strnlen(file, sizeof(parsed->file)) >= sizeof(parsed->file))
		return false;
	if (bkc_wal_is_segment(file))
		parsed->type = BKC_WALNAME_SEGMENT;
	else if (bkc_wal_is_partial(file))
		parsed->type = BKC_WALNAME_PARTIAL;
	else if (bkc_wal_is_backup(file))
		parsed->type = BKC_WALNAME_BACKUP;
	else if (bkc_wal_is_history(file))
		parsed->type = BKC_WALNAME_HISTORY;
	else
		return false;
	parsed->timeline = (uint32_t) hex_value(file, HEX8_LEN);
	if (parsed->type != BKC_WALNAME_HISTORY)
	{
		parsed->log = (uint32_t) hex_value(file + HEX8_LEN, HEX8_LEN);
		if (hex_value(file + 2 * HEX8_LEN, HEX8_LEN) >= SEGMENTS_MAX)
			return false;
	}
	memcpy(parsed->file, file, strlen(file) + 1);
	return parsed->timeline != 0;
}

static bool
check_file(uint64_t sysid, const char *file, BkcWalName *parsed, char out[BKC_NAME_MAX],
		   BkcError *err)
{
	if (!check_sysid(sysid, out, err))
		return false;
	return classify_file(file, parsed) ||
		bkc_error_set(err, BKC_ERR_INVALID, "\"%.64s\" is not the name of a WAL file",
					  file ? file : "");
}

bool
bkc_name_wal_root(uint64_t sysid, char out[BKC_NAME_MAX], BkcError *err)
{
	return check_sysid(sysid, out, err) &&
		format_name(out, err, "%" PRIu64 "/wal/", sysid);
}

bool
bkc_name_wal_timeline(uint64_t sysid, uint32_t timeline, char out[BKC_NAME_MAX], BkcError *err)
{
	if (!check_sysid(sysid, out, err))
		return false;
	if (timeline == 0)
		return bkc_error_set(err, BKC_ERR_INVALID, "timeline is zero");
	return format_name(out, err, "%" PRIu64 "/wal/%08" PRIX32 "/", sysid, timeline);
}

bool
bkc_name_wal_log(uint64_t sysid, uint32_t timeline, uint32_t log, char out[BKC_NAME_MAX],
				 BkcError *err)
{
	return bkc_name_wal_timeline(sysid, timeline, out, err) &&
		format_name(out, err, "%" PRIu64 "/wal/%08" PRIX32 "/%08" PRIX32 "/", sysid, timeline, log);
}

bool
bkc_name_wal_file(uint64_t sysid, const char *file, const char *hash, char out[BKC_NAME_MAX],
				  BkcError *err)
{
	BkcWalName	parsed;

	if (!check_file(sysid, file, &parsed, out, err))
		return false;
	if (parsed.type == BKC_WALNAME_HISTORY && hash == NULL)
		return format_name(out, err, "%" PRIu64 "/wal/%s", sysid, file);
	if (parsed.type == BKC_WALNAME_PARTIAL ? !is_hash(hash) : hash != NULL)
		return bkc_error_set(err, BKC_ERR_INVALID,
							 "object of \"%s\" has its content's hash missing or misplaced", file);
	return format_name(out, err, "%" PRIu64 "/wal/%08" PRIX32 "/%08" PRIX32 "/%s%s%s", sysid,
					   parsed.timeline, parsed.log, file, hash ? "-" : "", hash ? hash : "");
}

bool
bkc_name_wal_conflict(uint64_t sysid, const char *file, const char *hash, char out[BKC_NAME_MAX],
					  BkcError *err)
{
	char		plain[BKC_NAME_MAX];

	out[0] = '\0';
	if (!is_hash(hash))
		return bkc_error_set(err, BKC_ERR_INVALID, "conflict object needs its content's hash");
	return bkc_name_wal_file(sysid, file, NULL, plain, err) &&
		format_name(out, err, "%s" CONFLICT_INFIX "%s", plain, hash);
}

bool
bkc_name_wal_chunks(uint64_t sysid, const char *segment, char out[BKC_NAME_MAX], BkcError *err)
{
	char		plain[BKC_NAME_MAX];
	BkcWalName	parsed;

	if (!check_file(sysid, segment, &parsed, out, err))
		return false;
	if (parsed.type != BKC_WALNAME_SEGMENT)
		return bkc_error_set(err, BKC_ERR_INVALID, "\"%s\" is not a segment", segment);
	return bkc_name_wal_file(sysid, segment, NULL, plain, err) &&
		format_name(out, err, "%s" CHUNKS_INFIX, plain);
}

bool
bkc_name_wal_chunk(uint64_t sysid, const char *segment, uint64_t generation, uint32_t offset,
				   char out[BKC_NAME_MAX], BkcError *err)
{
	char		folder[BKC_NAME_MAX];

	out[0] = '\0';
	if (generation == 0 || offset >= OFFSET_MAX)
		return bkc_error_set(err, BKC_ERR_INVALID, "chunk cannot have generation %" PRIu64
							 " and offset %" PRIu32, generation, offset);
	return bkc_name_wal_chunks(sysid, segment, folder, err) &&
		format_name(out, err, "%s%016" PRIx64 "-%08" PRIx32, folder, generation, offset);
}

bool
bkc_name_parse_chunks(const char *folder, char segment[BKC_WAL_NAME_MAX])
{
	size_t		len = strlen(folder);
	const char *base;

	if (len < SEGMENT_LEN + strlen(CHUNKS_INFIX) + 1)
		return false;
	base = folder + len - strlen(CHUNKS_INFIX) - SEGMENT_LEN;
	if (base[-1] != '/' || strcmp(base + SEGMENT_LEN, CHUNKS_INFIX) != 0)
		return false;
	memcpy(segment, base, SEGMENT_LEN);
	segment[SEGMENT_LEN] = '\0';
	return bkc_wal_is_segment(segment);
}

/* The file is the first len bytes of text. */
static bool
classify_part(const char *text, size_t len, BkcWalName *parsed)
{
	char		file[sizeof(parsed->file)];

	if (len >= sizeof(file))
		return false;
	memcpy(file, text, len);
	file[len] = '\0';
	return classify_file(file, parsed);
}

/* Take the last part (with chunks: the last two) of a name to pieces; folders are not looked at. */
static bool
parse_base(const char *name, BkcWalName *parsed)
{
	const char *chunks = strstr(name, CHUNKS_INFIX);
	const char *base = strrchr(name, '/') + 1;
	const char *infix;

	if (chunks != NULL)
	{
		if (base != chunks + strlen(CHUNKS_INFIX) || strlen(base) != CHUNK_NAME_LEN ||
			chunks - name < SEGMENT_LEN ||
			!classify_part(chunks - SEGMENT_LEN, SEGMENT_LEN, parsed))
			return false;
		parsed->type = BKC_WALNAME_CHUNK;
		parsed->generation = hex_value(base, 16);
		parsed->offset = (uint32_t) hex_value(base + 17, HEX8_LEN);
		return true;
	}
	infix = strstr(base, CONFLICT_INFIX);
	if (infix != NULL)
	{
		if (!classify_part(base, (size_t) (infix - base), parsed))
			return false;
		parsed->conflict = true;
		infix += strlen(CONFLICT_INFIX);
	}
	else
	{
		infix = strstr(base, PARTIAL_INFIX);
		if (infix == NULL)
			return classify_part(base, strlen(base), parsed);
		infix += strlen(PARTIAL_INFIX);
		if (!classify_part(base, (size_t) (infix - 1 - base), parsed))
			return false;
	}
	if (!is_hash(infix))
		return false;
	memcpy(parsed->hash, infix, sizeof(parsed->hash));
	return true;
}

/*
 * What was understood is written again and compared: so exactly what the
 * functions above write is accepted, folders and spelling included.
 */
bool
bkc_name_parse_wal(const char *name, BkcWalName *parsed)
{
	char		again[BKC_NAME_MAX];
	uint64_t	sysid;
	BkcError	err;
	bool		ok;

	memset(parsed, 0, sizeof(*parsed));
	if (!bkc_name_valid(name) || !bkc_name_parse_cluster(name, &sysid) || !parse_base(name, parsed))
		return false;
	if (parsed->type == BKC_WALNAME_CHUNK)
		ok = bkc_name_wal_chunk(sysid, parsed->file, parsed->generation, parsed->offset, again,
								&err);
	else if (parsed->conflict)
		ok = bkc_name_wal_conflict(sysid, parsed->file, parsed->hash, again, &err);
	else
		ok = bkc_name_wal_file(sysid, parsed->file, parsed->hash[0] ? parsed->hash : NULL, again,
							   &err);
	return ok && strcmp(name, again) == 0;
}

/* ---- ownership ---- */

bool
bkc_name_owners(uint64_t sysid, char out[BKC_NAME_MAX], BkcError *err)
{
	return check_sysid(sysid, out, err) &&
		format_name(out, err, "%" PRIu64 "/owner/", sysid);
}

bool
bkc_name_owner(uint64_t sysid, uint32_t number, char out[BKC_NAME_MAX], BkcError *err)
{
	if (!check_sysid(sysid, out, err))
		return false;
	if (number == 0 || number > BKC_OWNER_NUMBER_MAX)
		return bkc_error_set(err, BKC_ERR_INVALID, "owner cannot have number %" PRIu32, number);
	return format_name(out, err, "%" PRIu64 "/owner/%08" PRIu32, sysid, number);
}

bool
bkc_name_parse_owner(const char *component, uint32_t *number)
{
	uint64_t	value;

	if (component == NULL || strnlen(component, HEX8_LEN + 1) != HEX8_LEN ||
		!bkc_parse_u64(component, BKC_OWNER_NUMBER_MAX, &value) || value == 0)
		return false;
	*number = (uint32_t) value;
	return true;
}
