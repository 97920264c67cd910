/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROJECTOR_PROJECTOR_H
#define PROJECTOR_PROJECTOR_H

#include <stdatomic.h>

#include "store/store.h"

/* Keeps PostgreSQL tables that are a pure function of the log. Tails the log, folds batches of events
 * into rows by the declared projections and writes rows and checkpoint in one transaction. */

/* What a running projector tells of itself. Zeroed before it starts; read by projector_put_metrics. */
struct projector_figures {
	atomic_bool running; /* it has its lock and its connection, and is not paused */
	atomic_bool known;   /* seq was read once */
	atomic_ullong seq, events, retries, parked, parked_total;
	atomic_llong parked_oldest_us; /* 0: none is parked */
	int64_t parked_read_ms;        /* the projector's own */
};

/* Appends them for Prometheus (exposition format 0.0.4), with the lag behind the log. Asks no database, so it answers
 * when there is none. Any thread; r is that thread's. */
void projector_put_metrics(struct buf *out, struct projector_figures *f, struct store_reader *r);

struct projector_options {
	const char *conninfo;        /* libpq connection string; "" for the PG* environment */
	const char *unreachable_hint; /* what to say besides when nothing answers there, or NULL */
	const char *definitions_dir; /* the operator's projections; "" for none */
	const char *hosts;           /* "SOURCE=HOST, ...": sources whose events go to tables of their own; may be NULL */
	size_t batch_events_max;
	size_t batch_bytes_max;
	size_t memory_bytes_max;     /* of a fold of the whole log; 0: 1 GiB */
	uint64_t bulk_events_min;    /* a rebuild of fewer events goes event by event */
	uint64_t stop_seq;           /* projector_run returns once this event is in the tables; 0: never */
	struct store_reader *reader; /* borrowed; of the calling thread */
	int stop_fd;                 /* readable: finish the batch and return; -1: never */
	/* Called after each batch of a rebuild, for a progress line; may be NULL. */
	void (*progress)(uint64_t seq, uint64_t last_seq, void *context);
	void *context;
	bool prove;                        /* projector_rebuild compares row by row, as projector_verify, and not by sums */
	struct projector_figures *figures; /* of projector_run; may be NULL */
};

/* Projects until stop_fd or stop_seq: RC_OK. Makes the control schema and the first generation when they are missing.
 * Rides out a database that is down or in trouble: it logs postgres.unavailable and tries again with
 * backoff from 0.1 to 30 s. Follows a rebuild that another process swaps in. Waits some seconds for the
 * lock of another projector, since a killed predecessor's connection may hold it, and as long as it takes
 * once it had the lock itself. One thread.
 * RC_DENIED: the database refuses us. RC_CONFLICT: the tables belong to another log
 * (project.log-mismatch), were made by other definitions (project.definitions-changed), or another
 * projector is at work (project.locked). RC_INVALID: a projection file is wrong. RC_CORRUPT: the log is
 * damaged. */
enum rc projector_run(const struct projector_options *o, struct err *e) MUST_CHECK;

/* Makes a new generation of all tables from the first event of the log to its end, beside the live one,
 * which goes on; then swaps the stable views in one transaction. Continues a rebuild of the same
 * definitions that was interrupted. Its rows say what memory it took: projector_status. RC_AGAIN: stopped by stop_fd, or the database is unavailable: run it
 * again. RC_CORRUPT, id project.differs: the new tables are not what the log says, and nothing was
 * swapped. The other errors as in projector_run. */
enum rc projector_rebuild(const struct projector_options *o, struct err *e) MUST_CHECK;

/* ---- control; each leaves a row in hooklog.audit ---- */

/* Lets the projector of the live generation wait, or go on; *seq is its checkpoint. */
enum rc projector_pause(const struct projector_options *o, bool paused, uint64_t *seq, struct err *e)
	MUST_CHECK;

struct projector_rollback {
	char schema[32], replaced[32]; /* of the tables that are live now, and that were */
	uint64_t seq, replaced_seq;
	bool paused; /* they were made by other projections than this program has */
};

