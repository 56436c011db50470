/*
 * expire.c
 *		See expire.h.
 *
 * Crash and retry: a row says "expiring" before the first object goes, and goes itself after the
 * last.  The next run finds it: with a manifest the backup is still there, and planned again like
 * all others; without one the rest of it goes first.  WAL goes after the backups that need it.
 */
#include "pgcompat.h"

#include "base/fault.h"
#include "base/text.h"
#include "catalog.h"
#include "clockjump.h"
#include "errors.h"
#include "event.h"
#include "expire.h"
#include "expireplan.h"
#include "miscadmin.h"
#include "ownership.h"
#include "pipe/notes.h"
#include "pipe/walobj.h"
#include "settings.h"
#include "sqlrun.h"
#include "sync.h"
#include "utils/json.h"
#include "walusage.h"

#define SILENCE		((int64) 7 * USECS_PER_DAY)
#define CLOCK_SLACK	((int64) USECS_PER_HOUR)

typedef struct Expiry
{
	BkcJob	   *job;
	BkcExpirePlans *all;
	BkcExpirePlan *p;			/* whose turn it is */
	uint64		backups;		/* removed */
	uint64		objects;		/* of WAL, likewise */
	int64		bytes;			/* of the backups */
	StringInfoData items;		/* JSON of the plan */
} Expiry;

static void
check(bool ok, const BkcError *err)
{
	if (!ok)
		bkc_ereport(ERROR, err);
}

/*
 * A clock that was wrong when the server started has not jumped; but then nothing seems to have
 * been stored for long.  Somebody has to say whether that is so.
 */
static void
check_stored_lately(const BkcExpirePlans *all)
{
	const BkcExpirePlan *p = all->plans;
	int64		newest = 0;
	int64		allowed = Max(SILENCE, p->input.policy.pitr_window * USECS_PER_SEC);
	char		when[48];

	for (size_t i = 0; i < p->input.nwal; i++)
		newest = Max(newest, p->input.wal[i].time);
	for (; p < all->plans + all->n; p++)
		for (size_t i = 0; i < p->input.nbackups; i++)
			newest = Max(newest, Max(p->input.backups[i].started, p->input.backups[i].finished));
	p = all->plans;
	if (newest == 0 || newest >= p->input.now - allowed || bkc_shared->clock_confirmed)
		return;
	bkc_format_moment(newest, false, when, sizeof(when));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("nothing was stored in repository \"%s\" since %s", p->repo->name, when),
			 errdetail("Nothing is removed by a clock that may be wrong."),
			 errhint("Take a backup; or make sure that the clock is right, then call backup_clock_is_right().")));
}

static void
check_jump(void)
{
	int64		jump;

	if (!bkc_clockjump_get(&jump))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("it is not known yet whether the clock had jumped before the server's start"),
				 errhint("Try again in some seconds; if that does not help, the server's log says why.")));
	if (jump != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the clock of this machine has jumped by %lld seconds",
						(long long) (jump / USECS_PER_SEC)),
				 errdetail("Nothing is removed by a clock that may be wrong."),
				 errhint("Make sure that the clock is right, then call backup_clock_is_right().")));
}

/* Rows of the catalog that came from a wrong clock make the plan worthless. */
static void
check_no_future(const BkcExpirePlan *p)
{
	for (size_t i = 0; i < p->input.nbackups; i++)
	{
		const BkcRetentionBackup *b = &p->input.backups[i];
		char		when[48];

		if (b->started <= p->input.now + CLOCK_SLACK)
			continue;
		bkc_format_moment(b->started, false, when, sizeof(when));
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("backup %s in repository \"%s\" began at %s, which lies in the future",
						b->label, p->repo->name, when),
				 errdetail("Nothing is removed by a clock that may be wrong."),
				 errhint("Set the clock of this machine.  If it was wrong when that backup was made, take a new one and remove that by hand.")));
	}
}

