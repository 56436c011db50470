/*
 * backup_wal.c
 *		See backup_wal.h.
 *
 * The archiver's word is not taken for it: each segment is looked for in the
 * repository, because a backup without its WAL is not a backup.
 */
#include "pgcompat.h"

#include "access/xlog_internal.h"
#include "backup_wal.h"
#include "miscadmin.h"
#include "pipe/walproof.h"
#include "storage/condition_variable.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
#include "walstatus.h"

#define LOOK_AGAIN_MS	1000

#define HINT_OWN_WAL	"Without the option \"wal\" a backup stores its own WAL."

static void
require_archiving(void)
{
	if (bkc_walstatus_unable() == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("pg_backupctl does not archive the WAL of this server"),
			 errdetail("archive_mode is \"%s\", archive_library is \"%s\".",
					   GetConfigOption("archive_mode", false, false),
					   GetConfigOption("archive_library", false, false)),
			 errhint("Set archive_mode = on, archive_library = 'pg_backupctl' and archive_command = ''.  "
					 HINT_OWN_WAL)));
}

void
bkc_backup_archive_preflight(const BkcRepoDef *repo)
{
	BkcWalStatus *status = palloc(sizeof(*status));
	BkcWalServer server;

	require_archiving();
	bkc_walstatus_server(&server);
	if (!bkc_walstatus_repo(&server, repo, status))
		return;
	if (status->state.refusal.sqlstate != 0)
		bkc_ereport_report(ERROR, &status->state.refusal);
	if (status->state.failures_in_row > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("WAL cannot be archived in repository \"%s\" at present", repo->name),
				 errdetail_internal("%s", bkc_report_line(&status->state.error)),
				 errhint("The view backup_archiver shows more.  " HINT_OWN_WAL)));
	pfree(status);
}

/* What the archiver says, or what asking the repository gave. */
static char *
reason(const BkcRepoDef *repo, const BkcError *err)
{
	BkcWalStatus *status = palloc(sizeof(*status));
	BkcWalServer server;
	BkcReport	asked;

	bkc_walstatus_server(&server);
	if (server.unable != NULL)
		return psprintf("WAL archiving has been switched off meanwhile (%s).", server.unable);
	if (err->code != BKC_ERR_NOT_FOUND)
	{
		bkc_report_from_error(&asked, err);
		return psprintf("The repository could not be asked: %s.", bkc_report_line(&asked));
	}
	if (bkc_walstatus_repo(&server, repo, status))
	{
		if (status->state.refusal.sqlstate != 0)
			return psprintf("The archiver's last error: %s.", bkc_report_line(&status->state.refusal));
		if (status->state.failures_in_row > 0)
			return psprintf("The archiver's last error: %s.", bkc_report_line(&status->state.error));
	}
	return psprintf("%llu segments wait for archiving.",
					(unsigned long long) server.waiting.segments);
}

static void
give_up(const BkcJob *job, const BkcRepoDef *repo, const char *segment, const BkcError *err)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("WAL segment \"%s\" was not archived in repository \"%s\" within %d seconds",
					segment, repo->name, job->args.archive_wait),
			 errdetail_internal("%s", reason(repo, err)),
			 errhint("The view backup_archiver shows more; option \"archive_wait\" gives more time.  "
					 HINT_OWN_WAL)));
}

/* May waiting help? */
static bool
passing(const BkcError *err)
{
	return err->code == BKC_ERR_NOT_FOUND || err->code == BKC_ERR_UNAVAILABLE ||
		err->code == BKC_ERR_TIMEOUT || err->code == BKC_ERR_IO || err->code == BKC_ERR_ACCESS;
}

void
bkc_backup_archive_wait(const BkcJob *job, const BkcRepoDef *repo, BkcStore *store,
						const BkcPgBackup *backup)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													   job->args.archive_wait * INT64CONST(1000));
	XLogSegNo	segno;
	XLogSegNo	last;

	XLByteToSeg(backup->start_lsn, segno, wal_segment_size);
	XLByteToPrevSeg(backup->stop_lsn, last, wal_segment_size);
	ConditionVariablePrepareToSleep(&bkc_wal->cv);
	while (segno <= last)
	{
		char		segment[MAXFNAMELEN];
		BkcError	err;

		CHECK_FOR_INTERRUPTS();
		if (bkc_walproof_segment(store, GetSystemIdentifier(), backup->start_tli, segno,
								 (uint32) wal_segment_size, false, &err))
		{
			segno++;
			continue;
		}
		if (!passing(&err))
			bkc_ereport(ERROR, &err);
		XLogFileName(segment, backup->start_tli, segno, wal_segment_size);
		if (GetCurrentTimestamp() >= deadline)
			give_up(job, repo, segment, &err);
		(void) ConditionVariableTimedSleep(&bkc_wal->cv, LOOK_AGAIN_MS, PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
}
