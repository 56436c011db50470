/*
 * bucket.h
 *		What a bucket says about itself, and its lifecycle rules.
 */
#ifndef BKC_STORE_S3_BUCKET_H
#define BKC_STORE_S3_BUCKET_H

#include "store/s3/s3.h"
#include "store/setup.h"

/* ---- bucket.c ---- */

typedef enum BkcS3Answer
{
	BKC_S3_KNOWN,
	BKC_S3_NONE,				/* nothing of that kind is configured */
	BKC_S3_DENIED,				/* we may not ask */
	BKC_S3_STRANGE				/* the server does not know the question */
} BkcS3Answer;

typedef struct BkcS3Question
{
	const char *sub;			/* "versioning": a parameter without value */
	const char *root;			/* the element that an answer begins with */
	const char *prefix;			/* further parameters, or NULL: of listings of versions only */
	const char *key_marker;
	const char *id_marker;
	BkcBuffer  *text;			/* the answer as it came, or NULL */
	char	   *header;			/* room for 64 characters of a header's value, or NULL */
	const char *header_name;
} BkcS3Question;

/*
 * Ask the bucket and pass an answer's elements on to each().  A server that
 * passes over what it does not know answers with a document of another kind.
 */
extern bool bkc_s3_bucket_ask(BkcS3Store *s3, const BkcS3Question *question, BkcS3XmlEach each,
							  void *arg, BkcS3Answer *answer, BkcError *err);

typedef struct BkcS3Bucket
{
	BkcS3Answer versioning_answer;
	bool		versioning;
	BkcS3Answer encryption_answer;
	char		encryption[32]; /* "AES256", "aws:kms"; "" when none */
	char		kms_key[256];
	BkcS3Answer lock_answer;
	bool		lock;
	char		lock_mode[32];	/* by default; "" when none */
	char		lock_time[32];	/* "30 days" */
} BkcS3Bucket;

extern bool bkc_s3_ask_versioning(BkcS3Store *s3, BkcS3Bucket *bucket, BkcError *err);
extern bool bkc_s3_ask_encryption(BkcS3Store *s3, BkcS3Bucket *bucket, BkcError *err);
extern bool bkc_s3_ask_lock(BkcS3Store *s3, BkcS3Bucket *bucket, BkcError *err);

extern const char bkc_s3_may_versioning[];	/* permissions that the questions need */
extern const char bkc_s3_may_encryption[];
extern const char bkc_s3_may_lock[];
extern const char bkc_s3_may_lifecycle[];

/* ---- lifecycle.c ---- */

#define BKC_S3_RULE_ID_MAX	256

/* One rule, as far as it matters here. */
typedef struct BkcS3Rule
{
	char		id[BKC_S3_RULE_ID_MAX];
	char		prefix[1025];
	char		tags[1024];		/* of objects that it is for: "a=b&c=d" */
	bool		enabled;
	bool		expires;		/* current objects */
	bool		markers;		/* delete markers with nothing behind them go */
	int			noncurrent_days;	/* 0: none of that kind */
	int			abort_days;
	BkcStoreTransition transitions[BKC_STORE_TRANSITIONS_MAX];	/* by days */
	size_t		ntransitions;	/* may be more than fit */
	char		archive[64];	/* an archive class among them, or "" */

	/* where it stands in the document; for a prefix that stands beside <And> see lifecycle.c */
	size_t		start;
	size_t		end;
	size_t		prefix_start;
	size_t		prefix_end;
	size_t		and_start;
} BkcS3Rule;

typedef struct BkcS3Lifecycle
{
	BkcS3Answer answer;
	BkcBuffer	text;
	char		minimum[64];	/* x-amz-transition-default-minimum-object-size, or "" */
	BkcS3Rule  *rules;
	size_t		n;
	size_t		cap;
	size_t		ranges;
	bool		strange;		/* has something that cannot be put back */
} BkcS3Lifecycle;

extern bool bkc_s3_ask_lifecycle(BkcS3Store *s3, BkcS3Lifecycle *l, BkcError *err);
extern void bkc_s3_lifecycle_free(BkcS3Lifecycle *l);	/* of a zeroed one, too */

/* Objects that must be restored before they can be read. */
extern bool bkc_s3_is_archive(const char *class);

/* Is the rule for (some) objects below the repository's prefix?  And for all of them? */
extern bool bkc_s3_rule_touches(const BkcS3Store *s3, const BkcS3Rule *rule);
extern bool bkc_s3_rule_covers(const BkcS3Store *s3, const BkcS3Rule *rule);

/* What it would do to the repository; false when it does no harm. */
extern bool bkc_s3_rule_harm(const BkcS3Store *s3, const BkcS3Rule *rule, char *text, size_t len);

extern bool bkc_s3_rule_equal(const BkcS3Rule *a, const BkcS3Rule *b);

/* Append a rule of ours as XML. */
extern bool bkc_s3_rule_write(BkcBuffer *xml, const BkcS3Rule *rule, BkcError *err);

/* Append somebody else's as it came. */
extern bool bkc_s3_rule_copy(BkcBuffer *xml, const BkcS3Lifecycle *l, const BkcS3Rule *rule,
							 BkcError *err);

/* ---- describe.c, setup.c, setup_rules.c ---- */

extern bool bkc_s3_describe(BkcStore *store, BkcStoreFindingEach each, void *arg, BkcError *err);

extern const BkcStoreSetupOps bkc_s3_setup_ops;

/* A set-up at work. */
typedef struct BkcS3Setup
{
	BkcS3Store *s3;
	const BkcStoreSetup *options;
	BkcStoreStepEach each;
	void	   *arg;
	char		suffix[16];		/* of the names of our lifecycle rules */
	bool		absent;			/* a dry run, and there is no bucket */
	char		failed[256];	/* what was asked for and failed, by name */
	BkcError	first;			/* of these */
} BkcS3Setup;

/* Beside BKC_SETUP_X: a failure whatever was asked for. */
#define BKC_S3_SETUP_ALWAYS		UINT32_C(0x80000000)

/* One step's outcome. */
extern bool bkc_s3_setup_tell(BkcS3Setup *s, const char *what, BkcStoreStepState state,
							  BkcError *err, const char *fmt,...) BKC_PRINTF(5, 6);

/*
 * A step could not be done.  false, with it as the error, for what ends everything
 * (no connection, no memory, cancelled); *why and *err may be the same.
 */
extern bool bkc_s3_setup_fail(BkcS3Setup *s, const char *what, uint32_t asked,
							  const BkcError *why, BkcError *err);

/* The same for an answer that is none. */
extern bool bkc_s3_setup_unanswered(BkcS3Setup *s, const char *what, uint32_t asked,
									BkcS3Answer answer, const char *permission, BkcError *err);

/* PUT a configuration of the bucket; header may be NULL. */
extern bool bkc_s3_setup_put(BkcS3Store *s3, const char *sub, const BkcBuffer *xml,
							 const char *header, const char *value, BkcError *err);

extern bool bkc_s3_is_aws(const BkcS3Config *config);
extern bool bkc_s3_setup_rules_check(const BkcS3Store *s3, const BkcStoreSetup *options,
									 BkcError *err);
extern bool bkc_s3_setup_rules(BkcS3Setup *s, BkcError *err);

#endif							/* BKC_STORE_S3_BUCKET_H */
