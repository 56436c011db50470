/*
 * test_notify.c
 *		Alarms: what they look like whatever their texts hold, and how they go out by HTTP.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/text.h"
#include "httpstub.h"
#include "notify/send.h"

static HttpStub stub;
static BkcError err;

static const BkcNotice plain = {
	.id = 7, .at = INT64_C(1795996981123456), .kind = "backup", .severity = "critical",
	.result = "failed", .repository = "main", .schedule = "nightly", .actor = "schedule",
	.message = "no space left", .cluster = "prod", .host = "db1"
};

/* ---- messages ---- */

static const char *
subject(const BkcNotice *notice)
{
	static BkcBuffer out;

	bkc_buffer_reset(&out);
	assert_true(bkc_notice_subject(notice, &out, &err));
	return bkc_buffer_str(&out);
}

static const char *
mail(const BkcNotice *notice)
{
	static BkcBuffer out;

	bkc_buffer_reset(&out);
	assert_true(bkc_notice_mail(notice, "a@b.example", "x@y.example,  z@y.example", &out, &err));
	return bkc_buffer_str(&out);
}

/* The text in Slack's object. */
static const char *
slack(const BkcNotice *notice)
{
	static char text[65536];
	BkcBuffer	out = {0};
	json_t	   *object;

	assert_true(bkc_notice_slack(notice, &out, &err));
	object = json_loads(bkc_buffer_str(&out), 0, NULL);
	assert_non_null(object);
	assert_int_equal(json_object_size(object), 1);
	snprintf(text, sizeof(text), "%s", json_string_value(json_object_get(object, "text")));
	json_decref(object);
	bkc_buffer_free(&out);
	return text;
}

/* A mail's body, decoded; every line of it is checked on the way. */
static const char *
body(const char *text)
{
	static char out[65536];
	static char joined[65536];
	const char *p = strstr(text, "\r\n\r\n");
	size_t		n = 0;
	size_t		got;

	assert_non_null(p);
	for (p += 4; *p != '\0'; p += 2)
	{
		size_t		len = strcspn(p, "\r");

		assert_true(len <= 76);
		assert_true(n + len < sizeof(joined));
		memcpy(joined + n, p, len);
		n += len;
		p += len;
		assert_memory_equal(p, "\r\n", 2);
	}
	assert_true(bkc_base64_decode(joined, n, (uint8_t *) out, sizeof(out) - 1, &got));
	out[got] = '\0';
	return out;
}

static void
assert_headers(const char *text)
{
	static const char *const known[] = {"Date: ", "From: ", "To: ", " ", "Subject: ", "Message-ID: ",
		"Auto-Submitted: ", "MIME-Version: ", "Content-Type: ", "Content-Transfer-Encoding: "
	};

	for (const char *p = text; memcmp(p, "\r\n", 2) != 0; p += 2)
	{
		size_t		len = strcspn(p, "\r\n");
		bool		found = false;

		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			found = found || strncmp(p, known[i], strlen(known[i])) == 0;
		if (!found)
			fail_msg("header \"%.*s\"", (int) len, p);
		for (size_t i = 0; i < len; i++)
			assert_in_range((unsigned char) p[i], 0x20, 0x7e);
		assert_true(len < 998);
		p += len;
		assert_memory_equal(p, "\r\n", 2);
	}
}

static void
test_plain(void **state)
{
	const char *text = mail(&plain);

	assert_string_equal(subject(&plain), "critical: backup failed, schedule nightly on db1 (prod)");
	assert_headers(text);
	assert_non_null(strstr(text, "Date: 30 Nov 2026 00:03:01 +0000"));
	assert_non_null(strstr(text, "To: x@y.example,\r\n z@y.example\r\n"));
	assert_non_null(strstr(text, "Subject: [pg_backupctl] critical: backup failed"));
	assert_non_null(strstr(body(text), "\r\n\r\nno space left\r\n\r\nwhen: 2026-11-"));
	assert_non_null(strstr(body(text), "repository: main\r\n"));
	assert_non_null(strstr(slack(&plain), "no space left\n\nwhen: "));
}

static void
test_recovery(void **state)
{
	BkcNotice	n = plain;

	n.recovery = true;
	n.schedule = NULL;
	assert_string_equal(subject(&n), "recovered: backup is well again on db1 (prod)");
}

static void
test_injection(void **state)
{
	BkcNotice	n = plain;

	n.schedule = "x\r\nBcc: evil@example.com\r\n\r\nhello";
	n.host = "db1\nX-Evil: 1";
	n.message = "a\r\n.\r\nQUIT\r\n\x1b[31m\x01";
	n.repository = "main\r\nforged: yes";
	assert_headers(mail(&n));
	assert_null(strchr(subject(&n), '\n'));
	assert_null(strstr(mail(&n), "\nBcc:"));
	assert_null(strstr(body(mail(&n)), "\nforged"));
	assert_null(strchr(body(mail(&n)), '\x1b'));
	assert_null(strchr(slack(&n), '\x1b'));

	/* what looks like an encoded word is none */
	n.schedule = "=?UTF-8?Q?evil?=";
	assert_null(strstr(mail(&n), "?Q?"));
	assert_headers(mail(&n));
}