/* What else does. */
static void
check_safety(const Expiry *x)
{
	const BkcExpirePlan *p = x->all->plans;
	BkcError	err;

	check(bkc_ownership_check(p->repo, p->store, &err), &err);
	if (bkc_sync_pending(p->repo->name))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("catalog sync is pending for repository \"%s\"", p->repo->name),
				 errdetail("Since the server's start the catalog was not compared with the repository yet, and may not know of holds."),
				 errhint("It will be, unless something is in the way; SELECT * FROM backup_catalog_sync() does it now or says what.")));
	for (size_t i = 0; i < x->all->n; i++)
		check_no_future(&x->all->plans[i]);
	check_stored_lately(x->all);
	check_jump();
}

/* ---- backups ---- */

typedef struct CopyArg
{
	int64		id;
	const char *repository;
	const char *status;
} CopyArg;

static void
write_copy_status(void *arg)
{
	CopyArg    *c = arg;
	const char *values[3];

	values[0] = psprintf("%lld", (long long) c->id);
	values[1] = c->repository;
	values[2] = c->status;
	bkc_sqlrun_begin();
	bkc_sqlrun_exec("UPDATE %s.backup_copy SET status = $3 WHERE backup_id OPERATOR(pg_catalog.=) $1::bigint"
					" AND repository OPERATOR(pg_catalog.=) $2", SPI_OK_UPDATE, 3, values);
	bkc_sqlrun_finish();
}

/* The copy, and with the last copy the backup. */
static void
forget_copy(void *arg)
{
	CopyArg    *c = arg;
	const char *values[2];

	values[0] = psprintf("%lld", (long long) c->id);
	values[1] = c->repository;
	bkc_sqlrun_begin();
	bkc_sqlrun_exec("DELETE FROM %s.backup_copy WHERE backup_id OPERATOR(pg_catalog.=) $1::bigint"
					" AND repository OPERATOR(pg_catalog.=) $2", SPI_OK_DELETE, 2, values);
	bkc_sqlrun_exec("DELETE FROM %s.backup_catalog c WHERE c.id OPERATOR(pg_catalog.=) $1::bigint"
					" AND NOT EXISTS (SELECT FROM %s.backup_copy y"
					"   WHERE y.backup_id OPERATOR(pg_catalog.=) c.id)", SPI_OK_DELETE, 1, values);
	bkc_sqlrun_exec("UPDATE %s.backup_catalog c SET repository = (SELECT pg_catalog.min(y.repository)"
					"   FROM %s.backup_copy y WHERE y.backup_id OPERATOR(pg_catalog.=) c.id)"
					" WHERE c.id OPERATOR(pg_catalog.=) $1::bigint AND c.repository OPERATOR(pg_catalog.=) $2",
					SPI_OK_UPDATE, 2, values);
	bkc_sqlrun_finish();
}

typedef struct ClaimArg
{
	BkcJob	   *job;
	int64		id;
	const char *label;
	const char *repository;
	bool		free;
} ClaimArg;

/* With the row's lock, as backup_hold() has it: either it sees us, or we see the hold. */
static void
claim_removal(void *arg)
{
	ClaimArg   *c = arg;
	const char *values[2] = {psprintf("%lld", (long long) c->id), c->repository};

	bkc_sqlrun_begin();
	bkc_sqlrun_exec("SELECT held FROM %s.backup_catalog WHERE id OPERATOR(pg_catalog.=) $1::bigint"
					" FOR UPDATE", SPI_OK_SELECT, 1, values);
	c->free = SPI_processed > 0 && bkc_sqlrun_value(0, 1)[0] == 'f';
	if (c->free)
	{
		bkc_sqlrun_exec("UPDATE %s.backup_copy SET status = 'expiring'"
						" WHERE backup_id OPERATOR(pg_catalog.=) $1::bigint"
						" AND repository OPERATOR(pg_catalog.=) $2", SPI_OK_UPDATE, 2, values);
		LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
		strlcpy(c->job->label, c->label, sizeof(c->job->label));
		LWLockRelease(bkc_shared->lock);
	}
	bkc_sqlrun_finish();
}

