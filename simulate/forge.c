/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "simulate/model.h"

#define MINUTE_US ((int64_t)60000000)
#define DAY_US (1440 * MINUTE_US)
/* 2025-03-03T07:00:00Z, a Monday: where every simulated clock starts. */
#define START_US (INT64_C(1740985200) * 1000000)
/* Two seeds must not talk about the same ids, so that both can be sent to one hooklog. */
#define WORLDS 100000
#define WORLD_IDS INT64_C(1000000000)

int64_t
forge_id(struct simulate_forge *f)
{
	/* At least two apart: a pull request's id as an issue is its own id plus one. */
	f->next_id += 2 + prng_below(&f->prng, 6);
	return f->next_id;
}

void
forge_sha(struct simulate_forge *f, char out[SHA_BYTES])
{
	uint64_t a = prng_next(&f->prng), b = prng_next(&f->prng);
	snprintf(out, SHA_BYTES, "%016" PRIx64 "%016" PRIx64 "%08" PRIx32, a, b,
		(uint32_t)prng_next(&f->prng));
}

const struct person *
forge_person(struct simulate_forge *f, const struct person *but)
{
	const struct person *p = &f->people[prng_below(&f->prng, WORDS_PEOPLE)];
	return p == but ? &f->people[((size_t)(p - f->people) + 1) % WORDS_PEOPLE] : p;
}

struct repo *
forge_repo(struct simulate_forge *f)
{
	/* The smaller of two: some repositories are busier than others. */
	unsigned a = prng_below(&f->prng, WORDS_REPOS), b = prng_below(&f->prng, WORDS_REPOS);
	return &f->repos[a < b ? a : b];
}

void
forge_later(struct simulate_forge *f, struct actor *actor, int64_t minutes)
{
	int64_t us = minutes * MINUTE_US;
	actor->due_us = f->now_us + us / 2 + (int64_t)(prng_next(&f->prng) % (uint64_t)us);
}

void
forge_build(struct simulate_forge *f, struct repo *repo, const struct pull *pull,
	const struct person *actor, const char *branch, const char *sha, const char *message)
{
	size_t i = 0;
	while (i < PIPELINES_MAX && f->pipelines[i].used)
		i++;
	/* Not every commit is built; and all builders may be busy. */
	if (i == PIPELINES_MAX || prng_percent(&f->prng, 45))
		return;
	struct pipeline *p = &f->pipelines[i];
	*p = (struct pipeline){ .used = true, .repo = repo, .actor = actor, .attempt = 1 };
	p->run_id = forge_id(f);
	p->suite_id = forge_id(f);
	p->check_id = p->job_id = forge_id(f);
	p->status_id = forge_id(f);
	p->run_number = (int64_t)f->number;
	p->pull_id = pull != NULL ? pull->id : 0;
	p->pull_number = pull != NULL ? pull->number : 0;
	p->success = prng_percent(&f->prng, 80);
	p->created_us = p->started_us = f->now_us;
	snprintf(p->branch, sizeof(p->branch), "%s", branch);
	snprintf(p->sha, sizeof(p->sha), "%s", sha);
	snprintf(p->message, sizeof(p->message), "%s", message);
	forge_later(f, &f->actors[PULLS_MAX + ISSUES_MAX + i], 1);
}

static void
make_people(struct simulate_forge *f)
{
	for (size_t i = 0; i < PEOPLE_COUNT; i++) {
		bool bot = i >= WORDS_PEOPLE;
		f->people[i] = (struct person){ forge_id(f),
			bot ? words_bots[i - WORDS_PEOPLE] : words_people[i], bot };
	}
	for (size_t i = 0; i < WORDS_ORGS; i++)
		f->orgs[i] = (struct org){ forge_id(f), words_orgs[i] };
}

