/*
 * test_pipe_rotate.c
 *		Replacing the wrapping key: what happens to those who write meanwhile, to
 *		keys that nobody has, and when anything fails; and whose key is destroyed.
 */
#include "test_pipe_keys.h"

#include "base/host.h"
#include "format/documents.h"
#include "pipe/keycopies.h"
#include "pipe/keyring_inner.h"
#include "pipe/unpack.h"

#define SECOND	"20261121T120301Z-full-7f3b"
#define DAY		(INT64_C(86400) * 1000000)

/* ---- surroundings: a clock, and something to do in the middle of what is tested ---- */

static int64_t now = INT64_C(1795176181000000); /* 2026-11-20 */
static int	countdown;
static void (*interruption) (void);

static int64_t
fake_now(void)
{
	return now;
}

static bool
fake_cancelled(void)
{
	if (countdown > 0 && --countdown == 0)
		interruption();
	return false;
}

static int
set_host(void **state)
{
	static const BkcHost host = {.now = fake_now, .cancelled = fake_cancelled};

	countdown = 0;
	bkc_host_set(&host);
	return 0;
}

static int
unset_host(void **state)
{
	bkc_host_set(NULL);
	return 0;
}

/* Another handle on the same objects, with keys of its own. */
static BkcStore *
another(BkcStore *store, const char *first, const char *second)
{
	BkcStore   *other;
	BkcError	err;

	assert_ok(bkc_store_memory_share(store, &other, &err));
	keys_use(other, BKC_SEALING_ON, first, second);
	return other;
}

static int	notes;
static char note[BKC_NAME_MAX];

static bool
put_note(BkcStore *store, BkcError *err)
{
	return bkc_name_note(SYSID, LABEL, now + ++notes * 1000, "x", note, err) &&
		bkc_document_put(store, note, BKC_KIND_NOTE, MARKER, strlen(MARKER), err);
}

static bool
opens(BkcStore *store, const char *name, BkcKind kind, BkcError *err)
{
	BkcBuffer	text = {0};
	bool		ok = bkc_document_get(store, name, kind, &text, err);

	bkc_buffer_free(&text);
	return ok;
}

static bool
put_manifest(BkcStore *store, const char *label, BkcError *err)
{
	char		name[BKC_NAME_MAX];

	return bkc_name_manifest(SYSID, label, name, err) &&
		bkc_document_put(store, name, BKC_KIND_MANIFEST, MARKER, strlen(MARKER), err);
}

typedef struct Count
{
	uint8_t		wrapping[BKC_WRAP_ID_SIZE];
	size_t		n;
} Count;

static bool
count_copy(void *arg, const char *name, uint64_t size, BkcError *err)
{
	Count	   *count = arg;
	uint8_t		id[BKC_KEY_ID_SIZE];
	uint8_t		wrapping[BKC_WRAP_ID_SIZE];
	uint64_t	sysid;

	assert_true(bkc_name_parse_key(name, &sysid, id, wrapping));
	count->n += memcmp(wrapping, count->wrapping, sizeof(wrapping)) == 0;
	return true;
}

/* How many data keys does that wrapping key open? */
static size_t
copies(BkcStore *store, const char *text)
{
	BkcKeyring *keys = keys_ring(BKC_SEALING_ON, text, NULL);
	Count		count = {.n = 0};
	char		folder[BKC_NAME_MAX];
	BkcError	err;

	assert_ok(bkc_keyring_wrapping_id(keys, 0, SYSID, count.wrapping, &err));
	bkc_keyring_free(keys);
	assert_ok(bkc_name_keys(SYSID, folder, &err));
	assert_ok(bkc_store_list(store, folder, true, count_copy, &count, &err));
	return count.n;
}

/* ---- who has the old key at work ---- */

