/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "ingest/admin.h"
#include "ingest/admit.h"
#include "ingest/server.h"
#include "ingest/tls.h"

#define LISTEN_ID "ingest.listen"
#define CONNECTIONS_MAX 512
/* Connections beyond the limit that are still let in, to be told so; more are closed unheard. */
#define CONNECTIONS_SPARE 128
#define IN_FLIGHT_BYTES_MAX ((size_t)256 * 1024 * 1024)
#define REQUEST_MS 30000
#define HEAD_MS 5000
/* Until a slow client has read its answer; the wait for the commit is in it. */
#define WORK_MS 10000
/* Idle time inside a request, which libmicrohttpd watches itself. */
#define IDLE_S 10u
#define STACK_BYTES ((size_t)256 * 1024)
#define RATE_LINES_PER_S 10
/* Connections that have not begun a request are left alone for so long while draining: their bytes
 * may be on the way. */
#define DRAIN_GRACE_MS 250
/* Ticks of the reaper, about a second. */
#define QUIET_TICKS 4

bool
rate_take(struct rate *r, const char *id)
{
	int64_t now_ms = clock_monotonic_ms();
	pthread_mutex_lock(&r->lock);
	uint64_t dropped = 0;
	if (now_ms - r->window_ms >= 1000) {
		dropped = r->dropped;
		r->window_ms = now_ms;
		r->lines = 0;
		r->dropped = 0;
	}
	bool take = r->lines < RATE_LINES_PER_S;
	if (take)
		r->lines++;
	else
		r->dropped++;
	pthread_mutex_unlock(&r->lock);
	if (dropped > 0)
		LOG_WARN(id, F_U("lines_left_out", dropped));
	return take;
}

/* Its messages hold bytes of the request: logged as a value, which log_line escapes. */
static void log_library(void *cls, const char *fmt, va_list args) PRINTF_LIKE(2, 0);
static void
log_library(void *cls, const char *fmt, va_list args)
{
	struct ingest *in = cls;
	char text[512];
	if (!rate_take(&in->library, "ingest.http-library"))
		return;
	vsnprintf(text, sizeof text, fmt, args);
	size_t len = strlen(text);
	while (len > 0 && text[len - 1] == '\n')
		text[--len] = '\0';
	LOG_INFO("ingest.http-library", F_S("text", text));
}

static void
on_panic(void *cls UNUSED, const char *file, unsigned line, const char *reason)
{
	LOG_ERROR("ingest.panic", F_S("file", file), F_U("line", line),
		F_S("reason", reason == NULL ? "" : reason));
	abort();
}

/* What stands for the peer when connections are counted: its address, of IPv6 the network that one
 * subscriber gets. False: it may have any number. */
static bool
address_key(const struct ingest *in, struct MHD_Connection *connection, unsigned char key[16])
{
	static const unsigned char mapped_loopback[13] = { [10] = 0xff, [11] = 0xff, [12] = 127 };
	static const unsigned char loopback[16] = { [15] = 1 };
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	struct peer peer = peer_of(info == NULL ? NULL : info->client_addr);
	if (peer.unix_socket || peers_have(&in->trusted, &peer) ||
		memcmp(peer.bytes, mapped_loopback, sizeof mapped_loopback) == 0 ||
		memcmp(peer.bytes, loopback, sizeof loopback) == 0)
		return false;
	memcpy(key, peer.bytes, 16);
	if (memcmp(key, mapped_loopback, 12) != 0)
		memset(key + 8, 0, 8);
	return true;
}

static void
on_connection(void *cls, struct MHD_Connection *connection, void **context,
	enum MHD_ConnectionNotificationCode code)
{
	struct ingest *in = cls;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		const union MHD_ConnectionInfo *info =
			MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
		unsigned char key[16];
		bool counted = address_key(in, connection, key);
		atomic_fetch_add(&in->metrics.connections, 1);
		*context = conns_add(in->conns, info->connect_fd, counted ? key : NULL);
	} else if (*context != NULL) {
		conns_remove(in->conns, *context);
		*context = NULL;
	}
}

/* By default glibc makes up to eight heaps per processor, one for each thread that happens to meet
 * another in malloc, and each keeps its own leftovers. The threads that work for every request are these:
 * the pool's, the log's writer, and whatever started us. */
