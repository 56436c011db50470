/*
 * test_s3_xml.c
 *		The documents of S3's replies, and what replies mean.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/s3/s3.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static BkcError err;

/* ---- xml.c ---- */

/* Everything that is called, as one text. */
static bool
note(void *arg, const char *path, const char *text, BkcError *e)
{
	BkcBuffer  *out = arg;

	if (text != NULL && strcmp(text, "stop") == 0)
		return bkc_error_set(e, BKC_ERR_STATE, "stopped");
	return bkc_buffer_printf(out, e, "%s%s%s;", path, text != NULL ? "=" : "",
							 text != NULL ? text : "");
}

static bool
read_xml(const char *text, BkcBuffer *out)
{
	/* on the heap, where reading too far would be noticed */
	size_t		len = strlen(text);
	char	   *copy = malloc(len > 0 ? len : 1);
	bool		ok;

	assert_non_null(copy);
	memcpy(copy, text, len);
	bkc_buffer_reset(out);
	ok = bkc_s3_xml(copy, len, note, out, &err);
	free(copy);
	return ok;
}

static void
test_documents(void **state)
{
	static const struct
	{
		const char *text;
		const char *calls;
	}			cases[] = {
		{"<a/>", "=a;"},
		{"<a></a>", "=a;"},
		{"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code></Error>",
		"=Error;Code=NoSuchKey;"},
		{"<List><C><Key>a</Key><Size>1</Size></C><C><Key>b</Key></C><T>x</T></List>",
		"=List;C/Key=a;C/Size=1;C;C/Key=b;C;T=x;"},
		/* entities, CDATA, blanks, attributes, a name space */
		{"<a xmlns=\"u\"><b c=\"d\"> x&amp;y &lt;&#65; </b><e><![CDATA[<&>]]></e></a>",
		"=a;b= x&y <A ;e=<&>;"},
		{"<a>\n  <b>\n    <c>1</c>\n  </b>\n</a>", "=a;b/c=1;b;"},
		{"<a><b></b><c/></a>", "=a;b=;c=;"},
		/* servers send blanks while they work, so that the connection stays */
		{" \r\n  <?xml version=\"1.0\"?><a><b>1</b></a>", "=a;b=1;"},
		{"<a><b>\xC3\xA4</b></a>", "=a;b=\xC3\xA4;"},
		/* text beside elements is no text of theirs */
		{"<a><b>x<c>1</c>y</b></a>", "=a;b/c=1;b;"},
	};
	BkcBuffer	out = {0};

	for (size_t i = 0; i < COUNT(cases); i++)
	{
		if (!read_xml(cases[i].text, &out))
			fail_msg("%s: %s", cases[i].text, err.message);
		assert_string_equal(bkc_buffer_str(&out), cases[i].calls);
	}
	bkc_buffer_free(&out);
}

static void
test_no_documents(void **state)
{
	static const char *const bad[] = {
		"", " ", "x", "<a>", "<a></b>", "<a/><b/>", "<a>&x;</a>", "{\"a\": 1}", "<a b></a>", "<a>\xFF</a>",
		"<html><p>no</html>",
	};
	BkcBuffer	out = {0};
	BkcBuffer	text = {0};

	for (size_t i = 0; i < COUNT(bad); i++)
	{
		if (read_xml(bad[i], &out))
			fail_msg("%s was taken", bad[i]);
		assert_int_equal(err.code, BKC_ERR_CORRUPT);
	}

	/* the caller's own error ends it */
	assert_false(read_xml("<a><b>stop</b><c>x</c></a>", &out));
	assert_int_equal(err.code, BKC_ERR_STATE);
	assert_string_equal(bkc_buffer_str(&out), "=a;");

	/* too deep, too long a path, too long a text */
	for (int i = 0; i < 17; i++)
		assert_true(bkc_buffer_append_str(&text, "<a>", &err));
	for (int i = 0; i < 17; i++)
		assert_true(bkc_buffer_append_str(&text, "</a>", &err));
	assert_false(read_xml(bkc_buffer_str(&text), &out));
	assert_int_equal(err.code, BKC_ERR_CORRUPT);
	assert_non_null(strstr(err.message, "nested too deeply"));
	assert_true(read_xml("<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>x</a></a></a></a></a></a></a></a></a></a></a></a></a></a></a></a>", &out));
	bkc_buffer_reset(&text);
	assert_true(bkc_buffer_printf(&text, &err, "<a><%0300d/></a>", 0));
	memset(text.data + 4, 'b', 300);
	assert_false(read_xml(bkc_buffer_str(&text), &out));
	assert_int_equal(err.code, BKC_ERR_CORRUPT);
	bkc_buffer_reset(&text);
	assert_true(bkc_buffer_printf(&text, &err, "<a><b>%070000d</b></a>", 0));
	assert_false(read_xml(bkc_buffer_str(&text), &out));
	assert_non_null(strstr(err.message, "too long"));
	bkc_buffer_reset(&text);
	assert_true(bkc_buffer_printf(&text, &err, "<a><b>%060000d</b></a>", 0));
	assert_true(read_xml(bkc_buffer_str(&text), &out));
	bkc_buffer_free(&text);
	bkc_buffer_free(&out);
}

