/*
 * schedule.c
 *		See schedule.h.  What is due is decided in format/schedule.c; here are the
 *		rows and the jobs.
 *
 * A row says "running" before its job is started, so whatever happens afterwards is found
 * there: the job's leader notes how it ended, and a row that runs without a job (a crash)
 * is closed by the next look.
 */
#include "pgcompat.h"

#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "clock.h"
#include "common/hashfn.h"
#include "event.h"
#include "format/schedule.h"
#include "healthlook.h"
#include "job.h"
#include "jobargs.h"
#include "leader.h"
#include "miscadmin.h"
#include "schedule.h"
#include "settingnote.h"
#include "settings.h"
#include "sqlrun.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define LOOK_SECONDS	600		/* at least that often: zones and clocks may change */
#define BUSY_SECONDS	60		/* another look when no worker was free */
#define FAILED_SECONDS	60

typedef struct Entry
{
	char	   *name;
	char	   *cron;
	char	   *type;
	char	   *repository;
	char	   *tier;
	char	   *storage_class;
	char	   *options;
	char	   *time_zone;
	char	   *when_busy;
	bool		has_retention;
	TimestampTz retention_date;
	int			failures;
	bool		running;
	BkcSchedule s;
	int64		starts_at;
	BkcCron		parsed;
	BkcZone		zone;
} Entry;

/* ---- with the launcher ---- */

void
bkc_schedule_request(void)
{
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	bkc_shared->schedule_look = true;
	if (bkc_shared->launcher != NULL)
		SetLatch(bkc_shared->launcher);
	LWLockRelease(bkc_shared->lock);
}

static bool wanted_at_commit = false;

static void
at_end(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT)
		return;
	if (wanted_at_commit && event == XACT_EVENT_COMMIT)
		bkc_schedule_request();
	wanted_at_commit = false;
}

void
bkc_schedule_request_at_commit(void)
{
	static bool registered = false;

	if (bkc_shared == NULL)
		return;
	if (!registered)
		RegisterXactCallback(at_end, NULL);
	registered = true;
	wanted_at_commit = true;
}

bool
bkc_schedule_due(void)
{
	TimestampTz now = bkc_clock_now();
	bool		health;
	bool		due;

	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);

	/* also when the clock was set back behind the last look */
	health = bkc_health_due();
	due = bkc_shared->schedule_look || health ||
		(bkc_set_enabled &&
		 (now >= bkc_shared->schedule_wake || now < bkc_shared->schedule_looked));
	for (int i = 0; i < BKC_MAX_JOBS && due; i++)
		due = bkc_shared->jobs[i].state == BKC_JOB_FREE ||
			bkc_shared->jobs[i].args.kind != BKC_JOB_SCHEDULE;
	if (due)
	{
		if (health)
			bkc_health_ask();
		bkc_shared->schedule_look = false;
		bkc_shared->schedule_looked = now;
		bkc_shared->schedule_wake = now + (int64) FAILED_SECONDS * USECS_PER_SEC;
	}
	LWLockRelease(bkc_shared->lock);
	return due;
}

long
bkc_schedule_nap(long max)
{
	TimestampTz wake;

	if (!bkc_set_enabled)
		return max;
	LWLockAcquire(bkc_shared->lock, LW_SHARED);
	wake = bkc_shared->schedule_wake;
	LWLockRelease(bkc_shared->lock);
	return bkc_clock_ms_until(wake, bkc_health_nap(max));
}

void
bkc_schedule_failed(BkcJob *job, const BkcReport *report, bool cancelled)
{
	/* the log has it, and the launcher looks again in a minute */
}

/* ---- rows ---- */

static int64
number(uint64 row, int column)
{
	char	   *text = bkc_sqlrun_value(row, column);

	return text == NULL ? 0 : strtoll(text, NULL, 10);
}

static char *
keep(uint64 row, int column)
{
	char	   *text = bkc_sqlrun_value(row, column);

	return text == NULL ? NULL : MemoryContextStrdup(bkc_sqlrun_outer_context(), text);
}

#define USEC(column) "(EXTRACT(epoch FROM " column ") OPERATOR(pg_catalog.*) 1000000)::bigint"

