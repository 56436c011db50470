/*
 * test_pipe_keyring.c
 *		Key rings: what is missing and what was given, keys of days and backups,
 *		plain and sealed objects side by side, keys that are gone.
 */
#include "test_pipe_keys.h"

#include <unistd.h>

#include "base/host.h"
#include "format/documents.h"
#include "pipe/keyring_inner.h"
#include "pipe/unpack.h"
#include "test_pipe_wal.h"

#define CLUSTER	"7435718529102938471/cluster"
#define NOTE	"7435718529102938471/backups/" LABEL "/notes/20261120T120301000Z-x"
#define OTHER	"7435718529102938471/backups/" LABEL "/notes/20261120T120301001Z-x"
#define KEYS	"7435718529102938471/keys/"

static int64_t now = INT64_C(1795176181000000); /* 2026-11-20 */

static int64_t
fake_now(void)
{
	return now;
}

static void
set_clock(void)
{
	static const BkcHost host = {.now = fake_now};

	bkc_host_set(&host);
}

static void
put(BkcStore *store, const char *name)
{
	BkcError	err;

	assert_ok(bkc_document_put(store, name, BKC_KIND_NOTE, MARKER, strlen(MARKER), &err));
}

static bool
get(BkcStore *store, const char *name, BkcError *err)
{
	BkcBuffer	text = {0};
	bool		ok = bkc_document_get(store, name, BKC_KIND_NOTE, &text, err);

	if (ok)
		assert_string_equal(bkc_buffer_str(&text), MARKER);
	bkc_buffer_free(&text);
	return ok;
}

/* The key for names is always there and not counted. */
static bool
count_key(void *arg, const char *name, uint64_t size, BkcError *err)
{
	*(size_t *) arg += strstr(name, KEYS "00000000000000000000000000000001/") == NULL;
	return true;
}

static size_t
count_keys(BkcStore *store)
{
	size_t		n = 0;
	BkcError	err;

	assert_ok(bkc_store_list(store, KEYS, true, count_key, &n, &err));
	return n;
}

static void
wrap_hex(const char *text, char hex[17])
{
	BkcKeyring *keys = keys_ring(BKC_SEALING_ON, text, NULL);
	uint8_t		id[BKC_WRAP_ID_SIZE];
	BkcError	err;

	assert_ok(bkc_keyring_wrapping_id(keys, 0, SYSID, id, &err));
	bkc_hex_encode(id, sizeof(id), hex);
	bkc_keyring_free(keys);
}

static void
test_wrong_key(void **state)
{
	BkcStore   *store = keys_store();
	char		a[17];
	char		b[17];
	char		c[17];
	BkcError	err;

	wrap_hex(KEY_A, a);
	wrap_hex(KEY_B, b);
	wrap_hex(KEY_C, c);
	assert_string_not_equal(a, b);
	put(store, NOTE);
	assert_ok(get(store, NOTE, &err));

	/* none at all: the store has no ring, or an empty one */
	store->release_keys(store->keys);
	store->keys = NULL;
	store->release_keys = NULL;
	assert_fails(get(store, NOTE, &err), BKC_ERR_KEY);
	assert_non_null(strstr(err.message, NOTE));
	assert_non_null(strstr(err.message, "no key was given"));
	assert_non_null(strstr(err.detail, a));
	keys_use(store, BKC_SEALING_ON, NULL, NULL);
	assert_fails(get(store, NOTE, &err), BKC_ERR_KEY);
	assert_non_null(strstr(err.message, "no key was given"));

	/* another one, or two */
	keys_use(store, BKC_SEALING_ON, KEY_B, NULL);
	assert_fails(get(store, NOTE, &err), BKC_ERR_KEY);
	assert_non_null(strstr(err.message, "another key"));
	assert_non_null(strstr(err.detail, a));
	assert_non_null(strstr(strstr(err.detail, "given: "), b));
	assert_non_null(strstr(err.hint, "--key-file"));
	keys_use(store, BKC_SEALING_ON, KEY_B, KEY_C);
	assert_fails(get(store, NOTE, &err), BKC_ERR_KEY);
	assert_non_null(strstr(strstr(err.detail, "given: "), b));
	assert_non_null(strstr(strstr(err.detail, "given: "), c));

	/* the right one anywhere among them */
	keys_use(store, BKC_SEALING_ON, KEY_B, KEY_A);
	assert_ok(get(store, NOTE, &err));
	keys_use(store, BKC_SEALING_OFF, KEY_A, KEY_B);
	assert_ok(get(store, NOTE, &err));
	bkc_store_close(store);
}

