/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLAY_MESSAGE_H
#define REPLAY_MESSAGE_H

#include "broker/broker.h"
#include "replay/target.h"

/* What targets that are brokers share: the message an event becomes. One thread. */
struct message;

/* Connects. kind: "nats" or "kafka". Borrows options until message_close. RC_INVALID also when a
 * secret is given: there is nothing to sign. Others: broker_publisher_open. */
enum rc message_open(struct message **m, const struct replay_target_options *options,
	struct err *e) MUST_CHECK;
void message_close(struct message *m); /* NULL is fine */

/* A parameter of the URL, for as long as m; NULL: not given. */
const char *message_param(const struct message *m, const char *name);

/* Memory for making one message. */
struct arena *message_scratch(struct message *m);

/* Publishes the event with the subject or the key given. RC_DENIED (id replay.refused): it is too
 * large for the broker. Others: broker_publish. */
enum rc message_publish(struct message *m, const struct event *ev, const char *subject,
	struct bytes key, struct err *e) MUST_CHECK;

enum rc message_confirm(struct message *m, bool all, size_t *count, struct err *e) MUST_CHECK;

#endif
