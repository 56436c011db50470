/*
 * put.c
 *		Headers of new objects, and creating one only when its name is free.
 *
 * The server decides who is first, by If-None-Match: *.  Some servers do not
 * know it and some pass over it in silence, so it is tried once for each
 * store, on an object of its own that nobody else writes.  Where it does not
 * work the name is looked up before it is written; then a race of two writers
 * is prevented by the rules of ownership alone.
 */
#include "store/s3/s3.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/host.h"
#include "base/text.h"
#include "store/s3/bucket.h"

/* The object that create-only is tried on.  Its name is one that listings never show. */
#define MARKER	BKC_STORE_TMP_PREFIX "create-only"

bool
bkc_s3_sse_c_headers(BkcS3Store *store, BkcS3Call *call, BkcError *err)
{
	if (store->sse_c_key[0] == '\0')
		return true;
	return bkc_s3_call_header(call, "x-amz-server-side-encryption-customer-algorithm", "AES256", err) &&
		bkc_s3_call_header(call, "x-amz-server-side-encryption-customer-key", store->sse_c_key, err) &&
		bkc_s3_call_header(call, "x-amz-server-side-encryption-customer-key-md5", store->sse_c_md5, err);
}

/* A chunk lives for minutes: it is neither locked nor put into a class that bills for months. */
bool
bkc_s3_lives_long(const char *name)
{
	BkcWalName	parsed;

	return !(bkc_name_parse_wal(name, &parsed) && parsed.type == BKC_WALNAME_CHUNK) &&
		strncmp(name, BKC_STORE_TMP_PREFIX, strlen(BKC_STORE_TMP_PREFIX)) != 0 &&
		strncmp(name, "probe/", 6) != 0;
}

/*
 * A key seals what is written after it: until the day or the backup is over.  A lock that ends
 * before that of the data would let somebody destroy data that are still locked.
 */
void
bkc_s3_lock_until(const BkcS3Store *store, const char *name, char until[BKC_S3_UNTIL_MAX])
{
	int64_t		days = store->config.lock_days;
	uint64_t	sysid;
	uint8_t		data[16];
	uint8_t		wrapping[8];

	if (bkc_name_parse_key(name, &sysid, data, wrapping))
		days += BKC_S3_KEY_DAYS;
	bkc_format_time(bkc_host->now() + store->clock_ahead + days * 86400 * 1000000, until,
					BKC_S3_UNTIL_MAX);

	/* whole seconds */
	memcpy(until + 19, "Z", 2);
}

static bool
lock_headers(BkcS3Store *store, BkcS3Call *call, const char *name, BkcError *err)
{
	char		until[BKC_S3_UNTIL_MAX];

	if (store->config.lock_mode == NULL)
		return true;
	bkc_s3_lock_until(store, name, until);
	call->send_md5 = call->body_len > 0;
	return bkc_s3_call_header(call, "x-amz-object-lock-mode", store->config.lock_mode, err) &&
		bkc_s3_call_header(call, "x-amz-object-lock-retain-until-date", until, err);
}

/*
 * What people see in the console of the bucket: "<sysid>/backups/<label>/..."
 * is named with its label, whose parts are start, type and suffix.  The last
 * object of a backup, its manifest, has the size as well.
 */
static bool
label_headers(const BkcS3Store *store, BkcS3Call *call, const char *name, BkcError *err)
{
	const char *label = strstr(name, "/backups/");
	const char *type;
	size_t		len;
	char		text[BKC_NAME_MAX];

	if (label == NULL)
		return true;
	label += strlen("/backups/");
	len = strcspn(label, "/");
	type = memchr(label, '-', len);
	if (type == NULL)
		return true;
	snprintf(text, sizeof(text), "%.*s", (int) len, label);
	if (!bkc_s3_call_header(call, "x-amz-meta-backup-label", text, err))
		return false;
	snprintf(text, sizeof(text), "%.*s", (int) (type - label), label);
	if (!bkc_s3_call_header(call, "x-amz-meta-backup-start", text, err))
		return false;
	snprintf(text, sizeof(text), "%.*s", (int) strcspn(type + 1, "-/"), type + 1);
	if (!bkc_s3_call_header(call, "x-amz-meta-backup-type", text, err))
		return false;
	if (store->base.backup_size == 0 || strcmp(label + len, "/manifest") != 0)
		return true;
	snprintf(text, sizeof(text), "%" PRIu64, store->base.backup_size);
	return bkc_s3_call_header(call, "x-amz-meta-backup-size", text, err);
}

/*
 * NULL: the bucket's.  An archive holds nothing that is read at once, so only bulk goes there; the
 * URL's other classes are for all that stays.
 */
static const char *
class_of(const BkcS3Store *store, const char *name)
{
	const BkcS3Config *c = &store->config;
	BkcWalName	parsed;

	if (!bkc_s3_lives_long(name))
		return NULL;
	if (bkc_name_is_bulk(name))
		return store->base.class[0] != '\0' ? store->base.class : NULL;
	if (c->wal_storage_class != NULL && bkc_name_parse_wal(name, &parsed))
		return c->wal_storage_class;
	if (c->storage_class == NULL || bkc_s3_is_archive(c->storage_class))
		return NULL;
	return c->storage_class;
}

