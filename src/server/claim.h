/*
 * claim.h
 *		One question to a repository: whose is it, and may this server claim it?
 *		(The rules stand in ownership.h; only ownership.c uses this.)
 *
 * Nothing here raises.  Refusals are BKC_ERR_STATE.  In recovery only
 * bkc_claim_standby().
 *
 * A copy made of blocks (a storage snapshot) has the identity of its original.
 * Each life of the shared memory has a session, and claims once ("start").
 * Who has claimed and then finds a higher claim of its own identity, but of
 * another session, is one of two servers: it says so in a last claim ("twin"),
 * and neither may write any more until backup_take_over() has given one of them
 * another identity.
 */
#ifndef BKC_SERVER_CLAIM_H
#define BKC_SERVER_CLAIM_H

#include "pgcompat.h"

#include "base/url.h"
#include "format/documents.h"
#include "store/store.h"
#include "walbeyond.h"

typedef struct BkcClaim
{
	const BkcRepoDef *repo;
	int			index;			/* in shared memory */
	BkcStore   *store;
	uint64		sysid;
	char		me[BKC_OWNER_ID_MAX];
	TimeLineID	timeline;
	XLogRecPtr	lsn;			/* our write position */
	XLogRecPtr	since;			/* what it was when the repository was first thought of */
	bool		claimed;		/* this session had claimed it before we asked */
	bool		found;			/* somebody has claimed it: */
	BkcOwnerDoc doc;
	BkcError	damage;			/* code not BKC_OK: of doc only the number can be read */
} BkcClaim;

extern bool bkc_claim_begin(BkcClaim *c, const BkcRepoDef *repo, int index, BkcStore *store,
							BkcError *err);

/* Ask the repository: fills found and doc. */
extern bool bkc_claim_ask(BkcClaim *c, BkcError *err);

/*
 * May this server write, or may it claim the repository without anybody's word?  Then that is
 * done.  BKC_ERR_EXISTS when somebody was faster: ask again.
 */
extern bool bkc_claim_try(BkcClaim *c, BkcError *err);

/*
 * May this server in recovery send what it receives?  Claims nothing.  after: only WAL that was
 * written behind this shows that it is the owner's (bkc_wal_common()).
 */
extern bool bkc_claim_standby(const BkcClaim *c, TimeLineID timeline, XLogRecPtr *after,
							  BkcError *err);

/* ---- for backup_take_over() ---- */

/* Is it ours, claimed by this session, and by nobody else of our identity? */
extern bool bkc_claim_is_settled(const BkcClaim *c);

/*
 * Accept that the repository holds WAL of our timeline that is not ours (then *was = true).
 * When another directory has or may have our identity, we get a new one.
 */
extern bool bkc_claim_accept(BkcClaim *c, bool *was, BkcError *err);
extern bool bkc_claim_put(BkcClaim *c, const char *reason, const char *by, BkcError *err);

/*
 * The repository is ours: what could make it ours without anybody's word must
 * not do so again after somebody else has taken it over.
 */
extern bool bkc_claim_use_marks(const BkcClaim *c, BkcError *err);

#endif							/* BKC_SERVER_CLAIM_H */
