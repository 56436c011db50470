/*
 * sqlrun.c
 *		See sqlrun.h.
 */
#include "pgcompat.h"

#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "commands/dbcommands.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "sqlrun.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

#define MAX_ARGS	24
#define TRY_WAIT_MS	1000

static MemoryContext outer_context;
static ResourceOwner outer_owner;
static bool nested;				/* within a session's transaction */

void
bkc_sqlrun_begin(void)
{
	outer_context = CurrentMemoryContext;
	outer_owner = CurrentResourceOwner;
	nested = IsTransactionState();
	if (!nested)
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
	}
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	PushActiveSnapshot(GetTransactionSnapshot());
}

void
bkc_sqlrun_finish(void)
{
	SPI_finish();
	PopActiveSnapshot();
	if (!nested)
		CommitTransactionCommand();
	MemoryContextSwitchTo(outer_context);
	CurrentResourceOwner = outer_owner;
}

/* Quoted name of the extension's schema, NULL when it is not installed; after begin. */
static char *
extension_schema(void)
{
	if (SPI_execute("SELECT pg_catalog.quote_ident(n.nspname)"
					" FROM pg_catalog.pg_extension e"
					" JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace"
					" WHERE e.extname OPERATOR(pg_catalog.=) 'pg_backupctl'", true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look up the schema of pg_backupctl");
	if (SPI_processed == 0)
		return NULL;
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
}

void
bkc_sqlrun_exec(const char *format, int expected, int nargs, const char *const *values)
{
	char	   *schema = strstr(format, "%s") != NULL ? extension_schema() : "";
	Oid			types[MAX_ARGS];
	Datum		datums[MAX_ARGS];
	char		nulls[MAX_ARGS];
	StringInfoData sql;
	int			rc;

	if (schema == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the extension pg_backupctl is not installed in database \"%s\"",
						get_database_name(MyDatabaseId)),
				 errhint("Run CREATE EXTENSION pg_backupctl there, or correct pg_backupctl.database.")));
	Assert(nargs <= MAX_ARGS);
	initStringInfo(&sql);
	for (const char *p = format; *p != '\0'; p++)
	{
		if (p[0] == '%' && p[1] == 's')
		{
			appendStringInfoString(&sql, schema);
			p++;
		}
		else
			appendStringInfoChar(&sql, *p);
	}
	for (int i = 0; i < nargs; i++)
	{
		types[i] = TEXTOID;
		nulls[i] = values[i] ? ' ' : 'n';
		datums[i] = values[i] ? CStringGetTextDatum(values[i]) : (Datum) 0;
	}
	rc = SPI_execute_with_args(sql.data, nargs, types, datums, nulls, false, 0);
	if (rc != expected)
		elog(ERROR, "unexpected result %d of \"%s\"", rc, sql.data);
}

char *
bkc_sqlrun_value(uint64 row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

MemoryContext
bkc_sqlrun_outer_context(void)
{
	return outer_context;
}

bool
bkc_sqlrun_installed(void)
{
	bool		exists;

	bkc_sqlrun_begin();
	exists = extension_schema() != NULL;
	bkc_sqlrun_finish();
	return exists;
}

bool
bkc_sqlrun_try(void (*access) (void *arg), void *arg, int tries, const char *what)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	for (volatile int attempt = 1; attempt <= tries; attempt++)
	{
		volatile bool ok = false;

		PG_TRY();
		{
			access(arg);
			ok = true;
		}
		PG_CATCH();
		{
			ErrorData  *edata;

			MemoryContextSwitchTo(context);
			edata = CopyErrorData();
			FlushErrorState();
			AbortCurrentTransaction();
			MemoryContextSwitchTo(context);
			CurrentResourceOwner = owner;
			ereport(attempt < tries ? LOG : WARNING,
					(errcode(edata->sqlerrcode),
					 errmsg("pg_backupctl could not %s: %s", what, edata->message)));
			FreeErrorData(edata);
		}
		PG_END_TRY();
		if (ok)
			return true;
		if (attempt < tries)
		{
			(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
							 TRY_WAIT_MS, PG_WAIT_EXTENSION);
			ResetLatch(MyLatch);
		}
	}
	return false;
}
