/*
 * test_pipe_pack.c
 *		Packs: rolling, giving up, damage at every byte, indexes that lie.
 */
#include "test_pipe_util.h"

#include "base/host.h"
#include "format/names.h"
#include "pipe/pack.h"
#include "pipe/stages.h"

/* What the writer's callback was told. */
typedef struct Told
{
	BkcPackInfo packs[64];
	size_t		n;
	bool		refuse;
} Told;

static bool
tell(void *arg, const BkcPackInfo *info, BkcError *err)
{
	Told	   *told = arg;

	if (told->refuse)
		return bkc_error_set(err, BKC_ERR_IO, "refused on purpose");
	assert_true(told->n < 64);
	told->packs[told->n++] = *info;
	return true;
}

static BkcPackWriter *
new_writer(BkcStore *store, BkcCodec codec, uint64_t pack_size, Told *told)
{
	BkcPackSpec spec = {
		.store = store,
		.system_identifier = SYSID,
		.label = LABEL,
		.worker = 3,
		.codec = codec,
		.pack_size = pack_size,
		.committed = tell,
		.arg = told
	};
	BkcPackWriter *w;
	BkcError	err;

	memset(told, 0, sizeof(*told));
	assert_ok(bkc_packwriter_new(&spec, &w, &err));
	return w;
}

static void
pack_name(uint32_t number, char name[BKC_NAME_MAX])
{
	BkcError	err;

	assert_ok(bkc_name_pack(SYSID, LABEL, 3, number, name, &err));
}

static BkcFrame
data_frame(const void *data, size_t len)
{
	BkcFrame	frame = {
		.data = data,
		.len = (uint32_t) len,
		.plain_len = (uint32_t) len,
		.type = BKC_FRAME_DATA,
		.flags = BKC_FRAME_STORED
	};

	return frame;
}

/* ---- reading everything ---- */

typedef struct Sum
{
	uint64_t	frames;
	uint64_t	bytes;
	uint64_t	check;
	uint64_t	stop_at;		/* refuse this frame, from 1 */
} Sum;

static bool
add_frame(void *arg, const BkcFrame *frame, BkcError *err)
{
	Sum		   *sum = arg;

	/* touch every byte, so that the sanitizer sees a wrong length */
	for (uint32_t i = 0; i < frame->len; i++)
		sum->check += frame->data[i];
	sum->bytes += frame->len;
	if (++sum->frames == sum->stop_at)
		return bkc_error_set(err, BKC_ERR_IO, "stopped on purpose");
	return true;
}

static bool
read_pack(BkcStore *store, const char *name, const BkcPackInfo *expect, Sum *sum, BkcError *err)
{
	BkcPackReader *r;
	bool		ok;

	memset(sum, 0, sizeof(*sum));
	if (!bkc_packreader_open(store, name, expect, &r, err))
		return false;
	ok = bkc_packreader_read(r, 0, bkc_packreader_frames(r), add_frame, sum, err);
	bkc_packreader_close(r);
	return ok;
}

static void
test_empty(void **state)
{
	BkcStore   *store = util_store();
	Told		told;
	BkcPackWriter *w = new_writer(store, BKC_CODEC_ZSTD, 1000, &told);
	BkcError	err;

	/* no frame, no pack */
	assert_ok(bkc_packwriter_flush(w, &err));
	assert_int_equal(told.n, 0);
	assert_int_equal(util_objects(store), 0);
	bkc_packwriter_close(&w);
	assert_null(w);
	bkc_packwriter_close(&w);
	bkc_packreader_close(NULL);
	bkc_store_close(store);
}

