/*
 * launcher.h
 *		The one process that is always there.
 */
#ifndef BKC_SERVER_LAUNCHER_H
#define BKC_SERVER_LAUNCHER_H

#include "pgcompat.h"

/* In _PG_init under shared_preload_libraries. */
extern void bkc_launcher_register(void);

extern PGDLLEXPORT void bkc_launcher_main(Datum main_arg);

#endif							/* BKC_SERVER_LAUNCHER_H */
