/*
 * clockjump.h
 *		Has somebody set the clock of this machine by more than an hour?  Retention must not follow
 *		it before somebody says that it is right.
 *
 * The launcher looks; what it has seen is kept in a mark of the data directory, so that a restart
 * or a crash of the server does not make it forgotten.  Jumps while the server is down are not
 * seen.
 */
#ifndef BKC_SERVER_CLOCKJUMP_H
#define BKC_SERVER_CLOCKJUMP_H

#include "pgcompat.h"

/* The launcher, again and again.  Does not raise. */
extern void bkc_clockjump_watch(void);

/*
 * Microseconds by which it has jumped, 0 = it has not.  false: that is not known yet, because the
 * launcher has not looked since the server's start.
 */
extern bool bkc_clockjump_get(int64 *jump);

/* Somebody says that it is right.  Had it jumped? */
extern bool bkc_clockjump_confirm(void);

#endif							/* BKC_SERVER_CLOCKJUMP_H */