/* Files go on in the next pack; pieces say so. */
static void
test_rolling(void **state)
{
	BkcStore   *store = util_store();
	Told		told;
	BkcPackWriter *w = new_writer(store, BKC_CODEC_NONE, 3000, &told);
	uint8_t    *data = util_data(1000, DATA_RANDOM);
	BkcFrame	frame = data_frame(data, 1000);
	const BkcPiece *pieces;
	char		name[BKC_NAME_MAX];
	BkcStage   *stage;
	BkcError	err;
	Sum			sum;
	size_t		n;

	stage = bkc_stage_pack_new(w, &err);
	assert_non_null(stage);

	/* packs take three frames: 128 + 3 * 1032 is beyond 3000 */
	assert_ok(bkc_stage_begin(stage, &err));
	for (int i = 0; i < 2; i++)
		assert_ok(bkc_stage_write(stage, &frame, &err));
	assert_ok(bkc_stage_end(stage, &err));
	bkc_stage_pack_pieces(stage, &pieces, &n);
	assert_int_equal(n, 1);
	assert_string_equal(pieces[0].label, "");
	assert_int_equal(pieces[0].pack_worker, 3);
	assert_int_equal(pieces[0].pack_number, 0);
	assert_int_equal(pieces[0].first_frame, 0);
	assert_int_equal(pieces[0].frame_count, 2);

	assert_ok(bkc_stage_begin(stage, &err));
	for (int i = 0; i < 8; i++)
		assert_ok(bkc_stage_write(stage, &frame, &err));
	assert_ok(bkc_stage_end(stage, &err));
	bkc_stage_pack_pieces(stage, &pieces, &n);
	assert_int_equal(n, 4);
	for (uint32_t i = 0; i < 4; i++)
	{
		static const uint32_t first[] = {2, 0, 0, 0};
		static const uint32_t count[] = {1, 3, 3, 1};

		assert_int_equal(pieces[i].pack_number, i);
		assert_int_equal(pieces[i].first_frame, first[i]);
		assert_int_equal(pieces[i].frame_count, count[i]);
	}

	/* an empty file has no piece */
	assert_ok(bkc_stage_begin(stage, &err));
	assert_ok(bkc_stage_end(stage, &err));
	bkc_stage_pack_pieces(stage, &pieces, &n);
	assert_int_equal(n, 0);

	assert_int_equal(told.n, 3);
	assert_ok(bkc_packwriter_flush(w, &err));
	assert_ok(bkc_packwriter_flush(w, &err));
	assert_int_equal(told.n, 4);
	for (uint32_t i = 0; i < 4; i++)
	{
		uint64_t	size;

		pack_name(i, name);
		assert_ok(bkc_store_stat(store, name, &size, &err));
		assert_int_equal(told.packs[i].worker, 3);
		assert_int_equal(told.packs[i].number, i);
		assert_int_equal(told.packs[i].size, size);
		assert_int_equal(told.packs[i].frames, i < 3 ? 3 : 1);
		assert_ok(read_pack(store, name, &told.packs[i], &sum, &err));
		assert_ok(read_pack(store, name, NULL, &sum, &err));
		assert_int_equal(sum.bytes, 1000 * (i < 3 ? 3 : 1));
	}
	bkc_stage_close(stage);
	bkc_packwriter_close(&w);
	free(data);
	bkc_store_close(store);
}

/* A pack holds BKC_PACK_FRAMES_MAX frames and not one more. */
static void
test_frames_max(void **state)
{
	BkcStore   *store = util_store();
	Told		told;
	BkcPackWriter *w = new_writer(store, BKC_CODEC_LZ4, 1 << 30, &told);
	BkcFrame	frame = data_frame("x", 1);
	char		name[BKC_NAME_MAX];
	BkcStage   *stage;
	BkcError	err;
	Sum			sum;

	stage = bkc_stage_pack_new(w, &err);
	for (int i = 0; i < BKC_PACK_FRAMES_MAX + 1; i++)
	{
		assert_ok(bkc_stage_begin(stage, &err));
		assert_ok(bkc_stage_write(stage, &frame, &err));
		assert_ok(bkc_stage_end(stage, &err));
	}
	assert_ok(bkc_packwriter_flush(w, &err));
	assert_int_equal(told.n, 2);
	assert_int_equal(told.packs[0].frames, BKC_PACK_FRAMES_MAX);
	assert_int_equal(told.packs[1].frames, 1);
	pack_name(0, name);
	assert_ok(read_pack(store, name, &told.packs[0], &sum, &err));
	assert_int_equal(sum.frames, BKC_PACK_FRAMES_MAX);
	bkc_stage_close(stage);
	bkc_packwriter_close(&w);
	bkc_store_close(store);
}

