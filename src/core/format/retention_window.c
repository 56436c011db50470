/*
 * retention_window.c
 *		Which backups the recovery window needs.
 *
 * The choice depends on nothing that the plan removes: it looks at the newest of the old
 * backups, at those behind gaps, and at WAL that these backups keep.  So a second plan, made
 * when a part of the first was carried out, chooses the same.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "format/retention_inner.h"

/* A timeline that has points in the window. */
typedef struct Target
{
	uint32_t	timeline;
	uint64_t	last;			/* the last segment that is known to be in it */
} Target;

/* A backup that leads to the target. */
typedef struct Candidate
{
	size_t		i;
	uint64_t	stop_lsn;
	int64_t		end;
	size_t		rank;
} Candidate;

/* ---- targets ---- */

static int
compare_targets(const void *pa, const void *pb)
{
	const Target *a = pa;
	const Target *b = pb;

	if (a->timeline != b->timeline)
		return a->timeline < b->timeline ? -1 : 1;
	return (a->last < b->last) - (a->last > b->last);
}

/*
 * Each once, with the highest segment.  The server's own timeline is one even when there is
 * nothing of it yet.
 */
static bool
find_targets(const BkcRetention *r, Target **targets, size_t *n, BkcError *err)
{
	Target	   *list = calloc(r->in->nwal + 1, sizeof(*list));
	size_t		count = 0;

	*targets = list;
	*n = 0;
	if (list == NULL)
		return bkc_error_oom(err);
	for (size_t i = 0; i < r->in->nwal; i++)
	{
		const BkcRetentionWal *wal = &r->in->wal[i];

		if (wal->time != 0 && wal->time < r->window_start)
			continue;
		list[count].timeline = wal->timeline;
		list[count++].last = wal->last;
	}
	list[count].timeline = r->timeline;
	list[count++].last = UINT64_MAX;
	qsort(list, count, sizeof(*list), compare_targets);
	for (size_t i = 0; i < count; i++)
	{
		if (*n == 0 || list[*n - 1].timeline != list[i].timeline)
			list[(*n)++] = list[i];
	}
	return true;
}

/* ---- candidates ---- */

/*
 * One that begins behind the last segment is none.  The others reach that segment, so as
 * long as one is chosen that segment stays, and with it the reason for the choice.
 */
static bool
may_serve(const BkcRetention *r, size_t i, const Target *target, bool all)
{
	const BkcRetentionMark *mark = &r->marks[i];

	return mark->placed && (mark->counts || (all && mark->good)) && mark->first <= target->last;
}

static int
compare_candidates(const void *pa, const void *pb)
{
	const Candidate *a = pa;
	const Candidate *b = pb;

	if (a->stop_lsn != b->stop_lsn)
		return a->stop_lsn < b->stop_lsn ? -1 : 1;
	return (a->rank < b->rank) - (a->rank > b->rank);
}

/* By their stop; list has room for all backups. */
static size_t
find_candidates(const BkcRetention *r, const BkcRetentionPath *path, const Target *target,
				bool all, Candidate *list)
{
	size_t		n = 0;

	for (size_t i = 0; i < r->in->nbackups; i++)
	{
		const BkcRetentionBackup *b = &r->in->backups[i];

		if (!may_serve(r, i, target, all) ||
			!bkc_retention_on_path(path, b->timeline, b->start_lsn) ||
			!bkc_retention_on_path(path, b->timeline, b->stop_lsn))
			continue;
		list[n].i = i;
		list[n].stop_lsn = b->stop_lsn;
		list[n].end = r->marks[i].end;
		list[n].rank = r->marks[i].rank;
		n++;
	}
	qsort(list, n, sizeof(*list), compare_candidates);
	return n;
}

/* ---- choice ---- */

/*
 * The base, and whatever lies behind missing WAL.  Where all is in order the old ones come
 * first, and the base is the last of them.  Where clocks have put a young one before an old
 * one nobody knows where the window begins: then it begins before the first young one, and
 * all stay from there to the last old one.
 */
static void
choose(BkcRetention *r, const BkcRetentionPath *path, const Candidate *list, size_t n)
{
	size_t		young = 0;		/* first young one */
	size_t		old = n;		/* last old one */
	size_t		k;
	uint64_t	reach;

	while (young < n && list[young].end <= r->window_start)
		young++;
	for (size_t j = 0; j < n; j++)
		old = list[j].end <= r->window_start ? j : old;
	k = young > 0 ? young - 1 : 0;
	r->marks[list[k].i].needed |= young > 0 ? BKC_RETENTION_BASE : BKC_RETENTION_BEGINS;
	for (; old < n && k < old; k++)
		r->marks[list[k + 1].i].needed |= BKC_RETENTION_BASE;
	reach = bkc_retention_reach(r, path, list[k].i);
	for (k++; k < n; k++)
	{
		if (reach > r->marks[list[k].i].last)
			continue;
		r->marks[list[k].i].needed |= BKC_RETENTION_RESUMES;
		reach = bkc_retention_reach(r, path, list[k].i);
	}
}

