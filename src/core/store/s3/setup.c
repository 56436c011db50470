/*
 * setup.c
 *		Setting a bucket up: making it, versions, object lock, encryption.
 *
 * Each thing is asked for before it is changed: that makes a second call do
 * nothing, and a server that does not know a thing is never sent a request
 * that it may take for another one (a PUT of the bucket, say).
 */
#include "store/s3/bucket.h"

#include <stdio.h>
#include <string.h>

#include "base/host.h"

#define WAIT_SECONDS	30		/* for a new bucket to be seen */

bool
bkc_s3_is_aws(const BkcS3Config *config)
{
	static const char *const ends[] = {".amazonaws.com", ".amazonaws.com.cn"};
	size_t		len = strcspn(config->host, ":");

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
	{
		size_t		end = strlen(ends[i]);

		if (len > end && strncmp(config->host + len - end, ends[i], end) == 0)
			return true;
	}
	return false;
}

/* ---- telling ---- */

bool
bkc_s3_setup_tell(BkcS3Setup *s, const char *what, BkcStoreStepState state, BkcError *err,
				  const char *fmt,...)
{
	char		text[1024];
	va_list		args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return s->each(s->arg, &(BkcStoreStep) {what, state, text, NULL}, err);
}

bool
bkc_s3_setup_fail(BkcS3Setup *s, const char *what, uint32_t asked, const BkcError *why,
				  BkcError *err)
{
	const BkcError own = *why;
	bool		failed = ((s->options->asked | BKC_S3_SETUP_ALWAYS) & asked) != 0;
	size_t		len = strlen(s->failed);

	if (own.code == BKC_ERR_CANCELLED || own.code == BKC_ERR_NO_MEMORY ||
		own.code == BKC_ERR_UNAVAILABLE || own.code == BKC_ERR_TIMEOUT)
	{
		*err = own;
		return false;
	}
	if (failed)
	{
		if (len == 0)
			s->first = own;
		snprintf(s->failed + len, sizeof(s->failed) - len, "%s%s", len > 0 ? ", " : "", what);
	}
	return s->each(s->arg,
				   &(BkcStoreStep) {
					   what, failed ? BKC_STEP_FAILED : BKC_STEP_WARNING, own.message,
					   own.hint[0] != '\0' ? own.hint : NULL
				   }, err);
}

bool
bkc_s3_setup_unanswered(BkcS3Setup *s, const char *what, uint32_t asked, BkcS3Answer answer,
						const char *permission, BkcError *err)
{
	BkcError	why;

	if (answer == BKC_S3_DENIED)
		bkc_error_set(&why, BKC_ERR_ACCESS, "could not be asked (%s is not allowed)", permission);
	else
		bkc_error_set(&why, BKC_ERR_UNSUPPORTED, "the server does not know it");
	return bkc_s3_setup_fail(s, what, asked, &why, err);
}

bool
bkc_s3_setup_put(BkcS3Store *s3, const char *sub, const BkcBuffer *xml, const char *header,
				 const char *value, BkcError *err)
{
	BkcS3Call	call;
	bool		ok;

	bkc_s3_call_init(&call, "PUT", NULL);
	call.body = xml->data;
	call.body_len = xml->len;
	call.send_md5 = true;
	ok = bkc_s3_call_param(&call, sub, NULL, err) &&
		bkc_s3_call_header(&call, "content-type", "application/xml", err) &&
		(header == NULL || bkc_s3_call_header(&call, header, value, err)) &&
		bkc_s3_call_run(s3, &call, err);
	bkc_s3_call_free(s3, &call);
	return ok;
}

static const char *
verb(const BkcS3Setup *s)
{
	return s->options->dry_run ? "would be" : "was";
}

static BkcStoreStepState
state(const BkcS3Setup *s)
{
	return s->options->dry_run ? BKC_STEP_TO_DO : BKC_STEP_DONE;
}

/* ---- the bucket ---- */

