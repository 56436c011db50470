/*
 * walget_chunks.c
 *		The open segment, put together from its chunks.
 *
 * What is behind the last chunk becomes zeros, the end of WAL.  That is right
 * only for the last segment of a recovery that goes to the end
 * of this very timeline (walget_timeline): anywhere else it would end a
 * recovery too early without a word.
 */
#include "walget.h"

#include <stdio.h>

#include "pipe/walobj.h"

typedef struct FirstName
{
	char		name[BKC_NAME_MAX];
} FirstName;

static bool
take_first(void *arg, const char *name, uint64_t size, BkcError *err)
{
	FirstName  *first = arg;
	BkcWalName	parsed;

	if (first->name[0] == '\0' && bkc_name_parse_wal(name, &parsed) &&
		parsed.type == BKC_WALNAME_CHUNK)
		snprintf(first->name, sizeof(first->name), "%s", name);
	return true;
}

bool
bkc_walget_chunks_size(BkcWalGet *w, BkcSession *session, BkcError *err)
{
	FirstName	first = {{0}};
	char		prefix[BKC_NAME_MAX];
	BkcWalInfo	info;

	if (w->segment_size != 0)
		return true;
	if (!bkc_name_wal_chunks(session->sysid, w->file, prefix, err) ||
		!bkc_store_list(session->store, prefix, false, take_first, &first, err))
		return false;
	if (first.name[0] == '\0')
		return bkc_error_set(err, BKC_ERR_UNAVAILABLE, "the chunks of WAL segment %s were removed just now",
							 w->file);
	return bkc_wal_info(session->store, first.name, &info, err) &&
		bkc_walget_take_size(w, info.segment_size, first.name, err);
}

bool
bkc_walget_chunks_end(const BkcWalGet *w, BkcSession *session, uint64_t *end_lsn, BkcError *err)
{
	int64_t		time;

	return bkc_wal_chunks_end(session->store, session->sysid, w->file, end_lsn, &time, err);
}

typedef struct ChunkFill
{
	const BkcWalGet *w;
	BkcSession *session;
} ChunkFill;

static bool
fill_from_chunks(void *arg, int fd, const char *path, BkcError *err)
{
	const ChunkFill *f = arg;
	uint64_t	end_lsn;
	int64_t		time;

	return bkc_wal_chunks_read(f->session->store, f->session->sysid, f->w->file,
							   f->w->segment_size, bkc_walget_end(f->w), fd, path, &end_lsn, &time, err);
}

bool
bkc_walget_chunks(BkcWalGet *w, BkcSession *session, BkcError *err)
{
	ChunkFill	fill = {w, session};

	return bkc_walget_deliver(w, w->file, w->path, false, fill_from_chunks, &fill, err);
}
