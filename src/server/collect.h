/*
 * collect.h
 *		The WAL of a backup: each segment from start to stop is stored as soon
 *		as it is complete, whatever archive_mode says, unless the backup relies
 *		on the archive.
 */
#ifndef BKC_SERVER_COLLECT_H
#define BKC_SERVER_COLLECT_H

#include "pgcompat.h"

#include "access/xlog_internal.h"
#include "copy.h"

/*
 * Files of the leader's own: WAL, configuration, pg_control.  Their index in
 * the results is base plus their position.
 */
typedef struct BkcExtra
{
	BkcListRecord rec;
	char	   *path;			/* malloc'ed */
} BkcExtra;

typedef struct BkcExtras
{
	uint32		base;			/* number of files in the workers' list */
	BkcExtra   *items;
	uint32		count;
	uint32		alloc;
} BkcExtras;

extern bool bkc_extras_add(BkcExtras *extras, BkcRoot root, const char *path, uint64 size,
						   uint32 mode, int64 mtime, uint32 *index, BkcError *err);
extern void bkc_extras_free(BkcExtras *extras);

typedef struct BkcCollector
{
	BkcCopier  *copier;			/* not owned */
	BkcExtras  *extras;			/* not owned */
	TimeLineID	timeline;
	XLogSegNo	next;			/* first segment that is not stored yet */
	XLogSegNo	last;			/* the stop segment, PG_UINT64_MAX before it is known */
	bool		slot;			/* a replication slot keeps the segments */
	bool		archived;		/* the archive has them: nothing is stored */
} BkcCollector;

/*
 * Try to create the temporary slot, before the backup's start.  Without one
 * the backup goes on, and the log says so.
 */
extern bool bkc_collect_slot(void);

/* Store all segments that are complete now.  Does not raise. */
extern bool bkc_collect_step(BkcCollector *c, BkcError *err);

static inline bool
bkc_collect_finished(const BkcCollector *c)
{
	return c->next > c->last;
}

#endif							/* BKC_SERVER_COLLECT_H */
