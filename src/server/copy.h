/*
 * copy.h
 *		Files into packs: what a copy worker does, and the leader with the
 *		files that are its own.
 *
 * No function here raises an error; they follow the core's rule.
 */
#ifndef BKC_SERVER_COPY_H
#define BKC_SERVER_COPY_H

#include "pgcompat.h"

#include "pagecheck.h"
#include "pipe/chain.h"
#include "shared.h"
#include "spool.h"

typedef struct BkcCopySpec
{
	BkcStore   *store;			/* not owned */
	BkcJob	   *job;			/* progress counters, start LSN */
	uint64		system_identifier;
	const char *label;
	uint32		worker;			/* 0 = the leader */
	BkcCodec	codec;
	int			level;
	uint64		max_rate;		/* of this process */
	bool		check_pages;
} BkcCopySpec;

typedef struct BkcCopier BkcCopier;

extern bool bkc_copier_new(const BkcCopySpec *spec, BkcCopier **copier, BkcError *err);

/*
 * Copy one file; index names its record in the result.  A missing file is
 * recorded as vanished.  Data files end where they were when listed; a
 * shorter one is stored as short as it is.
 */
extern bool bkc_copier_file(BkcCopier *copier, uint32 index, const BkcListRecord *rec,
							const char *path, BkcError *err);

/* Store bytes from memory as a file. */
extern bool bkc_copier_bytes(BkcCopier *copier, uint32 index, const void *data, size_t len,
							 BkcError *err);

/* Take files from the job's list until it is empty. */
extern bool bkc_copier_run(BkcCopier *copier, BkcFileList *list, BkcError *err);

/* Commit the last pack and the results. */
extern bool bkc_copier_finish(BkcCopier *copier, BkcError *err);

/* Idempotent by NULL; discards what is not finished. */
extern void bkc_copier_close(BkcCopier **copier);

/* Where a listed file is opened, relative to the data directory (or absolute for config). */
extern bool bkc_copy_source(const BkcListRecord *rec, const char *path, char out[MAXPGPATH],
							BkcError *err);

#endif							/* BKC_SERVER_COPY_H */
