/*
 * spool.h
 *		$PGDATA/pg_backupctl: the one folder of ours in the data directory.
 *
 *		owner				who this data directory is (see bkc_spool_owner)
 *		<label>.files		the file list of a running backup
 *		<label>.<worker>	what a copy worker has stored
 *
 * No backup contains it.  Job files hold native structs and live no longer
 * than their job; leftovers of a crash are removed by settle.
 */
#ifndef BKC_SERVER_SPOOL_H
#define BKC_SERVER_SPOOL_H

#include "pgcompat.h"

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
 */
extern void bkc_spool_owner(char owner[BKC_OWNER_ID_MAX]);

/* ---- the file list: written by the leader, mapped read-only by workers ---- */

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
	void	   *map;
	size_t		map_size;
	const BkcListRecord *records;
	uint32		count;
	const char *strings;
} BkcFileList;

/* Write the list; records' path fields are offsets into strings. ereports. */
extern void bkc_list_write(const char *label, const BkcListRecord *records, uint32 count,
						   const char *strings, size_t strings_size);
extern bool bkc_list_open(const char *label, BkcFileList *list, BkcError *err);
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

typedef struct BkcResults
{
	void	   *map;
	size_t		map_size;
	size_t		offset;
} BkcResults;

/* A worker that never began has no file: then an empty result. */
extern bool bkc_results_open(const char *label, uint32 worker, BkcResults *r, BkcError *err);

/*
 * Next item: *result or *pack is set, the other NULL; false at the end or on
 * error (then err->code is not BKC_OK).
 */
extern bool bkc_results_next(BkcResults *r, const BkcResult **result,
							 const BkcResultPiece **pieces, const uint32 **bad,
							 const BkcPackInfo **pack, BkcError *err);
extern void bkc_results_close_read(BkcResults *r);	/* idempotent */

/* Remove a job's files; missing ones are fine. */
extern void bkc_spool_remove(const char *label);

/* Remove the files of every label that is not running. */
extern void bkc_spool_sweep(void);

#endif							/* BKC_SERVER_SPOOL_H */
