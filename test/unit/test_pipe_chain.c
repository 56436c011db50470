/*
 * test_pipe_chain.c
 *		Whole chains: what a backup chain stored, a restore chain gives back.
 */
#include "test_pipe_util.h"

#include "base/host.h"
#include "format/names.h"
#include "pipe/chain.h"

#define FILES_MAX	64

typedef struct File
{
	uint8_t    *data;
	size_t		len;
	BkcDigestResult digest;
	BkcPiece   *pieces;
	size_t		npieces;
} File;

typedef struct Run
{
	BkcStore   *store;
	BkcChainSpec spec;
	File		files[FILES_MAX];
	size_t		nfiles;
	uint64_t	plain;			/* what progress saw */
	uint64_t	stored;
	uint64_t	packed;			/* sum of pack sizes */
	uint32_t	npacks;
} Run;

static void
count_progress(void *arg, uint64_t plain, uint64_t stored)
{
	Run		   *run = arg;

	run->plain += plain;
	run->stored += stored;
}

static bool
count_pack(void *arg, const BkcPackInfo *info, BkcError *err)
{
	Run		   *run = arg;

	run->packed += info->size;
	run->npacks++;
	return true;
}

static bool
write_cut(BkcChain *chain, const uint8_t *data, size_t len, BkcError *err)
{
	for (size_t pos = 0; pos < len; pos += MIB)
	{
		if (!bkc_chain_write_plain(chain, data + pos, len - pos < MIB ? len - pos : MIB, err))
			return false;
	}
	return true;
}

static void
run_backup(Run *run, uint64_t pack_size)
{
	BkcPackSpec packspec = {
		.store = run->store,
		.system_identifier = SYSID,
		.label = LABEL,
		.codec = run->spec.codec,
		.pack_size = pack_size,
		.committed = count_pack,
		.arg = run
	};
	BkcPackWriter *w;
	BkcChain   *chain;
	BkcError	err;

	run->spec.progress = count_progress;
	run->spec.progress_arg = run;
	assert_ok(bkc_packwriter_new(&packspec, &w, &err));
	assert_ok(bkc_chain_new_backup(&run->spec, w, &chain, &err));
	for (size_t i = 0; i < run->nfiles; i++)
	{
		File	   *file = &run->files[i];
		const BkcPiece *pieces;

		/* now and then a file that is given up half-way goes before */
		if (i % 5 == 2)
		{
			assert_ok(bkc_chain_begin(chain, &err));
			assert_ok(bkc_chain_write_plain(chain, file->data, file->len < MIB ? file->len : MIB,
											&err));
			bkc_chain_abort(chain);
		}
		assert_ok(bkc_chain_begin(chain, &err));
		assert_ok(write_cut(chain, file->data, file->len, &err));
		assert_ok(bkc_chain_end(chain, &err));
		file->digest = *bkc_chain_digest(chain);
		bkc_chain_pieces(chain, &pieces, &file->npieces);
		file->pieces = calloc(file->npieces + 1, sizeof(*pieces));
		if (file->npieces > 0)
			memcpy(file->pieces, pieces, file->npieces * sizeof(*pieces));
	}
	assert_ok(bkc_packwriter_flush(w, &err));
	bkc_chain_close(&chain);
	assert_null(chain);
	bkc_chain_close(&chain);
	bkc_packwriter_close(&w);
}

static bool
into_chain(void *arg, const BkcFrame *frame, BkcError *err)
{
	return bkc_chain_write(arg, frame, err);
}

