/*
 * test_s3_creds.c
 *		Where S3's credentials come from, with stand-ins for the services.
 *
 * The clock is our own: waits take no time, except for what a connection needs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/host.h"
#include "base/text.h"
#include "httpstub.h"
#include "store/s3/creds.h"

#define SECOND	INT64_C(1000000)
#define MINUTE	(60 * SECOND)
#define SECRET	"s3cr3t+/key"
#define ROLE	"arn:aws:iam::123456789012:role/backup"

static HttpStub stub;
static char dir[] = "/tmp/bkc-creds-XXXXXX";
static BkcS3CredsChain *chain;
static const BkcS3Creds *got;
static BkcError err;

/* ---- surroundings ---- */

static int64_t clock_us;
static int	warnings;
static char last_warning[2048];
static bool cancel;

static int64_t
fake_now(void)
{
	return clock_us;
}

static void
fake_wait(int ms)
{
	clock_us += (int64_t) ms * 1000;
}

static bool
fake_cancelled(void)
{
	return cancel;
}

static void
fake_log(BkcLogLevel level, const char *message)
{
	assert_null(strstr(message, SECRET));
	if (level != BKC_LOG_WARNING)
		return;
	warnings++;
	snprintf(last_warning, sizeof(last_warning), "%s", message);
}

static const BkcHost fake_host = {
	.log = fake_log,
	.cancelled = fake_cancelled,
	.wait = fake_wait,
	.now = fake_now,
};

static const char *const variables[] = {
	"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE",
	"AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN",
	"AWS_ROLE_SESSION_NAME", "AWS_ENDPOINT_URL_STS", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
	"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN",
	"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_EC2_METADATA_SERVICE_ENDPOINT",
	"AWS_EC2_METADATA_DISABLED",
};

static int
set_up(void **state)
{
	clock_us = INT64_C(1800000000000000);	/* 2027-01-15 08:00 */
	warnings = 0;
	last_warning[0] = '\0';
	cancel = false;
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	setenv("HOME", dir, 1);
	httpstub_restart(&stub);
	bkc_host_set(&fake_host);
	return 0;
}

static int
tear_down(void **state)
{
	char		path[256];

	bkc_s3_creds_free(chain);
	chain = NULL;
	bkc_host_set(NULL);
	snprintf(path, sizeof(path), "%s/.aws/credentials", dir);
	unlink(path);
	return 0;
}

static int
set_up_all(void **state)
{
	if (mkdtemp(dir) == NULL || chdir(dir) != 0 || mkdir(".aws", 0700) != 0)
		return -1;
	return 0;
}

static int
tear_down_all(void **state)
{
	static const char *const files[] = {
		"creds", "token", "token2", "link", ".aws/credentials"
	};

	httpstub_stop(&stub);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(files[i]);
	rmdir(".aws");
	return chdir("/") != 0 || rmdir(dir) != 0;
}

/* ---- tools ---- */

static void
write_file(const char *name, mode_t mode, const char *text)
{
	FILE	   *f;

	unlink(name);
	f = fopen(name, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(name, mode), 0);
}

static const char *
in_dir(const char *name)
{
	static char paths[4][256];
	static int	at;

	at = (at + 1) % 4;
	snprintf(paths[at], sizeof(paths[at]), "%s/%s", dir, name);
	return paths[at];
}

static void
make_chain(const char *file, const char *profile)
{
	static const BkcHttpOptions options = {0};

	bkc_s3_creds_free(chain);
	assert_true(bkc_s3_creds_new(file, profile, "eu-central-1", &options, &chain, &err));
	assert_string_equal(bkc_s3_creds_source(chain), "none yet");
}

static void
assert_creds(const char *access, const char *secret, const char *token, const char *source)
{
	if (!bkc_s3_creds_get(chain, &got, &err))
		fail_msg("%s (%s; %s)", err.message, err.detail, err.hint);
	assert_string_equal(got->access_key, access);
	assert_string_equal(got->secret_key, secret);
	assert_string_equal(got->session_token, token);
	assert_string_equal(bkc_s3_creds_source(chain), source);
}

/* Parts of message, detail and hint; the secret is in none of them. */
static void
assert_fails(BkcErrorCode code, const char *message, const char *rest)
{
	char		all[sizeof(err.message) + sizeof(err.detail) + sizeof(err.hint) + 2];

	if (bkc_s3_creds_get(chain, &got, &err))
		fail_msg("there are credentials: %s", got->access_key);
	snprintf(all, sizeof(all), "%s\n%s\n%s", err.message, err.detail, err.hint);
	if (err.code != code || strstr(err.message, message) == NULL || strstr(all, rest) == NULL ||
		strstr(all, SECRET) != NULL)
		fail_msg("%s: %s", bkc_error_code_name(err.code), all);
}

static const char *
json(const char *access, const char *token, int64_t expires)
{
	static char text[512];
	char		when[32];

	bkc_format_time(expires, when, sizeof(when));
	snprintf(text, sizeof(text),
			 "{\"Code\": \"Success\", \"AccessKeyId\": \"%s\", \"SecretAccessKey\": \"" SECRET "\", "
			 "\"Token\": \"%s\", \"Expiration\": \"%.19sZ\", \"Type\": \"AWS-HMAC\"}",
			 access, token, when);
	return text;
}

