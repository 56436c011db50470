/*
 * restore_sync.h
 *		Everything that a restore has written, to disk.
 */
#ifndef BKC_CLIENT_RESTORE_SYNC_H
#define BKC_CLIENT_RESTORE_SYNC_H

#include "restore.h"

extern bool bkc_restore_sync(BkcRestore *r, BkcError *err);

#endif							/* BKC_CLIENT_RESTORE_SYNC_H */
