/*
 * test_format_hostile.c
 *		Manifest lines that nobody but an attacker, or a bug, would write.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "manifest_sample.h"

/* For reading's sake lines and messages stand here with ' in place of ". */
static char *
quoted(const char *text, size_t *len)
{
	char	   *copy;
	size_t		i;

	*len = strlen(text);
	copy = malloc(*len + 1);
	assert_non_null(copy);
	for (i = 0; i <= *len; i++)
		copy[i] = text[i] == '\'' ? '"' : text[i];
	return copy;
}

static bool
says(const BkcError *err, const char *message)
{
	size_t		len;
	char	   *copy = quoted(message, &len);
	bool		found = strstr(err->message, copy) != NULL;

	free(copy);
	return found;
}

/* ---- entries ---- */

#define SHA		"'sha256':'00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff'"
#define X		"{'root':'pgdata','path':'x',"
#define HEAD	X "'type':'file','mode':'0600','mtime':1,"
#define DHEAD	X "'type':'dir',"
#define ONE		"'size':1," SHA ","
#define PIECE	"{'pack':'1-0','first':0,'frames':1}"

/* An entry of type dir with that root and path. */
#define DIR(root, path) \
	"{'root':'" root "','path':" path ",'type':'dir','mode':'0700','mtime':1}"

