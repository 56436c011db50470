/*
 * test_store_s3_bucket.c
 *		What a bucket says about itself, old uploads, removing all versions, and
 *		setting a bucket up; against a real server.
 */
#include "s3server.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/host.h"
#include "base/text.h"
#include "store/setup.h"
#include "storetools.h"

#define PREFIX	"repo/a"

typedef struct Fixture
{
	char		bucket[S3_BUCKET_MAX];
	BkcStore   *store;
} Fixture;

static int
setup(void **state)
{
	Fixture    *f = calloc(1, sizeof(*f));

	*state = f;
	assert_non_null(f);
	s3server_bucket(f->bucket, false);
	f->store = s3server_open(S3_HTTP_PATH, f->bucket, PREFIX, "");
	return 0;
}

static int
teardown(void **state)
{
	Fixture    *f = *state;

	bkc_store_close(f->store);
	free(f);
	return 0;
}

/* ---- findings and steps as text: "what level: text\n" ---- */

static bool
note_finding(void *arg, const BkcStoreFinding *finding, BkcError *err)
{
	static const char *const levels[] = {"ok", "note", "warning"};

	assert_true(finding->hint == NULL || finding->hint[strlen(finding->hint) - 1] == '.');
	return bkc_buffer_printf(arg, err, "%s %s: %s\n", finding->what, levels[finding->level],
							 finding->text);
}

static bool
note_step(void *arg, const BkcStoreStep *step, BkcError *err)
{
	static const char *const states[] = {"there", "done", "to do", "warning", "failed"};

	return bkc_buffer_printf(arg, err, "%s %s: %s\n", step->what, states[step->state], step->text);
}

static void
assert_says(const BkcBuffer *text, const char *part)
{
	if (strstr(bkc_buffer_str(text), part) == NULL)
		fail_msg("\"%s\" is not in:\n%s", part, bkc_buffer_str(text));
}

static void
assert_finding(BkcStore *store, const char *part)
{
	BkcBuffer	text = {0};
	BkcError	err;

	assert_ok(bkc_store_describe(store, note_finding, &text, &err), &err);
	assert_says(&text, part);
	bkc_buffer_free(&text);
}

static const BkcStoreSetup usual = {
	.versioning = true,
	.encryption = "AES256",
	.noncurrent_days = 30,
	.abort_days = 7,
};

static void
assert_setup(BkcStore *store, const BkcStoreSetup *options, const char *part)
{
	BkcBuffer	text = {0};
	BkcError	err;

	assert_ok(bkc_store_setup(store, options, note_step, &text, &err), &err);
	assert_says(&text, part);
	bkc_buffer_free(&text);
}

/* It fails with such a message, after steps that say so. */
static void
assert_setup_fails(BkcStore *store, const BkcStoreSetup *options, const char *part,
				   const char *message)
{
	BkcBuffer	text = {0};
	BkcError	err;

	assert_false(bkc_store_setup(store, options, note_step, &text, &err));
	assert_says(&text, part);
	if (strstr(err.message, message) == NULL)
		fail_msg("%s", err.message);
	bkc_buffer_free(&text);
}

/* ---- cases ---- */

static void
findings(void **state)
{
	Fixture    *f = *state;
	BkcStore   *locked;

	assert_finding(f->store, "versioning note: off");
	assert_finding(f->store, "encryption note: ");
	assert_finding(f->store, "object lock ok: off");
	assert_finding(f->store, "lifecycle ok: ");
	assert_finding(f->store, "aborted uploads note: ");
	assert_finding(f->store, "unfinished uploads ok: none");

	free(s3server_call(NULL, "versioning", f->bucket, "Enabled", NULL));
	assert_finding(f->store, "versioning ok: on");
	assert_finding(f->store, "lifecycle note: no rule ends former versions");
	free(s3server_call(NULL, "versioning", f->bucket, "Suspended", NULL));
	assert_finding(f->store, "versioning note: off");

	locked = s3server_open(S3_HTTP_PATH, f->bucket, PREFIX,
						   "&lock_mode=governance&lock_days=1&sse=AES256");
	assert_finding(locked, "object lock warning: off");
	assert_finding(locked, "encryption ok: AES256, by the repository's URL");
	bkc_store_close(locked);
}

