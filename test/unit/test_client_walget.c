/*
 * test_client_walget.c
 *		wal-get's answers: what it hands out, when it says that there is no such
 *		file, and when it does not know.
 */
#include "test_client_walget.h"

#define GOT		BKC_EXIT_OK
#define NONE	BKC_EXIT_ABSENT
#define UNKNOWN	BKC_EXIT_COULD_NOT_ASK

/* ---- one repository ---- */

static void
test_found_and_absent(void **state)
{
	char		words[256];

	site_segments(0, 1, 5, 7);
	for (uint64_t i = 5; i <= 7; i++)
	{
		assert_status(site_get("1", NO_AHEAD, site_name(1, i)), GOT);
		site_delivered(1, i, MB);
		assert_string_equal(site.said, "");
	}
	assert_status(site_get("1", NO_AHEAD, site_name(1, 8)), NONE);
	assert_status(site_get("1", NO_AHEAD, site_name(2, 5)), NONE);
	assert_status(site_get("1", NO_AHEAD, "00000002.history"), NONE);
	assert_string_equal(site.said, "");

	/* what was there is replaced, also what a killed one has left beside it */
	site_file(SITE_TARGET, "half of something");
	site_file(SITE_TARGET BKC_WALGET_TEMP, "left by a killed one");
	snprintf(words, sizeof(words), NO_AHEAD "--repo %s", site.url[0]);
	assert_status(site_get_at(words, site_name(1, 5), SITE_TARGET), GOT);
	site_delivered(1, 5, MB);
}

static void
test_names(void **state)
{
	static const char *const bad[] = {"nonsense", "../../etc/passwd", "pg_wal/RECOVERYXLOG",
		"00000001000000000000000", "0000000100000000000000055", "00000000000000000000000A",
	"00000000.history", "0000000a.history"};
	char		name[80];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		assert_status(site_get("1", NO_AHEAD, bad[i]), UNKNOWN);
		assert_said("is no name of a WAL file");
	}
	snprintf(name, sizeof(name), "%s.partial", site_name(1, 5));
	assert_status(site_get("1", NO_AHEAD, name), NONE);
	snprintf(name, sizeof(name), "%s.00000028.backup", site_name(1, 5));
	assert_status(site_get("1", NO_AHEAD, name), NONE);
}

static void
test_options(void **state)
{
	static const char *const bad[] = {"--timeline 0", "--timeline x", "--timeline 4294967296",
		"--until 1", "--until 0/G", "--prefetch 257", "--prefetch -1", "--retry 3601",
	"--cluster x", "--cluster 0", "--cluster 42", "--backup x", "--repo http://x"};

	site_segment(0, 1, 5);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		assert_status(site_get("1", bad[i], site_name(1, 6)), UNKNOWN);
		assert_said("pg_backupctl: error: ");
	}
	assert_status(site_get("1", NO_AHEAD "--cluster 7435718529102938471 --timeline 1",
						   site_name(1, 5)), GOT);
}

/* Without a data directory around it the repository says what it needs to know. */
static void
test_by_hand(void **state)
{
	char		words[256];

	site_segments(0, 1, 5, 6);
	assert_int_equal(chdir(".."), 0);
	snprintf(words, sizeof(words), "--repo %s --retry 0", site.url[0]);
	assert_int_equal(site_get_at(words, site_name(1, 5), "out"), GOT);
	assert_true(site_exists("out"));
	assert_int_equal(site_get_at(words, site_name(1, 7), "none"), NONE);
	snprintf(words, sizeof(words), "--repo %s --retry 0 --until 0/600000", site.url[0]);
	assert_int_equal(site_get_at(words, site_name(1, 6), "none"), NONE);
	assert_int_equal(site_get_at(words, site_name(1, 5), "out"), GOT);
	snprintf(words, sizeof(words), "--repo %s --retry 0 --cluster 42", site.url[0]);
	assert_int_equal(site_get_at(words, site_name(1, 5), "none"), UNKNOWN);
	assert_said("cluster 42 is not in repository");
	assert_false(site_exists("none"));
	assert_int_equal(chdir("data"), 0);
}

