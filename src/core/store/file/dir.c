/*
 * dir.c
 *		Folders of a file repository: walking to an object without following
 *		links, making and removing folders, making names durable.
 */
#include "store/file/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/host.h"
#include "format/names.h"

/* What to do about it, for the failures that users meet. */
static void
add_hint(const BkcFileStore *store, int saved_errno, BkcError *err)
{
	switch (saved_errno)
	{
		case EACCES:
		case EPERM:
			bkc_error_hint(err, "The operating system user with id %ld needs read, write and "
						   "search permission on \"%s\" and everything below it.",
						   (long) geteuid(), store->root);
			break;
		case EROFS:
			bkc_error_hint(err, "The file system of \"%s\" is mounted read-only.", store->root);
			break;
		case ENOSPC:
			bkc_error_hint(err, "Free space or inodes on the file system of \"%s\", expire old "
						   "backups, or use a larger repository.", store->root);
			break;
		case EDQUOT:
			bkc_error_hint(err, "Raise the disk quota of the operating system user with id %ld on "
						   "the file system of \"%s\", or expire old backups.",
						   (long) geteuid(), store->root);
			break;
		case EFBIG:
			bkc_error_hint(err, "Raise the limit on file sizes (ulimit -f) or use another file "
						   "system for \"%s\".", store->root);
			break;
		case ESTALE:
		case ENOTCONN:
		case EIO:
			bkc_error_hint(err, "Check the disk or the network file system that holds \"%s\".",
						   store->root);
			break;
		default:
			break;
	}
}

bool
bkc_file_error(const BkcFileStore *store, const char *verb, const char *name,
			   int saved_errno, BkcError *err)
{
	const char *location = store->base.location != NULL ? store->base.location : store->root;

	if (saved_errno == ENOENT && name != NULL)
	{
		bkc_error_os(err, saved_errno, "object \"%s\" is not in repository \"%s\"", name, location);
		return false;
	}
	if (name != NULL)
		bkc_error_os(err, saved_errno, "could not %s object \"%s\" in repository \"%s\"",
					 verb, name, location);
	else
		bkc_error_os(err, saved_errno, "could not %s repository \"%s\"", verb, location);
	add_hint(store, saved_errno, err);
	return false;
}

