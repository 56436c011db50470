/*
 * multipart.c
 *		A multipart upload with several parts in flight.
 */
#include "store/s3/multipart.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/host.h"

#define PARTS_MAX		10000	/* S3's own */
#define ABORT_MS		1000	/* tidying up does not hold anybody up for longer */
#define COMPLETE_MS		1800000 /* a server may put thousands of parts together */
#define ETAG_MAX		128

typedef struct Slot
{
	BkcS3Call	call;
	BkcBuffer	data;
	char		sha256[2 * BKC_SHA256_SIZE + 1];
	char		number_text[12];
	int			number;			/* 0: free */
} Slot;

struct BkcS3Multipart
{
	BkcS3Store *store;
	const char *name;
	const char *upload;
	char	   *id;				/* UploadId */
	bool		completed;
	int			nparts;			/* started */
	char	  (*etags)[ETAG_MAX];	/* of part number i + 1 */
	int			etags_cap;
	int			nslots;
	Slot	   *slots;
};

/* ---- begin ---- */

static bool
take_id(void *arg, const char *path, const char *text, BkcError *err)
{
	BkcS3Multipart *m = arg;

	if (text != NULL && strcmp(path, "UploadId") == 0 && m->id == NULL)
	{
		m->id = strdup(text);
		if (m->id == NULL)
			return bkc_error_oom(err);
	}
	return true;
}

bool
bkc_s3_multipart_begin(BkcS3Store *store, const char *name, const char *upload,
					   BkcS3Multipart **m, BkcError *err)
{
	BkcS3Multipart *new = calloc(1, sizeof(*new));
	BkcS3Call	call;
	bool		ok;

	*m = NULL;
	if (new == NULL)
		return bkc_error_oom(err);
	new->store = store;
	new->name = name;
	new->upload = upload;
	new->nslots = store->config.parts_in_flight;
	new->slots = calloc((size_t) new->nslots, sizeof(*new->slots));
	if (new->slots == NULL)
	{
		free(new);
		return bkc_error_oom(err);
	}
	bkc_s3_call_init(&call, "POST", name);
	call.error_in_200 = true;
	call.answer = "InitiateMultipartUploadResult";
	ok = bkc_s3_call_param(&call, "uploads", NULL, err) &&
		bkc_s3_object_headers(store, &call, name, upload, err) &&
		bkc_s3_call_run(store, &call, err) &&
		bkc_s3_xml(call.http.reply.data, call.http.reply.len, take_id, new, err);
	if (ok && (new->id == NULL || new->id[0] == '\0'))
		ok = bkc_error_set(err, BKC_ERR_CORRUPT, "S3 began an upload without saying its id");
	bkc_s3_call_free(store, &call);
	if (!ok)
	{
		bkc_s3_multipart_close(new);
		return false;
	}
	*m = new;
	return true;
}

/* ---- parts ---- */

/* A part has arrived: keep its ETag, free its place. */
static bool
settle_slot(BkcS3Multipart *m, Slot *slot, BkcError *err)
{
	char	   *etag = m->etags[slot->number - 1];
	bool		ok = slot->call.ok;

	if (!ok)
	{
		*err = slot->call.error;
		bkc_error_context(err, "part %d", slot->number);
	}
	else if (!bkc_http_header(&slot->call.http, "etag", etag, ETAG_MAX) || etag[0] == '\0')
		ok = bkc_error_set(err, BKC_ERR_CORRUPT, "S3 took part %d without giving its ETag",
						   slot->number);
	bkc_s3_call_free(m->store, &slot->call);
	slot->number = 0;
	return ok;
}

bool
bkc_s3_multipart_move(BkcS3Multipart *m, int wait_ms, BkcError *err)
{
	if (!bkc_s3_drive(m->store, wait_ms, err))
		return false;
	for (int i = 0; i < m->nslots; i++)
	{
		Slot	   *slot = &m->slots[i];

		if (slot->number == 0)
			continue;
		if (!bkc_s3_call_look(m->store, &slot->call, err) ||
			(slot->call.done && !settle_slot(m, slot, err)))
			return false;
	}
	return true;
}

static bool
free_slot(BkcS3Multipart *m, Slot **slot, BkcError *err)
{
	for (;;)
	{
		for (int i = 0; i < m->nslots; i++)
		{
			if (m->slots[i].number == 0)
			{
				*slot = &m->slots[i];
				return true;
			}
		}
		if (!bkc_s3_multipart_move(m, BKC_HTTP_SLICE_MS, err))
			return false;
	}
}

