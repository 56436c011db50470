/*
 * retention.c
 *		The retention plan: what is found out about each backup first, the
 *		order of the steps, the order of removal.
 */
#include "format/retention.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/retention_inner.h"

#define DEFAULT_SEGMENT_SIZE	(UINT32_C(16) * 1024 * 1024)

/* ---- texts ---- */

void
bkc_retention_span(int64_t seconds, char *out, size_t outlen)
{
	static const struct
	{
		int64_t		seconds;
		const char *name;
	}			units[] = {
		{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}
	};
	size_t		i = 0;

	while (seconds % units[i].seconds != 0)
		i++;
	seconds /= units[i].seconds;
	snprintf(out, outlen, "%" PRId64 " %s%s", seconds, units[i].name, seconds == 1 ? "" : "s");
}

bool
bkc_retention_keep(BkcRetention *r, size_t i, BkcError *err, const char *fmt,...)
{
	BkcRetentionMark *mark = &r->marks[i];
	va_list		args;
	char		text[512];
	int			len;

	/* long enough for a label and a reason of a hold, which the caller has clipped */
	va_start(args, fmt);
	len = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (len < 0)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "text could not be formatted");
	mark->keep = true;
	return bkc_buffer_printf(&mark->reasons, err, "%s%s", mark->reasons.len > 0 ? "; " : "", text);
}

/* ---- parents ---- */

typedef struct Name
{
	const char *label;
	size_t		i;
} Name;

static int
compare_names(const void *pa, const void *pb)
{
	return strcmp(((const Name *) pa)->label, ((const Name *) pb)->label);
}

static void
find_parents(BkcRetention *r, const Name *names)
{
	for (size_t i = 0; i < r->in->nbackups; i++)
	{
		const BkcRetentionBackup *b = &r->in->backups[i];
		const Name	wanted = {.label = b->parent};
		const Name *found = NULL;

		if (b->kind != BKC_RETENTION_REGISTERED && b->parent != NULL && b->parent[0] != '\0')
			found = bsearch(&wanted, names, r->in->nbackups, sizeof(*names), compare_names);
		r->marks[i].parent = found != NULL ? found->i : BKC_RETENTION_NOBODY;
	}
}

static bool
link_parents(BkcRetention *r, BkcError *err)
{
	size_t		n = r->in->nbackups;
	Name	   *names = calloc(n + 1, sizeof(*names));
	bool		ok = names != NULL || bkc_error_oom(err);

	if (ok)
	{
		for (size_t i = 0; i < n; i++)
		{
			names[i].label = r->in->backups[i].label;
			names[i].i = i;
		}
		qsort(names, n, sizeof(*names), compare_names);
		for (size_t i = 1; ok && i < n; i++)
		{
			if (strcmp(names[i - 1].label, names[i].label) == 0)
				ok = bkc_error_set(err, BKC_ERR_INVALID, "backup \"%s\" is there twice",
								   names[i].label);
		}
		if (ok)
			find_parents(r, names);
	}
	free(names);
	return ok;
}

/* ---- marks ---- */

static void
place(const BkcRetention *r, const BkcRetentionBackup *b, BkcRetentionMark *mark)
{
	bool		running = b->state == BKC_RETENTION_RUNNING;

	mark->placed = b->timeline != 0 && b->start_lsn != 0 &&
		(running || b->stop_lsn >= b->start_lsn) &&
		(b->segment_size == 0 || b->segment_size == r->segment_size);
	if (!mark->placed)
		return;
	mark->first = mark->last = b->start_lsn / r->segment_size;
	if (!running && b->stop_lsn > b->start_lsn)
		mark->last = (b->stop_lsn - 1) / r->segment_size;
}

/* What is wrong with it, its parents not considered. */
static const char *
own_fault(const BkcRetention *r, const BkcRetentionBackup *b, const BkcRetentionMark *mark)
{
	if (!mark->complete)
		return "not complete";
	if (b->verified == BKC_RETENTION_FAILED)
		return "verification failed";
	if (!b->own_wal && mark->placed &&
		!bkc_retention_has(r, b->timeline, mark->first, mark->last))
		return "its WAL is missing";
	return NULL;
}

