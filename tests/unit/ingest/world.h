/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_INGEST_WORLD_H
#define TESTS_UNIT_INGEST_WORLD_H

#include "ingest/ingest.h"
#include "tests/unit/ingest/fake_store.h"

/* A receiver with two sources, "gh" (signed with WORLD_SECRET) and "open" (unsigned), over a store
 * that answers as told, and raw sockets to talk to it. Failures end the test. */

#define WORLD_SECRET "a secret of good length"
#define WORLD_BODY "{\"action\":\"opened\"}"
/* Header lines of a delivery with a body of two bytes, without a signature. */
#define WORLD_HEAD "Host: x\r\nContent-Length: 2\r\nX-GitHub-Event: e\r\nX-GitHub-Delivery: d\r\n"

struct world {
	char dir[128];
	struct store *store;
	struct ingest *in;
	struct ingest_options options;
	char sources_dir[160], salt_file[160];
};

struct world *world_new(enum ingest_threading threading);
void world_free(struct world *w);

/* Starts the receiver again, with options changed by the test. */
void world_restart(struct world *w);

int world_connect(struct world *w);

/* Sends as much as the peer takes. */
void world_send(int fd, const void *data, size_t len);

/* Everything until the peer closes; the status, or 0 when there was no answer. Closes fd. */
int world_read(int fd, struct buf *answer);

/* One request on a connection of its own: the status. */
int world_ask(struct world *w, struct bytes request, struct buf *answer);
int world_status(struct world *w, const char *request);

/* Appends a signed POST; extra holds more header lines. */
void world_put_post(struct buf *out, const char *path, const char *delivery, struct bytes body,
	const char *extra);
int world_post(struct world *w, const char *path, struct bytes body, struct buf *answer);
int world_post_status(struct world *w, struct bytes body);

/* Runs a test under both threading models. */
#define WORLD_DEFINE(name)                                                                         \
	static void name##_connection(void **state UNUSED)                                         \
	{                                                                                          \
		struct world *w = world_new(INGEST_CONNECTION);                                    \
		name(w);                                                                           \
		world_free(w);                                                                     \
	}                                                                                          \
	static void name##_pool(void **state UNUSED)                                               \
	{                                                                                          \
		struct world *w = world_new(INGEST_POOL);                                          \
		name(w);                                                                           \
		world_free(w);                                                                     \
	}
#define WORLD_LIST(name) cmocka_unit_test(name##_connection), cmocka_unit_test(name##_pool),

#endif
