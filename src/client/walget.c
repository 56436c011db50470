/*
 * walget.c
 *		pg_backupctl wal-get: the restore_command of restored clusters.
 *
 * Serves the WAL that is stored inside backups.  The server takes every exit
 * status from 1 to 125 for "there is no such file" and ends recovery there,
 * so 1 is given only after a repository that answered and a manifest that
 * was read to its end without finding the file; everything else is 254.  A
 * standby asks again by itself, while 254 would stop it, so it gets 1.
 */
#include "main.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "format/pgfiles.h"
#include "pipe/manifestio.h"
#include "pipe/stages.h"

#include "host.h"
#include "report.h"
#include "session.h"

#define TEMP_SUFFIX ".pg_backupctl"

/* A backup of which only the wanted file and the packs are kept. */
typedef struct WalSearch
{
	const char *wanted;
	BkcBackup	backup;			/* entries: the file, once found */
	BkcEntry	entry;
	bool		found;
} WalSearch;

static bool
take_header(void *arg, const BkcManifestHeader *header, BkcError *err)
{
	WalSearch  *search = arg;

	/* the numbers; strings belong to the scan */
	memcpy(search->backup.header.label, header->label, sizeof(header->label));
	search->backup.header.system_identifier = header->system_identifier;
	search->backup.header.pg_version_num = header->pg_version_num;
	search->backup.header.wal_segment_size = header->wal_segment_size;
	search->backup.header.timeline = header->timeline;
	return true;
}

static bool
take_entry(void *arg, const BkcEntry *entry, BkcError *err)
{
	WalSearch  *search = arg;

	if (entry->root != BKC_ROOT_WAL || entry->type != BKC_ENTRY_FILE ||
		strcmp(entry->path, search->wanted) != 0 || search->found)
		return true;
	search->entry = *entry;
	search->entry.link_target = NULL;
	search->entry.bad_blocks = NULL;
	search->entry.nbad_blocks = 0;
	search->entry.path = strdup(entry->path);
	search->entry.pieces = NULL;
	if (entry->npieces > 0)
	{
		search->entry.pieces = calloc(entry->npieces, sizeof(BkcPiece));
		if (search->entry.pieces != NULL)
			memcpy(search->entry.pieces, entry->pieces, entry->npieces * sizeof(BkcPiece));
	}
	search->found = true;
	return (search->entry.path != NULL && (entry->npieces == 0 || search->entry.pieces != NULL)) ||
		bkc_error_oom(err);
}

static bool
take_pack(void *arg, const BkcPackInfo *pack, BkcError *err)
{
	BkcBackup  *backup = &((WalSearch *) arg)->backup;
	BkcPackInfo *packs = reallocarray(backup->packs, backup->npacks + 1, sizeof(BkcPackInfo));

	if (packs == NULL)
		return bkc_error_oom(err);
	backup->packs = packs;
	packs[backup->npacks++] = *pack;
	return true;
}

static void
search_free(WalSearch *search)
{
	bkc_entry_free(&search->entry);
	free(search->backup.packs);
	memset(search, 0, sizeof(*search));
}

/* The order that bkc_backup_find_pack() wants; a manifest may list them in any. */
static int
compare_packs(const void *a, const void *b)
{
	const BkcPackInfo *x = a;
	const BkcPackInfo *y = b;

	if (x->worker != y->worker)
		return x->worker < y->worker ? -1 : 1;
	return (x->number > y->number) - (x->number < y->number);
}

/* Looks into one backup; true means that its manifest was read to the end. */
static bool
search_backup(BkcSession *session, const char *label, WalSearch *search, BkcError *err)
{
	BkcManifestScan scan = {
		.header = take_header,
		.entry = take_entry,
		.pack = take_pack,
		.arg = search
	};

	if (!bkc_manifest_scan(session->store, session->sysid, label, &scan,
						   &search->backup.totals, err))
		return false;
	if (!search->found)
		return true;
	qsort(search->backup.packs, search->backup.npacks, sizeof(BkcPackInfo), compare_packs);
	search->backup.entries = &search->entry;
	search->backup.nentries = 1;
	if (bkc_wal_is_segment(search->wanted) &&
		search->entry.size != search->backup.header.wal_segment_size)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "WAL segment %s in backup %s has %" PRIu64 " bytes instead of %u",
							 search->wanted, label, search->entry.size,
							 search->backup.header.wal_segment_size);
	return true;
}

/* Unpack into a file under a temporary name, which is there only on success. */
static bool
unpack(BkcSession *session, const WalSearch *search, const char *temp, BkcError *err)
{
	BkcUnpacker *unpacker = NULL;
	BkcStage   *sink;
	bool		ok;
	int			fd;

	if (unlink(temp) != 0 && errno != ENOENT)
		return bkc_error_os(err, errno, "could not remove file \"%s\"", temp);
	fd = bkc_file_create(temp, 0600, err);
	if (fd < 0)
		return false;
	sink = bkc_stage_file_new(err);
	if (sink != NULL)
		bkc_stage_file_target(sink, fd, temp);
	ok = sink != NULL &&
		bkc_unpacker_new(session->store, &search->backup, sink, NULL, NULL, &unpacker, err) &&
		bkc_unpack_file(unpacker, &search->entry, err) &&
		bkc_file_fsync(fd, temp, err);
	bkc_unpacker_close(unpacker);
	if (!ok)
		close(fd);
	else
		ok = bkc_file_close(fd, temp, err);
	if (!ok)
		(void) unlink(temp);
	return ok;
}

