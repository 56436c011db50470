/*
 * sqlcheck.c
 *		backup_check(): tries the whole set-up and explains each finding.
 *
 * One row for each check: repository (null: about the server), check, status
 * (ok, warning, failed), finding, advice.  What cannot be asked is a finding, not an
 * error, so that it hides nothing else.  The repositories, not the catalog, say what
 * they hold.
 */
#include "pgcompat.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/host.h"
#include "base/text.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "format/names.h"
#include "funcapi.h"
#include "keys.h"
#include "miscadmin.h"
#include "pipe/object.h"
#include "pipe/owner.h"
#include "pipe/unpack.h"
#include "pipe/walmap.h"
#include "postmaster/bgworker.h"
#include "postmaster/pgarch.h"
#include "replication/slot.h"
#include "settings.h"
#include "spool.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
#include "walgap.h"
#include "walstatus.h"

PG_FUNCTION_INFO_V1(bkc_sql_check);

#define OK			"ok"
#define ATTENTION	"warning"
#define FAILED		"failed"

#define LITTLE_SPACE	(UINT64CONST(1) << 30)
#define OLD_BACKUP_DAYS	7
#define GAPS_SHOWN		20

typedef struct Check
{
	ReturnSetInfo *rsinfo;
	const BkcRepoDef *repo;		/* NULL: the server */
	BkcWalServer server;
	BkcWalStatus *wal;

	/* open for one repository */
	BkcStore   *store;
	BkcWalMap  *map;
	BkcBackupSpan *spans;
	size_t		nspans;
	BkcWalGap  *gaps;
	size_t		ngaps;
	BkcRecoveryWindow *windows;
	size_t		nwindows;
	bool		ours;			/* this server is the owner */
} Check;

static void
check_close(void *arg)
{
	Check	   *c = arg;

	free(c->windows);
	free(c->gaps);
	free(c->spans);
	bkc_walmap_free(c->map);
	bkc_store_close(c->store);
	c->windows = NULL;
	c->gaps = NULL;
	c->spans = NULL;
	c->map = NULL;
	c->store = NULL;
	c->nspans = c->ngaps = c->nwindows = 0;
	c->ours = false;
}

/* advice may be NULL */
static void
put(Check *c, const char *check, const char *status, const char *finding, const char *advice)
{
	Datum		values[5];
	bool		nulls[5] = {false};

	nulls[0] = c->repo == NULL;
	values[0] = c->repo != NULL ? CStringGetTextDatum(c->repo->name) : (Datum) 0;
	values[1] = CStringGetTextDatum(check);
	values[2] = CStringGetTextDatum(status);
	values[3] = CStringGetTextDatum(finding);
	nulls[4] = advice == NULL || advice[0] == '\0';
	values[4] = nulls[4] ? (Datum) 0 : CStringGetTextDatum(advice);
	tuplestore_putvalues(c->rsinfo->setResult, c->rsinfo->setDesc, values, nulls);
}

static void
put_report(Check *c, const char *check, const char *status, const BkcReport *report)
{
	char	   *advice = pstrdup(report->hint);

	bkc_text_clean(advice);
	put(c, check, status, bkc_report_line(report), advice);
}

static void
put_error(Check *c, const char *check, const BkcError *err)
{
	BkcReport	report;

	if (err->code == BKC_ERR_CANCELLED || err->code == BKC_ERR_NO_MEMORY)
		bkc_ereport(ERROR, err);
	bkc_report_from_error(&report, err);
	put_report(c, check, FAILED, &report);
}

static const char *
time_text(int64 unix_usec)
{
	if (unix_usec == 0)
		return "an unknown time";
	return pstrdup(timestamptz_to_str(bkc_from_unix(unix_usec)));
}

static const char *
size_text(uint64 bytes)
{
	char		text[32];

	bkc_format_size(bytes, text, sizeof(text));
	return pstrdup(text);
}

/* ---- the server ---- */

