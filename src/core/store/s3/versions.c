/*
 * versions.c
 *		Removing objects for good, with all their versions.
 *
 * Oldest first, marks of removal (delete markers) in their turn: so no former
 * version ever comes to light again, whenever this ends.
 */
#include "store/s3/s3.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "base/text.h"
#include "store/s3/bucket.h"

typedef struct Version
{
	char	   *key;
	char	   *id;
} Version;

typedef struct Versions
{
	const char *key;			/* whole, with the prefix */
	bool		below;			/* of all keys that begin so */
	Version    *all;			/* by key, newest first */
	size_t		n;
	size_t		cap;
	bool		beyond;			/* a key behind ours was seen */
	bool		truncated;
	char		key_marker[1024 * 3 + 1];
	char		id_marker[1024];

	/* the version that is being read */
	bool		ours;
	char		name[1024 * 3 + 1];
	char		id[1024];
} Versions;

static void
versions_free(Versions *v)
{
	for (size_t i = 0; i < v->n; i++)
	{
		free(v->all[i].key);
		free(v->all[i].id);
	}
	free(v->all);
}

static bool
push(Versions *v, BkcError *err)
{
	if (v->n == v->cap)
	{
		size_t		cap = v->cap == 0 ? 8 : v->cap * 2;
		Version    *bigger = realloc(v->all, cap * sizeof(*bigger));

		if (bigger == NULL)
			return bkc_error_oom(err);
		v->all = bigger;
		v->cap = cap;
	}
	v->all[v->n].key = strdup(v->name);
	v->all[v->n].id = strdup(v->id);
	v->n++;
	return (v->all[v->n - 1].key != NULL && v->all[v->n - 1].id != NULL) || bkc_error_oom(err);
}

static bool
take_element(void *arg, const char *path, const char *text, BkcError *err)
{
	Versions   *v = arg;
	const char *inner;

	if (strncmp(path, "Version", 7) == 0 && (path[7] == '/' || path[7] == '\0'))
		inner = path + 7;
	else if (strncmp(path, "DeleteMarker", 12) == 0)
		inner = path + 12;
	else
	{
		if (text != NULL && strcmp(path, "IsTruncated") == 0)
			v->truncated = strcmp(text, "true") == 0;
		else if (text != NULL && strcmp(path, "NextKeyMarker") == 0)
			snprintf(v->key_marker, sizeof(v->key_marker), "%s", text);
		else if (text != NULL && strcmp(path, "NextVersionIdMarker") == 0)
			snprintf(v->id_marker, sizeof(v->id_marker), "%s", text);
		return true;
	}
	if (text != NULL && strcmp(inner, "/Key") == 0)
	{
		size_t		len = strlen(v->key);

		v->ours = strncmp(text, v->key, len) == 0 &&
			(v->below ? strlen(text) < sizeof(v->name) : text[len] == '\0');
		snprintf(v->name, sizeof(v->name), "%s", text);
		v->beyond = v->beyond || !v->ours;
	}
	else if (text != NULL && strcmp(inner, "/VersionId") == 0)
		snprintf(v->id, sizeof(v->id), "%s", text);
	else if (text == NULL && inner[0] == '\0')
	{
		if (v->ours && v->id[0] != '\0' && !push(v, err))
			return false;
		v->ours = false;
		v->id[0] = '\0';
	}
	return true;
}

/* All versions of one name: its key comes before all that begin like it.  Or of all of these. */
static bool
list_versions(BkcS3Store *s3, const char *key, Versions *v, BkcS3Answer *answer, BkcError *err)
{
	bool		ok;

	v->key = key;
	do
	{
		const BkcS3Question question = {
			.sub = "versions",
			.root = "ListVersionsResult",
			.prefix = key,
			.key_marker = v->key_marker[0] != '\0' ? v->key_marker : NULL,
			.id_marker = v->id_marker[0] != '\0' ? v->id_marker : NULL,
		};

		v->truncated = false;
		ok = bkc_s3_bucket_ask(s3, &question, take_element, v, answer, err);
		if (ok && *answer == BKC_S3_KNOWN && v->truncated && !v->beyond && v->key_marker[0] == '\0')
			ok = bkc_error_set(err, BKC_ERR_CORRUPT,
							   "S3 cut a listing without saying where it goes on");
	} while (ok && *answer == BKC_S3_KNOWN && v->truncated && !v->beyond);
	return ok;
}

