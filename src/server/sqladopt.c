/*
 * sqladopt.c
 *		The function about predecessors that SQL calls.
 *
 * It asks the repositories in the caller's backend and transaction, as those in sqlwal.c.  What
 * was written there stays when the transaction is rolled back; it may be called again.
 */
#include "pgcompat.h"

#include "adopt.h"
#include "errors.h"
#include "fmgr.h"
#include "funcapi.h"
#include "keys.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pipe/unpack.h"
#include "settings.h"
#include "shared.h"
#include "sqlrequire.h"
#include "sync.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(bkc_sql_adopt_claim);

#define ACTION	"adopt a predecessor"

typedef struct Work
{
	BkcAdoption *list;
	size_t		n;
	BkcClusterInfo *clusters;
	size_t		nclusters;
} Work;

static void
work_close(void *arg)
{
	Work	   *w = arg;

	for (size_t i = 0; i < w->n; i++)
		bkc_store_close(w->list[i].store);
	w->n = 0;
	bkc_repo_clusters_free(w->clusters, w->nclusters);
	w->clusters = NULL;
}

static void
check(bool ok, const BkcError *err)
{
	if (!ok)
		bkc_ereport(ERROR, err);
}

/* Nothing is claimed before all repositories have been asked. */
static void
judge(Work *w, const BkcRepoDef *repo, uint64 sysid, bool force)
{
	BkcAdoption *a = &w->list[w->n];
	BkcError	err;

	CHECK_FOR_INTERRUPTS();
	a->repo = repo;
	a->sysid = sysid;
	check(bkc_repo_open(repo, &a->store, &err), &err);
	w->n++;
	check(bkc_adopt_judge(a, force, &err), &err);
}

/* What else could be meant. */
static void
refuse_unknown(Work *w, uint64 sysid)
{
	StringInfoData known;

	initStringInfo(&known);
	for (size_t i = 0; i < w->n; i++)
	{
		const BkcAdoption *a = &w->list[i];
		bool		any = false;
		BkcError	err;

		check(bkc_repo_clusters(a->store, &w->clusters, &w->nclusters, &err), &err);
		appendStringInfo(&known, "%sRepository \"%s\" holds ", i > 0 ? "  " : "", a->repo->name);
		for (size_t k = 0; k < w->nclusters; k++)
		{
			const BkcClusterInfo *c = &w->clusters[k];

			if (c->system_identifier == GetSystemIdentifier())
				continue;
			appendStringInfo(&known, "%s%llu", any ? ", " : "",
							 (unsigned long long) c->system_identifier);
			if (c->pg_version_num != 0)
				appendStringInfo(&known, " (%s%sPostgreSQL %u.%u)", c->name, c->name[0] ? ", " : "",
								 c->pg_version_num / 10000, c->pg_version_num % 10000);
			any = true;
		}
		appendStringInfoString(&known, any ? "." : "no other cluster.");
		bkc_repo_clusters_free(w->clusters, w->nclusters);
		w->clusters = NULL;
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("no repository holds cluster %llu", (unsigned long long) sysid),
			 errdetail("%s", known.data),
			 errhint("\"pg_backupctl list\" shows the backups of each.  The URL must be the one that the old cluster had.")));
}

static void
put(ReturnSetInfo *rsinfo, const BkcAdoption *a)
{
	Datum		values[2] = {CStringGetTextDatum(a->repo->name),
	BoolGetDatum(a->is == BKC_ADOPT_POSSIBLE)};
	bool		nulls[2] = {false};

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static uint64
require_identifier(FunctionCallInfo fcinfo)
{
	uint64		sysid;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the predecessor's system identifier must be given"),
				 errhint("\"pg_controldata\" of the old data directory shows it, and so does \"pg_backupctl list\".")));
	sysid = (uint64) PG_GETARG_INT64(0);
	if (sysid == GetSystemIdentifier())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%llu is this cluster itself", (unsigned long long) sysid),
				 errhint("Name the cluster before pg_upgrade.")));
	if (sysid == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("0 is not a system identifier")));
	return sysid;
}

Datum
bkc_sql_adopt_claim(PG_FUNCTION_ARGS)
{
	const char *by = GetUserNameFromId(GetUserId(), false);
	bool		force = !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
	Work	   *w = palloc0(sizeof(*w));
	const char *name = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	const BkcRepoList *repos;
	uint64		sysid;
	size_t		there = 0;

	bkc_require_superuser(ACTION);
	bkc_require_preload();
	bkc_require_writing_server(ACTION);
	sysid = require_identifier(fcinfo);
	InitMaterializedSRF(fcinfo, 0);
	(void) bkc_settings_repository(name);	/* is there any? */
	repos = bkc_settings_repositories();
	w->list = palloc0(sizeof(*w->list) * repos->count);
	bkc_guard(work_close, w);
	for (size_t i = 0; i < repos->count; i++)
		if (name == NULL || strcmp(name, repos->items[i].name) == 0)
			judge(w, &repos->items[i], sysid, force);
	for (size_t i = 0; i < w->n; i++)
		there += w->list[i].is != BKC_ADOPT_ABSENT;
	if (there == 0)
		refuse_unknown(w, sysid);
	for (size_t i = 0; i < w->n; i++)
	{
		BkcAdoption *a = &w->list[i];
		BkcError	err;
		bool		ok;

		CHECK_FOR_INTERRUPTS();
		if (a->is == BKC_ADOPT_ABSENT)
			continue;

		/*
		 * It may have holds that the catalog does not know.  Before: a sync that runs has not
		 * seen it.  After, also when the answer was lost: one that began since may not have.
		 */
		bkc_sync_require(a->repo->name);
		ok = a->is == BKC_ADOPT_ALREADY || bkc_adopt_claim(a, by, &err);
		bkc_sync_require(a->repo->name);
		check(ok, &err);
		put((ReturnSetInfo *) fcinfo->resultinfo, a);
	}
	work_close(w);
	return (Datum) 0;
}
