/*
 * walget_conclude.c
 *		What nobody has whole: served from chunks, absent, or a gap.
 *
 * That is decided only after all repositories have answered, because one that
 * was away for an hour knows nothing of the WAL since.
 */
#include "walget.h"

#include <inttypes.h>

#include "base/host.h"
#include "base/text.h"

/* ---- chunks ---- */

/*
 * Some repository has said that its chunks reach that far, so there was WAL: what
 * turns out to be less is damage, and no end of recovery that nobody has asked for.
 */
static bool
deliver_chunks(BkcWalAsk *ask, uint64_t farthest, BkcError *err)
{
	BkcWalGet  *w = ask->w;
	uint64_t	wanted = farthest < bkc_walget_end(w) ? farthest : bkc_walget_end(w);
	BkcError	one;

	bkc_error_clear(err);
	for (size_t i = 0; i < w->nrepos && !ask->delivered; i++)
	{
		if (!ask->sources[i].serves || ask->sources[i].row.end_lsn < wanted)
			continue;
		ask->delivered = bkc_walget_chunks(w, &ask->sources[i].session, wanted, &one);
		if (ask->delivered)
			break;

		/* removed while we read: the whole segment has come */
		if (one.code == BKC_ERR_NOT_FOUND)
			one.code = BKC_ERR_UNAVAILABLE;
		if (err->code == BKC_OK)
			*err = one;
		else
			bkc_log(BKC_LOG_WARNING, "%s", one.message);
		if (w->target_failed || one.code != BKC_ERR_CORRUPT)
		{
			*err = one;
			return false;
		}
	}
	if (ask->delivered && err->code != BKC_OK)
		bkc_log(BKC_LOG_WARNING, "%s", err->message);
	return ask->delivered;
}

/* ---- gaps ---- */

/*
 * Where the server's control file could not be read, any WAL tells the segment size.  Unknown, it
 * proves nothing where the answer depends on where the segment lies.
 */
static bool
know_size(BkcWalAsk *ask, BkcError *err)
{
	BkcWalGet  *w = ask->w;

	for (size_t i = 0; w->segment_size == 0 && i < w->nrepos; i++)
	{
		if (!bkc_walget_any_size(w, &ask->sources[i].session, err))
			return false;
	}
	if (w->segment_size != 0 || (bkc_walget_end(w) == UINT64_MAX && w->fork == UINT64_MAX))
		return true;
	return bkc_error_set(err, BKC_ERR_UNAVAILABLE, "the size of WAL segments is not known: neither the data directory's control file nor any WAL in a repository tells it");
}

/* Is that later segment one that recovery would come to?  Behind --until there is nothing. */
static bool
matters(const BkcWalGet *w, const char *later)
{
	uint32_t	timeline;
	uint64_t	segno;

	return later[0] != '\0' &&
		(w->until == UINT64_MAX ||
		 !bkc_wal_segment_parse(later, w->segment_size, &timeline, &segno) ||
		 segno * w->segment_size < w->until);
}

/* Is there WAL behind what nobody has?  Then recovery must not end there. */
static bool
check_gap(BkcWalAsk *ask, const BkcWalGet *w, BkcWalSource *source, BkcError *err)
{
	const char *later = source->look.later;
	bool		passed = false;

	if (matters(w, later))
		bkc_error_set(err, BKC_ERR_UNAVAILABLE, "WAL segment %s is missing, but a later one is there: %s",
					  w->file, later);
	else
	{
		/* the end of the segment is the end of all; without any WAL nothing was passed */
		if (w->segment_size == 0 || w->until <= bkc_walget_start(w) + w->segment_size)
			return true;
		if (!bkc_walget_passed(w, &source->session, &passed, err))
			return false;
		if (!passed)
			return true;
		bkc_error_set(err, BKC_ERR_UNAVAILABLE, "WAL segment %s is missing, but WAL of a timeline that begins behind it is there",
					  w->file);
	}
	ask->gap = true;
	bkc_error_detail(err, "Ending recovery here would leave out what came after the gap in repository \"%s\".",
					 source->session.store->location);
	return bkc_error_hint(err, "Name a further repository that has it (--repo), or restore to a point before it; "
						  "\"pg_backupctl check\" lists gaps.");
}

/* Less is there than was promised. */
static bool
broken_promise(BkcWalAsk *ask, uint64_t farthest, BkcError *err)
{
	BkcWalGet  *w = ask->w;
	char		until[24];
	char		lsn[24];

	ask->gap = true;
	bkc_format_lsn(w->until, until, sizeof(until));
	bkc_format_lsn(farthest, lsn, sizeof(lsn));
	if (farthest == 0)
	{
		bkc_error_set(err, BKC_ERR_UNAVAILABLE, "WAL segment %s is missing, but recovery shall reach %s (--until)",
					  w->file, until);
		return bkc_error_hint(err, "It was there when the restore began, or --until was not written by it; restore again to what there is now.");
	}
	bkc_error_set(err, BKC_ERR_UNAVAILABLE, "what is there of WAL segment %s ends at %s, but recovery shall reach %s (--until)",
				  w->file, lsn, until);
	bkc_error_detail(err, "More was there when the restore began, or --until was not written by it.");
	return bkc_error_hint(err, "If recovery shall end there, give the restore_command --until %s.", lsn);
}

/*
 * Restore writes --until where it has seen that WAL reaches (at most to the end
 * of the last segment): what lies before it on recovery's way was there.  farthest: up to where
 * it still is, in this segment; 0 = nothing.
 */
