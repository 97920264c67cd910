/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIMULATE_SIMULATE_H
#define SIMULATE_SIMULATE_H

#include "base/buf.h"
#include "base/err.h"

/* A forge that does not exist: people, repositories, pull requests and issues that live whole lives
 * and tell about it in webhooks shaped as GitHub's. For demos, tests and benchmarks;
 * docs/simulate.md. */

struct simulate_forge;

#define SIMULATE_DELIVERY_BYTES 37

struct simulate_event {
	uint64_t number;    /* 1, 2, ... */
	const char *event;  /* "pull_request"; static storage */
	const char *action; /* "opened", "" when the event has none; static storage */
	int64_t hook_id;
	int64_t at_us; /* on the simulated clock, which starts at the same moment for every seed */
	char delivery[SIMULATE_DELIVERY_BYTES]; /* a GUID, as in X-GitHub-Delivery */
	struct bytes body; /* compact JSON; belongs to the forge until the next call */
};

/* The same seed gives the same events, byte for byte, on every machine. Owned by the caller until
 * simulate_forge_free. One thread at a time. */
struct simulate_forge *simulate_forge_new(uint64_t seed);
void simulate_forge_free(struct simulate_forge *f);

/* The next event; the stream has no end and needs a constant amount of memory. */
void simulate_forge_next(struct simulate_forge *f, struct simulate_event *ev);

struct simulate_result;

struct simulate_options {
	const char *url, *unix_socket, *pin; /* the last two as in http_options */
	struct bytes secret; /* empty: no signature */
	uint64_t seed;
	uint64_t count;             /* events; 0: until stopped */
	uint64_t rate;              /* events per second; 0: no limit */
	unsigned concurrency;       /* connections, one thread each */
	unsigned form_percent;      /* events sent as application/x-www-form-urlencoded */
	unsigned duplicate_percent; /* events delivered a second time */
	int stop_fd;                /* readable: stop after the requests in flight; -1: never */
	/* May be NULL. Called from the calling thread about ten times per second. */
	void (*progress)(const struct simulate_result *so_far, void *context);
	void *context;
};

struct simulate_result {
	uint64_t sent;       /* requests that were answered for good */
	uint64_t accepted;   /* of those: 2xx */
	uint64_t duplicates; /* of the accepted: the answer said it had the event already */
	uint64_t refused;    /* of those: anything but 2xx */
	uint64_t retried;    /* requests repeated after 429, 503 or no answer */
	uint64_t body_bytes;
	int64_t elapsed_us;
	int64_t p50_us, p99_us, max_us; /* latency of single requests, within 4 % */
	int first_refusal;              /* status of the first refused one; 0: none */
	bool interrupted;
};

/* Sends the events of a new forge. Starts concurrency threads and waits for them. *result is valid
 * whatever is returned. With one connection the order is the forge's.
 * RC_INVALID: not a URL. RC_IO: nobody answers; the rest was not sent. */
enum rc simulate_send(const struct simulate_options *options, struct simulate_result *result,
	struct err *e) MUST_CHECK;

#endif