static void
test_passphrase(void **state)
{
	BkcStore   *store = util_store();
	BkcError	err;

	keys_use(store, BKC_SEALING_ON, KEY_C, NULL);
	put(store, NOTE);
	keys_use(store, BKC_SEALING_ON, KEY_C, NULL);
	assert_ok(get(store, NOTE, &err));
	keys_use(store, BKC_SEALING_ON, "passphrase: correct horse battery stable", NULL);
	assert_fails(get(store, NOTE, &err), BKC_ERR_KEY);
	bkc_store_close(store);
}

/* Off, on, required, with and without a key. */
static void
test_sealing(void **state)
{
	BkcStore   *store = util_store();
	BkcBuffer	bytes = {0};
	BkcSealing	sealing;
	BkcError	err;

	assert_true(bkc_sealing_parse("required", &sealing) && sealing == BKC_SEALING_REQUIRED);
	assert_false(bkc_sealing_parse("maybe", &sealing));
	keys_use(store, BKC_SEALING_OFF, KEY_A, NULL);
	put(store, NOTE);
	keys_use(store, BKC_SEALING_ON, NULL, NULL);
	put(store, OTHER);
	assert_int_equal(count_keys(store), 0);
	util_get(store, OTHER, &bytes);
	assert_true(keys_contains(bytes.data, bytes.len, MARKER));

	/* nothing is written, not even begun */
	keys_use(store, BKC_SEALING_REQUIRED, NULL, NULL);
	assert_fails(bkc_document_put(store, CLUSTER, BKC_KIND_CLUSTER, "x", 1, &err), BKC_ERR_KEY);
	assert_non_null(strstr(err.message, "required"));
	assert_int_equal(util_objects(store), 2);

	/* plain ones from before stay readable, sealed ones come beside them */
	keys_use(store, BKC_SEALING_REQUIRED, KEY_A, NULL);
	assert_ok(get(store, OTHER, &err));
	assert_ok(bkc_document_put(store, CLUSTER, BKC_KIND_CLUSTER, MARKER, strlen(MARKER), &err));
	util_get(store, CLUSTER, &bytes);
	assert_false(keys_contains(bytes.data, bytes.len, MARKER));
	bkc_buffer_free(&bytes);
	bkc_store_close(store);
}

/* Who wants only what is sealed gets no plain content; documents decide nothing. */
static void
test_only_sealed(void **state)
{
	FileRepo	repo;
	BkcStore   *store = util_store();
	uint8_t    *data = util_data(MB, DATA_TEXT);
	BkcKeySpec	spec = {.sealing = BKC_SEALING_ON, .only_sealed = true};
	BkcWalWriter *w = wal_writer(store);
	BkcWalFile	wal = {.file = SEGMENT, .segment_size = MB, .time = TIME};
	BkcWalOutcome outcome;
	BkcWalInfo	info;
	BkcKeyring *keys;
	BkcError	err;
	uint64_t	stored;

	assert_ok(filerepo_new(&repo, &err));
	wal.path = wal_file(&repo, "source", data, MB);
	assert_ok(bkc_walwriter_put(w, &wal, &outcome, &stored, &err));
	bkc_walwriter_close(&w);
	put(store, NOTE);
	assert_ok(bkc_keyring_new(&spec, &keys, &err));
	bkc_keyring_attach(keys, store);
	bkc_keyring_free(keys);
	assert_fails(bkc_wal_info(store, FOLDER SEGMENT, &info, &err), BKC_ERR_KEY);
	assert_non_null(strstr(err.message, "is not sealed"));
	assert_ok(get(store, NOTE, &err));
	free(data);
	bkc_store_close(store);
	filerepo_free(&repo);
}

