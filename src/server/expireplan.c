/*
 * expireplan.c
 *		See expireplan.h.
 *
 * The repository says what there is and the catalog what is to be thought of it: a backup that
 * the catalog does not know stays.
 */
#include "pgcompat.h"

#include <stdlib.h>

#include "access/xlog.h"
#include "base/fault.h"
#include "catalog.h"
#include "clock.h"
#include "errors.h"
#include "expireplan.h"
#include "format/documents.h"
#include "format/names.h"
#include "keys.h"
#include "miscadmin.h"
#include "pipe/object.h"
#include "pipe/walobj.h"
#include "settings.h"
#include "shared.h"
#include "sqlrun.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* An unfinished backup of somebody else that began longer ago than this is no running one. */
#define ABANDONED	((int64) 7 * USECS_PER_DAY)

static void
check(bool ok, const BkcError *err)
{
	if (!ok)
		bkc_ereport(ERROR, err);
}

static void
release(void *arg)
{
	BkcExpirePlans *all = arg;

	for (size_t i = 0; i < all->n; i++)
	{
		BkcExpirePlan *p = &all->plans[i];

		bkc_retention_free(p->plan);
		free(p->spans);
		free(p->refs);
		bkc_walmap_free(p->map);
	}
	all->n = 0;
	free(all->predecessors);
	all->predecessors = NULL;
	bkc_store_close(all->store);
	all->store = NULL;
}

void
bkc_expireplan_close(BkcExpirePlans *all)
{
	release(all);
}

static bool
is_predecessor(const BkcExpirePlan *p)
{
	return p->system_identifier != GetSystemIdentifier();
}

/* ---- the policy ---- */

static int64
number(int column)
{
	char	   *text = bkc_sqlrun_value(0, column);

	return text == NULL ? 0 : strtoll(text, NULL, 10);
}

/* false: there is none, and everything stays. */
static bool
read_policy(const char *repository, BkcRetentionPolicy *policy)
{
	const char *values[1] = {repository};
	BkcZone		zone;
	bool		found;

	memset(policy, 0, sizeof(*policy));
	bkc_sqlrun_begin();
	bkc_sqlrun_exec("SELECT keep_last, keep_daily, keep_weekly, keep_monthly, keep_yearly,"
					" EXTRACT(epoch FROM keep_within)::bigint, min_full,"
					" EXTRACT(epoch FROM pitr_window)::bigint, time_zone FROM %s.backup_policy"
					" WHERE repository OPERATOR(pg_catalog.=) $1 OR repository OPERATOR(pg_catalog.=) '*'"
					" ORDER BY repository OPERATOR(pg_catalog.=) '*' LIMIT 1", SPI_OK_SELECT, 1, values);
	found = SPI_processed > 0;
	policy->min_full = 1;
	policy->pitr_window = BKC_RETENTION_UNLIMITED;
	if (found)
	{
		policy->keep_last = (uint32_t) number(1);
		policy->keep_daily = (uint32_t) number(2);
		policy->keep_weekly = (uint32_t) number(3);
		policy->keep_monthly = (uint32_t) number(4);
		policy->keep_yearly = (uint32_t) number(5);
		policy->keep_within = number(6);
		policy->min_full = (uint32_t) number(7);
		if (bkc_sqlrun_value(0, 8) != NULL)
			policy->pitr_window = number(8);
		zone = bkc_clock_zone(bkc_sqlrun_value(0, 9));
		policy->utc_offset = zone.utc_offset;
		policy->utc_offset_arg = zone.arg;
	}
	bkc_sqlrun_finish();
	return found;
}

int64
bkc_expireplan_window(const char *repository)
{
	BkcRetentionPolicy policy;

	(void) read_policy(repository, &policy);
	return policy.pitr_window;
}

/* ---- backups ---- */

static BkcRetentionBackup *
find_backup(BkcExpirePlan *p, const char *label)
{
	BkcRetentionBackup *all = (BkcRetentionBackup *) p->input.backups;

	for (size_t i = 0; i < p->input.nbackups; i++)
		if (strcmp(all[i].label, label) == 0)
			return &all[i];
	return NULL;
}

