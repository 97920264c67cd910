/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli/cmd.h"

static const struct {
	const char *prefix;
	enum cli_exit code;
} exit_by_id[] = {
	{ "config.", EXIT_CONFIG },
	{ "log.", EXIT_LOG },
	{ "postgres.", EXIT_POSTGRES },
	{ "project.log-mismatch", EXIT_MISMATCH },
};

int
cmd_fail(const struct err *e)
{
	cmd_progress_end();
	fflush(stdout);
	fprintf(stderr, "hooklog: %s\n", e->text);
	if (e->id != NULL)
		fprintf(stderr, "hooklog: see docs/runbooks/%s.md\n", e->id);
	for (size_t i = 0; e->id != NULL && i < COUNT_OF(exit_by_id); i++) {
		const char *prefix = exit_by_id[i].prefix;
		bool specific = e->rc == RC_NOTFOUND || e->rc == RC_CORRUPT || e->rc == RC_CONFLICT;
		if (specific && exit_by_id[i].code != EXIT_CONFIG && exit_by_id[i].code != EXIT_MISMATCH)
			continue;
		if (strncmp(e->id, prefix, strlen(prefix)) == 0)
			return (int)exit_by_id[i].code;
	}
	return (int)cli_exit_of(e->rc);
}

bool
cmd_print(const struct buf *out)
{
	if (out->overflow) {
		fprintf(stderr, "hooklog: the answer is larger than %zu bytes; ask for less\n",
			out->max_bytes);
		return false;
	}
	if (out->len == 0 || fwrite(out->data, 1, out->len, stdout) == out->len)
		return true;
	fprintf(stderr, "hooklog: write to stdout: %s\n", strerror(errno));
	return false;
}

int
cmd_flush(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	if (code != EXIT_DONE)
		return code;
	fprintf(stderr, "hooklog: write to stdout: %s\n", strerror(errno));
	return EXIT_FAILED;
}

static void
stop_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
}

int
cmd_stop_fd(struct err *e)
{
	sigset_t set;
	stop_signals(&set);
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	int failed = pthread_sigmask(SIG_BLOCK, &set, NULL);
	/* Both are told by the call that fails: a peer that is gone, a limit on the size of files. */
	if (failed == 0 && (sigaction(SIGPIPE, &ignore, NULL) != 0 || sigaction(SIGXFSZ, &ignore, NULL) != 0))
		failed = errno;
	int fd = failed == 0 ? signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK) : -1;
	if (fd < 0)
		err_sys(e, RC_IO, NULL, failed == 0 ? errno : failed, "cannot watch for signals");
	return fd;
}

int
cmd_hangup_fd(struct err *e)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	int failed = pthread_sigmask(SIG_BLOCK, &set, NULL);
	int fd = failed == 0 ? signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK) : -1;
	if (fd < 0)
		err_sys(e, RC_IO, NULL, failed == 0 ? errno : failed, "cannot watch for SIGHUP");
	return fd;
}

bool
cmd_take_hangup(int hangup_fd)
{
	struct signalfd_siginfo info;
	bool any = false;
	while (read(hangup_fd, &info, sizeof info) == sizeof info)
		any = true;
	return any;
}

bool
cmd_stopped(int stop_fd)
{
	struct pollfd p = { .fd = stop_fd, .events = POLLIN };
	return poll(&p, 1, 0) > 0;
}

void
cmd_unblock_signals(void)
{
	sigset_t set;
	stop_signals(&set);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	struct sigaction standard = { .sa_handler = SIG_DFL };
	sigaction(SIGPIPE, &standard, NULL);
	sigaction(SIGXFSZ, &standard, NULL);
}

void
cmd_progress(const char *fmt, ...)
{
	if (!isatty(STDERR_FILENO))
		return;
	char line[256];
	va_list args;
	va_start(args, fmt);
	vsnprintf(line, sizeof line, fmt, args);
	va_end(args);
	fprintf(stderr, "\r%s\033[K", line);
}

void
cmd_progress_end(void)
{
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}