/* Read each file back, each from its own reader, last file first. */
static void
run_restore(Run *run)
{
	BkcBuffer	out = {0};
	BkcChain   *chain;
	BkcError	err;
	BkcChainSpec spec = {.codec = BKC_CODEC_NONE};

	assert_ok(bkc_chain_new_restore(&spec, bkc_stage_buffer_new(&out, SIZE_MAX, &err),
									&chain, &err));
	for (size_t i = run->nfiles; i-- > 0;)
	{
		File	   *file = &run->files[i];

		bkc_buffer_reset(&out);
		assert_ok(bkc_chain_begin(chain, &err));
		for (size_t p = 0; p < file->npieces; p++)
		{
			BkcPackReader *r;
			char		name[BKC_NAME_MAX];

			assert_ok(bkc_name_pack(SYSID, LABEL, file->pieces[p].pack_worker,
									file->pieces[p].pack_number, name, &err));
			assert_ok(bkc_packreader_open(run->store, name, NULL, &r, &err));
			bkc_chain_codec(chain, bkc_packreader_codec(r));
			assert_ok(bkc_packreader_read(r, file->pieces[p].first_frame,
										  file->pieces[p].frame_count, into_chain, chain, &err));
			bkc_packreader_close(r);
		}
		assert_ok(bkc_chain_end(chain, &err));
		assert_int_equal(out.len, file->len);
		assert_int_equal(bkc_chain_digest(chain)->bytes, file->len);
		assert_memory_equal(bkc_chain_digest(chain)->sha256, file->digest.sha256, BKC_SHA256_SIZE);
		if (file->len > 0)
			assert_memory_equal(out.data, file->data, file->len);
	}
	bkc_chain_close(&chain);
	bkc_buffer_free(&out);
}

static void
run_free(Run *run)
{
	for (size_t i = 0; i < run->nfiles; i++)
	{
		free(run->files[i].data);
		free(run->files[i].pieces);
	}
	bkc_store_close(run->store);
	memset(run, 0, sizeof(*run));
}

static void
add_file(Run *run, size_t len, UtilData kind)
{
	File	   *file = &run->files[run->nfiles++];

	assert_true(run->nfiles <= FILES_MAX);
	file->data = util_data(len, kind);
	file->len = len;
}

/* The sizes around a frame, with every codec and several levels. */
static void
test_boundaries(void **state)
{
	static const size_t sizes[] = {0, 1, 8192, MIB - 1, MIB, MIB + 1};
	static const struct
	{
		BkcCodec	codec;
		int			level;
	}			codecs[] = {
		{BKC_CODEC_NONE, 0}, {BKC_CODEC_GZIP, 1}, {BKC_CODEC_GZIP, 6}, {BKC_CODEC_LZ4, 1},
		{BKC_CODEC_LZ4, 9}, {BKC_CODEC_ZSTD, 1}, {BKC_CODEC_ZSTD, 3},
	};

	for (size_t c = 0; c < sizeof(codecs) / sizeof(codecs[0]); c++)
	{
		Run			run = {.store = util_store()};
		uint64_t	sum = 0;

		run.spec.codec = codecs[c].codec;
		run.spec.level = codecs[c].level;
		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
		{
			add_file(&run, sizes[s], DATA_RANDOM);
			add_file(&run, sizes[s], DATA_TEXT);
			sum += 2 * sizes[s];
		}
		run_backup(&run, BKC_PACK_SIZE_DEFAULT);
		assert_int_equal(run.npacks, 1);
		assert_true(run.plain >= sum);	/* the files given up count as well */
		assert_true(run.stored <= run.plain);
		assert_true(run.stored < run.packed);
		if (codecs[c].codec == BKC_CODEC_NONE)
			assert_int_equal(run.stored, run.plain);
		else
			assert_true(run.stored < run.plain * 6 / 10);
		run_restore(&run);
		run_free(&run);
	}
}

/* Random sizes, packs so small that files run over several. */
static void
test_random_sizes(void **state)
{
	uint32_t	packs = 0;

	for (int round = 0; round < 12; round++)
	{
		Run			run = {.store = util_store()};

		run.spec.codec = (BkcCodec) (round % 4);
		run.spec.level = 1;
		for (int i = 0; i < 24; i++)
			add_file(&run, util_random() % (i % 6 == 0 ? 5 * MIB : i % 6 == 1 ? 300000 : 9000),
					 (UtilData) (util_random() % DATA_KINDS));
		run_backup(&run, 1 + util_random() % (round % 2 ? 2 * MIB : 50000));
		packs += run.npacks;
		run_restore(&run);
		run_free(&run);
	}
	assert_true(packs > 60);
}

/* One file over many packs: a piece for each. */
static void
test_large_file(void **state)
{
	Run			run = {.store = util_store()};

	run.spec.codec = BKC_CODEC_ZSTD;
	run.spec.level = 1;
	add_file(&run, 21 * MIB + 5, DATA_RANDOM);
	run_backup(&run, 4 * MIB);
	assert_int_equal(run.npacks, 6);
	assert_int_equal(run.files[0].npieces, 6);
	run_restore(&run);
	run_free(&run);
}

