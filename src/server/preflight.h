/*
 * preflight.h
 *		What is asked before a backup leaves anything behind.  All ereport.
 */
#ifndef BKC_SERVER_PREFLIGHT_H
#define BKC_SERVER_PREFLIGHT_H

#include "pgcompat.h"

#include "base/url.h"
#include "scan.h"
#include "store/store.h"

/* Switched on, a primary, enough in the WAL? */
extern void bkc_preflight_server(void);

/*
 * The cluster object is ours (made when the repository has none, unless the
 * catalog or the data directory knows better), and this server may write there.
 */
extern void bkc_preflight_cluster(BkcStore *store, const BkcRepoDef *repo, uint64 sysid);

/* Stored bytes for each byte of the last backup; 0.5 when there was none. */
extern double bkc_preflight_ratio(void);

/* Room for about that many bytes, in a repository that can tell? */
extern void bkc_preflight_space(BkcStore *store, const char *repository, uint64 need);

/*
 * A repository in the data directory or in a tablespace would be part of each of its backups; so
 * would the key of a sealed one.
 */
extern void bkc_preflight_location(const BkcRepoDef *repo, const BkcScan *scan);

#endif							/* BKC_SERVER_PREFLIGHT_H */
