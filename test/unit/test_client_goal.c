/*
 * test_client_goal.c
 *		Recovery targets of the command line, the settings they become, and the
 *		choice of timeline and backup.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../src/client/conffile.c"
#include "../../src/client/json.c"
#include "../../src/client/keys.c"
#include "../../src/client/options.c"
#include "../../src/client/report.c"
#include "../../src/client/restore_choose.c"
#include "../../src/client/restore_goal.c"

/* the same static name in two files */
#define no_backup session_no_backup
#include "../../src/client/session.c"
#undef no_backup

#define MB			(1024 * 1024)
#define SEC			INT64_C(1000000)

static const BkcOptionDef defs[] = {
	{"target-time", 0, "TIME", false, "x"},
	{"target-lsn", 0, "LSN", false, "x"},
	{"target-xid", 0, "XID", false, "x"},
	{"target-name", 0, "NAME", false, "x"},
	{"immediate", 0, NULL, false, "x"},
	{"target-timeline", 0, "N", false, "x"},
	{"target-inclusive", 0, "on|off", false, "x"},
	{"target-action", 0, "ACTION", false, "x"},
	{"standby", 0, NULL, false, "x"},
	BKC_OPTION_END
};

static const BkcCommand command = {.name = "restore", .options = defs};

/* The options live only as long as the call; strings point into words. */
static bool
parse_goal(const char *const *words, bool take_over, BkcGoal *goal, BkcError *err)
{
	char	   *argv[10] = {(char *) "restore"};
	int			argc = 1;
	BkcOptions *options;
	bool		ok;

	while (*words != NULL)
		argv[argc++] = (char *) *words++;
	if (!bkc_options_parse(&command, argc, argv, &options, err))
		fail_msg("%s", err->message);
	ok = bkc_goal_parse(options, take_over, goal, err);
	bkc_options_free(options);
	return ok;
}

static void
test_targets(void **state)
{
	static const struct
	{
		const char *words[6];
		BkcGoalKind kind;
		const char *described;
	}			cases[] = {
		{{NULL}, BKC_GOAL_END, "the end"},
		{{"--target-time=2026-11-20 13:03:01.5+01"}, BKC_GOAL_TIME, "2026-11-20 12:03:01.500000+00"},
		{{"--target-time", "2026-11-20T12:03:01Z"}, BKC_GOAL_TIME, "2026-11-20 12:03:01+00"},
		{{"--target-lsn=16/B374D848"}, BKC_GOAL_LSN, "16/B374D848"},
		{{"--target-xid=3"}, BKC_GOAL_XID, "transaction 3"},
		{{"--target-xid=4294967295"}, BKC_GOAL_XID, "transaction 4294967295"},
		{{"--target-xid=4294968296"}, BKC_GOAL_XID, "transaction 1000"},
		{{"--target-name=before it's gone"}, BKC_GOAL_NAME, "restore point \"before it's gone\""},
		{{"--immediate"}, BKC_GOAL_IMMEDIATE, "the backup's end"},
	};
	BkcGoal		goal;
	BkcError	err;
	char		text[100];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		if (!parse_goal(cases[i].words, true, &goal, &err))
			fail_msg("%s: %s", cases[i].described, err.message);
		assert_int_equal(goal.kind, cases[i].kind);
		bkc_goal_describe(&goal, text, sizeof(text));
		assert_string_equal(text, cases[i].described);
		assert_false(goal.exclusive);
		assert_int_equal(goal.timeline, BKC_GOAL_LATEST);
		if (goal.kind == BKC_GOAL_END)
			assert_null(goal.action);
		else
			assert_string_equal(goal.action, "promote");
	}
	assert_true(parse_goal((const char *const[]) {"--target-timeline=4294967295", "--target-xid=7",
						   "--target-inclusive=OFF", "--target-action=pause", NULL},
						   false, &goal, &err));
	assert_int_equal(goal.timeline, BKC_GOAL_NUMBER);
	assert_int_equal(goal.number, UINT32_MAX);
	assert_true(goal.exclusive);
	assert_string_equal(goal.action, "pause");
	assert_true(parse_goal((const char *const[]) {"--target-timeline=current", NULL}, false, &goal, &err));
	assert_int_equal(goal.timeline, BKC_GOAL_CURRENT);
	assert_true(parse_goal((const char *const[]) {"--standby", "--target-timeline=latest", NULL},
						   false, &goal, &err));
	assert_true(goal.standby);
}

