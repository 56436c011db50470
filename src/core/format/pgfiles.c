/*
 * pgfiles.c
 *		WAL file names, histories and the control file (contract: pgfiles.h).
 */
#include "format/pgfiles.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define WAL_SEGMENT_LEN		24
#define WAL_HISTORY_SUFFIX	".history"
#define WAL_BACKUP_SUFFIX	".backup"
#define WAL_PARTIAL_SUFFIX	".partial"
#define HEX8_LEN			8

/* ---- names in pg_wal ---- */

static bool
segment_size_valid(uint32_t size)
{
	return size >= 1024 * 1024 && size <= 1024 * 1024 * 1024 && (size & (size - 1)) == 0;
}

/* PostgreSQL writes upper-case digits only, so nothing else is one of its names. */
static bool
parse_hex8(const char *text, uint32_t *value)
{
	uint32_t	v = 0;
	int			i;

	for (i = 0; i < HEX8_LEN; i++)
	{
		char		c = text[i];

		if (c >= '0' && c <= '9')
			v = v << 4 | (uint32_t) (c - '0');
		else if (c >= 'A' && c <= 'F')
			v = v << 4 | (uint32_t) (c - 'A' + 10);
		else
			return false;		/* also at the end of a short text */
	}
	*value = v;
	return true;
}

void
bkc_wal_segment_name(uint32_t timeline, uint64_t segno, uint32_t segment_size,
					 char out[BKC_WAL_NAME_MAX])
{
	uint64_t	per_log;

	out[0] = '\0';
	if (!segment_size_valid(segment_size))
		return;
	per_log = (UINT64_C(1) << 32) / segment_size;
	snprintf(out, BKC_WAL_NAME_MAX, "%08" PRIX32 "%08" PRIX32 "%08" PRIX32, timeline,
			 (uint32_t) (segno / per_log), (uint32_t) (segno % per_log));
}

bool
bkc_wal_segment_parse(const char *name, uint32_t segment_size, uint32_t *timeline, uint64_t *segno)
{
	uint64_t	per_log;
	uint32_t	tli;
	uint32_t	log;
	uint32_t	seg;

	if (!segment_size_valid(segment_size))
		return false;
	per_log = (UINT64_C(1) << 32) / segment_size;
	if (!parse_hex8(name, &tli) || !parse_hex8(name + HEX8_LEN, &log) ||
		!parse_hex8(name + 2 * HEX8_LEN, &seg) || name[WAL_SEGMENT_LEN] != '\0')
		return false;
	if (tli == 0 || seg >= per_log)
		return false;
	*timeline = tli;
	*segno = (uint64_t) log * per_log + seg;
	return true;
}

void
bkc_wal_history_name(uint32_t timeline, char out[BKC_WAL_NAME_MAX])
{
	snprintf(out, BKC_WAL_NAME_MAX, "%08" PRIX32 WAL_HISTORY_SUFFIX, timeline);
}

static bool
begins_with_segment(const char *name)
{
	uint32_t	part;

	return parse_hex8(name, &part) && parse_hex8(name + HEX8_LEN, &part) &&
		parse_hex8(name + 2 * HEX8_LEN, &part);
}

bool
bkc_wal_is_segment(const char *name)
{
	return begins_with_segment(name) && name[WAL_SEGMENT_LEN] == '\0';
}

bool
bkc_wal_is_backup(const char *name)
{
	uint32_t	offset;

	return begins_with_segment(name) && name[WAL_SEGMENT_LEN] == '.' &&
		parse_hex8(name + WAL_SEGMENT_LEN + 1, &offset) &&
		strcmp(name + WAL_SEGMENT_LEN + 1 + HEX8_LEN, WAL_BACKUP_SUFFIX) == 0;
}

bool
bkc_wal_is_partial(const char *name)
{
	return begins_with_segment(name) && strcmp(name + WAL_SEGMENT_LEN, WAL_PARTIAL_SUFFIX) == 0;
}

bool
bkc_wal_is_history(const char *name)
{
	uint32_t	timeline;

	return parse_hex8(name, &timeline) && strcmp(name + HEX8_LEN, WAL_HISTORY_SUFFIX) == 0;
}

uint32_t
bkc_wal_timeline(const char *name)
{
	uint32_t	timeline;

	if (!bkc_wal_is_segment(name) && !bkc_wal_is_history(name))
		return 0;
	return parse_hex8(name, &timeline) ? timeline : 0;
}

/* ---- a timeline's history ---- */

/* What PostgreSQL's reader takes at once: a longer line goes on as a line of its own. */
#define HISTORY_LINE_MAX	1023

