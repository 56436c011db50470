/*
 * walmap_windows.c
 *		What can be restored: backups, and how far the WAL behind each reaches.
 */
#include "pipe/walmap.h"

#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "pipe/manifestio.h"
#include "pipe/unpack.h"
#include "pipe/walmap_inner.h"

/* ---- backups ---- */

void
bkc_span_from_header(const BkcManifestHeader *header, BkcBackupSpan *span)
{
	memset(span, 0, sizeof(*span));
	memcpy(span->label, header->label, sizeof(span->label));
	span->timeline = header->timeline;
	span->start_lsn = header->start_lsn;
	span->stop_lsn = header->stop_lsn;
	span->start_time = header->start_time;
	span->stop_time = header->stop_time;
	span->segment_size = header->wal_segment_size;
	span->pg_version_num = header->pg_version_num;
	span->wal_in_archive = header->wal_in_archive;
}

static bool
read_span(BkcStore *store, uint64_t sysid, const char *label, BkcBackupSpan *span, BkcError *err)
{
	BkcManifestHeader header;

	if (!bkc_manifest_peek(store, sysid, label, &header, err))
		return false;
	bkc_span_from_header(&header, span);
	bkc_manifest_header_free(&header);
	return true;
}

/* A backup that is sealed with an old key hinders nobody who has the key of a newer one. */
static void
pass_sealed(BkcError *sealed)
{
	if (sealed->code == BKC_OK)
		return;
	bkc_log(BKC_LOG_WARNING, "a backup is passed over: %s", sealed->message);
	bkc_error_clear(sealed);
}

bool
bkc_repo_spans(BkcStore *store, uint64_t sysid, BkcBackupSpan **spans, size_t *n, BkcError *err)
{
	BkcBackupRef *refs;
	BkcBackupSpan *list;
	size_t		nrefs;
	size_t		count = 0;
	BkcError	sealed;
	bool		ok;

	bkc_error_clear(&sealed);
	*spans = NULL;
	*n = 0;
	if (!bkc_repo_backups(store, sysid, &refs, &nrefs, err))
		return false;
	list = calloc(nrefs + 1, sizeof(*list));
	ok = list != NULL || bkc_error_oom(err);
	for (size_t i = 0; ok && i < nrefs; i++)
	{
		if (!refs[i].complete)
			continue;
		ok = bkc_host_check(err) && read_span(store, sysid, refs[i].label, &list[count], err);
		if (ok)
		{
			pass_sealed(&sealed);
			count++;
		}
		else if (err->code == BKC_ERR_KEY)
		{
			pass_sealed(&sealed);
			sealed = *err;
			ok = true;
		}
		else if (bkc_walmap_is_damage(err->code) || err->code == BKC_ERR_ARCHIVED)
		{
			/* frozen by a rule of the bucket, which is none of ours */
			bkc_log(BKC_LOG_WARNING, "backup \"%s\" is passed over: %s", refs[i].label, err->message);
			bkc_error_clear(err);
			ok = true;
		}
	}
	free(refs);

	/* the newest one is nothing to be passed over */
	if (ok && sealed.code != BKC_OK)
	{
		*err = sealed;
		ok = false;
	}
	if (!ok)
	{
		free(list);
		return false;
	}
	*spans = list;
	*n = count;
	return true;
}

/* ---- windows ---- */

typedef struct Windows
{
	const BkcWalMap *map;
	const BkcBackupSpan **order;	/* by stop */
	size_t		norder;
	BkcRecoveryWindow *list;
	size_t		n;
	size_t		cap;
} Windows;

static int
compare_numbers(const void *pa, const void *pb)
{
	uint32_t	a = *(const uint32_t *) pa;
	uint32_t	b = *(const uint32_t *) pb;

	return (a > b) - (a < b);
}

static int
compare_stops(const void *pa, const void *pb)
{
	const BkcBackupSpan *a = *(const BkcBackupSpan *const *) pa;
	const BkcBackupSpan *b = *(const BkcBackupSpan *const *) pb;

	if (a->stop_lsn != b->stop_lsn)
		return a->stop_lsn < b->stop_lsn ? -1 : 1;
	return strcmp(a->label, b->label);
}

/* Timelines that have WAL or backups, each once, in order. */
static bool
find_timelines(const Windows *w, uint32_t **timelines, size_t *n, BkcError *err)
{
	const BkcWalMap *map = w->map;
	uint32_t   *list = calloc(map->nruns + map->ntails + w->norder + 1, sizeof(*list));
	size_t		count = 0;
	size_t		kept = 0;

	*timelines = list;
	*n = 0;
	if (list == NULL)
		return bkc_error_oom(err);
	for (size_t i = 0; i < map->nruns; i++)
		list[count++] = map->runs[i].timeline;
	for (size_t i = 0; i < map->ntails; i++)
		list[count++] = map->tails[i].timeline;
	for (size_t i = 0; i < w->norder; i++)
		list[count++] = w->order[i]->timeline;
	qsort(list, count, sizeof(*list), compare_numbers);
	for (size_t i = 0; i < count; i++)
	{
		if (kept == 0 || list[kept - 1] != list[i])
			list[kept++] = list[i];
	}
	*n = kept;
	return true;
}

