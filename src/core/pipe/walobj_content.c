/*
 * walobj_content.c
 *		Reading, hashing and compressing what goes into WAL objects
 *		(contract: walobj_content.h).
 */
#include "pipe/walobj_content.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/host.h"

/*
 * Above this level zstd's own tables take up to 17 MiB, and hashing twice is
 * nothing beside the time it takes: then only one frame is held.
 */
#define HOLD_ZSTD_LEVEL		6

bool
bkc_walcontent_init(BkcWalContent *content, BkcCodec codec, int level, BkcError *err)
{
	if (!bkc_compressor_new(codec, level, &content->compressor, err))
		return false;
	content->shrinks = codec != BKC_CODEC_NONE;
	content->sha = bkc_sha256_new(err);
	if (content->sha == NULL)
		return false;
	content->hold_size = codec == BKC_CODEC_ZSTD && level > HOLD_ZSTD_LEVEL ?
		BKC_FRAME_PLAIN_MAX : BKC_WAL_HOLD_MAX;
	content->hold = malloc(content->hold_size);
	return content->hold != NULL || bkc_error_oom(err);
}

void
bkc_walcontent_free(BkcWalContent *content)
{
	bkc_compressor_free(content->compressor);
	bkc_sha256_free(content->sha);
	free(content->hold);
	memset(content, 0, sizeof(*content));
}

static bool
changed(const BkcWalSource *source, BkcError *err)
{
	return bkc_error_set(err, BKC_ERR_UNAVAILABLE, "file \"%s\" changed while it was read",
						 source->path);
}

/* Read and hash what belongs into the frame that begins at pos of the source. */
static bool
read_frame(BkcWalContent *content, const BkcWalSource *source, uint64_t pos, uint8_t *into,
		   uint32_t *len, BkcError *err)
{
	uint64_t	left = source->size - pos;
	size_t		got = 0;
	bool		ok;

	*len = left < BKC_FRAME_PLAIN_MAX ? (uint32_t) left : BKC_FRAME_PLAIN_MAX;
	if (!bkc_host_check(err))
		return false;
	if (content->move != NULL)
		content->move(content->move_arg);
	bkc_host->wait_event(BKC_WAIT_FILE_READ);
	ok = bkc_file_pread(source->fd, source->path, into, *len, source->offset + pos, &got, err);
	bkc_host->wait_event(BKC_WAIT_NONE);
	if (!ok)
		return false;
	if (got < *len)
		return changed(source, err);
	return bkc_sha256_update(content->sha, into, *len, err);
}

/* Before the first frame is read. */
static bool
read_begin(BkcWalContent *content, const BkcWalSource *source, BkcError *err)
{
	/* advice only */
	(void) posix_fadvise(source->fd, (off_t) source->offset, (off_t) source->size,
						 POSIX_FADV_SEQUENTIAL);
	return bkc_sha256_begin(content->sha, err);
}

/* After the last frame. */
static bool
read_end(BkcWalContent *content, const BkcWalSource *source, uint8_t sha256[BKC_SHA256_SIZE],
		 BkcError *err)
{
	uint8_t		byte;
	size_t		got = 0;

	if (source->whole)
	{
		if (!bkc_file_pread(source->fd, source->path, &byte, 1, source->offset + source->size,
							&got, err))
			return false;
		if (got != 0)
			return changed(source, err);
	}
	return bkc_sha256_end(content->sha, sha256, err);
}

bool
bkc_walcontent_hash(BkcWalContent *content,
					const BkcWalSource *source, uint8_t sha256[BKC_SHA256_SIZE], BkcError *err)
{
	uint32_t	len;

	content->held = false;
	if (!read_begin(content, source, err))
		return false;
	for (uint64_t pos = 0; pos < source->size; pos += len)
	{
		if (!read_frame(content, source, pos, content->hold, &len, err))
			return false;
	}
	return read_end(content, source, sha256, err);
}

static bool
all_zero(const uint8_t *data, size_t len)
{
	static const uint8_t zero[4096];

	for (; len >= sizeof(zero); data += sizeof(zero), len -= sizeof(zero))
		if (memcmp(data, zero, sizeof(zero)) != 0)
			return false;
	return memcmp(data, zero, len) == 0;
}

