/*
 * setup_rules.c
 *		Setting a bucket up: its lifecycle rules.
 *
 * Nothing here can make a current object go or freeze: retention is decided by
 * who knows what a backup needs, and manifests, WAL and keys are read at any
 * moment.  What ends are former versions, marks of removal and unfinished uploads.
 *
 * A bucket may hold several repositories.  So a rule of ours is one whose name
 * begins as ours do and whose prefix is this repository's; its name ends with a
 * hash of the prefix, because names are unique in a bucket.
 */
#include "store/s3/bucket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define OUR_ID			"pg_backupctl-"
#define IA_DAYS_MIN		30		/* AWS's own, for the two classes of infrequent access */
#define RULES_MAX		2

static const char what[] = "lifecycle";

static const char *const classes[] = {
	"STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR"
};

static const char classes_hint[] =
	"Classes that are read at once are STANDARD_IA, ONEZONE_IA, INTELLIGENT_TIERING and GLACIER_IR.";

/* ---- options ---- */

static bool
check_transition(const BkcS3Store *s3, const BkcStoreTransition *t, BkcError *err)
{
	bool		known = false;

	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		known = known || strcmp(classes[i], t->class) == 0;
	if (bkc_s3_is_archive(t->class))
	{
		bkc_error_set(err, BKC_ERR_INVALID,
					  "a transition to class \"%s\" would freeze the repository: manifests, WAL and keys must be readable at once",
					  t->class);
		return bkc_error_hint(err, "%s", classes_hint);
	}
	if (!bkc_s3_is_aws(&s3->config))
		return true;
	if (!known)
	{
		bkc_error_set(err, BKC_ERR_INVALID, "\"%s\" is no storage class that objects can move to",
					  t->class);
		return bkc_error_hint(err, "%s", classes_hint);
	}
	if (strstr(t->class, "_IA") != NULL && t->days < IA_DAYS_MIN)
	{
		bkc_error_set(err, BKC_ERR_INVALID,
					  "AWS refuses a transition to class \"%s\" after %d days", t->class, t->days);
		return bkc_error_hint(err, "It must be %d days at least.", IA_DAYS_MIN);
	}
	return true;
}

bool
bkc_s3_setup_rules_check(const BkcS3Store *s3, const BkcStoreSetup *options, BkcError *err)
{
	for (size_t i = 0; i < options->ntransitions; i++)
	{
		if (!check_transition(s3, &options->transitions[i], err))
			return false;
		if (i > 0 && options->transitions[i].days <= options->transitions[i - 1].days)
			return bkc_error_set(err, BKC_ERR_INVALID, "two transitions after %d days",
								 options->transitions[i].days);
	}
	if (options->noncurrent_days < s3->config.lock_days)
	{
		bkc_error_set(err, BKC_ERR_INVALID,
					  "former versions cannot go after %d days: the repository's URL locks objects for %d days",
					  options->noncurrent_days, s3->config.lock_days);
		return bkc_error_hint(err, "Set --noncurrent-days to %d or more.", s3->config.lock_days);
	}
	return true;
}

/* ---- rules ---- */

/* By its prefix or, when somebody has changed that, by the rest of its name. */
static bool
is_ours(const BkcS3Setup *s, const BkcS3Rule *rule)
{
	size_t		len = strlen(rule->id);
	size_t		end = strlen(s->suffix);

	return strncmp(rule->id, OUR_ID, strlen(OUR_ID)) == 0 &&
		(strcmp(rule->prefix, s->s3->config.prefix) == 0 ||
		 (len > end && strcmp(rule->id + len - end, s->suffix) == 0));
}

static bool
make_suffix(BkcS3Setup *s, BkcError *err)
{
	const char *prefix = s->s3->config.prefix;
	uint8_t		hash[BKC_SHA256_SIZE];

	if (!bkc_sha256(prefix, strlen(prefix), hash, err))
		return false;
	s->suffix[0] = '-';
	bkc_hex_encode(hash, 4, s->suffix + 1);
	return true;
}

