/*
 * test_format_walscan_server.c
 *		Scanning WAL that real servers wrote, compared with what their own
 *		pg_waldump finds in it.
 *
 * A server in single-user mode needs no port and no socket.  It runs for each
 * PostgreSQL that is installed.
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
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/text.h"
#include "format/pgfiles.h"
#include "format/walscan.h"

#define SEGMENT			(1024 * 1024)
#define OUTPUT_MAX		(16 * 1024 * 1024)

typedef struct Server
{
	char		bin[256];
	char		dir[64];
	BkcBuffer	out;			/* of the last program */
	int			ends;			/* that pg_waldump told */
	int			overwritten;	/* torn records that it found */
} Server;

/* ---- programs ---- */

static void
become(const char *dir)
{
	struct passwd *pw = geteuid() == 0 ? getpwnam("postgres") : NULL;

	if (pw != NULL && (setgroups(0, NULL) != 0 || setgid(pw->pw_gid) != 0 ||
					   setuid(pw->pw_uid) != 0))
		_exit(126);
	if (chdir(dir) != 0 || setenv("LC_ALL", "C", 1) != 0 || setenv("TZ", "UTC", 1) != 0)
		_exit(126);
}

/* Run a program of the server; its output is server->out afterwards.  Returns the wait status. */
static int
run(Server *server, const char *input, const char *const *argv)
{
	char		path[512];
	char		in[128];
	char		out[128];
	int			status;
	pid_t		pid;
	BkcError	err;

	snprintf(path, sizeof(path), "%s/%s", server->bin, argv[0]);
	snprintf(in, sizeof(in), "%s/in", server->dir);
	snprintf(out, sizeof(out), "%s/out", server->dir);
	(void) unlink(in);
	(void) unlink(out);
	assert_true(bkc_file_put(in, input, strlen(input), 0644, false, &err));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
	{
		int			in_fd = open(in, O_RDONLY);
		int			out_fd = open(out, O_WRONLY | O_CREAT, 0644);

		if (dup2(in_fd, 0) < 0 || dup2(out_fd, 1) < 0 || dup2(out_fd, 2) < 0)
			_exit(126);
		become(server->dir);
		execv(path, (char *const *) (uintptr_t) argv);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	bkc_buffer_reset(&server->out);
	assert_true(bkc_file_slurp(out, OUTPUT_MAX, &server->out, &err));
	return status;
}

static void
must_run(Server *server, const char *input, const char *const *argv)
{
	int			status = run(server, input, argv);

	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 ||
		strstr(bkc_buffer_str(&server->out), "ERROR:") != NULL)
		fail_msg("%s: wait status %d: %s", argv[0], status, bkc_buffer_str(&server->out));
}

/* Statements end with an empty line (-j).  A last one that kills the server is no failure. */
static void
sql(Server *server, const char *statements, bool killed)
{
	static const char *const argv[] = {
		"postgres", "--single", "-j", "-D", "data", "-c", "max_prepared_transactions=5",
		"-c", "wal_compression=pglz", "-c", "fsync=off", "-c", "min_wal_size=64MB",
		"-c", "wal_keep_size=64MB", "-c", "wal_level=logical", "-c", "autovacuum=off",
		"postgres", NULL
	};

	if (!killed)
		must_run(server, statements, argv);
	else
		assert_true(WIFSIGNALED(run(server, statements, argv)));
}

static int
count(const BkcBuffer *buf, const char *what)
{
	const char *p = bkc_buffer_str(buf);
	int			n = 0;

	for (; (p = strstr(p, what)) != NULL; p++)
		n++;
	return n;
}

/* ---- the two answers ---- */

static void
time_text(int64_t usec, char *out, size_t outlen)
{
	time_t		seconds = (time_t) (usec / 1000000);
	struct tm	tm;
	char		date[64];

	assert_non_null(gmtime_r(&seconds, &tm));
	strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
	snprintf(out, outlen, "%s.%06d", date, (int) (usec % 1000000));
}

