/*
 * restore_goal.c
 *		How far to recover: from options into settings of the server.
 */
#include "restore_goal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

#include "conffile.h"

#define NAME_MAX_LEN	63		/* MAXFNAMELEN - 1 */
#define FIRST_XID		3		/* FirstNormalTransactionId */

/* The options that say where to end, and what they make of their argument. */
static bool parse_time(const char *text, BkcGoal *goal, BkcError *err);
static bool parse_lsn(const char *text, BkcGoal *goal, BkcError *err);
static bool parse_xid(const char *text, BkcGoal *goal, BkcError *err);
static bool parse_name(const char *text, BkcGoal *goal, BkcError *err);
static bool parse_immediate(const char *text, BkcGoal *goal, BkcError *err);

static const struct
{
	const char *option;
	BkcGoalKind kind;
	bool		(*parse) (const char *text, BkcGoal *goal, BkcError *err);
}			targets[] = {
	{"target-time", BKC_GOAL_TIME, parse_time},
	{"target-lsn", BKC_GOAL_LSN, parse_lsn},
	{"target-xid", BKC_GOAL_XID, parse_xid},
	{"target-name", BKC_GOAL_NAME, parse_name},
	{"immediate", BKC_GOAL_IMMEDIATE, parse_immediate}
};

#define NTARGETS (sizeof(targets) / sizeof(targets[0]))

static bool
parse_time(const char *text, BkcGoal *goal, BkcError *err)
{
	return bkc_parse_moment(text, &goal->time, err);
}

static bool
parse_lsn(const char *text, BkcGoal *goal, BkcError *err)
{
	if (bkc_parse_lsn(text, &goal->lsn) && goal->lsn != 0)
		return true;
	bkc_error_set(err, BKC_ERR_INVALID, "\"%s\" is not a WAL location", text);
	return bkc_error_hint(err, "They look like 0/3B001234; SELECT pg_current_wal_lsn() tells the present one.");
}

/* With epoch or without: the server compares the lower half only. */
static bool
parse_xid(const char *text, BkcGoal *goal, BkcError *err)
{
	uint64_t	value;

	if (bkc_parse_u64(text, UINT64_MAX, &value) && (uint32_t) value >= FIRST_XID)
	{
		goal->xid = (uint32_t) value;
		return true;
	}
	bkc_error_set(err, BKC_ERR_INVALID, "\"%s\" is not a transaction number", text);
	return bkc_error_hint(err, "SELECT pg_current_xact_id() tells the present transaction's.");
}

static bool
parse_name(const char *text, BkcGoal *goal, BkcError *err)
{
	goal->name = text;
	if (*text == '\0' || strlen(text) > NAME_MAX_LEN)
		return bkc_error_set(err, BKC_ERR_INVALID, "the name of a restore point has 1 to %d bytes",
							 NAME_MAX_LEN);
	return true;
}

static bool
parse_immediate(const char *text, BkcGoal *goal, BkcError *err)
{
	return true;
}

static bool
parse_target(const BkcOptions *options, BkcGoal *goal, BkcError *err)
{
	const char *first = NULL;

	goal->kind = BKC_GOAL_END;
	for (size_t i = 0; i < NTARGETS; i++)
	{
		const char *text = bkc_option(options, targets[i].option);

		if (text == NULL)
			continue;
		if (first != NULL)
			return bkc_error_set(err, BKC_ERR_INVALID, "--%s and --%s contradict each other",
								 first, targets[i].option);
		first = targets[i].option;
		goal->kind = targets[i].kind;
		if (!targets[i].parse(text, goal, err))
			return bkc_error_context(err, "--%s", first);
	}
	return true;
}