/*
 * A segment that was switched early ends in nothing but zeros: a whole frame
 * of them is compressed once in the life of a writer.
 */
static bool
zero_frame(BkcWalContent *content, const uint8_t *data, BkcFrame *frame, BkcError *err)
{
	if (content->zero_len == 0)
	{
		const uint8_t *out;
		uint32_t	out_len;

		if (!bkc_compressor_run(content->compressor, data, BKC_FRAME_PLAIN_MAX, &out, &out_len,
								err))
			return false;
		if (out_len == 0 || out_len > sizeof(content->zero))
			return bkc_error_set(err, BKC_ERR_INTERNAL, "zeros were compressed to %u bytes",
								 out_len);
		memcpy(content->zero, out, out_len);
		content->zero_len = out_len;
	}
	frame->data = content->zero;
	frame->len = content->zero_len;
	frame->plain_len = BKC_FRAME_PLAIN_MAX;
	frame->type = BKC_FRAME_DATA;
	frame->flags = 0;
	return true;
}

/* The frame of len plain bytes, which may be in the compressor's memory afterwards. */
static bool
make_frame(BkcWalContent *content, const uint8_t *data, uint32_t len, BkcFrame *frame,
		   BkcError *err)
{
	const uint8_t *out;
	uint32_t	out_len;

	if (content->shrinks && len == BKC_FRAME_PLAIN_MAX && all_zero(data, len))
		return zero_frame(content, data, frame, err);
	if (!bkc_compressor_run(content->compressor, data, len, &out, &out_len, err))
		return false;
	frame->data = out_len > 0 ? out : data;
	frame->len = out_len > 0 ? out_len : len;
	frame->plain_len = len;
	frame->type = BKC_FRAME_DATA;
	frame->flags = out_len > 0 ? 0 : BKC_FRAME_STORED;
	return true;
}

bool
bkc_walcontent_prepare(BkcWalContent *content, const BkcWalSource *source,
					   uint8_t sha256[BKC_SHA256_SIZE], BkcError *err)
{
	uint8_t    *next = content->hold;
	BkcFrame   *frame = content->frames;
	uint32_t	len;

	if (source->size > content->hold_size)
		return bkc_walcontent_hash(content, source, sha256, err);
	content->held = false;
	content->nframes = 0;
	if (!read_begin(content, source, err))
		return false;

	/*
	 * A frame is read to where it will stay if it does not shrink; there is
	 * room, because no frame before it has grown.
	 */
	for (uint64_t pos = 0; pos < source->size; pos += len)
	{
		if (!read_frame(content, source, pos, next, &len, err) ||
			!make_frame(content, next, len, frame, err))
			return false;
		if (frame->data != next)
		{
			memcpy(next, frame->data, frame->len);
			frame->data = next;
		}
		next += frame->len;
		frame++;
		content->nframes++;
	}
	content->held = read_end(content, source, sha256, err);
	return content->held;
}

static bool
put_held(BkcWalContent *content, BkcObjectWriter *object, BkcError *err)
{
	for (size_t i = 0; i < content->nframes; i++)
	{
		if (!bkc_host_check(err) ||
			!bkc_object_put(object, &content->frames[i], i + 1 == content->nframes, NULL, err))
			return false;
	}
	return true;
}

bool
bkc_walcontent_put(BkcWalContent *content, const BkcWalSource *source,
				   const uint8_t sha256[BKC_SHA256_SIZE], BkcObjectWriter *object, BkcError *err)
{
	uint8_t		again[BKC_SHA256_SIZE];
	BkcFrame	frame;
	uint32_t	len;

	if (content->held)
		return put_held(content, object, err);
	if (!read_begin(content, source, err))
		return false;
	for (uint64_t pos = 0; pos < source->size; pos += len)
	{
		if (!read_frame(content, source, pos, content->hold, &len, err) ||
			!make_frame(content, content->hold, len, &frame, err) ||
			!bkc_object_put(object, &frame, pos + len == source->size, NULL, err))
			return false;
	}
	if (!read_end(content, source, again, err))
		return false;
	return memcmp(sha256, again, sizeof(again)) == 0 || changed(source, err);
}
