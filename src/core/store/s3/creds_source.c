/*
 * creds_source.c
 *		Which source of credentials it is, and reading from it.
 *
 * This is the only file of the core that looks at the environment.  It does so
 * when credentials are read, never before.
 */
#include "store/s3/creds_inner.h"

#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/host.h"

#define SHARED_NAME		".aws/credentials"
#define HOME_ROOM		16384

/* NULL also when it is empty: that is how it is unset in many configuration files. */
static const char *
env(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

bool
bkc_s3_creds_set(char *out, size_t outlen, const char *value, size_t len, const char *what,
				 BkcError *err)
{
	if (len == 0)
		return bkc_error_set(err, BKC_ERR_INVALID, "%s is missing", what);
	if (len >= outlen)
		return bkc_error_set(err, BKC_ERR_INVALID, "%s is longer than %zu bytes", what, outlen - 1);
	for (size_t i = 0; i < len; i++)
	{
		if (iscntrl((unsigned char) value[i]) || ((i == 0 || i == len - 1) && value[i] == ' '))
			return bkc_error_set(err, BKC_ERR_INVALID,
								 "%s has control characters, or blanks around it", what);
	}
	memcpy(out, value, len);
	out[len] = '\0';
	return true;
}

/* ---- sources ---- */

static bool
read_environment(BkcS3Creds *creds, BkcError *err)
{
	const struct
	{
		const char *name;
		char	   *out;
		size_t		len;
	}			parts[] = {
		{"AWS_ACCESS_KEY_ID", creds->access_key, sizeof(creds->access_key)},
		{"AWS_SECRET_ACCESS_KEY", creds->secret_key, sizeof(creds->secret_key)},
		{"AWS_SESSION_TOKEN", creds->session_token, sizeof(creds->session_token)},
	};
	char		what[64];

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
	{
		const char *value = env(parts[i].name);

		if (i == 2 && value == NULL)
			continue;
		snprintf(what, sizeof(what), "environment variable %s", parts[i].name);
		if (!bkc_s3_creds_set(parts[i].out, parts[i].len, value != NULL ? value : "",
							  value != NULL ? strlen(value) : 0, what, err))
			return false;
	}
	return true;
}

/* Path of the shared credentials file, malloc'ed. */
static char *
shared_path(BkcError *err)
{
	const char *home = env("HOME");
	struct passwd pw;
	struct passwd *found = NULL;
	char	   *room = NULL;
	char	   *path = NULL;

	if (env("AWS_SHARED_CREDENTIALS_FILE") != NULL)
	{
		path = strdup(env("AWS_SHARED_CREDENTIALS_FILE"));
		if (path == NULL)
			bkc_error_oom(err);
		return path;
	}
	if (home == NULL)
	{
		room = malloc(HOME_ROOM);
		if (room == NULL)
		{
			bkc_error_oom(err);
			return NULL;
		}
		if (getpwuid_r(geteuid(), &pw, room, HOME_ROOM, &found) == 0 && found != NULL)
			home = found->pw_dir;
	}

	/* without a home there is no such file, which is no error */
	path = bkc_path_join(home != NULL ? home : "/", SHARED_NAME, err);
	free(room);
	return path;
}

static bool
read_shared(BkcS3CredsFrom *from, BkcS3Creds *creds, BkcS3CredsMiss *miss, BkcError *err)
{
	const char *profile = from->profile != NULL ? from->profile : env("AWS_PROFILE");
	char	   *path = shared_path(err);
	struct stat st;
	bool		ok;

	*miss = BKC_S3_MISS_NONE;
	if (path == NULL)
		return false;
	ok = bkc_s3_creds_file(path, profile != NULL ? profile : "default", false, creds, miss, err);
	if (ok)
		snprintf(from->text, sizeof(from->text), "file \"%.200s\"", path);
	else if (err->os_errno == EACCES)
		bkc_error_hint(err, "Let the user that runs this program read it, or name another file in AWS_SHARED_CREDENTIALS_FILE or as \"credentials\" in the repository's URL.");

	/* other programs use this file, too, and none of them insists */
	if (ok && !from->warned_open && stat(path, &st) == 0 && !bkc_file_is_private(&st))
	{
		from->warned_open = true;
		bkc_log(BKC_LOG_WARNING, "credentials file \"%s\" can be used by other users", path);
	}
	free(path);
	return ok;
}

static bool
ask_sts(BkcS3CredsFrom *from, BkcS3Creds *creds, BkcError *err)
{
	BkcS3CredsSts in = {
		.token_file = env("AWS_WEB_IDENTITY_TOKEN_FILE"),
		.role_arn = env("AWS_ROLE_ARN"),
		.session_name = env("AWS_ROLE_SESSION_NAME"),
		.endpoint = env("AWS_ENDPOINT_URL_STS"),
		.region = from->region,
		.options = from->options,
	};

	if (in.token_file == NULL || in.role_arn == NULL)
		return bkc_error_set(err, BKC_ERR_INVALID,
							 "environment variable AWS_WEB_IDENTITY_TOKEN_FILE needs AWS_ROLE_ARN beside it");
	return bkc_s3_creds_sts(&in, creds, err);
}

static bool
ask_container(BkcS3CredsFrom *from, BkcS3Creds *creds, BkcError *err)
{
	BkcS3CredsContainer in = {
		.relative = env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
		.full = env("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
		.token_file = env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
		.token = env("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
		.options = from->options,
	};

	return bkc_s3_creds_container(&in, creds, err);
}

static bool
read_source(BkcS3CredsFrom *from, BkcS3CredsSource source, BkcS3Creds *creds, BkcError *err)
{
	BkcS3CredsMiss miss;
	bool		there;

	switch (source)
	{
		case BKC_S3_SOURCE_FILE:
			return bkc_s3_creds_file(from->file,
									 from->profile != NULL ? from->profile : "default", true,
									 creds, &miss, err);
		case BKC_S3_SOURCE_ENVIRONMENT:
			return read_environment(creds, err);
		case BKC_S3_SOURCE_SHARED:
			return read_shared(from, creds, &miss, err);
		case BKC_S3_SOURCE_WEB_IDENTITY:
			return ask_sts(from, creds, err);
		case BKC_S3_SOURCE_CONTAINER:
			return ask_container(from, creds, err);
		case BKC_S3_SOURCE_INSTANCE:
			return bkc_s3_creds_instance(env("AWS_EC2_METADATA_SERVICE_ENDPOINT"), &there, creds,
										 err);
		case BKC_S3_SOURCE_NONE:
			break;
	}
	return bkc_error_set(err, BKC_ERR_INTERNAL, "no source of S3 credentials was chosen");
}

/* ---- the choice ---- */

/* err says why the instance gave none, or is clear; file why the shared file gave none. */
static bool
none_found(const BkcError *file, BkcError *err)
{
	BkcError	instance = *err;

	bkc_error_set(err, BKC_ERR_ACCESS, "no credentials for S3 found");
	bkc_error_detail(err, "Looked at the environment (AWS_ACCESS_KEY_ID is not set), the shared credentials file (%.300s), web identity (AWS_WEB_IDENTITY_TOKEN_FILE is not set), the container (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and _FULL_URI are not set), and the instance (%.300s).",
					 file->message,
					 instance.code == BKC_OK ? "AWS_EC2_METADATA_DISABLED is true" : instance.message);
	return bkc_error_hint(err, "Name a file as credentials=/path in the repository's URL, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for the process that starts this program.");
}

static bool
read_first(BkcS3CredsFrom *from, BkcS3CredsSource *source, BkcS3Creds *creds, BkcError *err)
{
	BkcS3CredsMiss miss;
	BkcError	file;
	const char *disabled = env("AWS_EC2_METADATA_DISABLED");
	bool		there = false;

	*source = BKC_S3_SOURCE_FILE;
	if (from->file != NULL)
		return read_source(from, *source, creds, err);

	/* a profile that the URL names can only be one of the shared file */
	*source = BKC_S3_SOURCE_ENVIRONMENT;
	if (from->profile == NULL &&
		(env("AWS_ACCESS_KEY_ID") != NULL || env("AWS_SECRET_ACCESS_KEY") != NULL))
		return read_source(from, *source, creds, err);
	*source = BKC_S3_SOURCE_SHARED;
	if (read_shared(from, creds, &miss, err))
		return true;
	if (miss == BKC_S3_MISS_NONE || from->profile != NULL || env("AWS_PROFILE") != NULL ||
		env("AWS_SHARED_CREDENTIALS_FILE") != NULL)
		return false;
	file = *err;
	*source = BKC_S3_SOURCE_WEB_IDENTITY;
	if (env("AWS_WEB_IDENTITY_TOKEN_FILE") != NULL)
		return read_source(from, *source, creds, err);
	*source = BKC_S3_SOURCE_CONTAINER;
	if (env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != NULL ||
		env("AWS_CONTAINER_CREDENTIALS_FULL_URI") != NULL)
		return read_source(from, *source, creds, err);
	*source = BKC_S3_SOURCE_INSTANCE;
	bkc_error_clear(err);
	if (disabled != NULL && strcasecmp(disabled, "true") == 0)
		return none_found(&file, err);
	if (bkc_s3_creds_instance(env("AWS_EC2_METADATA_SERVICE_ENDPOINT"), &there, creds, err))
		return true;
	return !there && err->code != BKC_ERR_CANCELLED && err->code != BKC_ERR_NO_MEMORY
		? none_found(&file, err) : false;
}

bool
bkc_s3_creds_read(BkcS3CredsFrom *from, BkcS3CredsSource *source, BkcS3Creds *creds, BkcError *err)
{
	static const char *const names[] = {
		[BKC_S3_SOURCE_ENVIRONMENT] = "environment",
		[BKC_S3_SOURCE_WEB_IDENTITY] = "web identity",
		[BKC_S3_SOURCE_CONTAINER] = "container's service",
		[BKC_S3_SOURCE_INSTANCE] = "instance metadata",
	};

	if (!(*source != BKC_S3_SOURCE_NONE ? read_source(from, *source, creds, err)
		  : read_first(from, source, creds, err)))
		return false;
	if (*source == BKC_S3_SOURCE_FILE)
		snprintf(from->text, sizeof(from->text), "file \"%.200s\"", from->file);
	else if (*source != BKC_S3_SOURCE_SHARED)
		snprintf(from->text, sizeof(from->text), "%s", names[*source]);
	return true;
}
