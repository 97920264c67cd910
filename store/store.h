/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "event/event.h"

/* The log: every event ever received, numbered from 1 without gaps, in LMDB segments, never changed
 * (docs/adr/0003-log-format-and-durability.md, docs/on-disk-format.md). One process writes, any number
 * of processes read. The only user of lmdb.h and zstd.h. */

struct store;        /* the writing side; one per log in the world, guarded by a file lock */
struct store_reader; /* the reading side; one thread at a time */

#define STORE_LOG_ID_BYTES 16
#define STORE_CHAIN_BYTES SHA256_BYTES

struct store_options {
	const char *dir;            /* the log's folder, made when missing */
	uint64_t segment_bytes_max; /* a segment that grew to this is sealed; 0: default */
	int64_t segment_age_s_max;  /* a segment this old is sealed at the next append; 0: default */
	size_t queue_events_max;    /* appends waiting for the writer; more get RC_FULL; 0: default */
	size_t commit_events_max;   /* events one commit takes at most; 0: default */
	const char *archive_dir;    /* where segments are read from that dir does not hold; NULL, "": nowhere */
	int64_t checkpoint_interval_s; /* between signed checkpoints while events come; 0: default */
	uint64_t free_bytes_min;    /* with less free on the disk appends get RC_FULL; 0: no floor */
};

/* Opens or creates the log and starts its writer thread. Checks the file system, syncs what a killed
 * predecessor may have left unsynced, rolls the dedupe index forward. Owned by the caller until
 * store_close.
 * RC_AGAIN: another process is writing this log (id log.locked). RC_INVALID: unsuitable file system or
 * unknown format version. RC_CORRUPT: damaged; run `hooklog log verify`. RC_FULL, RC_IO. */
enum rc store_open(struct store **s, const struct store_options *options, struct err *e) MUST_CHECK;

/* Waits for everything submitted to be committed and called back, then closes. NULL is fine. */
void store_close(struct store *s);

struct store_result {
	enum rc rc;        /* RC_OK: on disk */
	uint64_t seq;      /* with RC_OK: the event's number, or with duplicate that of the first one */
	bool duplicate;    /* same source, hook id, delivery id and body are already in the log as seq */
	struct err err;    /* with any other rc */
};

/* Runs in the writer thread once the commit that holds the event is on disk or has failed; must be
 * short and must not call into the store. result is borrowed. */
typedef void (*store_done_fn)(const struct store_result *result, void *context);

/* Hands ev to the writer, which commits whatever is queued as one transaction. Borrows ev and all it
 * points to until done was called; done is called exactly once when RC_OK is returned and never
 * otherwise. ev->seq, flags and received_at_us are ignored; the event gets the time of its commit or, with
 * relayed_at_us, that earlier one, but never one before that of the last event. Any thread.
 * Events without a delivery id are never duplicates of each other.
 * RC_FULL: the queue is full. RC_INVALID: envelope or body over the limits. RC_IO: the writer has
 * stopped after a failed sync or damage; the process must be restarted (store_failed). */
enum rc store_submit(struct store *s, const struct event *ev, store_done_fn done, void *context,
	struct err *e) MUST_CHECK;

/* Most events of one batch. */
#define STORE_BATCH_EVENTS_MAX 1024

/* As store_done_fn, once for each event of a batch, in their order. */
typedef void (*store_batch_done_fn)(size_t index, const struct store_result *result, void *context);

/* store_submit for 1 to STORE_BATCH_EVENTS_MAX events that become durable together or not at all: they
 * are in one commit, and those of them that are no duplicates have consecutive numbers. Every result has
 * the same rc. An event may be a duplicate of another one of the batch. */
enum rc store_submit_batch(struct store *s, const struct event *events, size_t count,
	store_batch_done_fn done, void *context, struct err *e) MUST_CHECK;

/* store_submit, and waits for the answer. */
struct store_result store_append(struct store *s, const struct event *ev);

/* Whether the log takes appends now: RC_OK; RC_FULL: disk or map are full, it will recover by itself;
 * RC_IO or RC_CORRUPT: the writer stopped for good and *e says why. Any thread, cheap. */
enum rc store_health(struct store *s, struct err *e) MUST_CHECK;