static void
test_could_not_ask(void **state)
{
	BkcError	err;
	char		away[128];
	const char *cluster = "7435718529102938471/cluster";

	site_segment(0, 1, 5);
	snprintf(away, sizeof(away), "%s/away", site.repo[0].top);
	assert_int_equal(rename(site.repo[0].root, away), 0);
	assert_status(site_get("1", NO_AHEAD, site_name(1, 5)), UNKNOWN);
	assert_said("is empty");
	assert_status(site_get("1", NO_AHEAD, site_name(1, 6)), UNKNOWN);
	assert_status(site_get("1", NO_AHEAD, "00000002.history"), UNKNOWN);
	assert_int_equal(mkdir(site.repo[0].root, 0700), 0);
	assert_status(site_get("1", NO_AHEAD, site_name(1, 6)), UNKNOWN);

	/* a standby asks again by itself */
	site_file("standby.signal", "");
	assert_status(site_get("1", NO_AHEAD, site_name(1, 6)), NONE);
	assert_status(site_get("1", NO_AHEAD, "nonsense"), NONE);
	assert_int_equal(unlink("standby.signal"), 0);

	assert_int_equal(rmdir(site.repo[0].root), 0);
	assert_int_equal(rename(away, site.repo[0].root), 0);
	assert_status(site_get("1", NO_AHEAD, site_name(1, 6)), NONE);

	/* without the cluster's object nothing is proven */
	assert_ok(bkc_store_remove(site.store[0], &cluster, 1, &err));
	assert_status(site_get("1", NO_AHEAD, site_name(1, 6)), UNKNOWN);
}

static void
test_target(void **state)
{
	char		words[300];

	site_segments(0, 1, 5, 5);
	site_segments(1, 1, 5, 5);
	snprintf(words, sizeof(words), "--retry 0 --repo %s --repo %s", site.url[0], site.url[1]);
	assert_status(site_get_at(words, site_name(1, 5), "no/where"), UNKNOWN);
	assert_said("could not create file \"no/where.pg_backupctl\"");
	assert_int_equal(mkdir("folder", 0700), 0);
	assert_status(site_get_at(words, site_name(1, 5), "folder"), UNKNOWN);
	assert_said("could not rename");
	assert_false(site_exists("folder" BKC_WALGET_TEMP));
}

/* ---- damaged and foreign objects ---- */

static void
test_damaged(void **state)
{
	char		path[512];
	struct stat st;

	site_segments(0, 1, 5, 6);
	snprintf(path, sizeof(path), "%s", site_object(0, site_name(1, 5)));
	assert_int_equal(stat(path, &st), 0);
	for (off_t at = 0; at < st.st_size; at += 1 + st.st_size / 40)
	{
		site_flip(path, at);
		assert_status(site_get("1", NO_AHEAD, site_name(1, 5)), UNKNOWN);
		site_file("standby.signal", "");
		assert_status(site_get("1", NO_AHEAD, site_name(1, 5)), NONE);
		assert_int_equal(unlink("standby.signal"), 0);
		site_flip(path, at);
	}
	assert_status(site_get("1", NO_AHEAD, site_name(1, 5)), GOT);
	for (off_t len = st.st_size - 1; len >= 0; len = len * 2 / 3 - 1)
	{
		assert_int_equal(truncate(path, len), 0);
		assert_status(site_get("1", NO_AHEAD, site_name(1, 5)), UNKNOWN);
	}
}

/* Put the stored bytes of one object under another name. */
static void
move_object(const char *from, const char *to)
{
	BkcBuffer	bytes = {0};

	util_get(site.store[0], from, &bytes);
	util_put(site.store[0], to, bytes.data, bytes.len);
	bkc_buffer_free(&bytes);
}

