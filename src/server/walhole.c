/*
 * walhole.c
 *		See walhole.h.
 *
 * The walk before a fork goes backwards; what is sent goes in order, so that
 * a walk that comes after a failure finds what that one has left.
 *
 * What is due, or was found and cannot be mended, stands in a mark, a file
 * for each repository: hole.<place>, with the timeline from whose fork on
 * there is something to be looked for, and the first and last segment that
 * are missing once that is known.  The mark is written before the claim and
 * removed when nothing is missing or a backup was taken.  A life of the server that finds one
 * looks again: what was closed by hand, or by a backup, is no hole any more.
 */
#include "pgcompat.h"

#include <sys/stat.h>
#include <unistd.h>

#include "access/xlog_internal.h"
#include "base/host.h"
#include "chunktidy.h"
#include "format/pgfiles.h"
#include "marks.h"
#include "pipe/walmap.h"
#include "pipe/walobj.h"
#include "settings.h"
#include "utils/timestamp.h"
#include "walbeyond.h"
#include "waldisk.h"
#include "walhole.h"
#include "walshared.h"

#define HOLE_MAX		1000	/* segments before one fork */

typedef struct Hole
{
	const BkcRepoDef *def;
	int			repo;
	BkcStore   *store;
	TimeLineID	since;			/* the forks to this timeline and later ones */
	TimeLineID	timeline;		/* ours */
	BkcHistoryEntry *entries;	/* our ancestors */
	size_t		n;

	/* before the fork that is looked at */
	XLogSegNo	end;			/* its segment */
	int			count;			/* of those before it, nearest first: */
	bool		absent[HOLE_MAX];
	bool		cut;			/* there was no end to what is absent */

	/* before all of them */
	bool		asked;			/* the repository about its backups: */
	XLogSegNo	backup;			/* the newest on our way begins here; 0 = none */
	uint64		sent;
	uint64		missing;		/* could not be sent */
	char		missing_first[MAXFNAMELEN];
	char		missing_last[MAXFNAMELEN];
} Hole;

/* ---- marks ---- */

/* By place: another one under the same name is another repository. */
static void
mark_name(const BkcRepoDef *def, char name[BKC_MARK_NAME_MAX])
{
	snprintf(name, BKC_MARK_NAME_MAX, BKC_MARK_HOLE ".%016llx",
			 (unsigned long long) bkc_wal_place(&def->url));
}

/*
 * Without room for a mark it is known in this life only, which is better than not to claim: what
 * fills the disk may be the WAL that waits for that.
 */
static void
write_mark(const BkcRepoDef *def, TimeLineID since, const char *note)
{
	char		name[BKC_MARK_NAME_MAX];
	BkcError	err;

	mark_name(def, name);
	if (!bkc_mark_write(name, since, note, &err))
		bkc_ereport(LOG, &err);
}

static void
remove_mark(const BkcRepoDef *def)
{
	char		name[BKC_MARK_NAME_MAX];

	mark_name(def, name);
	bkc_mark_remove(name);
}

/* Of another timeline than those behind us it is of no use. */
static bool
read_mark(const BkcRepoDef *def, TimeLineID timeline, BkcMark *mark)
{
	char		name[BKC_MARK_NAME_MAX];
	BkcError	err;

	mark_name(def, name);
	if (bkc_mark_read(name, mark, &err))
		return mark->valid && mark->timeline <= timeline;

	/* what cannot be read may say that there is something to be looked for */
	bkc_ereport(LOG, &err);
	memset(mark, 0, sizeof(*mark));
	mark->timeline = timeline;
	return true;
}

void
bkc_hole_expect(const BkcRepoDef *def, int repo, TimeLineID timeline)
{
	BkcRepoState *state = &bkc_wal->repos[repo];
	BkcMark		mark;

	if (timeline == 1)
		return;

	/* an older one may tell of a hole that no backup has been taken behind */
	if (!read_mark(def, timeline, &mark))
	{
		mark.timeline = timeline;
		write_mark(def, timeline, "");
	}
	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	state->hole_recalled = true;
	state->hole_due = mark.timeline;
	LWLockRelease(bkc_wal->lock);
}

