/*
 * test_pipe_stages.c
 *		The stages one by one: what passes, what is refused, who closes whom.
 */
#include "test_pipe_util.h"

#include <fcntl.h>
#include <lz4.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/host.h"
#include "pipe/codec.h"
#include "pipe/stages.h"

/* ---- a sink that writes down what it is told ---- */

typedef struct Recorder
{
	BkcStage	base;
	char		calls[64];		/* b w e a c */
	size_t		ncalls;
	BkcFrame	last;
	const char *fail;			/* the call that fails: "b", "w" or "e" */
} Recorder;

static bool
record(BkcStage *stage, char call, BkcError *err)
{
	Recorder   *r = (Recorder *) stage;

	if (r->ncalls < sizeof(r->calls) - 1)
		r->calls[r->ncalls++] = call;
	if (r->fail != NULL && r->fail[0] == call)
		return bkc_error_set(err, BKC_ERR_IO, "recorder fails on purpose");
	return true;
}

static bool
record_begin(BkcStage *stage, BkcError *err)
{
	return record(stage, 'b', err);
}

static bool
record_write(BkcStage *stage, const BkcFrame *frame, BkcError *err)
{
	((Recorder *) stage)->last = *frame;
	return record(stage, 'w', err);
}

static bool
record_end(BkcStage *stage, BkcError *err)
{
	return record(stage, 'e', err);
}

static void
record_abort(BkcStage *stage)
{
	record(stage, 'a', NULL);
}

static void
record_close(BkcStage *stage)
{
	record(stage, 'c', NULL);
}

static const BkcStageOps record_ops = {
	record_begin, record_write, record_end, record_abort, record_close
};

static Recorder
recorder(void)
{
	Recorder	r = {.base = {.ops = &record_ops}};

	return r;
}

static BkcFrame
plain_frame(const void *data, size_t len)
{
	BkcFrame	frame = {
		.data = data,
		.len = (uint32_t) len,
		.plain_len = (uint32_t) len,
		.type = BKC_FRAME_DATA
	};

	return frame;
}

/* ---- forwarding ---- */

typedef BkcStage *(*MakeStage) (BkcStage *next, BkcError *err);

static BkcDigestResult make_result;

static BkcStage *
make_digest(BkcStage *next, BkcError *err)
{
	return bkc_stage_digest_new(next, &make_result, err);
}

static BkcStage *
make_compress(BkcStage *next, BkcError *err)
{
	return bkc_stage_compress_new(next, BKC_CODEC_ZSTD, 1, err);
}

static BkcStage *
make_decompress(BkcStage *next, BkcError *err)
{
	return bkc_stage_decompress_new(next, BKC_CODEC_NONE, err);
}

static BkcStage *
make_throttle(BkcStage *next, BkcError *err)
{
	return bkc_stage_throttle_new(next, 0, err);
}

static BkcStage *
make_progress(BkcStage *next, BkcError *err)
{
	return bkc_stage_progress_new(next, NULL, NULL, err);
}

static const MakeStage makers[] = {
	make_digest, make_compress, make_decompress, make_throttle, make_progress
};

static void
test_forwarding(void **state)
{
	for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++)
	{
		Recorder	r = recorder();
		BkcError	err;
		BkcFrame	frame = plain_frame("0123456789", 10);
		BkcStage   *stage;

		frame.flags = BKC_FRAME_STORED;
		stage = makers[i] (&r.base, &err);
		assert_non_null(stage);
		assert_ok(bkc_stage_begin(stage, &err));
		assert_ok(bkc_stage_write(stage, &frame, &err));
		assert_ok(bkc_stage_end(stage, &err));
		assert_ok(bkc_stage_begin(stage, &err));
		bkc_stage_abort(stage);
		r.fail = "b";
		assert_fails(bkc_stage_begin(stage, &err), BKC_ERR_IO);
		bkc_stage_abort(stage);
		r.fail = "w";
		assert_ok(bkc_stage_begin(stage, &err));
		assert_fails(bkc_stage_write(stage, &frame, &err), BKC_ERR_IO);
		bkc_stage_abort(stage);
		r.fail = "e";
		assert_ok(bkc_stage_begin(stage, &err));
		assert_fails(bkc_stage_end(stage, &err), BKC_ERR_IO);
		bkc_stage_abort(stage);
		r.fail = NULL;
		bkc_stage_close(stage);
		assert_string_equal(r.calls, "bwebababwabeac");
	}
}

