/*
 * retry.h
 *		Jittered exponential back-off above one request and below one object.
 *
 *		BkcRetry r;
 *		bkc_retry_begin(&r, &policy);
 *		do { ok = attempt(err); } while (!ok && bkc_retry_again(&r, err));
 *
 * Only BKC_ERR_UNAVAILABLE and BKC_ERR_TIMEOUT are retried.  When it gives
 * up, the detail of err lists the cause of every attempt.
 */
#ifndef BKC_BASE_RETRY_H
#define BKC_BASE_RETRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct BkcRetryPolicy
{
	int			max_attempts;	/* including the first; >= 1 */
	int			first_wait_ms;
	int			max_wait_ms;
	int			total_ms;		/* no further attempt after this time; 0 = no such limit */
} BkcRetryPolicy;

typedef struct BkcRetry
{
	BkcRetryPolicy policy;
	int			attempts;
	int64_t		started;		/* BkcHost.now() */
	int			min_wait_ms;	/* set by the caller from Retry-After before bkc_retry_again() */
	uint64_t	random_state;
	char		causes[BKC_ERROR_DETAIL_MAX];
	size_t		last_at;		/* where in causes the last one begins */
	int			same_since;		/* its first attempt */
} BkcRetry;

extern void bkc_retry_begin(BkcRetry *r, const BkcRetryPolicy *policy);

/*
 * Note a failed attempt, err says why.  true: try again after *wait_ms; false: err is final.
 * For who has other things to do while it waits.
 */
extern bool bkc_retry_delay(BkcRetry *r, BkcError *err, int *wait_ms);

/* true after having waited: try again.  false: err is final (also when cancelled while waiting). */
extern bool bkc_retry_again(BkcRetry *r, BkcError *err);

#endif							/* BKC_BASE_RETRY_H */
