/*
 * claim.c
 *		See claim.h; the rules stand in ownership.h.
 */
#include "pgcompat.h"

#include <unistd.h>

#include "base/fault.h"
#include "base/host.h"
#include "base/text.h"
#include "claim.h"
#include "knowncluster.h"
#include "marks.h"
#include "miscadmin.h"
#include "pipe/owner.h"
#include "refusal.h"
#include "settings.h"
#include "walhole.h"
#include "walshared.h"

bool
bkc_claim_begin(BkcClaim *c, const BkcRepoDef *repo, int index, BkcStore *store, BkcError *err)
{
	memset(c, 0, sizeof(*c));
	c->repo = repo;
	c->index = index;
	c->store = store;
	c->sysid = GetSystemIdentifier();
	if (RecoveryInProgress())
		return true;
	c->lsn = GetFlushRecPtr(&c->timeline);
	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	c->since = bkc_wal->repos[index].since_lsn;
	LWLockRelease(bkc_wal->lock);
	return bkc_identity_get(c->me, err);
}

bool
bkc_claim_ask(BkcClaim *c, BkcError *err)
{
	/* first: another process of ours may claim while we read */
	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	c->claimed = bkc_wal->repos[c->index].claimed;
	LWLockRelease(bkc_wal->lock);
	bkc_error_clear(&c->damage);
	if (bkc_owner_current(c->store, c->sysid, &c->doc, &c->found, err))
		return true;
	c->damage = *err;
	return c->found;
}

static bool
is_mine(const BkcClaim *c)
{
	return c->found && c->doc.successor == 0 && strcmp(c->doc.owner, c->me) == 0;
}

/* ... and of this life of ours? */
static bool
is_ours_now(const BkcClaim *c)
{
	return is_mine(c) && c->doc.session == bkc_wal->session;
}

/* Two servers with one identity have met there. */
static bool
is_contested(const BkcClaim *c)
{
	return c->found && strcmp(c->doc.reason, "twin") == 0;
}

static void
note_claimed(const BkcClaim *c)
{
	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	bkc_wal->repos[c->index].claimed = true;
	LWLockRelease(bkc_wal->lock);
}

/* ---- guards ---- */

/* Is that point of that timeline on the way we have come? */
static bool
on_our_way(const BkcClaim *c, TimeLineID timeline, XLogRecPtr lsn, XLogRecPtr *left, bool *is,
		   BkcError *err)
{
	BkcHistoryEntry *entries;
	size_t		n;

	*is = timeline == c->timeline && lsn <= c->lsn;
	*left = InvalidXLogRecPtr;
	if (timeline >= c->timeline)
		return true;
	if (!bkc_server_history(c->timeline, &entries, &n, err))
	{
		if (err->code != BKC_ERR_NOT_FOUND && err->code != BKC_ERR_CORRUPT)
			return false;
		bkc_error_set(err, BKC_ERR_STATE, "the history of timeline %u is missing or damaged in pg_wal",
					  c->timeline);
		bkc_error_detail(err, "Without it nobody can tell whether this server descends from the owner of repository \"%s\".",
						 c->repo->name);
		return bkc_error_hint(err, "If it does, run SELECT backup_take_over('%s').",
							  c->repo->name);
	}
	for (size_t i = 0; i < n; i++)
		if (entries[i].timeline == timeline)
		{
			*left = entries[i].switch_lsn;
			*is = lsn <= *left;
		}
	free(entries);
	return true;
}

/* Does a mark of that name hold for the repository and our timeline? */
static bool
marked(const BkcClaim *c, const char *name, bool *is, BkcError *err)
{
	BkcMark		mark;

	if (!bkc_mark_read(name, &mark, err))
		return false;
	*is = mark.timeline == c->timeline && bkc_mark_is_used(&mark, c->repo->name);
	return true;
}

