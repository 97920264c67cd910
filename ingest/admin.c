/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "base/cli.h"
#include "base/clock.h"
#include "base/limits.h"
#include "ingest/admin.h"
#include "ingest/source_state.h"
#include "ingest/tls.h"

#define ADMIN_CONNECTIONS_MAX 32u
#define ADMIN_IDLE_S 10u
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define OPENMETRICS "application/openmetrics-text"
#define OPENMETRICS_TYPE OPENMETRICS "; version=1.0.0; charset=utf-8"

struct admin {
	struct ingest *in;
	struct listener listener;
	struct MHD_Daemon *daemon;
	void (*collect)(struct buf *out, void *context);
	bool (*ready)(struct buf *out, void *context);
	void *context;
};

/* Names of sources are [a-z0-9_-], so no label needs an escape. */
static void
put_requests(struct buf *out, struct ingest *in, const struct sources *sources)
{
	static const char name[] = "hooklog_ingest_requests_total";
	char labels[256];
	metrics_put_family(out, name, "counter", "Requests answered, by source and outcome.");
	for (int o = 0; o < OUTCOME_COUNT; o++) {
		snprintf(labels, sizeof labels, "source=\"\",provider=\"\",outcome=\"%s\"",
			metrics_outcome_name((enum outcome)o));
		metrics_put(out, name, labels, (double)atomic_load(&in->metrics.unknown[o]));
	}
	for (size_t i = 0; i < sources_count(sources); i++) {
		const struct source *s = sources_at(sources, i);
		for (int o = 0; o < OUTCOME_COUNT; o++) {
			snprintf(labels, sizeof labels,
				"source=\"%s\",provider=\"%s\",outcome=\"%s\"", s->name,
				s->provider->name, metrics_outcome_name((enum outcome)o));
			metrics_put(out, name, labels, (double)atomic_load(&s->state->outcomes[o]));
		}
	}
}

static void
put_per_source(struct buf *out, const struct sources *sources, const char *name, const char *help,
	double (*value)(const struct source *))
{
	char labels[256];
	metrics_put_family(out, name, "gauge", help);
	for (size_t i = 0; i < sources_count(sources); i++) {
		const struct source *s = sources_at(sources, i);
		snprintf(labels, sizeof labels, "source=\"%s\"", s->name);
		metrics_put(out, name, labels, value(s));
	}
}

static double
last_event(const struct source *s)
{
	return (double)atomic_load(&s->state->last_event_us) / 1e6;
}

static double
is_silent(const struct source *s)
{
	return atomic_load(&s->state->silent) ? 1 : 0;
}

static double
in_flight(const struct source *s)
{
	return (double)atomic_load(&s->state->in_flight_bytes);
}

static double
active_secrets(const struct source *s)
{
	size_t active = 0;
	for (size_t i = 0; i < s->secret_count; i++)
		active += source_secret_active(&s->secrets[i], clock_now_us());
	return (double)active;
}

static void
put_one(struct buf *out, const char *name, const char *type, const char *help, double value)
{
	metrics_put_family(out, name, type, help);
	metrics_put(out, name, NULL, value);
}

static void
put_tls(struct buf *out, struct tls *tls)
{
	if (tls == NULL)
		return;
	struct tls_facts facts = tls_look(tls);
	put_one(out, "hooklog_ingest_certificate_not_after_timestamp_seconds", "gauge",
		"When the certificate that is shown ends.", (double)facts.not_after_s);
	put_one(out, "hooklog_ingest_certificate_reloads_total", "counter",
		"Times a new certificate was taken up.", (double)facts.replaced);
	put_one(out, "hooklog_ingest_certificate_reloads_failed_total", "counter",
		"Times that failed and the old one stayed.", (double)facts.failed);
}

static void
put_process(struct buf *out)
{
	unsigned long long pages = 0, resident = 0;
	FILE *statm = fopen("/proc/self/statm", "re");
	if (statm != NULL) {
		if (fscanf(statm, "%llu %llu", &pages, &resident) == 2)
			put_one(out, "process_resident_memory_bytes", "gauge",
				"Resident memory of the process.",
				(double)resident * (double)sysconf(_SC_PAGESIZE));
		fclose(statm);
	}
	metrics_put_family(out, "hooklog_build_info", "gauge", "Which version runs; always 1.");
	metrics_put(out, "hooklog_build_info", "version=\"" CLI_VERSION "\"", 1);
}

