/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate/model.h"
#include "simulate/template.h"

/* What happens next to a pull request, an issue or a build. Each *_act makes one event out of the
 * state as it is after the event, and sets the actor's next turn. */

/* Minutes between two things that happen to the same object, and until a free place is used again.
 */
#define PULL_MINUTES 240
#define ISSUE_MINUTES 600
#define REST_MINUTES 900

static void
push_commits(struct simulate_forge *f, struct repo *r, const struct person *by, const char *branch,
	const char *before, const char *after, unsigned commits, const char *message)
{
	char ref[96];
	snprintf(ref, sizeof(ref), "refs/heads/%s", branch);
	r->pushed_us = f->now_us;
	struct push push = { .repo = r,
		.by = by,
		.ref = ref,
		.before = before,
		.after = after,
		.created = strcmp(before, SHA_ZERO) == 0,
		.commits = commits,
		.message = message };
	payload_push(f, &push);
}

static void
pull_new(struct simulate_forge *f, struct pull *p)
{
	*p = (struct pull){ .used = true, .step = PULL_PUSH };
	p->repo = forge_repo(f);
	p->author = prng_percent(&f->prng, 12) ? &f->people[WORDS_PEOPLE] : forge_person(f, NULL);
	words_title(&f->prng, p->title, sizeof(p->title));
	words_branch(&f->prng, p->head_ref, sizeof(p->head_ref));
	if (prng_percent(&f->prng, 90))
		words_text(&f->prng, p->body, sizeof(p->body));
	forge_sha(f, p->head_sha);
	memcpy(p->base_sha, p->repo->head_sha, SHA_BYTES);
	p->draft = prng_percent(&f->prng, 20);
	p->commits = 1 + prng_below(&f->prng, 3);
	p->additions = 1 + prng_below(&f->prng, 400);
	p->deletions = prng_below(&f->prng, 200);
	p->changed_files = 1 + prng_below(&f->prng, 12);
	p->steps_left = 5 + prng_below(&f->prng, 12);
}

static void
pull_opened(struct simulate_forge *f, struct pull *p)
{
	p->id = forge_id(f);
	p->number = p->repo->next_number++;
	p->open = true;
	p->created_us = f->now_us;
	p->repo->open_issues++;
	p->step = PULL_LIVE;
	payload_pull(f, "opened", p);
	payload_end(f, p->repo, p->author);
	forge_build(f, p->repo, p, p->author, p->head_ref, p->head_sha, p->title);
}

static void
pull_closed(struct simulate_forge *f, struct pull *p)
{
	const struct person *by = forge_person(f, p->author);
	p->open = false;
	p->closed_us = f->now_us;
	p->auto_merge = false;
	p->merged = !p->draft && prng_percent(&f->prng, p->approved ? 92 : 30);
	p->step = PULL_REST;
	if (p->merged) {
		p->merged_us = f->now_us;
		p->merged_by = by;
		forge_sha(f, p->merge_sha);
		p->step = PULL_MERGE_PUSH;
	} else if (prng_percent(&f->prng, 25)) {
		/* Somebody will think better of it. */
		p->step = PULL_LIVE;
		p->steps_left = 3;
	}
	p->repo->open_issues--;
	payload_pull(f, "closed", p);
	payload_end(f, p->repo, by);
}

static void
pull_reopened(struct simulate_forge *f, struct pull *p)
{
	p->open = true;
	p->closed_us = 0;
	p->repo->open_issues++;
	payload_pull(f, "reopened", p);
	payload_end(f, p->repo, p->author);
}

static void
pull_pushed(struct simulate_forge *f, struct pull *p)
{
	p->pushed_commits = 1 + prng_below(&f->prng, COMMITS_MAX);
	memcpy(p->before_sha, p->head_sha, SHA_BYTES);
	forge_sha(f, p->head_sha);
	char message[160];
	words_title(&f->prng, message, sizeof(message));
	p->step = PULL_SYNC;
	push_commits(f, p->repo, p->author, p->head_ref, p->before_sha, p->head_sha,
		p->pushed_commits, message);
}

static void
pull_synchronized(struct simulate_forge *f, struct pull *p)
{
	p->commits += p->pushed_commits;
	p->additions += 1 + prng_below(&f->prng, 60);
	p->changed_files += prng_below(&f->prng, 3);
	p->step = PULL_LIVE;
	payload_pull(f, "synchronize", p);
	template_put(&f->body, ",'before':%s,'after':%s", p->before_sha, p->head_sha);
	payload_end(f, p->repo, p->author);
	forge_build(f, p->repo, p, p->author, p->head_ref, p->head_sha, p->title);
}

static void
pull_labelled(struct simulate_forge *f, struct pull *p)
{
	size_t label = prng_below(&f->prng, WORDS_LABELS);
	const struct person *by = &f->people[WORDS_PEOPLE + 2];
	bool had = (p->labels & (1u << label)) != 0;
	p->labels ^= 1u << label;
	payload_pull(f, had ? "unlabeled" : "labeled", p);
	payload_key(f, "label");
	shape_label(&f->body, p->repo, label);
	payload_end(f, p->repo, by);
}