static bool
check_preload(Check *c)
{
	if (bkc_shared == NULL)
	{
		const char *others = GetConfigOption("shared_preload_libraries", true, false);

		put(c, "preload", FAILED, "pg_backupctl is not loaded by the server",
			psprintf("Put the line shared_preload_libraries = '%s%spg_backupctl' into postgresql.conf and restart the server.",
					 others ? others : "", others && others[0] ? ", " : ""));
		return false;
	}
	put(c, "preload", OK, "the library is loaded at the server's start", NULL);
	return true;
}

static void
check_enabled(Check *c)
{
	if (bkc_set_enabled)
		put(c, "enabled", OK, "backups and archiving are switched on", NULL);
	else
		put(c, "enabled", FAILED, "pg_backupctl.enabled is off, as in every restored clone",
			"Set it to on if this server is to write into its configured repositories.");
}

static void
check_wal_level(Check *c)
{
	const char *level = GetConfigOption("wal_level", false, false);

	if (wal_level >= WAL_LEVEL_REPLICA)
		put(c, "wal_level", OK, psprintf("wal_level is %s", level), NULL);
	else
		put(c, "wal_level", FAILED, psprintf("wal_level is %s: neither backups nor archiving are possible", level),
			"Set wal_level to replica or logical and restart the server.");
}

static void
check_archive_mode(Check *c)
{
	const char *mode = GetConfigOption("archive_mode", false, false);

	if (XLogArchiveMode == ARCHIVE_MODE_OFF)
		put(c, "archive_mode", ATTENTION,
			"archive_mode is off: only the moments of the backups can be restored",
			"Set archive_mode = on and archive_library = 'pg_backupctl', and restart the server.");
	else
		put(c, "archive_mode", OK, psprintf("archive_mode is %s", mode), NULL);
}

static void
check_archive_library(Check *c)
{
	const char *library = XLogArchiveLibrary != NULL ? XLogArchiveLibrary : "";
	bool		command = XLogArchiveCommand != NULL && XLogArchiveCommand[0] != '\0';

	if (XLogArchiveMode == ARCHIVE_MODE_OFF)
		return;
	if (!bkc_wal_is_our_library(library))
		put(c, "archive_library", ATTENTION,
			library[0] ? psprintf("WAL is archived by \"%s\", not by pg_backupctl", library) :
			"archive_library is empty: pg_backupctl does not archive WAL",
			"Set archive_library = 'pg_backupctl' and archive_command = '', and reload the configuration.");
	else if (command)
		put(c, "archive_library", BKC_PG_VERSION >= 160000 ? FAILED : ATTENTION,
			BKC_PG_VERSION >= 160000 ?
			"archive_command is set as well, and the server refuses to archive with both" :
			"archive_command is set as well; it is not used",
			"Set archive_command = '' and reload the configuration.");
	else
		put(c, "archive_library", OK, "pg_backupctl archives WAL", NULL);
}

static void
check_database(Check *c)
{
	const char *here = get_database_name(MyDatabaseId);

	if (here != NULL && strcmp(here, bkc_set_database) == 0)
		put(c, "database", OK, psprintf("the catalog is in database \"%s\"", bkc_set_database), NULL);
	else if (!OidIsValid(get_database_oid(bkc_set_database, true)))
		put(c, "database", FAILED,
			psprintf("database \"%s\" of pg_backupctl.database does not exist", bkc_set_database),
			"Create it and the extension in it, or change pg_backupctl.database and restart the server.");
	else
		put(c, "database", ATTENTION,
			psprintf("this is not the database of the catalog, which is \"%s\"", bkc_set_database),
			psprintf("Connect to \"%s\" for backups.", bkc_set_database));
}

/* launcher, streamer and the leader of a job; WAL helpers and copy workers make it fast */
static void
check_workers(Check *c)
{
	int			needed = 3;
	int			useful = needed + bkc_set_wal_workers + bkc_set_jobs;
	const char *have = psprintf("max_worker_processes is %d", max_worker_processes);

	if (max_worker_processes < needed)
		put(c, "workers", FAILED, psprintf("%s, pg_backupctl needs %d", have, needed),
			psprintf("Set max_worker_processes to %d or more and restart the server.", useful));
	else if (max_worker_processes < useful)
		put(c, "workers", ATTENTION,
			psprintf("%s, pg_backupctl can use %d: backups or archiving will be slower", have, useful),
			psprintf("Set max_worker_processes to %d or more and restart the server.", useful));
	else
		put(c, "workers", OK, psprintf("%s, pg_backupctl uses up to %d", have, useful), NULL);
	if (max_replication_slots == 0)
		put(c, "replication slots", ATTENTION,
			"max_replication_slots is 0: a backup cannot reserve the WAL that it stores",
			"Set max_replication_slots to 1 or more and restart the server.");
}

