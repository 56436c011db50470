/*
 * message.h
 *		What an alarm looks like: for Slack and by mail.
 *
 * The texts of an event come from anywhere (file names, replies of servers), so nothing of
 * them may become a header, an address or markup.  They are UTF-8.
 */
#ifndef BKC_NOTIFY_MESSAGE_H
#define BKC_NOTIFY_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

/* An event, as far as people are told of it.  Texts may be NULL where there is nothing to say. */
typedef struct BkcNotice
{
	int64_t		id;
	int64_t		at;				/* microseconds since 1970 */
	const char *kind;
	const char *severity;
	const char *result;
	const char *repository;
	const char *label;
	const char *schedule;
	const char *actor;
	const char *message;
	const char *cluster;		/* name, or system identifier */
	const char *host;
	bool		recovery;		/* well again after a failure that was sent */
	bool		test;
} BkcNotice;

/* One line: "critical: backup failed on db1 (prod)"; without control characters. */
extern bool bkc_notice_subject(const BkcNotice *notice, BkcBuffer *out, BkcError *err);

/* {"text": ...}, with what Slack takes for markup escaped. */
extern bool bkc_notice_slack(const BkcNotice *notice, BkcBuffer *out, BkcError *err);

/* RFC 5322, with CR LF; from and to must be valid (bkc_mail_addresses). */
extern bool bkc_notice_mail(const BkcNotice *notice, const char *from, const char *to,
							BkcBuffer *out, BkcError *err);

/*
 * Call take for each address of a list separated by commas; take NULL only checks.  Plain
 * addresses in ASCII, without names, quotes or comments; what names the setting in errors.
 */
extern bool bkc_mail_addresses(const char *list, const char *what,
							   bool (*take) (void *arg, const char *address, BkcError *err),
							   void *arg, BkcError *err);

#endif							/* BKC_NOTIFY_MESSAGE_H */
