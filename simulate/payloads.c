/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate/model.h"
#include "simulate/template.h"

void
payload_begin(struct simulate_forge *f, const char *event, const char *action)
{
	f->event = event;
	f->action = action;
	buf_clear(&f->body);
	buf_put_char(&f->body, '{');
	if (action[0] != '\0')
		template_put(&f->body, "'action':%s", action);
}

void
payload_key(struct simulate_forge *f, const char *key)
{
	template_put(&f->body, f->body.len > 1 ? ",'%u':" : "'%u':", key);
}

void
payload_end(struct simulate_forge *f, const struct repo *repo, const struct person *sender)
{
	payload_key(f, "repository");
	shape_repo(&f->body, repo, strcmp(f->event, "push") == 0 ? REPO_PUSH : REPO_FULL);
	payload_key(f, "organization");
	shape_org(&f->body, repo->org);
	payload_key(f, "sender");
	shape_user(&f->body, sender);
	buf_put_char(&f->body, '}');
}

void
payload_ping(struct simulate_forge *f)
{
	payload_begin(f, "ping", "");
	template_put(&f->body,
		"'zen':'A rope is a list of good knots.','hook_id':%i,'hook':{'type':'Organization'"
		",'id':%i,'name':'web','active':true,'events':['*'],'config':{'content_type':'json'"
		",'insecure_ssl':'0','secret':'********','url':'" WEB "/in'},'updated_at':%t"
		",'created_at':%t,'url':'" API "/orgs/%u/hooks/%i','ping_url':'" API
		"/orgs/%u/hooks/%i/pings','deliveries_url':'" API "/orgs/%u/hooks/%i/deliveries'}",
		f->hook_id, f->hook_id, f->now_us, f->now_us, f->orgs[0].login, f->hook_id,
		f->orgs[0].login, f->hook_id, f->orgs[0].login, f->hook_id);
	payload_key(f, "organization");
	shape_org(&f->body, &f->orgs[0]);
	payload_key(f, "sender");
	shape_user(&f->body, &f->people[0]);
	buf_put_char(&f->body, '}');
}

void
payload_pull(struct simulate_forge *f, const char *action, const struct pull *p)
{
	payload_begin(f, "pull_request", action);
	template_put(&f->body, ",'number':%i", p->number);
	payload_key(f, "pull_request");
	shape_pull(&f->body, p, true);
}

/* %-encoding is not needed: the ids are numbers. */
static void
put_review_links(struct buf *out, const struct pull *p, const char *anchor, int64_t id)
{
	template_put(out,
		",'_links':{'html':{'href':'" WEB
		"/%u/%u/pull/%i#%u%i'},'pull_request':{'href':'" API "/repos/%u/%u/pulls/%i'}}",
		p->repo->org->login, p->repo->name, p->number, anchor, id, p->repo->org->login,
		p->repo->name, p->number);
}

void
payload_review(
	struct simulate_forge *f, const struct pull *p, const struct person *by, const char *state)
{
	int64_t id = forge_id(f);
	char text[640];
	words_text(&f->prng, text, sizeof(text));
	payload_begin(f, "pull_request_review", "submitted");
	payload_key(f, "review");
	template_put(&f->body, "{'id':%i,'node_id':'PRR_%i','user':", id, id);
	shape_user(&f->body, by);
	template_put(&f->body,
		",'body':%s,'commit_id':%s,'submitted_at':%t,'updated_at':%t,'state':%s,'html_url':"
		"'" WEB "/%u/%u/pull/%i#pullrequestreview-%i','pull_request_url':'" API
		"/repos/%u/%u/pulls/%i','author_association':%s",
		strcmp(state, "approved") == 0 ? NULL : text, p->head_sha, f->now_us, f->now_us,
		state, p->repo->org->login, p->repo->name, p->number, id, p->repo->org->login,
		p->repo->name, p->number, shape_association(by));
	put_review_links(&f->body, p, "pullrequestreview-", id);
	buf_put_char(&f->body, '}');
	payload_key(f, "pull_request");
	shape_pull(&f->body, p, false);
	payload_end(f, p->repo, by);
}

void
payload_review_comment(struct simulate_forge *f, const struct pull *p, const struct person *by)
{
	int64_t id = forge_id(f), review = forge_id(f);
	int64_t line = 1 + prng_below(&f->prng, 400);
	char text[640], file[128];
	const char *org = p->repo->org->login, *name = p->repo->name;
	words_text(&f->prng, text, sizeof(text));
	words_file(&f->prng, file, sizeof(file));
	payload_begin(f, "pull_request_review_comment", "created");
	payload_key(f, "comment");
	template_put(&f->body,
		"{'url':'" API "/repos/%u/%u/pulls/comments/%i','pull_request_review_id':%i,'id':%i"
		",'node_id':'PRRC_%i','diff_hunk':'@@ -%i,4 +%i,6 @@ gauge_read(void)','path':%s"
		",'commit_id':%s,'original_commit_id':%s,'user':",
		org, name, id, review, id, id, line, line, file, p->head_sha, p->head_sha);
	shape_user(&f->body, by);
	template_put(&f->body,
		",'body':%s,'created_at':%t,'updated_at':%t,'html_url':'" WEB
		"/%u/%u/pull/%i#discussion_r%i','pull_request_url':'" API
		"/repos/%u/%u/pulls/%i','author_association':%s",
		text, f->now_us, f->now_us, org, name, p->number, id, org, name, p->number,
		shape_association(by));
	put_review_links(&f->body, p, "discussion_r", id);
	template_put(&f->body,
		",'start_line':null,'original_start_line':null,'start_side':null,'line':%i"
		",'original_line':%i,'side':'RIGHT','original_position':%i,'position':%i"
		",'subject_type':'line'}",
		line, line, line % 7 + 1, line % 7 + 1);
	payload_key(f, "pull_request");
	shape_pull(&f->body, p, false);
	payload_end(f, p->repo, by);
}

