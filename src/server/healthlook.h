/*
 * healthlook.h
 *		Events of what backup_health finds: there are alarms also where no job has failed.
 */
#ifndef BKC_SERVER_HEALTHLOOK_H
#define BKC_SERVER_HEALTHLOOK_H

#include "pgcompat.h"

/* Is it time for a look?  With the lock of the shared memory, for the launcher. */
extern bool bkc_health_due(void);

/* Likewise: the next job of the scheduler shall look; whatever becomes of it, time starts anew. */
extern void bkc_health_ask(void);

/* So many milliseconds until then, at most max. */
extern long bkc_health_nap(long max);

/* Look, if that was asked for.  In a leader, where the extension is installed.  Does not raise. */
extern void bkc_health_look(void);

#endif							/* BKC_SERVER_HEALTHLOOK_H */
