/*
 * cloudwatch.h
 *		Metrics to Amazon CloudWatch: PutMetricData, one attempt.
 *
 * Signed and with credentials as requests to S3 (store/s3/creds.h): from a file, or else from where
 * AWS's own programs take them.
 */
#ifndef BKC_NOTIFY_CLOUDWATCH_H
#define BKC_NOTIFY_CLOUDWATCH_H

#include "notify/send.h"

#define BKC_CLOUDWATCH_NAMESPACE	"pg_backupctl"

typedef struct BkcMetric
{
	const char *name;			/* "BackupSize" */
	const char *unit;			/* as CloudWatch names it: "Bytes", "Seconds", "Count" */
	double		value;
	const char *cluster;		/* the dimensions; repository may be NULL */
	const char *repository;
} BkcMetric;

/* Region, endpoint and file of credentials, as far as that goes without the network. */
extern bool bkc_cloudwatch_check(const BkcTarget *target, BkcError *err);

/* n from 1 to some hundreds.  As bkc_target_send(). */
extern bool bkc_cloudwatch_send(const BkcTarget *target, const BkcMetric *metrics, size_t n,
								int *wait_s, BkcError *err);

/* As bkc_target_reach(): credentials are asked for, too. */
extern bool bkc_cloudwatch_reach(const BkcTarget *target, BkcError *err);

#endif							/* BKC_NOTIFY_CLOUDWATCH_H */
