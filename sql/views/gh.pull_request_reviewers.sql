-- Open requests for review, one per row: of a user or of a team.
create or replace view gh.pull_request_reviewers as
select p.id as pull_request_id, p.repo_id, r.user_id, null::bigint as team_id
from gh.pull_requests p cross join unnest(p.reviewer_ids) as r (user_id)
union all
select p.id, p.repo_id, null, t.team_id
from gh.pull_requests p cross join unnest(p.review_team_ids) as t (team_id);
comment on column gh.pull_request_reviewers.pull_request_id is 'gh.pull_requests.id';
comment on column gh.pull_request_reviewers.repo_id is 'the repository: gh.repositories.id';
comment on column gh.pull_request_reviewers.user_id is 'gh.users.id; null: a team';
comment on column gh.pull_request_reviewers.team_id is 'gh.teams.id; null: a person';