/* Entities that grow with each other, and files as entities: never. */
static void
test_hostile(void **state)
{
	BkcBuffer	out = {0};
	BkcBuffer	text = {0};

	assert_true(bkc_buffer_append_str(&text, "<!DOCTYPE a [<!ENTITY e0 \"xxxxxxxxxx\">", &err));
	for (int i = 1; i <= 9; i++)
		assert_true(bkc_buffer_printf(&text, &err,
									  "<!ENTITY e%d \"&e%d;&e%d;&e%d;&e%d;&e%d;&e%d;&e%d;&e%d;\">", i,
									  i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1));
	assert_true(bkc_buffer_append_str(&text, "]><a><b>&e9;</b></a>", &err));
	assert_false(read_xml(bkc_buffer_str(&text), &out));
	assert_int_equal(err.code, BKC_ERR_CORRUPT);
	if (read_xml("<!DOCTYPE a [<!ENTITY f SYSTEM \"file:///etc/passwd\">]><a><b>&f;</b></a>", &out))
		assert_null(strstr(bkc_buffer_str(&out), "root"));
	bkc_buffer_free(&text);
	bkc_buffer_free(&out);
}

static void
test_escape(void **state)
{
	BkcBuffer	text = {0};
	BkcBuffer	out = {0};

	assert_true(bkc_buffer_append_str(&text, "<a><b>", &err));
	assert_true(bkc_s3_xml_escape(&text, "<x> & \"y\" 'z'", &err));
	assert_true(bkc_buffer_append_str(&text, "</b></a>", &err));
	assert_string_equal(bkc_buffer_str(&text),
						"<a><b>&lt;x&gt; &amp; &quot;y&quot; &apos;z&apos;</b></a>");
	assert_true(read_xml(bkc_buffer_str(&text), &out));
	assert_string_equal(bkc_buffer_str(&out), "=a;b=<x> & \"y\" 'z';");
	bkc_buffer_free(&text);
	bkc_buffer_free(&out);
}

/* ---- meaning.c ---- */

static BkcS3Store store = {
	.config = {.region = (char *) "us-east-1", .origin = (char *) "https://b.example.org"},
};

/* head: header lines, each ended by a line feed. */
static bool
mean(BkcS3Call *call, const char *method, int status, const char *head, const char *body)
{
	memset(call, 0, sizeof(*call));
	call->method = method;
	call->http.status = status;
	assert_true(bkc_buffer_append_str(&call->http.head, head, &err));
	assert_true(bkc_buffer_append_str(&call->http.reply, body, &err));
	return bkc_s3_meaning(&store, call);
}

static void
forget(BkcS3Call *call)
{
	bkc_buffer_free(&call->http.head);
	bkc_buffer_free(&call->http.reply);
}

