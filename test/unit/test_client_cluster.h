/*
 * test_client_cluster.h
 *		A folder that holds restored files, and the manifest that says where they
 *		were, for the tests of restore's configuration part.  It was below /srv/live.
 *
 * Included behind the sources under test: everything here is static.
 */
#ifndef BKC_TEST_CLIENT_CLUSTER_H
#define BKC_TEST_CLIENT_CLUSTER_H

#include "base/file.h"

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
	static const BkcOptions no_options;
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
	c->r.way.timeline = 1;
	c->r.options = &no_options;
	c->r.program = "/usr/bin/pg_backupctl";
	c->r.session.repo = "file:///b%20c/it's";
	c->backup.entries = c->entries;
	c->backup.header.pg_version_num = 150020;
	c->backup.header.data_directory = "/srv/live";
	c->backup.header.config_file = "/srv/live/postgresql.conf";
	c->backup.header.hba_file = "/srv/live/pg_hba.conf";
	c->backup.header.ident_file = "/srv/live/pg_ident.conf";
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

static inline void
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

#define CLUSTER_TEST(f) cmocka_unit_test_setup_teardown(f, cluster_setup, cluster_teardown)

#endif							/* BKC_TEST_CLIENT_CLUSTER_H */
