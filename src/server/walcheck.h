/*
 * walcheck.h
 *		The job that looks for gaps in the WAL of the repositories.
 */
#ifndef BKC_SERVER_WALCHECK_H
#define BKC_SERVER_WALCHECK_H

#include "shared.h"

extern void bkc_walcheck_run(BkcJob *job);
extern void bkc_walcheck_failed(BkcJob *job, const BkcReport *report, bool cancelled);

#endif							/* BKC_SERVER_WALCHECK_H */
