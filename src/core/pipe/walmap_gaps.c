/*
 * walmap_gaps.c
 *		What is missing between whole segments, along the path of each timeline.
 *
 * Paths share their ancestors, and each sees only a part of them, so holes are
 * collected from all paths and then joined.
 */
#include "pipe/walmap.h"

#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "pipe/walmap_inner.h"

/* Missing segments of one timeline, and the whole ones around them on a path. */
typedef struct Hole
{
	uint32_t	timeline;
	uint64_t	first;
	uint64_t	last;
	BkcWalTail	before;
	BkcWalTail	behind;
} Hole;

typedef struct Holes
{
	Hole	   *list;
	size_t		n;
	size_t		cap;
} Holes;

/* from .. to is missing on the path; each leg has its part of it. */
static bool
add_holes(Holes *holes, const BkcWalMap *map, const BkcWalPath *path, uint64_t from, uint64_t to,
		  BkcWalTail before, BkcWalTail behind, BkcError *err)
{
	for (size_t i = bkc_walpath_leg_at(map, path, from); i < path->n; i++)
	{
		Hole		hole = {.timeline = path->legs[i].timeline, .before = before, .behind = behind};
		uint64_t	first;
		uint64_t	next;

		bkc_walpath_segments(map, path, i, &first, &next);
		if (first > to)
			break;
		hole.first = from > first ? from : first;
		hole.last = to < next ? to : next - 1;
		if (next == first || hole.first > hole.last)
			continue;
		if (!bkc_walmap_grow((void **) &holes->list, &holes->cap, holes->n, sizeof(hole), err))
			return false;
		holes->list[holes->n++] = hole;
	}
	return true;
}

static bool
holes_of_path(Holes *holes, const BkcWalMap *map, const BkcWalPath *path, BkcError *err)
{
	BkcWalTail	before = {0};
	bool		begun = false;

	for (size_t i = 0; i < path->n; i++)
	{
		uint32_t	timeline = path->legs[i].timeline;
		uint64_t	first;
		uint64_t	next;

		bkc_walpath_segments(map, path, i, &first, &next);
		if (first == next)
			continue;
		for (size_t r = bkc_walmap_run_at(map, timeline, first);
			 r < map->nruns && map->runs[r].timeline == timeline && map->runs[r].first < next; r++)
		{
			const BkcWalRun *run = &map->runs[r];
			BkcWalTail	from = {timeline, run->first > first ? run->first : first};

			if (begun && from.segno > before.segno + 1 &&
				!add_holes(holes, map, path, before.segno + 1, from.segno - 1, before, from, err))
				return false;
			before.timeline = timeline;
			before.segno = run->last < next ? run->last : next - 1;
			begun = true;
		}
	}
	return true;
}

static bool
find_holes(Holes *holes, const BkcWalMap *map, BkcError *err)
{
	for (size_t i = 0; i < map->nruns; i++)
	{
		BkcWalPath	path;
		bool		ok;

		if (i > 0 && map->runs[i - 1].timeline == map->runs[i].timeline)
			continue;
		ok = bkc_host_check(err) && bkc_walmap_path(map, map->runs[i].timeline, &path, err);
		if (!ok)
			return false;
		ok = holes_of_path(holes, map, &path, err);
		bkc_walpath_free(&path);
		if (!ok)
			return false;
	}
	return true;
}

static int
compare_holes(const void *pa, const void *pb)
{
	const Hole *a = pa;
	const Hole *b = pb;

	if (a->timeline != b->timeline)
		return a->timeline < b->timeline ? -1 : 1;
	if (a->first != b->first)
		return a->first < b->first ? -1 : 1;
	return (a->last > b->last) - (a->last < b->last);
}

static void
join_holes(Holes *holes)
{
	size_t		n = 0;

	if (holes->n == 0)
		return;
	qsort(holes->list, holes->n, sizeof(*holes->list), compare_holes);
	for (size_t i = 1; i < holes->n; i++)
	{
		Hole	   *last = &holes->list[n];
		const Hole *hole = &holes->list[i];

		if (hole->timeline != last->timeline || hole->first > last->last + 1)
			holes->list[++n] = *hole;
		else if (hole->last > last->last)
		{
			last->last = hole->last;
			last->behind = hole->behind;
		}
	}
	holes->n = n + 1;
}

/* The newest whole segment of a timeline; 0 when it has none. */
static uint64_t
newest_segment(const BkcWalMap *map, uint32_t timeline)
{
	size_t		end = bkc_walmap_run_at(map, timeline, UINT64_MAX);

	return end > 0 && map->runs[end - 1].timeline == timeline ? map->runs[end - 1].last : 0;
}

bool
bkc_walmap_recent(const BkcWalMap *map, uint32_t timeline, uint64_t segno)
{
	uint64_t	newest = newest_segment(map, timeline);

	return newest > segno && newest - segno < BKC_WAL_RECENT;
}

static bool
describe(const BkcWalMap *map, const Hole *hole, BkcWalGap *gap, BkcError *err)
{
	gap->timeline = hole->timeline;
	gap->count = hole->last - hole->first + 1;
	gap->recent = bkc_walmap_recent(map, hole->timeline, hole->first);
	bkc_wal_segment_name(hole->timeline, hole->first, map->segment_size, gap->first);
	bkc_wal_segment_name(hole->timeline, hole->last, map->segment_size, gap->last);
	return bkc_host_check(err) &&
		bkc_walmap_time(map, hole->before.timeline, hole->before.segno, &gap->after_time, err) &&
		bkc_walmap_time(map, hole->behind.timeline, hole->behind.segno, &gap->before_time, err);
}

bool
bkc_walmap_gaps(const BkcWalMap *map, BkcWalGap **gaps, size_t *n, BkcError *err)
{
	Holes		holes = {0};
	BkcWalGap  *list = NULL;
	bool		ok;

	*gaps = NULL;
	*n = 0;
	ok = find_holes(&holes, map, err);
	if (ok)
	{
		join_holes(&holes);
		list = calloc(holes.n + 1, sizeof(*list));
		ok = list != NULL || bkc_error_oom(err);
	}
	for (size_t i = 0; ok && i < holes.n; i++)
		ok = describe(map, &holes.list[i], &list[i], err);
	if (ok)
	{
		*gaps = list;
		*n = holes.n;
	}
	else
		free(list);
	free(holes.list);
	return ok;
}
