/*
 * restore_reach.c
 *		How far the WAL from the backup on goes.
 *
 * The map knows what objects say of themselves.  Here the end is looked at
 * itself, because it is announced and nothing may be missing before it, and a hole that
 * may close in a moment is waited for.
 */
#include "restore.h"

#include <string.h>

#include "base/host.h"
#include "base/text.h"
#include "pipe/walobj.h"

#include "report.h"

/* Segments are sent in parallel: those behind a hole came soon after what is before it. */
#define IN_FLIGHT_USEC	INT64_C(600000000)

/* A hole that is younger may close, when its server lives. */
#define YOUNG_USEC		INT64_C(60000000)
#define WAIT_USEC		INT64_C(10000000)
#define WAIT_MS			500

static bool
follow(BkcRestore *r, BkcError *err)
{
	const BkcManifestHeader *header = &r->backup->header;
	BkcWay	   *way = &r->way;
	BkcWalHave	have = {
		.timeline = header->timeline,
		.start_lsn = header->start_lsn,
		.end_lsn = header->wal_in_archive ? 0 : header->stop_lsn,
		.time = header->stop_time
	};

	return bkc_walmap_reach(way->map, &way->path, header->timeline, header->start_lsn, &have,
							&way->reach, err);
}

/* ---- holes ---- */

/* Does the goal lie behind the hole, so that it is in the way? */
static bool
hole_matters(const BkcRestore *r)
{
	const BkcWalReach *reach = &r->way.reach;

	if (reach->beyond == 0 || r->goal.standby)
		return false;
	switch (r->goal.kind)
	{
		case BKC_GOAL_IMMEDIATE:
			return false;
		case BKC_GOAL_TIME:
			return reach->end_time == 0 || reach->end_time < r->goal.time;
		case BKC_GOAL_LSN:
			return reach->end_lsn < r->goal.lsn;
		default:
			return true;
	}
}

static bool
is_young(const BkcWalReach *reach, int64_t now)
{
	return reach->beyond_time != 0 && now - reach->beyond_time < YOUNG_USEC &&
		reach->beyond_time - now < YOUNG_USEC;
}

/* The source of a clone may be alive, and send what is missing in the next moment. */
static bool
wait_for_hole(BkcRestore *r, BkcError *err)
{
	int64_t		begun = bkc_host->now();
	int64_t		now = begun;

	if (!hole_matters(r) || !is_young(&r->way.reach, now))
		return true;
	bkc_report_warning("WAL segment %s is missing, and later ones have just arrived: waiting up to %d seconds for it",
					   r->way.reach.missing, (int) (WAIT_USEC / 1000000));
	while (now >= begun && now - begun < WAIT_USEC)
	{
		bkc_host->wait(WAIT_MS);
		if (!bkc_host_check(err) || !bkc_restore_reload(r, err) || !follow(r, err))
			return false;
		now = bkc_host->now();
		if (!hole_matters(r) || !is_young(&r->way.reach, now))
			break;
	}
	return true;
}

/*
 * Was the missing segment still on its way when the newest ones arrived?
 * Only segments of the last timeline can be: the server that wrote the others is gone.
 */
static bool
in_flight(const BkcWay *way)
{
	const BkcWalReach *reach = &way->reach;
	uint32_t	timeline;
	uint64_t	missing;

	return reach->beyond > 0 &&
		bkc_wal_segment_parse(reach->missing, way->map->segment_size, &timeline, &missing) &&
		timeline == way->timeline && bkc_walmap_recent(way->map, timeline, missing) &&
		reach->end_time != 0 && reach->beyond_time != 0 &&
		reach->beyond_time - reach->end_time <= IN_FLIGHT_USEC;
}

/*
 * A hole's first segment may have chunks all the same.  wal-get serves them when
 * --until says that nothing behind them counts.
 */
static bool
reach_into_hole(BkcRestore *r, BkcError *err)
{
	BkcWalReach *reach = &r->way.reach;
	uint32_t	timeline;
	uint64_t	segno;
	BkcWalRow	row;

	if (reach->beyond == 0 ||
		!bkc_wal_segment_parse(reach->missing, r->way.map->segment_size, &timeline, &segno) ||
		timeline != r->way.timeline)
		return true;
	if (bkc_wal_chunks_end(r->session.store, r->session.sysid, reach->missing, &row, err))
	{
		if (row.end_lsn > reach->end_lsn)
		{
			reach->end_lsn = row.end_lsn;
			reach->end_time = row.time;
			reach->timeline = timeline;
			reach->open = true;
			reach->fork = false;
		}
	}
	else if (err->code != BKC_ERR_NOT_FOUND && err->code != BKC_ERR_CORRUPT)
		return false;
	bkc_error_clear(err);
	return true;
}

/* ---- the end itself ---- */