/* How far one backup reaches on the path; *ok_backup = false: not even to its own stop. */
static bool
span_reach(const Windows *w, const BkcWalPath *path, const BkcBackupSpan *span,
		   BkcWalReach *reach, bool *consistent, BkcError *err)
{
	BkcWalHave	have = {
		.timeline = span->timeline,
		.start_lsn = span->start_lsn,
		.end_lsn = span->stop_lsn,
		.time = span->stop_time
	};
	bool		other_size = w->map->segment_size != 0 &&
		w->map->segment_size != span->segment_size;

	*consistent = false;
	if (other_size)
	{
		/* the archive's numbers mean something else; its own WAL is all that is known */
		memset(reach, 0, sizeof(*reach));
		reach->timeline = span->timeline;
		reach->end_lsn = span->wal_in_archive ? span->start_lsn : span->stop_lsn;
		reach->end_time = span->stop_time;
	}
	else if (!bkc_walmap_reach(w->map, path, span->timeline, span->start_lsn,
							   span->wal_in_archive ? NULL : &have, reach, err))
		return false;
	*consistent = reach->end_lsn >= span->stop_lsn;
	return true;
}

static bool
begin_window(Windows *w, uint32_t timeline, const BkcBackupSpan *span, const BkcWalReach *reach,
			 BkcError *err)
{
	BkcRecoveryWindow *window;

	if (!bkc_walmap_grow((void **) &w->list, &w->cap, w->n, sizeof(*w->list), err))
		return false;
	window = &w->list[w->n++];
	memset(window, 0, sizeof(*window));
	window->timeline = timeline;
	memcpy(window->first_backup, span->label, sizeof(window->first_backup));
	window->start_lsn = span->stop_lsn;
	window->start_time = span->stop_time;
	window->end_lsn = reach->end_lsn;
	return true;
}

static void
join_window(BkcRecoveryWindow *window, const BkcBackupSpan *span, const BkcWalReach *reach)
{
	memcpy(window->last_backup, span->label, sizeof(window->last_backup));
	window->backups++;
	if (reach->end_lsn > window->end_lsn)
		window->end_lsn = reach->end_lsn;
	if (reach->end_time > window->end_time)
		window->end_time = reach->end_time;
	if (span->stop_time > window->end_time)
		window->end_time = span->stop_time;
}

/*
 * A backup whose stop lies within the window before it needs no look at the
 * archive of its own, provided that it does not begin before all of the window's
 * backups: from its start on the WAL is there, and it ends where that of the others ends.
 */
static bool
windows_of_timeline(Windows *w, uint32_t timeline, const BkcWalPath *path, BkcError *err)
{
	BkcRecoveryWindow *window = NULL;
	BkcWalReach reach = {0};
	uint64_t	from = 0;		/* first LSN from which the window's end is reached */

	for (size_t i = 0; i < w->norder; i++)
	{
		const BkcBackupSpan *span = w->order[i];
		bool		within = window != NULL && span->stop_lsn <= window->end_lsn;
		bool		consistent;

		if (!bkc_walpath_contains(path, span->timeline, span->start_lsn) ||
			!bkc_walpath_contains(path, span->timeline, span->stop_lsn))
			continue;
		if (!within || span->start_lsn < from)
		{
			if (!bkc_host_check(err) ||
				!span_reach(w, path, span, &reach, &consistent, err))
				return false;
			if (!consistent || reach.timeline != timeline)
				continue;
			if (!within || reach.end_lsn >= window->end_lsn)
				from = span->start_lsn;
		}
		if (!within)
		{
			if (!begin_window(w, timeline, span, &reach, err))
				return false;
			window = &w->list[w->n - 1];
		}
		join_window(window, span, &reach);
	}
	return true;
}

static bool
find_windows(Windows *w, BkcError *err)
{
	uint32_t   *timelines;
	size_t		n;
	bool		ok = find_timelines(w, &timelines, &n, err);

	for (size_t i = 0; ok && i < n; i++)
	{
		BkcWalPath	path;

		ok = bkc_walmap_path(w->map, timelines[i], &path, err);
		if (ok)
		{
			ok = windows_of_timeline(w, timelines[i], &path, err);
			bkc_walpath_free(&path);
		}
	}
	free(timelines);
	return ok;
}

bool
bkc_recovery_windows(const BkcWalMap *map, const BkcBackupSpan *spans, size_t nspans,
					 BkcRecoveryWindow **list, size_t *n, BkcError *err)
{
	Windows		w = {.map = map, .norder = nspans};
	bool		ok;

	*list = NULL;
	*n = 0;
	w.order = calloc(nspans + 1, sizeof(*w.order));
	ok = w.order != NULL || bkc_error_oom(err);
	if (ok)
	{
		for (size_t i = 0; i < nspans; i++)
			w.order[i] = &spans[i];
		qsort(w.order, nspans, sizeof(*w.order), compare_stops);
		ok = find_windows(&w, err);
	}
	free(w.order);
	if (!ok)
	{
		free(w.list);
		return false;
	}
	*list = w.list;
	*n = w.n;
	return true;
}
