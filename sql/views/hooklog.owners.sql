-- Accounts that own repositories.
create or replace view hooklog.owners as
select 'github'::text as provider, :host as host, u.id, u.login, u.type
from gh.users u
where exists (select from gh.repositories r where r.owner_id = u.id and r.deleted_at is null);
comment on column hooklog.owners.provider is 'kind of forge, such as github';
comment on column hooklog.owners.host is 'host, as configured for the source, that the ids are of; else null';
comment on column hooklog.owners.id is 'the forge''s id';
comment on column hooklog.owners.login is 'name of the account';
comment on column hooklog.owners.type is 'User, Organization, ...';