static void
test_foreign(void **state)
{
	char		five[BKC_NAME_MAX];
	char		six[BKC_NAME_MAX];
	char		other[BKC_NAME_MAX];
	const char *names[1] = {other};
	BkcError	err;

	/* of another name, of another cluster */
	site_segment(0, 1, 5);
	assert_ok(bkc_name_wal_file(SYSID, site_name(1, 5), NULL, five, &err));
	assert_ok(bkc_name_wal_file(SYSID, site_name(1, 6), NULL, six, &err));
	move_object(five, six);
	assert_status(site_get("1", NO_AHEAD, site_name(1, 6)), UNKNOWN);
	site_control(SYSID + 1, MB);
	assert_ok(bkc_name_cluster(SYSID, six, &err));
	assert_ok(bkc_name_cluster(SYSID + 1, other, &err));
	move_object(six, other);
	assert_ok(bkc_name_wal_file(SYSID + 1, site_name(1, 5), NULL, other, &err));
	move_object(five, other);
	assert_status(site_get("1", NO_AHEAD, site_name(1, 5)), UNKNOWN);
	assert_ok(bkc_store_remove(site.store[0], names, 1, &err));
	assert_status(site_get("1", NO_AHEAD, site_name(1, 5)), NONE);
	site_control(SYSID, MB);

	/* an object that is right in itself, but what it holds is not */
	site_fill(1, 7, SYSID + 1, 0);
	site_put(0, site_name(1, 7), site.segment, MB, NULL);
	assert_status(site_get("1", NO_AHEAD, site_name(1, 7)), UNKNOWN);
	assert_said("is of cluster 7435718529102938472");
	site_fill(1, 9, SYSID, 0);
	site_put(0, site_name(1, 8), site.segment, MB, NULL);
	assert_status(site_get("1", NO_AHEAD, site_name(1, 8)), UNKNOWN);
	assert_said("begins like another one");

	/* another segment size than that of the data directory */
	site_control(SYSID, 16 * MB);
	assert_status(site_get("1", NO_AHEAD, site_name(1, 5)), UNKNOWN);
	assert_said("WAL segments have 1048576 bytes there and 16777216 here");
}

static void
test_conflict(void **state)
{
	BkcBuffer	got = {0};
	BkcError	err;

	site_segment(0, 1, 5);
	site_fill(1, 5, SYSID, 77);
	site_put(0, site_name(1, 5), site.segment, MB, "a test");
	assert_status(site_get("1", NO_AHEAD, site_name(1, 5)), GOT);
	site_fill(1, 5, SYSID, 77);
	assert_ok(bkc_file_slurp(SITE_TARGET, MB, &got, &err));
	assert_memory_equal(got.data, site.segment, MB);
	bkc_buffer_free(&got);
}

static void
test_history(void **state)
{
	BkcBuffer	got = {0};
	BkcError	err;

	site_history(0, 2, 1, 5 * MB + 100);
	site_history(1, 3, 2, 6 * MB);
	assert_status(site_get("12", "", "00000002.history"), GOT);
	assert_ok(bkc_file_slurp(SITE_TARGET, MB, &got, &err));
	assert_string_equal(bkc_buffer_str(&got), "1\t0/500064\tno recovery target specified\n");
	bkc_buffer_free(&got);
	assert_status(site_get("12", "--until 0/1", "00000003.history"), GOT);
	assert_status(site_get("12", "", "00000004.history"), NONE);
	site_flip(site_object(0, "00000002.history"), 200);
	assert_status(site_get("12", "", "00000002.history"), UNKNOWN);
}

/* What an object says about its size is not to be trusted with the disk. */
static void
test_too_large(void **state)
{
	uint32_t	large = BKC_WAL_HISTORY_MAX + 1;
	char	   *text = malloc(large);

	assert_non_null(text);
	memset(text, '#', large);
	text[large - 2] = '\n';
	site_put(0, "00000002.history", text, large, NULL);
	site_put(0, "00000003.history", text, large - 1, NULL);
	free(text);
	assert_status(site_get("1", NO_AHEAD, "00000002.history"), UNKNOWN);
	assert_said("1048576");
	assert_status(site_get("1", NO_AHEAD, "00000003.history"), GOT);

	/* as a path to follow, too */
	site_segment(0, 1, 5);
	assert_status(site_get("1", NO_AHEAD "--timeline 2", site_name(1, 5)), UNKNOWN);
	assert_status(site_get("1", NO_AHEAD "--timeline 3", site_name(1, 5)), UNKNOWN);
	assert_said("timeline 1 is not on the way to timeline 3");
}

/* ---- several repositories ---- */

