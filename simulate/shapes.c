/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate/model.h"
#include "simulate/template.h"

void
shape_user(struct buf *out, const struct person *p)
{
	const char *login = p->login;
	static const char *const urls[][2] = {
		{ "followers_url", "/followers" },
		{ "following_url", "/following{/other_user}" },
		{ "gists_url", "/gists{/gist_id}" },
		{ "starred_url", "/starred{/owner}{/repo}" },
		{ "subscriptions_url", "/subscriptions" },
		{ "organizations_url", "/orgs" },
		{ "repos_url", "/repos" },
		{ "events_url", "/events{/privacy}" },
		{ "received_events_url", "/received_events" },
	};
	template_put(out,
		"{'login':%s,'id':%i,'node_id':'%u%i','avatar_url':'" WEB
		"/avatars/u/%i?v=4','gravatar_id':'','url':'" API "/users/%u','html_url':'" WEB
		"/%u%u'",
		login, p->id, p->bot ? "BOT_" : "U_", p->id, p->id, login, p->bot ? "apps/" : "",
		login);
	for (size_t i = 0; i < COUNT_OF(urls); i++)
		template_put(out, ",'%u':'" API "/users/%u%u'", urls[i][0], login, urls[i][1]);
	template_put(out, ",'type':%s,'user_view_type':'public','site_admin':false}",
		p->bot ? "Bot" : "User");
}

void
shape_user_or_null(struct buf *out, const struct person *p)
{
	if (p == NULL)
		buf_put_str(out, "null");
	else
		shape_user(out, p);
}

void
shape_org(struct buf *out, const struct org *o)
{
	template_put(out,
		"{'login':%s,'id':%i,'node_id':'O_%i','url':'" API "/orgs/%u','repos_url':'" API
		"/orgs/%u/repos','events_url':'" API "/orgs/%u/events','hooks_url':'" API
		"/orgs/%u/hooks','issues_url':'" API "/orgs/%u/issues','members_url':'" API
		"/orgs/%u/members{/member}','public_members_url':'" API
		"/orgs/%u/public_members{/member}','avatar_url':'" WEB
		"/avatars/u/%i?v=4','description':'Tools for people near water'}",
		o->login, o->id, o->id, o->login, o->login, o->login, o->login, o->login, o->login,
		o->login, o->id);
}

/* The account of an organization, as the owner of a repository. */
static void
put_owner(struct buf *out, const struct org *o, bool push)
{
	static const char *const urls[][2] = {
		{ "followers_url", "/followers" },
		{ "following_url", "/following{/other_user}" },
		{ "gists_url", "/gists{/gist_id}" },
		{ "starred_url", "/starred{/owner}{/repo}" },
		{ "subscriptions_url", "/subscriptions" },
		{ "organizations_url", "/orgs" },
		{ "repos_url", "/repos" },
		{ "events_url", "/events{/privacy}" },
		{ "received_events_url", "/received_events" },
	};
	buf_put_char(out, '{');
	if (push)
		template_put(out, "'name':%s,'email':null,", o->login);
	template_put(out,
		"'login':%s,'id':%i,'node_id':'O_%i','avatar_url':'" WEB
		"/avatars/u/%i?v=4','gravatar_id':'','url':'" API "/users/%u','html_url':'" WEB
		"/%u'",
		o->login, o->id, o->id, o->id, o->login, o->login);
	for (size_t i = 0; i < COUNT_OF(urls); i++)
		template_put(out, ",'%u':'" API "/users/%u%u'", urls[i][0], o->login, urls[i][1]);
	template_put(out, ",'type':'Organization','user_view_type':'public','site_admin':false}");
}

static const char *const repo_urls[][2] = {
	{ "forks_url", "/forks" },
	{ "keys_url", "/keys{/key_id}" },
	{ "collaborators_url", "/collaborators{/collaborator}" },
	{ "teams_url", "/teams" },
	{ "hooks_url", "/hooks" },
	{ "issue_events_url", "/issues/events{/number}" },
	{ "events_url", "/events" },
	{ "assignees_url", "/assignees{/user}" },
	{ "branches_url", "/branches{/branch}" },
	{ "tags_url", "/tags" },
	{ "blobs_url", "/git/blobs{/sha}" },
	{ "git_tags_url", "/git/tags{/sha}" },
	{ "git_refs_url", "/git/refs{/sha}" },
	{ "trees_url", "/git/trees{/sha}" },
	{ "statuses_url", "/statuses/{sha}" },
	{ "languages_url", "/languages" },
	{ "stargazers_url", "/stargazers" },
	{ "contributors_url", "/contributors" },
	{ "subscribers_url", "/subscribers" },
	{ "subscription_url", "/subscription" },
	{ "commits_url", "/commits{/sha}" },
	{ "git_commits_url", "/git/commits{/sha}" },
	{ "comments_url", "/comments{/number}" },
	{ "issue_comment_url", "/issues/comments{/number}" },
	{ "contents_url", "/contents/{+path}" },
	{ "compare_url", "/compare/{base}...{head}" },
	{ "merges_url", "/merges" },
	{ "archive_url", "/{archive_format}{/ref}" },
	{ "downloads_url", "/downloads" },
	{ "issues_url", "/issues{/number}" },
	{ "pulls_url", "/pulls{/number}" },
	{ "milestones_url", "/milestones{/number}" },
	{ "notifications_url", "/notifications{?since,all,participating}" },
	{ "labels_url", "/labels{/name}" },
	{ "releases_url", "/releases{/id}" },
	{ "deployments_url", "/deployments" },
};

