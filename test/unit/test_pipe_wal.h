/*
 * test_pipe_wal.h
 *		What the tests of WAL objects share: files to be archived, and writers.
 */
#ifndef TEST_PIPE_WAL_H
#define TEST_PIPE_WAL_H

#include "test_pipe_util.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/host.h"
#include "base/text.h"
#include "filerepo.h"
#include "pipe/object.h"
#include "pipe/walobj.h"

#define MB			((uint32_t) 1024 * 1024)
#define SEGMENT		"0000000100000002000000AB"
#define SEG_START	((((uint64_t) 2) << 32) + 0xAB * (uint64_t) MB) /* with segments of 1 MB */
#define ROOT		"7435718529102938471/wal/"
#define FOLDER		ROOT "00000001/00000002/"
#define TIME		INT64_C(1795176181123456)

/* A file in the folder for scratch files; the result is a static buffer. */
static inline const char *
wal_file(const FileRepo *repo, const char *name, const void *data, size_t len)
{
	static char path[256];
	BkcError	err;

	snprintf(path, sizeof(path), "%s/%s", repo->top, name);
	assert_ok(bkc_file_put(path, data, len, 0600, true, &err));
	return path;
}

static inline BkcWalWriter *
wal_writer(BkcStore *store)
{
	BkcWalWriter *w;
	BkcError	err;

	assert_ok(bkc_walwriter_new(store, SYSID, BKC_CODEC_ZSTD, 1, &w, &err));
	return w;
}

/* Size of the whole object, flip bytes of it, cut it: put under the same name again. */
static inline void
wal_flip(BkcStore *store, const char *name, size_t at)
{
	BkcBuffer	bytes = {0};

	util_get(store, name, &bytes);
	assert_true(at < bytes.len);
	bytes.data[at] ^= 0x10;
	util_put(store, name, bytes.data, bytes.len);
	bkc_buffer_free(&bytes);
}

/* ---- cancelling after so many questions ---- */

static int	wal_cancel_after = -1;	/* -1: never */
static int	wal_warnings;

static inline bool
wal_cancelled(void)
{
	if (wal_cancel_after < 0)
		return false;
	return wal_cancel_after-- <= 0;
}

static inline void
wal_log(BkcLogLevel level, const char *message)
{
	if (level == BKC_LOG_WARNING)
		wal_warnings++;
}

static inline void
wal_host(void)
{
	static const BkcHost host = {.cancelled = wal_cancelled, .log = wal_log};

	bkc_host_set(&host);
}

#endif							/* TEST_PIPE_WAL_H */
