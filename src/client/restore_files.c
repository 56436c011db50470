/*
 * restore_files.c
 *		Folders and files of a backup into their places.
 *
 * The parent makes the folders; workers take units of files and write each
 * by a fresh name without passing through links, with every hash checked on
 * the way.  Any failure ends the restore: there is no such thing as a restore
 * without one file.
 */
#include "restore.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/host.h"

#include "crew.h"

/* ---- a worker ---- */

/* Stands before the file sink and tells failures of the target from those of the repository. */
typedef struct WatchStage
{
	BkcStage	base;
	BkcCrewWorker *worker;
} WatchStage;

typedef struct Filer
{
	BkcRestore *r;
	BkcStore   *store;
	BkcStage   *sink;			/* the file stage; owned by the unpacker */
	BkcUnpacker *unpacker;

	/* the folder of the last file: files of a unit mostly share it */
	int			parent;
	uint32_t	parent_dir;
	const char *parent_rel;
	size_t		parent_len;
} Filer;

static bool
watch_write(BkcStage *stage, const BkcFrame *frame, BkcError *err)
{
	if (bkc_stage_write(stage->next, frame, err))
		return true;
	((WatchStage *) stage)->worker->place = BKC_AT_TARGET;
	return false;
}

static void
watch_close(BkcStage *stage)
{
	bkc_stage_close(stage->next);
	free(stage);
}

static const BkcStageOps watch_ops = {
	.begin = bkc_stage_forward_begin,
	.write = watch_write,
	.end = bkc_stage_forward_end,
	.abort = bkc_stage_forward_abort,
	.close = watch_close
};

static BkcStage *
watch_new(BkcStage *next, BkcCrewWorker *worker, BkcError *err)
{
	WatchStage *self = calloc(1, sizeof(*self));

	if (self == NULL)
	{
		bkc_stage_close(next);
		bkc_error_oom(err);
		return NULL;
	}
	self->base.ops = &watch_ops;
	self->base.next = next;
	self->worker = worker;
	return &self->base;
}

static void
count_bytes(void *arg, uint64_t plain_bytes, uint64_t stored_bytes)
{
	BkcCrewTally *tally = arg;

	atomic_fetch_add_explicit(&tally->bytes, plain_bytes, memory_order_relaxed);
	atomic_fetch_add_explicit(&tally->stored, stored_bytes, memory_order_relaxed);
}

static bool
filer_start(void *arg, BkcCrewWorker *worker, void **state, BkcError *err)
{
	Filer	   *filer = calloc(1, sizeof(*filer));
	BkcStage   *watch;

	*state = filer;
	if (filer == NULL)
		return bkc_error_oom(err);
	filer->r = arg;
	filer->parent = -1;
	if (!bkc_session_another_store(&filer->r->session, &filer->store, err))
		return false;
	filer->sink = bkc_stage_file_new(err);
	if (filer->sink == NULL)
		return false;
	watch = watch_new(filer->sink, worker, err);
	return watch != NULL && bkc_unpacker_new(filer->store, filer->r->backup, watch, count_bytes,
											 worker->tally, &filer->unpacker, err);
}

static void
filer_finish(void *state)
{
	Filer	   *filer = state;

	if (filer == NULL)
		return;
	if (filer->parent >= 0)
		close(filer->parent);
	bkc_unpacker_close(filer->unpacker);
	bkc_store_close(filer->store);
	free(filer);
}

/* Descriptor of the folder that a file goes to; *base is its name there. */
static int
enter_parent(Filer *filer, const BkcPlanned *planned, const char **base, BkcError *err)
{
	const char *slash = strrchr(planned->rel, '/');
	size_t		len = slash != NULL ? (size_t) (slash - planned->rel) : 0;

	if (filer->parent >= 0 && filer->parent_dir == planned->dir && filer->parent_len == len &&
		memcmp(filer->parent_rel, planned->rel, len) == 0 && bkc_path_is_safe(planned->rel))
	{
		*base = slash != NULL ? slash + 1 : planned->rel;
		return filer->parent;
	}
	if (filer->parent >= 0)
		close(filer->parent);
	filer->parent = bkc_path_open_parent(filer->r->dirs[planned->dir].fd, planned->rel, 0700,
										 base, err);
	filer->parent_dir = planned->dir;
	filer->parent_rel = planned->rel;
	filer->parent_len = len;
	return filer->parent;
}

