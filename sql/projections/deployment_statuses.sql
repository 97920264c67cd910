-- Reports of what a deployment came to, by id. The state of a deployment is that of its newest status.
--
-- provider: github
-- key: id
-- version: updated_at
-- rows: deployment_status on deployment_status rank 1
create table deployment_statuses (
	id              bigint primary key,
	deployment_id   bigint, -- = $.deployment.id
	repo_id         bigint, -- = $.repository.id
	state           text, -- = state -- pending, queued, in_progress, success, failure, error, inactive
	environment     text, -- = environment
	description     text, -- = description
	creator_id      bigint, -- = creator.id
	target_url      text, -- = target_url -- page of who reports
	log_url         text, -- = log_url -- page of its log
	environment_url text, -- = environment_url -- where to see what was deployed
	check_run_id    bigint, -- = $.check_run.id -- gh.check_runs.id
	workflow_run_id bigint, -- = $.workflow_run.id
	created_at      timestamptz, -- = created_at
	updated_at      timestamptz -- = updated_at
);

create index deployment_statuses_deployment on deployment_statuses (deployment_id, created_at);
create index deployment_statuses_repo on deployment_statuses (repo_id, created_at);