/* One without manifest: is somebody at it?  Its begin object tells, and our own shared memory. */
static void
judge_unfinished(BkcExpirePlan *p, BkcRetentionBackup *b)
{
	char		name[BKC_NAME_MAX];
	BkcBuffer	text = {0};
	BkcBeginDoc doc;
	BkcError	err;
	bool		ok;

	b->state = BKC_RETENTION_UNFINISHED;
	if (!is_predecessor(p) && bkc_shared_backup_start(b->label, &b->start_lsn))
	{
		b->state = BKC_RETENTION_RUNNING;
		b->timeline = GetWALInsertionTimeLine();
	}
	ok = bkc_name_begin(p->system_identifier, b->label, name, &err) &&
		bkc_document_get(p->store, name, BKC_KIND_BEGIN, &text, &err) &&
		bkc_begindoc_decode(bkc_buffer_str(&text), text.len, name, &doc, &err);
	bkc_buffer_free(&text);
	if (!ok && err.code != BKC_ERR_NOT_FOUND && err.code != BKC_ERR_CORRUPT)
		bkc_ereport(ERROR, &err);
	if (!ok)
		return;
	b->started = doc.start_time;
	if (doc.parent[0] != '\0')
		b->parent = pstrdup(doc.parent);
	if (p->input.now - doc.start_time < ABANDONED)
		b->state = BKC_RETENTION_RUNNING;
}

static void
take_repository(BkcExpirePlan *p)
{
	uint64		sysid = p->system_identifier;
	uint32		segment_size = is_predecessor(p) ? 0 : (uint32) wal_segment_size;
	BkcRetentionBackup *all;
	size_t		n;
	BkcError	err;

	/* in this order: each sees at least what the one before needs */
	check(bkc_repo_backups(p->store, sysid, &p->refs, &n, &err), &err);
	check(bkc_fault(BKC_FAULT_EXPIRE_LISTED, &err), &err);
	check(bkc_repo_spans(p->store, sysid, &p->spans, &p->nspans, &err), &err);
	check(bkc_fault(BKC_FAULT_EXPIRE_LISTED, &err), &err);
	check(bkc_walmap_load(p->store, sysid, segment_size, &p->map, &err), &err);
	all = palloc0(sizeof(*all) * (n + 1));
	p->input.backups = all;
	for (size_t i = 0; i < n; i++)
	{
		BkcRetentionBackup *b = &all[p->input.nbackups];

		if (!p->refs[i].complete && !p->refs[i].has_begin)
			continue;
		p->input.nbackups++;
		b->label = p->refs[i].label;
		b->kind = BKC_RETENTION_FULL;
		b->started = bkc_label_time(b->label);	/* unless its manifest says */
		b->own_wal = true;		/* likewise */
		if (!p->refs[i].complete)
			judge_unfinished(p, b);
	}
	for (size_t i = 0; i < p->nspans; i++)
	{
		const BkcBackupSpan *s = &p->spans[i];
		BkcRetentionBackup *b = find_backup(p, s->label);

		if (b == NULL)
			continue;			/* newer than the list */
		if (b->state == BKC_RETENTION_UNFINISHED)
			b->state = BKC_RETENTION_RUNNING;	/* complete since the list: stays, with its WAL */
		b->timeline = s->timeline;
		b->start_lsn = s->start_lsn;
		b->stop_lsn = s->stop_lsn;
		b->segment_size = s->segment_size;
		b->own_wal = !s->wal_in_archive;
		b->started = s->start_time;
		b->finished = s->stop_time;
	}
	p->ids = palloc0(sizeof(*p->ids) * (n + 1));
	p->sizes = palloc0(sizeof(*p->sizes) * (n + 1));
}

static char *
keep(MemoryContext context, uint64 row, int column)
{
	char	   *text = bkc_sqlrun_value(row, column);

	return text == NULL ? NULL : MemoryContextStrdup(context, text);
}

