/*
 * chunktidy.c
 *		See chunktidy.h.
 */
#include "pgcompat.h"

#include <sys/stat.h>

#include "base/fault.h"
#include "chunktidy.h"
#include "format/names.h"
#include "format/pgfiles.h"
#include "pipe/walobj.h"
#include "walbeyond.h"
#include "walshared.h"

#define MISSED_MS		30000	/* until a whole segment that was not there is looked for again */
#define FOREIGN_MS		60000	/* or one with other content */
#define MISSED_MAX		3

/* ---- is a file durable? ---- */

bool
bkc_tidy_is_ready(const char *file)
{
	char		path[MAXPGPATH];
	struct stat st;

	StatusFilePath(path, file, ".ready");
	return stat(path, &st) == 0;
}

bool
bkc_tidy_known(int repo, TimeLineID timeline, XLogSegNo segno)
{
	const BkcRepoState *state = &bkc_wal->repos[repo];
	bool		durable;

	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	durable = state->prefix_tli == timeline &&
		state->prefix_lsn >= (segno + 1) * wal_segment_size;
	durable = durable || bkc_window_durable(&state->window, timeline, segno);
	LWLockRelease(bkc_wal->lock);
	return durable;
}

/* ---- the list ---- */

static void
drop(BkcTidy *tidy, int i)
{
	tidy->n--;
	memmove(&tidy->items[i], &tidy->items[i + 1], sizeof(BkcTidyItem) * (tidy->n - i));
}

static BkcTidyItem *
find_item(BkcTidy *tidy, TimeLineID timeline, XLogSegNo segno)
{
	BkcTidyItem item = {.timeline = timeline, .segno = segno};

	for (int i = 0; i < tidy->n; i++)
		if (tidy->items[i].timeline == timeline && tidy->items[i].segno == segno)
			return &tidy->items[i];
	if (tidy->n == BKC_TIDY_MAX)
	{
		tidy->more = true;
		drop(tidy, 0);
	}
	tidy->items[tidy->n] = item;
	return &tidy->items[tidy->n++];
}

void
bkc_tidy_add(BkcTidy *tidy, TimeLineID timeline, XLogSegNo segno, uint64 generation)
{
	BkcTidyItem *item = find_item(tidy, timeline, segno);

	for (int i = 0; i < item->nours; i++)
		if (item->ours[i] == generation)
			return;
	if (generation != 0 && item->nours < BKC_TIDY_OURS)
		item->ours[item->nours++] = generation;
}

static bool
item_due(const BkcTidy *tidy, const BkcTidyItem *item, int repo)
{
	char		file[MAXFNAMELEN];

	if (RecoveryInProgress())
		return false;
	if ((item->timeline == tidy->timeline && item->segno == tidy->open) ||
		item->look_at > GetCurrentTimestamp())
		return false;
	XLogFileName(file, item->timeline, item->segno, wal_segment_size);
	return bkc_tidy_known(repo, item->timeline, item->segno) || !bkc_tidy_is_ready(file);
}

bool
bkc_tidy_due(const BkcTidy *tidy, int repo)
{
	for (int i = 0; i < tidy->n; i++)
		if (item_due(tidy, &tidy->items[i], repo))
			return true;
	return false;
}

/*
 * Was it this life of ours that sent it?  What was archived before it began is known by its
 * content only.
 */
static bool
sent_by_us(int repo, const BkcTidyItem *item)
{
	const BkcRepoState *state = &bkc_wal->repos[repo];
	bool		since;

	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	since = state->since_tli == item->timeline &&
		(item->segno + 1) * wal_segment_size > state->since_lsn;
	LWLockRelease(bkc_wal->lock);
	return since && bkc_tidy_known(repo, item->timeline, item->segno);
}

/* Of one that we have sent: is it still in pg_wal? */
static BkcHeld
sent_segment(const char *file)
{
	char		path[MAXPGPATH];
	struct stat st;

	snprintf(path, sizeof(path), XLOGDIR "/%s", file);
	return stat(path, &st) == 0 ? BKC_HELD_SAME : BKC_HELD_UNKNOWN;
}

static bool
remove_chunks(BkcTidy *tidy, int i, BkcStore *store, const char *file, bool local,
			  BkcError *err)
{
	const BkcTidyItem *item = &tidy->items[i];
	char		name[BKC_NAME_MAX];

	/* what follows is durable: the whole segment must be, too, whoever has stored it */
	if (!bkc_name_wal_file(GetSystemIdentifier(), file, NULL, name, err) ||
		!bkc_store_sync(store, name, err) ||
		!bkc_wal_chunks_agree(store, file, local, item->ours, item->nours, name, err))
		return false;
	if (name[0] != '\0')
	{
		ereport(WARNING,
				(errmsg("chunks of WAL segment \"%s\" are kept beside it in the repository", file),
				 errdetail("\"%s\" has other content, or is damaged.", name)));
		drop(tidy, i);
		return true;
	}
	if (!bkc_fault(BKC_FAULT_CHUNK_REMOVE, err) ||
		!bkc_wal_chunks_remove(store, GetSystemIdentifier(), file, err))
		return false;
	drop(tidy, i);
	return true;
}

