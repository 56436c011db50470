/*
 * sqlfuncs.c
 *		The functions that SQL calls: checks of arguments, then a job.
 */
#include "pgcompat.h"

#include <math.h>

#include "access/htup_details.h"
#include "base/text.h"
#include "commands/dbcommands.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "job.h"
#include "jobargs.h"
#include "joblog.h"
#include "leader.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "schedule.h"
#include "settings.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(bkc_sql_install_check);
PG_FUNCTION_INFO_V1(bkc_sql_backup_now);
PG_FUNCTION_INFO_V1(bkc_sql_backup_run);
PG_FUNCTION_INFO_V1(bkc_sql_backup_cancel);
PG_FUNCTION_INFO_V1(bkc_sql_backup_verify);
PG_FUNCTION_INFO_V1(bkc_sql_jobs);
PG_FUNCTION_INFO_V1(bkc_sql_job_counts);

/* arguments of backup_now and backup_run, in order */
#define ARG_TYPE		0
#define ARG_REPOSITORY	1
#define ARG_WAIT		2
#define ARG_TIER		3
#define ARG_RETENTION	4
#define ARG_OPTIONS		5

Datum
bkc_sql_install_check(PG_FUNCTION_ARGS)
{
	const char *here = get_database_name(MyDatabaseId);

	/* not preloaded yet: the setting cannot be known */
	if (bkc_set_database != NULL && strcmp(here, bkc_set_database) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pg_backupctl belongs in database \"%s\", not in \"%s\"",
						bkc_set_database, here),
				 errhint("Run CREATE EXTENSION in \"%s\", or change pg_backupctl.database and restart the server.",
						 bkc_set_database)));
	bkc_schedule_request_at_commit();
	PG_RETURN_VOID();
}

/* ---- taking backups ---- */

static char *
text_or_null_arg(FunctionCallInfo fcinfo, int arg)
{
	return PG_ARGISNULL(arg) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(arg));
}

/* what: "backups", "verifications" */
static void
require_primary(const char *what)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s on a standby are not supported yet", what),
				 errdetail("This server is in recovery, and its catalog cannot be written."),
				 errhint("Call the function on the primary; pg_backupctl verify needs no server.")));
}

static void
require_database(void)
{
	if (strcmp(get_database_name(MyDatabaseId), bkc_set_database) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the catalog of pg_backupctl is in database \"%s\"", bkc_set_database),
				 errhint("Connect to \"%s\", or change pg_backupctl.database and restart the server.",
						 bkc_set_database)));
}

static void
take_arguments(FunctionCallInfo fcinfo, BkcJobArgs *args)
{
	bkc_require_preload();
	require_primary("backups");
	require_database();
	bkc_jobargs_begin(args, BKC_JOB_BACKUP, GetUserNameFromId(GetUserId(), false));
	if (!PG_ARGISNULL(ARG_TYPE) &&
		strcmp(text_to_cstring(PG_GETARG_TEXT_PP(ARG_TYPE)), args->type) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("backup type \"%s\" is not supported",
						text_to_cstring(PG_GETARG_TEXT_PP(ARG_TYPE))),
				 errhint("The only type there is in this version is full.")));
	bkc_jobargs_repository(args, text_or_null_arg(fcinfo, ARG_REPOSITORY));
	bkc_jobargs_text("tier", text_or_null_arg(fcinfo, ARG_TIER), args->tier, sizeof(args->tier));
	if (!PG_ARGISNULL(ARG_RETENTION))
	{
		TimestampTz now = GetCurrentTimestamp();

		args->retention_date = DatumGetTimestampTz(
			DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(now),
								PG_GETARG_DATUM(ARG_RETENTION)));
		if (args->retention_date <= now)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("retention must be a positive interval")));
		args->has_retention = true;
	}
	if (!PG_ARGISNULL(ARG_OPTIONS))
		bkc_jobargs_options(args, PG_GETARG_JSONB_P(ARG_OPTIONS));
	bkc_jobargs_end(args);
}

static int64
run_backup(const BkcJobArgs *args, bool wait, bool hint_snapshot)
{
	BkcJobHandle *handle = bkc_job_start(args, true);
	int64		id = bkc_job_wait_id(handle);

	if (wait)
		bkc_job_wait(handle, hint_snapshot, NULL, NULL);
	else
		bkc_job_detach(handle);
	return id;
}

Datum
bkc_sql_backup_now(PG_FUNCTION_ARGS)
{
	BkcJobArgs	args;
	bool		wait = PG_ARGISNULL(ARG_WAIT) || PG_GETARG_BOOL(ARG_WAIT);

	take_arguments(fcinfo, &args);
	PG_RETURN_INT64(run_backup(&args, wait, true));
}

