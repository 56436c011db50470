/*
 * test_pipe_walobj.c
 *		WAL files in and out of a repository: every outcome, every failure, and
 *		nothing damaged that is ever taken for good.
 */
#include "test_pipe_wal.h"

#include <sys/mman.h>

#include <malloc.h>

static FileRepo repo;

static BkcWalFile
segment_file(const char *path, bool ask_first)
{
	BkcWalFile	file = {
		.file = SEGMENT,
		.path = path,
		.segment_size = MB,
		.time = TIME,
		.ask_first = ask_first
	};

	return file;
}

/* What the object of a file holds, read through a descriptor. */
static void
assert_content(BkcStore *store, const char *name, const uint8_t *data, size_t len)
{
	char		path[256];
	uint8_t    *back = malloc(len + 1);
	BkcWalInfo	info;
	BkcWalInfo	head;
	BkcError	err;
	size_t		got;
	int			fd;

	snprintf(path, sizeof(path), "%s/back", repo.top);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "before", 6), 6);
	assert_ok(bkc_wal_read(store, name, UINT64_MAX, fd, path, &info, &err));
	assert_ok(bkc_file_pread(fd, path, back, len + 1, 6, &got, &err));
	assert_int_equal(got, len);
	assert_memory_equal(back, data, len);
	close(fd);
	assert_ok(bkc_wal_read(store, name, UINT64_MAX, -1, "", &info, &err));
	assert_ok(bkc_wal_info(store, name, &head, &err));
	assert_int_equal(head.size, len);
	assert_memory_equal(&head, &info, sizeof(info));
	free(back);
}

/* ---- outcomes ---- */

static void
test_outcomes(void **state)
{
	uint8_t    *data = util_data(MB, DATA_TEXT);
	BkcStore   *store = util_store();
	BkcWalWriter *w = wal_writer(store);
	BkcWalFile	file = segment_file(wal_file(&repo, "seg", data, MB), false);
	BkcWalOutcome outcome;
	BkcWalInfo	info;
	BkcError	err;
	char		name[BKC_NAME_MAX];
	uint64_t	stored;
	uint64_t	size;

	assert_fails(bkc_wal_find(store, SYSID, SEGMENT, name, &err), BKC_ERR_NOT_FOUND);
	assert_ok(bkc_walwriter_put(w, &file, &outcome, &stored, &err));
	assert_int_equal(outcome, BKC_WAL_STORED);
	assert_ok(bkc_store_stat(store, FOLDER SEGMENT, &size, &err));
	assert_int_equal(size, stored);
	assert_true(stored < MB / 2);
	assert_ok(bkc_wal_find(store, SYSID, SEGMENT, name, &err));
	assert_string_equal(name, FOLDER SEGMENT);
	assert_content(store, name, data, MB);
	assert_ok(bkc_wal_info(store, name, &info, &err));
	assert_string_equal(info.file, SEGMENT);
	assert_int_equal(info.timeline, 1);
	assert_int_equal(info.segment_size, MB);
	assert_int_equal(info.start_lsn, SEG_START);
	assert_int_equal(info.end_lsn, SEG_START + MB);
	assert_int_equal(info.time, TIME);

	/* offered again, with and without looking first */
	for (int ask = 0; ask < 2; ask++)
	{
		file.ask_first = ask == 1;
		assert_ok(bkc_walwriter_put(w, &file, &outcome, &stored, &err));
		assert_int_equal(outcome, BKC_WAL_SAME);
		assert_int_equal(stored, 0);
	}
	file.ask_first = true;
	file.file = "0000000100000002000000AC";
	assert_ok(bkc_walwriter_put(w, &file, &outcome, &stored, &err));
	assert_int_equal(outcome, BKC_WAL_STORED);
	assert_true(stored > 0);
	assert_int_equal(util_objects(store), 2);
	bkc_walwriter_close(&w);
	assert_null(w);
	bkc_walwriter_close(&w);
	bkc_store_close(store);
	free(data);
}