static bool
check_server(Check *c)
{
	if (!check_preload(c))
		return false;
	check_enabled(c);
	check_wal_level(c);
	check_archive_mode(c);
	check_archive_library(c);
	check_database(c);
	check_workers(c);
	return true;
}

/* ---- a repository ---- */

/*
 * The probe's name must not be that of a backup at work, nor of another
 * session's check.
 */
static bool
check_reachable(Check *c, const char *owner)
{
	BkcError	err;

	if (!bkc_repo_open(c->repo, &c->store, &err) ||
		!bkc_store_probe(c->store, psprintf("%s-check-%d", owner, MyProcPid), &err))
	{
		put_error(c, "repository", &err);
		return false;
	}
	put(c, "repository", OK,
		psprintf("%s can be written, read, listed and removed from", c->store->location), NULL);
	return true;
}

/* Said only where somebody has thought of it. */
static void
check_encryption(Check *c)
{
	uint8_t		id[BKC_WRAP_ID_SIZE];
	char		hex[BKC_WRAP_ID_HEX];
	bool		seals;
	BkcError	err;

	if (!bkc_keyring_seals(c->store, &seals, &err))
		put_error(c, "encryption", &err);
	else if (bkc_keyring_nkeys(c->store->keys) == 0)
		return;
	else if (!seals)
		put(c, "encryption", ATTENTION, "there is a key, but what is written is not sealed",
			"Set pg_backupctl.encryption to on or required.");
	else if (!bkc_keyring_wrapping_id(c->store->keys, 0, GetSystemIdentifier(), id, &err))
		put_error(c, "encryption", &err);
	else
	{
		bkc_hex_encode(id, sizeof(id), hex);
		put(c, "encryption", OK, psprintf("what is written is sealed with key %s", hex), NULL);
	}
}

static void
check_cluster(Check *c)
{
	uint64		sysid = GetSystemIdentifier();
	char		name[BKC_NAME_MAX];
	BkcBuffer	text = {0};
	BkcClusterDoc doc;
	BkcError	err;
	bool		ok;

	ok = bkc_name_cluster(sysid, name, &err) &&
		bkc_document_get(c->store, name, BKC_KIND_CLUSTER, &text, &err) &&
		bkc_clusterdoc_decode(bkc_buffer_str(&text), text.len, name, &doc, &err);
	bkc_buffer_free(&text);
	if (!ok && err.code == BKC_ERR_NOT_FOUND)
		put(c, "cluster", ATTENTION,
			psprintf("the repository holds nothing of this cluster (%llu) yet", (unsigned long long) sysid),
			"Take a backup: SELECT backup_now('full').  If there were backups, check that the repository is mounted.");
	else if (!ok)
		put_error(c, "cluster", &err);
	else
		put(c, "cluster", OK, psprintf("the repository knows this cluster (%llu) since %s",
									   (unsigned long long) sysid, time_text(doc.created)), NULL);
}

/* Only looks; the archiver's and the backups' own check may claim what is nobody's. */
static void
check_owner(Check *c, const char *owner)
{
	const char *advice = psprintf("If this server is to write there instead: SELECT backup_take_over('%s').",
								  c->repo->name);
	BkcOwnerDoc doc;
	BkcError	err;
	bool		found;

	if (!bkc_owner_current(c->store, GetSystemIdentifier(), &doc, &found, &err))
		put_error(c, "owner", &err);
	else if (!found)
		put(c, "owner", OK, "nobody has claimed the repository yet", NULL);
	else if (strcmp(doc.owner, owner) == 0)
	{
		c->ours = true;
		put(c, "owner", OK, psprintf("this data directory is the owner since %s", time_text(doc.time)), NULL);
	}
	else
	{
		const char *text = psprintf("the owner is \"%s\" on host \"%s\", since %s",
									doc.data_directory, doc.host, time_text(doc.time));

		if (RecoveryInProgress())
			put(c, "owner", OK, text, NULL);
		else
			put(c, "owner", FAILED, text, advice);
	}
}