/* ---- days ---- */

static uint8_t shared_id[BKC_KEY_ID_SIZE];
static int64_t shared_day = -1;

static bool
share_get(void *arg, uint64_t sysid, int64_t day, uint8_t id[BKC_KEY_ID_SIZE])
{
	memcpy(id, shared_id, BKC_KEY_ID_SIZE);
	return day == shared_day;
}

static void
share_set(void *arg, uint64_t sysid, int64_t day, const uint8_t id[BKC_KEY_ID_SIZE])
{
	memcpy(shared_id, id, BKC_KEY_ID_SIZE);
	shared_day = day;
}

static void
test_days(void **state)
{
	static const BkcKeyShare share = {share_get, share_set, NULL};
	BkcStore   *store = keys_store();
	const BkcSecret *key;
	uint8_t		first[BKC_KEY_ID_SIZE];
	uint8_t		id[BKC_KEY_ID_SIZE];
	BkcError	err;

	set_clock();
	assert_ok(bkc_keyring_for_writing(store, NOTE, first, &key, &err));
	assert_ok(bkc_keyring_for_writing(store, CLUSTER, id, &key, &err));
	assert_memory_equal(first, id, sizeof(id));
	assert_string_equal(store->keys->day.purpose, "day 20261120");
	now += INT64_C(86400) * 1000000;
	assert_ok(bkc_keyring_for_writing(store, NOTE, id, &key, &err));
	assert_memory_not_equal(first, id, sizeof(id));
	assert_string_equal(store->keys->day.purpose, "day 20261121");
	assert_int_equal(count_keys(store), 2);

	/* two processes that know nothing of each other make two */
	keys_use(store, BKC_SEALING_ON, KEY_A, NULL);
	assert_ok(bkc_keyring_for_writing(store, NOTE, first, &key, &err));
	assert_memory_not_equal(first, id, sizeof(id));

	/* those of one server share it */
	for (int i = 0; i < 3; i++)
	{
		keys_use(store, BKC_SEALING_ON, KEY_A, NULL);
		bkc_keyring_share(store->keys, &share);
		assert_ok(bkc_keyring_for_writing(store, NOTE, id, &key, &err));
		if (i == 0)
			memcpy(first, id, sizeof(id));
		assert_memory_equal(first, id, sizeof(id));
	}
	assert_int_equal(count_keys(store), 4);

	/* but not with another wrapping key, which could not open it later */
	keys_use(store, BKC_SEALING_ON, KEY_B, KEY_A);
	bkc_keyring_share(store->keys, &share);
	assert_ok(bkc_keyring_for_writing(store, NOTE, id, &key, &err));
	assert_memory_not_equal(first, id, sizeof(id));
	assert_int_equal(count_keys(store), 5);

	/* a hint that leads nowhere is no harm */
	memset(shared_id, 7, sizeof(shared_id));
	keys_use(store, BKC_SEALING_ON, KEY_A, NULL);
	bkc_keyring_share(store->keys, &share);
	assert_ok(bkc_keyring_for_writing(store, NOTE, id, &key, &err));
	assert_int_equal(count_keys(store), 6);

	/* who has a wrong key writes nothing */
	keys_use(store, BKC_SEALING_ON, KEY_B, NULL);
	assert_fails(bkc_keyring_for_writing(store, NOTE, id, &key, &err), BKC_ERR_KEY);
	assert_non_null(strstr(err.message, "another key"));
	assert_int_equal(count_keys(store), 6);
	bkc_store_close(store);
	bkc_host_set(NULL);
}

