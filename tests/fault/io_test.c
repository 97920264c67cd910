/* SPDX-License-Identifier: Apache-2.0 */
/* TEST-VARIANTS: asan
 * TEST-TIMEOUT: 3600 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/crash/check.h"
#include "tests/tools/shim.h"
#include "tests/unit/store/helper.h"

/* Every call that touches the log's files fails once, at each of its first occurrences, with each
 * error: nothing is acknowledged that is not there afterwards, the process says what happened and
 * lives, and the next start finds a sound log that takes all events. */

#define EVENTS 14
#define BEFORE 6

struct answers {
	enum rc opened, rc[EVENTS + 1];
	uint64_t seq[EVENTS + 1]; /* of event i + 1, when it was acknowledged */
	char wrong[300];
};

struct fault {
	enum shim_call call;
	int error; /* 0: a short write */
	unsigned nth;
	bool old; /* the log is there already, with BEFORE events */
};

static const struct {
	int error;
	const char *name;
} errors[] = { { EIO, "EIO" }, { ENOSPC, "ENOSPC" }, { EDQUOT, "EDQUOT" }, { EINTR, "EINTR" },
	{ 0, "short" } };

static bool
wrong(struct answers *a, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	if (a->wrong[0] == '\0')
		vsnprintf(a->wrong, sizeof a->wrong, fmt, args);
	va_end(args);
	return false;
}

static struct store_options
options(const char *dir)
{
	return (struct store_options){ .dir = dir, .segment_bytes_max = 80000 };
}

/* Appends events first to last and keeps the answers. */
static void
append(struct store *s, unsigned first, unsigned last, struct answers *a)
{
	struct check_event c = { .body = NULL };
	struct err e;
	for (unsigned i = first; i <= last; i++) {
		check_event_make(&c, i);
		struct store_result result = store_append(s, &c.event);
		a->rc[i] = result.rc;
		a->seq[i] = result.rc == RC_OK ? result.seq : 0;
		if (result.rc != RC_OK && result.err.text[0] == '\0')
			wrong(a, "event %u fails without a word", i);
		if (result.rc != RC_OK && result.rc != RC_FULL && result.rc != RC_IO)
			wrong(a, "event %u gives rc %d: %s", i, result.rc, result.err.text);
		/* After a failure other than a full disk nobody knows what is on the disk. */
		if (result.rc == RC_OK && i > first && a->rc[i - 1] == RC_IO)
			wrong(a, "event %u is acknowledged after a failure", i);
	}
	if (a->rc[last] != store_health(s, &e))
		wrong(a, "the last event gives %d, health is %d", a->rc[last], store_health(s, &e));
	check_event_free(&c);
}

static void
live(const char *dir, unsigned first, unsigned last, struct answers *a)
{
	struct store *s;
	struct err e = { .text = "" };
	struct store_options o = options(dir);
	a->opened = store_open(&s, &o, &e);
	if (a->opened != RC_OK) {
		if (e.text[0] == '\0')
			wrong(a, "does not open and does not say why");
		return;
	}
	append(s, first, last, a);
	store_close(s);
}

/* The next start, on a machine that works: all that was acknowledged is there; all is taken. */
static void
restart(const char *dir, struct answers *a)
{
	struct store *s;
	struct store_reader *r;
	struct store_span span;
	struct store_verify_report report;
	struct err e = { .text = "" };
	struct check_event c = { .body = NULL };
	struct arena *arena = arena_new(4096);
	struct store_options o = options(dir);
	if (store_open(&s, &o, &e) != RC_OK || store_reader_from(s, &r, &e) != RC_OK ||
		store_span(r, &span, &e) != RC_OK) {
		wrong(a, "does not start again: %s", e.text);
		return;
	}
	if (span.last_seq > EVENTS)
		wrong(a, "%" PRIu64 " events of %d", span.last_seq, EVENTS);
	for (unsigned i = 1; i <= EVENTS; i++) {
		const struct store_record *record;
		size_t count;
		check_event_make(&c, i);
		if (a->seq[i] != 0 && (store_read(r, a->seq[i], 1, 1, arena, &record, &count, &e) != RC_OK ||
			count != 1 || !bytes_equal(record->event.body, c.event.body)))
			wrong(a, "event %u, acknowledged as %" PRIu64 ", is not there", i, a->seq[i]);
		struct store_result result = store_append(s, &c.event);
		if (result.rc != RC_OK || (a->seq[i] != 0 && (!result.duplicate || result.seq != a->seq[i])))
			wrong(a, "event %u sent again gives %" PRIu64 " %s", i, result.seq,
				result.rc == RC_OK ? "" : result.err.text);
	}
	store_reader_close(r);
	store_close(s);
	arena_free(arena);
	check_event_free(&c);
	if (store_verify(dir, 1, 0, NULL, NULL, &report, &e) != RC_OK)
		wrong(a, "verify: %s", e.text);
	else if (report.last_seq != EVENTS)
		wrong(a, "%" PRIu64 " events at the end", report.last_seq);
}