static void
test_constructor_failure_closes_next(void **state)
{
	Recorder	r = recorder();
	BkcError	err;

	assert_null(bkc_stage_compress_new(&r.base, BKC_CODEC_ZSTD, 20, &err));
	assert_int_equal(err.code, BKC_ERR_INVALID);
	assert_string_equal(r.calls, "c");
	assert_null(bkc_stage_compress_new(&r.base, (BkcCodec) 77, 1, &err));
	assert_int_equal(err.code, BKC_ERR_UNSUPPORTED);
	assert_string_equal(r.calls, "cc");
}

/* ---- digest ---- */

static void
test_digest(void **state)
{
	/* FIPS 180-2: "abc", and the empty message */
	static const uint8_t abc[4] = {0xba, 0x78, 0x16, 0xbf};
	static const uint8_t empty[4] = {0xe3, 0xb0, 0xc4, 0x42};
	BkcError	err;
	BkcDigestResult result;
	BkcStage   *stage = bkc_stage_digest_new(bkc_stage_null_new(&err), &result, &err);
	BkcFrame	a = plain_frame("a", 1);
	BkcFrame	bc = plain_frame("bc", 2);

	assert_non_null(stage);
	for (int round = 0; round < 2; round++)
	{
		assert_ok(bkc_stage_begin(stage, &err));
		assert_ok(bkc_stage_write(stage, &a, &err));
		bkc_stage_abort(stage);
		assert_ok(bkc_stage_begin(stage, &err));
		assert_ok(bkc_stage_write(stage, &a, &err));
		assert_ok(bkc_stage_write(stage, &bc, &err));
		assert_ok(bkc_stage_end(stage, &err));
		assert_memory_equal(result.sha256, abc, 4);
		assert_int_equal(result.bytes, 3);
		assert_ok(bkc_stage_begin(stage, &err));
		assert_ok(bkc_stage_end(stage, &err));
		assert_memory_equal(result.sha256, empty, 4);
		assert_int_equal(result.bytes, 0);
	}
	bkc_stage_close(stage);
}

/* ---- codecs ---- */

static const struct
{
	BkcCodec	codec;
	int			level;
}			codecs[] = {
	{BKC_CODEC_NONE, 0}, {BKC_CODEC_GZIP, 1}, {BKC_CODEC_GZIP, 6}, {BKC_CODEC_GZIP, 9},
	{BKC_CODEC_LZ4, 1}, {BKC_CODEC_LZ4, 2}, {BKC_CODEC_LZ4, 9}, {BKC_CODEC_LZ4, 12},
	{BKC_CODEC_ZSTD, 1}, {BKC_CODEC_ZSTD, 3}, {BKC_CODEC_ZSTD, 19},
};

#define NCODECS	(sizeof(codecs) / sizeof(codecs[0]))

/* compress and decompress in one chain: what comes out must be what went in */
static void
round_trip(BkcStage *stage, Recorder *middle, const uint8_t *data, size_t len)
{
	BkcError	err;
	BkcFrame	frame = plain_frame(data, len);

	assert_ok(bkc_stage_begin(stage, &err));
	assert_ok(bkc_stage_write(stage, &frame, &err));
	assert_ok(bkc_stage_end(stage, &err));
	assert_int_equal(middle->last.plain_len, len);
	assert_int_equal(middle->last.type, BKC_FRAME_DATA);
}