static void
make_repos(struct simulate_forge *f)
{
	for (size_t i = 0; i < WORDS_REPOS; i++) {
		struct repo *r = &f->repos[i];
		r->id = forge_id(f);
		snprintf(r->name, sizeof(r->name), "%s", words_repos[i]);
		r->org = &f->orgs[i % WORDS_ORGS];
		r->is_private = i % 5 == 3;
		r->created_us = START_US - (int64_t)(100 + prng_below(&f->prng, 1500)) * DAY_US;
		r->updated_us = r->pushed_us = START_US;
		r->language = words_languages[prng_below(&f->prng, WORDS_LANGUAGES)];
		words_title(&f->prng, r->description, sizeof(r->description));
		r->stars = prng_below(&f->prng, 4000);
		r->size = 200 + prng_below(&f->prng, 90000);
		r->next_number = 1;
		r->workflow_id = forge_id(f);
		for (size_t k = 0; k < WORDS_LABELS; k++)
			r->label_ids[k] = forge_id(f);
		forge_sha(f, r->head_sha);
	}
}

static void
make_actors(struct simulate_forge *f)
{
	for (size_t i = 0; i < ACTORS_MAX; i++) {
		struct actor *a = &f->actors[i];
		if (i < PULLS_MAX)
			*a = (struct actor){ 0, ACTOR_PULL, i };
		else if (i < PULLS_MAX + ISSUES_MAX)
			*a = (struct actor){ 0, ACTOR_ISSUE, i - PULLS_MAX };
		else if (i < ACTORS_MAX - 1)
			*a = (struct actor){ INT64_MAX, ACTOR_PIPELINE,
				i - PULLS_MAX - ISSUES_MAX };
		else
			*a = (struct actor){ 0, ACTOR_VISITOR, 0 };
		/* The first pull requests and issues come over the first days. */
		if (a->kind != ACTOR_PIPELINE)
			forge_later(f, a, a->kind == ACTOR_VISITOR ? 60 : 30 + (int64_t)i * 40);
	}
}

struct simulate_forge *
simulate_forge_new(uint64_t seed)
{
	struct simulate_forge *f = base_zalloc(sizeof(*f));
	f->prng.state = seed;
	f->body = buf_new(LIMIT_BODY_BYTES);
	f->next_id = (int64_t)(1 + prng_below(&f->prng, WORLDS)) * WORLD_IDS;
	f->now_us = START_US;
	f->hook_id = forge_id(f);
	make_people(f);
	make_repos(f);
	make_actors(f);
	return f;
}

void
simulate_forge_free(struct simulate_forge *f)
{
	if (f == NULL)
		return;
	buf_free(&f->body);
	free(f);
}

/* A version 4 GUID from the stream's own chance. */
static void
make_delivery(struct simulate_forge *f, char out[SIMULATE_DELIVERY_BYTES])
{
	uint64_t a = prng_next(&f->prng), b = prng_next(&f->prng);
	snprintf(out, SIMULATE_DELIVERY_BYTES, "%08x-%04x-4%03x-%04x-%012" PRIx64,
		(unsigned)(a >> 32), (unsigned)(a >> 16) & 0xffff, (unsigned)a & 0xfff,
		0x8000u | ((unsigned)(b >> 48) & 0x3fff), b & UINT64_C(0xffffffffffff));
}

void
simulate_forge_next(struct simulate_forge *f, struct simulate_event *ev)
{
	static void (*const act[])(struct simulate_forge *, struct actor *) = {
		[ACTOR_PULL] = pull_act,
		[ACTOR_ISSUE] = issue_act,
		[ACTOR_PIPELINE] = pipeline_act,
		[ACTOR_VISITOR] = visitor_act,
	};
	f->number++;
	if (f->number == 1) {
		payload_ping(f);
	} else {
		struct actor *next = &f->actors[0];
		for (size_t i = 1; i < ACTORS_MAX; i++)
			if (f->actors[i].due_us < next->due_us)
				next = &f->actors[i];
		f->now_us = next->due_us;
		act[next->kind](f, next);
	}
	ASSERT(!f->body.overflow);
	*ev = (struct simulate_event){ .number = f->number,
		.event = f->event,
		.action = f->action,
		.hook_id = f->hook_id,
		.at_us = f->now_us,
		.body = buf_bytes(&f->body) };
	make_delivery(f, ev->delivery);
}
