/*
 * object.c
 *		Writing and reading objects: envelope, numbered frames, digests or seals.
 *
 * Large payloads go from the caller's buffer straight to the store.  Headers
 * and small payloads are gathered first, because a backup of tens of
 * thousands of small relations would otherwise make two tiny writes for each.
 */
#include "pipe/object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/digest.h"
#include "pipe/seal.h"

#define GATHER_SIZE		(256 * 1024)
#define GATHER_PAYLOAD	(32 * 1024) /* larger ones are not worth the copy */

struct BkcObjectWriter
{
	BkcWriter  *out;
	char		name[BKC_NAME_MAX];
	BkcSeal		seal;
	uint64_t	size;			/* bytes so far, gathered ones included */
	uint32_t	number;			/* of the next frame */
	bool		last;			/* the last frame was put */
	bool		failed;			/* what is stored has a hole: nothing but close may follow */
	size_t		gathered;
	uint8_t    *gather;			/* GATHER_SIZE bytes */
	BkcBuffer	sealed;			/* payload of the present frame */
};

struct BkcObjectReader
{
	BkcReader  *in;
	char		name[BKC_NAME_MAX];
	BkcEnvelope env;
	BkcSeal		seal;
	uint32_t	number;			/* of the next frame */
	bool		last;			/* the last frame was read */
	BkcBuffer	payload;
};

/* ---- writing ---- */

static bool
writer_flush(BkcObjectWriter *w, BkcError *err)
{
	size_t		len = w->gathered;

	w->gathered = 0;
	if (len > 0 && !bkc_writer_write(w->out, w->gather, len, err))
	{
		w->failed = true;
		return false;
	}
	return true;
}

/* Append bytes that may be copied. */
static bool
writer_gather(BkcObjectWriter *w, const void *data, size_t len, BkcError *err)
{
	if (len > GATHER_SIZE - w->gathered && !writer_flush(w, err))
		return false;
	memcpy(w->gather + w->gathered, data, len);
	w->gathered += len;
	w->size += len;
	return true;
}

static bool
writer_payload(BkcObjectWriter *w, const uint8_t *data, size_t len, BkcError *err)
{
	if (len <= GATHER_PAYLOAD)
		return writer_gather(w, data, len, err);
	if (!writer_flush(w, err))
		return false;
	if (!bkc_writer_write(w->out, data, len, err))
	{
		w->failed = true;
		return false;
	}
	w->size += len;
	return true;
}

bool
bkc_object_create(BkcStore *store, const char *name, BkcKind kind, BkcCodec codec,
				  uint64_t expected_size, BkcObjectWriter **w, BkcError *err)
{
	BkcObjectWriter *new;
	BkcEnvelope env = {
		.version = BKC_FORMAT_VERSION,
		.kind = (uint16_t) kind,
		.codec = (uint8_t) codec
	};
	uint8_t		bytes[BKC_ENVELOPE_SIZE];

	*w = NULL;
	if (!bkc_name_valid(name) || strlen(name) >= BKC_NAME_MAX)
		return bkc_error_set(err, BKC_ERR_INVALID, "invalid object name \"%s\"", name);
	if (!bkc_random(env.salt, sizeof(env.salt), err))
		return false;
	new = calloc(1, sizeof(*new));
	if (new != NULL)
		new->gather = malloc(GATHER_SIZE);
	if (new == NULL || new->gather == NULL)
	{
		bkc_object_close(new);
		return bkc_error_oom(err);
	}
	memcpy(new->name, name, strlen(name) + 1);
	if (!bkc_seal_begin(&new->seal, store, name, &env, bytes, err) ||
		!bkc_store_open_write(store, name, expected_size, &new->out, err) ||
		!writer_gather(new, bytes, sizeof(bytes), err))
	{
		bkc_object_close(new);
		return false;
	}
	*w = new;
	return true;
}