static Entry *
read_entries(int *n)
{
	Entry	   *entries;

	bkc_sqlrun_begin();
	bkc_sqlrun_exec("SELECT name, cron, type, repository, tier, storage_class, options, time_zone, when_busy,"
					" " USEC("retention") ", consecutive_failures, last_result OPERATOR(pg_catalog.=) 'running',"
					" " USEC("catch_up") ", " USEC("jitter") ", " USEC("next_run") ", " USEC("last_run") ","
					" " USEC("retry_at") ", " USEC("starts_at")
					" FROM %s.backup_schedule_entry WHERE enabled OR last_result OPERATOR(pg_catalog.=) 'running'"
					" ORDER BY COALESCE(starts_at, next_run), name", SPI_OK_SELECT, 0, NULL);
	*n = (int) SPI_processed;
	entries = MemoryContextAllocZero(bkc_sqlrun_outer_context(), sizeof(Entry) * (*n + 1));
	for (int i = 0; i < *n; i++)
	{
		Entry	   *e = &entries[i];
		char	   *running = bkc_sqlrun_value(i, 12);

		e->name = keep(i, 1);
		e->cron = keep(i, 2);
		e->type = keep(i, 3);
		e->repository = keep(i, 4);
		e->tier = keep(i, 5);
		e->storage_class = keep(i, 6);
		e->options = keep(i, 7);
		e->time_zone = keep(i, 8);
		e->when_busy = keep(i, 9);
		e->has_retention = bkc_sqlrun_value(i, 10) != NULL;
		e->failures = (int) number(i, 11);
		e->running = running != NULL && running[0] == 't';
		e->s.catch_up = number(i, 13);
		e->s.jitter = number(i, 14);
		e->s.next_run = number(i, 15);
		e->s.last_run = number(i, 16);
		e->s.retry_at = number(i, 17);
		e->starts_at = number(i, 18);
		e->s.seed = GetSystemIdentifier() ^
			hash_bytes_extended((const unsigned char *) e->name, (int) strlen(e->name), 0);
	}
	bkc_sqlrun_finish();
	return entries;
}

static const char *
time_text(int64 usec)
{
	return usec == 0 ? NULL : psprintf("%lld.%06lld", (long long) (usec / 1000000),
									   (long long) (usec % 1000000));
}

/* What a look changes in a row; text of numbers since 1970. */
static void
write_plan(const Entry *e, const BkcScheduleDecision *d, const char *result, const char *error)
{
	const char *values[7];

	values[0] = e->name;
	values[1] = time_text(d->next_run);
	values[2] = d->next_run == 0 ? NULL :
		time_text(d->next_run + bkc_schedule_spread(&e->s, d->next_run));
	values[3] = result;
	values[4] = result == NULL ? NULL : time_text(d->run_for);
	values[5] = error;
	values[6] = d->action == BKC_SCHEDULE_RETRY ? "1" : "0";
	bkc_sqlrun_begin();
	bkc_sqlrun_exec("UPDATE %s.backup_schedule_entry SET next_run = pg_catalog.to_timestamp($2::float8),"
					" starts_at = pg_catalog.to_timestamp($3::float8),"
					" last_result = COALESCE($4, last_result),"
					" last_run = COALESCE(pg_catalog.to_timestamp($5::float8), last_run),"
					" last_error = CASE WHEN $4 IS NULL THEN last_error ELSE $6 END,"
					" last_started = CASE WHEN $4 IS NULL THEN last_started ELSE pg_catalog.clock_timestamp() END,"
					" last_finished = CASE WHEN $4 IS NULL THEN last_finished"
					"   WHEN $4 OPERATOR(pg_catalog.=) 'running' THEN NULL ELSE pg_catalog.clock_timestamp() END,"
					" attempts = CASE WHEN $4 IS NULL THEN attempts WHEN $7 OPERATOR(pg_catalog.=) '1'"
					"   THEN attempts OPERATOR(pg_catalog.+) 1 ELSE 1 END,"
					" retry_at = CASE WHEN $4 IS NULL THEN retry_at END"
					" WHERE name OPERATOR(pg_catalog.=) $1", SPI_OK_UPDATE, 7, values);
	bkc_sqlrun_finish();
}