static const char *
xml(const char *access, const char *token, int64_t expires)
{
	static char text[1024];
	char		when[32];

	bkc_format_time(expires, when, sizeof(when));
	snprintf(text, sizeof(text),
			 "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
			 "<AssumeRoleWithWebIdentityResult><SubjectFromWebIdentityToken>x</SubjectFromWebIdentityToken>"
			 "<Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>" SECRET "</SecretAccessKey>"
			 "<SessionToken>%s</SessionToken><Expiration>%.19sZ</Expiration></Credentials>"
			 "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>",
			 access, token, when);
	return text;
}

/* ---- files ---- */

#define TWO \
	"# comment\n; another\n[other]\naws_access_key_id=OTHER\naws_secret_access_key=o\n\n" \
	"[default]\r\nAWS_Access_Key_Id = DEFAULT\r\n  aws_secret_access_key = " SECRET "# \r\n" \
	"region = eu-west-1\naws_session_token =\n" \
	"[ spaced ]\naws_access_key_id = SPACED\naws_secret_access_key = s=s\naws_session_token = tok\n"

static void
test_file(void **state)
{
	char		source[300];

	write_file("creds", 0600, TWO);
	snprintf(source, sizeof(source), "file \"%s\"", in_dir("creds"));
	setenv("AWS_ACCESS_KEY_ID", "ENV", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "e", 1);
	setenv("AWS_PROFILE", "other", 1);
	make_chain(in_dir("creds"), NULL);
	assert_creds("DEFAULT", SECRET "#", "", source);
	make_chain(in_dir("creds"), "other");
	assert_creds("OTHER", "o", "", source);
	make_chain(in_dir("creds"), "spaced");
	assert_creds("SPACED", "s=s", "tok", source);
	assert_int_equal(got->expires, 0);

	make_chain(in_dir("creds"), "gone");
	assert_fails(BKC_ERR_ACCESS, "profile \"gone\" is not in credentials file",
				 "The file has: \"other\", \"default\", \"spaced\".");
	write_file("creds", 0600, "aws_access_key_id = X\n");
	assert_fails(BKC_ERR_ACCESS, "profile \"gone\" is not", "The file has no profile");
	write_file("creds", 0600, "[gone]\naws_access_key_id = X\n");
	assert_fails(BKC_ERR_ACCESS, "has no \"aws_secret_access_key\"", "");
	write_file("creds", 0600, "[gone]\naws_secret_access_key = " SECRET "\nrole_arn = x\n");
	assert_fails(BKC_ERR_ACCESS, "has no \"aws_access_key_id\"", "Only profiles with");
	write_file("creds", 0600, "[gone]\naws_access_key_id = X\n" SECRET "\n");
	assert_fails(BKC_ERR_INVALID, "line 3 of credentials file", "");
	write_file("creds", 0600, "[gone\naws_access_key_id = X\n");
	assert_fails(BKC_ERR_INVALID, "line 1 of credentials file", "");
	write_file("creds", 0600, "[gone]\naws_access_key_id = X\naws_secret_access_key = " SECRET "\x01" "x\n");
	assert_fails(BKC_ERR_INVALID, "\"aws_secret_access_key\" of profile \"gone\"", "control characters");
	write_file("creds", 0600, "\xEF\xBB\xBF[gone]\naws_access_key_id = X\naws_secret_access_key = y");
	assert_creds("X", "y", "", source);

	/* never "not found": that is what is said of objects */
	unlink("creds");
	make_chain(in_dir("creds"), NULL);
	assert_fails(BKC_ERR_ACCESS, "creds\"", "No such file");
}

static void
test_file_permissions(void **state)
{
	write_file("creds", 0660, TWO);
	make_chain(in_dir("creds"), NULL);
	assert_fails(BKC_ERR_ACCESS, "can be used by other users", "chmod 0600");

	/* a group may read root's, nobody else's */
	assert_int_equal(chmod("creds", 0640), 0);
	assert_int_equal(bkc_s3_creds_get(chain, &got, &err), geteuid() == 0);
	make_chain(in_dir("creds"), NULL);
	assert_int_equal(chmod("creds", 0400), 0);
	assert_true(bkc_s3_creds_get(chain, &got, &err));

	/* what counts is the file, also when it is reached by a link */
	unlink("link");
	assert_int_equal(symlink("creds", "link"), 0);
	make_chain(in_dir("link"), NULL);
	assert_true(bkc_s3_creds_get(chain, &got, &err));
	assert_int_equal(chmod("creds", 0604), 0);
	make_chain(in_dir("link"), NULL);
	assert_fails(BKC_ERR_ACCESS, "can be used by other users", "");
	unlink("creds");
	assert_fails(BKC_ERR_ACCESS, "could not follow link", "No such file");
	if (geteuid() == 0)
	{
		write_file("creds", 0600, TWO);
		assert_int_equal(chown("creds", 65534, 65534), 0);
		make_chain(in_dir("creds"), NULL);
		assert_true(bkc_s3_creds_get(chain, &got, &err));	/* root may use everybody's */
	}
}

