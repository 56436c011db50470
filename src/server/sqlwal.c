/*
 * sqlwal.c
 *		The functions about WAL that SQL calls: how archiving stands, what can
 *		be restored, who may write, and the way out of a conflict.
 *
 * Those that ask a repository do so in the caller's backend and transaction:
 * they are for people at a console, take seconds, and hold no lock.
 */
#include "pgcompat.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "access/xlog_internal.h"
#include "base/text.h"
#include "event.h"
#include "fmgr.h"
#include "funcapi.h"
#include "keys.h"
#include "miscadmin.h"
#include "ownership.h"
#include "pipe/walmap.h"
#include "pipe/walobj.h"
#include "settings.h"
#include "sqlrequire.h"
#include "utils/builtins.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"
#include "walstatus.h"

PG_FUNCTION_INFO_V1(bkc_sql_archiver_state);
PG_FUNCTION_INFO_V1(bkc_sql_recovery_windows);
PG_FUNCTION_INFO_V1(bkc_sql_take_over);
PG_FUNCTION_INFO_V1(bkc_sql_wal_conflict_resolve);

/* what a row is made of */
#define ROW_MAX		27

typedef struct Row
{
	Datum		values[ROW_MAX];
	bool		nulls[ROW_MAX];
	int			n;
} Row;

static void
add(Row *row, Datum value, bool isnull)
{
	Assert(row->n < ROW_MAX);
	row->values[row->n] = value;
	row->nulls[row->n] = isnull;
	row->n++;
}

static void
add_text(Row *row, const char *text)
{
	bool		isnull = text == NULL || text[0] == '\0';

	add(row, isnull ? (Datum) 0 : CStringGetTextDatum(text), isnull);
}

static void
add_time(Row *row, TimestampTz time)
{
	add(row, TimestampTzGetDatum(time), time == 0);
}

static void
add_unix_time(Row *row, int64 usec)
{
	add(row, TimestampTzGetDatum(bkc_from_unix(usec)), usec == 0);
}

static void
add_int(Row *row, uint64 value)
{
	add(row, Int64GetDatum((int64) value), false);
}

static void
add_lsn(Row *row, XLogRecPtr lsn)
{
	add(row, LSNGetDatum(lsn), XLogRecPtrIsInvalid(lsn));
}

static void
add_report(Row *row, const BkcReport *report)
{
	add_text(row, report->sqlstate != 0 ? bkc_report_line(report) : NULL);
}

static void
put(ReturnSetInfo *rsinfo, Row *row)
{
	Assert(row->n == rsinfo->setDesc->natts);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row->values, row->nulls);
}

static void
check(bool ok, const BkcError *err)
{
	if (!ok)
		bkc_ereport(ERROR, err);
}

/* ---- backup_archiver ---- */

static void
put_archiver(ReturnSetInfo *rsinfo, const BkcWalServer *server, const BkcRepoDef *repo,
			 const BkcWalStatus *s)
{
	const BkcRepoState *state = &s->state;
	bool		behind = s->backlog_segments > 0;
	Row			row = {.n = 0};

	add_text(&row, repo->name);
	add_text(&row, s->status);
	add_text(&row, state->last_file);
	add_time(&row, state->last_time);
	add_lsn(&row, state->prefix_lsn);
	add(&row, Int64GetDatum(state->prefix_tli), state->prefix_tli == 0);
	add_int(&row, s->backlog_segments);
	add_int(&row, s->backlog);
	add_time(&row, behind ? server->waiting.oldest : 0);
	add_int(&row, state->failures);
	add_report(&row, state->refusal.sqlstate != 0 ? &state->refusal : &state->error);
	add_text(&row, state->failed_file);
	add_time(&row, state->failed_at);
	add_time(&row, state->retry_at);
	add_int(&row, (uint64) state->rate);
	add_int(&row, (uint64) server->wal_rate);
	add_int(&row, server->free);
	add(&row, Float8GetDatum(s->full_seconds), s->full_seconds < 0);
	add(&row, Int64GetDatum((int64) s->loss), !s->loss_known);
	add_time(&row, s->loss_since);
	add_lsn(&row, state->shipped_lsn);
	add_int(&row, state->files);
	add_int(&row, state->bytes_plain);
	add_int(&row, state->bytes_stored);
	add_int(&row, state->chunks);
	add_int(&row, state->chunk_bytes);
	add_report(&row, &state->chunk_error);
	put(rsinfo, &row);
}

