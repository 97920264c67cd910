-- Events that somebody made up and sent to a repository through the API; the action is their type.
--
-- provider: github
-- kind: fact
-- key: seq
-- rows: . on repository_dispatch
create table repository_dispatches (
	seq            bigint primary key, -- = @seq
	received_at    timestamptz not null, -- = @received_at
	repo_id        bigint, -- = repository.id
	event_type     text, -- = action -- what the sender called it
	branch         text, -- = branch -- branch it is for
	client_payload jsonb, -- = client_payload -- what the sender attached
	sender_id      bigint -- = sender.id
);

create index repository_dispatches_repo on repository_dispatches (repo_id, seq);
