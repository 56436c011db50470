/*
 * test_format_pgfiles.c
 *		WAL names, CRC-32C, the control file; the latter against a real one,
 *		made by the initdb of every PostgreSQL that is installed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/file.h"
#include "base/text.h"
#include "format/pgfiles.h"

#define MB		(1024 * 1024)

/* ---- names ---- */

static void
segment_names(void **state)
{
	static const struct
	{
		uint32_t	timeline;
		uint64_t	segno;
		uint32_t	size;
		const char *name;
	}			cases[] = {
		{1, 0, 16 * MB, "000000010000000000000000"},
		{1, 1, 16 * MB, "000000010000000000000001"},
		{1, 255, 16 * MB, "0000000100000000000000FF"},
		{1, 256, 16 * MB, "000000010000000100000000"},
		{0x1A, 0x12345, 16 * MB, "0000001A0000012300000045"},
		{UINT32_MAX, UINT64_C(0xFFFFFFFFFF), 16 * MB, "FFFFFFFFFFFFFFFF000000FF"},
		{1, 4095, MB, "000000010000000000000FFF"},
		{1, 4096, MB, "000000010000000100000000"},
		{1, 3, 1024 * MB, "000000010000000000000003"},
		{1, 4, 1024 * MB, "000000010000000100000000"},
	};
	char		name[BKC_WAL_NAME_MAX];
	uint32_t	timeline;
	uint64_t	segno;
	size_t		i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		bkc_wal_segment_name(cases[i].timeline, cases[i].segno, cases[i].size, name);
		assert_string_equal(name, cases[i].name);
		assert_true(bkc_wal_segment_parse(name, cases[i].size, &timeline, &segno));
		assert_int_equal(timeline, cases[i].timeline);
		assert_true(segno == cases[i].segno);
		assert_true(bkc_wal_is_segment(name));
	}
}

static void
segment_names_refused(void **state)
{
	static const char *const bad[] = {
		"", "0", "00000001", "00000001000000000000000", "0000000100000000000000001",
		"00000001000000000000000g", "0000000a0000000000000001", "00000001000000000000000G",
		"000000010000000000000001.partial", "000000010000000000000001 ", " 00000001000000000000001",
		"00000002.history", "+00000010000000000000001", "0x0000010000000000000001"
	};
	char		name[BKC_WAL_NAME_MAX];
	uint32_t	timeline;
	uint64_t	segno;
	size_t		i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		assert_false(bkc_wal_is_segment(bad[i]));
		assert_false(bkc_wal_segment_parse(bad[i], 16 * MB, &timeline, &segno));
	}

	/* timeline 0; a segment number the size does not allow */
	assert_false(bkc_wal_segment_parse("000000000000000000000001", 16 * MB, &timeline, &segno));
	assert_true(bkc_wal_segment_parse("0000000100000000000000FF", 16 * MB, &timeline, &segno));
	assert_false(bkc_wal_segment_parse("000000010000000000000100", 16 * MB, &timeline, &segno));
	assert_true(bkc_wal_segment_parse("000000010000000000000003", 1024 * MB, &timeline, &segno));
	assert_false(bkc_wal_segment_parse("000000010000000000000004", 1024 * MB, &timeline, &segno));

	/* sizes that cannot be */
	assert_false(bkc_wal_segment_parse("000000010000000000000001", 0, &timeline, &segno));
	assert_false(bkc_wal_segment_parse("000000010000000000000001", MB / 2, &timeline, &segno));
	assert_false(bkc_wal_segment_parse("000000010000000000000001", 3 * MB, &timeline, &segno));
	assert_false(bkc_wal_segment_parse("000000010000000000000001", UINT32_C(1) << 31, &timeline,
									   &segno));
	bkc_wal_segment_name(1, 1, 0, name);
	assert_string_equal(name, "");
}

static void
history_names(void **state)
{
	static const char *const bad[] = {
		"", "00000002", "00000002.histor", "00000002.history2", "0000002.history",
		"000000002.history", "0000000a.history", "00000002.HISTORY", "000000010000000000000001"
	};
	char		name[BKC_WAL_NAME_MAX];
	size_t		i;

	bkc_wal_history_name(2, name);
	assert_string_equal(name, "00000002.history");
	assert_true(bkc_wal_is_history(name));
	bkc_wal_history_name(UINT32_MAX, name);
	assert_string_equal(name, "FFFFFFFF.history");
	assert_true(bkc_wal_is_history(name));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(bkc_wal_is_history(bad[i]));
}

