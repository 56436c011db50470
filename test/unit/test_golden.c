/*
 * test_golden.c
 *		Repositories of released formats can still be read, and are what
 *		FORMAT.md says.
 *
 * Everything is done with the copy in test/golden, which was written once,
 * and with one that is written now; by the core, and by a second reader that
 * knows FORMAT.md only.
 *
 *		test_golden --make FOLDER		write a copy (see test/golden/README.md)
 *		test_golden --make-sealed FOLDER	the same, sealed
 *		test_golden --check FOLDER		read any repository by FORMAT.md only
 */
#include "test_pipe_util.h"

#include "format/names.h"
#include "golden.h"
#include "golden_make.h"
#include "golden_repo.h"
#include "pipe/object.h"
#include "pipe/unpack.h"

#define PACK_PREFIX		GOLDEN_BACKUP "/data/"
#define MANIFEST_NAME	GOLDEN_BACKUP "/manifest"

static void
load(const GoldenRepo *repo, const char *name, int kind, RawObject *object)
{
	const char *error = raw_load(repo->root, name, kind, object);

	if (error != NULL)
		fail_msg("%s: %s", name, error);
}

static void
load_manifest(const GoldenRepo *repo, RawManifest *manifest)
{
	const char *error = raw_load_manifest(repo->root, MANIFEST_NAME, manifest);

	if (error != NULL)
		fail_msg("manifest: %s", error);
}

/* ---- by the core ---- */

static void
get_document(const GoldenRepo *repo, const char *name, BkcKind kind, BkcBuffer *text)
{
	BkcError	err;

	bkc_buffer_reset(text);
	assert_ok(bkc_document_get(repo->store, name, kind, text, &err));
}

static void
test_core_documents(void **state)
{
	const GoldenRepo *repo = *state;
	BkcBuffer	text = {0};
	char		name[BKC_NAME_MAX];
	BkcClusterDoc cluster;
	BkcError	err;

	assert_ok(bkc_name_cluster(GOLDEN_SYSID, name, &err));
	get_document(repo, name, BKC_KIND_CLUSTER, &text);
	assert_ok(bkc_clusterdoc_decode(bkc_buffer_str(&text), text.len, name, &cluster, &err));
	assert_int_equal(cluster.system_identifier, golden_core_cluster.system_identifier);
	assert_string_equal(cluster.name, golden_core_cluster.name);
	assert_int_equal(cluster.pg_version_num, golden_core_cluster.pg_version_num);
	assert_int_equal(cluster.created, golden_core_cluster.created);

	for (int i = 0; i < GOLDEN_BEGINS; i++)
	{
		const BkcBeginDoc *expected = &golden_core_begin[i];
		BkcBeginDoc begin;

		assert_ok(bkc_name_begin(GOLDEN_SYSID, expected->label, name, &err));
		get_document(repo, name, BKC_KIND_BEGIN, &text);
		assert_ok(bkc_begindoc_decode(bkc_buffer_str(&text), text.len, name, &begin, &err));
		assert_string_equal(begin.label, expected->label);
		assert_string_equal(begin.type, expected->type);
		assert_string_equal(begin.parent, "");
		assert_int_equal(begin.system_identifier, GOLDEN_SYSID);
		assert_string_equal(begin.owner, expected->owner);
		assert_string_equal(begin.host, expected->host);
		assert_int_equal(begin.start_time, expected->start_time);
	}
	bkc_buffer_free(&text);
}

static void
test_core_notes(void **state)
{
	const GoldenRepo *repo = *state;
	BkcBuffer	text = {0};
	char		name[BKC_NAME_MAX];
	BkcVerifyNote note;
	BkcError	err;

	for (int i = 0; i < 2; i++)
	{
		const BkcVerifyNote *expected = &golden_core_notes[i];

		assert_ok(bkc_name_note(GOLDEN_SYSID, GOLDEN_LABEL, expected->time, "verify", name, &err));
		get_document(repo, name, BKC_KIND_NOTE, &text);
		assert_ok(bkc_verifynote_decode(bkc_buffer_str(&text), text.len, name, &note, &err));
		assert_string_equal(note.label, expected->label);
		assert_int_equal(note.time, expected->time);
		assert_string_equal(note.level, expected->level);
		assert_int_equal(note.ok, expected->ok);
		assert_int_equal(note.files, expected->files);
		assert_int_equal(note.bytes, expected->bytes);
		assert_int_equal(note.failures, expected->failures);
		assert_string_equal(note.first_failure, expected->first_failure);
	}
	bkc_buffer_free(&text);
}

