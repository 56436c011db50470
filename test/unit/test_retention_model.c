/*
 * test_retention_model.c The retention plan against a model: random histories of a cluster,
 * with what must hold checked by brute force.  The model knows the true history: which
 * timeline wrote each piece of WAL, and when.  It shares nothing with the plan: restores are
 * walked piece by piece, periods come from the C library.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "format/retention.h"

#define HISTORIES		10000

#define SEGMENT_SIZE	(UINT32_C(1) << 20)
#define PIECES			4			/* of a segment; every LSN is at one's border */
#define PIECE_SIZE		(SEGMENT_SIZE / PIECES)
#define MAX_SEGMENTS	80
#define MAX_PIECES		(MAX_SEGMENTS * PIECES)
#define MAX_TIMELINES	8
#define MAX_BACKUPS		48
#define MAX_RANGES		(MAX_TIMELINES * MAX_SEGMENTS)
#define SEC				INT64_C(1000000)
#define HOUR			(3600 * SEC)
#define DAY				(24 * HOUR)
#define BEGIN			(INT64_C(1795176181) * SEC)

/* ---- random numbers: the same on every machine ---- */

static uint64_t seed;

static uint32_t
rnd(uint32_t n)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t) ((seed >> 33) % n);
}

static bool
chance(uint32_t percent)
{
	return rnd(100) < percent;
}

/* ---- the world ---- */

typedef struct Timeline
{
	BkcHistoryEntry entries[MAX_TIMELINES];
	size_t		n;
	bool		hidden;			/* its history is lost */
	bool		timeless;		/* the times of its segments cannot be read */
	unsigned	end;			/* pieces; what it has written up to */
	bool		whole[MAX_SEGMENTS];	/* in the archive */
	int64_t		time[MAX_SEGMENTS];
	int64_t		written[MAX_PIECES];	/* 0: not by this timeline */
} Timeline;

typedef struct World
{
	Timeline	timelines[MAX_TIMELINES + 1];	/* by number */
	unsigned	ntimelines;
	unsigned	live;
	int64_t		now;
	bool		skewed;			/* clocks jump */
	bool		untold;			/* the plan is not told which timeline is written */
	uint32_t	loss;			/* percent of segments that are lost */
	BkcRetentionBackup backups[MAX_BACKUPS];
	char		labels[MAX_BACKUPS][48];
	unsigned	own_end[MAX_BACKUPS];	/* pieces; up to there a backup holds its own WAL */
	size_t		nbackups;
	BkcRetentionPolicy policy;
	BkcRetentionTimeline known[MAX_TIMELINES];
	BkcRetentionWal wal[MAX_RANGES];
} World;

static World world;
static World later;
static World partly;

/* How a plan came out, so that the test is not about nothing. */
static uint64_t seen_backups;
static uint64_t gone_backups;
static uint64_t seen_segments;
static uint64_t gone_segments;
static uint64_t points_in_window;

static uint64_t
lsn_of(unsigned piece)
{
	return (uint64_t) piece * PIECE_SIZE;
}

static unsigned
piece_of(uint64_t lsn)
{
	return (unsigned) (lsn / PIECE_SIZE);
}

static void
pass_time(World *w, int64_t most)
{
	if (w->skewed && chance(4))
		w->now += (int64_t) (rnd(20) * DAY) - 10 * DAY;
	w->now += (int64_t) rnd((uint32_t) (most / SEC)) * SEC + SEC;
}

static void
write_wal(World *w, unsigned pieces, int64_t most)
{
	Timeline   *t = &w->timelines[w->live];

	for (; pieces > 0 && t->end + 1 < MAX_PIECES; pieces--)
	{
		pass_time(w, most);
		t->written[t->end] = w->now;
		t->end++;
		if (t->end % PIECES == 0)
		{
			t->whole[t->end / PIECES - 1] = !chance(w->loss);
			t->time[t->end / PIECES - 1] = w->now;
		}
	}
}