static void
test_markup(void **state)
{
	BkcNotice	n = plain;

	n.message = "<!channel> & <https://evil.example|click> \"quoted\" \\ back";
	assert_non_null(strstr(slack(&n), "&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt; \"quoted\" \\ back"));
	assert_null(strchr(slack(&n), '<'));
}

static void
test_utf8(void **state)
{
	BkcNotice	n = plain;

	n.schedule = "n\xc3\xa4" "chtlich \xe2\x82\xac \xf0\x9f\x98\x80";
	n.message = "R\xc3\xbc" "ckw\xc3\xa4rts";
	assert_headers(mail(&n));
	assert_non_null(strstr(mail(&n), "Subject: =?UTF-8?B?"));
	assert_non_null(strstr(body(mail(&n)), n.message));
	assert_non_null(strstr(slack(&n), n.schedule));

	/* what is none does no harm */
	n.message = "bad \xff\xc3 bytes";
	assert_non_null(strstr(slack(&n), "bad ?? bytes"));
	n.host = "\xff";
	assert_headers(mail(&n));
}

static void
test_long(void **state)
{
	BkcNotice	n = plain;
	char	   *text = malloc(20001);

	for (int i = 0; i < 20000; i += 2)
		memcpy(text + i, "\xc3\xa4", 2);
	text[20000] = '\0';
	n.message = n.schedule = n.host = n.label = text;
	assert_true(strlen(subject(&n)) < 200);
	assert_true(bkc_utf8_valid(subject(&n), strlen(subject(&n))));
	assert_headers(mail(&n));
	assert_true(bkc_utf8_valid(body(mail(&n)), strlen(body(mail(&n)))));
	assert_true(strlen(slack(&n)) < 20000);
	free(text);
}

static void
test_addresses(void **state)
{
	static const char *const bad[] = {"", "a", "a@", "@b", "a@b,", "a@b,,c@d", "a@b\r\nBcc: c@d",
		"A <a@b>", "a@b c@d", "\"a\"@b", "-a@b", "a@b@c", "a@b;c@d", "\xc3\xa4@b"
	};

	assert_true(bkc_mail_addresses("a@b.c", "to", NULL, NULL, &err));
	assert_true(bkc_mail_addresses(" a.b+c@d , e@f ", "to", NULL, NULL, &err));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(bkc_mail_addresses(bad[i], "to", NULL, NULL, &err));
}

/* ---- targets ---- */

static char secret_path[64];

