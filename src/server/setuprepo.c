/*
 * setuprepo.c
 *		backup_check(): can a repository be used, and by whom (setupcheck.h)?
 */
#include "pgcompat.h"

#include <stdlib.h>

#include "access/xlog.h"
#include "base/host.h"
#include "base/text.h"
#include "format/names.h"
#include "keys.h"
#include "miscadmin.h"
#include "pipe/keycopies.h"
#include "pipe/object.h"
#include "pipe/owner.h"
#include "seen.h"
#include "settings.h"
#include "setupcheck.h"
#include "spool.h"
#include "utils/timestamp.h"

#define LITTLE_SPACE	(UINT64CONST(1) << 30)

/*
 * The probe's name must not be that of a backup at work, nor of another
 * session's check.
 */
static bool
check_reachable(BkcSetupCheck *c, const char *owner)
{
	BkcError	err;

	if (!bkc_repo_open(c->repo, &c->store, &err) ||
		!bkc_store_probe(c->store, psprintf("%s-check-%d", owner, MyProcPid), &err))
	{
		bkc_finding_error(c, "repository", &err);
		return false;
	}
	bkc_finding(c, "repository", BKC_FINDING_OK,
				psprintf("%s can be written, read, listed and removed from", c->store->location), NULL);
	return true;
}

/* Said only where somebody has thought of it. */
static void
check_encryption(BkcSetupCheck *c)
{
	uint8_t		id[BKC_WRAP_ID_SIZE];
	char		hex[BKC_WRAP_ID_HEX];
	bool		seals;
	BkcError	err;

	if (!bkc_keyring_seals(c->store, &seals, &err))
		bkc_finding_error(c, "encryption", &err);
	else if (bkc_keyring_nkeys(c->store->keys) == 0)
		return;
	else if (!seals)
		bkc_finding(c, "encryption", BKC_FINDING_WARNING, "there is a key, but what is written is not sealed",
					"Set pg_backupctl.encryption to on or required.");
	else if (!bkc_keyring_wrapping_id(c->store->keys, 0, GetSystemIdentifier(), id, &err))
		bkc_finding_error(c, "encryption", &err);
	else
	{
		bkc_hex_encode(id, sizeof(id), hex);
		bkc_finding(c, "encryption", BKC_FINDING_OK, psprintf("what is written is sealed with key %s", hex), NULL);
	}
}

/* Do the keys that are given open what is there? */
static void
check_key(BkcSetupCheck *c)
{
	uint64_t	keys;
	BkcError	err;

	if (!bkc_keys_open(c->store, GetSystemIdentifier(), &keys, &err))
	{
		if (err.code == BKC_ERR_KEY)
			bkc_seen_key(c->repo, &err, false);
		bkc_finding_error(c, "key", &err);
		return;
	}
	bkc_seen_key(c->repo, NULL, false);
	if (keys > 0)
		bkc_finding(c, "key", BKC_FINDING_OK,
					psprintf("the key is there and opens all %llu data keys of this cluster",
							 (unsigned long long) keys), NULL);
}

static void
check_cluster(BkcSetupCheck *c)
{
	uint64		sysid = GetSystemIdentifier();
	char		name[BKC_NAME_MAX];
	BkcBuffer	text = {0};
	BkcClusterDoc doc;
	BkcError	err;
	bool		ok;

	ok = bkc_name_cluster(sysid, name, &err) &&
		bkc_document_get(c->store, name, BKC_KIND_CLUSTER, &text, &err) &&
		bkc_clusterdoc_decode(bkc_buffer_str(&text), text.len, name, &doc, &err);
	bkc_buffer_free(&text);
	if (!ok && err.code == BKC_ERR_NOT_FOUND)
		bkc_finding(c, "cluster", BKC_FINDING_WARNING,
					psprintf("the repository holds nothing of this cluster (%llu) yet", (unsigned long long) sysid),
					"Take a backup: SELECT backup_now('full').  If there were backups, check that the repository is mounted.");
	else if (!ok)
		bkc_finding_error(c, "cluster", &err);
	else
		bkc_finding(c, "cluster", BKC_FINDING_OK,
					psprintf("the repository knows this cluster (%llu) since %s",
							 (unsigned long long) sysid, bkc_finding_time(doc.created)), NULL);
}

