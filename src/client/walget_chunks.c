/*
 * walget_chunks.c
 *		The open segment, put together from its chunks.
 *
 * What is behind the last chunk becomes zeros, the end of WAL.  That is right
 * only for the last segment of a recovery that goes to the end
 * of this very timeline: anywhere else it would end a recovery too early
 * without a word.
 */
#include "walget.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "pipe/walobj.h"

#define HISTORY_MAX		(1024 * 1024)

/* ---- children of the timeline ---- */

typedef struct TimelineScan
{
	size_t		prefix_len;
	uint32_t	above;
	uint32_t   *list;			/* of which there is a history */
	size_t		n;
} TimelineScan;

static bool
take_timeline(void *arg, const char *name, uint64_t size, BkcError *err)
{
	TimelineScan *scan = arg;
	BkcWalName	parsed;
	uint32_t   *list;

	if (!bkc_name_parse_wal(name, &parsed) || parsed.type != BKC_WALNAME_HISTORY ||
		parsed.timeline <= scan->above)
		return true;
	if (scan->n > 0 && scan->list[scan->n - 1] == parsed.timeline)
		return true;			/* a conflict object beside it */
	list = reallocarray(scan->list, scan->n + 1, sizeof(uint32_t));
	if (list == NULL)
		return bkc_error_oom(err);
	scan->list = list;
	list[scan->n++] = parsed.timeline;
	return true;
}

/* A history is small: memory is its file. */
static bool
read_history(BkcSession *session, uint32_t timeline, BkcHistoryEntry **entries, size_t *n,
			 BkcError *err)
{
	char		file[BKC_WAL_NAME_MAX];
	char		name[BKC_NAME_MAX];
	BkcWalInfo	info;
	char	   *text = NULL;
	size_t		got = 0;
	int			fd = memfd_create("history", MFD_CLOEXEC);
	bool		ok;

	*entries = NULL;
	*n = 0;
	if (fd < 0)
		return bkc_error_os(err, errno, "could not create a file in memory");
	bkc_wal_history_name(timeline, file);
	ok = bkc_wal_find(session->store, session->sysid, file, name, err) &&
		bkc_wal_read(session->store, name, fd, file, &info, err);
	if (ok && info.size > HISTORY_MAX)
		ok = bkc_error_set(err, BKC_ERR_CORRUPT, "object \"%s\" in repository \"%s\" is too large for a timeline history",
						   name, session->store->location);
	if (ok)
	{
		text = malloc((size_t) info.size + 1);
		ok = (text != NULL || bkc_error_oom(err)) &&
			bkc_file_pread(fd, file, text, (size_t) info.size, 0, &got, err) &&
			bkc_wal_history_parse(text, got, timeline, entries, n, err);
	}
	free(text);
	close(fd);
	return ok;
}

/*
 * Without --timeline the server decides, by its default for the newest timeline.  If one
 * leaves this timeline at or before the segment, recovery does not end here.
 */
static bool
is_left(const BkcWalGet *w, BkcSession *session, uint32_t child, bool *left, BkcError *err)
{
	BkcHistoryEntry *entries;
	size_t		n;
	uint64_t	end = bkc_walget_start(w) + w->segment_size;

	if (!read_history(session, child, &entries, &n, err))
		return false;
	for (size_t i = 0; i < n; i++)
	{
		if (entries[i].timeline == w->timeline && entries[i].switch_lsn <= end)
			*left = true;
	}
	free(entries);
	return true;
}

bool
bkc_walget_chunks_allowed(const BkcWalGet *w, BkcSession *session, bool *allowed, BkcError *err)
{
	TimelineScan scan = {.above = w->timeline};
	char		prefix[BKC_NAME_MAX];
	bool		left = false;
	bool		ok;

	*allowed = !w->standby && (w->target == 0 || w->target == w->timeline);
	if (!*allowed || w->target != 0)
		return true;
	if (!bkc_name_wal_root(session->sysid, prefix, err))
		return false;
	ok = bkc_store_list(session->store, prefix, false, take_timeline, &scan, err);
	for (size_t i = 0; ok && !left && i < scan.n; i++)
		ok = is_left(w, session, scan.list[i], &left, err);
	free(scan.list);
	*allowed = !left;
	return ok;
}

/* ---- reading ---- */

typedef struct FirstName
{
	char		name[BKC_NAME_MAX];
} FirstName;

static bool
take_first(void *arg, const char *name, uint64_t size, BkcError *err)
{
	FirstName  *first = arg;
	BkcWalName	parsed;

	if (first->name[0] == '\0' && bkc_name_parse_wal(name, &parsed) &&
		parsed.type == BKC_WALNAME_CHUNK)
		snprintf(first->name, sizeof(first->name), "%s", name);
	return true;
}

bool
bkc_walget_chunks_size(BkcWalGet *w, BkcSession *session, BkcError *err)
{
	FirstName	first = {{0}};
	char		prefix[BKC_NAME_MAX];
	BkcWalInfo	info;

	if (w->segment_size != 0)
		return true;
	if (!bkc_name_wal_chunks(session->sysid, w->file, prefix, err) ||
		!bkc_store_list(session->store, prefix, false, take_first, &first, err))
		return false;
	if (first.name[0] == '\0')
		return bkc_error_set(err, BKC_ERR_UNAVAILABLE, "the chunks of WAL segment %s were removed just now",
							 w->file);
	return bkc_wal_info(session->store, first.name, &info, err) &&
		bkc_walget_take_size(w, info.segment_size, first.name, err);
}

bool
bkc_walget_chunks_end(const BkcWalGet *w, BkcSession *session, uint64_t *end_lsn, BkcError *err)
{
	int64_t		time;

	return bkc_wal_chunks_end(session->store, session->sysid, w->file, end_lsn, &time, err);
}

typedef struct ChunkFill
{
	const BkcWalGet *w;
	BkcSession *session;
} ChunkFill;

static bool
fill_from_chunks(void *arg, int fd, const char *path, BkcError *err)
{
	const ChunkFill *f = arg;
	uint64_t	end_lsn;
	int64_t		time;

	return bkc_wal_chunks_read(f->session->store, f->session->sysid, f->w->file,
							   f->w->segment_size, f->w->until, fd, path, &end_lsn, &time, err);
}

bool
bkc_walget_chunks(BkcWalGet *w, BkcSession *session, BkcError *err)
{
	ChunkFill	fill = {w, session};

	return bkc_walget_deliver(w, w->file, w->path, false, fill_from_chunks, &fill, err);
}
