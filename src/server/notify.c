/*
 * notify.c
 *		See notify.h.
 *
 * Each target has a position in the events.  An event is sent and then noted, so a crash in
 * between sends it twice, never not at all.  Ids are given before a transaction commits: those
 * missing below the position are kept with the target and looked for again.
 */
#include "pgcompat.h"

#include <unistd.h>

#include "access/xlog.h"
#include "commands/async.h"
#include "base/text.h"
#include "clock.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "notify.h"
#include "notifymetrics.h"
#include "settings.h"
#include "sqlrun.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/memutils.h"

#define FAILED_SECONDS	60
#define IDLE_SECONDS	3600
#define WAIT_MAX_SECONDS SECS_PER_DAY	/* the longest interval of metrics */
#define FIRST_WAIT		10		/* seconds; doubled up to ... */
#define MAX_DOUBLINGS	7		/* ... 21 minutes */
#define GIVE_UP			5		/* attempts for an event that a server refuses for good */
#define EVENTS_AT_ONCE	1000

/* ---- with the launcher ---- */

static void
look(bool targets)
{
	if (bkc_shared == NULL)
		return;
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	if (targets)
		bkc_shared->notify_none = false;
	bkc_shared->notify_look = true;
	if (bkc_shared->launcher != NULL && !bkc_shared->notify_none)
		SetLatch(bkc_shared->launcher);
	LWLockRelease(bkc_shared->lock);
}

void
bkc_notify_request(void)
{
	look(false);
}

void
bkc_notify_targets_changed(void)
{
	look(true);
}

bool
bkc_notify_due(void)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		due;

	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	due = bkc_set_enabled && !bkc_shared->notify_none &&
		(bkc_shared->notify_look || now >= bkc_shared->notify_wake ||
		 bkc_shared->notify_wake - now > (int64) IDLE_SECONDS * USECS_PER_SEC);
	for (int i = 0; i < BKC_MAX_JOBS && due; i++)
		due = bkc_shared->jobs[i].state == BKC_JOB_FREE ||
			bkc_shared->jobs[i].args.kind != BKC_JOB_NOTIFY;
	if (due)
	{
		bkc_shared->notify_look = false;
		bkc_shared->notify_wake = now + (int64) FAILED_SECONDS * USECS_PER_SEC;
	}
	LWLockRelease(bkc_shared->lock);
	return due;
}

long
bkc_notify_nap(long max)
{
	TimestampTz wake;
	bool		none;

	LWLockAcquire(bkc_shared->lock, LW_SHARED);
	wake = bkc_shared->notify_wake;
	none = bkc_shared->notify_none;
	LWLockRelease(bkc_shared->lock);
	return none || !bkc_set_enabled ? max :
		Min(max, TimestampDifferenceMilliseconds(GetCurrentTimestamp(), wake));
}

void
bkc_notify_failed(BkcJob *job, const BkcReport *report, bool cancelled)
{
	/* the log has it, and the launcher looks again in a minute */
}

/* ---- what is sent ---- */

void
bkc_notify_listeners(int64 id, const char *kind, const char *severity)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "{\"id\": %lld, \"kind\": ", (long long) id);
	escape_json(&text, kind);
	appendStringInfoString(&text, ", \"severity\": ");
	escape_json(&text, severity);
	appendStringInfoChar(&text, '}');
	Async_Notify("pg_backupctl", text.data);
}

char *
bkc_notify_utf8(const char *text)
{
	char	   *out;

	if (text == NULL)
		return NULL;
	out = pstrdup(pg_server_to_any(text, (int) strlen(text), PG_UTF8));
	if (!bkc_utf8_valid(out, strlen(out)))	/* a database of no encoding */
	{
		for (char *p = out; *p != '\0'; p++)
		{
			if ((unsigned char) *p >= 0x80)
				*p = '?';
		}
	}
	return out;
}

void
bkc_notify_place(BkcNotice *notice)
{
	const char *name = GetConfigOption("cluster_name", true, false);
	char		host[256] = "";

	if (gethostname(host, sizeof(host) - 1) == 0 && host[0] != '\0')
		notice->host = bkc_notify_utf8(host);
	notice->cluster = name != NULL && name[0] != '\0' ? bkc_notify_utf8(name)
		: psprintf("%llu", (unsigned long long) GetSystemIdentifier());
}