static void
test_codecs(void **state)
{
	static const size_t sizes[] = {1, 2, 3, 15, 100, 8192, MIB - 1, MIB};
	uint8_t    *data = util_data(MIB, DATA_ZERO);

	for (size_t c = 0; c < NCODECS; c++)
	{
		BkcError	err;
		Recorder	r = recorder();
		BkcBuffer	out = {0};
		BkcStage   *compress = bkc_stage_compress_new(&r.base, codecs[c].codec,
													  codecs[c].level, &err);
		BkcStage   *expand = bkc_stage_decompress_new(bkc_stage_buffer_new(&out, MIB, &err),
													  codecs[c].codec, &err);

		assert_non_null(compress);
		assert_non_null(expand);
		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
		{
			for (int kind = 0; kind < DATA_KINDS; kind++)
			{
				/* the slow levels need not see everything */
				if (sizes[s] > 8192 && codecs[c].level > 9 && kind != DATA_TEXT)
					continue;
				util_fill(data, sizes[s], (UtilData) kind);
				round_trip(compress, &r, data, sizes[s]);
				if (codecs[c].codec == BKC_CODEC_NONE || kind == DATA_RANDOM || sizes[s] < 3)
					assert_true(r.last.flags & BKC_FRAME_STORED);
				else if (sizes[s] >= 8192 && kind != DATA_MIXED)
					assert_false(r.last.flags & BKC_FRAME_STORED);
				if (r.last.flags & BKC_FRAME_STORED)
				{
					assert_ptr_equal(r.last.data, data);	/* not even copied */
					assert_int_equal(r.last.len, sizes[s]);
				}
				else
					assert_true(r.last.len < sizes[s]);
				bkc_buffer_reset(&out);
				assert_ok(bkc_stage_begin(expand, &err));
				assert_ok(bkc_stage_write(expand, &r.last, &err));
				assert_ok(bkc_stage_end(expand, &err));
				assert_int_equal(out.len, sizes[s]);
				assert_memory_equal(out.data, data, sizes[s]);
			}
		}
		bkc_stage_close(compress);
		bkc_stage_close(expand);
		bkc_buffer_free(&out);
	}
	free(data);
}

static void
test_levels(void **state)
{
	static const struct
	{
		BkcCodec	codec;
		int			min;
		int			max;
	}			ranges[] = {
		{BKC_CODEC_GZIP, 1, 9}, {BKC_CODEC_LZ4, 1, 12}, {BKC_CODEC_ZSTD, 1, 19}
	};
	BkcError	err;

	assert_ok(bkc_codec_check_level(BKC_CODEC_NONE, -5, &err));
	for (size_t i = 0; i < 3; i++)
	{
		char		text[32];

		assert_ok(bkc_codec_check_level(ranges[i].codec, ranges[i].min, &err));
		assert_ok(bkc_codec_check_level(ranges[i].codec, ranges[i].max, &err));
		assert_fails(bkc_codec_check_level(ranges[i].codec, ranges[i].min - 1, &err),
					 BKC_ERR_INVALID);
		assert_fails(bkc_codec_check_level(ranges[i].codec, ranges[i].max + 1, &err),
					 BKC_ERR_INVALID);
		snprintf(text, sizeof(text), "%d to %d", ranges[i].min, ranges[i].max);
		assert_non_null(strstr(err.hint, text));
	}
}

/* ---- hostile frames ---- */

static size_t
library_compress(BkcCodec codec, const uint8_t *data, size_t len, uint8_t *out, size_t cap)
{
	uLongf		zlen = cap;

	switch (codec)
	{
		case BKC_CODEC_GZIP:
			assert_int_equal(compress2(out, &zlen, data, len, 6), Z_OK);
			return zlen;
		case BKC_CODEC_LZ4:
			return (size_t) LZ4_compress_default((const char *) data, (char *) out,
												 (int) len, (int) cap);
		default:
			return ZSTD_compress(out, cap, data, len, 1);
	}
}

static void
expect_corrupt(BkcStage *stage, BkcFrame frame)
{
	BkcError	err;

	assert_ok(bkc_stage_begin(stage, &err));
	assert_fails(bkc_stage_write(stage, &frame, &err), BKC_ERR_CORRUPT);
	bkc_stage_abort(stage);
}

