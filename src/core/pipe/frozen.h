/*
 * frozen.h
 *		Can a backup's packs be read, or are they in an archive?
 *
 * Its manifest and all else that describes it can be read in any case (store.h,
 * "storage classes").
 */
#ifndef BKC_PIPE_FROZEN_H
#define BKC_PIPE_FROZEN_H

#include "pipe/unpack.h"

#define BKC_THAW_DAYS		7	/* default, and limit */
#define BKC_THAW_DAYS_MAX	365

typedef struct BkcFrozen
{
	size_t		packs;			/* that the backup needs, those of its parents among them */
	size_t		frozen;			/* cannot be read ... */
	uint64_t	frozen_bytes;
	size_t		requested;		/* ... and a thaw was requested by this call */
	size_t		thawing;		/* one was requested before */
	uint64_t	thawing_bytes;
	size_t		thawed;			/* can be read for a while: */
	int64_t		until;			/* when the first of them ends, 0 = not known */
	char		class[BKC_STORE_CLASS_MAX]; /* of one of them all */
} BkcFrozen;

/*
 * Look at every pack that the backup needs.  With thaw_days != 0 also request a thaw for that many
 * days of what is frozen, and once more of what would freeze again within a day.
 */
extern bool bkc_backup_frozen(BkcStore *store, const BkcBackup *backup, int thaw_days,
							  BkcFrozen *frozen, BkcError *err);

/*
 * BKC_ERR_ARCHIVED unless everything can be read now: what is missing and what to do about it.
 * done is "restored" or "verified", command the one of the client whose --thaw requests it.
 */
extern bool bkc_frozen_check(const BkcBackup *backup, const BkcFrozen *frozen, const char *done,
							 const char *command, BkcError *err);

#endif							/* BKC_PIPE_FROZEN_H */
