/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/crash/pool.h"
#include "tests/tools/folder.h"

#define SLOTS_MAX 8
/* In the long form so many images are a line. */
#define TOLD_EVERY 10000
/* A log that makes a start hang is a violation. Far more than any check takes, also on a machine that has other work
 * or where the test was stopped for a while: the alarm's time goes on meanwhile. */
#define ALARM_S 900

struct entry {
	uint64_t hash[2];
	struct model_point point; /* the strictest promise of all moments that can leave this image */
	uint64_t submitted_most;
	struct check_outcome *outcome;
};

struct slot {
	char path[256];
	pid_t pid;
	size_t entry;
};

struct pool {
	const struct check_expect *expect;
	struct bytes stale_lock;
	struct entry *entries; /* open addressing; the table of hashes is beside it */
	size_t count, room, bad;
	uint32_t *table;
	size_t table_size;
	uint64_t allowed;
	struct slot slots[SLOTS_MAX];
	size_t slot_count;
	struct check_outcome *shared; /* one per slot, written by the children */
};

struct pool *
pool_new(const char *scratch, const struct check_expect *expect, struct bytes stale_lock)
{
	struct pool *p = base_zalloc(sizeof *p);
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned char hash[SHA256_BYTES];
	/* OpenSSL sets itself up once here rather than once per child. */
	crypto_sha256(bytes_str(""), hash);
	p->expect = expect;
	p->stale_lock = stale_lock;
	p->table_size = 1 << 16;
	p->table = base_zalloc(p->table_size * sizeof *p->table);
	p->slot_count = cpus < 1 ? 1 : cpus > SLOTS_MAX ? SLOTS_MAX : (size_t)cpus;
	p->shared = mmap(NULL, SLOTS_MAX * sizeof *p->shared, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT(p->shared != MAP_FAILED);
	for (size_t i = 0; i < p->slot_count; i++) {
		snprintf(p->slots[i].path, sizeof p->slots[i].path, "%s/slot%zu", scratch, i);
		ASSERT(mkdir(p->slots[i].path, 0700) == 0);
	}
	return p;
}

void
pool_allow(struct pool *p, uint64_t images)
{
	p->allowed += images;
}

uint64_t
pool_images(const struct pool *p)
{
	return p->count;
}

/* The place in the table where the hash stands or belongs. */
static size_t
place_of(const struct pool *p, const uint64_t hash[2])
{
	size_t at = hash[0] & (p->table_size - 1);
	while (p->table[at] != 0 && memcmp(p->entries[p->table[at] - 1].hash, hash, 16) != 0)
		at = (at + 1) & (p->table_size - 1);
	return at;
}

static void
grow(struct pool *p)
{
	if (p->count < p->room)
		return;
	p->room = p->room * 2 + 1024;
	p->entries = base_realloc(p->entries, p->room * sizeof *p->entries);
	while (p->table_size < p->room * 2)
		p->table_size *= 2;
	free(p->table);
	p->table = base_zalloc(p->table_size * sizeof *p->table);
	for (size_t i = 0; i < p->count; i++)
		p->table[place_of(p, p->entries[i].hash)] = (uint32_t)i + 1;
}

static void
reap(struct pool *p)
{
	int status;
	pid_t pid;
	while ((pid = wait(&status)) < 0)
		ASSERT(errno == EINTR);
	for (size_t i = 0; i < p->slot_count; i++) {
		struct slot *slot = &p->slots[i];
		if (slot->pid != pid)
			continue;
		struct check_outcome *out = base_alloc(sizeof *out);
		*out = p->shared[i];
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
			out->bad = true;
			snprintf(out->text, sizeof out->text, "the check died: status %#x",
				(unsigned)status);
		}
		p->entries[slot->entry].outcome = out;
		p->bad += out->bad;
		slot->pid = 0;
		return;
	}
}

static void
write_file(const char *folder, const char *name, struct bytes content)
{
	char path[600];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ASSERT(fd >= 0);
	ASSERT(content.len == 0 || write(fd, content.data, content.len) == (ssize_t)content.len);
	close(fd);
}

/* A file of the log itself, not of what is made of it. */
static bool
is_in_log(const char *name)
{
	size_t len = strlen(CHECK_LOG "/");
	return strncmp(name, CHECK_LOG "/", len) == 0 && strlen(name) > len + 4 &&
		strchr(name + len, '/') == NULL;
}

static void
write_image(const struct pool *p, const char *folder, const struct model_image *image)
{
	char path[600];
	folder_empty(folder);
	/* The order of names is that of making them, so a folder comes before what is in it; after renames
	 * it may not, hence folders first. */
	for (size_t i = 0; i < image->count; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, image->files[i].name);
		if (image->files[i].folder)
			ASSERT(mkdir(path, 0700) == 0);
	}
	for (size_t i = 0; i < image->count; i++) {
		const struct model_file *f = &image->files[i];
		size_t len = strlen(f->name);
		if (f->folder)
			continue;
		write_file(folder, f->name, f->content);
		if ((image->hash[1] & 1) != 0 && is_in_log(f->name) && strcmp(f->name + len - 4, ".mdb") == 0) {
			snprintf(path, sizeof path, "%s-lock", f->name);
			write_file(folder, path, p->stale_lock);
		}
	}
}

