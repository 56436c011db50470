/*
 * inner.h
 *		Between the files of this folder.
 */
#ifndef BKC_STORE_HTTP_INNER_H
#define BKC_STORE_HTTP_INNER_H

#include "store/http/http.h"

/* What a failed transfer means: code is libcurl's (CURLcode). */
extern void bkc_http_error(const BkcHttpCall *call, int code, BkcError *err);

/* Note until when the server's certificate is valid, while the handle is still there. */
extern void bkc_http_certificate(BkcHttpCall *call);

#endif							/* BKC_STORE_HTTP_INNER_H */
