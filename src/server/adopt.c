/*
 * adopt.c
 *		See adopt.h.
 */
#include "pgcompat.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "adopt.h"
#include "base/fault.h"
#include "base/text.h"
#include "clock.h"
#include "format/documents.h"
#include "format/names.h"
#include "marks.h"
#include "miscadmin.h"
#include "ownership.h"
#include "pipe/lineage.h"
#include "pipe/manifestio.h"
#include "pipe/object.h"
#include "pipe/owner.h"
#include "pipe/unpack.h"
#include "pipe/walmap.h"
#include "pipe/walobj.h"
#include "walshared.h"

/*
 * A server at work has sent WAL since.  One where nothing happens has not, so silence proves
 * nothing: it is asked for besides what can be seen on this machine.
 */
#define LATELY		((int64) 5 * USECS_PER_MINUTE)

/* As retention has it: an unfinished backup that began later may still be running. */
#define ABANDONED	((int64) 7 * USECS_PER_DAY)

static const char *
force_hint(const BkcAdoption *a)
{
	return psprintf("SELECT backup_adopt(%lld, '%s', force => true)", (long long) a->sysid,
					a->repo->name);
}

/* ---- is its server at work? ---- */

static bool
is_here(const BkcOwnerDoc *doc)
{
	char		host[BKC_DOC_TEXT_MAX] = "";

	(void) gethostname(host, sizeof(host) - 1);
	return strcmp(host, doc->host) == 0;
}

/* The process in postmaster.pid of its data directory, as far as that is on this machine; or 0. */
static long
server_pid(const BkcOwnerDoc *doc)
{
	char		path[MAXPGPATH];
	FILE	   *file;
	long		pid = 0;

	if (!is_here(doc) ||
		snprintf(path, sizeof(path), "%s/postmaster.pid", doc->data_directory) >= (int) sizeof(path))
		return 0;
	file = fopen(path, "r");
	if (file == NULL)
		return 0;
	if (fscanf(file, "%ld", &pid) != 1 || pid <= 0)
		pid = 0;
	fclose(file);

	/* what was upgraded may have taken the old one's place */
	if (pid == (long) PostmasterPid || (pid != 0 && kill((pid_t) pid, 0) < 0 && errno == ESRCH))
		pid = 0;
	return pid;
}

/* What each timeline ends with. */
static bool
newest_wal(const BkcWalMap *map, int64 *newest, BkcError *err)
{
	for (size_t i = 0; i < map->nruns; i++)
	{
		int64_t		time;

		if (i + 1 < map->nruns && map->runs[i + 1].timeline == map->runs[i].timeline)
			continue;
		if (!bkc_walmap_time(map, map->runs[i].timeline, map->runs[i].last, &time, err))
			return false;
		*newest = Max(*newest, time);
	}
	for (size_t i = 0; i < map->ntails; i++)
	{
		char		segment[BKC_WAL_NAME_MAX];
		BkcWalRow	row;

		bkc_wal_segment_name(map->tails[i].timeline, map->tails[i].segno, map->segment_size,
							 segment);
		if (bkc_wal_chunks_end(map->store, map->sysid, segment, &row, err))
			*newest = Max(*newest, row.time);
		else if (err->code != BKC_ERR_NOT_FOUND && err->code != BKC_ERR_CORRUPT)
			return false;
	}
	return true;
}

static bool
refuse_backup(const BkcAdoption *a, const char *label, BkcError *err)
{
	bkc_error_set(err, BKC_ERR_STATE, "backup %s of cluster %llu in repository \"%s\" is not finished",
				  label, (unsigned long long) a->sysid, a->repo->name);
	bkc_error_detail(err, "It began within the last %d days, so its server may be at it.",
					 (int) (ABANDONED / USECS_PER_DAY));
	return bkc_error_hint(err, "Make sure that its server is stopped for good, then run %s.",
						  force_hint(a));
}

