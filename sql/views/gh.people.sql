-- Accounts of people and bots with what hooklog.user_overrides says of them. Metrics ask here who is a bot.
create or replace view gh.people as
select u.id as user_id, u.login, coalesce(o.is_bot, u.is_bot) as is_bot, coalesce(o.person, u.login) as person, o.team
from gh.users u left join hooklog.user_overrides o on o.user_id = u.id and o.host = coalesce(:host, '')
where u.type is distinct from 'Organization';
comment on column gh.people.user_id is 'gh.users.id';
comment on column gh.people.login is 'name of the account';
comment on column gh.people.is_bot is 'it is a bot';
comment on column gh.people.person is 'one name for all accounts of a person';
comment on column gh.people.team is 'team the person works in';
