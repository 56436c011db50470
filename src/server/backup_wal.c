/*
 * backup_wal.c
 *		See backup_wal.h.
 *
 * The archiver's word is not taken for it: each segment is looked for in the
 * repository, compared with this server's own, and read, because a backup without its WAL is
 * not a backup.
 */
#include "pgcompat.h"

#include "access/xlog_internal.h"
#include "backup_wal.h"
#include "base/text.h"
#include "chunktidy.h"
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

/* What is wrong in the first repository where something is; NULL = nothing. */
static char *
archive_trouble(void)
{
	const BkcRepoList *repos = bkc_settings_repositories();
	BkcWalStatus *status = palloc(sizeof(*status));
	BkcWalServer server;

	if (bkc_walstatus_unable() != NULL)
		return NULL;
	bkc_walstatus_server(&server);
	if (server.trouble.sqlstate != 0)
		return psprintf("WAL cannot be archived at present: %s", bkc_report_line(&server.trouble));
	for (size_t i = 0; i < repos->count; i++)
		if (bkc_walstatus_repo(&server, &repos->items[i], status) &&
			(status->state.refusal.sqlstate != 0 || status->state.failures_in_row > 0))
			return psprintf("WAL cannot be archived in repository \"%s\" at present: %s",
							repos->items[i].name,
							bkc_report_line(status->state.refusal.sqlstate != 0 ?
											&status->state.refusal : &status->state.error));
	return NULL;
}

void
bkc_backup_archive_warn(BkcJob *job)
{
	char	   *trouble = archive_trouble();

	if (trouble == NULL)
		return;
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	strlcpy(job->warning, trouble, sizeof(job->warning));
	LWLockRelease(bkc_shared->lock);
	ereport(WARNING,
			(errmsg_internal("pg_backupctl: %s", trouble),
			 errdetail("The backup stores its own WAL and will be good; what is written after it is not safe."),
			 errhint("The view backup_archiver shows more.")));
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
		if (strcmp(status->status, "failing") == 0)
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

/* ---- one segment after the other ---- */

typedef struct Proof
{
	const BkcRepoDef *repo;
	BkcStore   *store;
	TimeLineID	timeline;
	XLogSegNo	segno;
	char		segment[MAXFNAMELEN];
	char		path[MAXPGPATH];

	/* our own file */
	bool		asked;			/* these are known: */
	bool		there;
	uint8		sha256[BKC_SHA256_SIZE];
} Proof;

static void
look_at(Proof *p, XLogSegNo segno)
{
	p->segno = segno;
	XLogFileName(p->segment, p->timeline, segno, wal_segment_size);
	XLogFilePath(p->path, p->timeline, segno, wal_segment_size);
	p->asked = false;
}

static bool
in_repository(const Proof *p, bool read, uint8 sha256[BKC_SHA256_SIZE], BkcError *err)
{
	char		name[BKC_NAME_MAX];

	return bkc_walproof_content(p->store, GetSystemIdentifier(), p->timeline, p->segno,
								(uint32) wal_segment_size, read, sha256, name, err) &&
		bkc_store_sync(p->store, name, err);
}

/* Somebody else's WAL under our segment's name: waiting helps nobody. */
static void
refuse_content(const Proof *p, const uint8 theirs[BKC_SHA256_SIZE])
{
	char		stored[2 * BKC_SHA256_SIZE + 1];
	char		ours[2 * BKC_SHA256_SIZE + 1];

	bkc_hex_encode(theirs, BKC_SHA256_SIZE, stored);
	bkc_hex_encode(p->sha256, BKC_SHA256_SIZE, ours);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("repository \"%s\" holds other content for WAL segment \"%s\" than this server",
					p->repo->name, p->segment),
			 errdetail("The repository has SHA-256 %s, this server's file has SHA-256 %s.", stored, ours),
			 errhint("Another server with the same system identifier has archived it.  If this server's WAL is the right one, "
					 "see backup_wal_conflict_resolve().  " HINT_OWN_WAL)));
}

/* ereports when that is not what we have; what has been recycled was archived before. */
static bool
compare_content(Proof *p, const uint8 theirs[BKC_SHA256_SIZE], BkcError *err)
{
	if (!p->asked &&
		!bkc_walproof_local(p->path, 0, (uint64) wal_segment_size, p->sha256, &p->there, err))
		return false;
	p->asked = true;
	if (p->there && memcmp(p->sha256, theirs, BKC_SHA256_SIZE) != 0)
		refuse_content(p, theirs);
	return true;
}

/*
 * The object must be what this server has, and durable: so the archiver has said, or who sent
 * it ahead.  Another repository that is away keeps the archiver from saying it, but not
 * this backup.
 *
 * All of it is read once: nobody will look again before it is needed.
 */
static bool
is_proven(Proof *p, BkcError *err)
{
	uint8		sha256[BKC_SHA256_SIZE];
	TimeLineID	timeline;
	int			index = bkc_wal_repo(p->repo);

	/* until then our file is not what it will be */
	if (bkc_walstatus_position(&timeline) < (p->segno + 1) * wal_segment_size)
		return bkc_error_set(err, BKC_ERR_NOT_FOUND,
							 "WAL segment \"%s\" is not complete on this server", p->segment);
	if (!in_repository(p, false, sha256, err) || !compare_content(p, sha256, err))
		return false;
	if (bkc_tidy_is_ready(p->segment) &&
		(index < 0 || !bkc_tidy_known(index, p->timeline, p->segno)))
		return bkc_error_set(err, BKC_ERR_NOT_FOUND,
							 "WAL segment \"%s\" waits for the archiver", p->segment);
	return in_repository(p, true, sha256, err) && compare_content(p, sha256, err);
}

void
bkc_backup_archive_wait(const BkcJob *job, const BkcRepoDef *repo, BkcStore *store,
						const BkcPgBackup *backup)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													   job->args.archive_wait * INT64CONST(1000));
	Proof		proof = {.repo = repo, .store = store, .timeline = backup->start_tli};
	XLogSegNo	segno;
	XLogSegNo	last;

	XLByteToSeg(backup->start_lsn, segno, wal_segment_size);
	XLByteToPrevSeg(backup->stop_lsn, last, wal_segment_size);
	look_at(&proof, segno);
	ConditionVariablePrepareToSleep(&bkc_wal->cv);
	while (proof.segno <= last)
	{
		BkcError	err;

		CHECK_FOR_INTERRUPTS();
		if (is_proven(&proof, &err))
		{
			look_at(&proof, proof.segno + 1);
			continue;
		}
		if (!passing(&err))
			bkc_ereport(ERROR, &err);
		if (GetCurrentTimestamp() >= deadline)
			give_up(job, repo, proof.segment, &err);
		(void) ConditionVariableTimedSleep(&bkc_wal->cv, LOOK_AGAIN_MS, PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
}