/* The position while a line is read; at the end there is nothing that any caller takes. */
typedef struct HistoryLine
{
	const char *p;
	const char *end;
} HistoryLine;

static bool
skip_blanks(HistoryLine *line)
{
	const char *start = line->p;

	while (line->p < line->end && (*line->p == ' ' || (*line->p >= '\t' && *line->p <= '\r')))
		line->p++;
	return line->p > start;
}

/* An unsigned number of 32 bits in that base. */
static bool
take_u32(HistoryLine *line, unsigned base, uint32_t *value)
{
	const char *start = line->p;
	uint64_t	v = 0;

	for (; line->p < line->end && v <= UINT32_MAX; line->p++)
	{
		char		c = *line->p;
		unsigned	digit = base;

		if (c >= '0' && c <= '9')
			digit = (unsigned) (c - '0');
		else if ((c | 32) >= 'a' && (c | 32) <= 'f')
			digit = (unsigned) ((c | 32) - 'a' + 10);
		if (digit >= base)
			break;
		v = v * base + digit;
	}
	*value = (uint32_t) v;
	return line->p > start && v <= UINT32_MAX;
}

/* "<timeline> <switch point> <reason>"; *found = false for an empty line or a comment. */
static bool
parse_history_line(const char *text, size_t len, BkcHistoryEntry *entry, bool *found,
				   BkcError *err)
{
	HistoryLine line = {text, text + len};
	uint32_t	high;
	uint32_t	low;

	skip_blanks(&line);
	*found = line.p < line.end && *line.p != '#';
	if (!*found)
		return true;
	if (!take_u32(&line, 10, &entry->timeline) || entry->timeline == 0)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "a line does not begin with a timeline");
	if (!skip_blanks(&line) || !take_u32(&line, 16, &high) ||
		line.p == line.end || *line.p++ != '/' || !take_u32(&line, 16, &low))
		return bkc_error_set(err, BKC_ERR_CORRUPT, "a line has no switch point");
	entry->switch_lsn = (uint64_t) high << 32 | low;
	return true;
}

static bool
append_history(BkcHistoryEntry **entries, size_t *n, const BkcHistoryEntry *entry, BkcError *err)
{
	BkcHistoryEntry *larger;

	/* at 8, 16, 32, ... entries there is no room for one more */
	if (*n == 0 || (*n >= 8 && (*n & (*n - 1)) == 0))
	{
		size_t		bytes;

		if (!bkc_mul_size(*n == 0 ? 8 : *n * 2, sizeof(**entries), &bytes) ||
			(larger = realloc(*entries, bytes)) == NULL)
			return bkc_error_oom(err);
		*entries = larger;
	}
	(*entries)[(*n)++] = *entry;
	return true;
}

static bool
parse_history(const char *text, size_t len, uint32_t timeline, BkcHistoryEntry **entries,
			  size_t *n, BkcError *err)
{
	uint32_t	last = 0;
	size_t		at = 0;

	/* the reader of PostgreSQL would pass over the rest of that line */
	if (memchr(text, '\0', len) != NULL)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "a byte is zero");
	while (at < len)
	{
		const char *newline;
		size_t		max = len - at < HISTORY_LINE_MAX ? len - at : HISTORY_LINE_MAX;
		BkcHistoryEntry entry;
		bool		found;

		newline = memchr(text + at, '\n', max);
		if (newline != NULL)
			max = (size_t) (newline - (text + at)) + 1;
		if (!parse_history_line(text + at, max, &entry, &found, err))
			return false;
		at += max;
		if (!found)
			continue;
		if (entry.timeline <= last)
			return bkc_error_set(err, BKC_ERR_CORRUPT, "timelines are not in increasing order");
		last = entry.timeline;
		if (!append_history(entries, n, &entry, err))
			return false;
	}
	if (timeline <= last)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "timeline %" PRIu32
							 " cannot be an ancestor of timeline %" PRIu32, last, timeline);
	return true;
}

bool
bkc_wal_history_parse(const char *text, size_t len, uint32_t timeline, BkcHistoryEntry **entries,
					  size_t *n, BkcError *err)
{
	*entries = NULL;
	*n = 0;
	if (len == 0 || parse_history(text, len, timeline, entries, n, err))
		return true;
	free(*entries);
	*entries = NULL;
	*n = 0;
	return bkc_error_context(err, "history of timeline %" PRIu32, timeline);
}

/* ---- CRC-32C ---- */

/*
 * By half bytes: sixteen constants that can be checked by eye.  It only ever
 * sees a control file's 300 bytes.
 */
