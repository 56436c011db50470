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
#include "../../src/client/authfile.c"
#include "../../src/client/keys.c"
#include "../../src/client/options.c"
#include "../../src/client/restore_config.c"
#include "../../src/client/restore_confpath.c"
#include "../../src/client/restore_confmake.c"
#include "../../src/client/restore_confwalk.c"
#include "../../src/client/restore_confauth.c"
#include "../../src/client/restore_extra.c"
#include "../../src/client/restore_goal.c"
#include "test_client_cluster.h"

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
	assert_value(c, AUTO_CONF, "recovery_target_timeline", "1");
	assert_value(c, AUTO_CONF, "archive_mode", "off");
	assert_value(c, AUTO_CONF, "pg_backupctl.enabled", "off");
	assert_value(c, AUTO_CONF, "synchronous_standby_names", "");
	assert_value(c, AUTO_CONF, "promote_trigger_file", "");
	assert_value(c, AUTO_CONF, "max_connections", "100");
	assert_value(c, AUTO_CONF, "max_worker_processes", NULL);
	assert_value(c, AUTO_CONF, "restore_command",
				 "/usr/bin/pg_backupctl wal-get --repo 'file:///b%%20c/it'\\''s' "
				 "--cluster 7435718529102938471 --backup 20261120T120301Z-full-7f3a "
				 "--timeline 1 %f %p");
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

static void
test_target(void **state)
{
	Cluster    *c = *state;

	c->r.goal.kind = BKC_GOAL_TIME;
	c->r.goal.time = INT64_C(1795176181500000);
	c->r.goal.exclusive = true;
	c->r.goal.action = "shutdown";
	c->r.way.timeline = 3;
	c->r.way.until = UINT64_C(0x100000028);
	cluster_put(c, "postgresql.conf", "");
	cluster_put(c, "postgresql.auto.conf", "recovery_target_name = 'x'\n");
	run_config(c);
	assert_value(c, AUTO_CONF, "recovery_target_time", "2026-11-20 12:03:01.500000+00");
	assert_value(c, AUTO_CONF, "recovery_target_name", "");
	assert_value(c, AUTO_CONF, "recovery_target_lsn", "");
	assert_value(c, AUTO_CONF, "recovery_target_inclusive", "off");
	assert_value(c, AUTO_CONF, "recovery_target_action", "shutdown");
	assert_value(c, AUTO_CONF, "recovery_target_timeline", "3");
	assert_value(c, AUTO_CONF, "restore_command",
				 "/usr/bin/pg_backupctl wal-get --repo 'file:///b%%20c/it'\\''s' "
				 "--cluster 7435718529102938471 --backup 20261120T120301Z-full-7f3a "
				 "--timeline 3 --until 1/28 %f %p");
}

/* A standby may become the primary: it keeps what belongs to one. */
static void
test_standby(void **state)
{
	Cluster    *c = *state;

	c->r.goal.standby = true;
	cluster_put(c, "postgresql.conf", "");
	cluster_put(c, "postgresql.auto.conf",
				"archive_mode = 'on'\nsynchronous_standby_names = '*'\nprimary_conninfo = 'x'\n");
	run_config(c);
	assert_value(c, AUTO_CONF, "archive_mode", "on");
	assert_value(c, AUTO_CONF, "synchronous_standby_names", "*");
	assert_value(c, AUTO_CONF, "pg_backupctl.enabled", NULL);
	assert_value(c, AUTO_CONF, "primary_conninfo", "");
	assert_value(c, AUTO_CONF, "recovery_target_timeline", "latest");
	assert_value(c, AUTO_CONF, "restore_command",
				 "/usr/bin/pg_backupctl wal-get --repo 'file:///b%%20c/it'\\''s' "
				 "--cluster 7435718529102938471 --backup 20261120T120301Z-full-7f3a %f %p");
}

