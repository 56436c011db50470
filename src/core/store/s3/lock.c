/*
 * lock.c
 *		Object lock: until when, and legal holds.
 *
 * DELETE without a version does not ask for locks: it hides the object behind a
 * delete marker.  So whoever removes what may be locked asks first.
 */
#include "store/s3/s3.h"

#include <string.h>

#include "base/host.h"

bool
bkc_s3_locked(BkcStore *store, const char *name, int64_t *until, BkcError *err)
{
	BkcS3Store *s3 = (BkcS3Store *) store;
	BkcS3Call	call;
	char		text[64];
	bool		ok;

	*until = 0;
	bkc_s3_call_init(&call, "HEAD", name);
	ok = bkc_s3_sse_c_headers(s3, &call, err) && bkc_s3_call_run(s3, &call, err);
	if (ok && bkc_http_header(&call.http, "x-amz-object-lock-legal-hold", text, sizeof(text)) &&
		strcmp(text, "ON") == 0)
		*until = BKC_STORE_HELD;
	else if (ok && bkc_http_header(&call.http, "x-amz-object-lock-retain-until-date", text,
								   sizeof(text)))
	{
		/* a date that cannot be read is one that nobody knows to have passed */
		if (!bkc_s3_parse_time(text, until))
			*until = BKC_STORE_HELD;
		else if (*until <= bkc_host->now() + s3->clock_ahead)
			*until = 0;
	}
	else if (ok && s3->config.lock_mode != NULL &&
			 !bkc_http_header(&call.http, "x-amz-object-lock-mode", text, sizeof(text)))
	{
		/* it should have one: who may not ask for locks is shown none */
		*until = BKC_STORE_HELD;
	}
	bkc_s3_call_free(s3, &call);
	return ok || err->code == BKC_ERR_NOT_FOUND;
}

bool
bkc_s3_hold(BkcStore *store, const char *name, bool on, BkcError *err)
{
	BkcBuffer	xml = {0};
	bool		ok;

	ok = bkc_buffer_printf(&xml, err, "<LegalHold xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>%s</Status></LegalHold>",
						   on ? "ON" : "OFF") &&
		bkc_s3_put_document((BkcS3Store *) store, name, "legal-hold", &xml, err);
	bkc_buffer_free(&xml);

	/* what servers say of a bucket that was made without object lock */
	if (!ok && (err->code == BKC_ERR_INVALID || err->code == BKC_ERR_STATE) &&
		(strstr(err->message, "ObjectLock") != NULL || strstr(err->message, "InvalidRequest") != NULL ||
		 strstr(err->message, "Object Lock") != NULL))
		err->code = BKC_ERR_UNSUPPORTED;
	return ok;
}
