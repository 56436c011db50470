/*
 * golden_make.c
 *		Writes the golden repository with the core, the way the server does.
 *
 * test/golden/README.md tells when.  The salts are random: two runs give
 * different objects with the same content.
 */
#include "golden_make.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "format/names.h"
#include "pipe/chain.h"
#include "pipe/keyring.h"
#include "pipe/manifestio.h"
#include "pipe/object.h"
#include "pipe/owner.h"

#define PACK_SIZE_SMALL		2048	/* worker 4's, so that a file spans packs */
#define PACKS_MAX			32

/* ---- what golden.c says in JSON ---- */

static BkcTablespace tablespaces[] = {
	{.oid = 16385, .path = "/srv/golden \xff"},
	{.oid = 16386}
};

const BkcManifestHeader golden_core_header = {
	.label = GOLDEN_LABEL,
	.type = "full",
	.system_identifier = GOLDEN_SYSID,
	.cluster_name = "g\xc3\xb6lden \"1\"",
	.host = "db1.example.org",
	.data_directory = "/var/lib/postgresql/15/golden",
	.config_file = "/etc/postgresql/15/golden/postgresql.conf",
	.hba_file = "/etc/postgresql/15/golden/pg_hba.conf",
	.pg_version_num = 150020,
	.catalog_version = 202209061,
	.control_version = 1300,
	.block_size = 8192,
	.segment_blocks = 131072,
	.wal_segment_size = 1024 * 1024,
	.data_checksums = true,
	.start_time = INT64_C(1795176181000001),
	.stop_time = INT64_C(1795176189999999),
	.timeline = 2,
	.start_lsn = 0x300028,
	.stop_lsn = 0x3001A8,
	.backup_label = "START WAL LOCATION: 0/300028 (file 000000020000000000000003)\n"
	"CHECKPOINT LOCATION: 0/300060\nBACKUP METHOD: streamed\nBACKUP FROM: primary\n"
	"START TIME: 2026-11-20 12:03:01 GMT\nLABEL: " GOLDEN_LABEL "\nSTART TIMELINE: 2\n",
	.tablespace_map = "16385 /srv/golden \xff\n",
	.software = "pg_backupctl 1.0",
	.tablespaces = tablespaces,
	.ntablespaces = 2
};

const BkcManifestHeader golden_core_archived = {
	.label = GOLDEN_ARCHIVED,
	.type = "full",
	.system_identifier = GOLDEN_SYSID,
	.cluster_name = "",
	.host = "db2.example.org",
	.pg_version_num = 150020,
	.catalog_version = 202209061,
	.control_version = 1300,
	.block_size = 8192,
	.segment_blocks = 131072,
	.wal_segment_size = 1024 * 1024,
	.wal_in_archive = true,
	.start_time = INT64_C(1795334400000000),
	.stop_time = INT64_C(1795334400000000),
	.timeline = 2,
	.start_lsn = 0x3FFFF8,
	.stop_lsn = 0x500000,
	.backup_label = "",
	.software = "pg_backupctl 1.0"
};

const BkcClusterDoc golden_core_cluster = {
	.system_identifier = GOLDEN_SYSID,
	.name = "g\xc3\xb6lden \"1\"",
	.pg_version_num = 150020,
	.created = INT64_C(1795176180000000)
};

const BkcBeginDoc golden_core_begin[GOLDEN_BEGINS] = {
	{.label = GOLDEN_LABEL, .type = "full", .system_identifier = GOLDEN_SYSID,
		.owner = "0123456789abcdef0123456789abcdef", .host = "db1.example.org",
	.start_time = INT64_C(1795176181000001)},
	{.label = GOLDEN_BEGUN, .type = "full", .system_identifier = GOLDEN_SYSID,
	.owner = "f", .start_time = INT64_C(1795179600000000)},
	{.label = GOLDEN_ARCHIVED, .type = "full", .system_identifier = GOLDEN_SYSID,
	.owner = "00ff", .host = "db2.example.org", .start_time = INT64_C(1795334400000000)}
};

const BkcVerifyNote golden_core_notes[2] = {
	{.label = GOLDEN_LABEL, .time = INT64_C(1795179781250000), .level = "files", .ok = true,
	.files = 25, .bytes = 5400000},
	{.label = GOLDEN_LABEL, .time = INT64_C(1795266181250000), .level = "files",
		.files = 24, .bytes = UINT64_C(1) << 53, .failures = 1,
	.first_failure = "caf\xe9"}
};

