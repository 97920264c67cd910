-- Milestones by id.
--
-- provider: github
-- key: id
-- version: updated_at
-- rows: milestone on milestone rank 1
-- rows: milestone
-- rows: issue.milestone
-- rows: pull_request.milestone
-- delete: milestone.deleted
create table milestones (
	id            bigint primary key,
	repo_id       bigint, -- = $.repository.id
	number        bigint, -- = number
	title         text, -- = title
	description   text, -- = description
	state         text, -- = state
	creator_id    bigint, -- = creator.id
	open_issues   bigint, -- = open_issues -- number of open issues, as last told
	closed_issues bigint, -- = closed_issues -- number of closed issues, as last told
	html_url      text, -- = html_url
	due_on        timestamptz, -- = due_on -- when it is due
	created_at    timestamptz, -- = created_at
	updated_at    timestamptz, -- = updated_at
	closed_at     timestamptz -- = closed_at
);

create index milestones_repo on milestones (repo_id, number);