static void
test_hostile_frames(void **state)
{
	static const BkcCodec three[] = {BKC_CODEC_GZIP, BKC_CODEC_LZ4, BKC_CODEC_ZSTD};
	size_t		cap = 12 * MIB;
	uint8_t    *bomb = util_data(10 * MIB, DATA_ZERO);
	uint8_t    *packed = malloc(cap);

	for (size_t i = 0; i < 3; i++)
	{
		BkcError	err;
		BkcBuffer	out = {0};
		BkcStage   *stage = bkc_stage_decompress_new(bkc_stage_buffer_new(&out, MIB, &err),
													 three[i], &err);
		BkcFrame	frame = plain_frame(packed, library_compress(three[i], bomb, 10 * MIB,
																 packed, cap));

		assert_non_null(stage);

		/* ten times what a frame may be, under any claim */
		frame.plain_len = MIB;
		expect_corrupt(stage, frame);
		frame.plain_len = MIB + 1;
		expect_corrupt(stage, frame);
		frame.plain_len = UINT32_MAX;
		expect_corrupt(stage, frame);
		frame.plain_len = 0;
		expect_corrupt(stage, frame);

		/* claims one byte too many, one too few */
		frame = plain_frame(packed, library_compress(three[i], bomb, 100000, packed, cap));
		frame.plain_len = 100001;
		expect_corrupt(stage, frame);
		frame.plain_len = 99999;
		expect_corrupt(stage, frame);

		/* cut at each length, and with something behind */
		frame.plain_len = 100000;
		for (uint32_t len = frame.len; frame.len-- > 0;)
		{
			uint8_t    *exact = malloc(frame.len + 1);
			BkcFrame	cut = frame;

			(void) len;
			memcpy(exact, packed, frame.len);
			cut.data = exact;
			expect_corrupt(stage, cut);
			free(exact);
		}
		frame.len = (uint32_t) library_compress(three[i], bomb, 100000, packed, cap);
		packed[frame.len++] = 0x55;
		expect_corrupt(stage, frame);

		/* "compressed" to no less than it was */
		frame.len = frame.plain_len = 20;
		expect_corrupt(stage, frame);

		/* stored plain with two lengths */
		frame = plain_frame(bomb, 10);
		frame.plain_len = 11;
		frame.flags = BKC_FRAME_STORED;
		expect_corrupt(stage, frame);

		/* noise */
		util_fill(packed, 1000, DATA_RANDOM);
		frame = plain_frame(packed, 1000);
		frame.plain_len = 5000;
		expect_corrupt(stage, frame);

		/* and the stage still works */
		frame = plain_frame(packed, library_compress(three[i], bomb, 100000, packed, cap));
		frame.plain_len = 100000;
		assert_int_equal(out.len, 0);
		assert_ok(bkc_stage_begin(stage, &err));
		assert_ok(bkc_stage_write(stage, &frame, &err));
		assert_ok(bkc_stage_end(stage, &err));
		assert_int_equal(out.len, 100000);
		bkc_stage_close(stage);
		bkc_buffer_free(&out);
	}
	free(bomb);
	free(packed);
}

/* A frame of codec none that says it is compressed cannot be. */
static void
test_expand(void **state)
{
	BkcFrameHeader hdr = {.stored_len = 5, .plain_len = 5, .flags = BKC_FRAME_STORED};
	uint8_t		out[8];
	BkcError	err;

	assert_ok(bkc_frame_expand(BKC_CODEC_NONE, &hdr, (const uint8_t *) "hello", out, &err));
	assert_memory_equal(out, "hello", 5);
	hdr.plain_len = 6;
	assert_fails(bkc_frame_expand(BKC_CODEC_NONE, &hdr, (const uint8_t *) "hello", out, &err),
				 BKC_ERR_CORRUPT);
	hdr.flags = 0;
	assert_fails(bkc_frame_expand(BKC_CODEC_NONE, &hdr, (const uint8_t *) "hello", out, &err),
				 BKC_ERR_CORRUPT);
}

/* ---- throttle, with a clock that only moves when somebody waits ---- */

static int64_t clock_now;
static int64_t clock_waited;
static bool clock_cancel;

static int64_t
fake_now(void)
{
	return clock_now;
}

static void
fake_wait(int ms)
{
	assert_in_range(ms, 1, 100);
	clock_now += (int64_t) ms * 1000;
	clock_waited += (int64_t) ms * 1000;
}

static bool
fake_cancelled(void)
{
	return clock_cancel;
}

static const BkcHost fake_host = {
	.now = fake_now,
	.wait = fake_wait,
	.cancelled = fake_cancelled
};

static int
set_clock(void **state)
{
	clock_now = 1700000000000000;
	clock_waited = 0;
	clock_cancel = false;
	bkc_host_set(&fake_host);
	return 0;
}

static int
reset_clock(void **state)
{
	bkc_host_set(NULL);
	return 0;
}

