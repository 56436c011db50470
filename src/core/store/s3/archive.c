/*
 * archive.c
 *		Storage classes: which there are, which objects are in an archive, and
 *		thawing these.
 *
 * Providers call it "restore an object": for some days a copy of it can be read,
 * hours after it was requested.  On servers where an archive's name is only a name
 * (Ceph, MinIO), objects in it are read like any other, so whether an object
 * is frozen is decided by reading a byte of it.
 */
#include "store/s3/s3.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store/s3/bucket.h"
#include "store/s3/multipart.h"

/* AWS's own.  Other servers have what their administrators have defined. */
static const char *const aws_classes[] = {
	"STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING",
	"GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"
};

#define CLASSES_HINT \
	"Classes are: STANDARD, STANDARD_IA, ONEZONE_IA, INTELLIGENT_TIERING, GLACIER_IR, GLACIER, DEEP_ARCHIVE."

static bool
no_class(const char *class, BkcError *err)
{
	bkc_error_set(err, BKC_ERR_INVALID, "\"%s\" is no storage class", class);
	return bkc_error_hint(err, CLASSES_HINT);
}

bool
bkc_s3_check_class(const BkcUrl *url, const char *class, BkcError *err)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
	BkcS3Config config;
	bool		known = false;

	if (class[0] == '\0' || strlen(class) >= BKC_STORE_CLASS_MAX ||
		class[strspn(class, allowed)] != '\0')
		return no_class(class, err);
	if (!bkc_s3_config(url, &config, err))
		return false;
	known = !bkc_s3_is_aws(&config);
	bkc_s3_config_free(&config);
	for (size_t i = 0; !known && i < sizeof(aws_classes) / sizeof(aws_classes[0]); i++)
		known = strcmp(aws_classes[i], class) == 0;
	return known || no_class(class, err);
}

/* ---- is the class known there? ---- */

static bool
take_id(void *arg, const char *path, const char *text, BkcError *err)
{
	char	  **id = arg;

	if (text == NULL || strcmp(path, "UploadId") != 0 || *id != NULL)
		return true;
	*id = strdup(text);
	return *id != NULL || bkc_error_oom(err);
}

/*
 * An upload that is begun and given up: a server refuses a class that it does not know when an
 * upload begins, and an object that was there for a moment would be billed for months.
 */
bool
bkc_s3_try_class(BkcStore *store, BkcError *err)
{
	static const char name[] = BKC_STORE_TMP_PREFIX "class";
	BkcS3Store *s3 = (BkcS3Store *) store;
	BkcS3Call	call;
	char	   *id = NULL;
	bool		ok;

	bkc_s3_call_init(&call, "POST", name);
	call.error_in_200 = true;
	call.answer = "InitiateMultipartUploadResult";
	ok = bkc_s3_call_param(&call, "uploads", NULL, err) &&
		bkc_s3_object_headers(s3, &call, name, "class", err) &&
		bkc_s3_call_header(&call, "x-amz-storage-class", store->class, err) &&
		bkc_s3_call_run(s3, &call, err) &&
		bkc_s3_xml(call.http.reply.data, call.http.reply.len, take_id, &id, err);
	bkc_s3_call_free(s3, &call);
	ok = ok && (id == NULL || bkc_s3_multipart_abort(s3, name, false, id, err));
	free(id);
	return ok || bkc_error_context(err, "repository \"%s\" cannot store objects in class \"%s\"",
								   store->location, store->class);
}

/* ---- what is frozen ---- */

typedef struct Search
{
	BkcS3Store *s3;
	BkcArchiveEach each;
	void	   *arg;
} Search;

/* ongoing-request="false", expiry-date="Fri, 20 Nov 2026 00:00:00 GMT" */
static void
parse_restore(const char *text, BkcArchive *archive)
{
	const char *until = strstr(text, "expiry-date=\"");

	if (strstr(text, "ongoing-request=\"true\"") != NULL)
		archive->state = BKC_ARCHIVE_THAWING;
	else
	{
		archive->state = BKC_ARCHIVE_THAWED;
		if (until != NULL &&
			!bkc_s3_parse_date(until + strlen("expiry-date=\""), &archive->until))
			archive->until = 0;
	}
}

/* *found: it is in an archive that is one. */
static bool
look(BkcS3Store *s3, const char *name, BkcArchive *archive, bool *found, BkcError *err)
{
	BkcS3Call	call;
	char		text[160];
	bool		said = false;
	bool		ok;

	bkc_s3_call_init(&call, "HEAD", name);
	ok = bkc_s3_sse_c_headers(s3, &call, err) && bkc_s3_call_run(s3, &call, err);
	if (ok && bkc_http_header(&call.http, "x-amz-restore", text, sizeof(text)))
	{
		said = true;
		parse_restore(text, archive);
	}
	bkc_s3_call_free(s3, &call);
	*found = ok;
	if (!ok || said)
		return ok;

	archive->state = BKC_ARCHIVE_FROZEN;
	if (bkc_s3_ask(s3, name, err))
	{
		*found = false;
		memcpy(s3->plain_class, archive->class, sizeof(s3->plain_class));
		return true;
	}
	return err->code == BKC_ERR_ARCHIVED;
}

static bool
look_at(void *arg, const char *name, uint64_t size, const char *class, BkcError *err)
{
	Search	   *search = arg;
	BkcArchive	archive = {.until = 0};
	bool		found;

	if (!bkc_s3_is_archive(class) || strcmp(class, search->s3->plain_class) == 0)
		return true;
	snprintf(archive.class, sizeof(archive.class), "%s", class);
	if (!look(search->s3, name, &archive, &found, err))
		return bkc_error_context(err, "could not find out whether object \"%s\" in repository \"%s\" can be read",
								 name, search->s3->base.location);
	return !found || search->each(search->arg, name, size, &archive, err);
}

bool
bkc_s3_archived(BkcStore *store, const char *prefix, BkcArchiveEach each, void *arg, BkcError *err)
{
	Search		search = {(BkcS3Store *) store, each, arg};

	return bkc_s3_list_classes(search.s3, prefix, true, look_at, &search, err);
}

/* ---- thawing ---- */

bool
bkc_s3_thaw(BkcStore *store, const char *name, int days, BkcError *err)
{
	BkcS3Store *s3 = (BkcS3Store *) store;
	BkcBuffer	xml = {0};
	BkcS3Call	call;
	bool		ok;

	bkc_s3_call_init(&call, "POST", name);
	ok = bkc_s3_call_param(&call, "restore", NULL, err) &&
		bkc_s3_call_header(&call, "content-type", "application/xml", err) &&
		bkc_buffer_printf(&xml, err, "<RestoreRequest xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Days>%d</Days><GlacierJobParameters><Tier>Standard</Tier></GlacierJobParameters></RestoreRequest>",
						  days);
	if (ok)
	{
		call.body = xml.data;
		call.body_len = xml.len;
		call.send_md5 = true;
		ok = bkc_s3_call_run(s3, &call, err) ||
			strcmp(call.s3_code, "RestoreAlreadyInProgress") == 0;
	}
	bkc_s3_call_free(s3, &call);
	bkc_buffer_free(&xml);
	return ok || bkc_error_context(err, "could not request the thaw of object \"%s\" in repository \"%s\"",
								   name, store->location);
}
