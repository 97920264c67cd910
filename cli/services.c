/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/log.h"
#include "cli/services.h"
#include "cli/telemetry.h"
#include "pg/cluster.h"

struct store_options
services_store_options(const struct config *c)
{
	return (struct store_options){ .dir = c->log_dir,
		.segment_bytes_max = c->store_segment_bytes_max,
		.segment_age_s_max = (int64_t)c->store_segment_age_s_max,
		.queue_events_max = c->store_queue_events_max,
		.archive_dir = c->store_archive_dir,
		.commit_events_max = c->store_commit_events_max,
		.checkpoint_interval_s = (int64_t)c->store_checkpoint_interval_s,
		.free_bytes_min = c->store_free_bytes_min };
}

enum rc
services_open_reader(const struct config *c, struct store_reader **r, struct err *e)
{
	return store_reader_open_archived(r, c->log_dir, c->store_archive_dir, e);
}

enum rc
services_open_log(const struct config *c, struct store **s, struct err *e)
{
	const struct store_options options = services_store_options(c);
	return store_open(s, &options, e);
}

static enum rc
log_id_text(struct store *s, char out[2 * STORE_LOG_ID_BYTES + 1], struct err *e)
{
	struct store_reader *reader = NULL;
	struct store_span span;
	enum rc rc = store_reader_from(s, &reader, e);
	if (rc == RC_OK)
		rc = store_span(reader, &span, e);
	if (rc == RC_OK) {
		struct buf hex = buf_new(2 * STORE_LOG_ID_BYTES);
		buf_put_hex(&hex, span.log_id, sizeof span.log_id);
		memcpy(out, buf_cstr(&hex), 2 * STORE_LOG_ID_BYTES + 1);
		buf_free(&hex);
	}
	store_reader_close(reader);
	return rc;
}

/* How much of the log is looked at to learn how often each source sends: about a second's worth. */
#define RECALL_DAYS 8
#define RECALL_EVENTS 50000
#define RECALL_CHUNK 256

/* What cannot be read is not learned from; the receiver works without. */
static void
recall_events(struct ingest *in, struct store *s)
{
	struct arena *a = arena_new(1024 * 1024);
	struct store_reader *reader = NULL;
	struct store_span span;
	struct err e = { 0 };
	const struct store_record *records;
	size_t count = 0;
	uint64_t seq = 1;
	int64_t since_us = clock_now_us() - (int64_t)RECALL_DAYS * 86400 * 1000000;
	if (store_reader_from(s, &reader, &e) != RC_OK || store_span(reader, &span, &e) != RC_OK ||
		store_seq_at(reader, since_us, &seq, &e) != RC_OK)
		goto done;
	if (span.last_seq > RECALL_EVENTS && seq < span.last_seq - RECALL_EVENTS)
		seq = span.last_seq - RECALL_EVENTS;
	do {
		arena_reset(a);
		if (store_read(reader, seq, RECALL_CHUNK, 4 * 1024 * 1024, a, &records, &count, &e) !=
			RC_OK)
			break;
		for (size_t i = 0; i < count; i++)
			ingest_recall(in, &records[i].event);
		seq += count;
	} while (count > 0 && seq <= span.last_seq);
done:
	store_reader_close(reader);
	arena_free(a);
}

