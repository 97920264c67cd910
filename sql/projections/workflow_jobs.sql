-- Jobs of workflow runs by id; an attempt has jobs of its own. GitHub stamps no update time on a job:
-- its time is when it was made, the same in all its events, so the later state wins in any order.
--
-- provider: github
-- key: id
-- version: created_at | started_at
-- rank: status queued=0 pending=0 waiting=10 in_progress=20 completed=30
-- rows: workflow_job on workflow_job rank 1
create table workflow_jobs (
	id                bigint primary key,
	repo_id           bigint, -- = $.repository.id
	run_id            bigint, -- = run_id -- gh.workflow_runs.id
	attempt           bigint, -- = run_attempt -- from 1; running it again raises it
	name              text, -- = name
	workflow_name     text, -- = workflow_name -- name of the workflow
	status            text, -- = status
	conclusion        text, -- = conclusion
	head_branch       text, -- = head_branch
	head_sha          text, -- = head_sha
	labels            text[], -- = labels -- labels a runner must have
	runner_id         bigint, -- = runner_id -- machine it ran on; null: waiting
	runner_name       text, -- = runner_name -- name of that machine
	runner_group_id   bigint, -- = runner_group_id -- group of that machine
	runner_group_name text, -- = runner_group_name -- name of that group
	steps             jsonb, -- = steps -- steps, as the forge lists them
	html_url          text, -- = html_url
	created_at        timestamptz, -- = created_at
	started_at        timestamptz, -- = started_at
	completed_at      timestamptz, -- = completed_at
	deployment_id     bigint -- deployment = $.deployment.id
);

create index workflow_jobs_run on workflow_jobs (run_id, attempt);
create index workflow_jobs_repo on workflow_jobs (repo_id, started_at);