static void
test_core_lists(void **state)
{
	const GoldenRepo *repo = *state;
	BkcClusterInfo *clusters;
	BkcBackupRef *backups;
	BkcError	err;
	size_t		n;

	assert_ok(bkc_repo_clusters(repo->store, &clusters, &n, &err));
	assert_int_equal(n, 1);
	assert_int_equal(clusters[0].system_identifier, GOLDEN_SYSID);
	assert_string_equal(clusters[0].name, golden_core_cluster.name);
	bkc_repo_clusters_free(clusters, n);

	assert_ok(bkc_repo_backups(repo->store, GOLDEN_SYSID, &backups, &n, &err));
	assert_int_equal(n, 3);
	assert_string_equal(backups[0].label, GOLDEN_LABEL);
	assert_true(backups[0].complete && backups[0].has_begin);
	assert_string_equal(backups[1].label, GOLDEN_BEGUN);
	assert_true(!backups[1].complete && backups[1].has_begin);
	assert_string_equal(backups[2].label, GOLDEN_ARCHIVED);
	assert_true(backups[2].complete && backups[2].has_begin);
	free(backups);
}

static BkcBackup *
load_backup(const GoldenRepo *repo)
{
	BkcBackup  *backup;
	BkcError	err;

	assert_ok(bkc_backup_load(repo->store, GOLDEN_SYSID, GOLDEN_LABEL, &backup, &err));
	return backup;
}

static void
check_texts(const BkcManifestHeader *h, const BkcManifestHeader *expected)
{
	assert_string_equal(h->label, expected->label);
	assert_string_equal(h->type, expected->type);
	assert_null(h->parent);
	assert_string_equal(h->cluster_name, expected->cluster_name);
	assert_string_equal(h->host, expected->host);
	assert_string_equal(h->data_directory, expected->data_directory);
	assert_string_equal(h->config_file, expected->config_file);
	assert_string_equal(h->hba_file, expected->hba_file);
	assert_null(h->ident_file);
	assert_string_equal(h->backup_label, expected->backup_label);
	assert_string_equal(h->tablespace_map, expected->tablespace_map);
	assert_string_equal(h->software, expected->software);
}

static void
test_core_header(void **state)
{
	BkcBackup  *backup = load_backup(*state);
	const BkcManifestHeader *h = &backup->header;
	const BkcManifestHeader *expected = &golden_core_header;

	check_texts(h, expected);
	assert_int_equal(h->system_identifier, expected->system_identifier);
	assert_int_equal(h->pg_version_num, expected->pg_version_num);
	assert_int_equal(h->catalog_version, expected->catalog_version);
	assert_int_equal(h->control_version, expected->control_version);
	assert_int_equal(h->block_size, expected->block_size);
	assert_int_equal(h->segment_blocks, expected->segment_blocks);
	assert_int_equal(h->wal_segment_size, expected->wal_segment_size);
	assert_int_equal(h->data_checksums, expected->data_checksums);
	assert_int_equal(h->start_time, expected->start_time);
	assert_int_equal(h->stop_time, expected->stop_time);
	assert_int_equal(h->timeline, expected->timeline);
	assert_int_equal(h->start_lsn, expected->start_lsn);
	assert_int_equal(h->stop_lsn, expected->stop_lsn);
	assert_int_equal(h->ntablespaces, 2);
	assert_int_equal(h->tablespaces[0].oid, expected->tablespaces[0].oid);
	assert_string_equal(h->tablespaces[0].path, expected->tablespaces[0].path);
	assert_int_equal(h->tablespaces[1].oid, expected->tablespaces[1].oid);
	assert_null(h->tablespaces[1].path);
	bkc_backup_free(backup);
}