static int
open_dir(int parent, const char *entry, int flags)
{
	int			fd;

	do
		fd = openat(parent, entry, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
	while (fd < 0 && errno == EINTR);
	return fd;
}

static bool
root_lost(const BkcFileStore *store, const char *what, BkcError *err)
{
	bkc_error_set(err, BKC_ERR_UNAVAILABLE, "repository \"%s\" %s", store->base.location, what);
	return bkc_error_hint(err, "Check that the file system of \"%s\" is mounted.", store->root);
}

/* Is this the folder that it was before? */
static bool
same_root(BkcFileStore *store, int fd, BkcError *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return bkc_file_error(store, "open", NULL, errno, err);
	if (store->seen && (st.st_dev != store->dev || st.st_ino != store->ino))
		return root_lost(store, "has been replaced by another folder", err);
	store->seen = true;
	store->dev = st.st_dev;
	store->ino = st.st_ino;
	return true;
}

/* Descriptor of the root folder, or -1. */
static int
open_root(BkcFileStore *store, bool make, BkcError *err)
{
	int			fd = open_dir(AT_FDCWD, store->root, 0);

	if (fd < 0 && errno == ENOENT && store->seen)
	{
		root_lost(store, "is not there any more", err);
		return -1;
	}
	if (fd < 0 && errno == ENOENT && make)
	{
		if (!bkc_dir_create(store->root, BKC_FILE_DIR_MODE, err))
		{
			int			saved_errno = err->os_errno;

			bkc_error_context(err, "could not create repository \"%s\"", store->base.location);
			if (err->hint[0] == '\0')
				add_hint(store, saved_errno, err);
			return -1;
		}
		fd = open_dir(AT_FDCWD, store->root, 0);
	}
	if (fd >= 0 && !same_root(store, fd, err))
	{
		close(fd);
		return -1;
	}
	if (fd >= 0)
		return fd;
	if (errno == ENOENT)
	{
		bkc_error_os(err, ENOENT, "repository \"%s\" does not exist", store->base.location);
		bkc_error_hint(err, "The first backup creates it.  If there should be backups, check that "
					   "the file system of \"%s\" is mounted.", store->root);
	}
	else if (errno == ENOTDIR)
		bkc_error_set(err, BKC_ERR_STATE,
					  "repository path \"%s\" is not a folder or leads through a file",
					  store->root);
	else
		bkc_file_error(store, "open", NULL, errno, err);
	return -1;
}

/* fsync of a folder; file systems that know no such thing have nothing to make durable. */
static bool
sync_dir(int fd)
{
	int			rc;

	do
		rc = fsync(fd);
	while (rc != 0 && errno == EINTR);
	return rc == 0 || errno == EINVAL || errno == EOPNOTSUPP;
}

/* Make the root folder's own entry durable. */
static bool
sync_root_entry(int root)
{
	int			up = open_dir(root, "..", 0);
	struct stat here;
	struct stat above;
	int			saved_errno;
	bool		ok;

	/* a parent that may be entered but not read: sync all, it happens once a repository */
	if (up < 0)
		return errno == EACCES && syncfs(root) == 0;

	/* a mount point's entry is not on the file system that holds the objects */
	ok = fstat(root, &here) == 0 && fstat(up, &above) == 0 &&
		(here.st_dev != above.st_dev || sync_dir(up));
	saved_errno = errno;
	close(up);
	errno = saved_errno;
	return ok;
}

static bool
sync_entry(const BkcFileDir *dir)
{
	return dir->parent >= 0 ? sync_dir(dir->parent) : sync_root_entry(dir->dir);
}

void
bkc_file_dir_close(BkcFileDir *dir)
{
	int			saved_errno = errno;

	if (dir->dir >= 0)
		close(dir->dir);
	if (dir->parent >= 0)
		close(dir->parent);
	dir->dir = dir->parent = -1;
	errno = saved_errno;
}

/* Open the folder entry in dir, making it when asked to; -1 with errno. */
static int
open_child(const BkcFileDir *dir, const char *entry, bool make)
{
	int			fd = open_dir(dir->dir, entry, O_NOFOLLOW);

	if (fd >= 0 || errno != ENOENT || !make)
		return fd;

	/* the rule of file.h: first the entry of the folder that gets a child */
	if (!sync_entry(dir))
		return -1;
	if (mkdirat(dir->dir, entry, BKC_FILE_DIR_MODE) != 0 && errno != EEXIST)
		return -1;
	return open_dir(dir->dir, entry, O_NOFOLLOW);
}

/* A component could not be opened as a folder: say why. */
static bool
child_error(BkcFileStore *store, const char *verb, const char *name, const BkcFileDir *dir,
			const char *entry, bool make, int saved_errno, BkcError *err)
{
	struct stat st;

	if ((saved_errno != ENOTDIR && saved_errno != ELOOP) ||
		fstatat(dir->dir, entry, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return bkc_file_error(store, verb, name, saved_errno, err);
	if (S_ISREG(st.st_mode) && !make)
		return bkc_file_error(store, verb, name, ENOENT, err);
	bkc_error_set(err, BKC_ERR_STATE,
				  "could not %s object \"%s\" in repository \"%s\": \"%s\" is %s",
				  verb, name, store->base.location, entry,
				  S_ISLNK(st.st_mode) ? "a symbolic link" :
				  S_ISREG(st.st_mode) ? "an object" : "not a folder");
	if (S_ISLNK(st.st_mode))
		bkc_error_hint(err, "Symbolic links inside a repository are not followed; mount the other "
					   "place there or move the repository as a whole.");
	return false;
}

static bool
walk(BkcFileStore *store, const char *verb, const char *name, bool make,
	 BkcFileDir *dir, const char **last, BkcError *err)
{
	const char *p = name;
	const char *slash;

	dir->parent = -1;
	dir->dir = open_root(store, make, err);
	if (dir->dir < 0)
		return false;

	while ((slash = strchr(p, '/')) != NULL)
	{
		char		entry[BKC_NAME_MAX];
		size_t		len = (size_t) (slash - p);
		int			fd = -1;

		errno = ENAMETOOLONG;
		if (len < sizeof(entry))
		{
			memcpy(entry, p, len);
			entry[len] = '\0';
			fd = open_child(dir, entry, make);
		}
		if (fd < 0)
		{
			child_error(store, verb, name, dir, entry, make, errno, err);
			bkc_file_dir_close(dir);
			return false;
		}
		if (dir->parent >= 0)
			close(dir->parent);
		dir->parent = dir->dir;
		dir->dir = fd;
		p = slash + 1;
	}
	*last = p;
	return true;
}

bool
bkc_file_dir_open(BkcFileStore *store, const char *verb, const char *name,
				  BkcFileDir *dir, const char **last, BkcError *err)
{
	return walk(store, verb, name, false, dir, last, err);
}

bool
bkc_file_dir_make(BkcFileStore *store, const char *name,
				  BkcFileDir *dir, const char **last, BkcError *err)
{
	return walk(store, "create", name, true, dir, last, err);
}

bool
bkc_file_dir_sync(BkcFileStore *store, const char *name, const BkcFileDir *dir, BkcError *err)
{
	int			saved_errno = 0;

	bkc_host->wait_event(BKC_WAIT_STORE_SYNC);
	if (!sync_dir(dir->dir) || !sync_entry(dir))
		saved_errno = errno;
	bkc_host->wait_event(BKC_WAIT_NONE);
	return saved_errno == 0 ||
		bkc_file_error(store, "sync the folder of", name, saved_errno, err);
}

void
bkc_file_dir_prune(BkcFileStore *store, const char *name)
{
	char		path[BKC_NAME_MAX];
	size_t		len = strlen(name);
	char	   *slash;

	if (len >= sizeof(path))
		return;
	memcpy(path, name, len + 1);
	while ((slash = strrchr(path, '/')) != NULL)
	{
		BkcFileDir	dir = BKC_FILE_DIR_INIT;
		BkcError	ignored;
		const char *last;
		bool		gone;

		*slash = '\0';
		if (!bkc_file_dir_open(store, "remove", path, &dir, &last, &ignored))
		{
			/* a parent has gone as well: go on with what is above it */
			if (ignored.code == BKC_ERR_NOT_FOUND)
				continue;
			return;
		}
		gone = unlinkat(dir.dir, last, AT_REMOVEDIR) == 0 || errno == ENOENT;
		bkc_file_dir_close(&dir);
		if (!gone)
			return;
	}
}

bool
bkc_file_entry_tmp(const char *entry)
{
	return strncmp(entry, BKC_STORE_TMP_PREFIX, strlen(BKC_STORE_TMP_PREFIX)) == 0;
}

bool
bkc_file_entry_valid(const char *entry)
{
	return bkc_name_valid(entry) && strchr(entry, '/') == NULL && !bkc_file_entry_tmp(entry);
}
