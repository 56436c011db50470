/*
 * test_pipe_manifest.c
 *		Manifests through a store: streamed in, streamed out, damaged.
 */
#include "test_pipe_util.h"

#include "format/names.h"
#include "pipe/manifestio.h"
#include "pipe/object.h"
#include "pipe/stages.h"

static BkcManifestHeader
make_header(void)
{
	BkcManifestHeader h = {
		.label = LABEL,
		.type = "full",
		.system_identifier = SYSID,
		.cluster_name = "prod",
		.host = "db1",
		.pg_version_num = 150020,
		.catalog_version = 202209061,
		.control_version = 1300,
		.block_size = 8192,
		.segment_blocks = 131072,
		.wal_segment_size = 16 * 1024 * 1024,
		.start_time = 1700000000000000,
		.stop_time = 1700000001000000,
		.timeline = 1,
		.start_lsn = 0x36000028,
		.stop_lsn = 0x39000100,
		.backup_label = "START WAL LOCATION\n",
		.software = "pg_backupctl 1.0"
	};

	return h;
}

/* Entry i of a manifest of any length; its strings live until the next call. */
static BkcEntry
make_entry(uint32_t i, BkcPiece *piece)
{
	static char path[256];
	BkcEntry	e = {.root = BKC_ROOT_PGDATA, .mode = 0600, .mtime = 1700000000, .path = path};

	memset(piece, 0, sizeof(*piece));
	if (i % 10 == 9)
	{
		snprintf(path, sizeof(path), "base/%u", i);
		e.type = BKC_ENTRY_DIR;
		e.mode = 0700;
		return e;
	}
	snprintf(path, sizeof(path), "base/%u/%u", i - i % 10 + 9, 16384 + i);
	e.type = BKC_ENTRY_FILE;
	if (i % 10 == 3)
		return e;				/* an empty file */
	e.size = 1 + i;
	memset(e.sha256, (int) i, sizeof(e.sha256));
	piece->pack_worker = 1;
	piece->pack_number = i / 1000;
	piece->first_frame = i % 1000;
	piece->frame_count = (uint32_t) ((e.size + MIB - 1) / MIB);
	e.pieces = piece;
	e.npieces = 1;
	return e;
}

/* Entries 0 .. n - 1 and the packs that they need. */
static bool
put_manifest(BkcStore *store, uint32_t n, BkcManifestTotals *totals, BkcError *err)
{
	BkcManifestHeader header = make_header();
	BkcManifestPut *put;
	BkcPiece	piece;
	bool		ok;

	if (!bkc_manifest_put_begin(store, &header, &put, err))
		return false;
	ok = true;
	for (uint32_t i = 0; ok && i < n; i++)
	{
		BkcEntry	e = make_entry(i, &piece);

		ok = bkc_manifest_put_entry(put, &e, err);
	}
	for (uint32_t i = 0; ok && i < (n + 999) / 1000; i++)
	{
		BkcPackInfo pack = {.worker = 1, .number = i, .size = 5000 + i, .frames = 1000};

		ok = bkc_manifest_put_pack(put, &pack, err);
	}
	ok = ok && bkc_manifest_put_commit(put, totals, err);
	bkc_manifest_put_close(put);
	return ok;
}

typedef struct Got
{
	uint32_t	headers;
	uint32_t	entries;
	uint32_t	packs;
	int			stop;			/* refuse: 1 the header, 2 an entry, 3 a pack */
} Got;

static bool
stop_here(Got *got, int where, BkcError *err)
{
	return got->stop != where || bkc_error_set(err, BKC_ERR_STATE, "stopped on purpose");
}

static bool
got_header(void *arg, const BkcManifestHeader *header, BkcError *err)
{
	BkcManifestHeader h = make_header();

	((Got *) arg)->headers++;
	assert_string_equal(header->host, h.host);
	assert_string_equal(header->backup_label, h.backup_label);
	assert_int_equal(header->stop_lsn, h.stop_lsn);
	return stop_here(arg, 1, err);
}

static bool
got_entry(void *arg, const BkcEntry *entry, BkcError *err)
{
	Got		   *got = arg;
	BkcPiece	piece;
	BkcEntry	e = make_entry(got->entries++, &piece);

	assert_string_equal(entry->path, e.path);
	assert_int_equal(entry->type, e.type);
	assert_int_equal(entry->size, e.size);
	assert_int_equal(entry->npieces, e.npieces);
	assert_memory_equal(entry->sha256, e.sha256, sizeof(e.sha256));
	if (e.npieces > 0)
		assert_memory_equal(entry->pieces, e.pieces, sizeof(piece));
	return stop_here(got, 2, err);
}

