/*
 * walobj_chunks.c
 *		Chunks of the open segment: which there are, how far they reach, removing
 *		them (contracts: walobj_chunks.h, walobj.h).
 */
#include "pipe/walobj_chunks.h"

#include <stdlib.h>
#include <string.h>

#include "base/host.h"

/* At one a second, a segment that is open for months. */
#define CHUNKS_MAX		((size_t) 10 * 1000 * 1000)
#define REMOVE_BATCH	128

/* ---- which there are ---- */

static bool
list_each(void *arg, const char *name, uint64_t size, BkcError *err)
{
	BkcChunks  *chunks = arg;
	BkcWalName	parsed;

	/* what is not a chunk of ours is none of our business */
	if (!bkc_name_parse_wal(name, &parsed) || parsed.type != BKC_WALNAME_CHUNK ||
		strcmp(parsed.file, chunks->segment) != 0)
		return true;
	if (chunks->n == CHUNKS_MAX)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "segment \"%s\" has more than %zu chunks",
							 chunks->segment, CHUNKS_MAX);
	if (chunks->n == chunks->room)
	{
		size_t		room = chunks->room == 0 ? 64 : chunks->room * 2;
		BkcChunk   *items = reallocarray(chunks->items, room, sizeof(*items));

		if (items == NULL)
			return bkc_error_oom(err);
		chunks->items = items;
		chunks->room = room;
	}
	chunks->items[chunks->n++] = (BkcChunk) {parsed.generation, parsed.offset};
	return true;
}

bool
bkc_chunks_list(BkcChunks *chunks, BkcError *err)
{
	char		folder[BKC_NAME_MAX];

	/* names sort by generation and offset: both have a fixed width */
	return bkc_name_wal_chunks(chunks->sysid, chunks->segment, folder, err) &&
		bkc_store_list(chunks->store, folder, false, list_each, chunks, err);
}

void
bkc_chunks_free(BkcChunks *chunks)
{
	free(chunks->items);
	chunks->items = NULL;
	chunks->n = chunks->room = 0;
}

bool
bkc_chunks_newest(const BkcChunks *chunks, size_t before, BkcChunkRow *row)
{
	if (before == 0)
		return false;
	row->first = before - 1;
	while (row->first > 0 &&
		   chunks->items[row->first - 1].generation == chunks->items[before - 1].generation)
		row->first--;
	row->n = before - row->first;
	return true;
}

bool
bkc_chunks_name(const BkcChunks *chunks, size_t i, char name[BKC_NAME_MAX], BkcError *err)
{
	return bkc_name_wal_chunk(chunks->sysid, chunks->segment, chunks->items[i].generation,
							  chunks->items[i].offset, name, err);
}

/* ---- what they are ---- */

bool
bkc_chunks_check(BkcChunks *chunks, const char *name, const BkcWalInfo *info, BkcError *err)
{
	if (chunks->segment_size == 0)
		chunks->segment_size = info->segment_size;
	if (info->segment_size != chunks->segment_size)
		return bkc_error_set(err, BKC_ERR_CORRUPT,
							 "object \"%s\" is of a segment of %u bytes instead of %u",
							 name, info->segment_size, chunks->segment_size);
	return true;
}

bool
bkc_chunks_passed(BkcChunks *chunks, const char *name, BkcError *err)
{
	/* it was listed: most likely the whole segment is durable now, and chunks are going */
	if (err->code == BKC_ERR_NOT_FOUND)
		return bkc_error_set(err, BKC_ERR_UNAVAILABLE,
							 "object \"%s\" vanished from repository \"%s\" while it was looked at",
							 name, chunks->store->location);
	if (err->code != BKC_ERR_CORRUPT)
		return false;
	chunks->damaged = true;
	bkc_log(BKC_LOG_WARNING, "repository \"%s\": %s; it is passed over",
			chunks->store->location, err->message);
	return true;
}

/* The info of a chunk; *good = false when it is damaged. */
static bool
chunk_info(BkcChunks *chunks, size_t i, BkcWalInfo *info, bool *good, BkcError *err)
{
	char		name[BKC_NAME_MAX];

	*good = false;
	if (i + 1 == chunks->bad)
		return true;			/* has been told */
	if (!bkc_host_check(err) || !bkc_chunks_name(chunks, i, name, err))
		return false;
	*good = bkc_wal_info(chunks->store, name, info, err) &&
		bkc_chunks_check(chunks, name, info, err);
	if (*good)
		return true;
	if (!bkc_chunks_passed(chunks, name, err))
		return false;
	chunks->bad = i + 1;
	return true;
}

