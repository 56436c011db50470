/*
 * dir.c
 *		Folders: creating, inspecting, removing (the bkc_dir_ part of file.h).
 */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Deeper trees are nobody's data directory or repository; each level costs a
 * descriptor.
 */
#define REMOVE_MAX_DEPTH	100

/* Names may be skipped by readdir() while others go; later passes find them. */
#define REMOVE_MAX_PASSES	16

#define OPEN_FOLDER_FLAGS	(O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* path without slashes at its end: "link/" would be followed, "link" is not. */
static char *
trimmed_copy(const char *path, BkcError *err)
{
	size_t		len = strlen(path);
	char	   *copy;

	if (len == 0)
	{
		bkc_error_set(err, BKC_ERR_INVALID, "the name of a folder is empty");
		return NULL;
	}
	while (len > 1 && path[len - 1] == '/')
		len--;
	copy = strndup(path, len);
	if (copy == NULL)
		bkc_error_oom(err);
	return copy;
}

static int
openat_retry(int dirfd, const char *name, int flags)
{
	int			fd;

	do
		fd = openat(dirfd, name, flags);
	while (fd < 0 && errno == EINTR);
	return fd;
}

/*
 * The error for a folder that could not be opened: open(2) tells neither a
 * link nor a file apart.
 */
static bool
open_error(int dirfd, const char *name, int os_errno, const char *path, BkcError *err)
{
	struct stat st;

	if ((os_errno == ENOTDIR || os_errno == ELOOP) &&
		fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
	{
		if (S_ISLNK(st.st_mode))
		{
			bkc_error_set(err, BKC_ERR_INVALID, "\"%s\" is a symbolic link, not a folder", path);
			return bkc_error_hint(err, "Name the folder that it points to.");
		}
		if (!S_ISDIR(st.st_mode))
			return bkc_error_set(err, BKC_ERR_INVALID, "\"%s\" is not a folder", path);
	}
	return bkc_error_os(err, os_errno, "could not open folder \"%s\"", path);
}

/*
 * File systems that cannot sync a folder say EINVAL or EBADF; they order
 * names as well as they can.
 */
static bool
fsync_folder(int fd, const char *path, BkcError *err)
{
	int			rc;

	do
		rc = fsync(fd);
	while (rc != 0 && errno == EINTR);
	if (rc != 0 && errno != EINVAL && errno != EBADF)
		return bkc_error_os(err, errno, "could not fsync folder \"%s\"", path);
	return true;
}

bool
bkc_dir_fsync(const char *path, BkcError *err)
{
	bool		ok;
	int			fd;

	fd = openat_retry(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return open_error(AT_FDCWD, path, errno, path, err);
	ok = fsync_folder(fd, path, err);
	close(fd);
	return ok;
}

/*
 * Create one folder whose parent exists; path ends at len.  Having lost a
 * race against another creator is success.
 */
static bool
create_one(char *path, size_t len, mode_t mode, BkcError *err)
{
	char		saved = path[len];
	size_t		parent = len;
	bool		ok = false;
	int			fd = -1;

	path[len] = '\0';
	if (mkdir(path, mode) != 0)
	{
		ok = errno == EEXIST;
		if (!ok)
			bkc_error_os(err, errno, "could not create folder \"%s\"", path);
		goto done;
	}

	/* The umask may have taken bits away that were asked for. */
	fd = openat_retry(AT_FDCWD, path, OPEN_FOLDER_FLAGS);
	if (fd < 0)
	{
		open_error(AT_FDCWD, path, errno, path, err);
		goto done;
	}
	if (fchmod(fd, mode) != 0 && errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
	{
		bkc_error_os(err, errno, "could not set permissions of folder \"%s\"", path);
		goto done;
	}
	while (parent > 0 && path[parent - 1] != '/')
		parent--;
	while (parent > 1 && path[parent - 1] == '/')
		parent--;
	if (parent == 0)
		ok = bkc_dir_fsync(".", err);
	else
	{
		char		cut = path[parent];

		path[parent] = '\0';
		ok = bkc_dir_fsync(path, err);
		path[parent] = cut;
	}

done:
	if (fd >= 0)
		close(fd);
	path[len] = saved;
	return ok;
}

bool
bkc_dir_create(const char *path, mode_t mode, BkcError *err)
{
	char	   *copy = trimmed_copy(path, err);
	struct stat st;
	size_t		total;
	size_t		pos;
	char		saved;
	bool		ok = false;
	int			fd;

	if (copy == NULL)
		return false;
	total = strlen(copy);
	for (pos = 1; pos <= total; pos++)
	{
		if (pos < total && copy[pos] != '/')
			continue;
		if (copy[pos - 1] == '/')
			continue;
		saved = copy[pos];
		copy[pos] = '\0';

		/* Links on the way are the administrator's; only the last is checked. */
		if (stat(copy, &st) != 0)
		{
			int			os_errno = errno;

			copy[pos] = saved;
			if (os_errno != ENOENT)
			{
				bkc_error_os(err, os_errno, "could not create folder \"%s\"", path);
				goto done;
			}
			if (!create_one(copy, pos, mode, err))
				goto done;
		}
		copy[pos] = saved;
	}
	fd = openat_retry(AT_FDCWD, copy, OPEN_FOLDER_FLAGS);
	if (fd < 0)
	{
		open_error(AT_FDCWD, copy, errno, copy, err);
		goto done;
	}
	close(fd);
	ok = true;

done:
	free(copy);
	return ok;
}

static bool
is_dot_name(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

bool
bkc_dir_state(const char *path, bool *exists, bool *empty, BkcError *err)
{
	char	   *copy = trimmed_copy(path, err);
	struct dirent *entry;
	DIR		   *dir = NULL;
	bool		ok = false;
	int			fd;

	*exists = false;
	*empty = true;
	if (copy == NULL)
		return false;
	fd = openat_retry(AT_FDCWD, copy, OPEN_FOLDER_FLAGS);
	if (fd < 0)
	{
		ok = errno == ENOENT;
		if (!ok)
			open_error(AT_FDCWD, copy, errno, copy, err);
		goto done;
	}
	dir = fdopendir(fd);
	if (dir == NULL)
	{
		bkc_error_os(err, errno, "could not read folder \"%s\"", copy);
		close(fd);
		goto done;
	}
	*exists = true;
	for (;;)
	{
		errno = 0;
		entry = readdir(dir);
		if (entry == NULL)
			break;
		if (!is_dot_name(entry->d_name))
		{
			*empty = false;
			ok = true;
			goto done;
		}
	}
	if (errno != 0)
		bkc_error_os(err, errno, "could not read folder \"%s\"", copy);
	else
		ok = true;

done:
	if (dir != NULL)
		closedir(dir);
	free(copy);
	return ok;
}

static bool remove_contents(int fd, const char *path, int depth, BkcError *err);

/*
 * Remove one name of a folder.  What is a folder now may be a link a moment
 * later: O_NOFOLLOW refuses it then, and unlinkat() never follows.
 */
static bool
remove_entry(int dirfd, const char *dir, const char *name, int depth, BkcError *err)
{
	char	   *path = bkc_path_join(dir, name, err);
	struct stat st;
	bool		ok = false;
	int			fd;

	if (path == NULL)
		return false;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
	{
		ok = errno == ENOENT;
		if (!ok)
			bkc_error_os(err, errno, "could not stat \"%s\"", path);
		goto done;
	}
	if (S_ISDIR(st.st_mode))
	{
		fd = openat_retry(dirfd, name, OPEN_FOLDER_FLAGS);
		if (fd < 0)
		{
			ok = errno == ENOENT;
			if (!ok)
				open_error(dirfd, name, errno, path, err);
			goto done;
		}
		if (!remove_contents(fd, path, depth + 1, err))
			goto done;
	}
	ok = unlinkat(dirfd, name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) == 0 || errno == ENOENT;
	if (!ok)
		bkc_error_os(err, errno, "could not remove \"%s\"", path);

done:
	free(path);
	return ok;
}

/*
 * Empty a folder; takes the descriptor over.  Does not ask whether to stop:
 * this is what tidies up after a cancelled job.
 */
static bool
remove_contents(int fd, const char *path, int depth, BkcError *err)
{
	struct dirent *entry;
	DIR		   *dir = fdopendir(fd);
	bool		removed;
	bool		ok = false;
	int			pass;

	if (dir == NULL)
	{
		bkc_error_os(err, errno, "could not read folder \"%s\"", path);
		close(fd);
		return false;
	}
	if (depth > REMOVE_MAX_DEPTH)
	{
		bkc_error_set(err, BKC_ERR_INVALID, "could not remove \"%s\": folders are nested "
					  "more than %d levels deep", path, REMOVE_MAX_DEPTH);
		goto done;
	}
	for (pass = 0; pass < REMOVE_MAX_PASSES; pass++)
	{
		removed = false;
		while ((errno = 0, entry = readdir(dir)) != NULL)
		{
			if (is_dot_name(entry->d_name))
				continue;
			if (!remove_entry(dirfd(dir), path, entry->d_name, depth, err))
				goto done;
			removed = true;
		}
		if (errno != 0)
		{
			bkc_error_os(err, errno, "could not read folder \"%s\"", path);
			goto done;
		}
		if (!removed)
			break;
		rewinddir(dir);
	}
	ok = true;

done:
	closedir(dir);
	return ok;
}

bool
bkc_dir_remove_tree(const char *path, bool keep_top, BkcError *err)
{
	char	   *copy = trimmed_copy(path, err);
	bool		ok = false;
	int			fd;

	if (copy == NULL)
		return false;
	fd = openat_retry(AT_FDCWD, copy, OPEN_FOLDER_FLAGS);
	if (fd < 0)
	{
		ok = errno == ENOENT;
		if (!ok)
			open_error(AT_FDCWD, copy, errno, copy, err);
		goto done;
	}
	if (!remove_contents(fd, copy, 1, err))
		goto done;
	ok = keep_top || rmdir(copy) == 0 || errno == ENOENT;
	if (!ok)
		bkc_error_os(err, errno, "could not remove folder \"%s\"", copy);

done:
	free(copy);
	return ok;
}
