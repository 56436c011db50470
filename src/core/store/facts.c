/*
 * facts.c
 *		What a store learns by the way about the place it is in (store.h).
 */
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/host.h"
#include "base/text.h"

#define SECOND				INT64_C(1000000)
#define CLOCK_NOTABLE		(30 * SECOND)
#define CERTIFICATE_NOTABLE (21 * 86400 * SECOND)

/* Is it about the place, rather than about an object or about us? */
static bool
is_about_place(BkcErrorCode code)
{
	return code == BKC_ERR_UNAVAILABLE || code == BKC_ERR_TIMEOUT || code == BKC_ERR_ACCESS ||
		code == BKC_ERR_IO || code == BKC_ERR_NO_SPACE;
}

/* What was said by the place, too: there is none, there is one already, it is locked, ... */
static bool
is_answer(BkcErrorCode code)
{
	return code == BKC_ERR_NOT_FOUND || code == BKC_ERR_EXISTS;
}

bool
bkc_store_note(BkcStore *store, bool ok, const BkcError *err)
{
	BkcStoreFacts *facts = &store->facts;

	if (ok || is_answer(err->code))
		facts->answered = bkc_host->now();
	else if (is_about_place(err->code))
	{
		facts->failed = bkc_host->now();
		facts->error = *err;
	}
	return ok;
}

void
bkc_store_note_clock(BkcStore *store, int64_t theirs, int64_t step, int64_t since)
{
	int64_t		now = bkc_host->now();
	BkcStoreFacts *facts = &store->facts;

	/* our clock was set in between: nothing can be said */
	if (now < since)
		return;
	facts->clock_known = true;
	if (theirs > now)
		facts->clock_ahead = theirs - now;
	else if (theirs + step < since)
		facts->clock_ahead = theirs + step - since;
	else
		facts->clock_ahead = 0;
}

static bool
tell_clock(const BkcStoreFacts *facts, BkcStoreFindingEach each, void *arg, BkcError *err)
{
	int64_t		off = facts->clock_ahead < 0 ? -facts->clock_ahead : facts->clock_ahead;
	bool		wrong = off >= CLOCK_NOTABLE;
	char		text[128] = "the repository's agrees with that of this machine";

	if (!facts->clock_known)
		return true;
	if (wrong)
		snprintf(text, sizeof(text), "the repository's is %" PRId64 " seconds %s that of this machine",
				 off / SECOND, facts->clock_ahead > 0 ? "ahead of" : "behind");
	return each(arg, &(BkcStoreFinding) {
		.what = "clock",
		.level = wrong ? BKC_STORE_WARNING : BKC_STORE_OK,
		.text = text,
		.hint = wrong ? "Set the wrong one, best by NTP: S3 refuses requests that are 15 minutes off, and retention goes by time."
		: NULL,
	}, err);
}

static bool
tell_end(const char *what, const char *before, int64_t until, bool wrong, const char *hint,
		 BkcStoreFindingEach each, void *arg, BkcError *err)
{
	char		when[48];
	char		text[192];

	if (until == 0)
		return true;
	bkc_format_moment(until, false, when, sizeof(when));
	snprintf(text, sizeof(text), "%s %s", before, when);
	return each(arg, &(BkcStoreFinding) {
		.what = what,
		.level = wrong ? BKC_STORE_WARNING : BKC_STORE_OK,
		.text = text,
		.hint = wrong ? hint : NULL,
	}, err);
}

bool
bkc_store_tell_facts(const BkcStore *store, BkcStoreFindingEach each, void *arg, BkcError *err)
{
	const BkcStoreFacts *facts = &store->facts;

	return tell_clock(facts, each, arg, err) &&
		tell_end("certificate", "that of the repository's server is valid until",
				 facts->certificate_until,
				 facts->certificate_until - bkc_host->now() < CERTIFICATE_NOTABLE,
				 "Have it renewed: with an expired one nothing can be read or written.",
				 each, arg, err) &&
		tell_end("credentials", "they could not be renewed, and expire at",
				 facts->credentials_until, true, "The log says why.", each, arg, err);
}
