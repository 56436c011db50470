/*
 * s3.h
 *		The S3 driver, and what its files share.
 *
 *		s3://bucket[/prefix]?region=...&endpoint=...
 *
 * Layers, each in its own file: config (the URL), creds, sign (SigV4), call (one
 * request with signing, retries and the meaning of replies), then the
 * operations of a store on top.
 */
#ifndef BKC_STORE_S3_S3_H
#define BKC_STORE_S3_S3_H

#include "base/retry.h"
#include "crypto/digest.h"
#include "format/names.h"
#include "store/http/http.h"
#include "store/s3/creds.h"
#include "store/s3/sign.h"
#include "store/store.h"

extern const BkcStoreDriver bkc_store_s3_driver;

/* ---- config.c: what the URL says ---- */

#define BKC_S3_SSE_C_KEY_SIZE	32

typedef struct BkcS3Config
{
	char	   *bucket;
	char	   *prefix;			/* "" or "a/b/" */
	char	   *region;
	char	   *origin;			/* "https://host[:port]" that requests go to */
	char	   *host;			/* its host[:port], as signed */
	bool		path_style;		/* bucket in the path rather than in the host's name */
	char	   *storage_class;	/* NULL = the bucket's */
	char	   *wal_storage_class;
	char	   *sse;			/* "AES256", "aws:kms" or NULL */
	char	   *sse_kms_key;
	char	   *sse_c_key_file;
	char	   *tags;			/* "a=b&c=d", ready for the header; NULL = none */
	char	   *lock_mode;		/* "COMPLIANCE", "GOVERNANCE" or NULL */
	int			lock_days;
	char	   *credentials;	/* file */
	char	   *profile;
	uint64_t	part_size;
	int			parts_in_flight;
	BkcHttpOptions http;		/* its texts belong to this struct */
	char	   *ca_file;
	char	   *proxy;
} BkcS3Config;

extern const char *const bkc_s3_params[];

/* Everything that can be wrong with a URL; touches nothing.  config may be NULL. */
extern bool bkc_s3_config(const BkcUrl *url, BkcS3Config *config, BkcError *err);
extern void bkc_s3_config_free(BkcS3Config *config);	/* of a zeroed one, too */

/* ---- the store ---- */

typedef struct BkcS3Store
{
	BkcStore	base;
	BkcS3Config config;
	BkcHttp    *http;
	BkcS3CredsChain *creds;
	int64_t		clock_ahead;	/* microseconds the server's clock is ahead of ours, once known */
	struct BkcS3Call *waiting;	/* calls between two attempts */

	/* create-only writes: what the server has been found to do */
	enum
	{
		BKC_S3_CREATE_UNKNOWN,
		BKC_S3_CREATE_ATOMIC,	/* If-None-Match works */
		BKC_S3_CREATE_ASKED		/* it does not: look first, then write */
	}			create;

	bool		single_remove;	/* the server does not know DeleteObjects */

	/* headers of the begin of a multipart upload that have no effect, once known */
	bool		again_known;
	bool		lock_again;
	bool		tags_again;

	/* an archive class that is a mere name here: objects in it are read as any other */
	char		plain_class[BKC_STORE_CLASS_MAX];

	/* header values of SSE-C, when configured; wiped at close */
	char		sse_c_key[64];
	char		sse_c_md5[32];
} BkcS3Store;

/* ---- call.c: one request ---- */

#define BKC_S3_REPLY_MAX	(4 * 1024 * 1024)

typedef struct BkcS3Call
{
	/* set by who makes the call */
	const char *method;
	const char *key;			/* object's name below the prefix; NULL = the bucket */
	bool		absolute;		/* key is taken as it is, without the prefix */
	BkcBuffer	query;			/* encoded, parameters sorted by name */
	BkcS3Header headers[24];	/* further ones, all signed; values are owned */
	size_t		nheaders;
	const void *body;
	size_t		body_len;
	const char *body_sha256;	/* hex, when known already; else computed */
	bool		send_md5;		/* Content-MD5 */
	bool		error_in_200;	/* a reply 200 may hold an error document */
	const char *answer;			/* root of the document that a reply 200 must hold */
	size_t		window;			/* as in http.h: the body is taken while it comes in */

	/* results */
	bool		done;
	bool		ok;
	BkcError	error;			/* when not ok */
	char		s3_code[64];	/* <Code> of the last error reply, or "" */

	/* call.c's own */
	BkcHttpCall http;
	BkcRetry	retry;
	int64_t		sent;			/* when the attempt began, by our clock */
	int64_t		not_before;		/* of the next attempt */
	char	   *url;
	const char *header_lines[48];
	BkcBuffer	header_text;
	char		own_sha256[2 * BKC_SHA256_SIZE + 1];
	char		own_md5[32];
	int			refreshed;		/* times that credentials were fetched anew for it */
	bool		skew_learned;
	struct BkcS3Call *next;		/* in the store's list of waiting ones */
} BkcS3Call;