/* Only a file's last frame may be short, and none may be too long. */
static void
test_frame_rule(void **state)
{
	Run			run = {.store = util_store()};
	BkcPackSpec packspec = {.store = run.store, .system_identifier = SYSID, .label = LABEL};
	BkcChainSpec spec = {.codec = BKC_CODEC_NONE};
	uint8_t    *data = util_data(MIB + 1, DATA_ZERO);
	BkcFrame	empty = {.data = data, .type = BKC_FRAME_DATA, .flags = BKC_FRAME_STORED};
	BkcPackWriter *w;
	BkcChain   *chain;
	BkcError	err;

	assert_ok(bkc_packwriter_new(&packspec, &w, &err));
	assert_ok(bkc_chain_new_backup(&spec, w, &chain, &err));
	assert_ok(bkc_chain_begin(chain, &err));
	assert_ok(bkc_chain_write_plain(chain, data, 10, &err));
	assert_ok(bkc_chain_write_plain(chain, data, 0, &err));
	assert_fails(bkc_chain_write_plain(chain, data, 10, &err), BKC_ERR_INTERNAL);
	bkc_chain_abort(chain);
	assert_ok(bkc_chain_begin(chain, &err));
	assert_fails(bkc_chain_write_plain(chain, data, MIB + 1, &err), BKC_ERR_INTERNAL);
	bkc_chain_abort(chain);
	assert_ok(bkc_chain_begin(chain, &err));
	assert_fails(bkc_chain_write(chain, &empty, &err), BKC_ERR_INTERNAL);
	bkc_chain_abort(chain);
	assert_ok(bkc_chain_begin(chain, &err));
	assert_ok(bkc_chain_end(chain, &err));
	bkc_chain_close(&chain);
	bkc_packwriter_close(&w);

	/* on the way back it is damage, not a bug */
	assert_ok(bkc_chain_new_restore(&spec, bkc_stage_null_new(&err), &chain, &err));
	assert_ok(bkc_chain_begin(chain, &err));
	assert_ok(bkc_chain_write_plain(chain, data, 10, &err));
	assert_fails(bkc_chain_write_plain(chain, data, 10, &err), BKC_ERR_CORRUPT);
	bkc_chain_abort(chain);
	bkc_chain_close(&chain);
	free(data);
	run_free(&run);
}

static bool cancel_now;

static bool
cancelled(void)
{
	return cancel_now;
}

static void
test_cancel(void **state)
{
	static const BkcHost host = {.cancelled = cancelled};
	BkcChainSpec spec = {.codec = BKC_CODEC_NONE};
	BkcChain   *chain;
	BkcError	err;

	bkc_host_set(&host);
	assert_ok(bkc_chain_new_restore(&spec, bkc_stage_null_new(&err), &chain, &err));
	assert_ok(bkc_chain_begin(chain, &err));
	cancel_now = true;
	assert_fails(bkc_chain_write_plain(chain, "x", 1, &err), BKC_ERR_CANCELLED);
	cancel_now = false;
	bkc_chain_abort(chain);
	bkc_chain_close(&chain);
	bkc_host_set(NULL);
}

/* A wrong level closes what was built so far, the caller's writer not. */
static void
test_bad_spec(void **state)
{
	Run			run = {.store = util_store()};
	BkcPackSpec packspec = {.store = run.store, .system_identifier = SYSID, .label = LABEL};
	BkcChainSpec spec = {.codec = BKC_CODEC_ZSTD, .level = 99, .max_rate = 5};
	BkcPackWriter *w;
	BkcChain   *chain;
	BkcError	err;

	assert_ok(bkc_packwriter_new(&packspec, &w, &err));
	assert_fails(bkc_chain_new_backup(&spec, w, &chain, &err), BKC_ERR_INVALID);
	assert_null(chain);
	assert_ok(bkc_packwriter_flush(w, &err));
	bkc_packwriter_close(&w);
	run_free(&run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_boundaries),
		cmocka_unit_test(test_random_sizes),
		cmocka_unit_test(test_large_file),
		cmocka_unit_test(test_frame_rule),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_bad_spec),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
