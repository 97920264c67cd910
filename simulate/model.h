/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIMULATE_MODEL_H
#define SIMULATE_MODEL_H

#include "simulate/prng.h"
#include "simulate/simulate.h"
#include "simulate/words.h"

/* The state of the invented forge. Numbers that go into payloads are int64_t, as template.h wants.
 * Everything has a fixed place and number, so memory does not grow with the stream. */

#define SHA_BYTES 41
#define PULLS_MAX 40
#define ISSUES_MAX 32
#define PIPELINES_MAX 24
#define REVIEWERS_MAX 2
#define COMMITS_MAX 4
#define PEOPLE_COUNT (WORDS_PEOPLE + WORDS_BOTS)

struct person {
	int64_t id;
	const char *login;
	bool bot;
};

struct org {
	int64_t id;
	const char *login;
};

struct repo {
	int64_t id;
	char name[48];
	const struct org *org;
	bool is_private;
	int64_t created_us, updated_us, pushed_us;
	const char *language;
	char description[128];
	int64_t stars, open_issues, size;
	int64_t next_number;
	int64_t workflow_id;
	int64_t label_ids[WORDS_LABELS];
	char head_sha[SHA_BYTES]; /* of the default branch */
	unsigned releases;
};

enum pull_step {
	PULL_PUSH,
	PULL_OPEN,
	PULL_LIVE,
	PULL_SYNC,
	PULL_MERGE_PUSH,
	PULL_DELETE,
	PULL_REST
};

struct pull {
	bool used;
	enum pull_step step;
	int64_t id, number;
	struct repo *repo;
	const struct person *author, *assignee, *merged_by;
	const struct person *reviewers[REVIEWERS_MAX];
	size_t reviewer_count;
	char title[160], body[640], head_ref[64];
	char head_sha[SHA_BYTES], before_sha[SHA_BYTES], base_sha[SHA_BYTES], merge_sha[SHA_BYTES];
	bool open, draft, merged, approved, auto_merge;
	unsigned labels; /* bit i: label i of the repository */
	int64_t created_us, updated_us, closed_us, merged_us;
	int64_t additions, deletions, changed_files, commits, comments, review_comments;
	unsigned steps_left, pushed_commits;
};

struct issue {
	bool used;
	int64_t id, number;
	struct repo *repo;
	const struct person *author, *assignee, *closed_by;
	char title[160], body[640];
	bool open;
	const char *state_reason;
	unsigned labels;
	int64_t created_us, updated_us, closed_us, comments;
	unsigned steps_left;
};

/* One run of the continuous integration for one commit. */
struct pipeline {
	bool used;
	unsigned stage;
	struct repo *repo;
	const struct person *actor;
	int64_t run_id, suite_id, check_id, job_id, status_id, run_number, attempt;
	int64_t pull_id, pull_number; /* 0: for the default branch */
	char branch[64], sha[SHA_BYTES], message[160];
	bool success;
	int64_t created_us, started_us, updated_us, completed_us;
};

enum actor_kind { ACTOR_PULL, ACTOR_ISSUE, ACTOR_PIPELINE, ACTOR_VISITOR };

/* Whoever has the earliest due time acts next. */
struct actor {
	int64_t due_us;
	enum actor_kind kind;
	size_t index;
};

#define ACTORS_MAX (PULLS_MAX + ISSUES_MAX + PIPELINES_MAX + 1)

struct simulate_forge {
	struct prng prng;
	uint64_t number;
	int64_t now_us;
	int64_t next_id, hook_id;
	struct org orgs[WORDS_ORGS];
	struct person people[PEOPLE_COUNT];
	struct repo repos[WORDS_REPOS];
	struct pull pulls[PULLS_MAX];
	struct issue issues[ISSUES_MAX];
	struct pipeline pipelines[PIPELINES_MAX];
	struct actor actors[ACTORS_MAX];
	/* The event under construction. */
	const char *event, *action;
	struct buf body;
};

/* ---- lives.c: what happens next; each call makes exactly one event ---- */

void pull_act(struct simulate_forge *f, struct actor *actor);
void issue_act(struct simulate_forge *f, struct actor *actor);
void pipeline_act(struct simulate_forge *f, struct actor *actor);
void visitor_act(struct simulate_forge *f, struct actor *actor);

/* ---- forge.c: chance and time ---- */

int64_t forge_id(struct simulate_forge *f);
void forge_sha(struct simulate_forge *f, char out[SHA_BYTES]);
/* Anybody but the given person (NULL: anybody at all), no bot. */
const struct person *forge_person(struct simulate_forge *f, const struct person *but);
struct repo *forge_repo(struct simulate_forge *f);
/* The next turn of an actor: half to one and a half times the given minutes from now. */
void forge_later(struct simulate_forge *f, struct actor *actor, int64_t minutes);
/* Starts continuous integration for a commit if there is a free place. pull may be NULL. */
void forge_build(struct simulate_forge *f, struct repo *repo, const struct pull *pull,
	const struct person *actor, const char *branch, const char *sha, const char *message);

/* ---- shapes.c: one object each, without a comma ---- */

void shape_user(struct buf *out, const struct person *p);
void shape_user_or_null(struct buf *out, const struct person *p);
void shape_org(struct buf *out, const struct org *o);
enum repo_form {
	REPO_FULL,
	REPO_PUSH,    /* as in push events: two times as numbers, the owner also by name */
	REPO_MINIMAL, /* as inside workflow runs: no times, counts or settings */
};
void shape_repo(struct buf *out, const struct repo *r, enum repo_form form);
void shape_label(struct buf *out, const struct repo *r, size_t index);
void shape_labels(struct buf *out, const struct repo *r, unsigned labels);
/* The short form, inside review events, lacks what only the full one knows (counts, merged_by). */
void shape_pull(struct buf *out, const struct pull *p, bool full);
void shape_issue(struct buf *out, const struct issue *i);
/* The issue that each pull request also is. */
void shape_pull_as_issue(struct buf *out, const struct pull *p);
const char *shape_association(const struct person *p);

/* ---- payloads.c: begin, then the event's own members, then end ---- */

void payload_begin(struct simulate_forge *f, const char *event, const char *action);
/* Appends a comma and the key. */
void payload_key(struct simulate_forge *f, const char *key);
void payload_end(struct simulate_forge *f, const struct repo *repo, const struct person *sender);

void payload_ping(struct simulate_forge *f);
void payload_pull(struct simulate_forge *f, const char *action, const struct pull *p);
void payload_review(
	struct simulate_forge *f, const struct pull *p, const struct person *by, const char *state);
void payload_review_comment(
	struct simulate_forge *f, const struct pull *p, const struct person *by);
/* Exactly one of issue and pull is not NULL. */
void payload_comment(struct simulate_forge *f, const struct issue *issue, const struct pull *pull,
	const struct person *by);
void payload_issue(struct simulate_forge *f, const char *action, const struct issue *i);
struct push {
	struct repo *repo;
	const struct person *by;
	const char *ref; /* "refs/heads/main" */
	const char *before, *after;
	bool created;
	unsigned commits;
	const char *message;
};
void payload_push(struct simulate_forge *f, const struct push *push);
void payload_ref(struct simulate_forge *f, const char *event, const struct repo *repo,
	const struct person *by, const char *ref, const char *ref_type);
/* One of the stages of a pipeline, below PIPELINE_STAGES. */
#define PIPELINE_STAGES 11
void payload_pipeline(struct simulate_forge *f, const struct pipeline *p);

#define SHA_ZERO "0000000000000000000000000000000000000000"
#define API "https://api.forge.example"
#define WEB "https://forge.example"

#endif
