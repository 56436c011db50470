/*
 * retention_wal.c
 *		Which WAL stays: ranges, cut where the answer changes.
 *
 * Of each timeline everything from one segment on stays, because whatever reaches a segment
 * reaches all later ones of its timeline.  Before that there are at most the
 * segments that make single backups consistent.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/retention_inner.h"

/* Why WAL stays from there on. */
typedef enum Cause
{
	CAUSE_NONE,
	CAUSE_ALL,					/* text */
	CAUSE_WINDOW,				/* backup */
	CAUSE_RUNNING,				/* backup */
	CAUSE_HISTORY,				/* backup, and nobody knows whether it leads there */
	CAUSE_CONSISTENT,			/* backup that cannot be placed */
	CAUSE_NEWER
} Cause;

typedef struct Edge
{
	uint64_t	from;			/* all segments from this one on stay, when there is a cause */
	Cause		cause;
	size_t		i;
	const char *text;
} Edge;

/* Segments that make a backup consistent. */
typedef struct Stretch
{
	uint32_t	timeline;
	uint64_t	first;
	uint64_t	last;
	size_t		i;
} Stretch;

typedef struct Cutter
{
	BkcRetention *r;
	BkcRetentionPlan *plan;
	size_t		cap;
	Stretch    *stretches;		/* by timeline and first */
	size_t		nstretches;
	const char *all;			/* why all WAL stays, or NULL */
	size_t		all_i;
} Cutter;

/* ---- all of it ---- */

static void
find_all(Cutter *c)
{
	const BkcRetention *r = c->r;
	bool		good = false;

	if (r->no_rule)
	{
		c->all = "no policy";
		return;
	}
	for (size_t i = 0; i < r->in->nbackups; i++)
	{
		const BkcRetentionBackup *b = &r->in->backups[i];

		good = good || r->marks[i].good;
		if (b->state == BKC_RETENTION_RUNNING && b->kind != BKC_RETENTION_REGISTERED &&
			!r->marks[i].placed)
		{
			c->all = "not known where this backup began:";
			c->all_i = i;
		}
	}
	if (!good && !r->retired)
	{
		c->all = "no good backup";
		c->all_i = BKC_RETENTION_NOBODY;
	}
}

/* ---- edges ---- */

static void
lower(Edge *edge, uint64_t from, Cause cause, size_t i)
{
	if (edge->cause != CAUSE_NONE && edge->from <= from)
		return;
	edge->from = from;
	edge->cause = cause;
	edge->i = i;
}

/* Does the backup lead to points of that timeline?  One that is not placed may lead to all. */
static BkcRetentionWay
leads_to(const BkcRetention *r, size_t i, uint32_t timeline)
{
	const BkcRetentionBackup *b = &r->in->backups[i];
	uint64_t	left;
	BkcRetentionWay way;

	if (b->timeline == 0)
		return BKC_RETENTION_MAYBE;
	way = bkc_retention_way(r, b->timeline, timeline, &left);
	if (way == BKC_RETENTION_WAY && r->marks[i].placed && left < b->start_lsn)
		return BKC_RETENTION_NO_WAY;
	return way;
}

static void
reach_from(const BkcRetention *r, size_t i, uint32_t timeline, Edge *edge)
{
	uint64_t	from = r->marks[i].placed ? r->marks[i].first : 0;

	switch (leads_to(r, i, timeline))
	{
		case BKC_RETENTION_NO_WAY:
			break;
		case BKC_RETENTION_MAYBE:
			lower(edge, from, CAUSE_HISTORY, i);
			break;
		default:
			lower(edge, from, r->marks[i].complete ? CAUSE_WINDOW : CAUSE_RUNNING, i);
	}
}

/*
 * A timeline to which no kept backup leads, and that has WAL newer than the newest backup:
 * what is not on the way to that backup stays.  It is of no use yet, but the server may be
 * on it.  WAL that does not stay proves nothing, so that the next plan, which does not see
 * it, says the same.
 */
