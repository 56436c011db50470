/*
 * test_manifest.c
 *		Manifests: what is written is read again, and damage is noticed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "format/packindex.h"
#include "manifest_sample.h"

static void
assert_same_entry(const BkcEntry *a, const BkcEntry *b)
{
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->root, b->root);
	assert_int_equal(a->tablespace, b->tablespace);
	assert_string_equal(a->path, b->path);
	assert_int_equal(a->link_target != NULL, b->link_target != NULL);
	if (a->link_target != NULL)
		assert_string_equal(a->link_target, b->link_target);
	assert_int_equal(a->mode, b->mode);
	assert_true(a->mtime == b->mtime && a->size == b->size);
	assert_memory_equal(a->sha256, b->sha256, BKC_SHA256_SIZE);
	assert_int_equal(a->npieces, b->npieces);
	if (a->npieces > 0)
		assert_memory_equal(a->pieces, b->pieces, a->npieces * sizeof(BkcPiece));
	assert_int_equal(a->nbad_blocks, b->nbad_blocks);
	if (a->nbad_blocks > 0)
		assert_memory_equal(a->bad_blocks, b->bad_blocks, a->nbad_blocks * sizeof(uint32_t));
	assert_true(a->bad_block_count == b->bad_block_count);
}

static void
header_round_trip(void **state)
{
	BkcManifestHeader h = sample_header();
	BkcError	err;
	BkcManifestWriter *w = bkc_manifest_writer_new(&err);
	BkcManifestReader *r = bkc_manifest_reader_new(SAMPLE_NAME, &err);
	BkcBuffer	out = {0};
	SampleLines l;

	memset(&l, 0, sizeof(l));
	h.parent = sample_text_copy(SAMPLE_OLDER);
	assert_true(bkc_manifest_write_header(w, &h, &out, &err));
	assert_int_equal(out.data[out.len - 1], '\n');
	if (!sample_feed(r, (char *) out.data, out.len - 1, &l, &err))
		fail_msg("%s", err.message);
	assert_int_equal(l.kind, BKC_LINE_HEADER);
	assert_string_equal(l.header.label, h.label);
	assert_string_equal(l.header.type, h.type);
	assert_string_equal(l.header.parent, h.parent);
	assert_true(l.header.system_identifier == h.system_identifier);
	assert_string_equal(l.header.cluster_name, h.cluster_name);
	assert_string_equal(l.header.host, h.host);
	assert_string_equal(l.header.data_directory, h.data_directory);
	assert_string_equal(l.header.config_file, h.config_file);
	assert_string_equal(l.header.hba_file, h.hba_file);
	assert_string_equal(l.header.ident_file, h.ident_file);
	assert_int_equal(l.header.pg_version_num, h.pg_version_num);
	assert_int_equal(l.header.catalog_version, h.catalog_version);
	assert_int_equal(l.header.control_version, h.control_version);
	assert_int_equal(l.header.block_size, h.block_size);
	assert_int_equal(l.header.segment_blocks, h.segment_blocks);
	assert_int_equal(l.header.wal_segment_size, h.wal_segment_size);
	assert_true(l.header.data_checksums);
	assert_true(l.header.start_time == h.start_time && l.header.stop_time == h.stop_time);
	assert_int_equal(l.header.timeline, h.timeline);
	assert_true(l.header.start_lsn == h.start_lsn && l.header.stop_lsn == h.stop_lsn);
	assert_string_equal(l.header.backup_label, h.backup_label);
	assert_string_equal(l.header.tablespace_map, h.tablespace_map);
	assert_string_equal(l.header.software, h.software);
	assert_int_equal(l.header.ntablespaces, 2);
	assert_int_equal(l.header.tablespaces[0].oid, 16400);
	assert_null(l.header.tablespaces[0].path);
	assert_int_equal(l.header.tablespaces[1].oid, 16385);
	assert_string_equal(l.header.tablespaces[1].path, h.tablespaces[1].path);

	/* what may be absent */
	bkc_manifest_writer_free(w);
	bkc_manifest_reader_free(r);
	w = bkc_manifest_writer_new(&err);
	r = bkc_manifest_reader_new(SAMPLE_NAME, &err);
	free(h.parent);
	free(h.tablespace_map);
	h.parent = h.tablespace_map = NULL;
	bkc_buffer_reset(&out);
	assert_true(bkc_manifest_write_header(w, &h, &out, &err));
	assert_true(sample_feed(r, (char *) out.data, out.len - 1, &l, &err));
	assert_null(l.header.parent);
	assert_null(l.header.tablespace_map);

	bkc_manifest_header_free(&h);
	bkc_manifest_header_free(&h);
	sample_free_lines(&l);
	bkc_manifest_writer_free(w);
	bkc_manifest_reader_free(r);
	bkc_buffer_free(&out);
}