static void
limit_heaps(size_t threads)
{
#ifdef __GLIBC__
	mallopt(M_ARENA_MAX, (int)(threads < 64 ? threads : 64) + 2);
#endif
}

/* Freed memory that lies between what is still in use stays with the process, some megabytes for each
 * thread that ever made or freed a request. It goes back once nobody has been connected for a while. */
static void
give_memory_back(struct ingest *in)
{
	uint64_t connections = atomic_load(&in->metrics.connections);
	if (connections == 0) /* in->conns may not be set yet */
		return;
	if (connections != in->connections_seen || conns_open(in->conns) > 0) {
		in->connections_seen = connections;
		in->quiet_ticks = 0;
	} else if (++in->quiet_ticks == QUIET_TICKS) {
		request_pool_trim(in);
#ifdef __GLIBC__
		malloc_trim(0);
#endif
	}
}

static void
on_tick(void *context)
{
	struct ingest *in = context;
	if (in->pool)
		request_expire(in, false);
	give_memory_back(in);
}

enum rc
receiver_start(struct ingest *in, const struct certificate *certificate, struct MHD_Daemon **daemon,
	struct err *e)
{
	unsigned flags =
		MHD_USE_ERROR_LOG | MHD_USE_ITC | (in->listener.v6 ? (unsigned)MHD_USE_IPv6 : 0u);
	char priorities[] = TLS_PRIORITIES;
	struct MHD_OptionItem more[5];
	size_t count = 0;
	if (in->pool && in->threads > 1)
		more[count++] = (struct MHD_OptionItem){ MHD_OPTION_THREAD_POOL_SIZE,
			(intptr_t)in->threads, NULL };
	if (certificate != NULL) {
		flags |= MHD_USE_TLS;
		more[count++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_CERT, 0,
			certificate->chain };
		more[count++] =
			(struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_KEY, 0, certificate->key };
		more[count++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_PRIORITIES, 0,
			priorities };
	}
	more[count] = (struct MHD_OptionItem){ MHD_OPTION_END, 0, NULL };
	if (in->pool)
		flags |= MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;
	else
		flags |= MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
			 MHD_USE_POLL;
	size_t connections = in->connections_max + CONNECTIONS_SPARE;
	*daemon = MHD_start_daemon(flags, 0, NULL, NULL, request_handle, in,
		MHD_OPTION_EXTERNAL_LOGGER, log_library, in, MHD_OPTION_URI_LOG_CALLBACK,
		request_new, in, MHD_OPTION_NOTIFY_COMPLETED, request_completed, in,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, in, MHD_OPTION_LISTEN_SOCKET,
		in->listener.fd,
		/* What 1 adds is a check for Host whose answer 0.9.75 sends twice; the guard has
		   its own. */
		MHD_OPTION_STRICT_FOR_CLIENT, 0, MHD_OPTION_CONNECTION_LIMIT, (unsigned)connections,
		MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S, MHD_OPTION_THREAD_STACK_SIZE, STACK_BYTES,
		MHD_OPTION_ARRAY, more, MHD_OPTION_END);
	if (*daemon == NULL)
		return err_set(e, RC_IO, LISTEN_ID,
			"the HTTP server did not start on %s; the log line "
			"ingest.http-library says why",
			in->listener.address);
	return RC_OK;
}

static bool
is_set(const char *text)
{
	return text != NULL && text[0] != '\0';
}