/* abort() leaves frames that nobody refers to; the next file is whole. */
static void
test_abort(void **state)
{
	BkcStore   *store = util_store();
	Told		told;
	BkcPackWriter *w = new_writer(store, BKC_CODEC_NONE, 1 << 20, &told);
	BkcFrame	frame = data_frame("abcdef", 6);
	const BkcPiece *pieces;
	char		name[BKC_NAME_MAX];
	BkcStage   *stage;
	BkcError	err;
	Sum			sum;
	size_t		n;

	stage = bkc_stage_pack_new(w, &err);
	assert_ok(bkc_stage_begin(stage, &err));
	assert_ok(bkc_stage_write(stage, &frame, &err));
	assert_ok(bkc_stage_write(stage, &frame, &err));
	bkc_stage_abort(stage);
	assert_ok(bkc_stage_begin(stage, &err));
	assert_ok(bkc_stage_write(stage, &frame, &err));
	assert_ok(bkc_stage_end(stage, &err));
	bkc_stage_pack_pieces(stage, &pieces, &n);
	assert_int_equal(n, 1);
	assert_int_equal(pieces[0].first_frame, 2);
	assert_int_equal(pieces[0].frame_count, 1);
	assert_ok(bkc_packwriter_flush(w, &err));
	pack_name(0, name);
	assert_ok(read_pack(store, name, &told.packs[0], &sum, &err));
	assert_int_equal(sum.frames, 3);
	bkc_stage_close(stage);
	bkc_packwriter_close(&w);
	bkc_store_close(store);
}

/* Two packs of three frames, written against a store that fails at some call. */
static bool
write_packs(BkcPackWriter *w, BkcStage *stage, BkcError *err)
{
	static uint8_t data[100000];
	BkcFrame	frame = data_frame(data, sizeof(data));

	if (!bkc_stage_begin(stage, err))
		return false;
	for (int i = 0; i < 6; i++)
	{
		if (!bkc_stage_write(stage, &frame, err))
			return false;
	}
	return bkc_stage_end(stage, err) && bkc_packwriter_flush(w, err);
}

static void
test_store_failures(void **state)
{
	bool		done = false;
	uint64_t	at;

	for (at = 1; !done; at++)
	{
		BkcStore   *memory = util_store();
		BkcStore   *store;
		BkcStore   *look;
		Told		told;
		BkcPackWriter *w;
		BkcStage   *stage;
		BkcError	err;
		size_t		packs;

		assert_ok(bkc_store_memory_share(memory, &look, &err));
		assert_ok(bkc_store_faulty_new(memory, at, BKC_ERR_UNAVAILABLE, NULL, &store, &err));
		w = new_writer(store, BKC_CODEC_ZSTD, 250000, &told);
		stage = bkc_stage_pack_new(w, &err);
		done = write_packs(w, stage, &err);
		packs = told.n;
		assert_int_equal(util_objects(look), packs);
		if (!done)
		{
			BkcFrame	frame = data_frame("x", 1);

			assert_int_equal(err.code, BKC_ERR_UNAVAILABLE);
			bkc_stage_abort(stage);

			/* complete-looking files are lost with the pack: nothing may go on */
			assert_ok(bkc_stage_begin(stage, &err));
			assert_fails(bkc_stage_write(stage, &frame, &err), BKC_ERR_STATE);
			bkc_stage_abort(stage);
			assert_fails(bkc_packwriter_flush(w, &err), BKC_ERR_STATE);
		}
		bkc_stage_close(stage);
		bkc_packwriter_close(&w);
		assert_int_equal(util_objects(look), packs);
		bkc_store_close(store);
		bkc_store_close(look);
		assert_true(at < 100);
	}
	assert_true(at > 10);
}

