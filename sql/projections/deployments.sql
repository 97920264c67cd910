-- Deployments by id. What became of one is in deployment_statuses.
--
-- provider: github
-- key: id
-- version: updated_at
-- rows: deployment on deployment rank 1
-- rows: deployment
create table deployments (
	id                     bigint primary key,
	repo_id                bigint, -- = $.repository.id
	sha                    text, -- = sha
	ref                    text, -- = ref -- branch, tag or commit that was asked for
	task                   text, -- = task -- what is done, mostly deploy
	environment            text, -- = environment
	original_environment   text, -- = original_environment -- environment that was first asked for
	description            text, -- = description
	payload                jsonb, -- = payload -- what the creator attached
	transient_environment  boolean, -- = transient_environment -- the environment goes away again
	production_environment boolean, -- = production_environment -- users work with it
	creator_id             bigint, -- = creator.id
	created_at             timestamptz, -- = created_at
	updated_at             timestamptz, -- = updated_at
	workflow_run_id        bigint -- run = $.workflow_run.id | $.workflow_job.run_id
);

create index deployments_repo on deployments (repo_id, created_at);
create index deployments_sha on deployments (sha);
