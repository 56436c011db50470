/*
 * walmap_load.c
 *		Listing a repository's WAL.
 *
 * A listing is no snapshot: while it runs, segments are stored and chunks go.
 * What it shows as a hole at the end of a timeline is therefore asked for
 * once more, by name.
 */
#include "pipe/walmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/host.h"
#include "pipe/walmap_inner.h"
#include "pipe/walobj.h"

#define SIZE_CANDIDATES		8	/* objects that are asked for the segment size */

/* ---- the segment size ---- */

typedef struct SizeProbe
{
	char		names[SIZE_CANDIDATES][BKC_NAME_MAX];
	size_t		n;
} SizeProbe;

static bool
probe_take(void *arg, const char *name, uint64_t size, BkcError *err)
{
	SizeProbe  *probe = arg;
	BkcWalName	parsed;

	if (!bkc_name_parse_wal(name, &parsed) ||
		(parsed.type != BKC_WALNAME_SEGMENT && parsed.type != BKC_WALNAME_CHUNK))
		return true;
	memcpy(probe->names[probe->n++], name, strlen(name) + 1);	/* valid, so it fits */
	if (probe->n < SIZE_CANDIDATES)
		return true;
	return bkc_error_set(err, BKC_ERR_STATE, "enough names");	/* ends the listing */
}

/* The first object that can be read tells; the first one's error when none can. */
static bool
probe_size(BkcWalMap *map, const char *root, BkcError *err)
{
	SizeProbe  *probe = calloc(1, sizeof(*probe));
	BkcError	first = {0};
	bool		ok;

	if (probe == NULL)
		return bkc_error_oom(err);
	ok = bkc_store_list(map->store, root, true, probe_take, probe, err) ||
		probe->n == SIZE_CANDIDATES;
	for (size_t i = 0; ok && i < probe->n && map->segment_size == 0; i++)
	{
		BkcWalInfo	info;

		if (bkc_wal_info(map->store, probe->names[i], &info, err))
			map->segment_size = info.segment_size;
		else if (bkc_walmap_is_damage(err->code))
			first = first.code == BKC_OK ? *err : first;
		else
			ok = false;
	}
	if (ok && map->segment_size == 0 && first.code != BKC_OK)
	{
		*err = first;
		ok = false;
	}
	free(probe);
	return ok;
}

/* ---- the listing ---- */

typedef struct Listing
{
	BkcWalMap  *map;
	size_t		runs_cap;
	size_t		tails_cap;
	size_t		conflicts_cap;
	uint32_t   *histories;
	size_t		nhistories;
	size_t		histories_cap;
} Listing;

static bool
take_segment(Listing *listing, uint32_t timeline, uint64_t segno, BkcError *err)
{
	BkcWalMap  *map = listing->map;
	BkcWalRun  *last = map->nruns > 0 ? &map->runs[map->nruns - 1] : NULL;

	if (last != NULL && last->timeline == timeline && last->last + 1 == segno)
	{
		last->last = segno;
		return true;
	}
	if (last != NULL &&
		(last->timeline > timeline || (last->timeline == timeline && last->last >= segno)))
		return bkc_error_set(err, BKC_ERR_INTERNAL,
							 "objects of repository \"%s\" are not listed in order",
							 map->store->location);
	if (!bkc_walmap_grow((void **) &map->runs, &listing->runs_cap, map->nruns,
						 sizeof(*map->runs), err))
		return false;
	map->runs[map->nruns++] = (BkcWalRun) {timeline, segno, segno};
	return true;
}

/* Into one of the lists of single segments, once. */
static bool
take_single(BkcWalTail **list, size_t *n, size_t *cap, uint32_t timeline, uint64_t segno,
			BkcError *err)
{
	if (*n > 0 && (*list)[*n - 1].timeline == timeline && (*list)[*n - 1].segno == segno)
		return true;
	if (!bkc_walmap_grow((void **) list, cap, *n, sizeof(**list), err))
		return false;
	(*list)[(*n)++] = (BkcWalTail) {timeline, segno};
	return true;
}

/* A segment, its conflict object or a chunk of it. */
static bool
take_wal(Listing *listing, const BkcWalName *name, BkcError *err)
{
	BkcWalMap  *map = listing->map;
	const BkcWalRun *last;
	uint32_t	timeline;
	uint64_t	segno;

	/* another segment size has other names; nothing can be said about those */
	if (!bkc_wal_segment_parse(name->file, map->segment_size, &timeline, &segno))
		return true;
	if (name->type == BKC_WALNAME_SEGMENT && !name->conflict)
		return take_segment(listing, timeline, segno, err);

	last = map->nruns > 0 ? &map->runs[map->nruns - 1] : NULL;
	if (name->type == BKC_WALNAME_SEGMENT)
		return take_single(&map->conflicts, &map->nconflicts, &listing->conflicts_cap,
						   timeline, segno, err);
	if (last != NULL && last->timeline == timeline && last->last == segno)
		return true;			/* whole, so its chunks do not count any more */
	return take_single(&map->tails, &map->ntails, &listing->tails_cap, timeline, segno, err);
}