static void
test_callback_refuses(void **state)
{
	BkcStore   *store = util_store();
	Told		told;
	BkcPackWriter *w = new_writer(store, BKC_CODEC_NONE, 1 << 20, &told);
	BkcFrame	frame = data_frame("abcdef", 6);
	BkcStage   *stage;
	BkcError	err;

	stage = bkc_stage_pack_new(w, &err);
	told.refuse = true;
	assert_ok(bkc_stage_begin(stage, &err));
	assert_ok(bkc_stage_write(stage, &frame, &err));
	assert_ok(bkc_stage_end(stage, &err));
	assert_fails(bkc_packwriter_flush(w, &err), BKC_ERR_IO);
	assert_fails(bkc_packwriter_flush(w, &err), BKC_ERR_STATE);
	bkc_stage_close(stage);
	bkc_packwriter_close(&w);
	bkc_store_close(store);
}

#ifdef BKC_FAULTS
static const char *
fault_spec(void)
{
	return "pack-commit=nospace";
}

/* Stopped just before the commit: the pack must not be seen. */
static void
test_fault_point(void **state)
{
	static const BkcHost host = {.fault_spec = fault_spec};
	BkcStore   *store = util_store();
	Told		told;
	BkcPackWriter *w = new_writer(store, BKC_CODEC_NONE, 1 << 20, &told);
	BkcFrame	frame = data_frame("abcdef", 6);
	BkcStage   *stage;
	BkcError	err;

	stage = bkc_stage_pack_new(w, &err);
	assert_ok(bkc_stage_begin(stage, &err));
	assert_ok(bkc_stage_write(stage, &frame, &err));
	assert_ok(bkc_stage_end(stage, &err));
	bkc_host_set(&host);
	assert_fails(bkc_packwriter_flush(w, &err), BKC_ERR_NO_SPACE);
	bkc_host_set(NULL);
	assert_fails(bkc_packwriter_flush(w, &err), BKC_ERR_STATE);
	assert_int_equal(told.n, 0);
	assert_int_equal(util_objects(store), 0);
	bkc_stage_close(stage);
	bkc_packwriter_close(&w);
	bkc_store_close(store);
}
#endif

/* ---- damage ---- */

/* A small pack of several frames; returns what the writer told of it. */
static BkcPackInfo
small_pack(BkcStore *store, BkcCodec codec)
{
	Told		told;
	BkcPackWriter *w = new_writer(store, codec, 1 << 20, &told);
	uint8_t    *data = util_data(400, DATA_RANDOM);
	BkcStage   *stage;
	BkcError	err;

	stage = bkc_stage_pack_new(w, &err);
	for (size_t i = 0; i < 5; i++)
	{
		BkcFrame	frame = data_frame(data + i, 30 + i);

		assert_ok(bkc_stage_begin(stage, &err));
		assert_ok(bkc_stage_write(stage, &frame, &err));
		assert_ok(bkc_stage_end(stage, &err));
	}
	assert_ok(bkc_packwriter_flush(w, &err));
	bkc_stage_close(stage);
	bkc_packwriter_close(&w);
	free(data);
	return told.packs[0];
}

