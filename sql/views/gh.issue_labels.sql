-- Labels of issues as they are now, one per row.
create or replace view gh.issue_labels as
select i.id as issue_id, i.repo_id, l.label_id
from gh.issues i cross join unnest(i.label_ids) as l (label_id)
where i.deleted_at is null;
comment on column gh.issue_labels.issue_id is 'gh.issues.id';
comment on column gh.issue_labels.repo_id is 'the repository: gh.repositories.id';
comment on column gh.issue_labels.label_id is 'gh.labels.id';
