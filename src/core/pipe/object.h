/*
 * object.h
 *		Objects as envelope plus frames, on top of a store.
 *
 * The writer numbers the frames, computes their digests or seals them (pipe/seal.h), and
 * streams them to the store; the reader checks all of that.
 */
#ifndef BKC_PIPE_OBJECT_H
#define BKC_PIPE_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "format/names.h"
#include "format/packindex.h"
#include "pipe/stage.h"
#include "store/store.h"

typedef struct BkcObjectWriter BkcObjectWriter;
typedef struct BkcObjectReader BkcObjectReader;

/* Fresh salt, envelope written.  name is copied. */
extern bool bkc_object_create(BkcStore *store, const char *name, BkcKind kind, BkcCodec codec,
							  uint64_t expected_size, BkcObjectWriter **w, BkcError *err);

/*
 * Append a frame; entry (may be NULL) gets its place and digest.  With
 * last the frame carries BKC_FRAME_LAST and only raw bytes or commit may follow.
 */
extern bool bkc_object_put(BkcObjectWriter *w, const BkcFrame *frame, bool last,
						   BkcPackEntry *entry, BkcError *err);

/* Bytes behind the last frame (a pack's footer). */
extern bool bkc_object_put_raw(BkcObjectWriter *w, const void *data, size_t len, BkcError *err);
extern uint64_t bkc_object_size(const BkcObjectWriter *w);	/* so far */

/*
 * As bkc_writer_commit_begin(): *under_way is its answer.  All bytes are the store's then.  May be
 * called again; only commit or close may follow, after a failure only close.
 */
extern bool bkc_object_commit_begin(BkcObjectWriter *w, bool *under_way, BkcError *err);

/* BKC_ERR_INTERNAL when no last frame was put.  Only close may follow. */
extern bool bkc_object_commit(BkcObjectWriter *w, BkcError *err);

/* Discards what is not committed; NULL is fine. */
extern void bkc_object_close(BkcObjectWriter *w);

/* Opens, reads and checks the envelope; kind must match. */
extern bool bkc_object_open(BkcStore *store, const char *name, BkcKind kind,
							BkcObjectReader **r, BkcError *err);

/*
 * The same for who wants only frames within the first max bytes: no more is asked of the
 * store.  Whatever lies behind them seems to be cut off.
 */
extern bool bkc_object_open_head(BkcStore *store, const char *name, BkcKind kind, uint64_t max,
								 BkcObjectReader **r, BkcError *err);
extern const BkcEnvelope *bkc_object_envelope(const BkcObjectReader *r);

/*
 * Next frame, checked against its digest; frame->data is valid until the next call.
 * *end = true after the last one (frame untouched); then footer_size bytes must follow and
 * nothing else, else BKC_ERR_CORRUPT.
 */
extern bool bkc_object_next(BkcObjectReader *r, BkcFrame *frame, size_t footer_size,
							bool *end, BkcError *err);
extern void bkc_object_reader_close(BkcObjectReader *r);

/*
 * Small documents (cluster, begin, notes): text of at most
 * BKC_FRAME_PLAIN_MAX bytes in one frame.  put is create-only.
 */
extern bool bkc_document_put(BkcStore *store, const char *name, BkcKind kind,
							 const char *text, size_t len, BkcError *err);
extern bool bkc_document_get(BkcStore *store, const char *name, BkcKind kind,
							 BkcBuffer *out, BkcError *err);

#endif							/* BKC_PIPE_OBJECT_H */
