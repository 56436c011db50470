/*
 * packread.c
 *		Reading packs: tail first (index and footer), then ranges of frames.
 *
 * The index says how long every frame is, so frames are fetched in reads
 * that end exactly at a frame's end: nothing is moved in memory, and nothing
 * is fetched that was not asked for until calls prove to be sequential.
 */
#include "pipe/pack.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/host.h"
#include "pipe/seal.h"
#include "pipe/stages.h"

#define TAIL_GUESS		(64 * 1024) /* holds footer and index of most packs, or a whole small one */
#define BATCH_SIZE		(256 * 1024)	/* small frames are fetched together up to this size */
#define BUFFER_SIZE		(BKC_FRAME_HEADER_SIZE + BKC_FRAME_STORED_MAX)

struct BkcPackReader
{
	BkcStore   *store;
	char		name[BKC_NAME_MAX];
	BkcEnvelope env;
	BkcSeal		seal;
	BkcPackFooter footer;
	BkcPackEntry *entries;		/* footer.nframes */
	BkcReader  *stream;			/* NULL: none open */
	uint32_t	stream_next;	/* first frame that the stream has not given */
	uint32_t	have_first;		/* frames in the buffer: have_first .. have_end - 1 */
	uint32_t	have_end;
	uint8_t    *buffer;			/* BUFFER_SIZE bytes */
	uint8_t    *plain;			/* of sealed packs: the present frame, opened */
};

/* ---- opening ---- */

static bool
pack_corrupt(const BkcPackReader *r, const char *what, BkcError *err)
{
	return bkc_error_set(err, BKC_ERR_CORRUPT, "pack \"%s\" %s", r->name, what);
}

/* Read [offset, offset + len) of the object; with at_end nothing may follow. */
static bool
pack_range(BkcPackReader *r, uint64_t offset, uint8_t *buf, size_t len, bool at_end, BkcError *err)
{
	BkcReader  *in = NULL;
	uint8_t		probe;
	size_t		got;
	size_t		more = 0;
	bool		ok;

	ok = bkc_store_open_read(r->store, r->name, offset, at_end ? UINT64_MAX : len, &in, err) &&
		bkc_reader_read(in, buf, len, &got, err) &&
		(!at_end || got < len || bkc_reader_read(in, &probe, 1, &more, err));
	bkc_reader_close(in);
	if (ok && (got < len || more > 0))
		return pack_corrupt(r, got < len ? "is shorter than listed" : "is longer than listed", err);
	return ok;
}

static bool
pack_take_envelope(BkcPackReader *r, const uint8_t *bytes, BkcError *err)
{
	if (!bkc_envelope_decode(bytes, r->name, &r->env, err))
		return false;
	if (r->env.kind != BKC_KIND_PACK)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "object \"%s\" is of kind %u instead of %u",
							 r->name, (unsigned) r->env.kind, (unsigned) BKC_KIND_PACK);
	if (!bkc_seal_resume(&r->seal, r->store, r->name, &r->env, bytes, err))
		return false;
	if (!bkc_seal_active(&r->seal))
		return true;

	/* frames are not opened in place: one that is in the buffer may be asked for again */
	r->plain = malloc(BKC_FRAME_STORED_MAX);
	return r->plain != NULL || bkc_error_oom(err);
}

/* bytes: the index frame and nothing else. */
static bool
pack_take_index(BkcPackReader *r, uint8_t *bytes, size_t len, BkcError *err)
{
	uint8_t    *payload = bytes + BKC_FRAME_HEADER_SIZE;
	BkcFrameHeader hdr;
	uint8_t    *plain;
	bool		ok = false;

	if (len < BKC_FRAME_HEADER_SIZE)
		return pack_corrupt(r, "has no room for its index", err);
	if (!bkc_frame_decode(bytes, r->footer.nframes, r->name, &hdr, err))
		return false;
	if (hdr.type != BKC_FRAME_INDEX || !(hdr.flags & BKC_FRAME_LAST) ||
		hdr.stored_len != len - BKC_FRAME_HEADER_SIZE ||
		hdr.plain_len != r->footer.nframes * BKC_PACK_ENTRY_SIZE)
		return pack_corrupt(r, "has a wrong index frame", err);
	if (!bkc_seal_open(&r->seal, &hdr, payload, payload, r->name, err))
		return false;

	plain = malloc(hdr.plain_len);
	r->entries = malloc(r->footer.nframes * sizeof(*r->entries));
	if (plain == NULL || r->entries == NULL)
		bkc_error_oom(err);
	else if (!bkc_frame_expand((BkcCodec) r->env.codec, &hdr, payload, plain, err))
		bkc_error_context(err, "index of pack \"%s\"", r->name);
	else
	{
		for (uint32_t i = 0; i < r->footer.nframes; i++)
			bkc_packentry_decode(plain + (size_t) i * BKC_PACK_ENTRY_SIZE, &r->entries[i]);
		ok = bkc_packindex_check(r->entries, r->footer.nframes, r->footer.index_offset,
								 r->name, err);
	}
	free(plain);
	return ok;
}

