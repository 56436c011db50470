/*
 * walobj.h
 *		WAL in and out of a repository: whole files, and chunks of the segment
 *		that is still being written.
 *
 *		object = envelope info-frame data-frame+
 *
 * What is stored has exactly the SHA-256 that stands in the info frame at its
 * beginning.  Up to 16 MiB are read once and held, compressed, until the hash is
 * known; larger files are read twice and hashed both times, so that one that changed in
 * between is not stored (BKC_ERR_STATE).
 */
#ifndef BKC_PIPE_WALOBJ_H
#define BKC_PIPE_WALOBJ_H

#include <stdbool.h>
#include <stdint.h>

#include "format/names.h"
#include "format/walinfo.h"
#include "pipe/stage.h"
#include "store/store.h"

/* ---- writing ---- */

/*
 * Holds buffers and compression contexts for file after file: about 3 MiB, and the largest
 * file of up to 16 MiB in its compressed form.  Never more than 24 MiB, whatever the segment size.
 * What the store holds of each file that is under way (for S3 all of it, compressed) comes to that.
 */
typedef struct BkcWalWriter BkcWalWriter;

/* store stays the caller's and must live longer. */
extern bool bkc_walwriter_new(BkcStore *store, uint64_t sysid, BkcCodec codec, int level,
							  BkcWalWriter **writer, BkcError *err);

/* From now on it writes to another store, with the same codec; nothing may be under way. */
extern void bkc_walwriter_use(BkcWalWriter *writer, BkcStore *store);

/* NULL is fine; sets the pointer to NULL.  What is under way is to be given up before. */
extern void bkc_walwriter_close(BkcWalWriter **writer);

typedef enum BkcWalOutcome
{
	BKC_WAL_STORED,				/* it is durable now */
	BKC_WAL_SAME,				/* it was there with the same content */
	BKC_WAL_RESOLVED			/* likewise, in the conflict object that readers get */
} BkcWalOutcome;

typedef struct BkcWalFile
{
	const char *file;			/* segment, history, backup history or partial segment */
	const char *path;			/* where it can be read */
	uint32_t	segment_size;
	int64_t		time;			/* BkcWalInfo.time */
	bool		ask_first;		/* it may be there already: look before it is compressed */
} BkcWalFile;

/*
 * Store a file, create-only.  true: it is durable in this repository.
 * When readers get other content under the name: BKC_ERR_EXISTS, with both hashes in the detail
 * and the way out in the hint; nothing is changed.  BKC_ERR_CORRUPT when what has the name is
 * damaged (as far as its info frame shows).  Segments must have exactly segment_size bytes
 * (partial ones, too).  *stored: bytes of the object, 0 unless BKC_WAL_STORED.
 */
extern bool bkc_walwriter_put(BkcWalWriter *writer, const BkcWalFile *file,
							  BkcWalOutcome *outcome, uint64_t *stored, BkcError *err);

/*
 * The same in two halves, for several files: begin reads and compresses, and gives everything
 * to the store; finish waits for it.  put is NULL after a failed begin, and after finish.
 *
 * under_way: the store is at work by itself, so that it is worth while to begin the next file
 * before this one is finished.  Beginning that moves this one along.
 */
typedef struct BkcWalPut BkcWalPut;

extern bool bkc_walwriter_begin(BkcWalWriter *writer, const BkcWalFile *file, BkcWalPut **put,
								BkcError *err);
extern bool bkc_walwriter_under_way(const BkcWalPut *put);
extern bool bkc_walwriter_finish(BkcWalWriter *writer, BkcWalPut **put, BkcWalOutcome *outcome,
								 uint64_t *stored, BkcError *err);

/* Instead of finish: whether it is stored is not known (bkc_writer_commit_begin).  NULL is fine. */
extern void bkc_walwriter_give_up(BkcWalWriter *writer, BkcWalPut **put);

/*
 * Store the file's content as a conflict object beside the one that has its
 * name: from then on put() gives BKC_WAL_RESOLVED and readers get this
 * content.  BKC_ERR_STATE when there is no conflict: a damaged object is one, unless it is a
 * conflict object itself.  What was chosen and replaced once cannot be chosen again:
 * BKC_ERR_EXISTS.  reason and by must not be empty.
 */
extern bool bkc_walwriter_resolve(BkcWalWriter *writer, const BkcWalFile *file,
								  const char *reason, const char *by, BkcError *err);

/*
 * Store bytes offset .. offset + len of the open segment (read from fd) as a chunk.
 * BKC_ERR_EXISTS when this generation has one at that offset.  len > 0, within the segment.
 */
extern bool bkc_walwriter_chunk(BkcWalWriter *writer, const char *segment, uint32_t segment_size,
								uint64_t generation, uint32_t offset, uint32_t len,
								int fd, const char *path, int64_t time,
								uint64_t *stored, BkcError *err);

/* ---- reading ---- */

/* The info frame of one object by its full name; kind BKC_KIND_WAL or BKC_KIND_WAL_CHUNK. */
extern bool bkc_wal_info(BkcStore *store, const char *name, BkcWalInfo *info, BkcError *err);

