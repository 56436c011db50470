/*
 * read.c
 *		Reading an object, or a range of it.
 */
#include "store/file/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/host.h"

#define READ_MAX	((size_t) 8 << 20)	/* bytes a system call, cancel is asked in between */

typedef struct FileReader
{
	BkcReader	base;
	BkcFileStore *store;
	char	   *name;
	int			fd;
	uint64_t	offset;
	uint64_t	end;			/* of the range, cut at the size that the object had when opened */
} FileReader;

static bool
file_read(BkcReader *reader, void *buf, size_t len, size_t *got, BkcError *err)
{
	FileReader *r = (FileReader *) reader;
	uint64_t	left = r->end - r->offset;
	size_t		want = left < len ? (size_t) left : len;

	while (*got < want)
	{
		size_t		part = want - *got;
		ssize_t		n;
		int			saved_errno;

		bkc_host->wait_event(BKC_WAIT_STORE_READ);
		n = pread(r->fd, (char *) buf + *got, part < READ_MAX ? part : READ_MAX, (off_t) r->offset);
		saved_errno = errno;
		bkc_host->wait_event(BKC_WAIT_NONE);
		if (n < 0 && saved_errno != EINTR)
			return bkc_file_error(r->store, "read", r->name, saved_errno, err);
		if (n == 0)
			return bkc_error_set(err, BKC_ERR_CORRUPT, "object \"%s\" in repository \"%s\" "
								 "became shorter while it was read",
								 r->name, r->store->base.location);
		if (n > 0)
		{
			*got += (size_t) n;
			r->offset += (uint64_t) n;
		}
		if (*got < want && !bkc_host_check(err))
			return false;
	}
	return true;
}

static void
file_read_close(BkcReader *reader)
{
	FileReader *r = (FileReader *) reader;

	if (r->fd >= 0)
		close(r->fd);
	free(r->name);
	free(r);
}

static const BkcReaderOps file_reader_ops = {
	.read = file_read,
	.close = file_read_close,
};

/* Descriptor and size of the object, or -1.  O_NONBLOCK: what lies there may be a pipe. */
static int
open_object(BkcFileStore *store, const char *name, uint64_t *size, BkcError *err)
{
	BkcFileDir	dir = BKC_FILE_DIR_INIT;
	const char *last;
	struct stat st;
	int			fd;

	if (!bkc_file_dir_open(store, "read", name, &dir, &last, err))
		return -1;
	do
		fd = openat(dir.dir, last, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	bkc_file_dir_close(&dir);

	if (fd < 0 && errno != ELOOP && errno != ENXIO)
	{
		bkc_file_error(store, "read", name, errno, err);
		return -1;
	}
	if (fd >= 0 && fstat(fd, &st) != 0)
		bkc_file_error(store, "read", name, errno, err);
	else if (fd >= 0 && S_ISREG(st.st_mode))
	{
		*size = (uint64_t) st.st_size;
		return fd;
	}
	else if (fd >= 0 && S_ISDIR(st.st_mode))
		bkc_file_error(store, "read", name, ENOENT, err);
	else
		bkc_error_set(err, BKC_ERR_STATE, "\"%s\" in repository \"%s\" is not a regular file",
					  name, store->base.location);
	if (fd >= 0)
		close(fd);
	return -1;
}

bool
bkc_file_open_object(BkcStore *store, const char *name, uint64_t offset, uint64_t length,
					 BkcReader **reader, BkcError *err)
{
	FileReader *r = calloc(1, sizeof(*r));
	uint64_t	size;

	if (r == NULL)
		return bkc_error_oom(err);
	r->base.ops = &file_reader_ops;
	r->store = (BkcFileStore *) store;
	r->fd = -1;
	r->name = strdup(name);
	if (r->name == NULL)
		bkc_error_oom(err);
	else if ((r->fd = open_object(r->store, name, &size, err)) >= 0)
	{
		r->offset = offset < size ? offset : size;
		r->end = length < size - r->offset ? r->offset + length : size;
		(void) posix_fadvise(r->fd, (off_t) r->offset, (off_t) (r->end - r->offset),
							 POSIX_FADV_SEQUENTIAL);
		*reader = &r->base;
		return true;
	}
	file_read_close(&r->base);
	return false;
}