/* A header for a backup whose WAL is in the archive, and that entry of root "wal" behind it. */
static bool
write_archived(const char *wal_file, BkcBuffer *out, BkcError *err)
{
	BkcManifestHeader h = sample_header();
	BkcManifestWriter *w = bkc_manifest_writer_new(err);
	BkcEntry	e = sample_file_entry(wal_file, 0);
	bool		ok;

	assert_non_null(w);
	h.wal_in_archive = true;
	e.root = BKC_ROOT_WAL;
	assert_true(bkc_manifest_write_header(w, &h, out, err));
	ok = bkc_manifest_write_entry(w, &e, out, err) && bkc_manifest_write_trailer(w, out, err);
	bkc_manifest_writer_free(w);
	bkc_manifest_header_free(&h);
	bkc_entry_free(&e);
	return ok;
}

static void
wal_in_the_archive(void **state)
{
	static const char key[] = ",\"wal\":\"archive\"";
	BkcBuffer	out = {0};
	SampleLines l;
	BkcManifestReader *r;
	BkcError	err;
	char	   *found;

	/* it has histories, but no segments of its own */
	assert_true(write_archived("00000002.history", &out, &err));
	found = strstr(bkc_buffer_str(&out), key);
	assert_non_null(found);
	assert_true(found < strchr(bkc_buffer_str(&out), '\n'));
	if (!sample_read_text(bkc_buffer_str(&out), out.len, NULL, &err))
		fail_msg("%s", err.message);
	memset(&l, 0, sizeof(l));
	r = bkc_manifest_reader_new(SAMPLE_NAME, &err);
	assert_non_null(r);
	assert_true(sample_feed(r, bkc_buffer_str(&out), strcspn(bkc_buffer_str(&out), "\n"), &l, &err));
	assert_true(l.header.wal_in_archive);
	bkc_manifest_reader_free(r);
	sample_free_lines(&l);

	bkc_buffer_reset(&out);
	assert_false(write_archived("000000070000000000000036", &out, &err));
	assert_int_equal(err.code, BKC_ERR_INVALID);
	assert_non_null(strstr(err.message, "segment"));
	bkc_buffer_free(&out);
}

