/*
 * walget_prefetch.c
 *		The process in the background that fetches the next segments.
 *
 * It belongs to nobody: wal-get has ended long before.  So it ends by itself:
 * when its segments are there, when the server that asked is gone or has
 * left recovery, when the spool is removed, and after five minutes at the
 * latest.  Its heavy work is done by children; it only plans and watches them,
 * and it always ends with status 0: in a container the server itself
 * may be process 1 and inherit it, and a server takes a child that dies for a
 * crash of its own.
 */
#include "walget.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/host.h"
#include "base/text.h"

#include "crew.h"
#include "host.h"

#define LIFE_SECONDS	300
#define PREFETCH_JOBS		4
#define FDS_MAX			1024	/* where the system cannot close ranges */

typedef struct Prefetch
{
	BkcWalGet  *w;
	long		server;
	uint64_t	first;			/* segment numbers: first, ... first + n - 1 */
	size_t		n;
	unsigned char *there;		/* BKC_WAL_X; n for each repository */
	size_t	   *items;			/* what to fetch, offsets from first */
	size_t		nitems;
} Prefetch;

/* ---- the server ---- */

static bool
is_there(const BkcWalGet *w, const char *name)
{
	char		path[PATH_MAX];
	struct stat st;

	return (size_t) snprintf(path, sizeof(path), "%s/%s", w->data_dir, name) < sizeof(path) &&
		stat(path, &st) == 0;
}

/*
 * Our parent may be a shell that has ended already; the lock file of the
 * data directory knows the server.  Its first line is the process, negative in single-user mode.
 */
long
bkc_walget_server(const BkcWalGet *w)
{
	char		path[PATH_MAX];
	char		line[32];
	BkcError	ignored;
	uint64_t	pid;
	char	   *digits = line;
	size_t		got;
	bool		ok;
	int			fd;

	if ((size_t) snprintf(path, sizeof(path), "%s/postmaster.pid", w->data_dir) >= sizeof(path))
		return 0;
	fd = bkc_file_open_read(path, &ignored);
	if (fd < 0)
		return 0;
	ok = bkc_file_pread(fd, path, line, sizeof(line) - 1, 0, &got, &ignored);
	close(fd);
	if (!ok)
		return 0;
	line[got] = '\0';
	line[strcspn(line, "\n")] = '\0';
	if (*digits == '-')
		digits++;
	if (!bkc_parse_u64(digits, INT32_MAX, &pid) || pid == 0 ||
		(kill((pid_t) pid, 0) != 0 && errno == ESRCH))
		return 0;
	return is_there(w, "recovery.signal") || is_there(w, "standby.signal") ? (long) pid : 0;
}

/* ---- what to fetch ---- */

static void
segment_name(const Prefetch *p, size_t offset, char out[BKC_WAL_NAME_MAX])
{
	bkc_wal_segment_name(p->w->timeline, p->first + offset, p->w->segment_size, out);
}

/* Not past the end of what is served, and at most half of the space that is free. */
static void
limit(Prefetch *p)
{
	const BkcWalGet *w = p->w;
	struct statvfs vfs;
	uint64_t	end = bkc_walget_end(w);
	uint64_t	room;

	if (w->fork < end)
		end = w->fork;
	if (end != UINT64_MAX)
	{
		uint64_t	whole = end / w->segment_size;

		if (whole <= p->first)
			p->n = 0;
		else if (whole - p->first < p->n)
			p->n = (size_t) (whole - p->first);
	}
	if (statvfs(w->spool, &vfs) != 0 ||
		__builtin_mul_overflow((uint64_t) vfs.f_bavail, (uint64_t) vfs.f_frsize, &room))
		return;
	room = room / 2 / w->segment_size;
	if (room < p->n)
		p->n = (size_t) room;
}

/* What one repository has; one that does not answer has nothing. */
static void
list_repo(Prefetch *p, size_t repo)
{
	uint64_t	per_log = (UINT64_C(1) << 32) / p->w->segment_size;
	uint64_t	last = (p->first + p->n - 1) / per_log;
	BkcSession	session;
	BkcError	ignored;
	bool		ok = bkc_walget_open(p->w, repo, &session, &ignored);

	for (uint64_t log = p->first / per_log; ok && log <= last; log++)
		ok = bkc_walget_list(p->w, &session, (uint32_t) log, p->first,
							 p->there + repo * p->n, p->n, &ignored);
	bkc_session_close(&session);
}

static bool
is_anywhere(const Prefetch *p, size_t offset)
{
	for (size_t repo = 0; repo < p->w->nrepos; repo++)
	{
		if (p->there[repo * p->n + offset] != 0)
			return true;
	}
	return false;
}

static bool
plan(Prefetch *p)
{
	char		file[BKC_WAL_NAME_MAX];

	limit(p);
	if (p->n == 0)
		return false;
	p->there = calloc(p->w->nrepos, p->n);
	p->items = calloc(p->n, sizeof(size_t));
	if (p->there == NULL || p->items == NULL)
		return false;
	for (size_t repo = 0; repo < p->w->nrepos; repo++)
		list_repo(p, repo);
	for (size_t i = 0; i < p->n && is_anywhere(p, i); i++)
	{
		segment_name(p, i, file);
		if (!bkc_walspool_has(p->w, file))
			p->items[p->nitems++] = i;
	}
	return p->nitems > 0;
}

/* ---- the children ---- */

typedef struct Worker
{
	Prefetch   *p;
	BkcSession *sessions;		/* opened when they are needed */
} Worker;

