/*
 * walproof.c
 *		See walproof.h.
 */
#include "pipe/walproof.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/host.h"
#include "base/text.h"
#include "pipe/walobj.h"

#define SEGMENT_MIN		(1024 * 1024)
#define SEGMENT_MAX		(1024 * 1024 * 1024)
#define READ_SIZE		(64 * 1024)

bool
bkc_walproof_range(const BkcManifestHeader *header, uint64_t *first, uint64_t *last, BkcError *err)
{
	uint32_t	size = header->wal_segment_size;
	char		start[32];
	char		stop[32];

	if (size < SEGMENT_MIN || size > SEGMENT_MAX || (size & (size - 1)) != 0)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "invalid WAL segment size %u", size);
	if (header->start_lsn == 0 || header->stop_lsn <= header->start_lsn)
	{
		bkc_format_lsn(header->start_lsn, start, sizeof(start));
		bkc_format_lsn(header->stop_lsn, stop, sizeof(stop));
		return bkc_error_set(err, BKC_ERR_CORRUPT, "backup \"%s\" is said to reach from %s to %s",
							 header->label, start, stop);
	}
	*first = header->start_lsn / size;

	/* behind the last record: a stop at a segment's first byte does not need it */
	*last = (header->stop_lsn - 1) / size;
	return true;
}

bool
bkc_walproof_content(BkcStore *store, uint64_t sysid, uint32_t timeline, uint64_t segno,
					 uint32_t segment_size, bool read, uint8_t sha256[BKC_SHA256_SIZE],
					 char name[BKC_NAME_MAX], BkcError *err)
{
	char		file[BKC_WAL_NAME_MAX];
	BkcWalInfo	info;
	bool		ok;

	bkc_wal_segment_name(timeline, segno, segment_size, file);
	ok = bkc_wal_find(store, sysid, file, name, err);
	if (ok && read)
		ok = bkc_wal_read(store, name, segment_size, -1, name, &info, err);
	else if (ok)
		ok = bkc_wal_info(store, name, &info, err);
	if (!ok && err->code == BKC_ERR_NOT_FOUND)
		return bkc_error_set(err, BKC_ERR_NOT_FOUND,
							 "WAL segment \"%s\" is not in the archive", file);
	if (!ok)
		return false;
	if (info.system_identifier != sysid || info.timeline != timeline ||
		info.segment_size != segment_size || info.size != segment_size ||
		info.start_lsn != segno * segment_size)
	{
		bkc_error_set(err, BKC_ERR_CORRUPT, "object \"%s\" is not WAL segment \"%s\" of this cluster",
					  name, file);
		return bkc_error_detail(err, "It has %llu bytes of system identifier %llu.",
								(unsigned long long) info.size,
								(unsigned long long) info.system_identifier);
	}
	memcpy(sha256, info.sha256, BKC_SHA256_SIZE);
	return true;
}

bool
bkc_walproof_segment(BkcStore *store, uint64_t sysid, uint32_t timeline, uint64_t segno,
					 uint32_t segment_size, bool read, BkcError *err)
{
	uint8_t		sha256[BKC_SHA256_SIZE];
	char		name[BKC_NAME_MAX];

	return bkc_walproof_content(store, sysid, timeline, segno, segment_size, read, sha256, name,
								err);
}

/* ---- a server's own file ---- */

/* *whole = false when the file ends before. */
static bool
hash_stretch(int fd, const char *path, uint64_t offset, uint64_t size, BkcSha256 *sha,
			 bool *whole, BkcError *err)
{
	uint8_t    *data = malloc(READ_SIZE);
	bool		ok = true;

	*whole = true;
	if (data == NULL)
		return bkc_error_oom(err);
	while (ok && *whole && size > 0)
	{
		size_t		want = size < READ_SIZE ? (size_t) size : READ_SIZE;
		size_t		got = 0;

		ok = bkc_host_check(err) && bkc_file_pread(fd, path, data, want, offset, &got, err) &&
			bkc_sha256_update(sha, data, got, err);
		*whole = got == want;
		offset += got;
		size -= got;
	}
	free(data);
	return ok;
}

/* Has the open file still that name? */
static bool
still_named(int fd, const char *path, bool *named, BkcError *err)
{
	struct stat open_file;
	struct stat file;

	*named = false;
	if (fstat(fd, &open_file) < 0)
		return bkc_error_os(err, errno, "could not stat file \"%s\"", path);
	if (stat(path, &file) < 0)
		return errno == ENOENT || bkc_error_os(err, errno, "could not stat file \"%s\"", path);
	*named = open_file.st_dev == file.st_dev && open_file.st_ino == file.st_ino;
	return true;
}

bool
bkc_walproof_local(const char *path, uint64_t offset, uint64_t size,
				   uint8_t sha256[BKC_SHA256_SIZE], bool *there, BkcError *err)
{
	BkcSha256  *sha;
	int			fd;
	bool		whole;
	bool		ok;

	*there = false;
	fd = bkc_file_open_read(path, err);
	if (fd < 0)
		return err->code == BKC_ERR_NOT_FOUND;
	sha = bkc_sha256_new(err);
	ok = sha != NULL && bkc_sha256_begin(sha, err) &&
		hash_stretch(fd, path, offset, size, sha, &whole, err) &&
		bkc_sha256_end(sha, sha256, err) && still_named(fd, path, there, err);
	*there = ok && *there && whole;
	bkc_sha256_free(sha);
	close(fd);
	return ok;
}