/* A file is read again after a while, and when the server does not take what was in it. */
static void
test_file_again(void **state)
{
	char		source[300];

	snprintf(source, sizeof(source), "file \"%s\"", in_dir("creds"));
	write_file("creds", 0600, "[default]\naws_access_key_id=A\naws_secret_access_key=a\n");
	make_chain(in_dir("creds"), NULL);
	assert_creds("A", "a", "", source);
	write_file("creds", 0600, "[default]\naws_access_key_id=B\naws_secret_access_key=b\n");
	clock_us += 4 * MINUTE;
	assert_creds("A", "a", "", source);
	clock_us += 2 * MINUTE;
	assert_creds("B", "b", "", source);

	/* it is gone for a while: warned once, and looked at again each minute */
	unlink("creds");
	clock_us += 6 * MINUTE;
	assert_creds("B", "b", "", source);
	assert_int_equal(warnings, 1);
	assert_non_null(strstr(last_warning, "could not renew the S3 credentials"));
	clock_us += 2 * MINUTE;
	assert_creds("B", "b", "", source);
	assert_int_equal(warnings, 1);
	write_file("creds", 0600, "[default]\naws_access_key_id=C\naws_secret_access_key=c\n");
	assert_creds("B", "b", "", source);
	clock_us += 61 * SECOND;
	assert_creds("C", "c", "", source);

	/* the server's word counts at once */
	clock_us += 20 * MINUTE;
	assert_creds("C", "c", "", source);
	assert_false(bkc_s3_creds_expired(chain));
	clock_us += 11 * SECOND;
	write_file("creds", 0600, "[default]\naws_access_key_id=C\naws_secret_access_key=d\n");
	assert_true(bkc_s3_creds_expired(chain));
	assert_true(bkc_s3_creds_expired(chain));
	assert_creds("C", "d", "", source);

	/* requests that were signed before may still come back */
	clock_us += SECOND;
	assert_true(bkc_s3_creds_expired(chain));
	clock_us += 20 * MINUTE;
	assert_true(bkc_s3_creds_expired(chain));
	assert_creds("C", "d", "", source);
	assert_false(bkc_s3_creds_expired(chain));
	clock_us += 9 * SECOND;
	assert_false(bkc_s3_creds_expired(chain));
	clock_us += 2 * SECOND;
	assert_true(bkc_s3_creds_expired(chain));

	/* what the server has refused is not given again */
	unlink("creds");
	assert_fails(BKC_ERR_ACCESS, "creds\"", "");

	/* a clock that is set back does not keep old ones */
	write_file("creds", 0600, "[default]\naws_access_key_id=E\naws_secret_access_key=e\n");
	assert_creds("E", "e", "", source);
	write_file("creds", 0600, "[default]\naws_access_key_id=F\naws_secret_access_key=f\n");
	clock_us -= 100 * MINUTE;
	assert_creds("F", "f", "", source);
}

/* ---- environment and shared file ---- */

static void
test_environment(void **state)
{
	write_file(".aws/credentials", 0600, TWO);
	setenv("AWS_ACCESS_KEY_ID", "ENV", 1);
	make_chain(NULL, NULL);
	assert_fails(BKC_ERR_INVALID, "AWS_SECRET_ACCESS_KEY is missing", "");
	setenv("AWS_SECRET_ACCESS_KEY", SECRET, 1);
	assert_creds("ENV", SECRET, "", "environment");
	setenv("AWS_SESSION_TOKEN", "tok", 1);
	make_chain(NULL, NULL);
	assert_creds("ENV", SECRET, "tok", "environment");
	setenv("AWS_SECRET_ACCESS_KEY", SECRET "\n", 1);
	make_chain(NULL, NULL);
	assert_fails(BKC_ERR_INVALID, "AWS_SECRET_ACCESS_KEY has control characters", "");
	setenv("AWS_SECRET_ACCESS_KEY", SECRET, 1);
	unsetenv("AWS_ACCESS_KEY_ID");
	assert_fails(BKC_ERR_INVALID, "AWS_ACCESS_KEY_ID is missing", "");

	/* read again when the server refuses them, which is no help mostly */
	setenv("AWS_ACCESS_KEY_ID", "ENV", 1);
	assert_creds("ENV", SECRET, "tok", "environment");
	clock_us += 1000 * MINUTE;
	assert_true(bkc_s3_creds_expired(chain));
	assert_creds("ENV", SECRET, "tok", "environment");
	assert_false(bkc_s3_creds_expired(chain));

	/* a profile in the URL means the shared file */
	make_chain(NULL, "other");
	assert_true(bkc_s3_creds_get(chain, &got, &err));
	assert_string_equal(got->access_key, "OTHER");
	make_chain(NULL, "gone");
	assert_fails(BKC_ERR_ACCESS, "profile \"gone\" is not in", "");
}