/* Without a manifest: nobody is at it when its begin object is gone or old. */
static bool
check_unfinished(const BkcAdoption *a, const char *label, BkcError *err)
{
	char		name[BKC_NAME_MAX];
	BkcBuffer	text = {0};
	BkcBeginDoc doc;
	int64		began = bkc_label_time(label);
	bool		ok;

	ok = bkc_name_begin(a->sysid, label, name, err) &&
		bkc_document_get(a->store, name, BKC_KIND_BEGIN, &text, err) &&
		bkc_begindoc_decode(bkc_buffer_str(&text), text.len, name, &doc, err);
	bkc_buffer_free(&text);
	if (ok)
		began = doc.start_time;
	else if (err->code == BKC_ERR_NOT_FOUND)
		return true;
	else if (err->code != BKC_ERR_CORRUPT && err->code != BKC_ERR_UNSUPPORTED &&
			 err->code != BKC_ERR_KEY)
		return false;
	return began <= bkc_clock_to_unix(bkc_clock_now()) - ABANDONED ||
		refuse_backup(a, label, err);
}

/* Also refuses when it is not finished. */
static bool
newest_backup(const BkcAdoption *a, int64 *newest, BkcError *err)
{
	BkcBackupRef *refs;
	BkcManifestHeader header;
	size_t		n;
	bool		ok = true;

	if (!bkc_repo_backups(a->store, a->sysid, &refs, &n, err))
		return false;
	if (n > 0)
		*newest = Max(*newest, bkc_label_time(refs[n - 1].label));

	/* when it ended: one that goes on for long may have nothing else to show */
	if (n > 0 && refs[n - 1].complete)
	{
		ok = bkc_manifest_peek(a->store, a->sysid, refs[n - 1].label, &header, err);
		if (ok)
		{
			*newest = Max(*newest, header.stop_time);
			bkc_manifest_header_free(&header);
		}
		ok = ok || err->code == BKC_ERR_CORRUPT || err->code == BKC_ERR_NOT_FOUND ||
			err->code == BKC_ERR_ARCHIVED;
	}
	else if (n > 0)
		ok = check_unfinished(a, refs[n - 1].label, err);
	free(refs);
	return ok;
}

static bool
refuse_running(const BkcAdoption *a, long pid, BkcError *err)
{
	bkc_error_set(err, BKC_ERR_STATE, "the server of cluster %llu is running",
				  (unsigned long long) a->sysid);
	bkc_error_detail(err, "Process %ld has the data directory \"%s\", which owns the cluster in repository \"%s\".",
					 pid, a->last.data_directory, a->repo->name);
	return bkc_error_hint(err, "Stop it first.  If that is not its server, run %s.", force_hint(a));
}

static bool
refuse_unseen(const BkcAdoption *a, BkcError *err)
{
	bkc_error_set(err, BKC_ERR_STATE, "whether the server of cluster %llu on host \"%s\" is stopped cannot be seen from here",
				  (unsigned long long) a->sysid, a->last.host);
	bkc_error_detail(err, "Its data directory \"%s\" owns the cluster in repository \"%s\".  That nothing was written there lately proves nothing: an idle server writes nothing.",
					 a->last.data_directory, a->repo->name);
	return bkc_error_hint(err, "Make sure that it is stopped for good, then run %s.", force_hint(a));
}

static bool
refuse_lately(const BkcAdoption *a, int64 newest, BkcError *err)
{
	char		when[48];

	bkc_format_moment(newest, false, when, sizeof(when));
	bkc_error_set(err, BKC_ERR_STATE, "cluster %llu has written to repository \"%s\" within the last %d minutes",
				  (unsigned long long) a->sysid, a->repo->name, (int) (LATELY / USECS_PER_MINUTE));
	bkc_error_detail(err, "The newest thing of it is of %s.", when);
	return bkc_error_hint(err, "Make sure that its server is stopped for good, then wait, or run %s.",
						  force_hint(a));
}

static bool
check_silence(const BkcAdoption *a, BkcError *err)
{
	long		pid = a->found ? server_pid(&a->last) : 0;
	int64		newest = a->last.time;
	BkcWalMap  *map;
	bool		ok;

	if (pid != 0)
		return refuse_running(a, pid, err);
	if (a->found && !is_here(&a->last))
		return refuse_unseen(a, err);
	if (!bkc_walmap_load(a->store, a->sysid, 0, &map, err))
		return false;
	ok = newest_backup(a, &newest, err) && newest_wal(map, &newest, err);
	bkc_walmap_free(map);
	if (ok && newest > bkc_clock_to_unix(bkc_clock_now()) - LATELY)
		return refuse_lately(a, newest, err);
	return ok;
}