static void
test_conflict(void **state)
{
	uint8_t    *data = util_data(MB, DATA_TEXT);
	BkcStore   *store = util_store();
	BkcWalWriter *w = wal_writer(store);
	BkcWalFile	file = segment_file(wal_file(&repo, "seg", data, MB), false);
	BkcWalOutcome outcome;
	BkcBuffer	before = {0};
	BkcBuffer	after = {0};
	BkcWalInfo	info;
	BkcError	err;
	char		name[BKC_NAME_MAX];
	char		hash[2 * BKC_SHA256_SIZE + 1];
	uint8_t		sha256[BKC_SHA256_SIZE];
	uint64_t	stored;

	/* nothing to resolve: not there, or the same */
	assert_fails(bkc_walwriter_resolve(w, &file, "why", "me", &err), BKC_ERR_STATE);
	assert_ok(bkc_walwriter_put(w, &file, &outcome, &stored, &err));
	assert_fails(bkc_walwriter_resolve(w, &file, "why", "me", &err), BKC_ERR_STATE);
	util_get(store, FOLDER SEGMENT, &before);

	data[MB - 1] ^= 1;
	file.path = wal_file(&repo, "seg", data, MB);
	file.time = TIME + 1000000;
	for (int ask = 0; ask < 2; ask++)
	{
		file.ask_first = ask == 1;
		stored = 77;
		assert_fails(bkc_walwriter_put(w, &file, &outcome, &stored, &err), BKC_ERR_EXISTS);
		assert_int_equal(stored, 0);
		assert_non_null(strstr(err.message, "WAL file \"" SEGMENT "\" is in repository \""));
	}
	assert_ok(bkc_sha256(data, MB, sha256, &err));
	assert_fails(bkc_walwriter_put(w, &file, &outcome, &stored, &err), BKC_ERR_EXISTS);
	bkc_hex_encode(sha256, sizeof(sha256), hash);
	assert_non_null(strstr(err.detail, hash));
	assert_non_null(strstr(err.detail, "2026-11-20T"));
	assert_non_null(strstr(err.hint, "backup_wal_conflict_resolve('" SEGMENT "', 'reason')"));
	assert_true(strlen(err.hint) < sizeof(err.hint) - 1);
	assert_true(strlen(err.detail) < sizeof(err.detail) - 1);

	assert_fails(bkc_walwriter_resolve(w, &file, "", "me", &err), BKC_ERR_INVALID);
	assert_fails(bkc_walwriter_resolve(w, &file, "why", "", &err), BKC_ERR_INVALID);
	assert_int_equal(util_objects(store), 1);
	assert_ok(bkc_walwriter_resolve(w, &file, "the \"right\" one", "postgres", &err));
	assert_fails(bkc_walwriter_resolve(w, &file, "again", "postgres", &err), BKC_ERR_STATE);
	assert_int_equal(util_objects(store), 2);
	for (int ask = 0; ask < 2; ask++)
	{
		file.ask_first = ask == 1;
		assert_ok(bkc_walwriter_put(w, &file, &outcome, &stored, &err));
		assert_int_equal(outcome, BKC_WAL_RESOLVED);
		assert_int_equal(stored, 0);
	}

	/* the plain object is untouched, and readers get the other */
	util_get(store, FOLDER SEGMENT, &after);
	assert_int_equal(before.len, after.len);
	assert_memory_equal(before.data, after.data, before.len);
	assert_ok(bkc_wal_find(store, SYSID, SEGMENT, name, &err));
	assert_non_null(strstr(name, SEGMENT ".conflict-"));
	assert_content(store, name, data, MB);
	assert_ok(bkc_wal_info(store, name, &info, &err));
	assert_string_equal(info.reason, "the \"right\" one");
	assert_string_equal(info.by, "postgres");

	/* what is in the plain object is not what readers get: no success for it any more */
	data[MB - 1] ^= 1;
	file.path = wal_file(&repo, "seg", data, MB);
	file.time = TIME;
	for (int ask = 0; ask < 2; ask++)
	{
		file.ask_first = ask == 1;
		assert_fails(bkc_walwriter_put(w, &file, &outcome, &stored, &err), BKC_ERR_EXISTS);
	}

	/* resolving back: what is chosen last counts, whatever its time */
	assert_ok(bkc_walwriter_resolve(w, &file, "back", "postgres", &err));
	assert_ok(bkc_walwriter_put(w, &file, &outcome, &stored, &err));
	assert_int_equal(outcome, BKC_WAL_RESOLVED);
	assert_ok(bkc_wal_find(store, SYSID, SEGMENT, name, &err));
	assert_content(store, name, data, MB);
	assert_ok(bkc_wal_info(store, name, &info, &err));
	assert_int_equal(info.time, TIME + 1000001);

	/* a third content; then what was replaced cannot be chosen once more */
	data[0] ^= 1;
	file.path = wal_file(&repo, "seg", data, MB);
	assert_ok(bkc_walwriter_resolve(w, &file, "third", "postgres", &err));
	assert_ok(bkc_wal_find(store, SYSID, SEGMENT, name, &err));
	assert_content(store, name, data, MB);
	data[0] ^= 1;
	file.path = wal_file(&repo, "seg", data, MB);
	assert_fails(bkc_walwriter_resolve(w, &file, "again", "postgres", &err), BKC_ERR_EXISTS);
	assert_int_equal(util_objects(store), 4);

	/* a conflict object that cannot be read is never passed over */
	wal_flip(store, name, 200);
	assert_fails(bkc_wal_find(store, SYSID, SEGMENT, name, &err), BKC_ERR_CORRUPT);
	assert_fails(bkc_walwriter_put(w, &file, &outcome, &stored, &err), BKC_ERR_CORRUPT);
	assert_fails(bkc_walwriter_resolve(w, &file, "no way", "postgres", &err), BKC_ERR_CORRUPT);
	assert_int_equal(util_objects(store), 4);
	bkc_buffer_free(&before);
	bkc_buffer_free(&after);
	bkc_walwriter_close(&w);
	bkc_store_close(store);
	free(data);
}

