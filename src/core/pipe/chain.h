/*
 * chain.h
 *		Chains of stages, built from one specification in one place, so that
 *		the order of stages is written once.
 */
#ifndef BKC_PIPE_CHAIN_H
#define BKC_PIPE_CHAIN_H

#include "pipe/pack.h"
#include "pipe/stages.h"

typedef struct BkcChainSpec
{
	BkcCodec	codec;
	int			level;
	uint64_t	max_rate;		/* stored bytes a second, 0 = unlimited */
	BkcProgressFunc progress;	/* may be NULL */
	void	   *progress_arg;
} BkcChainSpec;

typedef struct BkcChain BkcChain;

/* digest -> compress -> throttle -> progress -> pack(writer); the writer stays the caller's. */
extern bool bkc_chain_new_backup(const BkcChainSpec *spec, BkcPackWriter *writer,
								 BkcChain **chain, BkcError *err);

/*
 * decompress -> digest -> progress -> sink; the sink is owned by the chain, also on failure.
 * Of spec only codec and progress count; progress gets plain bytes for both numbers.
 */
extern bool bkc_chain_new_restore(const BkcChainSpec *spec, BkcStage *sink,
								  BkcChain **chain, BkcError *err);

/* Restore chains: the next frames come from an object with this codec. */
extern void bkc_chain_codec(BkcChain *chain, BkcCodec codec);

/*
 * One file.  write(): plain frames for backup, stored frames for restore.
 * write_plain() makes a frame of at most BKC_FRAME_PLAIN_MAX bytes; no bytes, no frame.
 * A frame behind a short one is refused.  Every write looks at BkcHost.cancelled().
 */
extern bool bkc_chain_begin(BkcChain *chain, BkcError *err);
extern bool bkc_chain_write(BkcChain *chain, const BkcFrame *frame, BkcError *err);
extern bool bkc_chain_write_plain(BkcChain *chain, const void *data, size_t len, BkcError *err);
extern bool bkc_chain_end(BkcChain *chain, BkcError *err);
extern void bkc_chain_abort(BkcChain *chain);

/* After end(): what passed; for backup chains also where it lies. */
extern const BkcDigestResult *bkc_chain_digest(const BkcChain *chain);
extern void bkc_chain_pieces(const BkcChain *chain, const BkcPiece **pieces, size_t *n);

/* Idempotent by NULL: sets the pointer to NULL. */
extern void bkc_chain_close(BkcChain **chain);

#endif							/* BKC_PIPE_CHAIN_H */
