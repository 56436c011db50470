/*
 * path.c
 *		Relative paths below a folder (the bkc_path_ part of file.h).
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *
bkc_path_join(const char *dir, const char *name, BkcError *err)
{
	size_t		dirlen = strlen(dir);
	size_t		namelen = strlen(name);
	bool		slash = dirlen > 0 && dir[dirlen - 1] != '/';
	char	   *path = malloc(dirlen + slash + namelen + 1);

	if (path == NULL)
	{
		bkc_error_oom(err);
		return NULL;
	}
	memcpy(path, dir, dirlen);
	if (slash)
		path[dirlen] = '/';
	memcpy(path + dirlen + slash, name, namelen + 1);
	return path;
}

bool
bkc_path_is_safe(const char *path)
{
	size_t		len;

	for (;;)
	{
		len = strcspn(path, "/");
		if (len == 0 || (len == 1 && path[0] == '.') ||
			(len == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		if (path[len] == '\0')
			return true;
		path += len + 1;
	}
}

static int
open_folder(int dirfd, const char *name)
{
	int			fd;

	do
		fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	return fd;
}

/* Create folder name in dirfd and open it; the new entry is made durable. */
static int
make_folder(int dirfd, const char *name, mode_t mode, const char *path, BkcError *err)
{
	bool		made;
	int			fd;

	made = mkdirat(dirfd, name, mode) == 0;
	if (!made && errno != EEXIST)
	{
		bkc_error_os(err, errno, "could not create folder \"%s\" of \"%s\"", name, path);
		return -1;
	}
	fd = open_folder(dirfd, name);
	if (fd < 0)
		return -1;

	/*
	 * Whoever lost the race syncs as well: the winner may not have come to it
	 * yet, and what we put inside must not hang on an entry that a crash takes
	 * away.
	 */
	if (made && fchmod(fd, mode) != 0 &&
		errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
		bkc_error_os(err, errno, "could not set permissions of folder \"%s\" of \"%s\"",
					 name, path);
	else if (fsync(dirfd) != 0 && errno != EINVAL && errno != EBADF && errno != EINTR)
		bkc_error_os(err, errno, "could not fsync the folder of \"%s\" of \"%s\"", name, path);
	else
		return fd;
	close(fd);
	return -1;
}

/* One step down: open name below dirfd, made when it is missing. */
static int
enter_folder(int dirfd, const char *name, mode_t mode, const char *path, BkcError *err)
{
	struct stat st;
	int			fd;

	bkc_error_clear(err);
	fd = open_folder(dirfd, name);
	if (fd < 0 && errno == ENOENT)
		fd = make_folder(dirfd, name, mode, path, err);
	if (fd >= 0 || err->code != BKC_OK)
		return fd;
	if ((errno == ENOTDIR || errno == ELOOP) &&
		fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
	{
		if (S_ISLNK(st.st_mode))
			bkc_error_set(err, BKC_ERR_INVALID, "path \"%s\" passes through a symbolic link: "
						  "\"%s\"", path, name);
		else
			bkc_error_set(err, BKC_ERR_INVALID, "\"%s\" of path \"%s\" is not a folder",
						  name, path);
	}
	else
		bkc_error_os(err, errno, "could not open folder \"%s\" of \"%s\"", name, path);
	return -1;
}

int
bkc_path_open_parent(int rootfd, const char *path, mode_t dirmode,
					 const char **base, BkcError *err)
{
	char		name[NAME_MAX + 1];
	const char *p = path;
	size_t		len;
	int			fd;
	int			next;

	if (!bkc_path_is_safe(path))
	{
		bkc_error_set(err, BKC_ERR_INVALID,
					  "path \"%s\" is not a relative path without \".\" and \"..\"", path);
		return -1;
	}
	do
		fd = openat(rootfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
	{
		bkc_error_os(err, errno, "could not open the folder above \"%s\"", path);
		return -1;
	}
	while (p[len = strcspn(p, "/")] != '\0')
	{
		if (len > NAME_MAX)
		{
			bkc_error_os(err, ENAMETOOLONG, "could not open the folder of \"%s\"", path);
			close(fd);
			return -1;
		}
		memcpy(name, p, len);
		name[len] = '\0';
		next = enter_folder(fd, name, dirmode, path, err);
		close(fd);
		if (next < 0)
			return -1;
		fd = next;
		p += len + 1;
	}
	*base = p;
	return fd;
}
