/*
 * test_client_walget_end.c
 *		wal-get says "there is no more" only when that is so: lost histories, an
 *		unknown segment size, promised WAL, damaged or vanishing chunks.
 */
#include "test_client_walget.h"

#define GOT		BKC_EXIT_OK
#define NONE	BKC_EXIT_ABSENT
#define UNKNOWN	BKC_EXIT_COULD_NOT_ASK

/* ---- histories ---- */

/* Who says that it does not exist gives its number to somebody else. */
static void
test_lost_history(void **state)
{
	site_segments(0, 1, 5, 6);
	assert_status(site_get("1", "", "00000002.history"), NONE);
	site_chunk(0, 2, 6, 1000, 0, 8192);
	assert_status(site_get("1", "", "00000002.history"), UNKNOWN);
	assert_said("timeline 2 has WAL in repository");
	assert_said("but its history 00000002.history is missing");
	assert_status(site_get("1", "--timeline 2", "00000002.history"), UNKNOWN);
	assert_status(site_get("21", "", "00000002.history"), UNKNOWN);

	/* to a lower one it counts only that there is one */
	assert_status(site_get("1", "--timeline 1", "00000002.history"), GOT);
	assert_said("the number of timeline 2 is taken as used");
	assert_status(site_get("1", "--timeline 1", "00000003.history"), NONE);

	/* a recovery to a higher one does without it */
	assert_status(site_get("1", "--timeline 3", "00000002.history"), NONE);
	site_history(1, 2, 1, 6 * MB);
	assert_status(site_get("12", "", "00000002.history"), GOT);
	assert_status(site_get("12", "", "00000003.history"), NONE);
	site_flip(site_object(1, "00000002.history"), -40);
	assert_status(site_get("2", "", "00000002.history"), UNKNOWN);
	assert_status(site_get("2", "--timeline 2", "00000002.history"), UNKNOWN);
	assert_status(site_get("2", "--timeline 1", "00000002.history"), GOT);
	site_file("standby.signal", "");
	assert_status(site_get("2", "--timeline 1", "00000002.history"), NONE);
}

#define FIRST_LABEL		"20261120T120301Z-full-7f3a"
#define SECOND_LABEL	"20261120T130301Z-full-7f3a"

/* A complete backup without files. */
static void
site_backup(int repo, const char *label, uint32_t timeline)
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
		.wal_segment_size = MB,
		.wal_in_archive = true,
		.start_time = TIME,
		.stop_time = TIME,
		.timeline = timeline,
		.start_lsn = 5 * MB,
		.stop_lsn = 5 * MB + 100,
		.backup_label = "START WAL LOCATION\n",
		.software = "pg_backupctl 1.0"
	};
	BkcManifestPut *put;
	BkcError	err;

	snprintf(h.label, sizeof(h.label), "%s", label);
	assert_ok(bkc_manifest_put_begin(site.store[repo], &h, &put, &err));
	assert_ok(bkc_manifest_put_commit(put, NULL, &err));
	bkc_manifest_put_close(put);
}

static void
unlink_history(int repo, const char *file)
{
	assert_int_equal(unlink(site_object(repo, file)), 0);
}

/* A number below one that is there is never given to a new timeline. */
static void
test_passed_number(void **state)
{
	site_segments(0, 1, 5, 6);
	site_segments(1, 1, 5, 6);
	site_history(1, 4, 1, 6 * MB);
	assert_status(site_get("1", "--timeline 1", "00000002.history"), NONE);
	for (int i = 0; i < 2; i++)
	{
		/* first a history only, then WAL only; in any repository */
		assert_status(site_get("2", "--timeline 1", "00000002.history"), GOT);
		assert_said("there is no history 00000002.history, but repository");
		assert_said("holds timeline 4");
		assert_said("the number of timeline 2 is taken as used");
		assert_status(site_get("12", "--timeline 1", "00000003.history"), GOT);
		assert_status(site_get("12", "--timeline 1", "00000005.history"), NONE);
		assert_string_equal(site.said, "");

		/* without --timeline it may be the way to the latest that is looked for */
		assert_status(site_get("21", "", "00000002.history"), UNKNOWN);
		assert_said("Add --timeline N to the restore_command");
		assert_status(site_get("12", "", "00000005.history"), NONE);

		/* a recovery to a higher one does without it, and a standby waits for it */
		assert_status(site_get("12", "--timeline 4", "00000002.history"), NONE);
		assert_status(site_get("12", "--timeline 2", "00000002.history"), NONE);
		site_file("standby.signal", "");
		assert_status(site_get("12", "--timeline 1", "00000002.history"), NONE);
		assert_status(site_get("12", "", "00000002.history"), NONE);
		assert_string_equal(site.said, "");
		assert_int_equal(unlink("standby.signal"), 0);
		if (i == 0)
		{
			unlink_history(1, "00000004.history");
			site_chunk(1, 4, 6, 1000, 0, 8192);
		}
	}
}

