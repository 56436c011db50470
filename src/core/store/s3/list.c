/*
 * list.c
 *		Listings, page by page: objects, and uploads that were never completed.
 *
 * The age of an upload is taken between two times of the server.  It counts from
 * the newest part: a large object may take longer than any limit, and an upload
 * that is still being worked on is somebody's.
 */
#include "store/s3/s3.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store/s3/multipart.h"

typedef struct Entry
{
	char	   *key;
	char	   *id;				/* of an upload, else NULL */
	uint64_t	size;
	int64_t		begun;			/* an upload; 0 when not known */
	char		class[BKC_STORE_CLASS_MAX]; /* an object; "" when the server does not say it */
} Entry;

typedef struct Page
{
	bool		encoded;		/* keys are percent-encoded */
	bool		truncated;
	int64_t		now;			/* the server's clock; 0 when not known */
	char	   *token;			/* where the next page begins */
	char	   *id_marker;
	Entry	   *entries;
	size_t		n;
	size_t		cap;
	Entry		building;
} Page;

static void
page_reset(Page *page)
{
	for (size_t i = 0; i < page->n; i++)
	{
		free(page->entries[i].key);
		free(page->entries[i].id);
	}
	page->n = 0;
	free(page->building.key);
	free(page->building.id);
	memset(&page->building, 0, sizeof(page->building));
	page->encoded = page->truncated = false;
	free(page->token);
	free(page->id_marker);
	page->token = page->id_marker = NULL;
}

static void
page_free(Page *page)
{
	page_reset(page);
	free(page->entries);
	memset(page, 0, sizeof(*page));
}

static bool
keep(char **out, const char *text, BkcError *err)
{
	free(*out);
	*out = strdup(text);
	return *out != NULL || bkc_error_oom(err);
}

/* Undoes encoding-type=url. */
void
bkc_s3_decode(char *text)
{
	char	   *out = text;

	for (; *text != '\0'; text++)
	{
		uint8_t		byte;
		char		digits[3] = {0};

		if (*text == '%' && text[1] != '\0' && text[2] != '\0')
		{
			memcpy(digits, text + 1, 2);
			if (bkc_hex_decode(digits, &byte, 1) && byte != 0)
			{
				*out++ = (char) byte;
				text += 2;
				continue;
			}
		}
		*out++ = *text == '+' ? ' ' : *text;
	}
	*out = '\0';
}

/* An object, a folder or an upload is whole. */
static bool
push(Page *page, BkcError *err)
{
	if (page->building.key == NULL)
		return true;
	if (page->n == page->cap)
	{
		size_t		cap = page->cap == 0 ? 128 : page->cap * 2;
		Entry	   *bigger = realloc(page->entries, cap * sizeof(*bigger));

		if (bigger == NULL)
			return bkc_error_oom(err);
		page->entries = bigger;
		page->cap = cap;
	}
	page->entries[page->n++] = page->building;
	memset(&page->building, 0, sizeof(page->building));
	return true;
}

static bool
take_element(void *arg, const char *path, const char *text, BkcError *err)
{
	Page	   *page = arg;
	Entry	   *e = &page->building;

	if (text == NULL)
		return (strcmp(path, "Contents") != 0 && strcmp(path, "CommonPrefixes") != 0 &&
				strcmp(path, "Upload") != 0) || push(page, err);
	if (strcmp(path, "Contents/Key") == 0 || strcmp(path, "CommonPrefixes/Prefix") == 0 ||
		strcmp(path, "Upload/Key") == 0)
		return keep(&e->key, text, err);
	if (strcmp(path, "Upload/UploadId") == 0)
		return keep(&e->id, text, err);
	if (strcmp(path, "Upload/Initiated") == 0)
	{
		if (!bkc_s3_parse_time(text, &e->begun))
			e->begun = 0;
		return true;
	}
	if (strcmp(path, "Contents/Size") == 0)
		return bkc_parse_u64(text, INT64_MAX, &e->size) ||
			bkc_error_set(err, BKC_ERR_CORRUPT, "S3 lists an object of size \"%.32s\"", text);
	if (strcmp(path, "Contents/StorageClass") == 0)
	{
		snprintf(e->class, sizeof(e->class), "%s", text);
		return true;
	}
	if (strcmp(path, "NextContinuationToken") == 0 || strcmp(path, "NextKeyMarker") == 0)
		return keep(&page->token, text, err);
	if (strcmp(path, "NextUploadIdMarker") == 0)
		return keep(&page->id_marker, text, err);
	if (strcmp(path, "IsTruncated") == 0)
		page->truncated = strcmp(text, "true") == 0;
	else if (strcmp(path, "EncodingType") == 0)
		page->encoded = strcmp(text, "url") == 0;
	return true;
}

static int
by_key(const void *a, const void *b)
{
	return strcmp(((const Entry *) a)->key, ((const Entry *) b)->key);
}

