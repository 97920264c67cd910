-- Reviews of pull requests by id. GitHub stamps no update time: the newest event wins, so a dismissal
-- replaces the state and submitted_at stays.
--
-- provider: github
-- key: id
-- rows: review on pull_request_review rank 1
create table reviews (
	id                 bigint primary key,
	pull_request_id    bigint, -- = $.pull_request.id
	repo_id            bigint, -- = $.repository.id
	number             bigint, -- = $.pull_request.number
	state              text, -- = state -- approved, changes_requested, commented or dismissed
	author_id          bigint, -- = user.id
	author_association text, -- = author_association
	commit_sha         text, -- = commit_id
	body               text, -- = body
	html_url           text, -- = html_url
	submitted_at       timestamptz, -- = submitted_at -- when it was submitted
	dismissed_at       timestamptz, -- dismissal = $.action='dismissed' => $.pull_request.updated_at -- when it was dismissed
	dismissed_by_id    bigint -- dismissal = $.action='dismissed' => $.sender.id -- who dismissed it: gh.users.id
);

create index reviews_pull_request on reviews (pull_request_id);
create index reviews_author on reviews (author_id, submitted_at);
