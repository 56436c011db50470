/*
 * keyfile.h
 *		Wrapping keys as users have them: in a file, or from a command.
 *
 * What is in there (at most 4 kB) is, in this order:
 *
 *		passphrase: TEXT	a passphrase; white space around TEXT does not count
 *		64 hex digits		the 32 bytes of a key; white space behind them does not count
 *		44 base64 digits	likewise (RFC 4648, padded)
 *		32 bytes			the key itself; only bytes that are no text
 *
 * So what looks like a key but is a text that somebody typed is refused, and a
 * file is never taken for two things.  No message shows anything of it.
 */
#ifndef BKC_CRYPTO_KEYFILE_H
#define BKC_CRYPTO_KEYFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "crypto/secret.h"

#define BKC_KEYFILE_MAX			4096
#define BKC_PASSPHRASE_MIN		12	/* bytes */

/* What a user gave: a key, or a passphrase that becomes one for each cluster. */
typedef struct BkcUserKey
{
	BkcSecret  *secret;			/* the key, or the SHA-256 of the passphrase */
	bool		passphrase;
} BkcUserKey;

/* what names the source in messages.  key is zeroed or freed before; free it also after failure. */
extern bool bkc_userkey_parse(const void *text, size_t len, const char *what, BkcUserKey *key,
							  BkcError *err);

/*
 * A regular file of our own or root's that nobody else may read or write, else BKC_ERR_ACCESS.
 * What is not there or no key is BKC_ERR_KEY.
 */
extern bool bkc_userkey_file(const char *path, BkcUserKey *key, BkcError *err);

/*
 * From the standard output of "/bin/sh -c command".  It runs in a process group of its own with our
 * environment, without standard input, and its standard error is ours.  After timeout_ms, and when
 * the host says cancelled, the group is ended.  BKC_ERR_KEY when it fails or prints no key,
 * BKC_ERR_TIMEOUT, BKC_ERR_CANCELLED.
 */
extern bool bkc_userkey_command(const char *command, int timeout_ms, BkcUserKey *key,
								BkcError *err);
extern void bkc_userkey_free(BkcUserKey *key);	/* may be called again */

/* ---- wrapping keys ---- */

#define BKC_WRAP_ID_SIZE	8
#define BKC_WRAP_ID_HEX		(2 * BKC_WRAP_ID_SIZE + 1)

/* The wrapping key for a cluster: the key itself, or scrypt of the passphrase (0.1 s). */
extern bool bkc_userkey_wrapping(const BkcUserKey *key, uint64_t sysid, BkcSecret *wrapping,
								 BkcError *err);

/* What a wrapping key is called; reveals nothing of it. */
extern bool bkc_wrapping_id(const BkcSecret *wrapping, uint8_t id[BKC_WRAP_ID_SIZE],
							BkcError *err);

#endif							/* BKC_CRYPTO_KEYFILE_H */
