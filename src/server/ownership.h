/*
 * ownership.h
 *		May this data directory write to a repository?
 *
 * A repository's highest owner object names the data directory (by
 * bkc_spool_owner(): the random id in a file that knows its own inode, so that neither a host
 * name nor a mount point matters, and a copy is somebody else).  This server may write when
 *
 *	- nobody has claimed the repository: it claims it;
 *	- it is the owner;
 *	- it was seen streaming as a standby (a mark in its data directory, bound
 *	  to that by its inode, too), has been promoted, and no WAL of the old timeline in the
 *	  repository lies beyond the fork: it claims it;
 *	- restore --take-over left a mark in its data directory: it claims it;
 *	- backup_take_over() said so.
 *
 * Who claims it from another one looks for WAL that this has left to be sent (walhole.h).  A
 * promoted standby or a restored successor does not begin a repository (knowncluster.h).
 *
 * And only when, at the first look after the server's start, the repository holds no WAL of
 * its timeline beyond its own position: otherwise it is an older copy of the owner, byte by
 * byte.  That is remembered in the data directory, because such a copy may soon be ahead.
 * Two that live at the same time with one identity find each other by their claims (claim.h).
 *
 * The folder of a predecessor (the cluster before pg_upgrade) belongs to who owns that of the
 * cluster that has adopted it (adopt.h), so it needs no claims of its own.
 *
 * A server in recovery (archive_mode = always) claims nothing.  It may send
 * what it receives when the owner has come to its timeline, and when the newest WAL of that which
 * both have has the same content, and was written after the owner's last claim: so a
 * standby of a copy made before that is found out.  Asked anew in each process, with each
 * walreceiver and after each claim.  While there is no such WAL, it waits.
 */
#ifndef BKC_SERVER_OWNERSHIP_H
#define BKC_SERVER_OWNERSHIP_H

#include "pgcompat.h"

#include "base/url.h"
#include "store/store.h"

/*
 * Asks the repository, and again after 30 s; an answer in between comes from
 * memory (of this process).  Errors: BKC_ERR_STATE with what to do when it may not; others when
 * the repository could not be asked.  Does not raise.
 */
extern bool bkc_ownership_check(const BkcRepoDef *repo, BkcStore *store, BkcError *err);

/* The same for a cluster that this one has adopted; its own is fine, too. */
extern bool bkc_ownership_check_of(const BkcRepoDef *repo, BkcStore *store, uint64 sysid,
								   BkcError *err);

/*
 * Note where this server is now that it thinks of a repository (index in shared memory), if
 * that was not noted before: the earlier the better.
 */
extern void bkc_ownership_seen(int repo);

/* Forget the answer: the repository is asked next time. */
extern void bkc_ownership_forget(void);

/*
 * Claim it whoever has it; ereports.  by: the role that says so.  named: it has
 * named this repository, so that one which is empty now may be begun anew.
 */
extern void bkc_ownership_take(const BkcRepoDef *repo, BkcStore *store, const char *by, bool named);

/*
 * Note that this server is a standby that streams; called by the streamer
 * about every 10 s, writes only when there is no valid mark yet.  Raises.
 */
extern void bkc_ownership_mark_standby(void);

#endif							/* BKC_SERVER_OWNERSHIP_H */
