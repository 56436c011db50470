/*
 * walget_path.c
 *		Which part of the segment's timeline belongs to the way of this recovery.
 *
 * Nothing in the server stops a recovery at a fork: when a segment of the child is not there, it
 * takes the parent's of that number, goes on along the timeline that was left, and with it comes
 * back what the fork was made to undo.  So the end of each ancestor is kept here:
 *
 * With --timeline N it is what N's history says.
 *
 * A standby follows the newest timeline: that is the newest one that descends from the
 * segment's.  (--timeline in its command is left from the restore its server came from.)
 *
 * Else only the server knows where it goes, by a setting that is not told to
 * us.  Along this timeline as far as it is nobody's past the way is the same for all; but a segment
 * that some descendant left, or left before, is right for one and wrong for another recovery.
 * Handing it out might bring back what was undone, withholding it might
 * end the recovery too early, either without a word: so it is refused, and --timeline decides.
 */
#include "walget.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "pipe/walobj.h"

/* ---- histories ---- */

/*
 * The server keeps the history of the timeline that it recovers to before it asks for the first
 * segment.
 */
static bool
read_kept(const BkcWalGet *w, uint32_t timeline, BkcHistoryEntry **entries, size_t *n)
{
	char		path[PATH_MAX];
	char		file[BKC_WAL_NAME_MAX];
	BkcBuffer	text = {0};
	BkcError	ignored;
	bool		ok;

	bkc_wal_history_name(timeline, file);
	ok = w->data_dir[0] != '\0' &&
		(size_t) snprintf(path, sizeof(path), "%s/pg_wal/%s", w->data_dir, file) < sizeof(path) &&
		bkc_file_slurp(path, BKC_WAL_HISTORY_MAX, &text, &ignored) &&
		bkc_wal_history_parse(bkc_buffer_str(&text), text.len, timeline, entries, n, &ignored);
	bkc_buffer_free(&text);
	return ok;
}

/* What was read into memory. */
static bool
parse_history(const BkcWalGet *inner, BkcHistoryEntry **entries, size_t *n, BkcError *err)
{
	char	   *text = malloc(BKC_WAL_HISTORY_MAX);
	size_t		got = 0;
	bool		ok;

	ok = (text != NULL || bkc_error_oom(err)) &&
		bkc_file_pread(inner->into, inner->file, text, BKC_WAL_HISTORY_MAX, 0, &got, err) &&
		bkc_wal_history_parse(text, got, inner->timeline, entries, n, err);
	free(text);
	return ok;
}

static bool
rewind_file(int fd, BkcError *err)
{
	return (ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0) ||
		bkc_error_set(err, BKC_ERR_IO, "could not empty a file in memory");
}

/* From its archive, else out of a backup, also when the archive's is damaged. */
static bool
read_from(BkcWalGet *inner, size_t repo, BkcHistoryEntry **entries, size_t *n, bool *found,
		  BkcError *err)
{
	BkcSession	session;
	BkcError	second;
	bool		seen = false;
	bool		ok;

	*found = false;
	ok = bkc_walget_open(inner, repo, &session, err);
	if (!ok)
		goto done;
	ok = rewind_file(inner->into, err) &&
		bkc_walget_archive(inner, &session, NULL, found, err) &&
		(!*found || parse_history(inner, entries, n, err));
	if (ok && *found)
		goto done;
	*found = false;
	if (rewind_file(inner->into, &second) &&
		bkc_walget_backup(inner, &session, &seen, found, &second) &&
		(!*found || parse_history(inner, entries, n, &second)))
		ok = ok || *found;
	else
	{
		*found = false;
		if (ok)
			*err = second;
		ok = false;
	}
done:
	bkc_session_close(&session);
	return ok;
}

bool
bkc_walget_history(const BkcWalGet *w, uint32_t timeline, BkcHistoryEntry **entries, size_t *n,
				   bool *found, BkcError *err)
{
	BkcWalGet	inner = *w;
	char		file[BKC_WAL_NAME_MAX];
	BkcError	one;
	bool		ok = true;

	*entries = NULL;
	*n = 0;
	*found = timeline == w->target && read_kept(w, timeline, entries, n);
	if (*found)
		return true;
	bkc_wal_history_name(timeline, file);
	inner.file = file;
	inner.history = true;
	inner.timeline = timeline;
	inner.into = memfd_create("history", MFD_CLOEXEC);
	if (inner.into < 0)
		return bkc_error_set(err, BKC_ERR_IO, "could not create a file in memory");
	for (size_t i = 0; !*found && i < w->nrepos; i++)
	{
		if (read_from(&inner, i, entries, n, found, &one))
			continue;
		*found = false;
		if (ok || one.code == BKC_ERR_UNAVAILABLE)
			*err = one;
		ok = false;
		if (one.code == BKC_ERR_CANCELLED)
			break;
	}
	close(inner.into);
	return *found || ok || bkc_error_context(err, "%s", file);
}

/* ---- the part of one timeline ---- */

/*
 * Like the server we look from the newest timeline to the oldest: an ancestor ends at the smallest
 * of its own and all later switch points.  false: it is none.
 */
