-- Links between issues: kind sub_issue leads from the parent to its part, kind blocks from what blocks to
-- what waits. GitHub tells each link twice, once from either end. A link that was taken away has deleted_at.
--
-- provider: github
-- key: kind, from_id, to_id
-- rows: . on sub_issues rank 1 kind='sub_issue'
-- rows: . on issue_dependencies rank 1 kind='blocks'
-- delete: sub_issues.sub_issue_removed, sub_issues.parent_issue_removed
-- delete: issue_dependencies.blocked_by_removed, issue_dependencies.blocking_removed
create table issue_links (
	kind         text not null, -- = :kind -- sub_issue: from the parent to the part; blocks: from what blocks to what waits
	from_id      bigint not null, -- = parent_issue_id | parent_issue.id | blocking_issue_id | blocking_issue.id -- gh.issues.id
	to_id        bigint not null, -- = sub_issue_id | sub_issue.id | blocked_issue_id | blocked_issue.id -- gh.issues.id
	from_repo_id bigint, -- = parent_issue_repo.id | blocking_issue_repo.id | repository.id -- gh.repositories.id
	from_number  bigint, -- = parent_issue.number | blocking_issue.number -- number of that issue
	to_repo_id   bigint, -- = sub_issue_repo.id | blocked_issue_repo.id | repository.id -- gh.repositories.id
	to_number    bigint, -- = sub_issue.number | blocked_issue.number -- number of that issue
	sender_id    bigint, -- = sender.id
	primary key (kind, from_id, to_id)
);

create index issue_links_to on issue_links (to_id);
