/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/dir.h"
#include "store/verify.h"
#include "store/verify_state.h"

/* One process per segment, so that all cores work and that damage in LMDB's pages, which kills whoever
 * meets it, is told by somebody who lives. This process never opens a segment. */

#define JOBS_MAX 64u

/* What a child writes into its pipe; smaller than PIPE_BUF, so that each comes in one piece. */
struct message {
	enum { M_FOUND, M_WARNED, M_PROGRESS, M_RESULT } type;
	enum rc rc;
	uint64_t seq, events, bytes;
	struct store_verify_report report;
	struct index_count index;
	char text[1024];
	char id[64];
};

enum work { WORK_WHOLE, WORK_SEGMENT, WORK_ENTRIES };

/* One child's task. */
struct part {
	enum work work;
	uint64_t first, last; /* records; last UINT64_MAX: to the end */
	uint64_t segment;     /* first number of the segment, 0: no segment */
	bool whole_segment;   /* all of a segment that another one follows */
	pid_t pid;
	int fd;
	bool started, ended;
	uint64_t events, bytes; /* so far */
	struct store_verify_report report;
	struct index_count index;
	enum rc rc;
};

struct jobs {
	const struct store_verify_options *options;
	struct store_verify_report *report;
	unsigned char log_id[STORE_LOG_ID_BYTES];
	struct part *parts;
	size_t count;
	bool without_index;
	uint64_t owned_last;
	struct verify_done *done;
	size_t done_count;
	bool state_failed;
};

/* ---- in the child ---- */

struct voice {
	int fd;
};

static void
tell(const struct voice *v, struct message *m)
{
	while (write(v->fd, m, sizeof *m) < 0) {
		if (errno != EINTR)
			_exit(1); /* nobody listens any more */
	}
}

static void
tell_found(uint64_t seq, const char *text, void *context)
{
	struct message m = { .type = M_FOUND, .seq = seq };
	snprintf(m.text, sizeof m.text, "%s", text);
	tell(context, &m);
}

static void
tell_warned(uint64_t seq, const char *text, void *context)
{
	struct message m = { .type = M_WARNED, .seq = seq };
	snprintf(m.text, sizeof m.text, "%s", text);
	tell(context, &m);
}

static void
tell_progress(uint64_t events, uint64_t bytes, void *context)
{
	struct message m = { .type = M_PROGRESS, .events = events, .bytes = bytes };
	tell(context, &m);
}

static void
tell_either(void *context, bool warning, uint64_t seq, const char *text)
{
	if (warning)
		tell_warned(seq, text, context);
	else
		tell_found(seq, text, context);
}

static enum rc
check_whole(const struct jobs *j, struct voice *v, uint64_t first, struct index_count *index, struct err *e)
{
	struct arena *a = arena_new(4096);
	struct signed_claims claims;
	enum rc rc = claims_read(&claims, j->options, a, tell_either, v, e);
	if (rc == RC_OK) {
		claims_check(&claims, j->log_id, j->options->key, tell_either, v);
		rc = verify_index_count(j->options->dir, first, index, tell_either, v, e);
	}
	arena_free(a);
	return rc;
}

static void
child(const struct jobs *j, const struct part *p, int fd)
{
	struct voice v = { fd };
	struct err e = { .text = "" };
	struct message m = { .type = M_RESULT };
	struct store_verify_options options = *j->options;
	options.first = p->first;
	options.last = p->last == UINT64_MAX ? 0 : p->last;
	options.found = tell_found;
	options.warned = tell_warned;
	options.progress = tell_progress;
	options.context = &v;
	switch (p->work) {
	case WORK_WHOLE:
		m.rc = check_whole(j, &v, p->first, &m.index, &e);
		break;
	case WORK_SEGMENT:
		m.rc = verify_run(&options, j->without_index ? VERIFY_PART_WITHOUT_INDEX : VERIFY_PART,
			j->owned_last, &m.report, &e);
		break;
	case WORK_ENTRIES:
		m.rc = verify_index_entries(options.dir, p->first, p->last, tell_either, &v, &e);
		break;
	}
	snprintf(m.text, sizeof m.text, "%s", e.text);
	snprintf(m.id, sizeof m.id, "%s", e.id == NULL ? "" : e.id);
	tell(&v, &m);
	_exit(0);
}

