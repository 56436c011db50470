/*
 * list.c
 *		pg_backupctl list: the clusters, backups and WAL of a repository.
 *
 * A damaged manifest is shown in its place and makes the exit status 4, but
 * hides no other backup.
 */
#include "main.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "format/documents.h"
#include "format/names.h"
#include "pipe/manifestio.h"
#include "pipe/object.h"

#include "json.h"
#include "keys.h"
#include "list_wal.h"
#include "progress.h"
#include "report.h"
#include "session.h"

typedef enum RowState
{
	ROW_COMPLETE,
	ROW_UNFINISHED,
	ROW_DAMAGED,
	ROW_SEALED					/* and no key that opens it was given */
} RowState;

static const char *const state_names[] = {
	[ROW_COMPLETE] = "complete",
	[ROW_UNFINISHED] = "unfinished",
	[ROW_DAMAGED] = "damaged",
	[ROW_SEALED] = "sealed"
};

/* What is shown of one backup. */
typedef struct Row
{
	char		label[BKC_LABEL_MAX];
	RowState	state;
	char		type[16];
	char		host[BKC_DOC_TEXT_MAX];
	char		parent[BKC_LABEL_MAX];
	uint32_t	pg_version_num;
	int64_t		start_time;
	int64_t		stop_time;
	uint32_t	timeline;
	uint64_t	start_lsn;
	uint64_t	stop_lsn;
	uint32_t	wal_segment_size;
	bool		wal_in_archive;
	BkcManifestTotals totals;
	BkcError	error;			/* ROW_DAMAGED, ROW_SEALED */
} Row;

static bool
take_header(void *arg, const BkcManifestHeader *header, BkcError *err)
{
	Row		   *row = arg;

	memcpy(row->type, header->type, sizeof(row->type));
	snprintf(row->host, sizeof(row->host), "%s", header->host != NULL ? header->host : "");
	snprintf(row->parent, sizeof(row->parent), "%s", header->parent != NULL ? header->parent : "");
	row->pg_version_num = header->pg_version_num;
	row->start_time = header->start_time;
	row->stop_time = header->stop_time;
	row->timeline = header->timeline;
	row->start_lsn = header->start_lsn;
	row->stop_lsn = header->stop_lsn;
	row->wal_segment_size = header->wal_segment_size;
	row->wal_in_archive = header->wal_in_archive;
	return true;
}

static bool
read_begin(BkcStore *store, uint64_t sysid, Row *row, BkcError *err)
{
	char		name[BKC_NAME_MAX];
	BkcBuffer	text = {0};
	BkcBeginDoc doc;
	bool		ok;

	ok = bkc_name_begin(sysid, row->label, name, err) &&
		bkc_document_get(store, name, BKC_KIND_BEGIN, &text, err) &&
		bkc_begindoc_decode(bkc_buffer_str(&text), text.len, name, &doc, err);
	if (ok)
	{
		memcpy(row->type, doc.type, sizeof(row->type));
		memcpy(row->host, doc.host, sizeof(row->host));
		memcpy(row->parent, doc.parent, sizeof(row->parent));
		row->start_time = doc.start_time;
	}
	bkc_buffer_free(&text);
	return ok;
}

/* Is this failure about one object, so that the others can still be shown? */
static bool
is_damage(BkcErrorCode code)
{
	return code == BKC_ERR_CORRUPT || code == BKC_ERR_UNSUPPORTED || code == BKC_ERR_INVALID ||
		code == BKC_ERR_NOT_FOUND || code == BKC_ERR_KEY;
}

static bool
read_row(BkcStore *store, uint64_t sysid, const BkcBackupRef *ref, Row *row, BkcError *err)
{
	BkcManifestScan scan = {.header = take_header, .arg = row};
	bool		ok;

	memset(row, 0, sizeof(*row));
	memcpy(row->label, ref->label, sizeof(row->label));
	row->start_time = bkc_label_time(ref->label);
	row->state = ref->complete ? ROW_COMPLETE : ROW_UNFINISHED;
	if (ref->complete)
		ok = bkc_manifest_scan(store, sysid, ref->label, &scan, &row->totals, err);
	else
		ok = !ref->has_begin || read_begin(store, sysid, row, err);
	if (ok || !is_damage(err->code))
		return ok;
	row->state = err->code == BKC_ERR_KEY ? ROW_SEALED : ROW_DAMAGED;
	row->error = *err;
	return true;
}

