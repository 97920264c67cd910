-- Every event of every source, known or not: one row each, in the order of the log.
--
-- provider: *
-- view: hooklog.events
-- kind: fact
-- key: seq
-- rows: .
create table events (
	seq             bigint primary key, -- = @seq
	received_at     timestamptz not null, -- = @received_at
	occurred_at     timestamptz, -- = head_commit.timestamp | review.submitted_at | comment.updated_at | workflow_job.completed_at | workflow_job.started_at | workflow_run.updated_at | check_run.completed_at | check_run.started_at | check_suite.updated_at | deployment_status.updated_at | deployment.updated_at | release.published_at | pull_request.updated_at | issue.updated_at | discussion.updated_at | starred_at | repository.updated_at
	provider        text not null, -- = @provider
	source          text not null, -- = @source
	delivery        text, -- = @delivery
	hook            text, -- = @hook
	event           text not null, -- = @event
	action          text, -- = action
	repo_id         bigint, -- = repository.id
	org_id          bigint, -- = organization.id
	installation_id bigint, -- = installation.id
	sender_id       bigint, -- = sender.id
	item_kind       text, -- = pull_request.id => 'pull_request' | issue.id => 'issue' | discussion.id => 'discussion'
	item_id         bigint, -- = pull_request.id | issue.id | discussion.id
	item_number     bigint, -- = pull_request.number | issue.number | discussion.number
	subject_kind    text, -- = review.id => 'review' | comment.id => 'comment' | label.id => 'label' | assignee.id => 'assignee' | requested_reviewer.id => 'requested_reviewer' | requested_team.id => 'requested_team' | milestone.id => 'milestone' | workflow_job.id => 'workflow_job' | workflow_run.id => 'workflow_run' | check_run.id => 'check_run' | check_suite.id => 'check_suite' | deployment_status.id => 'deployment_status' | deployment.id => 'deployment' | release.id => 'release' | team.id => 'team' | member.id => 'member' | ref => 'ref'
	subject_id      bigint, -- = review.id | comment.id | label.id | assignee.id | requested_reviewer.id | requested_team.id | milestone.id | workflow_job.id | workflow_run.id | check_run.id | check_suite.id | deployment_status.id | deployment.id | release.id | team.id | member.id
	subject_name    text, -- = label.name | assignee.login | requested_reviewer.login | requested_team.name | milestone.title | workflow_job.name | workflow_run.name | check_run.name | release.tag_name | team.name | member.login | ref
	bytes           bigint not null, -- = @bytes
	origin          smallint not null, -- = @origin
	parked          boolean not null default false -- = @parked
);

create index events_seq_brin on events using brin (seq);
create index events_received_brin on events using brin (received_at);
create index events_event on events (event, seq);
create index events_repo on events (repo_id, seq);
