/*
 * test_format_documents.c
 *		The small JSON objects.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "format/documents.h"
#include "format/envelope.h"

#define SYSID	UINT64_C(18446744073709551615)
#define LABEL	"20261120T120301Z-full-7f3a"
#define NAME	"1/some/object"
#define OWNER	"18446744073709551615/owner/00000017"

static BkcClusterDoc
sample_cluster(void)
{
	BkcClusterDoc doc = {.system_identifier = SYSID, .name = "prod", .pg_version_num = 150020,
	.created = INT64_C(1795176181123456)};

	return doc;
}

static BkcBeginDoc
sample_begin(void)
{
	BkcBeginDoc doc = {.label = LABEL, .type = "full", .system_identifier = SYSID,
		.owner = "0123456789abcdef0123456789abcdef", .host = "db1",
	.start_time = INT64_C(1795176181000000)};

	return doc;
}

static BkcVerifyNote
sample_note(void)
{
	BkcVerifyNote note = {.label = LABEL, .time = INT64_C(1795176182000001), .level = "files",
		.ok = false, .files = 1291, .bytes = UINT64_C(1) << 53, .failures = 2,
	.first_failure = "frame 7 is damaged"};

	return note;
}

static BkcOwnerDoc
sample_owner(void)
{
	BkcOwnerDoc doc = {.number = 17, .system_identifier = SYSID,
		.owner = "0123456789abcdef0123456789abcdef", .host = "db1",
		.data_directory = "/var/lib/postgresql/15/main", .timeline = 3,
		.lsn = UINT64_C(0x1736000028), .session = UINT64_C(0x0123456789ABCDEF),
		.time = INT64_C(1795176181000007), .reason = "takeover", .by = "alice"};

	return doc;
}

static void
cluster_round_trip(void **state)
{
	BkcClusterDoc doc = sample_cluster();
	BkcClusterDoc back;
	BkcBuffer	out = {0};
	BkcError	err;

	assert_true(bkc_clusterdoc_encode(&doc, &out, &err));
	assert_string_equal(bkc_buffer_str(&out),
						"{\"pg_backupctl_cluster\":1,"
						"\"system_identifier\":\"18446744073709551615\",\"name\":\"prod\","
						"\"pg_version_num\":150020,\"created\":\"2026-11-20T12:03:01.123456Z\"}");
	assert_true(bkc_clusterdoc_decode(bkc_buffer_str(&out), out.len, NAME, &back, &err));
	assert_true(back.system_identifier == SYSID);
	assert_string_equal(back.name, "prod");
	assert_int_equal(back.pg_version_num, 150020);
	assert_true(back.created == doc.created);
	bkc_buffer_free(&out);
}

static void
begin_round_trip(void **state)
{
	BkcBeginDoc doc = sample_begin();
	BkcBeginDoc back;
	BkcBuffer	out = {0};
	BkcError	err;

	assert_true(bkc_begindoc_encode(&doc, &out, &err));
	assert_string_equal(bkc_buffer_str(&out),
						"{\"pg_backupctl_begin\":1,\"label\":\"" LABEL "\",\"type\":\"full\","
						"\"system_identifier\":\"18446744073709551615\","
						"\"owner\":\"0123456789abcdef0123456789abcdef\",\"host\":\"db1\","
						"\"start_time\":\"2026-11-20T12:03:01.000000Z\"}");
	assert_true(bkc_begindoc_decode(bkc_buffer_str(&out), out.len, NAME, &back, &err));
	assert_memory_equal(&back, &doc, sizeof(doc));

	memcpy(doc.parent, "20261119T120301Z-full-0000", 27);
	bkc_buffer_reset(&out);
	assert_true(bkc_begindoc_encode(&doc, &out, &err));
	assert_true(bkc_begindoc_decode(bkc_buffer_str(&out), out.len, NAME, &back, &err));
	assert_string_equal(back.parent, doc.parent);
	bkc_buffer_free(&out);
}

static void
note_round_trip(void **state)
{
	BkcVerifyNote note = sample_note();
	BkcVerifyNote back;
	BkcBuffer	out = {0};
	BkcError	err;

	assert_true(bkc_verifynote_encode(&note, &out, &err));
	assert_true(bkc_verifynote_decode(bkc_buffer_str(&out), out.len, NAME, &back, &err));
	assert_string_equal(back.label, LABEL);
	assert_true(back.time == note.time);
	assert_string_equal(back.level, "files");
	assert_false(back.ok);
	assert_true(back.files == 1291 && back.bytes == UINT64_C(1) << 53 && back.failures == 2);
	assert_string_equal(back.first_failure, note.first_failure);

	note.ok = true;
	note.failures = 0;
	note.first_failure[0] = '\0';
	bkc_buffer_reset(&out);
	assert_true(bkc_verifynote_encode(&note, &out, &err));
	assert_true(bkc_verifynote_decode(bkc_buffer_str(&out), out.len, NAME, &back, &err));
	assert_true(back.ok);
	assert_string_equal(back.first_failure, "");
	bkc_buffer_free(&out);
}

static void
owner_round_trip(void **state)
{
	BkcOwnerDoc doc = sample_owner();
	BkcOwnerDoc back;
	BkcBuffer	out = {0};
	BkcError	err;

	assert_true(bkc_ownerdoc_encode(&doc, &out, &err));
	assert_string_equal(bkc_buffer_str(&out),
						"{\"pg_backupctl_owner\":1,"
						"\"system_identifier\":\"18446744073709551615\",\"number\":17,"
						"\"owner\":\"0123456789abcdef0123456789abcdef\",\"host\":\"db1\","
						"\"data_directory\":\"/var/lib/postgresql/15/main\",\"timeline\":3,"
						"\"lsn\":\"17/36000028\",\"session\":\"0123456789abcdef\","
						"\"time\":\"2026-11-20T12:03:01.000007Z\","
						"\"reason\":\"takeover\",\"by\":\"alice\"}");
	if (!bkc_ownerdoc_decode(bkc_buffer_str(&out), out.len, OWNER, &back, &err))
		fail_msg("%s", err.message);
	assert_memory_equal(&back, &doc, sizeof(doc));

	/* the server itself, the longest texts, the first and the last number */
	memset(&doc.by, 0, sizeof(doc.by));
	memset(doc.data_directory + 1, 0xFF, sizeof(doc.data_directory) - 2);
	memset(doc.host, 'h', sizeof(doc.host) - 1);
	doc.number = 99999999;
	doc.lsn = 0;
	doc.session = 1;
	bkc_buffer_reset(&out);
	assert_true(bkc_ownerdoc_encode(&doc, &out, &err));
	assert_true(bkc_ownerdoc_decode(bkc_buffer_str(&out), out.len,
									"18446744073709551615/owner/99999999", &back, &err));
	assert_memory_equal(&back, &doc, sizeof(doc));
	doc.number = 1;
	bkc_buffer_reset(&out);
	assert_true(bkc_ownerdoc_encode(&doc, &out, &err));
	assert_true(bkc_ownerdoc_decode(bkc_buffer_str(&out), out.len,
									"18446744073709551615/owner/00000001", &back, &err));

	/* adopted by a successor */
	memset(doc.reason, 0, sizeof(doc.reason));
	memcpy(doc.reason, "adopted", 8);
	doc.successor = 7435718529102938471u;
	bkc_buffer_reset(&out);
	assert_true(bkc_ownerdoc_encode(&doc, &out, &err));
	assert_non_null(strstr(bkc_buffer_str(&out), ",\"successor\":\"7435718529102938471\"}"));
	assert_true(bkc_ownerdoc_decode(bkc_buffer_str(&out), out.len,
									"18446744073709551615/owner/00000001", &back, &err));
	assert_memory_equal(&back, &doc, sizeof(doc));

	/* under the name of another number or cluster it counts for nothing */
	assert_false(bkc_ownerdoc_decode(bkc_buffer_str(&out), out.len,
									 "18446744073709551615/owner/00000002", &back, &err));
	assert_int_equal(err.code, BKC_ERR_CORRUPT);
	assert_false(bkc_ownerdoc_decode(bkc_buffer_str(&out), out.len,
									 "1844674407370955161/owner/00000001", &back, &err));
	assert_int_equal(err.code, BKC_ERR_CORRUPT);
	bkc_buffer_free(&out);
}