static void
check_space(Check *c)
{
	uint64_t	bytes;
	BkcError	err;

	if ((c->store->caps & BKC_CAP_SPACE) == 0)
		return;
	if (!bkc_store_space(c->store, &bytes, &err))
		put_error(c, "space", &err);
	else if (bytes < LITTLE_SPACE)
		put(c, "space", ATTENTION, psprintf("only %s are free", size_text(bytes)),
			psprintf("Free space below \"%s\".", c->store->location));
	else
		put(c, "space", OK, psprintf("%s are free", size_text(bytes)), NULL);
}

/* ---- the place: a bucket's own settings ---- */

/* Kept as plain memory: nothing of the server's may be called, and throw, inside the core. */
typedef struct Finding
{
	char	   *what;
	char	   *text;
	char	   *hint;			/* or NULL */
	bool		warning;
} Finding;

#define FINDINGS_MAX	64

typedef struct Findings
{
	Finding		items[FINDINGS_MAX];
	int			n;
} Findings;

static void
findings_free(void *arg)
{
	Findings   *f = arg;

	for (int i = 0; i < f->n; i++)
	{
		free(f->items[i].what);
		free(f->items[i].text);
		free(f->items[i].hint);
	}
	f->n = 0;
}

static bool
keep_finding(void *arg, const BkcStoreFinding *finding, BkcError *err)
{
	Findings   *f = arg;
	Finding    *item = &f->items[f->n];

	if (f->n == FINDINGS_MAX)
		return true;
	item->what = strdup(finding->what);
	item->text = strdup(finding->text);
	item->hint = finding->hint != NULL ? strdup(finding->hint) : NULL;
	item->warning = finding->level == BKC_STORE_WARNING;
	f->n++;
	return (item->what != NULL && item->text != NULL &&
			(item->hint != NULL || finding->hint == NULL)) || bkc_error_oom(err);
}

static void
check_place(Check *c)
{
	Findings   *f = palloc0(sizeof(*f));
	BkcError	err;

	bkc_guard(findings_free, f);
	if (!bkc_store_describe(c->store, keep_finding, f, &err))
		put_error(c, "bucket", &err);
	for (int i = 0; i < f->n; i++)
		put(c, f->items[i].what, f->items[i].warning ? ATTENTION : OK, f->items[i].text,
			f->items[i].hint);
	findings_free(f);
}

/* What the owner's start-up does as well; nobody else knows whose they are. */
static void
check_uploads(Check *c)
{
	char		prefix[BKC_NAME_MAX];
	uint64_t	n;
	BkcError	err;

	if (!c->ours || !bkc_set_enabled || RecoveryInProgress())
		return;
	snprintf(prefix, sizeof(prefix), "%llu/", (unsigned long long) GetSystemIdentifier());
	if (!bkc_store_tidy(c->store, prefix, BKC_STORE_OLD_SECONDS, &n, &err))
		put_error(c, "unfinished uploads", &err);
	else if (n > 0)
		put(c, "unfinished uploads", OK,
			psprintf("%llu older than 24 hours, now aborted", (unsigned long long) n), NULL);
}

/* ---- archiving ---- */

static const char *
full_text(const BkcWalStatus *s)
{
	if (s->full_seconds < 0)
		return "";
	return psprintf("; pg_wal's file system is full in about %.0f minutes", s->full_seconds / 60);
}