/* ---- for people ---- */

static void
format_version(uint32_t num, char *out, size_t outlen)
{
	if (num == 0)
		snprintf(out, outlen, "?");
	else
		snprintf(out, outlen, "%u.%u", num / 10000, num % 10000);
}

static void
format_ratio(const BkcManifestTotals *totals, char *out, size_t outlen)
{
	if (totals->stored_bytes == 0)
		snprintf(out, outlen, "-");
	else
		snprintf(out, outlen, "%.2f", (double) totals->bytes / (double) totals->stored_bytes);
}

static void
format_start(int64_t usec, char *out, size_t outlen)
{
	bkc_format_time_gmt(usec, out, outlen);
	if (strlen(out) > 19)
		out[19] = '\0';			/* the column says that it is UTC */
}

static void
print_heading(const BkcClusterInfo *cluster, size_t nbackups)
{
	printf("cluster %" PRIu64 "%s%s%s: %zu %s\n", cluster->system_identifier,
		   cluster->name[0] != '\0' ? " (" : "", cluster->name,
		   cluster->name[0] != '\0' ? ")" : "", nbackups, nbackups == 1 ? "backup" : "backups");
	if (nbackups > 0)
		printf("  %-27s %-5s %-11s %-20s %-12s %9s %9s %6s %8s\n", "LABEL", "TYPE", "STATE",
			   "STARTED (UTC)", "TOOK", "SIZE", "STORED", "RATIO", "FILES");
}

static void
print_row(const Row *row)
{
	char		start[40];
	char		took[40] = "";
	char		size[40] = "";
	char		stored[40] = "";
	char		ratio[24] = "";
	char		files[24] = "";
	char		version[24];
	char		from[24];
	char		to[24];

	format_start(row->start_time, start, sizeof(start));
	if (row->state == ROW_COMPLETE)
	{
		bkc_format_duration(row->stop_time - row->start_time, took, sizeof(took));
		bkc_format_size(row->totals.bytes, size, sizeof(size));
		bkc_format_size(row->totals.stored_bytes, stored, sizeof(stored));
		format_ratio(&row->totals, ratio, sizeof(ratio));
		snprintf(files, sizeof(files), "%" PRIu64, row->totals.files);
	}
	printf("  %-27s %-5s %-11s %-20s %-12s %9s %9s %6s %8s\n", row->label,
		   row->type[0] != '\0' ? row->type : "?", state_names[row->state], start, took,
		   size, stored, ratio, files);
	if (row->state == ROW_DAMAGED)
		printf("    damaged: %s\n", row->error.message);
	if (row->state == ROW_SEALED)
		printf("    %s. %s\n", row->error.message, row->error.detail);
	if (row->state == ROW_UNFINISHED && row->host[0] != '\0')
		printf("    begun on host %.100s\n", row->host);
	if (row->state != ROW_COMPLETE)
		return;
	format_version(row->pg_version_num, version, sizeof(version));
	bkc_format_lsn(row->start_lsn, from, sizeof(from));
	bkc_format_lsn(row->stop_lsn, to, sizeof(to));
	printf("    WAL %s to %s, timeline %u, PostgreSQL %s\n", from, to, row->timeline, version);
	if (row->totals.bad_blocks > 0)
		printf("    %" PRIu64 " blocks had wrong page checksums when it was taken\n",
			   row->totals.bad_blocks);
}

/* ---- for programs ---- */

