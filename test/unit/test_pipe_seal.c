/*
 * test_pipe_seal.c
 *		Sealed objects: nothing of them can be read, changed, cut, reordered or
 *		exchanged without their key.
 */
#include "test_pipe_keys.h"

#include <xxhash.h>

#include "base/host.h"
#include "pipe/chain.h"
#include "pipe/keyring_inner.h"
#include "pipe/pack.h"
#include "pipe/seal.h"
#include "pipe/walobj.h"
#include "test_pipe_wal.h"

#define CLUSTER	"7435718529102938471/cluster"
#define NOTE	"7435718529102938471/backups/" LABEL "/notes/20261120T120301000Z-x"
#define NOTE2	"7435718529102938471/backups/" LABEL "/notes/20261120T120301001Z-x"
#define PACK	"7435718529102938471/backups/" LABEL "/data/1-0.pack"

static BkcFrame
stored_frame(const void *data, size_t len)
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

/* Whoever changes an envelope can compute its digest. */
static void
envelope_mend(uint8_t *bytes)
{
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, 112));
	memcpy(bytes + 112, canonical.digest, 16);
}

/* The object must be refused, by a reader that knows no opened keys as well. */
static void
assert_refused(BkcStore *store, const char *name, BkcKind kind, size_t at)
{
	BkcBuffer	text = {0};
	BkcError	err;

	bkc_error_clear(&err);
	if (bkc_document_get(store, name, kind, &text, &err))
		fail_msg("byte %zu does not count", at);
	if (err.code != BKC_ERR_CORRUPT && err.code != BKC_ERR_UNSUPPORTED)
		fail_msg("byte %zu: %s", at, err.message);
	assert_false(keys_contains(text.data != NULL ? text.data : (uint8_t *) "", text.len, MARKER));
	bkc_buffer_free(&text);
}

static void
test_document(void **state)
{
	BkcStore   *store = keys_store();
	BkcBuffer	bytes = {0};
	BkcBuffer	text = {0};
	BkcError	err;
	uint8_t		saved;

	assert_ok(bkc_document_put(store, NOTE, BKC_KIND_NOTE, MARKER, strlen(MARKER), &err));
	assert_ok(bkc_document_get(store, NOTE, BKC_KIND_NOTE, &text, &err));
	assert_string_equal(bkc_buffer_str(&text), MARKER);
	util_get(store, NOTE, &bytes);
	assert_int_equal(bytes.len, 128 + 32 + strlen(MARKER));
	assert_int_equal(bytes.data[13], 1);
	assert_false(keys_contains(bytes.data, bytes.len, "plaintext"));

	/* each bit */
	for (size_t i = 0; i < bytes.len; i++)
	{
		for (int bit = 0; bit < 8; bit++)
		{
			bytes.data[i] ^= (uint8_t) (1 << bit);
			util_put(store, NOTE, bytes.data, bytes.len);
			assert_refused(store, NOTE, BKC_KIND_NOTE, i);
			bytes.data[i] ^= (uint8_t) (1 << bit);
		}
	}

	/* each byte of the envelope, with a correct digest: all of them go into the key */
	for (size_t i = 0; i < 112; i++)
	{
		saved = bytes.data[i];
		bytes.data[i] ^= i == 12 ? 3 : 1;
		envelope_mend(bytes.data);
		util_put(store, NOTE, bytes.data, bytes.len);
		assert_refused(store, NOTE, BKC_KIND_NOTE, i);
		bytes.data[i] = saved;
	}
	envelope_mend(bytes.data);

	/* each length */
	for (size_t len = 0; len < bytes.len; len++)
	{
		util_put(store, NOTE, bytes.data, len);
		assert_refused(store, NOTE, BKC_KIND_NOTE, len);
	}
	bkc_buffer_append(&bytes, "x", 1, &err);
	util_put(store, NOTE, bytes.data, bytes.len);
	assert_refused(store, NOTE, BKC_KIND_NOTE, bytes.len);

	/* and as it was it is good again */
	util_put(store, NOTE, bytes.data, bytes.len - 1);
	bkc_buffer_reset(&text);
	assert_ok(bkc_document_get(store, NOTE, BKC_KIND_NOTE, &text, &err));
	bkc_buffer_free(&bytes);
	bkc_buffer_free(&text);
	bkc_store_close(store);
}

