/*
 * backup_manifest.h
 *		From the results of the copy workers to the manifest.
 */
#ifndef BKC_SERVER_BACKUP_MANIFEST_H
#define BKC_SERVER_BACKUP_MANIFEST_H

#include "pgcompat.h"

#include "collect.h"
#include "lib/stringinfo.h"
#include "pipe/manifestio.h"
#include "scan.h"

typedef struct BkcManifestJob
{
	BkcStore   *store;
	const BkcManifestHeader *header;
	const BkcScan *scan;
	const BkcExtras *extras;
	bool	   *commit_tried;	/* set before the commit, whose outcome may stay unknown */

	/* called when all but the commit is done, and damaged and vanished are known */
	void		(*before_commit) (void *arg, struct BkcManifestJob *job);
	void	   *arg;

	/* out */
	BkcManifestTotals totals;
	StringInfoData damaged;		/* JSON array of {"file", "blocks", "count"}, at most 100 files */
	uint64		vanished;
} BkcManifestJob;

/*
 * Check that every listed file has exactly one result and that every pack is
 * in the repository with the size its writer reported; then write the
 * manifest.  After its return the backup exists.  ereports.
 */
extern void bkc_backup_manifest(BkcManifestJob *job);

#endif							/* BKC_SERVER_BACKUP_MANIFEST_H */
