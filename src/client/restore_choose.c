/*
 * restore_choose.c
 *		Which timeline a restore goes to, and from which backup.
 *
 * Unless told otherwise it is the highest timeline that a backup leads to.
 * After a recovery to a point in the past the newest backup may be one of the
 * abandoned timeline; what counts is the way on which the cluster went on.  Of the
 * backups on that way it is the newest one that ends before the goal.
 */
#include "restore.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "pipe/stages.h"

#include "report.h"

#define HISTORY_MAX		(1024 * 1024)

void
bkc_restore_way_free(BkcWay *way)
{
	bkc_walpath_free(&way->path);
	bkc_walmap_free(way->map);
	free(way->spans);
	memset(way, 0, sizeof(*way));
}

bool
bkc_goal_after(const BkcGoal *goal, const BkcBackupSpan *span)
{
	switch (goal->kind)
	{
		case BKC_GOAL_TIME:
			return span->stop_time <= goal->time;
		case BKC_GOAL_LSN:
			return span->stop_lsn <= goal->lsn;
		default:
			return true;
	}
}

/* ---- histories ---- */

/* The history file in a loaded backup, into the map. */
static bool
take_history(BkcWalMap *map, const BkcBackup *backup, uint32_t timeline, BkcError *err)
{
	char		name[BKC_WAL_NAME_MAX];
	const BkcEntry *entry;
	BkcBuffer	text = {0};
	BkcUnpacker *unpacker = NULL;
	BkcStage   *sink;
	bool		ok;

	bkc_wal_history_name(timeline, name);
	entry = bkc_backup_find_wal(backup, name);
	if (entry == NULL)
		return true;
	sink = bkc_stage_buffer_new(&text, HISTORY_MAX, err);
	ok = sink != NULL &&
		bkc_unpacker_new(map->store, backup, sink, NULL, NULL, &unpacker, err) &&
		bkc_unpack_file(unpacker, entry, err) &&
		bkc_walmap_add_history(map, timeline, bkc_buffer_str(&text), text.len, err);
	bkc_unpacker_close(unpacker);
	bkc_buffer_free(&text);
	return ok;
}

/*
 * Timelines whose history was never archived, but whose backups hold it.  A
 * backup that cannot be read is passed over: another may know.
 */
static bool
find_histories(BkcWay *way, BkcError *err)
{
	for (size_t i = way->nspans; i > 0; i--)
	{
		const BkcBackupSpan *span = &way->spans[i - 1];
		BkcBackup  *backup = NULL;
		bool		ok;

		if (span->timeline <= 1 || bkc_walmap_history(way->map, span->timeline) != NULL)
			continue;
		ok = bkc_backup_load(way->map->store, way->map->sysid, span->label, &backup, err) &&
			take_history(way->map, backup, span->timeline, err);
		bkc_backup_free(backup);
		if (!ok && (err->code == BKC_ERR_CANCELLED || err->code == BKC_ERR_NO_MEMORY))
			return false;
		if (!ok)
			bkc_report_warning("%s", err->message);
	}
	return true;
}

/* ---- timelines ---- */

typedef struct Timelines
{
	uint32_t   *numbers;		/* rising, each once */
	size_t		n;
} Timelines;

static void
add_timeline(Timelines *list, uint32_t number)
{
	size_t		at = 0;

	while (at < list->n && list->numbers[at] < number)
		at++;
	if (at < list->n && list->numbers[at] == number)
		return;
	memmove(&list->numbers[at + 1], &list->numbers[at], (list->n - at) * sizeof(uint32_t));
	list->numbers[at] = number;
	list->n++;
}

/* All that the repository holds anything of; numbers is to be freed. */
static bool
known_timelines(const BkcWay *way, Timelines *list, BkcError *err)
{
	const BkcWalMap *map = way->map;

	list->n = 0;
	list->numbers = calloc(map->nruns + map->ntails + map->nhistories + way->nspans + 1,
						   sizeof(uint32_t));
	if (list->numbers == NULL)
		return bkc_error_oom(err);
	for (size_t i = 0; i < map->nruns; i++)
		add_timeline(list, map->runs[i].timeline);
	for (size_t i = 0; i < map->ntails; i++)
		add_timeline(list, map->tails[i].timeline);
	for (size_t i = 0; i < map->nhistories; i++)
		add_timeline(list, map->histories[i].timeline);
	for (size_t i = 0; i < way->nspans; i++)
		add_timeline(list, way->spans[i].timeline);
	if (way->backup.timeline != 0)
		add_timeline(list, way->backup.timeline);
	return true;
}

