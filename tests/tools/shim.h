/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_TOOLS_SHIM_H
#define TESTS_TOOLS_SHIM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Stands between a test program, liblmdb in it, and the kernel: the functions of libc that touch files
 * are defined in this object, and the dynamic linker finds the program's before libc's. It records
 * what is done to the files below a folder, lets the n-th call of a kind fail, or kills the process
 * there. Does nothing until shim_watch is called. */

enum shim_call {
	SHIM_OPEN,
	SHIM_READ,
	SHIM_WRITE, /* write, pwrite, writev, pwritev */
	SHIM_SEEK,
	SHIM_FDATASYNC,
	SHIM_FSYNC,
	SHIM_TRUNCATE,
	SHIM_MMAP,
	SHIM_FLOCK,
	SHIM_FCNTL,
	SHIM_RENAME,
	SHIM_UNLINK,
	SHIM_MKDIR,
	SHIM_META, /* pwrite through a descriptor that was opened with O_DSYNC; also counted as SHIM_WRITE */
	SHIM_CALLS
};

/* What shall happen, in memory that all forked processes share. Set it while nothing runs. */
struct shim_plan {
	enum shim_call call;
	unsigned nth;   /* the call of that kind, counted from 1; 0: none */
	int error;      /* errno it fails with; 0: see below */
	bool short_write; /* with error 0: half of the bytes are written and counted */
	bool sticky;    /* all later ones, too */
	/* With error 0 and no short write the process dies of SIGKILL: a write is in the page cache then
	 * and nowhere else, everything else has not been begun. */
	char only[64];  /* calls on names that end with this; "": all */
	atomic_uint seen[SHIM_CALLS];
	atomic_uint hit; /* how often the plan came true */
};

/* Begins to watch the folder root (absolute, without a slash at the end) in this process and the ones it
 * forks. The trace goes to trace_fd (O_APPEND), -1: none. */
void shim_watch(const char *root, int trace_fd);

/* The one plan; zero it with shim_plan_reset. */
struct shim_plan *shim_plan(void);
void shim_plan_reset(void);

/* "fdatasync", ... */
const char *shim_call_name(enum shim_call call);

/* Notes in the trace that something is about to happen or has happened. */
void shim_mark(unsigned mark, uint64_t value);

enum shim_kind {
	SHIM_T_CREATE = 1, /* a new, empty file got a name */
	SHIM_T_WRITE,
	SHIM_T_TRUNCATE,   /* to offset bytes */
	SHIM_T_SYNC,
	SHIM_T_SYNC_DIR,
	SHIM_T_RENAME,     /* data holds the new name */
	SHIM_T_UNLINK,
	SHIM_T_MKDIR,
	SHIM_T_MARK,       /* file is the mark, offset its value */
};

/* One entry of the trace; name and then data follow it. */
struct shim_record {
	uint32_t kind;
	uint32_t pid;
	uint64_t file; /* inode */
	uint64_t offset;
	int32_t error; /* errno of a failed sync, else 0 */
	uint32_t dsync; /* the write was durable when it returned */
	uint32_t name_bytes, data_bytes;
};

#endif
