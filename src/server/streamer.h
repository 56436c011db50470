/*
 * streamer.h
 *		The WAL streamer: ships the flushed part of the open segment as chunks
 *		every pg_backupctl.rpo_target, when there is anything new.
 */
#ifndef BKC_SERVER_STREAMER_H
#define BKC_SERVER_STREAMER_H

#include "pgcompat.h"

/* In _PG_init under shared_preload_libraries. */
extern void bkc_streamer_register(void);

extern PGDLLEXPORT void bkc_streamer_main(Datum main_arg);

#endif							/* BKC_SERVER_STREAMER_H */
