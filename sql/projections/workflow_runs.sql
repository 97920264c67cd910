-- Runs of workflows, one row per attempt: running a run again keeps its id and raises the attempt.
-- Within one second the state that comes later in a run's life wins, whichever event came first.
--
-- provider: github
-- key: id, attempt
-- version: updated_at
-- rank: status requested=0 queued=0 pending=0 waiting=10 in_progress=20 completed=30
-- rows: workflow_run on workflow_run rank 1
-- rows: workflow_run
create table workflow_runs (
	id                  bigint not null,
	attempt             bigint not null, -- = run_attempt -- from 1; running it again raises it
	repo_id             bigint, -- = $.repository.id
	workflow_id         bigint, -- = workflow_id
	check_suite_id      bigint, -- = check_suite_id
	name                text, -- = name
	number              bigint, -- = run_number
	event               text, -- = event -- event that started it
	status              text, -- = status -- queued, waiting, in_progress, completed, ...
	conclusion          text, -- = conclusion
	head_branch         text, -- = head_branch
	head_sha            text, -- = head_sha
	actor_id            bigint, -- = actor.id
	triggering_actor_id bigint, -- = triggering_actor.id -- who started this attempt: gh.users.id
	pull_request_ids    bigint[], -- = list(pull_requests[].id)
	html_url            text, -- = html_url
	created_at          timestamptz, -- = created_at
	started_at          timestamptz, -- = run_started_at
	updated_at          timestamptz, -- = updated_at
	completed_at        timestamptz, -- = status='completed' => updated_at -- when the completed run last changed
	path                text, -- full = path
	display_title       text, -- full = display_title -- title in lists of runs
	head_repo_id        bigint, -- full = head_repository.id
	primary key (id, attempt)
);

create index workflow_runs_repo on workflow_runs (repo_id, created_at);
create index workflow_runs_workflow on workflow_runs (workflow_id, created_at);
create index workflow_runs_head on workflow_runs (head_sha);