/* The rules that shall be there. */
static void
make_rules(const BkcS3Setup *s, BkcS3Rule *rules, size_t *n)
{
	const BkcStoreSetup *o = s->options;
	BkcS3Rule  *rule = &rules[0];

	memset(rules, 0, RULES_MAX * sizeof(*rules));
	snprintf(rule->id, sizeof(rule->id), "%sclean-up%s", OUR_ID, s->suffix);
	rule->markers = true;
	rule->noncurrent_days = o->noncurrent_days;
	rule->abort_days = o->abort_days;
	*n = 1;
	if (o->ntransitions > 0)
	{
		rule = &rules[(*n)++];
		snprintf(rule->id, sizeof(rule->id), "%stransition%s", OUR_ID, s->suffix);
		rule->ntransitions = o->ntransitions;
		memcpy(rule->transitions, o->transitions, sizeof(rule->transitions));
	}
	for (size_t i = 0; i < *n; i++)
	{
		rules[i].enabled = true;
		snprintf(rules[i].prefix, sizeof(rules[i].prefix), "%s", s->s3->config.prefix);
	}
}

static const BkcS3Rule *
find_rule(const BkcS3Lifecycle *l, const BkcS3Rule *wanted)
{
	for (size_t i = 0; i < l->n; i++)
	{
		if (strcmp(l->rules[i].id, wanted->id) == 0)
			return &l->rules[i];
	}
	return NULL;
}

static bool
is_wanted(const BkcS3Rule *rule, const BkcS3Rule *rules, size_t n)
{
	for (size_t i = 0; i < n; i++)
	{
		if (strcmp(rules[i].id, rule->id) == 0)
			return true;
	}
	return false;
}