static json_t *
row_json(const Row *row)
{
	const BkcManifestTotals *totals = &row->totals;
	char		version[24];
	json_t	   *object;

	object = json_pack("{s:s, s:o, s:s, s:o, s:o, s:o}", "label", row->label,
					   "type", bkc_json_text(row->type[0] != '\0' ? row->type : NULL),
					   "state", state_names[row->state],
					   "start_time", bkc_json_time(row->start_time),
					   "host", bkc_json_text(row->host[0] != '\0' ? row->host : NULL),
					   "parent", bkc_json_text(row->parent[0] != '\0' ? row->parent : NULL));
	if (object == NULL)
		return NULL;
	if (row->state == ROW_DAMAGED || row->state == ROW_SEALED)
		bkc_json_set(object, "error", bkc_json_error_object(&row->error));
	if (row->state != ROW_COMPLETE)
		return object;

	format_version(row->pg_version_num, version, sizeof(version));
	bkc_json_set(object, "stop_time", bkc_json_time(row->stop_time));
	bkc_json_set(object, "duration_seconds", bkc_json_seconds(row->stop_time - row->start_time));
	bkc_json_set(object, "size_bytes", bkc_json_u64(totals->bytes));
	bkc_json_set(object, "stored_bytes", bkc_json_u64(totals->stored_bytes));
	bkc_json_set(object, "compression_ratio", totals->stored_bytes == 0 ? json_null() :
				 json_real((double) (int64_t) ((double) totals->bytes * 100.0 /
											   (double) totals->stored_bytes) / 100.0));
	bkc_json_set(object, "files", bkc_json_u64(totals->files));
	bkc_json_set(object, "start_lsn", bkc_json_lsn(row->start_lsn));
	bkc_json_set(object, "stop_lsn", bkc_json_lsn(row->stop_lsn));
	bkc_json_set(object, "timeline", bkc_json_u64(row->timeline));
	bkc_json_set(object, "pg_version", json_string(version));
	bkc_json_set(object, "pg_version_num", bkc_json_u64(row->pg_version_num));
	bkc_json_set(object, "bad_blocks", bkc_json_u64(totals->bad_blocks));
	return object;
}

/* ---- the command ---- */

typedef struct Listing
{
	BkcSession	session;
	uint64_t	wanted;			/* --cluster, 0 when not given */
	json_t	   *clusters;		/* NULL without --json */
	size_t		nbackups;
	size_t		ndamaged;
	size_t		nsealed;
} Listing;

/* What the WAL map wants to know of a complete backup. */
static void
make_span(const Row *row, BkcBackupSpan *span)
{
	memset(span, 0, sizeof(*span));
	memcpy(span->label, row->label, sizeof(span->label));
	span->timeline = row->timeline;
	span->start_lsn = row->start_lsn;
	span->stop_lsn = row->stop_lsn;
	span->start_time = row->start_time;
	span->stop_time = row->stop_time;
	span->segment_size = row->wal_segment_size;
	span->pg_version_num = row->pg_version_num;
	span->wal_in_archive = row->wal_in_archive;
}

/* The cluster's object of --json, in the list of clusters; borrowed.  NULL when memory is short. */
static json_t *
add_cluster(Listing *listing, const BkcClusterInfo *cluster, json_t *backups)
{
	json_t	   *object = json_pack("{s:o, s:o, s:o, s:o, s:O}", "system_identifier",
								   bkc_json_id(cluster->system_identifier),
								   "name", bkc_json_text(cluster->name),
								   "pg_version_num", bkc_json_u64(cluster->pg_version_num),
								   "created", bkc_json_time(cluster->created),
								   "backups", backups);

	return bkc_json_append(listing->clusters, object) ? object : NULL;
}

static bool
list_cluster(Listing *listing, const BkcClusterInfo *cluster, BkcError *err)
{
	BkcBackupRef *refs = NULL;
	BkcBackupSpan *spans = NULL;
	size_t		n = 0;
	size_t		nspans = 0;
	json_t	   *backups = NULL;
	json_t	   *object = NULL;
	bool		ok;

	ok = bkc_repo_backups(listing->session.store, cluster->system_identifier, &refs, &n, err);
	if (ok)
	{
		spans = calloc(n + 1, sizeof(*spans));
		ok = spans != NULL || bkc_error_oom(err);
	}
	if (ok && listing->clusters != NULL)
	{
		backups = json_array();
		object = add_cluster(listing, cluster, backups);
		ok = object != NULL || bkc_error_oom(err);
	}
	else if (ok)
		print_heading(cluster, n);

	for (size_t i = 0; ok && i < n; i++)
	{
		Row			row;

		ok = read_row(listing->session.store, cluster->system_identifier, &refs[i], &row, err);
		if (!ok)
			break;
		listing->nbackups++;
		listing->ndamaged += row.state == ROW_DAMAGED;
		listing->nsealed += row.state == ROW_SEALED;
		if (row.state == ROW_COMPLETE)
			make_span(&row, &spans[nspans++]);
		if (backups == NULL)
			print_row(&row);
		else
			ok = bkc_json_append(backups, row_json(&row)) || bkc_error_oom(err);
	}
	ok = ok && bkc_list_wal(listing->session.store, cluster->system_identifier, spans, nspans,
							object, err);
	json_decref(backups);
	free(spans);
	free(refs);
	return ok;
}

