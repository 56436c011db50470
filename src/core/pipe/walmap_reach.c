/*
 * walmap_reach.c
 *		How far the WAL on a path reaches, and which piece reaches a time.
 *
 * Runs are followed, not segments, so that the cost does not grow with the
 * amount of WAL.
 */
#include "pipe/walmap.h"

#include <string.h>

#include "base/host.h"
#include "base/text.h"
#include "pipe/walmap_inner.h"
#include "pipe/walobj.h"

/* Where something comes from. */
typedef enum Source
{
	SOURCE_NONE,
	SOURCE_ARCHIVE,
	SOURCE_HAVE
} Source;

typedef struct Walk
{
	const BkcWalMap *map;
	const BkcWalPath *path;
	const BkcWalHave *have;		/* NULL: nothing */
	uint64_t	cur;			/* the first segment that is not there */
	size_t		leg;			/* to which it belongs */
	Source		source;			/* of the segment before it */
	uint32_t	timeline;		/* likewise */
} Walk;

static bool
check_start(const BkcWalPath *path, uint32_t timeline, uint64_t start_lsn, BkcError *err)
{
	char		lsn[32];

	if (bkc_walpath_contains(path, timeline, start_lsn))
		return true;
	bkc_format_lsn(start_lsn, lsn, sizeof(lsn));
	return bkc_error_set(err, BKC_ERR_INVALID, "timeline %u does not come from %s on timeline %u",
						 path->n > 0 ? path->legs[path->n - 1].timeline : 0, lsn, timeline);
}

/* Does the backup hold that segment?  *last: the last one that it holds. */
static bool
have_covers(const BkcWalMap *map, const BkcWalHave *have, uint64_t segno, uint64_t *last)
{
	if (have == NULL || have->end_lsn <= have->start_lsn)
		return false;
	*last = (have->end_lsn - 1) / map->segment_size;
	return segno >= have->start_lsn / map->segment_size && segno <= *last;
}

/* Go from segment to segment as long as they are there. */
static void
walk(Walk *w)
{
	const BkcWalMap *map = w->map;

	for (;;)
	{
		uint64_t	first;
		uint64_t	next;
		uint64_t	last;
		uint32_t	timeline;
		size_t		run;

		if (w->cur >= bkc_walmap_segments_end(map))
			return;
		w->leg = bkc_walpath_leg_at(map, w->path, w->cur);
		timeline = w->path->legs[w->leg].timeline;
		bkc_walpath_segments(map, w->path, w->leg, &first, &next);
		run = bkc_walmap_run_at(map, timeline, w->cur);
		if (run < map->nruns && map->runs[run].timeline == timeline &&
			map->runs[run].first <= w->cur)
		{
			last = map->runs[run].last;
			w->source = SOURCE_ARCHIVE;
		}
		else if (w->have != NULL && w->have->timeline == timeline &&
				 have_covers(map, w->have, w->cur, &last))
		{
			/* one by one: the archive may have the next, and that tells its time */
			last = w->cur;
			w->source = SOURCE_HAVE;
		}
		else
			return;
		w->timeline = timeline;
		w->cur = last + 1 < next ? last + 1 : next;
	}
}

/* The end of the segments before cur, and its time. */
static bool
closed_end(const Walk *w, uint64_t start_lsn, BkcWalReach *reach, BkcError *err)
{
	const BkcWalMap *map = w->map;
	uint64_t	end;

	if (w->source == SOURCE_NONE)
		return true;
	reach->timeline = w->timeline;
	end = w->cur >= bkc_walmap_segments_end(map) ? UINT64_MAX : w->cur * map->segment_size;
	if (w->source == SOURCE_HAVE)
	{
		/* behind the backup's stop its last segment has nothing to restore */
		end = w->have->end_lsn < end ? w->have->end_lsn : end;
		reach->end_time = w->have->time;
	}
	else if (!bkc_walmap_time(map, w->timeline, w->cur - 1, &reach->end_time, err))
		return false;
	reach->end_lsn = end > start_lsn ? end : start_lsn;
	return true;
}

