/*
 * test_client_conf.c
 *		postgresql.conf: its grammar, and what restore makes of a cluster's
 *		configuration.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../src/client/conffile.c"
#include "../../src/client/restore_config.c"
#include "../../src/client/restore_confmake.c"
#include "../../src/client/restore_confwalk.c"
#include "../../src/client/restore_extra.c"

/* ---- grammar ---- */

typedef struct Case
{
	const char *text;
	const char *name;			/* NULL: no setting */
	const char *value;
} Case;

static const Case cases[] = {
	{"port = 5432", "port", "5432"},
	{"port 5432", "port", "5432"},
	{"port=5432", "port", "5432"},
	{"  Port\t= 5432  # comment", "port", "5432"},
	{"port = 5432#x", "port", "5432"},
	{"a.b = 'c d'", "a.b", "c d"},
	{"a = ''", "a", ""},
	{"a = 'it''s'", "a", "it's"},
	{"a = 'it\\'s'", "a", "it's"},
	{"a = 'x\\ty\\\\z\\101\\1'", "a", "x\ty\\zA\001"},
	{"a = 'b'\r", "a", "b"},
	{"a='#'", "a", "#"},
	{"", NULL, NULL},
	{"# port = 1", NULL, NULL},
	{"port", NULL, NULL},
	{"port =", NULL, NULL},
	{"= 1", NULL, NULL},
	{"1a = 1", NULL, NULL},
	{"a = 'open", NULL, NULL},
	{"a = 'x\\", NULL, NULL},
	{"a = b c", NULL, NULL},
	{"local all all peer", NULL, NULL},
};

static void
test_lines(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		BkcConfLines lines;
		BkcError	err;
		bool		end;

		bkc_conf_lines_begin(&lines, cases[i].text, strlen(cases[i].text));
		assert_true(bkc_conf_lines_next(&lines, &end, &err));
		if (cases[i].text[0] != '\0')
		{
			assert_false(end);
			assert_int_equal(lines.line.is_setting, cases[i].name != NULL);
		}
		if (cases[i].name != NULL)
		{
			assert_string_equal(lines.line.name, cases[i].name);
			assert_string_equal(bkc_buffer_str(&lines.line.value), cases[i].value);
		}
		bkc_conf_lines_free(&lines);
	}
}

static void
test_line_ends(void **state)
{
	const char *text = "a=1\n\nb=2";
	BkcConfLines lines;
	BkcError	err;
	bool		end;

	bkc_conf_lines_begin(&lines, text, strlen(text));
	assert_true(bkc_conf_lines_next(&lines, &end, &err));
	assert_string_equal(lines.line.name, "a");
	assert_true(bkc_conf_lines_next(&lines, &end, &err));
	assert_false(lines.line.is_setting || end);
	assert_true(bkc_conf_lines_next(&lines, &end, &err));
	assert_string_equal(lines.line.name, "b");
	assert_true(bkc_conf_lines_next(&lines, &end, &err));
	assert_true(end);
	bkc_conf_lines_free(&lines);
}

/* Names around the limit. */
static void
test_long_names(void **state)
{
	for (size_t len = BKC_CONF_NAME_MAX - 2; len <= BKC_CONF_NAME_MAX + 1; len++)
	{
		char		text[BKC_CONF_NAME_MAX + 8];
		BkcConfLines lines;
		BkcError	err;
		bool		end;

		memset(text, 'n', len);
		memcpy(text + len, " = 1", 5);
		bkc_conf_lines_begin(&lines, text, strlen(text));
		assert_true(bkc_conf_lines_next(&lines, &end, &err));
		assert_int_equal(lines.line.is_setting, len < BKC_CONF_NAME_MAX);
		bkc_conf_lines_free(&lines);
	}
}

/* What is written reads back. */
static void
test_put(void **state)
{
	static const char *const values[] = {"", "x", "it's", "a\\b", "100%", "two\nlines"};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
	{
		BkcBuffer	out = {0};
		BkcConfLines lines;
		BkcError	err;
		bool		end;

		assert_true(bkc_conf_put(&out, "name", values[i], &err));
		bkc_conf_lines_begin(&lines, bkc_buffer_str(&out), out.len);
		assert_true(bkc_conf_lines_next(&lines, &end, &err));
		assert_true(lines.line.is_setting);
		assert_string_equal(bkc_buffer_str(&lines.line.value), values[i]);
		bkc_conf_lines_free(&lines);
		bkc_buffer_free(&out);
	}
}

/* ---- a restored cluster ---- */

