/*
 * sqlhold.c
 *		The functions about holds and the catalog that SQL calls.
 *
 * Holds are written in the caller's backend, with the backup's row locked.  What was written into a
 * repository stays when the transaction is rolled back; the newest note counts, and the next sync
 * follows it.
 */
#include "pgcompat.h"

#include "catalog/pg_type_d.h"
#include "clock.h"
#include "errors.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "job.h"
#include "jobargs.h"
#include "keys.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "ownership.h"
#include "pipe/notes.h"
#include "pipe/unpack.h"
#include "settings.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(bkc_sql_hold_put);
PG_FUNCTION_INFO_V1(bkc_sql_catalog_sync);

static void
check(bool ok, const BkcError *err)
{
	if (!ok)
		bkc_ereport(ERROR, err);
}

static void
require_writer(void)
{
	bkc_require_preload();
	if (RecoveryInProgress() || !bkc_set_enabled)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this server cannot hold or release backups"),
				 errdetail("It is a standby, or pg_backupctl.enabled is off."),
				 errhint("Call the function on the server that writes into the repository.")));
}

static void
store_close(void *arg)
{
	BkcStore  **store = arg;

	bkc_store_close(*store);
	*store = NULL;
}

static void
take_text(const char *what, const char *text, char out[BKC_DOC_TEXT_MAX])
{
	char	   *utf8 = pg_server_to_any(text, (int) strlen(text), PG_UTF8);

	if (strlen(utf8) >= BKC_DOC_TEXT_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is too long", what),
				 errdetail("It may have at most %d bytes.", BKC_DOC_TEXT_MAX - 1)));
	strlcpy(out, utf8, BKC_DOC_TEXT_MAX);
}

/*
 * A hold is noted before the bucket knows it, and a release after the bucket's holds have ended:
 * so what is interrupted between the two is held.
 */
Datum
bkc_sql_hold_put(PG_FUNCTION_ARGS)
{
	const char *label = text_to_cstring(PG_GETARG_TEXT_PP(0));
	BkcStore  **store = palloc0(sizeof(*store));
	BkcHoldNote note = {.held = PG_GETARG_BOOL(2)};
	const BkcRepoDef *repo;
	uint64		sysid = (uint64) PG_GETARG_INT64(6);
	bool		complete;
	bool		bucket;
	BkcError	err;

	require_writer();
	if (!bkc_label_valid(label))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not the label of a backup", label)));
	if (bkc_shared_removing(label))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("backup %s is being removed by retention", label)));
	strlcpy(note.label, label, sizeof(note.label));
	note.time = bkc_clock_to_unix(PG_GETARG_TIMESTAMPTZ(3));
	take_text("the reason", text_to_cstring(PG_GETARG_TEXT_PP(4)), note.reason);
	take_text("the role's name", text_to_cstring(PG_GETARG_TEXT_PP(5)), note.by);
	repo = bkc_settings_repository(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	bkc_guard(store_close, store);
	check(bkc_repo_open(repo, store, &err), &err);
	check(bkc_ownership_check_of(repo, *store, sysid, &err), &err);
	check(bkc_repo_backup_complete(*store, sysid, label, &complete, &err), &err);
	if (!complete)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("backup %s is not in repository \"%s\"", label, repo->name),
				 errhint("SELECT * FROM backup_catalog_sync() compares the catalog with the repositories.")));
	if (note.held)
		check(bkc_notes_put_hold(*store, sysid, &note, &err), &err);
	bucket = bkc_notes_hold_objects(*store, sysid, label, note.held, &err);
	if (!bucket && err.code != BKC_ERR_UNSUPPORTED)
		bkc_ereport(ERROR, &err);
	if (!note.held)
		check(bkc_notes_put_hold(*store, sysid, &note, &err), &err);
	store_close(store);
	PG_RETURN_BOOL(bucket);
}

/* What the job has done stands in its event. */
static void
put_event(ReturnSetInfo *rsinfo, const char *schema, int64 event)
{
	char	   *sql = psprintf("SELECT r.key, i.added, i.updated, i.missing, i.foreign_clusters"
							   " FROM %s.backup_event e,"
							   " LATERAL pg_catalog.jsonb_each(e.detail OPERATOR(pg_catalog.->) 'repositories') r,"
							   " LATERAL pg_catalog.jsonb_to_record(r.value)"
							   "   AS i(added bigint, updated bigint, missing bigint, foreign_clusters bigint)"
							   " WHERE e.id OPERATOR(pg_catalog.=) $1 ORDER BY r.key", quote_identifier(schema));
	Oid			types[1] = {INT8OID};
	Datum		args[1] = {Int64GetDatum(event)};

	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute_with_args(sql, 1, types, args, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the event of a catalog sync");
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		Datum		values[5];
		bool		nulls[5];

		for (int i = 0; i < 5; i++)
			values[i] = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, i + 1,
									  &nulls[i]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	SPI_finish();
}

Datum
bkc_sql_catalog_sync(PG_FUNCTION_ARGS)
{
	BkcJobArgs	args;
	int64		event;

	bkc_require_preload();
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the catalog of a standby cannot be written"),
				 errhint("Call the function on the primary.")));
	InitMaterializedSRF(fcinfo, 0);

	/* with the definer's rights; who asked is the session's user */
	bkc_jobargs_begin(&args, BKC_JOB_SYNC, GetUserNameFromId(GetSessionUserId(), false));
	bkc_jobargs_repository(&args, PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0)));
	bkc_job_wait(bkc_job_start(&args, true), true, NULL, &event);
	put_event((ReturnSetInfo *) fcinfo->resultinfo,
			  get_namespace_name(get_func_namespace(fcinfo->flinfo->fn_oid)), event);
	return (Datum) 0;
}
