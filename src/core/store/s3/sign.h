/*
 * sign.h
 *		AWS Signature Version 4, of S3 and of other services of AWS.
 */
#ifndef BKC_STORE_S3_SIGN_H
#define BKC_STORE_S3_SIGN_H

#include "base/buffer.h"
#include "store/s3/creds.h"

typedef struct BkcS3Header
{
	char	   *name;			/* lower case */
	char	   *value;
} BkcS3Header;

typedef struct BkcS3SignInput
{
	const char *method;
	const char *path;			/* as in the URL, percent-encoded once */
	const char *query;			/* as in the URL: encoded, sorted by name; "" when none */
	const BkcS3Header *headers; /* those to sign, sorted by name: host and x-amz-* at least */
	size_t		nheaders;
	const char *payload_hash;	/* hex */
	const char *time;			/* "20130524T000000Z" */
	const char *region;
	const char *service;		/* "s3", "monitoring" */
} BkcS3SignInput;

/* The value of the Authorization header. */
extern bool bkc_s3_sign(const BkcS3SignInput *in, const BkcS3Creds *creds, BkcBuffer *out,
						BkcError *err);

#endif							/* BKC_STORE_S3_SIGN_H */
