-- Branch protection rules by id; the name is the pattern of branches.
--
-- provider: github
-- key: id
-- version: updated_at
-- rows: rule on branch_protection_rule rank 1
-- delete: branch_protection_rule.deleted
create table branch_protection_rules (
	id                             bigint primary key,
	repo_id                        bigint, -- = repository_id | $.repository.id
	name                           text, -- = name
	admin_enforced                 boolean, -- = admin_enforced
	required_approving_reviews     bigint, -- = required_approving_review_count
	review_enforcement             text, -- = pull_request_reviews_enforcement_level
	dismiss_stale_reviews          boolean, -- = dismiss_stale_reviews_on_push
	require_code_owner_review      boolean, -- = require_code_owner_review
	required_status_checks         text[], -- = required_status_checks
	status_check_enforcement       text, -- = required_status_checks_enforcement_level
	strict_status_checks           boolean, -- = strict_required_status_checks_policy
	signature_enforcement          text, -- = signature_requirement_enforcement_level
	linear_history_enforcement     text, -- = linear_history_requirement_enforcement_level
	allow_force_pushes_enforcement text, -- = allow_force_pushes_enforcement_level
	allow_deletions_enforcement    text, -- = allow_deletions_enforcement_level
	merge_queue_enforcement        text, -- = merge_queue_enforcement_level
	required_deployments           text, -- = required_deployments_enforcement_level
	conversation_resolution        text, -- = required_conversation_resolution_level
	authorized_actors_only         boolean, -- = authorized_actors_only
	authorized_actor_names         text[], -- = authorized_actor_names
	created_at                     timestamptz, -- = created_at
	updated_at                     timestamptz -- = updated_at
);

create index branch_protection_rules_repo on branch_protection_rules (repo_id);
