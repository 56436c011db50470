/*
 * reposetup.c
 *		pg_backupctl repo-setup: make a repository's place ready.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "store/setup.h"

#include "json.h"
#include "main.h"
#include "report.h"
#include "session.h"

#define NONCURRENT_DAYS	"30"
#define ABORT_DAYS		"7"
#define DAYS_MAX		36500

static const char *const state_names[] = {
	[BKC_STEP_THERE] = "ok",
	[BKC_STEP_DONE] = "done",
	[BKC_STEP_TO_DO] = "to do",
	[BKC_STEP_WARNING] = "warning",
	[BKC_STEP_FAILED] = "failed"
};

/* ---- options ---- */

static bool
take_days(const BkcOptions *options, const char *name, const char *usual, int *days, BkcError *err)
{
	const char *text = bkc_option(options, name);
	uint64_t	value;

	if (!bkc_parse_u64(text != NULL ? text : usual, DAYS_MAX, &value) || value == 0)
		return bkc_error_set(err, BKC_ERR_INVALID, "--%s \"%s\" is not a number of days from 1 to %d",
							 name, text, DAYS_MAX);
	*days = (int) value;
	return true;
}

static bool
take_versioning(const BkcOptions *options, BkcStoreSetup *setup, BkcError *err)
{
	const char *text = bkc_option(options, "versioning");

	setup->versioning = text == NULL || strcmp(text, "on") == 0;
	if (!setup->versioning && strcmp(text, "off") != 0)
		return bkc_error_set(err, BKC_ERR_INVALID, "--versioning \"%s\" is not on or off", text);
	return true;
}

static bool
take_encryption(const BkcOptions *options, BkcStoreSetup *setup, BkcError *err)
{
	const char *text = bkc_option(options, "encryption");

	if (text == NULL)
		text = "AES256";
	if (strcmp(text, "AES256") != 0 && strcmp(text, "aws:kms") != 0 && strcmp(text, "none") != 0)
		return bkc_error_set(err, BKC_ERR_INVALID,
							 "--encryption \"%s\" is not AES256, aws:kms or none", text);
	setup->encryption = strcmp(text, "none") == 0 ? NULL : text;
	setup->kms_key = bkc_option(options, "kms-key");
	return true;
}

/* CLASS:DAYS, kept in the order of days */
static bool
take_transition(const char *text, BkcStoreSetup *setup, BkcError *err)
{
	const char *colon = strchr(text, ':');
	size_t		len = colon != NULL ? (size_t) (colon - text) : 0;
	BkcStoreTransition t = {.days = 0};
	size_t		at = setup->ntransitions;
	uint64_t	days;

	if (len == 0 || len >= sizeof(t.class) || !bkc_parse_u64(colon + 1, DAYS_MAX, &days) ||
		days == 0)
	{
		bkc_error_set(err, BKC_ERR_INVALID, "--transition \"%s\" is not CLASS:DAYS", text);
		return bkc_error_hint(err, "Write for example STANDARD_IA:30.");
	}
	if (at == BKC_STORE_TRANSITIONS_MAX)
		return bkc_error_set(err, BKC_ERR_INVALID, "there are more than %d --transition",
							 BKC_STORE_TRANSITIONS_MAX);
	memcpy(t.class, text, len);
	t.days = (int) days;
	for (; at > 0 && setup->transitions[at - 1].days > t.days; at--)
		setup->transitions[at] = setup->transitions[at - 1];
	setup->transitions[at] = t;
	setup->ntransitions++;
	return true;
}

static bool
take_options(const BkcOptions *options, BkcStoreSetup *setup, BkcError *err)
{
	static const struct
	{
		const char *name;
		uint32_t	asked;
	}			flags[] = {
		{"object-lock", BKC_SETUP_LOCK},
		{"versioning", BKC_SETUP_VERSIONING},
		{"encryption", BKC_SETUP_ENCRYPTION},
		{"kms-key", BKC_SETUP_ENCRYPTION},
		{"transition", BKC_SETUP_LIFECYCLE},
		{"noncurrent-days", BKC_SETUP_LIFECYCLE},
		{"abort-uploads-days", BKC_SETUP_LIFECYCLE},
	};
	const char *text;

	memset(setup, 0, sizeof(*setup));
	setup->dry_run = bkc_option_given(options, "dry-run");
	setup->object_lock = bkc_option_given(options, "object-lock");
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
	{
		if (bkc_option_given(options, flags[i].name))
			setup->asked |= flags[i].asked;
	}
	for (size_t i = 0; (text = bkc_option_nth(options, "transition", i)) != NULL; i++)
	{
		if (!take_transition(text, setup, err))
			return false;
	}
	return take_versioning(options, setup, err) &&
		take_encryption(options, setup, err) &&
		take_days(options, "noncurrent-days", NONCURRENT_DAYS, &setup->noncurrent_days, err) &&
		take_days(options, "abort-uploads-days", ABORT_DAYS, &setup->abort_days, err);
}

