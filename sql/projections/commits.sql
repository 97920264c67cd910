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
	tree_sha        text, -- = tree_id -- hash of its tree
	message         text, -- = message -- message of the commit
	author_name     text, -- = author.name -- as in the commit
	author_email    text, -- = author.email -- as in the commit
	author_login    text, -- = author.username -- account of that address, if GitHub knows one
	committer_name  text, -- = committer.name -- as in the commit
	committer_email text, -- = committer.email -- as in the commit
	committer_login text, -- = committer.username -- account of that address, if GitHub knows one
	authored_at     timestamptz, -- = timestamp -- when it was written
	html_url        text, -- = url
	is_distinct     boolean, -- = distinct -- not seen on another branch before
	added           bigint, -- files = count(added) -- number of files that were added, not of lines
	removed         bigint, -- files = count(removed) -- number of files that were removed
	modified        bigint, -- files = count(modified) -- number of files that were changed
	primary key (repo_id, sha)
);

create index commits_author on commits (author_email, authored_at);
