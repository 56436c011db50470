/*
 * keycommand.c
 *		A wrapping key from a command (contract: bkc_userkey_command() in keyfile.h).
 *
 * The command may be a client of a key service that hangs.  It is waited for in
 * slices, so that whoever wants this process to stop is heard, and what it has
 * started is ended with it: it gets a process group of its own.
 */
#include "crypto/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/host.h"
#include "crypto/digest.h"

#define SLICE_MS		100
#define END_MS			2000	/* from the request to end until it is made to */

typedef struct Command
{
	pid_t		pid;
	int			out;			/* its standard output; -1 when closed */
	int64_t		deadline;		/* of the monotonic clock, in ms */
	uint8_t		text[BKC_KEYFILE_MAX + 1];
	size_t		len;
} Command;

extern char **environ;

static int64_t
monotonic_ms(void)
{
	struct timespec ts;

	(void) clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- starting ---- */

/*
 * Signals as a shell expects them, whatever the program around us has done with its own;
 * nothing open but the three standard files.
 */
static int
spawn(const char *command, int out, pid_t *pid)
{
	char	   *argv[] = {"sh", "-c", (char *) command, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t	all;
	sigset_t	none;
	int			failure;

	sigfillset(&all);
	sigemptyset(&none);
	failure = posix_spawn_file_actions_init(&actions);
	if (failure != 0)
		return failure;
	failure = posix_spawnattr_init(&attr);
	if (failure == 0)
	{
		if ((failure = posix_spawnattr_setsigdefault(&attr, &all)) == 0 &&
			(failure = posix_spawnattr_setsigmask(&attr, &none)) == 0 &&
			(failure = posix_spawnattr_setpgroup(&attr, 0)) == 0 &&
			(failure = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF |
												POSIX_SPAWN_SETSIGMASK |
												POSIX_SPAWN_SETPGROUP)) == 0 &&
			(failure = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null",
														O_RDONLY, 0)) == 0 &&
			(failure = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO)) == 0 &&
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
			(failure = posix_spawn_file_actions_addclosefrom_np(&actions, 3)) == 0 &&
#endif
			true)
			failure = posix_spawn(pid, "/bin/sh", &actions, &attr, argv, environ);
		(void) posix_spawnattr_destroy(&attr);
	}
	(void) posix_spawn_file_actions_destroy(&actions);
	return failure;
}

static bool
start(Command *c, const char *command, BkcError *err)
{
	int			ends[2];
	int			failure;

	c->pid = -1;
	c->out = -1;
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
		return bkc_error_os(err, errno, "could not create a pipe for the key command");

	/* the command is none of those who expect a write to fail for now */
	(void) fcntl(ends[1], F_SETFL, 0);
	failure = spawn(command, ends[1], &c->pid);
	close(ends[1]);
	c->out = ends[0];
	if (failure != 0)
	{
		c->pid = -1;
		return bkc_error_os(err, failure, "could not run the key command");
	}
	return true;
}

/* ---- ending ---- */

/* *status is set when it has ended; its group may not be signalled any more after that. */
static bool
has_ended(Command *c, int *status)
{
	pid_t		got;

	do
		got = waitpid(c->pid, status, WNOHANG);
	while (got < 0 && errno == EINTR);
	if (got == 0)
		return false;
	if (got < 0)
		*status = 0;			/* somebody else has waited for it: nothing is known */
	c->pid = -1;
	return true;
}

/*
 * Is it still our child?  Also when it has ended: it is left for waitpid(), and until then its
 * group cannot become another's.
 */
static bool
is_child(const Command *c, bool *ended)
{
	siginfo_t	info = {0};
	int			rc;

	do
		rc = waitid(P_PID, (id_t) c->pid, &info, WEXITED | WNOHANG | WNOWAIT);
	while (rc != 0 && errno == EINTR);
	*ended = info.si_pid != 0;
	return rc == 0;
}

/*
 * Ask all of its group to end, then make them; it is reaped in any case.  It may have ended by
 * itself, and what it has started may be what holds us up.
 */
static void
end_group(Command *c)
{
	int64_t		until = monotonic_ms() + END_MS;
	struct timespec slice = {0, 10 * 1000 * 1000};
	bool		ended;
	int			status;

	if (is_child(c, &ended))
		(void) kill(-c->pid, SIGTERM);
	while (is_child(c, &ended) && !ended && monotonic_ms() <= until)
		(void) nanosleep(&slice, NULL);
	if (is_child(c, &ended))
		(void) kill(-c->pid, SIGKILL);
	while (!has_ended(c, &status))
		(void) nanosleep(&slice, NULL);
}

/* pid is set where it was not waited for: it has failed us. */
static void
finish(Command *c)
{
	if (c->out >= 0)
		close(c->out);
	c->out = -1;
	if (c->pid > 0)
		end_group(c);
	bkc_wipe(c->text, sizeof(c->text));
}

static bool
in_time(const Command *c, BkcError *err)
{
	if (!bkc_host_check(err))
		return false;
	if (monotonic_ms() < c->deadline)
		return true;
	bkc_error_set(err, BKC_ERR_TIMEOUT, "the key command did not end in time");
	return bkc_error_hint(err, "It must print the key and end.");
}

/* ---- reading ---- */

/* Whatever there is; *end when it has closed its output. */
static bool
read_some(Command *c, bool *end, BkcError *err)
{
	ssize_t		got = read(c->out, c->text + c->len, sizeof(c->text) - c->len);

	*end = got == 0;
	if (got < 0)
		return errno == EAGAIN || errno == EINTR ||
			bkc_error_os(err, errno, "could not read from the key command");
	c->len += (size_t) got;
	if (c->len == sizeof(c->text))
		return bkc_error_set(err, BKC_ERR_KEY, "the key command printed more than %d bytes",
							 BKC_KEYFILE_MAX);
	return true;
}

static bool
read_all(Command *c, BkcError *err)
{
	bool		end = false;

	while (!end)
	{
		struct pollfd poll_fd = {.fd = c->out, .events = POLLIN};
		int			ready;

		if (!in_time(c, err))
			return false;
		ready = poll(&poll_fd, 1, SLICE_MS);
		if (ready > 0 && !read_some(c, &end, err))
			return false;
	}
	return true;
}

static bool
wait_for_it(Command *c, BkcError *err)
{
	struct timespec slice = {0, 10 * 1000 * 1000};
	int			status = 0;

	while (!has_ended(c, &status))
	{
		if (!in_time(c, err))
			return false;
		(void) nanosleep(&slice, NULL);
	}
	if (WIFSIGNALED(status))
		return bkc_error_set(err, BKC_ERR_KEY, "the key command was ended by signal %d",
							 WTERMSIG(status));
	if (WEXITSTATUS(status) == 0)
		return true;
	bkc_error_set(err, BKC_ERR_KEY, "the key command failed with exit status %d",
				  WEXITSTATUS(status));
	return bkc_error_hint(err, "What it says goes to standard error, in a server to its log.");
}

bool
bkc_userkey_command(const char *command, int timeout_ms, BkcUserKey *key, BkcError *err)
{
	Command		c = {.deadline = monotonic_ms() + timeout_ms};
	bool		ok;

	memset(key, 0, sizeof(*key));
	bkc_host->wait_event(BKC_WAIT_FILE_READ);
	ok = start(&c, command, err) &&
		read_all(&c, err) &&
		wait_for_it(&c, err) &&
		bkc_userkey_parse(c.text, c.len, "what the key command printed", key, err);
	finish(&c);
	bkc_host->wait_event(BKC_WAIT_NONE);
	return ok;
}