static bool
set_mark(const BkcClaim *c, const char *name, BkcError *err)
{
	BkcMark		mark;

	if (!bkc_mark_read(name, &mark, err) ||
		(mark.timeline != c->timeline && !bkc_mark_write(name, c->timeline, "", err)))
		return false;
	return bkc_mark_use(name, c->repo->name, err);
}

/*
 * Foreign WAL beyond the point where we began?  That is asked once.  The position of now
 * would be too late: an older copy that has written on meanwhile would seem to be ahead.
 */
static bool
find_beyond(BkcClaim *c, BkcBeyond *beyond, BkcError *err)
{
	BkcRepoState *state = &bkc_wal->repos[c->index];
	bool		guarded;

	beyond->name[0] = '\0';
	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	guarded = state->guarded;
	LWLockRelease(bkc_wal->lock);
	if (guarded)
		return true;
	if (!bkc_beyond_position(c->store, c->timeline, c->since, beyond, err))
		return false;
	if (beyond->name[0] == '\0')
	{
		LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
		state->guarded = true;
		LWLockRelease(bkc_wal->lock);
	}
	return true;
}

/* No foreign WAL of our timeline beyond us, unless backup_take_over() has accepted it. */
static bool
guard_position(BkcClaim *c, BkcError *err)
{
	BkcBeyond	beyond;
	bool		is;

	if (!marked(c, BKC_MARK_TAKEN, &is, err))
		return false;
	if (is)
		return true;
	if (!find_beyond(c, &beyond, err))
		return false;
	if (beyond.name[0] != '\0')
	{
		/* after the next start it may be ahead of what the repository holds */
		if (!set_mark(c, BKC_MARK_BEHIND, err))
			return false;
		bkc_refuse_old_copy(c, err);
		return bkc_refuse_beyond(&beyond, c->timeline, c->since, err);
	}
	if (!marked(c, BKC_MARK_BEHIND, &is, err))
		return false;
	if (!is)
		return true;
	bkc_refuse_old_copy(c, err);
	return bkc_error_detail(err, "When it was started it had less of timeline %u than the repository.",
							c->timeline);
}

/* ---- claims ---- */

bool
bkc_claim_put(BkcClaim *c, const char *reason, const char *by, BkcError *err)
{
	BkcOwnerDoc doc = {0};

	doc.number = c->found ? c->doc.number + 1 : 1;
	doc.system_identifier = c->sysid;
	strlcpy(doc.owner, c->me, sizeof(doc.owner));
	if (gethostname(doc.host, sizeof(doc.host)) < 0)
		strlcpy(doc.host, "unknown", sizeof(doc.host));
	doc.host[sizeof(doc.host) - 1] = '\0';
	strlcpy(doc.data_directory, DataDir, sizeof(doc.data_directory));
	doc.timeline = c->timeline;

	/* a standby that was not connected when we started must not be told that it lacks something */
	doc.lsn = strcmp(reason, "start") == 0 ? c->since : c->lsn;
	doc.session = bkc_wal->session;
	doc.time = bkc_host->now();
	strlcpy(doc.reason, reason, sizeof(doc.reason));
	strlcpy(doc.by, by, sizeof(doc.by));
	if (strcmp(reason, "promoted") == 0 || strcmp(reason, "takeover") == 0)
		bkc_hole_expect(c->repo, c->index, c->timeline);
	if (!bkc_owner_claim(c->store, &doc, err) || !bkc_fault(BKC_FAULT_OWNER_CLAIMED, err))
		return false;
	c->doc = doc;
	c->found = true;
	note_claimed(c);
	if (strcmp(reason, "twin") == 0)
		return true;
	ereport(LOG,
			(errmsg(strcmp(reason, "start") == 0 ?
					"repository \"%s\" belongs to this data directory as before" :
					"repository \"%s\" belongs to this data directory from now on", c->repo->name),
			 errdetail("Claim %u (%s), timeline %u.", doc.number, reason, doc.timeline)));
	return true;
}