static const struct
{
	const char *line;
	const char *message;		/* NULL: accepted */
}			entry_cases[] = {
	{HEAD ONE "'pieces':[" PIECE "]}", NULL},
	{HEAD "'size':0," SHA "}", NULL},
	{DIR("pgdata", "'a/b'"), NULL},
	{DIR("tablespace/16385", "'PG_15_1'"), NULL},
	{" " HEAD "'size':0," SHA "} ", NULL},
	/* JSON */
	{"", "not valid JSON"},
	{" ", "not valid JSON"},
	{"[]", "not a JSON object"},
	{"'root'", "not valid JSON"},
	{"{}", "unknown kind of line"},
	{"{'note':1}", "unknown kind of line"},
	{"{'root':'pgdata'", "not valid JSON"},
	{"{'root':'pgdata'}{}", "not valid JSON"},
	{"{'root':'pgdata','root':'pgdata'}", "duplicate"},
	{"{'root':'pgdata\xff'}", "not valid JSON"},
	{HEAD "'size':0," SHA ",'owner':'x'}", "misplaced field 'owner'"},
	{HEAD "'size':0," SHA ",'target':'x'}", "misplaced field 'target'"},
	{HEAD "'size':0," SHA ",'end':true}", "misplaced field 'end'"},
	/* root */
	{DIR("", "'a'"), "unknown root"},
	{DIR("PGDATA", "'a'"), "unknown root"},
	{DIR("pgdata/", "'a'"), "unknown root"},
	{DIR("tablespace", "'PG_1'"), "unknown root"},
	{DIR("tablespace/", "'PG_1'"), "unknown root"},
	{DIR("tablespace/0", "'PG_1'"), "unknown root"},
	{DIR("tablespace/016385", "'PG_1'"), "unknown root"},
	{DIR("tablespace/4294967296", "'PG_1'"), "unknown root"},
	{DIR("tablespace/16385x", "'PG_1'"), "unknown root"},
	{DIR("tablespace/16386", "'PG_1'"), "tablespace 16386 is not in the header"},
	{DIR("tablespace/16385", "'pg_1'"), "does not begin with 'PG_'"},
	{DIR("tablespace/16385", "'x/PG_1'"), "does not begin with 'PG_'"},
	{"{'root':1}", "'root' is not a string"},
	{"{'root':null}", "'root' is not a string"},
	/* paths */
	{DIR("pgdata", "''"), "path is not safe"},
	{DIR("pgdata", "'/etc/passwd'"), "path is not safe"},
	{DIR("pgdata", "'..'"), "path is not safe"},
	{DIR("pgdata", "'a/../../b'"), "path is not safe"},
	{DIR("pgdata", "'.'"), "path is not safe"},
	{DIR("pgdata", "'a/./b'"), "path is not safe"},
	{DIR("pgdata", "'a//b'"), "path is not safe"},
	{DIR("pgdata", "'a/'"), "path is not safe"},
	{DIR("config", "'/etc'"), "path is not safe"},
	{DIR("tablespace/16385", "'PG_1/../x'"), "path is not safe"},
	{DIR("pgdata", "'a\\u0000b'"), "not valid JSON"},
	{DIR("pgdata", "'\\ud800'"), "not valid JSON"},
	{DIR("pgdata", "7"), "'path' is not a string"},
	{DIR("pgdata", "'a','path_hex':'ff'"), "misplaced field 'path_hex'"},
	{"{'root':'pgdata','type':'dir','mode':'0700','mtime':1}", "'path' is missing"},
	{"{'root':'pgdata','path_hex':'2e2e','type':'dir','mode':'0700','mtime':1}",
	"'path_hex' is not hex of bytes that are not UTF-8"},
	{"{'root':'pgdata','path_hex':'2e2e2fff','type':'dir','mode':'0700','mtime':1}",
	"path is not safe"},
	{"{'root':'pgdata','path_hex':'ff002f','type':'dir','mode':'0700','mtime':1}",
	"'path_hex' is not hex"},
	{"{'root':'pgdata','path_hex':7,'type':'dir','mode':'0700','mtime':1}",
	"'path_hex' is not a string"},
	/* WAL */
	{DIR("wal", "'000000010000000000000001'"), "no segment and no history file"},
	{"{'root':'wal','path':'x','type':'file','mode':'0600','mtime':1,'size':0,"
	SHA "}", "no segment and no history file"},
	{"{'root':'wal','path':'archive_status/000000010000000000000001','type':'file',"
	"'mode':'0600','mtime':1,'size':0," SHA "}", "no segment and no history file"},
	{"{'root':'wal','path':'00000002.history','type':'link','mode':'0777','mtime':1,"
	"'target':'x'}", "no segment and no history file"},
	/* type, mode, mtime */
	{X "'type':'pipe','mode':'0600','mtime':1}",
	"unknown type of entry"},
	{X "'mode':'0600','mtime':1}", "'type' is missing"},
	{DHEAD "'mode':'700','mtime':1}",
	"four octal digits"},
	{DHEAD "'mode':'00700','mtime':1}",
	"four octal digits"},
	{DHEAD "'mode':'0800','mtime':1}",
	"four octal digits"},
	{DHEAD "'mode':448,'mtime':1}",
	"'mode' is not a string"},
	{DHEAD "'mode':'0700'}", "'mtime' is missing"},
	{DHEAD "'mode':'0700','mtime':1.5}",
	"'mtime' is not an integer"},
	{DHEAD "'mode':'0700','mtime':9007199254740993}",
	"'mtime' is out of range"},
	{DHEAD "'mode':'0700','mtime':-9007199254740993}",
	"'mtime' is out of range"},
	/* folders and links */
	{DHEAD "'mode':'0700','mtime':1,'size':0}",
	"misplaced field 'size'"},
	{DHEAD "'mode':'0700','mtime':1,'pieces':[]}",
	"misplaced field 'pieces'"},
	{X "'type':'link','mode':'0777','mtime':1}",
	"'target' is missing"},
	{X "'type':'link','mode':'0777','mtime':1,'target':''}",
	"link target missing"},
	{X "'type':'link','mode':'0777','mtime':1,"
	"'target':'y','size':1}", "misplaced field 'size'"},
	/* size and hash */
	{HEAD SHA "}", "'size' is missing"},
	{HEAD "'size':0}", "'sha256' is missing"},
	{HEAD "'size':-1," SHA "}", "'size' is out of range"},
	{HEAD "'size':'0'," SHA "}", "'size' is not an integer"},
	{HEAD "'size':1e3," SHA "}", "'size' is not an integer"},
	{HEAD "'size':9007199254740993," SHA "}", "'size' is out of range"},
	{HEAD "'size':0,'sha256':'00'}", "'sha256' is not 64 lower-case hex digits"},
	{HEAD "'size':0,'sha256':"
	"'00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff'}",
	"'sha256' is not 64 lower-case hex digits"},
	/* pieces */
	{HEAD ONE "'pieces':[]}", "'pieces' is not a list"},
	{HEAD ONE "'pieces':{}}", "'pieces' is not a list"},
	{HEAD ONE "'pieces':[1]}", "element of 'pieces' is not an object"},
	{HEAD ONE "'pieces':[{}]}", "'pack' is missing"},
	{HEAD "'size':1," SHA "}", "pieces have 0 frames, a file of 1 bytes has 1"},
	{HEAD "'size':0," SHA ",'pieces':[" PIECE "]}", "pieces have 1 frames, a file of 0 bytes"},
	{HEAD ONE "'pieces':[" PIECE "," PIECE "]}", "pieces have 2 frames"},
	{HEAD "'size':1048576," SHA ",'pieces':[" PIECE "]}", NULL},
	{HEAD "'size':1048577," SHA ",'pieces':[" PIECE "]}", "1048577 bytes has 2"},
	{HEAD "'size':9007199254740992," SHA ",'pieces':[" PIECE "]}", "bytes has 8589934592"},
	{HEAD ONE "'pieces':[{'pack':'1','first':0,'frames':1}]}", "not the name of a pack"},
	{HEAD ONE "'pieces':[{'pack':'01-0','first':0,'frames':1}]}", "not the name of a pack"},
	{HEAD ONE "'pieces':[{'pack':'1-0.pack','first':0,'frames':1}]}",
	"not the name of a pack"},
	{HEAD ONE "'pieces':[{'pack':'1-4294967296','first':0,'frames':1}]}",
	"not the name of a pack"},
	{HEAD ONE "'pieces':[{'pack':'../../../../../../../../x','first':0,'frames':1}]}",
	"not the name of a pack"},
	{HEAD ONE "'pieces':[{'pack':'1-0','first':-1,'frames':1}]}", "'first' is out of range"},
	{HEAD ONE "'pieces':[{'pack':'1-0','first':32767,'frames':1}]}", "no pack can have"},
	{HEAD ONE "'pieces':[{'pack':'1-0','first':32766,'frames':1}]}", NULL},
	{HEAD ONE "'pieces':[{'pack':'1-0','first':4294967295,'frames':1}]}", "no pack can have"},
	{HEAD ONE "'pieces':[{'pack':'1-0','first':0,'frames':0}]}", "no pack can have"},
	{HEAD ONE "'pieces':[{'pack':'1-0','first':1,'frames':4294967295}]}", "no pack can have"},
	{HEAD ONE "'pieces':[{'pack':'1-0','first':0,'frames':1,'codec':1}]}",
	"misplaced field 'codec'"},
	{HEAD ONE "'pieces':[{'label':'','pack':'1-0','first':0,'frames':1}]}",
	"'label' is empty"},
	{HEAD ONE "'pieces':[{'label':'../x','pack':'1-0','first':0,'frames':1}]}",
	"cannot be an ancestor"},
	{HEAD ONE "'pieces':[{'label':'" SAMPLE_OLDER "','pack':'1-0','first':0,'frames':1}]}",
	"cannot be an ancestor"},
	/* bad blocks */
	{HEAD "'size':0," SHA ",'bad_blocks':[1],'bad_block_count':1}", NULL},
	{HEAD "'size':0," SHA ",'bad_blocks':[],'bad_block_count':1}", NULL},
	{HEAD "'size':0," SHA ",'bad_blocks':[1]}", "'bad_block_count' is missing"},
	{HEAD "'size':0," SHA ",'bad_block_count':1}", "misplaced field 'bad_block_count'"},
	{HEAD "'size':0," SHA ",'bad_blocks':[1,2],'bad_block_count':1}", "do not match their count"},
	{HEAD "'size':0," SHA ",'bad_blocks':[],'bad_block_count':0}", "out of range"},
	{HEAD "'size':0," SHA ",'bad_blocks':[-1],'bad_block_count':1}", "no block number"},
	{HEAD "'size':0," SHA ",'bad_blocks':[4294967296],'bad_block_count':1}", "no block number"},
	{HEAD "'size':0," SHA ",'bad_blocks':[true],'bad_block_count':1}", "no block number"},
	{HEAD "'size':0," SHA ",'bad_blocks':'1','bad_block_count':1}", "'bad_blocks' is not a list"},
};

