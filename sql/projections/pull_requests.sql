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
	state              text, -- = state -- open or closed; for merged see merged_at
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
	merge_commit_sha   text, -- = merge_commit_sha -- commit that merged it; while open a trial merge
	milestone_id       bigint, -- = milestone.id
	auto_merge         jsonb, -- = auto_merge -- GitHub's object; null: off
	html_url           text, -- = html_url
	created_at         timestamptz, -- = created_at
	updated_at         timestamptz, -- = updated_at
	closed_at          timestamptz, -- = closed_at
	merged_at          timestamptz, -- = merged_at -- when it was merged; null: it was not
	merged             boolean, -- full = merged -- it was merged
	merged_by_id       bigint, -- full = merged_by.id -- who merged it: gh.users.id
	additions          bigint, -- full = additions -- lines added
	deletions          bigint, -- full = deletions -- lines removed
	changed_files      bigint, -- full = changed_files -- files changed
	commits            bigint, -- full = commits -- commits in it
	comments           bigint, -- full = comments
	review_comments    bigint, -- full = review_comments -- comments on lines
	label_ids          bigint[], -- sets = list(labels[].id)
	assignee_ids       bigint[], -- sets = list(assignees[].id)
	reviewer_ids       bigint[], -- sets = list(requested_reviewers[].id) -- people whose review is still asked for: gh.users.id
	review_team_ids    bigint[], -- sets = list(requested_teams[].id) -- teams whose review is still asked for: gh.teams.id
	ready_at           timestamptz -- ready = $.action='ready_for_review' => updated_at | $.action='converted_to_draft' => null | $.action='opened' and draft='false' => created_at -- when it last left draft: marked ready, or opened without being a draft
);

create index pull_requests_repo on pull_requests (repo_id, number);
create index pull_requests_author on pull_requests (author_id);
