/*
 * adopt.h
 *		A predecessor: the cluster before pg_upgrade, whose folder in a repository is taken over.
 *
 * That is one claim in the predecessor's own row of owners, with reason "adopted" and the name of
 * this cluster: from then on the old server is refused, and whoever owns this cluster owns both
 * (pipe/lineage.h).  Nothing else has to be written, so nothing can be half done.
 */
#ifndef BKC_SERVER_ADOPT_H
#define BKC_SERVER_ADOPT_H

#include "pgcompat.h"

#include "base/url.h"
#include "format/documents.h"
#include "store/store.h"

typedef enum BkcAdoptable
{
	BKC_ADOPT_ABSENT,			/* the repository does not hold it */
	BKC_ADOPT_ALREADY,			/* it is a predecessor of this cluster */
	BKC_ADOPT_POSSIBLE
} BkcAdoptable;

typedef struct BkcAdoption
{
	const BkcRepoDef *repo;
	BkcStore   *store;
	uint64		sysid;
	BkcAdoptable is;
	BkcOwnerDoc last;			/* its last claim, when there is one; its number in any case */
	bool		found;
} BkcAdoption;

/*
 * May it be adopted?  repo, store and sysid are set.  BKC_ERR_STATE with what to do when not:
 * this server may not write there, another cluster has adopted it, its server runs, or has
 * written lately.  force: the reasons that lie in the other cluster do not count.  Does not raise.
 */
extern bool bkc_adopt_judge(BkcAdoption *a, bool force, BkcError *err);

/* Then do it; by: the role that says so. */
extern bool bkc_adopt_claim(BkcAdoption *a, const char *by, BkcError *err);

#endif							/* BKC_SERVER_ADOPT_H */
