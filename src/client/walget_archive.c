/*
 * walget_archive.c
 *		What a repository's archive holds of a file, and its neighbours.
 *
 * An archive may hold a million segments.  What is asked of it here is one
 * folder, that of the segment's log (4 GiB of WAL); only where that has no later
 * segment the folders of later logs are looked for.
 */
#include "walget.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "pipe/walobj.h"

#define SEGMENT_LEN		24

/* ---- listing a log ---- */

typedef struct LogEntry
{
	char		segment[BKC_WAL_NAME_MAX];
	bool		conflict;
	bool		chunks;			/* else (a form of) the whole segment */
} LogEntry;

/* What one name in a log's folder is about; false for all that is no segment. */
static bool
parse_entry(const char *name, LogEntry *entry)
{
	BkcWalName	parsed;

	memset(entry, 0, sizeof(*entry));
	entry->chunks = bkc_name_parse_chunks(name, entry->segment);
	if (entry->chunks)
		return true;
	if (!bkc_name_parse_wal(name, &parsed) || parsed.type != BKC_WALNAME_SEGMENT)
		return false;
	memcpy(entry->segment, parsed.file, SEGMENT_LEN);
	entry->conflict = parsed.conflict;
	return true;
}

typedef struct LookScan
{
	const char *file;
	BkcWalLook *look;
} LookScan;

static bool
look_at(void *arg, const char *name, uint64_t size, BkcError *err)
{
	LookScan   *scan = arg;
	BkcWalLook *look = scan->look;
	LogEntry	entry;
	int			order;

	if (!parse_entry(name, &entry))
		return true;
	if (!entry.chunks && !entry.conflict && look->sample[0] == '\0')
		snprintf(look->sample, sizeof(look->sample), "%s", name);

	/* upper-case digits of one length: the order of names is that of segments */
	order = strcmp(entry.segment, scan->file);
	if (order > 0 && look->later[0] == '\0')
		snprintf(look->later, sizeof(look->later), "%s", entry.segment);
	if (order != 0)
		return true;
	if (entry.chunks)
		look->chunks = true;
	else
		look->whole = true;
	if (entry.conflict)
		look->conflict = true;
	return true;
}

static uint32_t
log_of(const char *segment)
{
	char		digits[9];

	memcpy(digits, segment + 8, 8);
	digits[8] = '\0';
	return (uint32_t) strtoul(digits, NULL, 16);
}

static bool
list_log(const BkcWalGet *w, BkcSession *session, uint32_t log, BkcWalLook *look, BkcError *err)
{
	LookScan	scan = {.file = w->file, .look = look};
	char		prefix[BKC_NAME_MAX];

	return bkc_name_wal_log(session->sysid, w->timeline, log, prefix, err) &&
		bkc_store_list(session->store, prefix, false, look_at, &scan, err);
}

/* ---- later logs ---- */

/* The lowest log above one. */
typedef struct LogScan
{
	size_t		prefix_len;
	uint32_t	above;
	uint32_t	next;
	bool		found;
} LogScan;

static bool
take_log(void *arg, const char *name, uint64_t size, BkcError *err)
{
	LogScan    *scan = arg;
	const char *digits = name + scan->prefix_len;
	uint32_t	log;

	if (strlen(digits) != 9 || digits[8] != '/' || strspn(digits, "0123456789ABCDEF") != 8)
		return true;
	log = (uint32_t) strtoul(digits, NULL, 16);
	if (log <= scan->above || (scan->found && log >= scan->next))
		return true;
	scan->next = log;
	scan->found = true;
	return true;
}

/* A segment in a later log: usually the next one has it, else one after the other is asked. */
static bool
look_later(const BkcWalGet *w, BkcSession *session, BkcWalLook *look, BkcError *err)
{
	LogScan		scan = {.above = log_of(w->file)};
	char		prefix[BKC_NAME_MAX];

	if (!bkc_name_wal_timeline(session->sysid, w->timeline, prefix, err))
		return false;
	scan.prefix_len = strlen(prefix);
	while (look->later[0] == '\0')
	{
		scan.found = false;
		if (!bkc_store_list(session->store, prefix, false, take_log, &scan, err))
			return false;
		if (!scan.found)
			return true;
		if (!list_log(w, session, scan.next, look, err))
			return false;
		scan.above = scan.next;
	}
	return true;
}