static void
take_catalog(BkcExpirePlan *p)
{
	const char *values[2] = {p->repo->name, psprintf("%lld", (long long) p->system_identifier)};

	bkc_sqlrun_begin();
	bkc_sqlrun_exec("SELECT c.label, c.id, c.held, c.metadata OPERATOR(pg_catalog.->>) 'hold_reason',"
					" (EXTRACT(epoch FROM c.retention_date) OPERATOR(pg_catalog.*) 1000000)::bigint, y.verification,"
					" c.backup_size_bytes, f.label,"
					" c.encryption_status OPERATOR(pg_catalog.=) 'shredded'"
					" FROM %s.backup_catalog c JOIN %s.backup_copy y ON y.backup_id OPERATOR(pg_catalog.=) c.id"
					" LEFT JOIN %s.backup_catalog f ON f.id OPERATOR(pg_catalog.=) c.parent_id"
					" WHERE c.label IS NOT NULL AND y.repository OPERATOR(pg_catalog.=) $1"
					" AND " BKC_CATALOG_OF("c.system_identifier", "$2::bigint")
					" AND y.status OPERATOR(pg_catalog.=) 'completed'", SPI_OK_SELECT, 2, values);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		BkcRetentionBackup *b = find_backup(p, bkc_sqlrun_value(i, 1));
		bool		shredded;
		size_t		at;
		char	   *text;

		/* what cannot be read is judged by nobody: it stays, and counts for nothing */
		shredded = b != NULL && bkc_sqlrun_value(i, 9)[0] == 't';
		if (b == NULL ||
			(b->state == BKC_RETENTION_COMPLETE && b->timeline == 0 && !shredded))
			continue;
		at = (size_t) (b - p->input.backups);
		b->known_to_catalog = true;
		p->ids[at] = strtoll(bkc_sqlrun_value(i, 2), NULL, 10);
		b->held = bkc_sqlrun_value(i, 3)[0] == 't';
		b->held_reason = keep(bkc_sqlrun_outer_context(), i, 4);
		text = bkc_sqlrun_value(i, 5);
		b->keep_until = text == NULL ? 0 : strtoll(text, NULL, 10);
		text = bkc_sqlrun_value(i, 6);
		b->verified = strcmp(text, "passed") == 0 ? BKC_RETENTION_PASSED :
			strcmp(text, "failed") == 0 ? BKC_RETENTION_FAILED : BKC_RETENTION_NOT_VERIFIED;
		if (shredded)
			b->verified = BKC_RETENTION_FAILED; /* good for nothing */
		text = bkc_sqlrun_value(i, 7);
		p->sizes[at] = text == NULL ? 0 : strtoll(text, NULL, 10);
		text = keep(bkc_sqlrun_outer_context(), i, 8);
		if (text != NULL)
		{
			b->parent = text;
			b->kind = BKC_RETENTION_DEPENDENT;
		}
	}
	bkc_sqlrun_finish();
}

/* ---- WAL ---- */

/* adopted: when a predecessor was, else 0; nothing of it is newer, whatever cannot be read. */
static void
take_wal(BkcExpirePlan *p, int64 adopted)
{
	const BkcWalMap *map = p->map;
	BkcRetentionWal *wal = palloc0(sizeof(*wal) * (map->nruns + map->ntails + 1));
	BkcRetentionTimeline *timelines = palloc0(sizeof(*timelines) * (map->nhistories + 1));
	BkcError	err;

	for (size_t i = 0; i < map->nruns; i++)
	{
		BkcRetentionWal *w = &wal[p->input.nwal++];

		CHECK_FOR_INTERRUPTS();
		w->timeline = map->runs[i].timeline;
		w->first = map->runs[i].first;
		w->last = map->runs[i].last;
		check(bkc_walmap_time(map, w->timeline, w->last, &w->time, &err), &err);
		if (w->time == 0)
			w->time = adopted;
	}
	for (size_t i = 0; i < map->ntails; i++)
	{
		BkcRetentionWal *w = &wal[p->input.nwal++];

		w->timeline = map->tails[i].timeline;
		w->first = w->last = map->tails[i].segno;
		w->open = true;
		w->time = adopted;
	}
	for (size_t i = 0; i < map->nhistories; i++)
	{
		timelines[i].timeline = map->histories[i].timeline;
		timelines[i].entries = map->histories[i].entries;
		timelines[i].n = map->histories[i].n;
	}
	p->input.wal = wal;
	p->input.timelines = timelines;
	p->input.ntimelines = map->nhistories;
	p->input.segment_size = map->segment_size;
	p->input.timeline = is_predecessor(p) ? 0 : GetWALInsertionTimeLine();
}

/* ---- the plan ---- */

/* What shall go and is locked stays.  Only those are asked for. */
static bool
take_locks(BkcExpirePlan *p)
{
	BkcRetentionBackup *all = (BkcRetentionBackup *) p->input.backups;
	bool		found = false;
	BkcError	err;

	for (size_t i = 0; i < p->plan->nremoval; i++)
	{
		BkcRetentionBackup *b = &all[p->plan->removal[i]];
		char		name[BKC_NAME_MAX];

		CHECK_FOR_INTERRUPTS();
		check(bkc_name_manifest(p->system_identifier, b->label, name, &err) &&
			  bkc_store_locked(p->store, name, &b->locked_until, &err), &err);
		if (b->locked_until == BKC_STORE_HELD)
		{
			b->locked_until = 0;
			b->held = true;
			b->held_reason = "legal hold in the bucket, or its lock cannot be seen";
			found = true;
		}

		/* the bucket's clock decides, not ours */
		if (b->locked_until != 0 && b->locked_until <= p->input.now)
			b->locked_until = p->input.now + 1;
		found |= b->locked_until != 0;
	}
	return found;
}

