/*
 * list_wal.c
 *		The part of "list" about WAL: timelines, ranges, recovery windows.
 */
#include "list_wal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* The WAL of one timeline, whole segments and the open one. */
typedef struct Range
{
	uint32_t	timeline;
	uint64_t	first;			/* segment numbers; only when segments > 0 */
	uint64_t	last;
	uint64_t	segments;
	uint64_t	gaps;
	bool		open;			/* of a further segment there are chunks */
	uint64_t	open_segment;
	bool		history;
} Range;

/*
 * The range of the timeline that has the lowest number above after, perhaps with a
 * history and nothing else; false when there is none.
 */
static bool
next_range(const BkcWalMap *map, uint32_t after, Range *range)
{
	memset(range, 0, sizeof(*range));
	range->timeline = UINT32_MAX;
	for (size_t i = 0; i < map->nruns; i++)
	{
		if (map->runs[i].timeline > after && map->runs[i].timeline < range->timeline)
			range->timeline = map->runs[i].timeline;
	}
	for (size_t i = 0; i < map->ntails; i++)
	{
		if (map->tails[i].timeline > after && map->tails[i].timeline < range->timeline)
			range->timeline = map->tails[i].timeline;
	}
	for (size_t i = 0; i < map->nhistories; i++)
	{
		if (map->histories[i].timeline > after && map->histories[i].timeline < range->timeline)
			range->timeline = map->histories[i].timeline;
	}
	for (size_t i = 0; i < map->nruns; i++)
	{
		const BkcWalRun *run = &map->runs[i];

		if (run->timeline != range->timeline)
			continue;
		range->first = range->segments == 0 ? run->first : range->first;
		range->gaps += range->segments > 0;
		range->last = run->last;
		range->segments += run->last - run->first + 1;
	}
	for (size_t i = 0; i < map->ntails; i++)
	{
		if (map->tails[i].timeline != range->timeline)
			continue;
		range->open = true;
		range->open_segment = map->tails[i].segno;
	}
	for (size_t i = 0; i < map->nhistories; i++)
		range->history |= map->histories[i].timeline == range->timeline;
	return range->segments > 0 || range->open || range->history;
}

/* ---- for people ---- */

static void
print_range(const BkcWalMap *map, const Range *range)
{
	char		from[24];
	char		to[24];
	char		open[BKC_WAL_NAME_MAX] = "";

	if (range->open)
		bkc_wal_segment_name(range->timeline, range->open_segment, map->segment_size, open);
	bkc_format_lsn(range->first * map->segment_size, from, sizeof(from));
	bkc_format_lsn((range->last + 1) * map->segment_size, to, sizeof(to));
	printf("  WAL on timeline %u: ", range->timeline);
	if (range->segments > 0)
		printf("%s to %s in %" PRIu64 " %s", from, to, range->segments,
			   range->segments == 1 ? "segment" : "segments");
	if (range->gaps > 0)
		printf(" with %" PRIu64 " %s (\"pg_backupctl check\" names them)", range->gaps,
			   range->gaps == 1 ? "gap" : "gaps");
	if (range->open)
		printf("%spart of %s", range->segments > 0 ? ", " : "", open);
	else if (range->segments == 0)
		printf("none yet, only its history");
	putchar('\n');
}

static void
print_window(const BkcRecoveryWindow *window)
{
	char		from[48];
	char		to[48];

	bkc_format_moment(window->start_time, false, from, sizeof(from));
	bkc_format_moment(window->end_time, false, to, sizeof(to));
	printf("  can be restored: %s to %s on timeline %u, from %u %s\n", from, to, window->timeline,
		   window->backups, window->backups == 1 ? "backup" : "backups");
}

/* ---- for programs ---- */

static json_t *
range_json(const BkcWalMap *map, const Range *range)
{
	char		open[BKC_WAL_NAME_MAX];
	bool		whole = range->segments > 0;

	if (range->open)
		bkc_wal_segment_name(range->timeline, range->open_segment, map->segment_size, open);
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}",
					 "timeline", bkc_json_u64(range->timeline),
					 "start_lsn", whole ? bkc_json_lsn(range->first * map->segment_size) : json_null(),
					 "end_lsn", whole ? bkc_json_lsn((range->last + 1) * map->segment_size) : json_null(),
					 "segments", bkc_json_u64(range->segments),
					 "gaps", bkc_json_u64(range->gaps),
					 "open_segment", bkc_json_text(range->open ? open : NULL));
}

static json_t *
window_json(const BkcRecoveryWindow *window)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:s}",
					 "timeline", bkc_json_u64(window->timeline),
					 "start_time", bkc_json_time(window->start_time),
					 "end_time", bkc_json_time(window->end_time),
					 "start_lsn", bkc_json_lsn(window->start_lsn),
					 "end_lsn", bkc_json_lsn(window->end_lsn),
					 "backups", bkc_json_u64(window->backups),
					 "first_backup", window->first_backup, "last_backup", window->last_backup);
}

static bool
set_json(const BkcWalMap *map, const BkcRecoveryWindow *windows, size_t nwindows, json_t *cluster,
		 BkcError *err)
{
	json_t	   *ranges = json_array();
	json_t	   *list = json_array();
	Range		range;
	bool		ok = ranges != NULL && list != NULL;

	for (uint32_t after = 0; ok && next_range(map, after, &range); after = range.timeline)
		ok = bkc_json_append(ranges, range_json(map, &range));
	for (size_t i = 0; ok && i < nwindows; i++)
		ok = bkc_json_append(list, window_json(&windows[i]));

	/* each value is the cluster's from here on, also when setting it fails */
	if (!bkc_json_set(cluster, "wal", ranges))
		ok = false;
	if (!bkc_json_set(cluster, "recovery_windows", list))
		ok = false;
	return ok || bkc_error_oom(err);
}

bool
bkc_list_wal(BkcStore *store, uint64_t sysid, const BkcBackupSpan *spans, size_t nspans,
			 json_t *cluster, BkcError *err)
{
	BkcWalMap  *map = NULL;
	BkcRecoveryWindow *windows = NULL;
	size_t		nwindows = 0;
	Range		range;
	bool		ok;

	ok = bkc_walmap_load(store, sysid, nspans > 0 ? spans[nspans - 1].segment_size : 0, &map, err);
	if (ok && (map->nruns > 0 || map->ntails > 0))
		ok = bkc_recovery_windows(map, spans, nspans, &windows, &nwindows, err);
	if (ok && cluster != NULL)
		ok = set_json(map, windows, nwindows, cluster, err);
	else if (ok)
	{
		for (uint32_t after = 0; next_range(map, after, &range); after = range.timeline)
			print_range(map, &range);
		for (size_t i = 0; i < nwindows; i++)
			print_window(&windows[i]);
	}
	free(windows);
	bkc_walmap_free(map);
	return ok;
}
