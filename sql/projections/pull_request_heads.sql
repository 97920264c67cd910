-- Heads a pull request has had, one row per event that opened it or moved its head: what a rebase or a
-- force push makes disappear stays here.
--
-- provider: github
-- kind: fact
-- key: pull_request_id, seq
-- rows: . on pull_request where action='opened'
-- rows: . on pull_request where action='synchronize'
create table pull_request_heads (
	pull_request_id bigint not null, -- = pull_request.id
	seq             bigint not null, -- = @seq -- event that opened it or moved its head
	received_at     timestamptz not null, -- = @received_at
	repo_id         bigint, -- = repository.id
	number          bigint, -- = pull_request.number
	before_sha      text, -- = before -- commit it moved from; null: opened
	head_sha        text, -- = after | pull_request.head.sha
	sender_id       bigint, -- = sender.id
	primary key (pull_request_id, seq)
);

create index pull_request_heads_sha on pull_request_heads (head_sha);