static void
no_bucket(void **state)
{
	BkcStore   *store = s3server_open(S3_HTTP_PATH, "unit-no-such-bucket", PREFIX, "");
	BkcBuffer	text = {0};
	BkcError	err;

	assert_code(bkc_store_describe(store, note_finding, &text, &err), &err, BKC_ERR_STATE);
	assert_non_null(strstr(err.hint, "repo-setup"));
	bkc_store_close(store);
	bkc_buffer_free(&text);
}

/* Rules of others: which ones are a danger to the repository? */
static void
rules_of_others(void **state)
{
#define RULE(filter, action) \
	"<Rule><ID>theirs</ID>" filter "<Status>Enabled</Status>" action "</Rule>"
#define PREFIX_FILTER(text)	"<Filter><Prefix>" text "</Prefix></Filter>"
#define EXPIRE	"<Expiration><Days>5</Days></Expiration>"
#define FREEZE	"<Transition><Days>5</Days><StorageClass>GLACIER</StorageClass></Transition>"
#define COOL	"<Transition><Days>5</Days><StorageClass>STANDARD_IA</StorageClass></Transition>"
#define TAGS	"<Filter><And><Prefix>repo/</Prefix><Tag><Key>a</Key><Value>b c</Value></Tag>" \
	"<Tag><Key>d</Key><Value>e</Value></Tag></And></Filter>"
	static const struct
	{
		const char *rule;
		const char *more;		/* of the URL */
		const char *finding;
	}			cases[] = {
		{RULE(PREFIX_FILTER("repo/"), EXPIRE), "", "lifecycle warning: rule \"theirs\" removes"},
		{RULE(PREFIX_FILTER(""), EXPIRE), "", "lifecycle warning: rule \"theirs\" removes"},
		{RULE("<Prefix>repo/a/7</Prefix>", EXPIRE), "", "lifecycle warning: rule \"theirs\" removes"},
		{RULE(PREFIX_FILTER("rep"), FREEZE), "", "lifecycle warning: rule \"theirs\" moves objects of the repository to class GLACIER"},
		{RULE(PREFIX_FILTER("repo/"), COOL), "", "lifecycle ok: "},
		{RULE(PREFIX_FILTER("repo/b"), EXPIRE), "", "lifecycle ok: "},
		{RULE(PREFIX_FILTER("other/"), FREEZE), "", "lifecycle ok: "},
		{RULE(TAGS, EXPIRE), "", "lifecycle ok: "},
		{RULE(TAGS, EXPIRE), "&tags=x:y;d:e;a:b%20c", "lifecycle warning: rule \"theirs\" removes"},
		{RULE(TAGS, EXPIRE), "&tags=d:e;a:b", "lifecycle ok: "},
		{RULE(PREFIX_FILTER("repo/"), "<AbortIncompleteMultipartUpload><DaysAfterInitiation>3</DaysAfterInitiation></AbortIncompleteMultipartUpload>"), "", "aborted uploads ok: rule \"theirs\" ends unfinished uploads after 3 days"},
		{RULE(PREFIX_FILTER("repo/a/b"), "<AbortIncompleteMultipartUpload><DaysAfterInitiation>3</DaysAfterInitiation></AbortIncompleteMultipartUpload>"), "", "aborted uploads note: "},
	};
	Fixture    *f = *state;
	BkcStoreSetup options = usual;

	options.versioning = false;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		BkcStore   *store = s3server_open(S3_HTTP_PATH, f->bucket, PREFIX, cases[i].more);
		bool		harm = strstr(cases[i].finding, "warning") != NULL;

		free(s3server_call(NULL, "lifecycle", f->bucket, cases[i].rule, NULL));
		assert_finding(store, cases[i].finding);
		if (harm)
			assert_setup_fails(store, &options, "lifecycle failed: rule \"theirs\"", "lifecycle");
		else
			assert_setup(store, &options, "lifecycle done: rule \"pg_backupctl-clean-up-");
		bkc_store_close(store);
	}
}

