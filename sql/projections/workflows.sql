-- Workflows of GitHub Actions, from the object that runs and deployments carry.
-- A workflow whose file was removed has the state deleted; the row stays.
--
-- provider: github
-- key: id
-- version: updated_at
-- rows: workflow on workflow_run rank 1
-- rows: workflow
create table workflows (
	id         bigint primary key,
	repo_id    bigint, -- = $.repository.id
	node_id    text, -- = node_id
	name       text, -- = name
	path       text, -- = path -- file in the repository
	state      text, -- = state -- active, disabled, or deleted when its file went
	html_url   text, -- = html_url
	created_at timestamptz, -- = created_at
	updated_at timestamptz -- = updated_at
);

create index workflows_repo on workflows (repo_id);
