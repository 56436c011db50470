/*
 * fields.c
 *		Reading and writing the fields of JSON objects (contract: fields.h).
 */
#include "format/fields.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "format/names.h"

#define KEY_MAX		64			/* our own keys with "_hex" are far shorter */

/* ---- reading ---- */

/*
 * The parser reports a failed allocation as a syntax error, or without any
 * text.  Damage must not be claimed where only memory was short, so a failure
 * counts only if there is plainly memory for the whole tree and a second
 * attempt fails too.
 */
static json_t *
load_again(const char *text, size_t len, json_error_t *jerr)
{
	const size_t tree_max = len * 32 + 65536;
	void	   *probe = malloc(tree_max);
	bool		enough = probe != NULL;

	free(probe);
	if (enough)
		return json_loadb(text, len, JSON_REJECT_DUPLICATES, jerr);
	jerr->text[0] = '\0';
	return NULL;
}

bool
bkc_fields_parse(BkcFields *f, const char *text, size_t len, BkcError *err)
{
	json_error_t jerr;

	f->ntaken = 0;
	f->owned = true;
	f->object = json_loadb(text, len, JSON_REJECT_DUPLICATES, &jerr);
	if (f->object == NULL)
		f->object = load_again(text, len, &jerr);
	if (f->object == NULL)
	{
		if (jerr.text[0] == '\0' || json_error_code(&jerr) == json_error_out_of_memory)
			return bkc_error_oom(err);
		return bkc_error_set(err, BKC_ERR_CORRUPT, "not valid JSON: %s (byte %d)",
							 jerr.text, jerr.position);
	}
	if (!json_is_object(f->object))
	{
		bkc_fields_free(f);
		return bkc_error_set(err, BKC_ERR_CORRUPT, "not a JSON object");
	}
	return true;
}

bool
bkc_fields_open(BkcFields *f, const char *kind, int known, const char *text, size_t len,
				BkcError *err)
{
	int64_t		version;

	if (!bkc_fields_parse(f, text, len, err) ||
		!bkc_fields_int(f, kind, 1, INT32_MAX, &version, err))
		return false;
	if (version != known)
		return bkc_error_set(err, BKC_ERR_UNSUPPORTED,
							 "\"%s\" has version %" PRId64 ", this program knows version %d",
							 kind, version, known);
	return true;
}

bool
bkc_fields_nested(BkcFields *f, json_t *value, const char *what, BkcError *err)
{
	f->ntaken = 0;
	f->owned = false;
	f->object = value;
	if (!json_is_object(value))
		return bkc_error_set(err, BKC_ERR_CORRUPT, "element of \"%s\" is not an object", what);
	return true;
}

void
bkc_fields_free(BkcFields *f)
{
	if (f->owned)
		json_decref(f->object);
	f->object = NULL;
	f->owned = false;
}

json_t *
bkc_fields_take(BkcFields *f, const char *key)
{
	json_t	   *value = json_object_get(f->object, key);

	if (value != NULL && f->ntaken < BKC_FIELDS_MAX)
		f->taken[f->ntaken++] = value;
	return value;
}

static bool
missing(const char *key, BkcError *err)
{
	return bkc_error_set(err, BKC_ERR_CORRUPT, "field \"%s\" is missing", key);
}

static bool
wrong(const char *key, const char *what, BkcError *err)
{
	return bkc_error_set(err, BKC_ERR_CORRUPT, "field \"%s\" is not %s", key, what);
}

bool
bkc_fields_int(BkcFields *f, const char *key, int64_t min, int64_t max, int64_t *out,
			   BkcError *err)
{
	json_t	   *value = bkc_fields_take(f, key);
	json_int_t	number;

	if (value == NULL)
		return missing(key, err);
	if (!json_is_integer(value))
		return wrong(key, "an integer", err);
	number = json_integer_value(value);
	if (number < min || number > max)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "field \"%s\" is out of range: %" PRId64,
							 key, (int64_t) number);
	*out = number;
	return true;
}

bool
bkc_fields_u32(BkcFields *f, const char *key, uint32_t *out, BkcError *err)
{
	int64_t		number;

	if (!bkc_fields_int(f, key, 0, UINT32_MAX, &number, err))
		return false;
	*out = (uint32_t) number;
	return true;
}

