-- Issues by id. GitHub also sends the issue half of a pull request with its comments:
-- is_pull_request tells them apart.
--
-- provider: github
-- key: id
-- version: updated_at
-- rows: issue on issues rank 1
-- rows: issue
-- delete: issues.deleted
create table issues (
	id                 bigint primary key,
	number             bigint, -- = number
	repo_id            bigint, -- = $.repository.id
	state              text, -- = state
	state_reason       text, -- = state_reason
	type               text, -- = type.name
	title              text, -- = title
	locked             boolean, -- = locked
	is_pull_request    boolean, -- = pull_request => 'true' | number => 'false'
	author_id          bigint, -- = user.id
	author_association text, -- = author_association
	milestone_id       bigint, -- = milestone.id
	comments           bigint, -- = comments
	html_url           text, -- = html_url
	created_at         timestamptz, -- = created_at
	updated_at         timestamptz, -- = updated_at
	closed_at          timestamptz, -- = closed_at
	closed_by_id       bigint, -- closed = closed_by.id | $.action='closed' => $.sender.id | $.action='reopened' => null
	parent_issue_id    bigint, -- parent = parent.id
	transferred_to_id  bigint -- transfer = $.changes.new_issue.id
);

create index issues_repo on issues (repo_id, number);
create index issues_author on issues (author_id);
