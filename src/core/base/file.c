/*
 * file.c
 *		Single files: opening, reading, writing, durable whole-file writes.
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

#define SLURP_STEP		(64 * 1024)

static int
open_read(const char *path, int flags, BkcError *err)
{
	struct stat st;
	int			fd;

	/* Non-blocking, because opening a FIFO would otherwise wait for a writer. */
	do
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
	{
		if (errno == ELOOP)
			bkc_error_set(err, BKC_ERR_INVALID, "\"%s\" is a symbolic link, not a file", path);
		else
			bkc_error_os(err, errno, "could not open file \"%s\"", path);
		return -1;
	}
	if (fstat(fd, &st) != 0)
		bkc_error_os(err, errno, "could not stat file \"%s\"", path);
	else if (!S_ISREG(st.st_mode))
		bkc_error_set(err, BKC_ERR_INVALID, "\"%s\" is not a regular file", path);
	else
		return fd;
	close(fd);
	return -1;
}

int
bkc_file_open_read(const char *path, BkcError *err)
{
	return open_read(path, O_NOFOLLOW, err);
}

/*
 * The caller asked for these bits, whatever the umask.  File systems without
 * modes refuse; there is nothing to be had then.
 */
static bool
set_mode(int fd, const char *path, mode_t mode, BkcError *err)
{
	if (fchmod(fd, mode) != 0 && errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
		return bkc_error_os(err, errno, "could not set permissions of file \"%s\"", path);
	return true;
}

/* path is what dirfd and name mean, for messages. */
static int
create_at(int dirfd, const char *name, const char *path, mode_t mode, BkcError *err)
{
	int			fd;

	do
		fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
	{
		bkc_error_os(err, errno, "could not create file \"%s\"", path);
		return -1;
	}
	if (!set_mode(fd, path, mode, err))
	{
		(void) unlinkat(dirfd, name, 0);
		close(fd);
		return -1;
	}
	return fd;
}

int
bkc_file_create(const char *path, mode_t mode, BkcError *err)
{
	return create_at(AT_FDCWD, path, path, mode, err);
}

bool
bkc_file_pread(int fd, const char *path, void *buf, size_t len, uint64_t offset,
			   size_t *got, BkcError *err)
{
	ssize_t		n;

	*got = 0;
	while (*got < len)
	{
		if (offset > INT64_MAX - *got)
			return bkc_error_set(err, BKC_ERR_INVALID,
								 "could not read file \"%s\": offset is out of range", path);
		n = pread(fd, (char *) buf + *got, len - *got, (off_t) (offset + *got));
		if (n < 0)
		{
			if (errno == EINTR)
				continue;
			return bkc_error_os(err, errno, "could not read file \"%s\"", path);
		}
		if (n == 0)
			break;
		*got += (size_t) n;
	}
	return true;
}

bool
bkc_file_write(int fd, const char *path, const void *buf, size_t len, BkcError *err)
{
	const char *p = buf;
	ssize_t		n;

	while (len > 0)
	{
		n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
		{
			/* Nothing written and no reason given: the disk is full. */
			return bkc_error_os(err, n < 0 ? errno : ENOSPC,
								"could not write file \"%s\"", path);
		}
		p += n;
		len -= (size_t) n;
	}
	return true;
}

bool
bkc_file_fsync(int fd, const char *path, BkcError *err)
{
	int			rc;

	/*
	 * Only an interruption is tried again: after a real failure the kernel
	 * may have dropped the pages, and a second call would lie.
	 */
	do
		rc = fsync(fd);
	while (rc != 0 && errno == EINTR);
	if (rc != 0)
		return bkc_error_os(err, errno, "could not fsync file \"%s\"", path);
	return true;
}

bool
bkc_file_close(int fd, const char *path, BkcError *err)
{
	/* Linux has closed it also when it answers EINTR. */
	if (fd >= 0 && close(fd) != 0 && errno != EINTR)
		return bkc_error_os(err, errno, "could not close file \"%s\"", path);
	return true;
}

static bool
too_large(const char *path, size_t max, BkcError *err)
{
	return bkc_error_set(err, BKC_ERR_INVALID, "file \"%s\" is larger than %zu bytes", path, max);
}

/* As PostgreSQL has it for keys of TLS. */
bool
bkc_file_is_private(const struct stat *st)
{
	mode_t		others = S_IRWXG | S_IRWXO;

	if (st->st_uid == 0)
		others &= ~(mode_t) S_IRGRP;
	return (st->st_mode & others) == 0;
}

/* Is it kept from others, and does it belong to us or root?  Root may use everybody's. */
static bool
check_secret(const char *path, const struct stat *st, BkcError *err)
{
	if (st->st_uid != geteuid() && st->st_uid != 0 && geteuid() != 0)
	{
		bkc_error_set(err, BKC_ERR_ACCESS, "file \"%s\" holds a secret and belongs to another user",
					  path);
		return bkc_error_hint(err, "It must belong to the user that reads it, or to root.");
	}
	if (!bkc_file_is_private(st))
	{
		bkc_error_set(err, BKC_ERR_ACCESS,
					  "file \"%s\" holds a secret and can be used by other users", path);
		return bkc_error_hint(err, "Its permissions are %04o; run chmod 0600 on it%s.",
							  (unsigned) (st->st_mode & 07777),
							  st->st_uid == 0 ? ", or 0640 for a group" : "");
	}
	return true;
}

static bool
slurp(const char *path, size_t max, bool secret, BkcBuffer *buf, BkcError *err)
{
	size_t		start = buf->len;
	size_t		total = 0;
	size_t		step;
	size_t		got;
	struct stat st;
	bool		ok = false;
	int			fd;

	/* secrets are mounted as links in some places (Kubernetes); what counts is what they lead to */
	fd = open_read(path, secret ? 0 : O_NOFOLLOW, err);
	if (fd < 0)
		return false;
	if (fstat(fd, &st) != 0)
	{
		bkc_error_os(err, errno, "could not stat file \"%s\"", path);
		goto done;
	}
	if (secret && !check_secret(path, &st, err))
		goto done;
	if ((uint64_t) st.st_size > max)
	{
		too_large(path, max, err);
		goto done;
	}

	/*
	 * The size is only a hint: the file may grow meanwhile, and those of /proc
	 * have none.  One byte more than allowed tells that it is too large.
	 */
	for (;;)
	{
		step = total < (size_t) st.st_size ? (size_t) st.st_size - total + 1 : SLURP_STEP;
		if (step > max - total)
			step = max - total + (max - total < SIZE_MAX);
		if (!bkc_buffer_reserve(buf, step, err) ||
			!bkc_file_pread(fd, path, buf->data + buf->len, step, total, &got, err))
			goto done;
		buf->len += got;
		total += got;
		if (total > max)
		{
			too_large(path, max, err);
			goto done;
		}
		if (got < step)
			break;
	}
	ok = true;

done:
	if (!ok)
		buf->len = start;
	if (buf->data != NULL)
		buf->data[buf->len] = 0;
	close(fd);
	return ok;
}

bool
bkc_file_slurp(const char *path, size_t max, BkcBuffer *buf, BkcError *err)
{
	return slurp(path, max, false, buf, err);
}

bool
bkc_file_slurp_secret(const char *path, size_t max, BkcBuffer *buf, BkcError *err)
{
	/* all the room at once: memory that moves leaves copies behind */
	return bkc_buffer_reserve(buf, max + 1, err) && slurp(path, max, true, buf, err);
}

/*
 * Give the finished temporary file its name.  Sets *tmp_gone when that took
 * the temporary name away.
 */
static bool
publish(int dirfd, int fd, const char *tmp, const char *name, const char *path, bool replace,
		bool *tmp_gone, BkcError *err)
{
	struct stat st;

	*tmp_gone = false;
	if (replace)
	{
		if (renameat(dirfd, tmp, dirfd, name) != 0)
			return bkc_error_os(err, errno, "could not rename a temporary file to \"%s\"", path);
		*tmp_gone = true;
		return true;
	}
	if (linkat(dirfd, tmp, dirfd, name, 0) == 0)
		return true;
	switch (errno)
	{
		case EEXIST:

			/*
			 * NFS may have made the link and lost the reply: then the file has
			 * two names now, and it was us.
			 */
			if (fstat(fd, &st) == 0 && st.st_nlink == 2)
				return true;
			return bkc_error_os(err, EEXIST, "could not create file \"%s\"", path);
		case EPERM:
		case EOPNOTSUPP:
		case ENOSYS:
			/* A file system without hard links. */
			if (renameat2(dirfd, tmp, dirfd, name, RENAME_NOREPLACE) == 0)
			{
				*tmp_gone = true;
				return true;
			}
			break;
	}
	return bkc_error_os(err, errno, "could not create file \"%s\"", path);
}

/* Open the folder of path, *name points to its last component. */
static int
open_folder_of(const char *path, const char **name, BkcError *err)
{
	const char *slash = strrchr(path, '/');
	char	   *dir;
	int			fd;

	*name = slash != NULL ? slash + 1 : path;
	if (**name == '\0' || strcmp(*name, ".") == 0 || strcmp(*name, "..") == 0)
	{
		bkc_error_set(err, BKC_ERR_INVALID, "\"%s\" is not the name of a file", path);
		return -1;
	}
	if (slash == NULL)
		dir = strdup(".");
	else
		dir = strndup(path, slash == path ? 1 : (size_t) (slash - path));
	if (dir == NULL)
	{
		bkc_error_oom(err);
		return -1;
	}
	do
		fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		bkc_error_os(err, errno, "could not open folder \"%s\"", dir);
	free(dir);
	return fd;
}

/*
 * A crash before the name is given leaves a temporary file and the old state;
 * a crash after it leaves the new file whole, because its bytes were synced
 * before.  A failure of the last fsync is reported although the name is
 * there: it may not survive a crash.
 */
bool
bkc_file_put(const char *path, const void *data, size_t len, mode_t mode,
			 bool replace, BkcError *err)
{
	char		tmp[sizeof(BKC_FILE_TMP_PREFIX) + 16];
	uint8_t		random[8];
	const char *name;
	bool		tmp_made = false;
	bool		tmp_gone = false;
	bool		ok = false;
	int			dirfd;
	int			fd = -1;

	dirfd = open_folder_of(path, &name, err);
	if (dirfd < 0)
		return false;
	if (!bkc_random(random, sizeof(random), err))
		goto done;
	memcpy(tmp, BKC_FILE_TMP_PREFIX, sizeof(BKC_FILE_TMP_PREFIX));
	bkc_hex_encode(random, sizeof(random), tmp + sizeof(BKC_FILE_TMP_PREFIX) - 1);

	fd = create_at(dirfd, tmp, path, mode, err);
	if (fd < 0)
		goto done;
	tmp_made = true;
	if (!bkc_file_write(fd, path, data, len, err) ||
		!bkc_file_fsync(fd, path, err) ||
		!publish(dirfd, fd, tmp, name, path, replace, &tmp_gone, err))
		goto done;
	if (!tmp_gone)
	{
		(void) unlinkat(dirfd, tmp, 0);
		tmp_gone = true;
	}
	ok = bkc_file_close(fd, path, err);
	fd = -1;
	ok = ok && bkc_file_fsync(dirfd, path, err);

done:
	if (fd >= 0)
		close(fd);
	if (tmp_made && !tmp_gone)
		(void) unlinkat(dirfd, tmp, 0);
	close(dirfd);
	return ok;
}
