/*
 * check.c
 *		pg_backupctl check: what a repository holds, and what it lacks.
 *
 * Looks at names, and at what objects say of themselves at their beginning; it
 * does not read content, which is verify's work.  One damaged object hides
 * nothing else.
 */
#include "check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "base/text.h"
#include "format/names.h"
#include "pipe/manifestio.h"
#include "pipe/object.h"
#include "pipe/owner.h"
#include "pipe/walobj.h"

#include "keys.h"
#include "main.h"
#include "report.h"
#include "session.h"

/* How long a hole among the newest segments is nothing bad. */
#define YOUNG_USEC		INT64_C(600000000)

/* Is this failure about one object, so that the others can still be looked at? */
static bool
is_damage(BkcErrorCode code)
{
	return code == BKC_ERR_CORRUPT || code == BKC_ERR_UNSUPPORTED || code == BKC_ERR_INVALID ||
		code == BKC_ERR_NOT_FOUND;
}

/* ---- backups ---- */

static bool
read_begin(BkcStore *store, uint64_t sysid, BkcCheckBackup *backup, BkcError *err)
{
	char		name[BKC_NAME_MAX];
	BkcBuffer	text = {0};
	BkcBeginDoc doc;
	bool		ok;

	ok = bkc_name_begin(sysid, backup->span.label, name, err) &&
		bkc_document_get(store, name, BKC_KIND_BEGIN, &text, err) &&
		bkc_begindoc_decode(bkc_buffer_str(&text), text.len, name, &doc, err);
	if (ok)
	{
		memcpy(backup->host, doc.host, sizeof(backup->host));
		backup->span.start_time = doc.start_time;
	}
	bkc_buffer_free(&text);
	return ok;
}

static bool
read_manifest(BkcStore *store, uint64_t sysid, BkcBackupSpan *span, BkcError *err)
{
	BkcManifestHeader header;

	if (!bkc_manifest_peek(store, sysid, span->label, &header, err))
		return false;
	bkc_span_from_header(&header, span);
	bkc_manifest_header_free(&header);
	return true;
}

static bool
check_backup(BkcStore *store, uint64_t sysid, const BkcBackupRef *ref, BkcCheckBackup *backup,
			 BkcError *err)
{
	bool		ok;

	memcpy(backup->span.label, ref->label, sizeof(backup->span.label));
	backup->span.start_time = bkc_label_time(ref->label);
	backup->state = ref->complete ? BKC_CHECK_COMPLETE : BKC_CHECK_UNFINISHED;
	if (ref->complete)
		ok = read_manifest(store, sysid, &backup->span, err);
	else
		ok = !ref->has_begin || read_begin(store, sysid, backup, err);
	if (ok || !is_damage(err->code))
		return ok;

	/* it was removed, or completed, between listing and reading */
	if (err->code == BKC_ERR_NOT_FOUND)
		backup->state = BKC_CHECK_UNFINISHED;
	else
	{
		backup->state = BKC_CHECK_DAMAGED;
		backup->problem = *err;
	}
	return true;
}

static bool
check_backups(BkcStore *store, BkcCheckCluster *cluster, BkcError *err)
{
	BkcBackupRef *refs = NULL;
	size_t		n = 0;
	bool		ok = bkc_repo_backups(store, cluster->info.system_identifier, &refs, &n, err);

	if (ok)
	{
		cluster->backups = calloc(n + 1, sizeof(*cluster->backups));
		ok = cluster->backups != NULL || bkc_error_oom(err);
	}
	for (size_t i = 0; ok && i < n; i++)
		ok = bkc_host_check(err) &&
			check_backup(store, cluster->info.system_identifier, &refs[i],
						 &cluster->backups[cluster->nbackups++], err);
	free(refs);
	return ok;
}