static void
newer_wal(const BkcRetention *r, uint32_t timeline, Edge *edge)
{
	size_t		newest = r->newest_good;
	bool		newer = timeline == r->timeline;
	uint64_t	from = 0;
	uint64_t	left;

	if (newest == BKC_RETENTION_NOBODY)
	{
		lower(edge, 0, CAUSE_NEWER, newest);
		return;
	}
	if (bkc_retention_way(r, timeline, r->in->backups[newest].timeline, &left) == BKC_RETENTION_WAY)
		from = left / r->segment_size;
	for (size_t k = 0; !newer && k < r->in->nwal; k++)
	{
		const BkcRetentionWal *wal = &r->in->wal[k];

		newer = wal->timeline == timeline && wal->last >= from &&
			(wal->time == 0 || wal->time >= r->marks[newest].end);
	}
	if (newer)
		lower(edge, from, CAUSE_NEWER, newest);
}

static void
find_edge(const Cutter *c, uint32_t timeline, Edge *edge)
{
	const BkcRetention *r = c->r;

	memset(edge, 0, sizeof(*edge));
	if (c->all != NULL)
	{
		lower(edge, 0, CAUSE_ALL, c->all_i);
		edge->text = c->all;
		return;
	}
	for (size_t k = 0; k < r->in->nbackups; k++)
	{
		size_t		i = r->order[r->in->nbackups - 1 - k];
		const BkcRetentionMark *mark = &r->marks[i];

		if (bkc_retention_in_window(r, i))
			reach_from(r, i, timeline, edge);
		else if (mark->keep && mark->complete && !mark->placed && !r->in->backups[i].own_wal &&
				 (r->in->backups[i].timeline == timeline || r->in->backups[i].timeline == 0))
			lower(edge, 0, CAUSE_CONSISTENT, i);
	}
	if (edge->cause == CAUSE_NONE && !r->retired)
		newer_wal(r, timeline, edge);
}

/* ---- stretches ---- */

static int
compare_stretches(const void *pa, const void *pb)
{
	const Stretch *a = pa;
	const Stretch *b = pb;

	if (a->timeline != b->timeline)
		return a->timeline < b->timeline ? -1 : 1;
	if (a->first != b->first)
		return a->first < b->first ? -1 : 1;
	return (a->i > b->i) - (a->i < b->i);
}

static bool
find_stretches(Cutter *c, BkcError *err)
{
	const BkcRetention *r = c->r;

	c->stretches = calloc(r->in->nbackups + 1, sizeof(*c->stretches));
	if (c->stretches == NULL)
		return bkc_error_oom(err);
	for (size_t i = 0; i < r->in->nbackups; i++)
	{
		const BkcRetentionMark *mark = &r->marks[i];
		Stretch    *stretch = &c->stretches[c->nstretches];

		if (!mark->keep || !mark->complete || !mark->placed || r->in->backups[i].own_wal)
			continue;
		stretch->timeline = r->in->backups[i].timeline;
		stretch->first = mark->first;
		stretch->last = mark->last;
		stretch->i = i;
		c->nstretches++;
	}
	qsort(c->stretches, c->nstretches, sizeof(*c->stretches), compare_stretches);
	return true;
}

/* ---- ranges ---- */

static bool
add_range(Cutter *c, const BkcRetentionRange *part, BkcError *err, const char *fmt,...)
	BKC_PRINTF(4, 5);

static bool
add_range(Cutter *c, const BkcRetentionRange *part, BkcError *err, const char *fmt,...)
{
	char		text[256];
	BkcRetentionRange *before;
	va_list		args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	before = c->plan->nwal > 0 ? &c->plan->wal[c->plan->nwal - 1] : NULL;
	if (before != NULL && before->wal == part->wal && before->keep == part->keep &&
		strcmp(before->reason, text) == 0)
	{
		before->last = part->last;
		return true;
	}
	if (c->plan->nwal == c->cap)
	{
		size_t		cap = c->cap == 0 ? 16 : c->cap * 2;
		BkcRetentionRange *bigger = realloc(c->plan->wal, cap * sizeof(*bigger));

		if (bigger == NULL)
			return bkc_error_oom(err);
		c->plan->wal = bigger;
		c->cap = cap;
	}
	before = &c->plan->wal[c->plan->nwal];
	*before = *part;
	before->reason = strdup(text);
	if (before->reason == NULL)
		return bkc_error_oom(err);
	c->plan->nwal++;
	return true;
}

