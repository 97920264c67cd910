-- Commits that pushes brought, by repository and hash; first_seq is the push that brought it first.
-- A force push adds rows and never removes any.
--
-- provider: github
-- key: repo_id, sha
-- rows: commits[] on push rank 1
-- rows: head_commit on push
create table commits (
	repo_id         bigint not null, -- = $.repository.id
	sha             text not null, -- = id
	tree_sha        text, -- = tree_id
	message         text, -- = message
	author_name     text, -- = author.name
	author_email    text, -- = author.email
	author_login    text, -- = author.username
	committer_name  text, -- = committer.name
	committer_email text, -- = committer.email
	committer_login text, -- = committer.username
	authored_at     timestamptz, -- = timestamp
	html_url        text, -- = url
	is_distinct     boolean, -- = distinct
	added           bigint, -- files = count(added)
	removed         bigint, -- files = count(removed)
	modified        bigint, -- files = count(modified)
	primary key (repo_id, sha)
);

create index commits_author on commits (author_email, authored_at);
