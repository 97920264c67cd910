-- Submitted reviews of pull requests.
create or replace view hooklog.reviews as
select 'github'::text as provider, r.id, r.repo_id, r.pull_request_id, r.number, r.state, r.author_id, r.body, r.submitted_at
from gh.reviews r;