/* Another name, another kind, another cluster; and a plain one with the sealed one's bytes. */
static void
test_swapped(void **state)
{
	BkcStore   *store = keys_store();
	BkcBuffer	bytes = {0};
	BkcBuffer	other = {0};
	BkcBuffer	text = {0};
	BkcError	err;

	assert_ok(bkc_document_put(store, NOTE, BKC_KIND_NOTE, MARKER, strlen(MARKER), &err));
	assert_ok(bkc_document_put(store, NOTE2, BKC_KIND_NOTE, MARKER, strlen(MARKER), &err));
	util_get(store, NOTE, &bytes);
	util_get(store, NOTE2, &other);
	util_put(store, NOTE2, bytes.data, bytes.len);
	assert_refused(store, NOTE2, BKC_KIND_NOTE, 0);
	util_put(store, NOTE, other.data, other.len);
	assert_refused(store, NOTE, BKC_KIND_NOTE, 0);

	/* frames of one in the envelope of the other */
	memcpy(other.data + 128, bytes.data + 128, bytes.len - 128);
	util_put(store, NOTE2, other.data, other.len);
	assert_refused(store, NOTE2, BKC_KIND_NOTE, 0);

	/* another kind that the envelope claims */
	bytes.data[10] = BKC_KIND_BEGIN;
	envelope_mend(bytes.data);
	util_put(store, NOTE, bytes.data, bytes.len);
	assert_refused(store, NOTE, BKC_KIND_BEGIN, 0);

	/* not sealed after all */
	bytes.data[10] = BKC_KIND_NOTE;
	bytes.data[13] = 0;
	memset(bytes.data + 16, 0, 16);
	envelope_mend(bytes.data);
	util_put(store, NOTE, bytes.data, bytes.len);
	assert_refused(store, NOTE, BKC_KIND_NOTE, 0);

	/* the same key in two clusters */
	util_get(store, NOTE2, &bytes);
	assert_ok(bkc_document_put(store, CLUSTER, BKC_KIND_CLUSTER, MARKER, strlen(MARKER), &err));
	util_get(store, CLUSTER, &bytes);
	util_put(store, "8/cluster", bytes.data, bytes.len);
	bkc_error_clear(&err);
	assert_false(bkc_document_get(store, "8/cluster", BKC_KIND_CLUSTER, &text, &err));
	assert_int_equal(err.code, BKC_ERR_CORRUPT);	/* cluster 8 has no such data key */
	bkc_buffer_free(&bytes);
	bkc_buffer_free(&other);
	bkc_buffer_free(&text);
	bkc_store_close(store);
}

/* The same data key in two clusters: still not each other's. */
static void
test_swapped_clusters(void **state)
{
	BkcStore   *store = keys_store();
	BkcBuffer	bytes = {0};
	BkcBuffer	text = {0};
	const BkcSecret *key;
	uint8_t		id[BKC_KEY_ID_SIZE];
	uint8_t		wrapping[BKC_WRAP_ID_SIZE];
	char		name[BKC_NAME_MAX];
	BkcError	err;

	/* copy the key's object to the other cluster: it is bound to its name */
	assert_ok(bkc_document_put(store, CLUSTER, BKC_KIND_CLUSTER, MARKER, strlen(MARKER), &err));
	assert_ok(bkc_keyring_for_writing(store, CLUSTER, id, &key, &err));
	assert_ok(bkc_keyring_wrapping_id(store->keys, 0, SYSID, wrapping, &err));
	assert_ok(bkc_name_key(SYSID, id, wrapping, name, &err));
	util_get(store, name, &bytes);
	assert_ok(bkc_name_key(8, id, wrapping, name, &err));
	util_put(store, name, bytes.data, bytes.len);
	util_get(store, CLUSTER, &bytes);
	util_put(store, "8/cluster", bytes.data, bytes.len);
	assert_fails(bkc_document_get(store, "8/cluster", BKC_KIND_CLUSTER, &text, &err),
				 BKC_ERR_CORRUPT);
	assert_non_null(strstr(err.message, "8/keys/"));
	bkc_buffer_free(&bytes);
	bkc_buffer_free(&text);
	bkc_store_close(store);
}

/* ---- many frames ---- */

