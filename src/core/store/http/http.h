/*
 * http.h
 *		HTTP for the drivers: one curl_multi, many requests in flight.
 *
 * A BkcHttp belongs to one store.  Nothing moves by itself: transfers go on
 * only inside bkc_http_drive(), which waits for at most BKC_HTTP_SLICE_MS at a
 * time and looks at BkcHost.cancelled() in between.  Connections are kept
 * alive and used again; redirects are not followed; the proxy is the one in
 * the options and never one of the environment.
 *
 * Request bodies lie in memory, so that each can be sent again.  Replies are
 * gathered whole up to a limit, or taken piece by piece while they come in
 * (window).
 *
 * This file knows about transfers only: any complete HTTP reply is a success
 * here, whatever its status.  Retrying and the meaning of replies are the
 * driver's.
 */
#ifndef BKC_STORE_HTTP_HTTP_H
#define BKC_STORE_HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

#define BKC_HTTP_SLICE_MS		100

typedef struct BkcHttp BkcHttp;

typedef struct BkcHttpOptions
{
	const char *ca_file;		/* PEM; NULL = the system's */
	const char *proxy;			/* URL; NULL = none */
	bool		trust_any;		/* do not verify certificates: for tests of servers */
	int			connect_ms;		/* until a connection stands, TLS included; 0 = 10 s */
	int			stall_ms;		/* without a byte in either direction; 0 = 60 s */
	int			total_ms;		/* of a transfer without bulk data; 0 = 5 minutes */
} BkcHttpOptions;

/* One request and its reply.  Zeroed, then the request's fields filled, then started. */
typedef struct BkcHttpCall
{
	/* the request; whatever is pointed to must stay until the call has ended */
	const char *method;
	const char *url;
	const char *const *headers; /* "Name: value", NULL-terminated; NULL = none */
	const void *body;			/* with body_len 0 none, but "Content-Length: 0" where it belongs */
	size_t		body_len;
	bool		connect_only;	/* nothing is sent: can a connection be made, TLS included? */
	size_t		reply_max;		/* a longer reply is an error */
	size_t		window;			/* not 0: of a reply 2xx, which has no such limit then, hold
								 * about that many bytes that nobody has taken */
	int			total_ms;		/* of the whole transfer; 0 = the options', but none for bulk
								 * data (a window, a large body): nobody knows how long is right */

	/* the reply */
	bool		ended;			/* the transfer is over: well (ok) or not (error) */
	bool		ok;
	BkcError	error;			/* UNAVAILABLE, TIMEOUT, ACCESS (certificates), ... */
	bool		reached;		/* bytes of the request were sent */
	bool		headed;			/* the reply's status and headers are there */
	int			status;
	BkcBuffer	head;			/* header lines, each followed by LF */
	int64_t		certificate_until;	/* microseconds since 1970; 0: no TLS, or a connection that
									 * was there already */
	BkcBuffer	reply;			/* body bytes; from taken on nobody has had them */
	size_t		taken;

	/* http.c's own */
	void	   *easy;
	void	   *header_list;
	bool		paused;
	bool		moved;			/* body bytes came in during the last pass */
	char		curl_text[256];
	struct BkcHttpCall *next;
} BkcHttpCall;

extern bool bkc_http_new(const BkcHttpOptions *options, BkcHttp **http, BkcError *err);
extern void bkc_http_close(BkcHttp *http);	/* no call may be under way; NULL is fine */

/* Queue the request; a former reply of the same call is forgotten. */
extern bool bkc_http_start(BkcHttp *http, BkcHttpCall *call, BkcError *err);

/*
 * Move what can be moved, waiting up to wait_ms (at most a slice) for
 * something to do.  Ended calls have their ended set.  false only when
 * cancelled or out of memory, never for a failed transfer.
 */
extern bool bkc_http_drive(BkcHttp *http, int wait_ms, BkcError *err);

/* While on, cancelled() is not looked at: for tidying up, by calls with a short total_ms. */
extern void bkc_http_insist(BkcHttp *http, bool insist);

/* Drive until the call has ended. */
extern bool bkc_http_finish(BkcHttp *http, BkcHttpCall *call, BkcError *err);

/* Up to len bytes of the body that are there; lets a paused transfer go on. */
extern size_t bkc_http_take(BkcHttpCall *call, void *buf, size_t len);

/* Break it off when it is under way, and free what the reply holds.  May be called again. */
extern void bkc_http_drop(BkcHttp *http, BkcHttpCall *call);

/* A time as certificates and libcurl say it: "Nov 20 12:03:01 2026 GMT", "2026-11-20 12:03:01 GMT". */
extern bool bkc_http_parse_end(const char *text, int64_t *usec);

/* Value of a reply's header, copied to out; false when there is none (or it does not fit). */
extern bool bkc_http_header(const BkcHttpCall *call, const char *name, char *out, size_t outlen);

/* Append text percent-encoded: all but A-Z a-z 0-9 - . _ ~, and '/' when keep_slash. */
extern bool bkc_http_escape(BkcBuffer *out, const char *text, bool keep_slash, BkcError *err);

#endif							/* BKC_STORE_HTTP_HTTP_H */
