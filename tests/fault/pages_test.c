/* SPDX-License-Identifier: Apache-2.0 */
/* TEST-VARIANTS: release
 * TEST-TIMEOUT: 3600 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/crash/check.h"
#include "tests/tools/random.h"
#include "tests/unit/store/helper.h"

/* Disks that give back something else than was written: flipped bits, files cut off, pages of zeros,
 * pages in each other's place. No wrong byte may be given out as an event, and what verify calls sound
 * must be. */

#define EVENTS 90
#define PAGE 4096
#define WORKERS 2
#define FILES_MAX 16
#define ALARM_S 4
#define CASES 3000 /* of each kind of damage */
#define CASES_SOAK 20000
/* A start for writing, with all events sent again, takes as long as all else, and is done in every third case. */
#define WRITTEN_EVERY 3

enum damage { FLIP, CUT, ZERO, SWAP, DAMAGES, NO_DAMAGE };

static const char *const damage_names[] = { "bit flipped", "cut off", "page zeroed", "pages swapped" };

struct file {
	char name[64];
	unsigned char *data;
	size_t len;
};

struct original {
	struct file files[FILES_MAX];
	size_t count, segments;
};

enum reading { READ_UNKNOWN, READ_RIGHT, READ_SHORT, READ_ERROR, READ_WRONG };

/* What the child says before it may die; in shared memory. */
struct report {
	enum reading reading;
	bool verified, sound;
	bool wrong_answer; /* a false "stored already", or a number given out twice */
	char text[200];
};

struct counts {
	uint64_t cases, unharmed, detected, died, wrong;
	char first[300];
};

/* ---- the log ---- */

static void
slurp(const char *dir, const char *name, struct file *f)
{
	char path[400];
	struct stat st;
	snprintf(path, sizeof path, "%s/%s", dir, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	snprintf(f->name, sizeof f->name, "%s", name);
	f->len = (size_t)st.st_size;
	f->data = base_alloc(f->len + 1);
	assert_true(read(fd, f->data, f->len) == (ssize_t)f->len);
	close(fd);
}

static void
make_log(struct original *o)
{
	char *dir = helper_dir();
	struct check_event c = { .body = NULL };
	struct store *s = helper_open_with((struct store_options){ .dir = dir, .segment_bytes_max = 200000 });
	struct arena *a = arena_new(4096);
	struct store_reader *r;
	const struct store_segment_stat *segments;
	size_t count;
	struct err e;
	for (uint64_t i = 1; i <= EVENTS; i++) {
		check_event_make(&c, i);
		assert_int_equal(store_append(s, &c.event).rc, RC_OK);
	}
	assert_int_equal(store_reader_from(s, &r, &e), RC_OK);
	assert_int_equal(store_segments(r, a, &segments, &count, &e), RC_OK);
	assert_true(count > 1 && count + 3 < FILES_MAX);
	store_reader_close(r);
	store_close(s);
	/* First the segments, then the index, then what is not harmed. */
	for (size_t i = 0; i < count; i++)
		slurp(dir, segments[i].name, &o->files[o->count++]);
	o->segments = count;
	slurp(dir, "index.mdb", &o->files[o->count++]);
	DIR *d = opendir(dir);
	assert_non_null(d);
	for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
		size_t len = strlen(entry->d_name);
		if (entry->d_name[0] == '.' || strstr(entry->d_name, ".mdb") != NULL ||
			strcmp(entry->d_name, "lock") == 0 || entry->d_type != DT_REG)
			continue;
		assert_true(o->count < FILES_MAX && len < sizeof o->files->name);
		slurp(dir, entry->d_name, &o->files[o->count++]);
	}
	closedir(d);
	arena_free(a);
	check_event_free(&c);
	helper_remove(dir);
}

static bool
is_index(const struct original *o, size_t file)
{
	return file == o->segments;
}

static void
write_log(const char *dir, const struct original *o)
{
	char path[400];
	DIR *d = opendir(dir);
	ASSERT(d != NULL);
	for (struct dirent *entry; (entry = readdir(d)) != NULL;)
		unlinkat(dirfd(d), entry->d_name, 0); /* what the case before has left; . and .. stay */
	closedir(d);
	for (size_t i = 0; i < o->count; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, o->files[i].name);
		int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		ASSERT(fd >= 0 && write(fd, o->files[i].data, o->files[i].len) == (ssize_t)o->files[i].len);
		close(fd);
	}
}

