/*
 * process.h
 *		What all background workers of pg_backupctl have in common.
 */
#ifndef BKC_SERVER_PROCESS_H
#define BKC_SERVER_PROCESS_H

#include "pgcompat.h"

#include "postmaster/bgworker.h"

/*
 * Describe a worker of this library: its main function, and what
 * pg_stat_activity calls it.  restart: seconds or BGW_NEVER_RESTART.
 */
extern void bkc_process_describe(BackgroundWorker *worker, const char *function,
								 const char *type, BgWorkerStartTime start, int restart);

/* First thing in a main function: signals. */
extern void bkc_process_begin(void);

/* If a reload is asked for, do it; true when it was. */
extern bool bkc_process_reload(void);

#endif							/* BKC_SERVER_PROCESS_H */
