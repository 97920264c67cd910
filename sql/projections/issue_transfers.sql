-- Issues that moved to another repository, by the id they had there before. The move gives an issue a
-- new id; the hook of either repository tells it.
--
-- provider: github
-- key: old_id
-- rows: . on issues rank 1 where changes.new_issue.id
-- rows: . on issues rank 1 where changes.old_issue.id
create table issue_transfers (
	old_id       bigint primary key, -- = changes.old_issue.id | issue.id -- id before
	new_id       bigint, -- = changes.new_issue.id | issue.id -- id since
	old_number   bigint, -- = changes.old_issue.number | issue.number -- number before
	new_number   bigint, -- = changes.new_issue.number | issue.number -- number since
	from_repo_id bigint, -- = changes.old_repository.id | repository.id -- gh.repositories.id
	to_repo_id   bigint, -- = changes.new_repository.id | repository.id -- gh.repositories.id
	sender_id    bigint -- = sender.id
);

create index issue_transfers_new on issue_transfers (new_id);