/* Everything that leads out of the folder is turned or left out. */
static void
test_mend(void **state)
{
	Cluster    *c = *state;
	char	   *text;
	char	   *again;

	cluster_put(c, "postgresql.conf",
				"data_directory = '/srv/live'\n"
				"external_pid_file='/run/live.pid'\n"
				"hba_file = '/etc/pg/hba.conf'\n"
				"ident_file = '/srv/live/pg_ident.conf'\n"
				"include '/etc/pg/tuning.conf'\n"
				"include_dir '/etc/pg/conf.d'\n"
				"include '/srv/live/extra/own.conf'\n"
				"include '/srv/other/extra/own.conf'\n"
				"include '/etc/pg/../pg/./missing.conf'\n"
				"include_if_exists 'gone.conf'\n"
				"include '../outside.conf'\n"
				"include '../beside.conf'\n");
	c->backup.header.hba_file = "/etc/pg/hba.conf";
	cluster_put(c, "pg_hba.conf", "local all all trust\n");
	cluster_put(c, "pg_ident.conf", "# mine\n");
	cluster_config(c, "/srv/beside.conf", "work_mem = '2MB'\n");
	cluster_put(c, "extra/own.conf", "work_mem = '7MB'\n");
	cluster_config(c, "/etc/pg/hba.conf", "local all all peer\n");
	cluster_config(c, "/etc/pg/tuning.conf", "max_connections = 200\nexternal_pid_file = '/x'\n");
	cluster_config(c, "/etc/pg/conf.d/a.conf", "work_mem = '1MB'\n");
	run_config(c);

	assert_value(c, "postgresql.conf", "data_directory", NULL);
	assert_value(c, "postgresql.conf", "external_pid_file", NULL);
	assert_value(c, "postgresql.conf", "hba_file", NULL);
	assert_value(c, "postgresql.conf", "include", BKC_CONFIG_DIR "/srv/beside.conf");
	assert_value(c, "postgresql.conf", "include_dir", BKC_CONFIG_DIR "/etc/pg/conf.d");
	assert_value(c, "postgresql.conf", "include_if_exists", NULL);
	assert_value(c, BKC_CONFIG_DIR "/etc/pg/tuning.conf", "external_pid_file", NULL);
	assert_value(c, BKC_CONFIG_DIR "/etc/pg/tuning.conf", "max_connections", "200");
	text = cluster_get(c, "postgresql.conf");
	assert_non_null(strstr(text, "\n#include '../outside.conf'\n"));
	assert_non_null(strstr(text, "\n#include '/srv/other/extra/own.conf'\n"));
	assert_non_null(strstr(text, "\ninclude = 'extra/own.conf'\n"));
	assert_non_null(strstr(text, "include = '" BKC_CONFIG_DIR "/etc/pg/tuning.conf'\n"));
	free(text);
	text = cluster_get(c, "pg_hba.conf");
	assert_string_equal(text, "local all all peer\n");
	free(text);
	text = cluster_get(c, "pg_ident.conf");
	assert_string_equal(text, "# mine\n");
	free(text);

	text = cluster_get(c, "pg_hba.conf.replaced");
	assert_string_equal(text, "local all all trust\n");
	free(text);

	/* a second time there is nothing left to mend */
	text = cluster_get(c, "postgresql.conf");
	run_config(c);
	again = cluster_get(c, "postgresql.conf");
	assert_string_equal(again, text);
	free(again);
	free(text);
}

/* Included twice, turned once: from the config root into the data directory and within it. */
static void
test_mend_twice(void **state)
{
	static const char *const tuning = BKC_CONFIG_DIR "/etc/pg/tuning.conf";
	Cluster    *c = *state;
	char	   *text;

	cluster_put(c, "postgresql.conf",
				"include '/etc/pg/tuning.conf'\nport = 1\ninclude '/etc/pg/tuning.conf'\n");
	cluster_put(c, "extra/own.conf", "port = 2\n");
	cluster_config(c, "/etc/pg/tuning.conf",
				   "include '/srv/live/extra/own.conf'\ninclude_if_exists '/etc/pg/b.conf'\n");
	cluster_config(c, "/etc/pg/b.conf", "work_mem = '7MB'\n");
	run_config(c);
	text = cluster_get(c, tuning);
	assert_non_null(strstr(text, "\ninclude = '../../../extra/own.conf'\n"));
	free(text);
	assert_value(c, tuning, "include_if_exists", "b.conf");
	assert_true(bkc_restore_exists(&c->r, "postgresql.conf"));
}

/* The configuration was kept elsewhere; PGDATA has none, or one that nobody read. */
static void
outside(Cluster *c)
{
	c->backup.header.config_file = "/etc/pg/main/postgresql.conf";
	c->backup.header.hba_file = "/etc/pg/main/pg_hba.conf";
	c->backup.header.ident_file = "/etc/pg/main/pg_ident.conf";
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

	/* these are for people to look at */
	assert_value(c, BKC_CONFIG_DIR "/etc/pg/main/postgresql.conf", "data_directory", "/srv/live");
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
	assert_value(*state, "postgresql.conf.replaced", "port", "1");
}

