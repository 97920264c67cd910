/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/log.h"
#include "cli/cmd.h"
#include "cli/commands.h"
#include "cli/receiver_at.h"
#include "cli/services.h"
#include "pg/cluster.h"
#include "pg/pg.h"

/* Everything `up` runs, in the order it is started; stopped in the opposite order. */
struct up {
	struct arena *a;
	struct config config;
	int stop_fd, hangup_fd;
	struct cluster *cluster; /* NULL when a database is configured */
	struct store *store;
	struct ingest *ingest;
	pthread_t projector;
	bool projector_started;
	int projector_stop_fd;
	struct store_reader *reader; /* of the projector's thread */
	struct projector_options projector_options;
	struct projector_figures figures;
	pthread_t subscriptions; /* serves them with a reader of its own */
	bool subscriptions_started;
	struct store_reader *subscriptions_reader;
	struct subscriptions_options subscriptions_options;
	const char *same_options; /* " --data X" for the other commands, or "" */
	bool first_start; /* the log was empty */
};

/* ---- the projector's thread ---- */

#define REBUILD_RETRY_MIN_MS 250
#define REBUILD_RETRY_MAX_MS 30000

/* Makes the tables anew. A database that goes away meanwhile is waited for, and so is the lock that our own
 * broken connection may hold for some time; the rebuild goes on where it was. */
static enum rc
rebuild_patiently(struct up *up, struct err *e)
{
	int64_t backoff_ms = REBUILD_RETRY_MIN_MS;
	for (;;) {
		enum rc rc = projector_rebuild(&up->projector_options, e);
		bool locked = rc == RC_CONFLICT && e->id != NULL && strcmp(e->id, "project.locked") == 0;
		if ((rc != RC_AGAIN && !locked) || cmd_stopped(up->projector_stop_fd))
			return rc;
		log_err("postgres.unavailable", e);
		struct pollfd fd = { .fd = up->projector_stop_fd, .events = POLLIN };
		if (poll(&fd, 1, (int)backoff_ms) > 0)
			return rc;
		backoff_ms = backoff_ms * 2 > REBUILD_RETRY_MAX_MS ? REBUILD_RETRY_MAX_MS : backoff_ms * 2;
	}
}

static void *
project(void *context)
{
	struct up *up = context;
	struct err e;
	enum rc rc = projector_run(&up->projector_options, &e);
	/* After an upgrade of hooklog, or a change of a projection file, on one machine there is nobody
	 * else to ask: make the tables anew. The old ones are shown until the new ones are complete. */
	if (rc == RC_CONFLICT && e.id != NULL && strcmp(e.id, "project.definitions-changed") == 0) {
		LOG_INFO("project.rebuild", F_S("reason", e.text));
		rc = rebuild_patiently(up, &e);
		if (rc == RC_OK)
			rc = projector_run(&up->projector_options, &e);
	}
	/* The receiver goes on whatever happens here: webhooks land, tables wait. */
	if (rc != RC_OK && !(rc == RC_AGAIN && cmd_stopped(up->projector_stop_fd)))
		log_err("project.stopped", &e);
	return NULL;
}

static enum rc
start_projector(struct up *up, struct err *e)
{
	enum rc rc = store_reader_from(up->store, &up->reader, e);
	struct store_span span;
	if (rc == RC_OK)
		rc = store_span(up->reader, &span, e); /* from here on the reader is the thread's */
	if (rc != RC_OK)
		return rc;
	up->first_start = span.last_seq == 0;
	up->projector_stop_fd = eventfd(0, EFD_CLOEXEC);
	if (up->projector_stop_fd < 0)
		return err_sys(e, RC_IO, NULL, errno, "make an eventfd");
	up->projector_options = services_projector(&up->config, up->reader, up->a);
	up->projector_options.stop_fd = up->projector_stop_fd;
	up->projector_options.figures = &up->figures;
	int failed = pthread_create(&up->projector, NULL, project, up);
	if (failed != 0)
		return err_sys(e, RC_IO, NULL, failed, "start the projector's thread");
	up->projector_started = true;
	return RC_OK;
}

