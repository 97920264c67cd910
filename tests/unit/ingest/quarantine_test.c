/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "event/sign.h"
#include "ingest/admit.h"
#include "ingest/compose.h"
#include "tests/unit/ingest/fake_store.h"
#include "tests/unit/ingest/folder.h"

#define SECRET "0123456789abcdef"
#define BODY "{\"action\":\"opened\"}"

static const char *
in_folder(struct folder *f, const char *name)
{
	return arena_printf(f->arena, "%s/%s", f->path, name);
}

/* ---- the ring ---- */

/* A record whose bytes all tell its id, of a length that its id decides. */
static struct bytes
data_of(struct arena *a, uint64_t id, size_t max)
{
	size_t len = (size_t)(id * 2654435761u % max);
	unsigned char *data = arena_alloc(a, len + 1);
	memset(data, (int)(id & 0xff), len);
	return (struct bytes){ data, len };
}

static enum rc
add(struct ring *r, uint64_t id, size_t max)
{
	struct arena *a = arena_new(4096);
	struct err e;
	uint64_t got = 0;
	enum rc rc = ring_add(r, (int64_t)id * 10, data_of(a, id, max), &got, &e);
	if (rc == RC_OK)
		assert_int_equal(got, id);
	arena_free(a);
	return rc;
}

/* The newest are there, without a gap, in order, with their bytes. Returns the last id. */
static uint64_t
check_all(struct ring *r, size_t max)
{
	struct arena *a = arena_new(4096);
	const struct ring_entry *entries = NULL;
	struct err e;
	size_t count = 0;
	if (ring_list(r, a, &entries, &count, &e) != RC_OK)
		fail_msg("%s", e.text);
	for (size_t i = 0; i < count; i++) {
		struct ring_entry entry;
		struct bytes data;
		assert_int_equal(entries[i].id, entries[0].id + i);
		assert_int_equal(ring_read(r, entries[i].id, a, &entry, &data, &e), RC_OK);
		assert_int_equal(entry.at_us, entry.id * 10);
		assert_true(bytes_equal(data, data_of(a, entry.id, max)));
	}
	uint64_t last = count == 0 ? 0 : entries[count - 1].id;
	arena_free(a);
	return last;
}

static void
newest_records_stay(void **state)
{
	struct folder *f = *state;
	struct ring *r = NULL;
	struct err e;
	struct stat st;
	uint64_t id = 0;
	assert_int_equal(ring_open(&r, in_folder(f, "r"), RING_SIZE_MIN, &e), RC_OK);
	size_t max = ring_data_max(r);
	for (uint64_t i = 1; i <= 2000; i++) {
		assert_int_equal(add(r, i, max), RC_OK);
		if (i % 20 < 3)
			assert_int_equal(check_all(r, max), i);
	}
	unsigned char *large = base_zalloc(max + 1);
	struct bytes over = { large, max + 1 }, exact = { large, max };
	assert_int_equal(ring_add(r, 1, over, &id, &e), RC_INVALID);
	assert_int_equal(ring_add(r, 1, exact, &id, &e), RC_OK);
	free(large);
	assert_int_equal(stat(in_folder(f, "r"), &st), 0);
	assert_int_equal(st.st_size, RING_SIZE_MIN);
	assert_int_equal(st.st_mode & 0777, 0600);
	ring_close(r);
}

