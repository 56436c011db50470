/*
 * ownership.c
 *		See ownership.h.
 *
 * What is remembered of an answer agrees with what the last process that asked has noted in
 * shared memory; when it does not (somebody was refused, or backup_take_over() has
 * changed things), the repository is asked again.  So an answer is old by 30 s at the most, and
 * a change on this server counts at once.
 */
#include "pgcompat.h"

#include <unistd.h>

#include "base/host.h"
#include "base/text.h"
#include "errors.h"
#include "knowncluster.h"
#include "marks.h"
#include "miscadmin.h"
#include "ownership.h"
#include "pipe/owner.h"
#include "postmaster/pgarch.h"
#include "replication/walreceiver.h"
#include "settings.h"
#include "storage/spin.h"
#include "utils/timestamp.h"
#include "walbeyond.h"
#include "walshared.h"

#define ANSWER_MS		30000
#define CLAIM_ATTEMPTS	3
#define MARK_MS			10000
#define CONNECTED_MS	900

/* What this process knows of a repository; parallel to bkc_wal->repos. */
typedef struct Answer
{
	uint64		url_hash;
	TimestampTz asked;			/* 0 = never */
	TimeLineID	timeline;		/* ours then */
	BkcError	refusal;		/* code BKC_OK: may write */
} Answer;

static Answer answers[BKC_MAX_REPOS];

/* One question. */
typedef struct Ask
{
	const BkcRepoDef *repo;
	int			index;			/* in shared memory */
	BkcStore   *store;
	uint64		sysid;
	char		me[BKC_OWNER_ID_MAX];
	TimeLineID	timeline;
	XLogRecPtr	lsn;			/* our write position */
	XLogRecPtr	since;			/* what it was when the repository was first thought of */
	bool		found;			/* somebody has claimed it: */
	BkcOwnerDoc doc;
} Ask;

static bool
ask_begin(Ask *ask, const BkcRepoDef *repo, int index, BkcStore *store, BkcError *err)
{
	memset(ask, 0, sizeof(*ask));
	ask->repo = repo;
	ask->index = index;
	ask->store = store;
	ask->sysid = GetSystemIdentifier();
	ask->lsn = GetFlushRecPtr(&ask->timeline);
	return bkc_identity_get(ask->me, err);
}

static bool
ask_current(Ask *ask, BkcError *err)
{
	return bkc_owner_current(ask->store, ask->sysid, &ask->doc, &ask->found, err);
}

static bool
is_mine(const Ask *ask)
{
	return ask->found && strcmp(ask->doc.owner, ask->me) == 0;
}

/* ---- refusals ---- */

static bool
hint_take_over(const Ask *ask, BkcError *err)
{
	return bkc_error_hint(err, "If this server is the successor, run SELECT backup_take_over('%s').  If it is a copy, set pg_backupctl.enabled to off.",
						  ask->repo->name);
}

static bool
refuse_other(const Ask *ask, BkcError *err)
{
	char		since[40];

	bkc_format_moment(ask->doc.time, false, since, sizeof(since));
	bkc_error_set(err, BKC_ERR_STATE, "repository \"%s\" belongs to another data directory",
				  ask->repo->name);
	bkc_error_detail(err, "Since %s it belongs to \"%s\" on host \"%s\", then on timeline %u.",
					 since, ask->doc.data_directory, ask->doc.host, ask->doc.timeline);
	return hint_take_over(ask, err);
}

/* The owner's identity is ours, but its story is not. */
static bool
refuse_old_copy(const Ask *ask, BkcError *err)
{
	bkc_error_set(err, BKC_ERR_STATE, "this server is an older copy of the one that writes to repository \"%s\"",
				  ask->repo->name);
	return bkc_error_hint(err, "Let it go on from what the repository holds: restore with \"pg_backupctl restore --take-over\".  If what the repository holds beyond this point is to be left behind, run SELECT backup_take_over('%s').",
						  ask->repo->name);
}

