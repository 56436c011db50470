/*
 * host.h
 *		The client's surroundings for the core: signals, clock, log.
 *
 * The first SIGINT, SIGTERM or SIGHUP is remembered and makes
 * BkcHost.cancelled() true; system calls are interrupted by it.
 */
#ifndef BKC_CLIENT_HOST_H
#define BKC_CLIENT_HOST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* Install signal handlers and the host table; false for a bad PG_BACKUPCTL_FAULT. */
extern bool bkc_client_host_begin(BkcError *err);

/* Count as cancelled once this becomes true (a worker's word from its parent); NULL ends it. */
extern void bkc_client_host_watch(const atomic_bool *stop);

/* The signal that asked this process to stop, 0 when none did. */
extern int	bkc_client_host_signal(void);

/* Microseconds of a clock that nobody sets: for durations. */
extern int64_t bkc_client_clock(void);

#endif							/* BKC_CLIENT_HOST_H */
