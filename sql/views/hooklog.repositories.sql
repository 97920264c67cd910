-- Repositories of all forges in the same columns. Deleted ones are left out.
create or replace view hooklog.repositories as
select 'github'::text as provider, :host as host, r.id, r.full_name, r.name, r.owner_id, r.private, r.default_branch, r.archived,
	r.created_at, r.pushed_at, r.last_seq
from gh.repositories r
where r.deleted_at is null;
comment on column hooklog.repositories.provider is 'kind of forge, such as github';
comment on column hooklog.repositories.host is 'host, as configured for the source, that the ids are of; else null';
comment on column hooklog.repositories.id is 'the forge''s id';
comment on column hooklog.repositories.full_name is 'owner and name';
comment on column hooklog.repositories.name is 'name';
comment on column hooklog.repositories.owner_id is 'account it belongs to';
comment on column hooklog.repositories.private is 'not open to everybody';
comment on column hooklog.repositories.default_branch is 'branch that is shown first';
comment on column hooklog.repositories.archived is 'nobody can write any more';
comment on column hooklog.repositories.created_at is 'when it was made';
comment on column hooklog.repositories.pushed_at is 'when somebody last pushed';
comment on column hooklog.repositories.last_seq is 'number of the last event that mentioned it';
