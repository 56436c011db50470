/*
 * backup_copy.c
 *		The files of a backup: which, and into packs; see backup_leader.h.
 */
#include "pgcompat.h"

#include "backup_leader.h"
#include "base/host.h"
#include "base/text.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "preflight.h"
#include "utils/wait_event.h"
#include "worker.h"

#define COPY_TICK_MS		100

/* worker number of the leader's packs when it copies alone */
#define WORKER_SOLO			BKC_MAX_WORKERS

static void
check(bool ok, const BkcError *err)
{
	if (!ok)
		bkc_ereport(ERROR, err);
}

/* ---- file list ---- */

/*
 * A tablespace dropped between the start and the listing is in the map but
 * not in the scan; the manifest must know every one that the map names.
 */
static void
add_mapped_tablespaces(BkcLeader *l)
{
	const char *p = l->pg.map_text;

	while (*p != '\0')
	{
		StringInfoData path;
		Oid			oid = (Oid) strtoul(p, NULL, 10);

		initStringInfo(&path);
		for (p += strcspn(p, " \n"); *p == ' '; p++)
			;
		for (; *p != '\0' && *p != '\n'; p++)
		{
			if (*p == '\\' && p[1] != '\0')
				p++;
			appendStringInfoChar(&path, *p);
		}
		if (*p == '\n')
			p++;
		bkc_scan_add_tablespace(l->scan, oid, path.data);
	}
}

void
bkc_backup_list(BkcLeader *l)
{
	BkcJob	   *job = l->job;
	BkcScan    *scan;

	bkc_backup_phase(l, BKC_PHASE_LISTING, PROGRESS_BASEBACKUP_PHASE_ESTIMATE_BACKUP_SIZE);
	l->scan = scan = bkc_scan();
	add_mapped_tablespaces(l);
	bkc_preflight_location(l->repo, scan);
	if (!job->args.ignore_space)
		bkc_preflight_space(l->store, l->repo->name, (uint64) (scan->bytes * l->ratio), false);
	bkc_list_write(l->label, scan->records, (uint32) scan->count, scan->strings, scan->strings_len);
	pg_atomic_write_u64(&job->files_total, scan->count);
	pg_atomic_write_u64(&job->bytes_total, scan->bytes);
	l->extras.base = (uint32) scan->count;
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	job->file_count = (uint32) scan->count;
	job->start_lsn = l->pg.start_lsn;
	job->skipped = scan->skipped;
	strlcpy(job->skipped_first, scan->first_skipped, sizeof(job->skipped_first));
	LWLockRelease(bkc_shared->lock);
	pgstat_progress_update_param(PROGRESS_BASEBACKUP_BACKUP_TOTAL, (int64) scan->bytes);
	pgstat_progress_update_param(PROGRESS_BASEBACKUP_TBLSPC_TOTAL, (int64) scan->ntablespaces + 1);
	bkc_backup_fault(l, BKC_FAULT_LEADER_LISTED);
}

/* ---- copying ---- */

static void
progress_bytes(BkcLeader *l)
{
	pgstat_progress_update_param(PROGRESS_BASEBACKUP_BACKUP_STREAMED,
								 (int64) pg_atomic_read_u64(&l->job->bytes_done));
}

BkcCopySpec
bkc_backup_copy_spec(const BkcLeader *l, uint32 worker)
{
	BkcCopySpec spec = {
		.store = l->store,
		.job = l->job,
		.system_identifier = l->sysid,
		.label = l->label,
		.worker = worker,
		.codec = l->codec,
		.level = l->level,
		.check_pages = DataChecksumsEnabled(),
	};

	return spec;
}

static void
announce_copy(BkcLeader *l, int workers)
{
	BkcJob	   *job = l->job;
	char		size[32];

	bkc_format_size(l->scan->bytes, size, sizeof(size));
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	job->copy_started = GetCurrentTimestamp();
	snprintf(job->announce, sizeof(job->announce),
			 "backup %s to \"%s\": %s in %zu files, %d worker%s",
			 l->label, l->repo->name, size, l->scan->count,
			 Max(workers, 1), workers > 1 ? "s" : "");
	LWLockRelease(bkc_shared->lock);
	ConditionVariableBroadcast(&job->cv);
}

/* for the poll and stop callbacks, which have no argument */
static BkcLeader *alone = NULL;

static bool
copy_stop(void)
{
	return alone->job->cancelled || alone->collect_failed;
}

static void
leader_poll(void)
{
	if (!alone->collect_failed &&
		!bkc_collect_step(&alone->collector, &alone->collect_error))
		alone->collect_failed = true;
}

/* No worker came to life: the leader does it all, storing WAL between two frames. */
static void
copy_alone(BkcLeader *l)
{
	BkcCopySpec spec = bkc_backup_copy_spec(l, WORKER_SOLO);
	BkcError	err;
	bool		ok;

	spec.max_rate = (uint64) bkc_set_max_rate * 1024;
	check(bkc_list_open(l->label, &l->list, &err), &err);
	check(bkc_copier_new(&spec, &l->solo, &err), &err);
	alone = l;
	bkc_host_watch(copy_stop);
	bkc_host_poll(leader_poll);
	ok = bkc_copier_run(l->solo, &l->list, &err) && bkc_copier_finish(l->solo, &err);
	bkc_host_poll(NULL);
	check(!l->collect_failed, &l->collect_error);
	check(ok, &err);
	bkc_copier_close(&l->solo);
	bkc_list_close(&l->list);
}

void
bkc_backup_copy(BkcLeader *l)
{
	BkcJob	   *job = l->job;
	BkcCrew    *crew;
	uint32		ended_well;
	BkcError	err;

	bkc_backup_phase(l, BKC_PHASE_COPYING, PROGRESS_BASEBACKUP_PHASE_STREAM_BACKUP);
	crew = bkc_crew_start(job, job->args.jobs);
	announce_copy(l, bkc_crew_size(crew));
	while (!bkc_crew_finished(crew))
	{
		CHECK_FOR_INTERRUPTS();
		if (job->cancelled)
			ereport(ERROR,
					(errcode(ERRCODE_QUERY_CANCELED), errmsg("the backup was cancelled")));
		check(bkc_collect_step(&l->collector, &err), &err);
		progress_bytes(l);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 COPY_TICK_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	ended_well = bkc_crew_result(crew);
	if (ended_well == 0)
		copy_alone(l);
	progress_bytes(l);
	l->workers = (int) Max(ended_well, 1);
	bkc_backup_fault(l, BKC_FAULT_LEADER_COPIED);
}
