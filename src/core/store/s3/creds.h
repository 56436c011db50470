/*
 * creds.h
 *		Where S3's credentials come from.
 *
 * The first of these that is configured is used, and an error of it is an
 * error: nothing falls back to another identity in silence.
 *
 *	1. a file that the URL names (credentials=PATH, mode 0600 or stricter, in
 *	   the format of the shared credentials file, with profile=NAME); with
 *	   profile=NAME alone it is the shared credentials file's
 *	2. environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *	3. shared credentials file (AWS_SHARED_CREDENTIALS_FILE or
 *	   ~/.aws/credentials) when it exists and has the profile (AWS_PROFILE or
 *	   "default"); where one of these variables is set, it must
 *	4. web identity: AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN, by STS's
 *	   AssumeRoleWithWebIdentity (AWS_ENDPOINT_URL_STS, else the region's)
 *	5. containers: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI, with
 *	   AWS_CONTAINER_AUTHORIZATION_TOKEN(_FILE)
 *	6. the instance: IMDSv2 (AWS_EC2_METADATA_SERVICE_ENDPOINT, else
 *	   http://169.254.169.254), unless AWS_EC2_METADATA_DISABLED is "true"
 *
 * Secrets live in BkcS3Creds only, are wiped, and are in no message.
 */
#ifndef BKC_STORE_S3_CREDS_H
#define BKC_STORE_S3_CREDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "store/http/http.h"

#define BKC_S3_KEY_MAX		256
#define BKC_S3_TOKEN_MAX	8192

typedef struct BkcS3Creds
{
	char		access_key[BKC_S3_KEY_MAX];
	char		secret_key[BKC_S3_KEY_MAX];
	char		session_token[BKC_S3_TOKEN_MAX];	/* "" when none */
	int64_t		expires;		/* microseconds since 1970; 0 = never */
} BkcS3Creds;

typedef struct BkcS3CredsChain BkcS3CredsChain;

/*
 * file and profile are the URL's (may be NULL); region is for STS.  Nothing is
 * read or asked yet.  options are those of the store (a CA file of a private
 * S3 is not used for STS unless the endpoint was set by the environment).
 */
extern bool bkc_s3_creds_new(const char *file, const char *profile, const char *region,
							 const BkcHttpOptions *options, BkcS3CredsChain **chain,
							 BkcError *err);

/*
 * Credentials that are valid now.  Those that expire are fetched anew some
 * minutes before; when that fails and the old ones are still valid, they are
 * given and it is tried again later.  The result belongs to the chain and is
 * good until the next call.
 */
extern bool bkc_s3_creds_get(BkcS3CredsChain *chain, const BkcS3Creds **creds, BkcError *err);

/*
 * The server said that these have expired, or does not know them any more:
 * the next get reads or fetches anew.  false when that cannot help, because
 * the same were fetched a moment ago.
 */
extern bool bkc_s3_creds_expired(BkcS3CredsChain *chain);

/*
 * When they expire, microseconds since 1970, as long as they could not be renewed; 0 when all is
 * well with them.
 */
extern int64_t bkc_s3_creds_end(const BkcS3CredsChain *chain);

/* For messages: "environment", "instance metadata", "file \"...\"". */
extern const char *bkc_s3_creds_source(const BkcS3CredsChain *chain);

extern void bkc_s3_creds_free(BkcS3CredsChain *chain);	/* wipes; NULL is fine */

#endif							/* BKC_STORE_S3_CREDS_H */
