/*
 * test_cron.h
 *		What the tests of cron expressions share: zones of the C library.
 */
#ifndef TEST_CRON_H
#define TEST_CRON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/cron.h"
#include "base/text.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))
#define SECOND		INT64_C(1000000)

static int64_t zone_calls;

/* arg is the zone's name. */
static int32_t
zone_offset(void *arg, int64_t unix_seconds)
{
	static const char *current;
	time_t		t = (time_t) unix_seconds;
	struct tm	tm;

	zone_calls++;
	if (current == NULL || strcmp(current, arg) != 0)
	{
		setenv("TZ", arg, 1);
		tzset();
		current = arg;
	}
	assert_non_null(localtime_r(&t, &tm));
	return (int32_t) tm.tm_gmtoff;
}

static inline BkcZone
zone_named(const char *name)
{
	BkcZone		zone = {zone_offset, (void *) name};

	return zone;
}

static inline int64_t
moment(const char *text)
{
	BkcError	err;
	int64_t		usec;

	if (!bkc_parse_moment(text, &usec, &err))
		fail_msg("%s", err.message);
	return usec;
}

static inline void
parse_ok(const char *text, BkcCron *cron)
{
	BkcError	err;

	if (!bkc_cron_parse(text, cron, &err))
		fail_msg("%s (%s)", err.message, err.detail);
}

#endif							/* TEST_CRON_H */
