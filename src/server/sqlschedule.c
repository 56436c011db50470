/*
 * sqlschedule.c
 *		The functions about schedules and retention that SQL calls.
 */
#include "pgcompat.h"

#include "catalog/pg_type_d.h"
#include "clock.h"
#include "commands/trigger.h"
#include "event.h"
#include "executor/spi.h"
#include "expireplan.h"
#include "fmgr.h"
#include "funcapi.h"
#include "job.h"
#include "jobargs.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "schedule.h"
#include "settings.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(bkc_sql_schedule_changed);
PG_FUNCTION_INFO_V1(bkc_sql_cron_next);
PG_FUNCTION_INFO_V1(bkc_sql_job_check);
PG_FUNCTION_INFO_V1(bkc_sql_expire);
PG_FUNCTION_INFO_V1(bkc_sql_clock_is_right);
PG_FUNCTION_INFO_V1(bkc_sql_clock_jump);

#define TIMES_MAX	10000

/* ---- schedules ---- */

Datum
bkc_sql_schedule_changed(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("backup_schedule_changed() is a trigger")));
	bkc_schedule_request_at_commit();
	return PointerGetDatum(NULL);
}

Datum
bkc_sql_cron_next(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int			count = PG_ARGISNULL(1) ? 1 : PG_GETARG_INT32(1);
	int64		time;
	BkcCron		cron;
	BkcZone		zone;
	BkcError	err;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("a cron expression must be given"),
				 errhint("For example ''30 1 * * *'': every day at 01:30.")));
	if (count < 1 || count > TIMES_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("count must be between 1 and %d", TIMES_MAX)));
	if (!bkc_cron_parse(text_to_cstring(PG_GETARG_TEXT_PP(0)), &cron, &err))
		bkc_ereport(ERROR, &err);
	zone = bkc_clock_zone(PG_ARGISNULL(3) ? pg_get_timezone_name(session_timezone)
						  : text_to_cstring(PG_GETARG_TEXT_PP(3)));
	time = bkc_clock_to_unix(PG_ARGISNULL(2) ? bkc_clock_now() : PG_GETARG_TIMESTAMPTZ(2));
	for (int i = 0; i < count && bkc_cron_next(&cron, time, &zone, &time); i++)
	{
		Datum		value = TimestampTzGetDatum(bkc_clock_from_unix(time));
		bool		isnull = false;

		CHECK_FOR_INTERRUPTS();
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
	}
	return (Datum) 0;
}

static char *
text_or_null(FunctionCallInfo fcinfo, int arg)
{
	return PG_ARGISNULL(arg) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(arg));
}

Datum
bkc_sql_job_check(PG_FUNCTION_ARGS)
{
	BkcJobArgs	args;

	bkc_require_preload();
	bkc_jobargs_begin(&args, BKC_JOB_BACKUP, "check");
	bkc_jobargs_kind(&args, text_or_null(fcinfo, 0));
	bkc_jobargs_repository(&args, text_or_null(fcinfo, 1));
	bkc_jobargs_text("tier", text_or_null(fcinfo, 2), args.tier, sizeof(args.tier));
	bkc_jobargs_text("storage class", text_or_null(fcinfo, 3), args.storage_class,
					 sizeof(args.storage_class));
	if (!PG_ARGISNULL(4))
		bkc_jobargs_options(&args, PG_GETARG_JSONB_P(4));
	bkc_jobargs_end(&args);
	PG_RETURN_VOID();
}

/* ---- retention ---- */

static void
put_item(void *arg, const char *kind, const char *name, int64 id, bool keep, const char *reason,
		 int64 bytes)
{
	ReturnSetInfo *rsinfo = ((void **) arg)[0];
	Datum		values[7];
	bool		nulls[7] = {false};

	values[0] = CStringGetTextDatum((const char *) ((void **) arg)[1]);
	values[1] = CStringGetTextDatum(kind);
	values[2] = CStringGetTextDatum(name);
	values[3] = CStringGetTextDatum(keep ? "keep" : "remove");
	values[4] = CStringGetTextDatum(reason);
	values[5] = Int64GetDatum(id);
	nulls[5] = id == 0;
	values[6] = Int64GetDatum(bytes);
	nulls[6] = bytes == 0;
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static void
require_writer(void)
{
	bkc_require_preload();
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("retention does not work on a standby"),
				 errhint("Call the function on the primary.")));
}

