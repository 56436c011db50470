/*
 * test_client_walget.h
 *		A data directory in recovery, two repositories, and wal-get as its
 *		restore_command, for the tests of wal-get.
 *
 * The whole command is included: what is tested is what the server would see.
 */
#ifndef TEST_CLIENT_WALGET_H
#define TEST_CLIENT_WALGET_H

#include "test_pipe_util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/client/crew.c"
#include "../../src/client/host.c"
#include "../../src/client/json.c"
#include "../../src/client/keys.c"
#include "../../src/client/options.c"
#include "../../src/client/report.c"
#include "../../src/client/session.c"
#include "../../src/client/walget.c"
#include "../../src/client/walget_archive.c"
#include "../../src/client/walget_ask.c"
#include "../../src/client/walget_backup.c"
#include "../../src/client/walget_chunks.c"
#include "../../src/client/walget_conclude.c"
#include "../../src/client/walget_deliver.c"
#include "../../src/client/walget_path.c"
#include "../../src/client/walget_prefetch.c"
#include "../../src/client/walget_rows.c"
#include "../../src/client/walget_spool.c"
#include "../../src/client/walget_timeline.c"

#include "base/bytes.h"
#include "base/file.h"
#include "filerepo.h"
#include "format/documents.h"
#include "pipe/object.h"
#include "pipe/walobj.h"

#define MB			((uint32_t) 1024 * 1024)
#define TIME		INT64_C(1795176181123456)
#define LOG			4096		/* segments of 1 MB in a log */
#define SITE_TARGET		"pg_wal/RECOVERYXLOG"
#define SPOOL_TOP	"pg_wal/pg_backupctl-prefetch"

typedef struct Site
{
	FileRepo	repo[2];		/* the first one's folder holds "data", where we are, too */
	BkcStore   *store[2];
	char		url[2][128];
	char		said[8192];		/* on standard error, by the last wal-get */
	uint8_t    *segment;		/* scratch */
	char		before[PATH_MAX];
} Site;

static Site site;

/* ---- the data directory ---- */

static inline void
site_file(const char *path, const char *text)
{
	BkcError	err;

	assert_ok(bkc_file_put(path, text, strlen(text), 0600, true, &err));
}

/* A control file of PostgreSQL 15. */
static inline void
site_control(uint64_t sysid, uint32_t segment_size)
{
	uint8_t		data[8192] = {0};
	BkcError	err;

	bkc_put_u64(data, sysid);
	bkc_put_u32(data + 8, 1300);
	bkc_put_u32(data + 12, 202209061);
	bkc_put_u32(data + 216, 8192);
	bkc_put_u32(data + 228, segment_size);
	bkc_put_u32(data + 288, bkc_crc32c(data, 288));
	assert_ok(bkc_file_put("global/pg_control", data, sizeof(data), 0600, true, &err));
}

static inline void
site_server(pid_t pid)
{
	char		text[64];

	snprintf(text, sizeof(text), "%ld\n/data\n1234\n", (long) pid);
	site_file("postmaster.pid", text);
}

static inline void
site_cluster(BkcStore *store)
{
	BkcClusterDoc doc = {.system_identifier = SYSID, .pg_version_num = 150020, .created = TIME};
	BkcBuffer	text = {0};
	char		name[BKC_NAME_MAX];
	BkcError	err;

	assert_ok(bkc_name_cluster(SYSID, name, &err));
	assert_ok(bkc_clusterdoc_encode(&doc, &text, &err));
	assert_ok(bkc_document_put(store, name, BKC_KIND_CLUSTER, bkc_buffer_str(&text), text.len,
							   &err));
	bkc_buffer_free(&text);
}

static inline int
site_begin(void **state)
{
	BkcError	err;

	memset(&site, 0, sizeof(site));
	assert_non_null(getcwd(site.before, sizeof(site.before)));
	for (int i = 0; i < 2; i++)
	{
		assert_ok(filerepo_new(&site.repo[i], &err));
		assert_ok(filerepo_open(&site.repo[i], &site.store[i], &err));
		snprintf(site.url[i], sizeof(site.url[i]), "file://%s", site.repo[i].root);
		site_cluster(site.store[i]);
	}
	site.segment = malloc(MB);
	assert_non_null(site.segment);
	assert_int_equal(chdir(site.repo[0].top), 0);
	assert_int_equal(mkdir("data", 0700), 0);
	assert_int_equal(chdir("data"), 0);
	assert_int_equal(mkdir("pg_wal", 0700), 0);
	assert_int_equal(mkdir("global", 0700), 0);
	site_control(SYSID, MB);
	site_server(getpid());
	site_file("recovery.signal", "");
	return 0;
}

