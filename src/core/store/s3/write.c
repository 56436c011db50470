/*
 * write.c
 *		Writing an object: one PUT when it is small, else a multipart upload
 *		with several parts in flight.
 *
 * A part is sent when it is whole, because its hash is signed before its
 * first byte.  While parts are under way the caller goes on (compressing the
 * next one); every write moves them along.  Of a commit only a single PUT can
 * be under way: where nothing has to be asked before it.
 */
#include "store/s3/s3.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "base/text.h"
#include "store/s3/multipart.h"

#define PARTS_PLANNED	9000	/* of the 10,000 there may be: expected sizes are estimates */
#define MIB				((uint64_t) 1 << 20)
#define MOVE_AFTER		(64 * 1024) /* bytes written between two looks at the network */

typedef struct S3Writer
{
	BkcWriter	base;
	BkcS3Store *store;
	char		name[BKC_NAME_MAX];
	char		upload[33];		/* random, in the object's metadata: which upload made it */
	size_t		part_size;
	BkcBuffer	part;			/* being filled */
	BkcSha256  *sha;			/* of it */
	size_t		unmoved;
	BkcS3Multipart *multipart;	/* NULL as long as everything fits into one part */

	/* the one PUT of an object without parts */
	BkcS3Call	put;
	bool		putting;		/* it was started */
	char		put_sha256[2 * BKC_SHA256_SIZE + 1];	/* of the part, when it is known */
} S3Writer;

static bool
finish_hash(S3Writer *w, char hex[2 * BKC_SHA256_SIZE + 1], BkcError *err)
{
	uint8_t		hash[BKC_SHA256_SIZE];

	if (!bkc_sha256_end(w->sha, hash, err))
		return false;
	bkc_hex_encode(hash, sizeof(hash), hex);
	return bkc_sha256_begin(w->sha, err);
}

/* The part is full, or the last one. */
static bool
send_part(S3Writer *w, BkcError *err)
{
	char		hex[2 * BKC_SHA256_SIZE + 1];

	if (w->multipart == NULL &&
		!bkc_s3_multipart_begin(w->store, w->name, w->upload, &w->multipart, err))
		return false;
	return finish_hash(w, hex, err) && bkc_s3_multipart_send(w->multipart, &w->part, hex, err);
}

/* What is missing is not the object that is written, but an upload that others aborted, say. */
static bool
failed(const S3Writer *w, BkcError *err)
{
	if (err->code == BKC_ERR_NOT_FOUND)
		err->code = BKC_ERR_STATE;
	return bkc_error_context(err, "could not write object \"%s\" to repository \"%s\"", w->name,
							 w->store->base.location);
}

static bool
s3_write(BkcWriter *writer, const void *data, size_t len, BkcError *err)
{
	S3Writer   *w = (S3Writer *) writer;
	const uint8_t *p = data;

	while (len > 0)
	{
		size_t		n = w->part_size - w->part.len;

		if (n == 0)
		{
			if (!send_part(w, err))
				goto fail;
			continue;
		}
		if (n > len)
			n = len;
		if (n > MOVE_AFTER)
			n = MOVE_AFTER;
		if (!bkc_buffer_append(&w->part, p, n, err) || !bkc_sha256_update(w->sha, p, n, err))
			goto fail;
		p += n;
		len -= n;
		w->unmoved += n;
		if (w->multipart != NULL && w->unmoved >= MOVE_AFTER)
		{
			w->unmoved = 0;
			if (!bkc_s3_multipart_move(w->multipart, 0, err))
				goto fail;
		}
	}
	return true;

fail:
	return failed(w, err);
}

static void
put_drop(S3Writer *w)
{
	if (w->putting)
		bkc_s3_call_free(w->store, &w->put);
	w->putting = false;
}

static bool
put_start(S3Writer *w, BkcError *err)
{
	BkcS3Call  *call = &w->put;

	if (w->put_sha256[0] == '\0' && !finish_hash(w, w->put_sha256, err))
		return false;
	bkc_s3_call_init(call, "PUT", w->name);
	w->putting = true;
	call->body = w->part.data;
	call->body_len = w->part.len;
	call->body_sha256 = w->put_sha256;
	return bkc_s3_object_headers(w->store, call, w->name, w->upload, err) &&
		   (w->store->create != BKC_S3_CREATE_ATOMIC ||
			bkc_s3_call_header(call, "if-none-match", "*", err)) &&
		   bkc_s3_call_start(w->store, call, err);
}

