/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PG_CLUSTER_H
#define PG_CLUSTER_H

#include "base/arena.h"
#include "base/err.h"

/* A private PostgreSQL cluster in a folder, for `hooklog up` when no database is configured: made with
 * initdb on first use, started as our child, reachable only through a unix socket in a folder that only
 * its user may enter, stopped with us, data kept. When we are root it runs as the user postgres, else
 * nobody, since PostgreSQL refuses root. */
struct cluster;

/* Makes the cluster if needed, ends a server a killed predecessor left behind, starts it and waits until
 * it answers. If this process dies, the kernel tells the server to shut down. Main thread.
 * RC_NOTFOUND: PostgreSQL's server programs are not installed. RC_INVALID: the path is too long for a
 * socket, or its user cannot reach the folder. RC_IO: it does not start; the message quotes its log. */
enum rc cluster_start(struct cluster **cluster, const char *dir, struct err *e) MUST_CHECK;

/* The libpq connection string of the cluster in dir, running or not, in a. */
const char *cluster_conninfo(const char *dir, struct arena *a);

/* Whether the server process still runs. Main thread. */
bool cluster_running(struct cluster *cluster);

/* Starts a server that ended by itself again and waits until it answers. The child closes every
 * descriptor it does not need before it becomes the server, so an open log is safe. */
enum rc cluster_restart(struct cluster *cluster, struct err *e) MUST_CHECK;

/* Fast shutdown, waits for its end at most 30 s, then immediate. NULL is fine. */
void cluster_stop(struct cluster *cluster);

#endif
