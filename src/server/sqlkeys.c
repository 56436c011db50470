/*
 * sqlkeys.c
 *		The functions about keys that SQL calls: replacing the wrapping key, and
 *		destroying a backup's data key.
 *
 * They ask repositories in the caller's backend and transaction, as those in sqlwal.c. What
 * they have done in a repository stays done when that transaction is rolled
 * back; both may be called again.
 */
#include "pgcompat.h"

#include <stdlib.h>

#include "access/xlog_internal.h"
#include "base/host.h"
#include "base/text.h"
#include "catalog.h"
#include "errors.h"
#include "event.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "format/documents.h"
#include "funcapi.h"
#include "keys.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "ownership.h"
#include "pipe/keycopies.h"
#include "pipe/lineage.h"
#include "pipe/manifestio.h"
#include "pipe/object.h"
#include "pipe/unpack.h"
#include "pipe/walobj.h"
#include "pipe/walproof.h"
#include "settings.h"
#include "shared.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(bkc_sql_rotate_key);
PG_FUNCTION_INFO_V1(bkc_sql_shred_keys);

static void
check(bool ok, const BkcError *err)
{
	if (!ok)
		bkc_ereport(ERROR, err);
}

/* action: "replace a key" */
static void
require_rights(const char *action)
{
	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be superuser to %s", action)));
	bkc_require_preload();
	if (RecoveryInProgress() || !bkc_set_enabled)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this server cannot %s", action),
				 errdetail("It is a standby, or pg_backupctl.enabled is off."),
				 errhint("Call the function on the server that writes into the repository.")));
}

/* What one call holds. */
typedef struct Work
{
	const char *by;
	uint64		sysid;			/* the cluster whose keys they are */
	BkcStore   *store;
	BkcKeyring *keys;
	BkcPredecessor *predecessors;
	size_t		npredecessors;
	BkcManifestHeader header;	/* of the backup that is shredded */
	bool		header_known;
} Work;

static void
work_close(void *arg)
{
	Work	   *w = arg;

	bkc_store_close(w->store);
	w->store = NULL;
	bkc_keyring_free(w->keys);
	w->keys = NULL;
	free(w->predecessors);
	w->predecessors = NULL;
	if (w->header_known)
		bkc_manifest_header_free(&w->header);
	w->header_known = false;
}

static Work *
work_begin(void)
{
	Work	   *w = palloc0(sizeof(*w));

	w->by = GetUserNameFromId(GetUserId(), false);
	w->sysid = GetSystemIdentifier();
	bkc_guard(work_close, w);
	return w;
}

/* ---- backup_rotate_key ---- */

/* The new key in front of all that open what there is now. */
static void
add_new_key(Work *w, const BkcRepoDef *repo, const char *file)
{
	const char *files = bkc_repo_key_files(repo);
	BkcError	err;

	if (files[0] != '\0')
		files = psprintf("%s,%s", file, files);
	else
		files = file;
	check(bkc_repo_keyring(repo, files, &w->keys, &err), &err);
}

/*
 * As long as the server seals with another key it makes data keys that only that
 * one opens: whoever removes the old copies would believe it to be of no use any more.
 */
static void
require_in_use(Work *w, const BkcRepoDef *repo, const char *file)
{
	uint8_t		current[BKC_WRAP_ID_SIZE];
	uint8_t		new[BKC_WRAP_ID_SIZE];
	BkcStore   *store = w->store;
	BkcError	err;

	if (bkc_keyring_nkeys(store->keys) > 0)
	{
		check(bkc_keyring_wrapping_id(store->keys, 0, GetSystemIdentifier(), current, &err), &err);
		check(bkc_keyring_wrapping_id(w->keys, 0, GetSystemIdentifier(), new, &err), &err);
		if (memcmp(current, new, sizeof(current)) == 0)
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("what is written to repository \"%s\" is not sealed with the new key yet",
					repo->name),
			 errhint("Put it first: pg_backupctl.encryption_key_file = '%s, <the old one>'.  Reload the configuration, and call the function again.",
					 file)));
}

static bool
is_rotated(const Work *w, uint64 sysid)
{
	for (size_t i = 0; i < w->npredecessors; i++)
		if (w->predecessors[i].system_identifier == sysid)
			return true;
	return sysid == GetSystemIdentifier();
}

