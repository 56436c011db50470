/*
 * walusage.h
 *		How much WAL a repository holds, by a listing.
 */
#ifndef BKC_PIPE_WALUSAGE_H
#define BKC_PIPE_WALUSAGE_H

#include "store/store.h"

typedef struct BkcWalUsage
{
	uint64_t	objects;		/* segments, chunks, histories, whatever lies below wal/ */
	uint64_t	bytes;			/* as stored */
} BkcWalUsage;

extern bool bkc_wal_usage(BkcStore *store, uint64_t sysid, BkcWalUsage *usage, BkcError *err);

#endif							/* BKC_PIPE_WALUSAGE_H */