static bool
run_item(BkcTidy *tidy, int i, BkcStore *store, int repo, BkcError *err)
{
	BkcTidyItem *item = &tidy->items[i];
	char		file[MAXFNAMELEN];
	BkcHeld		held;
	int			wait = MISSED_MS;

	XLogFileName(file, item->timeline, item->segno, wal_segment_size);
	if (sent_by_us(repo, item))
		held = sent_segment(file);
	else if (!bkc_wal_held(store, file, &held, err))
		return false;
	item->foreign = held == BKC_HELD_OTHER;
	switch (held)
	{
		case BKC_HELD_SAME:
			return remove_chunks(tidy, i, store, file, true, err);
		case BKC_HELD_UNKNOWN:
			return remove_chunks(tidy, i, store, file, false, err);
		case BKC_HELD_OTHER:
			wait = FOREIGN_MS;
			break;
		case BKC_HELD_ABSENT:
			if (++item->missed >= MISSED_MAX || item->timeline != tidy->timeline)
			{
				drop(tidy, i);
				return true;
			}
			break;
	}
	item->look_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), wait);
	return true;
}

bool
bkc_tidy_trouble(const BkcTidy *tidy, BkcError *err)
{
	for (int i = 0; i < tidy->n; i++)
	{
		char		file[MAXFNAMELEN];

		if (!tidy->items[i].foreign)
			continue;
		XLogFileName(file, tidy->items[i].timeline, tidy->items[i].segno, wal_segment_size);
		bkc_error_set(err, BKC_ERR_EXISTS, "the repository holds WAL segment \"%s\" with other content than this server's",
					  file);
		bkc_error_detail(err, "Its chunks are kept: some of them may be all that the repository has of this server's.");
		bkc_error_hint(err, "Find out which server wrote it, and see backup_wal_conflict_resolve().");
		return true;
	}
	return false;
}

bool
bkc_tidy_run(BkcTidy *tidy, BkcStore *store, int repo, BkcError *err)
{
	for (int i = tidy->n - 1; i >= 0; i--)
		if (item_due(tidy, &tidy->items[i], repo) && !run_item(tidy, i, store, repo, err))
			return false;
	return true;
}

/* ---- what earlier processes have left ---- */

typedef struct Folder
{
	BkcTidy    *tidy;
	char		whole[BKC_NAME_MAX];	/* the last whole segment that was listed */
} Folder;

/*
 * In byte order a segment comes right before the folder of its chunks.  One that is not
 * there yet, but waits for the archiver here, will be.
 */
static bool
folder_entry(void *arg, const char *name, uint64_t size, BkcError *err)
{
	Folder	   *folder = arg;
	const char *base = strrchr(name, '/');
	char		file[BKC_WAL_NAME_MAX];
	uint32_t	timeline;
	uint64_t	segno;
	bool		whole;

	if (base != NULL && bkc_wal_is_segment(base + 1))
	{
		strlcpy(folder->whole, name, sizeof(folder->whole));
		return true;
	}
	if (!bkc_name_parse_chunks(name, file))
		return true;
	whole = folder->whole[0] != '\0' && strcmp(strrchr(folder->whole, '/') + 1, file) == 0;
	if ((whole || bkc_tidy_is_ready(file)) &&
		bkc_wal_segment_parse(file, wal_segment_size, &timeline, &segno))
		bkc_tidy_add(folder->tidy, timeline, segno, 0);
	return true;
}

static bool
find_in_log(BkcTidy *tidy, BkcStore *store, uint32 log, BkcError *err)
{
	Folder		folder = {.tidy = tidy};
	char		prefix[BKC_NAME_MAX];

	return bkc_name_wal_log(GetSystemIdentifier(), tidy->timeline, log, prefix, err) &&
		bkc_store_list(store, prefix, false, folder_entry, &folder, err);
}

bool
bkc_tidy_find(BkcTidy *tidy, BkcStore *store, BkcError *err)
{
	uint32		log = (uint32) (tidy->open / XLogSegmentsPerXLogId(wal_segment_size));

	tidy->more = false;
	return find_in_log(tidy, store, log, err) &&
		(log == 0 || find_in_log(tidy, store, log - 1, err));
}
