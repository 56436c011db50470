/*
 * describe.c
 *		What a bucket says about itself, as findings.
 */
#include "store/s3/bucket.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char hint_setup[] = "\"pg_backupctl repo-setup\" changes that.";

typedef struct Describe
{
	BkcS3Store *s3;
	BkcStoreFindingEach each;
	void	   *arg;
	BkcS3Bucket bucket;
	BkcS3Lifecycle lifecycle;
} Describe;

/* hint may be NULL */
static bool BKC_PRINTF(6, 7)
tell(Describe *d, const char *what, BkcStoreLevel level, const char *hint, BkcError *err,
	 const char *fmt,...)
{
	char		text[1024];
	va_list		args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return d->each(d->arg, &(BkcStoreFinding) {what, level, text, hint}, err);
}

static bool
tell_unanswered(Describe *d, const char *what, BkcS3Answer answer, const char *permission,
				BkcError *err)
{
	if (answer == BKC_S3_DENIED)
		return tell(d, what, BKC_STORE_NOTE, NULL, err,
					"could not be asked (%s is not allowed)", permission);
	return tell(d, what, BKC_STORE_NOTE, NULL, err, "the server does not know it");
}

static bool
describe_versioning(Describe *d, BkcError *err)
{
	static const char what[] = "versioning";

	if (!bkc_s3_ask_versioning(d->s3, &d->bucket, err))
		return false;
	if (d->bucket.versioning_answer != BKC_S3_KNOWN)
		return tell_unanswered(d, what, d->bucket.versioning_answer, bkc_s3_may_versioning, err);
	if (d->bucket.versioning)
		return tell(d, what, BKC_STORE_OK, NULL, err, "on");
	return tell(d, what, BKC_STORE_NOTE, hint_setup, err,
				"off: what somebody removes by mistake is lost at once");
}

static bool
describe_encryption(Describe *d, BkcError *err)
{
	static const char what[] = "encryption";
	const BkcS3Config *c = &d->s3->config;

	if (!bkc_s3_ask_encryption(d->s3, &d->bucket, err))
		return false;
	if (c->sse != NULL)
		return tell(d, what, BKC_STORE_OK, NULL, err, "%s, by the repository's URL", c->sse);
	if (c->sse_c_key_file != NULL)
		return tell(d, what, BKC_STORE_OK, NULL, err, "with a key of ours, by the repository's URL");
	if (d->bucket.encryption_answer != BKC_S3_KNOWN && d->bucket.encryption_answer != BKC_S3_NONE)
		return tell_unanswered(d, what, d->bucket.encryption_answer, bkc_s3_may_encryption, err);
	if (d->bucket.encryption[0] != '\0')
		return tell(d, what, BKC_STORE_OK, NULL, err, "%s", d->bucket.encryption);
	return tell(d, what, BKC_STORE_NOTE, hint_setup, err,
				"off: the server does not encrypt objects by itself");
}

static bool
describe_lock(Describe *d, BkcError *err)
{
	static const char what[] = "object lock";
	const BkcS3Bucket *b = &d->bucket;

	if (!bkc_s3_ask_lock(d->s3, &d->bucket, err))
		return false;
	if (b->lock_answer == BKC_S3_KNOWN && b->lock)
		return b->lock_mode[0] == '\0' ? tell(d, what, BKC_STORE_OK, NULL, err, "on")
			: tell(d, what, BKC_STORE_OK, NULL, err, "on, by default for %s (%s)", b->lock_time,
				   b->lock_mode);
	if (b->lock_answer == BKC_S3_DENIED)
		return tell_unanswered(d, what, b->lock_answer, bkc_s3_may_lock, err);
	if (d->s3->config.lock_mode != NULL)
		return tell(d, what, BKC_STORE_WARNING,
					"Make a bucket with \"pg_backupctl repo-setup --object-lock\", or take lock_mode and lock_days out of the URL.",
					err, "off, but the repository's URL has lock_mode: nothing can be written");
	if (b->lock_answer == BKC_S3_STRANGE)
		return tell_unanswered(d, what, b->lock_answer, bkc_s3_may_lock, err);
	return tell(d, what, BKC_STORE_OK, NULL, err, "off");
}

