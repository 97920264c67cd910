/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "event/jpath.h"

/* Microseconds per document of the path extractor and of jansson, over documents shaped like
 * GitHub's pull_request deliveries, in one run and alternating, so that a busy machine disturbs
 * both alike. The ratio is the figure to watch; jansson only builds its tree, nothing is read from
 * it. */

#define DOCUMENTS 64
#define ROUNDS 40

static const char *const url_names[] = { "forks", "keys", "collaborators", "teams", "hooks",
	"issue_events", "events", "assignees", "branches", "tags", "blobs", "git_tags", "git_refs",
	"trees", "statuses", "languages", "stargazers", "contributors", "subscribers",
	"subscription", "commits", "git_commits", "comments", "issue_comment", "contents",
	"compare", "merges", "archive", "downloads", "issues", "pulls", "milestones",
	"notifications", "labels", "releases", "deployments" };
static const char *const user_urls[] = { "followers", "following", "gists", "starred",
	"subscriptions", "organizations", "repos", "events", "received_events" };

static uint64_t
next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

static void
put_user(struct buf *b, const char *name, uint64_t *random)
{
	uint64_t id = next_random(random) % 100000000;
	buf_printf(b,
		"\"%s\":{\"login\":\"user-%" PRIu64 "\",\"id\":%" PRIu64
		",\"node_id\":\"MDQ6VXNlcj%" PRIu64
		"\",\"avatar_url\":\"https://avatars.example.com/u/%" PRIu64
		"?v=4\",\"gravatar_id\":\"\"",
		name, id, id, id, id);
	for (size_t i = 0; i < COUNT_OF(user_urls); i++)
		buf_printf(b,
			",\"%s_url\":\"https://api.example.com/users/user-%" PRIu64 "/%s{/other}\"",
			user_urls[i], id, user_urls[i]);
	buf_put_str(b, ",\"type\":\"User\",\"site_admin\":false}");
}

static void
put_repo(struct buf *b, const char *name, uint64_t *random)
{
	uint64_t id = next_random(random) % 1000000000;
	buf_printf(b,
		"\"%s\":{\"id\":%" PRIu64 ",\"name\":\"widgets\",\"full_name\":\"acme/widgets\","
		"\"private\":false,",
		name, id);
	put_user(b, "owner", random);
	buf_put_str(b, ",\"description\":\"Widgets, d\xc3\xa9j\xc3\xa0 vu "
		       "\\\"tested\\\"\",\"fork\":false");
	for (size_t i = 0; i < COUNT_OF(url_names); i++)
		buf_printf(b, ",\"%s_url\":\"https://api.example.com/repos/acme/widgets/%s{/sha}\"",
			url_names[i], url_names[i]);
	buf_printf(b,
		",\"created_at\":\"2019-05-15T15:19:25Z\",\"pushed_at\":\"2026-02-01T10:00:00Z\","
		"\"homepage\":null,\"size\":%" PRIu64 ",\"stargazers_count\":80,\"language\":\"C\","
		"\"has_issues\":true,\"archived\":false,\"open_issues_count\":12,\"license\":{"
		"\"key\":\"mit\","
		"\"name\":\"MIT License\"},\"topics\":[\"a\",\"b\"],\"default_branch\":\"main\"}",
		id % 9999);
}

/* About 18 KB, in the shape of GitHub's pull_request deliveries. */
static void
put_document(struct buf *b, uint64_t *random)
{
	buf_printf(b,
		"{\"action\":\"synchronize\",\"number\":%" PRIu64
		",\"pull_request\":{\"id\":%" PRIu64
		",\"state\":\"open\",\"locked\":false,\"title\":\"Make it fast\",",
		next_random(random) % 9999, next_random(random));
	put_user(b, "user", random);
	buf_put_str(b, ",\"body\":\"First line\\r\\nsecond line\\r\\n\\r\\n");
	for (int i = 0; i < 30; i++)
		buf_put_str(
			b, "a sentence of the description that is neither short nor very long ");
	buf_put_str(b, "\",\"labels\":[");
	for (int i = 0; i < 3; i++)
		buf_printf(b,
			"%s{\"id\":%d,\"name\":\"label %d\",\"color\":\"d73a4a\",\"default\":true}",
			i > 0 ? "," : "", i, i);
	buf_put_str(b, "],");
	put_user(b, "merged_by", random);
	buf_put_str(b, ",\"head\":{\"label\":\"acme:topic\",\"ref\":\"topic\",\"sha\":"
		       "\"ec26c3e57ca3a959ca5aad62de7213c562f8c821\",");
	put_repo(b, "repo", random);
	buf_put_str(b, "},\"base\":{\"label\":\"acme:main\",\"ref\":\"main\",\"sha\":"
		       "\"f95f852bd8fca8fcc58a9a2d6c842781e32a215e\",");
	put_repo(b, "repo", random);
	buf_put_str(b, "},\"draft\":false,\"merged\":false,\"commits\":3,\"additions\":120,"
		       "\"deletions\":7},");
	put_repo(b, "repository", random);
	buf_put_char(b, ',');
	put_user(b, "sender", random);
	buf_put_char(b, '}');
}

