/*
 * leader.h
 *		The process that runs a job: attached to a slot, connected to the
 *		database of the catalog, and answerable for the slot's end.
 */
#ifndef BKC_SERVER_LEADER_H
#define BKC_SERVER_LEADER_H

#include "pgcompat.h"

#include "shared.h"

/* bgw_type of a kind's leaders. */
extern const char *bkc_job_type(BkcJobKind kind);

/* Entry point (bgw_main_arg: slot; bgw_extra: generation). */
extern PGDLLEXPORT void bkc_job_main(Datum main_arg);

#endif							/* BKC_SERVER_LEADER_H */
