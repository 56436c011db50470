/*
 * retention_backups.c
 *		Which backups stay by the policy's rules, by what was said about them
 *		alone, and because others need them.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "format/retention_inner.h"

/* ---- what holds for one backup alone ---- */

static bool
keep_held(BkcRetention *r, size_t i, BkcError *err)
{
	const BkcRetentionBackup *b = &r->in->backups[i];
	const char *reason = b->held_reason != NULL ? b->held_reason : "";

	if (!b->held)
		return true;
	return bkc_retention_keep(r, i, err, "held%s%.*s", reason[0] != '\0' ? ": " : "",
							  bkc_text_clip(reason, strlen(reason), 255), reason);
}

/* Stays until a time that lies ahead. */
static bool
keep_until(BkcRetention *r, size_t i, int64_t until, const char *what, BkcError *err)
{
	const BkcRetentionPolicy *policy = &r->in->policy;
	char		date[40];

	if (until <= r->in->now)
		return true;
	bkc_retention_period_name(BKC_RETENTION_DAY,
							  bkc_retention_period(policy, BKC_RETENTION_DAY, until),
							  date, sizeof(date));
	return bkc_retention_keep(r, i, err, "%s %s", what, date);
}

static bool
keep_by_itself(BkcRetention *r, size_t i, BkcError *err)
{
	const BkcRetentionBackup *b = &r->in->backups[i];

	if (r->no_rule && !bkc_retention_keep(r, i, err, "no policy"))
		return false;
	if (b->kind == BKC_RETENTION_REGISTERED)
	{
		if (!bkc_retention_keep(r, i, err, "registered: made by another tool"))
			return false;
	}
	else if (b->state == BKC_RETENTION_RUNNING)
	{
		if (!bkc_retention_keep(r, i, err, "running"))
			return false;
	}
	else if (b->state == BKC_RETENTION_UNFINISHED)
	{
		if (!bkc_retention_keep(r, i, err, "unfinished: swept by its owner"))
			return false;
	}
	else if (r->marks[i].future &&
			 !bkc_retention_keep(r, i, err, "from the future: a clock was wrong"))
		return false;
	if (!b->known_to_catalog && !bkc_retention_keep(r, i, err, "not in the catalog"))
		return false;
	return keep_held(r, i, err) &&
		keep_until(r, i, b->keep_until, "retention date", err) &&
		keep_until(r, i, b->locked_until, "locked until", err);
}

/* ---- rules that count backups ---- */

/*
 * The others that are newer than a backup take their places before it: how many are left of them?
 * *at is how many were seen before.
 */
static uint32_t
pass_others(const BkcRetention *r, size_t i, bool full_only, size_t *at, uint32_t left)
{
	while (left > 0 && *at < r->in->nothers &&
		   bkc_retention_newer(r->others[*at], &r->in->backups[i]))
	{
		if (!full_only || r->others[*at]->kind == BKC_RETENTION_FULL)
			left--;
		(*at)++;
	}
	return left;
}

static bool
keep_last(BkcRetention *r, BkcError *err)
{
	uint32_t	left = r->in->policy.keep_last;
	size_t		other = 0;

	for (size_t k = 0; left > 0 && k < r->in->nbackups; k++)
	{
		if (!r->marks[r->order[k]].counts)
			continue;
		left = pass_others(r, r->order[k], false, &other, left);
		if (left == 0)
			break;
		left--;
		if (!bkc_retention_keep(r, r->order[k], err, "last %" PRIu32, r->in->policy.keep_last))
			return false;
	}
	return true;
}

static bool
keep_within(BkcRetention *r, BkcError *err)
{
	int64_t		span;
	int64_t		from;
	char		text[40];

	if (r->in->policy.keep_within == 0)
		return true;
	if (__builtin_mul_overflow(r->in->policy.keep_within, BKC_RETENTION_USEC, &span) ||
		__builtin_sub_overflow(r->in->now, span, &from))
		from = INT64_MIN;
	bkc_retention_span(r->in->policy.keep_within, text, sizeof(text));
	for (size_t k = 0; k < r->in->nbackups; k++)
	{
		const BkcRetentionMark *mark = &r->marks[r->order[k]];

		if (mark->counts && mark->end >= from &&
			!bkc_retention_keep(r, r->order[k], err, "within %s", text))
			return false;
	}
	return true;
}

static bool
keep_full(BkcRetention *r, BkcError *err)
{
	uint32_t	n = r->in->policy.min_full;
	uint32_t	left = n;
	size_t		other = 0;

	for (size_t k = 0; left > 0 && k < r->in->nbackups; k++)
	{
		size_t		i = r->order[k];
		bool		ok;

		if (!r->marks[i].counts || r->in->backups[i].kind != BKC_RETENTION_FULL)
			continue;
		left = pass_others(r, i, true, &other, left);
		if (left == 0)
			break;
		left--;
		if (n == 1)
			ok = bkc_retention_keep(r, i, err, "newest full backup (min_full)");
		else
			ok = bkc_retention_keep(r, i, err, "one of the %" PRIu32 " newest full backups (min_full)",
									n);
		if (!ok)
			return false;
	}
	return true;
}

