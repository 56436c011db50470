/*
 * collect.c
 *		See collect.h.
 *
 * A segment is complete when the flush position has left it; its bytes do
 * not change from then on.  It must not be recycled before we have read it:
 * the temporary slot sees to that.  Where there was no slot to be had, a
 * segment that is gone, or that was renamed while we read, is a failure that
 * says what to do; a backup without its WAL is not a backup.
 */
#include "pgcompat.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/text.h"
#include "collect.h"
#include "miscadmin.h"
#include "replication/slot.h"
#include "storage/spin.h"
#include "utils/memutils.h"
#include "waldisk.h"

bool
bkc_extras_add(BkcExtras *extras, BkcRoot root, const char *path, uint64 size,
			   uint32 mode, int64 mtime, uint32 *index, BkcError *err)
{
	BkcExtra   *item;

	if (extras->count == extras->alloc)
	{
		uint32		alloc = extras->alloc > 0 ? extras->alloc * 2 : 16;
		BkcExtra   *items = realloc(extras->items, alloc * sizeof(BkcExtra));

		if (items == NULL)
			return bkc_error_oom(err);
		extras->items = items;
		extras->alloc = alloc;
	}
	item = &extras->items[extras->count];
	memset(item, 0, sizeof(*item));
	item->path = strdup(path);
	if (item->path == NULL)
		return bkc_error_oom(err);
	item->rec.root = root;
	item->rec.size = size;
	item->rec.mode = mode;
	item->rec.mtime = mtime;
	*index = extras->base + extras->count++;
	return true;
}

void
bkc_extras_free(BkcExtras *extras)
{
	for (uint32 i = 0; i < extras->count; i++)
		free(extras->items[i].path);
	free(extras->items);
	memset(extras, 0, sizeof(*extras));
}

/* The slot needs nothing before this segment any more. */
static void
advance_slot(XLogSegNo segno)
{
	XLogRecPtr	lsn;

	XLogSegNoOffsetToRecPtr(segno, 0, wal_segment_size, lsn);
	SpinLockAcquire(&MyReplicationSlot->mutex);
	MyReplicationSlot->data.restart_lsn = lsn;
	SpinLockRelease(&MyReplicationSlot->mutex);
	ReplicationSlotsComputeRequiredLSN();
}

bool
bkc_collect_slot(void)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool ok = false;
	char		name[NAMEDATALEN];
	XLogSegNo	segno;

	if (max_replication_slots == 0)
		return false;
	snprintf(name, sizeof(name), "pg_backupctl_%d", MyProcPid);
	PG_TRY();
	{
		bkc_pg_temporary_slot(name);
		ReplicationSlotReserveWal();

		/*
		 * That reserved from the last checkpoint on, perhaps more than
		 * max_slot_wal_keep_size allows; the backup needs nothing before now.
		 */
		XLByteToSeg(GetXLogInsertRecPtr(), segno, wal_segment_size);
		advance_slot(segno);
		ReplicationSlotMarkDirty();
		ok = true;
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		if (edata->sqlerrcode == ERRCODE_QUERY_CANCELED)
			PG_RE_THROW();
		FlushErrorState();
		LWLockReleaseAll();
		bkc_pg_slot_cleanup();
		ereport(LOG,
				(errmsg("pg_backupctl could not reserve WAL by a replication slot: %s", edata->message),
				 errdetail("The backup goes on; it fails if WAL is removed faster than it is stored."),
				 errhint("Increase max_replication_slots, or wal_keep_size.")));
		FreeErrorData(edata);
	}
	PG_END_TRY();
	return ok;
}

static bool
segment_gone(const char *name, BkcError *err)
{
	return bkc_error_set(err, BKC_ERR_NOT_FOUND,
						 "WAL segment \"%s\" was removed before the backup could store it", name) ||
		bkc_error_hint(err, "Increase max_replication_slots, so that the backup can reserve WAL, or max_slot_wal_keep_size or wal_keep_size.");
}

static bool
store_segment(BkcCollector *c, BkcError *err)
{
	char		name[MAXFNAMELEN];
	char		path[MAXPGPATH];
	struct stat before,
				after;
	uint32		index;

	XLogFileName(name, c->timeline, c->next, wal_segment_size);
	snprintf(path, sizeof(path), XLOGDIR "/%s", name);
	if (!bkc_fault(BKC_FAULT_WAL_SEGMENT, err))
		return false;
	if (!bkc_waldisk_check(name, path, err))
		return err->code == BKC_ERR_NOT_FOUND ? segment_gone(name, err) : false;
	if (stat(path, &before) < 0)
		return segment_gone(name, err);
	if (!bkc_extras_add(c->extras, BKC_ROOT_WAL, name, wal_segment_size,
						before.st_mode & 0777, before.st_mtime, &index, err) ||
		!bkc_copier_file(c->copier, index, &c->extras->items[index - c->extras->base].rec,
						 name, err))
		return err->code == BKC_ERR_NOT_FOUND ? segment_gone(name, err) : false;

	/* recycled under our eyes?  Then what we have read may be anything */
	if (stat(path, &after) < 0 || after.st_ino != before.st_ino || after.st_dev != before.st_dev)
		return segment_gone(name, err);
	c->next++;
	if (c->slot)
		advance_slot(c->next);
	return true;
}

bool
bkc_collect_step(BkcCollector *c, BkcError *err)
{
	XLogRecPtr	flushed;

	if (c->archived)
		return true;
	flushed = GetFlushRecPtr(NULL);
	while (!bkc_collect_finished(c))
	{
		XLogRecPtr	end;

		XLogSegNoOffsetToRecPtr(c->next + 1, 0, wal_segment_size, end);
		if (flushed < end)
			return true;
		if (!store_segment(c, err))
			return false;
	}
	return true;
}