static void
check_in_child(const struct pool *p, const char *folder, uint64_t sample, struct check_outcome *out)
{
	static const int deadly[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS };
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (getenv("TEST_VERBOSE") == NULL)
		dup2(null, 2); /* the log's own lines, thousands of them */
	/* cmocka's handlers would go on with the tests in here. */
	for (size_t i = 0; i < COUNT_OF(deadly); i++)
		signal(deadly[i], SIG_DFL);
	alarm(ALARM_S);
	struct check_expect expect = *p->expect;
	expect.sample = sample;
	check_log(folder, &expect, out);
	_exit(0);
}

static void
start(struct pool *p, size_t entry, const struct model_image *image)
{
	size_t i = 0;
	for (;;) {
		for (i = 0; i < p->slot_count && p->slots[i].pid != 0; i++)
			continue;
		if (i < p->slot_count)
			break;
		reap(p);
	}
	struct slot *slot = &p->slots[i];
	write_image(p, slot->path, image);
	slot->entry = entry;
	p->shared[i] = (struct check_outcome){ .bad = false };
	pid_t pid = fork();
	ASSERT(pid >= 0);
	if (pid == 0)
		check_in_child(p, slot->path, image->hash[0] >> 8, &p->shared[i]);
	slot->pid = pid;
}

void
pool_take(const struct model_image *image, void *context)
{
	struct pool *p = context;
	size_t at = place_of(p, image->hash);
	if (p->table[at] == 0) {
		if (p->count >= p->allowed)
			return;
		grow(p);
		at = place_of(p, image->hash);
		struct entry *entry = &p->entries[p->count++];
		*entry = (struct entry){ .hash = { image->hash[0], image->hash[1] }, .point = image->point,
			.submitted_most = image->point.submitted };
		p->table[at] = (uint32_t)p->count;
		if (p->count % TOLD_EVERY == 0 && getenv("TEST_SOAK") != NULL)
			fprintf(stderr, "# %zu images, %zu of them bad in themselves\n", p->count, p->bad);
		start(p, p->count - 1, image);
		return;
	}
	struct entry *entry = &p->entries[p->table[at] - 1];
	if (image->point.acked > entry->point.acked)
		entry->point.acked = image->point.acked;
	if (image->point.done > entry->point.done)
		entry->point.done = image->point.done;
	if (image->point.visible > entry->point.visible)
		entry->point.visible = image->point.visible;
	if (image->point.submitted < entry->point.submitted)
		entry->point.submitted = image->point.submitted;
	if (image->point.submitted > entry->submitted_most)
		entry->submitted_most = image->point.submitted;
}

static bool
ends_a_commit(const uint64_t *ends, size_t count, uint64_t last)
{
	for (size_t i = 0; i < count; i++) {
		if (ends[i] == last)
			return true;
	}
	return last == 0;
}

struct pool_result
pool_finish(struct pool *p, const uint64_t *ends, size_t end_count, bool early)
{
	struct pool_result result = { .images = p->count };
	for (size_t i = 0; i < p->slot_count; i++) {
		while (p->slots[i].pid != 0)
			reap(p);
	}
	for (size_t i = 0; i < p->count; i++) {
		struct entry *entry = &p->entries[i];
		struct check_outcome *out = entry->outcome;
		uint64_t acked = early ? entry->submitted_most : entry->point.acked;
		if (!out->bad && (out->last < acked || out->last < entry->point.visible ||
				  out->last > entry->point.submitted || !ends_a_commit(ends, end_count, out->last))) {
			out->bad = true;
			snprintf(out->text, sizeof out->text,
				"ends with %" PRIu64 ": %" PRIu64 " acknowledged, %" PRIu64 " seen, %" PRIu64
				" submitted%s", out->last, acked, entry->point.visible, entry->point.submitted,
				ends_a_commit(ends, end_count, out->last) ? "" : "; in the middle of a commit");
		}
		if (!out->bad && out->done < entry->point.done) {
			out->bad = true;
			snprintf(out->text, sizeof out->text,
				"%" PRIu64 " was reported as done, %" PRIu64 " is", entry->point.done, out->done);
		}
		if (out->bad && getenv("TEST_VERBOSE") != NULL)
			fprintf(stderr, "violation: %s\n", out->text);
		if (out->bad && result.violations++ == 0)
			snprintf(result.first, sizeof result.first, "image %016" PRIx64 ": %s",
				entry->hash[0], out->text);
		free(out);
	}
	for (size_t i = 0; i < p->slot_count; i++) {
		folder_remove(p->slots[i].path);
	}
	munmap(p->shared, SLOTS_MAX * sizeof *p->shared);
	free(p->entries);
	free(p->table);
	free(p);
	return result;
}
