-- Accounts that own repositories.
create or replace view hooklog.owners as
select 'github'::text as provider, u.id, u.login, u.type
from gh.users u
where exists (select from gh.repositories r where r.owner_id = u.id and r.deleted_at is null);