static void
remove_day(BkcStore *store)
{
	char		name[BKC_NAME_MAX];
	BkcWrapKey *wrap;
	BkcError	err;

	assert_ok(bkc_keyring_wrap(store->keys, 0, SYSID, &wrap, &err));
	assert_ok(bkc_name_key(SYSID, store->keys->day.id, wrap->id, name, &err));
	assert_ok(bkc_store_remove(store, (const char *const[]) {name}, 1, &err));
}

/* Somebody put an empty disk in the place of the repository: what is written there can be read. */
static void
test_replaced(void **state)
{
	BkcStore   *store = keys_store();
	BkcError	err;

	set_clock();
	put(store, NOTE);
	assert_int_equal(count_keys(store), 1);
	remove_day(store);
	assert_int_equal(count_keys(store), 0);
	now += INT64_C(31) * 1000000;
	put(store, OTHER);
	assert_int_equal(count_keys(store), 1);
	keys_use(store, BKC_SEALING_ON, KEY_A, NULL);
	assert_ok(get(store, OTHER, &err));
	bkc_store_close(store);
	bkc_host_set(NULL);
}

/* ---- keys that are gone, or damaged ---- */

static void
test_destroyed(void **state)
{
	BkcStore   *store = keys_store();
	BkcBeginDoc doc = {.label = LABEL, .type = "full", .owner = "ab", .host = "h",
		.system_identifier = SYSID, .start_time = 1, .sealed = true};
	BkcBuffer	text = {0};
	BkcBuffer	bytes = {0};
	uint8_t		day[BKC_KEY_ID_SIZE];
	uint8_t		wrapping[BKC_WRAP_ID_SIZE];
	char		name[BKC_NAME_MAX];
	const BkcSecret *key;
	BkcError	err;

	assert_ok(bkc_random(doc.data_key, sizeof(doc.data_key), &err));
	assert_ok(bkc_begindoc_encode(&doc, &text, &err));
	assert_ok(bkc_name_begin(SYSID, LABEL, name, &err));
	assert_ok(bkc_document_put(store, name, BKC_KIND_BEGIN, (char *) text.data, text.len, &err));
	assert_ok(bkc_keyring_make_backup(store, SYSID, LABEL, doc.data_key, &err));
	assert_ok(bkc_name_manifest(SYSID, LABEL, name, &err));
	assert_ok(bkc_document_put(store, name, BKC_KIND_MANIFEST, MARKER, strlen(MARKER), &err));
	assert_int_equal(count_keys(store), 2);

	/* another process with the same key of the backup */
	keys_use(store, BKC_SEALING_ON, KEY_A, NULL);
	assert_ok(bkc_keyring_use_backup(store, SYSID, LABEL, doc.data_key, &err));
	assert_ok(bkc_name_pack(SYSID, LABEL, 1, 0, name, &err));
	assert_ok(bkc_document_put(store, name, BKC_KIND_PACK, MARKER, strlen(MARKER), &err));
	util_get(store, name, &bytes);
	assert_memory_equal(bytes.data + 16, doc.data_key, 16);
	assert_fails(bkc_keyring_use_backup(store, SYSID, LABEL, (const uint8_t *) "0123456789abcdef",
										&err), BKC_ERR_CORRUPT);

	/* a copy that was changed opens nothing */
	assert_ok(bkc_keyring_for_writing(store, NOTE, day, &key, &err));
	assert_ok(bkc_keyring_wrapping_id(store->keys, 0, SYSID, wrapping, &err));
	assert_ok(bkc_name_key(SYSID, doc.data_key, wrapping, name, &err));
	util_get(store, name, &bytes);
	assert_true(bytes.len < 300);
	for (size_t i = 0; i < bytes.len; i++)
	{
		BkcDataKey	found;

		bytes.data[i] ^= 2;
		util_put(store, name, bytes.data, bytes.len);
		assert_fails(bkc_datakey_read(store, name, &found, &err), BKC_ERR_CORRUPT);
		bytes.data[i] ^= 2;
	}
	util_put(store, name, bytes.data, bytes.len);

	/* destroyed: not a matter of which key is given */
	assert_ok(bkc_repo_remove_key(store, SYSID, doc.data_key, &err));
	keys_use(store, BKC_SEALING_ON, KEY_A, NULL);
	assert_ok(bkc_name_manifest(SYSID, LABEL, name, &err));
	bkc_buffer_reset(&text);
	assert_fails(bkc_document_get(store, name, BKC_KIND_MANIFEST, &text, &err), BKC_ERR_CORRUPT);
	assert_non_null(strstr(err.message, "not in the repository any more"));

	/* a backup that is removed takes its key along */
	assert_ok(bkc_keyring_make_backup(store, SYSID, LABEL, doc.data_key, &err));
	assert_int_equal(count_keys(store), 3); /* two days' keys: two processes */
	assert_ok(bkc_repo_remove_backup(store, SYSID, LABEL, &err));
	assert_int_equal(count_keys(store), 2);
	bkc_buffer_free(&text);
	bkc_buffer_free(&bytes);
	bkc_store_close(store);
}