static void
marks_and_sizes_survive(void **state)
{
	struct folder *f = *state;
	struct ring *r = NULL;
	struct ring_entry entry;
	struct bytes data;
	struct err e;
	const char *path = in_folder(f, "r");
	assert_int_equal(ring_open(&r, path, 0, &e), RC_NOTFOUND);
	assert_int_equal(ring_open(&r, path, RING_SIZE_MIN, &e), RC_OK);
	for (uint64_t i = 1; i <= 300; i++)
		assert_int_equal(add(r, i, 900), RC_OK);
	assert_int_equal(ring_mark(r, 290, RING_ADMITTED, 77, &e), RC_OK);
	assert_int_equal(ring_mark(r, 1, RING_DROPPED, 0, &e), RC_NOTFOUND);
	ring_close(r);
	/* Larger, smaller, and as it is. */
	static const uint64_t sizes[] = { 4 * RING_SIZE_MIN, RING_SIZE_MIN, 0 };
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		assert_int_equal(ring_open(&r, path, sizes[i], &e), RC_OK);
		assert_int_equal(check_all(r, 900), 300);
		assert_int_equal(ring_read(r, 290, f->arena, &entry, &data, &e), RC_OK);
		assert_int_equal(entry.state, RING_ADMITTED);
		assert_int_equal(entry.seq, 77);
		ring_close(r);
	}
	assert_int_equal(ring_open(&r, path, 0, &e), RC_OK);
	assert_int_equal(add(r, 301, 900), RC_OK);
	ring_close(r);
}

static void
damage_is_found_and_does_no_harm(void **state)
{
	struct folder *f = *state;
	struct ring *r = NULL;
	struct bytes good;
	struct err e;
	const char *path = in_folder(f, "r");
	assert_int_equal(ring_open(&r, path, RING_SIZE_MIN, &e), RC_OK);
	for (uint64_t i = 1; i <= 40; i++)
		assert_int_equal(add(r, i, 900), RC_OK);
	ring_close(r);
	assert_int_equal(fs_read(path, RING_SIZE_MIN, f->arena, &good, &e), RC_OK);
	unsigned char *bad = base_alloc(good.len);
	unsigned seed = 1, found = 0;
	for (int round = 0; round < 400; round++) {
		memcpy(bad, good.data, good.len);
		for (int k = 0; k < 4; k++) {
			seed = seed * 1103515245u + 12345u;
			size_t at = round < 100 ? (seed >> 8) % 64 : 4096 + (seed >> 8) % 16000;
			bad[at] ^= (unsigned char)(1u << (seed >> 28 & 7u));
		}
		assert_int_equal(fs_write(path, (struct bytes){ bad, good.len }, 0600, &e), RC_OK);
		enum rc rc = ring_open(&r, path, 0, &e);
		struct arena *a = arena_new(4096);
		for (uint64_t i = 1; rc == RC_OK && i <= 40; i++) {
			struct ring_entry entry;
			struct bytes data;
			enum rc each = ring_read(r, i, a, &entry, &data, &e);
			if (each == RC_OK)
				assert_true(bytes_equal(data, data_of(a, i, 900)));
			else
				found++;
		}
		found += rc == RC_CORRUPT;
		arena_free(a);
		if (rc == RC_OK)
			ring_close(r);
	}
	assert_true(found > 100);
	free(bad);
	assert_int_equal(fs_write(path, bytes_str("nonsense"), 0600, &e), RC_OK);
	assert_int_equal(ring_open(&r, path, RING_SIZE_MIN, &e), RC_CORRUPT);
	assert_int_equal(ring_remake(&r, path, RING_SIZE_MIN, &e), RC_OK);
	ring_close(r);
}

/* Adds records until it is killed. */
static _Noreturn void
write_on(const char *path)
{
	struct ring *w = NULL;
	struct err e;
	if (ring_open(&w, path, RING_SIZE_MIN, &e) != RC_OK)
		_exit(1);
	for (uint64_t id = check_all(w, ring_data_max(w)) + 1;; id++) {
		if (add(w, id, ring_data_max(w)) != RC_OK)
			_exit(2);
	}
}

static void
killed_writer_leaves_a_ring(void **state)
{
	struct folder *f = *state;
	const char *path = in_folder(f, "r");
	uint64_t last = 0;
	for (unsigned round = 0; round < 30; round++) {
		struct ring *r = NULL;
		struct err e;
		int status = 0;
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			write_on(path);
		usleep(3000 + round * 700);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		assert_true(WIFSIGNALED(status));
		if (!fs_exists(path))
			continue;
		if (ring_open(&r, path, 0, &e) != RC_OK)
			fail_msg("%s", e.text);
		uint64_t now = check_all(r, ring_data_max(r));
		assert_true(now >= last);
		last = now;
		ring_close(r);
	}
	assert_true(last > 0);
}

