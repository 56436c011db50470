/*
 * manifest_sample.c
 *		Manifests for tests (see manifest_sample.h).
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "manifest_sample.h"

/* ---- building ---- */

char *
sample_text_copy(const char *text)
{
	char	   *copy = strdup(text);

	assert_non_null(copy);
	return copy;
}

BkcManifestHeader
sample_header(void)
{
	BkcManifestHeader h = {.label = SAMPLE_LABEL, .type = "full",
		.system_identifier = UINT64_C(18446744073709551615), .pg_version_num = 150020,
		.catalog_version = 202209061, .control_version = 1300, .block_size = 8192,
		.segment_blocks = 131072, .wal_segment_size = 16 * 1024 * 1024, .data_checksums = true,
		.start_time = INT64_C(1795176181000001), .stop_time = INT64_C(1795176190999999),
		.timeline = 7, .start_lsn = UINT64_C(0x36000028),
	.stop_lsn = UINT64_C(0xFFFFFFFF39000100)};

	h.cluster_name = sample_text_copy("prod \"\xc3\xa4\"");
	h.host = sample_text_copy("db1.example.org");
	h.data_directory = sample_text_copy("/var/lib/postgresql/15/main");
	h.config_file = sample_text_copy("/etc/postgresql/15/main/postgresql.conf");
	h.hba_file = sample_text_copy("/etc/postgresql/15/main/pg_hba.conf");
	h.ident_file = sample_text_copy("/etc/\xff/pg_ident.conf");
	h.backup_label = sample_text_copy("START WAL LOCATION: 0/36000028\nLABEL: a\\b\n");
	h.tablespace_map = sample_text_copy("16385 /srv/ts \xff\n");
	h.software = sample_text_copy("pg_backupctl 1.0");
	h.tablespaces = calloc(2, sizeof(BkcTablespace));
	assert_non_null(h.tablespaces);
	h.ntablespaces = 2;
	h.tablespaces[0].oid = 16400;
	h.tablespaces[1].oid = 16385;
	h.tablespaces[1].path = sample_text_copy("/srv/ts \xff");
	return h;
}

BkcEntry
sample_file_entry(const char *path, uint64_t size)
{
	BkcEntry	e = {.type = BKC_ENTRY_FILE, .root = BKC_ROOT_PGDATA, .mode = 0600,
	.mtime = 1795176000, .size = size};
	uint64_t	frames = (size + MIB - 1) / MIB;
	int			i;

	e.path = sample_text_copy(path);
	for (i = 0; i < BKC_SHA256_SIZE; i++)
		e.sha256[i] = (uint8_t) (i * 9 + size);
	if (frames > 0)
	{
		e.pieces = calloc(1, sizeof(BkcPiece));
		assert_non_null(e.pieces);
		e.npieces = 1;
		e.pieces[0].pack_worker = 1;
		e.pieces[0].frame_count = (uint32_t) frames;
	}
	return e;
}

void
sample_put_header(BkcManifestWriter *w, BkcBuffer *out)
{
	BkcManifestHeader h = sample_header();
	BkcError	err;

	if (!bkc_manifest_write_header(w, &h, out, &err))
		fail_msg("%s", err.message);
	bkc_manifest_header_free(&h);
}

void
sample_put_entry(BkcManifestWriter *w, BkcEntry entry, BkcBuffer *out)
{
	BkcError	err;

	if (!bkc_manifest_write_entry(w, &entry, out, &err))
		fail_msg("%s", err.message);
	bkc_entry_free(&entry);
}

void
sample_put_pack(BkcManifestWriter *w, uint32_t worker, uint32_t number, uint32_t frames,
				BkcBuffer *out)
{
	BkcPackInfo pack = {.worker = worker, .number = number, .size = 1000, .frames = frames};
	BkcError	err;

	if (!bkc_manifest_write_pack(w, &pack, out, &err))
		fail_msg("%s", err.message);
}

/* One of each kind. */
void
sample_manifest(BkcBuffer *out)
{
	BkcError	err;
	BkcManifestWriter *w = bkc_manifest_writer_new(&err);
	BkcEntry	e;

	assert_non_null(w);
	sample_put_header(w, out);
	e = sample_file_entry("base/1/1259", 2 * MIB + 1);
	e.bad_blocks = calloc(2, sizeof(uint32_t));
	assert_non_null(e.bad_blocks);
	e.bad_blocks[0] = 5;
	e.bad_blocks[1] = UINT32_MAX;
	e.nbad_blocks = 2;
	e.bad_block_count = 2;
	sample_put_entry(w, e, out);
	sample_put_entry(w, sample_file_entry("PG_VERSION", 0), out);
	memset(&e, 0, sizeof(e));
	e.type = BKC_ENTRY_DIR;
	e.root = BKC_ROOT_TABLESPACE;
	e.tablespace = 16385;
	e.mode = 01777;
	e.mtime = -1;
	e.path = sample_text_copy("PG_15_202209061/\xff");
	sample_put_entry(w, e, out);
	memset(&e, 0, sizeof(e));
	e.type = BKC_ENTRY_LINK;
	e.root = BKC_ROOT_PGDATA;
	e.mode = 0777;
	e.path = sample_text_copy("pg_tblspc/16385");
	e.link_target = sample_text_copy("/srv/ts \xff");
	sample_put_entry(w, e, out);
	e = sample_file_entry("etc/postgresql/15/main/pg_hba.conf", 4711);
	e.root = BKC_ROOT_CONFIG;
	e.pieces[0].first_frame = 3;
	sample_put_entry(w, e, out);
	e = sample_file_entry("000000070000000000000036", 16 * MIB);
	e.root = BKC_ROOT_WAL;
	e.pieces[0].pack_worker = 0;
	sample_put_entry(w, e, out);
	sample_put_pack(w, 1, 0, 4, out);
	sample_put_pack(w, 0, 0, 16, out);
	assert_true(bkc_manifest_write_trailer(w, out, &err));
	bkc_manifest_writer_free(w);
}

/* ---- reading ---- */

void
sample_free_lines(SampleLines *l)
{
	bkc_manifest_header_free(&l->header);
	bkc_entry_free(&l->entry);
}

bool
sample_feed(BkcManifestReader *r, const char *line, size_t len, SampleLines *l, BkcError *err)
{
	return bkc_manifest_read_line(r, line, len, &l->kind, &l->header, &l->entry, &l->pack, err);
}

/* A whole text, cut at newlines as pipe/ does it. */
bool
sample_read_text(const char *text, size_t len, BkcManifestTotals *totals, BkcError *err)
{
	BkcManifestReader *r = bkc_manifest_reader_new(SAMPLE_NAME, err);
	SampleLines l;
	const char *end = text + len;
	bool		ok = true;

	assert_non_null(r);
	memset(&l, 0, sizeof(l));
	while (ok && text < end)
	{
		const char *newline = memchr(text, '\n', (size_t) (end - text));
		size_t		n = (size_t) ((newline ? newline : end) - text);

		ok = sample_feed(r, text, n, &l, err);
		text += n + 1;
	}
	ok = ok && bkc_manifest_reader_finish(r, err);
	if (ok && totals != NULL)
		*totals = *bkc_manifest_reader_totals(r);
	bkc_manifest_reader_free(r);
	sample_free_lines(&l);
	return ok;
}