static bool
head_bucket(BkcS3Store *s3, bool *there, BkcError *err)
{
	BkcS3Call	call;

	bkc_s3_call_init(&call, "HEAD", NULL);
	*there = bkc_s3_call_run(s3, &call, err);
	bkc_s3_call_free(s3, &call);
	if (*there || err->code == BKC_ERR_NOT_FOUND)
		return true;
	if (err->code == BKC_ERR_ACCESS)
		bkc_error_hint(err, "The bucket may belong to somebody else, then choose another name; or s3:ListBucket is not allowed.");
	return bkc_error_context(err, "could not look at bucket \"%s\"", s3->config.bucket);
}

/*
 * AWS wants the region said again, for all but the oldest one.  Others mostly
 * have one region, and a name for it that nobody has to know.
 */
static bool
put_bucket(BkcS3Store *s3, bool lock, bool constraint, bool *incompatible, BkcError *err)
{
	BkcBuffer	xml = {0};
	BkcS3Call	call;
	bool		ok = true;

	bkc_s3_call_init(&call, "PUT", NULL);
	if (constraint)
		ok = bkc_buffer_append_str(&xml, "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>", err) &&
			bkc_s3_xml_escape(&xml, s3->config.region, err) &&
			bkc_buffer_append_str(&xml, "</LocationConstraint></CreateBucketConfiguration>", err) &&
			bkc_s3_call_header(&call, "content-type", "application/xml", err);
	call.body = xml.data;
	call.body_len = xml.len;
	ok = ok &&
		(!lock || bkc_s3_call_header(&call, "x-amz-bucket-object-lock-enabled", "true", err)) &&
		bkc_s3_call_run(s3, &call, err);
	if (!ok && strcmp(call.s3_code, "BucketAlreadyOwnedByYou") == 0)
		ok = true;
	*incompatible = !ok && strcmp(call.s3_code, "IllegalLocationConstraintException") == 0;
	bkc_s3_call_free(s3, &call);
	bkc_buffer_free(&xml);
	return ok;
}

/* A bucket may be known to some parts of the service before it is to others. */
static bool
wait_for_bucket(BkcS3Store *s3, BkcError *err)
{
	bool		there = false;

	for (int i = 0; i < WAIT_SECONDS; i++)
	{
		if (!head_bucket(s3, &there, err))
			return false;
		if (there)
			return true;
		bkc_host->wait(1000);
		if (!bkc_host_check(err))
			return false;
	}
	return bkc_error_set(err, BKC_ERR_UNAVAILABLE,
						 "bucket \"%s\" was made, and is not seen yet", s3->config.bucket) ||
		bkc_error_hint(err, "Call repo-setup again in some minutes.");
}

static bool
make_bucket(BkcS3Store *s3, bool lock, BkcError *err)
{
	bool		constraint = bkc_s3_is_aws(&s3->config) &&
		strcmp(s3->config.region, "us-east-1") != 0;
	bool		incompatible;
	bool		there;
	BkcError	look;

	if (put_bucket(s3, lock, constraint, &incompatible, err) ||
		(incompatible && !constraint && put_bucket(s3, lock, true, &incompatible, err)))
		return wait_for_bucket(s3, err);

	/* somebody was faster, or our own attempt got through whose answer was lost */
	if (err->http_status == 409 && head_bucket(s3, &there, &look) && there)
		return true;
	if (err->http_status == 409)
		bkc_error_hint(err, "The name may be somebody else's: choose another one.");
	return bkc_error_context(err, "could not make bucket \"%s\"", s3->config.bucket);
}

static bool
setup_bucket(BkcS3Setup *s, BkcError *err)
{
	const char *bucket = s->s3->config.bucket;
	bool		there;

	if (!head_bucket(s->s3, &there, err))
		return false;
	if (there)
		return bkc_s3_setup_tell(s, "bucket", BKC_STEP_THERE, err, "\"%s\" is there", bucket);
	s->absent = s->options->dry_run;
	if (!s->options->dry_run && !make_bucket(s->s3, s->options->object_lock, err))
		return false;
	return bkc_s3_setup_tell(s, "bucket", state(s), err, "\"%s\" %s made%s", bucket, verb(s),
							 s->options->object_lock ? ", with object lock" : "");
}

/* ---- versions ---- */

