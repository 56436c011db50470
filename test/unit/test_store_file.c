/*
 * test_store_file.c
 *		The file driver: the conformance cases, what it makes on disk, strange
 *		things that it finds there, and the order of syncs.
 */
#include "conformance.h"
#include "filerepo.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/host.h"
/* ---- system calls that tests watch or make fail ---- */

static char trace[4096];		/* "F" fsync of a file, "D" of a folder, "L" link, "U" unlink */
static int	fail_fsync_at;		/* the n-th fsync fails, 0 none */
static int	fsyncs;
static enum
{
	LINK_WORKS,
	LINK_UNKNOWN,				/* a file system without hard links */
	LINK_REPLY_LOST				/* done, but the second try of the client says "exists" */
}			link_mode;

static void
note(char what)
{
	size_t		len = strlen(trace);

	if (len + 1 < sizeof(trace))
	{
		trace[len] = what;
		trace[len + 1] = '\0';
	}
}

int
fsync(int fd)
{
	struct stat st;

	note(fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) ? 'D' : 'F');
	if (++fsyncs == fail_fsync_at)
	{
		errno = EIO;
		return -1;
	}
	return (int) syscall(SYS_fsync, fd);
}

int
linkat(int olddir, const char *oldpath, int newdir, const char *newpath, int flags)
{
	int			rc;

	note('L');
	if (link_mode == LINK_UNKNOWN)
	{
		errno = EPERM;
		return -1;
	}
	rc = (int) syscall(SYS_linkat, olddir, oldpath, newdir, newpath, flags);
	if (rc == 0 && link_mode == LINK_REPLY_LOST)
	{
		errno = EEXIST;
		return -1;
	}
	return rc;
}

static void
reset_calls(void)
{
	trace[0] = '\0';
	fsyncs = 0;
	fail_fsync_at = 0;
	link_mode = LINK_WORKS;
}

/* ---- the repository of a test ---- */

static bool
file_setup(void **repo, BkcError *err)
{
	FileRepo   *r = malloc(sizeof(*r));

	*repo = r;
	reset_calls();
	return r != NULL && filerepo_new(r, err);
}

static bool
file_open(void *repo, BkcStore **store, BkcError *err)
{
	return filerepo_open(repo, store, err);
}

static void
file_teardown(void *repo)
{
	filerepo_free(repo);
	free(repo);
}

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
	reset_calls();
	return f != NULL && filerepo_new(&f->repo, &err) &&
		filerepo_open(&f->repo, &f->store, &err) ? 0 : -1;
}

static int
teardown(void **state)
{
	Fixture    *f = *state;

	reset_calls();
	bkc_store_close(f->store);
	filerepo_free(&f->repo);
	free(f);
	return 0;
}

static void
put_text(BkcStore *store, const char *name, const char *text)
{
	BkcError	err;

	assert_ok(store_put(store, name, text, strlen(text), 0, &err), &err);
}

