/*
 * restore_wal.c
 *		Is all WAL from the backup to the goal in the repository?  Before a byte
 *		is written.
 */
#include "restore.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "pipe/walobj.h"

#include "report.h"

#define PAGE_HEADER_MAX	40		/* a location behind a page's header means the page's start */
#define PAGE_MIN		1024

/* ---- refusals ---- */

/* Of which segment it is, and how it could be had all the same. */
static bool
missing_segment(const BkcRestore *r, const char *what, BkcError *err)
{
	const BkcWalReach *reach = &r->way.reach;
	char		lsn[24];
	char		reached[48] = "an unknown time";

	bkc_format_lsn(reach->end_lsn, lsn, sizeof(lsn));
	if (reach->end_time != 0)
		bkc_format_moment(reach->end_time, false, reached, sizeof(reached));
	bkc_error_set(err, BKC_ERR_NOT_FOUND, "WAL segment %s, which is needed for %s, is not in the repository",
				  reach->missing, what);
	if (reach->beyond > 0)
		return bkc_error_detail(err, "From backup %s on WAL is whole up to %s on timeline %u, %s; then %" PRIu64 " %s missing, and of the later ones %" PRIu64 " %s there.",
								r->way.backup.label, lsn, reach->timeline, reached, reach->gap,
								reach->gap == 1 ? "segment is" : "segments are", reach->beyond,
								reach->beyond == 1 ? "is" : "are");
	return bkc_error_detail(err, "From backup %s on WAL is whole up to %s on timeline %u, %s.",
							r->way.backup.label, lsn, reach->timeline, reached);
}

/* A target behind all WAL. */
static bool
beyond_reach(const BkcRestore *r, BkcError *err)
{
	const BkcWay *way = &r->way;
	char		goal[100];
	char		lsn[24];
	char		reached[48] = "an unknown time";

	bkc_goal_describe(&r->goal, goal, sizeof(goal));
	if (way->reach.beyond > 0)
	{
		missing_segment(r, goal, err);
		return bkc_error_hint(err, "A target before the gap can be restored, and one behind it from a later backup.");
	}
	bkc_format_lsn(way->reach.end_lsn, lsn, sizeof(lsn));
	if (way->reach.end_time != 0)
		bkc_format_moment(way->reach.end_time, false, reached, sizeof(reached));
	bkc_error_set(err, BKC_ERR_NOT_FOUND, "the WAL in the repository does not reach %s", goal);
	bkc_error_detail(err, "On the way to timeline %u it ends at %s, %s%s%s%s.", way->timeline, lsn,
					 reached, way->reach.missing[0] != '\0' ? "; the first missing segment is " : "",
					 way->reach.missing,
					 way->archived ? "" : "; the repository holds no WAL but that of backups");
	return bkc_error_hint(err, "Without a target everything there is is restored; --target-timeline chooses another timeline.");
}

/* ---- a hole in the newest WAL ---- */

/*
 * Was the missing segment still on its way when the newest ones arrived?
 * Only segments of the last timeline can be: the server that wrote the others is gone.
 */
static bool
in_flight(const BkcWay *way)
{
	const BkcWalMap *map = way->map;
	uint32_t	timeline;
	uint64_t	missing;
	uint64_t	highest = 0;

	if (!bkc_wal_segment_parse(way->reach.missing, map->segment_size, &timeline, &missing) ||
		timeline != way->timeline)
		return false;
	for (size_t i = 0; i < map->nruns; i++)
	{
		if (map->runs[i].timeline == timeline && map->runs[i].last > highest)
			highest = map->runs[i].last;
	}
	return highest > missing && highest - missing <= BKC_WAL_RECENT;
}

/*
 * Its first segment may have chunks all the same.  wal-get serves them when
 * --until says that nothing behind them counts.
 */
static bool
reach_into_hole(BkcRestore *r, BkcError *err)
{
	BkcWalReach *reach = &r->way.reach;
	uint64_t	end;
	int64_t		time;

	if (bkc_wal_chunks_end(r->session.store, r->session.sysid, reach->missing, &end, &time, err))
	{
		if (end > reach->end_lsn)
		{
			reach->end_lsn = end;
			reach->end_time = time;
			reach->timeline = r->way.timeline;
			reach->open = true;
		}
	}
	else if (err->code != BKC_ERR_NOT_FOUND && err->code != BKC_ERR_CORRUPT)
		return false;
	bkc_error_clear(err);
	return true;
}

/* ---- one check for each kind of goal ---- */

/* The end of the segment that holds what is before lsn. */
static uint64_t
whole_segments(const BkcRestore *r, uint64_t lsn)
{
	uint64_t	size = r->backup->header.wal_segment_size;

	return lsn % size == 0 ? lsn : lsn - lsn % size + size;
}

static bool
promotes(const BkcRestore *r)
{
	return !r->goal.standby &&
		(r->goal.action == NULL || strcmp(r->goal.action, "promote") == 0);
}

/*
 * What was announced is what is restored.  Nothing in the server keeps
 * it from going on along a timeline that was left, and what arrives between now and its
 * start may have holes.  Where recovery only pauses somebody may want to go on, but
 * not past a fork or over a hole.
 */
static void
end_at_reach(BkcRestore *r)
{
	BkcWay	   *way = &r->way;
	const BkcWalReach *reach = &way->reach;

	if (reach->beyond > 0 || reach->timeline != way->timeline)
		way->until = reach->end_lsn;
	else if (promotes(r))
		way->until = reach->open ? reach->end_lsn : whole_segments(r, reach->end_lsn);
}

