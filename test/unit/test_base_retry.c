/*
 * test_base_retry.c
 *		Back-off under a clock of our own: nothing here sleeps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/host.h"
#include "base/retry.h"
#include "base/text.h"

/* The fake surroundings. */
static int64_t clock_us;
static int64_t cancel_at_us;	/* 0: never */
static int	waits;
static int	longest_wait;
static int	open_waits;			/* wait_event() begun and not ended */
static int	clock_steps;		/* per cent of a wait that the clock moves */

static bool
fake_cancelled(void)
{
	return cancel_at_us != 0 && clock_us >= cancel_at_us;
}

static void
fake_wait(int ms)
{
	waits++;
	if (ms > longest_wait)
		longest_wait = ms;
	assert_true(ms > 0);
	assert_int_equal(open_waits, 1);
	clock_us += (int64_t) ms * 10 * clock_steps;
}

static int64_t
fake_now(void)
{
	return clock_us;
}

static void
fake_wait_event(BkcWaitEvent event)
{
	if (event == BKC_WAIT_NONE)
		open_waits--;
	else
	{
		assert_int_equal(event, BKC_WAIT_RETRY);
		open_waits++;
	}
}

static const BkcHost fake_host = {
	.cancelled = fake_cancelled,
	.wait = fake_wait,
	.now = fake_now,
	.wait_event = fake_wait_event,
};

static int
set_up(void **state)
{
	clock_us = INT64_C(1700000000000000);
	cancel_at_us = 0;
	waits = 0;
	longest_wait = 0;
	open_waits = 0;
	clock_steps = 100;
	bkc_host_set(&fake_host);
	return 0;
}

static int
tear_down(void **state)
{
	bkc_host_set(NULL);
	return open_waits;
}

static const BkcRetryPolicy policy = {
	.max_attempts = 5,
	.first_wait_ms = 100,
	.max_wait_ms = 500,
	.total_ms = 60000,
};

/* Waits double up to the maximum, and between half and all of each is taken. */
static void
test_waits(void **state)
{
	static const int full[] = {100, 200, 400, 500};
	BkcRetry	r;
	BkcError	err;
	int64_t		before;
	int			differ = 0;
	int			round;
	int			i;

	for (round = 0; round < 50; round++)
	{
		bkc_retry_begin(&r, &policy);
		for (i = 0; i < 4; i++)
		{
			before = clock_us;
			bkc_error_set(&err, BKC_ERR_UNAVAILABLE, "busy %d", i);
			assert_true(bkc_retry_again(&r, &err));
			assert_true(clock_us - before >= full[i] / 2 * 1000);
			assert_true(clock_us - before <= full[i] * 1000);
			differ += clock_us - before != full[i] * 1000;
		}
		bkc_error_set(&err, BKC_ERR_UNAVAILABLE, "busy %d", i);
		before = clock_us;
		assert_false(bkc_retry_again(&r, &err));
		assert_true(clock_us == before);
		assert_int_equal(r.attempts, 5);
	}
	assert_true(differ > 100);
	assert_true(longest_wait <= 100);	/* in slices, between which cancel is asked */
}

/* The loop of the header's example. */
static void
test_loop(void **state)
{
	BkcRetry	r;
	BkcError	err;
	int			calls = 0;
	bool		ok;

	bkc_retry_begin(&r, &policy);
	do
	{
		ok = ++calls == 3 ? true : bkc_error_set(&err, BKC_ERR_TIMEOUT, "slow");
	} while (!ok && bkc_retry_again(&r, &err));
	assert_true(ok);
	assert_int_equal(calls, 3);

	calls = 0;
	bkc_retry_begin(&r, &policy);
	do
	{
		calls++;
		ok = bkc_error_set(&err, BKC_ERR_TIMEOUT, "slow");
	} while (!ok && bkc_retry_again(&r, &err));
	assert_false(ok);
	assert_int_equal(calls, 5);
	assert_int_equal(err.code, BKC_ERR_TIMEOUT);
	assert_string_equal(err.message, "slow");
	assert_string_equal(err.detail, "Attempts 1 to 5: slow.");
}

static void
test_other_codes_are_final(void **state)
{
	BkcRetry	r;
	BkcError	err;
	int			code;

	for (code = BKC_OK; code <= BKC_ERR_INTERNAL; code++)
	{
		bool		again = code == BKC_ERR_UNAVAILABLE || code == BKC_ERR_TIMEOUT;

		bkc_retry_begin(&r, &policy);
		bkc_error_set(&err, (BkcErrorCode) code, "x");
		bkc_error_detail(&err, "Own detail.");
		assert_int_equal(bkc_retry_again(&r, &err), again);
		assert_int_equal(err.code, code);

		/* One attempt is no list. */
		assert_string_equal(err.detail, "Own detail.");
	}
}