static void
test_at_work(void **state)
{
	BkcStore   *store = keys_store();
	BkcStore   *admin = another(store, KEY_B, KEY_A);
	BkcRotation done;
	size_t		n;
	BkcError	err;

	keys_backup(store, LABEL);
	assert_ok(put_note(store, &err));
	n = copies(store, KEY_A);
	assert_int_equal(n, 3);
	assert_ok(bkc_keys_rotate(admin, SYSID, 0, true, &done, &err));
	assert_int_equal(done.keys, n);
	assert_int_equal(done.added, n);
	assert_int_equal(done.removed, n);

	/* it goes on with the keys it has, and does not let the old one open them again */
	now += INT64_C(31) * 1000000;
	assert_ok(put_note(store, &err));
	assert_ok(put_manifest(store, LABEL, &err));
	assert_int_equal(copies(store, KEY_A), 0);
	assert_ok(opens(admin, note, BKC_KIND_NOTE, &err));

	/* but makes none that only the old one opens */
	now += DAY;
	assert_fails(put_note(store, &err), BKC_ERR_KEY);
	assert_int_equal(copies(store, KEY_A), 0);
	keys_use(store, BKC_SEALING_ON, KEY_B, NULL);
	assert_ok(put_note(store, &err));
	bkc_store_close(admin);
	bkc_store_close(store);
}

/* The other one's step, at any moment of ours. */
static BkcStore *maker;
static BkcStore *rotator;
static bool made;
static bool rotated;

static void
make_now(void)
{
	BkcError	err;

	made = put_note(maker, &err);
	if (!made)
		assert_int_equal(err.code, BKC_ERR_KEY);
}

static void
rotate_now(void)
{
	BkcRotation done;
	BkcError	err;

	rotated = bkc_keys_rotate(rotator, SYSID, 0, true, &done, &err);
	assert_ok(rotated);
}

/* Returns whether the interruption came at all. */
static bool
race(int at, bool maker_first)
{
	BkcStore   *store = keys_store();
	BkcStore   *judge = another(store, KEY_B, NULL);
	bool		came;
	BkcError	err;

	maker = another(store, KEY_A, NULL);
	rotator = another(store, KEY_B, KEY_A);
	made = rotated = false;
	assert_ok(put_note(maker, &err));
	now += DAY;					/* the next note needs a new key */
	interruption = maker_first ? rotate_now : make_now;
	countdown = at;
	if (maker_first)
		make_now();
	else
		rotate_now();
	came = countdown == 0;
	countdown = 0;
	if (rotated)
		assert_int_equal(copies(store, KEY_A), 0);
	if (made && rotated)
		assert_ok(opens(judge, note, BKC_KIND_NOTE, &err));
	bkc_store_close(maker);
	bkc_store_close(rotator);
	bkc_store_close(judge);
	bkc_store_close(store);
	return came;
}

static void
test_races(void **state)
{
	int			at;

	for (at = 1; race(at, false); at++)
		;
	assert_true(at > 10);
	for (at = 1; race(at, true); at++)
		;
	assert_true(at > 10);
}

/* ---- keys that cannot be opened ---- */

/* Whatever fails, what no key of ours opens keeps its copy. */
static void
test_foreign_key(void **state)
{
	BkcStore   *store = keys_store();
	uint64_t	calls = 0;
	BkcRotation done;
	BkcError	err;

	assert_ok(put_note(store, &err));
	keys_use(store, BKC_SEALING_ON, KEY_C, KEY_A);
	keys_backup(store, SECOND);
	assert_int_equal(copies(store, KEY_C), 1);
	for (uint64_t at = 1; calls + 1 >= at; at++)
	{
		BkcStore   *inner;
		BkcStore   *faulty;

		calls = 0;
		assert_ok(bkc_store_memory_share(store, &inner, &err));
		assert_ok(bkc_store_faulty_new(inner, at, BKC_ERR_UNAVAILABLE, &calls, &faulty, &err));
		keys_use(faulty, BKC_SEALING_ON, KEY_B, KEY_A);
		assert_false(bkc_keys_rotate(faulty, SYSID, 0, true, &done, &err));
		bkc_store_close(faulty);
		assert_int_equal(copies(store, KEY_C), 1);
		assert_int_equal(copies(store, KEY_A), 2);
	}
	assert_int_equal(err.code, BKC_ERR_KEY);
	assert_non_null(strstr(err.message, "1 of 3 data keys"));
	assert_non_null(strstr(err.hint, "nothing was removed"));
	bkc_store_close(store);
}