static bool
check_promise(BkcWalAsk *ask, uint64_t farthest, BkcError *err)
{
	BkcWalGet  *w = ask->w;
	uint64_t	begin = bkc_walget_start(w);
	uint64_t	end = begin + w->segment_size;

	if (bkc_walget_end(w) < end)
		end = bkc_walget_end(w);
	if (w->until == UINT64_MAX || w->target == 0 || farthest >= end)
		return true;
	if (!bkc_walget_part(w, true, err))
		return false;
	if (w->part.begin > begin)
		begin = w->part.begin;
	if (bkc_walget_end(w) < end)
		end = bkc_walget_end(w);
	return begin >= end || farthest >= end || broken_promise(ask, farthest, err);
}

/* ---- what nobody has whole ---- */

/* WAL of that very timeline: its history is lost. */
static bool
check_lost(BkcWalAsk *ask, BkcError *err)
{
	BkcWalGet  *w = ask->w;
	bool		has = false;

	for (size_t i = 0; i < w->nrepos; i++)
	{
		BkcSession *session = &ask->sources[i].session;

		if (!bkc_walget_has_wal(session, w->timeline, &has, err))
			return false;
		if (!has)
			continue;
		ask->gap = true;
		w->lost_history = true;
		bkc_error_set(err, BKC_ERR_UNAVAILABLE, "timeline %" PRIu32 " has WAL in repository \"%s\", but its history %s is missing",
					  w->timeline, session->store->location, w->file);
		return bkc_error_hint(err, "Name a further repository that has it (--repo).");
	}
	return true;
}

static bool
passed_number(BkcWalGet *w, uint32_t higher, const BkcStore *store, BkcError *err)
{
	w->lost_history = true;
	if (store != NULL)
		bkc_error_set(err, BKC_ERR_STATE, "there is no history %s, but repository \"%s\" holds timeline %" PRIu32,
					  w->file, store->location, higher);
	else
		bkc_error_set(err, BKC_ERR_STATE, "there is no history %s, but there is a backup on timeline %" PRIu32,
					  w->file, higher);
	bkc_error_detail(err, "A server that is told so looks for no later timeline, and takes number %" PRIu32 " for its own.",
					 w->timeline);
	return bkc_error_hint(err, "Add --timeline N to the restore_command: the timeline to recover to.");
}

/*
 * Timelines are numbered upwards, and the latest is the one with the highest number.  So a number
 * below one that is there was another's, who may have been removed, or was never seen
 * here: a new timeline of that number would count as the older one, and the histories of later
 * ones may lead through the old one's WAL.
 */
static bool
check_passed(BkcWalAsk *ask, BkcError *err)
{
	BkcWalGet  *w = ask->w;
	uint32_t	highest;

	/* one on that very timeline tells who looks for its own history nothing */
	if (w->backup_timeline > w->timeline ||
		(w->limitless && w->backup_timeline == w->timeline))
		return passed_number(w, w->backup_timeline, NULL, err);
	for (size_t i = 0; i < w->nrepos; i++)
	{
		BkcSession *session = &ask->sources[i].session;

		if (!bkc_walget_highest(session, &highest, err))
			return false;
		if (highest > w->timeline)
			return passed_number(w, highest, session->store, err);
	}
	return true;
}

/*
 * Timelines have numbers, and who says that a history does not exist gives its
 * number free: for another one that writes other WAL under names that are there.  It matters
 * neither to a recovery that goes to a higher one, nor to one that stays on its
 * backup's timeline, as restore makes a server do where that never had a history (pg_resetwal).
 * A standby asks for what may yet come.
 */
static bool
check_history(BkcWalAsk *ask, BkcError *err)
{
	BkcWalGet  *w = ask->w;

	/* the first timeline never has one, but a server that leaves it asks for it */
	if (w->target > w->timeline || w->timeline == 1)
		return true;
	if (w->target == w->timeline)
		return w->label_timeline == w->timeline || check_lost(ask, err);
	return check_lost(ask, err) && (w->standby || check_passed(ask, err));
}

/*
 * A listing is no snapshot.  It does not show the segment when that comes behind it, and neither
 * the chunks when those go before it has come to them.
 */
static bool
still_absent(BkcWalAsk *ask, BkcError *err)
{
	BkcWalGet  *w = ask->w;

	for (size_t i = 0; i < w->nrepos; i++)
	{
		BkcSession *session = &ask->sources[i].session;
		bool		there;

		if (!bkc_wal_there(session->store, session->sysid, w->file, &there, err))
			return false;
		if (there)
			return bkc_error_set(err, BKC_ERR_UNAVAILABLE, "repository \"%s\" has changed meanwhile",
								 session->store->location);
	}
	return true;
}

bool
bkc_walget_conclude(BkcWalAsk *ask, BkcError *err)
{
	BkcWalGet  *w = ask->w;
	uint64_t	farthest;

	/* a server and its copies live longer than the backup that it came from */
	if (!bkc_walget_behind_end(w) && w->label != NULL && !ask->seen && !w->limitless)
		return bkc_error_set(err, BKC_ERR_NOT_FOUND, "backup %s of cluster %" PRIu64 " is not in repository \"%s\"",
							 w->label, w->sysid, ask->sources[0].session.store->location);
	if (w->history)
		return check_history(ask, err);
	if (w->standby)
		return true;
	if (!know_size(ask, err))
		return false;
	if (bkc_walget_behind_end(w))
		return true;
	for (size_t i = 0; i < w->nrepos; i++)
	{
		if (!check_gap(ask, w, &ask->sources[i], err))
			return false;
	}
	if (!bkc_walget_rows(ask, &farthest, err) ||
		(farthest == 0 && !still_absent(ask, err)) ||
		!check_promise(ask, farthest, err))
		return false;
	return farthest == 0 || deliver_chunks(ask, farthest, err);
}