bool
bkc_fields_u64(BkcFields *f, const char *key, uint64_t *out, BkcError *err)
{
	int64_t		number;

	if (!bkc_fields_int(f, key, 0, BKC_JSON_INT_MAX, &number, err))
		return false;
	*out = (uint64_t) number;
	return true;
}

bool
bkc_fields_bool(BkcFields *f, const char *key, bool *out, BkcError *err)
{
	json_t	   *value = bkc_fields_take(f, key);

	if (value == NULL)
		return missing(key, err);
	if (!json_is_boolean(value))
		return wrong(key, "true or false", err);
	*out = json_is_true(value);
	return true;
}

bool
bkc_fields_string(BkcFields *f, const char *key, const char **out, BkcError *err)
{
	json_t	   *value = bkc_fields_take(f, key);

	if (value == NULL)
		return missing(key, err);
	if (!json_is_string(value))
		return wrong(key, "a string", err);
	*out = json_string_value(value);
	return true;
}

/*
 * The hex form is only for what JSON cannot hold: were it accepted for any
 * text, one path would have two spellings.
 */
static bool
decode_hex_text(const char *key, const json_t *value, char **out, BkcError *err)
{
	size_t		len;
	char	   *text;

	if (!json_is_string(value))
		return wrong(key, "a string", err);
	len = json_string_length(value) / 2;
	text = malloc(len + 1);
	if (text == NULL)
		return bkc_error_oom(err);
	text[len] = '\0';
	if (!bkc_hex_decode(json_string_value(value), (uint8_t *) text, len) ||
		strlen(text) != len || bkc_utf8_valid(text, len))
	{
		free(text);
		return wrong(key, "hex of bytes that are not UTF-8", err);
	}
	*out = text;
	return true;
}

bool
bkc_fields_text(BkcFields *f, const char *key, bool required, char **out, BkcError *err)
{
	char		hexkey[KEY_MAX];
	json_t	   *value = bkc_fields_take(f, key);

	*out = NULL;
	if (value != NULL)
	{
		/* a NUL cannot be in it: the parser refuses \u0000 */
		if (!json_is_string(value))
			return wrong(key, "a string", err);
		*out = strdup(json_string_value(value));
		return *out != NULL || bkc_error_oom(err);
	}
	snprintf(hexkey, sizeof(hexkey), "%s_hex", key);
	value = bkc_fields_take(f, hexkey);
	if (value != NULL)
		return decode_hex_text(hexkey, value, out, err);
	return required ? missing(key, err) : true;
}

bool
bkc_fields_array(BkcFields *f, const char *key, char *out, size_t outlen, BkcError *err)
{
	char	   *text;
	size_t		len;

	if (!bkc_fields_text(f, key, true, &text, err))
		return false;
	len = strlen(text);
	if (len < outlen)
		memcpy(out, text, len + 1);
	free(text);
	if (len >= outlen)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "field \"%s\" is too long", key);
	return true;
}

bool
bkc_fields_sysid(BkcFields *f, const char *key, uint64_t *out, BkcError *err)
{
	const char *text;

	if (!bkc_fields_string(f, key, &text, err))
		return false;
	return bkc_name_parse_sysid(text, out) || wrong(key, "a system identifier", err);
}

bool
bkc_fields_lsn(BkcFields *f, const char *key, uint64_t *out, BkcError *err)
{
	const char *text;

	if (!bkc_fields_string(f, key, &text, err))
		return false;
	return bkc_parse_lsn(text, out) || wrong(key, "an LSN", err);
}

bool
bkc_fields_time(BkcFields *f, const char *key, int64_t *out, BkcError *err)
{
	const char *text;

	if (!bkc_fields_string(f, key, &text, err))
		return false;
	return bkc_parse_time(text, out) || wrong(key, "a time", err);
}

bool
bkc_fields_hex(BkcFields *f, const char *key, uint8_t *out, size_t len, BkcError *err)
{
	const char *text;

	if (!bkc_fields_string(f, key, &text, err))
		return false;
	/* lower case only: a bit flip that turns 'a' into 'A' must not go unnoticed */
	if (strpbrk(text, "ABCDEF") != NULL || !bkc_hex_decode(text, out, len))
		return bkc_error_set(err, BKC_ERR_CORRUPT, "field \"%s\" is not %zu lower-case hex digits",
							 key, 2 * len);
	return true;
}