static bool
take_history(Listing *listing, uint32_t timeline, BkcError *err)
{
	if (!bkc_walmap_grow((void **) &listing->histories, &listing->histories_cap,
						 listing->nhistories, sizeof(*listing->histories), err))
		return false;
	listing->histories[listing->nhistories++] = timeline;
	return true;
}

static bool
take_name(void *arg, const char *name, uint64_t size, BkcError *err)
{
	Listing    *listing = arg;
	BkcWalName	parsed;

	if (!bkc_host_check(err))
		return false;
	if (!bkc_name_parse_wal(name, &parsed))
		return true;
	switch (parsed.type)
	{
		case BKC_WALNAME_SEGMENT:
		case BKC_WALNAME_CHUNK:
			return listing->map->segment_size == 0 || take_wal(listing, &parsed, err);
		case BKC_WALNAME_HISTORY:
			return parsed.conflict || take_history(listing, parsed.timeline, err);
		case BKC_WALNAME_BACKUP:
		case BKC_WALNAME_PARTIAL:
			return true;
	}
	return true;
}

/* ---- what came while it was listed ---- */

static bool
segment_came(const BkcWalMap *map, uint32_t timeline, uint64_t segno, bool *came, BkcError *err)
{
	char		file[BKC_WAL_NAME_MAX];

	bkc_wal_segment_name(timeline, segno, map->segment_size, file);
	return bkc_wal_there(map->store, map->sysid, file, came, err);
}

/* Lengthen a run by those that have come, as far as the segment before end. */
static bool
lengthen(BkcWalMap *map, size_t i, uint64_t end, BkcError *err)
{
	BkcWalRun  *run = &map->runs[i];
	bool		came = true;

	while (came && run->last + 1 < end)
	{
		if (!segment_came(map, run->timeline, run->last + 1, &came, err))
			return false;
		run->last += came;
	}
	return true;
}

static void
join_runs(BkcWalMap *map, size_t i)
{
	map->runs[i].last = map->runs[i + 1].last;
	map->nruns--;
	memmove(&map->runs[i + 1], &map->runs[i + 2], (map->nruns - i - 1) * sizeof(*map->runs));
}

/*
 * The newest run of a timeline: what lies between it and a segment with chunks was there before
 * those, however many that are, and the segment itself may be whole by now.
 */
static bool
lengthen_newest(BkcWalMap *map, size_t i, BkcError *err)
{
	const BkcWalRun *run = &map->runs[i];
	size_t		tail = bkc_waltail_at(map->tails, map->ntails, run->timeline, run->last);

	for (; tail < map->ntails && map->tails[tail].timeline == run->timeline; tail++)
	{
		if (!lengthen(map, i, map->tails[tail].segno + 1, err))
			return false;
		if (run->last < map->tails[tail].segno)
			break;
	}
	return true;
}

/* The newest hole of each timeline, between runs or before a segment with chunks. */
static bool
ask_again(BkcWalMap *map, BkcError *err)
{
	for (size_t i = map->nruns; i-- > 0;)
	{
		BkcWalRun  *run = &map->runs[i];
		BkcWalRun  *next = i + 1 < map->nruns ? run + 1 : NULL;
		bool		newest = next == NULL || next->timeline != run->timeline;

		if (newest && !lengthen_newest(map, i, err))
			return false;
		if (newest || (i + 2 < map->nruns && run[2].timeline == run->timeline) ||
			next->first - run->last - 1 > BKC_WAL_RECENT)
			continue;
		if (!lengthen(map, i, next->first, err))
			return false;
		if (run->last + 1 == next->first)
			join_runs(map, i);
	}
	return true;
}

/*
 * The first segment with chunks of a timeline that has no whole one before it: what was there
 * before it is asked for from there backwards.
 */