typedef struct Cluster
{
	BkcRestore	r;
	BkcBackup	backup;
	BkcPlaceDir dir;
	BkcEntry	entries[8];
	BkcConfigFile configs[8];
	BkcPlanned	planned[8];
	char		path[64];
} Cluster;

static void
cluster_put(Cluster *c, const char *rel, const char *text)
{
	BkcBuffer	buf = {0};
	BkcError	err;

	assert_true(bkc_buffer_append_str(&buf, text, &err));
	if (!bkc_restore_put(&c->r, rel, &buf, &err))
		fail_msg("%s", err.message);
	bkc_buffer_free(&buf);
}

/* A file that lay outside PGDATA. */
static void
cluster_config(Cluster *c, const char *path, const char *text)
{
	BkcError	err;
	size_t		i = c->r.nconfigs;

	c->entries[i].root = BKC_ROOT_CONFIG;
	c->entries[i].path = strdup(path + 1);
	c->configs[i].entry = i;
	c->configs[i].rel = bkc_path_join(BKC_CONFIG_DIR, path + 1, &err);
	assert_non_null(c->configs[i].rel);
	c->r.nconfigs++;
	c->backup.nentries++;
	cluster_put(c, c->configs[i].rel, text);
}

static int
cluster_setup(void **state)
{
	Cluster    *c = calloc(1, sizeof(*c));

	snprintf(c->path, sizeof(c->path), "/tmp/bkc_conf.XXXXXX");
	assert_non_null(mkdtemp(c->path));
	c->dir.path = c->path;
	c->dir.fd = open(c->path, O_RDONLY | O_DIRECTORY);
	c->r.dirs = &c->dir;
	c->r.ndirs = 1;
	c->r.backup = &c->backup;
	c->r.configs = c->configs;
	c->r.planned = c->planned;
	for (size_t i = 0; i < 8; i++)
		c->planned[i].dir = BKC_SKIP;
	c->r.program = "/usr/bin/pg_backupctl";
	c->r.session.repo = "file:///b%20c/it's";
	c->backup.entries = c->entries;
	c->backup.header.pg_version_num = 150020;
	c->backup.header.system_identifier = 7435718529102938471;
	memcpy(c->backup.header.label, "20261120T120301Z-full-7f3a", 27);
	c->r.control.max_connections = 100;
	c->r.control.max_worker_processes = 8;
	c->r.control.max_wal_senders = 10;
	c->r.control.max_locks_per_xact = 64;
	*state = c;
	return 0;
}

static int
cluster_teardown(void **state)
{
	Cluster    *c = *state;
	BkcError	err;

	for (size_t i = 0; i < c->r.nconfigs; i++)
	{
		free(c->configs[i].rel);
		free(c->entries[i].path);
	}
	for (size_t i = 0; i < c->r.nextras; i++)
		free(c->r.extras[i].rel);
	free(c->r.extras);
	close(c->dir.fd);
	assert_true(bkc_dir_remove_tree(c->path, false, &err));
	free(c);
	return 0;
}

static char *
cluster_get(const Cluster *c, const char *rel)
{
	BkcBuffer	buf = {0};
	BkcError	err;

	if (!bkc_restore_get(&c->r, rel, &buf, &err))
		fail_msg("%s", err.message);
	return (char *) buf.data;
}

static void
run_config(Cluster *c)
{
	BkcError	err;

	if (!bkc_restore_config(&c->r, &err))
		fail_msg("%s", err.message);
}

/* Value of a setting in a written file; the last one counts. */
static char *
value_in(const Cluster *c, const char *rel, const char *name)
{
	char	   *text = cluster_get(c, rel);
	BkcConfLines lines;
	char	   *value = NULL;
	BkcError	err;
	bool		end;

	bkc_conf_lines_begin(&lines, text, strlen(text));
	while (bkc_conf_lines_next(&lines, &end, &err) && !end)
	{
		if (!lines.line.is_setting || strcmp(lines.line.name, name) != 0)
			continue;
		free(value);
		value = strdup(bkc_buffer_str(&lines.line.value));
	}
	bkc_conf_lines_free(&lines);
	free(text);
	return value;
}

static void
assert_value(const Cluster *c, const char *rel, const char *name, const char *expected)
{
	char	   *value = value_in(c, rel, name);

	if (expected == NULL)
		assert_null(value);
	else
	{
		assert_non_null(value);
		assert_string_equal(value, expected);
	}
	free(value);
}

