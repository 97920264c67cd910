-- Assignees of issues as they are now, one per row.
create or replace view gh.issue_assignees as
select i.id as issue_id, i.repo_id, a.user_id
from gh.issues i cross join unnest(i.assignee_ids) as a (user_id)
where i.deleted_at is null;