static void
test_refused(void **state)
{
	static const struct
	{
		const char *words[4];
		const char *message;
	}			cases[] = {
		{{"--target-time=2026-11-20 13:03:01"}, "--target-time: time \"2026-11-20 13:03:01\" has no time zone"},
		{{"--target-time=yesterday"}, "not a point in time"},
		{{"--target-lsn=12"}, "\"12\" is not a WAL location"},
		{{"--target-lsn=0/0"}, "not a WAL location"},
		{{"--target-xid=2"}, "not a transaction number"},
		{{"--target-xid=4294967298"}, "not a transaction number"},
		{{"--target-xid=-1"}, "not a transaction number"},
		{{"--target-xid="}, "not a transaction number"},
		{{"--target-name="}, "1 to 63 bytes"},
		{{"--target-name=0123456789012345678901234567890123456789012345678901234567890123"}, "1 to 63 bytes"},
		{{"--target-time=2026-11-20 13:03Z", "--target-lsn=0/1"}, "--target-time and --target-lsn contradict each other"},
		{{"--immediate", "--target-xid=5"}, "--target-xid and --immediate contradict"},
		{{"--target-timeline=0"}, "not a timeline"},
		{{"--target-timeline=0x2"}, "not a timeline"},
		{{"--target-timeline=4294967296"}, "not a timeline"},
		{{"--target-timeline=newest"}, "not a timeline"},
		{{"--target-inclusive=maybe", "--target-xid=5"}, "neither \"on\" nor \"off\""},
		{{"--target-inclusive=off"}, "makes sense with"},
		{{"--target-inclusive=off", "--immediate"}, "makes sense with"},
		{{"--target-inclusive=on", "--target-name=x"}, "makes sense with"},
		{{"--target-action=pause"}, "with a target only"},
		{{"--target-action=stop", "--target-xid=5"}, "is not \"promote\", \"pause\" or \"shutdown\""},
		{{"--standby", "--target-xid=5"}, "--standby and a recovery target contradict"},
		{{"--standby", "--immediate"}, "--standby and a recovery target contradict"},
		{{"--standby", "--target-timeline=2"}, "--standby and --target-timeline contradict"},
	};
	BkcGoal		goal;
	BkcError	err;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		if (parse_goal(cases[i].words, false, &goal, &err))
			fail_msg("%s %s was accepted", cases[i].words[0], cases[i].words[1]);
		assert_int_equal(err.code, BKC_ERR_INVALID);
		if (strstr(err.message, cases[i].message) == NULL)
			fail_msg("%s: %s", cases[i].words[0], err.message);
	}
	assert_false(parse_goal((const char *const[]) {"--standby", NULL}, true, &goal, &err));
	assert_string_equal(err.message, "--standby and --take-over contradict each other");
	assert_true(parse_goal((const char *const[])
						   {"--target-name=012345678901234567890123456789012345678901234567890123456789012", NULL},
						   false, &goal, &err));
}

/* ---- settings ---- */

static void
assert_settings(const BkcGoal *goal, const BkcWay *way, const char *expected)
{
	BkcBuffer	out = {0};
	BkcError	err;

	assert_true(bkc_goal_settings(goal, way, &out, &err));
	assert_non_null(strstr(bkc_buffer_str(&out), expected));

	/* the server takes the last line: an empty one behind would undo it */
	if (strstr(expected, "''\n") == NULL)
		assert_null(strstr(strstr(bkc_buffer_str(&out), expected) + 1, " = ''\n"));
	bkc_buffer_free(&out);
}