/* Makes the generation live again that was live before, in one transaction; its projector goes on from its
 * checkpoint. RC_NOTFOUND: there is none. RC_CONFLICT, id project.views-in-the-way. */
enum rc projector_rollback(const struct projector_options *o, struct projector_rollback *done,
	struct err *e) MUST_CHECK;

/* Drops a generation that is not live. RC_NOTFOUND: there is none of that number. RC_INVALID: it is live.
 * RC_CONFLICT, id project.locked: a rebuild is filling it. */
enum rc projector_drop(const struct projector_options *o, uint64_t id, struct err *e) MUST_CHECK;

/* Moves the live checkpoint back, so that the events after it are projected again, which changes no row
 * that is right. RC_CONFLICT, id project.locked: a projector runs. RC_INVALID: to is after it. */
enum rc projector_reset(const struct projector_options *o, uint64_t to, uint64_t *from, struct err *e)
	MUST_CHECK;

struct projector_generation_status {
	int id;
	char schema[32];
	char status[16]; /* "building", "live", "retired" */
	uint64_t seq;
	uint64_t parked;
	bool paused;
	bool current_definitions; /* made from the projections this program has */
	uint64_t rebuild_memory_bytes; /* most that the process of the rebuild had resident; 0: not rebuilt */
};

struct projector_status {
	uint64_t log_first_seq, log_last_seq;
	uint64_t lag_events;
	uint64_t lag_bytes; /* of their bodies; estimated from the first 10,000 when there are more */
	double lag_seconds; /* age of the oldest event that is not yet projected; 0: none */
	/* Measured over a second when there is a lag and a projector at work; else -1. */
	double events_per_second;
	double eta_seconds; /* until there is no lag, at that pace and that of arrivals; -1: not in sight */
	bool running;       /* a projector holds the live generation's lock */
	struct projector_generation_status generations[16]; /* newest first */
	size_t generation_count;
};

/* Reads where things stand. RC_NOTFOUND: nothing was ever projected into this database. */
enum rc projector_status(const struct projector_options *o, struct projector_status *status,
	struct err *e) MUST_CHECK;

/* Calls found for each parked event of the live generation, oldest first, or for one of them; seq 0: all.
 * RC_NOTFOUND: that one is not parked. */
typedef void (*projector_parked_fn)(uint64_t seq, const char *sqlstate, const char *reason,
	const char *parked_at, int64_t tries, void *context);
enum rc projector_parked_list(const struct projector_options *o, uint64_t seq, projector_parked_fn found,
	void *context, struct err *e) MUST_CHECK;

struct projector_retried {
	uint64_t projected, left; /* events; those left still cannot be projected, or the log no longer holds them */
};

/* Projects a parked event again, or with seq 0 all of them until stop_fd, with the definitions of this program; safe
 * while a projector runs. RC_NOTFOUND: that one is not parked. RC_INVALID: that one still cannot be projected.
 * RC_CONFLICT: the tables were made by other definitions. */
enum rc projector_parked_retry(const struct projector_options *o, uint64_t seq, struct projector_retried *done,
	struct err *e) MUST_CHECK;

/* Takes an event off the list; the log keeps it, and a rebuild would park it again. Leaves a row in hooklog.audit.
 * RC_NOTFOUND: it is not parked. */
enum rc projector_parked_drop(const struct projector_options *o, uint64_t seq, struct err *e) MUST_CHECK;

/* ---- proving ---- */

struct projector_difference {
	const char *view;
	const char *key;    /* values of the key columns, with spaces between */
	const char *what;   /* "differs", "not in the log", "not in the table" */
	const char *column; /* with "differs", as are: */
	const char *live, *folded; /* the values */
};

struct projector_verify_options {
	int generation;    /* 0: the live one */
	const char *table; /* only this one, or NULL; with or without its schema */
	uint64_t to;       /* what events up to here tell; 0: the checkpoint */
	/* Called for each difference, in no order; strings are borrowed; may be NULL. */
	void (*found)(const struct projector_difference *difference, void *context);
	void *context;
};

struct projector_verify_table {
	char view[128];
	bool skipped;
	uint64_t rows, differences;
	uint64_t live_hash, folded_hash; /* sums over the rows: the order does not matter */
};

