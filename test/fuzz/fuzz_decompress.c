/*
 * fuzz_decompress.c
 *		libFuzzer entry point: any bytes as compressed frames of a file.
 *
 * Input: one byte for the codec, then frames: flags (1), claimed plain
 * length (4), number of payload bytes (2), payload.  The digests that guard
 * real frames are left out: decompressors must be safe by themselves.
 */
#include <stdlib.h>

#include "base/bytes.h"
#include "pipe/chain.h"

#define HEADER_SIZE		7

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The same frame by the call for documents; out is exactly as large as it has to be. */
static void
expand(BkcCodec codec, const BkcFrame *frame)
{
	BkcFrameHeader hdr = {
		.stored_len = frame->len,
		.plain_len = frame->plain_len,
		.flags = frame->flags
	};
	BkcError	err;
	uint8_t    *out;

	if (frame->plain_len > BKC_FRAME_PLAIN_MAX)
		return;
	out = malloc(frame->plain_len + 1);
	if (out != NULL)
		(void) bkc_frame_expand(codec, &hdr, frame->data, out, &err);
	free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	BkcChainSpec spec = {.codec = BKC_CODEC_NONE};
	BkcChain   *chain;
	BkcError	err;
	BkcCodec	codec;
	bool		ok;

	if (size < 1 || !bkc_chain_new_restore(&spec, bkc_stage_null_new(&err), &chain, &err))
		return 0;
	codec = (BkcCodec) (data[0] % 5);	/* one more than there are */
	data++;
	size--;
	bkc_chain_codec(chain, codec);
	ok = bkc_chain_begin(chain, &err);
	while (ok && size >= HEADER_SIZE)
	{
		BkcFrame	frame = {
			.data = data + HEADER_SIZE,
			.len = bkc_get_u16(data + 5),
			.plain_len = bkc_get_u32(data + 1),
			.type = BKC_FRAME_DATA,
			.flags = data[0] & BKC_FRAME_STORED
		};

		if (frame.len > size - HEADER_SIZE)
			frame.len = (uint32_t) (size - HEADER_SIZE);
		expand(codec, &frame);
		ok = bkc_chain_write(chain, &frame, &err);
		data += HEADER_SIZE + frame.len;
		size -= HEADER_SIZE + frame.len;
	}
	if (!ok || !bkc_chain_end(chain, &err))
		bkc_chain_abort(chain);
	bkc_chain_close(&chain);
	return 0;
}
