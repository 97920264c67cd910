-- Accounts of people and bots, without organizations.
create or replace view hooklog.users as
select 'github'::text as provider, u.id, u.login, u.name, u.email, u.is_bot, u.last_seq
from gh.users u
where u.type is distinct from 'Organization';
