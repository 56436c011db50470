/*
 * walhole.h
 *		WAL that a repository lacks right before the fork at which this server
 *		has left the old primary's timeline.
 *
 * What the old primary had not archived when it died is lost with it, unless
 * this server still has it.  A standby with archive_mode = on will never send
 * it by itself: it has marked it as done when it received it.  Segments were
 * sent in parallel, so a missing one may have later ones behind it.
 *
 * Nothing here raises.
 */
#ifndef BKC_SERVER_WALHOLE_H
#define BKC_SERVER_WALHOLE_H

#include "pgcompat.h"

#include "base/url.h"
#include "store/store.h"

/*
 * This server is about to claim a repository that was somebody else's, or its own on another
 * timeline: what that one lacks is to be looked for once it is ours.  To be called
 * before the claim: that may be the last that this life does.
 */
extern void bkc_hole_expect(const BkcRepoDef *def, int repo, TimeLineID timeline);

/*
 * Once in a life of the server: what an earlier one has found, or has left to be looked for,
 * into shared memory.  Not in recovery.
 */
extern void bkc_hole_recall(const BkcRepoDef *def, int repo);

/*
 * If there is something to be looked for (BkcRepoState.hole_due): find the hole, send what
 * is still in pg_wal, and name the rest in shared memory and in a WARNING.
 * When it could not be done it stays due, over restarts, too.
 */
extern bool bkc_hole_fill(const BkcRepoDef *def, int repo, BkcStore *store, BkcError *err);

/* A backup was taken since: nobody needs what is missing any more. */
extern void bkc_hole_forget(const BkcRepoDef *def);

#endif							/* BKC_SERVER_WALHOLE_H */
