/*
 * restore_confmake.c
 *		A postgresql.conf where the data directory's own was not the one in effect.
 *
 * Some systems (Debian) keep the configuration outside PGDATA.  Their files
 * are restored below BKC_CONFIG_DIR for people to look at; what a server is
 * started with holds only settings that mean the same on any machine.
 */
#include "restore_config.h"

#include <string.h>
#include <unistd.h>

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
		bkc_config_replace(work->r, "postgresql.conf", &out, err);
	bkc_buffer_free(&out);
	return ok;
}
