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
	name                           text, -- = name -- pattern of the branches
	admin_enforced                 boolean, -- = admin_enforced -- also for administrators
	required_approving_reviews     bigint, -- = required_approving_review_count -- approvals that a pull request needs
	review_enforcement             text, -- = pull_request_reviews_enforcement_level -- off, non_admins or everyone
	dismiss_stale_reviews          boolean, -- = dismiss_stale_reviews_on_push -- a push takes approvals back
	require_code_owner_review      boolean, -- = require_code_owner_review -- a code owner has to approve
	required_status_checks         text[], -- = required_status_checks -- contexts that have to succeed
	status_check_enforcement       text, -- = required_status_checks_enforcement_level -- off, non_admins or everyone
	strict_status_checks           boolean, -- = strict_required_status_checks_policy -- the branch has to be up to date first
	signature_enforcement          text, -- = signature_requirement_enforcement_level -- signed commits: off, non_admins or everyone
	linear_history_enforcement     text, -- = linear_history_requirement_enforcement_level -- no merge commits: off, non_admins or everyone
	allow_force_pushes_enforcement text, -- = allow_force_pushes_enforcement_level -- force pushes: off, non_admins or everyone
	allow_deletions_enforcement    text, -- = allow_deletions_enforcement_level -- deleting the branch: off, non_admins or everyone
	merge_queue_enforcement        text, -- = merge_queue_enforcement_level -- merging by the queue: off, non_admins or everyone
	required_deployments           text, -- = required_deployments_enforcement_level -- deployments that have to succeed first: off, non_admins or everyone
	conversation_resolution        text, -- = required_conversation_resolution_level -- threads have to be resolved: off, non_admins or everyone
	authorized_actors_only         boolean, -- = authorized_actors_only -- only some may push
	authorized_actor_names         text[], -- = authorized_actor_names -- who may push
	created_at                     timestamptz, -- = created_at
	updated_at                     timestamptz -- = updated_at
);

create index branch_protection_rules_repo on branch_protection_rules (repo_id);
