/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate/model.h"
#include "simulate/template.h"

/* Payloads of continuous integration: one commit goes through PIPELINE_STAGES events. */

static const struct {
	const char *event, *action;
	const char *status; /* of the object; "pending" and "" for a commit status: its state */
} stages[PIPELINE_STAGES] = {
	{ "workflow_run", "requested", "queued" },
	{ "workflow_job", "queued", "queued" },
	{ "check_run", "created", "queued" },
	{ "workflow_run", "in_progress", "in_progress" },
	{ "workflow_job", "in_progress", "in_progress" },
	{ "status", "", "pending" },
	{ "workflow_job", "completed", "completed" },
	{ "check_run", "completed", "completed" },
	{ "status", "", "completed" },
	{ "check_suite", "completed", "completed" },
	{ "workflow_run", "completed", "completed" },
};

static const char *
conclusion(const struct pipeline *p, const char *status)
{
	if (strcmp(status, "completed") != 0)
		return NULL;
	return p->success ? "success" : "failure";
}

static void
put_pulls(struct buf *out, const struct pipeline *p)
{
	const struct repo *r = p->repo;
	template_put(out, ",'pull_requests':[");
	if (p->pull_id != 0)
		template_put(out,
			"{'url':'" API
			"/repos/%u/%u/pulls/%i','id':%i,'number':%i,'head':{'ref':%s,'sha':%s"
			",'repo':{'id':%i,'url':'" API "/repos/%u/"
			"%u','name':%s}},'base':{'ref':'main','sha':%s,'repo':{'id':%i,'url':'" API
			"/repos/%u/%u','name':%s}}}",
			r->org->login, r->name, p->pull_number, p->pull_id, p->pull_number,
			p->branch, p->sha, r->id, r->org->login, r->name, r->name, r->head_sha,
			r->id, r->org->login, r->name, r->name);
	buf_put_char(out, ']');
}

static void
put_app(struct buf *out, const struct pipeline *p)
{
	template_put(out, ",'app':{'id':4071,'client_id':'Iv.slipway','slug':'slipway','node_id':'"
			  "A_4071','owner':");
	shape_org(out, p->repo->org);
	template_put(out,
		",'name':'Slipway','description':'Builds boats and programs','external_url':'" WEB
		"/slipway','html_url':'" WEB "/apps/slipway','created_at':%t,'updated_at':%t"
		",'permissions':{'checks':'write','contents':'read','metadata':'read'}"
		",'events':['check_run','check_suite']}",
		p->repo->created_us, p->repo->created_us);
}

static void
put_head_commit(struct buf *out, const struct pipeline *p)
{
	template_put(out,
		",'head_commit':{'id':%s,'tree_id':%s,'message':%s,'timestamp':%t"
		",'author':{'name':%s,'email':'%i@mail.forge.example'}"
		",'committer':{'name':%s,'email':'%i@mail.forge.example'}}",
		p->sha, p->sha, p->message, p->created_us, p->actor->login, p->actor->id,
		p->actor->login, p->actor->id);
}

static void
put_run(struct buf *out, const struct pipeline *p, const char *status)
{
	const char *org = p->repo->org->login, *name = p->repo->name;
	template_put(out,
		"{'id':%i,'name':'sea trial','node_id':'WFR_%i','head_branch':%s,'head_sha':%s"
		",'path':'.forge/workflows/"
		"sea-trial.yml','display_title':%s,'run_number':%i,'event':%s"
		",'status':%s,'conclusion':%s,'workflow_id':%i,'check_suite_id':%i"
		",'check_suite_node_id':'CS_%i','url':'" API
		"/repos/%u/%u/actions/runs/%i','html_url':'" WEB "/%u/%u/actions/runs/%i'",
		p->run_id, p->run_id, p->branch, p->sha, p->message, p->run_number,
		p->pull_id != 0 ? "pull_request" : "push", status, conclusion(p, status),
		p->repo->workflow_id, p->suite_id, p->suite_id, org, name, p->run_id, org, name,
		p->run_id);
	put_pulls(out, p);
	template_put(
		out, ",'created_at':%t,'updated_at':%t,'actor':", p->created_us, p->updated_us);
	shape_user(out, p->actor);
	template_put(out,
		",'run_attempt':%i,'referenced_workflows':[],'run_started_at':%t,'triggering_actor'"
		":",
		p->attempt, p->started_us);
	shape_user(out, p->actor);
	static const char *const urls[] = { "jobs", "logs", "artifacts", "cancel", "rerun" };
	for (size_t i = 0; i < COUNT_OF(urls); i++)
		template_put(out, ",'%u_url':'" API "/repos/%u/%u/actions/runs/%i/%u'", urls[i],
			org, name, p->run_id, urls[i]);
	template_put(out,
		",'check_suite_url':'" API
		"/repos/%u/%u/check-suites/%i','previous_attempt_url':null"
		",'workflow_url':'" API "/repos/%u/%u/actions/workflows/%i'",
		org, name, p->suite_id, org, name, p->repo->workflow_id);
	put_head_commit(out, p);
	template_put(out, ",'repository':");
	shape_repo(out, p->repo, REPO_MINIMAL);
	template_put(out, ",'head_repository':");
	shape_repo(out, p->repo, REPO_MINIMAL);
	buf_put_char(out, '}');
}

