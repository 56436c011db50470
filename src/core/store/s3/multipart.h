/*
 * multipart.h
 *		A multipart upload with several parts in flight.
 */
#ifndef BKC_STORE_S3_MULTIPART_H
#define BKC_STORE_S3_MULTIPART_H

#include "store/s3/s3.h"

typedef struct BkcS3Multipart BkcS3Multipart;

/* Starts the upload.  upload is the id in the object's metadata; both texts stay the caller's. */
extern bool bkc_s3_multipart_begin(BkcS3Store *store, const char *name, const char *upload,
								   BkcS3Multipart **m, BkcError *err);

/*
 * Take the part's bytes over and start sending them, waiting for a place when
 * as many as allowed are under way.  part is an empty buffer afterwards, mostly
 * one with memory in it.
 */
extern bool bkc_s3_multipart_send(BkcS3Multipart *m, BkcBuffer *part, const char *sha256,
								  BkcError *err);

/* Move what is under way.  false when a part has failed for good. */
extern bool bkc_s3_multipart_move(BkcS3Multipart *m, int wait_ms, BkcError *err);

/* Wait for all parts, put them together, create only. */
extern bool bkc_s3_multipart_complete(BkcS3Multipart *m, BkcError *err);

/* Without a successful complete: tells the server to forget it.  NULL is fine. */
extern void bkc_s3_multipart_close(BkcS3Multipart *m);

/* One request that forgets an upload; it being gone is success. */
extern bool bkc_s3_multipart_abort(BkcS3Store *store, const char *key, bool absolute,
								   const char *upload_id, BkcError *err);

#endif							/* BKC_STORE_S3_MULTIPART_H */