/* Names from storage go into a message only if they look like one of ours. */
static bool
is_plain_key(const char *key)
{
	size_t		len = strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_");

	return len > 0 && len < KEY_MAX && key[len] == '\0';
}

bool
bkc_fields_end(const BkcFields *f, BkcError *err)
{
	const char *key;
	json_t	   *value;

	if (f->ntaken == json_object_size(f->object))
		return true;
	json_object_foreach(f->object, key, value)
	{
		size_t		i = 0;

		while (i < f->ntaken && f->taken[i] != value)
			i++;
		if (i == f->ntaken && is_plain_key(key))
			return bkc_error_set(err, BKC_ERR_CORRUPT, "unknown or misplaced field \"%s\"", key);
	}
	return bkc_error_set(err, BKC_ERR_CORRUPT, "unknown or misplaced field");
}

bool
bkc_fields_impossible(const char *key, BkcErrorCode code, BkcError *err)
{
	return bkc_error_set(err, code, "field \"%s\" has a value that is not possible", key);
}

/* ---- writing ---- */

bool
bkc_fields_check_array(const char *what, const char *text, size_t size, BkcError *err)
{
	if (memchr(text, '\0', size) == NULL)
		return bkc_error_set(err, BKC_ERR_INVALID, "%s has no end", what);
	return true;
}

bool
bkc_fields_put_text(json_t *object, const char *key, const char *text)
{
	size_t		len = strlen(text);
	char		hexkey[KEY_MAX];
	char	   *hex;
	bool		ok;

	if (bkc_utf8_valid(text, len))
		return json_object_set_new_nocheck(object, key, json_stringn_nocheck(text, len)) == 0;
	hex = malloc(2 * len + 1);
	if (hex == NULL)
		return false;
	bkc_hex_encode((const uint8_t *) text, len, hex);
	snprintf(hexkey, sizeof(hexkey), "%s_hex", key);
	ok = json_object_set_new_nocheck(object, hexkey, json_stringn_nocheck(hex, 2 * len)) == 0;
	free(hex);
	return ok;
}

bool
bkc_fields_put_int(json_t *object, const char *key, int64_t value)
{
	return json_object_set_new_nocheck(object, key, json_integer(value)) == 0;
}

bool
bkc_fields_put_sysid(json_t *object, const char *key, uint64_t sysid)
{
	char		text[24];

	snprintf(text, sizeof(text), "%" PRIu64, sysid);
	return json_object_set_new_nocheck(object, key, json_string_nocheck(text)) == 0;
}

bool
bkc_fields_put_lsn(json_t *object, const char *key, uint64_t lsn)
{
	char		text[24];

	bkc_format_lsn(lsn, text, sizeof(text));
	return json_object_set_new_nocheck(object, key, json_string_nocheck(text)) == 0;
}

bool
bkc_fields_put_time(json_t *object, const char *key, int64_t usec)
{
	char		text[40];

	bkc_format_time(usec, text, sizeof(text));
	return json_object_set_new_nocheck(object, key, json_string_nocheck(text)) == 0;
}

/*
 * Dump straight into the buffer.  A first guess covers nearly every line of
 * a manifest; the rare longer one is dumped a second time.
 */
bool
bkc_fields_dump(const json_t *object, BkcBuffer *out, BkcError *err)
{
	size_t		guess = 512;

	for (;;)
	{
		size_t		need;

		if (!bkc_buffer_reserve(out, guess, err))
			return false;
		need = json_dumpb(object, (char *) out->data + out->len, guess, JSON_COMPACT);
		if (need == 0)
			return bkc_error_oom(err);
		if (need <= guess)
		{
			out->len += need;
			out->data[out->len] = '\0';
			return true;
		}
		guess = need;
	}
}

bool
bkc_fields_finish(json_t *object, bool complete, BkcBuffer *out, BkcError *err)
{
	bool		ok = complete ? bkc_fields_dump(object, out, err) : bkc_error_oom(err);

	json_decref(object);
	return ok;
}

bool
bkc_fields_close(BkcFields *f, bool ok, const char *name, BkcError *err)
{
	bkc_fields_free(f);
	return ok || bkc_error_context(err, "object \"%s\"", name);
}

bool
bkc_fields_is_word(const char *text)
{
	size_t		len = strspn(text, "abcdefghijklmnopqrstuvwxyz");

	return len > 0 && text[len] == '\0';
}
