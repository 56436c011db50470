/*
 * creds_inner.h
 *		Between the files that look for credentials: creds.c keeps them and has
 *		them renewed, creds_source.c knows which source it is, and each of these
 *		has a file of its own.
 *
 * Sources read no environment: creds_source.c does, and gives them what it says.
 */
#ifndef BKC_STORE_S3_CREDS_INNER_H
#define BKC_STORE_S3_CREDS_INNER_H

#include "base/retry.h"
#include "store/s3/creds.h"

/* ---- creds_source.c ---- */

typedef enum BkcS3CredsSource
{
	BKC_S3_SOURCE_NONE,
	BKC_S3_SOURCE_FILE,			/* the URL's */
	BKC_S3_SOURCE_ENVIRONMENT,
	BKC_S3_SOURCE_SHARED,
	BKC_S3_SOURCE_WEB_IDENTITY,
	BKC_S3_SOURCE_CONTAINER,
	BKC_S3_SOURCE_INSTANCE
} BkcS3CredsSource;

typedef struct BkcS3CredsFrom
{
	const char *file;			/* the URL's, NULL = none */
	const char *profile;		/* the same */
	const char *region;
	const BkcHttpOptions *options;	/* the store's */
	char		text[256];		/* names the source in messages, once it has given credentials */
	bool		warned_open;	/* that others can read the shared file */
} BkcS3CredsFrom;

/* Ask *source; NONE becomes the first one that is configured. */
extern bool bkc_s3_creds_read(BkcS3CredsFrom *from, BkcS3CredsSource *source, BkcS3Creds *creds,
							  BkcError *err);

/*
 * Copy a part of credentials that must not be empty; what says in the error what it is.
 * Its value is in no message.
 */
extern bool bkc_s3_creds_set(char *out, size_t outlen, const char *value, size_t len,
							 const char *what, BkcError *err);

/* ---- creds_file.c ---- */

typedef enum BkcS3CredsMiss
{
	BKC_S3_MISS_NONE,			/* it is there; when it fails, for another reason */
	BKC_S3_MISS_FILE,
	BKC_S3_MISS_PROFILE
} BkcS3CredsMiss;

/* The profile of a file in the format of the shared credentials file. */
extern bool bkc_s3_creds_file(const char *path, const char *profile, bool secret,
							  BkcS3Creds *creds, BkcS3CredsMiss *miss, BkcError *err);

/*
 * Whole file, which may be a link (Kubernetes mounts its secrets that way), with
 * all the memory taken at once.  secret: see bkc_file_slurp_secret().  The caller wipes buf.
 */
extern bool bkc_s3_creds_slurp(const char *path, size_t max, bool secret, BkcBuffer *buf,
							   BkcError *err);

/* A token that a file holds: one line, whose end is cut off. */
extern bool bkc_s3_creds_token(const char *path, BkcBuffer *buf, BkcError *err);

/* ---- creds_ask.c ---- */

#define BKC_S3_ASK_REPLY_MAX	(64 * 1024)

/* Look at a reply; a false with UNAVAILABLE or TIMEOUT is asked again. */
typedef bool (*BkcS3CredsTake) (void *arg, int status, const char *body, size_t len,
								BkcError *err);

typedef struct BkcS3CredsAsk
{
	const char *method;
	const char *url;
	const char *const *headers;
	const BkcBuffer *body;		/* NULL = none */
	BkcS3CredsTake take;		/* not called for 5xx, 408 and 429 */
	void	   *arg;
} BkcS3CredsAsk;

/* For the machine's own services (near) and for others: timeouts, proxy. */
extern bool bkc_s3_creds_http(const char *url, const BkcHttpOptions *options, BkcHttp **http,
							  BkcError *err);
extern bool bkc_s3_creds_ask(BkcHttp *http, const BkcS3CredsAsk *ask, BkcError *err);

/* Is the URL's host this machine, or an address that exists on this link only? */
extern bool bkc_s3_creds_near(const char *url);

/* The URL's host, without port and brackets; false when its authority is not plain host[:port]. */
extern bool bkc_s3_creds_host(const char *url, char *out, size_t outlen);

/* scheme://host[:port] of a URL, as a length for "%.*s". */
extern int	bkc_s3_creds_origin(const char *url);

/* The JSON document of containers and of the instance. */
extern bool bkc_s3_creds_json(const char *body, size_t len, BkcS3Creds *creds, BkcError *err);

/* "2026-11-20T12:03:01Z" */
extern bool bkc_s3_creds_expiry(const char *text, BkcS3Creds *creds, BkcError *err);

/* ---- creds_sts.c ---- */

typedef struct BkcS3CredsSts
{
	const char *token_file;
	const char *role_arn;
	const char *session_name;	/* NULL = our own */
	const char *endpoint;		/* NULL = the region's */
	const char *region;
	const BkcHttpOptions *options;
} BkcS3CredsSts;

extern bool bkc_s3_creds_sts(const BkcS3CredsSts *in, BkcS3Creds *creds, BkcError *err);

/* ---- creds_local.c ---- */

typedef struct BkcS3CredsContainer
{
	const char *relative;		/* goes before full */
	const char *full;
	const char *token_file;		/* goes before token */
	const char *token;
	const BkcHttpOptions *options;
} BkcS3CredsContainer;

extern bool bkc_s3_creds_container(const BkcS3CredsContainer *in, BkcS3Creds *creds,
								   BkcError *err);

/* *there: something has answered as an instance's service does, whatever came then. */
extern bool bkc_s3_creds_instance(const char *endpoint, bool *there, BkcS3Creds *creds,
								  BkcError *err);

#endif							/* BKC_STORE_S3_CREDS_INNER_H */
