-- Issues by id. GitHub also sends the issue half of a pull request with its comments:
-- is_pull_request tells them apart.
--
-- provider: github
-- key: id
-- version: updated_at
-- rows: issue on issues rank 1
-- rows: issue
-- rows: sub_issue on sub_issues of='sub_issue_repo'
-- rows: parent_issue on sub_issues of='parent_issue_repo'
-- rows: blocked_issue on issue_dependencies of='blocked_issue_repo'
-- rows: blocking_issue on issue_dependencies of='blocking_issue_repo'
-- delete: issues.deleted
create table issues (
	id                 bigint primary key,
	number             bigint, -- = number
	repo_id            bigint, -- = :of='sub_issue_repo' => $.sub_issue_repo.id | :of='parent_issue_repo' => $.parent_issue_repo.id | :of='blocked_issue_repo' => $.blocked_issue_repo.id | :of='blocking_issue_repo' => $.blocking_issue_repo.id | $.repository.id
	state              text, -- = state -- open or closed
	state_reason       text, -- = state_reason -- completed, not_planned, reopened, duplicate
	type               text, -- = type.name -- type of the organization, such as Bug
	title              text, -- = title
	locked             boolean, -- = locked
	is_pull_request    boolean, -- = pull_request => 'true' | number => 'false' -- the issue half of a pull request; its id is not the one in gh.pull_requests: join by repo_id and number
	author_id          bigint, -- = user.id
	author_association text, -- = author_association
	milestone_id       bigint, -- = milestone.id -- gh.milestones.id; null: none
	comments           bigint, -- = comments
	html_url           text, -- = html_url
	created_at         timestamptz, -- = created_at
	updated_at         timestamptz, -- = updated_at
	closed_at          timestamptz, -- = closed_at
	closed_by_id       bigint, -- closed = closed_by.id | $.action='closed' => $.sender.id | $.action='reopened' => null -- who closed it: gh.users.id; null again once reopened
	label_ids          bigint[], -- sets = list(labels[].id)
	assignee_ids       bigint[], -- sets = list(assignees[].id)
	parent_issue_id    bigint, -- parent = :of='sub_issue_repo' and $.action='sub_issue_removed' => null | :of='sub_issue_repo' and $.action='parent_issue_removed' => null | :of='sub_issue_repo' => $.parent_issue_id -- of a sub-issue: gh.issues.id
	transferred_to_id  bigint -- transfer = $.changes.new_issue.id -- id of the issue it became elsewhere
);

create index issues_repo on issues (repo_id, number);
create index issues_author on issues (author_id);
