/*
 * test_client_plan.c
 *		Where the entries of a manifest go, --tablespace-map, and tablespace_map.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../src/client/options.c"
#include "../../src/client/restore_extra.c"
#include "../../src/client/restore_label.c"

/* the same static name in two files */
#define find_dir plan_find_dir
#include "../../src/client/restore_plan.c"
#undef find_dir

static const BkcOptionDef defs[] = {
	{"tablespace-map", 'T', "OLD=NEW", false, "x"},
	BKC_OPTION_END
};

static const BkcCommand command = {.name = "restore", .options = defs};

typedef struct Plan
{
	BkcRestore	r;
	BkcBackup	backup;
	BkcEntry	entries[8];
	BkcTablespace spaces[3];
	BkcOptions *options;
} Plan;

static void
add(Plan *p, BkcEntryType type, BkcRoot root, uint32_t oid, const char *path)
{
	BkcEntry   *entry = &p->entries[p->backup.nentries++];

	entry->type = type;
	entry->root = root;
	entry->tablespace = oid;
	entry->path = (char *) path;
	entry->size = type == BKC_ENTRY_FILE ? 4097 : 0;
	entry->mode = 0700;
}

/* Tablespace 1 at /ts/a, 2 in place, 3 at "/ts/b c"; the two files no cluster is without. */
static void
plan_begin(Plan *p)
{
	memset(p, 0, sizeof(*p));
	p->spaces[0] = (BkcTablespace) {1, (char *) "/ts/a"};
	p->spaces[1] = (BkcTablespace) {2, NULL};
	p->spaces[2] = (BkcTablespace) {3, (char *) "/ts/b c"};
	p->backup.header.tablespaces = p->spaces;
	p->backup.header.ntablespaces = 3;
	p->backup.header.pg_version_num = 150020;
	p->backup.header.catalog_version = 202209061;
	p->backup.entries = p->entries;
	p->r.backup = &p->backup;
	p->r.marker_fd = -1;
	add(p, BKC_ENTRY_FILE, BKC_ROOT_PGDATA, 0, "PG_VERSION");
	add(p, BKC_ENTRY_FILE, BKC_ROOT_PGDATA, 0, "global/pg_control");
}

static bool
plan_run(Plan *p, const char *const *maps, BkcError *err)
{
	char	   *argv[8] = {(char *) "restore"};
	int			argc = 1;

	for (; maps != NULL && *maps != NULL; maps++)
	{
		argv[argc++] = (char *) "-T";
		argv[argc++] = (char *) *maps;
	}
	assert_true(bkc_options_parse(&command, argc, argv, &p->options, err));
	p->r.options = p->options;
	return bkc_restore_plan(&p->r, err);
}

static void
plan_end(Plan *p)
{
	bkc_restore_plan_free(&p->r);
	bkc_options_free(p->options);
}

static void
test_places(void **state)
{
	const char *const maps[] = {"/ts/b c=/new//x/", NULL};
	BkcError	err;
	Plan		p;

	plan_begin(&p);
	add(&p, BKC_ENTRY_FILE, BKC_ROOT_TABLESPACE, 1, "PG_15_202209061/5/1");
	add(&p, BKC_ENTRY_FILE, BKC_ROOT_TABLESPACE, 2, "PG_15_202209061/5/1");
	add(&p, BKC_ENTRY_FILE, BKC_ROOT_TABLESPACE, 3, "PG_15_202209061/5/1");
	add(&p, BKC_ENTRY_FILE, BKC_ROOT_WAL, 0, "000000010000000000000007");
	add(&p, BKC_ENTRY_FILE, BKC_ROOT_CONFIG, 0, "etc/pg/postgresql.conf");
	add(&p, BKC_ENTRY_FILE, BKC_ROOT_PGDATA, 0, "standby.signal");
	if (!plan_run(&p, maps, &err))
		fail_msg("%s", err.message);

	assert_int_equal(p.r.ndirs, 3);
	assert_string_equal(p.r.dirs[1].link, "/ts/a");
	assert_string_equal(p.r.dirs[2].link, "/new/x");
	assert_string_equal(p.r.planned[0].rel, "PG_VERSION");
	assert_string_equal(p.r.planned[1].rel, BKC_CONTROL_TEMP);
	assert_int_equal(p.r.planned[2].dir, 1);
	assert_string_equal(p.r.planned[2].rel, "PG_15_202209061/5/1");
	assert_int_equal(p.r.planned[3].dir, 0);
	assert_string_equal(p.r.planned[3].rel, "pg_tblspc/2/PG_15_202209061/5/1");
	assert_int_equal(p.r.planned[4].dir, 2);
	assert_string_equal(p.r.planned[5].rel, "pg_wal/000000010000000000000007");
	assert_string_equal(p.r.planned[6].rel, "pg_backupctl_config/etc/pg/postgresql.conf");
	assert_int_equal(p.r.planned[7].dir, BKC_SKIP);
	assert_int_equal(p.r.plan_files, 7);
	assert_int_equal(p.r.plan_bytes, 7 * 4097);
	assert_int_equal(p.r.dirs[1].bytes, 8192);
	assert_false(p.r.group_access);
	plan_end(&p);
}

