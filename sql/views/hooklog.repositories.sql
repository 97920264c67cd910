-- Repositories of all forges in the same columns. Deleted ones are left out.
create or replace view hooklog.repositories as
select 'github'::text as provider, r.id, r.full_name, r.name, r.owner_id, r.private, r.default_branch, r.archived,
	r.created_at, r.pushed_at, r.last_seq
from gh.repositories r
where r.deleted_at is null;