/* The reader judges by itself; and the key has one value. */
static void
wal_in_the_archive_is_checked(void **state)
{
	static const char *const values[] = {
		"\"backup\"", "\"Archive\"", "\"archive \"", "\"\"", "true", "1", "null"
	};
	BkcBuffer	header = {0};
	BkcBuffer	out = {0};
	SampleLines l;
	BkcManifestReader *r;
	BkcManifestWriter *w;
	BkcError	err;
	char	   *line;
	size_t		i;

	static const char segment[] = "{\"root\":\"wal\",\"path\":\"000000070000000000000036\","
		"\"type\":\"file\",\"mode\":\"0600\",\"mtime\":1,\"size\":0,\"sha256\":"
		"\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"}";

	w = bkc_manifest_writer_new(&err);
	assert_non_null(w);
	sample_put_header(w, &header);
	bkc_manifest_writer_free(w);
	line = (char *) header.data;
	assert_null(strstr(line, "\"wal\""));
	header.len -= 2;			/* "}" and newline */
	for (i = 0; i <= sizeof(values) / sizeof(values[0]); i++)
	{
		bool		good = i == sizeof(values) / sizeof(values[0]);

		memset(&l, 0, sizeof(l));
		bkc_buffer_reset(&out);
		assert_true(bkc_buffer_append(&out, header.data, header.len, &err));
		assert_true(bkc_buffer_printf(&out, &err, ",\"wal\":%s}",
									  good ? "\"archive\"" : values[i]));
		r = bkc_manifest_reader_new(SAMPLE_NAME, &err);
		assert_non_null(r);
		assert_int_equal(sample_feed(r, bkc_buffer_str(&out), out.len, &l, &err), good);
		if (!good)
			assert_non_null(strstr(err.message, "\"wal\""));
		else
		{
			assert_false(sample_feed(r, segment, strlen(segment), &l, &err));
			assert_int_equal(err.code, BKC_ERR_CORRUPT);
			assert_non_null(strstr(err.message, "a segment in a backup whose WAL"));
		}
		bkc_manifest_reader_free(r);
		sample_free_lines(&l);
	}
	bkc_buffer_free(&header);
	bkc_buffer_free(&out);
}

static void
sample_is_accepted(void **state)
{
	BkcBuffer	out = {0};
	BkcManifestTotals t;
	BkcError	err;

	sample_manifest(&out);
	if (!sample_read_text(bkc_buffer_str(&out), out.len, &t, &err))
		fail_msg("%s", err.message);
	assert_true(t.files == 4 && t.dirs == 1 && t.links == 1 && t.packs == 2);
	assert_true(t.bytes == 2 * MIB + 1 + 4711 + 16 * MIB);
	assert_true(t.stored_bytes == 2000 && t.bad_blocks == 2);
	bkc_buffer_free(&out);
}

/* A backup of nothing at all is still a manifest. */
static void
empty_manifest(void **state)
{
	BkcError	err;
	BkcManifestWriter *w = bkc_manifest_writer_new(&err);
	BkcBuffer	out = {0};
	BkcManifestTotals t;

	sample_put_header(w, &out);
	assert_true(bkc_manifest_write_trailer(w, &out, &err));
	assert_true(sample_read_text(bkc_buffer_str(&out), out.len, &t, &err));
	assert_true(t.files == 0 && t.packs == 0);
	bkc_manifest_writer_free(w);
	bkc_buffer_free(&out);
}

/* ---- random entries ---- */

static uint64_t
next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void
random_path(uint64_t *seed, char *out, size_t max)
{
	size_t		len = next_random(seed) % max + 1;
	size_t		i;

	for (i = 0; i < len; i++)
		out[i] = (char) ('!' + next_random(seed) % 220);
	out[len] = '\0';
	for (i = 0; i < len; i++)
	{
		/* no empty, "." or ".." component; anything else goes */
		if (out[i] == '\0' || (out[i] == '/' && (i == 0 || i + 1 == len || out[i - 1] == '/')) ||
			out[i] == '.')
			out[i] = '\n';
	}
}