static void
plan(BkcExpirePlan *p)
{
	BkcError	err;

	check(bkc_retention_plan(&p->input, &p->plan, &err), &err);
	while (p->plan->nremoval > 0 && take_locks(p))
	{
		bkc_retention_free(p->plan);
		p->plan = NULL;
		check(bkc_retention_plan(&p->input, &p->plan, &err), &err);
	}
}

/* The backups that count of all that come after a predecessor. */
static void
take_others(BkcExpirePlans *all, const BkcExpirePlan *p, unsigned depth)
{
	BkcRetentionInput *input = (BkcRetentionInput *) &p->input;
	const BkcRetentionBackup **others;
	size_t		n = 0;

	for (const BkcExpirePlan *later = all->plans; later < p; later++)
		n += later->input.nbackups;
	others = palloc0(sizeof(*others) * (n + 1));
	n = 0;
	for (const BkcExpirePlan *later = all->plans; later < p; later++)
	{
		size_t		at = (size_t) (later - all->plans);

		if (at > 0 && all->predecessors[at - 1].depth >= depth)
			continue;
		for (size_t i = 0; i < later->input.nbackups; i++)
			if (later->plan->backups[i].counts)
				others[n++] = &later->input.backups[i];
	}
	input->others = others;
	input->nothers = n;
	input->closed = true;
}

BkcExpirePlans *
bkc_expireplan_open(const BkcRepoDef *repo)
{
	BkcExpirePlans *all = palloc0(sizeof(*all));
	BkcRetentionPolicy policy;
	bool		has_policy;
	int64		now;
	BkcError	err;

	bkc_guard(release, all);
	check(bkc_repo_open(repo, &all->store, &err), &err);
	check(bkc_lineage_load(all->store, GetSystemIdentifier(), &all->predecessors,
						   &all->npredecessors, &err), &err);
	has_policy = read_policy(repo->name, &policy);
	now = bkc_clock_to_unix(bkc_clock_now());
	all->plans = palloc0(sizeof(*all->plans) * (all->npredecessors + 1));
	for (size_t i = 0; i <= all->npredecessors; i++)
	{
		BkcExpirePlan *p = &all->plans[i];

		p->repo = repo;
		p->system_identifier = i == 0 ? GetSystemIdentifier() :
			all->predecessors[i - 1].system_identifier;
		p->store = all->store;
		p->has_policy = has_policy;
		p->input.policy = policy;
		p->input.now = now;
	}
	all->n = all->npredecessors + 1;
	return all;
}

void
bkc_expireplan_make(BkcExpirePlans *all)
{
	for (size_t i = 0; i < all->n; i++)
	{
		const BkcPredecessor *predecessor = i == 0 ? NULL : &all->predecessors[i - 1];
		BkcExpirePlan *p = &all->plans[i];

		CHECK_FOR_INTERRUPTS();
		take_repository(p);
		take_catalog(p);
		take_wal(p, predecessor ? predecessor->adopted : 0);
		if (predecessor)
			take_others(all, p, predecessor->depth);
		plan(p);
	}
}

/* The same name of WAL may stand for that of two clusters, so the reason tells. */
static const char *
reason_of(const BkcExpirePlan *p, const char *reason)
{
	return is_predecessor(p) ? psprintf("predecessor %llu: %s",
										(unsigned long long) p->system_identifier, reason) : reason;
}

static void
each_of(const BkcExpirePlan *p, BkcExpireEach each, void *arg)
{
	for (size_t i = 0; i < p->plan->nbackups; i++)
		each(arg, "backup", p->input.backups[i].label, p->ids[i], p->plan->backups[i].keep,
			 reason_of(p, p->plan->backups[i].reasons), p->sizes[i]);
	for (size_t i = 0; i < p->plan->nwal; i++)
	{
		const BkcRetentionRange *r = &p->plan->wal[i];
		char		first[BKC_WAL_NAME_MAX];
		char		last[BKC_WAL_NAME_MAX];

		bkc_wal_segment_name(r->timeline, r->first, p->input.segment_size, first);
		bkc_wal_segment_name(r->timeline, r->last, p->input.segment_size, last);
		each(arg, "wal", r->first == r->last ? first : psprintf("%s to %s", first, last), 0, r->keep,
			 reason_of(p, r->reason), 0);
	}
}

void
bkc_expireplan_each(const BkcExpirePlans *all, BkcExpireEach each, void *arg)
{
	for (size_t i = 0; i < all->n; i++)
		each_of(&all->plans[i], each, arg);
}