/* A damaged object is neither the same nor overwritten, but can be resolved. */
static void
test_damaged_existing(void **state)
{
	uint8_t    *data = util_data(MB, DATA_TEXT);
	BkcStore   *store = util_store();
	BkcWalWriter *w = wal_writer(store);
	BkcWalFile	file = segment_file(wal_file(&repo, "seg", data, MB), false);
	BkcWalOutcome outcome;
	BkcBuffer	good = {0};
	BkcError	err;
	char		name[BKC_NAME_MAX];
	uint64_t	stored;

	assert_ok(bkc_walwriter_put(w, &file, &outcome, &stored, &err));
	util_get(store, FOLDER SEGMENT, &good);
	for (size_t cut = 0; cut < 400; cut += 37)
	{
		util_put(store, FOLDER SEGMENT, good.data, cut);
		file.ask_first = cut % 2 == 0;
		assert_fails(bkc_walwriter_put(w, &file, &outcome, &stored, &err), BKC_ERR_CORRUPT);
		assert_non_null(strstr(err.hint, "backup_wal_conflict_resolve"));
	}
	assert_int_equal(util_objects(store), 1);
	assert_ok(bkc_walwriter_resolve(w, &file, "damaged", "postgres", &err));
	assert_ok(bkc_walwriter_put(w, &file, &outcome, &stored, &err));
	assert_int_equal(outcome, BKC_WAL_RESOLVED);
	assert_ok(bkc_wal_find(store, SYSID, SEGMENT, name, &err));
	assert_content(store, name, data, MB);
	bkc_buffer_free(&good);
	bkc_walwriter_close(&w);
	bkc_store_close(store);
	free(data);
}

/* ---- kinds and sizes ---- */

static void
test_small_files(void **state)
{
	static const char *const files[] = {
		"00000002.history", "0000000100000002000000AB.00000028.backup"
	};
	static const char *const objects[] = {
		ROOT "00000002.history", FOLDER "0000000100000002000000AB.00000028.backup"
	};
	static const size_t sizes[] = {1, 2, 41, 300, MIB - 1, MIB, MIB + 1, 3 * MIB + 17};

	for (size_t i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++)
	{
		size_t		size = sizes[i / 2];
		uint8_t    *data = util_data(size, i % 3 == 0 ? DATA_RANDOM : DATA_MIXED);
		BkcStore   *store = util_store();
		BkcWalWriter *w = wal_writer(store);
		BkcWalFile	file = {.file = files[i % 2], .segment_size = MB, .time = TIME};
		BkcWalOutcome outcome;
		BkcError	err;
		char		name[BKC_NAME_MAX];
		uint64_t	stored;

		file.path = wal_file(&repo, "small", data, size);
		assert_ok(bkc_walwriter_put(w, &file, &outcome, &stored, &err));
		assert_int_equal(outcome, BKC_WAL_STORED);
		assert_ok(bkc_wal_find(store, SYSID, file.file, name, &err));
		assert_string_equal(name, objects[i % 2]);
		assert_content(store, name, data, size);
		assert_ok(bkc_walwriter_put(w, &file, &outcome, &stored, &err));
		assert_int_equal(outcome, BKC_WAL_SAME);

		/* these can be in conflict, too */
		data[0] ^= 0x55;
		file.path = wal_file(&repo, "small", data, size);
		assert_fails(bkc_walwriter_put(w, &file, &outcome, &stored, &err), BKC_ERR_EXISTS);
		assert_ok(bkc_walwriter_resolve(w, &file, "why", "me", &err));
		assert_ok(bkc_wal_find(store, SYSID, file.file, name, &err));
		assert_content(store, name, data, size);
		bkc_walwriter_close(&w);
		bkc_store_close(store);
		free(data);
	}
}

static void
test_partial(void **state)
{
	uint8_t    *data = util_data(MB, DATA_MIXED);
	BkcStore   *store = util_store();
	BkcWalWriter *w = wal_writer(store);
	BkcWalFile	file = segment_file(wal_file(&repo, "seg", data, MB), true);
	BkcWalOutcome outcome;
	BkcError	err;
	char		name[BKC_NAME_MAX];
	char		hash[2 * BKC_SHA256_SIZE + 1];
	uint8_t		sha256[BKC_SHA256_SIZE];
	uint64_t	stored;

	file.file = SEGMENT ".partial";
	for (int i = 0; i < 4; i++)
	{
		data[5] = (uint8_t) (i / 2);
		file.path = wal_file(&repo, "seg", data, MB);
		file.ask_first = i < 2;
		assert_ok(bkc_walwriter_put(w, &file, &outcome, &stored, &err));
		assert_int_equal(outcome, i % 2 == 0 ? BKC_WAL_STORED : BKC_WAL_SAME);
		assert_int_equal(util_objects(store), 1 + i / 2);
	}
	assert_ok(bkc_sha256(data, MB, sha256, &err));
	bkc_hex_encode(sha256, sizeof(sha256), hash);
	snprintf(name, sizeof(name), FOLDER SEGMENT ".partial-%.16s", hash);
	assert_content(store, name, data, MB);
	assert_fails(bkc_wal_find(store, SYSID, SEGMENT ".partial", name, &err), BKC_ERR_INVALID);
	assert_fails(bkc_wal_find(store, SYSID, SEGMENT, name, &err), BKC_ERR_NOT_FOUND);
	assert_fails(bkc_walwriter_resolve(w, &file, "why", "me", &err), BKC_ERR_INVALID);
	snprintf(name, sizeof(name), FOLDER SEGMENT ".partial-%.16s", hash);
	wal_flip(store, name, 150);
	assert_fails(bkc_walwriter_put(w, &file, &outcome, &stored, &err), BKC_ERR_CORRUPT);
	bkc_walwriter_close(&w);
	bkc_store_close(store);
	free(data);
}

