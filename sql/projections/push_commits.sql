-- Which commits a push brought, in the order of the push.
--
-- provider: github
-- kind: fact
-- key: seq, position
-- rows: commits[] on push
create table push_commits (
	seq         bigint not null, -- = @seq
	position    bigint not null, -- = @position
	repo_id     bigint, -- = $.repository.id
	sha         text, -- = id
	is_distinct boolean, -- = distinct -- not seen on another branch before
	primary key (seq, position)
);

create index push_commits_sha on push_commits (repo_id, sha);
