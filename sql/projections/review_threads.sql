-- Threads of review comments on a line, from the events that resolve them. Threads that nobody ever
-- resolved have no row: their comments are in comments, tied by in_reply_to.
--
-- provider: github
-- key: node_id
-- version: $.updated_at | $.pull_request.updated_at
-- rows: thread on pull_request_review_thread rank 1
create table review_threads (
	node_id         text primary key,
	pull_request_id bigint, -- = $.pull_request.id
	repo_id         bigint, -- = $.repository.id
	number          bigint, -- = $.pull_request.number
	comment_ids     bigint[], -- = list(comments[].id) -- gh.comments.id of the kind review
	is_resolved     boolean, -- = $.action='resolved' => 'true' | 'false' -- it is resolved
	resolved_at     timestamptz, -- = $.action='resolved' and $.updated_at => $.updated_at | $.action='resolved' => @received_at | null -- when it was resolved
	resolved_by_id  bigint -- = $.action='resolved' => $.sender.id | null -- who resolved it: gh.users.id
);

create index review_threads_pull_request on review_threads (pull_request_id);