static bool
no_timeline(uint32_t number, const Timelines *known, BkcError *err)
{
	char		text[200] = "none";
	size_t		len = 0;

	for (size_t i = 0; i < known->n && len < sizeof(text) - 16; i++)
		len += (size_t) snprintf(text + len, sizeof(text) - len, "%s%u", i > 0 ? ", " : "",
								 known->numbers[i]);
	bkc_error_set(err, BKC_ERR_NOT_FOUND, "the repository holds nothing of timeline %u", number);
	return bkc_error_detail(err, "Its timelines: %s.", text);
}

static bool
check_number(const BkcGoal *goal, const Timelines *known, BkcError *err)
{
	if (goal->timeline != BKC_GOAL_NUMBER)
		return true;
	for (size_t i = 0; i < known->n; i++)
	{
		if (known->numbers[i] == goal->number)
			return true;
	}
	return no_timeline(goal->number, known, err);
}

/* ---- backups ---- */

static bool
on_path(const BkcWalPath *path, const BkcBackupSpan *span)
{
	return bkc_walpath_contains(path, span->timeline, span->start_lsn) &&
		bkc_walpath_contains(path, span->timeline, span->stop_lsn);
}

/* The newest on the path that ends before the goal; path NULL: on whatever timeline. */
static const BkcBackupSpan *
newest_backup(const BkcWay *way, const BkcGoal *goal, const BkcWalPath *path, size_t *suitable)
{
	const BkcBackupSpan *found = NULL;

	*suitable = 0;
	for (size_t i = 0; i < way->nspans; i++)
	{
		const BkcBackupSpan *span = &way->spans[i];

		if (!bkc_goal_after(goal, span) || (path != NULL && !on_path(path, span)))
			continue;
		(*suitable)++;
		if (found == NULL || path == NULL || span->stop_lsn >= found->stop_lsn)
			found = span;
	}
	return found;
}

static bool
no_backup(const BkcRestore *r, BkcError *err)
{
	const BkcWay *way = &r->way;
	const BkcBackupSpan *first = &way->spans[0];
	char		goal[100];
	char		ended[40];
	char		lsn[24];
	char		timeline[40] = "";

	for (size_t i = 1; i < way->nspans; i++)
	{
		if (way->spans[i].stop_time < first->stop_time)
			first = &way->spans[i];
	}
	bkc_goal_describe(&r->goal, goal, sizeof(goal));
	bkc_format_moment(first->stop_time, false, ended, sizeof(ended));
	bkc_format_lsn(first->stop_lsn, lsn, sizeof(lsn));
	if (r->goal.timeline == BKC_GOAL_NUMBER)
		snprintf(timeline, sizeof(timeline), " on the way to timeline %u", r->goal.number);
	if (r->goal.kind == BKC_GOAL_TIME || r->goal.kind == BKC_GOAL_LSN)
		bkc_error_set(err, BKC_ERR_NOT_FOUND, "no backup%s ends before %s", timeline, goal);
	else
		bkc_error_set(err, BKC_ERR_NOT_FOUND, "there is no backup%s", timeline);
	return bkc_error_detail(err, "The oldest of %zu, %s, ended at %s and %s on timeline %u.",
							way->nspans, first->label, ended, lsn, first->timeline);
}

/* Without --backup: the timeline first, then the backup. */
static bool
choose(BkcRestore *r, const Timelines *known, BkcError *err)
{
	BkcWay	   *way = &r->way;
	const BkcBackupSpan *found = NULL;

	if (r->goal.timeline == BKC_GOAL_CURRENT)
	{
		found = newest_backup(way, &r->goal, NULL, &way->suitable);
		if (found == NULL)
			return no_backup(r, err);
		way->backup = *found;
		way->timeline = found->timeline;
		return bkc_walmap_path(way->map, way->timeline, &way->path, err);
	}
	for (size_t i = known->n; i > 0 && found == NULL; i--)
	{
		if (r->goal.timeline == BKC_GOAL_NUMBER && known->numbers[i - 1] != r->goal.number)
			continue;
		way->timeline = known->numbers[i - 1];
		bkc_walpath_free(&way->path);
		if (!bkc_walmap_path(way->map, way->timeline, &way->path, err))
			return false;
		found = newest_backup(way, &r->goal, &way->path, &way->suitable);
	}
	if (found == NULL)
		return no_backup(r, err);
	way->backup = *found;
	return true;
}