static void
test_codes(void **state)
{
	static const struct
	{
		int			status;
		const char *s3_code;
		BkcErrorCode code;
	}			cases[] = {
		{404, "NoSuchKey", BKC_ERR_NOT_FOUND}, {404, "NoSuchUpload", BKC_ERR_NOT_FOUND},
		{404, "NoSuchBucket", BKC_ERR_STATE}, {404, "NoSuchThing", BKC_ERR_STATE},
		{404, "", BKC_ERR_STATE}, {412, "PreconditionFailed", BKC_ERR_EXISTS},
		{409, "ConditionalRequestConflict", BKC_ERR_UNAVAILABLE}, {409, "OperationAborted", BKC_ERR_UNAVAILABLE},
		{409, "Other", BKC_ERR_STATE}, {403, "AccessDenied", BKC_ERR_ACCESS},
		{403, "InvalidAccessKeyId", BKC_ERR_ACCESS}, {403, "SignatureDoesNotMatch", BKC_ERR_ACCESS},
		{400, "ExpiredToken", BKC_ERR_ACCESS}, {403, "RequestTimeTooSkewed", BKC_ERR_ACCESS},
		{403, "Other", BKC_ERR_ACCESS}, {401, "", BKC_ERR_ACCESS},
		{400, "AuthorizationHeaderMalformed", BKC_ERR_INVALID}, {301, "PermanentRedirect", BKC_ERR_INVALID},
		{307, "TemporaryRedirect", BKC_ERR_INVALID}, {400, "Other", BKC_ERR_INVALID},
		{400, "BadDigest", BKC_ERR_UNAVAILABLE}, {400, "IncompleteBody", BKC_ERR_UNAVAILABLE},
		{400, "RequestTimeout", BKC_ERR_UNAVAILABLE}, {503, "SlowDown", BKC_ERR_UNAVAILABLE},
		{500, "InternalError", BKC_ERR_UNAVAILABLE}, {500, "", BKC_ERR_UNAVAILABLE},
		{502, "", BKC_ERR_UNAVAILABLE}, {503, "", BKC_ERR_UNAVAILABLE},
		{504, "Any", BKC_ERR_UNAVAILABLE},
		{429, "", BKC_ERR_UNAVAILABLE}, {408, "", BKC_ERR_UNAVAILABLE},
		{501, "NotImplemented", BKC_ERR_UNSUPPORTED}, {405, "MethodNotAllowed", BKC_ERR_UNSUPPORTED},
		{507, "XMinioStorageFull", BKC_ERR_NO_SPACE}, {507, "", BKC_ERR_NO_SPACE},
		{403, "InvalidObjectState", BKC_ERR_ARCHIVED},
	};
	BkcS3Call	call;
	char		body[512];

	for (size_t i = 0; i < COUNT(cases); i++)
	{
		snprintf(body, sizeof(body), "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>So it is</Message>"
				 "<RequestId>ID1</RequestId></Error>", cases[i].s3_code);
		assert_false(mean(&call, "GET", cases[i].status, "", cases[i].s3_code[0] != '\0' ? body : ""));
		if (call.error.code != cases[i].code)
			fail_msg("%d %s: %s", cases[i].status, cases[i].s3_code, bkc_error_code_name(call.error.code));
		assert_int_equal(call.error.http_status, cases[i].status);
		assert_string_equal(call.s3_code, cases[i].s3_code);
		assert_non_null(strstr(call.error.detail, cases[i].s3_code[0] != '\0' ? "request id ID1." : "request id not given."));
		if (cases[i].s3_code[0] != '\0')
			assert_non_null(strstr(call.error.message, "(So it is)"));
		forget(&call);
	}
}

static void
test_successes(void **state)
{
	BkcS3Call	call;

	assert_true(mean(&call, "GET", 200, "", "anything"));
	forget(&call);
	assert_true(mean(&call, "DELETE", 204, "", ""));
	forget(&call);
	assert_true(mean(&call, "GET", 206, "", "<Error><Code>InternalError</Code></Error>"));
	forget(&call);

	/* but nothing is stored by a reply that says so */
	assert_false(mean(&call, "PUT", 200, "", "<Error><Code>AccessDenied</Code></Error>"));
	assert_int_equal(call.error.code, BKC_ERR_UNAVAILABLE);
	forget(&call);
}

/* HEAD has no document, so nothing tells a missing bucket apart. */
static void
test_head(void **state)
{
	BkcS3Call	call;

	assert_false(mean(&call, "HEAD", 404, "x-amz-request-id: ID2\n", ""));
	assert_int_equal(call.error.code, BKC_ERR_NOT_FOUND);
	assert_non_null(strstr(call.error.detail, "HEAD https://b.example.org, request id ID2."));
	forget(&call);
	assert_false(mean(&call, "HEAD", 403, "", ""));
	assert_int_equal(call.error.code, BKC_ERR_ACCESS);
	forget(&call);
}

