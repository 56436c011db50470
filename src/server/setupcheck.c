/*
 * setupcheck.c
 *		The rows of backup_check() (setupcheck.h): repository (null: about the server),
 *		check, status, finding, advice.
 */
#include "pgcompat.h"

#include "base/text.h"
#include "setupcheck.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

void
bkc_finding(BkcSetupCheck *c, const char *check, const char *status, const char *finding,
			const char *advice)
{
	Datum		values[5];
	bool		nulls[5] = {false};

	nulls[0] = c->repo == NULL;
	values[0] = c->repo != NULL ? CStringGetTextDatum(c->repo->name) : (Datum) 0;
	values[1] = CStringGetTextDatum(check);
	values[2] = CStringGetTextDatum(status);
	values[3] = CStringGetTextDatum(finding);
	nulls[4] = advice == NULL || advice[0] == '\0';
	values[4] = nulls[4] ? (Datum) 0 : CStringGetTextDatum(advice);
	tuplestore_putvalues(c->rsinfo->setResult, c->rsinfo->setDesc, values, nulls);
}

void
bkc_finding_report(BkcSetupCheck *c, const char *check, const char *status,
				   const BkcReport *report)
{
	char	   *advice = pstrdup(report->hint);

	bkc_text_clean(advice);
	bkc_finding(c, check, status, bkc_report_line(report), advice);
}

void
bkc_finding_error(BkcSetupCheck *c, const char *check, const BkcError *err)
{
	BkcReport	report;

	if (err->code == BKC_ERR_CANCELLED || err->code == BKC_ERR_NO_MEMORY)
		bkc_ereport(ERROR, err);
	bkc_report_from_error(&report, err);
	bkc_finding_report(c, check, BKC_FINDING_FAILED, &report);
}

const char *
bkc_finding_time(int64 unix_usec)
{
	if (unix_usec == 0)
		return "an unknown time";
	return pstrdup(timestamptz_to_str(bkc_from_unix(unix_usec)));
}

const char *
bkc_finding_size(uint64 bytes)
{
	char		text[32];

	bkc_format_size(bytes, text, sizeof(text));
	return pstrdup(text);
}
