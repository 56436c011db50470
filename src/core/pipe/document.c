/*
 * document.c
 *		Small texts as objects of one frame.
 *
 * They are stored as they are: a few hundred bytes gain nothing by
 * compression, and somebody who looks into a repository can read them.
 */
#include "pipe/object.h"

#include "pipe/stages.h"

bool
bkc_document_put(BkcStore *store, const char *name, BkcKind kind,
				 const char *text, size_t len, BkcError *err)
{
	BkcObjectWriter *w = NULL;
	BkcFrame	frame = {
		.data = (const uint8_t *) text,
		.len = (uint32_t) len,
		.plain_len = (uint32_t) len,
		.type = BKC_FRAME_DATA,
		.flags = BKC_FRAME_STORED
	};
	bool		ok;

	if (len == 0 || len > BKC_FRAME_PLAIN_MAX)
		return bkc_error_set(err, BKC_ERR_INVALID, "document \"%s\" of %zu bytes", name, len);
	ok = bkc_object_create(store, name, kind, BKC_CODEC_NONE,
						   BKC_ENVELOPE_SIZE + BKC_FRAME_HEADER_SIZE + len, &w, err) &&
		bkc_object_put(w, &frame, true, NULL, err) &&
		bkc_object_commit(w, err);
	bkc_object_close(w);
	return ok;
}

/* Appends the content of the only frame to out. */
static bool
document_read(BkcObjectReader *r, const char *name, BkcBuffer *out, BkcError *err)
{
	BkcFrame	frame;
	BkcFrameHeader hdr;
	bool		end;

	if (!bkc_object_next(r, &frame, 0, &end, err))
		return false;
	if (frame.type != BKC_FRAME_DATA || !(frame.flags & BKC_FRAME_LAST))
		return bkc_error_set(err, BKC_ERR_CORRUPT,
							 "object \"%s\" is not a document of one frame", name);
	hdr.flags = frame.flags;
	hdr.stored_len = frame.len;
	hdr.plain_len = frame.plain_len;
	if (!bkc_buffer_reserve(out, frame.plain_len, err))
		return false;
	if (!bkc_frame_expand((BkcCodec) bkc_object_envelope(r)->codec, &hdr, frame.data,
						  out->data + out->len, err))
		return bkc_error_context(err, "object \"%s\"", name);

	/* and nothing may follow */
	if (!bkc_object_next(r, &frame, 0, &end, err))
		return false;
	out->len += hdr.plain_len;
	out->data[out->len] = '\0';
	return true;
}

bool
bkc_document_get(BkcStore *store, const char *name, BkcKind kind,
				 BkcBuffer *out, BkcError *err)
{
	BkcObjectReader *r;
	bool		ok;

	if (!bkc_object_open(store, name, kind, &r, err))
		return false;
	ok = document_read(r, name, out, err);

	/* a decompressor may have written there before it failed */
	if (!ok && out->data != NULL)
		out->data[out->len] = '\0';
	bkc_object_reader_close(r);
	return ok;
}