/* Clusters show by their numbers also to who has no key. */
static void
test_clusters(void **state)
{
	BkcStore   *store = keys_store();
	BkcClusterDoc doc = {.system_identifier = SYSID, .name = "prod", .pg_version_num = 150000};
	BkcClusterInfo *list;
	BkcBuffer	text = {0};
	BkcError	err;
	size_t		n;

	assert_ok(bkc_clusterdoc_encode(&doc, &text, &err));
	assert_ok(bkc_document_put(store, CLUSTER, BKC_KIND_CLUSTER, (char *) text.data, text.len,
							   &err));
	assert_ok(bkc_repo_clusters(store, &list, &n, &err));
	assert_int_equal(n, 1);
	assert_string_equal(list[0].name, "prod");
	bkc_repo_clusters_free(list, n);
	keys_use(store, BKC_SEALING_ON, KEY_B, NULL);
	assert_ok(bkc_repo_clusters(store, &list, &n, &err));
	assert_int_equal(n, 1);
	assert_true(list[0].system_identifier == SYSID);
	assert_string_equal(list[0].name, "");
	bkc_repo_clusters_free(list, n);
	bkc_buffer_free(&text);
	bkc_store_close(store);
}

/* Lists of files. */
static void
test_files(void **state)
{
	char		one[] = "/tmp/bkc-ring-XXXXXX";
	char		two[] = "/tmp/bkc-ring-XXXXXX";
	char		list[128];
	BkcKeySpec	spec = {.files = list, .sealing = BKC_SEALING_ON};
	BkcKeyring *keys;
	BkcError	err;
	int			fd = mkstemp(one);

	assert_int_equal(write(fd, KEY_A "\n", 65), 65);
	close(fd);
	fd = mkstemp(two);
	assert_int_equal(write(fd, KEY_B, 64), 64);
	close(fd);
	snprintf(list, sizeof(list), "%s, %s", one, two);
	spec.command = "echo '" KEY_C "'";
	assert_ok(bkc_keyring_new(&spec, &keys, &err));
	assert_int_equal(bkc_keyring_nkeys(keys), 3);
	bkc_keyring_free(keys);
	spec.command = "";
	for (int i = 0; i < 4; i++)
	{
		static const char *const bad[] = {"%s,", ",%s", "%s,,/x", "/nowhere,%s"};

		snprintf(list, sizeof(list), bad[i], one);
		assert_fails(bkc_keyring_new(&spec, &keys, &err), i < 3 ? BKC_ERR_INVALID : BKC_ERR_KEY);
		assert_null(keys);
	}
	list[0] = '\0';
	for (int i = 0; i < 9; i++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i > 0 ? "," : "", "/x");
	assert_fails(bkc_keyring_new(&spec, &keys, &err), BKC_ERR_KEY);
	unlink(one);
	unlink(two);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wrong_key),
		cmocka_unit_test(test_passphrase),
		cmocka_unit_test(test_sealing),
		cmocka_unit_test(test_only_sealed),
		cmocka_unit_test(test_days),
		cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_destroyed),
		cmocka_unit_test(test_clusters),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
