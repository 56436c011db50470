/*
 * leader.c
 *		See leader.h.
 */
#include "pgcompat.h"

#include "access/xact.h"
#include "backup.h"
#include "event.h"
#include "expire.h"
#include "joblog.h"
#include "leader.h"
#include "miscadmin.h"
#include "notify.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "process.h"
#include "schedule.h"
#include "settings.h"
#include "settle.h"
#include "storage/ipc.h"
#include "sync.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/wait_event.h"
#include "verify.h"
#include "walcheck.h"

/* our slot; NULL once the end is published */
static BkcJob *my_job = NULL;

typedef struct JobKind
{
	const char *name;			/* in views and events */
	const char *type;			/* bgw_type */
	void		(*run) (BkcJob *job);
	void		(*failed) (BkcJob *job, const BkcReport *report, bool cancelled);
} JobKind;

static const JobKind kinds[] = {
	[BKC_JOB_BACKUP] = {"backup", "pg_backupctl backup", bkc_backup_run, bkc_backup_failed},
	[BKC_JOB_VERIFY] = {"verify", "pg_backupctl verify", bkc_verify_run, bkc_verify_failed},
	[BKC_JOB_EXPIRE] = {"expire", "pg_backupctl expire", bkc_expire_run, bkc_expire_failed},
	[BKC_JOB_WAL_CHECK] = {"wal-check", "pg_backupctl wal-check", bkc_walcheck_run, bkc_walcheck_failed},
	[BKC_JOB_SYNC] = {"sync", "pg_backupctl sync", bkc_sync_run, bkc_sync_failed},
	[BKC_JOB_SETTLE] = {"settle", "pg_backupctl settle", bkc_settle_run, bkc_settle_failed},
	[BKC_JOB_SCHEDULE] = {"schedule", "pg_backupctl scheduler", bkc_schedule_run, bkc_schedule_failed},
	[BKC_JOB_NOTIFY] = {"notify", "pg_backupctl notify", bkc_notify_run, bkc_notify_failed},
};

const char *
bkc_job_name(BkcJobKind kind)
{
	return kinds[kind].name;
}

bool
bkc_job_is_housekeeping(BkcJobKind kind)
{
	return kind == BKC_JOB_SETTLE || kind == BKC_JOB_SCHEDULE || kind == BKC_JOB_NOTIFY;
}

const char *
bkc_job_type(BkcJobKind kind)
{
	return kinds[kind].type;
}

static uint64 my_generation = 0;
static bool my_connection = false;	/* we have had one */
static bool my_schedule = false;	/* a schedule has started us */

static bool
leader_cancelled(void)
{
	return my_job->cancelled;
}

/* Log and publish the end. */
static void
job_done(const BkcReport *report, bool cancelled)
{
	BkcJob	   *job = my_job;

	bkc_joblog_end(job, report, cancelled);

	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	if (report != NULL)
		job->result = *report;
	job->finished = GetCurrentTimestamp();
	job->phase = BKC_PHASE_FINISHED;
	job->state = job->waiter ? BKC_JOB_DONE : BKC_JOB_FREE;
	LWLockRelease(bkc_shared->lock);
	pg_atomic_write_u32(&job->stop, 1);
	ConditionVariableBroadcast(&job->cv);
	my_job = NULL;
}

/* The slot is free, or as good as that: who waited for that gets a look. */
static void
after_end(BkcJobKind kind)
{
	/* only backups leave something behind; what still counts as active would be spared */
	if (kind == BKC_JOB_BACKUP)
		bkc_shared_request_settle();
	if (!bkc_job_is_housekeeping(kind) && (my_schedule || bkc_shared->schedule_waits))
		bkc_schedule_request();
}

/* Catalog and schedules know how it ended before the slot says so. */
static void
note_end(const BkcReport *report, bool cancelled)
{
	if (bkc_job_is_housekeeping(my_job->args.kind))
		return;
	bkc_schedule_ended(my_job, report, cancelled);
	bkc_event_job(my_job, report, cancelled);
}

/* The process ends without having published anything: FATAL, or a bug. */
static void
leader_exit(int code, Datum arg)
{
	BkcReport	report = {.sqlstate = ERRCODE_ADMIN_SHUTDOWN};
	BkcJobKind	kind;

	if (my_job == NULL)
		return;
	strlcpy(report.message, "the job was terminated", sizeof(report.message));
	strlcpy(report.hint, "The server log says by whom.  The server itself does so at a shutdown, and when a backup keeps more WAL than max_slot_wal_keep_size allows.",
			sizeof(report.hint));
	LWLockReleaseAll();
	kind = my_job->args.kind;

	/* settling finds out, later and later, when there is a database again; nobody else tries */
	if (!my_connection)
	{
		LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
		bkc_shared->connected = false;
		LWLockRelease(bkc_shared->lock);
	}
	if (kind == BKC_JOB_SETTLE || !my_connection)
		bkc_settle_failed(my_job, &report, false);
	job_done(&report, false);
	after_end(kind);
}

