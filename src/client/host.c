/*
 * host.c
 *		The client's surroundings for the core: signals, clock, log.
 *
 * The two variables here are the only ones of the client that outlive a call:
 * a signal handler has no other way to be heard, and the host table takes no
 * argument.
 */
#include "host.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fault.h"
#include "base/host.h"
#include "report.h"

#define WAIT_SLICE_MS	50

static volatile sig_atomic_t caught_signal;
static const atomic_bool *watched_stop;

static void
on_signal(int signo)
{
	if (caught_signal == 0)
		caught_signal = signo;
}

static void
host_log(BkcLogLevel level, const char *message)
{
	if (level >= BKC_LOG_WARNING)
		bkc_report_warning("%s", message);
}

static bool
host_cancelled(void)
{
	return caught_signal != 0 || (watched_stop != NULL && atomic_load(watched_stop));
}

static void
host_wait(int ms)
{
	while (ms > 0 && !host_cancelled())
	{
		int			slice = ms < WAIT_SLICE_MS ? ms : WAIT_SLICE_MS;

		(void) poll(NULL, 0, slice);
		ms -= slice;
	}
}

static int64_t
read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t
host_now(void)
{
	return read_clock(CLOCK_REALTIME);
}

static const char *
host_fault_spec(void)
{
	return getenv("PG_BACKUPCTL_FAULT");
}

static const BkcHost client_host = {
	.log = host_log,
	.cancelled = host_cancelled,
	.wait = host_wait,
	.now = host_now,
	.fault_spec = host_fault_spec
};

bool
bkc_client_host_begin(BkcError *err)
{
	static const int stop_signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action;
	struct sigaction before;

	memset(&action, 0, sizeof(action));
	sigemptyset(&action.sa_mask);
	action.sa_handler = on_signal;	/* no SA_RESTART: a blocked call shall come back */
	for (size_t i = 0; i < sizeof(stop_signals) / sizeof(stop_signals[0]); i++)
	{
		sigaction(stop_signals[i], &action, &before);

		/* started by nohup(1): it shall live on */
		if (stop_signals[i] == SIGHUP && before.sa_handler == SIG_IGN)
			sigaction(SIGHUP, &before, NULL);
	}

	/*
	 * A reader that went away and a file that may not grow are errors of
	 * write(2), not the end of a restore without a word.
	 */
	action.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &action, NULL);
	sigaction(SIGXFSZ, &action, NULL);

	bkc_host_set(&client_host);
#ifdef BKC_FAULTS
	if (host_fault_spec() != NULL && !bkc_fault_spec_check(host_fault_spec(), err))
		return bkc_error_context(err, "environment variable PG_BACKUPCTL_FAULT");
#endif
	return true;
}

void
bkc_client_host_watch(const atomic_bool *stop)
{
	watched_stop = stop;
}

int
bkc_client_host_signal(void)
{
	return caught_signal;
}

int64_t
bkc_client_clock(void)
{
	return read_clock(CLOCK_MONOTONIC);
}