/* What it builds on must not go when it stays, so the rest is left to another run. */
static void
claim(Expiry *x, int64 id, const char *label)
{
	ClaimArg	arg = {.job = x->job, .id = id, .label = label, .repository = x->p->repo->name};

	if (!bkc_sqlrun_try(claim_removal, &arg, BKC_SQLRUN_TRIES, "note the expiry of a backup"))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the expiry of backup %s could not be noted in the catalog", label)));
	if (!arg.free)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("backup %s was held, or its row removed, since retention has been planned", label),
				 errhint("Run it again.")));
}

static void
unclaim(BkcJob *job)
{
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	job->label[0] = '\0';
	LWLockRelease(bkc_shared->lock);
}

static void
write_row(void (*access) (void *arg), int64 id, const char *repository, const char *status)
{
	CopyArg		arg = {.id = id, .repository = repository, .status = status};

	if (id != 0 && !bkc_sqlrun_try(access, &arg, BKC_SQLRUN_TRIES, "note the expiry of a backup"))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the expiry of backup %lld could not be noted in the catalog", (long long) id)));
}

/*
 * Are we still the ones who may remove?  A server that was promoted may have taken over, and then
 * every object is its own: the repository is asked, not our memory of some seconds ago.
 */
static void
check_still_owner(const BkcExpirePlan *p)
{
	BkcError	err;

	bkc_ownership_forget();
	check(bkc_ownership_check_of(p->repo, p->store, p->system_identifier, &err), &err);
}

/* What an interrupted run has left of a cluster. */
static void
finish_interrupted(const BkcExpirePlan *p)
{
	const char *values[2] = {p->repo->name, psprintf("%lld", (long long) p->system_identifier)};
	BkcCatalogRow *rows;
	int			n;
	BkcError	err;

	bkc_sqlrun_begin();
	bkc_sqlrun_exec("SELECT c.id, c.label FROM %s.backup_catalog c"
					" JOIN %s.backup_copy y ON y.backup_id OPERATOR(pg_catalog.=) c.id"
					" WHERE y.repository OPERATOR(pg_catalog.=) $1 AND c.label IS NOT NULL"
					" AND " BKC_CATALOG_OF("c.system_identifier", "$2::bigint")
					" AND y.status OPERATOR(pg_catalog.=) 'expiring' ORDER BY c.label DESC",
					SPI_OK_SELECT, 2, values);
	n = (int) SPI_processed;
	rows = MemoryContextAllocZero(bkc_sqlrun_outer_context(), sizeof(*rows) * (n + 1));
	for (int i = 0; i < n; i++)
	{
		rows[i].id = strtoll(bkc_sqlrun_value(i, 1), NULL, 10);
		strlcpy(rows[i].label, bkc_sqlrun_value(i, 2), sizeof(rows[i].label));
	}
	bkc_sqlrun_finish();
	if (n == 0)
		return;
	check_still_owner(p);
	for (int i = 0; i < n; i++)
	{
		bool		complete;

		CHECK_FOR_INTERRUPTS();
		check(bkc_repo_backup_complete(p->store, p->system_identifier, rows[i].label, &complete,
									   &err) &&
			  (complete ||
			   bkc_repo_remove_backup(p->store, p->system_identifier, rows[i].label, &err)), &err);
		if (complete)
			write_row(write_copy_status, rows[i].id, p->repo->name, "completed");
		else
			write_row(forget_copy, rows[i].id, p->repo->name, NULL);
	}
}

/*
 * Somebody else's hold, or one that the catalog has forgotten: the repository knows it.  Asked at
 * the last moment, because a removal of many backups takes long.
 */
