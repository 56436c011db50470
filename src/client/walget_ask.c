/*
 * walget_ask.c
 *		Asks one repository after the other, and concludes.
 *
 * In each repository the archive comes first, then the WAL inside backups.
 * What is nowhere whole may be served from chunks, or be absent,
 * or be a gap; that is decided only after all of them have answered, because
 * one that was away for an hour knows nothing of the WAL since.
 */
#include "walget.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "base/retry.h"
#include "base/text.h"
#include "pipe/walobj.h"

#include "report.h"

#define FIRST_WAIT_MS	200
#define MAX_WAIT_MS		5000
#define GAP_MS			5000	/* helpers upload ahead: what is missing may be on its way */

/* One repository. */
typedef struct Source
{
	BkcSession	session;
	bool		answered;		/* it has been proven not to have the whole file */
	BkcWalLook	look;
	uint64_t	chunks_end;		/* how far they reach, 0 for none */
	BkcError	err;			/* why it did not answer */
} Source;

/* One round of asking all. */
typedef struct Ask
{
	BkcWalGet  *w;
	Source	   *sources;
	bool		seen;			/* --backup was there somewhere, or any backup */
	bool		gap;
	bool		delivered;
} Ask;

/* ---- opening ---- */

static bool
take_any(void *arg, const char *name, uint64_t size, BkcError *err)
{
	*(bool *) arg = true;
	return true;
}

bool
bkc_walget_cluster_there(BkcSession *session, BkcError *err)
{
	char		name[BKC_NAME_MAX];
	bool		any = false;
	uint64_t	size;

	if (!bkc_name_cluster(session->sysid, name, err))
		return false;
	if (bkc_store_stat(session->store, name, &size, err))
		return true;
	if (err->code != BKC_ERR_NOT_FOUND ||
		!bkc_store_list(session->store, "", false, take_any, &any, err))
		return false;
	if (any)
		return bkc_error_set(err, BKC_ERR_NOT_FOUND, "cluster %" PRIu64 " is not in repository \"%s\"",
							 session->sysid, session->store->location);
	bkc_error_set(err, BKC_ERR_UNAVAILABLE, "repository \"%s\" is empty",
				  session->store->location);
	return bkc_error_hint(err, "Is its file system mounted?");
}

bool
bkc_walget_open(BkcWalGet *w, size_t n, BkcSession *session, BkcError *err)
{
	memset(session, 0, sizeof(*session));
	session->repo = bkc_option_nth(w->options, "repo", n);
	session->place = BKC_AT_COMMAND_LINE;
	if (!bkc_url_parse(session->repo, &session->url, err) ||
		!bkc_store_check_url(&session->url, err))
		return bkc_error_context(err, "--repo");
	session->place = BKC_AT_REPOSITORY;
	if (!bkc_store_open(&session->url, &session->store, err))
		return false;
	if (w->sysid != 0)
	{
		session->sysid = w->sysid;
		return bkc_walget_cluster_there(session, err);
	}
	if (!bkc_session_cluster(session, w->options, err))
	{
		/* none at all may mean that it is not mounted yet */
		if (err->code == BKC_ERR_NOT_FOUND)
			err->code = BKC_ERR_UNAVAILABLE;
		return false;
	}
	w->sysid = session->sysid;
	return true;
}

/* ---- one repository ---- */

/* Without a data directory only the repository knows the segment size. */
static bool
learn_size(BkcWalGet *w, Source *source, BkcError *err)
{
	const BkcWalLook *look = &source->look;
	BkcWalInfo	info;

	if (w->segment_size != 0)
		return true;
	if (look->sample[0] != '\0')
		return bkc_wal_info(source->session.store, look->sample, &info, err) &&
			bkc_walget_take_size(w, info.segment_size, look->sample, err);
	return !look->chunks || bkc_walget_chunks_size(w, &source->session, err);
}

static bool
ask_archive(Ask *ask, Source *source, bool *found, BkcError *err)
{
	BkcWalGet  *w = ask->w;

	*found = false;
	if (w->history)
		return bkc_walget_archive(w, &source->session, &source->look, found, err);
	if (!bkc_walget_look(w, &source->session, &source->look, err))
		return false;
	if (bkc_walget_end(w) != UINT64_MAX && !learn_size(w, source, err))
		return false;
	if (!source->look.whole || bkc_walget_behind_end(w))
		return true;
	bkc_walget_prefetch(w);
	return bkc_walget_archive(w, &source->session, &source->look, found, err);
}

