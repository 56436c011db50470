/*
 * repository.c
 *		What a repository holds: its clusters, their backups, and how a backup
 *		leaves it.
 *
 * Names that are not ours are passed over: somebody may keep other things
 * beside a repository.
 */
#include "pipe/unpack.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/host.h"
#include "format/documents.h"
#include "format/label.h"
#include "format/names.h"
#include "pipe/keycopies.h"
#include "pipe/object.h"

#define REMOVE_BATCH	500

/* A growing list of malloc'ed names. */
typedef struct NameList
{
	char	  **names;
	size_t		n;
	size_t		cap;
	size_t		prefix_len;
	bool		folders;		/* take "name/" without its slash and nothing else */
} NameList;

static void
names_free(NameList *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->names[i]);
	free(list->names);
	list->names = NULL;
	list->n = list->cap = 0;
}

static bool
names_take(void *arg, const char *name, uint64_t size, BkcError *err)
{
	NameList   *list = arg;
	size_t		len = strlen(name);
	bool		folder = len > 0 && name[len - 1] == '/';

	if (folder != list->folders || len <= list->prefix_len)
		return true;
	if (list->n == list->cap)
	{
		size_t		cap = list->cap == 0 ? 64 : list->cap * 2;
		char	  **bigger = realloc(list->names, cap * sizeof(*bigger));

		if (bigger == NULL)
			return bkc_error_oom(err);
		list->names = bigger;
		list->cap = cap;
	}
	if (folder)
	{
		name += list->prefix_len;
		len -= list->prefix_len + 1;
	}
	list->names[list->n] = strndup(name, len);
	if (list->names[list->n] == NULL)
		return bkc_error_oom(err);
	list->n++;
	return true;
}

/* Names of the folders directly below prefix, without it and without slash. */
static bool
list_folders(BkcStore *store, const char *prefix, NameList *list, BkcError *err)
{
	memset(list, 0, sizeof(*list));
	list->folders = true;
	list->prefix_len = strlen(prefix);
	if (bkc_store_list(store, prefix, false, names_take, list, err))
		return true;
	names_free(list);
	return false;
}

/* ---- clusters ---- */

static int
compare_clusters(const void *pa, const void *pb)
{
	uint64_t	a = ((const BkcClusterInfo *) pa)->system_identifier;
	uint64_t	b = ((const BkcClusterInfo *) pb)->system_identifier;

	return (a > b) - (a < b);
}

/* *found = false: the folder is no cluster of ours. */
static bool
cluster_read(BkcStore *store, uint64_t sysid, BkcClusterInfo *info, bool *found, BkcError *err)
{
	BkcBuffer	text = {0};
	BkcClusterDoc doc;
	char		name[BKC_NAME_MAX];
	bool		ok;

	*found = false;
	if (!bkc_name_cluster(sysid, name, err))
		return false;
	ok = bkc_document_get(store, name, BKC_KIND_CLUSTER, &text, err);
	if (!ok && err->code == BKC_ERR_NOT_FOUND)
	{
		bkc_buffer_free(&text);
		return true;
	}
	ok = ok && bkc_clusterdoc_decode(bkc_buffer_str(&text), text.len, name, &doc, err);
	if (ok && doc.system_identifier != sysid)
		ok = bkc_error_set(err, BKC_ERR_CORRUPT, "object \"%s\" is that of cluster %llu",
						   name, (unsigned long long) doc.system_identifier);
	if (!ok && (err->code == BKC_ERR_CORRUPT || err->code == BKC_ERR_UNSUPPORTED ||
				err->code == BKC_ERR_KEY))
	{
		/*
		 * The folder's name says which cluster it is; its backups may be intact.  Without a key the
		 * name is all that is known; who needs more of it will say which one is missing.
		 */
		bkc_log(err->code == BKC_ERR_KEY ? BKC_LOG_DEBUG : BKC_LOG_WARNING, "%s", err->message);
		memset(&doc, 0, sizeof(doc));
		ok = true;
	}
	if (ok)
	{
		info->system_identifier = sysid;
		info->pg_version_num = doc.pg_version_num;
		info->created = doc.created;
		info->name = strdup(doc.name);
		ok = info->name != NULL || bkc_error_oom(err);
		*found = ok;
	}
	bkc_buffer_free(&text);
	return ok;
}

