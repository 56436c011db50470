/*
 * walshared.c
 *		See walshared.h.
 */
#include "pgcompat.h"

#include "base/host.h"
#include "common/hashfn.h"
#include "format/pgfiles.h"
#include "postmaster/pgarch.h"
#include "settings.h"
#include "walshared.h"

#define RETRY_FIRST_MS	1000
#define RETRY_DOUBLINGS 6		/* about a minute at the most */
#define RATE_WEIGHT		0.2		/* of the newest file in the moving average */

BkcWalShared *bkc_wal = NULL;

void
bkc_wal_shmem_init(BkcWalShared *wal, LWLock *lock)
{
	memset(wal, 0, sizeof(*wal));
	wal->lock = lock;
	wal->generation = (uint64) bkc_host->now();
	ConditionVariableInit(&wal->cv);
}

/* ---- repositories ---- */

static uint64
url_hash(const BkcRepoDef *def)
{
	const char *text = def->url.text;

	return DatumGetUInt64(hash_any_extended((const unsigned char *) text, (int) strlen(text), 0));
}

/* Is it still in the setting as this process knows it? */
static bool
still_defined(const BkcRepoState *state)
{
	BkcRepoList list = {0};
	const BkcRepoDef *def = NULL;
	BkcError	err;
	bool		found;

	if (bkc_repolist_parse(bkc_set_repositories ? bkc_set_repositories : "", &list, &err))
		def = bkc_repolist_find(&list, state->name);
	found = def != NULL && url_hash(def) == state->url_hash;
	bkc_repolist_free(&list);
	return found;
}

static int
find_state(const char *name, uint64 hash)
{
	for (int i = 0; i < BKC_MAX_REPOS; i++)
		if (bkc_wal->repos[i].used && bkc_wal->repos[i].url_hash == hash &&
			strcmp(bkc_wal->repos[i].name, name) == 0)
			return i;
	return -1;
}

/* One that nobody has, or whose repository is no longer defined. */
static int
free_state(void)
{
	for (int i = 0; i < BKC_MAX_REPOS; i++)
		if (!bkc_wal->repos[i].used)
			return i;
	for (int i = 0; i < BKC_MAX_REPOS; i++)
		if (!still_defined(&bkc_wal->repos[i]))
			return i;
	return -1;
}

int
bkc_wal_repo(const BkcRepoDef *def)
{
	uint64		hash = url_hash(def);
	int			i;

	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	i = find_state(def->name, hash);
	LWLockRelease(bkc_wal->lock);
	if (i >= 0)
		return i;

	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	i = find_state(def->name, hash);
	if (i < 0 && (i = free_state()) >= 0)
	{
		BkcRepoState *state = &bkc_wal->repos[i];

		memset(state, 0, sizeof(*state));
		state->used = true;
		state->url_hash = hash;
		strlcpy(state->name, def->name, sizeof(state->name));
		bkc_queue_reset_repo(i);
	}
	LWLockRelease(bkc_wal->lock);
	return i;
}

/* ---- notes ---- */

/* A file that ends a stretch of WAL: where and on which timeline. */
static bool
segment_end(const char *file, TimeLineID *timeline, XLogRecPtr *end)
{
	uint64_t	segno;

	if (!bkc_wal_segment_parse(file, wal_segment_size, timeline, &segno))
		return false;
	XLogSegNoOffsetToRecPtr(segno + 1, 0, wal_segment_size, *end);
	return true;
}

void
bkc_wal_note_sent(int repo, const char *file, uint64 plain, uint64 stored, double seconds)
{
	BkcRepoState *state = &bkc_wal->repos[repo];
	double		rate = plain / Max(seconds, 0.0001);
	bool		back;

	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	back = state->failures_in_row > 0;
	strlcpy(state->last_file, file, sizeof(state->last_file));
	state->last_time = GetCurrentTimestamp();
	state->files++;
	state->bytes_plain += plain;
	state->bytes_stored += stored;
	if (stored > 0)
		state->rate = state->rate == 0 ? rate :
			state->rate * (1 - RATE_WEIGHT) + rate * RATE_WEIGHT;
	state->failures_in_row = 0;
	state->retry_at = 0;
	LWLockRelease(bkc_wal->lock);

	/* after failures PostgreSQL's archiver sleeps, while a helper finds that it works again */
	if (back)
		PgArchWakeup();
}

void
bkc_wal_note_failure(int repo, const char *file, const BkcError *err)
{
	BkcRepoState *state = &bkc_wal->repos[repo];
	int			wait;

	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	wait = RETRY_FIRST_MS << Min(state->failures_in_row, RETRY_DOUBLINGS);
	state->failures++;
	state->failures_in_row++;
	state->failed_at = GetCurrentTimestamp();
	state->retry_at = TimestampTzPlusMilliseconds(state->failed_at, wait);
	strlcpy(state->failed_file, file, sizeof(state->failed_file));
	bkc_report_from_error(&state->error, err);
	LWLockRelease(bkc_wal->lock);
}

void
bkc_wal_note_reported(const char *file)
{
	TimeLineID	timeline;
	XLogRecPtr	end;

	if (!segment_end(file, &timeline, &end))
		return;
	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	for (int i = 0; i < BKC_MAX_REPOS; i++)
	{
		BkcRepoState *state = &bkc_wal->repos[i];

		if (!state->used)
			continue;
		strlcpy(state->prefix_file, file, sizeof(state->prefix_file));
		state->prefix_lsn = end;
		state->prefix_tli = timeline;
	}
	if (bkc_wal->streamer != NULL)
		SetLatch(bkc_wal->streamer);
	LWLockRelease(bkc_wal->lock);
}

/* Also with a folder or with its ending. */
static bool
is_our_library(const char *library)
{
	const char *slash = strrchr(library, '/');
	const char *base = slash ? slash + 1 : library;

	return strcmp(base, "pg_backupctl") == 0 || strcmp(base, "pg_backupctl.so") == 0;
}

bool
bkc_wal_archiving(void)
{
	if (!bkc_set_enabled || XLogArchiveLibrary == NULL || !is_our_library(XLogArchiveLibrary))
		return false;
	return RecoveryInProgress() ? XLogArchivingAlways() : XLogArchivingActive();
}
