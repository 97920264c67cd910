-- Commit statuses by id. Each report is a status of its own; the state of a context is that of its newest.
--
-- provider: github
-- key: id
-- version: updated_at
-- rows: . on status rank 1
create table commit_statuses (
	id           bigint primary key,
	repo_id      bigint, -- = repository.id
	sha          text, -- = sha
	context      text, -- = context -- name of what reports; the newest per commit and context counts
	state        text, -- = state -- pending, success, failure or error
	description  text, -- = description
	target_url   text, -- = target_url -- page of who reports
	sender_id    bigint, -- = sender.id
	branch_names text[], -- = list(branches[].name) -- branches whose head the commit was
	created_at   timestamptz, -- = created_at
	updated_at   timestamptz -- = updated_at
);

create index commit_statuses_sha on commit_statuses (repo_id, sha, context, created_at);
