/*
 * retention_path.c
 *		The way through the timelines, and how far whole segments go on it.
 *
 * The rules are those of pipe/walmap_path.c and walmap_reach.c, without a repository.
 */
#include <stdlib.h>
#include <string.h>

#include "format/retention_inner.h"

/* ---- what there is ---- */

static int
compare_runs(const void *pa, const void *pb)
{
	const BkcRetentionWal *a = pa;
	const BkcRetentionWal *b = pb;

	if (a->timeline != b->timeline)
		return a->timeline < b->timeline ? -1 : 1;
	return (a->first > b->first) - (a->first < b->first);
}

bool
bkc_retention_runs(BkcRetention *r, BkcError *err)
{
	size_t		n = 0;

	r->nruns = 0;
	r->runs = calloc(r->in->nwal + 1, sizeof(*r->runs));
	if (r->runs == NULL)
		return bkc_error_oom(err);
	for (size_t i = 0; i < r->in->nwal; i++)
	{
		if (!r->in->wal[i].open)
			r->runs[n++] = r->in->wal[i];
	}
	qsort(r->runs, n, sizeof(*r->runs), compare_runs);
	for (size_t i = 0; i < n; i++)
	{
		BkcRetentionWal *before = r->nruns > 0 ? &r->runs[r->nruns - 1] : NULL;

		if (before != NULL && before->timeline == r->runs[i].timeline &&
			before->last + 1 >= r->runs[i].first)
		{
			if (before->last < r->runs[i].last)
				before->last = r->runs[i].last;
		}
		else
			r->runs[r->nruns++] = r->runs[i];
	}
	return true;
}

/* The run that holds the segment, or NULL. */
static const BkcRetentionWal *
run_of(const BkcRetention *r, uint32_t timeline, uint64_t segno)
{
	size_t		low = 0;
	size_t		high = r->nruns;

	while (low < high)
	{
		size_t		mid = low + (high - low) / 2;
		const BkcRetentionWal *run = &r->runs[mid];

		if (run->timeline < timeline || (run->timeline == timeline && run->last < segno))
			low = mid + 1;
		else
			high = mid;
	}
	if (low == r->nruns || r->runs[low].timeline != timeline || r->runs[low].first > segno)
		return NULL;
	return &r->runs[low];
}

bool
bkc_retention_has(const BkcRetention *r, uint32_t timeline, uint64_t first, uint64_t last)
{
	const BkcRetentionWal *run = run_of(r, timeline, first);

	return run != NULL && run->last >= last;
}

/* ---- histories ---- */

const BkcRetentionTimeline *
bkc_retention_history(const BkcRetention *r, uint32_t timeline)
{
	for (size_t i = 0; i < r->in->ntimelines; i++)
	{
		if (r->in->timelines[i].timeline == timeline && r->in->timelines[i].n > 0)
			return &r->in->timelines[i];
	}
	return NULL;
}

/*
 * An empty history of a timeline above 1 counts as none: PostgreSQL never writes
 * one, and believing it would cut the timeline off from its ancestors.
 */
bool
bkc_retention_known(const BkcRetention *r, uint32_t timeline)
{
	return timeline == 1 || bkc_retention_history(r, timeline) != NULL;
}

BkcRetentionWay
bkc_retention_way(const BkcRetention *r, uint32_t from, uint32_t to, uint64_t *left)
{
	const BkcRetentionTimeline *history;
	bool		found = false;

	*left = UINT64_MAX;
	if (from == to)
		return BKC_RETENTION_WAY;
	history = bkc_retention_history(r, to);
	if (history == NULL)
		return to == 1 ? BKC_RETENTION_NO_WAY : BKC_RETENTION_MAYBE;
	for (size_t i = 0; i < history->n; i++)
	{
		found = found || history->entries[i].timeline == from;
		if (found && history->entries[i].switch_lsn < *left)
			*left = history->entries[i].switch_lsn;
	}
	return found ? BKC_RETENTION_WAY : BKC_RETENTION_NO_WAY;
}

/* ---- paths ---- */

bool
bkc_retention_path(const BkcRetention *r, uint32_t timeline, BkcRetentionPath *path, BkcError *err)
{
	const BkcRetentionTimeline *history = bkc_retention_history(r, timeline);
	size_t		n = history != NULL ? history->n : 0;
	size_t		used = n + 1;	/* legs are filled from the end */
	uint64_t	limit = UINT64_MAX;

	path->n = 0;
	path->legs = calloc(n + 1, sizeof(*path->legs));
	if (path->legs == NULL)
		return bkc_error_oom(err);
	for (size_t i = n + 1; i-- > 0;)
	{
		BkcRetentionLeg leg = {
			.timeline = i == n ? timeline : history->entries[i].timeline,
			.begin = i == 0 ? 0 : history->entries[i - 1].switch_lsn,
			.end = i == n ? UINT64_MAX : history->entries[i].switch_lsn
		};

		if (leg.end > limit)
			leg.end = limit;
		if (i < n && leg.begin >= leg.end)
			continue;			/* nothing of it is used */
		path->legs[--used] = leg;
		limit = leg.begin;
	}
	path->n = n + 1 - used;
	memmove(path->legs, path->legs + used, path->n * sizeof(*path->legs));
	path->legs[0].begin = 0;
	return true;
}

/* Both ends of a leg belong to it: a backup may stop exactly where its timeline was left. */
bool
bkc_retention_on_path(const BkcRetentionPath *path, uint32_t timeline, uint64_t lsn)
{
	for (size_t i = 0; i < path->n; i++)
	{
		if (path->legs[i].timeline == timeline)
			return lsn >= path->legs[i].begin && lsn <= path->legs[i].end;
	}
	return false;
}

/* The leg whose timeline's number the segment bears: one with a fork is the child's. */
static size_t
leg_at(const BkcRetention *r, const BkcRetentionPath *path, uint64_t segno)
{
	for (size_t i = path->n; i-- > 1;)
	{
		if (path->legs[i].begin / r->segment_size <= segno)
			return i;
	}
	return 0;
}

uint64_t
bkc_retention_reach(const BkcRetention *r, const BkcRetentionPath *path, size_t i)
{
	const BkcRetentionBackup *b = &r->in->backups[i];
	const BkcRetentionMark *mark = &r->marks[i];
	uint64_t	segno = mark->first;

	for (;;)
	{
		size_t		leg = leg_at(r, path, segno);
		uint32_t	timeline = path->legs[leg].timeline;
		const BkcRetentionWal *run = run_of(r, timeline, segno);
		uint64_t	last;

		if (run != NULL)
			last = run->last;
		else if (b->own_wal && timeline == b->timeline &&
				 segno >= mark->first && segno < mark->last)
			last = segno;		/* its last segment may end at its stop */
		else
			return segno;
		segno = last + 1;
		if (leg + 1 < path->n && segno > path->legs[leg + 1].begin / r->segment_size)
			segno = path->legs[leg + 1].begin / r->segment_size;
	}
}