/* Asserts that the bucket has these rules of others, as the server writes them. */
static void
assert_rules(const Fixture *f, const char *part, bool there)
{
	char	   *xml = s3server_call(NULL, "lifecycle", f->bucket, NULL);

	if ((strstr(xml, part) != NULL) != there)
		fail_msg("%s", xml);
	free(xml);
}

/*
 * Rules of others survive, also one whose filter the server writes in a way
 * that it does not read; and those of another repository in the bucket.
 */
static void
others_are_kept(void **state)
{
	static const char theirs[] =
		"<Rule><ID>and</ID><Filter><And><Prefix>logs/&amp;</Prefix><Tag><Key>a</Key><Value>b</Value></Tag>"
		"<Tag><Key>c</Key><Value>d</Value></Tag></And></Filter><Status>Enabled</Status>" EXPIRE "</Rule>"
		"<Rule><ID>off</ID><Filter><Prefix>repo/</Prefix></Filter><Status>Disabled</Status>" EXPIRE "</Rule>";
	Fixture    *f = *state;
	BkcStore   *neighbour = s3server_open(S3_HTTP_PATH, f->bucket, "repo/b", "");
	BkcStoreSetup options = usual;

	free(s3server_call(NULL, "lifecycle", f->bucket, theirs, NULL));
	assert_setup(neighbour, &usual, "lifecycle done: rule \"pg_backupctl-clean-up-");
	options.ntransitions = 1;
	options.transitions[0] = (BkcStoreTransition) {"STANDARD_IA", 40};
	assert_setup(f->store, &options, "lifecycle done: rule \"pg_backupctl-transition-");
	for (int round = 0; round < 2; round++)
	{
		/* the prefix is still the condition beside the tags */
		assert_rules(f, "<ID>and</ID><Filter><Prefix>logs/&amp;</Prefix><And><Tag><Key>a</Key><Value>b</Value></Tag>", true);
		assert_rules(f, "<ID>off</ID><Filter><Prefix>repo/</Prefix></Filter><Status>Disabled</Status>", true);
		assert_rules(f, "<Prefix>repo/a/</Prefix>", true);
		assert_rules(f, "<Prefix>repo/b/</Prefix>", true);
		assert_rules(f, "<NoncurrentDays>30</NoncurrentDays>", true);
		assert_rules(f, "<NoncurrentDays>60</NoncurrentDays>", round == 1);
		assert_rules(f, "STANDARD_IA", round == 0);

		/* another time, without the transition */
		options.noncurrent_days = 60;
		options.ntransitions = 0;
		assert_setup(f->store, &options, round == 0 ? "lifecycle done: rule \"pg_backupctl-clean-up-"
					 : "lifecycle there: rule \"pg_backupctl-clean-up-");
	}
	assert_setup(f->store, &options, "lifecycle there: 3 rules of others are left alone");
	bkc_store_close(neighbour);
}

static void
from_nothing(void **state)
{
	char		bucket[S3_BUCKET_MAX];
	char		expected[128];
	uint32_t	random;
	BkcStore   *store;
	BkcStoreSetup options = usual;
	BkcError	err;
	char	   *text;
	bool		ok;

	assert_ok(bkc_random(&random, sizeof(random), &err), &err);
	snprintf(bucket, sizeof(bucket), "unit-new-%08x", random);
	store = s3server_open(S3_HTTP_PATH, bucket, PREFIX, "");
	options.dry_run = true;
	snprintf(expected, sizeof(expected), "bucket to do: \"%s\" would be made", bucket);
	assert_setup(store, &options, expected);
	text = s3server_call(&ok, "list", bucket, NULL);
	assert_false(ok);
	free(text);
	options.dry_run = false;
	assert_setup(store, &options, "versioning done: was turned on");
	assert_setup(store, &options, "bucket there: ");
	assert_setup(store, &options, "versioning there: ");
	assert_setup(store, &options, "encryption warning: the server does not know it");
	options.asked = BKC_SETUP_ENCRYPTION;
	assert_setup_fails(store, &options, "encryption failed: ", "encryption");
	options = usual;
	options.versioning = false;
	assert_setup(store, &options, "versioning done: was turned off");

	/* Ceph can turn it on only when a bucket is made */
	options = usual;
	options.object_lock = true;
	assert_setup_fails(store, &options, "object lock failed: ", "object lock");
	bkc_store_close(store);

	snprintf(bucket, sizeof(bucket), "unit-lock-%08x", random);
	store = s3server_open(S3_HTTP_PATH, bucket, PREFIX, "&lock_mode=governance&lock_days=1");
	assert_setup(store, &usual, "object lock there: is on");
	assert_finding(store, "object lock ok: on");
	assert_ok(store_put(store, "a", "x", 1, 0, &err), &err);
	bkc_store_close(store);
}