static void
test_core_entries(void **state)
{
	BkcBackup  *backup = load_backup(*state);

	assert_int_equal(backup->nentries, golden_nentries);
	for (size_t i = 0; i < golden_nentries; i++)
	{
		static const char *const types[] = {"file", "dir"};
		const GoldenEntry *expected = golden_entry(i);
		const BkcEntry *entry = &backup->entries[i];
		char		root[32];

		bkc_root_name(entry->root, entry->tablespace, root);
		assert_string_equal(root, expected->root);
		assert_string_equal(entry->path, expected->path);
		assert_string_equal(types[entry->type], expected->type);
		assert_int_equal(entry->mode, expected->mode);
		assert_int_equal(entry->mtime, expected->mtime);
		assert_int_equal(entry->size, expected->size);
		assert_int_equal(entry->nbad_blocks, expected->nbad_blocks);
		assert_int_equal(entry->bad_block_count, expected->nbad_blocks);
		for (size_t b = 0; b < expected->nbad_blocks; b++)
			assert_int_equal(entry->bad_blocks[b], expected->bad_blocks[b]);
	}
	bkc_backup_free(backup);
}

/* Every file through the whole chain, and the backup's own checks. */
static void
test_core_content(void **state)
{
	const GoldenRepo *repo = *state;
	BkcBackup  *backup = load_backup(repo);
	BkcUnpacker *unpacker;
	BkcBuffer	got = {0};
	BkcStage   *sink;
	BkcError	err;

	for (size_t i = 0; i < backup->npacks; i++)
		assert_ok(bkc_backup_check_pack(repo->store, backup, i, &err));
	assert_ok(bkc_backup_check_wal(backup, &err));
	assert_non_null(bkc_backup_find_wal(backup, "00000002.history"));
	sink = bkc_stage_buffer_new(&got, 4 * GOLDEN_MIB, &err);
	assert_non_null(sink);
	assert_ok(bkc_unpacker_new(repo->store, backup, sink, NULL, NULL, &unpacker, &err));
	for (size_t i = 0; i < golden_nentries; i++)
	{
		uint8_t    *expected;

		if (backup->entries[i].type != BKC_ENTRY_FILE)
			continue;
		bkc_buffer_reset(&got);
		assert_ok(bkc_unpack_file(unpacker, &backup->entries[i], &err));
		assert_int_equal(got.len, golden_entry(i)->size);
		expected = golden_content(golden_entry(i));
		assert_non_null(expected);
		if (got.len > 0)
			assert_memory_equal(got.data, expected, got.len);
		free(expected);
	}
	bkc_unpacker_close(unpacker);
	bkc_buffer_free(&got);
	bkc_backup_free(backup);
}

/* ---- by FORMAT.md ---- */

static json_t *
expected_json(const char *text)
{
	json_error_t error;
	json_t	   *value = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	if (value == NULL)
		fail_msg("%s: %s", error.text, text);
	return value;
}

static void
check_equal(const char *what, const json_t *got, const char *text)
{
	json_t	   *expected = expected_json(text);

	if (!json_equal((json_t *) got, expected))
	{
		char	   *dump = json_dumps(got, 0);

		fail_msg("%s is %s", what, dump);
	}
	json_decref(expected);
}

static void
test_raw_documents(void **state)
{
	const GoldenRepo *repo = *state;

	for (size_t i = 0; i < golden_ndocuments; i++)
	{
		const GoldenDocument *expected = &golden_documents[i];
		char		name[BKC_NAME_MAX];
		const char *error;
		json_t	   *document;

		snprintf(name, sizeof(name), GOLDEN_SYSID_TEXT "%s", expected->name);
		error = raw_load_document(repo->root, name, expected->kind, &document);
		if (error != NULL)
			fail_msg("%s: %s", name, error);
		check_equal(name, document, expected->json);
		json_decref(document);
	}
}

static int64_t
int_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static const char *
string_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void
check_path(const json_t *entry, const char *expected)
{
	char	   *path = raw_text(entry, "path");

	assert_non_null(path);
	assert_string_equal(path, expected);
	free(path);
}

