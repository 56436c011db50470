/*
 * message.c
 *		See message.h.
 */
#include "notify/message.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define SUBJECT_MAX		160		/* bytes */
#define TEXT_MAX_BYTES	3000	/* Slack cuts longer ones itself, anywhere */
#define WORD_BYTES		45		/* of an encoded word: 75 columns with what is around it */
#define LINE_BYTES		57		/* 76 columns in base64 */
#define ADDRESS_MAX		254		/* RFC 5321 */

/* ---- texts ---- */

/* Append what is UTF-8 and no control character; the rest becomes a question mark or a blank. */
static bool
append_clean(BkcBuffer *out, const char *text, size_t max, bool lines, BkcError *err)
{
	size_t		len = strlen(text);
	bool		valid = bkc_utf8_valid(text, len);
	size_t		n = (size_t) bkc_text_clip(text, len, max);

	for (size_t i = 0; i < n; i++)
	{
		unsigned char c = (unsigned char) text[i];

		if (c == '\n' && lines)
			c = '\n';
		else if (c < 0x20 || c == 0x7f)
			c = ' ';
		else if (c >= 0x80 && !valid)
			c = '?';
		if (!bkc_buffer_append(out, &c, 1, err))
			return false;
	}
	return n == len || bkc_buffer_append_str(out, "...", err);
}

bool
bkc_notice_subject(const BkcNotice *notice, BkcBuffer *out, BkcError *err)
{
	BkcBuffer	raw = {0};
	bool		ok;

	ok = notice->test
		? bkc_buffer_printf(&raw, err, "test of pg_backupctl's alarms")
		: bkc_buffer_printf(&raw, err, "%s: %s %s",
							notice->recovery ? "recovered" : notice->severity, notice->kind,
							notice->recovery ? "is well again" : notice->result);
	if (ok && notice->schedule != NULL)
		ok = bkc_buffer_printf(&raw, err, ", schedule %s", notice->schedule);
	if (ok && notice->host != NULL)
		ok = bkc_buffer_printf(&raw, err, " on %s", notice->host);
	if (ok && notice->cluster != NULL)
		ok = bkc_buffer_printf(&raw, err, " (%s)", notice->cluster);
	ok = ok && append_clean(out, bkc_buffer_str(&raw), SUBJECT_MAX, false, err);
	bkc_buffer_free(&raw);
	return ok;
}

static bool
append_field(BkcBuffer *out, const char *name, const char *value, BkcError *err)
{
	return value == NULL || value[0] == '\0' ||
		(bkc_buffer_printf(out, err, "%s: ", name) &&
		 append_clean(out, value, TEXT_MAX_BYTES, false, err) &&
		 bkc_buffer_append_str(out, "\n", err));
}

/* What follows the subject: the message, and a line for each thing known. */
static bool
append_body(BkcBuffer *out, const BkcNotice *notice, BkcError *err)
{
	char		at[32];

	bkc_format_moment(notice->at, false, at, sizeof(at));
	return append_clean(out, notice->message != NULL ? notice->message : "", TEXT_MAX_BYTES, true,
						err) &&
		bkc_buffer_append_str(out, "\n\n", err) &&
		append_field(out, "when", at, err) &&
		append_field(out, "severity", notice->severity, err) &&
		append_field(out, "kind", notice->kind, err) &&
		append_field(out, "result", notice->result, err) &&
		append_field(out, "repository", notice->repository, err) &&
		append_field(out, "backup", notice->label, err) &&
		append_field(out, "schedule", notice->schedule, err) &&
		append_field(out, "by", notice->actor, err) &&
		append_field(out, "cluster", notice->cluster, err) &&
		append_field(out, "host", notice->host, err) &&
		(notice->id == 0 ||
		 bkc_buffer_printf(out, err, "event: %lld\n", (long long) notice->id));
}

/* ---- Slack ---- */