/* The newest good one; where there is none, the newest complete one. */
static bool
keep_newest(BkcRetention *r, BkcError *err)
{
	if (r->retired)
		return true;
	if (r->newest_good != BKC_RETENTION_NOBODY)
		return bkc_retention_keep(r, r->newest_good, err, "newest good backup");
	for (size_t k = 0; k < r->in->nbackups; k++)
	{
		size_t		i = r->order[k];

		/* what is not known or from the future stays anyway, and is no reason to remove another */
		if (r->marks[i].complete && !r->marks[i].future && r->in->backups[i].known_to_catalog)
			return bkc_retention_keep(r, i, err, "newest complete backup, as there is no good one");
	}
	return true;
}

/* ---- rules that count periods ---- */

typedef struct InPeriod
{
	int64_t		period;
	const BkcRetentionBackup *backup;
	size_t		i;				/* NOBODY: one of the others */
} InPeriod;

static int
compare_periods(const void *pa, const void *pb)
{
	const InPeriod *a = pa;
	const InPeriod *b = pb;

	if (a->period != b->period)
		return a->period > b->period ? -1 : 1;
	return bkc_retention_newer(b->backup, a->backup) - bkc_retention_newer(a->backup, b->backup);
}

static bool
keep_periods(BkcRetention *r, BkcRetentionPeriod kind, uint32_t count, const char *what,
			 BkcError *err)
{
	InPeriod   *list;
	size_t		n = 0;
	uint32_t	used = 0;
	bool		ok = true;

	if (count == 0)
		return true;
	list = calloc(r->in->nbackups + r->in->nothers + 1, sizeof(*list));
	if (list == NULL)
		return bkc_error_oom(err);
	for (size_t i = 0; i < r->in->nbackups + r->in->nothers; i++)
	{
		bool		ours = i < r->in->nbackups;

		if (ours && !r->marks[i].counts)
			continue;
		list[n].backup = ours ? &r->in->backups[i] : r->others[i - r->in->nbackups];
		list[n].i = ours ? i : BKC_RETENTION_NOBODY;
		list[n].period = bkc_retention_period(&r->in->policy, kind, list[n].backup->started);
		n++;
	}

	/* sorted by period, not by time: local time goes back in autumn */
	qsort(list, n, sizeof(*list), compare_periods);
	for (size_t k = 0; ok && k < n && used < count; k++)
	{
		char		name[40];

		if (k > 0 && list[k - 1].period == list[k].period)
			continue;
		used++;
		if (list[k].i == BKC_RETENTION_NOBODY)
			continue;
		bkc_retention_period_name(kind, list[k].period, name, sizeof(name));
		ok = bkc_retention_keep(r, list[k].i, err, "%s %s", what, name);
	}
	free(list);
	return ok;
}

bool
bkc_retention_by_rules(BkcRetention *r, BkcError *err)
{
	const BkcRetentionPolicy *policy = &r->in->policy;

	for (size_t i = 0; i < r->in->nbackups; i++)
	{
		if (!keep_by_itself(r, i, err))
			return false;
	}
	return keep_last(r, err) &&
		keep_periods(r, BKC_RETENTION_DAY, policy->keep_daily, "daily", err) &&
		keep_periods(r, BKC_RETENTION_WEEK, policy->keep_weekly, "weekly", err) &&
		keep_periods(r, BKC_RETENTION_MONTH, policy->keep_monthly, "monthly", err) &&
		keep_periods(r, BKC_RETENTION_YEAR, policy->keep_yearly, "yearly", err) &&
		keep_within(r, err) &&
		keep_newest(r, err) &&
		keep_full(r, err);
}

/* ---- parents ---- */

/* That backup stays, and so does all that it depends on. */
static void
need_parents(BkcRetention *r, size_t i)
{
	/* the way up ends where somebody was before, so it also ends in a ring */
	while (r->marks[i].parent != BKC_RETENTION_NOBODY)
	{
		BkcRetentionMark *parent = &r->marks[r->marks[i].parent];

		if (parent->nchildren++ == 0 || r->marks[parent->child].rank > r->marks[i].rank)
			parent->child = i;
		if (parent->nchildren > 1)
			return;
		i = r->marks[i].parent;
		if (parent->keep && r->in->backups[i].state != BKC_RETENTION_UNFINISHED)
			return;				/* it has its own turn */
	}
}

bool
bkc_retention_parents(BkcRetention *r, BkcError *err)
{
	size_t		n = r->in->nbackups;

	/* keep is not touched before all is known: so each child counts once */
	for (size_t i = 0; i < n; i++)
	{
		/* an unfinished one will never be restored */
		if (r->marks[i].keep && r->in->backups[i].state != BKC_RETENTION_UNFINISHED)
			need_parents(r, i);
	}
	for (size_t i = 0; i < n; i++)
	{
		const BkcRetentionMark *mark = &r->marks[i];
		bool		ok = true;

		if (mark->nchildren == 1)
			ok = bkc_retention_keep(r, i, err, "needed by %s", r->in->backups[mark->child].label);
		else if (mark->nchildren > 1)
			ok = bkc_retention_keep(r, i, err, "needed by %s and %zu more",
									r->in->backups[mark->child].label, mark->nchildren - 1);
		if (!ok)
			return false;
	}
	return true;
}
