/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_CONFIG_H
#define CLI_CONFIG_H

#include "base/cfg.h"
#include "base/cli.h"

/* The one configuration struct; its rows, which are also its documentation, are in config.c. Filled at
 * start, constant afterwards, passed down by value of single members, never as a whole. */
struct config {
	const char *data_dir;
	const char *log_level;
	const char *ingest_listen;
	const char *ingest_tls_certificate_file, *ingest_tls_key_file;
	const char *ingest_threading;
	uint64_t ingest_threads;
	uint64_t ingest_connections_max;
	uint64_t ingest_in_flight_bytes_max;
	uint64_t ingest_request_timeout_ms;
	bool ingest_keep_alive;
	uint64_t ingest_connections_per_address_max;
	const char *ingest_trusted_proxies;
	const char *admin_listen;
	uint64_t quarantine_bytes_max;
	uint64_t quarantine_requests_per_second_max;
	uint64_t store_segment_bytes_max;
	uint64_t store_segment_age_s_max;
	uint64_t store_queue_events_max;
	uint64_t store_commit_events_max;
	const char *store_archive_dir;
	uint64_t store_checkpoint_interval_s;
	uint64_t store_free_bytes_min;
	const char *postgres_url;
	const char *projector_dir;
	const char *projector_hosts;
	uint64_t projector_batch_events_max;
	uint64_t projector_batch_bytes_max;
	uint64_t projector_memory_bytes_max;
	uint64_t projector_bulk_events_min;
	const char *projector_listen;
	const char *subscription_listen;
	uint64_t subscription_connections_max, subscription_write_timeout_ms;
	const char *replay_allow, *replay_ca_file;
	/* Derived from data_dir. */
	const char *log_dir;
	const char *sources_dir;
	const char *quarantine_dir;
	const char *cluster_dir;
	const char *replay_dir;
	const char *subscriptions_dir;
};

extern const struct cfg_key config_keys[];
extern const size_t config_key_count;

/* Where a value came from, by row, for `config show --origin`. */
struct config_origins {
	enum cfg_origin of[96];
};

/* Reads defaults, file (--config, else HOOKLOG_CONFIG, else <data>/hooklog.conf when it exists),
 * environment and command line. Strings live in a. origins may be NULL. */
enum rc config_load(struct config *c, const struct cli_call *call, struct arena *a,
	struct config_origins *origins, struct err *e) MUST_CHECK;

/* Whether PostgreSQL was named: postgres.url, DATABASE_URL, PGHOST or PGSERVICE. Otherwise `up` keeps a
 * private cluster. */
bool config_names_postgres(const struct config *c);

#endif
