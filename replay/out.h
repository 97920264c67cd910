/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLAY_OUT_H
#define REPLAY_OUT_H

#include "replay/target.h"

/* What targets that write a file or stdout share: of a kind's functions all but put. A file is written
 * beside its name and gets it when it is complete. One thread. */

/* "-", a path, file:PATH. */
bool out_accepts(const char *spec);

/* RC_INVALID: a secret was given, or no path, or one where no file can be made. RC_CONFLICT: the file exists. RC_IO. */
enum rc out_open(void **state, const struct replay_target_options *options, struct err *e) MUST_CHECK;

/* To the reader of stdout an event is sent when this returns, while a file counts as a whole. RC_IO. */
enum rc out_write(void *state, struct iovec *pieces, size_t count, struct err *e) MUST_CHECK;

bool out_keeps(const void *state);

/* NULL is fine. RC_IO, RC_CONFLICT: the file appeared meanwhile. */
enum rc out_close(void *state, bool complete, struct err *e);

#endif
