/*
 * url.c
 *		Repository URLs.
 *
 * People paste secrets into URLs.  No message quotes a part of the text that
 * could be one: what looks like user:password@ is refused unseen, before
 * anything else is judged.
 */
#include "base/url.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* How much of a wrong part a message shows. */
#define SHOW_MAX	80

static int
show_len(const char *text, size_t len)
{
	return bkc_text_clip(text, len, SHOW_MAX);
}

static bool
refuse_user_info(BkcError *err)
{
	bkc_error_set(err, BKC_ERR_INVALID,
				  "repository URL must not contain a user name or password");
	return bkc_error_hint(err, "Remove what stands before \"@\": secrets are read from files "
						  "that the URL's parameters name, or from the platform's credentials. "
						  "A \"@\" that belongs to a name is written %%40.");
}

/* No character that would break a log line or a list; the text is ours to quote then. */
static bool
check_characters(const char *text, BkcError *err)
{
	const unsigned char *p;

	if (!bkc_utf8_valid(text, strlen(text)))
		return bkc_error_set(err, BKC_ERR_INVALID, "repository URL is not valid UTF-8");
	for (p = (const unsigned char *) text; *p != '\0'; p++)
	{
		if (*p == ' ')
		{
			bkc_error_set(err, BKC_ERR_INVALID, "repository URL contains a space");
			return bkc_error_hint(err, "Write %%20 for a space.");
		}
		if (*p < 0x20 || *p == 0x7F)
			return bkc_error_set(err, BKC_ERR_INVALID,
								 "repository URL contains the control character 0x%02X", *p);
		if (*p == '#')
		{
			bkc_error_set(err, BKC_ERR_INVALID, "repository URL contains \"#\"");
			return bkc_error_hint(err, "Write %%23 for a \"#\" that belongs to a name.");
		}
	}
	return true;
}

/*
 * Percent-decode len bytes into a new string; '+' is a plus sign.  NULL and
 * err (which calls it by the name what) when that is no text: a file name
 * could hold such bytes, but messages and the catalog could not.
 */
static char *
decode(const char *text, size_t len, const char *what, BkcError *err)
{
	char	   *out = malloc(len + 1);
	size_t		n = 0;
	size_t		i;
	char		digits[3];
	uint8_t		byte;

	if (out == NULL)
	{
		bkc_error_oom(err);
		return NULL;
	}
	for (i = 0; i < len; i++)
	{
		if (text[i] != '%')
		{
			out[n++] = text[i];
			continue;
		}
		snprintf(digits, sizeof(digits), "%.*s", len - i < 3 ? (int) (len - i - 1) : 2,
				 text + i + 1);
		if (!bkc_hex_decode(digits, &byte, 1))
		{
			bkc_error_set(err, BKC_ERR_INVALID,
						  "invalid percent-encoding \"%.*s\" in repository URL",
						  bkc_text_clip(text + i, len - i, 3), text + i);
			bkc_error_hint(err, "Write %%25 for a percent sign.");
			goto fail;
		}
		if (byte < 0x20 || byte == 0x7F)
		{
			bkc_error_set(err, BKC_ERR_INVALID,
						  "\"%.3s\" in repository URL stands for a control character", text + i);
			goto fail;
		}
		out[n++] = (char) byte;
		i += 2;
	}
	out[n] = '\0';
	if (!bkc_utf8_valid(out, n))
	{
		bkc_error_set(err, BKC_ERR_INVALID,
					  "%s of repository URL is not valid UTF-8 when decoded", what);
		goto fail;
	}
	return out;

fail:
	free(out);
	return NULL;
}

static char *
copy_part(const char *text, size_t len, BkcError *err)
{
	char	   *copy = strndup(text, len);

	if (copy == NULL)
		bkc_error_oom(err);
	return copy;
}

