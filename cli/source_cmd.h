/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_SOURCE_CMD_H
#define CLI_SOURCE_CMD_H

#include "base/limits.h"
#include "cli/config.h"
#include "ingest/sources.h"

/* What the commands about sources share. Those that return an exit code have printed the error when it is
 * not EXIT_DONE. Main thread. */

/* As cmd_fail: what is invalid stands in a source's files, and a conflict is about its name. */
int source_cmd_fail(const struct err *e);

/* Reads configuration and sources into what the caller releases in any case. strict: as the receiver does, so that a
 * secret that cannot be read is an error; else as sources_look. */
int source_cmd_open(const struct cli_call *call, bool strict, struct arena *a, struct config *c,
	struct sources **sources);

/* The same, and the source that the first argument names. */
int source_cmd_find(const struct cli_call *call, bool strict, struct arena *a, struct config *c,
	struct sources **sources, const struct source **source);

/* The secret in the file that --secret-file names, or the empty run without it. into is the caller's to wipe. */
int source_cmd_secret(const struct cli_call *call, unsigned char into[LIMIT_SECRET_BYTES],
	struct bytes *secret);

/* {"name":...,"provider":...,"path":...,"signed":...,"disabled":... without the closing brace. */
void source_cmd_put_json(struct buf *out, const struct source *source);

#endif
