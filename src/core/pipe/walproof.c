/*
 * walproof.c
 *		See walproof.h.
 */
#include "pipe/walproof.h"

#include "base/text.h"
#include "pipe/walobj.h"

#define SEGMENT_MIN		(1024 * 1024)
#define SEGMENT_MAX		(1024 * 1024 * 1024)

bool
bkc_walproof_range(const BkcManifestHeader *header, uint64_t *first, uint64_t *last, BkcError *err)
{
	uint32_t	size = header->wal_segment_size;
	char		start[32];
	char		stop[32];

	if (size < SEGMENT_MIN || size > SEGMENT_MAX || (size & (size - 1)) != 0)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "invalid WAL segment size %u", size);
	if (header->start_lsn == 0 || header->stop_lsn <= header->start_lsn)
	{
		bkc_format_lsn(header->start_lsn, start, sizeof(start));
		bkc_format_lsn(header->stop_lsn, stop, sizeof(stop));
		return bkc_error_set(err, BKC_ERR_CORRUPT, "backup \"%s\" is said to reach from %s to %s",
							 header->label, start, stop);
	}
	*first = header->start_lsn / size;

	/* behind the last record: a stop at a segment's first byte does not need it */
	*last = (header->stop_lsn - 1) / size;
	return true;
}

bool
bkc_walproof_segment(BkcStore *store, uint64_t sysid, uint32_t timeline, uint64_t segno,
					 uint32_t segment_size, bool read, BkcError *err)
{
	char		file[BKC_WAL_NAME_MAX];
	char		name[BKC_NAME_MAX];
	BkcWalInfo	info;
	bool		ok;

	bkc_wal_segment_name(timeline, segno, segment_size, file);
	ok = bkc_wal_find(store, sysid, file, name, err);
	if (ok && read)
		ok = bkc_wal_read(store, name, segment_size, -1, name, &info, err);
	else if (ok)
		ok = bkc_wal_info(store, name, &info, err);
	if (!ok && err->code == BKC_ERR_NOT_FOUND)
		return bkc_error_set(err, BKC_ERR_NOT_FOUND,
							 "WAL segment \"%s\" is not in the archive", file);
	if (!ok)
		return false;
	if (info.system_identifier != sysid || info.timeline != timeline ||
		info.segment_size != segment_size || info.size != segment_size ||
		info.start_lsn != segno * segment_size)
	{
		bkc_error_set(err, BKC_ERR_CORRUPT, "object \"%s\" is not WAL segment \"%s\" of this cluster",
					  name, file);
		return bkc_error_detail(err, "It has %llu bytes of system identifier %llu.",
								(unsigned long long) info.size,
								(unsigned long long) info.system_identifier);
	}
	return true;
}
