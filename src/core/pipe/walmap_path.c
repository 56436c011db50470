/*
 * walmap_path.c
 *		The way through the timelines, by their histories.
 */
#include "pipe/walmap.h"

#include <stdlib.h>
#include <string.h>

#include "pipe/walmap_inner.h"

const BkcWalHistory *
bkc_walmap_history(const BkcWalMap *map, uint32_t timeline)
{
	for (size_t i = 0; i < map->nhistories; i++)
	{
		if (map->histories[i].timeline == timeline)
			return &map->histories[i];
	}
	return NULL;
}

/* Is number above that timeline, without a history, and lower than found? */
static void
note_unknown(const BkcWalMap *map, uint32_t timeline, uint32_t number, uint32_t *found)
{
	if (number > timeline && (*found == 0 || number < *found) &&
		bkc_walmap_history(map, number) == NULL)
		*found = number;
}

uint32_t
bkc_walmap_unknown_above(const BkcWalMap *map, uint32_t timeline)
{
	uint32_t	found = 0;

	for (size_t i = 0; i < map->nruns; i++)
		note_unknown(map, timeline, map->runs[i].timeline, &found);
	for (size_t i = 0; i < map->ntails; i++)
		note_unknown(map, timeline, map->tails[i].timeline, &found);
	for (size_t i = 0; i < map->ndamaged; i++)
		note_unknown(map, timeline, map->damaged[i], &found);
	return found;
}

/*
 * The server looks at the newest timeline first, so an older one counts only
 * before the begin of every newer one.  That matters where a recovery towards a
 * timeline ended before that timeline began: its history is then
 * a line of the new one's all the same, with a begin behind its end.
 */
static void
fill_legs(const BkcWalHistory *history, BkcWalPath *path)
{
	uint64_t	limit = UINT64_MAX;
	size_t		used = history->n + 1;	/* legs are filled from the end */

	for (size_t i = history->n + 1; i-- > 0;)
	{
		bool		own = i == history->n;
		BkcWalLeg	leg = {
			.timeline = own ? history->timeline : history->entries[i].timeline,
			.begin = i == 0 ? 0 : history->entries[i - 1].switch_lsn,
			.end = own ? UINT64_MAX : history->entries[i].switch_lsn
		};

		if (leg.end > limit)
			leg.end = limit;
		if (!own && leg.begin >= leg.end)
			continue;
		path->legs[--used] = leg;
		limit = leg.begin;
	}
	path->n = history->n + 1 - used;
	memmove(path->legs, path->legs + used, path->n * sizeof(*path->legs));
	path->legs[0].begin = 0;
}

bool
bkc_walmap_path(const BkcWalMap *map, uint32_t timeline, BkcWalPath *path, BkcError *err)
{
	const BkcWalHistory none = {.timeline = timeline};
	const BkcWalHistory *history = bkc_walmap_history(map, timeline);

	path->n = 0;
	path->legs = NULL;
	if (history == NULL)
		history = &none;
	path->legs = calloc(history->n + 1, sizeof(*path->legs));
	if (path->legs == NULL)
		return bkc_error_oom(err);
	fill_legs(history, path);
	return true;
}

void
bkc_walpath_free(BkcWalPath *path)
{
	free(path->legs);
	path->legs = NULL;
	path->n = 0;
}

bool
bkc_walpath_contains(const BkcWalPath *path, uint32_t timeline, uint64_t lsn)
{
	for (size_t i = 0; i < path->n; i++)
	{
		if (path->legs[i].timeline == timeline)
			return lsn >= path->legs[i].begin && lsn <= path->legs[i].end;
	}
	return false;
}

bool
bkc_walmap_latest(const BkcWalMap *map, uint32_t timeline, uint64_t lsn, uint32_t *latest,
				  BkcError *err)
{
	*latest = timeline;
	for (size_t i = map->nhistories; i-- > 0 && map->histories[i].timeline > timeline;)
	{
		BkcWalPath	path;
		bool		found;

		if (!bkc_walmap_path(map, map->histories[i].timeline, &path, err))
			return false;
		found = bkc_walpath_contains(&path, timeline, lsn);
		bkc_walpath_free(&path);
		if (found)
		{
			*latest = map->histories[i].timeline;
			break;
		}
	}
	return true;
}

/* ---- segments of a path ---- */

void
bkc_walpath_segments(const BkcWalMap *map, const BkcWalPath *path, size_t i, uint64_t *first,
					 uint64_t *next)
{
	const BkcWalLeg *leg = &path->legs[i];

	*first = leg->begin / map->segment_size;
	*next = i + 1 == path->n ? bkc_walmap_segments_end(map) : leg->end / map->segment_size;
}

size_t
bkc_walpath_leg_at(const BkcWalMap *map, const BkcWalPath *path, uint64_t segno)
{
	for (size_t i = path->n; i-- > 1;)
	{
		if (path->legs[i].begin / map->segment_size <= segno)
			return i;
	}
	return 0;
}