static void
refuse_noted_hold(const Expiry *x, const char *label)
{
	BkcNotes	notes = {0};
	BkcError	err;
	bool		held;
	bool		ok = bkc_notes_load(x->p->store, x->p->system_identifier, label, &notes, &err);

	held = ok && notes.has_hold && notes.hold.held;
	bkc_notes_free(&notes);
	check(ok, &err);
	if (held)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("backup %s is held by a note in repository \"%s\" that the catalog does not know",
						label, x->p->repo->name),
				 errhint("SELECT * FROM backup_catalog_sync() takes it over.")));
}

static void
remove_backups(Expiry *x)
{
	BkcExpirePlan *p = x->p;
	BkcError	err;

	for (size_t i = 0; i < p->plan->nremoval; i++)
	{
		size_t		at = p->plan->removal[i];
		const BkcRetentionBackup *b = &p->input.backups[at];

		CHECK_FOR_INTERRUPTS();
		check_still_owner(p);
		refuse_noted_hold(x, b->label);
		if (p->ids[at] != 0)
			claim(x, p->ids[at], b->label);
		check(bkc_fault(BKC_FAULT_EXPIRE_BACKUP, &err) &&
			  bkc_repo_remove_backup(p->store, p->system_identifier, b->label, &err) &&
			  bkc_fault(BKC_FAULT_EXPIRE_ROW, &err), &err);
		ereport(LOG,
				(errmsg("pg_backupctl: removed backup %s from repository \"%s\": %s", b->label,
						p->repo->name, p->plan->backups[at].reasons)));
		x->backups++;
		x->bytes += p->sizes[at];
		pg_atomic_fetch_add_u64(&x->job->files_done, 1);
		write_row(forget_copy, p->ids[at], p->repo->name, NULL);
		unclaim(x->job);
	}
}

/* ---- WAL ---- */

/* Locks end in the order in which segments were stored: one that is locked ends the removal. */
static bool
is_locked(BkcExpirePlan *p, uint32 timeline, uint64 segno)
{
	char		segment[BKC_WAL_NAME_MAX];
	char		name[BKC_NAME_MAX];
	int64_t		until;
	BkcError	err;

	bkc_wal_segment_name(timeline, segno, p->input.segment_size, segment);
	check(bkc_name_wal_file(p->system_identifier, segment, NULL, name, &err) &&
		  bkc_store_locked(p->store, name, &until, &err), &err);
	return until != 0;
}

/*
 * How much of a range, from its beginning on, is not locked: by bisection, as the newer ones are
 * locked longer.  *last is the last that may go; false when none may.
 */
static bool
unlocked_part(BkcExpirePlan *p, const BkcRetentionRange *r, uint64 *last)
{
	uint64		low = r->first;
	uint64		high = r->last;

	if (!is_locked(p, r->timeline, high))
	{
		*last = high;
		return true;
	}
	if (is_locked(p, r->timeline, low))
		return false;
	while (high - low > 1)
	{
		uint64		middle = low + (high - low) / 2;

		if (is_locked(p, r->timeline, middle))
			high = middle;
		else
			low = middle;
	}
	*last = low;
	return true;
}

static void
remove_wal(Expiry *x)
{
	BkcExpirePlan *p = x->p;
	BkcError	err;

	for (size_t i = 0; i < p->plan->nwal; i++)
	{
		const BkcRetentionRange *r = &p->plan->wal[i];
		uint64		last;
		uint64_t	n = 0;

		CHECK_FOR_INTERRUPTS();
		if (r->keep)
			continue;
		check_still_owner(p);
		if (!unlocked_part(p, r, &last))
			continue;
		check(bkc_fault(BKC_FAULT_EXPIRE_WAL, &err) &&
			  bkc_wal_remove(p->store, p->system_identifier, r->timeline, r->first, last,
							 p->input.segment_size, &n, &err), &err);
		x->objects += n;
	}
}

/* ---- all of it ---- */