/*
 * Whoever removes old copies throws the old key away.  After pg_upgrade the catalog knows backups
 * of a cluster that is not adopted yet: only the old key opens them.
 */
static void
require_all_rotated(FunctionCallInfo fcinfo, const Work *w, const BkcRepoDef *repo)
{
	const char *schema =
		quote_identifier(get_namespace_name(get_func_namespace(fcinfo->flinfo->fn_oid)));
	char	   *sql = psprintf("SELECT DISTINCT c.system_identifier FROM %s.backup_catalog c"
							   " JOIN %s.backup_copy y ON y.backup_id OPERATOR(pg_catalog.=) c.id"
							   " WHERE c.label IS NOT NULL AND c.system_identifier IS NOT NULL"
							   " AND y.repository OPERATOR(pg_catalog.=) $1"
							   " AND y.status OPERATOR(pg_catalog.=) 'completed'", schema, schema);
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(repo->name)};

	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute_with_args(sql, 1, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not ask the catalog for clusters");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		null;
		uint64		sysid = (uint64) DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i],
																 SPI_tuptable->tupdesc, 1, &null));
		char		name[BKC_NAME_MAX];
		uint64_t	size;
		BkcError	err;

		if (is_rotated(w, sysid))
			continue;
		if (bkc_name_cluster(sysid, name, &err) && bkc_store_stat(w->store, name, &size, &err))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("cluster %llu has backups in the catalog and is not rotated",
							(unsigned long long) sysid),
					 errdetail("It is in repository \"%s\" and is not a predecessor of this one. No key was replaced there.",
							   repo->name),
					 errhint("SELECT backup_adopt(%llu) first; or leave remove_old out, and keep the old key.",
							 (unsigned long long) sysid)));
		if (err.code != BKC_ERR_NOT_FOUND)
			bkc_ereport(ERROR, &err);
	}
	SPI_finish();
}

