/*
 * crew.c
 *		Work shared by several processes.
 *
 * Shared memory holds the cursor, the word to stop, and one slot a worker
 * with its tally and, when it fails, its error.  A pipe from each worker
 * carries its messages; its end-of-file tells the parent at once that the
 * worker is ending.
 */
#include "crew.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/host.h"

#include "host.h"

#define TICK_MS			50
#define GRACE_USEC		600000	/* then a worker that does not stop is killed */
#define ABANDON_USEC	900000
#define DRAIN_BATCH		64

typedef struct CrewSlot
{
	BkcCrewTally tally;
	BkcError	error;
	BkcPlace	place;
	_Atomic bool failed;		/* error and place are complete */
	_Atomic bool finished;		/* ended as it should */
} CrewSlot;

typedef struct CrewShared
{
	_Atomic size_t cursor;
	atomic_bool stop;
	_Atomic size_t first_failed;	/* number of a slot plus one, 0 when none */
	CrewSlot	slots[];
} CrewShared;

/* The parent's view of one worker. */
typedef struct CrewProcess
{
	pid_t		pid;			/* 0: not there (any more) */
	int			pipe;			/* reading end or -1 */
	char	   *partial;		/* message_size bytes */
	size_t		have;
} CrewProcess;

typedef struct Crew
{
	const BkcCrewSpec *spec;
	CrewShared *shared;
	size_t		shared_size;
	CrewProcess *processes;
	struct pollfd *fds;			/* scratch of wait_for_news() */
	size_t		n;
	size_t		alive;
	int64_t		stopping;		/* clock at which stop was set, 0 before */
	bool		killed;			/* by us, after the grace period */
	BkcError	error;			/* the parent's own, BKC_OK when none */
	BkcPlace	place;
} Crew;

/* ---- in the worker ---- */

bool
bkc_crew_send(BkcCrewWorker *worker, const void *message, BkcError *err)
{
	return bkc_file_write(worker->pipe, "pipe to the parent", message, worker->message_size, err);
}

static bool
work(const BkcCrewSpec *spec, CrewShared *shared, BkcCrewWorker *worker, BkcError *err)
{
	void	   *state = NULL;
	size_t		item;
	bool		ok;

	ok = spec->start(spec->arg, worker, &state, err);
	while (ok)
	{
		ok = bkc_host_check(err);
		if (!ok)
			break;
		item = atomic_fetch_add(&shared->cursor, 1);
		if (item >= spec->nitems)
			break;
		ok = spec->item(state, item, worker, err);
	}
	spec->finish(state);
	return ok;
}

static void
run_worker(const Crew *crew, size_t number, int pipe, pid_t parent)
{
	CrewShared *shared = crew->shared;
	CrewSlot   *slot = &shared->slots[number];
	BkcCrewWorker worker = {
		.tally = &slot->tally,
		.place = BKC_AT_REPOSITORY,
		.pipe = pipe,
		.message_size = crew->spec->message_size
	};
	BkcError	err;
	size_t		none = 0;

	/* no orphans: when the parent goes, so do we; it may have gone already */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(BKC_EXIT_OTHER);
	for (size_t i = 0; i < number; i++)
		close(crew->processes[i].pipe);
	bkc_client_host_watch(&shared->stop);

	if (work(crew->spec, shared, &worker, &err))
	{
		atomic_store(&slot->finished, true);
		_exit(BKC_EXIT_OK);
	}

	slot->error = err;
	slot->place = worker.place;
	atomic_store(&slot->failed, true);

	/* who only followed the word to stop is not the cause */
	if (err.code != BKC_ERR_CANCELLED || !atomic_load(&shared->stop))
		atomic_compare_exchange_strong(&shared->first_failed, &none, number + 1);
	atomic_store(&shared->stop, true);
	_exit(BKC_EXIT_OTHER);
}

/* ---- in the parent ---- */

static void
stop_crew(Crew *crew)
{
	atomic_store(&crew->shared->stop, true);
	if (crew->stopping == 0)
		crew->stopping = bkc_client_clock();
}

/* Keep the first failure that the parent itself has noticed, and stop. */
static void
parent_failed(Crew *crew, BkcPlace place, const BkcError *err)
{
	if (crew->error.code == BKC_OK)
	{
		crew->error = *err;
		crew->place = place;
	}
	stop_crew(crew);
}