/* Where nothing is archived, backups tell which timelines there are. */
static void
test_passed_by_backup(void **state)
{
	site_backup(0, FIRST_LABEL, 1);
	assert_status(site_get("12", "--timeline 1", "00000002.history"), NONE);
	site_backup(1, SECOND_LABEL, 3);
	assert_status(site_get("1", "--timeline 1", "00000002.history"), NONE);
	assert_status(site_get("12", "--timeline 1", "00000002.history"), GOT);
	assert_said("but there is a backup on timeline 3");
	assert_status(site_get("12", "--timeline 1", "00000003.history"), GOT);
	assert_status(site_get("12", "--timeline 1", "00000004.history"), NONE);
}

/* A timeline that began without one (pg_resetwal), and the recovery along it. */
static void
test_never_a_history(void **state)
{
	const char *restored = "--timeline 2 --backup " FIRST_LABEL;

	site_segments(0, 2, 5, 6);
	site_backup(0, SECOND_LABEL, 2);
	site_backup(0, FIRST_LABEL, 1);
	assert_status(site_get("1", "--timeline 2", "00000002.history"), UNKNOWN);
	assert_status(site_get("1", restored, "00000002.history"), UNKNOWN);
	restored = "--timeline 2 --backup " SECOND_LABEL;
	for (int i = 0; i < 2; i++)
	{
		assert_status(site_get(i == 0 ? "1" : "21", restored, "00000002.history"), NONE);
		assert_string_equal(site.said, "");
		assert_status(site_get("1", restored, "00000003.history"), NONE);
	}
	assert_status(site_get("1", restored, site_name(2, 6)), GOT);
	assert_status(site_get("1", restored, site_name(2, 7)), NONE);

	/* to others its number is taken */
	assert_status(site_get("1", "--timeline 1 --backup " FIRST_LABEL, "00000002.history"), GOT);

	/* where there is one it is given */
	site_history(1, 2, 1, 5 * MB);
	assert_status(site_get("12", restored, "00000002.history"), GOT);
	site_flip(site_object(1, "00000002.history"), -40);
	assert_status(site_get("12", restored, "00000002.history"), UNKNOWN);
}

static void
damaged_manifest(const char *label)
{
	char		name[BKC_NAME_MAX];
	BkcError	err;

	assert_ok(bkc_name_manifest(SYSID, label, name, &err));
	util_put(site.store[0], name, "nonsense", 8);
}

/* A damaged backup may hold a history, unless the archive knows of no such timeline. */
static void
test_damaged_backup(void **state)
{
	damaged_manifest(FIRST_LABEL);
	assert_status(site_get("1", "", "00000002.history"), UNKNOWN);
	assert_said("Add --backup LABEL to the restore_command");
	site_segments(0, 1, 5, 5);
	assert_status(site_get("1", "", "00000002.history"), NONE);
	assert_said("pg_backupctl: warning: ");
	site_segments(0, 2, 6, 6);
	assert_status(site_get("1", "", "00000002.history"), UNKNOWN);
	assert_status(site_get("1", "", "00000003.history"), NONE);
	assert_status(site_get("1", NO_AHEAD "--timeline 1", site_name(1, 6)), UNKNOWN);
	assert_said("Add --backup LABEL to the restore_command");
}

/* ---- the segment size ---- */

/* The server was writing its control file. */
static void
test_unknown_size(void **state)
{
	site_segments(0, 1, 5, 6);
	site_history(0, 2, 1, 7 * MB + LOG * (uint64_t) MB);
	site_segments(0, 2, LOG + 8, LOG + 8);
	assert_int_equal(unlink("global/pg_control"), 0);
	assert_status(site_get("1", NO_AHEAD "--timeline 2", site_name(1, 6)), GOT);
	assert_status(site_get("1", NO_AHEAD "--timeline 2", site_name(1, 7)), UNKNOWN);
	assert_said("but WAL of a timeline that begins behind it is there");
	assert_status(site_get("1", NO_AHEAD "--timeline 2", site_name(1, LOG)), UNKNOWN);
	assert_status(site_get("1", NO_AHEAD "--timeline 2", site_name(1, LOG + 7)), NONE);
	assert_status(site_get("1", NO_AHEAD, site_name(1, LOG)), UNKNOWN);

	/* nothing there says where the segment lies */
	assert_status(site_get("2", NO_AHEAD, site_name(1, 5)), NONE);
	assert_status(site_get("2", NO_AHEAD "--timeline 1 --until 0/400000", site_name(1, 5)), UNKNOWN);
	assert_said("the size of WAL segments is not known");
	site_history(1, 2, 1, 9 * MB);
	assert_status(site_get("2", NO_AHEAD "--timeline 2", site_name(1, 5)), UNKNOWN);
	assert_status(site_get("2", NO_AHEAD "--timeline 1", site_name(1, 5)), NONE);
}

