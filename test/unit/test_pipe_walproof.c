/*
 * test_pipe_walproof.c
 *		Which segments a backup needs, and when one counts as proven.
 */
#include "test_pipe_walmap.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/host.h"
#include "filerepo.h"
#include "pipe/walproof.h"

/* A segment as it should be, all of it. */
static void
put_whole(BkcStore *store, uint32_t timeline, uint64_t segno)
{
	BkcWalInfo	info = fake_info(timeline, segno, SEGSIZE, TIME(segno));
	uint8_t    *data = util_data(SEGSIZE, DATA_TEXT);
	char		name[BKC_NAME_MAX];

	segment_object(timeline, segno, name);
	fake_object(store, name, BKC_KIND_WAL, &info, data, SEGSIZE);
	free(data);
}

static bool
proven(BkcStore *store, uint32_t timeline, uint64_t segno, bool read, BkcError *err)
{
	return bkc_walproof_segment(store, SYSID, timeline, segno, SEGSIZE, read, err);
}

static void
test_range(void **state)
{
	static const struct
	{
		uint64_t	start;
		uint64_t	stop;
		uint64_t	first;
		uint64_t	last;
	}			cases[] = {
		{LSN(3) + 40, LSN(3) + 41, 3, 3},
		{LSN(3), LSN(4), 3, 3},
		{LSN(3), LSN(4) + 1, 3, 4},
		{LSN(4) - 1, LSN(4), 3, 3},
		{LSN(4) - 1, LSN(4) + 1, 3, 4},
		{LSN(0) + 1, LSN(100), 0, 99},
	};
	BkcManifestHeader header = {.label = LABEL, .wal_segment_size = SEGSIZE};
	uint64_t	first;
	uint64_t	last;
	BkcError	err;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		header.start_lsn = cases[i].start;
		header.stop_lsn = cases[i].stop;
		assert_ok(bkc_walproof_range(&header, &first, &last, &err));
		assert_int_equal(first, cases[i].first);
		assert_int_equal(last, cases[i].last);
	}
}

static void
test_range_refused(void **state)
{
	static const uint32_t sizes[] = {
		0, 1, SEGSIZE - 1, SEGSIZE + 1, SEGSIZE / 2, 3 * SEGSIZE, UINT32_MAX
	};
	BkcManifestHeader header = {.label = LABEL, .start_lsn = LSN(3), .stop_lsn = LSN(4)};
	uint64_t	first;
	uint64_t	last;
	BkcError	err;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
	{
		header.wal_segment_size = sizes[i];
		assert_fails(bkc_walproof_range(&header, &first, &last, &err), BKC_ERR_CORRUPT);
	}
	header.wal_segment_size = SEGSIZE;
	header.stop_lsn = header.start_lsn;
	assert_fails(bkc_walproof_range(&header, &first, &last, &err), BKC_ERR_CORRUPT);
	header.stop_lsn--;
	assert_fails(bkc_walproof_range(&header, &first, &last, &err), BKC_ERR_CORRUPT);
	header.start_lsn = 0;
	assert_fails(bkc_walproof_range(&header, &first, &last, &err), BKC_ERR_CORRUPT);
}

static void
test_present(void **state)
{
	BkcStore   *store = util_store();
	BkcError	err;

	put_whole(store, 1, 5);
	for (int read = 0; read < 2; read++)
	{
		assert_ok(proven(store, 1, 5, read, &err));
		assert_fails(proven(store, 1, 4, read, &err), BKC_ERR_NOT_FOUND);
		assert_fails(proven(store, 1, 6, read, &err), BKC_ERR_NOT_FOUND);
		assert_fails(proven(store, 2, 5, read, &err), BKC_ERR_NOT_FOUND);
	}
	assert_false(proven(store, 1, 4, false, &err));
	assert_non_null(strstr(err.message, "000000010000000000000004"));
	bkc_store_close(store);
}

/* The info frame promises more than there is: only reading finds that. */
static void
test_cut(void **state)
{
	BkcStore   *store = util_store();
	BkcError	err;

	put_sized(store, 1, 5, SEGSIZE, TIME(5));
	assert_ok(proven(store, 1, 5, false, &err));
	assert_fails(proven(store, 1, 5, true, &err), BKC_ERR_CORRUPT);
	bkc_store_close(store);
}

static void
test_damaged(void **state)
{
	BkcStore   *store = util_store();
	BkcBuffer	bytes = {0};
	char		name[BKC_NAME_MAX];
	BkcError	err;

	put_whole(store, 1, 5);
	segment_object(1, 5, name);
	util_get(store, name, &bytes);
	bytes.data[bytes.len - 1] ^= 1;
	util_put(store, name, bytes.data, bytes.len);
	assert_ok(proven(store, 1, 5, false, &err));
	assert_fails(proven(store, 1, 5, true, &err), BKC_ERR_CORRUPT);
	bkc_buffer_free(&bytes);
	damage_segment(store, 1, 5);
	assert_fails(proven(store, 1, 5, false, &err), BKC_ERR_CORRUPT);
	bkc_store_close(store);
}

/* Another segment size is not this cluster's segment, whatever its name. */
static void
test_other_size(void **state)
{
	BkcStore   *store = util_store();
	BkcError	err;

	put_sized(store, 1, 5, 2 * SEGSIZE, TIME(5));
	assert_fails(proven(store, 1, 5, false, &err), BKC_ERR_CORRUPT);
	bkc_store_close(store);
}