static void
test_several(void **state)
{
	char		away[128];

	site_segment(0, 1, 5);
	site_segments(1, 1, 5, 6);
	assert_status(site_get("12", NO_AHEAD, site_name(1, 5)), GOT);
	assert_status(site_get("12", NO_AHEAD, site_name(1, 6)), GOT);
	site_delivered(1, 6, MB);
	assert_string_equal(site.said, "");
	assert_status(site_get("12", NO_AHEAD, site_name(1, 7)), NONE);

	/* damaged in one, whole in the other */
	site_flip(site_object(0, site_name(1, 5)), 1000);
	assert_status(site_get("12", NO_AHEAD, site_name(1, 5)), GOT);
	site_delivered(1, 5, MB);
	assert_said("pg_backupctl: warning: ");

	/* one away: what the other has is good, but what it has not is not proven */
	snprintf(away, sizeof(away), "%s/away", site.repo[0].top);
	assert_int_equal(rename(site.repo[0].root, away), 0);
	assert_status(site_get("12", NO_AHEAD, site_name(1, 6)), GOT);
	assert_said("pg_backupctl: warning: repository");
	assert_status(site_get("21", NO_AHEAD, site_name(1, 6)), GOT);
	assert_string_equal(site.said, "");
	assert_status(site_get("12", NO_AHEAD, site_name(1, 7)), UNKNOWN);
	assert_status(site_get("21", NO_AHEAD, site_name(1, 7)), UNKNOWN);
	assert_status(site_get("12", NO_AHEAD, "00000002.history"), UNKNOWN);
	assert_int_equal(rename(away, site.repo[0].root), 0);
	assert_status(site_get("21", NO_AHEAD, site_name(1, 7)), NONE);
}

/* ---- asking again ---- */

static int	waits;

/* The repository comes back while we wait; nobody really waits. */
static void
come_back(int ms)
{
	char		away[128];

	if (++waits == 5)
	{
		snprintf(away, sizeof(away), "%s/away", site.repo[0].top);
		assert_int_equal(rename(away, site.repo[0].root), 0);
	}
}

static int64_t
clock_of_waits(void)
{
	return TIME + waits * INT64_C(100000);
}

static bool
never(void)
{
	return false;
}

static void
test_again(void **state)
{
	BkcHost		host = {.wait = come_back, .now = clock_of_waits, .cancelled = never};
	char		away[128];
	char		words[256];

	site_segment(0, 1, 5);
	snprintf(away, sizeof(away), "%s/away", site.repo[0].top);
	snprintf(words, sizeof(words), NO_AHEAD "--repo %s", site.url[0]);
	assert_int_equal(rename(site.repo[0].root, away), 0);
	waits = 0;
	bkc_host_set(&host);
	assert_status(site_get_at(words, site_name(1, 5), SITE_TARGET), GOT);
	assert_true(waits >= 5);
	site_delivered(1, 5, MB);

	/* it gives up after half a minute; in a standby at once */
	assert_int_equal(unlink(SITE_TARGET), 0);
	assert_int_equal(rename(site.repo[0].root, away), 0);
	waits = 10;
	assert_status(site_get_at(words, site_name(1, 5), SITE_TARGET), UNKNOWN);
	assert_true(waits > 10 + 200 && waits < 10 + 310);
	assert_said("Attempts 1 to ");
	site_file("standby.signal", "");
	waits = 10;
	assert_status(site_get_at(words, site_name(1, 5), SITE_TARGET), NONE);
	assert_int_equal(waits, 10);
	assert_int_equal(rename(away, site.repo[0].root), 0);
}

static bool
always(void)
{
	return true;
}

/* Told to stop: the answer is not known. */
static void
test_cancelled(void **state)
{
	BkcHost		host = {.cancelled = always};

	site_segment(0, 1, 5);
	bkc_host_set(&host);
	assert_status(site_get("1", "", site_name(1, 5)), UNKNOWN);
	assert_said("cancelled");
	assert_status(site_get("1", "", site_name(1, 6)), UNKNOWN);
}

/* ---- gaps ---- */

static void
test_gap(void **state)
{
	site_segments(0, 1, 5, 5);
	site_segments(0, 1, 7, 7);
	assert_status(site_get("1", NO_AHEAD, site_name(1, 6)), UNKNOWN);
	assert_said("WAL segment 000000010000000000000006 is missing, but a later one is there: 000000010000000000000007");
	assert_status(site_get("1", NO_AHEAD, site_name(2, 6)), NONE);
	assert_status(site_get("1", NO_AHEAD, site_name(1, 8)), NONE);

	/* another repository fills it, or knows of it */
	assert_status(site_get("21", NO_AHEAD, site_name(1, 6)), UNKNOWN);
	site_segments(1, 1, 6, 6);
	assert_status(site_get("12", NO_AHEAD, site_name(1, 6)), GOT);
	site_delivered(1, 6, MB);

	/* a standby waits for it */
	site_file("standby.signal", "");
	assert_status(site_get("1", NO_AHEAD, site_name(1, 6)), NONE);
	assert_int_equal(unlink("standby.signal"), 0);

	/* behind --until it is none */
	assert_status(site_get("1", NO_AHEAD "--until 0/600000", site_name(1, 6)), NONE);
	assert_string_equal(site.said, "");
	assert_status(site_get("1", NO_AHEAD "--until 0/600001", site_name(1, 6)), NONE);
	assert_status(site_get("1", NO_AHEAD "--until 0/700000", site_name(1, 6)), NONE);
	assert_status(site_get("1", NO_AHEAD "--until 0/700001", site_name(1, 6)), UNKNOWN);
}