static BkcEntry
random_entry(uint64_t *seed)
{
	BkcEntry	e = {.mode = (uint32_t) (next_random(seed) & 07777),
	.mtime = (int64_t) (next_random(seed) >> 12) - (INT64_C(1) << 50)};
	char		path[300];
	uint32_t	frame = 0;
	uint64_t	frames;
	size_t		i;

	random_path(seed, path, 250);
	e.path = sample_text_copy(path);
	e.root = next_random(seed) % 2 ? BKC_ROOT_PGDATA : BKC_ROOT_CONFIG;
	e.type = (BkcEntryType) (next_random(seed) % 3);
	if (e.type == BKC_ENTRY_LINK)
	{
		random_path(seed, path, 250);
		e.link_target = sample_text_copy(path);
	}
	if (e.type != BKC_ENTRY_FILE)
		return e;

	/* sizes at and around multiples of a frame */
	e.size = next_random(seed) % 5 * MIB + next_random(seed) % 3;
	if (e.size > 0 && next_random(seed) % 3 == 0)
		e.size--;
	for (i = 0; i < BKC_SHA256_SIZE; i++)
		e.sha256[i] = (uint8_t) next_random(seed);
	frames = (e.size + MIB - 1) / MIB;
	e.pieces = calloc(frames + 1, sizeof(BkcPiece));
	e.bad_blocks = calloc(BKC_BAD_BLOCKS_MAX, sizeof(uint32_t));
	assert_non_null(e.pieces);
	assert_non_null(e.bad_blocks);
	while (frames > 0)
	{
		BkcPiece   *piece = &e.pieces[e.npieces++];

		piece->frame_count = (uint32_t) (next_random(seed) % frames + 1);
		piece->first_frame = (uint32_t) (next_random(seed) % 1000);
		piece->pack_worker = (uint32_t) (next_random(seed) % 3);
		piece->pack_number = (uint32_t) (next_random(seed) % 50) + frame++;
		frames -= piece->frame_count;
	}
	if (next_random(seed) % 4 == 0)
	{
		e.nbad_blocks = next_random(seed) % (BKC_BAD_BLOCKS_MAX + 1);
		e.bad_block_count = e.nbad_blocks + next_random(seed) % 2;
		for (i = 0; i < e.nbad_blocks; i++)
			e.bad_blocks[i] = (uint32_t) next_random(seed);
	}
	return e;
}

static void
random_entries_round_trip(void **state)
{
	enum
	{
		COUNT = 500
	};
	static BkcEntry entries[COUNT];
	BkcError	err;
	BkcManifestWriter *w = bkc_manifest_writer_new(&err);
	BkcManifestReader *r = bkc_manifest_reader_new(SAMPLE_NAME, &err);
	BkcBuffer	out = {0};
	uint64_t	seed = 20261120;
	SampleLines l;
	const char *p;
	uint32_t	i;

	sample_put_header(w, &out);
	for (i = 0; i < COUNT; i++)
	{
		entries[i] = random_entry(&seed);
		if (!bkc_manifest_write_entry(w, &entries[i], &out, &err))
			fail_msg("%s", err.message);
	}
	for (i = 0; i < 3 * 60; i++)
		sample_put_pack(w, i / 60, i % 60, 1100, &out);
	assert_true(bkc_manifest_write_trailer(w, &out, &err));

	memset(&l, 0, sizeof(l));
	i = 0;
	for (p = bkc_buffer_str(&out); *p != '\0'; p = strchr(p, '\n') + 1)
	{
		if (!sample_feed(r, p, (size_t) (strchr(p, '\n') - p), &l, &err))
			fail_msg("%s", err.message);
		if (l.kind == BKC_LINE_ENTRY)
			assert_same_entry(&l.entry, &entries[i++]);
	}
	assert_int_equal(i, COUNT);
	assert_true(bkc_manifest_reader_finish(r, &err));
	assert_memory_equal(bkc_manifest_reader_totals(r), bkc_manifest_writer_totals(w),
						sizeof(BkcManifestTotals));
	for (i = 0; i < COUNT; i++)
		bkc_entry_free(&entries[i]);
	sample_free_lines(&l);
	bkc_manifest_writer_free(w);
	bkc_manifest_reader_free(r);
	bkc_buffer_free(&out);
}

/* Many packs, in an order that has nothing to do with that of the files. */
static void
many_packs(void **state)
{
	enum
	{
		COUNT = 5000
	};
	BkcError	err;
	BkcManifestWriter *w = bkc_manifest_writer_new(&err);
	BkcBuffer	out = {0};
	BkcManifestTotals t;
	uint32_t	i;

	sample_put_header(w, &out);
	for (i = 0; i < COUNT; i++)
	{
		BkcEntry	e = sample_file_entry("a", 1);

		e.pieces[0].pack_worker = i * 7919 % COUNT * 65536;
		e.pieces[0].first_frame = BKC_PACK_FRAMES_MAX - 1;
		sample_put_entry(w, e, &out);
	}
	for (i = 0; i < COUNT; i++)
		sample_put_pack(w, i * 65536, 0, BKC_PACK_FRAMES_MAX, &out);
	assert_true(bkc_manifest_write_trailer(w, &out, &err));
	assert_true(sample_read_text(bkc_buffer_str(&out), out.len, &t, &err));
	assert_true(t.packs == COUNT);
	bkc_manifest_writer_free(w);
	bkc_buffer_free(&out);
}

