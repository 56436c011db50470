/*
 * config.c
 *		What an s3:// URL says.
 */
#include "store/s3/s3.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store/s3/bucket.h"

#define DEFAULT_REGION	"us-east-1"
#define MIB				((uint64_t) 1 << 20)
#define PART_MIN		(5 * MIB)	/* S3's own, for all parts but the last */
#define PART_MAX		(1024 * MIB)
#define PART_DEFAULT	(8 * MIB)
#define IN_FLIGHT_MAX	16
#define KEY_MAX			1024	/* S3's own, bytes of a key */

const char *const bkc_s3_params[] = {
	"region", "endpoint", "style", "credentials", "profile",
	"storage_class", "wal_storage_class", "sse", "sse_kms_key_id", "sse_c_key_file", "tags",
	"lock_mode", "lock_days", "part_size", "parts_in_flight",
	"ca_file", "proxy", "verify_tls", "connect_timeout", "stall_timeout", NULL
};

void
bkc_s3_config_free(BkcS3Config *c)
{
	char	  **texts[] = {
		&c->bucket, &c->prefix, &c->region, &c->origin, &c->host, &c->storage_class,
		&c->wal_storage_class, &c->sse, &c->sse_kms_key, &c->sse_c_key_file, &c->tags,
		&c->lock_mode, &c->credentials, &c->profile, &c->ca_file, &c->proxy
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
	{
		free(*texts[i]);
		*texts[i] = NULL;
	}
}

/* ---- values ---- */

static bool
bad_value(const BkcUrl *url, const char *key, const char *hint, BkcError *err)
{
	bkc_error_set(err, BKC_ERR_INVALID, "repository URL \"%s\" has a bad value for \"%s\": \"%s\"",
				  url->text, key, bkc_url_param(url, key));
	return bkc_error_hint(err, "%s", hint);
}

/* A parameter's text, of the characters allowed only; NULL when it is not there. */
static bool
take_text(const BkcUrl *url, const char *key, const char *allowed, const char *hint, char **out,
		  BkcError *err)
{
	const char *value = bkc_url_param(url, key);

	if (value == NULL)
		return true;
	if (value[0] == '\0' || strlen(value) > 512)
		return bad_value(url, key, hint, err);
	for (const char *p = value; *p != '\0'; p++)
	{
		if (iscntrl((unsigned char) *p) ||
			(allowed != NULL && !isalnum((unsigned char) *p) && strchr(allowed, *p) == NULL))
			return bad_value(url, key, hint, err);
	}
	*out = strdup(value);
	return *out != NULL || bkc_error_oom(err);
}

/* One of the words, case-insensitively; *out as it is written in words. */
static bool
take_word(const BkcUrl *url, const char *key, const char *const *words, const char *hint,
		  char **out, BkcError *err)
{
	const char *value = bkc_url_param(url, key);

	if (value == NULL)
		return true;
	for (; *words != NULL; words++)
	{
		if (strcasecmp(value, *words) == 0)
		{
			*out = strdup(*words);
			return *out != NULL || bkc_error_oom(err);
		}
	}
	return bad_value(url, key, hint, err);
}

static bool
take_number(const BkcUrl *url, const char *key, uint64_t min, uint64_t max, const char *hint,
			int *out, BkcError *err)
{
	const char *value = bkc_url_param(url, key);
	uint64_t	number;

	if (value == NULL)
		return true;
	if (!bkc_parse_u64(value, max, &number) || number < min)
		return bad_value(url, key, hint, err);
	*out = (int) number;
	return true;
}

/* An absolute path. */
static bool
take_path(const BkcUrl *url, const char *key, char **out, BkcError *err)
{
	static const char hint[] = "Give the absolute path of a file.";

	if (!take_text(url, key, NULL, hint, out, err))
		return false;
	return *out == NULL || (*out)[0] == '/' || bad_value(url, key, hint, err);
}

/* ---- parts of the URL ---- */

/* Length of a host's name without a port that goes without saying: nobody sends that one. */
static size_t
host_length(const char *scheme, const char *host)
{
	const char *port = strcmp(scheme, "https://") == 0 ? ":443" : ":80";
	size_t		len = strlen(host);
	size_t		end = strlen(port);

	return len > end && strcmp(host + len - end, port) == 0 ? len - end : len;
}

/* AWS's rules for new buckets: 3 to 63 of a-z 0-9 - ., with a letter or digit at both ends. */
static bool
check_bucket(const BkcUrl *url, BkcError *err)
{
	const char *bucket = url->authority;
	size_t		len = strlen(bucket);

	if (len >= 3 && len <= 63 &&
		strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789-.") == len &&
		isalnum((unsigned char) bucket[0]) && isalnum((unsigned char) bucket[len - 1]) &&
		strstr(bucket, "..") == NULL)
		return true;
	bkc_error_set(err, BKC_ERR_INVALID,
				  len == 0 ? "repository URL \"%s\" names no bucket"
				  : "repository URL \"%s\" has a name that no bucket can have", url->text);
	return bkc_error_hint(err, "Write s3://bucket/prefix?region=...; the address of a server that is not AWS's goes into endpoint=https://host:port.");
}

static bool
take_prefix(const BkcUrl *url, BkcS3Config *c, BkcError *err)
{
	const char *path = url->path + (url->path[0] == '/');

	if (path[0] == '\0')
		c->prefix = strdup("");
	else
	{
		if (!bkc_name_valid(path) || strlen(path) + 1 + BKC_NAME_MAX > KEY_MAX)
		{
			bkc_error_set(err, BKC_ERR_INVALID,
						  "prefix \"%s\" in repository URL \"%s\" is not allowed", path, url->text);
			return bkc_error_hint(err, "A prefix has components of A-Z a-z 0-9 . _ - joined by \"/\".");
		}
		if (asprintf(&c->prefix, "%s/", path) < 0)
			c->prefix = NULL;
	}
	return c->prefix != NULL || bkc_error_oom(err);
}

static bool
take_endpoint(const BkcUrl *url, BkcS3Config *c, BkcError *err)
{
	static const char hint[] = "Write endpoint=https://host or endpoint=https://host:port, without a path.";
	static const char *const styles[] = {"path", "host", NULL};
	const char *value = bkc_url_param(url, "endpoint");
	char	   *style = NULL;
	char		aws[128];
	const char *scheme = "https://";
	const char *host;
	int			len;
	bool		ok;

	if (value == NULL)
	{
		/* China's partition has a domain of its own */
		snprintf(aws, sizeof(aws), "s3.%.64s.amazonaws.com%s", c->region,
				 strncmp(c->region, "cn-", 3) == 0 ? ".cn" : "");
		host = aws;
	}
	else
	{
		host = value;
		if (strncmp(value, "https://", 8) == 0)
			host += 8;
		else if (strncmp(value, "http://", 7) == 0)
		{
			scheme = "http://";
			host += 7;
		}
		else if (strstr(value, "://") != NULL)
			return bad_value(url, "endpoint", hint, err);
		if (host[0] == '\0' || strlen(host) > 255 ||
			host[strspn(host, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.:[]")] != '\0')
			return bad_value(url, "endpoint", hint, err);
	}
	if (!take_word(url, "style", styles, "It is \"path\" (https://host/bucket) or \"host\" (https://bucket.host).",
				   &style, err))
		return false;

	/*
	 * AWS wants the bucket in the host's name, where certificates cover one
	 * label only; servers of others mostly know nothing but the path.
	 */
	c->path_style = style != NULL ? strcmp(style, "path") == 0
		: value != NULL || strchr(c->bucket, '.') != NULL;
	free(style);
	len = (int) host_length(scheme, host);
	if (c->path_style)
		c->host = strndup(host, (size_t) len);
	else if (asprintf(&c->host, "%s.%.*s", c->bucket, len, host) < 0)
		c->host = NULL;
	ok = c->host != NULL && asprintf(&c->origin, "%s%s", scheme, c->host) >= 0;
	if (!ok)
	{
		c->origin = NULL;
		return bkc_error_oom(err);
	}
	return true;
}

static bool
take_encryption(const BkcUrl *url, BkcS3Config *c, BkcError *err)
{
	static const char *const kinds[] = {"AES256", "aws:kms", NULL};

	if (!take_word(url, "sse", kinds, "It is AES256 or aws:kms.", &c->sse, err) ||
		!take_text(url, "sse_kms_key_id", "-_:/.", "Give the id or the ARN of a KMS key.",
				   &c->sse_kms_key, err) ||
		!take_path(url, "sse_c_key_file", &c->sse_c_key_file, err))
		return false;
	if (c->sse_kms_key != NULL && (c->sse == NULL || strcmp(c->sse, "aws:kms") != 0))
		return bad_value(url, "sse_kms_key_id", "It needs sse=aws:kms beside it.", err);
	if (c->sse_c_key_file != NULL && c->sse != NULL)
		return bad_value(url, "sse_c_key_file", "Use it or sse, not both.", err);
	if (c->sse_c_key_file != NULL && strncmp(c->origin, "https://", 8) != 0)
		return bad_value(url, "sse_c_key_file", "The key travels with each request: it needs an endpoint with https.", err);
	return true;
}

static bool
take_lock(const BkcUrl *url, BkcS3Config *c, BkcError *err)
{
	static const char *const modes[] = {"COMPLIANCE", "GOVERNANCE", NULL};

	if (!take_word(url, "lock_mode", modes, "It is compliance or governance.", &c->lock_mode, err) ||
		!take_number(url, "lock_days", 1, 36500, "It is a number of days, 1 to 36500.",
					 &c->lock_days, err))
		return false;
	if ((c->lock_mode != NULL) != (c->lock_days != 0))
	{
		bkc_error_set(err, BKC_ERR_INVALID,
					  "repository URL \"%s\" has only one of \"lock_mode\" and \"lock_days\"",
					  url->text);
		return bkc_error_hint(err, "Object lock needs both, for example lock_mode=compliance&lock_days=30.");
	}
	return true;
}

/* "a:b,c:d", each part percent-encoded anew for the header. */
static bool
take_tags(const BkcUrl *url, BkcS3Config *c, BkcError *err)
{
	static const char hint[] = "Write tags=key:value or key:value;key:value, at most 10, of letters, digits, blanks and + - = . _ / @.";
	const char *value = bkc_url_param(url, "tags");
	char	   *copy = NULL;
	char	   *rest = NULL;
	BkcBuffer	out = {0};
	bool		ok = false;
	int			n = 0;

	if (value == NULL)
		return true;
	if (!take_text(url, "tags", " +-=._/@:;", hint, &copy, err))
		return false;
	for (char *tag = copy; tag != NULL; tag = rest)
	{
		char	   *colon;

		rest = strchr(tag, ';');
		if (rest != NULL)
			*rest++ = '\0';
		colon = strchr(tag, ':');
		if (colon == NULL || colon == tag || ++n > 10 || colon - tag > 128 ||
			strlen(colon + 1) > 256)
		{
			bad_value(url, "tags", hint, err);
			goto done;
		}
		*colon = '\0';
		if ((n > 1 && !bkc_buffer_append(&out, "&", 1, err)) ||
			!bkc_http_escape(&out, tag, false, err) ||
			!bkc_buffer_append(&out, "=", 1, err) ||
			!bkc_http_escape(&out, colon + 1, false, err))
			goto done;
	}
	c->tags = strdup(bkc_buffer_str(&out));
	ok = c->tags != NULL || bkc_error_oom(err);

done:
	bkc_buffer_free(&out);
	free(copy);
	return ok;
}

static bool
take_transfer(const BkcUrl *url, BkcS3Config *c, BkcError *err)
{
	static const char *const yes_no[] = {"yes", "no", NULL};
	const char *size = bkc_url_param(url, "part_size");
	char	   *verify = NULL;
	int			connect_s = 0;
	int			stall_s = 0;
	BkcError	ignored;

	c->part_size = PART_DEFAULT;
	c->parts_in_flight = 2;
	if (size != NULL && (!bkc_parse_size(size, &c->part_size, &ignored) ||
						 c->part_size < PART_MIN || c->part_size > PART_MAX))
		return bad_value(url, "part_size", "It is a size from 5MB to 1GB.", err);
	if (!take_number(url, "parts_in_flight", 1, IN_FLIGHT_MAX, "It is a number from 1 to 16.",
					 &c->parts_in_flight, err) ||
		!take_number(url, "connect_timeout", 1, 600, "It is a number of seconds, 1 to 600.",
					 &connect_s, err) ||
		!take_number(url, "stall_timeout", 1, 3600, "It is a number of seconds, 1 to 3600.",
					 &stall_s, err) ||
		!take_path(url, "ca_file", &c->ca_file, err) ||
		!take_text(url, "proxy", "-._:/[]", "Write proxy=http://host:port.", &c->proxy, err) ||
		!take_word(url, "verify_tls", yes_no, "It is yes or no.", &verify, err))
		return false;
	c->http.trust_any = verify != NULL && strcmp(verify, "no") == 0;
	free(verify);
	c->http.ca_file = c->ca_file;
	c->http.proxy = c->proxy;
	c->http.connect_ms = connect_s * 1000;
	c->http.stall_ms = stall_s * 1000;
	return true;
}

static bool
take_class(const BkcUrl *url, const char *key, char **out, BkcError *err)
{
	static const char hint[] = "It is a name such as STANDARD_IA.";

	return take_text(url, key, "_-", hint, out, err) &&
		(*out == NULL || strlen(*out) < BKC_STORE_CLASS_MAX || bad_value(url, key, hint, err));
}

/* A server that recovers does not wait for hours. */
static bool
check_wal_class(const BkcUrl *url, const BkcS3Config *c, BkcError *err)
{
	if (c->wal_storage_class == NULL || !bkc_s3_is_archive(c->wal_storage_class))
		return true;
	bkc_error_set(err, BKC_ERR_INVALID, "WAL cannot be put into the archive class \"%s\"",
				  c->wal_storage_class);
	bkc_error_detail(err, "Repository URL \"%s\": nothing in an archive can be read at once, and whoever recovers needs WAL at any moment.",
					 url->text);
	return bkc_error_hint(err, "Classes for \"wal_storage_class\" are those with instant access: STANDARD_IA, GLACIER_IR and the like.");
}

bool
bkc_s3_config(const BkcUrl *url, BkcS3Config *config, BkcError *err)
{
	BkcS3Config own = {0};
	bool		ok = false;

	if (!check_bucket(url, err))
		return false;
	own.bucket = strdup(url->authority);
	if (own.bucket == NULL)
		return bkc_error_oom(err);
	if (!take_text(url, "region", "-", "It is a name such as eu-central-1.", &own.region, err))
		goto done;
	if (own.region == NULL && (own.region = strdup(DEFAULT_REGION)) == NULL)
	{
		bkc_error_oom(err);
		goto done;
	}
	ok = take_prefix(url, &own, err) &&
		take_endpoint(url, &own, err) &&
		take_encryption(url, &own, err) &&
		take_lock(url, &own, err) &&
		take_tags(url, &own, err) &&
		take_transfer(url, &own, err) &&
		take_class(url, "storage_class", &own.storage_class, err) &&
		take_class(url, "wal_storage_class", &own.wal_storage_class, err) &&
		check_wal_class(url, &own, err) &&
		take_path(url, "credentials", &own.credentials, err) &&
		take_text(url, "profile", "-_.", "It is a name in a credentials file.", &own.profile, err);

done:
	if (ok && config != NULL)
		*config = own;
	else
		bkc_s3_config_free(&own);
	return ok;
}
