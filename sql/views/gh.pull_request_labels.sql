-- Labels of pull requests as they are now, one per row.
create or replace view gh.pull_request_labels as
select p.id as pull_request_id, p.repo_id, l.label_id
from gh.pull_requests p cross join unnest(p.label_ids) as l (label_id);
comment on column gh.pull_request_labels.pull_request_id is 'gh.pull_requests.id';
comment on column gh.pull_request_labels.repo_id is 'the repository: gh.repositories.id';
comment on column gh.pull_request_labels.label_id is 'gh.labels.id';