static void
add(struct jpath_set *set, size_t *count, const char *prefix, const char *name)
{
	char path[160];
	size_t slot;
	snprintf(path, sizeof path, "%s%s", prefix, name);
	ASSERT(jpath_add(set, path, &slot, NULL) == RC_OK);
	*count = slot + 1;
}

/* Some 300 paths, most of which the documents have. */
static size_t
add_paths(struct jpath_set *set)
{
	static const char *const users[] = { "sender.", "pull_request.user.",
		"pull_request.merged_by.", "repository.owner.", "pull_request.base.repo.owner.",
		"pull_request.head.repo.owner.", "issue.user.", "comment.user." };
	static const char *const user_columns[] = { "login", "id", "node_id", "avatar_url", "type",
		"site_admin", "html_url", "events_url" };
	static const char *const repos[] = { "repository.", "pull_request.base.repo.",
		"pull_request.head.repo." };
	static const char *const repo_columns[] = { "id", "name", "full_name", "private",
		"description", "fork", "created_at", "pushed_at", "homepage", "size",
		"stargazers_count", "language", "archived", "open_issues_count", "license.key",
		"topics", "default_branch", "visibility", "updated_at", "watchers" };
	static const char *const pull_columns[] = { "id", "number", "state", "locked", "title",
		"body", "draft", "merged", "commits", "additions", "deletions", "head.ref",
		"head.sha", "base.ref", "base.sha", "labels", "labels[].id", "labels[].name",
		"labels[].color", "merged_at" };
	static const char *const other[] = { "issue.", "comment.", "release.", "check_run.",
		"workflow_run.", "deployment.", "milestone." };
	static const char *const other_columns[] = { "id", "node_id", "number", "state", "title",
		"name", "body", "url", "html_url", "created_at", "updated_at", "closed_at",
		"status", "conclusion", "head_sha", "labels[].id" };
	size_t count = 0;
	for (size_t i = 0; i < COUNT_OF(users); i++)
		for (size_t k = 0; k < COUNT_OF(user_columns); k++)
			add(set, &count, users[i], user_columns[k]);
	for (size_t i = 0; i < COUNT_OF(repos); i++)
		for (size_t k = 0; k < COUNT_OF(repo_columns); k++)
			add(set, &count, repos[i], repo_columns[k]);
	for (size_t k = 0; k < COUNT_OF(pull_columns); k++)
		add(set, &count, "pull_request.", pull_columns[k]);
	for (size_t i = 0; i < COUNT_OF(other); i++)
		for (size_t k = 0; k < COUNT_OF(other_columns); k++)
			add(set, &count, other[i], other_columns[k]);
	return count;
}

int
main(void)
{
	static struct bytes documents[DOCUMENTS];
	struct arena *text = arena_new(1 << 20), *work = arena_new(1 << 16);
	struct buf b = buf_new(LIMIT_TEXT_BYTES);
	struct jpath_set *set = jpath_set_new();
	uint64_t random = 1, bytes = 0, found = 0, want;
	int64_t ours = INT64_MAX, theirs = INT64_MAX;
	size_t paths = add_paths(set);
	for (size_t i = 0; i < DOCUMENTS; i++) {
		buf_clear(&b);
		put_document(&b, &random);
		documents[i] = arena_copy(text, buf_bytes(&b));
		bytes += b.len;
	}
	for (int round = 0; round < ROUNDS; round++) {
		int64_t start = clock_monotonic_us();
		for (int again = 0; again < 10; again++) {
			for (size_t i = 0; i < DOCUMENTS; i++) {
				struct jpath_doc *doc;
				ASSERT(jpath_walk(set, documents[i], work, &doc, NULL) == RC_OK);
				found += jpath_get(doc, 1, 0).raw.len;
				arena_reset(work);
			}
		}
		int64_t middle = clock_monotonic_us();
		for (size_t i = 0; i < DOCUMENTS; i++) {
			json_t *tree = json_loadb(
				(const char *)documents[i].data, documents[i].len, 0, NULL);
			ASSERT(tree != NULL);
			json_decref(tree);
		}
		int64_t end = clock_monotonic_us();
		/* The best round of each: what the code takes when nothing else has the processor.
		 */
		ours = middle - start < ours ? middle - start : ours;
		theirs = end - middle < theirs ? end - middle : theirs;
	}
	want = (uint64_t)ROUNDS * 10 * DOCUMENTS;
	ASSERT(found >= want); /* sender.id is in every document */
	double us = (double)ours / 10 / DOCUMENTS, jansson_us = (double)theirs / DOCUMENTS;
	double kb = (double)bytes / DOCUMENTS / 1000;
	printf("jpath: %zu paths, %.1f KB per document: jpath %.2f us (%.2f GB/s), jansson %.2f "
	       "us, "
	       "ratio %.1f\n",
		paths, kb, us, kb / us, jansson_us, jansson_us / us);
	jpath_set_free(set);
	buf_free(&b);
	arena_free(work);
	arena_free(text);
	return 0;
}
