/*
 * creds_local.c
 *		Credentials from the machine's own services: of a container (ECS, EKS),
 *		and of an instance (IMDSv2).
 */
#include "store/s3/creds_inner.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "crypto/digest.h"

#define CONTAINER_HOST	"http://169.254.170.2"
#define INSTANCE_HOST	"http://169.254.169.254"
#define INSTANCE_ROLES	"/latest/meta-data/iam/security-credentials/"
#define INSTANCE_TOKEN_MAX	1024
#define ROLE_MAX		256

/* ---- containers ---- */

/*
 * A token goes there, and keys come back: only by TLS, or where nobody is in
 * between.  The addresses are those of ECS and of EKS's pod identities.
 */
static bool
check_full(const char *url, BkcError *err)
{
	static const char *const known[] = {"169.254.170.2", "169.254.170.23", "fd00:ec2::23"};
	char		host[256];
	uint8_t		a[16];
	uint8_t		b[16];
	bool		plain = strncasecmp(url, "http://", 7) == 0;

	if ((!plain && strncasecmp(url, "https://", 8) != 0) ||
		!bkc_s3_creds_host(url, host, sizeof(host)))
		return bkc_error_set(err, BKC_ERR_INVALID,
							 "AWS_CONTAINER_CREDENTIALS_FULL_URI is not a URL of http or https with a plain host");
	if (!plain || strcasecmp(host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, host, a) == 1 && a[0] == 127)
		return true;
	if (inet_pton(AF_INET6, host, a) == 1 && inet_pton(AF_INET6, "::1", b) == 1 &&
		memcmp(a, b, sizeof(a)) == 0)
		return true;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
	{
		int			family = strchr(known[i], ':') != NULL ? AF_INET6 : AF_INET;

		if (inet_pton(family, host, a) == 1 && inet_pton(family, known[i], b) == 1 &&
			memcmp(a, b, family == AF_INET6 ? 16 : 4) == 0)
			return true;
	}
	bkc_error_set(err, BKC_ERR_INVALID,
				  "AWS_CONTAINER_CREDENTIALS_FULL_URI has http and host \"%s\"", host);
	return bkc_error_hint(err, "Without TLS it may be a loopback address, 169.254.170.2, 169.254.170.23 or [fd00:ec2::23] only.");
}

static bool
take_container(void *arg, int status, const char *body, size_t len, BkcError *err)
{
	BkcS3Creds *creds = arg;

	memset(creds, 0, sizeof(*creds));
	if (status == 200)
		return bkc_s3_creds_json(body, len, creds, err);
	bkc_error_set(err, BKC_ERR_ACCESS, "it answered %d", status);
	err->http_status = status;
	if (status == 401 || status == 403)
		bkc_error_hint(err, "Check the token in AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE or AWS_CONTAINER_AUTHORIZATION_TOKEN.");
	return false;
}

/* "Authorization: ..." into header; empty when there is no token. */
static bool
make_authorization(const BkcS3CredsContainer *in, BkcBuffer *header, BkcError *err)
{
	BkcBuffer	token = {0};
	const char *text = in->token;
	bool		ok = true;

	if (in->token_file != NULL)
	{
		ok = bkc_s3_creds_token(in->token_file, &token, err);
		text = bkc_buffer_str(&token);
	}
	if (ok && text != NULL)
	{
		for (const char *p = text; ok && *p != '\0'; p++)
		{
			if ((unsigned char) *p < 0x20 || *p == 0x7f)
				ok = bkc_error_set(err, BKC_ERR_INVALID,
								   "AWS_CONTAINER_AUTHORIZATION_TOKEN holds control characters");
		}
		ok = ok && bkc_buffer_reserve(header, strlen(text) + 32, err) &&
			bkc_buffer_printf(header, err, "Authorization: %s", text);
	}
	bkc_wipe(token.data, token.cap);
	bkc_buffer_free(&token);
	return ok;
}

bool
bkc_s3_creds_container(const BkcS3CredsContainer *in, BkcS3Creds *creds, BkcError *err)
{
	BkcBuffer	url = {0};
	BkcBuffer	authorization = {0};
	const char *headers[] = {"Accept: application/json", NULL, NULL};
	BkcHttp    *http = NULL;
	bool		ok;

	if (in->relative != NULL)
		ok = in->relative[0] == '/'
			? bkc_buffer_printf(&url, err, CONTAINER_HOST "%s", in->relative)
			: bkc_error_set(err, BKC_ERR_INVALID,
							"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not begin with \"/\"");
	else
		ok = check_full(in->full, err) && bkc_buffer_append_str(&url, in->full, err);
	ok = ok && make_authorization(in, &authorization, err);
	if (ok && authorization.len > 0)
		headers[1] = bkc_buffer_str(&authorization);
	ok = ok && bkc_s3_creds_http(bkc_buffer_str(&url), in->options, &http, err) &&
		bkc_s3_creds_ask(http, &(BkcS3CredsAsk) {
		.method = "GET",
		.url = bkc_buffer_str(&url),
		.headers = headers,
		.take = take_container,
		.arg = creds,
	}, err);
	if (!ok)
		bkc_error_context(err, "could not get S3 credentials from the container's service%s%.*s",
						  url.len > 0 ? " at " : "", bkc_s3_creds_origin(bkc_buffer_str(&url)),
						  bkc_buffer_str(&url));
	bkc_http_close(http);
	bkc_wipe(authorization.data, authorization.cap);
	bkc_buffer_free(&authorization);
	bkc_buffer_free(&url);
	return ok;
}