static void
plan_only(ReturnSetInfo *rsinfo, const char *name)
{
	const BkcRepoList *repos;

	(void) bkc_settings_repository(name);
	repos = bkc_settings_repositories();
	for (size_t i = 0; i < repos->count; i++)
	{
		void	   *arg[2] = {rsinfo, repos->items[i].name};
		BkcExpirePlans *plans;

		if (name != NULL && strcmp(name, repos->items[i].name) != 0)
			continue;
		plans = bkc_expireplan_open(&repos->items[i]);
		bkc_expireplan_make(plans);
		bkc_expireplan_each(plans, put_item, arg);
		bkc_expireplan_close(plans);
	}
}

/* What the job has done stands in its event. */
static void
put_event(ReturnSetInfo *rsinfo, const char *schema, int64 event)
{
	char	   *sql = psprintf("SELECT r.key, i.kind, i.name, i.action, i.reason, i.id, i.bytes"
							   " FROM %s.backup_event e,"
							   " LATERAL pg_catalog.jsonb_each(e.detail OPERATOR(pg_catalog.->) 'repositories') r,"
							   " LATERAL pg_catalog.jsonb_to_recordset(r.value)"
							   "   AS i(kind text, name text, action text, reason text, id bigint, bytes bigint)"
							   " WHERE e.id OPERATOR(pg_catalog.=) $1", quote_identifier(schema));
	Oid			types[1] = {INT8OID};
	Datum		args[1] = {Int64GetDatum(event)};

	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute_with_args(sql, 1, types, args, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the event of an expiry");
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		Datum		values[7];
		bool		nulls[7];

		for (int i = 0; i < 7; i++)
			values[i] = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, i + 1,
									  &nulls[i]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	SPI_finish();
}

Datum
bkc_sql_expire(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *name = text_or_null(fcinfo, 1);
	BkcJobArgs	args;
	int64		event;

	require_writer();
	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_GETARG_BOOL(0))
	{
		plan_only(rsinfo, name);
		return (Datum) 0;
	}

	/* with the definer's rights; who asked is the session's user */
	bkc_jobargs_begin(&args, BKC_JOB_EXPIRE, GetUserNameFromId(GetSessionUserId(), false));
	bkc_jobargs_repository(&args, name);
	bkc_job_wait(bkc_job_start(&args, true), true, NULL, &event);
	put_event(rsinfo, get_namespace_name(get_func_namespace(fcinfo->flinfo->fn_oid)), event);
	return (Datum) 0;
}

Datum
bkc_sql_clock_is_right(PG_FUNCTION_ARGS)
{
	bool		had_jumped;

	bkc_require_preload();
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	had_jumped = bkc_shared->clock_jump != 0;
	bkc_shared->clock_jump = 0;
	bkc_shared->clock_confirmed = true;
	LWLockRelease(bkc_shared->lock);
	bkc_event_session(&(BkcEvent)
					  {.kind = "clock", .message = "the clock is said to be right"});
	PG_RETURN_BOOL(had_jumped);
}

Datum
bkc_sql_clock_jump(PG_FUNCTION_ARGS)
{
	Interval   *jump = palloc0(sizeof(Interval));

	bkc_require_preload();
	LWLockAcquire(bkc_shared->lock, LW_SHARED);
	jump->time = bkc_shared->clock_jump;
	LWLockRelease(bkc_shared->lock);
	if (jump->time == 0)
		PG_RETURN_NULL();
	PG_RETURN_INTERVAL_P(jump);
}