static bool
got_pack(void *arg, const BkcPackInfo *pack, BkcError *err)
{
	Got		   *got = arg;

	assert_int_equal(pack->number, got->packs);
	assert_int_equal(pack->size, 5000 + got->packs);
	got->packs++;
	return stop_here(got, 3, err);
}

static bool
scan_manifest(BkcStore *store, Got *got, BkcManifestTotals *totals, BkcError *err)
{
	BkcManifestScan scan = {got_header, got_entry, got_pack, got};

	return bkc_manifest_scan(store, SYSID, LABEL, &scan, totals, err);
}

static void
test_round_trip(void **state)
{
	static const uint32_t counts[] = {0, 1, 10, 999, 30000};

	for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++)
	{
		BkcStore   *store = util_store();
		BkcManifestTotals put = {0};
		BkcManifestTotals totals = {0};
		BkcManifestScan nothing = {0};
		Got			got = {0};
		BkcError	err;

		assert_ok(put_manifest(store, counts[c], &put, &err));
		assert_ok(scan_manifest(store, &got, &totals, &err));
		assert_int_equal(got.headers, 1);
		assert_int_equal(got.entries, counts[c]);
		assert_int_equal(got.packs, (counts[c] + 999) / 1000);
		assert_memory_equal(&put, &totals, sizeof(put));
		assert_int_equal(totals.files + totals.dirs, counts[c]);

		/* no callbacks, no totals */
		assert_ok(bkc_manifest_scan(store, SYSID, LABEL, &nothing, NULL, &err));

		/* the first manifest stands */
		assert_fails(put_manifest(store, counts[c], NULL, &err), BKC_ERR_EXISTS);
		assert_int_equal(util_objects(store), 1);
		bkc_store_close(store);
	}
}

/* The lines of the large manifest fill several frames, so some line goes over a frame's end. */
static void
test_frames(void **state)
{
	BkcStore   *store = util_store();
	BkcObjectReader *r;
	char		name[BKC_NAME_MAX];
	BkcFrame	frame;
	BkcError	err;
	bool		end;
	int			frames = 0;

	assert_ok(put_manifest(store, 30000, NULL, &err));
	assert_ok(bkc_name_manifest(SYSID, LABEL, name, &err));
	assert_ok(bkc_object_open(store, name, BKC_KIND_MANIFEST, &r, &err));
	for (;;)
	{
		assert_ok(bkc_object_next(r, &frame, 0, &end, &err));
		if (end)
			break;
		frames++;
		if (!(frame.flags & BKC_FRAME_LAST))
			assert_int_equal(frame.plain_len, MIB);
		assert_true(frame.len < frame.plain_len / 2);
	}
	assert_true(frames >= 3);
	bkc_object_reader_close(r);
	bkc_store_close(store);
}

static void
test_callbacks_stop(void **state)
{
	BkcStore   *store = util_store();
	BkcError	err;

	assert_ok(put_manifest(store, 1500, NULL, &err));
	for (int stop = 1; stop <= 3; stop++)
	{
		Got			got = {.stop = stop};

		assert_fails(scan_manifest(store, &got, NULL, &err), BKC_ERR_STATE);
		assert_int_equal(got.headers, 1);
		assert_int_equal(got.entries, stop == 1 ? 0 : stop == 2 ? 1 : 1500);
		assert_int_equal(got.packs, stop == 3);
	}
	bkc_store_close(store);
}

static void
test_not_committed(void **state)
{
	BkcStore   *store = util_store();
	BkcManifestHeader header = make_header();
	BkcManifestPut *put;
	BkcPiece	piece;
	BkcEntry	entry = make_entry(1, &piece);
	BkcError	err;
	Got			got = {0};

	assert_fails(scan_manifest(store, &got, NULL, &err), BKC_ERR_NOT_FOUND);
	assert_ok(bkc_manifest_put_begin(store, &header, &put, &err));
	assert_ok(bkc_manifest_put_entry(put, &entry, &err));

	/* its pack was never listed */
	assert_fails(bkc_manifest_put_commit(put, NULL, &err), BKC_ERR_INVALID);
	bkc_manifest_put_close(put);
	bkc_manifest_put_close(NULL);
	assert_int_equal(util_objects(store), 0);
	memcpy(header.label, "nonsense", 9);
	assert_fails(bkc_manifest_put_begin(store, &header, &put, &err), BKC_ERR_INVALID);
	bkc_store_close(store);
}