static void
pull_review_requested(struct simulate_forge *f, struct pull *p)
{
	const struct person *reviewer = forge_person(f, p->author);
	for (size_t i = 0; i < p->reviewer_count; i++)
		if (p->reviewers[i] == reviewer)
			reviewer = NULL;
	if (reviewer == NULL || p->reviewer_count == REVIEWERS_MAX) {
		pull_labelled(f, p);
		return;
	}
	p->reviewers[p->reviewer_count++] = reviewer;
	payload_pull(f, "review_requested", p);
	payload_key(f, "requested_reviewer");
	shape_user(&f->body, reviewer);
	payload_end(f, p->repo, p->author);
}

static void
pull_reviewed(struct simulate_forge *f, struct pull *p)
{
	unsigned chance = prng_below(&f->prng, 100);
	const struct person *by = forge_person(f, p->author);
	/* Who was asked answers first; the request is gone with the answer. */
	if (p->reviewer_count > 0)
		by = p->reviewers[--p->reviewer_count];
	p->approved = p->approved || chance < 55;
	payload_review(f, p, by,
		chance < 55   ? "approved"
		: chance < 80 ? "changes_requested"
			      : "commented");
}

static void
pull_edited(struct simulate_forge *f, struct pull *p)
{
	char old[160];
	snprintf(old, sizeof(old), "%s", p->title);
	words_title(&f->prng, p->title, sizeof(p->title));
	payload_pull(f, "edited", p);
	template_put(&f->body, ",'changes':{'title':{'from':%s}}", old);
	payload_end(f, p->repo, p->author);
}

static void
pull_assigned(struct simulate_forge *f, struct pull *p)
{
	p->assignee = p->author;
	payload_pull(f, "assigned", p);
	payload_key(f, "assignee");
	shape_user(&f->body, p->assignee);
	payload_end(f, p->repo, p->author);
}

/* Something small that needs nothing but an open pull request. */
static void
pull_simple(struct simulate_forge *f, struct pull *p, const char *action)
{
	payload_pull(f, action, p);
	payload_end(f, p->repo, p->author);
}

static void
pull_live(struct simulate_forge *f, struct pull *p)
{
	if (!p->open) {
		pull_reopened(f, p);
		return;
	}
	if (p->steps_left == 0 || (p->approved && prng_percent(&f->prng, 40))) {
		pull_closed(f, p);
		return;
	}
	p->steps_left--;
	unsigned chance = prng_below(&f->prng, 100);
	if (p->draft && chance < 40) {
		p->draft = false;
		pull_simple(f, p, "ready_for_review");
	} else if (chance < 25) {
		pull_pushed(f, p);
	} else if (chance < 37) {
		pull_labelled(f, p);
	} else if (chance < 49) {
		pull_review_requested(f, p);
	} else if (chance < 67) {
		pull_reviewed(f, p);
	} else if (chance < 80) {
		p->review_comments++;
		payload_review_comment(f, p, forge_person(f, p->author));
	} else if (chance < 92) {
		p->comments++;
		payload_comment(f, NULL, p, forge_person(f, NULL));
	} else if (chance < 95) {
		pull_edited(f, p);
	} else if (chance < 98 && p->assignee == NULL) {
		pull_assigned(f, p);
	} else if (!p->auto_merge) {
		p->auto_merge = true;
		pull_simple(f, p, "auto_merge_enabled");
	} else {
		pull_labelled(f, p);
	}
}

static void
pull_merge_pushed(struct simulate_forge *f, struct pull *p)
{
	struct repo *r = p->repo;
	char before[SHA_BYTES];
	memcpy(before, r->head_sha, SHA_BYTES);
	memcpy(r->head_sha, p->merge_sha, SHA_BYTES);
	p->step = PULL_DELETE;
	push_commits(f, r, p->merged_by, "main", before, r->head_sha, 1, p->title);
	forge_build(f, r, NULL, p->merged_by, "main", r->head_sha, p->title);
}

void
pull_act(struct simulate_forge *f, struct actor *actor)
{
	struct pull *p = &f->pulls[actor->index];
	if (!p->used || p->step == PULL_REST)
		pull_new(f, p);
	int64_t minutes = PULL_MINUTES;
	p->updated_us = f->now_us;
	switch (p->step) {
	case PULL_PUSH:
		p->step = PULL_OPEN;
		minutes = 4;
		push_commits(f, p->repo, p->author, p->head_ref, SHA_ZERO, p->head_sha,
			(unsigned)p->commits, p->title);
		break;
	case PULL_OPEN:
		pull_opened(f, p);
		break;
	case PULL_SYNC:
		pull_synchronized(f, p);
		break;
	case PULL_MERGE_PUSH:
		pull_merge_pushed(f, p);
		minutes = 1;
		break;
	case PULL_DELETE:
		p->step = PULL_REST;
		payload_ref(f, "delete", p->repo, p->merged_by, p->head_ref, "branch");
		break;
	case PULL_LIVE:
	case PULL_REST:
		pull_live(f, p);
		break;
	}
	/* The forge tells about a push and about what it does to the pull request in one go. */
	if (p->step == PULL_SYNC || p->step == PULL_MERGE_PUSH)
		minutes = 1;
	forge_later(f, actor, p->step == PULL_REST ? REST_MINUTES : minutes);
}

