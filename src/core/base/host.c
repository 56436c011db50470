/*
 * host.c
 *		The process-wide host table and its silent POSIX default.
 */
#include "base/host.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/text.h"

static void
default_log(BkcLogLevel level, const char *message)
{
}

static bool
default_cancelled(void)
{
	return false;
}

/* A signal may cut it short: callers of wait() look at the clock themselves. */
static void
default_wait(int ms)
{
	struct timespec left;

	if (ms <= 0)
		return;
	left.tv_sec = ms / 1000;
	left.tv_nsec = (long) (ms % 1000) * 1000000L;
	(void) nanosleep(&left, NULL);
}

static int64_t
default_now(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_REALTIME, &ts) != 0)
		return 0;
	return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void
default_wait_event(BkcWaitEvent event)
{
}

static const BkcHost default_host = {
	.log = default_log,
	.cancelled = default_cancelled,
	.wait = default_wait,
	.now = default_now,
	.wait_event = default_wait_event,
	.fault_spec = NULL,
};

/* What bkc_host points to once somebody has set one: a copy, with gaps filled. */
static BkcHost current_host;

const BkcHost *bkc_host = &default_host;

void
bkc_host_set(const BkcHost *host)
{
	if (host == NULL)
	{
		bkc_host = &default_host;
		return;
	}
	current_host = *host;
	if (current_host.log == NULL)
		current_host.log = default_log;
	if (current_host.cancelled == NULL)
		current_host.cancelled = default_cancelled;
	if (current_host.wait == NULL)
		current_host.wait = default_wait;
	if (current_host.now == NULL)
		current_host.now = default_now;
	if (current_host.wait_event == NULL)
		current_host.wait_event = default_wait_event;
	bkc_host = &current_host;
}

bool
bkc_host_check(BkcError *err)
{
	if (bkc_host->cancelled())
		return bkc_error_set(err, BKC_ERR_CANCELLED, "cancelled");
	return true;
}

/*
 * File names are chosen by others and may hold line breaks; one call must
 * stay one line of the log.
 */
void
bkc_log(BkcLogLevel level, const char *fmt,...)
{
	char		line[2048];
	int			saved_errno = errno;
	int			len;
	char	   *p;
	va_list		args;

	va_start(args, fmt);
	len = vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (len < 0)
		line[0] = '\0';
	else if ((size_t) len >= sizeof(line))
		line[bkc_text_clip(line, sizeof(line) - 1, sizeof(line) - 4)] = '\0';
	for (p = line; *p != '\0'; p++)
	{
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	}
	while (p > line && p[-1] == ' ')
		*--p = '\0';
	bkc_host->log(level, line);
	errno = saved_errno;
}
