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
#include "store/store.h"
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
	if (!pg_strong_random(&wal->session, sizeof(wal->session)) || wal->session == 0)
		wal->session = wal->generation;
	ConditionVariableInit(&wal->cv);
}

/* ---- repositories ---- */

static uint64
hash_text(const char *text, uint64 seed)
{
	return DatumGetUInt64(hash_any_extended((const unsigned char *) text, (int) strlen(text),
											seed));
}

static bool
is_common_param(const char *key)
{
	for (const char *const *known = bkc_store_common_params; *known != NULL; known++)
		if (strcmp(*known, key) == 0)
			return true;
	return false;
}

uint64
bkc_wal_place(const BkcUrl *url)
{
	uint64		hash = hash_text(url->path, hash_text(url->authority, hash_text(url->scheme, 0)));

	for (size_t i = 0; i < url->nparams; i++)
		if (!is_common_param(url->params[i].key))
			hash = hash_text(url->params[i].value, hash_text(url->params[i].key, hash));
	return hash;
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

static int
free_state(void)
{
	for (int i = 0; i < BKC_MAX_REPOS; i++)
		if (!bkc_wal->repos[i].used)
			return i;
	return -1;
}

int
bkc_wal_repo(const BkcRepoDef *def)
{
	uint64		hash = bkc_wal_place(&def->url);
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
	back = state->failures_in_row > 0 &&
		(!state->failed_alone || strcmp(file, state->failed_file) == 0);
	strlcpy(state->last_file, file, sizeof(state->last_file));
	state->last_time = GetCurrentTimestamp();
	state->files++;
	state->bytes_plain += plain;
	state->bytes_stored += stored;
	if (stored > 0)
		state->rate = state->rate == 0 ? rate :
			state->rate * (1 - RATE_WEIGHT) + rate * RATE_WEIGHT;
	if (back)
		state->failures_in_row = 0;
	if (state->failures_in_row == 0)
		state->retry_at = 0;
	LWLockRelease(bkc_wal->lock);

	/* after failures PostgreSQL's archiver sleeps, while a helper finds that it works again */
	if (back)
		PgArchWakeup();
}

/* Is it the file that cannot be archived, rather than the repository that cannot be written? */
static bool
is_about_file(BkcErrorCode code)
{
	return code == BKC_ERR_EXISTS || code == BKC_ERR_CORRUPT || code == BKC_ERR_INVALID;
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
	state->failed_alone = is_about_file(err->code);
	bkc_report_from_error(&state->error, err);
	LWLockRelease(bkc_wal->lock);
}

static bool
is_among(int repo, const int *repos, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (repos[i] == repo)
			return true;
	return false;
}

static void
forget_archived(BkcRepoState *state)
{
	state->last_file[0] = '\0';
	state->last_time = 0;
	state->prefix_file[0] = '\0';
	state->prefix_lsn = InvalidXLogRecPtr;
	state->prefix_tli = 0;
	state->shipped_lsn = InvalidXLogRecPtr;
	state->shipped_tli = 0;
	state->shipped_time = 0;
	memset(&state->window, 0, sizeof(state->window));
}

void
bkc_wal_forget_archived(int repo)
{
	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	forget_archived(&bkc_wal->repos[repo]);
	LWLockRelease(bkc_wal->lock);
	ConditionVariableBroadcast(&bkc_wal->cv);
}

void
bkc_wal_note_listed(const int *repos, size_t n)
{
	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	for (int i = 0; i < BKC_MAX_REPOS; i++)
	{
		BkcRepoState *state = &bkc_wal->repos[i];
		bool		listed = is_among(i, repos, n);

		if (listed && !state->listed)
			forget_archived(state);
		state->listed = listed;
	}
	LWLockRelease(bkc_wal->lock);
}

void
bkc_wal_note_reported(const char *file, const int *repos, size_t n)
{
	TimeLineID	timeline;
	XLogRecPtr	end;

	if (!segment_end(file, &timeline, &end))
		return;
	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	for (size_t i = 0; i < n; i++)
	{
		BkcRepoState *state = &bkc_wal->repos[repos[i]];
		BkcWalWindow *w = &state->window;
		XLogSegNo	next = end / wal_segment_size;

		if (w->timeline == timeline && w->known < next && next <= w->base)
			w->known = next;
		else if (w->left > 0 && (timeline < w->timeline || next <= w->known))
			w->left--;

		/* PostgreSQL offers in order: what failed before has been reported, or waits no more */
		if (state->failed_alone && strcmp(state->failed_file, file) <= 0)
		{
			state->failures_in_row = 0;
			state->retry_at = 0;
		}
		strlcpy(state->prefix_file, file, sizeof(state->prefix_file));
		state->prefix_lsn = end;
		state->prefix_tli = timeline;
	}
	if (bkc_wal->streamer != NULL)
		SetLatch(bkc_wal->streamer);
	LWLockRelease(bkc_wal->lock);
}

bool
bkc_wal_is_our_library(const char *library)
{
	const char *slash = strrchr(library, '/');
	const char *base = slash ? slash + 1 : library;

	return strcmp(base, "pg_backupctl") == 0 || strcmp(base, "pg_backupctl.so") == 0;
}

bool
bkc_wal_archiving(void)
{
	if (!bkc_set_enabled || XLogArchiveLibrary == NULL ||
		!bkc_wal_is_our_library(XLogArchiveLibrary))
		return false;
	return RecoveryInProgress() ? XLogArchivingAlways() : XLogArchivingActive();
}