/* Whatever fails: each data key opens at any moment, and after another try only by the new one. */
static void
test_interrupted(void **state)
{
	uint64_t	calls = 0;

	for (uint64_t at = 1; calls + 1 >= at; at++)
	{
		BkcStore   *store = keys_store();
		BkcStore   *admin = another(store, KEY_B, KEY_A);
		BkcStore   *inner;
		BkcStore   *faulty;
		BkcRotation done;
		BkcError	err;

		assert_ok(put_note(store, &err));
		calls = 0;
		assert_ok(bkc_store_memory_share(store, &inner, &err));
		assert_ok(bkc_store_faulty_new(inner, at, BKC_ERR_UNAVAILABLE, &calls, &faulty, &err));
		keys_use(faulty, BKC_SEALING_ON, KEY_B, KEY_A);
		(void) bkc_keys_rotate(faulty, SYSID, 0, true, &done, &err);
		keys_use(store, BKC_SEALING_ON, KEY_A, KEY_B);
		assert_ok(opens(store, note, BKC_KIND_NOTE, &err));
		assert_ok(bkc_keys_rotate(admin, SYSID, 0, true, &done, &err));
		assert_int_equal(copies(store, KEY_A), 0);
		keys_use(store, BKC_SEALING_ON, KEY_B, NULL);
		assert_ok(opens(store, note, BKC_KIND_NOTE, &err));
		bkc_store_close(faulty);
		bkc_store_close(admin);
		bkc_store_close(store);
	}
	assert_true(calls > 10);
}

/* A copy that holds another key: the old one stays. */
static void
test_other_content(void **state)
{
	BkcStore   *store = keys_store();
	BkcStore   *admin;
	BkcDataKey	fake = {.sysid = SYSID, .created = now, .purpose = "backup " LABEL};
	BkcRotation done;
	BkcError	err;

	keys_backup(store, LABEL);
	memcpy(fake.id, store->keys->backup.id, sizeof(fake.id));
	fake.key = bkc_secret_random(&err);
	assert_non_null(fake.key);
	admin = another(store, KEY_B, KEY_A);
	assert_ok(bkc_datakey_put(admin, 0, &fake, &err));
	assert_fails(bkc_keys_rotate(admin, SYSID, 0, true, &done, &err), BKC_ERR_CORRUPT);
	assert_non_null(strstr(err.message, "another key than the other copies"));
	assert_int_equal(copies(store, KEY_A), 2);
	bkc_secret_free(fake.key);

	/* nor is anything sealed with a key that is not what was stored */
	keys_use(store, BKC_SEALING_ON, KEY_A, NULL);
	assert_fails(bkc_keyring_make_backup(store, SYSID, LABEL, fake.id, &err), BKC_ERR_CORRUPT);
	assert_fails(put_manifest(store, LABEL, &err), BKC_ERR_INTERNAL);
	bkc_store_close(admin);
	bkc_store_close(store);
}

/* ---- whose key it is ---- */

