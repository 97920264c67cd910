/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_SERVICES_H
#define CLI_SERVICES_H

#include "cli/config.h"
#include "ingest/ingest.h"
#include "projector/projector.h"
#include "store/store.h"
#include "replay/subscription.h"

/* From the configuration to the options of each part: the one place where keys meet layers. */

/* Opens the log for writing. */
/* How the configuration wants the log opened. Strings are c's. */
struct store_options services_store_options(const struct config *c);

/* A reader of the configured log. */
enum rc services_open_reader(const struct config *c, struct store_reader **r, struct err *e) MUST_CHECK;

enum rc services_open_log(const struct config *c, struct store **s, struct err *e) MUST_CHECK;

/* Starts the receiver and logs ingest.listening. figures: of the projector in this process, or NULL. */
enum rc services_start_ingest(const struct config *c, struct store *s, struct projector_figures *figures,
	struct arena *a, struct ingest **in, struct err *e) MUST_CHECK;

/* What a serving command does every SERVICES_WATCH_MS: says when the log stops or starts taking events,
 * takes up added and changed sources. *health is RC_OK before the first call. Any other result than
 * RC_OK: the log's writer has stopped for good. */
#define SERVICES_WATCH_MS 500
enum rc services_watch(struct ingest *in, struct store *s, enum rc *health, struct err *e) MUST_CHECK;

/* Takes up changed sources and logs it; with force (SIGHUP) also unchanged ones. */
void services_reload(struct ingest *in, bool force);

/* Where the tables are: postgres.url, DATABASE_URL, the PG* environment, or the private cluster of `up`.
 * In a. */
const char *services_conninfo(const struct config *c, struct arena *a);

/* Everything but the reader's stop_fd and progress. */
struct projector_options services_projector(const struct config *c, struct store_reader *r,
	struct arena *a);

/* How to serve the subscriptions with this reader until stop_fd is readable. Borrows all three. */
struct subscriptions_options services_subscriptions(
	const struct config *c, struct store_reader *r, int stop_fd);

#endif
