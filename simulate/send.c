/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/pace.h"
#include "event/sign.h"
#include "http/http.h"
#include "simulate/histogram.h"
#include "simulate/prng.h"
#include "simulate/simulate.h"

#define THREADS_MAX 256
#define PROGRESS_MS 100
#define WAIT_FIRST_MS 200
#define WAIT_MS_MAX 30000
/* Attempts to reach somebody before the run is given up. */
#define UNREACHABLE_MAX 5

/* Shared by all senders; everything behind the lock but options and done_fd. */
struct run {
	const struct simulate_options *options;
	int done_fd; /* counts senders that ended */
	pthread_mutex_t lock;
	struct simulate_forge *forge;
	struct prng prng; /* of form and duplicate shares: drawn in the order of the stream */
	struct pace pace;
	struct simulate_result result;
	struct histogram histogram;
	bool stop; /* somebody failed */
	struct err err;
};

/* One thread. */
struct sender {
	struct run *run;
	pthread_t thread;
	struct http_client *client;
	struct http_response response;
	struct prng prng; /* jitter of waits; may differ from run to run without harm */
	/* The event in hand. */
	struct simulate_event event;
	struct buf body, signature;
	char hook_id[24];
	bool form, twice;
	int64_t due_in_us;
};

static bool
stopped_within_us(const struct run *run, int64_t us)
{
	struct pollfd p = { .fd = run->options->stop_fd, .events = POLLIN };
	int64_t end_us = clock_monotonic_us() + us;
	for (;;) {
		int64_t left_ms = (end_us - clock_monotonic_us() + 999) / 1000;
		if (poll(&p, 1, left_ms > 0 ? (int)left_ms : 0) > 0)
			return true;
		if (clock_monotonic_us() >= end_us)
			return false;
	}
}

