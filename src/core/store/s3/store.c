/*
 * store.c
 *		The S3 driver's store: opening, looking an object up, closing.
 */
#include "store/s3/s3.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "store/s3/bucket.h"

static bool
s3_check(const BkcUrl *url, BkcError *err)
{
	return bkc_s3_config(url, NULL, err);
}

/* Is there really nothing?  The document tells a missing bucket apart. */
static bool
proven_absent(BkcS3Store *store, const char *name, uint64_t *size, BkcError *err)
{
	/* it has come into being in between when that succeeds */
	return bkc_s3_ask(store, name, err) && bkc_s3_head(store, name, "", NULL, size, err);
}

static bool
s3_stat(BkcStore *store, const char *name, uint64_t *size, BkcError *err)
{
	BkcS3Store *s3 = (BkcS3Store *) store;

	if (bkc_s3_head(s3, name, "", NULL, size, err) ||
		(err->code == BKC_ERR_NOT_FOUND && proven_absent(s3, name, size, err)))
		return true;
	return bkc_error_context(err, "could not find object \"%s\" in repository \"%s\"", name,
							 store->location);
}

static bool
s3_space(BkcStore *store, uint64_t *free_bytes, BkcError *err)
{
	return bkc_error_set(err, BKC_ERR_UNSUPPORTED, "free space of repository \"%s\" is not known",
						 store->location);
}

static void
s3_close(BkcStore *store)
{
	BkcS3Store *s3 = (BkcS3Store *) store;

	bkc_http_close(s3->http);
	bkc_s3_creds_free(s3->creds);
	bkc_s3_config_free(&s3->config);
	bkc_wipe(s3->sse_c_key, sizeof(s3->sse_c_key));
	free(s3);
}

static const BkcStoreOps s3_store_ops = {
	.open_write = bkc_s3_open_write,
	.open_read = bkc_s3_open_read,
	.stat = s3_stat,
	.list = bkc_s3_list,
	.remove = bkc_s3_remove,
	.remove_versions = bkc_s3_remove_versions,
	.locked = bkc_s3_locked,
	.hold = bkc_s3_hold,
	.remove_former = bkc_s3_remove_former,
	.try_class = bkc_s3_try_class,
	.archived = bkc_s3_archived,
	.thaw = bkc_s3_thaw,
	.sweep = bkc_s3_sweep,
	.tidy = bkc_s3_tidy,
	.describe = bkc_s3_describe,
	.setup = &bkc_s3_setup_ops,
	.space = s3_space,
	.close = s3_close,
};

/* The key of SSE-C: 32 bytes, base64 or raw, in a file that only its owner can read. */
static bool
read_sse_c_key(BkcS3Store *s3, BkcError *err)
{
	const char *path = s3->config.sse_c_key_file;
	uint8_t		key[BKC_S3_SSE_C_KEY_SIZE];
	uint8_t		md5[BKC_MD5_SIZE];
	BkcBuffer	text = {0};
	size_t		len;
	size_t		got = 0;
	bool		ok;

	if (path == NULL)
		return true;
	if (!bkc_file_slurp_secret(path, 1024, &text, err))
		return false;
	len = text.len;
	while (len > 0 && len != sizeof(key) && strchr(" \t\r\n", text.data[len - 1]) != NULL)
		len--;
	if (len == sizeof(key))
	{
		memcpy(key, text.data, len);
		got = len;
	}
	ok = got == sizeof(key) ||
		(bkc_base64_decode((const char *) text.data, len, key, sizeof(key), &got) &&
		 got == sizeof(key));
	if (!ok)
		bkc_error_set(err, BKC_ERR_INVALID, "file \"%s\" does not hold a key of 32 bytes", path);
	ok = ok && bkc_md5(key, sizeof(key), md5, err);
	if (ok)
	{
		bkc_base64_encode(key, sizeof(key), s3->sse_c_key);
		bkc_base64_encode(md5, sizeof(md5), s3->sse_c_md5);
	}
	bkc_wipe(key, sizeof(key));
	bkc_wipe(text.data, text.cap);
	bkc_buffer_free(&text);
	return ok;
}

static bool
s3_open(const BkcUrl *url, BkcStore **store, BkcError *err)
{
	BkcS3Store *s3 = calloc(1, sizeof(*s3));

	if (s3 == NULL)
		return bkc_error_oom(err);
	s3->base.ops = &s3_store_ops;
	s3->base.caps = BKC_CAP_CREATE_ONLY | BKC_CAP_CLASSES;
	if (!bkc_s3_config(url, &s3->config, err) ||
		!read_sse_c_key(s3, err) ||
		!bkc_http_new(&s3->config.http, &s3->http, err) ||
		!bkc_s3_creds_new(s3->config.credentials, s3->config.profile, s3->config.region,
						  &s3->config.http, &s3->creds, err))
	{
		s3_close(&s3->base);
		return false;
	}
	if (s3->config.storage_class != NULL)
		snprintf(s3->base.class, sizeof(s3->base.class), "%s", s3->config.storage_class);
	*store = &s3->base;
	return true;
}

const BkcStoreDriver bkc_store_s3_driver = {
	.scheme = "s3",
	.params = bkc_s3_params,
	.check = s3_check,
	.check_class = bkc_s3_check_class,
	.open = s3_open,
};