/* Take the scheme; *rest points behind "://". */
static bool
parse_scheme(const char *text, BkcUrl *url, const char **rest, BkcError *err)
{
	const char *colon = strstr(text, "://");
	size_t		len = colon != NULL ? (size_t) (colon - text) : 0;
	bool		valid = len > 0 && isalpha((unsigned char) text[0]);
	size_t		i;

	for (i = 0; i < len; i++)
	{
		if (!isascii(text[i]) ||
			(!isalnum((unsigned char) text[i]) && strchr("+-.", text[i]) == NULL))
			valid = false;
	}
	if (!valid)
	{
		if (strchr(text, '@') != NULL)
			return refuse_user_info(err);
		if (text[0] == '\0')
			bkc_error_set(err, BKC_ERR_INVALID, "repository URL is empty");
		else
			bkc_error_set(err, BKC_ERR_INVALID,
						  "repository URL does not begin with a scheme: \"%.*s\"",
						  show_len(text, strcspn(text, "?")), text);
		if (text[0] == '/')
			return bkc_error_hint(err, "Write file://%.*s for a folder.",
								  show_len(text, strcspn(text, "?")), text);
		return bkc_error_hint(err, "Write a URL such as file:///mnt/backup.");
	}
	url->scheme = copy_part(text, len, err);
	if (url->scheme == NULL)
		return false;
	for (i = 0; i < len; i++)
		url->scheme[i] = (char) tolower((unsigned char) url->scheme[i]);
	*rest = colon + 3;
	return true;
}

