/*
 * leader.h
 *		The process that runs a job: attached to a slot, connected to the
 *		database of the catalog, and answerable for the slot's end.
 */
#ifndef BKC_SERVER_LEADER_H
#define BKC_SERVER_LEADER_H

#include "pgcompat.h"

#include "shared.h"

/* bgw_type of a kind's leaders, and what views and events call the kind. */
extern const char *bkc_job_type(BkcJobKind kind);
extern const char *bkc_job_name(BkcJobKind kind);

/* Jobs that the launcher starts by itself: no event tells of them. */
extern bool bkc_job_is_housekeeping(BkcJobKind kind);

/* Entry point (bgw_main_arg: slot; bgw_extra: generation). */
extern PGDLLEXPORT void bkc_job_main(Datum main_arg);

#endif							/* BKC_SERVER_LEADER_H */
