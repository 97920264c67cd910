/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/crypto.h"
#include "simulate/histogram.h"
#include "simulate/simulate.h"

#define EVENTS 6000

static void
digest_of(uint64_t seed, unsigned count, unsigned char out[SHA256_BYTES])
{
	struct simulate_forge *f = simulate_forge_new(seed);
	memset(out, 0, SHA256_BYTES);
	for (unsigned i = 0; i < count; i++) {
		struct simulate_event ev;
		simulate_forge_next(f, &ev);
		struct bytes parts[] = { { out, SHA256_BYTES }, bytes_str(ev.event),
			bytes_str(ev.delivery), ev.body };
		unsigned char next[SHA256_BYTES];
		crypto_sha256_parts(parts, COUNT_OF(parts), next);
		memcpy(out, next, sizeof(next));
	}
	simulate_forge_free(f);
}

static void
same_seed_same_bytes(void **state UNUSED)
{
	unsigned char a[SHA256_BYTES], b[SHA256_BYTES];
	digest_of(7, 2000, a);
	digest_of(7, 2000, b);
	assert_memory_equal(a, b, sizeof(a));
	digest_of(8, 2000, b);
	assert_memory_not_equal(a, b, sizeof(a));
}

/* Everything the life-cycle test knows about one object. */
struct life {
	json_int_t id;
	bool is_open, seen_open, merged, draft, deleted;
	json_int_t number, repo_id, comments, commits;
	char title[200], head[64], pushed[64], updated_at[32];
};

struct lives {
	struct life list[4000];
	size_t count;
};

static struct life *
life_of(struct lives *l, json_int_t id)
{
	for (size_t i = l->count; i > 0; i--)
		if (l->list[i - 1].id == id)
			return &l->list[i - 1];
	return NULL;
}

static struct life *
life_new(struct lives *l, json_int_t id)
{
	assert_null(life_of(l, id));
	assert_true(l->count < COUNT_OF(l->list));
	struct life *life = &l->list[l->count++];
	*life = (struct life){ .id = id };
	return life;
}

static const char *
text(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));
	assert_non_null(s);
	return s;
}

static json_int_t
number(const json_t *object, const char *key)
{
	const json_t *n = json_object_get(object, key);
	assert_true(json_is_integer(n));
	return json_integer_value(n);
}

static bool
is_null(const json_t *object, const char *key)
{
	const json_t *v = json_object_get(object, key);
	assert_non_null(v);
	return json_is_null(v);
}

static void
check_pull(struct lives *pulls, const char *action, const json_t *root)
{
	const json_t *pull = json_object_get(root, "pull_request");
	json_int_t id = number(pull, "id");
	bool is_open = strcmp(text(pull, "state"), "open") == 0;
	bool merged = json_is_true(json_object_get(pull, "merged"));
	const char *head = text(json_object_get(pull, "head"), "sha");
	struct life *life;
	if (strcmp(action, "opened") == 0) {
		life = life_new(pulls, id);
		life->number = number(pull, "number");
		life->repo_id = number(json_object_get(root, "repository"), "id");
	} else {
		life = life_of(pulls, id);
		assert_non_null(life);
		assert_false(life->merged);
		assert_true(strcmp(text(pull, "updated_at"), life->updated_at) >= 0);
		assert_int_equal(is_open,
			life->is_open !=
				(strcmp(action, "closed") == 0 || strcmp(action, "reopened") == 0));
		if (strcmp(action, "synchronize") == 0) {
			assert_string_equal(text(root, "before"), life->head);
			assert_string_equal(text(root, "after"), head);
			assert_true(number(pull, "commits") > life->commits);
		} else {
			assert_string_equal(head, life->head);
		}
		if (strcmp(action, "edited") != 0)
			assert_string_equal(text(pull, "title"), life->title);
		if (strcmp(action, "ready_for_review") == 0)
			assert_true(life->draft);
	}
	assert_int_equal(number(pull, "number"), life->number);
	assert_int_equal(number(root, "number"), life->number);
	assert_int_equal(number(json_object_get(root, "repository"), "id"), life->repo_id);
	assert_int_equal(merged, !is_null(pull, "merged_at"));
	assert_int_equal(merged, !is_null(pull, "merged_by"));
	assert_int_equal(merged, !is_null(pull, "merge_commit_sha"));
	assert_int_equal(is_open, is_null(pull, "closed_at"));
	if (merged)
		assert_string_equal(action, "closed");
	life->is_open = is_open;
	life->merged = merged;
	life->draft = json_is_true(json_object_get(pull, "draft"));
	life->commits = number(pull, "commits");
	snprintf(life->head, sizeof(life->head), "%s", head);
	snprintf(life->title, sizeof(life->title), "%s", text(pull, "title"));
	snprintf(life->updated_at, sizeof(life->updated_at), "%s", text(pull, "updated_at"));
}