/*
 * All there is, also when a transaction or a name is looked for: nobody
 * knows in which segment that is.
 */
static bool
check_whole(BkcRestore *r, BkcError *err)
{
	end_at_reach(r);
	if (r->way.reach.beyond == 0)
		return true;
	if (in_flight(&r->way))
	{
		r->way.lost = true;
		return true;
	}
	missing_segment(r, "a recovery to the end", err);
	return bkc_error_hint(err, "What is before the gap can be restored with --target-time or --target-lsn, the end of the backup with --immediate.");
}

/*
 * A server reads ahead of what it replays, and would stop at a gap or a
 * damaged segment behind its target: everything it needs lies before lsn, and
 * it gets no later segment.  Not where recovery only pauses: whoever has
 * looked may want to go on.
 */
static void
need_nothing_behind(BkcRestore *r, uint64_t lsn)
{
	BkcWay	   *way = &r->way;
	bool		left = way->reach.timeline != way->timeline;

	if (promotes(r))
		way->until = whole_segments(r, lsn);
	else if (way->reach.beyond > 0 || left)
		way->until = way->reach.end_lsn;

	/* behind a fork the parent's WAL is that of another way */
	if (left && way->until > way->reach.end_lsn)
		way->until = way->reach.end_lsn;
}

/*
 * The server fails when nothing in WAL lies behind the target, although all
 * that was asked for is there.
 */
static void
settle_end(BkcRestore *r, const BkcGoalScan *scan)
{
	if (scan->found)
	{
		need_nothing_behind(r, scan->end);
		return;
	}
	r->way.at_end = true;
	r->way.last = scan->last;
	r->way.until = scan->end;
}

static bool
check_time(BkcRestore *r, BkcError *err)
{
	const BkcManifestHeader *header = &r->backup->header;
	BkcWay	   *way = &r->way;
	BkcGoalScan scan;
	uint32_t	timeline;
	uint64_t	from;

	if (way->reach.end_time != 0 && way->reach.end_time < r->goal.time)
		return beyond_reach(r, err);
	if (!bkc_walmap_at_time(way->map, &way->path, header->timeline, header->start_lsn, &way->reach,
							r->goal.time, &timeline, &from, err) ||
		!bkc_restore_scan(r, from, &scan, err))
		return false;
	settle_end(r, &scan);
	return true;
}

static bool
check_lsn(BkcRestore *r, BkcError *err)
{
	BkcWay	   *way = &r->way;
	uint64_t	target = r->goal.lsn;
	BkcGoalScan scan;

	if (way->reach.end_lsn < target)
		return beyond_reach(r, err);
	if (!bkc_restore_scan(r, target, &scan, err))
		return false;
	if (!scan.found && scan.end < target &&
		!(scan.end % PAGE_MIN == 0 && target - scan.end <= PAGE_HEADER_MAX))
	{
		way->reach.end_lsn = scan.end;
		return beyond_reach(r, err);
	}
	settle_end(r, &scan);
	return true;
}

/*
 * A standby waits for what is missing: its primary may be alive and send it
 * in the next moment.
 */
static void
look_at_standby(const BkcRestore *r)
{
	const BkcWalReach *reach = &r->way.reach;

	if (reach->beyond > 0)
		bkc_report_warning("WAL segment %s is missing in the repository, later ones are there: the standby will wait for it there",
						   reach->missing);
}

static bool
check_goal(BkcRestore *r, BkcError *err)
{
	switch (r->goal.kind)
	{
		case BKC_GOAL_END:
			if (!r->goal.standby)
				return check_whole(r, err);
			look_at_standby(r);
			return true;
		case BKC_GOAL_TIME:
			return check_time(r, err);
		case BKC_GOAL_LSN:
			return check_lsn(r, err);
		case BKC_GOAL_XID:
		case BKC_GOAL_NAME:
			return check_whole(r, err);
		case BKC_GOAL_IMMEDIATE:
			need_nothing_behind(r, r->backup->header.stop_lsn);
			return true;
	}
	return true;
}

bool
bkc_restore_wal_check(BkcRestore *r, BkcError *err)
{
	const BkcManifestHeader *header = &r->backup->header;
	BkcWay	   *way = &r->way;
	BkcWalHave	have = {
		.timeline = header->timeline,
		.start_lsn = header->start_lsn,
		.end_lsn = header->wal_in_archive ? 0 : header->stop_lsn,
		.time = header->stop_time
	};

	r->place = BKC_AT_REPOSITORY;
	if (!header->wal_in_archive && !bkc_backup_check_wal(r->backup, err))
		return false;
	if (!bkc_walmap_reach(way->map, &way->path, header->timeline, header->start_lsn, &have,
						  &way->reach, err))
		return false;
	if (way->reach.end_lsn < header->stop_lsn)
	{
		missing_segment(r, "the backup itself", err);
		return bkc_error_hint(err, "The backup relies on the archive for its WAL; restore another one.");
	}
	if (way->reach.beyond > 0 && in_flight(way) && !reach_into_hole(r, err))
		return false;
	way->archived = way->reach.open || way->reach.end_lsn > header->stop_lsn;
	if (!check_goal(r, err))
		return false;
	if (way->at_end && way->last == 0 && r->goal.action != NULL &&
		strcmp(r->goal.action, "promote") != 0)
		return bkc_error_set(err, BKC_ERR_UNSUPPORTED, "there is no record in WAL at which recovery could %s",
							 r->goal.action);
	return true;
}