Datum
bkc_sql_backup_run(PG_FUNCTION_ARGS)
{
	CallContext *context = (CallContext *) fcinfo->context;
	bool		wait = PG_ARGISNULL(ARG_WAIT) || PG_GETARG_BOOL(ARG_WAIT);
	BkcJobArgs	args;
	TupleDesc	tupdesc;
	Datum		value;
	bool		isnull = false;

	if (context->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
				 errmsg("backup_run cannot run inside a transaction block"),
				 errhint("Call it by itself, or use SELECT backup_now(...).")));
	take_arguments(fcinfo, &args);

	/* end the transaction of the CALL, so that no snapshot is held while we wait */
	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	SPI_commit();
	SPI_finish();

	value = Int64GetDatum(run_backup(&args, wait, false));
	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	tupdesc = BlessTupleDesc(tupdesc);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(tupdesc, &value, &isnull)));
}

Datum
bkc_sql_backup_cancel(PG_FUNCTION_ARGS)
{
	bkc_require_preload();
	PG_RETURN_BOOL(bkc_job_cancel(PG_GETARG_INT64(0)));
}

Datum
bkc_sql_backup_verify(PG_FUNCTION_ARGS)
{
	char	   *level = PG_ARGISNULL(1) ? "files" : text_to_cstring(PG_GETARG_TEXT_PP(1));
	BkcJobArgs	args;
	bool		passed = false;

	bkc_require_preload();
	require_primary("verifications");
	require_database();
	if (strcmp(level, "restore") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("verification level \"restore\" is not there yet"),
				 errhint("Use level files, and restore the backup with pg_backupctl restore to try it.")));
	if (strcmp(level, "files") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("verification level \"%s\" is not known", level),
				 errhint("Levels are: files.")));
	bkc_jobargs_begin(&args, BKC_JOB_VERIFY, GetUserNameFromId(GetUserId(), false));
	args.latest = PG_ARGISNULL(0);
	args.backup_id = args.latest ? 0 : PG_GETARG_INT64(0);
	bkc_job_wait(bkc_job_start(&args, true), true, &passed, NULL);
	PG_RETURN_TEXT_P(cstring_to_text(passed ? "passed" : "failed"));
}

/* ---- progress ---- */

static Datum
text_or_null(const char *text, bool *isnull)
{
	*isnull = text[0] == '\0';
	return *isnull ? (Datum) 0 : CStringGetTextDatum(text);
}

static Datum
counter(const pg_atomic_uint64 *c)
{
	return Int64GetDatum((int64) pg_atomic_read_u64(unconstify(pg_atomic_uint64 *, c)));
}

/* The slot as a row; a copy, so that no lock is held while text is made. */
static void
put_job(ReturnSetInfo *rsinfo, const BkcJob *job)
{
	Datum		values[14];
	bool		nulls[14] = {false};

	values[0] = Int64GetDatum(job->id);
	nulls[0] = job->id == 0;
	values[1] = CStringGetTextDatum(bkc_job_name(job->args.kind));
	values[2] = text_or_null(job->label, &nulls[2]);
	values[3] = text_or_null(job->args.repository, &nulls[3]);
	values[4] = CStringGetTextDatum(bkc_phase_name(job->phase));
	values[5] = TimestampTzGetDatum(job->started);
	values[6] = TimestampTzGetDatum(job->copy_started);
	nulls[6] = job->copy_started == 0;
	values[7] = counter(&job->files_done);
	values[8] = counter(&job->files_total);
	values[9] = counter(&job->bytes_done);
	values[10] = counter(&job->bytes_total);
	values[11] = counter(&job->bytes_stored);
	values[12] = Int32GetDatum(job->workers_running);
	values[13] = Int32GetDatum((int32) job->leader_pid);
	nulls[13] = job->leader_pid == 0;
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

Datum
bkc_sql_jobs(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	BkcJob	   *copy;

	bkc_require_preload();
	InitMaterializedSRF(fcinfo, 0);
	copy = palloc(sizeof(BkcJob));
	for (int i = 0; i < BKC_MAX_JOBS; i++)
	{
		LWLockAcquire(bkc_shared->lock, LW_SHARED);
		memcpy(copy, &bkc_shared->jobs[i], sizeof(BkcJob));
		LWLockRelease(bkc_shared->lock);
		if (copy->state == BKC_JOB_REQUESTED || copy->state == BKC_JOB_RUNNING)
			put_job(rsinfo, copy);
	}
	return (Datum) 0;
}

Datum
bkc_sql_job_counts(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	uint64		ended[BKC_JOB_KINDS][BKC_JOB_ENDS];

	bkc_require_preload();
	InitMaterializedSRF(fcinfo, 0);
	LWLockAcquire(bkc_shared->lock, LW_SHARED);
	memcpy(ended, bkc_shared->ended, sizeof(ended));
	LWLockRelease(bkc_shared->lock);
	for (int kind = 0; kind < BKC_JOB_KINDS; kind++)
		for (int end = 0; end < BKC_JOB_ENDS; end++)
		{
			Datum		values[3];
			bool		nulls[3] = {0};

			values[0] = CStringGetTextDatum(bkc_job_name(kind));
			values[1] = CStringGetTextDatum(bkc_job_end_name(end));
			values[2] = Int64GetDatum((int64) ended[kind][end]);
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		}
	return (Datum) 0;
}
