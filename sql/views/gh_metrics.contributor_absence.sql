-- The smallest number of people who wrote half of a quarter's commits (bus factor), per repository, by when they were
-- written. An author is the person of gh.people by login, else by hooklog.identities, else the address. Bots are
-- left out and counted beside.
create or replace view gh_metrics.contributor_absence as
select a.repo_id, a.quarter, sum(a.commits) filter (where not a.is_bot)::bigint as n,
	coalesce(sum(a.commits) filter (where a.is_bot), 0)::bigint as excluded_bots,
	count(*) filter (where not a.is_bot) as people,
	count(*) filter (where not a.is_bot and 2 * a.before < a.total) as absence_factor
from (
	select x.*, sum(x.commits) filter (where not x.is_bot) over (partition by x.repo_id, x.quarter) as total,
		coalesce(sum(x.commits) filter (where not x.is_bot) over (partition by x.repo_id, x.quarter
			order by x.commits desc, x.author rows between unbounded preceding and 1 preceding), 0) as before
	from (
		select c.repo_id, date_trunc('quarter', c.authored_at at time zone 'UTC')::date as quarter,
			coalesce(p.person, c.author_login, lower(c.author_email)) as author,
			coalesce(p.is_bot, c.author_login like '%[bot]', false) as is_bot, count(*) as commits
		from gh.commits c
		left join hooklog.identities i on lower(i.email) = lower(c.author_email) and c.author_login is null
			and i.host = coalesce(:host, '')
		left join lateral (
			select x.person, x.is_bot from gh.people x join gh.users u on u.id = x.user_id
			where case when c.author_login is null then x.user_id = i.user_id else x.login = c.author_login end
			order by u.last_seq desc limit 1 -- a login may have changed hands
		) p on true
		where c.authored_at is not null
		group by 1, 2, 3, 4
	) x
) a
group by 1, 2;
comment on column gh_metrics.contributor_absence.repo_id is 'the repository: gh.repositories.id';
comment on column gh_metrics.contributor_absence.quarter is 'first day of the quarter, in UTC';
comment on column gh_metrics.contributor_absence.n is 'how many the row is made of';
comment on column gh_metrics.contributor_absence.excluded_bots is 'left out, since a bot wrote them';
comment on column gh_metrics.contributor_absence.people is 'authors';
comment on column gh_metrics.contributor_absence.absence_factor is 'how many of them, from the most active on, wrote half';
