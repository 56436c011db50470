/*
 * facts.c
 *		What a store learns by the way about the place it is in (store.h).
 */
#include "store/store.h"

#include "base/host.h"

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