static enum rc
start_threads(struct ingest *in, const struct ingest_options *o, struct err *e)
{
	/* All threads of the receiver leave signals to whoever started it. */
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int64_t request_ms = o->request_timeout_ms > 0 ? o->request_timeout_ms : REQUEST_MS;
	const struct conns_options options = {
		.head_ms = request_ms < HEAD_MS ? request_ms : HEAD_MS,
		.request_ms = request_ms,
		.work_ms = WORK_MS,
		.watch_hangups = in->pool,
		.per_address_max = o->connections_per_address_max,
		.tick = on_tick,
		.context = in,
	};
	enum rc rc = conns_start(&in->conns, &options, e);
	limit_heaps(in->threads);
	if (rc == RC_OK)
		rc = receiver_start(
			in, in->tls == NULL ? NULL : tls_certificate(in->tls), &in->daemon, e);
	if (rc == RC_OK && is_set(o->admin_listen))
		rc = admin_start(
			&in->admin, in, o->admin_listen, o->collect, o->ready, o->context, e);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

static void
release(struct ingest *in)
{
	listen_close(&in->listener);
	tls_free(in->tls);
	conns_stop(in->conns);
	sources_release(in->sources);
	request_pool_trim(in);
	pthread_mutex_destroy(&in->idle.lock);
	pthread_mutex_destroy(&in->sources_lock);
	pthread_mutex_destroy(&in->lent_lock);
	pthread_mutex_destroy(&in->refusals.lock);
	pthread_mutex_destroy(&in->library.lock);
	crypto_wipe(in->salt, sizeof in->salt);
	quarantine_free(in->quarantine);
	free(in->quarantine_dir);
	free(in->sources_dir);
	free(in);
}

enum rc
ingest_start(struct ingest **out, const struct ingest_options *o, struct err *e)
{
	struct ingest *in = base_zalloc(sizeof *in);
	in->listener.fd = -1;
	in->connections_max = o->connections_max > 0 ? o->connections_max : CONNECTIONS_MAX;
	in->store = o->store;
	in->pool = o->threading == INGEST_POOL;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	in->threads = o->threads > 0 ? o->threads : cores > 0 ? (size_t)cores : 1;
	in->keep_alive = o->keep_alive;
	in->in_flight_bytes_max =
		o->in_flight_bytes_max > 0 ? o->in_flight_bytes_max : IN_FLIGHT_BYTES_MAX;
	in->sources_dir = base_strdup(o->sources_dir);
	const struct quarantine_options quarantine = {
		.dir = o->quarantine_dir == NULL ? "" : o->quarantine_dir,
		.bytes_max = o->quarantine_dir == NULL ? 0 : o->quarantine_bytes_max,
		.per_second_max = o->quarantine_per_second_max
	};
	in->quarantine_dir = base_strdup(quarantine.dir);
	in->quarantine = quarantine_new(&quarantine);
	snprintf(in->log_id, sizeof in->log_id, "%s", o->log_id == NULL ? "" : o->log_id);
	pthread_mutex_init(&in->sources_lock, NULL);
	pthread_mutex_init(&in->idle.lock, NULL);
	pthread_mutex_init(&in->lent_lock, NULL);
	pthread_mutex_init(&in->refusals.lock, NULL);
	pthread_mutex_init(&in->library.lock, NULL);
	MHD_set_panic_func(on_panic, NULL);
	in->sources_stamp = sources_stamp(o->sources_dir);
	enum rc rc = sources_load(&in->sources, o->sources_dir, e);
	if (rc == RC_OK)
		rc = redact_salt(o->salt_file, in->salt, e);
	if (rc == RC_OK)
		rc = peers_parse(
			o->trusted_proxies == NULL ? "" : o->trusted_proxies, &in->trusted, e);
	if (rc == RC_OK && (is_set(o->tls_certificate_file) || is_set(o->tls_key_file)))
		rc = tls_new(&in->tls, is_set(o->tls_certificate_file) ? o->tls_certificate_file : "",
			is_set(o->tls_key_file) ? o->tls_key_file : "", e);
	if (rc == RC_OK)
		rc = listen_open(&in->listener, "ingest.listen", o->listen, "ingest", true, e);
	if (rc == RC_OK)
		rc = start_threads(in, o, e);
	if (rc == RC_OK) {
		*out = in;
		return RC_OK;
	}
	if (in->daemon != NULL)
		MHD_stop_daemon(in->daemon);
	release(in);
	return rc;
}

const char *
ingest_address(const struct ingest *in)
{
	return in->listener.address;
}

const char *
ingest_admin_address(const struct ingest *in)
{
	return in->admin == NULL ? NULL : admin_address(in->admin);
}

size_t
ingest_source_count(struct ingest *in)
{
	pthread_mutex_lock(&in->sources_lock);
	size_t count = sources_count(in->sources);
	pthread_mutex_unlock(&in->sources_lock);
	return count;
}

void
ingest_recall(struct ingest *in, const struct event *ev)
{
	if (ev->origin != EVENT_ORIGIN_WEBHOOK)
		return;
	pthread_mutex_lock(&in->sources_lock);
	const struct source *source = sources_find(in->sources, ev->source);
	if (source != NULL)
		source_recall(source, ev->received_at_us);
	pthread_mutex_unlock(&in->sources_lock);
}

enum rc
ingest_reload(struct ingest *in, bool force, bool *changed, struct err *e)
{
	struct sources *fresh = NULL;
	uint64_t stamp = sources_stamp(in->sources_dir);
	if (changed != NULL)
		*changed = force || stamp != in->sources_stamp;
	if (!force && stamp == in->sources_stamp)
		return RC_OK;
	in->sources_stamp = stamp;
	enum rc rc = sources_load(&fresh, in->sources_dir, e);
	atomic_fetch_add(rc == RC_OK ? &in->metrics.reloads : &in->metrics.reloads_failed, 1);
	if (rc != RC_OK)
		return rc;
	sources_adopt(fresh, in->sources);
	pthread_mutex_lock(&in->sources_lock);
	struct sources *old = in->sources;
	in->sources = fresh;
	pthread_mutex_unlock(&in->sources_lock);
	sources_release(old);
	return RC_OK;
}

enum rc
ingest_reload_certificate(struct ingest *in, bool *changed, struct err *e)
{
	*changed = false;
	return in->tls == NULL ? RC_OK : tls_replace(in, changed, e);
}

void
ingest_tick(struct ingest *in)
{
	if (in->tls != NULL)
		tls_tick(in);
	const struct admit how = { .sources = in->sources, .store = in->store, .salt = in->salt };
	if (in->quarantine_dir[0] != '\0')
		admit_answer_all(in->quarantine_dir, &how);
	for (size_t i = 0; i < sources_count(in->sources); i++) {
		const struct source *source = sources_at(in->sources, i);
		bool changed = false;
		int64_t quiet_us = 0;
		bool silent = source_is_silent(source, &changed, &quiet_us);
		if (changed && silent)
			LOG_WARN("ingest.silent", F_S("source", source->name),
				F_I("quiet_s", quiet_us / 1000000));
		else if (changed)
			LOG_INFO("ingest.heard", F_S("source", source->name));
	}
}

enum rc
ingest_drain(struct ingest *in, int64_t timeout_ms, struct err *e)
{
	int64_t start_ms = clock_monotonic_ms();
	atomic_store(&in->draining, true);
	if (in->listener.fd >= 0) {
		MHD_quiesce_daemon(in->daemon);
		listen_close(&in->listener);
	}
	for (;;) {
		int64_t waited_ms = clock_monotonic_ms() - start_ms;
		/* Those that wait for a next request are closed; each answer from now on closes its
		 * own. */
		if (waited_ms >= DRAIN_GRACE_MS)
			conns_shut(in->conns, false);
		size_t open = conns_open(in->conns), busy = conns_busy(in->conns);
		if (busy == 0 && atomic_load(&in->lent) == 0 &&
			(open == 0 || waited_ms >= DRAIN_GRACE_MS))
			return RC_OK;
		if (waited_ms >= timeout_ms)
			return err_set(
				e, RC_AGAIN, NULL, "%zu requests were not answered in time", busy);
		clock_sleep_ms(5);
	}
}

void
ingest_stop(struct ingest *in)
{
	if (in == NULL)
		return;
	struct err ignored;
	bool drained = ingest_drain(in, 1000, &ignored) == RC_OK;
	/* libmicrohttpd panics when it is stopped with a suspended connection. From here on none
	 * begins to wait, and whoever waits already counts as busy: end those waits first. */
	int64_t start_ms = clock_monotonic_ms();
	atomic_store(&in->stopping, true);
	while (conns_busy(in->conns) > 0 && clock_monotonic_ms() - start_ms < WORK_MS) {
		if (!drained) {
			conns_shut(in->conns, true);
			request_expire(in, true);
		}
		clock_sleep_ms(2);
	}
	admin_stop(in->admin);
	MHD_stop_daemon(in->daemon);
	/* The store has promised to call back for each. */
	while (atomic_load(&in->lent) > 0)
		clock_sleep_ms(1);
	release(in);
}