/* The catalog names the key that is to be kept. */
static void
note_key(FunctionCallInfo fcinfo, const Work *w, const char *repository, const char *id)
{
	const char *schema = get_namespace_name(get_func_namespace(fcinfo->flinfo->fn_oid));
	char	   *sql = psprintf("UPDATE %s.backup_catalog SET encryption_key_id = $1"
							   " WHERE repository OPERATOR(pg_catalog.=) $2"
							   " AND " BKC_CATALOG_OF("system_identifier", "$3")
							   " AND encryption_status OPERATOR(pg_catalog.=) 'AES-256-GCM'",
							   quote_identifier(schema));
	Oid			types[3] = {TEXTOID, TEXTOID, INT8OID};
	Datum		values[3] = {CStringGetTextDatum(id), CStringGetTextDatum(repository),
	Int64GetDatum((int64) w->sysid)};

	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute_with_args(sql, 3, types, values, NULL, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not note the key in the catalog");
	SPI_finish();
}

static void
rotate_cluster(FunctionCallInfo fcinfo, Work *w, const BkcRepoDef *repo, uint64 sysid,
			   bool remove_old)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	uint8_t		id[BKC_WRAP_ID_SIZE];
	char		hex[BKC_WRAP_ID_HEX];
	Datum		values[5];
	bool		nulls[5] = {false};
	BkcRotation done;
	BkcError	err;

	w->sysid = sysid;
	check(bkc_keyring_wrapping_id(w->keys, 0, sysid, id, &err), &err);
	check(bkc_keys_rotate(w->store, sysid, 0, remove_old, &done, &err) ||
		  bkc_error_context(&err, "keys of cluster %llu", (unsigned long long) sysid), &err);
	bkc_hex_encode(id, sizeof(id), hex);
	ereport(LOG,
			(errmsg("role \"%s\" made key %s open all %llu data keys of cluster %llu in repository \"%s\"",
					w->by, hex, (unsigned long long) done.keys, (unsigned long long) sysid,
					repo->name),
			 errdetail("%llu copies were added, %llu of other keys removed.",
					   (unsigned long long) done.added, (unsigned long long) done.removed)));
	note_key(fcinfo, w, repo->name, hex);
	bkc_event_session(&(BkcEvent)
					  {.kind = "key", .repository = repo->name,
					   .message = psprintf("key %s opens all %llu data keys%s; %llu copies were added, %llu of other keys removed",
										   hex, (unsigned long long) done.keys,
										   sysid == GetSystemIdentifier() ? "" :
										   psprintf(" of predecessor %llu",
													(unsigned long long) sysid),
										   (unsigned long long) done.added,
										   (unsigned long long) done.removed)});
	values[0] = CStringGetTextDatum(repo->name);
	values[1] = CStringGetTextDatum(hex);
	values[2] = Int64GetDatum((int64) done.keys);
	values[3] = Int64GetDatum((int64) done.added);
	values[4] = Int64GetDatum((int64) done.removed);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* Predecessors first: when all of them are done, the old key is of no use any more. */
static void
rotate(FunctionCallInfo fcinfo, Work *w, const BkcRepoDef *repo, const char *file, bool remove_old)
{
	BkcError	err;

	check(bkc_repo_open(repo, &w->store, &err), &err);
	check(bkc_ownership_check(repo, w->store, &err), &err);
	check(bkc_lineage_load(w->store, GetSystemIdentifier(), &w->predecessors, &w->npredecessors,
						   &err), &err);
	if (remove_old)
		require_all_rotated(fcinfo, w, repo);
	add_new_key(w, repo, file);
	if (remove_old)
		require_in_use(w, repo, file);
	bkc_keyring_attach(w->keys, w->store);
	for (size_t i = w->npredecessors; i > 0; i--)
		rotate_cluster(fcinfo, w, repo, w->predecessors[i - 1].system_identifier, remove_old);
	rotate_cluster(fcinfo, w, repo, GetSystemIdentifier(), remove_old);
	work_close(w);
}

Datum
bkc_sql_rotate_key(PG_FUNCTION_ARGS)
{
	const BkcRepoList *list;
	const char *file;
	bool		remove_old;
	Work	   *w;

	require_rights("replace a key");
	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the new key's file must be given")));
	file = text_to_cstring(PG_GETARG_TEXT_PP(0));
	remove_old = !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
	if (file[0] != '/' || strchr(file, ',') != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the new key's file must be an absolute path without a comma")));
	w = work_begin();
	if (!PG_ARGISNULL(1))
	{
		rotate(fcinfo, w, bkc_settings_repository(text_to_cstring(PG_GETARG_TEXT_PP(1))), file,
			   remove_old);
		return (Datum) 0;
	}
	(void) bkc_settings_repository(NULL);	/* is there any? */
	list = bkc_settings_repositories();
	for (size_t i = 0; i < list->count; i++)
		rotate(fcinfo, w, &list->items[i], file, remove_old);
	return (Datum) 0;
}

/* ---- backup_shred ---- */

/* Whoever believes the data gone must know what else has them. */
static void
tell_wal(Work *w, const BkcRepoDef *repo, const BkcManifestHeader *header)
{
	char		first[BKC_WAL_NAME_MAX];
	char		last[BKC_WAL_NAME_MAX];
	uint64_t	from;
	uint64_t	to;
	bool		there = false;
	BkcError	err;

	if (!bkc_walproof_range(header, &from, &to, &err))
		return;
	bkc_wal_segment_name(header->timeline, from, header->wal_segment_size, first);
	bkc_wal_segment_name(header->timeline, to, header->wal_segment_size, last);
	if (!bkc_wal_there(w->store, header->system_identifier, first, &there, &err) ||
		(!there && !bkc_wal_there(w->store, header->system_identifier, last, &there, &err)))
		bkc_ereport(WARNING, &err);
	if (there)
		ereport(NOTICE,
				(errmsg("the WAL of its time is still in repository \"%s\"", repo->name),
				 errdetail("Segments from %s to %s, and those before and after them, hold what was changed then; they are sealed with keys of their days.",
						   first, last)));
}

static void
put_note(Work *w, const char *label, const char *reason, const uint8_t *key)
{
	BkcShredNote note = {0};
	BkcBuffer	text = {0};
	char		name[BKC_NAME_MAX];
	BkcError	err;
	bool		ok;

	strlcpy(note.label, label, sizeof(note.label));
	strlcpy(note.reason, reason, sizeof(note.reason));
	strlcpy(note.by, w->by, sizeof(note.by));
	note.time = bkc_host->now();
	memcpy(note.data_key, key, sizeof(note.data_key));
	ok = bkc_name_note(w->sysid, label, note.time, "shred", name, &err) &&
		bkc_shrednote_encode(&note, &text, &err) &&
		bkc_document_put(w->store, name, BKC_KIND_NOTE, bkc_buffer_str(&text), text.len, &err);
	bkc_buffer_free(&text);
	check(ok, &err);
}

/*
 * The id of its data key is in the manifest's envelope, and nothing proves that one when the
 * manifest does not open.  Nobody who can write there may have us destroy another key by it.
 */
static void
require_own_key(Work *w, const BkcRepoDef *repo, const char *label, const uint8_t *key,
				const char *hex)
{
	bool		ours;
	BkcError	err;

	check(bkc_repo_key_belongs(w->store, w->sysid, label, key, &ours, &err), &err);
	if (!ours)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("data key %s in repository \"%s\" is not that of backup %s, whose manifest names it",
						hex, repo->name, label),
				 errdetail("The manifest is damaged or was tampered with. Nothing was destroyed.")));
}

