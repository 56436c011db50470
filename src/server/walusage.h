/*
 * walusage.h
 *		What the WAL of a repository takes, noted in the catalog for backup_storage.
 */
#ifndef BKC_SERVER_WALUSAGE_H
#define BKC_SERVER_WALUSAGE_H

#include "base/url.h"
#include "store/store.h"

/*
 * Measure and note it.  Jobs that have to do with all of the WAL call it at their end; what
 * goes wrong is a WARNING and leaves the former numbers, with their time.
 */
extern void bkc_walusage_note(const BkcRepoDef *repo, BkcStore *store);

#endif							/* BKC_SERVER_WALUSAGE_H */