static bool
parse_timeline(const BkcOptions *options, BkcGoal *goal, BkcError *err)
{
	const char *text = bkc_option(options, "target-timeline");
	uint64_t	number;

	goal->timeline = BKC_GOAL_LATEST;
	if (text == NULL || strcmp(text, "latest") == 0)
		return true;
	if (strcmp(text, "current") == 0)
		goal->timeline = BKC_GOAL_CURRENT;
	else if (bkc_parse_u64(text, UINT32_MAX, &number) && number > 0)
	{
		goal->timeline = BKC_GOAL_NUMBER;
		goal->number = (uint32_t) number;
	}
	else
	{
		bkc_error_set(err, BKC_ERR_INVALID, "--target-timeline \"%s\" is not a timeline", text);
		return bkc_error_hint(err, "Give its number in decimal, \"current\" (the backup's) or \"latest\".");
	}
	return true;
}

/* Words of a boolean setting of the server. */
static bool
parse_switch(const char *text, bool *value)
{
	static const char *const words[2][5] = {
		{"off", "false", "no", "0", NULL},
		{"on", "true", "yes", "1", NULL}
	};

	for (int i = 0; i < 2; i++)
	{
		for (const char *const *word = words[i]; *word != NULL; word++)
		{
			if (strcasecmp(text, *word) == 0)
			{
				*value = i == 1;
				return true;
			}
		}
	}
	return false;
}

static bool
parse_end(const BkcOptions *options, BkcGoal *goal, BkcError *err)
{
	static const char *const actions[] = {"promote", "pause", "shutdown"};
	const char *inclusive = bkc_option(options, "target-inclusive");
	const char *action = bkc_option(options, "target-action");
	bool		value = true;

	if (inclusive != NULL && !parse_switch(inclusive, &value))
		return bkc_error_set(err, BKC_ERR_INVALID, "--target-inclusive \"%s\" is neither \"on\" nor \"off\"",
							 inclusive);
	goal->exclusive = !value;
	if (inclusive != NULL && goal->kind != BKC_GOAL_TIME && goal->kind != BKC_GOAL_LSN &&
		goal->kind != BKC_GOAL_XID)
		return bkc_error_set(err, BKC_ERR_INVALID, "--target-inclusive makes sense with --target-time, --target-lsn or --target-xid only");
	if (action != NULL && goal->kind == BKC_GOAL_END)
		return bkc_error_set(err, BKC_ERR_INVALID, "--target-action makes sense with a target only");
	if (goal->kind == BKC_GOAL_END)
		return true;
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
	{
		if (strcmp(action != NULL ? action : actions[0], actions[i]) == 0)
			goal->action = actions[i];
	}
	return goal->action != NULL ||
		bkc_error_set(err, BKC_ERR_INVALID, "--target-action \"%s\" is not \"promote\", \"pause\" or \"shutdown\"",
					  action);
}

/* A standby goes on along the newest timeline, without an end. */
static bool
check_standby(const BkcGoal *goal, bool take_over, BkcError *err)
{
	if (goal->kind != BKC_GOAL_END)
	{
		bkc_error_set(err, BKC_ERR_INVALID, "--standby and a recovery target contradict each other");
		return bkc_error_hint(err, "A standby follows its primary and has no end.");
	}
	if (goal->timeline != BKC_GOAL_LATEST)
	{
		bkc_error_set(err, BKC_ERR_INVALID, "--standby and --target-timeline contradict each other");
		return bkc_error_hint(err, "A standby follows its primary to the latest timeline.");
	}
	if (take_over)
	{
		bkc_error_set(err, BKC_ERR_INVALID, "--standby and --take-over contradict each other");
		return bkc_error_hint(err, "A standby follows the cluster, --take-over restores its successor.");
	}
	return true;
}

bool
bkc_goal_parse(const BkcOptions *options, bool take_over, BkcGoal *goal, BkcError *err)
{
	memset(goal, 0, sizeof(*goal));
	goal->standby = bkc_option_given(options, "standby");
	return parse_target(options, goal, err) &&
		parse_timeline(options, goal, err) &&
		parse_end(options, goal, err) &&
		(!goal->standby || check_standby(goal, take_over, err));
}