/* Without what was found behind the whole segments. */
static void
back_to_closed(BkcWalReach *reach)
{
	reach->end_lsn = reach->closed_lsn;
	reach->end_time = reach->closed_time;
	reach->timeline = reach->closed_timeline;
	reach->open = reach->fork = false;
}

/* Which segment is put together from chunks: the newest one, or that of an ancestor at a fork. */
static bool
open_segment(const BkcRestore *r, char segment[BKC_WAL_NAME_MAX])
{
	const BkcWalReach *reach = &r->way.reach;
	uint32_t	size = r->backup->header.wal_segment_size;
	uint64_t	segno = (reach->end_lsn - 1) / size;

	bkc_wal_segment_name(reach->timeline, segno, size, segment);
	return reach->open ||
		(reach->fork && !bkc_walmap_has(r->way.map, reach->timeline, segno) &&
		 bkc_backup_find_wal(r->backup, segment) == NULL);
}

/* WAL ends before what there was. */
static void
cut_off(BkcRestore *r, const char *segment, uint64_t announced)
{
	BkcWalReach *reach = &r->way.reach;
	char		good[24];
	char		bad[24];

	r->way.cut = true;
	bkc_format_lsn(reach->end_lsn, good, sizeof(good));
	bkc_format_lsn(announced, bad, sizeof(bad));
	if (announced > reach->end_lsn)
		bkc_report_warning("what the repository has of WAL segment %s is damaged from %s on: WAL ends there, not at %s",
						   segment, good, bad);
	else
		bkc_report_warning("what the repository has of WAL segment %s is damaged or incomplete: WAL ends at %s, and there was more",
						   segment, good);
}

/* Chunks are removed in any order, but not before the whole segment is there. */
static bool
is_whole(BkcRestore *r, const char *segment, bool *whole, BkcError *err)
{
	char		name[BKC_NAME_MAX];

	*whole = bkc_wal_find(r->session.store, r->session.sysid, segment, name, err);
	return *whole || err->code == BKC_ERR_NOT_FOUND;
}

/*
 * Chunks say at their beginning how far they go; whether their bytes are good
 * shows when they are read.
 */
static bool
read_open(BkcRestore *r, BkcError *err)
{
	BkcWalReach *reach = &r->way.reach;
	uint64_t	announced = reach->end_lsn;
	char		segment[BKC_WAL_NAME_MAX];
	uint64_t	end = 0;
	int64_t		time = 0;
	bool		whole;

	if (!open_segment(r, segment))
		return true;
	if (!bkc_wal_chunks_read(r->session.store, r->session.sysid, segment,
							 r->backup->header.wal_segment_size, UINT64_MAX, -1, segment, &end,
							 &time, err) &&
		err->code != BKC_ERR_CORRUPT)
	{
		if (err->code == BKC_ERR_NOT_FOUND)
			err->code = BKC_ERR_UNAVAILABLE;
		return false;
	}
	if (end >= announced)
		return true;			/* more has come since: it is none of what is announced */
	if (!is_whole(r, segment, &whole, err))
		return false;
	if (whole)
		return bkc_error_set(err, BKC_ERR_UNAVAILABLE, "WAL segment %s became whole while its chunks were read",
							 segment);
	bkc_error_clear(err);
	if (end > reach->closed_lsn)
	{
		reach->end_lsn = end;
		reach->end_time = time;
	}
	else
		back_to_closed(reach);
	cut_off(r, segment, announced);
	return true;
}

/* Damage that chunks do not hide: some of them say that there was more than the others hold. */
static void
note_damage(BkcRestore *r)
{
	BkcWay	   *way = &r->way;

	if (way->reach.damaged[0] != '\0' && way->reach.beyond == 0 && !way->cut)
		cut_off(r, way->reach.damaged, way->reach.end_lsn);
}

/*
 * Of a segment that holds a fork nobody has noted when the fork was.  The last transaction
 * before it tells to which times that WAL reaches at least.
 */
static bool
time_of_fork(BkcRestore *r, BkcError *err)
{
	BkcWalReach *reach = &r->way.reach;
	BkcGoalScan scan;

	if (!reach->fork || r->goal.kind != BKC_GOAL_TIME)
		return true;
	if (!bkc_restore_scan_times(r, reach->end_lsn - 1, &scan, err))
		return false;
	if (scan.latest > reach->end_time)
		reach->end_time = scan.latest;
	return true;
}

static bool
look(BkcRestore *r, BkcError *err)
{
	r->way.cut = false;
	if (!follow(r, err) || !wait_for_hole(r, err) || !reach_into_hole(r, err))
		return false;
	r->way.in_flight = in_flight(&r->way);
	if (!read_open(r, err))
		return false;
	note_damage(r);
	return time_of_fork(r, err);
}

bool
bkc_restore_reach(BkcRestore *r, BkcError *err)
{
	/* a segment that became whole takes its chunks away: then it is there now */
	return look(r, err) ||
		(err->code == BKC_ERR_UNAVAILABLE && bkc_restore_reload(r, err) && look(r, err));
}