static void
mark_backup(const BkcRetention *r, size_t i)
{
	const BkcRetentionBackup *b = &r->in->backups[i];
	BkcRetentionMark *mark = &r->marks[i];

	mark->complete = b->state == BKC_RETENTION_COMPLETE && b->kind != BKC_RETENTION_REGISTERED;
	mark->end = b->finished > b->started ? b->finished : b->started;
	mark->future = mark->end > r->in->now;
	mark->child = BKC_RETENTION_NOBODY;
	if (b->kind != BKC_RETENTION_REGISTERED)
		place(r, b, mark);
	mark->bad = own_fault(r, b, mark);
}

/* Up the chain of parents: how long is it, and is something wrong with one of them? */
static void
mark_chain(const BkcRetention *r, size_t i)
{
	BkcRetentionMark *mark = &r->marks[i];
	const char *bad = mark->bad;
	size_t		at = i;

	for (;;)
	{
		const BkcRetentionBackup *b = &r->in->backups[at];

		mark->root = at;
		if (at != i && bad == NULL &&
			own_fault(r, b, &r->marks[at]) != NULL)
			bad = "a backup that it depends on is not good";
		if (r->marks[at].parent == BKC_RETENTION_NOBODY || mark->depth > r->in->nbackups)
		{
			/* the parent is not there, or the chain bites its tail */
			if (bad == NULL && (b->kind != BKC_RETENTION_FULL || mark->depth > r->in->nbackups))
				bad = "a backup that it depends on is missing";
			break;
		}
		mark->depth++;
		at = r->marks[at].parent;
	}
	mark->good = bad == NULL;
	mark->bad = bad;
	mark->counts = mark->good && !mark->future && r->in->backups[i].known_to_catalog;
}

/* Newest first; sorted through pointers, because a comparison gets nothing else. */
static int
compare_age(const void *pa, const void *pb)
{
	const BkcRetentionBackup *a = *(const BkcRetentionBackup *const *) pa;
	const BkcRetentionBackup *b = *(const BkcRetentionBackup *const *) pb;

	if (a->started != b->started)
		return a->started > b->started ? -1 : 1;
	if (a->finished != b->finished)
		return a->finished > b->finished ? -1 : 1;
	return strcmp(b->label, a->label);
}

bool
bkc_retention_newer(const BkcRetentionBackup *a, const BkcRetentionBackup *b)
{
	return compare_age(&a, &b) < 0;
}

static bool
sort_others(BkcRetention *r, BkcError *err)
{
	size_t		n = r->in->nothers;

	r->others = calloc(n + 1, sizeof(*r->others));
	if (r->others == NULL)
		return bkc_error_oom(err);
	for (size_t i = 0; i < n; i++)
		r->others[i] = r->in->others[i];
	qsort(r->others, n, sizeof(*r->others), compare_age);
	return true;
}

static bool
make_order(BkcRetention *r, BkcError *err)
{
	size_t		n = r->in->nbackups;
	const BkcRetentionBackup **sorted = calloc(n + 1, sizeof(*sorted));

	r->order = calloc(n + 1, sizeof(*r->order));
	if (sorted == NULL || r->order == NULL)
	{
		free(sorted);
		return bkc_error_oom(err);
	}
	for (size_t i = 0; i < n; i++)
		sorted[i] = &r->in->backups[i];
	qsort(sorted, n, sizeof(*sorted), compare_age);
	r->newest_good = BKC_RETENTION_NOBODY;
	for (size_t k = 0; k < n; k++)
	{
		size_t		i = (size_t) (sorted[k] - r->in->backups);

		r->order[k] = i;
		r->marks[i].rank = k;
		if (r->newest_good == BKC_RETENTION_NOBODY && r->marks[i].counts)
			r->newest_good = i;
	}
	free(sorted);
	return true;
}

/* ---- a cluster that is closed ---- */

