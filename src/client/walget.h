/*
 * walget.h
 *		wal-get in parts: what they share, and what each is for.
 *
 *		walget			the command: options, exit status
 *		walget_ask		asks one repository after the other
 *		walget_conclude	what nobody has whole
 *		walget_archive	what a repository's archive holds of a file, and its neighbours
 *		walget_chunks	the open segment, put together from its chunks
 *		walget_path		which part of its timeline recovery comes through
 *		walget_timeline what is known of WAL behind the segment
 *		walget_backup	WAL inside backups
 *		walget_deliver	a file under a temporary name, checked, then named
 *		walget_spool	the folder of segments that were fetched ahead
 *		walget_prefetch the process in the background that fetches them
 *
 * The server takes every exit status from 1 to 125 for "there is no such
 * file", and recovery ends there.  So "absent" must be proven by
 * every repository, and whatever is not known is a failure.
 */
#ifndef BKC_CLIENT_WALGET_H
#define BKC_CLIENT_WALGET_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/names.h"
#include "format/pgfiles.h"

#include "options.h"
#include "session.h"

#define BKC_WALGET_PREFETCH		8	/* segments, where nothing else is said */
#define BKC_WALGET_PREFETCH_MAX	256
#define BKC_WALGET_TEMP			".pg_backupctl"	/* ends the name of an unfinished file */

/* The part of a timeline that recovery comes through. */
typedef struct BkcWalPart
{
	uint64_t	begin;
	uint64_t	end;			/* UINT64_MAX when it is not left */
} BkcWalPart;

/* What is asked for: by the command line and by where it was started. */
typedef struct BkcWalGet
{
	const BkcOptions *options;
	const char *file;
	const char *path;			/* where it shall be */
	const char *label;			/* --backup; NULL: all backups */
	bool		history;		/* else a segment */
	bool		standby;
	uint32_t	timeline;		/* the file's */
	uint32_t	target;			/* --timeline, 0 when not given or for others */
	uint64_t	until;			/* --until, UINT64_MAX likewise */
	bool		limitless;		/* the options' limits are not for this file */
	uint32_t	prefetch;		/* segments; 0: none */
	int			retry_ms;		/* how long to ask again; 0: ask once */
	size_t		nrepos;

	/* 0 until it is known: from the data directory, --cluster or a repository */
	uint64_t	sysid;
	uint32_t	segment_size;

	/* "" when path is in no data directory's pg_wal, respectively nothing is fetched ahead */
	char		data_dir[PATH_MAX];
	char		spool_top[PATH_MAX];
	char		spool[PATH_MAX];

	/* walget_path: see bkc_walget_part() */
	BkcWalPart	part;
	uint64_t	fork;			/* nothing is served that reaches behind it */
	uint32_t	fork_timeline;
	bool		part_known;

	int			into;			/* > 0: a file in memory that is filled in place of path */

	/* results */
	bool		target_failed;	/* the last failure was at path, no repository's */
	bool		lost_history;	/* nobody has the history, but its number is taken */
	uint32_t	label_timeline; /* asked for a history: that of the backup --backup, ... */
	uint32_t	backup_timeline;	/* ... and the highest of all backups; 0 when none was seen */
	bool		prefetching;	/* this process has seen to the prefetch */
} BkcWalGet;

/* Where a segment begins; segment_size must be known. */
extern uint64_t bkc_walget_start(const BkcWalGet *w);

/* Where the WAL of this timeline ends that is served: --until, or where recovery leaves it. */
extern uint64_t bkc_walget_end(const BkcWalGet *w);

/* Is all of the segment behind that end?  false while the segment size is not known. */
extern bool bkc_walget_behind_end(const BkcWalGet *w);

/*
 * Take a segment size that a repository told.  BKC_ERR_CORRUPT when another one is
 * known already, or it makes no sense for this segment.
 */
extern bool bkc_walget_take_size(BkcWalGet *w, uint32_t segment_size, const char *from,
								 BkcError *err);

/* ---- walget_ask ---- */

/*
 * true: *delivered says whether the file is at path, or proven absent.  false: the answer is not
 * known.  Tries again as long as w allows where that may help.
 */
extern bool bkc_walget_ask(BkcWalGet *w, bool *delivered, BkcError *err);