static void
check_archiver(Check *c)
{
	BkcWalStatus *s = c->wal;
	const char *waiting;

	if (c->server.unable != NULL)
	{
		bool		standby = strcmp(c->server.unable, "standby") == 0;

		put(c, "archiver", standby ? OK : ATTENTION,
			standby ? "this server is a standby; its primary archives" :
			"no WAL is sent here; see the checks of the server", NULL);
		return;
	}
	if (!bkc_walstatus_repo(&c->server, c->repo, s))
	{
		s->status = "unknown";
		return;
	}
	waiting = psprintf("%llu segments (%s) wait%s", (unsigned long long) s->backlog_segments,
					   size_text(s->backlog), full_text(s));
	if (s->state.refusal.sqlstate != 0)
		put_report(c, "archiver", FAILED, &s->state.refusal);
	else if (c->server.trouble.sqlstate != 0)
		put(c, "archiver", FAILED,
			psprintf("%s; %s", c->server.trouble.message, waiting), c->server.trouble.hint);
	else if (s->state.failures_in_row > 0)
		put(c, "archiver", FAILED,
			psprintf("\"%s\" could not be archived, %u times in a row: %s; %s", s->state.failed_file,
					 s->state.failures_in_row, bkc_report_line(&s->state.error), waiting),
			s->state.error.hint);
	else if (strcmp(s->status, "hole") == 0)
		put_report(c, "archiver", FAILED, &s->state.error);
	else if (s->backlog_segments > 1)
		put(c, "archiver", ATTENTION, waiting,
			"If it grows, give it more WAL helpers (pg_backupctl.wal_workers), a faster repository or less compression.");
	else if (s->state.last_file[0])
		put(c, "archiver", OK, psprintf("the last file was \"%s\" at %s", s->state.last_file,
										timestamptz_to_str(s->state.last_time)), NULL);
	else
		put(c, "archiver", OK, "nothing had to be archived since the server's start", NULL);
	if (s->state.chunk_error.sqlstate != 0)
		put_report(c, "streamer", ATTENTION, &s->state.chunk_error);
}

/* ---- what can be restored ---- */

static void
check_backups(Check *c)
{
	const BkcBackupSpan *last = c->nspans > 0 ? &c->spans[c->nspans - 1] : NULL;
	int64		age = last != NULL ? bkc_host->now() - last->stop_time : 0;

	if (last == NULL)
		put(c, "backup", ATTENTION, "there is no complete backup", "SELECT backup_now('full').");
	else if (age > OLD_BACKUP_DAYS * USECS_PER_DAY)
		put(c, "backup", ATTENTION, psprintf("the newest of %zu backups, %s, is %d days old", c->nspans,
											 last->label, (int) (age / USECS_PER_DAY)),
			"Take backups regularly: a restore replays all WAL since the last one.");
	else
		put(c, "backup", OK, psprintf("the newest of %zu backups is %s, of %s", c->nspans,
									  last->label, time_text(last->stop_time)), NULL);
}

/* Is it before the newest backup, so that restoring the present does not need it? */
static bool
gap_is_past(const Check *c, const BkcWalGap *gap)
{
	uint32_t	timeline;
	uint64_t	segno;

	for (size_t i = 0; i < c->nspans; i++)
		if (c->spans[i].timeline > gap->timeline ||
			(c->spans[i].timeline == gap->timeline &&
			 bkc_wal_segment_parse(gap->last, (uint32) wal_segment_size, &timeline, &segno) &&
			 c->spans[i].start_lsn / (uint32) wal_segment_size > segno))
			return true;
	return false;
}

static void
put_lost(Check *c, const BkcWalGap *gap)
{
	bool		past = gap_is_past(c, gap);

	put(c, "gap", past ? ATTENTION : FAILED,
		psprintf("timeline %u lacks %llu WAL segment%s, \"%s\" to \"%s\": no time between %s and %s can be restored",
				 gap->timeline, (unsigned long long) gap->count, gap->count == 1 ? "" : "s",
				 gap->first, gap->last, time_text(gap->after_time),
				 time_text(gap->before_time)),
		past ? "Later backups do not need them." :
		"Take a backup now: times after it can be restored without the missing segments.");
}

static void
put_coming(Check *c, const BkcWalGap *gap, BkcWalGapState state)
{
	const char *text = psprintf("WAL from \"%s\" to \"%s\" is not there yet, while later segments are",
								gap->first, gap->last);

	if (state == BKC_GAP_MAY_COME)
		put(c, "gap", ATTENTION, psprintf("%s; it may be on its way", text),
			"Check again in some minutes.");
	else if (c->server.unable != NULL || strcmp(c->wal->status, "failing") == 0 ||
			 strcmp(c->wal->status, "refused") == 0)
		put(c, "gap", ATTENTION, psprintf("%s: it waits in pg_wal", text),
			"See the check of the archiver.");
	else
		put(c, "gap", OK, psprintf("%s: it is being sent", text), NULL);
}