/* Is something of it in the recovery window?  An unlimited one begins with what rules keep. */
static bool
is_reached(const BkcRetention *r)
{
	if (r->unlimited)
		return false;
	for (size_t k = 0; k < r->in->nwal; k++)
	{
		if (r->in->wal[k].time == 0 || r->in->wal[k].time >= r->window_start)
			return true;
	}
	for (size_t i = 0; i < r->in->nbackups; i++)
	{
		if (r->marks[i].end >= r->window_start)
			return true;
	}
	return false;
}

static void
retire(BkcRetention *r)
{
	size_t		newest = r->newest_good;

	if (!r->in->closed || r->in->nothers == 0 || is_reached(r))
		return;

	/* the newest good one of all is here? */
	if (newest != BKC_RETENTION_NOBODY &&
		bkc_retention_newer(&r->in->backups[newest], r->others[0]))
		return;
	r->retired = true;
	r->newest_good = BKC_RETENTION_NOBODY;
}

/* ---- input ---- */

static bool
check_input(const BkcRetentionInput *in, BkcError *err)
{
	if (in->policy.keep_within < 0)
		return bkc_error_set(err, BKC_ERR_INVALID, "time span of a retention policy is negative");
	if (in->nwal > 0 && in->segment_size == 0)
		return bkc_error_set(err, BKC_ERR_INVALID, "WAL without a segment size");
	for (size_t i = 0; i < in->nwal; i++)
	{
		if (in->wal[i].timeline == 0 || in->wal[i].first > in->wal[i].last ||
			in->wal[i].last > UINT64_MAX / in->segment_size)
			return bkc_error_set(err, BKC_ERR_INVALID, "range of WAL segments makes no sense");
	}
	for (size_t i = 0; i < in->nbackups; i++)
	{
		if (in->backups[i].label == NULL || in->backups[i].label[0] == '\0')
			return bkc_error_set(err, BKC_ERR_INVALID, "backup without a label");
	}
	for (size_t i = 0; i < in->nothers; i++)
	{
		if (in->others[i]->label == NULL)
			return bkc_error_set(err, BKC_ERR_INVALID, "backup without a label");
	}
	return true;
}

/* The newest timeline by the histories, which always stay: so every plan says the same. */
static uint32_t
highest_timeline(const BkcRetentionInput *in)
{
	uint32_t	found = 1;

	for (size_t i = 0; i < in->ntimelines; i++)
		found = in->timelines[i].timeline > found ? in->timelines[i].timeline : found;
	return found;
}

static void
begin(BkcRetention *r, const BkcRetentionInput *in)
{
	const BkcRetentionPolicy *policy = &in->policy;
	int64_t		usec;

	memset(r, 0, sizeof(*r));
	r->in = in;
	r->segment_size = in->segment_size;
	for (size_t i = 0; r->segment_size == 0 && i < in->nbackups; i++)
		r->segment_size = in->backups[i].segment_size;
	if (r->segment_size == 0)
		r->segment_size = DEFAULT_SEGMENT_SIZE;
	r->timeline = in->timeline != 0 ? in->timeline : highest_timeline(in);
	r->no_rule = policy->keep_last == 0 && policy->keep_daily == 0 && policy->keep_weekly == 0 &&
		policy->keep_monthly == 0 && policy->keep_yearly == 0 && policy->keep_within == 0;
	r->unlimited = policy->pitr_window < 0 ||
		__builtin_mul_overflow(policy->pitr_window, BKC_RETENTION_USEC, &usec) ||
		__builtin_sub_overflow(in->now, usec, &r->window_start);
}

/* ---- removal ---- */

typedef struct Leaving
{
	size_t		i;
	size_t		root_rank;
	size_t		depth;
	size_t		rank;
} Leaving;

static int
compare_leaving(const void *pa, const void *pb)
{
	const Leaving *a = pa;
	const Leaving *b = pb;

	if (a->root_rank != b->root_rank)
		return a->root_rank > b->root_rank ? -1 : 1;
	if (a->depth != b->depth)
		return a->depth > b->depth ? -1 : 1;
	return (a->rank > b->rank) - (a->rank < b->rank);
}

