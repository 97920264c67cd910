/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_MANIFEST_H
#define STORE_MANIFEST_H

#include "store/store.h"

/* MANIFEST: what a folder of `log backup` or `log archive` holds (docs/on-disk-format.md, "Backups
 * and archives"). Replaced as a whole, after the files it names are on disk. */

#define MANIFEST_NAME "MANIFEST"
#define MANIFEST_FILE_BYTES 80

struct manifest_segment {
	uint64_t first_seq, last_seq;
	bool sealed;
	uint64_t bytes;
	int64_t mtime_ns; /* of the log's file when it was copied; 0: it was not a plain copy */
	unsigned char sha256[SHA256_BYTES];
	char file[MANIFEST_FILE_BYTES];
};

struct manifest_file {
	uint64_t bytes;
	unsigned char sha256[SHA256_BYTES];
	char file[MANIFEST_FILE_BYTES]; /* in this folder */
	char name[MANIFEST_FILE_BYTES]; /* in the log's folder */
};

struct manifest {
	char kind[16]; /* "backup", "archive" */
	unsigned char log_id[STORE_LOG_ID_BYTES];
	uint64_t last_seq;                      /* 0: no event */
	unsigned char chain[STORE_CHAIN_BYTES]; /* of last_seq */
	struct manifest_segment *segments;      /* rising */
	size_t segment_count;
	struct manifest_file *files;
	size_t file_count;
};

/* Reads dir/MANIFEST into a. RC_NOTFOUND: there is none. RC_INVALID: a newer format. RC_CORRUPT (id
 * log.backup-damaged): it is not what was written. */
enum rc manifest_read(
	const char *dir, struct arena *a, struct manifest *m, struct err *e) MUST_CHECK;

/* Replaces dir/MANIFEST durably. */
enum rc manifest_write(const char *dir, const struct manifest *m, struct err *e) MUST_CHECK;

/* The segment that starts with first_seq, or NULL. */
const struct manifest_segment *manifest_find(const struct manifest *m, uint64_t first_seq);

/* Whether a segment or file of the manifest has this name. */
bool manifest_names(const struct manifest *m, const char *file);

/* Deletes, durably, the copies in dir that the manifest, which stands there, does not name: older ones, and what
 * an interrupted run left. A segment's copy only when the manifest names another one of it, or the log holds it
 * itself, which it does from record held_from on: it could be the last one. Call with the folder's lock. */
enum rc manifest_clear_unnamed(const char *dir, const struct manifest *m, uint64_t held_from,
	struct err *e) MUST_CHECK;

/* Takes the lock of a folder of backups or archives. RC_AGAIN: another process has it. */
enum rc manifest_lock(const char *dir, int *fd, struct err *e) MUST_CHECK;

/* ---- whole files ---- */

/* Copies a file durably to dir/name, which must not be in use, with that mode, hashing what passes.
 */
enum rc copy_file(const char *from, const char *dir, const char *name, unsigned mode,
	unsigned char sha256[SHA256_BYTES], uint64_t *bytes, struct err *e) MUST_CHECK;

/* RC_CORRUPT (id log.backup-damaged): dir/name is missing, or has not this size and hash. */
enum rc check_file(const char *dir, const char *name, uint64_t bytes,
	const unsigned char sha256[SHA256_BYTES], struct err *e) MUST_CHECK;

/* Whether the file at path has this size and hash. */
bool check_file_is(const char *path, uint64_t bytes, const unsigned char sha256[SHA256_BYTES]);

/* The permissions of a copy of this file of the log's folder. */
unsigned manifest_file_mode(const char *name);

/* Whether a file of this name is a copy of store_backup or store_archive, or a manifest that was not
 * finished: nothing else is deleted. */
bool dir_is_copy(const char *name);

/* The first record of the segment a file of this name is a copy of; 0: of none. */
uint64_t dir_copy_first(const char *name);

#endif