/* We have left the owner's timeline at fork: nothing of it may lie beyond that. */
static bool
guard_fork(const BkcClaim *c, XLogRecPtr fork, BkcError *err)
{
	BkcBeyond	beyond;

	if (!bkc_beyond_fork(c->store, c->doc.timeline, fork, &beyond, err))
		return false;
	if (beyond.name[0] == '\0')
		return true;
	bkc_error_set(err, BKC_ERR_STATE, "repository \"%s\" holds WAL that this promoted server does not have",
				  c->repo->name);
	bkc_refuse_beyond(&beyond, c->doc.timeline, fork, err);
	return bkc_error_hint(err, "What was committed in it is lost on this server.  To go on without it, run SELECT backup_take_over('%s'); otherwise restore from the repository.",
						  c->repo->name);
}

/*
 * The owner's standby, promoted?  It must have streamed the owner's own timeline: a
 * standby of a clone has followed another one.
 */
static bool
was_its_standby(const BkcClaim *c, XLogRecPtr *fork, bool *was, BkcError *err)
{
	BkcMark		mark;

	*was = false;
	if (!bkc_mark_read(BKC_MARK_STANDBY, &mark, err))
		return false;
	return !mark.valid ||
		bkc_mark_is_used(&mark, c->repo->name) ||
		mark.timeline != c->doc.timeline || mark.timeline >= c->timeline ||
		on_our_way(c, c->doc.timeline, c->doc.lsn, fork, was, err);
}

static bool
may_claim(const BkcClaim *c, const char **reason, BkcError *err)
{
	BkcMark		mark;
	XLogRecPtr	fork;
	bool		was;

	*reason = "first";
	if (!c->found)
		return bkc_known_cluster(c->repo, c->store, err);
	*reason = "takeover";
	if (!bkc_mark_read(BKC_MARK_TAKEOVER, &mark, err))
		return false;
	if (mark.valid && !bkc_mark_is_used(&mark, c->repo->name))
		return true;
	if (c->damage.code != BKC_OK)
		return bkc_refuse_damaged(c, err);
	if (is_contested(c))
		return bkc_refuse_twin(c, err);
	if (c->doc.successor != 0)
		return bkc_refuse_other(c, err);
	*reason = "promoted";
	if (!was_its_standby(c, &fork, &was, err))
		return false;
	return was ? guard_fork(c, fork, err) : bkc_refuse_other(c, err);
}

/*
 * The owner is this data directory.  When the claim lies on another way than
 * ours, an older state of the directory has come back (a snapshot) after that; when we have
 * come to another timeline since, the repository is told, so that our own standbys know.
 */
static bool
still_mine(BkcClaim *c, BkcError *err)
{
	XLogRecPtr	fork;
	bool		is;
	char		at[32];

	if (is_ours_now(c))
	{
		note_claimed(c);
		return true;
	}
	if (!on_our_way(c, c->doc.timeline, c->doc.lsn, &fork, &is, err))
		return false;
	if (is && c->doc.timeline == c->timeline && c->doc.lsn <= c->since)
		return bkc_claim_put(c, "start", "", err);
	if (is && c->doc.timeline != c->timeline)
		return guard_fork(c, fork, err) && bkc_claim_put(c, "promoted", "", err);

	/* after the next start it may have come as far */
	if (!set_mark(c, BKC_MARK_BEHIND, err))
		return false;
	bkc_format_lsn(c->doc.lsn, at, sizeof(at));
	bkc_refuse_old_copy(c, err);
	return bkc_error_detail(err, "It was claimed on timeline %u at %s, where this server has never been.",
							c->doc.timeline, at);
}

/*
 * Is there another server that is us?  The word of the first that sees it counts for both, and
 * for each life of either.
 */
static bool
guard_twin(BkcClaim *c, BkcError *err)
{
	if (!is_contested(c) && (!c->claimed || is_ours_now(c)))
		return true;
	if (!is_contested(c) && !bkc_claim_put(c, "twin", "", err))
		return false;
	return bkc_refuse_twin(c, err);
}