/* Open the n-th repository and make sure that it holds the cluster (which sets w->sysid). */
extern bool bkc_walget_open(BkcWalGet *w, size_t n, BkcSession *session, BkcError *err);

/*
 * Is the cluster's object (still) there?  Without it a repository proves nothing: the file system
 * may not be mounted.  BKC_ERR_UNAVAILABLE when the repository is empty, BKC_ERR_NOT_FOUND
 * when it holds other clusters only.
 */
extern bool bkc_walget_cluster_there(BkcSession *session, BkcError *err);

/* ---- walget_archive ---- */

/* What the archive says about a segment. */
typedef struct BkcWalLook
{
	bool		whole;			/* an object of that name, or a conflict object */
	bool		conflict;		/* which one to read is not known without asking */
	bool		chunks;
	char		later[BKC_WAL_NAME_MAX];	/* of the timeline, whole or chunks; or "" */
	char		sample[BKC_NAME_MAX];	/* any whole segment's object nearby; or "" */
} BkcWalLook;

/* One listing; further ones only for what is not there and last of its log. */
extern bool bkc_walget_look(const BkcWalGet *w, BkcSession *session, BkcWalLook *look,
							BkcError *err);

/* One repository. */
typedef struct BkcWalSource
{
	BkcSession	session;
	bool		answered;		/* it has been proven not to have the whole file */
	BkcWalLook	look;
	uint64_t	chunks_end;		/* how far they reach, 0 for none */
	BkcError	err;			/* why it did not answer */
} BkcWalSource;

/* One round of asking all. */
typedef struct BkcWalAsk
{
	BkcWalGet  *w;
	BkcWalSource *sources;
	bool		seen;			/* --backup was there somewhere, or any backup */
	bool		gap;
	bool		delivered;
} BkcWalAsk;

/*
 * Nobody has the whole file, and everybody has answered.  true: it was delivered from chunks, or
 * there is no such file.
 */
extern bool bkc_walget_conclude(BkcWalAsk *ask, BkcError *err);

/* Read the whole segment or the history; *found = false only for histories. */
extern bool bkc_walget_archive(BkcWalGet *w, BkcSession *session, const BkcWalLook *look,
							   bool *found, BkcError *err);

/*
 * One listing of the log for the prefetch: there[i] becomes BKC_WAL_PLAIN or
 * BKC_WAL_CONFLICT where segment first + i is whole, for all of the n that lie in that log.
 */
#define BKC_WAL_PLAIN		1
#define BKC_WAL_CONFLICT	2
extern bool bkc_walget_list(const BkcWalGet *w, BkcSession *session, uint32_t log, uint64_t first,
							unsigned char *there, size_t n, BkcError *err);

/* Into path: that segment, checked; also for the prefetch. */
extern bool bkc_walget_segment(BkcWalGet *w, BkcSession *session, const char *file,
							   const char *path, bool conflict, BkcError *err);

/* ---- walget_path ---- */

/*
 * Fill part, or fork where recovery's way is not known behind it.  With begin also where
 * part begins in the timeline that recovery goes to.  Once: what is known is not asked again.
 */
extern bool bkc_walget_part(BkcWalGet *w, bool begin, BkcError *err);

/*
 * A timeline's history out of any repository; *found = false when all of them have proven that they
 * have none.  *entries is malloc'ed.
 */
extern bool bkc_walget_history(const BkcWalGet *w, uint32_t timeline, BkcHistoryEntry **entries,
							   size_t *n, bool *found, BkcError *err);

/* The part of w's timeline on that way; false when it is not on it. */
extern bool bkc_walget_part_of(const BkcWalGet *w, const BkcHistoryEntry *entries, size_t n,
							   BkcWalPart *part);

/* Timelines above w's of which some repository has a history, newest first; malloc'ed. */
extern bool bkc_walget_later(const BkcWalGet *w, uint32_t **list, size_t *n, BkcError *err);

/* BKC_ERR_STATE when the segment reaches behind w->fork. */
extern bool bkc_walget_not_past_fork(const BkcWalGet *w, const char *file, BkcError *err);

/* ---- walget_timeline ---- */

