/*
 * walhelper.h
 *		WAL helpers: background workers that send .ready segments ahead of the
 *		archiver, several at once.  They leave when there is nothing to do for a while.
 */
#ifndef BKC_SERVER_WALHELPER_H
#define BKC_SERVER_WALHELPER_H

#include "pgcompat.h"

/* Start as many as are missing; without free worker slots nothing happens. */
extern void bkc_walhelpers_start(void);

/*
 * Send one segment that some repository needs next, in this process; false
 * when there was nothing to do, or it failed (that is noted and logged).
 * time_is_up as for bkc_ship_file().
 */
extern bool bkc_walhelp_once(bool (*time_is_up) (void));

extern PGDLLEXPORT void bkc_walhelper_main(Datum main_arg);

#endif							/* BKC_SERVER_WALHELPER_H */
