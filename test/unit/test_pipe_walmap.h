/*
 * test_pipe_walmap.h
 *		What the tests of the WAL map share: small objects that say of
 *		themselves to be whole segments, and times by segment number.
 */
#ifndef TEST_PIPE_WALMAP_H
#define TEST_PIPE_WALMAP_H

#include "test_pipe_util.h"

#include "base/text.h"
#include "format/walinfo.h"
#include "pipe/manifestio.h"
#include "pipe/object.h"
#include "pipe/walmap.h"
#include "pipe/walobj.h"

#define SEGSIZE		((uint32_t) 1024 * 1024)

/* The first LSN of a segment. */
#define LSN(segno)	((uint64_t) (segno) * SEGSIZE)

/* When a segment was completed, unless a test says something else. */
#define TIME(segno) (INT64_C(1700000000000000) + (int64_t) (segno) * 1000000)

/* An object with that info and content, which may be less than the info says. */
static inline void
fake_object(BkcStore *store, const char *name, BkcKind kind, BkcWalInfo *info, const void *data,
			size_t len)
{
	BkcBuffer	text = {0};
	BkcObjectWriter *object;
	BkcFrame	frame = {.type = BKC_FRAME_INFO, .flags = BKC_FRAME_STORED};
	BkcError	err;

	assert_ok(bkc_sha256(data, len, info->sha256, &err));
	assert_ok(bkc_walinfo_encode(info, &text, &err));
	assert_ok(bkc_object_create(store, name, kind, BKC_CODEC_NONE, 0, &object, &err));
	frame.data = text.data;
	frame.len = frame.plain_len = (uint32_t) text.len;
	assert_ok(bkc_object_put(object, &frame, false, NULL, &err));
	frame.type = BKC_FRAME_DATA;
	frame.data = data;
	frame.len = frame.plain_len = (uint32_t) len;
	assert_ok(bkc_object_put(object, &frame, true, NULL, &err));
	assert_ok(bkc_object_commit(object, &err));
	bkc_object_close(object);
	bkc_buffer_free(&text);
}

static inline BkcWalInfo
fake_info(uint32_t timeline, uint64_t segno, uint32_t segsize, int64_t time)
{
	BkcWalInfo	info = {
		.system_identifier = SYSID,
		.size = segsize,
		.time = time,
		.timeline = timeline,
		.segment_size = segsize,
		.start_lsn = segno * segsize,
		.end_lsn = (segno + 1) * segsize
	};

	bkc_wal_segment_name(timeline, segno, segsize, info.file);
	return info;
}

static inline void
put_sized(BkcStore *store, uint32_t timeline, uint64_t segno, uint32_t segsize, int64_t time)
{
	BkcWalInfo	info = fake_info(timeline, segno, segsize, time);
	char		name[BKC_NAME_MAX];
	BkcError	err;

	assert_ok(bkc_name_wal_file(SYSID, info.file, NULL, name, &err));
	fake_object(store, name, BKC_KIND_WAL, &info, "x", 1);
}

/* Segments first .. last. */
static inline void
put_run(BkcStore *store, uint32_t timeline, uint64_t first, uint64_t last)
{
	for (uint64_t i = first; i <= last; i++)
		put_sized(store, timeline, i, SEGSIZE, TIME(i));
}

static inline void
put_conflict(BkcStore *store, uint32_t timeline, uint64_t segno, int64_t time)
{
	BkcWalInfo	info = fake_info(timeline, segno, SEGSIZE, time);
	char		hash[2 * BKC_SHA256_SIZE + 1];
	char		name[BKC_NAME_MAX];
	BkcError	err;

	assert_ok(bkc_sha256("y", 1, info.sha256, &err));
	bkc_hex_encode(info.sha256, BKC_SHA256_SIZE, hash);
	hash[BKC_WAL_HASH_DIGITS] = '\0';
	memcpy(info.reason, "test", 5);
	memcpy(info.by, "postgres", 9);
	assert_ok(bkc_name_wal_conflict(SYSID, info.file, hash, name, &err));
	fake_object(store, name, BKC_KIND_WAL, &info, "y", 1);
}

