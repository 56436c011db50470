/*
 * httpstub.c
 *		A scripted stand-in for an HTTP server (contract: httpstub.h).
 *
 * One process listens, and has a child for each connection.
 */
#include "httpstub.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define REQUEST_MAX		(64 * 1024 * 1024)
#define PIECE			(64 * 1024)

static void
die(const char *what)
{
	fprintf(stderr, "httpstub: %s: %s\n", what, strerror(errno));
	_exit(1);
}

uint8_t
httpstub_byte(size_t i)
{
	return (uint8_t) (i * 7 + (i >> 8) * 13 + (i >> 16));
}

static void
send_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0)
	{
		ssize_t		n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(0);
		p += n;
		len -= (size_t) n;
	}
}

static void
send_body(int fd, const HttpStubRule *rule, size_t len)
{
	char	   *piece = malloc(PIECE);

	if (piece == NULL)
		die("malloc");
	for (size_t at = 0; at < len;)
	{
		size_t		n = len - at < PIECE ? len - at : PIECE;

		if (rule->drip_ms > 0)
		{
			n = 1;
			(void) poll(NULL, 0, rule->drip_ms);
		}
		for (size_t i = 0; i < n; i++)
			piece[i] = rule->generated > 0 ? (char) httpstub_byte(at + i) : rule->body[at + i];
		if (rule->chunked)
		{
			char		line[32];

			send_all(fd, line, (size_t) snprintf(line, sizeof(line), "%zx\r\n", n));
		}
		send_all(fd, piece, n);
		if (rule->chunked)
			send_all(fd, "\r\n", 2);
		at += n;
	}
	free(piece);
}

/* The peer is gone, or the listener's end comes. */
static void
wait_for_end(int fd)
{
	char		byte;

	while (recv(fd, &byte, 1, 0) > 0)
		;
	_exit(0);
}

/* Answer; false when the connection ends. */
static bool
answer(int fd, const HttpStubRule *rule, bool head)
{
	size_t		len = rule->generated > 0 ? rule->generated : strlen(rule->body);
	struct linger now = {.l_onoff = 1};
	char		text[2048];
	char		length[64] = "Transfer-Encoding: chunked\r\n";

	if (rule->delay_ms > 0)
		(void) poll(NULL, 0, rule->delay_ms);
	switch (rule->how)
	{
		case STUB_HANG:
			wait_for_end(fd);
			break;
		case STUB_SILENT_END:
			return false;
		case STUB_RESET:
			(void) setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
			return false;
		case STUB_RAW:
			send_all(fd, rule->body, len);
			return false;
		default:
			break;
	}
	send_all(fd, rule->interim, strlen(rule->interim));
	if (!rule->chunked)
		snprintf(length, sizeof(length), "Content-Length: %zu\r\n", len);
	if (rule->status == 204 || rule->status == 304)
		length[0] = '\0';
	send_all(fd, text, (size_t) snprintf(text, sizeof(text), "HTTP/1.1 %d Status\r\n%s%s",
										 rule->status, length,
										 rule->how == STUB_CLOSE_AFTER ? "Connection: close\r\n" : ""));
	for (int i = 0; i <= rule->repeat; i++)
		send_all(fd, rule->headers, strlen(rule->headers));
	send_all(fd, "\r\n", 2);
	if (rule->how == STUB_STALL || rule->how == STUB_CUT)
		len /= 2;
	if (!head && length[0] != '\0')
		send_body(fd, rule, len);
	if (rule->how == STUB_STALL)
		wait_for_end(fd);
	if (rule->how == STUB_CUT)
		return false;
	if (!head && rule->chunked)
		send_all(fd, "0\r\n\r\n", 5);
	return rule->how == STUB_REPLY;
}

/* The first rule that fits. */
static HttpStubRule *
find_rule(HttpStubShared *s, const char *method, const char *path)
{
	for (int i = 0; i < s->nrules; i++)
	{
		HttpStubRule *rule = &s->rules[i];

		if ((rule->method[0] != '\0' && strcmp(rule->method, method) != 0) ||
			(rule->path[0] != '\0' && strcmp(rule->path, path) != 0))
			continue;
		if (__atomic_fetch_add(&rule->used, 1, __ATOMIC_SEQ_CST) < rule->times || rule->times == 0)
			return rule;
	}
	return NULL;
}