/* After zeroing: GET, HEAD, PUT, POST or DELETE of an object or (key NULL) the bucket. */
extern void bkc_s3_call_init(BkcS3Call *call, const char *method, const char *key);

/* name in lower case; value is copied. */
extern bool bkc_s3_call_header(BkcS3Call *call, const char *name, const char *value, BkcError *err);

/* In the order of names; value may be NULL ("uploads="). */
extern bool bkc_s3_call_param(BkcS3Call *call, const char *name, const char *value, BkcError *err);

/* Send it.  Goes on in bkc_s3_drive(). */
extern bool bkc_s3_call_start(BkcS3Store *store, BkcS3Call *call, BkcError *err);

/* Move everything that is under way; as bkc_http_drive().  Retries start here. */
extern bool bkc_s3_drive(BkcS3Store *store, int wait_ms, BkcError *err);

/* Look at a call after bkc_s3_drive(): sets done, ok, error, or queues the next attempt. */
extern bool bkc_s3_call_look(BkcS3Store *store, BkcS3Call *call, BkcError *err);

/* Drive until done; false with the call's error when it failed. */
extern bool bkc_s3_call_finish(BkcS3Store *store, BkcS3Call *call, BkcError *err);

/* start and finish */
extern bool bkc_s3_call_run(BkcS3Store *store, BkcS3Call *call, BkcError *err);

/* Also while it is under way, and of a call that was only initialised. */
extern void bkc_s3_call_free(BkcS3Store *store, BkcS3Call *call);

/*
 * Give up on a call whose reply had the wrong content, as if the transfer had
 * failed: tries again when the policy allows (true), or sets its error (false).
 */
extern bool bkc_s3_call_again(BkcS3Store *store, BkcS3Call *call, BkcError *err);

/* The server's time when it answered; false when the reply does not say it. */
extern bool bkc_s3_call_date(const BkcS3Call *call, int64_t *usec);

/* "Fri, 20 Nov 2026 12:03:01 GMT", and whatever behind it. */
extern bool bkc_s3_parse_date(const char *text, int64_t *usec);

/* "2026-11-20T12:03:01.123Z", with any fraction of a second, which is left out. */
extern bool bkc_s3_parse_time(const char *text, int64_t *usec);

/* ---- facts.c: what a reply tells by the way ---- */

extern void bkc_s3_learn(BkcS3Store *store, const BkcS3Call *call);

/* ---- meaning.c: what a reply means ---- */

/* true for a success; otherwise call->error and s3_code are set. */
extern bool bkc_s3_meaning(BkcS3Store *store, BkcS3Call *call);

/* ---- xml.c: the documents of replies ---- */

/*
 * Call each(element path below the root, text) for every element that has
 * text and no children, in document order, and for every end of an element
 * with children (text NULL).  Paths look like "Contents/Key".  The root's name
 * comes first, with path "".  false with BKC_ERR_CORRUPT for no XML, or with
 * each()'s error.
 */
typedef bool (*BkcS3XmlEach) (void *arg, const char *path, const char *text, BkcError *err);
extern bool bkc_s3_xml(const void *data, size_t len, BkcS3XmlEach each, void *arg, BkcError *err);

/* The same document as bytes: where each element below the root begins and ends (exclusive). */
typedef bool (*BkcS3XmlRange) (void *arg, const char *path, size_t start, size_t end,
							   BkcError *err);
extern bool bkc_s3_xml_ranges(const void *data, size_t len, BkcS3XmlRange range, void *arg,
							  BkcError *err);

/* Decode percent-encoding and '+' in place. */
extern void bkc_s3_decode(char *text);

/* Append text with & < > " ' escaped. */
extern bool bkc_s3_xml_escape(BkcBuffer *out, const char *text, BkcError *err);