static bool
seal_frame(BkcObjectWriter *w, BkcFrameHeader *hdr, const uint8_t *data, const uint8_t **payload,
		   uint8_t header[BKC_FRAME_HEADER_SIZE], BkcError *err)
{
	*payload = data;
	if (!bkc_seal_active(&w->seal))
		return bkc_seal_frame(&w->seal, hdr, data, NULL, header, err);
	bkc_buffer_reset(&w->sealed);
	if (!bkc_buffer_reserve(&w->sealed, hdr->stored_len, err))
		return false;
	*payload = w->sealed.data;
	return bkc_seal_frame(&w->seal, hdr, data, w->sealed.data, header, err);
}

bool
bkc_object_put(BkcObjectWriter *w, const BkcFrame *frame, bool last,
			   BkcPackEntry *entry, BkcError *err)
{
	BkcFrameHeader hdr = {
		.number = w->number,
		.stored_len = frame->len,
		.plain_len = frame->plain_len,
		.type = frame->type,
		.flags = (uint8_t) (frame->flags & BKC_FRAME_STORED)
	};
	uint8_t		bytes[BKC_FRAME_HEADER_SIZE];
	const uint8_t *payload;
	uint64_t	offset = w->size;

	if (w->failed || w->last)
		return bkc_error_set(err, BKC_ERR_INTERNAL,
							 "frame put into finished object \"%s\"", w->name);
	if (frame->len == 0 || frame->len > BKC_FRAME_STORED_MAX ||
		frame->plain_len == 0 || frame->plain_len > BKC_FRAME_PLAIN_MAX)
		return bkc_error_set(err, BKC_ERR_INTERNAL,
							 "frame of %u bytes for %u put into object \"%s\"",
							 frame->len, frame->plain_len, w->name);
	if (w->number == UINT32_MAX)
		return bkc_error_set(err, BKC_ERR_INVALID, "object \"%s\" has too many frames", w->name);
	if (last)
		hdr.flags |= BKC_FRAME_LAST;

	/* a number that was used for sealing is never used again, whatever fails below */
	w->failed = true;
	if (!seal_frame(w, &hdr, frame->data, &payload, bytes, err) ||
		!writer_gather(w, bytes, sizeof(bytes), err) ||
		!writer_payload(w, payload, frame->len, err))
		return false;
	w->failed = false;
	w->number++;
	w->last = last;
	if (entry != NULL)
	{
		entry->offset = offset;
		entry->stored_len = hdr.stored_len;
		entry->plain_len = hdr.plain_len;
		memcpy(entry->digest, hdr.digest, BKC_DIGEST_SIZE);
	}
	return true;
}

bool
bkc_object_put_raw(BkcObjectWriter *w, const void *data, size_t len, BkcError *err)
{
	if (w->failed || !w->last)
		return bkc_error_set(err, BKC_ERR_INTERNAL,
							 "footer of object \"%s\" before its last frame", w->name);
	return writer_payload(w, data, len, err);
}

uint64_t
bkc_object_size(const BkcObjectWriter *w)
{
	return w->size;
}

/* Everything goes to the store's writer. */
static bool
writer_complete(BkcObjectWriter *w, BkcError *err)
{
	if (w->failed || !w->last)
		return bkc_error_set(err, BKC_ERR_INTERNAL,
							 "commit of object \"%s\" before its last frame", w->name);
	return writer_flush(w, err);
}

bool
bkc_object_commit_begin(BkcObjectWriter *w, bool *under_way, BkcError *err)
{
	*under_way = false;
	if (!writer_complete(w, err))
		return false;
	*under_way = bkc_writer_commit_begin(w->out);
	return true;
}

bool
bkc_object_commit(BkcObjectWriter *w, BkcError *err)
{
	if (!writer_complete(w, err))
		return false;
	w->failed = true;			/* whatever commit says, it must not be called again */
	return bkc_writer_commit(w->out, err);
}

void
bkc_object_close(BkcObjectWriter *w)
{
	if (w == NULL)
		return;
	bkc_writer_close(w->out);
	bkc_seal_free(&w->seal);
	bkc_buffer_free(&w->sealed);
	free(w->gather);
	free(w);
}

/* ---- reading ---- */

/* Exactly len bytes, or the object is cut. */
static bool
reader_exact(BkcObjectReader *r, void *buf, size_t len, const char *what, BkcError *err)
{
	size_t		got;

	if (!bkc_reader_read(r->in, buf, len, &got, err))
		return false;
	if (got < len)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "object \"%s\" is cut off in %s", r->name, what);
	return true;
}