/* Around the size that is held in memory, and with all codecs. */
static void
test_segment_sizes(void **state)
{
	static const struct
	{
		uint32_t	size;
		BkcCodec	codec;
		int			level;
		UtilData	data;
	}			cases[] =
	{
		{MB, BKC_CODEC_NONE, 0, DATA_TEXT},
		{MB, BKC_CODEC_ZSTD, 12, DATA_RANDOM},
		{2 * MB, BKC_CODEC_ZSTD, 12, DATA_MIXED},	/* read twice, because of the level */
		{16 * MB, BKC_CODEC_ZSTD, 1, DATA_MIXED},
		{16 * MB, BKC_CODEC_LZ4, 1, DATA_RANDOM},
		{16 * MB, BKC_CODEC_GZIP, 1, DATA_ZERO},
		{64 * MB, BKC_CODEC_ZSTD, 1, DATA_MIXED},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		uint32_t	size = cases[i].size;
		uint8_t    *data = util_data(size, cases[i].data);
		BkcStore   *store;
		BkcWalWriter *w;
		BkcWalFile	file = {.file = "000000010000000200000003", .segment_size = size, .time = 1};
		BkcWalOutcome outcome;
		BkcWalInfo	info;
		BkcError	err;
		char		name[BKC_NAME_MAX];
		uint64_t	stored;

		assert_ok(filerepo_open(&repo, &store, &err));
		assert_ok(bkc_walwriter_new(store, SYSID, cases[i].codec, cases[i].level, &w, &err));
		file.path = wal_file(&repo, "seg", data, size);
		for (int again = 0; again < 2; again++)
		{
			const char *drop;

			assert_ok(bkc_walwriter_put(w, &file, &outcome, &stored, &err));
			assert_int_equal(outcome, BKC_WAL_STORED);
			assert_ok(bkc_wal_find(store, SYSID, file.file, name, &err));
			assert_content(store, name, data, size);
			assert_ok(bkc_wal_info(store, name, &info, &err));
			assert_int_equal(info.start_lsn, (UINT64_C(2) << 32) + 3 * (uint64_t) size);
			assert_ok(bkc_walwriter_put(w, &file, &outcome, &stored, &err));
			assert_int_equal(outcome, BKC_WAL_SAME);
			drop = name;
			assert_ok(bkc_store_remove(store, &drop, 1, &err));
		}
		bkc_walwriter_close(&w);
		bkc_store_close(store);
		free(data);
	}
}

static void
test_refused(void **state)
{
	uint8_t    *data = util_data(2 * MB, DATA_TEXT);
	BkcStore   *store = util_store();
	BkcWalWriter *w = wal_writer(store);
	BkcWalFile	file = segment_file(wal_file(&repo, "seg", data, MB), false);
	BkcWalOutcome outcome;
	BkcError	err;
	uint64_t	stored;
	static const char *const bad[] = {
		"", "x", "0000000100000002000000ab", "0000000100000002000000AB.", "../../etc/passwd",
		"0000000000000002000000AB", "00000001000000020000FFFF", "0000000100000002000000AB.partial.x",
		"000000010000000200000001000000000000000000000000000000000000000000000000000000000000000000"
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		file.file = bad[i];
		assert_fails(bkc_walwriter_put(w, &file, &outcome, &stored, &err), BKC_ERR_INVALID);
	}
	file = segment_file(file.path, false);
	for (uint32_t size = 0; size < 3 * MB; size += MB - 1)
	{
		file.segment_size = size;
		assert_fails(bkc_walwriter_put(w, &file, &outcome, &stored, &err), BKC_ERR_INVALID);
	}
	file.segment_size = MB;
	for (int i = 0; i < 6; i++)
	{
		static const size_t sizes[] = {0, 1, MB - 1, MB + 1, 2 * MB, 100};

		file.file = i % 2 ? SEGMENT : SEGMENT ".partial";
		file.path = wal_file(&repo, "seg", data, sizes[i]);
		assert_fails(bkc_walwriter_put(w, &file, &outcome, &stored, &err), BKC_ERR_INVALID);
		assert_fails(bkc_walwriter_resolve(w, &file, "why", "me", &err), BKC_ERR_INVALID);
	}
	file.file = "00000002.history";
	file.path = wal_file(&repo, "seg", data, 0);
	assert_fails(bkc_walwriter_put(w, &file, &outcome, &stored, &err), BKC_ERR_INVALID);
	file.path = repo.top;
	assert_fails(bkc_walwriter_put(w, &file, &outcome, &stored, &err), BKC_ERR_INVALID);
	file.path = "/nonexistent/file";
	assert_fails(bkc_walwriter_put(w, &file, &outcome, &stored, &err), BKC_ERR_NOT_FOUND);
	file = segment_file(wal_file(&repo, "seg", data, MB), false);
	file.time = -1;
	assert_fails(bkc_walwriter_put(w, &file, &outcome, &stored, &err), BKC_ERR_INVALID);
	assert_int_equal(util_objects(store), 0);
	bkc_walwriter_close(&w);
	assert_fails(bkc_walwriter_new(store, SYSID, BKC_CODEC_ZSTD, 99, &w, &err), BKC_ERR_INVALID);
	assert_null(w);
	assert_fails(bkc_wal_info(store, "7435718529102938471/cluster", &(BkcWalInfo) {0}, &err),
				 BKC_ERR_INVALID);
	assert_fails(bkc_wal_info(store, FOLDER SEGMENT, &(BkcWalInfo) {0}, &err), BKC_ERR_NOT_FOUND);
	bkc_store_close(store);
	free(data);
}

/* ---- failures ---- */

