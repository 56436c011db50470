/*
 * restore_begin.c
 *		The first things that a restore writes: markers, and clearing.
 *
 * The marker file in PGDATA is written before anything else and tells an
 * unfinished restore from everything else that a folder may hold; a lock on it
 * keeps two restores apart.  A tablespace's folder gets one too, which names
 * the PGDATA that it belongs to.
 */
#include "restore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/host.h"

bool
bkc_restore_lock(BkcRestore *r, BkcError *err)
{
	char	   *path = bkc_path_join(r->dirs[0].path, BKC_RESTORE_MARKER, err);
	int			fd;
	bool		ok = false;

	if (path == NULL)
		return false;
	fd = bkc_file_open_read(path, err);
	if (fd < 0)
		goto done;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
	{
		if (errno == EWOULDBLOCK)
			bkc_error_set(err, BKC_ERR_STATE, "another restore is at work in \"%s\"", r->dirs[0].path);
		else
			bkc_error_os(err, errno, "could not lock file \"%s\"", path);
		close(fd);
		goto done;
	}
	if (r->marker_fd >= 0)
		close(r->marker_fd);
	r->marker_fd = fd;
	ok = true;

done:
	free(path);
	return ok;
}

static bool
put_marker(BkcRestore *r, const BkcPlaceDir *dir, bool replace, BkcError *err)
{
	BkcBuffer	text = {0};
	char	   *path = bkc_path_join(dir->path, BKC_RESTORE_MARKER, err);
	bool		ok = path != NULL;

	/* "pgdata" is what marker_is_ours() looks for */
	ok = ok && bkc_buffer_printf(&text, err,
								 "This folder holds an unfinished restore of pg_backupctl and cannot be started.\n"
								 "backup %s\npgdata %s\n", r->backup->header.label, r->dirs[0].path) &&
		bkc_file_put(path, text.data, text.len, 0600, replace, err);
	if (!ok && path != NULL && err->code == BKC_ERR_EXISTS)
		bkc_error_set(err, BKC_ERR_STATE, "another restore has just begun in \"%s\"", dir->path);
	bkc_buffer_free(&text);
	free(path);
	return ok;
}

/* Remove a file below a folder, durably; missing is fine. */
static bool
remove_durably(const char *dir, const char *folder, const char *name, BkcError *err)
{
	char	   *path = bkc_path_join(dir, folder, err);
	int			fd = -1;
	bool		ok = false;

	if (path == NULL)
		return false;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
	{
		ok = errno == ENOENT || bkc_error_os(err, errno, "could not open folder \"%s\"", path);
		goto done;
	}
	if (unlinkat(fd, name, 0) == 0)
		ok = bkc_file_fsync(fd, path, err);
	else
		ok = errno == ENOENT || bkc_error_os(err, errno, "could not remove \"%s/%s\"", path, name);

done:
	if (fd >= 0)
		close(fd);
	free(path);
	return ok;
}

static bool
remove_entry(const char *dir, const char *name, BkcError *err)
{
	char	   *path = bkc_path_join(dir, name, err);
	struct stat st;
	bool		ok = false;

	if (path == NULL)
		return false;
	if (lstat(path, &st) != 0)
		ok = errno == ENOENT || bkc_error_os(err, errno, "could not stat \"%s\"", path);
	else if (S_ISDIR(st.st_mode))
		ok = bkc_dir_remove_tree(path, false, err);
	else
		ok = unlink(path) == 0 || bkc_error_os(err, errno, "could not remove \"%s\"", path);
	free(path);
	return ok;
}

/* One pass: removed counts what was there. */
static bool
clear_pass(const char *path, size_t *removed, BkcError *err)
{
	DIR		   *handle = opendir(path);
	struct dirent *entry;
	bool		ok = true;

	*removed = 0;
	if (handle == NULL)
		return bkc_error_os(err, errno, "could not open folder \"%s\"", path);
	for (errno = 0; ok && (entry = readdir(handle)) != NULL; errno = 0)
	{
		const char *name = entry->d_name;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
			strcmp(name, BKC_RESTORE_MARKER) == 0)
			continue;
		ok = bkc_host_check(err) && remove_entry(path, name, err);
		(*removed)++;
	}
	if (ok && errno != 0)
		ok = bkc_error_os(err, errno, "could not read folder \"%s\"", path);
	closedir(handle);
	return ok;
}

/*
 * Remove what is in a folder, except the marker.  Reading a folder while it
 * shrinks may miss entries on some file systems, so until a pass finds none:
 * a standby.signal left behind would change what the restored cluster is.
 */
static bool
clear_folder(const char *path, BkcError *err)
{
	size_t		removed;

	do
	{
		if (!clear_pass(path, &removed, err))
			return false;
	} while (removed > 0);
	return true;
}

static bool
open_dir(BkcPlaceDir *dir, BkcError *err)
{
	dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir->fd < 0)
		return bkc_error_os(err, errno, "could not open folder \"%s\"", dir->path);
	if (fchmod(dir->fd, 0700) != 0)
		return bkc_error_os(err, errno, "could not set permissions of folder \"%s\"", dir->path);
	return true;
}

/*
 * pg_control goes first when a data directory is replaced: what is left half
 * removed cannot be started either.
 */
static bool
begin_pgdata(BkcRestore *r, BkcError *err)
{
	BkcPlaceDir *dir = &r->dirs[0];

	if (!bkc_dir_create(dir->path, 0700, err) ||
		!put_marker(r, dir, r->marker_fd >= 0, err))
		return false;
	r->begun = true;
	if (!bkc_restore_lock(r, err) || !bkc_fault(BKC_FAULT_RESTORE_MARKED, err))
		return false;
	if (r->replace &&
		(!remove_durably(dir->path, "global", "pg_control", err) ||
		 !remove_durably(dir->path, "global", "pg_control.restoring", err) ||
		 !clear_folder(dir->path, err)))
		return false;
	return open_dir(dir, err);
}

bool
bkc_restore_begin(BkcRestore *r, BkcError *err)
{
	r->place = BKC_AT_TARGET;
	if (!begin_pgdata(r, err))
		return false;
	for (size_t i = 1; i < r->ndirs; i++)
	{
		BkcPlaceDir *dir = &r->dirs[i];

		if (!bkc_dir_create(dir->path, 0700, err) ||
			!put_marker(r, dir, dir->resume, err) ||
			(dir->resume && !clear_folder(dir->path, err)) ||
			!open_dir(dir, err))
			return bkc_error_context(err, "tablespace %u", dir->oid);
	}
	return true;
}

void
bkc_restore_close(BkcRestore *r)
{
	for (size_t i = 0; i < r->ndirs; i++)
	{
		if (r->dirs[i].fd >= 0)
			close(r->dirs[i].fd);
		r->dirs[i].fd = -1;
	}
	if (r->marker_fd >= 0)
		close(r->marker_fd);
	r->marker_fd = -1;
}