#define STORE_COMMIT_BUCKETS 14

/* Upper bounds of the buckets below, in microseconds. */
extern const int64_t store_commit_bounds_us[STORE_COMMIT_BUCKETS];

/* The commits since the writer started. */
struct store_commits {
	uint64_t events;  /* in all of them */
	uint64_t time_us; /* that all of them took, the sync included */
	uint64_t buckets[STORE_COMMIT_BUCKETS + 1]; /* how many took so long; the last one: longer */
};

/* Any thread, cheap. */
void store_commits(const struct store *s, struct store_commits *out);

/* ---- reading ---- */

/* Opens an existing log for reading. Owned by the caller. LMDB forbids that one process opens a file
 * twice, so once per process and only where store_open was not called; every further reader comes
 * from store_reader_from or store_reader_share. Never use a reader after fork.
 * RC_NOTFOUND: there is no log in dir. RC_CONFLICT (also from the first read): opened twice.
 * RC_INVALID, RC_CORRUPT, RC_IO. */
enum rc store_reader_open(struct store_reader **r, const char *dir, struct err *e) MUST_CHECK;

/* store_reader_open, and segments that dir does not hold are read from the archive (store_archive) in
 * archive_dir, while it is mounted. NULL or "": no archive. */
enum rc store_reader_open_archived(struct store_reader **r, const char *dir, const char *archive_dir,
	struct err *e) MUST_CHECK;

/* A reader in the writer's process. May outlive s. Any thread. */
enum rc store_reader_from(struct store *s, struct store_reader **r, struct err *e) MUST_CHECK;

/* One more reader beside another one, for another thread. May outlive other; call it in other's
 * thread. */
enum rc store_reader_share(struct store_reader *other, struct store_reader **r, struct err *e) MUST_CHECK;

/* NULL is fine. */
void store_reader_close(struct store_reader *r);

struct store_record {
	struct event event;
	unsigned char chain[STORE_CHAIN_BYTES]; /* over this and all earlier records */
	uint64_t stored_bytes;                  /* size on disk */
};

/* Copies records seq, seq+1, ... into a until max_count records or max_bytes of decoded bytes are
 * reached (at least one), and sets *records and *count. Ends the LMDB read transaction before it
 * returns. Checks every record's checksum and number. *count is 0 when seq is past the end of the log.
 * RC_NOTFOUND: seq is before the first record still held. RC_CORRUPT: a record is damaged; *e names its
 * seq. */
enum rc store_read(struct store_reader *r, uint64_t seq, size_t max_count, size_t max_bytes,
	struct arena *a, const struct store_record **records, size_t *count, struct err *e) MUST_CHECK;

struct store_span {
	unsigned char log_id[STORE_LOG_ID_BYTES];
	uint64_t first_seq; /* 1, or more once old segments were removed; 0: the log is empty */
	uint64_t last_seq;  /* 0: the log is empty */
};

enum rc store_span(struct store_reader *r, struct store_span *span, struct err *e) MUST_CHECK;

/* Waits until the log holds an event after seq: RC_OK; RC_AGAIN: timeout_ms passed or wake_fd (-1: none)
 * became readable. Woken by the append itself, also from another process. */
enum rc store_wait(struct store_reader *r, uint64_t seq, int64_t timeout_ms, int wake_fd,
	struct err *e) MUST_CHECK;

/* Sets *seq to the first event received at or after at_us, or to last_seq + 1 when there is none. */
enum rc store_seq_at(struct store_reader *r, int64_t at_us, uint64_t *seq, struct err *e) MUST_CHECK;

/* What somebody looks for; zero means any, and both must hold. Borrowed. */
struct store_wanted {
	const struct bytes *sources; /* received by one of these */
	size_t source_count;
	struct bytes delivery;       /* with this id, in upper or lower case */
};

/* Says which numbers need not be read. One thread at a time. */
struct store_finder;

/* Asks the log's index, which another process may be writing. Where that is missing, damaged or open in
 * this process already, as in the writer's and beside another finder, and for what it does not cover yet,
 * every number has to be read: slower, never wrong. Uses r and wanted only during the call. Never fails;
 * owned by the caller until store_finder_close. */