/* It could not be started for now: all as it was. */
static void
write_waiting(const Entry *e, const char *reason)
{
	const char *values[6];

	values[0] = e->name;
	values[1] = time_text(e->s.next_run);
	values[2] = time_text(e->starts_at);
	values[3] = time_text(e->s.last_run);
	values[4] = time_text(e->s.retry_at);
	values[5] = reason;
	bkc_sqlrun_begin();
	bkc_sqlrun_exec("UPDATE %s.backup_schedule_entry SET next_run = pg_catalog.to_timestamp($2::float8),"
					" starts_at = pg_catalog.to_timestamp($3::float8),"
					" last_run = pg_catalog.to_timestamp($4::float8),"
					" retry_at = pg_catalog.to_timestamp($5::float8),"
					" attempts = CASE WHEN $5 IS NULL THEN attempts"
					"   ELSE GREATEST(attempts OPERATOR(pg_catalog.-) 1, 0) END,"
					" last_result = 'waiting', last_error = $6"
					" WHERE name OPERATOR(pg_catalog.=) $1", SPI_OK_UPDATE, 6, values);
	bkc_sqlrun_finish();
}

/* How a run ended.  transient: another attempt may help. */
static void
write_end(const char *name, int64 id, const char *result, const char *error, bool transient,
		  int failures)
{
	const char *values[6];

	values[0] = name;
	values[1] = result;
	values[2] = error;
	values[3] = id == 0 ? NULL : psprintf("%lld", (long long) id);
	values[4] = transient ? "t" : "f";
	values[5] = time_text(bkc_clock_to_unix(bkc_clock_now()) + bkc_schedule_backoff(failures));
	bkc_sqlrun_begin();
	bkc_sqlrun_exec("UPDATE %s.backup_schedule_entry SET last_result = $2, last_error = $3,"
					" last_finished = pg_catalog.clock_timestamp(), last_id = $4::bigint,"
					" consecutive_failures = CASE WHEN $2 OPERATOR(pg_catalog.=) 'completed' THEN 0"
					"   ELSE consecutive_failures OPERATOR(pg_catalog.+) 1 END,"
					" retry_at = CASE WHEN $5::boolean AND attempts OPERATOR(pg_catalog.<=) retries"
					"   THEN pg_catalog.to_timestamp($6::float8) END"
					" WHERE name OPERATOR(pg_catalog.=) $1 AND last_result OPERATOR(pg_catalog.=) 'running'",
					SPI_OK_UPDATE, 6, values);
	bkc_sqlrun_finish();
}

/* ---- the end of a scheduled job ---- */

typedef struct EndArg
{
	const BkcJob *job;
	const char *result;
	char	   *error;
	bool		transient;
} EndArg;

/*
 * What will fail again just the same is not tried again: wrong arguments, missing rights, a wrong
 * key, damage.
 */
static bool
is_transient(int sqlstate)
{
	int			category = ERRCODE_TO_CATEGORY(sqlstate);

	return category != ERRCODE_TO_CATEGORY(ERRCODE_DATA_EXCEPTION) &&
		category != ERRCODE_TO_CATEGORY(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION) &&
		category != ERRCODE_TO_CATEGORY(ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION) &&
		category != ERRCODE_TO_CATEGORY(ERRCODE_FEATURE_NOT_SUPPORTED) &&
		sqlstate != ERRCODE_DATA_CORRUPTED && sqlstate != ERRCODE_INDEX_CORRUPTED;
}

static void
note_end(void *arg)
{
	EndArg	   *a = arg;

	write_end(a->job->args.schedule, a->job->id, a->result, a->error, a->transient,
			  a->job->args.failures + 1);
}

void
bkc_schedule_ended(const BkcJob *job, const BkcReport *report, bool cancelled)
{
	EndArg		arg = {.job = job};

	if (job->args.schedule[0] == '\0')
		return;
	arg.result = cancelled ? "cancelled" : report != NULL ? "failed" : "completed";
	arg.error = report != NULL ? bkc_report_line(report) : NULL;
	if (report == NULL && job->args.kind != BKC_JOB_BACKUP && !job->passed)
	{
		arg.result = "failed";
		arg.error = pstrdup(job->summary);
	}
	arg.transient = report != NULL && !cancelled && is_transient(report->sqlstate);
	(void) bkc_sqlrun_try(note_end, &arg, BKC_SQLRUN_TRIES, "note the end of a scheduled job");
}

/* ---- a look ---- */

