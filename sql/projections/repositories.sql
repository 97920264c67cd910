-- Repositories by id: a rename or transfer changes columns, never the row.
-- Events of installations carry only id and names (a stub without a time): such a row is partial until
-- any other event tells the rest.
--
-- provider: github
-- key: id
-- version: updated_at
-- rows: repository on repository rank 1
-- rows: repository
-- rows: pull_request.head.repo
-- rows: pull_request.base.repo
-- rows: forkee
-- rows: repositories[]
-- rows: repositories_added[]
-- rows: repository.template_repository
-- rows: check_run.check_suite.repository
-- rows: workflow_run.head_repository
-- rows: workflow_run.repository
-- rows: pull_requests[].head.repo
-- rows: pull_requests[].base.repo
-- rows: changes.new_repository
-- rows: changes.new_repository.template_repository
-- rows: repositories_removed[] on installation_repositories
-- rows: blocked_issue.repository
-- rows: blocking_issue.repository
-- rows: blocking_issue_repo on issue_dependencies
-- rows: blocked_issue_repo on issue_dependencies
-- rows: changes.old_repository
-- rows: personal_access_token_request.repositories[]
-- rows: repository_advisory.private_fork
-- rows: repository.parent
-- rows: repository.source
-- rows: parent_issue.repository
-- rows: parent_issue_repo on sub_issues
-- rows: sub_issue.repository
-- rows: sub_issue_repo on sub_issues
-- delete: repository.deleted
create table repositories (
	id             bigint primary key,
	full_name      text, -- = full_name
	name           text, -- = name
	node_id        text, -- = node_id
	private        boolean, -- = private
	owner_id       bigint, -- full = owner.id
	org_id         bigint, -- full = owner.type='Organization' => owner.id
	description    text, -- full = description
	visibility     text, -- full = visibility -- public, private or internal
	archived       boolean, -- full = archived -- nobody can write any more
	disabled       boolean, -- full = disabled -- GitHub has disabled it
	is_template    boolean, -- full = is_template -- others can be made from it
	fork           boolean, -- full = fork -- it is a fork
	default_branch text, -- full = default_branch -- branch that is shown first
	language       text, -- full = language -- main language
	license        text, -- full = license.spdx_id -- SPDX id
	topics         text[], -- full = topics -- topics
	stars          bigint, -- full = stargazers_count -- as last told; not counted
	forks          bigint, -- full = forks_count -- as last told; not counted
	open_issues    bigint, -- full = open_issues_count -- open issues and pull requests, as last told
	size_kb        bigint, -- full = size -- kilobytes
	html_url       text, -- full = html_url
	created_at     timestamptz, -- full = created_at
	pushed_at      timestamptz -- full = pushed_at -- when somebody last pushed
) with (fillfactor = 80);

create index repositories_full_name on repositories (full_name);
create index repositories_owner on repositories (owner_id);
