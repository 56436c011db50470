/*
 * secret.h
 *		The one type that keys are kept in.
 *
 * Each has a page of memory to itself that is left out of core dumps and is
 * not swapped out, where the system allows it, and is wiped when freed.  A
 * secret is never formatted into a text and never stored outside of one of these,
 * but for the moment that a function works with it.
 */
#ifndef BKC_CRYPTO_SECRET_H
#define BKC_CRYPTO_SECRET_H

#include <stdint.h>

#include "base/error.h"

#define BKC_SECRET_SIZE		32

typedef struct BkcSecret
{
	uint8_t		bytes[BKC_SECRET_SIZE];
} BkcSecret;

/* All zero; NULL and err when out of memory. */
extern BkcSecret *bkc_secret_new(BkcError *err);
extern BkcSecret *bkc_secret_random(BkcError *err);
extern void bkc_secret_free(BkcSecret *secret); /* NULL is fine */

#endif							/* BKC_CRYPTO_SECRET_H */
