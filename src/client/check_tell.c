/*
 * check_tell.c
 *		What "check" found, for people and for programs.
 */
#include "check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

static const char *const state_names[] = {
	[BKC_CHECK_COMPLETE] = "complete",
	[BKC_CHECK_UNFINISHED] = "unfinished",
	[BKC_CHECK_DAMAGED] = "damaged",
	[BKC_CHECK_NO_WAL] = "incomplete"
};

static const char *
plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

static const char *
moment(int64_t usec, char out[48])
{
	if (usec == 0)
		return "an unknown time";
	bkc_format_moment(usec, false, out, 48);
	return out;
}

/* ---- the place, for both ---- */

static bool
tell_place(void *arg, const BkcStoreFinding *finding, BkcError *err)
{
	static const char *const levels[] = {
		[BKC_STORE_OK] = "ok",
		[BKC_STORE_NOTE] = "note",
		[BKC_STORE_WARNING] = "warning"
	};
	BkcCheckPlace *place = arg;
	bool		warning = finding->level == BKC_STORE_WARNING;

	place->warnings += warning;
	if (place->print)
	{
		if (place->told++ == 0)
			printf("repository\n");
		printf("  %s%s: %s\n", warning ? "WARNING " : "", finding->what, finding->text);
		if (finding->hint != NULL)
			printf("    %s\n", finding->hint);
	}
	return place->array == NULL ||
		bkc_json_append(place->array,
						json_pack("{s:s, s:s, s:o, s:o}", "what", finding->what,
								  "level", levels[finding->level],
								  "text", bkc_json_text(finding->text),
								  "hint", bkc_json_text(finding->hint))) ||
		bkc_error_oom(err);
}

bool
bkc_check_place(BkcStore *store, BkcCheckPlace *place, BkcError *err)
{
	if (!bkc_store_describe(store, tell_place, place, err))
		return false;
	if (place->told > 0)
		putchar('\n');
	return true;
}

/* ---- for people ---- */

static void
print_owner(const BkcCheckCluster *cluster)
{
	char		since[48];

	if (cluster->owner_problem.code != BKC_OK)
		printf("  DAMAGED owner: %s\n", cluster->owner_problem.message);
	else if (!cluster->has_owner)
		printf("  owner: none yet\n");
	else
		printf("  owner: %s on host %s, since %s\n", cluster->owner.data_directory,
			   cluster->owner.host, moment(cluster->owner.time, since));
	if (cluster->owner.successor != 0)
		printf("  adopted by cluster %" PRIu64 ": whoever owns that one owns this one, too\n",
			   cluster->owner.successor);
}

static void
print_backups(const BkcCheckCluster *cluster)
{
	size_t		counts[sizeof(state_names) / sizeof(state_names[0])] = {0};
	char		when[48];

	for (size_t i = 0; i < cluster->nbackups; i++)
		counts[cluster->backups[i].state]++;
	printf("  backups: %zu complete", counts[BKC_CHECK_COMPLETE]);
	for (size_t i = BKC_CHECK_COMPLETE + 1; i < sizeof(counts) / sizeof(counts[0]); i++)
	{
		if (counts[i] > 0)
			printf(", %zu %s", counts[i], state_names[i]);
	}
	putchar('\n');
	for (size_t i = 0; i < cluster->nbackups; i++)
	{
		const BkcCheckBackup *backup = &cluster->backups[i];

		if (backup->state == BKC_CHECK_DAMAGED)
			printf("  DAMAGED backup %s: %s\n", backup->span.label, backup->problem.message);
		else if (backup->state == BKC_CHECK_NO_WAL)
			printf("  INCOMPLETE backup %s: it relies on archived WAL, and segment %s is missing\n",
				   backup->span.label, backup->missing);
		else if (backup->state == BKC_CHECK_UNFINISHED)
			printf("  unfinished backup %s: begun %s%s%s; it is running or was interrupted\n",
				   backup->span.label, moment(backup->span.start_time, when),
				   backup->host[0] != '\0' ? " on host " : "", backup->host);
	}
}

static void
print_gap(const BkcCheckGap *gap)
{
	const BkcWalGap *g = &gap->gap;
	char		after[48];
	char		until[48];

	if (g->count == 1)
		printf("    %s: segment %s is missing", gap->young ? "hole" : "GAP", g->first);
	else
		printf("    %s: %" PRIu64 " segments are missing, %s to %s", gap->young ? "hole" : "GAP",
			   g->count, g->first, g->last);
	if (gap->young)
		printf("; they are new, so it may still be on its way\n");
	else if (gap->until != 0)
		printf("\n      not to be restored: times after %s until %s (backup %s)\n",
			   moment(g->after_time, after), moment(gap->until, until), gap->next_backup);
	else
		printf("\n      not to be restored: times after %s; take a new backup\n",
			   moment(g->after_time, after));
}

