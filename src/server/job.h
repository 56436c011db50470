/*
 * job.h
 *		Starting jobs, waiting for them, cancelling them.
 */
#ifndef BKC_SERVER_JOB_H
#define BKC_SERVER_JOB_H

#include "pgcompat.h"

#include "postmaster/bgworker.h"
#include "shared.h"

typedef struct BkcJobHandle
{
	BkcJob	   *job;
	uint64		generation;
	BackgroundWorkerHandle *worker;
} BkcJobHandle;

/*
 * Take a slot and start the leader.  ereports when a backup is running
 * already (with its id and progress), or no slot or worker is free.  With
 * wait the caller must call bkc_job_wait().
 */
extern BkcJobHandle *bkc_job_start(const BkcJobArgs *args, bool wait);

/*
 * Wait until the leader has published the job's row (*id) or has failed; a
 * failure is raised here.
 */
extern int64 bkc_job_wait_id(BkcJobHandle *handle);

/*
 * Wait for the end.  Announces start and end as NOTICEs, raises the job's
 * error.  When the waiting ends by an error or exit of the session, the job
 * is cancelled.  *passed (may be NULL) is verify's verdict, *event (likewise) the row of
 * backup_event that the job has written.
 */
extern void bkc_job_wait(BkcJobHandle *handle, bool hint_snapshot, bool *passed, int64 *event);

/*
 * Has the leader ended without a word (it could not start, or crashed
 * early)?  Then the slot is done.
 */
extern bool bkc_job_lost(BkcJobHandle *handle);

/* Is the slot still that of this run? */
extern bool bkc_job_alive(const BkcJobHandle *handle);

/* Do not wait any longer; the job goes on. */
extern void bkc_job_detach(BkcJobHandle *handle);

/* Cancel by row id; false when no such job is running. */
extern bool bkc_job_cancel(int64 id);

#endif							/* BKC_SERVER_JOB_H */