static void
test_throttle_rate(void **state)
{
	static const uint64_t rates[] = {10000, 1000003, 50000000, 4000000000};
	static uint8_t data[MIB];

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
	{
		BkcError	err;
		BkcStage   *stage;
		uint64_t	bytes = 0;
		int64_t		began;
		double		seconds;
		double		rate;

		set_clock(NULL);
		stage = bkc_stage_throttle_new(bkc_stage_null_new(&err), rates[i], &err);
		assert_non_null(stage);
		began = clock_now;

		/* ten seconds' worth, in frames of many sizes */
		while (bytes < rates[i] * 10)
		{
			size_t		max = rates[i] < MIB ? 1000 : MIB;
			BkcFrame	frame = plain_frame(data, 1 + util_random() % max);

			assert_ok(bkc_stage_begin(stage, &err));
			assert_ok(bkc_stage_write(stage, &frame, &err));
			assert_ok(bkc_stage_end(stage, &err));
			bytes += frame.len;
			clock_now += util_random() % 50;	/* the work itself */
		}
		seconds = (double) (clock_now - began) / 1e6;
		rate = (double) bytes / seconds;
		if (rate > (double) rates[i] * 1.05 || rate < (double) rates[i] * 0.95)
			fail_msg("rate %.0f instead of %llu", rate, (unsigned long long) rates[i]);
		bkc_stage_close(stage);
	}
}

/* Time that was not used is caught up for 100 ms and no more. */
static void
test_throttle_burst(void **state)
{
	static uint8_t data[100000];
	BkcError	err;
	BkcStage   *stage = bkc_stage_throttle_new(bkc_stage_null_new(&err), 1000000, &err);
	BkcFrame	frame = plain_frame(data, sizeof(data));

	assert_ok(bkc_stage_begin(stage, &err));
	clock_now += 3600 * (int64_t) 1000000;
	for (int i = 0; i < 10; i++)
		assert_ok(bkc_stage_write(stage, &frame, &err));
	assert_in_range(clock_waited, 750000, 950000);
	bkc_stage_close(stage);
}

static void
test_throttle_clock_set_back(void **state)
{
	static uint8_t data[100000];
	BkcError	err;
	BkcStage   *stage = bkc_stage_throttle_new(bkc_stage_null_new(&err), 1000000, &err);
	BkcFrame	frame = plain_frame(data, sizeof(data));

	assert_ok(bkc_stage_begin(stage, &err));
	for (int i = 0; i < 20; i++)
	{
		if (i == 10)
			clock_now -= 7200 * (int64_t) 1000000;
		assert_ok(bkc_stage_write(stage, &frame, &err));
	}
	assert_in_range(clock_waited, 1500000, 2100000);
	bkc_stage_close(stage);
}

static void
test_throttle_cancel(void **state)
{
	static uint8_t data[MIB];
	BkcError	err;
	BkcStage   *stage = bkc_stage_throttle_new(bkc_stage_null_new(&err), 1000, &err);
	BkcFrame	frame = plain_frame(data, sizeof(data));

	assert_ok(bkc_stage_begin(stage, &err));
	assert_ok(bkc_stage_write(stage, &frame, &err));
	clock_cancel = true;
	assert_fails(bkc_stage_write(stage, &frame, &err), BKC_ERR_CANCELLED);
	assert_in_range(clock_waited, 1, 100000);
	bkc_stage_abort(stage);
	bkc_stage_close(stage);
}

/* ---- progress ---- */

typedef struct Seen
{
	uint64_t	calls;
	uint64_t	plain;
	uint64_t	stored;
} Seen;

static void
see(void *arg, uint64_t plain, uint64_t stored)
{
	Seen	   *seen = arg;

	seen->calls++;
	seen->plain += plain;
	seen->stored += stored;
}

static void
test_progress(void **state)
{
	Recorder	r = recorder();
	Seen		seen = {0};
	BkcError	err;
	BkcStage   *stage = bkc_stage_progress_new(&r.base, see, &seen, &err);
	BkcFrame	frame = plain_frame("0123456789", 10);

	frame.plain_len = 1000;
	assert_ok(bkc_stage_begin(stage, &err));
	assert_ok(bkc_stage_write(stage, &frame, &err));
	assert_ok(bkc_stage_write(stage, &frame, &err));
	assert_ok(bkc_stage_end(stage, &err));
	assert_int_equal(seen.calls, 2);
	assert_int_equal(seen.plain, 2000);
	assert_int_equal(seen.stored, 20);

	/* what the next stage refused has not passed */
	r.fail = "w";
	assert_ok(bkc_stage_begin(stage, &err));
	assert_fails(bkc_stage_write(stage, &frame, &err), BKC_ERR_IO);
	bkc_stage_abort(stage);
	assert_int_equal(seen.calls, 2);
	bkc_stage_close(stage);
}

