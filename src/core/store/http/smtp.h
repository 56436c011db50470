/*
 * smtp.h
 *		One mail to an SMTP server.
 *
 * It stands here because this folder is the only one that knows libcurl.  Like a
 * transfer of http.h it is cancelled at any time, has limits for everything, uses no proxy of
 * the environment and no other protocol than SMTP.
 */
#ifndef BKC_STORE_HTTP_SMTP_H
#define BKC_STORE_HTTP_SMTP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

typedef struct BkcSmtp
{
	const char *url;			/* smtp://host[:port] or smtps://host[:port] */
	bool		plain;			/* smtp without TLS: for a server on this machine only */
	const char *ca_file;		/* PEM; NULL = the system's */
	const char *user;			/* NULL = no authentication */
	const char *password;
	const char *from;			/* plain addresses */
	const char *const *to;		/* NULL-terminated */
	bool		connect_only;	/* no mail: only connect and log in */
	const void *message;		/* RFC 5322 */
	size_t		message_len;
	int			connect_ms;
	int			stall_ms;
	int			total_ms;
} BkcSmtp;

/*
 * BKC_ERR_UNAVAILABLE and BKC_ERR_TIMEOUT when another attempt may help (also replies 4xx),
 * BKC_ERR_ACCESS for certificates and logins, BKC_ERR_INVALID when the server refuses it.
 */
extern bool bkc_smtp_send(const BkcSmtp *smtp, BkcError *err);

#endif							/* BKC_STORE_HTTP_SMTP_H */