void
admin_put_metrics(struct buf *out, struct ingest *in)
{
	struct metrics *m = &in->metrics;
	pthread_mutex_lock(&in->sources_lock);
	struct sources *sources = sources_retain(in->sources);
	pthread_mutex_unlock(&in->sources_lock);
	put_requests(out, in, sources);
	metrics_put_duration(out, m);
	put_one(out, "hooklog_ingest_body_bytes_total", "counter", "Bytes of bodies received.",
		(double)atomic_load(&m->body_bytes));
	put_one(out, "hooklog_ingest_in_flight_bytes", "gauge",
		"Memory held by bodies that are not on disk yet.",
		(double)atomic_load(&in->in_flight_bytes));
	put_one(out, "hooklog_ingest_in_flight_limit_bytes", "gauge",
		"What that memory may be at most.", (double)in->in_flight_bytes_max);
	put_one(out, "hooklog_ingest_connections", "gauge", "Open connections.",
		(double)conns_open(in->conns));
	put_one(out, "hooklog_ingest_connections_limit", "gauge",
		"Connections from which on requests are answered 503.",
		(double)in->connections_max);
	put_one(out, "hooklog_ingest_connections_total", "counter", "Connections accepted.",
		(double)atomic_load(&m->connections));
	put_one(out, "hooklog_ingest_connections_refused_total", "counter",
		"Connections closed because their address had too many.",
		(double)conns_refused(in->conns));
	put_one(out, "hooklog_ingest_commits_waiting", "gauge",
		"Events handed to the log and not yet answered.", (double)atomic_load(&in->lent));
	put_one(out, "hooklog_quarantine_kept_total", "counter",
		"Refused requests kept in the quarantine.", (double)atomic_load(&m->quarantined));
	put_one(out, "hooklog_ingest_source_reloads_total", "counter",
		"Times the sources were read again.", (double)atomic_load(&m->reloads));
	put_one(out, "hooklog_ingest_source_reloads_failed_total", "counter",
		"Times that failed and the old sources stayed.",
		(double)atomic_load(&m->reloads_failed));
	put_per_source(out, sources, "hooklog_ingest_source_last_event_timestamp_seconds",
		"When the last event of a source was stored; 0: none in the last eight days.", last_event);
	put_per_source(out, sources, "hooklog_ingest_source_silent",
		"1: no event of the source for far longer than usual.", is_silent);
	put_per_source(out, sources, "hooklog_ingest_source_in_flight_bytes",
		"Memory held by bodies of the source.", in_flight);
	put_per_source(out, sources, "hooklog_ingest_source_active_secrets",
		"Secrets of the source that are valid now.", active_secrets);
	sources_release(sources);
	put_tls(out, in->tls);
	put_process(out);
}

static enum MHD_Result
answer(struct MHD_Connection *connection, unsigned status, const char *type, struct buf *text)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(text->len, text->data, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result queued = MHD_NO;
	if (response != NULL) {
		MHD_add_response_header(response, "Content-Type", type);
		MHD_add_response_header(response, "Connection", "close");
		MHD_add_response_header(response, "Cache-Control", "no-store");
		queued = MHD_queue_response(connection, status, response);
		MHD_destroy_response(response);
	}
	buf_free(text);
	return queued;
}

/* No reason to be taken out of service: who does not look at certificates is still served. */
static void
put_certificate(struct buf *text, struct tls *tls)
{
	char until[CLOCK_TEXT_BYTES];
	if (tls == NULL)
		return;
	struct tls_facts facts = tls_look(tls);
	int64_t now_s = clock_now_us() / 1000000;
	clock_format_us(facts.not_after_s * 1000000, until);
	buf_printf(text, "[%c] certificate: %s, until %s\n",
		now_s >= facts.not_before_s && now_s < facts.not_after_s ? '+' : '!', facts.name,
		until);
}

static enum MHD_Result
answer_ready(struct admin *a, struct MHD_Connection *connection, bool verbose)
{
	struct buf text = buf_new(LIMIT_TEXT_BYTES), more = buf_new(LIMIT_TEXT_BYTES);
	struct err e = { .rc = RC_OK };
	bool draining = atomic_load(&a->in->draining);
	bool log = store_health(a->in->store, &e) == RC_OK;
	bool rest = a->ready == NULL || a->ready(&more, a->context);
	bool ready = !draining && log && rest;
	if (verbose) {
		buf_printf(&text, "[%c] stopping: %s\n", draining ? '-' : '+',
			draining ? "yes" : "no");
		buf_printf(&text, "[%c] log: %s\n", log ? '+' : '-', log ? "takes events" : e.text);
		buf_put_bytes(&text, buf_bytes(&more));
		buf_printf(&text, "[+] sources: %zu\n", ingest_source_count(a->in));
		put_certificate(&text, a->in->tls);
	}
	buf_put_str(&text, ready ? "ready\n" : "not ready\n");
	buf_free(&more);
	return answer(connection, ready ? 200 : 503, "text/plain; charset=utf-8", &text);
}