static void
note_item(void *arg, const char *kind, const char *name, int64 id, bool keep, const char *reason,
		  int64 bytes)
{
	Expiry	   *x = arg;

	appendStringInfoString(&x->items, x->items.data[x->items.len - 1] == '[' ? "{\"kind\": " : ", {\"kind\": ");
	escape_json(&x->items, kind);
	appendStringInfoString(&x->items, ", \"name\": ");
	escape_json(&x->items, name);
	if (id != 0)
		appendStringInfo(&x->items, ", \"id\": %lld", (long long) id);
	if (bytes != 0)
		appendStringInfo(&x->items, ", \"bytes\": %lld", (long long) bytes);
	appendStringInfo(&x->items, ", \"action\": \"%s\", \"reason\": ", keep ? "keep" : "remove");
	escape_json(&x->items, reason);
	appendStringInfoChar(&x->items, '}');
}

static void
expire_repository(BkcJob *job, const BkcRepoDef *repo, StringInfo summary, StringInfo detail)
{
	Expiry		x = {.job = job};
	size_t		backups = 0;
	char		size[32];

	bkc_job_phase(job, BKC_PHASE_PLANNING);
	x.all = bkc_expireplan_open(repo);
	for (size_t i = 0; i < x.all->n; i++)
		finish_interrupted(&x.all->plans[i]);
	bkc_expireplan_make(x.all);
	check_safety(&x);
	initStringInfo(&x.items);
	appendStringInfoChar(&x.items, '[');
	bkc_expireplan_each(x.all, note_item, &x);
	for (size_t i = 0; i < x.all->n; i++)
	{
		backups += x.all->plans[i].input.nbackups;
		pg_atomic_fetch_add_u64(&job->files_total, x.all->plans[i].plan->nremoval);
	}
	bkc_job_phase(job, BKC_PHASE_REMOVING);
	for (size_t i = 0; i < x.all->n; i++)
	{
		x.p = &x.all->plans[i];
		remove_backups(&x);
		remove_wal(&x);
	}
	bkc_walusage_note(repo, x.all->store);
	bkc_format_size((uint64_t) x.bytes, size, sizeof(size));
	appendStringInfo(summary, "%s%s: ", summary->len > 0 ? "; " : "", repo->name);
	if (!x.p->has_policy)
		appendStringInfoString(summary, "no policy, everything stays");
	else
		appendStringInfo(summary, "removed %llu backups (%s) and %llu WAL objects, %llu backups stay",
						 (unsigned long long) x.backups, size, (unsigned long long) x.objects,
						 (unsigned long long) (backups - x.backups));
	appendStringInfo(detail, "%s", detail->len > 1 ? ", " : "");
	escape_json(detail, repo->name);
	appendStringInfo(detail, ": %s]", x.items.data);
	bkc_expireplan_close(x.all);
}

void
bkc_expire_run(BkcJob *job)
{
	const BkcRepoList *repos = bkc_settings_repositories();
	const char *only = job->args.repository;
	StringInfoData summary;
	StringInfoData detail;
	int64		event;

	if (!bkc_set_enabled)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("nothing is removed while pg_backupctl.enabled is off")));
	(void) bkc_settings_repository(only[0] ? only : NULL);
	initStringInfo(&summary);
	initStringInfo(&detail);
	appendStringInfoChar(&detail, '{');
	for (size_t i = 0; i < repos->count; i++)
		if (only[0] == '\0' || strcmp(only, repos->items[i].name) == 0)
			expire_repository(job, &repos->items[i], &summary, &detail);
	appendStringInfoChar(&detail, '}');
	event = bkc_event(&(BkcEvent)
					  {.kind = "expire", .actor = job->args.requested_by, .repository = only,
					   .schedule = job->args.schedule, .message = summary.data,
					   .detail = psprintf("{\"repositories\": %s}", detail.data)});
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	job->passed = true;
	job->event = event;
	strlcpy(job->summary, summary.data, sizeof(job->summary));
	LWLockRelease(bkc_shared->lock);
}

void
bkc_expire_failed(BkcJob *job, const BkcReport *report, bool cancelled)
{
	/* the next run finishes what this one has begun */
}
