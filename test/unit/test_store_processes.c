/*
 * test_store_processes.c
 *		The file driver where it takes more than one process, or another
 *		user: killed writers, races, missing rights, full disks.
 */
#include "conformance.h"
#include "filerepo.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB		((size_t) 1 << 20)
#define NOBODY	65534

typedef struct Fixture
{
	FileRepo	repo;
	BkcStore   *store;
} Fixture;

static int
setup(void **state)
{
	Fixture    *f = calloc(1, sizeof(*f));
	BkcError	err;

	*state = f;
	return f != NULL && filerepo_new(&f->repo, &err) &&
		filerepo_open(&f->repo, &f->store, &err) ? 0 : -1;
}

static int
teardown(void **state)
{
	Fixture    *f = *state;

	bkc_store_close(f->store);
	filerepo_free(&f->repo);
	free(f);
	return 0;
}

/* In a child: complain, and give the exit status. */
static int
complain(int status, const BkcError *err)
{
	fprintf(stderr, "child: %s (%s) %s\n", err->message, bkc_error_code_name(err->code), err->hint);
	return status;
}

/* 0 when the call failed with the code and a hint that contains word. */
static int
expect(bool ok, const BkcError *err, BkcErrorCode code, const char *word, int status)
{
	if (!ok && err->code == code && strstr(err->message, "file://") != NULL &&
		strstr(err->hint, word) != NULL)
		return 0;
	if (ok)
		fprintf(stderr, "child: unexpected success\n");
	return ok ? status : complain(status, err);
}

static bool
ignore_each(void *arg, const char *name, uint64_t size, BkcError *err)
{
	return true;
}

/* ---- a writer that dies ---- */

static int
die_while_writing(void *arg)
{
	FileRepo   *repo = arg;
	BkcStore   *store;
	BkcWriter  *writer;
	BkcError	err;

	if (!filerepo_open(repo, &store, &err) ||
		!store_put(store, "s/b/whole", "whole", 5, 0, &err) ||
		!bkc_store_open_write(store, "s/b/data/half", 0, &writer, &err) ||
		!bkc_writer_write(writer, "half", 4, &err) ||
		!bkc_store_open_write(store, "s/empty/none", 0, &writer, &err))
		return complain(1, &err);
	kill(getpid(), SIGKILL);
	return 2;
}

static void
leftovers_of_a_killed_writer(void **state)
{
	Fixture    *f = *state;
	BkcError	err;

	assert_int_equal(run_in_child(die_while_writing, &f->repo), 255);

	/* s, s/b, s/b/whole, s/b/data and its temporary file, s/empty and its */
	assert_int_equal(filerepo_count_entries(&f->repo), 7);
	assert_names(f->store, "", true, "s/b/whole ");
	assert_names(f->store, "s/", false, "s/b/ ");
	assert_names(f->store, "s/b/", false, "s/b/whole ");
	assert_absent(f->store, "s/b/data/half");

	/* what is not below the prefix stays */
	assert_ok(bkc_store_sweep(f->store, "s/b/", &err), &err);
	assert_int_equal(filerepo_count_entries(&f->repo), 5);
	assert_ok(bkc_store_sweep(f->store, "s/", &err), &err);
	assert_int_equal(filerepo_count_entries(&f->repo), 3);
	assert_object(f->store, "s/b/whole", "whole", 5);

	/* a folder of leftovers only goes altogether */
	assert_ok(bkc_store_remove(f->store, (const char *const[]) {"s/b/whole"}, 1, &err), &err);
	assert_int_equal(filerepo_count_entries(&f->repo), 0);
	assert_int_equal(run_in_child(die_while_writing, &f->repo), 255);
	assert_ok(bkc_store_sweep(f->store, "s/empty/", &err), &err);
	assert_int_equal(filerepo_count_entries(&f->repo), 5);
}

/* ---- races ---- */

#define RACE_NAMES	60

typedef struct Racer
{
	FileRepo   *repo;
	char		letter;
	int			start[2];		/* closed by the parent: go */
} Racer;