static bool
is_active(const char *schedule)
{
	bool		found = false;

	LWLockAcquire(bkc_shared->lock, LW_SHARED);
	for (int i = 0; i < BKC_MAX_JOBS && !found; i++)
		found = (bkc_shared->jobs[i].state == BKC_JOB_REQUESTED ||
				 bkc_shared->jobs[i].state == BKC_JOB_RUNNING) &&
			strcmp(bkc_shared->jobs[i].args.schedule, schedule) == 0;
	LWLockRelease(bkc_shared->lock);
	return found;
}

/* As of the events that its jobs write: the next one that ends well is the recovery. */
static const char *
event_kind(const Entry *e)
{
	BkcJobArgs	args;

	bkc_jobargs_kind(&args, e->type);
	return bkc_job_name(args.kind);
}

/* Of a run that no job tells of. */
static void
tell_failure(const Entry *e, const char *message)
{
	bkc_event(&(BkcEvent)
			  {.kind = event_kind(e), .severity = "warning", .result = "failed", .actor = "schedule",
			   .repository = e->repository, .schedule = e->name, .message = message});
	ereport(WARNING, (errmsg("pg_backupctl: %s", message)));
}

/* A row that runs without a job: the server crashed, or the leader was terminated. */
static void
close_lost(Entry *e)
{
	const char *error = "the run was interrupted";

	write_end(e->name, 0, "failed", error, true, e->failures + 1);
	tell_failure(e, psprintf("schedule %s: %s", e->name, error));
	e->running = false;
	e->failures++;
	e->s.retry_at = bkc_clock_to_unix(bkc_clock_now());
}

static void
set_arguments(const Entry *e, BkcJobArgs *args)
{
	bkc_jobargs_begin(args, BKC_JOB_BACKUP, "schedule");
	bkc_jobargs_kind(args, e->type);
	bkc_jobargs_repository(args, e->repository);
	bkc_jobargs_text("tier", e->tier, args->tier, sizeof(args->tier));
	bkc_jobargs_text("storage class", e->storage_class, args->storage_class,
					 sizeof(args->storage_class));
	bkc_jobargs_options(args, DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
																 CStringGetDatum(e->options))));
	bkc_jobargs_end(args);
	args->latest = true;
	args->has_retention = e->has_retention;
	args->retention_date = e->retention_date;
	args->failures = e->failures;
	strlcpy(args->schedule, e->name, sizeof(args->schedule));
}

/* An interval is added to now by SQL: months have no fixed length. */
static void
find_retention(Entry *e)
{
	const char *values[1] = {e->name};

	if (!e->has_retention)
		return;
	bkc_sqlrun_begin();
	bkc_sqlrun_exec("SELECT " USEC("pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) retention")
					" FROM %s.backup_schedule_entry WHERE name OPERATOR(pg_catalog.=) $1",
					SPI_OK_SELECT, 1, values);
	if (SPI_processed > 0)
		e->retention_date = bkc_clock_from_unix(number(0, 1));
	bkc_sqlrun_finish();
}

/* *sqlstate 0: started.  Otherwise *message says why not. */
static void
start_job(const Entry *e, int *sqlstate, char **message)
{
	MemoryContext context = CurrentMemoryContext;

	*sqlstate = 0;
	PG_TRY();
	{
		BkcJobArgs	args;

		set_arguments(e, &args);
		(void) bkc_job_start(&args, false);
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		FlushErrorState();
		*sqlstate = edata->sqlerrcode;
		*message = edata->message;
	}
	PG_END_TRY();
}

/* Returns when this one wants the next look. */
static int64
start_due(Entry *e, BkcScheduleDecision *d, int64 now)
{
	int			sqlstate;
	char	   *message = NULL;

	find_retention(e);
	write_plan(e, d, "running", NULL);
	start_job(e, &sqlstate, &message);
	if (sqlstate == 0)
		return d->wake;
	if ((sqlstate == ERRCODE_OBJECT_IN_USE && strcmp(e->when_busy, "wait") == 0) ||
		sqlstate == ERRCODE_CONFIGURATION_LIMIT_EXCEEDED)
	{
		/* the end of the job in the way brings another look, too */
		write_waiting(e, message);
		bkc_shared->schedule_waits = true;
		return now + (int64) BUSY_SECONDS * USECS_PER_SEC;
	}
	if (sqlstate == ERRCODE_OBJECT_IN_USE)
	{
		write_plan(e, d, "skipped", message);
		return d->wake;
	}
	write_end(e->name, 0, "failed", message, is_transient(sqlstate), e->failures + 1);
	tell_failure(e, psprintf("schedule %s: %s", e->name, message));
	return Min(d->wake, now + bkc_schedule_backoff(e->failures + 1));
}