enum rc
services_start_ingest(const struct config *c, struct store *s, struct projector_figures *figures, struct arena *a,
	struct ingest **in, struct err *e)
{
	char log_id[2 * STORE_LOG_ID_BYTES + 1];
	enum rc rc = log_id_text(s, log_id, e);
	if (rc != RC_OK)
		return rc;
	struct telemetry *telemetry = arena_alloc(a, sizeof *telemetry);
	*telemetry = (struct telemetry){ .store = s,
		.figures = figures,
		.log_dir = arena_string(a, bytes_str(c->log_dir)),
		.subscriptions_dir = arena_string(a, bytes_str(c->subscriptions_dir)) };
	const struct ingest_options options = { .listen = c->ingest_listen,
		.connections_per_address_max = c->ingest_connections_per_address_max,
		.trusted_proxies = c->ingest_trusted_proxies,
		.admin_listen = c->admin_listen,
		.collect = telemetry_collect,
		.ready = telemetry_ready,
		.context = telemetry,
		.tls_certificate_file = c->ingest_tls_certificate_file,
		.tls_key_file = c->ingest_tls_key_file,
		.threading = strcmp(c->ingest_threading, "pool") == 0 ? INGEST_POOL : INGEST_CONNECTION,
		.threads = c->ingest_threads,
		.connections_max = c->ingest_connections_max,
		.in_flight_bytes_max = c->ingest_in_flight_bytes_max,
		.request_timeout_ms = (int64_t)c->ingest_request_timeout_ms,
		.keep_alive = c->ingest_keep_alive,
		.sources_dir = c->sources_dir,
		.salt_file = arena_printf(a, "%s/redaction.salt", c->data_dir),
		.quarantine_dir = c->quarantine_dir,
		.quarantine_bytes_max = c->quarantine_bytes_max,
		.quarantine_per_second_max = c->quarantine_requests_per_second_max,
		.log_id = log_id,
		.store = s };
	rc = ingest_start(in, &options, e);
	if (rc == RC_OK)
		recall_events(*in, s);
	if (rc == RC_OK)
		LOG_INFO("ingest.listening", F_S("address", ingest_address(*in)),
			F_U("sources", ingest_source_count(*in)), F_S("threading", c->ingest_threading));
	if (rc == RC_OK && ingest_admin_address(*in) != NULL)
		LOG_INFO("ingest.admin", F_S("address", ingest_admin_address(*in)));
	return rc;
}

static void
reload_certificate(struct ingest *in)
{
	struct err e = { 0 };
	bool changed = false;
	if (ingest_reload_certificate(in, &changed, &e) != RC_OK)
		log_err("ingest.tls", &e);
	else if (changed)
		LOG_INFO("ingest.certificate", F_S("address", ingest_address(in)));
}

void
services_reload(struct ingest *in, bool force)
{
	struct err e = { 0 };
	bool changed = false;
	if (force)
		reload_certificate(in);
	if (ingest_reload(in, force, &changed, &e) != RC_OK)
		log_err("ingest.source", &e);
	else if (changed)
		LOG_INFO("ingest.sources", F_U("count", ingest_source_count(in)));
}

enum rc
services_watch(struct ingest *in, struct store *s, enum rc *health, struct err *e)
{
	enum rc before = *health;
	*health = store_health(s, e);
	if (*health == RC_FULL && before != RC_FULL)
		LOG_WARN(e->id == NULL ? "log.full" : e->id, F_S("error", e->text));
	else if (*health == RC_OK && before != RC_OK)
		LOG_INFO("ingest.recovered", F_S("log", "takes events again"));
	if (*health != RC_OK && *health != RC_FULL && *health != RC_AGAIN)
		return *health;
	services_reload(in, false);
	ingest_tick(in);
	return RC_OK;
}

const char *
services_conninfo(const struct config *c, struct arena *a)
{
	if (!config_names_postgres(c))
		return cluster_conninfo(c->cluster_dir, a);
	if (c->postgres_url[0] != '\0')
		return c->postgres_url;
	const char *url = getenv("DATABASE_URL");
	return url == NULL ? "" : url;
}

struct projector_options
services_projector(const struct config *c, struct store_reader *r, struct arena *a)
{
	return (struct projector_options){ .conninfo = services_conninfo(c, a),
		.unreachable_hint = config_names_postgres(c) ? NULL
			: "no database is configured, so it is that of `hooklog up`: is that running",
		.definitions_dir = c->projector_dir,
		.hosts = c->projector_hosts,
		.batch_events_max = c->projector_batch_events_max,
		.batch_bytes_max = c->projector_batch_bytes_max,
		.memory_bytes_max = c->projector_memory_bytes_max,
		.bulk_events_min = c->projector_bulk_events_min,
		.reader = r,
		.stop_fd = -1 };
}

struct subscriptions_options
services_subscriptions(const struct config *c, struct store_reader *r, int stop_fd)
{
	return (struct subscriptions_options){ .dir = c->subscriptions_dir,
		.allow = c->replay_allow,
		.ca_file = c->replay_ca_file,
		.reader = r,
		.stop_fd = stop_fd,
		.listen = c->subscription_listen,
		.connections_max = c->subscription_connections_max,
		.write_timeout_ms = (int64_t)c->subscription_write_timeout_ms };
}
