/*
 * stage.h
 *		The stage contract: how bytes move between reading and storing.
 *
 * A chain of stages moves one file at a time, frame by frame, in either
 * direction:
 *
 *		backup		digest(plain) -> compress -> throttle -> progress -> pack
 *		restore		decompress -> digest(plain) -> progress -> file
 *
 * begin() opens a file, each write() carries exactly one frame, end()
 * completes the file; then the next begin() may follow.  After any failure,
 * or to give up, abort() must be called once and forgets the file; then begin() may
 * follow.  close() ends the chain; it may be called in any state, once, and
 * closes the following stages too.  All five are required; a stage that does
 * not care for one names the forwarding function below.
 *
 * A frame's data are valid only during the call.  A stage that changes the
 * bytes owns its output buffer.  The source cuts a file into frames of
 * BKC_FRAME_PLAIN_MAX bytes; only a file's last one may be shorter, none is
 * empty (an empty file has no frame).
 *
 * Numbering, sealing and the digest of stored frames belong to the object
 * writer at the end (object.h), because they depend on a frame's place in
 * its object.
 */
#ifndef BKC_PIPE_STAGE_H
#define BKC_PIPE_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "format/envelope.h"

typedef struct BkcFrame
{
	const uint8_t *data;
	uint32_t	len;			/* bytes at data */
	uint32_t	plain_len;		/* bytes of the file this frame stands for */
	uint8_t		type;			/* BKC_FRAME_DATA, ... */
	uint8_t		flags;			/* BKC_FRAME_STORED when data are plain */
} BkcFrame;

typedef struct BkcStage BkcStage;

typedef struct BkcStageOps
{
	bool		(*begin) (BkcStage *stage, BkcError *err);
	bool		(*write) (BkcStage *stage, const BkcFrame *frame, BkcError *err);
	bool		(*end) (BkcStage *stage, BkcError *err);
	void		(*abort) (BkcStage *stage);
	void		(*close) (BkcStage *stage);
} BkcStageOps;

struct BkcStage
{
	const BkcStageOps *ops;
	BkcStage   *next;			/* NULL in the last one */
};

static inline bool
bkc_stage_begin(BkcStage *stage, BkcError *err)
{
	return stage->ops->begin(stage, err);
}

static inline bool
bkc_stage_write(BkcStage *stage, const BkcFrame *frame, BkcError *err)
{
	return stage->ops->write(stage, frame, err);
}

static inline bool
bkc_stage_end(BkcStage *stage, BkcError *err)
{
	return stage->ops->end(stage, err);
}

static inline void
bkc_stage_abort(BkcStage *stage)
{
	stage->ops->abort(stage);
}

static inline void
bkc_stage_close(BkcStage *stage)
{
	if (stage != NULL)
		stage->ops->close(stage);
}

extern bool bkc_stage_forward_begin(BkcStage *stage, BkcError *err);
extern bool bkc_stage_forward_end(BkcStage *stage, BkcError *err);
extern void bkc_stage_forward_abort(BkcStage *stage);

#endif							/* BKC_PIPE_STAGE_H */