/* A reader that has taken the header, and one entry that needs frames 0 and 1 of pack 1-0. */
static BkcManifestReader *
reader_after_entries(SampleLines *l, bool with_entry)
{
	BkcError	err;
	BkcManifestReader *r = bkc_manifest_reader_new(SAMPLE_NAME, &err);
	BkcManifestWriter *w = bkc_manifest_writer_new(&err);
	BkcBuffer	out = {0};

	assert_non_null(r);
	assert_non_null(w);
	sample_put_header(w, &out);
	assert_true(sample_feed(r, (char *) out.data, out.len - 1, l, &err));
	if (with_entry)
	{
		bkc_buffer_reset(&out);
		sample_put_entry(w, sample_file_entry("a", MIB + 1), &out);
		assert_true(sample_feed(r, (char *) out.data, out.len - 1, l, &err));
	}
	bkc_manifest_writer_free(w);
	bkc_buffer_free(&out);
	return r;
}

static void
expect(BkcManifestReader *r, SampleLines *l, const char *text, const char *message)
{
	size_t		len;
	char	   *line = quoted(text, &len);
	BkcError	err;
	bool		ok;

	bkc_error_clear(&err);
	ok = sample_feed(r, line, len, l, &err);
	if (ok != (message == NULL))
		fail_msg("%s: %s\n%s", ok ? "accepted" : "refused", line, err.message);
	if (message != NULL)
	{
		if (!says(&err, message))
			fail_msg("%s\nsaid \"%s\", not \"%s\"", line, err.message, message);
		assert_true(says(&err, "manifest '" SAMPLE_NAME "', line "));

		/* after a failure nothing more is taken */
		assert_false(sample_feed(r, line, len, l, &err));
		assert_int_equal(err.code, BKC_ERR_INTERNAL);
		assert_false(bkc_manifest_reader_finish(r, &err));
		assert_int_equal(err.code, BKC_ERR_CORRUPT);
	}
	free(line);
}