static bool
setup_versioning(BkcS3Setup *s, BkcError *err)
{
	static const char what[] = "versioning";
	bool		on = s->options->versioning;
	BkcS3Bucket bucket = {.versioning_answer = BKC_S3_KNOWN};
	BkcBuffer	xml = {0};
	bool		ok;

	if (!s->absent && !bkc_s3_ask_versioning(s->s3, &bucket, err))
		return bkc_s3_setup_fail(s, what, BKC_SETUP_VERSIONING, err, err);
	if (bucket.versioning_answer != BKC_S3_KNOWN)
		return bkc_s3_setup_unanswered(s, what, BKC_SETUP_VERSIONING, bucket.versioning_answer,
									   bkc_s3_may_versioning, err);
	if (s->absent && s->options->object_lock)
		return bkc_s3_setup_tell(s, what, BKC_STEP_TO_DO, err, "would be on, as object lock needs it");
	if (bucket.versioning == on)
		return bkc_s3_setup_tell(s, what, BKC_STEP_THERE, err, "%s", on ? "is on" : "is off");
	if (!s->options->dry_run)
	{
		ok = bkc_buffer_printf(&xml, err, "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>%s</Status></VersioningConfiguration>",
							   on ? "Enabled" : "Suspended") &&
			bkc_s3_setup_put(s->s3, what, &xml, NULL, NULL, err);
		bkc_buffer_free(&xml);
		if (!ok)
			return bkc_s3_setup_fail(s, what, BKC_SETUP_VERSIONING, err, err);
	}
	return bkc_s3_setup_tell(s, what, state(s), err, "%s turned %s", verb(s), on ? "on" : "off");
}

/* ---- object lock ---- */

static bool
setup_lock(BkcS3Setup *s, BkcError *err)
{
	static const char what[] = "object lock";
	static const char document[] =
		"<ObjectLockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
		"<ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>";
	BkcS3Bucket bucket = {.lock_answer = BKC_S3_NONE};
	BkcBuffer	xml = {0};
	bool		ok;

	if (!s->options->object_lock || s->absent)
		return true;
	if (!bkc_s3_ask_lock(s->s3, &bucket, err))
		return bkc_s3_setup_fail(s, what, BKC_SETUP_LOCK, err, err);
	if (bucket.lock_answer != BKC_S3_KNOWN && bucket.lock_answer != BKC_S3_NONE)
		return bkc_s3_setup_unanswered(s, what, BKC_SETUP_LOCK, bucket.lock_answer,
									   bkc_s3_may_lock, err);
	if (bucket.lock)
		return bkc_s3_setup_tell(s, what, BKC_STEP_THERE, err, "is on");
	if (!s->options->dry_run)
	{
		ok = bkc_buffer_append_str(&xml, document, err) &&
			bkc_s3_setup_put(s->s3, "object-lock", &xml, NULL, NULL, err);
		bkc_buffer_free(&xml);
		if (!ok)
		{
			bkc_error_hint(err, "Many servers can turn it on only when a bucket is made: give --object-lock with the name of a new one.");
			return bkc_s3_setup_fail(s, what, BKC_SETUP_LOCK, err, err);
		}
	}
	return bkc_s3_setup_tell(s, what, state(s), err, "%s turned on%s", verb(s),
							 s->options->dry_run ? ", if the server can do that for a bucket that is there" : "");
}

/* ---- encryption ---- */

static bool
put_encryption(BkcS3Setup *s, BkcError *err)
{
	const BkcStoreSetup *o = s->options;
	bool		kms = strcmp(o->encryption, "aws:kms") == 0;
	BkcBuffer	xml = {0};
	bool		ok;

	ok = bkc_buffer_append_str(&xml, "<ServerSideEncryptionConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>", err) &&
		bkc_s3_xml_escape(&xml, o->encryption, err) &&
		bkc_buffer_append_str(&xml, "</SSEAlgorithm>", err) &&
		(o->kms_key == NULL ||
		 (bkc_buffer_append_str(&xml, "<KMSMasterKeyID>", err) &&
		  bkc_s3_xml_escape(&xml, o->kms_key, err) &&
		  bkc_buffer_append_str(&xml, "</KMSMasterKeyID>", err))) &&
		bkc_buffer_append_str(&xml, "</ApplyServerSideEncryptionByDefault>", err) &&

	/* one call of KMS for many objects, which is what they cost */
		(!kms || bkc_buffer_append_str(&xml, "<BucketKeyEnabled>true</BucketKeyEnabled>", err)) &&
		bkc_buffer_append_str(&xml, "</Rule></ServerSideEncryptionConfiguration>", err) &&
		bkc_s3_setup_put(s->s3, "encryption", &xml, NULL, NULL, err);
	bkc_buffer_free(&xml);
	return ok;
}

