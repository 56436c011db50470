/*
 * manifest.c
 *		The structs of manifests: releasing them, names of roots (contract: manifest.h).
 *
 * Lines are written in manifest_write.c and read in manifest_read.c; what
 * must be true of them stands once, in manifest_rules.c.
 */
#include "format/manifest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOT_NAME_MAX	32

void
bkc_manifest_header_free(BkcManifestHeader *header)
{
	size_t		i;

	for (i = 0; i < header->ntablespaces; i++)
		free(header->tablespaces[i].path);
	free(header->tablespaces);
	free(header->parent);
	free(header->cluster_name);
	free(header->host);
	free(header->data_directory);
	free(header->config_file);
	free(header->hba_file);
	free(header->ident_file);
	free(header->backup_label);
	free(header->tablespace_map);
	free(header->software);
	memset(header, 0, sizeof(*header));
}

void
bkc_entry_free(BkcEntry *entry)
{
	free(entry->path);
	free(entry->link_target);
	free(entry->pieces);
	free(entry->bad_blocks);
	memset(entry, 0, sizeof(*entry));
}

void
bkc_root_name(BkcRoot root, uint32_t tablespace, char out[ROOT_NAME_MAX])
{
	switch (root)
	{
		case BKC_ROOT_PGDATA:
			memcpy(out, "pgdata", sizeof("pgdata"));
			return;
		case BKC_ROOT_TABLESPACE:
			snprintf(out, ROOT_NAME_MAX, "tablespace/%" PRIu32, tablespace);
			return;
		case BKC_ROOT_CONFIG:
			memcpy(out, "config", sizeof("config"));
			return;
		case BKC_ROOT_WAL:
			memcpy(out, "wal", sizeof("wal"));
			return;
	}
	out[0] = '\0';
}
