/*
 * test_unpack.c
 *		Finished backups: loading, planning, unpacking, checking, listing, removing.
 */
#include "test_pipe_util.h"

#include <malloc.h>
#include <unistd.h>

#include "format/documents.h"
#include "format/names.h"
#include "format/pgfiles.h"
#include "pipe/chain.h"
#include "pipe/manifestio.h"
#include "pipe/object.h"
#include "pipe/unpack.h"

#define OTHER_LABEL	"20261120T120301Z-full-7f3b"
#define SEGMENT		((uint64_t) MIB)

static BkcManifestHeader
make_header(const char *label)
{
	BkcManifestHeader h = {
		.type = "full",
		.system_identifier = SYSID,
		.cluster_name = "prod",
		.host = "db1",
		.pg_version_num = 150020,
		.catalog_version = 202209061,
		.control_version = 1300,
		.block_size = 8192,
		.segment_blocks = 131072,
		.wal_segment_size = (uint32_t) SEGMENT,
		.start_time = 1700000000000000,
		.stop_time = 1700000001000000,
		.timeline = 1,
		.start_lsn = 5 * SEGMENT + 40,
		.stop_lsn = 8 * SEGMENT,
		.backup_label = "START WAL LOCATION\n",
		.software = "pg_backupctl 1.0"
	};

	memcpy(h.label, label, strlen(label) + 1);
	return h;
}

/* ---- manifests without packs behind them, for plans ---- */

/* A file of that size whose frames begin at (number, first). */
static void
put_file(BkcManifestPut *put, const char *path, uint64_t size, uint32_t number, uint32_t first)
{
	BkcPiece	piece = {.pack_number = number, .first_frame = first};
	BkcEntry	e = {
		.type = BKC_ENTRY_FILE, .root = BKC_ROOT_PGDATA, .mode = 0600, .size = size,
		.path = (char *) path
	};
	BkcError	err;

	piece.frame_count = (uint32_t) ((size + MIB - 1) / MIB);
	if (size > 0)
	{
		e.pieces = &piece;
		e.npieces = 1;
	}
	assert_ok(bkc_manifest_put_entry(put, &e, &err));
}

static BkcManifestPut *
begin_manifest(BkcStore *store)
{
	BkcManifestHeader header = make_header(LABEL);
	BkcManifestPut *put;
	BkcError	err;

	assert_ok(bkc_manifest_put_begin(store, &header, &put, &err));
	return put;
}

static void
end_manifest(BkcManifestPut *put, uint32_t npacks)
{
	BkcError	err;

	for (uint32_t i = npacks; i-- > 0;)
	{
		BkcPackInfo pack = {.number = i, .size = 1000, .frames = 32767};

		assert_ok(bkc_manifest_put_pack(put, &pack, &err));
	}
	assert_ok(bkc_manifest_put_commit(put, NULL, &err));
	bkc_manifest_put_close(put);
}

/* What must hold of every plan. */
static void
check_plan(const BkcBackup *b)
{
	uint8_t    *seen = calloc(b->nentries + 1, 1);
	uint64_t	bytes = 0;
	size_t		files = 0;

	for (size_t u = 0; u < b->nunits; u++)
	{
		const BkcUnit *unit = &b->units[u];
		uint64_t	sum = 0;

		assert_true(unit->count > 0);
		assert_true(unit->first + (uint64_t) unit->count <= b->norder);
		if (u > 0)
			assert_true(b->units[u - 1].bytes >= unit->bytes);
		for (uint32_t i = 0; i < unit->count; i++)
		{
			uint32_t	at = b->order[unit->first + i];

			assert_true(at < b->nentries);
			assert_false(seen[at]);
			seen[at] = 1;
			sum += b->entries[at].size;
			files++;
		}
		assert_int_equal(sum, unit->bytes);
		if (unit->count > 1)
		{
			assert_true(unit->bytes <= 16 * MIB);
			assert_true(unit->count <= 4096);
		}
		bytes += sum;
	}
	assert_int_equal(files, b->norder);
	assert_int_equal(files, b->totals.files);
	assert_int_equal(bytes, b->totals.bytes);
	for (size_t i = 0; i < b->nentries; i++)
		assert_int_equal(seen[i], b->entries[i].type == BKC_ENTRY_FILE);
	free(seen);
}