static void
hostile_entries(void **state)
{
	SampleLines l;
	size_t		i;

	memset(&l, 0, sizeof(l));
	for (i = 0; i < sizeof(entry_cases) / sizeof(entry_cases[0]); i++)
	{
		BkcManifestReader *r = reader_after_entries(&l, false);

		expect(r, &l, entry_cases[i].line, entry_cases[i].message);
		bkc_manifest_reader_free(r);
	}
	sample_free_lines(&l);
}

/* ---- packs and trailers ---- */

static void
hostile_packs(void **state)
{
	static const struct
	{
		const char *line;
		const char *message;
	}			cases[] = {
		{"{'pack':'1-0','size':9,'frames':2}", NULL},
		{"{'pack':'1-0','size':9,'frames':1}", "pack 1-0 has 1 frames, but files need 2"},
		{"{'pack':'1-0','size':9,'frames':0}", "cannot have 0 frames"},
		{"{'pack':'1-0','size':9,'frames':32768}", "cannot have 32768 frames"},
		{"{'pack':'1-0','size':0,'frames':2}", "cannot have 0 bytes"},
		{"{'pack':'1-0','size':-9,'frames':2}", "'size' is out of range"},
		{"{'pack':'1-0','size':9}", "'frames' is missing"},
		{"{'pack':'1-0','frames':2}", "'size' is missing"},
		{"{'pack':'1-0','size':9,'frames':2,'x':1}", "misplaced field 'x'"},
		{"{'pack':10,'size':9,'frames':2}", "'pack' is not a string"},
		{"{'pack':'1-0/','size':9,'frames':2}", "not the name of a pack"},
		{"{'pack':'','size':9,'frames':2}", "not the name of a pack"},
	};
	BkcManifestReader *r;
	SampleLines l;
	size_t		i;

	memset(&l, 0, sizeof(l));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		r = reader_after_entries(&l, true);
		expect(r, &l, cases[i].line, cases[i].message);
		bkc_manifest_reader_free(r);
	}

	/* twice; an entry or a header behind a pack */
	r = reader_after_entries(&l, true);
	expect(r, &l, cases[0].line, NULL);
	expect(r, &l, cases[0].line, "pack 1-0 is listed twice");
	bkc_manifest_reader_free(r);
	r = reader_after_entries(&l, true);
	expect(r, &l, cases[0].line, NULL);
	expect(r, &l, HEAD "'size':0," SHA "}", "an entry at a wrong place");
	bkc_manifest_reader_free(r);
	r = reader_after_entries(&l, true);
	expect(r, &l, "{'pg_backupctl_manifest':1}", "unknown kind of line");
	bkc_manifest_reader_free(r);
	sample_free_lines(&l);
}