/* ---- keeping and admitting ---- */

struct request {
	struct event_header headers[8];
	struct guard_request head;
	struct guard_facts facts;
	struct delivery delivery;
	struct refusal no;
};

static struct sources *
load_github(struct folder *f, const char *secret)
{
	struct sources *sources = NULL;
	struct err e;
	assert_int_equal(fs_mkdir(in_folder(f, "sources"), &e), RC_OK);
	assert_int_equal(fs_write(in_folder(f, "sources/s"), bytes_str(secret), 0600, &e), RC_OK);
	assert_int_equal(fs_write(in_folder(f, "sources/gh.conf"),
				 bytes_str("provider = github\nsecret_file = s\n"), 0600, &e),
		RC_OK);
	if (sources_load(&sources, in_folder(f, "sources"), &e) != RC_OK)
		fail_msg("%s", e.text);
	return sources;
}

static void
prepare(struct folder *f, struct request *r, const struct source *source)
{
	struct buf signature = buf_new(128);
	sign_github(bytes_str(SECRET), bytes_str(BODY), &signature);
	*r = (struct request){
		.headers = { { bytes_str("Host"), bytes_str("x") },
			{ bytes_str("X-GitHub-Event"), bytes_str("issues") },
			{ bytes_str("X-GitHub-Delivery"), bytes_str("d-1") },
			{ bytes_str("X-GitHub-Hook-ID"), bytes_str("7") },
			{ bytes_str("X-Hub-Signature-256"),
				arena_copy(f->arena, buf_bytes(&signature)) },
			{ bytes_str("Authorization"), bytes_str("Bearer very-secret") },
			{ bytes_str(COMPOSE_RECEIVED_HEADER), bytes_str("made up") } }
	};
	buf_free(&signature);
	r->head = (struct guard_request){ bytes_str("POST"), bytes_str("/in/gh?a=b"),
		bytes_str("HTTP/1.1"), r->headers, 7 };
	assert_true(guard_head(&r->head, &r->facts, &r->no));
	assert_true(delivery_begin(&r->delivery, source, &r->head, &r->facts, f->arena, &r->no));
	r->no = (struct refusal){ 401, "ingest.signature", "it does not match", NULL };
}

static const unsigned char salt[REDACT_SALT_BYTES] = { 1, 2, 3 };

static enum rc
keep(struct quarantine *q, const struct request *r, uint64_t *id, struct err *e)
{
	const struct quarantine_refused refused = { .delivery = &r->delivery,
		.head = &r->head,
		.facts = &r->facts,
		.refusal = &r->no,
		.salt = salt,
		.remote = bytes_str("192.0.2.1:5"),
		.body = bytes_str(BODY) };
	return quarantine_keep(q, &refused, id, e);
}

static void
last_event(struct folder *f, struct store *store, struct event *ev)
{
	struct buf envelope, body;
	struct err e;
	fake_store_last(store, &envelope, &body);
	struct bytes copy = arena_copy(f->arena, buf_bytes(&envelope));
	assert_int_equal(event_decode(copy, f->arena, ev, &e), RC_OK);
	assert_true(bytes_is(buf_bytes(&body), BODY));
	buf_free(&envelope);
	buf_free(&body);
}