/* Test vectors of RFC 3720, appendix B.4. */
static void
crc32c_vectors(void **state)
{
	uint8_t		bytes[32];
	int			i;

	assert_int_equal(bkc_crc32c("", 0), 0);
	assert_int_equal(bkc_crc32c("123456789", 9), 0xE3069283);
	memset(bytes, 0, 32);
	assert_int_equal(bkc_crc32c(bytes, 32), 0x8A9136AA);
	memset(bytes, 0xFF, 32);
	assert_int_equal(bkc_crc32c(bytes, 32), 0x62A8AB43);
	for (i = 0; i < 32; i++)
		bytes[i] = (uint8_t) i;
	assert_int_equal(bkc_crc32c(bytes, 32), 0x46DD794E);
}

/* ---- the control file ---- */

/*
 * offsetof() by the headers of 15.18, 17.11, 18.6 and 19rc1: version, timeline,
 * MaxConnections, blcksz, xlog_seg_size, data_checksum_version, crc.
 */
static const uint32_t layouts[][7] = {
	{1300, 48, 180, 216, 228, 252, 288},
	{1700, 48, 180, 216, 228, 252, 288},
	{1800, 48, 180, 216, 228, 252, 292},
	{1905, 48, 188, 224, 240, 268, 308},
};

static void
make_control(uint8_t *data, const uint32_t *layout)
{
	int			i;

	memset(data, 0, 512);
	bkc_put_u64(data, UINT64_C(7435718529102938471));
	bkc_put_u32(data + 8, layout[0]);
	bkc_put_u32(data + 12, 202209061);
	bkc_put_u32(data + layout[1], 3);
	for (i = 0; i < 5; i++)
		bkc_put_u32(data + layout[2] + 4 * i, (uint32_t) (100 + i));
	bkc_put_u32(data + layout[3], 8192);
	bkc_put_u32(data + layout[4], 16 * MB);
	bkc_put_u32(data + layout[5], 1);
	bkc_put_u32(data + layout[6], bkc_crc32c(data, layout[6]));
}

static void
control_layouts(void **state)
{
	uint8_t		data[512];
	BkcControl	c;
	BkcError	err;
	size_t		i;

	for (i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)
	{
		make_control(data, layouts[i]);
		assert_true(bkc_control_parse(data, sizeof(data), &c, &err));
		assert_true(c.system_identifier == UINT64_C(7435718529102938471));
		assert_int_equal(c.control_version, layouts[i][0]);
		assert_int_equal(c.catalog_version, 202209061);
		assert_int_equal(c.timeline, 3);
		assert_int_equal(c.max_connections, 100);
		assert_int_equal(c.max_worker_processes, 101);
		assert_int_equal(c.max_wal_senders, 102);
		assert_int_equal(c.max_prepared_xacts, 103);
		assert_int_equal(c.max_locks_per_xact, 104);
		assert_int_equal(c.block_size, 8192);
		assert_int_equal(c.wal_segment_size, 16 * MB);
		assert_int_equal(c.data_checksum_version, 1);
	}
}

static void
control_each_bit_counts(void **state)
{
	const uint32_t crc_end = layouts[0][6] + 4;
	uint8_t		data[512];
	BkcControl	c;
	BkcError	err;
	uint32_t	bit;

	make_control(data, layouts[0]);
	for (bit = 0; bit < crc_end * 8; bit++)
	{
		data[bit / 8] ^= (uint8_t) (1 << bit % 8);
		assert_false(bkc_control_parse(data, sizeof(data), &c, &err));
		data[bit / 8] ^= (uint8_t) (1 << bit % 8);
	}

	/* every length up to the end of the CRC is too short */
	for (bit = 0; bit < crc_end; bit++)
	{
		bkc_error_clear(&err);
		assert_false(bkc_control_parse(data, bit, &c, &err));
		assert_int_equal(err.code, BKC_ERR_CORRUPT);
	}
	assert_true(bkc_control_parse(data, crc_end, &c, &err));
}

static void
control_unknown_version(void **state)
{
	uint8_t		data[512];
	BkcControl	c;
	BkcError	err;

	make_control(data, layouts[0]);
	bkc_put_u32(data + 8, 1201);
	assert_false(bkc_control_parse(data, sizeof(data), &c, &err));
	assert_int_equal(err.code, BKC_ERR_UNSUPPORTED);
	assert_non_null(strstr(err.message, "1201"));
	bkc_put_u32(data + 8, __builtin_bswap32(1300));
	assert_false(bkc_control_parse(data, sizeof(data), &c, &err));
	assert_int_equal(err.code, BKC_ERR_UNSUPPORTED);
	assert_non_null(strstr(err.message, "byte order"));
}

