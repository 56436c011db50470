/*
 * stages.h
 *		The stages there are.  Constructors take the stage that follows and own
 *		it from then on (also when they fail: next is closed).
 */
#ifndef BKC_PIPE_STAGES_H
#define BKC_PIPE_STAGES_H

#include "base/buffer.h"
#include "crypto/digest.h"
#include "pipe/stage.h"

/* Result of a digest stage; filled by end(). */
typedef struct BkcDigestResult
{
	uint8_t		sha256[BKC_SHA256_SIZE];
	uint64_t	bytes;			/* plain bytes that passed */
} BkcDigestResult;

/* SHA-256 over the (plain) data that pass.  result outlives the stage. */
extern BkcStage *bkc_stage_digest_new(BkcStage *next, BkcDigestResult *result, BkcError *err);

/*
 * level: zstd 1..19, gzip 1..9, lz4 1..12 (1 = fast, above = HC); ignored
 * for none.  A frame that does not shrink passes plain with BKC_FRAME_STORED
 * (with codec none every frame does).
 */
extern BkcStage *bkc_stage_compress_new(BkcStage *next, BkcCodec codec, int level, BkcError *err);

/* Is there such a level for the codec?  err lists the range. */
extern bool bkc_codec_check_level(BkcCodec codec, int level, BkcError *err);

/* The result must have exactly plain_len bytes, else BKC_ERR_CORRUPT. */
extern BkcStage *bkc_stage_decompress_new(BkcStage *next, BkcCodec codec, BkcError *err);

/* The next frames come from an object with this codec. */
extern void bkc_stage_decompress_codec(BkcStage *stage, BkcCodec codec);

/* One frame's content at once, without a stage: for documents.  out has room for hdr->plain_len. */
extern bool bkc_frame_expand(BkcCodec codec, const BkcFrameHeader *hdr, const uint8_t *payload,
							 uint8_t *out, BkcError *err);

/* At most bytes_per_second of stored bytes on average (bursts of 100 ms); 0 = unlimited. */
extern BkcStage *bkc_stage_throttle_new(BkcStage *next, uint64_t bytes_per_second, BkcError *err);

/* Called once a frame has passed, that is, after the following stages took it. */
typedef void (*BkcProgressFunc) (void *arg, uint64_t plain_bytes, uint64_t stored_bytes);
extern BkcStage *bkc_stage_progress_new(BkcStage *next, BkcProgressFunc func, void *arg,
										BkcError *err);

/* Sinks (no next). */
extern BkcStage *bkc_stage_null_new(BkcError *err);

/* Appends files of at most max bytes each; abort() takes its file away again.  out is not owned. */
extern BkcStage *bkc_stage_buffer_new(BkcBuffer *out, size_t max, BkcError *err);

/*
 * Writes to a descriptor set before each begin() with
 * bkc_stage_file_target(), from its present position on; the descriptor and
 * path stay the caller's and must live until end() or abort().  end() does
 * not sync.  Starts write-back early (sync_file_range) so that a later fsync
 * is short.
 */
extern BkcStage *bkc_stage_file_new(BkcError *err);
extern void bkc_stage_file_target(BkcStage *stage, int fd, const char *path);

#endif							/* BKC_PIPE_STAGES_H */