static bool
spawn(Crew *crew, size_t number, BkcError *err)
{
	CrewProcess *process = &crew->processes[number];
	pid_t		parent = getpid();
	int			fds[2];

	if (pipe(fds) != 0)
		return bkc_error_os(err, errno, "could not create a pipe");
	process->pid = fork();
	if (process->pid == 0)
	{
		close(fds[0]);
		run_worker(crew, number, fds[1], parent);
	}
	close(fds[1]);
	if (process->pid < 0)
	{
		int			saved_errno = errno;

		process->pid = 0;
		close(fds[0]);
		return bkc_error_os(err, saved_errno, "could not start a worker process");
	}
	process->pipe = fds[0];
	crew->alive++;
	return true;
}

/* Take what has come through a worker's pipe; closes it at its end. */
static void
drain(Crew *crew, CrewProcess *process)
{
	size_t		size = crew->spec->message_size;
	BkcError	err;
	ssize_t		got;

	for (int i = 0; i < DRAIN_BATCH; i++)
	{
		struct pollfd ready = {.fd = process->pipe, .events = POLLIN};
		char		nothing;

		if (process->pipe < 0 || poll(&ready, 1, 0) <= 0)
			return;
		got = size > 0 ? read(process->pipe, process->partial + process->have,
							  size - process->have) : read(process->pipe, &nothing, 1);
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got <= 0)
		{
			close(process->pipe);
			process->pipe = -1;
			return;
		}
		process->have += (size_t) got;
		if (process->have < size || size == 0)
			continue;
		process->have = 0;
		if (crew->spec->message != NULL &&
			!crew->spec->message(crew->spec->arg, process->partial, &err))
			parent_failed(crew, BKC_AT_PROGRAM, &err);
	}
}