static void
test_settings(void **state)
{
	BkcGoal		goal = {.kind = BKC_GOAL_NAME, .name = "it's", .action = "promote"};
	BkcWay		way = {.timeline = 1, .backup.timeline = 1};

	assert_settings(&goal, &way, "recovery_target_name = 'it''s'\n");
	assert_settings(&goal, &way, "recovery_target_timeline = '1'\n");
	assert_settings(&goal, &way, "recovery_target_action = 'promote'\n");
	goal = (BkcGoal) {.kind = BKC_GOAL_IMMEDIATE, .action = "pause"};
	assert_settings(&goal, &way, "recovery_target = 'immediate'\n");
	goal = (BkcGoal) {.kind = BKC_GOAL_XID, .xid = UINT32_MAX, .exclusive = true, .action = "shutdown"};
	assert_settings(&goal, &way, "recovery_target_xid = '4294967295'\n");
	assert_settings(&goal, &way, "recovery_target_inclusive = 'off'\n");
	goal = (BkcGoal) {.kind = BKC_GOAL_LSN, .lsn = UINT64_C(0x1600000028), .action = "promote"};
	assert_settings(&goal, &way, "recovery_target_lsn = '16/28'\n");

	/* nothing lies behind the target: to the last record, and that is always taken */
	goal = (BkcGoal) {.kind = BKC_GOAL_TIME, .time = 1, .exclusive = true, .action = "pause"};
	way.at_end = true;
	way.last = 0x3000060;
	assert_settings(&goal, &way, "recovery_target_lsn = '0/3000060'\n");
	assert_settings(&goal, &way, "recovery_target_inclusive = 'on'\n");
	assert_settings(&goal, &way, "recovery_target_action = 'pause'\n");
	assert_settings(&goal, &way, "recovery_target_time = ''\n");
	way.last = 0;
	assert_settings(&goal, &way, "recovery_target_lsn = ''\n");

	/* a timeline whose history nobody has */
	way = (BkcWay) {.timeline = 4, .backup.timeline = 4};
	goal = (BkcGoal) {.kind = BKC_GOAL_END};
	assert_settings(&goal, &way, "recovery_target_timeline = 'current'\n");
	way.backup.timeline = 3;
	assert_settings(&goal, &way, "recovery_target_timeline = '4'\n");
	goal.standby = true;
	assert_settings(&goal, &way, "recovery_target_timeline = 'latest'\n");
}

/* ---- timeline and backup ---- */

/*
 * Timeline 1 from 0/0; 2 forked off at 10 MB, 3 off 2 at 20 MB, 4 off 1 at 5 MB.
 * Backups, with their stop in MB (and seconds): a 3, b 8, c 12 on 1; d 15, e 25 on 2; f 30 on 3.
 */
static void
history(BkcWalMap *map, uint32_t timeline, const char *text)
{
	BkcError	err;

	assert_true(bkc_walmap_add_history(map, timeline, text, strlen(text), &err));
}

static void
world_begin(BkcRestore *r)
{
	static const struct
	{
		const char *label;
		uint32_t	timeline;
		int			stop;
	}			backups[] = {
		{"a", 1, 3}, {"b", 1, 8}, {"c", 1, 12}, {"d", 2, 15}, {"e", 2, 25}, {"f", 3, 30},
	};

	memset(r, 0, sizeof(*r));
	r->way.map = calloc(1, sizeof(BkcWalMap));
	r->way.map->segment_size = MB;
	history(r->way.map, 2, "1\t0/A00000\tx\n");
	history(r->way.map, 3, "1\t0/A00000\tx\n2\t0/1400000\ty\n");
	history(r->way.map, 4, "1\t0/500000\tz\n");
	r->way.nspans = sizeof(backups) / sizeof(backups[0]);
	r->way.spans = calloc(r->way.nspans, sizeof(BkcBackupSpan));
	for (size_t i = 0; i < r->way.nspans; i++)
	{
		BkcBackupSpan *span = &r->way.spans[i];

		snprintf(span->label, sizeof(span->label), "%s", backups[i].label);
		span->timeline = backups[i].timeline;
		span->stop_lsn = (uint64_t) backups[i].stop * MB;
		span->start_lsn = span->stop_lsn - MB;
		span->stop_time = backups[i].stop * SEC;
		span->segment_size = MB;
	}
}

static bool
run_choose(BkcRestore *r, const char *named, BkcError *err)
{
	bool		ok;

	bkc_walpath_free(&r->way.path);
	memset(&r->way.backup, 0, sizeof(r->way.backup));
	for (size_t i = 0; named != NULL && i < r->way.nspans; i++)
	{
		if (strcmp(r->way.spans[i].label, named) == 0)
			r->way.backup = r->way.spans[i];
	}
	r->backup = calloc(1, sizeof(BkcBackup));	/* holds no history */
	ok = choose_timeline(r, named != NULL, err);
	free(r->backup);
	r->backup = NULL;
	return ok;
}

