/*
 * walnext.h
 *		Where the window of a repository goes on when the row of segments in it
 *		has ended: behind a gap, or on the next timeline.
 *
 * The archiver is not always where a window should be.  It stays at a file that is no segment
 * (backup history, timeline history) while one repository is away, and it may hang there.
 *
 * A repository gets a timeline's history before any segment of that timeline: who reads would not
 * find the way there otherwise.
 */
#ifndef BKC_SERVER_WALNEXT_H
#define BKC_SERVER_WALNEXT_H

#include "pgcompat.h"

/*
 * For each of these repositories (a bit mask): when the segment that its window needs next does not
 * wait, the window goes on at the first segment behind it that does.  A timeline history that the
 * repository needs before that is sent; time_is_up as for bkc_ship_file(), NULL: do not send.
 * true when a window went on.  Raises when this process is to end.
 */
extern bool bkc_walnext(uint32 repos, bool (*time_is_up) (void));

/* Does a segment wait that one of them needs, and nobody is at it or at one near it? */
extern bool bkc_walnext_waits(uint32 repos);

#endif							/* BKC_SERVER_WALNEXT_H */
