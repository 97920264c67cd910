-- Comments of four kinds in one table; ids are unique within a kind.
--
-- provider: github
-- key: kind, id
-- version: updated_at
-- rows: comment on issue_comment rank 1 kind='issue'
-- rows: comment on pull_request_review_comment rank 1 kind='review'
-- rows: comment on commit_comment rank 1 kind='commit'
-- rows: comment on discussion_comment rank 1 kind='discussion'
-- delete: issue_comment.deleted, pull_request_review_comment.deleted, discussion_comment.deleted
create table comments (
	kind               text not null, -- = :kind -- issue (also in the conversation of a pull request), review (on a line), commit, discussion
	id                 bigint not null, -- = id -- unique within the kind
	repo_id            bigint, -- = $.repository.id
	number             bigint, -- = $.issue.number | $.pull_request.number | $.discussion.number -- number of the issue, pull request or discussion
	parent_id          bigint, -- = $.issue.id | $.pull_request.id | $.discussion.id -- id of the issue, pull request or discussion
	in_reply_to        bigint, -- = in_reply_to_id | parent_id -- the comment it answers
	review_id          bigint, -- = pull_request_review_id -- the review it belongs to: gh.reviews.id
	author_id          bigint, -- = user.id
	author_association text, -- = author_association
	commit_sha         text, -- = commit_id -- commit that was commented on
	path               text, -- = path
	line               bigint, -- = line -- line of the file
	body               text, -- = body
	html_url           text, -- = html_url
	created_at         timestamptz, -- = created_at
	updated_at         timestamptz, -- = updated_at
	primary key (kind, id)
);

create index comments_repo on comments (repo_id, number);
create index comments_author on comments (author_id);
