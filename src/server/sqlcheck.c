/*
 * sqlcheck.c
 *		backup_check(): tries the whole set-up and explains each finding (setupcheck.h).
 */
#include "pgcompat.h"

#include <stdlib.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "settings.h"
#include "setupcheck.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(bkc_sql_check);

static void
check_close(void *arg)
{
	BkcSetupCheck *c = arg;

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

static void
check_repository(BkcSetupCheck *c, const BkcRepoDef *repo)
{
	bool		usable;

	c->repo = repo;
	usable = bkc_setup_repository(c);
	bkc_setup_archiver(c);
	if (usable)
		bkc_setup_holdings(c);
	check_close(c);
}

Datum
bkc_sql_check(PG_FUNCTION_ARGS)
{
	BkcSetupCheck *c = palloc0(sizeof(*c));
	const BkcRepoDef *only = NULL;
	const BkcRepoList *list;

	/* a name that is not there is an error of the caller, not a finding */
	if (!PG_ARGISNULL(0))
		only = bkc_settings_repository(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	InitMaterializedSRF(fcinfo, 0);
	c->rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	c->wal = palloc(sizeof(*c->wal));
	bkc_guard(check_close, c);
	if (!bkc_setup_server(c))
		return (Datum) 0;
	bkc_setup_plan(c);
	bkc_walstatus_server(&c->server);
	if (only != NULL)
	{
		check_repository(c, only);
		return (Datum) 0;
	}
	list = bkc_settings_repositories();
	if (list->count == 0)
		bkc_finding(c, "repositories", BKC_FINDING_FAILED, "no repository is defined",
			"Set pg_backupctl.repositories, for example to 'main=file:///var/backups/pg', and reload the configuration.");
	for (size_t i = 0; i < list->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		check_repository(c, &list->items[i]);
	}
	return (Datum) 0;
}