/* ---- in the parent ---- */

static void
say(struct jobs *j, bool warning, uint64_t seq, const char *text)
{
	store_finding_fn fn = warning ? j->options->warned : j->options->found;
	if (warning)
		j->report->warning_count++;
	else
		j->report->error_count++;
	if (fn != NULL)
		fn(seq, text, j->options->context);
}

static enum rc
start(struct jobs *j, struct part *p, struct err *e)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) != 0)
		return err_sys(e, RC_IO, NULL, errno, "make a pipe");
	p->pid = fork();
	if (p->pid == 0) {
		/* Of the others' pipes only the reading ends are here; they do no harm. */
		close(fds[0]);
		child(j, p, fds[1]);
	}
	close(fds[1]);
	if (p->pid < 0) {
		close(fds[0]);
		return err_sys(e, RC_IO, NULL, errno, "fork");
	}
	p->fd = fds[0];
	p->started = true;
	return RC_OK;
}

static void
killed(struct jobs *j, struct part *p, int status)
{
	char text[256];
	int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	p->rc = RC_CORRUPT;
	if (p->work == WORK_SEGMENT) {
		snprintf(text, sizeof text,
			"reading segment %" PRIu64 " killed the checking process (signal %d) after %" PRIu64
			" events: its inner pages are damaged",
			p->segment, signal, p->events);
		say(j, false, p->segment, text);
		return;
	}
	/* The ledger is text; only the index can do this. */
	j->without_index = true;
	snprintf(text, sizeof text,
		"reading the dedupe index killed the checking process (signal %d); remove index.mdb while "
		"stopped",
		signal);
	say(j, false, 0, text);
}

/* Remembers a segment without findings, so that another run need not read it again. */
static void
note_done(struct jobs *j, const struct part *p)
{
	struct err e;
	struct verify_done d = { 0 };
	if (j->options->state == NULL || !p->whole_segment || p->report.error_count > 0 ||
		p->report.warning_count > 0 || p->rc != RC_OK || j->owned_last < p->last ||
		!verify_state_file(j->options->dir, p->segment, &d))
		return;
	d.report = p->report;
	j->done = base_realloc(j->done, (j->done_count + 1) * sizeof *j->done);
	j->done[j->done_count++] = d;
	if (!j->state_failed && verify_state_write(j->options->state, j->log_id, j->done, j->done_count,
				       &e) != RC_OK) {
		j->state_failed = true;
		say(j, true, 0, e.text);
	}
}

static void
progress(const struct jobs *j)
{
	uint64_t events = 0, bytes = 0;
	if (j->options->progress == NULL)
		return;
	for (size_t i = 0; i < j->count; i++) {
		events += j->parts[i].events;
		bytes += j->parts[i].bytes;
	}
	j->options->progress(events, bytes, j->options->context);
}

/* Takes one message of the child; false: it has ended. */
static bool
take(struct jobs *j, struct part *p, struct err *e)
{
	struct message m;
	int status = 0;
	ssize_t n = read(p->fd, &m, sizeof m);
	if (n < 0 && errno == EINTR)
		return true;
	if (n == (ssize_t)sizeof m && m.type == M_PROGRESS) {
		p->events = m.events;
		p->bytes = m.bytes;
		progress(j);
		return true;
	}
	if (n == (ssize_t)sizeof m && m.type != M_RESULT) {
		say(j, m.type == M_WARNED, m.seq, m.text);
		return true;
	}
	bool told = n == (ssize_t)sizeof m;
	close(p->fd);
	while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	p->ended = true;
	if (!told) {
		killed(j, p, status);
		return false;
	}
	p->rc = m.rc;
	p->report = m.report;
	p->index = m.index;
	if (m.rc == RC_CORRUPT && p->report.error_count == 0)
		say(j, false, p->segment, m.text); /* what it met was worse than a finding */
	else if (m.rc != RC_OK && m.rc != RC_CORRUPT)
		err_set(e, m.rc, strcmp(m.id, "log.version") == 0 ? "log.version" : NULL, "%s", m.text);
	note_done(j, p);
	return false;
}