bool
bkc_notify_target(char *const *v, BkcTarget *target, BkcError *err)
{
	uint64_t	seconds = 0;

	memset(target, 0, sizeof(*target));
	if (!bkc_target_kind(v[0] != NULL ? v[0] : "", &target->kind, err))
		return false;
	target->url = v[1];
	target->secret_file = v[2];
	target->ca_file = v[3];
	target->from = v[4];
	target->to = v[5];
	target->user = v[6];
	if (v[7] != NULL && strcmp(v[7], "off") != 0 && strcmp(v[7], "required") != 0)
	{
		bkc_error_set(err, BKC_ERR_INVALID, "invalid value \"%s\" for the setting \"tls\"", v[7]);
		return bkc_error_hint(err, "Use required, or off for a mail server on this machine.");
	}
	target->plain = v[7] != NULL && strcmp(v[7], "off") == 0;
	if (v[8] != NULL && (!bkc_parse_u64(v[8], 300, &seconds) || seconds < 1))
	{
		bkc_error_set(err, BKC_ERR_INVALID, "invalid value \"%s\" for the setting \"timeout\"", v[8]);
		return bkc_error_hint(err, "Use a number of seconds from 1 to 300.");
	}
	target->timeout_ms = (int) seconds * 1000;
	target->region = v[9];
	seconds = 0;
	if (v[10] != NULL && (!bkc_parse_u64(v[10], 86400, &seconds) || seconds < 1))
	{
		bkc_error_set(err, BKC_ERR_INVALID, "invalid value \"%s\" for the setting \"interval\"", v[10]);
		return bkc_error_hint(err, "Use a number of seconds from 1 to 86400.");
	}
	target->interval_s = (int) seconds;
	return true;
}

typedef struct Entry
{
	char	   *name;
	int			failures;
	char	   *values[BKC_TARGET_NCOLUMNS];
} Entry;

/* What to do about an event; text of the query below. */
typedef struct Next
{
	char	   *id;
	char	   *action;			/* skip, repeat, send, recovery */
	char	   *json;
	BkcNotice	notice;
} Next;

static char *
keep(uint64 row, int column)
{
	char	   *text = bkc_sqlrun_value(row, column);

	return text == NULL ? NULL : MemoryContextStrdup(bkc_sqlrun_outer_context(), text);
}

static int64
number(const char *text)
{
	return text == NULL ? 0 : strtoll(text, NULL, 10);
}

/*
 * Those whose turn it is (what gets metrics waits like what has failed), the healthy ones first;
 * *wait_ms until the others want a look.
 */
static Entry *
read_targets(int *n, int *all, int64 *wait_ms)
{
	Entry	   *entries;
	int			rows;

	bkc_sqlrun_begin();

	/* targets that came by a dump are ahead of the events, which did not */
	bkc_sqlrun_exec("UPDATE %s.backup_target SET missing = '{}', last_event = m.id"
					" FROM (SELECT COALESCE(pg_catalog.max(e.id), 0) FROM %s.backup_event e) AS m (id)"
					" WHERE last_event OPERATOR(pg_catalog.>) m.id", SPI_OK_UPDATE, 0, NULL);
	bkc_sqlrun_exec("SELECT t.name, t.failures,"
					" (EXTRACT(epoch FROM t.retry_at OPERATOR(pg_catalog.-) pg_catalog.clock_timestamp())"
					"  OPERATOR(pg_catalog.*) 1000)::bigint, " BKC_TARGET_COLUMNS
					" FROM %s.backup_target t WHERE t.enabled ORDER BY t.failures, t.name",
					SPI_OK_SELECT, 0, NULL);
	rows = (int) SPI_processed;
	entries = MemoryContextAllocZero(bkc_sqlrun_outer_context(), sizeof(Entry) * (rows + 1));
	*n = 0;
	*all = rows;
	for (int i = 0; i < rows; i++)
	{
		Entry	   *e = &entries[*n];
		int64		left = number(bkc_sqlrun_value(i, 3));

		/* no wait is longer: the clock was ahead when that was written */
		if (left > 0 && left <= (int64) WAIT_MAX_SECONDS * 1000)
		{
			*wait_ms = Min(*wait_ms, left);
			continue;
		}
		e->name = keep(i, 1);
		e->failures = (int) number(bkc_sqlrun_value(i, 2));
		for (int v = 0; v < BKC_TARGET_NCOLUMNS; v++)
			e->values[v] = keep(i, 4 + v);
		(*n)++;
	}
	bkc_sqlrun_finish();
	return entries;
}