struct store_finder *store_finder_open(struct store_reader *r, const struct store_wanted *wanted);
void store_finder_close(struct store_finder *f); /* NULL is fine */

/* Sets *first and *last to the next numbers at or after seq that may be what is looked for: none from seq
 * to *first - 1 is. Among them may be others, and behind the end of the log they go on: *last is
 * UINT64_MAX in the end. */
void store_finder_next(struct store_finder *f, uint64_t seq, uint64_t *first, uint64_t *last);

/* NULL: the index is used. Otherwise why everything has to be read; also later, when it turns out to be
 * damaged. Valid until store_finder_close. */
const char *store_finder_problem(const struct store_finder *f);

enum store_segment_state {
	STORE_SEGMENT_OPEN,
	STORE_SEGMENT_SEALED,
	STORE_SEGMENT_ARCHIVED, /* sealed, and the archive holds it, too */
	STORE_SEGMENT_REMOVED,  /* the log's folder does not hold it any more; the archive may */
};

struct store_segment_stat {
	char name[32];
	uint64_t first_seq, last_seq;
	uint64_t file_bytes;
	int64_t first_at_us, last_at_us;
	bool sealed;
	enum store_segment_state state;
	char archive_file[80]; /* in the archive, "": not there, or no archive is configured */
};

/* Lists the segments, oldest first, in a. */
enum rc store_segments(struct store_reader *r, struct arena *a,
	const struct store_segment_stat **segments, size_t *count, struct err *e) MUST_CHECK;

/* ---- figures ---- */

struct store_stats {
	/* As of now: */
	uint64_t readers;            /* read transactions running in the open segment, in any process */
	uint64_t oldest_reader_txns; /* commits since the oldest of them began */
	int64_t oldest_reader_pid;   /* 0: none runs */
	uint64_t map_bytes, map_used_bytes; /* of the open segment: what it may grow to, and has */
	uint64_t free_bytes;         /* on the log's disk */
	/* From the writer, some seconds old: */
	int64_t written_at_us;       /* when; 0: no writer runs */
	int64_t sync_us;             /* what a flush took at its start; -1: unknown */
	int64_t oldest_reader_ms;    /* how long the oldest read transaction has been running */
	int64_t slow_readers;        /* read transactions of more than 5 s since its start */
	int64_t cleared_readers;     /* slots of readers that died */
	int64_t clock_steps;         /* how often the clock was set back */
};

/* RC_IO, RC_CORRUPT: the open segment cannot be looked at. */
enum rc store_stats(struct store_reader *r, struct store_stats *st, struct err *e) MUST_CHECK;

/* ---- signed statements ---- */

/* What the writer has signed about the log (docs/adr/0010-signed-checkpoints.md). */
enum store_statement_kind {
	STORE_CHECKPOINT, /* at seq the chain had this value */
	STORE_SEAL,       /* the same of the last record of a segment that is finished, and its file */
	STORE_KEY,        /* from here on new_key signs */
};

struct store_statement {
	enum store_statement_kind kind;
	uint64_t seq;                      /* the last record spoken of */
	unsigned char chain[STORE_CHAIN_BYTES];
	uint64_t first_seq;                /* of the segment seq is in */
	unsigned char root[SHA256_BYTES];  /* of the hash tree over the segment's records up to seq */
	unsigned char dicts[SHA256_BYTES]; /* over the dictionaries these records name */
	uint64_t at_us;                    /* when it was signed */
	/* STORE_SEAL: */
	uint64_t count;
	uint64_t first_at_us, last_at_us;  /* times of the first and the last record */
	uint64_t file_bytes;
	unsigned char file_sha256[SHA256_BYTES];
	/* STORE_KEY: */
	unsigned char new_key[ED25519_KEY_BYTES];
	/* Who signed: for STORE_KEY the key before, or new_key itself when that was not to be had. */
	unsigned char key[ED25519_KEY_BYTES];
	unsigned char signature[ED25519_SIGNATURE_BYTES];
	uint64_t line;                     /* in the file `checkpoints`, from 1 */
};

/* Reads all statements of the log in dir into a, oldest first, without checking any signature. The root
 * of a segment is the last STORE_SEAL with its first_seq. RC_NOTFOUND: no writer has made any yet.
 * RC_CORRUPT. */
