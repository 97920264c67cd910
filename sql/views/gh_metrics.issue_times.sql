-- Issues: hours until the first answer of another person, age while open, hours they were open in all (closing
-- and opening again counted from the events), and how often they were opened again.
create or replace view gh_metrics.issue_times as
select i.id as issue_id, i.repo_id, i.number, i.state, i.created_at, i.closed_at,
	extract(epoch from f.at - i.created_at)::float8 / 3600 as response_hours,
	case when i.state = 'open' then extract(epoch from now() - i.created_at)::float8 / 3600 end as age_hours,
	o.reopened,
	case when i.state = 'closed' then extract(epoch from i.closed_at - i.created_at)::float8 / 3600 - o.closed_hours end as open_hours,
	case when u.is_bot then 'bot' end as excluded
from gh.issues i
left join gh.people u on u.user_id = i.author_id
cross join lateral (
	select min(c.created_at) as at
	from gh.comments c left join gh.people a on a.user_id = c.author_id
	where c.kind = 'issue' and c.parent_id = i.id and c.deleted_at is null
		and c.author_id is distinct from i.author_id and a.is_bot is not true
) f
cross join lateral (
	select count(distinct x.at) filter (where x.action = 'reopened') as reopened, -- several hooks may tell of one
		coalesce(sum(extract(epoch from x.at - x.before)) filter (where x.action = 'reopened' and x.action_before = 'closed'), 0)::float8 / 3600
			as closed_hours
	from (
		select e.action, coalesce(e.occurred_at, e.received_at) as at,
			lag(coalesce(e.occurred_at, e.received_at)) over w as before, lag(e.action) over w as action_before
		from hooklog.events e
		where e.event = 'issues' and e.host is not distinct from :host and e.item_id = i.id and e.action in ('closed', 'reopened')
		window w as (order by coalesce(e.occurred_at, e.received_at), e.seq)
	) x
) o
where i.is_pull_request is not true and i.deleted_at is null;
comment on column gh_metrics.issue_times.issue_id is 'gh.issues.id';
comment on column gh_metrics.issue_times.repo_id is 'the repository: gh.repositories.id';
comment on column gh_metrics.issue_times.number is 'number within the repository';
comment on column gh_metrics.issue_times.state is 'state';
comment on column gh_metrics.issue_times.created_at is 'when it was made';
comment on column gh_metrics.issue_times.closed_at is 'when it was closed';
comment on column gh_metrics.issue_times.response_hours is 'hours until another person answered; null: nobody did';
comment on column gh_metrics.issue_times.age_hours is 'hours since it was made, while it is open';
comment on column gh_metrics.issue_times.reopened is 'how often it was opened again';
comment on column gh_metrics.issue_times.open_hours is 'hours it was open in all, once closed';
comment on column gh_metrics.issue_times.excluded is 'why metrics leave it out: bot or draft; null: they do not';