bool
bkc_claim_try(BkcClaim *c, BkcError *err)
{
	const char *reason;

	if (is_mine(c))
		return guard_twin(c, err) && guard_position(c, err) && still_mine(c, err);
	return may_claim(c, &reason, err) && guard_position(c, err) &&
		bkc_claim_put(c, reason, "", err);
}

/* ---- standbys ---- */

bool
bkc_claim_standby(const BkcClaim *c, TimeLineID timeline, XLogRecPtr *after, BkcError *err)
{
	*after = InvalidXLogRecPtr;
	if (c->damage.code != BKC_OK)
		return bkc_refuse_damaged(c, err);
	if (!c->found)
	{
		bkc_error_set(err, BKC_ERR_STATE, "nobody has claimed repository \"%s\" yet",
					  c->repo->name);
		return bkc_error_hint(err, "The primary does so when it first writes there.  A standby sends nothing before.");
	}
	if (is_contested(c))
		return bkc_refuse_twin(c, err);
	if (c->doc.successor != 0)
		return bkc_refuse_other(c, err);
	if (c->doc.timeline < timeline)
	{
		bkc_error_set(err, BKC_ERR_STATE, "the owner of repository \"%s\" has not come to timeline %u",
					  c->repo->name, timeline);
		return bkc_error_detail(err, "It was on timeline %u when it claimed the repository.  A standby sends nothing of another one.",
								c->doc.timeline);
	}
	if (c->doc.timeline == timeline)
		*after = c->doc.lsn;
	return true;
}

/* ---- backup_take_over() ---- */

bool
bkc_claim_is_settled(const BkcClaim *c)
{
	return is_ours_now(c) && !is_contested(c);
}

bool
bkc_claim_accept(BkcClaim *c, bool *was, BkcError *err)
{
	BkcBeyond	beyond;
	bool		taken;
	bool		behind;

	*was = false;
	if (!marked(c, BKC_MARK_TAKEN, &taken, err) || !marked(c, BKC_MARK_BEHIND, &behind, err))
		return false;
	if (!taken)
	{
		/* damage, or a lost key, is no reason to keep anybody from taking over */
		*was = behind;
		if (!find_beyond(c, &beyond, err))
		{
			if (err->code != BKC_ERR_CORRUPT && err->code != BKC_ERR_UNSUPPORTED &&
				err->code != BKC_ERR_KEY)
				return false;
			*was = true;
		}
		else if (beyond.name[0] != '\0')
			*was = true;
		if (*was && !set_mark(c, BKC_MARK_TAKEN, err))
			return false;
	}
	return !is_mine(c) || (!*was && bkc_claim_is_settled(c)) ||
		bkc_identity_renew(c->me, err);
}

/* ---- what marks are good for only once ---- */

/* Every repository of the setting has used it. */
static bool
all_used(const BkcMark *mark)
{
	BkcRepoList list = {0};
	BkcError	err;
	bool		all;

	all = bkc_repolist_parse(bkc_set_repositories ? bkc_set_repositories : "", &list, &err);
	for (size_t i = 0; all && i < list.count; i++)
		all = bkc_mark_is_used(mark, list.items[i].name);
	bkc_repolist_free(&list);
	return all;
}

bool
bkc_claim_use_marks(const BkcClaim *c, BkcError *err)
{
	static const char *const names[] = {BKC_MARK_TAKEOVER, BKC_MARK_STANDBY};

	for (int i = 0; i < lengthof(names); i++)
	{
		BkcMark		mark;

		if (!bkc_mark_read(names[i], &mark, err))
			return false;
		if (!mark.valid)
			continue;
		if (!bkc_mark_use(names[i], c->repo->name, err) || !bkc_mark_read(names[i], &mark, err))
			return false;
		if (all_used(&mark))
			bkc_mark_remove(names[i]);
	}
	return true;
}
