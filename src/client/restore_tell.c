/*
 * restore_tell.c
 *		What restore tells: before it writes, at its end, and as JSON.
 */
#include "restore.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

#include "json.h"
#include "report.h"

/* ---- before ---- */

/* "0/3B001234 on timeline 2 (2026-11-20 12:31:07+00)" */
static void
describe_end(const BkcWalReach *reach, char *out, size_t outlen)
{
	char		lsn[24];
	char		time[48];

	bkc_format_lsn(reach->end_lsn, lsn, sizeof(lsn));
	bkc_format_moment(reach->end_time, false, time, sizeof(time));
	if (reach->end_time != 0)
		snprintf(out, outlen, "%s on timeline %u (%s)", lsn, reach->timeline, time);
	else
		snprintf(out, outlen, "%s on timeline %u", lsn, reach->timeline);
}

/* From where to where WAL was found whole. */
static void
describe_wal(const BkcRestore *r, char *out, size_t outlen)
{
	const BkcManifestHeader *header = &r->backup->header;
	char		from[24];
	char		to[160];

	bkc_format_lsn(header->start_lsn, from, sizeof(from));
	bkc_format_lsn(header->stop_lsn, to, sizeof(to));
	if (r->goal.kind == BKC_GOAL_IMMEDIATE || !r->way.archived)
	{
		snprintf(out, outlen, "from %s to %s on timeline %u", from, to, header->timeline);
		return;
	}
	if (r->goal.kind == BKC_GOAL_TIME || r->goal.kind == BKC_GOAL_LSN)
		bkc_goal_describe(&r->goal, to, sizeof(to));
	else
		describe_end(&r->way.reach, to, sizeof(to));
	snprintf(out, outlen, "from %s on timeline %u to %s", from, header->timeline, to);
}

/* Why this backup, and to which timeline; nothing where there was no choice. */
static void
print_choice(const BkcRestore *r)
{
	const BkcWay *way = &r->way;
	char		goal[100];

	bkc_goal_describe(&r->goal, goal, sizeof(goal));
	if (way->suitable > 1)
		printf("it is the newest of %zu backups", way->suitable);
	else if (way->suitable == 1)
		printf("it is the only backup");
	if (way->suitable > 0 && r->goal.kind != BKC_GOAL_END && r->goal.kind != BKC_GOAL_IMMEDIATE)
		printf(" that %s before %s on the way to timeline %u\n", way->suitable > 1 ? "end" : "ends",
			   goal, way->timeline);
	else if (way->suitable > 0)
		printf(" on the way to timeline %u\n", way->timeline);
	else if (way->timeline != way->backup.timeline)
		printf("recovery goes to timeline %u\n", way->timeline);
}

static void
warn_about_loss(const BkcRestore *r)
{
	const BkcWay *way = &r->way;
	char		end[120];

	describe_end(&way->reach, end, sizeof(end));
	if (way->lost && way->in_flight)
		bkc_report_warning("WAL segment %s never reached the repository whole, as the newest may when a server is lost: recovery ends at %s, "
						   "and what is there of %" PRIu64 " later segment%s cannot be used",
						   way->reach.missing, end, way->reach.beyond,
						   way->reach.beyond == 1 ? "" : "s");
	else if (way->lost)
		bkc_report_warning("WAL segment %s is missing: recovery ends at %s, and what is there of %" PRIu64 " later segment%s is left out",
						   way->reach.missing, end, way->reach.beyond,
						   way->reach.beyond == 1 ? "" : "s");
}

/* Where recovery will end, when that is not simply the target. */
static void
print_reservations(const BkcRestore *r)
{
	const BkcWay *way = &r->way;
	char		goal[100];
	char		until[24];

	bkc_goal_describe(&r->goal, goal, sizeof(goal));
	bkc_format_lsn(way->until, until, sizeof(until));
	if (way->at_end && r->goal.kind == BKC_GOAL_TIME)
		printf("no transaction ended %s %s: everything up to %s is restored\n",
			   r->goal.exclusive ? "at or after" : "after", goal, until);
	else if (way->at_end)
		printf("WAL ends at %s: everything is restored\n", until);
	warn_about_loss(r);
}