/* Every call of the store fails once; nothing half done is seen, and the next try goes well. */
static void
test_store_failures(void **state)
{
	uint8_t    *data = util_data(MB, DATA_RANDOM);
	const char *path = wal_file(&repo, "seg", data, MB);

	/* 0: nothing there; 1: look first; 2: same; 3: resolve; 4: resolved; 5: partial */
	for (int scene = 0; scene < 6; scene++)
	{
		bool		done = false;

		for (uint64_t at = 1; !done; at++)
		{
			BkcStore   *look = util_store();
			BkcStore   *inner;
			BkcStore   *store;
			BkcWalWriter *w = wal_writer(look);
			BkcWalFile	file = segment_file(path, scene == 1);
			BkcWalOutcome outcome = BKC_WAL_STORED;
			BkcError	err;
			uint64_t	stored;
			size_t		before;

			if (scene == 2)
				assert_ok(bkc_walwriter_put(w, &file, &outcome, &stored, &err));
			if (scene == 3 || scene == 4)
			{
				data[0] ^= 1;
				(void) wal_file(&repo, "seg", data, MB);
				assert_ok(bkc_walwriter_put(w, &file, &outcome, &stored, &err));
				data[0] ^= 1;
				(void) wal_file(&repo, "seg", data, MB);
			}
			if (scene == 4)
				assert_ok(bkc_walwriter_resolve(w, &file, "why", "me", &err));
			if (scene == 5)
				file.file = SEGMENT ".partial";
			bkc_walwriter_close(&w);
			before = util_objects(look);
			assert_ok(bkc_store_memory_share(look, &inner, &err));
			assert_ok(bkc_store_faulty_new(inner, at, BKC_ERR_UNAVAILABLE, NULL, &store, &err));
			w = wal_writer(store);
			outcome = 99;
			done = scene == 3 ? bkc_walwriter_resolve(w, &file, "why", "me", &err) :
				bkc_walwriter_put(w, &file, &outcome, &stored, &err);
			if (!done)
			{
				assert_int_equal(err.code, BKC_ERR_UNAVAILABLE);
				assert_int_equal(util_objects(look), before);
				assert_true(at < 30);

				/* the same writer goes on */
				assert_ok(scene == 3 ? bkc_walwriter_resolve(w, &file, "why", "me", &err) :
						  bkc_walwriter_put(w, &file, &outcome, &stored, &err));
			}
			if (scene != 3)
				assert_int_equal(outcome, scene == 2 ? BKC_WAL_SAME :
								 scene == 4 ? BKC_WAL_RESOLVED : BKC_WAL_STORED);
			assert_int_equal(util_objects(look), before + (scene != 2 && scene != 4));
			bkc_walwriter_close(&w);
			bkc_store_close(store);
			bkc_store_close(look);
			if (done)
				assert_true(at > 3);
		}
	}
	free(data);
}

/* A store that fails while reading is never "absent" nor "damaged". */
static void
test_read_failures(void **state)
{
	uint8_t    *data = util_data(MB, DATA_RANDOM);
	const char *path = wal_file(&repo, "seg", data, MB);

	for (int scene = 0; scene < 3; scene++)
	{
		bool		done = false;

		for (uint64_t at = 1; !done; at++)
		{
			BkcStore   *inner = util_store();
			BkcStore   *store;
			BkcWalWriter *w = wal_writer(inner);
			BkcWalFile	file = segment_file(path, false);
			BkcWalOutcome outcome;
			BkcWalInfo	info;
			BkcError	err;
			char		name[BKC_NAME_MAX];
			uint64_t	stored;

			assert_ok(bkc_walwriter_put(w, &file, &outcome, &stored, &err));
			data[0] ^= 1;
			(void) wal_file(&repo, "seg", data, MB);
			assert_ok(bkc_walwriter_resolve(w, &file, "why", "me", &err));
			data[0] ^= 1;
			(void) wal_file(&repo, "seg", data, MB);
			bkc_walwriter_close(&w);
			assert_ok(bkc_store_faulty_new(inner, at, BKC_ERR_TIMEOUT, NULL, &store, &err));
			done = scene == 0 ? bkc_wal_find(store, SYSID, SEGMENT, name, &err) :
				scene == 1 ? bkc_wal_read(store, FOLDER SEGMENT, UINT64_MAX, -1, "", &info, &err) :
				bkc_wal_info(store, FOLDER SEGMENT, &info, &err);
			if (!done)
				assert_int_equal(err.code, BKC_ERR_TIMEOUT);
			assert_true(at < 30);
			bkc_store_close(store);
		}
	}
	free(data);
}

static void
test_cancel(void **state)
{
	uint8_t    *data = util_data(4 * MB, DATA_RANDOM);
	uint32_t	size = 4 * MB;
	bool		done = false;

	/* with a high level the file is read twice */
	for (int level = 1; level < 20; level += 11)
	{
		BkcStore   *store = util_store();
		BkcWalWriter *w;
		BkcWalFile	file = {.file = "000000010000000200000003", .segment_size = size, .time = 1};
		BkcWalOutcome outcome;
		BkcWalInfo	info;
		BkcError	err;
		uint64_t	stored;
		int			after;

		assert_ok(bkc_walwriter_new(store, SYSID, BKC_CODEC_ZSTD, level, &w, &err));
		file.path = wal_file(&repo, "seg", data, size);
		for (after = 0, done = false; !done; after++)
		{
			wal_cancel_after = after;
			done = bkc_walwriter_put(w, &file, &outcome, &stored, &err);
			wal_cancel_after = -1;
			if (!done)
			{
				assert_int_equal(err.code, BKC_ERR_CANCELLED);
				assert_int_equal(util_objects(store), 0);
			}
		}
		assert_true(after > (int) (size / MB));
		for (after = 0, done = false; !done; after++)
		{
			wal_cancel_after = after;
			done = bkc_wal_read(store, FOLDER "000000010000000200000003", UINT64_MAX, -1, "", &info, &err);
			wal_cancel_after = -1;
			if (!done)
				assert_int_equal(err.code, BKC_ERR_CANCELLED);
		}
		assert_true(after > (int) (size / MB));
		bkc_walwriter_close(&w);
		bkc_store_close(store);
	}
	free(data);
}