Datum
bkc_sql_archiver_state(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	BkcWalStatus *status = palloc(sizeof(*status));
	const BkcRepoList *list;
	BkcWalServer server;

	bkc_require_preload();
	InitMaterializedSRF(fcinfo, 0);
	list = bkc_settings_repositories();
	bkc_walstatus_server(&server);
	for (size_t i = 0; i < list->count; i++)
		if (bkc_walstatus_repo(&server, &list->items[i], status))
			put_archiver(rsinfo, &server, &list->items[i], status);
	return (Datum) 0;
}

/* ---- backup_recovery_window ---- */

/* What is open while one repository is asked. */
typedef struct Windows
{
	BkcStore   *store;
	BkcWalMap  *map;
	BkcBackupSpan *spans;
	size_t		nspans;
	BkcRecoveryWindow *list;
	size_t		n;
} Windows;

static void
windows_close(void *arg)
{
	Windows    *w = arg;

	free(w->list);
	free(w->spans);
	bkc_walmap_free(w->map);
	bkc_store_close(w->store);
	memset(w, 0, sizeof(*w));
}

static bool
windows_load(Windows *w, const BkcRepoDef *repo, BkcError *err)
{
	uint64		sysid = GetSystemIdentifier();

	return bkc_repo_open(repo, &w->store, err) &&
		bkc_walmap_load(w->store, sysid, (uint32) wal_segment_size, &w->map, err) &&
		bkc_repo_spans(w->store, sysid, &w->spans, &w->nspans, err) &&
		bkc_recovery_windows(w->map, w->spans, w->nspans, &w->list, &w->n, err);
}

static void
put_window(ReturnSetInfo *rsinfo, const BkcRepoDef *repo, const BkcRecoveryWindow *window)
{
	Row			row = {.n = 0};

	add_text(&row, repo->name);
	add_int(&row, window->timeline);
	add_unix_time(&row, window->start_time);
	add_unix_time(&row, window->end_time);
	add_lsn(&row, window->start_lsn);
	add_lsn(&row, window->end_lsn);
	add_int(&row, window->backups);
	add_text(&row, window->first_backup);
	add_text(&row, window->last_backup);
	put(rsinfo, &row);
}

/* One that cannot be asked must not hide the others. */
static void
warn(const BkcRepoDef *repo, BkcError *err)
{
	if (err->code == BKC_ERR_CANCELLED || err->code == BKC_ERR_NO_MEMORY)
		bkc_ereport(ERROR, err);
	bkc_error_context(err, "repository \"%s\" cannot be asked", repo->name);
	bkc_ereport(WARNING, err);
}

Datum
bkc_sql_recovery_windows(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Windows    *w = palloc0(sizeof(*w));
	const BkcRepoList *list;

	bkc_require_preload();
	InitMaterializedSRF(fcinfo, 0);
	bkc_guard(windows_close, w);
	list = bkc_settings_repositories();
	for (size_t i = 0; i < list->count; i++)
	{
		BkcError	err;

		CHECK_FOR_INTERRUPTS();
		if (windows_load(w, &list->items[i], &err))
			for (size_t k = 0; k < w->n; k++)
				put_window(rsinfo, &list->items[i], &w->list[k]);
		else
			warn(&list->items[i], &err);
		windows_close(w);
	}
	return (Datum) 0;
}

/* ---- backup_take_over ---- */

static void
store_close(void *arg)
{
	BkcStore  **store = arg;

	bkc_store_close(*store);
	*store = NULL;
}

