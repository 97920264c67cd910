/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/listen.h"

#define LISTEN_ID "ingest.listen"
#define LISTEN_BACKLOG 1024
/* The first descriptor that sd_listen_fds(3) passes. */
#define PASSED_FD_FIRST 3
static const char unix_prefix[] = "unix:";

static enum rc
bad_address(const char *key, const char *where, struct err *e)
{
	return err_set(e, RC_INVALID, LISTEN_ID,
		"%s: \"%s\" is not an address with a port; write it as 127.0.0.1:8080, [::1]:8080 "
		"or unix:/run/hooklog/ingest.sock",
		key, where);
}

/* Splits "host:port" and "[host]:port". */
static enum rc
split_address(const char *key, const char *where, char host[256], char port[8], struct err *e)
{
	const char *colon = strrchr(where, ':');
	if (colon == NULL || colon == where || strlen(colon + 1) == 0 || strlen(colon + 1) > 5)
		return bad_address(key, where, e);
	const char *start = where, *end = colon;
	if (*start == '[' && end[-1] == ']') {
		start++;
		end--;
	} else if (memchr(start, ':', (size_t)(end - start)) != NULL) {
		return bad_address(key, where, e);
	}
	if (end <= start || (size_t)(end - start) >= 256)
		return bad_address(key, where, e);
	memcpy(host, start, (size_t)(end - start));
	host[end - start] = '\0';
	unsigned long number = 0;
	for (const char *p = colon + 1; *p != '\0'; p++) {
		if (*p < '0' || *p > '9')
			return bad_address(key, where, e);
		number = number * 10 + (unsigned long)(*p - '0');
	}
	if (number > 65535)
		return bad_address(key, where, e);
	snprintf(port, 8, "%lu", number);
	return RC_OK;
}

static enum rc
name_address(struct listener *l, struct err *e)
{
	struct sockaddr_storage bound = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof bound;
	char host[64], port[8];
	if (getsockname(l->fd, (struct sockaddr *)&bound, &len) != 0)
		return err_sys(e, RC_IO, LISTEN_ID, errno, "cannot tell the address listened on");
	if (bound.ss_family == AF_UNIX) {
		struct sockaddr_un at;
		memcpy(&at, &bound, sizeof at);
		snprintf(l->address, sizeof l->address, "%s%.100s", unix_prefix, at.sun_path);
		return RC_OK;
	}
	if (getnameinfo((struct sockaddr *)&bound, len, host, sizeof host, port, sizeof port,
		    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return err_set(e, RC_IO, LISTEN_ID, "cannot tell the address listened on");
	l->v6 = bound.ss_family == AF_INET6;
	snprintf(l->address, sizeof l->address, l->v6 ? "[%s]:%s" : "%s:%s", host, port);
	return RC_OK;
}

/* ---- from the service manager ---- */

static long
number_of(const char *variable)
{
	const char *text = getenv(variable);
	return text == NULL ? 0 : strtol(text, NULL, 10);
}

/* The name of the index-th descriptor, "" when it has none. */
static void
passed_name(long index, char out[64])
{
	const char *names = getenv("LISTEN_FDNAMES");
	out[0] = '\0';
	for (long i = 0; names != NULL; i++) {
		size_t len = strcspn(names, ":");
		if (i == index) {
			snprintf(out, 64, "%.*s", (int)len, names);
			return;
		}
		names = names[len] == ':' ? names + len + 1 : NULL;
	}
}

static int
passed_fd(const char *name, bool take_first)
{
	char own[64];
	if (number_of("LISTEN_PID") != (long)getpid())
		return -1;
	for (long i = 0; i < number_of("LISTEN_FDS"); i++) {
		passed_name(i, own);
		bool other = strcmp(own, "admin") == 0 || strcmp(own, "subscriptions") == 0;
		if (strcmp(own, name) == 0 || (take_first && !other))
			return (int)(PASSED_FD_FIRST + i);
	}
	return -1;
}

static enum rc
take_passed(struct listener *l, int fd, struct err *e)
{
	int listening = 0;
	socklen_t len = sizeof listening;
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) != 0 || !listening)
		return err_set(e, RC_INVALID, LISTEN_ID,
			"descriptor %d of the service manager does not listen; the socket unit "
			"needs "
			"ListenStream= and Accept=no",
			fd);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	l->fd = fd;
	l->inherited = true;
	return name_address(l, e);
}

