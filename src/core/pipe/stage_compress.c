/*
 * stage_compress.c
 *		The stages compress and decompress: codec.h applied frame by frame.
 */
#include "pipe/stages.h"

#include <stdlib.h>
#include <string.h>

#include "pipe/codec.h"

typedef struct CompressStage
{
	BkcStage	base;
	BkcCompressor *compressor;
} CompressStage;

typedef struct DecompressStage
{
	BkcStage	base;
	BkcCodec	codec;
	BkcDecompressor *decompressor;
	uint8_t    *out;			/* BKC_FRAME_PLAIN_MAX bytes */
} DecompressStage;

static bool
compress_write(BkcStage *stage, const BkcFrame *frame, BkcError *err)
{
	CompressStage *self = (CompressStage *) stage;
	BkcFrame	stored = *frame;
	const uint8_t *data;
	uint32_t	len;

	if (!bkc_compressor_run(self->compressor, frame->data, frame->len, &data, &len, err))
		return false;
	if (len > 0)
	{
		stored.data = data;
		stored.len = len;
		stored.flags &= (uint8_t) ~BKC_FRAME_STORED;
	}
	else
		stored.flags |= BKC_FRAME_STORED;
	return bkc_stage_write(stage->next, &stored, err);
}

static void
compress_close(BkcStage *stage)
{
	CompressStage *self = (CompressStage *) stage;

	bkc_stage_close(stage->next);
	bkc_compressor_free(self->compressor);
	free(self);
}

static const BkcStageOps compress_ops = {
	.begin = bkc_stage_forward_begin,
	.write = compress_write,
	.end = bkc_stage_forward_end,
	.abort = bkc_stage_forward_abort,
	.close = compress_close
};

BkcStage *
bkc_stage_compress_new(BkcStage *next, BkcCodec codec, int level, BkcError *err)
{
	CompressStage *self = calloc(1, sizeof(*self));

	if (self == NULL)
	{
		bkc_error_oom(err);
		bkc_stage_close(next);
		return NULL;
	}
	self->base.ops = &compress_ops;
	self->base.next = next;
	if (!bkc_compressor_new(codec, level, &self->compressor, err))
	{
		compress_close(&self->base);
		return NULL;
	}
	return &self->base;
}

static bool
decompress_write(BkcStage *stage, const BkcFrame *frame, BkcError *err)
{
	DecompressStage *self = (DecompressStage *) stage;
	BkcFrame	plain = *frame;

	if (frame->flags & BKC_FRAME_STORED)
	{
		if (frame->len != frame->plain_len)
			return bkc_error_set(err, BKC_ERR_CORRUPT,
								 "frame stored plain has %u bytes and claims %u",
								 frame->len, frame->plain_len);
		return bkc_stage_write(stage->next, &plain, err);
	}
	if (!bkc_decompressor_run(self->decompressor, self->codec, frame->data, frame->len,
							  self->out, frame->plain_len, err))
		return false;
	plain.data = self->out;
	plain.len = frame->plain_len;
	plain.flags |= BKC_FRAME_STORED;
	return bkc_stage_write(stage->next, &plain, err);
}

static void
decompress_close(BkcStage *stage)
{
	DecompressStage *self = (DecompressStage *) stage;

	bkc_stage_close(stage->next);
	bkc_decompressor_free(self->decompressor);
	free(self->out);
	free(self);
}

static const BkcStageOps decompress_ops = {
	.begin = bkc_stage_forward_begin,
	.write = decompress_write,
	.end = bkc_stage_forward_end,
	.abort = bkc_stage_forward_abort,
	.close = decompress_close
};

BkcStage *
bkc_stage_decompress_new(BkcStage *next, BkcCodec codec, BkcError *err)
{
	DecompressStage *self = calloc(1, sizeof(*self));

	if (self == NULL)
	{
		bkc_error_oom(err);
		bkc_stage_close(next);
		return NULL;
	}
	self->base.ops = &decompress_ops;
	self->base.next = next;
	self->codec = codec;
	self->out = malloc(BKC_FRAME_PLAIN_MAX);
	if (self->out == NULL)
		bkc_error_oom(err);
	if (self->out == NULL || !bkc_decompressor_new(&self->decompressor, err))
	{
		decompress_close(&self->base);
		return NULL;
	}
	return &self->base;
}

void
bkc_stage_decompress_codec(BkcStage *stage, BkcCodec codec)
{
	((DecompressStage *) stage)->codec = codec;
}

bool
bkc_frame_expand(BkcCodec codec, const BkcFrameHeader *hdr, const uint8_t *payload,
				 uint8_t *out, BkcError *err)
{
	BkcDecompressor *d;
	bool		ok;

	if (hdr->flags & BKC_FRAME_STORED)
	{
		if (hdr->stored_len != hdr->plain_len)
			return bkc_error_set(err, BKC_ERR_CORRUPT,
								 "frame stored plain has %u bytes and claims %u",
								 hdr->stored_len, hdr->plain_len);
		memcpy(out, payload, hdr->plain_len);
		return true;
	}
	if (!bkc_decompressor_new(&d, err))
		return false;
	ok = bkc_decompressor_run(d, codec, payload, hdr->stored_len, out, hdr->plain_len, err);
	bkc_decompressor_free(d);
	return ok;
}