/* ---- the subscriptions' thread; ends with the projector's ---- */

static void *
serve_subscriptions(void *context)
{
	const struct up *up = context;
	subscriptions_run(&up->subscriptions_options);
	return NULL;
}

static enum rc
start_subscriptions(struct up *up, struct err *e)
{
	enum rc rc = store_reader_from(up->store, &up->subscriptions_reader, e);
	if (rc != RC_OK)
		return rc;
	up->subscriptions_options = services_subscriptions(
		&up->config, up->subscriptions_reader, up->projector_stop_fd);
	int failed = pthread_create(&up->subscriptions, NULL, serve_subscriptions, up);
	if (failed != 0)
		return err_sys(e, RC_IO, NULL, failed, "start the subscriptions' thread");
	up->subscriptions_started = true;
	return RC_OK;
}

static void
join_subscriptions(struct up *up)
{
	if (up->subscriptions_started)
		pthread_join(up->subscriptions, NULL);
	store_reader_close(up->subscriptions_reader);
}

static void
stop_projector(struct up *up)
{
	if (up->projector_started) {
		const uint64_t one = 1;
		ssize_t written UNUSED = write(up->projector_stop_fd, &one, sizeof one);
		pthread_join(up->projector, NULL);
	}
	join_subscriptions(up);
	if (up->projector_stop_fd >= 0)
		close(up->projector_stop_fd);
	store_reader_close(up->reader);
}

/* ---- the first start ---- */

/* Makes the source "github" when there is none at all. */
static enum rc
ensure_source(struct up *up, struct err *e)
{
	struct sources *sources = NULL;
	enum rc rc = sources_load(&sources, up->config.sources_dir, e);
	if (rc == RC_OK && sources_count(sources) == 0) {
		const struct source_plan plan = { .name = "github", .provider = "github" };
		const char *secret_path;
		rc = source_add(up->config.sources_dir, &plan, up->a, &secret_path, e);
	}
	sources_release(sources);
	return rc;
}

/* Waits until the tables show event 1. */
static enum rc
wait_projected(struct up *up, struct err *e)
{
	struct pg *pg = NULL;
	int64_t deadline_ms = clock_monotonic_ms() + 20000;
	enum rc rc = RC_AGAIN;
	while (rc != RC_OK && rc != RC_DENIED && clock_monotonic_ms() < deadline_ms &&
		!cmd_stopped(up->stop_fd)) {
		struct pg_result *r = NULL;
		rc = pg == NULL ? pg_connect(&pg, up->projector_options.conninfo, "hooklog up", e) : RC_OK;
		if (rc == RC_OK)
			rc = pg_query(pg, "select event, delivery from hooklog.events where seq = 1", NULL, 0,
				&r, e);
		if (rc == RC_OK && pg_rows(r) == 1)
			printf("          visible in hooklog.events: seq 1, event %s, delivery %s\n",
				pg_field(r, 0, 0), pg_field(r, 0, 1));
		else if (rc == RC_OK)
			rc = err_set(e, RC_AGAIN, NULL, "event 1 is not in hooklog.events yet");
		pg_result_free(r);
		if (rc != RC_OK)
			clock_sleep_ms(50);
	}
	pg_close(pg);
	return rc;
}