/* ---- our own ---- */

static enum rc
open_unix(struct listener *l, const char *key, const char *path, struct err *e)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	if (path[0] != '/' || strlen(path) >= sizeof at.sun_path ||
		strlen(path) + sizeof unix_prefix > LISTEN_ADDRESS_BYTES)
		return err_set(e, RC_INVALID, LISTEN_ID,
			"%s: the path of a unix socket is absolute and has at most %zu bytes", key,
			sizeof at.sun_path - 1);
	snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return err_sys(e, RC_IO, LISTEN_ID, errno, "cannot make a unix socket");
	struct stat st;
	if (lstat(path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode))
			return err_set(e, RC_INVALID, LISTEN_ID, "%s: %s is there and is no socket",
				key, path);
		if (connect(l->fd, (struct sockaddr *)&at, sizeof at) == 0)
			return err_set(e, RC_IO, LISTEN_ID,
				"%s is in use by another process; `ss -lxp` names it", path);
		/* What a killed predecessor left. */
		unlink(path);
	}
	mode_t before = umask(0117);
	int failed = bind(l->fd, (struct sockaddr *)&at, sizeof at) == 0 ? 0 : errno;
	umask(before);
	if (failed == 0 && listen(l->fd, LISTEN_BACKLOG) != 0)
		failed = errno;
	if (failed != 0)
		return err_sys(e, RC_IO, LISTEN_ID, failed, "cannot listen on %s", path);
	return name_address(l, e);
}

/* Binds by itself and not through the HTTP library, whose only message is that it did not start. */
static enum rc
open_address(struct listener *l, const char *key, const char *where, struct err *e)
{
	char host[256], port[8];
	enum rc rc = split_address(key, where, host, port, e);
	if (rc != RC_OK)
		return rc;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE },
			*found = NULL;
	int failed = getaddrinfo(host, port, &hints, &found);
	if (failed != 0)
		return err_set(e, RC_INVALID, LISTEN_ID,
			"%s: \"%s\": %s; use an address of this machine, such as 127.0.0.1:8080",
			key, where, gai_strerror(failed));
	int one = 1;
	l->fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0) {
		rc = err_sys(e, RC_IO, LISTEN_ID, errno, "cannot make a socket for %s", where);
		goto done;
	}
	setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(l->fd, found->ai_addr, found->ai_addrlen) == 0 &&
		listen(l->fd, LISTEN_BACKLOG) == 0)
		rc = name_address(l, e);
	else if (errno == EADDRINUSE)
		rc = err_set(e, RC_IO, LISTEN_ID,
			"%s is in use by another process; `ss -ltnp 'sport = :%s'` names it. Stop "
			"it, or set %s to another port",
			where, port, key);
	else if (errno == EADDRNOTAVAIL)
		rc = err_sys(e, RC_INVALID, LISTEN_ID, errno,
			"%s is no address of this machine; `ip address` lists them", where);
	else if (errno == EACCES)
		rc = err_sys(e, RC_IO, LISTEN_ID, errno,
			"not allowed to listen on %s; use a port from 1024 on", where);
	else
		rc = err_sys(e, RC_IO, LISTEN_ID, errno, "cannot listen on %s", where);
done:
	freeaddrinfo(found);
	return rc;
}

enum rc
listen_open(struct listener *l, const char *key, const char *where, const char *name,
	bool take_first, struct err *e)
{
	*l = (struct listener){ .fd = -1 };
	int passed = passed_fd(name, take_first);
	size_t prefix = sizeof unix_prefix - 1;
	if (passed >= 0)
		return take_passed(l, passed, e);
	enum rc rc = strncmp(where, unix_prefix, prefix) == 0 ? open_unix(l, key, where + prefix, e)
							      : open_address(l, key, where, e);
	if (rc != RC_OK && l->fd >= 0) {
		close(l->fd);
		l->fd = -1;
	}
	return rc;
}

void
listen_close(struct listener *l)
{
	if (l->fd < 0)
		return;
	close(l->fd);
	l->fd = -1;
	if (!l->inherited && strncmp(l->address, unix_prefix, sizeof unix_prefix - 1) == 0)
		unlink(l->address + sizeof unix_prefix - 1);
}
