/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "cli/config.h"

static const char *const log_levels[] = { "debug", "info", "warn", "error", NULL };
static const char *const threadings[] = { "pool", "connection", NULL };

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define ROW(key, t, m) .name = key, .type = t, .offset = offsetof(struct config, m)

const struct cfg_key config_keys[] = {
	{ ROW("data.dir", CFG_STRING, data_dir), .fallback = "",
		.help = "Folder of the log, the sources and the private PostgreSQL cluster. Empty: "
			"/var/lib/hooklog for root, else $XDG_DATA_HOME/hooklog or ~/.local/share/hooklog." },
	{ ROW("log.level", CFG_STRING, log_level), .fallback = "info", .choices = log_levels,
		.help = "Log lines below this level are left out." },
	{ ROW("ingest.listen", CFG_STRING, ingest_listen), .fallback = "127.0.0.1:8080",
		.help = "Address and port webhooks are received on, or unix:/path. Port 0: a free one, "
			"named in the log line ingest.listening. A socket from systemd takes its place." },
	{ ROW("ingest.tls_certificate_file", CFG_STRING, ingest_tls_certificate_file), .fallback = "",
		.help = "Certificate for TLS on ingest.listen, in PEM: the server's own, then those that "
			"issued it. Read again at SIGHUP. Empty: HTTP, for a proxy that speaks TLS." },
	{ ROW("ingest.tls_key_file", CFG_STRING, ingest_tls_key_file), .fallback = "",
		.help = "Private key of that certificate, in PEM and not encrypted; nobody but its owner "
			"and group may have rights on the file." },
	{ ROW("ingest.threading", CFG_STRING, ingest_threading), .fallback = "pool",
		.choices = threadings,
		.help = "pool: a few threads serve all connections; connection: each has its own thread." },
	{ ROW("ingest.threads", CFG_U64, ingest_threads), .fallback = "0", .max = 1024,
		.help = "Threads of the pool. 0: one per core." },
	{ ROW("ingest.connections_max", CFG_U64, ingest_connections_max), .fallback = "512", .min = 1,
		.max = 65536, .help = "Connections open at once; further requests are answered 503." },
	{ ROW("ingest.in_flight_bytes_max", CFG_U64, ingest_in_flight_bytes_max), .fallback = "256MiB",
		.min = 80 * MIB, .max = 1024 * GIB,
		.help = "Memory for bodies not yet on disk, over all connections; more are answered "
			"503. At least one body of the largest size must fit." },
	{ ROW("ingest.request_timeout_ms", CFG_U64, ingest_request_timeout_ms), .fallback = "30s",
		.min = 100, .max = 3600000,
		.help = "Time one request may take from its first byte to its last." },
	{ ROW("ingest.keep_alive", CFG_BOOL, ingest_keep_alive), .fallback = "false",
		.help = "Whether a connection serves more than one request; only for trusted senders, "
			"such as a reverse proxy." },
	{ ROW("ingest.connections_per_address_max", CFG_U64, ingest_connections_per_address_max),
		.fallback = "32", .max = 65536,
		.help = "Connections one address, or one /64 network of IPv6, may have open; further ones "
			"are closed. Not for the loopback and trusted proxies. 0: any number." },
	{ ROW("ingest.trusted_proxies", CFG_STRING, ingest_trusted_proxies), .fallback = "",
		.help = "Addresses and networks of reverse proxies, and unix for the unix socket: what "
			"they say in X-Forwarded-For is taken as the sender's address." },
	{ ROW("admin.listen", CFG_STRING, admin_listen), .fallback = "",
		.help = "Address and port of a second listener with /metrics, /livez and "
			"/readyz?verbose, such as 127.0.0.1:9180 or unix:/path. Empty: none." },
	{ ROW("quarantine.bytes_max", CFG_U64, quarantine_bytes_max), .fallback = "64MiB", .max = GIB,
		.help = "Size of the file that keeps refused deliveries, the newest of them; it is made "
			"when the first one comes. Bodies up to an eighth of it are kept. 0: none are." },
	{ ROW("quarantine.requests_per_second_max", CFG_U64, quarantine_requests_per_second_max),
		.fallback = "10", .max = 1000, .help = "Refused deliveries that are kept in a second." },
	{ ROW("store.segment_bytes_max", CFG_U64, store_segment_bytes_max), .fallback = "1GiB",
		.min = MIB, .max = 64 * GIB, .help = "A log segment that grew to this is sealed." },
	{ ROW("store.segment_age_s_max", CFG_U64, store_segment_age_s_max), .fallback = "7d",
		.min = 1, .max = 315360000, .help = "A log segment this old is sealed." },
	{ ROW("store.queue_events_max", CFG_U64, store_queue_events_max), .fallback = "4096", .min = 1,
		.max = 1000000, .help = "Events waiting for the log's writer; more are answered 503." },
	{ ROW("store.commit_events_max", CFG_U64, store_commit_events_max), .fallback = "1024",
		.min = 1, .max = 1024, .help = "Events one commit of the log takes at most." },
	{ ROW("store.checkpoint_interval_s", CFG_U64, store_checkpoint_interval_s), .fallback = "1h",
		.min = 1, .max = 86400 * 7,
		.help = "Time between two signed checkpoints of the log while events arrive." },
	{ ROW("store.archive_dir", CFG_STRING, store_archive_dir), .fallback = "",
		.help = "Folder of `hooklog log archive`, from which segments that were pruned are read. Empty: none." },
	{ ROW("store.free_bytes_min", CFG_U64, store_free_bytes_min), .fallback = "128MiB",
		.max = 1024 * GIB,
		.help = "With less free on the log's disk events are answered 503 until there is more. 0: "
			"use all of it." },
	{ ROW("postgres.url", CFG_STRING, postgres_url), .fallback = "",
		.help = "Connection string or URL for libpq. Empty: DATABASE_URL, else libpq's own "
			"variables (PGHOST, PGSERVICE, ...)." },
	{ ROW("projector.listen", CFG_STRING, projector_listen), .fallback = "",
		.help = "Address and port of a listener of `hooklog project run` with /metrics and /livez, such as "
			"127.0.0.1:9181 or unix:/path. Empty: none. `hooklog up` shows the same metrics on admin.listen." },
	{ ROW("projector.dir", CFG_STRING, projector_dir), .fallback = "",
		.help = "Folder of projection files used beside the built-in ones. Empty: none." },
	{ ROW("projector.hosts", CFG_STRING, projector_hosts), .fallback = "",
		.help = "Sources of other servers than github.com, as SOURCE=HOST with commas between: "
			"ghe=ghe.acme.com. What they send goes to tables of their own, in the schema "
			"gh_ghe_acme_com. A change needs a rebuild." },
	{ ROW("projector.batch_events_max", CFG_U64, projector_batch_events_max), .fallback = "4000",
		.min = 1, .max = 100000, .help = "Events applied to the tables in one transaction." },
	{ ROW("projector.batch_bytes_max", CFG_U64, projector_batch_bytes_max), .fallback = "32MiB",
		.min = MIB, .max = GIB,
		.help = "Bytes of bodies applied in one transaction; a single larger event still is." },
	{ ROW("projector.memory_bytes_max", CFG_U64, projector_memory_bytes_max), .fallback = "1GiB",
		.min = MIB, .max = 1024 * GIB,
		.help = "Memory of a rebuild or a verify. Tables that need more are made in several passes "
			"over the log." },
	{ ROW("projector.bulk_events_min", CFG_U64, projector_bulk_events_min), .fallback = "5000",
		.min = 1,
		.help = "A rebuild of at least this many events folds them in memory and loads the tables "
			"as a whole; one of fewer goes batch by batch." },
	{ ROW("replay.allow", CFG_STRING, replay_allow), .fallback = "",
		.help = "Hosts and address ranges outside the public internet that replays and "
			"subscriptions may send to, with commas: staging.local, 10.1.0.0/16." },
	{ ROW("replay.ca_file", CFG_STRING, replay_ca_file), .fallback = "",
		.help = "PEM file of the authorities whose certificates https targets may have. "
			"Empty: those the system trusts." },
	{ ROW("subscription.listen", CFG_STRING, subscription_listen), .fallback = "",
		.help = "Address and port consumers pull events from, such as 127.0.0.1:8090 or "
			"unix:/path. Empty: none; subscriptions that are pulled are not served." },
	{ ROW("subscription.connections_max", CFG_U64, subscription_connections_max),
		.fallback = "64", .min = 1, .max = 4096,
		.help = "Connections of consumers open at once; each may hold 1 MiB of events." },
	{ ROW("subscription.write_timeout_ms", CFG_U64, subscription_write_timeout_ms),
		.fallback = "30s", .min = 100, .max = 3600000,
		.help = "A consumer that has not taken an event after so long is disconnected." },
};

