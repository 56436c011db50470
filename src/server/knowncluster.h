/*
 * knowncluster.h
 *		The cluster object of a repository, for processes without a database.
 *
 * An unmounted disk looks like an empty repository.  A file in the data
 * directory remembers that this cluster was seen there, so that WAL never goes into the
 * empty folder below the mount point.
 */
#ifndef BKC_SERVER_KNOWNCLUSTER_H
#define BKC_SERVER_KNOWNCLUSTER_H

#include "pgcompat.h"

#include "base/url.h"
#include "store/store.h"

/*
 * Is this cluster's object there?  It is made when the repository never held
 * it, and refused (BKC_ERR_STATE) when it did, or may have: in recovery, and by
 * a promoted standby or a successor that has not claimed it yet.  Does not raise.
 */
extern bool bkc_known_cluster(const BkcRepoDef *def, BkcStore *store, BkcError *err);

/*
 * The same, but what it held once may be begun anew when it is proven that it
 * holds it no more; then *begun = true.
 */
extern bool bkc_known_begin_anew(const BkcRepoDef *def, BkcStore *store, bool *begun,
								 BkcError *err);

#endif							/* BKC_SERVER_KNOWNCLUSTER_H */
