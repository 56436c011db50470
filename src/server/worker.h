/*
 * worker.h
 *		Copy workers: the leader's crew.
 */
#ifndef BKC_SERVER_WORKER_H
#define BKC_SERVER_WORKER_H

#include "pgcompat.h"

#include "format/envelope.h"
#include "shared.h"

typedef struct BkcCrew BkcCrew;

/*
 * Start up to n workers on the job's file list.  Fewer may come to life,
 * even none: then the leader copies alone.  Owned by the current context.
 */
extern BkcCrew *bkc_crew_start(BkcJob *job, int n);

/* How many were registered. */
extern int	bkc_crew_size(const BkcCrew *crew);

/* Have all ended?  Never waits. */
extern bool bkc_crew_finished(BkcCrew *crew);

/*
 * After all have ended: raises the first worker's error.  Returns how many
 * have ended well (those that never attached do not count and have taken
 * nothing).
 */
extern uint32 bkc_crew_result(BkcCrew *crew);

/* Tell them to stop and wait until they are gone; for clean-up, does not raise. */
extern void bkc_crew_stop(BkcJob *job);

/* Entry point (bgw_main_arg: slot; bgw_extra: generation, number). */
extern PGDLLEXPORT void bkc_worker_main(Datum main_arg);

#endif							/* BKC_SERVER_WORKER_H */
