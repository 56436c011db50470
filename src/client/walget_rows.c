/*
 * walget_rows.c
 *		Whose chunks of the open segment are served, and how far they go.
 *
 * A server sends chunks to several repositories, and one that was away for some time
 * may hold those of an earlier life of the server, perhaps with the beginning of a record
 * that a crash has left unfinished and that was written anew.  So the rule by which the rows of one
 * repository are joined holds between repositories, too: the newest generation's bytes count, and
 * an older one that reaches further counts when it begins with exactly these.
 */
#include "walget.h"

#include <string.h>

#include "base/host.h"
#include "base/text.h"
#include "pipe/walobj.h"

/* Has anybody chunks?  Their size is known then. */
static bool
any_chunks(BkcWalAsk *ask, bool *any, BkcError *err)
{
	*any = false;
	for (size_t i = 0; i < ask->w->nrepos; i++)
	{
		if (!ask->sources[i].look.chunks)
			continue;
		*any = true;
		if (!bkc_walget_chunks_size(ask->w, &ask->sources[i].session, err))
			return false;
	}
	return true;
}

/* Something was in the folder of chunks, and is not: unless the whole segment came, it is none. */
static bool
check_empty(BkcWalAsk *ask, BkcWalSource *source, BkcError *err)
{
	BkcWalLook	again;

	if (!bkc_walget_look(ask->w, &source->session, &again, err))
		return false;
	if (again.whole || again.later[0] != '\0' || !again.chunks)
		return bkc_error_set(err, BKC_ERR_UNAVAILABLE, "repository \"%s\" has changed meanwhile",
							 source->session.store->location);
	bkc_log(BKC_LOG_WARNING, "what lies among the chunks of WAL segment %s in repository \"%s\" is none",
			ask->w->file, source->session.store->location);
	return true;
}

/* Each repository's chunks; *newest is the highest generation, 0 when nobody has any. */
static bool
measure(BkcWalAsk *ask, uint64_t *newest, BkcError *err)
{
	BkcWalGet  *w = ask->w;
	bool		any;

	*newest = 0;
	for (size_t i = 0; i < w->nrepos; i++)
	{
		memset(&ask->sources[i].row, 0, sizeof(BkcWalRow));
		ask->sources[i].serves = false;
	}
	if (!any_chunks(ask, &any, err))
		return false;
	for (size_t i = 0; any && i < w->nrepos; i++)
	{
		BkcWalSource *source = &ask->sources[i];
		BkcWalRow  *row = &source->row;

		if (!source->look.chunks)
			continue;
		if (bkc_wal_chunks_end(source->session.store, source->session.sysid, w->file, row, err))
			;
		else if (err->code == BKC_ERR_CORRUPT && row->generation != 0)
		{
			row->end_lsn = 0;
			row->claimed_lsn = UINT64_MAX;
			bkc_log(BKC_LOG_WARNING, "%s", err->message);
		}
		else if (err->code != BKC_ERR_NOT_FOUND || !check_empty(ask, source, err))
			return false;
		if (row->generation > *newest)
			*newest = row->generation;
	}
	return true;
}

/* ---- damage ---- */

/*
 * There was more than can be read.  Recovery may end at readable when it was told so, and it needs
 * nothing of a segment that its timeline begins behind.
 */
static bool
check_damage(BkcWalAsk *ask, const BkcWalSource *source, uint64_t readable, BkcError *err)
{
	BkcWalGet  *w = ask->w;
	char		lsn[24];

	if (bkc_walget_end(w) <= readable)
		return true;
	if (w->target != 0 && w->until != UINT64_MAX)
	{
		if (!bkc_walget_part(w, true, err))
			return false;
		if (bkc_walget_end(w) <= w->part.begin)
			return true;
	}
	bkc_format_lsn(readable != 0 ? readable : bkc_walget_start(w), lsn, sizeof(lsn));
	bkc_error_set(err, BKC_ERR_CORRUPT, "the chunks of WAL segment %s in repository \"%s\" are damaged or incomplete: they can be read up to %s only",
				  w->file, source->session.store->location, lsn);
	return bkc_error_hint(err, "If recovery shall end there, give the restore_command --until %s.",
						  lsn);
}

static void
serve(BkcWalAsk *ask, uint64_t generation, bool damaged)
{
	for (size_t i = 0; i < ask->w->nrepos; i++)
	{
		BkcWalSource *source = &ask->sources[i];

		source->serves = source->row.generation == generation && source->row.end_lsn != 0 &&
			(damaged || source->row.claimed_lsn == source->row.end_lsn);
	}
}

/*
 * Those of the newest generation hold the same bytes.  What is damaged in one of them does not
 * matter where another one is whole and goes as far as that one did.
 */