static void
write_secret(const char *text, mode_t mode)
{
	int			fd = open(secret_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t) strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static int
set_up(void **state)
{
	snprintf(secret_path, sizeof(secret_path), "/tmp/bkc-notify-%d", (int) getpid());
	httpstub_restart(&stub);
	return 0;
}

static int
tear_down(void **state)
{
	unlink(secret_path);
	return 0;
}

static int
tear_down_all(void **state)
{
	httpstub_stop(&stub);
	return 0;
}

static bool
checks(BkcTargetKind kind, const char *url)
{
	BkcTarget	t = {.kind = kind, .url = url, .from = "a@b.c", .to = "d@e.f"};

	return bkc_target_check(&t, &err);
}

static void
test_check(void **state)
{
	assert_true(checks(BKC_TARGET_WEBHOOK, "https://x.example/hook?a=b"));
	assert_true(checks(BKC_TARGET_WEBHOOK, "http://127.0.0.1:8080/"));
	assert_true(checks(BKC_TARGET_WEBHOOK, "http://[::1]:8080/"));
	assert_true(checks(BKC_TARGET_EMAIL, "smtp://mail.example:587"));
	assert_false(checks(BKC_TARGET_WEBHOOK, "http://x.example/"));
	assert_false(checks(BKC_TARGET_WEBHOOK, "http://127.0.0.1.x.example/"));
	assert_false(checks(BKC_TARGET_WEBHOOK, "http://127.0.0.1@x.example/"));
	assert_false(checks(BKC_TARGET_WEBHOOK, "http://localhost\\@x.example/"));
	assert_false(checks(BKC_TARGET_WEBHOOK, "https://x.example/ b"));
	assert_false(checks(BKC_TARGET_WEBHOOK, "https:///x"));
	assert_false(checks(BKC_TARGET_WEBHOOK, "ftp://x.example/"));
	assert_false(checks(BKC_TARGET_WEBHOOK, "smtps://x.example"));
	assert_false(checks(BKC_TARGET_EMAIL, "https://x.example"));
	assert_false(checks(BKC_TARGET_EMAIL, "smtp://mail.example/x"));
}

/* One attempt at the stand-in. */
static bool
sends(const char *path, bool with_secret, int timeout_ms, int *wait_s)
{
	char		url[256];
	BkcTarget	t = {.kind = BKC_TARGET_WEBHOOK, .timeout_ms = timeout_ms};

	snprintf(url, sizeof(url), "%s%s", stub.url, path);
	t.url = url;
	t.secret_file = with_secret ? secret_path : NULL;
	return bkc_target_send(&t, &plain, "{\"a\":1}", wait_s, &err);
}

static void
test_http(void **state)
{
	int			wait_s;

	write_secret("s3cret\n", 0600);
	httpstub_on(&stub, "POST", "/ok", 204, "");
	assert_true(sends("/ok", true, 0, &wait_s));
	assert_non_null(strstr(stub.shared->last, "Authorization: Bearer s3cret\r\n"));
	assert_non_null(strstr(stub.shared->last, "Content-Type: application/json\r\n"));
	assert_non_null(strstr(stub.shared->last, "\r\n\r\n{\"a\":1}"));
	write_secret("s3cret\n", 0644);
	assert_false(sends("/ok", true, 0, &wait_s));
	assert_int_equal(err.code, BKC_ERR_ACCESS);
	write_secret("s3\ncret\n", 0600);
	assert_false(sends("/ok", true, 0, &wait_s));
	assert_null(strstr(err.message, "cret\n"));
}

static void
test_http_errors(void **state)
{
	int			wait_s;
	HttpStubRule *rule;

	write_secret("s3cret\n", 0600);
	httpstub_on(&stub, "POST", "/403", 403, "your token s3cret is bad");
	assert_false(sends("/403", true, 0, &wait_s));
	assert_int_equal(err.code, BKC_ERR_ACCESS);
	assert_null(strstr(err.detail, "s3cret"));
	httpstub_on(&stub, "POST", "/400", 400, "no\nsuch channel");
	assert_false(sends("/400", true, 0, &wait_s));
	assert_int_equal(err.code, BKC_ERR_INVALID);
	assert_string_equal(err.detail, "The server says: no such channel");
	rule = httpstub_on(&stub, "POST", "/429", 429, "");
	snprintf(rule->headers, sizeof(rule->headers), "Retry-After: 17\r\n");
	assert_false(sends("/429", false, 0, &wait_s));
	assert_int_equal(err.code, BKC_ERR_UNAVAILABLE);
	assert_int_equal(wait_s, 17);
	rule = httpstub_on(&stub, "POST", "/302", 302, "");
	snprintf(rule->headers, sizeof(rule->headers), "Location: %s/ok\r\n", stub.url);
	assert_false(sends("/302", false, 0, &wait_s));
	assert_int_equal(err.code, BKC_ERR_INVALID);
	assert_int_equal(wait_s, 0);
	rule = httpstub_on(&stub, "POST", "/hang", 200, "");
	rule->how = STUB_HANG;
	assert_false(sends("/hang", false, 300, &wait_s));
	assert_int_equal(err.code, BKC_ERR_TIMEOUT);
	rule = httpstub_on(&stub, "POST", "/reset", 200, "");
	rule->how = STUB_RESET;
	assert_false(sends("/reset", false, 0, &wait_s));
	assert_int_equal(err.code, BKC_ERR_UNAVAILABLE);
}

/* The URL itself is the secret. */
static void
test_secret_url(void **state)
{
	char		url[256];
	BkcTarget	t = {.kind = BKC_TARGET_SLACK, .secret_file = secret_path};
	int			wait_s;

	snprintf(url, sizeof(url), "%s/T0/hidden", stub.url);
	write_secret(url, 0600);
	httpstub_on(&stub, "POST", "/T0/hidden", 200, "ok");
	assert_true(bkc_target_send(&t, &plain, "{}", &wait_s, &err));
	assert_non_null(strstr(stub.shared->last, "{\"text\":\"critical: backup failed"));
	assert_null(strstr(stub.shared->last, "Authorization"));
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/T0/hidden", httpstub_dead_port());
	write_secret(url, 0600);
	assert_false(bkc_target_send(&t, &plain, "{}", &wait_s, &err));
	assert_null(strstr(err.message, "hidden"));
	assert_null(strstr(err.detail, "hidden"));
	write_secret("http://x.example/T0/hidden", 0600);
	assert_false(bkc_target_send(&t, &plain, "{}", &wait_s, &err));
	assert_null(strstr(err.message, "hidden"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_recovery),
		cmocka_unit_test(test_injection),
		cmocka_unit_test(test_markup),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test_setup_teardown(test_check, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_http, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_http_errors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_secret_url, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("notify", tests, NULL, tear_down_all);
}