static void
assert_choice(BkcRestore *r, const char *named, const char *label, uint32_t timeline)
{
	BkcError	err;

	if (!run_choose(r, named, &err))
		fail_msg("%s: %s", label, err.message);
	assert_string_equal(r->way.backup.label, label);
	assert_int_equal(r->way.timeline, timeline);
}

static void
test_choice(void **state)
{
	BkcRestore	r;

	world_begin(&r);

	/* the highest timeline that any backup leads to: 4, though newer backups are elsewhere */
	assert_choice(&r, NULL, "a", 4);
	assert_int_equal(r.way.suitable, 1);
	r.goal.timeline = BKC_GOAL_CURRENT;
	assert_choice(&r, NULL, "f", 3);
	r.goal.timeline = BKC_GOAL_NUMBER;
	r.goal.number = 3;
	assert_choice(&r, NULL, "f", 3);
	assert_int_equal(r.way.suitable, 4);
	r.goal.number = 2;
	assert_choice(&r, NULL, "e", 2);
	r.goal.number = 1;
	assert_choice(&r, NULL, "c", 1);

	/* before a target, on both sides of the fork */
	r.goal.kind = BKC_GOAL_TIME;
	r.goal.number = 3;
	r.goal.time = 29 * SEC;
	assert_choice(&r, NULL, "d", 3);
	r.goal.time = 15 * SEC;
	assert_choice(&r, NULL, "d", 3);
	r.goal.time = 15 * SEC - 1;
	assert_choice(&r, NULL, "b", 3);
	r.goal.number = 1;
	assert_choice(&r, NULL, "c", 1);
	r.goal.kind = BKC_GOAL_LSN;
	r.goal.lsn = 12 * MB - 1;
	assert_choice(&r, NULL, "b", 1);
	r.goal.lsn = 12 * MB;
	assert_choice(&r, NULL, "c", 1);
	r.goal.timeline = BKC_GOAL_LATEST;
	assert_choice(&r, NULL, "a", 4);
	r.goal.kind = BKC_GOAL_END;
	assert_choice(&r, "d", "d", 3);
	bkc_restore_way_free(&r.way);
}

static void
test_no_choice(void **state)
{
	BkcRestore	r;
	BkcError	err;

	world_begin(&r);
	r.goal.kind = BKC_GOAL_TIME;
	r.goal.time = 3 * SEC - 1;
	assert_false(run_choose(&r, NULL, &err));
	assert_int_equal(err.code, BKC_ERR_NOT_FOUND);
	assert_string_equal(err.message, "no backup ends before 1970-01-01 00:00:02.999999+00");
	assert_non_null(strstr(err.detail, "The oldest of 6, a, ended at 1970-01-01 00:00:03+00"));
	r.goal.kind = BKC_GOAL_END;
	r.goal.timeline = BKC_GOAL_NUMBER;
	r.goal.number = 7;
	assert_false(run_choose(&r, NULL, &err));
	assert_string_equal(err.message, "the repository holds nothing of timeline 7");
	assert_string_equal(err.detail, "Its timelines: 1, 2, 3, 4.");
	bkc_restore_way_free(&r.way);
}

static void
test_named(void **state)
{
	BkcRestore	r;
	BkcError	err;

	world_begin(&r);
	assert_choice(&r, "a", "a", 4);
	assert_choice(&r, "b", "b", 3);
	assert_choice(&r, "c", "c", 1);
	assert_choice(&r, "e", "e", 2);
	assert_int_equal(r.way.suitable, 0);
	r.goal.timeline = BKC_GOAL_CURRENT;
	assert_choice(&r, "b", "b", 1);

	r.goal.timeline = BKC_GOAL_NUMBER;
	r.goal.number = 3;
	assert_false(run_choose(&r, "c", &err));
	assert_int_equal(err.code, BKC_ERR_INVALID);
	assert_string_equal(err.message, "backup c does not lead to timeline 3");
	assert_int_equal(r.place, BKC_AT_COMMAND_LINE);

	r.goal.timeline = BKC_GOAL_LATEST;
	r.goal.kind = BKC_GOAL_LSN;
	r.goal.lsn = 8 * MB - 1;
	assert_false(run_choose(&r, "b", &err));
	assert_string_equal(err.message, "backup b ended after 0/7FFFFF");
	r.goal.lsn++;
	assert_choice(&r, "b", "b", 3);
	bkc_restore_way_free(&r.way);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_no_choice),
		cmocka_unit_test(test_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
