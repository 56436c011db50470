/*
 * creds_sts.c
 *		Web identity: a token that somebody else has signed, for credentials of a
 *		role, by STS's AssumeRoleWithWebIdentity.
 *
 * The request needs no signature: the token is the proof.  It is read from its
 * file each time, since whoever puts it there renews it.
 */
#include "store/s3/creds_inner.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "crypto/digest.h"
#include "store/s3/s3.h"

#define SESSION_NAME	"pg_backupctl"
#define RESULT			"AssumeRoleWithWebIdentityResult/Credentials/"

typedef struct Answer
{
	const BkcBuffer *token;		/* the web identity's */
	BkcS3Creds *creds;
	char		code[64];
	char		message[256];
} Answer;

static bool
take_element(void *arg, const char *path, const char *text, BkcError *err)
{
	Answer	   *a = arg;
	BkcS3Creds *creds = a->creds;
	const struct
	{
		const char *path;
		char	   *out;
		size_t		len;
	}			secrets[] = {
		{RESULT "AccessKeyId", creds->access_key, sizeof(creds->access_key)},
		{RESULT "SecretAccessKey", creds->secret_key, sizeof(creds->secret_key)},
		{RESULT "SessionToken", creds->session_token, sizeof(creds->session_token)},
	};

	if (text == NULL)
		return true;
	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
	{
		if (strcmp(path, secrets[i].path) == 0)
			return bkc_s3_creds_set(secrets[i].out, secrets[i].len, text, strlen(text),
									strrchr(secrets[i].path, '/') + 1, err);
	}
	if (strcmp(path, RESULT "Expiration") == 0)
		return bkc_s3_creds_expiry(text, creds, err);
	if (strcmp(path, "Error/Code") == 0)
		snprintf(a->code, sizeof(a->code), "%.*s",
				 bkc_text_clip(text, strlen(text), sizeof(a->code) - 1), text);

	/* whoever says what is wrong with a token may quote it */
	if (strcmp(path, "Error/Message") == 0 && strstr(text, bkc_buffer_str(a->token)) == NULL)
		snprintf(a->message, sizeof(a->message), "%.*s",
				 bkc_text_clip(text, strlen(text), sizeof(a->message) - 1), text);
	return true;
}

static bool
take_reply(void *arg, int status, const char *body, size_t len, BkcError *err)
{
	Answer	   *a = arg;
	BkcErrorCode code = BKC_ERR_ACCESS;
	BkcError	xml_error;
	bool		whole;

	memset(a->creds, 0, sizeof(*a->creds));
	a->code[0] = a->message[0] = '\0';
	whole = bkc_s3_xml(body, len, take_element, a, &xml_error);
	if (status == 200)
	{
		if (!whole)
		{
			*err = xml_error;
			err->code = BKC_ERR_UNAVAILABLE;
			return false;
		}
		if (a->creds->access_key[0] != '\0' && a->creds->secret_key[0] != '\0' &&
			a->creds->session_token[0] != '\0')
			return true;
		return bkc_error_set(err, BKC_ERR_UNAVAILABLE, "STS answered without credentials");
	}

	/* the one refusal that is passing trouble: STS could not reach who signed the token */
	if (strcmp(a->code, "IDPCommunicationError") == 0 || strncmp(a->code, "Throttling", 10) == 0)
		code = BKC_ERR_UNAVAILABLE;
	bkc_error_set(err, code, "STS answered %d%s%s%s%s%s", status,
				  a->code[0] != '\0' ? " " : "", a->code,
				  a->message[0] != '\0' ? " (" : "", a->message, a->message[0] != '\0' ? ")" : "");
	err->http_status = status;
	if (strcmp(a->code, "ExpiredTokenException") == 0)
		bkc_error_hint(err, "The token in the file that AWS_WEB_IDENTITY_TOKEN_FILE names is not renewed.");
	else if (code == BKC_ERR_ACCESS)
		bkc_error_hint(err, "Check AWS_ROLE_ARN, and which tokens the role trusts.");
	return false;
}

static bool
make_form(const BkcS3CredsSts *in, const BkcBuffer *token, BkcBuffer *form, BkcError *err)
{
	const char *name = in->session_name != NULL ? in->session_name : SESSION_NAME;
	size_t		most = 3 * (token->len + strlen(in->role_arn) + strlen(name)) + 256;

	/* all the room at once: memory that moves leaves copies of the token behind */
	return bkc_buffer_reserve(form, most, err) &&
		bkc_buffer_append_str(form, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=", err) &&
		bkc_http_escape(form, in->role_arn, false, err) &&
		bkc_buffer_append_str(form, "&RoleSessionName=", err) &&
		bkc_http_escape(form, name, false, err) &&
		bkc_buffer_append_str(form, "&WebIdentityToken=", err) &&
		bkc_http_escape(form, bkc_buffer_str(token), false, err);
}

/* A store's CA file and its leave to trust anyone are for who was named beside it, not for AWS. */
static bool
open_http(const BkcS3CredsSts *in, const char *url, BkcHttp **http, BkcError *err)
{
	BkcHttpOptions options = *in->options;

	if (in->endpoint == NULL)
	{
		options.ca_file = NULL;
		options.trust_any = false;
	}
	return bkc_s3_creds_http(url, &options, http, err);
}

bool
bkc_s3_creds_sts(const BkcS3CredsSts *in, BkcS3Creds *creds, BkcError *err)
{
	static const char *const headers[] = {
		"Content-Type: application/x-www-form-urlencoded", "Accept: application/xml", NULL
	};
	BkcBuffer	token = {0};
	BkcBuffer	form = {0};
	BkcBuffer	url = {0};
	Answer		answer = {.token = &token, .creds = creds};
	BkcHttp    *http = NULL;
	bool		ok;

	if (in->endpoint != NULL)
	{
		size_t		len = strlen(in->endpoint);

		while (len > 0 && in->endpoint[len - 1] == '/')
			len--;
		ok = bkc_buffer_printf(&url, err, "%.*s/", (int) len, in->endpoint);
	}
	else
		ok = bkc_buffer_printf(&url, err, "https://sts.%s.amazonaws.com%s/", in->region,
							   strncmp(in->region, "cn-", 3) == 0 ? ".cn" : "");
	ok = ok && bkc_s3_creds_token(in->token_file, &token, err) &&
		make_form(in, &token, &form, err) &&
		open_http(in, bkc_buffer_str(&url), &http, err) &&
		bkc_s3_creds_ask(http, &(BkcS3CredsAsk) {
		.method = "POST",
		.url = bkc_buffer_str(&url),
		.headers = headers,
		.body = &form,
		.take = take_reply,
		.arg = &answer,
	}, err);
	bkc_http_close(http);
	bkc_wipe(token.data, token.cap);
	bkc_buffer_free(&token);
	bkc_wipe(form.data, form.cap);
	bkc_buffer_free(&form);
	bkc_buffer_free(&url);
	return ok || bkc_error_context(err, "could not get S3 credentials of role \"%s\" by web identity",
								   in->role_arn);
}