static inline int
site_end(void **state)
{
	caught_signal = 0;
	bkc_host_set(&client_host);
	assert_int_equal(chdir(site.before), 0);
	for (int i = 0; i < 2; i++)
	{
		bkc_store_close(site.store[i]);
		filerepo_free(&site.repo[i]);
	}
	free(site.segment);
	return 0;
}

#define SITE_TEST(f) cmocka_unit_test_setup_teardown(f, site_begin, site_end)

/* ---- what is in the repositories ---- */

/* Bytes that begin as a segment does; salt makes others of it. */
static inline void
site_fill(uint32_t timeline, uint64_t segno, uint64_t sysid, unsigned salt)
{
	uint16_t	info = 0x0002;
	uint64_t	address = segno * MB;
	uint32_t	size = MB;

	for (size_t i = 0; i < MB; i++)
		site.segment[i] = (uint8_t) (1 + (i * 7 + segno * 13 + timeline + salt + i / 8192) % 255);
	memcpy(site.segment + 2, &info, sizeof(info));
	memcpy(site.segment + 8, &address, sizeof(address));
	memcpy(site.segment + 24, &sysid, sizeof(sysid));
	memcpy(site.segment + 32, &size, sizeof(size));
}

static inline const char *
site_name(uint32_t timeline, uint64_t segno)
{
	static char names[4][BKC_WAL_NAME_MAX];
	static int	next;
	char	   *name = names[next++ % 4];

	bkc_wal_segment_name(timeline, segno, MB, name);
	return name;
}

static inline void
site_put(int repo, const char *file, const void *data, size_t len, const char *reason)
{
	char		path[256];
	BkcWalFile	wal = {.file = file, .path = path, .segment_size = MB, .time = TIME};
	BkcWalWriter *writer;
	BkcWalOutcome outcome;
	uint64_t	stored;
	BkcError	err;

	snprintf(path, sizeof(path), "%s/source", site.repo[repo].top);
	assert_ok(bkc_file_put(path, data, len, 0600, true, &err));
	assert_ok(bkc_walwriter_new(site.store[repo], SYSID, BKC_CODEC_ZSTD, 1, &writer, &err));
	if (reason == NULL)
		assert_ok(bkc_walwriter_put(writer, &wal, &outcome, &stored, &err));
	else
		assert_ok(bkc_walwriter_resolve(writer, &wal, reason, "postgres", &err));
	bkc_walwriter_close(&writer);
}

static inline void
site_segment(int repo, uint32_t timeline, uint64_t segno)
{
	site_fill(timeline, segno, SYSID, 0);
	site_put(repo, site_name(timeline, segno), site.segment, MB, NULL);
}

static inline void
site_segments(int repo, uint32_t timeline, uint64_t first, uint64_t last)
{
	for (uint64_t i = first; i <= last; i++)
		site_segment(repo, timeline, i);
}

/* Bytes from .. to of the segment as a chunk, with other bytes from changed on. */
static inline void
site_chunk_of(int repo, uint32_t timeline, uint64_t segno, uint64_t generation,
			  uint32_t from, uint32_t to, uint32_t changed)
{
	char		path[256];
	BkcWalWriter *writer;
	uint64_t	stored;
	BkcError	err;
	int			fd;

	site_fill(timeline, segno, SYSID, 0);
	for (uint32_t i = changed; i < MB; i++)
		site.segment[i] ^= 0x55;
	snprintf(path, sizeof(path), "%s/source", site.repo[repo].top);
	assert_ok(bkc_file_put(path, site.segment, MB, 0600, true, &err));
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_ok(bkc_walwriter_new(site.store[repo], SYSID, BKC_CODEC_ZSTD, 1, &writer, &err));
	assert_ok(bkc_walwriter_chunk(writer, site_name(timeline, segno), MB, generation, from,
								  to - from, fd, path, TIME, &stored, &err));
	bkc_walwriter_close(&writer);
	close(fd);
}

/* As the segment has them. */
static inline void
site_chunk(int repo, uint32_t timeline, uint64_t segno, uint64_t generation,
		   uint32_t from, uint32_t to)
{
	site_chunk_of(repo, timeline, segno, generation, from, to, MB);
}

