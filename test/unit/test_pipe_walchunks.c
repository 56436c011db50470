/*
 * test_pipe_walchunks.c
 *		The open segment in chunks: what is joined is what was shipped, whatever
 *		is missing, damaged or of another generation.
 */
#include "test_pipe_wal.h"

#define CHUNKS		FOLDER SEGMENT ".chunks/"

static FileRepo repo;
static BkcStore *store;
static BkcWalWriter *writer;

/* ---- the frame of all tests ---- */

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

static int
open_store(void **state)
{
	BkcError	err;

	return bkc_store_memory_new(&store, &err) &&
		bkc_walwriter_new(store, SYSID, BKC_CODEC_ZSTD, 1, &writer, &err) ? 0 : 1;
}

static int
close_store(void **state)
{
	bkc_walwriter_close(&writer);
	bkc_store_close(store);
	return 0;
}

/* ---- short forms ---- */

/* Store bytes of the segment's content as a chunk. */
static void
ship(const uint8_t *data, uint64_t generation, uint32_t offset, uint32_t len, int64_t time)
{
	const char *path = wal_file(&repo, "open", data, MB);
	int			fd = open(path, O_RDONLY);
	uint64_t	stored;
	uint64_t	size;
	BkcError	err;
	char		name[BKC_NAME_MAX];

	assert_true(fd >= 0);
	assert_ok(bkc_walwriter_chunk(writer, SEGMENT, MB, generation, offset, len, fd, path, time,
								  &stored, &err));
	close(fd);
	assert_ok(bkc_name_wal_chunk(SYSID, SEGMENT, generation, offset, name, &err));
	assert_ok(bkc_store_stat(store, name, &size, &err));
	assert_int_equal(size, stored);
}

static void
chunk_name(uint64_t generation, uint32_t offset, char name[BKC_NAME_MAX])
{
	BkcError	err;

	assert_ok(bkc_name_wal_chunk(SYSID, SEGMENT, generation, offset, name, &err));
}

static void
drop(uint64_t generation, uint32_t offset)
{
	char		name[BKC_NAME_MAX];
	const char *names[1] = {name};
	BkcError	err;

	chunk_name(generation, offset, name);
	assert_ok(bkc_store_remove(store, names, 1, &err));
}

/*
 * Read the segment: data up to len, then zeros; the file stands behind it, and what was before it
 * is untouched.
 */
static void
assert_segment_until(const uint8_t *data, uint32_t len, uint64_t until, int64_t time)
{
	static uint8_t back[MB + 10];
	char		path[256];
	uint64_t	end_lsn;
	int64_t		reached;
	BkcError	err;
	size_t		got;
	int			fd;

	snprintf(path, sizeof(path), "%s/back", repo.top);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "before", 6), 6);
	assert_ok(bkc_wal_chunks_read(store, SYSID, SEGMENT, MB, until, fd, path, &end_lsn, &reached,
								  &err));
	assert_int_equal(end_lsn, SEG_START + len);
	assert_int_equal(reached, time);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 6 + MB);
	close(fd);
	fd = open(path, O_RDONLY);
	assert_ok(bkc_file_pread(fd, path, back, sizeof(back), 0, &got, &err));
	close(fd);
	assert_int_equal(got, 6 + MB);
	assert_memory_equal(back, "before", 6);
	assert_memory_equal(back + 6, data, len);
	for (uint32_t i = len; i < MB; i++)
	{
		if (back[6 + i] != 0)
			fail_msg("byte %u is not zero", i);
	}
}

static void
assert_segment(const uint8_t *data, uint32_t len, int64_t time)
{
	uint8_t		expected[BKC_SHA256_SIZE];
	uint8_t		sha256[BKC_SHA256_SIZE];
	uint64_t	end_lsn;
	int64_t		reached;
	BkcWalRow	row;
	BkcError	err;

	assert_segment_until(data, len, UINT64_MAX, time);
	assert_ok(bkc_wal_chunks_read(store, SYSID, SEGMENT, MB, UINT64_MAX, -1, "", &end_lsn,
								  &reached, &err));
	assert_int_equal(end_lsn, SEG_START + len);
	assert_ok(bkc_wal_chunks_end(store, SYSID, SEGMENT, &row, &err));
	assert_int_equal(row.end_lsn, SEG_START + len);
	assert_int_equal(row.time, time);
	assert_ok(bkc_sha256(data, len, expected, &err));
	assert_ok(bkc_wal_chunks_digest(store, SYSID, SEGMENT, MB, UINT64_MAX, sha256, &end_lsn, &err));
	assert_int_equal(end_lsn, SEG_START + len);
	assert_memory_equal(sha256, expected, sizeof(expected));
	assert_ok(bkc_sha256(data, (len + 1) / 2, expected, &err));
	assert_ok(bkc_wal_chunks_digest(store, SYSID, SEGMENT, MB, SEG_START + (len + 1) / 2, sha256,
									&end_lsn, &err));
	assert_int_equal(end_lsn, SEG_START + (len + 1) / 2);
	assert_memory_equal(sha256, expected, sizeof(expected));
}

