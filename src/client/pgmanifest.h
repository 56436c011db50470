/*
 * pgmanifest.h
 *		Writing backup_manifest, the file that pg_verifybackup reads.
 *
 * Version 1 for servers before 17, version 2 (with the system identifier)
 * since.  All files with SHA-256; paths that are not UTF-8 are encoded.
 */
#ifndef BKC_CLIENT_PGMANIFEST_H
#define BKC_CLIENT_PGMANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "crypto/digest.h"

typedef struct BkcPgManifest BkcPgManifest;

/* fd and path (for messages) stay the caller's. */
extern bool bkc_pgmanifest_begin(int fd, const char *path, uint32_t pg_version_num,
								 uint64_t system_identifier, BkcPgManifest **manifest,
								 BkcError *err);

/* dir may be ""; the file's path is dir and name joined by a slash. */
extern bool bkc_pgmanifest_file(BkcPgManifest *manifest, const char *dir, const char *name,
								uint64_t size, int64_t mtime, const uint8_t sha256[BKC_SHA256_SIZE],
								BkcError *err);
extern bool bkc_pgmanifest_end(BkcPgManifest *manifest, uint32_t timeline, uint64_t start_lsn,
							   uint64_t stop_lsn, BkcError *err);
extern void bkc_pgmanifest_free(BkcPgManifest *manifest);	/* NULL is fine */

#endif							/* BKC_CLIENT_PGMANIFEST_H */
