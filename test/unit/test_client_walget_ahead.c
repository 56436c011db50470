/*
 * test_client_walget_ahead.c
 *		wal-get's prefetch: what is fetched ahead, when it is used and when not,
 *		and that the process in the background ends.
 */
#include "test_client_walget.h"

#include <dirent.h>

#define GOT		BKC_EXIT_OK
#define NONE	BKC_EXIT_ABSENT
#define UNKNOWN	BKC_EXIT_COULD_NOT_ASK
#define FAULT	"PG_BACKUPCTL_FAULT"

/* ---- the spool ---- */

/* All processes in the background end, well; how many there were. */
static int
wait_for_ahead(void)
{
	int			n = 0;
	int			status;

	while (waitpid(-1, &status, 0) > 0)
	{
		n++;
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	assert_int_equal(errno, ECHILD);
	return n;
}

/* The one folder in the spool, "" when there is none. */
static const char *
spool_folder(void)
{
	static char path[512];
	DIR		   *dir = opendir(SPOOL_TOP);
	struct dirent *entry;

	path[0] = '\0';
	while (dir != NULL && (entry = readdir(dir)) != NULL)
	{
		if (entry->d_name[0] == '.')
			continue;
		assert_string_equal(path, "");
		snprintf(path, sizeof(path), SPOOL_TOP "/%s", entry->d_name);
	}
	if (dir != NULL)
		closedir(dir);
	return path;
}

/* Exactly these segments of a timeline are in the spool, and nothing unfinished. */
static void
assert_spool(uint32_t timeline, uint64_t first, uint64_t last)
{
	DIR		   *dir = opendir(spool_folder());
	struct dirent *entry;
	char		path[1024];
	uint64_t	n = 0;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
	{
		if (entry->d_name[0] == '.' || strcmp(entry->d_name, "lock") == 0)
			continue;
		if (!bkc_wal_is_segment(entry->d_name))
			fail_msg("%s is left over", entry->d_name);
		n++;
	}
	if (dir != NULL)
		closedir(dir);
	assert_int_equal(n, last >= first ? last - first + 1 : 0);
	for (uint64_t i = first; i <= last; i++)
	{
		snprintf(path, sizeof(path), "%s/%s", spool_folder(), site_name(timeline, i));
		assert_true(site_exists(path));
	}
}

static void
move_repo(int repo, bool away)
{
	char		path[128];

	snprintf(path, sizeof(path), "%s/away", site.repo[repo].top);
	assert_int_equal(away ? rename(site.repo[repo].root, path) :
					 rename(path, site.repo[repo].root), 0);
}

/* ---- fetching and using ---- */

static void
test_ahead(void **state)
{
	struct stat st;

	site_segments(0, 1, 5, 20);
	assert_status(site_get("1", "", site_name(1, 5)), GOT);
	site_delivered(1, 5, MB);
	assert_int_equal(wait_for_ahead(), 1);
	assert_spool(1, 6, 13);
	assert_int_equal(stat(spool_folder(), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);

	/* what is there needs no repository */
	move_repo(0, true);
	for (uint64_t i = 6; i <= 13; i++)
	{
		assert_status(site_get("1", "", site_name(1, i)), GOT);
		site_delivered(1, i, MB);
	}
	assert_status(site_get("1", "", site_name(1, 14)), UNKNOWN);
	assert_true(wait_for_ahead() >= 1); /* with less than half left, and there was nothing */
	move_repo(0, false);
	assert_status(site_get("1", "", site_name(1, 14)), GOT);
	assert_int_equal(wait_for_ahead(), 1);
	assert_spool(1, 15, 20);
}

static void
test_goes_on(void **state)
{
	site_segments(0, 1, 5, 30);
	assert_status(site_get("1", "--prefetch 4", site_name(1, 5)), GOT);
	assert_int_equal(wait_for_ahead(), 1);
	assert_spool(1, 6, 9);
	assert_status(site_get("1", "--prefetch 4", site_name(1, 6)), GOT);
	assert_int_equal(wait_for_ahead(), 0);
	assert_spool(1, 7, 9);
	assert_status(site_get("1", "--prefetch 4", site_name(1, 7)), GOT);
	assert_int_equal(wait_for_ahead(), 0);
	assert_status(site_get("1", "--prefetch 4", site_name(1, 8)), GOT);
	assert_int_equal(wait_for_ahead(), 1);
	assert_spool(1, 9, 12);

	/* what is behind goes */
	assert_status(site_get("1", "--prefetch 4", site_name(1, 11)), GOT);
	site_delivered(1, 11, MB);
	assert_int_equal(wait_for_ahead(), 1);
	assert_spool(1, 12, 15);
	assert_status(site_get("1", "--prefetch 4", site_name(1, 25)), GOT);
	assert_int_equal(wait_for_ahead(), 1);
	assert_spool(1, 26, 29);

	/* once more from an earlier point */
	assert_status(site_get("1", "--prefetch 4", site_name(1, 5)), GOT);
	assert_int_equal(wait_for_ahead(), 1);
	assert_spool(1, 6, 9);
	assert_status(site_get("1", "--prefetch 1", site_name(1, 6)), GOT);
	assert_int_equal(wait_for_ahead(), 0);
	assert_spool(1, 7, 7);
}

static void
test_limits(void **state)
{
	site_segments(0, 1, 5, 7);
	site_segments(0, 1, 9, 9);
	site_segments(0, 2, 8, 8);
	assert_status(site_get("1", "", site_name(1, 5)), GOT);
	wait_for_ahead();
	assert_spool(1, 6, 7);
	assert_status(site_get("1", "--until 0/780000", site_name(1, 5)), GOT);
	wait_for_ahead();
	assert_spool(1, 6, 6);
	assert_status(site_get("1", "--until 0/600000", site_name(1, 5)), GOT);
	wait_for_ahead();
	assert_spool(1, 1, 0);
	assert_status(site_get("1", "--until 0/800000", site_name(1, 5)), GOT);
	wait_for_ahead();
	assert_spool(1, 6, 7);
	assert_status(site_get("1", "--until 0/800000", site_name(1, 8)), NONE);

	/* from one log to the next; the end of it all */
	site_segments(0, 3, LOG - 2, LOG + 1);
	assert_status(site_get("1", "", site_name(3, LOG - 2)), GOT);
	wait_for_ahead();
	assert_spool(3, LOG - 1, LOG + 1);
	assert_status(site_get("1", "", site_name(3, LOG + 1)), GOT);
	wait_for_ahead();
	assert_spool(3, 1, 0);
}

static void
test_several(void **state)
{
	BkcBuffer	got = {0};
	BkcError	err;

	site_segments(0, 1, 5, 6);
	site_segments(0, 1, 8, 8);
	site_segments(1, 1, 7, 9);
	assert_status(site_get("12", "", site_name(1, 5)), GOT);
	wait_for_ahead();
	assert_spool(1, 6, 9);

	/* one that is away is passed over, a damaged object, too */
	move_repo(1, true);
	site_segments(0, 1, 9, 10);
	site_flip(site_object(0, site_name(1, 9)), 1000);
	assert_status(site_get("21", "", site_name(1, 8)), GOT);
	wait_for_ahead();
	assert_spool(1, 10, 10);
	assert_status(site_get("21", "", site_name(1, 9)), UNKNOWN);
	wait_for_ahead();
	move_repo(1, false);

	/* the content that counts */
	site_fill(1, 6, SYSID, 99);
	site_put(0, site_name(1, 6), site.segment, MB, "a test");
	assert_status(site_get("1", "", site_name(1, 5)), GOT);
	wait_for_ahead();
	move_repo(0, true);
	assert_status(site_get("1", "", site_name(1, 6)), GOT);
	wait_for_ahead();
	move_repo(0, false);
	site_fill(1, 6, SYSID, 99);
	assert_ok(bkc_file_slurp(SITE_TARGET, MB, &got, &err));
	assert_memory_equal(got.data, site.segment, MB);
	bkc_buffer_free(&got);
}

/* What was fetched for another recovery is not used. */
static void
test_others(void **state)
{
	BkcBuffer	got = {0};
	BkcError	err;

	site_segments(0, 1, 5, 8);
	for (uint64_t i = 5; i <= 8; i++)
	{
		site_fill(1, i, SYSID, 5);
		site_put(1, site_name(1, i), site.segment, MB, NULL);
	}
	assert_status(site_get("1", "", site_name(1, 5)), GOT);
	wait_for_ahead();
	assert_status(site_get("2", "", site_name(1, 6)), GOT);
	site_fill(1, 6, SYSID, 5);
	assert_ok(bkc_file_slurp(SITE_TARGET, MB, &got, &err));
	assert_memory_equal(got.data, site.segment, MB);
	bkc_buffer_free(&got);
	wait_for_ahead();
	assert_spool(1, 7, 8);		/* and the other is gone */

	assert_status(site_get("1", "--timeline 1", site_name(1, 5)), GOT);
	wait_for_ahead();
	move_repo(0, true);
	assert_status(site_get("1", "--timeline 2", site_name(1, 6)), UNKNOWN);
	assert_status(site_get("12", "--timeline 1 --prefetch 0", site_name(1, 9)), UNKNOWN);
	assert_status(site_get("1", "--until 0/700000 --timeline 1", site_name(1, 6)), UNKNOWN);
	site_control(SYSID + 1, MB);
	assert_status(site_get("1", "--timeline 1", site_name(1, 6)), UNKNOWN);
	site_control(SYSID, MB);
	assert_status(site_get("1", "--timeline 1", site_name(1, 6)), GOT);
	move_repo(0, false);
	wait_for_ahead();
}

/* ---- when nothing is fetched ahead ---- */

static void
assert_nothing_ahead(const char *options)
{
	assert_status(site_get("1", options, site_name(1, 5)), GOT);
	assert_int_equal(wait_for_ahead(), 0);
	assert_false(site_exists(SPOOL_TOP));
}

static void
test_nothing_ahead(void **state)
{
	char		words[256];
	pid_t		dead = fork();

	if (dead == 0)
		_exit(0);
	assert_int_equal(waitpid(dead, NULL, 0), dead);
	site_segments(0, 1, 5, 8);
	assert_nothing_ahead("--prefetch 0");
	site_server(dead);
	assert_nothing_ahead("");
	site_file("postmaster.pid", "");
	assert_nothing_ahead("");
	site_file("postmaster.pid", "x\n");
	assert_nothing_ahead("");
	assert_int_equal(unlink("postmaster.pid"), 0);
	assert_nothing_ahead("");
	site_server(getpid());
	assert_int_equal(unlink("recovery.signal"), 0);
	assert_nothing_ahead("");
	site_file("standby.signal", "");

	/* called by hand, for another place */
	snprintf(words, sizeof(words), "--repo %s --retry 0", site.url[0]);
	assert_int_equal(site_get_at(words, site_name(1, 5), "out"), GOT);
	assert_int_equal(mkdir("my_pg_wal", 0700), 0);
	assert_int_equal(site_get_at(words, site_name(1, 5), "my_pg_wal/out"), GOT);
	assert_int_equal(mkdir("other", 0700), 0);
	assert_int_equal(mkdir("other/pg_wal", 0700), 0);
	assert_int_equal(site_get_at(words, site_name(1, 5), "other/pg_wal/out"), GOT);
	assert_int_equal(wait_for_ahead(), 0);
	assert_false(site_exists(SPOOL_TOP));
	assert_false(site_exists("other/" SPOOL_TOP));

	/* neither for what is not there, nor by a link somewhere else */
	assert_status(site_get("1", "", site_name(1, 9)), NONE);
	assert_int_equal(wait_for_ahead(), 0);
	assert_int_equal(symlink("../other", SPOOL_TOP), 0);
	assert_status(site_get("1", "", site_name(1, 5)), GOT);
	assert_int_equal(wait_for_ahead(), 0);
	assert_int_equal(unlink(SPOOL_TOP), 0);

	/* all is well */
	assert_status(site_get("1", "", site_name(1, 5)), GOT);
	assert_int_equal(wait_for_ahead(), 1);
	assert_spool(1, 6, 8);
}

static void
test_absolute_path(void **state)
{
	char		words[256];
	char		path[256];

	site_segments(0, 1, 5, 8);
	snprintf(words, sizeof(words), "--repo %s --retry 0", site.url[0]);
	snprintf(path, sizeof(path), "%s/data/pg_wal/RECOVERYXLOG", site.repo[0].top);
	assert_status(site_get_at(words, site_name(1, 5), path), GOT);
	assert_int_equal(wait_for_ahead(), 1);
	assert_spool(1, 6, 8);
}

/* At both ends of a recovery histories are asked for. */
static void
test_history(void **state)
{
	site_segments(0, 1, 5, 8);
	assert_status(site_get("1", "", site_name(1, 5)), GOT);
	wait_for_ahead();
	site_file("standby.signal", "");
	assert_status(site_get("1", "", "00000002.history"), NONE);
	assert_spool(1, 6, 8);
	assert_int_equal(unlink("standby.signal"), 0);
	site_file(SITE_TARGET BKC_WALGET_TEMP, "left by a killed one");
	assert_status(site_get("1", "", "00000002.history"), NONE);
	assert_false(site_exists(SPOOL_TOP));
}

/* ---- files in the spool that are not what they should be ---- */

static void
test_odd_files(void **state)
{
	char		path[1024];
	char		temp[1100];

	site_segments(0, 1, 5, 8);
	assert_status(site_get("1", "", site_name(1, 5)), GOT);
	wait_for_ahead();
	snprintf(path, sizeof(path), "%s/%s", spool_folder(), site_name(1, 6));
	assert_int_equal(truncate(path, MB - 1), 0);
	assert_status(site_get("1", "", site_name(1, 6)), GOT);
	site_delivered(1, 6, MB);
	wait_for_ahead();
	snprintf(path, sizeof(path), "%s/%s", spool_folder(), site_name(1, 7));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("../../RECOVERYXLOG", path), 0);
	assert_status(site_get("1", "", site_name(1, 7)), GOT);
	site_delivered(1, 7, MB);

	/* what nobody works at any more; what was left at the target goes, too */
	wait_for_ahead();
	snprintf(temp, sizeof(temp), "%s/%s" BKC_WALGET_TEMP, spool_folder(), site_name(1, 8));
	site_file(temp, "half");
	site_file(SITE_TARGET BKC_WALGET_TEMP, "half");
	assert_status(site_get("1", "", site_name(1, 8)), GOT);
	site_delivered(1, 8, MB);
	wait_for_ahead();
	assert_spool(1, 1, 0);
}

/* ---- waiting for what is being fetched ---- */

static int	to_child;
static bool child_finishes;

/* When wal-get waits the child may go on. */
static void
release_child(int ms)
{
	if (to_child >= 0)
	{
		if (child_finishes)
			assert_int_equal(write(to_child, "x", 1), 1);
		close(to_child);
		to_child = -1;
	}
	(void) poll(NULL, 0, ms);
}

static bool
never(void)
{
	return false;
}

/* A process that is at work on a file of the spool, and gives it its name, or dies. */
static pid_t
start_fetcher(const char *name)
{
	char		temp[1100];
	int			go[2];
	int			ready[2];
	char		byte;
	pid_t		pid;

	snprintf(temp, sizeof(temp), "%s" BKC_WALGET_TEMP, name);
	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0)
	{
		int			fd = open(temp, O_RDWR | O_CREAT | O_EXCL, 0600);
		bool		ok = fd >= 0 && flock(fd, LOCK_EX) == 0 && write(ready[1], "x", 1) == 1;

		close(go[1]);
		ok = ok && read(go[0], &byte, 1) == 1 && write(fd, site.segment, MB) == MB &&
			rename(temp, name) == 0;
		_exit(ok ? 0 : 1);
	}
	close(go[0]);
	to_child = go[1];
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void
test_waits(void **state)
{
	BkcHost		host = {.wait = release_child, .cancelled = never};
	char		path[1024];
	int			status;
	pid_t		pid;

	site_segments(0, 1, 5, 5);
	assert_status(site_get("1", "", site_name(1, 5)), GOT);
	wait_for_ahead();
	bkc_host_set(&host);

	/* it finishes: the repository does not even have the segment */
	snprintf(path, sizeof(path), "%s/%s", spool_folder(), site_name(1, 6));
	site_fill(1, 6, SYSID, 0);
	child_finishes = true;
	pid = start_fetcher(path);
	assert_status(site_get("1", "", site_name(1, 6)), GOT);
	site_delivered(1, 6, MB);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	wait_for_ahead();

	/* it dies: we fetch */
	site_segments(0, 1, 6, 6);
	child_finishes = false;
	pid = start_fetcher(path);
	assert_status(site_get("1", "", site_name(1, 6)), GOT);
	site_delivered(1, 6, MB);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	wait_for_ahead();
	assert_spool(1, 1, 0);
}

/* ---- the process ---- */

static bool
is_running(pid_t *pid)
{
	char		path[1024];
	BkcBuffer	text = {0};
	BkcError	err;
	uint64_t	number = 0;

	snprintf(path, sizeof(path), "%s/lock", spool_folder());
	if (bkc_file_slurp(path, 100, &text, &err) && text.len > 1 && text.data[text.len - 1] == '\n')
	{
		text.data[text.len - 1] = '\0';
		assert_true(bkc_parse_u64(bkc_buffer_str(&text), INT32_MAX, &number));
	}
	bkc_buffer_free(&text);
	*pid = (pid_t) number;
	return number != 0;
}

/* Start one that does not come to an end. */
static pid_t
start_endless(const char *fault)
{
	pid_t		pid;

	site_segments(0, 1, 5, 9);
	setenv(FAULT, fault, 1);
	assert_status(site_get("1", "", site_name(1, 5)), GOT);
	unsetenv(FAULT);
	while (!is_running(&pid))
		(void) poll(NULL, 0, 1);
	return pid;
}

static void
test_one_at_a_time(void **state)
{
	pid_t		pid = start_endless("wal-get-prefetch=sleep:60000");

	for (uint64_t i = 6; i <= 8; i++)
		assert_status(site_get("1", "", site_name(1, i)), GOT);
	site_delivered(1, 8, MB);
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(wait_for_ahead(), 1);
	assert_spool(1, 1, 0);
	assert_status(site_get("1", "", site_name(1, 8)), GOT);
	assert_int_equal(wait_for_ahead(), 1);
	assert_spool(1, 9, 9);
}

static void
test_server_gone(void **state)
{
	int64_t		began;

	start_endless("wal-get-prefetch=sleep:60000");
	began = bkc_client_clock();
	assert_int_equal(unlink("postmaster.pid"), 0);
	assert_int_equal(wait_for_ahead(), 1);
	assert_true(bkc_client_clock() - began < 2000000);
	assert_false(site_exists(SPOOL_TOP));

	/* another server, the end of recovery */
	site_server(getpid());
	start_endless("wal-get-prefetch=sleep:60000");
	site_server(getppid());
	assert_int_equal(wait_for_ahead(), 1);
	assert_false(site_exists(SPOOL_TOP));
	start_endless("wal-get-prefetch=sleep:60000");
	assert_int_equal(unlink("recovery.signal"), 0);
	assert_int_equal(wait_for_ahead(), 1);
	assert_false(site_exists(SPOOL_TOP));
}

/* The spool is taken away under its feet. */
static void
test_spool_gone(void **state)
{
	start_endless("wal-get-prefetch=sleep:300");
	assert_status(site_get("1", "", "00000002.history"), NONE);
	assert_int_equal(wait_for_ahead(), 1);
	assert_false(site_exists(SPOOL_TOP));
}

static void
test_killed(void **state)
{
	pid_t		pid = start_endless("wal-get-fetched=sleep:1000");
	int			status;

	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));

	/* whatever it has left, in whatever state its children are */
	for (uint64_t i = 6; i <= 9; i++)
	{
		assert_status(site_get("1", "", site_name(1, i)), GOT);
		site_delivered(1, i, MB);
	}
	wait_for_ahead();
	do
	{
		assert_status(site_get("1", "", site_name(1, 5)), GOT);
	} while (wait_for_ahead() == 0);
	assert_spool(1, 6, 9);
}

