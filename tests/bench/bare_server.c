/* SPDX-License-Identifier: Apache-2.0 */
/* The limit beside which the receiver is measured: the same HTTP library with the same threads reads
 * the same requests, computes the HMAC that proves the sender, answers 202 and stores nothing.
 *
 *	bare_server SECRET [once]
 *
 * Prints its port and serves until it is killed; with "once" it closes after each answer. */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <signal.h>
#include <unistd.h>

#include "event/sign.h"

struct server {
	struct bytes secret;
	bool once;
};

struct body {
	size_t len, cap;
	unsigned char *data;
};

static enum MHD_Result
answer(struct server *s, struct MHD_Connection *connection, const struct body *body)
{
	static char text[] = "{\"seq\":1,\"duplicate\":false}\n";
	const char *given = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, SIGN_GITHUB_HEADER);
	bool good = given != NULL && sign_github_matches(s->secret,
		(struct bytes){ body->data, body->len }, bytes_str(given));
	struct MHD_Response *response =
		MHD_create_response_from_buffer(sizeof text - 1, text, MHD_RESPMEM_PERSISTENT);
	MHD_add_response_header(response, "Content-Type", "application/json");
	if (s->once)
		MHD_add_response_header(response, "Connection", "close");
	enum MHD_Result queued = MHD_queue_response(connection, good ? 202 : 401, response);
	MHD_destroy_response(response);
	return queued;
}

static enum MHD_Result
handle(void *cls, struct MHD_Connection *connection, const char *url UNUSED, const char *method UNUSED,
	const char *version UNUSED, const char *data, size_t *bytes, void **context)
{
	struct body *body = *context;
	if (body == NULL) {
		const char *len =
			MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");
		*context = body = base_zalloc(sizeof *body);
		body->cap = len == NULL ? 0 : strtoul(len, NULL, 10);
		body->data = base_alloc(body->cap + 1);
		return MHD_YES;
	}
	if (*bytes == 0)
		return answer(cls, connection, body);
	if (*bytes > body->cap - body->len)
		return MHD_NO;
	memcpy(body->data + body->len, data, *bytes);
	body->len += *bytes;
	*bytes = 0;
	return MHD_YES;
}

static void
completed(void *cls UNUSED, struct MHD_Connection *connection UNUSED, void **context,
	enum MHD_RequestTerminationCode code UNUSED)
{
	struct body *body = *context;
	if (body != NULL)
		free(body->data);
	free(body);
}

int
main(int argc, char **argv)
{
	struct server s = { .secret = bytes_str(argc > 1 ? argv[1] : ""),
		.once = argc > 2 && strcmp(argv[2], "once") == 0 };
	struct sockaddr_in at = { .sin_family = AF_INET };
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	signal(SIGPIPE, SIG_IGN);
	struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, handle,
		&s, MHD_OPTION_NOTIFY_COMPLETED, completed, NULL, MHD_OPTION_SOCK_ADDR,
		(struct sockaddr *)&at, MHD_OPTION_CONNECTION_LIMIT, 2048u,
		MHD_OPTION_THREAD_POOL_SIZE, (unsigned)(cores > 1 ? cores : 1),
		MHD_OPTION_END);
	if (daemon == NULL)
		return 1;
	printf("%u\n", (unsigned)MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
	fflush(stdout);
	for (;;)
		pause();
}
