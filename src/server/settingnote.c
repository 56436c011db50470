/*
 * settingnote.c
 *		See settingnote.h.
 *
 * PostgreSQL does not tell who changes a setting, nor when.  So the last event of the kind
 * "setting" holds all of them, and after a start or a reload they are compared with it.  There are
 * no secrets among them: settings and URLs name files.
 */
#include "pgcompat.h"

#include "access/xlog.h"
#include "event.h"
#include "schedule.h"
#include "settingnote.h"
#include "shared.h"
#include "spool.h"
#include "sqlrun.h"
#include "utils/memutils.h"

void
bkc_settingnote_request(void)
{
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	bkc_shared->settings_noted = false;
	LWLockRelease(bkc_shared->lock);
	bkc_schedule_request();
}

static char *
keep(int column)
{
	char	   *text = bkc_sqlrun_value(0, column);

	return text == NULL ? NULL : MemoryContextStrdup(bkc_sqlrun_outer_context(), text);
}

static void
find_changes(void *arg)
{
	BkcEvent   *event = arg;
	char		owner[BKC_OWNER_ID_MAX];
	const char *values[2] = {owner, psprintf("%u", GetWALInsertionTimeLine())};

	bkc_spool_owner(owner);
	bkc_sqlrun_begin();
	bkc_sqlrun_exec("SELECT kind, severity, message, detail"
					" FROM %s.backup_setting_changes($1, $2::bigint)", SPI_OK_SELECT, 2, values);
	if (SPI_processed > 0)
	{
		event->kind = keep(1);
		event->severity = keep(2);
		event->message = keep(3);
		event->detail = keep(4);
	}
	bkc_sqlrun_finish();
}

void
bkc_settingnote(void)
{
	BkcEvent	event = {0};
	bool		due;

	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	due = !bkc_shared->settings_noted;
	bkc_shared->settings_noted = true;	/* before they are read: a reload may come now */
	LWLockRelease(bkc_shared->lock);
	if (!due)
		return;
	if (bkc_sqlrun_try(find_changes, &event, 1, "compare the settings with those noted last") &&
		(event.kind == NULL || bkc_event(&event) != 0))
		return;
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	bkc_shared->settings_noted = false;
	LWLockRelease(bkc_shared->lock);
}
