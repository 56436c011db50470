/*
 * setupplan.c
 *		backup_check(): rights, schedules and notification targets (setupcheck.h).
 *
 * Rows are copied before anything else is done with them: no query is open while a
 * target is tried.
 */
#include "pgcompat.h"

#include "base/cron.h"
#include "clock.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "notify.h"
#include "pgtime.h"
#include "settings.h"
#include "setupcheck.h"
#include "sqlrun.h"

/* The rows of a query, copied. */
typedef struct Rows
{
	int			n;
	int			columns;
	char	  **values;
} Rows;

static Rows
fetch(const char *query, int columns)
{
	Rows		rows = {.columns = columns};

	bkc_sqlrun_begin();
	bkc_sqlrun_exec(query, SPI_OK_SELECT, 0, NULL);
	rows.n = (int) SPI_processed;
	rows.values = MemoryContextAllocZero(bkc_sqlrun_outer_context(),
										 sizeof(char *) * (Size) (rows.n * columns + 1));
	for (int i = 0; i < rows.n * columns; i++)
	{
		char	   *value = bkc_sqlrun_value((uint64) (i / columns), i % columns + 1);

		if (value != NULL)
			rows.values[i] = MemoryContextStrdup(bkc_sqlrun_outer_context(), value);
	}
	bkc_sqlrun_finish();
	return rows;
}

static char **
row(const Rows *rows, int i)
{
	return rows->values + (Size) (i * rows->columns);
}

/* ---- rights ---- */

#define EXTENSION_OBJECT(class, oid) \
	" JOIN pg_catalog.pg_depend d ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog." class "'::regclass" \
	"   AND d.objid OPERATOR(pg_catalog.=) " oid " AND d.deptype OPERATOR(pg_catalog.=) 'e'" \
	" JOIN pg_catalog.pg_extension x ON d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::regclass" \
	"   AND d.refobjid OPERATOR(pg_catalog.=) x.oid AND x.extname OPERATOR(pg_catalog.=) 'pg_backupctl'"

static void
check_permissions(BkcSetupCheck *c)
{
	Rows		rows = fetch("SELECT DISTINCT o.name FROM ("
							 "SELECT p.proname::text COLLATE \"C\", a.grantee FROM pg_catalog.pg_proc p"
							 EXTENSION_OBJECT("pg_proc", "p.oid") ","
							 " pg_catalog.aclexplode(COALESCE(p.proacl, pg_catalog.acldefault('f', p.proowner))) a"
							 " UNION ALL "
							 "SELECT r.relname::text COLLATE \"C\", a.grantee FROM pg_catalog.pg_class r"
							 EXTENSION_OBJECT("pg_class", "r.oid") ","
							 " pg_catalog.aclexplode(r.relacl) a) AS o (name, grantee)"
							 " WHERE o.grantee OPERATOR(pg_catalog.=) 0 ORDER BY 1", 1);

	if (rows.n == 0)
		bkc_finding(c, "permissions", BKC_FINDING_OK, "nothing of pg_backupctl is granted to PUBLIC", NULL);
	else
		bkc_finding(c, "permissions", BKC_FINDING_WARNING,
					psprintf("%d objects of pg_backupctl are granted to PUBLIC, the first is \"%s\"",
							 rows.n, row(&rows, 0)[0]),
					"REVOKE ALL ON it FROM PUBLIC, and grant it to the roles that need it.");
}

/* ---- schedules ---- */

#define SCHEDULE_COLUMNS	8
enum
{
	S_NAME, S_CRON, S_ZONE, S_TYPE, S_REPOSITORY, S_NEXT, S_FAILURES, S_ERROR
};

static bool
repository_is_there(const char *name, BkcError *err)
{
	const BkcRepoList *list = bkc_settings_repositories();

	for (size_t i = 0; i < list->count; i++)
	{
		if (strcmp(list->items[i].name, name) == 0)
			return true;
	}
	return bkc_error_set(err, BKC_ERR_INVALID, "there is no repository \"%s\" in pg_backupctl.repositories",
						 name);
}

/* When it runs next, if it ever can: a dump may have brought what this server does not know. */
static bool
next_run(char *const *s, int64 *next, BkcError *err)
{
	BkcCron		cron;
	BkcZone		zone;

	if (!bkc_cron_parse(s[S_CRON], &cron, err) ||
		(s[S_REPOSITORY] != NULL && !repository_is_there(s[S_REPOSITORY], err)))
		return false;
	if (pg_tzset(s[S_ZONE]) == NULL)
		return bkc_error_set(err, BKC_ERR_INVALID, "time zone \"%s\" not recognized", s[S_ZONE]);
	zone = bkc_clock_zone(s[S_ZONE]);

	/* one that is new has not been planned yet */
	if (s[S_NEXT] != NULL)
		*next = strtoll(s[S_NEXT], NULL, 10);
	else if (!bkc_cron_next(&cron, bkc_clock_to_unix(bkc_clock_now()), &zone, next))
		*next = INT64_MAX;
	return true;
}

