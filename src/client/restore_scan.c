/*
 * restore_scan.c
 *		What stands in WAL where the goal is.
 *
 * Segments are put together as wal-get will do it and read like recovery
 * does.  One at a time lies in memory when it is not larger than usual, else in a
 * temporary file without a name.
 */
#include "restore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/host.h"
#include "base/text.h"
#include "format/walscan.h"
#include "pipe/stages.h"
#include "pipe/walobj.h"

#define IN_MEMORY_MAX	(64 * 1024 * 1024)
#define READ_SIZE		(64 * 1024)
#define SEGMENT_NAME	"WAL segment"	/* what errors call the file */

typedef struct Scan
{
	BkcRestore *r;
	BkcWalScanner *scanner;
	uint64_t	from;
	bool		times_only;		/* nothing is looked for */
	bool		found;
	uint64_t	lsn;			/* of what was found */
	int64_t		latest;
	int			fd;
	uint8_t    *buffer;
} Scan;

/* ---- one segment ---- */

/* A file that nobody sees and that is gone with the program. */
static int
make_file(uint32_t segment_size, BkcError *err)
{
	const char *folder = getenv("TMPDIR");
	int			fd;

	if (folder == NULL || folder[0] != '/')
		folder = "/tmp";
	if (segment_size <= IN_MEMORY_MAX)
	{
		fd = memfd_create("pg_backupctl", MFD_CLOEXEC);
		if (fd >= 0)
			return fd;
	}
	fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
	{
		bkc_error_os(err, errno, "could not create a temporary file in \"%s\"", folder);
		bkc_error_hint(err, "Set TMPDIR to a folder on a local file system.");
	}
	return fd;
}

/* From the backup's own packs. */
static bool
read_own(Scan *scan, const BkcEntry *entry, BkcError *err)
{
	const BkcRestore *r = scan->r;
	BkcUnpacker *unpacker = NULL;
	BkcStage   *sink = bkc_stage_file_new(err);
	bool		ok;

	if (sink == NULL)
		return false;
	bkc_stage_file_target(sink, scan->fd, SEGMENT_NAME);
	ok = bkc_unpacker_new(r->session.store, r->backup, sink, NULL, NULL, &unpacker, err) &&
		bkc_unpack_file(unpacker, entry, err);
	bkc_unpacker_close(unpacker);
	return ok;
}

static bool
fetch_once(Scan *scan, const char *segment, BkcError *err)
{
	const BkcRestore *r = scan->r;
	const BkcEntry *entry;
	BkcWalInfo	info;
	char		name[BKC_NAME_MAX];
	uint64_t	end;
	int64_t		time;

	if (ftruncate(scan->fd, 0) != 0 || lseek(scan->fd, 0, SEEK_SET) != 0)
		return bkc_error_os(err, errno, "could not empty a temporary file");
	if (bkc_wal_find(r->session.store, r->session.sysid, segment, name, err))
		return bkc_wal_read(r->session.store, name, r->backup->header.wal_segment_size,
							scan->fd, SEGMENT_NAME, &info, err);
	if (err->code != BKC_ERR_NOT_FOUND)
		return false;
	entry = bkc_backup_find_wal(r->backup, segment);
	if (entry != NULL)
		return read_own(scan, entry, err);
	return bkc_wal_chunks_read(r->session.store, r->session.sysid, segment,
							   r->backup->header.wal_segment_size, r->way.reach.end_lsn,
							   scan->fd, SEGMENT_NAME, &end, &time, err);
}

/*
 * The segment's bytes into the file: whole, from the backup, or from its chunks.  Those go when it
 * has become whole.
 */
static bool
fetch(Scan *scan, const char *segment, BkcError *err)
{
	return fetch_once(scan, segment, err) ||
		((err->code == BKC_ERR_UNAVAILABLE || err->code == BKC_ERR_NOT_FOUND) &&
		 fetch_once(scan, segment, err));
}

/*
 * On which timeline recovery will find that segment: the newest one that had
 * begun in it or before; its parent's where the fork's own was never sent.
 */
static uint32_t
timeline_of(const BkcRestore *r, uint64_t segno)
{
	const BkcWay *way = &r->way;
	uint32_t	size = r->backup->header.wal_segment_size;
	bool		last = segno == (way->reach.end_lsn - 1) / size;
	char		name[BKC_WAL_NAME_MAX];

	for (size_t i = way->path.n; i > 0; i--)
	{
		const BkcWalLeg *leg = &way->path.legs[i - 1];

		if (leg->begin / size > segno)
			continue;
		bkc_wal_segment_name(leg->timeline, segno, size, name);
		if (bkc_walmap_has(way->map, leg->timeline, segno) ||
			(last && way->reach.timeline == leg->timeline) ||
			bkc_backup_find_wal(r->backup, name) != NULL)
			return leg->timeline;
	}
	return way->reach.timeline;
}

/* ---- what is looked for ---- */

