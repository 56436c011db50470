/*
 * archivetime.h
 *		The time that the archiver has: for each file in each repository, and in
 *		total for the last cycle, which the postmaster waits for.
 *
 * In the last cycle nobody gets more than an equal share of what is left, so that one that
 * hangs does not use up what the others need.
 */
#ifndef BKC_SERVER_ARCHIVETIME_H
#define BKC_SERVER_ARCHIVETIME_H

#include "pgcompat.h"

/*
 * Time for one file begins.  sharers: so many repositories want something of what is left of the
 * last cycle, this one included.
 */
extern void bkc_archive_begin(const char *file, int sharers);

/* Of that file; for bkc_host_watch().  Sees, too, whether helpers are worth their start. */
extern bool bkc_archive_time_is_up(void);

/* Is it the last cycle (no helper will come), and is all of its time used up? */
extern bool bkc_archive_last_cycle(void);
extern bool bkc_archive_all_time_is_up(void);

#endif							/* BKC_SERVER_ARCHIVETIME_H */
