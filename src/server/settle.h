/*
 * settle.h
 *		What crashed or cancelled jobs have left behind: rows that still say
 *		"running", objects of backups that have no manifest, spool files.
 */
#ifndef BKC_SERVER_SETTLE_H
#define BKC_SERVER_SETTLE_H

#include "shared.h"

/* The job that the launcher starts. */
extern void bkc_settle_run(BkcJob *job);
extern void bkc_settle_failed(BkcJob *job, const BkcReport *report, bool cancelled);

/*
 * Only the rows: also done by each new backup, so that it starts from a true
 * catalog.  False when some could not be settled, because their repository
 * could not be asked; err is the first reason.  Raises what the database raises.
 */
extern bool bkc_settle_rows(BkcError *err);

#endif							/* BKC_SERVER_SETTLE_H */