static void
test_damage(void **state)
{
	BkcStore   *store = util_store();
	BkcPackInfo info = small_pack(store, BKC_CODEC_ZSTD);
	BkcBuffer	good = {0};
	char		name[BKC_NAME_MAX];
	char		other[BKC_NAME_MAX];
	uint8_t    *bad;
	BkcError	err;
	Sum			sum;

	pack_name(0, name);
	pack_name(1, other);
	util_get(store, name, &good);
	bad = malloc(good.len + 1);

	for (size_t i = 0; i < good.len; i++)
	{
		for (int bit = 0; bit < 8; bit++)
		{
			memcpy(bad, good.data, good.len);
			bad[i] ^= (uint8_t) (1 << bit);
			util_put(store, name, bad, good.len);
			bkc_error_clear(&err);
			if (read_pack(store, name, bit % 2 ? &info : NULL, &sum, &err))
				fail_msg("flipped bit %d of byte %zu goes unnoticed", bit, i);
			assert_int_equal(err.code, BKC_ERR_CORRUPT);
			assert_non_null(strstr(err.message, name));
		}
	}
	for (size_t len = 0; len < good.len; len++)
	{
		uint8_t    *exact = malloc(len + 1);

		memcpy(exact, good.data, len);
		util_put(store, name, exact, len);
		assert_fails(read_pack(store, name, &info, &sum, &err), BKC_ERR_CORRUPT);
		assert_fails(read_pack(store, name, NULL, &sum, &err), BKC_ERR_CORRUPT);
		free(exact);
	}

	/* grown at the end, at the front, in the middle */
	for (size_t at = 0; at <= good.len; at++)
	{
		memcpy(bad, good.data, at);
		bad[at] = at > 0 ? good.data[at - 1] : 0;
		memcpy(bad + at + 1, good.data + at, good.len - at);
		util_put(store, name, bad, good.len + 1);
		assert_fails(read_pack(store, name, &info, &sum, &err), BKC_ERR_CORRUPT);
		assert_fails(read_pack(store, name, NULL, &sum, &err), BKC_ERR_CORRUPT);
	}

	/* a good object under another pack's name */
	util_put(store, other, good.data, good.len);
	assert_fails(read_pack(store, other, NULL, &sum, &err), BKC_ERR_CORRUPT);

	util_put(store, name, good.data, good.len);
	assert_ok(read_pack(store, name, &info, &sum, &err));
	assert_int_equal(sum.frames, 5);
	free(bad);
	bkc_buffer_free(&good);
	bkc_store_close(store);
}

/* What the manifest says of a pack must be so. */
static void
test_expectations(void **state)
{
	BkcStore   *store = util_store();
	BkcPackInfo info = small_pack(store, BKC_CODEC_NONE);
	BkcPackInfo wrong = info;
	char		name[BKC_NAME_MAX];
	BkcError	err;
	Sum			sum;

	pack_name(0, name);
	wrong.frames++;
	assert_fails(read_pack(store, name, &wrong, &sum, &err), BKC_ERR_CORRUPT);
	for (int d = -1; d <= 1; d += 2)
	{
		wrong = info;
		wrong.size += (uint64_t) d;
		assert_fails(read_pack(store, name, &wrong, &sum, &err), BKC_ERR_CORRUPT);
	}
	wrong.size = 0;
	assert_fails(read_pack(store, name, &wrong, &sum, &err), BKC_ERR_CORRUPT);
	wrong.size = UINT64_MAX;
	assert_fails(read_pack(store, name, &wrong, &sum, &err), BKC_ERR_CORRUPT);
	pack_name(9, name);
	assert_fails(read_pack(store, name, &info, &sum, &err), BKC_ERR_NOT_FOUND);
	assert_fails(read_pack(store, name, NULL, &sum, &err), BKC_ERR_NOT_FOUND);
	bkc_store_close(store);
}

/* ---- packs built by hand ---- */

/* What makes a hand-made pack differ from a right one. */
typedef struct Lie
{
	const char *what;
	int			entry;			/* index entry changed by change() */
	void		(*change) (BkcPackEntry *entry);
	uint8_t		frame_type;		/* of all data frames; 0: DATA */
	uint32_t	claim;			/* plain_len of frame 1; 0: the right one */
	int			more_entries;	/* index has more or fewer entries than frames */
	BkcCodec	codec;
	BkcKind		kind;
} Lie;

static void
lie_offset(BkcPackEntry *e)
{
	e->offset++;
}