void
shape_repo(struct buf *out, const struct repo *r, enum repo_form form)
{
	bool push = form == REPO_PUSH;
	const char *org = r->org->login, *name = r->name;
	template_put(out,
		"{'id':%i,'node_id':'R_%i','name':%s,'full_name':'%u/%u','private':%b,'owner':",
		r->id, r->id, name, org, name, r->is_private);
	put_owner(out, r->org, push);
	template_put(out,
		",'html_url':'" WEB "/%u/%u','description':%s,'fork':false,'url':'%u/%u/%u'", org,
		name, r->description, push ? WEB : API "/repos", org, name);
	for (size_t i = 0; i < COUNT_OF(repo_urls); i++)
		template_put(out, ",'%u':'" API "/repos/%u/%u%u'", repo_urls[i][0], org, name,
			repo_urls[i][1]);
	if (form == REPO_MINIMAL) {
		buf_put_char(out, '}');
		return;
	}
	/* In push events two of the three times are numbers of seconds. */
	if (push)
		template_put(out, ",'created_at':%i,'updated_at':%t,'pushed_at':%i",
			r->created_us / 1000000, r->updated_us, r->pushed_us / 1000000);
	else
		template_put(out, ",'created_at':%t,'updated_at':%t,'pushed_at':%t", r->created_us,
			r->updated_us, r->pushed_us);
	template_put(out,
		",'git_url':'git://forge.example/%u/%u.git','ssh_url':'git@forge.example:%u/%u.git'"
		",'clone_url':'" WEB "/%u/%u.git','svn_url':'" WEB
		"/%u/%u','homepage':null,'size':%i"
		",'stargazers_count':%i,'watchers_count':%i,'language':%s,'has_issues':true"
		",'has_projects':true,'has_downloads':true,'has_wiki':false,'has_pages':false"
		",'has_discussions':false,'forks_count':0,'mirror_url':null,'archived':false"
		",'disabled':false,'open_issues_count':%i,'license':{'key':'apache-2.0','name':'"
		"Apache "
		"License 2.0','spdx_id':'Apache-2.0','url':'" API
		"/licenses/apache-2.0','node_id':'L_2'},'allow_forking':true,'is_template':false"
		",'web_commit_signoff_required':false,'topics':['water','%u'],'visibility':%s,'"
		"forks':0"
		",'open_issues':%i,'watchers':%i,'default_branch':'main'",
		org, name, org, name, org, name, org, name, r->size, r->stars, r->stars,
		r->language, r->open_issues, org, r->is_private ? "private" : "public",
		r->open_issues, r->stars);
	if (push)
		template_put(out, ",'stargazers':%i,'master_branch':'main','organization':%s",
			r->stars, org);
	else
		template_put(out, ",'custom_properties':{}");
	buf_put_char(out, '}');
}

void
shape_label(struct buf *out, const struct repo *r, size_t index)
{
	char encoded[96];
	size_t n = 0;
	for (const char *p = words_labels[index]; *p != '\0'; p++) {
		encoded[n++] = *p == ' ' ? '%' : *p;
		if (*p == ' ') {
			encoded[n++] = '2';
			encoded[n++] = '0';
		}
	}
	encoded[n] = '\0';
	template_put(out,
		"{'id':%i,'node_id':'LA_%i','url':'" API
		"/repos/%u/%u/labels/%u','name':%s,'color':%s,'default':false,'description':null}",
		r->label_ids[index], r->label_ids[index], r->org->login, r->name, encoded,
		words_labels[index], words_colors[index]);
}

void
shape_labels(struct buf *out, const struct repo *r, unsigned labels)
{
	bool first = true;
	buf_put_char(out, '[');
	for (size_t i = 0; i < WORDS_LABELS; i++) {
		if ((labels & (1u << i)) == 0)
			continue;
		buf_put_str(out, first ? "" : ",");
		shape_label(out, r, i);
		first = false;
	}
	buf_put_char(out, ']');
}