void
bkc_hole_recall(const BkcRepoDef *def, int repo)
{
	BkcRepoState *state = &bkc_wal->repos[repo];
	TimeLineID	timeline;
	BkcMark		mark;
	bool		recalled;
	bool		there;

	if (RecoveryInProgress())
		return;
	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	recalled = state->hole_recalled;
	LWLockRelease(bkc_wal->lock);
	if (recalled)
		return;
	(void) GetFlushRecPtr(&timeline);
	there = read_mark(def, timeline, &mark);

	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	if (there && !state->hole_recalled)
	{
		state->hole_due = mark.timeline;
		if (sscanf(mark.note, "%24s %24s", state->hole_first, state->hole_last) != 2)
			state->hole_first[0] = state->hole_last[0] = '\0';
	}
	state->hole_recalled = true;
	LWLockRelease(bkc_wal->lock);
}

/* ---- looking ---- */

static void
segment_name(const Hole *hole, XLogSegNo segno, char file[MAXFNAMELEN])
{
	XLogFileName(file, bkc_history_timeline(hole->entries, hole->n, hole->timeline, segno), segno,
				 wal_segment_size);
}

/*
 * Backwards from a fork (from there on the segments are of the next timeline) down to floor.
 * The old primary's helpers may have been ahead of a missing segment by their window: so the
 * walk goes on for as much behind the first that is there.  Older than all that it finds there is
 * what was never to be archived, unless it comes after an earlier fork.
 */
static bool
look_before(Hole *hole, XLogSegNo fork, XLogSegNo floor, BkcError *err)
{
	int			limit = (int) Min(HOLE_MAX, fork - Min(fork, floor));
	bool		to_floor = limit < HOLE_MAX && floor > 1;
	bool		seen = false;
	int			i;

	hole->end = fork;
	hole->count = 0;
	for (i = 0; i < limit; i++)
	{
		char		file[MAXFNAMELEN];
		bool		there = false;

		segment_name(hole, fork - 1 - i, file);
		if (!bkc_host_check(err) ||
			!bkc_wal_there(hole->store, GetSystemIdentifier(), file, &there, err))
			return false;
		hole->absent[i] = !there;
		if (!there)
			continue;
		hole->count = i;
		if (!seen && i + 1 + BKC_WAL_AHEAD < limit)
		{
			limit = i + 1 + BKC_WAL_AHEAD;
			to_floor = false;
		}
		seen = true;
	}
	if (!seen || to_floor)
		hole->count = i;
	hole->cut = !seen && i == HOLE_MAX;
	return true;
}

/* ---- sending ---- */

static bool
ask_backups(Hole *hole, BkcError *err)
{
	BkcBackupSpan *spans;
	size_t		n;

	if (hole->asked)
		return true;
	if (!bkc_repo_spans(hole->store, GetSystemIdentifier(), &spans, &n, err))
		return false;
	for (size_t i = 0; i < n; i++)
	{
		XLogSegNo	start = spans[i].start_lsn / wal_segment_size;

		if (spans[i].timeline ==
			bkc_history_timeline(hole->entries, hole->n, hole->timeline, start))
			hole->backup = Max(hole->backup, start);
	}
	free(spans);
	hole->asked = true;
	return true;
}

/* What lies before a backup on our way nobody needs any more. */
static bool
note_missing(Hole *hole, XLogSegNo segno, BkcError *err)
{
	if (!ask_backups(hole, err))
		return false;
	if (segno < hole->backup)
		return true;
	if (hole->missing++ == 0)
		segment_name(hole, segno, hole->missing_first);
	segment_name(hole, segno, hole->missing_last);
	return true;
}

/* A file that is damaged here is as good as gone. */
static bool
send_segment(Hole *hole, BkcWalWriter *writer, XLogSegNo segno, BkcError *err)
{
	char		file[MAXFNAMELEN];
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

	segment_name(hole, segno, file);
	if (bkc_tidy_is_ready(file))
		return true;			/* the archiver's */
	snprintf(path, sizeof(path), XLOGDIR "/%s", file);
	if (stat(path, &st) != 0)
	{
		if (errno != ENOENT)
			return bkc_error_os(err, errno, "could not stat file \"%s\"", path);
		return note_missing(hole, segno, err);
	}
	/* when the walreceiver wrote the last of it */
	wal.time = (int64) st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000;
	if (bkc_waldisk_check(file, path, err) &&
		bkc_walwriter_put(writer, &wal, &outcome, &stored, err))
	{
		bkc_wal_note_sent(hole->repo, file, (uint64) st.st_size, stored,
						  (double) (GetCurrentTimestamp() - began) / USECS_PER_SEC);
		hole->sent++;
		return true;
	}
	if (err->code != BKC_ERR_CORRUPT && err->code != BKC_ERR_INVALID &&
		err->code != BKC_ERR_STATE && err->code != BKC_ERR_NOT_FOUND)
		return false;
	ereport(LOG, (errmsg("WAL file \"%s\" cannot be sent: %s", file, err->message)));
	return note_missing(hole, segno, err);
}

