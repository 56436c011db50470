/*
 * restore_extra.c
 *		Small files below PGDATA that restore itself reads and writes.
 */
#include "restore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/host.h"
#include "crypto/digest.h"

#define EXTRA_MAX	(64 * 1024 * 1024)

/* Replace or insert, keeping the order by rel. */
static bool
remember(BkcRestore *r, const char *rel, const BkcBuffer *content, BkcError *err)
{
	BkcExtra   *extras;
	BkcExtra   *extra;
	size_t		at = 0;

	while (at < r->nextras && strcmp(r->extras[at].rel, rel) < 0)
		at++;
	if (at == r->nextras || strcmp(r->extras[at].rel, rel) != 0)
	{
		char	   *copy = strdup(rel);

		extras = reallocarray(r->extras, r->nextras + 1, sizeof(BkcExtra));
		if (extras != NULL)
			r->extras = extras;
		if (extras == NULL || copy == NULL)
		{
			free(copy);
			return bkc_error_oom(err);
		}
		memmove(&extras[at + 1], &extras[at], (r->nextras - at) * sizeof(BkcExtra));
		memset(&extras[at], 0, sizeof(BkcExtra));
		extras[at].rel = copy;
		r->nextras++;
	}
	extra = &r->extras[at];
	extra->size = content->len;
	extra->mtime = bkc_host->now() / 1000000;
	return bkc_sha256(bkc_buffer_str(content), content->len, extra->sha256, err);
}

/* "<inode>\n" of the file itself. */
static bool
inode_text(int fd, const char *rel, BkcBuffer *content, BkcError *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return bkc_error_os(err, errno, "could not stat file \"%s\"", rel);
	return bkc_buffer_printf(content, err, "%llu\n", (unsigned long long) st.st_ino);
}

/* mark (may be NULL) is filled with the file's inode and written instead of content. */
static bool
put(BkcRestore *r, const char *rel, const BkcBuffer *content, BkcBuffer *mark, BkcError *err)
{
	const char *base;
	int			parent;
	int			fd = -1;
	bool		ok = false;

	r->place = BKC_AT_TARGET;
	parent = bkc_path_open_parent(r->dirs[0].fd, rel, r->group_access ? 0750 : 0700, &base, err);
	if (parent < 0)
		return false;
	if (unlinkat(parent, base, 0) != 0 && errno != ENOENT)
	{
		bkc_error_os(err, errno, "could not replace file \"%s\"", rel);
		goto done;
	}
	fd = openat(parent, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
	{
		bkc_error_os(err, errno, "could not create file \"%s\"", rel);
		goto done;
	}
	if (mark != NULL)
	{
		if (!inode_text(fd, rel, mark, err))
			goto done;
		content = mark;
	}
	if (!bkc_file_write(fd, rel, bkc_buffer_str(content), content->len, err))
		goto done;
	if (r->group_access && fchmod(fd, 0640) != 0)
	{
		bkc_error_os(err, errno, "could not set permissions of file \"%s\"", rel);
		goto done;
	}
	ok = bkc_file_close(fd, rel, err);
	fd = -1;
	ok = ok && remember(r, rel, content, err);

done:
	if (fd >= 0)
		close(fd);
	close(parent);
	return ok;
}

bool
bkc_restore_put(BkcRestore *r, const char *rel, const BkcBuffer *content, BkcError *err)
{
	return put(r, rel, content, NULL, err);
}

bool
bkc_restore_put_mark(BkcRestore *r, const char *rel, BkcError *err)
{
	BkcBuffer	mark = {0};
	bool		ok = put(r, rel, NULL, &mark, err);

	bkc_buffer_free(&mark);
	return ok;
}

bool
bkc_restore_get(const BkcRestore *r, const char *rel, BkcBuffer *content, BkcError *err)
{
	char	   *path = bkc_path_join(r->dirs[0].path, rel, err);
	bool		ok = path != NULL && bkc_file_slurp(path, EXTRA_MAX, content, err);

	free(path);
	return ok;
}

bool
bkc_restore_exists(const BkcRestore *r, const char *rel)
{
	struct stat st;

	return fstatat(r->dirs[0].fd, rel, &st, AT_SYMLINK_NOFOLLOW) == 0;
}