const char *
shape_association(const struct person *p)
{
	static const char *const names[] = { "MEMBER", "CONTRIBUTOR", "COLLABORATOR" };
	return p->bot ? "NONE" : names[p->id % 3];
}

/* "a":<user>,"b":[<user>]: the assignee in its old and new form. */
static void
put_assignee(struct buf *out, const struct person *assignee)
{
	template_put(out, ",'assignee':");
	shape_user_or_null(out, assignee);
	template_put(out, ",'assignees':[");
	if (assignee != NULL)
		shape_user(out, assignee);
	buf_put_char(out, ']');
}

static void
put_branch(struct buf *out, const struct pull *p, const char *key, const char *ref, const char *sha)
{
	template_put(out, ",'%u':{'label':'%u:%u','ref':%s,'sha':%s,'user':", key,
		p->repo->org->login, ref, ref, sha);
	put_owner(out, p->repo->org, false);
	template_put(out, ",'repo':");
	shape_repo(out, p->repo, REPO_FULL);
	buf_put_char(out, '}');
}

static void
put_pull_links(struct buf *out, const struct pull *p)
{
	static const char *const links[][3] = {
		{ "self", "pulls", "" },
		{ "issue", "issues", "" },
		{ "comments", "issues", "/comments" },
		{ "review_comments", "pulls", "/comments" },
		{ "commits", "pulls", "/commits" },
	};
	const char *org = p->repo->org->login, *name = p->repo->name;
	template_put(
		out, ",'_links':{'html':{'href':'" WEB "/%u/%u/pull/%i'}", org, name, p->number);
	for (size_t i = 0; i < COUNT_OF(links); i++)
		template_put(out, ",'%u':{'href':'" API "/repos/%u/%u/%u/%i%u'}", links[i][0], org,
			name, links[i][1], p->number, links[i][2]);
	template_put(out,
		",'review_comment':{'href':'" API "/repos/%u/%u/pulls/comments{/number}'}"
		",'statuses':{'href':'" API "/repos/%u/%u/statuses/%u'}}",
		org, name, org, name, p->head_sha);
}

static void
put_pull_head(struct buf *out, const struct pull *p)
{
	const char *org = p->repo->org->login, *name = p->repo->name;
	template_put(out,
		"{'url':'" API "/repos/%u/%u/pulls/%i','id':%i,'node_id':'PR_%i','html_url':'" WEB
		"/%u/%u/pull/%i','diff_url':'" WEB "/%u/%u/pull/%i.diff','patch_url':'" WEB
		"/%u/%u/pull/%i.patch','issue_url':'" API "/repos/%u/%u/issues/%i','number':%i"
		",'state':%s,'locked':false,'title':%s,'user':",
		org, name, p->number, p->id, p->id, org, name, p->number, org, name, p->number, org,
		name, p->number, org, name, p->number, p->number, p->open ? "open" : "closed",
		p->title);
	shape_user(out, p->author);
	template_put(out,
		",'body':%s,'created_at':%t,'updated_at':%t,'closed_at':%t,'merged_at':%t"
		",'merge_commit_sha':%s",
		p->body[0] == '\0' ? NULL : p->body, p->created_us, p->updated_us, p->closed_us,
		p->merged_us, p->merge_sha[0] == '\0' ? NULL : p->merge_sha);
}

static void
put_auto_merge(struct buf *out, const struct pull *p)
{
	template_put(out, ",'author_association':%s,'auto_merge':", shape_association(p->author));
	if (!p->auto_merge) {
		buf_put_str(out, "null");
		return;
	}
	template_put(out, "{'enabled_by':");
	shape_user(out, p->author);
	template_put(
		out, ",'merge_method':'squash','commit_title':%s,'commit_message':null}", p->title);
}

void
shape_pull(struct buf *out, const struct pull *p, bool full)
{
	const char *org = p->repo->org->login, *name = p->repo->name;
	put_pull_head(out, p);
	put_assignee(out, p->assignee);
	template_put(out, ",'requested_reviewers':[");
	for (size_t i = 0; i < p->reviewer_count; i++) {
		buf_put_str(out, i == 0 ? "" : ",");
		shape_user(out, p->reviewers[i]);
	}
	template_put(out, "],'requested_teams':[],'labels':");
	shape_labels(out, p->repo, p->labels);
	template_put(out,
		",'milestone':null,'draft':%b,'commits_url':'" API
		"/repos/%u/%u/pulls/%i/commits','review_comments_url':'" API
		"/repos/%u/%u/pulls/%i/comments','review_comment_url':'" API
		"/repos/%u/%u/pulls/comments{/number}','comments_url':'" API
		"/repos/%u/%u/issues/%i/comments','statuses_url':'" API "/repos/%u/%u/statuses/%u'",
		p->draft, org, name, p->number, org, name, p->number, org, name, org, name,
		p->number, org, name, p->head_sha);
	put_branch(out, p, "head", p->head_ref, p->head_sha);
	put_branch(out, p, "base", "main", p->base_sha);
	put_pull_links(out, p);
	put_auto_merge(out, p);
	template_put(out, ",'active_lock_reason':null");
	if (full) {
		template_put(out,
			",'merged':%b,'mergeable':%u,'rebaseable':%u,'mergeable_state':%s",
			p->merged, p->merged ? "null" : "true", p->merged ? "null" : "true",
			p->draft    ? "draft"
			: p->merged ? "unknown"
				    : "clean");
		template_put(out, ",'merged_by':");
		shape_user_or_null(out, p->merged_by);
		template_put(out,
			",'comments':%i,'review_comments':%i,'maintainer_can_modify':false,'"
			"commits':%i"
			",'additions':%i,'deletions':%i,'changed_files':%i",
			p->comments, p->review_comments, p->commits, p->additions, p->deletions,
			p->changed_files);
	}
	buf_put_char(out, '}');
}