/* The way to a timeline as the server sees it: which one has the piece? */
static unsigned
owner_of(const World *w, unsigned timeline, uint64_t lsn)
{
	const Timeline *t = &w->timelines[timeline];

	for (size_t i = t->n; i-- > 0;)
	{
		if (lsn >= t->entries[i].switch_lsn)
			return i + 1 < t->n ? t->entries[i + 1].timeline : timeline;
	}
	return t->n > 0 ? t->entries[0].timeline : timeline;
}

/* A recovery along the timeline to that point, and a new timeline from there. */
static void
fork_at(World *w, unsigned along, unsigned piece)
{
	const Timeline *parent = &w->timelines[along];
	Timeline   *t;

	if (w->ntimelines == MAX_TIMELINES)
		return;
	t = &w->timelines[++w->ntimelines];
	memset(t, 0, sizeof(*t));
	memcpy(t->entries, parent->entries, sizeof(t->entries));
	t->n = parent->n;
	t->entries[t->n].timeline = along;
	t->entries[t->n++].switch_lsn = lsn_of(piece);
	t->hidden = chance(5);
	t->timeless = chance(5);
	t->end = piece;
	w->live = w->ntimelines;
}

/* ---- backups ---- */

static bool
is_complete(const BkcRetentionBackup *b)
{
	return b->state == BKC_RETENTION_COMPLETE && b->kind != BKC_RETENTION_REGISTERED;
}

static void
take_backup(World *w)
{
	BkcRetentionBackup *b = &w->backups[w->nbackups];
	Timeline   *t = &w->timelines[w->live];
	unsigned	last;
	size_t		parent = w->nbackups > 0 ? rnd((uint32_t) w->nbackups) : 0;

	if (w->nbackups == MAX_BACKUPS || t->end + 3 * PIECES >= MAX_PIECES)
		return;
	memset(b, 0, sizeof(*b));
	if (w->nbackups > 0 && chance(70))
		parent = w->nbackups - 1;
	b->kind = w->nbackups > 0 && chance(50) ? BKC_RETENTION_DEPENDENT : BKC_RETENTION_FULL;
	if (b->kind == BKC_RETENTION_DEPENDENT)
		b->parent = chance(98) ? w->labels[parent] : "20200101T000000Z-full-0000";
	if (chance(2))
		b->kind = BKC_RETENTION_REGISTERED;
	b->own_wal = chance(60);
	b->known_to_catalog = !chance(4);
	b->verified = chance(8) ? BKC_RETENTION_FAILED : BKC_RETENTION_PASSED;
	b->held = chance(4);
	b->held_reason = chance(50) ? "case 4711" : NULL;
	b->segment_size = chance(50) ? SEGMENT_SIZE : 0;
	b->timeline = w->live;
	b->start_lsn = lsn_of(t->end);
	b->started = w->now;
	if (chance(15) && t->end > PIECES + 8 && t->written[t->end - 8] != 0)
	{
		/* another one began and ended while it ran */
		b->start_lsn -= lsn_of(1 + rnd(8));
		b->started = t->written[piece_of(b->start_lsn)];
	}
	write_wal(w, 1 + rnd(3), HOUR);
	b->stop_lsn = lsn_of(t->end);
	if (chance(80))
		write_wal(w, (PIECES - t->end % PIECES) % PIECES, SEC * 10);	/* the switch at its end */
	w->own_end[w->nbackups] = t->end;
	pass_time(w, HOUR);
	b->finished = w->now;
	b->keep_until = chance(5) ? w->now + (int64_t) rnd(40) * DAY : 0;
	b->locked_until = chance(5) ? w->now + (int64_t) rnd(40) * DAY : 0;
	if (chance(4))
		b->state = BKC_RETENTION_UNFINISHED;
	snprintf(w->labels[w->nbackups], sizeof(w->labels[0]), "b%02zu-%s", w->nbackups,
			 b->kind == BKC_RETENTION_FULL ? "full" : "incr");
	b->label = w->labels[w->nbackups];

	/* one that relies on the archive is complete only when its WAL is there */
	last = piece_of(b->stop_lsn - 1) / PIECES;
	for (unsigned s = piece_of(b->start_lsn) / PIECES; !b->own_wal && s <= last; s++)
	{
		if (!t->whole[s] && chance(90))
			b->own_wal = true;
	}
	w->nbackups++;
}

