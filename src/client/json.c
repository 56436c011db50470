/*
 * json.c
 *		What --json prints: one object on standard output, with stable keys.
 */
#include "json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/text.h"

/* Length of the UTF-8 character at text, 0 when it is none. */
static size_t
utf8_length(const char *text)
{
	size_t		max = strnlen(text, 4);

	for (size_t len = 1; len <= max; len++)
	{
		if (bkc_utf8_valid(text, len))
			return len;
	}
	return 0;
}

json_t *
bkc_json_text(const char *text)
{
	BkcBuffer	buf = {0};
	BkcError	err;
	json_t	   *value = NULL;
	bool		ok = true;

	if (text == NULL)
		return json_null();
	if (bkc_utf8_valid(text, strlen(text)))
		return json_string(text);
	while (ok && *text != '\0')
	{
		size_t		len = utf8_length(text);

		if (len > 0)
			ok = bkc_buffer_append(&buf, text, len, &err);
		else
			ok = bkc_buffer_append_str(&buf, "\xEF\xBF\xBD", &err);
		text += len > 0 ? len : 1;
	}
	if (ok)
		value = json_string(bkc_buffer_str(&buf));
	bkc_buffer_free(&buf);
	return value;
}

json_t *
bkc_json_id(uint64_t value)
{
	char		text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return json_string(text);
}

json_t *
bkc_json_u64(uint64_t value)
{
	return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t) value);
}

json_t *
bkc_json_time(int64_t usec)
{
	char		text[40];

	bkc_format_time(usec, text, sizeof(text));
	return json_string(text);
}

json_t *
bkc_json_lsn(uint64_t lsn)
{
	char		text[24];

	bkc_format_lsn(lsn, text, sizeof(text));
	return json_string(text);
}

/* Milliseconds are enough, and do not print as 0.30000000000000004. */
json_t *
bkc_json_seconds(int64_t usec)
{
	return json_real((double) (usec / 1000) / 1000.0);
}

bool
bkc_json_append(json_t *array, json_t *value)
{
	return json_array_append_new(array, value) == 0;
}

bool
bkc_json_set(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) == 0;
}

json_t *
bkc_json_error_object(const BkcError *err)
{
	json_t	   *object = json_pack("{s:s, s:o}", "code", bkc_error_code_name(err->code),
								   "message", bkc_json_text(err->message));

	if (object != NULL && err->detail[0] != '\0')
		bkc_json_set(object, "detail", bkc_json_text(err->detail));
	if (object != NULL && err->hint[0] != '\0')
		bkc_json_set(object, "hint", bkc_json_text(err->hint));
	return object;
}

json_t *
bkc_json_error(const BkcError *err, int status)
{
	return json_pack("{s:s, s:i, s:o}", "status", "failed", "exit_status", status,
					 "error", bkc_json_error_object(err));
}

bool
bkc_json_print(json_t *value)
{
	if (value == NULL)
		return false;
	json_dumpf(value, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(15));
	putchar('\n');
	json_decref(value);
	return true;
}
