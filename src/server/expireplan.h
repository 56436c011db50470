/*
 * expireplan.h
 *		What retention says about one repository: the plan of format/retention.h, made
 *		of what the repository holds, the catalog and the policy.
 */
#ifndef BKC_SERVER_EXPIREPLAN_H
#define BKC_SERVER_EXPIREPLAN_H

#include "pgcompat.h"

#include "base/url.h"
#include "format/retention.h"
#include "pipe/unpack.h"
#include "pipe/walmap.h"

typedef struct BkcExpirePlan
{
	const BkcRepoDef *repo;
	BkcStore   *store;
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

/*
 * Asks the repository; reads the catalog in a transaction of its own, or the caller's.  ereports.
 * Everything is released with the current memory context, or by bkc_expireplan_close().
 */
extern BkcExpirePlan *bkc_expireplan_make(const BkcRepoDef *repo);
extern void bkc_expireplan_close(BkcExpirePlan *p);

/* Seconds of the recovery window, or BKC_RETENTION_UNLIMITED. */
extern int64 bkc_expireplan_window(const char *repository);

/* kind: "backup" or "wal"; id and bytes are 0 where there are none. */
typedef void (*BkcExpireEach) (void *arg, const char *kind, const char *name, int64 id, bool keep,
							   const char *reason, int64 bytes);

/* Every backup, then every WAL range, oldest first. */
extern void bkc_expireplan_each(const BkcExpirePlan *p,
								BkcExpireEach each, void *arg);

#endif							/* BKC_SERVER_EXPIREPLAN_H */