/* Rules that the bucket has, whoever made them. */
static bool
describe_rules(Describe *d, BkcError *err)
{
	static const char what[] = "lifecycle";
	const BkcS3Lifecycle *l = &d->lifecycle;
	bool		harm = false;
	bool		ends = false;
	char		text[512];

	for (size_t i = 0; i < l->n; i++)
	{
		ends = ends || (l->rules[i].noncurrent_days > 0 &&
						bkc_s3_rule_covers(d->s3, &l->rules[i]));
		if (!bkc_s3_rule_harm(d->s3, &l->rules[i], text, sizeof(text)))
			continue;
		harm = true;
		if (!tell(d, what, BKC_STORE_WARNING,
				  "Remove the rule, or limit it to a prefix outside the repository.", err, "%s", text))
			return false;
	}
	if (harm)
		return true;
	if (d->bucket.versioning && !ends)
		return tell(d, what, BKC_STORE_NOTE, hint_setup, err,
					"no rule ends former versions: what is removed stays, and is paid for, for ever");
	return tell(d, what, BKC_STORE_OK, NULL, err,
				"no rule removes objects, or moves them to where they cannot be read");
}

static bool
describe_aborts(Describe *d, BkcError *err)
{
	const BkcS3Lifecycle *l = &d->lifecycle;

	for (size_t i = 0; i < l->n; i++)
	{
		if (l->rules[i].abort_days > 0 && bkc_s3_rule_covers(d->s3, &l->rules[i]))
			return tell(d, "aborted uploads", BKC_STORE_OK, NULL, err,
						"rule \"%s\" ends unfinished uploads after %d days", l->rules[i].id,
						l->rules[i].abort_days);
	}
	return tell(d, "aborted uploads", BKC_STORE_NOTE, hint_setup, err,
				"no rule ends unfinished uploads: their parts are paid for until somebody aborts them");
}

static bool
describe_lifecycle(Describe *d, BkcError *err)
{
	bool		ok = bkc_s3_ask_lifecycle(d->s3, &d->lifecycle, err);
	BkcS3Answer answer = d->lifecycle.answer;

	if (ok && answer != BKC_S3_KNOWN && answer != BKC_S3_NONE)
		ok = tell_unanswered(d, "lifecycle", answer, bkc_s3_may_lifecycle, err);
	else
		ok = ok && describe_rules(d, err) && describe_aborts(d, err);
	bkc_s3_lifecycle_free(&d->lifecycle);
	return ok;
}

static bool
describe_uploads(Describe *d, BkcError *err)
{
	static const char what[] = "unfinished uploads";
	uint64_t	n;

	if (!bkc_s3_count_uploads(d->s3, BKC_STORE_OLD_SECONDS, &n, err))
	{
		if (err->http_status == 403 && err->code == BKC_ERR_ACCESS)
			return tell_unanswered(d, what, BKC_S3_DENIED,
								   "s3:ListBucketMultipartUploads or s3:ListMultipartUploadParts",
								   err);
		if (err->code == BKC_ERR_UNSUPPORTED)
			return tell_unanswered(d, what, BKC_S3_STRANGE, NULL, err);
		return false;
	}
	if (n == 0)
		return tell(d, what, BKC_STORE_OK, NULL, err, "none is older than 24 hours");
	return tell(d, what, BKC_STORE_NOTE,
				"The server that owns the repository aborts them when it starts, and in backup_check().",
				err, "%" PRIu64 " older than 24 hours", n);
}

bool
bkc_s3_describe(BkcStore *store, BkcStoreFindingEach each, void *arg, BkcError *err)
{
	Describe	d = {.s3 = (BkcS3Store *) store, .each = each, .arg = arg};

	return describe_versioning(&d, err) &&
		describe_encryption(&d, err) &&
		describe_lock(&d, err) &&
		describe_lifecycle(&d, err) &&
		describe_uploads(&d, err);
}