/* Otherwise <!channel> in a file's name calls everybody. */
static bool
append_slack(BkcBuffer *out, const char *text, BkcError *err)
{
	for (; *text != '\0'; text++)
	{
		bool		ok = *text == '&' ? bkc_buffer_append_str(out, "&amp;", err)
			: *text == '<' ? bkc_buffer_append_str(out, "&lt;", err)
			: *text == '>' ? bkc_buffer_append_str(out, "&gt;", err)
			: bkc_buffer_append(out, text, 1, err);

		if (!ok)
			return false;
	}
	return true;
}

bool
bkc_notice_slack(const BkcNotice *notice, BkcBuffer *out, BkcError *err)
{
	BkcBuffer	plain = {0};
	BkcBuffer	text = {0};
	json_t	   *string = NULL;
	char	   *json = NULL;
	bool		ok;

	ok = bkc_notice_subject(notice, &plain, err) &&
		bkc_buffer_append_str(&plain, "\n", err) &&
		append_body(&plain, notice, err) &&
		append_slack(&text, bkc_buffer_str(&plain), err);
	if (ok)
	{
		/* json_object() would be the server's function of that name */
		string = json_string(bkc_buffer_str(&text));
		json = string == NULL ? NULL : json_dumps(string, JSON_ENCODE_ANY | JSON_COMPACT);
		ok = json == NULL ? bkc_error_oom(err) : bkc_buffer_printf(out, err, "{\"text\":%s}", json);
	}
	free(json);
	json_decref(string);
	bkc_buffer_free(&plain);
	bkc_buffer_free(&text);
	return ok;
}

/* ---- mail ---- */

static bool
append_base64(BkcBuffer *out, const char *data, size_t len, BkcError *err)
{
	char		text[4 * ((LINE_BYTES + 2) / 3) + 1];

	bkc_base64_encode((const uint8_t *) data, len, text);
	return bkc_buffer_append_str(out, text, err);
}

/* The rest of a header line: as it is, or as words of RFC 2047, folded. */
static bool
append_header_text(BkcBuffer *out, const char *text, BkcError *err)
{
	bool		plain = strstr(text, "=?") == NULL;
	size_t		len = strlen(text);

	for (size_t i = 0; i < len && plain; i++)
		plain = (unsigned char) text[i] >= 0x20 && (unsigned char) text[i] < 0x7f;
	if (plain)
		return bkc_buffer_append_str(out, text, err);
	while (len > 0)
	{
		size_t		n = (size_t) bkc_text_clip(text, len, WORD_BYTES);

		if (!bkc_buffer_append_str(out, "=?UTF-8?B?", err) ||
			!append_base64(out, text, n, err) ||
			!bkc_buffer_append_str(out, n < len ? "?=\r\n " : "?=", err))
			return false;
		text += n;
		len -= n;
	}
	return true;
}

/* "20 Nov 2026 12:03:01 +0000" */
static bool
append_date(BkcBuffer *out, int64_t at, BkcError *err)
{
	static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug",
	"Sep", "Oct", "Nov", "Dec"};
	char		text[32];
	size_t		month;

	bkc_format_time(at, text, sizeof(text));
	month = (size_t) (text[5] - '0') * 10 + (size_t) (text[6] - '0') - 1;
	return bkc_buffer_printf(out, err, "Date: %.2s %s %.4s %.8s +0000\r\n", text + 8,
							 months[month % 12], text, text + 11);
}

static bool
append_address(void *arg, const char *address, BkcError *err)
{
	BkcBuffer  *out = ((void **) arg)[0];
	int		   *n = ((void **) arg)[1];

	/* one a line, so that no line is too long */
	return bkc_buffer_printf(out, err, "%s%s", (*n)++ > 0 ? ",\r\n " : "", address);
}