bool
bkc_s3_multipart_send(BkcS3Multipart *m, BkcBuffer *part, const char *sha256, BkcError *err)
{
	Slot	   *slot;
	BkcBuffer	empty;

	if (m->nparts == PARTS_MAX)
		return bkc_error_set(err, BKC_ERR_STATE,
							 "the object needs more than %d parts", PARTS_MAX) ||
			bkc_error_hint(err, "Set part_size in the repository's URL to a larger size.");
	if (m->nparts == m->etags_cap)
	{
		int			cap = m->etags_cap == 0 ? 64 : m->etags_cap * 2;
		void	   *bigger = realloc(m->etags, (size_t) cap * sizeof(*m->etags));

		if (bigger == NULL)
			return bkc_error_oom(err);
		m->etags = bigger;
		m->etags_cap = cap;
	}
	bkc_host->wait_event(BKC_WAIT_STORE_WRITE);
	if (!free_slot(m, &slot, err))
	{
		bkc_host->wait_event(BKC_WAIT_NONE);
		return false;
	}
	bkc_host->wait_event(BKC_WAIT_NONE);

	/* the slot's former memory serves for the next part */
	empty = slot->data;
	slot->data = *part;
	*part = empty;
	bkc_buffer_reset(part);

	slot->number = ++m->nparts;
	memcpy(slot->sha256, sha256, sizeof(slot->sha256));
	snprintf(slot->number_text, sizeof(slot->number_text), "%d", slot->number);
	bkc_s3_call_init(&slot->call, "PUT", m->name);
	slot->call.body = slot->data.data;
	slot->call.body_len = slot->data.len;
	slot->call.body_sha256 = slot->sha256;
	return bkc_s3_call_param(&slot->call, "partNumber", slot->number_text, err) &&
		bkc_s3_call_param(&slot->call, "uploadId", m->id, err) &&
		bkc_s3_sse_c_headers(m->store, &slot->call, err) &&
		bkc_s3_call_start(m->store, &slot->call, err) &&
		bkc_s3_multipart_move(m, 0, err);
}

/* ---- the end ---- */

static bool
all_arrived(BkcS3Multipart *m, BkcError *err)
{
	for (int i = 0; i < m->nslots; i++)
	{
		while (m->slots[i].number != 0)
		{
			if (!bkc_s3_multipart_move(m, BKC_HTTP_SLICE_MS, err))
				return false;
		}
	}
	return true;
}

static bool
make_list(BkcS3Multipart *m, BkcBuffer *xml, BkcError *err)
{
	if (!bkc_buffer_append_str(xml, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">", err))
		return false;
	for (int i = 0; i < m->nparts; i++)
	{
		if (!bkc_buffer_printf(xml, err, "<Part><PartNumber>%d</PartNumber><ETag>", i + 1) ||
			!bkc_s3_xml_escape(xml, m->etags[i], err) ||
			!bkc_buffer_append_str(xml, "</ETag></Part>", err))
			return false;
	}
	return bkc_buffer_append_str(xml, "</CompleteMultipartUpload>", err);
}

bool
bkc_s3_multipart_complete(BkcS3Multipart *m, BkcError *err)
{
	BkcBuffer	xml = {0};
	BkcS3Call	call;
	BkcError	look;
	bool		ours = false;
	bool		ok;

	bkc_s3_call_init(&call, "POST", m->name);
	call.error_in_200 = true;
	call.answer = "CompleteMultipartUploadResult";
	call.http.total_ms = COMPLETE_MS;
	ok = all_arrived(m, err) &&
		make_list(m, &xml, err) &&
		bkc_s3_call_param(&call, "uploadId", m->id, err) &&
		bkc_s3_call_header(&call, "content-type", "application/xml", err) &&
		bkc_s3_sse_c_headers(m->store, &call, err) &&
		(m->store->create != BKC_S3_CREATE_ATOMIC ||
		 bkc_s3_call_header(&call, "if-none-match", "*", err));
	if (ok)
	{
		call.body = xml.data;
		call.body_len = xml.len;
		ok = bkc_s3_call_run(m->store, &call, err);

		/* a reply that was lost: the upload is gone, or the name taken, because it is done */
		if (!ok && (err->code == BKC_ERR_EXISTS || err->code == BKC_ERR_NOT_FOUND))
			ok = bkc_s3_head(m->store, m->name, m->upload, &ours, NULL, &look) && ours;
	}
	m->completed = ok;
	bkc_s3_call_free(m->store, &call);
	bkc_buffer_free(&xml);
	return ok;
}

bool
bkc_s3_multipart_abort(BkcS3Store *store, const char *key, bool absolute, const char *upload_id,
					   BkcError *err)
{
	BkcS3Call	call;
	bool		ok;

	bkc_s3_call_init(&call, "DELETE", key);
	call.absolute = absolute;
	ok = bkc_s3_call_param(&call, "uploadId", upload_id, err) &&
		bkc_s3_call_run(store, &call, err);
	if (!ok && err->code == BKC_ERR_NOT_FOUND)
		ok = true;
	bkc_s3_call_free(store, &call);
	return ok;
}

/* One attempt, also when the work was cancelled.  What it misses, a sweep finds. */
static void
forget(BkcS3Multipart *m)
{
	BkcS3Call	call;
	BkcError	ignored;

	bkc_s3_call_init(&call, "DELETE", m->name);
	call.http.total_ms = ABORT_MS;
	bkc_http_insist(m->store->http, true);
	if (bkc_s3_call_param(&call, "uploadId", m->id, &ignored) &&
		bkc_s3_call_start(m->store, &call, &ignored))
		(void) bkc_http_finish(m->store->http, &call.http, &ignored);
	bkc_http_insist(m->store->http, false);
	bkc_s3_call_free(m->store, &call);
}

void
bkc_s3_multipart_close(BkcS3Multipart *m)
{
	if (m == NULL)
		return;
	for (int i = 0; i < m->nslots; i++)
	{
		if (m->slots[i].number != 0)
			bkc_s3_call_free(m->store, &m->slots[i].call);
		bkc_buffer_free(&m->slots[i].data);
	}
	if (m->id != NULL && !m->completed)
		forget(m);
	free(m->id);
	free(m->etags);
	free(m->slots);
	free(m);
}
