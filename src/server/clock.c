/*
 * clock.c
 *		See clock.h.
 */
#include "pgcompat.h"

#include <math.h>

#include "clock.h"
#include "datatype/timestamp.h"
#include "pgtime.h"
#include "settings.h"

#define EPOCH_USECS	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

/* test_clock: "REAL FAKE SPEED": at REAL (seconds since 1970) it was FAKE, and goes so fast. */
static bool
test_clock(double *real, double *fake, double *speed)
{
#ifdef BKC_FAULTS
	return bkc_set_test_clock != NULL && bkc_set_test_clock[0] != '\0' &&
		sscanf(bkc_set_test_clock, "%lf %lf %lf", real, fake, speed) == 3 && *speed > 0;
#else
	return false;
#endif
}

TimestampTz
bkc_clock_now(void)
{
	TimestampTz now = GetCurrentTimestamp();
	double		real,
				fake,
				speed;

	if (!test_clock(&real, &fake, &speed))
		return now;
	fake += (bkc_clock_to_unix(now) / 1e6 - real) * speed;
	return bkc_clock_from_unix((int64) (fake * 1e6));
}

TimestampTz
bkc_clock_machine(void)
{
	double		moved = 0;

#ifdef BKC_FAULTS
	if (bkc_set_test_clock == NULL ||
		sscanf(bkc_set_test_clock, "%*f %*f %*f %lf", &moved) != 1)
		moved = 0;
#endif
	return GetCurrentTimestamp() + (int64) (moved * USECS_PER_SEC);
}

long
bkc_clock_ms_until(TimestampTz time, long max)
{
	double		real,
				fake,
				speed = 1;
	double		ms = ceil((double) (time - bkc_clock_now()) / 1000);

	if (test_clock(&real, &fake, &speed))
		ms = ceil(ms / speed);
	return ms <= 0 ? 0 : ms > max ? max : (long) ms;
}

int64
bkc_clock_to_unix(TimestampTz time)
{
	return time == 0 ? 0 : time + EPOCH_USECS;
}

TimestampTz
bkc_clock_from_unix(int64 usec)
{
	return usec == 0 ? 0 : usec - EPOCH_USECS;
}

static int32_t
utc_offset(void *arg, int64_t unix_seconds)
{
	pg_time_t	time = unix_seconds;
	struct pg_tm *tm = pg_localtime(&time, (const pg_tz *) arg);

	return tm == NULL ? 0 : (int32_t) tm->tm_gmtoff;
}

BkcZone
bkc_clock_zone(const char *name)
{
	pg_tz	   *tz = pg_tzset(name);
	BkcZone		zone = {.utc_offset = utc_offset};

	if (tz == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time zone \"%s\" not recognized", name),
				 errhint("The view pg_timezone_names lists them.")));
	zone.arg = tz;
	return zone;
}
