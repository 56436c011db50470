/*
 * notifymetrics.h
 *		What a target of kind cloudwatch gets: how backups and archiving stand, as numbers.
 */
#ifndef BKC_SERVER_NOTIFYMETRICS_H
#define BKC_SERVER_NOTIFYMETRICS_H

#include "notify/send.h"

/* Seconds between two of them, where the target does not say. */
#define BKC_METRICS_INTERVAL	300

/* One attempt, as bkc_target_send(). */
extern bool bkc_notify_metrics(const BkcTarget *target, int *wait_s, BkcError *err);

#endif							/* BKC_SERVER_NOTIFYMETRICS_H */
