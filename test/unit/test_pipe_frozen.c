/*
 * test_pipe_frozen.c
 *		Which packs of a backup, and of those it builds on, must be thawed.
 */
#include "test_pipe_util.h"

#include "base/host.h"
#include "format/names.h"
#include "pipe/frozen.h"

#define DAY		((int64_t) 86400 * 1000000)
#define NOW		(1000 * DAY)
#define PARENT	"20231113T221320Z-full-0001"
#define FIRST	"20231112T221320Z-full-0002"

/* A store that has nothing but objects in an archive. */
typedef struct Object
{
	const char *label;
	const char *pack;			/* "1-0" */
	BkcArchive	archive;
	int			thaws;			/* requests, and for how many days */
	int			days;
} Object;

static Object objects[8];
static size_t nobjects;
static BkcErrorCode thaw_fails;

static void
object_name(const Object *o, char out[BKC_NAME_MAX])
{
	snprintf(out, BKC_NAME_MAX, "%llu/backups/%s/data/%s.pack", (unsigned long long) SYSID, o->label,
			 o->pack);
}

static bool
fake_archived(BkcStore *store, const char *prefix, BkcArchiveEach each, void *arg, BkcError *err)
{
	for (size_t i = 0; i < nobjects; i++)
	{
		char		name[BKC_NAME_MAX];

		object_name(&objects[i], name);
		if (strncmp(name, prefix, strlen(prefix)) == 0 &&
			!each(arg, name, 100, &objects[i].archive, err))
			return false;
	}
	return true;
}

static bool
fake_thaw(BkcStore *store, const char *name, int days, BkcError *err)
{
	if (thaw_fails != BKC_OK)
		return bkc_error_set(err, thaw_fails, "no thaw");
	for (size_t i = 0; i < nobjects; i++)
	{
		char		other[BKC_NAME_MAX];

		object_name(&objects[i], other);
		if (strcmp(name, other) == 0)
		{
			objects[i].thaws++;
			objects[i].days = days;
			return true;
		}
	}
	return bkc_error_set(err, BKC_ERR_NOT_FOUND, "no object \"%s\"", name);
}

static const BkcStoreOps fake_ops = {.archived = fake_archived, .thaw = fake_thaw};
static BkcStore store = {.ops = &fake_ops, .location = (char *) "fake"};

static int64_t
own_now(void)
{
	return NOW;
}

static void
put(const char *label, const char *pack, int state, int64_t until)
{
	Object	   *o = &objects[nobjects++];

	memset(o, 0, sizeof(*o));
	o->label = label;
	o->pack = pack;
	o->archive.state = state;
	o->archive.until = until;
	snprintf(o->archive.class, sizeof(o->archive.class), "GLACIER");
}

/* Packs 0-0, 1-0 and 1-1, and files that go on in packs 1-0 and 2-3 of PARENT, 1-0 of FIRST. */
static BkcPackInfo packs[] = {
	{.worker = 0, .number = 0}, {.worker = 1, .number = 0}, {.worker = 1, .number = 1}
};
static BkcPiece pieces[][2] = {
	{{.pack_worker = 1}, {.label = PARENT, .pack_worker = 1, .pack_number = 0}},
	{{.label = FIRST, .pack_worker = 1}, {.label = PARENT, .pack_worker = 2, .pack_number = 3}},
	{{.label = PARENT, .pack_worker = 1, .pack_number = 0}, {.pack_worker = 1, .pack_number = 1}},
};
static BkcEntry entries[] = {
	{.pieces = pieces[0], .npieces = 2}, {.pieces = pieces[1], .npieces = 2},
	{.npieces = 0}, {.pieces = pieces[2], .npieces = 2},
};
static BkcBackup backup = {
	.header = {.label = LABEL, .system_identifier = SYSID},
	.packs = packs, .npacks = 3, .entries = entries, .nentries = 4
};

static int
setup(void **state)
{
	static const BkcHost host = {.now = own_now};

	bkc_host_set(&host);
	nobjects = 0;
	thaw_fails = BKC_OK;
	return 0;
}