#define RANK(column) "pg_catalog.array_position('{info,warning,critical}'::text[], " column ")"

/*
 * What an event is about, together with its kind: a schedule, or a repository for what is not
 * scheduled, and in it a check of backup_health.
 */
#define SUBJECT \
	"COALESCE('schedule ' OPERATOR(pg_catalog.||) e.schedule, pg_catalog.concat_ws(' '," \
	" e.detail OPERATOR(pg_catalog.->>) 'check', 'repository ' OPERATOR(pg_catalog.||) e.repository))"

/* The first event behind the target's position, or one that was missing before. */
static bool
read_next(const Entry *e, Next *next)
{
	const char *values[1] = {e->name};
	bool		found;

	bkc_sqlrun_begin();
	bkc_sqlrun_exec("SELECT e.id, CASE"
					"   WHEN t.kinds IS NOT NULL AND e.kind OPERATOR(pg_catalog.<>) ALL (t.kinds) THEN 'skip'"
					"   WHEN e.result OPERATOR(pg_catalog.=) 'ok' AND e.severity OPERATOR(pg_catalog.=) 'info'"
					"     AND s.target IS NOT NULL THEN 'recovery'"
					"   WHEN " RANK("e.severity") " OPERATOR(pg_catalog.<) " RANK("t.min_severity") " THEN 'skip'"
					"   WHEN s.result OPERATOR(pg_catalog.=) e.result"
					"     AND " RANK("e.severity") " OPERATOR(pg_catalog.<=) " RANK("s.severity")
					"     AND s.sent_at OPERATOR(pg_catalog.+) t.repeat_interval OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()"
					"     THEN 'repeat'"
					"   ELSE 'send' END,"
					" (EXTRACT(epoch FROM e.at) OPERATOR(pg_catalog.*) 1000000)::bigint,"
					" pg_catalog.concat_ws(' ', e.kind, e.detail OPERATOR(pg_catalog.->>) 'check'),"
					" e.severity, e.result, NULLIF(e.repository, ''), e.label, e.schedule, e.actor, e.message,"
					" pg_catalog.to_jsonb(e)::text"
					" FROM %s.backup_target t"
					" JOIN %s.backup_event e ON e.id OPERATOR(pg_catalog.>) t.last_event"
					"   OR e.id OPERATOR(pg_catalog.=) ANY (t.missing)"
					" LEFT JOIN %s.backup_target_sent s ON s.target OPERATOR(pg_catalog.=) t.name"
					"   AND s.kind OPERATOR(pg_catalog.=) e.kind"
					"   AND s.subject OPERATOR(pg_catalog.=) " SUBJECT
					" WHERE t.name OPERATOR(pg_catalog.=) $1 AND t.enabled"
					"   AND e.at OPERATOR(pg_catalog.>) (pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) '7 days'::interval)"
					" ORDER BY e.id LIMIT 1", SPI_OK_SELECT, 1, values);
	found = SPI_processed > 0;
	if (found)
	{
		BkcNotice  *notice = &next->notice;

		memset(next, 0, sizeof(*next));
		next->id = keep(0, 1);
		next->action = keep(0, 2);
		notice->id = number(next->id);
		notice->at = number(bkc_sqlrun_value(0, 3));
		notice->kind = keep(0, 4);
		notice->severity = keep(0, 5);
		notice->result = keep(0, 6);
		notice->repository = keep(0, 7);
		notice->label = keep(0, 8);
		notice->schedule = keep(0, 9);
		notice->actor = keep(0, 10);
		notice->message = keep(0, 11);
		next->json = keep(0, 12);
	}
	bkc_sqlrun_finish();
	return found;
}

