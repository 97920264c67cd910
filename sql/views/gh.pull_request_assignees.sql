-- Assignees of pull requests as they are now, one per row.
create or replace view gh.pull_request_assignees as
select p.id as pull_request_id, p.repo_id, a.user_id
from gh.pull_requests p cross join unnest(p.assignee_ids) as a (user_id);
comment on column gh.pull_request_assignees.pull_request_id is 'gh.pull_requests.id';
comment on column gh.pull_request_assignees.repo_id is 'the repository: gh.repositories.id';
comment on column gh.pull_request_assignees.user_id is 'gh.users.id';
