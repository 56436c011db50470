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

#include "access/xlogrecovery.h"
#include "claim.h"
#include "errors.h"
#include "knowncluster.h"
#include "marks.h"
#include "ownership.h"
#include "pipe/lineage.h"
#include "postmaster/pgarch.h"
#include "replication/walreceiver.h"
#include "storage/spin.h"
#include "utils/timestamp.h"
#include "walbeyond.h"
#include "walhole.h"
#include "walshared.h"

#define ANSWER_MS		30000
#define WAIT_MS			5000	/* for a standby that waits */
#define CLAIM_ATTEMPTS	3
#define MARK_MS			10000
#define CONNECTED_MS	900

/* What this process knows of a repository; parallel to bkc_wal->repos. */
typedef struct Answer
{
	uint64		url_hash;
	TimestampTz asked;			/* 0 = never */
	TimeLineID	timeline;		/* ours then; in recovery, that of what came */
	BkcError	refusal;		/* code BKC_OK: may write */

	/* a standby's proof: under that claim and from that walreceiver */
	uint32		claim;			/* 0 = none */
	pid_t		receiver;
} Answer;

static Answer answers[BKC_MAX_REPOS];

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

/* ---- asking ---- */

static bool
ask_repository(const BkcRepoDef *repo, int index, BkcStore *store, BkcError *err)
{
	BkcClaim	claim;

	if (!bkc_claim_begin(&claim, repo, index, store, err))
		return false;
	for (int i = 0; i < CLAIM_ATTEMPTS; i++)
	{
		if (!bkc_claim_ask(&claim, err))
			return false;
		if (bkc_claim_try(&claim, err))
			return bkc_claim_use_marks(&claim, err);
		if (err->code != BKC_ERR_EXISTS)
			return false;
	}
	return bkc_error_set(err, BKC_ERR_UNAVAILABLE, "repository \"%s\" is being claimed by others just now",
						 repo->name);
}

/* ---- a standby ---- */

static pid_t
receiver_pid(void)
{
	pid_t		pid;

	SpinLockAcquire(&WalRcv->mutex);
	pid = WalRcv->pid;
	SpinLockRelease(&WalRcv->mutex);
	return pid;
}

/* What has come from the primary, and on which timeline. */
static XLogRecPtr
received_to(TimeLineID *timeline)
{
	XLogRecPtr	replayed;
	XLogRecPtr	lsn;
	TimeLineID	replay_timeline;

	lsn = GetWalRcvFlushRecPtr(NULL, timeline);
	replayed = GetXLogReplayRecPtr(&replay_timeline);
	if (lsn != InvalidXLogRecPtr && *timeline >= replay_timeline)
		return lsn;
	*timeline = replay_timeline;
	return replayed;
}

/* Does the repository hold the WAL that we get? */
static bool
prove_content(const BkcClaim *c, TimeLineID timeline, XLogRecPtr flush, XLogRecPtr after,
			  BkcError *err)
{
	char		name[BKC_NAME_MAX];
	BkcHeld		held;

	if (!bkc_wal_common(c->store, timeline, after, flush, &held, name, err))
		return false;
	if (held == BKC_HELD_SAME)
		return true;
	if (held == BKC_HELD_OTHER)
	{
		bkc_error_set(err, BKC_ERR_STATE, "this standby does not follow the owner of repository \"%s\"",
					  c->repo->name);
		bkc_error_detail(err, "Object \"%s\" has other content than the WAL that was received.", name);
		return bkc_error_hint(err, "If its primary is a copy, set pg_backupctl.enabled to off on both.");
	}
	bkc_error_set(err, BKC_ERR_STATE, "it is not known yet whether this standby follows the owner of repository \"%s\"",
				  c->repo->name);
	return bkc_error_detail(err, "The repository holds no WAL of timeline %u that was written after the owner's last claim and is on this standby, too.  It waits.",
							timeline);
}

/*
 * The proof is taken anew with each claim and each walreceiver, which may come from another
 * primary.
 */
static bool
ask_as_standby(const BkcRepoDef *repo, int index, BkcStore *store, Answer *answer, BkcError *err)
{
	pid_t		receiver = receiver_pid();
	TimeLineID	timeline;
	XLogRecPtr	flush = received_to(&timeline);
	XLogRecPtr	after;
	BkcClaim	claim;

	if (!bkc_claim_begin(&claim, repo, index, store, err) ||
		!bkc_claim_ask(&claim, err) ||
		!bkc_claim_standby(&claim, timeline, &after, err))
		return false;
	if (answer->claim == claim.doc.number && answer->receiver == receiver &&
		answer->timeline == timeline)
		return true;
	answer->claim = 0;
	if (!prove_content(&claim, timeline, flush, after, err))
		return false;
	answer->claim = claim.doc.number;
	answer->receiver = receiver;
	return true;
}

/* ---- the answer ---- */

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

/* Is it still good? */
static bool
is_fresh(const Answer *answer, TimeLineID timeline, bool refused, bool standby)
{
	bool		refusal = answer->refusal.code != BKC_OK;

	if (answer->asked == 0 || answer->timeline != timeline || refused != refusal)
		return false;
	if (standby && !refusal && answer->receiver != receiver_pid())
		return false;
	return !TimestampDifferenceExceeds(answer->asked, GetCurrentTimestamp(),
									   standby && refusal ? WAIT_MS : ANSWER_MS);
}