/* The event is done with; sent: the subject's state, too. */
static void
note_done(const Entry *e, const Next *next, bool sent, const char *error)
{
	const char *values[5] = {e->name, next->id, sent ? "t" : "f", next->action, error};

	bkc_sqlrun_begin();
	bkc_sqlrun_exec("UPDATE %s.backup_target SET"
					" missing = ARRAY(SELECT m FROM (SELECT pg_catalog.unnest(missing)"
					"   UNION SELECT pg_catalog.generate_series(GREATEST(last_event OPERATOR(pg_catalog.+) 1,"
					"     $2::bigint OPERATOR(pg_catalog.-) 100), $2::bigint)) AS s (m)"
					"   WHERE m OPERATOR(pg_catalog.<>) $2::bigint ORDER BY m DESC LIMIT 100),"
					" last_event = GREATEST(last_event, $2::bigint),"
					" last_sent = CASE WHEN $3::boolean THEN pg_catalog.clock_timestamp() ELSE last_sent END,"
					" last_error = CASE WHEN $3::boolean OR $5 IS NOT NULL THEN $5 ELSE last_error END,"
					" failures = CASE WHEN $3::boolean OR $5 IS NOT NULL THEN 0 ELSE failures END,"
					" retry_at = NULL"
					" WHERE name OPERATOR(pg_catalog.=) $1", SPI_OK_UPDATE, 5, values);
	if (sent)
	{
		bkc_sqlrun_exec("DELETE FROM %s.backup_target_sent s USING %s.backup_event e"
						" WHERE s.target OPERATOR(pg_catalog.=) $1 AND e.id OPERATOR(pg_catalog.=) $2::bigint"
						" AND s.kind OPERATOR(pg_catalog.=) e.kind"
						" AND s.subject OPERATOR(pg_catalog.=) " SUBJECT,
						SPI_OK_DELETE, 2, values);
		bkc_sqlrun_exec("INSERT INTO %s.backup_target_sent (target, kind, subject, result, severity)"
						" SELECT t.name, e.kind, " SUBJECT ", e.result, e.severity"
						" FROM %s.backup_event e JOIN %s.backup_target t ON t.name OPERATOR(pg_catalog.=) $1"
						" WHERE e.id OPERATOR(pg_catalog.=) $2::bigint"
						" AND NOT (e.severity OPERATOR(pg_catalog.=) 'info' AND e.result OPERATOR(pg_catalog.<>) 'failed')",
						SPI_OK_INSERT, 2, values);
	}
	bkc_sqlrun_finish();
}

static void
note_metrics(const Entry *e, int wait_s)
{
	const char *values[2] = {e->name, psprintf("%d", wait_s)};

	bkc_sqlrun_begin();
	bkc_sqlrun_exec("UPDATE %s.backup_target SET failures = 0, last_error = NULL, missing = '{}',"
					" last_event = (SELECT COALESCE(pg_catalog.max(e.id), 0) FROM %s.backup_event e),"
					" last_sent = pg_catalog.clock_timestamp(),"
					" retry_at = pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) pg_catalog.make_interval(secs => $2::float8)"
					" WHERE name OPERATOR(pg_catalog.=) $1", SPI_OK_UPDATE, 2, values);
	bkc_sqlrun_finish();
}

static void
note_failure(const Entry *e, const char *error, int wait_s)
{
	const char *values[3] = {e->name, error, psprintf("%d", wait_s)};

	bkc_sqlrun_begin();
	bkc_sqlrun_exec("UPDATE %s.backup_target SET failures = failures OPERATOR(pg_catalog.+) 1, last_error = $2,"
					" retry_at = pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) pg_catalog.make_interval(secs => $3::float8)"
					" WHERE name OPERATOR(pg_catalog.=) $1", SPI_OK_UPDATE, 3, values);
	bkc_sqlrun_finish();
}

/* ---- one target ---- */

static char *
event_json(const Next *next)
{
	const BkcNotice *n = &next->notice;
	StringInfoData text;

	/* the event's own object, and where it comes from */
	initStringInfo(&text);
	appendStringInfo(&text, "{\"recovery\": %s, \"cluster\": ", n->recovery ? "true" : "false");
	escape_json(&text, n->cluster);
	appendStringInfoString(&text, ", \"host\": ");
	escape_json(&text, n->host != NULL ? n->host : "");
	appendStringInfo(&text, ", \"system_identifier\": \"%llu\", \"event\": %s}",
					 (unsigned long long) GetSystemIdentifier(), bkc_notify_utf8(next->json));
	return text.data;
}

static void
prepare(Next *next)
{
	BkcNotice  *n = &next->notice;

	n->recovery = strcmp(next->action, "recovery") == 0;
	bkc_notify_place(n);
	n->kind = bkc_notify_utf8(n->kind);
	n->repository = bkc_notify_utf8(n->repository);
	n->label = bkc_notify_utf8(n->label);
	n->schedule = bkc_notify_utf8(n->schedule);
	n->actor = bkc_notify_utf8(n->actor);
	n->message = bkc_notify_utf8(n->message);
}

