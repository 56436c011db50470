/*
 * healthlook.c
 *		See healthlook.h.  What is told, and when, is decided by backup_health_look().
 */
#include "pgcompat.h"

#include "event.h"
#include "healthlook.h"
#include "settings.h"
#include "shared.h"
#include "sqlrun.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* By the real clock: a test's that runs faster is for schedules.  The lock is held. */
static TimestampTz
next_look(void)
{
	return TimestampTzPlusMilliseconds(bkc_shared->health_tried,
									   (int64) bkc_set_health_interval * 1000);
}

/* Also when the clock was set back. */
bool
bkc_health_due(void)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz next = next_look();

	return bkc_set_enabled && bkc_set_health_interval > 0 &&
		(now >= next || next - now > (int64) bkc_set_health_interval * USECS_PER_SEC);
}

void
bkc_health_ask(void)
{
	bkc_shared->health_tried = GetCurrentTimestamp();
	bkc_shared->health_wanted = true;
}

long
bkc_health_nap(long max)
{
	long		left;

	if (!bkc_set_enabled || bkc_set_health_interval == 0)
		return max;
	LWLockAcquire(bkc_shared->lock, LW_SHARED);
	left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), next_look());
	LWLockRelease(bkc_shared->lock);
	return Min(max, left);
}

typedef struct Told
{
	uint64		n;
	int64	   *ids;
	char	  **severities;
} Told;

static void
look(void *arg)
{
	Told	   *t = arg;

	bkc_sqlrun_begin();
	bkc_sqlrun_exec("SELECT id, severity FROM %s.backup_health_look()", SPI_OK_SELECT, 0, NULL);
	t->n = SPI_processed;
	t->ids = MemoryContextAlloc(bkc_sqlrun_outer_context(), sizeof(*t->ids) * (t->n + 1));
	t->severities = MemoryContextAlloc(bkc_sqlrun_outer_context(),
									   sizeof(*t->severities) * (t->n + 1));
	for (uint64 i = 0; i < t->n; i++)
	{
		t->ids[i] = strtoll(bkc_sqlrun_value(i, 1), NULL, 10);
		t->severities[i] = MemoryContextStrdup(bkc_sqlrun_outer_context(), bkc_sqlrun_value(i, 2));
	}
	bkc_sqlrun_finish();
}

void
bkc_health_look(void)
{
	Told		told = {0};
	bool		wanted;

	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	wanted = bkc_shared->health_wanted;
	bkc_shared->health_wanted = false;
	LWLockRelease(bkc_shared->lock);
	if (!wanted || !bkc_sqlrun_try(look, &told, 1, "look at backup_health"))
		return;
	for (uint64 i = 0; i < told.n; i++)
		bkc_event_added(told.ids[i], "health", told.severities[i]);
}
