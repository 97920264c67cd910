-- Deployments to production per week: tried, succeeded, failed, and the share of failed ones. Production is what
-- GitHub marked so, else an environment whose name starts with prod. A deployment counts once, by the first week
-- in which it succeeded, failed or had an error; it failed when it ever did.
create or replace view gh_metrics.deployment_weeks as
select d.repo_id, date_trunc('week', s.ended_at at time zone 'UTC')::date as week, count(*) as n,
	count(*) filter (where not s.failed) as succeeded, count(*) filter (where s.failed) as failed,
	count(*) filter (where s.failed)::float8 / count(*) as change_failure_rate
from gh.deployments d
cross join lateral (
	select min(x.created_at) as ended_at, bool_or(x.state in ('failure', 'error')) as failed
	from gh.deployment_statuses x
	where x.deployment_id = d.id and x.state in ('success', 'failure', 'error')
) s
where s.ended_at is not null and (d.production_environment or d.environment ~* '^prod')
group by 1, 2;
comment on column gh_metrics.deployment_weeks.repo_id is 'the repository: gh.repositories.id';
comment on column gh_metrics.deployment_weeks.week is 'Monday of the week, in UTC';
comment on column gh_metrics.deployment_weeks.n is 'how many the row is made of';
comment on column gh_metrics.deployment_weeks.succeeded is 'of these, how many succeeded';
comment on column gh_metrics.deployment_weeks.failed is 'of these, how many failed';
comment on column gh_metrics.deployment_weeks.change_failure_rate is 'failed of n';