static void
put_workflow(struct buf *out, const struct pipeline *p)
{
	const char *org = p->repo->org->login, *name = p->repo->name;
	int64_t id = p->repo->workflow_id;
	template_put(out,
		"{'id':%i,'node_id':'W_%i','name':'sea "
		"trial','path':'.forge/workflows/sea-trial.yml'"
		",'state':'active','created_at':%t,'updated_at':%t,'url':'" API
		"/repos/%u/%u/actions/workflows/%i','html_url':'" WEB
		"/%u/%u/blob/main/.forge/workflows/sea-trial.yml','badge_url':'" WEB
		"/%u/%u/workflows/sea%%20trial/badge.svg'}",
		id, id, p->repo->created_us, p->repo->created_us, org, name, id, org, name, org,
		name);
}

static void
put_job(struct buf *out, const struct pipeline *p, const char *status)
{
	const char *org = p->repo->org->login, *name = p->repo->name;
	bool queued = strcmp(status, "queued") == 0, done = strcmp(status, "completed") == 0;
	template_put(out,
		"{'id':%i,'run_id':%i,'workflow_name':'sea trial','head_branch':%s,'run_url':'" API
		"/repos/%u/%u/actions/runs/"
		"%i','run_attempt':%i,'node_id':'CR_%i','head_sha':%s,'url':'" API
		"/repos/%u/%u/actions/jobs/%i','html_url':'" WEB
		"/%u/%u/actions/runs/%i/job/%i','status':%s,'conclusion':%s,'created_at':%t"
		",'started_at':%t,'completed_at':%t,'name':'build on pier two','steps':[",
		p->job_id, p->run_id, p->branch, org, name, p->run_id, p->attempt, p->job_id,
		p->sha, org, name, p->job_id, org, name, p->run_id, p->job_id, status,
		conclusion(p, status), p->created_us, queued ? p->created_us : p->started_us,
		done ? p->completed_us : 0);
	static const char *const steps[] = { "Lower the boat", "Build", "Row twice around",
		"Report" };
	for (size_t i = 0; !queued && i < COUNT_OF(steps); i++)
		template_put(out,
			"%u{'name':%s,'status':%s,'conclusion':%s,'number':%i,'started_at':%t,'"
			"completed_at':%t}",
			i == 0 ? "" : ",", steps[i], done ? "completed" : "in_progress",
			done ? (p->success || i != 2 ? "success" : "failure") : NULL,
			(int64_t)i + 1, p->started_us, done ? p->completed_us : 0);
	template_put(out,
		"],'check_run_url':'" API "/repos/%u/%u/check-runs/%i','labels':['pier-two','x64']"
		",'runner_id':%n,'runner_name':%s,'runner_group_id':%n,'runner_group_name':%s}",
		org, name, p->check_id, queued ? (int64_t)0 : (int64_t)17,
		queued ? NULL : "barge-17", queued ? (int64_t)0 : (int64_t)1,
		queued ? NULL : "Default");
}