/* False: it never runs. */
static bool
check_schedule(BkcSetupCheck *c, char *const *s, int64 *next)
{
	BkcError	err;

	if (!next_run(s, next, &err))
	{
		bkc_error_context(&err, "schedule \"%s\"", s[S_NAME]);
		bkc_error_hint(&err, "Correct it by schedule_backup('%s', ...), or remove it by unschedule_backup().",
					   s[S_NAME]);
		bkc_finding_error(c, "schedule", &err);
		return false;
	}
	if (strcmp(s[S_FAILURES], "0") != 0)
		bkc_finding(c, "schedule", BKC_FINDING_WARNING,
					psprintf("schedule \"%s\" has failed %s times in a row: %s", s[S_NAME], s[S_FAILURES],
							 s[S_ERROR] != NULL ? s[S_ERROR] : "see backup_event"),
					"Do what the error says; it is tried again when it is due.");
	return true;
}

/* The extension's view, by whatever schema. */
static bool
may_see_schedules(void)
{
	Rows		rows = fetch(psprintf("SELECT pg_catalog.has_table_privilege(%u::pg_catalog.oid, r.oid, 'SELECT')"
									  " FROM pg_catalog.pg_class r" EXTENSION_OBJECT("pg_class", "r.oid")
									  " WHERE r.relname OPERATOR(pg_catalog.=) 'backup_schedule'",
									  GetOuterUserId()), 1);

	return rows.n == 1 && strcmp(row(&rows, 0)[0], "t") == 0;
}

static void
check_schedules(BkcSetupCheck *c)
{
	Rows		rows;
	bool		backups = false;
	int64		soonest = INT64_MAX;
	const char *name = NULL;

	if (!may_see_schedules())
	{
		bkc_finding(c, "schedule", BKC_FINDING_WARNING, "schedules were not looked at",
					"It needs the rights that pg_monitor has: GRANT pg_monitor to the role that calls this.");
		return;
	}
	rows = fetch("SELECT name, cron, time_zone, type, repository,"
				 " (EXTRACT(epoch FROM COALESCE(retry_at, starts_at, next_run)) OPERATOR(pg_catalog.*) 1000000)::bigint,"
				 " consecutive_failures, last_error FROM %s.backup_schedule WHERE enabled"
				 " ORDER BY name COLLATE \"C\"", SCHEDULE_COLUMNS);
	for (int i = 0; i < rows.n; i++)
	{
		char	  **s = row(&rows, i);
		int64		next;

		if (!check_schedule(c, s, &next))
			continue;
		backups = backups || strcmp(s[S_TYPE], "full") == 0;
		if (next < soonest)
		{
			soonest = next;
			name = s[S_NAME];
		}
	}
	if (!backups)
		bkc_finding(c, "schedule", BKC_FINDING_WARNING, "no schedule takes backups",
					"SELECT schedule_backup('nightly', '0 1 * * *').");
	else if (name != NULL)
		bkc_finding(c, "schedule", BKC_FINDING_OK,
					psprintf("%d schedule%s, the next to run is \"%s\" at %s", rows.n, rows.n == 1 ? "" : "s",
							 name, bkc_finding_time(soonest)), NULL);
}

/* ---- notification targets ---- */

static void
check_target(BkcSetupCheck *c, char *const *v)
{
	BkcTarget	target;
	BkcError	err;

	if (!bkc_notify_target(v + 3, &target, &err) || !bkc_target_reach(&target, &err))
	{
		bkc_error_context(&err, "target \"%s\"", v[0]);
		bkc_finding_error(c, "notification", &err);
	}
	else if (strcmp(v[1], "0") != 0)
		bkc_finding(c, "notification", BKC_FINDING_WARNING,
					psprintf("target \"%s\" can be reached, but %s alarms in a row were not taken: %s", v[0], v[1],
							 v[2] != NULL ? v[2] : ""),
					psprintf("SELECT backup_notify_test('%s') shows what it says now.", v[0]));
	else
		bkc_finding(c, "notification", BKC_FINDING_OK,
					psprintf("target \"%s\" (%s) can be reached; backup_notify_test() sends it a message", v[0], v[3]),
					NULL);
}

static void
check_targets(BkcSetupCheck *c)
{
	Rows		rows;

	/* their URLs may be secret; backup_check() itself has the rights of its owner */
	if (!superuser_arg(GetOuterUserId()))
		return;
	rows = fetch("SELECT t.name, t.failures, t.last_error, " BKC_TARGET_COLUMNS
				 " FROM %s.backup_target t WHERE t.enabled ORDER BY t.name COLLATE \"C\"",
				 3 + BKC_TARGET_NCOLUMNS);
	for (int i = 0; i < rows.n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		check_target(c, row(&rows, i));
	}
	if (rows.n == 0)
		bkc_finding(c, "notification", BKC_FINDING_OK, "no target is defined: alarms go nowhere",
					"SELECT backup_notify_target('ops', 'email', 'smtp://...'), unless something else watches backup_health.");
}

void
bkc_setup_plan(BkcSetupCheck *c)
{
	const char *here = get_database_name(MyDatabaseId);

	if (here == NULL || strcmp(here, bkc_set_database) != 0)
		return;
	bkc_host_install();
	check_permissions(c);
	check_schedules(c);
	check_targets(c);
}