/* Only looks; the archiver's and the backups' own check may claim what is nobody's. */
static void
check_owner(BkcSetupCheck *c, const char *owner)
{
	const char *advice = psprintf("If this server is to write there instead: SELECT backup_take_over('%s').",
								  c->repo->name);
	BkcOwnerDoc doc;
	BkcError	err;
	bool		found;

	if (!bkc_owner_current(c->store, GetSystemIdentifier(), &doc, &found, &err))
		bkc_finding_error(c, "owner", &err);
	else if (!found)
		bkc_finding(c, "owner", BKC_FINDING_OK, "nobody has claimed the repository yet", NULL);
	else if (strcmp(doc.owner, owner) == 0)
	{
		c->ours = true;
		bkc_finding(c, "owner", BKC_FINDING_OK, psprintf("this data directory is the owner since %s", bkc_finding_time(doc.time)), NULL);
	}
	else
	{
		const char *text = psprintf("the owner is \"%s\" on host \"%s\", since %s",
									doc.data_directory, doc.host, bkc_finding_time(doc.time));

		if (RecoveryInProgress())
			bkc_finding(c, "owner", BKC_FINDING_OK, text, NULL);
		else
			bkc_finding(c, "owner", BKC_FINDING_FAILED, text, advice);
	}
}

static void
check_space(BkcSetupCheck *c)
{
	uint64_t	bytes;
	BkcError	err;

	if ((c->store->caps & BKC_CAP_SPACE) == 0)
		return;
	if (!bkc_store_space(c->store, &bytes, &err))
		bkc_finding_error(c, "space", &err);
	else if (bytes < LITTLE_SPACE)
		bkc_finding(c, "space", BKC_FINDING_WARNING, psprintf("only %s are free", bkc_finding_size(bytes)),
					psprintf("Free space below \"%s\".", c->store->location));
	else
		bkc_finding(c, "space", BKC_FINDING_OK, psprintf("%s are free", bkc_finding_size(bytes)), NULL);
}

/* ---- the place: a bucket's own settings ---- */

/* Kept as plain memory: nothing of the server's may be called, and throw, inside the core. */
typedef struct Finding
{
	char	   *what;
	char	   *text;
	char	   *hint;			/* or NULL */
	bool		warning;
} Finding;

#define FINDINGS_MAX	64

typedef struct Findings
{
	Finding		items[FINDINGS_MAX];
	int			n;
} Findings;

static void
findings_free(void *arg)
{
	Findings   *f = arg;

	for (int i = 0; i < f->n; i++)
	{
		free(f->items[i].what);
		free(f->items[i].text);
		free(f->items[i].hint);
	}
	f->n = 0;
}

static bool
keep_finding(void *arg, const BkcStoreFinding *finding, BkcError *err)
{
	Findings   *f = arg;
	Finding    *item = &f->items[f->n];

	if (f->n == FINDINGS_MAX)
		return true;
	item->what = strdup(finding->what);
	item->text = strdup(finding->text);
	item->hint = finding->hint != NULL ? strdup(finding->hint) : NULL;
	item->warning = finding->level == BKC_STORE_WARNING;
	f->n++;
	return (item->what != NULL && item->text != NULL &&
			(item->hint != NULL || finding->hint == NULL)) || bkc_error_oom(err);
}

static void
check_place(BkcSetupCheck *c)
{
	Findings   *f = palloc0(sizeof(*f));
	BkcError	err;

	bkc_guard(findings_free, f);
	if (!bkc_store_describe(c->store, keep_finding, f, &err))
		bkc_finding_error(c, "bucket", &err);
	for (int i = 0; i < f->n; i++)
		bkc_finding(c, f->items[i].what,
					f->items[i].warning ? BKC_FINDING_WARNING : BKC_FINDING_OK,
					f->items[i].text, f->items[i].hint);
	findings_free(f);
}

/* What the owner's start-up does as well; nobody else knows whose they are. */
static void
check_uploads(BkcSetupCheck *c)
{
	char		prefix[BKC_NAME_MAX];
	uint64_t	n;
	BkcError	err;

	if (!c->ours || !bkc_set_enabled || RecoveryInProgress())
		return;
	snprintf(prefix, sizeof(prefix), "%llu/", (unsigned long long) GetSystemIdentifier());
	if (!bkc_store_tidy(c->store, prefix, BKC_STORE_OLD_SECONDS, &n, &err))
		bkc_finding_error(c, "unfinished uploads", &err);
	else if (n > 0)
		bkc_finding(c, "unfinished uploads", BKC_FINDING_OK,
					psprintf("%llu older than 24 hours, now aborted", (unsigned long long) n), NULL);
}

bool
bkc_setup_repository(BkcSetupCheck *c)
{
	char		owner[BKC_OWNER_ID_MAX];

	bkc_spool_owner(owner);
	if (!check_reachable(c, owner))
		return false;
	check_encryption(c);
	check_key(c);
	check_cluster(c);
	check_owner(c, owner);
	check_space(c);
	check_uploads(c);
	check_place(c);
	return true;
}