/* The chunks of the segment that the walk has come to; *broken: there was more than they hold. */
static bool
chunks_of(const Walk *w, uint32_t timeline, BkcWalRow *row, bool *broken, BkcError *err)
{
	const BkcWalMap *map = w->map;
	char		segment[BKC_WAL_NAME_MAX];
	bool		ok;

	bkc_wal_segment_name(timeline, w->cur, map->segment_size, segment);
	ok = bkc_wal_chunks_end(map->store, map->sysid, segment, row, err);
	*broken = ok ? row->claimed_lsn > row->end_lsn : err->code == BKC_ERR_CORRUPT;
	return ok;
}

static void
note_damage(const Walk *w, uint32_t timeline, BkcWalReach *reach)
{
	bkc_wal_segment_name(timeline, w->cur, w->map->segment_size, reach->damaged);
}

/* How far that timeline's segment goes which the walk has come to; 0: it is not there. */
static bool
ancestor_end(const Walk *w, const BkcWalLeg *leg, BkcWalReach *reach, uint64_t *end, BkcError *err)
{
	const BkcWalMap *map = w->map;
	uint32_t	timeline = leg->timeline;
	uint64_t	last;
	BkcWalRow	row;
	bool		broken = false;

	*end = 0;
	if (bkc_walmap_has(map, timeline, w->cur))
		*end = UINT64_MAX;
	else if (w->have != NULL && w->have->timeline == timeline &&
			 have_covers(map, w->have, w->cur, &last))
		*end = w->have->end_lsn;
	else if (bkc_waltail_has(map->tails, map->ntails, timeline, w->cur))
	{
		if (chunks_of(w, timeline, &row, &broken, err))
			*end = row.end_lsn;
		else if (!bkc_walmap_pass_damage(err))
			return false;
	}

	/* what is behind the fork is of no use, and may be damaged */
	if (broken && *end < leg->end)
		note_damage(w, timeline, reach);
	return true;
}

/*
 * The segment with a fork is the child's.  When nothing of it is there the server asks
 * for that of its parent, or of a timeline before that, and reads that one: it
 * is good up to where that timeline was left.
 */
static bool
parent_of_fork(const Walk *w, BkcWalReach *reach, BkcError *err)
{
	const BkcWalMap *map = w->map;

	for (size_t i = w->leg; i-- > 0;)
	{
		const BkcWalLeg *leg = &w->path->legs[i];
		uint64_t	end;
		uint64_t	last;

		if (leg->end / map->segment_size != w->cur)
			return true;
		if (!ancestor_end(w, leg, reach, &end, err))
			return false;
		if (end == 0)
			continue;
		if (end > leg->end)
			end = leg->end;
		if (end <= reach->end_lsn)
			return true;
		reach->timeline = leg->timeline;
		reach->end_lsn = end;
		reach->fork = true;

		/* the segment's own time is when the timeline that was left filled it: too late */
		if (w->have != NULL && w->have->timeline == leg->timeline &&
			have_covers(map, w->have, w->cur, &last) && w->have->time > reach->end_time)
			reach->end_time = w->have->time;
		return true;
	}
	return true;
}

/*
 * Chunks go when their segment has become whole, and that may be now: the
 * map is older.  *came: it is there.
 */
static bool
came_whole(const Walk *w, BkcWalReach *reach, bool *came, BkcError *err)
{
	const BkcWalMap *map = w->map;
	char		name[BKC_NAME_MAX];
	BkcWalInfo	info;

	*came = bkc_wal_find(map->store, map->sysid, reach->missing, name, err) &&
		bkc_wal_info(map->store, name, &info, err);
	if (!*came)
		return err->code == BKC_ERR_NOT_FOUND;
	reach->timeline = w->path->legs[w->leg].timeline;
	reach->end_lsn = w->cur + 1 < bkc_walmap_segments_end(map) ?
		(w->cur + 1) * map->segment_size : UINT64_MAX;
	reach->end_time = info.time;
	reach->closed_lsn = reach->end_lsn;
	reach->closed_time = reach->end_time;
	reach->closed_timeline = reach->timeline;
	if (w->cur + 1 < bkc_walmap_segments_end(map))
		bkc_wal_segment_name(reach->timeline, w->cur + 1, map->segment_size, reach->missing);
	return true;
}