/* Exit status: how many names this process got. */
static int
race_for_names(void *arg)
{
	Racer	   *racer = arg;
	BkcStore   *store;
	BkcError	err;
	char		data[1000];
	char		name[32];
	int			won = 0;

	memset(data, racer->letter, sizeof(data));
	if (!filerepo_open(racer->repo, &store, &err))
		return complain(200, &err);
	close(racer->start[1]);
	(void) !read(racer->start[0], name, 1);
	for (int i = 0; i < RACE_NAMES; i++)
	{
		snprintf(name, sizeof(name), "race/%d/object", i);
		if (store_put(store, name, data, sizeof(data), 100, &err))
			won++;
		else if (err.code != BKC_ERR_EXISTS)
			return complain(201, &err);
	}
	bkc_store_close(store);
	return won;
}

static void
two_processes_race(void **state)
{
	Fixture    *f = *state;
	Racer		racers[2] = {{.repo = &f->repo, .letter = 'a'}, {.repo = &f->repo, .letter = 'b'}};
	pid_t		pids[2];
	int			won[2];
	int			found[2] = {0, 0};
	BkcBuffer	buf = {0};
	BkcError	err;

	assert_int_equal(pipe(racers[0].start), 0);
	memcpy(racers[1].start, racers[0].start, sizeof(racers[0].start));
	for (int i = 0; i < 2; i++)
		pids[i] = start_child(race_for_names, &racers[i]);
	close(racers[0].start[0]);
	close(racers[0].start[1]);
	for (int i = 0; i < 2; i++)
		won[i] = wait_for_child(pids[i]);

	for (int i = 0; i < RACE_NAMES; i++)
	{
		char		name[32];

		snprintf(name, sizeof(name), "race/%d/object", i);
		assert_ok(store_get(f->store, name, 0, UINT64_MAX, 4096, &buf, &err), &err);
		assert_int_equal(buf.len, 1000);
		for (size_t j = 1; j < buf.len; j++)
			assert_int_equal(buf.data[j], buf.data[0]);
		found[buf.data[0] - 'a']++;
	}
	bkc_buffer_free(&buf);
	assert_int_equal(won[0], found[0]);
	assert_int_equal(won[1], found[1]);
	assert_int_equal(won[0] + won[1], RACE_NAMES);
	assert_int_equal(filerepo_count_entries(&f->repo), 1 + 2 * RACE_NAMES);
}

#define CHURN	300

/* Write into a folder that another process empties, and so removes, all the time. */
static int
churn_write(void *arg)
{
	BkcStore   *store;
	BkcError	err;
	char		name[32];

	if (!filerepo_open(arg, &store, &err))
		return complain(1, &err);
	for (int i = 0; i < CHURN; i++)
	{
		snprintf(name, sizeof(name), "churn/deep/%d", i);
		if (!store_put(store, name, "x", 1, 0, &err))
			return complain(2, &err);
	}
	bkc_store_close(store);
	return 0;
}

static bool
remove_each(void *arg, const char *name, uint64_t size, BkcError *err)
{
	snprintf(arg, 64, "%s", name);
	return bkc_error_set(err, BKC_ERR_STATE, "found");
}

