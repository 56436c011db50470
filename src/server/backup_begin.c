/*
 * backup_begin.c
 *		A backup until its begin object; see backup_leader.h.
 */
#include "pgcompat.h"

#include <unistd.h>

#include "backup_leader.h"
#include "backup_wal.h"
#include "base/host.h"
#include "base/text.h"
#include "catalog.h"
#include "configfiles.h"
#include "keys.h"
#include "miscadmin.h"
#include "pipe/object.h"
#include "preflight.h"
#include "seen.h"
#include "settle.h"
#include "utils/memutils.h"

#define LABEL_TICK_MS		100
#define LABEL_WAIT_MAX		(5 * USECS_PER_SEC)

static void
check(bool ok, const BkcError *err)
{
	if (!ok)
		bkc_ereport(ERROR, err);
}

/* ---- preflight ---- */

const char *
bkc_backup_compression(const BkcLeader *l)
{
	return l->codec == BKC_CODEC_NONE ? "none" :
		psprintf("%s:%d", bkc_codec_name(l->codec), l->level);
}

/*
 * Before anything is written or the server asked for a checkpoint.  The list of files is made again
 * after the start; this one only tells how much there is.
 */
static void
preflight_space(BkcLeader *l)
{
	MemoryContext old;
	MemoryContext context;
	uint64		bytes;

	if ((l->store->caps & BKC_CAP_SPACE) == 0)
		return;
	context = AllocSetContextCreate(CurrentMemoryContext, "pg_backupctl space",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	bytes = bkc_scan()->bytes;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	bkc_preflight_space(l->store, l->repo->name, (uint64) (bytes * l->ratio),
						l->job->args.ignore_space);
}

void
bkc_backup_preflight(BkcLeader *l)
{
	BkcJobArgs *args = &l->job->args;
	BkcError	err;

	bkc_preflight_server();
	l->repo = bkc_settings_repository(args->repository[0] ? args->repository : NULL);

	/* workers must mean the same one, whatever is reloaded meanwhile */
	strlcpy(args->repository, l->repo->name, sizeof(args->repository));
	bkc_settings_codec(l->repo, args->compression[0] ? args->compression : NULL,
					   &l->codec, &l->level);
	l->sysid = GetSystemIdentifier();
	bkc_spool_owner(l->owner);
	if (gethostname(l->host, sizeof(l->host)) < 0)
		strlcpy(l->host, "unknown", sizeof(l->host));
	l->host[sizeof(l->host) - 1] = '\0';
	check(bkc_repo_open(l->repo, &l->store, &err), &err);
	check(bkc_store_use_class(l->store, args->storage_class, &err), &err);
	if (!bkc_store_probe(l->store, l->owner, &err))
	{
		bkc_error_context(&err, "repository \"%s\" cannot be used", l->repo->name);
		bkc_ereport(ERROR, &err);
	}
	check(bkc_keyring_seals(l->store, &l->sealed, &err), &err);
	bkc_preflight_cluster(l->store, l->repo, l->sysid);
	check(bkc_ownership_check(l->repo, l->store, &err), &err);
	if (args->wal_in_archive)
		bkc_backup_archive_preflight(l->repo);
	else
		bkc_backup_archive_warn(l->job);
	if (!bkc_settle_rows(&err))
		bkc_ereport(WARNING, &err);

	/* what needs the catalog, before anything else may go wrong */
	l->ratio = l->codec == BKC_CODEC_NONE ? 1.0 :
		bkc_preflight_ratio(l->repo->name, args->type, bkc_backup_compression(l));
	l->config_files = bkc_config_files();
	preflight_space(l);
}

/* ---- row and begin object ---- */

/*
 * Labels sort by the second of the start; two in one second would sort by
 * chance.  So the next one waits until the last one's second is over.
 */
static void
wait_for_next_label(void)
{
	char	   *last = bkc_catalog_lookup("SELECT pg_catalog.max(label) FROM %s.backup_catalog");
	int64		next = last && bkc_label_valid(last) ? bkc_label_time(last) + USECS_PER_SEC : 0;

	if (next - bkc_host->now() > LABEL_WAIT_MAX)
		ereport(WARNING,
				(errmsg("the clock is behind the start of backup \"%s\"", last),
				 errhint("Labels sort by time: this backup will sort before that one. Check the clock.")));
	else
		while (bkc_host->now() < next)
		{
			CHECK_FOR_INTERRUPTS();
			bkc_host->wait(LABEL_TICK_MS);
		}
}

/* begin names it already, so that it is swept with the rest if this is as far as we get. */
static void
make_data_key(BkcLeader *l)
{
	BkcError	err;

	if (l->sealed &&
		!bkc_keyring_make_backup(l->store, l->sysid, l->label, l->data_key, &err))
	{
		if (err.code == BKC_ERR_KEY)
			bkc_seen_key(l->repo, &err, false);
		bkc_ereport(ERROR, &err);
	}
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	l->job->sealed = l->sealed;
	memcpy(l->job->data_key, l->data_key, sizeof(l->job->data_key));
	LWLockRelease(bkc_shared->lock);
}

void
bkc_backup_announce(BkcLeader *l)
{
	BkcJob	   *job = l->job;
	BkcBeginDoc doc = {0};
	BkcBuffer	text = {0};
	char		name[BKC_NAME_MAX];
	char		label[BKC_LABEL_MAX];
	BkcError	err;
	bool		ok;

	wait_for_next_label();
	l->start_time = bkc_host->now();
	check(bkc_label_make(job->args.type, l->start_time, label, &err), &err);

	/* from here on the label counts as active: settle keeps its hands off */
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	strlcpy(job->label, label, sizeof(job->label));
	LWLockRelease(bkc_shared->lock);
	strlcpy(l->label, label, sizeof(l->label));

	check(bkc_name_backup(l->sysid, label, name, &err), &err);
	name[strlen(name) - 1] = '\0';	/* a folder, written without its slash */
	l->id = bkc_catalog_insert(&job->args, label, l->repo->name,
							   psprintf("%s/%s", l->store->location, name), l->start_time);
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	job->id = l->id;
	LWLockRelease(bkc_shared->lock);
	ConditionVariableBroadcast(&job->cv);
	bkc_backup_fault(l, BKC_FAULT_LEADER_ROW);

	strlcpy(doc.label, label, sizeof(doc.label));
	strlcpy(doc.type, job->args.type, sizeof(doc.type));
	strlcpy(doc.owner, l->owner, sizeof(doc.owner));
	strlcpy(doc.host, l->host, sizeof(doc.host));
	doc.system_identifier = l->sysid;
	doc.start_time = l->start_time;
	doc.sealed = l->sealed;
	if (l->sealed)
	{
		check(bkc_random(l->data_key, sizeof(l->data_key), &err), &err);
		memcpy(doc.data_key, l->data_key, sizeof(doc.data_key));
	}
	ok = bkc_name_begin(l->sysid, label, name, &err) &&
		bkc_begindoc_encode(&doc, &text, &err) &&
		bkc_document_put(l->store, name, BKC_KIND_BEGIN, bkc_buffer_str(&text), text.len, &err);
	bkc_buffer_free(&text);
	check(ok, &err);
	bkc_backup_fault(l, BKC_FAULT_LEADER_BEGIN);
	make_data_key(l);
}
