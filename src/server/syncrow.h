/*
 * syncrow.h
 *		One backup between its repository and the catalog.
 *
 * Reading is done without a transaction; each function that writes is a short one of its own and
 * ereports.
 */
#ifndef BKC_SERVER_SYNCROW_H
#define BKC_SERVER_SYNCROW_H

#include "pgcompat.h"

#include "base/url.h"
#include "catalog.h"
#include "pipe/notes.h"
#include "store/store.h"

/* What a repository says of a complete backup. */
typedef struct BkcSyncBackup
{
	uint64		system_identifier;	/* this cluster, or a predecessor */
	const char *label;
	const char *repository;
	char	   *location;
	BkcNotes	notes;
	bool		has_sealing;	/* done.sealed, done.key_id and shredded are known */
	bool		shredded;
	bool		has_manifest;	/* header and totals are known, as far as they are kept here */
	char		parent[BKC_LABEL_MAX];
	BkcManifestHeader header;	/* numbers only */
	BkcManifestTotals totals;
	BkcCatalogDone done;
} BkcSyncBackup;

/* The catalog's row of a label. */
typedef struct BkcSyncRow
{
	bool		found;
	int64		id;
	char		status[16];
} BkcSyncRow;

/* Notes; with whole also the manifest.  The caller frees the notes. */
extern bool bkc_syncrow_read(BkcStore *store, BkcSyncBackup *b, bool whole, BkcError *err);

extern void bkc_syncrow_find(uint64 system_identifier, const char *label, BkcSyncRow *row);

/* Write what differs.  *added, *updated: has the row? */
extern void bkc_syncrow_write(const BkcSyncBackup *b, const BkcSyncRow *row, bool *added,
							  bool *updated);

/* The backup is not in that repository any more. */
extern void bkc_syncrow_missing(int64 id, const char *repository);

/* The metadata of its row, JSON; of a backup without note what the manifest says. */
extern char *bkc_syncrow_metadata(const BkcSyncBackup *b);

#endif							/* BKC_SERVER_SYNCROW_H */