/* Sends one signed ping through everything and shows it at each station. */
static enum rc
prove(struct up *up, struct err *e)
{
	struct sources *sources = NULL;
	struct http_response answer = { 0 };
	enum rc rc = sources_load(&sources, up->config.sources_dir, e);
	if (rc != RC_OK || sources_count(sources) == 0)
		goto done;
	const struct source *source = sources_at(sources, 0);
	struct receiver_at at;
	rc = receiver_at(&at, &up->config, ingest_address(up->ingest), source->name, up->a, e);
	if (rc != RC_OK)
		goto done;
	printf("first start: sending one signed ping to %s\n", at.url);
	rc = receiver_ping(&at, source, up->a, &answer, e);
	if (rc == RC_OK && answer.status != 202)
		rc = err_set(e, RC_IO, "ingest.source", "the ping was answered with status %d", answer.status);
	if (rc != RC_OK)
		goto done;
	printf("          answer %d %.*s\n", answer.status, (int)strcspn(buf_cstr(&answer.body), "\n"),
		(const char *)answer.body.data);
	rc = wait_projected(up, e);
done:
	if (rc != RC_OK && cmd_stopped(up->stop_fd))
		rc = RC_OK;
	http_response_free(&answer);
	sources_release(sources);
	return rc;
}

/* ---- start, watch, stop ---- */

static void
put_psql(struct buf *out, const struct up *up)
{
	if (up->cluster != NULL)
		buf_printf(out, "psql \"%s\"", up->projector_options.conninfo);
	else if (up->projector_options.conninfo[0] == '\0')
		buf_put_str(out, "psql");
	else
		buf_put_str(out, "psql \"$DATABASE_URL\"");
}

static void
print_banner(struct up *up)
{
	struct buf psql = buf_new(8192);
	struct sources *sources = NULL;
	struct receiver_at at;
	put_psql(&psql, up);
	printf("\nhooklog is up; Ctrl-C stops it\n\n");
	if (sources_load(&sources, up->config.sources_dir, NULL) == RC_OK) {
		for (size_t i = 0; i < sources_count(sources); i++) {
			const struct source *s = sources_at(sources, i);
			if (receiver_at(&at, &up->config, ingest_address(up->ingest), s->name,
				    up->a, NULL) != RC_OK)
				continue;
			printf("  webhook URL  %s%s%s\n", at.url,
				at.unix_socket == NULL ? "" : "  by the socket ",
				at.unix_socket == NULL ? "" : at.unix_socket);
			if (s->secret_count > 0)
				printf("  secret in    %s/%s\n", up->config.sources_dir, s->secrets[0].file);
		}
	}
	sources_release(sources);
	printf("  tables       %s\n\nTry next, in another terminal:\n\n", buf_cstr(&psql));
	/* As this program was called, so that the lines can be pasted. */
	const char *self = program_invocation_name;
	/* simulate finds the default address by itself, and what stands in the configuration file. */
	const char *url = "";
	if (receiver_at(&at, &up->config, ingest_address(up->ingest), "github", up->a, NULL) == RC_OK &&
		at.unix_socket == NULL && at.pin == NULL &&
		strcmp(at.url, "http://127.0.0.1:8080/in/github") != 0)
		url = arena_printf(up->a, " --url %s", at.url);
	printf("  %s simulate%s%s --count 500\n", self, up->same_options, url);
	printf("  %s log tail%s --follow\n", self, up->same_options);
	printf("  %s -c 'select * from hooklog.events order by seq desc limit 5'\n\n", buf_cstr(&psql));
	fflush(stdout);
	buf_free(&psql);
}

/* Watches the parts until a stop is asked for. */
static enum rc
watch(struct up *up, struct err *e)
{
	int64_t restart_at_ms = 0;
	enum rc health = RC_OK;
	struct pollfd fd = { .fd = up->stop_fd, .events = POLLIN };
	while (poll(&fd, 1, SERVICES_WATCH_MS) <= 0) {
		if (cmd_take_hangup(up->hangup_fd))
			services_reload(up->ingest, true);
		enum rc rc = services_watch(up->ingest, up->store, &health, e);
		if (rc != RC_OK)
			return rc;
		if (up->cluster == NULL || cluster_running(up->cluster) ||
			clock_monotonic_ms() < restart_at_ms)
			continue;
		struct err died;
		LOG_WARN("postgres.cluster", F_S("error", "PostgreSQL ended; starting it again"));
		if (cluster_restart(up->cluster, &died) != RC_OK) {
			log_err("postgres.cluster", &died);
			restart_at_ms = clock_monotonic_ms() + 10000;
		}
	}
	return RC_OK;
}

