/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROJECTOR_GENERATION_H
#define PROJECTOR_GENERATION_H

#include "pg/pg.h"
#include "projector/catalog.h"
#include "store/store.h"

/* A generation is one full set of tables in a schema of its own (gh_g1, gh_g2, ...) with its checkpoint
 * in hooklog.generations. The stable views show the live one; a rebuild fills the next one beside it. All
 * functions need a connection of the calling thread and return what pg/pg.h says. */

/* First key of our advisory locks: "hklg". The second is the generation, or 0 for the setup. */
#define GENERATION_LOCK_CLASS "1751870567"
/* Shared by who moves the checkpoint of the generation of the second key, for the length of the
 * transaction (hooklog.advance); alone for who needs it to stand still. */
#define GENERATION_GATE_CLASS "1751870568"

enum generation_status { GENERATION_BUILDING, GENERATION_LIVE, GENERATION_RETIRED };

struct generation {
	int id;
	char schema[32];
	enum generation_status status;
	unsigned char log_id[STORE_LOG_ID_BYTES];
	uint64_t seq; /* the checkpoint: all events up to here are in the tables */
	unsigned char chain[STORE_CHAIN_BYTES];
	unsigned char definition_hash[SHA256_BYTES];
	bool paused; /* hooklog.advance refuses with HL003 */
};

/* Makes or upgrades the schema hooklog. Safe to run from several processes at once. */
enum rc generation_setup(struct pg *pg, struct err *e) MUST_CHECK;

/* The generation of that status with the highest id. RC_NOTFOUND: there is none. */
enum rc generation_find(struct pg *pg, enum generation_status status, struct generation *g,
	struct err *e) MUST_CHECK;

enum rc generation_find_id(struct pg *pg, int id, struct generation *g, struct err *e) MUST_CHECK;

/* Makes the next generation with empty tables, checkpoint 0, as building. */
enum rc generation_create(struct pg *pg, const struct catalog *c,
	const unsigned char log_id[STORE_LOG_ID_BYTES], struct generation *g, struct err *e) MUST_CHECK;

/* Takes the lock that lets one projector at a time write a generation; it lasts until generation_unlock
 * or as long as the connection. RC_CONFLICT, id project.locked: another one holds it. */
enum rc generation_lock(struct pg *pg, const struct generation *g, struct err *e) MUST_CHECK;
enum rc generation_unlock(struct pg *pg, const struct generation *g, struct err *e) MUST_CHECK;

/* generation_find and generation_lock; *g is read under the lock, so the checkpoint is where the last
 * holder left it. */
enum rc generation_find_locked(struct pg *pg, enum generation_status status, struct generation *g,
	struct err *e) MUST_CHECK;

/* Closes or opens the gate of a generation: while it is closed, its checkpoint stands still for everybody
 * else, who wait up to their lock_timeout. Lasts as long as the connection. */
enum rc generation_gate(struct pg *pg, const struct generation *g, bool close, struct err *e) MUST_CHECK;

/* Writes a row of hooklog.audit. note may be NULL. */
enum rc generation_audit(struct pg *pg, const char *action, const struct generation *g, uint64_t from_seq,
	uint64_t to_seq, const char *note, struct err *e) MUST_CHECK;

/* Moves the checkpoint to where it is: RC_DENIED when we may not write, as in a standby or for a role
 * that only reads. Found out before the first event waits for it. */
enum rc generation_check_writable(struct pg *pg, const struct generation *g, struct err *e) MUST_CHECK;

/* Makes g live: points every stable view at it and retires the one that was live, in one transaction.
 * Views whose columns change are made anew with their grants.
 * RC_AGAIN with an id of NULL: the live generation is ahead of g; catch up and call again.
 * RC_CONFLICT, id project.views-in-the-way: as views_clear_way. */
enum rc generation_promote(struct pg *pg, struct generation *g, struct err *e) MUST_CHECK;

/* The swap itself, within a transaction of the caller's that locks hooklog.generations: old (NULL: there was
 * none) gives way to g; action goes into hooklog.audit. Errors as generation_promote. */
enum rc generation_exchange(struct pg *pg, const struct generation *old, const struct generation *g,
	const char *action, struct err *e) MUST_CHECK;

/* Drops a generation's tables and its row. */
enum rc generation_drop(struct pg *pg, const struct generation *g, struct err *e) MUST_CHECK;

/* Drops all retired generations but the newest, which stays to compare with. */
enum rc generation_drop_retired(struct pg *pg, struct err *e) MUST_CHECK;

/* Compares the checkpoint with the log: RC_CONFLICT, id project.log-mismatch, when it belongs to another
 * log, lies behind the log's end, or its chain hash differs. */
enum rc generation_check_log(const struct generation *g, struct store_reader *r, struct err *e)
	MUST_CHECK;

#endif
