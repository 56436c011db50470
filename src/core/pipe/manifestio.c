/*
 * manifestio.c
 *		Manifests in and out of objects, one frame in memory at a time.
 */
#include "pipe/manifestio.h"

#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "pipe/codec.h"
#include "pipe/object.h"
#include "pipe/stages.h"

#define MANIFEST_CODEC	BKC_CODEC_ZSTD
#define MANIFEST_LEVEL	3

/* More than an envelope and two frames. */
#define PEEK_SIZE		((uint64_t) 3 * BKC_FRAME_PLAIN_MAX)

struct BkcManifestPut
{
	BkcStore   *store;
	BkcObjectWriter *object;
	BkcManifestWriter *writer;
	BkcCompressor *compressor;
	BkcBuffer	text;			/* lines not yet put into a frame */
};

/* ---- writing ---- */

/* Put the first len bytes of the text as a frame. */
static bool
put_frame(BkcManifestPut *put, size_t len, bool last, BkcError *err)
{
	BkcFrame	frame = {
		.data = put->text.data,
		.len = (uint32_t) len,
		.plain_len = (uint32_t) len,
		.type = BKC_FRAME_DATA,
		.flags = BKC_FRAME_STORED
	};
	const uint8_t *data;
	uint32_t	shrunk;

	if (!bkc_host_check(err) ||
		!bkc_compressor_run(put->compressor, frame.data, frame.len, &data, &shrunk, err))
		return false;
	if (shrunk > 0)
	{
		frame.data = data;
		frame.len = shrunk;
		frame.flags = 0;
	}
	if (!bkc_object_put(put->object, &frame, last, NULL, err))
		return false;
	memmove(put->text.data, put->text.data + len, put->text.len - len);
	put->text.len -= len;
	return true;
}

/* Something always stays behind, so that commit has a last frame to put. */
static bool
put_full_frames(BkcManifestPut *put, BkcError *err)
{
	while (put->text.len > BKC_FRAME_PLAIN_MAX)
	{
		if (!put_frame(put, BKC_FRAME_PLAIN_MAX, false, err))
			return false;
	}
	return true;
}

bool
bkc_manifest_put_begin(BkcStore *store, const BkcManifestHeader *header,
					   BkcManifestPut **put, BkcError *err)
{
	BkcManifestPut *new;
	char		name[BKC_NAME_MAX];

	*put = NULL;
	if (!bkc_name_manifest(header->system_identifier, header->label, name, err))
		return false;
	new = calloc(1, sizeof(*new));
	if (new == NULL)
		return bkc_error_oom(err);
	new->store = store;
	new->writer = bkc_manifest_writer_new(err);
	if (new->writer == NULL ||
		!bkc_compressor_new(MANIFEST_CODEC, MANIFEST_LEVEL, &new->compressor, err) ||
		!bkc_manifest_write_header(new->writer, header, &new->text, err) ||
		!bkc_object_create(store, name, BKC_KIND_MANIFEST, MANIFEST_CODEC, 0, &new->object, err))
	{
		bkc_manifest_put_close(new);
		return false;
	}
	*put = new;
	return true;
}

bool
bkc_manifest_put_entry(BkcManifestPut *put, const BkcEntry *entry, BkcError *err)
{
	return bkc_manifest_write_entry(put->writer, entry, &put->text, err) &&
		put_full_frames(put, err);
}

bool
bkc_manifest_put_pack(BkcManifestPut *put, const BkcPackInfo *pack, BkcError *err)
{
	return bkc_manifest_write_pack(put->writer, pack, &put->text, err) &&
		put_full_frames(put, err);
}

bool
bkc_manifest_put_commit(BkcManifestPut *put, BkcManifestTotals *totals, BkcError *err)
{
	put->store->backup_size = bkc_manifest_writer_totals(put->writer)->bytes;
	if (!bkc_manifest_write_trailer(put->writer, &put->text, err) ||
		!put_full_frames(put, err) ||
		!put_frame(put, put->text.len, true, err) ||
		!bkc_object_commit(put->object, err))
		return false;
	if (totals != NULL)
		*totals = *bkc_manifest_writer_totals(put->writer);
	return true;
}

void
bkc_manifest_put_close(BkcManifestPut *put)
{
	if (put == NULL)
		return;
	bkc_object_close(put->object);
	bkc_manifest_writer_free(put->writer);
	bkc_compressor_free(put->compressor);
	bkc_buffer_free(&put->text);
	free(put);
}

/* ---- reading ---- */

typedef struct ManifestGet
{
	const BkcManifestScan *scan;
	const char *name;			/* of the object */
	uint64_t	sysid;
	const char *label;
	BkcObjectReader *object;
	BkcDecompressor *decompressor;
	BkcManifestReader *reader;
	BkcBuffer	text;			/* plain bytes not yet taken as lines */
	bool		peek;			/* only the first line is wanted */
	bool		peeked;
	BkcManifestHeader header;
	BkcEntry	entry;
	BkcPackInfo pack;
} ManifestGet;

static bool
get_header(ManifestGet *get, BkcError *err)
{
	if (get->header.system_identifier != get->sysid || strcmp(get->header.label, get->label) != 0)
		return bkc_error_set(err, BKC_ERR_CORRUPT,
							 "manifest \"%s\" is that of backup \"%s\" of cluster %llu",
							 get->name, get->header.label,
							 (unsigned long long) get->header.system_identifier);
	get->peeked = get->peek;
	return get->scan->header == NULL || get->scan->header(get->scan->arg, &get->header, err);
}

