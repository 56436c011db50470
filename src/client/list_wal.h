/*
 * list_wal.h
 *		The part of "list" about WAL: what timelines a repository holds, and what
 *		can be restored with it.
 */
#ifndef BKC_CLIENT_LIST_WAL_H
#define BKC_CLIENT_LIST_WAL_H

#include "json.h"
#include "pipe/walmap.h"

/*
 * After the backups of a cluster; spans are the complete ones, oldest first.
 * Prints nothing when no WAL has been archived.  With cluster (a JSON object) "wal" and
 * "recovery_windows" are set in it instead.
 */
extern bool bkc_list_wal(BkcStore *store, uint64_t sysid, const BkcBackupSpan *spans, size_t nspans,
						 json_t *cluster, BkcError *err);

#endif							/* BKC_CLIENT_LIST_WAL_H */