static void
print_window(const BkcRecoveryWindow *window)
{
	char		from[48];
	char		to[48];
	char		start[24];
	char		end[24];

	bkc_format_lsn(window->start_lsn, start, sizeof(start));
	bkc_format_lsn(window->end_lsn, end, sizeof(end));
	printf("    can be restored: %s to %s (%s to %s), from %u backup%s\n",
		   moment(window->start_time, from), moment(window->end_time, to), start, end,
		   window->backups, plural(window->backups));
}

static void
print_open_damage(const BkcCheckTimeline *timeline)
{
	char		lsn[24];

	bkc_format_lsn(timeline->open_end_lsn, lsn, sizeof(lsn));
	printf("    DAMAGED or missing: chunks of %s, ", timeline->open);
	if (timeline->open_end_lsn != 0)
		printf("which can be used up to %s only\n", lsn);
	else
		printf("of which nothing can be used\n");
}

static void
print_timeline(const BkcCheckCluster *cluster, const BkcCheckTimeline *timeline)
{
	char		start[24];
	char		end[24];
	char		fork[24];
	bool		window = timeline->segments == 0 && timeline->open[0] == '\0' &&
		timeline->parent != 0;

	bkc_format_lsn(timeline->fork_lsn, fork, sizeof(fork));
	bkc_format_lsn(timeline->start_lsn, start, sizeof(start));
	bkc_format_lsn(timeline->end_lsn, end, sizeof(end));
	printf("  timeline %u: ", timeline->timeline);
	if (timeline->segments > 0)
		printf("%" PRIu64 " WAL segment%s, %s to %s", timeline->segments,
			   plural(timeline->segments), start, end);
	else if (timeline->open[0] == '\0')
		printf("no archived WAL");
	if (timeline->open[0] != '\0')
		printf("%spart of %s", timeline->segments > 0 ? ", and " : "", timeline->open);
	putchar('\n');
	if (window)
		printf("    it left timeline %u at %s, and nothing of it has arrived: a restore to it ends there\n",
			   timeline->parent, fork);
	if (timeline->no_history)
		printf("    MISSING: its history file; what came before it cannot be connected with it\n");
	if (timeline->open_damaged)
		print_open_damage(timeline);
	if (timeline->conflicts > 0)
		printf("    %" PRIu64 " segment%s stored twice: backup_wal_conflict_resolve() was used\n",
			   timeline->conflicts, timeline->conflicts == 1 ? " is" : "s are");
	for (size_t i = 0; i < cluster->ngaps; i++)
	{
		if (cluster->gaps[i].gap.timeline == timeline->timeline)
			print_gap(&cluster->gaps[i]);
	}
	for (size_t i = 0; i < cluster->nwindows; i++)
	{
		if (cluster->windows[i].timeline != timeline->timeline)
			continue;
		print_window(&cluster->windows[i]);
		window = true;
	}
	if (!window)
		printf("    nothing can be restored to it\n");
}

void
bkc_check_print(const BkcCheckCluster *cluster)
{
	printf("cluster %" PRIu64 "%s%s%s\n", cluster->info.system_identifier,
		   cluster->info.name[0] != '\0' ? " (" : "", cluster->info.name,
		   cluster->info.name[0] != '\0' ? ")" : "");
	if (cluster->document_damaged)
		printf("  DAMAGED object %" PRIu64 "/cluster\n", cluster->info.system_identifier);
	print_owner(cluster);
	print_backups(cluster);
	for (size_t i = 0; i < cluster->ntimelines; i++)
		print_timeline(cluster, &cluster->timelines[i]);
	if (cluster->findings == 0)
		printf("  no gap, no damage found\n");
	else
		printf("  %" PRIu64 " finding%s\n", cluster->findings, plural(cluster->findings));
}

/* ---- for programs ---- */

static json_t *
time_or_null(int64_t usec)
{
	return usec == 0 ? json_null() : bkc_json_time(usec);
}

static json_t *
text_or_null(const char *text)
{
	return bkc_json_text(text[0] != '\0' ? text : NULL);
}

static json_t *
owner_json(const BkcCheckCluster *cluster)
{
	const BkcOwnerDoc *owner = &cluster->owner;

	if (cluster->owner_problem.code != BKC_OK)
		return json_pack("{s:o}", "error", bkc_json_error_object(&cluster->owner_problem));
	if (!cluster->has_owner)
		return json_null();
	return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:s, s:o}",
					 "number", bkc_json_u64(owner->number), "owner", owner->owner,
					 "host", bkc_json_text(owner->host),
					 "data_directory", bkc_json_text(owner->data_directory),
					 "since", bkc_json_time(owner->time),
					 "timeline", bkc_json_u64(owner->timeline),
					 "lsn", bkc_json_lsn(owner->lsn), "reason", owner->reason,
					 "successor", owner->successor != 0 ? bkc_json_id(owner->successor) :
					 json_null());
}

