/*
 * test_base_fault.c
 *		Fault points, driven through a host of our own, and the host table itself.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fault.h"
#include "base/host.h"

static const char *spec;
static int64_t clock_us;
static int64_t cancel_at_us;
static int	longest_wait;
static char logged[4096];
static BkcLogLevel logged_level;

static const char *
fake_spec(void)
{
	return spec;
}

static bool
fake_cancelled(void)
{
	return cancel_at_us != 0 && clock_us >= cancel_at_us;
}

static void
fake_wait(int ms)
{
	if (ms > longest_wait)
		longest_wait = ms;
	clock_us += (int64_t) ms * 1000;
}

static int64_t
fake_now(void)
{
	return clock_us;
}

static void
fake_log(BkcLogLevel level, const char *message)
{
	logged_level = level;
	strncpy(logged, message, sizeof(logged) - 1);
	errno = EXDEV;
}

static const BkcHost fake_host = {
	.log = fake_log,
	.cancelled = fake_cancelled,
	.wait = fake_wait,
	.now = fake_now,
	.fault_spec = fake_spec,
};

static int
set_up(void **state)
{
	spec = NULL;
	clock_us = 1;
	cancel_at_us = 0;
	longest_wait = 0;
	bkc_host_set(&fake_host);
	return 0;
}

static int
tear_down(void **state)
{
	bkc_host_set(NULL);
	return 0;
}

static void
test_host_default(void **state)
{
	BkcHost		own = {.now = fake_now};
	BkcError	err;

	bkc_host_set(NULL);
	assert_non_null(bkc_host);
	assert_false(bkc_host->cancelled());
	assert_true(bkc_host_check(&err));
	assert_true(bkc_host->now() > INT64_C(1700000000000000));
	assert_null(bkc_host->fault_spec);
	bkc_host->wait_event(BKC_WAIT_THROTTLE);
	bkc_host->wait(0);
	bkc_host->wait(-1);
	bkc_host->wait(1);
	bkc_log(BKC_LOG_WARNING, "nobody hears %s", "this");

	/* Gaps are filled, and what was given is taken. */
	bkc_host_set(&own);
	assert_true(bkc_host->now == fake_now);
	assert_non_null(bkc_host->log);
	assert_non_null(bkc_host->wait);
	assert_non_null(bkc_host->wait_event);
	assert_false(bkc_host->cancelled());
}

static void
test_host_cancelled(void **state)
{
	BkcError	err;

	assert_true(bkc_host_check(&err));
	cancel_at_us = 1;
	assert_false(bkc_host_check(&err));
	assert_int_equal(err.code, BKC_ERR_CANCELLED);
	assert_string_equal(err.message, "cancelled");
}

static void
test_log(void **state)
{
	char		text[5000];

	errno = ENOTTY;
	bkc_log(BKC_LOG_INFO, "%d files", 3);
	assert_int_equal(errno, ENOTTY);
	assert_string_equal(logged, "3 files");
	assert_int_equal(logged_level, BKC_LOG_INFO);
	bkc_log(BKC_LOG_WARNING, "a\nb\r\n");
	assert_string_equal(logged, "a b");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	bkc_log(BKC_LOG_DEBUG, "%s", text);
	assert_true(strlen(logged) > 1000 && strlen(logged) < sizeof(logged) - 1);
}

#ifdef BKC_FAULTS

static void
test_names(void **state)
{
#define X(id, name) name,
	static const char *const names[] = {BKC_FAULT_LIST(X)};
#undef X
	char		text[100];
	BkcError	err;
	int			i;

	for (i = 0; i < BKC_FAULT_COUNT; i++)
	{
		/* No name holds a character of the grammar. */
		assert_null(strpbrk(names[i], "=:@, "));
		snprintf(text, sizeof(text), "%s=fail", names[i]);
		assert_true(bkc_fault_spec_check(text, &err));
		spec = text;
		assert_false(bkc_fault((BkcFault) i, &err));
		snprintf(text, sizeof(text), "fault point %s", names[i]);
		assert_string_equal(err.message, text);
	}
	spec = NULL;

	/* The list of all of them fits into the detail. */
	assert_false(bkc_fault_spec_check("nothing=fail", &err));
	for (i = 0; i < BKC_FAULT_COUNT; i++)
		assert_non_null(strstr(err.detail, names[i]));
	assert_int_equal(err.detail[strlen(err.detail) - 1], '.');
}

