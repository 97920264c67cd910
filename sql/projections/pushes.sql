-- One row per push, numbered as in the log: a push has no id of its own.
--
-- provider: github
-- kind: fact
-- key: seq
-- rows: . on push
create table pushes (
	seq               bigint primary key, -- = @seq
	received_at       timestamptz not null, -- = @received_at
	repo_id           bigint, -- = repository.id
	ref               text, -- = ref
	before            text, -- = before
	after             text, -- = after
	base_ref          text, -- = base_ref
	created           boolean, -- = created
	deleted           boolean, -- = deleted
	forced            boolean, -- = forced
	pusher            text, -- = pusher.name
	sender_id         bigint, -- = sender.id
	head_sha          text, -- = head_commit.id
	commit_count      bigint, -- = count(commits)
	commits_truncated boolean generated always as (commit_count >= 2048) stored
);

create index pushes_repo on pushes (repo_id, seq);
