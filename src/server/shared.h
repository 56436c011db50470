/*
 * shared.h
 *		What the processes of pg_backupctl share: job slots.
 *
 * A job slot belongs to one run of one job: backend -> leader -> copy
 * workers.  It is free, or taken from the request until the leader has ended
 * and nobody waits for the result any more.
 *
 *		FREE -> REQUESTED			backend, under the lock
 *		REQUESTED -> RUNNING		leader, when it has started
 *		RUNNING -> DONE				leader (also when it dies), result is set
 *		REQUESTED -> DONE			backend or launcher: the leader never started
 *		DONE -> FREE				the waiting backend, or at once without one
 *
 * Everything but the atomics is protected by BkcShared.lock, which is only
 * held for moments.
 */
#ifndef BKC_SERVER_SHARED_H
#define BKC_SERVER_SHARED_H

#include "pgcompat.h"

#include "errors.h"
#include "format/envelope.h"
#include "format/label.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "store/store.h"
#include "utils/timestamp.h"

#define BKC_MAX_JOBS		13
#define BKC_MAX_WORKERS		64	/* numbers 1 to 64; the last is the leader copying alone */
#define BKC_REPO_NAME_MAX	32
#define BKC_SYNCED_MAX		32
#define BKC_TIER_MAX		64
#define BKC_OPTIONS_MAX		1024

typedef enum BkcJobState
{
	BKC_JOB_FREE,
	BKC_JOB_REQUESTED,
	BKC_JOB_RUNNING,
	BKC_JOB_DONE
} BkcJobState;

typedef enum BkcJobKind
{
	BKC_JOB_BACKUP,
	BKC_JOB_VERIFY,
	BKC_JOB_SETTLE,
	BKC_JOB_SCHEDULE,
	BKC_JOB_EXPIRE,
	BKC_JOB_WAL_CHECK,
	BKC_JOB_NOTIFY,
	BKC_JOB_SYNC
} BkcJobKind;

#define BKC_JOB_KINDS		(BKC_JOB_SYNC + 1)

/* How a job ended; a verdict of "bad" (verify, wal-check) is a failure, too. */
typedef enum BkcJobEnd
{
	BKC_END_COMPLETED,
	BKC_END_FAILED,
	BKC_END_CANCELLED
} BkcJobEnd;

#define BKC_JOB_ENDS		(BKC_END_CANCELLED + 1)

typedef enum BkcPhase
{
	BKC_PHASE_STARTING,
	BKC_PHASE_CHECKPOINT,
	BKC_PHASE_LISTING,
	BKC_PHASE_COPYING,
	BKC_PHASE_STOPPING,
	BKC_PHASE_WAL,
	BKC_PHASE_WAL_ARCHIVE,
	BKC_PHASE_MANIFEST,
	BKC_PHASE_VERIFYING,
	BKC_PHASE_SETTLING,
	BKC_PHASE_SCHEDULING,
	BKC_PHASE_PLANNING,
	BKC_PHASE_REMOVING,
	BKC_PHASE_NOTIFYING,
	BKC_PHASE_SYNCING,
	BKC_PHASE_FINISHED
} BkcPhase;

/* What the job is to do; written by the requester, read-only afterwards. */
typedef struct BkcJobArgs
{
	BkcJobKind	kind;
	char		repository[BKC_REPO_NAME_MAX];	/* "" = the first */
	char		type[16];
	char		tier[BKC_TIER_MAX]; /* "" = none */
	bool		has_retention;
	TimestampTz retention_date; /* when has_retention */
	char		options[BKC_OPTIONS_MAX];	/* as given, JSON text */
	bool		fast_checkpoint;
	bool		abort_on_checksum;
	bool		ignore_space;	/* go on where free space seems too little */
	bool		wal_in_archive; /* the archive has the backup's WAL ... */
	int			archive_wait;	/* ... so many seconds after its end */
	int			jobs;
	char		compression[32];	/* "" = of the repository */
	bool		latest;			/* verify: the latest backup ... */
	int64		backup_id;		/* ... or this one */
	char		storage_class[BKC_STORE_CLASS_MAX]; /* "" = of the repository */
	char		schedule[NAMEDATALEN];	/* "" = none */
	int			failures;		/* of that schedule, in a row before this run */
	char		requested_by[NAMEDATALEN];
} BkcJobArgs;

