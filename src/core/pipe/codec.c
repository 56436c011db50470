/*
 * codec.c
 *		zstd, lz4 and zlib as frame codecs.
 *
 * A frame that does not shrink is stored plain, so the compressors get one
 * byte less room than the input has: they give up by themselves as soon as
 * that is used up, and an output that fits is a gain by definition.
 */
#include "pipe/codec.h"

#include <lz4.h>
#include <lz4hc.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "pipe/stages.h"

typedef struct CodecOps
{
	int			min_level;
	int			max_level;
	bool		(*open) (BkcCompressor *c, BkcError *err);
	bool		(*run) (BkcCompressor *c, const uint8_t *data, uint32_t len,
						uint32_t *out_len, BkcError *err);
	bool		(*expand) (BkcDecompressor *d, const uint8_t *data, uint32_t len,
						   uint8_t *out, uint32_t plain_len, bool *good, BkcError *err);
} CodecOps;

struct BkcCompressor
{
	const CodecOps *ops;
	int			level;
	ZSTD_CCtx  *zstd;
	void	   *lz4;
	z_stream	zlib;
	bool		zlib_open;
	uint8_t    *out;			/* BKC_FRAME_PLAIN_MAX bytes */
};

struct BkcDecompressor
{
	ZSTD_DCtx  *zstd;
	z_stream	zlib;
	bool		zlib_open;
};

/* ---- none ---- */

static bool
none_open(BkcCompressor *c, BkcError *err)
{
	return true;
}

static bool
none_run(BkcCompressor *c, const uint8_t *data, uint32_t len, uint32_t *out_len, BkcError *err)
{
	*out_len = 0;
	return true;
}

/* With codec none every frame is stored; one that claims otherwise is wrong. */
static bool
none_expand(BkcDecompressor *d, const uint8_t *data, uint32_t len,
			uint8_t *out, uint32_t plain_len, bool *good, BkcError *err)
{
	*good = false;
	return true;
}

/* ---- gzip (a zlib stream) ---- */

static bool
gzip_open(BkcCompressor *c, BkcError *err)
{
	if (deflateInit(&c->zlib, c->level) != Z_OK)
		return bkc_error_oom(err);
	c->zlib_open = true;
	return true;
}

static bool
gzip_run(BkcCompressor *c, const uint8_t *data, uint32_t len, uint32_t *out_len, BkcError *err)
{
	int			rc;

	if (deflateReset(&c->zlib) != Z_OK)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "could not reset the gzip compressor");
	c->zlib.next_in = (Bytef *) data;
	c->zlib.avail_in = len;
	c->zlib.next_out = c->out;
	c->zlib.avail_out = len - 1;
	rc = deflate(&c->zlib, Z_FINISH);
	if (rc == Z_STREAM_END)
		*out_len = (len - 1) - c->zlib.avail_out;
	else if (rc == Z_OK || rc == Z_BUF_ERROR)
		*out_len = 0;			/* no room left: does not shrink */
	else
		return bkc_error_set(err, BKC_ERR_INTERNAL, "could not compress with gzip: error %d", rc);
	return true;
}

static bool
gzip_expand(BkcDecompressor *d, const uint8_t *data, uint32_t len,
			uint8_t *out, uint32_t plain_len, bool *good, BkcError *err)
{
	int			rc;

	if (!d->zlib_open)
	{
		if (inflateInit(&d->zlib) != Z_OK)
			return bkc_error_oom(err);
		d->zlib_open = true;
	}
	else if (inflateReset(&d->zlib) != Z_OK)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "could not reset the gzip decompressor");
	d->zlib.next_in = (Bytef *) data;
	d->zlib.avail_in = len;
	d->zlib.next_out = out;
	d->zlib.avail_out = plain_len;
	rc = inflate(&d->zlib, Z_FINISH);
	if (rc == Z_MEM_ERROR)
		return bkc_error_oom(err);
	*good = rc == Z_STREAM_END && d->zlib.avail_in == 0 && d->zlib.avail_out == 0;
	return true;
}