#define END(end, files, packs) \
	"{'end':" end ",'files':" files ",'dirs':0,'links':0,'packs':" packs "," \
	"'bytes':1048577,'stored_bytes':9,'bad_blocks':0," SHA "}"

static void
hostile_trailers(void **state)
{
	static const struct
	{
		bool		with_pack;
		const char *line;
		const char *message;
	}			cases[] = {
		{true, END("true", "1", "1"), "do not match the SHA-256"},
		{true, END("false", "1", "1"), "'end' is not true"},
		{true, END("1", "1", "1"), "'end' is not true or false"},
		{true, END("true", "2", "1"), "trailer says 2 files, lines before say 1"},
		{true, END("true", "1", "2"), "trailer says 2 packs, lines before say 1"},
		{true, END("true", "-1", "1"), "'files' is out of range"},
		{true, "{'end':true}", "'files' is missing"},
		{false, "{'end':true,'files':1,'dirs':0,'links':0,'packs':0,'bytes':1048577,"
		"'stored_bytes':0,'bad_blocks':0," SHA "}", "files need pack 1-0, which is not listed"},
	};
	BkcManifestReader *r;
	SampleLines l;
	size_t		i;

	memset(&l, 0, sizeof(l));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		r = reader_after_entries(&l, true);
		if (cases[i].with_pack)
			expect(r, &l, "{'pack':'1-0','size':9,'frames':2}", NULL);
		expect(r, &l, cases[i].line, cases[i].message);
		bkc_manifest_reader_free(r);
	}
	sample_free_lines(&l);
}

/* ---- headers ---- */

/* The header with the first occurrence of one text replaced by another. */
static void
changed_header(const char *what, const char *by, BkcBuffer *changed)
{
	BkcError	err;
	BkcManifestWriter *w = bkc_manifest_writer_new(&err);
	BkcBuffer	out = {0};
	size_t		len;
	char	   *from = quoted(what, &len);
	char	   *to = quoted(by, &len);
	const char *p;

	sample_put_header(w, &out);
	out.data[--out.len] = '\0';
	p = strstr(bkc_buffer_str(&out), from);
	if (p == NULL)
		fail_msg("%s is not in the header", from);
	assert_true(bkc_buffer_append(changed, out.data, (size_t) (p - (char *) out.data), &err));
	assert_true(bkc_buffer_append_str(changed, to, &err));
	assert_true(bkc_buffer_append_str(changed, p + strlen(from), &err));
	bkc_manifest_writer_free(w);
	bkc_buffer_free(&out);
	free(from);
	free(to);
}