static bool
get_line(ManifestGet *get, const char *line, size_t len, BkcError *err)
{
	const BkcManifestScan *scan = get->scan;
	BkcManifestLine kind;

	if (!bkc_manifest_read_line(get->reader, line, len, &kind, &get->header, &get->entry,
								&get->pack, err))
		return false;
	switch (kind)
	{
		case BKC_LINE_HEADER:
			return get_header(get, err);
		case BKC_LINE_ENTRY:
			return scan->entry == NULL || scan->entry(scan->arg, &get->entry, err);
		case BKC_LINE_PACK:
			return scan->pack == NULL || scan->pack(scan->arg, &get->pack, err);
		case BKC_LINE_END:
			return true;
	}
	return bkc_error_set(err, BKC_ERR_INTERNAL, "unknown kind of manifest line %d", (int) kind);
}

/* Take all whole lines; the rest moves to the front. */
static bool
get_lines(ManifestGet *get, BkcError *err)
{
	const char *pos = (const char *) get->text.data;
	size_t		left = get->text.len;
	const char *newline;

	while (left > 0 && (newline = memchr(pos, '\n', left)) != NULL)
	{
		size_t		len = (size_t) (newline - pos);

		if (!get_line(get, pos, len, err))
			return false;
		pos += len + 1;
		left -= len + 1;
		if (get->peeked)
			return true;
	}
	if (left > BKC_MANIFEST_LINE_MAX)
		return bkc_error_set(err, BKC_ERR_CORRUPT,
							 "manifest \"%s\" has a line of more than %d bytes",
							 get->name, BKC_MANIFEST_LINE_MAX);
	memmove(get->text.data, pos, left);
	get->text.len = left;
	return true;
}

/* Expand a frame behind the text that is left over. */
static bool
get_frame(ManifestGet *get, const BkcFrame *frame, BkcError *err)
{
	uint8_t    *out;

	if (frame->type != BKC_FRAME_DATA)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "manifest \"%s\" has a frame of type %u",
							 get->name, (unsigned) frame->type);
	if (!bkc_buffer_reserve(&get->text, frame->plain_len, err))
		return false;
	out = get->text.data + get->text.len;
	if (frame->flags & BKC_FRAME_STORED)
		memcpy(out, frame->data, frame->plain_len);
	else if (!bkc_decompressor_run(get->decompressor,
								   (BkcCodec) bkc_object_envelope(get->object)->codec,
								   frame->data, frame->len, out, frame->plain_len, err))
		return bkc_error_context(err, "manifest \"%s\"", get->name);
	get->text.len += frame->plain_len;
	return get_lines(get, err);
}

static bool
get_all(ManifestGet *get, BkcStore *store, BkcError *err)
{
	BkcFrame	frame;
	bool		end;

	/* the first line may lie in two frames, if it is as long as a line may be */
	if (!bkc_object_open_head(store, get->name, BKC_KIND_MANIFEST,
							  get->peek ? PEEK_SIZE : UINT64_MAX, &get->object, err) ||
		!bkc_decompressor_new(&get->decompressor, err))
		return false;
	get->reader = bkc_manifest_reader_new(get->name, err);
	if (get->reader == NULL)
		return false;
	for (;;)
	{
		if (!bkc_host_check(err) || !bkc_object_next(get->object, &frame, 0, &end, err))
			return false;
		if (end)
			break;
		if (!get_frame(get, &frame, err))
			return false;
		if (get->peeked)
			return true;
	}
	if (get->text.len > 0)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "manifest \"%s\" ends within a line", get->name);
	return bkc_manifest_reader_finish(get->reader, err);
}

static void
get_close(ManifestGet *get)
{
	bkc_object_reader_close(get->object);
	bkc_decompressor_free(get->decompressor);
	bkc_manifest_reader_free(get->reader);
	bkc_buffer_free(&get->text);
	bkc_manifest_header_free(&get->header);
	bkc_entry_free(&get->entry);
}

bool
bkc_manifest_scan(BkcStore *store, uint64_t sysid, const char *label,
				  const BkcManifestScan *scan, BkcManifestTotals *totals, BkcError *err)
{
	ManifestGet get = {.scan = scan, .sysid = sysid, .label = label};
	char		name[BKC_NAME_MAX];
	bool		ok;

	if (!bkc_name_manifest(sysid, label, name, err))
		return false;
	get.name = name;
	ok = get_all(&get, store, err);
	if (ok && totals != NULL)
		*totals = *bkc_manifest_reader_totals(get.reader);
	get_close(&get);
	return ok;
}

bool
bkc_manifest_peek(BkcStore *store, uint64_t sysid, const char *label, BkcManifestHeader *header,
				  BkcError *err)
{
	static const BkcManifestScan nothing = {0};
	ManifestGet get = {.scan = &nothing, .sysid = sysid, .label = label, .peek = true};
	char		name[BKC_NAME_MAX];
	bool		ok;

	memset(header, 0, sizeof(*header));
	if (!bkc_name_manifest(sysid, label, name, err))
		return false;
	get.name = name;
	ok = get_all(&get, store, err);
	if (ok)
	{
		*header = get.header;
		memset(&get.header, 0, sizeof(get.header));
	}
	get_close(&get);
	return ok;
}