const size_t config_key_count = COUNT_OF(config_keys);

static const char *
variable(const char *name)
{
	const char *value = getenv(name);
	return value == NULL || value[0] == '\0' ? NULL : value;
}

static const char *
default_data_dir(struct arena *a)
{
	if (geteuid() == 0)
		return "/var/lib/hooklog";
	const char *xdg = variable("XDG_DATA_HOME"), *home = variable("HOME");
	if (xdg != NULL && xdg[0] == '/') /* the XDG specification ignores relative ones */
		return arena_printf(a, "%s/hooklog", xdg);
	return home == NULL ? NULL : arena_printf(a, "%s/.local/share/hooklog", home);
}

/* Makes *dir absolute, with the default for "". Absolute, since PostgreSQL changes its folder. */
static enum rc
resolve_data_dir(const char **dir, struct arena *a, struct err *e)
{
	if (*dir == NULL || (*dir)[0] == '\0')
		*dir = default_data_dir(a);
	if (*dir == NULL)
		return err_set(e, RC_INVALID, "config.invalid",
			"data.dir is empty and HOME is not set; name a folder with --data");
	char here[PATH_MAX];
	if ((*dir)[0] != '/') {
		if (getcwd(here, sizeof here) == NULL)
			return err_sys(e, RC_IO, "config.invalid", errno, "cannot tell the current folder");
		*dir = arena_printf(a, "%s/%s", here, *dir);
	}
	struct stat st;
	if (stat(*dir, &st) == 0 && !S_ISDIR(st.st_mode))
		return err_set(e, RC_INVALID, "config.invalid",
			"the data folder %s is not a folder; name one with --data, HOOKLOG_DATA_DIR or data.dir",
			*dir);
	return RC_OK;
}

