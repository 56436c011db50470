/*
 * test_store_s3_faults.c
 *		Every request of every operation fails once, in every way: the operation
 *		succeeds by trying again, or fails with an error that names the cause.
 *		What is said to be stored is stored, and a sweep finds what is left.
 *
 * A proxy between the driver and the server does it.  Most of the time is
 * waiting, so the operations are tested by processes side by side.
 */
#include "s3server.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/host.h"
#include "base/text.h"

#define MIB			((size_t) 1 << 20)
#define LARGE		(5 * MIB + 1000)	/* two parts */
#define MIDDLE		(3 * MIB)	/* more than a reader's window */
#define OPTIONS		"&part_size=5MB&parts_in_flight=2&stall_timeout=1&connect_timeout=2"

static char bucket[S3_BUCKET_MAX];
static uint8_t data[LARGE];

/* ---- ways to fail ---- */

typedef struct Fault
{
	const char *json;			/* in the control file, beside "skip" and "times" */
	enum
	{
		PASSING,
		ONCE,					/* the same; lasting, it would be like others or no harm at all */
		SLOW,					/* the same; libcurl needs seconds to notice */
		FINAL,					/* nothing that passes: the operation must fail */
		LYING					/* changes what the client gets, which only TLS would notice */
	}			kind;
} Fault;

static const Fault faults[] = {
	{"\"refuse\": true", ONCE},
	{"\"refuse\": true, \"rst\": true", PASSING},
	{"\"down_ms\": 250, \"rst\": true", ONCE},
	{"\"status\": 500", PASSING},
	{"\"status\": 503, \"headers\": {\"Retry-After\": \"1\"}, \"body\": \"<Error><Code>SlowDown</Code></Error>\"", ONCE},
	{"\"reply_status\": 500", ONCE},
	{"\"drop_reply\": true", PASSING},
	{"\"drop_reply\": true, \"rst\": true", ONCE},
	{"\"blackhole\": true", SLOW},
	{"\"cut_up\": 100", ONCE},
	{"\"cut_up\": 100, \"rst\": true", PASSING},
	{"\"cut_down\": 50", PASSING},
	{"\"cut_down\": 2500000, \"rst\": true", ONCE},
	{"\"corrupt_up\": 77", PASSING},
	{"\"corrupt_down\": 77", LYING},
	{"\"trickle\": 4096, \"delay_ms\": 1", ONCE},

	/* somebody else's answers: never "not found" */
	{"\"status\": 404, \"body\": \"<html>who are you?</html>\"", FINAL},
	{"\"status\": 403, \"body\": \"<Error><Code>AccessDenied</Code></Error>\"", FINAL},
};

#define NFAULTS	(sizeof(faults) / sizeof(faults[0]))

/* ---- operations ---- */

typedef struct Operation
{
	const char *name;

	/* what must be there before, by a store without faults */
	void		(*prepare) (BkcStore *store);

	/* the operation; a result that is wrong is an error INTERNAL */
	bool		(*act) (BkcStore *store, BkcError *err);

	/* is the repository as it must be, when act succeeded or failed? */
	void		(*judge) (BkcStore *store, bool ok);
} Operation;

static void
nothing_before(BkcStore *store)
{
}

static void
as_it_was(BkcStore *store, bool ok)
{
}

static bool
wrong(BkcError *err)
{
	return bkc_error_set(err, BKC_ERR_INTERNAL, "the result is wrong");
}

/* stored, or absent */
static void
judge_object(BkcStore *store, const char *name, size_t len, bool ok)
{
	uint64_t	size;
	BkcError	err;

	if (ok || bkc_store_stat(store, name, &size, &err))
		assert_object(store, name, data, len);
	else
		assert_int_equal(err.code, BKC_ERR_NOT_FOUND);
}

static bool
put_small(BkcStore *store, BkcError *err)
{
	return store_put(store, "w/small", data, 1000, 0, err);
}

static void
judge_small(BkcStore *store, bool ok)
{
	judge_object(store, "w/small", 1000, ok);
}

static bool
put_large(BkcStore *store, BkcError *err)
{
	return store_put(store, "w/large", data, LARGE, MIB, err);
}

static void
judge_large(BkcStore *store, bool ok)
{
	judge_object(store, "w/large", LARGE, ok);
}

/* A name that is taken stays as it is. */
static void
take_names(BkcStore *store)
{
	BkcError	err;

	assert_ok(store_put(store, "w/small", "other", 5, 0, &err), &err);
	assert_ok(store_put(store, "w/large", "other", 5, 0, &err), &err);
}

