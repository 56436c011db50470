/*
 * clockjump.c
 *		See clockjump.h.
 *
 * Shared memory first, then the mark: in between retention is stopped already, and a mark that
 * stays when it should not has only to be confirmed again.
 */
#include "pgcompat.h"

#include <stdlib.h>
#include <time.h>

#include "access/xlog.h"
#include "base/error.h"
#include "clock.h"
#include "clockjump.h"
#include "errors.h"
#include "marks.h"
#include "shared.h"

#define CLOCK_JUMP	((int64) USECS_PER_HOUR)

/* the launcher's: the mark does not say what shared memory does */
static bool unwritten = false;

/* What was seen before the server's start. */
static bool
load(void)
{
	BkcMark		mark;
	BkcError	err;

	if (!bkc_mark_read(BKC_MARK_CLOCK, &mark, &err))
	{
		bkc_ereport(LOG, &err);
		return false;
	}
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	bkc_shared->clock_jump = mark.valid ? strtoll(mark.note, NULL, 10) : 0;
	bkc_shared->clock_known = true;
	LWLockRelease(bkc_shared->lock);
	if (mark.valid)
		ereport(LOG,
				(errmsg("pg_backupctl: the clock of this machine had jumped before the server's start"),
				 errhint("Until backup_clock_is_right() is called, nothing is removed by retention.")));
	return true;
}

static void
save(void)
{
	char		note[BKC_MARK_NOTE_MAX];
	int64		jump;
	BkcError	err;

	(void) bkc_clockjump_get(&jump);
	unwritten = false;
	if (jump == 0)
	{
		bkc_mark_remove(BKC_MARK_CLOCK);
		return;
	}
	snprintf(note, sizeof(note), "%lld", (long long) jump);
	if (bkc_mark_write(BKC_MARK_CLOCK, GetWALInsertionTimeLine(), note, &err))
		return;
	unwritten = true;
	bkc_ereport(LOG, &err);
}

void
bkc_clockjump_watch(void)
{
	struct timespec ts;
	int64		offset;
	int64		jump;

	if (!bkc_shared->clock_known && !load())
		return;
	/* BOOTTIME counts while the machine sleeps, unlike MONOTONIC */
	if (clock_gettime(CLOCK_BOOTTIME, &ts) != 0)
		return;
	offset = bkc_clock_machine() - ((int64) ts.tv_sec * USECS_PER_SEC + ts.tv_nsec / 1000);
	jump = bkc_shared->clock_offset == 0 ? 0 : offset - bkc_shared->clock_offset;
	bkc_shared->clock_offset = offset;	/* nobody else uses it */
	if (llabs(jump) >= CLOCK_JUMP)
	{
		LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);

		/* one that is set right again has not jumped */
		bkc_shared->clock_jump += jump;
		if (llabs(bkc_shared->clock_jump) < CLOCK_JUMP)
			bkc_shared->clock_jump = 0;
		LWLockRelease(bkc_shared->lock);
		unwritten = true;
		ereport(WARNING,
				(errmsg("pg_backupctl: the clock of this machine has jumped by %lld seconds",
						(long long) (jump / USECS_PER_SEC)),
				 errhint("Until backup_clock_is_right() is called or the clock is set back, nothing is removed by retention.")));
	}
	if (unwritten)
		save();
}

bool
bkc_clockjump_get(int64 *jump)
{
	bool		known;

	LWLockAcquire(bkc_shared->lock, LW_SHARED);
	*jump = bkc_shared->clock_jump;
	known = bkc_shared->clock_known;
	LWLockRelease(bkc_shared->lock);
	return known;
}

bool
bkc_clockjump_confirm(void)
{
	bool		had_jumped;

	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	had_jumped = bkc_shared->clock_jump != 0;
	bkc_shared->clock_jump = 0;
	bkc_shared->clock_confirmed = true;
	LWLockRelease(bkc_shared->lock);
	bkc_mark_remove(BKC_MARK_CLOCK);
	return had_jumped;
}