/* What the rows say of themselves, respectively that nothing of them can be used. */
static void
assert_claim(uint64_t generation, uint64_t claimed_lsn)
{
	BkcWalRow	row;
	BkcError	err;

	assert_ok(bkc_wal_chunks_end(store, SYSID, SEGMENT, &row, &err));
	assert_int_equal(row.generation, generation);
	assert_int_equal(row.claimed_lsn, claimed_lsn);
}

static void
assert_unusable(uint64_t generation)
{
	BkcWalRow	row;
	BkcError	err;

	assert_fails(bkc_wal_chunks_end(store, SYSID, SEGMENT, &row, &err), BKC_ERR_CORRUPT);
	assert_int_equal(row.generation, generation);
}

static void
assert_no_bytes(BkcErrorCode code)
{
	uint8_t		sha256[BKC_SHA256_SIZE];
	uint64_t	end_lsn;
	int64_t		time;
	BkcError	err;

	assert_fails(bkc_wal_chunks_read(store, SYSID, SEGMENT, MB, UINT64_MAX, -1, "", &end_lsn,
									 &time, &err), code);
	assert_fails(bkc_wal_chunks_digest(store, SYSID, SEGMENT, MB, UINT64_MAX, sha256, &end_lsn,
									   &err), code);
}

static void
assert_nothing(BkcErrorCode code)
{
	BkcWalRow	row;
	BkcError	err;

	assert_no_bytes(code);
	assert_fails(bkc_wal_chunks_end(store, SYSID, SEGMENT, &row, &err), code);
}

static void
assert_newest(uint64_t generation, uint64_t end_lsn)
{
	uint64_t	g = 99;
	uint64_t	end = 99;
	BkcError	err;

	assert_ok(bkc_wal_chunks_newest(store, SYSID, SEGMENT, &g, &end, &err));
	assert_int_equal(g, generation);
	assert_int_equal(end, end_lsn);
}

/* ---- one generation ---- */

static void
test_row(void **state)
{
	uint8_t    *data = util_data(MB, DATA_RANDOM);

	assert_nothing(BKC_ERR_NOT_FOUND);
	assert_newest(0, 0);
	ship(data, 5, 0, 1, TIME);
	assert_segment(data, 1, TIME);
	assert_newest(5, SEG_START + 1);
	ship(data, 5, 1, 9999, TIME + 1);
	assert_segment(data, 10000, TIME + 1);
	assert_claim(5, SEG_START + 10000);

	/* a gap: what is behind it does not count, but was there */
	ship(data, 5, 20000, 100, TIME + 3);
	assert_segment(data, 10000, TIME + 1);
	assert_claim(5, SEG_START + 20100);
	assert_newest(5, SEG_START + 10000);
	ship(data, 5, 10000, 10000, TIME + 2);
	assert_segment(data, 20100, TIME + 3);
	assert_claim(5, SEG_START + 20100);
	ship(data, 5, 20100, MB - 20100, TIME + 4);
	assert_segment(data, MB, TIME + 4);
	assert_newest(5, SEG_START + MB);

	/* without its beginning there is nothing */
	drop(5, 0);
	assert_no_bytes(BKC_ERR_NOT_FOUND);
	assert_unusable(5);
	assert_newest(5, 0);
	free(data);
}

static void
test_whole_in_one(void **state)
{
	uint8_t    *data = util_data(MB, DATA_ZERO);

	ship(data, UINT64_MAX, 0, MB, 0);
	assert_segment(data, MB, 0);
	assert_newest(UINT64_MAX, SEG_START + MB);
	assert_claim(UINT64_MAX, SEG_START + MB);
	free(data);
}

/* Every position of the limit that could be off by one. */
static void
test_until(void **state)
{
	uint8_t    *data = util_data(MB, DATA_RANDOM);
	uint64_t	end_lsn;
	int64_t		time;
	BkcError	err;

	ship(data, 5, 0, 1000, TIME);
	ship(data, 5, 1000, 1000, TIME + 1);
	assert_segment_until(data, 2000, SEG_START + MB, TIME + 1);
	assert_segment_until(data, 2000, SEG_START + 2001, TIME + 1);
	assert_segment_until(data, 2000, SEG_START + 2000, TIME + 1);
	assert_segment_until(data, 1999, SEG_START + 1999, TIME + 1);
	assert_segment_until(data, 1001, SEG_START + 1001, TIME + 1);
	assert_segment_until(data, 1000, SEG_START + 1000, TIME);
	assert_segment_until(data, 1, SEG_START + 1, TIME);
	for (uint64_t until = SEG_START - 1; until <= SEG_START; until++)
		assert_fails(bkc_wal_chunks_read(store, SYSID, SEGMENT, MB, until, -1, "", &end_lsn, &time,
										 &err), BKC_ERR_NOT_FOUND);
	free(data);
}