static void
test_plan(void **state)
{
	BkcStore   *store = util_store();
	BkcManifestPut *put = begin_manifest(store);
	BkcEntry	dir = {.type = BKC_ENTRY_DIR, .mode = 0700, .path = "base"};
	BkcPiece	two[2] = {{.pack_number = 1, .first_frame = 9, .frame_count = 1},
						  {.pack_number = 2, .first_frame = 0, .frame_count = 1}};
	BkcEntry	split = {
		.type = BKC_ENTRY_FILE, .mode = 0600, .size = MIB + 1, .path = "split",
		.pieces = two, .npieces = 2
	};
	BkcBackup  *b;
	BkcBackup  *again;
	BkcError	err;

	/* order in the manifest is not order in the packs */
	assert_ok(bkc_manifest_put_entry(put, &dir, &err));
	put_file(put, "late", 100, 0, 70);
	put_file(put, "large", 16 * MIB, 0, 20);
	put_file(put, "early", 200, 0, 3);
	put_file(put, "empty", 0, 0, 0);
	put_file(put, "other-pack", 300, 1, 0);
	put_file(put, "almost", 16 * MIB - 250, 0, 50);
	assert_ok(bkc_manifest_put_entry(put, &split, &err));
	put_file(put, "huge", 40 * MIB, 0, 100);
	put_file(put, "nothing", 0, 0, 0);
	end_manifest(put, 3);

	assert_ok(bkc_backup_load(store, SYSID, LABEL, &b, &err));
	check_plan(b);
	assert_int_equal(b->nentries, 10);
	assert_int_equal(b->norder, 9);

	/*
	 * huge, large, almost + early (200 fit beside it, 100 more do not), split, other-pack,
	 * late, empty + nothing
	 */
	assert_int_equal(b->nunits, 7);
	assert_string_equal(b->entries[b->order[b->units[0].first]].path, "huge");
	assert_string_equal(b->entries[b->order[b->units[1].first]].path, "large");
	assert_int_equal(b->units[2].count, 2);
	assert_string_equal(b->entries[b->order[b->units[2].first]].path, "early");
	assert_string_equal(b->entries[b->order[b->units[2].first + 1]].path, "almost");
	assert_string_equal(b->entries[b->order[b->units[3].first]].path, "split");
	assert_int_equal(b->units[3].count, 1);
	assert_string_equal(b->entries[b->order[b->units[4].first]].path, "other-pack");
	assert_string_equal(b->entries[b->order[b->units[5].first]].path, "late");
	assert_int_equal(b->units[6].count, 2);
	assert_int_equal(b->units[6].bytes, 0);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(b->packs[i].number, i);

	/* the same again */
	assert_ok(bkc_backup_load(store, SYSID, LABEL, &again, &err));
	assert_int_equal(again->nunits, b->nunits);
	assert_memory_equal(again->units, b->units, b->nunits * sizeof(*b->units));
	assert_memory_equal(again->order, b->order, b->norder * sizeof(*b->order));
	bkc_backup_free(again);
	bkc_backup_free(b);
	bkc_backup_free(NULL);
	bkc_store_close(store);
}

/* Runs end at 4096 files, also of empty ones. */
static void
test_plan_many(void **state)
{
	BkcStore   *store = util_store();
	BkcManifestPut *put = begin_manifest(store);
	BkcBackup  *b;
	char		path[64];
	BkcError	err;

	for (uint32_t i = 0; i < 4097; i++)
	{
		snprintf(path, sizeof(path), "small/%u", i);
		put_file(put, path, 10, 0, i);
		snprintf(path, sizeof(path), "empty/%u", i);
		put_file(put, path, 0, 0, 0);
	}
	end_manifest(put, 1);
	assert_ok(bkc_backup_load(store, SYSID, LABEL, &b, &err));
	check_plan(b);
	assert_int_equal(b->nunits, 4);
	assert_int_equal(b->units[0].count, 4096);
	assert_int_equal(b->units[1].count, 1);
	assert_int_equal(b->units[1].bytes, 10);
	assert_int_equal(b->units[2].count, 4096);
	assert_int_equal(b->units[3].count, 1);
	bkc_backup_free(b);
	bkc_store_close(store);
}

/* A backup of nothing at all. */
static void
test_plan_empty(void **state)
{
	BkcStore   *store = util_store();
	BkcBackup  *b;
	BkcError	err;

	assert_fails(bkc_backup_load(store, SYSID, LABEL, &b, &err), BKC_ERR_NOT_FOUND);
	assert_null(b);
	assert_non_null(strstr(err.message, LABEL));
	assert_fails(bkc_backup_load(store, SYSID, "../x", &b, &err), BKC_ERR_INVALID);
	end_manifest(begin_manifest(store), 0);
	assert_ok(bkc_backup_load(store, SYSID, LABEL, &b, &err));
	check_plan(b);
	assert_int_equal(b->nunits, 0);
	assert_string_equal(b->header.host, "db1");
	assert_string_equal(b->header.backup_label, "START WAL LOCATION\n");
	assert_null(b->header.tablespace_map);
	bkc_backup_free(b);
	bkc_store_close(store);
}

/* Tablespaces, link targets and bad blocks come through as well. */
static void
test_load_details(void **state)
{
	BkcStore   *store = util_store();
	BkcManifestHeader header = make_header(LABEL);
	BkcTablespace spaces[2] = {{.oid = 16385, .path = "/srv/fast"}, {.oid = 16999}};
	uint32_t	blocks[3] = {7, 9, 4000000000};
	BkcPiece	piece = {.frame_count = 1};
	BkcEntry	file = {
		.type = BKC_ENTRY_FILE, .root = BKC_ROOT_TABLESPACE, .tablespace = 16385, .mode = 0640,
		.size = 8192, .mtime = 1700000000, .path = "PG_15_202209061/5/16400", .pieces = &piece,
		.npieces = 1, .bad_blocks = blocks, .nbad_blocks = 3, .bad_block_count = 120
	};
	BkcEntry	link = {
		.type = BKC_ENTRY_LINK, .mode = 0777, .path = "pg_tblspc/16385", .link_target = "/srv/fast"
	};
	BkcManifestPut *put;
	BkcBackup  *b;
	BkcError	err;

	header.tablespaces = spaces;
	header.ntablespaces = 2;
	header.tablespace_map = "16385 /srv/fast\n";
	assert_ok(bkc_manifest_put_begin(store, &header, &put, &err));
	assert_ok(bkc_manifest_put_entry(put, &file, &err));
	assert_ok(bkc_manifest_put_entry(put, &link, &err));
	end_manifest(put, 1);
	assert_ok(bkc_backup_load(store, SYSID, LABEL, &b, &err));
	check_plan(b);
	assert_int_equal(b->header.ntablespaces, 2);
	assert_string_equal(b->header.tablespaces[0].path, "/srv/fast");
	assert_null(b->header.tablespaces[1].path);
	assert_string_equal(b->header.tablespace_map, "16385 /srv/fast\n");
	assert_string_equal(b->entries[0].path, file.path);
	assert_int_equal(b->entries[0].mode, 0640);
	assert_int_equal(b->entries[0].mtime, 1700000000);
	assert_int_equal(b->entries[0].nbad_blocks, 3);
	assert_int_equal(b->entries[0].bad_blocks[2], 4000000000);
	assert_int_equal(b->entries[0].bad_block_count, 120);
	assert_string_equal(b->entries[1].link_target, "/srv/fast");
	assert_int_equal(b->totals.bad_blocks, 120);
	bkc_backup_free(b);
	bkc_store_close(store);
}

