/*
 * keyfile.c
 *		Reading wrapping keys (contract: keyfile.h; the derivations: FORMAT.md,
 *		"Wrapping keys").
 */
#include "crypto/keyfile.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "crypto/digest.h"

#define PASSPHRASE_PREFIX	"passphrase:"
#define WHITE				" \t\r\n"

#define SCRYPT_N			32768	/* 32 MB, a tenth of a second */
#define SCRYPT_R			8
#define SCRYPT_P			1

static bool
is_white(uint8_t c)
{
	return c != '\0' && strchr(WHITE, c) != NULL;
}

static bool
bad_key(const char *what, const char *why, BkcError *err)
{
	bkc_error_set(err, BKC_ERR_KEY, "%s does not hold a key: %s", what, why);
	return bkc_error_hint(err, "A key is 32 bytes, 64 hex digits, 44 digits of base64, or a line \"passphrase: ...\" of at least %d characters. \"pg_backupctl keygen\" makes one.",
						  BKC_PASSPHRASE_MIN);
}

/* The passphrase itself is not kept: its hash serves as well. */
static bool
take_passphrase(const uint8_t *text, size_t len, const char *what, BkcUserKey *key, BkcError *err)
{
	while (len > 0 && is_white(text[0]))
	{
		text++;
		len--;
	}
	if (len < BKC_PASSPHRASE_MIN)
		return bad_key(what, "the passphrase is too short", err);
	if (memchr(text, '\n', len) != NULL || memchr(text, '\0', len) != NULL)
		return bad_key(what, "the passphrase has more than one line", err);
	key->passphrase = true;
	return bkc_sha256(text, len, key->secret->bytes, err);
}

/* Somebody's text, or one byte over and over: nothing that a random generator makes. */
static bool
is_text(const uint8_t *p, size_t len)
{
	bool		text = true;
	bool		same = true;

	for (size_t i = 0; i < len; i++)
	{
		text = text && ((p[i] >= 0x20 && p[i] < 0x7F) || is_white(p[i]));
		same = same && p[i] == p[0];
	}
	return text || same;
}

/* text ends in a zero byte that is not counted. */
static bool
take_key(const uint8_t *text, size_t len, const char *what, BkcUserKey *key, BkcError *err)
{
	size_t		bare = len;
	size_t		got;
	char		digits[2 * BKC_SECRET_SIZE + 1];
	bool		ok;

	while (bare > 0 && is_white(text[bare - 1]))
		bare--;
	if (bare >= strlen(PASSPHRASE_PREFIX) &&
		memcmp(text, PASSPHRASE_PREFIX, strlen(PASSPHRASE_PREFIX)) == 0)
		return take_passphrase(text + strlen(PASSPHRASE_PREFIX),
							   bare - strlen(PASSPHRASE_PREFIX), what, key, err);
	if (bare == 2 * BKC_SECRET_SIZE)
	{
		memcpy(digits, text, bare);
		digits[bare] = '\0';
		ok = bkc_hex_decode(digits, key->secret->bytes, BKC_SECRET_SIZE);
		bkc_wipe(digits, sizeof(digits));
	}
	else if (len == BKC_SECRET_SIZE)
	{
		ok = !is_text(text, len);
		memcpy(key->secret->bytes, text, len);
		if (!ok)
			return bad_key(what, "32 bytes of text are no key", err);
	}
	else
		ok = bkc_base64_decode((const char *) text, bare, key->secret->bytes,
							   BKC_SECRET_SIZE, &got) && got == BKC_SECRET_SIZE;
	if (!ok)
		return bad_key(what, "it has none of the known forms", err);
	if (is_text(key->secret->bytes, BKC_SECRET_SIZE))
		return bad_key(what, "32 bytes of text are no key", err);
	return true;
}

bool
bkc_userkey_parse(const void *text, size_t len, const char *what, BkcUserKey *key, BkcError *err)
{
	key->passphrase = false;
	key->secret = bkc_secret_new(err);
	if (key->secret != NULL && len == 0)
		bad_key(what, "it is empty", err);
	else if (key->secret != NULL && take_key(text, len, what, key, err))
		return true;
	bkc_userkey_free(key);
	return false;
}

bool
bkc_userkey_file(const char *path, BkcUserKey *key, BkcError *err)
{
	BkcBuffer	text = {0};
	char		what[512];
	bool		ok;

	memset(key, 0, sizeof(*key));
	snprintf(what, sizeof(what), "key file \"%.*s\"", bkc_text_clip(path, strlen(path), 400), path);
	ok = bkc_file_slurp_secret(path, BKC_KEYFILE_MAX, &text, err);
	if (ok)
		ok = bkc_userkey_parse(bkc_buffer_str(&text), text.len, what, key, err);
	else if (err->code == BKC_ERR_NOT_FOUND || err->code == BKC_ERR_INVALID)
		err->code = BKC_ERR_KEY;
	if (text.data != NULL)
		bkc_wipe(text.data, text.cap);
	bkc_buffer_free(&text);
	return ok;
}

void
bkc_userkey_free(BkcUserKey *key)
{
	bkc_secret_free(key->secret);
	key->secret = NULL;
}

/* ---- wrapping keys ---- */

bool
bkc_userkey_wrapping(const BkcUserKey *key, uint64_t sysid, BkcSecret *wrapping, BkcError *err)
{
	char		salt[64];

	if (!key->passphrase)
	{
		memcpy(wrapping->bytes, key->secret->bytes, BKC_SECRET_SIZE);
		return true;
	}
	snprintf(salt, sizeof(salt), "pg_backupctl passphrase %" PRIu64, sysid);
	return bkc_scrypt(key->secret->bytes, BKC_SECRET_SIZE, salt, strlen(salt),
					  SCRYPT_N, SCRYPT_R, SCRYPT_P, wrapping->bytes, BKC_SECRET_SIZE, err);
}

bool
bkc_wrapping_id(const BkcSecret *wrapping, uint8_t id[BKC_WRAP_ID_SIZE], BkcError *err)
{
	static const char info[] = "pg_backupctl wrapping key id";

	return bkc_hkdf_sha256(wrapping->bytes, BKC_SECRET_SIZE, NULL, 0, (const uint8_t *) info,
						   strlen(info), id, BKC_WRAP_ID_SIZE, err);
}