/* ---- a file that changes while it is read ---- */

static char change_path[256];
static int	change_after;
static int	change_how;

/* Called once a frame. */
static bool
change_file(void)
{
	int			fd;

	if (change_after-- != 0)
		return false;
	fd = open(change_path, O_WRONLY);
	assert_true(fd >= 0);
	if (change_how == 0)
		assert_int_equal(pwrite(fd, "changed", 7, 5000), 7);
	else if (change_how == 1)
		assert_int_equal(ftruncate(fd, 100), 0);
	else
		assert_int_equal(pwrite(fd, "longer", 6, 4 * MB), 6);
	close(fd);
	return false;
}

/*
 * What is stored has the hash that it says, whenever the file changes: either
 * storing fails, or the object is good.
 */
static void
test_changing_file(void **state)
{
	static const BkcHost host = {.cancelled = change_file};
	uint8_t    *data = util_data(4 * MB, DATA_ZERO);

	for (change_how = 0; change_how < 3; change_how++)
	{
		int			failed = 0;

		for (int i = 0; i < 28; i++)
		{
			BkcStore   *store = util_store();
			BkcWalWriter *w;
			BkcWalFile	file = {
				.file = "000000010000000200000003", .segment_size = 4 * MB, .time = 1
			};
			BkcWalOutcome outcome;
			BkcWalInfo	info;
			BkcError	err;
			uint64_t	stored;

			assert_ok(bkc_walwriter_new(store, SYSID, BKC_CODEC_ZSTD, i % 2 ? 1 : 12, &w, &err));
			memset(data + 5000, 0, 7);
			file.path = wal_file(&repo, "seg", data, 4 * MB);
			memcpy(change_path, file.path, strlen(file.path) + 1);
			change_after = i / 2;
			bkc_host_set(&host);
			if (bkc_walwriter_put(w, &file, &outcome, &stored, &err))
				assert_ok(bkc_wal_read(store, FOLDER "000000010000000200000003", UINT64_MAX, -1, "", &info,
									   &err));
			else
			{
				assert_true(err.code == BKC_ERR_UNAVAILABLE || err.code == BKC_ERR_INVALID);
				assert_int_equal(util_objects(store), 0);
				failed++;
			}
			wal_host();
			bkc_walwriter_close(&w);
			bkc_store_close(store);
		}
		assert_true(failed > 0);
	}
	free(data);
}

/* ---- damage ---- */

/* Put an object of these frames under a name: what a broken or hostile writer may do. */
static void
forge(BkcStore *store, const char *name, BkcKind kind, const BkcFrame *frames, size_t n)
{
	BkcObjectWriter *object;
	BkcError	err;

	assert_ok(bkc_store_remove(store, &name, 1, &err));
	assert_ok(bkc_object_create(store, name, kind, BKC_CODEC_ZSTD, 0, &object, &err));
	for (size_t i = 0; i < n; i++)
		assert_ok(bkc_object_put(object, &frames[i], i + 1 == n, NULL, &err));
	assert_ok(bkc_object_commit(object, &err));
	bkc_object_close(object);
}

static BkcFrame
frame_of(uint8_t type, const void *data, size_t len)
{
	return (BkcFrame) {
		.data = data, .len = (uint32_t) len, .plain_len = (uint32_t) len, .type = type,
		.flags = BKC_FRAME_STORED
	};
}

static void
assert_unreadable(BkcStore *store, const char *name)
{
	BkcWalInfo	info;
	BkcError	err;

	assert_fails(bkc_wal_read(store, name, UINT64_MAX, -1, "", &info, &err), BKC_ERR_CORRUPT);
}

static void
test_damage(void **state)
{
	static const char name[] = ROOT "00000002.history";
	static const char other[] = ROOT "00000003.history";
	uint8_t    *data = util_data(3 * MIB, DATA_MIXED);
	BkcStore   *store = util_store();
	BkcWalWriter *w = wal_writer(store);
	BkcWalFile	file = {.file = "00000002.history", .time = TIME};
	BkcWalOutcome outcome;
	BkcBuffer	good = {0};
	BkcError	err;
	uint64_t	stored;
	uint8_t    *bad;

	/* each bit of a small object, each cut of it */
	file.path = wal_file(&repo, "seg", "1\t0/3000000\tno reason\n", 22);
	assert_ok(bkc_walwriter_put(w, &file, &outcome, &stored, &err));
	util_get(store, name, &good);
	bad = malloc(good.len + 1);
	for (size_t i = 0; i < good.len * 8; i++)
	{
		memcpy(bad, good.data, good.len);
		bad[i / 8] ^= (uint8_t) (1 << i % 8);
		util_put(store, name, bad, good.len);
		assert_unreadable(store, name);
	}
	for (size_t len = 0; len < good.len; len++)
	{
		util_put(store, name, good.data, len);
		assert_unreadable(store, name);
	}
	memcpy(bad, good.data, good.len);
	bad[good.len] = 0;
	util_put(store, name, bad, good.len + 1);
	assert_unreadable(store, name);

	/* somebody else's object */
	util_put(store, other, good.data, good.len);
	assert_unreadable(store, other);
	free(bad);

	/* a large one, at places all over it */
	file.path = wal_file(&repo, "seg", data, 3 * MIB);
	assert_ok(bkc_store_remove(store, &(const char *) {name}, 1, &err));
	assert_ok(bkc_walwriter_put(w, &file, &outcome, &stored, &err));
	util_get(store, name, &good);
	for (size_t at = 0; at < good.len; at += good.len / 50)
	{
		wal_flip(store, name, at);
		assert_unreadable(store, name);
		wal_flip(store, name, at);
	}
	assert_content(store, name, data, 3 * MIB);
	bkc_buffer_free(&good);
	bkc_walwriter_close(&w);
	bkc_store_close(store);
	free(data);
}