static void
lie_stored(BkcPackEntry *e)
{
	e->stored_len--;
}

static void
lie_plain(BkcPackEntry *e)
{
	e->plain_len++;
}

static void
lie_digest(BkcPackEntry *e)
{
	e->digest[15] ^= 1;
}

static void
lie_huge(BkcPackEntry *e)
{
	e->stored_len = UINT32_MAX;
}

/* A pack whose own digests are all right but whose content lies. */
static void
hand_made(BkcStore *store, const char *name, const Lie *lie)
{
	uint8_t		index[BKC_PACK_ENTRY_SIZE * 8] = {0};
	uint8_t		footer[BKC_PACK_FOOTER_SIZE];
	BkcPackFooter f = {.nframes = 4};
	BkcObjectWriter *w;
	BkcFrame	frame;
	BkcError	err;

	assert_ok(bkc_object_create(store, name, lie->kind ? lie->kind : BKC_KIND_PACK,
								lie->codec, 0, &w, &err));
	for (int i = 0; i < 4; i++)
	{
		BkcPackEntry entry;

		frame = data_frame("0123456789", 10);
		if (lie->frame_type)
			frame.type = lie->frame_type;
		if (lie->claim && i == 1)
		{
			frame.flags = 0;
			frame.plain_len = lie->claim;
		}
		assert_ok(bkc_object_put(w, &frame, false, &entry, &err));
		if (lie->change != NULL && lie->entry == i)
			lie->change(&entry);
		bkc_packentry_encode(&entry, index + i * BKC_PACK_ENTRY_SIZE);
	}
	f.index_offset = bkc_object_size(w);
	frame = data_frame(index, (size_t) (4 + lie->more_entries) * BKC_PACK_ENTRY_SIZE);
	frame.type = BKC_FRAME_INDEX;
	assert_ok(bkc_object_put(w, &frame, true, NULL, &err));
	bkc_packfooter_encode(&f, footer);
	assert_ok(bkc_object_put_raw(w, footer, sizeof(footer), &err));
	assert_ok(bkc_object_commit(w, &err));
	bkc_object_close(w);
}

static void
test_lies(void **state)
{
	static const Lie lies[] = {
		{.what = "offset", .entry = 2, .change = lie_offset},
		{.what = "first offset", .entry = 0, .change = lie_offset},
		{.what = "last offset", .entry = 3, .change = lie_offset},
		{.what = "stored length", .entry = 1, .change = lie_stored},
		{.what = "plain length", .entry = 1, .change = lie_plain},
		{.what = "digest", .entry = 3, .change = lie_digest},
		{.what = "huge length", .entry = 3, .change = lie_huge},
		{.what = "frame type", .frame_type = BKC_FRAME_INFO},
		{.what = "one entry too many", .more_entries = 1},
		{.what = "one entry too few", .more_entries = -1},
		{.what = "kind", .kind = BKC_KIND_NOTE},
	};
	static const Lie truth = {.what = "truth"};
	BkcStore   *store = util_store();
	char		name[BKC_NAME_MAX];
	const char *p = name;
	BkcError	err;
	Sum			sum;

	pack_name(0, name);
	hand_made(store, name, &truth);
	assert_ok(read_pack(store, name, NULL, &sum, &err));
	assert_int_equal(sum.bytes, 40);
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++)
	{
		assert_ok(bkc_store_remove(store, &p, 1, &err));
		hand_made(store, name, &lies[i]);
		bkc_error_clear(&err);
		if (read_pack(store, name, NULL, &sum, &err))
			fail_msg("a wrong %s goes unnoticed", lies[i].what);
		assert_int_equal(err.code, BKC_ERR_CORRUPT);
	}
	bkc_store_close(store);
}

/* Frames that claim what they do not hold get as far as the decompressor and no further. */
static bool
into_stage(void *arg, const BkcFrame *frame, BkcError *err)
{
	return bkc_stage_write(arg, frame, err);
}