void
bkc_goal_describe(const BkcGoal *goal, char *out, size_t outlen)
{
	switch (goal->kind)
	{
		case BKC_GOAL_END:
			snprintf(out, outlen, "the end");
			break;
		case BKC_GOAL_TIME:
			bkc_format_moment(goal->time, false, out, outlen);
			break;
		case BKC_GOAL_LSN:
			bkc_format_lsn(goal->lsn, out, outlen);
			break;
		case BKC_GOAL_XID:
			snprintf(out, outlen, "transaction %u", goal->xid);
			break;
		case BKC_GOAL_NAME:
			snprintf(out, outlen, "restore point \"%s\"", goal->name);
			break;
		case BKC_GOAL_IMMEDIATE:
			snprintf(out, outlen, "the backup's end");
			break;
	}
}

/* ---- settings ---- */

/* The one setting that says where to end; *name stays NULL when recovery ends with its WAL. */
static void
target_setting(const BkcGoal *goal, const BkcWay *way, const char **name, char *value, size_t len)
{
	*name = NULL;
	if (way->at_end)
	{
		/* the last record there is: to be reached for certain, and everything is before it */
		if (way->last != 0)
			*name = "recovery_target_lsn";
		bkc_format_lsn(way->last, value, len);
		return;
	}
	switch (goal->kind)
	{
		case BKC_GOAL_END:
			break;
		case BKC_GOAL_TIME:
			*name = "recovery_target_time";
			bkc_format_moment(goal->time, true, value, len);
			break;
		case BKC_GOAL_LSN:
			*name = "recovery_target_lsn";
			bkc_format_lsn(goal->lsn, value, len);
			break;
		case BKC_GOAL_XID:
			*name = "recovery_target_xid";
			snprintf(value, len, "%u", goal->xid);
			break;
		case BKC_GOAL_NAME:
			*name = "recovery_target_name";
			snprintf(value, len, "%s", goal->name);
			break;
		case BKC_GOAL_IMMEDIATE:
			*name = "recovery_target";
			snprintf(value, len, "immediate");
			break;
	}
}

/*
 * Always a number, so that a timeline that appears in the repository between
 * restore and start changes nothing.  A cluster on a later timeline whose
 * history nobody has (pg_resetwal) can only stay on that.
 */
static void
timeline_setting(const BkcGoal *goal, const BkcWay *way, char *value, size_t len)
{
	bool		known = way->timeline == 1 ||
		(way->map != NULL && bkc_walmap_history(way->map, way->timeline) != NULL);

	if (goal->standby)
		snprintf(value, len, "latest");
	else if (!known && way->timeline == way->backup.timeline)
		snprintf(value, len, "current");
	else
		snprintf(value, len, "%u", way->timeline);
}

bool
bkc_goal_settings(const BkcGoal *goal, const BkcWay *way, BkcBuffer *out, BkcError *err)
{
	static const char *const all[] = {
		"recovery_target", "recovery_target_name", "recovery_target_time",
		"recovery_target_xid", "recovery_target_lsn"
	};
	const char *name;
	char		value[100];
	char		timeline[24];

	target_setting(goal, way, &name, value, sizeof(value));
	timeline_setting(goal, way, timeline, sizeof(timeline));

	/* only one of them may be set, and the server checks that line by line: empty ones first */
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
	{
		if ((name == NULL || strcmp(name, all[i]) != 0) && !bkc_conf_put(out, all[i], "", err))
			return false;
	}
	return (name == NULL || bkc_conf_put(out, name, value, err)) &&
		bkc_conf_put(out, "recovery_target_timeline", timeline, err) &&
		bkc_conf_put(out, "recovery_target_inclusive",
					 goal->exclusive && !way->at_end ? "off" : "on", err) &&
		bkc_conf_put(out, "recovery_target_action", goal->action != NULL ? goal->action : "pause", err);
}
