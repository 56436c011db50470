/*
 * lifecycle.c
 *		Lifecycle rules of a bucket: reading, judging, writing.
 *
 * A bucket has one document with all rules, so that changing ours means to
 * send everybody else's again.  These are copied as the bytes that came,
 * because they may hold elements that are not known here.
 */
#include "store/s3/bucket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

#define DAYS_MAX	100000

typedef struct Parse
{
	BkcS3Lifecycle *l;
	BkcS3Rule	rule;
	BkcStoreTransition transition;
	char		tag_key[256];
	char		tag_value[512];
} Parse;

void
bkc_s3_lifecycle_free(BkcS3Lifecycle *l)
{
	bkc_buffer_free(&l->text);
	free(l->rules);
	l->rules = NULL;
	l->n = l->cap = 0;
}

bool
bkc_s3_is_archive(const char *class)
{
	return strcasestr(class, "ARCHIVE") != NULL ||
		(strncasecmp(class, "GLACIER", 7) == 0 && strcasecmp(class, "GLACIER_IR") != 0);
}

/* ---- reading ---- */

static int
days(const char *text)
{
	uint64_t	value;

	return bkc_parse_u64(text, DAYS_MAX, &value) ? (int) value : DAYS_MAX;
}

static void
end_transition(Parse *p)
{
	BkcS3Rule  *rule = &p->rule;
	size_t		at = rule->ntransitions++;

	if (bkc_s3_is_archive(p->transition.class))
		snprintf(rule->archive, sizeof(rule->archive), "%s", p->transition.class);
	if (at < BKC_STORE_TRANSITIONS_MAX)
	{
		/* servers give them in any order */
		for (; at > 0 && rule->transitions[at - 1].days > p->transition.days; at--)
			rule->transitions[at] = rule->transitions[at - 1];
		rule->transitions[at] = p->transition;
	}
	memset(&p->transition, 0, sizeof(p->transition));
}

/* Written as in the URL's tags: a=b&c=d, percent-encoded. */
static bool
end_tag(Parse *p, BkcError *err)
{
	BkcBuffer	text = {0};
	size_t		len = strlen(p->rule.tags);
	bool		ok;

	ok = (len == 0 || bkc_buffer_append(&text, "&", 1, err)) &&
		bkc_http_escape(&text, p->tag_key, false, err) &&
		bkc_buffer_append(&text, "=", 1, err) &&
		bkc_http_escape(&text, p->tag_value, false, err);
	if (ok)
		snprintf(p->rule.tags + len, sizeof(p->rule.tags) - len, "%s", bkc_buffer_str(&text));
	bkc_buffer_free(&text);
	p->tag_key[0] = p->tag_value[0] = '\0';
	return ok;
}

static bool
end_rule(Parse *p, BkcError *err)
{
	BkcS3Lifecycle *l = p->l;

	if (l->n == l->cap)
	{
		size_t		cap = l->cap == 0 ? 16 : l->cap * 2;
		BkcS3Rule  *bigger = realloc(l->rules, cap * sizeof(*bigger));

		if (bigger == NULL)
			return bkc_error_oom(err);
		l->rules = bigger;
		l->cap = cap;
	}
	l->rules[l->n++] = p->rule;
	memset(&p->rule, 0, sizeof(p->rule));
	return true;
}

static bool
take_condition(Parse *p, const char *path, const char *text, BkcError *err)
{
	BkcS3Rule  *rule = &p->rule;
	const char *inner = path;

	if (strncmp(inner, "Filter/", 7) == 0)
		inner += 7;
	if (strncmp(inner, "And/", 4) == 0)
		inner += 4;
	if (strcmp(inner, "Prefix") == 0 && text != NULL)
		snprintf(rule->prefix, sizeof(rule->prefix), "%s", text);
	else if (strcmp(inner, "Tag/Key") == 0 && text != NULL)
		snprintf(p->tag_key, sizeof(p->tag_key), "%s", text);
	else if (strcmp(inner, "Tag/Value") == 0 && text != NULL)
		snprintf(p->tag_value, sizeof(p->tag_value), "%s", text);
	else if (strcmp(inner, "Tag") == 0)
		return end_tag(p, err);
	return true;
}

