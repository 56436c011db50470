/*
 * read.c
 *		Reading an object or a range of it: one GET, gone on with where it broke off.
 */
#include "store/s3/s3.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/host.h"
#include "base/text.h"

#define WINDOW			(2 * 1024 * 1024)	/* bytes held for the reader at most, about */
#define PROGRESS		(1024 * 1024)	/* so many bytes make the attempts before them forgotten */
#define RANGE_ERROR		416

typedef struct S3Reader
{
	BkcReader	base;
	BkcS3Store *store;
	char		name[BKC_NAME_MAX];
	uint64_t	offset;			/* of the next byte that nobody has had */
	uint64_t	end;			/* exclusive; UINT64_MAX = that of the object */
	bool		end_known;		/* end is where the first reply said that it is */
	bool		empty;			/* nothing of the object lies in the range */
	bool		open;			/* call is one of bkc_s3_call_init() */
	BkcS3Call	call;
	char		etag[128];		/* "" before the first reply */
	BkcRetry	retry;			/* of bodies that broke off */
	uint64_t	progress;		/* bytes since it was begun or made new */
} S3Reader;

static const BkcRetryPolicy policy = {
	.max_attempts = 6,
	.first_wait_ms = 200,
	.max_wait_ms = 10000,
	.total_ms = 0,
};

static bool
failed(S3Reader *r, BkcError *err)
{
	return bkc_error_context(err, "could not read object \"%s\" from repository \"%s\"", r->name,
							 r->store->base.location);
}

static bool
replaced(BkcError *err)
{
	return bkc_error_set(err, BKC_ERR_CORRUPT, "the object was replaced while it was being read");
}

/* "bytes 5-9/20": where the part begins, and how long the object is ("*": UINT64_MAX). */
static bool
parse_range(const char *text, uint64_t *from, uint64_t *size)
{
	char		copy[96];
	char	   *dash;
	char	   *slash;

	if (strncasecmp(text, "bytes ", 6) != 0 || strlen(text) >= sizeof(copy))
		return false;
	memcpy(copy, text + 6, strlen(text + 6) + 1);
	dash = strchr(copy, '-');
	slash = strchr(copy, '/');
	if (dash == NULL || slash == NULL)
		return false;
	*dash = *slash = '\0';
	*size = UINT64_MAX;
	return bkc_parse_u64(copy, INT64_MAX, from) &&
		(strcmp(slash + 1, "*") == 0 || bkc_parse_u64(slash + 1, INT64_MAX, size));
}

/*
 * Does the body begin at r->offset?  Where the range ends is what the first
 * reply says; a later one that says less is about another object, and one that
 * brings less is gone on with like one that was cut off.
 */
static bool
take_length(S3Reader *r, BkcError *err)
{
	bool		part = r->call.http.status == 206;
	char		text[96];
	uint64_t	from = 0;
	uint64_t	size = UINT64_MAX;
	uint64_t	length;

	if (!bkc_http_header(&r->call.http, "content-length", text, sizeof(text)) ||
		!bkc_parse_u64(text, INT64_MAX, &length))
		return bkc_error_set(err, BKC_ERR_UNAVAILABLE, "S3 does not say how long the reply is");
	if (!part)
		size = length;
	else if (!bkc_http_header(&r->call.http, "content-range", text, sizeof(text)) ||
			 !parse_range(text, &from, &size))
		return bkc_error_set(err, BKC_ERR_UNAVAILABLE, "S3 does not say which range its reply is");

	/* a server that passes over the range would hand out other bytes than asked for */
	if (from != r->offset)
		return bkc_error_set(err, BKC_ERR_UNSUPPORTED, "S3 did not answer with the range asked for");
	if (size == UINT64_MAX)
		size = r->end_known ? r->end : r->offset + length;
	if (r->end_known)
		return size >= r->end || replaced(err);
	if (r->end > size)
		r->end = size;
	r->end_known = true;
	return true;
}

