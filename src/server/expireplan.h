/*
 * expireplan.h
 *		What retention says about one repository: plans of format/retention.h, made
 *		of what the repository holds, the catalog and the policy.  One is for this cluster, and
 *		one for each predecessor.
 */
#ifndef BKC_SERVER_EXPIREPLAN_H
#define BKC_SERVER_EXPIREPLAN_H

#include "pgcompat.h"

#include "base/url.h"
#include "format/retention.h"
#include "pipe/lineage.h"
#include "pipe/unpack.h"
#include "pipe/walmap.h"

typedef struct BkcExpirePlan
{
	const BkcRepoDef *repo;
	uint64		system_identifier;
	BkcStore   *store;			/* not owned */
	BkcWalMap  *map;
	BkcRetentionInput input;
	BkcRetentionPlan *plan;
	int64	   *ids;			/* of the backups in the catalog, 0 = not there */
	int64	   *sizes;			/* stored bytes, 0 = not known */
	bool		has_policy;

	/* behind the input; freed with it */
	BkcBackupRef *refs;
	BkcBackupSpan *spans;
	size_t		nspans;
} BkcExpirePlan;

typedef struct BkcExpirePlans
{
	BkcStore   *store;
	BkcPredecessor *predecessors;
	size_t		npredecessors;
	BkcExpirePlan *plans;		/* of this cluster, then of its predecessors, as they are there */
	size_t		n;
} BkcExpirePlans;

/*
 * Open the repository and see which clusters are to be planned; then ask it about them, and read
 * the catalog in transactions of their own, or the caller's.  Both ereport.
 * Everything is released with the current memory context, or by bkc_expireplan_close().
 */
extern BkcExpirePlans *bkc_expireplan_open(const BkcRepoDef *repo);
extern void bkc_expireplan_make(BkcExpirePlans *all);
extern void bkc_expireplan_close(BkcExpirePlans *all);

/* Seconds of the recovery window, or BKC_RETENTION_UNLIMITED. */
extern int64 bkc_expireplan_window(const char *repository);

/* kind: "backup" or "wal"; id and bytes are 0 where there are none. */
typedef void (*BkcExpireEach) (void *arg, const char *kind, const char *name, int64 id, bool keep,
							   const char *reason, int64 bytes);

/* Of each cluster every backup, then every WAL range, oldest first. */
extern void bkc_expireplan_each(const BkcExpirePlans *all, BkcExpireEach each, void *arg);

#endif							/* BKC_SERVER_EXPIREPLAN_H */
