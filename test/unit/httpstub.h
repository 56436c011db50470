/*
 * httpstub.h
 *		A scripted stand-in for an HTTP server, in a process of its own.
 *
 * It knows nothing of what it stands in for: each request is answered by the
 * first rule that fits, and by 404 when there is none.  Rules may be added and
 * changed while it runs, and what it was asked can be read: all of it lies in
 * shared memory.
 */
#ifndef BKC_TEST_HTTPSTUB_H
#define BKC_TEST_HTTPSTUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef enum HttpStubHow
{
	STUB_REPLY,					/* as it should be */
	STUB_CLOSE_AFTER,			/* the same, and the connection is closed */
	STUB_HANG,					/* no answer, the connection stays */
	STUB_STALL,					/* headers and half of the body, then silence */
	STUB_CUT,					/* headers and half of the body, then the end */
	STUB_SILENT_END,			/* the end without a byte */
	STUB_RESET,					/* the end by RST */
	STUB_RAW					/* body as it is, without status and headers, then the end */
} HttpStubHow;

typedef struct HttpStubRule
{
	/* which requests; "" = any */
	char		method[8];
	char		path[256];		/* with the query, whole */

	/* how they are answered */
	char		need[512];		/* line or part of the request without which it is 401 */
	HttpStubHow how;
	int			times;			/* that many of them; 0 = all */
	int			status;
	char		headers[512];	/* further ones, each with its CRLF */
	int			repeat;			/* and that many times more */
	char		body[12288];
	size_t		generated;		/* not 0: a body of that many bytes of httpstub_byte() */
	bool		chunked;		/* without Content-Length */
	char		interim[512];	/* sent before the reply */
	int			delay_ms;
	int			drip_ms;		/* not 0: the body comes byte by byte, with that long in between */
	int			used;
} HttpStubRule;

#define HTTPSTUB_RULES	32

typedef struct HttpStubShared
{
	HttpStubRule rules[HTTPSTUB_RULES];
	int			nrules;
	int			connections;
	int			requests;
	int			open;			/* requests being answered */
	int			most_open;
	char		last[65536];	/* the last request: headers and body */
} HttpStubShared;

typedef struct HttpStub
{
	pid_t		pid;
	int			port;
	char		url[64];		/* http://127.0.0.1:port */
	HttpStubShared *shared;
} HttpStub;

extern void httpstub_start(HttpStub *stub);
extern void httpstub_stop(HttpStub *stub);

/* Before a test: a new one on a new port, where nothing late from the test before is counted. */
extern void httpstub_restart(HttpStub *stub);

/* No rules, nothing counted. */
extern void httpstub_clear(HttpStub *stub);

/* A rule behind those that there are; NULL is "". */
extern HttpStubRule *httpstub_on(HttpStub *stub, const char *method, const char *path, int status,
								 const char *body);

/* Byte number i of a generated body. */
extern uint8_t httpstub_byte(size_t i);

/* A port of this machine that nobody listens on. */
extern int	httpstub_dead_port(void);

#endif							/* BKC_TEST_HTTPSTUB_H */