/* host, host:port, [v6 address], [v6 address]:port, or a bucket */
static bool
authority_valid(const char *text, size_t len)
{
	static const char host_chars[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
	size_t		pos = 0;
	size_t		digits;

	if (len == 0)
		return true;
	if (text[0] == '[')
	{
		pos = 1 + strspn(text + 1, "0123456789abcdefABCDEF:.");
		if (pos == 1 || pos >= len || text[pos] != ']')
			return false;
		pos++;
	}
	else
	{
		pos = strspn(text, host_chars);
		if (pos == 0)
			return false;
	}
	if (pos >= len)
		return pos == len;
	if (text[pos] != ':')
		return false;
	digits = strspn(text + pos + 1, "0123456789");
	return digits > 0 && digits <= 5 && pos + 1 + digits == len;
}

static bool
parse_authority(const char *text, size_t len, BkcUrl *url, BkcError *err)
{
	const char *colon;
	size_t		show;

	if (memchr(text, '@', len) != NULL)
		return refuse_user_info(err);
	if (!authority_valid(text, len))
	{
		/* A '/' or '?' inside a password ends the authority too early. */
		if (strchr(text, '@') != NULL)
			return refuse_user_info(err);

		/* What follows a ':' and is no port may be a password whose '@' was forgotten. */
		show = text[0] != '[' && (colon = memchr(text, ':', len)) != NULL ?
			(size_t) (colon - text) : len;
		bkc_error_set(err, BKC_ERR_INVALID, "invalid %s \"%.*s\" in repository URL",
					  show < len && show > 0 ? "port after host" : "host or bucket",
					  show_len(text, show), text);
		return bkc_error_hint(err, "It consists of letters, digits, \"-\", \".\", \"_\" and \"~\", "
							  "and may end in a port such as \":9000\".");
	}
	url->authority = copy_part(text, len, err);
	return url->authority != NULL;
}

static bool
parse_param(const char *text, size_t len, BkcUrl *url, BkcError *err)
{
	const char *equals = memchr(text, '=', len);
	BkcUrlParam *param = &url->params[url->nparams];
	size_t		key_len = equals != NULL ? (size_t) (equals - text) : len;

	if (key_len == 0)
	{
		bkc_error_set(err, BKC_ERR_INVALID, "repository URL has a parameter without a name");
		return bkc_error_hint(err, "Parameters are written ?name=value&name=value.");
	}
	if (equals == NULL)
	{
		bkc_error_set(err, BKC_ERR_INVALID, "parameter \"%.*s\" of repository URL has no value",
					  show_len(text, len), text);
		return bkc_error_hint(err, "Parameters are written ?name=value&name=value.");
	}

	/* Counted at once, so that bkc_url_free() sees the half that is there. */
	url->nparams++;
	param->key = decode(text, key_len, "parameter name", err);
	if (param->key == NULL)
		return false;
	if (bkc_url_param(url, param->key) != NULL)
		return bkc_error_set(err, BKC_ERR_INVALID,
							 "parameter \"%s\" stands twice in repository URL", param->key);
	param->value = decode(equals + 1, len - key_len - 1, "parameter value", err);
	return param->value != NULL;
}

static bool
parse_query(const char *text, BkcUrl *url, BkcError *err)
{
	size_t		count = 1;
	size_t		len;
	const char *p;

	if (*text == '\0')
		return true;
	for (p = text; *p != '\0'; p++)
		count += *p == '&';
	url->params = calloc(count, sizeof(url->params[0]));
	if (url->params == NULL)
		return bkc_error_oom(err);
	for (;;)
	{
		len = strcspn(text, "&");
		if (!parse_param(text, len, url, err))
			return false;
		if (text[len] == '\0')
			return true;
		text += len + 1;
	}
}

static bool
parse_parts(const char *text, BkcUrl *url, BkcError *err)
{
	const char *p = text;
	size_t		len;

	if (!check_characters(text, err))
		return false;
	url->text = copy_part(text, strlen(text), err);
	if (url->text == NULL || !parse_scheme(text, url, &p, err))
		return false;
	len = strcspn(p, "/?");
	if (!parse_authority(p, len, url, err))
		return false;
	p += len;
	len = strcspn(p, "?");
	url->path = decode(p, len, "path", err);
	if (url->path == NULL)
		return false;
	p += len;
	len = strlen(url->path);
	while (len > 0 && url->path[len - 1] == '/')
		url->path[--len] = '\0';
	return *p == '\0' || parse_query(p + 1, url, err);
}

bool
bkc_url_parse(const char *text, BkcUrl *url, BkcError *err)
{
	memset(url, 0, sizeof(*url));
	if (parse_parts(text, url, err))
		return true;
	bkc_url_free(url);
	return false;
}

void
bkc_url_free(BkcUrl *url)
{
	size_t		i;

	for (i = 0; i < url->nparams; i++)
	{
		free(url->params[i].key);
		free(url->params[i].value);
	}
	free(url->params);
	free(url->text);
	free(url->scheme);
	free(url->authority);
	free(url->path);
	memset(url, 0, sizeof(*url));
}

const char *
bkc_url_param(const BkcUrl *url, const char *key)
{
	size_t		i;

	for (i = 0; i < url->nparams; i++)
	{
		if (url->params[i].value != NULL && strcmp(url->params[i].key, key) == 0)
			return url->params[i].value;
	}
	return NULL;
}

bool
bkc_url_check_params(const BkcUrl *url, const char *const *known, BkcError *err)
{
	size_t		i;
	size_t		k;

	for (i = 0; i < url->nparams; i++)
	{
		for (k = 0; known[k] != NULL; k++)
		{
			if (strcmp(known[k], url->params[i].key) == 0)
				break;
		}
		if (known[k] != NULL)
			continue;
		bkc_error_set(err, BKC_ERR_INVALID, "unknown parameter \"%.*s\" in repository URL",
					  show_len(url->params[i].key, strlen(url->params[i].key)), url->params[i].key);
		if (known[0] == NULL)
			return bkc_error_hint(err, "A %s URL takes no parameters.", url->scheme);
		bkc_error_hint(err, "Known parameters are: %s", known[0]);
		for (k = 1; known[k] != NULL; k++)
			bkc_error_hint(err, "%s, %s", err->hint, known[k]);
		return bkc_error_hint(err, "%s.", err->hint);
	}
	return true;
}
