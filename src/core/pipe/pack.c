/*
 * pack.c
 *		Writing packs: frames of many files, rolled into objects of a size.
 *
 * A pack is opened by the first frame that needs it, so a worker that got
 * nothing leaves nothing.  When anything fails in the middle of a pack, files
 * that seemed complete are lost with it; therefore the writer refuses
 * everything afterwards, and the backup fails as a whole.
 */
#include "pipe/pack.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "pipe/codec.h"

#define INDEX_LEVEL		1		/* offsets and digests hardly shrink; a valid level of all codecs */

struct BkcPackWriter
{
	BkcPackSpec spec;
	BkcObjectWriter *object;	/* NULL: no pack is open */
	uint32_t	number;			/* of the open or next pack */
	uint32_t	nframes;		/* data frames in the open pack */
	bool		failed;
	BkcBuffer	index;			/* encoded entries of the open pack */
	BkcCompressor *compressor;	/* for the index */
};

typedef struct PackStage
{
	BkcStage	base;
	BkcPackWriter *writer;
	BkcPiece   *pieces;
	size_t		npieces;
	size_t		cap;
} PackStage;

/* ---- the writer ---- */

bool
bkc_packwriter_new(const BkcPackSpec *spec, BkcPackWriter **w, BkcError *err)
{
	BkcPackWriter *new = calloc(1, sizeof(*new));

	*w = NULL;
	if (new == NULL)
		return bkc_error_oom(err);
	new->spec = *spec;
	if (new->spec.pack_size == 0)
		new->spec.pack_size = BKC_PACK_SIZE_DEFAULT;
	if (!bkc_compressor_new(spec->codec, INDEX_LEVEL, &new->compressor, err))
	{
		bkc_packwriter_close(&new);
		return false;
	}
	*w = new;
	return true;
}

static bool
pack_open(BkcPackWriter *w, BkcError *err)
{
	char		name[BKC_NAME_MAX];

	bkc_buffer_reset(&w->index);
	w->nframes = 0;
	return bkc_name_pack(w->spec.system_identifier, w->spec.label, w->spec.worker,
						 w->number, name, err) &&
		bkc_object_create(w->spec.store, name, BKC_KIND_PACK, w->spec.codec,
						  w->spec.pack_size, &w->object, err);
}

static bool
pack_put_index(BkcPackWriter *w, BkcError *err)
{
	BkcPackFooter footer = {.index_offset = bkc_object_size(w->object), .nframes = w->nframes};
	uint8_t		bytes[BKC_PACK_FOOTER_SIZE];
	BkcFrame	frame = {
		.data = w->index.data,
		.len = (uint32_t) w->index.len,
		.plain_len = (uint32_t) w->index.len,
		.type = BKC_FRAME_INDEX,
		.flags = BKC_FRAME_STORED
	};
	const uint8_t *data;
	uint32_t	len;

	if (!bkc_compressor_run(w->compressor, frame.data, frame.len, &data, &len, err))
		return false;
	if (len > 0)
	{
		frame.data = data;
		frame.len = len;
		frame.flags = 0;
	}
	bkc_packfooter_encode(&footer, bytes);
	return bkc_object_put(w->object, &frame, true, NULL, err) &&
		bkc_object_put_raw(w->object, bytes, sizeof(bytes), err);
}

static bool
pack_commit(BkcPackWriter *w, BkcError *err)
{
	BkcPackInfo info = {.worker = w->spec.worker, .number = w->number, .frames = w->nframes};

	if (!pack_put_index(w, err))
		return false;
	info.size = bkc_object_size(w->object);
	if (!bkc_fault(BKC_FAULT_PACK_COMMIT, err) || !bkc_object_commit(w->object, err))
		return false;
	bkc_object_close(w->object);
	w->object = NULL;
	w->number++;
	return w->spec.committed == NULL || w->spec.committed(w->spec.arg, &info, err);
}

static bool
writer_usable(const BkcPackWriter *w, BkcError *err)
{
	if (w->failed)
		return bkc_error_set(err, BKC_ERR_STATE,
							 "pack %u-%u could not be written", w->spec.worker, w->number);
	return true;
}

/* Discard what is open: a pack with a hole must never be committed. */
static bool
writer_fail(BkcPackWriter *w)
{
	bkc_object_close(w->object);
	w->object = NULL;
	w->failed = true;
	return false;
}

