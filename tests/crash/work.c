/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "tests/crash/upkeep.h"
#include "tests/crash/work.h"
#include "tests/tools/folder.h"
#include "tests/unit/store/helper.h"

/* ---- what the processes of a workload do ---- */

#define BATCH_MAX 8

_Noreturn void
work_fail(const char *what, const struct err *e)
{
	fprintf(stderr, "%s: %s\n", what, e->text);
	_exit(2);
}

struct flight {
	pthread_mutex_t lock;
	pthread_cond_t landed;
	unsigned in_the_air;
	enum rc rc;
};

static void
landed(const struct store_result *result, void *context)
{
	struct flight *f = context;
	/* This is where a server would send its 200. */
	if (result->rc == RC_OK)
		shim_mark(MODEL_ACK, result->seq);
	pthread_mutex_lock(&f->lock);
	if (result->rc != RC_OK)
		f->rc = result->rc;
	f->in_the_air--;
	pthread_cond_signal(&f->landed);
	pthread_mutex_unlock(&f->lock);
}

/* Submits events ids[0..count-1] at once and waits for the answers. */
static enum rc
append_all(struct store *s, const uint64_t *ids, unsigned count)
{
	struct flight f = { .rc = RC_OK, .in_the_air = count };
	struct check_event events[BATCH_MAX] = { { .body = NULL } };
	struct err e;
	pthread_mutex_init(&f.lock, NULL);
	pthread_cond_init(&f.landed, NULL);
	ASSERT(count <= BATCH_MAX);
	for (unsigned i = 0; i < count; i++) {
		check_event_make(&events[i], ids[i]);
		shim_mark(MODEL_SUBMIT, ids[i]);
		if (store_submit(s, &events[i].event, landed, &f, &e) != RC_OK)
			work_fail("submit", &e);
	}
	pthread_mutex_lock(&f.lock);
	while (f.in_the_air > 0)
		pthread_cond_wait(&f.landed, &f.lock);
	pthread_mutex_unlock(&f.lock);
	for (unsigned i = 0; i < count; i++)
		check_event_free(&events[i]);
	pthread_cond_destroy(&f.landed);
	pthread_mutex_destroy(&f.lock);
	return f.rc;
}

void
work_append(struct store *s, uint64_t first, uint64_t last, unsigned batch)
{
	uint64_t ids[BATCH_MAX];
	while (first <= last) {
		unsigned n = 0;
		while (n < batch && first <= last)
			ids[n++] = first++;
		if (append_all(s, ids, n) != RC_OK)
			_exit(4);
	}
}

struct store *
work_open(const struct work *w)
{
	struct store *s;
	struct err e;
	struct store_options options = { .dir = w->dir, .segment_bytes_max = w->segment_bytes_max,
		.archive_dir = w->archive_dir };
	if (store_open(&s, &options, &e) != RC_OK)
		work_fail("open", &e);
	shim_mark(MODEL_OPENED, 0);
	return s;
}

static void
make_and_three(const struct work *w)
{
	struct store *s = work_open(w);
	work_append(s, 1, 3, 1);
	store_close(s);
}

/* With a restart in the middle, so that the index is written. */
static void
sixty_mixed(const struct work *w)
{
	struct store *s = work_open(w);
	for (uint64_t i = 0; i < 60; i++) {
		work_append(s, i * 3 + 1, i * 3 + 3, i % 4 == 0 ? 1 : 3);
		if (i == 30) {
			store_close(s);
			s = work_open(w);
		}
	}
	store_close(s);
}

static void
one_large(const struct work *w)
{
	struct store *s = work_open(w);
	work_append(s, 1, 2, 1);
	work_append(s, CHECK_LARGE | 5, CHECK_LARGE | 5, 1);
	work_append(s, 6, 8, 1);
	store_close(s);
}

static void
duplicates(const struct work *w)
{
	struct store *s = work_open(w);
	for (uint64_t i = 1; i <= 12; i++) {
		uint64_t ids[] = { i, i, CHECK_OTHER_BODY | i, CHECK_OTHER_BODY | i, CHECK_KEYLESS | i };
		if (append_all(s, ids, COUNT_OF(ids)) != RC_OK)
			_exit(4);
		if (i == 6) {
			store_close(s);
			s = work_open(w);
		}
		work_append(s, (i + 1) / 2, (i + 1) / 2, 1);
	}
	store_close(s);
}