static bool
ask(const BkcRepoDef *repo, int i, BkcStore *store, TimeLineID timeline, bool standby,
	Answer *answer, BkcError *err)
{
	BkcError	refusal;
	bool		ok;

	bkc_error_clear(&refusal);
	ok = standby ? ask_as_standby(repo, i, store, answer, &refusal) :
		ask_repository(repo, i, store, &refusal);
	if (ok)
		bkc_error_clear(&refusal);
	else if (refusal.code != BKC_ERR_STATE)
	{
		*err = refusal;
		return false;
	}
	answer->asked = GetCurrentTimestamp();
	answer->timeline = timeline;
	answer->refusal = refusal;
	note_refusal(i, &refusal);
	return true;
}

bool
bkc_ownership_check(const BkcRepoDef *repo, BkcStore *store, BkcError *err)
{
	int			i = bkc_wal_repo(repo);
	bool		standby = RecoveryInProgress();
	TimeLineID	timeline;
	Answer	   *answer;
	bool		refused;

	if (i < 0)
		return bkc_error_set(err, BKC_ERR_STATE, "more than %d repositories were defined since the server's start",
							 BKC_MAX_REPOS);
	bkc_ownership_seen(i);
	if (standby)
		(void) received_to(&timeline);
	else
		(void) GetFlushRecPtr(&timeline);
	answer = answer_of(i, &refused);
	if (!is_fresh(answer, timeline, refused, standby) &&
		!ask(repo, i, store, timeline, standby, answer, err))
		return false;
	if (answer->refusal.code == BKC_OK)
		return standby || bkc_hole_fill(repo, i, store, err);
	*err = answer->refusal;
	return false;
}

bool
bkc_ownership_check_of(const BkcRepoDef *repo, BkcStore *store, uint64 sysid, BkcError *err)
{
	uint64_t	successor;
	bool		leads;

	if (!bkc_ownership_check(repo, store, err))
		return false;
	if (sysid == GetSystemIdentifier())
		return true;
	if (!bkc_lineage_leads(store, sysid, GetSystemIdentifier(), &leads, &successor, err))
		return false;
	if (leads)
		return true;
	bkc_error_set(err, BKC_ERR_STATE, "cluster %llu in repository \"%s\" is not a predecessor of this one",
				  (unsigned long long) sysid, repo->name);
	return bkc_error_hint(err, "If it is, run SELECT backup_adopt(%lld).", (long long) sysid);
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

/* What was known of the one that is gone does not hold for the new one. */
static void
begun_anew(const BkcRepoDef *repo, int i)
{
	bkc_wal_forget_archived(i);
	ereport(WARNING,
			(errmsg("repository \"%s\" did not hold this cluster any more and is begun anew",
					repo->name),
			 errdetail("Its URL is \"%s\".", repo->url.text),
			 errhint("Take a backup.")));
}

static void
warn_beyond(const BkcClaim *claim)
{
	ereport(WARNING,
			(errmsg("repository \"%s\" holds WAL of timeline %u that this server does not have",
					claim->repo->name, claim->timeline),
			 errhint("WAL files of the same name will be refused until backup_wal_conflict_resolve() has been called for each.  A server that goes through recovery begins a new timeline and has no such conflict.")));
}

/* *claimed = false: it was ours already. */
static bool
take(BkcClaim *claim, const char *by, bool *claimed, BkcError *err)
{
	for (int i = 0; i < CLAIM_ATTEMPTS; i++)
	{
		bool		beyond;

		if (!bkc_claim_ask(claim, err) || !bkc_claim_accept(claim, &beyond, err))
			return false;
		if (beyond)
			warn_beyond(claim);
		*claimed = !bkc_claim_is_settled(claim);
		if (!*claimed || bkc_claim_put(claim, "takeover", by, err))
			return true;
		if (err->code != BKC_ERR_EXISTS)
			return false;
	}
	return false;
}

void
bkc_ownership_take(const BkcRepoDef *repo, BkcStore *store, const char *by, bool named)
{
	int			i = bkc_wal_repo(repo);
	BkcClaim	claim;
	BkcError	err;
	bool		claimed = true;
	bool		begun = false;

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a server in recovery cannot take over a repository"),
				 errhint("Promote it first.")));
	if (i < 0)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("more than %d repositories are defined", BKC_MAX_REPOS)));

	/* who did not name it may not know that nothing is mounted there */
	check(named ? bkc_known_begin_anew(repo, store, &begun, &err) :
		  bkc_known_cluster(repo, store, &err), &err);
	if (begun)
		begun_anew(repo, i);
	bkc_ownership_seen(i);
	check(bkc_claim_begin(&claim, repo, i, store, &err) &&
		  take(&claim, by, &claimed, &err) &&
		  bkc_claim_use_marks(&claim, &err), &err);
	if (!claimed)
		ereport(NOTICE,
				(errmsg("repository \"%s\" belongs to this data directory already", repo->name)));
	bkc_ownership_forget();
	wake_senders(i);
	if (!bkc_hole_fill(repo, i, store, &err))
		bkc_ereport(WARNING, &err);
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
	check(bkc_mark_read(BKC_MARK_STANDBY, &mark, &err), &err);
	if (mark.timeline != timeline || mark.used[0] != '\0')
		check(bkc_mark_write(BKC_MARK_STANDBY, timeline, "", &err), &err);
	looked = now;
	looked_timeline = timeline;
}
