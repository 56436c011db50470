/*
 * golden_raw.c
 *		Objects taken apart by FORMAT.md alone.
 *
 * This is a second reader, on purpose: it shares no code, no constant and no
 * idea with the core, so that both being wrong in the same way is unlikely,
 * and so that FORMAT.md is proven to say enough.  Do not make it call the
 * core, and when it has to change, change FORMAT.md first.
 */
#include "golden.h"

#include <lz4.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include <zlib.h>
#include <zstd.h>

#define ENVELOPE		128
#define HEADER			32
#define FOOTER			32
#define ENTRY			32
#define MAX_PLAIN		1048576
#define MAX_DATA_FRAMES 32767
#define MAX_INFO		8032

enum
{
	KIND_CLUSTER = 1, KIND_BEGIN, KIND_MANIFEST, KIND_PACK, KIND_NOTE, KIND_WAL, KIND_CHUNK,
	KIND_KEY
};
enum
{
	TYPE_DATA = 1, TYPE_INFO, TYPE_INDEX
};
enum
{
	FLAG_LAST = 1, FLAG_STORED = 2
};
enum
{
	CODEC_NONE, CODEC_GZIP, CODEC_LZ4, CODEC_ZSTD
};

/* The former text may be one of the arguments. */
const char *
raw_wrong(const char *fmt,...)
{
	static char text[512];
	char		next[sizeof(text)];
	va_list		args;

	va_start(args, fmt);
	vsnprintf(next, sizeof(next), fmt, args);
	va_end(args);
	memcpy(text, next, sizeof(text));
	return text;
}

/* ---- Conventions ---- */

static uint64_t
number(const uint8_t *p, int bytes)
{
	uint64_t	value = 0;

	while (bytes-- > 0)
		value = value << 8 | p[bytes];
	return value;
}

static bool
is_zero(const uint8_t *p, size_t len)
{
	while (len-- > 0)
	{
		if (*p++ != 0)
			return false;
	}
	return true;
}

static void
digest_of(const uint8_t *p, size_t len, uint64_t seed, uint8_t out[16])
{
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(&canonical, XXH3_128bits_withSeed(p, len, seed));
	memcpy(out, canonical.digest, 16);
}

/* ---- Envelope ---- */

static const char *
parse_envelope(const uint8_t *p, int kind, RawObject *object)
{
	static const uint8_t magic[8] = {0x42, 0x4b, 0x43, 0x4f, 0x42, 0x4a, 0x0d, 0x0a};
	uint8_t		digest[16];

	if (memcmp(p, magic, 8) != 0)
		return raw_wrong("magic");
	digest_of(p, 112, 0, digest);
	if (memcmp(p + 112, digest, 16) != 0)
		return raw_wrong("digest of the envelope");
	if (number(p + 8, 2) != 1)
		return raw_wrong("format version");
	object->kind = (uint16_t) number(p + 10, 2);
	object->codec = p[12];
	if (object->kind != kind)
		return raw_wrong("kind %u", object->kind);
	if (object->codec > CODEC_ZSTD)
		return raw_wrong("codec");
	if (p[13] > 1)
		return raw_wrong("cipher");
	object->sealed = p[13] == 1;
	if (kind == KIND_KEY && !object->sealed)
		return raw_wrong("a key that is not sealed");
	if (p[14] != 1)
		return raw_wrong("digest algorithm");
	if (p[15] != 20)
		return raw_wrong("frame size");
	if (is_zero(p + 16, 16) == object->sealed)
		return raw_wrong("data key id");
	if (is_zero(p + 32, 32))
		return raw_wrong("salt");
	if (!is_zero(p + 64, 48))
		return raw_wrong("zeros");
	return object->sealed ? raw_object_key(p, object->name, object->key) : NULL;
}

static uint64_t
object_seed(const uint8_t *salt, const char *name)
{
	uint8_t		text[32 + 256];
	uint8_t		digest[16];
	uint64_t	seed = 0;
	size_t		len = strlen(name);
	int			i;

	memcpy(text, salt, 32);
	memcpy(text + 32, name, len);
	digest_of(text, 32 + len, 0, digest);
	for (i = 0; i < 8; i++)
		seed = seed << 8 | digest[i];
	return seed;
}

/* ---- Frame ---- */

static bool
expand(uint8_t codec, const uint8_t *in, size_t len, uint8_t *out, size_t out_len)
{
	uLongf		zlib_out = out_len;
	uLong		zlib_in = len;

	switch (codec)
	{
		case CODEC_GZIP:
			return uncompress2(out, &zlib_out, in, &zlib_in) == Z_OK &&
				zlib_out == out_len && zlib_in == len;
		case CODEC_LZ4:
			return LZ4_decompress_safe((const char *) in, (char *) out, (int) len,
									   (int) out_len) == (int) out_len;
		case CODEC_ZSTD:
			return ZSTD_findFrameCompressedSize(in, len) == len &&
				ZSTD_decompress(out, out_len, in, len) == out_len;
		default:
			return false;
	}
}