static void
test_shared(void **state)
{
	char		source[300];

	snprintf(source, sizeof(source), "file \"%s\"", in_dir(".aws/credentials"));
	setenv("AWS_EC2_METADATA_DISABLED", "TRUE", 1);
	write_file(".aws/credentials", 0644, TWO);
	make_chain(NULL, NULL);
	assert_creds("DEFAULT", SECRET "#", "", source);
	assert_int_equal(warnings, 1);
	assert_non_null(strstr(last_warning, "can be used by other users"));
	clock_us += 10 * MINUTE;
	assert_creds("DEFAULT", SECRET "#", "", source);
	assert_int_equal(warnings, 1);

	setenv("AWS_PROFILE", "other", 1);
	make_chain(NULL, NULL);
	assert_creds("OTHER", "o", "", source);
	setenv("AWS_PROFILE", "gone", 1);
	make_chain(NULL, NULL);
	assert_fails(BKC_ERR_ACCESS, "profile \"gone\" is not in", "\"default\"");
	unlink(".aws/credentials");
	assert_fails(BKC_ERR_ACCESS, ".aws/credentials\"", "No such file");
	unsetenv("AWS_PROFILE");
	assert_fails(BKC_ERR_ACCESS, "no credentials for S3 found", "AWS_EC2_METADATA_DISABLED is true");

	write_file("creds", 0600, TWO);
	setenv("AWS_SHARED_CREDENTIALS_FILE", in_dir("creds"), 1);
	snprintf(source, sizeof(source), "file \"%s\"", in_dir("creds"));
	assert_creds("DEFAULT", SECRET "#", "", source);
	unlink("creds");
	make_chain(NULL, NULL);
	assert_fails(BKC_ERR_ACCESS, "creds\"", "No such file");

	/* without the profile "default" it is no source */
	unsetenv("AWS_SHARED_CREDENTIALS_FILE");
	write_file(".aws/credentials", 0600, "[other]\n");
	make_chain(NULL, NULL);
	assert_fails(BKC_ERR_ACCESS, "no credentials for S3 found", "profile \"default\" is not in");

	/* with it, but without what is needed, it is one that does not work */
	write_file(".aws/credentials", 0600, "[default]\nrole_arn = x\n");
	assert_fails(BKC_ERR_ACCESS, "has no \"aws_access_key_id\"", "");

	/* no HOME: the user's of the system */
	unsetenv("HOME");
	make_chain(NULL, "no-such-profile-anywhere");
	assert_fails(BKC_ERR_ACCESS, "/.aws/credentials\"", "");
	setenv("HOME", "/dev/null", 1);
	make_chain(NULL, NULL);
	assert_fails(BKC_ERR_ACCESS, "no credentials for S3 found", "Not a directory");
}

/* Someone else's home: whether there is a file cannot be known. */
static void
test_shared_closed(void **state)
{
	if (geteuid() != 0)
		skip();
	write_file(".aws/credentials", 0600, TWO);
	make_chain(NULL, NULL);
	assert_int_equal(seteuid(65534), 0);
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	assert_fails(BKC_ERR_ACCESS, "could not open file", "AWS_SHARED_CREDENTIALS_FILE");
	assert_int_equal(seteuid(0), 0);
}

/* ---- web identity ---- */

static void
use_sts(void)
{
	char		url[80];

	write_file("token", 0644, "header.web+identity.sig\n");
	setenv("AWS_WEB_IDENTITY_TOKEN_FILE", in_dir("token"), 1);
	setenv("AWS_ROLE_ARN", ROLE, 1);
	snprintf(url, sizeof(url), "%s/", stub.url);
	setenv("AWS_ENDPOINT_URL_STS", url, 1);
	make_chain(NULL, NULL);
}

static void
test_sts(void **state)
{
	HttpStubRule *rule;

	use_sts();
	rule = httpstub_on(&stub, "POST", "/", 200, xml("ASIA1", "tok1", clock_us + 60 * MINUTE));
	assert_creds("ASIA1", SECRET, "tok1", "web identity");
	assert_int_equal(got->expires, clock_us + 60 * MINUTE);
	assert_non_null(strstr(stub.shared->last,
						   "\r\n\r\nAction=AssumeRoleWithWebIdentity&Version=2011-06-15"
						   "&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fbackup"
						   "&RoleSessionName=pg_backupctl&WebIdentityToken=header.web%2Bidentity.sig"));
	assert_non_null(strstr(stub.shared->last, "Content-Type: application/x-www-form-urlencoded\r\n"));
	assert_creds("ASIA1", SECRET, "tok1", "web identity");
	assert_int_equal(stub.shared->requests, 1);

	/* before they expire, with the token that is there then */
	snprintf(rule->body, sizeof(rule->body), "%s", xml("ASIA2", "tok2", clock_us + 115 * MINUTE));
	setenv("AWS_ROLE_SESSION_NAME", "na me", 1);
	write_file("token", 0600, "second");
	clock_us += 54 * MINUTE;
	assert_creds("ASIA1", SECRET, "tok1", "web identity");
	clock_us += 2 * MINUTE;
	assert_creds("ASIA2", SECRET, "tok2", "web identity");
	assert_int_equal(stub.shared->requests, 2);
	assert_non_null(strstr(stub.shared->last, "&RoleSessionName=na%20me&WebIdentityToken=second"));
}

