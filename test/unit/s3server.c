/*
 * s3server.c
 *		The S3 server that test/servers/servers.sh has started, for tests.
 */
#include "s3server.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/text.h"
#include "storetools.h"

#define SKIPPED		77			/* as in run-unit.sh */
#define ARGS_MAX	16

static char folder[96];			/* of this program */

bool
s3server_there(int *status)
{
	const char *failed = getenv("BKC_S3_FAILED");
	const char *absent = getenv("BKC_S3_ABSENT");
	const char *ci = getenv("CI");

	if (getenv("BKC_S3_URL") != NULL)
		return true;
	*status = failed != NULL || (ci != NULL && strcmp(ci, "true") == 0) ? 1 : SKIPPED;
	if (failed != NULL)
		printf("the S3 server did not start: %s\n", failed);
	else
		printf("there is no S3 server: %s\n", absent != NULL ? absent : "run it by make unit");
	return false;
}

static const char *
need(const char *variable)
{
	const char *value = getenv(variable);

	if (value == NULL)
		fail_msg("%s is not set", variable);
	return value;
}

/* ---- files ---- */

const char *
s3server_file(const char *name)
{
	static char path[4][160];
	static int	next;
	char	   *out = path[next++ % 4];
	const char *tmp = getenv("TMPDIR");

	if (folder[0] == '\0')
	{
		snprintf(folder, sizeof(folder), "%s/bkc-unit-XXXXXX",
				 tmp != NULL && strlen(tmp) < 60 ? tmp : "/tmp");
		assert_non_null(mkdtemp(folder));
	}
	snprintf(out, sizeof(path[0]), "%s/%s", folder, name);
	return out;
}

const char *
s3server_write_file(const char *name, const void *data, size_t len)
{
	const char *path = s3server_file(name);
	int			fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
	return path;
}

void
s3server_end(void)
{
	BkcError	err;

	if (folder[0] != '\0' && !bkc_dir_remove_tree(folder, false, &err))
		fprintf(stderr, "%s\n", err.message);
	folder[0] = '\0';
}

/* ---- the other client ---- */