static void
look_at_xact(void *arg, const BkcWalXact *xact, bool *stop)
{
	Scan	   *scan = arg;
	const BkcGoal *goal = &scan->r->goal;
	bool		found = false;

	if (xact->time > scan->latest)
		scan->latest = xact->time;
	if (goal->kind == BKC_GOAL_TIME && xact->lsn >= scan->r->backup->header.start_lsn)
		found = goal->exclusive ? xact->time >= goal->time : xact->time > goal->time;
	else if (goal->kind == BKC_GOAL_XID)
		found = xact->xid == goal->xid && xact->lsn >= scan->from;
	if (!found || scan->times_only)
		return;
	scan->found = *stop = true;
	scan->lsn = xact->lsn;
}

static void
look_at_point(void *arg, const BkcWalPoint *point, bool *stop)
{
	Scan	   *scan = arg;
	const BkcGoal *goal = &scan->r->goal;

	if (scan->times_only || goal->kind != BKC_GOAL_NAME || point->lsn < scan->from ||
		strcmp(point->name, goal->name) != 0)
		return;
	scan->found = *stop = true;
	scan->lsn = point->lsn;
}

static bool
scan_file(Scan *scan, uint64_t size, BkcError *err)
{
	const BkcGoal *goal = &scan->r->goal;
	uint64_t	offset = 0;
	size_t		got;

	while (offset < size && !scan->found && !bkc_walscan_ended(scan->scanner))
	{
		size_t		want = size - offset < READ_SIZE ? (size_t) (size - offset) : READ_SIZE;

		if (!bkc_host_check(err) ||
			!bkc_file_pread(scan->fd, SEGMENT_NAME, scan->buffer, want, offset, &got, err))
			return false;
		if (got == 0)
			break;
		offset += got;
		if (!bkc_walscan_feed(scan->scanner, scan->buffer, got, err))
			return false;
		if (goal->kind == BKC_GOAL_LSN && !scan->times_only &&
			bkc_walscan_last(scan->scanner) >= goal->lsn)
			scan->found = true;
	}
	return true;
}

/*
 * Nothing that is not WAL may stand between segments: recovery would end
 * there, and what follows would be lost without a word.
 */
static bool
broken_wal(const Scan *scan, const char *segment, BkcError *err)
{
	char		lsn[24];

	bkc_format_lsn(bkc_walscan_lsn(scan->scanner), lsn, sizeof(lsn));
	bkc_error_set(err, BKC_ERR_CORRUPT, "WAL is not valid from %s on", lsn);
	bkc_error_detail(err, "WAL segment %s is as it was archived, but recovery would end there.", segment);
	return bkc_error_hint(err, "A target before it can be restored.");
}

static bool
scan_segments(Scan *scan, uint64_t from, BkcError *err)
{
	BkcRestore *r = scan->r;
	uint32_t	size = r->backup->header.wal_segment_size;
	uint64_t	last = (r->way.reach.end_lsn - 1) / size;
	char		segment[BKC_WAL_NAME_MAX];

	for (uint64_t segno = from / size; segno <= last && !scan->found; segno++)
	{
		uint64_t	left = r->way.reach.end_lsn - segno * size;

		/* behind a fork the parent's segment is of another way */
		bkc_wal_segment_name(timeline_of(r, segno), segno, size, segment);
		if (!fetch(scan, segment, err) || !scan_file(scan, left < size ? left : size, err))
			return bkc_error_context(err, "WAL segment %s", segment);
		if (!scan->found && bkc_walscan_ended(scan->scanner) && segno < last)
			return broken_wal(scan, segment, err);
	}
	return true;
}

static bool
scan_from(BkcRestore *r, uint64_t from, bool times_only, BkcGoalScan *result, BkcError *err)
{
	uint32_t	size = r->backup->header.wal_segment_size;
	Scan		scan = {.r = r, .from = from, .times_only = times_only, .fd = -1};
	bool		ok = false;

	memset(result, 0, sizeof(*result));
	scan.buffer = malloc(READ_SIZE);
	if (scan.buffer == NULL)
		return bkc_error_oom(err);
	if (from >= r->way.reach.end_lsn)
		from = r->way.reach.end_lsn - 1;	/* what ends there has to be seen */
	scan.fd = make_file(size, err);
	if (scan.fd < 0)
		goto done;
	if (!bkc_walscan_new(from - from % size, size, look_at_xact, look_at_point, &scan,
						 &scan.scanner, err))
		goto done;
	ok = scan_segments(&scan, from, err);
	if (!ok)
		goto done;
	result->found = scan.found;
	result->lsn = scan.lsn;
	result->latest = scan.latest;
	result->last = bkc_walscan_last(scan.scanner);
	result->end = bkc_walscan_lsn(scan.scanner);

done:
	bkc_walscan_free(scan.scanner);
	if (scan.fd >= 0)
		close(scan.fd);
	free(scan.buffer);
	return ok;
}

bool
bkc_restore_scan(BkcRestore *r, uint64_t from, BkcGoalScan *scan, BkcError *err)
{
	return scan_from(r, from, false, scan, err);
}

bool
bkc_restore_scan_times(BkcRestore *r, uint64_t from, BkcGoalScan *scan, BkcError *err)
{
	return scan_from(r, from, true, scan, err);
}