/* The payload as it was before it was sealed, if it was; in a static buffer then. */
static const uint8_t *
open_payload(const uint8_t *p, uint64_t seed, const RawObject *object, const RawFrame *frame)
{
	static uint8_t opened[MAX_PLAIN];
	uint8_t		digest[16];

	if (!object->sealed)
	{
		digest_of(p + HEADER, frame->stored_len, XXH3_64bits_withSeed(p, 16, seed), digest);
		return memcmp(digest, p + 16, 16) == 0 ? p + HEADER : NULL;
	}
	memcpy(opened, p + HEADER, frame->stored_len);
	return raw_unseal(object->key, p, opened, frame->stored_len) ? opened : NULL;
}

/* The frame at offset; end is where the last one must end. */
static const char *
parse_frame(const uint8_t *data, size_t end, size_t offset, uint32_t expected, uint64_t seed,
			const RawObject *object, RawFrame *frame)
{
	const uint8_t *p = data + offset;
	const uint8_t *payload;

	if (end - offset < HEADER)
		return raw_wrong("frame %u: cut header", expected);
	frame->offset = offset;
	frame->stored_len = (uint32_t) number(p + 4, 4);
	frame->plain_len = (uint32_t) number(p + 8, 4);
	frame->type = p[12];
	frame->flags = p[13];
	memcpy(frame->digest, p + 16, 16);
	if (number(p, 4) != expected)
		return raw_wrong("frame %u: number", expected);
	if (frame->stored_len < 1 || frame->stored_len > MAX_PLAIN ||
		frame->plain_len < 1 || frame->plain_len > MAX_PLAIN)
		return raw_wrong("frame %u: lengths", expected);
	if (frame->stored_len > end - offset - HEADER)
		return raw_wrong("frame %u: cut payload", expected);
	if (frame->type != TYPE_DATA && frame->type != TYPE_INFO && frame->type != TYPE_INDEX)
		return raw_wrong("frame %u: type", expected);
	if ((frame->flags & ~(FLAG_LAST | FLAG_STORED)) != 0)
		return raw_wrong("frame %u: flags", expected);
	if (!is_zero(p + 14, 2))
		return raw_wrong("frame %u: zeros", expected);
	payload = open_payload(p, seed, object, frame);
	if (payload == NULL)
		return raw_wrong("frame %u: digest or tag", expected);

	frame->plain = malloc((size_t) frame->plain_len + 1);
	if (frame->plain == NULL)
		return raw_wrong("out of memory");
	if (frame->flags & FLAG_STORED)
	{
		if (frame->stored_len != frame->plain_len)
			return raw_wrong("frame %u: lengths of a stored frame", expected);
		memcpy(frame->plain, payload, frame->plain_len);
		return NULL;
	}
	/* what does not shrink must be stored plain */
	if (object->codec == CODEC_NONE || frame->stored_len >= frame->plain_len)
		return raw_wrong("frame %u: not marked as stored", expected);
	if (!expand(object->codec, payload, frame->stored_len, frame->plain, frame->plain_len))
		return raw_wrong("frame %u: does not expand", expected);
	return NULL;
}

/* Frames from the envelope to end, which is where the last one ends. */
static const char *
parse_frames(const uint8_t *data, size_t end, RawObject *object)
{
	uint64_t	seed = object_seed(data + 32, object->name);
	size_t		offset = ENVELOPE;
	bool		last = false;
	const char *error;

	while (!last)
	{
		RawFrame   *more = realloc(object->frames, (object->nframes + 1) * sizeof(*more));
		RawFrame   *frame;

		if (more == NULL)
			return raw_wrong("out of memory");
		object->frames = more;
		frame = &more[object->nframes];
		memset(frame, 0, sizeof(*frame));
		object->nframes++;
		error = parse_frame(data, end, offset, (uint32_t) (object->nframes - 1), seed, object,
							frame);
		if (error != NULL)
			return error;
		offset += HEADER + frame->stored_len;
		last = (frame->flags & FLAG_LAST) != 0;
	}
	return offset == end ? NULL : raw_wrong("bytes behind the last frame");
}

/* ---- Packs ---- */