static void
many_segments(const struct work *w)
{
	struct store *s = work_open(w);
	work_append(s, 1, 24, 2);
	store_close(s);
	s = work_open(w);
	work_append(s, 25, 48, 2);
	store_close(s);
}

/* As docs/on-disk-format.md allows: whole files, the oldest first, one after the other. */
static void
remove_oldest(const struct work *w)
{
	struct err e;
	many_segments(w);
	for (int i = 0; i < 2; i++) {
		DIR *d = opendir(w->dir);
		char oldest[64] = "z", path[600];
		for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
			if (strlen(entry->d_name) == 24 && strcmp(entry->d_name, oldest) < 0)
				snprintf(oldest, sizeof oldest, "%s", entry->d_name);
		}
		closedir(d);
		snprintf(path, sizeof path, "%s/%s", w->dir, oldest);
		if (unlink(path) != 0 || fs_sync_dir(w->dir, &e) != RC_OK)
			_exit(5);
		struct store *s = work_open(w);
		work_append(s, 49 + (uint64_t)i * 4, 52 + (uint64_t)i * 4, 2);
		store_close(s);
	}
}

/* Until the shim kills it. */
static void
append_for_ever(const struct work *w)
{
	struct store *s = work_open(w);
	work_append(s, 1, 1000, 2);
}

/* A projector that starts before the writer does. */
static void
look(const struct work *w)
{
	struct store_reader *r;
	struct store_span span;
	struct err e;
	if (store_reader_open(&r, w->dir, &e) != RC_OK || store_span(r, &span, &e) != RC_OK)
		work_fail("look", &e);
	shim_mark(MODEL_VISIBLE, span.last_seq);
	shim_mark(MODEL_END, span.last_seq);
	store_reader_close(r);
}

static void
go_on(const struct work *w)
{
	struct store *s = work_open(w);
	work_append(s, 1001, 1012, 3);
	store_close(s);
}

/* The client tries again until it is told that the event is stored. */
static void
append_stubbornly(const struct work *w)
{
	struct store *s = work_open(w);
	for (uint64_t id = 1; id <= 24; id++) {
		int tries = 0;
		while (append_all(s, &id, 1) != RC_OK && tries++ < 10)
			continue;
	}
	store_close(s);
}

/* Up to the failure, then the process ends as a server does. */
static void
append_until_failure(const struct work *w)
{
	struct store *s = work_open(w);
	uint64_t id = 1;
	while (id <= 200 && append_all(s, &id, 1) == RC_OK)
		id++;
	store_close(s);
	if (id > 200)
		_exit(6);
}

/* Starts where the one before failed; ids that are stored already are duplicates. */
static void
append_again(const struct work *w)
{
	struct store *s = work_open(w);
	work_append(s, 1, 30, 1);
	store_close(s);
}

struct watcher {
	struct store_reader *reader;
	uint64_t until;
};

static void *
watch(void *context)
{
	struct watcher *w = context;
	struct err e;
	struct store_span span = { .last_seq = 0 };
	while (span.last_seq < w->until) {
		enum rc rc = store_wait(w->reader, span.last_seq, 1000, -1, &e);
		if (rc == RC_OK)
			rc = store_span(w->reader, &span, &e);
		if (rc != RC_OK && rc != RC_AGAIN)
			_exit(7);
		shim_mark(MODEL_VISIBLE, span.last_seq);
	}
	return NULL;
}

static void
watched(const struct work *w)
{
	struct err e;
	struct watcher watcher = { .until = 30 };
	struct store *s = work_open(w);
	pthread_t thread;
	if (store_reader_from(s, &watcher.reader, &e) != RC_OK ||
		pthread_create(&thread, NULL, watch, &watcher) != 0)
		_exit(7);
	work_append(s, 1, 30, 1);
	pthread_join(thread, NULL);
	store_reader_close(watcher.reader);
	store_close(s);
}

#define FIRST_SEGMENT "0000000001.mdb"

