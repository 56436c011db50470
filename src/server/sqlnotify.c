/*
 * sqlnotify.c
 *		The functions about alarms that SQL calls.
 */
#include "pgcompat.h"

#include "access/xact.h"
#include "clock.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "notify.h"
#include "notifymetrics.h"
#include "sqlrun.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(bkc_sql_event_added);
PG_FUNCTION_INFO_V1(bkc_sql_target_changed);
PG_FUNCTION_INFO_V1(bkc_sql_notify_check);
PG_FUNCTION_INFO_V1(bkc_sql_notify_test);

/* ---- triggers: the launcher looks when others can see the change ---- */

static bool event_added = false;
static bool target_changed = false;

static void
at_end(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT)
		return;
	if (event == XACT_EVENT_COMMIT && target_changed)
		bkc_notify_targets_changed();
	else if (event == XACT_EVENT_COMMIT && event_added)
		bkc_notify_request();
	event_added = target_changed = false;
}

static void
watch_end(FunctionCallInfo fcinfo, bool *what)
{
	static bool registered = false;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("the function is a trigger")));
	if (!registered)
		RegisterXactCallback(at_end, NULL);
	registered = true;
	*what = true;
}

static char *
column(TriggerData *data, const char *name)
{
	TupleDesc	desc = RelationGetDescr(data->tg_relation);

	return SPI_getvalue(data->tg_trigtuple, desc, SPI_fnumber(desc, name));
}

Datum
bkc_sql_event_added(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;

	watch_end(fcinfo, &event_added);
	if (!TRIGGER_FIRED_BY_INSERT(data->tg_event) || !TRIGGER_FIRED_FOR_ROW(data->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("backup_event_added() is for rows that are inserted")));
	bkc_notify_listeners(strtoll(column(data, "id"), NULL, 10), column(data, "kind"),
						 column(data, "severity"));
	return PointerGetDatum(NULL);
}

Datum
bkc_sql_target_changed(PG_FUNCTION_ARGS)
{
	watch_end(fcinfo, &target_changed);
	return PointerGetDatum(NULL);
}

/* ---- targets ---- */

static void
require_superuser(void)
{
	/* who names a file or a URL could otherwise read the one and reach the other */
	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("only superusers can define and test notification targets")));
}

Datum
bkc_sql_notify_check(PG_FUNCTION_ARGS)
{
	char	   *values[BKC_TARGET_NCOLUMNS];
	BkcTarget	target;
	BkcError	err;

	bkc_require_preload();
	require_superuser();
	for (int i = 0; i < BKC_TARGET_NCOLUMNS; i++)
		values[i] = PG_ARGISNULL(i) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(i));
	bkc_host_install();
	if (!bkc_notify_target(values, &target, &err) || !bkc_target_check(&target, &err))
		bkc_ereport(ERROR, &err);
	PG_RETURN_VOID();
}

static void
read_target(const char *name, char **row)
{
	const char *values[1] = {name};

	bkc_sqlrun_begin();
	bkc_sqlrun_exec("SELECT " BKC_TARGET_COLUMNS " FROM %s.backup_target t"
					" WHERE t.name OPERATOR(pg_catalog.=) $1", SPI_OK_SELECT, 1, values);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no target \"%s\"", name),
				 errhint("Make one with backup_notify_target().")));
	for (int i = 0; i < BKC_TARGET_NCOLUMNS; i++)
	{
		char	   *text = bkc_sqlrun_value(0, 1 + i);

		row[i] = text == NULL ? NULL : MemoryContextStrdup(bkc_sqlrun_outer_context(), text);
	}
	bkc_sqlrun_finish();
}

Datum
bkc_sql_notify_test(PG_FUNCTION_ARGS)
{
	BkcNotice	notice = {.kind = "notify", .severity = "info", .result = "ok", .test = true};
	char	   *row[BKC_TARGET_NCOLUMNS];
	StringInfoData json;
	BkcTarget	target;
	BkcError	err;
	int			asked;

	bkc_require_preload();
	require_superuser();
	bkc_host_install();
	read_target(text_to_cstring(PG_GETARG_TEXT_PP(0)), row);
	bkc_notify_place(&notice);
	notice.at = bkc_clock_to_unix(GetCurrentTimestamp());
	notice.actor = bkc_notify_utf8(GetUserNameFromId(GetSessionUserId(), false));
	notice.message = "This is a test of pg_backupctl's alarms. Nothing has happened.";
	initStringInfo(&json);
	appendStringInfoString(&json, "{\"recovery\": false, \"test\": true, \"cluster\": ");
	escape_json(&json, notice.cluster);
	appendStringInfoString(&json, ", \"host\": ");
	escape_json(&json, notice.host != NULL ? notice.host : "");
	appendStringInfoString(&json, ", \"event\": {\"kind\": \"notify\", \"severity\": \"info\", \"message\": ");
	escape_json(&json, notice.message);
	appendStringInfoString(&json, "}}");
	if (!bkc_notify_target(row, &target, &err) ||
		!(target.kind == BKC_TARGET_CLOUDWATCH ? bkc_notify_metrics(&target, &asked, &err)
		  : bkc_target_send(&target, &notice, json.data, &asked, &err)))
		bkc_ereport(ERROR, &err);
	PG_RETURN_VOID();
}