/*
 * Chunks count at the very end only: of the last timeline's newest segment.
 * wal-get serves them under the same condition.  *served: nothing else is, then.
 */
static bool
open_end(const Walk *w, BkcWalReach *reach, bool *served, BkcError *err)
{
	const BkcWalMap *map = w->map;
	uint32_t	timeline = w->path->legs[w->leg].timeline;
	size_t		run = bkc_walmap_run_at(map, timeline, w->cur);
	size_t		tail = bkc_waltail_at(map->tails, map->ntails, timeline, w->cur);
	BkcWalRow	row;
	bool		broken;
	bool		ok;

	*served = false;
	if (w->leg + 1 != w->path->n ||
		!bkc_waltail_has(map->tails, map->ntails, timeline, w->cur) ||
		(run < map->nruns && map->runs[run].timeline == timeline) ||
		(tail + 1 < map->ntails && map->tails[tail + 1].timeline == timeline))
		return true;
	ok = chunks_of(w, timeline, &row, &broken, err);
	if (broken)
		note_damage(w, timeline, reach);
	if (ok)
	{
		*served = true;
		if (row.end_lsn > reach->end_lsn)
		{
			reach->timeline = timeline;
			reach->end_lsn = row.end_lsn;
			reach->end_time = row.time;
			reach->open = true;
		}
		return true;
	}
	if (err->code == BKC_ERR_NOT_FOUND || err->code == BKC_ERR_UNAVAILABLE)
	{
		BkcError	gone = *err;

		if (!came_whole(w, reach, served, err))
			return false;
		if (*served || gone.code == BKC_ERR_NOT_FOUND)
		{
			bkc_error_clear(err);
			return true;
		}
		*err = gone;
	}
	return bkc_walmap_pass_damage(err);
}

/* So many more, of which the first is number from. */
static bool
add_beyond(const Walk *w, uint32_t timeline, uint64_t from, uint64_t n, bool open,
		   BkcWalReach *reach, BkcError *err)
{
	if (reach->beyond == 0)
	{
		reach->gap = from - w->cur;
		if (!open && !bkc_walmap_time(w->map, timeline, from, &reach->beyond_time, err))
			return false;
	}
	reach->beyond += n;
	return true;
}

/* first .. next - 1: whole ones, and those with chunks, in order of their numbers. */
static bool
look_at_leg(const Walk *w, uint32_t timeline, uint64_t first, uint64_t next, BkcWalReach *reach,
			BkcError *err)
{
	const BkcWalMap *map = w->map;
	size_t		t = bkc_waltail_at(map->tails, map->ntails, timeline, first);

	for (size_t r = bkc_walmap_run_at(map, timeline, first);; r++)
	{
		bool		run = r < map->nruns && map->runs[r].timeline == timeline &&
			map->runs[r].first < next;
		uint64_t	from = !run ? next : map->runs[r].first > first ? map->runs[r].first : first;
		uint64_t	to = run && map->runs[r].last < next ? map->runs[r].last : next - 1;

		for (; t < map->ntails && map->tails[t].timeline == timeline && map->tails[t].segno < from;
			 t++)
		{
			if (!add_beyond(w, timeline, map->tails[t].segno, 1, true, reach, err))
				return false;
		}
		if (!run)
			return true;
		if (!add_beyond(w, timeline, from, to - from + 1, false, reach, err))
			return false;
	}
}

/* What there is behind the end. */
static bool
look_beyond(const Walk *w, BkcWalReach *reach, BkcError *err)
{
	for (size_t i = w->leg; i < w->path->n; i++)
	{
		uint64_t	first;
		uint64_t	next;

		bkc_walpath_segments(w->map, w->path, i, &first, &next);
		if (first <= w->cur)
			first = w->cur + 1;
		if (first < next &&
			!look_at_leg(w, w->path->legs[i].timeline, first, next, reach, err))
			return false;
	}
	return true;
}

