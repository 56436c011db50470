/*
 * clock.h
 *		What time it is for schedules and retention.
 *
 * The server's clock; in builds with fault points the setting pg_backupctl.test_clock can let
 * it run from another time and faster, so that days can be tried in seconds.
 */
#ifndef BKC_SERVER_CLOCK_H
#define BKC_SERVER_CLOCK_H

#include "pgcompat.h"

#include "base/cron.h"
#include "utils/timestamp.h"

extern TimestampTz bkc_clock_now(void);

/* The clock of the machine itself; a fourth number in the setting moves it by so many seconds. */
extern TimestampTz bkc_clock_machine(void);

/* So many real milliseconds until that time, at least 0, at most max. */
extern long bkc_clock_ms_until(TimestampTz time, long max);

/* Between PostgreSQL's times and those of the core: microseconds since 1970, 0 = none. */
extern int64 bkc_clock_to_unix(TimestampTz time);
extern TimestampTz bkc_clock_from_unix(int64 usec);

/* A zone by name, as SET TimeZone takes it; ERROR when it is not known. */
extern BkcZone bkc_clock_zone(const char *name);

#endif							/* BKC_SERVER_CLOCK_H */