/* At most 300 bytes a file, path included (the sanitizer's malloc does not tell). */
static void
test_load_memory(void **state)
{
	enum
	{
		N = 50000
	};
	BkcStore   *store = util_store();
	BkcManifestPut *put = begin_manifest(store);
	struct mallinfo2 before;
	struct mallinfo2 after;
	BkcBackup  *b;
	char		path[64];
	BkcError	err;

	for (uint32_t i = 0; i < N; i++)
	{
		snprintf(path, sizeof(path), "base/%08u/%08u_fsm", i / 300, 10000000 + i);
		put_file(put, path, 8192, i / 30000, i % 30000);
	}
	end_manifest(put, 2);
	before = mallinfo2();
	assert_ok(bkc_backup_load(store, SYSID, LABEL, &b, &err));
	after = mallinfo2();
	assert_true(after.uordblks + after.hblkhd - before.uordblks - before.hblkhd <
				(size_t) N * 300);
	bkc_backup_free(b);
	bkc_store_close(store);
}

static void
test_load_failures(void **state)
{
	bool		done = false;

	for (uint64_t at = 1; !done; at++)
	{
		BkcStore   *memory = util_store();
		BkcManifestPut *put = begin_manifest(memory);
		BkcStore   *store;
		BkcBackup  *b;
		BkcError	err;

		put_file(put, "x", 1, 0, 0);
		end_manifest(put, 1);
		assert_ok(bkc_store_faulty_new(memory, at, BKC_ERR_UNAVAILABLE, NULL, &store, &err));
		done = bkc_backup_load(store, SYSID, LABEL, &b, &err);
		if (!done)
		{
			assert_int_equal(err.code, BKC_ERR_UNAVAILABLE);
			assert_null(b);
		}
		bkc_backup_free(b);
		bkc_store_close(store);
		assert_true(at < 30);
	}
}

/* ---- whole backups ---- */

#define FILES	40

typedef struct Whole
{
	BkcStore   *store;
	uint8_t    *data[FILES];
	size_t		len[FILES];
	BkcPackInfo packs[256];
	size_t		npacks;
} Whole;

static bool
keep_pack(void *arg, const BkcPackInfo *info, BkcError *err)
{
	Whole	   *whole = arg;

	assert_true(whole->npacks < 256);
	whole->packs[whole->npacks++] = *info;
	return true;
}

static void
file_path(size_t i, char path[64])
{
	snprintf(path, 64, "base/5/%zu", 16384 + i);
}

/* Two workers take files in turn; manifest order is theirs. */
static void
make_backup(Whole *whole, const char *label, BkcCodec codec, uint64_t pack_size)
{
	BkcManifestHeader header = make_header(label);
	BkcPackSpec packspec = {
		.store = whole->store, .system_identifier = SYSID, .codec = codec,
		.pack_size = pack_size, .committed = keep_pack, .arg = whole
	};
	BkcChainSpec spec = {.codec = codec, .level = 1};
	BkcBeginDoc begin = {.type = "full", .system_identifier = SYSID, .host = "db1",
						 .owner = "0123456789abcdef", .start_time = 1700000000000000};
	BkcManifestPut *put;
	BkcPackWriter *writers[2];
	BkcChain   *chains[2];
	BkcBuffer	text = {0};
	char		name[BKC_NAME_MAX];
	char		path[64];
	BkcError	err;

	whole->npacks = 0;
	memcpy(packspec.label, label, strlen(label) + 1);
	memcpy(begin.label, label, strlen(label) + 1);
	assert_ok(bkc_begindoc_encode(&begin, &text, &err));
	assert_ok(bkc_name_begin(SYSID, label, name, &err));
	assert_ok(bkc_document_put(whole->store, name, BKC_KIND_BEGIN, bkc_buffer_str(&text),
							   text.len, &err));
	bkc_buffer_free(&text);
	for (uint32_t w = 0; w < 2; w++)
	{
		packspec.worker = w;
		assert_ok(bkc_packwriter_new(&packspec, &writers[w], &err));
		assert_ok(bkc_chain_new_backup(&spec, writers[w], &chains[w], &err));
	}
	assert_ok(bkc_manifest_put_begin(whole->store, &header, &put, &err));
	for (size_t i = 0; i < FILES; i++)
	{
		BkcChain   *chain = chains[i % 3 == 0];
		BkcEntry	e = {
			.type = BKC_ENTRY_FILE, .root = BKC_ROOT_PGDATA, .mode = 0600,
			.size = whole->len[i], .path = path
		};
		const BkcPiece *pieces;

		file_path(i, path);
		assert_ok(bkc_chain_begin(chain, &err));
		for (size_t pos = 0; pos < whole->len[i]; pos += MIB)
			assert_ok(bkc_chain_write_plain(chain, whole->data[i] + pos,
											whole->len[i] - pos < MIB ? whole->len[i] - pos : MIB,
											&err));
		assert_ok(bkc_chain_end(chain, &err));
		memcpy(e.sha256, bkc_chain_digest(chain)->sha256, BKC_SHA256_SIZE);
		bkc_chain_pieces(chain, &pieces, &e.npieces);
		e.pieces = (BkcPiece *) pieces;
		assert_ok(bkc_manifest_put_entry(put, &e, &err));
	}
	for (int w = 0; w < 2; w++)
	{
		assert_ok(bkc_packwriter_flush(writers[w], &err));
		bkc_chain_close(&chains[w]);
		bkc_packwriter_close(&writers[w]);
	}
	for (size_t i = 0; i < whole->npacks; i++)
		assert_ok(bkc_manifest_put_pack(put, &whole->packs[i], &err));
	assert_ok(bkc_manifest_put_commit(put, NULL, &err));
	bkc_manifest_put_close(put);
}