/* Some replies begin with 200 before it is known how it ends. */
static void
test_error_in_200(void **state)
{
	static const struct
	{
		const char *body;
		bool		ok;
		BkcErrorCode code;
	}			cases[] = {
		{"<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>", true, BKC_OK},
		{"<Error><Code>InternalError</Code></Error>", false, BKC_ERR_UNAVAILABLE},
		{"<Error><Code>AccessDenied</Code></Error>", false, BKC_ERR_UNAVAILABLE},
		{"<Error><Code>NoSuchUpload</Code></Error>", false, BKC_ERR_NOT_FOUND},
		{"<Error><Code>PreconditionFailed</Code></Error>", false, BKC_ERR_EXISTS},
		{"", false, BKC_ERR_UNAVAILABLE}, {"   ", false, BKC_ERR_UNAVAILABLE},
		{"<CompleteMultipartUploadResult>", false, BKC_ERR_UNAVAILABLE},
	};
	BkcS3Call	call;

	for (size_t i = 0; i < COUNT(cases); i++)
	{
		bool		ok;

		memset(&call, 0, sizeof(call));
		call.method = "POST";
		call.error_in_200 = true;
		call.http.status = 200;
		assert_true(bkc_buffer_append_str(&call.http.reply, cases[i].body, &err));
		ok = bkc_s3_meaning(&store, &call);
		assert_int_equal(ok, cases[i].ok);
		if (!ok && call.error.code != cases[i].code)
			fail_msg("%s: %s", cases[i].body, bkc_error_code_name(call.error.code));
		forget(&call);
	}
}

static void
test_regions(void **state)
{
	BkcS3Call	call;

	assert_false(mean(&call, "GET", 301, "X-Amz-Bucket-Region: eu-west-2\n",
					  "<Error><Code>PermanentRedirect</Code></Error>"));
	assert_non_null(strstr(call.error.hint, "region=eu-west-2"));
	forget(&call);
	assert_false(mean(&call, "GET", 400, "",
					  "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-3</Region></Error>"));
	assert_non_null(strstr(call.error.hint, "region=eu-west-3"));
	forget(&call);
	assert_false(mean(&call, "GET", 400, "",
					  "<Error><Code>AuthorizationHeaderMalformed</Code><Region>us-east-1</Region></Error>"));
	assert_non_null(strstr(call.error.hint, "Check \"region\""));
	forget(&call);
}

/* What somebody else answers, in between or instead. */
static void
test_strangers(void **state)
{
	static const char *const bodies[] = {
		"<html><body>Not Found</body></html>", "Not Found", "{\"error\": \"no\"}", "<Error><Code>NoSuch",
		"<Result><Code>NoSuchKey</Code></Result>",
	};
	BkcS3Call	call;
	char		body[2048];

	for (size_t i = 0; i < COUNT(bodies); i++)
	{
		assert_false(mean(&call, "GET", 404, "", bodies[i]));
		assert_int_equal(call.error.code, BKC_ERR_STATE);
		forget(&call);
	}

	/* long texts are cut, and never within a character */
	snprintf(body, sizeof(body), "<Error><Code>%0200d</Code><Message>x", 0);
	for (int i = 0; i < 400; i++)
	{
		size_t		len = strlen(body);

		snprintf(body + len, sizeof(body) - len, "\xC3\xA4");
	}
	snprintf(body + strlen(body), sizeof(body) - strlen(body), "</Message></Error>");
	assert_false(mean(&call, "GET", 400, "", body));
	assert_int_equal(strlen(call.s3_code), sizeof(call.s3_code) - 1);
	assert_non_null(strstr(call.error.message, "\xC3\xA4)"));
	forget(&call);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_documents), cmocka_unit_test(test_no_documents),
		cmocka_unit_test(test_hostile), cmocka_unit_test(test_escape),
		cmocka_unit_test(test_codes), cmocka_unit_test(test_successes), cmocka_unit_test(test_head),
		cmocka_unit_test(test_error_in_200), cmocka_unit_test(test_regions),
		cmocka_unit_test(test_strangers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