void
payload_comment(struct simulate_forge *f, const struct issue *issue, const struct pull *pull,
	const struct person *by)
{
	const struct repo *r = issue != NULL ? issue->repo : pull->repo;
	int64_t number = issue != NULL ? issue->number : pull->number;
	int64_t id = forge_id(f);
	char text[640];
	words_text(&f->prng, text, sizeof(text));
	payload_begin(f, "issue_comment", "created");
	payload_key(f, "issue");
	if (issue != NULL)
		shape_issue(&f->body, issue);
	else
		shape_pull_as_issue(&f->body, pull);
	payload_key(f, "comment");
	template_put(&f->body,
		"{'url':'" API "/repos/%u/%u/issues/comments/%i','html_url':'" WEB
		"/%u/%u/%u/%i#issuecomment-%i','issue_url':'" API
		"/repos/%u/%u/issues/%i','id':%i,'node_id':'IC_%i','user':",
		r->org->login, r->name, id, r->org->login, r->name,
		issue != NULL ? "issues" : "pull", number, id, r->org->login, r->name, number, id,
		id);
	shape_user(&f->body, by);
	template_put(&f->body,
		",'created_at':%t,'updated_at':%t,'author_association':%s,'body':%s"
		",'performed_via_github_app':null}",
		f->now_us, f->now_us, shape_association(by), text);
	payload_end(f, r, by);
}

void
payload_issue(struct simulate_forge *f, const char *action, const struct issue *i)
{
	payload_begin(f, "issues", action);
	payload_key(f, "issue");
	shape_issue(&f->body, i);
}

static void
put_commit(struct simulate_forge *f, const struct push *push, const char *sha, const char *tree,
	const char *message, int64_t at_us)
{
	const struct repo *r = push->repo;
	char file[128], other[128];
	words_file(&f->prng, file, sizeof(file));
	words_file(&f->prng, other, sizeof(other));
	template_put(&f->body,
		"{'id':%s,'tree_id':%s,'distinct':true,'message':%s,'timestamp':%t,'url':'" WEB
		"/%u/%u/commit/%u'",
		sha, tree, message, at_us, r->org->login, r->name, sha);
	static const char *const roles[] = { "author", "committer" };
	for (size_t i = 0; i < COUNT_OF(roles); i++)
		template_put(&f->body,
			",'%u':{'name':%s,'email':'%i+%u@mail.forge.example','username':%s}",
			roles[i], push->by->login, push->by->id,
			push->by->bot ? "bot" : push->by->login, push->by->login);
	bool adds = prng_percent(&f->prng, 20);
	if (adds)
		template_put(&f->body, ",'added':[%s],'removed':[],'modified':[%s]}", file, other);
	else
		template_put(&f->body, ",'added':[],'removed':[],'modified':[%s]}", other);
}

void
payload_push(struct simulate_forge *f, const struct push *push)
{
	const struct repo *r = push->repo;
	const char *org = r->org->login;
	struct prng at_head = f->prng;
	char sha[SHA_BYTES], tree[SHA_BYTES], message[160];
	payload_begin(f, "push", "");
	template_put(&f->body,
		"'ref':%s,'before':%s,'after':%s,'pusher':{'name':%s,'email':null},'created':%b"
		",'deleted':false,'forced':false,'base_ref':null,'compare':'" WEB
		"/%u/%u/compare/%u...%u'",
		push->ref, push->before, push->after, push->by->login, push->created, org, r->name,
		push->before, push->after);
	payload_key(f, "commits");
	buf_put_char(&f->body, '[');
	for (unsigned i = 0; i < push->commits; i++) {
		bool last = i + 1 == push->commits;
		int64_t at_us = f->now_us - (int64_t)(push->commits - i) * 60000000;
		buf_put_str(&f->body, i == 0 ? "" : ",");
		if (last)
			snprintf(sha, sizeof(sha), "%s", push->after);
		else
			forge_sha(f, sha);
		forge_sha(f, tree);
		if (last)
			snprintf(message, sizeof(message), "%s", push->message);
		else
			words_title(&f->prng, message, sizeof(message));
		at_head = f->prng;
		put_commit(f, push, sha, tree, message, at_us);
	}
	buf_put_char(&f->body, ']');
	payload_key(f, "head_commit");
	if (push->commits == 0) {
		buf_put_str(&f->body, "null");
	} else {
		/* The same chances again: the head is the last commit to the letter. */
		f->prng = at_head;
		put_commit(f, push, sha, tree, message, f->now_us - 60000000);
	}
	payload_end(f, r, push->by);
}

void
payload_ref(struct simulate_forge *f, const char *event, const struct repo *repo,
	const struct person *by, const char *ref, const char *ref_type)
{
	payload_begin(f, event, "");
	template_put(&f->body, "'ref':%s,'ref_type':%s", ref, ref_type);
	if (strcmp(event, "create") == 0)
		template_put(
			&f->body, ",'master_branch':'main','description':%s", repo->description);
	template_put(&f->body, ",'pusher_type':'user'");
	payload_end(f, repo, by);
}