static void
test_spec_check(void **state)
{
	static const char *const good[] = {
		"", "store-read=fail", " store-read=fail ", "store-read=fail,store-list=nospace@3",
		"store-read=cancel , store-read=kill@18446744073709551615", "store-read=exit@1",
		"store-read=sleep:1", "store-read=sleep:86400000@2", "store-read=fail,store-read=fail",
	};
	static const struct
	{
		const char *text;
		const char *part;
	}			bad[] = {
		{" ", "empty item"}, {",", "empty item"}, {"store-read=fail,", "empty item"},
		{"store-read=fail,,store-list=fail", "empty item"}, {",store-read=fail", "empty item"},
		{"store-reed=fail", "\"store-reed\""}, {"=fail", "\"\""}, {"store-read", "no action"},
		{"store-read@2=fail", "\"store-read@2\""}, {"store-rea=fail", "\"store-rea\""},
		{"store-readx=fail", "\"store-readx\""}, {"STORE_READ=fail", "\"STORE_READ\""},
		{"store-read=", "unknown action \"\""}, {"store-read=explode", "\"explode\""},
		{"store-read=fai", "\"fai\""}, {"store-read=failx", "\"failx\""},
		{"store-read=fail:3", "takes no argument"}, {"store-read=sleep", "needs a time"},
		{"store-read=sleep:", "needs a time"}, {"store-read=sleep:0", "needs a time"},
		{"store-read=sleep:-1", "needs a time"}, {"store-read=sleep:x", "needs a time"},
		{"store-read=sleep:86400001", "needs a time"},
		{"store-read=sleep:99999999999999999999999999", "needs a time"},
		{"store-read=fail@", "\"@\""}, {"store-read=fail@0", "\"@0\""},
		{"store-read=fail@x", "\"@x\""}, {"store-read=fail@1@2", "\"@1@2\""},
		{"store-read=fail@18446744073709551616", "\"@18446744073709551616\""},
		{"store-read=fail store-list=fail", "\"fail store-list=fail\""},
		{"store-list=fail,store-read=fail@-1", "\"@-1\""},
	};
	BkcError	err;
	size_t		i;

	assert_true(bkc_fault_spec_check(NULL, &err));
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
	{
		if (!bkc_fault_spec_check(good[i], &err))
			fail_msg("%s: %s", good[i], err.message);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		if (bkc_fault_spec_check(bad[i].text, &err))
			fail_msg("%s was accepted", bad[i].text);
		assert_int_equal(err.code, BKC_ERR_INVALID);
		if (strstr(err.message, bad[i].part) == NULL)
			fail_msg("%s: message is \"%s\"", bad[i].text, err.message);
	}
}

static void
test_actions(void **state)
{
	static const struct
	{
		const char *spec;
		BkcErrorCode code;
	}			cases[] = {
		{"store-read=fail", BKC_ERR_IO},
		{"store-read=nospace", BKC_ERR_NO_SPACE},
		{"store-read=cancel", BKC_ERR_CANCELLED},
		{"store-list=cancel,store-read=fail,store-read=nospace", BKC_ERR_IO},
	};
	BkcError	err;
	size_t		i;

	assert_true(bkc_fault(BKC_FAULT_STORE_READ, &err));
	spec = "";
	assert_true(bkc_fault(BKC_FAULT_STORE_READ, &err));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		spec = cases[i].spec;
		assert_false(bkc_fault(BKC_FAULT_STORE_READ, &err));
		assert_int_equal(err.code, cases[i].code);
		assert_string_equal(err.message, "fault point store-read");
		assert_false(bkc_fault(BKC_FAULT_STORE_READ, &err));
		assert_true(bkc_fault(BKC_FAULT_STORE_WRITE, &err));
	}

	/* A wrong one fails at every point: a test must not pass because of a slip. */
	spec = "store-read=fail,typo=fail";
	assert_false(bkc_fault(BKC_FAULT_STORE_WRITE, &err));
	assert_int_equal(err.code, BKC_ERR_INVALID);

	/* No function given, no faults. */
	bkc_host_set(NULL);
	assert_true(bkc_fault(BKC_FAULT_STORE_READ, &err));
}