/* len bytes of the open segment from offset on. */
static inline void
put_chunk(BkcStore *store, uint32_t timeline, uint64_t segno, uint64_t generation,
		  uint32_t offset, uint32_t len, int64_t time)
{
	BkcWalInfo	info = fake_info(timeline, segno, SEGSIZE, time);
	char		name[BKC_NAME_MAX];
	uint8_t    *data = util_data(len, DATA_TEXT);
	BkcError	err;

	info.start_lsn += offset;
	info.size = len;
	info.end_lsn = info.start_lsn + len;
	assert_ok(bkc_name_wal_chunk(SYSID, info.file, generation, offset, name, &err));
	fake_object(store, name, BKC_KIND_WAL_CHUNK, &info, data, len);
	free(data);
}

static inline void
put_history_text(BkcStore *store, uint32_t timeline, const char *text)
{
	BkcWalInfo	info = {.system_identifier = SYSID, .size = strlen(text), .time = TIME(0)};
	char		name[BKC_NAME_MAX];
	BkcError	err;

	bkc_wal_history_name(timeline, info.file);
	assert_ok(bkc_name_wal_file(SYSID, info.file, NULL, name, &err));
	fake_object(store, name, BKC_KIND_WAL, &info, text, strlen(text));
}

/* The history of a timeline whose ancestors are 1, 2, ...: each was left at the given LSN. */
static inline void
put_history(BkcStore *store, uint32_t timeline, const uint64_t *switches, size_t n)
{
	BkcBuffer	text = {0};
	BkcError	err;

	for (size_t i = 0; i < n; i++)
		assert_ok(bkc_buffer_printf(&text, &err, "%zu\t%X/%X\tno recovery target specified\n",
									i + 1, (unsigned) (switches[i] >> 32),
									(unsigned) switches[i]));
	put_history_text(store, timeline, bkc_buffer_str(&text));
	bkc_buffer_free(&text);
}

static inline void
segment_object(uint32_t timeline, uint64_t segno, char name[BKC_NAME_MAX])
{
	char		file[BKC_WAL_NAME_MAX];
	BkcError	err;

	bkc_wal_segment_name(timeline, segno, SEGSIZE, file);
	assert_ok(bkc_name_wal_file(SYSID, file, NULL, name, &err));
}

/* Flip a byte of the info frame. */
static inline void
damage(BkcStore *store, const char *name)
{
	BkcBuffer	bytes = {0};

	util_get(store, name, &bytes);
	assert_true(bytes.len > 170);
	bytes.data[170] ^= 1;
	util_put(store, name, bytes.data, bytes.len);
	bkc_buffer_free(&bytes);
}

static inline void
damage_segment(BkcStore *store, uint32_t timeline, uint64_t segno)
{
	char		name[BKC_NAME_MAX];

	segment_object(timeline, segno, name);
	damage(store, name);
}

static inline BkcWalMap *
load(BkcStore *store, uint32_t segsize)
{
	BkcWalMap  *map;
	BkcError	err;

	assert_ok(bkc_walmap_load(store, SYSID, segsize, &map, &err));
	return map;
}

static inline void
assert_segment(const char *name, uint32_t timeline, uint64_t segno)
{
	char		expected[BKC_WAL_NAME_MAX];

	bkc_wal_segment_name(timeline, segno, SEGSIZE, expected);
	assert_string_equal(name, expected);
}

/* Follow the path to that timeline. */
static inline BkcWalReach
reach_to(const BkcWalMap *map, uint32_t target, uint32_t timeline, uint64_t start,
		 const BkcWalHave *have)
{
	BkcWalPath	path;
	BkcWalReach reach;
	BkcError	err;

	assert_ok(bkc_walmap_path(map, target, &path, &err));
	assert_ok(bkc_walmap_reach(map, &path, timeline, start, have, &reach, &err));
	bkc_walpath_free(&path);
	return reach;
}

#endif							/* TEST_PIPE_WALMAP_H */
