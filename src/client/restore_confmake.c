/*
 * restore_confmake.c
 *		A postgresql.conf where PGDATA had none, pg_hba.conf and pg_ident.conf.
 *
 * Some systems (Debian) keep the configuration outside PGDATA.  Their files
 * are restored below BKC_CONFIG_DIR for people to look at; what a server is
 * started with holds only settings that mean the same on any machine.
 */
#include "restore_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

/* Settings that are taken over, in the order in which they are written. */
static const char *const kept[] = {
	"listen_addresses",
	"port",
	"max_connections",
	"max_worker_processes",
	"max_wal_senders",
	"max_prepared_transactions",
	"max_locks_per_transaction",
	"shared_preload_libraries",
	"shared_buffers",
	"wal_level",
	"timezone",
	"log_timezone",
	"lc_messages",
	"lc_monetary",
	"lc_numeric",
	"lc_time",
	"datestyle",
	"default_text_search_config"
};

/* A successor goes on archiving as the lost cluster did. */
static const char *const kept_by_successor[] = {
	"archive_mode",
	"archive_command",
	"archive_library",
	"archive_timeout"
};

#define LENGTH(array)	(sizeof(array) / sizeof((array)[0]))

static const char default_hba[] =
	"# Written by pg_backupctl restore: the backup holds no pg_hba.conf.\n"
	"local   all             all                                     peer\n"
	"local   replication     all                                     peer\n";

static const char default_ident[] =
	"# Written by pg_backupctl restore: the backup holds no pg_ident.conf.\n";

/* ---- which file was in effect ---- */

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

static const BkcConfigFile *
find_by_name(const BkcRestore *r, const char *name)
{
	for (size_t i = 0; i < r->nconfigs; i++)
	{
		if (strcmp(base_name(r->backup->entries[r->configs[i].entry].path), name) == 0)
			return &r->configs[i];
	}
	return NULL;
}

/* Does it read as settings?  pg_hba.conf and lists of names do not. */
static bool
holds_settings(const BkcRestore *r, const char *rel, bool *holds, BkcError *err)
{
	BkcBuffer	text = {0};
	BkcConfLines lines = {0};
	bool		end = false;
	bool		ok;

	*holds = false;
	ok = bkc_restore_get(r, rel, &text, err);
	bkc_conf_lines_begin(&lines, bkc_buffer_str(&text), text.len);
	while (ok)
	{
		const BkcConfLine *line = &lines.line;
		size_t		blank = 0;

		ok = bkc_conf_lines_next(&lines, &end, err);
		if (!ok || end)
			break;
		while (blank < line->len && strchr(" \t\r", line->text[blank]) != NULL)
			blank++;
		if (line->is_setting)
			*holds = true;
		else if (blank < line->len && line->text[blank] != '#')
		{
			*holds = false;
			break;
		}
	}
	bkc_conf_lines_free(&lines);
	bkc_buffer_free(&text);
	return ok;
}

/* Mark hba_file and ident_file as reached. */
static bool
reach(BkcRestore *r, const char *path, BkcError *err)
{
	char	   *rel = path != NULL ? bkc_config_find(r, path, false, err) : NULL;

	if (path != NULL && rel == NULL && err->code != BKC_OK)
		return false;
	for (size_t i = 0; rel != NULL && i < r->nconfigs; i++)
	{
		if (strcmp(r->configs[i].rel, rel) == 0)
			r->configs[i].reached = true;
	}
	free(rel);
	return true;
}

static bool
reach_from_pgdata(BkcRestore *r, BkcError *err)
{
	BkcConfigWork work = {.r = r};
	bool		ok;

	if (!bkc_restore_exists(r, "postgresql.conf"))
		return true;
	ok = bkc_config_walk(&work, "postgresql.conf", err) &&
		reach(r, bkc_settings_get(&work.settings, "hba_file"), err) &&
		reach(r, bkc_settings_get(&work.settings, "ident_file"), err);
	bkc_settings_free(&work.settings);
	return ok;
}

/*
 * The config root holds the files that were outside PGDATA.  When PGDATA's
 * postgresql.conf leads to all of them that hold settings, it was the one in
 * effect; it may also be one that nobody read, as initdb left it.  The server
 * stores config_file first, and it can have any name.
 */
bool
bkc_config_main(BkcRestore *r, const char **rel, BkcError *err)
{
	*rel = NULL;
	if (!reach_from_pgdata(r, err))
		return false;
	for (size_t i = 0; i < r->nconfigs; i++)
	{
		const BkcConfigFile *file = &r->configs[i];
		bool		holds = false;

		if (file->reached || !holds_settings(r, file->rel, &holds, err))
		{
			if (!file->reached)
				return false;
			continue;
		}
		if (holds && (*rel == NULL || strcmp(base_name(file->rel), "postgresql.conf") == 0))
		{
			*rel = file->rel;
			if (strcmp(base_name(file->rel), "postgresql.conf") == 0)
				return true;
		}
	}
	if (*rel == NULL && bkc_restore_exists(r, "postgresql.conf"))
		*rel = "postgresql.conf";
	return true;
}