static void
owner_refuses(void **state)
{
	const BkcOwnerDoc good = sample_owner();
	BkcOwnerDoc doc;
	BkcOwnerDoc back;
	BkcBuffer	out = {0};
	BkcError	err;

#define REFUSED(change, field) \
	doc = good; \
	change; \
	bkc_error_clear(&err); \
	assert_false(bkc_ownerdoc_encode(&doc, &out, &err)); \
	assert_int_equal(err.code, BKC_ERR_INVALID); \
	assert_non_null(strstr(err.message, field)); \
	assert_int_equal(out.len, 0)

	REFUSED(doc.number = 0, "number");
	REFUSED(doc.number = 100000000, "number");
	REFUSED(doc.system_identifier = 0, "system_identifier");
	REFUSED(doc.owner[0] = '\0', "owner");
	REFUSED(doc.owner[3] = 'X', "owner");
	REFUSED(memset(doc.owner, 'a', sizeof(doc.owner)), "owner");
	REFUSED(memset(doc.host, 'a', sizeof(doc.host)), "host");
	REFUSED(doc.data_directory[0] = 'v', "data_directory");
	REFUSED(doc.data_directory[0] = '\0', "data_directory");
	REFUSED(memset(doc.data_directory, '/', sizeof(doc.data_directory)), "data directory");
	REFUSED(doc.timeline = 0, "timeline");
	REFUSED(doc.session = 0, "session");
	REFUSED(doc.time = -1, "time");
	REFUSED(doc.reason[0] = '\0', "reason");
	REFUSED(doc.reason[0] = 'T', "reason");
	REFUSED(memset(doc.reason, 'a', sizeof(doc.reason)), "reason");
	REFUSED(memset(doc.by, 'a', sizeof(doc.by)), "role");
	REFUSED(doc.successor = 1, "successor");
	REFUSED(memcpy(doc.reason, "adopted", 8), "successor");
	REFUSED(memcpy(doc.reason, "adopted", 8); doc.successor = doc.system_identifier, "successor");

	/* later versions and fields are not guessed at; every beginning is refused */
	assert_true(bkc_ownerdoc_encode(&good, &out, &err));
	for (size_t len = 0; len < out.len; len++)
		assert_false(bkc_ownerdoc_decode(bkc_buffer_str(&out), len, OWNER, &back, &err));
	out.len--;
	assert_true(bkc_buffer_append_str(&out, ",\"until\":1}", &err));
	assert_false(bkc_ownerdoc_decode(bkc_buffer_str(&out), out.len, OWNER, &back, &err));
	assert_non_null(strstr(err.message, "until"));
	bkc_buffer_reset(&out);
	assert_true(bkc_buffer_append_str(&out, "{\"pg_backupctl_owner\":2}", &err));
	assert_false(bkc_ownerdoc_decode(bkc_buffer_str(&out), out.len, OWNER, &back, &err));
	assert_int_equal(err.code, BKC_ERR_UNSUPPORTED);
	bkc_buffer_free(&out);
}