/* Send the GET and wait for its headers. */
static bool
begin(S3Reader *r, BkcError *err)
{
	char		range[64];
	char		etag[sizeof(r->etag)];
	bool		ok;

	if (r->open)
		bkc_s3_call_free(r->store, &r->call);
	bkc_s3_call_init(&r->call, "GET", r->name);
	r->open = true;
	r->call.window = WINDOW;
	if (r->end != UINT64_MAX)
		snprintf(range, sizeof(range), "bytes=%" PRIu64 "-%" PRIu64, r->offset, r->end - 1);
	else
		snprintf(range, sizeof(range), "bytes=%" PRIu64 "-", r->offset);
	ok = ((r->offset == 0 && r->end == UINT64_MAX) ||
		  bkc_s3_call_header(&r->call, "range", range, err)) &&
		(r->etag[0] == '\0' || bkc_s3_call_header(&r->call, "if-match", r->etag, err)) &&
		bkc_s3_sse_c_headers(r->store, &r->call, err) &&
		bkc_s3_call_start(r->store, &r->call, err);
	while (ok && !r->call.done &&
		   !(r->call.http.headed && r->call.http.status / 100 == 2))
		ok = bkc_s3_drive(r->store, BKC_HTTP_SLICE_MS, err) &&
			bkc_s3_call_look(r->store, &r->call, err);
	if (!ok)
		return false;
	if (r->call.done && !r->call.ok && r->call.http.status / 100 != 2)
	{
		*err = r->call.error;
		if (err->http_status == RANGE_ERROR && !r->end_known)
		{
			r->empty = true;
			return true;
		}
		if (err->code == BKC_ERR_EXISTS || err->http_status == RANGE_ERROR)
			return replaced(err);
		return false;
	}
	if (!bkc_http_header(&r->call.http, "etag", etag, sizeof(etag)))
		return bkc_error_set(err, BKC_ERR_STATE, "S3 sends an object without its ETag");
	if (r->etag[0] == '\0')
		memcpy(r->etag, etag, sizeof(etag));
	return take_length(r, err);
}

/*
 * The body broke off: go on from there.  A reply that does not even begin was waited for long
 * enough.
 */
static bool
go_on(S3Reader *r, BkcError *err)
{
	*err = r->call.error;
	return bkc_retry_again(&r->retry, err) && begin(r, err);
}

static bool
s3_read(BkcReader *reader, void *buf, size_t len, size_t *got, BkcError *err)
{
	S3Reader   *r = (S3Reader *) reader;
	bool		ok = true;

	bkc_host->wait_event(BKC_WAIT_STORE_READ);
	while (ok && *got < len && !r->empty && r->offset < r->end)
	{
		size_t		want = len - *got;
		size_t		n;

		if (want > r->end - r->offset)
			want = (size_t) (r->end - r->offset);
		n = bkc_http_take(&r->call.http, (uint8_t *) buf + *got, want);
		*got += n;
		r->offset += n;
		r->progress += n;
		if (r->progress >= PROGRESS)
		{
			/* the next break is a new story */
			r->progress = 0;
			r->retry.attempts = 0;
			r->retry.causes[0] = '\0';
			r->retry.last_at = 0;
		}
		if (n > 0)
			continue;
		if (r->call.done)
		{
			if (r->call.ok)
				bkc_error_set(&r->call.error, BKC_ERR_UNAVAILABLE, "the reply was cut off");
			ok = go_on(r, err);
			continue;
		}
		ok = bkc_s3_drive(r->store, BKC_HTTP_SLICE_MS, err) &&
			bkc_s3_call_look(r->store, &r->call, err);
	}
	bkc_host->wait_event(BKC_WAIT_NONE);
	return ok || failed(r, err);
}

static void
s3_read_close(BkcReader *reader)
{
	S3Reader   *r = (S3Reader *) reader;

	if (r->open)
		bkc_s3_call_free(r->store, &r->call);
	free(r);
}

static const BkcReaderOps s3_reader_ops = {
	.read = s3_read,
	.close = s3_read_close,
};

bool
bkc_s3_open_read(BkcStore *store, const char *name, uint64_t offset, uint64_t length,
				 BkcReader **reader, BkcError *err)
{
	S3Reader   *r;
	uint64_t	size;

	/* a range of nothing: it is asked only whether the object is there */
	if (length == 0 && !store->ops->stat(store, name, &size, err))
		return false;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return bkc_error_oom(err);
	r->base.ops = &s3_reader_ops;
	r->store = (BkcS3Store *) store;
	memcpy(r->name, name, strlen(name) + 1);
	r->offset = offset;
	r->end = length >= UINT64_MAX - offset ? UINT64_MAX : offset + length;
	r->empty = length == 0;
	bkc_retry_begin(&r->retry, &policy);
	if (!r->empty && !begin(r, err))
	{
		failed(r, err);
		s3_read_close(&r->base);
		return false;
	}
	*reader = &r->base;
	return true;
}