/*
 * A base of that very timeline is one whatever its history says.  Without one,
 * any backup of a lower timeline may be the one that leads to it.
 */
static void
choose_unknown(BkcRetention *r, const Target *target, const Candidate *list, size_t n, bool all)
{
	for (size_t k = 0; k < n; k++)
	{
		if (list[k].end <= r->window_start)
			return;
	}
	for (size_t i = 0; i < r->in->nbackups; i++)
	{
		BkcRetentionMark *mark = &r->marks[i];

		if (!may_serve(r, i, target, all) || r->in->backups[i].timeline >= target->timeline)
			continue;
		mark->needed |= BKC_RETENTION_UNKNOWN;
		mark->unknown = target->timeline;
	}
}

/*
 * A backup in the window is a point of it.  Where its timeline has no WAL there,
 * or only WAL before it, nothing else may lead to that point.
 */
static void
choose_alone(BkcRetention *r, const Target *targets, size_t n)
{
	for (size_t i = 0; i < r->in->nbackups; i++)
	{
		BkcRetentionMark *mark = &r->marks[i];
		size_t		k = 0;

		if (!mark->good || mark->end <= r->window_start)
			continue;
		while (k < n && targets[k].timeline != r->in->backups[i].timeline)
			k++;
		if (k == n || !mark->placed || mark->first > targets[k].last)
			mark->needed |= BKC_RETENTION_ALONE;
	}
}

static bool
serve_target(BkcRetention *r, const Target *target, bool all, Candidate *list, BkcError *err)
{
	BkcRetentionPath path;
	size_t		n;

	if (!bkc_retention_path(r, target->timeline, &path, err))
		return false;
	n = find_candidates(r, &path, target, all, list);
	if (n > 0)
		choose(r, &path, list, n);
	if (!bkc_retention_known(r, target->timeline))
		choose_unknown(r, target, list, n, all);
	free(path.legs);
	return true;
}

/*
 * First with those that count, then with all good ones: what is not in the catalog stays
 * anyway, but takes no other's place; and when the only base is one of these, its WAL must
 * stay.
 */
static bool
serve_targets(BkcRetention *r, BkcError *err)
{
	Target	   *targets;
	size_t		n;
	Candidate  *list = calloc(r->in->nbackups + 1, sizeof(*list));
	bool		ok = find_targets(r, &targets, &n, err);

	ok = ok && (list != NULL || bkc_error_oom(err));
	for (size_t k = 0; ok && k < n; k++)
		ok = serve_target(r, &targets[k], false, list, err) &&
			serve_target(r, &targets[k], true, list, err);
	if (ok)
		choose_alone(r, targets, n);
	free(list);
	free(targets);
	return ok;
}

bool
bkc_retention_window(BkcRetention *r, BkcError *err)
{
	char		span[40];

	if (r->unlimited || r->no_rule || r->retired)
		return true;
	if (!serve_targets(r, err))
		return false;
	bkc_retention_span(r->in->policy.pitr_window, span, sizeof(span));
	for (size_t i = 0; i < r->in->nbackups; i++)
	{
		unsigned	needed = r->marks[i].needed;

		if ((needed & BKC_RETENTION_BASE) &&
			!bkc_retention_keep(r, i, err, "base of the recovery window of %s", span))
			return false;
		if ((needed & BKC_RETENTION_BEGINS) &&
			!bkc_retention_keep(r, i, err, "first in the recovery window of %s", span))
			return false;
		if ((needed & BKC_RETENTION_RESUMES) &&
			!bkc_retention_keep(r, i, err, "first in the recovery window behind missing WAL"))
			return false;
		if ((needed & BKC_RETENTION_ALONE) &&
			!bkc_retention_keep(r, i, err, "in the recovery window, and no WAL leads to it"))
			return false;
		if ((needed & BKC_RETENTION_UNKNOWN) &&
			!bkc_retention_keep(r, i, err, "history of timeline %" PRIu32 " is not known",
								r->marks[i].unknown))
			return false;
	}
	return true;
}

bool
bkc_retention_in_window(const BkcRetention *r, size_t i)
{
	const BkcRetentionMark *mark = &r->marks[i];

	if (r->in->backups[i].kind != BKC_RETENTION_REGISTERED &&
		r->in->backups[i].state == BKC_RETENTION_RUNNING)
		return true;
	return mark->keep && mark->complete &&
		(r->unlimited || mark->end > r->window_start || mark->needed != 0 ||
		 i == r->newest_good);
}