static void
whole_new(Whole *whole, BkcCodec codec, uint64_t pack_size)
{
	memset(whole, 0, sizeof(*whole));
	whole->store = util_store();
	for (size_t i = 0; i < FILES; i++)
	{
		whole->len[i] = i % 9 == 4 ? 0 : i == 7 ? 17 * MIB + 3 : i % 9 == 5 ? 2 * MIB + i :
			util_random() % 20000;
		whole->data[i] = util_data(whole->len[i], (UtilData) (i % DATA_KINDS));
	}
	make_backup(whole, LABEL, codec, pack_size);
}

static void
whole_free(Whole *whole)
{
	for (size_t i = 0; i < FILES; i++)
		free(whole->data[i]);
	bkc_store_close(whole->store);
}

/* Number of a file in Whole by its entry. */
static size_t
file_number(const BkcEntry *entry)
{
	return strtoul(strrchr(entry->path, '/') + 1, NULL, 10) - 16384;
}

static void
add_progress(void *arg, uint64_t plain, uint64_t stored)
{
	*(uint64_t *) arg += plain;
}

static void
test_unpack(void **state)
{
	static const uint64_t pack_sizes[] = {BKC_PACK_SIZE_DEFAULT, 3 * MIB, 30000};

	for (size_t p = 0; p < 3; p++)
	{
		for (int codec = BKC_CODEC_NONE; codec <= BKC_CODEC_ZSTD; codec++)
		{
			Whole		whole;
			BkcBackup  *b;
			BkcUnpacker *u;
			BkcBuffer	out = {0};
			uint64_t	progress = 0;
			BkcError	err;

			whole_new(&whole, (BkcCodec) codec, pack_sizes[p]);
			assert_ok(bkc_backup_load(whole.store, SYSID, LABEL, &b, &err));
			check_plan(b);
			assert_int_equal(b->npacks, whole.npacks);
			assert_ok(bkc_unpacker_new(whole.store, b, bkc_stage_buffer_new(&out, SIZE_MAX, &err),
									   add_progress, &progress, &u, &err));
			for (size_t i = 0; i < b->norder; i++)
			{
				const BkcEntry *entry = &b->entries[b->order[i]];
				size_t		n = file_number(entry);

				bkc_buffer_reset(&out);
				assert_ok(bkc_unpack_file(u, entry, &err));
				assert_int_equal(out.len, whole.len[n]);
				if (out.len > 0)
					assert_memory_equal(out.data, whole.data[n], out.len);
			}
			assert_int_equal(progress, b->totals.bytes);
			for (size_t i = 0; i < b->npacks; i++)
				assert_ok(bkc_backup_check_pack(whole.store, b, i, &err));
			assert_fails(bkc_backup_check_pack(whole.store, b, b->npacks, &err),
						 BKC_ERR_INTERNAL);
			bkc_unpacker_close(u);
			bkc_unpacker_close(NULL);
			bkc_backup_free(b);
			bkc_buffer_free(&out);
			whole_free(&whole);
		}
	}
}

/* Into real files, by the file stage. */
static void
test_unpack_to_files(void **state)
{
	Whole		whole;
	BkcBackup  *b;
	BkcUnpacker *u;
	BkcStage   *sink;
	BkcError	err;

	whole_new(&whole, BKC_CODEC_LZ4, 3 * MIB);
	assert_ok(bkc_backup_load(whole.store, SYSID, LABEL, &b, &err));
	sink = bkc_stage_file_new(&err);
	assert_ok(bkc_unpacker_new(whole.store, b, sink, NULL, NULL, &u, &err));
	for (size_t i = 0; i < b->norder; i++)
	{
		const BkcEntry *entry = &b->entries[b->order[i]];
		size_t		n = file_number(entry);
		FILE	   *file = tmpfile();
		uint8_t    *back = malloc(whole.len[n] + 1);

		assert_non_null(file);
		bkc_stage_file_target(sink, fileno(file), entry->path);
		assert_ok(bkc_unpack_file(u, entry, &err));
		assert_int_equal(pread(fileno(file), back, whole.len[n] + 1, 0), whole.len[n]);
		assert_memory_equal(back, whole.data[n], whole.len[n]);
		free(back);
		fclose(file);
	}
	bkc_unpacker_close(u);
	bkc_backup_free(b);
	whole_free(&whole);
}