/* ---- damage ---- */

static void
each_changed_byte_is_noticed(void **state)
{
	static const uint8_t masks[] = {0x01, 0x20, 0x80};
	BkcBuffer	out = {0};
	BkcError	err;
	size_t		i;
	size_t		m;

	sample_manifest(&out);
	for (i = 0; i < out.len; i++)
	{
		for (m = 0; m < sizeof(masks); m++)
		{
			out.data[i] ^= masks[m];
			if (sample_read_text(bkc_buffer_str(&out), out.len, NULL, &err))
				fail_msg("byte %zu ^ %#x was not noticed", i, masks[m]);
			out.data[i] ^= masks[m];
		}
	}
	assert_true(sample_read_text(bkc_buffer_str(&out), out.len, NULL, &err));
	bkc_buffer_free(&out);
}

/* All 255 other values of every byte of the trailer, which no hash covers. */
static void
each_value_in_the_trailer_is_noticed(void **state)
{
	BkcBuffer	out = {0};
	BkcError	err;
	BkcManifestReader *r;
	SampleLines l;
	char	   *trailer;
	char	   *p;
	size_t		len;
	size_t		i;
	int			x;

	sample_manifest(&out);
	out.data[--out.len] = '\0';
	trailer = strrchr((char *) out.data, '\n') + 1;
	len = strlen(trailer);
	memset(&l, 0, sizeof(l));
	for (i = 0; i < len; i++)
	{
		for (x = 1; x < 256; x += i < 20 ? 1 : 7)
		{
			trailer[i] ^= (char) x;
			r = bkc_manifest_reader_new(SAMPLE_NAME, &err);
			for (p = (char *) out.data; p < trailer; p = strchr(p, '\n') + 1)
				assert_true(sample_feed(r, p, (size_t) (strchr(p, '\n') - p), &l, &err));
			if (sample_feed(r, trailer, len, &l, &err))
				fail_msg("byte %zu ^ %#x of the trailer was not noticed", i, x);
			assert_int_equal(err.code, BKC_ERR_CORRUPT);
			bkc_manifest_reader_free(r);
			trailer[i] ^= (char) x;
		}
	}
	sample_free_lines(&l);
	bkc_buffer_free(&out);
}

/* Every beginning of a manifest, and every manifest that lacks one of its lines. */
static void
missing_parts_are_noticed(void **state)
{
	BkcBuffer	out = {0};
	BkcBuffer	less = {0};
	BkcError	err;
	const char *p;
	size_t		len;

	sample_manifest(&out);
	for (len = 0; len < out.len - 1; len++)
	{
		if (sample_read_text(bkc_buffer_str(&out), len, NULL, &err))
			fail_msg("a manifest of %zu of %zu bytes was accepted", len, out.len);
	}
	for (p = bkc_buffer_str(&out); *p != '\0'; p = strchr(p, '\n') + 1)
	{
		const char *next = strchr(p, '\n') + 1;

		bkc_buffer_reset(&less);
		assert_true(bkc_buffer_append(&less, out.data, (size_t) (p - (char *) out.data), &err));
		assert_true(bkc_buffer_append_str(&less, next, &err));
		assert_false(sample_read_text(bkc_buffer_str(&less), less.len, NULL, &err));
		assert_int_equal(err.code, BKC_ERR_CORRUPT);

		/* and the line twice */
		bkc_buffer_reset(&less);
		assert_true(bkc_buffer_append(&less, out.data, (size_t) (next - (char *) out.data), &err));
		assert_true(bkc_buffer_append_str(&less, p, &err));
		assert_false(sample_read_text(bkc_buffer_str(&less), less.len, NULL, &err));
		assert_int_equal(err.code, BKC_ERR_CORRUPT);
	}
	bkc_buffer_free(&out);
	bkc_buffer_free(&less);
}