static const char *
check_index(const RawObject *pack, const RawFrame *index)
{
	size_t		i;

	if (index->plain_len != (size_t) ENTRY * pack->nframes)
		return raw_wrong("size of the index");
	for (i = 0; i < pack->nframes; i++)
	{
		const RawFrame *frame = &pack->frames[i];
		const uint8_t *p = index->plain + ENTRY * i;

		if (frame->type != TYPE_DATA)
			return raw_wrong("frame %zu of a pack has type %u", i, frame->type);
		if (number(p, 8) != frame->offset || number(p + 8, 4) != frame->stored_len ||
			number(p + 12, 4) != frame->plain_len || memcmp(p + 16, frame->digest, 16) != 0)
			return raw_wrong("entry %zu of the index", i);
	}
	return NULL;
}

/* Takes the index frame out of the list. */
static const char *
check_pack(const uint8_t *data, size_t len, RawObject *pack)
{
	static const uint8_t magic[8] = {0x42, 0x4b, 0x43, 0x50, 0x41, 0x43, 0x4b, 0x0a};
	const uint8_t *footer = data + len - FOOTER;
	RawFrame	index = pack->frames[--pack->nframes];
	const char *error = NULL;

	if (index.type != TYPE_INDEX)
		error = raw_wrong("the last frame of a pack has type %u", index.type);
	else if (pack->nframes < 1 || pack->nframes > MAX_DATA_FRAMES)
		error = raw_wrong("%zu data frames", pack->nframes);
	else if (memcmp(footer, magic, 8) != 0)
		error = raw_wrong("magic of the footer");
	else if (number(footer + 8, 8) != index.offset)
		error = raw_wrong("offset of the index");
	else if (number(footer + 16, 4) != pack->nframes)
		error = raw_wrong("number of frames in the footer");
	else if (!is_zero(footer + 20, 4))
		error = raw_wrong("zeros of the footer");
	else if (number(footer + 24, 8) != XXH3_64bits(footer, 24))
		error = raw_wrong("hash of the footer");
	else
		error = check_index(pack, &index);
	free(index.plain);
	return error;
}

/* ---- WAL ---- */

/* Takes the info frame out of the list. */
static const char *
check_wal(RawObject *object)
{
	RawFrame	info = object->frames[0];
	size_t		i;

	object->nframes--;
	memmove(object->frames, object->frames + 1, object->nframes * sizeof(info));
	object->info = (char *) info.plain;
	object->info_len = info.plain_len;
	if (info.type != TYPE_INFO)
		return raw_wrong("the first frame has type %u", info.type);
	if (info.flags != FLAG_STORED || info.plain_len > MAX_INFO)
		return raw_wrong("the info frame has flags %u and %u bytes", info.flags, info.plain_len);
	if (object->nframes == 0)
		return raw_wrong("no data frame");
	for (i = 0; i < object->nframes; i++)
	{
		if (i + 1 < object->nframes && object->frames[i].plain_len != MAX_PLAIN)
			return raw_wrong("data frame %zu is short", i);
	}
	return NULL;
}

/* ---- Objects ---- */

const char *
raw_parse(const char *name, int kind, const uint8_t *data, size_t len, RawObject *object)
{
	size_t		footer = kind == KIND_PACK ? FOOTER : 0;
	const char *error;
	size_t		i;

	memset(object, 0, sizeof(*object));
	if (strlen(name) >= sizeof(object->name))
		return raw_wrong("name");
	memcpy(object->name, name, strlen(name) + 1);
	object->size = len;
	if (len < ENVELOPE + footer)
		return raw_wrong("cut envelope");
	if ((error = parse_envelope(data, kind, object)) != NULL ||
		(error = parse_frames(data, len - footer, object)) != NULL)
		return error;
	if (kind == KIND_PACK)
		return check_pack(data, len, object);
	if ((kind == KIND_WAL || kind == KIND_CHUNK) && (error = check_wal(object)) != NULL)
		return error;
	for (i = 0; i < object->nframes; i++)
	{
		if (object->frames[i].type != TYPE_DATA)
			return raw_wrong("frame %zu has type %u", i, object->frames[i].type);
	}
	if (kind != KIND_MANIFEST && kind != KIND_WAL && kind != KIND_CHUNK && object->nframes != 1)
		return raw_wrong("a document of %zu frames", object->nframes);
	return NULL;
}

void
raw_free(RawObject *object)
{
	size_t		i;

	for (i = 0; i < object->nframes; i++)
		free(object->frames[i].plain);
	free(object->frames);
	free(object->info);
	memset(object, 0, sizeof(*object));
}

char *
raw_content(const RawObject *object, size_t *len)
{
	char	   *text;
	size_t		i;

	*len = 0;
	for (i = 0; i < object->nframes; i++)
		*len += object->frames[i].plain_len;
	text = malloc(*len + 1);
	if (text == NULL)
		return NULL;
	*len = 0;
	for (i = 0; i < object->nframes; i++)
	{
		memcpy(text + *len, object->frames[i].plain, object->frames[i].plain_len);
		*len += object->frames[i].plain_len;
	}
	text[*len] = '\0';
	return text;
}