static bool
worker_start(void *arg, BkcCrewWorker *crew_worker, void **state, BkcError *err)
{
	Prefetch   *p = arg;
	Worker	   *worker = calloc(1, sizeof(Worker));

	*state = worker;
	if (worker == NULL)
		return bkc_error_oom(err);
	worker->p = p;
	worker->sessions = calloc(p->w->nrepos, sizeof(BkcSession));
	return worker->sessions != NULL || bkc_error_oom(err);
}

static bool
fetch(Worker *worker, size_t repo, const char *file, bool conflict, BkcError *err)
{
	BkcWalGet  *w = worker->p->w;
	BkcSession *session = &worker->sessions[repo];
	char		path[PATH_MAX];

	if (session->store == NULL && !bkc_walget_open(w, repo, session, err))
	{
		bkc_session_close(session);
		return false;
	}
	if (!bkc_walspool_path(w, file, path))
		return bkc_error_set(err, BKC_ERR_INVALID, "path \"%s\" is too long", w->spool);
	return bkc_walget_segment(w, session, file, path, conflict, err);
}

/* A segment that cannot be had is not our business: who needs it will hear why. */
static bool
worker_item(void *state, size_t item, BkcCrewWorker *crew_worker, BkcError *err)
{
	Worker	   *worker = state;
	Prefetch   *p = worker->p;
	char		file[BKC_WAL_NAME_MAX];

	segment_name(p, p->items[item], file);
	if (!bkc_fault(BKC_FAULT_WALGET_PREFETCH, err))
		return false;
	for (size_t repo = 0; repo < p->w->nrepos; repo++)
	{
		unsigned char there = p->there[repo * p->n + p->items[item]];

		if (there == 0)
			continue;
		if (fetch(worker, repo, file, there == BKC_WAL_CONFLICT, err))
			return true;

		/* the spool is gone or its disk full: nothing more to do */
		if (p->w->target_failed || err->code == BKC_ERR_CANCELLED)
			return false;
	}
	return true;
}

static void
worker_finish(void *state)
{
	Worker	   *worker = state;

	if (worker == NULL)
		return;
	for (size_t i = 0; worker->sessions != NULL && i < worker->p->w->nrepos; i++)
		bkc_session_close(&worker->sessions[i]);
	free(worker->sessions);
	free(worker);
}

/* ---- the process ---- */

static void
watch_server(void *arg, const BkcCrewCounts *counts)
{
	const Prefetch *p = arg;

	if (bkc_walget_server(p->w) != p->server)
		raise(SIGTERM);
}

/* Holding on to nothing of the server's: neither its log's pipe nor its files. */
static int
detach(int lock)
{
	struct sigaction action;
	int			null;
	int			fd;

	setsid();
	lock = fcntl(lock, F_DUPFD_CLOEXEC, 3);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (fd = 0; fd < 3; fd++)
	{
		if (null < 0 || dup2(null, fd) < 0)
			return -1;
	}
	if (lock < 0 || dup2(lock, 3) < 0)
		return -1;
	if (syscall(SYS_close_range, 4U, ~0U, 0) != 0)
	{
		for (fd = 4; fd < FDS_MAX; fd++)
			close(fd);
	}

	/* the end of its life comes like any other word to stop */
	sigaction(SIGTERM, NULL, &action);
	sigaction(SIGALRM, &action, NULL);
	alarm(LIFE_SECONDS);
	return 3;
}

/* For whoever wants to see it. */
static void
note_process(int lock)
{
	char		text[32];
	int			len = snprintf(text, sizeof(text), "%ld\n", (long) getpid());
	BkcError	ignored;

	if (ftruncate(lock, 0) == 0)
		(void) bkc_file_write(lock, "lock", text, (size_t) len, &ignored);
}

static void
run(BkcWalGet *w, int lock, long server)
{
	Prefetch	p = {.w = w, .server = server, .n = w->prefetch};
	BkcCrewSpec spec = {
		.start = worker_start,
		.item = worker_item,
		.finish = worker_finish,
		.tick = watch_server,
		.arg = &p
	};
	BkcCrewCounts counts;
	BkcPlace	place;
	BkcError	ignored;
	uint32_t	timeline;

	lock = detach(lock);
	if (lock < 0)
		return;
	note_process(lock);
	bkc_walspool_tidy(w);
	if (!bkc_wal_segment_parse(w->file, w->segment_size, &timeline, &p.first))
		return;
	p.first++;
	if (bkc_walget_part(w, false, &ignored) && plan(&p) &&
		bkc_option_jobs(w->options, &spec.jobs, &ignored))
	{
		if (spec.jobs > PREFETCH_JOBS)
			spec.jobs = PREFETCH_JOBS;
		spec.nitems = p.nitems;
		(void) bkc_crew_run(&spec, &counts, &place, &ignored);
	}
	free(p.there);
	free(p.items);
	if (bkc_walget_server(w) != server)
		bkc_walspool_clear(w);
	else
		bkc_walspool_tidy(w);
}

void
bkc_walget_prefetch(BkcWalGet *w)
{
	long		server;
	int			lock;
	pid_t		pid;

	if (w->prefetching || w->spool[0] == '\0' || w->segment_size == 0)
		return;
	w->prefetching = true;
	if (2 * bkc_walspool_trim(w) >= w->prefetch)
		return;
	server = bkc_walget_server(w);
	if (server == 0)
		return;
	lock = bkc_walspool_lock(w);
	if (lock < 0)
		return;
	fflush(NULL);				/* or the child would print it once more */
	pid = fork();
	if (pid == 0)
	{
		run(w, lock, server);
		_exit(BKC_EXIT_OK);
	}
	close(lock);				/* a child that there is keeps the lock */
}
