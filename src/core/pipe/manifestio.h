/*
 * manifestio.h
 *		Manifests in and out of objects, as a stream.
 */
#ifndef BKC_PIPE_MANIFESTIO_H
#define BKC_PIPE_MANIFESTIO_H

#include "format/manifest.h"
#include "store/store.h"

typedef struct BkcManifestPut BkcManifestPut;

/* Compressed with zstd:3 whatever the backup's codec is. */
extern bool bkc_manifest_put_begin(BkcStore *store, const BkcManifestHeader *header,
								   BkcManifestPut **put, BkcError *err);
extern bool bkc_manifest_put_entry(BkcManifestPut *put, const BkcEntry *entry, BkcError *err);
extern bool bkc_manifest_put_pack(BkcManifestPut *put, const BkcPackInfo *pack, BkcError *err);

/* Writes the trailer and commits: after true the backup exists. */
extern bool bkc_manifest_put_commit(BkcManifestPut *put, BkcManifestTotals *totals, BkcError *err);
extern void bkc_manifest_put_close(BkcManifestPut *put);	/* NULL is fine */

/*
 * Read a manifest line by line.  The callbacks (any may be NULL) must copy
 * what they keep; returning false ends the scan with that error.  Returns
 * true only after a complete, correct manifest, and checks that header->label and
 * system_identifier are those asked for.
 */
typedef struct BkcManifestScan
{
	bool		(*header) (void *arg, const BkcManifestHeader *header, BkcError *err);
	bool		(*entry) (void *arg, const BkcEntry *entry, BkcError *err);
	bool		(*pack) (void *arg, const BkcPackInfo *pack, BkcError *err);
	void	   *arg;
} BkcManifestScan;

extern bool bkc_manifest_scan(BkcStore *store, uint64_t sysid, const char *label,
							  const BkcManifestScan *scan, BkcManifestTotals *totals,
							  BkcError *err);

/*
 * Only the header: reads the first frame and proves nothing about the rest.
 * On true the caller frees *header with bkc_manifest_header_free(); on false it is zeroed.
 */
extern bool bkc_manifest_peek(BkcStore *store, uint64_t sysid, const char *label,
							  BkcManifestHeader *header, BkcError *err);

#endif							/* BKC_PIPE_MANIFESTIO_H */