static void
check_issue(struct lives *issues, const char *action, const json_t *root)
{
	const json_t *issue = json_object_get(root, "issue");
	json_int_t id = number(issue, "id");
	bool is_open = strcmp(text(issue, "state"), "open") == 0;
	struct life *life;
	if (strcmp(action, "opened") == 0) {
		life = life_new(issues, id);
		life->number = number(issue, "number");
	} else {
		life = life_of(issues, id);
		assert_non_null(life);
		assert_false(life->deleted);
		assert_int_equal(is_open,
			life->is_open !=
				(strcmp(action, "closed") == 0 || strcmp(action, "reopened") == 0));
	}
	assert_int_equal(number(issue, "number"), life->number);
	assert_int_equal(is_open, is_null(issue, "closed_at"));
	life->is_open = is_open;
	life->deleted = strcmp(action, "deleted") == 0;
}

static void
check_run(struct lives *runs, const char *action, const json_t *root)
{
	const json_t *run = json_object_get(root, "workflow_run");
	json_int_t id = number(run, "id");
	struct life *life = life_of(runs, id);
	/* is_open: requested, not completed; number: the attempt. */
	if (strcmp(action, "requested") == 0) {
		if (life == NULL)
			life = life_new(runs, id);
		assert_false(life->is_open);
		life->number++;
		life->is_open = true;
	}
	assert_non_null(life);
	assert_true(life->is_open);
	assert_int_equal(number(run, "run_attempt"), life->number);
	assert_int_equal(strcmp(action, "completed") == 0, !is_null(run, "conclusion"));
	if (strcmp(action, "completed") == 0)
		life->is_open = false;
}

static void
lives_are_consistent(void **state UNUSED)
{
	struct lives *pulls = base_zalloc(sizeof(*pulls)), *issues = base_zalloc(sizeof(*issues)),
		     *runs = base_zalloc(sizeof(*runs));
	struct simulate_forge *f = simulate_forge_new(42);
	unsigned merged = 0, closed = 0, reviews = 0, comments = 0, pushes = 0;
	size_t bytes = 0, pull_bytes = 0, pull_events = 0;
	int64_t last_us = 0;
	for (unsigned i = 0; i < EVENTS; i++) {
		struct simulate_event ev;
		json_error_t error;
		simulate_forge_next(f, &ev);
		assert_int_equal(ev.number, i + 1);
		assert_true(ev.at_us >= last_us);
		last_us = ev.at_us;
		bytes += ev.body.len;
		json_t *root = json_loadb(
			(const char *)ev.body.data, ev.body.len, JSON_REJECT_DUPLICATES, &error);
		if (root == NULL)
			fail_msg("event %u (%s): %s at %d", i + 1, ev.event, error.text,
				error.position);
		const char *action = json_string_value(json_object_get(root, "action"));
		assert_string_equal(action == NULL ? "" : action, ev.action);
		assert_true(number(json_object_get(root, "sender"), "id") > 0);
		if (i == 0) {
			assert_string_equal(ev.event, "ping");
			assert_int_equal(number(root, "hook_id"), ev.hook_id);
		} else {
			assert_true(number(json_object_get(root, "repository"), "id") > 0);
		}
		if (strcmp(ev.event, "pull_request") == 0) {
			check_pull(pulls, action, root);
			const json_t *pull = json_object_get(root, "pull_request");
			merged += json_is_true(json_object_get(pull, "merged"));
			closed += strcmp(action, "closed") == 0;
			pull_bytes += ev.body.len;
			pull_events++;
		} else if (strcmp(ev.event, "pull_request_review") == 0) {
			const json_t *pull = json_object_get(root, "pull_request");
			const struct life *life = life_of(pulls, number(pull, "id"));
			assert_non_null(life);
			assert_true(life->is_open);
			assert_true(is_null(json_object_get(root, "review"), "body") ==
				    (strcmp(text(json_object_get(root, "review"), "state"),
					     "approved") == 0));
			/* The short form must not pretend to know. */
			assert_null(json_object_get(pull, "merged"));
			reviews++;
		} else if (strcmp(ev.event, "issues") == 0) {
			check_issue(issues, action, root);
		} else if (strcmp(ev.event, "issue_comment") == 0) {
			const json_t *issue = json_object_get(root, "issue");
			bool on_pull = json_object_get(issue, "pull_request") != NULL;
			assert_non_null(on_pull ? life_of(pulls, number(issue, "id") - 1)
						: life_of(issues, number(issue, "id")));
			comments++;
		} else if (strcmp(ev.event, "push") == 0) {
			const json_t *commits = json_object_get(root, "commits");
			size_t n = json_array_size(commits);
			assert_true(n > 0);
			assert_string_equal(
				text(json_array_get(commits, n - 1), "id"), text(root, "after"));
			assert_true(json_equal(json_array_get(commits, n - 1),
				json_object_get(root, "head_commit")));
			assert_true(json_is_integer(
				json_object_get(json_object_get(root, "repository"), "pushed_at")));
			pushes++;
		} else if (strcmp(ev.event, "workflow_run") == 0) {
			check_run(runs, action, root);
		}
		json_decref(root);
	}
	assert_true(
		merged > 20 && closed > merged && reviews > 100 && comments > 100 && pushes > 100);
	assert_true(runs->count > 50 && issues->count > 50);
	print_message("mean body %zu bytes, of pull_request %zu; %zu pulls, %u merged\n",
		bytes / EVENTS, pull_bytes / pull_events, pulls->count, merged);
	/* What a benchmark with this stream stands for: bodies as large as the real ones. */
	assert_in_range(bytes / EVENTS, 7000, 16000);
	simulate_forge_free(f);
	free(pulls);
	free(issues);
	free(runs);
}

