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

/*
 * Stored bytes for each byte, by the catalog: the most of the last backups of that type and
 * compression in that repository; without any, of the last one at all; 0.5 when there was none.
 */
extern double bkc_preflight_ratio(const char *repository, const char *type,
								  const char *compression);

/* Room for about that many bytes, in a repository that can tell?  force: only a WARNING if not. */
extern void bkc_preflight_space(BkcStore *store, const char *repository, uint64 need, bool force);

/*
 * A repository in the data directory or in a tablespace would be part of each of its backups; so
 * would the key of a sealed one.
 */
extern void bkc_preflight_location(const BkcRepoDef *repo, const BkcScan *scan);

#endif							/* BKC_SERVER_PREFLIGHT_H */
