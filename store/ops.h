/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_OPS_H
#define STORE_OPS_H

#include "store/store.h"

/* What an operator does with a log: adding to it beside its writer, exporting, importing. */

/* ---- adding beside a running writer ---- */

/* Appends through this process's own writer, or, when another process writes the log, through that
 * one's socket log/door. One thread at a time. */
struct store_appender;

/* Opens the log as store_open does, or finds who has it open.
 * RC_AGAIN: another process writes it and does not answer at its door (id log.locked). */
enum rc store_appender_open(
	struct store_appender **a, const struct store_options *options, struct err *e) MUST_CHECK;

/* Whether another process writes. */
bool store_appender_remote(const struct store_appender *a);

/* NULL is fine. */
void store_appender_close(struct store_appender *a);

#define STORE_APPEND_EVENTS_MAX 256
#define STORE_APPEND_BYTES_MAX ((size_t)64 * 1024 * 1024)

/* Appends up to STORE_APPEND_EVENTS_MAX events in order and waits for all; results[i] is event i's.
 * After one that the queue had no room for the rest are RC_AGAIN: try these again. More than
 * STORE_APPEND_BYTES_MAX of bodies only as a single event.
 * Anything but RC_OK: the writer did not answer, and nothing is known of the events. */
enum rc store_appender_append(struct store_appender *a, const struct event *events, size_t count,
	struct store_result *results, struct err *e) MUST_CHECK;

/* Seals the open segment of the log and begins the next one; without events in it nothing happens.
 */
enum rc store_appender_roll(struct store_appender *a, struct err *e) MUST_CHECK;

/* Signs a finished segment whose file was replaced once more. RC_AGAIN: it takes longer; it is done. */
enum rc store_appender_reseal(struct store_appender *a, uint64_t first_seq, struct err *e) MUST_CHECK;

/* Changes the key that signs checkpoints: the old one signs the new one and is deleted. RC_AGAIN: it takes
 * longer; it is done. */
enum rc store_appender_rotate_key(struct store_appender *a, struct err *e) MUST_CHECK;

/* A reader beside the appender. */
enum rc store_appender_reader(struct store_appender *a, struct store_reader **r, struct err *e) MUST_CHECK;

/* ---- the archive stream ---- */

/* Called now and then with what has been done so far. */
typedef void (*store_progress_fn)(uint64_t events, uint64_t bytes, void *context);

struct store_export_report {
	uint64_t first_seq, last_seq, events; /* 0 without events */
	uint64_t bytes;
	unsigned char chain[STORE_CHAIN_BYTES];
	unsigned char sha256[SHA256_BYTES]; /* of the whole stream */
};

/* Writes records first to last as a self-contained stream (docs/on-disk-format.md) to fd, checking
 * each record and the chain. Short read transactions; safe on a running log. RC_NOTFOUND: first is
 * no longer held. RC_CORRUPT; RC_IO, RC_FULL. */
enum rc store_export(struct store_reader *r, uint64_t first, uint64_t last, int fd,
	store_progress_fn progress, void *context, struct store_export_report *report,
	struct err *e) MUST_CHECK;

enum store_import_mode {
	STORE_IMPORT_LOSSLESS, /* into an empty log: same id, numbers, times, bytes and chain */
	STORE_IMPORT_MERGE,    /* into a log with events: as new events with new numbers */
};

struct store_import_report {
	enum store_import_mode mode;
	uint64_t events; /* in the input */
	uint64_t added, duplicates;
	uint64_t skipped;             /* redacted events of a merge: there is nothing to store */
	uint64_t first_seq, last_seq; /* of what was added; 0: nothing */
};

/* What every stream starts with. */
#define STORE_EXPORT_MAGIC "hooklog archive\n"

/* Reads a stream of store_export from fd, whose first bytes may have been read into head already,
 * into the log of options. Without a log there, or one that never held an event and that nobody
 * writes, the import is lossless and appears as a whole or not at all. Else the events are appended
 * as new ones, beside a running writer when there is one. Deliveries already there are recognised;
 * of an archive made of this very log, so is every event still held. origin_import: events of a
 * merge get the origin "import" instead of their own. RC_INVALID: no such stream. RC_CORRUPT: the
 * stream is damaged; a merge keeps what it has appended. RC_CONFLICT: log and stream have the same
 * id and different histories (id log.archive-conflict). */
enum rc store_import(const struct store_options *options, struct bytes head, int fd,
	bool origin_import, store_progress_fn progress, void *context,
	struct store_import_report *report, struct err *e) MUST_CHECK;

/* Appends count events as store_import does when it merges, until all are stored: waits while the
 * log is full or busy, up to a minute without progress. */
