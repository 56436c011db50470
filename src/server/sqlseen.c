/*
 * sqlseen.c
 *		backup_repository_state(): what was last seen of each repository (seen.h).
 */
#include "pgcompat.h"

#include "fmgr.h"
#include "funcapi.h"
#include "settings.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "walshared.h"

PG_FUNCTION_INFO_V1(bkc_sql_repository_state);

#define COLUMNS	10

static void
set_time(Datum *value, bool *isnull, TimestampTz time)
{
	*value = TimestampTzGetDatum(time);
	*isnull = time == 0;
}

static void
set_text(Datum *value, bool *isnull, TimestampTz when, char *text)
{
	*isnull = when == 0;
	if (*isnull)
		return;
	bkc_text_clean(text);
	*value = CStringGetTextDatum(text);
}

static void
put(ReturnSetInfo *rsinfo, const char *repository, BkcRepoSeen *seen)
{
	Datum		values[COLUMNS] = {0};
	bool		nulls[COLUMNS] = {false};
	Interval   *skew = palloc0(sizeof(*skew));

	skew->time = seen->clock_ahead;
	values[0] = CStringGetTextDatum(repository);
	set_time(&values[1], &nulls[1], seen->answered);
	set_time(&values[2], &nulls[2], seen->failed);
	set_time(&values[3], &nulls[3], seen->failing_since);
	set_text(&values[4], &nulls[4], seen->failed, seen->error);
	set_time(&values[5], &nulls[5], seen->key_failed);
	set_text(&values[6], &nulls[6], seen->key_failed, seen->key_error);
	values[7] = IntervalPGetDatum(skew);
	nulls[7] = !seen->clock_known;
	set_time(&values[8], &nulls[8], seen->certificate_until);
	set_time(&values[9], &nulls[9], seen->credentials_until);
	Assert(rsinfo->setDesc->natts == COLUMNS);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

Datum
bkc_sql_repository_state(PG_FUNCTION_ARGS)
{
	const BkcRepoList *list;

	bkc_require_preload();
	InitMaterializedSRF(fcinfo, 0);
	list = bkc_settings_repositories();
	for (size_t i = 0; i < list->count; i++)
	{
		int			repo = bkc_wal_repo(&list->items[i]);
		BkcRepoSeen seen;

		if (repo < 0)
			continue;
		LWLockAcquire(bkc_wal->lock, LW_SHARED);
		seen = bkc_wal->repos[repo].seen;
		LWLockRelease(bkc_wal->lock);
		put((ReturnSetInfo *) fcinfo->resultinfo, list->items[i].name, &seen);
	}
	return (Datum) 0;
}