static bool
list_clusters(Listing *listing, const char *wanted, BkcError *err)
{
	BkcClusterInfo *list = NULL;
	size_t		n = 0;
	size_t		shown = 0;
	bool		ok;

	ok = bkc_repo_clusters(listing->session.store, &list, &n, err);
	for (size_t i = 0; ok && i < n; i++)
	{
		if (wanted != NULL && list[i].system_identifier != listing->wanted)
			continue;
		if (shown++ > 0 && listing->clusters == NULL)
			putchar('\n');
		ok = list_cluster(listing, &list[i], err);
	}
	bkc_repo_clusters_free(list, n);
	if (ok && shown == 0 && wanted != NULL)
		return bkc_error_set(err, BKC_ERR_NOT_FOUND, "cluster %s is not in repository \"%s\"",
							 wanted, listing->session.store->location);
	if (ok && shown == 0)
		return bkc_session_no_cluster(&listing->session, err);
	return ok;
}

static int
list_status(const Listing *listing)
{
	if (listing->ndamaged > 0)
		return BKC_EXIT_CORRUPT;
	if (listing->nsealed > 0)
		return BKC_EXIT_KEY;
	return listing->nbackups > 0 ? BKC_EXIT_OK : BKC_EXIT_NOT_FOUND;
}

static bool
check_arguments(Listing *listing, const char *wanted, BkcError *err)
{
	if (wanted == NULL || bkc_parse_u64(wanted, UINT64_MAX, &listing->wanted))
		return true;
	listing->session.place = BKC_AT_COMMAND_LINE;
	return bkc_error_set(err, BKC_ERR_INVALID, "--cluster \"%s\" is not a system identifier", wanted);
}

static int
run_list(const BkcOptions *options)
{
	const char *wanted = bkc_option(options, "cluster");
	bool		json = bkc_option_given(options, "json");
	Listing		listing;
	BkcError	err;
	int			status;
	bool		ok;

	memset(&listing, 0, sizeof(listing));
	ok = bkc_session_open(&listing.session, options, &err) &&
		check_arguments(&listing, wanted, &err);
	if (ok && json)
	{
		listing.clusters = json_array();
		ok = listing.clusters != NULL || bkc_error_oom(&err);
	}
	ok = ok && list_clusters(&listing, wanted, &err);
	status = ok ? list_status(&listing) : bkc_report_error(&err, listing.session.place, json);
	if (ok && json)
		bkc_json_print(json_pack("{s:s, s:i, s:o, s:O}", "status",
								 status == BKC_EXIT_OK ? "ok" : "failed", "exit_status", status,
								 "repository", bkc_json_text(listing.session.store->location),
								 "clusters", listing.clusters));
	json_decref(listing.clusters);
	bkc_session_close(&listing.session);
	return status;
}

static const BkcOptionDef list_options[] = {
	BKC_OPTION_REPO,
	BKC_OPTION_KEYS,
	{"cluster", 0, "ID", false, "only the cluster with this system identifier"},
	BKC_OPTION_JSON,
	BKC_OPTION_HELP,
	BKC_OPTION_END
};

const BkcCommand bkc_command_list = {
	.name = "list",
	.summary = "show the clusters, backups and WAL of a repository",
	.options = list_options,
	.notes = "Exit status 3 when there is no backup, 4 when a manifest is damaged, 10 when one is\n"
	"sealed with a key that was not given (the others are shown all the same).\n",
	.run = run_list
};