/* One request whose end is known; false when the connection ends. */
static bool
serve(HttpStubShared *s, int fd, const char *request, size_t head_len)
{
	static const HttpStubRule no_rule = {.status = 404, .body = "no rule"};
	static const HttpStubRule refused = {.status = 401, .body = "needs something else"};
	char		method[8] = "";
	char		path[256] = "";
	const HttpStubRule *rule;
	int			open;
	bool		ok;

	(void) sscanf(request, "%7s %255s", method, path);
	snprintf(s->last, sizeof(s->last), "%s", request);
	__atomic_fetch_add(&s->requests, 1, __ATOMIC_SEQ_CST);
	open = __atomic_add_fetch(&s->open, 1, __ATOMIC_SEQ_CST);
	if (open > s->most_open)
		s->most_open = open;
	rule = find_rule(s, method, path);
	if (rule == NULL)
		rule = &no_rule;
	else if (rule->need[0] != '\0' && strstr(request, rule->need) == NULL)
		rule = &refused;
	ok = answer(fd, rule, strcmp(method, "HEAD") == 0);
	__atomic_fetch_sub(&s->open, 1, __ATOMIC_SEQ_CST);
	return ok;
}

static void
serve_connection(HttpStubShared *s, int fd)
{
	size_t		cap = PIECE;
	size_t		len = 0;
	char	   *request = malloc(cap + 1);

	__atomic_fetch_add(&s->connections, 1, __ATOMIC_SEQ_CST);
	for (;;)
	{
		char	   *end;
		char	   *length;
		size_t		whole;
		ssize_t		n;

		if (request == NULL)
			die("malloc");
		request[len] = '\0';
		end = strstr(request, "\r\n\r\n");
		if (end != NULL)
		{
			size_t		head = (size_t) (end - request) + 4;

			end[2] = '\0';
			length = strcasestr(request, "\nContent-Length:");
			whole = head + (length != NULL ? strtoul(length + 16, NULL, 10) : 0);
			end[2] = '\r';
			if (whole > REQUEST_MAX)
				die("request too long");
			if (len >= whole)
			{
				if (!serve(s, fd, request, head))
					break;
				memmove(request, request + whole, len - whole);
				len -= whole;
				continue;
			}
		}
		if (len == cap)
			request = realloc(request, (cap *= 2) + 1);
		if (request == NULL)
			die("realloc");
		n = recv(fd, request + len, cap - len, 0);
		if (n <= 0)
			break;
		len += (size_t) n;
	}
	free(request);
	close(fd);
	_exit(0);
}

static int
listen_somewhere(int *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t	len = sizeof(a);
	int			fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *) &a, sizeof(a)) != 0 || listen(fd, 128) != 0 ||
		getsockname(fd, (struct sockaddr *) &a, &len) != 0)
		die("could not listen");
	*port = ntohs(a.sin_port);
	return fd;
}

int
httpstub_dead_port(void)
{
	int			port;

	close(listen_somewhere(&port));
	return port;
}

void
httpstub_start(HttpStub *stub)
{
	pid_t		parent = getpid();
	int			fd = listen_somewhere(&stub->port);

	stub->shared = mmap(NULL, sizeof(*stub->shared), PROT_READ | PROT_WRITE,
						MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (stub->shared == MAP_FAILED)
		die("mmap");
	snprintf(stub->url, sizeof(stub->url), "http://127.0.0.1:%d", stub->port);
	stub->pid = fork();
	if (stub->pid < 0)
		die("fork");
	if (stub->pid > 0)
	{
		(void) setpgid(stub->pid, stub->pid);
		close(fd);
		return;
	}
	(void) setpgid(0, 0);
	(void) prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	signal(SIGCHLD, SIG_IGN);
	for (;;)
	{
		pid_t		listener = getpid();
		int			connection = accept(fd, NULL, NULL);

		if (connection < 0)
			continue;
		(void) setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &(int) {1}, sizeof(int));
		if (fork() == 0)
		{
			(void) prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (getppid() != listener)
				_exit(0);
			close(fd);
			serve_connection(stub->shared, connection);
		}
		close(connection);
	}
}

void
httpstub_stop(HttpStub *stub)
{
	if (stub->pid <= 0)
		return;
	(void) kill(-stub->pid, SIGKILL);
	(void) waitpid(stub->pid, NULL, 0);
	(void) munmap(stub->shared, sizeof(*stub->shared));
	stub->pid = 0;
}

void
httpstub_restart(HttpStub *stub)
{
	httpstub_stop(stub);
	httpstub_start(stub);
}

void
httpstub_clear(HttpStub *stub)
{
	memset(stub->shared, 0, sizeof(*stub->shared));
}

HttpStubRule *
httpstub_on(HttpStub *stub, const char *method, const char *path, int status, const char *body)
{
	HttpStubRule *rule = &stub->shared->rules[stub->shared->nrules];

	if (stub->shared->nrules == HTTPSTUB_RULES)
		abort();
	memset(rule, 0, sizeof(*rule));
	snprintf(rule->method, sizeof(rule->method), "%s", method != NULL ? method : "");
	snprintf(rule->path, sizeof(rule->path), "%s", path != NULL ? path : "");
	snprintf(rule->body, sizeof(rule->body), "%s", body != NULL ? body : "");
	rule->status = status;
	stub->shared->nrules++;
	return rule;
}
