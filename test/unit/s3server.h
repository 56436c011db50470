/*
 * s3server.h
 *		The S3 server that test/servers/servers.sh has started, for tests.
 */
#ifndef S3SERVER_H
#define S3SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "store/store.h"
#include "storetools.h"

/* ways to the server */
typedef enum S3Way
{
	S3_HTTP_PATH,
	S3_HTTP_HOST,				/* bucket in the host's name */
	S3_TLS_PATH,
	S3_TLS_HOST
} S3Way;

#define S3_BUCKET_MAX	64

/*
 * For main(): true when there is a server.  Otherwise *status is what to exit
 * with: run-unit.sh knows one that means "skipped", which it is not under CI.
 */
extern bool s3server_there(int *status);

/* Make a bucket with a name that nobody else has; with lock it has object lock. */
extern void s3server_bucket(char bucket[S3_BUCKET_MAX], bool lock);

/*
 * The URL of a repository there.  With "endpoint=" in more (which begins with
 * '&', or is "") it is that one's, else the server's.
 */
extern void s3server_url(char *out, size_t outlen, S3Way way, const char *bucket,
						 const char *prefix, const char *more);

/* Open it; asserts in the style of cmocka. */
extern BkcStore *s3server_open(S3Way way, const char *bucket, const char *prefix,
							   const char *more);
extern bool s3server_try_open(const char *url, BkcStore **store, BkcError *err);

/*
 * Run s3.py with these arguments, NULL-terminated.  Gives what it prints, to
 * be freed; *ok (may be NULL: then it must succeed) whether it succeeded, and
 * when not what it said on stderr.
 */
extern char *s3server_call(bool *ok, const char *command,...);

/* Does the output have a line like that? */
extern bool s3server_line(const char *text, const char *line);

/* A path below a folder of this program's own, which s3server_end() removes. */
extern const char *s3server_file(const char *name);

/* The same with that content, mode 0600. */
extern const char *s3server_write_file(const char *name, const void *data, size_t len);
extern void s3server_end(void);

/* faultproxy.py in front of the server's http port, or (streams only, no log) of its TLS port */
typedef struct S3Proxy
{
	pid_t		pid;
	int			port;
	char		control[128];
	char		log[128];
} S3Proxy;

extern void s3proxy_start(S3Proxy *proxy, bool tls);
extern void s3proxy_stop(S3Proxy *proxy);

/* What it does from now on: JSON, "" for nothing.  Its count and its log begin anew. */
extern void s3proxy_set(S3Proxy *proxy, const char *json);

/* The log: a line for each request since then.  To be freed. */
extern char *s3proxy_log(const S3Proxy *proxy);
extern int	s3proxy_count(const S3Proxy *proxy);

#endif							/* S3SERVER_H */