static void
make_policy(World *w)
{
	BkcRetentionPolicy *p = &w->policy;

	p->keep_last = chance(50) ? rnd(4) : 0;
	p->keep_daily = chance(40) ? rnd(5) : 0;
	p->keep_weekly = chance(30) ? rnd(4) : 0;
	p->keep_monthly = chance(20) ? rnd(3) : 0;
	p->keep_yearly = chance(10) ? rnd(3) : 0;
	p->keep_within = chance(20) ? (int64_t) rnd(10) * 86400 : 0;
	p->min_full = rnd(3);
	p->pitr_window = chance(15) ? BKC_RETENTION_UNLIMITED : (int64_t) rnd(15) * 86400;
}

static void
make_world(World *w)
{
	unsigned	steps = 5 + rnd(40);

	memset(w, 0, sizeof(*w));
	w->now = BEGIN;
	w->ntimelines = w->live = 1;
	w->timelines[1].end = PIECES;
	w->skewed = chance(10);
	w->loss = chance(30) ? rnd(10) : 0;
	for (unsigned i = 0; i < steps; i++)
	{
		uint32_t	what = rnd(100);

		if (what < 45)
			write_wal(w, 1 + rnd(8), DAY / 2);
		else if (what < 85)
			take_backup(w);
		else if (what < 89)
			fork_at(w, w->live, w->timelines[w->live].end);
		else if (what < 95)
		{
			unsigned	along = 1 + rnd(w->ntimelines);

			/* along any timeline, to before or behind where it began */
			fork_at(w, along, PIECES + rnd(w->timelines[along].end - PIECES + 1));
		}
		else if (what < 97)
			w->live = 1 + rnd(w->ntimelines);	/* the old primary is back */
		else
			pass_time(w, 5 * DAY);
	}
	if (w->nbackups > 0 && chance(10))
	{
		BkcRetentionBackup *b = &w->backups[w->nbackups - 1];

		b->state = BKC_RETENTION_RUNNING;
		if (chance(20))
			b->timeline = 0;
	}
	if (chance(50))
		pass_time(w, 12 * DAY);
	w->untold = w->live == w->ntimelines && chance(30);
	make_policy(w);
}

/* ---- what the plan is told ---- */

static void
make_input(World *w, BkcRetentionInput *in)
{
	memset(in, 0, sizeof(*in));
	in->policy = w->policy;
	in->now = w->now;
	in->segment_size = SEGMENT_SIZE;
	in->timeline = w->untold ? 0 : w->live;
	in->backups = w->backups;
	in->nbackups = w->nbackups;
	in->timelines = w->known;
	in->wal = w->wal;
	for (unsigned number = 1; number <= w->ntimelines; number++)
	{
		const Timeline *t = &w->timelines[number];

		if (t->n > 0 && !t->hidden)
		{
			BkcRetentionTimeline *known = &w->known[in->ntimelines++];

			known->timeline = number;
			known->entries = t->entries;
			known->n = t->n;
		}
		for (unsigned s = 0; s < MAX_SEGMENTS; s++)
		{
			BkcRetentionWal *r;

			if (!t->whole[s])
				continue;
			if (s == 0 || !t->whole[s - 1])
			{
				r = &w->wal[in->nwal++];
				memset(r, 0, sizeof(*r));
				r->timeline = number;
				r->first = s;
			}
			r = &w->wal[in->nwal - 1];
			r->last = s;
			r->time = t->timeless ? 0 : t->time[s];
		}
	}
}

/* ---- what can be restored ---- */

static int
find(const World *w, const char *label)
{
	for (size_t i = 0; label != NULL && i < w->nbackups; i++)
	{
		if (strcmp(w->labels[i], label) == 0)
			return (int) i;
	}
	return -1;
}