/* true: it was delivered, or is proven absent here as a whole file. */
static bool
ask_source(Ask *ask, size_t n, bool *found, BkcError *err)
{
	BkcWalGet  *w = ask->w;
	Source	   *source = &ask->sources[n];
	BkcError	archive_err;
	bool		ok;

	bkc_session_close(&source->session);
	source->answered = false;
	memset(&source->look, 0, sizeof(source->look));
	if (!bkc_walget_open(w, n, &source->session, err))
		return false;
	ok = ask_archive(ask, source, found, &archive_err);
	if (ok && *found)
		return true;
	*err = archive_err;
	if (!ok && (w->target_failed || archive_err.code == BKC_ERR_CANCELLED))
		return false;
	if (ok && bkc_walget_behind_end(w))
		return bkc_walget_cluster_there(&source->session, err);

	if (!bkc_walget_backup(w, &source->session, &ask->seen, found, err))
		return false;
	if (*found && !ok)
		bkc_log(BKC_LOG_WARNING, "%s; took %s from a backup", archive_err.message, w->file);
	if (*found)
		return true;
	*err = archive_err;
	return ok && bkc_walget_cluster_there(&source->session, err);
}

/* ---- all of them ---- */

/* Passing trouble goes before other trouble: then it is worth to ask again. */
static bool
first_failure(const Ask *ask, BkcError *err)
{
	const BkcError *chosen = NULL;

	for (size_t i = 0; i < ask->w->nrepos; i++)
	{
		const BkcError *one = &ask->sources[i].err;

		if (ask->sources[i].answered)
			continue;
		if (chosen == NULL || (one->code == BKC_ERR_UNAVAILABLE &&
							   chosen->code != BKC_ERR_UNAVAILABLE))
			chosen = one;
	}
	if (chosen == NULL)
		return true;
	*err = *chosen;
	return false;
}

/* Has anybody chunks?  Their size is known then. */
static bool
any_chunks(Ask *ask, bool *any, BkcError *err)
{
	*any = false;
	for (size_t i = 0; i < ask->w->nrepos; i++)
	{
		if (!ask->sources[i].look.chunks)
			continue;
		*any = true;
		if (!bkc_walget_chunks_size(ask->w, &ask->sources[i].session, err))
			return false;
	}
	return true;
}

/*
 * Chunks without a beginning.  If the whole segment has taken their place
 * meanwhile, this is no answer; else there is nothing in them that could be used.
 */
static bool
check_beginning(Ask *ask, Source *source, BkcError *err)
{
	BkcWalLook	again;

	if (!bkc_walget_look(ask->w, &source->session, &again, err))
		return false;
	if (again.whole || again.later[0] != '\0' || !again.chunks)
		return bkc_error_set(err, BKC_ERR_UNAVAILABLE, "repository \"%s\" has changed meanwhile",
							 source->session.store->location);
	bkc_log(BKC_LOG_WARNING, "the chunks of WAL segment %s in repository \"%s\" lack their beginning",
			ask->w->file, source->session.store->location);
	return true;
}

/* How far each repository's chunks reach, 0 for none; *farthest is the highest. */
static bool
measure_chunks(Ask *ask, uint64_t *farthest, BkcError *err)
{
	BkcWalGet  *w = ask->w;
	bool		any;

	*farthest = 0;
	if (!any_chunks(ask, &any, err))
		return false;
	for (size_t i = 0; any && i < w->nrepos; i++)
	{
		Source	   *source = &ask->sources[i];

		source->chunks_end = 0;
		if (!source->look.chunks)
			continue;
		if (bkc_walget_chunks_end(w, &source->session, &source->chunks_end, err))
		{
			if (source->chunks_end > *farthest)
				*farthest = source->chunks_end;
		}
		else if (err->code != BKC_ERR_NOT_FOUND || !check_beginning(ask, source, err))
			return false;
	}
	return true;
}

/*
 * Some repository has said that its chunks reach that far, so there was WAL: what
 * turns out to be less is damage, and no end of recovery that nobody has asked for.
 */
