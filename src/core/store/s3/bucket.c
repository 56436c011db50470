/*
 * bucket.c
 *		Questions to a bucket about its configuration.
 *
 * "Nothing configured" has a code of its own for each kind.  Servers other than
 * AWS's may not know a question: some say so, and some pass over the parameter
 * and answer with a listing, so that the kind of document is looked at.
 */
#include "store/s3/bucket.h"

#include <stdio.h>
#include <string.h>

const char bkc_s3_may_versioning[] = "s3:GetBucketVersioning";
const char bkc_s3_may_encryption[] = "s3:GetEncryptionConfiguration";
const char bkc_s3_may_lock[] = "s3:GetBucketObjectLockConfiguration";
const char bkc_s3_may_lifecycle[] = "s3:GetLifecycleConfiguration";

typedef struct Reply
{
	const char *root;
	bool		right;
	BkcS3XmlEach each;
	void	   *arg;
} Reply;

static bool
take_element(void *arg, const char *path, const char *text, BkcError *err)
{
	Reply	   *r = arg;

	if (path[0] == '\0')
	{
		r->right = text != NULL && strcmp(text, r->root) == 0;
		return true;
	}
	return !r->right || r->each(r->arg, path, text, err);
}

/* An error as an answer; false when it is none. */
static bool
error_answer(const BkcS3Call *call, BkcS3Answer *answer)
{
	static const char *const none[] = {
		"NoSuchLifecycleConfiguration", "ObjectLockConfigurationNotFoundError",
		"ServerSideEncryptionConfigurationNotFoundError"
	};

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
	{
		if (strcmp(call->s3_code, none[i]) == 0)
		{
			*answer = BKC_S3_NONE;
			return true;
		}
	}
	if (strcmp(call->s3_code, "AccessDenied") == 0)
		*answer = BKC_S3_DENIED;
	else if (call->error.code == BKC_ERR_UNSUPPORTED)
		*answer = BKC_S3_STRANGE;
	else
		return false;
	return true;
}

static bool
add_params(BkcS3Call *call, const BkcS3Question *q, BkcError *err)
{
	/* in the order of names; "versions", the only one with others, is the last of them */
	return (q->key_marker == NULL || bkc_s3_call_param(call, "key-marker", q->key_marker, err)) &&
		(q->prefix == NULL || bkc_s3_call_param(call, "prefix", q->prefix, err)) &&
		(q->id_marker == NULL ||
		 bkc_s3_call_param(call, "version-id-marker", q->id_marker, err)) &&
		bkc_s3_call_param(call, q->sub, NULL, err);
}

bool
bkc_s3_bucket_ask(BkcS3Store *s3, const BkcS3Question *q, BkcS3XmlEach each, void *arg,
				  BkcS3Answer *answer, BkcError *err)
{
	Reply		reply = {.root = q->root, .each = each, .arg = arg};
	BkcS3Call	call;
	bool		ok;

	bkc_s3_call_init(&call, "GET", NULL);
	call.error_in_200 = true;
	ok = add_params(&call, q, err);
	if (ok && bkc_s3_call_run(s3, &call, err))
	{
		const BkcBuffer *body = &call.http.reply;

		ok = bkc_s3_xml(body->data, body->len, take_element, &reply, err) &&
			(q->text == NULL || bkc_buffer_append(q->text, body->data, body->len, err));
		*answer = reply.right ? BKC_S3_KNOWN : BKC_S3_STRANGE;
		if (q->header != NULL && !bkc_http_header(&call.http, q->header_name, q->header, 64))
			q->header[0] = '\0';
	}
	else if (ok)
		ok = call.done && error_answer(&call, answer);
	bkc_s3_call_free(s3, &call);
	if (ok)
		return true;
	return bkc_error_context(err, "could not ask for \"%s\" of bucket \"%s\"", q->sub,
							 s3->config.bucket);
}

/* ---- single things ---- */

static bool
take_versioning(void *arg, const char *path, const char *text, BkcError *err)
{
	BkcS3Bucket *bucket = arg;

	if (text != NULL && strcmp(path, "Status") == 0)
		bucket->versioning = strcmp(text, "Enabled") == 0;
	return true;
}

bool
bkc_s3_ask_versioning(BkcS3Store *s3, BkcS3Bucket *bucket, BkcError *err)
{
	const BkcS3Question question = {.sub = "versioning", .root = "VersioningConfiguration"};

	bucket->versioning = false;
	return bkc_s3_bucket_ask(s3, &question, take_versioning, bucket,
							 &bucket->versioning_answer, err);
}

static bool
take_encryption(void *arg, const char *path, const char *text, BkcError *err)
{
	BkcS3Bucket *bucket = arg;

	if (text == NULL)
		return true;
	if (strcmp(path, "Rule/ApplyServerSideEncryptionByDefault/SSEAlgorithm") == 0)
		snprintf(bucket->encryption, sizeof(bucket->encryption), "%s", text);
	else if (strcmp(path, "Rule/ApplyServerSideEncryptionByDefault/KMSMasterKeyID") == 0)
		snprintf(bucket->kms_key, sizeof(bucket->kms_key), "%s", text);
	return true;
}

bool
bkc_s3_ask_encryption(BkcS3Store *s3, BkcS3Bucket *bucket, BkcError *err)
{
	const BkcS3Question question = {
		.sub = "encryption",
		.root = "ServerSideEncryptionConfiguration",
	};

	bucket->encryption[0] = bucket->kms_key[0] = '\0';
	return bkc_s3_bucket_ask(s3, &question, take_encryption, bucket,
							 &bucket->encryption_answer, err);
}

static bool
take_lock(void *arg, const char *path, const char *text, BkcError *err)
{
	BkcS3Bucket *bucket = arg;

	if (text == NULL)
		return true;
	if (strcmp(path, "ObjectLockEnabled") == 0)
		bucket->lock = strcmp(text, "Enabled") == 0;
	else if (strcmp(path, "Rule/DefaultRetention/Mode") == 0)
		snprintf(bucket->lock_mode, sizeof(bucket->lock_mode), "%s", text);
	else if (strcmp(path, "Rule/DefaultRetention/Days") == 0)
		snprintf(bucket->lock_time, sizeof(bucket->lock_time), "%.12s days", text);
	else if (strcmp(path, "Rule/DefaultRetention/Years") == 0)
		snprintf(bucket->lock_time, sizeof(bucket->lock_time), "%.12s years", text);
	return true;
}

bool
bkc_s3_ask_lock(BkcS3Store *s3, BkcS3Bucket *bucket, BkcError *err)
{
	const BkcS3Question question = {.sub = "object-lock", .root = "ObjectLockConfiguration"};

	bucket->lock = false;
	bucket->lock_mode[0] = bucket->lock_time[0] = '\0';
	return bkc_s3_bucket_ask(s3, &question, take_lock, bucket, &bucket->lock_answer, err);
}