/* ---- what was promised ---- */

static void
test_promised(void **state)
{
	site_segments(0, 1, 4, 5);
	assert_status(site_get("1", NO_AHEAD "--timeline 1", site_name(1, 6)), NONE);
	assert_status(site_get("1", NO_AHEAD "--timeline 1 --until 0/600000", site_name(1, 6)), NONE);
	assert_status(site_get("1", NO_AHEAD "--timeline 1 --until 0/600001", site_name(1, 6)), UNKNOWN);
	assert_said("is missing, but recovery shall reach 0/600001 (--until)");
	assert_status(site_get("1", NO_AHEAD "--timeline 1 --until 0/800000", site_name(1, 6)), UNKNOWN);
	assert_status(site_get("1", NO_AHEAD "--until 0/600001", site_name(1, 6)), NONE);

	/* the end may have been rounded up to that of the open segment */
	site_chunk(0, 1, 6, 1000, 0, 8192);
	assert_status(site_get("1", NO_AHEAD "--timeline 1 --until 0/700000", site_name(1, 6)), GOT);
	site_delivered(1, 6, 8192);
}

/* The segment with the fork is asked for on the child first. */
static void
test_promised_at_fork(void **state)
{
	site_segments(0, 1, 5, 6);
	site_history(0, 2, 1, 6 * MB + 5000);
	assert_status(site_get("1", NO_AHEAD "--timeline 2 --until 0/601388", site_name(2, 6)), NONE);
	assert_status(site_get("1", NO_AHEAD "--timeline 2 --until 0/601388", site_name(1, 6)), GOT);
	site_delivered(1, 6, 5000);
	assert_status(site_get("1", NO_AHEAD "--timeline 2 --until 0/601389", site_name(2, 6)), UNKNOWN);
	assert_status(site_get("1", NO_AHEAD "--timeline 2 --until 0/601388", site_name(1, 7)), NONE);
	assert_status(site_get("2", NO_AHEAD "--timeline 1 --until 0/601388", site_name(1, 6)), UNKNOWN);
}

/* ---- chunks ---- */

static const char *
chunk_path(int repo, uint64_t segno, uint32_t offset)
{
	char		name[BKC_NAME_MAX];
	BkcError	err;

	assert_ok(bkc_name_wal_chunk(SYSID, site_name(1, segno), 1000, offset, name, &err));
	return filerepo_path(&site.repo[repo], name);
}

/* What their names and beginnings promise must be in them. */
static void
test_damaged_chunks(void **state)
{
	site_segments(0, 1, 4, 4);
	site_chunk(0, 1, 5, 1000, 0, 8192);
	site_chunk(0, 1, 5, 1000, 8192, 20000);
	site_flip(chunk_path(0, 5, 8192), -40);
	assert_status(site_get("1", "", site_name(1, 5)), UNKNOWN);
	assert_said("they can be read up to 0/502000 only");
	assert_said("--until 0/502000");

	/* the operator may say so */
	assert_status(site_get("1", "--timeline 1 --until 0/502000", site_name(1, 5)), GOT);
	site_delivered(1, 5, 8192);

	/* another repository has them, or less of them */
	site_chunk(1, 1, 5, 1000, 0, 19999);
	assert_status(site_get("12", "", site_name(1, 5)), UNKNOWN);
	site_chunk(1, 1, 5, 1000, 19999, 20000);
	for (int i = 0; i < 2; i++)
	{
		assert_status(site_get(i == 0 ? "12" : "21", "", site_name(1, 5)), GOT);
		site_delivered(1, 5, 20000);
	}
	assert_status(site_get("12", "", site_name(1, 5)), GOT);
	assert_said("pg_backupctl: warning: the chunks of WAL segment");

	/* not even the first */
	site_flip(chunk_path(0, 5, 0), -40);
	assert_status(site_get("1", "", site_name(1, 5)), UNKNOWN);
	assert_status(site_get("12", "", site_name(1, 5)), GOT);
	site_delivered(1, 5, 20000);
}

/* ---- somebody else at work ---- */