static void
writer_against_remover(void **state)
{
	Fixture    *f = *state;
	pid_t		pid = start_child(churn_write, &f->repo);
	BkcError	err;
	int			removed = 0;
	int			status = 255;
	bool		ended = false;

	assert_true(pid > 0);
	for (;;)
	{
		char		name[64] = "";
		const char *names[] = {name};

		/* asked before listing: what the child wrote last is seen once more */
		if (!ended && waitpid(pid, &status, WNOHANG) == pid)
			ended = true;
		if (bkc_store_list(f->store, "churn/", true, remove_each, name, &err))
		{
			if (ended)
				break;
			continue;
		}
		if (strcmp(err.message, "found") != 0 || !bkc_store_remove(f->store, names, 1, &err))
			break;
		removed++;
	}
	if (!ended)
	{
		(void) waitpid(pid, &status, 0);
		fail_msg("%s", err.message);
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(removed, CHURN);
	assert_int_equal(filerepo_count_entries(&f->repo), 0);
}

/* ---- rights ---- */

/* Become somebody to whom rights apply; false when that is not possible. */
static bool
drop_rights(void)
{
	return geteuid() != 0 || (setegid(NOBODY) == 0 && seteuid(NOBODY) == 0);
}

/* The whole chain of calls in a repository that may be read but not written. */
static int
use_readonly(void *arg)
{
	const char *const names[] = {"a/b"};
	BkcStore   *store;
	BkcBuffer	buf = {0};
	BkcError	err;
	int			status;

	if (!drop_rights() || !filerepo_open(arg, &store, &err))
		return 100;
	if (!store_get(store, "a/b", 0, UINT64_MAX, 10, &buf, &err) ||
		!bkc_store_list(store, "", true, ignore_each, NULL, &err))
		return complain(1, &err);
	status = expect(store_put(store, "a/c", "x", 1, 0, &err), &err, BKC_ERR_ACCESS,
					"permission", 2);
	if (status == 0)
		status = expect(store_put(store, "c/d", "x", 1, 0, &err), &err, BKC_ERR_ACCESS,
						"permission", 3);
	if (status == 0)
		status = expect(bkc_store_remove(store, names, 1, &err), &err, BKC_ERR_ACCESS,
						"permission", 4);
	if (status == 0)
		status = expect(bkc_store_probe(store, "test", &err), &err, BKC_ERR_ACCESS, "permission", 5);
	bkc_buffer_free(&buf);
	bkc_store_close(store);
	return status;
}

/* ... and in one that may not even be entered: "could not ask" is not "absent". */
static int
use_closed(void *arg)
{
	const char *const names[] = {"a/b"};
	BkcStore   *store;
	BkcReader  *reader;
	BkcError	err;
	uint64_t	size;
	int			status;

	if (!drop_rights() || !filerepo_open(arg, &store, &err))
		return 100;
	status = expect(bkc_store_stat(store, "a/b", &size, &err), &err, BKC_ERR_ACCESS,
					"permission", 1);
	if (status == 0)
		status = expect(bkc_store_open_read(store, "a/b", 0, 1, &reader, &err), &err,
						BKC_ERR_ACCESS, "permission", 2);
	if (status == 0)
		status = expect(bkc_store_stat(store, "a/missing", &size, &err), &err, BKC_ERR_ACCESS,
						"permission", 3);
	if (status == 0)
		status = expect(bkc_store_list(store, "", true, ignore_each, NULL, &err), &err,
						BKC_ERR_ACCESS, "permission", 4);
	if (status == 0)
		status = expect(bkc_store_remove(store, names, 1, &err), &err, BKC_ERR_ACCESS,
						"permission", 5);
	if (status == 0)
		status = expect(bkc_store_sweep(store, "a/", &err), &err, BKC_ERR_ACCESS,
						"permission", 6);
	if (status == 0)
		status = expect(store_put(store, "a/c", "x", 1, 0, &err), &err, BKC_ERR_ACCESS,
						"permission", 7);
	bkc_store_close(store);
	return status;
}

/* The repository's folder is missing and may not be made. */
static int
use_unmakable(void *arg)
{
	BkcStore   *store;
	BkcError	err;
	int			status;

	if (!drop_rights() || !filerepo_open(arg, &store, &err))
		return 100;
	status = expect(store_put(store, "a/c", "x", 1, 0, &err), &err, BKC_ERR_ACCESS,
					"permission", 1);
	bkc_store_close(store);
	return status;
}

static void
missing_rights(void **state)
{
	Fixture    *f = *state;
	BkcError	err;
	char		folder[512];

	/* the child owns nothing, and gets what "others" get */
	assert_int_equal(chmod(f->repo.top, 0555), 0);
	if (geteuid() == 0)
		assert_int_equal(run_in_child(use_unmakable, &f->repo), 0);
	assert_int_equal(chmod(f->repo.top, 0755), 0);

	assert_ok(store_put(f->store, "a/b", "x", 1, 0, &err), &err);
	snprintf(folder, sizeof(folder), "%s", filerepo_path(&f->repo, "a"));
	assert_int_equal(chmod(filerepo_path(&f->repo, "a/b"), 0444), 0);
	assert_int_equal(chmod(folder, 0555), 0);
	assert_int_equal(chmod(f->repo.root, 0555), 0);
	assert_int_equal(run_in_child(use_readonly, &f->repo), 0);

	assert_int_equal(chmod(folder, 0), 0);
	if (geteuid() == 0)
		assert_int_equal(chown(folder, NOBODY, NOBODY), 0);
	assert_int_equal(chmod(f->repo.root, 0), 0);
	assert_int_equal(run_in_child(use_closed, &f->repo), 0);
	assert_int_equal(chmod(f->repo.root, 0755), 0);
	assert_int_equal(chmod(folder, 0755), 0);
}

/* ---- no space ---- */

static int
write_until_full(BkcStore *store, const char *word, size_t step)
{
	const char *const names[] = {"a/small"};
	uint8_t    *data = calloc(1, 4 * MIB);
	BkcError	err;
	int			status = 1;

	if (data == NULL || !store_put(store, "a/small", data, 1000, 0, &err))
		goto done;
	status = expect(store_put(store, "a/big", data, 4 * MIB, step, &err), &err, BKC_ERR_NO_SPACE,
					word, 2);
	if (status != 0)
		goto done;

	/* what there was is there, nothing else, and life goes on */
	if (!bkc_store_remove(store, names, 1, &err) ||
		!store_put(store, "a/small", data, 2000, 0, &err) ||
		!bkc_store_remove(store, names, 1, &err))
		status = complain(3, &err);

done:
	free(data);
	return status;
}

static int
file_size_limit(void *arg)
{
	struct rlimit limit = {.rlim_cur = MIB, .rlim_max = MIB};
	BkcStore   *store;
	BkcError	err;
	int			status;

	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit) != 0 || !filerepo_open(arg, &store, &err))
		return 100;
	status = write_until_full(store, "ulimit", 100000);
	bkc_store_close(store);
	return status;
}