/* ---- answers that this server does not give ---- */

static void
odd_answers(void **state)
{
	static const struct
	{
		const char *fault;
		const char *finding;
		const char *step;
	}			cases[] = {
		{"{\"match\": \"versioning=\", \"status\": 403, \"body\": \"<Error><Code>AccessDenied</Code></Error>\"}",
			"versioning note: could not be asked (s3:GetBucketVersioning is not allowed)",
			"versioning warning: could not be asked (s3:GetBucketVersioning is not allowed)"},
		{"{\"match\": \"lifecycle=\", \"status\": 403, \"body\": \"<Error><Code>AccessDenied</Code></Error>\"}",
			"lifecycle note: could not be asked (s3:GetLifecycleConfiguration is not allowed)",
			"lifecycle warning: could not be asked (s3:GetLifecycleConfiguration is not allowed)"},
		{"{\"match\": \"uploads=\", \"status\": 403, \"body\": \"<Error><Code>AccessDenied</Code></Error>\"}",
			"unfinished uploads note: could not be asked (s3:ListBucketMultipartUploads or s3:ListMultipartUploadParts is not allowed)",
			"bucket there"},
		{"{\"match\": \"encryption=\", \"status\": 501, \"body\": \"<Error><Code>NotImplemented</Code></Error>\"}",
			"encryption note: the server does not know it", "encryption warning: the server does not know it"},
		{"{\"match\": \"versioning=\", \"status\": 405}",
			"versioning note: the server does not know it", "versioning warning: the server does not know it"},
		{"{\"match\": \"GET .*encryption=\", \"status\": 404, \"body\": \"<Error><Code>ServerSideEncryptionConfigurationNotFoundError</Code></Error>\"}",
			"encryption note: off", "encryption warning: S3 answered 400 InvalidArgument"},
		{"{\"match\": \"encryption=\", \"status\": 200, \"body\": \"<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>\"}",
			"encryption ok: aws:kms", "encryption there: is aws:kms"},
		{"{\"match\": \"lifecycle=\", \"status\": 200, \"body\": \"<LifecycleConfiguration><Regel/></LifecycleConfiguration>\"}",
			"lifecycle note: no rule ends", "lifecycle warning: the rules that are there are of an unknown kind"},
	};
	Fixture    *f = *state;
	S3Proxy		proxy = {.pid = 0};
	BkcStore   *store;
	char		more[64];

	s3proxy_start(&proxy);
	snprintf(more, sizeof(more), "&endpoint=http://127.0.0.1:%d", proxy.port);
	store = s3server_open(S3_HTTP_PATH, f->bucket, PREFIX, more);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		s3proxy_set(&proxy, cases[i].fault);
		assert_finding(store, cases[i].finding);
		assert_setup(store, &usual, cases[i].step);
	}
	bkc_store_close(store);
	s3proxy_stop(&proxy);
}

/* ---- old uploads ---- */

static char *
begin(const Fixture *f, const char *key)
{
	char	   *id = s3server_call(NULL, "begin", f->bucket, key, NULL);

	id[strcspn(id, "\n")] = '\0';
	return id;
}