/* ---- lz4 (a raw block) ---- */

static bool
lz4_open(BkcCompressor *c, BkcError *err)
{
	int			size = c->level == 1 ? LZ4_sizeofState() : LZ4_sizeofStateHC();

	c->lz4 = malloc((size_t) size);
	return c->lz4 != NULL || bkc_error_oom(err);
}

static bool
lz4_run(BkcCompressor *c, const uint8_t *data, uint32_t len, uint32_t *out_len, BkcError *err)
{
	const char *in = (const char *) data;
	char	   *out = (char *) c->out;
	int			room = (int) len - 1;
	int			n;

	if (c->level == 1)
		n = LZ4_compress_fast_extState(c->lz4, in, out, (int) len, room, 1);
	else
		n = LZ4_compress_HC_extStateHC(c->lz4, in, out, (int) len, room, c->level);
	*out_len = n > 0 ? (uint32_t) n : 0;
	return true;
}

static bool
lz4_expand(BkcDecompressor *d, const uint8_t *data, uint32_t len,
		   uint8_t *out, uint32_t plain_len, bool *good, BkcError *err)
{
	int			n = LZ4_decompress_safe((const char *) data, (char *) out,
									(int) len, (int) plain_len);

	*good = n >= 0 && (uint32_t) n == plain_len;
	return true;
}

/* ---- zstd ---- */

/*
 * The defaults are what the format wants: content size written, no checksum
 * (the frame's own digest does that), single-threaded.
 */
static bool
zstd_open(BkcCompressor *c, BkcError *err)
{
	c->zstd = ZSTD_createCCtx();
	if (c->zstd == NULL)
		return bkc_error_oom(err);
	if (ZSTD_isError(ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_compressionLevel, c->level)))
		return bkc_error_set(err, BKC_ERR_INTERNAL, "zstd refused compression level %d", c->level);
	return true;
}

static bool
zstd_run(BkcCompressor *c, const uint8_t *data, uint32_t len, uint32_t *out_len, BkcError *err)
{
	size_t		n = ZSTD_compress2(c->zstd, c->out, len - 1, data, len);

	if (!ZSTD_isError(n))
		*out_len = (uint32_t) n;
	else if (ZSTD_getErrorCode(n) == ZSTD_error_dstSize_tooSmall)
		*out_len = 0;
	else if (ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation)
		return bkc_error_oom(err);
	else
		return bkc_error_set(err, BKC_ERR_INTERNAL, "could not compress with zstd: %s",
							 ZSTD_getErrorName(n));
	return true;
}

static bool
zstd_expand(BkcDecompressor *d, const uint8_t *data, uint32_t len,
			uint8_t *out, uint32_t plain_len, bool *good, BkcError *err)
{
	size_t		n;

	if (d->zstd == NULL)
		d->zstd = ZSTD_createDCtx();
	if (d->zstd == NULL)
		return bkc_error_oom(err);
	n = ZSTD_decompressDCtx(d->zstd, out, plain_len, data, len);
	if (ZSTD_isError(n) && ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation)
		return bkc_error_oom(err);
	*good = !ZSTD_isError(n) && n == plain_len;
	return true;
}

/* ---- the table ---- */

static const CodecOps codecs[] = {
	[BKC_CODEC_NONE] = {0, 0, none_open, none_run, none_expand},
	[BKC_CODEC_GZIP] = {1, 9, gzip_open, gzip_run, gzip_expand},
	[BKC_CODEC_LZ4] = {1, 12, lz4_open, lz4_run, lz4_expand},
	[BKC_CODEC_ZSTD] = {1, 19, zstd_open, zstd_run, zstd_expand},
};