/* A text cut in the middle of a character, quotes, control characters, the longest text. */
static void
any_text_survives(void **state)
{
	BkcVerifyNote note = sample_note();
	BkcVerifyNote back;
	BkcBuffer	out = {0};
	BkcError	err;
	size_t		i;

	static const char *const texts[] = {
		"", "\xc3\xa4", "\xc3", "a\"b\\c\nd\x01", "\xff\xfe", "\xed\xa0\x80", "/"
	};

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
	{
		memset(note.first_failure, 0, sizeof(note.first_failure));
		memcpy(note.first_failure, texts[i], strlen(texts[i]));
		bkc_buffer_reset(&out);
		assert_true(bkc_verifynote_encode(&note, &out, &err));
		assert_true(bkc_verifynote_decode(bkc_buffer_str(&out), out.len, NAME, &back, &err));
		assert_string_equal(back.first_failure, texts[i]);
	}
	memset(note.first_failure, 'x', sizeof(note.first_failure) - 1);
	bkc_buffer_reset(&out);
	assert_true(bkc_verifynote_encode(&note, &out, &err));
	assert_true(bkc_verifynote_decode(bkc_buffer_str(&out), out.len, NAME, &back, &err));
	assert_string_equal(back.first_failure, note.first_failure);

	/* without its zero byte it is no text */
	note.first_failure[sizeof(note.first_failure) - 1] = 'x';
	assert_false(bkc_verifynote_encode(&note, &out, &err));
	assert_int_equal(err.code, BKC_ERR_INVALID);
	bkc_buffer_free(&out);
}