static void
take_over(const BkcRepoDef *repo, BkcStore **store, const char *by, bool named)
{
	BkcError	err;

	check(bkc_repo_open(repo, store, &err), &err);
	bkc_ownership_take(repo, *store, by, named);
	bkc_ownership_forget();
	bkc_walstatus_retry(repo);
	store_close(store);
	ereport(LOG,
			(errmsg("role \"%s\" made this data directory the owner of this cluster in repository \"%s\"",
					by, repo->name)));
	bkc_event_session(&(BkcEvent)
					  {.kind = "take-over", .repository = repo->name,
					   .message = "this data directory is the owner of this cluster now"});
}

Datum
bkc_sql_take_over(PG_FUNCTION_ARGS)
{
	const char *by = GetUserNameFromId(GetUserId(), false);
	BkcStore  **store = palloc0(sizeof(*store));
	const BkcRepoList *list;

	bkc_require_superuser("take over a repository");
	bkc_require_preload();
	bkc_require_writing_server("take over a repository");
	bkc_guard(store_close, store);
	if (!PG_ARGISNULL(0))
	{
		take_over(bkc_settings_repository(text_to_cstring(PG_GETARG_TEXT_PP(0))), store, by,
				  true);
		PG_RETURN_BOOL(true);
	}
	(void) bkc_settings_repository(NULL);	/* is there any? */
	list = bkc_settings_repositories();
	for (size_t i = 0; i < list->count; i++)
		take_over(&list->items[i], store, by, false);
	PG_RETURN_BOOL(true);
}

/* ---- backup_wal_conflict_resolve ---- */

#define CONTENT_MAX		80		/* "SHA-256 " and 64 digits */

typedef struct Conflict
{
	BkcWalFile	file;
	char		path[MAXPGPATH];
	const char *reason;
	const char *by;
	BkcStore   *store;
	BkcWalWriter *writer;
	int			resolved;
	int			failed;
	BkcError	error;			/* the first */
} Conflict;

static void
conflict_close(void *arg)
{
	Conflict   *c = arg;

	bkc_walwriter_close(&c->writer);
	bkc_store_close(c->store);
	c->store = NULL;
}

/* One that the archiver offers, and so is complete and stays where it is. */
static void
check_file(Conflict *c, const char *file)
{
	char		ready[MAXPGPATH];
	struct stat st;
	BkcError	err;

	if (bkc_wal_is_partial(file))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" cannot be in conflict", file),
				 errdetail("Objects of partial segments carry the hash of their content in their name.")));
	if (!bkc_wal_is_segment(file) && !bkc_wal_is_history(file) && !bkc_wal_is_backup(file))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not the name of a WAL file", file),
				 errhint("The view backup_archiver shows the file that failed.")));
	snprintf(c->path, sizeof(c->path), XLOGDIR "/%s", file);
	StatusFilePath(ready, file, ".ready");
	if (stat(c->path, &st) < 0 || stat(ready, &st) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FILE),
				 errmsg("\"%s\" does not wait for archiving on this server", file),
				 errdetail("It must be in pg_wal, and not archived yet.")));
	if (bkc_wal_is_segment(file))
		check(bkc_waldisk_check(file, c->path, &err), &err);
	c->file.file = file;
	c->file.path = c->path;
	c->file.segment_size = (uint32) wal_segment_size;
	c->file.time = bkc_waldisk_ready_time(file);
	c->file.ask_first = true;
}

static const char *
check_reason(const char *reason)
{
	if (reason[strspn(reason, " \t\r\n")] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the reason must not be empty"),
				 errhint("Say why this server's content is the right one; the reason is kept in the repository.")));
	if (strlen(reason) >= BKC_DOC_TEXT_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the reason is too long"),
				 errdetail("It may have at most %d bytes.", BKC_DOC_TEXT_MAX - 1)));
	return reason;
}

