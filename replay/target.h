/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLAY_TARGET_H
#define REPLAY_TARGET_H

#include <sys/uio.h>

#include "store/store.h"

/* A kind of target, which is a form and a way: one file replay/target_<name>.c with one constant,
 * and its row in replay/target.c. */

struct replay_target_options {
	const char *spec;   /* what was given as --target */
	const char *format; /* the kind's name; NULL: the first one that takes spec */
	struct bytes secret;
	bool force;
	const char *run;   /* id of the replay; "" or NULL: none */
	const char *allow; /* hosts and address ranges beyond the public internet; NULL: none */
	const char *ca_file; /* as in http_options */
	bool allow_private;
	bool http2; /* over HTTP only; others do not look at it */
	bool out_of_order; /* the run does not send in the order of the log */
	unsigned char log_id[STORE_LOG_ID_BYTES];
};

struct replay_answer {
	int status;            /* of HTTP; 0: no answer, or no HTTP */
	int64_t retry_after_s; /* what the target asks for; -1: nothing */
	bool about_event;      /* with RC_AGAIN: another event may well be taken */
};

/* Where an event's body belongs, by reference, in the bytes that stand for the event. */
struct replay_piece {
	struct bytes body; /* empty: nowhere */
	size_t at;         /* before this byte of the text */
};

struct replay_target_kind {
	const char *name;
	/* Whether spec names a place this kind can send to. The rows are asked in order. */
	bool (*accepts)(const char *spec);
	size_t batch_max; /* events one send may take */
	bool concurrent;  /* may be open several times at once */
	/* Makes *state, owned until close. options is borrowed until then. RC_INVALID, RC_CONFLICT,
	 * RC_IO. */
	enum rc (*open)(void **state, const struct replay_target_options *options, struct err *e);
	/* Sends 1 to batch_max events as one. RC_OK: delivered. RC_AGAIN: not now. RC_DENIED: the
	 * target refused this. Anything else: there is no use in going on; RC_NOTFOUND (id
	 * replay.gone): the target says it is gone for good. */
	enum rc (*send)(void *state, const struct event *const *events, size_t count,
		struct replay_answer *answer, struct err *e);
	/* Both instead of send, for a target that tells later what it has stored: publish hands an
	 * event over, and what it points to is not needed any more; confirm sets *count to how many
	 * further ones, in that order, are stored, and with all waits for every one. publish with
	 * RC_DENIED (id replay.refused): the target cannot take this event, and others it can. RC_AGAIN:
	 * nobody knows of those under way; open it again and publish them again. Anything else:
	 * there is no use in going on. *count is valid whatever is returned. */
	enum rc (*publish)(void *state, const struct event *ev, struct err *e);
	enum rc (*confirm)(void *state, bool all, size_t *count, struct err *e);
	/* Both instead of send, for a target that is a row of bytes: put appends to text what stands for the
	 * event, all but the body that *piece may name (given as none). Any thread, and several at once; it
	 * may use scratch. text->overflow: the event is too large, others are not. write gets such bytes in the order of the log, one
	 * call at a time, and may change the list. */
	void (*put)(const void *state, const struct event *ev, struct arena *scratch, struct buf *text,
		struct replay_piece *piece);
	enum rc (*write)(void *state, struct iovec *pieces, size_t count, struct err *e);
	/* Whether what was sent stays sent when the replay ends early. */
	bool (*keeps)(const void *state);
	/* Makes what was sent final when complete, else throws away what is not; frees state. */
	enum rc (*close)(void *state, bool complete, struct err *e);
};

extern const struct replay_target_kind replay_target_http;
extern const struct replay_target_kind replay_target_hooklog;
extern const struct replay_target_kind replay_target_ndjson;
extern const struct replay_target_kind replay_target_cloudevents;
extern const struct replay_target_kind replay_target_cloudevents_binary;
extern const struct replay_target_kind replay_target_cloudevents_batch;
extern const struct replay_target_kind replay_target_cloudevents_file;
extern const struct replay_target_kind replay_target_standard;
extern const struct replay_target_kind replay_target_raw;
extern const struct replay_target_kind replay_target_msgpack;
extern const struct replay_target_kind replay_target_nats;
extern const struct replay_target_kind replay_target_kafka;

/* The kind of spec; with a format, the kind of that name. RC_INVALID: no kind takes it. */
enum rc replay_target_find(const char *spec, const char *format,
	const struct replay_target_kind **kind, struct err *e) MUST_CHECK;

#endif
