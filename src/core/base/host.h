/*
 * host.h
 *		What the core needs from the program around it.
 *
 * Set once per process by the server or the client before any other call of
 * the core.  The functions must not throw, jump or exit (the server's
 * cancelled() services interrupts under its own error boundary).
 */
#ifndef BKC_BASE_HOST_H
#define BKC_BASE_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

typedef enum BkcLogLevel
{
	BKC_LOG_DEBUG,
	BKC_LOG_INFO,
	BKC_LOG_WARNING
} BkcLogLevel;

/* What a process is waiting for; the server maps these to wait events. */
typedef enum BkcWaitEvent
{
	BKC_WAIT_NONE,
	BKC_WAIT_STORE_READ,
	BKC_WAIT_STORE_WRITE,
	BKC_WAIT_STORE_SYNC,
	BKC_WAIT_FILE_READ,
	BKC_WAIT_FILE_WRITE,
	BKC_WAIT_THROTTLE,
	BKC_WAIT_RETRY
} BkcWaitEvent;

typedef struct BkcHost
{
	/* one line of text, no newline at its end */
	void		(*log) (BkcLogLevel level, const char *message);

	/*
	 * Should the work stop?  Called at least once a second by every loop of
	 * the core (in practice: once per frame), so it must be cheap.
	 */
	bool		(*cancelled) (void);

	/* sleep for up to ms milliseconds; returns early when cancelled */
	void		(*wait) (int ms);

	/* microseconds since 1970-01-01 00:00:00 UTC */
	int64_t		(*now) (void);

	/* announce the start (an event) or the end (BKC_WAIT_NONE) of a wait */
	void		(*wait_event) (BkcWaitEvent event);

	/* see fault.h; NULL where fault points are not driven */
	const char *(*fault_spec) (void);
} BkcHost;

/* Always set: before bkc_host_set() it points to a silent POSIX default. */
extern const BkcHost *bkc_host;

/* host must live as long as the process; missing (NULL) members are filled from the default. */
extern void bkc_host_set(const BkcHost *host);

/* false and BKC_ERR_CANCELLED "cancelled" when the host says so, else true. */
extern bool bkc_host_check(BkcError *err);

extern void bkc_log(BkcLogLevel level, const char *fmt,...) BKC_PRINTF(2, 3);

#endif							/* BKC_BASE_HOST_H */
