-- Accounts: people, bots and organizations as GitHub names them wherever they occur.
-- GitHub stamps no time on an embedded account, so the newest event that mentions it wins.
--
-- provider: github
-- key: id
-- rows: sender
-- rows: repository.owner
-- rows: installation.account
-- rows: organization
-- rows: member
-- rows: membership.user
-- rows: assignee
-- rows: requested_reviewer
-- rows: blocked_user
-- rows: pull_request.user
-- rows: pull_request.assignee
-- rows: pull_request.assignees[]
-- rows: pull_request.requested_reviewers[]
-- rows: pull_request.merged_by
-- rows: pull_request.head.user
-- rows: pull_request.base.user
-- rows: issue.user
-- rows: issue.assignee
-- rows: issue.assignees[]
-- rows: issue.closed_by
-- rows: comment.user
-- rows: review.user
-- rows: discussion.user
-- rows: release.author
-- rows: deployment.creator
-- rows: deployment_status.creator
-- rows: workflow_run.actor
-- rows: workflow_run.triggering_actor
-- rows: forkee.owner
-- rows: commit.author on status
-- rows: commit.committer on status
create table users (
	id         bigint primary key,
	login      text, -- = login
	node_id    text, -- = node_id
	type       text, -- = type | members_url => 'Organization'
	site_admin boolean, -- = site_admin
	html_url   text, -- = html_url
	name       text, -- full = name
	email      text, -- full = email
	is_bot     boolean generated always as (coalesce(type = 'Bot' or login like '%[bot]', false)) stored
) with (fillfactor = 80);

create index users_login on users (login);