static void
test_auto_conf(void **state)
{
	Cluster    *c = *state;

	cluster_put(c, "postgresql.conf", "max_connections = 50\n");
	cluster_put(c, "pg_hba.conf", "local all all trust\n");
	cluster_put(c, "postgresql.auto.conf",
				"# Do not edit\nwork_mem = '5MB'\nprimary_conninfo = 'host=x'\n"
				"recovery_target_lsn = '0/1'\narchive_mode = 'on'\nRestore_Command = 'cp'\n"
				"# pg_backupctl restore: old\nsynchronous_standby_names = '*'");
	run_config(c);
	assert_value(c, AUTO_CONF, "work_mem", "5MB");
	assert_value(c, AUTO_CONF, "primary_conninfo", "");
	assert_value(c, AUTO_CONF, "recovery_target_lsn", "");
	assert_value(c, AUTO_CONF, "recovery_target_timeline", "latest");
	assert_value(c, AUTO_CONF, "archive_mode", "off");
	assert_value(c, AUTO_CONF, "pg_backupctl.enabled", "off");
	assert_value(c, AUTO_CONF, "synchronous_standby_names", "");
	assert_value(c, AUTO_CONF, "promote_trigger_file", "");
	assert_value(c, AUTO_CONF, "max_connections", "100");
	assert_value(c, AUTO_CONF, "max_worker_processes", NULL);
	assert_value(c, AUTO_CONF, "restore_command",
				 "/usr/bin/pg_backupctl wal-get --repo 'file:///b%%20c/it'\\''s' "
				 "--cluster 7435718529102938471 --backup 20261120T120301Z-full-7f3a %f %p");
	assert_false(bkc_restore_exists(&c->r, "nothing"));

	/* what was fine is not written again, and the peer default is not forced on it */
	assert_value(c, "postgresql.conf", "max_connections", "50");
	assert_null(bkc_settings_get(&(BkcSettings){0}, "x"));
	for (size_t i = 1; i < c->r.nextras; i++)
		assert_true(strcmp(c->r.extras[i - 1].rel, c->r.extras[i].rel) < 0);
}

static void
test_take_over(void **state)
{
	Cluster    *c = *state;

	c->r.take_over = true;
	c->backup.header.pg_version_num = 170000;
	cluster_put(c, "postgresql.conf", "");
	cluster_put(c, "postgresql.auto.conf", "archive_mode = 'on'\n");
	run_config(c);
	assert_value(c, AUTO_CONF, "archive_mode", "on");
	assert_value(c, AUTO_CONF, "pg_backupctl.enabled", "on");
	assert_value(c, AUTO_CONF, "promote_trigger_file", NULL);
}

/* Everything that leads out of the folder is turned or left out. */
static void
test_mend(void **state)
{
	Cluster    *c = *state;
	char	   *text;

	cluster_put(c, "postgresql.conf",
				"data_directory = '/srv/live'\n"
				"external_pid_file='/run/live.pid'\n"
				"hba_file = '/etc/pg/hba.conf'\n"
				"ident_file = '/srv/live/pg_ident.conf'\n"
				"include '/etc/pg/tuning.conf'\n"
				"include_dir '/etc/pg/conf.d'\n"
				"include '/srv/live/extra/own.conf'\n"
				"include '/etc/pg/missing.conf'\n"
				"include_if_exists 'gone.conf'\n"
				"include '../outside.conf'\n");
	cluster_put(c, "pg_hba.conf", "local all all trust\n");
	cluster_put(c, "pg_ident.conf", "# mine\n");
	cluster_put(c, "extra/own.conf", "work_mem = '7MB'\n");
	cluster_config(c, "/etc/pg/hba.conf", "local all all peer\n");
	cluster_config(c, "/etc/pg/tuning.conf", "max_connections = 200\nexternal_pid_file = '/x'\n");
	cluster_config(c, "/etc/pg/conf.d/a.conf", "work_mem = '1MB'\n");
	run_config(c);

	assert_value(c, "postgresql.conf", "data_directory", NULL);
	assert_value(c, "postgresql.conf", "external_pid_file", NULL);
	assert_value(c, "postgresql.conf", "hba_file", NULL);
	assert_value(c, "postgresql.conf", "include", "extra/own.conf");
	assert_value(c, "postgresql.conf", "include_dir", BKC_CONFIG_DIR "/etc/pg/conf.d");
	assert_value(c, "postgresql.conf", "include_if_exists", NULL);
	assert_value(c, BKC_CONFIG_DIR "/etc/pg/tuning.conf", "external_pid_file", NULL);
	assert_value(c, BKC_CONFIG_DIR "/etc/pg/tuning.conf", "max_connections", "200");
	text = cluster_get(c, "postgresql.conf");
	assert_non_null(strstr(text, "\n#include '../outside.conf'\n"));
	assert_non_null(strstr(text, "include = '" BKC_CONFIG_DIR "/etc/pg/tuning.conf'\n"));
	free(text);
	text = cluster_get(c, "pg_hba.conf");
	assert_string_equal(text, "local all all peer\n");
	free(text);
	text = cluster_get(c, "pg_ident.conf");
	assert_string_equal(text, "# mine\n");
	free(text);

	/* a second time there is nothing left to mend */
	text = cluster_get(c, "postgresql.conf");
	run_config(c);
	assert_value(c, "postgresql.conf", "include", "extra/own.conf");
	free(text);
}