/* ---- telling ---- */

/* arg: the JSON array of steps, NULL without --json */
static bool
tell_step(void *arg, const BkcStoreStep *step, BkcError *err)
{
	json_t	   *object;

	if (arg == NULL)
	{
		printf("  %-8s %s: %s\n", state_names[step->state], step->what, step->text);
		if (step->hint != NULL)
			printf("           %s\n", step->hint);
		return true;
	}
	object = json_pack("{s:s, s:s, s:o, s:o}", "what", step->what,
					   "state", state_names[step->state], "text", bkc_json_text(step->text),
					   "hint", bkc_json_text(step->hint));
	return bkc_json_append(arg, object) || bkc_error_oom(err);
}

static void
print_result(const BkcSession *session, bool dry_run, json_t *steps, const BkcError *failed,
			 int status)
{
	json_t	   *object = json_pack("{s:s, s:i, s:o, s:b, s:O}", "status",
								   status == BKC_EXIT_OK ? "ok" : "failed", "exit_status", status,
								   "repository", bkc_json_text(session->store->location),
								   "dry_run", dry_run, "steps", steps);

	if (object != NULL && failed != NULL)
		bkc_json_set(object, "error", bkc_json_error_object(failed));
	bkc_json_print(object);
}

/* ---- the command ---- */

static int
run_repo_setup(const BkcOptions *options)
{
	BkcStoreSetup setup;
	BkcSession	session;
	json_t	   *steps = NULL;
	BkcError	err;
	int			status = BKC_EXIT_OK;
	bool		json = bkc_option_given(options, "json");
	bool		ok;

	ok = bkc_session_open(&session, options, &err);
	if (ok)
	{
		session.place = BKC_AT_COMMAND_LINE;
		ok = take_options(options, &setup, &err) &&
			bkc_store_setup_check(session.store, &setup, &err);
	}
	if (ok && json)
	{
		steps = json_array();
		ok = steps != NULL || bkc_error_oom(&err);
	}
	if (!ok)
		status = bkc_report_error(&err, session.place, json);
	else
	{
		if (!json)
			printf("%s%s\n", session.store->location,
				   setup.dry_run ? " (dry run, nothing is changed)" : "");
		ok = bkc_store_setup(session.store, &setup, tell_step, steps, &err);
		fflush(stdout);
		if (!ok)
			status = bkc_report_error(&err, BKC_AT_REPOSITORY, false);
		if (json)
			print_result(&session, setup.dry_run, steps, ok ? NULL : &err, status);
	}
	json_decref(steps);
	bkc_session_close(&session);
	return status;
}

static const BkcOptionDef repo_setup_options[] = {
	BKC_OPTION_REPO,
	{"dry-run", 0, NULL, false, "show what would be done, change nothing"},
	{"object-lock", 0, NULL, false, "make the bucket with object lock (lock_mode in the URL asks for it, too)"},
	{"versioning", 0, "on|off", false, "keep former versions of objects (default: on)"},
	{"encryption", 0, "KIND", false, "default encryption: AES256 (default), aws:kms, or none: leave it"},
	{"kms-key", 0, "ID", false, "with aws:kms: the key (default: the account's)"},
	{"transition", 0, "CLASS:DAYS", false, "move objects to a cheaper class that is read at once; repeatable"},
	{"noncurrent-days", 0, "N", false, "former versions go after N days (default: " NONCURRENT_DAYS ")"},
	{"abort-uploads-days", 0, "N", false, "unfinished uploads go after N days (default: " ABORT_DAYS ")"},
	BKC_OPTION_JSON,
	BKC_OPTION_HELP,
	BKC_OPTION_END
};

const BkcCommand bkc_command_repo_setup = {
	.name = "repo-setup",
	.summary = "make the bucket of a repository, with versions, encryption and lifecycle rules",
	.options = repo_setup_options,
	.notes = "What is so already is left alone, so that it can be called again. Of a bucket's lifecycle\n"
	"rules only those are changed that this command made for the same repository. It never makes a\n"
	"rule that removes what is there, or that moves it to a class from which it must be restored\n"
	"first, and fails when the bucket has such a rule for the repository.\n\n"
	"A server that cannot do something is told as a warning; when you asked for it by its option,\n"
	"the exit status is not 0. For a file:// repository the folder is made.\n",
	.run = run_repo_setup
};
