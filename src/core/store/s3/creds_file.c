/*
 * creds_file.c
 *		Credentials in files: the format of the shared credentials file.
 *
 *		[profile]
 *		aws_access_key_id = ...
 *		aws_secret_access_key = ...
 *		aws_session_token = ...
 *
 * Other keys are left alone.  Lines that begin with # or ; are comments; there
 * are none behind values, as a secret may hold these characters.
 */
#include "store/s3/creds_inner.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/file.h"
#include "crypto/digest.h"

#define FILE_MAX		(256 * 1024)
#define TOKEN_MAX		(64 * 1024)
#define LINK_TRIES		3
#define BLANKS			" \t\r\n"

/* ---- reading files ---- */

bool
bkc_s3_creds_slurp(const char *path, size_t max, bool secret, BkcBuffer *buf, BkcError *err)
{
	for (int try = 1;; try++)
	{
		struct stat st;
		bool		link = lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
		char	   *target = link ? realpath(path, NULL) : NULL;
		const char *at = target != NULL ? target : path;
		bool		ok = false;

		if (link && target == NULL)
			bkc_error_os(err, errno, "could not follow link \"%s\"", path);
		else if (secret)
			ok = bkc_file_slurp_secret(at, max, buf, err);
		else
			ok = bkc_buffer_reserve(buf, max + 1, err) && bkc_file_slurp(at, max, buf, err);
		free(target);

		/* the link may have been set to a new version meanwhile, and the old one removed */
		if (ok || !link || err->code != BKC_ERR_NOT_FOUND || try == LINK_TRIES)
			return ok;
	}
}

bool
bkc_s3_creds_token(const char *path, BkcBuffer *buf, BkcError *err)
{
	if (!bkc_s3_creds_slurp(path, TOKEN_MAX, false, buf, err))
		return false;
	while (buf->len > 0 && strchr(BLANKS, buf->data[buf->len - 1]) != NULL)
		buf->data[--buf->len] = '\0';
	if (buf->len == 0)
		return bkc_error_set(err, BKC_ERR_INVALID, "file \"%s\" is empty instead of holding a token",
							 path);
	for (size_t i = 0; i < buf->len; i++)
	{
		if (buf->data[i] < 0x21 || buf->data[i] > 0x7e)
			return bkc_error_set(err, BKC_ERR_INVALID,
								 "file \"%s\" holds more than one token, or none", path);
	}
	return true;
}

/* ---- the format ---- */

typedef struct Reading
{
	const char *path;
	const char *profile;
	bool		found;			/* its section */
	bool		inside;			/* the line is in it */
	BkcS3Creds *creds;
	BkcBuffer	names;			/* of the profiles there are, for the message */
} Reading;

/* The text without blanks around it. */
static char *
trim(char *text)
{
	size_t		len;

	text += strspn(text, BLANKS);
	len = strlen(text);
	while (len > 0 && strchr(BLANKS, text[len - 1]) != NULL)
		text[--len] = '\0';
	return text;
}

static bool
take_section(Reading *r, char *line, int number, BkcError *err)
{
	char	   *end = strchr(line, ']');
	char	   *name;

	if (end == NULL)
		return bkc_error_set(err, BKC_ERR_INVALID,
							 "line %d of credentials file \"%s\" has \"[\" without \"]\"", number,
							 r->path);
	*end = '\0';
	name = trim(line + 1);
	r->inside = strcmp(name, r->profile) == 0;
	r->found = r->found || r->inside;
	return bkc_buffer_printf(&r->names, err, "%s\"%s\"", r->names.len > 0 ? ", " : "", name);
}