static void
test_hostile_plain_len(void **state)
{
	static const uint32_t claims[] = {9, 10, 11, 12, 5000, MIB};
	BkcStore   *store = util_store();
	char		name[BKC_NAME_MAX];
	const char *p = name;
	BkcError	err;

	pack_name(0, name);
	for (int codec = BKC_CODEC_NONE; codec <= BKC_CODEC_ZSTD; codec++)
	{
		for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++)
		{
			Lie			lie = {.claim = claims[i], .codec = (BkcCodec) codec};
			BkcBuffer	out = {0};
			BkcPackReader *r;
			BkcStage   *stage;

			assert_ok(bkc_store_remove(store, &p, 1, &err));
			hand_made(store, name, &lie);
			assert_ok(bkc_packreader_open(store, name, NULL, &r, &err));
			assert_int_equal(bkc_packreader_codec(r), codec);
			stage = bkc_stage_decompress_new(bkc_stage_buffer_new(&out, MIB, &err),
											 (BkcCodec) codec, &err);
			assert_ok(bkc_stage_begin(stage, &err));
			assert_fails(bkc_packreader_read(r, 0, 4, into_stage, stage, &err), BKC_ERR_CORRUPT);
			bkc_stage_abort(stage);

			/* the frames around it are not hurt */
			assert_ok(bkc_stage_begin(stage, &err));
			assert_ok(bkc_packreader_read(r, 2, 2, into_stage, stage, &err));
			assert_ok(bkc_packreader_read(r, 0, 1, into_stage, stage, &err));
			assert_ok(bkc_stage_end(stage, &err));
			assert_int_equal(out.len, 30);
			bkc_stage_close(stage);
			bkc_packreader_close(r);
			bkc_buffer_free(&out);
		}
	}
	bkc_store_close(store);
}

/* ---- ranges and streams ---- */

#define RANGE_FRAMES	40

typedef struct Expect
{
	uint8_t   **data;
	const uint32_t *len;
	uint32_t	next;
} Expect;

static bool
compare_frame(void *arg, const BkcFrame *frame, BkcError *err)
{
	Expect	   *e = arg;

	assert_int_equal(frame->len, e->len[e->next]);
	assert_memory_equal(frame->data, e->data[e->next], frame->len);
	e->next++;
	return true;
}