/* Runs parts [from, j->count) with so many at a time. */
static enum rc
run(struct jobs *j, size_t from, unsigned jobs, struct err *e)
{
	struct pollfd fds[JOBS_MAX];
	struct part *of[JOBS_MAX];
	unsigned running = 0;
	size_t next = from;
	enum rc rc = RC_OK;
	while (running > 0 || (rc == RC_OK && next < j->count)) {
		while (rc == RC_OK && running < jobs && next < j->count) {
			struct part *p = &j->parts[next++];
			if (p->ended)
				continue;
			rc = start(j, p, e);
			if (rc != RC_OK)
				break;
			of[running] = p;
			fds[running++] = (struct pollfd){ .fd = p->fd, .events = POLLIN };
		}
		if (running == 0 || (poll(fds, running, -1) < 0 && errno == EINTR))
			continue;
		for (unsigned i = 0; i < running;) {
			if (fds[i].revents == 0 || take(j, of[i], e)) {
				i++;
				continue;
			}
			if (of[i]->rc != RC_OK && of[i]->rc != RC_CORRUPT)
				rc = of[i]->rc;
			running--;
			fds[i] = fds[running];
			of[i] = of[running];
		}
	}
	return rc;
}

/* ---- the parts ---- */

static enum rc
make_parts(struct jobs *j, uint64_t *first, uint64_t last, struct arena *a, struct err *e)
{
	uint64_t *firsts;
	size_t count;
	enum rc rc = dir_segments(j->options->dir, a, &firsts, &count, e);
	if (rc != RC_OK)
		return rc;
	if (count > 0 && *first <= 1)
		*first = firsts[0];
	if (count > 0 && *first < firsts[0])
		return err_set(e, RC_NOTFOUND, "log.removed", "the log starts with %" PRIu64, firsts[0]);
	j->parts = arena_zalloc(a, (count + 3) * sizeof *j->parts);
	j->parts[j->count++] = (struct part){ .work = WORK_WHOLE, .first = *first };
	for (size_t i = 0; i < count; i++) {
		uint64_t end = i + 1 < count ? firsts[i + 1] - 1 : UINT64_MAX;
		if (end < *first || firsts[i] > last)
			continue;
		struct part *p = &j->parts[j->count++];
		*p = (struct part){ .work = WORK_SEGMENT, .segment = firsts[i],
			.first = firsts[i] < *first ? *first : firsts[i],
			.last = end < last ? end : last,
			.whole_segment = firsts[i] >= *first && end <= last && end != UINT64_MAX };
	}
	return RC_OK;
}

/* Marks the segments that an earlier run has found sound and that are as they were. */
static enum rc
take_up(struct jobs *j, struct arena *a, struct err *e)
{
	const struct verify_done *done;
	size_t count;
	if (j->options->state == NULL || !j->options->resume)
		return RC_OK;
	enum rc rc = verify_state_read(j->options->state, j->log_id, a, &done, &count, e);
	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		struct verify_done now = { 0 };
		for (size_t k = 0; k < j->count; k++) {
			struct part *p = &j->parts[k];
			if (p->work != WORK_SEGMENT || p->segment != done[i].first_seq || p->ended ||
				!p->whole_segment || done[i].report.last_seq != p->last ||
				!verify_state_file(j->options->dir, p->segment, &now) ||
				now.file_bytes != done[i].file_bytes || now.changed_us != done[i].changed_us)
				continue;
			p->ended = true;
			p->report = done[i].report;
			p->report.first_seq = p->first;
			p->events = p->report.checked_events;
			p->bytes = p->report.checked_bytes;
			j->report->resumed++;
			note_done(j, p);
		}
	}
	return rc;
}

