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
#include "base/host.h"
#include "common/file_perm.h"
#include "crypto/digest.h"
#include "format/walscan.h"
#include "miscadmin.h"
#include "pipe/owner.h"
#include "pipe/walobj.h"
#include "pipe/walproof.h"
#include "spool.h"
#include "walbeyond.h"

#define POSITION_ATTEMPTS	20
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

TimeLineID
bkc_history_timeline(const BkcHistoryEntry *entries, size_t n, TimeLineID timeline,
					 XLogSegNo segno)
{
	for (size_t i = n; i-- > 0;)
		if (segno < entries[i].switch_lsn / wal_segment_size)
			timeline = entries[i].timeline;
	return timeline;
}

/*
 * Up to where an object that bkc_owner_wal_beyond() has named reaches.  Of a damaged chunk nothing
 * is known but where it begins.
 */
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
	if (bkc_wal_info(store, name, &info, err))
		*end = info.end_lsn;
	else if ((err->code == BKC_ERR_CORRUPT || err->code == BKC_ERR_UNSUPPORTED) &&
			 bkc_name_parse_wal(name, &parsed) && parsed.type == BKC_WALNAME_CHUNK &&
			 bkc_wal_segment_parse(parsed.file, wal_segment_size, &timeline, &segno))
		*end = segno * wal_segment_size + parsed.offset + 1;
	else
		return false;
	return true;
}

/* The digest of that stretch of pg_wal; *there = false when the file is gone or shorter. */
static bool
hash_local(const BkcWalInfo *info, uint8_t sha256[BKC_SHA256_SIZE], bool *there, BkcError *err)
{
	char		path[MAXPGPATH];

	snprintf(path, sizeof(path), XLOGDIR "/%s", info->file);
	return bkc_walproof_local(path, XLogSegmentOffset(info->start_lsn, wal_segment_size),
							  info->size, sha256, there, err);
}

/*
 * Did we send that ourselves?  Then the file still has that content, or it has been archived and
 * is gone.
 */
static bool
is_ours(BkcStore *store, const char *name, bool *ours, BkcError *err)
{
	BkcWalInfo	info;
	uint8_t		sha256[BKC_SHA256_SIZE];
	bool		there;

	if (!bkc_wal_info(store, name, &info, err))
		return err->code == BKC_ERR_CORRUPT || err->code == BKC_ERR_UNSUPPORTED;
	if (!hash_local(&info, sha256, &there, err))
		return false;
	*ours = !there || memcmp(sha256, info.sha256, sizeof(sha256)) == 0;
	return true;
}

bool
bkc_beyond_position(BkcStore *store, TimeLineID timeline, XLogRecPtr since, BkcBeyond *beyond,
					BkcError *err)
{
	uint64		sysid = GetSystemIdentifier();

	for (int i = 0; i < POSITION_ATTEMPTS; i++)
	{
		bool		ours = false;

		if (!bkc_owner_wal_beyond(store, sysid, timeline, since, wal_segment_size,
								  beyond->name, err))
			return false;
		if (beyond->name[0] == '\0')
			return true;
		if (!object_end(store, beyond->name, &beyond->end, err) ||
			(beyond->end <= GetFlushRecPtr(NULL) && !is_ours(store, beyond->name, &ours, err)))
		{
			/* chunks go when their segment is whole */
			if (err->code != BKC_ERR_NOT_FOUND)
				return false;
			continue;
		}
		if (!ours)
			return true;
		since = beyond->end;
	}
	return bkc_error_set(err, BKC_ERR_UNAVAILABLE, "repository holds much WAL behind this server's start that may not be its own");
}

/* ---- the same content? ---- */

/* An object against the stretch of pg_wal that it holds. */
static bool
compare(BkcStore *store, const char *name, BkcHeld *held, BkcError *err)
{
	BkcWalInfo	info;
	uint8_t		sha256[BKC_SHA256_SIZE];
	bool		there;

	if (!bkc_wal_info(store, name, &info, err))
	{
		*held = BKC_HELD_ABSENT;
		return err->code == BKC_ERR_NOT_FOUND;
	}
	if (!hash_local(&info, sha256, &there, err))
		return false;
	*held = !there ? BKC_HELD_UNKNOWN :
		memcmp(sha256, info.sha256, sizeof(sha256)) == 0 ? BKC_HELD_SAME : BKC_HELD_OTHER;
	return true;
}

bool
bkc_wal_held(BkcStore *store, const char *file, BkcHeld *held, BkcError *err)
{
	char		name[BKC_NAME_MAX];

	*held = BKC_HELD_ABSENT;
	if (!bkc_wal_find(store, GetSystemIdentifier(), file, name, err))
		return err->code == BKC_ERR_NOT_FOUND;
	return compare(store, name, held, err) &&
		(*held == BKC_HELD_ABSENT || bkc_store_sync(store, name, err));
}

/*
 * What lies behind from?  A chunk that differs proves nothing: its end may have been written
 * anew after a crash of the primary; nor does a damaged one.
 */