static void
test_raw_manifest(void **state)
{
	RawManifest manifest;
	RawObject	object;

	load(*state, MANIFEST_NAME, BKC_KIND_MANIFEST, &object);
	assert_int_equal(object.nframes, 2);
	assert_int_equal(object.frames[0].plain_len, GOLDEN_MIB);
	raw_free(&object);
	load_manifest(*state, &manifest);
	check_equal("header", manifest.header, golden_header);
	assert_int_equal(json_array_size(manifest.entries), golden_nentries);
	for (size_t i = 0; i < golden_nentries; i++)
	{
		const GoldenEntry *expected = golden_entry(i);
		const json_t *entry = json_array_get(manifest.entries, i);
		const json_t *bad = json_object_get(entry, "bad_blocks");

		assert_string_equal(string_of(entry, "root"), expected->root);
		assert_string_equal(string_of(entry, "type"), expected->type);
		check_path(entry, expected->path);
		assert_int_equal(strtol(string_of(entry, "mode"), NULL, 8), expected->mode);
		assert_int_equal(int_of(entry, "mtime"), expected->mtime);
		assert_int_equal(int_of(entry, "size"), expected->size);
		assert_int_equal(json_array_size(bad), expected->nbad_blocks);
		assert_int_equal(int_of(entry, "bad_block_count"), expected->nbad_blocks);
		for (size_t b = 0; b < expected->nbad_blocks; b++)
			assert_int_equal(json_integer_value(json_array_get(bad, b)), expected->bad_blocks[b]);
	}
	raw_manifest_free(&manifest);
}

/* What a set of packs shows while it is read; all of it must be in the repository. */
typedef struct Seen
{
	size_t		compressed[4];	/* frames by codec */
	size_t		stored[4];
	size_t		unused;			/* frames that no file refers to */
	size_t		spanning;		/* files in several packs */
	size_t		full;			/* frames of 1 MiB */
} Seen;

typedef struct Packs
{
	RawObject  *objects;
	uint8_t   **used;			/* per frame: a file refers to it */
	size_t		n;
} Packs;

static void
load_packs(const GoldenRepo *repo, const RawManifest *manifest, Packs *packs)
{
	packs->n = json_array_size(manifest->packs);
	packs->objects = calloc(packs->n, sizeof(*packs->objects));
	packs->used = calloc(packs->n, sizeof(*packs->used));
	assert_true(packs->objects != NULL && packs->used != NULL);
	for (size_t i = 0; i < packs->n; i++)
	{
		const json_t *line = json_array_get(manifest->packs, i);
		RawObject  *object = &packs->objects[i];
		char		name[BKC_NAME_MAX];

		snprintf(name, sizeof(name), PACK_PREFIX "%s.pack", string_of(line, "pack"));
		load(repo, name, BKC_KIND_PACK, object);
		assert_int_equal(object->size, int_of(line, "size"));
		assert_int_equal(object->nframes, int_of(line, "frames"));
		assert_int_equal(object->codec, golden_codecs[strtol(string_of(line, "pack"), NULL, 10)]);
		packs->used[i] = calloc(object->nframes, 1);
		assert_non_null(packs->used[i]);
	}
}

static void
free_packs(Packs *packs)
{
	for (size_t i = 0; i < packs->n; i++)
	{
		raw_free(&packs->objects[i]);
		free(packs->used[i]);
	}
	free(packs->objects);
	free(packs->used);
}

static size_t
find_pack(const RawManifest *manifest, const char *id)
{
	size_t		i = 0;

	while (strcmp(string_of(json_array_get(manifest->packs, i), "pack"), id) != 0)
		i++;
	return i;
}

/* Compare one piece with the file's content from *at on. */
static void
check_piece(const RawManifest *manifest, Packs *packs, const json_t *piece,
			const uint8_t *content, size_t size, size_t *at)
{
	size_t		pack = find_pack(manifest, string_of(piece, "pack"));
	size_t		first = (size_t) int_of(piece, "first");

	for (size_t i = first; i < first + (size_t) int_of(piece, "frames"); i++)
	{
		const RawFrame *frame = &packs->objects[pack].frames[i];
		size_t		due = size - *at < GOLDEN_MIB ? size - *at : GOLDEN_MIB;

		assert_int_equal(frame->plain_len, due);
		assert_memory_equal(frame->plain, content + *at, due);
		assert_int_equal(packs->used[pack][i], 0);
		packs->used[pack][i] = 1;
		*at += due;
	}
}