const BkcOwnerDoc golden_core_owners[GOLDEN_OWNERS] = {
	{.number = 1, .system_identifier = GOLDEN_SYSID, .owner = "0123456789abcdef0123456789abcdef",
		.host = "db1.example.org", .data_directory = "/var/lib/postgresql/15/golden", .timeline = 1,
	.lsn = 0x100028, .session = 1, .time = INT64_C(1795168800000000), .reason = "first"},
	{.number = 2, .system_identifier = GOLDEN_SYSID, .owner = "f", .data_directory = "/",
		.timeline = 2, .lsn = 0x2000A0, .session = UINT64_C(1) << 63,
	.time = INT64_C(1795172400000001), .reason = "promoted"},
	{.number = 3, .system_identifier = GOLDEN_SYSID, .owner = "00ff", .host = "db2.example.org",
		.data_directory = "/srv/caf\xe9", .timeline = UINT32_MAX, .lsn = UINT64_MAX,
		.session = UINT64_C(0x0123456789ABCDEF), .time = INT64_C(1795285800999999), .reason = "takeover",
	.by = "ren\xc3\xa9"}
};

/* ---- documents ---- */

static bool
put_document(BkcStore *store, const char *name, BkcKind kind, BkcBuffer *text, BkcError *err)
{
	bool		ok = bkc_document_put(store, name, kind, bkc_buffer_str(text), text->len, err);

	bkc_buffer_reset(text);
	return ok;
}

static bool
put_documents(BkcStore *store, BkcError *err)
{
	BkcBuffer	text = {0};
	char		name[BKC_NAME_MAX];
	bool		ok;
	int			i;

	ok = bkc_name_cluster(GOLDEN_SYSID, name, err) &&
		bkc_clusterdoc_encode(&golden_core_cluster, &text, err) &&
		put_document(store, name, BKC_KIND_CLUSTER, &text, err);
	for (i = 0; ok && i < GOLDEN_BEGINS; i++)
		ok = bkc_name_begin(GOLDEN_SYSID, golden_core_begin[i].label, name, err) &&
			bkc_begindoc_encode(&golden_core_begin[i], &text, err) &&
			put_document(store, name, BKC_KIND_BEGIN, &text, err);
	for (i = 0; ok && i < 2; i++)
		ok = bkc_name_note(GOLDEN_SYSID, GOLDEN_LABEL, golden_core_notes[i].time, "verify",
						   name, err) &&
			bkc_verifynote_encode(&golden_core_notes[i], &text, err) &&
			put_document(store, name, BKC_KIND_NOTE, &text, err);
	for (i = 0; ok && i < GOLDEN_OWNERS; i++)
		ok = bkc_owner_claim(store, &golden_core_owners[i], err);
	bkc_buffer_free(&text);
	return ok;
}

/* ---- packs and manifest ---- */

typedef struct Maker
{
	BkcStore   *store;
	const BkcManifestHeader *header;
	const GoldenEntry *(*from) (size_t i);	/* the entries' description */
	size_t		n;
	uint32_t	workers;
	BkcEntry   *entries;
	BkcPackInfo packs[PACKS_MAX];
	size_t		npacks;
} Maker;

static bool
pack_committed(void *arg, const BkcPackInfo *info, BkcError *err)
{
	Maker	   *m = arg;

	if (m->npacks == PACKS_MAX)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "more packs than expected");
	m->packs[m->npacks++] = *info;
	return true;
}

static bool
store_file(BkcChain *chain, const GoldenEntry *from, BkcEntry *entry, BkcError *err)
{
	uint8_t    *data = golden_content(from);
	const BkcPiece *pieces;
	bool		ok = data != NULL ? bkc_chain_begin(chain, err) : bkc_error_oom(err);
	size_t		at;

	for (at = 0; ok && at < from->size; at += GOLDEN_MIB)
		ok = bkc_chain_write_plain(chain, data + at, from->size - at < GOLDEN_MIB ?
								   from->size - at : GOLDEN_MIB, err);
	free(data);
	if (!ok || !bkc_chain_end(chain, err))
		return false;
	memcpy(entry->sha256, bkc_chain_digest(chain)->sha256, BKC_SHA256_SIZE);
	bkc_chain_pieces(chain, &pieces, &entry->npieces);
	if (entry->npieces == 0)
		return true;
	entry->pieces = calloc(entry->npieces, sizeof(*pieces));
	if (entry->pieces == NULL)
		return bkc_error_oom(err);
	memcpy(entry->pieces, pieces, entry->npieces * sizeof(*pieces));
	return true;
}

/* A file that vanished while it was read leaves a frame that nobody refers to. */
static bool
store_vanished(BkcChain *chain, BkcError *err)
{
	if (!bkc_chain_begin(chain, err) || !bkc_chain_write_plain(chain, "vanished", 8, err))
		return false;
	bkc_chain_abort(chain);
	return true;
}

