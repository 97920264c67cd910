-- Every event of every source, known or not: one row each, in the order of the log.
--
-- provider: *
-- view: hooklog.events
-- kind: fact
-- key: seq
-- rows: .
create table events (
	seq             bigint primary key, -- = @seq -- number of the event in the log
	received_at     timestamptz not null, -- = @received_at
	occurred_at     timestamptz, -- = head_commit.timestamp | review.submitted_at | comment.updated_at | workflow_job.completed_at | workflow_job.started_at | workflow_run.updated_at | check_run.completed_at | check_run.started_at | check_suite.updated_at | deployment_status.updated_at | deployment.updated_at | release.published_at | pull_request.updated_at | issue.updated_at | discussion.updated_at | starred_at | repository.updated_at -- best time that the payload gives for what happened
	provider        text not null, -- = @provider -- kind of sender, such as github
	source          text not null, -- = @source -- endpoint it came in by
	host            text, -- = @host -- server it came from, as projector.hosts names it; null: github.com, or the only one
	delivery        text, -- = @delivery -- the sender's id of the delivery
	hook            text, -- = @hook -- the sender's id of the webhook
	event           text not null, -- = @event -- type, such as pull_request
	action          text, -- = action -- what was done, such as opened
	repo_id         bigint, -- = repository.id -- repository it happened in
	org_id          bigint, -- = organization.id -- organization it happened in
	installation_id bigint, -- = installation.id
	sender_id       bigint, -- = sender.id
	item_kind       text, -- = pull_request.id => 'pull_request' | issue.id => 'issue' | discussion.id => 'discussion' -- pull_request, issue or discussion that it belongs to
	item_id         bigint, -- = pull_request.id | issue.id | discussion.id -- id of that one
	item_number     bigint, -- = pull_request.number | issue.number | discussion.number -- number of that one
	subject_kind    text, -- = review.id => 'review' | comment.id => 'comment' | label.id => 'label' | assignee.id => 'assignee' | requested_reviewer.id => 'requested_reviewer' | requested_team.id => 'requested_team' | milestone.id => 'milestone' | workflow_job.id => 'workflow_job' | workflow_run.id => 'workflow_run' | check_run.id => 'check_run' | check_suite.id => 'check_suite' | deployment_status.id => 'deployment_status' | deployment.id => 'deployment' | release.id => 'release' | team.id => 'team' | member.id => 'member' | ref => 'ref' -- what exactly it is about: review, comment, label, assignee, workflow_job, ref, ...
	subject_id      bigint, -- = review.id | comment.id | label.id | assignee.id | requested_reviewer.id | requested_team.id | milestone.id | workflow_job.id | workflow_run.id | check_run.id | check_suite.id | deployment_status.id | deployment.id | release.id | team.id | member.id -- id of that
	subject_name    text, -- = label.name | assignee.login | requested_reviewer.login | requested_team.name | milestone.title | workflow_job.name | workflow_run.name | check_run.name | release.tag_name | team.name | member.login | ref -- name of that
	bytes           bigint not null, -- = @bytes -- size of the body as received
	origin          smallint not null, -- = @origin -- how it came into the log: 0 webhook, 1 backfill, 2 poll, 3 reconcile, 4 import, 5 replay, 6 operator, 7 broker
	parked          boolean not null default false -- = @parked -- could not be projected: only the envelope is here
);

create index events_seq_brin on events using brin (seq);
create index events_received_brin on events using brin (received_at);
create index events_event on events (event, seq);
create index events_repo on events (repo_id, seq);
