/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_INGEST_FAKE_STORE_H
#define TESTS_UNIT_INGEST_FAKE_STORE_H

#include "store/store.h"

/* A store that answers as told, from a thread of its own as the real one does. */

struct fake_plan {
	enum rc submit; /* store_submit returns this */
	enum rc commit; /* what the callback reports */
	bool duplicate;
	bool hold;        /* callbacks wait until this is set to false */
	int64_t delay_ms; /* before each callback */
	enum rc health;
};

struct store *fake_store_new(void);
void fake_store_free(struct store *s);
void fake_store_plan(struct store *s, struct fake_plan plan);

/* Events whose callback reported RC_OK. */
uint64_t fake_store_count(struct store *s);

/* Events submitted whose callback has not run. */
size_t fake_store_pending(struct store *s);

/* The last event, written by event_encode, and its body; owned by the caller. */
void fake_store_last(struct store *s, struct buf *envelope, struct buf *body);

#endif
