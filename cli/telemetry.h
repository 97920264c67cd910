/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_TELEMETRY_H
#define CLI_TELEMETRY_H

#include "base/buf.h"
#include "projector/projector.h"
#include "store/store.h"

/* What the receiver's second listener tells about the log and who follows it. Called in its thread. */
struct telemetry {
	struct store *store;
	const char *log_dir, *subscriptions_dir;
	struct projector_figures *figures; /* NULL: no projector runs in this process */
};

/* Appends the metrics of the log, of the subscriptions and of the projector. context is a struct telemetry. */
void telemetry_collect(struct buf *out, void *context);

/* Appends lines for disk and map; false: there is so little room that events will soon be refused. */
bool telemetry_ready(struct buf *out, void *context);

#endif
