/*
 * stage.c
 *		The forwarding functions for stages that do not care for a call.
 */
#include "pipe/stage.h"

bool
bkc_stage_forward_begin(BkcStage *stage, BkcError *err)
{
	return bkc_stage_begin(stage->next, err);
}

bool
bkc_stage_forward_end(BkcStage *stage, BkcError *err)
{
	return bkc_stage_end(stage->next, err);
}

void
bkc_stage_forward_abort(BkcStage *stage)
{
	bkc_stage_abort(stage->next);
}