/* ---- the instance ---- */

typedef struct Instance
{
	BkcHttp    *http;
	char	   *origin;
	char		header[INSTANCE_TOKEN_MAX + 64];	/* with the session's token */
	char		role[ROLE_MAX];
	BkcS3Creds *creds;
} Instance;

/* A line of printable characters, its end cut off. */
static bool
take_line(const char *body, size_t len, char *out, size_t outlen)
{
	size_t		n = 0;

	while (n < len && body[n] != '\n' && body[n] != '\r')
	{
		if (body[n] < 0x21 || body[n] > 0x7e || n + 1 >= outlen)
			return false;
		out[n] = body[n];
		n++;
	}
	out[n] = '\0';
	return n > 0;
}

static bool
answered(int status, const char *what, BkcError *err)
{
	bkc_error_set(err, BKC_ERR_ACCESS, "it answered %d when asked for %s", status, what);
	err->http_status = status;
	return false;
}

static bool
take_session(void *arg, int status, const char *body, size_t len, BkcError *err)
{
	Instance   *in = arg;
	char		token[INSTANCE_TOKEN_MAX];

	if (status != 200)
		return answered(status, "a token of IMDSv2", err);
	if (!take_line(body, len, token, sizeof(token)))
		return bkc_error_set(err, BKC_ERR_UNAVAILABLE, "its reply is not a token of IMDSv2");
	snprintf(in->header, sizeof(in->header), "X-aws-ec2-metadata-token: %s", token);
	bkc_wipe(token, sizeof(token));
	return true;
}

static bool
take_role(void *arg, int status, const char *body, size_t len, BkcError *err)
{
	Instance   *in = arg;

	if (status == 404)
	{
		bkc_error_set(err, BKC_ERR_ACCESS, "the instance has no role");
		return bkc_error_hint(err, "Attach a role to the instance, or name credentials in another way.");
	}
	if (status != 200)
		return answered(status, "the instance's role", err);
	if (take_line(body, len, in->role, sizeof(in->role)))
		return true;
	return bkc_error_set(err, BKC_ERR_UNAVAILABLE, "its reply is not the name of a role");
}

static bool
take_instance(void *arg, int status, const char *body, size_t len, BkcError *err)
{
	Instance   *in = arg;

	memset(in->creds, 0, sizeof(*in->creds));
	if (status != 200)
		return answered(status, "the role's credentials", err);
	return bkc_s3_creds_json(body, len, in->creds, err);
}

static bool
ask_instance(Instance *in, const char *method, const char *path, const char *name,
			 const char *header, BkcS3CredsTake take, BkcError *err)
{
	const char *headers[] = {header, NULL};
	BkcBuffer	url = {0};
	bool		ok;

	ok = bkc_buffer_printf(&url, err, "%s%s", in->origin, path) &&
		bkc_http_escape(&url, name, false, err) &&
		bkc_s3_creds_ask(in->http, &(BkcS3CredsAsk) {
		.method = method,
		.url = bkc_buffer_str(&url),
		.headers = headers,
		.take = take,
		.arg = in,
	}, err);
	bkc_buffer_free(&url);
	return ok;
}

bool
bkc_s3_creds_instance(const char *endpoint, bool *there, BkcS3Creds *creds, BkcError *err)
{
	static const BkcHttpOptions options = {0};
	Instance	in = {.creds = creds};
	BkcBuffer	origin = {0};
	bool		ok;

	*there = false;
	if (endpoint == NULL)
		endpoint = INSTANCE_HOST;
	ok = bkc_buffer_append_str(&origin, endpoint, err);
	while (ok && origin.len > 0 && origin.data[origin.len - 1] == '/')
		origin.data[--origin.len] = '\0';
	in.origin = (char *) origin.data;
	ok = ok && bkc_s3_creds_http(endpoint, &options, &in.http, err) &&
		ask_instance(&in, "PUT", "/latest/api/token", "",
					 "X-aws-ec2-metadata-token-ttl-seconds: 21600", take_session, err);
	*there = ok;
	ok = ok && ask_instance(&in, "GET", INSTANCE_ROLES, "", in.header, take_role, err) &&
		ask_instance(&in, "GET", INSTANCE_ROLES, in.role, in.header, take_instance, err);
	if (!ok)
		bkc_error_context(err, "could not get S3 credentials from the instance metadata at %.*s",
						  bkc_s3_creds_origin(endpoint), endpoint);
	bkc_http_close(in.http);
	bkc_wipe(in.header, sizeof(in.header));
	bkc_buffer_free(&origin);
	return ok;
}
