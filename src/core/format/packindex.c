/*
 * packindex.c
 *		Index and footer of packs (contract: packindex.h; bytes: FORMAT.md, "Packs").
 */
#include "format/packindex.h"

#include <inttypes.h>
#include <string.h>
#include <xxhash.h>

#include "base/bytes.h"

#define FOOTER_MAGIC		"BKCPACK\n"
#define FOOTER_MAGIC_SIZE	8

/* offsets within the footer */
#define FOOTER_INDEX_OFFSET	8
#define FOOTER_NFRAMES		16
#define FOOTER_ZERO			20
#define FOOTER_HASH			24

/* offsets within an entry of the index */
#define ENTRY_OFFSET		0
#define ENTRY_STORED_LEN	8
#define ENTRY_PLAIN_LEN		12
#define ENTRY_DIGEST		16

_Static_assert(FOOTER_HASH + 8 == BKC_PACK_FOOTER_SIZE, "footer ends with its hash");
_Static_assert(ENTRY_DIGEST + BKC_DIGEST_SIZE == BKC_PACK_ENTRY_SIZE, "entry ends with a digest");

void
bkc_packentry_encode(const BkcPackEntry *entry, uint8_t out[BKC_PACK_ENTRY_SIZE])
{
	bkc_put_u64(out + ENTRY_OFFSET, entry->offset);
	bkc_put_u32(out + ENTRY_STORED_LEN, entry->stored_len);
	bkc_put_u32(out + ENTRY_PLAIN_LEN, entry->plain_len);
	memcpy(out + ENTRY_DIGEST, entry->digest, BKC_DIGEST_SIZE);
}

void
bkc_packentry_decode(const uint8_t in[BKC_PACK_ENTRY_SIZE], BkcPackEntry *entry)
{
	entry->offset = bkc_get_u64(in + ENTRY_OFFSET);
	entry->stored_len = bkc_get_u32(in + ENTRY_STORED_LEN);
	entry->plain_len = bkc_get_u32(in + ENTRY_PLAIN_LEN);
	memcpy(entry->digest, in + ENTRY_DIGEST, BKC_DIGEST_SIZE);
}

void
bkc_packfooter_encode(const BkcPackFooter *footer, uint8_t out[BKC_PACK_FOOTER_SIZE])
{
	memcpy(out, FOOTER_MAGIC, FOOTER_MAGIC_SIZE);
	bkc_put_u64(out + FOOTER_INDEX_OFFSET, footer->index_offset);
	bkc_put_u32(out + FOOTER_NFRAMES, footer->nframes);
	bkc_put_u32(out + FOOTER_ZERO, 0);
	bkc_put_u64(out + FOOTER_HASH, XXH3_64bits(out, FOOTER_HASH));
}

/*
 * The index frame needs at least a header and one byte between index_offset
 * and the footer; each data frame needs as much before it.
 */
static bool
index_offset_fits(const BkcPackFooter *footer, uint64_t object_size)
{
	const uint64_t frame_min = BKC_FRAME_HEADER_SIZE + 1;

	if (object_size < BKC_ENVELOPE_SIZE + frame_min + BKC_PACK_FOOTER_SIZE)
		return false;
	return footer->index_offset >= BKC_ENVELOPE_SIZE + footer->nframes * frame_min &&
		footer->index_offset <= object_size - BKC_PACK_FOOTER_SIZE - frame_min;
}

bool
bkc_packfooter_decode(const uint8_t in[BKC_PACK_FOOTER_SIZE], uint64_t object_size,
					  const char *name, BkcPackFooter *footer, BkcError *err)
{
	footer->index_offset = bkc_get_u64(in + FOOTER_INDEX_OFFSET);
	footer->nframes = bkc_get_u32(in + FOOTER_NFRAMES);

	if (memcmp(in, FOOTER_MAGIC, FOOTER_MAGIC_SIZE) != 0)
	{
		bkc_error_set(err, BKC_ERR_CORRUPT, "pack \"%s\" has no footer", name);
		return bkc_error_detail(err, "The object is cut, or it is no pack.");
	}
	if (bkc_get_u64(in + FOOTER_HASH) != XXH3_64bits(in, FOOTER_HASH) ||
		bkc_get_u32(in + FOOTER_ZERO) != 0)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "footer of pack \"%s\" is damaged", name);
	if (footer->nframes == 0 || footer->nframes > BKC_PACK_FRAMES_MAX)
		return bkc_error_set(err, BKC_ERR_CORRUPT,
							 "footer of pack \"%s\" claims %" PRIu32 " frames", name,
							 footer->nframes);
	if (!index_offset_fits(footer, object_size))
		return bkc_error_set(err, BKC_ERR_CORRUPT,
							 "footer of pack \"%s\" claims an index at %" PRIu64
							 " in an object of %" PRIu64 " bytes",
							 name, footer->index_offset, object_size);
	return true;
}

/*
 * Every byte between the envelope and the index belongs to exactly one data
 * frame: with no gap and no overlap an entry that was exchanged or dropped
 * is noticed before any frame is read.
 */
bool
bkc_packindex_check(const BkcPackEntry *entries, uint32_t n, uint64_t index_offset,
					const char *name, BkcError *err)
{
	uint64_t	expected = BKC_ENVELOPE_SIZE;
	uint32_t	i;

	if (n == 0 || n > BKC_PACK_FRAMES_MAX)
		return bkc_error_set(err, BKC_ERR_CORRUPT,
							 "index of pack \"%s\" has %" PRIu32 " entries", name, n);
	for (i = 0; i < n; i++)
	{
		const BkcPackEntry *entry = &entries[i];

		if (entry->stored_len == 0 || entry->stored_len > BKC_FRAME_STORED_MAX ||
			entry->plain_len == 0 || entry->plain_len > BKC_FRAME_PLAIN_MAX)
			return bkc_error_set(err, BKC_ERR_CORRUPT,
								 "index of pack \"%s\" is damaged: frame %" PRIu32
								 " has impossible lengths", name, i);

		/* cannot overflow: at most BKC_PACK_FRAMES_MAX frames of about 1 MiB */
		if (entry->offset != expected)
			return bkc_error_set(err, BKC_ERR_CORRUPT,
								 "index of pack \"%s\" is damaged: frame %" PRIu32
								 " is not where the one before ends", name, i);
		expected += BKC_FRAME_HEADER_SIZE + entry->stored_len;
	}
	if (expected != index_offset)
		return bkc_error_set(err, BKC_ERR_CORRUPT,
							 "index of pack \"%s\" is damaged: last frame ends at %" PRIu64
							 ", not at %" PRIu64, name, expected, index_offset);
	return true;
}