/* ---- the writer ---- */

static void
expect_write_refused(BkcEntry entry, const char *message)
{
	BkcError	err;
	BkcManifestWriter *w = bkc_manifest_writer_new(&err);
	BkcBuffer	out = {0};
	size_t		before;

	sample_put_header(w, &out);
	before = out.len;
	assert_false(bkc_manifest_write_entry(w, &entry, &out, &err));
	assert_int_equal(err.code, BKC_ERR_INVALID);
	if (strstr(err.message, message) == NULL)
		fail_msg("said \"%s\", not \"%s\"", err.message, message);
	assert_int_equal(out.len, before);
	bkc_entry_free(&entry);
	bkc_entry_free(&entry);
	bkc_manifest_writer_free(w);
	bkc_buffer_free(&out);
}

static void
writer_refuses_what_readers_refuse(void **state)
{
	BkcEntry	e;
	char	   *path;

	expect_write_refused(sample_file_entry("../x", 1), "path is not safe");
	expect_write_refused(sample_file_entry("/x", 1), "path is not safe");
	memset(&e, 0, sizeof(e));
	expect_write_refused(e, "path is not safe");
	e = sample_file_entry("x", 1);
	e.mode = 010000;
	expect_write_refused(e, "mode");
	e = sample_file_entry("x", 1);
	e.size = MIB + 1;
	expect_write_refused(e, "pieces have 1 frames");
	e = sample_file_entry("x", 1);
	e.root = BKC_ROOT_TABLESPACE;
	e.tablespace = 1;
	expect_write_refused(e, "tablespace 1 is not in the header");
	e = sample_file_entry("x", 1);
	e.tablespace = 16385;
	expect_write_refused(e, "outside a tablespace");
	e = sample_file_entry("x", 1);
	e.root = (BkcRoot) 9;
	expect_write_refused(e, "unknown root");
	e = sample_file_entry("x", 0);
	e.type = (BkcEntryType) 9;
	expect_write_refused(e, "unknown type");
	e = sample_file_entry("x", 1);
	e.type = BKC_ENTRY_DIR;
	expect_write_refused(e, "only files have content");
	e = sample_file_entry("x", 0);
	e.link_target = sample_text_copy("y");
	expect_write_refused(e, "link target");
	e = sample_file_entry("x", 1);
	memcpy(e.pieces[0].label, SAMPLE_OLDER, sizeof(SAMPLE_OLDER));
	expect_write_refused(e, "cannot be an ancestor");

	/* longer than a line may be: half of it as hex */
	path = malloc(BKC_MANIFEST_LINE_MAX / 2 + 1);
	assert_non_null(path);
	memset(path, 0xFF, BKC_MANIFEST_LINE_MAX / 2);
	path[BKC_MANIFEST_LINE_MAX / 2] = '\0';
	expect_write_refused(sample_file_entry(path, 1), "too long");
	free(path);
}

static void
writer_keeps_the_order(void **state)
{
	BkcError	err;
	BkcManifestWriter *w = bkc_manifest_writer_new(&err);
	BkcManifestHeader h = sample_header();
	BkcEntry	e = sample_file_entry("x", 1);
	BkcPackInfo pack = {.worker = 1, .number = 0, .size = 9, .frames = 1};
	BkcBuffer	out = {0};

	assert_false(bkc_manifest_write_entry(w, &e, &out, &err));
	assert_false(bkc_manifest_write_pack(w, &pack, &out, &err));
	assert_false(bkc_manifest_write_trailer(w, &out, &err));
	assert_true(bkc_manifest_write_header(w, &h, &out, &err));
	assert_false(bkc_manifest_write_header(w, &h, &out, &err));
	assert_true(bkc_manifest_write_entry(w, &e, &out, &err));

	/* a pack that files need must be listed before the end */
	assert_false(bkc_manifest_write_trailer(w, &out, &err));
	assert_non_null(strstr(err.message, "pack 1-0"));
	assert_true(bkc_manifest_write_pack(w, &pack, &out, &err));
	assert_false(bkc_manifest_write_entry(w, &e, &out, &err));
	assert_false(bkc_manifest_write_pack(w, &pack, &out, &err));
	assert_true(bkc_manifest_write_trailer(w, &out, &err));
	assert_false(bkc_manifest_write_trailer(w, &out, &err));
	assert_true(sample_read_text(bkc_buffer_str(&out), out.len, NULL, &err));

	bkc_manifest_writer_free(w);
	bkc_manifest_writer_free(NULL);
	bkc_manifest_reader_free(NULL);
	bkc_manifest_header_free(&h);
	bkc_entry_free(&e);
	bkc_buffer_free(&out);
}