/* ---- sinks ---- */

static void
test_buffer(void **state)
{
	BkcBuffer	out = {0};
	BkcError	err;
	BkcStage   *stage = bkc_stage_buffer_new(&out, 10, &err);
	BkcFrame	frame = plain_frame("012345", 6);
	BkcFrame	four = plain_frame("abcd", 4);

	assert_ok(bkc_stage_begin(stage, &err));
	assert_ok(bkc_stage_write(stage, &frame, &err));
	assert_ok(bkc_stage_write(stage, &four, &err));
	assert_ok(bkc_stage_end(stage, &err));
	assert_string_equal(bkc_buffer_str(&out), "012345abcd");

	/* the limit is a file's, and an aborted file leaves nothing */
	assert_ok(bkc_stage_begin(stage, &err));
	assert_ok(bkc_stage_write(stage, &frame, &err));
	assert_fails(bkc_stage_write(stage, &frame, &err), BKC_ERR_INVALID);
	bkc_stage_abort(stage);
	assert_string_equal(bkc_buffer_str(&out), "012345abcd");
	bkc_stage_abort(stage);
	assert_int_equal(out.len, 10);
	bkc_stage_close(stage);
	bkc_buffer_free(&out);
}

static void
test_file(void **state)
{
	FILE	   *file = tmpfile();
	int			fd = fileno(file);
	size_t		len = 19 * MIB + 123;
	uint8_t    *data = util_data(len, DATA_MIXED);
	uint8_t    *back = malloc(len + 1);
	BkcError	err;
	BkcStage   *stage = bkc_stage_file_new(&err);

	assert_fails(bkc_stage_begin(stage, &err), BKC_ERR_INTERNAL);
	bkc_stage_abort(stage);
	bkc_stage_file_target(stage, fd, "scratch");
	assert_ok(bkc_stage_begin(stage, &err));
	for (size_t pos = 0; pos < len; pos += MIB)
	{
		BkcFrame	frame = plain_frame(data + pos, len - pos < MIB ? len - pos : MIB);

		assert_ok(bkc_stage_write(stage, &frame, &err));
	}
	assert_ok(bkc_stage_end(stage, &err));
	assert_int_equal(pread(fd, back, len + 1, 0), len);
	assert_memory_equal(back, data, len);

	/* the target was for one file */
	assert_fails(bkc_stage_begin(stage, &err), BKC_ERR_INTERNAL);
	bkc_stage_abort(stage);
	fclose(file);
	free(data);
	free(back);
	bkc_stage_close(stage);
}

/* A target that has no write-back, and one that is full. */
static void
test_file_special(void **state)
{
	uint8_t    *data = util_data(MIB, DATA_ZERO);
	BkcFrame	frame = plain_frame(data, MIB);
	BkcError	err;
	BkcStage   *stage = bkc_stage_file_new(&err);
	int			fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	bkc_stage_file_target(stage, fd, "/dev/null");
	assert_ok(bkc_stage_begin(stage, &err));
	for (int i = 0; i < 20; i++)
		assert_ok(bkc_stage_write(stage, &frame, &err));
	assert_ok(bkc_stage_end(stage, &err));
	close(fd);
	fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
	{
		bkc_stage_file_target(stage, fd, "/dev/full");
		assert_ok(bkc_stage_begin(stage, &err));
		assert_fails(bkc_stage_write(stage, &frame, &err), BKC_ERR_NO_SPACE);
		assert_non_null(strstr(err.message, "/dev/full"));
		bkc_stage_abort(stage);
		close(fd);
	}
	bkc_stage_close(stage);
	free(data);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forwarding),
		cmocka_unit_test(test_constructor_failure_closes_next),
		cmocka_unit_test(test_digest),
		cmocka_unit_test(test_codecs),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_hostile_frames),
		cmocka_unit_test(test_expand),
		cmocka_unit_test_setup_teardown(test_throttle_rate, set_clock, reset_clock),
		cmocka_unit_test_setup_teardown(test_throttle_burst, set_clock, reset_clock),
		cmocka_unit_test_setup_teardown(test_throttle_clock_set_back, set_clock, reset_clock),
		cmocka_unit_test_setup_teardown(test_throttle_cancel, set_clock, reset_clock),
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_buffer),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_file_special),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
