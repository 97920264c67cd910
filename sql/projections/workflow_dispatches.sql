-- Workflows started by hand or through the API, one row per event.
--
-- provider: github
-- kind: fact
-- key: seq
-- rows: . on workflow_dispatch
create table workflow_dispatches (
	seq         bigint primary key, -- = @seq
	received_at timestamptz not null, -- = @received_at
	repo_id     bigint, -- = repository.id
	workflow    text, -- = workflow -- file of the workflow
	ref         text, -- = ref
	inputs      jsonb, -- = inputs -- what was filled in
	sender_id   bigint -- = sender.id
);

create index workflow_dispatches_repo on workflow_dispatches (repo_id, seq);