bool
bkc_object_open(BkcStore *store, const char *name, BkcKind kind,
				BkcObjectReader **r, BkcError *err)
{
	return bkc_object_open_head(store, name, kind, UINT64_MAX, r, err);
}

bool
bkc_object_open_head(BkcStore *store, const char *name, BkcKind kind, uint64_t max,
					 BkcObjectReader **r, BkcError *err)
{
	BkcObjectReader *new;
	uint8_t		bytes[BKC_ENVELOPE_SIZE];

	*r = NULL;
	if (!bkc_name_valid(name) || strlen(name) >= BKC_NAME_MAX)
		return bkc_error_set(err, BKC_ERR_INVALID, "invalid object name \"%s\"", name);
	new = calloc(1, sizeof(*new));
	if (new == NULL)
		return bkc_error_oom(err);
	memcpy(new->name, name, strlen(name) + 1);
	if (!bkc_store_open_read(store, name, 0, max, &new->in, err) ||
		!reader_exact(new, bytes, sizeof(bytes), "its envelope", err) ||
		!bkc_envelope_decode(bytes, name, &new->env, err))
		goto fail;
	if (new->env.kind != kind)
	{
		bkc_error_set(err, BKC_ERR_CORRUPT, "object \"%s\" is of kind %u instead of %u",
					  name, (unsigned) new->env.kind, (unsigned) kind);
		goto fail;
	}
	if (!bkc_seal_resume(&new->seal, store, name, &new->env, bytes, err))
		goto fail;
	*r = new;
	return true;

fail:
	bkc_object_reader_close(new);
	return false;
}

const BkcEnvelope *
bkc_object_envelope(const BkcObjectReader *r)
{
	return &r->env;
}

/* After the last frame: the footer, then the end of the object. */
static bool
reader_tail(BkcObjectReader *r, size_t footer_size, BkcError *err)
{
	size_t		got;

	bkc_buffer_reset(&r->payload);
	if (!bkc_buffer_reserve(&r->payload, footer_size + 1, err) ||
		!bkc_reader_read(r->in, r->payload.data, footer_size + 1, &got, err))
		return false;
	if (got != footer_size)
		return bkc_error_set(err, BKC_ERR_CORRUPT,
							 got < footer_size ? "object \"%s\" is cut off behind its last frame"
							 : "object \"%s\" has bytes behind its end", r->name);
	return true;
}

bool
bkc_object_next(BkcObjectReader *r, BkcFrame *frame, size_t footer_size, bool *end, BkcError *err)
{
	uint8_t		bytes[BKC_FRAME_HEADER_SIZE];
	BkcFrameHeader hdr;
	char		what[32];

	*end = false;
	if (r->last)
	{
		*end = true;
		return reader_tail(r, footer_size, err);
	}
	snprintf(what, sizeof(what), "frame %u", r->number);
	if (!reader_exact(r, bytes, sizeof(bytes), what, err) ||
		!bkc_frame_decode(bytes, r->number, r->name, &hdr, err))
		return false;

	/* stored_len is at most BKC_FRAME_STORED_MAX from here on */
	bkc_buffer_reset(&r->payload);
	if (!bkc_buffer_reserve(&r->payload, hdr.stored_len, err) ||
		!reader_exact(r, r->payload.data, hdr.stored_len, what, err) ||
		!bkc_seal_open(&r->seal, &hdr, r->payload.data, r->payload.data, r->name, err))
		return false;
	r->number++;
	r->last = (hdr.flags & BKC_FRAME_LAST) != 0;
	frame->data = r->payload.data;
	frame->len = hdr.stored_len;
	frame->plain_len = hdr.plain_len;
	frame->type = hdr.type;
	frame->flags = hdr.flags;
	return true;
}

void
bkc_object_reader_close(BkcObjectReader *r)
{
	if (r == NULL)
		return;
	bkc_reader_close(r->in);
	bkc_seal_free(&r->seal);
	if (r->env.kind == BKC_KIND_KEY && r->payload.data != NULL)
		bkc_wipe(r->payload.data, r->payload.cap);
	bkc_buffer_free(&r->payload);
	free(r);
}