const struct workload work_list[] = {
	{ "made and three events", 0, { { .run = make_and_three } }, 2400, 24000, .write_on = 30 },
	{ "sixty commits", 0, { { .run = sixty_mixed } }, 5000, 85000, .write_on = 8 },
	{ "one event of 25 MB", 0, { { .run = one_large } }, 24, 300, .write_on = 3, .coarse = true },
	{ "duplicates", 0, { { .run = duplicates } }, 1600, 50000, .write_on = 8 },
	{ "many segments", 100000, { { .run = many_segments } }, 2000, 40000, .write_on = 8 },
	{ "the oldest segments removed", 100000, { { .run = remove_oldest } }, 1000, 25000, .write_on = 8 },
	{ "killed in the write of the root", 0,
		{ { .run = append_for_ever, .call = SHIM_META, .nth = 9, .only = FIRST_SEGMENT, .dies = true },
			{ .run = look }, { .run = go_on } }, 1400, 50000, .write_on = 8 },
	{ "killed before a sync", 0,
		{ { .run = append_for_ever, .call = SHIM_FDATASYNC, .nth = 12, .only = FIRST_SEGMENT,
			  .dies = true },
			{ .run = look }, { .run = go_on } }, 1400, 50000, .write_on = 8 },
	{ "disk full in a commit", 0,
		{ { .run = append_stubbornly, .call = SHIM_WRITE, .nth = 12, .error = ENOSPC,
			.only = FIRST_SEGMENT } }, 1200, 40000, .write_on = 8 },
	{ "a sync fails", 0,
		{ { .run = append_until_failure, .call = SHIM_FDATASYNC, .nth = 14, .error = EIO,
			  .only = FIRST_SEGMENT },
			{ .run = append_again } }, 1400, 50000, .write_on = 8 },
	{ "a write is cut short", 0,
		{ { .run = append_until_failure, .call = SHIM_WRITE, .nth = 14, .short_write = true,
			  .only = FIRST_SEGMENT },
			{ .run = append_again } }, 1200, 40000, .write_on = 8 },
	{ "watched by a reader", 0, { { .run = watched } }, 1200, 40000, .write_on = 8 },
	{ "redacted", 100000,
		{ { .run = many_segments, .only_sets_up = true }, { .run = upkeep_redact_two }, { .run = upkeep_append },
			{ .run = upkeep_redact_newest } },
		500, 6000, .write_on = 4, .further = upkeep_check_redacted },
	{ "backed up", 100000,
		{ { .run = many_segments, .only_sets_up = true }, { .run = upkeep_back_up }, { .run = upkeep_append },
			{ .run = upkeep_back_up } },
		400, 4000, .write_on = 4, .further = upkeep_check_backup },
	{ "archived and pruned", 100000,
		{ { .run = many_segments, .only_sets_up = true }, { .run = upkeep_archive }, { .run = upkeep_prune },
			{ .run = upkeep_append }, { .run = upkeep_archive }, { .run = upkeep_prune } },
		400, 4000, .write_on = 4, .further = upkeep_check_archive, .archived = true },
	{ "redacted in the archive", 100000,
		{ { .run = many_segments, .only_sets_up = true }, { .run = upkeep_archive }, { .run = upkeep_prune },
			{ .run = upkeep_redact_two }, { .run = upkeep_append } },
		400, 4000, .write_on = 4, .further = upkeep_check_redacted, .archived = true },
};
const size_t work_count = COUNT_OF(work_list);

/* ---- running and reading them ---- */

static struct bytes
slurp(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	size_t len = (size_t)st.st_size, have = 0;
	unsigned char *data = base_alloc(len + 1);
	while (have < len) {
		ssize_t n = read(fd, data + have, len - have);
		assert_true(n > 0);
		have += (size_t)n;
	}
	close(fd);
	return (struct bytes){ data, len };
}