#define BKC_WAL_HISTORY_MAX	(1024 * 1024)	/* bytes; a timeline's history is small */
#define BKC_WAL_SEGMENT_MAX	(1024 * 1024 * 1024)

/*
 * The content of one object into fd (from its present position); every digest, the
 * size and the SHA-256 are checked.  fd may be -1: read and check only.  What was written before a
 * failure is of no use.  BKC_ERR_CORRUPT, and nothing is written, when it has more bytes than
 * max_size: what stands in an object about itself is not to be trusted with a disk.
 */
extern bool bkc_wal_read(BkcStore *store, const char *name, uint64_t max_size, int fd,
						 const char *path, BkcWalInfo *info, BkcError *err);

/* Is there an object of that file's own name (not for partial segments)?  Lists nothing. */
extern bool bkc_wal_there(BkcStore *store, uint64_t sysid, const char *file, bool *there,
						  BkcError *err);

/*
 * The object to read for a file (not for partial segments): the plain one, or
 * conflict object beside it that has the newest time.  Lists the folder; BKC_ERR_NOT_FOUND
 * when there is none.
 */
extern bool bkc_wal_find(BkcStore *store, uint64_t sysid, const char *file,
						 char name[BKC_NAME_MAX], BkcError *err);

/*
 * What chunks of a segment hold: the newest generation's unbroken
 * row from offset 0, lengthened by an older one's where that agrees with it in every byte
 * (FORMAT.md says why).  BKC_ERR_NOT_FOUND when there is nothing from offset 0.
 *
 * A damaged chunk ends its row, with a warning in the log; when nothing from offset 0 is left
 * because of that: BKC_ERR_CORRUPT, as nothing was proven absent.  BKC_ERR_UNAVAILABLE when
 * chunks vanish meanwhile: then the whole segment is there now.  For the same reason who has
 * looked for that before must look again after BKC_ERR_NOT_FOUND.
 */
typedef struct BkcWalRow
{
	uint64_t	generation;		/* the highest that there is */
	uint64_t	end_lsn;		/* how far the bytes go */
	int64_t		time;			/* until when */

	/*
	 * How far there was WAL by what is there: end_lsn, or behind it when chunks are damaged or
	 * missing in the newest row, or in the one that has lengthened it.  Then an end of recovery at
	 * end_lsn loses something.
	 */
	uint64_t	claimed_lsn;
} BkcWalRow;

/*
 * By info frames, and by content only when generations are to be compared.  When there are
 * chunks, and nothing of them can be used: BKC_ERR_CORRUPT, with row->generation.  No such error
 * and no claim behind the end come of the whole segment having become durable just now: that is
 * BKC_ERR_UNAVAILABLE.
 */
extern bool bkc_wal_chunks_end(BkcStore *store, uint64_t sysid, const char *segment,
							   BkcWalRow *row, BkcError *err);

/*
 * Write the bytes to fd, a file, from its present position on, and zeros from their end (or from
 * until, when that is earlier; UINT64_MAX: no such limit) to the segment's end; *end_lsn is where
 * the zeros begin.  fd may be -1: read and check only.
 */
extern bool bkc_wal_chunks_read(BkcStore *store, uint64_t sysid, const char *segment,
								uint32_t segment_size, uint64_t until, int fd, const char *path,
								uint64_t *end_lsn, int64_t *time, BkcError *err);

/*
 * The SHA-256 of what they hold, up to until; *end_lsn is less than that when they reach less far.
 */
extern bool bkc_wal_chunks_digest(BkcStore *store, uint64_t sysid, const char *segment,
								  uint32_t segment_size, uint64_t until,
								  uint8_t sha256[BKC_SHA256_SIZE], uint64_t *end_lsn,
								  BkcError *err);

/*
 * The highest generation that has chunks of that segment and how far that reaches (0 when its
 * beginning is missing or damaged); both 0 when there are no chunks.
 */
extern bool bkc_wal_chunks_newest(BkcStore *store, uint64_t sysid, const char *segment,
								  uint64_t *generation, uint64_t *end_lsn, BkcError *err);

/*
 * Remove a segment's chunks; only when the whole segment is durable (BKC_ERR_STATE when there are
 * chunks and it is not there).
 */
extern bool bkc_wal_chunks_remove(BkcStore *store, uint64_t sysid, const char *segment,
								  BkcError *err);

/*
 * Remove all objects of the segments first .. last of a timeline: whole ones, with what is beside
 * them (partial, conflict, backup history, chunks).  In the order of their numbers and whole logs
 * at a time, so that what an interrupted removal leaves is the end of the range.  *removed
 * counts objects and may be NULL.  Safe to call again.
 */
extern bool bkc_wal_remove(BkcStore *store, uint64_t sysid, uint32_t timeline, uint64_t first,
						   uint64_t last, uint32_t segment_size, uint64_t *removed, BkcError *err);

#endif							/* BKC_PIPE_WALOBJ_H */