/* A worker that ended without leaving its reason. */
static void
note_death(Crew *crew, size_t number, int status)
{
	CrewSlot   *slot = &crew->shared->slots[number];
	BkcError	err;

	if (atomic_load(&slot->failed) || atomic_load(&slot->finished) || crew->killed)
		return;
	if (WIFSIGNALED(status))
		bkc_error_set(&err, BKC_ERR_INTERNAL, "a worker process was ended by signal %d (%s)",
					  WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		bkc_error_set(&err, BKC_ERR_INTERNAL, "a worker process ended with status %d",
					  WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	parent_failed(crew, BKC_AT_PROGRAM, &err);
}

static void
reap(Crew *crew)
{
	for (size_t i = 0; i < crew->n; i++)
	{
		CrewProcess *process = &crew->processes[i];
		int			status;
		pid_t		pid;

		if (process->pid == 0)
			continue;

		/* its pipe is closed: it has nothing left to do but to vanish */
		do
			pid = waitpid(process->pid, &status, process->pipe < 0 ? 0 : WNOHANG);
		while (pid < 0 && errno == EINTR);
		if (pid == 0)
			continue;
		while (process->pipe >= 0)
			drain(crew, process);
		process->pid = 0;
		crew->alive--;
		note_death(crew, i, pid > 0 ? status : 0);
	}
}

static void
wait_for_news(Crew *crew)
{
	struct pollfd *fds = crew->fds;

	for (size_t i = 0; i < crew->n; i++)
	{
		fds[i].fd = crew->processes[i].pipe;
		fds[i].events = POLLIN;
		fds[i].revents = 0;
	}
	if (poll(fds, (nfds_t) crew->n, TICK_MS) <= 0)
		return;
	for (size_t i = 0; i < crew->n; i++)
	{
		if (fds[i].revents != 0)
			drain(crew, &crew->processes[i]);
	}
}

/*
 * A killed process that sits in an uninterruptible system call (a sync on a
 * dead disk) goes when that returns, and does nothing more until then.  The
 * user who pressed Ctrl-C does not wait for it.
 */
static void
abandon(Crew *crew)
{
	if (bkc_client_clock() - crew->stopping < ABANDON_USEC)
		return;
	for (size_t i = 0; i < crew->n; i++)
		crew->processes[i].pid = 0;
	crew->alive = 0;
}

static void
enforce_stop(Crew *crew)
{
	if (bkc_host->cancelled() || atomic_load(&crew->shared->stop))
		stop_crew(crew);
	if (crew->stopping == 0 || bkc_client_clock() - crew->stopping < GRACE_USEC)
		return;
	if (crew->killed)
	{
		abandon(crew);
		return;
	}
	crew->killed = true;
	for (size_t i = 0; i < crew->n; i++)
	{
		if (crew->processes[i].pid > 0)
			kill(crew->processes[i].pid, SIGKILL);
	}
}

static void
sum_up(const Crew *crew, BkcCrewCounts *counts)
{
	memset(counts, 0, sizeof(*counts));
	for (size_t i = 0; i < crew->n; i++)
	{
		const BkcCrewTally *tally = &crew->shared->slots[i].tally;

		counts->files += atomic_load(&tally->files);
		counts->bytes += atomic_load(&tally->bytes);
		counts->stored += atomic_load(&tally->stored);
	}
}

/*
 * The cause: what a worker found first, then what the parent noticed.  A
 * cancel that came from outside is the cause of everything after it.
 */
static bool
verdict(Crew *crew, BkcPlace *place, BkcError *err)
{
	size_t		first = atomic_load(&crew->shared->first_failed);

	if (first > 0)
	{
		*err = crew->shared->slots[first - 1].error;
		*place = crew->shared->slots[first - 1].place;

		/* a terminal's Ctrl-C may reach a worker first: where it was does not matter */
		if (err->code == BKC_ERR_CANCELLED)
			*place = BKC_AT_PROGRAM;
		return false;
	}
	if (crew->error.code != BKC_OK)
	{
		*err = crew->error;
		*place = crew->place;
		return false;
	}
	*place = BKC_AT_PROGRAM;
	if (!bkc_host_check(err))
		return false;
	if (crew->stopping != 0)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "the worker processes stopped without a reason");
	return true;
}

static bool
crew_init(Crew *crew, const BkcCrewSpec *spec, BkcError *err)
{
	memset(crew, 0, sizeof(*crew));
	crew->spec = spec;
	crew->n = spec->jobs < spec->nitems ? spec->jobs : spec->nitems;
	crew->shared_size = sizeof(CrewShared) + crew->n * sizeof(CrewSlot);
	crew->shared = mmap(NULL, crew->shared_size, PROT_READ | PROT_WRITE,
						MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (crew->shared == MAP_FAILED)
	{
		crew->shared = NULL;
		return bkc_error_os(err, errno, "could not map shared memory");
	}
	crew->processes = calloc(crew->n + 1, sizeof(CrewProcess));
	crew->fds = calloc(crew->n + 1, sizeof(struct pollfd));
	if (crew->processes == NULL || crew->fds == NULL)
		return bkc_error_oom(err);
	for (size_t i = 0; i < crew->n; i++)
	{
		crew->processes[i].pipe = -1;
		crew->processes[i].partial = malloc(spec->message_size + 1);
		if (crew->processes[i].partial == NULL)
			return bkc_error_oom(err);
	}
	return true;
}

static void
crew_free(Crew *crew)
{
	for (size_t i = 0; crew->processes != NULL && i < crew->n; i++)
	{
		if (crew->processes[i].pipe >= 0)
			close(crew->processes[i].pipe);
		free(crew->processes[i].partial);
	}
	free(crew->processes);
	free(crew->fds);
	if (crew->shared != NULL)
		munmap(crew->shared, crew->shared_size);
}

bool
bkc_crew_run(const BkcCrewSpec *spec, BkcCrewCounts *counts, BkcPlace *place, BkcError *err)
{
	Crew		crew;
	BkcError	spawn_err;
	bool		ok;

	memset(counts, 0, sizeof(*counts));
	*place = BKC_AT_PROGRAM;
	ok = crew_init(&crew, spec, err);
	if (!ok)
		goto done;

	fflush(NULL);				/* or each child would print it once more */
	for (size_t i = 0; i < crew.n && crew.stopping == 0; i++)
	{
		if (!spawn(&crew, i, &spawn_err))
			parent_failed(&crew, BKC_AT_PROGRAM, &spawn_err);
	}
	while (crew.alive > 0)
	{
		wait_for_news(&crew);
		enforce_stop(&crew);
		reap(&crew);
		sum_up(&crew, counts);
		if (spec->tick != NULL)
			spec->tick(spec->arg, counts);
	}
	sum_up(&crew, counts);
	ok = verdict(&crew, place, err);

done:
	crew_free(&crew);
	return ok;
}
