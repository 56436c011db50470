/*
 * walget_ask.c
 *		Asks one repository after the other.
 *
 * In each repository the archive comes first, then the WAL inside backups.
 * What is nowhere whole is for walget_conclude.c.
 */
#include "walget.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "base/retry.h"
#include "pipe/walobj.h"

#include "keys.h"
#include "report.h"

#define FIRST_WAIT_MS	200
#define MAX_WAIT_MS		5000
#define GAP_MS			5000	/* helpers upload ahead: what is missing may be on its way */

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
	session->options = w->options;
	if (!bkc_store_open(&session->url, &session->store, err) ||
		!bkc_keys_attach(w->options, &session->url, session->store, err))
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
learn_size(BkcWalGet *w, BkcWalSource *source, BkcError *err)
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
ask_archive(BkcWalAsk *ask, BkcWalSource *source, bool *found, BkcError *err)
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
ask_source(BkcWalAsk *ask, size_t n, bool *found, BkcError *err)
{
	BkcWalGet  *w = ask->w;
	BkcWalSource *source = &ask->sources[n];
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
first_failure(const BkcWalAsk *ask, BkcError *err)
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

static bool
ask_all(BkcWalAsk *ask, BkcError *err)
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
		BkcWalSource *source = &ask->sources[i];

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
	return first_failure(ask, err) && bkc_walget_conclude(ask, err);
}

/* What the other repositories said, when one of them is reported as the error. */
static void
tell_others(const BkcWalAsk *ask, const BkcError *err)
{
	for (size_t i = 0; i < ask->w->nrepos; i++)
	{
		const BkcWalSource *source = &ask->sources[i];

		if (!source->answered && !ask->w->target_failed && source->err.code != BKC_OK &&
			strcmp(source->err.message, err->message) != 0)
			bkc_report_warning("%s", source->err.message);
	}
}

bool
bkc_walget_ask(BkcWalGet *w, bool *delivered, BkcError *err)
{
	BkcWalAsk	ask = {.w = w};
	BkcRetryPolicy policy = {
		.max_attempts = w->retry_ms == 0 ? 1 : w->retry_ms / 1000 + 8,
		.first_wait_ms = FIRST_WAIT_MS,
		.max_wait_ms = MAX_WAIT_MS,
		.total_ms = w->retry_ms
	};
	BkcRetry	retry;
	bool		ok;

	*delivered = false;
	ask.sources = calloc(w->nrepos, sizeof(BkcWalSource));
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