/* How many files cannot be read?  The last error is left in err. */
static size_t
count_damaged(BkcStore *store, const BkcBackup *b, BkcError *last)
{
	BkcUnpacker *u;
	BkcBuffer	out = {0};
	size_t		bad = 0;
	BkcError	err;

	assert_ok(bkc_unpacker_new(store, b, bkc_stage_buffer_new(&out, SIZE_MAX, &err),
							   NULL, NULL, &u, &err));
	for (size_t i = 0; i < b->norder; i++)
	{
		const BkcEntry *entry = &b->entries[b->order[i]];
		size_t		before = out.len;

		if (!bkc_unpack_file(u, entry, &err))
		{
			assert_int_equal(out.len, before);	/* the sink was aborted */
			assert_non_null(strstr(err.message, entry->path));
			assert_non_null(strstr(err.message, "pgdata"));
			*last = err;
			bad++;
		}
		else
			assert_int_equal(out.len, before + entry->size);
	}
	bkc_unpacker_close(u);
	bkc_buffer_free(&out);
	return bad;
}

static void
test_damage(void **state)
{
	Whole		whole;
	BkcBackup  *b;
	BkcBuffer	good = {0};
	char		name[BKC_NAME_MAX];
	const char *p = name;
	uint8_t    *bad;
	BkcError	err;

	whole_new(&whole, BKC_CODEC_ZSTD, BKC_PACK_SIZE_DEFAULT);
	assert_ok(bkc_backup_load(whole.store, SYSID, LABEL, &b, &err));
	assert_int_equal(b->npacks, 2);
	assert_int_equal(count_damaged(whole.store, b, &err), 0);
	assert_ok(bkc_name_pack(SYSID, LABEL, 0, 0, name, &err));
	util_get(whole.store, name, &good);

	/* one damaged frame: one file is lost, the others are not */
	bad = malloc(good.len);
	memcpy(bad, good.data, good.len);
	bad[BKC_ENVELOPE_SIZE + BKC_FRAME_HEADER_SIZE + 1] ^= 1;
	util_put(whole.store, name, bad, good.len);
	assert_int_equal(count_damaged(whole.store, b, &err), 1);
	assert_int_equal(err.code, BKC_ERR_CORRUPT);
	assert_non_null(strstr(err.message, name));
	assert_non_null(strstr(err.message, "frame 0"));
	assert_ok(bkc_backup_check_pack(whole.store, b, 0, &err));	/* does not read frames */

	/* a damaged footer: everything of this pack, nothing of the other */
	memcpy(bad, good.data, good.len);
	bad[good.len - 1] ^= 1;
	util_put(whole.store, name, bad, good.len);
	assert_true(count_damaged(whole.store, b, &err) > 10);
	assert_true(count_damaged(whole.store, b, &err) < FILES - 5);
	assert_fails(bkc_backup_check_pack(whole.store, b, 0, &err), BKC_ERR_CORRUPT);
	assert_ok(bkc_backup_check_pack(whole.store, b, 1, &err));

	/* a pack that is gone */
	assert_ok(bkc_store_remove(whole.store, &p, 1, &err));
	assert_true(count_damaged(whole.store, b, &err) > 10);
	assert_int_equal(err.code, BKC_ERR_NOT_FOUND);
	assert_fails(bkc_backup_check_pack(whole.store, b, 0, &err), BKC_ERR_NOT_FOUND);
	util_put(whole.store, name, good.data, good.len);
	assert_int_equal(count_damaged(whole.store, b, &err), 0);
	free(bad);
	bkc_buffer_free(&good);
	bkc_backup_free(b);
	whole_free(&whole);
}

