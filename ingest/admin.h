/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_ADMIN_H
#define INGEST_ADMIN_H

#include "ingest/server.h"

/* The second listener, for those who run the receiver and not for those who send to it: GET
 * /metrics, /livez, /readyz and /readyz?verbose. One thread. */

struct admin;

/* RC_INVALID, RC_IO: id ingest.listen. in must outlive it. */
enum rc admin_start(struct admin **a, struct ingest *in, const char *listen_on,
	void (*collect)(struct buf *out, void *context),
	bool (*ready)(struct buf *out, void *context), void *context, struct err *e) MUST_CHECK;

const char *admin_address(const struct admin *a);

/* NULL is fine. */
void admin_stop(struct admin *a);

/* The text of /metrics without what collect adds. */
void admin_put_metrics(struct buf *out, struct ingest *in);

#endif
