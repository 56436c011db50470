/*
 * walhole.h
 *		WAL that a repository lacks right before the fork at which this server
 *		has left the old primary's timeline.
 *
 * What the old primary had not archived when it died is lost with it, unless
 * this server still has it.  A standby with archive_mode = on will never send
 * it by itself: it has marked it as done when it received it.
 */
#ifndef BKC_SERVER_WALHOLE_H
#define BKC_SERVER_WALHOLE_H

#include "pgcompat.h"

#include "base/url.h"
#include "store/store.h"

/*
 * If a claim has asked for it (BkcRepoState.hole_due): find the hole, send what
 * is still in pg_wal, and name the rest in shared memory and in a WARNING.
 * When it could not be done it stays due.  Does not raise.
 */
extern bool bkc_hole_fill(const BkcRepoDef *def, int repo, BkcStore *store, BkcError *err);

/* A backup was taken since: nobody needs what is missing any more. */
extern void bkc_hole_forget(const BkcRepoDef *def);

#endif							/* BKC_SERVER_WALHOLE_H */
