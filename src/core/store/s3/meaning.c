/*
 * meaning.c
 *		What a reply of S3 means.
 *
 * The code in the error document decides where there is one; the HTTP status
 * otherwise (a reply to HEAD has no body).
 */
#include "store/s3/s3.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

typedef struct Document
{
	bool		is_error;
	bool		is_answer;
	const char *answer;			/* as in the call */
	char		code[64];
	char		message[256];
	char		request_id[128];
	char		region[64];
	char		class[BKC_STORE_CLASS_MAX];
} Document;

static const struct
{
	const char *s3_code;
	BkcErrorCode code;
	const char *hint;			/* or NULL */
}			codes[] = {
	{"NoSuchKey", BKC_ERR_NOT_FOUND, NULL},
	{"NoSuchUpload", BKC_ERR_NOT_FOUND, NULL},
	{"NoSuchVersion", BKC_ERR_NOT_FOUND, NULL},
	{"NoSuchBucket", BKC_ERR_STATE, "Create the bucket, for example by \"pg_backupctl repo-setup\", or check its name and the endpoint in the repository's URL."},
	{"PreconditionFailed", BKC_ERR_EXISTS, NULL},
	{"ConditionalRequestConflict", BKC_ERR_UNAVAILABLE, NULL},
	{"OperationAborted", BKC_ERR_UNAVAILABLE, NULL},
	{"AccessDenied", BKC_ERR_ACCESS, "Check the policy of the user or role and of the bucket; the documentation lists what is needed."},
	{"InvalidAccessKeyId", BKC_ERR_ACCESS, "The server does not know this access key: check which credentials are used."},
	{"SignatureDoesNotMatch", BKC_ERR_ACCESS, "The secret key does not belong to the access key."},
	{"ExpiredToken", BKC_ERR_ACCESS, "The credentials have expired."},
	{"InvalidToken", BKC_ERR_ACCESS, "The session token is not valid."},
	{"TokenRefreshRequired", BKC_ERR_ACCESS, "The credentials have expired."},
	{"RequestTimeTooSkewed", BKC_ERR_ACCESS, "Set the clock of this machine."},
	{"AuthorizationHeaderMalformed", BKC_ERR_INVALID, "Check \"region\" in the repository's URL."},
	{"PermanentRedirect", BKC_ERR_INVALID, "Check \"region\" and \"endpoint\" in the repository's URL."},
	{"TemporaryRedirect", BKC_ERR_INVALID, "Check \"region\" and \"endpoint\" in the repository's URL."},
	{"IllegalLocationConstraintException", BKC_ERR_INVALID, "Check \"region\" in the repository's URL."},
	{"InvalidStorageClass", BKC_ERR_INVALID, "Check the class that the backup was told, and \"storage_class\" and \"wal_storage_class\" in the repository's URL."},
	{"InvalidObjectState", BKC_ERR_ARCHIVED, "It is in an archive class and must be thawed first, which takes hours: \"pg_backupctl restore --thaw\" requests that for the packs of a backup."},
	{"BadDigest", BKC_ERR_UNAVAILABLE, NULL},	/* changed on the way */
	{"XAmzContentSHA256Mismatch", BKC_ERR_UNAVAILABLE, NULL},
	{"IncompleteBody", BKC_ERR_UNAVAILABLE, NULL},
	{"RequestTimeout", BKC_ERR_UNAVAILABLE, NULL},
	{"SlowDown", BKC_ERR_UNAVAILABLE, NULL},
	{"Throttling", BKC_ERR_UNAVAILABLE, NULL},
	{"InternalError", BKC_ERR_UNAVAILABLE, NULL},
	{"ServiceUnavailable", BKC_ERR_UNAVAILABLE, NULL},
	{"QuotaExceeded", BKC_ERR_NO_SPACE, NULL},
	{"XMinioStorageFull", BKC_ERR_NO_SPACE, NULL},
	{"NotImplemented", BKC_ERR_UNSUPPORTED, NULL},
	{"MethodNotAllowed", BKC_ERR_UNSUPPORTED, NULL},
};

static const struct
{
	int			from;
	int			to;
	BkcErrorCode code;
}			statuses[] = {
	{401, 401, BKC_ERR_ACCESS},
	{403, 403, BKC_ERR_ACCESS},
	{405, 405, BKC_ERR_UNSUPPORTED},
	{408, 408, BKC_ERR_UNAVAILABLE},
	{409, 409, BKC_ERR_STATE},
	{412, 412, BKC_ERR_EXISTS},
	{425, 425, BKC_ERR_UNAVAILABLE},
	{429, 429, BKC_ERR_UNAVAILABLE},
	{500, 500, BKC_ERR_UNAVAILABLE},
	{501, 501, BKC_ERR_UNSUPPORTED},
	{507, 507, BKC_ERR_NO_SPACE},
	{502, 599, BKC_ERR_UNAVAILABLE},
	{300, 499, BKC_ERR_INVALID},
};