static void
test_damage(void **state)
{
	BkcStore   *store = util_store();
	BkcBuffer	good = {0};
	BkcManifestScan nothing = {0};
	char		name[BKC_NAME_MAX];
	char		other[BKC_NAME_MAX];
	uint8_t    *bad;
	BkcError	err;

	assert_ok(put_manifest(store, 6, NULL, &err));
	assert_ok(bkc_name_manifest(SYSID, LABEL, name, &err));
	util_get(store, name, &good);
	bad = malloc(good.len + 1);
	for (size_t i = 0; i < good.len; i++)
	{
		memcpy(bad, good.data, good.len);
		bad[i] ^= (uint8_t) (1 << (i % 8));
		util_put(store, name, bad, good.len);
		bkc_error_clear(&err);
		if (bkc_manifest_scan(store, SYSID, LABEL, &nothing, NULL, &err))
			fail_msg("flipped byte %zu goes unnoticed", i);
		assert_int_equal(err.code, BKC_ERR_CORRUPT);
	}
	for (size_t len = 0; len < good.len; len++)
	{
		util_put(store, name, good.data, len);
		assert_fails(bkc_manifest_scan(store, SYSID, LABEL, &nothing, NULL, &err),
					 BKC_ERR_CORRUPT);
	}
	memcpy(bad, good.data, good.len);
	bad[good.len] = '\n';
	util_put(store, name, bad, good.len + 1);
	assert_fails(bkc_manifest_scan(store, SYSID, LABEL, &nothing, NULL, &err), BKC_ERR_CORRUPT);

	/* another backup's manifest, and another cluster's */
	assert_ok(bkc_name_manifest(SYSID, "20261120T120301Z-full-0000", other, &err));
	util_put(store, other, good.data, good.len);
	assert_fails(bkc_manifest_scan(store, SYSID, "20261120T120301Z-full-0000", &nothing, NULL,
								   &err), BKC_ERR_CORRUPT);
	assert_ok(bkc_name_manifest(1, LABEL, other, &err));
	util_put(store, other, good.data, good.len);
	assert_fails(bkc_manifest_scan(store, 1, LABEL, &nothing, NULL, &err), BKC_ERR_CORRUPT);
	free(bad);
	bkc_buffer_free(&good);
	bkc_store_close(store);
}

/* Objects with good digests whose text is not a manifest of this backup. */
static void
put_text(BkcStore *store, const char *text, size_t len)
{
	char		name[BKC_NAME_MAX];
	const char *p = name;
	BkcError	err;

	assert_ok(bkc_name_manifest(SYSID, LABEL, name, &err));
	assert_ok(bkc_store_remove(store, &p, 1, &err));
	assert_ok(bkc_document_put(store, name, BKC_KIND_MANIFEST, text, len, &err));
}

static void
keep_text(const BkcFrame *frame, BkcBuffer *out)
{
	BkcFrameHeader hdr = {
		.stored_len = frame->len, .plain_len = frame->plain_len, .flags = frame->flags
	};
	BkcError	err;

	assert_ok(bkc_buffer_reserve(out, frame->plain_len, &err));
	assert_ok(bkc_frame_expand(BKC_CODEC_ZSTD, &hdr, frame->data, out->data, &err));
	out->len = frame->plain_len;
	out->data[out->len] = '\0';
}

