/*
 * stage_throttle.c
 *		Keeps a chain to a number of stored bytes a second, and counts them.
 */
#include "pipe/stages.h"

#include <stdlib.h>

#include "base/host.h"

#define BURST_USEC	100000		/* unused time that may be caught up */
#define SLICE_MS	100			/* longest wait between two looks at cancelled() */

typedef struct ThrottleStage
{
	BkcStage	base;
	uint64_t	rate;			/* bytes a second */
	uint64_t	rest;			/* byte-microseconds not yet charged, below rate */
	int64_t		ready;			/* when all that has passed is paid for */
	int64_t		last;			/* the clock, when last read */
} ThrottleStage;

/* The clock may be set back; then everything moves with it, or a wait would last as long. */
static int64_t
throttle_now(ThrottleStage *self)
{
	int64_t		now = bkc_host->now();

	if (now < self->last)
		self->ready -= self->last - now;
	self->last = now;
	return now;
}

static bool
throttle_wait(ThrottleStage *self, BkcError *err)
{
	int64_t		now = throttle_now(self);
	bool		ok = true;

	if (self->ready > now)
	{
		bkc_host->wait_event(BKC_WAIT_THROTTLE);
		while (ok && self->ready > now)
		{
			int64_t		ms = (self->ready - now + 999) / 1000;

			bkc_host->wait(ms > SLICE_MS ? SLICE_MS : (int) ms);
			ok = bkc_host_check(err);
			now = throttle_now(self);
		}
		bkc_host->wait_event(BKC_WAIT_NONE);
	}
	if (self->ready < now - BURST_USEC)
		self->ready = now - BURST_USEC;
	return ok;
}

static bool
throttle_write(BkcStage *stage, const BkcFrame *frame, BkcError *err)
{
	ThrottleStage *self = (ThrottleStage *) stage;

	if (self->rate > 0)
	{
		uint64_t	due;

		if (!throttle_wait(self, err))
			return false;

		/* at most 2^20 * 10^6 + rest: no overflow for any rate below 2^63 */
		due = (uint64_t) frame->len * 1000000 + self->rest;
		self->ready += (int64_t) (due / self->rate);
		self->rest = due % self->rate;
	}
	return bkc_stage_write(stage->next, frame, err);
}

static void
throttle_close(BkcStage *stage)
{
	bkc_stage_close(stage->next);
	free(stage);
}

static const BkcStageOps throttle_ops = {
	.begin = bkc_stage_forward_begin,
	.write = throttle_write,
	.end = bkc_stage_forward_end,
	.abort = bkc_stage_forward_abort,
	.close = throttle_close
};

BkcStage *
bkc_stage_throttle_new(BkcStage *next, uint64_t bytes_per_second, BkcError *err)
{
	ThrottleStage *self = calloc(1, sizeof(*self));

	if (self == NULL)
	{
		bkc_error_oom(err);
		bkc_stage_close(next);
		return NULL;
	}
	self->base.ops = &throttle_ops;
	self->base.next = next;
	self->rate = bytes_per_second > INT64_MAX ? INT64_MAX : bytes_per_second;
	self->last = bkc_host->now();
	self->ready = self->last;
	return &self->base;
}

/* ---- progress ---- */

typedef struct ProgressStage
{
	BkcStage	base;
	BkcProgressFunc func;
	void	   *arg;
} ProgressStage;

static bool
progress_write(BkcStage *stage, const BkcFrame *frame, BkcError *err)
{
	ProgressStage *self = (ProgressStage *) stage;

	if (!bkc_stage_write(stage->next, frame, err))
		return false;
	if (self->func != NULL)
		self->func(self->arg, frame->plain_len, frame->len);
	return true;
}

static const BkcStageOps progress_ops = {
	.begin = bkc_stage_forward_begin,
	.write = progress_write,
	.end = bkc_stage_forward_end,
	.abort = bkc_stage_forward_abort,
	.close = throttle_close		/* owns nothing either */
};

BkcStage *
bkc_stage_progress_new(BkcStage *next, BkcProgressFunc func, void *arg, BkcError *err)
{
	ProgressStage *self = calloc(1, sizeof(*self));

	if (self == NULL)
	{
		bkc_error_oom(err);
		bkc_stage_close(next);
		return NULL;
	}
	self->base.ops = &progress_ops;
	self->base.next = next;
	self->func = func;
	self->arg = arg;
	return &self->base;
}