static void
run_phase(const struct workload *w, const struct work_phase *phase, const char *root, int trace)
{
	char dir[300], archive[300], backup[300];
	struct work work = { .dir = dir, .archive_dir = w->archived ? archive : NULL, .backup_dir = backup,
		.segment_bytes_max = w->segment_bytes_max };
	snprintf(dir, sizeof dir, "%s/" CHECK_LOG, root);
	snprintf(archive, sizeof archive, "%s/" CHECK_ARCHIVE, root);
	snprintf(backup, sizeof backup, "%s/" CHECK_BACKUP, root);
	shim_plan_reset();
	struct shim_plan *plan = shim_plan();
	plan->call = phase->call;
	plan->nth = phase->nth;
	plan->error = phase->error;
	plan->short_write = phase->short_write;
	if (phase->only != NULL)
		snprintf(plan->only, sizeof plan->only, "%s", phase->only);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		alarm(60);
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
		if (getenv("TEST_VERBOSE") == NULL)
			dup2(null, 2);
		shim_watch(root, trace);
		shim_mark(MODEL_LOOK, !phase->only_sets_up);
		phase->run(&work);
		_exit(0);
	}
	int status;
	while (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	if (phase->dies ? !WIFSIGNALED(status) : status != 0)
		fail_msg("%s: a process ended with status %#x", w->name, (unsigned)status);
	if (phase->nth != 0 && atomic_load(&plan->hit) == 0)
		fail_msg("%s: what was planned did not happen", w->name);
	shim_plan_reset();
}

struct reading {
	struct work_recording *out;
	uint64_t acked;
};

static void
put_end(struct work_recording *out, uint64_t seq)
{
	if (seq == 0 || (out->end_count > 0 && out->ends[out->end_count - 1] == seq))
		return;
	out->ends = base_realloc(out->ends, (out->end_count + 1) * sizeof *out->ends);
	out->ends[out->end_count++] = seq;
}

static void
read_mark(unsigned mark, uint64_t value, void *context)
{
	struct reading *r = context;
	struct work_recording *out = r->out;
	if (mark == MODEL_ACK && value > r->acked)
		r->acked = value;
	if (mark == 0)
		put_end(out, r->acked);
	if (mark == MODEL_END) {
		put_end(out, value);
		out->id_count = value;
	}
	if (mark != MODEL_SUBMIT)
		return;
	for (size_t i = 0; i < out->id_count; i++) {
		if (out->ids[i] == value)
			return;
	}
	out->ids = base_realloc(out->ids, (out->id_count + 1) * sizeof *out->ids);
	out->ids[out->id_count++] = value;
}

/* One of the tables of readers the workload left. */
static struct bytes
read_lock(const char *root)
{
	char path[700];
	struct bytes lock = { NULL, 0 };
	snprintf(path, sizeof path, "%s/" CHECK_LOG, root);
	DIR *d = opendir(path);
	assert_non_null(d);
	for (struct dirent *entry; lock.data == NULL && (entry = readdir(d)) != NULL;) {
		size_t len = strlen(entry->d_name);
		snprintf(path, sizeof path, "%s/" CHECK_LOG "/%s", root, entry->d_name);
		if (len > 5 && strcmp(entry->d_name + len - 5, "-lock") == 0)
			lock = slurp(path);
	}
	closedir(d);
	return lock;
}

void
work_record(const struct workload *w, const char *base, struct work_recording *out)
{
	char path[300];
	struct reading reading = { .out = out };
	*out = (struct work_recording){ .root = NULL };
	snprintf(path, sizeof path, "%s/work", base);
	assert_int_equal(mkdir(path, 0700), 0);
	out->root = base_strdup(path);
	snprintf(path, sizeof path, "%s/trace", base);
	int trace = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	assert_true(trace >= 0);
	for (size_t i = 0; i < WORK_PHASES_MAX && w->phases[i].run != NULL; i++)
		run_phase(w, &w->phases[i], out->root, trace);
	close(trace);
	out->trace = slurp(path);
	unlink(path);
	struct model_trace t = { out->trace.data, out->trace.len, out->root };
	model_marks(&t, read_mark, &reading);
	put_end(out, reading.acked);
	/* What was never submitted cannot have been, so no commit can end there; all was. */
	assert_true(out->id_count > 0);
	out->stale_lock = read_lock(out->root);
	folder_remove(out->root);
}

void
work_free(struct work_recording *r)
{
	free(r->root);
	free((void *)(uintptr_t)r->trace.data);
	free((void *)(uintptr_t)r->stale_lock.data);
	free(r->ids);
	free(r->ends);
}