/* Does the backup hold that piece itself? */
static bool
has_own(const World *w, const BkcRetentionBackup *b, unsigned timeline, unsigned piece)
{
	return b->own_wal && b->timeline == timeline &&
		piece >= piece_of(b->start_lsn) / PIECES * PIECES &&
		piece < w->own_end[b - w->backups];
}

static bool
is_consistent(const World *w, const BkcRetentionBackup *b)
{
	for (unsigned s = piece_of(b->start_lsn) / PIECES; s <= piece_of(b->stop_lsn - 1) / PIECES; s++)
	{
		if (!w->timelines[b->timeline].whole[s] && !b->own_wal)
			return false;
	}
	return true;
}

/* It can be restored: it and all its parents. */
static bool
is_good(const World *w, size_t i)
{
	const BkcRetentionBackup *b = &w->backups[i];
	int			parent;

	if (!is_complete(b) || b->verified == BKC_RETENTION_FAILED || !is_consistent(w, b))
		return false;
	if (b->kind == BKC_RETENTION_FULL)
		return true;
	parent = find(w, b->parent);
	return parent >= 0 && is_good(w, (size_t) parent);
}

/* Does the way to that timeline lead through that point of that one? */
static bool
goes_through(const World *w, unsigned timeline, unsigned through, uint64_t lsn)
{
	if (owner_of(w, timeline, lsn) == through)
		return true;
	return lsn > 0 && owner_of(w, timeline, lsn - 1) == through;	/* exactly where it was left */
}

/*
 * Mark the points up to which the backup can be recovered on the way to that timeline.  A
 * segment is asked for under the number of the timeline that owns its last byte, then under
 * those that own earlier ones; what comes behind the fork in those is another's.
 */
static void
mark_reach(const World *w, const BkcRetentionBackup *b, unsigned timeline, bool *points)
{
	unsigned	stop = piece_of(b->stop_lsn);

	if (!goes_through(w, timeline, b->timeline, b->start_lsn) ||
		!goes_through(w, timeline, b->timeline, b->stop_lsn))
		return;
	for (unsigned s = piece_of(b->start_lsn) / PIECES; s < MAX_SEGMENTS; s++)
	{
		unsigned	named = owner_of(w, timeline, (uint64_t) (s + 1) * SEGMENT_SIZE - 1);
		bool		whole = w->timelines[named].whole[s] ||
			has_own(w, b, named, (s + 1) * PIECES - 1);

		for (unsigned p = s * PIECES; p < (s + 1) * PIECES; p++)
		{
			unsigned	owner = owner_of(w, timeline, lsn_of(p));

			if (p >= piece_of(b->start_lsn) && !whole &&
				!w->timelines[owner].whole[s] && !has_own(w, b, owner, p))
				return;
			if (p + 1 >= stop && w->timelines[owner].written[p] != 0)
				points[p + 1] = true;
		}
		if (!whole)
			return;
	}
}

static void
mark_points(const World *w, unsigned timeline, bool *points)
{
	memset(points, 0, MAX_PIECES + 1);
	for (size_t i = 0; i < w->nbackups; i++)
	{
		if (is_good(w, i))
			mark_reach(w, &w->backups[i], timeline, points);
	}
}

static int64_t
window_start(const World *w)
{
	return w->now - w->policy.pitr_window * SEC;
}

static bool
has_rule(const BkcRetentionPolicy *p)
{
	return p->keep_last + p->keep_daily + p->keep_weekly + p->keep_monthly + p->keep_yearly > 0 ||
		p->keep_within > 0;
}

/* What could be restored in the window before still can. */
static void
check_points(const World *before, const World *after)
{
	static bool then[MAX_PIECES + 1];
	static bool still[MAX_PIECES + 1];

	if (before->skewed || before->policy.pitr_window < 0)
		return;
	for (unsigned t = 1; t <= before->ntimelines; t++)
	{
		mark_points(before, t, then);
		mark_points(after, t, still);
		for (unsigned p = 1; p <= MAX_PIECES; p++)
		{
			unsigned	owner = owner_of(before, t, lsn_of(p) - 1);

			if (!then[p] || before->timelines[owner].written[p - 1] < window_start(before))
				continue;
			points_in_window++;
			if (!still[p])
				fail_msg("piece %u on the way to timeline %u is lost", p, t);
		}
	}
}

