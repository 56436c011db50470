/*
 * walbeyond.c
 *		See walbeyond.h.
 */
#include "pgcompat.h"

#include <fcntl.h>
#include <unistd.h>

#include "access/xlog_internal.h"
#include "base/buffer.h"
#include "base/file.h"
#include "common/file_perm.h"
#include "format/walscan.h"
#include "miscadmin.h"
#include "pipe/owner.h"
#include "pipe/walobj.h"
#include "spool.h"
#include "walbeyond.h"

#define POSITION_ATTEMPTS	10
#define HISTORY_MAX			(1024 * 1024)
#define READ_SIZE			65536

bool
bkc_server_history(TimeLineID timeline, BkcHistoryEntry **entries, size_t *n, BkcError *err)
{
	char		path[MAXPGPATH];
	BkcBuffer	text = {0};
	bool		ok;

	*entries = NULL;
	*n = 0;
	if (timeline == 1)
		return true;
	TLHistoryFilePath(path, timeline);
	ok = bkc_file_slurp(path, HISTORY_MAX, &text, err) &&
		bkc_wal_history_parse(bkc_buffer_str(&text), text.len, timeline, entries, n, err);
	bkc_buffer_free(&text);
	return ok;
}

/* Up to where an object that bkc_owner_wal_beyond() has named reaches. */
static bool
object_end(BkcStore *store, const char *name, XLogRecPtr *end, BkcError *err)
{
	BkcWalName	parsed;
	BkcWalInfo	info;
	uint32_t	timeline;
	uint64_t	segno;

	if (bkc_name_parse_wal(name, &parsed) && parsed.type == BKC_WALNAME_SEGMENT &&
		bkc_wal_segment_parse(parsed.file, wal_segment_size, &timeline, &segno))
	{
		*end = (segno + 1) * wal_segment_size;
		return true;
	}
	if (!bkc_wal_info(store, name, &info, err))
		return false;
	*end = info.end_lsn;
	return true;
}

bool
bkc_beyond_position(BkcStore *store, BkcBeyond *beyond, BkcError *err)
{
	uint64		sysid = GetSystemIdentifier();

	/*
	 * What is found may have been sent by ourselves after we looked at our
	 * position; only what lies beyond the position of now is somebody else's.
	 */
	for (int i = 0; i < POSITION_ATTEMPTS; i++)
	{
		TimeLineID	timeline;
		XLogRecPtr	position = GetFlushRecPtr(&timeline);

		if (!bkc_owner_wal_beyond(store, sysid, timeline, position, wal_segment_size,
								  beyond->name, err))
			return false;
		if (beyond->name[0] == '\0')
			return true;
		if (!object_end(store, beyond->name, &beyond->end, err))
		{
			if (err->code != BKC_ERR_NOT_FOUND)
				return false;
			continue;			/* a chunk of ours whose segment is whole now */
		}
		if (beyond->end > GetFlushRecPtr(NULL))
			return true;
	}
	beyond->name[0] = '\0';
	return true;
}

/* ---- the fork ---- */

/* One segment of the repository, whole or from chunks, into a file. */
static bool
fetch_segment(BkcStore *store, TimeLineID timeline, XLogSegNo segno, int fd, const char *path,
			  BkcError *err)
{
	uint64		sysid = GetSystemIdentifier();
	char		segment[BKC_WAL_NAME_MAX];
	char		name[BKC_NAME_MAX];
	BkcWalInfo	info;
	uint64_t	end;
	int64_t		time;

	bkc_wal_segment_name(timeline, segno, wal_segment_size, segment);
	if (bkc_wal_find(store, sysid, segment, name, err))
		return bkc_wal_read(store, name, fd, path, &info, err);
	return err->code == BKC_ERR_NOT_FOUND &&
		bkc_wal_chunks_read(store, sysid, segment, wal_segment_size, UINT64_MAX, fd, path,
							&end, &time, err);
}

static bool
feed_file(BkcWalScanner *scanner, int fd, const char *path, BkcError *err)
{
	char	   *data = malloc(READ_SIZE);
	uint64		at = 0;
	size_t		got;
	bool		ok;

	if (data == NULL)
		return bkc_error_oom(err);
	do
	{
		ok = bkc_file_pread(fd, path, data, READ_SIZE, at, &got, err) &&
			bkc_walscan_feed(scanner, data, got, err);
		at += got;
	} while (ok && got == READ_SIZE && !bkc_walscan_ended(scanner));
	free(data);
	return ok;
}

/* Scan segment after segment until a record ends behind the fork or there is none. */
static bool
scan_from(BkcStore *store, TimeLineID timeline, XLogRecPtr fork, BkcWalScanner *scanner,
		  int fd, const char *path, XLogSegNo *segno, XLogRecPtr *end, BkcError *err)
{
	while (*end <= fork && !bkc_walscan_ended(scanner))
	{
		if (lseek(fd, 0, SEEK_SET) < 0 || ftruncate(fd, 0) < 0)
			return bkc_error_os(err, errno, "could not rewind file \"%s\"", path);
		if (!fetch_segment(store, timeline, *segno, fd, path, err))
			return err->code == BKC_ERR_NOT_FOUND;
		(*segno)++;
		if (!feed_file(scanner, fd, path, err))
			return false;
		*end = bkc_walscan_lsn(scanner);
	}
	return true;
}

/*
 * Behind the last whole record, as far as that is of interest (not beyond the first after
 * fork), and the first segment that was not read for that.
 */
static bool
last_record(BkcStore *store, TimeLineID timeline, XLogRecPtr fork, XLogSegNo *segno,
			XLogRecPtr *end, BkcError *err)
{
	char		path[MAXPGPATH];
	BkcWalScanner *scanner = NULL;
	XLogRecPtr	start = fork - XLogSegmentOffset(fork, wal_segment_size);
	int			fd;
	bool		ok;

	*end = start;
	XLByteToSeg(fork, *segno, wal_segment_size);
	if (!bkc_dir_create(BKC_SPOOL_DIR, pg_dir_create_mode, err))
		return false;
	snprintf(path, sizeof(path), "%s/fork.%d", BKC_SPOOL_DIR, MyProcPid);
	(void) unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, pg_file_create_mode);
	if (fd < 0)
		return bkc_error_os(err, errno, "could not create file \"%s\"", path);
	(void) unlink(path);
	ok = bkc_walscan_new(start, wal_segment_size, NULL, NULL, NULL, &scanner, err) &&
		scan_from(store, timeline, fork, scanner, fd, path, segno, end, err);
	bkc_walscan_free(scanner);
	close(fd);
	return ok;
}

bool
bkc_beyond_fork(BkcStore *store, TimeLineID timeline, XLogRecPtr fork, BkcBeyond *beyond,
				BkcError *err)
{
	uint64		sysid = GetSystemIdentifier();
	char		later[BKC_NAME_MAX];
	XLogSegNo	segno;
	XLogRecPtr	end;

	if (!bkc_owner_wal_beyond(store, sysid, timeline, fork, wal_segment_size, beyond->name, err))
		return false;
	if (beyond->name[0] == '\0')
		return true;
	if (!last_record(store, timeline, fork, &segno, &end, err) ||
		!bkc_owner_wal_beyond(store, sysid, timeline, segno * wal_segment_size, wal_segment_size,
							  later, err))
		return false;
	if (end <= fork && later[0] == '\0')
	{
		/* what a crash left of a record: nobody ever read it */
		beyond->name[0] = '\0';
		return true;
	}
	return object_end(store, beyond->name, &beyond->end, err);
}