static void
test_overlap(void **state)
{
	uint8_t    *data = util_data(MB, DATA_RANDOM);

	ship(data, 5, 0, 1000, TIME);
	ship(data, 5, 500, 300, TIME + 9);	/* nothing new */
	ship(data, 5, 700, 300, TIME + 9);	/* likewise, up to the very end */
	assert_segment(data, 1000, TIME);
	ship(data, 5, 900, 600, TIME + 2);
	assert_segment(data, 1500, TIME + 2);
	ship(data, 5, 999, 700000, TIME + 3);
	assert_segment(data, 700999, TIME + 3);
	assert_newest(5, SEG_START + 700999);
	free(data);
}

static void
test_refused(void **state)
{
	uint8_t    *data = util_data(MB, DATA_RANDOM);
	const char *path;
	uint64_t	stored;
	uint64_t	end_lsn;
	int64_t		time;
	BkcWalRow	row;
	BkcError	err;
	int			fd;

	ship(data, 5, 0, 1000, TIME);
	path = wal_file(&repo, "open", data, MB);
	fd = open(path, O_RDONLY);
#define CHUNK(segment, size, generation, offset, len) \
	bkc_walwriter_chunk(writer, segment, size, generation, offset, len, fd, path, TIME, \
						&stored, &err)
	assert_fails(CHUNK(SEGMENT, MB, 5, 0, 2000), BKC_ERR_EXISTS);
	assert_int_equal(stored, 0);
	assert_fails(CHUNK(SEGMENT, MB, 5, 1000, 0), BKC_ERR_INVALID);
	assert_fails(CHUNK(SEGMENT, MB, 5, 1000, MB - 999), BKC_ERR_INVALID);
	assert_fails(CHUNK(SEGMENT, MB, 5, MB, 1), BKC_ERR_INVALID);
	assert_fails(CHUNK(SEGMENT, MB, 5, MB + 1, 1), BKC_ERR_INVALID);
	assert_fails(CHUNK(SEGMENT, MB, 5, 1000, UINT32_MAX), BKC_ERR_INVALID);
	assert_fails(CHUNK(SEGMENT, MB, 0, 0, 1000), BKC_ERR_INVALID);
	assert_fails(CHUNK(SEGMENT, 3 * MB, 6, 0, 1000), BKC_ERR_INVALID);
	assert_fails(CHUNK(SEGMENT ".partial", MB, 6, 0, 1000), BKC_ERR_INVALID);
	assert_fails(CHUNK("00000002.history", MB, 6, 0, 1000), BKC_ERR_INVALID);

	/* the file is shorter than it should be */
	assert_int_equal(truncate(path, 5000), 0);
	assert_fails(CHUNK(SEGMENT, MB, 5, 1000, 4001), BKC_ERR_UNAVAILABLE);
	assert_fails(CHUNK(SEGMENT, MB, 5, 5000, 1), BKC_ERR_UNAVAILABLE);
	assert_int_equal(util_objects(store), 1);
	assert_ok(CHUNK(SEGMENT, MB, 5, 1000, 4000));
	close(fd);
	assert_segment(data, 5000, TIME);

	assert_fails(bkc_wal_chunks_read(store, SYSID, SEGMENT ".partial", MB, UINT64_MAX, -1, "",
									 &end_lsn, &time, &err), BKC_ERR_INVALID);
	assert_fails(bkc_wal_chunks_read(store, SYSID, SEGMENT, 3 * MB, UINT64_MAX, -1, "",
									 &end_lsn, &time, &err), BKC_ERR_INVALID);
	assert_fails(bkc_wal_chunks_read(store, SYSID, "00000002.history", MB, UINT64_MAX, -1, "",
									 &end_lsn, &time, &err), BKC_ERR_INVALID);
	assert_fails(bkc_wal_chunks_end(store, SYSID, "x", &row, &err), BKC_ERR_INVALID);

	/* these are chunks of segments of 1 MB, so for others they are damaged */
	assert_fails(bkc_wal_chunks_read(store, SYSID, "000000010000000200000003", 16 * MB, UINT64_MAX,
									 -1, "", &end_lsn, &time, &err), BKC_ERR_NOT_FOUND);
	free(data);
}

