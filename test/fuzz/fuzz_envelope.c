/*
 * fuzz_envelope.c
 *		libFuzzer entry point: any bytes as an envelope, frames, a footer, a
 *		pack's index, a control file and the small documents.
 */
#include <string.h>

#include "format/documents.h"
#include "format/packindex.h"
#include "format/pgfiles.h"

#define NAME	"fuzz"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Frame after frame, as a reader of objects does it. */
static void
read_frames(const uint8_t *data, size_t size)
{
	BkcEnvelope env;
	BkcFrameHeader hdr;
	BkcError	err;
	uint64_t	seed;
	uint32_t	number = 0;

	if (size < BKC_ENVELOPE_SIZE)
		return;
	(void) bkc_envelope_decode(data, NAME, &env, &err);
	seed = bkc_frame_seed(&env, NAME);
	data += BKC_ENVELOPE_SIZE;
	size -= BKC_ENVELOPE_SIZE;
	while (size >= BKC_FRAME_HEADER_SIZE && bkc_frame_decode(data, number++, NAME, &hdr, &err))
	{
		data += BKC_FRAME_HEADER_SIZE;
		size -= BKC_FRAME_HEADER_SIZE;
		if (hdr.stored_len > size)
			return;
		(void) bkc_frame_check(&hdr, data, seed, NAME, &err);
		data += hdr.stored_len;
		size -= hdr.stored_len;
	}
}

static void
read_index(const uint8_t *data, size_t size)
{
	BkcPackEntry entries[64];
	BkcPackFooter footer;
	BkcError	err;
	uint32_t	n;

	if (size >= BKC_PACK_FOOTER_SIZE)
		(void) bkc_packfooter_decode(data, size, NAME, &footer, &err);
	for (n = 0; n < 64 && size >= (n + 1) * (size_t) BKC_PACK_ENTRY_SIZE; n++)
		bkc_packentry_decode(data + n * BKC_PACK_ENTRY_SIZE, &entries[n]);
	(void) bkc_packindex_check(entries, n, size, NAME, &err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	BkcClusterDoc cluster;
	BkcBeginDoc begin;
	BkcVerifyNote note;
	BkcControl	control;
	BkcError	err;

	read_frames(data, size);
	read_index(data, size);
	(void) bkc_control_parse(data, size, &control, &err);
	(void) bkc_clusterdoc_decode((const char *) data, size, NAME, &cluster, &err);
	(void) bkc_begindoc_decode((const char *) data, size, NAME, &begin, &err);
	(void) bkc_verifynote_decode((const char *) data, size, NAME, &note, &err);
	return 0;
}