static void
append(BkcBuffer *buf, const char *fmt,...) BKC_PRINTF(2, 3);

static void
append(BkcBuffer *buf, const char *fmt,...)
{
	char		line[512];
	BkcError	err;
	va_list		ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	assert_true(bkc_buffer_append_str(buf, line, &err));
}

static void
on_xact(void *arg, const BkcWalXact *xact, bool *stop)
{
	char		when[128];

	time_text(xact->time, when, sizeof(when));
	append(arg, "%X/%08X %s %u %s\n", (unsigned) (xact->lsn >> 32), (unsigned) xact->lsn,
		   xact->commit ? "COMMIT" : "ABORT", xact->xid, when);
	assert_true(xact->end_lsn > xact->lsn && xact->end_lsn % 8 == 0);
}

static void
on_point(void *arg, const BkcWalPoint *point, bool *stop)
{
	append(arg, "%X/%08X RESTORE_POINT %s\n", (unsigned) (point->lsn >> 32),
		   (unsigned) point->lsn, point->name);

	/* pg_waldump does not tell its time */
	assert_true(point->time / 1000000 > time(NULL) - 86400);
	assert_true(point->time / 1000000 <= time(NULL));
}

/* From the first segment that is there, until it ends. */
static void
scan(Server *server, uint64_t first, BkcBuffer *found, uint64_t *end)
{
	BkcBuffer	segment = {0};
	BkcWalScanner *scanner;
	BkcError	err;
	uint64_t	segno;

	assert_true(bkc_walscan_new(first * SEGMENT, SEGMENT, on_xact, on_point, found, &scanner,
								&err));
	for (segno = first; !bkc_walscan_ended(scanner); segno++)
	{
		char		name[BKC_WAL_NAME_MAX];
		char		path[256];

		bkc_wal_segment_name(1, segno, SEGMENT, name);
		snprintf(path, sizeof(path), "%s/data/pg_wal/%s", server->dir, name);
		if (access(path, F_OK) != 0)
			break;
		bkc_buffer_reset(&segment);
		assert_true(bkc_file_slurp(path, SEGMENT, &segment, &err));
		assert_int_equal(segment.len, SEGMENT);
		assert_true(bkc_walscan_feed(scanner, segment.data, segment.len, &err));
	}
	*end = bkc_walscan_lsn(scanner);
	bkc_walscan_free(scanner);
	bkc_buffer_free(&segment);
}

/* A line of pg_waldump in our words; nothing for records of other kinds. */
static void
translate(const char *line, BkcBuffer *found)
{
	const char *lsn_text = strstr(line, "lsn: ");
	const char *desc = strstr(line, "desc: ");
	const char *tx = strstr(line, " tx: ");
	unsigned	high;
	unsigned	low;
	unsigned	xid;
	char		op[32];
	char		date[32];
	char		clock[32];

	if (lsn_text == NULL || desc == NULL || tx == NULL)
		return;
	assert_int_equal(sscanf(lsn_text, "lsn: %X/%X", &high, &low), 2);
	if (sscanf(desc, "desc: RESTORE_POINT %31s", op) == 1)
		append(found, "%X/%08X RESTORE_POINT %s\n", high, low, op);
	else if (sscanf(desc, "desc: %31[A-Z]_PREPARED %u: %31s %31s", op, &xid, date, clock) == 4)
		append(found, "%X/%08X %s %u %s %s\n", high, low, op, xid, date, clock);
	else if ((sscanf(desc, "desc: %31s %31s %31s", op, date, clock) == 3) &&
			 (strcmp(op, "COMMIT") == 0 || strcmp(op, "ABORT") == 0))
	{
		assert_int_equal(sscanf(tx, " tx: %u", &xid), 1);
		append(found, "%X/%08X %s %u %s %s\n", high, low, op, xid, date, clock);
	}
}