static bool
deliver_chunks(Ask *ask, uint64_t farthest, BkcError *err)
{
	BkcWalGet  *w = ask->w;
	uint64_t	wanted = farthest < bkc_walget_end(w) ? farthest : bkc_walget_end(w);
	BkcError	one;

	bkc_error_clear(err);
	for (size_t i = 0; i < w->nrepos && !ask->delivered; i++)
	{
		if (ask->sources[i].chunks_end < wanted)
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
know_size(Ask *ask, BkcError *err)
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
check_gap(Ask *ask, const BkcWalGet *w, Source *source, BkcError *err)
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

/*
 * Nothing is there.  Restore writes --until where it has seen that WAL reaches (at most to the end
 * of the last segment): what begins before it on recovery's way was there.
 */
static bool
check_promise(Ask *ask, BkcError *err)
{
	BkcWalGet  *w = ask->w;
	uint64_t	begin = bkc_walget_start(w);
	uint64_t	end = begin + w->segment_size;
	char		lsn[24];

	if (w->until == UINT64_MAX || w->target == 0)
		return true;
	if (!bkc_walget_part(w, true, err))
		return false;
	if (w->part.begin > begin)
		begin = w->part.begin;
	if (bkc_walget_end(w) < end)
		end = bkc_walget_end(w);
	if (begin >= end)
		return true;
	ask->gap = true;
	bkc_format_lsn(w->until, lsn, sizeof(lsn));
	bkc_error_set(err, BKC_ERR_UNAVAILABLE, "WAL segment %s is missing, but recovery shall reach %s (--until)",
				  w->file, lsn);
	return bkc_error_hint(err, "It was there when the restore began, or --until was not written by it; restore again to what there is now.");
}

/* ---- what nobody has whole ---- */

/*
 * Timelines have numbers, and who says that a history does not exist gives its
 * number free: for another one that writes other WAL under names that are there.  It matters
 * neither to a recovery that goes to a higher one.
 */
static bool
check_history(Ask *ask, BkcError *err)
{
	BkcWalGet  *w = ask->w;
	bool		has = false;

	if (w->target > w->timeline)
		return true;
	for (size_t i = 0; i < w->nrepos; i++)
	{
		BkcSession *session = &ask->sources[i].session;

		if (!bkc_walget_has_wal(session, w->timeline, &has, err))
			return false;
		if (!has)
			continue;
		ask->gap = true;
		bkc_error_set(err, BKC_ERR_UNAVAILABLE, "timeline %" PRIu32 " has WAL in repository \"%s\", but its history %s is missing",
					  w->timeline, session->store->location, w->file);
		return bkc_error_hint(err, "Name a further repository that has it (--repo).");
	}
	return true;
}

/* Nobody has the whole file, and everybody has answered. */
static bool
conclude(Ask *ask, BkcError *err)
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
	if (!measure_chunks(ask, &farthest, err))
		return false;
	return farthest == 0 ? check_promise(ask, err) : deliver_chunks(ask, farthest, err);
}

static bool
ask_all(Ask *ask, BkcError *err)
{
	BkcWalGet  *w = ask->w;
	bool		found = false;

	ask->seen = false;
	ask->gap = false;
	ask->delivered = false;
	if (!bkc_walget_part(w, false, err))
		return false;
	for (size_t i = 0; i < w->nrepos; i++)
	{
		Source	   *source = &ask->sources[i];

		source->answered = ask_source(ask, i, &found, &source->err);
		if (!source->answered && (w->target_failed || source->err.code == BKC_ERR_CANCELLED))
		{
			*err = source->err;
			return false;
		}
		if (source->answered && found)
		{
			ask->delivered = true;
			bkc_walget_prefetch(w);
			for (size_t k = 0; k < i; k++)
			{
				if (!ask->sources[k].answered)
					bkc_log(BKC_LOG_WARNING, "%s", ask->sources[k].err.message);
			}
			return true;
		}
	}
	return first_failure(ask, err) && conclude(ask, err);
}

/* What the other repositories said, when one of them is reported as the error. */
static void
tell_others(const Ask *ask, const BkcError *err)
{
	for (size_t i = 0; i < ask->w->nrepos; i++)
	{
		const Source *source = &ask->sources[i];

		if (!source->answered && !ask->w->target_failed && source->err.code != BKC_OK &&
			strcmp(source->err.message, err->message) != 0)
			bkc_report_warning("%s", source->err.message);
	}
}

bool
bkc_walget_ask(BkcWalGet *w, bool *delivered, BkcError *err)
{
	Ask			ask = {.w = w};
	BkcRetryPolicy policy = {
		.max_attempts = w->retry_ms == 0 ? 1 : w->retry_ms / 1000 + 8,
		.first_wait_ms = FIRST_WAIT_MS,
		.max_wait_ms = MAX_WAIT_MS,
		.total_ms = w->retry_ms
	};
	BkcRetry	retry;
	bool		ok;

	*delivered = false;
	ask.sources = calloc(w->nrepos, sizeof(Source));
	if (ask.sources == NULL)
		return bkc_error_oom(err);
	for (size_t i = 0; i < w->nrepos; i++)
		bkc_error_clear(&ask.sources[i].err);
	bkc_retry_begin(&retry, &policy);
	do
	{
		ok = ask_all(&ask, err);
		if (ask.gap && retry.policy.total_ms > GAP_MS)
			retry.policy.total_ms = GAP_MS;
	} while (!ok && !w->target_failed && bkc_retry_again(&retry, err));
	*delivered = ok && ask.delivered;
	if (!ok && err->code != BKC_ERR_CANCELLED)
		tell_others(&ask, err);
	for (size_t i = 0; i < w->nrepos; i++)
		bkc_session_close(&ask.sources[i].session);
	free(ask.sources);
	return ok;
}
