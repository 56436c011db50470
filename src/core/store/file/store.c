/*
 * store.c
 *		The file driver's store: URL rules, stat, free space.
 */
#include "store/file/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "format/names.h"

static const char *const file_params[] = {NULL};

static const char *const url_hint =
	"Write three slashes before the path of a folder, for example file:///var/backups/pg.";

static bool
file_check(const BkcUrl *url, BkcError *err)
{
	const char *path = url->path != NULL ? url->path : "";

	if (url->authority != NULL && url->authority[0] != '\0' &&
		strcmp(url->authority, "localhost") != 0)
	{
		bkc_error_set(err, BKC_ERR_INVALID,
					  "repository URL \"%s\" names the host \"%s\", but files are always local",
					  url->text, url->authority);
		return bkc_error_hint(err, "%s", url_hint);
	}
	if (path[0] == '\0' || strcmp(path, "/") == 0)
	{
		bkc_error_set(err, BKC_ERR_INVALID, "repository URL \"%s\" names no folder", url->text);
		return bkc_error_hint(err, "%s", url_hint);
	}
	if (path[0] != '/')
	{
		bkc_error_set(err, BKC_ERR_INVALID, "path in repository URL \"%s\" is not absolute",
					  url->text);
		return bkc_error_hint(err, "%s", url_hint);
	}
	if (strlen(path) + BKC_NAME_MAX + 1 >= PATH_MAX)
		return bkc_error_set(err, BKC_ERR_INVALID, "path in repository URL \"%s\" is too long",
							 url->text);
	return true;
}

static bool
file_stat(BkcStore *store, const char *name, uint64_t *size, BkcError *err)
{
	BkcFileStore *fstore = (BkcFileStore *) store;
	BkcFileDir	dir = BKC_FILE_DIR_INIT;
	const char *last;
	struct stat st;
	int			rc;

	if (!bkc_file_dir_open(fstore, "find", name, &dir, &last, err))
		return false;
	rc = fstatat(dir.dir, last, &st, AT_SYMLINK_NOFOLLOW);
	bkc_file_dir_close(&dir);	/* keeps errno */
	if (rc != 0)
		return bkc_file_error(fstore, "find", name, errno, err);
	if (S_ISDIR(st.st_mode))
		return bkc_file_error(fstore, "find", name, ENOENT, err);
	if (!S_ISREG(st.st_mode))
		return bkc_error_set(err, BKC_ERR_STATE,
							 "\"%s\" in repository \"%s\" is not a regular file",
							 name, store->location);
	*size = (uint64_t) st.st_size;
	return true;
}

static bool
file_sync(BkcStore *store, const char *name, BkcError *err)
{
	BkcFileStore *fstore = (BkcFileStore *) store;
	BkcFileDir	dir = BKC_FILE_DIR_INIT;
	const char *last;
	bool		ok;

	ok = bkc_file_dir_open(fstore, "sync", name, &dir, &last, err) &&
		bkc_file_dir_sync(fstore, name, &dir, err);
	bkc_file_dir_close(&dir);
	return ok;
}

/* Of the root folder or, before the first write, of the nearest parent that exists. */
static bool
file_space(BkcStore *store, uint64_t *free_bytes, BkcError *err)
{
	BkcFileStore *fstore = (BkcFileStore *) store;
	char	   *path = strdup(fstore->root);
	struct statvfs vfs;
	int			saved_errno;
	int			rc;

	if (path == NULL)
		return bkc_error_oom(err);
	while ((rc = statvfs(path, &vfs)) != 0 && (errno == ENOENT || errno == EINTR))
	{
		char	   *slash = strrchr(path, '/');

		if (errno == EINTR)
			continue;
		if (slash == NULL || path[1] == '\0')
			break;
		slash[slash == path ? 1 : 0] = '\0';
	}
	saved_errno = errno;
	free(path);
	if (rc != 0)
		return bkc_file_error(fstore, "ask for the free space of", NULL, saved_errno, err);
	if (__builtin_mul_overflow((uint64_t) vfs.f_bavail, (uint64_t) vfs.f_frsize, free_bytes))
		*free_bytes = UINT64_MAX;
	return true;
}

static void
file_store_close(BkcStore *store)
{
	BkcFileStore *fstore = (BkcFileStore *) store;

	free(fstore->root);
	free(fstore);
}

static const BkcStoreOps file_store_ops = {
	.open_write = bkc_file_open_write,
	.open_read = bkc_file_open_object,
	.stat = file_stat,
	.sync = file_sync,
	.list = bkc_file_list,
	.remove = bkc_file_remove,
	.sweep = bkc_file_sweep,
	.setup = &bkc_file_setup_ops,
	.space = file_space,
	.close = file_store_close,
};

/* Touches nothing: every operation opens the root folder anew, and must find the same one. */
static bool
file_open(const BkcUrl *url, BkcStore **store, BkcError *err)
{
	BkcFileStore *fstore = calloc(1, sizeof(*fstore));

	if (fstore == NULL)
		return bkc_error_oom(err);
	fstore->base.ops = &file_store_ops;
	fstore->base.caps = BKC_CAP_CREATE_ONLY | BKC_CAP_SPACE;
	fstore->root = strdup(url->path);
	if (fstore->root == NULL)
	{
		free(fstore);
		return bkc_error_oom(err);
	}
	*store = &fstore->base;
	return true;
}

const BkcStoreDriver bkc_store_file_driver = {
	.scheme = "file",
	.params = file_params,
	.check = file_check,
	.open = file_open,
};
