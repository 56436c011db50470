/*
 * walstatus.c
 *		See walstatus.h.
 */
#include "pgcompat.h"

#include "access/xlogrecovery.h"
#include "chunktidy.h"
#include "pgstat.h"
#include "postmaster/pgarch.h"
#include "replication/walreceiver.h"
#include "settings.h"
#include "storage/latch.h"
#include "utils/timestamp.h"
#include "walhole.h"
#include "walstatus.h"

/* further away than this is "never" */
#define FULL_MAX_SECONDS	(10 * 365 * 86400.0)

/*
 * A repository that failed keeps the archiver from succeeding for so long: its back-off, and
 * PostgreSQL's own pause of a minute.
 */
#define EXPLAINS_MS			150000

const char *
bkc_walstatus_unable(void)
{
	if (!XLogArchivingActive() || XLogArchiveLibrary == NULL ||
		!bkc_wal_is_our_library(XLogArchiveLibrary))
		return "not configured";
	if (RecoveryInProgress() && !XLogArchivingAlways())
		return "standby";
	if (!bkc_set_enabled)
		return "off";
	return NULL;
}

XLogRecPtr
bkc_walstatus_position(TimeLineID *timeline)
{
	XLogRecPtr	received;
	XLogRecPtr	replayed;
	TimeLineID	replayed_tli;

	if (!RecoveryInProgress())
		return GetFlushRecPtr(timeline);
	received = GetWalRcvFlushRecPtr(NULL, timeline);
	replayed = GetXLogReplayRecPtr(&replayed_tli);
	if (received >= replayed)
		return received;

	/* it has gone on with what its restore_command gave */
	*timeline = replayed_tli;
	return replayed;
}

/* Has it failed in that time before the archiver did, or is it refused? */
static bool
repository_explains(const BkcRepoDef *repo, TimestampTz archiver_failed)
{
	int			index = bkc_wal_repo(repo);
	const BkcRepoState *state = &bkc_wal->repos[index];
	bool		explains;

	if (index < 0)
		return true;
	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	explains = state->refusal.sqlstate != 0 || state->failures_in_row > 0 ||
		(state->failed_at != 0 &&
		 !TimestampDifferenceExceeds(state->failed_at, archiver_failed, EXPLAINS_MS));
	LWLockRelease(bkc_wal->lock);
	return explains;
}

/* The archiver's failures that are not noted with a repository, as PostgreSQL has counted them. */
static void
find_trouble(BkcWalServer *server)
{
	const PgStat_ArchiverStats *stats = pgstat_fetch_stat_archiver();
	TimestampTz failed = stats->last_failed_timestamp;
	const BkcRepoList *list = bkc_settings_repositories();

	if (failed <= stats->last_archived_timestamp || failed < PgStartTime ||
		!bkc_tidy_is_ready(stats->last_failed_wal))
		return;
	for (size_t i = 0; i < list->count; i++)
		if (repository_explains(&list->items[i], failed))
			return;
	server->trouble.sqlstate = ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
	snprintf(server->trouble.message, sizeof(server->trouble.message),
			 "PostgreSQL's archiver could not archive \"%s\"; the server log says why",
			 stats->last_failed_wal);
	strlcpy(server->trouble.hint, "See the server log.", sizeof(server->trouble.hint));
	strlcpy(server->trouble_file, stats->last_failed_wal, sizeof(server->trouble_file));
	server->trouble_at = failed;
}

void
bkc_walstatus_server(BkcWalServer *server)
{
	BkcError	err;

	memset(server, 0, sizeof(*server));
	server->unable = bkc_walstatus_unable();
	if (!bkc_waldisk_waiting(&server->waiting, &err) || !bkc_waldisk_free(&server->free, &err))
		bkc_ereport(ERROR, &err);
	server->position = bkc_walstatus_position(&server->timeline);
	server->now = GetCurrentTimestamp();
	if (server->unable == NULL)
		find_trouble(server);
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
	else if (s->state.failures_in_row > 0 || server->trouble.sqlstate != 0)
		s->status = "failing";
	else if (s->state.hole_first[0] != '\0')
		s->status = "hole";
	else if (s->backlog_segments > 1)
		s->status = "behind";
	else
		s->status = "archiving";
}

/* What is wrong beside what was noted with the repository. */
static void
find_error(const BkcWalServer *server, BkcWalStatus *s)
{
	BkcRepoState *state = &s->state;

	if (server->trouble.sqlstate != 0)
	{
		state->error = server->trouble;
		strlcpy(state->failed_file, server->trouble_file, sizeof(state->failed_file));
		state->failed_at = server->trouble_at;
		state->retry_at = 0;
	}
	else if (strcmp(s->status, "hole") == 0)
	{
		memset(&state->error, 0, sizeof(state->error));
		state->error.sqlstate = ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
		snprintf(state->error.message, sizeof(state->error.message),
				 "WAL from before the promotion is lost, segments \"%s\" to \"%s\": "
				 "nothing later can be restored until a backup has been taken",
				 state->hole_first, state->hole_last);
		strlcpy(state->error.hint, "Take a backup now: SELECT backup_now('full').",
				sizeof(state->error.hint));
		state->failed_file[0] = '\0';
		state->failed_at = 0;
	}
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
	if (!stuck && s->backlog_segments <= 1)
		return;
	if (!stuck)
		rate -= s->state.rate;
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
	if (state->hole_first[0] != '\0' || state->hole_due != 0)
		return;					/* everything since, until the next backup */
	if (state->shipped_tli == server->timeline)
	{
		safe = state->shipped_lsn;
		s->loss_since = state->shipped_time;
	}
	if (state->prefix_tli == server->timeline && state->prefix_lsn > safe)
	{
		/*
		 * When its end was written nobody here knows; the streamer will, within a second.  What
		 * was safe before is so still.
		 */
		safe = state->prefix_lsn;
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
	bkc_hole_recall(repo, index);
	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	status->state = bkc_wal->repos[index];
	ahead = durable_ahead(index);
	LWLockRelease(bkc_wal->lock);

	/* the folder was read a moment before */
	status->backlog_segments = server->waiting.segments > ahead ?
		server->waiting.segments - ahead : 0;
	status->backlog = status->backlog_segments * (uint64) wal_segment_size;
	find_status(server, status);
	find_error(server, status);
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
