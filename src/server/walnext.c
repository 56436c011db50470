/*
 * walnext.c
 *		See walnext.h.
 */
#include "pgcompat.h"

#include "access/xlog_internal.h"
#include "base/host.h"
#include "chunktidy.h"
#include "errors.h"
#include "settings.h"
#include "ship.h"
#include "waldisk.h"
#include "walnext.h"
#include "walshared.h"

static bool
segment_waits(const BkcWalTask *task)
{
	char		file[MAXFNAMELEN];

	XLogFileName(file, task->timeline, task->segno, wal_segment_size);
	return bkc_tidy_is_ready(file);
}

/*
 * The first waiting segment behind that one, which itself does not wait; timeline 0 = the first
 * of all.  The folder may change while it is read, so that a file is seen and one that was made
 * before it is not: who has seen the later one asks for the earlier one by its name.
 */
static bool
find_next(const BkcWalTask *from, BkcWalTask *to)
{
	BkcWalTask	before;
	char		after[MAXFNAMELEN] = "";
	char		next[MAXFNAMELEN];
	BkcError	err;

	if (from->timeline != 0)
		XLogFileName(after, from->timeline, from->segno, wal_segment_size);
	if (!bkc_waldisk_next(after, next, &err))
	{
		bkc_ereport(LOG, &err);
		return false;
	}
	if (next[0] == '\0')
		return false;
	to->repo = from->repo;
	XLogFromFileName(next, &to->timeline, &to->segno, wal_segment_size);
	for (before = *to; before.segno > 0; *to = before)
	{
		before.segno--;
		if ((before.timeline == from->timeline && before.segno <= from->segno) ||
			!segment_waits(&before))
			break;
	}
	return from->timeline == 0 || !segment_waits(from);
}

static bool
send_history(const BkcRepoDef *def, int repo, TimeLineID timeline, bool (*time_is_up) (void))
{
	BkcWalTask	task = {.repo = repo};
	char		file[MAXFNAMELEN];
	char		path[MAXPGPATH];
	BkcError	err;
	bool		ok;

	if (bkc_queue_want(&task) != BKC_WAL_TODO)
		return false;
	TLHistoryFileName(file, timeline);
	snprintf(path, sizeof(path), XLOGDIR "/%s", file);
	bkc_error_clear(&err);
	bkc_host_watch(time_is_up);
	ok = bkc_ship_file(def, repo, file, path, true, time_is_up, &err);
	bkc_host_watch(NULL);
	if (ok)
		bkc_queue_note_history(repo, timeline);
	bkc_queue_done(&task, false);
	if (!ok && err.code == BKC_ERR_CANCELLED)
		bkc_ereport(ERROR, &err);
	return ok;
}

/* One that does not wait is everywhere already, or was never to be archived. */
static bool
history_is_there(TimeLineID timeline, TimeLineID known)
{
	char		file[MAXFNAMELEN];

	TLHistoryFileName(file, timeline);
	return timeline == 1 || timeline <= known || !bkc_tidy_is_ready(file);
}

static bool
go_on(const BkcRepoDef *def, int repo, bool (*time_is_up) (void))
{
	BkcWalTask	from;
	BkcWalTask	to;
	TimeLineID	known;

	/* reading the folder comes last: it may be long */
	if (!bkc_queue_rest(repo, &from, &known) ||
		(from.timeline != 0 && segment_waits(&from)) ||
		!find_next(&from, &to))
		return false;
	if (!history_is_there(to.timeline, known) &&
		(time_is_up == NULL || !send_history(def, repo, to.timeline, time_is_up)))
		return false;
	return bkc_queue_go_on(&from, &to);
}

bool
bkc_walnext(uint32 repos, bool (*time_is_up) (void))
{
	int			index[BKC_SET_REPOS];
	const BkcRepoList *list;
	BkcError	err;
	bool		any = false;

	list = bkc_ship_repositories(index, &err);
	if (list == NULL)
		bkc_ereport(ERROR, &err);
	for (size_t i = 0; i < list->count; i++)
		if ((repos & (1u << index[i])) != 0 && go_on(&list->items[i], index[i], time_is_up))
			any = true;
	return any;
}

bool
bkc_walnext_waits(uint32 repos)
{
	for (int r = 0; r < BKC_MAX_REPOS; r++)
	{
		BkcWalTask	next;
		TimeLineID	known;

		if ((repos & (1u << r)) != 0 && bkc_queue_rest(r, &next, &known) &&
			next.timeline != 0 && segment_waits(&next))
			return true;
	}
	return false;
}
