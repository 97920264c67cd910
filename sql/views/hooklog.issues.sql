-- Issues, without the issue halves of pull requests and without deleted ones.
create or replace view hooklog.issues as
select 'github'::text as provider, i.id, i.repo_id, i.number, i.title, i.state, i.author_id, i.created_at, i.updated_at,
	i.closed_at, i.last_seq
from gh.issues i
where i.is_pull_request is not true and i.deleted_at is null;