/* Everybody else's, then ours. */
static bool
write_rules(const BkcS3Setup *s, const BkcS3Lifecycle *l, const BkcS3Rule *rules, size_t n,
			BkcError *err)
{
	static const char header[] = "x-amz-transition-default-minimum-object-size";
	BkcBuffer	xml = {0};
	bool		ok;

	ok = bkc_buffer_append_str(&xml, "<LifecycleConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">", err);
	for (size_t i = 0; ok && i < l->n; i++)
	{
		if (!is_ours(s, &l->rules[i]))
			ok = bkc_s3_rule_copy(&xml, l, &l->rules[i], err);
	}
	for (size_t i = 0; ok && i < n; i++)
		ok = bkc_s3_rule_write(&xml, &rules[i], err);
	ok = ok && bkc_buffer_append_str(&xml, "</LifecycleConfiguration>", err) &&
		bkc_s3_setup_put(s->s3, what, &xml, l->minimum[0] != '\0' ? header : NULL, l->minimum, err);
	bkc_buffer_free(&xml);
	return ok;
}

/*
 * Did everybody else's rules survive?  Servers are known to lose parts of what
 * they do not understand.  When reading comes too early and gives the document
 * of before, that is the same question.
 */
static bool
prove_others(const BkcS3Setup *s, const BkcS3Lifecycle *before, BkcError *err)
{
	BkcS3Lifecycle after;
	bool		ok = bkc_s3_ask_lifecycle(s->s3, &after, err);

	for (size_t i = 0; ok && i < before->n; i++)
	{
		const BkcS3Rule *old = &before->rules[i];
		const BkcS3Rule *new = find_rule(&after, old);

		if (is_ours(s, old) || (new != NULL && bkc_s3_rule_equal(old, new)))
			continue;
		ok = bkc_error_set(err, BKC_ERR_STATE, "the server has changed rule \"%s\", which is not ours",
						   old->id);
		bkc_error_hint(err, "Compare it with what it should be. It was: %.*s",
					   (int) (old->end - old->start), bkc_buffer_str(&before->text) + old->start);
	}
	bkc_s3_lifecycle_free(&after);
	return ok;
}

/* ---- telling ---- */

static bool
tell_rule(BkcS3Setup *s, const BkcS3Rule *rule, BkcStoreStepState state, const char *how,
		  BkcError *err)
{
	char		list[512] = "";
	size_t		len = 0;

	for (size_t i = 0; i < rule->ntransitions && len < sizeof(list); i++)
		len += (size_t) snprintf(list + len, sizeof(list) - len, "%sclass %s after %d days",
								 i > 0 ? ", " : "", rule->transitions[i].class,
								 rule->transitions[i].days);
	if (rule->ntransitions > 0)
		return bkc_s3_setup_tell(s, what, state, err, "rule \"%s\" %s: %s", rule->id, how, list);
	return bkc_s3_setup_tell(s, what, state, err,
							 "rule \"%s\" %s: former versions go after %d days, unfinished uploads after %d",
							 rule->id, how, rule->noncurrent_days, rule->abort_days);
}

static bool
tell_result(BkcS3Setup *s, const BkcS3Lifecycle *l, const BkcS3Rule *rules, size_t n,
			BkcError *err)
{
	bool		dry = s->options->dry_run;
	BkcStoreStepState state = dry ? BKC_STEP_TO_DO : BKC_STEP_DONE;
	size_t		others = 0;

	for (size_t i = 0; i < n; i++)
	{
		const BkcS3Rule *old = find_rule(l, &rules[i]);
		bool		same = old != NULL && bkc_s3_rule_equal(old, &rules[i]);
		const char *how = same ? "is there"
			: old != NULL ? (dry ? "would be changed" : "was changed")
			: dry ? "would be installed" : "was installed";

		if (!tell_rule(s, &rules[i], same ? BKC_STEP_THERE : state, how, err))
			return false;
	}
	for (size_t i = 0; i < l->n; i++)
	{
		if (!is_ours(s, &l->rules[i]))
			others++;
		else if (!is_wanted(&l->rules[i], rules, n) &&
				 !bkc_s3_setup_tell(s, what, state, err, "rule \"%s\" %s removed", l->rules[i].id,
									dry ? "would be" : "was"))
			return false;
	}
	return others == 0 ||
		bkc_s3_setup_tell(s, what, BKC_STEP_THERE, err, "%zu rule%s of others %s left alone", others,
						  others == 1 ? "" : "s", others == 1 ? "is" : "are");
}

/* ---- all of it ---- */

/* A rule of somebody else that would undo what backups are for: nothing is done beside it. */
static bool
find_harm(BkcS3Setup *s, const BkcS3Lifecycle *l, BkcError *why)
{
	char		text[512];

	for (size_t i = 0; i < l->n; i++)
	{
		if (is_ours(s, &l->rules[i]) ||
			!bkc_s3_rule_harm(s->s3, &l->rules[i], text, sizeof(text)))
			continue;
		bkc_error_set(why, BKC_ERR_STATE, "%s", text);
		bkc_error_hint(why, "Remove the rule, or limit it to a prefix outside the repository.");
		return true;
	}
	return false;
}

static bool
change_needed(BkcS3Setup *s, const BkcS3Lifecycle *l, const BkcS3Rule *rules, size_t n)
{
	for (size_t i = 0; i < n; i++)
	{
		const BkcS3Rule *old = find_rule(l, &rules[i]);

		if (old == NULL || !bkc_s3_rule_equal(old, &rules[i]))
			return true;
	}
	for (size_t i = 0; i < l->n; i++)
	{
		if (is_ours(s, &l->rules[i]) && !is_wanted(&l->rules[i], rules, n))
			return true;
	}
	return false;
}

static bool
setup_rules(BkcS3Setup *s, const BkcS3Lifecycle *l, BkcError *err)
{
	BkcS3Rule	rules[RULES_MAX];
	BkcError	why;
	size_t		n;

	if (l->answer != BKC_S3_KNOWN && l->answer != BKC_S3_NONE)
		return bkc_s3_setup_unanswered(s, what, BKC_SETUP_LIFECYCLE, l->answer,
									   bkc_s3_may_lifecycle, err);

	/* this one is a failure whether rules were asked for or not */
	if (find_harm(s, l, &why))
		return bkc_s3_setup_fail(s, what, BKC_S3_SETUP_ALWAYS, &why, err);
	if (l->strange)
	{
		bkc_error_set(&why, BKC_ERR_UNSUPPORTED, "the rules that are there are of an unknown kind");
		return bkc_s3_setup_fail(s, what, BKC_SETUP_LIFECYCLE, &why, err);
	}
	make_rules(s, rules, &n);
	if (!s->options->dry_run && change_needed(s, l, rules, n))
	{
		if (!write_rules(s, l, rules, n, err))
			return bkc_s3_setup_fail(s, what, BKC_SETUP_LIFECYCLE, err, err);
		if (!prove_others(s, l, err))
			return bkc_s3_setup_fail(s, what, BKC_S3_SETUP_ALWAYS, err, err);
	}
	return tell_result(s, l, rules, n, err);
}

bool
bkc_s3_setup_rules(BkcS3Setup *s, BkcError *err)
{
	BkcS3Lifecycle l = {.answer = BKC_S3_NONE};
	bool		ok;

	if (!make_suffix(s, err))
		return false;
	if (!s->absent && !bkc_s3_ask_lifecycle(s->s3, &l, err))
		ok = bkc_s3_setup_fail(s, what, BKC_SETUP_LIFECYCLE, err, err);
	else
		ok = setup_rules(s, &l, err);
	bkc_s3_lifecycle_free(&l);
	return ok;
}