/* What a process writes to a pipe, until it ends. */
static bool
gather(int fd, pid_t pid, BkcBuffer *out)
{
	BkcError	err;
	char		buf[8192];
	ssize_t		n;
	int			status;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		assert_ok(bkc_buffer_append(out, buf, (size_t) n, &err), &err);
	close(fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

char *
s3server_call(bool *ok, const char *command,...)
{
	char		program[256];
	char		stderr_path[160];
	const char *argv[ARGS_MAX + 4] = {program, command};
	int			argc = 2;
	va_list		args;
	int			out[2];
	int			fd;
	pid_t		pid;
	BkcBuffer	text = {0};
	BkcBuffer	said = {0};
	BkcError	err;
	bool		well;
	char	   *copy;

	snprintf(program, sizeof(program), "%s/s3.py", need("BKC_SERVERS"));
	va_start(args, command);
	while (argc < ARGS_MAX && (argv[argc] = va_arg(args, const char *)) != NULL)
		argc++;
	va_end(args);
	snprintf(stderr_path, sizeof(stderr_path), "%s", s3server_file("stderr"));
	assert_int_equal(pipe(out), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
	{
		fd = open(stderr_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		(void) dup2(open("/dev/null", O_RDONLY), 0);
		(void) dup2(out[1], 1);
		(void) dup2(fd, 2);
		close(out[0]);
		execv(program, (char *const *) argv);
		_exit(127);
	}
	close(out[1]);
	well = gather(out[0], pid, &text);
	if (!well)
	{
		(void) bkc_file_slurp(stderr_path, 65536, &said, &err);
		if (ok == NULL)
			fail_msg("s3.py %s: %s", command, bkc_buffer_str(&said));
	}
	if (ok != NULL)
		*ok = well;
	copy = strdup(bkc_buffer_str(well ? &text : &said));
	bkc_buffer_free(&text);
	bkc_buffer_free(&said);
	assert_non_null(copy);
	return copy;
}

bool
s3server_line(const char *text, const char *line)
{
	size_t		len = strlen(line);

	for (const char *at = text; at != NULL; at = strchr(at, '\n'))
	{
		at += *at == '\n';
		if (strncmp(at, line, len) == 0 && (at[len] == '\n' || at[len] == '\0'))
			return true;
	}
	return false;
}

/* ---- buckets and repositories ---- */

void
s3server_bucket(char bucket[S3_BUCKET_MAX], bool lock)
{
	uint32_t	random;
	BkcError	err;

	assert_ok(bkc_random(&random, sizeof(random), &err), &err);
	snprintf(bucket, S3_BUCKET_MAX, "unit-%d-%08x", (int) getpid(), random);
	free(s3server_call(NULL, "mkbucket", bucket, lock ? "lock" : NULL, NULL));
}

/* A copy of our own: a file with a secret that belongs to somebody else is refused. */
static const char *
credentials(void)
{
	static char path[160];
	BkcBuffer	text = {0};
	BkcError	err;

	if (path[0] == '\0')
	{
		assert_ok(bkc_file_slurp(need("BKC_S3_CREDENTIALS"), 65536, &text, &err), &err);
		snprintf(path, sizeof(path), "%s",
				 s3server_write_file("credentials", text.data, text.len));
		bkc_buffer_free(&text);
	}
	return path;
}

void
s3server_url(char *out, size_t outlen, S3Way way, const char *bucket, const char *prefix,
			 const char *more)
{
	bool		tls = way == S3_TLS_PATH || way == S3_TLS_HOST;
	bool		host = way == S3_HTTP_HOST || way == S3_TLS_HOST;
	const char *origin = need(tls ? "BKC_S3_TLS_URL" : "BKC_S3_URL");
	const char *port = strrchr(origin, ':');
	bool		own = strstr(more, "endpoint=") != NULL;
	int			n;

	n = snprintf(out, outlen, "s3://%s/%s?region=%s", bucket, prefix, need("BKC_S3_REGION"));
	if (!own)
		n += snprintf(out + n, outlen - (size_t) n, "&endpoint=%s://%s%s", tls ? "https" : "http",
					  host ? "s3.localhost" : "127.0.0.1", port);
	if (strstr(more, "style=") == NULL)
		n += snprintf(out + n, outlen - (size_t) n, "&style=%s", host ? "host" : "path");
	if (strstr(more, "credentials=") == NULL)
		n += snprintf(out + n, outlen - (size_t) n, "&credentials=%s", credentials());
	if (tls && strstr(more, "ca_file=") == NULL)
		n += snprintf(out + n, outlen - (size_t) n, "&ca_file=%s", need("BKC_S3_CA"));
	n += snprintf(out + n, outlen - (size_t) n, "%s", more);
	assert_true((size_t) n < outlen);
}

bool
s3server_try_open(const char *text, BkcStore **store, BkcError *err)
{
	BkcUrl		url = {0};
	bool		ok = bkc_url_parse(text, &url, err) && bkc_store_open(&url, store, err);

	bkc_url_free(&url);
	return ok;
}

BkcStore *
s3server_open(S3Way way, const char *bucket, const char *prefix, const char *more)
{
	char		url[1024];
	BkcStore   *store = NULL;
	BkcError	err;

	s3server_url(url, sizeof(url), way, bucket, prefix, more);
	assert_ok(s3server_try_open(url, &store, &err), &err);
	return store;
}

/* ---- the proxy ---- */

void
s3proxy_start(S3Proxy *proxy, bool tls)
{
	static int	number;
	char		program[256];
	char		name[32];
	char		line[64];
	int			out[2];
	FILE	   *ready;

	number++;
	snprintf(program, sizeof(program), "%s/faultproxy.py", need("BKC_SERVERS"));
	snprintf(name, sizeof(name), "proxy%d.json", number);
	snprintf(proxy->control, sizeof(proxy->control), "%s", s3server_file(name));
	snprintf(name, sizeof(name), "proxy%d.log", number);
	snprintf(proxy->log, sizeof(proxy->log), "%s", s3server_file(name));
	assert_int_equal(pipe(out), 0);
	proxy->pid = fork();
	assert_true(proxy->pid >= 0);
	if (proxy->pid == 0)
	{
		(void) dup2(out[1], 1);
		close(out[0]);
		close(out[1]);
		execl(program, program, "0", strrchr(need(tls ? "BKC_S3_TLS_URL" : "BKC_S3_URL"), ':') + 1,
			  proxy->control, "--log", proxy->log, tls ? "--raw" : NULL, NULL);
		_exit(127);
	}
	close(out[1]);
	ready = fdopen(out[0], "r");
	assert_non_null(ready);
	assert_non_null(fgets(line, sizeof(line), ready));
	assert_int_equal(sscanf(line, "ready %d", &proxy->port), 1);
	fclose(ready);
	s3proxy_set(proxy, "");
}

void
s3proxy_stop(S3Proxy *proxy)
{
	if (proxy->pid <= 0)
		return;
	(void) kill(proxy->pid, SIGTERM);
	(void) waitpid(proxy->pid, NULL, 0);
	proxy->pid = 0;
}

void
s3proxy_set(S3Proxy *proxy, const char *json)
{
	const char *tmp = s3server_write_file("proxy.new", json, strlen(json));
	int			fd = open(proxy->log, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(rename(tmp, proxy->control), 0);
}

char *
s3proxy_log(const S3Proxy *proxy)
{
	BkcBuffer	text = {0};
	BkcError	err;
	char	   *copy;

	assert_ok(bkc_file_slurp(proxy->log, 1 << 24, &text, &err), &err);
	copy = strdup(bkc_buffer_str(&text));
	bkc_buffer_free(&text);
	assert_non_null(copy);
	return copy;
}

int
s3proxy_count(const S3Proxy *proxy)
{
	char	   *text = s3proxy_log(proxy);
	int			n = 0;

	for (const char *p = text; *p != '\0'; p++)
		n += *p == '\n';
	free(text);
	return n;
}