static void
expect_header(const char *what, const char *by, BkcErrorCode code, const char *message)
{
	BkcError	err;
	BkcManifestReader *r = bkc_manifest_reader_new(SAMPLE_NAME, &err);
	BkcBuffer	changed = {0};
	SampleLines l;
	bool		ok;

	memset(&l, 0, sizeof(l));
	changed_header(what, by, &changed);
	bkc_error_clear(&err);
	ok = sample_feed(r, (char *) changed.data, changed.len, &l, &err);
	if (ok != (code == BKC_OK))
		fail_msg("%s: %s", by, ok ? "accepted" : err.message);
	if (!ok && (err.code != code || !says(&err, message)))
		fail_msg("%s: %s: \"%s\"", by, bkc_error_code_name(err.code), err.message);
	bkc_manifest_reader_free(r);
	bkc_buffer_free(&changed);
	sample_free_lines(&l);
}

static void
hostile_headers(void **state)
{
	static const struct
	{
		const char *what;
		const char *by;
		BkcErrorCode code;
		const char *message;
	}			cases[] = {
		{"'timeline':7", "'timeline':4294967295", BKC_OK, NULL},
		{"_manifest':1", "_manifest':2", BKC_ERR_UNSUPPORTED, "manifest version 2"},
		{"_manifest':1", "_manifest':2,'new':1", BKC_ERR_UNSUPPORTED, "manifest version 2"},
		{"_manifest':1", "_manifest':0", BKC_ERR_CORRUPT, "out of range"},
		{"pg_backupctl_manifest", "x", BKC_ERR_CORRUPT, "not the header"},
		{"'label'", "'more':1,'label'", BKC_ERR_CORRUPT, "misplaced field 'more'"},
		{SAMPLE_LABEL, "../../x", BKC_ERR_CORRUPT, "'label'"},
		{SAMPLE_LABEL, SAMPLE_LABEL "-and-much-more-than-there-is-room-for", BKC_ERR_CORRUPT,
		"'label' is too long"},
		{"'type':'full'", "'type':'incr'", BKC_ERR_CORRUPT, "'type'"},
		{"'type':'full'", "'type':''", BKC_ERR_CORRUPT, "'type'"},
		{"'type':'full'", "'type':'ful'", BKC_ERR_CORRUPT, "'type'"},
		{"'type':'full'", "'type':'full','parent':'x'", BKC_ERR_CORRUPT, "'parent'"},
		{"'type':'full'", "'type':'full','parent':'" SAMPLE_LABEL "'", BKC_ERR_CORRUPT,
		"'parent'"},
		{"'type':'full'", "'type':'full','parent':'" SAMPLE_OLDER "'", BKC_OK, NULL},
		{"'18446744073709551615'", "'18446744073709551616'", BKC_ERR_CORRUPT,
		"not a system identifier"},
		{"'18446744073709551615'", "18446744073709551615", BKC_ERR_CORRUPT, "not valid JSON"},
		{"'18446744073709551615'", "1844674407370955161", BKC_ERR_CORRUPT, "not a string"},
		{"150020", "0", BKC_ERR_CORRUPT, "'pg_version_num'"},
		{"150020", "4294967296", BKC_ERR_CORRUPT, "out of range"},
		{":8192", ":8191", BKC_ERR_CORRUPT, "'block_size'"},
		{":8192", ":0", BKC_ERR_CORRUPT, "'block_size'"},
		{":8192", ":65536", BKC_ERR_CORRUPT, "'block_size'"},
		{":131072", ":0", BKC_ERR_CORRUPT, "'segment_blocks'"},
		{":16777216", ":524288", BKC_ERR_CORRUPT, "'wal_segment_size'"},
		{":16777216", ":3145728", BKC_ERR_CORRUPT, "'wal_segment_size'"},
		{":16777216", ":2147483648", BKC_ERR_CORRUPT, "'wal_segment_size'"},
		{":true", ":1", BKC_ERR_CORRUPT, "not true or false"},
		{"'2026-11-20T12:03:10", "'2026-11-20T12:03:00", BKC_ERR_CORRUPT, "'stop_time'"},
		{"'2026-11-20T12:03:10", "'2026-13-20T12:03:10", BKC_ERR_CORRUPT, "not a time"},
		{":7,", ":0,", BKC_ERR_CORRUPT, "'timeline'"},
		{"'0/36000028'", "'36000028'", BKC_ERR_CORRUPT, "not an LSN"},
		{"'start_lsn':'0/36000028'", "'start_lsn':'FFFFFFFF/F0000000'", BKC_ERR_CORRUPT,
		"'stop_lsn'"},
		{"'backup_label'", "'backup_labe'", BKC_ERR_CORRUPT, "'backup_label' is missing"},
		{"[{'oid':16400}", "[7", BKC_ERR_CORRUPT, "element of 'tablespaces'"},
		{"[{'oid':16400}", "[{'oid':16385}", BKC_ERR_CORRUPT, "tablespace 16385 is listed twice"},
		{"[{'oid':16400}", "[{'oid':0}", BKC_ERR_CORRUPT, "has no OID"},
		{"[{'oid':16400}", "[{'oid':-1}", BKC_ERR_CORRUPT, "out of range"},
		{"[{'oid':16400}", "[{'oid':1,'path':'x'}", BKC_ERR_CORRUPT, "is not absolute"},
		{"[{'oid':16400}", "[{'oid':1,'size':1}", BKC_ERR_CORRUPT, "misplaced field 'size'"},
		{"'tablespaces':[", "'tablespaces':7,'x':[", BKC_ERR_CORRUPT,
		"'tablespaces' is not a list"},
		{"'tablespaces':[", "'x':[", BKC_ERR_CORRUPT, "'tablespaces' is not a list"},
	};
	size_t		i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_header(cases[i].what, cases[i].by, cases[i].code, cases[i].message);
}

