/*
 * shared.c
 *		See shared.h.
 */
#include "pgcompat.h"

#include "miscadmin.h"
#include "shared.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/guc.h"
#include "walshared.h"

BkcShared  *bkc_shared = NULL;

static shmem_request_hook_type prev_request = NULL;
static shmem_startup_hook_type prev_startup = NULL;

static void
shared_request(void)
{
	if (prev_request)
		prev_request();
	RequestAddinShmemSpace(add_size(MAXALIGN(sizeof(BkcShared)), MAXALIGN(sizeof(BkcWalShared))));
	RequestNamedLWLockTranche("pg_backupctl", 2);
}

static void
shared_startup(void)
{
	bool		found;

	if (prev_startup)
		prev_startup();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	bkc_shared = ShmemInitStruct("pg_backupctl", sizeof(BkcShared), &found);
	if (!found)
	{
		memset(bkc_shared, 0, sizeof(BkcShared));
		bkc_shared->lock = &(GetNamedLWLockTranche("pg_backupctl"))[0].lock;

		/* whatever ran before this start may have left something behind */
		bkc_shared->settle = true;
		bkc_shared->schedule_look = true;
		bkc_shared->notify_look = true;
		for (int i = 0; i < BKC_MAX_JOBS; i++)
		{
			BkcJob	   *job = &bkc_shared->jobs[i];

			ConditionVariableInit(&job->cv);
			pg_atomic_init_u32(&job->cursor, 0);
			pg_atomic_init_u32(&job->stop, 0);
			pg_atomic_init_u64(&job->files_total, 0);
			pg_atomic_init_u64(&job->files_done, 0);
			pg_atomic_init_u64(&job->bytes_total, 0);
			pg_atomic_init_u64(&job->bytes_done, 0);
			pg_atomic_init_u64(&job->bytes_stored, 0);
		}
	}
	bkc_wal = ShmemInitStruct("pg_backupctl WAL", sizeof(BkcWalShared), &found);
	if (!found)
		bkc_wal_shmem_init(bkc_wal, &(GetNamedLWLockTranche("pg_backupctl"))[1].lock);
	LWLockRelease(AddinShmemInitLock);
}

void
bkc_shared_init(void)
{
	prev_request = shmem_request_hook;
	shmem_request_hook = shared_request;
	prev_startup = shmem_startup_hook;
	shmem_startup_hook = shared_startup;
}

void
bkc_require_preload(void)
{
	const char *others;

	if (bkc_shared != NULL)
		return;
	others = GetConfigOption("shared_preload_libraries", true, false);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("pg_backupctl is not loaded by the server"),
			 errhint("Put the line shared_preload_libraries = '%s%spg_backupctl' into postgresql.conf and restart the server.",
					 others ? others : "", others && others[0] ? ", " : "")));
}

const char *
bkc_phase_name(BkcPhase phase)
{
	static const char *const names[] = {
		[BKC_PHASE_STARTING] = "starting",
		[BKC_PHASE_CHECKPOINT] = "waiting for checkpoint",
		[BKC_PHASE_LISTING] = "listing files",
		[BKC_PHASE_COPYING] = "copying files",
		[BKC_PHASE_STOPPING] = "stopping",
		[BKC_PHASE_WAL] = "storing WAL",
		[BKC_PHASE_WAL_ARCHIVE] = "waiting for WAL archive",
		[BKC_PHASE_MANIFEST] = "writing manifest",
		[BKC_PHASE_VERIFYING] = "verifying files",
		[BKC_PHASE_SETTLING] = "settling leftovers",
		[BKC_PHASE_SCHEDULING] = "looking what is due",
		[BKC_PHASE_PLANNING] = "planning",
		[BKC_PHASE_REMOVING] = "removing",
		[BKC_PHASE_NOTIFYING] = "sending alarms",
		[BKC_PHASE_SYNCING] = "reading repositories",
		[BKC_PHASE_FINISHED] = "finished",
	};

	return names[phase];
}

void
bkc_job_phase(BkcJob *job, BkcPhase phase)
{
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	job->phase = phase;
	LWLockRelease(bkc_shared->lock);
	ConditionVariableBroadcast(&job->cv);
}

void
bkc_shared_request_settle(void)
{
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	bkc_shared->settle = true;
	bkc_shared->settle_failures = 0;
	if (bkc_shared->launcher != NULL)
		SetLatch(bkc_shared->launcher);
	LWLockRelease(bkc_shared->lock);
}

bool
bkc_shared_backup_start(const char *label, uint64_t *start_lsn)
{
	bool		active = false;

	LWLockAcquire(bkc_shared->lock, LW_SHARED);
	for (int i = 0; i < BKC_MAX_JOBS && !active; i++)
	{
		const BkcJob *job = &bkc_shared->jobs[i];

		/*
		 * Workers that are still alive may still write, whatever has become
		 * of the leader; the slot keeps its label until they are gone.
		 */
		active = job->args.kind == BKC_JOB_BACKUP && strcmp(job->label, label) == 0 &&
			(job->state == BKC_JOB_REQUESTED || job->state == BKC_JOB_RUNNING ||
			 job->workers_running > 0);
		if (active)
			*start_lsn = job->start_lsn;
	}
	LWLockRelease(bkc_shared->lock);
	return active;
}

bool
bkc_shared_label_active(const char *label)
{
	uint64_t	ignored;

	return bkc_shared_backup_start(label, &ignored);
}

bool
bkc_shared_removing(const char *label)
{
	bool		removing = false;

	LWLockAcquire(bkc_shared->lock, LW_SHARED);
	for (int i = 0; i < BKC_MAX_JOBS && !removing; i++)
	{
		const BkcJob *job = &bkc_shared->jobs[i];

		removing = job->state == BKC_JOB_RUNNING && job->args.kind == BKC_JOB_EXPIRE &&
			strcmp(job->label, label) == 0;
	}
	LWLockRelease(bkc_shared->lock);
	return removing;
}