/* Is there WAL of that timeline, or (0) anything below wal/? */
extern bool bkc_walget_has_wal(BkcSession *session, uint32_t timeline, bool *has, BkcError *err);

/* The highest timeline of which there is a history or WAL; 0 when there is none. */
extern bool bkc_walget_highest(BkcSession *session, uint32_t *highest, BkcError *err);

/* Learn the segment size, when it is not known, from any WAL of the cluster that there is. */
extern bool bkc_walget_any_size(BkcWalGet *w, BkcSession *session, BkcError *err);

/*
 * Does recovery leave the segment's timeline only behind the segment, for one of which there is
 * WAL?  Then the segment has existed, even when nothing later of its own timeline is there.
 */
extern bool bkc_walget_passed(const BkcWalGet *w, BkcSession *session, bool *passed,
							  BkcError *err);

/* ---- walget_chunks ---- */

/* Learn the segment size, when it is not known, from one of them. */
extern bool bkc_walget_chunks_size(BkcWalGet *w, BkcSession *session, BkcError *err);

/* How far they reach; BKC_ERR_NOT_FOUND when there is nothing from the beginning on. */
extern bool bkc_walget_chunks_end(const BkcWalGet *w, BkcSession *session, uint64_t *end_lsn,
								  BkcError *err);

/*
 * BKC_ERR_CORRUPT when they do not reach to wanted, BKC_ERR_UNAVAILABLE when the
 * repository has changed meanwhile.
 */
extern bool bkc_walget_chunks(BkcWalGet *w, BkcSession *session, uint64_t wanted, BkcError *err);

/* ---- walget_backup ---- */

/*
 * Look into --backup, or into all complete backups, newest first; histories always into all.
 * *seen becomes true when there was a backup to look into.
 */
extern bool bkc_walget_backup(BkcWalGet *w, BkcSession *session, bool *seen, bool *found,
							  BkcError *err);

/* ---- walget_deliver ---- */

/* Writes the content to fd, which is at its beginning; path is for messages. */
typedef bool (*BkcWalFill) (void *arg, int fd, const char *path, BkcError *err);

/*
 * Have fill() write a temporary file beside path, check that it is the segment it should be,
 * cut it where its WAL ends (bkc_walget_end), sync it, and give it its name.  With locked the
 * temporary file is locked (flock) as long as somebody writes it.  After a failure nothing is left.
 */
extern bool bkc_walget_deliver(BkcWalGet *w, const char *file, const char *path, bool locked,
							   BkcWalFill fill, void *arg, BkcError *err);

/* ---- walget_spool ---- */

/* Fills data_dir, and sysid and segment_size from its control file, when path is in one. */
extern void bkc_walspool_surroundings(BkcWalGet *w);

/* Fills spool and spool_top, where something may be fetched ahead. */
extern void bkc_walspool_locate(BkcWalGet *w);

/*
 * Give the segment its name at path if it is in the spool, waiting for it when
 * it is just being fetched.  false: it is not.
 */
extern bool bkc_walspool_take(const BkcWalGet *w);

/* Remove all but the next segments; the number of those that are there. */
extern uint32_t bkc_walspool_trim(const BkcWalGet *w);

/* "<spool>/<file>" */
extern bool bkc_walspool_path(const BkcWalGet *w, const char *file, char out[PATH_MAX]);
extern bool bkc_walspool_has(const BkcWalGet *w, const char *file);

/*
 * Make the spool and lock it for the one process that fetches.  The descriptor, which keeps the
 * lock also across fork(), or -1: somebody has it, or there can be no spool.
 */
extern int	bkc_walspool_lock(const BkcWalGet *w);

/* Remove unfinished files that nobody writes any more, and the spools of other repositories. */
extern void bkc_walspool_tidy(const BkcWalGet *w);

/* Remove all there is. */
extern void bkc_walspool_clear(const BkcWalGet *w);

/* ---- walget_prefetch ---- */

/* The process of the server whose data directory it is; 0 when none is recovering there. */
extern long bkc_walget_server(const BkcWalGet *w);

/*
 * See to it that the segments behind this one are fetched, unless that is going on already or
 * enough of them are there.  Returns at once and never fails.
 */
extern void bkc_walget_prefetch(BkcWalGet *w);

#endif							/* BKC_CLIENT_WALGET_H */
