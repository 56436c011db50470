/*
 * walhole.c
 *		See walhole.h.
 *
 * The walk goes backwards until a segment is there, which in most cases is
 * the first; what is sent goes in order, so that a walk that comes after a
 * failure ends where that one has ended.
 */
#include "pgcompat.h"

#include <sys/stat.h>
#include <unistd.h>

#include "access/xlog_internal.h"
#include "base/host.h"
#include "chunktidy.h"
#include "format/pgfiles.h"
#include "pipe/walobj.h"
#include "settings.h"
#include "utils/timestamp.h"
#include "walbeyond.h"
#include "waldisk.h"
#include "walhole.h"
#include "walshared.h"

#define HOLE_MAX		1000	/* segments */

typedef struct Hole
{
	const BkcRepoDef *def;
	int			repo;
	BkcStore   *store;
	TimeLineID	timeline;		/* ours */
	BkcHistoryEntry *entries;	/* our ancestors */
	size_t		n;
	XLogSegNo	first;			/* the hole: first .. end - 1 */
	XLogSegNo	end;

	/* what could not be sent */
	uint64		missing;
	char		missing_first[MAXFNAMELEN];
	char		missing_last[MAXFNAMELEN];
} Hole;

static void
segment_name(const Hole *hole, XLogSegNo segno, char file[MAXFNAMELEN])
{
	XLogFileName(file, bkc_history_timeline(hole->entries, hole->n, hole->timeline, segno), segno,
				 wal_segment_size);
}

/* Backwards from the fork: from there on the segments are of our timeline, and ours to archive. */
static bool
find_hole(Hole *hole, BkcError *err)
{
	char		file[MAXFNAMELEN];
	bool		there = false;

	hole->end = hole->n == 0 ? 0 : hole->entries[hole->n - 1].switch_lsn / wal_segment_size;
	hole->first = hole->end;
	while (hole->first > 1 && hole->end - hole->first < HOLE_MAX)
	{
		segment_name(hole, hole->first - 1, file);
		if (!bkc_host_check(err) || !bkc_tidy_ask(hole->store, file, &there, err))
			return false;
		if (there)
			return true;
		hole->first--;
	}
	return true;
}

static void
note_missing(Hole *hole, const char *file)
{
	if (hole->missing++ == 0)
		strlcpy(hole->missing_first, file, sizeof(hole->missing_first));
	strlcpy(hole->missing_last, file, sizeof(hole->missing_last));
}

/* A file that is damaged here is as good as gone. */
static bool
send_segment(Hole *hole, BkcWalWriter *writer, const char *file, BkcError *err)
{
	char		path[MAXPGPATH];
	struct stat st;
	BkcWalFile	wal = {
		.file = file,
		.path = path,
		.segment_size = (uint32) wal_segment_size
	};
	TimestampTz began = GetCurrentTimestamp();
	BkcWalOutcome outcome;
	uint64_t	stored;

	if (bkc_tidy_is_ready(file))
		return true;			/* the archiver's */
	snprintf(path, sizeof(path), XLOGDIR "/%s", file);
	if (stat(path, &st) != 0)
	{
		if (errno != ENOENT)
			return bkc_error_os(err, errno, "could not stat file \"%s\"", path);
		note_missing(hole, file);
		return true;
	}
	/* when the walreceiver wrote the last of it */
	wal.time = (int64) st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000;
	if (bkc_waldisk_check(file, path, err) &&
		bkc_walwriter_put(writer, &wal, &outcome, &stored, err))
	{
		bkc_wal_note_sent(hole->repo, file, (uint64) st.st_size, stored,
						  (double) (GetCurrentTimestamp() - began) / USECS_PER_SEC);
		return true;
	}
	if (err->code != BKC_ERR_CORRUPT && err->code != BKC_ERR_INVALID &&
		err->code != BKC_ERR_STATE && err->code != BKC_ERR_NOT_FOUND)
		return false;
	ereport(LOG, (errmsg("WAL file \"%s\" cannot be sent: %s", file, err->message)));
	note_missing(hole, file);
	return true;
}

static bool
send_all(Hole *hole, BkcError *err)
{
	BkcWalWriter *writer;
	BkcCodec	codec;
	int			level;
	bool		ok;

	bkc_settings_codec(hole->def, NULL, &codec, &level);
	ok = bkc_walwriter_new(hole->store, GetSystemIdentifier(), codec, level, &writer, err);
	for (XLogSegNo segno = hole->first; ok && segno < hole->end; segno++)
	{
		char		file[MAXFNAMELEN];

		segment_name(hole, segno, file);
		ok = bkc_host_check(err) && send_segment(hole, writer, file, err);
	}
	bkc_walwriter_close(&writer);
	return ok;
}

static void
tell(const Hole *hole)
{
	uint64		sent = hole->end - hole->first - hole->missing;

	if (sent > 0)
		ereport(LOG,
				(errmsg("repository \"%s\": %llu WAL segments that the old primary had not archived were sent",
						hole->def->name, (unsigned long long) sent)));
	if (hole->missing > 0)
		ereport(WARNING,
				(errmsg("repository \"%s\" lacks %llu WAL segments from before this server was promoted",
						hole->def->name, (unsigned long long) hole->missing),
				 errdetail("The first is \"%s\", the last \"%s\"; this server does not have them any more.",
						   hole->missing_first, hole->missing_last),
				 errhint("Take a backup now: until then nothing can be restored that was written from the first of them on.")));
}

static bool
is_due(int repo)
{
	bool		due;

	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	due = bkc_wal->repos[repo].hole_due;
	LWLockRelease(bkc_wal->lock);
	return due;
}

bool
bkc_hole_fill(const BkcRepoDef *def, int repo, BkcStore *store, BkcError *err)
{
	BkcRepoState *state = &bkc_wal->repos[repo];
	Hole		hole = {.def = def, .repo = repo, .store = store};
	bool		first;
	bool		ok;

	if (!is_due(repo))
		return true;
	(void) GetFlushRecPtr(&hole.timeline);

	/* without a history nobody knows where the fork was; that is told elsewhere */
	if (!bkc_server_history(hole.timeline, &hole.entries, &hole.n, err) &&
		err->code == BKC_ERR_NO_MEMORY)
		return false;
	ok = find_hole(&hole, err) && (hole.first == hole.end || send_all(&hole, err));
	free(hole.entries);
	if (!ok)
		return bkc_error_context(err, "could not look for WAL that the old primary had not archived");

	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	first = state->hole_due;
	state->hole_due = false;
	strlcpy(state->hole_first, hole.missing_first, sizeof(state->hole_first));
	strlcpy(state->hole_last, hole.missing_last, sizeof(state->hole_last));
	LWLockRelease(bkc_wal->lock);
	if (first)
		tell(&hole);
	return true;
}

void
bkc_hole_forget(const BkcRepoDef *def)
{
	int			repo = bkc_wal_repo(def);

	if (repo < 0)
		return;
	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	bkc_wal->repos[repo].hole_first[0] = '\0';
	bkc_wal->repos[repo].hole_last[0] = '\0';
	LWLockRelease(bkc_wal->lock);
}
