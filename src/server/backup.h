/*
 * backup.h
 *		The leader of a backup.
 */
#ifndef BKC_SERVER_BACKUP_H
#define BKC_SERVER_BACKUP_H

#include "shared.h"

/* The whole backup; ereports.  Runs in the job's memory context. */
extern void bkc_backup_run(BkcJob *job);

/* Settle the row after a failure; the objects are swept by the next settle. */
extern void bkc_backup_failed(BkcJob *job, const BkcReport *report, bool cancelled);

#endif							/* BKC_SERVER_BACKUP_H */
