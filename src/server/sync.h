/*
 * sync.h
 *		The catalog rebuilt from the repositories: as a job, and by settle after a
 *		start of the server.
 */
#ifndef BKC_SERVER_SYNC_H
#define BKC_SERVER_SYNC_H

#include "shared.h"

extern void bkc_sync_run(BkcJob *job);
extern void bkc_sync_failed(BkcJob *job, const BkcReport *report, bool cancelled);

/*
 * Those repositories that were not read since the server's start.  Every one gets its turn; err is
 * the first failure.  Ereports what goes wrong in the catalog.
 */
extern bool bkc_sync_settle(bool installed, BkcError *err);

/* Is the catalog still to be compared with that repository (NULL: with any)? */
extern bool bkc_sync_pending(const char *repository);

/* That repository has something that the catalog does not know: it is to be compared anew. */
extern void bkc_sync_require(const char *repository);

#endif							/* BKC_SERVER_SYNC_H */