static void
test_count(void **state)
{
	static const char same[] = "store-read=fail@3";
	static const char other[] = "store-read=fail@3";
	BkcError	err;
	int			i;

	spec = "store-read=fail@3,store-write=nospace@1,store-read=cancel@5";
	for (i = 1; i <= 7; i++)
	{
		assert_int_equal(bkc_fault(BKC_FAULT_STORE_READ, &err), i != 3 && i != 5);
		if (i == 3 || i == 5)
			assert_int_equal(err.code, i == 3 ? BKC_ERR_IO : BKC_ERR_CANCELLED);
		assert_int_equal(bkc_fault(BKC_FAULT_STORE_WRITE, &err), i != 1);
		assert_true(bkc_fault(BKC_FAULT_STORE_LIST, &err));
	}

	/* Another specification counts anew; the same at another address does not. */
	spec = same;
	assert_true(bkc_fault(BKC_FAULT_STORE_READ, &err));
	assert_true(bkc_fault(BKC_FAULT_STORE_READ, &err));
	assert_ptr_not_equal(spec, other);
	spec = other;
	assert_false(bkc_fault(BKC_FAULT_STORE_READ, &err));
	assert_true(bkc_fault(BKC_FAULT_STORE_READ, &err));

	/* So does the same one after having been away. */
	spec = "";
	assert_true(bkc_fault(BKC_FAULT_STORE_READ, &err));
	spec = other;
	for (i = 1; i <= 3; i++)
		assert_int_equal(bkc_fault(BKC_FAULT_STORE_READ, &err), i != 3);
}

static void
test_sleep(void **state)
{
	BkcError	err;

	spec = "store-read=sleep:90";
	assert_true(bkc_fault(BKC_FAULT_STORE_READ, &err));
	assert_true(clock_us == 90001);
	assert_int_equal(longest_wait, 20);

	/* In slices, so that it ends soon after a cancel. */
	spec = "store-read=sleep:86400000";
	cancel_at_us = clock_us + 50000;
	assert_false(bkc_fault(BKC_FAULT_STORE_READ, &err));
	assert_int_equal(err.code, BKC_ERR_CANCELLED);
	assert_true(clock_us <= cancel_at_us + 20000);

	/* Several actions of one point, in order. */
	cancel_at_us = 0;
	clock_us = 1;
	spec = "store-read=sleep:30,store-read=fail";
	assert_false(bkc_fault(BKC_FAULT_STORE_READ, &err));
	assert_int_equal(err.code, BKC_ERR_IO);
	assert_true(clock_us == 30001);
}

static int
status_of_child(const char *child_spec)
{
	BkcError	err;
	int			status;
	pid_t		pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
	{
		spec = child_spec;
		bkc_fault(BKC_FAULT_PACK_COMMIT, &err);
		_exit(42);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
test_deaths(void **state)
{
	int			status = status_of_child("pack-commit=kill");

	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	status = status_of_child("pack-commit=exit");
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	status = status_of_child("pack-commit=kill@2,store-read=exit");
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

#else							/* !BKC_FAULTS */

static void
test_compiled_out(void **state)
{
	BkcError	err;

	spec = "store-read=fail";
	assert_true(bkc_fault(BKC_FAULT_STORE_READ, &err));
	assert_true(bkc_fault_spec_check(NULL, &err));
	assert_true(bkc_fault_spec_check("", &err));
	assert_false(bkc_fault_spec_check(spec, &err));
	assert_int_equal(err.code, BKC_ERR_UNSUPPORTED);
	assert_non_null(strstr(err.message, "not part of this build"));
	assert_non_null(strstr(err.hint, "BKC_FAULTS"));
}

#endif							/* BKC_FAULTS */

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_host_default, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_host_cancelled, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_log, set_up, tear_down),
#ifdef BKC_FAULTS
		cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_spec_check, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_actions, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_count, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sleep, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_deaths, set_up, tear_down),
#else
		cmocka_unit_test_setup_teardown(test_compiled_out, set_up, tear_down),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
