/*
 * walproof.h
 *		Is a whole WAL segment in the repository, as it must be?
 *
 * For backups that rely on the archive for their WAL: before their manifest
 * is written, and when they are verified.
 */
#ifndef BKC_PIPE_WALPROOF_H
#define BKC_PIPE_WALPROOF_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/digest.h"
#include "format/manifest.h"
#include "format/names.h"
#include "store/store.h"

/* First and last segment that a backup needs; BKC_ERR_CORRUPT when its LSNs make no sense. */
extern bool bkc_walproof_range(const BkcManifestHeader *header, uint64_t *first, uint64_t *last,
							   BkcError *err);

/*
 * The object that readers would get for the segment: there, of this cluster and
 * place, and of the right size by what its info frame says.  With read
 * all of it is read and every digest checked.  BKC_ERR_NOT_FOUND when there is none.
 */
extern bool bkc_walproof_segment(BkcStore *store, uint64_t sysid, uint32_t timeline,
								 uint64_t segno, uint32_t segment_size, bool read, BkcError *err);

/* Likewise; also its content's digest, and the object's name, which need not be durable yet. */
extern bool bkc_walproof_content(BkcStore *store, uint64_t sysid, uint32_t timeline,
								 uint64_t segno, uint32_t segment_size, bool read,
								 uint8_t sha256[BKC_SHA256_SIZE], char name[BKC_NAME_MAX],
								 BkcError *err);

/*
 * The digest of a stretch of a server's own WAL file.  *there = false when there is no such file,
 * when it is shorter, or when it lost its name while it was read: a file that is not needed
 * any more is renamed and written anew.
 */
extern bool bkc_walproof_local(const char *path, uint64_t offset, uint64_t size,
							   uint8_t sha256[BKC_SHA256_SIZE], bool *there, BkcError *err);

#endif							/* BKC_PIPE_WALPROOF_H */
