/*
 * spool.h
 *		$PGDATA/pg_backupctl: the one folder of ours in the data directory.
 *
 *		owner, standby, ...	marks of this data directory (marks.h)
 *		<label>.files		the file list of a running backup
 *		<label>.<worker>	what a copy worker has stored
 *
 * No backup contains it.  Job files hold native structs and live no longer
 * than their job; leftovers of a crash are removed by settle.
 */
#ifndef BKC_SERVER_SPOOL_H
#define BKC_SERVER_SPOOL_H

#include "pgcompat.h"

#include <stdio.h>

#include "base/buffer.h"
#include "format/documents.h"
#include "format/manifest.h"

#define BKC_SPOOL_DIR "pg_backupctl"

/* Create the folder when missing. ereports. */
extern void bkc_spool_init(void);

/*
 * The identity of this data directory: 32 random hex digits, made once.
 * The file also holds its own inode number, so that a copy of the directory
 * (a clone, pg_basebackup, a snapshot copied by files) gets a new identity
 * while a changed host name, mount point or container does not matter.
 * ereports; bkc_identity_get() does not.
 */
extern void bkc_spool_owner(char owner[BKC_OWNER_ID_MAX]);

/* ---- the file list: written by the leader, read by the workers ---- */

#define BKC_LIST_RELATION	0x01	/* pages can be checked */

typedef struct BkcListRecord
{
	uint64		size;			/* when listed */
	int64		mtime;
	uint32		mode;
	uint32		path;			/* offset of the path in the strings */
	uint32		tablespace;
	uint32		dboid;			/* 0 outside databases */
	uint32		first_block;	/* of the segment within the fork */
	uint8		root;			/* BkcRoot */
	uint8		flags;
	uint16		unused;
} BkcListRecord;

typedef struct BkcFileList
{
	int			fd;				/* -1 when closed */
	uint32		count;
	uint64		strings;		/* offset of the paths in the file */
	char		name[MAXPGPATH];
} BkcFileList;

/* Write the list; records' path fields are offsets into strings. ereports. */
extern void bkc_list_write(const char *label, const BkcListRecord *records, uint32 count,
						   const char *strings, size_t strings_size);

/* A list that is not open has fd -1: bkc_list_init(). */
extern void bkc_list_init(BkcFileList *list);
extern bool bkc_list_open(const char *label, BkcFileList *list, BkcError *err);
extern bool bkc_list_get(BkcFileList *list, uint32 index, BkcListRecord *rec,
						 char path[MAXPGPATH], BkcError *err);
extern void bkc_list_close(BkcFileList *list);	/* idempotent */

/* ---- results: appended by one worker, read by the leader afterwards ---- */

#define BKC_RESULT_STORED	1
#define BKC_RESULT_VANISHED	2

/* Followed by npieces BkcResultPiece and nbad block numbers (uint32). */
typedef struct BkcResult
{
	uint32		record;			/* index into the list */
	uint32		status;
	uint64		size;			/* bytes really stored */
	uint64		bad_count;
	uint32		npieces;
	uint32		nbad;
	uint8		sha256[BKC_SHA256_SIZE];
} BkcResult;

typedef struct BkcResultPiece
{
	uint32		worker;
	uint32		number;
	uint32		first_frame;
	uint32		frame_count;
} BkcResultPiece;

typedef struct BkcResultWriter BkcResultWriter;

extern bool bkc_results_create(const char *label, uint32 worker, BkcResultWriter **w,
							   BkcError *err);
extern bool bkc_results_add(BkcResultWriter *w, const BkcResult *result,
							const BkcPiece *pieces, const uint32 *bad, BkcError *err);
extern bool bkc_results_add_pack(BkcResultWriter *w, const BkcPackInfo *info, BkcError *err);
extern bool bkc_results_flush(BkcResultWriter *w, BkcError *err);
extern void bkc_results_close(BkcResultWriter *w);	/* NULL is fine */

/* Reading back; zeroed is valid and closed. */
typedef struct BkcResults
{
	FILE	   *file;			/* NULL for a worker that never began */
	BkcResult	result;
	BkcBuffer	pieces;
	BkcBuffer	bad;
	BkcPackInfo pack;
} BkcResults;

/* A worker that never began has no file: then there is nothing to read. */
extern bool bkc_results_open(const char *label, uint32 worker, BkcResults *r, BkcError *err);

typedef enum BkcResultItem
{
	BKC_ITEM_END,
	BKC_ITEM_FILE,				/* r->result, bkc_results_pieces(r), bkc_results_bad(r) */
	BKC_ITEM_PACK				/* r->pack */
} BkcResultItem;

extern bool bkc_results_next(BkcResults *r, BkcResultItem *item, BkcError *err);

static inline const BkcResultPiece *
bkc_results_pieces(const BkcResults *r)
{
	return (const BkcResultPiece *) r->pieces.data;
}

static inline const uint32 *
bkc_results_bad(const BkcResults *r)
{
	return (const uint32 *) r->bad.data;
}

extern void bkc_results_close_read(BkcResults *r);	/* idempotent */

/* Remove a job's files; missing ones are fine. */
extern void bkc_spool_remove(const char *label);

/* Remove the files of every label that is not running. */
extern void bkc_spool_sweep(void);

#endif							/* BKC_SERVER_SPOOL_H */