static bool
ask_before(Listing *listing, const BkcWalTail *tail, BkcError *err)
{
	BkcWalMap  *map = listing->map;
	BkcWalRun	run = {tail->timeline, tail->segno, tail->segno - 1};
	size_t		at = bkc_walmap_run_at(map, tail->timeline, 0);
	bool		came = true;

	if (at < map->nruns && map->runs[at].timeline == tail->timeline &&
		map->runs[at].first < tail->segno)
		return true;
	while (came && run.first > 0)
	{
		if (!segment_came(map, run.timeline, run.first - 1, &came, err))
			return false;
		run.first -= came;
	}
	if (run.first == tail->segno)
		return true;
	if (!bkc_walmap_grow((void **) &map->runs, &listing->runs_cap, map->nruns, sizeof(run), err))
		return false;
	memmove(&map->runs[at + 1], &map->runs[at], (map->nruns - at) * sizeof(run));
	map->runs[at] = run;
	map->nruns++;
	return true;
}

static void
drop_whole_tails(BkcWalMap *map)
{
	size_t		n = 0;

	for (size_t i = 0; i < map->ntails; i++)
	{
		if (!bkc_walmap_has(map, map->tails[i].timeline, map->tails[i].segno))
			map->tails[n++] = map->tails[i];
	}
	map->ntails = n;
}

static bool
take_late(Listing *listing, BkcError *err)
{
	BkcWalMap  *map = listing->map;

	for (size_t i = 0; i < map->ntails; i++)
	{
		if ((i == 0 || map->tails[i - 1].timeline != map->tails[i].timeline) &&
			!ask_before(listing, &map->tails[i], err))
			return false;
	}
	if (!ask_again(map, err))
		return false;
	drop_whole_tails(map);
	return true;
}

/* ---- histories ---- */

/* The content of a small object, through a file in memory. */
static bool
read_text(BkcStore *store, const char *name, BkcBuffer *text, BkcError *err)
{
	BkcWalInfo	info;
	ssize_t		got = 0;
	int			fd;
	bool		ok;

	fd = memfd_create("history", MFD_CLOEXEC);
	if (fd < 0)
		return bkc_error_os(err, errno, "could not make a file in memory");
	ok = bkc_wal_read(store, name, BKC_WAL_HISTORY_MAX, fd, name, &info, err) &&
		bkc_buffer_reserve(text, BKC_WAL_HISTORY_MAX + 1, err);
	if (ok)
	{
		got = pread(fd, text->data, BKC_WAL_HISTORY_MAX, 0);
		ok = got >= 0 || bkc_error_os(err, errno, "could not read a file in memory");
	}
	if (ok)
	{
		text->len = (size_t) got;
		text->data[text->len] = '\0';
	}
	close(fd);
	return ok;
}

static bool
load_history(BkcWalMap *map, uint32_t timeline, BkcBuffer *text, BkcError *err)
{
	char		file[BKC_WAL_NAME_MAX];
	char		name[BKC_NAME_MAX];

	bkc_buffer_reset(text);
	bkc_wal_history_name(timeline, file);
	if (bkc_wal_find(map->store, map->sysid, file, name, err) &&
		read_text(map->store, name, text, err) &&
		bkc_walmap_add_history(map, timeline, bkc_buffer_str(text), text->len, err))
		return true;
	if (!bkc_walmap_is_damage(err->code))
		return false;
	bkc_log(BKC_LOG_WARNING, "history of timeline %u cannot be used: %s", timeline, err->message);
	bkc_error_clear(err);
	map->damaged[map->ndamaged++] = timeline;
	return true;
}

/* Those that the listing has found. */
static bool
load_histories(Listing *listing, BkcError *err)
{
	BkcWalMap  *map = listing->map;
	BkcBuffer	text = {0};
	bool		ok;

	map->damaged = calloc(listing->nhistories + 1, sizeof(*map->damaged));
	ok = map->damaged != NULL || bkc_error_oom(err);
	for (size_t i = 0; ok && i < listing->nhistories; i++)
		ok = bkc_host_check(err) && load_history(map, listing->histories[i], &text, err);
	bkc_buffer_free(&text);
	return ok;
}

bool
bkc_walmap_load(BkcStore *store, uint64_t sysid, uint32_t segment_size, BkcWalMap **map,
				BkcError *err)
{
	Listing		listing = {0};
	char		root[BKC_NAME_MAX];
	bool		ok;

	*map = NULL;
	if (!bkc_name_wal_root(sysid, root, err))
		return false;
	listing.map = calloc(1, sizeof(*listing.map));
	if (listing.map == NULL)
		return bkc_error_oom(err);
	listing.map->store = store;
	listing.map->sysid = sysid;
	listing.map->segment_size = segment_size;
	ok = (segment_size != 0 || probe_size(listing.map, root, err)) &&
		bkc_store_list(store, root, true, take_name, &listing, err) &&
		take_late(&listing, err) &&
		load_histories(&listing, err);
	free(listing.histories);
	if (!ok)
	{
		bkc_walmap_free(listing.map);
		return false;
	}
	*map = listing.map;
	return true;
}