static bool
put_on_taken(BkcStore *store, BkcError *err)
{
	if (store_put(store, "w/small", data, 1000, 0, err))
		return wrong(err);
	if (err->code != BKC_ERR_EXISTS)
		return false;
	if (store_put(store, "w/large", data, LARGE, 0, err))
		return wrong(err);
	return err->code == BKC_ERR_EXISTS;
}

static void
judge_taken(BkcStore *store, bool ok)
{
	assert_object(store, "w/small", "other", 5);
	assert_object(store, "w/large", "other", 5);
}

static void
make_objects(BkcStore *store)
{
	BkcError	err;

	assert_ok(store_put(store, "a/middle", data, MIDDLE, 0, &err), &err);
	assert_ok(store_put(store, "a/small", data, 1000, 0, &err), &err);
	assert_ok(store_put(store, "b", data, 10, 0, &err), &err);
	assert_ok(store_put(store, "c/c/c", data, 0, 0, &err), &err);
}

static bool
read_range(BkcStore *store, const char *name, uint64_t offset, uint64_t length, size_t expected,
		   BkcError *err)
{
	BkcBuffer	buf = {0};
	bool		ok = store_get(store, name, offset, length, 100000, &buf, err);

	if (ok && (buf.len != expected ||
			   (buf.len > 0 && memcmp(buf.data, data + offset, buf.len) != 0)))
		ok = wrong(err);
	bkc_buffer_free(&buf);
	return ok;
}

static bool
read_objects(BkcStore *store, BkcError *err)
{
	return read_range(store, "a/middle", 0, UINT64_MAX, MIDDLE, err) &&
		read_range(store, "a/small", 10, 100, 100, err) &&
		read_range(store, "c/c/c", 0, UINT64_MAX, 0, err);
}

static bool
look_up(BkcStore *store, BkcError *err)
{
	uint64_t	size;

	if (!bkc_store_stat(store, "a/small", &size, err))
		return false;
	if (size != 1000 || bkc_store_stat(store, "missing", &size, err))
		return wrong(err);

	/* the error that is right */
	return err->code == BKC_ERR_NOT_FOUND;
}

static bool
add_name(void *arg, const char *name, uint64_t size, BkcError *err)
{
	return bkc_buffer_printf(arg, err, "%s ", name);
}

static bool
list_is(BkcStore *store, bool deep, const char *expected, BkcError *err)
{
	BkcBuffer	buf = {0};
	bool		ok = bkc_store_list(store, "", deep, add_name, &buf, err);

	if (ok && strcmp(bkc_buffer_str(&buf), expected) != 0)
		ok = wrong(err);
	bkc_buffer_free(&buf);
	return ok;
}

static bool
list_objects(BkcStore *store, BkcError *err)
{
	return list_is(store, true, "a/middle a/small b c/c/c ", err) &&
		list_is(store, false, "a/ b c/ ", err);
}

static bool
remove_objects(BkcStore *store, BkcError *err)
{
	return bkc_store_remove(store, (const char *const[]) {"a/small", "missing", "b"}, 3, err) &&
		bkc_store_remove(store, (const char *const[]) {"c/c/c"}, 1, err);
}

static void
judge_removed(BkcStore *store, bool ok)
{
	BkcError	err;

	if (ok)
		assert_names(store, "", true, "a/middle ");
	assert_object(store, "a/middle", data, MIDDLE);
	assert_ok(remove_objects(store, &err), &err);
	assert_names(store, "", true, "a/middle ");
}

/* Two uploads that nobody goes on with. */
static void
make_uploads(BkcStore *store)
{
	const char *prefix = strchr(store->location + strlen("s3://"), '/') + 1;
	char		key[128];

	snprintf(key, sizeof(key), "%s/u/one", prefix);
	free(s3server_call(NULL, "begin", bucket, key, NULL));
	snprintf(key, sizeof(key), "%s/u/two", prefix);
	free(s3server_call(NULL, "begin", bucket, key, NULL));
}

static bool
sweep(BkcStore *store, BkcError *err)
{
	return bkc_store_sweep(store, "u/", err);
}

static void
judge_swept(BkcStore *store, bool ok)
{
	const char *prefix = strchr(store->location + strlen("s3://"), '/') + 1;
	char	   *uploads;

	if (!ok)
		return;
	uploads = s3server_call(NULL, "uploads", bucket, prefix, NULL);
	assert_string_equal(uploads, "");
	free(uploads);
}

static bool
probe(BkcStore *store, BkcError *err)
{
	return bkc_store_probe(store, "test", err);
}