/* A backup that relies on the archive must find its WAL there. */
static bool
check_backup_wal(const BkcWalMap *map, BkcCheckBackup *backup, BkcError *err)
{
	const BkcBackupSpan *span = &backup->span;
	BkcWalPath	path;
	BkcWalReach reach;
	bool		ok;

	if (backup->state != BKC_CHECK_COMPLETE || !span->wal_in_archive ||
		(map->segment_size != 0 && map->segment_size != span->segment_size))
		return true;
	if (!bkc_walmap_path(map, span->timeline, &path, err))
		return false;
	ok = bkc_walmap_reach(map, &path, span->timeline, span->start_lsn, NULL, &reach, err);
	bkc_walpath_free(&path);

	/* its history says that the timeline begins behind the backup: of no use either */
	if (!ok && err->code == BKC_ERR_INVALID)
	{
		backup->state = BKC_CHECK_DAMAGED;
		backup->problem = *err;
		return true;
	}
	if (ok && reach.end_lsn < span->stop_lsn)
	{
		backup->state = BKC_CHECK_NO_WAL;
		memcpy(backup->missing, reach.missing, sizeof(backup->missing));
	}
	return ok;
}

/* ---- WAL ---- */

static BkcCheckTimeline *
find_timeline(BkcCheckCluster *cluster, uint32_t timeline)
{
	BkcCheckTimeline *new;
	size_t		i = 0;

	while (i < cluster->ntimelines && cluster->timelines[i].timeline < timeline)
		i++;
	if (i < cluster->ntimelines && cluster->timelines[i].timeline == timeline)
		return &cluster->timelines[i];
	new = &cluster->timelines[i];
	memmove(new + 1, new, (cluster->ntimelines++ - i) * sizeof(*new));
	memset(new, 0, sizeof(*new));
	new->timeline = timeline;
	new->no_history = timeline > 1;
	return new;
}

static void
add_wal(const BkcWalMap *map, BkcCheckCluster *cluster)
{
	for (size_t i = 0; i < map->nruns; i++)
	{
		const BkcWalRun *run = &map->runs[i];
		BkcCheckTimeline *timeline = find_timeline(cluster, run->timeline);

		if (timeline->segments == 0)
			timeline->start_lsn = run->first * map->segment_size;
		timeline->segments += run->last - run->first + 1;
		timeline->end_lsn = (run->last + 1) * map->segment_size;
	}
	for (size_t i = 0; i < map->ntails; i++)
		bkc_wal_segment_name(map->tails[i].timeline, map->tails[i].segno, map->segment_size,
							 find_timeline(cluster, map->tails[i].timeline)->open);
}

/* Where a timeline without WAL began: a restore that follows it ends there. */
static void
add_history(BkcCheckCluster *cluster, const BkcWalHistory *history)
{
	BkcCheckTimeline *timeline = find_timeline(cluster, history->timeline);

	timeline->no_history = false;
	if (history->n == 0)
		return;
	timeline->parent = history->entries[history->n - 1].timeline;
	timeline->fork_lsn = history->entries[history->n - 1].switch_lsn;
}

/* Every timeline that has WAL, a history or a backup, or lacks WAL. */
static bool
check_timelines(const BkcWalMap *map, BkcCheckCluster *cluster, BkcError *err)
{
	size_t		most = map->nruns + map->ntails + map->nhistories + map->ndamaged +
		cluster->nbackups + cluster->ngaps;

	cluster->timelines = calloc(most + 1, sizeof(*cluster->timelines));
	if (cluster->timelines == NULL)
		return bkc_error_oom(err);
	for (size_t i = 0; i < cluster->nbackups; i++)
	{
		if (cluster->backups[i].span.timeline != 0)
			find_timeline(cluster, cluster->backups[i].span.timeline);
	}
	for (size_t i = 0; i < cluster->ngaps; i++)
		find_timeline(cluster, cluster->gaps[i].gap.timeline);
	add_wal(map, cluster);
	for (size_t i = 0; i < map->ndamaged; i++)
		find_timeline(cluster, map->damaged[i]);
	for (size_t i = 0; i < map->nhistories; i++)
		add_history(cluster, &map->histories[i]);
	for (size_t i = 0; i < cluster->ntimelines; i++)
	{
		BkcCheckTimeline *timeline = &cluster->timelines[i];

		for (size_t j = 0; j < map->nconflicts; j++)
			timeline->conflicts += map->conflicts[j].timeline == timeline->timeline;
	}

	/* with the oldest one nothing here needs to be connected: archiving began on it */
	if (cluster->ntimelines > 0)
		cluster->timelines[0].no_history = false;
	return true;
}