static void
test_sts_refuses(void **state)
{
	HttpStubRule *rule;

	use_sts();
	rule = httpstub_on(&stub, "POST", "/", 403,
					   "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>"
					   "<Message>Not authorized</Message></Error><RequestId>1</RequestId></ErrorResponse>");
	assert_fails(BKC_ERR_ACCESS, "role \"" ROLE "\" by web identity: STS answered 403 AccessDenied (Not authorized)",
				 "Check AWS_ROLE_ARN");
	assert_int_equal(err.http_status, 403);
	assert_int_equal(stub.shared->requests, 1);

	/* whoever complains about the token quotes it */
	write_file("token", 0600, SECRET);
	snprintf(rule->body, sizeof(rule->body), "<ErrorResponse><Error><Code>ExpiredTokenException</Code>"
			 "<Message>Token " SECRET " is old</Message></Error></ErrorResponse>");
	rule->status = 400;
	assert_fails(BKC_ERR_ACCESS, "STS answered 400 ExpiredTokenException", "is not renewed");

	/* the provider of identities was not there: passing trouble */
	snprintf(rule->body, sizeof(rule->body),
			 "<ErrorResponse><Error><Code>IDPCommunicationError</Code></Error></ErrorResponse>");
	rule->times = 2;
	rule->used = 0;
	httpstub_on(&stub, "POST", "/", 200, xml("ASIA", "tok", clock_us + 60 * MINUTE));
	assert_creds("ASIA", SECRET, "tok", "web identity");

	unsetenv("AWS_ROLE_ARN");
	make_chain(NULL, NULL);
	assert_fails(BKC_ERR_INVALID, "AWS_WEB_IDENTITY_TOKEN_FILE needs AWS_ROLE_ARN", "");
	setenv("AWS_ROLE_ARN", ROLE, 1);
	write_file("token", 0600, "\n");
	assert_fails(BKC_ERR_INVALID, "token\" is empty", "");
	write_file("token", 0600, "a\nb\n");
	assert_fails(BKC_ERR_INVALID, "more than one token", "");
	unlink("token");
	assert_fails(BKC_ERR_ACCESS, "token\"", "No such file");
}

static void
test_sts_garbage(void **state)
{
	static const char *const garbage[] = {
		"", "<a>", "{\"AccessKeyId\": \"" SECRET "\"}", "<a/>",
		"<R><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>A</AccessKeyId>"
		"<SecretAccessKey>" SECRET "</SecretAccessKey></Credentials></AssumeRoleWithWebIdentityResult></R>",
		"<R><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>A</AccessKeyId>"
		"<SecretAccessKey>" SECRET "</SecretAccessKey><SessionToken>t</SessionToken>"
		"<Expiration>tomorrow</Expiration></Credentials></AssumeRoleWithWebIdentityResult></R>",
		"<R><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>A</AccessKeyId>"
		"<SecretAccessKey></SecretAccessKey></Credentials></AssumeRoleWithWebIdentityResult></R>",
	};

	use_sts();
	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++)
	{
		httpstub_clear(&stub);
		httpstub_on(&stub, "POST", "/", 200, garbage[i]);
		assert_fails(BKC_ERR_UNAVAILABLE, "could not get S3 credentials of role", "Attempts 1 to 3");
		assert_int_equal(stub.shared->requests, 3);
	}
}

/* Nobody there, and what is said of it. */
static void
test_sts_away(void **state)
{
	char		url[64];

	use_sts();
	snprintf(url, sizeof(url), "http://127.0.0.1:%d", httpstub_dead_port());
	setenv("AWS_ENDPOINT_URL_STS", url, 1);
	assert_fails(BKC_ERR_UNAVAILABLE, "could not connect", url);
	assert_string_equal(err.hint, "");
}

/* The region's address, by the proxy of the store; but no proxy for what is near. */
static void
test_sts_address(void **state)
{
	static const struct
	{
		const char *region;
		const char *host;
	}			cases[] = {
		{"eu-central-1", "sts.eu-central-1.amazonaws.com:443"},
		{"cn-north-1", "sts.cn-north-1.amazonaws.com.cn:443"},
	};
	char		dead[64];
	char		expected[128];

	use_sts();
	unsetenv("AWS_ENDPOINT_URL_STS");
	httpstub_on(&stub, "CONNECT", "", 403, "");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		bkc_s3_creds_free(chain);
		assert_true(bkc_s3_creds_new(NULL, NULL, cases[i].region,
									 &(BkcHttpOptions) {.proxy = stub.url}, &chain, &err));
		assert_fails(BKC_ERR_UNAVAILABLE, "by web identity: https://sts.", "");
		snprintf(expected, sizeof(expected), "CONNECT %s HTTP/1.1\r\n", cases[i].host);
		assert_memory_equal(stub.shared->last, expected, strlen(expected));
	}
	setenv("AWS_ENDPOINT_URL_STS", "http://sts.example.invalid///", 1);
	httpstub_on(&stub, "POST", "http://sts.example.invalid/", 200,
				xml("ASIA", "tok", clock_us + 60 * MINUTE));
	assert_creds("ASIA", SECRET, "tok", "web identity");

	snprintf(dead, sizeof(dead), "http://127.0.0.1:%d", httpstub_dead_port());
	bkc_s3_creds_free(chain);
	assert_true(bkc_s3_creds_new(NULL, NULL, "x", &(BkcHttpOptions) {.proxy = dead}, &chain, &err));
	setenv("AWS_ENDPOINT_URL_STS", stub.url, 1);
	httpstub_on(&stub, "POST", "/", 200, xml("NEAR", "tok", clock_us + 60 * MINUTE));
	assert_creds("NEAR", SECRET, "tok", "web identity");
}

/* ---- containers ---- */

static void
use_container(const char *path)
{
	char		url[128];

	snprintf(url, sizeof(url), "%s%s", stub.url, path);
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
	make_chain(NULL, NULL);
}

