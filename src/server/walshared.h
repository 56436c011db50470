/*
 * walshared.h
 *		What the processes that ship WAL share: one state for each repository.
 *
 * archiver, WAL helpers and streamer write it, the views read it.  Protected
 * by bkc_wal->lock, which is held for moments only.
 */
#ifndef BKC_SERVER_WALSHARED_H
#define BKC_SERVER_WALSHARED_H

#include "pgcompat.h"

#include "base/url.h"
#include "errors.h"
#include "seen.h"
#include "settings.h"
#include "shared.h"
#include "walqueue.h"

/*
 * Places that the setting has named since the server's start.  They are never
 * given to another repository: some process may still be at work for the old one.
 */
#define BKC_MAX_REPOS		32
#define BKC_WAL_FILE_MAX	64

typedef struct BkcRepoState
{
	bool		used;
	char		name[BKC_REPO_NAME_MAX];
	uint64		url_hash;		/* of the place; elsewhere under the same name is another one */
	bool		listed;			/* the archiver serves it */
	BkcWalWindow window;		/* see walqueue.h */

	/* the archiver's side */
	char		last_file[BKC_WAL_FILE_MAX];	/* durable here most recently */
	TimestampTz last_time;
	char		prefix_file[BKC_WAL_FILE_MAX];	/* all segments up to it (since the server's
												 * start) are durable here */
	XLogRecPtr	prefix_lsn;		/* its end */
	TimeLineID	prefix_tli;
	uint64		files;			/* since the server's start */
	uint64		bytes_plain;
	uint64		bytes_stored;
	double		rate;			/* plain bytes a second while sending, moving average */

	/* trouble */
	uint64		failures;		/* since the server's start */
	uint32		failures_in_row;
	TimestampTz failed_at;
	TimestampTz retry_at;		/* nobody tries before; 0 = now */
	char		failed_file[BKC_WAL_FILE_MAX];
	bool		failed_alone;	/* it is that file: others that succeed prove nothing about it */
	BkcReport	error;			/* the last one; stays after it has passed */

	/* the streamer's side */
	XLogRecPtr	shipped_lsn;	/* everything before it is in the repository */
	TimeLineID	shipped_tli;
	TimestampTz shipped_time;	/* up to when */
	uint64		chunks;			/* since the server's start */
	uint64		chunk_bytes;
	BkcReport	chunk_error;	/* sqlstate 0 = the last one went well */

	/* ownership, as the last check found it: sqlstate 0 = may write */
	BkcReport	refusal;
	XLogRecPtr	since_lsn;		/* where this server was when it first thought of the repository */
	TimeLineID	since_tli;		/* 0 = not yet */
	bool		guarded;		/* no foreign WAL was there beyond that */
	bool		claimed;		/* the highest claim was once of our session */

	/* the data key that is in use for what is written on that day; 0 = none */
	int64		key_day;		/* since 1970 */
	uint8		key_id[BKC_KEY_ID_SIZE];

	/* segments that were missing before a fork when it was claimed; "" = none known */
	bool		hole_recalled;	/* what an earlier life has left is known */
	TimeLineID	hole_due;		/* to be looked for at the forks to it and later ones; 0 = not */
	char		hole_first[BKC_WAL_FILE_MAX];
	char		hole_last[BKC_WAL_FILE_MAX];

	BkcRepoSeen seen;			/* by whoever has asked it */
} BkcRepoState;

typedef struct BkcWalShared
{
	LWLock	   *lock;
	ConditionVariable cv;		/* broadcast when a segment of a window becomes durable or free */

	/*
	 * Of this life of the shared memory: after a crash of any process, too,
	 * flushed WAL that belonged to an unfinished record may be written anew.
	 * Microseconds since 1970.
	 */
	uint64		generation;
	uint64		session;		/* random: names this life of the shared memory; not 0 */
	Latch	   *streamer;		/* NULL while there is none */
	double		wal_rate;		/* bytes of WAL a second, moving average; by the streamer */
	TimestampTz shutdown_began; /* the archiver's last cycle; 0 before */
	uint32		helpers;		/* attached and alive */
	BkcRepoState repos[BKC_MAX_REPOS];
} BkcWalShared;

/* NULL when the library is not preloaded. */
extern BkcWalShared *bkc_wal;

/* For shared.c, under AddinShmemInitLock. */
extern void bkc_wal_shmem_init(BkcWalShared *wal, LWLock *lock);

/*
 * What names the place: the URL without the parameters that may change without
 * making it another one (compression, ...).
 */
extern uint64 bkc_wal_place(const BkcUrl *url);

/*
 * Index of the repository's state, taken anew when it is not there yet.  -1
 * when all are taken: so many places were named since the server's start.
 */
extern int	bkc_wal_repo(const BkcRepoDef *def);

/* Note success or failure of sending to a repository. */
extern void bkc_wal_note_sent(int repo, const char *file, uint64 plain, uint64 stored,
							  double seconds);
extern void bkc_wal_note_failure(int repo, const char *file, const BkcError *err);

/* Nothing is known to be in that repository any more. */
extern void bkc_wal_forget_archived(int repo);

/*
 * These are the repositories that the archiver serves from now on.  What was
 * said of one that comes (back) is forgotten: it may lack what was archived
 * meanwhile.
 */
extern void bkc_wal_note_listed(const int *repos, size_t n);

/* The archiver has reported the file: it is durable in each of these, as is all before it. */
extern void bkc_wal_note_reported(const char *file, const int *repos, size_t n);

/* Is that value of archive_library this module, with or without a folder or ending? */
extern bool bkc_wal_is_our_library(const char *library);

/* Is the archive module of this server ours, archive_mode on (on a standby: always), enabled? */
extern bool bkc_wal_archiving(void);

#endif							/* BKC_SERVER_WALSHARED_H */