typedef struct BkcJob
{
	BkcJobState state;
	uint64		generation;		/* differs for each run; workers of an older one leave */
	BkcJobArgs	args;
	pid_t		leader_pid;		/* 0 before it has started */
	pid_t		requester_pid;
	bool		waiter;			/* somebody waits for the result and frees the slot */
	bool		cancelled;		/* by backup_cancel() or the waiting session */
	int64		id;				/* backup_catalog.id, 0 before the row is committed */
	char		label[BKC_LABEL_MAX];	/* "" before it is known */
	BkcPhase	phase;
	TimestampTz started;
	TimestampTz copy_started;	/* 0 before */
	TimestampTz finished;
	int			workers_wanted;
	int			workers_running;	/* attached and alive */
	uint32		worker_ok;		/* how many have ended well */
	uint32		worker_seen;	/* how many have ever attached */
	BkcReport	worker_error;	/* first failure of a worker */
	BkcReport	result;			/* sqlstate 0 = success; valid in DONE */
	bool		passed;			/* verify, expire, wal-check: the verdict */
	int64		event;			/* that the job itself has written about its end; 0 = none */
	uint64		skipped;		/* special files that are not in the backup */
	char		skipped_first[256];
	uint64		bad_blocks;		/* pages that failed their checksum */
	char		bad_first[256]; /* the first of them, for the WARNING */
	char		summary[512];	/* one line for the waiting session */
	char		warning[512];	/* that the backup is good, and all is not well; "" = none */
	char		announce[256];	/* one line at the start of copying */
	XLogRecPtr	start_lsn;		/* for the workers' page checks */
	uint32		file_count;		/* records in the list */
	bool		sealed;			/* what is stored is sealed, with the data key of that id */
	uint8		data_key[BKC_KEY_ID_SIZE];

	ConditionVariable cv;		/* broadcast at each change of the above */

	pg_atomic_uint32 cursor;	/* next record of the file list */
	pg_atomic_uint32 stop;		/* != 0: workers leave at once */
	pg_atomic_uint64 files_total;
	pg_atomic_uint64 files_done;
	pg_atomic_uint64 bytes_total;
	pg_atomic_uint64 bytes_done;
	pg_atomic_uint64 bytes_stored;
} BkcJob;

typedef struct BkcShared
{
	LWLock	   *lock;
	uint64		next_generation;
	Latch	   *launcher;		/* NULL while there is none */
	bool		settle;			/* leftovers may have to be settled */
	TimestampTz settle_failed;	/* when it last could not be done ... */
	int			settle_failures;	/* ... and how often in a row */
	bool		connected;		/* the last leader could connect to the catalog's database */
	bool		schedule_look;	/* a schedule was changed, or a job has ended */
	TimestampTz schedule_looked;	/* when the last look began ... */
	TimestampTz schedule_wake;	/* ... and when the next is due */
	bool		schedule_waits; /* one is due, and another job is in its way */
	TimestampTz health_tried;	/* when a look at backup_health was last asked for ... */
	bool		health_wanted;	/* ... which the scheduler has yet to take */
	bool		settings_noted; /* changes of settings are in backup_event */
	bool		notify_look;	/* there is a new event, or a target was changed */
	bool		notify_none;	/* no target is defined */
	TimestampTz notify_wake;	/* when the next look is due */
	uint64		sync_required;	/* how often bkc_sync_require() was called */
	int			nsynced;		/* repositories that the catalog was compared with since start */
	char		synced[BKC_SYNCED_MAX][BKC_REPO_NAME_MAX];
	int64		clock_offset;	/* of the clock to the machine's uptime; the launcher's */
	bool		clock_known;	/* it has looked for jumps before the server's start */
	bool		clock_confirmed;	/* backup_clock_is_right() was called */
	int64		clock_jump;		/* microseconds by which the clock has jumped, 0 = it has not */
	uint64		ended[BKC_JOB_KINDS][BKC_JOB_ENDS]; /* jobs since the server's start */
	BkcJob		jobs[BKC_MAX_JOBS];
} BkcShared;

/* NULL when the library is not preloaded. */
extern BkcShared *bkc_shared;

/* In _PG_init under shared_preload_libraries: install the hooks. */
extern void bkc_shared_init(void);

/* ERROR with the line to add when the library is not preloaded. */
extern void bkc_require_preload(void);

extern const char *bkc_phase_name(BkcPhase phase);

/* Change the phase (and wake who waits). */
extern void bkc_job_phase(BkcJob *job, BkcPhase phase);

/* Ask the launcher to settle leftovers. */
extern void bkc_shared_request_settle(void);

/* Is a job with that label running?  (Its objects must not be swept, its row not be closed.) */
extern bool bkc_shared_label_active(const char *label);

/* The same for a backup; *start_lsn is where its WAL begins, 0 as long as that is not known. */
extern bool bkc_shared_backup_start(const char *label, uint64_t *start_lsn);

/* Is retention removing that backup?  Asked and said with the lock of its catalog row. */
extern bool bkc_shared_removing(const char *label);

#endif							/* BKC_SERVER_SHARED_H */
