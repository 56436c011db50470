/*
 * remove.c
 *		Removing objects: many in one request, or one by one where the server
 *		does not know that.
 */
#include "store/s3/s3.h"

#include <stdio.h>
#include <string.h>

#define BATCH		1000		/* S3's own limit */

typedef struct Refusal
{
	char		key[128];
	char		code[64];
	char		message[256];
	char		first[512];		/* the first one as a sentence */
	size_t		n;
	bool		access;			/* one was for want of permission */
	bool		lasting;		/* one was not for passing trouble */
} Refusal;

static bool
is_passing(const char *code)
{
	return strcmp(code, "InternalError") == 0 || strcmp(code, "SlowDown") == 0 ||
		strcmp(code, "ServiceUnavailable") == 0 || strcmp(code, "OperationAborted") == 0;
}

static bool
take_element(void *arg, const char *path, const char *text, BkcError *err)
{
	Refusal    *r = arg;

	if (text != NULL)
	{
		if (strcmp(path, "Error/Key") == 0)
			snprintf(r->key, sizeof(r->key), "%s", text);
		else if (strcmp(path, "Error/Code") == 0)
			snprintf(r->code, sizeof(r->code), "%s", text);
		else if (strcmp(path, "Error/Message") == 0)
			snprintf(r->message, sizeof(r->message), "%s", text);
		return true;
	}
	if (strcmp(path, "Error") == 0 && strcmp(r->code, "NoSuchKey") != 0)
	{
		if (r->n++ == 0)
			snprintf(r->first, sizeof(r->first), "\"%s\": %s (%s)", r->key, r->code, r->message);
		r->access = r->access || strcmp(r->code, "AccessDenied") == 0;
		r->lasting = r->lasting || !is_passing(r->code);
		r->key[0] = r->code[0] = r->message[0] = '\0';
	}
	return true;
}

/* What the reply says about single objects. */
static bool
read_refusals(const BkcS3Call *call, size_t n, BkcError *err)
{
	Refusal		refusal = {.n = 0};

	if (!bkc_s3_xml(call->http.reply.data, call->http.reply.len, take_element, &refusal, err))
		return false;
	if (refusal.n == 0)
		return true;
	bkc_error_set(err, refusal.access ? BKC_ERR_ACCESS : refusal.lasting ? BKC_ERR_IO
				  : BKC_ERR_UNAVAILABLE, "S3 did not remove %zu of %zu objects", refusal.n, n);
	return bkc_error_detail(err, "The first is %s.", refusal.first);
}

static bool
remove_batch(BkcS3Store *store, const char *const *names, size_t n, BkcError *err)
{
	BkcBuffer	xml = {0};
	BkcS3Call	call;
	bool		ok;

	bkc_s3_call_init(&call, "POST", NULL);
	call.error_in_200 = true;
	call.answer = "DeleteResult";
	call.send_md5 = true;
	ok = bkc_buffer_append_str(&xml, "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>", err);
	for (size_t i = 0; ok && i < n; i++)
		ok = bkc_buffer_append_str(&xml, "<Object><Key>", err) &&
			bkc_s3_xml_escape(&xml, store->config.prefix, err) &&
			bkc_s3_xml_escape(&xml, names[i], err) &&
			bkc_buffer_append_str(&xml, "</Key></Object>", err);
	ok = ok && bkc_buffer_append_str(&xml, "</Delete>", err) &&
		bkc_s3_call_param(&call, "delete", NULL, err) &&
		bkc_s3_call_header(&call, "content-type", "application/xml", err);
	if (ok)
	{
		call.body = xml.data;
		call.body_len = xml.len;
		ok = bkc_s3_call_run(store, &call, err);

		/* those that are gone already are no trouble the next time */
		while (ok && !read_refusals(&call, n, err))
			ok = bkc_s3_call_again(store, &call, err) && bkc_s3_call_finish(store, &call, err);
	}
	bkc_s3_call_free(store, &call);
	bkc_buffer_free(&xml);
	return ok;
}

static bool
remove_one(BkcS3Store *store, const char *name, BkcError *err)
{
	BkcS3Call	call;
	bool		ok;

	bkc_s3_call_init(&call, "DELETE", name);
	ok = bkc_s3_call_run(store, &call, err) || err->code == BKC_ERR_NOT_FOUND;
	bkc_s3_call_free(store, &call);
	return ok;
}

static bool
remove_each(BkcS3Store *store, const char *const *names, size_t n, BkcError *err)
{
	for (size_t i = 0; i < n; i++)
	{
		if (!remove_one(store, names[i], err))
			return bkc_error_context(err, "object \"%s\"", names[i]);
	}
	return true;
}

bool
bkc_s3_remove(BkcStore *store, const char *const *names, size_t n, BkcError *err)
{
	BkcS3Store *s3 = (BkcS3Store *) store;
	bool		ok = true;

	for (size_t from = 0; ok && from < n; from += BATCH)
	{
		size_t		count = n - from < BATCH ? n - from : BATCH;

		ok = !s3->single_remove && count > 1 && remove_batch(s3, names + from, count, err);
		if (!ok && !s3->single_remove && count > 1 && err->code != BKC_ERR_UNSUPPORTED)
			break;
		if (!ok)
		{
			s3->single_remove = s3->single_remove || count > 1;
			ok = remove_each(s3, names + from, count, err);
		}
	}
	return ok || bkc_error_context(err, "could not remove objects from repository \"%s\"",
								   store->location);
}