/* ---- postgresql.conf ---- */

static bool
put_kept(const BkcConfigWork *work, const char *const *names, size_t n, BkcBuffer *out,
		 BkcError *err)
{
	for (size_t i = 0; i < n; i++)
	{
		const char *value = bkc_settings_get(&work->settings, names[i]);

		if (value != NULL && !bkc_conf_put(out, names[i], value, err))
			return false;
	}
	return true;
}

static bool
put_own(const BkcConfigWork *work, BkcBuffer *out, BkcError *err)
{
	for (size_t i = 0; i < work->settings.count; i++)
	{
		const BkcSetting *setting = &work->settings.items[i];

		if (strncmp(setting->name, "pg_backupctl.", 13) == 0 &&
			!bkc_conf_put(out, setting->name, setting->value, err))
			return false;
	}
	return true;
}

/* Every folder of a unix_socket_directories value is there for us to write to. */
static bool
sockets_usable(const char *value)
{
	char		path[256];
	bool		any = false;

	while (*value != '\0')
	{
		size_t		len = strcspn(value, ",");
		size_t		from = strspn(value, " \t\"");
		size_t		to = len;

		while (to > from && strchr(" \t\"", value[to - 1]) != NULL)
			to--;
		if (from >= len || to - from >= sizeof(path))
			return false;
		memcpy(path, value + from, to - from);
		path[to - from] = '\0';
		if (path[0] != '@' && access(path, W_OK | X_OK) != 0)
			return false;
		any = true;
		value += len + (value[len] == ',');
	}
	return any;
}

/*
 * The socket goes where the server's user may write: where it was, else the
 * folder most packages are built with, else /tmp.
 */
static bool
put_sockets(const BkcConfigWork *work, BkcBuffer *out, BkcError *err)
{
	const char *value = bkc_settings_get(&work->settings, "unix_socket_directories");

	if (value == NULL || !sockets_usable(value))
		value = sockets_usable("/var/run/postgresql") ? NULL : "/tmp";
	return value == NULL || bkc_conf_put(out, "unix_socket_directories", value, err);
}

bool
bkc_config_make(BkcConfigWork *work, const char *from, BkcError *err)
{
	BkcBuffer	out = {0};
	bool		ok;

	ok = bkc_buffer_printf(&out, err,
						   "# Written by pg_backupctl restore: the configuration was not kept in the data directory.\n"
						   "# These settings were taken over%s%s.\n",
						   from != NULL ? " from " : "",
						   from != NULL ? from : "; none were found in the backup") &&
		put_kept(work, kept, LENGTH(kept), &out, err) &&
		put_own(work, &out, err) &&
		(!work->r->take_over ||
		 put_kept(work, kept_by_successor, LENGTH(kept_by_successor), &out, err)) &&
		put_sockets(work, &out, err) &&
		bkc_restore_put(work->r, "postgresql.conf", &out, err);
	bkc_buffer_free(&out);
	return ok;
}

/* ---- pg_hba.conf, pg_ident.conf ---- */

/*
 * The file in effect gets the standard name.  setting is the value of hba_file
 * or ident_file at the source, NULL when it was not set.
 */
static bool
make_auth_file(BkcConfigWork *work, const char *name, const char *setting, const char *fallback,
			   BkcError *err)
{
	BkcRestore *r = work->r;
	BkcBuffer	content = {0};
	char	   *found = NULL;
	const char *rel = NULL;
	bool		ok = true;

	if (setting == NULL && bkc_restore_exists(r, name))
		return true;
	if (setting != NULL && setting[0] == '/')
	{
		rel = found = bkc_config_find(r, setting, false, err);
		ok = found != NULL || err->code == BKC_OK;
	}
	else if (setting != NULL && bkc_path_is_safe(setting) && bkc_restore_exists(r, setting))
		rel = setting;
	if (rel == NULL)
	{
		const BkcConfigFile *file = find_by_name(r, name);

		rel = file != NULL ? file->rel : NULL;
	}
	if (ok && (rel == NULL || strcmp(rel, name) != 0))
		ok = (rel != NULL ? bkc_restore_get(r, rel, &content, err) :
			  bkc_buffer_append_str(&content, fallback, err)) &&
			bkc_restore_put(r, name, &content, err);
	bkc_buffer_free(&content);
	free(found);
	return ok;
}

bool
bkc_config_make_auth(BkcConfigWork *work, BkcError *err)
{
	return make_auth_file(work, "pg_hba.conf", bkc_settings_get(&work->settings, "hba_file"),
						  default_hba, err) &&
		make_auth_file(work, "pg_ident.conf", bkc_settings_get(&work->settings, "ident_file"),
					   default_ident, err);
}
