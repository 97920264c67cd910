-- Organizations, from the object that events of an organization carry and from the owners of
-- repositories that are organizations.
--
-- provider: github
-- key: id
-- rows: organization rank 1
-- rows: repository.owner where type='Organization'
-- rows: installation.account where type='Organization'
-- rows: repository.organization
-- rows: repository.template_repository.owner where type='Organization'
-- rows: check_run.app.owner where type='Organization'
-- rows: check_run.check_suite.app.owner where type='Organization'
-- rows: check_run.check_suite.repository.owner where type='Organization'
-- rows: check_run.deployment.performed_via_github_app.owner where type='Organization'
-- rows: check_suite.app.owner where type='Organization'
-- rows: deployment.performed_via_github_app.owner where type='Organization'
-- rows: workflow_run.head_repository.owner where type='Organization'
-- rows: workflow_run.repository.owner where type='Organization'
-- rows: pull_requests[].head.repo.owner where type='Organization'
-- rows: pull_requests[].base.repo.owner where type='Organization'
-- rows: deployment_status.performed_via_github_app.owner where type='Organization'
-- rows: changes.new_repository.organization
-- rows: changes.new_repository.owner where type='Organization'
-- rows: changes.new_repository.template_repository.owner where type='Organization'
-- rows: forkee.owner where type='Organization'
-- rows: account on installation_target where type='Organization'
-- rows: comment.performed_via_github_app.owner where type='Organization'
-- rows: blocked_issue.repository.owner where type='Organization'
-- rows: blocked_issue.performed_via_github_app.owner where type='Organization'
-- rows: blocking_issue.repository.owner where type='Organization'
-- rows: blocking_issue.performed_via_github_app.owner where type='Organization'
-- rows: blocking_issue_repo.owner where type='Organization'
-- rows: blocked_issue_repo.owner where type='Organization'
-- rows: issue.performed_via_github_app.owner where type='Organization'
-- rows: changes.old_issue.performed_via_github_app.owner where type='Organization'
-- rows: changes.old_repository.owner where type='Organization'
-- rows: changes.new_issue.performed_via_github_app.owner where type='Organization'
-- rows: marketplace_purchase.account where type='Organization'
-- rows: previous_marketplace_purchase.account where type='Organization'
-- rows: package.owner where type='Organization'
-- rows: personal_access_token_request.owner where type='Organization'
-- rows: projects_v2.owner where type='Organization'
-- rows: pull_request.base.repo.owner where type='Organization'
-- rows: pull_request.head.repo.owner where type='Organization'
-- rows: registry_package.owner where type='Organization'
-- rows: repository_advisory.private_fork.owner where type='Organization'
-- rows: changes.owner.from.organization
-- rows: repository.parent.owner where type='Organization'
-- rows: repository.source.owner where type='Organization'
-- rows: sponsorship.maintainer where type='Organization'
-- rows: sponsorship.sponsor where type='Organization'
-- rows: sponsorship.sponsorable where type='Organization'
-- rows: parent_issue.repository.owner where type='Organization'
-- rows: parent_issue.performed_via_github_app.owner where type='Organization'
-- rows: parent_issue_repo.owner where type='Organization'
-- rows: sub_issue.repository.owner where type='Organization'
-- rows: sub_issue.performed_via_github_app.owner where type='Organization'
-- rows: sub_issue_repo.owner where type='Organization'
-- delete: organization.deleted
create table organizations (
	id          bigint primary key,
	login       text, -- = login
	node_id     text, -- = node_id
	avatar_url  text, -- = avatar_url -- picture
	description text -- full = description
) with (fillfactor = 80);

create index organizations_login on organizations (login);