/* ---- what the rules keep ---- */

static bool
counts(const World *w, size_t i)
{
	const BkcRetentionBackup *b = &w->backups[i];

	return is_good(w, i) && b->known_to_catalog && b->started <= w->now && b->finished <= w->now;
}

static bool
is_newer(const World *w, size_t a, size_t b)
{
	if (w->backups[a].started != w->backups[b].started)
		return w->backups[a].started > w->backups[b].started;
	if (w->backups[a].finished != w->backups[b].finished)
		return w->backups[a].finished > w->backups[b].finished;
	return strcmp(w->labels[a], w->labels[b]) > 0;
}

/* How many newer ones count (and are full)? */
static uint32_t
newer_ones(const World *w, size_t i, bool full)
{
	uint32_t	n = 0;

	for (size_t k = 0; k < w->nbackups; k++)
		n += counts(w, k) && is_newer(w, k, i) &&
			(!full || w->backups[k].kind == BKC_RETENTION_FULL);
	return n;
}

static void
period_of(const BkcRetentionBackup *b, const char *format, char out[16])
{
	time_t		t = (time_t) (b->started / SEC);
	struct tm	tm;

	gmtime_r(&t, &tm);
	assert_true(strftime(out, 16, format, &tm) > 0);
}

/* Is it the newest of its period, with fewer than count later periods that have one? */
static bool
kept_by_period(const World *w, size_t i, const char *format, uint32_t count)
{
	char		own[16];
	char		other[16];
	char		later_ones[MAX_BACKUPS][16];
	uint32_t	n = 0;

	period_of(&w->backups[i], format, own);
	for (size_t k = 0; k < w->nbackups; k++)
	{
		bool		there = false;

		if (!counts(w, k))
			continue;
		period_of(&w->backups[k], format, other);
		if (strcmp(own, other) == 0 && is_newer(w, k, i))
			return false;
		if (strcmp(other, own) <= 0)
			continue;
		for (uint32_t j = 0; j < n; j++)
			there = there || strcmp(later_ones[j], other) == 0;
		if (!there)
			memcpy(later_ones[n++], other, sizeof(other));
	}
	return n < count;
}

static bool
kept_by_rule(const World *w, size_t i)
{
	const BkcRetentionPolicy *p = &w->policy;
	const BkcRetentionBackup *b = &w->backups[i];
	int64_t		end = b->finished > b->started ? b->finished : b->started;

	if (!has_rule(p) || b->kind == BKC_RETENTION_REGISTERED || b->state != BKC_RETENTION_COMPLETE ||
		!b->known_to_catalog || b->held || end > w->now || b->keep_until > w->now ||
		b->locked_until > w->now)
		return true;
	if (!counts(w, i))
		return false;
	return newer_ones(w, i, false) < p->keep_last ||
		newer_ones(w, i, false) == 0 ||
		(b->kind == BKC_RETENTION_FULL && newer_ones(w, i, true) < p->min_full) ||
		(p->keep_within > 0 && end >= w->now - p->keep_within * SEC) ||
		kept_by_period(w, i, "%Y-%m-%d", p->keep_daily) ||
		kept_by_period(w, i, "%G-W%V", p->keep_weekly) ||
		kept_by_period(w, i, "%Y-%m", p->keep_monthly) ||
		kept_by_period(w, i, "%Y", p->keep_yearly);
}

/* Would it stay as the newest complete one, because there is no good one? */
static bool
is_last_resort(const World *w, size_t i)
{
	if (!is_complete(&w->backups[i]))
		return false;
	for (size_t k = 0; k < w->nbackups; k++)
	{
		if (counts(w, k) ||
			(is_complete(&w->backups[k]) && w->backups[k].known_to_catalog &&
			 w->backups[k].started <= w->now && w->backups[k].finished <= w->now &&
			 is_newer(w, k, i)))
			return false;
	}
	return true;
}

