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
	ref               text, -- = ref -- full name, such as refs/heads/main
	before            text, -- = before -- commit it moved from; zeros: the ref is new
	after             text, -- = after -- commit it moved to; zeros: the ref is gone
	base_ref          text, -- = base_ref
	created           boolean, -- = created -- the ref was made
	deleted           boolean, -- = deleted -- the ref was removed
	forced            boolean, -- = forced -- commits were taken away
	pusher            text, -- = pusher.name -- name of who pushed
	sender_id         bigint, -- = sender.id
	head_sha          text, -- = head_commit.id
	commit_count      bigint, -- = count(commits) -- commits in the payload
	commits_truncated boolean generated always as (commit_count >= 2048) stored -- GitHub lists at most 2048 commits of a push
);

create index pushes_repo on pushes (repo_id, seq);