/* The configuration was kept elsewhere; PGDATA has none, or one that nobody read. */
static void
outside(Cluster *c)
{
	cluster_config(c, "/etc/pg/main/postgresql.conf",
				   "data_directory = '/srv/live'\nhba_file = '/etc/pg/main/pg_hba.conf'\n"
				   "port = 5433\nssl = on\nssl_key_file = '/etc/key'\ninclude_dir = 'conf.d'\n"
				   "unix_socket_directories = '/nonexistent'\npg_backupctl.jobs = 3\n");
	cluster_config(c, "/etc/pg/main/pg_hba.conf", "local all all md5\n");
	cluster_config(c, "/etc/pg/main/conf.d/x.conf", "port = 5434\nmax_connections = 300\n");
	run_config(c);
	assert_value(c, "postgresql.conf", "port", "5434");
	assert_value(c, "postgresql.conf", "max_connections", "300");
	assert_value(c, "postgresql.conf", "pg_backupctl.jobs", "3");
	assert_value(c, "postgresql.conf", "ssl", NULL);
	assert_value(c, "postgresql.conf", "data_directory", NULL);
	assert_value(c, "postgresql.conf", "hba_file", NULL);
	assert_value(c, "pg_hba.conf", "local", NULL);
}

static void
test_outside(void **state)
{
	char	   *text;

	outside(*state);
	text = cluster_get(*state, "pg_hba.conf");
	assert_string_equal(text, "local all all md5\n");
	free(text);
	text = cluster_get(*state, "pg_ident.conf");
	assert_string_equal(text, default_ident);
	free(text);
}

static void
test_outside_with_stale(void **state)
{
	cluster_put(*state, "postgresql.conf", "port = 1\n");
	cluster_put(*state, "pg_hba.conf", "local all all trust\n");
	outside(*state);
}

/* Only pg_hba.conf was elsewhere, by the command line: PGDATA's postgresql.conf counts. */
static void
test_only_hba_outside(void **state)
{
	cluster_put(*state, "postgresql.conf", "port = 7\nssl = off\n");
	cluster_config(*state, "/etc/pg/hba.conf", "# c\nlocal all all peer\n");
	cluster_config(*state, "/etc/pg/users", "anna\nbert\n");
	run_config(*state);
	assert_value(*state, "postgresql.conf", "ssl", "off");
}

static void
test_nothing_at_all(void **state)
{
	char	   *text;

	run_config(*state);
	text = cluster_get(*state, "pg_hba.conf");
	assert_string_equal(text, default_hba);
	free(text);
	assert_value(*state, "postgresql.conf", "port", NULL);
}

static void
test_in_place(void **state)
{
	Cluster    *c = *state;

	run_config(c);
	assert_value(c, AUTO_CONF, "allow_in_place_tablespaces", NULL);
	c->backup.nentries = 1;
	c->planned[0].dir = 0;
	c->planned[0].rel = "pg_tblspc/16385";
	run_config(c);
	assert_value(c, AUTO_CONF, "allow_in_place_tablespaces", "on");
}

static void
test_include_loop(void **state)
{
	Cluster    *c = *state;
	BkcError	err;

	cluster_put(c, "postgresql.conf", "include 'b.conf'\n");
	cluster_put(c, "b.conf", "include 'postgresql.conf'\n");
	assert_false(bkc_restore_config(&c->r, &err));
	assert_int_equal(err.code, BKC_ERR_CORRUPT);
}

#define CLUSTER_TEST(f) cmocka_unit_test_setup_teardown(f, cluster_setup, cluster_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_line_ends),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_put),
		CLUSTER_TEST(test_auto_conf),
		CLUSTER_TEST(test_take_over),
		CLUSTER_TEST(test_mend),
		CLUSTER_TEST(test_outside),
		CLUSTER_TEST(test_outside_with_stale),
		CLUSTER_TEST(test_only_hba_outside),
		CLUSTER_TEST(test_nothing_at_all),
		CLUSTER_TEST(test_in_place),
		CLUSTER_TEST(test_include_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