/* Entries that no honest backup has. */
static void
test_refused(void **state)
{
	static const struct
	{
		BkcEntryType type;
		BkcRoot		root;
		uint32_t	oid;
		const char *path;
		BkcErrorCode code;
	}			bad[] = {
		{BKC_ENTRY_LINK, BKC_ROOT_PGDATA, 0, "pg_wal", BKC_ERR_UNSUPPORTED},
		{BKC_ENTRY_FILE, BKC_ROOT_PGDATA, 0, "pg_tblspc/1/x", BKC_ERR_CORRUPT},
		{BKC_ENTRY_DIR, BKC_ROOT_PGDATA, 0, "pg_tblspc/3", BKC_ERR_CORRUPT},
		{BKC_ENTRY_FILE, BKC_ROOT_TABLESPACE, 9, "PG_15_202209061/5/1", BKC_ERR_CORRUPT},
		{BKC_ENTRY_FILE, BKC_ROOT_TABLESPACE, 1, "PG_15_2022090611/5/1", BKC_ERR_CORRUPT},
		{BKC_ENTRY_FILE, BKC_ROOT_TABLESPACE, 1, "bin/sh", BKC_ERR_CORRUPT},
		{BKC_ENTRY_FILE, BKC_ROOT_WAL, 0, "000000010000000000000007.partial", BKC_ERR_CORRUPT},
		{BKC_ENTRY_FILE, BKC_ROOT_WAL, 0, "x/000000010000000000000007", BKC_ERR_CORRUPT},
		{BKC_ENTRY_DIR, BKC_ROOT_WAL, 0, "000000010000000000000007", BKC_ERR_CORRUPT},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		BkcError	err;
		Plan		p;

		plan_begin(&p);
		add(&p, bad[i].type, bad[i].root, bad[i].oid, bad[i].path);
		assert_false(plan_run(&p, NULL, &err));
		assert_int_equal(err.code, bad[i].code);
		plan_end(&p);
	}
}

static void
test_incomplete(void **state)
{
	BkcError	err;
	Plan		p;

	for (size_t i = 0; i < 2; i++)
	{
		plan_begin(&p);
		p.entries[i].path = (char *) "other";
		assert_false(plan_run(&p, NULL, &err));
		assert_int_equal(err.code, BKC_ERR_CORRUPT);
		plan_end(&p);
	}
}

/* A file of the config root takes the place of an older copy in PGDATA. */
static void
test_older_copy(void **state)
{
	BkcError	err;
	Plan		p;

	plan_begin(&p);
	add(&p, BKC_ENTRY_FILE, BKC_ROOT_PGDATA, 0, "pg_backupctl_config/etc/a.conf");
	add(&p, BKC_ENTRY_FILE, BKC_ROOT_PGDATA, 0, "pg_backupctl_config/etc/b.conf");
	add(&p, BKC_ENTRY_FILE, BKC_ROOT_CONFIG, 0, "etc/a.conf");
	assert_true(plan_run(&p, NULL, &err));
	assert_int_equal(p.r.planned[2].dir, BKC_SKIP);
	assert_int_equal(p.r.planned[3].dir, 0);
	assert_int_equal(p.r.planned[4].dir, 0);
	plan_end(&p);
}