static json_t *
backup_json(const BkcCheckBackup *backup)
{
	const BkcBackupSpan *span = &backup->span;
	json_t	   *object = json_pack("{s:s, s:s, s:o}", "label", span->label,
								   "state", state_names[backup->state],
								   "start_time", bkc_json_time(span->start_time));

	if (object == NULL)
		return NULL;
	if (backup->state == BKC_CHECK_DAMAGED)
		bkc_json_set(object, "error", bkc_json_error_object(&backup->problem));
	if (backup->state == BKC_CHECK_UNFINISHED)
		bkc_json_set(object, "host", text_or_null(backup->host));
	if (backup->state == BKC_CHECK_NO_WAL)
		bkc_json_set(object, "missing_segment", text_or_null(backup->missing));
	if (backup->state == BKC_CHECK_COMPLETE || backup->state == BKC_CHECK_NO_WAL)
	{
		bkc_json_set(object, "stop_time", bkc_json_time(span->stop_time));
		bkc_json_set(object, "timeline", bkc_json_u64(span->timeline));
		bkc_json_set(object, "start_lsn", bkc_json_lsn(span->start_lsn));
		bkc_json_set(object, "stop_lsn", bkc_json_lsn(span->stop_lsn));
		bkc_json_set(object, "wal", json_string(span->wal_in_archive ? "archive" : "backup"));
	}
	return object;
}

static json_t *
gap_json(const BkcCheckGap *gap)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:b}",
					 "first_segment", gap->gap.first, "last_segment", gap->gap.last,
					 "segments", bkc_json_u64(gap->gap.count),
					 "after_time", time_or_null(gap->gap.after_time),
					 "before_time", time_or_null(gap->gap.before_time),
					 "restorable_again_time", time_or_null(gap->until),
					 "restorable_again_backup", text_or_null(gap->next_backup),
					 "young", gap->young);
}

static json_t *
window_json(const BkcRecoveryWindow *window)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:s, s:s}",
					 "start_time", bkc_json_time(window->start_time),
					 "end_time", bkc_json_time(window->end_time),
					 "start_lsn", bkc_json_lsn(window->start_lsn),
					 "end_lsn", bkc_json_lsn(window->end_lsn),
					 "backups", bkc_json_u64(window->backups),
					 "first_backup", window->first_backup, "last_backup", window->last_backup);
}

static json_t *
timeline_json(const BkcCheckCluster *cluster, const BkcCheckTimeline *timeline)
{
	json_t	   *gaps = json_array();
	json_t	   *windows = json_array();
	bool		ok = gaps != NULL && windows != NULL;
	bool		whole = timeline->segments > 0;

	for (size_t i = 0; ok && i < cluster->ngaps; i++)
	{
		if (cluster->gaps[i].gap.timeline == timeline->timeline)
			ok = bkc_json_append(gaps, gap_json(&cluster->gaps[i]));
	}
	for (size_t i = 0; ok && i < cluster->nwindows; i++)
	{
		if (cluster->windows[i].timeline == timeline->timeline)
			ok = bkc_json_append(windows, window_json(&cluster->windows[i]));
	}
	if (!ok)
	{
		json_decref(gaps);
		json_decref(windows);
		return NULL;
	}
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:b, s:o, s:o}",
					 "timeline", bkc_json_u64(timeline->timeline),
					 "parent", timeline->parent != 0 ? bkc_json_u64(timeline->parent) : json_null(),
					 "fork_lsn", timeline->parent != 0 ? bkc_json_lsn(timeline->fork_lsn) : json_null(),
					 "segments", bkc_json_u64(timeline->segments),
					 "start_lsn", whole ? bkc_json_lsn(timeline->start_lsn) : json_null(),
					 "end_lsn", whole ? bkc_json_lsn(timeline->end_lsn) : json_null(),
					 "open_segment", text_or_null(timeline->open),
					 "open_damaged", timeline->open_damaged,
					 "conflicts", bkc_json_u64(timeline->conflicts),
					 "history_missing", timeline->no_history,
					 "gaps", gaps, "recovery_windows", windows);
}

json_t *
bkc_check_json(const BkcCheckCluster *cluster)
{
	json_t	   *backups = json_array();
	json_t	   *timelines = json_array();
	bool		ok = backups != NULL && timelines != NULL;

	for (size_t i = 0; ok && i < cluster->nbackups; i++)
		ok = bkc_json_append(backups, backup_json(&cluster->backups[i]));
	for (size_t i = 0; ok && i < cluster->ntimelines; i++)
		ok = bkc_json_append(timelines, timeline_json(cluster, &cluster->timelines[i]));
	if (!ok)
	{
		json_decref(backups);
		json_decref(timelines);
		return NULL;
	}
	return json_pack("{s:o, s:o, s:o, s:b, s:o, s:o, s:o}",
					 "system_identifier", bkc_json_id(cluster->info.system_identifier),
					 "name", bkc_json_text(cluster->info.name),
					 "findings", bkc_json_u64(cluster->findings),
					 "cluster_object_damaged", cluster->document_damaged,
					 "owner", owner_json(cluster),
					 "backups", backups, "timelines", timelines);
}