/* Up to the assignees: what an issue and a pull request as issue have in common. */
static void
put_issue_head(struct buf *out, const struct repo *r, int64_t id, int64_t number, bool pull,
	const char *title, const struct person *author, unsigned labels)
{
	const char *org = r->org->login, *name = r->name;
	template_put(out,
		"{'url':'" API "/repos/%u/%u/issues/%i','repository_url':'" API
		"/repos/%u/%u','labels_url':'" API
		"/repos/%u/%u/issues/%i/labels{/name}','comments_url':'" API
		"/repos/%u/%u/issues/%i/comments','events_url':'" API
		"/repos/%u/%u/issues/%i/events','html_url':'" WEB
		"/%u/%u/%u/%i','id':%i,'node_id':'%u%i','number':%i,'title':%s,'user':",
		org, name, number, org, name, org, name, number, org, name, number, org, name,
		number, org, name, pull ? "pull" : "issues", number, id, pull ? "PR_" : "I_", id,
		number, title);
	shape_user(out, author);
	template_put(out, ",'labels':");
	shape_labels(out, r, labels);
}

static void
put_issue_tail(struct buf *out, const struct repo *r, int64_t number, const char *body,
	const char *state_reason)
{
	const char *org = r->org->login, *name = r->name;
	template_put(out,
		",'body':%s,'reactions':{'url':'" API "/repos/%u/%u/issues/%i/"
		"reactions','total_count':0,'+1':0,'-1':0,'laugh':0,'hooray':0"
		",'confused':0,'heart':0,'rocket':0,'eyes':0},'timeline_url':'" API
		"/repos/%u/%u/issues/%i/"
		"timeline','performed_via_github_app':null,'state_reason':%s}",
		body[0] == '\0' ? NULL : body, org, name, number, org, name, number, state_reason);
}

void
shape_issue(struct buf *out, const struct issue *i)
{
	put_issue_head(out, i->repo, i->id, i->number, false, i->title, i->author, i->labels);
	template_put(out, ",'state':%s,'locked':false", i->open ? "open" : "closed");
	put_assignee(out, i->assignee);
	template_put(out,
		",'milestone':null,'comments':%i,'created_at':%t,'updated_at':%t,'closed_at':%t"
		",'author_association':%s,'type':null,'active_lock_reason':null",
		i->comments, i->created_us, i->updated_us, i->closed_us,
		shape_association(i->author));
	put_issue_tail(out, i->repo, i->number, i->body, i->state_reason);
}

void
shape_pull_as_issue(struct buf *out, const struct pull *p)
{
	const char *org = p->repo->org->login, *name = p->repo->name;
	/* A pull request has an id as an issue, too; it is never the id of the pull request. */
	put_issue_head(out, p->repo, p->id + 1, p->number, true, p->title, p->author, p->labels);
	template_put(out, ",'state':%s,'locked':false", p->open ? "open" : "closed");
	put_assignee(out, p->assignee);
	template_put(out,
		",'milestone':null,'comments':%i,'created_at':%t,'updated_at':%t,'closed_at':%t"
		",'author_association':%s,'active_lock_reason':null,'draft':%b,'pull_request':{'"
		"url':'" API "/repos/%u/%u/pulls/%i','html_url':'" WEB
		"/%u/%u/pull/%i','diff_url':'" WEB "/%u/%u/pull/%i.diff','patch_url':'" WEB
		"/%u/%u/pull/%i.patch','merged_at':%t}",
		p->comments, p->created_us, p->updated_us, p->closed_us,
		shape_association(p->author), p->draft, org, name, p->number, org, name, p->number,
		org, name, p->number, org, name, p->number, p->merged_us);
	put_issue_tail(out, p->repo, p->number, p->body, NULL);
}
