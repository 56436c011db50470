/*
 * walobj_reader.h
 *		One WAL object after another as plain bytes, checked.
 *
 * Contexts and buffers are made once and used for object after object: an
 * open segment may have thousands of chunks.
 */
#ifndef BKC_PIPE_WALOBJ_READER_H
#define BKC_PIPE_WALOBJ_READER_H

#include "pipe/object.h"
#include "pipe/walobj.h"

/* What of an object is read for its info frame alone; such a frame is never larger. */
#define BKC_WAL_HEAD_SIZE	8192
#define BKC_WAL_INFO_SIZE	(BKC_WAL_HEAD_SIZE - BKC_ENVELOPE_SIZE - BKC_FRAME_HEADER_SIZE)

typedef struct BkcWalReader BkcWalReader;

extern bool bkc_walreader_new(BkcWalReader **r, BkcError *err);

/* Begin with an object; the one before is forgotten.  *info: what its info frame says. */
extern bool bkc_walreader_open(BkcWalReader *r, BkcStore *store, const char *name,
							   BkcWalInfo *info, BkcError *err);

/*
 * The next bytes, valid until the next call.  *len = 0 at the end: then all of the object was
 * there, with the size and the SHA-256 that its info frame says.
 */
extern bool bkc_walreader_next(BkcWalReader *r, const uint8_t **data, uint32_t *len,
							   BkcError *err);
extern void bkc_walreader_free(BkcWalReader *r);	/* NULL is fine */

#endif							/* BKC_PIPE_WALOBJ_READER_H */
