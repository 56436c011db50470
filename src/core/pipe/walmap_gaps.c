/*
 * walmap_gaps.c
 *		What is missing between whole segments, and before those that have chunks,
 *		along the path of each timeline.
 *
 * Chunks are sent when the segment before theirs is durable.  So where that is missing it has
 * been there.
 *
 * Paths share their ancestors, and each sees only a part of them, so holes are
 * collected from all paths and then joined.
 */
#include "pipe/walmap.h"

#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "pipe/walmap_inner.h"
#include "pipe/walobj.h"

/* Missing segments of one timeline, and the whole ones around them on a path. */
typedef struct Hole
{
	uint32_t	timeline;
	uint64_t	first;
	uint64_t	last;
	BkcWalTail	before;
	BkcWalTail	behind;
	bool		open;			/* of the one behind there are only chunks */
	bool		lost;			/* it has been there */
} Hole;

typedef struct Holes
{
	Hole	   *list;
	size_t		n;
	size_t		cap;
} Holes;

/* What lies between before and behind is missing on the path; each leg has its part of it. */
static bool
add_holes(Holes *holes, const BkcWalMap *map, const BkcWalPath *path, BkcWalTail before,
		  BkcWalTail behind, bool open, BkcError *err)
{
	uint64_t	from = before.segno + 1;
	uint64_t	to = behind.segno - 1;

	for (size_t i = bkc_walpath_leg_at(map, path, from); i < path->n; i++)
	{
		Hole		hole = {
			.timeline = path->legs[i].timeline,
			.before = before,
			.behind = behind,
			.open = open,
			.lost = open
		};
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

/* One path, along which the last whole segment is remembered. */
typedef struct PathWalk
{
	Holes	   *holes;
	const BkcWalMap *map;
	const BkcWalPath *path;
	BkcWalTail	before;
	bool		begun;
} PathWalk;

/* Segments with chunks below limit, from *t on: each says that the one before it was there. */
static bool
holes_before_tails(PathWalk *w, size_t *t, uint32_t timeline, uint64_t limit, BkcError *err)
{
	const BkcWalMap *map = w->map;

	for (; *t < map->ntails && map->tails[*t].timeline == timeline && map->tails[*t].segno < limit;
		 ++*t)
	{
		if (w->begun && map->tails[*t].segno > w->before.segno + 1 &&
			!add_holes(w->holes, map, w->path, w->before, map->tails[*t], true, err))
			return false;
	}
	return true;
}

static bool
holes_of_leg(PathWalk *w, uint32_t timeline, uint64_t first, uint64_t next, BkcError *err)
{
	const BkcWalMap *map = w->map;
	size_t		tail = bkc_waltail_at(map->tails, map->ntails, timeline, first);

	for (size_t r = bkc_walmap_run_at(map, timeline, first);
		 r < map->nruns && map->runs[r].timeline == timeline && map->runs[r].first < next; r++)
	{
		const BkcWalRun *run = &map->runs[r];
		BkcWalTail	from = {timeline, run->first > first ? run->first : first};

		if (!holes_before_tails(w, &tail, timeline, from.segno, err))
			return false;
		if (w->begun && from.segno > w->before.segno + 1 &&
			!add_holes(w->holes, map, w->path, w->before, from, false, err))
			return false;
		w->before.timeline = timeline;
		w->before.segno = run->last < next ? run->last : next - 1;
		w->begun = true;
	}
	return holes_before_tails(w, &tail, timeline, next, err);
}

static bool
holes_of_path(Holes *holes, const BkcWalMap *map, const BkcWalPath *path, BkcError *err)
{
	PathWalk	walk = {.holes = holes, .map = map, .path = path};

	for (size_t i = 0; i < path->n; i++)
	{
		uint64_t	first;
		uint64_t	next;

		bkc_walpath_segments(map, path, i, &first, &next);
		if (first != next && !holes_of_leg(&walk, path->legs[i].timeline, first, next, err))
			return false;
	}
	return true;
}

static bool
holes_towards(Holes *holes, const BkcWalMap *map, uint32_t timeline, BkcError *err)
{
	BkcWalPath	path;
	bool		ok = bkc_host_check(err) && bkc_walmap_path(map, timeline, &path, err);

	if (!ok)
		return false;
	ok = holes_of_path(holes, map, &path, err);
	bkc_walpath_free(&path);
	return ok;
}

/* Towards each timeline of which there is anything. */
static bool
find_holes(Holes *holes, const BkcWalMap *map, BkcError *err)
{
	for (size_t i = 0; i < map->nruns; i++)
	{
		if ((i == 0 || map->runs[i - 1].timeline != map->runs[i].timeline) &&
			!holes_towards(holes, map, map->runs[i].timeline, err))
			return false;
	}
	for (size_t i = 0; i < map->ntails; i++)
	{
		uint32_t	timeline = map->tails[i].timeline;
		size_t		run = bkc_walmap_run_at(map, timeline, 0);

		if ((i == 0 || map->tails[i - 1].timeline != timeline) &&
			(run == map->nruns || map->runs[run].timeline != timeline) &&
			!holes_towards(holes, map, timeline, err))
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
		{
			holes->list[++n] = *hole;
			continue;
		}
		last->lost |= hole->lost;
		if (hole->last > last->last)
		{
			last->last = hole->last;
			last->behind = hole->behind;
			last->open = hole->open;
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

/* Up to when the chunks of a segment reach; 0 when that cannot be read. */
static bool
time_of_tail(const BkcWalMap *map, const BkcWalTail *tail, int64_t *time, BkcError *err)
{
	char		segment[BKC_WAL_NAME_MAX];
	BkcWalRow	row;

	*time = 0;
	bkc_wal_segment_name(tail->timeline, tail->segno, map->segment_size, segment);
	if (bkc_wal_chunks_end(map->store, map->sysid, segment, &row, err))
		*time = row.time;
	else if (err->code == BKC_ERR_UNAVAILABLE)
		bkc_error_clear(err);	/* it became whole just now */
	else
		return bkc_walmap_pass_damage(err);
	return true;
}

static bool
describe(const BkcWalMap *map, const Hole *hole, BkcWalGap *gap, BkcError *err)
{
	gap->timeline = hole->timeline;
	gap->count = hole->last - hole->first + 1;
	gap->recent = !hole->lost && bkc_walmap_recent(map, hole->timeline, hole->first);
	bkc_wal_segment_name(hole->timeline, hole->first, map->segment_size, gap->first);
	bkc_wal_segment_name(hole->timeline, hole->last, map->segment_size, gap->last);
	if (!bkc_host_check(err) ||
		!bkc_walmap_time(map, hole->before.timeline, hole->before.segno, &gap->after_time, err))
		return false;
	if (hole->open)
		return time_of_tail(map, &hole->behind, &gap->before_time, err);
	return bkc_walmap_time(map, hole->behind.timeline, hole->behind.segno, &gap->before_time, err);
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