enum rc store_statements(const char *dir, struct arena *a, const struct store_statement **statements,
	size_t *count, struct err *e) MUST_CHECK;

/* Appends to out what shows, together with the log's public key and nothing else, that event seq is in
 * the log as it was signed (docs/on-disk-format.md).
 * Of a redacted event: that it was there and which event says that it was redacted.
 * RC_NOTFOUND: seq is not in the log (any more), or id log.unsigned: it, or its audit event, came after the
 * newest statement about its segment. RC_CORRUPT: record or statements are damaged. */
enum rc store_prove(struct store_reader *r, uint64_t seq, struct buf *out, struct err *e) MUST_CHECK;

struct store_proven {
	unsigned char log_id[STORE_LOG_ID_BYTES];
	struct store_record record;  /* in the arena given */
	struct store_record audit;   /* of a redacted record: the event that says so; else its seq is 0 */
	struct store_statement by;
};

/* Checks such a proof, which may come from anybody, against key: the one that signed, or one that others
 * lead from to it. Needs no log.
 * RC_INVALID: it is no proof of a known form. RC_DENIED: it does not prove what it says. */
enum rc store_check_proof(struct bytes proof, const unsigned char key[ED25519_KEY_BYTES], struct arena *a,
	struct store_proven *proven, struct err *e) MUST_CHECK;

/* Whether key signed the statement for the log of this id. */
bool store_statement_signed(const unsigned char log_id[STORE_LOG_ID_BYTES],
	const struct store_statement *st);

/* ---- verifying ---- */

struct store_verify_report {
	uint64_t checked_events, checked_bytes;
	uint64_t first_seq, last_seq;
	uint64_t error_count, warning_count;
	uint64_t statements; /* signed statements that were held against the records */
	uint64_t owned;      /* events the dedupe index knows by their own number */
	uint64_t resumed;    /* segments that were left out, being done already */
	unsigned char prev_chain[STORE_CHAIN_BYTES]; /* before first_seq, when that begins a segment */
	unsigned char chain[STORE_CHAIN_BYTES]; /* of last_seq */
};

/* Called per finding; seq 0 when it does not belong to one event. */
typedef void (*store_finding_fn)(uint64_t seq, const char *text, void *context);

struct store_verify_options {
	const char *dir;
	uint64_t first, last;         /* last 0: to the end */
	const unsigned char *key;     /* the public key all statements must go back to; NULL: any */
	struct bytes noted;           /* lines of `checkpoints` that were kept elsewhere; may be empty */
	store_finding_fn found;       /* damage; may be NULL */
	store_finding_fn warned;      /* what is not damage, but should be known; may be NULL */
	/* Called now and then with what has been checked so far; may be NULL. */
	void (*progress)(uint64_t events, uint64_t bytes, void *context);
	void *context;
	/* For store_verify_parallel: */
	unsigned jobs;                /* processes at once; 0: one per core */
	const char *state;            /* file that says which segments are done; NULL: none */
	bool resume;                  /* leave out those it says are done and that have not changed */
};

/* As store_verify, with warnings, and the signed statements held against a key known from elsewhere. */
enum rc store_verify_with(const struct store_verify_options *options, struct store_verify_report *report,
	struct err *e) MUST_CHECK;

/* As store_verify_with, in child processes, a segment each: damage that kills one is a finding, and
 * finished segments are not read again after an interruption. Checks also that the dedupe index knows
 * nothing that is not in the log, when the range is all of it. Call it in a process without threads that
 * has not opened the log; the callbacks run in this process. */
enum rc store_verify_parallel(const struct store_verify_options *options,
	struct store_verify_report *report, struct err *e) MUST_CHECK;

/* Reads everything from first to last (0: to the end) and checks each record's checksum, number, chain,
 * body hash, that the dedupe index knows its key, and that segments and records are as was signed. Safe
 * on a log that another process is writing.
 * Run it in a child process that has not opened the log, forked before the parent did: damage inside
 * LMDB's own pages can abort it.
 * RC_CORRUPT: there were findings. */
enum rc store_verify(const char *dir, uint64_t first, uint64_t last, store_finding_fn found,
	void *context, struct store_verify_report *report, struct err *e) MUST_CHECK;

#endif
