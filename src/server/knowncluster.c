/*
 * knowncluster.c
 *		See knowncluster.h.
 */
#include "pgcompat.h"

#include <errno.h>
#include <unistd.h>

#include "base/file.h"
#include "base/host.h"
#include "common/file_perm.h"
#include "errors.h"
#include "format/documents.h"
#include "format/names.h"
#include "knowncluster.h"
#include "marks.h"
#include "miscadmin.h"
#include "pipe/object.h"
#include "spool.h"
#include "utils/guc.h"
#include "walshared.h"

/* By place, because another one under the same name is another repository. */
static void
known_path(const BkcRepoDef *def, char path[MAXPGPATH])
{
	snprintf(path, MAXPGPATH, "%s/repository.%016llx", BKC_SPOOL_DIR, (unsigned long long) bkc_wal_place(&def->url));
}

static bool
remember(const BkcRepoDef *def, BkcError *err)
{
	char		path[MAXPGPATH];

	known_path(def, path);
	if (access(path, F_OK) == 0)
		return true;
	return bkc_dir_create(BKC_SPOOL_DIR, pg_dir_create_mode, err) &&
		bkc_file_put(path, def->url.text, strlen(def->url.text), pg_file_create_mode, true, err);
}

static bool
refuse_lost(const BkcRepoDef *def, BkcError *err)
{
	bkc_error_set(err, BKC_ERR_STATE, "repository \"%s\" does not hold this cluster any more",
				  def->name);
	bkc_error_detail(err, "This server has used it before at \"%s\".", def->url.text);
	return bkc_error_hint(err, "Check that it is mounted and that its URL is right.  If it is to be begun anew, run SELECT backup_take_over('%s').",
						  def->name);
}

/* Does the data directory remember it?  What cannot be read counts as yes. */
static bool
is_remembered(const BkcRepoDef *def)
{
	char		path[MAXPGPATH];

	known_path(def, path);
	return access(path, F_OK) == 0 || errno != ENOENT;
}

/*
 * A promoted standby, or what was restored to take over, goes on with what the cluster has.
 * Which repositories that has used it need not remember: no backup contains that, and a standby
 * never opens one.  So what is not there may be what is not mounted.
 */
static bool
may_begin(const BkcRepoDef *def, BkcError *err)
{
	static const char *const names[] = {BKC_MARK_STANDBY, BKC_MARK_TAKEOVER};

	for (int i = 0; i < lengthof(names); i++)
	{
		BkcMark		mark;

		if (!bkc_mark_read(names[i], &mark, err))
			return false;
		if (!mark.valid || bkc_mark_is_used(&mark, def->name))
			continue;
		bkc_error_set(err, BKC_ERR_STATE, "repository \"%s\" does not hold this cluster, and a successor does not begin it by itself",
					  def->name);
		bkc_error_detail(err, i == 0 ?
						 "This server was a standby and has not been in it before, at \"%s\"; one that is not mounted looks like that." :
						 "This server was restored with --take-over and has not been in it before, at \"%s\"; one that is not mounted looks like that.",
						 def->url.text);
		return bkc_error_hint(err, "Check that it is mounted and that its URL is right.  If the cluster has never used it, run SELECT backup_take_over('%s').",
							  def->name);
	}
	return true;
}

/* Made by whoever comes first; two may try at once. */
static bool
create_cluster(const BkcRepoDef *def, BkcStore *store, const char *name, BkcError *err)
{
	BkcClusterDoc doc = {0};
	BkcBuffer	text = {0};
	bool		ok;

	if (RecoveryInProgress())
		return bkc_error_set(err, BKC_ERR_STATE, "repository \"%s\" does not hold this cluster, and a standby does not begin it",
							 def->name);
	doc.system_identifier = GetSystemIdentifier();
	strlcpy(doc.name, cluster_name, sizeof(doc.name));
	doc.pg_version_num = BKC_PG_VERSION;
	doc.created = bkc_host->now();
	ok = bkc_clusterdoc_encode(&doc, &text, err) &&
		(bkc_document_put(store, name, BKC_KIND_CLUSTER, bkc_buffer_str(&text), text.len, err) ||
		 err->code == BKC_ERR_EXISTS);
	bkc_buffer_free(&text);
	return ok;
}

/* *there = false: proven absent. */
static bool
look(BkcStore *store, char name[BKC_NAME_MAX], bool *there, BkcError *err)
{
	uint64_t	size;

	if (!bkc_name_cluster(GetSystemIdentifier(), name, err))
		return false;
	*there = bkc_store_stat(store, name, &size, err);
	return *there || err->code == BKC_ERR_NOT_FOUND;
}

bool
bkc_known_cluster(const BkcRepoDef *def, BkcStore *store, BkcError *err)
{
	char		name[BKC_NAME_MAX];
	bool		there;

	if (!look(store, name, &there, err))
		return false;
	if (!there && is_remembered(def))
		return refuse_lost(def, err);
	if (!there && !RecoveryInProgress() && !may_begin(def, err))
		return false;
	return (there || create_cluster(def, store, name, err)) && remember(def, err);
}

bool
bkc_known_begin_anew(const BkcRepoDef *def, BkcStore *store, bool *begun, BkcError *err)
{
	char		name[BKC_NAME_MAX];
	bool		there;

	*begun = false;
	if (!look(store, name, &there, err))
		return false;
	*begun = !there && is_remembered(def);

	/* the memory stays: it is right again now */
	return (there || create_cluster(def, store, name, err)) && remember(def, err);
}
