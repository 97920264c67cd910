/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_PROJECT_LISTEN_H
#define CLI_PROJECT_LISTEN_H

#include <pthread.h>

#include "projector/projector.h"

/* The listener of `project run` with /metrics and /livez (projector.listen). `up` shows the same figures on
 * admin.listen. */
struct project_listen {
	struct projector_figures *figures;
	struct store_reader *reader; /* of its connections, one after the other */
	pthread_mutex_t lock;
	struct server *server;
};

/* Starts it when address is not empty, and logs project.listening. figures must outlive it; reader, which is of the
 * calling thread, need not. RC_INVALID, RC_IO (id ingest.listen): cannot listen there. */
enum rc project_listen_start(struct project_listen *l, const char *address, struct projector_figures *figures,
	struct store_reader *reader, struct err *e) MUST_CHECK;
/* Of one that was zeroed or started. */
void project_listen_stop(struct project_listen *l);

#endif
