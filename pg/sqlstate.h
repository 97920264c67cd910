/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PG_SQLSTATE_H
#define PG_SQLSTATE_H

#include "base/err.h"

/* What PostgreSQL's error codes mean to us; pg/pg.h has the table. Any thread. */

/* What a caller can do about a code. *id gets the runbook page, or NULL. */
enum rc sqlstate_rc(const char *state, const char **id);

/* Finds the code in libpq's text of a failed login, which it keeps only there and only when asked to be
 * verbose: "FATAL:  28P01: password ...". The words around it may be in any language. */
bool sqlstate_of_login(const char *text, char state[6]);

#endif