bool
bkc_walget_part_of(const BkcWalGet *w, const BkcHistoryEntry *entries, size_t n,
				   BkcWalPart *part)
{
	size_t		at = 0;

	while (at < n && entries[at].timeline != w->timeline)
		at++;
	if (at == n)
		return false;
	part->begin = at == 0 ? 0 : entries[at - 1].switch_lsn;
	part->end = UINT64_MAX;
	for (size_t i = at; i < n; i++)
	{
		if (entries[i].switch_lsn < part->end)
			part->end = entries[i].switch_lsn;
	}
	return true;
}

static bool
by_target(BkcWalGet *w, BkcError *err)
{
	BkcHistoryEntry *entries;
	size_t		n;
	bool		found;
	bool		ok = true;

	if (!bkc_walget_history(w, w->target, &entries, &n, &found, err))
		return false;
	if (w->target == w->timeline)
		w->part.begin = n == 0 ? 0 : entries[n - 1].switch_lsn;
	else if (!found)
		ok = bkc_error_set(err, BKC_ERR_NOT_FOUND, "timeline %" PRIu32 " (--timeline) has no history in any repository",
						   w->target);
	else if (!bkc_walget_part_of(w, entries, n, &w->part))
		ok = bkc_error_set(err, BKC_ERR_STATE, "timeline %" PRIu32 " is not on the way to timeline %" PRIu32 " (--timeline)",
						   w->timeline, w->target);
	free(entries);
	return ok;
}

/* ---- descendants ---- */

typedef struct TimelineScan
{
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
	list = reallocarray(scan->list, scan->n + 1, sizeof(uint32_t));
	if (list == NULL)
		return bkc_error_oom(err);
	scan->list = list;
	list[scan->n++] = parsed.timeline;
	return true;
}

static int
compare_newest(const void *a, const void *b)
{
	uint32_t	x = *(const uint32_t *) a;
	uint32_t	y = *(const uint32_t *) b;

	return (x < y) - (x > y);
}

/* A repository that is away is left out as long as another one answers, like everywhere. */
static bool
list_later(const BkcWalGet *w, TimelineScan *scan, BkcError *err)
{
	BkcWalGet	inner = *w;
	char		prefix[BKC_NAME_MAX];
	BkcSession	session;
	bool		any = false;
	bool		ok = true;

	for (size_t i = 0; ok && i < w->nrepos; i++)
	{
		if (bkc_walget_open(&inner, i, &session, err))
		{
			any = true;
			ok = bkc_name_wal_root(session.sysid, prefix, err) &&
				bkc_store_list(session.store, prefix, false, take_timeline, scan, err);
		}
		else
			ok = err->code != BKC_ERR_CANCELLED;
		bkc_session_close(&session);
	}
	return ok && any;
}

bool
bkc_walget_later(const BkcWalGet *w, uint32_t **list, size_t *n, BkcError *err)
{
	TimelineScan scan = {.above = w->timeline};
	bool		ok = list_later(w, &scan, err);

	*list = scan.list;
	*n = 0;
	if (scan.n > 0)
		qsort(scan.list, scan.n, sizeof(uint32_t), compare_newest);
	for (size_t i = 0; i < scan.n; i++)
	{
		if (*n == 0 || scan.list[i] != scan.list[*n - 1])
			scan.list[(*n)++] = scan.list[i];
	}
	return ok;
}

static bool
by_descendants(BkcWalGet *w, BkcError *err)
{
	uint32_t   *later = NULL;
	size_t		nlater = 0;
	bool		ok = bkc_walget_later(w, &later, &nlater, err);
	bool		done = false;

	for (size_t i = 0; ok && !done && i < nlater; i++)
	{
		BkcHistoryEntry *entries;
		BkcWalPart	part;
		size_t		n;
		bool		found;

		ok = bkc_walget_history(w, later[i], &entries, &n, &found, err);
		if (!ok || !found || !bkc_walget_part_of(w, entries, n, &part))
			;
		else if (w->standby)
		{
			w->part = part;
			done = true;
		}
		else if (part.end < w->fork)
		{
			w->fork = part.end;
			w->fork_timeline = later[i];
		}
		free(entries);
	}
	free(later);
	return ok;
}

bool
bkc_walget_part(BkcWalGet *w, bool begin, BkcError *err)
{
	bool		ok;

	/* where the last timeline begins matters only when something is missing */
	if (w->history || w->part_known || (w->target == w->timeline && !begin))
		return true;
	w->part.begin = 0;
	w->part.end = UINT64_MAX;
	w->fork = UINT64_MAX;
	ok = w->target != 0 ? by_target(w, err) : by_descendants(w, err);
	w->part_known = ok;
	return ok;
}

/* ---- in a segment ---- */

bool
bkc_walget_not_past_fork(const BkcWalGet *w, const char *file, BkcError *err)
{
	char		lsn[24];
	uint32_t	timeline;
	uint64_t	segno;

	if (w->fork == UINT64_MAX ||
		!bkc_wal_segment_parse(file, w->segment_size, &timeline, &segno) ||
		(segno + 1) * w->segment_size <= w->fork)
		return true;
	bkc_format_lsn(w->fork, lsn, sizeof(lsn));
	bkc_error_set(err, BKC_ERR_STATE, "WAL segment %s reaches behind %s, where timeline %" PRIu32 " left timeline %" PRIu32,
				  file, lsn, w->fork_timeline, timeline);
	bkc_error_detail(err, "Whether this recovery needs it depends on the timeline that it goes to.");
	return bkc_error_hint(err, "Add --timeline N to the restore_command: the timeline to recover to, %" PRIu32 " or another one.",
						  w->fork_timeline);
}