bool
bkc_s3_object_headers(BkcS3Store *store, BkcS3Call *call, const char *name, const char *upload,
					  BkcError *err)
{
	const BkcS3Config *c = &store->config;
	bool		lasting = bkc_s3_lives_long(name);
	const char *class = class_of(store, name);

	return bkc_s3_call_header(call, "content-type", "application/octet-stream", err) &&
		bkc_s3_call_header(call, BKC_S3_META_UPLOAD, upload, err) &&
		label_headers(store, call, name, err) &&
		(c->sse == NULL ||
		 bkc_s3_call_header(call, "x-amz-server-side-encryption", c->sse, err)) &&
		(c->sse_kms_key == NULL ||
		 bkc_s3_call_header(call, "x-amz-server-side-encryption-aws-kms-key-id", c->sse_kms_key, err)) &&
		bkc_s3_sse_c_headers(store, call, err) &&
		(!lasting || c->tags == NULL || bkc_s3_call_header(call, "x-amz-tagging", c->tags, err)) &&
		(class == NULL || bkc_s3_call_header(call, "x-amz-storage-class", class, err)) &&
		(!lasting || lock_headers(store, call, name, err));
}

/* PUT of the marker; *there: the server says it is there already. */
static bool
put_marker(BkcS3Store *store, bool *there, BkcError *err)
{
	BkcS3Call	call;
	bool		ok;

	bkc_s3_call_init(&call, "PUT", MARKER);
	call.body = "create-only\n";
	call.body_len = strlen(call.body);
	ok = bkc_s3_object_headers(store, &call, MARKER, "marker", err) &&
		bkc_s3_call_header(&call, "if-none-match", "*", err) &&
		bkc_s3_call_run(store, &call, err);
	*there = !ok && err->code == BKC_ERR_EXISTS;
	bkc_s3_call_free(store, &call);
	return ok || *there;
}

bool
bkc_s3_learn_create(BkcS3Store *store, BkcError *err)
{
	bool		there = false;

	if (store->create != BKC_S3_CREATE_UNKNOWN)
		return true;

	/* made by the first, refused by the second; mostly it is there before */
	for (int i = 0; i < 2 && !there; i++)
	{
		if (put_marker(store, &there, err))
			continue;
		if (err->code != BKC_ERR_UNSUPPORTED)
			return false;
		break;
	}
	store->create = there ? BKC_S3_CREATE_ATOMIC : BKC_S3_CREATE_ASKED;
	if (!there)
		bkc_log(BKC_LOG_DEBUG, "repository \"%s\" cannot create objects only when absent; their names are looked up first",
				store->base.location);
	return true;
}

/* A GET of one byte: its reply has a document that says why when it is refused. */
bool
bkc_s3_ask(BkcS3Store *store, const char *name, BkcError *err)
{
	BkcS3Call	call;
	bool		ok;

	bkc_s3_call_init(&call, "GET", name);
	ok = bkc_s3_call_header(&call, "range", "bytes=0-0", err) &&
		bkc_s3_sse_c_headers(store, &call, err) &&
		bkc_s3_call_run(store, &call, err);
	bkc_s3_call_free(store, &call);

	/* an object of no bytes has no such range, but it is there */
	return ok || err->http_status == 416;
}

static bool
head(BkcS3Store *store, const char *name, const char *upload, bool *ours, uint64_t *size,
	 BkcError *err)
{
	BkcS3Call	call;
	char		text[128];
	bool		ok;

	bkc_s3_call_init(&call, "HEAD", name);
	ok = bkc_s3_sse_c_headers(store, &call, err) && bkc_s3_call_run(store, &call, err);
	if (ok && !bkc_http_header(&call.http, "etag", text, sizeof(text)))
		ok = bkc_error_set(err, BKC_ERR_STATE, "S3 describes an object without its ETag");
	if (ok && size != NULL &&
		(!bkc_http_header(&call.http, "content-length", text, sizeof(text)) ||
		 !bkc_parse_u64(text, INT64_MAX, size)))
		ok = bkc_error_set(err, BKC_ERR_CORRUPT, "S3 does not say how long object \"%s\" is", name);
	if (ok && ours != NULL)
		*ours = bkc_http_header(&call.http, BKC_S3_META_UPLOAD, text, sizeof(text)) &&
			strcmp(text, upload) == 0;
	bkc_s3_call_free(store, &call);
	return ok;
}

bool
bkc_s3_head(BkcS3Store *store, const char *name, const char *upload, bool *ours, uint64_t *size,
			BkcError *err)
{
	if (head(store, name, upload, ours, size, err))
		return true;
	if (err->http_status < 300 || err->http_status >= 500 || err->http_status == 404)
		return false;

	/*
	 * Refused.  Without a document nobody knows that the clock is wrong or that the credentials
	 * have expired; the GET finds out, and does about it what can be done.
	 */
	return bkc_s3_ask(store, name, err) && head(store, name, upload, ours, size, err);
}
