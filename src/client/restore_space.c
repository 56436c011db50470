/*
 * restore_space.c
 *		Is there enough room for a restore, on every file system it writes to?
 */
#include "restore.h"

#include <errno.h>
#include <fts.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/host.h"
#include "base/text.h"

#define SLACK_BYTES		((uint64_t) 1024 * 1024)	/* labels, configuration */
#define SLACK_PER_FILE	((uint64_t) 256)	/* a line of backup_manifest */

/* The file system that a folder is or will be on. */
static bool
find_space(const char *path, dev_t *dev, struct statvfs *fs, BkcError *err)
{
	char	   *copy = strdup(path);
	struct stat st;
	char	   *slash;

	if (copy == NULL)
		return bkc_error_oom(err);
	while (stat(copy, &st) != 0 && (slash = strrchr(copy, '/')) != NULL && slash[1] != '\0')
		slash[slash == copy ? 1 : 0] = '\0';
	if (stat(copy, &st) != 0 || statvfs(copy, fs) != 0)
	{
		bkc_error_os(err, errno, "could not find out the free space of \"%s\"", copy);
		free(copy);
		return false;
	}
	*dev = st.st_dev;
	free(copy);
	return true;
}

/* What clearing a folder will give back. */
static bool
measure(const char *path, uint64_t *bytes, uint64_t *files, BkcError *err)
{
	char	   *const paths[] = {(char *) path, NULL};
	FTS		   *walk = fts_open(paths, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
	FTSENT	   *entry;
	bool		ok = true;

	if (walk == NULL)
		return bkc_error_os(err, errno, "could not read folder \"%s\"", path);
	while (ok && (entry = fts_read(walk)) != NULL)
	{
		if (entry->fts_info == FTS_F && entry->fts_statp->st_nlink == 1)
		{
			*bytes += (uint64_t) entry->fts_statp->st_blocks * 512;
			*files += 1;
		}
		ok = bkc_host_check(err);
	}
	fts_close(walk);
	return ok;
}

/* Everything that goes to the file system of dirs[first] against what is free there. */
static bool
check_file_system(const BkcRestore *r, size_t first, const dev_t *devs, const struct statvfs *fs,
				  BkcError *err)
{
	uint64_t	need = SLACK_BYTES;
	uint64_t	files = 0;
	uint64_t	free_bytes = (uint64_t) fs->f_bavail * fs->f_frsize;
	uint64_t	free_files = fs->f_favail;
	char		need_text[40];
	char		free_text[40];

	for (size_t i = first; i < r->ndirs; i++)
	{
		const BkcPlaceDir *dir = &r->dirs[i];

		if (devs[i] != devs[first])
			continue;
		need += dir->bytes + dir->files * SLACK_PER_FILE;
		files += dir->files;
		if (((i == 0 && r->replace) || dir->resume) &&
			!measure(dir->path, &free_bytes, &free_files, err))
			return false;
	}
	if (need > free_bytes)
	{
		bkc_format_size(need, need_text, sizeof(need_text));
		bkc_format_size(free_bytes, free_text, sizeof(free_text));
		bkc_error_set(err, BKC_ERR_NO_SPACE, "not enough space for \"%s\": %s needed, %s free",
					  r->dirs[first].path, need_text, free_text);
		return bkc_error_detail(err, "%" PRIu64 " bytes are needed, %" PRIu64 " bytes are free.",
								need, free_bytes);
	}
	if (fs->f_files > 0 && files > free_files)
		return bkc_error_set(err, BKC_ERR_NO_SPACE,
							 "not enough inodes for \"%s\": %" PRIu64 " needed, %" PRIu64 " free",
							 r->dirs[first].path, files, free_files);
	return true;
}

bool
bkc_restore_space(const BkcRestore *r, BkcError *err)
{
	dev_t	   *devs = calloc(r->ndirs, sizeof(dev_t));
	struct statvfs *fs = calloc(r->ndirs, sizeof(struct statvfs));
	bool		ok = devs != NULL && fs != NULL;

	if (!ok)
		bkc_error_oom(err);
	for (size_t i = 0; ok && i < r->ndirs; i++)
		ok = find_space(r->dirs[i].path, &devs[i], &fs[i], err);
	for (size_t i = 0; ok && i < r->ndirs; i++)
	{
		bool		seen = false;

		for (size_t k = 0; k < i; k++)
			seen |= devs[k] == devs[i];
		if (!seen)
			ok = check_file_system(r, i, devs, &fs[i], err);
	}
	free(devs);
	free(fs);
	return ok;
}
