/*
 * stage_digest.c
 *		SHA-256 over the plain bytes of a file.
 */
#include "pipe/stages.h"

#include <stdlib.h>

typedef struct DigestStage
{
	BkcStage	base;
	BkcSha256  *hash;
	BkcDigestResult *result;
	uint64_t	bytes;
} DigestStage;

static bool
digest_begin(BkcStage *stage, BkcError *err)
{
	DigestStage *self = (DigestStage *) stage;

	self->bytes = 0;
	return bkc_sha256_begin(self->hash, err) && bkc_stage_begin(stage->next, err);
}

static bool
digest_write(BkcStage *stage, const BkcFrame *frame, BkcError *err)
{
	DigestStage *self = (DigestStage *) stage;

	self->bytes += frame->len;
	return bkc_sha256_update(self->hash, frame->data, frame->len, err) &&
		bkc_stage_write(stage->next, frame, err);
}

static bool
digest_end(BkcStage *stage, BkcError *err)
{
	DigestStage *self = (DigestStage *) stage;

	if (!bkc_sha256_end(self->hash, self->result->sha256, err))
		return false;
	self->result->bytes = self->bytes;
	return bkc_stage_end(stage->next, err);
}

static void
digest_close(BkcStage *stage)
{
	DigestStage *self = (DigestStage *) stage;

	bkc_stage_close(stage->next);
	bkc_sha256_free(self->hash);
	free(self);
}

static const BkcStageOps digest_ops = {
	.begin = digest_begin,
	.write = digest_write,
	.end = digest_end,
	.abort = bkc_stage_forward_abort,
	.close = digest_close
};

BkcStage *
bkc_stage_digest_new(BkcStage *next, BkcDigestResult *result, BkcError *err)
{
	DigestStage *self = calloc(1, sizeof(*self));

	if (self == NULL)
	{
		bkc_error_oom(err);
		bkc_stage_close(next);
		return NULL;
	}
	self->base.ops = &digest_ops;
	self->base.next = next;
	self->result = result;
	self->hash = bkc_sha256_new(err);
	if (self->hash == NULL)
	{
		digest_close(&self->base);
		return NULL;
	}
	return &self->base;
}
