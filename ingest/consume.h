/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_CONSUME_H
#define INGEST_CONSUME_H

#include "ingest/quarantine.h"
#include "store/ops.h"

/* The receiver that fetches: takes messages of a broker into the log, for a source. Its provider
 * reads event and headers as it does those of a request; signatures are not asked for, since the
 * broker lets in whom it knows. The delivery id is the message's position in the broker, so what
 * comes twice is recognised. The broker is told only after the commit (docs/consume.md). */

struct consume_result {
	uint64_t cycles, taken;       /* messages */
	uint64_t added, duplicates;   /* events */
	uint64_t quarantined;         /* messages that are no deliveries of the source's provider */
	uint64_t own;                 /* messages that this log sent itself: not stored again */
	uint64_t retried;             /* connections after the first one */
	uint64_t first_seq, last_seq; /* of what was added; 0: nothing */
	bool interrupted;
};

struct consume_options {
	const char *from;        /* URL of a broker */
	const char *source;      /* name; must exist */
	const char *event;       /* type of messages that name none; NULL: they are set aside */
	const char *sources_dir, *salt_file;
	struct quarantine_options quarantine;
	struct store_options store;
	size_t batch;            /* messages of one cycle; 1 to STORE_APPEND_EVENTS_MAX */
	uint64_t cycles;         /* end after so many; 0: never */
	bool idle_exit;          /* end after a cycle without messages */
	int64_t sleep_ms;        /* between cycles */
	uint64_t retries;        /* failures in a row before it ends, when cycles or idle_exit say
				    that it is to end; else it never does */
	int64_t backoff_first_ms; /* 0: 500 */
	int stop_fd;             /* readable: end */
	/* After each cycle; may be NULL. */
	void (*progress)(const struct consume_result *so_far, void *context);
	void *context;
};

/* Runs until it is to end or stop_fd is readable; *result is valid whatever is returned. Logs what
 * goes wrong and is tried again, and each message that is set aside. RC_NOTFOUND: no such source.
 * RC_AGAIN: the broker or the log was not to be had. RC_DENIED: the broker refuses. RC_FULL (id
 * ingest.message): a message can be neither stored nor set aside; it stays in the broker.
 * RC_INVALID, RC_CORRUPT, RC_IO. */
enum rc consume_run(const struct consume_options *options, struct consume_result *result,
	struct err *e) MUST_CHECK;

#endif