void
bkc_restore_tell_warnings(const BkcRestore *r)
{
	const BkcWay *way = &r->way;
	char		goal[100];
	char		until[24];

	bkc_goal_describe(&r->goal, goal, sizeof(goal));
	bkc_format_lsn(way->until, until, sizeof(until));
	if (way->timeline != way->backup.timeline)
		bkc_report_warning("recovery goes to timeline %u", way->timeline);
	if (way->at_end)
		bkc_report_warning("nothing in WAL lies behind %s: everything up to %s is restored", goal, until);
	warn_about_loss(r);
}

void
bkc_restore_tell_search(const BkcRestore *r, uint64_t from, uint64_t to)
{
	char		goal[100];
	char		first[24];
	char		last[24];

	if (!isatty(STDERR_FILENO))
		return;
	bkc_goal_describe(&r->goal, goal, sizeof(goal));
	bkc_format_lsn(from, first, sizeof(first));
	bkc_format_lsn(to, last, sizeof(last));
	fprintf(stderr, "looking for %s in WAL from %s to %s\n", goal, first, last);
}

void
bkc_restore_tell_beginning(const BkcRestore *r)
{
	const BkcManifestHeader *header = &r->backup->header;
	char		size[40];
	char		wal[240];

	bkc_format_size(r->plan_bytes, size, sizeof(size));
	describe_wal(r, wal, sizeof(wal));
	printf("cluster %" PRIu64 "%s%s%s, backup %s, %s in %" PRIu64 " files; WAL %s is complete\n",
		   header->system_identifier, r->session.cluster_name[0] != '\0' ? " (" : "",
		   r->session.cluster_name, r->session.cluster_name[0] != '\0' ? ")" : "",
		   header->label, size, r->plan_files, wal);
	print_choice(r);
	print_reservations(r);
	fflush(stdout);
}

/* ---- at the end ---- */

/* "pg_ctl -D DIR start", quoted where a shell needs it; NULL when memory is short */
static char *
start_command(const BkcRestore *r)
{
	BkcBuffer	text = {0};
	BkcError	err;

	if (bkc_buffer_append_str(&text, "pg_ctl -D ", &err) &&
		bkc_shell_quote(&text, r->dirs[0].path, &err) &&
		bkc_buffer_append_str(&text, " start", &err))
		return (char *) text.data;
	bkc_buffer_free(&text);
	return NULL;
}

/* What it is, and what it does when it has recovered. */
static void
print_role(const BkcRestore *r)
{
	const char *action = r->goal.action != NULL ? r->goal.action : "promote";

	if (r->goal.standby)
		printf("this is a standby: it follows the repository by wal-get, whole segment by whole segment; "
			   "set primary_conninfo to stream from the primary\n");
	else if (r->take_over)
		printf("this is the successor of the lost cluster: pg_backupctl is on in it, archiving as it was\n");
	else
		printf("this is a clone: pg_backupctl and archiving are off in it (--take-over makes it the successor)\n");
	if (strcmp(action, "pause") == 0)
		printf("recovery will pause at the target: SELECT pg_wal_replay_resume() ends it\n");
	else if (strcmp(action, "shutdown") == 0)
		printf("the server will shut down at the target: change recovery_target_action before the next start\n");
}

void
bkc_restore_tell_end(const BkcRestore *r)
{
	char	   *command = start_command(r);
	char		size[40];
	char		took[40];
	char		rate[48];

	bkc_format_size(r->plan_bytes, size, sizeof(size));
	bkc_format_duration(r->usec, took, sizeof(took));
	bkc_format_rate(r->plan_bytes, r->usec, rate, sizeof(rate));
	printf("restored %s in %s (%s), every file verified\n", size, took, rate);
	if (r->backup->totals.bad_blocks > 0)
		printf("%" PRIu64 " blocks had wrong page checksums when the backup was taken: see \"pg_backupctl list\"\n",
			   r->backup->totals.bad_blocks);
	for (size_t i = 1; i < r->ndirs; i++)
		printf("tablespace %u is in %s\n", r->dirs[i].oid, r->dirs[i].link);
	print_role(r);
	printf("start it with:  %s\n", command != NULL ? command : "pg_ctl start");
	free(command);
}

