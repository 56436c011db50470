/*
 * unpack_load.c
 *		Loading a manifest into memory, and cutting its files into units.
 *
 * A cluster may have a million files, so what one costs counts: entries stand
 * in one array, their strings and pieces in an arena, without a malloc
 * header or rounding for each.
 */
#include "pipe/unpack.h"

#include <stdlib.h>
#include <string.h>

#include "pipe/manifestio.h"
#include "pipe/unpack_plan.h"

#define ARENA_CHUNK		(256 * 1024)

typedef struct ArenaChunk
{
	struct ArenaChunk *next;
	size_t		used;
	size_t		size;
	_Alignas(8) uint8_t data[];
} ArenaChunk;

typedef struct Loader
{
	BkcBackup  *backup;
	size_t		entries_cap;
	size_t		packs_cap;
} Loader;

static void *
arena_copy(BkcBackup *backup, const void *data, size_t len, BkcError *err)
{
	ArenaChunk *chunk = backup->arena;
	size_t		need = (len + 7) & ~(size_t) 7;
	void	   *p;

	if (chunk == NULL || need > chunk->size - chunk->used)
	{
		size_t		size = need > ARENA_CHUNK ? need : ARENA_CHUNK;

		chunk = malloc(sizeof(*chunk) + size);
		if (chunk == NULL)
		{
			bkc_error_oom(err);
			return NULL;
		}
		chunk->next = backup->arena;
		chunk->used = 0;
		chunk->size = size;
		backup->arena = chunk;
	}
	p = chunk->data + chunk->used;
	memcpy(p, data, len);
	chunk->used += need;
	return p;
}

/* Copy a string into the arena; NULL stays NULL. */
static bool
copy_str(BkcBackup *backup, const char *from, char **to, BkcError *err)
{
	*to = NULL;
	if (from == NULL)
		return true;
	*to = arena_copy(backup, from, strlen(from) + 1, err);
	return *to != NULL;
}

/* Room for one more of size in *array, which has n of *cap. */
static bool
grow(void *array, size_t n, size_t *cap, size_t size, BkcError *err)
{
	void	  **p = array;
	size_t		newcap = *cap < 64 ? 64 : *cap + *cap / 2;
	void	   *bigger;

	if (n < *cap)
		return true;
	if (newcap > UINT32_MAX)
		return bkc_error_set(err, BKC_ERR_UNSUPPORTED, "too many entries in a manifest");
	bigger = realloc(*p, newcap * size);
	if (bigger == NULL)
		return bkc_error_oom(err);
	*p = bigger;
	*cap = newcap;
	return true;
}

/* ---- what the scan hands over ---- */

static bool
load_header(void *arg, const BkcManifestHeader *from, BkcError *err)
{
	BkcBackup  *backup = ((Loader *) arg)->backup;
	BkcManifestHeader *to = &backup->header;

	*to = *from;
	to->tablespaces = NULL;
	to->ntablespaces = 0;
	if (!copy_str(backup, from->parent, &to->parent, err) ||
		!copy_str(backup, from->cluster_name, &to->cluster_name, err) ||
		!copy_str(backup, from->host, &to->host, err) ||
		!copy_str(backup, from->data_directory, &to->data_directory, err) ||
		!copy_str(backup, from->config_file, &to->config_file, err) ||
		!copy_str(backup, from->hba_file, &to->hba_file, err) ||
		!copy_str(backup, from->ident_file, &to->ident_file, err) ||
		!copy_str(backup, from->backup_label, &to->backup_label, err) ||
		!copy_str(backup, from->tablespace_map, &to->tablespace_map, err) ||
		!copy_str(backup, from->software, &to->software, err))
		return false;
	if (from->ntablespaces == 0)
		return true;
	to->tablespaces = arena_copy(backup, from->tablespaces,
								 from->ntablespaces * sizeof(*from->tablespaces), err);
	if (to->tablespaces == NULL)
		return false;
	to->ntablespaces = from->ntablespaces;
	for (size_t i = 0; i < to->ntablespaces; i++)
	{
		if (!copy_str(backup, from->tablespaces[i].path, &to->tablespaces[i].path, err))
			return false;
	}
	return true;
}

static bool
load_entry(void *arg, const BkcEntry *from, BkcError *err)
{
	Loader	   *loader = arg;
	BkcBackup  *backup = loader->backup;
	BkcEntry   *to;

	if (!grow(&backup->entries, backup->nentries, &loader->entries_cap, sizeof(*to), err))
		return false;
	to = &backup->entries[backup->nentries];
	*to = *from;
	to->pieces = NULL;
	to->bad_blocks = NULL;
	if (!copy_str(backup, from->path, &to->path, err) ||
		!copy_str(backup, from->link_target, &to->link_target, err))
		return false;
	if (from->npieces > 0 &&
		(to->pieces = arena_copy(backup, from->pieces,
								 from->npieces * sizeof(*from->pieces), err)) == NULL)
		return false;
	if (from->nbad_blocks > 0 &&
		(to->bad_blocks = arena_copy(backup, from->bad_blocks,
									 from->nbad_blocks * sizeof(*from->bad_blocks), err)) == NULL)
		return false;
	backup->nentries++;
	return true;
}

static bool
load_pack(void *arg, const BkcPackInfo *from, BkcError *err)
{
	Loader	   *loader = arg;
	BkcBackup  *backup = loader->backup;

	if (!grow(&backup->packs, backup->npacks, &loader->packs_cap, sizeof(*from), err))
		return false;
	backup->packs[backup->npacks++] = *from;
	return true;
}

bool
bkc_backup_load(BkcStore *store, uint64_t sysid, const char *label,
				BkcBackup **backup, BkcError *err)
{
	Loader		loader = {.backup = calloc(1, sizeof(BkcBackup))};
	BkcManifestScan scan = {
		.header = load_header,
		.entry = load_entry,
		.pack = load_pack,
		.arg = &loader
	};
	BkcEntry   *exact;

	*backup = NULL;
	if (loader.backup == NULL)
		return bkc_error_oom(err);
	if (!bkc_manifest_scan(store, sysid, label, &scan, &loader.backup->totals, err))
	{
		if (err->code == BKC_ERR_NOT_FOUND)
			bkc_error_context(err, "backup \"%s\"", label);
		goto fail;
	}

	/* give back what growing took too much; shrinking cannot hurt if it fails */
	exact = realloc(loader.backup->entries,
					(loader.backup->nentries + 1) * sizeof(*exact));
	if (exact != NULL)
		loader.backup->entries = exact;
	if (!bkc_backup_plan(loader.backup, err))
		goto fail;
	*backup = loader.backup;
	return true;

fail:
	bkc_backup_free(loader.backup);
	return false;
}

void
bkc_backup_free(BkcBackup *backup)
{
	ArenaChunk *chunk;

	if (backup == NULL)
		return;
	while ((chunk = backup->arena) != NULL)
	{
		backup->arena = chunk->next;
		free(chunk);
	}
	free(backup->entries);
	free(backup->packs);
	free(backup->order);
	free(backup->units);
	free(backup->wal);
	free(backup);
}
