/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "ingest/admit.h"
#include "ingest/server.h"

#define LISTEN_ID "ingest.listen"
#define LISTEN_BACKLOG 1024
#define CONNECTIONS_MAX 512
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

static void
on_connection(void *cls, struct MHD_Connection *connection, void **context,
	enum MHD_ConnectionNotificationCode code)
{
	struct ingest *in = cls;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		const union MHD_ConnectionInfo *info =
			MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
		*context = conns_add(in->conns, info->connect_fd);
	} else if (*context != NULL) {
		conns_remove(in->conns, *context);
		*context = NULL;
	}
}

static void
on_tick(void *context)
{
	struct ingest *in = context;
	if (in->pool)
		request_expire(in, false);
}

static enum rc
bad_address(const char *listen, struct err *e)
{
	return err_set(e, RC_INVALID, LISTEN_ID,
		"ingest.listen: \"%s\" is not an address with a port; write it as 127.0.0.1:8080 "
		"or "
		"[::1]:8080",
		listen);
}

/* Splits "host:port" and "[host]:port". */
static enum rc
split_address(const char *listen, char host[256], char port[8], struct err *e)
{
	const char *colon = strrchr(listen, ':');
	if (colon == NULL || colon == listen || strlen(colon + 1) == 0 || strlen(colon + 1) > 5)
		return bad_address(listen, e);
	const char *start = listen, *end = colon;
	if (*start == '[' && end[-1] == ']') {
		start++;
		end--;
	} else if (memchr(start, ':', (size_t)(end - start)) != NULL) {
		return bad_address(listen, e);
	}
	if (end <= start || (size_t)(end - start) >= 256)
		return bad_address(listen, e);
	memcpy(host, start, (size_t)(end - start));
	host[end - start] = '\0';
	unsigned long number = 0;
	for (const char *p = colon + 1; *p != '\0'; p++) {
		if (*p < '0' || *p > '9')
			return bad_address(listen, e);
		number = number * 10 + (unsigned long)(*p - '0');
	}
	if (number > 65535)
		return bad_address(listen, e);
	snprintf(port, 8, "%lu", number);
	return RC_OK;
}

static enum rc
name_address(struct ingest *in, struct err *e)
{
	struct sockaddr_storage bound;
	socklen_t len = sizeof bound;
	char host[64], port[8];
	if (getsockname(in->listen_fd, (struct sockaddr *)&bound, &len) != 0)
		return err_sys(e, RC_IO, LISTEN_ID, errno, "cannot tell the address listened on");
	if (getnameinfo((struct sockaddr *)&bound, len, host, sizeof host, port, sizeof port,
		    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return err_set(e, RC_IO, LISTEN_ID, "cannot tell the address listened on");
	bool v6 = bound.ss_family == AF_INET6;
	snprintf(in->address, sizeof in->address, v6 ? "[%s]:%s" : "%s:%s", host, port);
	return RC_OK;
}

/* Binds by itself and not through the HTTP library, whose only message is that it did not start. */
static enum rc
open_listener(struct ingest *in, const char *listen_on, bool *v6, struct err *e)
{
	char host[256], port[8];
	enum rc rc = split_address(listen_on, host, port, e);
	if (rc != RC_OK)
		return rc;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE },
			*found = NULL;
	int failed = getaddrinfo(host, port, &hints, &found);
	if (failed != 0)
		return err_set(e, RC_INVALID, LISTEN_ID,
			"ingest.listen: \"%s\": %s; use an address of "
			"this machine, such as 127.0.0.1:8080",
			listen_on, gai_strerror(failed));
	*v6 = found->ai_family == AF_INET6;
	int one = 1;
	in->listen_fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (in->listen_fd < 0) {
		rc = err_sys(e, RC_IO, LISTEN_ID, errno, "cannot make a socket for %s", listen_on);
		goto done;
	}
	setsockopt(in->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(in->listen_fd, found->ai_addr, found->ai_addrlen) != 0 ||
		listen(in->listen_fd, LISTEN_BACKLOG) != 0) {
		if (errno == EADDRINUSE)
			rc = err_set(e, RC_IO, LISTEN_ID,
				"%s is in use by another process; `ss -ltnp 'sport = :%s'` names "
				"it. Stop it, or "
				"set ingest.listen to another port",
				listen_on, port);
		else if (errno == EADDRNOTAVAIL)
			rc = err_sys(e, RC_INVALID, LISTEN_ID, errno,
				"%s is no address of this machine; `ip address` lists them",
				listen_on);
		else if (errno == EACCES)
			rc = err_sys(e, RC_IO, LISTEN_ID, errno,
				"not allowed to listen on %s; use a port from 1024 on", listen_on);
		else
			rc = err_sys(e, RC_IO, LISTEN_ID, errno, "cannot listen on %s", listen_on);
		goto done;
	}
	rc = name_address(in, e);
done:
	freeaddrinfo(found);
	return rc;
}

static enum rc
start_daemon(struct ingest *in, const struct ingest_options *o, bool v6, struct err *e)
{
	unsigned flags = MHD_USE_ERROR_LOG | MHD_USE_ITC | (v6 ? (unsigned)MHD_USE_IPv6 : 0u);
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	size_t threads = o->threads > 0 ? o->threads : cores > 0 ? (size_t)cores : 1;
	struct MHD_OptionItem pool[] = {
		{ MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)threads, NULL },
		{ MHD_OPTION_END, 0, NULL },
	};
	if (in->pool)
		flags |= MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;
	else
		flags |= MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
			 MHD_USE_POLL;
	size_t connections = o->connections_max > 0 ? o->connections_max : CONNECTIONS_MAX;
	in->daemon = MHD_start_daemon(flags, 0, NULL, NULL, request_handle, in,
		MHD_OPTION_EXTERNAL_LOGGER, log_library, in, MHD_OPTION_URI_LOG_CALLBACK,
		request_new, in, MHD_OPTION_NOTIFY_COMPLETED, request_completed, in,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, in, MHD_OPTION_LISTEN_SOCKET,
		in->listen_fd,
		/* What 1 adds is a check for Host whose answer 0.9.75 sends twice; the guard has
		   its own. */
		MHD_OPTION_STRICT_FOR_CLIENT, 0, MHD_OPTION_CONNECTION_LIMIT, (unsigned)connections,
		MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S, MHD_OPTION_THREAD_STACK_SIZE, STACK_BYTES,
		MHD_OPTION_ARRAY, in->pool && threads > 1 ? pool : &pool[1], MHD_OPTION_END);
	if (in->daemon == NULL)
		return err_set(e, RC_IO, LISTEN_ID,
			"the HTTP server did not start on %s; the log line "
			"ingest.http-library says why",
			in->address);
	return RC_OK;
}

