/*
 * archivetime.c
 *		See archivetime.h.
 */
#include "pgcompat.h"

#include <unistd.h>

#include "access/xlog_internal.h"
#include "archivetime.h"
#include "base/file.h"
#include "catalog/pg_control.h"
#include "chunktidy.h"
#include "format/pgfiles.h"
#include "port/pg_crc32c.h"
#include "settings.h"
#include "utils/timestamp.h"
#include "walhelper.h"
#include "walnext.h"
#include "walshared.h"

#define LOOK_MS		500			/* between two looks at what happens meanwhile */

static const char *sending;		/* the file that PostgreSQL has given us */
static int	sharing;			/* repositories that want a share of the last cycle's time */
static TimestampTz began;		/* this file in this repository */
static TimestampTz deadline;	/* of it */
static TimestampTz looked_at;	/* when we last looked around */
static bool last_cycle;
static TimestampTz end;			/* of the last cycle */

/*
 * Is this the archiver's last cycle, for which the postmaster waits?  The
 * checkpointer has written the shutdown checkpoint before it begins.  Does not
 * raise; a file that is just being written counts as "no", and is looked at again.
 */
static bool
is_shut_down(void)
{
	ControlFileData control;
	BkcError	err;
	pg_crc32c	crc;
	size_t		got;
	int			fd;
	bool		ok;

	fd = bkc_file_open_read(XLOG_CONTROL_FILE, &err);
	if (fd < 0)
		return false;
	ok = bkc_file_pread(fd, XLOG_CONTROL_FILE, &control, sizeof(control), 0, &got, &err) &&
		got == sizeof(control);
	close(fd);
	if (!ok)
		return false;
	INIT_CRC32C(crc);
	COMP_CRC32C(crc, &control, offsetof(ControlFileData, crc));
	FIN_CRC32C(crc);
	return EQ_CRC32C(crc, control.crc) &&
		(control.state == DB_SHUTDOWNED || control.state == DB_SHUTDOWNED_IN_RECOVERY);
}

/* The last cycle may begin while we are at a file that was begun with plenty of time. */
static void
look_for_shutdown(TimestampTz now)
{
	last_cycle = is_shut_down();
	if (!last_cycle)
	{
		bkc_wal->shutdown_began = 0;
		return;
	}
	if (bkc_wal->shutdown_began == 0)
		bkc_wal->shutdown_began = now;
	end = TimestampTzPlusMilliseconds(bkc_wal->shutdown_began,
									  (int64) bkc_set_shutdown_timeout * 1000);
	deadline = Min(deadline, now + Max(end - now, 0) / Max(sharing, 1));
}

static uint32
listed(void)
{
	uint32		repos = 0;

	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	for (int r = 0; r < BKC_MAX_REPOS; r++)
		if (bkc_wal->repos[r].listed)
			repos |= 1u << r;
	LWLockRelease(bkc_wal->lock);
	return repos;
}

/*
 * Are helpers worth their start?  When the segment behind this one is ready, too, or what waits
 * behind a file that is no segment; or when we are at one of several repositories for a while,
 * and the others have only what we are at.
 */
static bool
helpers_pay(TimestampTz now)
{
	uint32		repos = listed();
	TimeLineID	timeline;
	XLogSegNo	segno;
	char		next[MAXFNAMELEN];

	if ((repos & (repos - 1)) != 0 && TimestampDifferenceExceeds(began, now, LOOK_MS))
		return true;
	if (!bkc_wal_is_segment(sending))
		return bkc_walnext_waits(repos);
	XLogFromFileName(sending, &timeline, &segno, wal_segment_size);
	XLogFileName(next, timeline, segno + 1, wal_segment_size);
	return bkc_tidy_is_ready(next);
}

/* What may change while a file is being sent: more becomes ready, the server is shut down. */
static void
look_around(TimestampTz now)
{
	looked_at = now;
	look_for_shutdown(now);
	if (!last_cycle && helpers_pay(now))
		bkc_walhelpers_start();
}

void
bkc_archive_begin(const char *file, int sharers)
{
	began = GetCurrentTimestamp();
	sending = file;
	sharing = sharers;
	deadline = TimestampTzPlusMilliseconds(began, (int64) bkc_set_archive_timeout * 1000);
	look_around(began);
}

bool
bkc_archive_time_is_up(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (!last_cycle && TimestampDifferenceExceeds(looked_at, now, LOOK_MS))
		look_around(now);
	return now >= deadline;
}

bool
bkc_archive_last_cycle(void)
{
	return last_cycle;
}

bool
bkc_archive_all_time_is_up(void)
{
	return last_cycle && GetCurrentTimestamp() >= end;
}
