/*
 * write.c
 *		Writing an object: a temporary name in the object's folder, synced,
 *		then linked to the final name.
 *
 * A crash at any moment leaves a temporary file that nobody lists and sweep
 * removes, or the whole object.  link(2) never replaces, so of two writers of
 * one name exactly one wins.
 */
#include "store/file/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/host.h"
#include "base/text.h"

/*
 * Write-back is started in steps, so that the disk works while the next
 * bytes are made and the final fsync is short.  What lies KEEP behind is
 * on disk by then; it is dropped from the page cache, which belongs to the
 * server's own files.
 */
#define WRITEBACK_STEP		((uint64_t) 8 << 20)
#define WRITEBACK_KEEP		((uint64_t) 32 << 20)

#define WRITE_MAX			((size_t) 8 << 20)	/* bytes a call; cancel is asked in between */
#define MAKE_ATTEMPTS		500
#define MAKE_AT_ONCE		20	/* then with a pause in between: somebody removes in a loop */
#define TMP_RANDOM			8	/* bytes */
#define TICK				20000	/* microseconds */

typedef struct FileWriter
{
	BkcWriter	base;
	BkcFileStore *store;
	char	   *name;			/* full name */
	const char *last;			/* its last component */
	BkcFileDir	dir;
	int			fd;
	bool		have_tmp;		/* the temporary name exists */
	bool		committed;
	char		tmp[sizeof(BKC_STORE_TMP_PREFIX) + 2 * TMP_RANDOM];
	uint64_t	size;
	int64_t		last_write;		/* when the last bytes were about to be written */
	uint64_t	started;		/* write-back was started up to here */
	uint64_t	dropped;		/* the page cache was given back up to here */
} FileWriter;

/*
 * Create the temporary file.  Somebody who removes the last object of a
 * folder also removes the folder, perhaps between our making it and our
 * using it: then it is made again.
 */
static bool
create_tmp(FileWriter *w, BkcError *err)
{
	const char *last;

	for (int i = 0; i < MAKE_ATTEMPTS; i++)
	{
		uint8_t		random[TMP_RANDOM];
		char		hex[2 * TMP_RANDOM + 1];

		if (i >= MAKE_AT_ONCE)
			bkc_host->wait(1);
		if (!bkc_host_check(err) || !bkc_random(random, sizeof(random), err))
			return false;
		bkc_hex_encode(random, sizeof(random), hex);
		snprintf(w->tmp, sizeof(w->tmp), "%s%s", BKC_STORE_TMP_PREFIX, hex);

		bkc_file_dir_close(&w->dir);
		if (!bkc_file_dir_make(w->store, w->name, &w->dir, &last, err))
		{
			if (err->os_errno == ENOENT)
				continue;
			return false;
		}
		w->last = last;
		w->fd = openat(w->dir.dir, w->tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
					   BKC_FILE_OBJECT_MODE);
		if (w->fd >= 0)
		{
			w->have_tmp = true;
			return true;
		}
		if (errno != ENOENT && errno != EEXIST && errno != EINTR)
			return bkc_file_error(w->store, "create", w->name, errno, err);
	}
	return bkc_error_set(err, BKC_ERR_STATE, "could not create object \"%s\" in repository \"%s\": "
						 "its folder vanished again and again", w->name, w->store->base.location);
}

static bool
start_writeback(FileWriter *w, BkcError *err)
{
	uint64_t	len = (w->size - w->started) / WRITEBACK_STEP * WRITEBACK_STEP;

	if (len == 0)
		return true;

	/*
	 * An error of the disk may be reported here and then not again by fsync.
	 * Only "there is no such call for this file" can be passed over.
	 */
	if (sync_file_range(w->fd, (off_t) w->started, (off_t) len, SYNC_FILE_RANGE_WRITE) != 0 &&
		errno != ENOSYS && errno != EINVAL && errno != ESPIPE && errno != EOPNOTSUPP &&
		errno != EINTR)
		return bkc_file_error(w->store, "write", w->name, errno, err);
	w->started += len;

	if (w->started - w->dropped >= 2 * WRITEBACK_KEEP)
	{
		uint64_t	upto = w->started - WRITEBACK_KEEP;

		/* advice only: pages that are not on disk yet stay */
		(void) posix_fadvise(w->fd, (off_t) w->dropped, (off_t) (upto - w->dropped),
							 POSIX_FADV_DONTNEED);
		w->dropped = upto;
	}
	return true;
}

static bool
file_write(BkcWriter *writer, const void *data, size_t len, BkcError *err)
{
	FileWriter *w = (FileWriter *) writer;
	const char *p = data;

	while (len > 0)
	{
		ssize_t		n;
		int			saved_errno;

		w->last_write = bkc_host->now();
		bkc_host->wait_event(BKC_WAIT_STORE_WRITE);
		n = write(w->fd, p, len < WRITE_MAX ? len : WRITE_MAX);
		saved_errno = errno;
		bkc_host->wait_event(BKC_WAIT_NONE);
		if (n < 0 && saved_errno != EINTR)
			return bkc_file_error(w->store, "write", w->name, saved_errno, err);
		if (n > 0)
		{
			p += n;
			len -= (size_t) n;
			w->size += (uint64_t) n;
			if (!start_writeback(w, err))
				return false;
		}
		if (len > 0 && !bkc_host_check(err))
			return false;
	}
	return true;
}

