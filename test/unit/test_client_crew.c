/*
 * test_client_crew.c
 *		Work shared by processes: every item once, errors, deaths, cancel, and
 *		nobody left behind.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../src/client/crew.c"
#include "../../src/client/host.c"
#include "../../src/client/json.c"
#include "../../src/client/report.c"

#define ITEMS	200

typedef enum Trouble
{
	NO_TROUBLE,
	FAIL_START,
	FAIL_ITEM,
	DIE,
	LEAVE,
	WAIT,
	WAIT_DEAF,
	STOP_ALL
} Trouble;

typedef struct Job
{
	Trouble		trouble;
	size_t		at;				/* item */
	_Atomic int *done;			/* shared, by item */
	int			messages;
	size_t		sum;
	int			ticks;
} Job;

static bool
job_start(void *arg, BkcCrewWorker *worker, void **state, BkcError *err)
{
	Job		   *job = arg;

	*state = job;
	worker->place = BKC_AT_TARGET;
	return job->trouble != FAIL_START || bkc_error_set(err, BKC_ERR_ACCESS, "no start");
}

static bool
job_item(void *state, size_t item, BkcCrewWorker *worker, BkcError *err)
{
	Job		   *job = state;
	char		message[5000];

	atomic_fetch_add(&job->done[item], 1);
	atomic_fetch_add(&worker->tally->files, 1);
	atomic_fetch_add(&worker->tally->bytes, item);
	if (item == job->at)
	{
		switch (job->trouble)
		{
			case FAIL_ITEM:
				return bkc_error_set(err, BKC_ERR_CORRUPT, "item %zu", item);
			case DIE:
				raise(SIGKILL);
				break;
			case LEAVE:
				_exit(0);
			case WAIT:
				bkc_host->wait(60000);
				break;
			case WAIT_DEAF:
				while (true)
					poll(NULL, 0, 1000);
			case STOP_ALL:
				kill(getppid(), SIGTERM);
				bkc_host->wait(60000);
				break;
			default:
				break;
		}
	}
	memset(message, (int) (item % 256), sizeof(message));
	memcpy(message, &item, sizeof(item));
	return bkc_crew_send(worker, message, err);
}

static void
job_finish(void *state)
{
}

static void
job_tick(void *arg, const BkcCrewCounts *counts)
{
	((Job *) arg)->ticks++;
}

static bool
job_message(void *arg, const void *message, BkcError *err)
{
	Job		   *job = arg;
	const unsigned char *bytes = message;
	size_t		item;

	memcpy(&item, message, sizeof(item));
	for (size_t i = sizeof(item); i < 5000; i++)
		assert_int_equal(bytes[i], item % 256);
	job->messages++;
	job->sum += item;
	return true;
}

static bool
run_job(Job *job, size_t jobs, size_t nitems, BkcCrewCounts *counts, BkcPlace *place, BkcError *err)
{
	BkcCrewSpec spec = {
		.jobs = jobs,
		.nitems = nitems,
		.start = job_start,
		.item = job_item,
		.finish = job_finish,
		.tick = job_tick,
		.message = job_message,
		.message_size = 5000,
		.arg = job
	};
	bool		ok;

	job->done = mmap(NULL, sizeof(int) * ITEMS, PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	caught_signal = 0;
	ok = bkc_crew_run(&spec, counts, place, err);

	/* no worker and no zombie is left */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	for (size_t i = 0; i < nitems; i++)
		assert_true(ok ? job->done[i] == 1 : job->done[i] <= 1);
	munmap((void *) job->done, sizeof(int) * ITEMS);
	return ok;
}

static void
test_all_items_once(void **state)
{
	static const size_t jobs[] = {1, 2, 7};
	static const size_t nitems[] = {0, 1, 2, 3, ITEMS};

	for (size_t j = 0; j < 3; j++)
	{
		for (size_t n = 0; n < 5; n++)
		{
			Job			job = {.at = SIZE_MAX};
			BkcCrewCounts counts;
			BkcPlace	place;
			BkcError	err;

			assert_true(run_job(&job, jobs[j], nitems[n], &counts, &place, &err));
			assert_int_equal(counts.files, nitems[n]);
			assert_int_equal(job.messages, nitems[n]);
			assert_int_equal(counts.bytes, job.sum);
			assert_true(nitems[n] == 0 || job.ticks > 0);
		}
	}
}

static void
expect_failure(Trouble trouble, BkcErrorCode code, BkcPlace place, const char *text)
{
	Job			job = {.trouble = trouble, .at = 5};
	int64_t		started = bkc_client_clock();
	BkcCrewCounts counts;
	BkcPlace	where;
	BkcError	err;

	assert_false(run_job(&job, 3, ITEMS, &counts, &where, &err));
	assert_int_equal(err.code, code);
	assert_int_equal(where, place);
	assert_non_null(strstr(err.message, text));
	assert_true(bkc_client_clock() - started < 10000000);
}

static void
test_failures(void **state)
{
	expect_failure(FAIL_START, BKC_ERR_ACCESS, BKC_AT_TARGET, "no start");
	expect_failure(FAIL_ITEM, BKC_ERR_CORRUPT, BKC_AT_TARGET, "item 5");
	expect_failure(DIE, BKC_ERR_INTERNAL, BKC_AT_PROGRAM, "signal 9");
	expect_failure(LEAVE, BKC_ERR_INTERNAL, BKC_AT_PROGRAM, "ended with status 0");
}

/* Stopped from outside: workers that listen, and one that does not. */
static void
test_cancel(void **state)
{
	expect_failure(STOP_ALL, BKC_ERR_CANCELLED, BKC_AT_PROGRAM, "cancelled");
	caught_signal = 0;
}

/* Another worker's failure ends one that waits, and one that has to be killed. */
static void
test_peers_are_stopped(void **state)
{
	static const Trouble troubles[] = {WAIT, WAIT_DEAF};

	for (size_t i = 0; i < 2; i++)
	{
		Job			job = {.trouble = troubles[i], .at = 0};
		BkcCrewCounts counts;
		BkcPlace	place;
		BkcError	err;

		/* the parent is told by a child of its own that it shall stop */
		if (fork() == 0)
		{
			poll(NULL, 0, 300);
			kill(getppid(), SIGTERM);
			_exit(0);
		}
		caught_signal = 0;
		job.done = NULL;
		{
			BkcCrewSpec spec = {
				.jobs = 2, .nitems = 1, .start = job_start, .item = job_item,
				.finish = job_finish, .message = job_message, .message_size = 5000, .arg = &job
			};
			int64_t		started = bkc_client_clock();

			job.done = mmap(NULL, sizeof(int) * ITEMS, PROT_READ | PROT_WRITE,
							MAP_SHARED | MAP_ANONYMOUS, -1, 0);
			assert_false(bkc_crew_run(&spec, &counts, &place, &err));
			assert_int_equal(err.code, BKC_ERR_CANCELLED);
			assert_true(bkc_client_clock() - started < 10000000);
			munmap((void *) job.done, sizeof(int) * ITEMS);
		}
		while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
			;
		caught_signal = 0;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_items_once),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_peers_are_stopped),
	};
	BkcError	err;

	if (!bkc_client_host_begin(&err))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