static int
create_file(int parent, const char *base, const char *rel, BkcError *err)
{
	int			fd;

	do
		fd = openat(parent, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		bkc_error_os(err, errno, "could not create file \"%s\"", rel);
	return fd;
}

/* Mode and time as they were; not synced yet, that is done for all at once. */
static bool
finish_file(int fd, const BkcEntry *entry, const char *rel, BkcError *err)
{
	struct timespec times[2] = {{.tv_sec = entry->mtime}, {.tv_sec = entry->mtime}};

	if ((entry->mode & 0777) != 0600 && fchmod(fd, entry->mode & 0777) != 0)
		return bkc_error_os(err, errno, "could not set permissions of file \"%s\"", rel);
	if (futimens(fd, times) != 0)
		return bkc_error_os(err, errno, "could not set the time of file \"%s\"", rel);
	return true;
}

static bool
restore_file(Filer *filer, size_t index, BkcCrewWorker *worker, BkcError *err)
{
	const BkcEntry *entry = &filer->r->backup->entries[index];
	const BkcPlanned *planned = &filer->r->planned[index];
	const char *base;
	int			parent;
	int			fd = -1;
	bool		ok;

	if (planned->dir == BKC_SKIP)
		return true;
	worker->place = BKC_AT_TARGET;
	if (!bkc_fault(BKC_FAULT_RESTORE_FILE, err))
		return false;
	parent = enter_parent(filer, planned, &base, err);
	if (parent >= 0)
		fd = create_file(parent, base, planned->rel, err);
	if (fd < 0)
		return false;

	worker->place = BKC_AT_REPOSITORY;
	bkc_stage_file_target(filer->sink, fd, planned->rel);
	ok = bkc_unpack_file(filer->unpacker, entry, err);
	if (ok)
	{
		worker->place = BKC_AT_TARGET;
		ok = finish_file(fd, entry, planned->rel, err);
	}
	if (ok)
	{
		ok = bkc_file_close(fd, planned->rel, err);
		fd = -1;
	}
	if (fd >= 0)
		close(fd);
	if (ok)
		atomic_fetch_add_explicit(&worker->tally->files, 1, memory_order_relaxed);
	return ok;
}

static bool
filer_item(void *state, size_t item, BkcCrewWorker *worker, BkcError *err)
{
	Filer	   *filer = state;
	const BkcBackup *backup = filer->r->backup;
	const BkcUnit *unit = &backup->units[item];

	for (uint32_t i = 0; i < unit->count; i++)
	{
		if (!bkc_host_check(err) ||
			!restore_file(filer, backup->order[unit->first + i], worker, err))
			return false;
	}
	return true;
}

/* ---- the parent: folders ---- */

static bool
make_folder(BkcRestore *r, const BkcPlanned *planned, mode_t mode, BkcError *err)
{
	const char *base;
	struct stat st;
	int			parent;
	bool		ok = true;

	parent = bkc_path_open_parent(r->dirs[planned->dir].fd, planned->rel, 0700, &base, err);
	if (parent < 0)
		return false;
	if (mkdirat(parent, base, 0700) != 0 &&
		(errno != EEXIST || fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		 !S_ISDIR(st.st_mode)))
		ok = bkc_error_os(err, errno, "could not create folder \"%s\"", planned->rel);
	else if (mode != 0700 && fchmodat(parent, base, mode, 0) != 0)
		ok = bkc_error_os(err, errno, "could not set permissions of folder \"%s\"", planned->rel);
	close(parent);
	return ok;
}

/* qsort has no argument to pass; qsort_r does. */
static int
compare_planned(const void *a, const void *b, void *arg)
{
	const BkcPlanned *planned = arg;
	const BkcPlanned *left = &planned[*(const size_t *) a];
	const BkcPlanned *right = &planned[*(const size_t *) b];

	if (left->dir != right->dir)
		return left->dir < right->dir ? -1 : 1;
	return strcmp(left->rel, right->rel);
}

/* Indexes of all folders to make, parents before what is in them. */
static bool
sort_folders(const BkcRestore *r, size_t **list, size_t *n, BkcError *err)
{
	const BkcBackup *backup = r->backup;

	*n = 0;
	*list = calloc(backup->totals.dirs + 1, sizeof(size_t));
	if (*list == NULL)
		return bkc_error_oom(err);
	for (size_t i = 0; i < backup->nentries; i++)
	{
		if (backup->entries[i].type == BKC_ENTRY_DIR && r->planned[i].dir != BKC_SKIP &&
			*n < backup->totals.dirs)
			(*list)[(*n)++] = i;
	}
	qsort_r(*list, *n, sizeof(size_t), compare_planned, r->planned);
	return true;
}

/* Folders that a server needs, in case the manifest should not list them. */
static bool
make_needed(BkcRestore *r, BkcError *err)
{
	static const char *const needed[] = {"global", "pg_wal", "pg_wal/archive_status", "pg_tblspc"};

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
	{
		BkcPlanned	planned = {.dir = 0, .rel = needed[i]};

		if (!make_folder(r, &planned, r->group_access ? 0750 : 0700, err))
			return false;
	}
	return true;
}

static bool
make_folders(BkcRestore *r, const size_t *list, size_t n, BkcError *err)
{
	if (!make_needed(r, err))
		return false;
	for (size_t i = 0; i < n; i++)
	{
		/* we must be able to write inside; the rest is done at the end */
		mode_t		mode = (r->backup->entries[list[i]].mode & 0777) | 0700;

		if (!bkc_host_check(err) || !make_folder(r, &r->planned[list[i]], mode, err))
			return false;
	}
	return true;
}

/* Modes that would have been in the way; children first. */
static bool
close_folders(BkcRestore *r, const size_t *list, size_t n, BkcError *err)
{
	for (size_t i = n; i > 0; i--)
	{
		mode_t		mode = r->backup->entries[list[i - 1]].mode & 0777;

		if ((mode & 0700) != 0700 && !make_folder(r, &r->planned[list[i - 1]], mode, err))
			return false;
	}
	return true;
}

static void
show_progress(void *arg, const BkcCrewCounts *counts)
{
	BkcRestore *r = arg;

	bkc_progress_show(&r->progress, counts->bytes);
}

/* pg_control lies under its temporary name: it must be one, and of this cluster. */
static bool
read_control(BkcRestore *r, BkcError *err)
{
	BkcBuffer	data = {0};
	bool		ok;

	ok = bkc_restore_get(r, BKC_CONTROL_TEMP, &data, err) &&
		bkc_control_parse(data.data, data.len, &r->control, err);
	if (ok && r->control.system_identifier != r->backup->header.system_identifier)
		ok = bkc_error_set(err, BKC_ERR_CORRUPT, "pg_control in the backup is of cluster %" PRIu64
						   ", not of %" PRIu64, r->control.system_identifier,
						   r->backup->header.system_identifier);
	bkc_buffer_free(&data);
	return ok;
}

bool
bkc_restore_files(BkcRestore *r, BkcError *err)
{
	BkcCrewSpec spec = {
		.jobs = r->jobs,
		.nitems = r->backup->nunits,
		.start = filer_start,
		.item = filer_item,
		.finish = filer_finish,
		.tick = show_progress,
		.arg = r
	};
	BkcCrewCounts counts;
	size_t	   *folders = NULL;
	size_t		n = 0;
	bool		ok;

	r->place = BKC_AT_TARGET;
	ok = sort_folders(r, &folders, &n, err) && make_folders(r, folders, n, err);
	if (ok)
	{
		bkc_progress_begin(&r->progress, "restored", r->plan_bytes);
		ok = bkc_crew_run(&spec, &counts, &r->place, err);
		bkc_progress_end(&r->progress);
	}
	if (ok && (counts.files != r->plan_files || counts.bytes != r->plan_bytes))
		ok = bkc_error_set(err, BKC_ERR_INTERNAL, "restored %" PRIu64 " files with %" PRIu64
						   " bytes instead of %" PRIu64 " files with %" PRIu64 " bytes",
						   counts.files, counts.bytes, r->plan_files, r->plan_bytes);
	if (ok)
	{
		r->place = BKC_AT_TARGET;
		ok = close_folders(r, folders, n, err) && read_control(r, err) &&
			bkc_fault(BKC_FAULT_RESTORE_FILES, err);
	}
	free(folders);
	return ok;
}
