-- Assignees of issues as they are now, one per row.
create or replace view gh.issue_assignees as
select i.id as issue_id, i.repo_id, a.user_id
from gh.issues i cross join unnest(i.assignee_ids) as a (user_id)
where i.deleted_at is null;
comment on column gh.issue_assignees.issue_id is 'gh.issues.id';
comment on column gh.issue_assignees.repo_id is 'the repository: gh.repositories.id';
comment on column gh.issue_assignees.user_id is 'gh.users.id';
