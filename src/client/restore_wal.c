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
		return bkc_error_detail(err, "From backup %s on WAL is whole up to %s on timeline %u, %s; then %" PRIu64 " %s missing, and of the later ones %" PRIu64 " %s there, whole or in part.",
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

/* Can the backup be made consistent?  Fills way->reach. */
static bool
check_backup(BkcRestore *r, BkcError *err)
{
	const BkcManifestHeader *header = &r->backup->header;

	if ((!header->wal_in_archive && !bkc_backup_check_wal(r->backup, err)) ||
		!bkc_restore_reach(r, err))
		return false;
	if (r->way.reach.end_lsn >= header->stop_lsn)
		return true;
	missing_segment(r, "the backup itself", err);
	return bkc_error_hint(err, "The backup relies on the archive for its WAL; restore another one.");
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

/* Is there a gap that nobody has agreed to? */
static bool
check_gap(BkcRestore *r, const char *what, BkcError *err)
{
	BkcWay	   *way = &r->way;

	if (way->reach.beyond == 0)
		return true;
	way->lost = way->in_flight || r->accept_loss;
	if (way->lost)
		return true;
	missing_segment(r, what, err);
	return bkc_error_hint(err, "What is before the gap can be restored with --target-time or --target-lsn, the end of the backup with --immediate; "
						  "--accept-loss ends recovery there and leaves out what is behind it.");
}

static bool
check_whole(BkcRestore *r, BkcError *err)
{
	end_at_reach(r);
	return check_gap(r, "a recovery to the end", err);
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
	else if (way->reach.beyond > 0 || left || way->cut)
		way->until = way->reach.end_lsn;

	/* behind a fork the parent's WAL is that of another way, and chunks may be damaged */
	if ((left || way->reach.open || way->cut) && way->until > way->reach.end_lsn)
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

/* Behind the goal, and yet before the backup's end: the server could not stop there. */
static bool
too_early(const BkcRestore *r, const BkcGoalScan *scan, BkcError *err)
{
	char		goal[100];
	char		lsn[24];

	bkc_goal_describe(&r->goal, goal, sizeof(goal));
	bkc_format_lsn(scan->lsn, lsn, sizeof(lsn));
	bkc_error_set(err, BKC_ERR_UNSUPPORTED, "backup %s cannot be restored to %s: a transaction in it ended later",
				  r->way.backup.label, goal);
	bkc_error_detail(err, "It ended at %s, before the end of the backup; the clock must have been set back.", lsn);
	return bkc_error_hint(err, "Choose an older backup with --backup.");
}

/*
 * Segments' times lead to where the scan begins.  Clocks can be set back, and
 * between two servers they differ: so before everything is restored, because nothing lies
 * behind the goal, all WAL is looked at.
 */
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
	if (!scan.found && from > header->start_lsn)
	{
		bkc_restore_tell_search(r, header->start_lsn, way->reach.end_lsn);
		if (!bkc_restore_scan(r, header->start_lsn, &scan, err))
			return false;
	}
	if (scan.found && scan.lsn < header->stop_lsn)
		return too_early(r, &scan, err);

	/* nothing says that WAL reaches that time */
	if (!scan.found && way->reach.end_time == 0 && scan.latest < r->goal.time)
	{
		way->reach.end_time = scan.latest;
		return beyond_reach(r, err);
	}
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

/* ---- a transaction, a restore point ---- */

/*
 * A transaction has its number for itself; several restore points may have one name, and the
 * server stops at the first that it comes by, even if it is too early to stop.
 */
static uint64_t
find_from(const BkcRestore *r)
{
	const BkcManifestHeader *header = &r->backup->header;

	return r->goal.kind == BKC_GOAL_NAME ? header->start_lsn : header->stop_lsn;
}

static bool
name_too_early(const BkcRestore *r, const BkcGoalScan *scan, BkcError *err)
{
	char		goal[100];
	char		lsn[24];

	bkc_goal_describe(&r->goal, goal, sizeof(goal));
	bkc_format_lsn(scan->lsn, lsn, sizeof(lsn));
	bkc_error_set(err, BKC_ERR_UNSUPPORTED, "backup %s cannot be restored to %s: one of that name was made while the backup ran",
				  r->way.backup.label, goal);
	bkc_error_detail(err, "It is at %s, before the end of the backup, and recovery would stop there.", lsn);
	if (r->way.suitable == 0)
		return bkc_error_hint(err, "Without --backup older ones are tried, too; a later one of that name can be restored to by --target-time or --target-lsn.");
	return bkc_error_hint(err, "There is no older backup on that way; a later one of that name can be restored to by --target-time or --target-lsn.");
}

static bool
not_found(const BkcRestore *r, BkcError *err)
{
	char		goal[100];
	char		from[24];
	char		to[24];

	bkc_goal_describe(&r->goal, goal, sizeof(goal));
	bkc_format_lsn(find_from(r), from, sizeof(from));
	bkc_format_lsn(r->way.reach.end_lsn, to, sizeof(to));
	bkc_error_set(err, BKC_ERR_NOT_FOUND, "%s is not in the WAL from backup %s on", goal,
				  r->way.backup.label);
	bkc_error_detail(err, "On the way to timeline %u it was looked for from %s to %s.", r->way.timeline,
					 from, to);
	if (r->way.suitable == 0)
		return bkc_error_hint(err, "Without --backup older ones are tried, too; --target-timeline chooses another timeline.");
	return bkc_error_hint(err, "There is no older backup on that way; --target-timeline chooses another timeline.");
}

/* From this backup on, but not behind limit. */
static bool
find(BkcRestore *r, uint64_t limit, BkcGoalScan *scan, BkcError *err)
{
	BkcWalReach *reach = &r->way.reach;
	BkcWalReach whole = *reach;
	uint64_t	from = find_from(r);
	bool		ok = true;

	memset(scan, 0, sizeof(*scan));
	if (limit < reach->end_lsn)
		reach->end_lsn = limit;
	bkc_restore_tell_search(r, from, reach->end_lsn);
	if (reach->end_lsn > from)
		ok = bkc_restore_scan(r, from, scan, err);
	*reach = whole;
	return ok;
}

/*
 * Nobody knows where it is.  The newest backup behind whose end it is found is the one to
 * restore; of an older one only the WAL up to the next one's end is new.
 */
static bool
check_find(BkcRestore *r, BkcError *err)
{
	BkcWay	   *way = &r->way;
	uint64_t	limit = UINT64_MAX;
	BkcGoalScan scan;
	char		goal[100];

	bkc_goal_describe(&r->goal, goal, sizeof(goal));
	for (;;)
	{
		const BkcManifestHeader *header = &r->backup->header;
		const BkcBackupSpan *older = bkc_restore_older(r);
		bool		early;

		if (!find(r, limit, &scan, err))
			return false;
		early = scan.found && scan.lsn < header->stop_lsn;
		if (scan.found && !early)
		{
			way->lost = false;
			need_nothing_behind(r, scan.end);
			return true;
		}
		if (limit == UINT64_MAX && !early && !check_gap(r, goal, err))
			return false;
		if (older == NULL)
			return early ? name_too_early(r, &scan, err) : not_found(r, err);
		limit = header->stop_lsn;
		way->suitable--;
		if (!bkc_restore_use(r, older, err) || !check_backup(r, err))
			return false;
	}
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
			return check_find(r, err);
		case BKC_GOAL_IMMEDIATE:
			need_nothing_behind(r, r->backup->header.stop_lsn);
			return true;
	}
	return true;
}

bool
bkc_restore_wal_check(BkcRestore *r, BkcError *err)
{
	BkcWay	   *way = &r->way;

	r->place = BKC_AT_REPOSITORY;
	if (!check_backup(r, err) || !check_goal(r, err))
		return false;
	way->archived = way->reach.open || way->reach.end_lsn > r->backup->header.stop_lsn;
	if (way->at_end && way->last == 0 && r->goal.action != NULL &&
		strcmp(r->goal.action, "promote") != 0)
		return bkc_error_set(err, BKC_ERR_UNSUPPORTED, "there is no record in WAL at which recovery could %s",
							 r->goal.action);
	return true;
}