/* One page: objects (uploads == false) or uploads. */
static bool
get_page(BkcS3Store *store, const char *prefix, bool deep, bool uploads, Page *page, BkcError *err)
{
	char		full[1024 + BKC_NAME_MAX];
	BkcS3Call	call;
	bool		ok;

	snprintf(full, sizeof(full), "%s%s", store->config.prefix, prefix);
	bkc_s3_call_init(&call, "GET", NULL);
	call.error_in_200 = true;
	call.answer = uploads ? "ListMultipartUploadsResult" : "ListBucketResult";

	/* parameters in the order of their names, for the signature */
	if (uploads)
		ok = bkc_s3_call_param(&call, "encoding-type", "url", err) &&
			(page->token == NULL || bkc_s3_call_param(&call, "key-marker", page->token, err)) &&
			bkc_s3_call_param(&call, "prefix", full, err) &&
			(page->id_marker == NULL ||
			 bkc_s3_call_param(&call, "upload-id-marker", page->id_marker, err)) &&
			bkc_s3_call_param(&call, "uploads", NULL, err);
	else
		ok = (page->token == NULL ||
			  bkc_s3_call_param(&call, "continuation-token", page->token, err)) &&
			(deep || bkc_s3_call_param(&call, "delimiter", "/", err)) &&
			bkc_s3_call_param(&call, "encoding-type", "url", err) &&
			bkc_s3_call_param(&call, "list-type", "2", err) &&
			bkc_s3_call_param(&call, "prefix", full, err);
	ok = ok && bkc_s3_call_run(store, &call, err);
	page_reset(page);
	page->now = 0;
	(void) bkc_s3_call_date(&call, &page->now);
	ok = ok && bkc_s3_xml(call.http.reply.data, call.http.reply.len, take_element, page, err);
	bkc_s3_call_free(store, &call);
	if (!ok)
		return bkc_error_context(err, "could not list \"%s\" in repository \"%s\"", prefix,
								 store->base.location);
	if (page->truncated && (page->token == NULL || page->token[0] == '\0'))
		return bkc_error_set(err, BKC_ERR_CORRUPT, "S3 cut a listing without saying where it goes on");
	for (size_t i = 0; page->encoded && i < page->n; i++)
		bkc_s3_decode(page->entries[i].key);
	if (page->encoded && uploads && page->token != NULL)
		bkc_s3_decode(page->token);

	/* objects and folders come in two lists, each sorted */
	if (page->n > 1)
		qsort(page->entries, page->n, sizeof(Entry), by_key);
	return true;
}

/* A key as a name of ours: NULL for the driver's own objects and what others have put there. */
static const char *
name_of(const BkcS3Store *store, const char *key)
{
	size_t		len = strlen(store->config.prefix);
	char		folder[1024 + BKC_NAME_MAX];
	const char *name = key + len;

	if (strncmp(key, store->config.prefix, len) != 0 || strlen(name) >= BKC_NAME_MAX + 1)
		return NULL;
	snprintf(folder, sizeof(folder), "%s", name);
	if (folder[0] != '\0' && folder[strlen(folder) - 1] == '/')
		folder[strlen(folder) - 1] = '\0';
	if (!bkc_name_valid(folder) ||
		strncmp(name, BKC_STORE_TMP_PREFIX, strlen(BKC_STORE_TMP_PREFIX)) == 0 ||
		strstr(name, "/" BKC_STORE_TMP_PREFIX) != NULL)
		return NULL;
	return name;
}

bool
bkc_s3_list_classes(BkcS3Store *s3, const char *prefix, bool deep, BkcS3ListEach each, void *arg,
					BkcError *err)
{
	Page		page = {0};
	bool		ok;

	do
	{
		ok = get_page(s3, prefix, deep, false, &page, err);
		for (size_t i = 0; ok && i < page.n; i++)
		{
			const char *name = name_of(s3, page.entries[i].key);

			/* an object whose name ends with a slash is how consoles draw a folder */
			if (name != NULL && (!deep || name[strlen(name) - 1] != '/') &&
				strcmp(name, prefix) != 0)
				ok = each(arg, name, page.entries[i].size, page.entries[i].class, err);
		}
	} while (ok && page.truncated);
	page_free(&page);
	return ok;
}

typedef struct Plain
{
	bool		(*each) (void *arg, const char *name, uint64_t size, BkcError *err);
	void	   *arg;
} Plain;

static bool
without_class(void *arg, const char *name, uint64_t size, const char *class, BkcError *err)
{
	Plain	   *plain = arg;

	return plain->each(plain->arg, name, size, err);
}

bool
bkc_s3_list(BkcStore *store, const char *prefix, bool deep,
			bool (*each) (void *arg, const char *name, uint64_t size, BkcError *err),
			void *arg, BkcError *err)
{
	Plain		plain = {each, arg};

	return bkc_s3_list_classes((BkcS3Store *) store, prefix, deep, without_class, &plain, err);
}

/* ---- uploads ---- */