static void
test_ranges(void **state)
{
	BkcStore   *memory = util_store();
	BkcStore   *store;
	uint64_t	calls = 0;
	Told		told;
	BkcPackWriter *w;
	BkcPackReader *r;
	BkcStage   *stage;
	uint8_t    *data[RANGE_FRAMES];
	uint32_t	len[RANGE_FRAMES];
	Expect		expect = {.data = data, .len = len};
	Sum			sum = {.stop_at = 3};
	char		name[BKC_NAME_MAX];
	uint64_t	before;
	BkcError	err;

	assert_ok(bkc_store_faulty_new(memory, 0, BKC_ERR_IO, &calls, &store, &err));
	w = new_writer(store, BKC_CODEC_ZSTD, 1 << 30, &told);
	stage = bkc_stage_pack_new(w, &err);
	for (uint32_t i = 0; i < RANGE_FRAMES; i++)
	{
		BkcFrame	frame;

		len[i] = i % 7 == 3 ? MIB : (uint32_t) (1 + util_random() % (i % 2 ? 1000 : 90000));
		data[i] = util_data(len[i], DATA_RANDOM);
		frame = data_frame(data[i], len[i]);
		assert_ok(bkc_stage_begin(stage, &err));
		assert_ok(bkc_stage_write(stage, &frame, &err));
		assert_ok(bkc_stage_end(stage, &err));
	}
	assert_ok(bkc_packwriter_flush(w, &err));
	pack_name(0, name);
	assert_ok(bkc_packreader_open(store, name, &told.packs[0], &r, &err));
	assert_int_equal(bkc_packreader_frames(r), RANGE_FRAMES);

	/* any range, in any order */
	for (int i = 0; i < 300; i++)
	{
		uint32_t	first = (uint32_t) (util_random() % (RANGE_FRAMES + 1));
		uint32_t	count = (uint32_t) (util_random() % (RANGE_FRAMES + 1 - first));

		expect.next = first;
		assert_ok(bkc_packreader_read(r, first, count, compare_frame, &expect, &err));
		assert_int_equal(expect.next, first + count);
	}

	/* beyond the end, and around the number's end */
	assert_fails(bkc_packreader_read(r, 0, RANGE_FRAMES + 1, add_frame, &sum, &err),
				 BKC_ERR_CORRUPT);
	assert_fails(bkc_packreader_read(r, RANGE_FRAMES, 1, add_frame, &sum, &err), BKC_ERR_CORRUPT);
	assert_fails(bkc_packreader_read(r, 5, UINT32_MAX, add_frame, &sum, &err), BKC_ERR_CORRUPT);
	assert_fails(bkc_packreader_read(r, UINT32_MAX, 2, add_frame, &sum, &err), BKC_ERR_CORRUPT);
	assert_int_equal(sum.frames, 0);

	/* the caller's error comes back, and reading goes on after it */
	assert_fails(bkc_packreader_read(r, 0, 10, add_frame, &sum, &err), BKC_ERR_IO);
	assert_int_equal(sum.frames, 3);
	expect.next = 3;
	assert_ok(bkc_packreader_read(r, 3, 7, compare_frame, &expect, &err));
	bkc_packreader_close(r);

	/* frame by frame in order: one stream, small ones fetched together */
	assert_ok(bkc_packreader_open(store, name, &told.packs[0], &r, &err));
	before = calls;
	for (expect.next = 0; expect.next < RANGE_FRAMES;)
		assert_ok(bkc_packreader_read(r, expect.next, 1, compare_frame, &expect, &err));
	assert_true(calls - before < RANGE_FRAMES);
	bkc_packreader_close(r);
	for (uint32_t i = 0; i < RANGE_FRAMES; i++)
		free(data[i]);
	bkc_stage_close(stage);
	bkc_packwriter_close(&w);
	bkc_store_close(store);
}

/* Reading fails at each call once; then the same reader goes on. */
static void
test_read_failures(void **state)
{
	bool		done = false;
	uint64_t	at;

	for (at = 1; !done; at++)
	{
		BkcStore   *memory = util_store();
		BkcPackInfo info = small_pack(memory, BKC_CODEC_NONE);
		BkcStore   *store;
		BkcPackReader *r = NULL;
		char		name[BKC_NAME_MAX];
		Sum			sum = {0};
		BkcError	err;

		pack_name(0, name);
		assert_ok(bkc_store_faulty_new(memory, at, BKC_ERR_TIMEOUT, NULL, &store, &err));
		if (!bkc_packreader_open(store, name, at % 2 ? NULL : &info, &r, &err))
		{
			assert_int_equal(err.code, BKC_ERR_TIMEOUT);
			assert_null(r);
		}
		else
		{
			done = bkc_packreader_read(r, 0, 5, add_frame, &sum, &err);
			if (!done)
			{
				assert_int_equal(err.code, BKC_ERR_TIMEOUT);
				memset(&sum, 0, sizeof(sum));
				assert_ok(bkc_packreader_read(r, 0, 5, add_frame, &sum, &err));
				assert_int_equal(sum.frames, 5);
			}
		}
		bkc_packreader_close(r);
		bkc_store_close(store);
		assert_true(at < 30);
	}
	assert_true(at > 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_rolling),
		cmocka_unit_test(test_frames_max),
		cmocka_unit_test(test_abort),
		cmocka_unit_test(test_store_failures),
		cmocka_unit_test(test_callback_refuses),
#ifdef BKC_FAULTS
		cmocka_unit_test(test_fault_point),
#endif
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_expectations),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_hostile_plain_len),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_read_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
