/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/cmd.h"
#include "cli/commands.h"
#include "cli/services.h"

/* Requests in flight at a stop: the answer to a delivery may take as long as a commit does. */
#define DRAIN_MS 8000

/* Until a signal comes or the log's writer has stopped for good. */
static enum rc
serve(struct ingest *in, struct store *store, int stop_fd, int hangup_fd, struct err *e)
{
	struct pollfd p[] = {
		{ .fd = stop_fd, .events = POLLIN },
		{ .fd = hangup_fd, .events = POLLIN },
	};
	enum rc health = RC_OK;
	while (poll(p, COUNT_OF(p), SERVICES_WATCH_MS) <= 0 || p[0].revents == 0) {
		if (cmd_take_hangup(hangup_fd))
			services_reload(in, true);
		enum rc rc = services_watch(in, store, &health, e);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

static int
receive(const struct config *c, struct store *store, int stop_fd, int hangup_fd)
{
	struct ingest *in = NULL;
	struct err e = { 0 };
	struct arena *a = arena_new(256);
	int code = EXIT_DONE;
	enum rc rc = services_start_ingest(c, store, NULL, a, &in, &e);
	if (rc != RC_OK) {
		code = cmd_fail(&e);
		code = rc == RC_INVALID ? EXIT_CONFIG : code;
		goto done;
	}
	if (ingest_source_count(in) == 0)
		LOG_WARN("ingest.source", F_S("error", "no source yet; run: hooklog source add"));
	/* The log's writer has said itself why it stopped. */
	if (serve(in, store, stop_fd, hangup_fd, &e) != RC_OK)
		code = EXIT_LOG;
	LOG_INFO("ingest.stopping", F_S("address", ingest_address(in)));
	if (ingest_drain(in, DRAIN_MS, &e) != RC_OK)
		LOG_WARN("ingest.busy", F_S("error", e.text));
done:
	ingest_stop(in);
	arena_free(a);
	return code;
}

static int
run_ingest(const struct cli_call *call)
{
	struct arena *a = arena_new(4096);
	struct store *store = NULL;
	struct config c;
	struct err e = { 0 };
	int code = EXIT_FAILED, stop_fd = -1, hangup_fd = -1;
	if (config_load(&c, call, a, NULL, &e) != RC_OK || (stop_fd = cmd_stop_fd(&e)) < 0 ||
		(hangup_fd = cmd_hangup_fd(&e)) < 0) {
		code = cmd_fail(&e);
		goto done;
	}
	if (services_open_log(&c, &store, &e) != RC_OK) {
		code = cmd_fail(&e);
		goto done;
	}
	code = receive(&c, store, stop_fd, hangup_fd);
done:
	store_close(store);
	if (stop_fd >= 0)
		close(stop_fd);
	if (hangup_fd >= 0)
		close(hangup_fd);
	arena_free(a);
	return code;
}

const struct cli_command cmd_ingest = {
	.name = "ingest",
	.args_help = "",
	.summary = "Receive webhooks into the log.",
	.details = "Listens on ingest.listen for POST /in/<source>, checks each delivery's\n"
		   "signature and answers 202 with its number once it is on disk. GET /livez\n"
		   "and /readyz tell whether it lives and whether the log takes events. Needs\n"
		   "no PostgreSQL.\n"
		   "\n"
		   "Runs in the foreground until SIGINT or SIGTERM, then answers what is in\n"
		   "flight and ends. Sources added or changed meanwhile are taken up within a\n"
		   "second; SIGHUP reads all of them again, for secrets that are kept elsewhere\n"
		   "or handed over by systemd, and the certificate of ingest.tls_certificate_file,\n"
		   "with which it speaks TLS instead of HTTP. Exit code 4: a source or the\n"
		   "certificate cannot be used. Exit code 5: the log cannot be opened or its writer has stopped.\n",
	.run = run_ingest,
};