bool
bkc_chunks_reach(BkcChunks *chunks, const BkcChunkRow *row, uint64_t *end, int64_t *time,
				 BkcError *err)
{
	*end = 0;
	*time = 0;
	for (size_t i = row->first; i < row->first + row->n; i++)
	{
		uint32_t	offset = chunks->items[i].offset;
		BkcWalInfo	info;
		bool		good;

		if (offset > *end)
			break;
		if (!chunk_info(chunks, i, &info, &good, err))
			return false;
		if (!good)
			break;
		if (offset + info.size <= *end)
			continue;
		*end = offset + info.size;
		if (info.time > *time)
			*time = info.time;
	}
	return true;
}

bool
bkc_chunks_longer(BkcChunks *chunks, const BkcChunkRow *row, uint64_t end, bool *longer,
				  BkcError *err)
{
	size_t		last = row->first + row->n - 1;
	BkcWalInfo	info;
	bool		good;

	/* without a beginning it is no row */
	*longer = false;
	if (chunks->items[row->first].offset > 0)
		return true;
	*longer = chunks->items[last].offset >= end;
	if (*longer)
		return true;
	if (!chunk_info(chunks, last, &info, &good, err))
		return false;
	*longer = good && chunks->items[last].offset + info.size > end;
	return true;
}

bool
bkc_chunks_claim(BkcChunks *chunks, const BkcChunkRow *row, uint64_t end, uint64_t *claim,
				 BkcError *err)
{
	size_t		last = row->first + row->n - 1;
	BkcWalInfo	info;
	bool		good;

	if (!chunk_info(chunks, last, &info, &good, err))
		return false;
	*claim = good ? chunks->items[last].offset + info.size : UINT64_MAX;
	if (*claim < end)
		*claim = end;
	return true;
}

bool
bkc_chunks_none(const BkcChunks *chunks, BkcError *err)
{
	if (chunks->damaged)
		return bkc_error_set(err, BKC_ERR_CORRUPT,
							 "chunks of segment \"%s\" in repository \"%s\" are damaged at its beginning",
							 chunks->segment, chunks->store->location);
	return bkc_error_set(err, BKC_ERR_NOT_FOUND,
						 "there are no chunks of the beginning of segment \"%s\" in repository \"%s\"",
						 chunks->segment, chunks->store->location);
}

uint64_t
bkc_chunks_lsn(const BkcChunks *chunks, uint64_t offset)
{
	uint32_t	timeline;
	uint64_t	segno;

	if (!bkc_wal_segment_parse(chunks->segment, chunks->segment_size, &timeline, &segno))
		return 0;
	return segno * chunks->segment_size + offset;
}

/* ---- the calls ---- */

/* By info frames, as long as no older row must be compared. */
static bool
join_ends(BkcChunks *chunks, BkcChunksJoined *joined, uint64_t *generation, BkcError *err)
{
	BkcChunkRow row;
	bool		longer = false;

	memset(joined, 0, sizeof(*joined));
	if (!bkc_chunks_newest(chunks, chunks->n, &row))
		return true;
	*generation = chunks->items[row.first].generation;
	if (!bkc_chunks_reach(chunks, &row, &joined->end, &joined->time, err) ||
		!bkc_chunks_claim(chunks, &row, joined->end, &joined->claim, err))
		return false;
	while (!longer && bkc_chunks_newest(chunks, row.first, &row))
	{
		if (!bkc_chunks_longer(chunks, &row, joined->end, &longer, err))
			return false;
	}
	return !longer || bkc_chunks_join(chunks, UINT64_MAX, -1, "", 0, BKC_JOIN_CLAIM, joined, err);
}

/* Chunks go in any order when their segment has become whole. */
static bool
is_not_whole(const BkcChunks *chunks, BkcError *err)
{
	bool		there;

	if (!bkc_wal_there(chunks->store, chunks->sysid, chunks->segment, &there, err))
		return false;
	return !there ||
		bkc_error_set(err, BKC_ERR_UNAVAILABLE,
					  "segment \"%s\" in repository \"%s\" became whole while its chunks were looked at",
					  chunks->segment, chunks->store->location);
}