static void
test_gap_between_logs(void **state)
{
	site_segments(0, 1, LOG - 2, LOG - 2);
	assert_status(site_get("1", NO_AHEAD, site_name(1, LOG - 1)), NONE);
	site_segments(0, 1, 3 * LOG + 1, 3 * LOG + 1);
	assert_status(site_get("1", NO_AHEAD, site_name(1, LOG - 1)), UNKNOWN);
	assert_said("000000010000000300000001");
	assert_status(site_get("1", NO_AHEAD, site_name(1, LOG)), UNKNOWN);
	assert_status(site_get("1", NO_AHEAD, site_name(1, 3 * LOG)), UNKNOWN);
	assert_status(site_get("1", NO_AHEAD, site_name(1, 3 * LOG + 2)), NONE);
	assert_status(site_get("1", NO_AHEAD, site_name(1, 4 * LOG)), NONE);
}

/* What comes after may be of another timeline only. */
static void
test_gap_before_fork(void **state)
{
	site_segments(0, 1, 5, 5);
	site_history(0, 2, 1, 8 * MB + 100);
	assert_status(site_get("1", NO_AHEAD, site_name(1, 6)), NONE);
	site_segments(0, 2, 8, 9);
	for (uint64_t i = 6; i <= 7; i++)
	{
		assert_status(site_get("1", NO_AHEAD, site_name(1, i)), UNKNOWN);
		assert_said("but WAL of a timeline that begins behind it is there");
		assert_status(site_get("1", NO_AHEAD "--timeline 2", site_name(1, i)), UNKNOWN);
		assert_status(site_get("1", NO_AHEAD "--timeline 1", site_name(1, i)), NONE);
	}
	assert_status(site_get("1", NO_AHEAD "--timeline 2", site_name(1, 8)), NONE);
	assert_status(site_get("1", NO_AHEAD, site_name(1, 8)), NONE);
	assert_status(site_get("1", NO_AHEAD, site_name(2, 7)), UNKNOWN);
	assert_status(site_get("1", NO_AHEAD "--until 0/800000", site_name(1, 7)), NONE);
	assert_status(site_get("1", NO_AHEAD "--until 0/800001", site_name(1, 7)), UNKNOWN);
	site_file("standby.signal", "");
	assert_status(site_get("1", NO_AHEAD, site_name(1, 6)), NONE);
	assert_string_equal(site.said, "");
	assert_status(site_get("1", NO_AHEAD "--until 0/1", site_name(2, 9)), GOT);
	assert_int_equal(unlink("standby.signal"), 0);

	/* the open segment of a timeline that went on is none */
	site_chunk(0, 1, 6, 1000, 0, 8192);
	assert_status(site_get("1", "", site_name(1, 6)), UNKNOWN);
	assert_status(site_get("1", "--timeline 1", site_name(1, 6)), GOT);
}

/* ---- forks ---- */

static void
history_text(int repo, uint32_t timeline, const char *text)
{
	char		file[BKC_WAL_NAME_MAX];

	bkc_wal_history_name(timeline, file);
	site_put(repo, file, text, strlen(text), NULL);
}

