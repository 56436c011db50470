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
#include "seen.h"
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

/*
 * Where a file takes longer than that to be compressed, waiting for replies counts for nothing
 * beside it; and who is at two files is at each for longer, which must not look like trouble
 * (walqueue.c).
 */
#define QUICK_SECONDS 1.0

/* A file that is under way. */
typedef struct Shipment
{
	const BkcRepoDef *def;
	int			repo;
	char		file[BKC_WAL_FILE_MAX];
	uint64		plain;
	double		seconds;		/* that this process has given to it */
	BkcWalPut  *put;			/* NULL: error says why not */
	BkcError	error;
} Shipment;

/* In the order in which they were begun; all of one repository. */
#define SHIPMENTS 2
static Shipment shipments[SHIPMENTS];
static int		nshipments = 0;

/* One for all repositories: it holds a segment, and they are served one after the other. */
static BkcWalWriter *writer = NULL;
static BkcCodec writer_codec;
static int	writer_level;

void
bkc_ship_give_up(void)
{
	for (int i = 0; i < nshipments; i++)
		bkc_walwriter_give_up(writer, &shipments[i].put);
	nshipments = 0;
}

/* Nothing may be under way there. */
static void
line_close(Line *line)
{
	bkc_store_close(line->store);
	memset(line, 0, sizeof(*line));
}

void
bkc_ship_close(void)
{
	bkc_ship_give_up();
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

/*
 * An open store of a repository that holds this cluster and that this server may write to.  After
 * a failure the line is to be closed.
 */
static bool
line_ready(const BkcRepoDef *def, Line *line, BkcError *err)
{
	if (nshipments == 0 && line->store != NULL && bkc_repo_keys_changed(def, line->store))
		line_close(line);
	if (line->store == NULL &&
		(!bkc_repo_open(def, &line->store, err) || !bkc_known_cluster(def, line->store, err)))
		return false;
	return bkc_ownership_check(def, line->store, err);
}

/* The writer, with the codec that is set now, on that store. */
static bool
use_writer(const BkcRepoDef *def, BkcStore *store, BkcError *err)
{
	BkcCodec	codec;
	int			level;

	if (nshipments > 0)
		return true;			/* it has all of that */
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
begin_file(const BkcRepoDef *def, const char *file, const char *path, bool ask_first,
		   BkcWalPut **put, BkcError *err)
{
	Line	   *line = line_of(def);
	BkcWalFile	wal = {.file = file,
					   .path = path,
					   .segment_size = (uint32) wal_segment_size,
					   .time = bkc_waldisk_ready_time(file),
					   .ask_first = ask_first || !line->sent};

	return check_content(file, path, err) && line_ready(def, line, err) &&
		   use_writer(def, line->store, err) && bkc_walwriter_begin(writer, &wal, put, err);
}

static uint64
file_size(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (uint64) st.st_size : 0;
}

static double
seconds_since(TimestampTz began)
{
	return (double) (GetCurrentTimestamp() - began) / USECS_PER_SEC;
}

void
bkc_ship_begin(const BkcRepoDef *def, int repo, const char *file, const char *path, bool ask_first)
{
	TimestampTz began = GetCurrentTimestamp();
	Shipment   *s = &shipments[nshipments];

	Assert(nshipments < SHIPMENTS);
	memset(s, 0, sizeof(*s));
	s->def = def;
	s->repo = repo;
	strlcpy(s->file, file, sizeof(s->file));
	s->plain = file_size(path);
	(void) begin_file(def, file, path, ask_first, &s->put, &s->error);
	nshipments++;
	s->seconds = seconds_since(began);
}

bool
bkc_ship_has_room(const BkcRepoDef *def)
{
	const Shipment *s = &shipments[0];

	return nshipments == 1 && s->def == def && s->put != NULL && bkc_walwriter_under_way(s->put) &&
		   s->seconds < QUICK_SECONDS && !bkc_repo_keys_changed(def, line_of(def)->store);
}

static bool
finish_first(uint64 *stored, BkcError *err)
{
	Shipment   *s = &shipments[0];
	BkcWalOutcome outcome;

	if (s->put == NULL)
	{
		*err = s->error;
		return false;
	}
	if (!bkc_walwriter_finish(writer, &s->put, &outcome, stored, err))
		return false;
	line_of(s->def)->sent = true;
	return true;
}

bool
bkc_ship_finish(bool (*time_is_up)(void), BkcError *err)
{
	TimestampTz began = GetCurrentTimestamp();
	const BkcRepoDef *def = shipments[0].def;
	int			repo = shipments[0].repo;
	char		file[BKC_WAL_FILE_MAX];
	uint64		stored = 0;

	Assert(nshipments > 0);
	strlcpy(file, shipments[0].file, sizeof(file));
	if (finish_first(&stored, err))
	{
		bkc_wal_note_sent(repo, file, shipments[0].plain, stored,
						  shipments[0].seconds + seconds_since(began));
		bkc_seen_publish(line_of(def)->store);
		nshipments--;
		memmove(&shipments[0], &shipments[1], nshipments * sizeof(shipments[0]));
		return true;
	}
	bkc_ship_give_up();
	line_close(line_of(def));
	if (err->code == BKC_ERR_CANCELLED)
	{
		if (!time_is_up())
			return false;		/* this process is to end; nobody's failure */
		bkc_error_set(err, BKC_ERR_TIMEOUT, "time is up for sending WAL file \"%s\"", file);
	}
	if (err->code == BKC_ERR_KEY)
		bkc_seen_key(def, err, false);
	bkc_error_context(err, "repository \"%s\"", def->name);
	bkc_wal_note_failure(repo, file, err);
	bkc_ereport(WARNING, err);
	return false;
}

bool
bkc_ship_file(const BkcRepoDef *def, int repo, const char *file, const char *path, bool ask_first,
			  bool (*time_is_up)(void), BkcError *err)
{
	Assert(nshipments == 0);
	bkc_ship_begin(def, repo, file, path, ask_first);
	return bkc_ship_finish(time_is_up, err);
}
