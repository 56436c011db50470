/*
 * inner.h
 *		What the files of crypto/ share.
 */
#ifndef BKC_CRYPTO_INNER_H
#define BKC_CRYPTO_INNER_H

#include "base/error.h"

/* "what: OpenSSL's reason"; its queue of errors is left empty.  Returns false. */
extern bool bkc_crypto_error(BkcError *err, BkcErrorCode code, const char *what);

#endif							/* BKC_CRYPTO_INNER_H */
