/*
 * walget_timeline.c
 *		What is known of WAL behind a segment: on other timelines, whose
 *		histories say that recovery would have come through it.
 */
#include "walget.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipe/walobj.h"

/* ---- what a repository holds ---- */

static bool
take_any_name(void *arg, const char *name, uint64_t size, BkcError *err)
{
	*(bool *) arg = true;
	return true;
}

bool
bkc_walget_has_wal(BkcSession *session, uint32_t timeline, bool *has, BkcError *err)
{
	char		prefix[BKC_NAME_MAX];

	*has = false;
	return (timeline == 0 ? bkc_name_wal_root(session->sysid, prefix, err) :
			bkc_name_wal_timeline(session->sysid, timeline, prefix, err)) &&
		bkc_store_list(session->store, prefix, false, take_any_name, has, err);
}

typedef struct HighestScan
{
	size_t		prefix_len;
	uint32_t	highest;
} HighestScan;

/* A timeline's history, or the folder with its WAL. */
static bool
take_higher(void *arg, const char *name, uint64_t size, BkcError *err)
{
	HighestScan *scan = arg;
	const char *digits = name + scan->prefix_len;
	BkcWalName	parsed;
	uint32_t	timeline;

	if (bkc_name_parse_wal(name, &parsed) && parsed.type == BKC_WALNAME_HISTORY)
		timeline = parsed.timeline;
	else if (strspn(digits, "0123456789ABCDEF") == 8 && strcmp(digits + 8, "/") == 0)
		timeline = (uint32_t) strtoul(digits, NULL, 16);
	else
		return true;
	if (timeline > scan->highest)
		scan->highest = timeline;
	return true;
}

bool
bkc_walget_highest(BkcSession *session, uint32_t *highest, BkcError *err)
{
	HighestScan scan = {0};
	char		prefix[BKC_NAME_MAX];
	bool		ok;

	ok = bkc_name_wal_root(session->sysid, prefix, err);
	scan.prefix_len = strlen(prefix);
	ok = ok && bkc_store_list(session->store, prefix, false, take_higher, &scan, err);
	*highest = scan.highest;
	return ok;
}

/* ---- the segment size ---- */

/* The first name that is a segment's, or of a part of one, ends the listing. */
static bool
take_segment(void *arg, const char *name, uint64_t size, BkcError *err)
{
	BkcWalName	parsed;

	if (!bkc_name_parse_wal(name, &parsed) || parsed.type == BKC_WALNAME_HISTORY ||
		parsed.type == BKC_WALNAME_BACKUP)
		return true;
	snprintf(arg, BKC_NAME_MAX, "%s", name);
	return bkc_error_set(err, BKC_ERR_EXISTS, "found %s", name);
}

bool
bkc_walget_any_size(BkcWalGet *w, BkcSession *session, BkcError *err)
{
	char		prefix[BKC_NAME_MAX];
	char		name[BKC_NAME_MAX] = "";
	BkcWalInfo	info;

	if (w->segment_size != 0)
		return true;
	if (!bkc_name_wal_root(session->sysid, prefix, err) ||
		(!bkc_store_list(session->store, prefix, true, take_segment, name, err) &&
		 name[0] == '\0'))
		return false;
	return name[0] == '\0' ||
		(bkc_wal_info(session->store, name, &info, err) &&
		 bkc_walget_take_size(w, info.segment_size, name, err));
}

/* ---- what must have been there ---- */

/*
 * Does the way to that timeline leave the segment's only behind the segment, and is there
 * WAL of where it goes then?
 */
static bool
is_passed(const BkcWalGet *w, BkcSession *session, uint32_t descendant, bool *passed,
		  BkcError *err)
{
	BkcHistoryEntry *entries;
	BkcWalPart	part;
	uint64_t	end = bkc_walget_start(w) + w->segment_size;
	size_t		n;
	size_t		at = 0;
	bool		found;
	bool		ok = true;

	if (!bkc_walget_history(w, descendant, &entries, &n, &found, err))
		return false;
	if (found && bkc_walget_part_of(w, entries, n, &part) && part.end >= end)
	{
		while (entries[at].timeline != w->timeline)
			at++;
		while (ok && !*passed && ++at < n)
			ok = bkc_walget_has_wal(session, entries[at].timeline, passed, err);
		ok = ok && (*passed || bkc_walget_has_wal(session, descendant, passed, err));
	}
	free(entries);
	return ok;
}

bool
bkc_walget_passed(const BkcWalGet *w, BkcSession *session, bool *passed, BkcError *err)
{
	uint32_t   *later = NULL;
	size_t		n = 0;
	bool		ok = true;

	*passed = false;
	if (w->target != 0)
		return w->target == w->timeline || is_passed(w, session, w->target, passed, err);
	ok = bkc_walget_later(w, &later, &n, err);
	for (size_t i = 0; ok && !*passed && i < n; i++)
		ok = is_passed(w, session, later[i], passed, err);
	free(later);
	return ok;
}