static void
check_gaps(Check *c)
{
	size_t		shown = 0;
	size_t		lost = 0;
	BkcError	err;

	for (size_t i = 0; i < c->ngaps; i++)
	{
		BkcWalGapState state;

		if (!bkc_walgap_state(c->store, &c->gaps[i], c->ours, &state, &err))
		{
			put_error(c, "gap", &err);
			return;
		}
		if (state == BKC_GAP_CLOSED)
			continue;
		shown++;
		if (state != BKC_GAP_LOST)
			put_coming(c, &c->gaps[i], state);
		else if (lost++ < GAPS_SHOWN)
			put_lost(c, &c->gaps[i]);
	}
	if (lost > GAPS_SHOWN)
		put(c, "gap", FAILED, psprintf("and %zu more gaps", lost - GAPS_SHOWN), NULL);
	if (shown == 0)
		put(c, "gap", OK, c->map->nruns > 0 ? "the WAL has no gaps" : "there is no WAL yet", NULL);
}

static void
check_windows(Check *c)
{
	const BkcRecoveryWindow *w = c->nwindows > 0 ? &c->windows[c->nwindows - 1] : NULL;

	if (w != NULL && w->end_time > w->start_time)
		put(c, "recovery", OK, psprintf("every time from %s to %s can be restored",
										time_text(w->start_time), time_text(w->end_time)), NULL);
	else if (w != NULL)
		put(c, "recovery", OK, psprintf("the end of the newest backup, %s, can be restored",
										time_text(w->start_time)), NULL);
}

static void
check_holdings(Check *c)
{
	uint64		sysid = GetSystemIdentifier();
	BkcError	err;

	if (!bkc_repo_spans(c->store, sysid, &c->spans, &c->nspans, &err))
	{
		put_error(c, "backup", &err);
		return;
	}
	check_backups(c);
	if (!bkc_walmap_load(c->store, sysid, (uint32) wal_segment_size, &c->map, &err) ||
		!bkc_walmap_gaps(c->map, &c->gaps, &c->ngaps, &err))
	{
		put_error(c, "gap", &err);
		return;
	}
	c->ngaps = bkc_walgap_drop_expired(c->repo->name, c->gaps, c->ngaps);
	check_gaps(c);
	if (!bkc_recovery_windows(c->map, c->spans, c->nspans, &c->windows, &c->nwindows, &err))
		put_error(c, "recovery", &err);
	else
		check_windows(c);
}

static void
check_repository(Check *c, const BkcRepoDef *repo)
{
	char		owner[BKC_OWNER_ID_MAX];

	c->repo = repo;
	bkc_spool_owner(owner);
	if (check_reachable(c, owner))
	{
		check_encryption(c);
	check_cluster(c);
		check_owner(c, owner);
		check_space(c);
		check_uploads(c);
		check_place(c);
		check_archiver(c);
		check_holdings(c);
	}
	else
		check_archiver(c);
	check_close(c);
}

Datum
bkc_sql_check(PG_FUNCTION_ARGS)
{
	Check	   *c = palloc0(sizeof(*c));
	const BkcRepoDef *only = NULL;
	const BkcRepoList *list;

	/* a name that is not there is an error of the caller, not a finding */
	if (!PG_ARGISNULL(0))
		only = bkc_settings_repository(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	InitMaterializedSRF(fcinfo, 0);
	c->rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	c->wal = palloc(sizeof(*c->wal));
	bkc_guard(check_close, c);
	if (!check_server(c))
		return (Datum) 0;
	bkc_walstatus_server(&c->server);
	if (only != NULL)
	{
		check_repository(c, only);
		return (Datum) 0;
	}
	list = bkc_settings_repositories();
	if (list->count == 0)
		put(c, "repositories", FAILED, "no repository is defined",
			"Set pg_backupctl.repositories, for example to 'main=file:///var/backups/pg', and reload the configuration.");
	for (size_t i = 0; i < list->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		check_repository(c, &list->items[i]);
	}
	return (Datum) 0;
}