struct projector_verify_report {
	uint64_t seq;
	uint64_t differences; /* rows */
	size_t passes;        /* over the log */
	struct projector_verify_table tables[1024];
	size_t table_count;
};

/* Folds the log up to the live checkpoint in memory and compares every row of the live tables with it.
 * Reads one snapshot and changes nothing; a projector may run. With to below the checkpoint, rows that
 * later events touched are only checked to exist. Differences are no error: see the report.
 * RC_NOTFOUND: nothing was projected, no such table, or to is after the checkpoint. RC_CONFLICT: other
 * definitions, or another log. RC_AGAIN: stop_fd, or the database is away. */
enum rc projector_verify(const struct projector_options *o, const struct projector_verify_options *options,
	struct projector_verify_report *report, struct err *e) MUST_CHECK;

struct projector_value {
	const char *column;
	const char *text; /* NULL: null */
};

/* Where a group of columns of a row comes from. Strings are borrowed for the call. */
struct projector_explanation {
	const char *view, *group; /* "core", ..., "deleted"; "row" for all of a fact */
	const struct projector_value *values;
	size_t value_count;
	uint64_t seq;            /* of the event; 0: never told */
	const char *version_at;  /* when the object said it changed, or NULL in a fact */
	int version_rank;
	const char *event, *action, *delivery; /* NULL: the log no longer holds it, or it has none */
	int64_t received_at_us;
};

struct projector_explain_options {
	const char *table;
	const char *const *key; /* values of the key columns in their order */
	size_t key_count;
	void (*found)(const struct projector_explanation *explanation, void *context);
	void *context;
};

/* Tells for each group of columns of a row which event made it what it is.
 * RC_NOTFOUND: no such table or row. RC_INVALID: the key has another number of parts. */
enum rc projector_explain(const struct projector_options *o, const struct projector_explain_options *options,
	struct err *e) MUST_CHECK;

/* Makes all tables as they were when event seq was the last one, in a new schema, which then stands still;
 * *parked is how many events could not be projected. In one transaction: there is all of it or nothing.
 * RC_INVALID: the schema exists or its name is not allowed. RC_NOTFOUND: the log has no such event.
 * RC_AGAIN: stop_fd, or the database is away. */
enum rc projector_as_of(const struct projector_options *o, uint64_t seq, const char *schema,
	uint64_t *parked, struct err *e) MUST_CHECK;

/* Checks all definitions, or only one (a table or a file, as in projector_sample_options), and appends, with
 * sql set, what is made from each for tables in schema gh_gN. */
enum rc projector_check(const char *definitions_dir, const char *only, bool sql, struct buf *out,
	struct err *e) MUST_CHECK;

struct projector_sample_options {
	const char *file_or_table; /* a path, with '/' or ".sql" in it, or a table of the installation */
	size_t events;             /* that make rows, the newest */
};

/* Tries a projection on the newest events of the log that make rows of it: makes its table in a transaction
 * that is rolled back, and appends what each event is wrong with, columns that stay null, and rows as JSON.
 * *wrong is how many events cannot be projected. RC_INVALID, id config.projection: the file is wrong. */
enum rc projector_sample(const struct projector_options *o, const struct projector_sample_options *options,
	struct buf *out, uint64_t *wrong, struct err *e) MUST_CHECK;

struct projector_starter {
	const char *name;            /* of the table */
	/* Which events of the log; NULL: any. Without event, source may be the type as well. */
	const char *source, *event;
	struct bytes json;           /* a payload to go by instead of the log; data NULL: none */
};

/* Appends a projection file to begin with: its columns are guessed from up to 200 of the newest such events.
 * RC_NOTFOUND: there is none. RC_INVALID: name cannot be a table, or nothing in them can be a row. */
enum rc projector_start(const struct projector_options *o, const struct projector_starter *starter,
	struct buf *out, struct err *e) MUST_CHECK;

/* Appends the reference page of all built-in tables and views. */
enum rc projector_put_schema(struct buf *out, struct err *e) MUST_CHECK;

#endif
