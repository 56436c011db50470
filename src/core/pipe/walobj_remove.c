/*
 * walobj_remove.c
 *		Removing WAL (contract: walobj.h).
 *
 * A log's folder holds at most 4 GB of WAL: a few hundred names, listed and
 * then removed together.
 */
#include "pipe/walobj.h"

#include <stdlib.h>
#include <string.h>

#include "base/host.h"

typedef struct Range
{
	uint32_t	segment_size;
	uint64_t	first;
	uint64_t	last;
	char	  **names;
	size_t		n;
	size_t		cap;
} Range;

static bool
segment_of(const BkcWalName *parsed, uint32_t segment_size, uint64_t *segno)
{
	char		segment[BKC_WAL_NAME_MAX];
	uint32_t	timeline;

	if (parsed->type == BKC_WALNAME_HISTORY)
		return false;
	memcpy(segment, parsed->file, BKC_WAL_NAME_MAX - 1);
	segment[BKC_WAL_NAME_MAX - 1] = '\0';
	return bkc_wal_segment_parse(segment, segment_size, &timeline, segno);
}

static bool
take(void *arg, const char *name, uint64_t size, BkcError *err)
{
	Range	   *r = arg;
	BkcWalName	parsed;
	uint64_t	segno;

	if (!bkc_name_parse_wal(name, &parsed) || !segment_of(&parsed, r->segment_size, &segno) ||
		segno < r->first || segno > r->last)
		return true;
	if (r->n == r->cap)
	{
		size_t		cap = r->cap == 0 ? 256 : 2 * r->cap;
		char	  **bigger = realloc(r->names, cap * sizeof(*bigger));

		if (bigger == NULL)
			return bkc_error_oom(err);
		r->names = bigger;
		r->cap = cap;
	}
	r->names[r->n] = strdup(name);
	if (r->names[r->n] == NULL)
		return bkc_error_oom(err);
	r->n++;
	return true;
}

static void
forget(Range *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->names[i]);
	r->n = 0;
}

bool
bkc_wal_remove(BkcStore *store, uint64_t sysid, uint32_t timeline, uint64_t first, uint64_t last,
			   uint32_t segment_size, uint64_t *removed, BkcError *err)
{
	Range		range = {.segment_size = segment_size, .first = first, .last = last};
	uint64_t	per_log = (UINT64_C(1) << 32) / segment_size;
	bool		ok = true;

	if (removed != NULL)
		*removed = 0;
	for (uint64_t log = first / per_log; ok && log <= last / per_log; log++)
	{
		char		prefix[BKC_NAME_MAX];

		forget(&range);
		ok = bkc_host_check(err) &&
			bkc_name_wal_log(sysid, timeline, (uint32_t) log, prefix, err) &&
			bkc_store_list(store, prefix, true, take, &range, err) &&
			(range.n == 0 ||
			 bkc_store_remove(store, (const char *const *) range.names, range.n, err));
		if (ok && removed != NULL)
			*removed += range.n;
	}
	forget(&range);
	free(range.names);
	return ok;
}