static void
put_suite(struct buf *out, const struct pipeline *p, const char *status)
{
	const char *org = p->repo->org->login, *name = p->repo->name;
	template_put(out,
		"{'id':%i,'node_id':'CS_%i','head_branch':%s,'head_sha':%s,'status':%s,'conclusion'"
		":%s"
		",'url':'" API "/repos/%u/%u/check-suites/%i','before':%s,'after':%s",
		p->suite_id, p->suite_id, p->branch, p->sha, status, conclusion(p, status), org,
		name, p->suite_id, p->repo->head_sha, p->sha);
	put_pulls(out, p);
	put_app(out, p);
	template_put(out,
		",'created_at':%t,'updated_at':%t,'rerequestable':true,'runs_rerequestable':false"
		",'latest_check_runs_count':1,'check_runs_url':'" API
		"/repos/%u/%u/check-suites/%i/check-runs'",
		p->created_us, p->updated_us, org, name, p->suite_id);
	put_head_commit(out, p);
	buf_put_char(out, '}');
}

static void
put_check(struct buf *out, const struct pipeline *p, const char *status)
{
	const char *org = p->repo->org->login, *name = p->repo->name;
	bool done = strcmp(status, "completed") == 0;
	template_put(out,
		"{'id':%i,'name':'build on pier "
		"two','node_id':'CR_%i','head_sha':%s,'external_id':'%i'"
		",'url':'" API "/repos/%u/%u/check-runs/%i','html_url':'" WEB
		"/%u/%u/runs/%i','details_url':'" WEB "/%u/%u/actions/runs/"
		"%i','status':%s,'conclusion':%s,'started_at':%t,'completed_at':%t"
		",'output':{'title':%s,'summary':%s,'text':null,'annotations_count':0,'annotations_"
		"url':'" API "/repos/%u/%u/check-runs/%i/annotations'},'check_suite':",
		p->check_id, p->check_id, p->sha, p->check_id, org, name, p->check_id, org, name,
		p->check_id, org, name, p->run_id, status, conclusion(p, status), p->started_us,
		done ? p->completed_us : 0, done ? "Sea trial" : NULL,
		done ? (p->success ? "She floats." : "She leaks at the bow.") : NULL, org, name,
		p->check_id);
	put_suite(out, p, done ? "completed" : "in_progress");
	put_app(out, p);
	put_pulls(out, p);
	buf_put_char(out, '}');
}

static void
put_status(struct simulate_forge *f, const struct pipeline *p, const char *status)
{
	const char *org = p->repo->org->login, *name = p->repo->name;
	const char *state = conclusion(p, status);
	/* Each state of a context is an object of its own. */
	int64_t id = p->status_id + (state != NULL);
	template_put(&f->body,
		"'id':%i,'sha':%s,'name':'%u/%u','target_url':'" WEB
		"/%u/%u/fog-report/%i','avatar_url':null,'context':'fog/report','description':%s"
		",'state':%s,'commit':{'sha':%s,'node_id':'C_%u','commit':{'author':{'name':%s"
		",'email':'%i@mail.forge.example','date':%t},'message':%s},'url':'" API
		"/repos/%u/%u/commits/%u'},'branches':[{'name':%s,'commit':{'sha':%s,'url':'" API
		"/repos/%u/%u/commits/%u'},'protected':false}],'created_at':%t,'updated_at':%t",
		id, p->sha, org, name, org, name, id,
		state == NULL ? "Looking outside" : "Looked outside",
		state == NULL ? "pending" : state, p->sha, p->sha, p->actor->login, p->actor->id,
		p->created_us, p->message, org, name, p->sha, p->branch, p->sha, org, name, p->sha,
		p->updated_us, p->updated_us);
}

void
payload_pipeline(struct simulate_forge *f, const struct pipeline *p)
{
	const char *event = stages[p->stage].event, *status = stages[p->stage].status;
	payload_begin(f, event, stages[p->stage].action);
	if (strcmp(event, "status") == 0) {
		put_status(f, p, status);
	} else if (strcmp(event, "check_run") == 0) {
		payload_key(f, event);
		put_check(&f->body, p, status);
	} else if (strcmp(event, "check_suite") == 0) {
		payload_key(f, event);
		put_suite(&f->body, p, status);
	} else if (strcmp(event, "workflow_job") == 0) {
		payload_key(f, event);
		put_job(&f->body, p, status);
	} else {
		payload_key(f, event);
		put_run(&f->body, p, status);
		payload_key(f, "workflow");
		put_workflow(&f->body, p);
	}
	payload_end(f, p->repo, p->actor);
}
