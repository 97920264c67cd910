-- Pull requests, one row per GitHub id, open or not.
-- Events of a review, a comment or a check carry a shorter object than the pull request's own events:
-- the groups keep what only the long one tells.
--
-- provider: github
-- key: id
-- version: updated_at
-- rows: pull_request on pull_request rank 1
-- rows: pull_request
create table pull_requests (
	id                 bigint primary key,
	number             bigint, -- = number
	repo_id            bigint, -- = base.repo.id | $.repository.id
	state              text, -- = state
	draft              boolean, -- = draft
	title              text, -- = title
	locked             boolean, -- = locked
	author_id          bigint, -- = user.id
	author_association text, -- = author_association
	head_repo_id       bigint, -- = head.repo.id
	head_ref           text, -- = head.ref
	head_sha           text, -- = head.sha
	base_ref           text, -- = base.ref
	base_sha           text, -- = base.sha
	merge_commit_sha   text, -- = merge_commit_sha
	milestone_id       bigint, -- = milestone.id
	auto_merge         jsonb, -- = auto_merge
	html_url           text, -- = html_url
	created_at         timestamptz, -- = created_at
	updated_at         timestamptz, -- = updated_at
	closed_at          timestamptz, -- = closed_at
	merged_at          timestamptz, -- = merged_at
	merged             boolean, -- full = merged
	merged_by_id       bigint, -- full = merged_by.id
	additions          bigint, -- full = additions
	deletions          bigint, -- full = deletions
	changed_files      bigint, -- full = changed_files
	commits            bigint, -- full = commits
	comments           bigint, -- full = comments
	review_comments    bigint, -- full = review_comments
	label_ids          bigint[], -- sets = list(labels[].id)
	assignee_ids       bigint[], -- sets = list(assignees[].id)
	reviewer_ids       bigint[], -- sets = list(requested_reviewers[].id)
	review_team_ids    bigint[], -- sets = list(requested_teams[].id)
	ready_at           timestamptz -- ready = $.action='ready_for_review' => updated_at | $.action='converted_to_draft' => null | $.action='opened' and draft='false' => created_at
);

create index pull_requests_repo on pull_requests (repo_id, number);
create index pull_requests_author on pull_requests (author_id);