bool
bkc_repo_clusters(BkcStore *store, BkcClusterInfo **list, size_t *n, BkcError *err)
{
	NameList	folders;
	BkcClusterInfo *infos;
	size_t		count = 0;
	bool		ok = true;

	*list = NULL;
	*n = 0;
	if (!list_folders(store, "", &folders, err))
		return false;
	infos = calloc(folders.n + 1, sizeof(*infos));
	if (infos == NULL)
		ok = bkc_error_oom(err);
	for (size_t i = 0; ok && i < folders.n; i++)
	{
		uint64_t	sysid;
		bool		found;

		if (!bkc_name_parse_sysid(folders.names[i], &sysid))
			continue;
		ok = bkc_host_check(err) && cluster_read(store, sysid, &infos[count], &found, err);
		if (ok && found)
			count++;
	}
	names_free(&folders);
	if (!ok)
	{
		bkc_repo_clusters_free(infos, count);
		return false;
	}
	qsort(infos, count, sizeof(*infos), compare_clusters);
	*list = infos;
	*n = count;
	return true;
}

void
bkc_repo_clusters_free(BkcClusterInfo *list, size_t n)
{
	if (list == NULL)
		return;
	for (size_t i = 0; i < n; i++)
		free(list[i].name);
	free(list);
}

/* ---- backups ---- */

static bool
object_exists(BkcStore *store, const char *name, bool *exists, BkcError *err)
{
	uint64_t	size;

	*exists = bkc_store_stat(store, name, &size, err);
	return *exists || err->code == BKC_ERR_NOT_FOUND;
}

static bool
backup_read(BkcStore *store, uint64_t sysid, const char *label, BkcBackupRef *ref, BkcError *err)
{
	char		begin[BKC_NAME_MAX];
	char		manifest[BKC_NAME_MAX];

	memset(ref, 0, sizeof(*ref));
	memcpy(ref->label, label, strlen(label) + 1);	/* valid, so it fits */
	return bkc_name_begin(sysid, label, begin, err) &&
		bkc_name_manifest(sysid, label, manifest, err) &&
		object_exists(store, begin, &ref->has_begin, err) &&
		object_exists(store, manifest, &ref->complete, err);
}

static int
compare_backups(const void *a, const void *b)
{
	return strcmp(((const BkcBackupRef *) a)->label, ((const BkcBackupRef *) b)->label);
}

bool
bkc_repo_backups(BkcStore *store, uint64_t sysid, BkcBackupRef **list, size_t *n, BkcError *err)
{
	NameList	folders;
	BkcBackupRef *refs;
	char		prefix[BKC_NAME_MAX];
	size_t		count = 0;
	bool		ok = true;

	*list = NULL;
	*n = 0;
	if (!bkc_name_backups(sysid, prefix, err) || !list_folders(store, prefix, &folders, err))
		return false;
	refs = calloc(folders.n + 1, sizeof(*refs));
	if (refs == NULL)
		ok = bkc_error_oom(err);
	for (size_t i = 0; ok && i < folders.n; i++)
	{
		if (!bkc_label_valid(folders.names[i]))
			continue;
		ok = bkc_host_check(err) && backup_read(store, sysid, folders.names[i], &refs[count], err);
		count++;
	}
	names_free(&folders);
	if (!ok)
	{
		free(refs);
		return false;
	}
	qsort(refs, count, sizeof(*refs), compare_backups);
	*list = refs;
	*n = count;
	return true;
}

/* ---- removal ---- */

/*
 * Everything below prefix but keep, with former versions or not.  Nothing else is touched, whatever
 * a listing says.
 */
static bool
remove_below(BkcStore *store, const char *prefix, const char *keep, bool versions, BkcError *err)
{
	NameList	list = {.prefix_len = strlen(prefix)};
	const char *batch[REMOVE_BATCH];
	size_t		count = 0;
	bool		ok = bkc_store_list(store, prefix, true, names_take, &list, err);

	for (size_t i = 0; ok && i <= list.n; i++)
	{
		if (count == REMOVE_BATCH || (i == list.n && count > 0))
		{
			ok = bkc_host_check(err) &&
				(versions ? bkc_store_remove_versions(store, batch, count, err) :
				 bkc_store_remove(store, batch, count, err));
			count = 0;
		}
		if (ok && i < list.n && strncmp(list.names[i], prefix, list.prefix_len) == 0 &&
			strcmp(list.names[i], keep) != 0)
			batch[count++] = list.names[i];
	}
	names_free(&list);
	return ok;
}