static bool
take_element(void *arg, const char *path, const char *text, BkcError *err)
{
	Document   *d = arg;
	const struct
	{
		const char *path;
		char	   *out;
		size_t		len;
	}			wanted[] = {
		{"Code", d->code, sizeof(d->code)},
		{"Message", d->message, sizeof(d->message)},
		{"RequestId", d->request_id, sizeof(d->request_id)},
		{"Region", d->region, sizeof(d->region)},
		{"StorageClass", d->class, sizeof(d->class)},
	};

	if (path[0] == '\0' && text != NULL)
	{
		d->is_error = strcmp(text, "Error") == 0;
		d->is_answer = d->answer != NULL && strcmp(text, d->answer) == 0;
	}
	for (size_t i = 0; d->is_error && text != NULL && i < sizeof(wanted) / sizeof(wanted[0]); i++)
	{
		if (strcmp(path, wanted[i].path) == 0)
			snprintf(wanted[i].out, wanted[i].len, "%.*s",
					 bkc_text_clip(text, strlen(text), wanted[i].len - 1), text);
	}
	return true;
}

/* What the body says when it is an error document.  false when it is no whole document at all. */
static bool
read_document(const BkcS3Call *call, Document *d)
{
	const BkcBuffer *reply = &call->http.reply;
	BkcError	ignored;

	memset(d, 0, sizeof(*d));
	d->answer = call->answer;
	return reply->len > 0 && bkc_s3_xml(reply->data, reply->len, take_element, d, &ignored);
}

static void
find_code(const BkcS3Call *call, const Document *d, BkcErrorCode *code, const char **hint)
{
	int			status = call->http.status;

	*hint = NULL;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
	{
		if (strcmp(codes[i].s3_code, d->code) == 0)
		{
			*code = codes[i].code;
			*hint = codes[i].hint;
			return;
		}
	}

	/*
	 * "Not found" means proven absent.  HEAD has nothing but the status, and
	 * whoever draws conclusions asks again; any other 404 without a code that
	 * we know may come from some other server in between.
	 */
	*code = BKC_ERR_INTERNAL;
	if (status == 404)
	{
		*code = strcmp(call->method, "HEAD") == 0 ? BKC_ERR_NOT_FOUND : BKC_ERR_STATE;
		if (d->code[0] == '\0')
			*hint = "Check the endpoint in the repository's URL: this is not how S3 answers.";
		return;
	}
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
	{
		if (status >= statuses[i].from && status <= statuses[i].to)
		{
			*code = statuses[i].code;
			return;
		}
	}
}

/* The region that a reply names, in a header or the document. */
static bool
other_region(const BkcS3Store *store, const BkcS3Call *call, const Document *d, char *out,
			 size_t outlen)
{
	if (!bkc_http_header(&call->http, "x-amz-bucket-region", out, outlen))
		snprintf(out, outlen, "%s", d->region);
	return out[0] != '\0' && strcmp(out, store->config.region) != 0;
}

bool
bkc_s3_meaning(BkcS3Store *store, BkcS3Call *call)
{
	BkcError   *err = &call->error;
	Document	d;
	BkcErrorCode code;
	const char *hint;
	char		region[64];
	char		id[128];
	bool		document;

	call->s3_code[0] = '\0';
	if (call->http.status >= 200 && call->http.status < 300 && !call->error_in_200 &&
		strcmp(call->method, "GET") == 0)
		return true;			/* of an object, which may look like anything */
	document = read_document(call, &d);
	if (call->http.status >= 200 && call->http.status < 300)
	{
		/* anything may answer 200 with a document of its own */
		if (document && !d.is_error && call->answer != NULL && !d.is_answer)
			document = false;
		else if (call->error_in_200 ? document && !d.is_error : !document || !d.is_error)
			return true;
		if (!document)
		{
			bkc_error_set(err, BKC_ERR_UNAVAILABLE,
						  "S3 answered %d without the document that belongs to it",
						  call->http.status);
			return false;
		}
	}
	snprintf(call->s3_code, sizeof(call->s3_code), "%s", d.code);
	find_code(call, &d, &code, &hint);

	/* an error in the place of a result is passing trouble, whatever it says */
	if (call->http.status < 300 && code != BKC_ERR_NOT_FOUND && code != BKC_ERR_EXISTS)
		code = BKC_ERR_UNAVAILABLE;

	bkc_error_set(err, code, "S3 answered %d%s%s%s%s%s", call->http.status,
				  d.code[0] != '\0' ? " " : "", d.code,
				  d.message[0] != '\0' ? " (" : "", d.message, d.message[0] != '\0' ? ")" : "");
	err->http_status = call->http.status;
	if (!bkc_http_header(&call->http, "x-amz-request-id", id, sizeof(id)))
		snprintf(id, sizeof(id), "%s", d.request_id);
	bkc_error_detail(err, "%s %s, request id %s%s%s.", call->method, store->config.origin,
					 id[0] != '\0' ? id : "not given", d.class[0] != '\0' ? ", storage class " : "", d.class);
	if (hint != NULL)
		bkc_error_hint(err, "%s", hint);
	if (code == BKC_ERR_INVALID && other_region(store, call, &d, region, sizeof(region)))
		bkc_error_hint(err, "The bucket is in region \"%s\": write region=%s in the repository's URL.",
					   region, region);
	return false;
}