/* Can all be used that there are chunks of? */
static bool
check_open(const BkcWalMap *map, BkcCheckTimeline *timeline, BkcError *err)
{
	char		name[BKC_NAME_MAX];
	BkcError	whole;
	BkcWalRow	row;

	if (timeline->open[0] == '\0')
		return true;
	if (bkc_wal_chunks_end(map->store, map->sysid, timeline->open, &row, err))
	{
		timeline->open_damaged = row.claimed_lsn > row.end_lsn;
		timeline->open_end_lsn = row.end_lsn;
		return true;
	}
	timeline->open_damaged = err->code == BKC_ERR_CORRUPT;

	/* did they go because the segment is whole now? */
	return is_damage(err->code) ||
		(err->code == BKC_ERR_UNAVAILABLE &&
		 bkc_wal_find(map->store, map->sysid, timeline->open, name, &whole));
}

/* The window in which one can restore again: of the gap's timeline or one that came of it. */
static const BkcRecoveryWindow *
window_behind(const BkcCheckCluster *cluster, uint32_t timeline, uint64_t lsn)
{
	const BkcRecoveryWindow *found = NULL;

	for (size_t i = 0; i < cluster->nwindows; i++)
	{
		const BkcRecoveryWindow *window = &cluster->windows[i];

		if (window->timeline >= timeline && window->start_lsn >= lsn &&
			(found == NULL || window->start_time < found->start_time))
			found = window;
	}
	return found;
}

static bool
find_gaps(const BkcWalMap *map, BkcCheckCluster *cluster, BkcError *err)
{
	BkcWalGap  *gaps;
	size_t		n;

	if (!bkc_walmap_gaps(map, &gaps, &n, err))
		return false;
	cluster->gaps = calloc(n + 1, sizeof(*cluster->gaps));
	for (size_t i = 0; cluster->gaps != NULL && i < n; i++)
		cluster->gaps[cluster->ngaps++].gap = gaps[i];
	free(gaps);
	return cluster->gaps != NULL || bkc_error_oom(err);
}

/* What timelines and windows say about a gap. */
static void
describe_gap(const BkcWalMap *map, const BkcCheckCluster *cluster, BkcCheckGap *gap)
{
	const BkcRecoveryWindow *window;
	uint64_t	first = 0;
	uint32_t	tli = 0;

	bkc_wal_segment_parse(gap->gap.first, map->segment_size, &tli, &first);
	window = window_behind(cluster, tli, (first + gap->gap.count) * map->segment_size);
	if (window != NULL)
	{
		gap->until = window->start_time;
		memcpy(gap->next_backup, window->first_backup, sizeof(gap->next_backup));
	}
	gap->young = gap->gap.recent && bkc_host->now() - gap->gap.before_time < YOUNG_USEC;
}

static bool
check_windows(const BkcWalMap *map, BkcCheckCluster *cluster, BkcError *err)
{
	BkcBackupSpan *spans = calloc(cluster->nbackups + 1, sizeof(*spans));
	size_t		n = 0;
	bool		ok;

	if (spans == NULL)
		return bkc_error_oom(err);
	for (size_t i = 0; i < cluster->nbackups; i++)
	{
		if (cluster->backups[i].state == BKC_CHECK_COMPLETE)
			spans[n++] = cluster->backups[i].span;
	}
	ok = bkc_recovery_windows(map, spans, n, &cluster->windows, &cluster->nwindows, err);
	free(spans);
	return ok;
}