static const CodecOps *
codec_ops(BkcCodec codec, BkcError *err)
{
	if ((unsigned) codec < sizeof(codecs) / sizeof(codecs[0]))
		return &codecs[codec];
	bkc_error_set(err, BKC_ERR_UNSUPPORTED, "unknown compression codec %d", (int) codec);
	return NULL;
}

bool
bkc_codec_check_level(BkcCodec codec, int level, BkcError *err)
{
	const CodecOps *ops = codec_ops(codec, err);

	if (ops == NULL)
		return false;
	if (codec == BKC_CODEC_NONE || (level >= ops->min_level && level <= ops->max_level))
		return true;
	bkc_error_set(err, BKC_ERR_INVALID, "compression level %d is out of range for %s",
				  level, bkc_codec_name(codec));
	return bkc_error_hint(err, "Levels of %s are %d to %d.", bkc_codec_name(codec),
						  ops->min_level, ops->max_level);
}

bool
bkc_compressor_new(BkcCodec codec, int level, BkcCompressor **c, BkcError *err)
{
	BkcCompressor *new;

	*c = NULL;
	if (!bkc_codec_check_level(codec, level, err))
		return false;
	new = calloc(1, sizeof(*new));
	if (new == NULL)
		return bkc_error_oom(err);
	new->ops = &codecs[codec];
	new->level = level;
	if (codec != BKC_CODEC_NONE)
	{
		new->out = malloc(BKC_FRAME_PLAIN_MAX);
		if (new->out == NULL)
		{
			bkc_compressor_free(new);
			return bkc_error_oom(err);
		}
	}
	if (!new->ops->open(new, err))
	{
		bkc_compressor_free(new);
		return false;
	}
	*c = new;
	return true;
}

bool
bkc_compressor_run(BkcCompressor *c, const uint8_t *data, uint32_t len,
				   const uint8_t **out, uint32_t *out_len, BkcError *err)
{
	if (len == 0 || len > BKC_FRAME_PLAIN_MAX)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "frame of %u bytes to compress", len);
	*out = c->out;

	/* a single byte cannot shrink, and no library likes an output of no room */
	if (len == 1)
	{
		*out_len = 0;
		return true;
	}
	return c->ops->run(c, data, len, out_len, err);
}

void
bkc_compressor_free(BkcCompressor *c)
{
	if (c == NULL)
		return;
	if (c->zlib_open)
		deflateEnd(&c->zlib);
	ZSTD_freeCCtx(c->zstd);
	free(c->lz4);
	free(c->out);
	free(c);
}

bool
bkc_decompressor_new(BkcDecompressor **d, BkcError *err)
{
	*d = calloc(1, sizeof(**d));
	return *d != NULL || bkc_error_oom(err);
}

bool
bkc_decompressor_run(BkcDecompressor *d, BkcCodec codec, const uint8_t *data, uint32_t len,
					 uint8_t *out, uint32_t plain_len, BkcError *err)
{
	const CodecOps *ops = codec_ops(codec, err);
	bool		good = false;

	if (ops == NULL)
		return false;

	/* nothing is stored that is not smaller than the plain bytes */
	if (plain_len == 0 || plain_len > BKC_FRAME_PLAIN_MAX || len == 0 || len >= plain_len)
		return bkc_error_set(err, BKC_ERR_CORRUPT,
							 "compressed frame of %u bytes claims %u plain bytes", len, plain_len);
	if (!ops->expand(d, data, len, out, plain_len, &good, err))
		return false;
	if (!good)
		return bkc_error_set(err, BKC_ERR_CORRUPT,
							 "%s frame of %u bytes does not decompress to %u bytes",
							 bkc_codec_name(codec), len, plain_len);
	return true;
}

void
bkc_decompressor_free(BkcDecompressor *d)
{
	if (d == NULL)
		return;
	if (d->zlib_open)
		inflateEnd(&d->zlib);
	ZSTD_freeDCtx(d->zstd);
	free(d);
}