static void
issue_opened(struct simulate_forge *f, struct issue *i)
{
	*i = (struct issue){ .used = true, .repo = forge_repo(f), .open = true };
	i->id = forge_id(f);
	i->number = i->repo->next_number++;
	i->author = forge_person(f, NULL);
	i->created_us = i->updated_us = f->now_us;
	i->steps_left = 2 + prng_below(&f->prng, 8);
	words_title(&f->prng, i->title, sizeof(i->title));
	words_text(&f->prng, i->body, sizeof(i->body));
	i->repo->open_issues++;
	payload_issue(f, "opened", i);
	payload_end(f, i->repo, i->author);
}

/* Closes, or rarely deletes; both make the place free, unless it will be opened again. */
static void
issue_ended(struct simulate_forge *f, struct issue *i)
{
	const struct person *by = forge_person(f, NULL);
	bool deleted = prng_percent(&f->prng, 3);
	i->repo->open_issues--;
	i->used = false;
	if (!deleted) {
		i->open = false;
		i->closed_us = f->now_us;
		i->closed_by = by;
		i->state_reason = prng_percent(&f->prng, 75) ? "completed" : "not_planned";
		i->used = prng_percent(&f->prng, 20);
	}
	payload_issue(f, deleted ? "deleted" : "closed", i);
	payload_end(f, i->repo, by);
}

static void
issue_reopened(struct simulate_forge *f, struct issue *i)
{
	i->open = true;
	i->closed_us = 0;
	i->closed_by = NULL;
	i->state_reason = "reopened";
	i->steps_left = 2;
	i->repo->open_issues++;
	payload_issue(f, "reopened", i);
	payload_end(f, i->repo, i->author);
}

static void
issue_labelled(struct simulate_forge *f, struct issue *i, const struct person *by)
{
	size_t label = prng_below(&f->prng, WORDS_LABELS);
	bool had = (i->labels & (1u << label)) != 0;
	i->labels ^= 1u << label;
	payload_issue(f, had ? "unlabeled" : "labeled", i);
	payload_key(f, "label");
	shape_label(&f->body, i->repo, label);
	payload_end(f, i->repo, by);
}

static void
issue_assigned(struct simulate_forge *f, struct issue *i, const struct person *by)
{
	i->assignee = by;
	payload_issue(f, "assigned", i);
	payload_key(f, "assignee");
	shape_user(&f->body, by);
	payload_end(f, i->repo, by);
}

static void
issue_edited(struct simulate_forge *f, struct issue *i)
{
	char old[160];
	snprintf(old, sizeof(old), "%s", i->title);
	words_title(&f->prng, i->title, sizeof(i->title));
	payload_issue(f, "edited", i);
	template_put(&f->body, ",'changes':{'title':{'from':%s}}", old);
	payload_end(f, i->repo, i->author);
}

void
issue_act(struct simulate_forge *f, struct actor *actor)
{
	struct issue *i = &f->issues[actor->index];
	unsigned chance = prng_below(&f->prng, 100);
	const struct person *by = forge_person(f, NULL);
	i->updated_us = f->now_us;
	if (!i->used) {
		issue_opened(f, i);
	} else if (!i->open) {
		issue_reopened(f, i);
	} else if (i->steps_left == 0) {
		issue_ended(f, i);
	} else {
		i->steps_left--;
		if (chance < 30) {
			issue_labelled(f, i, by);
		} else if (chance < 45 && i->assignee == NULL) {
			issue_assigned(f, i, by);
		} else if (chance < 55) {
			issue_edited(f, i);
		} else {
			i->comments++;
			payload_comment(f, i, NULL, by);
		}
	}
	forge_later(f, actor, i->used ? ISSUE_MINUTES : REST_MINUTES);
}

void
pipeline_act(struct simulate_forge *f, struct actor *actor)
{
	struct pipeline *p = &f->pipelines[actor->index];
	p->updated_us = f->now_us;
	/* Stage 3: a runner was found. Stage 6: its work is done. */
	if (p->stage == 3)
		p->started_us = f->now_us;
	if (p->stage == 6)
		p->completed_us = f->now_us;
	payload_pipeline(f, p);
	p->stage++;
	if (p->stage < PIPELINE_STAGES) {
		forge_later(f, actor, p->stage == 6 ? 9 : 1);
		return;
	}
	if (!p->success && p->attempt < 2) {
		/* The same run once more, with a job of its own. */
		p->attempt++;
		p->stage = 0;
		p->success = true;
		p->check_id = p->job_id = forge_id(f);
		p->status_id = forge_id(f);
		p->started_us = f->now_us;
		p->completed_us = 0;
		forge_later(f, actor, 20);
		return;
	}
	p->used = false;
	actor->due_us = INT64_MAX;
}
