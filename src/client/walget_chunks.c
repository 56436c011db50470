/*
 * walget_chunks.c
 *		The open segment, put together from its chunks.
 *
 * What is behind the last chunk becomes zeros, the end of WAL.  That is right
 * only where nothing is known of WAL behind it (walget_ask): anywhere else it
 * would end a recovery too early without a word.
 */
#include "walget.h"

#include <stdio.h>

#include "base/text.h"
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
	BkcWalRow	row;

	if (!bkc_wal_chunks_end(session->store, session->sysid, w->file, &row, err))
		return false;
	*end_lsn = row.end_lsn;
	return true;
}

typedef struct ChunkFill
{
	const BkcWalGet *w;
	BkcSession *session;
	uint64_t	wanted;
} ChunkFill;

/*
 * A store may remove chunks in any order, and then the row we have read ended at a hole. They are
 * removed only when the whole segment is there.
 */
static bool
is_unchanged(const ChunkFill *f, BkcError *err)
{
	BkcWalLook	again;
	uint32_t	timeline;
	uint64_t	segno;

	if (!bkc_walget_look(f->w, f->session, &again, err))
		return false;
	if (!again.whole && again.chunks &&
		(again.later[0] == '\0' ||
		 (bkc_wal_segment_parse(again.later, f->w->segment_size, &timeline, &segno) &&
		  segno * f->w->segment_size >= f->w->until)))
		return true;
	return bkc_error_set(err, BKC_ERR_UNAVAILABLE, "repository \"%s\" has changed meanwhile",
						 f->session->store->location);
}

static bool
fill_from_chunks(void *arg, int fd, const char *path, BkcError *err)
{
	const ChunkFill *f = arg;
	char		lsn[24];
	uint64_t	end_lsn;
	int64_t		time;

	if (!bkc_wal_chunks_read(f->session->store, f->session->sysid, f->w->file,
							 f->w->segment_size, bkc_walget_end(f->w), fd, path, &end_lsn, &time,
							 err) ||
		!is_unchanged(f, err))
		return false;
	if (end_lsn >= f->wanted)
		return true;
	bkc_format_lsn(end_lsn, lsn, sizeof(lsn));
	bkc_error_set(err, BKC_ERR_CORRUPT, "the chunks of WAL segment %s in repository \"%s\" are damaged: they can be read up to %s only",
				  f->w->file, f->session->store->location, lsn);
	return bkc_error_hint(err, "If recovery shall end there, give the restore_command --until %s.",
						  lsn);
}

bool
bkc_walget_chunks(BkcWalGet *w, BkcSession *session, uint64_t wanted, BkcError *err)
{
	ChunkFill	fill = {w, session, wanted};

	return bkc_walget_deliver(w, w->file, w->path, false, fill_from_chunks, &fill, err);
}