static bool
put_finish(S3Writer *w, BkcError *err)
{
	char		etag[128];
	BkcError	look;
	bool		ours = false;
	bool		ok = bkc_s3_call_finish(w->store, &w->put, err);

	/* anything may answer 200; whoever has stored an object says what it is */
	if (ok && !bkc_http_header(&w->put.http, "etag", etag, sizeof(etag)))
		ok = bkc_error_set(err, BKC_ERR_STATE, "S3 took the object without giving its ETag");

	/*
	 * Taken by ourselves, when a reply was lost?  Asked in any case: libcurl sends a request
	 * again without a word when a connection that was kept turns out to be closed.
	 */
	if (!ok && err->code == BKC_ERR_EXISTS)
		ok = bkc_s3_head(w->store, w->name, w->upload, &ours, NULL, &look) && ours;
	return ok;
}

/*
 * Where the server cannot create only: is the name free?  Servers that can do it for PUT need not
 * for multipart uploads, and pass over the condition there.
 */
static bool
look_first(S3Writer *w, BkcError *err)
{
	if (w->store->create == BKC_S3_CREATE_ATOMIC && w->multipart == NULL)
		return true;

	/* not by HEAD: a 404 without document may come from anybody, and the object be replaced */
	if (bkc_s3_ask(w->store, w->name, err) || err->code == BKC_ERR_ARCHIVED)
		return bkc_error_set(err, BKC_ERR_EXISTS, "an object of that name exists");
	return err->code == BKC_ERR_NOT_FOUND;
}

/*
 * Only what needs no reply before it, as there is nobody to wait for one.  A call whose reply is
 * looked at here is tried again when that is due.
 */
static bool
s3_commit_begin(BkcWriter *writer)
{
	S3Writer   *w = (S3Writer *) writer;
	BkcError	ignored;

	if (!w->putting)
	{
		if (w->multipart != NULL || w->store->create != BKC_S3_CREATE_ATOMIC)
			return false;
		if (!put_start(w, &ignored))
		{
			put_drop(w);
			return false;
		}
	}
	if (bkc_s3_drive(w->store, 0, &ignored))
		(void) bkc_s3_call_look(w->store, &w->put, &ignored);
	return true;
}

static bool
commit_now(S3Writer *w, BkcError *err)
{
	if (w->putting)
		return put_finish(w, err);
	if (!bkc_s3_learn_create(w->store, err) || !look_first(w, err))
		return false;
	if (w->multipart == NULL)
		return put_start(w, err) && put_finish(w, err);
	return (w->part.len == 0 || send_part(w, err)) &&
		   bkc_s3_multipart_complete(w->multipart, err) && bkc_s3_say_again(w->store, w->name, err);
}

static bool
s3_commit(BkcWriter *writer, BkcError *err)
{
	S3Writer   *w = (S3Writer *) writer;
	bool		ok;

	bkc_host->wait_event(BKC_WAIT_STORE_SYNC);
	ok = commit_now(w, err);
	put_drop(w);
	bkc_host->wait_event(BKC_WAIT_NONE);
	return ok || failed(w, err);
}

static void
s3_write_close(BkcWriter *writer)
{
	S3Writer   *w = (S3Writer *) writer;

	put_drop(w);
	bkc_s3_multipart_close(w->multipart);
	bkc_sha256_free(w->sha);
	bkc_buffer_free(&w->part);
	free(w);
}

static const BkcWriterOps s3_writer_ops = {
	.write = s3_write,
	.commit_begin = s3_commit_begin,
	.commit = s3_commit,
	.close = s3_write_close,
};

bool
bkc_s3_open_write(BkcStore *store, const char *name, uint64_t expected_size, BkcWriter **writer,
				  BkcError *err)
{
	BkcS3Store *s3 = (BkcS3Store *) store;
	S3Writer   *w = calloc(1, sizeof(*w));
	uint8_t		random[16];
	uint64_t	needed;

	if (w == NULL)
		return bkc_error_oom(err);
	w->base.ops = &s3_writer_ops;
	w->store = s3;
	memcpy(w->name, name, strlen(name) + 1);
	needed = (expected_size / PARTS_PLANNED + MIB) / MIB * MIB;
	w->part_size = needed > s3->config.part_size ? needed : s3->config.part_size;
	w->sha = bkc_sha256_new(err);
	if (w->sha == NULL || !bkc_sha256_begin(w->sha, err) ||
		!bkc_random(random, sizeof(random), err))
	{
		s3_write_close(&w->base);
		return false;
	}
	bkc_hex_encode(random, sizeof(random), w->upload);
	*writer = &w->base;
	return true;
}
