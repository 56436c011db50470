/*
 * seal.h
 *		What an object's frames are protected with: digests in plain objects,
 *		AES-256-GCM in sealed ones (FORMAT.md, "Sealing").
 */
#ifndef BKC_PIPE_SEAL_H
#define BKC_PIPE_SEAL_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/aead.h"
#include "format/envelope.h"
#include "store/store.h"

/* A zeroed BkcSeal is valid; free may be called again. */
typedef struct BkcSeal
{
	uint64_t	seed;			/* of plain objects' digests */
	BkcAead    *aead;			/* of sealed ones; NULL: plain */
} BkcSeal;

/*
 * For a new object: its key is chosen by name and kind (pipe/keyring.h), cipher and key id are
 * filled in, and bytes are the envelope.  The salt must be set: fresh random bytes, never used
 * again.
 */
extern bool bkc_seal_begin(BkcSeal *seal, BkcStore *store, const char *name, BkcEnvelope *env,
						   uint8_t bytes[BKC_ENVELOPE_SIZE], BkcError *err);

/* For one that is read; bytes are what env was decoded from. */
extern bool bkc_seal_resume(BkcSeal *seal, BkcStore *store, const char *name,
							const BkcEnvelope *env, const uint8_t bytes[BKC_ENVELOPE_SIZE],
							BkcError *err);

extern bool bkc_seal_active(const BkcSeal *seal);

/*
 * Fill in hdr->digest and write the header.  sealed gets the payload to store, hdr->stored_len
 * bytes; where the object is plain it is not used, and the payload is stored as it is.  No number
 * may come twice in an object.
 */
extern bool bkc_seal_frame(BkcSeal *seal, BkcFrameHeader *hdr, const uint8_t *payload,
						   uint8_t *sealed, uint8_t header[BKC_FRAME_HEADER_SIZE], BkcError *err);

/*
 * Check a frame.  Of a sealed object, plain gets the opened payload (and may be payload); of a
 * plain one it is not used.  BKC_ERR_CORRUPT names object and frame.
 */
extern bool bkc_seal_open(BkcSeal *seal, const BkcFrameHeader *hdr, const uint8_t *payload,
						  uint8_t *plain, const char *name, BkcError *err);
extern void bkc_seal_free(BkcSeal *seal);

#endif							/* BKC_PIPE_SEAL_H */
