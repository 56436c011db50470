/*
 * creds.c
 *		When the source of credentials is asked, and what happens when it fails.
 *
 * A source that has given credentials stays the source: were it chosen anew
 * each time, a file that is gone for a moment would lead to another identity.
 */
#include "store/s3/creds.h"

#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "store/s3/creds_inner.h"

#define SECOND		INT64_C(1000000)	/* BkcHost.now()'s unit */
#define SOON		(300 * SECOND)	/* renewed that long before they expire */
#define REREAD		(300 * SECOND)	/* and without a time of expiry, that long after */
#define AGAIN		(60 * SECOND)	/* after a renewal that failed */
#define MOMENT		(10 * SECOND)
#define IN_FLIGHT	(300 * SECOND)	/* a request may have been signed that long ago */

struct BkcS3CredsChain
{
	char	   *file;
	char	   *profile;
	char	   *region;
	char	   *ca_file;
	char	   *proxy;
	BkcHttpOptions options;
	BkcS3CredsFrom from;		/* points to the above */
	BkcS3CredsSource source;	/* that has given credentials */

	BkcS3Creds	creds;			/* once there is a source */
	int64_t		asked;			/* last attempt to read or fetch */
	int64_t		fetched;		/* last one that went well */
	int64_t		changed;		/* last one that gave others than before; 0 = none did */
	int64_t		next;			/* time of the next attempt */
	bool		same;			/* fetched gave what there was before */
	bool		forced;			/* the server does not take them any more */
	bool		warned;			/* that they could not be renewed */
};

static bool
equal(const BkcS3Creds *a, const BkcS3Creds *b)
{
	return strcmp(a->access_key, b->access_key) == 0 &&
		strcmp(a->secret_key, b->secret_key) == 0 &&
		strcmp(a->session_token, b->session_token) == 0;
}

static bool
copy_text(const char *text, char **out)
{
	*out = text != NULL ? strdup(text) : NULL;
	return text == NULL || *out != NULL;
}

bool
bkc_s3_creds_new(const char *file, const char *profile, const char *region,
				 const BkcHttpOptions *options, BkcS3CredsChain **chain, BkcError *err)
{
	BkcS3CredsChain *new = calloc(1, sizeof(*new));

	*chain = NULL;
	if (new == NULL)
		return bkc_error_oom(err);
	if (!copy_text(file, &new->file) || !copy_text(profile, &new->profile) ||
		!copy_text(region, &new->region) || !copy_text(options->ca_file, &new->ca_file) ||
		!copy_text(options->proxy, &new->proxy))
	{
		bkc_s3_creds_free(new);
		return bkc_error_oom(err);
	}
	new->options = *options;
	new->options.ca_file = new->ca_file;
	new->options.proxy = new->proxy;
	new->from = (BkcS3CredsFrom) {
		.file = new->file,
		.profile = new->profile,
		.region = new->region,
		.options = &new->options,
	};
	*chain = new;
	return true;
}

void
bkc_s3_creds_free(BkcS3CredsChain *chain)
{
	if (chain == NULL)
		return;
	bkc_wipe(&chain->creds, sizeof(chain->creds));
	free(chain->file);
	free(chain->profile);
	free(chain->region);
	free(chain->ca_file);
	free(chain->proxy);
	free(chain);
}

/* When to ask again, after an answer. */
static int64_t
next_time(const BkcS3CredsChain *chain, int64_t now)
{
	int64_t		next = chain->creds.expires - SOON;

	if (chain->source == BKC_S3_SOURCE_ENVIRONMENT)
		return INT64_MAX;
	if (chain->creds.expires == 0)
		return now + REREAD;
	if (next < now + AGAIN)
		next = now + AGAIN < chain->creds.expires ? now + AGAIN : chain->creds.expires;
	return next;
}

static bool
renew(BkcS3CredsChain *chain, BkcError *err)
{
	BkcS3Creds	new = {0};
	BkcS3CredsSource source = chain->source;
	int64_t		now;
	char		when[32];
	bool		ok;

	ok = bkc_s3_creds_read(&chain->from, &source, &new, err);
	now = bkc_host->now();
	if (ok && new.expires != 0 && new.expires <= now)
	{
		bkc_format_time(new.expires, when, sizeof(when));
		ok = bkc_error_set(err, BKC_ERR_ACCESS, "the S3 credentials have expired already, at %s",
						   when);
		bkc_error_hint(err, "Check the clock of this machine, and who renews them.");
	}
	if (ok)
	{
		chain->same = chain->source != BKC_S3_SOURCE_NONE && equal(&chain->creds, &new);
		if (chain->source != BKC_S3_SOURCE_NONE && !chain->same)
			chain->changed = now;
		chain->source = source;
		chain->creds = new;
		chain->fetched = now;
		chain->next = next_time(chain, now);
		chain->forced = chain->warned = false;
	}
	bkc_wipe(&new, sizeof(new));
	return ok;
}

bool
bkc_s3_creds_get(BkcS3CredsChain *chain, const BkcS3Creds **creds, BkcError *err)
{
	int64_t		now = bkc_host->now();

	*creds = &chain->creds;

	/* a clock that was set back says nothing about how old they are */
	if (chain->source != BKC_S3_SOURCE_NONE && !chain->forced &&
		now >= chain->asked && now < chain->next)
		return true;
	chain->asked = now;
	if (renew(chain, err))
		return true;
	now = bkc_host->now();
	if (chain->source == BKC_S3_SOURCE_NONE || chain->forced ||
		(chain->creds.expires != 0 && chain->creds.expires <= now))
	{
		/*
		 * Whatever is missing or damaged here, it is not the object that
		 * somebody wants to read or write.
		 */
		if (err->code == BKC_ERR_NOT_FOUND || err->code == BKC_ERR_EXISTS ||
			err->code == BKC_ERR_CORRUPT)
			err->code = BKC_ERR_ACCESS;
		return false;
	}

	/* who tidies up after a cancellation has those that there are */
	if (err->code == BKC_ERR_CANCELLED)
		return true;
	chain->next = now + AGAIN;
	if (chain->creds.expires != 0 && chain->next > chain->creds.expires)
		chain->next = chain->creds.expires;
	if (!chain->warned)
		bkc_log(BKC_LOG_WARNING, "could not renew the S3 credentials, the old ones are used: %s",
				err->message);
	chain->warned = true;
	return true;
}

bool
bkc_s3_creds_expired(BkcS3CredsChain *chain)
{
	int64_t		now = bkc_host->now();

	if (chain->source == BKC_S3_SOURCE_NONE || chain->forced)
		return true;
	if (now >= chain->fetched && now - chain->fetched < MOMENT)
	{
		/* the request in question may have been signed with those before */
		if (chain->changed != 0 && now - chain->changed < IN_FLIGHT)
			return true;
		if (chain->same)
			return false;
	}
	chain->forced = true;
	return true;
}

int64_t
bkc_s3_creds_end(const BkcS3CredsChain *chain)
{
	return chain->warned ? chain->creds.expires : 0;
}

const char *
bkc_s3_creds_source(const BkcS3CredsChain *chain)
{
	return chain->source != BKC_S3_SOURCE_NONE ? chain->from.text : "none yet";
}