uint32_t
bkc_crc32c(const void *data, size_t len)
{
	static const uint32_t table[16] = {
		0x00000000, 0x105EC76F, 0x20BD8EDE, 0x30E349B1,
		0x417B1DBC, 0x5125DAD3, 0x61C69362, 0x7198540D,
		0x82F63B78, 0x92A8FC17, 0xA24BB5A6, 0xB21572C9,
		0xC38D26C4, 0xD3D3E1AB, 0xE330A81A, 0xF36E6F75
	};
	const uint8_t *p = data;
	uint32_t	crc = 0xFFFFFFFF;

	while (len-- > 0)
	{
		crc ^= *p++;
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return crc ^ 0xFFFFFFFF;
}

/* ---- the control file ---- */

/*
 * Where the fields of ControlFileData lie on machines with 8-byte alignment
 * (every 64-bit one PostgreSQL runs on), as offsetof() gives them with each
 * major's own catalog/pg_control.h.  The first two fields are at the same
 * place in every version.  A wrong guess cannot go unnoticed: the CRC would
 * be looked for at a wrong place.
 */
#define CONTROL_SYSTEM_IDENTIFIER	0
#define CONTROL_VERSION				8
#define CONTROL_CATALOG_VERSION		12

typedef struct ControlLayout
{
	uint32_t	control_version;
	uint16_t	timeline;		/* checkPointCopy.ThisTimeLineID */
	uint16_t	max_connections;	/* MaxConnections; the next four follow it */
	uint16_t	block_size;		/* blcksz */
	uint16_t	wal_segment_size;	/* xlog_seg_size */
	uint16_t	data_checksum_version;
	uint16_t	crc;
} ControlLayout;

static const ControlLayout control_layouts[] = {
	{1300, 48, 180, 216, 228, 252, 288},	/* 13 to 16 */
	{1700, 48, 180, 216, 228, 252, 288},	/* 17: wal_level in what was padding */
	{1800, 48, 180, 216, 228, 252, 292},	/* 18: default_char_signedness before the nonce */
	{1905, 48, 188, 224, 240, 268, 308},	/* 19 (rc1) */
};

static const ControlLayout *
find_control_layout(uint32_t control_version)
{
	size_t		i;

	for (i = 0; i < sizeof(control_layouts) / sizeof(control_layouts[0]); i++)
	{
		if (control_layouts[i].control_version == control_version)
			return &control_layouts[i];
	}
	return NULL;
}

/*
 * Versions are small numbers; one whose bytes make sense only backwards
 * comes from a machine of the other byte order.
 */
static bool
refuse_control_version(uint32_t version, BkcError *err)
{
	uint32_t	swapped = __builtin_bswap32(version);

	if (version > UINT16_MAX && swapped <= UINT16_MAX)
		return bkc_error_set(err, BKC_ERR_UNSUPPORTED,
							 "control file was written on a machine with another byte order");
	return bkc_error_set(err, BKC_ERR_UNSUPPORTED,
						 "control file has version %" PRIu32
						 ", which this version of pg_backupctl does not know", version);
}

bool
bkc_control_parse(const uint8_t *data, size_t len, BkcControl *control, BkcError *err)
{
	const ControlLayout *layout;
	uint32_t	version;

	memset(control, 0, sizeof(*control));
	if (len < CONTROL_CATALOG_VERSION + 4)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "control file is too short: %zu bytes", len);
	version = bkc_get_u32(data + CONTROL_VERSION);
	layout = find_control_layout(version);
	if (layout == NULL)
		return refuse_control_version(version, err);
	if (len < layout->crc + (size_t) 4)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "control file is too short: %zu bytes", len);
	if (bkc_crc32c(data, layout->crc) != bkc_get_u32(data + layout->crc))
		return bkc_error_set(err, BKC_ERR_CORRUPT, "control file has a wrong checksum");

	control->system_identifier = bkc_get_u64(data + CONTROL_SYSTEM_IDENTIFIER);
	control->control_version = version;
	control->catalog_version = bkc_get_u32(data + CONTROL_CATALOG_VERSION);
	control->timeline = bkc_get_u32(data + layout->timeline);
	control->max_connections = (int) bkc_get_u32(data + layout->max_connections);
	control->max_worker_processes = (int) bkc_get_u32(data + layout->max_connections + 4);
	control->max_wal_senders = (int) bkc_get_u32(data + layout->max_connections + 8);
	control->max_prepared_xacts = (int) bkc_get_u32(data + layout->max_connections + 12);
	control->max_locks_per_xact = (int) bkc_get_u32(data + layout->max_connections + 16);
	control->block_size = bkc_get_u32(data + layout->block_size);
	control->wal_segment_size = bkc_get_u32(data + layout->wal_segment_size);
	control->data_checksum_version = bkc_get_u32(data + layout->data_checksum_version);
	return true;
}