static void
look_at_frames(const Packs *packs, Seen *seen)
{
	for (size_t i = 0; i < packs->n; i++)
	{
		const RawObject *object = &packs->objects[i];

		for (size_t f = 0; f < object->nframes; f++)
		{
			const RawFrame *frame = &object->frames[f];

			if (frame->flags & RAW_STORED)
				seen->stored[object->codec]++;
			else
				seen->compressed[object->codec]++;
			seen->full += frame->plain_len == GOLDEN_MIB;
			seen->unused += packs->used[i][f] == 0;
		}
	}
}

static void
test_raw_content(void **state)
{
	RawManifest manifest;
	Packs		packs;
	Seen		seen;

	memset(&seen, 0, sizeof(seen));
	load_manifest(*state, &manifest);
	load_packs(*state, &manifest, &packs);
	for (size_t i = 0; i < golden_nentries; i++)
	{
		const json_t *entry = json_array_get(manifest.entries, i);
		const json_t *pieces = json_object_get(entry, "pieces");
		uint8_t    *content = golden_content(golden_entry(i));
		uint8_t		sha[BKC_SHA256_SIZE];
		char		hex[2 * BKC_SHA256_SIZE + 1];
		size_t		size = golden_entry(i)->size;
		size_t		at = 0;
		BkcError	err;

		assert_non_null(content);
		for (size_t p = 0; p < json_array_size(pieces); p++)
			check_piece(&manifest, &packs, json_array_get(pieces, p), content, size, &at);
		assert_int_equal(at, size);
		seen.spanning += json_array_size(pieces) > 1;
		if (strcmp(golden_entry(i)->type, "file") == 0)
		{
			assert_ok(bkc_sha256(content, size, sha, &err));
			for (int b = 0; b < BKC_SHA256_SIZE; b++)
				snprintf(hex + 2 * b, 3, "%02x", sha[b]);
			assert_string_equal(string_of(entry, "sha256"), hex);
		}
		free(content);
	}
	look_at_frames(&packs, &seen);
	assert_int_equal(seen.compressed[0], 0);
	for (int codec = 0; codec < 4; codec++)
		assert_true(seen.stored[codec] > 0 && (codec == 0 || seen.compressed[codec] > 0));
	assert_true(seen.unused > 0 && seen.spanning > 0 && seen.full > 0);
	free_packs(&packs);
	raw_manifest_free(&manifest);
}

/* Every object there is, whatever its name, and nothing else. */
static void
test_raw_repository(void **state)
{
	const GoldenRepo *repo = *state;
	RawManifest manifest;
	const char *error;
	size_t		objects;

	error = raw_repository(repo->root, &objects);
	if (error != NULL)
		fail_msg("%s", error);
	load_manifest(repo, &manifest);
	/* the other backup has a manifest and a pack; each backup, a day and names have keys */
	assert_int_equal(objects, golden_ndocuments + json_array_size(manifest.packs) + 1 +
					 golden_nwal + 2 + (repo->store->keys != NULL ? 4 : 0));
	assert_int_equal(objects, util_objects(repo->store));
	raw_manifest_free(&manifest);
}

/* The second reader notices each byte that is not as it was, each cut, and a wrong name. */
static void
test_raw_damage(void **state)
{
	const GoldenRepo *repo = *state;
	const char *name = PACK_PREFIX "1-0.pack";
	BkcBuffer	bytes = {0};
	RawObject	object;

	util_get(repo->store, name, &bytes);
	for (size_t i = 0; i < bytes.len; i++)
	{
		bytes.data[i] ^= (uint8_t) (1 << i % 8);
		if (raw_parse(name, BKC_KIND_PACK, bytes.data, bytes.len, &object) == NULL)
			fail_msg("byte %zu", i);
		raw_free(&object);
		bytes.data[i] ^= (uint8_t) (1 << i % 8);
		if (raw_parse(name, BKC_KIND_PACK, bytes.data, i, &object) == NULL)
			fail_msg("cut to %zu bytes", i);
		raw_free(&object);
	}
	assert_non_null(raw_parse(PACK_PREFIX "1-1.pack", BKC_KIND_PACK, bytes.data, bytes.len,
							  &object));
	raw_free(&object);
	bkc_buffer_free(&bytes);
}

