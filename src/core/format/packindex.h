/*
 * packindex.h
 *		The index frame and the footer at the end of a pack.
 *
 * Index payload (plain): one entry of 32 bytes a data frame, in order:
 *		u64 offset of the frame header in the object, u32 stored_len,
 *		u32 plain_len, 16 bytes digest.
 * At most BKC_PACK_FRAMES_MAX data frames a pack, so that the index is one
 * frame.  Footer (32 bytes, the last of the object): magic, u64 offset of
 * the index frame's header, u32 number of data frames, u32 zero, u64 XXH3 of
 * the 24 bytes before.
 */
#ifndef BKC_FORMAT_PACKINDEX_H
#define BKC_FORMAT_PACKINDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "format/envelope.h"

#define BKC_PACK_FOOTER_SIZE	32
#define BKC_PACK_ENTRY_SIZE		32
#define BKC_PACK_FRAMES_MAX		(BKC_FRAME_PLAIN_MAX / BKC_PACK_ENTRY_SIZE - 1)

typedef struct BkcPackEntry
{
	uint64_t	offset;
	uint32_t	stored_len;
	uint32_t	plain_len;
	uint8_t		digest[BKC_DIGEST_SIZE];
} BkcPackEntry;

typedef struct BkcPackFooter
{
	uint64_t	index_offset;
	uint32_t	nframes;
} BkcPackFooter;

extern void bkc_packentry_encode(const BkcPackEntry *entry, uint8_t out[BKC_PACK_ENTRY_SIZE]);
extern void bkc_packentry_decode(const uint8_t in[BKC_PACK_ENTRY_SIZE], BkcPackEntry *entry);
extern void bkc_packfooter_encode(const BkcPackFooter *footer, uint8_t out[BKC_PACK_FOOTER_SIZE]);

/* Magic, hash, nframes within limits, index_offset within an object of object_size bytes. */
extern bool bkc_packfooter_decode(const uint8_t in[BKC_PACK_FOOTER_SIZE], uint64_t object_size,
								  const char *name, BkcPackFooter *footer, BkcError *err);

/* Lengths within limits; frames cover [BKC_ENVELOPE_SIZE, index_offset) without gap or overlap. */
extern bool bkc_packindex_check(const BkcPackEntry *entries, uint32_t n, uint64_t index_offset,
								const char *name, BkcError *err);

#endif							/* BKC_FORMAT_PACKINDEX_H */
