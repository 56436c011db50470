/*
 * preflight.c
 *		See preflight.h.
 */
#include "pgcompat.h"

#include <limits.h>
#include <stdlib.h>

#include "base/text.h"
#include "catalog.h"
#include "errors.h"
#include "format/documents.h"
#include "format/names.h"
#include "keys.h"
#include "knowncluster.h"
#include "miscadmin.h"
#include "ownership.h"
#include "pipe/object.h"
#include "preflight.h"
#include "settings.h"
#include "sqlrun.h"

static void
check(bool ok, const BkcError *err)
{
	if (!ok)
		bkc_ereport(ERROR, err);
}

void
bkc_preflight_server(void)
{
	if (!bkc_set_enabled)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pg_backupctl is switched off on this server"),
				 errdetail("pg_backupctl.enabled is off, as in every restored clone."),
				 errhint("Set pg_backupctl.enabled to on if this server is to be backed up into its configured repositories.")));
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("backups on a standby are not supported yet"),
				 errhint("Run the backup on the primary.")));
	if (wal_level < WAL_LEVEL_REPLICA)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("wal_level is too low for a backup"),
				 errhint("Set wal_level to replica or logical and restart the server.")));
}

/*
 * An unmounted disk looks like an empty repository.  A backup into the empty
 * folder would fill the wrong file system and disappear at the next mount.
 */
static void
refuse_lost_repository(const BkcRepoDef *repo)
{
	char	   *known = bkc_catalog_completed(repo->name);

	if (known == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("repository \"%s\" does not hold this cluster any more", repo->name),
			 errdetail("backup_catalog knows %s completed backups there.", known),
			 errhint("Check that it is mounted and that its URL is right.  If the backups are gone for good, delete their rows from backup_catalog.")));
}

/* Read and compare the cluster object; false when there is none. */
static bool
compare_cluster(BkcStore *store, const BkcRepoDef *repo, uint64 sysid)
{
	char		name[BKC_NAME_MAX];
	BkcBuffer	text = {0};
	BkcClusterDoc doc = {0};
	BkcError	err;
	bool		ok;

	check(bkc_name_cluster(sysid, name, &err), &err);
	ok = bkc_document_get(store, name, BKC_KIND_CLUSTER, &text, &err) &&
		bkc_clusterdoc_decode(bkc_buffer_str(&text), text.len, name, &doc, &err);
	bkc_buffer_free(&text);
	if (!ok && err.code == BKC_ERR_NOT_FOUND)
		return false;
	check(ok, &err);
	if (doc.system_identifier != sysid)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("repository \"%s\" holds another cluster under the name of this one", repo->name),
				 errdetail("Object \"%s\" says system identifier %llu, this cluster has %llu.",
						   name, (unsigned long long) doc.system_identifier,
						   (unsigned long long) sysid)));
	return true;
}

/*
 * The cluster object is made by whoever writes first, and compared by all
 * others; who may write is settled before anything else is stored.
 */
void
bkc_preflight_cluster(BkcStore *store, const BkcRepoDef *repo, uint64 sysid)
{
	BkcError	err;

	if (!compare_cluster(store, repo, sysid))
		refuse_lost_repository(repo);
	check(bkc_known_cluster(repo, store, &err), &err);
	check(bkc_ownership_check(repo, store, &err), &err);
}

/* How many backups tell what the next one will take. */
#define HISTORY		"5"