static void
limited_file_size(void **state)
{
	Fixture    *f = *state;

	assert_int_equal(run_in_child(file_size_limit, &f->repo), 0);
	assert_int_equal(filerepo_count_entries(&f->repo), 0);
}

static void
full_file_system(void **state)
{
	Fixture    *f = *state;
	BkcError	err;
	uint64_t	bytes;
	int			statuses[2];
	int			readonly = 0;

	assert_int_equal(mkdir(f->repo.root, 0700), 0);
	if (mount("tmpfs", f->repo.root, "tmpfs", MS_NODEV | MS_NOSUID, "size=1m,mode=700") != 0)
	{
		print_message("no small file system can be mounted here: %s\n", strerror(errno));
		skip();
	}

	/* asserts jump: first unmount */
	statuses[0] = write_until_full(f->store, "Free space", 100000);
	statuses[1] = write_until_full(f->store, "Free space", 0);
	if (!bkc_store_space(f->store, &bytes, &err))
		bytes = 0;
	if (mount("tmpfs", f->repo.root, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=1m") == 0)
	{
		readonly = expect(store_put(f->store, "a/ro", "x", 1, 0, &err), &err, BKC_ERR_ACCESS,
						  "read-only", 1);
	}
	assert_int_equal(umount(f->repo.root), 0);
	assert_int_equal(statuses[0], 0);
	assert_int_equal(statuses[1], 0);
	assert_in_range(bytes, 900000, MIB);
	assert_int_equal(readonly, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(leftovers_of_a_killed_writer),
		TEST(two_processes_race),
		TEST(writer_against_remover),
		TEST(missing_rights),
		TEST(limited_file_size),
		TEST(full_file_system),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