static json_t *
tablespaces_json(const BkcRestore *r)
{
	json_t	   *array = json_array();

	for (size_t i = 1; array != NULL && i < r->ndirs; i++)
	{
		if (!bkc_json_append(array, json_pack("{s:o, s:o, s:o}", "oid", bkc_json_u64(r->dirs[i].oid),
											  "original", bkc_json_text(r->dirs[i].original),
											  "path", bkc_json_text(r->dirs[i].link))))
		{
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

/* ---- JSON ---- */

static json_t *
target_json(const BkcRestore *r)
{
	static const char *const kinds[] = {
		[BKC_GOAL_END] = "end",
		[BKC_GOAL_TIME] = "time",
		[BKC_GOAL_LSN] = "lsn",
		[BKC_GOAL_XID] = "xid",
		[BKC_GOAL_NAME] = "name",
		[BKC_GOAL_IMMEDIATE] = "immediate"
	};
	const BkcGoal *goal = &r->goal;
	json_t	   *value = NULL;

	switch (goal->kind)
	{
		case BKC_GOAL_TIME:
			value = bkc_json_time(goal->time);
			break;
		case BKC_GOAL_LSN:
			value = bkc_json_lsn(goal->lsn);
			break;
		case BKC_GOAL_XID:
			value = bkc_json_u64(goal->xid);
			break;
		case BKC_GOAL_NAME:
			value = bkc_json_text(goal->name);
			break;
		default:
			value = json_null();
	}
	return json_pack("{s:s, s:o, s:b, s:o, s:b}", "kind", kinds[goal->kind], "value", value,
					 "inclusive", !goal->exclusive,
					 "action", bkc_json_text(goal->standby ? NULL :
											 goal->action != NULL ? goal->action : "promote"),
					 "behind_all_wal", r->way.at_end);
}

/* How far, along which timeline, and why from this backup. */
static void
set_way(const BkcRestore *r, json_t *object)
{
	const BkcWay *way = &r->way;

	bkc_json_set(object, "target", target_json(r));
	bkc_json_set(object, "target_timeline", bkc_json_u64(way->timeline));
	bkc_json_set(object, "suitable_backups", way->suitable > 0 ?
				 bkc_json_u64(way->suitable) : json_null());
	bkc_json_set(object, "wal_end_lsn", bkc_json_lsn(way->reach.end_lsn));
	bkc_json_set(object, "wal_end_timeline", bkc_json_u64(way->reach.timeline));
	bkc_json_set(object, "wal_end_time", way->reach.end_time != 0 ?
				 bkc_json_time(way->reach.end_time) : json_null());
	bkc_json_set(object, "until_lsn", way->until != 0 ? bkc_json_lsn(way->until) : json_null());
	bkc_json_set(object, "lost_segment", bkc_json_text(way->lost ? way->reach.missing : NULL));
}

bool
bkc_restore_tell_json(const BkcRestore *r)
{
	const BkcManifestHeader *header = &r->backup->header;
	char	   *command = start_command(r);
	json_t	   *object;
	uint64_t	rate = 0;

	if (r->usec > 0)
		rate = (uint64_t) ((double) r->plan_bytes * 1e6 / (double) r->usec);
	object = json_pack("{s:s, s:i, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o}",
					   "status", "ok", "exit_status", BKC_EXIT_OK,
					   "system_identifier", bkc_json_id(header->system_identifier),
					   "cluster_name", bkc_json_text(r->session.cluster_name),
					   "backup", header->label,
					   "pgdata", bkc_json_text(r->dirs[0].path),
					   "files", bkc_json_u64(r->plan_files),
					   "bytes", bkc_json_u64(r->plan_bytes),
					   "seconds", bkc_json_seconds(r->usec),
					   "bytes_per_second", bkc_json_u64(rate),
					   "timeline", bkc_json_u64(header->timeline));
	if (object != NULL)
	{
		bkc_json_set(object, "start_lsn", bkc_json_lsn(header->start_lsn));
		bkc_json_set(object, "stop_lsn", bkc_json_lsn(header->stop_lsn));
		bkc_json_set(object, "bad_blocks", bkc_json_u64(r->backup->totals.bad_blocks));
		bkc_json_set(object, "clone", json_boolean(!r->take_over && !r->goal.standby));
		bkc_json_set(object, "standby", json_boolean(r->goal.standby));
		set_way(r, object);
		bkc_json_set(object, "tablespaces", tablespaces_json(r));
		bkc_json_set(object, "start_command", bkc_json_text(command));
	}
	free(command);
	return bkc_json_print(object);
}