/* Objects whose every digest is right, and that are wrong all the same. */
static void
test_forged(void **state)
{
	static const char name[] = ROOT "00000002.history";
	static const char text[] = "1\t0/3000000\tno reason\n";
	uint32_t	len = sizeof(text) - 1;
	BkcStore   *store = util_store();
	BkcWalInfo	info = {.file = "00000002.history", .system_identifier = SYSID, .size = len};
	BkcWalInfo	got;
	BkcBuffer	json = {0};
	BkcFrame	frames[3];
	BkcError	err;
	int			fd;

	assert_ok(bkc_sha256(text, len, info.sha256, &err));
	assert_ok(bkc_walinfo_encode(&info, &json, &err));
	frames[0] = frame_of(BKC_FRAME_INFO, json.data, json.len);
	frames[1] = frame_of(BKC_FRAME_DATA, text, len);
	forge(store, name, BKC_KIND_WAL, frames, 2);
	assert_ok(bkc_wal_read(store, name, UINT64_MAX, -1, "", &got, &err));

	/* larger than what the reader has room for: nothing is written */
	fd = memfd_create("test", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_fails(bkc_wal_read(store, name, len - 1, fd, "", &got, &err), BKC_ERR_CORRUPT);
	assert_int_equal(lseek(fd, 0, SEEK_END), 0);
	assert_ok(bkc_wal_read(store, name, len, fd, "", &got, &err));
	assert_int_equal(lseek(fd, 0, SEEK_END), len);
	close(fd);

	/* in two frames is fine; fewer, more or other bytes are not */
	frames[1] = frame_of(BKC_FRAME_DATA, text, 10);
	frames[2] = frame_of(BKC_FRAME_DATA, text + 10, len - 10);
	forge(store, name, BKC_KIND_WAL, frames, 3);
	assert_ok(bkc_wal_read(store, name, UINT64_MAX, -1, "", &got, &err));
	forge(store, name, BKC_KIND_WAL, frames, 2);
	assert_unreadable(store, name);
	assert_ok(bkc_wal_info(store, name, &got, &err));
	frames[2] = frame_of(BKC_FRAME_DATA, text, len);
	forge(store, name, BKC_KIND_WAL, frames, 3);
	assert_unreadable(store, name);
	frames[2] = frame_of(BKC_FRAME_DATA, text, len - 10);
	forge(store, name, BKC_KIND_WAL, frames, 3);
	assert_unreadable(store, name);

	/* frames of the wrong type or form, no frame, another kind */
	frames[1] = frame_of(BKC_FRAME_INFO, text, len);
	forge(store, name, BKC_KIND_WAL, frames, 2);
	assert_unreadable(store, name);
	frames[1] = frame_of(BKC_FRAME_DATA, text, len);
	frames[1].flags = 0;
	frames[1].plain_len = len + 10;
	forge(store, name, BKC_KIND_WAL, frames, 2);
	assert_unreadable(store, name);
	frames[1] = frame_of(BKC_FRAME_DATA, text, len);
	forge(store, name, BKC_KIND_WAL, frames, 1);
	assert_unreadable(store, name);
	assert_fails(bkc_wal_info(store, name, &got, &err), BKC_ERR_CORRUPT);
	forge(store, name, BKC_KIND_WAL, frames + 1, 1);
	assert_fails(bkc_wal_info(store, name, &got, &err), BKC_ERR_CORRUPT);
	frames[0].type = BKC_FRAME_DATA;
	forge(store, name, BKC_KIND_WAL, frames, 2);
	assert_fails(bkc_wal_info(store, name, &got, &err), BKC_ERR_CORRUPT);
	frames[0].type = BKC_FRAME_INFO;
	forge(store, name, BKC_KIND_WAL_CHUNK, frames, 2);
	assert_fails(bkc_wal_info(store, name, &got, &err), BKC_ERR_CORRUPT);

	/* an info frame of a megabyte */
	assert_ok(bkc_buffer_reserve(&json, MIB, &err));
	memset(json.data + json.len, ' ', MIB - json.len);
	frames[0] = frame_of(BKC_FRAME_INFO, json.data, MIB);
	forge(store, name, BKC_KIND_WAL, frames, 2);
	assert_fails(bkc_wal_info(store, name, &got, &err), BKC_ERR_CORRUPT);
	assert_unreadable(store, name);
	bkc_buffer_free(&json);
	bkc_store_close(store);
}

/* Names around the one that is looked for. */
static void
test_find_neighbours(void **state)
{
	uint8_t    *data = util_data(MB, DATA_TEXT);
	BkcStore   *store = util_store();
	BkcWalWriter *w = wal_writer(store);
	BkcWalFile	file = segment_file(wal_file(&repo, "seg", data, MB), false);
	BkcWalOutcome outcome;
	BkcError	err;
	char		name[BKC_NAME_MAX];
	uint64_t	stored;
	int			fd;

	file.file = "0000000100000002000000AA";
	assert_ok(bkc_walwriter_put(w, &file, &outcome, &stored, &err));
	file.file = "0000000100000002000000AC";
	assert_ok(bkc_walwriter_put(w, &file, &outcome, &stored, &err));
	file.file = SEGMENT ".partial";
	assert_ok(bkc_walwriter_put(w, &file, &outcome, &stored, &err));
	fd = open(file.path, O_RDONLY);
	assert_ok(bkc_walwriter_chunk(w, SEGMENT, MB, 1, 0, 100, fd, file.path, TIME, &stored, &err));
	close(fd);
	file.file = SEGMENT ".00000028.backup";
	file.path = wal_file(&repo, "label", "label", 5);
	assert_ok(bkc_walwriter_put(w, &file, &outcome, &stored, &err));
	util_put(store, FOLDER SEGMENT ".conflict-xyz", "?", 1);
	util_put(store, FOLDER SEGMENT ".conflict-0123456789abcdef.x", "?", 1);
	assert_fails(bkc_wal_find(store, SYSID, SEGMENT, name, &err), BKC_ERR_NOT_FOUND);
	assert_string_equal(name, "");
	assert_ok(bkc_wal_find(store, SYSID, SEGMENT ".00000028.backup", name, &err));
	assert_ok(bkc_wal_find(store, SYSID, "0000000100000002000000AC", name, &err));
	assert_fails(bkc_wal_find(store, SYSID, "00000001.history", name, &err), BKC_ERR_NOT_FOUND);
	assert_fails(bkc_wal_find(store, SYSID + 1, "0000000100000002000000AC", name, &err),
				 BKC_ERR_NOT_FOUND);
	bkc_walwriter_close(&w);
	bkc_store_close(store);
	free(data);
}

/* What one writer holds, with the worst input, and after a segment of 64 MB. */
static void
test_memory(void **state)
{
	static const struct
	{
		BkcCodec	codec;
		int			level;
	}			codecs[] =
	{
		{BKC_CODEC_NONE, 0}, {BKC_CODEC_GZIP, 9}, {BKC_CODEC_LZ4, 12}, {BKC_CODEC_ZSTD, 1},
		{BKC_CODEC_ZSTD, 3}, {BKC_CODEC_ZSTD, 6}, {BKC_CODEC_ZSTD, 7}, {BKC_CODEC_ZSTD, 19}
	};
	uint8_t    *data = util_data(64 * MB, DATA_RANDOM);
	char		large[256];
	char		usual[256];

	memcpy(large, wal_file(&repo, "large", data, 64 * MB), sizeof(large));
	memcpy(usual, wal_file(&repo, "usual", data, 16 * MB), sizeof(usual));
	free(data);
	for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++)
	{
		BkcStore   *store;
		BkcWalWriter *w;
		BkcWalFile	file = {.file = "000000010000000200000003", .time = 1};
		BkcWalOutcome outcome;
		BkcError	err;
		uint64_t	stored;
		struct mallinfo2 before;
		struct mallinfo2 after;
		const char *drop = FOLDER "000000010000000200000003";
		size_t		used;

		/* the slow levels with the usual size only */
		bool		slow = codecs[i].codec != BKC_CODEC_NONE && codecs[i].level > 3;

		assert_ok(filerepo_open(&repo, &store, &err));
		before = mallinfo2();
		assert_ok(bkc_walwriter_new(store, SYSID, codecs[i].codec, codecs[i].level, &w, &err));
		file.path = slow ? usual : large;
		file.segment_size = slow ? 16 * MB : 64 * MB;
		assert_ok(bkc_walwriter_put(w, &file, &outcome, &stored, &err));
		assert_ok(bkc_store_remove(store, &drop, 1, &err));
		if (!slow)
		{
			file.path = usual;
			file.segment_size = 16 * MB;
			assert_ok(bkc_walwriter_put(w, &file, &outcome, &stored, &err));
			assert_ok(bkc_store_remove(store, &drop, 1, &err));
		}
		after = mallinfo2();
		used = after.uordblks + after.hblkhd - before.uordblks - before.hblkhd;
		if (used / MIB >= 24)
			fail_msg("a writer with %s:%d has %zu bytes", bkc_codec_name(codecs[i].codec),
					 codecs[i].level, used);
		bkc_walwriter_close(&w);
		bkc_store_close(store);
	}
}

static int
setup(void **state)
{
	BkcError	err;

	wal_host();
	return filerepo_new(&repo, &err) ? 0 : 1;
}

static int
teardown(void **state)
{
	filerepo_free(&repo);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_outcomes),
		cmocka_unit_test(test_conflict),
		cmocka_unit_test(test_damaged_existing),
		cmocka_unit_test(test_small_files),
		cmocka_unit_test(test_partial),
		cmocka_unit_test(test_segment_sizes),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_store_failures),
		cmocka_unit_test(test_read_failures),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_changing_file),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_forged),
		cmocka_unit_test(test_find_neighbours),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