/* Is the object of the final name our file?  (NFS says "exists" when a link's reply was lost.) */
static bool
is_ours(const FileWriter *w)
{
	struct stat mine;
	struct stat there;

	return fstat(w->fd, &mine) == 0 &&
		fstatat(w->dir.dir, w->last, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
		mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
}

/* Give the file its final name, which must be free. */
static bool
take_name(FileWriter *w, BkcError *err)
{
	int			saved_errno;

	if (linkat(w->dir.dir, w->tmp, w->dir.dir, w->last, 0) == 0 || (errno == EEXIST && is_ours(w)))
	{
		/* a temporary name that stays is swept some day */
		(void) unlinkat(w->dir.dir, w->tmp, 0);
		w->have_tmp = false;
		return true;
	}
	saved_errno = errno;
	if (saved_errno == EPERM || saved_errno == EOPNOTSUPP || saved_errno == ENOSYS ||
		saved_errno == EMLINK)
	{
		/* no hard links here (FAT, some network and FUSE file systems) */
		if (renameat2(w->dir.dir, w->tmp, w->dir.dir, w->last, RENAME_NOREPLACE) == 0)
		{
			w->have_tmp = false;
			return true;
		}
		if (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)
		{
			bkc_error_set(err, BKC_ERR_UNSUPPORTED, "the file system of repository \"%s\" has "
						  "neither hard links nor renaming that never replaces",
						  w->store->base.location);
			return bkc_error_hint(err, "Keep the repository on another file system.");
		}
		saved_errno = errno;
	}
	if (saved_errno == ENOENT)
		return bkc_error_set(err, BKC_ERR_STATE,
							 "object \"%s\" in repository \"%s\" was removed while it was written",
							 w->name, w->store->base.location);
	if (saved_errno != EEXIST)
		return bkc_file_error(w->store, "name", w->name, saved_errno, err);

	/* whoever was faster may still be about to sync the folder; callers rely on "exists" */
	if (!bkc_file_dir_sync(w->store, w->name, &w->dir, err))
		return false;
	return bkc_error_os(err, EEXIST, "object \"%s\" exists already in repository \"%s\"",
						w->name, w->store->base.location);
}

static bool
sync_file(FileWriter *w, BkcError *err)
{
	int			saved_errno;
	int			rc;

	bkc_host->wait_event(BKC_WAIT_STORE_SYNC);
	do
		rc = fsync(w->fd);
	while (rc != 0 && errno == EINTR);
	saved_errno = errno;
	bkc_host->wait_event(BKC_WAIT_NONE);
	if (rc != 0)
		return bkc_file_error(w->store, "sync", w->name, saved_errno, err);
	(void) posix_fadvise(w->fd, (off_t) w->dropped, 0, POSIX_FADV_DONTNEED);
	return true;
}

/* A file server stamps files by its own clock, the kernel with the time of the last tick. */
static void
note_clock(FileWriter *w)
{
	struct stat st;

	if (w->last_write != 0 && fstat(w->fd, &st) == 0)
		bkc_store_note_clock(&w->store->base,
							 (int64_t) st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000,
							 TICK, w->last_write);
}

static bool
file_commit(BkcWriter *writer, BkcError *err)
{
	FileWriter *w = (FileWriter *) writer;

	if (!sync_file(w, err))
		return false;
	note_clock(w);
	if (!take_name(w, err))
		return false;

	/*
	 * From here on the object is visible, so nothing is undone when the
	 * folder cannot be synced: it may have been read already.
	 */
	w->committed = true;
	return bkc_fault(BKC_FAULT_STORE_NAMED, err) &&
		bkc_file_dir_sync(w->store, w->name, &w->dir, err);
}

static void
file_close(BkcWriter *writer)
{
	FileWriter *w = (FileWriter *) writer;

	if (w->fd >= 0)
		close(w->fd);
	if (w->have_tmp)
		(void) unlinkat(w->dir.dir, w->tmp, 0);
	bkc_file_dir_close(&w->dir);
	if (!w->committed && w->name != NULL)
		bkc_file_dir_prune(w->store, w->name);
	free(w->name);
	free(w);
}

static const BkcWriterOps file_writer_ops = {
	.write = file_write,
	.commit = file_commit,
	.close = file_close,
};

bool
bkc_file_open_write(BkcStore *store, const char *name, uint64_t expected_size,
					BkcWriter **writer, BkcError *err)
{
	FileWriter *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return bkc_error_oom(err);
	w->base.ops = &file_writer_ops;
	w->store = (BkcFileStore *) store;
	w->dir = (BkcFileDir) BKC_FILE_DIR_INIT;
	w->fd = -1;
	w->name = strdup(name);
	if (w->name == NULL)
		bkc_error_oom(err);
	else if (create_tmp(w, err))
	{
		*writer = &w->base;
		return true;
	}
	file_close(&w->base);
	return false;
}