/* Entries that do not tell the truth about their frames. */
static void
test_wrong_entries(void **state)
{
	Whole		whole;
	BkcBackup  *b;
	BkcUnpacker *u;
	BkcEntry	good;
	BkcEntry	e;
	BkcPiece	pieces[2];
	BkcError	err;

	whole_new(&whole, BKC_CODEC_ZSTD, BKC_PACK_SIZE_DEFAULT);
	assert_ok(bkc_backup_load(whole.store, SYSID, LABEL, &b, &err));
	assert_ok(bkc_unpacker_new(whole.store, b, bkc_stage_null_new(&err), NULL, NULL, &u, &err));
	good = b->entries[5];		/* 2 MiB and 5 bytes: three frames */
	assert_int_equal(good.size, 2 * MIB + 5);
	assert_ok(bkc_unpack_file(u, &good, &err));
	for (int d = -1; d <= 1; d += 2)
	{
		e = good;
		e.size += (uint64_t) (int64_t) d;
		assert_fails(bkc_unpack_file(u, &e, &err), BKC_ERR_CORRUPT);
		e = good;
		pieces[0] = good.pieces[0];
		pieces[0].frame_count += (uint32_t) d;
		e.pieces = pieces;
		assert_fails(bkc_unpack_file(u, &e, &err), BKC_ERR_CORRUPT);
		pieces[0] = good.pieces[0];
		pieces[0].first_frame += (uint32_t) d;
		assert_fails(bkc_unpack_file(u, &e, &err), BKC_ERR_CORRUPT);
	}
	e = good;
	e.sha256[31] ^= 1;
	assert_fails(bkc_unpack_file(u, &e, &err), BKC_ERR_CORRUPT);
	assert_non_null(strstr(err.message, "SHA-256"));

	/* no frames, frames twice, a pack that is not listed, frames beyond the pack */
	e = good;
	e.npieces = 0;
	assert_fails(bkc_unpack_file(u, &e, &err), BKC_ERR_CORRUPT);
	e = good;
	e.pieces = pieces;
	pieces[0] = pieces[1] = good.pieces[0];
	e.npieces = 2;
	assert_fails(bkc_unpack_file(u, &e, &err), BKC_ERR_CORRUPT);
	e.npieces = 1;
	pieces[0].pack_number = 77;
	assert_fails(bkc_unpack_file(u, &e, &err), BKC_ERR_CORRUPT);
	pieces[0] = good.pieces[0];
	pieces[0].first_frame = UINT32_MAX - 1;
	assert_fails(bkc_unpack_file(u, &e, &err), BKC_ERR_CORRUPT);

	/* a foreign label leads to its packs, or to none */
	pieces[0] = good.pieces[0];
	memcpy(pieces[0].label, OTHER_LABEL, sizeof(OTHER_LABEL));
	assert_fails(bkc_unpack_file(u, &e, &err), BKC_ERR_NOT_FOUND);
	whole.npacks = 0;
	make_backup(&whole, OTHER_LABEL, BKC_CODEC_GZIP, BKC_PACK_SIZE_DEFAULT);
	assert_ok(bkc_unpack_file(u, &e, &err));

	/* folders have no content */
	e = good;
	e.type = BKC_ENTRY_DIR;
	assert_fails(bkc_unpack_file(u, &e, &err), BKC_ERR_INTERNAL);
	assert_ok(bkc_unpack_file(u, &good, &err));
	bkc_unpacker_close(u);
	bkc_backup_free(b);
	whole_free(&whole);
}

/* ---- WAL ---- */

static BkcBackup *
load_with_wal(BkcStore *store, const BkcManifestHeader *header, uint64_t from, uint64_t to,
			  uint64_t size)
{
	BkcManifestPut *put;
	BkcBackup  *b;
	const char *name;
	char		manifest[BKC_NAME_MAX];
	BkcError	err;

	assert_ok(bkc_name_manifest(SYSID, LABEL, manifest, &err));
	name = manifest;
	assert_ok(bkc_store_remove(store, &name, 1, &err));
	assert_ok(bkc_manifest_put_begin(store, header, &put, &err));
	for (uint64_t segno = to + 1; segno-- > from;)
	{
		char		wal[BKC_WAL_NAME_MAX];
		BkcPiece	piece = {.frame_count = (uint32_t) ((size + MIB - 1) / MIB)};
		BkcEntry	e = {
			.type = BKC_ENTRY_FILE, .root = BKC_ROOT_WAL, .mode = 0600, .size = size,
			.path = wal, .pieces = &piece, .npieces = 1
		};

		bkc_wal_segment_name(1, segno, (uint32_t) SEGMENT, wal);
		assert_ok(bkc_manifest_put_entry(put, &e, &err));
	}
	/* a file of the same name outside root wal does not count */
	put_file(put, "000000010000000000000005", 1, 0, 0);
	end_manifest(put, 1);
	assert_ok(bkc_backup_load(store, SYSID, LABEL, &b, &err));
	return b;
}

static void
test_wal(void **state)
{
	BkcStore   *store = util_store();
	BkcManifestHeader header = make_header(LABEL);	/* 5 * SEGMENT + 40 .. 8 * SEGMENT */
	BkcBackup  *b;
	BkcError	err;

	b = load_with_wal(store, &header, 5, 7, SEGMENT);
	assert_ok(bkc_backup_check_wal(b, &err));
	assert_int_equal(b->nwal, 3);
	assert_non_null(bkc_backup_find_wal(b, "000000010000000000000006"));
	assert_string_equal(bkc_backup_find_wal(b, "000000010000000000000005")->path,
						"000000010000000000000005");
	assert_int_equal(bkc_backup_find_wal(b, "000000010000000000000005")->root, BKC_ROOT_WAL);
	assert_null(bkc_backup_find_wal(b, "000000010000000000000008"));
	assert_null(bkc_backup_find_wal(b, "000000010000000000000004"));
	assert_null(bkc_backup_find_wal(b, ""));
	bkc_backup_free(b);

	/* one byte of the next segment needs the next segment */
	header.stop_lsn = 8 * SEGMENT + 1;
	b = load_with_wal(store, &header, 5, 7, SEGMENT);
	assert_fails(bkc_backup_check_wal(b, &err), BKC_ERR_CORRUPT);
	assert_non_null(strstr(err.message, "000000010000000000000008"));
	bkc_backup_free(b);
	b = load_with_wal(store, &header, 5, 8, SEGMENT);
	assert_ok(bkc_backup_check_wal(b, &err));
	bkc_backup_free(b);

	/* the first is missing; one too short */
	b = load_with_wal(store, &header, 6, 9, SEGMENT);
	assert_fails(bkc_backup_check_wal(b, &err), BKC_ERR_CORRUPT);
	assert_non_null(strstr(err.message, "000000010000000000000005"));
	bkc_backup_free(b);
	b = load_with_wal(store, &header, 5, 8, SEGMENT - 1);
	assert_fails(bkc_backup_check_wal(b, &err), BKC_ERR_CORRUPT);
	bkc_backup_free(b);

	/* a backup that reaches nowhere; and one that would need all WAL there is */
	header.stop_lsn = header.start_lsn;
	b = load_with_wal(store, &header, 5, 8, SEGMENT);
	assert_fails(bkc_backup_check_wal(b, &err), BKC_ERR_CORRUPT);
	bkc_backup_free(b);
	header.stop_lsn = UINT64_MAX;
	b = load_with_wal(store, &header, 5, 8, SEGMENT);
	assert_fails(bkc_backup_check_wal(b, &err), BKC_ERR_CORRUPT);
	bkc_backup_free(b);
	bkc_store_close(store);
}