static bool
take_element(void *arg, const char *path, const char *text, BkcError *err)
{
	Parse	   *p = arg;
	BkcS3Rule  *rule = &p->rule;

	if (strcmp(path, "Rule") == 0)
		return end_rule(p, err);
	if (strncmp(path, "Rule/", 5) != 0)
	{
		p->l->strange = p->l->strange || strchr(path, '/') == NULL;
		return true;
	}
	path += 5;
	if (strcmp(path, "Transition") == 0)
		end_transition(p);
	if (strncmp(path, "Filter", 6) == 0 || strcmp(path, "Prefix") == 0)
		return take_condition(p, path, text, err);
	if (text == NULL)
		return true;
	if (strcmp(path, "ID") == 0)
		snprintf(rule->id, sizeof(rule->id), "%s", text);
	else if (strcmp(path, "Status") == 0)
		rule->enabled = strcmp(text, "Enabled") == 0;
	else if (strcmp(path, "Expiration/Days") == 0 || strcmp(path, "Expiration/Date") == 0)
		rule->expires = true;
	else if (strcmp(path, "Expiration/ExpiredObjectDeleteMarker") == 0)
		rule->markers = strcmp(text, "true") == 0;
	else if (strcmp(path, "NoncurrentVersionExpiration/NoncurrentDays") == 0)
		rule->noncurrent_days = days(text);
	else if (strcmp(path, "AbortIncompleteMultipartUpload/DaysAfterInitiation") == 0)
		rule->abort_days = days(text);
	else if (strcmp(path, "Transition/Days") == 0)
		p->transition.days = days(text);
	else if (strcmp(path, "Transition/StorageClass") == 0)
		snprintf(p->transition.class, sizeof(p->transition.class), "%s", text);
	return true;
}

/* The same elements, as bytes. */
static bool
take_range(void *arg, const char *path, size_t start, size_t end, BkcError *err)
{
	BkcS3Lifecycle *l = arg;
	BkcS3Rule  *rule = l->ranges < l->n ? &l->rules[l->ranges] : NULL;

	if (rule == NULL)
		return true;
	if (strcmp(path, "Rule") == 0)
	{
		rule->start = start;
		rule->end = end;
		l->ranges++;
	}
	else if (strcmp(path, "Rule/Filter/Prefix") == 0)
	{
		rule->prefix_start = start;
		rule->prefix_end = end;
	}
	else if (strcmp(path, "Rule/Filter/And") == 0)
		rule->and_start = start;
	return true;
}

bool
bkc_s3_ask_lifecycle(BkcS3Store *s3, BkcS3Lifecycle *l, BkcError *err)
{
	Parse		parse = {.l = l};
	const BkcS3Question question = {
		.sub = "lifecycle",
		.root = "LifecycleConfiguration",
		.text = &l->text,
		.header = l->minimum,
		.header_name = "x-amz-transition-default-minimum-object-size",
	};

	memset(l, 0, sizeof(*l));
	return bkc_s3_bucket_ask(s3, &question, take_element, &parse, &l->answer, err) &&
		(l->answer != BKC_S3_KNOWN ||
		 bkc_s3_xml_ranges(l->text.data, l->text.len, take_range, l, err));
}

/* ---- judging ---- */

/* Has every object of ours the rule's tags?  (But for chunks of WAL, which live for minutes.) */
static bool
tags_match(const BkcS3Config *config, const BkcS3Rule *rule)
{
	const char *ours = config->tags != NULL ? config->tags : "";

	for (const char *tag = rule->tags; *tag != '\0';)
	{
		size_t		len = strcspn(tag, "&");
		const char *found = ours;

		while (*found != '\0' &&
			   !(strcspn(found, "&") == len && strncmp(found, tag, len) == 0))
		{
			found += strcspn(found, "&");
			found += *found == '&';
		}
		if (*found == '\0')
			return false;
		tag += len;
		tag += *tag == '&';
	}
	return true;
}

static bool
begins_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

bool
bkc_s3_rule_touches(const BkcS3Store *s3, const BkcS3Rule *rule)
{
	return rule->enabled &&
		(begins_with(s3->config.prefix, rule->prefix) ||
		 begins_with(rule->prefix, s3->config.prefix)) &&
		tags_match(&s3->config, rule);
}

bool
bkc_s3_rule_covers(const BkcS3Store *s3, const BkcS3Rule *rule)
{
	return rule->enabled && rule->tags[0] == '\0' && begins_with(s3->config.prefix, rule->prefix);
}