static void
test_container(void **state)
{
	HttpStubRule *rule;

	use_container("/v1/credentials?x=y");
	rule = httpstub_on(&stub, "GET", "/v1/credentials?x=y", 200,
					   json("ASIA1", "tok1", clock_us + 60 * MINUTE));
	assert_creds("ASIA1", SECRET, "tok1", "container's service");
	assert_int_equal(got->expires, clock_us + 60 * MINUTE);
	assert_null(strstr(stub.shared->last, "Authorization"));

	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic abc", 1);
	make_chain(NULL, NULL);
	snprintf(rule->need, sizeof(rule->need), "\r\nAuthorization: Basic abc\r\n");
	assert_creds("ASIA1", SECRET, "tok1", "container's service");

	/* a file's token goes first, and is read each time, also through the links of Kubernetes */
	write_file("token", 0644, "one\n");
	unlink("link");
	assert_int_equal(symlink("token", "link"), 0);
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", in_dir("link"), 1);
	snprintf(rule->need, sizeof(rule->need), "\r\nAuthorization: one\r\n");
	make_chain(NULL, NULL);
	assert_creds("ASIA1", SECRET, "tok1", "container's service");
	write_file("token2", 0644, "two");
	unlink("link");
	assert_int_equal(symlink("token2", "link"), 0);
	snprintf(rule->need, sizeof(rule->need), "\r\nAuthorization: two\r\n");
	snprintf(rule->body, sizeof(rule->body), "%s", json("ASIA2", "tok2", clock_us + 120 * MINUTE));
	assert_true(bkc_s3_creds_expired(chain));
	assert_creds("ASIA2", SECRET, "tok2", "container's service");
	snprintf(rule->need, sizeof(rule->need), "\r\nAuthorization: three\r\n");
	make_chain(NULL, NULL);
	assert_fails(BKC_ERR_ACCESS, "from the container's service at http://127.0.0.1:", "Check the token");
	assert_null(strstr(err.message, "x=y"));

	unsetenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", SECRET "\r\nX: y", 1);
	assert_fails(BKC_ERR_INVALID, "holds control characters", "");
}

static void
test_container_addresses(void **state)
{
	static const char *const bad[] = {
		"http://192.168.1.1/", "http://127.0.0.1.example.org/", "http://localhost.example.org/",
		"http://127.0.0.1@example.org/", "http://user:pw@127.0.0.1/", "http://169.254.170.3/",
		"http://169.254.169.254/", "http://[fd00:ec2::24]/", "ftp://127.0.0.1/", "/v1/x", "http:///x",
		"http://[::1/", "http://[::2]/", "http://127.0.0.1\\@example.org/", "http://2130706433/",
		"file:///etc/passwd", "http://example.org#@127.0.0.1/",
	};
	char		url[80];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", bad[i], 1);
		make_chain(NULL, NULL);
		assert_fails(BKC_ERR_INVALID, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "");
	}

	/* allowed, though nobody is there */
	snprintf(url, sizeof(url), "http://[::1]:%d/", httpstub_dead_port());
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
	assert_fails(BKC_ERR_UNAVAILABLE, "http://[::1]:", "could not connect");
	snprintf(url, sizeof(url), "http://localhost:%d/", httpstub_dead_port());
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
	assert_fails(BKC_ERR_UNAVAILABLE, "http://localhost:", "could not connect");
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "v2/x", 1);
	assert_fails(BKC_ERR_INVALID, "RELATIVE_URI does not begin with", "");
}

static void
test_container_garbage(void **state)
{
	static const struct
	{
		const char *body;
		const char *what;
	}			cases[] = {
		{"", "not a JSON object"}, {"[]", "not a JSON object"},
		{"{\"SecretAccessKey\": \"" SECRET, "not a JSON object"},
		{SECRET, "not a JSON object"}, {"{}", "\"AccessKeyId\" of the reply is missing"},
		{"{\"AccessKeyId\": 1}", "\"AccessKeyId\" of the reply is missing"},
		{"{\"AccessKeyId\": \"a\", \"SecretAccessKey\": \"" SECRET "\"}", "\"Token\" of the reply is missing"},
		{"{\"AccessKeyId\": \"a\", \"SecretAccessKey\": \"" SECRET "\", \"Token\": \"t\", "
		"\"Expiration\": \"" SECRET "\"}", "time of expiry"},
		{"{\"AccessKeyId\": \"a\", \"SecretAccessKey\": \"" SECRET "\\r\\n\", \"Token\": \"t\"}",
		"\"SecretAccessKey\" of the reply has control characters"},
	};

	use_container("/c");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		httpstub_clear(&stub);
		httpstub_on(&stub, "GET", "/c", 200, cases[i].body);
		assert_fails(BKC_ERR_UNAVAILABLE, cases[i].what, "Attempts 1 to 3");
	}
	httpstub_clear(&stub);
	httpstub_on(&stub, "GET", "/c", 200, "{\"Code\": \"AssumeRoleUnauthorizedAccess\"}");
	assert_fails(BKC_ERR_ACCESS, "has code \"AssumeRoleUnauthorizedAccess\"", "");
	assert_int_equal(stub.shared->requests, 1);

	/* more than anybody has */
	httpstub_clear(&stub);
	httpstub_on(&stub, "GET", "/c", 200, "")->generated = 100000;
	assert_fails(BKC_ERR_ACCESS, "more than", "");
}