/* What was undone does not come back because the successor's WAL is lost. */
static void
test_not_past_fork(void **state)
{
	site_segments(0, 1, 5, 8);
	site_history(0, 2, 1, 6 * MB + 5000);
	assert_status(site_get("1", NO_AHEAD "--timeline 2", site_name(2, 6)), NONE);
	assert_status(site_get("1", NO_AHEAD "--timeline 2", site_name(1, 5)), GOT);
	site_delivered(1, 5, MB);
	assert_status(site_get("1", NO_AHEAD "--timeline 2", site_name(1, 6)), GOT);
	site_delivered(1, 6, 5000);
	assert_status(site_get("1", NO_AHEAD "--timeline 2 --until 0/601000", site_name(1, 6)), GOT);
	site_delivered(1, 6, 4096);
	for (uint64_t i = 7; i <= 9; i++)
		assert_status(site_get("1", NO_AHEAD "--timeline 2", site_name(1, i)), NONE);
	assert_string_equal(site.said, "");

	/* to that very timeline there is no limit */
	for (uint64_t i = 5; i <= 8; i++)
	{
		assert_status(site_get("1", NO_AHEAD "--timeline 1", site_name(1, i)), GOT);
		site_delivered(1, i, MB);
	}

	/* without --timeline nobody knows */
	assert_status(site_get("1", NO_AHEAD, site_name(1, 5)), GOT);
	for (uint64_t i = 6; i <= 8; i++)
	{
		assert_status(site_get("1", NO_AHEAD, site_name(1, i)), UNKNOWN);
		assert_said("left timeline 1");
		assert_said("Add --timeline N to the restore_command");
	}
	assert_status(site_get("1", NO_AHEAD, site_name(1, 9)), NONE);

	/* a standby goes to the newest, whatever its command is left from */
	site_file("standby.signal", "");
	assert_status(site_get("1", NO_AHEAD "--timeline 1", site_name(1, 5)), GOT);
	assert_status(site_get("1", NO_AHEAD "--timeline 1", site_name(1, 6)), GOT);
	site_delivered(1, 6, 5000);
	assert_status(site_get("1", NO_AHEAD "--timeline 1", site_name(1, 7)), NONE);
	assert_status(site_get("1", NO_AHEAD, site_name(1, 8)), NONE);
	assert_string_equal(site.said, "");
}

static void
test_fork_at_boundary(void **state)
{
	site_segments(0, 1, 5, 7);
	site_history(0, 2, 1, 7 * MB);
	assert_status(site_get("1", NO_AHEAD "--timeline 2", site_name(1, 6)), GOT);
	site_delivered(1, 6, MB);
	assert_status(site_get("1", NO_AHEAD "--timeline 2", site_name(1, 7)), NONE);
	assert_status(site_get("1", NO_AHEAD, site_name(1, 6)), GOT);
	assert_status(site_get("1", NO_AHEAD, site_name(1, 7)), UNKNOWN);
}

/* Several forks, and switch points that do not grow. */
static void
test_forks(void **state)
{
	site_segments(0, 1, 4, 9);
	site_segments(0, 2, 6, 9);
	site_history(0, 2, 1, 6 * MB + 100);
	history_text(0, 3, "1\t0/600064\tx\n2\t0/780000\tx\n");
	history_text(1, 4, "1\t0/600064\tx\n2\t0/580000\tx\n");
	history_text(1, 5, "1\t0/880000\tx\n");

	assert_status(site_get("12", NO_AHEAD "--timeline 3", site_name(1, 6)), GOT);
	site_delivered(1, 6, 100);
	assert_status(site_get("12", NO_AHEAD "--timeline 3", site_name(2, 7)), GOT);
	site_delivered(2, 7, MB / 2);
	assert_status(site_get("12", NO_AHEAD "--timeline 3", site_name(2, 8)), NONE);
	assert_status(site_get("12", NO_AHEAD "--timeline 4", site_name(1, 5)), GOT);
	site_delivered(1, 5, MB / 2);
	assert_status(site_get("12", NO_AHEAD "--timeline 4", site_name(1, 6)), NONE);
	assert_status(site_get("12", NO_AHEAD "--timeline 5", site_name(1, 8)), GOT);
	site_delivered(1, 8, MB / 2);
	assert_status(site_get("12", NO_AHEAD "--timeline 5", site_name(2, 6)), UNKNOWN);
	assert_said("timeline 2 is not on the way to timeline 5");

	/* the lowest fork is the first that one has to know about */
	assert_status(site_get("12", NO_AHEAD, site_name(1, 4)), GOT);
	assert_status(site_get("12", NO_AHEAD, site_name(1, 5)), UNKNOWN);
	assert_status(site_get("1", NO_AHEAD, site_name(1, 5)), GOT);

	/* the newest one */
	site_file("standby.signal", "");
	assert_status(site_get("12", NO_AHEAD, site_name(1, 8)), GOT);
	site_delivered(1, 8, MB / 2);
	assert_status(site_get("12", NO_AHEAD, site_name(1, 9)), NONE);
	assert_status(site_get("1", NO_AHEAD, site_name(2, 7)), GOT);
	site_delivered(2, 7, MB / 2);
	assert_status(site_get("12", NO_AHEAD, site_name(2, 5)), NONE);
	assert_int_equal(unlink("standby.signal"), 0);

	/* the server has kept the history that it follows: the repository's is not needed */
	site_flip(site_object(0, "00000003.history"), 150);
	assert_status(site_get("12", NO_AHEAD "--timeline 3", site_name(1, 6)), UNKNOWN);
	site_file("pg_wal/00000003.history", "1\t0/600064\tx\n2\t0/780000\tx\n");
	assert_status(site_get("12", NO_AHEAD "--timeline 3", site_name(1, 6)), GOT);
	site_delivered(1, 6, 100);
	site_file("pg_wal/00000003.history", "nonsense");
	assert_status(site_get("12", NO_AHEAD "--timeline 3", site_name(1, 6)), UNKNOWN);
}