enum rc store_import_events(struct store_appender *a, const struct event *events, size_t count,
	struct store_import_report *report, struct err *e) MUST_CHECK;

/* ---- backup and restore ---- */

struct store_backup_report {
	uint64_t first_seq, last_seq;       /* what the backup holds now; 0: no event */
	uint64_t segments, segments_copied; /* in the backup; of these, copied by this run */
	uint64_t bytes, bytes_copied;
	unsigned char chain[STORE_CHAIN_BYTES]; /* of last_seq */
};

/* Copies the log as it is now into the folder dir, made when missing, beside its running writer.
 * What an earlier backup of the same log has copied there and has not changed is kept; a segment
 * the log holds no longer stays in the backup. The manifest, written last, makes it valid; until
 * then the earlier one is. RC_INVALID: dir holds something else. RC_CONFLICT (id
 * log.backup-conflict): dir holds a backup of another log, or of a longer or different history.
 * RC_AGAIN: another backup runs. RC_CORRUPT: the log is damaged. with_key: the private key that signs
 * checkpoints goes along; else, and then also a copy of it that an earlier backup made is deleted. */
enum rc store_backup(struct store_reader *r, const char *log_dir, const char *dir, bool with_key,
	store_progress_fn progress, void *context, struct store_backup_report *report,
	struct err *e) MUST_CHECK;

/* As store_backup, but finished segments only, as files that are never changed again, named by the
 * day of their first event and their numbers. Readers opened with this folder
 * (store_reader_open_archived) read from them what the log has let go of. */
enum rc store_archive(struct store_reader *r, const char *log_dir, const char *dir,
	store_progress_fn progress, void *context, struct store_backup_report *report,
	struct err *e) MUST_CHECK;

/* Makes the log log_dir from a folder of store_backup (or, with what it holds, of store_archive):
 * checks sizes and hashes while copying, then verifies the whole in a child process, and only then
 * gives it its name. Call before this process opens any log. RC_CONFLICT (id log.not-empty):
 * log_dir holds events. RC_AGAIN: log_dir is being written. RC_NOTFOUND: there is no manifest.
 * RC_CORRUPT (id log.backup-damaged): a file is not what was backed up, or verify found damage. */
enum rc store_restore(const char *dir, const char *log_dir, store_progress_fn progress,
	void *context, struct store_backup_report *report, struct err *e) MUST_CHECK;

/* ---- retention ---- */

struct store_prune_rule {
	int64_t before_us;    /* segments whose last event came before this; 0: of any age */
	size_t keep_segments; /* this many stay, the open one included; 0: any number */
};

struct store_pruned {
	uint64_t first_seq, last_seq, bytes;
	int64_t last_at_us;
	char archive_file[80]; /* in the archive */
};

/* Removes the oldest segments both rules let go, never the one with the last event; without any rule none. Only finished ones, and only those
 * whose copy in archive_dir has, now, the size and hash the manifest states, is the same as the log's
 * file, and can be read record by record. What is removed is written to log/removed first. really false:
 * checks all the same, and removes nothing. *pruned, in a: what was, or would be, removed; stops at the
 * first that must stay. Safe beside writer and readers. Forks: call before this process opens any log.
 * RC_NOTFOUND, RC_CONFLICT (id log.not-archived): not in the archive, or another file there; RC_CORRUPT: the archived
 * copy is damaged. RC_CONFLICT (id log.not-indexed): the dedupe index is behind. RC_AGAIN (id log.locked). */
enum rc store_prune(const char *log_dir, const char *archive_dir, const struct store_prune_rule *rule,
	bool really, struct arena *a, const struct store_pruned **pruned, size_t *pruned_count, struct err *e)
	MUST_CHECK;

/* ---- redaction ---- */

struct store_redact_report {
	uint64_t seq, audit_seq;
	unsigned char record_sha256[SHA256_BYTES]; /* of the record as it was */
	bool before;          /* it was redacted already */
	bool local, archived; /* where its segment was replaced by this call */
};

/* Erases the body of event seq: appends an audit event, then replaces the segment's file, in the log's
 * folder and in options->archive_dir, by one in which the record has its envelope, hashes and chain value,
 * and no body. Beside a running writer through its door. May be called again after an interruption.
 * RC_NOTFOUND: no such event, or it is not held. RC_DENIED (id log.redaction): it is an audit event.
 * RC_CORRUPT: it is damaged, and untouched. RC_AGAIN (id log.locked). */
enum rc store_redact(const struct store_options *options, uint64_t seq, const char *reason,
	struct store_redact_report *report, struct err *e) MUST_CHECK;

#endif