bool
bkc_walget_look(const BkcWalGet *w, BkcSession *session, BkcWalLook *look, BkcError *err)
{
	memset(look, 0, sizeof(*look));
	return list_log(w, session, log_of(w->file), look, err) &&
		(look->whole || look->later[0] != '\0' || look_later(w, session, look, err));
}

/* ---- for the prefetch ---- */

typedef struct RowScan
{
	uint32_t	timeline;
	uint32_t	segment_size;
	uint64_t	first;
	unsigned char *there;
	size_t		n;
} RowScan;

static bool
take_row(void *arg, const char *name, uint64_t size, BkcError *err)
{
	RowScan    *scan = arg;
	LogEntry	entry;
	uint32_t	timeline;
	uint64_t	segno;

	if (!parse_entry(name, &entry) || entry.chunks ||
		!bkc_wal_segment_parse(entry.segment, scan->segment_size, &timeline, &segno) ||
		timeline != scan->timeline || segno < scan->first || segno - scan->first >= scan->n)
		return true;
	if (entry.conflict)
		scan->there[segno - scan->first] = BKC_WAL_CONFLICT;
	else if (scan->there[segno - scan->first] == 0)
		scan->there[segno - scan->first] = BKC_WAL_PLAIN;
	return true;
}

bool
bkc_walget_list(const BkcWalGet *w, BkcSession *session, uint32_t log, uint64_t first,
				unsigned char *there, size_t n, BkcError *err)
{
	RowScan		scan = {
		.timeline = w->timeline,
		.segment_size = w->segment_size,
		.first = first,
		.there = there,
		.n = n
	};
	char		prefix[BKC_NAME_MAX];

	return bkc_name_wal_log(session->sysid, w->timeline, log, prefix, err) &&
		bkc_store_list(session->store, prefix, false, take_row, &scan, err);
}

/* ---- reading ---- */

typedef struct ObjectFill
{
	BkcWalGet  *w;
	BkcSession *session;
	const char *file;
	char		name[BKC_NAME_MAX];
} ObjectFill;

static bool
fill_from_object(void *arg, int fd, const char *path, BkcError *err)
{
	ObjectFill *f = arg;
	BkcWalInfo	info;
	uint64_t	max = BKC_WAL_SEGMENT_MAX;

	if (!bkc_wal_is_segment(f->file))
		max = BKC_WAL_HISTORY_MAX;
	else if (f->w->segment_size != 0)
		max = f->w->segment_size;
	if (!bkc_wal_read(f->session->store, f->name, max, fd, path, &info, err))
		return false;
	if (info.system_identifier != f->session->sysid || strcmp(info.file, f->file) != 0)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "object \"%s\" in repository \"%s\" holds %s of cluster %" PRIu64,
							 f->name, f->session->store->location, info.file,
							 info.system_identifier);
	return !bkc_wal_is_segment(f->file) ||
		bkc_walget_take_size(f->w, info.segment_size, f->name, err);
}

bool
bkc_walget_segment(BkcWalGet *w, BkcSession *session, const char *file, const char *path,
				   bool conflict, BkcError *err)
{
	ObjectFill	fill = {.w = w, .session = session, .file = file};

	if (conflict)
	{
		if (!bkc_wal_find(session->store, session->sysid, file, fill.name, err))
			return false;
	}
	else if (!bkc_name_wal_file(session->sysid, file, NULL, fill.name, err))
		return false;
	return bkc_walget_deliver(w, file, path, path != w->path, fill_from_object, &fill, err);
}

bool
bkc_walget_archive(BkcWalGet *w, BkcSession *session, const BkcWalLook *look, bool *found,
				   BkcError *err)
{
	ObjectFill	fill = {.w = w, .session = session, .file = w->file};

	*found = true;
	if (!w->history)
		return bkc_walget_segment(w, session, w->file, w->path, look->conflict, err);
	if (!bkc_wal_find(session->store, session->sysid, w->file, fill.name, err))
	{
		*found = false;
		return err->code == BKC_ERR_NOT_FOUND;
	}
	return bkc_walget_deliver(w, w->file, w->path, false, fill_from_object, &fill, err);
}