static void
kept_requests_are_admitted_with_the_right_secret(void **state)
{
	struct folder *f = *state;
	struct sources *wrong = load_github(f, "another secret, also long");
	struct request r;
	struct quarantined got;
	struct ring *ring = NULL;
	struct admitted out;
	struct event ev = { 0 };
	struct err e = { 0 };
	uint64_t id = 0;
	const struct quarantine_options options = { in_folder(f, "q"), RING_SIZE_MIN, 100 };
	struct quarantine *q = quarantine_new(&options);
	prepare(f, &r, sources_at(wrong, 0));
	assert_false(fs_exists(options.dir));
	assert_int_equal(keep(q, &r, &id, &e), RC_OK);
	assert_int_equal(id, 1);
	assert_int_equal(ring_open(&ring, in_folder(f, "q/ring"), 0, &e), RC_OK);
	assert_int_equal(quarantine_read(ring, 1, f->arena, &got, &e), RC_OK);
	assert_int_equal(got.status, 401);
	assert_string_equal(got.reason_id, "ingest.signature");
	assert_true(bytes_is(got.event.body, BODY));
	assert_true(bytes_is(got.event.query, "a=b"));
	/* The proof is kept, the secret is not. */
	assert_true(bytes_equal(
		event_header_value(&got.event, "X-Hub-Signature-256"), r.headers[4].value));
	assert_memory_equal(event_header_value(&got.event, "Authorization").data, "redacted:", 9);

	struct store *store = fake_store_new();
	struct admit how = { ring, wrong, store, salt, false };
	assert_int_equal(admit_one(&how, 1, &out, &e), RC_DENIED);
	assert_int_equal(fake_store_count(store), 0);
	struct sources *right = load_github(f, SECRET);
	how.sources = right;
	assert_int_equal(admit_one(&how, 1, &out, &e), RC_OK);
	assert_int_equal(out.seq, 1);
	assert_int_equal(admit_one(&how, 1, &out, &e), RC_INVALID);
	assert_int_equal(admit_one(&how, 2, &out, &e), RC_NOTFOUND);
	assert_int_equal(fake_store_count(store), 1);
	last_event(f, store, &ev);
	assert_int_equal(ev.verified, EVENT_VERIFIED_OK);
	assert_true(bytes_is(ev.delivery, "d-1"));
	assert_true(bytes_is(ev.remote, "192.0.2.1:5"));
	assert_memory_equal(event_header_value(&ev, "X-Hub-Signature-256").data, "redacted:", 9);
	assert_memory_equal(event_header_value(&ev, COMPOSE_RECEIVED_HEADER).data, "20", 2);

	/* An operator's word instead of a signature stays recognisable. */
	assert_int_equal(keep(q, &r, &id, &e), RC_OK);
	how.sources = wrong;
	how.unverified = true;
	assert_int_equal(admit_one(&how, 2, &out, &e), RC_OK);
	last_event(f, store, &ev);
	assert_int_equal(ev.verified, EVENT_VERIFIED_FAILED);
	assert_true(bytes_is(ev.event, "issues"));
	fake_store_free(store);
	ring_close(ring);
	quarantine_free(q);
	sources_release(right);
	sources_release(wrong);
}

static void
only_so_many_are_kept(void **state)
{
	struct folder *f = *state;
	struct sources *sources = load_github(f, SECRET);
	struct request r;
	struct err e = { 0 };
	uint64_t id = 0, kept = 0;
	struct quarantine_options options = { in_folder(f, "q"), RING_SIZE_MIN, 3 };
	struct quarantine *q = quarantine_new(&options);
	prepare(f, &r, sources_at(sources, 0));
	assert_false(quarantine_wants(q, RING_SIZE_MIN / 8 + 1));
	assert_true(quarantine_wants(q, 10));
	for (int i = 0; i < 100; i++)
		kept += keep(q, &r, &id, &e) == RC_OK;
	assert_true(kept >= 3 && kept < 100);
	quarantine_free(q);
	options = (struct quarantine_options){ in_folder(f, "none"), 0, 3 };
	q = quarantine_new(&options);
	assert_false(quarantine_wants(q, 1));
	quarantine_free(q);
	sources_release(sources);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(newest_records_stay, folder_make, folder_drop),
		cmocka_unit_test_setup_teardown(marks_and_sizes_survive, folder_make, folder_drop),
		cmocka_unit_test_setup_teardown(damage_is_found_and_does_no_harm, folder_make, folder_drop),
		cmocka_unit_test_setup_teardown(killed_writer_leaves_a_ring, folder_make, folder_drop),
		cmocka_unit_test_setup_teardown(
			kept_requests_are_admitted_with_the_right_secret, folder_make, folder_drop),
		cmocka_unit_test_setup_teardown(only_so_many_are_kept, folder_make, folder_drop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