/* Why the key is still there, when a lock of the repository protects it; else NULL. */
static const char *
shred(Work *w, const BkcRepoDef *repo, const char *label, const char *reason)
{
	uint64		sysid = w->sysid;
	uint8_t		key[BKC_KEY_ID_SIZE];
	char		hex[BKC_KEY_ID_HEX];
	char		first[BKC_WRAP_ID_HEX];
	bool		sealed;
	size_t		copies;
	BkcError	err;

	check(bkc_repo_backup_key(w->store, sysid, label, &sealed, key, &err), &err);
	if (!sealed)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("backup %s in repository \"%s\" is not sealed, and has no key to be destroyed",
						label, repo->name),
				 errhint("Delete its folder instead.")));
	bkc_hex_encode(key, BKC_KEY_ID_SIZE, hex);
	w->header_known = bkc_manifest_peek(w->store, sysid, label, &w->header, &err);
	if (!w->header_known && err.code != BKC_ERR_CORRUPT && err.code != BKC_ERR_KEY)
		bkc_ereport(ERROR, &err);
	require_own_key(w, repo, label, key, hex);
	check(bkc_repo_key_copies(w->store, sysid, key, &copies, first, &err), &err);

	/* first why, then what; without copies it was done before */
	if (copies > 0)
		put_note(w, label, reason, key);
	if (!bkc_repo_remove_key(w->store, sysid, key, true, &err))
	{
		if (err.code != BKC_ERR_STATE)
			bkc_ereport(ERROR, &err);
		ereport(LOG,
				(errmsg("role \"%s\" wants the data key of backup %s in repository \"%s\" destroyed, which a lock forbids",
						w->by, label, repo->name),
				 errdetail("Data key %s. Reason: %s. The repository says: %s", hex, reason,
						   err.message)));
		return pstrdup(err.message);
	}
	check(bkc_repo_key_copies(w->store, sysid, key, &copies, first, &err), &err);
	if (copies > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%zu copies of data key %s are still in repository \"%s\"",
						copies, hex, repo->name),
				 errhint("Call the function again.")));
	ereport(LOG,
			(errmsg("role \"%s\" destroyed the data key of backup %s in repository \"%s\"",
					w->by, label, repo->name),
			 errdetail("Data key %s. Reason: %s", hex, reason)));
	if (w->header_known)
		tell_wal(w, repo, &w->header);
	return NULL;
}

Datum
bkc_sql_shred_keys(PG_FUNCTION_ARGS)
{
	const char *label = text_to_cstring(PG_GETARG_TEXT_PP(0));
	const char *reason = text_to_cstring(PG_GETARG_TEXT_PP(2));
	const BkcRepoDef *repo;
	const char *locked;
	Work	   *w;
	BkcError	err;

	require_rights("destroy a backup's key");
	if (!bkc_label_valid(label))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not the label of a backup", label)));
	if (reason[strspn(reason, " \t\r\n")] == '\0' || strlen(reason) >= BKC_DOC_TEXT_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a reason of 1 to %d bytes must be given", BKC_DOC_TEXT_MAX - 1),
				 errhint("It is kept in the repository and in the server's log.")));
	repo = bkc_settings_repository(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	w = work_begin();
	w->sysid = (uint64) PG_GETARG_INT64(3);
	check(bkc_repo_open(repo, &w->store, &err), &err);
	check(bkc_ownership_check_of(repo, w->store, w->sysid, &err), &err);
	locked = shred(w, repo, label, reason);
	work_close(w);
	if (locked == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(locked));
}