static void
leader_attach(int slot)
{
	BkcJob	   *job = &bkc_shared->jobs[slot];
	bool		mine;

	memcpy(&my_generation, MyBgworkerEntry->bgw_extra, sizeof(my_generation));
	before_shmem_exit(leader_exit, (Datum) 0);
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	mine = job->generation == my_generation && job->state == BKC_JOB_REQUESTED;
	if (mine)
	{
		job->state = BKC_JOB_RUNNING;
		job->leader_pid = MyProcPid;
		my_job = job;
		my_schedule = job->args.schedule[0] != '\0';
	}
	LWLockRelease(bkc_shared->lock);
	if (!mine)
		proc_exit(0);
}

/* After an ERROR: back to a state in which the failure can be recorded. */
static void
leader_recover(void)
{
	HOLD_INTERRUPTS();
	if (IsTransactionState() || IsTransactionOrTransactionBlock())
		AbortCurrentTransaction();
	LWLockReleaseAll();
	ConditionVariableCancelSleep();
	pgstat_report_wait_end();
	pgstat_progress_end_command();
	bkc_pg_slot_cleanup();
	RESUME_INTERRUPTS();
}

static void
leader_failed(const JobKind *kind, MemoryContext context)
{
	BkcJob	   *job = my_job;
	ErrorData  *edata;
	BkcReport	report;
	bool		cancelled;

	MemoryContextSwitchTo(TopMemoryContext);
	edata = CopyErrorData();
	EmitErrorReport();
	FlushErrorState();
	leader_recover();

	cancelled = job->cancelled || edata->sqlerrcode == ERRCODE_QUERY_CANCELED;
	bkc_report_from_errordata(&report, edata);
	if (cancelled)
	{
		memset(&report, 0, sizeof(report));
		report.sqlstate = ERRCODE_QUERY_CANCELED;
		strlcpy(report.message, "the job was cancelled", sizeof(report.message));
	}
	/* workers first: nothing of the job may be written once it is over */
	pg_atomic_write_u32(&job->stop, 1);
	bkc_host_watch(NULL);
	bkc_host_poll(NULL);
	MemoryContextDelete(context);

	PG_TRY();
	{
		kind->failed(job, &report, cancelled);
		note_end(&report, cancelled);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(TopMemoryContext);
		EmitErrorReport();
		FlushErrorState();
		leader_recover();
	}
	PG_END_TRY();
	job_done(&report, cancelled);
	after_end((BkcJobKind) (kind - kinds));
}

static void
note_connection(void)
{
	my_connection = true;
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	if (!bkc_shared->connected && bkc_shared->launcher != NULL)
		SetLatch(bkc_shared->launcher);
	bkc_shared->connected = true;
	LWLockRelease(bkc_shared->lock);
}

void
bkc_job_main(Datum main_arg)
{
	const JobKind *kind;
	MemoryContext context;

	bkc_process_begin();
	leader_attach(DatumGetInt32(main_arg));
	kind = &kinds[my_job->args.kind];
	BackgroundWorkerInitializeConnection(bkc_set_database, NULL, 0);
	note_connection();
	CurrentResourceOwner = ResourceOwnerCreate(NULL, "pg_backupctl");

	/* nobody's trigger runs with our rights, and nobody's lock holds us up */
	SetConfigOption("session_replication_role", "replica", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_OVERRIDE);
	SetConfigOption("lock_timeout", "10s", PGC_USERSET, PGC_S_OVERRIDE);
	/* a standby that is away must not hold up a row about something that is done already */
	SetConfigOption("synchronous_commit", "local", PGC_USERSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_read_only", "off", PGC_USERSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_isolation", "read committed", PGC_USERSET,
					PGC_S_OVERRIDE);
	SetConfigOption("statement_timeout", "0", PGC_USERSET, PGC_S_OVERRIDE);
	SetConfigOption("idle_in_transaction_session_timeout", "0", PGC_USERSET, PGC_S_OVERRIDE);
	bkc_host_install();
	bkc_host_watch(leader_cancelled);

	context = AllocSetContextCreate(TopMemoryContext, "pg_backupctl job",
									ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		bkc_joblog_start(my_job);
		kind->run(my_job);
		bkc_host_watch(NULL);
		bkc_host_poll(NULL);
		note_end(NULL, false);
		job_done(NULL, false);
		after_end((BkcJobKind) (kind - kinds));
	}
	PG_CATCH();
	{
		leader_failed(kind, context);
	}
	PG_END_TRY();
	proc_exit(0);
}