/* Make sure that a pack is open which has room for a frame. */
static bool
writer_ready(BkcPackWriter *w, BkcError *err)
{
	if (w->object != NULL &&
		(bkc_object_size(w->object) >= w->spec.pack_size || w->nframes >= BKC_PACK_FRAMES_MAX) &&
		!pack_commit(w, err))
		return false;
	return w->object != NULL || pack_open(w, err);
}

/* Put a frame; *number is its place in pack w->number. */
static bool
writer_put(BkcPackWriter *w, const BkcFrame *frame, uint32_t *number, BkcError *err)
{
	BkcPackEntry entry;

	if (!writer_usable(w, err))
		return false;
	if (!writer_ready(w, err) ||
		!bkc_buffer_reserve(&w->index, BKC_PACK_ENTRY_SIZE, err) ||
		!bkc_object_put(w->object, frame, false, &entry, err))
		return writer_fail(w);
	bkc_packentry_encode(&entry, w->index.data + w->index.len);
	w->index.len += BKC_PACK_ENTRY_SIZE;
	*number = w->nframes++;
	return true;
}

bool
bkc_packwriter_flush(BkcPackWriter *w, BkcError *err)
{
	if (!writer_usable(w, err))
		return false;
	if (w->object != NULL && !pack_commit(w, err))
		return writer_fail(w);
	return true;
}

void
bkc_packwriter_close(BkcPackWriter **w)
{
	if (*w == NULL)
		return;
	bkc_object_close((*w)->object);
	bkc_buffer_free(&(*w)->index);
	bkc_compressor_free((*w)->compressor);
	free(*w);
	*w = NULL;
}

/* ---- the stage ---- */

static bool
pack_stage_begin(BkcStage *stage, BkcError *err)
{
	((PackStage *) stage)->npieces = 0;
	return true;
}

/* Room for one more piece, made before the frame is put, so that no frame is put in vain. */
static bool
pack_stage_reserve(PackStage *self, BkcError *err)
{
	size_t		cap = self->cap == 0 ? 4 : self->cap * 2;
	BkcPiece   *pieces;

	if (self->npieces < self->cap)
		return true;
	pieces = realloc(self->pieces, cap * sizeof(*pieces));
	if (pieces == NULL)
		return bkc_error_oom(err);
	self->pieces = pieces;
	self->cap = cap;
	return true;
}

static bool
pack_stage_write(BkcStage *stage, const BkcFrame *frame, BkcError *err)
{
	PackStage  *self = (PackStage *) stage;
	BkcPackWriter *w = self->writer;
	BkcPiece   *piece;
	uint32_t	number;

	if (!pack_stage_reserve(self, err) || !writer_put(w, frame, &number, err))
		return false;
	if (self->npieces > 0)
	{
		piece = &self->pieces[self->npieces - 1];
		if (piece->pack_number == w->number && piece->first_frame + piece->frame_count == number)
		{
			piece->frame_count++;
			return true;
		}
	}
	piece = &self->pieces[self->npieces++];
	memset(piece, 0, sizeof(*piece));
	piece->pack_worker = w->spec.worker;
	piece->pack_number = w->number;
	piece->first_frame = number;
	piece->frame_count = 1;
	return true;
}

static bool
pack_stage_end(BkcStage *stage, BkcError *err)
{
	/* a pack that broke after this file's last frame takes the file with it */
	return writer_usable(((PackStage *) stage)->writer, err);
}

static void
pack_stage_abort(BkcStage *stage)
{
	((PackStage *) stage)->npieces = 0;
}

static void
pack_stage_close(BkcStage *stage)
{
	free(((PackStage *) stage)->pieces);
	free(stage);
}

static const BkcStageOps pack_stage_ops = {
	.begin = pack_stage_begin,
	.write = pack_stage_write,
	.end = pack_stage_end,
	.abort = pack_stage_abort,
	.close = pack_stage_close
};

BkcStage *
bkc_stage_pack_new(BkcPackWriter *w, BkcError *err)
{
	PackStage  *self = calloc(1, sizeof(*self));

	if (self == NULL)
	{
		bkc_error_oom(err);
		return NULL;
	}
	self->base.ops = &pack_stage_ops;
	self->writer = w;
	return &self->base;
}

void
bkc_stage_pack_pieces(BkcStage *stage, const BkcPiece **pieces, size_t *n)
{
	PackStage  *self = (PackStage *) stage;

	*pieces = self->pieces;
	*n = self->npieces;
}
