-- Changes of security and access that leave no lasting thing behind, one row per event.
--
-- provider: github
-- kind: fact
-- key: seq
-- rows: . on org_block, security_and_analysis, repository_import, github_app_authorization
-- rows: . on branch_protection_configuration, meta, public
create table audit_changes (
	seq            bigint primary key, -- = @seq
	received_at    timestamptz not null, -- = @received_at
	event          text not null, -- = @event
	action         text, -- = action | status -- what was done
	repo_id        bigint, -- = repository.id
	org_id         bigint, -- = organization.id
	sender_id      bigint, -- = sender.id
	target_user_id bigint, -- = blocked_user.id -- whom it is about, where it is about a user
	changes        jsonb -- = changes -- the event's object of changes
);

create index audit_changes_org on audit_changes (org_id, seq);
create index audit_changes_repo on audit_changes (repo_id, seq);
