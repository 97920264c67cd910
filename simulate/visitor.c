/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate/model.h"
#include "simulate/template.h"

/* What happens to repositories besides pull requests and issues. */

#define VISITOR_MINUTES 45

static void
star(struct simulate_forge *f, struct repo *r, const struct person *by)
{
	bool gone = r->stars > 0 && prng_percent(&f->prng, 15);
	r->stars += gone ? -1 : 1;
	payload_begin(f, "star", gone ? "deleted" : "created");
	template_put(&f->body, ",'starred_at':%t", gone ? 0 : f->now_us);
	payload_end(f, r, by);
}

static void
release(struct simulate_forge *f, struct repo *r, const struct person *by)
{
	int64_t id = forge_id(f);
	char tag[32], text[640];
	const char *org = r->org->login, *name = r->name;
	r->releases++;
	snprintf(tag, sizeof(tag), "v%u.%u.0", 1 + r->releases / 10, r->releases % 10);
	words_text(&f->prng, text, sizeof(text));
	payload_begin(f, "release", "published");
	payload_key(f, "release");
	template_put(&f->body,
		"{'url':'" API "/repos/%u/%u/releases/%i','assets_url':'" API
		"/repos/%u/%u/releases/%i/assets','upload_url':'" API
		"/repos/%u/%u/releases/%i/assets{?name,label}','html_url':'" WEB
		"/%u/%u/releases/tag/%u','id':%i,'author':",
		org, name, id, org, name, id, org, name, id, org, name, tag, id);
	shape_user(&f->body, by);
	template_put(&f->body,
		",'node_id':'RE_%i','tag_name':%s,'target_commitish':'main','name':%s,'draft':false"
		",'prerelease':%b,'created_at':%t,'published_at':%t,'assets':[],'tarball_url':'" API
		"/repos/%u/%u/tarball/%u','zipball_url':'" API
		"/repos/%u/%u/zipball/%u','body':%s}",
		id, tag, tag, prng_percent(&f->prng, 20), f->now_us, f->now_us, org, name, tag, org,
		name, tag, text);
	payload_end(f, r, by);
}

static void
member(struct simulate_forge *f, struct repo *r, const struct person *by)
{
	payload_begin(f, "member", "added");
	payload_key(f, "member");
	shape_user(&f->body, forge_person(f, by));
	template_put(&f->body, ",'changes':{'permission':{'to':'write'}}");
	payload_end(f, r, by);
}

static void
edited(struct simulate_forge *f, struct repo *r, const struct person *by)
{
	char old[128];
	snprintf(old, sizeof(old), "%s", r->description);
	words_title(&f->prng, r->description, sizeof(r->description));
	payload_begin(f, "repository", "edited");
	template_put(&f->body, ",'changes':{'description':{'from':%s}}", old);
	payload_end(f, r, by);
}

static void
renamed(struct simulate_forge *f, struct repo *r, const struct person *by)
{
	char old[48];
	snprintf(old, sizeof(old), "%s", r->name);
	/* A number behind the first name, so that names stay short however often this happens. */
	size_t index = (size_t)(r - f->repos);
	snprintf(r->name, sizeof(r->name), "%s-%u", words_repos[index],
		2 + prng_below(&f->prng, 98));
	payload_begin(f, "repository", "renamed");
	template_put(&f->body, ",'changes':{'repository':{'name':{'from':%s}}}", old);
	payload_end(f, r, by);
}

static void
label_edited(struct simulate_forge *f, struct repo *r, const struct person *by)
{
	size_t label = prng_below(&f->prng, WORDS_LABELS);
	payload_begin(f, "label", "edited");
	payload_key(f, "label");
	shape_label(&f->body, r, label);
	template_put(&f->body, ",'changes':{'color':{'from':'ffffff'}}");
	payload_end(f, r, by);
}

static void
forked(struct simulate_forge *f, struct repo *r, const struct person *by)
{
	int64_t id = forge_id(f);
	payload_begin(f, "fork", "");
	payload_key(f, "forkee");
	template_put(&f->body,
		"{'id':%i,'node_id':'R_%i','name':%s,'full_name':'%u/%u','private':false,'owner':",
		id, id, r->name, by->login, r->name);
	shape_user(&f->body, by);
	template_put(&f->body,
		",'html_url':'" WEB "/%u/%u','description':%s,'fork':true,'url':'" API
		"/repos/%u/%u','created_at':%t,'updated_at':%t,'pushed_at':%t,'size':0"
		",'stargazers_count':0,'language':null,'default_branch':'main','visibility':'"
		"public'"
		",'public':true}",
		by->login, r->name, r->description, by->login, r->name, f->now_us, f->now_us,
		r->pushed_us);
	payload_end(f, r, by);
}

void
visitor_act(struct simulate_forge *f, struct actor *actor)
{
	struct repo *r = forge_repo(f);
	const struct person *by = forge_person(f, NULL);
	unsigned chance = prng_below(&f->prng, 100);
	char tag[32];
	r->updated_us = f->now_us;
	if (chance < 64) {
		star(f, r, by);
	} else if (chance < 74) {
		release(f, r, by);
	} else if (chance < 82) {
		snprintf(tag, sizeof(tag), "tide-%" PRIu64, f->number);
		payload_ref(f, "create", r, by, tag, "tag");
	} else if (chance < 87) {
		member(f, r, by);
	} else if (chance < 92) {
		edited(f, r, by);
	} else if (chance < 95) {
		label_edited(f, r, by);
	} else if (chance < 98 && !r->is_private) {
		forked(f, r, by);
	} else {
		renamed(f, r, by);
	}
	forge_later(f, actor, VISITOR_MINUTES);
}
