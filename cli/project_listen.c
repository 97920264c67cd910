/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "base/log.h"
#include "cli/project_listen.h"
#include "http/server.h"

#define CONNECTIONS_MAX 8
#define TIMEOUT_MS 10000
#define PLAIN "text/plain; charset=utf-8"
#define METRICS "text/plain; version=0.0.4; charset=utf-8"

static void
answer_metrics(struct server_request *rq, struct project_listen *l)
{
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	pthread_mutex_lock(&l->lock);
	projector_put_metrics(&out, l->figures, l->reader);
	pthread_mutex_unlock(&l->lock);
	server_answer(rq, 200, METRICS, buf_bytes(&out));
	buf_free(&out);
}

static void
answer(struct server_request *rq, void *context)
{
	const char *path = server_path(rq), *method = server_method(rq);
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		server_answer(rq, 405, PLAIN, bytes_str("GET or HEAD\n"));
	else if (strcmp(path, "/metrics") == 0)
		answer_metrics(rq, context);
	else if (strcmp(path, "/livez") == 0)
		server_answer(rq, 200, PLAIN, bytes_str("live\n"));
	else
		server_answer(rq, 404, PLAIN, bytes_str("there are /metrics and /livez\n"));
}

enum rc
project_listen_start(struct project_listen *l, const char *address, struct projector_figures *figures,
	struct store_reader *reader, struct err *e)
{
	if (address[0] == '\0')
		return RC_OK;
	const struct server_options options = { .listen = address,
		.key = "projector.listen",
		.socket_name = "projector",
		.connections_max = CONNECTIONS_MAX,
		.head_timeout_ms = TIMEOUT_MS,
		.write_timeout_ms = TIMEOUT_MS,
		.handle = answer,
		.context = l };
	l->figures = figures;
	pthread_mutex_init(&l->lock, NULL);
	enum rc rc = store_reader_share(reader, &l->reader, e);
	if (rc == RC_OK)
		rc = server_start(&l->server, &options, e);
	if (rc == RC_OK)
		LOG_INFO("project.listening", F_S("address", server_address(l->server)));
	return rc;
}

void
project_listen_stop(struct project_listen *l)
{
	if (l->figures == NULL)
		return;
	server_stop(l->server);
	store_reader_close(l->reader);
	pthread_mutex_destroy(&l->lock);
	*l = (struct project_listen){ 0 };
}
