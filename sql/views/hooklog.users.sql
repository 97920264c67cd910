-- Accounts of people and bots, without organizations.
create or replace view hooklog.users as
select 'github'::text as provider, :host as host, u.id, u.login, u.name, u.email, u.is_bot, u.last_seq
from gh.users u
where u.type is distinct from 'Organization';
comment on column hooklog.users.provider is 'kind of forge, such as github';
comment on column hooklog.users.host is 'host, as configured for the source, that the ids are of; else null';
comment on column hooklog.users.id is 'the forge''s id';
comment on column hooklog.users.login is 'name of the account';
comment on column hooklog.users.name is 'name';
comment on column hooklog.users.email is 'address, where told';
comment on column hooklog.users.is_bot is 'it is a bot';
comment on column hooklog.users.last_seq is 'number of the last event that mentioned it';