static void
test_which(void **state)
{
	BkcFrozen	f;
	BkcError	err;

	/* nothing, and a store that has no archive */
	assert_ok(bkc_backup_frozen(&store, &backup, 0, &f, &err));
	assert_int_equal(f.packs, 6);
	assert_ok(bkc_frozen_check(&backup, &f, "restored", "restore", &err));

	/* also what is not needed: of a parent, and what no manifest names */
	put(LABEL, "1-0", BKC_ARCHIVE_FROZEN, 0);
	put(LABEL, "1-1", BKC_ARCHIVE_FROZEN, 0);
	put(LABEL, "1-2", BKC_ARCHIVE_FROZEN, 0);
	put(PARENT, "1-0", BKC_ARCHIVE_FROZEN, 0);
	put(PARENT, "1-1", BKC_ARCHIVE_FROZEN, 0);
	put(PARENT, "2-3", BKC_ARCHIVE_THAWING, 0);
	put(FIRST, "1-0", BKC_ARCHIVE_THAWED, NOW + 3 * DAY);
	assert_ok(bkc_backup_frozen(&store, &backup, 0, &f, &err));
	assert_int_equal(f.frozen, 3);
	assert_int_equal(f.frozen_bytes, 300);
	assert_int_equal(f.requested, 0);
	assert_int_equal(f.thawing, 1);
	assert_int_equal(f.thawed, 1);
	assert_true(f.until == NOW + 3 * DAY);
	assert_string_equal(f.class, "GLACIER");
	assert_fails(bkc_frozen_check(&backup, &f, "restored", "restore", &err), BKC_ERR_ARCHIVED);
	assert_non_null(strstr(err.message, "cannot be restored now: 3 of its 6 packs (300 bytes)"));
	for (size_t i = 0; i < nobjects; i++)
		assert_int_equal(objects[i].thaws, 0);

	/* what is frozen and needed is requested, and nothing else */
	assert_ok(bkc_backup_frozen(&store, &backup, 5, &f, &err));
	assert_int_equal(f.requested, 3);
	assert_fails(bkc_frozen_check(&backup, &f, "restored", "restore", &err), BKC_ERR_ARCHIVED);
	assert_non_null(strstr(err.message, "cannot be restored yet: 4 of its 6 packs"));
	for (size_t i = 0; i < nobjects; i++)
	{
		bool		wanted = i == 0 || i == 1 || i == 3;

		assert_int_equal(objects[i].thaws, wanted);
		assert_int_equal(objects[i].days, wanted ? 5 : 0);
	}
}

/* A copy that would end too soon is requested once more, but not without being told to. */
static void
test_ends_soon(void **state)
{
	BkcFrozen	f;
	BkcError	err;

	put(LABEL, "1-0", BKC_ARCHIVE_THAWED, NOW + DAY / 2);
	put(LABEL, "1-1", BKC_ARCHIVE_THAWED, NOW + 2 * DAY);
	put(PARENT, "2-3", BKC_ARCHIVE_THAWED, 0);
	assert_ok(bkc_backup_frozen(&store, &backup, 0, &f, &err));
	assert_true(f.until == NOW + DAY / 2);
	assert_int_equal(objects[0].thaws, 0);
	assert_ok(bkc_frozen_check(&backup, &f, "restored", "restore", &err));
	assert_ok(bkc_backup_frozen(&store, &backup, 7, &f, &err));
	assert_int_equal(f.thawed, 3);
	assert_true(f.until == NOW + 2 * DAY);
	assert_int_equal(objects[0].thaws, 1);
	assert_int_equal(objects[1].thaws, 0);
	assert_int_equal(objects[2].thaws, 0);
	assert_ok(bkc_frozen_check(&backup, &f, "restored", "restore", &err));
}

static void
test_fails(void **state)
{
	BkcFrozen	f;
	BkcError	err;

	put(LABEL, "1-0", BKC_ARCHIVE_FROZEN, 0);
	thaw_fails = BKC_ERR_ACCESS;
	assert_fails(bkc_backup_frozen(&store, &backup, 7, &f, &err), BKC_ERR_ACCESS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_which, setup),
		cmocka_unit_test_setup(test_ends_soon, setup),
		cmocka_unit_test_setup(test_fails, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