enum part { BEFORE_PART, FAULT_PART, AFTER_PART };

static int
in_child(const char *dir, enum part part, bool old, struct answers *a)
{
	static const int deadly[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS };
	int status;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
		if (getenv("TEST_VERBOSE") == NULL)
			dup2(null, 2);
		for (size_t i = 0; i < COUNT_OF(deadly); i++)
			signal(deadly[i], SIG_DFL);
		alarm(60);
		if (part == FAULT_PART)
			shim_watch(dir, -1);
		if (part == BEFORE_PART)
			live(dir, 1, BEFORE, a);
		else if (part == FAULT_PART)
			live(dir, old ? BEFORE + 1 : 1, EVENTS, a);
		else
			restart(dir, a);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	return status;
}

/* What an error of that kind has to lead to. */
static void
judge(const struct fault *f, struct answers *a)
{
	unsigned full = 0, failed = 0;
	for (unsigned i = 1; i <= EVENTS; i++) {
		full += a->rc[i] == RC_FULL;
		failed += a->rc[i] == RC_IO;
	}
	if (a->opened != RC_OK)
		return;
	if ((f->error == ENOSPC || f->error == EDQUOT) && f->call == SHIM_WRITE && full > 1)
		wrong(a, "full once, refused %u times", full);
	if ((f->error == EIO || f->error == 0) && full > 0 && failed == 0)
		wrong(a, "a broken disk was taken for a full one");
}

/* Whether the fault happened; then everything is checked. */
static bool
try(const struct fault *f, const char *name, struct answers *a, unsigned *failed_opens, unsigned *refused)
{
	char *base = helper_dir(), dir[300];
	snprintf(dir, sizeof dir, "%s/log", base);
	memset(a, 0, sizeof *a);
	shim_plan_reset();
	if (f->old && (in_child(dir, BEFORE_PART, false, a) != 0 || a->rc[BEFORE] != RC_OK))
		fail_msg("cannot make the log");
	struct shim_plan *plan = shim_plan();
	plan->call = f->call;
	plan->nth = f->nth;
	plan->error = f->error;
	plan->short_write = f->error == 0;
	int status = in_child(dir, FAULT_PART, f->old, a);
	bool hit = atomic_load(&plan->hit) > 0;
	shim_plan_reset();
	if (status != 0)
		wrong(a, "the process died: status %#x", (unsigned)status);
	judge(f, a);
	if (hit && a->opened != RC_OK)
		++*failed_opens;
	for (unsigned i = 1; i <= EVENTS; i++)
		*refused += a->rc[i] != RC_OK;
	if (in_child(dir, AFTER_PART, false, a) != 0)
		wrong(a, "the next start died");
	if (a->wrong[0] != '\0')
		fail_msg("%s %s, number %u, %s log: %s", shim_call_name(f->call), name, f->nth,
			f->old ? "old" : "new", a->wrong);
	helper_remove(base_strdup(dir));
	helper_remove(base);
	return hit;
}

static void
every_call_fails_in_turn(void **state)
{
	(void)state;
	struct answers *a = mmap(NULL, sizeof *a, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(a != MAP_FAILED);
	unsigned most = getenv("TEST_SOAK") != NULL ? 1000 : 20, all = 0, unopened = 0, refused = 0;
	for (enum shim_call call = 0; call < SHIM_CALLS; call++) {
		unsigned count = 0;
		for (size_t i = 0; i < COUNT_OF(errors); i++) {
			if (errors[i].error == 0 && call != SHIM_WRITE && call != SHIM_META)
				continue;
			for (unsigned round = 0; round < 2; round++) {
				struct fault f = { call, errors[i].error, 1, round == 1 };
				while (f.nth <= most && try(&f, errors[i].name, a, &unopened, &refused)) {
					f.nth++;
					count++;
				}
			}
		}
		printf("# %s: %u\n", shim_call_name(call), count);
		/* A kind nobody calls would be a hole in the shim. */
		if (count == 0 && call != SHIM_TRUNCATE && call != SHIM_READ)
			fail_msg("%s was never called", shim_call_name(call));
		all += count;
	}
	printf("# note: %u failed calls: %u starts refused, %u events refused, 0 false answers\n", all,
		unopened, refused);
	assert_true(unopened > 0 && refused > 0);
	munmap(a, sizeof *a);
}

int
main(void)
{
	/* In memory where that is possible: what matters is the answer of a call, not the disk. */
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_fails_in_turn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