/* The command of a restore outlives it. */
static void
test_left_command(void **state)
{
	const char *left = NO_AHEAD "--backup 20261120T120301Z-full-7f3a --timeline 1 --until 0/680000";

	site_segments(0, 1, 5, 8);
	site_history(0, 2, 1, 6 * MB + MB / 2);
	site_segments(0, 2, 6, 7);
	assert_status(site_get("1", left, site_name(2, 6)), GOT);
	site_delivered(2, 6, MB);
	assert_status(site_get("1", left, site_name(2, 7)), GOT);
	assert_status(site_get("1", left, site_name(2, 8)), NONE);
	assert_status(site_get("1", left, "00000003.history"), NONE);
	assert_string_equal(site.said, "");
	assert_status(site_get("1", left, site_name(1, 6)), GOT);
	site_delivered(1, 6, MB / 2);
	assert_status(site_get("1", left, site_name(1, 7)), NONE);
}

/* ---- --until ---- */

static void
test_until(void **state)
{
	static const uint32_t offsets[] = {1, 7, 40, 8192, 65536, 70000, MB - 1};
	char		options[64];

	site_segments(0, 1, 5, 7);
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++)
	{
		snprintf(options, sizeof(options), NO_AHEAD "--until 0/%X", 5 * MB + offsets[i]);
		assert_status(site_get("1", options, site_name(1, 5)), GOT);
		site_delivered(1, 5, offsets[i]);
		assert_status(site_get("1", options, site_name(1, 6)), NONE);
	}
	assert_status(site_get("1", NO_AHEAD "--until 0/500000", site_name(1, 5)), NONE);
	assert_status(site_get("1", NO_AHEAD "--until 0/600000", site_name(1, 5)), GOT);
	site_delivered(1, 5, MB);
	assert_status(site_get("1", NO_AHEAD "--until 0/600000", site_name(1, 6)), NONE);
	assert_status(site_get("1", NO_AHEAD "--until 0/600000", site_name(1, 7)), NONE);
}

/* ---- chunks ---- */

static void
test_chunks(void **state)
{
	site_segments(0, 1, 4, 4);
	site_chunk(0, 1, 5, 1000, 0, 8192);
	site_chunk(0, 1, 5, 1000, 8192, 20000);
	assert_status(site_get("1", "", site_name(1, 5)), GOT);
	site_delivered(1, 5, 20000);
	assert_status(site_get("1", "--timeline 1", site_name(1, 5)), GOT);
	site_delivered(1, 5, 20000);
	assert_status(site_get("1", "--timeline 1 --until 0/502001", site_name(1, 5)), GOT);
	site_delivered(1, 5, 8193);
	assert_status(site_get("1", "--until 0/500000", site_name(1, 5)), NONE);
	assert_status(site_get("1", "--timeline 2", site_name(1, 5)), UNKNOWN);
	assert_said("timeline 2 (--timeline) has no history");
	assert_status(site_get("1", "", site_name(1, 6)), NONE);

	/* standbys get whole segments only */
	site_file("standby.signal", "");
	assert_status(site_get("1", "", site_name(1, 5)), NONE);
	assert_status(site_get("1", "--timeline 1", site_name(1, 5)), NONE);
	assert_string_equal(site.said, "");
	assert_int_equal(unlink("standby.signal"), 0);

	/* the whole one goes first, wherever it is */
	site_segment(1, 1, 5);
	assert_status(site_get("12", NO_AHEAD, site_name(1, 5)), GOT);
	site_delivered(1, 5, MB);
}