static bool
needed_by_kept(const World *w, const BkcRetentionPlan *plan, size_t i)
{
	for (size_t k = 0; k < w->nbackups; k++)
	{
		if (!plan->backups[k].keep || w->backups[k].kind == BKC_RETENTION_REGISTERED ||
			find(w, w->backups[k].parent) != (int) i)
			continue;

		/* an unfinished one needs nothing, but who depends on it keeps the whole chain */
		if (w->backups[k].state != BKC_RETENTION_UNFINISHED || needed_by_kept(w, plan, k))
			return true;
	}
	return false;
}

static void
check_backups(const World *w, const BkcRetentionPlan *plan)
{
	for (size_t i = 0; i < w->nbackups; i++)
	{
		bool		rule = kept_by_rule(w, i) || is_last_resort(w, i);
		bool		child = needed_by_kept(w, plan, i);

		assert_true(plan->backups[i].reasons[0] != '\0');
		if ((rule || child) && !plan->backups[i].keep)
			fail_msg("%s goes: %s", w->labels[i], plan->backups[i].reasons);

		/* without a window, nothing stays without need */
		if (w->policy.pitr_window < 0 && !rule && !child && plan->backups[i].keep)
			fail_msg("%s stays: %s", w->labels[i], plan->backups[i].reasons);
		seen_backups++;
		gone_backups += !plan->backups[i].keep;
	}
}

/* ---- carrying it out ---- */

static void
check_order(const World *w, const BkcRetentionPlan *plan)
{
	size_t		n = 0;

	for (size_t i = 0; i < w->nbackups; i++)
		n += !plan->backups[i].keep;
	assert_int_equal(n, plan->nremoval);
	for (size_t k = 0; k < plan->nremoval; k++)
	{
		assert_false(plan->backups[plan->removal[k]].keep);
		for (size_t j = k + 1; j < plan->nremoval; j++)
		{
			assert_true(plan->removal[j] != plan->removal[k]);
			if (w->backups[plan->removal[j]].kind == BKC_RETENTION_DEPENDENT)
				assert_true(find(w, w->backups[plan->removal[j]].parent) !=
							(int) plan->removal[k]);
		}
	}
}

/* Together the parts are the ranges. */
static void
check_ranges(const BkcRetentionInput *in, const BkcRetentionPlan *plan)
{
	size_t		k = 0;

	for (size_t i = 0; i < in->nwal; i++)
	{
		uint64_t	next = in->wal[i].first;

		while (next <= in->wal[i].last)
		{
			const BkcRetentionRange *part = &plan->wal[k++];

			assert_true(k <= plan->nwal);
			assert_true(part->wal == i && part->timeline == in->wal[i].timeline);
			assert_true(part->first == next && part->last >= next);
			assert_true(part->reason[0] != '\0');
			next = part->last + 1;
		}
		assert_true(next == in->wal[i].last + 1);
	}
	assert_int_equal(k, plan->nwal);
}

static void
remove_backup(World *w, const char *label)
{
	int			i = find(w, label);

	for (size_t k = (size_t) i; k + 1 < w->nbackups; k++)
	{
		w->backups[k] = w->backups[k + 1];
		w->own_end[k] = w->own_end[k + 1];
		memcpy(w->labels[k], w->labels[k + 1], sizeof(w->labels[k]));
	}
	w->nbackups--;
}

/* A copy's labels are its own; parents are texts of the first world, which never changes. */
static void
name_backups(World *w)
{
	for (size_t i = 0; i < w->nbackups; i++)
		w->backups[i].label = w->labels[i];
}

/* The first steps of the plan, on a copy: true when that was all of it. */
static bool
carry_out(World *to, const World *from, const BkcRetentionPlan *plan, size_t steps)
{
	*to = *from;
	for (size_t k = 0; k < plan->nremoval; k++)
	{
		if (steps-- == 0)
		{
			name_backups(to);
			return false;
		}
		remove_backup(to, from->labels[plan->removal[k]]);
	}
	name_backups(to);
	for (size_t k = 0; k < plan->nwal; k++)
	{
		for (uint64_t s = plan->wal[k].first; !plan->wal[k].keep && s <= plan->wal[k].last; s++)
		{
			if (steps-- == 0)
				return false;
			to->timelines[plan->wal[k].timeline].whole[s] = false;
		}
	}
	return true;
}