static bool
take_newest(BkcWalAsk *ask, uint64_t newest, uint64_t *farthest, BkcError *err)
{
	uint64_t	readable = 0;
	uint64_t	claimed = 0;
	const BkcWalSource *worst = NULL;

	*farthest = 0;
	for (size_t i = 0; i < ask->w->nrepos; i++)
	{
		const BkcWalSource *source = &ask->sources[i];
		const BkcWalRow *row = &source->row;

		if (row->generation != newest)
			continue;
		if (row->end_lsn > readable)
			readable = row->end_lsn;
		if (row->claimed_lsn == row->end_lsn && row->end_lsn > *farthest)
			*farthest = row->end_lsn;
		if (row->claimed_lsn > claimed)
		{
			claimed = row->claimed_lsn;
			worst = source;
		}
	}
	if (claimed > *farthest && bkc_walget_end(ask->w) > *farthest)
	{
		if (!check_damage(ask, worst, readable, err))
			return false;
		*farthest = readable;
		serve(ask, newest, true);
	}
	else
		serve(ask, newest, false);
	return true;
}

/* ---- older generations ---- */

/* Of the bytes up to farthest; *found = false when that source cannot read them. */
static bool
digest(const BkcWalAsk *ask, BkcWalSource *source, uint64_t farthest,
	   uint8_t sha256[BKC_SHA256_SIZE], bool *found, BkcError *err)
{
	const BkcWalGet *w = ask->w;
	uint64_t	end = 0;

	if (!bkc_wal_chunks_digest(source->session.store, source->session.sysid, w->file,
							   w->segment_size, farthest, sha256, &end, err))
	{
		*found = false;
		if (err->code == BKC_ERR_NOT_FOUND)
			err->code = BKC_ERR_UNAVAILABLE;	/* they are gone */
		return err->code == BKC_ERR_CORRUPT;
	}
	*found = end == farthest;
	return true;
}

/* Of what is served up to now. */
static bool
digest_served(BkcWalAsk *ask, uint64_t farthest, uint8_t sha256[BKC_SHA256_SIZE], bool *found,
			  BkcError *err)
{
	*found = false;
	for (size_t i = 0; i < ask->w->nrepos && !*found; i++)
	{
		BkcWalSource *source = &ask->sources[i];

		if (source->serves && source->row.end_lsn >= farthest &&
			!digest(ask, source, farthest, sha256, found, err))
			return false;
	}
	return true;
}

/* How far the sources have been gone through, by generation downwards and number upwards. */
typedef struct Cursor
{
	uint64_t	generation;
	size_t		index;
} Cursor;

/* The next one that reaches further; NULL: there is none. */
static BkcWalSource *
next_longer(BkcWalAsk *ask, Cursor *cursor, uint64_t farthest)
{
	BkcWalSource *found = NULL;
	Cursor		at = {0};

	for (size_t i = 0; i < ask->w->nrepos; i++)
	{
		BkcWalSource *source = &ask->sources[i];
		uint64_t	generation = source->row.generation;

		if (source->row.end_lsn <= farthest || generation > cursor->generation ||
			(generation == cursor->generation && i <= cursor->index) ||
			(found != NULL && generation <= at.generation))
			continue;
		found = source;
		at = (Cursor) {generation, i};
	}
	*cursor = at;
	return found;
}

/* Those of earlier generations, each as far as it begins with what is there. */
static bool
take_older(BkcWalAsk *ask, uint64_t newest, uint64_t *farthest, BkcError *err)
{
	Cursor		cursor = {newest, ask->w->nrepos};	/* all of that one are behind us */
	BkcWalSource *source;

	while (*farthest != 0 && *farthest < bkc_walget_end(ask->w) &&
		   (source = next_longer(ask, &cursor, *farthest)) != NULL)
	{
		uint8_t		ours[BKC_SHA256_SIZE];
		uint8_t		theirs[BKC_SHA256_SIZE];
		bool		found;

		if (!digest_served(ask, *farthest, ours, &found, err))
			return false;
		if (!found)
			return true;
		if (!digest(ask, source, *farthest, theirs, &found, err))
			return false;
		if (!found || memcmp(ours, theirs, sizeof(ours)) != 0)
			continue;
		if (source->row.claimed_lsn > source->row.end_lsn &&
			!check_damage(ask, source, source->row.end_lsn, err))
			return false;
		*farthest = source->row.end_lsn;
		for (size_t i = 0; i < ask->w->nrepos; i++)
			ask->sources[i].serves = &ask->sources[i] == source;
	}
	return true;
}

bool
bkc_walget_rows(BkcWalAsk *ask, uint64_t *farthest, BkcError *err)
{
	uint64_t	newest;

	*farthest = 0;
	return measure(ask, &newest, err) &&
		(newest == 0 || (take_newest(ask, newest, farthest, err) &&
						 take_older(ask, newest, farthest, err)));
}
