/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_CMD_PROJECT_H
#define CLI_CMD_PROJECT_H

#include "cli/services.h"

/* What every `project` command opens first. */
struct project_context {
	struct arena *a;
	struct config config;
	struct store_reader *reader;
	struct projector_options options;
	int stop_fd; /* -1 unless stoppable */
};

/* Reads the configuration and opens the log; with stoppable, SIGINT and SIGTERM are answered by the part
 * that works instead of ending the process. project_close also after a failure. */
enum rc project_open(struct project_context *c, const struct cli_call *call, bool stoppable, struct err *e)
	MUST_CHECK;
void project_close(struct project_context *c);

#endif