static bool
append_lines_base64(BkcBuffer *out, const BkcBuffer *body, BkcError *err)
{
	for (size_t done = 0; done < body->len; done += LINE_BYTES)
	{
		size_t		n = body->len - done < LINE_BYTES ? body->len - done : LINE_BYTES;

		if (!append_base64(out, (const char *) body->data + done, n, err) ||
			!bkc_buffer_append_str(out, "\r\n", err))
			return false;
	}
	return true;
}

bool
bkc_notice_mail(const BkcNotice *notice, const char *from, const char *to, BkcBuffer *out,
				BkcError *err)
{
	const char *domain = strchr(from, '@');
	BkcBuffer	subject = {0};
	BkcBuffer	text = {0};
	BkcBuffer	body = {0};
	uint64_t	unique;
	int			n = 0;
	void	   *arg[2] = {out, &n};
	bool		ok;

	ok = bkc_random(&unique, sizeof(unique), err) &&
		bkc_buffer_append_str(&subject, "[pg_backupctl] ", err) &&
		bkc_notice_subject(notice, &subject, err) &&
		bkc_notice_subject(notice, &text, err) &&
		bkc_buffer_append_str(&text, "\n\n", err) &&
		append_body(&text, notice, err);

	/* text has lines that end with CR LF, whatever it is packed in */
	for (size_t i = 0; i < text.len && ok; i++)
		ok = text.data[i] == '\n' ? bkc_buffer_append(&body, "\r\n", 2, err)
			: bkc_buffer_append(&body, text.data + i, 1, err);
	ok = ok && append_date(out, notice->at, err) &&
		bkc_buffer_printf(out, err, "From: %s\r\nTo: ", from) &&
		bkc_mail_addresses(to, "to", append_address, arg, err) &&
		bkc_buffer_append_str(out, "\r\nSubject: ", err) &&
		append_header_text(out, bkc_buffer_str(&subject), err) &&
		bkc_buffer_printf(out, err, "\r\nMessage-ID: <%lld.%016llx%s>\r\n", (long long) notice->id,
						  (unsigned long long) unique, domain != NULL ? domain : "@localhost") &&
		bkc_buffer_append_str(out,
							  "Auto-Submitted: auto-generated\r\n"
							  "MIME-Version: 1.0\r\n"
							  "Content-Type: text/plain; charset=UTF-8\r\n"
							  "Content-Transfer-Encoding: base64\r\n\r\n", err) &&
		append_lines_base64(out, &body, err);
	bkc_buffer_free(&subject);
	bkc_buffer_free(&text);
	bkc_buffer_free(&body);
	return ok;
}

static bool
address_is_plain(const char *address)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_+=~!#$%&'*/?^{|}`";
	const char *at = strchr(address, '@');
	size_t		local = strspn(address, letters);

	return at != NULL && address[0] != '-' && local > 0 && address + local == at && at[1] != '\0' &&
		at[1 + strspn(at + 1, letters)] == '\0';
}

bool
bkc_mail_addresses(const char *list, const char *what,
				   bool (*take) (void *arg, const char *address, BkcError *err),
				   void *arg, BkcError *err)
{
	for (const char *p = list;; p++)
	{
		char		address[ADDRESS_MAX + 1];
		size_t		len;

		p += strspn(p, " ");
		len = strcspn(p, ",");
		if (len > ADDRESS_MAX)
			return bkc_error_set(err, BKC_ERR_INVALID, "an address in \"%s\" is too long", what);
		memcpy(address, p, len);
		p += len;
		while (len > 0 && address[len - 1] == ' ')
			len--;
		address[len] = '\0';
		if (!address_is_plain(address))
		{
			bkc_error_set(err, BKC_ERR_INVALID, "\"%s\" is not a list of mail addresses", what);
			return bkc_error_hint(err, "Write plain addresses, separated by commas, as in dba@example.com, ops@example.com.");
		}
		if (take != NULL && !take(arg, address, err))
			return false;
		if (*p == '\0')
			return true;
	}
}