static void
test_container_trouble(void **state)
{
	static const int passing[] = {500, 503, 429, 408};
	const char *good;

	use_container("/c");
	good = json("ASIA", "tok", clock_us + 60 * MINUTE);
	for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
	{
		httpstub_clear(&stub);
		httpstub_on(&stub, "GET", "/c", passing[i], "")->times = 2;
		httpstub_on(&stub, "GET", "/c", 200, good);
		make_chain(NULL, NULL);
		assert_creds("ASIA", SECRET, "tok", "container's service");
		assert_int_equal(stub.shared->requests, 3);
	}
	for (HttpStubHow how = STUB_CUT; how <= STUB_RAW; how++)
	{
		HttpStubRule *rule;

		httpstub_clear(&stub);
		rule = httpstub_on(&stub, "GET", "/c", 200, "garbage\r\n\r\n");
		rule->how = how;
		rule->times = 1;
		httpstub_on(&stub, "GET", "/c", 200, good);
		make_chain(NULL, NULL);
		assert_creds("ASIA", SECRET, "tok", "container's service");
	}
	httpstub_clear(&stub);
	httpstub_on(&stub, "GET", "/c", 404, "");
	make_chain(NULL, NULL);
	assert_fails(BKC_ERR_ACCESS, "it answered 404", "");
	assert_int_equal(stub.shared->requests, 1);
	httpstub_clear(&stub);
	httpstub_on(&stub, "GET", "/c", 500, SECRET);
	assert_fails(BKC_ERR_UNAVAILABLE, "answered 500", "Attempts 1 to 3");
	assert_int_equal(err.http_status, 500);
}

/* ---- the instance ---- */

static HttpStubRule *
use_instance(const char *reply)
{
	HttpStubRule *rule;

	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", stub.url, 1);
	make_chain(NULL, NULL);
	rule = httpstub_on(&stub, "PUT", "/latest/api/token", 200, "TOKEN==");
	snprintf(rule->need, sizeof(rule->need), "\r\nX-aws-ec2-metadata-token-ttl-seconds: 21600\r\n");
	rule = httpstub_on(&stub, "GET", "/latest/meta-data/iam/security-credentials/", 200, "my-role\n");
	snprintf(rule->need, sizeof(rule->need), "\r\nX-aws-ec2-metadata-token: TOKEN==\r\n");
	rule = httpstub_on(&stub, "GET", "/latest/meta-data/iam/security-credentials/my-role", 200, reply);
	snprintf(rule->need, sizeof(rule->need), "\r\nX-aws-ec2-metadata-token: TOKEN==\r\n");
	return rule;
}

static void
test_instance(void **state)
{
	use_instance(json("ASIA", "tok", clock_us + 60 * MINUTE));
	assert_creds("ASIA", SECRET, "tok", "instance metadata");
	assert_int_equal(stub.shared->requests, 3);
	assert_int_equal(stub.shared->connections, 1);
}

static void
test_instance_refuses(void **state)
{
	HttpStubRule *rule = use_instance(json("ASIA", "tok", clock_us + 60 * MINUTE));

	/* the stand-in answers 401 to who has no token of its own */
	snprintf(stub.shared->rules[0].body, sizeof(stub.shared->rules[0].body), "OTHER");
	assert_fails(BKC_ERR_ACCESS, "instance metadata at http://127.0.0.1:",
				 "it answered 401 when asked for the instance's role");
	snprintf(stub.shared->rules[0].body, sizeof(stub.shared->rules[0].body), "TOKEN==");
	stub.shared->rules[1].status = 404;
	assert_fails(BKC_ERR_ACCESS, "the instance has no role", "Attach a role");
	stub.shared->rules[1].status = 200;
	stub.shared->rules[1].body[0] = '\0';
	assert_fails(BKC_ERR_UNAVAILABLE, "not the name of a role", "");
	snprintf(stub.shared->rules[1].body, sizeof(stub.shared->rules[1].body), "my-role");
	rule->status = 403;
	assert_fails(BKC_ERR_ACCESS, "it answered 403 when asked for the role's credentials", "");
	rule->status = 200;
	snprintf(rule->body, sizeof(rule->body), "%s", json("ASIA", "tok", clock_us - MINUTE));
	assert_fails(BKC_ERR_ACCESS, "have expired already, at 2027-01-15T07:59:00", "Check the clock");
}