static bool
store_worker(Maker *m, uint32_t worker, BkcError *err)
{
	BkcPackSpec spec = {
		.store = m->store,
		.system_identifier = GOLDEN_SYSID,
		.worker = worker,
		.codec = (BkcCodec) golden_codecs[worker],
		.pack_size = worker == 4 ? PACK_SIZE_SMALL : 0,
		.committed = pack_committed,
		.arg = m
	};
	BkcChainSpec chain_spec = {.codec = spec.codec, .level = 9};
	BkcPackWriter *writer = NULL;
	BkcChain   *chain = NULL;
	bool		ok;
	size_t		i;

	memcpy(spec.label, m->header->label, sizeof(spec.label));
	ok = bkc_packwriter_new(&spec, &writer, err) &&
		bkc_chain_new_backup(&chain_spec, writer, &chain, err);
	for (i = 0; ok && i < m->n; i++)
	{
		const GoldenEntry *from = m->from(i);

		if (strcmp(from->type, "file") == 0 && from->worker == worker)
			ok = store_file(chain, from, &m->entries[i], err) &&
				(from->data != GOLDEN_PAGES || store_vanished(chain, err));
	}
	ok = ok && bkc_packwriter_flush(writer, err);
	bkc_chain_close(&chain);
	bkc_packwriter_close(&writer);
	return ok;
}

/* What does not come out of the chain; strings stay golden.c's. */
static void
describe_entry(const GoldenEntry *from, BkcEntry *entry)
{
	if (strcmp(from->root, "pgdata") == 0)
		entry->root = BKC_ROOT_PGDATA;
	else if (strcmp(from->root, "config") == 0)
		entry->root = BKC_ROOT_CONFIG;
	else if (strcmp(from->root, "wal") == 0)
		entry->root = BKC_ROOT_WAL;
	else
	{
		entry->root = BKC_ROOT_TABLESPACE;
		entry->tablespace = (uint32_t) strtoul(strchr(from->root, '/') + 1, NULL, 10);
	}
	entry->type = strcmp(from->type, "file") == 0 ? BKC_ENTRY_FILE : BKC_ENTRY_DIR;
	entry->path = (char *) from->path;
	entry->mode = from->mode;
	entry->mtime = from->mtime;
	entry->size = from->size;
	entry->bad_blocks = (uint32_t *) from->bad_blocks;
	entry->nbad_blocks = from->nbad_blocks;
	entry->bad_block_count = from->nbad_blocks;
}

static bool
put_manifest(Maker *m, BkcError *err)
{
	BkcManifestPut *put;
	bool		ok;
	size_t		i;

	if (!bkc_manifest_put_begin(m->store, m->header, &put, err))
		return false;
	ok = true;
	for (i = 0; ok && i < m->n; i++)
	{
		/* the path of an empty file lives only until the next one's */
		describe_entry(m->from(i), &m->entries[i]);
		ok = bkc_manifest_put_entry(put, &m->entries[i], err);
	}
	for (i = 0; ok && i < m->npacks; i++)
		ok = bkc_manifest_put_pack(put, &m->packs[i], err);
	ok = ok && bkc_manifest_put_commit(put, NULL, err);
	bkc_manifest_put_close(put);
	return ok;
}

/* A data key of its own, as every sealed backup has. */
static bool
seal_backup(Maker *m, BkcError *err)
{
	uint8_t		id[BKC_KEY_ID_SIZE];

	return bkc_random(id, sizeof(id), err) &&
		bkc_keyring_make_backup(m->store, GOLDEN_SYSID, m->header->label, id, err);
}

static bool
make_backup(Maker *m, BkcError *err)
{
	bool		ok = true;
	uint32_t	worker;
	size_t		i;

	m->entries = calloc(m->n, sizeof(BkcEntry));
	if (m->entries == NULL)
		return bkc_error_oom(err);
	ok = m->store->keys == NULL || seal_backup(m, err);
	for (worker = 0; ok && worker < m->workers; worker++)
		ok = store_worker(m, worker, err);
	ok = ok && put_manifest(m, err);
	for (i = 0; i < m->n; i++)
		free(m->entries[i].pieces);
	free(m->entries);
	return ok;
}

bool
golden_make(BkcStore *store, BkcError *err)
{
	Maker		whole = {
		.store = store,
		.header = &golden_core_header,
		.from = golden_entry,
		.n = golden_nentries,
		.workers = GOLDEN_WORKERS
	};
	Maker		archived = {
		.store = store,
		.header = &golden_core_archived,
		.from = golden_archived_entry,
		.n = golden_narchived,
		.workers = 1
	};

	return put_documents(store, err) && make_backup(&whole, err) &&
		golden_make_wal(store, err) && make_backup(&archived, err);
}

bool
golden_make_small(BkcStore *store, const char *label, BkcError *err)
{
	BkcManifestHeader header = golden_core_archived;
	Maker		m = {
		.store = store,
		.header = &header,
		.from = golden_archived_entry,
		.n = golden_narchived,
		.workers = 1
	};

	snprintf(header.label, sizeof(header.label), "%s", label);
	header.start_time = header.stop_time = bkc_label_time(label);
	header.wal_in_archive = false;
	return make_backup(&m, err);
}