static bool
add_kept(Cutter *c, BkcRetentionRange *part, const Edge *edge, BkcError *err)
{
	const char *label = edge->i < c->r->in->nbackups ? c->r->in->backups[edge->i].label : "";

	part->keep = true;
	switch (edge->cause)
	{
		case CAUSE_ALL:
			return add_range(c, part, err, "%s%s%s", edge->text, label[0] != '\0' ? " " : "", label);
		case CAUSE_WINDOW:
			return add_range(c, part, err, "recovery window from %s", label);
		case CAUSE_RUNNING:
			return add_range(c, part, err, "needed by %s, which is running", label);
		case CAUSE_HISTORY:
			if (c->r->in->backups[edge->i].timeline == 0)
				return add_range(c, part, err, "timeline of %s is not known", label);
			return add_range(c, part, err, "history of timeline %" PRIu32 " is not known",
							 part->timeline);
		case CAUSE_CONSISTENT:
			return add_range(c, part, err, "makes %s consistent", label);
		default:
			return add_range(c, part, err, "newer than every backup that counts");
	}
}

static bool
add_removed(Cutter *c, BkcRetentionRange *part, const Edge *edge, bool behind, BkcError *err)
{
	part->keep = false;
	if (behind || (c->r->retired && !c->r->unlimited))
		return add_range(c, part, err, "outside the recovery window");
	if (edge->cause != CAUSE_NONE)
		return add_range(c, part, err, "before everything that is kept");
	return add_range(c, part, err, "no kept backup leads to timeline %" PRIu32, part->timeline);
}

/* What lies before the edge: first .. last of the timeline. */
static bool
cut_before(Cutter *c, const BkcRetentionWal *wal, size_t index, uint64_t last, const Edge *edge,
		   BkcError *err)
{
	uint64_t	at = wal->first;	/* the first that nothing is said about */
	bool		behind = false; /* does something before it stay? */
	BkcRetentionRange part = {.timeline = wal->timeline, .wal = index};

	for (size_t k = 0; k < c->nstretches && at <= last; k++)
	{
		const Stretch *stretch = &c->stretches[k];

		if (stretch->timeline != wal->timeline)
			continue;
		if (stretch->first > last)
			break;
		if (stretch->last < at)
		{
			behind = true;
			continue;
		}
		part.first = at;
		part.last = stretch->first - 1;
		if (stretch->first > at && !add_removed(c, &part, edge, behind, err))
			return false;
		part.first = stretch->first > at ? stretch->first : at;
		part.last = stretch->last < last ? stretch->last : last;
		part.keep = true;
		if (!add_range(c, &part, err, "makes %s consistent", c->r->in->backups[stretch->i].label))
			return false;
		at = part.last + 1;
		behind = true;
	}
	part.first = at;
	part.last = last;
	return at > last || add_removed(c, &part, edge, behind, err);
}

static bool
cut(Cutter *c, size_t index, BkcError *err)
{
	const BkcRetentionWal *wal = &c->r->in->wal[index];
	BkcRetentionRange part = {.timeline = wal->timeline, .wal = index};
	Edge		edge;

	find_edge(c, wal->timeline, &edge);
	if (edge.cause == CAUSE_NONE || edge.from > wal->last)
		return cut_before(c, wal, index, wal->last, &edge, err);
	if (edge.from > wal->first && !cut_before(c, wal, index, edge.from - 1, &edge, err))
		return false;
	part.first = edge.from > wal->first ? edge.from : wal->first;
	part.last = wal->last;
	return add_kept(c, &part, &edge, err);
}

bool
bkc_retention_wal(BkcRetention *r, BkcRetentionPlan *plan, BkcError *err)
{
	Cutter		c = {.r = r, .plan = plan, .all_i = BKC_RETENTION_NOBODY};
	bool		ok;

	find_all(&c);
	ok = find_stretches(&c, err);
	for (size_t i = 0; ok && i < r->in->nwal; i++)
		ok = cut(&c, i, err);
	free(c.stretches);
	return ok;
}
