/*
 * walobj_content.h
 *		A file's bytes on their way into a WAL object: read, hashed, compressed.
 *
 * The hash stands at the beginning of the object and is known only when all has
 * been read.  Therefore what is small enough is held in memory, compressed, until
 * then, so that segments of the usual size are read and hashed once.  Larger ones are
 * read twice, and the second reading is hashed, too: a file that changes in between
 * is never stored under a wrong hash.
 */
#ifndef BKC_PIPE_WALOBJ_CONTENT_H
#define BKC_PIPE_WALOBJ_CONTENT_H

#include "crypto/digest.h"
#include "pipe/codec.h"
#include "pipe/object.h"

#define BKC_WAL_HOLD_MAX	((size_t) 16 << 20)
#define BKC_WAL_HOLD_FRAMES	(BKC_WAL_HOLD_MAX / BKC_FRAME_PLAIN_MAX)

typedef struct BkcWalSource
{
	int			fd;
	const char *path;			/* for messages */
	uint64_t	offset;			/* of the first byte */
	uint64_t	size;			/* not 0 */
	bool		whole;			/* the file must end behind them */
} BkcWalSource;

typedef struct BkcWalContent
{
	bool		shrinks;		/* the codec compresses */
	uint32_t	zero_len;		/* a frame of zeros, compressed; 0 = not yet */
	uint8_t		zero[8192];
	BkcCompressor *compressor;
	BkcSha256  *sha;
	uint8_t    *hold;			/* memory is really used as far as it was ever filled */
	size_t		hold_size;
	bool		held;			/* hold has all of the present source */
	BkcFrame	frames[BKC_WAL_HOLD_FRAMES];	/* data point into hold */
	size_t		nframes;

	/* called before each frame that is read, so that something else moves along; may be NULL */
	void (*move)(void *arg);
	void	   *move_arg;
} BkcWalContent;

/* content is zeroed; free it also after a failure. */
extern bool bkc_walcontent_init(BkcWalContent *content, BkcCodec codec, int level, BkcError *err);
extern void bkc_walcontent_free(BkcWalContent *content);

/* Only hash a source. */
extern bool bkc_walcontent_hash(BkcWalContent *content,
								const BkcWalSource *source, uint8_t sha256[BKC_SHA256_SIZE],
								BkcError *err);

/* Hash a source, and hold it if it is small enough; put() must be for the same source. */
extern bool bkc_walcontent_prepare(BkcWalContent *content, const BkcWalSource *source,
								   uint8_t sha256[BKC_SHA256_SIZE], BkcError *err);

/*
 * Put the data frames of the source that was prepared, which has that hash: BKC_ERR_STATE when
 * it does not any more.  The object must not be committed after a failure.
 */
extern bool bkc_walcontent_put(BkcWalContent *content, const BkcWalSource *source,
							   const uint8_t sha256[BKC_SHA256_SIZE], BkcObjectWriter *object,
							   BkcError *err);

#endif							/* BKC_PIPE_WALOBJ_CONTENT_H */