#define FRAMES		5
#define FRAME_LEN	1000
#define FRAME_SIZE	(32 + FRAME_LEN)

static bool
read_frames(BkcStore *store, size_t *n, BkcError *err)
{
	BkcObjectReader *r;
	BkcFrame	frame;
	bool		end = false;
	bool		ok;

	*n = 0;
	if (!bkc_object_open(store, NOTE, BKC_KIND_NOTE, &r, err))
		return false;
	while ((ok = bkc_object_next(r, &frame, 0, &end, err)) && !end)
		++*n;
	bkc_object_reader_close(r);
	return ok;
}

static void
test_frames(void **state)
{
	BkcStore   *store = keys_store();
	uint8_t    *data = util_data(FRAME_LEN, DATA_RANDOM);
	BkcBuffer	bytes = {0};
	uint8_t    *copy;
	BkcObjectWriter *w;
	BkcError	err;
	size_t		n;

	assert_ok(bkc_object_create(store, NOTE, BKC_KIND_NOTE, BKC_CODEC_NONE, 0, &w, &err));
	for (int i = 0; i < FRAMES; i++)
	{
		BkcFrame	frame = stored_frame(data, FRAME_LEN);

		assert_ok(bkc_object_put(w, &frame, i == FRAMES - 1, NULL, &err));
	}
	assert_ok(bkc_object_commit(w, &err));
	bkc_object_close(w);
	assert_ok(read_frames(store, &n, &err));
	assert_int_equal(n, FRAMES);
	util_get(store, NOTE, &bytes);
	assert_int_equal(bytes.len, 128 + FRAMES * FRAME_SIZE);

	/* the same content in no two frames */
	for (int i = 1; i < FRAMES; i++)
		assert_memory_not_equal(bytes.data + 128 + 32, bytes.data + 128 + i * FRAME_SIZE + 32,
								FRAME_LEN);

	copy = malloc(bytes.len);
	for (int i = 0; i < FRAMES; i++)
	{
		for (int k = 0; k < FRAMES; k++)
		{
			if (i == k)
				continue;

			/* frame k in the place of i; then with all that i's header says */
			memcpy(copy, bytes.data, bytes.len);
			memcpy(copy + 128 + i * FRAME_SIZE, bytes.data + 128 + k * FRAME_SIZE, FRAME_SIZE);
			util_put(store, NOTE, copy, bytes.len);
			assert_fails(read_frames(store, &n, &err), BKC_ERR_CORRUPT);
			memcpy(copy + 128 + i * FRAME_SIZE, bytes.data + 128 + i * FRAME_SIZE, 16);
			util_put(store, NOTE, copy, bytes.len);
			assert_fails(read_frames(store, &n, &err), BKC_ERR_CORRUPT);
			assert_int_equal(n, i);
		}

		/* one left out, one twice, the end earlier */
		memcpy(copy, bytes.data, bytes.len);
		memmove(copy + 128 + i * FRAME_SIZE, copy + 128 + (i + 1) * FRAME_SIZE,
				(size_t) (FRAMES - 1 - i) * FRAME_SIZE);
		util_put(store, NOTE, copy, bytes.len - FRAME_SIZE);
		assert_fails(read_frames(store, &n, &err), BKC_ERR_CORRUPT);
		memcpy(copy, bytes.data, bytes.len);
		copy[128 + i * FRAME_SIZE + 13] ^= 1;	/* LAST */
		util_put(store, NOTE, copy, 128 + (size_t) (i + 1) * FRAME_SIZE);
		assert_fails(read_frames(store, &n, &err), BKC_ERR_CORRUPT);
	}
	free(copy);
	free(data);
	bkc_buffer_free(&bytes);
	bkc_store_close(store);
}

/* No two uploads, and no two frames, have a key and nonce in common: equal content never shows. */
static void
test_never_the_same(void **state)
{
	BkcStore   *store = keys_store();
	BkcBuffer	a = {0};
	BkcBuffer	b = {0};
	BkcError	err;

	assert_ok(bkc_document_put(store, NOTE, BKC_KIND_NOTE, MARKER, strlen(MARKER), &err));
	util_get(store, NOTE, &a);
	assert_ok(bkc_store_remove(store, (const char *const[]) {NOTE}, 1, &err));
	assert_ok(bkc_document_put(store, NOTE, BKC_KIND_NOTE, MARKER, strlen(MARKER), &err));
	util_get(store, NOTE, &b);
	assert_memory_equal(a.data + 16, b.data + 16, 16);	/* the same data key */
	assert_memory_not_equal(a.data + 32, b.data + 32, 32);
	assert_memory_not_equal(a.data + 160, b.data + 160, strlen(MARKER));
	bkc_buffer_free(&a);
	bkc_buffer_free(&b);
	bkc_store_close(store);
}

