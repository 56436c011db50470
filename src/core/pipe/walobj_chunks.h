/*
 * walobj_chunks.h
 *		The chunks that a repository holds of one segment.
 *
 * A row is what one generation has: its chunks by offset, as far as they follow
 * each other from offset 0 on.  Where chunks overlap, the later one counts from the
 * position that was reached.  A damaged chunk ends its row, with a warning in
 * the log; that a chunk could not be asked for is an error.
 */
#ifndef BKC_PIPE_WALOBJ_CHUNKS_H
#define BKC_PIPE_WALOBJ_CHUNKS_H

#include "pipe/walobj.h"

typedef struct BkcChunk
{
	uint64_t	generation;
	uint32_t	offset;
} BkcChunk;

typedef struct BkcChunks
{
	BkcStore   *store;
	uint64_t	sysid;
	const char *segment;
	uint32_t	segment_size;	/* 0: not known yet, the first chunk tells */
	bool		damaged;		/* one of those that were looked at is */
	size_t		bad;			/* items[bad - 1] is one whose info is; 0: none */
	BkcChunk   *items;			/* by generation and offset */
	size_t		n;
	size_t		room;
} BkcChunks;

/* Chunks of one generation: items[first .. first + n - 1]. */
typedef struct BkcChunkRow
{
	size_t		first;
	size_t		n;
} BkcChunkRow;

/* chunks is zeroed but for store, sysid, segment and segment_size; free it also after a failure. */
extern bool bkc_chunks_list(BkcChunks *chunks, BkcError *err);
extern void bkc_chunks_free(BkcChunks *chunks);

/* The newest generation among the first before items; false when there is none. */
extern bool bkc_chunks_newest(const BkcChunks *chunks, size_t before, BkcChunkRow *row);

extern bool bkc_chunks_name(const BkcChunks *chunks, size_t i, char name[BKC_NAME_MAX],
							BkcError *err);

/* Is a chunk one of a segment of the size that is known? BKC_ERR_CORRUPT. */
extern bool bkc_chunks_check(BkcChunks *chunks, const char *name, const BkcWalInfo *info,
							 BkcError *err);

/*
 * A chunk could not be read.  true: it is damaged, which is noted and logged; else err is what to
 * give up with.
 */
extern bool bkc_chunks_passed(BkcChunks *chunks, const char *name, BkcError *err);

/* How far a row goes (offset), and until when, by info frames alone. */
extern bool bkc_chunks_reach(BkcChunks *chunks, const BkcChunkRow *row, uint64_t *end,
							 int64_t *time, BkcError *err);

/* Does the row perhaps go farther than that?  Looks at its last chunk. */
extern bool bkc_chunks_longer(BkcChunks *chunks, const BkcChunkRow *row, uint64_t end,
							  bool *longer, BkcError *err);

/*
 * How far a row says that it goes, of which the bytes up to end can be used: more than end when
 * chunks are damaged or missing, UINT64_MAX when its last one does not say.
 */
extern bool bkc_chunks_claim(BkcChunks *chunks, const BkcChunkRow *row, uint64_t end,
							 uint64_t *claim, BkcError *err);

/* Nothing from offset 0: BKC_ERR_NOT_FOUND, or BKC_ERR_CORRUPT when that is because of damage. */
extern bool bkc_chunks_none(const BkcChunks *chunks, BkcError *err);

/* The LSN of an offset; 0 when the segment's size is not known. */
extern uint64_t bkc_chunks_lsn(const BkcChunks *chunks, uint64_t offset);

/* What joining has come to; offsets. */
typedef struct BkcChunksJoined
{
	uint64_t	end;			/* as far as the bytes go */
	int64_t		time;
	uint64_t	claim;			/* end, or more: see bkc_chunks_claim() */
	uint8_t		sha256[BKC_SHA256_SIZE];	/* of the bytes */
} BkcChunksJoined;

#define BKC_JOIN_CLAIM	1		/* claim and sha256 are filled only when asked for */
#define BKC_JOIN_SHA256	2

/*
 * Join the rows and write them to fd (-1: only read and compare) as bkc_wal_chunks_read() does,
 * but for the zeros; the bytes from offset limit on are not asked for.
 * Behind the end there may be anything in the file.
 */
extern bool bkc_chunks_join(BkcChunks *chunks, uint64_t limit, int fd, const char *path,
							uint64_t base, unsigned wanted, BkcChunksJoined *joined,
							BkcError *err);

#endif							/* BKC_PIPE_WALOBJ_CHUNKS_H */