static bool
refuse_beyond(const Ask *ask, const BkcBeyond *beyond, TimeLineID timeline, XLogRecPtr here,
			  BkcError *err)
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
on_our_way(const Ask *ask, TimeLineID timeline, XLogRecPtr lsn, XLogRecPtr *left, bool *is,
		   BkcError *err)
{
	BkcHistoryEntry *entries;
	size_t		n;

	*is = timeline == ask->timeline && lsn <= ask->lsn;
	*left = InvalidXLogRecPtr;
	if (timeline >= ask->timeline)
		return true;
	if (!bkc_server_history(ask->timeline, &entries, &n, err))
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
marked(const Ask *ask, const char *name)
{
	BkcMark		mark;

	return bkc_mark_read(name, &mark) && mark.timeline == ask->timeline &&
		bkc_mark_is_used(&mark, ask->repo->name);
}

static bool
set_mark(const Ask *ask, const char *name, BkcError *err)
{
	BkcMark		mark;

	if ((!bkc_mark_read(name, &mark) || mark.timeline != ask->timeline) &&
		!bkc_mark_write(name, ask->timeline, err))
		return false;
	return bkc_mark_use(name, ask->repo->name, err);
}

void
bkc_ownership_seen(int repo)
{
	BkcRepoState *state = &bkc_wal->repos[repo];
	TimeLineID	timeline;
	XLogRecPtr	lsn;

	if (RecoveryInProgress())
		return;
	lsn = GetFlushRecPtr(&timeline);
	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	if (state->since_tli != timeline)
	{
		state->since_tli = timeline;
		state->since_lsn = lsn;
		state->guarded = false;
	}
	LWLockRelease(bkc_wal->lock);
}

/*
 * Foreign WAL beyond the point where we began?  That is asked once.  The position of now
 * would be too late: an older copy that has written on meanwhile would seem to be ahead.
 */
static bool
find_beyond(Ask *ask, BkcBeyond *beyond, BkcError *err)
{
	BkcRepoState *state = &bkc_wal->repos[ask->index];
	bool		guarded;

	beyond->name[0] = '\0';
	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	ask->since = state->since_lsn;
	guarded = state->guarded;
	LWLockRelease(bkc_wal->lock);
	if (guarded)
		return true;
	if (!bkc_beyond_position(ask->store, ask->timeline, ask->since, beyond, err))
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
guard_position(Ask *ask, BkcError *err)
{
	BkcBeyond	beyond;

	if (marked(ask, BKC_MARK_TAKEN))
		return true;
	if (!find_beyond(ask, &beyond, err))
		return false;
	if (beyond.name[0] != '\0')
	{
		/* after the next start it may be ahead of what the repository holds */
		if (!set_mark(ask, BKC_MARK_BEHIND, err))
			return false;
		refuse_old_copy(ask, err);
		return refuse_beyond(ask, &beyond, ask->timeline, ask->since, err);
	}
	if (!marked(ask, BKC_MARK_BEHIND))
		return true;
	refuse_old_copy(ask, err);
	return bkc_error_detail(err, "When it was started it had less of timeline %u than the repository.",
							ask->timeline);
}

/* ---- claims ---- */

static bool
claim(Ask *ask, const char *reason, const char *by, BkcError *err)
{
	BkcOwnerDoc doc = {0};

	doc.number = ask->found ? ask->doc.number + 1 : 1;
	doc.system_identifier = ask->sysid;
	strlcpy(doc.owner, ask->me, sizeof(doc.owner));
	if (gethostname(doc.host, sizeof(doc.host)) < 0)
		strlcpy(doc.host, "unknown", sizeof(doc.host));
	doc.host[sizeof(doc.host) - 1] = '\0';
	strlcpy(doc.data_directory, DataDir, sizeof(doc.data_directory));
	doc.timeline = ask->timeline;
	doc.lsn = ask->lsn;
	doc.time = bkc_host->now();
	strlcpy(doc.reason, reason, sizeof(doc.reason));
	strlcpy(doc.by, by, sizeof(doc.by));
	if (!bkc_owner_claim(ask->store, &doc, err))
		return false;
	ereport(LOG,
			(errmsg("repository \"%s\" belongs to this data directory from now on", ask->repo->name),
			 errdetail("Claim %u (%s), timeline %u.", doc.number, reason, doc.timeline)));
	return true;
}

/*
 * The owner's standby, promoted?  It must have streamed the owner's own timeline: a
 * standby of a clone has followed another one.
 */
static bool
promoted(const Ask *ask, bool *may, BkcError *err)
{
	BkcMark		mark;
	BkcBeyond	beyond;
	XLogRecPtr	fork;

	*may = false;
	if (!bkc_mark_read(BKC_MARK_STANDBY, &mark) ||
		bkc_mark_is_used(&mark, ask->repo->name) ||
		mark.timeline != ask->doc.timeline || mark.timeline >= ask->timeline)
		return true;
	if (!on_our_way(ask, ask->doc.timeline, ask->doc.lsn, &fork, may, err))
		return false;
	if (!*may)
		return true;
	if (!bkc_beyond_fork(ask->store, ask->doc.timeline, fork, &beyond, err))
		return false;
	if (beyond.name[0] == '\0')
		return true;
	bkc_error_set(err, BKC_ERR_STATE, "repository \"%s\" holds WAL that this promoted server does not have",
				  ask->repo->name);
	refuse_beyond(ask, &beyond, ask->doc.timeline, fork, err);
	return bkc_error_hint(err, "What was committed in it is lost on this server.  To go on without it, run SELECT backup_take_over('%s'); otherwise restore from the repository.",
						  ask->repo->name);
}

static bool
may_claim(const Ask *ask, const char **reason, BkcError *err)
{
	BkcMark		mark;
	bool		may;

	*reason = "first";
	if (!ask->found)
		return true;
	*reason = "takeover";
	if (bkc_mark_read(BKC_MARK_TAKEOVER, &mark) && !bkc_mark_is_used(&mark, ask->repo->name))
		return true;
	*reason = "promoted";
	return promoted(ask, &may, err) && (may || refuse_other(ask, err));
}

/*
 * The owner is this data directory.  When the claim lies on another way than
 * ours, an older state of the directory has come back (a snapshot) after that; when we have
 * come to another timeline since, the repository is told, so that our own standbys know.
 */
static bool
still_mine(Ask *ask, BkcError *err)
{
	XLogRecPtr	left;
	bool		is;
	char		at[32];

	if (!on_our_way(ask, ask->doc.timeline, ask->doc.lsn, &left, &is, err))
		return false;
	if (is)
		return ask->doc.timeline == ask->timeline || claim(ask, "promoted", "", err);
	bkc_format_lsn(ask->doc.lsn, at, sizeof(at));
	refuse_old_copy(ask, err);
	return bkc_error_detail(err, "It was claimed on timeline %u at %s, where this server has never been.",
							ask->doc.timeline, at);
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

/*
 * The repository is ours: what could make it ours without anybody's word must
 * not do so again after somebody else has taken it over.
 */
static bool
use_marks_up(const Ask *ask, BkcError *err)
{
	static const char *const names[] = {BKC_MARK_TAKEOVER, BKC_MARK_STANDBY};

	for (int i = 0; i < lengthof(names); i++)
	{
		BkcMark		mark;

		if (!bkc_mark_read(names[i], &mark))
			continue;
		if (!bkc_mark_is_used(&mark, ask->repo->name) &&
			(!bkc_mark_use(names[i], ask->repo->name, err) || !bkc_mark_read(names[i], &mark)))
			return false;
		if (all_used(&mark))
			bkc_mark_remove(names[i]);
	}
	return true;
}

/* ---- asking ---- */

static bool
ask_repository(const BkcRepoDef *repo, int index, BkcStore *store, BkcError *err)
{
	Ask			ask;

	if (!ask_begin(&ask, repo, index, store, err))
		return false;
	for (int i = 0; i < CLAIM_ATTEMPTS; i++)
	{
		const char *reason;
		bool		ok;

		if (!ask_current(&ask, err))
			return false;
		if (is_mine(&ask))
			ok = guard_position(&ask, err) && still_mine(&ask, err);
		else
			ok = may_claim(&ask, &reason, err) && guard_position(&ask, err) &&
				claim(&ask, reason, "", err);
		if (ok)
			return use_marks_up(&ask, err);
		if (err->code != BKC_ERR_EXISTS)
			return false;
	}
	return bkc_error_set(err, BKC_ERR_UNAVAILABLE, "repository \"%s\" is being claimed by others just now",
						 repo->name);
}

static void
note_refusal(int i, const BkcError *refusal)
{
	BkcReport	report = {0};

	if (refusal->code != BKC_OK)
		bkc_report_from_error(&report, refusal);
	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	bkc_wal->repos[i].refusal = report;
	LWLockRelease(bkc_wal->lock);
}

/* The answer of this process for a repository, emptied when it was about another one. */
static Answer *
answer_of(int i, bool *refused)
{
	uint64		hash;

	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	hash = bkc_wal->repos[i].url_hash;
	*refused = bkc_wal->repos[i].refusal.sqlstate != 0;
	LWLockRelease(bkc_wal->lock);
	if (answers[i].url_hash != hash)
	{
		memset(&answers[i], 0, sizeof(Answer));
		answers[i].url_hash = hash;
	}
	return &answers[i];
}

bool
bkc_ownership_check(const BkcRepoDef *repo, BkcStore *store, BkcError *err)
{
	TimestampTz now = GetCurrentTimestamp();
	int			i = bkc_wal_repo(repo);
	TimeLineID	timeline;
	Answer	   *answer;
	bool		refused;

	if (RecoveryInProgress())
		return true;
	if (i < 0)
		return bkc_error_set(err, BKC_ERR_STATE, "more than %d repositories are defined",
							 BKC_MAX_REPOS);
	bkc_ownership_seen(i);
	(void) GetFlushRecPtr(&timeline);
	answer = answer_of(i, &refused);
	if (answer->timeline != timeline || (answer->asked != 0 &&
										 refused != (answer->refusal.code != BKC_OK)))
		answer->asked = 0;
	if (answer->asked == 0 || TimestampDifferenceExceeds(answer->asked, now, ANSWER_MS))
	{
		BkcError	refusal;

		bkc_error_clear(&refusal);
		if (!ask_repository(repo, i, store, &refusal) &&
			refusal.code != BKC_ERR_STATE)
		{
			*err = refusal;
			return false;
		}
		answer->asked = now;
		answer->timeline = timeline;
		answer->refusal = refusal;
		note_refusal(i, &refusal);
	}
	if (answer->refusal.code == BKC_OK)
		return true;
	*err = answer->refusal;
	return false;
}

void
bkc_ownership_forget(void)
{
	memset(answers, 0, sizeof(answers));
}

/* ---- backup_take_over() ---- */

static void
check(bool ok, const BkcError *err)
{
	if (!ok)
		bkc_ereport(ERROR, err);
}

/*
 * WAL beyond our position is somebody else's story under the names that ours will have.
 * Who has our identity as well must lose it.
 */
static void
accept_beyond(Ask *ask)
{
	BkcBeyond	beyond;
	BkcError	err;

	if (marked(ask, BKC_MARK_TAKEN))
		return;
	check(find_beyond(ask, &beyond, &err), &err);
	if (beyond.name[0] == '\0' && !marked(ask, BKC_MARK_BEHIND))
		return;
	ereport(WARNING,
			(errmsg("repository \"%s\" holds WAL of timeline %u that this server does not have",
					ask->repo->name, ask->timeline),
			 errhint("WAL files of the same name will be refused until backup_wal_conflict_resolve() has been called for each.  A server that goes through recovery begins a new timeline and has no such conflict.")));
	check(set_mark(ask, BKC_MARK_TAKEN, &err), &err);
	if (is_mine(ask))
		check(bkc_identity_renew(ask->me, &err), &err);
}

/* Everybody who waits because of the refusal may go on at once. */
static void
wake_senders(int i)
{
	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	memset(&bkc_wal->repos[i].refusal, 0, sizeof(BkcReport));
	bkc_wal->repos[i].failures_in_row = 0;
	bkc_wal->repos[i].retry_at = 0;
	if (bkc_wal->streamer != NULL)
		SetLatch(bkc_wal->streamer);
	LWLockRelease(bkc_wal->lock);
	PgArchWakeup();
}

void
bkc_ownership_take(const BkcRepoDef *repo, BkcStore *store, const char *by)
{
	int			i = bkc_wal_repo(repo);
	XLogRecPtr	left;
	BkcError	err;
	bool		ok;
	bool		is = true;
	Ask			ask;

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a server in recovery cannot take over a repository"),
				 errhint("Promote it first.")));
	if (i < 0)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("more than %d repositories are defined", BKC_MAX_REPOS)));

	/* an empty repository may be begun anew */
	bkc_known_forget(repo);
	check(bkc_known_cluster(repo, store, &err), &err);
	bkc_ownership_seen(i);
	check(ask_begin(&ask, repo, i, store, &err), &err);
	for (int attempt = 0;; attempt++)
	{
		check(ask_current(&ask, &err), &err);
		if (ask.found)
			check(on_our_way(&ask, ask.doc.timeline, ask.doc.lsn, &left, &is, &err), &err);
		accept_beyond(&ask);
		if (is && is_mine(&ask) && ask.doc.timeline == ask.timeline)
		{
			ereport(NOTICE,
					(errmsg("repository \"%s\" belongs to this data directory already", repo->name)));
			break;
		}
		if (!is && is_mine(&ask))
			check(bkc_identity_renew(ask.me, &err), &err);
		ok = claim(&ask, "takeover", by, &err);
		if (ok)
			break;
		if (err.code != BKC_ERR_EXISTS || attempt >= CLAIM_ATTEMPTS)
			bkc_ereport(ERROR, &err);
	}
	check(use_marks_up(&ask, &err), &err);
	bkc_ownership_forget();
	wake_senders(i);
}