/* What pg_waldump says from there on, and where it found the end (0: it does not say). */
static void
dump(Server *server, uint64_t first, BkcBuffer *found, uint64_t *end)
{
	char		start[32];
	const char *const argv[] = {
		"pg_waldump", "-p", "data/pg_wal", "-r", "Transaction", "-r", "XLOG", "-s", start, NULL
	};
	char	   *line;
	char	   *save = NULL;
	const char *invalid;

	bkc_format_lsn(first * SEGMENT, start, sizeof(start));
	(void) run(server, "", argv);	/* it always ends with an error: the end of WAL */
	invalid = strstr(bkc_buffer_str(&server->out), "invalid record length at ");
	*end = 0;
	if (invalid != NULL)
	{
		unsigned	high;
		unsigned	low;

		assert_int_equal(sscanf(invalid, "invalid record length at %X/%X", &high, &low), 2);
		*end = (uint64_t) high << 32 | low;
		server->ends++;
	}
	server->overwritten = count(&server->out, "desc: OVERWRITE_CONTRECORD");
	assert_non_null(server->out.data);
	for (line = strtok_r((char *) server->out.data, "\n", &save); line != NULL;
		 line = strtok_r(NULL, "\n", &save))
		translate(line, found);
}

/* Number of the first segment there is. */
static uint64_t
first_segment(Server *server)
{
	char		pattern[128];
	uint64_t	segno;
	uint32_t	timeline;
	glob_t		files;

	snprintf(pattern, sizeof(pattern), "%s/data/pg_wal/00000001????????????????", server->dir);
	assert_int_equal(glob(pattern, 0, NULL, &files), 0);
	assert_true(bkc_wal_segment_parse(strrchr(files.gl_pathv[0], '/') + 1, SEGMENT, &timeline,
									  &segno));
	globfree(&files);
	return segno;
}

/* Both find the same; returns the end, and what was found in *found. */
static uint64_t
compare(Server *server, BkcBuffer *found)
{
	uint64_t	first = first_segment(server);
	uint64_t	end;
	uint64_t	expected_end;
	BkcBuffer	expected = {0};

	bkc_buffer_reset(found);
	scan(server, first, found, &end);
	dump(server, first, &expected, &expected_end);
	assert_string_equal(bkc_buffer_str(found), bkc_buffer_str(&expected));
	assert_true(expected_end == 0 || end == expected_end);
	bkc_buffer_free(&expected);
	return end;
}

/* ---- the servers ---- */

static const char work[] =
	"CREATE TABLE t (i int PRIMARY KEY, s text)\n;\n\n"
	"INSERT INTO t SELECT i, repeat(i::text, 20) FROM generate_series(1, 5000) AS i\n;\n\n"
	"CHECKPOINT\n;\n\n"
	"UPDATE t SET s = s || 'x' WHERE i % 3 = 0\n;\n\n"	/* images of pages */
	"SELECT pg_create_restore_point('before_lunch')\n;\n\n"
	"BEGIN\n;\n\n" "INSERT INTO t VALUES (-1, 'x')\n;\n\n" "ROLLBACK\n;\n\n"
	"SELECT pg_switch_wal()\n;\n\n"
	"BEGIN\n;\n\n" "INSERT INTO t VALUES (-2, 'x')\n;\n\n" "PREPARE TRANSACTION 'two'\n;\n\n"
	"BEGIN\n;\n\n" "SAVEPOINT a\n;\n\n" "CREATE TABLE u AS SELECT * FROM t\n;\n\n"
	"SAVEPOINT b\n;\n\n" "DROP TABLE u\n;\n\n" "SAVEPOINT c\n;\n\n"
	"CREATE TABLE v AS SELECT 1 AS one\n;\n\n" "PREPARE TRANSACTION 'three'\n;\n\n"
	"BEGIN\n;\n\n" "CREATE TABLE w AS SELECT 1 AS one\n;\n\n" "PREPARE TRANSACTION 'four'\n;\n\n"
	"COMMIT PREPARED 'three'\n;\n\n" "ROLLBACK PREPARED 'four'\n;\n\n" "COMMIT PREPARED 'two'\n;\n\n"
	"SELECT length(pg_logical_emit_message(false, 'p', repeat('x', 3000000))::text)\n;\n\n"
	"DO $$BEGIN FOR i IN 1..300 LOOP BEGIN CREATE TEMP TABLE x (i int); DROP TABLE x;"
	" EXCEPTION WHEN OTHERS THEN RAISE; END; END LOOP; END$$\n;\n\n"
	"DROP TABLE v, t\n;\n\n"
	"SELECT pg_create_restore_point('evening')\n;\n\n";