static void
test_wrong_text(void **state)
{
	BkcStore   *store = util_store();
	BkcManifestScan nothing = {0};
	BkcObjectReader *r;
	BkcBuffer	text = {0};
	BkcFrame	frame;
	char		name[BKC_NAME_MAX];
	char	   *p;
	BkcError	err;
	bool		end;

	assert_ok(put_manifest(store, 3, NULL, &err));
	assert_ok(bkc_name_manifest(SYSID, LABEL, name, &err));
	assert_ok(bkc_object_open(store, name, BKC_KIND_MANIFEST, &r, &err));
	assert_ok(bkc_object_next(r, &frame, 0, &end, &err));
	keep_text(&frame, &text);
	bkc_object_reader_close(r);

	/* the text as it is, in another codec: fine */
	put_text(store, (char *) text.data, text.len);
	assert_ok(bkc_manifest_scan(store, SYSID, LABEL, &nothing, NULL, &err));

	/* without its last newline; without its trailer; with a line behind it */
	put_text(store, (char *) text.data, text.len - 1);
	assert_fails(bkc_manifest_scan(store, SYSID, LABEL, &nothing, NULL, &err), BKC_ERR_CORRUPT);
	for (p = (char *) text.data + text.len - 2; *p != '\n'; p--)
		;
	put_text(store, (char *) text.data, (size_t) (p + 1 - (char *) text.data));
	assert_fails(bkc_manifest_scan(store, SYSID, LABEL, &nothing, NULL, &err), BKC_ERR_CORRUPT);
	text.data[text.len] = '\n';
	put_text(store, (char *) text.data, text.len + 1);
	assert_fails(bkc_manifest_scan(store, SYSID, LABEL, &nothing, NULL, &err), BKC_ERR_CORRUPT);
	text.data[text.len] = '\0';

	/* a manifest of another label, right in itself but for its place */
	p = strstr((char *) text.data, "7f3a");
	assert_non_null(p);
	memcpy(p, "7f3b", 4);
	put_text(store, (char *) text.data, text.len);
	assert_fails(bkc_manifest_scan(store, SYSID, LABEL, &nothing, NULL, &err), BKC_ERR_CORRUPT);
	put_text(store, "\n", 1);
	assert_fails(bkc_manifest_scan(store, SYSID, LABEL, &nothing, NULL, &err), BKC_ERR_CORRUPT);
	bkc_buffer_free(&text);
	bkc_store_close(store);
}

/* A line that never ends must not fill the memory. */
static void
test_endless_line(void **state)
{
	BkcStore   *store = util_store();
	uint8_t    *data = util_data(MIB, DATA_TEXT);
	BkcManifestScan nothing = {0};
	BkcObjectWriter *w;
	char		name[BKC_NAME_MAX];
	BkcError	err;

	assert_ok(bkc_name_manifest(SYSID, LABEL, name, &err));
	assert_ok(bkc_object_create(store, name, BKC_KIND_MANIFEST, BKC_CODEC_NONE, 0, &w, &err));
	for (int i = 0; i < 4; i++)
	{
		BkcFrame	frame = {
			.data = data, .len = MIB, .plain_len = MIB,
			.type = BKC_FRAME_DATA, .flags = BKC_FRAME_STORED
		};

		assert_ok(bkc_object_put(w, &frame, i == 3, NULL, &err));
	}
	assert_ok(bkc_object_commit(w, &err));
	bkc_object_close(w);
	assert_fails(bkc_manifest_scan(store, SYSID, LABEL, &nothing, NULL, &err), BKC_ERR_CORRUPT);
	assert_non_null(strstr(err.message, "line"));
	free(data);
	bkc_store_close(store);
}

/* Each call of the store fails once, writing and reading. */
static void
test_store_failures(void **state)
{
	bool		put_done = false;
	bool		scan_done = false;

	for (uint64_t at = 1; !put_done || !scan_done; at++)
	{
		BkcStore   *memory = util_store();
		BkcStore   *look;
		BkcStore   *store;
		BkcManifestScan nothing = {0};
		BkcError	err;

		assert_ok(bkc_store_memory_share(memory, &look, &err));
		assert_ok(bkc_store_faulty_new(memory, at, BKC_ERR_ACCESS, NULL, &store, &err));
		put_done = put_manifest(store, 20, NULL, &err);
		if (!put_done)
			assert_int_equal(err.code, BKC_ERR_ACCESS);
		assert_int_equal(util_objects(look), put_done);
		bkc_store_close(store);

		if (!put_done)
			assert_ok(put_manifest(look, 20, NULL, &err));
		assert_ok(bkc_store_faulty_new(look, at, BKC_ERR_ACCESS, NULL, &store, &err));
		scan_done = bkc_manifest_scan(store, SYSID, LABEL, &nothing, NULL, &err);
		if (!scan_done)
			assert_int_equal(err.code, BKC_ERR_ACCESS);
		bkc_store_close(store);
		assert_true(at < 30);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_callbacks_stop),
		cmocka_unit_test(test_not_committed),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_wrong_text),
		cmocka_unit_test(test_endless_line),
		cmocka_unit_test(test_store_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