static bool
check_wal(BkcStore *store, BkcCheckCluster *cluster, BkcError *err)
{
	BkcWalMap  *map;
	uint32_t	segment_size = 0;
	bool		ok;

	for (size_t i = 0; i < cluster->nbackups; i++)
	{
		if (cluster->backups[i].state == BKC_CHECK_COMPLETE)
			segment_size = cluster->backups[i].span.segment_size;
	}
	if (!bkc_walmap_load(store, cluster->info.system_identifier, segment_size, &map, err))
		return false;
	ok = true;
	for (size_t i = 0; ok && i < cluster->nbackups; i++)
		ok = check_backup_wal(map, &cluster->backups[i], err);
	ok = ok && find_gaps(map, cluster, err) && check_timelines(map, cluster, err) &&
		check_windows(map, cluster, err);
	for (size_t i = 0; ok && i < cluster->ntimelines; i++)
		ok = check_open(map, &cluster->timelines[i], err);
	for (size_t i = 0; ok && i < cluster->ngaps; i++)
		describe_gap(map, cluster, &cluster->gaps[i]);
	bkc_walmap_free(map);
	return ok;
}

/* ---- a cluster ---- */

static bool
check_owner(BkcStore *store, BkcCheckCluster *cluster, BkcError *err)
{
	if (bkc_owner_current(store, cluster->info.system_identifier, &cluster->owner,
						  &cluster->has_owner, err))
		return true;
	if (!is_damage(err->code))
		return false;
	cluster->owner_problem = *err;
	return true;
}

static void
count_findings(BkcCheckCluster *cluster)
{
	cluster->findings = (uint64_t) cluster->document_damaged +
		(cluster->owner_problem.code != BKC_OK);
	for (size_t i = 0; i < cluster->nbackups; i++)
		cluster->findings += cluster->backups[i].state == BKC_CHECK_DAMAGED ||
			cluster->backups[i].state == BKC_CHECK_NO_WAL;
	for (size_t i = 0; i < cluster->ntimelines; i++)
		cluster->findings += (uint64_t) cluster->timelines[i].no_history +
			cluster->timelines[i].open_damaged;
	for (size_t i = 0; i < cluster->ngaps; i++)
		cluster->findings += !cluster->gaps[i].young;
}

static bool
check_cluster(BkcStore *store, const BkcClusterInfo *info, BkcCheckCluster *cluster, BkcError *err)
{
	memset(cluster, 0, sizeof(*cluster));
	cluster->info = *info;
	cluster->document_damaged = info->pg_version_num == 0;	/* bkc_repo_clusters() says so */
	if (!check_owner(store, cluster, err) || !check_backups(store, cluster, err) ||
		!check_wal(store, cluster, err))
		return false;
	count_findings(cluster);
	return true;
}

static void
free_cluster(BkcCheckCluster *cluster)
{
	free(cluster->backups);
	free(cluster->timelines);
	free(cluster->gaps);
	free(cluster->windows);
}

/* ---- the command ---- */

typedef struct Totals
{
	uint64_t	wanted;			/* --cluster, 0 when not given */
	json_t	   *clusters;		/* NULL without --json */
	uint64_t	findings;
	uint64_t	complete;		/* backups */
} Totals;