static bool
common_behind(BkcStore *store, TimeLineID timeline, XLogRecPtr from, XLogRecPtr flush,
			  BkcHeld *held, char name[BKC_NAME_MAX], BkcError *err)
{
	BkcWalName	parsed;
	XLogRecPtr	end;

	*held = BKC_HELD_ABSENT;
	if (!bkc_owner_wal_beyond(store, GetSystemIdentifier(), timeline, from, wal_segment_size,
							  name, err))
		return false;
	if (name[0] == '\0')
		return true;
	if (!object_end(store, name, &end, err))
		return err->code == BKC_ERR_NOT_FOUND;
	if (end > flush || !bkc_name_parse_wal(name, &parsed))
		return true;
	if (parsed.type == BKC_WALNAME_SEGMENT)
		return bkc_wal_held(store, parsed.file, held, err);
	if (!compare(store, name, held, err))
	{
		*held = BKC_HELD_ABSENT;
		return err->code == BKC_ERR_CORRUPT || err->code == BKC_ERR_UNSUPPORTED;
	}
	if (*held == BKC_HELD_OTHER)
		*held = BKC_HELD_ABSENT;
	return true;
}

bool
bkc_wal_common(BkcStore *store, TimeLineID timeline, XLogRecPtr after, XLogRecPtr flush,
			   BkcHeld *held, char name[BKC_NAME_MAX], BkcError *err)
{
	static const XLogSegNo back[] = {0, 1, 2, 3, 4, 8, 16, 32};
	XLogSegNo	segno = flush / wal_segment_size;

	*held = BKC_HELD_ABSENT;
	for (int i = 0; i < lengthof(back) && back[i] <= segno; i++)
	{
		XLogRecPtr	from = (segno - back[i]) * wal_segment_size;

		if (!common_behind(store, timeline, Max(from, after), flush, held, name, err))
			return false;
		if (*held == BKC_HELD_SAME || *held == BKC_HELD_OTHER)
			return true;
		if (from <= after)
			break;
	}
	*held = BKC_HELD_ABSENT;
	return true;
}

/* ---- chunks beside a whole segment ---- */

#define COMPARE_PATH	BKC_SPOOL_DIR "/segment"

typedef struct Chunks
{
	BkcStore   *store;
	const char *file;
	char		path[MAXPGPATH];	/* of the whole segment; "" = not fetched yet */
	const uint64 *ours;
	int			nours;
	char	   *name;			/* of one that does not agree */
} Chunks;

/* The segment as readers get it, into a file that the next one overwrites. */
static bool
fetch_whole(Chunks *chunks, BkcError *err)
{
	char		name[BKC_NAME_MAX];
	BkcWalInfo	info;
	int			fd;
	bool		ok;

	if (!bkc_dir_create(BKC_SPOOL_DIR, pg_dir_create_mode, err) ||
		!bkc_wal_find(chunks->store, GetSystemIdentifier(), chunks->file, name, err))
		return false;
	fd = open(COMPARE_PATH, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
			  pg_file_create_mode);
	if (fd < 0)
		return bkc_error_os(err, errno, "could not create file \"%s\"", COMPARE_PATH);
	strlcpy(chunks->path, COMPARE_PATH, sizeof(chunks->path));
	ok = bkc_wal_read(chunks->store, name, wal_segment_size, fd, COMPARE_PATH, &info, err);
	close(fd);
	return ok;
}

static bool
chunk_agrees(Chunks *chunks, const char *name, bool *agrees, BkcError *err)
{
	BkcWalInfo	info;
	uint8_t		sha256[BKC_SHA256_SIZE];
	bool		there;

	*agrees = true;
	if (!bkc_wal_info(chunks->store, name, &info, err))
	{
		*agrees = err->code == BKC_ERR_NOT_FOUND;
		return err->code == BKC_ERR_NOT_FOUND || err->code == BKC_ERR_CORRUPT ||
			err->code == BKC_ERR_UNSUPPORTED;
	}
	for (there = false; !there;)
	{
		bool		fetched = chunks->path[0] == '\0';

		if ((fetched && !fetch_whole(chunks, err)) ||
			!bkc_walproof_local(chunks->path,
								XLogSegmentOffset(info.start_lsn, wal_segment_size),
								info.size, sha256, &there, err))
			return false;
		if (fetched)
			break;
		if (!there)
			chunks->path[0] = '\0'; /* recycled just now */
	}
	*agrees = there && memcmp(sha256, info.sha256, sizeof(sha256)) == 0;
	return true;
}

static bool
chunk_each(void *arg, const char *name, uint64_t size, BkcError *err)
{
	Chunks	   *chunks = arg;
	BkcWalName	parsed;
	bool		agrees = true;

	if (chunks->name[0] != '\0' || !bkc_name_parse_wal(name, &parsed) ||
		parsed.type != BKC_WALNAME_CHUNK)
		return true;
	for (int i = 0; i < chunks->nours; i++)
		if (chunks->ours[i] == parsed.generation)
			return true;
	if (!chunk_agrees(chunks, name, &agrees, err))
		return false;
	if (!agrees)
		strlcpy(chunks->name, name, BKC_NAME_MAX);
	return true;
}

bool
bkc_wal_chunks_agree(BkcStore *store, const char *file, bool local, const uint64 *ours,
					 int nours, char name[BKC_NAME_MAX], BkcError *err)
{
	Chunks		chunks = {.store = store, .file = file, .ours = ours, .nours = nours, .name = name};
	char		folder[BKC_NAME_MAX];
	bool		ok;

	name[0] = '\0';
	if (local)
		snprintf(chunks.path, sizeof(chunks.path), XLOGDIR "/%s", file);
	ok = bkc_name_wal_chunks(GetSystemIdentifier(), file, folder, err) &&
		bkc_store_list(store, folder, false, chunk_each, &chunks, err);
	(void) unlink(COMPARE_PATH);
	return ok;
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
		return bkc_wal_read(store, name, wal_segment_size, fd, path, &info, err);
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
