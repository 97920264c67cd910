/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_LEDGER_H
#define STORE_LEDGER_H

#include "base/arena.h"
#include "store/store.h"

/* The file `checkpoints`: signed statements about the log, one line each, only ever appended to
 * (docs/on-disk-format.md). A torn last line is what a power cut leaves of an append; anything else
 * that is not as signed is damage or forgery. */

#define LEDGER_NAME "checkpoints"

/* ---- reading ---- */

struct ledger_view {
	const struct store_statement *statements; /* those that can be parsed, in order */
	size_t count;
	size_t bad_lines;   /* lines that say nothing */
	uint64_t good_bytes; /* up to here it ends with a statement */
	bool torn;           /* what follows is what is left of an append */
};

/* Reads the ledger into a without checking any signature. RC_NOTFOUND: there is none. RC_CORRUPT: it is
 * not such a file. */
enum rc ledger_read(const char *dir, struct arena *a, struct ledger_view *v, struct err *e) MUST_CHECK;

/* Whether the statement was signed by the key it names, for this log. */
bool ledger_signed(const unsigned char log_id[STORE_LOG_ID_BYTES], const struct store_statement *st);

/* Parses one line without its newline. */
bool ledger_parse(struct bytes line, struct store_statement *st);

/* Appends the whole line with signature and newline. */
void ledger_put_line(struct buf *out, const struct store_statement *st);

/* ---- writing ---- */

struct ledger;

/* Opens or makes the ledger and the key (signkey.h) of the log in dir, with the writer's lock held. A part of a line
 * at the end is cut off. *v is what it held, in a. */
enum rc ledger_open(struct ledger **l, const char *dir, const unsigned char log_id[STORE_LOG_ID_BYTES],
	struct arena *a, struct ledger_view *v, struct err *e) MUST_CHECK;
void ledger_close(struct ledger *l); /* NULL is fine */

/* Adds a line for the log's key when v does not end with it. Before the first ledger_append. */
enum rc ledger_introduce(struct ledger *l, const struct ledger_view *v, struct err *e) MUST_CHECK;

/* Makes a new key, has the present one sign it, and signs with the new one from then on; the old one is
 * deleted. A crash at any point leaves the one or the other. */
enum rc ledger_rotate(struct ledger *l, struct err *e) MUST_CHECK;

/* Whether st is signed by the key that signs now. */
bool ledger_current(const struct ledger *l, const struct store_statement *st);

/* Signs each segment's newest seal once more where another key did, so that who knows only the present
 * key can rely on all of them. stop: as in seal.h, asked before each. */
enum rc ledger_renew_seals(struct ledger *l, bool (*stop)(void *context), void *context, struct err *e)
	MUST_CHECK;

/* Fills in key, signature and time, and appends the statement durably. One thread at a time. After a
 * failure the ledger is as before, as far as one can tell. */
enum rc ledger_append(struct ledger *l, struct store_statement *st, struct err *e) MUST_CHECK;

#endif
