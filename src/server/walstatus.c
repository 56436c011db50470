/*
 * walstatus.c
 *		See walstatus.h.
 */
#include "pgcompat.h"

#include "access/xlogrecovery.h"
#include "postmaster/pgarch.h"
#include "replication/walreceiver.h"
#include "storage/latch.h"
#include "utils/timestamp.h"
#include "walstatus.h"

/* further away than this is "never" */
#define FULL_MAX_SECONDS	(10 * 365 * 86400.0)

const char *
bkc_walstatus_unable(void)
{
	if (!XLogArchivingActive() || XLogArchiveLibrary == NULL ||
		strcmp(XLogArchiveLibrary, "pg_backupctl") != 0)
		return "not configured";
	if (RecoveryInProgress() && !XLogArchivingAlways())
		return "standby";
	if (!bkc_set_enabled)
		return "off";
	return NULL;
}

static void
find_position(BkcWalServer *server)
{
	if (!RecoveryInProgress())
	{
		server->position = GetFlushRecPtr(&server->timeline);
		return;
	}
	server->position = GetWalRcvFlushRecPtr(NULL, &server->timeline);
	if (XLogRecPtrIsInvalid(server->position))
		server->position = GetXLogReplayRecPtr(&server->timeline);
}

void
bkc_walstatus_server(BkcWalServer *server)
{
	BkcError	err;

	memset(server, 0, sizeof(*server));
	server->unable = bkc_walstatus_unable();
	if (!bkc_waldisk_waiting(&server->waiting, &err) || !bkc_waldisk_free(&server->free, &err))
		bkc_ereport(ERROR, &err);
	find_position(server);
	server->now = GetCurrentTimestamp();
	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	server->wal_rate = bkc_wal->wal_rate;
	LWLockRelease(bkc_wal->lock);
}

/* Segments that wait for other repositories only; under the lock. */
static uint64
durable_ahead(int repo)
{
	return bkc_window_ahead(&bkc_wal->repos[repo].window);
}

static void
find_status(const BkcWalServer *server, BkcWalStatus *s)
{
	if (server->unable != NULL)
		s->status = server->unable;
	else if (s->state.refusal.sqlstate != 0)
		s->status = "refused";
	else if (s->state.failures_in_row > 0)
		s->status = "failing";
	else if (s->backlog_segments > 1)
		s->status = "behind";
	else
		s->status = "archiving";
}

/*
 * WAL that cannot go away fills the disk at the rate at which it is made; a
 * backlog that is being sent only when it grows.
 */
static void
find_full(const BkcWalServer *server, BkcWalStatus *s)
{
	double		rate = server->wal_rate;
	bool		stuck = strcmp(s->status, "failing") == 0 || strcmp(s->status, "refused") == 0 ||
		strcmp(s->status, "off") == 0;

	s->full_seconds = -1;
	if (strcmp(s->status, "behind") == 0)
		rate -= s->state.rate;
	else if (!stuck)
		return;
	if (rate >= 1 && server->free / rate < FULL_MAX_SECONDS)
		s->full_seconds = server->free / rate;
}

static void
find_loss(const BkcWalServer *server, BkcWalStatus *s)
{
	const BkcRepoState *state = &s->state;
	XLogRecPtr	safe = InvalidXLogRecPtr;

	if (server->unable != NULL && strcmp(server->unable, "standby") == 0)
		return;					/* the primary's business */
	if (state->shipped_tli == server->timeline)
	{
		safe = state->shipped_lsn;
		s->loss_since = state->shipped_time;
	}
	if (state->prefix_tli == server->timeline && state->prefix_lsn > safe)
	{
		safe = state->prefix_lsn;
		s->loss_since = 0;		/* the streamer will know it in a second */
	}
	if (XLogRecPtrIsInvalid(safe))
		return;
	s->loss_known = true;
	s->loss = server->position > safe ? server->position - safe : 0;
}

bool
bkc_walstatus_repo(const BkcWalServer *server, const BkcRepoDef *repo, BkcWalStatus *status)
{
	int			index = bkc_wal_repo(repo);
	uint64		ahead;

	memset(status, 0, sizeof(*status));
	if (index < 0)
		return false;
	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	status->state = bkc_wal->repos[index];
	ahead = durable_ahead(index);
	LWLockRelease(bkc_wal->lock);

	/* the folder was read a moment before */
	status->backlog_segments = server->waiting.segments > ahead ?
		server->waiting.segments - ahead : 0;
	status->backlog = status->backlog_segments * (uint64) wal_segment_size;
	find_status(server, status);
	find_full(server, status);
	find_loss(server, status);
	return true;
}

void
bkc_walstatus_retry(const BkcRepoDef *repo)
{
	int			index = bkc_wal_repo(repo);

	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	if (index >= 0)
	{
		bkc_wal->repos[index].retry_at = 0;
		memset(&bkc_wal->repos[index].refusal, 0, sizeof(BkcReport));
	}
	if (bkc_wal->streamer != NULL)
		SetLatch(bkc_wal->streamer);
	LWLockRelease(bkc_wal->lock);
	ConditionVariableBroadcast(&bkc_wal->cv);
	PgArchWakeup();
}