/* ---- standbys ---- */

/*
 * Connected and receiving?  The state alone says so before the connection is
 * made.  The times differ once a message has come; an idle primary sends none for long, but
 * a walreceiver that was connected CONNECTED_MS ago has not been turned away.
 */
static bool
is_streaming(TimeLineID *timeline)
{
	static TimestampTz since = 0;
	static pid_t last_pid = 0;
	TimestampTz now = GetCurrentTimestamp();
	bool		connected;
	bool		message;
	pid_t		pid;

	SpinLockAcquire(&WalRcv->mutex);
	pid = WalRcv->pid;
	connected = pid != 0 && WalRcv->walRcvState == WALRCV_STREAMING && WalRcv->ready_to_display;
	message = WalRcv->lastMsgSendTime != WalRcv->lastMsgReceiptTime;
	*timeline = WalRcv->receivedTLI;
	SpinLockRelease(&WalRcv->mutex);
	if (!connected)
		pid = 0;
	if (pid != last_pid)
		since = now;
	last_pid = pid;
	return connected && *timeline != 0 &&
		(message || TimestampDifferenceExceeds(since, now, CONNECTED_MS));
}

void
bkc_ownership_mark_standby(void)
{
	static TimestampTz looked = 0;
	static TimeLineID looked_timeline = 0;
	TimestampTz now = GetCurrentTimestamp();
	TimeLineID	timeline;
	BkcMark		mark;
	BkcError	err;

	if (!RecoveryInProgress() || !is_streaming(&timeline))
		return;
	if (timeline == looked_timeline && !TimestampDifferenceExceeds(looked, now, MARK_MS))
		return;
	if (!bkc_mark_read(BKC_MARK_STANDBY, &mark) || mark.timeline != timeline ||
		mark.used[0] != '\0')
		check(bkc_mark_write(BKC_MARK_STANDBY, timeline, &err), &err);
	looked = now;
	looked_timeline = timeline;
}