static void
make_file(const FileRepo *repo, const char *name)
{
	int			fd = open(filerepo_path(repo, name), O_WRONLY | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static mode_t
mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

/* ---- what is made ---- */

static void
opening_touches_nothing(void **state)
{
	Fixture    *f = *state;
	BkcError	err;
	uint64_t	bytes;

	assert_ok(bkc_store_space(f->store, &bytes, &err), &err);
	assert_true(bytes > 0);
	assert_names(f->store, "", true, "");
	assert_absent(f->store, "a");
	assert_ok(bkc_store_sweep(f->store, "", &err), &err);
	assert_int_equal(access(f->repo.root, F_OK), -1);
}

static void
modes(void **state)
{
	Fixture    *f = *state;
	mode_t		old = umask(0);
	struct stat st;

	put_text(f->store, "a/b/c", "text");
	umask(old);
	assert_int_equal(mode_of(f->repo.root), 0700);
	assert_int_equal(mode_of(filerepo_path(&f->repo, "a")), 0700);
	assert_int_equal(mode_of(filerepo_path(&f->repo, "a/b")), 0700);
	assert_int_equal(mode_of(filerepo_path(&f->repo, "a/b/c")), 0600);
	assert_int_equal(stat(filerepo_path(&f->repo, "a/b/c"), &st), 0);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(filerepo_count_entries(&f->repo), 3);
}

static void
missing_parents_are_made(void **state)
{
	Fixture    *f = *state;
	FileRepo	deep = f->repo;
	BkcStore   *store;
	BkcError	err;

	snprintf(deep.root, sizeof(deep.root), "%s/x/y/z", f->repo.top);
	assert_ok(filerepo_open(&deep, &store, &err), &err);
	put_text(store, "a", "x");
	assert_object(store, "a", "x", 1);
	assert_int_equal(mode_of(deep.root), 0700);
	bkc_store_close(store);
}

/* Every operation of the store must be refused. */
static void
assert_lost(Fixture *f, const char *pattern)
{
	BkcReader  *reader;
	BkcWriter  *writer;
	uint64_t	size;
	BkcError	err;

	assert_false(bkc_store_open_write(f->store, "b/c", 0, &writer, &err));
	assert_int_equal(err.code, BKC_ERR_UNAVAILABLE);
	assert_non_null(strstr(err.message, pattern));
	assert_non_null(strstr(err.hint, "mounted"));
	assert_false(bkc_store_stat(f->store, "a", &size, &err));
	assert_int_equal(err.code, BKC_ERR_UNAVAILABLE);
	assert_false(bkc_store_open_read(f->store, "a", 0, UINT64_MAX, &reader, &err));
	assert_int_equal(err.code, BKC_ERR_UNAVAILABLE);
	assert_false(bkc_store_remove(f->store, (const char *const[]) {"a"}, 1, &err));
	assert_int_equal(err.code, BKC_ERR_UNAVAILABLE);
}

/* A disk is unmounted while a store is open: nothing goes below the mount point. */
static void
a_root_that_goes_away(void **state)
{
	Fixture    *f = *state;
	char		away[sizeof(f->repo.root) + 8];

	put_text(f->store, "a", "1");
	snprintf(away, sizeof(away), "%s.away", f->repo.root);
	assert_int_equal(rename(f->repo.root, away), 0);
	assert_lost(f, "is not there any more");
	assert_int_equal(access(f->repo.root, F_OK), -1);

	assert_int_equal(mkdir(f->repo.root, 0700), 0);
	assert_lost(f, "has been replaced by another folder");
	assert_int_equal(rmdir(f->repo.root), 0);

	assert_int_equal(rename(away, f->repo.root), 0);
	assert_object(f->store, "a", "1", 1);
	put_text(f->store, "b/c", "2");
}

static void
removal_takes_empty_folders(void **state)
{
	Fixture    *f = *state;
	BkcWriter  *writer;
	BkcError	err;

	put_text(f->store, "a/b/c/d", "1");
	put_text(f->store, "a/x", "2");
	assert_ok(bkc_store_remove(f->store, (const char *const[]) {"a/b/c/d"}, 1, &err), &err);
	assert_int_equal(filerepo_count_entries(&f->repo), 2);
	assert_ok(bkc_store_remove(f->store, (const char *const[]) {"a/x"}, 1, &err), &err);
	assert_int_equal(filerepo_count_entries(&f->repo), 0);
	assert_int_equal(access(f->repo.root, F_OK), 0);

	/* and so does a discarded write */
	assert_ok(bkc_store_open_write(f->store, "q/r/s", 0, &writer, &err), &err);
	assert_int_equal(filerepo_count_entries(&f->repo), 3);
	bkc_writer_close(writer);
	assert_int_equal(filerepo_count_entries(&f->repo), 0);
}

/* ---- what is found ---- */

static void
a_file_as_root(void **state)
{
	Fixture    *f = *state;
	BkcError	err;
	BkcReader  *reader;
	char		sub[sizeof(f->repo.root)];
	uint64_t	size;

	memcpy(sub, f->repo.root, sizeof(sub));
	snprintf(f->repo.root, sizeof(f->repo.root), "%s", f->repo.top);
	make_file(&f->repo, "repo");
	memcpy(f->repo.root, sub, sizeof(sub));
	assert_code(store_put(f->store, "a", "x", 1, 0, &err), &err, BKC_ERR_STATE);
	assert_code(bkc_store_stat(f->store, "a", &size, &err), &err, BKC_ERR_STATE);
	assert_code(bkc_store_open_read(f->store, "a", 0, 1, &reader, &err), &err, BKC_ERR_STATE);
}

static void
missing_repository_is_named(void **state)
{
	Fixture    *f = *state;
	BkcReader  *reader;
	BkcError	err;

	assert_code(bkc_store_open_read(f->store, "a", 0, 1, &reader, &err), &err, BKC_ERR_NOT_FOUND);
	assert_non_null(strstr(err.message, "does not exist"));
	assert_non_null(strstr(err.message, f->store->location));
	assert_non_null(strstr(err.hint, "mounted"));
	put_text(f->store, "b", "x");
	assert_code(bkc_store_open_read(f->store, "a", 0, 1, &reader, &err), &err, BKC_ERR_NOT_FOUND);
	assert_non_null(strstr(err.message, "\"a\""));
}

static void
links_are_refused(void **state)
{
	Fixture    *f = *state;
	BkcReader  *reader;
	BkcError	err;
	uint64_t	size;
	char		outside[128];

	put_text(f->store, "a/b", "x");
	snprintf(outside, sizeof(outside), "%s/outside", f->repo.top);
	assert_int_equal(mkdir(outside, 0700), 0);
	assert_int_equal(symlink(outside, filerepo_path(&f->repo, "link")), 0);
	assert_int_equal(symlink("b", filerepo_path(&f->repo, "a/c")), 0);
	assert_int_equal(symlink("nowhere", filerepo_path(&f->repo, "a/dangling")), 0);

	assert_code(store_put(f->store, "link/x", "x", 1, 0, &err), &err, BKC_ERR_STATE);
	assert_non_null(strstr(err.message, "symbolic link"));
	assert_code(store_put(f->store, "link/y/x", "x", 1, 0, &err), &err, BKC_ERR_STATE);
	assert_code(bkc_store_stat(f->store, "link/x", &size, &err), &err, BKC_ERR_STATE);
	assert_code(bkc_store_open_read(f->store, "link/x", 0, 1, &reader, &err), &err, BKC_ERR_STATE);
	assert_code(bkc_store_open_read(f->store, "a/c", 0, 1, &reader, &err), &err, BKC_ERR_STATE);
	assert_code(bkc_store_stat(f->store, "a/c", &size, &err), &err, BKC_ERR_STATE);
	assert_code(bkc_store_stat(f->store, "a/dangling", &size, &err), &err, BKC_ERR_STATE);
	assert_code(bkc_store_remove(f->store, (const char *const[]) {"link/x"}, 1, &err), &err,
				BKC_ERR_STATE);
	assert_code(bkc_store_sweep(f->store, "link/", &err), &err, BKC_ERR_STATE);

	/* a link in place of an object keeps its name, is not listed and never removed */
	assert_code(store_put(f->store, "a/c", "y", 1, 0, &err), &err, BKC_ERR_EXISTS);
	assert_code(store_put(f->store, "a/dangling", "y", 1, 0, &err), &err, BKC_ERR_EXISTS);
	assert_ok(bkc_store_remove(f->store, (const char *const[]) {"a/c", "link"}, 2, &err), &err);
	assert_names(f->store, "", true, "a/b ");
	assert_ok(bkc_store_sweep(f->store, "", &err), &err);
	assert_int_equal(rmdir(outside), 0);
	assert_int_equal(filerepo_count_entries(&f->repo), 5);
}

/* The folder of the repository itself may be a link: that is the administrator's business. */
static void
root_may_be_a_link(void **state)
{
	Fixture    *f = *state;
	char		real[128];

	snprintf(real, sizeof(real), "%s/real", f->repo.top);
	assert_int_equal(mkdir(real, 0700), 0);
	assert_int_equal(symlink(real, f->repo.root), 0);
	put_text(f->store, "a/b", "x");
	assert_object(f->store, "a/b", "x", 1);
}

static void
strangers_are_left_alone(void **state)
{
	Fixture    *f = *state;
	BkcError	err;
	uint64_t	size;

	put_text(f->store, "a/b", "x");
	assert_int_equal(mkdir(filerepo_path(&f->repo, "lost+found"), 0700), 0);
	make_file(&f->repo, "lost+found/a");
	assert_int_equal(mkdir(filerepo_path(&f->repo, "empty space"), 0700), 0);
	make_file(&f->repo, "a/note from admin");
	make_file(&f->repo, "a/umlaut-\xc3\xa4");
	assert_int_equal(mkfifo(filerepo_path(&f->repo, "a/fifo"), 0600), 0);
	assert_int_equal(mkdir(filerepo_path(&f->repo, "a/.tmp-folder"), 0700), 0);
	assert_int_equal(mkdir(filerepo_path(&f->repo, "bare"), 0700), 0);

	assert_names(f->store, "", true, "a/b ");
	assert_names(f->store, "", false, "a/ ");
	assert_names(f->store, "a/", false, "a/b ");
	assert_code(bkc_store_stat(f->store, "a/fifo", &size, &err), &err, BKC_ERR_STATE);
	assert_code(store_get(f->store, "a/fifo", 0, 1, 1, &(BkcBuffer){0}, &err), &err,
				BKC_ERR_STATE);

	/* sweep takes the empty folder "bare" only */
	assert_ok(bkc_store_sweep(f->store, "", &err), &err);
	assert_int_equal(filerepo_count_entries(&f->repo), 9);
	assert_int_equal(access(filerepo_path(&f->repo, "bare"), F_OK), -1);
	assert_ok(bkc_store_remove(f->store, (const char *const[]) {"a/fifo", "a/b"}, 2, &err), &err);
	assert_int_equal(access(filerepo_path(&f->repo, "a/fifo"), F_OK), 0);
}

/* An object cannot be a folder as well: said clearly, nothing is lost. */
static void
object_in_place_of_a_folder(void **state)
{
	Fixture    *f = *state;
	BkcError	err;

	put_text(f->store, "a/b", "x");
	assert_code(store_put(f->store, "a/b/c", "y", 1, 0, &err), &err, BKC_ERR_STATE);
	assert_non_null(strstr(err.message, "\"b\" is an object"));
	assert_code(store_put(f->store, "a", "y", 1, 0, &err), &err, BKC_ERR_EXISTS);
	assert_absent(f->store, "a");
	assert_names(f->store, "a/b/", true, "");
	assert_object(f->store, "a/b", "x", 1);
}

/* ---- durability ---- */

static void
order_of_syncs(void **state)
{
	Fixture    *f = *state;
	BkcError	err;

	/* a new folder: the entry of the folder above it first */
	put_text(f->store, "a/b", "x");
	reset_calls();
	put_text(f->store, "a/c/d", "x");
	assert_string_equal(trace, "DFLDD");

	/* folders that exist: file, name, folder and the folder's own entry */
	reset_calls();
	put_text(f->store, "a/c/e", "x");
	assert_string_equal(trace, "FLDD");

	/* "exists" is told when the other's name is durable */
	reset_calls();
	assert_code(store_put(f->store, "a/c/e", "y", 1, 0, &err), &err, BKC_ERR_EXISTS);
	assert_string_equal(trace, "FLDD");

	reset_calls();
	assert_ok(bkc_store_remove(f->store, (const char *const[]) {"a/c/e", "a/c/d"}, 2, &err), &err);
	assert_string_equal(trace, "DD");
}

static void
failing_syncs(void **state)
{
	Fixture    *f = *state;
	BkcError	err;

	put_text(f->store, "a/b", "x");

	/* the data: nothing becomes visible */
	reset_calls();
	fail_fsync_at = 1;
	assert_code(store_put(f->store, "a/c", "x", 1, 0, &err), &err, BKC_ERR_IO);
	assert_string_equal(trace, "F");
	assert_absent(f->store, "a/c");
	assert_int_equal(filerepo_count_entries(&f->repo), 2);

	/* a folder: not reported as committed */
	for (int i = 2; i <= 3; i++)
	{
		char		name[8];

		reset_calls();
		fail_fsync_at = i;
		snprintf(name, sizeof(name), "a/d%d", i);
		assert_code(store_put(f->store, name, "x", 1, 0, &err), &err, BKC_ERR_IO);
		assert_object(f->store, name, "x", 1);
	}

	/* making a folder: nothing is left */
	reset_calls();
	fail_fsync_at = 1;
	assert_code(store_put(f->store, "a/new/c", "x", 1, 0, &err), &err, BKC_ERR_IO);
	assert_int_equal(filerepo_count_entries(&f->repo), 4);

	/* removal: not reported as done */
	reset_calls();
	fail_fsync_at = 1;
	assert_code(bkc_store_remove(f->store, (const char *const[]) {"a/b"}, 1, &err), &err,
				BKC_ERR_IO);
}

static void
no_hard_links(void **state)
{
	Fixture    *f = *state;
	BkcError	err;

	link_mode = LINK_UNKNOWN;
	put_text(f->store, "a/b", "first");
	assert_object(f->store, "a/b", "first", 5);
	assert_code(store_put(f->store, "a/b", "x", 1, 0, &err), &err, BKC_ERR_EXISTS);
	assert_object(f->store, "a/b", "first", 5);
	assert_int_equal(filerepo_count_entries(&f->repo), 2);
}

static void
lost_reply_of_a_link(void **state)
{
	Fixture    *f = *state;

	link_mode = LINK_REPLY_LOST;
	put_text(f->store, "a/b", "x");
	assert_object(f->store, "a/b", "x", 1);
	assert_int_equal(filerepo_count_entries(&f->repo), 2);
}

static void
swept_under_the_writer(void **state)
{
	Fixture    *f = *state;
	BkcWriter  *writer;
	BkcError	err;

	assert_ok(bkc_store_open_write(f->store, "a/b", 0, &writer, &err), &err);
	assert_ok(bkc_store_sweep(f->store, "a/", &err), &err);
	assert_int_equal(filerepo_count_entries(&f->repo), 0);
	assert_ok(bkc_writer_write(writer, "x", 1, &err), &err);
	assert_code(bkc_writer_commit(writer, &err), &err, BKC_ERR_STATE);
	bkc_writer_close(writer);
	assert_absent(f->store, "a/b");
}

static void
shortened_while_reading(void **state)
{
	Fixture    *f = *state;
	BkcReader  *reader;
	BkcError	err;
	char		buf[8];
	size_t		got;

	put_text(f->store, "a/b", "12345678");
	assert_ok(bkc_store_open_read(f->store, "a/b", 0, UINT64_MAX, &reader, &err), &err);
	assert_int_equal(truncate(filerepo_path(&f->repo, "a/b"), 3), 0);
	assert_code(bkc_reader_read(reader, buf, sizeof(buf), &got, &err), &err, BKC_ERR_CORRUPT);
	bkc_reader_close(reader);
}

/* Ours, by which that of the file system is wrong. */
static int64_t wrong_by;

static int64_t
wrong_now(void)
{
	struct timespec ts;

	(void) clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000 + wrong_by;
}

static void
clocks_are_compared(void **state)
{
	static const BkcHost host = {.now = wrong_now};
	static const int64_t hours[] = {0, 1, -1};
	const int64_t hour = INT64_C(3600000000);
	Fixture    *f = *state;
	const BkcStoreFacts *facts = &f->store->facts;

	bkc_host_set(&host);
	assert_false(facts->clock_known);
	for (size_t i = 0; i < sizeof(hours) / sizeof(hours[0]); i++)
	{
		char		name[2] = {(char) ('a' + i), '\0'};

		wrong_by = -hours[i] * hour;
		put_text(f->store, name, "x");
		assert_true(facts->clock_known);
		assert_in_range(llabs(facts->clock_ahead - hours[i] * hour), 0, 60000000);
		assert_true(hours[i] != 0 || facts->clock_ahead == 0);
	}
	bkc_host_set(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	static const Conformance file = {
		.name = "file",
		.setup = file_setup,
		.open = file_open,
		.teardown = file_teardown,
	};
	const struct CMUnitTest tests[] = {
		TEST(opening_touches_nothing),
		TEST(modes),
		TEST(missing_parents_are_made),
		TEST(a_root_that_goes_away),
		TEST(removal_takes_empty_folders),
		TEST(a_file_as_root),
		TEST(missing_repository_is_named),
		TEST(links_are_refused),
		TEST(root_may_be_a_link),
		TEST(strangers_are_left_alone),
		TEST(object_in_place_of_a_folder),
		TEST(order_of_syncs),
		TEST(failing_syncs),
		TEST(no_hard_links),
		TEST(lost_reply_of_a_link),
		TEST(swept_under_the_writer),
		TEST(shortened_while_reading),
		TEST(clocks_are_compared),
	};
	int			failures = conformance_run(&file);

	return failures + cmocka_run_group_tests(tests, NULL, NULL);
}