/* Run a program as an ordinary user; its output, if asked for, is appended to out. */
static bool
run(const char *const *argv, const char *dir, BkcBuffer *out)
{
	struct passwd *pw = geteuid() == 0 ? getpwnam("postgres") : NULL;
	int			fds[2];
	int			status;
	char		buf[4096];
	ssize_t		n;
	pid_t		pid;
	BkcError	err;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
	{
		int			null = open("/dev/null", O_RDWR);

		dup2(null, 0);
		dup2(fds[1], 1);
		dup2(null, 2);
		close(fds[0]);
		if (pw != NULL && (setgroups(0, NULL) != 0 || setgid(pw->pw_gid) != 0 ||
						   setuid(pw->pw_uid) != 0))
			_exit(126);
		if (chdir(dir) != 0 || setenv("LC_ALL", "C", 1) != 0)
			_exit(126);
		execv(argv[0], (char *const *) (uintptr_t) argv);
		_exit(127);
	}
	close(fds[1]);
	while ((n = read(fds[0], buf, sizeof(buf))) > 0)
		assert_true(bkc_buffer_append(out, buf, (size_t) n, &err));
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* The number behind "Title:   " in pg_controldata's output. */
static uint64_t
reported(const BkcBuffer *out, const char *title)
{
	const char *p = strstr(bkc_buffer_str(out), title);

	if (p == NULL)
		fail_msg("pg_controldata does not report \"%s\"", title);
	return strtoull(p + strlen(title), NULL, 10);
}

static void
compare_with_server(const char *initdb, const char *dir)
{
	char		controldata[512];
	const char *const init_argv[] = {
		initdb, "-D", "data", "-k", "-N", "--wal-segsize=2", "-A", "trust", "--locale=C", NULL
	};
	const char *const show_argv[] = {controldata, "data", NULL};
	char		path[512];
	BkcBuffer	out = {0};
	BkcBuffer	file = {0};
	BkcControl	c;
	BkcError	err;

	snprintf(controldata, sizeof(controldata), "%.*s/pg_controldata",
			 (int) (strrchr(initdb, '/') - initdb), initdb);
	if (!run(init_argv, dir, &out))
		fail_msg("%s failed: %s", initdb, bkc_buffer_str(&out));
	bkc_buffer_reset(&out);
	assert_true(run(show_argv, dir, &out));
	snprintf(path, sizeof(path), "%s/data/global/pg_control", dir);
	assert_true(bkc_file_slurp(path, 65536, &file, &err));
	assert_int_equal(file.len, 8192);
	if (!bkc_control_parse(file.data, file.len, &c, &err))
		fail_msg("%s", err.message);

	assert_true(c.system_identifier == reported(&out, "Database system identifier:"));
	assert_true(c.control_version == reported(&out, "pg_control version number:"));
	assert_true(c.catalog_version == reported(&out, "Catalog version number:"));
	assert_true(c.timeline == reported(&out, "Latest checkpoint's TimeLineID:"));
	assert_true((uint64_t) c.max_connections == reported(&out, "max_connections setting:"));
	assert_true((uint64_t) c.max_worker_processes ==
				reported(&out, "max_worker_processes setting:"));
	assert_true((uint64_t) c.max_wal_senders == reported(&out, "max_wal_senders setting:"));
	assert_true((uint64_t) c.max_prepared_xacts == reported(&out, "max_prepared_xacts setting:"));
	assert_true((uint64_t) c.max_locks_per_xact == reported(&out, "max_locks_per_xact setting:"));
	assert_true(c.block_size == reported(&out, "Database block size:"));
	assert_true(c.wal_segment_size == reported(&out, "Bytes per WAL segment:"));
	assert_int_equal(c.wal_segment_size, 2 * MB);
	assert_true(c.data_checksum_version == reported(&out, "Data page checksum version:"));
	assert_int_equal(c.data_checksum_version, 1);
	bkc_buffer_free(&out);
	bkc_buffer_free(&file);
}

static void
control_of_real_servers(void **state)
{
	glob_t		found;
	size_t		i;

	if (glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) != 0 ||
		(geteuid() == 0 && getpwnam("postgres") == NULL))
	{
		globfree(&found);
		skip();
	}
	for (i = 0; i < found.gl_pathc; i++)
	{
		char		dir[] = "/tmp/bkc-control-XXXXXX";
		struct passwd *pw = geteuid() == 0 ? getpwnam("postgres") : NULL;
		BkcError	err;

		assert_non_null(mkdtemp(dir));
		if (pw != NULL)
			assert_int_equal(chown(dir, pw->pw_uid, pw->pw_gid), 0);
		compare_with_server(found.gl_pathv[i], dir);
		assert_true(bkc_dir_remove_tree(dir, false, &err));
	}
	globfree(&found);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segment_names),
		cmocka_unit_test(segment_names_refused),
		cmocka_unit_test(history_names),
		cmocka_unit_test(crc32c_vectors),
		cmocka_unit_test(control_layouts),
		cmocka_unit_test(control_each_bit_counts),
		cmocka_unit_test(control_unknown_version),
		cmocka_unit_test(control_of_real_servers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
