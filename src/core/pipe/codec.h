/*
 * codec.h
 *		One frame in, one frame out: the compression libraries behind one face.
 *
 * Only codec.c knows zstd, lz4 and zlib.  Contexts are made once and used
 * for frame after frame, because making them costs as much as compressing a
 * small file.
 */
#ifndef BKC_PIPE_CODEC_H
#define BKC_PIPE_CODEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "format/envelope.h"

typedef struct BkcCompressor BkcCompressor;

/* level as in stages.h; with BKC_CODEC_NONE nothing ever shrinks. */
extern bool bkc_compressor_new(BkcCodec codec, int level, BkcCompressor **c, BkcError *err);

/*
 * Compress len (1 .. BKC_FRAME_PLAIN_MAX) bytes.  *out_len = 0 says that they
 * do not shrink; otherwise *out_len < len bytes stand at *out until the
 * next call.
 */
extern bool bkc_compressor_run(BkcCompressor *c, const uint8_t *data, uint32_t len,
							   const uint8_t **out, uint32_t *out_len, BkcError *err);
extern void bkc_compressor_free(BkcCompressor *c);	/* NULL is fine */

typedef struct BkcDecompressor BkcDecompressor;

/* Does all codecs; the libraries' contexts are made when first needed. */
extern bool bkc_decompressor_new(BkcDecompressor **d, BkcError *err);

/*
 * Exactly plain_len bytes into out (of that size), or BKC_ERR_CORRUPT: the
 * input must be one complete stream and give neither less nor more.
 */
extern bool bkc_decompressor_run(BkcDecompressor *d, BkcCodec codec,
								 const uint8_t *data, uint32_t len,
								 uint8_t *out, uint32_t plain_len, BkcError *err);
extern void bkc_decompressor_free(BkcDecompressor *d);	/* NULL is fine */

#endif							/* BKC_PIPE_CODEC_H */
