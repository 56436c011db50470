/*
 * walget_timeline.c
 *		What a repository's timeline histories say about a segment: whether
 *		recovery may end in it, and whether it must have been there.
 */
#include "walget.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "pipe/walobj.h"

#define HISTORY_MAX		(1024 * 1024)

/* ---- histories ---- */

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
		bkc_wal_read(session->store, name, HISTORY_MAX, fd, file, &info, err);
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

/* The histories of later timelines that the repository has; *list is malloc'ed. */
static bool
list_timelines(const BkcWalGet *w, BkcSession *session, uint32_t **list, size_t *n, BkcError *err)
{
	TimelineScan scan = {.above = w->timeline};
	char		prefix[BKC_NAME_MAX];
	bool		ok;

	ok = bkc_name_wal_root(session->sysid, prefix, err) &&
		bkc_store_list(session->store, prefix, false, take_timeline, &scan, err);
	*list = scan.list;
	*n = scan.n;
	return ok;
}

bool
bkc_walget_chunks_allowed(const BkcWalGet *w, BkcSession *session, bool *allowed, BkcError *err)
{
	uint32_t   *children = NULL;
	size_t		n = 0;
	bool		left = false;
	bool		ok;

	*allowed = !w->standby && (w->target == 0 || w->target == w->timeline);
	if (!*allowed || w->target != 0)
		return true;
	ok = list_timelines(w, session, &children, &n, err);
	for (size_t i = 0; ok && !left && i < n; i++)
		ok = is_left(w, session, children[i], &left, err);
	free(children);
	*allowed = !left;
	return ok;
}

/* ---- what must have been there ---- */

static bool
take_any_name(void *arg, const char *name, uint64_t size, BkcError *err)
{
	*(bool *) arg = true;
	return true;
}

static bool
has_wal(BkcSession *session, uint32_t timeline, bool *has, BkcError *err)
{
	char		prefix[BKC_NAME_MAX];

	return bkc_name_wal_timeline(session->sysid, timeline, prefix, err) &&
		bkc_store_list(session->store, prefix, false, take_any_name, has, err);
}

/*
 * Does the way to that timeline leave the segment's only behind the segment, and is there
 * WAL of where it goes then?  A switch point may be cut short by a later one.
 */
static bool
is_passed(const BkcWalGet *w, BkcSession *session, uint32_t child, bool *passed, BkcError *err)
{
	BkcHistoryEntry *entries;
	uint64_t	end = bkc_walget_start(w) + w->segment_size;
	uint64_t	leaves = UINT64_MAX;
	size_t		n;
	size_t		at;
	bool		ok = true;

	if (!read_history(session, child, &entries, &n, err))
		return err->code == BKC_ERR_NOT_FOUND;
	for (at = 0; at < n && entries[at].timeline != w->timeline; at++)
		;
	for (size_t i = at; i < n; i++)
	{
		if (entries[i].switch_lsn < leaves)
			leaves = entries[i].switch_lsn;
	}
	if (at < n && leaves >= end)
	{
		for (size_t i = at + 1; ok && !*passed && i < n; i++)
			ok = has_wal(session, entries[i].timeline, passed, err);
		ok = ok && (*passed || has_wal(session, child, passed, err));
	}
	free(entries);
	return ok;
}

bool
bkc_walget_passed(const BkcWalGet *w, BkcSession *session, bool *passed, BkcError *err)
{
	uint32_t   *children = NULL;
	size_t		n = 0;
	bool		ok = true;

	*passed = false;
	if (w->target == w->timeline)
		return true;
	if (w->target != 0)
		return w->target < w->timeline || is_passed(w, session, w->target, passed, err);
	ok = list_timelines(w, session, &children, &n, err);
	for (size_t i = 0; ok && !*passed && i < n; i++)
		ok = is_passed(w, session, children[i], passed, err);
	free(children);
	return ok;
}
