/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLAY_OUT_H
#define REPLAY_OUT_H

#include "replay/target.h"

/* What targets that write a file or stdout share. A file is written beside its name and gets it
 * when it is complete. One thread. */
struct out;

/* "-", a path, file:PATH. */
bool out_accepts(const char *spec);

/* Owned until out_close. RC_INVALID: a secret was given, or no path. RC_CONFLICT: the file exists.
 * RC_IO. */
enum rc out_open(
	struct out **o, const struct replay_target_options *options, struct err *e) MUST_CHECK;

/* Writes one event's bytes; to stdout at once, since to a reader an event is sent when it left this
 * process, while a file counts as a whole. RC_IO. */
enum rc out_write(struct out *o, struct bytes data, struct err *e) MUST_CHECK;

bool out_keeps(const struct out *o);

/* Frees o. NULL is fine. RC_IO, RC_CONFLICT: the file appeared meanwhile. */
enum rc out_close(struct out *o, bool complete, struct err *e);

#endif
