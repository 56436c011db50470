/*
 * lineage.c
 *		See lineage.h.
 */
#include "pipe/lineage.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/host.h"
#include "pipe/owner.h"
#include "pipe/unpack.h"

#define DEPTH_MAX	100			/* nobody upgrades so often; claims may bite their tail */

/* Who has adopted it, 0 = nobody, and when. */
static bool
read_successor(BkcStore *store, uint64_t sysid, uint64_t *successor, int64_t *time, BkcError *err)
{
	BkcOwnerDoc doc;
	bool		found;

	*successor = 0;
	*time = 0;
	if (!bkc_host_check(err))
		return false;
	if (!bkc_owner_current(store, sysid, &doc, &found, err))
	{
		/* without a key, too: then it is a cluster of somebody else */
		if (err->code != BKC_ERR_CORRUPT && err->code != BKC_ERR_UNSUPPORTED &&
			err->code != BKC_ERR_KEY)
			return false;
		bkc_log(err->code == BKC_ERR_KEY ? BKC_LOG_DEBUG : BKC_LOG_WARNING,
				"cluster %" PRIu64 " does not tell its owner: %s", sysid, err->message);
		return true;
	}
	if (found)
	{
		*successor = doc.successor;
		*time = doc.time;
	}
	return true;
}

bool
bkc_lineage_leads(BkcStore *store, uint64_t sysid, uint64_t to, bool *leads, uint64_t *next,
				  BkcError *err)
{
	int64_t		time;

	*leads = false;
	*next = 0;
	for (int i = 0; i < DEPTH_MAX && !*leads; i++)
	{
		uint64_t	successor;

		if (!read_successor(store, sysid, &successor, &time, err))
			return false;
		if (i == 0)
			*next = successor;
		if (successor == 0)
			break;
		sysid = successor;
		*leads = sysid == to;
	}
	return true;
}

/* ---- all of them ---- */

typedef struct Link
{
	uint64_t	sysid;
	uint64_t	successor;
	int64_t		time;
} Link;

static unsigned
depth_of(const Link *links, size_t n, size_t i, uint64_t to)
{
	uint64_t	at = links[i].successor;

	for (unsigned depth = 1; depth <= DEPTH_MAX && at != 0; depth++)
	{
		size_t		k = 0;

		if (at == to)
			return depth;
		while (k < n && links[k].sysid != at)
			k++;
		at = k < n ? links[k].successor : 0;
	}
	return 0;
}

static int
compare_nearness(const void *pa, const void *pb)
{
	const BkcPredecessor *a = pa;
	const BkcPredecessor *b = pb;

	if (a->depth != b->depth)
		return a->depth < b->depth ? -1 : 1;
	if (a->adopted != b->adopted)
		return a->adopted > b->adopted ? -1 : 1;
	return (a->system_identifier > b->system_identifier) -
		(a->system_identifier < b->system_identifier);
}

bool
bkc_lineage_load(BkcStore *store, uint64_t sysid, BkcPredecessor **list, size_t *n, BkcError *err)
{
	BkcClusterInfo *clusters = NULL;
	Link	   *links = NULL;
	size_t		count;
	bool		ok;

	*list = NULL;
	*n = 0;
	if (!bkc_repo_clusters(store, &clusters, &count, err))
		return false;
	links = calloc(count + 1, sizeof(*links));
	*list = calloc(count + 1, sizeof(**list));
	ok = (links != NULL && *list != NULL) || bkc_error_oom(err);
	for (size_t i = 0; ok && i < count; i++)
	{
		links[i].sysid = clusters[i].system_identifier;
		if (links[i].sysid != sysid)
			ok = read_successor(store, links[i].sysid, &links[i].successor, &links[i].time, err);
	}
	for (size_t i = 0; ok && i < count; i++)
	{
		BkcPredecessor *next = &(*list)[*n];

		next->system_identifier = links[i].sysid;
		next->adopted = links[i].time;
		next->depth = depth_of(links, count, i, sysid);
		if (next->depth > 0)
			(*n)++;
	}
	if (ok)
		qsort(*list, *n, sizeof(**list), compare_nearness);
	else
	{
		free(*list);
		*list = NULL;
		*n = 0;
	}
	free(links);
	bkc_repo_clusters_free(clusters, count);
	return ok;
}
