/*
 * ship.c
 *		See ship.h.
 */
#include "pgcompat.h"

#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/host.h"
#include "errors.h"
#include "format/pgfiles.h"
#include "keys.h"
#include "knowncluster.h"
#include "ownership.h"
#include "pipe/walobj.h"
#include "settings.h"
#include "ship.h"
#include "utils/timestamp.h"
#include "waldisk.h"
#include "walshared.h"

/* What this process keeps open; parallel to the list of repositories. */
typedef struct Line
{
	BkcStore   *store;
	bool		sent;			/* a file has been stored: what follows is new, too */
} Line;

static char *list_text = NULL;
static BkcRepoList list;
static int	list_repos[BKC_SET_REPOS];
static Line lines[BKC_SET_REPOS];

/* One for all repositories: it holds a segment, and they are served one after the other. */
static BkcWalWriter *writer = NULL;
static BkcCodec writer_codec;
static int	writer_level;

static void
line_close(Line *line)
{
	bkc_store_close(line->store);
	memset(line, 0, sizeof(*line));
}

void
bkc_ship_close(void)
{
	bkc_walwriter_close(&writer);
	for (int i = 0; i < BKC_SET_REPOS; i++)
		line_close(&lines[i]);
	bkc_repolist_free(&list);
	free(list_text);
	list_text = NULL;
}

/* Parse the setting anew; the lines of the old one are closed. */
static bool
reload_list(BkcError *err)
{
	const char *text = bkc_set_repositories ? bkc_set_repositories : "";

	bkc_ship_close();
	if (!bkc_repolist_parse(text, &list, err))
		return false;
	if (list.count == 0)
		return bkc_error_set(err, BKC_ERR_STATE, "no repository is defined") ||
			bkc_error_hint(err, "Set pg_backupctl.repositories, for example to 'main=file:///var/backups/pg', and reload the configuration.");
	for (size_t i = 0; i < list.count; i++)
	{
		list_repos[i] = bkc_wal_repo(&list.items[i]);
		if (list_repos[i] < 0)
			return bkc_error_set(err, BKC_ERR_STATE, "more than %d repositories were defined since the server's start",
								 BKC_MAX_REPOS) ||
				bkc_error_hint(err, "Restart the server.");
	}
	list_text = strdup(text);
	return list_text != NULL || bkc_error_oom(err);
}

const BkcRepoList *
bkc_ship_repositories(int repos[], BkcError *err)
{
	const char *text = bkc_set_repositories ? bkc_set_repositories : "";

	if ((list_text == NULL || strcmp(list_text, text) != 0) && !reload_list(err))
	{
		bkc_ship_close();
		return NULL;
	}
	memcpy(repos, list_repos, sizeof(list_repos));
	return &list;
}

static Line *
line_of(const BkcRepoDef *def)
{
	return &lines[def - list.items];
}

bool
bkc_ship_store(const BkcRepoDef *def, BkcStore **store, BkcError *err)
{
	Line	   *line = line_of(def);
	bool		ok;

	*store = NULL;
	if (line->store != NULL && bkc_repo_keys_changed(def, line->store))
		line_close(line);
	if (line->store == NULL)
	{
		if (!bkc_repo_open(def, &line->store, err))
			return false;
		ok = bkc_known_cluster(def, line->store, err);
	}
	else
		ok = true;
	ok = ok && bkc_ownership_check(def, line->store, err);
	if (!ok)
	{
		line_close(line);
		return false;
	}
	*store = line->store;
	return true;
}

/* The writer, with the codec that is set now, on that store. */
static bool
use_writer(const BkcRepoDef *def, BkcStore *store, BkcError *err)
{
	BkcCodec	codec;
	int			level;

	bkc_settings_codec(def, NULL, &codec, &level);
	if (writer != NULL && writer_codec == codec && writer_level == level)
	{
		bkc_walwriter_use(writer, store);
		return true;
	}
	bkc_walwriter_close(&writer);
	writer_codec = codec;
	writer_level = level;
	return bkc_walwriter_new(store, GetSystemIdentifier(), codec, level, &writer, err);
}

static bool
check_content(const char *file, const char *path, BkcError *err)
{
	if (bkc_wal_is_segment(file) || bkc_wal_is_partial(file))
		return bkc_waldisk_check(file, path, err);
	return true;
}

static bool
send_file(const BkcRepoDef *def, const char *file, const char *path, bool ask_first,
		  uint64 *stored, BkcError *err)
{
	Line	   *line = line_of(def);
	BkcWalFile	wal = {
		.file = file,
		.path = path,
		.segment_size = (uint32) wal_segment_size,
		.time = bkc_waldisk_ready_time(file),
		.ask_first = ask_first || !line->sent
	};
	BkcWalOutcome outcome;
	BkcStore   *store;

	if (!check_content(file, path, err) ||
		!bkc_ship_store(def, &store, err) ||
		!use_writer(def, store, err) ||
		!bkc_walwriter_put(writer, &wal, &outcome, stored, err))
		return false;
	line->sent = true;
	return true;
}

static uint64
file_size(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (uint64) st.st_size : 0;
}

bool
bkc_ship_file(const BkcRepoDef *def, int repo, const char *file, const char *path,
			  bool ask_first, bool (*time_is_up) (void), BkcError *err)
{
	TimestampTz began = GetCurrentTimestamp();
	uint64		stored = 0;

	if (send_file(def, file, path, ask_first, &stored, err))
	{
		bkc_wal_note_sent(repo, file, file_size(path), stored,
						  (double) (GetCurrentTimestamp() - began) / USECS_PER_SEC);
		return true;
	}
	if (err->code == BKC_ERR_CANCELLED)
	{
		if (!time_is_up())
			return false;		/* this process is to end; nobody's failure */
		bkc_error_set(err, BKC_ERR_TIMEOUT, "time is up for sending WAL file \"%s\"", file);
	}
	bkc_error_context(err, "repository \"%s\"", def->name);
	line_close(line_of(def));
	bkc_wal_note_failure(repo, file, err);
	bkc_ereport(WARNING, err);
	return false;
}