double
bkc_preflight_ratio(const char *repository, const char *type, const char *compression)
{
	const char *values[3] = {repository, type, compression};
	double		ratio;

	bkc_sqlrun_begin();
	bkc_sqlrun_exec("WITH done AS MATERIALIZED (SELECT c.id,"
					"   c.backup_size_bytes::float8 OPERATOR(pg_catalog./) c.original_size_bytes AS ratio,"
					"   c.backup_type OPERATOR(pg_catalog.=) $2"
					"     AND c.metadata OPERATOR(pg_catalog.->>) 'compression' OPERATOR(pg_catalog.=) $3"
					"     AND EXISTS (SELECT FROM %s.backup_copy y"
					"       WHERE y.backup_id OPERATOR(pg_catalog.=) c.id"
					"       AND y.repository OPERATOR(pg_catalog.=) $1) AS alike"
					"   FROM %s.backup_catalog c WHERE c.status OPERATOR(pg_catalog.=) 'completed'"
					"   AND c.label IS NOT NULL AND c.original_size_bytes OPERATOR(pg_catalog.>) 0)"
					" SELECT COALESCE((SELECT pg_catalog.max(d.ratio) FROM (SELECT ratio FROM done"
					"   WHERE alike ORDER BY id DESC LIMIT " HISTORY ") d),"
					"   (SELECT ratio FROM done ORDER BY id DESC LIMIT 1), 0.5)::text",
					SPI_OK_SELECT, 3, values);
	ratio = strtod(bkc_sqlrun_value(0, 1), NULL);
	bkc_sqlrun_finish();
	return ratio;
}

void
bkc_preflight_space(BkcStore *store, const char *repository, uint64 need, bool force)
{
	uint64_t	free_bytes;
	char		need_text[32];
	char		free_text[32];
	BkcError	err;

	if ((store->caps & BKC_CAP_SPACE) == 0)
		return;
	check(bkc_store_space(store, &free_bytes, &err), &err);
	if (free_bytes >= need)
		return;
	bkc_format_size(need, need_text, sizeof(need_text));
	bkc_format_size(free_bytes, free_text, sizeof(free_text));
	ereport(force ? WARNING : ERROR,
			(errcode(ERRCODE_DISK_FULL),
			 errmsg("repository \"%s\" has too little free space for a backup", repository),
			 errdetail("By former backups about %s are needed, %s are free.", need_text, free_text),
			 force ? 0 :
			 errhint("Free space below \"%s\", for example by backup_expire(dry_run => false).  The option \"check_space\": false takes the backup all the same.",
					 store->location)));
}

/* Is path below (or equal to) folder, links resolved? */
static bool
is_inside(const char *path, const char *folder)
{
	char		a[PATH_MAX];
	char		b[PATH_MAX];
	size_t		len;

	if (realpath(path, a) == NULL || realpath(folder, b) == NULL)
		return false;
	len = strlen(b);
	return strncmp(a, b, len) == 0 && (a[len] == '/' || a[len] == '\0');
}

/* A backup that contains the key which opens it. */
static void
check_key_place(const BkcRepoDef *repo)
{
	const char *p = bkc_repo_key_files(repo);
	const char *found;
	size_t		len;

	while (bkc_keyring_next_file(&p, &found, &len))
	{
		char	   *path = pnstrdup(found, len);

		if (is_inside(path, DataDir))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("key file \"%s\" lies inside the data directory", path),
					 errdetail("Each backup would contain it, also those that are not sealed."),
					 errhint("Move it elsewhere, and keep a copy on another machine.")));
	}
}

void
bkc_preflight_location(const BkcRepoDef *repo, const BkcScan *scan)
{
	const char *inside = NULL;

	check_key_place(repo);
	if (strcmp(repo->url.scheme, "file") != 0)
		return;
	if (is_inside(repo->url.path, DataDir))
		inside = DataDir;
	for (size_t i = 0; i < scan->ntablespaces && inside == NULL; i++)
		if (scan->tablespaces[i].path != NULL &&
			is_inside(repo->url.path, scan->tablespaces[i].path))
			inside = scan->tablespaces[i].path;
	if (inside != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("repository \"%s\" lies inside \"%s\"", repo->name, inside),
				 errdetail("Each backup would contain all former ones, and be lost together with the data."),
				 errhint("Put it elsewhere, best on another machine's disk.")));
}
