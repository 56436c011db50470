/*
 * walmap.c
 *		The map of a repository's WAL, made from a listing: runs of whole
 *		segments, segments that have only chunks, timelines' histories.
 *
 * A listing comes in byte order, so a segment's object comes before its
 * chunks, and a timeline's segments come in order of their numbers: a run
 * only ever grows at its end.
 */
#include "pipe/walmap.h"

#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "pipe/walmap_inner.h"
#include "pipe/walobj.h"

/* ---- lists ---- */

bool
bkc_walmap_grow(void **list, size_t *cap, size_t n, size_t width, BkcError *err)
{
	size_t		bigger;
	void	   *moved;

	if (n < *cap)
		return true;
	bigger = *cap == 0 ? 16 : *cap * 2;
	moved = realloc(*list, bigger * width);
	if (moved == NULL)
		return bkc_error_oom(err);
	*list = moved;
	*cap = bigger;
	return true;
}

size_t
bkc_walmap_run_at(const BkcWalMap *map, uint32_t timeline, uint64_t segno)
{
	size_t		low = 0;
	size_t		high = map->nruns;

	while (low < high)
	{
		size_t		mid = low + (high - low) / 2;
		const BkcWalRun *run = &map->runs[mid];

		if (run->timeline < timeline || (run->timeline == timeline && run->last < segno))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

size_t
bkc_waltail_at(const BkcWalTail *list, size_t n, uint32_t timeline, uint64_t segno)
{
	size_t		low = 0;
	size_t		high = n;

	while (low < high)
	{
		size_t		mid = low + (high - low) / 2;
		const BkcWalTail *tail = &list[mid];

		if (tail->timeline < timeline || (tail->timeline == timeline && tail->segno < segno))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool
bkc_waltail_has(const BkcWalTail *list, size_t n, uint32_t timeline, uint64_t segno)
{
	size_t		i = bkc_waltail_at(list, n, timeline, segno);

	return i < n && list[i].timeline == timeline && list[i].segno == segno;
}

bool
bkc_walmap_has(const BkcWalMap *map, uint32_t timeline, uint64_t segno)
{
	size_t		i = bkc_walmap_run_at(map, timeline, segno);

	return i < map->nruns && map->runs[i].timeline == timeline && map->runs[i].first <= segno;
}

uint64_t
bkc_walmap_segments_end(const BkcWalMap *map)
{
	return UINT64_MAX / map->segment_size + 1;
}

/* ---- histories ---- */

/* Index of the history of that timeline, or where it belongs. */
static size_t
history_at(const BkcWalMap *map, uint32_t timeline)
{
	size_t		i = 0;

	while (i < map->nhistories && map->histories[i].timeline < timeline)
		i++;
	return i;
}

bool
bkc_walmap_add_history(BkcWalMap *map, uint32_t timeline, const char *text, size_t len,
					   BkcError *err)
{
	BkcWalHistory history = {.timeline = timeline};
	BkcWalHistory *bigger;
	size_t		at = history_at(map, timeline);

	if (at < map->nhistories && map->histories[at].timeline == timeline)
		return true;
	if (!bkc_wal_history_parse(text, len, timeline, &history.entries, &history.n, err))
		return false;
	bigger = realloc(map->histories, (map->nhistories + 1) * sizeof(*bigger));
	if (bigger == NULL)
	{
		free(history.entries);
		return bkc_error_oom(err);
	}
	map->histories = bigger;
	memmove(&bigger[at + 1], &bigger[at], (map->nhistories - at) * sizeof(*bigger));
	bigger[at] = history;
	map->nhistories++;
	return true;
}

/* ---- times ---- */

bool
bkc_walmap_is_damage(BkcErrorCode code)
{
	return code == BKC_ERR_CORRUPT || code == BKC_ERR_UNSUPPORTED || code == BKC_ERR_INVALID ||
		code == BKC_ERR_NOT_FOUND;
}

bool
bkc_walmap_pass_damage(BkcError *err)
{
	if (!bkc_walmap_is_damage(err->code))
		return false;
	bkc_log(BKC_LOG_WARNING, "%s", err->message);
	bkc_error_clear(err);
	return true;
}

bool
bkc_walmap_time(const BkcWalMap *map, uint32_t timeline, uint64_t segno, int64_t *time,
				BkcError *err)
{
	char		file[BKC_WAL_NAME_MAX];
	char		name[BKC_NAME_MAX];
	BkcWalInfo	info;
	bool		ok;

	*time = 0;
	bkc_wal_segment_name(timeline, segno, map->segment_size, file);
	if (bkc_waltail_has(map->conflicts, map->nconflicts, timeline, segno))
		ok = bkc_wal_find(map->store, map->sysid, file, name, err);
	else
		ok = bkc_name_wal_file(map->sysid, file, NULL, name, err);
	if (ok && bkc_wal_info(map->store, name, &info, err))
	{
		*time = info.time;
		return true;
	}
	return bkc_walmap_pass_damage(err);
}

void
bkc_walmap_free(BkcWalMap *map)
{
	if (map == NULL)
		return;
	for (size_t i = 0; i < map->nhistories; i++)
		free(map->histories[i].entries);
	free(map->histories);
	free(map->damaged);
	free(map->conflicts);
	free(map->tails);
	free(map->runs);
	free(map);
}