/* In the data directory under another name. */
static void
test_other_name(void **state)
{
	Cluster    *c = *state;

	c->backup.header.config_file = "/srv/live/mine/server.conf";
	cluster_put(c, "mine/server.conf", "port = 7\nssl = on\ninclude '../postgresql.conf'\n");
	cluster_put(c, "postgresql.conf", "max_connections = 222\n");
	run_config(c);
	assert_value(c, "postgresql.conf", "port", "7");
	assert_value(c, "postgresql.conf", "max_connections", "222");
	assert_value(c, "postgresql.conf", "ssl", NULL);
	assert_value(c, "mine/server.conf", "include", "../postgresql.conf");
}

/* config_file went through a link into the data directory: one file by two names, or two. */
static void
through_link(Cluster *c, uint8_t hash, const char *ssl)
{
	c->backup.header.config_file = "/link/postgresql.conf";
	cluster_config(c, "/link/postgresql.conf", "port = 7\nssl = on\n");
	cluster_put(c, "postgresql.conf", "port = 7\nssl = on\n");
	c->entries[1].root = BKC_ROOT_PGDATA;
	c->entries[1].path = strdup("postgresql.conf");
	c->entries[1].sha256[BKC_SHA256_SIZE - 1] = hash;
	c->backup.nentries = 2;
	run_config(c);
	assert_value(c, "postgresql.conf", "ssl", ssl);
	free(c->entries[1].path);
	c->entries[1].path = NULL;
}

static void
test_through_link(void **state)
{
	through_link(*state, 0, "on");
}

static void
test_through_link_stale(void **state)
{
	through_link(*state, 1, NULL);
}

/* Not in the backup, or not known: something clean that starts. */
static void
test_nothing_at_all(void **state)
{
	Cluster    *c = *state;
	char	   *text;

	run_config(c);
	text = cluster_get(c, "pg_hba.conf");
	assert_string_equal(text, default_hba);
	free(text);
	assert_value(c, "postgresql.conf", "port", NULL);
}

static void
test_nothing_known(void **state)
{
	Cluster    *c = *state;
	char	   *text;

	c->backup.header.data_directory = c->backup.header.config_file = NULL;
	c->backup.header.hba_file = c->backup.header.ident_file = NULL;
	cluster_put(c, "postgresql.conf", "port = 7\n");
	cluster_put(c, "pg_hba.conf", "local all all trust\n");
	run_config(c);
	text = cluster_get(c, "pg_hba.conf");
	assert_string_equal(text, default_hba);
	free(text);
	assert_value(c, "postgresql.conf", "port", NULL);
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

/* No server runs with such files, but one that starts is more use than a restore that fails. */
static void
test_include_loop(void **state)
{
	Cluster    *c = *state;

	cluster_put(c, "postgresql.conf",
				"external_pid_file = '/x'\ninclude 'b.conf'\nport = 3\ninclude 'postgresql.conf'\n");
	cluster_put(c, "b.conf", "external_pid_file = '/x'\ninclude 'postgresql.conf'\nssl = on\n");
	run_config(c);
	assert_value(c, "postgresql.conf", "include", "b.conf");
	assert_value(c, "b.conf", "include", NULL);
	assert_value(c, "b.conf", "ssl", "on");
}

/* Ten levels below the first are read, as in the server. */
static void
test_include_depth(void **state)
{
	Cluster    *c = *state;
	char		name[32];
	char		text[64];

	cluster_put(c, "postgresql.conf", "include '1.conf'\n");
	for (int i = 1; i <= BKC_CONFIG_DEPTH_MAX + 1; i++)
	{
		snprintf(name, sizeof(name), "%d.conf", i);
		snprintf(text, sizeof(text), "include '%d.conf'\n", i + 1);
		cluster_put(c, name, text);
	}
	run_config(c);
	snprintf(name, sizeof(name), "%d.conf", BKC_CONFIG_DEPTH_MAX - 1);
	snprintf(text, sizeof(text), "%d.conf", BKC_CONFIG_DEPTH_MAX);
	assert_value(c, name, "include", text);
	assert_value(c, text, "include", NULL);
}

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
		CLUSTER_TEST(test_target),
		CLUSTER_TEST(test_standby),
		CLUSTER_TEST(test_mend),
		CLUSTER_TEST(test_mend_twice),
		CLUSTER_TEST(test_outside),
		CLUSTER_TEST(test_outside_with_stale),
		CLUSTER_TEST(test_other_name),
		CLUSTER_TEST(test_through_link),
		CLUSTER_TEST(test_through_link_stale),
		CLUSTER_TEST(test_nothing_at_all),
		CLUSTER_TEST(test_nothing_known),
		CLUSTER_TEST(test_in_place),
		CLUSTER_TEST(test_include_loop),
		CLUSTER_TEST(test_include_depth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
