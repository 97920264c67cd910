-- Requests and answers at the gates of environments, one row per event: kind review for people, kind
-- protection_rule for apps that decide.
--
-- provider: github
-- kind: fact
-- key: seq
-- rows: . on deployment_review kind='review'
-- rows: . on deployment_protection_rule kind='protection_rule'
create table deployment_reviews (
	seq             bigint primary key, -- = @seq
	received_at     timestamptz not null, -- = @received_at
	kind            text, -- = :kind -- review (by people) or protection_rule (by apps)
	repo_id         bigint, -- = repository.id
	workflow_run_id bigint, -- = workflow_run.id
	deployment_id   bigint, -- = deployment.id
	environment     text, -- = environment | workflow_job_run.environment
	action          text, -- = action
	approver_id     bigint, -- = approver.id -- who approved or rejected: gh.users.id
	requestor_id    bigint, -- = requestor.id -- who asked: gh.users.id
	comment         text, -- = comment -- what the approver wrote
	sender_id       bigint -- = sender.id
);

create index deployment_reviews_repo on deployment_reviews (repo_id, seq);