/* One whose age is not known is young. */
static bool
is_old(int64_t now, int64_t then, uint64_t seconds)
{
	return seconds == 0 ||
		(now != 0 && then != 0 && now > then && (uint64_t) (now - then) / 1000000 >= seconds);
}

typedef struct Parts
{
	int64_t		newest;			/* 0 when there is none */
	bool		truncated;
	char		marker[16];		/* number where the next page begins */
} Parts;

static bool
take_part(void *arg, const char *path, const char *text, BkcError *err)
{
	Parts	   *parts = arg;
	int64_t		when;

	if (text == NULL)
		return true;
	if (strcmp(path, "Part/LastModified") == 0)
	{
		/* a time that cannot be read may be any time */
		if (!bkc_s3_parse_time(text, &when))
			when = INT64_MAX;
		if (when > parts->newest)
			parts->newest = when;
	}
	else if (strcmp(path, "NextPartNumberMarker") == 0)
		snprintf(parts->marker, sizeof(parts->marker), "%s", text);
	else if (strcmp(path, "IsTruncated") == 0)
		parts->truncated = strcmp(text, "true") == 0;
	return true;
}

/* Parts are listed by number, and a retry may have sent an early one last: all pages count. */
static bool
list_parts(BkcS3Store *s3, const Entry *upload, Parts *parts, BkcError *err)
{
	char		before[sizeof(parts->marker)];
	BkcS3Call	call;
	bool		ok;

	do
	{
		memcpy(before, parts->marker, sizeof(before));
		parts->truncated = false;
		bkc_s3_call_init(&call, "GET", upload->key);
		call.absolute = true;
		call.error_in_200 = true;
		call.answer = "ListPartsResult";
		ok = (before[0] == '\0' ||
			  bkc_s3_call_param(&call, "part-number-marker", before, err)) &&
			bkc_s3_call_param(&call, "uploadId", upload->id, err) &&
			bkc_s3_call_run(s3, &call, err) &&
			bkc_s3_xml(call.http.reply.data, call.http.reply.len, take_part, parts, err);
		bkc_s3_call_free(s3, &call);
		if (ok && parts->truncated && strcmp(parts->marker, before) == 0)
			ok = bkc_error_set(err, BKC_ERR_CORRUPT,
							   "S3 cut a listing without saying where it goes on");
	} while (ok && parts->truncated);
	return ok;
}

/* Has nothing happened to the upload for that long?  now is the server's time. */
static bool
is_idle(BkcS3Store *s3, const Entry *upload, int64_t now, uint64_t seconds, bool *idle,
		BkcError *err)
{
	Parts		parts = {0};

	*idle = is_old(now, upload->begun, seconds);
	if (!*idle || seconds == 0)
		return true;
	if (list_parts(s3, upload, &parts, err))
		*idle = parts.newest == 0 || is_old(now, parts.newest, seconds);
	else if (err->code == BKC_ERR_NOT_FOUND)
		*idle = false;			/* somebody has ended it meanwhile */
	else if (err->code != BKC_ERR_UNSUPPORTED)
		return bkc_error_context(err, "could not list the parts of the upload of \"%s\" in repository \"%s\"",
								 upload->key, s3->base.location);
	return true;
}

/* Count uploads of names of ours with which nothing happened for that long, and abort them. */
static bool
walk_uploads(BkcS3Store *s3, const char *prefix, uint64_t seconds, bool abort, uint64_t *n,
			 BkcError *err)
{
	Page		page = {0};
	bool		ok;

	*n = 0;
	do
	{
		ok = get_page(s3, prefix, true, true, &page, err);
		for (size_t i = 0; ok && i < page.n; i++)
		{
			const Entry *upload = &page.entries[i];
			const char *name = name_of(s3, upload->key);
			bool		idle;

			/* a server that passes over the prefix must not cost others their uploads */
			if (name == NULL || strncmp(name, prefix, strlen(prefix)) != 0 || upload->id == NULL)
				continue;
			ok = is_idle(s3, upload, page.now, seconds, &idle, err);
			if (!ok || !idle)
				continue;
			ok = !abort || bkc_s3_multipart_abort(s3, upload->key, true, upload->id, err) ||
				bkc_error_context(err, "could not abort the upload of \"%s\" in repository \"%s\"",
								  upload->key, s3->base.location);
			*n += ok;
		}
	} while (ok && page.truncated);
	page_free(&page);
	return ok;
}

bool
bkc_s3_sweep(BkcStore *store, const char *prefix, BkcError *err)
{
	uint64_t	n;

	return walk_uploads((BkcS3Store *) store, prefix, 0, true, &n, err);
}

bool
bkc_s3_tidy(BkcStore *store, const char *prefix, uint64_t seconds, uint64_t *n, BkcError *err)
{
	return walk_uploads((BkcS3Store *) store, prefix, seconds, true, n, err);
}

bool
bkc_s3_count_uploads(BkcS3Store *store, uint64_t seconds, uint64_t *n, BkcError *err)
{
	return walk_uploads(store, "", seconds, false, n, err);
}
