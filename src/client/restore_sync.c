/*
 * restore_sync.c
 *		Everything that a restore has written, to disk.
 *
 * One syncfs(2) for a file system is many times faster than one fsync for
 * each of thousands of files, and the file stage has started write-back long
 * before.  It counts only where its answer can be trusted: Linux reports
 * write errors through it since 5.8, to descriptors that were opened before
 * the error (our folders' were opened before the first file), and only disk
 * file systems are known to pass it on.  Elsewhere every file and folder is
 * synced by itself.
 *
 * Worker processes do it, because neither call can be interrupted, and
 * Ctrl-C shall not have to wait for a slow disk.
 */
#include "restore_sync.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/host.h"

#include "crew.h"

/* f_type of ext2 to ext4, xfs, btrfs, f2fs, tmpfs (statfs(2)) */
static const unsigned long trusted_types[] = {
	0xEF53, 0x58465342, 0x9123683E, 0xF2F52010, 0x01021994
};

static bool
kernel_reports_errors(void)
{
	struct utsname name;
	int			major;
	int			minor;

	return uname(&name) == 0 && sscanf(name.release, "%d.%d", &major, &minor) == 2 &&
		(major > 5 || (major == 5 && minor >= 8));
}

static bool
syncfs_suffices(int fd)
{
	struct statfs fs;

	if (!kernel_reports_errors() || fstatfs(fd, &fs) != 0)
		return false;
	for (size_t i = 0; i < sizeof(trusted_types) / sizeof(trusted_types[0]); i++)
	{
		if ((unsigned long) fs.f_type == trusted_types[i])
			return true;
	}
	return false;
}

static bool
sync_path(const char *path, bool folder, BkcError *err)
{
	bool		ok;
	int			fd;

	if (folder)
		return bkc_dir_fsync(path, err);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == EACCES)
		fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return bkc_error_os(err, errno, "could not open file \"%s\"", path);
	ok = bkc_file_fsync(fd, path, err);
	close(fd);
	return ok;
}

/* File by file; folders after what is in them. */
static bool
sync_tree(const char *path, BkcError *err)
{
	char	   *const paths[] = {(char *) path, NULL};
	FTS		   *walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	FTSENT	   *entry;
	bool		ok = true;

	if (walk == NULL)
		return bkc_error_os(err, errno, "could not read folder \"%s\"", path);
	errno = 0;
	while (ok && (entry = fts_read(walk)) != NULL)
	{
		if (entry->fts_info == FTS_F || entry->fts_info == FTS_DP)
			ok = bkc_host_check(err) &&
				sync_path(entry->fts_accpath, entry->fts_info == FTS_DP, err);
		else if (entry->fts_info == FTS_ERR || entry->fts_info == FTS_DNR ||
				 entry->fts_info == FTS_NS)
			ok = bkc_error_os(err, entry->fts_errno, "could not read \"%s\"", entry->fts_path);
		errno = 0;
	}
	if (ok && errno != 0)
		ok = bkc_error_os(err, errno, "could not read folder \"%s\"", path);
	fts_close(walk);
	return ok;
}

/* Has another folder's syncfs done this one? */
static bool
done_by_another(const BkcRestore *r, size_t index)
{
	struct stat here;
	struct stat other;

	if (fstat(r->dirs[index].fd, &here) != 0)
		return false;
	for (size_t i = 0; i < index; i++)
	{
		if (fstat(r->dirs[i].fd, &other) == 0 && other.st_dev == here.st_dev)
			return true;
	}
	return false;
}

static bool
sync_start(void *arg, BkcCrewWorker *worker, void **state, BkcError *err)
{
	*state = arg;
	worker->place = BKC_AT_TARGET;
	return true;
}

static bool
sync_item(void *state, size_t item, BkcCrewWorker *worker, BkcError *err)
{
	const BkcRestore *r = state;
	const BkcPlaceDir *dir = &r->dirs[item];

	if (!syncfs_suffices(dir->fd))
		return sync_tree(dir->path, err);
	if (done_by_another(r, item))
		return true;
	if (syncfs(dir->fd) != 0)
		return bkc_error_os(err, errno, "could not sync the file system of \"%s\"", dir->path);
	return true;
}

static void
sync_finish(void *state)
{
}

bool
bkc_restore_sync(BkcRestore *r, BkcError *err)
{
	BkcCrewSpec spec = {
		.jobs = r->jobs,
		.nitems = r->ndirs,
		.start = sync_start,
		.item = sync_item,
		.finish = sync_finish,
		.arg = r
	};
	BkcCrewCounts counts;

	return bkc_crew_run(&spec, &counts, &r->place, err);
}