/* ---- the damage ---- */

/* Harms a copy of one file; everything follows from the number of the case. */
static size_t
harm(struct original *o, enum damage kind, uint64_t number, char text[200])
{
	uint64_t random = number * DAMAGES + kind;
	(void)random_next(&random);
	/* Every fifth time the index, else a segment. */
	size_t file = random_next(&random) % 5 == 0 ? o->segments : random_next(&random) % o->segments;
	struct file *f = &o->files[file];
	size_t pages = f->len / PAGE;
	size_t at = random_next(&random) % f->len, page = random_next(&random) % pages;
	size_t other = random_next(&random) % pages;
	unsigned char swap[PAGE];
	switch (kind) {
	case FLIP:
		f->data[at] ^= (unsigned char)(1u << random_next(&random) % 8);
		break;
	case CUT:
		f->len = at;
		break;
	case ZERO:
		memset(f->data + page * PAGE, 0, PAGE);
		break;
	case SWAP:
		other = other == page ? (page + 1) % pages : other;
		memcpy(swap, f->data + page * PAGE, PAGE);
		memcpy(f->data + page * PAGE, f->data + other * PAGE, PAGE);
		memcpy(f->data + other * PAGE, swap, PAGE);
		break;
	case DAMAGES:
	case NO_DAMAGE:
		return file;
	}
	snprintf(text, 200, "%s, number %" PRIu64 ": %s, byte %zu, page %zu, other %zu", damage_names[kind],
		number, f->name, at, page, other);
	return file;
}

/* ---- looking ---- */

static enum reading
read_everything(const char *dir)
{
	struct store_reader *r;
	struct arena *a = arena_new(1 << 16);
	struct check_event c = { .body = NULL };
	struct err e;
	enum reading result = READ_RIGHT;
	if (store_reader_open(&r, dir, &e) != RC_OK)
		return READ_ERROR;
	for (uint64_t seq = 1; seq <= EVENTS && result != READ_WRONG;) {
		const struct store_record *records;
		size_t count;
		arena_reset(a);
		enum rc rc = store_read(r, seq, 7, 100000, a, &records, &count, &e);
		if (rc != RC_OK || count == 0) {
			result = rc != RC_OK ? READ_ERROR : READ_SHORT;
			seq++; /* what stands behind the damage must be right, too */
			continue;
		}
		for (size_t i = 0; i < count; i++, seq++) {
			const struct event *ev = &records[i].event;
			check_event_make(&c, seq);
			if (ev->seq != seq || !bytes_equal(ev->body, c.event.body) ||
				!bytes_equal(ev->delivery, c.event.delivery) ||
				!bytes_equal(ev->hook, c.event.hook) || !bytes_equal(ev->path, c.event.path))
				result = READ_WRONG;
		}
	}
	check_event_free(&c);
	store_reader_close(r);
	arena_free(a);
	return result;
}

/* A start for writing refuses the log, or gives every event its old number and new events new ones. */
static bool
answers_wrongly(const char *dir)
{
	struct store *s;
	struct err e;
	struct store_options options = { .dir = dir };
	struct check_event c = { .body = NULL };
	uint64_t next = EVENTS + 1;
	bool wrong = false;
	if (store_open(&s, &options, &e) != RC_OK)
		return false;
	for (uint64_t i = 1; i <= EVENTS + 1 && !wrong; i++) {
		check_event_make(&c, i);
		struct store_result result = store_append(s, &c.event);
		if (result.rc != RC_OK)
			continue;
		wrong = result.duplicate ? result.seq != i : result.seq != next++;
	}
	check_event_free(&c);
	store_close(s);
	return wrong;
}

static void
look(const char *dir, bool write, struct report *r)
{
	static const int deadly[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS, SIGABRT };
	struct store_verify_report verified;
	struct err e;
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	dup2(null, 2);
	for (size_t i = 0; i < COUNT_OF(deadly); i++)
		signal(deadly[i], SIG_DFL);
	alarm(ALARM_S);
	r->reading = read_everything(dir);
	r->sound = store_verify(dir, 1, 0, NULL, NULL, &verified, &e) == RC_OK && verified.last_seq == EVENTS;
	r->verified = true;
	r->wrong_answer = write && answers_wrongly(dir);
	_exit(0);
}

