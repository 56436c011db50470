/*
 * retry.c
 *		Jittered exponential back-off.
 *
 * Everything that is short of memory or bandwidth fails for all its clients at
 * the same moment.  Half of each wait is random, so that they do not all come
 * back at the same moment as well.
 */
#include "base/retry.h"

#include <stdio.h>
#include <string.h>

#include "base/host.h"
#include "base/text.h"

#define RETRY_SLICE_MS	100

/* Bytes of one cause in the detail, and room for "Attempts 1000 to 1001: . " around it. */
#define CAUSE_MIN		40
#define CAUSE_MAX		300
#define CAUSE_FRAME		40

void
bkc_retry_begin(BkcRetry *r, const BkcRetryPolicy *policy)
{
	BkcError	ignored;

	memset(r, 0, sizeof(*r));
	r->policy = *policy;
	if (r->policy.max_attempts < 1)
		r->policy.max_attempts = 1;
	r->started = bkc_host->now();

	/* Without random bytes the waits are merely less well spread. */
	if (!bkc_random(&r->random_state, sizeof(r->random_state), &ignored))
		r->random_state = (uint64_t) r->started;
	r->random_state |= 1;
}

/* xorshift64*: spreads waits, nothing secret. */
static uint64_t
next_random(BkcRetry *r)
{
	r->random_state ^= r->random_state >> 12;
	r->random_state ^= r->random_state << 25;
	r->random_state ^= r->random_state >> 27;
	return r->random_state * UINT64_C(2685821657736338717);
}

/* The wait before attempt number attempts + 1, in milliseconds. */
static int
choose_wait(BkcRetry *r)
{
	int64_t		wait = r->policy.first_wait_ms > 0 ? r->policy.first_wait_ms : 1;
	int			i;

	for (i = 1; i < r->attempts && wait < r->policy.max_wait_ms; i++)
		wait *= 2;
	if (wait > r->policy.max_wait_ms && r->policy.max_wait_ms > 0)
		wait = r->policy.max_wait_ms;
	wait = wait - wait / 2 + (int64_t) (next_random(r) % (uint64_t) (wait / 2 + 1));

	/* What the other side asks for is not cut to our own maximum. */
	if (wait < r->min_wait_ms)
		wait = r->min_wait_ms;
	return (int) wait;
}

/*
 * Note why this attempt failed.  A cause that repeats itself is written once,
 * and each has its share of the room, so that the few that differ are not
 * crowded out.  What does not fit any more is left out: the last cause is the
 * message itself.
 */
static void
note_cause(BkcRetry *r, const BkcError *err)
{
	size_t		share = sizeof(r->causes) / ((size_t) r->policy.max_attempts + 1);
	const char *last = strstr(r->causes + r->last_at, ": ");
	char		sentence[CAUSE_MAX + CAUSE_FRAME];
	size_t		at = r->last_at;
	size_t		len;
	int			shown;

	share = share < CAUSE_MIN + CAUSE_FRAME ? CAUSE_MIN : share - CAUSE_FRAME;
	shown = bkc_text_clip(err->message, strlen(err->message),
						  share < CAUSE_MAX ? share : CAUSE_MAX);
	if (last != NULL && strncmp(last + 2, err->message, (size_t) shown) == 0 &&
		strcmp(last + 2 + shown, ".") == 0)
		snprintf(sentence, sizeof(sentence), "Attempts %d to %d: %.*s.", r->same_since,
				 r->attempts, shown, err->message);
	else
	{
		r->same_since = r->attempts;
		at = strlen(r->causes);
		snprintf(sentence, sizeof(sentence), "%sAttempt %d: %.*s.", at > 0 ? " " : "",
				 r->attempts, shown, err->message);
	}

	/* last_at at the end: the next cause finds nothing that it could repeat. */
	len = strlen(sentence);
	if (at + len >= sizeof(r->causes))
	{
		r->last_at = strlen(r->causes);
		return;
	}
	memcpy(r->causes + at, sentence, len + 1);
	r->last_at = at + (sentence[0] == ' ');
}

/* Put the causes of all attempts into the detail of the final error; false. */
static bool
give_up(BkcRetry *r, BkcError *err)
{
	if (r->attempts > 1)
	{
		if (err->detail[0] != '\0')
			bkc_error_detail(err, "%s %s", err->detail, r->causes);
		else
			bkc_error_detail(err, "%s", r->causes);
	}
	return false;
}

static bool
cancelled_waiting(BkcRetry *r, BkcError *err)
{
	bkc_error_set(err, BKC_ERR_CANCELLED, "cancelled");
	bkc_error_detail(err, "%s", r->causes);
	return false;
}

bool
bkc_retry_delay(BkcRetry *r, BkcError *err, int *wait_ms)
{
	int			wait;

	*wait_ms = 0;
	r->attempts++;
	note_cause(r, err);
	if ((err->code != BKC_ERR_UNAVAILABLE && err->code != BKC_ERR_TIMEOUT) ||
		r->attempts >= r->policy.max_attempts)
		return give_up(r, err);
	wait = choose_wait(r);
	r->min_wait_ms = 0;
	if (r->policy.total_ms > 0 &&
		bkc_host->now() - r->started > ((int64_t) r->policy.total_ms - wait) * 1000)
		return give_up(r, err);
	*wait_ms = wait;
	return true;
}

bool
bkc_retry_again(BkcRetry *r, BkcError *err)
{
	int64_t		left;
	int64_t		before;
	int64_t		took;
	int			wait;

	if (!bkc_retry_delay(r, err, &wait))
		return false;

	/*
	 * The clock says how long a wait took; at least a millisecond is counted,
	 * so that a clock that stands still or is set back cannot keep us here.
	 */
	bkc_host->wait_event(BKC_WAIT_RETRY);
	for (left = (int64_t) wait * 1000; left > 0 && !bkc_host->cancelled(); left -= took)
	{
		before = bkc_host->now();
		bkc_host->wait(left < RETRY_SLICE_MS * 1000 ? (int) ((left + 999) / 1000)
					   : RETRY_SLICE_MS);
		took = bkc_host->now() - before;
		if (took < 1000)
			took = 1000;
	}
	bkc_host->wait_event(BKC_WAIT_NONE);
	if (bkc_host->cancelled())
		return cancelled_waiting(r, err);
	return true;
}
