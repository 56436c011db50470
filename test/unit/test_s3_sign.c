/*
 * test_s3_sign.c
 *		AWS Signature Version 4 against published answers.
 *
 * Two sources:
 *
 * - "Authenticating Requests: Using the Authorization Header" in the reference
 *   of Amazon S3's API (sig-v4-header-based-auth), the four examples;
 * - AWS's Signature Version 4 test suite, as in tests/aws-signing-test-suite/v4
 *   of awslabs/aws-c-auth: names of the cases, canonical requests and signatures.
 *   Cases of it with the same canonical request as another are left out, since
 *   paths come to us in the form that is signed.
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

#define EMPTY	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define FORM	"9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"
#define WELCOME "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
#define ALPHABET "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

typedef struct Vector
{
	const char *name;
	const char *method;
	const char *path;
	const char *query;
	const char *headers;		/* sorted, each ended by a line feed */
	const char *hash;
	const char *signature;
} Vector;

/* ---- Amazon S3's examples ---- */

#define S3_HOST "host:examplebucket.s3.amazonaws.com\n"
#define S3_DATE "x-amz-date:20130524T000000Z\n"

static const Vector s3_vectors[] = {
	{"GET Object", "GET", "/test.txt", "",
		S3_HOST "range:bytes=0-9\nx-amz-content-sha256:" EMPTY "\n" S3_DATE, EMPTY,
	"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
	{"PUT Object", "PUT", "/test%24file.text", "",
		"date:Fri, 24 May 2013 00:00:00 GMT\n" S3_HOST "x-amz-content-sha256:" WELCOME "\n" S3_DATE
		"x-amz-storage-class:REDUCED_REDUNDANCY\n", WELCOME,
	"98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
	{"GET Bucket Lifecycle", "GET", "/", "lifecycle=",
		S3_HOST "x-amz-content-sha256:" EMPTY "\n" S3_DATE, EMPTY,
	"fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
	{"Get Bucket (List Objects)", "GET", "/", "max-keys=2&prefix=J",
		S3_HOST "x-amz-content-sha256:" EMPTY "\n" S3_DATE, EMPTY,
	"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
};

/* ---- the test suite ---- */

#define HOST	"host:example.amazonaws.com\n"
#define DATE	"x-amz-date:20150830T123600Z\n"
#define LENGTH	"content-length:13\n"

static const Vector suite[] = {
	{"get-vanilla", "GET", "/", "", HOST DATE, EMPTY,
	"5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
	{"get-header-key-duplicate", "GET", "/", "", HOST "my-header1:value2,value2,value1\n" DATE, EMPTY,
	"c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
	{"get-header-value-multiline", "GET", "/", "",
		HOST "my-header1:value1  value2     value3\n" DATE, EMPTY,
	"cfd34249e4b1c8d6b91ef74165d41a32e5fab3306300901bb65a51a73575eefd"},
	{"get-header-value-order", "GET", "/", "",
		HOST "my-header1:value4,value1,value3,value2\n" DATE, EMPTY,
	"08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
	{"get-header-value-trim", "GET", "/", "",
		HOST "my-header1: value1\nmy-header2: \"a   b   c\" \n" DATE, EMPTY,
	"acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
	{"get-relative-relative-unnormalized", "GET", "/example1/example2/../..", "", HOST DATE, EMPTY,
	"dc33e0856fd4baca4d7aa2146c38958283844764f38c74252a333df5e613003b"},
	{"get-relative-unnormalized", "GET", "/example/..", "", HOST DATE, EMPTY,
	"eca7ead57bb5aa5c8e28007acd4ff04e1ff9a0ff3b237ec1554a184887ff9282"},
	{"get-slash-dot-slash-unnormalized", "GET", "/./", "", HOST DATE, EMPTY,
	"68714168e6557f8f2de0ef956fc24dc2593a4bd2961f8df51898d8a134695145"},
	{"get-slash-pointless-dot-normalized", "GET", "/example", "", HOST DATE, EMPTY,
	"ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"},
	{"get-slash-pointless-dot-unnormalized", "GET", "/./example", "", HOST DATE, EMPTY,
	"beb03f223f7deae4146464f06e29eebbee9c8afbe15c290cf07aa8b119e14cff"},
	{"get-slash-unnormalized", "GET", "//", "", HOST DATE, EMPTY,
	"c88bcd3d312d75078c0cd961d6deae3f4c754924b01669efcfcb439fd5e5b76e"},
	{"get-slashes-normalized", "GET", "/example/", "", HOST DATE, EMPTY,
	"9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"},
	{"get-slashes-unnormalized", "GET", "//example//", "", HOST DATE, EMPTY,
	"87cca117541a147f6df867677d98a7d80dff226d2bfca9e4ffa899665623c7e5"},
	{"get-space-normalized", "GET", "/example%20space/", "", HOST DATE, EMPTY,
	"652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
	{"get-unreserved", "GET", "/" ALPHABET, "", HOST DATE, EMPTY,
	"07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
	{"get-utf8", "GET", "/%E1%88%B4", "", HOST DATE, EMPTY,
	"8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
	{"get-vanilla-empty-query-key", "GET", "/", "Param1=value1", HOST DATE, EMPTY,
	"a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
	{"get-vanilla-query-order-encoded", "GET", "/", "%E1%88%B4=Value1&Param=Value2&Param-3=Value3",
		HOST DATE, EMPTY,
	"371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"},
	{"get-vanilla-query-order-key-case", "GET", "/", "Param1=value1&Param2=value2", HOST DATE, EMPTY,
	"b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
	{"get-vanilla-query-unreserved", "GET", "/", ALPHABET "=" ALPHABET, HOST DATE, EMPTY,
	"9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
	{"get-vanilla-utf8-query", "GET", "/", "%E1%88%B4=bar", HOST DATE, EMPTY,
	"2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
	{"get-vanilla-with-session-token", "GET", "/", "", HOST DATE
		"x-amz-security-token:6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267\n", EMPTY,
	"07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"},
	{"post-header-key-case", "POST", "/", "", HOST DATE, EMPTY,
	"5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
	{"post-header-key-sort", "POST", "/", "", HOST "my-header1:value1\n" DATE, EMPTY,
	"c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
	{"post-header-value-case", "POST", "/", "", HOST "my-header1:VALUE1\n" DATE, EMPTY,
	"cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
	{"post-sts-header-before", "POST", "/", "", HOST DATE
		"x-amz-security-token:AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==\n", EMPTY,
	"85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"},
	{"post-vanilla-empty-query-value", "POST", "/", "Param1=value1", HOST DATE, EMPTY,
	"28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
	{"post-x-www-form-urlencoded-parameters", "POST", "/", "",
		LENGTH "content-type:application/x-www-form-urlencoded; charset=utf-8\n" HOST
		"x-amz-content-sha256:" FORM "\n" DATE, FORM,
	"328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422"},
	{"post-x-www-form-urlencoded", "POST", "/", "",
		LENGTH "content-type:application/x-www-form-urlencoded\n" HOST
		"x-amz-content-sha256:" FORM "\n" DATE, FORM,
	"d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b"},
};

/* ---- running them ---- */

/* "name:value\n..." cut to pieces in text. */
static size_t
split_headers(char *text, BkcS3Header *headers, size_t max)
{
	size_t		n = 0;

	while (*text != '\0')
	{
		char	   *end = strchr(text, '\n');
		char	   *colon = strchr(text, ':');

		assert_non_null(end);
		assert_non_null(colon);
		assert_true(n < max);
		*end = *colon = '\0';
		headers[n++] = (BkcS3Header) {text, colon + 1};
		text = end + 1;
	}
	return n;
}

static void
check_vector(const Vector *v, const BkcS3Creds *creds, const char *time, const char *service)
{
	char	   *text = strdup(v->headers);
	BkcS3Header headers[8];
	char		names[256] = "";
	BkcBuffer	expected = {0};
	BkcBuffer	out = {0};
	BkcError	err;
	BkcS3SignInput in = {
		.method = v->method,
		.path = v->path,
		.query = v->query,
		.headers = headers,
		.payload_hash = v->hash,
		.time = time,
		.region = "us-east-1",
		.service = service,
	};

	assert_non_null(text);
	in.nheaders = split_headers(text, headers, 8);
	for (size_t i = 0; i < in.nheaders; i++)
	{
		size_t		len = strlen(names);

		snprintf(names + len, sizeof(names) - len, "%s%s", i > 0 ? ";" : "", headers[i].name);
	}
	assert_true(bkc_buffer_printf(&expected, &err,
								  "AWS4-HMAC-SHA256 Credential=%s/%.8s/us-east-1/%s/aws4_request, SignedHeaders=%s, Signature=%s",
								  creds->access_key, time, service, names, v->signature));
	assert_true(bkc_s3_sign(&in, creds, &out, &err));
	if (strcmp(bkc_buffer_str(&out), bkc_buffer_str(&expected)) != 0)
		fail_msg("%s: %s instead of %s", v->name, bkc_buffer_str(&out), bkc_buffer_str(&expected));
	bkc_buffer_free(&out);
	bkc_buffer_free(&expected);
	free(text);
}

static void
test_s3_examples(void **state)
{
	static const BkcS3Creds creds = {
		.access_key = "AKIAIOSFODNN7EXAMPLE",
		.secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
	};

	for (size_t i = 0; i < sizeof(s3_vectors) / sizeof(s3_vectors[0]); i++)
		check_vector(&s3_vectors[i], &creds, "20130524T000000Z", "s3");
}

static const BkcS3Creds suite_creds = {
	.access_key = "AKIDEXAMPLE",
	.secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
};

static void
test_suite(void **state)
{
	for (size_t i = 0; i < sizeof(suite) / sizeof(suite[0]); i++)
		check_vector(&suite[i], &suite_creds, "20150830T123600Z", "service");
}

/* What goes into the path and the query of a request is what is signed. */
static void
test_escape(void **state)
{
	static const struct
	{
		const char *text;
		bool		keep_slash;
		const char *escaped;
	}			cases[] = {
		{"", false, ""}, {ALPHABET, false, ALPHABET}, {"a/b c", true, "a/b%20c"},
		{"a/b", false, "a%2Fb"}, {"\xE1\x88\xB4", false, "%E1%88%B4"},
		{"test$file.text", true, "test%24file.text"}, {"+=&?#%\x7f\x01", true, "%2B%3D%26%3F%23%25%7F%01"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		BkcBuffer	out = {0};
		BkcError	err;

		assert_true(bkc_http_escape(&out, cases[i].text, cases[i].keep_slash, &err));
		assert_string_equal(bkc_buffer_str(&out), cases[i].escaped);
		bkc_buffer_free(&out);
	}
}

static void
test_limits(void **state)
{
	BkcS3Header header = {(char *) "host", (char *) "h"};
	BkcS3SignInput in = {
		.method = "GET",
		.path = "/",
		.query = "",
		.headers = &header,
		.nheaders = 1,
		.payload_hash = EMPTY,
		.time = "20150830T123600Z",
		.region = "us-east-1",
		.service = "s3",
	};
	char		region[300];
	BkcS3Creds	creds = suite_creds;
	BkcBuffer	out = {0};
	BkcError	err;

	/* the longest secret there may be */
	memset(creds.secret_key, 'x', sizeof(creds.secret_key) - 1);
	creds.secret_key[sizeof(creds.secret_key) - 1] = '\0';
	assert_true(bkc_s3_sign(&in, &creds, &out, &err));
	creds.secret_key[sizeof(creds.secret_key) - 1] = 'x';
	assert_false(bkc_s3_sign(&in, &creds, &out, &err));
	assert_int_equal(err.code, BKC_ERR_INTERNAL);
	memset(region, 'r', sizeof(region) - 1);
	region[sizeof(region) - 1] = '\0';
	in.region = region;
	assert_false(bkc_s3_sign(&in, &suite_creds, &out, &err));
	assert_int_equal(err.code, BKC_ERR_INVALID);
	in.region = "us-east-1";
	in.time = "2015";
	assert_false(bkc_s3_sign(&in, &suite_creds, &out, &err));
	assert_int_equal(err.code, BKC_ERR_INTERNAL);
	bkc_buffer_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_s3_examples),
		cmocka_unit_test(test_suite),
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
