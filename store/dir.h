/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_DIR_H
#define STORE_DIR_H

#include "store/store.h"

/* The files of a log's folder other than the LMDB ones: LOG, lock, head. And its file names. */

#define DIR_NAME_BYTES 32
#define DIR_FORMAT "2"

/* Whether the folder lies on a file system whose flushes and locks the log can rely on. *warning is
 * set to a sentence when it does, but not for keeping (tmpfs, overlay). Static storage.
 * RC_INVALID: it does not (id log.filesystem). */
enum rc dir_check_filesystem(const char *dir, const char **warning, struct err *e) MUST_CHECK;

/* Takes the writer's lock; it lasts until *fd is closed. RC_AGAIN: another writer has it. */
enum rc dir_lock(const char *dir, int *fd, struct err *e) MUST_CHECK;

/* Keeps other commands from rearranging the log's files meanwhile (prune, redact); lasts until *fd is
 * closed. RC_AGAIN: another one is at work. */
enum rc dir_lock_maintenance(const char *dir, int *fd, struct err *e) MUST_CHECK;

/* Reads LOG. RC_NOTFOUND: there is none. RC_INVALID: another format. RC_CORRUPT: not such a file. */
enum rc dir_read_log(const char *dir, unsigned char log_id[STORE_LOG_ID_BYTES], struct err *e) MUST_CHECK;

/* Makes LOG with a fresh random id, durably. */
enum rc dir_make_log(const char *dir, unsigned char log_id[STORE_LOG_ID_BYTES], struct err *e) MUST_CHECK;

/* Makes LOG for a log that has its id already. */
enum rc dir_write_log(const char *dir, const unsigned char log_id[STORE_LOG_ID_BYTES], struct err *e)
	MUST_CHECK;

/* Opens head for writing, made when missing. */
enum rc dir_open_head(const char *dir, int *fd, struct err *e) MUST_CHECK;

/* The number head holds, 0 when there is no such file: at least this many records were acknowledged.
 * head is written after the commit and never synced by us, so it may lag but not lead. */
uint64_t dir_read_head(const char *dir);

/* The first numbers of all segments, rising, in a. */
enum rc dir_segments(const char *dir, struct arena *a, uint64_t **firsts, size_t *count, struct err *e)
	MUST_CHECK;

/* Removes what a crash left of a segment that never came to be, and temporary files. */
enum rc dir_remove_leftovers(const char *dir, struct err *e) MUST_CHECK;

/* "00000000000000000001.mdb" */
void dir_segment_name(uint64_t first_seq, char out[DIR_NAME_BYTES]);

/* dir/name, allocated; asserts that dir is shorter than PATH_MAX less a name. */
char *dir_path(const char *dir, const char *name);

#endif