/* ---- the repository ---- */

static void
put_cluster(BkcStore *store, uint64_t folder, uint64_t sysid, const char *name)
{
	BkcClusterDoc doc = {
		.system_identifier = sysid, .pg_version_num = 150020, .created = 1700000000000000
	};
	BkcBuffer	text = {0};
	char		object[BKC_NAME_MAX];
	BkcError	err;

	snprintf(doc.name, sizeof(doc.name), "%s", name);
	assert_ok(bkc_clusterdoc_encode(&doc, &text, &err));
	assert_ok(bkc_name_cluster(folder, object, &err));
	assert_ok(bkc_document_put(store, object, BKC_KIND_CLUSTER, bkc_buffer_str(&text), text.len,
							   &err));
	bkc_buffer_free(&text);
}

static void
test_clusters(void **state)
{
	BkcStore   *store = util_store();
	BkcClusterInfo *list;
	BkcError	err;
	size_t		n;

	assert_ok(bkc_repo_clusters(store, &list, &n, &err));
	assert_int_equal(n, 0);
	bkc_repo_clusters_free(list, n);

	/* numbers sort as numbers; what is not ours is passed over */
	put_cluster(store, 900, 900, "b");
	put_cluster(store, 1000, 1000, "");
	put_cluster(store, SYSID, SYSID, "prod");
	util_put(store, "photos/cluster", "x", 1);
	util_put(store, "0900/cluster", "x", 1);
	util_put(store, "77/wal/x", "x", 1);
	util_put(store, "README", "x", 1);
	assert_ok(bkc_repo_clusters(store, &list, &n, &err));
	assert_int_equal(n, 3);
	assert_int_equal(list[0].system_identifier, 900);
	assert_string_equal(list[0].name, "b");
	assert_int_equal(list[1].system_identifier, 1000);
	assert_string_equal(list[1].name, "");
	assert_int_equal(list[2].system_identifier, SYSID);
	assert_int_equal(list[2].pg_version_num, 150020);
	assert_int_equal(list[2].created, 1700000000000000);
	bkc_repo_clusters_free(list, n);
	bkc_repo_clusters_free(NULL, 0);

	/* a cluster object that is another's: its backups may be intact all the same */
	put_cluster(store, 55, 56, "c");
	assert_ok(bkc_repo_clusters(store, &list, &n, &err));
	assert_int_equal(n, 4);
	for (size_t i = 0; i < n; i++)
	{
		if (list[i].system_identifier == 55)
			assert_string_equal(list[i].name, "");
	}
	bkc_repo_clusters_free(list, n);
	bkc_store_close(store);
}

static void
test_backups(void **state)
{
	static const char *const objects[] = {
		"20261120T120301Z-full-7f3a/begin", "20261120T120301Z-full-7f3a/manifest",
		"20261121T120301Z-full-0001/begin", "20261121T120301Z-full-0001/data/0-0.pack",
		"20261119T120301Z-full-ffff/data/0-0.pack",
		"20261119T235959Z-full-0000/manifest",
		"20261120T120301Z-full-7f3/begin", "latest/begin", "note",
	};
	BkcStore   *store = util_store();
	BkcBackupRef *list;
	char		prefix[BKC_NAME_MAX];
	char		name[BKC_NAME_MAX * 2];
	BkcError	err;
	size_t		n;

	assert_ok(bkc_repo_backups(store, SYSID, &list, &n, &err));
	assert_int_equal(n, 0);
	free(list);
	assert_ok(bkc_name_backups(SYSID, prefix, &err));
	for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++)
	{
		snprintf(name, sizeof(name), "%s%s", prefix, objects[i]);
		util_put(store, name, "x", 1);
	}
	assert_ok(bkc_repo_backups(store, SYSID, &list, &n, &err));
	assert_int_equal(n, 4);
	assert_string_equal(list[0].label, "20261119T120301Z-full-ffff");
	assert_false(list[0].complete || list[0].has_begin);
	assert_string_equal(list[1].label, "20261119T235959Z-full-0000");
	assert_true(list[1].complete && !list[1].has_begin);
	assert_string_equal(list[2].label, "20261120T120301Z-full-7f3a");
	assert_true(list[2].complete && list[2].has_begin);
	assert_string_equal(list[3].label, "20261121T120301Z-full-0001");
	assert_true(!list[3].complete && list[3].has_begin);
	free(list);
	bkc_store_close(store);
}