static enum rc
start(struct up *up, const struct cli_call *call, struct err *e)
{
	enum rc rc = config_load(&up->config, call, up->a, NULL, e);
	up->same_options = arena_printf(up->a, "%s%s%s%s", call->config_path == NULL ? "" : " --config ",
		call->config_path == NULL ? "" : call->config_path,
		call->data_dir == NULL ? "" : " --data ", call->data_dir == NULL ? "" : call->data_dir);
	if (rc == RC_OK) {
		up->stop_fd = cmd_stop_fd(e);
		rc = up->stop_fd < 0 ? e->rc : RC_OK;
	}
	if (rc == RC_OK) {
		up->hangup_fd = cmd_hangup_fd(e);
		rc = up->hangup_fd < 0 ? e->rc : RC_OK;
	}
	if (rc == RC_OK)
		rc = fs_mkdir(up->config.data_dir, e);
	/* The log is the first thing to hold: its lock tells a second `up` on the same folder to go. */
	if (rc == RC_OK)
		rc = services_open_log(&up->config, &up->store, e);
	if (rc == RC_OK && !config_names_postgres(&up->config)) {
		LOG_INFO("postgres.cluster.start", F_S("dir", up->config.cluster_dir));
		rc = cluster_start(&up->cluster, up->config.cluster_dir, e);
	}
	if (rc == RC_OK)
		rc = ensure_source(up, e);
	if (rc == RC_OK)
		rc = services_start_ingest(&up->config, up->store, &up->figures, up->a, &up->ingest, e);
	if (rc == RC_OK)
		rc = start_projector(up, e);
	if (rc == RC_OK)
		rc = start_subscriptions(up, e);
	return rc;
}

static int
run_up(const struct cli_call *call)
{
	struct up up = { .a = arena_new(64 * 1024), .stop_fd = -1, .hangup_fd = -1, .projector_stop_fd = -1 };
	struct err e;
	enum rc rc = start(&up, call, &e);
	if (rc == RC_OK && up.first_start)
		rc = prove(&up, &e);
	if (rc == RC_OK && !cmd_stopped(up.stop_fd)) {
		print_banner(&up);
		LOG_INFO("up.ready", F_S("address", ingest_address(up.ingest)));
		rc = watch(&up, &e);
	}
	/* First nothing comes in any more, then what came in is on disk, then the tables, last the server. */
	struct err drained;
	if (up.ingest != NULL && ingest_drain(up.ingest, 10000, &drained) != RC_OK)
		log_err("ingest.drain", &drained);
	ingest_stop(up.ingest);
	stop_projector(&up);
	store_close(up.store);
	cluster_stop(up.cluster);
	int code = rc == RC_OK ? EXIT_DONE : cmd_fail(&e);
	if (rc == RC_OK)
		LOG_INFO("up.stopped", F_S("dir", up.config.data_dir));
	if (up.stop_fd >= 0)
		close(up.stop_fd);
	if (up.hangup_fd >= 0)
		close(up.hangup_fd);
	arena_free(up.a);
	return code;
}

const struct cli_command cmd_up = {
	.name = "up",
	.args_help = "",
	.summary = "Run everything on this machine: receiver, projector, private PostgreSQL.",
	.details = "Without a configured database (postgres.url, DATABASE_URL, PGHOST, PGSERVICE) it keeps a\n"
		   "private PostgreSQL cluster in the data folder, reachable only by a unix socket. On first\n"
		   "start it makes the source `github` with a random secret and sends itself one signed ping\n"
		   "to show that all of it works. SIGINT or SIGTERM stop everything in order.\n",
	.run = run_up,
};