static void
one_case(const char *dir, const struct original *log, enum damage kind, uint64_t number, struct report *r,
	struct counts *n)
{
	struct original copy = *log;
	char text[200];
	int status;
	for (size_t i = 0; i < copy.count; i++) {
		copy.files[i].data = base_alloc(log->files[i].len + 1);
		memcpy(copy.files[i].data, log->files[i].data, log->files[i].len);
	}
	size_t file = harm(&copy, kind, number, text);
	write_log(dir, &copy);
	memset(r, 0, sizeof *r);
	pid_t pid = fork();
	ASSERT(pid >= 0);
	if (pid == 0)
		look(dir, number % WRITTEN_EVERY == 0, r);
	while (waitpid(pid, &status, 0) < 0)
		ASSERT(errno == EINTR);
	n->cases++;
	n->died += WIFSIGNALED(status);
	/* Shorter without a word is only right when verify, which knows `head`, speaks up. */
	bool wrong = r->reading == READ_WRONG || r->wrong_answer ||
		(r->verified && r->sound && r->reading != READ_RIGHT) ||
		(is_index(log, file) && r->reading != READ_RIGHT && r->reading != READ_UNKNOWN);
	if (wrong && n->wrong++ == 0)
		snprintf(n->first, sizeof n->first, "%s: read %d, verify %d, wrong answer %d", text,
			r->reading, r->sound, r->wrong_answer);
	if (!wrong && r->verified && r->sound && r->reading == READ_RIGHT)
		n->unharmed++;
	else
		n->detected++;
	for (size_t i = 0; i < copy.count; i++)
		free(copy.files[i].data);
}

static void
every_damage_is_noticed(void **state)
{
	(void)state;
	struct original log = { .count = 0 };
	uint64_t cases = getenv("TEST_SOAK") != NULL ? CASES_SOAK : CASES, wrong = 0;
	struct counts *counts = mmap(NULL, sizeof *counts * WORKERS * DAMAGES, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct report *reports = mmap(NULL, sizeof *reports * WORKERS, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(counts != MAP_FAILED && reports != MAP_FAILED);
	make_log(&log);
	/* Without damage nobody may notice any. */
	struct counts none = { 0 };
	char *whole = helper_dir();
	one_case(whole, &log, NO_DAMAGE, 0, &reports[0], &none);
	helper_remove(whole);
	assert_true(none.unharmed == 1);
	for (size_t w = 0; w < WORKERS; w++) {
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid != 0)
			continue;
		char *dir = helper_dir();
		for (uint64_t i = w; i < cases; i += WORKERS) {
			for (enum damage kind = 0; kind < DAMAGES; kind++)
				one_case(dir, &log, kind, i, &reports[w], &counts[w * DAMAGES + kind]);
		}
		helper_remove(dir);
		_exit(0);
	}
	for (size_t w = 0; w < WORKERS; w++) {
		int status;
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	for (enum damage kind = 0; kind < DAMAGES; kind++) {
		struct counts sum = { 0 };
		for (size_t w = 0; w < WORKERS; w++) {
			const struct counts *c = &counts[w * DAMAGES + kind];
			sum.cases += c->cases;
			sum.unharmed += c->unharmed;
			sum.detected += c->detected;
			sum.died += c->died;
			sum.wrong += c->wrong;
			if (c->wrong > 0)
				print_message("%s\n", c->first);
		}
		printf("# note: %s: %" PRIu64 " cases, %" PRIu64 " noticed (%" PRIu64
		       " by the death of a process), %" PRIu64 " harmed nothing, %" PRIu64 " wrong\n",
			damage_names[kind], sum.cases, sum.detected - sum.wrong, sum.died, sum.unharmed, sum.wrong);
		assert_true(sum.cases == cases && sum.detected > cases / 10);
		wrong += sum.wrong;
	}
	for (size_t i = 0; i < log.count; i++)
		free(log.files[i].data);
	assert_true(wrong == 0);
}

int
main(void)
{
	/* In memory where that is possible. */
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1);
	/* Once here rather than once per child: OpenSSL's beginning, and zeros for LMDB fresh from the kernel. */
	unsigned char hash[SHA256_BYTES];
	crypto_sha256(bytes_str(""), hash);
	mallopt(M_MMAP_THRESHOLD, 1 << 18);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_damage_is_noticed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