/* ---- write.c, multipart.c ---- */

extern bool bkc_s3_open_write(BkcStore *store, const char *name, uint64_t expected_size,
							  BkcWriter **writer, BkcError *err);

/* Storage class, encryption, lock, tags, metadata: for a PUT or the begin of a multipart upload. */
extern bool bkc_s3_object_headers(BkcS3Store *store, BkcS3Call *call, const char *name,
								  const char *upload, BkcError *err);

/* Not a chunk of WAL or a probe: locked, tagged, in the class that was chosen. */
extern bool bkc_s3_lives_long(const char *name);

/* The end of a lock of that object that begins now: "2026-11-20T12:03:01Z". */
#define BKC_S3_UNTIL_MAX	40
#define BKC_S3_KEY_DAYS		7	/* so much longer for keys */
extern void bkc_s3_lock_until(const BkcS3Store *store, const char *name,
							  char until[BKC_S3_UNTIL_MAX]);

/* again.c: set lock and tags of an object that was uploaded in parts, where the server needs it. */
extern bool bkc_s3_say_again(BkcS3Store *store, const char *name, BkcError *err);

/* SSE-C's headers for a request that reads or writes content. */
extern bool bkc_s3_sse_c_headers(BkcS3Store *store, BkcS3Call *call, BkcError *err);

/* Find out, once, whether the server keeps create-only. */
extern bool bkc_s3_learn_create(BkcS3Store *store, BkcError *err);

/* Is the object there and, if so, was it made by the upload of that id? */
extern bool bkc_s3_head(BkcS3Store *store, const char *name, const char *upload, bool *ours,
						uint64_t *size, BkcError *err);

/* Is an object readable?  Errors say more than those of HEAD can. */
extern bool bkc_s3_ask(BkcS3Store *store, const char *name, BkcError *err);

#define BKC_S3_META_UPLOAD	"x-amz-meta-pg-backupctl-upload"

/* ---- read.c, list.c, remove.c, versions.c ---- */

extern bool bkc_s3_open_read(BkcStore *store, const char *name, uint64_t offset, uint64_t length,
							 BkcReader **reader, BkcError *err);
extern bool bkc_s3_list(BkcStore *store, const char *prefix, bool deep,
						bool (*each) (void *arg, const char *name, uint64_t size, BkcError *err),
						void *arg, BkcError *err);

/* The same with each object's storage class, "" where the server does not say it. */
typedef bool (*BkcS3ListEach) (void *arg, const char *name, uint64_t size, const char *class,
							   BkcError *err);
extern bool bkc_s3_list_classes(BkcS3Store *s3, const char *prefix, bool deep, BkcS3ListEach each,
								void *arg, BkcError *err);
extern bool bkc_s3_remove(BkcStore *store, const char *const *names, size_t n, BkcError *err);
extern bool bkc_s3_locked(BkcStore *store, const char *name, int64_t *until, BkcError *err);
extern bool bkc_s3_hold(BkcStore *store, const char *name, bool on, BkcError *err);

/* PUT of a property of an object: "retention", "tagging", "legal-hold". */
extern bool bkc_s3_put_document(BkcS3Store *store, const char *name, const char *what,
								const BkcBuffer *xml, BkcError *err);
extern bool bkc_s3_remove_versions(BkcStore *store, const char *const *names, size_t n,
								   BkcError *err);
extern bool bkc_s3_remove_former(BkcStore *store, const char *prefix, BkcError *err);
extern bool bkc_s3_sweep(BkcStore *store, const char *prefix, BkcError *err);
extern bool bkc_s3_tidy(BkcStore *store, const char *prefix, uint64_t seconds, uint64_t *n,
						BkcError *err);

/* ---- archive.c ---- */

extern bool bkc_s3_check_class(const BkcUrl *url, const char *class, BkcError *err);
extern bool bkc_s3_try_class(BkcStore *store, BkcError *err);
extern bool bkc_s3_archived(BkcStore *store, const char *prefix, BkcArchiveEach each, void *arg,
							BkcError *err);
extern bool bkc_s3_thaw(BkcStore *store, const char *name, int days, BkcError *err);

/* With how many unfinished uploads below the repository nothing happened for that long. */
extern bool bkc_s3_count_uploads(BkcS3Store *store, uint64_t seconds, uint64_t *n, BkcError *err);

#endif							/* BKC_STORE_S3_S3_H */