static void
judge_probe(BkcStore *store, bool ok)
{
	BkcError	err;

	if (!ok)
		assert_ok(bkc_store_probe(store, "test", &err), &err);
	assert_names(store, "", true, "");
}

static const Operation operations[] = {
	{"put_small", nothing_before, put_small, judge_small},
	{"put_large", nothing_before, put_large, judge_large},
	{"put_on_taken", take_names, put_on_taken, judge_taken},
	{"read", make_objects, read_objects, as_it_was},
	{"look_up", make_objects, look_up, as_it_was},
	{"list", make_objects, list_objects, as_it_was},
	{"remove", make_objects, remove_objects, judge_removed},
	{"sweep", make_uploads, sweep, judge_swept},
	{"probe", nothing_before, probe, judge_probe},
};

#define NOPERATIONS	(sizeof(operations) / sizeof(operations[0]))

static const Operation *operation;	/* of this process */
static S3Proxy proxy;

/* ---- one case ---- */

typedef struct Case
{
	char		prefix[32];
	BkcStore   *store;			/* through the proxy */
	BkcStore   *direct;
} Case;

static void
begin_case(Case *c)
{
	uint8_t		random[8];
	char		more[192];
	BkcError	err;

	s3proxy_set(&proxy, "");
	assert_ok(bkc_random(random, sizeof(random), &err), &err);
	bkc_hex_encode(random, sizeof(random), c->prefix);
	c->direct = s3server_open(S3_HTTP_PATH, bucket, c->prefix, "");
	operation->prepare(c->direct);
	snprintf(more, sizeof(more), OPTIONS "&endpoint=http://127.0.0.1:%d", proxy.port);
	c->store = s3server_open(S3_HTTP_PATH, bucket, c->prefix, more);
}

/* The server's memory is small. */
static void
end_case(Case *c)
{
	const char *const names[] = {"a/middle", "a/small", "b", "c/c/c", "w/large", "w/small"};
	BkcError	err;

	assert_ok(bkc_store_remove(c->direct, names, sizeof(names) / sizeof(names[0]), &err), &err);
	bkc_store_close(c->store);
	bkc_store_close(c->direct);
}

static void
show(const char *what, int request, const Fault *fault, const BkcError *err)
{
	char	   *log = s3proxy_log(&proxy);

	fail_msg("%s: %s at request %d, {%s}: %s (%s)\n%s\n%s\nrequests:\n%s", operation->name, what,
			 request, fault->json, err->message, bkc_error_code_name(err->code), err->detail,
			 err->hint, log);
}

static bool
in_words(const BkcError *err)
{
	return err->message[0] != '\0' && strstr(err->message, "s3://") != NULL &&
		err->code != BKC_ERR_INTERNAL && err->code != BKC_ERR_NOT_FOUND &&
		err->code != BKC_ERR_EXISTS && err->code != BKC_OK;
}

static int
count_requests(void)
{
	Case		c;
	BkcError	err;
	int			n;

	begin_case(&c);
	bkc_error_clear(&err);
	assert_ok(operation->act(c.store, &err), &err);
	operation->judge(c.direct, true);
	n = s3proxy_count(&proxy);
	end_case(&c);
	return n;
}

/* The first, the last and one with a body in most operations. */
static bool
worth_waiting(int request, int n)
{
	return request <= 1 || request == n - 1;
}

static void
each_request_once(void **state)
{
	int			n = count_requests();

	assert_true(n > 0);
	for (int request = 0; request < n; request++)
	{
		for (size_t f = 0; f < NFAULTS; f++)
		{
			char		control[512];
			Case		c;
			BkcError	err;
			bool		ok;

			if (faults[f].kind == SLOW && !worth_waiting(request, n))
				continue;
			begin_case(&c);
			snprintf(control, sizeof(control), "{\"skip\": %d, \"times\": 1, %s}", request,
					 faults[f].json);
			s3proxy_set(&proxy, control);
			bkc_error_clear(&err);
			ok = operation->act(c.store, &err);
			if (!ok && faults[f].kind == LYING)
				ok = true;		/* whatever it was */
			else if (!ok && faults[f].kind != FINAL)
				show("failure", request, &faults[f], &err);
			else if (!ok && !in_words(&err))
				show("error", request, &faults[f], &err);
			operation->judge(c.direct, ok && faults[f].kind != LYING);
			end_case(&c);
		}
	}
}

/* ---- trouble that does not pass ---- */

static int clock_steps;

/*
 * Every look at it takes 40 seconds, so that retries give up after some attempts.  The server
 * takes signatures that are up to 15 minutes off.
 */
