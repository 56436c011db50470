/*
 * again.c
 *		Object lock and tags that a server passed over, said once more.
 *
 * Both are headers of the request that begins a multipart upload.  Some
 * servers take them there without a word and store an object that has neither
 * (Ceph 16 does).  A lock that somebody counts on must not be missing, so the
 * first such objects of a store are looked at; where the headers had no effect,
 * the requests that set lock and tags of an object follow every upload.
 */
#include "store/s3/s3.h"

#include <stdio.h>
#include <string.h>

bool
bkc_s3_put_document(BkcS3Store *store, const char *name, const char *what, const BkcBuffer *xml,
			 BkcError *err)
{
	BkcS3Call	call;
	bool		ok;

	bkc_s3_call_init(&call, "PUT", name);
	call.body = xml->data;
	call.body_len = xml->len;
	call.send_md5 = true;
	ok = bkc_s3_call_param(&call, what, NULL, err) &&
		bkc_s3_call_header(&call, "content-type", "application/xml", err) &&
		bkc_s3_call_run(store, &call, err);
	bkc_s3_call_free(store, &call);
	return ok || bkc_error_context(err, "could not set its %s", what);
}

static bool
put_retention(BkcS3Store *store, const char *name, BkcError *err)
{
	BkcBuffer	xml = {0};
	char		until[BKC_S3_UNTIL_MAX];
	bool		ok;

	bkc_s3_lock_until(store, name, until);
	ok = bkc_buffer_printf(&xml, err, "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>%s</Mode><RetainUntilDate>%s</RetainUntilDate></Retention>",
						   store->config.lock_mode, until) &&
		bkc_s3_put_document(store, name, "retention", &xml, err);
	bkc_buffer_free(&xml);
	return ok;
}

/* config.tags is "a=b&c=d", encoded for the header. */
static bool
put_tags(BkcS3Store *store, const char *name, BkcError *err)
{
	BkcBuffer	xml = {0};
	bool		ok = bkc_buffer_append_str(&xml, "<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><TagSet>", err);

	for (const char *tag = store->config.tags; ok && tag != NULL; tag = strchr(tag, '&'))
	{
		char		key[512];
		char		value[1024];
		size_t		len;

		tag += *tag == '&';
		len = strcspn(tag, "=");
		snprintf(key, sizeof(key), "%.*s", (int) len, tag);
		snprintf(value, sizeof(value), "%.*s", (int) strcspn(tag + len + 1, "&"), tag + len + 1);
		bkc_s3_decode(key);
		bkc_s3_decode(value);
		ok = bkc_buffer_append_str(&xml, "<Tag><Key>", err) &&
			bkc_s3_xml_escape(&xml, key, err) &&
			bkc_buffer_append_str(&xml, "</Key><Value>", err) &&
			bkc_s3_xml_escape(&xml, value, err) &&
			bkc_buffer_append_str(&xml, "</Value></Tag>", err);
	}
	ok = ok && bkc_buffer_append_str(&xml, "</TagSet></Tagging>", err) &&
		bkc_s3_put_document(store, name, "tagging", &xml, err);
	bkc_buffer_free(&xml);
	return ok;
}

/* What the headers of the upload have come to. */
static bool
look(BkcS3Store *store, const char *name, BkcError *err)
{
	BkcS3Call	call;
	char		text[64];
	bool		ok;

	bkc_s3_call_init(&call, "HEAD", name);
	ok = bkc_s3_sse_c_headers(store, &call, err) && bkc_s3_call_run(store, &call, err);
	if (ok)
	{
		store->lock_again = !bkc_http_header(&call.http, "x-amz-object-lock-mode", text, sizeof(text));
		store->tags_again = !bkc_http_header(&call.http, "x-amz-tagging-count", text, sizeof(text)) ||
			strcmp(text, "0") == 0;
		store->again_known = true;
	}
	bkc_s3_call_free(store, &call);
	return ok;
}

bool
bkc_s3_say_again(BkcS3Store *store, const char *name, BkcError *err)
{
	bool		lock = store->config.lock_mode != NULL;
	bool		tags = store->config.tags != NULL;

	if ((!lock && !tags) || !bkc_s3_lives_long(name))
		return true;
	return (store->again_known || look(store, name, err)) &&
		(!lock || !store->lock_again || put_retention(store, name, err)) &&
		(!tags || !store->tags_again || put_tags(store, name, err));
}