/* The bytes at the end of FORMAT.md. */
static void
test_raw_vectors(void **state)
{
	static const uint8_t digest[16] = {
		0x98, 0x95, 0xe3, 0x70, 0x7f, 0x2d, 0xb4, 0x60,
		0x8e, 0x7b, 0x3b, 0x2d, 0x01, 0xa3, 0xce, 0x7d
	};
	static const uint8_t frame[] = {
		0, 0, 0, 0, 5, 0, 0, 0, 5, 0, 0, 0, 1, 3, 0, 0,
		0xe9, 0x1f, 0x2d, 0x9b, 0xa2, 0xc9, 0xe7, 0x2a,
		0xeb, 0x0e, 0x45, 0x67, 0x2f, 0x57, 0xdc, 0x2d,
		'h', 'e', 'l', 'l', 'o'
	};
	uint8_t		bytes[128 + sizeof(frame)] = "BKCOBJ\r\n\1\0\1\0\0\0\1\24";
	RawObject	object;
	const char *error;

	for (int i = 0; i < 32; i++)
		bytes[32 + i] = (uint8_t) i;
	memcpy(bytes + 112, digest, sizeof(digest));
	memcpy(bytes + 128, frame, sizeof(frame));
	error = raw_parse("1/cluster", BKC_KIND_CLUSTER, bytes, sizeof(bytes), &object);
	if (error != NULL)
		fail_msg("%s", error);
	assert_memory_equal(object.frames[0].plain, "hello", 5);
	raw_free(&object);
}

/* ---- */

static int
make_sealed(const char *folder)
{
	GoldenRepo	repo = {.root = ""};
	BkcError	err;

	assert_ok(golden_open_folder(folder, &repo.store, &err));
	golden_use_keys(repo.store);
	assert_ok(golden_make(repo.store, &err));
	bkc_store_close(repo.store);
	return 0;
}

static int
make(const char *folder)
{
	BkcStore   *store = NULL;
	BkcError	err;
	bool		ok;

	ok = golden_open_folder(folder, &store, &err) && golden_make(store, &err);
	bkc_store_close(store);
	if (!ok)
		fprintf(stderr, "%s\n", err.message);
	return ok ? 0 : 1;
}

static int
check(const char *folder)
{
	size_t		objects = 0;
	const char *error = raw_repository(folder, &objects);

	printf("%zu objects%s%s\n", objects, error != NULL ? ": " : "", error != NULL ? error : "");
	return error != NULL ? 1 : 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_core_documents),
		cmocka_unit_test(test_core_notes),
		cmocka_unit_test(test_core_lists),
		cmocka_unit_test(test_core_header),
		cmocka_unit_test(test_core_entries),
		cmocka_unit_test(test_core_content),
		cmocka_unit_test(test_raw_documents),
		cmocka_unit_test(test_raw_manifest),
		cmocka_unit_test(test_raw_content),
		cmocka_unit_test(test_raw_repository),
		cmocka_unit_test(test_raw_damage),
		cmocka_unit_test(test_raw_vectors),
	};
	int			failed;

	if (argc == 3 && strcmp(argv[1], "--make") == 0)
		return make(argv[2]);
	if (argc == 3 && strcmp(argv[1], "--make-sealed") == 0)
		return make_sealed(argv[2]);
	if (argc == 3 && strcmp(argv[1], "--check") == 0)
		return check(argv[2]);
	failed = cmocka_run_group_tests_name("golden", tests, golden_open_v1, golden_close);
	failed += cmocka_run_group_tests_name("fresh", tests, golden_open_fresh, golden_close);
	failed += cmocka_run_group_tests_name("sealed", tests, golden_open_sealed, golden_close);
	return failed +
		cmocka_run_group_tests_name("fresh sealed", tests, golden_open_fresh_sealed, golden_close);
}