/*
 * Footer, envelope and index out of the last bytes of the object; what the
 * first guess has not brought is fetched.
 */
static bool
pack_take_tail(BkcPackReader *r, uint64_t size, const BkcPackInfo *expect, BkcError *err)
{
	size_t		tail = size < TAIL_GUESS ? (size_t) size : TAIL_GUESS;
	uint64_t	start = size - tail;
	uint64_t	index_len;
	uint8_t    *index;
	uint8_t		envelope[BKC_ENVELOPE_SIZE];

	if (size < BKC_ENVELOPE_SIZE + BKC_PACK_FOOTER_SIZE)
		return pack_corrupt(r, "is too short", err);
	if (!pack_range(r, start, r->buffer, tail, true, err) ||
		!bkc_packfooter_decode(r->buffer + tail - BKC_PACK_FOOTER_SIZE, size, r->name,
							   &r->footer, err))
		return false;
	if (r->footer.nframes == 0 || r->footer.nframes > BKC_PACK_FRAMES_MAX ||
		r->footer.index_offset < BKC_ENVELOPE_SIZE ||
		r->footer.index_offset > size - BKC_PACK_FOOTER_SIZE)
		return pack_corrupt(r, "has a wrong footer", err);
	if (expect != NULL && expect->frames != r->footer.nframes)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "pack \"%s\" has %u frames instead of %u",
							 r->name, r->footer.nframes, expect->frames);

	if (start > 0 && !pack_range(r, 0, envelope, sizeof(envelope), false, err))
		return false;
	if (!pack_take_envelope(r, start > 0 ? envelope : r->buffer, err))
		return false;

	index_len = size - BKC_PACK_FOOTER_SIZE - r->footer.index_offset;
	if (index_len > BUFFER_SIZE)
		return pack_corrupt(r, "has a wrong footer", err);
	if (r->footer.index_offset >= start)
		index = r->buffer + (r->footer.index_offset - start);
	else
	{
		index = r->buffer;
		if (!pack_range(r, r->footer.index_offset, index, (size_t) index_len, false, err))
			return false;
	}
	return pack_take_index(r, index, (size_t) index_len, err);
}

bool
bkc_packreader_open(BkcStore *store, const char *name, const BkcPackInfo *expect,
					BkcPackReader **r, BkcError *err)
{
	BkcPackReader *new;
	uint64_t	size;

	*r = NULL;
	if (!bkc_name_valid(name) || strlen(name) >= BKC_NAME_MAX)
		return bkc_error_set(err, BKC_ERR_INVALID, "invalid object name \"%s\"", name);
	new = calloc(1, sizeof(*new));
	if (new != NULL)
		new->buffer = malloc(BUFFER_SIZE);
	if (new == NULL || new->buffer == NULL)
	{
		bkc_packreader_close(new);
		return bkc_error_oom(err);
	}
	new->store = store;
	memcpy(new->name, name, strlen(name) + 1);

	/* with the size known a request is saved: reading the tail proves it */
	if (expect != NULL)
		size = expect->size;
	else if (!bkc_store_stat(store, name, &size, err))
		goto fail;
	if (!pack_take_tail(new, size, expect, err))
		goto fail;
	*r = new;
	return true;

fail:
	bkc_packreader_close(new);
	return false;
}

BkcCodec
bkc_packreader_codec(const BkcPackReader *r)
{
	return (BkcCodec) r->env.codec;
}

uint32_t
bkc_packreader_frames(const BkcPackReader *r)
{
	return r->footer.nframes;
}

