/*
 * lineage.h
 *		Which clusters of a repository are the predecessors of one (FORMAT.md, "Ownership").
 *
 * A predecessor's last claim says which cluster has adopted it; whoever owns that one owns both.
 * So a chain of claims leads from each predecessor to the cluster that goes on.
 */
#ifndef BKC_PIPE_LINEAGE_H
#define BKC_PIPE_LINEAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "store/store.h"

typedef struct BkcPredecessor
{
	uint64_t	system_identifier;
	int64_t		adopted;		/* when; nothing of it was written later */
	unsigned	depth;			/* 1: adopted by the cluster itself, 2: by one of those, ... */
} BkcPredecessor;

/*
 * The nearest first, of the same depth the one adopted last first; *list is malloc'ed, freed with
 * free().  A cluster whose claims cannot be read is nobody's predecessor; a warning in the log
 * says so.
 */
extern bool bkc_lineage_load(BkcStore *store, uint64_t sysid, BkcPredecessor **list, size_t *n,
							 BkcError *err);

/* Is it a predecessor?  *next is the cluster that has adopted it, 0 when there is none. */
extern bool bkc_lineage_leads(BkcStore *store, uint64_t sysid, uint64_t to, bool *leads,
							  uint64_t *next, BkcError *err);

#endif							/* BKC_PIPE_LINEAGE_H */