/* With --backup: does it serve the goal? */
static bool
check_named(BkcRestore *r, BkcError *err)
{
	const BkcBackupSpan *backup = &r->way.backup;
	BkcWay	   *way = &r->way;
	char		goal[100];
	char		ended[40];
	char		lsn[24];

	if (!bkc_goal_after(&r->goal, backup))
	{
		bkc_goal_describe(&r->goal, goal, sizeof(goal));
		bkc_format_moment(backup->stop_time, false, ended, sizeof(ended));
		bkc_format_lsn(backup->stop_lsn, lsn, sizeof(lsn));
		r->place = BKC_AT_COMMAND_LINE;
		bkc_error_set(err, BKC_ERR_INVALID, "backup %s ended after %s", backup->label, goal);
		bkc_error_detail(err, "It ended at %s and %s.", ended, lsn);
		return bkc_error_hint(err, "Without --backup the newest one that ends before the target is chosen.");
	}
	way->timeline = backup->timeline;
	if (r->goal.timeline == BKC_GOAL_NUMBER)
		way->timeline = r->goal.number;
	else if (r->goal.timeline == BKC_GOAL_LATEST &&
			 !bkc_walmap_latest(way->map, backup->timeline, backup->stop_lsn, &way->timeline, err))
		return false;
	if (!bkc_walmap_path(way->map, way->timeline, &way->path, err))
		return false;
	if (on_path(&way->path, backup))
		return true;
	r->place = BKC_AT_COMMAND_LINE;
	bkc_format_lsn(backup->stop_lsn, lsn, sizeof(lsn));
	bkc_error_set(err, BKC_ERR_INVALID, "backup %s does not lead to timeline %u", backup->label,
				  way->timeline);
	return bkc_error_detail(err, "It ended at %s on timeline %u, from which timeline %u had forked off before, or does not descend.",
							lsn, backup->timeline, way->timeline);
}

/*
 * A timeline with WAL whose history nobody has may be the one on which the
 * cluster went on.  To leave it out is for the operator to say, who then
 * knows that its WAL is left out.
 */
static bool
check_unknown(const BkcRestore *r, BkcError *err)
{
	const BkcWay *way = &r->way;
	uint32_t	unknown = bkc_walmap_unknown_above(way->map, way->timeline);
	bool		damaged = false;
	char		name[BKC_WAL_NAME_MAX];

	if (r->goal.timeline != BKC_GOAL_LATEST || unknown == 0)
		return true;
	for (size_t i = 0; i < way->map->ndamaged; i++)
		damaged |= way->map->damaged[i] == unknown;
	bkc_wal_history_name(unknown, name);
	bkc_error_set(err, BKC_ERR_CORRUPT, "the history of timeline %u is %s, so that nobody knows where it comes from",
				  unknown, damaged ? "damaged" : "missing in the repository, which has its WAL");
	bkc_error_detail(err, "Backup %s leads to timeline %u; whether the cluster went on from there to timeline %u stands in file %s.",
					 way->backup.label, way->timeline, unknown, name);
	if (r->goal.standby)
		return bkc_error_hint(err, "A server on that timeline has it in pg_wal: archive it again.");
	return bkc_error_hint(err, "Say --target-timeline %u to leave timeline %u out; a server on it has the file in pg_wal, where it can be archived from again.",
						  way->timeline, unknown);
}

/* ---- the order of it ---- */

static bool
load_named(BkcRestore *r, const char *wanted, BkcError *err)
{
	char		label[BKC_LABEL_MAX];
	bool		ok = bkc_session_backup(&r->session, wanted, label, err);

	r->place = r->session.place;
	if (!ok || !bkc_backup_load(r->session.store, r->session.sysid, label, &r->backup, err))
		return false;
	bkc_span_from_header(&r->backup->header, &r->way.backup);
	return true;
}