static void
test_causes(void **state)
{
	BkcRetry	r;
	BkcError	err;

	bkc_retry_begin(&r, &policy);
	bkc_error_set(&err, BKC_ERR_UNAVAILABLE, "no route: to host");
	assert_true(bkc_retry_again(&r, &err));
	bkc_error_set(&err, BKC_ERR_UNAVAILABLE, "no route: to host");
	assert_true(bkc_retry_again(&r, &err));
	bkc_error_set(&err, BKC_ERR_TIMEOUT, "no route");
	assert_true(bkc_retry_again(&r, &err));
	bkc_error_set(&err, BKC_ERR_ACCESS, "wrong key");
	bkc_error_detail(&err, "The server said so.");
	bkc_error_hint(&err, "Check it.");
	assert_false(bkc_retry_again(&r, &err));
	assert_int_equal(err.code, BKC_ERR_ACCESS);
	assert_string_equal(err.message, "wrong key");
	assert_string_equal(err.hint, "Check it.");
	assert_string_equal(err.detail, "The server said so. Attempts 1 to 2: no route: to host. "
						"Attempt 3: no route. Attempt 4: wrong key.");
}

/* Long and many causes: whole sentences, valid text, nothing overrun. */
static void
test_causes_limits(void **state)
{
	static const int attempts[] = {1, 2, 3, 10, 30, 200};
	BkcRetryPolicy many = policy;
	BkcRetry	r;
	BkcError	err;
	char		text[900];
	size_t		i;
	int			n;

	for (i = 0; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "\xC3\xA9", 3);
	many.total_ms = 0;
	for (i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++)
	{
		many.max_attempts = attempts[i];
		bkc_retry_begin(&r, &many);
		for (n = 1;; n++)
		{
			bkc_error_set(&err, BKC_ERR_UNAVAILABLE, "%d %s", n, text);
			if (!bkc_retry_again(&r, &err))
				break;
		}
		assert_int_equal(n, attempts[i]);
		assert_true(bkc_utf8_valid(err.detail, strlen(err.detail)));
		if (n > 1)
		{
			assert_memory_equal(err.detail, "Attempt 1: 1 ", 13);
			assert_int_equal(err.detail[strlen(err.detail) - 1], '.');
		}
		if (n > 1 && n <= 10)
			assert_non_null(strstr(err.detail, n == 2 ? "Attempt 2: 2 " :
								   n == 3 ? "Attempt 3: 3 " : "Attempt 10: 10 "));
	}
}

/* A cause that no longer fits is not mistaken for the one before it. */
static void
test_causes_overflow_then_repeat(void **state)
{
	BkcRetryPolicy many = policy;
	BkcRetry	r;
	BkcError	err;
	int			n;

	many.max_attempts = 60;
	many.total_ms = 0;
	bkc_retry_begin(&r, &many);
	for (n = 1;; n++)
	{
		bkc_error_set(&err, BKC_ERR_UNAVAILABLE, "cause %d 01234567890123456789012345678", n % 2);
		if (!bkc_retry_again(&r, &err))
			break;
	}
	assert_null(strstr(err.detail, " to "));
}

static void
test_min_wait(void **state)
{
	BkcRetry	r;
	BkcError	err;
	int64_t		before = clock_us;

	/* Retry-After beats our own maximum, once. */
	bkc_retry_begin(&r, &policy);
	r.min_wait_ms = 7000;
	bkc_error_set(&err, BKC_ERR_UNAVAILABLE, "slow down");
	assert_true(bkc_retry_again(&r, &err));
	assert_true(clock_us - before == 7000 * 1000);
	before = clock_us;
	assert_true(bkc_retry_again(&r, &err));
	assert_true(clock_us - before <= 200 * 1000);

	/* Beyond the total it is not waited for at all. */
	before = clock_us;
	r.min_wait_ms = 60000;
	assert_false(bkc_retry_again(&r, &err));
	assert_true(clock_us == before);
	assert_string_equal(err.detail, "Attempts 1 to 3: slow down.");
}