static int64
look_at(Entry *e, int64 now)
{
	BkcScheduleDecision d;
	BkcError	err;

	if (!bkc_cron_parse(e->cron, &e->parsed, &err))
		bkc_ereport(ERROR, &err);
	e->zone = bkc_clock_zone(e->time_zone);
	e->s.cron = &e->parsed;
	e->s.zone = &e->zone;
	if (e->running)
	{
		if (is_active(e->name))
			return INT64_MAX;	/* its end brings another look */
		close_lost(e);
	}
	bkc_schedule_decide(&e->s, now, &d);
	switch (d.action)
	{
		case BKC_SCHEDULE_WAIT:
			if (d.next_run != e->s.next_run)
				write_plan(e, &d, NULL, NULL);
			break;
		case BKC_SCHEDULE_MISSED:
			{
				char	   *error = psprintf("missed the run of %s: the server was down, or pg_backupctl.enabled off, for longer than catch_up",
											 timestamptz_to_str(bkc_clock_from_unix(d.run_for)));

				write_plan(e, &d, "missed", error);
				tell_failure(e, psprintf("schedule %s %s", e->name, error));
				break;
			}
		case BKC_SCHEDULE_RUN:
		case BKC_SCHEDULE_RETRY:
			return start_due(e, &d, now);
	}
	return d.wake;
}

typedef struct Broken
{
	const Entry *entry;
	const char *error;
	bool		news;
} Broken;

static void
note_broken(void *arg)
{
	Broken	   *b = arg;
	const char *values[2] = {b->entry->name, b->error};

	bkc_sqlrun_begin();

	/* the end of a job that runs is still to be noted */
	bkc_sqlrun_exec("UPDATE %s.backup_schedule_entry SET last_error = $2, last_result ="
					" CASE last_result WHEN 'running' THEN last_result ELSE 'failed' END"
					" WHERE name OPERATOR(pg_catalog.=) $1"
					" AND last_error IS DISTINCT FROM $2", SPI_OK_UPDATE, 2, values);
	b->news = SPI_processed > 0;
	bkc_sqlrun_finish();
}

/* What cannot be looked at, as an expression or a zone that came by a dump: told once. */
static void
tell_broken(const Entry *e, const char *message)
{
	Broken		b = {.entry = e, .error = message};

	if (bkc_sqlrun_try(note_broken, &b, 1, "note that a schedule cannot be planned") && b.news)
		tell_failure(e, psprintf("schedule %s: %s", e->name, message));
}

/* One that cannot be looked at does not keep the others from their turn. */
static int64
look_at_safely(Entry *e, int64 now)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile int64 wake = now + (int64) FAILED_SECONDS * USECS_PER_SEC;
	char	   *volatile failure = NULL;

	PG_TRY();
	{
		wake = look_at(e, now);
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
		if (edata->sqlerrcode == ERRCODE_QUERY_CANCELED ||
			edata->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN)
			ReThrowError(edata);
		failure = edata->message;
	}
	PG_END_TRY();
	if (failure != NULL)
		tell_broken(e, failure);
	return wake;
}

/* Returns when the next look is wanted. */
static int64
look_at_all(void)
{
	int64		now = bkc_clock_to_unix(bkc_clock_now());
	int64		wake = now + (int64) LOOK_SECONDS * USECS_PER_SEC;
	Entry	   *entries;
	int			n = 0;

	if (RecoveryInProgress() || !bkc_sqlrun_installed())
		return wake;
	bkc_settingnote();
	if (!bkc_set_enabled)
		return wake;
	bkc_health_look();
	bkc_shared->schedule_waits = false;
	entries = read_entries(&n);
	for (int i = 0; i < n; i++)
	{
		int64		wanted;

		/* once: it may start a job, and Min() would look twice */
		CHECK_FOR_INTERRUPTS();
		wanted = look_at_safely(&entries[i], now);
		wake = Min(wake, wanted);
	}
	return wake;
}

void
bkc_schedule_run(BkcJob *job)
{
	int64		wake = look_at_all();

	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	bkc_shared->schedule_wake = bkc_clock_from_unix(wake);
	LWLockRelease(bkc_shared->lock);
}