/* Appends payload=<percent-encoded JSON>. */
static void
put_form(struct buf *out, struct bytes json)
{
	static const char hex[] = "0123456789ABCDEF";
	buf_put_str(out, "payload=");
	for (size_t i = 0; i < json.len; i++) {
		unsigned char c = json.data[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '*';
		if (plain) {
			buf_put_char(out, (char)c);
		} else if (c == ' ') {
			buf_put_char(out, '+');
		} else {
			char text[3] = { '%', hex[c >> 4], hex[c & 15] };
			buf_put(out, text, sizeof(text));
		}
	}
}

/* Takes the next event of the stream; false when there is none for this thread. */
static bool
take(struct sender *s)
{
	struct run *run = s->run;
	const struct simulate_options *o = run->options;
	bool taken = false;
	pthread_mutex_lock(&run->lock);
	if (!run->stop) {
		struct simulate_event next;
		simulate_forge_next(run->forge, &next);
		taken = o->count == 0 || next.number <= o->count;
		if (taken) {
			s->event = next;
			s->form = prng_percent(&run->prng, o->form_percent);
			s->twice = prng_percent(&run->prng, o->duplicate_percent);
			buf_clear(&s->body);
			if (s->form)
				put_form(&s->body, next.body);
			else
				buf_put_bytes(&s->body, next.body);
			s->due_in_us = pace_next_us(&run->pace, clock_monotonic_us());
		} else {
			run->stop = true;
		}
	}
	pthread_mutex_unlock(&run->lock);
	s->event.body = buf_bytes(&s->body);
	return taken;
}

static void
record(struct sender *s, int64_t latency_us)
{
	struct run *run = s->run;
	struct simulate_result *r = &run->result;
	int status = s->response.status;
	bool duplicate = strstr(buf_cstr(&s->response.body), "\"duplicate\":true") != NULL;
	pthread_mutex_lock(&run->lock);
	r->sent++;
	r->body_bytes += s->body.len;
	if (status >= 200 && status <= 299) {
		r->accepted++;
		r->duplicates += duplicate;
	} else {
		r->refused++;
		r->first_refusal = r->first_refusal == 0 ? status : r->first_refusal;
	}
	histogram_add(&run->histogram, latency_us);
	pthread_mutex_unlock(&run->lock);
}

static void
count_retry(struct sender *s)
{
	pthread_mutex_lock(&s->run->lock);
	s->run->result.retried++;
	pthread_mutex_unlock(&s->run->lock);
}

static bool
failed_elsewhere(struct run *run)
{
	pthread_mutex_lock(&run->lock);
	bool failed = run->err.rc != RC_OK;
	pthread_mutex_unlock(&run->lock);
	return failed;
}

static void
fail(struct run *run, const struct err *e)
{
	pthread_mutex_lock(&run->lock);
	if (run->err.rc == RC_OK)
		run->err = *e;
	run->stop = true;
	pthread_mutex_unlock(&run->lock);
}

static void
interrupt(struct run *run)
{
	pthread_mutex_lock(&run->lock);
	run->result.interrupted = true;
	run->stop = true;
	pthread_mutex_unlock(&run->lock);
}

static size_t
make_headers(struct sender *s, struct http_header headers[8])
{
	size_t n = 0;
	struct bytes secret = s->run->options->secret;
	headers[n++] = (struct http_header){ bytes_str("Accept"), bytes_str("*/*") };
	headers[n++] = (struct http_header){ bytes_str("Content-Type"),
		bytes_str(s->form ? "application/x-www-form-urlencoded" : "application/json") };
	headers[n++] =
		(struct http_header){ bytes_str("X-GitHub-Event"), bytes_str(s->event.event) };
	headers[n++] = (struct http_header){ bytes_str("X-GitHub-Delivery"),
		bytes_str(s->event.delivery) };
	snprintf(s->hook_id, sizeof(s->hook_id), "%" PRId64, s->event.hook_id);
	headers[n++] = (struct http_header){ bytes_str("X-GitHub-Hook-ID"), bytes_str(s->hook_id) };
	headers[n++] = (struct http_header){ bytes_str("X-GitHub-Hook-Installation-Target-Type"),
		bytes_str("organization") };
	if (secret.len > 0) {
		buf_clear(&s->signature);
		sign_github(secret, s->event.body, &s->signature);
		headers[n++] = (struct http_header){ bytes_str(SIGN_GITHUB_HEADER),
			buf_bytes(&s->signature) };
	}
	return n;
}

/* Delivers the event in hand once, waiting while the receiver asks for it. False: the run ends. */
static bool
deliver(struct sender *s)
{
	struct run *run = s->run;
	struct http_header headers[8];
	size_t count = make_headers(s, headers);
	unsigned unreachable = 0;
	int64_t wait_ms = WAIT_FIRST_MS;
	for (;;) {
		struct err e = { 0 };
		int64_t start_us = clock_monotonic_us();
		enum rc rc = http_request(s->client, "POST", run->options->url, headers, count,
			s->event.body, &s->response, &e);
		int64_t latency_us = clock_monotonic_us() - start_us;
		int64_t asked_ms = 0;
		if (rc == RC_OK && s->response.status != 429 && s->response.status != 503) {
			record(s, latency_us);
			return true;
		}
		if (rc == RC_OK) {
			asked_ms = s->response.retry_after_s * 1000;
		} else if (rc == RC_INVALID || ++unreachable == UNREACHABLE_MAX) {
			fail(run, &e);
			return false;
		}
		/* Half of the wait is chance, so that the threads do not come back as one. */
		int64_t ms = asked_ms > 0 ? asked_ms : wait_ms;
		ms = ms < WAIT_MS_MAX ? ms : WAIT_MS_MAX;
		ms += prng_below(&s->prng, (unsigned)(ms / 2 + 1));
		wait_ms *= 2;
		if (stopped_within_us(run, ms * 1000)) {
			interrupt(run);
			return false;
		}
		if (failed_elsewhere(run))
			return false;
		count_retry(s);
	}
}

static void *
send_all(void *context)
{
	struct sender *s = context;
	struct run *run = s->run;
	while (take(s)) {
		if (stopped_within_us(run, s->due_in_us)) {
			interrupt(run);
			break;
		}
		if (!deliver(s) || (s->twice && !deliver(s)))
			break;
	}
	uint64_t one = 1;
	/* Cannot fail: an eventfd takes this until it holds 2^64 - 2. */
	ssize_t written = write(run->done_fd, &one, sizeof(one));
	ASSERT(written == sizeof(one));
	return NULL;
}

/* Until all senders ended; tells about progress meanwhile. */
static void
watch(struct run *run, unsigned senders, int64_t start_us)
{
	const struct simulate_options *o = run->options;
	unsigned ended = 0;
	while (ended < senders) {
		struct pollfd p = { .fd = run->done_fd, .events = POLLIN };
		uint64_t count;
		if (poll(&p, 1, PROGRESS_MS) > 0 && read(run->done_fd, &count, sizeof(count)) > 0)
			ended += (unsigned)count;
		if (o->progress == NULL)
			continue;
		pthread_mutex_lock(&run->lock);
		struct simulate_result now = run->result;
		pthread_mutex_unlock(&run->lock);
		now.elapsed_us = clock_monotonic_us() - start_us;
		o->progress(&now, o->context);
	}
}

static enum rc
start(struct run *run, struct sender *senders, unsigned count, unsigned *started, struct err *e)
{
	enum rc rc = RC_OK;
	const struct http_options http = { .unix_socket = run->options->unix_socket,
		.pin = run->options->pin,
		.user_agent = "hooklog-simulate" };
	*started = 0;
	for (unsigned i = 0; i < count && rc == RC_OK; i++) {
		struct sender *s = &senders[i];
		s->run = run;
		s->body = buf_new(LIMIT_FORM_BODY_BYTES);
		s->signature = buf_new(128);
		s->prng.state = (uint64_t)clock_monotonic_us() + i;
		rc = http_client_new(&s->client, &http, e);
	}
	for (unsigned i = 0; i < count && rc == RC_OK; i++) {
		int failed = pthread_create(&senders[i].thread, NULL, send_all, &senders[i]);
		if (failed != 0)
			rc = err_sys(e, RC_IO, NULL, failed, "cannot start %u threads", count);
		else
			++*started;
	}
	return rc;
}

enum rc
simulate_send(const struct simulate_options *options, struct simulate_result *result, struct err *e)
{
	struct run *run = base_zalloc(sizeof(*run));
	unsigned count = options->concurrency == 0            ? 1
			 : options->concurrency > THREADS_MAX ? THREADS_MAX
							      : options->concurrency;
	struct sender *senders = base_zalloc(count * sizeof(*senders));
	unsigned started = 0;
	int64_t start_us = clock_monotonic_us();
	enum rc rc = RC_OK;
	run->options = options;
	pthread_mutex_init(&run->lock, NULL);
	run->forge = simulate_forge_new(options->seed);
	run->prng.state = ~options->seed;
	run->pace = pace_new(options->rate, start_us);
	run->done_fd = eventfd(0, EFD_CLOEXEC);
	if (run->done_fd < 0)
		rc = err_sys(e, RC_IO, NULL, errno, "cannot make an eventfd");
	if (rc == RC_OK)
		rc = start(run, senders, count, &started, e);
	if (rc != RC_OK && started > 0)
		fail(run, &(struct err){ .rc = rc });
	watch(run, started, start_us);
	for (unsigned i = 0; i < started; i++)
		pthread_join(senders[i].thread, NULL);
	if (rc == RC_OK && run->err.rc != RC_OK) {
		rc = run->err.rc;
		if (e != NULL)
			*e = run->err;
	}
	*result = run->result;
	result->elapsed_us = clock_monotonic_us() - start_us;
	result->p50_us = histogram_percentile(&run->histogram, 50);
	result->p99_us = histogram_percentile(&run->histogram, 99);
	result->max_us = run->histogram.max_us;

	for (unsigned i = 0; i < count; i++) {
		http_client_free(senders[i].client);
		http_response_free(&senders[i].response);
		buf_free(&senders[i].body);
		buf_free(&senders[i].signature);
	}
	if (run->done_fd >= 0)
		close(run->done_fd);
	simulate_forge_free(run->forge);
	pthread_mutex_destroy(&run->lock);
	free(senders);
	free(run);
	return rc;
}
