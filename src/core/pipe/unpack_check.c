/*
 * unpack_check.c
 *		Checks of a loaded backup that are not about one file's content.
 */
#include "pipe/unpack.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "format/names.h"
#include "format/pgfiles.h"
#include "pipe/pack.h"

bool
bkc_backup_check_pack(BkcStore *store, const BkcBackup *backup, size_t pack, BkcError *err)
{
	const BkcPackInfo *info;
	BkcPackReader *r;
	char		name[BKC_NAME_MAX];

	if (pack >= backup->npacks)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "no pack %zu of %zu", pack, backup->npacks);
	info = &backup->packs[pack];
	if (!bkc_name_pack(backup->header.system_identifier, backup->header.label,
					   info->worker, info->number, name, err) ||
		!bkc_packreader_open(store, name, info, &r, err))
		return false;
	bkc_packreader_close(r);
	return true;
}

const BkcEntry *
bkc_backup_find_wal(const BkcBackup *backup, const char *name)
{
	size_t		low = 0;
	size_t		high = backup->nwal;

	while (low < high)
	{
		size_t		mid = low + (high - low) / 2;
		const BkcEntry *entry = &backup->entries[backup->wal[mid]];
		int			d = strcmp(entry->path, name);

		if (d == 0)
			return entry;
		if (d < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/*
 * The stop LSN is the end of the last record, so the last byte that is
 * needed is the one before it: a stop at a segment's first byte does not need that
 * segment.
 */
bool
bkc_backup_check_wal(const BkcBackup *backup, BkcError *err)
{
	const BkcManifestHeader *header = &backup->header;
	uint32_t	size = header->wal_segment_size;
	uint64_t	last;

	if (size < 1024 * 1024 || size > 1024 * 1024 * 1024 || (size & (size - 1)) != 0)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "invalid WAL segment size %u", size);
	if (header->start_lsn == 0 || header->stop_lsn <= header->start_lsn)
	{
		char		start[32];
		char		stop[32];

		bkc_format_lsn(header->start_lsn, start, sizeof(start));
		bkc_format_lsn(header->stop_lsn, stop, sizeof(stop));
		return bkc_error_set(err, BKC_ERR_CORRUPT, "backup \"%s\" is said to reach from %s to %s",
							 header->label, start, stop);
	}
	if (header->wal_in_archive)
		return true;			/* proven when it was taken; the archive answers for it now */
	last = (header->stop_lsn - 1) / size;
	for (uint64_t segno = header->start_lsn / size; segno <= last; segno++)
	{
		char		name[BKC_WAL_NAME_MAX];
		const BkcEntry *entry;

		bkc_wal_segment_name(header->timeline, segno, size, name);
		entry = bkc_backup_find_wal(backup, name);
		if (entry == NULL)
			return bkc_error_set(err, BKC_ERR_CORRUPT,
								 "WAL segment \"%s\" is missing in backup \"%s\"",
								 name, header->label);
		if (entry->size != size)
			return bkc_error_set(err, BKC_ERR_CORRUPT,
								 "WAL segment \"%s\" of backup \"%s\" has %llu bytes instead of %u",
								 name, header->label, (unsigned long long) entry->size, size);
	}
	return true;
}