/* What readers get counts: the conflict object, also when the plain one is fine. */
static void
test_conflict(void **state)
{
	BkcStore   *store = util_store();
	BkcError	err;

	put_whole(store, 1, 5);
	put_conflict(store, 1, 5, TIME(6));
	assert_ok(proven(store, 1, 5, false, &err));
	assert_fails(proven(store, 1, 5, true, &err), BKC_ERR_CORRUPT);
	bkc_store_close(store);
}

/* Chunks alone are no segment. */
static void
test_chunks(void **state)
{
	BkcStore   *store = util_store();
	BkcError	err;

	put_chunk(store, 1, 5, 1, 0, SEGSIZE, TIME(5));
	assert_fails(proven(store, 1, 5, false, &err), BKC_ERR_NOT_FOUND);
	bkc_store_close(store);
}

/* Each call that fails is an error that says so, never "proven" or "absent". */
static void
test_failures(void **state)
{
	for (int read = 0; read < 2; read++)
	{
		uint64_t	calls = 0;
		uint64_t	total = 0;

		for (uint64_t at = 0; at <= total; at++)
		{
			BkcStore   *inner = util_store();
			BkcStore   *store;
			BkcError	err;

			put_whole(inner, 1, 5);
			assert_ok(bkc_store_faulty_new(inner, at, BKC_ERR_UNAVAILABLE, &calls, &store, &err));
			if (at == 0)
			{
				assert_ok(proven(store, 1, 5, read, &err));
				total = calls;
			}
			else
			{
				assert_false(proven(store, 1, 5, read, &err));
				assert_int_equal(err.code, BKC_ERR_UNAVAILABLE);
			}
			bkc_store_close(store);
		}
		assert_true(total > 2);
	}
}

/* What is proven is told by its digest, whether it was read or not. */
static void
test_content(void **state)
{
	BkcStore   *store = util_store();
	uint8_t    *data = util_data(SEGSIZE, DATA_TEXT);
	uint8_t		expected[BKC_SHA256_SIZE];
	uint8_t		sha256[BKC_SHA256_SIZE];
	char		name[BKC_NAME_MAX];
	BkcError	err;

	put_whole(store, 1, 5);
	assert_ok(bkc_sha256(data, SEGSIZE, expected, &err));
	for (int read = 0; read < 2; read++)
	{
		memset(sha256, 0, sizeof(sha256));
		assert_ok(bkc_walproof_content(store, SYSID, 1, 5, SEGSIZE, read, sha256, name, &err));
		assert_memory_equal(sha256, expected, sizeof(sha256));
		assert_fails(bkc_walproof_content(store, SYSID, 1, 6, SEGSIZE, read, sha256, name, &err),
					 BKC_ERR_NOT_FOUND);
	}
	free(data);
	bkc_store_close(store);
}

/* ---- the server's own file ---- */

#define LOCAL_SIZE	(2 * 64 * 1024 + 1)

static char local_path[300];
static int	local_checks;

/* A server recycles a file by renaming it; the host is asked between two reads. */
static bool
recycle_at_second(void)
{
	char		other[320];

	if (++local_checks == 2)
	{
		snprintf(other, sizeof(other), "%s.recycled", local_path);
		assert_int_equal(rename(local_path, other), 0);
	}
	return false;
}

static bool
cancel(void)
{
	return true;
}

static const BkcHost recycling = {.cancelled = recycle_at_second};
static const BkcHost cancelling = {.cancelled = cancel};
static const BkcHost quiet = {0};

static void
test_local(void **state)
{
	static const uint64_t sizes[] = {
		0, 1, 64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, 2 * 64 * 1024, LOCAL_SIZE
	};
	FileRepo	repo;
	uint8_t    *data = util_data(LOCAL_SIZE, DATA_TEXT);
	uint8_t		expected[BKC_SHA256_SIZE];
	uint8_t		sha256[BKC_SHA256_SIZE];
	bool		there;
	BkcError	err;

	assert_ok(filerepo_new(&repo, &err));
	snprintf(local_path, sizeof(local_path), "%s/segment", repo.top);
	assert_ok(bkc_walproof_local(local_path, 0, 1, sha256, &there, &err));
	assert_false(there);
	assert_ok(bkc_file_put(local_path, data, LOCAL_SIZE, 0600, true, &err));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
	{
		uint64_t	offset = LOCAL_SIZE - sizes[i];

		assert_ok(bkc_sha256(data + offset, sizes[i], expected, &err));
		assert_ok(bkc_walproof_local(local_path, offset, sizes[i], sha256, &there, &err));
		assert_true(there);
		assert_memory_equal(sha256, expected, sizeof(sha256));

		/* one byte more than there is */
		assert_ok(bkc_walproof_local(local_path, offset, sizes[i] + 1, sha256, &there, &err));
		assert_false(there);
	}
	bkc_host_set(&cancelling);
	assert_fails(bkc_walproof_local(local_path, 0, LOCAL_SIZE, sha256, &there, &err),
				 BKC_ERR_CANCELLED);
	assert_false(there);

	/* what it says now belongs to another segment */
	bkc_host_set(&recycling);
	assert_ok(bkc_walproof_local(local_path, 0, LOCAL_SIZE, sha256, &there, &err));
	assert_false(there);
	assert_true(local_checks >= 2);
	bkc_host_set(&quiet);
	free(data);
	filerepo_free(&repo);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_range),
		cmocka_unit_test(test_range_refused),
		cmocka_unit_test(test_present),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_other_size),
		cmocka_unit_test(test_conflict),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_content),
		cmocka_unit_test(test_local),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