/* Not an instance, or no token of IMDSv2: nothing was found, and it is said where. */
static void
test_none_found(void **state)
{
	char		url[64];

	use_instance("");
	snprintf(stub.shared->rules[0].need, sizeof(stub.shared->rules[0].need), "something else");
	assert_fails(BKC_ERR_ACCESS, "no credentials for S3 found",
				 "it answered 401 when asked for a token of IMDSv2");
	assert_non_null(strstr(err.detail, "AWS_ACCESS_KEY_ID is not set"));
	assert_non_null(strstr(err.detail, ".aws/credentials"));
	assert_non_null(strstr(err.detail, "AWS_WEB_IDENTITY_TOKEN_FILE is not set"));
	assert_non_null(strstr(err.detail, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"));
	assert_non_null(strstr(err.hint, "credentials=/path"));
	assert_true(strlen(err.detail) < sizeof(err.detail) - 1);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d", httpstub_dead_port());
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url, 1);
	assert_fails(BKC_ERR_ACCESS, "no credentials for S3 found", "could not connect");

	/* cancelled is cancelled */
	cancel = true;
	assert_fails(BKC_ERR_CANCELLED, "cancelled", "");
}

/* ---- renewal ---- */

static void
test_renewal_fails(void **state)
{
	HttpStubRule *rule;
	int64_t		expires = clock_us + 60 * MINUTE;

	use_container("/c");
	rule = httpstub_on(&stub, "GET", "/c", 200, json("ASIA", "tok", expires));
	assert_creds("ASIA", SECRET, "tok", "container's service");
	rule->status = 500;
	assert_int_equal(bkc_s3_creds_end(chain), 0);
	clock_us = expires - 4 * MINUTE;
	assert_creds("ASIA", SECRET, "tok", "container's service");
	assert_int_equal(warnings, 1);
	assert_int_equal(bkc_s3_creds_end(chain), expires / SECOND * SECOND);
	assert_non_null(strstr(last_warning, "answered 500"));
	assert_int_equal(stub.shared->requests, 4);
	clock_us += 30 * SECOND;
	assert_creds("ASIA", SECRET, "tok", "container's service");
	assert_int_equal(stub.shared->requests, 4);
	clock_us += 35 * SECOND;
	assert_creds("ASIA", SECRET, "tok", "container's service");
	assert_int_equal(stub.shared->requests, 7);
	assert_int_equal(warnings, 1);

	/* who tidies up after a cancellation is not asked to wait */
	clock_us += 65 * SECOND;
	cancel = true;
	assert_creds("ASIA", SECRET, "tok", "container's service");
	assert_int_equal(stub.shared->requests, 7);
	cancel = false;

	/* in the end they are of no use any more */
	clock_us = expires + SECOND;
	assert_fails(BKC_ERR_UNAVAILABLE, "answered 500", "");
	rule->status = 200;
	assert_fails(BKC_ERR_ACCESS, "expired already", "");
	snprintf(rule->body, sizeof(rule->body), "%s", json("NEW", "tok", clock_us + 60 * MINUTE));
	assert_creds("NEW", SECRET, "tok", "container's service");
	assert_int_equal(bkc_s3_creds_end(chain), 0);

	/* a new trouble is a new warning */
	rule->status = 500;
	clock_us += 56 * MINUTE;
	assert_creds("NEW", SECRET, "tok", "container's service");
	assert_int_equal(warnings, 2);
}

/* Those that live for a moment only are not asked for at each request. */
static void
test_short_lived(void **state)
{
	use_container("/c");
	httpstub_on(&stub, "GET", "/c", 200, json("ASIA", "tok", clock_us + 100 * SECOND));
	assert_creds("ASIA", SECRET, "tok", "container's service");
	clock_us += 59 * SECOND;
	assert_creds("ASIA", SECRET, "tok", "container's service");
	assert_int_equal(stub.shared->requests, 1);
	clock_us += 2 * SECOND;
	assert_creds("ASIA", SECRET, "tok", "container's service");
	assert_int_equal(stub.shared->requests, 2);
	clock_us += 38 * SECOND;
	assert_creds("ASIA", SECRET, "tok", "container's service");
	assert_int_equal(stub.shared->requests, 2);
	clock_us += 2 * SECOND;
	assert_fails(BKC_ERR_ACCESS, "expired already", "");
}

/* Another source that comes into being meanwhile is another identity. */
static void
test_source_stays(void **state)
{
	HttpStubRule *rule;

	use_container("/c");
	rule = httpstub_on(&stub, "GET", "/c", 200, json("ASIA", "tok", clock_us + 60 * MINUTE));
	assert_creds("ASIA", SECRET, "tok", "container's service");
	write_file(".aws/credentials", 0600, TWO);
	snprintf(rule->body, sizeof(rule->body), "%s", json("ASIA2", "tok", clock_us + 160 * MINUTE));
	clock_us += 70 * MINUTE;
	assert_creds("ASIA2", SECRET, "tok", "container's service");
}

/* In real time: nobody answers. */
static void
test_hanging(void **state)
{
	struct timespec begun;
	struct timespec now;

	use_instance("");
	stub.shared->rules[0].how = STUB_HANG;
	clock_gettime(CLOCK_MONOTONIC, &begun);
	assert_fails(BKC_ERR_ACCESS, "no credentials for S3 found", "timed out");
	clock_gettime(CLOCK_MONOTONIC, &now);
	assert_true(now.tv_sec - begun.tv_sec <= 15);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_file), T(test_file_permissions), T(test_file_again),
		T(test_environment), T(test_shared), T(test_shared_closed),
		T(test_sts), T(test_sts_refuses), T(test_sts_garbage), T(test_sts_away),
		T(test_sts_address),
		T(test_container), T(test_container_addresses), T(test_container_garbage),
		T(test_container_trouble),
		T(test_instance), T(test_instance_refuses), T(test_none_found),
		T(test_renewal_fails), T(test_short_lived), T(test_source_stays), T(test_hanging),
	};

	return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