/* ---- may it be adopted? ---- */

static bool
refuse_adopted(const BkcAdoption *a, uint64 other, BkcError *err)
{
	bkc_error_set(err, BKC_ERR_STATE, "cluster %llu in repository \"%s\" is a predecessor of cluster %llu",
				  (unsigned long long) a->sysid, a->repo->name, (unsigned long long) other);
	return bkc_error_hint(err, "If that one is a predecessor of this cluster, adopt it instead: both come.  To take this one away from it, run %s.",
						  force_hint(a));
}

static bool
refuse_damaged(const BkcAdoption *a, BkcError *err)
{
	bkc_error_context(err, "cluster %llu in repository \"%s\" does not tell its owner",
					  (unsigned long long) a->sysid, a->repo->name);
	return bkc_error_hint(err, "If its server is stopped for good, run %s.", force_hint(a));
}

static bool
is_there(BkcAdoption *a, bool *there, BkcError *err)
{
	char		name[BKC_NAME_MAX];
	uint64_t	size;

	if (!bkc_name_cluster(a->sysid, name, err))
		return false;
	*there = bkc_store_stat(a->store, name, &size, err);
	return *there || err->code == BKC_ERR_NOT_FOUND;
}

bool
bkc_adopt_judge(BkcAdoption *a, bool force, BkcError *err)
{
	uint64_t	other;
	bool		there;
	bool		leads;

	a->is = BKC_ADOPT_ABSENT;
	if (!is_there(a, &there, err))
		return false;
	if (!there)
		return true;
	if (!bkc_ownership_check(a->repo, a->store, err) ||
		!bkc_lineage_leads(a->store, a->sysid, GetSystemIdentifier(), &leads, &other, err))
		return false;
	a->is = leads ? BKC_ADOPT_ALREADY : BKC_ADOPT_POSSIBLE;
	if (leads)
		return true;
	if (!bkc_owner_current(a->store, a->sysid, &a->last, &a->found, err))
	{
		if (!a->found || err->code == BKC_ERR_KEY)
			return false;
		if (!force)
			return refuse_damaged(a, err);
	}
	if (other != 0 && !force)
		return refuse_adopted(a, other, err);
	return force || check_silence(a, err);
}

/* ---- the claim ---- */

bool
bkc_adopt_claim(BkcAdoption *a, const char *by, BkcError *err)
{
	BkcOwnerDoc doc = {0};

	if (!bkc_identity_get(doc.owner, err))
		return false;
	doc.number = a->last.number + 1;
	doc.system_identifier = a->sysid;
	if (gethostname(doc.host, sizeof(doc.host)) < 0)
		strlcpy(doc.host, "unknown", sizeof(doc.host));
	doc.host[sizeof(doc.host) - 1] = '\0';
	strlcpy(doc.data_directory, DataDir, sizeof(doc.data_directory));

	/* of its own WAL, not of ours */
	doc.timeline = Max(a->last.timeline, 1);
	doc.lsn = a->last.lsn;
	doc.session = bkc_wal->session;
	doc.time = bkc_clock_to_unix(bkc_clock_now());
	strlcpy(doc.reason, "adopted", sizeof(doc.reason));
	strlcpy(doc.by, by, sizeof(doc.by));
	doc.successor = GetSystemIdentifier();
	if (!bkc_fault(BKC_FAULT_ADOPT, err))
		return false;
	if (!bkc_owner_claim(a->store, &doc, err))
	{
		if (err->code != BKC_ERR_EXISTS)
			return false;
		bkc_error_set(err, BKC_ERR_STATE, "cluster %llu in repository \"%s\" is being claimed by others just now",
					  (unsigned long long) a->sysid, a->repo->name);
		return bkc_error_hint(err, "Is its server running?");
	}
	ereport(LOG,
			(errmsg("role \"%s\" made cluster %llu in repository \"%s\" a predecessor of this one",
					by, (unsigned long long) a->sysid, a->repo->name),
			 errdetail("Claim %u there.", doc.number)));
	return bkc_fault(BKC_FAULT_ADOPTED, err);
}