static void
test_belongs(void **state)
{
	BkcStore   *store = keys_store();
	BkcBeginDoc doc = {.label = LABEL, .type = "full", .owner = "ab", .host = "h",
		.system_identifier = SYSID, .start_time = 1, .sealed = true};
	BkcBuffer	text = {0};
	uint8_t		first[BKC_KEY_ID_SIZE];
	uint8_t		second[BKC_KEY_ID_SIZE];
	char		name[BKC_NAME_MAX];
	bool		ours;
	BkcError	err;

	keys_backup(store, LABEL);
	memcpy(first, store->keys->backup.id, sizeof(first));
	keys_backup(store, SECOND);
	memcpy(second, store->keys->backup.id, sizeof(second));
	assert_ok(bkc_repo_key_belongs(store, SYSID, LABEL, first, &ours, &err));
	assert_true(ours);
	assert_ok(bkc_repo_key_belongs(store, SYSID, LABEL, second, &ours, &err));
	assert_false(ours);
	assert_ok(bkc_repo_key_belongs(store, SYSID, LABEL, bkc_names_key_id, &ours, &err));
	assert_false(ours);
	assert_ok(bkc_repo_key_belongs(store, SYSID, LABEL, (const uint8_t *) "0123456789abcdef", &ours,
								   &err));
	assert_true(ours);
	keys_use(store, BKC_SEALING_ON, KEY_B, NULL);
	assert_fails(bkc_repo_key_belongs(store, SYSID, LABEL, first, &ours, &err), BKC_ERR_KEY);
	assert_false(ours);

	/* a begin object, written by whomever, that names another backup's key */
	memcpy(doc.data_key, second, sizeof(doc.data_key));
	assert_ok(bkc_begindoc_encode(&doc, &text, &err));
	assert_ok(bkc_name_begin(SYSID, LABEL, name, &err));
	keys_use(store, BKC_SEALING_OFF, KEY_A, NULL);
	assert_ok(bkc_document_put(store, name, BKC_KIND_BEGIN, (char *) text.data, text.len, &err));
	assert_ok(bkc_repo_remove_backup(store, SYSID, LABEL, &err));
	assert_int_equal(copies(store, KEY_A), 3);
	memcpy(doc.data_key, first, sizeof(doc.data_key));
	bkc_buffer_reset(&text);
	assert_ok(bkc_begindoc_encode(&doc, &text, &err));
	assert_ok(bkc_document_put(store, name, BKC_KIND_BEGIN, (char *) text.data, text.len, &err));
	assert_ok(bkc_repo_remove_backup(store, SYSID, LABEL, &err));
	assert_int_equal(copies(store, KEY_A), 2);
	bkc_buffer_free(&text);
	bkc_store_close(store);
}

/* Do the given keys open what is there? */
static void
test_open(void **state)
{
	BkcStore   *store = keys_store();
	BkcStore   *other;
	uint64_t	n = 1;
	BkcError	err;

	assert_ok(bkc_keys_open(store, SYSID, &n, &err));
	assert_int_equal(n, 0);
	keys_backup(store, LABEL);
	assert_ok(put_note(store, &err));
	assert_ok(bkc_keys_open(store, SYSID, &n, &err));
	assert_int_equal(n, 3);

	/* another key, none, and both */
	other = another(store, KEY_B, NULL);
	assert_fails(bkc_keys_open(other, SYSID, &n, &err), BKC_ERR_KEY);
	bkc_store_close(other);
	assert_ok(bkc_store_memory_share(store, &other, &err));
	assert_fails(bkc_keys_open(other, SYSID, &n, &err), BKC_ERR_KEY);
	bkc_store_close(other);
	other = another(store, KEY_B, KEY_A);
	assert_ok(bkc_keys_open(other, SYSID, &n, &err));

	/* one alone that another key has sealed is found */
	assert_ok(bkc_keys_rotate(other, SYSID, 0, false, &(BkcRotation) {0}, &err));
	keys_backup(other, SECOND);
	assert_ok(bkc_keys_open(other, SYSID, &n, &err));
	assert_int_equal(n, 4);
	assert_fails(bkc_keys_open(store, SYSID, &n, &err), BKC_ERR_KEY);
	bkc_store_close(other);
	bkc_store_close(store);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_host, unset_host)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_at_work),
		TEST(test_races),
		TEST(test_foreign_key),
		TEST(test_interrupted),
		TEST(test_other_content),
		TEST(test_belongs),
		TEST(test_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