/* ---- frames ---- */

static void
pack_drop_stream(BkcPackReader *r)
{
	bkc_reader_close(r->stream);
	r->stream = NULL;
	r->have_first = r->have_end = 0;
}

static size_t
frame_size(const BkcPackReader *r, uint32_t i)
{
	return BKC_FRAME_HEADER_SIZE + (size_t) r->entries[i].stored_len;
}

/*
 * Fetch frame i and, as long as they are small, those after it: up to
 * end, or, once the stream has proved to be read on, up to the pack's end.
 */
static bool
pack_fill(BkcPackReader *r, uint32_t i, uint32_t end, BkcError *err)
{
	uint32_t	next = i + 1;
	size_t		len = frame_size(r, i);
	size_t		got;

	if (r->stream != NULL && r->stream_next == i)
		end = r->footer.nframes;
	else
	{
		pack_drop_stream(r);
		if (!bkc_store_open_read(r->store, r->name, r->entries[i].offset,
								 r->footer.index_offset - r->entries[i].offset, &r->stream, err))
			return false;
	}
	while (next < end && len + frame_size(r, next) <= BATCH_SIZE)
		len += frame_size(r, next++);
	if (!bkc_reader_read(r->stream, r->buffer, len, &got, err))
		return false;
	if (got < len)
		return pack_corrupt(r, "is cut off", err);
	r->have_first = i;
	r->have_end = r->stream_next = next;
	return true;
}

/* Check the frame at bytes against the index and its digest. */
static bool
pack_check_frame(BkcPackReader *r, uint32_t i, const uint8_t *bytes,
				 BkcFrame *frame, BkcError *err)
{
	const BkcPackEntry *entry = &r->entries[i];
	const uint8_t *payload = bytes + BKC_FRAME_HEADER_SIZE;
	BkcFrameHeader hdr;

	if (!bkc_frame_decode(bytes, i, r->name, &hdr, err))
		return false;
	if (hdr.stored_len != entry->stored_len || hdr.plain_len != entry->plain_len ||
		memcmp(hdr.digest, entry->digest, BKC_DIGEST_SIZE) != 0)
		return bkc_error_set(err, BKC_ERR_CORRUPT,
							 "frame %u of \"%s\" is not the one in the index", i, r->name);
	if (hdr.type != BKC_FRAME_DATA || (hdr.flags & BKC_FRAME_LAST))
		return bkc_error_set(err, BKC_ERR_CORRUPT,
							 "frame %u of \"%s\" is not a data frame", i, r->name);
	if (!bkc_seal_open(&r->seal, &hdr, payload, r->plain, r->name, err))
		return false;
	frame->data = r->plain != NULL ? r->plain : payload;
	frame->len = hdr.stored_len;
	frame->plain_len = hdr.plain_len;
	frame->type = hdr.type;
	frame->flags = hdr.flags;
	return true;
}

bool
bkc_packreader_read(BkcPackReader *r, uint32_t first, uint32_t count,
					bool (*each) (void *arg, const BkcFrame *frame, BkcError *err),
					void *arg, BkcError *err)
{
	const uint8_t *bytes = NULL;
	uint32_t	end;

	if (__builtin_add_overflow(first, count, &end) || end > r->footer.nframes)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "pack \"%s\" has %u frames, not frame %u to %lu",
							 r->name, r->footer.nframes, first,
							 (unsigned long) first + count);
	for (uint32_t i = first; i < end; i++)
	{
		BkcFrame	frame;

		if (!bkc_host_check(err))
			return false;
		if (i < r->have_first || i >= r->have_end)
		{
			bytes = NULL;
			if (!pack_fill(r, i, end, err))
			{
				pack_drop_stream(r);
				return false;
			}
		}
		if (bytes == NULL)
			bytes = r->buffer + (r->entries[i].offset - r->entries[r->have_first].offset);
		if (!pack_check_frame(r, i, bytes, &frame, err) || !each(arg, &frame, err))
			return false;
		bytes += frame_size(r, i);
	}
	return true;
}

void
bkc_packreader_close(BkcPackReader *r)
{
	if (r == NULL)
		return;
	bkc_reader_close(r->stream);
	bkc_seal_free(&r->seal);
	free(r->plain);
	free(r->buffer);
	free(r->entries);
	free(r);
}