/* The other backups; with --backup they only help with timelines, and need not be readable. */
static bool
load_spans(BkcRestore *r, bool named, BkcError *err)
{
	BkcWay	   *way = &r->way;

	if (bkc_repo_spans(r->session.store, r->session.sysid, &way->spans, &way->nspans, err))
		return true;
	if (!named || err->code == BKC_ERR_CANCELLED || err->code == BKC_ERR_NO_MEMORY)
		return false;
	bkc_report_warning("could not look at the other backups: %s", err->message);
	return true;
}

static bool
choose_timeline(BkcRestore *r, bool named, BkcError *err)
{
	Timelines	known = {0};
	bool		ok;

	ok = find_histories(&r->way, err) &&
		(!named || r->way.backup.timeline <= 1 ||
		 take_history(r->way.map, r->backup, r->way.backup.timeline, err)) &&
		known_timelines(&r->way, &known, err) &&
		check_number(&r->goal, &known, err) &&
		(named ? check_named(r, err) : choose(r, &known, err)) &&
		check_unknown(r, err);
	free(known.numbers);
	return ok;
}

bool
bkc_restore_reload(BkcRestore *r, BkcError *err)
{
	BkcWay	   *way = &r->way;
	BkcWalMap  *map;

	if (!bkc_walmap_load(r->session.store, r->session.sysid, way->backup.segment_size, &map, err))
		return false;
	bkc_walmap_free(way->map);
	way->map = map;
	bkc_walpath_free(&way->path);
	return find_histories(way, err) &&
		(way->backup.timeline <= 1 ||
		 take_history(way->map, r->backup, way->backup.timeline, err)) &&
		bkc_walmap_path(way->map, way->timeline, &way->path, err);
}

/* A cluster may have had another segment size: then the numbers in the map mean something else. */
static bool
same_size(const BkcWay *way)
{
	return way->map->segment_size == 0 || way->map->segment_size == way->backup.segment_size;
}

bool
bkc_restore_use(BkcRestore *r, const BkcBackupSpan *span, BkcError *err)
{
	r->way.backup = *span;
	bkc_backup_free(r->backup);
	r->backup = NULL;
	return bkc_backup_load(r->session.store, r->session.sysid, span->label, &r->backup, err) &&
		(same_size(&r->way) || bkc_restore_reload(r, err));
}

const BkcBackupSpan *
bkc_restore_older(const BkcRestore *r)
{
	const BkcWay *way = &r->way;
	const BkcBackupSpan *found = NULL;

	for (size_t i = 0; way->suitable > 0 && i < way->nspans; i++)
	{
		const BkcBackupSpan *span = &way->spans[i];

		if (span->stop_lsn < way->backup.stop_lsn && on_path(&way->path, span) &&
			(found == NULL || span->stop_lsn >= found->stop_lsn))
			found = span;
	}
	return found;
}

bool
bkc_restore_choose(BkcRestore *r, BkcError *err)
{
	const char *wanted = bkc_option(r->options, "backup");
	BkcWay	   *way = &r->way;
	bool		named = wanted != NULL && strcmp(wanted, "latest") != 0;
	uint32_t	segment_size = 0;

	r->place = BKC_AT_REPOSITORY;
	if (named ? !load_named(r, wanted, err) : !load_spans(r, false, err))
		return false;
	r->place = BKC_AT_REPOSITORY;
	if (named)
		segment_size = way->backup.segment_size;
	else if (way->nspans > 0)
		segment_size = way->spans[way->nspans - 1].segment_size;
	if (!bkc_walmap_load(r->session.store, r->session.sysid, segment_size, &way->map, err))
		return false;
	way->archived = way->map->nruns > 0 || way->map->ntails > 0;

	/*
	 * Backups alone: the newest one, and if that is damaged nothing older is
	 * put in its place.
	 */
	if (!named && (way->nspans == 0 ||
				   (!way->archived && r->goal.kind == BKC_GOAL_END &&
					r->goal.timeline == BKC_GOAL_LATEST)))
	{
		named = true;
		if (!load_named(r, NULL, err))
			return false;
		r->place = BKC_AT_REPOSITORY;
	}
	if (named && (way->archived || r->goal.timeline == BKC_GOAL_NUMBER) && way->spans == NULL &&
		!load_spans(r, true, err))
		return false;
	if (!choose_timeline(r, named, err))
		return false;
	if (r->backup == NULL)
		return bkc_restore_use(r, &way->backup, err);
	return same_size(way) || bkc_restore_reload(r, err);
}
