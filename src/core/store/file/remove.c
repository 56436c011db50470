/*
 * remove.c
 *		Removing objects, and sweeping up what killed writers have left.
 */
#include "store/file/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/host.h"
#include "format/names.h"

/* Remove one object of an open folder; missing, or not an object, is success. */
static bool
remove_entry(BkcFileStore *store, int dir, const char *entry, const char *name, BkcError *err)
{
	struct stat st;

	if (fstatat(dir, entry, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT || bkc_file_error(store, "remove", name, errno, err);
	if (!S_ISREG(st.st_mode))
		return true;
	if (unlinkat(dir, entry, 0) != 0 && errno != ENOENT)
		return bkc_file_error(store, "remove", name, errno, err);
	return true;
}

/*
 * Remove those of the first names that lie in one folder.  The folder is
 * synced afterwards: the manifest's removal must never be undone by a crash
 * that leaves the later removal of its packs in force.
 */
static bool
remove_in_folder(BkcFileStore *store, const char *const *names, size_t n, size_t *done,
				 BkcError *err)
{
	const char *slash = strrchr(names[0], '/');
	size_t		len = slash == NULL ? 0 : (size_t) (slash - names[0]) + 1;
	BkcFileDir	dir = BKC_FILE_DIR_INIT;
	const char *last;
	bool		ok = true;

	*done = 1;
	if (!bkc_file_dir_open(store, "remove", names[0], &dir, &last, err))
	{
		if (err->code != BKC_ERR_NOT_FOUND)
			return false;
		bkc_error_clear(err);
		return true;
	}
	for (size_t i = 0; ok && i < n; i++)
	{
		if (strncmp(names[i], names[0], len) != 0 || strchr(names[i] + len, '/') != NULL)
			break;
		*done = i + 1;
		ok = bkc_host_check(err) && remove_entry(store, dir.dir, names[i] + len, names[i], err);
	}
	ok = ok && bkc_file_dir_sync(store, names[0], &dir, err);
	bkc_file_dir_close(&dir);
	bkc_file_dir_prune(store, names[0]);
	return ok;
}

bool
bkc_file_remove(BkcStore *store, const char *const *names, size_t n, BkcError *err)
{
	size_t		done;

	for (size_t i = 0; i < n; i += done)
	{
		if (!remove_in_folder((BkcFileStore *) store, names + i, n - i, &done, err))
			return false;
	}
	return true;
}

static bool sweep_folder(BkcFileStore *store, int dir, unsigned depth, BkcError *err);

/* A temporary file is removed, a folder swept and then removed when it is empty. */
static bool
sweep_entry(BkcFileStore *store, int dir, const char *entry, unsigned depth, BkcError *err)
{
	struct stat st;
	int			fd;
	bool		ok;

	if (!bkc_file_entry_tmp(entry) && !bkc_file_entry_valid(entry))
		return true;
	if (fstatat(dir, entry, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT || bkc_file_error(store, "sweep", NULL, errno, err);
	if (S_ISREG(st.st_mode) && bkc_file_entry_tmp(entry))
	{
		if (unlinkat(dir, entry, 0) != 0 && errno != ENOENT)
			return bkc_file_error(store, "sweep", NULL, errno, err);
		return true;
	}
	if (!S_ISDIR(st.st_mode) || bkc_file_entry_tmp(entry) || depth >= BKC_NAME_MAX / 2)
		return true;

	fd = openat(dir, entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || bkc_file_error(store, "sweep", NULL, errno, err);
	ok = sweep_folder(store, fd, depth + 1, err);
	close(fd);
	if (ok && unlinkat(dir, entry, AT_REMOVEDIR) != 0 &&
		errno != ENOTEMPTY && errno != EEXIST && errno != ENOENT)
		return bkc_file_error(store, "sweep", NULL, errno, err);
	return ok;
}

static bool
sweep_folder(BkcFileStore *store, int dir, unsigned depth, BkcError *err)
{
	int			fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR		   *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;
	bool		ok = true;

	if (d == NULL)
	{
		bkc_file_error(store, "sweep", NULL, errno, err);
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (ok)
	{
		errno = 0;
		de = readdir(d);
		if (de == NULL)
		{
			if (errno != 0)
				ok = bkc_file_error(store, "sweep", NULL, errno, err);
			break;
		}
		ok = bkc_host_check(err) && sweep_entry(store, dirfd(d), de->d_name, depth, err);
	}
	closedir(d);
	return ok;
}

bool
bkc_file_sweep(BkcStore *store, const char *prefix, BkcError *err)
{
	BkcFileStore *fstore = (BkcFileStore *) store;
	BkcFileDir	dir = BKC_FILE_DIR_INIT;
	const char *last;
	bool		ok;

	if (!bkc_file_dir_open(fstore, "sweep", prefix, &dir, &last, err))
	{
		if (err->code != BKC_ERR_NOT_FOUND)
			return false;
		bkc_error_clear(err);
		return true;
	}
	ok = sweep_folder(fstore, dir.dir, 0, err);
	bkc_file_dir_close(&dir);
	if (ok)
		bkc_file_dir_prune(fstore, prefix);
	return ok;
}