/* The same in OpenMetrics: a counter's family is named without _total, and the end is marked. */
static void
put_openmetrics(struct buf *out, struct bytes text)
{
	static const char total[] = "_total";
	while (text.len > 0) {
		const unsigned char *end = memchr(text.data, '\n', text.len);
		size_t len = end == NULL ? text.len : (size_t)(end - text.data) + 1;
		const unsigned char *suffix =
			text.data[0] == '#' ? memmem(text.data, len, "_total ", 7) : NULL;
		if (suffix != NULL) {
			size_t head = (size_t)(suffix - text.data), rest = head + sizeof total - 1;
			buf_put(out, text.data, head);
			buf_put(out, text.data + rest, len - rest);
		} else {
			buf_put(out, text.data, len);
		}
		text = (struct bytes){ text.data + len, text.len - len };
	}
	buf_put_str(out, "# EOF\n");
}

static enum MHD_Result
answer_metrics(struct admin *a, struct MHD_Connection *connection)
{
	struct buf text = buf_new(LIMIT_TEXT_BYTES), open = buf_new(LIMIT_TEXT_BYTES);
	const char *accept =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Accept");
	admin_put_metrics(&text, a->in);
	if (a->collect != NULL)
		a->collect(&text, a->context);
	if (accept == NULL || strstr(accept, OPENMETRICS) == NULL)
		return answer(connection, 200, METRICS_TYPE, &text);
	put_openmetrics(&open, buf_bytes(&text));
	buf_free(&text);
	return answer(connection, 200, OPENMETRICS_TYPE, &open);
}

static enum MHD_Result
on_request(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
	const char *version UNUSED, const char *data UNUSED, size_t *data_bytes, void **context)
{
	struct admin *a = cls;
	struct buf text = buf_new(LIMIT_TEXT_BYTES);
	if (*context == NULL) { /* an answer may be given from the second call on only */
		*context = a;
		return MHD_YES;
	}
	if (*data_bytes > 0) {
		*data_bytes = 0;
		return MHD_YES;
	}
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
		buf_put_str(&text, "only GET\n");
		return answer(connection, 405, "text/plain; charset=utf-8", &text);
	}
	if (strcmp(url, "/metrics") == 0)
		return answer_metrics(a, connection);
	if (strcmp(url, "/readyz") == 0)
		return answer_ready(a, connection,
			MHD_lookup_connection_value_n(connection, MHD_GET_ARGUMENT_KIND, "verbose",
				7, NULL, NULL) == MHD_YES);
	if (strcmp(url, "/livez") == 0) {
		buf_put_str(&text, "live\n");
		return answer(connection, 200, "text/plain; charset=utf-8", &text);
	}
	buf_put_str(&text, "there are /metrics, /livez, /readyz and /readyz?verbose\n");
	return answer(connection, 404, "text/plain; charset=utf-8", &text);
}

enum rc
admin_start(struct admin **out, struct ingest *in, const char *listen_on,
	void (*collect)(struct buf *out, void *context),
	bool (*ready)(struct buf *out, void *context), void *context, struct err *e)
{
	struct admin *a = base_zalloc(sizeof *a);
	a->in = in;
	a->collect = collect;
	a->ready = ready;
	a->context = context;
	enum rc rc = listen_open(&a->listener, "admin.listen", listen_on, "admin", false, e);
	if (rc != RC_OK) {
		free(a);
		return rc;
	}
	unsigned flags = MHD_USE_ITC | MHD_USE_EPOLL_INTERNAL_THREAD |
			 (a->listener.v6 ? (unsigned)MHD_USE_IPv6 : 0u);
	a->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, a, MHD_OPTION_LISTEN_SOCKET,
		a->listener.fd, MHD_OPTION_CONNECTION_LIMIT, ADMIN_CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, ADMIN_IDLE_S, MHD_OPTION_END);
	if (a->daemon == NULL) {
		listen_close(&a->listener);
		free(a);
		return err_set(e, RC_IO, "ingest.listen",
			"the HTTP server for admin.listen did not start on %s", listen_on);
	}
	*out = a;
	return RC_OK;
}

const char *
admin_address(const struct admin *a)
{
	return a->listener.address;
}

void
admin_stop(struct admin *a)
{
	if (a == NULL)
		return;
	MHD_quiesce_daemon(a->daemon);
	MHD_stop_daemon(a->daemon);
	listen_close(&a->listener);
	free(a);
}
