/*
 * facts.c
 *		What a reply of S3 tells by the way: its clock, its certificate; and how our
 *		credentials stand.
 */
#include "store/s3/s3.h"

#define DATE_STEP	INT64_C(1000000)	/* "Date" says whole seconds */

void
bkc_s3_learn(BkcS3Store *store, const BkcS3Call *call)
{
	BkcStoreFacts *facts = &store->base.facts;
	int64_t		theirs;

	if (call->http.headed && bkc_s3_call_date(call, &theirs))
		bkc_store_note_clock(&store->base, theirs, DATE_STEP, call->sent);
	if (call->http.certificate_until != 0)
		facts->certificate_until = call->http.certificate_until;
	facts->credentials_until = bkc_s3_creds_end(store->creds);
}