static bool
setup_encryption(BkcS3Setup *s, BkcError *err)
{
	static const char what[] = "encryption";
	const BkcStoreSetup *o = s->options;
	BkcS3Bucket bucket = {.encryption_answer = BKC_S3_NONE};
	bool		same;

	if (o->encryption == NULL)
		return true;
	if (!s->absent && !bkc_s3_ask_encryption(s->s3, &bucket, err))
		return bkc_s3_setup_fail(s, what, BKC_SETUP_ENCRYPTION, err, err);
	if (bucket.encryption_answer != BKC_S3_KNOWN && bucket.encryption_answer != BKC_S3_NONE)
		return bkc_s3_setup_unanswered(s, what, BKC_SETUP_ENCRYPTION, bucket.encryption_answer,
									   bkc_s3_may_encryption, err);
	same = strcmp(bucket.encryption, o->encryption) == 0 &&
		(o->kms_key == NULL || strcmp(bucket.kms_key, o->kms_key) == 0);

	/* the default takes nothing better away */
	if (same || (bucket.encryption[0] != '\0' && (o->asked & BKC_SETUP_ENCRYPTION) == 0))
		return bkc_s3_setup_tell(s, what, BKC_STEP_THERE, err, "is %s", bucket.encryption);
	if (!o->dry_run && !put_encryption(s, err))
		return bkc_s3_setup_fail(s, what, BKC_SETUP_ENCRYPTION, err, err);
	return bkc_s3_setup_tell(s, what, state(s), err, "%s set to %s", verb(s), o->encryption);
}

/* ---- all of it ---- */

/* A URL with lock_mode asks for a bucket with object lock. */
static bool
wants_lock(const BkcS3Store *s3, const BkcStoreSetup *options)
{
	return options->object_lock || s3->config.lock_mode != NULL;
}

static bool
s3_setup_check(BkcStore *store, const BkcStoreSetup *options, BkcError *err)
{
	const BkcS3Store *s3 = (const BkcS3Store *) store;

	if (wants_lock(s3, options) && !options->versioning)
	{
		bkc_error_set(err, BKC_ERR_INVALID, "object lock needs versioning");
		return bkc_error_hint(err, "Object lock is asked for by --object-lock, or by lock_mode in the repository's URL.");
	}
	if (options->kms_key != NULL &&
		(options->encryption == NULL || strcmp(options->encryption, "aws:kms") != 0))
	{
		bkc_error_set(err, BKC_ERR_INVALID, "a KMS key is of no use without encryption by KMS");
		return bkc_error_hint(err, "Add --encryption aws:kms.");
	}
	return bkc_s3_setup_rules_check(s3, options, err);
}

static bool
s3_setup(BkcStore *store, const BkcStoreSetup *options, BkcStoreStepEach each, void *arg,
		 BkcError *err)
{
	BkcStoreSetup own = *options;
	BkcS3Setup	s = {
		.s3 = (BkcS3Store *) store,
		.options = &own,
		.each = each,
		.arg = arg,
	};

	own.object_lock = wants_lock(s.s3, options);
	if (own.object_lock)
		own.asked |= BKC_SETUP_LOCK;
	if (!setup_bucket(&s, err) ||
		!setup_versioning(&s, err) ||	/* before the lock, which needs it */
		!setup_lock(&s, err) ||
		!setup_encryption(&s, err) ||
		!bkc_s3_setup_rules(&s, err))
		return bkc_error_context(err, "could not set up repository \"%s\"", store->location);
	if (s.failed[0] == '\0')
		return true;
	bkc_error_set(err, s.first.code, "repository \"%s\" could not be set up as asked: %s",
				  store->location, s.failed);
	return bkc_error_hint(err, "%s", s.first.hint);
}

const BkcStoreSetupOps bkc_s3_setup_ops = {
	.check = s3_setup_check,
	.run = s3_setup,
};