/* Chunks of a large segment have many frames, and are read twice when they are stored. */
static void
test_large(void **state)
{
	static const char segment[] = "000000010000000200000003";
	uint32_t	size = 64 * MB;
	uint8_t    *data = util_data(size, DATA_MIXED);
	const char *path = wal_file(&repo, "open", data, size);
	char		back_path[256];
	uint64_t	start = (UINT64_C(2) << 32) + 3 * (uint64_t) size;
	uint64_t	end_lsn;
	uint64_t	stored;
	int64_t		time;
	uint8_t    *back = malloc(size);
	size_t		got;
	BkcError	err;
	int			fd = open(path, O_RDONLY);

	assert_ok(bkc_walwriter_chunk(writer, segment, size, 7, 0, 20 * MB + 5, fd, path, TIME,
								  &stored, &err));
	assert_ok(bkc_walwriter_chunk(writer, segment, size, 7, 20 * MB + 5, 3 * MB, fd, path, TIME + 1,
								  &stored, &err));
	assert_ok(bkc_walwriter_chunk(writer, segment, size, 6, 0, size - 1, fd, path, TIME - 1,
								  &stored, &err));
	close(fd);
	snprintf(back_path, sizeof(back_path), "%s/back", repo.top);
	fd = open(back_path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_ok(bkc_wal_chunks_read(store, SYSID, segment, size, UINT64_MAX, fd, back_path, &end_lsn,
								  &time, &err));
	assert_int_equal(end_lsn, start + size - 1);
	assert_int_equal(time, TIME + 1);
	assert_ok(bkc_file_pread(fd, back_path, back, size, 0, &got, &err));
	assert_int_equal(got, size);
	data[size - 1] = 0;
	assert_memory_equal(back, data, size);
	close(fd);
	free(back);
	free(data);
}

/* ---- generations ---- */

static void
test_generations(void **state)
{
	uint8_t    *data = util_data(MB, DATA_RANDOM);
	uint8_t    *other = util_data(MB, DATA_RANDOM);

	/* the newest is shorter, and the older one agrees, in chunks cut elsewhere */
	ship(data, 3, 0, 700, TIME);
	ship(data, 3, 700, 5000, TIME + 1);
	ship(data, 8, 0, 1000, TIME + 5);
	assert_newest(8, SEG_START + 1000);
	assert_segment(data, 5700, TIME + 5);
	assert_segment_until(data, 1000, SEG_START + 1000, TIME + 5);
	assert_segment_until(data, 1001, SEG_START + 1001, TIME + 5);

	/* older ones by steps: each may lengthen what was joined so far */
	ship(data, 2, 0, 9000, TIME);
	assert_segment(data, 9000, TIME + 5);
	assert_claim(8, SEG_START + 9000);

	/* longer, but with another byte: just before, and at, the end of what we have */
	memcpy(other, data, 9000);
	other[8999] ^= 1;
	ship(other, 1, 0, 20000, TIME);
	assert_segment(data, 9000, TIME + 5);
	drop(1, 0);
	other[8999] ^= 1;
	ship(other, 1, 0, 20000, TIME);
	assert_segment(other, 20000, TIME + 5);

	/* the newest has written something else there: it counts, however short */
	data[5] ^= 1;
	ship(data, 9, 0, 6, TIME + 6);
	assert_segment(data, 6, TIME + 6);
	ship(data, 9, 6, 100, TIME + 7);
	assert_segment(data, 106, TIME + 7);
	assert_newest(9, SEG_START + 106);
	free(data);
	free(other);
}

/* A newest generation without its beginning hides nothing. */
static void
test_newest_without_beginning(void **state)
{
	uint8_t    *data = util_data(MB, DATA_RANDOM);

	ship(data, 3, 0, 700, TIME);
	ship(data, 4, 10, 700, TIME + 1);
	assert_newest(4, 0);
	assert_segment(data, 700, TIME);
	assert_claim(4, SEG_START + 710);
	ship(data, 4, 0, 10, TIME + 2);
	assert_segment(data, 710, TIME + 2);
	assert_claim(4, SEG_START + 710);

	/* nobody knows whether the older one is right where the newest one is not there */
	drop(4, 0);
	ship(data, 3, 700, 100, TIME);
	assert_segment(data, 800, TIME);
	assert_claim(4, SEG_START + 801);
	free(data);
}

/* The newest row, and the one that has lengthened it, say how far there was WAL; others do not. */
static void
test_claims(void **state)
{
	uint8_t    *data = util_data(MB, DATA_RANDOM);
	char		name[BKC_NAME_MAX];

	for (uint32_t i = 0; i < 4; i++)
		ship(data, 5, i * 1000, 1000, TIME + i);
	assert_claim(5, SEG_START + 4000);

	/* a head that cannot be read, in the middle and at the end */
	chunk_name(5, 2000, name);
	wal_flip(store, name, 150);
	assert_segment(data, 2000, TIME + 1);
	assert_claim(5, SEG_START + 4000);
	wal_flip(store, name, 150);
	chunk_name(5, 3000, name);
	wal_flip(store, name, 150);
	assert_segment(data, 3000, TIME + 2);
	assert_claim(5, UINT64_MAX);

	/* an older row that agrees with what can be read is not what was there */
	ship(data, 4, 0, 5000, TIME + 9);
	assert_segment(data, 5000, TIME + 9);
	assert_claim(5, UINT64_MAX);
	wal_flip(store, name, 150);
	assert_claim(5, SEG_START + 5000);
	drop(5, 1000);
	assert_segment(data, 5000, TIME + 9);
	assert_claim(5, SEG_START + 5001);

	/* a new generation with all there is begins anew: what is before it does not matter */
	ship(data, 6, 0, 6000, TIME + 10);
	assert_segment(data, 6000, TIME + 10);
	assert_claim(6, SEG_START + 6000);
	ship(data, 4, 7000, 1000, TIME + 9);
	assert_claim(6, SEG_START + 6000);

	/* it does where it reaches further with the same bytes */
	ship(data, 4, 5000, 1500, TIME + 9);
	assert_segment(data, 6500, TIME + 10);
	assert_claim(6, SEG_START + 8000);
	data[100] ^= 1;
	ship(data, 7, 0, 500, TIME + 11);
	assert_segment(data, 500, TIME + 11);
	assert_claim(7, SEG_START + 500);
	free(data);
}

/* Random chunks of random generations against a plain model of what the contract says. */
static void
test_random_generations(void **state)
{
	static uint8_t bytes[4][MB];

	for (int round = 0; round < 100; round++)
	{
		uint32_t	end[4] = {0};
		uint32_t	joined;
		int			best = 3;

		close_store(NULL);
		assert_int_equal(open_store(NULL), 0);
		util_fill(bytes[0], 4000, DATA_RANDOM);
		for (int g = 0; g < 4; g++)
		{
			uint32_t	pos = 0;
			int			n = (int) (util_random() % 4);

			/* like the one before it, or like that up to somewhere */
			if (g > 0)
				memcpy(bytes[g], bytes[g - 1], 4000);
			if (util_random() % 2 == 0)
				bytes[g][util_random() % 4000] ^= 1;
			while (n-- > 0)
			{
				uint32_t	len = 1 + (uint32_t) (util_random() % 1000);
				uint32_t	overlap = util_random() % 4 == 0 && pos > 0 ?
					(uint32_t) (util_random() % pos) : 0;
				uint32_t	gap = overlap == 0 && util_random() % 8 == 0;
				uint32_t	at = pos - overlap + gap;

				/* an offset is taken only once */
				if (overlap > 0 && at == 0)
					continue;
				if (overlap == 0 || len > overlap)
				{
					char		name[BKC_NAME_MAX];
					uint64_t	size;
					BkcError	err;

					chunk_name((uint64_t) g + 1, at, name);
					if (bkc_store_stat(store, name, &size, &err))
						continue;
					ship(bytes[g], (uint64_t) g + 1, at, len, TIME);
					pos = at + len;
					if (gap)
						break;
					end[g] = pos;
				}
			}
		}
		joined = end[3];
		for (int g = 2; g >= 0; g--)
		{
			if (end[g] > joined && memcmp(bytes[g], bytes[best], joined) == 0)
			{
				joined = end[g];
				best = g;
			}
		}
		if (joined > 0)
			assert_segment(bytes[best], joined, TIME);
		else if (util_objects(store) == 0)
			assert_nothing(BKC_ERR_NOT_FOUND);
		else
			assert_no_bytes(BKC_ERR_NOT_FOUND);
	}
}

/* ---- damage ---- */

static void
test_damaged_chunk(void **state)
{
	uint8_t    *data = util_data(MB, DATA_TEXT);
	char		name[BKC_NAME_MAX];
	BkcBuffer	good = {0};

	ship(data, 5, 0, 1000, TIME);
	ship(data, 5, 1000, 300000, TIME + 1);
	ship(data, 5, 301000, 1000, TIME + 2);
	chunk_name(5, 1000, name);
	util_get(store, name, &good);
	assert_segment(data, 302000, TIME + 2);
	for (size_t at = 0; at < good.len; at += 61)
	{
		BkcWalRow	row;
		BkcError	err;

		wal_warnings = 0;
		wal_flip(store, name, at);
		assert_segment_until(data, 1000, UINT64_MAX, TIME);
		assert_int_equal(wal_warnings, 1);

		/* by info frames alone damage may go unnoticed, but is never an error */
		assert_ok(bkc_wal_chunks_end(store, SYSID, SEGMENT, &row, &err));
		assert_true(row.end_lsn == SEG_START + 1000 || row.end_lsn == SEG_START + 302000);
		assert_int_equal(row.claimed_lsn, SEG_START + 302000);
		util_put(store, name, good.data, good.len);
	}
	for (size_t len = 0; len < good.len; len += 97)
	{
		util_put(store, name, good.data, len);
		assert_segment_until(data, 1000, UINT64_MAX, TIME);
	}
	util_put(store, name, good.data, good.len);

	/* the next generation's row ends there, too; an older one helps */
	wal_flip(store, name, good.len - 1);
	ship(data, 4, 0, 200000, TIME - 1);
	assert_segment_until(data, 200000, UINT64_MAX, TIME);
	ship(data, 4, 200000, 1000, TIME - 1);
	chunk_name(4, 200000, name);
	wal_flip(store, name, 400);
	assert_segment_until(data, 200000, UINT64_MAX, TIME);

	/* nothing but damage at the beginning: nobody may call that absent */
	chunk_name(4, 0, name);
	wal_flip(store, name, 300);
	chunk_name(5, 0, name);
	wal_flip(store, name, 300);
	assert_nothing(BKC_ERR_CORRUPT);
	bkc_buffer_free(&good);
	free(data);
}

/* Objects of other names: every field is right, but somewhere else. */
static void
test_misplaced_chunks(void **state)
{
	uint8_t    *data = util_data(MB, DATA_RANDOM);
	char		from[BKC_NAME_MAX];
	char		to[BKC_NAME_MAX];
	BkcBuffer	bytes = {0};
	BkcFrame	frames[2];
	BkcWalInfo	info = {
		.file = SEGMENT, .system_identifier = SYSID, .size = 100, .time = TIME, .timeline = 1,
		.segment_size = MB, .start_lsn = SEG_START + 1000, .end_lsn = SEG_START + 1100
	};
	BkcError	err;

	ship(data, 5, 0, 1000, TIME);
	ship(data, 5, 2000, 1000, TIME);
	chunk_name(5, 2000, from);
	chunk_name(5, 1000, to);
	util_get(store, from, &bytes);
	util_put(store, to, bytes.data, bytes.len);
	assert_segment(data, 1000, TIME);
	util_put(store, CHUNKS "0000000000000005-000003e8.tmp", "x", 1);
	util_put(store, CHUNKS "x", "x", 1);
	util_put(store, CHUNKS "0000000000000005-000003E8", "x", 1);
	assert_segment(data, 1000, TIME);

	/* made for that name, with all digests right */
	for (int i = 0; i < 5; i++)
	{
		BkcWalInfo	bad = info;
		BkcObjectWriter *object;
		bool		encoded;

		if (i == 1)
			bad.start_lsn++, bad.end_lsn++;
		if (i == 2)
			memcpy(bad.file, "0000000100000002000000AC", 25), bad.start_lsn += MB, bad.end_lsn += MB;
		if (i == 3)
			bad.system_identifier++;
		if (i == 4)
		{
			/* the same name, in segments of another size */
			bad.segment_size = 16 * MB;
			bad.start_lsn = (UINT64_C(2) << 32) + 0xAB * (uint64_t) 16 * MB + 1000;
			bad.end_lsn = bad.start_lsn + 100;
		}
		assert_ok(bkc_sha256(data + 1000, 100, bad.sha256, &err));
		bkc_buffer_reset(&bytes);
		encoded = bkc_walinfo_encode(&bad, &bytes, &err);
		assert_true(encoded);
		frames[0] = (BkcFrame) {bytes.data, (uint32_t) bytes.len, (uint32_t) bytes.len,
		BKC_FRAME_INFO, BKC_FRAME_STORED};
		frames[1] = (BkcFrame) {data + 1000, 100, 100, BKC_FRAME_DATA, BKC_FRAME_STORED};
		drop(5, 1000);
		assert_ok(bkc_object_create(store, to, BKC_KIND_WAL_CHUNK, BKC_CODEC_NONE, 0, &object,
									&err));
		assert_ok(bkc_object_put(object, &frames[0], false, NULL, &err));
		assert_ok(bkc_object_put(object, &frames[1], true, NULL, &err));
		assert_ok(bkc_object_commit(object, &err));
		bkc_object_close(object);
		assert_segment(data, i == 0 ? 1100 : 1000, TIME);
	}
	bkc_buffer_free(&bytes);
	free(data);
}

/* ---- many ---- */

static void
test_thousands(void **state)
{
	uint8_t    *data = util_data(MB, DATA_RANDOM);
	BkcWalFile	file = {.file = SEGMENT, .segment_size = MB, .time = TIME};
	BkcWalOutcome outcome;
	BkcError	err;
	uint64_t	stored;
	const char *path = wal_file(&repo, "open", data, MB);
	int			fd = open(path, O_RDONLY);

	for (uint32_t i = 0; i < 3000; i++)
		assert_ok(bkc_walwriter_chunk(writer, SEGMENT, MB, 5 + i / 2000, i % 2000 * 10, 10, fd,
									  path, TIME + i, &stored, &err));
	close(fd);
	assert_segment(data, 20000, TIME + 2999);
	assert_newest(6, SEG_START + 10000);

	/* nothing is removed as long as there is nothing else */
	assert_fails(bkc_wal_chunks_remove(store, SYSID, SEGMENT, &err), BKC_ERR_STATE);
	assert_int_equal(util_objects(store), 3000);
	util_put(store, CHUNKS "foreign", "x", 1);
	file.path = path;
	assert_ok(bkc_walwriter_put(writer, &file, &outcome, &stored, &err));
	assert_ok(bkc_wal_chunks_remove(store, SYSID, SEGMENT, &err));
	assert_int_equal(util_objects(store), 2);
	assert_ok(bkc_wal_chunks_remove(store, SYSID, SEGMENT, &err));
	assert_nothing(BKC_ERR_NOT_FOUND);
	free(data);
}

/* ---- failures ---- */

typedef bool (*Scene) (BkcStore *on, BkcError *err);

static bool
scene_read(BkcStore *on, BkcError *err)
{
	uint64_t	end_lsn;
	int64_t		time;

	return bkc_wal_chunks_read(on, SYSID, SEGMENT, MB, UINT64_MAX, -1, "", &end_lsn, &time, err);
}

static bool
scene_end(BkcStore *on, BkcError *err)
{
	BkcWalRow	row;

	return bkc_wal_chunks_end(on, SYSID, SEGMENT, &row, err);
}

static bool
scene_newest(BkcStore *on, BkcError *err)
{
	uint64_t	generation;
	uint64_t	end_lsn;

	return bkc_wal_chunks_newest(on, SYSID, SEGMENT, &generation, &end_lsn, err);
}

static bool
scene_remove(BkcStore *on, BkcError *err)
{
	return bkc_wal_chunks_remove(on, SYSID, SEGMENT, err);
}

static const Scene scenes[] = {scene_read, scene_end, scene_newest, scene_remove};

/* What cannot be asked for is an error, never the end of a row. */
static void
test_store_failures(void **state)
{
	static const BkcErrorCode codes[] = {
		BKC_ERR_UNAVAILABLE, BKC_ERR_ACCESS, BKC_ERR_UNSUPPORTED, BKC_ERR_IO
	};
	uint8_t    *data = util_data(MB, DATA_RANDOM);
	BkcWalFile	file = {.file = SEGMENT, .segment_size = MB, .time = TIME};
	BkcWalOutcome outcome;
	uint64_t	stored;
	BkcError	err;

	ship(data, 4, 0, 5000, TIME);
	ship(data, 5, 0, 1000, TIME);
	ship(data, 5, 1000, 1000, TIME);
	file.path = wal_file(&repo, "open", data, MB);
	assert_ok(bkc_walwriter_put(writer, &file, &outcome, &stored, &err));
	for (size_t s = 0; s < sizeof(scenes) / sizeof(scenes[0]); s++)
	{
		bool		done = false;

		for (uint64_t at = 1; !done; at++)
		{
			BkcErrorCode code = codes[at % 4];
			BkcStore   *inner;
			BkcStore   *faulty;

			assert_ok(bkc_store_memory_share(store, &inner, &err));
			assert_ok(bkc_store_faulty_new(inner, at, code, NULL, &faulty, &err));
			done = scenes[s] (faulty, &err);
			if (!done)
				assert_int_equal(err.code, code);
			bkc_store_close(faulty);
			assert_true(at < 200);
			if (done)
				assert_true(at > 2);
		}
	}
	free(data);
}

static void
test_cancel(void **state)
{
	uint8_t    *data = util_data(MB, DATA_RANDOM);
	BkcError	err;

	ship(data, 4, 0, 5000, TIME);
	ship(data, 5, 0, 1000, TIME);
	ship(data, 5, 1000, 1000, TIME);
	for (size_t s = 0; s < 3; s++)
	{
		bool		done = false;
		int			after = 0;

		for (; !done; after++)
		{
			wal_cancel_after = after;
			done = scenes[s] (store, &err);
			wal_cancel_after = -1;
			if (!done)
				assert_int_equal(err.code, BKC_ERR_CANCELLED);
		}
		assert_true(after > 2);
	}
	free(data);
}

/* A store whose listing names a chunk that is gone when it is read. */
static const BkcStoreOps *real_ops;
static BkcStoreOps stale_ops;

static bool
stale_open_read(BkcStore *s, const char *name, uint64_t offset, uint64_t length,
				BkcReader **reader, BkcError *err)
{
	if (strstr(name, "-000003e8") != NULL)
		return bkc_error_set(err, BKC_ERR_NOT_FOUND, "gone");
	return real_ops->open_read(s, name, offset, length, reader, err);
}

static void
test_vanishing(void **state)
{
	uint8_t    *data = util_data(MB, DATA_RANDOM);
	BkcError	err;

	ship(data, 5, 0, 1000, TIME);
	ship(data, 5, 1000, 1000, TIME);
	real_ops = store->ops;
	stale_ops = *real_ops;
	stale_ops.open_read = stale_open_read;
	store->ops = &stale_ops;
	for (size_t s = 0; s < 3; s++)
		assert_fails(scenes[s] (store, &err), BKC_ERR_UNAVAILABLE);
	store->ops = real_ops;
	free(data);
}

/* Chunks are removed when the whole segment is there, in whatever order. */
static void
test_going(void **state)
{
	uint8_t    *data = util_data(MB, DATA_RANDOM);
	BkcWalFile	file = {.file = SEGMENT, .segment_size = MB, .time = TIME};
	BkcWalOutcome outcome;
	uint64_t	stored;
	BkcWalRow	row;
	BkcError	err;

	for (uint32_t i = 0; i < 3; i++)
		ship(data, 5, i * 1000, 1000, TIME);
	file.path = wal_file(&repo, "open", data, MB);
	drop(5, 1000);
	assert_claim(5, SEG_START + 3000);
	assert_ok(bkc_walwriter_put(writer, &file, &outcome, &stored, &err));
	assert_fails(bkc_wal_chunks_end(store, SYSID, SEGMENT, &row, &err), BKC_ERR_UNAVAILABLE);
	drop(5, 0);
	assert_fails(bkc_wal_chunks_end(store, SYSID, SEGMENT, &row, &err), BKC_ERR_UNAVAILABLE);
	drop(5, 2000);
	assert_fails(bkc_wal_chunks_end(store, SYSID, SEGMENT, &row, &err), BKC_ERR_NOT_FOUND);
	free(data);
}

/* A listing that was begun before a chunk came, and shows the one behind it. */
static int	listings;
static bool (*list_each) (void *arg, const char *name, uint64_t size, BkcError *err);

static bool
stale_each(void *arg, const char *name, uint64_t size, BkcError *err)
{
	return (listings == 1 && strstr(name, "-000003e8") != NULL) || list_each(arg, name, size, err);
}

static bool
stale_list(BkcStore *s, const char *prefix, bool deep,
		   bool (*each) (void *arg, const char *name, uint64_t size, BkcError *err),
		   void *arg, BkcError *err)
{
	listings++;
	list_each = each;
	return real_ops->list(s, prefix, deep, stale_each, arg, err);
}

static void
test_coming(void **state)
{
	uint8_t    *data = util_data(MB, DATA_RANDOM);
	BkcWalRow	row;
	BkcError	err;

	for (uint32_t i = 0; i < 3; i++)
		ship(data, 5, i * 1000, 1000, TIME);
	real_ops = store->ops;
	stale_ops = *real_ops;
	stale_ops.list = stale_list;
	store->ops = &stale_ops;
	listings = 0;
	assert_ok(bkc_wal_chunks_end(store, SYSID, SEGMENT, &row, &err));
	store->ops = real_ops;
	assert_int_equal(listings, 2);
	assert_int_equal(row.end_lsn, SEG_START + 3000);
	assert_int_equal(row.claimed_lsn, SEG_START + 3000);
	free(data);
}

/* A file that cannot be written is an error, too. */
static void
test_write_failures(void **state)
{
	uint8_t    *data = util_data(MB, DATA_RANDOM);
	uint64_t	end_lsn;
	int64_t		time;
	BkcError	err;
	int			fd;
	int			pipes[2];

	ship(data, 5, 0, 1000, TIME);
	fd = open(repo.top, O_RDONLY);
	assert_fails(bkc_wal_chunks_read(store, SYSID, SEGMENT, MB, UINT64_MAX, fd, "x", &end_lsn,
									 &time, &err), BKC_ERR_IO);
	close(fd);
	assert_int_equal(pipe(pipes), 0);
	assert_fails(bkc_wal_chunks_read(store, SYSID, SEGMENT, MB, UINT64_MAX, pipes[1], "x",
									 &end_lsn, &time, &err), BKC_ERR_IO);
	close(pipes[0]);
	close(pipes[1]);
	fd = open("/dev/full", O_WRONLY);
	if (fd >= 0)
	{
		assert_fails(bkc_wal_chunks_read(store, SYSID, SEGMENT, MB, UINT64_MAX, fd, "/dev/full",
										 &end_lsn, &time, &err), BKC_ERR_NO_SPACE);
		close(fd);
	}
	free(data);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_store, close_store)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_row),
		TEST(test_whole_in_one),
		TEST(test_until),
		TEST(test_overlap),
		TEST(test_refused),
		TEST(test_large),
		TEST(test_generations),
		TEST(test_newest_without_beginning),
		TEST(test_claims),
		TEST(test_random_generations),
		TEST(test_damaged_chunk),
		TEST(test_misplaced_chunks),
		TEST(test_thousands),
		TEST(test_store_failures),
		TEST(test_cancel),
		TEST(test_vanishing),
		TEST(test_going),
		TEST(test_coming),
		TEST(test_write_failures),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