/* ---- packs ---- */

static BkcPackInfo pack_info;

static bool
remember_pack(void *arg, const BkcPackInfo *info, BkcError *err)
{
	pack_info = *info;
	return true;
}

static bool
compare_frame(void *arg, const BkcFrame *frame, BkcError *err)
{
	const uint8_t **at = arg;

	assert_memory_equal(frame->data, *at, frame->len);
	*at += frame->len;
	return true;
}

static bool
read_pack(BkcStore *store, const uint8_t *data, BkcError *err)
{
	BkcPackReader *r;
	bool		ok;

	if (!bkc_packreader_open(store, PACK, NULL, &r, err))
		return false;
	ok = bkc_packreader_read(r, 0, bkc_packreader_frames(r), compare_frame, &data, err);
	bkc_packreader_close(r);
	return ok;
}

static void
test_pack(void **state)
{
	BkcStore   *store = keys_store();
	BkcPackSpec spec = {
		.store = store, .system_identifier = SYSID, .label = LABEL, .worker = 1,
		.codec = BKC_CODEC_NONE, .committed = remember_pack
	};
	BkcChainSpec chain_spec = {.codec = BKC_CODEC_NONE};
	uint8_t    *data = util_data(700, DATA_TEXT);
	BkcPackWriter *packs;
	BkcPackReader *r;
	BkcChain   *chain;
	BkcBuffer	bytes = {0};
	const uint8_t *at;
	BkcError	err;

	memcpy(data + 650, MARKER, strlen(MARKER));

	/* nothing is written before there is a key for the backup */
	assert_ok(bkc_packwriter_new(&spec, &packs, &err));
	assert_ok(bkc_chain_new_backup(&chain_spec, packs, &chain, &err));
	assert_ok(bkc_chain_begin(chain, &err));
	assert_fails(bkc_chain_write_plain(chain, data, 10, &err), BKC_ERR_INTERNAL);
	bkc_chain_close(&chain);
	bkc_packwriter_close(&packs);
	assert_int_equal(util_objects(store), 0);

	keys_backup(store, LABEL);
	assert_ok(bkc_packwriter_new(&spec, &packs, &err));
	assert_ok(bkc_chain_new_backup(&chain_spec, packs, &chain, &err));
	for (int i = 0; i < 7; i++)
	{
		assert_ok(bkc_chain_begin(chain, &err));
		assert_ok(bkc_chain_write_plain(chain, data + i * 100, 100, &err));
		assert_ok(bkc_chain_end(chain, &err));
	}
	assert_ok(bkc_packwriter_flush(packs, &err));
	bkc_chain_close(&chain);
	bkc_packwriter_close(&packs);
	assert_ok(read_pack(store, data, &err));

	/* in any order, and one twice */
	assert_ok(bkc_packreader_open(store, PACK, &pack_info, &r, &err));
	for (uint32_t i = 7; i > 0; i--)
	{
		at = data + (i - 1) * 100;
		assert_ok(bkc_packreader_read(r, i - 1, 1, compare_frame, &at, &err));
		at = data + (i - 1) * 100;
		assert_ok(bkc_packreader_read(r, i - 1, 1, compare_frame, &at, &err));
	}
	bkc_packreader_close(r);

	util_get(store, PACK, &bytes);
	assert_false(keys_contains(bytes.data, bytes.len, "plaintext"));
	for (size_t i = 0; i < bytes.len; i++)
	{
		bytes.data[i] ^= 0x40;
		util_put(store, PACK, bytes.data, bytes.len);
		if (read_pack(store, data, &err))
			fail_msg("byte %zu does not count", i);
		bytes.data[i] ^= 0x40;
	}
	for (size_t len = 0; len < bytes.len; len++)
	{
		util_put(store, PACK, bytes.data, len);
		if (read_pack(store, data, &err))
			fail_msg("cut to %zu bytes", len);
	}

	/* a footer that leads elsewhere, with a correct hash */
	for (int i = 0; i < 16; i++)
	{
		uint8_t    *footer = bytes.data + bytes.len - 32;
		XXH64_hash_t hash;
		uint8_t		saved[32];

		memcpy(saved, footer, 32);
		footer[8 + i % 12] ^= (uint8_t) (1 << i % 8);
		hash = XXH3_64bits(footer, 24);
		memcpy(footer + 24, &hash, 8);
		util_put(store, PACK, bytes.data, bytes.len);
		if (read_pack(store, data, &err))
			fail_msg("footer %d", i);
		memcpy(footer, saved, 32);
	}
	free(data);
	bkc_buffer_free(&bytes);
	bkc_store_close(store);
}

