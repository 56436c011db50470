/*
 * walstatus.h
 *		How WAL archiving stands, for the view backup_archiver and for
 *		backup_check(): shared memory beside what waits in pg_wal.
 */
#ifndef BKC_SERVER_WALSTATUS_H
#define BKC_SERVER_WALSTATUS_H

#include "pgcompat.h"

#include "datatype/timestamp.h"
#include "walshared.h"
#include "waldisk.h"

/* What is the same for all repositories, looked at once. */
typedef struct BkcWalServer
{
	const char *unable;			/* why WAL goes nowhere: a status; NULL = it is sent */
	BkcWalWaiting waiting;
	uint64		free;			/* in pg_wal's file system */
	double		wal_rate;		/* bytes of WAL a second */
	XLogRecPtr	position;		/* flushed (on a standby: received) up to here */
	TimeLineID	timeline;
	TimestampTz now;

	/* the archiver fails, and no repository is the reason; sqlstate 0: not so */
	BkcReport	trouble;
	char		trouble_file[BKC_WAL_FILE_MAX];
	TimestampTz trouble_at;
} BkcWalServer;

typedef struct BkcWalStatus
{
	/*
	 * archiving, behind (more than one segment waits), failing, refused (another
	 * data directory owns the repository), hole (WAL of the old primary is missing, and no backup
	 * was taken since the promotion), off (pg_backupctl.enabled), standby (its primary
	 * archives), not configured (archive_mode, archive_library)
	 */
	const char *status;
	BkcRepoState state;			/* a copy */
	uint64		backlog_segments;	/* wait in pg_wal and are not known to be durable there */
	uint64		backlog;		/* bytes of them */
	double		full_seconds;	/* until pg_wal's file system is full; < 0: never */

	/* what would be lost with this server; the view of one moment */
	bool		loss_known;
	uint64		loss;			/* bytes of WAL */
	TimestampTz loss_since;		/* what was written before is safe; 0 = not known */
} BkcWalStatus;

/* From microseconds since 1970, as the core counts them. */
static inline TimestampTz
bkc_from_unix(int64 usec)
{
	return usec - (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
}

/* Both ereport.  The library must be preloaded. */
extern void bkc_walstatus_server(BkcWalServer *server);

/* false when shared memory has no place for the repository. */
extern bool bkc_walstatus_repo(const BkcWalServer *server, const BkcRepoDef *repo,
							   BkcWalStatus *status);

/* Is that what keeps WAL from being archived?  NULL when it is archived. */
extern const char *bkc_walstatus_unable(void);

/* Up to where this server has WAL on disk: flushed, on a standby received or replayed. */
extern XLogRecPtr bkc_walstatus_position(TimeLineID *timeline);

/* Everybody who sends WAL to a repository tries again now, whatever was refused or failed. */
extern void bkc_walstatus_retry(const BkcRepoDef *repo);

#endif							/* BKC_SERVER_WALSTATUS_H */