/* "Could not ask" must never look like "not there". */
static void
test_listing_failures(void **state)
{
	bool		clusters = false;
	bool		backups = false;

	for (uint64_t at = 1; !clusters || !backups; at++)
	{
		BkcStore   *memory = util_store();
		BkcStore   *look;
		BkcStore   *store;
		BkcClusterInfo *clist;
		BkcBackupRef *blist;
		BkcError	err;
		size_t		n;

		put_cluster(memory, SYSID, SYSID, "prod");
		end_manifest(begin_manifest(memory), 0);
		assert_ok(bkc_store_memory_share(memory, &look, &err));
		assert_ok(bkc_store_faulty_new(memory, at, BKC_ERR_TIMEOUT, NULL, &store, &err));
		clusters = bkc_repo_clusters(store, &clist, &n, &err);
		if (!clusters)
		{
			assert_int_equal(err.code, BKC_ERR_TIMEOUT);
			assert_null(clist);
		}
		else
			bkc_repo_clusters_free(clist, n);
		bkc_store_close(store);
		assert_ok(bkc_store_faulty_new(look, at, BKC_ERR_TIMEOUT, NULL, &store, &err));
		backups = bkc_repo_backups(store, SYSID, &blist, &n, &err);
		if (!backups)
		{
			assert_int_equal(err.code, BKC_ERR_TIMEOUT);
			assert_null(blist);
		}
		else
			free(blist);
		bkc_store_close(store);
		assert_true(at < 30);
	}
}

/* ---- removal ---- */

/* A backup's objects, more than one batch of them when many is set, and things beside it. */
static void
make_removable(BkcStore *store, bool many)
{
	static const char *const own[] = {"begin", "manifest", "data/0-0.pack", "data/1-0.pack",
									  "notes/20261120T120301000Z-verify", "aaa", "zzz/zzz"};
	static const char *const beside[] = {
		"20261120T120301Z-full-7f3a0/begin", "20261120T120301Z-full-7f3a.x",
		"20261120T120301Z-full-7f3b/begin", "20261120T120301Z-full-7f39/manifest",
	};
	char		name[BKC_NAME_MAX * 2];
	char		prefix[BKC_NAME_MAX];
	BkcError	err;

	assert_ok(bkc_name_backup(SYSID, LABEL, prefix, &err));
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
	{
		snprintf(name, sizeof(name), "%s%s", prefix, own[i]);
		util_put(store, name, "x", 1);
	}
	for (int i = 1; many && i < 1200; i++)
	{
		snprintf(name, sizeof(name), "%sdata/0-%d.pack", prefix, i);
		util_put(store, name, "x", 1);
	}
	assert_ok(bkc_name_backups(SYSID, prefix, &err));
	for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++)
	{
		snprintf(name, sizeof(name), "%s%s", prefix, beside[i]);
		util_put(store, name, "x", 1);
	}
}

static bool
exists(BkcStore *store, const char *base)
{
	char		name[BKC_NAME_MAX * 2];
	char		prefix[BKC_NAME_MAX];
	uint64_t	size;
	BkcError	err;

	assert_ok(bkc_name_backup(SYSID, LABEL, prefix, &err));
	snprintf(name, sizeof(name), "%s%s", prefix, base);
	return bkc_store_stat(store, name, &size, &err);
}

static void
test_remove(void **state)
{
	BkcStore   *store = util_store();
	BkcError	err;

	make_removable(store, true);
	assert_ok(bkc_repo_remove_backup(store, SYSID, LABEL, &err));
	assert_int_equal(util_objects(store), 4);

	/* nothing is there: fine */
	assert_ok(bkc_repo_remove_backup(store, SYSID, LABEL, &err));
	assert_int_equal(util_objects(store), 4);
	assert_fails(bkc_repo_remove_backup(store, SYSID, "", &err), BKC_ERR_INVALID);
	assert_fails(bkc_repo_remove_backup(store, SYSID, "..", &err), BKC_ERR_INVALID);
	assert_int_equal(util_objects(store), 4);
	bkc_store_close(store);
}

static void
test_remove_resumes(void **state)
{
	bool		done = false;

	for (uint64_t at = 1; !done; at++)
	{
		BkcStore   *memory = util_store();
		BkcStore   *look;
		BkcStore   *store;
		BkcError	err;

		make_removable(memory, true);
		assert_ok(bkc_store_memory_share(memory, &look, &err));
		assert_ok(bkc_store_faulty_new(memory, at, BKC_ERR_UNAVAILABLE, NULL, &store, &err));
		done = bkc_repo_remove_backup(store, SYSID, LABEL, &err);
		if (!done)
			assert_int_equal(err.code, BKC_ERR_UNAVAILABLE);

		/* at no moment a manifest without its data, or data that begin does not explain */
		if (exists(look, "manifest"))
			assert_true(exists(look, "data/0-0.pack") && exists(look, "zzz/zzz"));
		if (exists(look, "data/0-0.pack") || exists(look, "zzz/zzz"))
			assert_true(exists(look, "begin"));

		assert_ok(bkc_repo_remove_backup(look, SYSID, LABEL, &err));
		assert_int_equal(util_objects(look), 4);
		bkc_store_close(store);
		bkc_store_close(look);
		assert_true(at < 30);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plan),
		cmocka_unit_test(test_plan_many),
		cmocka_unit_test(test_plan_empty),
		cmocka_unit_test(test_load_details),
		cmocka_unit_test(test_load_memory),
		cmocka_unit_test(test_load_failures),
		cmocka_unit_test(test_unpack),
		cmocka_unit_test(test_unpack_to_files),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_wrong_entries),
		cmocka_unit_test(test_wal),
		cmocka_unit_test(test_clusters),
		cmocka_unit_test(test_backups),
		cmocka_unit_test(test_listing_failures),
		cmocka_unit_test(test_remove),
		cmocka_unit_test(test_remove_resumes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