/* ---- WAL ---- */

static void
put_file(BkcStore *store, const FileRepo *repo, const char *file, const void *data, size_t len,
		 BkcWalOutcome expected)
{
	BkcWalWriter *w = wal_writer(store);
	BkcWalFile	wal = {.file = file, .segment_size = MB, .time = TIME};
	BkcWalOutcome outcome;
	BkcError	err;
	uint64_t	stored;

	wal.path = wal_file(repo, "source", data, len);
	assert_ok(bkc_walwriter_put(w, &wal, &outcome, &stored, &err));
	assert_int_equal(outcome, expected);
	bkc_walwriter_close(&w);
}

static bool
find_name(void *arg, const char *name, uint64_t size, BkcError *err)
{
	char	   *out = arg;

	if (strstr(name, ".partial-") != NULL || strstr(name, ".conflict-") != NULL)
		memcpy(out, name, strlen(name) + 1);
	return true;
}

static void
test_wal(void **state)
{
	FileRepo	repo;
	BkcStore   *store = keys_store();
	BkcStore   *plain = util_store();
	uint8_t    *data = util_data(MB, DATA_MIXED);
	BkcBuffer	bytes = {0};
	BkcWalInfo	info;
	char		name[BKC_NAME_MAX] = "";
	char		again[BKC_NAME_MAX] = "";
	char		hash[65];
	BkcError	err;

	assert_ok(filerepo_new(&repo, &err));
	memcpy(data + 1000, MARKER, strlen(MARKER));
	put_file(store, &repo, SEGMENT, data, MB, BKC_WAL_STORED);
	put_file(store, &repo, SEGMENT, data, MB, BKC_WAL_SAME);
	assert_ok(bkc_wal_read(store, FOLDER SEGMENT, MB, -1, "", &info, &err));
	assert_int_equal(info.size, MB);
	bkc_hex_encode(info.sha256, 32, hash);

	/* neither content nor what tells about it */
	util_get(store, FOLDER SEGMENT, &bytes);
	assert_false(keys_contains(bytes.data, bytes.len, "plaintext"));
	assert_false(keys_contains(bytes.data, bytes.len, "sha256"));
	assert_false(keys_contains(bytes.data, bytes.len, hash));
	for (size_t i = 0; i < 700; i++)
	{
		wal_flip(store, FOLDER SEGMENT, i);
		assert_false(bkc_wal_read(store, FOLDER SEGMENT, MB, -1, "", &info, &err));
		wal_flip(store, FOLDER SEGMENT, i);
	}

	/* the name of a partial segment is the same in every process, and says nothing */
	put_file(store, &repo, SEGMENT ".partial", data, MB, BKC_WAL_STORED);
	assert_ok(bkc_store_list(store, ROOT, true, find_name, name, &err));
	assert_null(strstr(name, "partial-0000"));
	assert_true(strncmp(strstr(name, ".partial-") + 9, hash, 16) != 0);
	keys_use(store, BKC_SEALING_ON, KEY_A, NULL);
	put_file(store, &repo, SEGMENT ".partial", data, MB, BKC_WAL_SAME);
	assert_ok(bkc_wal_info(store, name, &info, &err));
	put_file(plain, &repo, SEGMENT ".partial", data, MB, BKC_WAL_STORED);
	assert_ok(bkc_store_list(plain, ROOT, true, find_name, again, &err));
	assert_int_equal(strncmp(strstr(again, ".partial-") + 9, hash, 16), 0);

	/* who has only another key makes no second key for names, but says what is missing */
	keys_use(store, BKC_SEALING_ON, KEY_B, NULL);
	assert_fails(bkc_keyring_hash(store, SYSID, info.sha256, again, &err), BKC_ERR_KEY);
	keys_use(store, BKC_SEALING_ON, KEY_B, KEY_A);
	assert_ok(bkc_keyring_hash(store, SYSID, info.sha256, again, &err));
	assert_int_equal(strncmp(strstr(name, ".partial-") + 9, again, 16), 0);

	free(data);
	bkc_buffer_free(&bytes);
	bkc_store_close(store);
	bkc_store_close(plain);
	filerepo_free(&repo);
}