/* Its children fail, are killed, or end; nobody is worse off. */
static void
test_children(void **state)
{
	static const char *const actions[] = {"fail", "kill", "exit", "nospace", "cancel"};
	char		fault[64];

	site_segments(0, 1, 5, 9);
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
	{
		snprintf(fault, sizeof(fault), "wal-get-prefetch=%s", actions[i]);
		setenv(FAULT, fault, 1);
		assert_status(site_get("1", "", site_name(1, 5)), GOT);
		unsetenv(FAULT);
		assert_int_equal(wait_for_ahead(), 1);
		assert_spool(1, 1, 0);
	}
	assert_status(site_get("1", "", site_name(1, 5)), GOT);
	assert_int_equal(wait_for_ahead(), 1);
	assert_spool(1, 6, 9);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SITE_TEST(test_ahead),
		SITE_TEST(test_goes_on),
		SITE_TEST(test_limits),
		SITE_TEST(test_several),
		SITE_TEST(test_others),
		SITE_TEST(test_nothing_ahead),
		SITE_TEST(test_absolute_path),
		SITE_TEST(test_history),
		SITE_TEST(test_odd_files),
		SITE_TEST(test_waits),
		SITE_TEST(test_one_at_a_time),
		SITE_TEST(test_server_gone),
		SITE_TEST(test_spool_gone),
		SITE_TEST(test_killed),
		SITE_TEST(test_children)
	};
	BkcError	err;

	if (!bkc_client_host_begin(&err))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