static bool
may_pass(const BkcError *err)
{
	/* a login or a certificate is mended by somebody; a reply that refuses is about the event */
	return err->code == BKC_ERR_UNAVAILABLE || err->code == BKC_ERR_TIMEOUT ||
		err->code == BKC_ERR_ACCESS || err->code == BKC_ERR_NO_MEMORY ||
		(err->code == BKC_ERR_INVALID && err->http_status == 404);
}

/* For the catalog; the log gets the first of a row. */
static char *
failure_text(const Entry *e, const char *what, const BkcError *err)
{
	BkcReport	report;
	char	   *error;

	if (err->code == BKC_ERR_CANCELLED)
		bkc_ereport(ERROR, err);
	bkc_report_from_error(&report, err);
	error = bkc_report_line(&report);
	bkc_text_clean(error);
	if (e->failures == 0)
		ereport(WARNING,
				(errmsg("pg_backupctl could not send %s to target \"%s\": %s", what, e->name, error)));
	return error;
}

static int
wait_after_failure(const Entry *e, int asked)
{
	return Max(asked, FIRST_WAIT << Min(e->failures, MAX_DOUBLINGS));
}

/* false: it has failed, and is to be tried again in *wait_ms. */
static bool
send_next(Entry *e, Next *next, int64 *wait_ms)
{
	BkcTarget	target;
	BkcError	err;
	int			asked = 0;
	int			wait_s;
	char	   *error;

	prepare(next);
	if (bkc_notify_target(e->values, &target, &err) &&
		bkc_target_send(&target, &next->notice, event_json(next), &asked, &err))
	{
		note_done(e, next, true, NULL);
		e->failures = 0;
		return true;
	}
	error = failure_text(e, "an alarm", &err);
	if (!may_pass(&err) && e->failures + 1 >= GIVE_UP)
	{
		error = psprintf("event %s was not sent: %s", next->id, error);
		ereport(WARNING,
				(errmsg("pg_backupctl gives up an alarm to target \"%s\": %s", e->name, error)));
		note_done(e, next, false, error);
		e->failures = 0;
		return true;
	}
	wait_s = wait_after_failure(e, asked);
	note_failure(e, error, wait_s);
	*wait_ms = Min(*wait_ms, (int64) wait_s * 1000);
	return false;
}

/* A target of numbers: it gets no events, so it is done with all of them. */
static void
serve_metrics(const Entry *e, int64 *wait_ms)
{
	BkcTarget	target;
	BkcError	err;
	int			asked = 0;
	int			wait_s;

	if (bkc_notify_target(e->values, &target, &err) &&
		bkc_notify_metrics(&target, &asked, &err))
	{
		wait_s = target.interval_s > 0 ? target.interval_s : BKC_METRICS_INTERVAL;
		note_metrics(e, wait_s);
	}
	else
	{
		wait_s = wait_after_failure(e, asked);
		note_failure(e, failure_text(e, "metrics", &err), wait_s);
	}
	*wait_ms = Min(*wait_ms, (int64) wait_s * 1000);
}

static void
serve(Entry *e, int64 *wait_ms)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "pg_backupctl alarm",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Next		next;
	int			i;

	for (i = 0; i < EVENTS_AT_ONCE; i++)
	{
		MemoryContextReset(context);
		CHECK_FOR_INTERRUPTS();
		if (!read_next(e, &next))
			break;
		if (strcmp(next.action, "skip") == 0 || strcmp(next.action, "repeat") == 0)
			note_done(e, &next, false, NULL);
		else if (!send_next(e, &next, wait_ms))
			break;
	}
	if (i == EVENTS_AT_ONCE)
		*wait_ms = 0;			/* there are more */
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

void
bkc_notify_run(BkcJob *job)
{
	int64		wait_ms = (int64) IDLE_SECONDS * 1000;
	int			n = 0;
	int			all = 0;

	/* switched off since it was started: a look later */
	if (!bkc_set_enabled)
		return;
	if (bkc_sqlrun_installed())
	{
		Entry	   *entries = read_targets(&n, &all, &wait_ms);

		for (int i = 0; i < n; i++)
		{
			if (strcmp(entries[i].values[0], "cloudwatch") == 0)
				serve_metrics(&entries[i], &wait_ms);
			else
				serve(&entries[i], &wait_ms);
		}
	}
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);

	/* unless somebody has asked meanwhile, when there may be one by now */
	bkc_shared->notify_none = all == 0 && !bkc_shared->notify_look;
	bkc_shared->notify_wake = GetCurrentTimestamp() + wait_ms * 1000;
	LWLockRelease(bkc_shared->lock);
}
