-- Labels of pull requests as they are now, one per row.
create or replace view gh.pull_request_labels as
select p.id as pull_request_id, p.repo_id, l.label_id
from gh.pull_requests p cross join unnest(p.label_ids) as l (label_id);