/*
 * The server looks at the final name only after we have ended well, and
 * removes it before it asks; what is there is complete or not there.
 */
static bool
deliver(BkcSession *session, const WalSearch *search, const char *path, BkcError *err)
{
	size_t		len = strlen(path);
	char	   *temp = malloc(len + sizeof(TEMP_SUFFIX));
	bool		ok;

	if (temp == NULL)
		return bkc_error_oom(err);
	memcpy(temp, path, len);
	memcpy(temp + len, TEMP_SUFFIX, sizeof(TEMP_SUFFIX));
	ok = unpack(session, search, temp, err);
	if (ok && rename(temp, path) != 0)
	{
		bkc_error_os(err, errno, "could not rename \"%s\" to \"%s\"", temp, path);
		(void) unlink(temp);
		ok = false;
	}
	free(temp);
	return ok;
}

static bool
get_from(BkcSession *session, const char *label, const char *wanted, const char *path,
		 bool *found, BkcError *err)
{
	WalSearch	search = {.wanted = wanted};
	bool		ok;

	ok = search_backup(session, label, &search, err);
	*found = ok && search.found;
	if (*found)
		ok = deliver(session, &search, path, err);
	search_free(&search);
	return ok;
}

/* All complete backups, newest first. */
static bool
get_from_any(BkcSession *session, const char *wanted, const char *path, bool *found, BkcError *err)
{
	BkcBackupRef *list = NULL;
	size_t		n = 0;
	bool		asked = false;
	bool		ok;

	ok = bkc_repo_backups(session->store, session->sysid, &list, &n, err);
	for (size_t i = n; ok && !*found && i > 0; i--)
	{
		if (!list[i - 1].complete)
			continue;
		ok = get_from(session, list[i - 1].label, wanted, path, found, err);
		asked = true;
	}
	free(list);
	if (ok && !asked)
		ok = bkc_error_set(err, BKC_ERR_STATE, "cluster %" PRIu64 " has no complete backup in repository \"%s\"",
						   session->sysid, session->store->location);
	return ok;
}

static bool
wal_get(const BkcOptions *options, BkcSession *session, bool *found, BkcError *err)
{
	const char *label = bkc_option(options, "backup");
	const char *wanted = bkc_operand(options, 0);
	const char *path = bkc_operand(options, 1);

	*found = false;
	if (label != NULL && !bkc_label_valid(label))
		return bkc_error_set(err, BKC_ERR_INVALID, "--backup \"%s\" is not a label", label);
	if (!bkc_session_open(session, options, err) ||
		!bkc_session_cluster(session, options, err))
		return false;

	/*
	 * Which timelines are taken already is asked of all backups, so that two
	 * successors of one backup do not choose the same one.
	 */
	if (label != NULL && bkc_wal_is_segment(wanted))
		return get_from(session, label, wanted, path, found, err);
	return get_from_any(session, wanted, path, found, err);
}

/*
 * The server that stops sends us its signal too, and tells "stopped" from
 * "failed" by how we end.
 */
static void
end_by_signal(int signo)
{
	signal(signo, SIG_DFL);
	raise(signo);
}

static int
run_wal_get(const BkcOptions *options)
{
	const char *wanted = bkc_operand(options, 0);
	BkcSession	session = {0};
	BkcError	err;
	struct stat st;
	bool		found;
	bool		ok;

	if (!bkc_wal_is_segment(wanted) && !bkc_wal_is_history(wanted))
	{
		/* backup history files, partial segments: nothing of the kind is stored */
		if (strlen(wanted) > 24 && strspn(wanted, "0123456789ABCDEF") == 24 && wanted[24] == '.')
			return BKC_EXIT_ABSENT;
		bkc_error_set(&err, BKC_ERR_INVALID, "\"%s\" is no name of a WAL file", wanted);
		bkc_error_hint(&err, "restore_command = 'pg_backupctl wal-get --repo URL --cluster ID %%f %%p'");
		bkc_report_error(&err, BKC_AT_COMMAND_LINE, false);
		return BKC_EXIT_COULD_NOT_ASK;
	}

	ok = wal_get(options, &session, &found, &err);
	bkc_session_close(&session);
	if (ok)
		return found ? BKC_EXIT_OK : BKC_EXIT_ABSENT;
	if (bkc_client_host_signal() != 0)
		end_by_signal(bkc_client_host_signal());
	bkc_error_context(&err, "%s", wanted);
	bkc_report_error(&err, BKC_AT_REPOSITORY, false);
	return stat("standby.signal", &st) == 0 ? BKC_EXIT_ABSENT : BKC_EXIT_COULD_NOT_ASK;
}

static const BkcOptionDef wal_get_options[] = {
	BKC_OPTION_REPO,
	BKC_OPTION_CLUSTER,
	{"backup", 0, "LABEL", false, "look into this backup only (default: all, newest first)"},
	BKC_OPTION_HELP,
	BKC_OPTION_END
};

const BkcCommand bkc_command_wal_get = {
	.name = "wal-get",
	.summary = "fetch one WAL file; meant for restore_command",
	.operands = "%f %p",
	.noperands = 2,
	.options = wal_get_options,
	.notes = "restore_command = 'pg_backupctl wal-get --repo URL --cluster ID %f %p'\n"
	"Exit status 0: the file is at %p.  1: the repository was asked and has no such file.\n"
	"254: it could not be asked, so that recovery stops instead of ending too early\n"
	"(1 in a standby, which asks again).\n",
	.run = run_wal_get
};