static void
tidy(void **state)
{
	Fixture    *f = *state;
	uint64_t	n;
	char	   *uploads;
	BkcError	err;

	free(begin(f, PREFIX "/7/wal/x"));
	free(begin(f, PREFIX "/7/wal/x"));
	free(begin(f, PREFIX "/7/backups/y"));
	free(begin(f, PREFIX "/8/z"));
	free(begin(f, PREFIX "/7/not ours"));
	free(begin(f, "else/7/x"));
	assert_ok(bkc_store_tidy(f->store, "7/", BKC_STORE_OLD_SECONDS, &n, &err), &err);
	assert_int_equal(n, 0);
	assert_finding(f->store, "unfinished uploads ok: none");
	assert_ok(bkc_store_tidy(f->store, "7/", 0, &n, &err), &err);
	assert_int_equal(n, 3);
	assert_ok(bkc_store_tidy(f->store, "7/", 0, &n, &err), &err);
	assert_int_equal(n, 0);
	uploads = s3server_call(NULL, "uploads", f->bucket, NULL);
	assert_null(strstr(uploads, "/7/wal/"));
	assert_non_null(strstr(uploads, PREFIX "/8/z"));
	assert_non_null(strstr(uploads, "not ours"));
	assert_non_null(strstr(uploads, "else/7/x"));
	free(uploads);

	/* an upload without parts counts from its begin */
	free(begin(f, PREFIX "/7/wal/x"));
	for (int i = 0; i < 600 && n == 0; i++)
	{
		assert_ok(bkc_store_tidy(f->store, "7/", 1, &n, &err), &err);
		(void) poll(NULL, 0, 50);
	}
	assert_int_equal(n, 1);
}

/* ---- all versions ---- */

static void
assert_versions(const Fixture *f, const char *key, int expected)
{
	char	   *text = s3server_call(NULL, "versions", f->bucket, key, NULL);
	int			n = 0;

	for (const char *p = text; *p != '\0'; p++)
		n += *p == '\n';
	if (n != expected)
		fail_msg("%d versions rather than %d:\n%s", n, expected, text);
	free(text);
}

static void
versions(void **state)
{
	static const char *const names[] = {"keys/one", "keys/two"};
	Fixture    *f = *state;
	BkcError	err;

	/* before versions, with them, without them again */
	assert_ok(store_put(f->store, "keys/one", "0", 1, 0, &err), &err);
	free(s3server_call(NULL, "versioning", f->bucket, "Enabled", NULL));
	for (int i = 0; i < 3; i++)
	{
		assert_ok(bkc_store_remove(f->store, names, 2, &err), &err);
		assert_ok(store_put(f->store, "keys/one", "1", 1, 0, &err), &err);
	}
	assert_ok(store_put(f->store, "keys/one-more", "2", 1, 0, &err), &err);
	assert_ok(store_put(f->store, "keys/one/below", "3", 1, 0, &err), &err);
	free(s3server_call(NULL, "versioning", f->bucket, "Suspended", NULL));
	assert_ok(bkc_store_remove(f->store, names, 1, &err), &err);
	assert_versions(f, PREFIX "/keys/one", 9);
	assert_absent(f->store, "keys/one");

	assert_ok(bkc_store_remove_versions(f->store, names, 2, &err), &err);
	assert_versions(f, PREFIX "/keys/one", 2);
	assert_versions(f, PREFIX "/keys/two", 0);
	assert_names(f->store, "", true, "keys/one-more keys/one/below ");
	assert_ok(bkc_store_remove_versions(f->store, names, 2, &err), &err);
}

/* Versions of names that are not there any more, below a folder and nowhere else. */
static void
former(void **state)
{
	static const char *const names[] = {"keys/a/one", "keys/a/two", "keys/ab"};
	Fixture    *f = *state;
	BkcError	err;

	free(s3server_call(NULL, "versioning", f->bucket, "Enabled", NULL));
	for (int i = 0; i < 2; i++)
	{
		for (int k = 0; k < 3; k++)
			assert_ok(store_put(f->store, names[k], "1", 1, 0, &err), &err);
		assert_ok(bkc_store_remove(f->store, names, 3, &err), &err);
	}
	assert_ok(store_put(f->store, "keys/a/three", "1", 1, 0, &err), &err);
	assert_names(f->store, "", true, "keys/a/three ");
	assert_versions(f, PREFIX "/keys/", 13);
	assert_code(bkc_store_remove_former(f->store, "", &err), &err, BKC_ERR_INVALID);
	assert_ok(bkc_store_remove_former(f->store, "keys/a/", &err), &err);
	assert_versions(f, PREFIX "/keys/a/", 0);
	assert_versions(f, PREFIX "/keys/", 4);
	assert_ok(bkc_store_remove_former(f->store, "keys/a/", &err), &err);
}