bool
bkc_s3_rule_harm(const BkcS3Store *s3, const BkcS3Rule *rule, char *text, size_t len)
{
	if (!bkc_s3_rule_touches(s3, rule) || (!rule->expires && rule->archive[0] == '\0'))
		return false;
	if (rule->expires)
		snprintf(text, len, "rule \"%s\" removes objects of the repository", rule->id);
	else
		snprintf(text, len,
				 "rule \"%s\" moves objects of the repository to class %s, where they cannot be read",
				 rule->id, rule->archive);
	return true;
}

bool
bkc_s3_rule_equal(const BkcS3Rule *a, const BkcS3Rule *b)
{
	if (strcmp(a->id, b->id) != 0 || strcmp(a->prefix, b->prefix) != 0 ||
		strcmp(a->tags, b->tags) != 0 || a->enabled != b->enabled || a->expires != b->expires ||
		a->markers != b->markers || a->noncurrent_days != b->noncurrent_days ||
		a->abort_days != b->abort_days || a->ntransitions != b->ntransitions)
		return false;
	for (size_t i = 0; i < a->ntransitions && i < BKC_STORE_TRANSITIONS_MAX; i++)
	{
		if (a->transitions[i].days != b->transitions[i].days ||
			strcmp(a->transitions[i].class, b->transitions[i].class) != 0)
			return false;
	}
	return true;
}

/* ---- writing ---- */

bool
bkc_s3_rule_write(BkcBuffer *xml, const BkcS3Rule *rule, BkcError *err)
{
	bool		ok;

	ok = bkc_buffer_append_str(xml, "<Rule><ID>", err) &&
		bkc_s3_xml_escape(xml, rule->id, err) &&
		bkc_buffer_append_str(xml, "</ID><Filter><Prefix>", err) &&
		bkc_s3_xml_escape(xml, rule->prefix, err) &&
		bkc_buffer_append_str(xml, "</Prefix></Filter><Status>Enabled</Status>", err) &&
		(!rule->markers ||
		 bkc_buffer_append_str(xml, "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>", err));
	for (size_t i = 0; ok && i < rule->ntransitions; i++)
		ok = bkc_buffer_printf(xml, err, "<Transition><Days>%d</Days><StorageClass>",
							   rule->transitions[i].days) &&
			bkc_s3_xml_escape(xml, rule->transitions[i].class, err) &&
			bkc_buffer_append_str(xml, "</StorageClass></Transition>", err);
	if (ok && rule->noncurrent_days > 0)
		ok = bkc_buffer_printf(xml, err, "<NoncurrentVersionExpiration><NoncurrentDays>%d</NoncurrentDays></NoncurrentVersionExpiration>",
							   rule->noncurrent_days);
	if (ok && rule->abort_days > 0)
		ok = bkc_buffer_printf(xml, err, "<AbortIncompleteMultipartUpload><DaysAfterInitiation>%d</DaysAfterInitiation></AbortIncompleteMultipartUpload>",
							   rule->abort_days);
	return ok && bkc_buffer_append_str(xml, "</Rule>", err);
}

/*
 * Ceph writes a prefix that belongs to <And> beside it, and reads it only
 * inside: sent as it came, the rule would be one for the whole bucket.
 */
bool
bkc_s3_rule_copy(BkcBuffer *xml, const BkcS3Lifecycle *l, const BkcS3Rule *rule, BkcError *err)
{
	const char *text = bkc_buffer_str(&l->text);
	const char *and = text + rule->and_start;
	size_t		inside;

	if (rule->and_start == 0 || rule->prefix_start == 0)
		return bkc_buffer_append(xml, text + rule->start, rule->end - rule->start, err);
	inside = rule->and_start + strcspn(and, ">") + 1;
	if (rule->prefix_end > rule->and_start || and[strcspn(and, ">") - 1] == '/')
		return bkc_error_set(err, BKC_ERR_UNSUPPORTED,
							 "rule \"%s\" of the bucket is written in an unknown way", rule->id);
	return bkc_buffer_append(xml, text + rule->start, rule->prefix_start - rule->start, err) &&
		bkc_buffer_append(xml, text + rule->prefix_end, inside - rule->prefix_end, err) &&
		bkc_buffer_append(xml, text + rule->prefix_start, rule->prefix_end - rule->prefix_start,
						  err) &&
		bkc_buffer_append(xml, text + inside, rule->end - inside, err);
}