/* Refused: because of a lock?  Then say until when. */
static bool
explain_refusal(BkcS3Store *s3, const char *name, const char *id, BkcError *err)
{
	BkcS3Call	call;
	BkcError	ignored;
	char		text[64];
	char		when[48];
	int64_t		until = 0;
	bool		held = false;

	bkc_s3_call_init(&call, "HEAD", name);
	if (bkc_s3_call_param(&call, "versionId", id, &ignored) &&
		bkc_s3_sse_c_headers(s3, &call, &ignored) &&
		bkc_s3_call_run(s3, &call, &ignored))
	{
		held = bkc_http_header(&call.http, "x-amz-object-lock-legal-hold", text, sizeof(text)) &&
			strcmp(text, "ON") == 0;
		if (!bkc_http_header(&call.http, "x-amz-object-lock-retain-until-date", text,
							 sizeof(text)) ||
			!bkc_s3_parse_time(text, &until) || until <= bkc_host->now() + s3->clock_ahead)
			until = 0;
	}
	bkc_s3_call_free(s3, &call);
	if (held)
	{
		bkc_error_set(err, BKC_ERR_STATE, "object \"%s\" is under a legal hold", name);
		bkc_error_hint(err, "It can be removed when the hold is lifted.");
	}
	else if (until != 0)
	{
		bkc_format_moment(until, false, when, sizeof(when));
		bkc_error_set(err, BKC_ERR_STATE, "object \"%s\" is locked until %s", name, when);
		bkc_error_hint(err, "It can be removed after that time.");
	}
	return false;
}

static bool
remove_version(BkcS3Store *s3, const char *name, const char *id, BkcError *err)
{
	BkcS3Call	call;
	bool		ok;

	bkc_s3_call_init(&call, "DELETE", name);
	ok = bkc_s3_call_param(&call, "versionId", id, err) && bkc_s3_call_run(s3, &call, err);
	bkc_s3_call_free(s3, &call);
	if (ok || err->code == BKC_ERR_NOT_FOUND)
		return true;
	if (err->code == BKC_ERR_ACCESS || err->code == BKC_ERR_STATE || err->code == BKC_ERR_INVALID)
		return explain_refusal(s3, name, id, err);
	return false;
}

/* *answer tells whether there was something to be known. */
static bool
remove_all(BkcS3Store *s3, const char *name, bool below, BkcS3Answer *answer, BkcError *err)
{
	Versions   *v = calloc(1, sizeof(*v));
	size_t		prefix_len = strlen(s3->config.prefix);
	char	   *key = NULL;
	bool		ok;

	if (v == NULL || asprintf(&key, "%s%s", s3->config.prefix, name) < 0)
	{
		free(v);
		return bkc_error_oom(err);
	}
	v->below = below;
	ok = list_versions(s3, key, v, answer, err);
	if (ok && *answer == BKC_S3_DENIED)
		ok = bkc_error_set(err, BKC_ERR_ACCESS,
						   "the versions could not be asked for (s3:ListBucketVersions is not allowed)");
	for (size_t i = v->n; ok && i > 0; i--)
	{
		const char *found = v->all[i - 1].key + prefix_len;

		/* other names are none of ours */
		ok = !bkc_name_valid(found) || remove_version(s3, found, v->all[i - 1].id, err);
	}
	versions_free(v);
	free(v);
	free(key);
	return ok;
}

bool
bkc_s3_remove_versions(BkcStore *store, const char *const *names, size_t n, BkcError *err)
{
	for (size_t i = 0; i < n; i++)
	{
		BkcS3Answer answer;

		/* a server that knows no versions has none */
		if (!remove_all((BkcS3Store *) store, names[i], false, &answer, err) ||
			(answer != BKC_S3_KNOWN && !bkc_s3_remove(store, &names[i], 1, err)))
			return bkc_error_context(err,
									 "could not remove all versions of \"%s\" from repository \"%s\"",
									 names[i], store->location);
	}
	return true;
}

bool
bkc_s3_remove_former(BkcStore *store, const char *prefix, BkcError *err)
{
	BkcS3Answer answer;

	return remove_all((BkcS3Store *) store, prefix, true, &answer, err) ||
		bkc_error_context(err, "could not remove all versions below \"%s\" from repository \"%s\"",
						  prefix, store->location);
}