/*
 * The server dies, the second page of its last large record never reached the
 * disk: the next start writes over it.
 */
static void
tear(Server *server, BkcBuffer *found)
{
	static const char crash[] =
		"SELECT length(pg_logical_emit_message(false, 'p', repeat('y', 100000))::text)\n;\n\n"
		"CREATE TABLE lost (i int)\n;\n\n"
		"COPY (SELECT 1) TO PROGRAM 'kill -9 $PPID'\n;\n\n";
	char		name[BKC_WAL_NAME_MAX];
	char		path[256];
	static uint8_t zeros[SEGMENT];
	uint64_t	before = compare(server, found);
	uint64_t	torn;
	int			fd;

	sql(server, crash, true);
	assert_true(compare(server, found) > before + 100000);

	/* zeros from the fifth page behind the old end on, in the middle of the message */
	torn = (before / 8192 + 5) * 8192;
	bkc_wal_segment_name(1, torn / SEGMENT, SEGMENT, name);
	snprintf(path, sizeof(path), "%s/data/pg_wal/%s", server->dir, name);
	fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	assert_true(pwrite(fd, zeros, SEGMENT - torn % SEGMENT, (off_t) (torn % SEGMENT)) ==
				(ssize_t) (SEGMENT - torn % SEGMENT));
	assert_int_equal(close(fd), 0);
	sql(server, "CREATE TABLE found (i int)\n;\n\n" "SELECT pg_create_restore_point('again')\n;\n\n",
		false);
	assert_true(compare(server, found) > torn);
	assert_int_equal(count(found, "RESTORE_POINT again"), 1);
	assert_int_equal(server->overwritten, 1);
}

static void
compare_with_server(Server *server)
{
	static const char *const init[] = {
		"initdb", "-D", "data", "-N", "--wal-segsize=1", "-A", "trust", "--locale=C", "-E", "UTF8",
		NULL
	};
	BkcBuffer	found = {0};

	must_run(server, "", init);
	sql(server, work, false);
	(void) compare(server, &found);
	assert_int_equal(count(&found, "RESTORE_POINT before_lunch\n"), 1);
	assert_int_equal(count(&found, "RESTORE_POINT evening\n"), 1);
	assert_true(count(&found, "COMMIT") >= 10);
	assert_true(count(&found, "ABORT") >= 2);
	tear(server, &found);
	assert_true(server->ends > 0);
	bkc_buffer_free(&found);
}

static void
as_pg_waldump(void **state)
{
	glob_t		found;
	size_t		i;

	if (glob("/usr/lib/postgresql/*/bin/pg_waldump", 0, NULL, &found) != 0 ||
		(geteuid() == 0 && getpwnam("postgres") == NULL))
	{
		globfree(&found);
		skip();
	}
	for (i = 0; i < found.gl_pathc; i++)
	{
		Server		server = {.dir = "/tmp/bkc-walscan-XXXXXX"};
		struct passwd *pw = geteuid() == 0 ? getpwnam("postgres") : NULL;
		BkcError	err;

		snprintf(server.bin, sizeof(server.bin), "%.*s",
				 (int) (strrchr(found.gl_pathv[i], '/') - found.gl_pathv[i]), found.gl_pathv[i]);
		assert_non_null(mkdtemp(server.dir));
		if (pw != NULL)
			assert_int_equal(chown(server.dir, pw->pw_uid, pw->pw_gid), 0);
		compare_with_server(&server);
		bkc_buffer_free(&server.out);
		assert_true(bkc_dir_remove_tree(server.dir, false, &err));
	}
	globfree(&found);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_pg_waldump),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