/* Adds the parts' reports up and looks at what lies between two of them. */
static uint64_t
add_up(struct jobs *j)
{
	struct store_verify_report *r = j->report;
	const struct part *before = NULL;
	uint64_t owned = 0;
	for (size_t i = 0; i < j->count; i++) {
		const struct part *p = &j->parts[i];
		if (p->work != WORK_SEGMENT)
			continue;
		if (before != NULL && before->report.last_seq + 1 == p->first &&
			p->report.first_seq == p->first && before->report.error_count == 0 &&
			memcmp(before->report.chain, p->report.prev_chain, STORE_CHAIN_BYTES) != 0)
			say(j, false, p->first, "a segment does not continue the chain of the one before");
		r->checked_events += p->report.checked_events;
		r->checked_bytes += p->report.checked_bytes;
		r->statements += p->report.statements;
		owned += p->report.owned;
		if (r->first_seq == 0)
			r->first_seq = p->report.first_seq;
		if (p->report.last_seq != 0) {
			r->last_seq = p->report.last_seq;
			memcpy(r->chain, p->report.chain, STORE_CHAIN_BYTES);
		}
		before = p;
	}
	return owned;
}

static enum rc
run_all(struct jobs *j, uint64_t last, uint64_t first, unsigned jobs, struct arena *a, struct err *e)
{
	/* First the index, since what it covers by now is what the events are counted against. */
	size_t count = j->count;
	j->count = 1;
	enum rc rc = run(j, 0, 1, e);
	j->count = count;
	const struct index_count *index = &j->parts[0].index;
	if (j->parts[0].rc != RC_OK)
		j->without_index = true;
	j->owned_last = index->last_seq;
	if (rc == RC_OK)
		rc = take_up(j, a, e);
	if (rc == RC_OK)
		rc = run(j, 1, jobs, e);
	if (rc != RC_OK)
		return rc;
	uint64_t damage = j->report->error_count, owned = add_up(j);
	if (last == UINT64_MAX && damage == 0 && !j->without_index && index->entries != owned) {
		j->parts[j->count] =
			(struct part){ .work = WORK_ENTRIES, .first = first, .last = index->last_seq };
		j->count++;
		rc = run(j, j->count - 1, 1, e);
		if (rc == RC_OK && j->report->error_count == damage)
			say(j, false, 0,
				"the dedupe index has more entries than the log has deliveries; remove "
				"index.mdb while stopped");
	}
	return rc;
}

enum rc
store_verify_parallel(const struct store_verify_options *options, struct store_verify_report *report,
	struct err *e)
{
	struct jobs j = { .options = options, .report = report };
	struct arena *a = arena_new(4096);
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned jobs = options->jobs > 0 ? options->jobs : (unsigned)(cores > 0 ? cores : 1);
	uint64_t first = options->first, last = options->last == 0 ? UINT64_MAX : options->last;
	*report = (struct store_verify_report){ 0 };
	enum rc rc = dir_read_log(options->dir, j.log_id, e);
	if (rc == RC_OK)
		rc = make_parts(&j, &first, last, a, e);
	if (rc == RC_OK)
		rc = run_all(&j, last, first, jobs < JOBS_MAX ? jobs : JOBS_MAX, a, e);
	if (rc == RC_OK && report->error_count > 0)
		rc = err_set(e, RC_CORRUPT, "log.damaged", "%" PRIu64 " findings in %s", report->error_count,
			options->dir);
	/* A run to its end needs no taking up. */
	if ((rc == RC_OK || rc == RC_CORRUPT) && options->state != NULL)
		unlink(options->state);
	free(j.done);
	arena_free(a);
	return rc;
}