bool
bkc_walmap_reach(const BkcWalMap *map, const BkcWalPath *path, uint32_t timeline,
				 uint64_t start_lsn, const BkcWalHave *have, BkcWalReach *reach, BkcError *err)
{
	Walk		w = {.map = map, .path = path, .have = have};
	bool		served;

	memset(reach, 0, sizeof(*reach));
	reach->timeline = timeline;
	reach->end_lsn = start_lsn;
	if (!check_start(path, timeline, start_lsn, err))
		return false;
	if (map->segment_size == 0)
	{
		if (have != NULL && have->timeline == timeline && have->end_lsn > start_lsn)
		{
			reach->end_lsn = have->end_lsn;
			reach->end_time = have->time;
		}
		return true;
	}
	w.cur = start_lsn / map->segment_size;
	walk(&w);
	if (!closed_end(&w, start_lsn, reach, err))
		return false;
	if (w.cur >= bkc_walmap_segments_end(map))
		return true;
	bkc_wal_segment_name(path->legs[w.leg].timeline, w.cur, map->segment_size, reach->missing);
	reach->closed_lsn = reach->end_lsn;
	reach->closed_time = reach->end_time;
	reach->closed_timeline = reach->timeline;
	if (!open_end(&w, reach, &served, err))
		return false;
	if (!served && !parent_of_fork(&w, reach, err))
		return false;
	return look_beyond(&w, reach, err);
}

/* ---- by time ---- */

/* The time of the first segment of from .. end - 1 that can be read; *found = end when none can. */
static bool
readable_from(const BkcWalMap *map, const BkcWalPath *path, uint64_t from, uint64_t end,
			  uint64_t *found, int64_t *time, BkcError *err)
{
	*time = 0;
	for (*found = from; *found < end; ++*found)
	{
		uint32_t	timeline = path->legs[bkc_walpath_leg_at(map, path, *found)].timeline;

		if (!bkc_host_check(err) || !bkc_walmap_time(map, timeline, *found, time, err))
			return false;
		if (*time != 0)
			return true;
	}
	return true;
}

/* The first segment from which on to last - 1 all are in the archive. */
static uint64_t
archived_from(const BkcWalMap *map, const BkcWalPath *path, uint64_t segno, uint64_t last)
{
	uint64_t	from = segno;

	while (segno < last)
	{
		size_t		leg = bkc_walpath_leg_at(map, path, segno);
		size_t		run = bkc_walmap_run_at(map, path->legs[leg].timeline, segno);
		uint64_t	first;
		uint64_t	next;

		if (!bkc_walmap_has(map, path->legs[leg].timeline, segno))
		{
			from = ++segno;
			continue;
		}
		bkc_walpath_segments(map, path, leg, &first, &next);
		segno = map->runs[run].last + 1 < next ? map->runs[run].last + 1 : next;
	}
	return from;
}

bool
bkc_walmap_at_time(const BkcWalMap *map, const BkcWalPath *path, uint32_t timeline,
				   uint64_t start_lsn, const BkcWalReach *reach, int64_t time,
				   uint32_t *tli, uint64_t *lsn, BkcError *err)
{
	uint64_t	low;
	uint64_t	last;			/* of this one it is known that it reaches that far */
	uint64_t	end;

	if (!check_start(path, timeline, start_lsn, err))
		return false;
	if (map->segment_size == 0 || reach->end_lsn <= start_lsn ||
		(reach->end_time != 0 && reach->end_time < time))
		return bkc_error_set(err, BKC_ERR_NOT_FOUND, "the WAL ends before that time");
	end = last = (reach->end_lsn - 1) / map->segment_size;
	low = archived_from(map, path, start_lsn / map->segment_size, last);
	while (low < last)
	{
		uint64_t	mid = low + (last - low) / 2;
		uint64_t	found;
		int64_t		reached;

		/* one that cannot be read may be it, so the search goes on before it */
		if (!readable_from(map, path, mid, last, &found, &reached, err))
			return false;
		if (found < last && reached < time)
			low = found + 1;
		else
			last = mid;
	}
	*tli = low == end ? reach->timeline : path->legs[bkc_walpath_leg_at(map, path, low)].timeline;
	*lsn = low * map->segment_size;
	return true;
}
