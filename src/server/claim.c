/*
 * claim.c
 *		See claim.h; the rules stand in ownership.h.
 */
#include "pgcompat.h"

#include <unistd.h>

#include "base/host.h"
#include "base/text.h"
#include "claim.h"
#include "marks.h"
#include "miscadmin.h"
#include "pipe/owner.h"
#include "settings.h"
#include "walshared.h"

bool
bkc_claim_begin(BkcClaim *c, const BkcRepoDef *repo, int index, BkcStore *store, BkcError *err)
{
	memset(c, 0, sizeof(*c));
	c->repo = repo;
	c->index = index;
	c->store = store;
	c->sysid = GetSystemIdentifier();
	c->lsn = GetFlushRecPtr(&c->timeline);
	return bkc_identity_get(c->me, err);
}

bool
bkc_claim_ask(BkcClaim *c, BkcError *err)
{
	return bkc_owner_current(c->store, c->sysid, &c->doc, &c->found, err);
}

static bool
is_mine(const BkcClaim *c)
{
	return c->found && strcmp(c->doc.owner, c->me) == 0;
}

/* ---- refusals ---- */

static bool
refuse_other(const BkcClaim *c, BkcError *err)
{
	char		since[40];

	bkc_format_moment(c->doc.time, false, since, sizeof(since));
	bkc_error_set(err, BKC_ERR_STATE, "repository \"%s\" belongs to another data directory",
				  c->repo->name);
	bkc_error_detail(err, "Since %s it belongs to \"%s\" on host \"%s\", then on timeline %u.",
					 since, c->doc.data_directory, c->doc.host, c->doc.timeline);
	return bkc_error_hint(err, "If this server is the successor, run SELECT backup_take_over('%s').  If it is a copy, set pg_backupctl.enabled to off.",
						  c->repo->name);
}

/* The owner's identity is ours, but its story is not. */
static bool
refuse_old_copy(const BkcClaim *c, BkcError *err)
{
	bkc_error_set(err, BKC_ERR_STATE, "this server is an older copy of the one that writes to repository \"%s\"",
				  c->repo->name);
	return bkc_error_hint(err, "Let it go on from what the repository holds: restore with \"pg_backupctl restore --take-over\".  If what the repository holds beyond this point is to be left behind, run SELECT backup_take_over('%s').",
						  c->repo->name);
}

static bool
refuse_beyond(const BkcBeyond *beyond, TimeLineID timeline, XLogRecPtr here, BkcError *err)
{
	char		reach[32];
	char		mine[32];
	char		size[32];

	bkc_format_lsn(beyond->end, reach, sizeof(reach));
	bkc_format_lsn(here, mine, sizeof(mine));
	bkc_format_size(beyond->end - here, size, sizeof(size));
	return bkc_error_detail(err, "Object \"%s\" holds WAL of timeline %u up to %s, this server had it up to %s: at least %s less.",
							beyond->name, timeline, reach, mine, size);
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
		return false;
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
marked(const BkcClaim *c, const char *name)
{
	BkcMark		mark;

	return bkc_mark_read(name, &mark) && mark.timeline == c->timeline &&
		bkc_mark_is_used(&mark, c->repo->name);
}

static bool
set_mark(const BkcClaim *c, const char *name, BkcError *err)
{
	BkcMark		mark;

	if ((!bkc_mark_read(name, &mark) || mark.timeline != c->timeline) &&
		!bkc_mark_write(name, c->timeline, err))
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
	c->since = state->since_lsn;
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

	if (marked(c, BKC_MARK_TAKEN))
		return true;
	if (!find_beyond(c, &beyond, err))
		return false;
	if (beyond.name[0] != '\0')
	{
		/* after the next start it may be ahead of what the repository holds */
		if (!set_mark(c, BKC_MARK_BEHIND, err))
			return false;
		refuse_old_copy(c, err);
		return refuse_beyond(&beyond, c->timeline, c->since, err);
	}
	if (!marked(c, BKC_MARK_BEHIND))
		return true;
	refuse_old_copy(c, err);
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
	doc.lsn = c->lsn;
	doc.session = bkc_wal->session;
	doc.time = bkc_host->now();
	strlcpy(doc.reason, reason, sizeof(doc.reason));
	strlcpy(doc.by, by, sizeof(doc.by));
	if (!bkc_owner_claim(c->store, &doc, err))
		return false;
	ereport(LOG,
			(errmsg("repository \"%s\" belongs to this data directory from now on", c->repo->name),
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
	refuse_beyond(&beyond, c->doc.timeline, fork, err);
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
	return !bkc_mark_read(BKC_MARK_STANDBY, &mark) ||
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
		return true;
	*reason = "takeover";
	if (bkc_mark_read(BKC_MARK_TAKEOVER, &mark) && !bkc_mark_is_used(&mark, c->repo->name))
		return true;
	*reason = "promoted";
	if (!was_its_standby(c, &fork, &was, err))
		return false;
	return was ? guard_fork(c, fork, err) : refuse_other(c, err);
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

	if (!on_our_way(c, c->doc.timeline, c->doc.lsn, &fork, &is, err))
		return false;
	if (is)
		return c->doc.timeline == c->timeline ||
			(guard_fork(c, fork, err) && bkc_claim_put(c, "promoted", "", err));
	bkc_format_lsn(c->doc.lsn, at, sizeof(at));
	refuse_old_copy(c, err);
	return bkc_error_detail(err, "It was claimed on timeline %u at %s, where this server has never been.",
							c->doc.timeline, at);
}

bool
bkc_claim_try(BkcClaim *c, BkcError *err)
{
	const char *reason;

	if (is_mine(c))
		return guard_position(c, err) && still_mine(c, err);
	return may_claim(c, &reason, err) && guard_position(c, err) &&
		bkc_claim_put(c, reason, "", err);
}

/* ---- backup_take_over() ---- */

static bool
claim_is_behind_us(const BkcClaim *c)
{
	XLogRecPtr	fork;
	BkcError	err;
	bool		is;

	return on_our_way(c, c->doc.timeline, c->doc.lsn, &fork, &is, &err) && is;
}

bool
bkc_claim_is_settled(const BkcClaim *c)
{
	return is_mine(c) && c->doc.timeline == c->timeline && claim_is_behind_us(c);
}

bool
bkc_claim_accept(BkcClaim *c, bool *was, BkcError *err)
{
	BkcBeyond	beyond;

	*was = false;
	if (!marked(c, BKC_MARK_TAKEN))
	{
		if (!find_beyond(c, &beyond, err))
			return false;
		*was = beyond.name[0] != '\0' || marked(c, BKC_MARK_BEHIND);
		if (*was && !set_mark(c, BKC_MARK_TAKEN, err))
			return false;
	}
	return !is_mine(c) || (!*was && claim_is_behind_us(c)) || bkc_identity_renew(c->me, err);
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

		if (!bkc_mark_read(names[i], &mark))
			continue;
		if (!bkc_mark_is_used(&mark, c->repo->name) &&
			(!bkc_mark_use(names[i], c->repo->name, err) || !bkc_mark_read(names[i], &mark)))
			return false;
		if (all_used(&mark))
			bkc_mark_remove(names[i]);
	}
	return true;
}