/* For who waits by itself: the same waits, and nothing is slept. */
static void
test_delay(void **state)
{
	static const int full[] = {100, 200, 400, 500};
	BkcRetry	r;
	BkcError	err;
	int64_t		before = clock_us;
	int			wait;

	bkc_retry_begin(&r, &policy);
	for (int i = 0; i < 4; i++)
	{
		bkc_error_set(&err, BKC_ERR_UNAVAILABLE, "busy");
		assert_true(bkc_retry_delay(&r, &err, &wait));
		assert_in_range(wait, full[i] / 2, full[i]);
	}
	bkc_error_set(&err, BKC_ERR_UNAVAILABLE, "busy");
	assert_false(bkc_retry_delay(&r, &err, &wait));
	assert_string_equal(err.detail, "Attempts 1 to 5: busy.");
	assert_int_equal(waits, 0);
	assert_true(clock_us == before);

	/* what the other side asks for counts once */
	bkc_retry_begin(&r, &policy);
	r.min_wait_ms = 7000;
	bkc_error_set(&err, BKC_ERR_TIMEOUT, "slow down");
	assert_true(bkc_retry_delay(&r, &err, &wait));
	assert_int_equal(wait, 7000);
	assert_true(bkc_retry_delay(&r, &err, &wait));
	assert_in_range(wait, 100, 200);

	/* time that passes elsewhere counts, too */
	clock_us += INT64_C(59950) * 1000;
	assert_false(bkc_retry_delay(&r, &err, &wait));

	/* other codes are final */
	bkc_retry_begin(&r, &policy);
	bkc_error_set(&err, BKC_ERR_ACCESS, "no");
	assert_false(bkc_retry_delay(&r, &err, &wait));
	assert_string_equal(err.detail, "");
}

static void
test_total(void **state)
{
	BkcRetryPolicy p = {.max_attempts = 1000000, .first_wait_ms = 1000, .max_wait_ms = 1000,
	.total_ms = 10000};
	BkcRetry	r;
	BkcError	err;
	int64_t		started = clock_us;

	bkc_retry_begin(&r, &p);
	do
	{
		bkc_error_set(&err, BKC_ERR_UNAVAILABLE, "down");
		clock_us += 500 * 1000;
	} while (bkc_retry_again(&r, &err));
	assert_true(clock_us - started <= (10000 + 500) * 1000);
	assert_true(clock_us - started >= 8000 * 1000);
	assert_in_range(r.attempts, 7, 11);
}

static void
test_odd_policies(void **state)
{
	BkcRetryPolicy p = {0};
	BkcRetry	r;
	BkcError	err;

	/* Nothing set: one attempt. */
	bkc_retry_begin(&r, &p);
	bkc_error_set(&err, BKC_ERR_UNAVAILABLE, "x");
	assert_false(bkc_retry_again(&r, &err));
	assert_int_equal(waits, 0);

	/* Largest numbers do not overflow. */
	p.max_attempts = INT32_MAX;
	p.first_wait_ms = INT32_MAX;
	p.max_wait_ms = INT32_MAX;
	p.total_ms = INT32_MAX;
	bkc_retry_begin(&r, &p);
	cancel_at_us = clock_us + 1000000;
	bkc_error_set(&err, BKC_ERR_UNAVAILABLE, "x");
	assert_false(bkc_retry_again(&r, &err));
	assert_int_equal(err.code, BKC_ERR_CANCELLED);
}

static void
test_cancelled_while_waiting(void **state)
{
	BkcRetry	r;
	BkcError	err;
	int64_t		before = clock_us;

	bkc_retry_begin(&r, &policy);
	r.min_wait_ms = 50000;
	cancel_at_us = clock_us + 1050 * 1000;
	bkc_error_set(&err, BKC_ERR_UNAVAILABLE, "down");
	assert_false(bkc_retry_again(&r, &err));
	assert_int_equal(err.code, BKC_ERR_CANCELLED);
	assert_string_equal(err.message, "cancelled");
	assert_string_equal(err.detail, "Attempt 1: down.");
	assert_true(clock_us - before <= 1200 * 1000);

	/* Already cancelled: no wait at all. */
	waits = 0;
	bkc_retry_begin(&r, &policy);
	bkc_error_set(&err, BKC_ERR_UNAVAILABLE, "down");
	assert_false(bkc_retry_again(&r, &err));
	assert_int_equal(err.code, BKC_ERR_CANCELLED);
	assert_int_equal(waits, 0);
}

/* Waits that return early are continued; a clock that stands still or runs back ends. */
static void
test_clocks(void **state)
{
	BkcRetry	r;
	BkcError	err;
	int64_t		before = clock_us;

	clock_steps = 10;
	bkc_retry_begin(&r, &policy);
	bkc_error_set(&err, BKC_ERR_UNAVAILABLE, "down");
	assert_true(bkc_retry_again(&r, &err));
	assert_true(clock_us - before >= 40 * 1000);
	assert_true(waits > 1);

	clock_steps = 0;
	waits = 0;
	assert_true(bkc_retry_again(&r, &err));
	assert_true(waits <= 200);

	clock_steps = -100;
	waits = 0;
	assert_true(bkc_retry_again(&r, &err));
	assert_true(waits <= 400);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_waits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_loop, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_other_codes_are_final, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_causes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_causes_limits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_causes_overflow_then_repeat, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_min_wait, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_delay, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_total, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_odd_policies, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cancelled_while_waiting, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_clocks, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