/* The last one that there is: a later segment, whole or not, proves that there was more. */
static void
test_chunks_later(void **state)
{
	site_chunk(0, 1, 5, 1000, 0, 8192);
	site_chunk(1, 1, 6, 1000, 0, 8192);
	assert_status(site_get("1", "", site_name(1, 5)), GOT);
	assert_status(site_get("12", "", site_name(1, 5)), UNKNOWN);
	assert_said("is missing, but a later one is there");
	site_segments(0, 1, 6, 6);
	assert_status(site_get("1", "--timeline 1", site_name(1, 5)), UNKNOWN);
	assert_status(site_get("1", "--until 0/500000", site_name(1, 5)), NONE);

	/* unless recovery is told to end before it */
	assert_status(site_get("12", "--until 0/502000", site_name(1, 5)), GOT);
	site_delivered(1, 5, 8192);
	assert_status(site_get("1", "--timeline 1 --until 0/600000", site_name(1, 5)), GOT);
	assert_status(site_get("1", "--timeline 1 --until 0/600001", site_name(1, 5)), UNKNOWN);
}

static void
test_chunks_of_several(void **state)
{
	char		away[128];

	site_chunk(0, 1, 5, 1000, 0, 8192);
	site_chunk(1, 1, 5, 1000, 0, 9000);
	assert_status(site_get("12", "", site_name(1, 5)), GOT);
	site_delivered(1, 5, 9000);
	assert_status(site_get("21", "", site_name(1, 5)), GOT);
	site_delivered(1, 5, 9000);

	/* the one that is away may have more */
	snprintf(away, sizeof(away), "%s/away", site.repo[1].top);
	assert_int_equal(rename(site.repo[1].root, away), 0);
	assert_status(site_get("12", "", site_name(1, 5)), UNKNOWN);
	assert_int_equal(rename(away, site.repo[1].root), 0);
}

static void
test_chunks_and_forks(void **state)
{
	site_chunk(0, 1, 5, 1000, 0, 8192);
	site_history(0, 3, 1, 7 * MB);
	assert_status(site_get("1", "", site_name(1, 5)), GOT);
	site_history(1, 4, 1, 5 * MB + 4000);
	assert_status(site_get("1", "", site_name(1, 5)), GOT);
	assert_status(site_get("12", "", site_name(1, 5)), UNKNOWN);
	assert_said("Add --timeline N");
	assert_status(site_get("12", "--timeline 1", site_name(1, 5)), GOT);
	site_delivered(1, 5, 8192);
	assert_status(site_get("12", "--timeline 3", site_name(1, 5)), GOT);
	site_delivered(1, 5, 8192);
	assert_status(site_get("12", "--timeline 4", site_name(1, 5)), GOT);
	site_delivered(1, 5, 4000);

	/* a history that cannot be read may say anything */
	site_flip(site_object(1, "00000004.history"), 150);
	assert_status(site_get("12", "", site_name(1, 5)), UNKNOWN);
}

static void
test_chunks_without_beginning(void **state)
{
	site_chunk(0, 1, 5, 1000, 100, 8192);
	assert_status(site_get("1", "", site_name(1, 5)), UNKNOWN);
	assert_said("damaged or missing at its beginning");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SITE_TEST(test_found_and_absent),
		SITE_TEST(test_names),
		SITE_TEST(test_options),
		SITE_TEST(test_by_hand),
		SITE_TEST(test_could_not_ask),
		SITE_TEST(test_target),
		SITE_TEST(test_damaged),
		SITE_TEST(test_foreign),
		SITE_TEST(test_conflict),
		SITE_TEST(test_history),
		SITE_TEST(test_too_large),
		SITE_TEST(test_several),
		SITE_TEST(test_again),
		SITE_TEST(test_cancelled),
		SITE_TEST(test_gap),
		SITE_TEST(test_gap_between_logs),
		SITE_TEST(test_gap_before_fork),
		SITE_TEST(test_not_past_fork),
		SITE_TEST(test_fork_at_boundary),
		SITE_TEST(test_forks),
		SITE_TEST(test_left_command),
		SITE_TEST(test_until),
		SITE_TEST(test_chunks),
		SITE_TEST(test_chunks_later),
		SITE_TEST(test_chunks_of_several),
		SITE_TEST(test_chunks_and_forks),
		SITE_TEST(test_chunks_without_beginning)
	};

	bkc_host_set(&client_host);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