static bool
check_clusters(BkcSession *session, Totals *totals, BkcError *err)
{
	BkcClusterInfo *list = NULL;
	size_t		n = 0;
	size_t		shown = 0;
	bool		ok = bkc_repo_clusters(session->store, &list, &n, err);

	for (size_t i = 0; ok && i < n; i++)
	{
		BkcCheckCluster cluster;

		if (totals->wanted != 0 && list[i].system_identifier != totals->wanted)
			continue;
		ok = check_cluster(session->store, &list[i], &cluster, err);
		if (ok && totals->clusters != NULL)
			ok = bkc_json_append(totals->clusters, bkc_check_json(&cluster)) || bkc_error_oom(err);
		else if (ok)
		{
			if (shown > 0)
				putchar('\n');
			bkc_check_print(&cluster);
		}
		shown++;
		totals->findings += cluster.findings;
		for (size_t j = 0; j < cluster.nbackups; j++)
			totals->complete += cluster.backups[j].state == BKC_CHECK_COMPLETE;
		free_cluster(&cluster);
	}
	bkc_repo_clusters_free(list, n);
	if (ok && shown == 0 && totals->wanted != 0)
		return bkc_error_set(err, BKC_ERR_NOT_FOUND, "cluster %" PRIu64
							 " is not in repository \"%s\"", totals->wanted, session->store->location);
	return ok && (shown > 0 || bkc_session_no_cluster(session, err));
}

static bool
parse_cluster(BkcSession *session, const BkcOptions *options, Totals *totals, BkcError *err)
{
	const char *wanted = bkc_option(options, "cluster");

	if (wanted == NULL ||
		(bkc_parse_u64(wanted, UINT64_MAX, &totals->wanted) && totals->wanted != 0))
		return true;
	session->place = BKC_AT_COMMAND_LINE;
	return bkc_error_set(err, BKC_ERR_INVALID, "--cluster \"%s\" is not a system identifier", wanted);
}

static int
run_check(const BkcOptions *options)
{
	bool		json = bkc_option_given(options, "json");
	BkcSession	session;
	Totals		totals = {0};
	BkcCheckPlace place = {.print = !json};
	BkcError	err;
	int			status;
	bool		ok;

	ok = bkc_session_open(&session, options, &err) &&
		parse_cluster(&session, options, &totals, &err);
	if (ok && json)
	{
		totals.clusters = json_array();
		place.array = json_array();
		ok = (totals.clusters != NULL && place.array != NULL) || bkc_error_oom(&err);
	}
	ok = ok && bkc_check_place(session.store, &place, &err) &&
		check_clusters(&session, &totals, &err);
	totals.findings += place.warnings;
	if (!ok)
		status = bkc_report_error(&err, session.place, json);
	else if (totals.findings > 0)
		status = BKC_EXIT_CORRUPT;
	else
		status = totals.complete > 0 ? BKC_EXIT_OK : BKC_EXIT_NOT_FOUND;
	if (ok && json)
		bkc_json_print(json_pack("{s:s, s:i, s:o, s:o, s:O, s:O}", "status",
								 status == BKC_EXIT_OK ? "ok" : "failed", "exit_status", status,
								 "repository", bkc_json_text(session.store->location),
								 "findings", bkc_json_u64(totals.findings),
								 "place", place.array, "clusters", totals.clusters));
	json_decref(place.array);
	json_decref(totals.clusters);
	bkc_session_close(&session);
	return status;
}

static const BkcOptionDef check_options[] = {
	BKC_OPTION_REPO,
	BKC_OPTION_KEYS,
	{"cluster", 0, "ID", false, "only the cluster with this system identifier"},
	BKC_OPTION_JSON,
	BKC_OPTION_HELP,
	BKC_OPTION_END
};

const BkcCommand bkc_command_check = {
	.name = "check",
	.summary = "find gaps in WAL and damaged backups, show what can be restored",
	.options = check_options,
	.notes = "Walks the WAL of each timeline and names every gap: segments that are missing before\n"
	"others, and the times that cannot be restored because of them. Reads names and the\n"
	"beginnings of objects only; \"pg_backupctl verify\" reads a backup whole.\n\n"
	"Exit status 4 when something was found, 3 when there is no complete backup. A backup that\n"
	"is unfinished (it may be running) is shown and is no finding, nor is a hole among the\n"
	"newest segments for the first ten minutes: they are sent in parallel.\n\n"
	"Of a bucket it also says whether versions, encryption, object lock and lifecycle rules are on.\n"
	"A WARNING there (a rule that removes backups, for example) is a finding, other lines are not.\n",
	.run = run_check
};
