/*
 * pack.h
 *		Packs: many files' frames in one object, with an index at its end.
 */
#ifndef BKC_PIPE_PACK_H
#define BKC_PIPE_PACK_H

#include <stdbool.h>
#include <stdint.h>

#include "format/manifest.h"
#include "format/packindex.h"
#include "pipe/object.h"
#include "pipe/stage.h"
#include "store/store.h"

#define BKC_PACK_SIZE_DEFAULT	(256 * 1024 * 1024)

typedef struct BkcPackSpec
{
	BkcStore   *store;			/* not owned */
	uint64_t	system_identifier;
	char		label[BKC_LABEL_MAX];
	uint32_t	worker;			/* first half of the packs' names; unique in the backup */
	BkcCodec	codec;
	uint64_t	pack_size;		/* begin a new pack once this many bytes are stored */

	/* called after a pack is durable; false makes the operation fail */
	bool		(*committed) (void *arg, const BkcPackInfo *info, BkcError *err);
	void	   *arg;
} BkcPackSpec;

typedef struct BkcPackWriter BkcPackWriter;

extern bool bkc_packwriter_new(const BkcPackSpec *spec, BkcPackWriter **w, BkcError *err);

/*
 * The sink stage of backups.  A file may go on in the next pack, so it has
 * one or more pieces; begin() starts an empty list, and after end() they are
 * at *pieces until the next begin().  abort() leaves the frames already
 * written unreferenced in the pack, which readers tolerate.
 * The stage does not own the writer.
 */
extern BkcStage *bkc_stage_pack_new(BkcPackWriter *w, BkcError *err);
extern void bkc_stage_pack_pieces(BkcStage *stage, const BkcPiece **pieces, size_t *n);

/* Commit the open pack, if any; the next file begins a new one. */
extern bool bkc_packwriter_flush(BkcPackWriter *w, BkcError *err);

/* Discards the open pack.  Idempotent by NULL: the pointer is set to NULL. */
extern void bkc_packwriter_close(BkcPackWriter **w);

/* ---- reading ---- */

typedef struct BkcPackReader BkcPackReader;

/* Reads envelope, footer and index.  expect (may be NULL) is what the manifest says of it. */
extern bool bkc_packreader_open(BkcStore *store, const char *name, const BkcPackInfo *expect,
								BkcPackReader **r, BkcError *err);
extern BkcCodec bkc_packreader_codec(const BkcPackReader *r);
extern uint32_t bkc_packreader_frames(const BkcPackReader *r);

/*
 * Call each() for count frames from first, each checked against its digest
 * and the index.  Frames that follow one another in several calls are read
 * through one open stream.
 */
extern bool bkc_packreader_read(BkcPackReader *r, uint32_t first, uint32_t count,
								bool (*each) (void *arg, const BkcFrame *frame, BkcError *err),
								void *arg, BkcError *err);
extern void bkc_packreader_close(BkcPackReader *r); /* NULL is fine */

#endif							/* BKC_PIPE_PACK_H */