static int	calls;
static int	strike;
static void (*struck) (void);

/* Asked again and again while wal-get works: a place to do something meanwhile. */
static bool
meanwhile(void)
{
	if (++calls == strike)
		struck();
	return false;
}

/* The segment is whole, and its chunks go: not in their order. */
static void
complete_segment(void)
{
	site_segment(0, 1, 5);
	assert_int_equal(unlink(chunk_path(0, 5, 8192)), 0);
}

static void
test_vanishing_chunks(void **state)
{
	BkcHost		host = client_host;
	int			refused = 0;

	host.cancelled = meanwhile;
	struck = complete_segment;
	for (strike = 1;; strike++)
	{
		int			status;
		uint8_t		byte;
		int			fd;

		site_chunk(0, 1, 5, 1000, 0, 8192);
		site_chunk(0, 1, 5, 1000, 8192, 12000);
		site_chunk(0, 1, 5, 1000, 12000, 20000);
		calls = 0;
		bkc_host_set(&host);
		status = site_get("1", NO_AHEAD, site_name(1, 5));
		bkc_host_set(&client_host);
		if (calls < strike)
			break;
		if (status == GOT)
		{
			fd = open(SITE_TARGET, O_RDONLY);
			assert_true(fd >= 0);
			assert_int_equal(pread(fd, &byte, 1, 19999), 1);
			assert_int_not_equal(byte, 0);
			close(fd);
		}
		else
		{
			assert_int_equal(status, UNKNOWN);
			refused++;
		}
		assert_int_equal(unlink(site_object(0, site_name(1, 5))), 0);
		for (uint32_t i = 0; i < 3; i++)
			(void) unlink(chunk_path(0, 5, i == 0 ? 0 : i == 1 ? 8192 : 12000));
	}
	assert_true(strike > 3 && refused > 0);
}

/* One that was left by another server came to the same name. */
static void
replace_temp(void)
{
	if (unlink(SITE_TARGET BKC_WALGET_TEMP) == 0)
		site_file(SITE_TARGET BKC_WALGET_TEMP, "half of what another one writes");
}

static void
test_replaced(void **state)
{
	BkcHost		host = client_host;
	int			replaced = 0;

	site_history(0, 2, 1, 5 * MB);
	host.cancelled = meanwhile;
	struck = replace_temp;
	for (strike = 1;; strike++)
	{
		int			status;

		calls = 0;
		bkc_host_set(&host);
		status = site_get("1", NO_AHEAD, "00000002.history");
		bkc_host_set(&client_host);
		if (calls < strike)
			break;
		if (site_exists(SITE_TARGET BKC_WALGET_TEMP))
		{
			assert_int_equal(status, UNKNOWN);
			assert_said("was replaced by another process");
			replaced++;
			assert_false(site_exists(SITE_TARGET));
			assert_int_equal(unlink(SITE_TARGET BKC_WALGET_TEMP), 0);
		}
		else
		{
			assert_int_equal(status, GOT);
		}
	}
	assert_true(replaced > 0);
}

/* ---- no space ---- */

/* What was fetched ahead makes room for what is needed now. */
static void
test_no_space(void **state)
{
	site_segment(0, 1, 5);
	assert_int_equal(unlink("recovery.signal"), 0);
	assert_int_equal(mkdir(SPOOL_TOP, 0700), 0);
	site_file(SPOOL_TOP "/large", "");
	assert_int_equal(setenv("PG_BACKUPCTL_FAULT", "wal-get-fetched=nospace@1", 1), 0);
	assert_status(site_get("1", "", site_name(1, 5)), GOT);
	site_delivered(1, 5, MB);
	assert_false(site_exists(SPOOL_TOP));
	assert_int_equal(setenv("PG_BACKUPCTL_FAULT", "wal-get-fetched=nospace", 1), 0);
	assert_status(site_get("1", "", site_name(1, 5)), UNKNOWN);
	assert_int_equal(unsetenv("PG_BACKUPCTL_FAULT"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SITE_TEST(test_lost_history),
		SITE_TEST(test_passed_number),
		SITE_TEST(test_passed_by_backup),
		SITE_TEST(test_never_a_history),
		SITE_TEST(test_damaged_backup),
		SITE_TEST(test_unknown_size),
		SITE_TEST(test_promised),
		SITE_TEST(test_promised_at_fork),
		SITE_TEST(test_damaged_chunks),
		SITE_TEST(test_vanishing_chunks),
		SITE_TEST(test_replaced),
#ifdef BKC_FAULTS
		SITE_TEST(test_no_space)
#endif
	};

	bkc_host_set(&client_host);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