static void
encode_refuses(void **state)
{
	BkcClusterDoc cluster = sample_cluster();
	BkcBeginDoc begin = sample_begin();
	BkcVerifyNote note = sample_note();
	BkcBuffer	out = {0};
	BkcError	err;

	cluster.system_identifier = 0;
	assert_false(bkc_clusterdoc_encode(&cluster, &out, &err));
	begin.label[0] = 'x';
	assert_false(bkc_begindoc_encode(&begin, &out, &err));
	begin = sample_begin();
	memset(begin.owner, 0, sizeof(begin.owner));
	assert_false(bkc_begindoc_encode(&begin, &out, &err));
	assert_non_null(strstr(err.message, "owner"));
	begin.owner[0] = 'X';
	assert_false(bkc_begindoc_encode(&begin, &out, &err));
	begin = sample_begin();
	begin.parent[0] = 'x';
	assert_false(bkc_begindoc_encode(&begin, &out, &err));
	note.ok = true;
	assert_false(bkc_verifynote_encode(&note, &out, &err));
	note = sample_note();
	note.bytes++;
	assert_false(bkc_verifynote_encode(&note, &out, &err));
	assert_int_equal(err.code, BKC_ERR_INVALID);
	assert_int_equal(out.len, 0);
	bkc_buffer_free(&out);
}

#define CLUSTER_HEAD	"{\"pg_backupctl_cluster\":1,\"system_identifier\":\"5\""
#define TIME			"\"2026-11-20T12:03:01.000000Z\""
#define CLUSTER_TAIL	",\"name\":\"\",\"pg_version_num\":1,\"created\":" TIME "}"