static bool
take_value(Reading *r, const char *key, const char *value, BkcError *err)
{
	BkcS3Creds *creds = r->creds;
	const struct
	{
		const char *key;
		char	   *out;
		size_t		len;
	}			keys[] = {
		{"aws_access_key_id", creds->access_key, sizeof(creds->access_key)},
		{"aws_secret_access_key", creds->secret_key, sizeof(creds->secret_key)},
		{"aws_session_token", creds->session_token, sizeof(creds->session_token)},
	};
	char		what[512];

	for (size_t i = 0; value[0] != '\0' && i < sizeof(keys) / sizeof(keys[0]); i++)
	{
		if (strcasecmp(key, keys[i].key) != 0)
			continue;
		snprintf(what, sizeof(what), "\"%s\" of profile \"%.64s\" in file \"%.300s\"", keys[i].key,
				 r->profile, r->path);
		return bkc_s3_creds_set(keys[i].out, keys[i].len, value, strlen(value), what, err);
	}
	return true;
}

/* The text is cut to pieces. */
static bool
parse(Reading *r, char *text, BkcError *err)
{
	int			number = 0;

	if (strncmp(text, "\xEF\xBB\xBF", 3) == 0)
		text += 3;
	for (char *next = text; next != NULL;)
	{
		char	   *line = next;
		char	   *equals;

		number++;
		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		line = trim(line);
		if (line[0] == '\0' || line[0] == '#' || line[0] == ';')
			continue;
		if (line[0] == '[')
		{
			if (!take_section(r, line, number, err))
				return false;
			continue;
		}
		if (!r->inside)
			continue;
		equals = strchr(line, '=');
		if (equals == NULL)
			return bkc_error_set(err, BKC_ERR_INVALID,
								 "line %d of credentials file \"%s\" is neither a profile nor \"key = value\"",
								 number, r->path);
		*equals = '\0';
		if (!take_value(r, trim(line), trim(equals + 1), err))
			return false;
	}
	return true;
}

static bool
check(const Reading *r, BkcS3CredsMiss *miss, BkcError *err)
{
	const char *lacking = r->creds->access_key[0] == '\0' ? "aws_access_key_id"
		: r->creds->secret_key[0] == '\0' ? "aws_secret_access_key" : NULL;

	if (!r->found)
	{
		*miss = BKC_S3_MISS_PROFILE;
		bkc_error_set(err, BKC_ERR_ACCESS, "profile \"%s\" is not in credentials file \"%s\"",
					  r->profile, r->path);
		if (r->names.len == 0)
			return bkc_error_hint(err, "The file has no profile; one begins with its name in brackets, [%s].",
								  r->profile);
		return bkc_error_hint(err, "The file has: %.400s.", bkc_buffer_str(&r->names));
	}
	if (lacking != NULL)
	{
		bkc_error_set(err, BKC_ERR_ACCESS,
					  "profile \"%s\" in credentials file \"%s\" has no \"%s\"", r->profile, r->path,
					  lacking);
		return bkc_error_hint(err, "Only profiles with aws_access_key_id and aws_secret_access_key can be used here.");
	}
	return true;
}

bool
bkc_s3_creds_file(const char *path, const char *profile, bool secret, BkcS3Creds *creds,
				  BkcS3CredsMiss *miss, BkcError *err)
{
	Reading		r = {.path = path, .profile = profile, .creds = creds};
	BkcBuffer	text = {0};
	bool		ok = false;

	*miss = BKC_S3_MISS_NONE;
	if (!bkc_s3_creds_slurp(path, FILE_MAX, secret, &text, err))
	{
		if (err->code == BKC_ERR_NOT_FOUND || err->os_errno == ENOTDIR)
			*miss = BKC_S3_MISS_FILE;
		goto done;
	}
	if (memchr(text.data, '\0', text.len) != NULL)
	{
		bkc_error_set(err, BKC_ERR_INVALID, "credentials file \"%s\" is no text", path);
		goto done;
	}
	ok = parse(&r, (char *) text.data, err) && check(&r, miss, err);

done:
	bkc_wipe(text.data, text.cap);
	bkc_buffer_free(&text);
	bkc_buffer_free(&r.names);
	return ok;
}
