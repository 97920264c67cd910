/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "event/sign.h"
#include "ingest/sources.h"
#include "tests/unit/ingest/world.h"

static void
start(struct world *w)
{
	struct err e;
	if (ingest_start(&w->in, &w->options, &e) != RC_OK)
		fail_msg("ingest_start: %s", e.text);
}

struct world *
world_new(enum ingest_threading threading)
{
	struct world *w = base_zalloc(sizeof *w);
	const char *tmp = getenv("TMPDIR");
	const char *path;
	struct err e;
	struct arena *a = arena_new(256);
	snprintf(w->dir, sizeof w->dir, "%s/hooklog-ingest-XXXXXX", tmp == NULL ? "/tmp" : tmp);
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->sources_dir, sizeof w->sources_dir, "%s/sources", w->dir);
	snprintf(w->salt_file, sizeof w->salt_file, "%s/salt", w->dir);
	const struct source_plan gh = { .name = "gh", .provider = "github", .secret = bytes_str(WORLD_SECRET) };
	const struct source_plan open = { .name = "open", .provider = "github", .allow_unsigned = true };
	assert_int_equal(source_add(w->sources_dir, &gh, a, &path, &e), RC_OK);
	assert_int_equal(source_add(w->sources_dir, &open, a, &path, &e), RC_OK);
	arena_free(a);
	w->store = fake_store_new();
	w->options = (struct ingest_options){
		.listen = "127.0.0.1:0",
		.threading = threading,
		.threads = 2,
		.connections_max = 64,
		.sources_dir = w->sources_dir,
		.salt_file = w->salt_file,
		.store = w->store,
	};
	start(w);
	return w;
}

void
world_restart(struct world *w)
{
	ingest_stop(w->in);
	start(w);
}

void
world_free(struct world *w)
{
	ingest_stop(w->in);
	fake_store_free(w->store);
	static const char *const files[] = { "sources/gh.conf", "sources/gh.secret",
		"sources/open.conf", "sources", "salt", "" };
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		char path[320];
		snprintf(path, sizeof path, "%s/%s", w->dir, files[i]);
		if (unlink(path) != 0)
			rmdir(path);
	}
	free(w);
}

int
world_connect(struct world *w)
{
	const char *colon = strrchr(ingest_address(w->in), ':');
	struct sockaddr_in to = { .sin_family = AF_INET };
	to.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	return fd;
}

void
world_send(int fd, const void *data, size_t len)
{
	const unsigned char *p = data;
	while (len > 0) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		p += n;
		len -= (size_t)n;
	}
}

int
world_read(int fd, struct buf *answer)
{
	char part[4096];
	*answer = buf_new(64 * 1024);
	for (ssize_t n; (n = recv(fd, part, sizeof part, 0)) > 0;)
		buf_put(answer, part, (size_t)n);
	close(fd);
	const char *text = buf_cstr(answer);
	return strncmp(text, "HTTP/1.1 ", 9) == 0 ? (int)strtol(text + 9, NULL, 10) : 0;
}

int
world_ask(struct world *w, struct bytes request, struct buf *answer)
{
	int fd = world_connect(w);
	world_send(fd, request.data, request.len);
	return world_read(fd, answer);
}

int
world_status(struct world *w, const char *request)
{
	struct buf answer;
	int status = world_ask(w, bytes_str(request), &answer);
	buf_free(&answer);
	return status;
}

void
world_put_post(struct buf *out, const char *path, const char *delivery, struct bytes body,
	const char *extra)
{
	buf_printf(out,
		"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
		"X-GitHub-Event: issues\r\nX-GitHub-Hook-ID: 7\r\nX-GitHub-Delivery: %s\r\n"
		"Content-Length: %zu\r\nX-Hub-Signature-256: ",
		path, delivery, body.len);
	sign_github(bytes_str(WORLD_SECRET), body, out);
	buf_printf(out, "\r\n%s\r\n", extra);
	buf_put_bytes(out, body);
}

int
world_post(struct world *w, const char *path, struct bytes body, struct buf *answer)
{
	struct buf request = buf_new(LIMIT_FORM_BODY_BYTES * 2);
	world_put_post(&request, path, "d-1", body, "");
	int status = world_ask(w, buf_bytes(&request), answer);
	buf_free(&request);
	return status;
}

int
world_post_status(struct world *w, struct bytes body)
{
	struct buf answer;
	int status = world_post(w, "/in/gh", body, &answer);
	buf_free(&answer);
	return status;
}