static bool
send_absent(Hole *hole, BkcError *err)
{
	BkcWalWriter *writer;
	BkcCodec	codec;
	int			level;
	bool		ok;

	if (hole->count == 0)
		return true;

	/* nobody has looked further */
	if (hole->cut && !note_missing(hole, hole->end - 1 - HOLE_MAX, err))
		return false;
	bkc_settings_codec(hole->def, NULL, &codec, &level);
	ok = bkc_walwriter_new(hole->store, GetSystemIdentifier(), codec, level, &writer, err);
	for (int i = hole->count; ok && i-- > 0;)
		if (hole->absent[i])
			ok = bkc_host_check(err) && send_segment(hole, writer, hole->end - 1 - i, err);
	bkc_walwriter_close(&writer);
	return ok;
}

static bool
fill_forks(Hole *hole, BkcError *err)
{
	XLogSegNo	floor = 1;

	for (size_t i = 0; i < hole->n; i++)
	{
		XLogSegNo	fork = hole->entries[i].switch_lsn / wal_segment_size;

		if ((i + 1 < hole->n ? hole->entries[i + 1].timeline : hole->timeline) < hole->since)
			continue;
		if (!look_before(hole, fork, floor, err) || !send_absent(hole, err))
			return false;
		floor = Max(floor, fork);
	}
	return true;
}

/* ---- the result ---- */

static void
tell(const Hole *hole)
{
	if (hole->sent > 0)
		ereport(LOG,
				(errmsg("repository \"%s\": %llu WAL segments that the old primary had not archived were sent",
						hole->def->name, (unsigned long long) hole->sent)));
	if (hole->missing > 0)
		ereport(WARNING,
				(errmsg("repository \"%s\" lacks %llu WAL segments from before this server was promoted",
						hole->def->name, (unsigned long long) hole->missing),
				 errdetail("The first is \"%s\", the last \"%s\"; this server does not have them any more.",
						   hole->missing_first, hole->missing_last),
				 errhint("Take a backup now: until then nothing can be restored that was written from the first of them on.")));
}

/* Several processes may have looked; what the first has found counts. */
static void
conclude(Hole *hole)
{
	BkcRepoState *state = &bkc_wal->repos[hole->repo];
	char		note[2 * MAXFNAMELEN];
	bool		first;

	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	first = state->hole_due != 0;
	if (first)
	{
		state->hole_due = 0;
		strlcpy(state->hole_first, hole->missing_first, sizeof(state->hole_first));
		strlcpy(state->hole_last, hole->missing_last, sizeof(state->hole_last));
	}
	LWLockRelease(bkc_wal->lock);
	if (!first)
		return;
	if (hole->missing == 0)
		remove_mark(hole->def);
	else
	{
		snprintf(note, sizeof(note), "%s %s", hole->missing_first, hole->missing_last);
		write_mark(hole->def, hole->since, note);
	}
	tell(hole);
}

bool
bkc_hole_fill(const BkcRepoDef *def, int repo, BkcStore *store, BkcError *err)
{
	Hole		hole = {.def = def, .repo = repo, .store = store};
	bool		ok;

	bkc_hole_recall(def, repo);
	LWLockAcquire(bkc_wal->lock, LW_SHARED);
	hole.since = bkc_wal->repos[repo].hole_due;
	LWLockRelease(bkc_wal->lock);
	if (hole.since == 0)
		return true;
	(void) GetFlushRecPtr(&hole.timeline);

	/* without a history nobody knows where the fork was; that is told elsewhere */
	if (!bkc_server_history(hole.timeline, &hole.entries, &hole.n, err) &&
		err->code != BKC_ERR_NOT_FOUND && err->code != BKC_ERR_CORRUPT)
		return false;
	ok = fill_forks(&hole, err);
	free(hole.entries);
	if (!ok)
		return bkc_error_context(err, "could not look for WAL that the old primary had not archived");
	conclude(&hole);
	return true;
}

void
bkc_hole_forget(const BkcRepoDef *def)
{
	int			repo = bkc_wal_repo(def);
	bool		due;

	if (repo < 0)
		return;
	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	bkc_wal->repos[repo].hole_first[0] = '\0';
	bkc_wal->repos[repo].hole_last[0] = '\0';
	due = bkc_wal->repos[repo].hole_due != 0;
	LWLockRelease(bkc_wal->lock);

	/* what is still to be looked for may be here, and is asked about the backup then */
	if (!due)
		remove_mark(def);
}
