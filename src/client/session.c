/*
 * session.c
 *		An open repository, and which cluster and backup in it are meant.
 */
#include "session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#include "keys.h"

bool
bkc_session_open(BkcSession *session, const BkcOptions *options, BkcError *err)
{
	memset(session, 0, sizeof(*session));
	session->repo = bkc_option(options, "repo");
	session->place = BKC_AT_COMMAND_LINE;
	if (!bkc_url_parse(session->repo, &session->url, err) ||
		!bkc_store_check_url(&session->url, err))
		return bkc_error_context(err, "--repo");
	session->place = BKC_AT_REPOSITORY;
	session->options = options;
	return bkc_store_open(&session->url, &session->store, err) &&
		bkc_keys_attach(options, &session->url, session->store, err);
}

void
bkc_session_close(BkcSession *session)
{
	bkc_store_close(session->store);
	session->store = NULL;
	bkc_url_free(&session->url);
}

bool
bkc_session_another_store(const BkcSession *session, BkcStore **store, BkcError *err)
{
	if (!bkc_store_open(&session->url, store, err))
		return false;
	if (bkc_keys_attach(session->options, &session->url, *store, err))
		return true;
	bkc_store_close(*store);
	*store = NULL;
	return false;
}

/* "7435718529102938471 (prod), ..." for a message; cut where it gets long. */
static void
describe_clusters(const BkcClusterInfo *list, size_t n, char *out, size_t outlen)
{
	size_t		len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < n && len < outlen; i++)
	{
		int			added = snprintf(out + len, outlen - len, "%s%" PRIu64 "%s%s%s",
									 i > 0 ? ", " : "", list[i].system_identifier,
									 list[i].name[0] != '\0' ? " (" : "", list[i].name,
									 list[i].name[0] != '\0' ? ")" : "");

		if (added < 0)
			return;
		len += (size_t) added;
	}
}

bool
bkc_session_no_cluster(const BkcSession *session, BkcError *err)
{
	bkc_error_set(err, BKC_ERR_NOT_FOUND, "repository \"%s\" holds no cluster",
				  session->store->location);
	return bkc_error_hint(err, "Nothing has been backed up there yet, or the URL is wrong, or its file system is not mounted.");
}

static bool
choose_cluster(BkcSession *session, const char *wanted, uint64_t id,
			   const BkcClusterInfo *list, size_t n, BkcError *err)
{
	char		names[512];
	const BkcClusterInfo *found = NULL;

	describe_clusters(list, n, names, sizeof(names));
	if (n == 0)
		return bkc_session_no_cluster(session, err);
	if (wanted == NULL && n > 1)
	{
		session->place = BKC_AT_COMMAND_LINE;
		bkc_error_set(err, BKC_ERR_INVALID, "repository \"%s\" holds %zu clusters: say which one",
					  session->store->location, n);
		bkc_error_detail(err, "Clusters: %s.", names);
		return bkc_error_hint(err, "Add --cluster and one of these numbers.");
	}
	for (size_t i = 0; i < n; i++)
	{
		if (wanted == NULL || list[i].system_identifier == id)
			found = &list[i];
	}
	if (found == NULL)
	{
		bkc_error_set(err, BKC_ERR_NOT_FOUND, "cluster %s is not in repository \"%s\"",
					  wanted, session->store->location);
		return bkc_error_detail(err, "Clusters: %s.", names);
	}
	session->sysid = found->system_identifier;
	snprintf(session->cluster_name, sizeof(session->cluster_name), "%s", found->name);
	return true;
}

bool
bkc_session_cluster(BkcSession *session, const BkcOptions *options, BkcError *err)
{
	const char *wanted = bkc_option(options, "cluster");
	BkcClusterInfo *list = NULL;
	size_t		n = 0;
	uint64_t	id = 0;
	bool		ok;

	if (wanted != NULL && (!bkc_parse_u64(wanted, UINT64_MAX, &id) || id == 0))
	{
		session->place = BKC_AT_COMMAND_LINE;
		bkc_error_set(err, BKC_ERR_INVALID, "--cluster \"%s\" is not a system identifier", wanted);
		return bkc_error_hint(err, "\"pg_backupctl list\" shows the clusters of a repository.");
	}
	session->place = BKC_AT_REPOSITORY;
	ok = bkc_repo_clusters(session->store, &list, &n, err) &&
		choose_cluster(session, wanted, id, list, n, err);
	bkc_repo_clusters_free(list, n);
	return ok;
}

static bool
no_backup(const BkcSession *session, const char *wanted, const BkcBackupRef *list, size_t n,
		  BkcError *err)
{
	for (size_t i = 0; i < n; i++)
	{
		if (wanted != NULL && strcmp(list[i].label, wanted) == 0)
		{
			bkc_error_set(err, BKC_ERR_NOT_FOUND, "backup %s is unfinished", wanted);
			return bkc_error_hint(err, "It is still running, or it failed; \"pg_backupctl list\" shows the others.");
		}
	}
	if (wanted == NULL)
		return bkc_error_set(err, BKC_ERR_NOT_FOUND,
							 "cluster %" PRIu64 " has no complete backup in repository \"%s\"",
							 session->sysid, session->store->location);
	bkc_error_set(err, BKC_ERR_NOT_FOUND,
				  "backup %s of cluster %" PRIu64 " is not in repository \"%s\"",
				  wanted, session->sysid, session->store->location);
	return bkc_error_hint(err, "\"pg_backupctl list\" shows the backups that are there.");
}

bool
bkc_session_backup(BkcSession *session, const char *wanted, char label[BKC_LABEL_MAX],
				   BkcError *err)
{
	BkcBackupRef *list = NULL;
	size_t		n = 0;
	bool		ok = false;

	if (wanted != NULL && strcmp(wanted, "latest") == 0)
		wanted = NULL;
	if (wanted != NULL && !bkc_label_valid(wanted))
	{
		session->place = BKC_AT_COMMAND_LINE;
		bkc_error_set(err, BKC_ERR_INVALID, "--backup \"%s\" is neither a label nor \"latest\"",
					  wanted);
		return bkc_error_hint(err, "Labels look like 20261120T120301Z-full-7f3a.");
	}
	session->place = BKC_AT_REPOSITORY;
	if (wanted != NULL &&
		bkc_repo_backup_complete(session->store, session->sysid, wanted, &ok, err) && ok)
	{
		/* named, there: whatever else lies in the repository is of no concern */
		memcpy(label, wanted, strlen(wanted) + 1);
		return true;
	}
	if (!bkc_repo_backups(session->store, session->sysid, &list, &n, err))
		return false;
	for (size_t i = n; i > 0 && !ok; i--)
	{
		if (list[i - 1].complete && (wanted == NULL || strcmp(list[i - 1].label, wanted) == 0))
		{
			memcpy(label, list[i - 1].label, BKC_LABEL_MAX);
			ok = true;
		}
	}
	if (!ok)
		no_backup(session, wanted, list, n, err);
	free(list);
	return ok;
}