static void
cluster_refuses(void **state)
{
	static const struct
	{
		const char *text;
		BkcErrorCode code;
		const char *message;
	}			cases[] = {
		{"", BKC_ERR_CORRUPT, "not valid JSON"},
		{"{", BKC_ERR_CORRUPT, "not valid JSON"},
		{"[]", BKC_ERR_CORRUPT, "not a JSON object"},
		{"7", BKC_ERR_CORRUPT, "not valid JSON"},
		{"null", BKC_ERR_CORRUPT, "not valid JSON"},
		{"{}", BKC_ERR_CORRUPT, "\"pg_backupctl_cluster\" is missing"},
		{"{\"pg_backupctl_begin\":1}", BKC_ERR_CORRUPT, "\"pg_backupctl_cluster\" is missing"},
		{"{\"pg_backupctl_cluster\":2}", BKC_ERR_UNSUPPORTED, "has version 2"},
		{"{\"pg_backupctl_cluster\":0}", BKC_ERR_CORRUPT, "out of range"},
		{"{\"pg_backupctl_cluster\":\"1\"}", BKC_ERR_CORRUPT, "not an integer"},
		{"{\"pg_backupctl_cluster\":1.0}", BKC_ERR_CORRUPT, "not an integer"},
		{"{\"pg_backupctl_cluster\":99999999999999999999}", BKC_ERR_CORRUPT, "not valid JSON"},
		{CLUSTER_HEAD CLUSTER_TAIL "x", BKC_ERR_CORRUPT, "not valid JSON"},
		{CLUSTER_HEAD ",\"more\":1" CLUSTER_TAIL, BKC_ERR_CORRUPT, "field \"more\""},
		{CLUSTER_HEAD ",\"Mo re\":1" CLUSTER_TAIL, BKC_ERR_CORRUPT, "misplaced field"},
		{CLUSTER_HEAD ",\"name\":\"\"" CLUSTER_TAIL, BKC_ERR_CORRUPT, "not valid JSON: duplicate"},
		{CLUSTER_HEAD ",\"name_hex\":\"ff\"" CLUSTER_TAIL, BKC_ERR_CORRUPT, "field \"name_hex\""},
		{"{\"pg_backupctl_cluster\":1" CLUSTER_TAIL, BKC_ERR_CORRUPT,
		"\"system_identifier\" is missing"},
		{"{\"pg_backupctl_cluster\":1,\"system_identifier\":5" CLUSTER_TAIL, BKC_ERR_CORRUPT,
		"\"system_identifier\" is not a string"},
		{"{\"pg_backupctl_cluster\":1,\"system_identifier\":\"05\"" CLUSTER_TAIL, BKC_ERR_CORRUPT,
		"not a system identifier"},
		{"{\"pg_backupctl_cluster\":1,\"system_identifier\":\"0\"" CLUSTER_TAIL, BKC_ERR_CORRUPT,
		"not a system identifier"},
		{CLUSTER_HEAD ",\"name\":7,\"pg_version_num\":1,\"created\":" TIME "}", BKC_ERR_CORRUPT,
		"\"name\" is not a string"},
		{CLUSTER_HEAD ",\"name\":\"a\\u0000b\",\"pg_version_num\":1,\"created\":" TIME "}",
		BKC_ERR_CORRUPT, "not valid JSON"},
		{CLUSTER_HEAD ",\"name\":\"\xff\",\"pg_version_num\":1,\"created\":" TIME "}",
		BKC_ERR_CORRUPT, "not valid JSON"},
		{CLUSTER_HEAD ",\"name_hex\":\"41\",\"pg_version_num\":1,\"created\":" TIME "}",
		BKC_ERR_CORRUPT, "\"name_hex\" is not hex of bytes that are not UTF-8"},
		{CLUSTER_HEAD ",\"name_hex\":\"f\",\"pg_version_num\":1,\"created\":" TIME "}",
		BKC_ERR_CORRUPT, "\"name_hex\" is not hex"},
		{CLUSTER_HEAD ",\"name_hex\":\"ff00\",\"pg_version_num\":1,\"created\":" TIME "}",
		BKC_ERR_CORRUPT, "\"name_hex\" is not hex"},
		{CLUSTER_HEAD ",\"name\":\"\",\"pg_version_num\":-1,\"created\":" TIME "}",
		BKC_ERR_CORRUPT, "\"pg_version_num\" is out of range"},
		{CLUSTER_HEAD ",\"name\":\"\",\"pg_version_num\":4294967296,\"created\":" TIME "}",
		BKC_ERR_CORRUPT, "\"pg_version_num\" is out of range"},
		{CLUSTER_HEAD ",\"name\":\"\",\"pg_version_num\":1,\"created\":\"yesterday\"}",
		BKC_ERR_CORRUPT, "\"created\" is not a time"},
		{CLUSTER_HEAD ",\"name\":\"\",\"pg_version_num\":1,\"created\":true}",
		BKC_ERR_CORRUPT, "\"created\" is not a string"},
	};
	BkcClusterDoc doc;
	BkcError	err;
	size_t		i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		bkc_error_clear(&err);
		assert_false(bkc_clusterdoc_decode(cases[i].text, strlen(cases[i].text), NAME, &doc, &err));
		if (err.code != cases[i].code || strstr(err.message, cases[i].message) == NULL)
			fail_msg("case %zu: %s: \"%s\"", i, bkc_error_code_name(err.code), err.message);
		assert_non_null(strstr(err.message, "object \"" NAME "\""));
	}
	assert_true(bkc_clusterdoc_decode(CLUSTER_HEAD CLUSTER_TAIL,
									  strlen(CLUSTER_HEAD CLUSTER_TAIL), NAME, &doc, &err));
}