/* The test vectors of FORMAT.md, which were computed by other means. */

static int64_t
at_1970(void)
{
	return 0;
}

static void
test_vectors(void **state)
{
	static const BkcHost host = {.now = at_1970};
	BkcStore   *store = keys_store();
	BkcKeyring *keys = store->keys;
	BkcEnvelope env = {.version = BKC_FORMAT_VERSION, .kind = BKC_KIND_CLUSTER};
	BkcFrameHeader hdr = {.stored_len = 5, .plain_len = 5, .type = BKC_FRAME_DATA,
		.flags = BKC_FRAME_STORED | BKC_FRAME_LAST};
	BkcSeal		seal;
	BkcUserKey	user = {0};
	BkcSecret  *secret;
	uint8_t		bytes[BKC_ENVELOPE_SIZE];
	uint8_t		header[BKC_FRAME_HEADER_SIZE];
	uint8_t		payload[5];
	uint8_t		id[BKC_WRAP_ID_SIZE];
	char		hex[80];
	BkcError	err;

	bkc_host_set(&host);
	secret = bkc_secret_new(&err);
	for (int i = 0; i < 32; i++)
	{
		secret->bytes[i] = (uint8_t) i;
		env.salt[i] = (uint8_t) (0x20 + i);
		if (i < 16)
			keys->day.id[i] = (uint8_t) (0x40 + i);
	}
	keys->day.sysid = 1;
	keys->day.key = secret;
	assert_ok(bkc_seal_begin(&seal, store, "1/cluster", &env, bytes, &err));
	assert_ok(bkc_seal_frame(&seal, &hdr, (const uint8_t *) "hello", payload, header, &err));
	bkc_hex_encode(header, sizeof(header), hex);
	assert_string_equal(hex, "00000000050000000500000001030000" "91702c1fb195b81d9c8fe52daa78f020");
	bkc_hex_encode(payload, sizeof(payload), hex);
	assert_string_equal(hex, "ceac7fbc37");
	bkc_seal_free(&seal);

	assert_ok(bkc_wrapping_id(secret, id, &err));
	bkc_hex_encode(id, sizeof(id), hex);
	assert_string_equal(hex, "80eff72ce1e109ab");
	keys->names.sysid = SYSID;
	keys->names.key = bkc_secret_new(&err);
	memcpy(keys->names.key->bytes, secret->bytes, 32);
	assert_ok(bkc_sha256("hello", 5, bytes, &err));
	assert_ok(bkc_keyring_hash(store, SYSID, bytes, hex, &err));
	assert_string_equal(hex, "0db811f3955aa6e9");

	assert_ok(bkc_userkey_parse(KEY_C, strlen(KEY_C), "test", &user, &err));
	assert_ok(bkc_userkey_wrapping(&user, SYSID, secret, &err));
	bkc_hex_encode(secret->bytes, 32, hex);
	assert_string_equal(hex, "0533fde83b1db9480fb0eddc22b70daa591a556a61dabc4e7d9a949479408446");
	assert_ok(bkc_wrapping_id(secret, id, &err));
	bkc_hex_encode(id, sizeof(id), hex);
	assert_string_equal(hex, "dc889db014cf32bb");
	bkc_userkey_free(&user);
	bkc_store_close(store);
	bkc_host_set(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_document),
		cmocka_unit_test(test_swapped),
		cmocka_unit_test(test_swapped_clusters),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_never_the_same),
		cmocka_unit_test(test_pack),
		cmocka_unit_test(test_wal),
		cmocka_unit_test(test_vectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
