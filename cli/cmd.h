/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_CMD_H
#define CLI_CMD_H

#include "base/buf.h"
#include "base/cli.h"
#include "base/err.h"

/* What several commands need. Main thread only. */

/* Prints "hooklog: <text>" to stderr, and the page of e->id when it has one; returns the exit code: the
 * one of cli_exit_of when the result code has one of its own (not found, damage, conflict), else by the
 * first word of the id (config, log, postgres), else EXIT_FAILED. */
int cmd_fail(const struct err *e);

/* Writes all of out to stdout. False after a message on stderr: out overflowed, or stdout took no
 * more. */
bool cmd_print(const struct buf *out);

/* Flushes stdout and returns code, or EXIT_FAILED after a message when stdout took no more: a result
 * that was cut off must not look complete. Called by main. */
int cmd_flush(int code);

/* Blocks SIGINT and SIGTERM for this thread and all it starts, ignores SIGPIPE and SIGXFSZ, and returns a
 * descriptor that becomes readable when one of the two arrives; -1 with *e set. Never read from it: so
 * every thread sees it. Call it once and before any thread is started; the caller closes it. A child
 * process inherits the blocked signals and must unblock them (cmd_unblock_signals). */
int cmd_stop_fd(struct err *e);

/* Blocks SIGHUP like the others and returns a descriptor that becomes readable when it arrives; -1 with
 * *e set. For commands that reload; before any thread is started; the caller closes it. */
int cmd_hangup_fd(struct err *e);

/* Whether SIGHUP came since the last call. */
bool cmd_take_hangup(int hangup_fd);

/* Whether a stop was asked for; -1 never is. */
bool cmd_stopped(int stop_fd);

/* Undoes the blocking of cmd_stop_fd and cmd_hangup_fd, in a child process between fork and exec. */
void cmd_unblock_signals(void);

/* Rewrites the progress line on stderr when that is a terminal; otherwise does nothing. */
void cmd_progress(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Removes the progress line. */
void cmd_progress_end(void);

#endif