static enum rc
read_file(struct cfg_table *t, const struct cli_call *call, struct arena *a, struct err *e)
{
	const char *path = call->config_path;
	if (path == NULL)
		path = variable("HOOKLOG_CONFIG");
	if (path != NULL)
		return cfg_file(t, path, a, e);
	const char *dir = call->data_dir;
	if (dir == NULL)
		dir = variable("HOOKLOG_DATA_DIR");
	enum rc rc = resolve_data_dir(&dir, a, e);
	if (rc != RC_OK)
		return rc;
	rc = cfg_file(t, arena_printf(a, "%s/hooklog.conf", dir), a, e);
	return rc == RC_NOTFOUND ? RC_OK : rc;
}

/* Hosting platforms name the database in DATABASE_URL; our own key goes first. */
static void
take_database_url(struct config *c, struct cfg_table *t, struct arena *a)
{
	const char *url = variable("DATABASE_URL");
	if (c->postgres_url[0] == '\0' && url != NULL)
		ASSERT(cfg_set(t, "postgres.url", url, CFG_ENVIRONMENT, a, NULL) == RC_OK);
}

enum rc
config_load(struct config *c, const struct cli_call *call, struct arena *a,
	struct config_origins *origins, struct err *e)
{
	*c = (struct config){ 0 };
	struct config_origins unwanted;
	if (origins == NULL)
		origins = &unwanted;
	ASSERT(COUNT_OF(config_keys) <= COUNT_OF(origins->of));
	struct cfg_table t = { .keys = config_keys, .count = config_key_count, .values = c,
		.origins = origins->of };
	cfg_defaults(&t, a);
	enum rc rc = read_file(&t, call, a, e);
	if (rc == RC_OK)
		rc = cfg_environment(&t, a, e);
	if (rc == RC_OK && call->data_dir != NULL)
		rc = cfg_set(&t, "data.dir", call->data_dir, CFG_OPTION, a, e);
	if (rc == RC_OK)
		rc = resolve_data_dir(&c->data_dir, a, e);
	if (rc != RC_OK)
		return rc;
	take_database_url(c, &t, a);
	c->log_dir = arena_printf(a, "%s/log", c->data_dir);
	c->sources_dir = arena_printf(a, "%s/sources", c->data_dir);
	c->quarantine_dir = arena_printf(a, "%s/quarantine", c->data_dir);
	c->cluster_dir = arena_printf(a, "%s/postgres", c->data_dir);
	c->replay_dir = arena_printf(a, "%s/replay", c->data_dir);
	c->subscriptions_dir = arena_printf(a, "%s/subscriptions", c->data_dir);
	/* base/log.h reads its level from there. No other thread runs yet. */
	if (setenv("HOOKLOG_LOG_LEVEL", c->log_level, 1) != 0)
		return err_sys(e, RC_IO, NULL, errno, "cannot set HOOKLOG_LOG_LEVEL");
	return RC_OK;
}

bool
config_names_postgres(const struct config *c)
{
	return c->postgres_url[0] != '\0' || variable("DATABASE_URL") != NULL ||
		variable("PGHOST") != NULL || variable("PGSERVICE") != NULL;
}
