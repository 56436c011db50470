/*
 * claim.h
 *		One question to a repository: whose is it, and may this server claim it?
 *		(The rules stand in ownership.h; only ownership.c uses this.)
 *
 * Nothing here raises.  Refusals are BKC_ERR_STATE.  Not in recovery.
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
	bool		found;			/* somebody has claimed it: */
	BkcOwnerDoc doc;
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

/* ---- for backup_take_over() ---- */

/* Is it ours, claimed on our timeline at a point that lies behind us? */
extern bool bkc_claim_is_settled(const BkcClaim *c);

/*
 * Accept that the repository holds WAL of our timeline that is not ours (then *was = true).
 * When another directory seems to have our identity, we get a new one.
 */
extern bool bkc_claim_accept(BkcClaim *c, bool *was, BkcError *err);
extern bool bkc_claim_put(BkcClaim *c, const char *reason, const char *by, BkcError *err);

/*
 * The repository is ours: what could make it ours without anybody's word must
 * not do so again after somebody else has taken it over.
 */
extern bool bkc_claim_use_marks(const BkcClaim *c, BkcError *err);

#endif							/* BKC_SERVER_CLAIM_H */