/* ---- shapes ---- */

/* Deep nesting, long lines, NUL bytes: refused without harm. */
static void
hostile_shapes(void **state)
{
	size_t		prefix_len;
	char	   *prefix = quoted(DIR("pgdata", "'x'"), &prefix_len);
	char	   *line = malloc(BKC_MANIFEST_LINE_MAX + 1);
	BkcManifestReader *r;
	BkcError	err;
	SampleLines l;

	assert_non_null(line);
	memset(&l, 0, sizeof(l));

	memset(line, '[', BKC_MANIFEST_LINE_MAX);
	r = reader_after_entries(&l, false);
	assert_false(sample_feed(r, line, BKC_MANIFEST_LINE_MAX, &l, &err));
	assert_int_equal(err.code, BKC_ERR_CORRUPT);
	bkc_manifest_reader_free(r);

	/* exactly as long as allowed, and one byte more */
	memset(line, ' ', BKC_MANIFEST_LINE_MAX + 1);
	memcpy(line, prefix, prefix_len);
	r = reader_after_entries(&l, false);
	assert_true(sample_feed(r, line, BKC_MANIFEST_LINE_MAX, &l, &err));
	assert_false(sample_feed(r, line, BKC_MANIFEST_LINE_MAX + 1, &l, &err));
	assert_non_null(strstr(err.message, "too long"));
	bkc_manifest_reader_free(r);

	r = reader_after_entries(&l, false);
	line[prefix_len] = '\0';
	assert_false(sample_feed(r, line, prefix_len + 1, &l, &err));
	assert_int_equal(err.code, BKC_ERR_CORRUPT);
	bkc_manifest_reader_free(r);
	sample_free_lines(&l);
	free(line);
	free(prefix);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_entries),
		cmocka_unit_test(hostile_packs),
		cmocka_unit_test(hostile_trailers),
		cmocka_unit_test(hostile_headers),
		cmocka_unit_test(hostile_shapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