bool
bkc_repo_backup_complete(BkcStore *store, uint64_t sysid, const char *label, bool *complete,
						 BkcError *err)
{
	char		manifest[BKC_NAME_MAX];
	char		cluster[BKC_NAME_MAX];
	uint64_t	size;

	*complete = false;
	if (!bkc_name_manifest(sysid, label, manifest, err) || !bkc_name_cluster(sysid, cluster, err))
		return false;
	if (bkc_store_stat(store, manifest, &size, err))
	{
		*complete = true;
		return true;
	}
	if (err->code != BKC_ERR_NOT_FOUND)
		return false;
	if (bkc_store_stat(store, cluster, &size, err))
		return true;
	if (err->code != BKC_ERR_NOT_FOUND)
		return false;
	bkc_error_set(err, BKC_ERR_UNAVAILABLE, "repository \"%s\" does not hold cluster %" PRIu64,
				  store->location, sysid);
	return bkc_error_hint(err, "Is it mounted?");
}

bool
bkc_repo_remove_key(BkcStore *store, uint64_t sysid, const uint8_t id[BKC_KEY_ID_SIZE],
					bool versions, BkcError *err)
{
	char		prefix[BKC_NAME_MAX];

	return bkc_name_key_copies(sysid, id, prefix, err) &&
		(!versions || bkc_store_remove_former(store, prefix, err)) &&
		remove_below(store, prefix, "", versions, err) &&
		bkc_store_sweep(store, prefix, err);
}

/* Whoever can write a begin object must not have us destroy another backup's key. */
static bool
remove_own_key(BkcStore *store, uint64_t sysid, const char *label,
			   const uint8_t id[BKC_KEY_ID_SIZE], BkcError *err)
{
	bool		ours = false;

	if (!bkc_repo_key_belongs(store, sysid, label, id, &ours, err) &&
		err->code != BKC_ERR_KEY && err->code != BKC_ERR_CORRUPT)
		return false;
	return !ours || bkc_repo_remove_key(store, sysid, id, false, err);
}

/*
 * The key that its content was sealed with, as far as begin can be read; where it
 * cannot, a key stays behind that opens nothing any more.
 */
static void
find_data_key(BkcStore *store, const char *begin, uint8_t id[BKC_KEY_ID_SIZE], bool *found)
{
	BkcBuffer	text = {0};
	BkcBeginDoc doc;
	BkcError	ignored;

	*found = bkc_document_get(store, begin, BKC_KIND_BEGIN, &text, &ignored) &&
		bkc_begindoc_decode(bkc_buffer_str(&text), text.len, begin, &doc, &ignored) && doc.sealed;
	if (*found)
		memcpy(id, doc.data_key, BKC_KEY_ID_SIZE);
	bkc_buffer_free(&text);
}

/*
 * begin goes last, after unfinished writes, too: as long as anything is left
 * it says whose it is, so that an interrupted removal is taken up again.
 */
bool
bkc_repo_remove_backup(BkcStore *store, uint64_t sysid, const char *label, BkcError *err)
{
	char		prefix[BKC_NAME_MAX];
	char		begin[BKC_NAME_MAX];
	char		manifest[BKC_NAME_MAX];
	const char *first = manifest;
	const char *last = begin;
	uint8_t		key[BKC_KEY_ID_SIZE];
	bool		sealed;

	if (!bkc_name_backup(sysid, label, prefix, err) ||
		!bkc_name_begin(sysid, label, begin, err) ||
		!bkc_name_manifest(sysid, label, manifest, err))
		return false;
	find_data_key(store, begin, key, &sealed);
	return bkc_store_remove(store, &first, 1, err) &&
		remove_below(store, prefix, begin, false, err) &&
		bkc_store_sweep(store, prefix, err) &&
		(!sealed || remove_own_key(store, sysid, label, key, err)) &&
		bkc_store_remove(store, &last, 1, err);
}