/*
 * A listing is no snapshot: it may show a chunk and not the one before it, which came while it
 * was made.  The next listing has that.
 */
static bool
chunks_end(BkcChunks *chunks, BkcChunksJoined *joined, uint64_t *generation, BkcError *err)
{
	for (int attempt = 1;; attempt++)
	{
		if (!bkc_chunks_list(chunks, err) || !join_ends(chunks, joined, generation, err))
			return false;
		if (joined->claim == joined->end)
			break;
		if (attempt == 1 && !chunks->damaged)
		{
			bkc_chunks_free(chunks);
			continue;
		}
		if (!is_not_whole(chunks, err))
			return false;
		break;
	}
	if (joined->end > 0)
		return true;
	if (joined->claim == 0)
		return bkc_chunks_none(chunks, err);
	return bkc_error_set(err, BKC_ERR_CORRUPT,
						 "chunks of segment \"%s\" in repository \"%s\" are damaged or missing at its beginning",
						 chunks->segment, chunks->store->location);
}

bool
bkc_wal_chunks_end(BkcStore *store, uint64_t sysid, const char *segment, BkcWalRow *row,
				   BkcError *err)
{
	BkcChunks	chunks = {.store = store, .sysid = sysid, .segment = segment};
	BkcChunksJoined joined;
	bool		ok;

	memset(row, 0, sizeof(*row));
	ok = chunks_end(&chunks, &joined, &row->generation, err);
	if (ok)
	{
		row->time = joined.time;
		row->end_lsn = bkc_chunks_lsn(&chunks, joined.end);
		row->claimed_lsn = row->end_lsn;
		if (joined.claim > joined.end)
			row->claimed_lsn = joined.claim <= chunks.segment_size ?
				bkc_chunks_lsn(&chunks, joined.claim) : UINT64_MAX;
	}
	bkc_chunks_free(&chunks);
	return ok;
}

bool
bkc_wal_chunks_newest(BkcStore *store, uint64_t sysid, const char *segment,
					  uint64_t *generation, uint64_t *end_lsn, BkcError *err)
{
	BkcChunks	chunks = {.store = store, .sysid = sysid, .segment = segment};
	BkcChunkRow row;
	uint64_t	end;
	int64_t		time;
	bool		ok;

	*generation = 0;
	*end_lsn = 0;
	ok = bkc_chunks_list(&chunks, err);
	if (ok && bkc_chunks_newest(&chunks, chunks.n, &row))
	{
		*generation = chunks.items[row.first].generation;
		ok = bkc_chunks_reach(&chunks, &row, &end, &time, err);
		if (ok && end > 0)
			*end_lsn = bkc_chunks_lsn(&chunks, end);
	}
	bkc_chunks_free(&chunks);
	return ok;
}

/* Batches, because nobody knows how many there are. */
static bool
remove_all(const BkcChunks *chunks, char (*names)[BKC_NAME_MAX], BkcError *err)
{
	const char *batch[REMOVE_BATCH];
	size_t		n;

	for (size_t i = 0; i < chunks->n; i += n)
	{
		for (n = 0; n < REMOVE_BATCH && i + n < chunks->n; n++)
		{
			if (!bkc_chunks_name(chunks, i + n, names[n], err))
				return false;
			batch[n] = names[n];
		}
		if (!bkc_host_check(err) || !bkc_store_remove(chunks->store, batch, n, err))
			return false;
	}
	return true;
}

bool
bkc_wal_chunks_remove(BkcStore *store, uint64_t sysid, const char *segment, BkcError *err)
{
	BkcChunks	chunks = {.store = store, .sysid = sysid, .segment = segment};
	char		(*names)[BKC_NAME_MAX] = NULL;
	bool		there;
	bool		ok;

	ok = bkc_chunks_list(&chunks, err);
	if (!ok || chunks.n == 0)
		goto done;

	/* the caller knows that it is, but nothing could undo a mistake */
	ok = bkc_wal_there(store, sysid, segment, &there, err) &&
		(there ||
		 bkc_error_set(err, BKC_ERR_STATE,
					   "chunks of segment \"%s\" in repository \"%s\" are all there is of it",
					   segment, store->location));
	if (!ok)
		goto done;
	names = malloc(REMOVE_BATCH * sizeof(*names));
	ok = names == NULL ? bkc_error_oom(err) : remove_all(&chunks, names, err);

done:
	free(names);
	bkc_chunks_free(&chunks);
	return ok;
}
