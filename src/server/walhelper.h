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
 * While somebody hangs, see to it that helpers are there for the other repositories, and that the
 * views know of it.  For a process that does not go to repositories itself, or not now.
 */
extern void bkc_walhelpers_watch(void);

/*
 * Whoever is at a file there does not come to an end, and somebody waits for that file ("": no
 * matter which): views and back-off know of it from then on.  What is stored in the end makes all
 * well again.
 */
extern void bkc_walhelpers_note_stuck(int repo, const char *file);

/*
 * Send one segment that one of these repositories (a bit mask) needs next, in this process; false
 * when there was nothing to do.  A repository where it failed (that is noted and logged) is taken
 * out of the mask.  time_is_up as for bkc_ship_file().
 */
extern bool bkc_walhelp_once(uint32 *repos, bool (*time_is_up) (void));

extern PGDLLEXPORT void bkc_walhelper_main(Datum main_arg);

#endif							/* BKC_SERVER_WALHELPER_H */