/* A server that passes over the question for versions: the object goes all the same. */
static void
no_versions(void **state)
{
	static const char *const faults[] = {
		"{\"match\": \"GET .*versions=\", \"status\": 200, \"body\": \"<ListBucketResult></ListBucketResult>\"}",
		"{\"match\": \"GET .*versions=\", \"status\": 501, \"body\": \"<Error><Code>NotImplemented</Code></Error>\"}",
	};
	static const char *const names[] = {"keys/one"};
	Fixture    *f = *state;
	S3Proxy		proxy = {.pid = 0};
	BkcStore   *store;
	char		more[64];
	BkcError	err;

	s3proxy_start(&proxy);
	snprintf(more, sizeof(more), "&endpoint=http://127.0.0.1:%d", proxy.port);
	store = s3server_open(S3_HTTP_PATH, f->bucket, PREFIX, more);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
	{
		s3proxy_set(&proxy, faults[i]);
		assert_ok(store_put(f->store, names[0], "1", 1, 0, &err), &err);
		assert_ok(bkc_store_remove_versions(store, names, 1, &err), &err);
		assert_absent(f->store, names[0]);
	}
	s3proxy_set(&proxy, "{\"match\": \"GET .*versions=\", \"status\": 403, \"body\": \"<Error><Code>AccessDenied</Code></Error>\"}");
	assert_ok(store_put(f->store, names[0], "1", 1, 0, &err), &err);
	assert_code(bkc_store_remove_versions(store, names, 1, &err), &err, BKC_ERR_ACCESS);
	assert_non_null(strstr(err.message, "s3:ListBucketVersions"));
	assert_object(f->store, names[0], "1", 1);
	bkc_store_close(store);
	s3proxy_stop(&proxy);
}

static void
locked_versions(void **state)
{
	static const char *const names[] = {"keys/free", "keys/locked", "keys/behind"};
	Fixture		f;
	BkcStore   *plain;
	BkcError	err;
	char		until[48];
	int64_t		day = bkc_host->now() + INT64_C(86400) * 1000000;

	s3server_bucket(f.bucket, true);
	plain = s3server_open(S3_HTTP_PATH, f.bucket, PREFIX, "");
	f.store = s3server_open(S3_HTTP_PATH, f.bucket, PREFIX, "&lock_mode=governance&lock_days=1");
	assert_ok(store_put(f.store, "keys/locked", "1", 1, 0, &err), &err);
	assert_ok(store_put(plain, "keys/free", "1", 1, 0, &err), &err);
	assert_ok(store_put(plain, "keys/behind", "1", 1, 0, &err), &err);
	assert_ok(bkc_store_remove(plain, names, 3, &err), &err);
	assert_names(plain, "", true, "");
	assert_code(bkc_store_remove_versions(plain, names, 3, &err), &err, BKC_ERR_STATE);

	/* the day, which the clock may have passed meanwhile */
	bkc_format_moment(day, false, until, sizeof(until));
	until[10] = '\0';
	assert_non_null(strstr(err.message, "keys/locked"));
	assert_non_null(strstr(err.message, "is locked until "));
	assert_non_null(strstr(err.message, until));
	assert_true(err.hint[0] != '\0');

	/* what was removed does not come to light again */
	assert_names(plain, "", true, "");
	assert_versions(&f, PREFIX "/keys/free", 0);
	assert_versions(&f, PREFIX "/keys/locked", 2);
	assert_versions(&f, PREFIX "/keys/behind", 2);
	bkc_store_close(plain);
	bkc_store_close(f.store);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(findings),
		cmocka_unit_test(no_bucket),
		TEST(rules_of_others),
		TEST(others_are_kept),
		cmocka_unit_test(from_nothing),
		TEST(odd_answers),
		TEST(tidy),
		TEST(versions),
		TEST(former),
		TEST(no_versions),
		cmocka_unit_test(locked_versions),
	};
	int			status;

	if (!s3server_there(&status))
		return status;
	status = cmocka_run_group_tests(tests, NULL, NULL);
	s3server_end();
	return status;
}
