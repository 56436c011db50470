/*
 * chain.c
 *		The two chains there are.  Built from the end, because every stage owns
 *		the one behind it.
 */
#include "pipe/chain.h"

#include <stdlib.h>

#include "base/host.h"

struct BkcChain
{
	BkcStage   *first;
	BkcStage   *pack;			/* backup chains: the sink */
	BkcStage   *decompress;		/* restore chains: the first stage */
	BkcDigestResult digest;
	bool		short_frame;	/* a frame below the full size came: no more may follow */
};

/* Puts first behind *chain, or frees everything when a stage is missing. */
static bool
chain_done(BkcChain *new, BkcStage *first, BkcChain **chain)
{
	new->first = first;
	if (first == NULL)
		bkc_chain_close(&new);
	*chain = new;
	return new != NULL;
}

bool
bkc_chain_new_backup(const BkcChainSpec *spec, BkcPackWriter *writer,
					 BkcChain **chain, BkcError *err)
{
	BkcChain   *new = calloc(1, sizeof(*new));
	BkcStage   *stage;

	*chain = NULL;
	if (new == NULL)
		return bkc_error_oom(err);
	stage = new->pack = bkc_stage_pack_new(writer, err);
	if (stage != NULL && spec->progress != NULL)
		stage = bkc_stage_progress_new(stage, spec->progress, spec->progress_arg, err);
	if (stage != NULL && spec->max_rate > 0)
		stage = bkc_stage_throttle_new(stage, spec->max_rate, err);
	if (stage != NULL)
		stage = bkc_stage_compress_new(stage, spec->codec, spec->level, err);
	if (stage != NULL)
		stage = bkc_stage_digest_new(stage, &new->digest, err);
	return chain_done(new, stage, chain);
}

bool
bkc_chain_new_restore(const BkcChainSpec *spec, BkcStage *sink,
					  BkcChain **chain, BkcError *err)
{
	BkcChain   *new = calloc(1, sizeof(*new));
	BkcStage   *stage = sink;

	*chain = NULL;
	if (new == NULL)
	{
		bkc_stage_close(sink);
		return bkc_error_oom(err);
	}
	if (spec->progress != NULL)
		stage = bkc_stage_progress_new(stage, spec->progress, spec->progress_arg, err);
	if (stage != NULL)
		stage = bkc_stage_digest_new(stage, &new->digest, err);
	if (stage != NULL)
		stage = new->decompress = bkc_stage_decompress_new(stage, spec->codec, err);
	return chain_done(new, stage, chain);
}

void
bkc_chain_codec(BkcChain *chain, BkcCodec codec)
{
	if (chain->decompress != NULL)
		bkc_stage_decompress_codec(chain->decompress, codec);
}

bool
bkc_chain_begin(BkcChain *chain, BkcError *err)
{
	chain->short_frame = false;
	return bkc_stage_begin(chain->first, err);
}

/* Random access rests on it that only a file's last frame may be short. */
bool
bkc_chain_write(BkcChain *chain, const BkcFrame *frame, BkcError *err)
{
	if (!bkc_host_check(err))
		return false;
	if (chain->short_frame || frame->plain_len == 0 || frame->plain_len > BKC_FRAME_PLAIN_MAX)
		return bkc_error_set(err, chain->decompress != NULL ? BKC_ERR_CORRUPT : BKC_ERR_INTERNAL,
							 "frame of %u plain bytes %s", frame->plain_len,
							 chain->short_frame ? "behind a short one" : "in a file");
	chain->short_frame = frame->plain_len < BKC_FRAME_PLAIN_MAX;
	return bkc_stage_write(chain->first, frame, err);
}

bool
bkc_chain_write_plain(BkcChain *chain, const void *data, size_t len, BkcError *err)
{
	BkcFrame	frame = {
		.data = data,
		.len = (uint32_t) len,
		.plain_len = (uint32_t) len,
		.type = BKC_FRAME_DATA,
		.flags = BKC_FRAME_STORED
	};

	if (len == 0)
		return true;
	if (len > BKC_FRAME_PLAIN_MAX)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "frame of %zu plain bytes", len);
	return bkc_chain_write(chain, &frame, err);
}

bool
bkc_chain_end(BkcChain *chain, BkcError *err)
{
	return bkc_stage_end(chain->first, err);
}

void
bkc_chain_abort(BkcChain *chain)
{
	bkc_stage_abort(chain->first);
}

const BkcDigestResult *
bkc_chain_digest(const BkcChain *chain)
{
	return &chain->digest;
}

void
bkc_chain_pieces(const BkcChain *chain, const BkcPiece **pieces, size_t *n)
{
	*pieces = NULL;
	*n = 0;
	if (chain->pack != NULL)
		bkc_stage_pack_pieces(chain->pack, pieces, n);
}

void
bkc_chain_close(BkcChain **chain)
{
	if (*chain == NULL)
		return;
	bkc_stage_close((*chain)->first);
	free(*chain);
	*chain = NULL;
}