static inline void
site_history(int repo, uint32_t timeline, uint32_t parent, uint64_t lsn)
{
	char		file[BKC_WAL_NAME_MAX];
	char		text[128];

	bkc_wal_history_name(timeline, file);
	snprintf(text, sizeof(text), "%u\t%X/%X\tno recovery target specified\n", parent,
			 (unsigned) (lsn >> 32), (unsigned) lsn);
	site_put(repo, file, text, strlen(text), NULL);
}

static inline const char *
site_object(int repo, const char *file)
{
	char		name[BKC_NAME_MAX];
	BkcError	err;

	assert_ok(bkc_name_wal_file(SYSID, file, NULL, name, &err));
	return filerepo_path(&site.repo[repo], name);
}

static inline void
site_flip(const char *path, off_t at)
{
	uint8_t		byte;
	int			fd = open(path, O_RDWR);

	assert_true(fd >= 0);
	if (at < 0)
		at += lseek(fd, 0, SEEK_END);
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 0x10;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

/* ---- asking ---- */

/* wal-get with these words (split at spaces) before the file's name and the path. */
static inline int
site_get_at(const char *words, const char *file, const char *path)
{
	char		buffer[1024];
	char	   *argv[32];
	char	   *save;
	int			argc = 0;
	int			status;
	int			saved = dup(STDERR_FILENO);
	int			fd = memfd_create("stderr", MFD_CLOEXEC);
	BkcOptions *options;
	BkcError	err;
	size_t		got;

	snprintf(buffer, sizeof(buffer), "wal-get %s %s %s", words, file, path);
	for (char *p = strtok_r(buffer, " ", &save); p != NULL; p = strtok_r(NULL, " ", &save))
		argv[argc++] = p;
	assert_true(fd >= 0 && saved >= 0 && argc < 32);
	assert_ok(bkc_options_parse(&bkc_command_wal_get, argc, argv, &options, &err));
	dup2(fd, STDERR_FILENO);
	status = run_wal_get(options);
	dup2(saved, STDERR_FILENO);
	assert_ok(bkc_file_pread(fd, "stderr", site.said, sizeof(site.said) - 1, 0, &got, &err));
	site.said[got] = '\0';
	close(saved);
	close(fd);
	bkc_options_free(options);
	return status;
}

/* From the first repository, from both, or the second and then the first; without prefetch. */
static inline int
site_get(const char *from, const char *options, const char *file)
{
	char		words[512] = "";
	size_t		len = 0;

	(void) unlink(SITE_TARGET);
	for (const char *p = from; *p != '\0'; p++)
		len += (size_t) snprintf(words + len, sizeof(words) - len, "--repo %s ",
								 site.url[*p - '1']);
	snprintf(words + len, sizeof(words) - len, "--retry 0 %s", options);
	return site_get_at(words, file, SITE_TARGET);
}

#define NO_AHEAD	"--prefetch 0 "

static inline bool
site_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

/* Nothing was delivered and nothing is left over. */
static inline void
site_nothing(void)
{
	assert_false(site_exists(SITE_TARGET));
	assert_false(site_exists(SITE_TARGET BKC_WALGET_TEMP));
}

#define assert_status(call, expected) \
	do { \
		int			status_ = (call); \
\
		if (status_ != (expected)) \
			fail_msg("%s: %d instead of %d: %s", #call, status_, (expected), site.said); \
		if ((expected) != BKC_EXIT_OK) \
			site_nothing(); \
	} while (0)

#define assert_said(text) \
	do { \
		if (strstr(site.said, (text)) == NULL) \
			fail_msg("\"%s\" is not in: %s", (text), site.said); \
	} while (0)

/* What was delivered: that segment, zeros from there on. */
static inline void
site_delivered(uint32_t timeline, uint64_t segno, uint32_t zeros_from)
{
	BkcBuffer	got = {0};
	BkcError	err;

	site_fill(timeline, segno, SYSID, 0);
	memset(site.segment + zeros_from, 0, MB - zeros_from);
	assert_ok(bkc_file_slurp(SITE_TARGET, MB, &got, &err));
	assert_int_equal(got.len, MB);
	assert_memory_equal(got.data, site.segment, MB);
	bkc_buffer_free(&got);
	assert_false(site_exists(SITE_TARGET BKC_WALGET_TEMP));
}

#endif							/* TEST_CLIENT_WALGET_H */
