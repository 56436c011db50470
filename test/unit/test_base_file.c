/*
 * test_base_file.c
 *		Files, folders and paths in a scratch folder: links are refused at every
 *		place, races have one winner, failures leave nothing behind.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/host.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Each test has a folder of its own, and works inside it. */
static char scratch[4096];

static int
set_up(void **state)
{
	const char *tmp = getenv("TMPDIR");

	umask(022);
	snprintf(scratch, sizeof(scratch), "%s/bkc-file-XXXXXX", tmp != NULL ? tmp : "/tmp");
	return mkdtemp(scratch) == NULL || chmod(scratch, 0755) != 0 || chdir(scratch) != 0;
}

static int
tear_down(void **state)
{
	int			status;
	pid_t		pid;

	if (chdir("/") != 0)
		return 1;
	pid = fork();
	if (pid == 0)
	{
		execlp("rm", "rm", "-rf", scratch, (char *) NULL);
		_exit(127);
	}
	return waitpid(pid, &status, 0) != pid || status != 0;
}

static void
make_file(const char *path, const char *text)
{
	FILE	   *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void
assert_file(const char *path, const char *text)
{
	BkcBuffer	buf = {0};
	BkcError	err;

	if (!bkc_file_slurp(path, 1 << 20, &buf, &err))
		fail_msg("%s", err.message);
	assert_string_equal(bkc_buffer_str(&buf), text);
	bkc_buffer_free(&buf);
}

static int
entries(const char *path)
{
	DIR		   *dir = opendir(path);
	int			n = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n - 2;
}

static mode_t
mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static bool
exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

/* Errors name the path. */
static void
assert_error(const BkcError *err, BkcErrorCode code, const char *part)
{
	if (err->code != code || strstr(err->message, part) == NULL)
		fail_msg("error is %s \"%s\"", bkc_error_code_name(err->code), err->message);
}

static void
test_open_read(void **state)
{
	BkcError	err;
	int			fd;

	make_file("plain", "x");
	fd = bkc_file_open_read("plain", &err);
	assert_true(fd >= 0);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	assert_true(bkc_file_close(fd, "plain", &err));

	assert_int_equal(bkc_file_open_read("absent", &err), -1);
	assert_error(&err, BKC_ERR_NOT_FOUND, "\"absent\"");
	assert_int_equal(err.os_errno, ENOENT);

	assert_int_equal(symlink("plain", "link"), 0);
	assert_int_equal(bkc_file_open_read("link", &err), -1);
	assert_error(&err, BKC_ERR_INVALID, "\"link\" is a symbolic link");
	assert_int_equal(symlink("absent", "dangling"), 0);
	assert_int_equal(bkc_file_open_read("dangling", &err), -1);
	assert_error(&err, BKC_ERR_INVALID, "symbolic link");

	assert_int_equal(mkdir("dir", 0700), 0);
	assert_int_equal(bkc_file_open_read("dir", &err), -1);
	assert_error(&err, BKC_ERR_INVALID, "\"dir\" is not a regular file");

	/* Nobody writes to this one: waiting for a writer would last for ever. */
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_int_equal(bkc_file_open_read("fifo", &err), -1);
	assert_error(&err, BKC_ERR_INVALID, "\"fifo\" is not a regular file");
	assert_int_equal(bkc_file_open_read("/dev/null", &err), -1);
	assert_error(&err, BKC_ERR_INVALID, "not a regular file");

	/* A path through a file is no proof of absence. */
	assert_int_equal(bkc_file_open_read("plain/x", &err), -1);
	assert_error(&err, BKC_ERR_IO, "plain/x");
}

static void
test_create(void **state)
{
	static const mode_t modes[] = {0600, 0640, 0644, 0666, 0400};
	char		name[32];
	BkcError	err;
	size_t		i;
	int			fd;

	umask(077);
	for (i = 0; i < COUNT(modes); i++)
	{
		snprintf(name, sizeof(name), "f%zu", i);
		fd = bkc_file_create(name, modes[i], &err);
		assert_true(fd >= 0);
		assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
		assert_true(bkc_file_write(fd, name, "abc", 3, &err));
		assert_true(bkc_file_fsync(fd, name, &err));
		assert_true(bkc_file_close(fd, name, &err));
		assert_int_equal(mode_of(name), modes[i]);
	}
	assert_int_equal(bkc_file_create("f0", 0600, &err), -1);
	assert_error(&err, BKC_ERR_EXISTS, "\"f0\"");
	assert_file("f0", "abc");

	/* Neither through a link nor over it. */
	assert_int_equal(symlink("target", "link"), 0);
	assert_int_equal(bkc_file_create("link", 0600, &err), -1);
	assert_error(&err, BKC_ERR_EXISTS, "\"link\"");
	assert_false(exists("target"));

	assert_int_equal(bkc_file_create("no/such", 0600, &err), -1);
	assert_error(&err, BKC_ERR_NOT_FOUND, "\"no/such\"");
}

static void
test_pread(void **state)
{
	BkcError	err;
	char		buf[16];
	size_t		got;
	int			fd;

	make_file("f", "0123456789");
	fd = bkc_file_open_read("f", &err);
	assert_true(fd >= 0);
	assert_true(bkc_file_pread(fd, "f", buf, 10, 0, &got, &err));
	assert_int_equal(got, 10);
	assert_memory_equal(buf, "0123456789", 10);
	assert_true(bkc_file_pread(fd, "f", buf, 11, 0, &got, &err));
	assert_int_equal(got, 10);
	assert_true(bkc_file_pread(fd, "f", buf, 9, 1, &got, &err));
	assert_int_equal(got, 9);
	assert_memory_equal(buf, "123456789", 9);
	assert_true(bkc_file_pread(fd, "f", buf, 2, 9, &got, &err));
	assert_int_equal(got, 1);
	assert_true(bkc_file_pread(fd, "f", buf, 1, 10, &got, &err));
	assert_int_equal(got, 0);
	assert_true(bkc_file_pread(fd, "f", buf, 1, UINT64_C(1) << 40, &got, &err));
	assert_int_equal(got, 0);
	assert_true(bkc_file_pread(fd, "f", buf, 0, 0, &got, &err));
	assert_int_equal(got, 0);

	/* An offset that came from hostile bytes. */
	assert_false(bkc_file_pread(fd, "f", buf, 1, UINT64_MAX, &got, &err));
	assert_error(&err, BKC_ERR_INVALID, "\"f\"");
	assert_false(bkc_file_pread(fd, "f", buf, 1, (uint64_t) INT64_MAX + 1, &got, &err));
	assert_error(&err, BKC_ERR_INVALID, "\"f\"");
	assert_true(bkc_file_close(fd, "f", &err));

	assert_false(bkc_file_pread(fd, "f", buf, 1, 0, &got, &err));
	assert_error(&err, BKC_ERR_IO, "could not read file \"f\"");
	assert_false(bkc_file_close(fd, "f", &err));
	assert_error(&err, BKC_ERR_IO, "could not close file \"f\"");
	assert_false(bkc_file_fsync(fd, "f", &err));
	assert_error(&err, BKC_ERR_IO, "could not fsync file \"f\"");
	assert_false(bkc_file_write(fd, "f", "x", 1, &err));
	assert_error(&err, BKC_ERR_IO, "could not write file \"f\"");
	assert_true(bkc_file_write(fd, "f", NULL, 0, &err));
	assert_true(bkc_file_close(-1, "f", &err));
}

static volatile sig_atomic_t alarms;

static void
on_alarm(int sig)
{
	alarms++;
}

/* Short and interrupted writes are continued: a pipe gives both. */
static void
test_write_interrupted(void **state)
{
	struct sigaction action = {.sa_handler = on_alarm};
	static char data[1 << 20];
	struct sigaction old;
	BkcError	err;
	char		buf[4096];
	ssize_t		n;
	int			fds[2];
	int			status;
	size_t		i;
	pid_t		pid;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (char) (i * 31 + i / 4096);
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
	{
		size_t		total = 0;

		/* Read slowly enough that the writer blocks, and interrupt it. */
		close(fds[1]);
		while ((n = read(fds[0], buf, sizeof(buf))) > 0)
		{
			if (memcmp(buf, data + total, (size_t) n) != 0)
				_exit(1);
			total += (size_t) n;
			if (total % 16 == 0)
				kill(getppid(), SIGUSR1);
		}
		_exit(total == sizeof(data) ? 0 : 2);
	}
	assert_int_equal(sigaction(SIGUSR1, &action, &old), 0);
	close(fds[0]);
	assert_true(bkc_file_write(fds[1], "pipe", data, sizeof(data), &err));
	close(fds[1]);
	while (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	assert_int_equal(sigaction(SIGUSR1, &old, NULL), 0);
	assert_int_equal(status, 0);
	assert_true(alarms > 0);
}

static void
test_disk_full(void **state)
{
	struct rlimit limit;
	struct rlimit old;
	BkcError	err;
	char		data[8192] = {0};
	int			fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_false(bkc_file_write(fd, "/dev/full", "x", 1, &err));
	assert_error(&err, BKC_ERR_NO_SPACE, "could not write file \"/dev/full\"");
	assert_int_equal(err.os_errno, ENOSPC);
	close(fd);

	/* A put that fails half-way leaves neither the file nor a temporary one. */
	make_file("old", "old");
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = old;
	limit.rlim_cur = 4096;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_false(bkc_file_put("new", data, sizeof(data), 0600, false, &err));
	assert_error(&err, BKC_ERR_NO_SPACE, "could not write file \"new\"");
	assert_false(bkc_file_put("old", data, sizeof(data), 0600, true, &err));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_DFL);
	assert_int_equal(entries("."), 1);
	assert_file("old", "old");
}

/* As somebody who may not write here. */
static void
test_no_permission(void **state)
{
	bool		root = geteuid() == 0;
	bool		is_there;
	bool		empty;
	BkcBuffer	buf = {0};
	BkcError	err;

	assert_int_equal(mkdir("closed", 0700), 0);
	assert_int_equal(mkdir("closed/dir", 0700), 0);
	make_file("closed/file", "x");
	make_file("secret", "x");
	assert_int_equal(chmod("secret", 0), 0);
	assert_int_equal(chmod("closed", 0555), 0);
	assert_int_equal(chmod("closed/dir", 0), 0);
	if (root)
		assert_int_equal(seteuid(65534), 0);

	assert_int_equal(bkc_file_create("closed/new", 0600, &err), -1);
	assert_error(&err, BKC_ERR_ACCESS, "\"closed/new\"");
	assert_false(bkc_file_put("closed/new", "x", 1, 0600, false, &err));
	assert_error(&err, BKC_ERR_ACCESS, "\"closed/new\"");
	assert_false(bkc_file_put("closed/file", "x", 1, 0600, true, &err));
	assert_error(&err, BKC_ERR_ACCESS, "\"closed/file\"");
	assert_false(bkc_file_slurp("secret", 100, &buf, &err));
	assert_error(&err, BKC_ERR_ACCESS, "\"secret\"");
	assert_false(bkc_dir_create("closed/a/b", 0700, &err));
	assert_error(&err, BKC_ERR_ACCESS, "\"closed/a\"");
	assert_false(bkc_dir_state("closed/dir", &is_there, &empty, &err));
	assert_error(&err, BKC_ERR_ACCESS, "\"closed/dir\"");
	assert_false(bkc_dir_remove_tree("closed", false, &err));
	assert_error(&err, BKC_ERR_ACCESS, "closed/");
	assert_false(bkc_dir_fsync("closed/dir", &err));
	assert_error(&err, BKC_ERR_ACCESS, "\"closed/dir\"");

	if (root)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(chmod("closed", 0700), 0);
	assert_int_equal(chmod("closed/dir", 0700), 0);
	assert_file("closed/file", "x");
	bkc_buffer_free(&buf);
}

static void
test_slurp(void **state)
{
	char		data[200001];
	BkcBuffer	buf = {0};
	BkcError	err;
	size_t		len;

	memset(data, 'a', sizeof(data));
	for (len = 9; len <= 11; len++)
	{
		assert_true(bkc_file_put("f", data, len, 0600, true, &err));
		bkc_buffer_reset(&buf);
		assert_true(bkc_buffer_append_str(&buf, "before", &err));
		if (len <= 10)
		{
			assert_true(bkc_file_slurp("f", 10, &buf, &err));
			assert_int_equal(buf.len, 6 + len);
			assert_memory_equal(buf.data, "beforeaaaaaaaaa", 6 + 9);
		}
		else
		{
			assert_false(bkc_file_slurp("f", 10, &buf, &err));
			assert_error(&err, BKC_ERR_INVALID, "file \"f\" is larger than 10 bytes");
			assert_string_equal(bkc_buffer_str(&buf), "before");
		}
	}
	assert_true(bkc_file_put("f", "", 0, 0600, true, &err));
	bkc_buffer_free(&buf);
	assert_true(bkc_file_slurp("f", 0, &buf, &err));
	assert_string_equal(bkc_buffer_str(&buf), "");
	assert_true(bkc_file_slurp("f", SIZE_MAX, &buf, &err));
	assert_int_equal(buf.len, 0);
	assert_true(bkc_file_put("f", "x", 1, 0600, true, &err));
	assert_false(bkc_file_slurp("f", 0, &buf, &err));

	assert_true(bkc_file_put("f", data, sizeof(data), 0600, true, &err));
	assert_true(bkc_file_slurp("f", sizeof(data), &buf, &err));
	assert_int_equal(buf.len, sizeof(data));
	assert_memory_equal(buf.data, data, sizeof(data));
	bkc_buffer_reset(&buf);
	assert_true(bkc_file_slurp("f", SIZE_MAX, &buf, &err));
	assert_int_equal(buf.len, sizeof(data));

	/* Files that do not know their size. */
	bkc_buffer_reset(&buf);
	assert_true(bkc_file_slurp("/proc/self/status", 1 << 20, &buf, &err));
	assert_true(buf.len > 100);
	bkc_buffer_reset(&buf);
	assert_false(bkc_file_slurp("/proc/self/status", 10, &buf, &err));
	assert_error(&err, BKC_ERR_INVALID, "larger than 10 bytes");
	assert_int_equal(buf.len, 0);

	assert_int_equal(symlink("f", "link"), 0);
	assert_false(bkc_file_slurp("link", 100, &buf, &err));
	assert_error(&err, BKC_ERR_INVALID, "symbolic link");
	assert_false(bkc_file_slurp("absent", 100, &buf, &err));
	assert_error(&err, BKC_ERR_NOT_FOUND, "\"absent\"");
	bkc_buffer_free(&buf);
}

/* Only its owner may use a file with a secret, and a group may read root's. */
static void
test_private(void **state)
{
	for (mode_t mode = 0; mode <= 0777; mode++)
	{
		struct stat st = {.st_mode = S_IFREG | mode, .st_uid = 1000, .st_gid = 1000};

		assert_int_equal(bkc_file_is_private(&st), (mode & 077) == 0);
		st.st_uid = 0;
		assert_int_equal(bkc_file_is_private(&st), (mode & 037) == 0);
	}
}

/* Who is we or root. */
static void
test_slurp_secret(void **state)
{
	static const mode_t good[] = {0600, 0400, 0700, 0500};
	static const mode_t bad[] = {0620, 0610, 0604, 0602, 0601, 0644, 0660, 0666, 0777};
	BkcBuffer	buf = {0};
	BkcError	err;
	uint8_t    *data;

	make_file("secret", "hush");
	for (size_t i = 0; i < COUNT(good); i++)
	{
		bkc_buffer_reset(&buf);
		assert_int_equal(chmod("secret", good[i]), 0);
		assert_true(bkc_file_slurp_secret("secret", 100, &buf, &err));
		assert_string_equal(bkc_buffer_str(&buf), "hush");
	}
	for (size_t i = 0; i < COUNT(bad); i++)
	{
		bkc_buffer_reset(&buf);
		assert_int_equal(chmod("secret", bad[i]), 0);
		assert_false(bkc_file_slurp_secret("secret", 100, &buf, &err));
		assert_error(&err, BKC_ERR_ACCESS, "file \"secret\" holds a secret and can be used by other users");
		assert_non_null(strstr(err.hint, "chmod 0600"));
		assert_int_equal(buf.len, 0);
	}
	assert_int_equal(chmod("secret", 0600), 0);
	assert_false(bkc_file_slurp_secret("secret", 3, &buf, &err));
	assert_error(&err, BKC_ERR_INVALID, "larger than 3 bytes");
	assert_false(bkc_file_slurp_secret("gone", 100, &buf, &err));
	assert_error(&err, BKC_ERR_NOT_FOUND, "\"gone\"");
	assert_int_equal(symlink("secret", "link"), 0);
	assert_true(bkc_file_slurp_secret("link", 100, &buf, &err));
	assert_string_equal(bkc_buffer_str(&buf), "hush");
	bkc_buffer_reset(&buf);
	assert_int_equal(chmod("secret", 0660), 0);
	assert_false(bkc_file_slurp_secret("link", 100, &buf, &err));
	assert_error(&err, BKC_ERR_ACCESS, "can be used by other users");
	assert_int_equal(chmod("secret", 0600), 0);
	assert_int_equal(mkdir("dir", 0700), 0);
	assert_false(bkc_file_slurp_secret("dir", 100, &buf, &err));
	assert_error(&err, BKC_ERR_INVALID, "not a regular file");

	/* memory that moved would leave copies behind */
	bkc_buffer_free(&buf);
	assert_true(bkc_buffer_reserve(&buf, 101, &err));
	data = buf.data;
	assert_true(bkc_file_slurp_secret("secret", 100, &buf, &err));
	assert_ptr_equal(buf.data, data);

	if (geteuid() == 0)
	{
		/* root's, for a group */
		bkc_buffer_reset(&buf);
		assert_int_equal(chown("secret", 0, 65534), 0);
		assert_int_equal(chmod("secret", 0640), 0);
		assert_int_equal(setegid(65534), 0);
		assert_int_equal(seteuid(65534), 0);
		assert_true(bkc_file_slurp_secret("secret", 100, &buf, &err));
		assert_string_equal(bkc_buffer_str(&buf), "hush");
		assert_int_equal(seteuid(0), 0);
		assert_int_equal(setegid(0), 0);
		assert_int_equal(chown("secret", 65534, 65534), 0);
		assert_false(bkc_file_slurp_secret("secret", 100, &buf, &err));
		assert_error(&err, BKC_ERR_ACCESS, "can be used by other users");
		assert_int_equal(chmod("secret", 0600), 0);

		/* root may use everybody's, everybody his own and root's, nobody another's */
		assert_true(bkc_file_slurp_secret("secret", 100, &buf, &err));
		assert_int_equal(seteuid(65534), 0);
		assert_true(bkc_file_slurp_secret("secret", 100, &buf, &err));
		assert_int_equal(seteuid(0), 0);
		assert_int_equal(chown("secret", 65533, 65534), 0);
		assert_int_equal(chmod("secret", 0600), 0);
		assert_int_equal(seteuid(65534), 0);
		assert_false(bkc_file_slurp_secret("secret", 100, &buf, &err));
		assert_error(&err, BKC_ERR_ACCESS, "could not open file");
		assert_int_equal(seteuid(0), 0);
	}
	bkc_buffer_free(&buf);
}

static void
test_put(void **state)
{
	static const char *const bad[] = {"", "dir/", "dir/.", "dir/..", ".", "..", "/"};
	char		path[5000];
	struct stat st;
	BkcError	err;
	size_t		i;

	umask(077);
	assert_int_equal(mkdir("dir", 0700), 0);
	assert_true(bkc_file_put("dir/f", "one", 3, 0644, false, &err));
	assert_file("dir/f", "one");
	assert_int_equal(mode_of("dir/f"), 0644);
	assert_int_equal(stat("dir/f", &st), 0);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(entries("dir"), 1);

	assert_false(bkc_file_put("dir/f", "two", 3, 0600, false, &err));
	assert_error(&err, BKC_ERR_EXISTS, "\"dir/f\"");
	assert_file("dir/f", "one");
	assert_int_equal(entries("dir"), 1);

	assert_true(bkc_file_put("dir/f", "three", 5, 0600, true, &err));
	assert_file("dir/f", "three");
	assert_int_equal(mode_of("dir/f"), 0600);
	assert_true(bkc_file_put("dir/g", NULL, 0, 0600, true, &err));
	assert_file("dir/g", "");

	/* A link is in the way of creating, and is itself what is replaced. */
	assert_int_equal(symlink("f", "dir/link"), 0);
	assert_false(bkc_file_put("dir/link", "x", 1, 0600, false, &err));
	assert_error(&err, BKC_ERR_EXISTS, "\"dir/link\"");
	assert_true(bkc_file_put("dir/link", "four", 4, 0600, true, &err));
	assert_int_equal(lstat("dir/link", &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_file("dir/f", "three");

	/* Nothing is left behind by any failure. */
	assert_int_equal(mkdir("dir/sub", 0700), 0);
	assert_false(bkc_file_put("dir/sub", "x", 1, 0600, true, &err));
	assert_error(&err, BKC_ERR_IO, "\"dir/sub\"");
	assert_false(bkc_file_put("dir/sub", "x", 1, 0600, false, &err));
	assert_error(&err, BKC_ERR_EXISTS, "\"dir/sub\"");
	assert_int_equal(entries("dir"), 4);
	assert_false(bkc_file_put("absent/f", "x", 1, 0600, false, &err));
	assert_error(&err, BKC_ERR_NOT_FOUND, "\"absent\"");
	for (i = 0; i < COUNT(bad); i++)
	{
		assert_false(bkc_file_put(bad[i], "x", 1, 0600, true, &err));
		assert_error(&err, BKC_ERR_INVALID, "is not the name of a file");
	}

	/* With and without a folder in the name, and up to the longest name. */
	assert_true(bkc_file_put("here", "h", 1, 0600, false, &err));
	assert_file("here", "h");
	snprintf(path, sizeof(path), "%s/abs", scratch);
	assert_true(bkc_file_put(path, "a", 1, 0600, false, &err));
	assert_file("abs", "a");
	memset(path, 'n', 256);
	path[255] = '\0';
	assert_true(bkc_file_put(path, "n", 1, 0600, false, &err));
	path[255] = 'n';
	path[256] = '\0';
	assert_false(bkc_file_put(path, "n", 1, 0600, false, &err));
	assert_int_equal(entries("."), 4);
}

/* Of many that create the same name at once exactly one wins, with its bytes. */
static void
test_put_race(void **state)
{
	enum
	{
		RACERS = 8
	};
	char		text[32];
	BkcError	err;
	int			gate[2];
	int			status;
	int			winners = 0;
	int			winner = -1;
	int			i;
	pid_t		pids[RACERS];
	char		c;

	assert_int_equal(pipe(gate), 0);
	for (i = 0; i < RACERS; i++)
	{
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0)
		{
			close(gate[1]);
			snprintf(text, sizeof(text), "racer %d", i);
			if (read(gate[0], &c, 1) != 0)
				_exit(3);
			if (bkc_file_put("prize", text, strlen(text), 0600, false, &err))
				_exit(0);
			_exit(err.code == BKC_ERR_EXISTS ? 1 : 2);
		}
	}
	close(gate[0]);
	close(gate[1]);
	for (i = 0; i < RACERS; i++)
	{
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFEXITED(status));
		assert_in_range(WEXITSTATUS(status), 0, 1);
		if (WEXITSTATUS(status) == 0)
		{
			winners++;
			winner = i;
		}
	}
	assert_int_equal(winners, 1);
	snprintf(text, sizeof(text), "racer %d", winner);
	assert_file("prize", text);
	assert_int_equal(entries("."), 1);
}

static void
test_dir_create(void **state)
{
	char		path[5000];
	BkcError	err;

	umask(077);
	assert_true(bkc_dir_create("a", 0750, &err));
	assert_int_equal(mode_of("a"), 0750);
	assert_int_equal(chmod("a", 0700), 0);
	assert_true(bkc_dir_create("a/b/c/", 0750, &err));
	assert_int_equal(mode_of("a"), 0700);
	assert_int_equal(mode_of("a/b"), 0750);
	assert_int_equal(mode_of("a/b/c"), 0750);
	assert_true(bkc_dir_create("a/b/c", 0700, &err));
	assert_int_equal(mode_of("a/b/c"), 0750);
	assert_true(bkc_dir_create("a//b///d//", 0700, &err));
	assert_true(exists("a/b/d"));
	snprintf(path, sizeof(path), "%s/x/y", scratch);
	assert_true(bkc_dir_create(path, 0700, &err));
	assert_true(exists("x/y"));
	assert_true(bkc_dir_create(".", 0700, &err));
	assert_true(bkc_dir_create("/", 0700, &err));
	assert_true(bkc_dir_create("./z", 0700, &err));
	assert_true(exists("z"));

	/* Links on the way are the administrator's, the last one is refused. */
	assert_int_equal(symlink("a", "link"), 0);
	assert_true(bkc_dir_create("link/e", 0700, &err));
	assert_true(exists("a/e"));
	assert_false(bkc_dir_create("link", 0700, &err));
	assert_error(&err, BKC_ERR_INVALID, "\"link\" is a symbolic link");
	assert_non_null(strstr(err.hint, "points to"));
	assert_false(bkc_dir_create("link/", 0700, &err));
	assert_error(&err, BKC_ERR_INVALID, "\"link\" is a symbolic link");
	assert_int_equal(symlink("nowhere", "dangling"), 0);
	assert_false(bkc_dir_create("dangling", 0700, &err));
	assert_false(bkc_dir_create("dangling/x", 0700, &err));
	assert_false(exists("nowhere"));

	make_file("file", "");
	assert_false(bkc_dir_create("file", 0700, &err));
	assert_error(&err, BKC_ERR_INVALID, "\"file\" is not a folder");
	assert_false(bkc_dir_create("file/x", 0700, &err));
	assert_error(&err, BKC_ERR_IO, "\"file/x\"");
	assert_false(bkc_dir_create("", 0700, &err));
	assert_error(&err, BKC_ERR_INVALID, "empty");
	assert_false(bkc_dir_create("/proc/no/such", 0700, &err));
	assert_true(err.code != BKC_OK);
}

static void
test_dir_state(void **state)
{
	bool		is_there;
	bool		empty;
	BkcError	err;

	assert_true(bkc_dir_state("d", &is_there, &empty, &err));
	assert_false(is_there);
	assert_true(empty);
	assert_int_equal(mkdir("d", 0700), 0);
	assert_true(bkc_dir_state("d/", &is_there, &empty, &err));
	assert_true(is_there);
	assert_true(empty);
	make_file("d/.hidden", "");
	assert_true(bkc_dir_state("d", &is_there, &empty, &err));
	assert_true(is_there);
	assert_false(empty);
	assert_false(bkc_dir_state("d/.hidden", &is_there, &empty, &err));
	assert_error(&err, BKC_ERR_INVALID, "\"d/.hidden\" is not a folder");
	assert_int_equal(symlink("d", "link"), 0);
	assert_false(bkc_dir_state("link", &is_there, &empty, &err));
	assert_error(&err, BKC_ERR_INVALID, "symbolic link");
	assert_false(bkc_dir_state("link/", &is_there, &empty, &err));
	assert_error(&err, BKC_ERR_INVALID, "symbolic link");
	assert_false(bkc_dir_state("d/.hidden/x", &is_there, &empty, &err));
	assert_error(&err, BKC_ERR_IO, "\"d/.hidden/x\"");
	assert_false(bkc_dir_state("", &is_there, &empty, &err));

	assert_true(bkc_dir_fsync("d", &err));
	assert_true(bkc_dir_fsync("link", &err));
	assert_false(bkc_dir_fsync("absent", &err));
	assert_error(&err, BKC_ERR_NOT_FOUND, "\"absent\"");
	assert_false(bkc_dir_fsync("d/.hidden", &err));
	assert_error(&err, BKC_ERR_INVALID, "not a folder");
}

static bool
always(void)
{
	return true;
}

static void
test_remove_tree(void **state)
{
	static const BkcHost cancelled_host = {.cancelled = always};
	char		path[100];
	BkcError	err;
	int			i;

	assert_true(bkc_dir_remove_tree("absent", false, &err));
	assert_true(bkc_dir_remove_tree("absent", true, &err));

	/* A tree full of ways out of it. */
	assert_int_equal(mkdir("outside", 0700), 0);
	make_file("outside/keep", "kept");
	assert_true(bkc_dir_create("tree/a/b/c", 0700, &err));
	assert_int_equal(symlink("../outside", "tree/dirlink"), 0);
	assert_int_equal(symlink("../../outside/keep", "tree/a/filelink"), 0);
	assert_int_equal(symlink("nowhere", "tree/a/dangling"), 0);
	assert_int_equal(symlink("..", "tree/a/b/up"), 0);
	assert_int_equal(link("outside/keep", "tree/a/hard"), 0);
	assert_int_equal(mkfifo("tree/a/b/fifo", 0600), 0);
	make_file("tree/.hidden", "x");
	make_file("tree/a/b/c/ new\nline", "x");
	for (i = 0; i < 1000; i++)
	{
		snprintf(path, sizeof(path), "tree/a/many-%d", i);
		make_file(path, "");
	}

	/* keep_top empties, and tidying up works after a cancel. */
	bkc_host_set(&cancelled_host);
	assert_true(bkc_dir_remove_tree("tree", true, &err));
	assert_int_equal(entries("tree"), 0);
	assert_file("outside/keep", "kept");
	make_file("tree/again", "x");
	assert_true(bkc_dir_remove_tree("tree/", false, &err));
	bkc_host_set(NULL);
	assert_false(exists("tree"));
	assert_file("outside/keep", "kept");

	/* The top itself must be a folder and no link to one. */
	assert_int_equal(symlink("outside", "link"), 0);
	assert_false(bkc_dir_remove_tree("link", false, &err));
	assert_error(&err, BKC_ERR_INVALID, "\"link\" is a symbolic link");
	assert_false(bkc_dir_remove_tree("link/", true, &err));
	assert_error(&err, BKC_ERR_INVALID, "\"link\" is a symbolic link");
	assert_false(bkc_dir_remove_tree("outside/keep", false, &err));
	assert_error(&err, BKC_ERR_INVALID, "is not a folder");
	assert_false(bkc_dir_remove_tree("", false, &err));
	assert_file("outside/keep", "kept");
	assert_true(exists("link"));
}

/* Deep trees cost descriptors: they are an error, not a crash. */
static void
test_remove_deep(void **state)
{
	BkcError	err;
	int			i;

	assert_int_equal(mkdir("deep", 0700), 0);
	assert_int_equal(chdir("deep"), 0);
	for (i = 0; i < 99; i++)
	{
		assert_int_equal(mkdir("d", 0700), 0);
		assert_int_equal(chdir("d"), 0);
	}
	assert_int_equal(chdir(scratch), 0);
	assert_true(bkc_dir_remove_tree("deep", true, &err));
	assert_int_equal(entries("deep"), 0);

	assert_int_equal(chdir("deep"), 0);
	for (i = 0; i < 100; i++)
	{
		assert_int_equal(mkdir("d", 0700), 0);
		assert_int_equal(chdir("d"), 0);
	}
	assert_int_equal(chdir(scratch), 0);
	assert_false(bkc_dir_remove_tree("deep", true, &err));
	assert_error(&err, BKC_ERR_INVALID, "100 levels");
}

/*
 * While folders are exchanged for links to the outside again and again, the
 * outside is never touched.
 */
static void
test_remove_race(void **state)
{
	BkcError	err;
	int			status;
	int			i;
	pid_t		pid;

	assert_int_equal(mkdir("outside", 0700), 0);
	make_file("outside/keep", "kept");
	assert_int_equal(mkdir("tree", 0700), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
	{
		for (;;)
		{
			if (mkdir("tree/x", 0700) != 0 && errno != EEXIST && errno != ENOENT)
				_exit(1);
			(void) rmdir("tree/x");
			if (symlink("../outside", "tree/x") == 0)
				(void) unlink("tree/x");
		}
	}
	for (i = 0; i < 300; i++)
		(void) bkc_dir_remove_tree("tree", true, &err);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_file("outside/keep", "kept");
	assert_int_equal(entries("outside"), 1);
}

static void
test_path_join(void **state)
{
	static const struct
	{
		const char *dir;
		const char *name;
		const char *path;
	}			cases[] = {
		{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"/", "b", "/b"}, {"", "b", "b"},
		{"a", "", "a/"}, {"a//", "b/c", "a//b/c"},
	};
	BkcError	err;
	size_t		i;

	for (i = 0; i < COUNT(cases); i++)
	{
		char	   *path = bkc_path_join(cases[i].dir, cases[i].name, &err);

		assert_non_null(path);
		assert_string_equal(path, cases[i].path);
		free(path);
	}
}

static const char *const safe_paths[] = {
	"a", "a/b", "base/1/1259", "...", "..a", "a..", ".a", "a/.../b", " ", "a b", "a\nb",
	"pg_wal/0001", "-", "~",
};

static const char *const unsafe_paths[] = {
	"", "/", "/a", "//a", "a/", "a//b", ".", "..", "./a", "../a", "a/.", "a/..", "a/./b",
	"a/../b", "a/b/..", "../../etc/passwd",
};

static void
test_path_is_safe(void **state)
{
	size_t		i;

	for (i = 0; i < COUNT(safe_paths); i++)
		assert_true(bkc_path_is_safe(safe_paths[i]));
	for (i = 0; i < COUNT(unsafe_paths); i++)
		assert_false(bkc_path_is_safe(unsafe_paths[i]));
}

static int
open_root(void)
{
	int			fd = open("root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void
test_open_parent(void **state)
{
	char		path[5000];
	const char *base = NULL;
	BkcError	err;
	size_t		i;
	int			root;
	int			fd;
	int			file;

	umask(077);
	assert_int_equal(mkdir("root", 0700), 0);
	root = open_root();

	/* Made where missing, with the mode asked for. */
	fd = bkc_path_open_parent(root, "a/b/c/file", 0750, &base, &err);
	assert_true(fd >= 0);
	assert_string_equal(base, "file");
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	file = openat(fd, base, O_CREAT | O_WRONLY, 0600);
	assert_true(file >= 0);
	close(file);
	close(fd);
	assert_true(exists("root/a/b/c/file"));
	assert_int_equal(mode_of("root/a"), 0750);
	assert_int_equal(mode_of("root/a/b/c"), 0750);

	/* Found where there; the root itself for a bare name. */
	fd = bkc_path_open_parent(root, "a/b/c/file", 0700, &base, &err);
	assert_true(fd >= 0);
	assert_int_equal(faccessat(fd, base, F_OK, 0), 0);
	assert_int_equal(mode_of("root/a/b"), 0750);
	close(fd);
	fd = bkc_path_open_parent(root, "a", 0700, &base, &err);
	assert_true(fd >= 0 && fd != root);
	assert_string_equal(base, "a");
	assert_int_equal(faccessat(fd, base, F_OK, 0), 0);
	close(fd);

	for (i = 0; i < COUNT(unsafe_paths); i++)
	{
		assert_int_equal(bkc_path_open_parent(root, unsafe_paths[i], 0700, &base, &err), -1);
		assert_error(&err, BKC_ERR_INVALID, unsafe_paths[i]);
	}

	/* A file on the way. */
	assert_int_equal(bkc_path_open_parent(root, "a/b/c/file/x", 0700, &base, &err), -1);
	assert_error(&err, BKC_ERR_INVALID, "\"file\" of path \"a/b/c/file/x\" is not a folder");

	/* Names at the limit of the file system. */
	memset(path, 'n', 256);
	memcpy(path + 255, "/x", 3);
	fd = bkc_path_open_parent(root, path, 0700, &base, &err);
	assert_true(fd >= 0);
	close(fd);
	path[255] = 'n';
	memcpy(path + 256, "/x", 3);
	assert_int_equal(bkc_path_open_parent(root, path, 0700, &base, &err), -1);
	assert_int_equal(err.os_errno, ENAMETOOLONG);
	memset(path, 'n', sizeof(path) - 3);
	memcpy(path + sizeof(path) - 3, "/x", 3);
	assert_int_equal(bkc_path_open_parent(root, path, 0700, &base, &err), -1);

	assert_int_equal(bkc_path_open_parent(-1, "a/b", 0700, &base, &err), -1);
	assert_error(&err, BKC_ERR_IO, "\"a/b\"");
	close(root);
}

/* A link at any place of the path is refused and nothing appears behind it. */
static void
test_open_parent_links(void **state)
{
	static const char *const links[] = {"a", "a/b", "a/b/c", "a/b/c/d"};
	static const char *const targets[] = {"outside", "outside/file", "nowhere", NULL, "."};
	char		path[5000];
	char		target[5000];
	const char *base;
	BkcError	err;
	size_t		i;
	size_t		t;
	int			root;
	int			fd;

	assert_int_equal(mkdir("outside", 0700), 0);
	make_file("outside/file", "kept");
	for (i = 0; i < COUNT(links); i++)
	{
		for (t = 0; t < COUNT(targets); t++)
		{
			assert_int_equal(mkdir("root", 0700), 0);
			root = open_root();
			fd = bkc_path_open_parent(root, links[i], 0700, &base, &err);
			assert_true(fd >= 0);

			/* relative (to itself), absolute, dangling, a loop */
			if (targets[t] == NULL)
				snprintf(target, sizeof(target), "%s", base);
			else if (targets[t][0] == '.')
				snprintf(target, sizeof(target), ".");
			else
				snprintf(target, sizeof(target), "%s/%s", scratch, targets[t]);
			assert_int_equal(symlinkat(target, fd, base), 0);
			close(fd);
			snprintf(path, sizeof(path), "%s/x/y", links[i]);
			assert_int_equal(bkc_path_open_parent(root, path, 0700, &base, &err), -1);
			assert_error(&err, BKC_ERR_INVALID, "passes through a symbolic link");
			close(root);
			assert_true(bkc_dir_remove_tree("root", false, &err));
			assert_int_equal(entries("outside"), 1);
			assert_false(exists("nowhere"));
		}
	}
	assert_file("outside/file", "kept");
}

/* No call leaks a descriptor, whichever way it ended. */
static void
test_no_descriptor_left(void **state)
{
	BkcError	err;
	BkcBuffer	buf = {0};
	const char *base;
	bool		is_there;
	bool		empty;
	int			before;
	int			root;
	int			i;

	make_file("file", "x");
	assert_int_equal(mkdir("root", 0700), 0);
	assert_int_equal(symlink("file", "link"), 0);
	root = open_root();
	before = entries("/proc/self/fd");
	for (i = 0; i < 3; i++)
	{
		(void) bkc_file_open_read("root", &err);
		(void) bkc_file_open_read("link", &err);
		(void) bkc_file_create("file", 0600, &err);
		(void) bkc_file_slurp("file", 0, &buf, &err);
		(void) bkc_file_slurp("file", 10, &buf, &err);
		(void) bkc_file_put("file", "y", 1, 0600, false, &err);
		(void) bkc_file_put("file", "y", 1, 0600, true, &err);
		(void) bkc_file_put("root", "y", 1, 0600, true, &err);
		(void) bkc_dir_create("root/a/b", 0700, &err);
		(void) bkc_dir_create("file/a", 0700, &err);
		(void) bkc_dir_state("root", &is_there, &empty, &err);
		(void) bkc_dir_state("file", &is_there, &empty, &err);
		(void) bkc_dir_fsync("root", &err);
		(void) bkc_path_open_parent(root, "../x", 0700, &base, &err);
		(void) bkc_path_open_parent(root, "a/b/../x", 0700, &base, &err);
		assert_int_equal(mkdir("root/t", 0700), 0);
		assert_int_equal(symlink("b", "root/a/l"), 0);
		(void) bkc_path_open_parent(root, "a/l/x", 0700, &base, &err);
		(void) bkc_dir_remove_tree("root", true, &err);
		(void) bkc_dir_remove_tree("link", true, &err);
	}
	assert_int_equal(entries("/proc/self/fd"), before);
	close(root);
	bkc_buffer_free(&buf);
}

#define SCRATCH_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_open_read),
		SCRATCH_TEST(test_create),
		SCRATCH_TEST(test_pread),
		SCRATCH_TEST(test_write_interrupted),
		SCRATCH_TEST(test_disk_full),
		SCRATCH_TEST(test_no_permission),
		SCRATCH_TEST(test_slurp),
		cmocka_unit_test(test_private), SCRATCH_TEST(test_slurp_secret),
		SCRATCH_TEST(test_put),
		SCRATCH_TEST(test_put_race),
		SCRATCH_TEST(test_dir_create),
		SCRATCH_TEST(test_dir_state),
		SCRATCH_TEST(test_remove_tree),
		SCRATCH_TEST(test_remove_deep),
		SCRATCH_TEST(test_remove_race),
		SCRATCH_TEST(test_path_join),
		SCRATCH_TEST(test_path_is_safe),
		SCRATCH_TEST(test_open_parent),
		SCRATCH_TEST(test_open_parent_links),
		SCRATCH_TEST(test_no_descriptor_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
