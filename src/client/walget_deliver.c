/*
 * walget_deliver.c
 *		A file under a temporary name, checked, synced, then named.
 *
 * The server looks at the final name only after we have ended well, and
 * removes it before it asks; what is there is complete or not there.
 */
#include "walget.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"

/* The first page's header (XLogLongPageHeaderData), in the server's byte order, which is ours. */
#define PAGE_INFO		2
#define PAGE_ADDRESS	8
#define PAGE_SYSID		24
#define PAGE_SEGMENT	32
#define PAGE_LEN		36
#define PAGE_LONG		0x0002	/* in the info: a long header */

static bool
foreign(const char *file, BkcError *err)
{
	return bkc_error_set(err, BKC_ERR_CORRUPT, "what is stored as WAL segment %s begins like another one",
						 file);
}

/*
 * Digests say that it is what was stored; this says that it is WAL of that place of
 * that cluster.  The server takes foreign WAL for the end of all WAL.
 */
static bool
check_segment(const BkcWalGet *w, const char *file, const char *path, BkcError *err)
{
	uint8_t		page[PAGE_LEN];
	uint16_t	info;
	uint32_t	size;
	uint64_t	address;
	uint64_t	sysid;
	uint32_t	timeline;
	uint64_t	segno;
	struct stat st;
	size_t		got = 0;
	int			fd = bkc_file_open_read(path, err);
	bool		ok;

	if (fd < 0)
		return false;
	ok = fstat(fd, &st) == 0 || bkc_error_os(err, errno, "could not stat file \"%s\"", path);
	ok = ok && bkc_file_pread(fd, path, page, sizeof(page), 0, &got, err);
	close(fd);
	if (!ok)
		return false;
	if ((uint64_t) st.st_size != w->segment_size || got < sizeof(page))
		return bkc_error_set(err, BKC_ERR_CORRUPT, "WAL segment %s has %lld bytes instead of %" PRIu32,
							 file, (long long) st.st_size, w->segment_size);
	memcpy(&info, page + PAGE_INFO, sizeof(info));
	memcpy(&address, page + PAGE_ADDRESS, sizeof(address));
	memcpy(&sysid, page + PAGE_SYSID, sizeof(sysid));
	memcpy(&size, page + PAGE_SEGMENT, sizeof(size));
	if ((info & PAGE_LONG) == 0 || size != w->segment_size ||
		!bkc_wal_segment_parse(file, w->segment_size, &timeline, &segno) ||
		address != segno * w->segment_size)
		return foreign(file, err);
	if (sysid != w->sysid)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "what is stored as WAL segment %s is of cluster %" PRIu64,
							 file, sysid);
	return true;
}

/* Zeros are the end of WAL to the server. */
static bool
cut(const BkcWalGet *w, const char *file, int fd, const char *path, BkcError *err)
{
	static const char zeros[65536];
	uint32_t	timeline;
	uint64_t	segno;
	uint64_t	end = bkc_walget_end(w);
	uint64_t	offset;

	if (end == UINT64_MAX ||
		!bkc_wal_segment_parse(file, w->segment_size, &timeline, &segno) ||
		end / w->segment_size > segno)
		return true;
	offset = end / w->segment_size == segno ? end % w->segment_size : 0;
	if (lseek(fd, (off_t) offset, SEEK_SET) < 0)
		return bkc_error_os(err, errno, "could not seek in file \"%s\"", path);
	while (offset < w->segment_size)
	{
		uint64_t	len = w->segment_size - offset;

		if (len > sizeof(zeros))
			len = sizeof(zeros);
		if (!bkc_file_write(fd, path, zeros, (size_t) len, err))
			return false;
		offset += len;
	}
	return true;
}

static bool
fill_file(BkcWalGet *w, const char *file, int fd, const char *temp, bool locked,
		  BkcWalFill fill, void *arg, BkcError *err)
{
	bool		ok;

	w->target_failed = true;
	if (locked && flock(fd, LOCK_EX | LOCK_NB) != 0)
		return bkc_error_os(err, errno, "could not lock file \"%s\"", temp);
	w->target_failed = false;
	ok = fill(arg, fd, temp, err);
	if (!ok)
	{
		/* reading cannot run out of space */
		w->target_failed = err->code == BKC_ERR_NO_SPACE;
		return false;
	}
	if (bkc_wal_is_segment(file) && !check_segment(w, file, temp, err))
		return false;

	/* not a repository's failure either: no other one is to be asked */
	w->target_failed = true;
	ok = (!bkc_wal_is_segment(file) ||
		  (bkc_walget_not_past_fork(w, file, err) && cut(w, file, fd, temp, err))) &&
		bkc_file_fsync(fd, temp, err) &&
		bkc_fault(BKC_FAULT_WALGET_FETCHED, err);
	return ok;
}

/*
 * A wal-get that has survived its server may write to the same name: the temporary
 * file of the one that came later is not ours to name or to remove.
 */
static bool
is_ours(int fd, const char *temp)
{
	struct stat open_st;
	struct stat name_st;

	return fstat(fd, &open_st) == 0 && lstat(temp, &name_st) == 0 &&
		open_st.st_dev == name_st.st_dev && open_st.st_ino == name_st.st_ino;
}

static bool
give_name(int fd, const char *temp, const char *path, BkcError *err)
{
	if (!is_ours(fd, temp))
		return bkc_error_set(err, BKC_ERR_STATE, "file \"%s\" was replaced by another process", temp);
	return rename(temp, path) == 0 ||
		bkc_error_os(err, errno, "could not rename \"%s\" to \"%s\"", temp, path);
}

static bool
deliver(BkcWalGet *w, const char *file, const char *path, bool locked, BkcWalFill fill, void *arg,
		BkcError *err)
{
	char		temp[PATH_MAX];
	bool		ok;
	int			fd;

	w->target_failed = true;
	if ((size_t) snprintf(temp, sizeof(temp), "%s%s", path, BKC_WALGET_TEMP) >= sizeof(temp))
		return bkc_error_set(err, BKC_ERR_INVALID, "path \"%s\" is too long", path);
	if (unlink(temp) != 0 && errno != ENOENT)
		return bkc_error_os(err, errno, "could not remove file \"%s\"", temp);
	fd = bkc_file_create(temp, 0600, err);
	if (fd < 0)
		return false;
	ok = fill_file(w, file, fd, temp, locked, fill, arg, err);

	/* named before it is closed: who waits for the lock finds the file */
	ok = ok && give_name(fd, temp, path, err);
	if (!ok && is_ours(fd, temp))
		(void) unlink(temp);
	close(fd);					/* synced: nothing can fail here that matters */
	if (ok)
		w->target_failed = false;
	return ok;
}

bool
bkc_walget_deliver(BkcWalGet *w, const char *file, const char *path, bool locked,
				   BkcWalFill fill, void *arg, BkcError *err)
{
	if (w->into > 0)
		return fill(arg, w->into, file, err);
	if (deliver(w, file, path, locked, fill, arg, err))
		return true;
	if (err->code != BKC_ERR_NO_SPACE || path != w->path || w->spool_top[0] == '\0')
		return false;

	/* what is needed now goes before what may be needed next */
	bkc_walspool_clear(w);
	return deliver(w, file, path, locked, fill, arg, err);
}