static void
test_group_access(void **state)
{
	BkcError	err;
	Plan		p;

	plan_begin(&p);
	add(&p, BKC_ENTRY_DIR, BKC_ROOT_PGDATA, 0, "global");
	p.entries[2].mode = 0750;
	assert_true(plan_run(&p, NULL, &err));
	assert_true(p.r.group_access);
	plan_end(&p);
}

static void
test_maps(void **state)
{
	static const char *const bad[][3] = {
		{"/ts/a", NULL, NULL},
		{"/ts/a=", NULL, NULL},
		{"/ts/a=b", NULL, NULL},
		{"/ts/a=/b/../c", NULL, NULL},
		{"/ts/x=/b", NULL, NULL},
		{"/ts/a=/b", "/ts/a=/c", NULL},
		{"ts/a=/b", NULL, NULL},
	};
	const char *const escaped[] = {"/ts/a=/b\\=c", NULL};
	BkcError	err;
	Plan		p;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		plan_begin(&p);
		assert_false(plan_run(&p, bad[i], &err));
		assert_int_equal(err.code, BKC_ERR_INVALID);
		assert_int_equal(p.r.place, BKC_AT_COMMAND_LINE);
		plan_end(&p);
	}
	plan_begin(&p);
	assert_true(plan_run(&p, escaped, &err));
	assert_string_equal(p.r.dirs[1].link, "/b=c");
	plan_end(&p);
}

/* ---- tablespace_map ---- */

static BkcErrorCode
rewrite(const char *text, const char *expected)
{
	BkcPlaceDir dirs[] = {
		{0},
		{.oid = 11, .original = "/old/a", .link = (char *) "/new/a"},
		{.oid = 12, .original = "/old/b\nc\\d", .link = (char *) "/new/b\\\r"}
	};
	BkcBuffer	out = {0};
	BkcError	err;
	bool		ok;

	bkc_error_clear(&err);
	ok = bkc_tablespace_map_rewrite(text, NULL, dirs, 3, &out, &err);
	if (expected != NULL)
		assert_string_equal(bkc_buffer_str(&out), expected);
	bkc_buffer_free(&out);
	assert_int_equal(ok, err.code == BKC_OK);
	return err.code;
}

static void
test_map_file(void **state)
{
	const char *b = "12 /new/b\\\\\\\r\n";
	char		both[64];

	snprintf(both, sizeof(both), "%s11 /new/a\n", b);
	assert_int_equal(rewrite("12 /old/b\\\nc\\\\d\n11 /old/a\n", both), BKC_OK);

	/* created while the backup ran: recovery will make its link itself, to the old place */
	assert_int_equal(rewrite("12 /old/b\\\nc\\\\d\r\n", NULL), BKC_ERR_STATE);
	assert_int_equal(rewrite(NULL, NULL), BKC_ERR_STATE);
	assert_int_equal(rewrite("", NULL), BKC_ERR_STATE);
	assert_int_equal(rewrite("11 /old/a", NULL), BKC_ERR_STATE);

	assert_int_equal(rewrite("11 /old/x\n", NULL), BKC_ERR_CORRUPT);
	assert_int_equal(rewrite("13 /old/a\n", NULL), BKC_ERR_CORRUPT);
	assert_int_equal(rewrite("11 /old/a\n11 /old/a\n", NULL), BKC_ERR_CORRUPT);
	assert_int_equal(rewrite("x /old/a\n", NULL), BKC_ERR_CORRUPT);
	assert_int_equal(rewrite("-11 /old/a\n", NULL), BKC_ERR_CORRUPT);
	assert_int_equal(rewrite("99999999999 /old/a\n", NULL), BKC_ERR_CORRUPT);
	assert_int_equal(rewrite("11/old/a\n", NULL), BKC_ERR_CORRUPT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_incomplete),
		cmocka_unit_test(test_older_copy),
		cmocka_unit_test(test_group_access),
		cmocka_unit_test(test_maps),
		cmocka_unit_test(test_map_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