static enum rc
start_threads(struct ingest *in, const struct ingest_options *o, bool v6, struct err *e)
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
		.tick = on_tick,
		.context = in,
	};
	enum rc rc = conns_start(&in->conns, &options, e);
	if (rc == RC_OK)
		rc = start_daemon(in, o, v6, e);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

static void
release(struct ingest *in)
{
	if (in->listen_fd >= 0)
		close(in->listen_fd);
	conns_stop(in->conns);
	sources_release(in->sources);
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
	bool v6 = false;
	in->listen_fd = -1;
	in->store = o->store;
	in->pool = o->threading == INGEST_POOL;
	in->keep_alive = o->keep_alive;
	in->in_flight_bytes_max =
		o->in_flight_bytes_max > 0 ? o->in_flight_bytes_max : IN_FLIGHT_BYTES_MAX;
	in->sources_dir = base_strdup(o->sources_dir);
	const struct quarantine_options quarantine = {
		.dir = o->quarantine_dir == NULL ? "" : o->quarantine_dir,
		.bytes_max = o->quarantine_dir == NULL ? 0 : o->quarantine_bytes_max,
		.per_second_max = o->quarantine_per_second_max };
	in->quarantine_dir = base_strdup(quarantine.dir);
	in->quarantine = quarantine_new(&quarantine);
	snprintf(in->log_id, sizeof in->log_id, "%s", o->log_id == NULL ? "" : o->log_id);
	pthread_mutex_init(&in->sources_lock, NULL);
	pthread_mutex_init(&in->lent_lock, NULL);
	pthread_mutex_init(&in->refusals.lock, NULL);
	pthread_mutex_init(&in->library.lock, NULL);
	MHD_set_panic_func(on_panic, NULL);
	in->sources_stamp = sources_stamp(o->sources_dir);
	enum rc rc = sources_load(&in->sources, o->sources_dir, e);
	if (rc == RC_OK)
		rc = redact_salt(o->salt_file, in->salt, e);
	if (rc == RC_OK)
		rc = open_listener(in, o->listen, &v6, e);
	if (rc == RC_OK)
		rc = start_threads(in, o, v6, e);
	if (rc == RC_OK)
		*out = in;
	else
		release(in);
	return rc;
}

const char *
ingest_address(const struct ingest *in)
{
	return in->address;
}

size_t
ingest_source_count(struct ingest *in)
{
	pthread_mutex_lock(&in->sources_lock);
	size_t count = sources_count(in->sources);
	pthread_mutex_unlock(&in->sources_lock);
	return count;
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

void
ingest_tick(struct ingest *in)
{
	const struct admit how = { .sources = in->sources, .store = in->store, .salt = in->salt };
	if (in->quarantine_dir[0] != '\0')
		admit_answer_all(in->quarantine_dir, &how);
}

enum rc
ingest_drain(struct ingest *in, int64_t timeout_ms, struct err *e)
{
	int64_t start_ms = clock_monotonic_ms();
	atomic_store(&in->draining, true);
	if (in->listen_fd >= 0) {
		MHD_quiesce_daemon(in->daemon);
		close(in->listen_fd);
		in->listen_fd = -1;
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
	MHD_stop_daemon(in->daemon);
	/* The store has promised to call back for each. */
	while (atomic_load(&in->lent) > 0)
		clock_sleep_ms(1);
	release(in);
}