/* Only notes may have fields of later versions. */
static void
unknown_fields(void **state)
{
	BkcBeginDoc begin = sample_begin();
	BkcVerifyNote note = sample_note();
	BkcBuffer	out = {0};
	BkcError	err;

	assert_true(bkc_verifynote_encode(&note, &out, &err));
	out.len--;
	assert_true(bkc_buffer_append_str(&out, ",\"colour\":\"green\"}", &err));
	assert_true(bkc_verifynote_decode(bkc_buffer_str(&out), out.len, NAME, &note, &err));

	bkc_buffer_reset(&out);
	assert_true(bkc_begindoc_encode(&begin, &out, &err));
	out.len--;
	assert_true(bkc_buffer_append_str(&out, ",\"colour\":\"green\"}", &err));
	assert_false(bkc_begindoc_decode(bkc_buffer_str(&out), out.len, NAME, &begin, &err));
	assert_int_equal(err.code, BKC_ERR_CORRUPT);
	assert_non_null(strstr(err.message, "colour"));
	bkc_buffer_free(&out);
}

/*
 * A document has no hash of its own: the frame it is stored in has one.  So
 * each changed bit of the stored form is noticed there, and the text reader
 * must only never crash and never take what is impossible.
 */
static void
each_bit_of_a_stored_document_counts(void **state)
{
	BkcBeginDoc doc = sample_begin();
	BkcEnvelope env = {.version = BKC_FORMAT_VERSION, .kind = BKC_KIND_BEGIN};
	uint8_t		header[BKC_FRAME_HEADER_SIZE];
	BkcFrameHeader hdr;
	BkcBuffer	out = {0};
	BkcError	err;
	uint64_t	seed = bkc_frame_seed(&env, NAME);
	size_t		bit;

	assert_true(bkc_begindoc_encode(&doc, &out, &err));
	memset(&hdr, 0, sizeof(hdr));
	hdr.stored_len = hdr.plain_len = (uint32_t) out.len;
	hdr.type = BKC_FRAME_DATA;
	hdr.flags = BKC_FRAME_LAST | BKC_FRAME_STORED;
	bkc_frame_encode(&hdr, out.data, seed, header);
	for (bit = 0; bit < out.len * 8; bit++)
	{
		BkcBeginDoc back;

		out.data[bit / 8] ^= (uint8_t) (1 << bit % 8);
		assert_false(bkc_frame_check(&hdr, out.data, seed, NAME, &err));
		if (bkc_begindoc_decode((char *) out.data, out.len, NAME, &back, &err))
		{
			assert_true(bkc_label_valid(back.label));
			assert_true(back.system_identifier != 0);
		}
		out.data[bit / 8] ^= (uint8_t) (1 << bit % 8);
	}
	bkc_buffer_free(&out);
}

/* Every beginning of a document is refused. */
static void
cut_documents(void **state)
{
	BkcVerifyNote note = sample_note();
	BkcBuffer	out = {0};
	BkcError	err;
	size_t		len;

	assert_true(bkc_verifynote_encode(&note, &out, &err));
	for (len = 0; len < out.len; len++)
	{
		/* a block of exactly that size, so that a read beyond it is noticed */
		char	   *copy = malloc(len + 1);

		assert_non_null(copy);
		memcpy(copy, out.data, len);
		copy[len] = '}';
		assert_false(bkc_verifynote_decode(copy, len, NAME, &note, &err));
		free(copy);
	}
	bkc_buffer_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cluster_round_trip),
		cmocka_unit_test(begin_round_trip),
		cmocka_unit_test(note_round_trip),
		cmocka_unit_test(owner_round_trip),
		cmocka_unit_test(owner_refuses),
		cmocka_unit_test(any_text_survives),
		cmocka_unit_test(encode_refuses),
		cmocka_unit_test(cluster_refuses),
		cmocka_unit_test(unknown_fields),
		cmocka_unit_test(each_bit_of_a_stored_document_counts),
		cmocka_unit_test(cut_documents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