static BkcRetentionPlan *
plan_for(World *w, BkcRetentionInput *in)
{
	BkcRetentionPlan *plan;
	BkcError	err;

	make_input(w, in);
	if (!bkc_retention_plan(in, &plan, &err))
		fail_msg("%s", err.message);
	return plan;
}

static void
check_kept(const World *before, const World *after)
{
	for (size_t i = 0; i < before->nbackups; i++)
	{
		const BkcRetentionBackup *b = &before->backups[i];
		int			k = find(after, before->labels[i]);

		if (k < 0)
			continue;
		if (is_complete(b) && is_consistent(before, b))
			assert_true(is_consistent(after, &after->backups[k]));
		if (is_good(before, i))
			assert_true(is_good(after, (size_t) k));
	}
}

static void
assert_same(const World *a, const World *b)
{
	assert_int_equal(a->nbackups, b->nbackups);
	for (size_t i = 0; i < a->nbackups; i++)
		assert_string_equal(a->labels[i], b->labels[i]);
	for (unsigned t = 1; t <= a->ntimelines; t++)
		assert_memory_equal(a->timelines[t].whole, b->timelines[t].whole,
							sizeof(a->timelines[t].whole));
}

/* Interrupted anywhere and planned again, it ends in the same state; and then there is no more. */
static void
check_again(const World *before, const BkcRetentionPlan *plan, const World *after)
{
	static World rest;
	BkcRetentionInput in;
	BkcRetentionPlan *again;
	size_t		steps = 0;

	if (before->skewed)
		return;
	while (!carry_out(&partly, before, plan, steps))
	{
		again = plan_for(&partly, &in);
		carry_out(&rest, &partly, again, SIZE_MAX);
		assert_same(&rest, after);
		bkc_retention_free(again);
		steps += 1 + rnd(12);
	}
	partly = *after;
	name_backups(&partly);
	again = plan_for(&partly, &in);
	assert_true(carry_out(&rest, &partly, again, 0));
	bkc_retention_free(again);
}

static void
one_history(uint64_t number)
{
	BkcRetentionInput in;
	BkcRetentionPlan *plan;

	seed = number * 7919 + 1;
	make_world(&world);
	plan = plan_for(&world, &in);
	check_backups(&world, plan);
	check_order(&world, plan);
	check_ranges(&in, plan);
	assert_true(carry_out(&later, &world, plan, SIZE_MAX));
	for (size_t k = 0; k < plan->nwal; k++)
	{
		seen_segments += plan->wal[k].last - plan->wal[k].first + 1;
		gone_segments += plan->wal[k].keep ? 0 : plan->wal[k].last - plan->wal[k].first + 1;
	}
	check_kept(&world, &later);
	check_points(&world, &later);
	check_again(&world, plan, &later);
	bkc_retention_free(plan);
}

static uint64_t current;

static void
random_histories(void **state)
{
	const char *only = getenv("RETENTION_HISTORY");
	uint64_t	first = only != NULL ? strtoull(only, NULL, 10) : 0;
	uint64_t	end = only != NULL ? first + 1 : HISTORIES;

	for (current = first; current < end; current++)
		one_history(current);
	print_message("%" PRIu64 " of %" PRIu64 " backups and %" PRIu64 " of %" PRIu64
				  " segments went, %" PRIu64 " points in the window\n", gone_backups, seen_backups,
				  gone_segments, seen_segments, points_in_window);
	if (only != NULL)
		return;
	assert_true(gone_backups * 5 > seen_backups);
	assert_true(gone_segments * 5 > seen_segments);
	assert_true(points_in_window > 100000);
}

static int
tell_history(void **state)
{
	print_message("history %" PRIu64 "\n", current);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(random_histories, tell_history),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