static int64_t
fast_clock(void)
{
	if (clock_steps < 42)
		clock_steps++;
	return (int64_t) (time(NULL) + 40 * (clock_steps - 21)) * 1000000;
}

static void
each_request_for_good(void **state)
{
	static const BkcHost hurried = {.now = fast_clock};
	int			n = count_requests();

	for (int request = 0; request < n; request++)
	{
		for (size_t f = 0; f < NFAULTS; f++)
		{
			char		control[512];
			Case		c;
			BkcError	err;
			bool		ok;

			if (faults[f].kind == LYING || faults[f].kind == ONCE ||
				(faults[f].kind == SLOW && !worth_waiting(request, n)))
				continue;
			begin_case(&c);
			snprintf(control, sizeof(control), "{\"skip\": %d, %s}", request, faults[f].json);
			s3proxy_set(&proxy, control);
			bkc_error_clear(&err);
			clock_steps = 0;
			bkc_host_set(&hurried);
			ok = operation->act(c.store, &err);
			if (!ok && !in_words(&err))
				show("error", request, &faults[f], &err);
			if (!ok && faults[f].kind != FINAL && strstr(err.message, "http://") == NULL &&
				strstr(err.message, "S3 answered") == NULL)
				show("no cause", request, &faults[f], &err);
			if (!ok && faults[f].kind != FINAL && err.code != BKC_ERR_UNAVAILABLE &&
				err.code != BKC_ERR_TIMEOUT)
				show("wrong kind of error", request, &faults[f], &err);
			bkc_host_set(&(BkcHost) {0});
			s3proxy_set(&proxy, "");
			operation->judge(c.direct, ok);
			end_case(&c);
		}
	}
}

/* What all of that has left behind goes with a sweep of the whole bucket. */
static void
nothing_is_left(void **state)
{
	BkcStore   *store = s3server_open(S3_HTTP_PATH, bucket, "", "");
	BkcError	err;
	char	   *uploads;

	assert_ok(bkc_store_sweep(store, "", &err), &err);
	uploads = s3server_call(NULL, "uploads", bucket, NULL);
	assert_string_equal(uploads, "");
	free(uploads);
	bkc_store_close(store);
}

/* ---- processes ---- */

/* All tests of one operation, in a bucket of its own. */
static int
run_operation(size_t i)
{
	char		names[3][64];
	struct CMUnitTest tests[] = {
		{names[0], each_request_once, NULL, NULL, NULL},
		{names[1], each_request_for_good, NULL, NULL, NULL},
		{names[2], nothing_is_left, NULL, NULL, NULL},
	};
	int			failures;

	operation = &operations[i];
	snprintf(names[0], sizeof(names[0]), "%s_each_request_once", operation->name);
	snprintf(names[1], sizeof(names[1]), "%s_each_request_for_good", operation->name);
	snprintf(names[2], sizeof(names[2]), "%s_nothing_is_left", operation->name);
	store_pattern(data, sizeof(data), (unsigned) i);
	s3server_bucket(bucket, false);
	s3proxy_start(&proxy, false);
	failures = cmocka_run_group_tests_name(operation->name, tests, NULL, NULL);
	s3proxy_stop(&proxy);
	s3server_end();
	return failures;
}

/* Start a process for it; what it prints is in the file returned. */
static FILE *
start_operation(size_t i, pid_t *pid)
{
	FILE	   *out = tmpfile();

	if (out == NULL)
		return NULL;
	fflush(NULL);
	*pid = fork();
	if (*pid == 0)
	{
		(void) dup2(fileno(out), 1);
		(void) dup2(fileno(out), 2);
		i = (size_t) run_operation(i);
		fflush(NULL);
		_exit(i > 0);
	}
	return *pid > 0 ? out : NULL;
}

int
main(void)
{
	FILE	   *outs[NOPERATIONS];
	pid_t		pids[NOPERATIONS];
	int			failures = 0;
	int			status;
	char		line[4096];

	if (!s3server_there(&status))
		return status;
	for (size_t i = 0; i < NOPERATIONS; i++)
		outs[i] = start_operation(i, &pids[i]);
	for (size_t i = 0; i < NOPERATIONS; i++)
	{
		if (outs[i] == NULL || waitpid(pids[i], &status, 0) != pids[i] || status != 0)
			failures++;
		if (outs[i] == NULL)
			continue;
		rewind(outs[i]);
		while (fgets(line, sizeof(line), outs[i]) != NULL)
			fputs(line, stdout);
		fclose(outs[i]);
	}
	return failures;
}
