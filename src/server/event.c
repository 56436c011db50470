/*
 * event.c
 *		See event.h.
 */
#include "pgcompat.h"

#include "access/xact.h"
#include "catalog/pg_authid_d.h"
#include "clockjump.h"
#include "event.h"
#include "leader.h"
#include "miscadmin.h"
#include "notify.h"
#include "settings.h"
#include "sqlrun.h"

typedef struct WriteArg
{
	const BkcEvent *event;
	int64		id;
} WriteArg;

static void
write_event(void *arg)
{
	WriteArg   *w = arg;
	const BkcEvent *e = w->event;
	const char *values[10];

	values[0] = e->kind;
	values[1] = e->severity ? e->severity : "info";
	values[2] = e->result ? e->result : "ok";
	values[3] = e->actor ? e->actor : "server";
	values[4] = e->repository && e->repository[0] ? e->repository : NULL;
	values[5] = e->backup_id != 0 ? psprintf("%lld", (long long) e->backup_id) : NULL;
	values[6] = e->label && e->label[0] ? e->label : NULL;
	values[7] = e->schedule && e->schedule[0] ? e->schedule : NULL;
	values[8] = e->message;
	values[9] = e->detail ? e->detail : "{}";
	bkc_sqlrun_begin();
	bkc_sqlrun_exec("INSERT INTO %s.backup_event (kind, severity, result, actor, repository, backup_id,"
					" label, schedule, message, detail)"
					" VALUES ($1, $2, $3, $4, $5, $6::bigint, $7, $8, $9, $10::jsonb) RETURNING id",
					SPI_OK_INSERT_RETURNING, 10, values);
	w->id = strtoll(bkc_sqlrun_value(0, 1), NULL, 10);
	bkc_sqlrun_finish();
}

typedef struct TellArg
{
	int64		id;
	const char *kind;
	const char *severity;
} TellArg;

/* In a transaction of its own: what goes wrong here must not cost the event. */
static void
tell_listeners(void *arg)
{
	TellArg    *t = arg;

	bkc_sqlrun_begin();
	bkc_notify_listeners(t->id, t->kind, t->severity);
	bkc_sqlrun_finish();
}

void
bkc_event_added(int64 id, const char *kind, const char *severity)
{
	TellArg		arg = {.id = id, .kind = kind, .severity = severity};

	if (!IsTransactionState())
		(void) bkc_sqlrun_try(tell_listeners, &arg, 1, "notify listeners");
	bkc_notify_request();
}

int64
bkc_event(const BkcEvent *event)
{
	WriteArg	arg = {.event = event};

	if (!bkc_sqlrun_try(write_event, &arg, BKC_SQLRUN_TRIES, "write an event"))
		return 0;

	/* the triggers of the table do not fire here: leaders are replicas */
	bkc_event_added(arg.id, event->kind, event->severity ? event->severity : "info");
	return arg.id;
}

/*
 * What was done in a repository stays done when the transaction is rolled back; then only the
 * server's log tells of it.  The caller may use the function that calls this one, not write events.
 */
void
bkc_event_session(const BkcEvent *event)
{
	const char *values[6] = {event->kind, event->message, event->repository,
		event->backup_id != 0 ? psprintf("%lld", (long long) event->backup_id) : NULL,
	event->label, event->detail ? event->detail : "{}"};
	Oid			user;
	int			context;

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, context | SECURITY_LOCAL_USERID_CHANGE);
	bkc_sqlrun_begin();
	bkc_sqlrun_exec("SELECT %s.backup_event_add($1, $2, $3, $4::bigint, $5, detail => $6::jsonb)",
					SPI_OK_SELECT, 6, values);
	bkc_sqlrun_finish();
	SetUserIdAndSecContext(user, context);
}

void
bkc_event_job(const BkcJob *job, const BkcReport *report, bool cancelled)
{
	const char *name = bkc_job_name(job->args.kind);
	bool		bad = report == NULL && job->args.kind != BKC_JOB_BACKUP && !job->passed;
	BkcEvent	event = {.kind = name, .actor = job->args.requested_by,
						 .repository = job->args.repository, .backup_id = job->id,
						 .label = job->label, .schedule = job->args.schedule};

	/* it has told more than we know */
	if (job->event != 0)
		return;
	if (cancelled)
		event.result = "cancelled";
	else if (report != NULL || bad)
		event.result = "failed";
	event.severity = cancelled || (report == NULL && !bad) ? "info" : bad ? "critical" : "warning";
	if (report == NULL && job->warning[0] != '\0')
		event.severity = "warning";
	event.message = report != NULL ? psprintf("%s %s: %s", name, event.result, report->message) :
		job->summary[0] ? pstrdup(job->summary) : psprintf("%s done", name);
	if (report == NULL && job->warning[0] != '\0')
		event.message = psprintf("%s; %s", event.message, job->warning);
	bkc_event(&event);
}

/* ---- retention ---- */

#define BATCH			1000
#define SQL_DAYS_SENT	"7 days"	/* longer than that nothing is sent */

typedef struct ExpireArg
{
	uint64		removed;
} ExpireArg;

static void
remove_batch(void *arg)
{
	ExpireArg  *a = arg;
	const char *values[2] = {psprintf("%d", bkc_set_event_retention), psprintf("%d", BATCH)};

	bkc_sqlrun_begin();
	bkc_sqlrun_exec("DELETE FROM %s.backup_event WHERE id OPERATOR(pg_catalog.=) ANY (ARRAY("
					"SELECT e.id FROM %s.backup_event e"
					" WHERE e.at OPERATOR(pg_catalog.<) (pg_catalog.clock_timestamp()"
					"   OPERATOR(pg_catalog.-) pg_catalog.make_interval(secs => $1::float8))"
					" AND EXISTS (SELECT FROM %s.backup_event n"
					"   WHERE n.kind OPERATOR(pg_catalog.=) e.kind AND n.id OPERATOR(pg_catalog.>) e.id"
					"   AND n.repository IS NOT DISTINCT FROM e.repository"
					"   AND n.result OPERATOR(pg_catalog.=) e.result)"
					" AND NOT EXISTS (SELECT FROM %s.backup_target t WHERE t.enabled"
					"   AND (e.id OPERATOR(pg_catalog.>) t.last_event OR e.id OPERATOR(pg_catalog.=) ANY (t.missing))"
					"   AND e.at OPERATOR(pg_catalog.>) (pg_catalog.clock_timestamp()"
					"     OPERATOR(pg_catalog.-) '" SQL_DAYS_SENT "'::interval))"
					" ORDER BY e.at LIMIT $2::integer))", SPI_OK_DELETE, 2, values);
	a->removed = SPI_processed;
	bkc_sqlrun_finish();
}

void
bkc_event_expire(void)
{
	uint64		removed = 0;
	ExpireArg	arg = {.removed = BATCH};
	int64		jump;

	/* a clock that has jumped tells no age */
	if (bkc_set_event_retention == 0 || !bkc_set_enabled || !bkc_clockjump_get(&jump) || jump != 0)
		return;
	while (arg.removed == BATCH)
	{
		CHECK_FOR_INTERRUPTS();
		if (!bkc_sqlrun_try(remove_batch, &arg, 1, "remove old events"))
			break;
		removed += arg.removed;
	}
	if (removed > 0)
		ereport(LOG,
				(errmsg("pg_backupctl: removed %llu old events from backup_event",
						(unsigned long long) removed)));
}