/* What readers get for the file now, for the audit: its hash, or that it is damaged. */
static bool
stored_content(const Conflict *c, char content[CONTENT_MAX], BkcError *err)
{
	char		name[BKC_NAME_MAX];
	char		hex[2 * BKC_SHA256_SIZE + 1];
	BkcWalInfo	info;

	if (!bkc_wal_find(c->store, GetSystemIdentifier(), c->file.file, name, err))
		return false;
	if (bkc_wal_info(c->store, name, &info, err))
	{
		bkc_hex_encode(info.sha256, BKC_SHA256_SIZE, hex);
		snprintf(content, CONTENT_MAX, "SHA-256 %s", hex);
		return true;
	}
	strlcpy(content, "a damaged object", CONTENT_MAX);
	return err->code == BKC_ERR_CORRUPT;
}

/* BKC_ERR_STATE: nothing to resolve there; so is BKC_ERR_NOT_FOUND, it will be stored plainly. */
static bool
resolve_in(Conflict *c, const BkcRepoDef *repo, BkcError *err)
{
	char		before[CONTENT_MAX];
	char		after[CONTENT_MAX];
	BkcCodec	codec;
	int			level;

	bkc_settings_codec(repo, NULL, &codec, &level);
	if (!bkc_repo_open(repo, &c->store, err) ||
		!bkc_ownership_check(repo, c->store, err) ||
		!bkc_walwriter_new(c->store, GetSystemIdentifier(), codec, level, &c->writer, err))
	{
		if (err->code == BKC_ERR_STATE)
			err->code = BKC_ERR_ACCESS; /* refused, which is something else than no conflict */
		return false;
	}
	if (!stored_content(c, before, err) ||
		!bkc_walwriter_resolve(c->writer, &c->file, c->reason, c->by, err) ||
		!stored_content(c, after, err))
		return false;
	ereport(LOG,
			(errmsg("role \"%s\" resolved a conflict of WAL file \"%s\" in repository \"%s\"",
					c->by, c->file.file, repo->name),
			 errdetail("The repository had %s; from now on %s is read. Reason: %s",
					   before, after, c->reason)));
	bkc_event_session(&(BkcEvent)
					  {.kind = "wal-conflict", .repository = repo->name,
					   .message = psprintf("WAL file %s: the repository had %s, from now on %s is read: %s",
										   c->file.file, before, after, c->reason)});
	return true;
}

static void
resolve_everywhere(Conflict *c)
{
	const BkcRepoList *list;

	(void) bkc_settings_repository(NULL);
	list = bkc_settings_repositories();
	for (size_t i = 0; i < list->count; i++)
	{
		BkcError	err;
		bool		ok;

		CHECK_FOR_INTERRUPTS();
		ok = resolve_in(c, &list->items[i], &err);
		conflict_close(c);
		if (ok)
		{
			c->resolved++;
			bkc_walstatus_retry(&list->items[i]);
		}
		else if (err.code == BKC_ERR_CANCELLED)
			bkc_ereport(ERROR, &err);
		else if (err.code != BKC_ERR_STATE && err.code != BKC_ERR_NOT_FOUND && c->failed++ == 0)
		{
			c->error = err;
			bkc_error_context(&c->error, "repository \"%s\"", list->items[i].name);
		}
	}
}

Datum
bkc_sql_wal_conflict_resolve(PG_FUNCTION_ARGS)
{
	Conflict   *c = palloc0(sizeof(*c));

	bkc_require_superuser("resolve a WAL conflict");
	bkc_require_preload();
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("file and reason must be given")));
	bkc_require_writing_server("resolve a WAL conflict");
	c->reason = check_reason(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	c->by = GetUserNameFromId(GetUserId(), false);
	check_file(c, text_to_cstring(PG_GETARG_TEXT_PP(0)));
	bkc_guard(conflict_close, c);
	resolve_everywhere(c);
	if (c->failed > 0)
		bkc_ereport(ERROR, &c->error);
	if (c->resolved == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is no conflict about WAL file \"%s\"", c->file.file),
				 errdetail("No repository holds other content under this name.")));
	PG_RETURN_INT32(c->resolved);
}