/* Pieces in a parent's packs are allowed where there is a parent. */
static void
pieces_of_ancestors(void **state)
{
	BkcError	err;
	BkcManifestWriter *w = bkc_manifest_writer_new(&err);
	BkcManifestReader *r = bkc_manifest_reader_new(SAMPLE_NAME, &err);
	BkcManifestHeader h = sample_header();
	BkcEntry	e = sample_file_entry("x", 1);
	BkcBuffer	out = {0};
	BkcManifestTotals t;

	h.parent = sample_text_copy(SAMPLE_OLDER);
	memcpy(e.pieces[0].label, SAMPLE_OLDER, sizeof(SAMPLE_OLDER));
	assert_true(bkc_manifest_write_header(w, &h, &out, &err));
	assert_true(bkc_manifest_write_entry(w, &e, &out, &err));
	assert_true(bkc_manifest_write_trailer(w, &out, &err));
	assert_true(sample_read_text(bkc_buffer_str(&out), out.len, &t, &err));
	assert_true(t.files == 1 && t.packs == 0);

	/* a later backup is no ancestor */
	memcpy(e.pieces[0].label, "20261121T120301Z-full-0000", sizeof(SAMPLE_OLDER));
	bkc_manifest_writer_free(w);
	w = bkc_manifest_writer_new(&err);
	assert_true(bkc_manifest_write_header(w, &h, &out, &err));
	assert_false(bkc_manifest_write_entry(w, &e, &out, &err));
	bkc_manifest_writer_free(w);
	bkc_manifest_reader_free(r);
	bkc_manifest_header_free(&h);
	bkc_entry_free(&e);
	bkc_buffer_free(&out);
}

static void
root_names(void **state)
{
	char		name[32];

	bkc_root_name(BKC_ROOT_PGDATA, 0, name);
	assert_string_equal(name, "pgdata");
	bkc_root_name(BKC_ROOT_CONFIG, 0, name);
	assert_string_equal(name, "config");
	bkc_root_name(BKC_ROOT_WAL, 0, name);
	assert_string_equal(name, "wal");
	bkc_root_name(BKC_ROOT_TABLESPACE, 16385, name);
	assert_string_equal(name, "tablespace/16385");
	bkc_root_name(BKC_ROOT_TABLESPACE, UINT32_MAX, name);
	assert_string_equal(name, "tablespace/4294967295");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_round_trip),
		cmocka_unit_test(wal_in_the_archive),
		cmocka_unit_test(wal_in_the_archive_is_checked),
		cmocka_unit_test(sample_is_accepted),
		cmocka_unit_test(empty_manifest),
		cmocka_unit_test(random_entries_round_trip),
		cmocka_unit_test(many_packs),
		cmocka_unit_test(each_changed_byte_is_noticed),
		cmocka_unit_test(each_value_in_the_trailer_is_noticed),
		cmocka_unit_test(missing_parts_are_noticed),
		cmocka_unit_test(writer_refuses_what_readers_refuse),
		cmocka_unit_test(writer_keeps_the_order),
		cmocka_unit_test(pieces_of_ancestors),
		cmocka_unit_test(root_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