static bool
list_removal(const BkcRetention *r, BkcRetentionPlan *plan, BkcError *err)
{
	Leaving    *list = calloc(r->in->nbackups + 1, sizeof(*list));
	bool		ok = list != NULL;

	plan->removal = calloc(r->in->nbackups + 1, sizeof(*plan->removal));
	ok = (ok && plan->removal != NULL) || bkc_error_oom(err);
	for (size_t i = 0; ok && i < r->in->nbackups; i++)
	{
		const BkcRetentionMark *mark = &r->marks[i];
		Leaving    *next = &list[plan->nremoval];

		if (mark->keep)
			continue;
		next->i = i;
		next->root_rank = r->marks[mark->root].rank;
		next->depth = mark->depth;
		next->rank = mark->rank;
		plan->nremoval++;
	}
	if (ok)
		qsort(list, plan->nremoval, sizeof(*list), compare_leaving);
	for (size_t k = 0; ok && k < plan->nremoval; k++)
		plan->removal[k] = list[k].i;
	free(list);
	return ok;
}

/* ---- the plan ---- */

static bool
tell_fates(BkcRetention *r, BkcRetentionPlan *plan, BkcError *err)
{
	for (size_t i = 0; i < r->in->nbackups; i++)
	{
		BkcRetentionMark *mark = &r->marks[i];

		if (!mark->keep &&
			!bkc_buffer_printf(&mark->reasons, err, "no rule keeps it%s%s%s",
							   mark->bad != NULL ? " (" : "", mark->bad != NULL ? mark->bad : "",
							   mark->bad != NULL ? ")" : ""))
			return false;
		plan->backups[i].keep = mark->keep;
		plan->backups[i].counts = mark->counts;
		plan->backups[i].reasons = (char *) mark->reasons.data;
		memset(&mark->reasons, 0, sizeof(mark->reasons));
	}
	return true;
}

static bool
make_plan(BkcRetention *r, BkcRetentionPlan *plan, BkcError *err)
{
	size_t		n = r->in->nbackups;

	r->marks = calloc(n + 1, sizeof(*r->marks));
	plan->backups = calloc(n + 1, sizeof(*plan->backups));
	if (r->marks == NULL || plan->backups == NULL)
		return bkc_error_oom(err);
	plan->nbackups = n;
	if (!link_parents(r, err) || !bkc_retention_runs(r, err))
		return false;
	for (size_t i = 0; i < n; i++)
		mark_backup(r, i);
	for (size_t i = 0; i < n; i++)
		mark_chain(r, i);
	if (!make_order(r, err) || !sort_others(r, err))
		return false;
	retire(r);
	return bkc_retention_by_rules(r, err) &&
		bkc_retention_window(r, err) &&
		bkc_retention_parents(r, err) &&
		bkc_retention_wal(r, plan, err) &&
		list_removal(r, plan, err) &&
		tell_fates(r, plan, err);
}

bool
bkc_retention_plan(const BkcRetentionInput *input, BkcRetentionPlan **plan, BkcError *err)
{
	BkcRetention r;
	bool		ok;

	*plan = NULL;
	if (!check_input(input, err))
		return false;
	begin(&r, input);
	*plan = calloc(1, sizeof(**plan));
	ok = *plan != NULL ? make_plan(&r, *plan, err) : bkc_error_oom(err);
	for (size_t i = 0; r.marks != NULL && i < input->nbackups; i++)
		bkc_buffer_free(&r.marks[i].reasons);
	free(r.marks);
	free(r.order);
	free(r.others);
	free(r.runs);
	if (!ok)
	{
		bkc_retention_free(*plan);
		*plan = NULL;
	}
	return ok;
}

void
bkc_retention_free(BkcRetentionPlan *plan)
{
	if (plan == NULL)
		return;
	for (size_t i = 0; plan->backups != NULL && i < plan->nbackups; i++)
		free(plan->backups[i].reasons);
	for (size_t i = 0; i < plan->nwal; i++)
		free(plan->wal[i].reason);
	free(plan->backups);
	free(plan->removal);
	free(plan->wal);
	free(plan);
}