static bool
in_stream(uint64_t seed, const char *event, const char *action)
{
	struct simulate_forge *f = simulate_forge_new(seed);
	bool found = false;
	for (unsigned i = 0; i < EVENTS && !found; i++) {
		struct simulate_event ev;
		simulate_forge_next(f, &ev);
		found = strcmp(ev.event, event) == 0 && strcmp(ev.action, action) == 0;
	}
	simulate_forge_free(f);
	return found;
}

static void
all_kinds_of_events_come(void **state UNUSED)
{
	static const char *const kinds[][2] = { { "ping", "" }, { "push", "" }, { "delete", "" },
		{ "create", "" }, { "fork", "" }, { "status", "" }, { "star", "created" },
		{ "star", "deleted" }, { "release", "published" }, { "member", "added" },
		{ "label", "edited" }, { "repository", "edited" }, { "repository", "renamed" },
		{ "pull_request", "opened" }, { "pull_request", "synchronize" },
		{ "pull_request", "labeled" }, { "pull_request", "unlabeled" },
		{ "pull_request", "review_requested" }, { "pull_request", "ready_for_review" },
		{ "pull_request", "edited" }, { "pull_request", "assigned" },
		{ "pull_request", "auto_merge_enabled" }, { "pull_request", "closed" },
		{ "pull_request", "reopened" }, { "pull_request_review", "submitted" },
		{ "pull_request_review_comment", "created" }, { "issue_comment", "created" },
		{ "issues", "opened" }, { "issues", "labeled" }, { "issues", "assigned" },
		{ "issues", "edited" }, { "issues", "closed" }, { "issues", "reopened" },
		{ "issues", "deleted" }, { "workflow_run", "requested" },
		{ "workflow_run", "in_progress" }, { "workflow_run", "completed" },
		{ "workflow_job", "queued" }, { "workflow_job", "completed" },
		{ "check_run", "created" }, { "check_run", "completed" },
		{ "check_suite", "completed" } };
	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		if (!in_stream(3, kinds[i][0], kinds[i][1]))
			fail_msg("no %s %s", kinds[i][0], kinds[i][1]);
}

static void
deliveries_are_guids_and_never_repeat(void **state UNUSED)
{
	static char seen[3000][SIMULATE_DELIVERY_BYTES];
	struct simulate_forge *f = simulate_forge_new(1);
	for (size_t i = 0; i < COUNT_OF(seen); i++) {
		struct simulate_event ev;
		simulate_forge_next(f, &ev);
		assert_int_equal(strlen(ev.delivery), 36);
		assert_int_equal(strspn(ev.delivery, "0123456789abcdef-"), 36);
		assert_int_equal(ev.delivery[14], '4');
		assert_non_null(strchr("89ab", ev.delivery[19]));
		memcpy(seen[i], ev.delivery, sizeof(seen[i]));
	}
	simulate_forge_free(f);
	qsort(seen, COUNT_OF(seen), sizeof(seen[0]), (int (*)(const void *, const void *))strcmp);
	for (size_t i = 1; i < COUNT_OF(seen); i++)
		assert_string_not_equal(seen[i - 1], seen[i]);
}

static void
histogram_finds_percentiles(void **state UNUSED)
{
	static struct histogram h;
	assert_int_equal(histogram_percentile(&h, 50), 0);
	for (int64_t us = 1; us <= 100000; us++)
		histogram_add(&h, us);
	assert_in_range(histogram_percentile(&h, 50), 50000, 50000 + 50000 / 32);
	assert_in_range(histogram_percentile(&h, 99), 99000, 100000);
	assert_int_equal(histogram_percentile(&h, 100), 100000);
	assert_int_equal(h.max_us, 100000);
	/* Cells follow each other without a gap or an overlap. */
	for (size_t cell = 1; cell < 500; cell++) {
		assert_int_equal(histogram_cell(histogram_cell_max(cell)), cell);
		assert_int_equal(histogram_cell(histogram_cell_max(cell - 1) + 1), cell);
	}
	histogram_add(&h, INT64_MAX);
	assert_int_equal(h.max_us, INT64_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_seed_same_bytes),
		cmocka_unit_test(lives_are_consistent),
		cmocka_unit_test(all_kinds_of_events_come),
		cmocka_unit_test(deliveries_are_guids_and_never_repeat),
		cmocka_unit_test(histogram_finds_percentiles),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
