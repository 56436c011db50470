/*
 * errors.c
 *		See errors.h.
 */
#include "pgcompat.h"

#include "base/host.h"
#include "errors.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "settings.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/pmsignal.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#ifndef PG_WAIT_EXTENSION
#error "PG_WAIT_EXTENSION is missing"
#endif

static const int sqlstate_of[] = {
	[BKC_OK] = ERRCODE_INTERNAL_ERROR,
	[BKC_ERR_INVALID] = ERRCODE_INVALID_PARAMETER_VALUE,
	[BKC_ERR_NOT_FOUND] = ERRCODE_UNDEFINED_OBJECT,
	[BKC_ERR_EXISTS] = ERRCODE_DUPLICATE_OBJECT,
	[BKC_ERR_CORRUPT] = ERRCODE_DATA_CORRUPTED,
	[BKC_ERR_UNSUPPORTED] = ERRCODE_FEATURE_NOT_SUPPORTED,
	[BKC_ERR_ACCESS] = ERRCODE_INSUFFICIENT_PRIVILEGE,
	[BKC_ERR_KEY] = ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
	[BKC_ERR_ARCHIVED] = ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
	[BKC_ERR_NO_SPACE] = ERRCODE_DISK_FULL,
	[BKC_ERR_IO] = ERRCODE_IO_ERROR,
	[BKC_ERR_UNAVAILABLE] = ERRCODE_CONNECTION_FAILURE,
	[BKC_ERR_TIMEOUT] = ERRCODE_CONNECTION_FAILURE,
	[BKC_ERR_CANCELLED] = ERRCODE_QUERY_CANCELED,
	[BKC_ERR_STATE] = ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
	[BKC_ERR_NO_MEMORY] = ERRCODE_OUT_OF_MEMORY,
	[BKC_ERR_INTERNAL] = ERRCODE_INTERNAL_ERROR,
};

void
bkc_report_from_error(BkcReport *report, const BkcError *err)
{
	report->sqlstate = sqlstate_of[err->code];
	strlcpy(report->message, err->message, sizeof(report->message));
	strlcpy(report->detail, err->detail, sizeof(report->detail));
	strlcpy(report->hint, err->hint, sizeof(report->hint));
}

void
bkc_report_from_errordata(BkcReport *report, const ErrorData *edata)
{
	report->sqlstate = edata->sqlerrcode;
	strlcpy(report->message, edata->message ? edata->message : "unknown error",
			sizeof(report->message));
	strlcpy(report->detail, edata->detail ? edata->detail : "", sizeof(report->detail));
	strlcpy(report->hint, edata->hint ? edata->hint : "", sizeof(report->hint));
}

void
bkc_ereport_report(int elevel, const BkcReport *report)
{
	ereport(elevel,
			(errcode(report->sqlstate),
			 errmsg_internal("%s", report->message),
			 report->detail[0] ? errdetail_internal("%s", report->detail) : 0,
			 report->hint[0] ? errhint("%s", report->hint) : 0));
}

/* An interrupt that raised an error within the core; everything is cancelled until it is told. */
static bool interrupt_failed = false;

void
bkc_ereport(int elevel, const BkcError *err)
{
	BkcReport	report;

	if (err->code == BKC_ERR_CANCELLED)
	{
		interrupt_failed = false;
		CHECK_FOR_INTERRUPTS();
	}
	bkc_report_from_error(&report, err);
	bkc_ereport_report(elevel, &report);
}

void
bkc_text_clean(char *text)
{
	if (pg_verifymbstr(text, (int) strlen(text), true))
		return;
	for (char *p = text; *p != '\0'; p++)
		if (IS_HIGHBIT_SET(*p))
			*p = '?';
}

char *
bkc_report_line(const BkcReport *report)
{
	char	   *line = report->detail[0] ? psprintf("%s (%s)", report->message, report->detail) :
		pstrdup(report->message);

	bkc_text_clean(line);
	return line;
}


void
bkc_guard(void (*close) (void *arg), void *arg)
{
	MemoryContextCallback *cb = palloc0(sizeof(MemoryContextCallback));

	cb->func = close;
	cb->arg = arg;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, cb);
}

/* ---- the host table ---- */

static bool (*watch_stop) (void) = NULL;
static void (*watch_poll) (void) = NULL;
static bool polling = false;
static instr_time last_poll;

/*
 * Service what PostgreSQL wants of every process (barriers, above all: DROP
 * DATABASE of anybody waits for them) without letting anything jump through
 * the core: what would raise an error only makes us answer "cancelled", and
 * the server code raises it once the core has returned.
 */
static bool
host_cancelled(void)
{
	/* orphans would keep the shared memory busy and a new postmaster from starting */
	if (!PostmasterIsAlive())
		proc_exit(1);
	if (InterruptPending && !ProcDiePending && !QueryCancelPending)
	{
		MemoryContext oldcontext = CurrentMemoryContext;

		PG_TRY();
		{
			CHECK_FOR_INTERRUPTS();
		}
		PG_CATCH();
		{
			MemoryContextSwitchTo(oldcontext);
			EmitErrorReport();
			FlushErrorState();
			interrupt_failed = true;
		}
		PG_END_TRY();
	}
	if (ProcDiePending || QueryCancelPending || interrupt_failed)
		return true;
	if (watch_stop != NULL && watch_stop())
		return true;
	if (watch_poll != NULL && !polling)
	{
		instr_time	now,
					since;

		INSTR_TIME_SET_CURRENT(now);
		since = now;
		INSTR_TIME_SUBTRACT(since, last_poll);
		if (INSTR_TIME_GET_MILLISEC(since) >= 50.0)
		{
			/* the poll itself uses the core, which asks again */
			polling = true;
			watch_poll();
			polling = false;
			INSTR_TIME_SET_CURRENT(last_poll);
		}
	}
	return false;
}

/*
 * PostgreSQL's archiver looks at its latch between two files: taken from it here, the
 * order to shut down would lie there for a minute.
 */
static void
host_wait(int ms)
{
	if (AmArchiverProcess())
	{
		(void) WaitLatch(MyLatch, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms, PG_WAIT_EXTENSION);
		return;
	}
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 ms, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
}

static int64_t
host_now(void)
{
	return (int64_t) GetCurrentTimestamp() +
		((int64_t) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)) * USECS_PER_DAY;
}

static void
host_log(BkcLogLevel level, const char *message)
{
	ereport(level == BKC_LOG_WARNING ? WARNING : level == BKC_LOG_INFO ? LOG : DEBUG1,
			(errmsg_internal("pg_backupctl: %s", message)));
}

static void
host_wait_event(BkcWaitEvent event)
{
	if (event == BKC_WAIT_NONE)
		pgstat_report_wait_end();
	else
		pgstat_report_wait_start(PG_WAIT_EXTENSION);
}

static const char *
host_fault_spec(void)
{
	return bkc_set_fault;
}

static const BkcHost server_host = {
	.log = host_log,
	.cancelled = host_cancelled,
	.wait = host_wait,
	.now = host_now,
	.wait_event = host_wait_event,
	.fault_spec = host_fault_spec,
};

void
bkc_host_install(void)
{
	/* of an earlier call in this session, which has ended by that */
	interrupt_failed = false;
	bkc_host_set(&server_host);
}

void
bkc_host_watch(bool (*stop) (void))
{
	watch_stop = stop;
}

void
bkc_host_poll(void (*poll) (void))
{
	watch_poll = poll;
	polling = false;
	INSTR_TIME_SET_CURRENT(last_poll);
}
